//! Events for those who fetch them: one by one, or through a channel. Keeps none itself; the dispatcher's queue does.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};

use super::Client;
use crate::dispatch::queue::Taken;
use crate::error::RecvError;
use crate::event::Event;
use crate::thread;

impl Client {
    /// Waits for the next event, for as long as it takes.
    ///
    /// The first call of this, [`recv_timeout`](Client::recv_timeout) or [`try_recv`](Client::try_recv) chooses the
    /// pull style. Events from before it are there, too, the newest as many as
    /// [`inbound_queue`](crate::Builder::inbound_queue) holds; call it soon. From then on a queue that is not
    /// emptied pauses reading, and holds up new attempts.
    ///
    /// # Errors
    ///
    /// [`RecvError::Closed`] after the last event; [`RecvError::Taken`] if there are handlers or a receiver;
    /// [`RecvError::WouldDeadlock`] in a turn of any event loop.
    pub fn recv(&self) -> Result<Event, RecvError> {
        self.take(None)
    }

    /// Waits for the next event until the time is up; everything else is as with [`recv`](Client::recv).
    ///
    /// # Errors
    ///
    /// As [`recv`](Client::recv), and [`RecvError::TimedOut`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Event, RecvError> {
        self.take(Instant::now().checked_add(timeout))
    }

    /// Takes the next event if there is one; does not wait.
    ///
    /// # Errors
    ///
    /// [`RecvError::TimedOut`] if there is none, [`RecvError::Closed`] after the last event, [`RecvError::Taken`]. It
    /// is legal in a turn of an event loop, and turns none.
    pub fn try_recv(&self) -> Result<Event, RecvError> {
        self.claim_pull()?;
        self.taken(self.core.dispatcher.queue.try_take().unwrap_or(Taken::TimedOut))
    }

    fn take(&self, deadline: Option<Instant>) -> Result<Event, RecvError> {
        self.claim_pull()?;
        if thread::runs_a_loop() {
            return Err(RecvError::WouldDeadlock);
        }
        self.taken(self.core.take_event(deadline))
    }

    fn claim_pull(&self) -> Result<(), RecvError> {
        if self.core.dispatcher.claim_for_pull() { Ok(()) } else { Err(RecvError::Taken) }
    }

    fn taken(&self, taken: Taken) -> Result<Event, RecvError> {
        match taken {
            Taken::Event(event, tell) => {
                if tell {
                    self.nudge();
                }
                Ok(event)
            }
            Taken::TimedOut => Err(RecvError::TimedOut),
            Taken::Ended => Err(RecvError::Closed),
        }
    }

    /// A receiver of all events, for `for` loops and `select!`; call it before `connect`, so that no open is missed.
    ///
    /// It is fed by a thread of its own, which turns no [`EventLoop`](crate::EventLoop), and ends after the last event.
    /// Take them as they come: while it is full and a `Close` or `ConnectFailed` waits behind it, no new attempt
    /// begins. It does not keep the client alive. If events go to handlers, to `recv` or to another receiver already,
    /// the receiver ends at once, and the log says so.
    pub fn events(&self) -> Receiver<Event> {
        let Some(receiver) = self.core.dispatcher.claim_for_channel() else {
            log::error!("[{}] events() is of no use: events go elsewhere already", self.name());
            return bounded(0).1;
        };
        self.start_dispatch();
        receiver
    }
}
