//! A member's attempt, from its first address to the open session: it dials, upgrades, and greets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use mio::Registry;

use crate::entry::Kind;
use crate::error::{Cause, LinkError, Phase};
use crate::event::Opened;
use crate::event_loop::member::{Io, Member};
use crate::event_loop::session::Session;
use crate::event_loop::slots;
use crate::link::Input;
use crate::net::dial::Dial;
use crate::net::stream::Stream;
use crate::session::upgrade::{Accepted, Upgrade};
use crate::session::wire::Wire;
use crate::user_code::{Panicked, guarded};

pub(super) struct Upgrading {
    stream: Stream,
    upgrade: Upgrade,
    pub(super) address: Option<SocketAddr>,
    /// The socket has told of something since the last try.
    pub(super) ready: bool,
}

impl Member {
    /// Begins to connect to where the course leads; sockets of the connection before have other tokens.
    pub(super) fn start_dial(&mut self, now: Instant) {
        self.attempt = self.attempt.wrapping_add(1);
        self.reached = None;
        let target = self.course.route.target.clone();
        let wake = Arc::new(self.waker());
        #[cfg(unix)]
        let dial = match self.stream.take() {
            Some(stream) => Dial::over(stream, target, wake, now),
            None => Dial::start(target, self.avoid, wake, now),
        };
        #[cfg(not(unix))]
        let dial = Dial::start(target, self.avoid, wake, now);
        self.io = Io::Dialing(Box::new(dial));
    }

    pub(super) fn dial(&mut self, mut dial: Box<Dial>, registry: &Registry, now: Instant) {
        let (index, attempt) = (self.home.slot.index, self.attempt);
        let token = |racer| slots::token(index, attempt, racer);
        let advanced = dial.advance(registry, &token, now);
        match advanced {
            Ok(None) => {
                self.link.handle(Input::Phase(dial.phase()), now);
                self.io = Io::Dialing(dial);
            }
            Ok(Some(stream)) => {
                self.link.handle(Input::Phase(Phase::Upgrade), now);
                let upgrade = self.begin_upgrade();
                let half = Upgrading { stream, upgrade, address: dial.address(), ready: true };
                self.upgrade(Box::new(half), registry, now);
            }
            Err(_) if dial.has_panicked() => self.callback_panicked(now),
            Err(error) => {
                self.failed_at(dial.address());
                self.link.handle(Input::Phase(error.phase()), now);
                self.link.handle(Input::DialFailed(error), now);
            }
        }
    }

    pub(super) fn upgrade(&mut self, mut half: Box<Upgrading>, registry: &Registry, now: Instant) {
        half.ready = false;
        match half.upgrade.advance(&mut half.stream) {
            Ok(None) => self.io = Io::Upgrading(half),
            Ok(Some(accepted)) => {
                self.keep_cookies(&accepted.headers);
                (self.avoid, self.reached) = (None, half.address);
                self.open(half.stream, accepted, registry, now);
            }
            Err(Cause::Refused(refusal)) if self.follows(&refusal) => {
                self.keep_cookies(&refusal.headers);
                self.reached = half.address;
                self.redirect(refusal, now);
            }
            Err(cause) => {
                if let Cause::Refused(refusal) = &cause {
                    self.keep_cookies(&refusal.headers);
                }
                self.failed_at(half.address);
                let error = match cause {
                    // TLS may fail as late as here, and hides in an I/O error.
                    Cause::Io(error) => match Arc::try_unwrap(error) {
                        Ok(error) => half.stream.link_error(Phase::Upgrade, error),
                        Err(shared) => LinkError::new(Phase::Upgrade, Cause::Io(shared)),
                    },
                    cause => LinkError::new(Phase::Upgrade, cause),
                };
                self.link.handle(Input::DialFailed(error), now);
            }
        }
    }

    /// The attempt's time is up. Whoever was refused by then, but for the rest of the body, was refused.
    pub(super) fn give_up_upgrade(&mut self, now: Instant) {
        if let Io::Upgrading(half) = &mut self.io
            && let Some(cause) = half.upgrade.give_up()
        {
            let address = half.address;
            self.failed_at(address);
            self.io = Io::Nothing;
            if let Cause::Refused(refusal) = &cause {
                self.keep_cookies(&refusal.headers);
            }
            self.link.handle(Input::DialFailed(LinkError::new(Phase::Upgrade, cause)), now);
        }
    }

    /// An attempt has failed at this address, if it got as far as one.
    pub(super) fn failed_at(&mut self, address: Option<SocketAddr>) {
        (self.avoid, self.reached) = (address, address);
    }

    fn open(&mut self, mut stream: Stream, accepted: Accepted, registry: &Registry, now: Instant) {
        let token = self.token();
        let registered = Session::watch(&mut stream, registry, token, false);
        if let Err(error) = registered {
            self.link.handle(Input::DialFailed(LinkError::io(Phase::Upgrade, error)), now);
            return;
        }
        let secure = self.course.route.url.scheme() == "wss";
        let peer_certificate = if secure { stream.peer_certificate().map(Into::into) } else { None };
        let mut wire = Box::new(Wire::new(stream));
        if let Some(agreed) = &accepted.agreed {
            wire.agree(agreed);
        }
        let core = self.core.clone();
        wire.fragment(core.config.fragment);
        let attempt = self.in_a_row;
        let own = self.course.greetings.take();
        for greeting in own.as_ref().unwrap_or(&core.config.greetings) {
            match guarded(|| greeting.make(attempt)) {
                Ok(Some(message)) => wire.prologue(Kind::of(&message), message.as_bytes()),
                Ok(None) => {}
                // The link is done with this attempt, and so is the socket.
                Err(Panicked) => return self.callback_panicked(now),
            }
        }
        if let Some(stamp) = &core.config.stamp
            && core.mailbox.stamp_replays(stamp).is_err()
        {
            return self.callback_panicked(now);
        }
        core.mailbox.begin_session(&wire);
        self.link.handle(Input::Opened, now);
        // Before the state says open: who waited for that may ask for the headers at once.
        let mut inner = core.mailbox.lock();
        inner.opened = Some(Arc::new(Opened {
            attempt,
            first: inner.counters.sessions == 0,
            way: self.course.way(),
            subprotocol: accepted.subprotocol,
            headers: accepted.headers,
            peer_certificate,
        }));
        inner.counters.sessions += 1;
        drop(inner);
        // What waits goes out at once: a new session begins with the wish to write.
        let _ = core.mailbox.park(wire, true, false, None);
        self.io =
            Io::Open(Box::new(Session::new(&core.config, accepted.agreed.as_ref(), accepted.rest, token)));
    }
}
