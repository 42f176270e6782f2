//! What the user is told: messages, states, and the events of a link in the order of their happening.
//!
//! Holds data only; nothing here decides anything.

mod fragment;
mod message;
mod outcome;
mod session;

use std::fmt;
use std::time::Duration;

use crate::error::{LinkError, Phase};

pub(crate) use fragment::Begun;
pub use fragment::{Fragment, FragmentRef};
pub use message::{Message, MessageRef};
pub use outcome::{DropReason, Fate, Level, MessageId, Outcome};
pub(crate) use session::Way;
pub use session::{ConnectFailed, Initiator, Opened, SessionClosed};

/// Where the client stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Built; `connect` was not called yet.
    Idle,
    /// An attempt is in this phase.
    Connecting(Phase),
    /// A session is open.
    Open,
    /// Between two attempts: the next attempt's number in a row (from 1) and how long the wait is.
    Waiting {
        /// The attempt that comes next, counted since the last stable session.
        attempt: u32,
        /// The whole wait before it.
        delay: Duration,
    },
    /// The session is being closed, by either side.
    Closing,
    /// Closed for good.
    Closed,
}

impl State {
    /// The browser's number: 0 CONNECTING (also while waiting to dial again), 1 OPEN, 2 CLOSING, 3 CLOSED (also idle).
    pub fn ready_state(self) -> u8 {
        match self {
            State::Connecting(_) | State::Waiting { .. } => 0,
            State::Open => 1,
            State::Closing => 2,
            State::Idle | State::Closed => 3,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Idle => f.write_str("idle"),
            State::Connecting(phase) => write!(f, "connecting ({phase})"),
            State::Open => f.write_str("open"),
            State::Waiting { attempt, delay } => {
                write!(f, "waiting {} before attempt {attempt}", human(*delay))
            }
            State::Closing => f.write_str("closing"),
            State::Closed => f.write_str("closed"),
        }
    }
}

/// Why the client has ended, and will never connect again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum End {
    /// The user closed it.
    Closed,
    /// The limit of attempts or of time was reached; this was the last failure.
    GaveUp(LinkError),
    /// Trying again cannot help, by the settings; this was the failure.
    Fatal(LinkError),
    /// A callback of the user's panicked.
    CallbackPanicked,
    /// The program's `before_connect` said so.
    Stopped,
    /// The event loop failed; nothing of the client runs any more. No event tells of it, nor of the messages that
    /// waited: those are counted in [`Stats`](crate::Stats) as dropped.
    LoopFailed,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Closed => f.write_str("closed by the user"),
            End::GaveUp(error) => write!(f, "gave up: {error}"),
            End::Fatal(error) => write!(f, "not worth another attempt: {error}"),
            End::Stopped => f.write_str("stopped by before_connect"),
            End::CallbackPanicked => f.write_str("a callback panicked"),
            End::LoopFailed => f.write_str("the event loop failed"),
        }
    }
}

/// Everything a client tells, in order of happening, for the pull style.
///
/// Handlers get the same values one by one: `on_open`, `on_message` and so on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A session has opened.
    Open(Opened),
    /// A message has come.
    Message(Message),
    /// A part of a message has come, where [`fragments_above`](crate::Builder::fragments_above) asks for parts; or no
    /// more will come of it.
    Fragment(Fragment),
    /// A session has ended.
    Close(SessionClosed),
    /// An attempt to connect has failed.
    ConnectFailed(ConnectFailed),
    /// A session failed; its `Close` follows.
    Error(LinkError),
    /// A heartbeat was answered after this time.
    Heartbeat(Duration),
    /// The outbox was full and is half empty again.
    Writable,
    /// What became of messages.
    Outcome(Outcome),
    /// The state has changed.
    State(State),
    /// The very last event: there will be no attempt and no event any more.
    ClosedForGood(End),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Open(opened) => opened.fmt(f),
            Event::Message(message) => message.fmt(f),
            Event::Fragment(fragment) => fragment.fmt(f),
            Event::Close(closed) => closed.fmt(f),
            Event::ConnectFailed(failed) => failed.fmt(f),
            Event::Error(error) => write!(f, "error: {error}"),
            Event::Heartbeat(time) => write!(f, "heartbeat answered in {:.3} ms", time.as_secs_f64() * 1e3),
            Event::Writable => f.write_str("the outbox has room again"),
            Event::Outcome(outcome) => outcome.fmt(f),
            Event::State(state) => state.fmt(f),
            Event::ClosedForGood(end) => write!(f, "closed for good: {end}"),
        }
    }
}

/// A length of time as people read it: `250 ms`, `1.5 s`, `3 min 20 s`, `4 h 5 min`, `6 d 7 h`.
pub(crate) fn human(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..=119 => format!("{:.1} s", time.as_secs_f64()),
        120..=7199 => format!("{} min {} s", seconds / 60, seconds % 60),
        7200..=172_799 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_read_them() {
        let told =
            [0, 999, 1000, 1234, 119_900, 120_000, 200_000, 7_200_000, 14_700_000, 172_800_000, 543_600_000]
                .map(|ms| human(Duration::from_millis(ms)));
        let right = [
            "0 ms",
            "999 ms",
            "1.0 s",
            "1.2 s",
            "119.9 s",
            "2 min 0 s",
            "3 min 20 s",
            "2 h 0 min",
            "4 h 5 min",
        ];
        assert_eq!(told[..9], right);
        assert_eq!(told[9..], ["2 d 0 h", "6 d 7 h"]);
    }
}
