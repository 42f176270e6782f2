//! What a client tells, in its order, through handlers of every kind.

use super::PATIENCE;
use crossbeam_channel::{Receiver, unbounded};
use heartwire::{Client, Event};
use std::time::{Duration, Instant};

/// Everything that the client's handlers are told from now on; create it before `connect`.
///
/// Its handlers are registered first, so that what a test's own handler saw is here already.
pub struct Told {
    events: Receiver<Event>,
}

impl Told {
    /// Registers a handler of every kind.
    pub fn by(client: &Client) -> Told {
        let (tell, events) = unbounded();
        macro_rules! pass_on {
            ($($register:ident: $argument:ident => $event:expr),* $(,)?) => {
                $({
                    let tell = tell.clone();
                    client.$register(move |_, $argument| drop(tell.send($event)));
                })*
            };
        }
        pass_on!(
            on_open: opened => Event::Open(opened.clone()),
            on_message: message => Event::Message(message.to_message()),
            on_close: closed => Event::Close(closed.clone()),
            on_connect_failed: failed => Event::ConnectFailed(failed.clone()),
            on_error: error => Event::Error(error.clone()),
            on_heartbeat: time => Event::Heartbeat(time),
            on_outcome: outcome => Event::Outcome(*outcome),
            on_state: state => Event::State(state),
            on_closed_for_good: end => Event::ClosedForGood(end.clone()),
        );
        client.on_writable(move |_| drop(tell.send(Event::Writable)));
        Told { events }
    }

    /// The next event, or `None` when none came in time.
    pub fn next(&self, timeout: Duration) -> Option<Event> {
        self.events.recv_timeout(timeout).ok()
    }

    /// Takes events until `wanted` gives something, and returns that; the others are gone.
    ///
    /// # Panics
    ///
    /// When none came for [`PATIENCE`]; the message lists what came instead.
    #[track_caller]
    pub fn wait_for<T>(&self, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut others = Vec::new();
        loop {
            match self.events.recv_deadline(deadline) {
                Ok(event) => match wanted(&event) {
                    Some(found) => return found,
                    None => others.push(event.to_string()),
                },
                Err(_) => panic!("the client told nothing of what was waited for, but {others:#?}"),
            }
        }
    }

    /// Waits for the next message and returns it as text; a binary one's bytes are shown.
    #[track_caller]
    pub fn wait_message(&self) -> String {
        self.wait_for(|event| match event {
            Event::Message(message) => Some(message.to_string()),
            _ => None,
        })
    }

    /// Waits for the last event and returns all that came before it.
    #[track_caller]
    pub fn to_the_end(&self) -> Vec<Event> {
        let mut all = Vec::new();
        self.wait_for(|event| {
            all.push(event.clone());
            matches!(event, Event::ClosedForGood(_)).then_some(())
        });
        all
    }
}
