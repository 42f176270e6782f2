//! The user's handlers: registered and removed from any thread at any time, called one at a time.
//!
//! The list is copy-on-write, so that a handler may register and remove handlers, its own
//! registration included, while the list it was called from is being walked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::client::Client;
use crate::error::LinkError;
use crate::event::{ConnectFailed, End, Event, MessageRef, Opened, Outcome, SessionClosed, State};
use crate::user_code::{Panicked, drop_guarded, guarded};

/// Names a registered handler, to remove it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId(pub(crate) u64);

/// One handler. The mutex makes a `FnMut` callable from the list; events come one at a time, so that
/// nobody ever waits for it.
struct Listener<F: ?Sized> {
    id: ListenerId,
    call: Mutex<Box<F>>,
}

type List<F> = Vec<Arc<Listener<F>>>;

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

            $(pub(crate) fn $kind(&self, client: &Client, argument: $argument) -> Result<(), Panicked> {
                for listener in &self.$kind {
                    guarded(|| {
                        let mut call = listener.call.lock().unwrap_or_else(PoisonError::into_inner);
                        call(client, argument)
                    })?;
                }
                Ok(())
            })*
        }

        impl Handlers {
            $(pub(crate) fn $kind(&self, call: Box<dyn FnMut(&Client, $argument) + Send>) -> ListenerId {
                let id = self.new_id();
                let listener = Arc::new(Listener { id, call: Mutex::new(call) });
                self.change(|list| list.$kind.push(listener));
                id
            })*
        }
    };
}

kinds!(
    open(&Opened),
    message(MessageRef<'_>),
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
    /// Calls the handlers of an owned event.
    pub(crate) fn event(&self, client: &Client, event: &Event) -> Result<(), Panicked> {
        match event {
            Event::Open(opened) => self.open(client, opened),
            Event::Message(message) => self.message(client, message.as_ref()),
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
    list: Mutex<Arc<Registered>>,
    version: AtomicU64,
    last_id: AtomicU64,
}

impl Handlers {
    /// Grows with every change: whoever holds a snapshot asks this first, without a lock.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(crate) fn snapshot(&self) -> Arc<Registered> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn remove(&self, id: ListenerId) -> bool {
        let mut found = false;
        self.change(|list| found = list.remove(id));
        found
    }

    /// Frees every handler that no running callback holds; that one is freed when it returns.
    pub(crate) fn clear(&self) {
        self.change(|list| *list = Registered::default());
    }

    fn new_id(&self) -> ListenerId {
        ListenerId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn change(&self, change: impl FnOnce(&mut Registered)) {
        let mut guard = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let mut new = Registered::clone(&guard);
        change(&mut new);
        let old = std::mem::replace(&mut *guard, Arc::new(new));
        self.version.fetch_add(1, Ordering::Release);
        drop(guard);
        // Closures are dropped without the lock: their drop is user code.
        drop_guarded(old);
    }
}
