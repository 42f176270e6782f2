//! The user's handlers: registered and removed from any thread at any time, called one at a time.
//!
//! The list is copy-on-write, so that a handler may register and remove handlers, its own
//! registration included, while the list it was called from is being walked. A removed handler is not
//! called any more, not even by such a walk, and what it owns is freed at once, or when its running
//! call returns: snapshots of the list may outlive it for long.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::client::Client;
use crate::error::LinkError;
use crate::event::{
    ConnectFailed, End, Event, FragmentRef, MessageRef, Opened, Outcome, SessionClosed, State,
};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard};
use crate::user_code::{Panicked, drop_guarded, guarded};

/// Names a registered handler, to remove it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId(pub(crate) u64);

/// One handler. The mutex is not held during a call: the closure is taken out and put back.
struct Listener<F: ?Sized> {
    id: ListenerId,
    call: Mutex<Call<F>>,
}

enum Call<F: ?Sized> {
    Ready(Box<F>),
    /// It is being called, by the thread that will put it back.
    Running,
    Removed,
}

type List<F> = Vec<Arc<Listener<F>>>;

impl<F: ?Sized> Listener<F> {
    /// The closure to call, unless it was removed.
    fn take(&self) -> Option<Box<F>> {
        let mut state = self.lock();
        match std::mem::replace(&mut *state, Call::Running) {
            Call::Ready(call) => Some(call),
            other => {
                *state = other;
                None
            }
        }
    }

    fn put_back(&self, call: Box<F>) {
        let mut state = self.lock();
        if let Call::Running = *state {
            *state = Call::Ready(call);
            return;
        }
        drop(state);
        drop_guarded(call);
    }

    fn remove(&self) {
        let call = std::mem::replace(&mut *self.lock(), Call::Removed);
        drop_guarded(call);
    }

    fn lock(&self) -> MutexGuard<'_, Call<F>> {
        self.call.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: ?Sized> Drop for Listener<F> {
    fn drop(&mut self) {
        self.remove();
    }
}

type MessageHandler = dyn FnMut(&Client, MessageRef<'_>) + Send;

/// The only handler of messages, taken out for a row of them: to take it out and put it back for each would cost more
/// than a short message. It counts as running meanwhile, so whoever keeps this asks for changes of the list before each
/// call, and drops it when the row ends.
pub(crate) struct Lone {
    listener: Arc<Listener<MessageHandler>>,
    /// There until the drop.
    call: Option<Box<MessageHandler>>,
}

impl Lone {
    pub(crate) fn message(&mut self, client: &Client, message: MessageRef<'_>) -> Result<(), Panicked> {
        match &mut self.call {
            Some(call) => guarded(|| call(client, message)),
            None => Ok(()),
        }
    }
}

impl Drop for Lone {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            self.listener.put_back(call);
        }
    }
}

macro_rules! kinds {
    ($($kind:ident($argument:ty)),* $(,)?) => {
        /// The handlers of every kind, in the order of their registration.
        #[derive(Default)]
        pub(crate) struct Registered {
            $($kind: List<dyn FnMut(&Client, $argument) + Send>,)*
        }

        // Not derived: that would ask for cloneable closures.
        impl Clone for Registered {
            fn clone(&self) -> Registered {
                Registered { $($kind: self.$kind.clone(),)* }
            }
        }

        impl Registered {
            fn remove(&mut self, id: ListenerId) -> bool {
                let mut found = false;
                $({
                    let before = self.$kind.len();
                    self.$kind.retain(|listener| listener.id != id);
                    found |= self.$kind.len() < before;
                })*
                found
            }

            /// No call of this one, or of any (`None`), begins after this.
            fn withdraw(&self, id: Option<ListenerId>) {
                $(for listener in &self.$kind {
                    if id.is_none_or(|id| listener.id == id) {
                        listener.remove();
                    }
                })*
            }

            $(pub(crate) fn $kind(&self, client: &Client, argument: $argument) -> Result<(), Panicked> {
                for listener in &self.$kind {
                    let Some(mut call) = listener.take() else { continue };
                    let called = guarded(|| call(client, argument));
                    listener.put_back(call);
                    called?;
                }
                Ok(())
            })*
        }

        impl Handlers {
            $(pub(crate) fn $kind(&self, call: Box<dyn FnMut(&Client, $argument) + Send>) -> ListenerId {
                let id = self.new_id();
                let listener = Arc::new(Listener { id, call: Mutex::new(Call::Ready(call)) });
                self.change(|list| list.$kind.push(listener));
                id
            })*
        }
    };
}

kinds!(
    open(&Opened),
    message(MessageRef<'_>),
    fragment(FragmentRef<'_>),
    close(&SessionClosed),
    connect_failed(&ConnectFailed),
    error(&LinkError),
    heartbeat(Duration),
    writable(()),
    outcome(&Outcome),
    state(State),
    closed_for_good(&End),
);

impl Registered {
    /// The handler of messages, if there is one alone and it was not removed.
    pub(crate) fn lone_message_handler(&self) -> Option<Lone> {
        let [listener] = &self.message[..] else { return None };
        Some(Lone { call: Some(listener.take()?), listener: listener.clone() })
    }

    /// Calls the handlers of an owned event.
    pub(crate) fn event(&self, client: &Client, event: &Event) -> Result<(), Panicked> {
        match event {
            Event::Open(opened) => self.open(client, opened),
            Event::Message(message) => self.message(client, message.as_ref()),
            Event::Fragment(fragment) => self.fragment(client, fragment.as_ref()),
            Event::Close(closed) => self.close(client, closed),
            Event::ConnectFailed(failed) => self.connect_failed(client, failed),
            Event::Error(error) => self.error(client, error),
            Event::Heartbeat(time) => self.heartbeat(client, *time),
            Event::Writable => self.writable(client, ()),
            Event::Outcome(outcome) => self.outcome(client, outcome),
            Event::State(state) => self.state(client, *state),
            Event::ClosedForGood(end) => self.closed_for_good(client, end),
        }
    }
}

/// The present list, and a number that tells when it has changed.
#[derive(Default)]
pub(crate) struct Handlers {
    present: Mutex<Present>,
    version: AtomicU64,
    last_id: AtomicU64,
}

#[derive(Default)]
struct Present {
    list: Arc<Registered>,
    /// The client was destroyed: what is registered now, by a handler that still runs, is dropped.
    cleared: bool,
}

impl Handlers {
    /// Grows with every change: whoever holds a snapshot asks this first, without a lock.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(crate) fn snapshot(&self) -> Arc<Registered> {
        self.lock().list.clone()
    }

    pub(crate) fn remove(&self, id: ListenerId) -> bool {
        let mut found = false;
        let before = self.change(|list| found = list.remove(id));
        before.withdraw(Some(id));
        found
    }

    /// Frees every handler but one that runs, which is freed when it returns. No call begins after this.
    pub(crate) fn clear(&self) {
        let mut present = self.lock();
        present.cleared = true;
        let before = std::mem::take(&mut present.list);
        self.version.fetch_add(1, Ordering::Release);
        drop(present);
        before.withdraw(None);
    }

    fn new_id(&self) -> ListenerId {
        ListenerId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Returns the list as it was: closures are dropped without the lock, since their drop is user code.
    fn change(&self, change: impl FnOnce(&mut Registered)) -> Arc<Registered> {
        let mut present = self.lock();
        let mut new = Registered::clone(&present.list);
        change(&mut new);
        let mut list = Arc::new(new);
        if !present.cleared {
            std::mem::swap(&mut present.list, &mut list);
        }
        self.version.fetch_add(1, Ordering::Release);
        list
    }

    fn lock(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
