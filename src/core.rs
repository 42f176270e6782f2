//! What a client's handles, its loop and its dispatch thread share.

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::config::Config;
use crate::config::delivery::Terms;
use crate::config::outbox::WhenFull;
use crate::dispatch::Dispatcher;
use crate::dispatch::queue::Taken;
use crate::entry::Kind;
use crate::error::{SendError, StreamError, WaitError};
use crate::event::MessageId;
use crate::event_loop::{self, shared::SharedLoop};
use crate::mailbox::{Inner, Mailbox, News};
use crate::process;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::thread::JoinHandle;
use crate::thread;

pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) mailbox: Mailbox,
    pub(crate) dispatcher: Dispatcher,
    /// Where it was made. The child of a fork has no thread of it, and shares its sockets with the parent.
    process: u64,
    /// The user's handles; the last one's drop destroys the client.
    handles: AtomicUsize,
    /// The loop that it shares with others, if it has no loop thread of its own.
    event_loop: Option<Arc<SharedLoop>>,
    /// Its own loop's, once it was started.
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Core {
    /// With one handle, which the caller makes. The loop, if there is one, has counted the client in.
    pub(crate) fn new(config: Config, event_loop: Option<Arc<SharedLoop>>) -> Arc<Core> {
        Arc::new(Core {
            mailbox: Mailbox::new(&config),
            dispatcher: Dispatcher::new(&config),
            process: process::current(),
            handles: AtomicUsize::new(1),
            event_loop,
            thread: Mutex::new(None),
            config,
        })
    }

    /// A further handle, unless the last one is gone.
    pub(crate) fn try_add_handle(&self) -> bool {
        let add = |handles| if handles == 0 { None } else { Some(handles + 1) };
        self.handles.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }

    pub(crate) fn drop_handle(&self) {
        let last = self.handles.fetch_sub(1, Ordering::AcqRel) == 1;
        if last && self.is_of_this_process() {
            self.destroy();
        }
    }

    pub(crate) fn is_of_this_process(&self) -> bool {
        self.process == process::current()
    }

    /// Gives the client to the loop that it shares, or starts its own; and the dispatch thread where events need one.
    pub(crate) fn start(self: &Arc<Core>) -> io::Result<()> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        self.dispatcher.start_thread(&Client::uncounted_of(self), true)?;
        match &self.event_loop {
            Some(event_loop) => event_loop.adopt(self.clone())?,
            None => *thread = Some(event_loop::start_for(self.clone())?),
        }
        Ok(())
    }

    /// Sends, and waits for room where the outbox is full and set to block.
    pub(crate) fn send(
        &self,
        kind: Kind,
        payload: &[u8],
        terms: Terms,
        time_to_live: Option<Duration>,
    ) -> Result<MessageId, SendError> {
        self.with_room(payload.len(), |now| self.mailbox.send(kind, payload, terms, time_to_live, now))
    }

    /// Tries this, again and again where the outbox is full and set to block.
    #[inline]
    fn with_room(
        &self,
        len: usize,
        attempt: impl Fn(Instant) -> Result<MessageId, SendError>,
    ) -> Result<MessageId, SendError> {
        let now = Instant::now();
        let mut sent = attempt(now);
        if let (Err(SendError::Full), WhenFull::Block(timeout)) = (&sent, self.config.outbox.when_full) {
            let deadline = now.checked_add(timeout);
            while let Err(SendError::Full) = sent {
                let has_room = |inner: &Inner| inner.has_room(len).then_some(());
                match self.wait_until(News::Outbox, deadline, has_room) {
                    Err(WaitError::WouldDeadlock) => return Err(SendError::WouldDeadlock),
                    Err(WaitError::TimedOut) => return Err(SendError::Full),
                    _ => sent = attempt(Instant::now()),
                }
            }
        }
        sent
    }

    /// Begins a message in pieces; waits for room as a send does.
    pub(crate) fn begin_pieces(&self, kind: Kind) -> Result<MessageId, SendError> {
        self.with_room(0, |now| self.mailbox.begin_pieces(kind, self.config.terms, now))
    }

    /// Appends all, or as much as there is room for until the deadline; `true` if that was all.
    ///
    /// `taken` counts what was taken, also when it fails.
    pub(crate) fn append(
        &self,
        id: MessageId,
        piece: &[u8],
        deadline: Option<Instant>,
        taken: &mut usize,
    ) -> Result<(), StreamError> {
        loop {
            *taken += self.mailbox.append(id, &piece[*taken..])?;
            if *taken == piece.len() {
                return Ok(());
            }
            let has_room = |inner: &Inner| (inner.outbox.room_for_pieces(id) != Ok(0)).then_some(());
            match self.wait_until(News::Outbox, deadline, has_room) {
                Err(WaitError::WouldDeadlock) => return Err(StreamError::WouldDeadlock(*taken)),
                Err(WaitError::TimedOut) => return Err(StreamError::TimedOut(*taken)),
                // The end of the client is told by the next try.
                Ok(()) | Err(WaitError::Closed(_) | WaitError::Unknown) => {}
            }
        }
    }

    /// Waits until `done` has an answer, which changes with these news only; turns the loop meanwhile, if nobody else
    /// does.
    pub(crate) fn wait_until<T>(
        &self,
        news: News,
        deadline: Option<Instant>,
        mut done: impl FnMut(&Inner) -> Option<T>,
    ) -> Result<T, WaitError> {
        if thread::runs_a_loop() {
            return Err(WaitError::WouldDeadlock);
        }
        if let Some(event_loop) = self.turned_by_program() {
            let _waits = self.mailbox.waits_turning();
            if let Some(answer) = event_loop.wait(deadline, || self.mailbox.answer(&mut done)) {
                return answer;
            }
        }
        self.mailbox.wait_until(news, deadline, done)
    }

    /// Waits for the next event; turns the loop meanwhile, if nobody else does.
    pub(crate) fn take_event(&self, deadline: Option<Instant>) -> Taken {
        let queue = &self.dispatcher.queue;
        let turned = self.turned_by_program();
        let taken = turned.and_then(|event_loop| event_loop.wait(deadline, || queue.try_take()));
        taken.unwrap_or_else(|| queue.take(deadline))
    }

    /// The loop, if it has no thread of the library's.
    fn turned_by_program(&self) -> Option<&SharedLoop> {
        self.event_loop.as_deref().filter(|event_loop| !event_loop.has_thread())
    }

    /// Who turns the loop, in words.
    pub(crate) fn turned_by(&self) -> &'static str {
        match &self.event_loop {
            None => "a thread of its own",
            Some(event_loop) if event_loop.has_thread() => "a shared loop with a thread",
            Some(_) => "a loop that the program turns",
        }
    }

    /// Ends the client in silence. Waits for a running callback and for the client's own threads, but never inside
    /// a callback or on a loop's thread, where two clients could wait for each other.
    fn destroy(&self) {
        log::debug!("[{}] destroyed", self.config.name);
        let wait = thread::may_wait_for_callbacks();
        self.mailbox.destroy();
        // Before the wait: a call that runs is the last one, even where several handlers listen.
        self.dispatcher.handlers.clear();
        // No call from here on; one that runs is the last one.
        let hook = self.config.before_connect.as_ref().map(|before| &before.hook);
        hook.inspect(|hook| hook.close());
        #[cfg(unix)]
        let dialer = self.config.ground.dialer.as_ref();
        #[cfg(unix)]
        dialer.inspect(|dialer| dialer.close());
        // Before those who wait for an event are told to look again.
        self.dispatcher.queue.clear();
        if let Some(event_loop) = &self.event_loop {
            event_loop.part();
            // Not for the loop: another client's handler may take its time there.
            if wait {
                self.mailbox.wait_until_left();
            }
        }
        let running = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(running) = running.filter(|_| wait) {
            thread::join(running);
        }
        self.dispatcher.destroy(wait);
        if let Some(hook) = hook.filter(|_| wait) {
            hook.wait_until_returned();
        }
        #[cfg(unix)]
        if let Some(dialer) = dialer.filter(|_| wait) {
            dialer.wait_until_returned();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::error::{ConnectError, LoopError};
    use crate::event::{End, State};
    use crate::event_loop::EventLoop;
    use crate::{Builder, Dispatch};

    const SOON: Duration = Duration::from_secs(10);

    fn builder() -> Builder {
        // Nobody listens there, and nothing depends on it.
        Client::builder("ws://127.0.0.1:1/").dispatch(Dispatch::Thread)
    }

    /// The client has ended, at once and for good, and lets go of its handlers.
    fn is_at_its_end(client: Client, dropped: &AtomicBool) {
        assert!(matches!(client.wait_open(SOON), Err(WaitError::Closed(_))));
        assert!(matches!(client.wait_closed(Duration::ZERO), Ok(End::LoopFailed)));
        assert_eq!(client.state(), State::Closed);
        let text = client.explain();
        assert!(
            text.contains(": closed since ") && text.contains("-> closed: the event loop did not start"),
            "{text}"
        );
        assert_eq!(client.send_text("x"), Err(SendError::Closed));
        assert!(matches!(client.connect(), Err(ConnectError::Closed)));
        assert!(!dropped.load(Ordering::SeqCst));
        drop(client);
        assert!(dropped.load(Ordering::SeqCst));
    }

    fn with_handler(client: &Client) -> Arc<AtomicBool> {
        struct Owned(Arc<AtomicBool>);
        impl Drop for Owned {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let dropped = Arc::new(AtomicBool::new(false));
        let owned = Owned(dropped.clone());
        client.on_message(move |_, _| assert!(!owned.0.load(Ordering::SeqCst)));
        dropped
    }

    #[test]
    fn a_client_without_a_dispatch_thread_does_not_connect_and_has_ended() {
        let client = builder().build().unwrap();
        let dropped = with_handler(&client);
        let _none = thread::tests::none_to_be_had();
        assert!(matches!(client.connect(), Err(ConnectError::Start(_))));
        is_at_its_end(client, &dropped);
    }

    #[test]
    fn a_client_without_a_loop_thread_does_not_connect_and_has_ended() {
        let client = builder().dispatch(Dispatch::Loop).build().unwrap();
        let dropped = with_handler(&client);
        let _none = thread::tests::none_to_be_had();
        assert!(matches!(client.connect(), Err(ConnectError::Start(_))));
        is_at_its_end(client, &dropped);
    }

    #[test]
    fn a_close_of_an_idle_client_without_threads_is_its_end_all_the_same() {
        let client = builder().build().unwrap();
        let _none = thread::tests::none_to_be_had();
        client.close(1000, "").unwrap();
        assert!(client.wait_closed(SOON).is_ok());
    }

    #[test]
    fn a_receiver_whose_thread_could_not_be_started_ends_and_so_does_the_client() {
        let client = builder().build().unwrap();
        client.connect().unwrap();
        let _none = thread::tests::none_to_be_had();
        assert!(client.events().recv_timeout(SOON).is_err());
        assert!(client.wait_closed(SOON).is_ok());
    }

    #[test]
    fn a_loop_that_got_no_thread_stays_as_it_was() {
        let event_loop = EventLoop::new().unwrap();
        let client = builder().event_loop(&event_loop).build().unwrap();
        let dropped = with_handler(&client);
        let none = thread::tests::none_to_be_had();
        assert!(matches!(event_loop.start(), Err(LoopError::System(_))));
        event_loop.turn(Some(Duration::ZERO)).unwrap();
        assert!(
            matches!(client.connect(), Err(ConnectError::Start(_))),
            "nor has the client one to dispatch on"
        );
        is_at_its_end(client, &dropped);
        drop(none);

        let client = builder().event_loop(&event_loop).connect().unwrap();
        event_loop.turn(Some(Duration::ZERO)).unwrap();
        assert_eq!(client.stats().attempts(), 1, "the loop is as good as before");
        event_loop.start().unwrap();
        client.close(1000, "").unwrap();
        assert!(client.wait_closed(SOON).is_ok());
    }
}
