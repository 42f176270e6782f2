//! How far a closing handshake got, and what is told of it in the end.
//!
//! Knows no time but its deadline, and nothing of what follows; `Link` drives it.

use std::time::{Duration, Instant};

use crate::error::{Cause, LinkError, Phase};
use crate::event::{ConnectFailed, End, Event, Initiator, SessionClosed, Way};
use crate::link::exchange::Action;

/// A Close frame without a code, and no Close frame at all (RFC 6455 section 7.1.5).
const NO_CODE: u16 = 1005;
pub(super) const NO_CLOSE: u16 = 1006;

/// A closing handshake, from its first sign to the end of the stream.
pub(super) struct Closing {
    pub(super) by: Initiator,
    pub(super) deadline: Instant,
    /// Our Close: what it says and how far it got.
    pub(super) code: u16,
    pub(super) reason: String,
    pub(super) ours: Ours,
    /// The server's Close.
    pub(super) peers: Option<(u16, String)>,
    /// What went wrong before or meanwhile.
    pub(super) error: Option<LinkError>,
    /// How the client ends with this session, if it does.
    pub(super) end: Option<End>,
    pub(super) shut: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ours {
    Draining,
    Asked,
    Written,
}

/// A failed attempt or an ended session.
pub(super) struct Failed {
    pub(super) error: LinkError,
    pub(super) what: What,
}

pub(super) enum What {
    Attempt(u32),
    Session(SessionClosed),
}

impl Closing {
    /// A handshake of which nothing is asked for yet.
    pub(super) fn new(by: Initiator, code: u16, reason: String, deadline: Instant) -> Closing {
        Closing {
            by,
            deadline,
            code,
            reason,
            ours: Ours::Draining,
            peers: None,
            error: None,
            end: None,
            shut: false,
        }
    }

    /// Asks for our Close frame, unless that was done before.
    pub(super) fn write_close(&mut self) -> Option<Action> {
        if self.ours != Ours::Draining {
            return None;
        }
        self.ours = Ours::Asked;
        let code = (self.code != NO_CODE).then_some(self.code);
        Some(Action::WriteClose { code, reason: self.reason.clone() })
    }

    /// Both Closes are through, or ours is and no other can be expected: writing is over.
    pub(super) fn shut_if_done(&mut self) -> Option<Action> {
        let done = self.ours == Ours::Written && (self.peers.is_some() || self.failed());
        (done && !std::mem::replace(&mut self.shut, true)).then_some(Action::ShutdownWrite)
    }

    pub(super) fn failed(&self) -> bool {
        self.error.is_some()
    }

    /// What it was begun for. Our own Close's reason is left out: it is the program's.
    pub(super) fn why(&self) -> String {
        match (&self.peers, &self.error, &self.end) {
            (Some((code, reason)), _, _) if self.by == Initiator::Server => {
                let closed = Cause::Closed { code: *code, reason: reason.clone() };
                LinkError::new(Phase::Open, closed).to_string()
            }
            (_, Some(error), _) => error.to_string(),
            (_, None, Some(end)) => format!("{end}, with Close {}", self.code),
            (_, None, None) => format!("Close {}", self.code),
        }
    }

    pub(super) fn result(self) -> (Option<End>, Failed) {
        let written = self.ours == Ours::Written;
        let clean = written && self.peers.is_some();
        let (code, reason) = match self.peers.clone() {
            Some(peers) if !(written && self.by == Initiator::Library) => peers,
            _ if written => (self.code, self.reason),
            _ => (NO_CLOSE, String::new()),
        };
        let why = match (&self.error, self.peers) {
            (Some(error), _) => error.clone(),
            (None, Some((code, reason))) => LinkError::new(Phase::Open, Cause::Closed { code, reason }),
            (None, None) => LinkError::new(Phase::Close, Cause::EndOfStream),
        };
        let closed = SessionClosed { code, reason, clean, by: self.by, error: self.error, retry_in: None };
        (self.end, Failed { error: why, what: What::Session(closed) })
    }
}

impl Failed {
    pub(super) fn event(self, retry_in: Option<Duration>) -> Event {
        match self.what {
            What::Attempt(attempt) => Event::ConnectFailed(ConnectFailed {
                error: self.error,
                attempt,
                way: Way::default(),
                retry_in,
            }),
            What::Session(closed) => Event::Close(SessionClosed { retry_in, ..closed }),
        }
    }
}
