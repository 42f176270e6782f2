//! Events to the user: straight to handlers, or into a queue that the user or a thread of ours empties.
//!
//! Handlers, `recv` and `events()` exclude each other; the first one used decides. Decides nothing else.

#[cfg(all(unix, feature = "capi"))]
mod bell;
pub(crate) mod handlers;
pub(crate) mod queue;

use std::io;
use std::sync::{Arc, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded, select};

use crate::client::Client;
use crate::config::{Config, Dispatch};
use crate::dispatch::handlers::{Handlers, Lone, Registered};
use crate::dispatch::queue::{Pressure, Queue, Taken};
use crate::event::{Begun, Event, FragmentRef, MessageRef};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU8, Ordering};
use crate::sync::thread::{Builder, JoinHandle};
use crate::thread;
use crate::user_code::{Panicked, drop_guarded};

/// Small: the bound that counts is the queue's; this is only what `select!` can wait on.
const CHANNEL_LENGTH: usize = 16;

/// The way that events take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Way {
    /// Nobody asked yet: the newest are kept, the link is not held up.
    Unclaimed,
    /// Handlers on the loop's thread.
    Handlers,
    /// Handlers on a thread of their own.
    HandlersThread,
    /// The user takes from the queue.
    Pull,
    /// A thread of ours takes from the queue and feeds the user's channel.
    Channel,
}

pub(crate) struct Dispatcher {
    pub(crate) handlers: Handlers,
    pub(crate) queue: Queue,
    /// A `Way`; changes once, from unclaimed.
    way: AtomicU8,
    handlers_way: Way,
    thread: Mutex<Thread>,
}

#[derive(Default)]
struct Thread {
    /// Set by connect: before it there is nothing to carry and no thread.
    connected: bool,
    /// The channel to feed, until the thread has taken it.
    channel: Option<Sender<Event>>,
    running: Option<JoinHandle<()>>,
    /// Dropped to end a thread that waits for room in the channel.
    stop: Option<Sender<()>>,
}

/// Why a message was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undelivered {
    /// A handler panicked.
    Panicked,
    /// It has to be copied, and there is no memory for that.
    NoMemory,
}

/// The loop's snapshot of the handlers, taken anew when the list has changed.
#[derive(Default)]
pub(crate) struct Snapshot {
    version: Option<u64>,
    list: Arc<Registered>,
    /// Taken out of the list while messages come in a row.
    lone: Option<Lone>,
}

impl Snapshot {
    #[inline]
    fn refresh(&mut self, handlers: &Handlers) {
        let version = handlers.version();
        if self.version != Some(version) {
            self.end_row();
            drop_guarded(std::mem::replace(&mut self.list, handlers.snapshot()));
            self.version = Some(version);
        }
    }

    fn of(&mut self, handlers: &Handlers) -> &Registered {
        self.refresh(handlers);
        &self.list
    }

    fn message(
        &mut self,
        handlers: &Handlers,
        client: &Client,
        message: MessageRef<'_>,
    ) -> Result<(), Panicked> {
        self.refresh(handlers);
        if self.lone.is_none() {
            self.lone = self.list.lone_message_handler();
        }
        match &mut self.lone {
            Some(lone) => lone.message(client, message),
            None => self.list.message(client, message),
        }
    }

    /// No further message comes in this row: what was removed meanwhile is freed.
    pub(crate) fn end_row(&mut self) {
        self.lone = None;
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.end_row();
        drop_guarded(std::mem::take(&mut self.list));
    }
}

impl Dispatcher {
    pub(crate) fn new(config: &Config) -> Dispatcher {
        Dispatcher {
            handlers: Handlers::default(),
            queue: Queue::new(config.inbound_events, config.inbound_bytes),
            way: AtomicU8::new(Way::Unclaimed as u8),
            handlers_way: match config.dispatch {
                Dispatch::Loop => Way::Handlers,
                Dispatch::Thread => Way::HandlersThread,
            },
            thread: Mutex::default(),
        }
    }

    pub(crate) fn way(&self) -> Way {
        match self.way.load(Ordering::Acquire) {
            0 => Way::Unclaimed,
            1 => Way::Handlers,
            2 => Way::HandlersThread,
            3 => Way::Pull,
            _ => Way::Channel,
        }
    }

    /// Whether events go this way now; the first claim decides for good.
    fn claim(&self, wanted: Way) -> bool {
        let unclaimed = Way::Unclaimed as u8;
        let exchanged =
            self.way.compare_exchange(unclaimed, wanted as u8, Ordering::AcqRel, Ordering::Acquire);
        if exchanged.is_ok() {
            match wanted {
                // Handlers that come late hear what happens from now on.
                Way::Handlers => self.queue.clear(),
                _ => self.queue.claim(),
            }
        }
        exchanged.is_ok() || self.way() == wanted
    }

    pub(crate) fn claim_for_handlers(&self) -> bool {
        self.claim(self.handlers_way)
    }

    pub(crate) fn claim_for_pull(&self) -> bool {
        self.claim(Way::Pull)
    }

    /// The channel's end for the user, unless events go another way already.
    pub(crate) fn claim_for_channel(&self) -> Option<Receiver<Event>> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if self.way() == Way::Channel || !self.claim(Way::Channel) {
            return None;
        }
        let (sender, receiver) = bounded(CHANNEL_LENGTH);
        thread.channel = Some(sender);
        Some(receiver)
    }

    #[inline]
    pub(crate) fn pressure(&self) -> Pressure {
        if self.is_held_up_by_takers() { self.queue.pressure() } else { Pressure::default() }
    }

    /// Whether a full queue stops the loop: not where handlers are called on its thread, nor before anyone asked.
    #[inline]
    fn is_held_up_by_takers(&self) -> bool {
        self.way.load(Ordering::Acquire) > Way::Handlers as u8
    }

    /// Delivers a message; answers whether the user has no room for a further one.
    pub(crate) fn message(
        &self,
        client: &Client,
        snapshot: &mut Snapshot,
        message: MessageRef<'_>,
    ) -> Result<bool, Undelivered> {
        if self.way.load(Ordering::Acquire) == Way::Handlers as u8 {
            let told = snapshot.message(&self.handlers, client, message);
            return told.map(|()| false).map_err(|Panicked| Undelivered::Panicked);
        }
        let message = message.try_to_message().ok_or(Undelivered::NoMemory)?;
        Ok(self.queue.push(Event::Message(message)))
    }

    /// Delivers a part of a message; answers as [`message`](Self::message) does.
    pub(crate) fn fragment(
        &self,
        client: &Client,
        snapshot: &mut Snapshot,
        fragment: FragmentRef<'_>,
    ) -> Result<bool, Undelivered> {
        if self.way() == Way::Handlers {
            let told = snapshot.of(&self.handlers).fragment(client, fragment);
            return told.map(|()| false).map_err(|Panicked| Undelivered::Panicked);
        }
        let fragment = fragment.try_to_fragment().ok_or(Undelivered::NoMemory)?;
        Ok(self.queue.push(Event::Fragment(fragment)))
    }

    pub(crate) fn event(
        &self,
        client: &Client,
        snapshot: &mut Snapshot,
        event: Event,
    ) -> Result<(), Panicked> {
        if self.way() == Way::Handlers {
            return snapshot.of(&self.handlers).event(client, &event);
        }
        self.queue.push(event);
        Ok(())
    }

    /// No event comes any more; what waits is still delivered.
    pub(crate) fn end(&self) {
        self.queue.end();
    }

    /// Starts the thread that empties the queue, where the way has one and `connect` was called.
    pub(crate) fn start_thread(&self, client: &Client, connecting: bool) -> io::Result<()> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.connected |= connecting;
        let way = self.way();
        let wanted = matches!(way, Way::HandlersThread | Way::Channel);
        if !wanted || !thread.connected || thread.running.is_some() {
            return Ok(());
        }
        let (stop, stopped) = bounded(0);
        let channel = thread.channel.take();
        let client = client.uncounted();
        let name = format!("heartwire-{}-events", client.name());
        let builder = Builder::new().name(name);
        let running = thread::spawn(builder, move || match channel {
            Some(channel) => feed(&client, channel, &stopped),
            None => call_handlers(&client),
        })?;
        thread.running = Some(running);
        thread.stop = Some(stop);
        Ok(())
    }

    /// Silence from here on; the thread ends, and is waited for where that cannot hang.
    pub(crate) fn destroy(&self, wait: bool) {
        self.queue.clear();
        let (running, stop, channel) = {
            let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
            (thread.running.take(), thread.stop.take(), thread.channel.take())
        };
        drop((stop, channel));
        if let Some(running) = running.filter(|_| wait) {
            crate::thread::join(running);
        }
    }
}

fn feed(client: &Client, channel: Sender<Event>, stopped: &Receiver<()>) {
    let mut listening = true;
    while let Taken::Event(event, tell) = client.dispatcher().queue.take(None) {
        if tell {
            client.nudge();
        }
        if !listening {
            continue;
        }
        select! {
            send(channel, event) -> sent => listening = sent.is_ok(),
            recv(stopped) -> _ => return,
        }
    }
}

fn call_handlers(client: &Client) {
    let dispatcher = client.dispatcher();
    let mut snapshot = Snapshot::default();
    let mut begun = Begun::default();
    while let Taken::Event(mut event, tell) = dispatcher.queue.take(None) {
        if tell {
            client.nudge();
        }
        // They came before the close; a handler on the loop's thread would not see them after it either.
        if matches!(event, Event::Message(_)) && client.delivers_no_messages() {
            continue;
        }
        if let Event::Fragment(fragment) = &event {
            let fragment = fragment.as_ref();
            if client.delivers_no_messages() {
                // Whoever heard the beginning hears that there is no end, although it may have come.
                let Some(aborted) = begun.abort() else { continue };
                event = Event::Fragment(aborted);
            } else {
                begun.told(fragment);
            }
        }
        if snapshot.of(&dispatcher.handlers).event(client, &event).is_err() {
            client.callback_panicked();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// A handler that counts its calls, and by `Arc::strong_count` whether it was freed.
    fn counting(handlers: &Handlers) -> (handlers::ListenerId, Arc<AtomicUsize>) {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        let id = handlers.message(Box::new(move |_, _| {
            counted.fetch_add(1, Ordering::Relaxed);
        }));
        (id, calls)
    }

    fn is_freed(calls: &Arc<AtomicUsize>) -> bool {
        Arc::strong_count(calls) == 1
    }

    #[test]
    fn a_handler_removed_in_a_row_of_messages_is_not_called_again_and_is_freed_with_the_next_or_the_end() {
        let client = Client::builder("ws://127.0.0.1:1/").build().unwrap();
        let (handlers, mut snapshot) = (Handlers::default(), Snapshot::default());
        let tell = |snapshot: &mut Snapshot, handlers: &Handlers| {
            snapshot.message(handlers, &client, MessageRef::Text("x")).unwrap();
        };
        let (id, calls) = counting(&handlers);
        tell(&mut snapshot, &handlers);
        tell(&mut snapshot, &handlers);
        assert!(handlers.remove(id));
        tell(&mut snapshot, &handlers);
        assert_eq!(calls.load(Ordering::Relaxed), 2);
        assert!(is_freed(&calls));

        let (id, calls) = counting(&handlers);
        tell(&mut snapshot, &handlers);
        assert!(handlers.remove(id));
        snapshot.end_row();
        assert!(is_freed(&calls));

        let (_, calls) = counting(&handlers);
        tell(&mut snapshot, &handlers);
        handlers.clear();
        assert!(!is_freed(&calls), "it counts as running");
        snapshot.end_row();
        assert!(is_freed(&calls));
    }

    #[test]
    fn a_handler_that_joins_in_a_row_hears_the_next_message_and_so_does_the_first() {
        let client = Client::builder("ws://127.0.0.1:1/").build().unwrap();
        let (handlers, mut snapshot) = (Handlers::default(), Snapshot::default());
        let (_, first) = counting(&handlers);
        snapshot.message(&handlers, &client, MessageRef::Text("x")).unwrap();
        let (id, second) = counting(&handlers);
        snapshot.message(&handlers, &client, MessageRef::Text("x")).unwrap();
        assert!(handlers.remove(id));
        assert!(is_freed(&second), "with more than one, each is taken out for its call alone");
        snapshot.message(&handlers, &client, MessageRef::Text("x")).unwrap();
        assert_eq!((first.load(Ordering::Relaxed), second.load(Ordering::Relaxed)), (3, 1));
    }
}
