//! How a session ends: by the user's close, by the server's, or because something broke; and what is done about each.
//!
//! A part of [`Link`], which is told of time and of what happened; how far a closing handshake got is `closing`'s.

use std::time::Instant;

use crate::error::{Cause, LinkError, Phase};
use crate::event::{End, Event, Initiator, SessionClosed, State};
use crate::link::closing::{Closing, Failed, NO_CLOSE, Ours, What};
use crate::link::{Action, At, Link, later};

impl Link {
    /// The user's close, or that of a client whose user's code panicked; the first one counts.
    pub(super) fn close(&mut self, by: Initiator, code: u16, reason: &str, end: End, now: Instant) {
        let unbegun = self.withdraw_dials();
        let deadline = later(now, self.rules.close_timeout);
        match &mut self.at {
            At::Idle | At::Waiting { .. } => self.end(end, None),
            At::Dialing { .. } => {
                if !unbegun {
                    self.actions.push_back(Action::AbandonDial);
                }
                self.end(end, None);
            }
            At::Open { .. } => {
                let mut closing = Closing::new(by, code, reason.to_owned(), deadline);
                closing.end = Some(end);
                self.begin_closing(closing, now);
                self.actions.push_back(Action::Drain);
            }
            At::Closing(closing) => {
                closing.end.get_or_insert(end);
            }
            At::Closed => {}
        }
    }

    pub(super) fn drained(&mut self) {
        if let At::Closing(closing) = &mut self.at {
            self.actions.extend(closing.write_close());
        }
    }

    pub(super) fn close_written(&mut self) {
        let At::Closing(closing) = &mut self.at else { return };
        if closing.ours == Ours::Asked {
            closing.ours = Ours::Written;
            self.actions.extend(closing.shut_if_done());
        }
    }

    pub(super) fn peer_close(&mut self, code: u16, reason: &str, now: Instant) {
        let peers = Some((code, reason.to_owned()));
        match &mut self.at {
            At::Open { .. } => {
                let deadline = later(now, self.rules.close_timeout);
                let mut closing = Closing::new(Initiator::Server, code, String::new(), deadline);
                closing.peers = peers;
                let write = closing.write_close();
                self.begin_closing(closing, now);
                self.actions.extend(write);
            }
            At::Closing(closing) if closing.peers.is_none() => {
                closing.peers = peers;
                // Who has sent a Close reads no more data; so there is nothing left to drain.
                self.actions.extend(closing.write_close());
                self.actions.extend(closing.shut_if_done());
            }
            _ => {}
        }
    }

    pub(super) fn session_failed(&mut self, error: LinkError, now: Instant) {
        match &mut self.at {
            At::Open { .. } => {
                self.tell(Event::Error(error.clone()));
                let Cause::Protocol(fault) = *error.cause() else {
                    return self.session_lost(error, Initiator::Network, now);
                };
                let (code, reason) = (fault.close_code(), fault.to_string());
                let deadline = later(now, self.rules.close_timeout);
                let mut closing = Closing::new(Initiator::Library, code, reason, deadline);
                closing.error = Some(error);
                let write = closing.write_close();
                self.begin_closing(closing, now);
                self.actions.extend(write);
            }
            At::Closing(closing) => {
                let broken = matches!(error.cause(), Cause::Protocol(_)) && !closing.failed();
                if closing.peers.is_none() {
                    closing.error.get_or_insert(error);
                }
                if broken && closing.peers.is_none() {
                    self.actions.extend(closing.write_close());
                    self.actions.extend(closing.shut_if_done());
                } else {
                    self.closing_done(false, now);
                }
            }
            _ => {}
        }
    }

    pub(super) fn stream_ended(&mut self, now: Instant) {
        match self.at {
            At::Open { .. } => {
                self.session_failed(LinkError::new(Phase::Open, Cause::EndOfStream), now);
            }
            At::Closing(_) => self.closing_done(false, now),
            _ => {}
        }
    }

    /// The session ceased to be open; from now on it only counts as the time it was.
    fn begin_closing(&mut self, closing: Closing, now: Instant) {
        self.no_longer_open(now);
        self.at = At::Closing(closing);
        self.tell_state(State::Closing);
    }

    /// The session is gone without any Close.
    pub(super) fn session_lost(&mut self, error: LinkError, by: Initiator, now: Instant) {
        self.no_longer_open(now);
        self.actions.push_back(Action::EndSession { abort: by == Initiator::Library });
        let closed = SessionClosed {
            code: NO_CLOSE,
            reason: String::new(),
            clean: false,
            by,
            error: Some(error.clone()),
            retry_in: None,
        };
        self.down(Failed { error, what: What::Session(closed) }, now);
    }

    /// The stream of a closing session has ended, or has to.
    pub(super) fn closing_done(&mut self, abort: bool, now: Instant) {
        let At::Closing(closing) = std::mem::replace(&mut self.at, At::Closed) else { return };
        self.actions.push_back(Action::EndSession { abort });
        let (end, failed) = closing.result();
        match end {
            Some(end) => self.end(end, Some(failed)),
            None => self.down(failed, now),
        }
    }
}
