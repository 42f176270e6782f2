//! The loop's side of the mailbox: orders, the wire, and what it takes from the outbox and gives back.

use std::time::{Instant, SystemTime};

use crate::event::{End, State};
use crate::explain::Standing;
use crate::link::asking::Asked;
use crate::mailbox::{Mailbox, News, Orders, goodbye};
use crate::net::stream::Stream;
use crate::session::wire::Wire;

/// A wire was given back.
#[must_use = "what waits would wait for ever"]
pub(crate) struct Parked {
    /// The wire has room, and messages wait that no one else will write. Senders queued them meanwhile and woke nobody,
    /// because the wire was out; or there was no room when they were asked for.
    pub(crate) left: bool,
    pub(crate) asked: Asked,
}

/// What the outbox wants of the loop.
pub(crate) struct Swept {
    /// Outcomes wait to be told.
    pub(crate) outcomes: bool,
    /// It was full and is half empty again.
    pub(crate) writable: bool,
    /// What waited behind a message in pieces that has expired can go; or what was waited for with it is to be proven.
    pub(crate) released: bool,
    /// When the next message expires: the loop comes back by then.
    pub(crate) expiry: Option<Instant>,
}

impl Mailbox {
    /// What was ordered since the last look.
    pub(crate) fn collect(&self) -> Orders {
        let mut inner = self.lock();
        inner.listed = false;
        std::mem::take(&mut inner.orders)
    }

    /// Drops what has expired, and says what is left for the loop to do with the outbox.
    ///
    /// Who waits for room, or for the fate of a message, is told: an expiry is an answer to both.
    pub(crate) fn sweep(&self, now: Instant) -> Swept {
        let mut telling = self.telling();
        let mut inner = self.lock();
        let before = inner.outbox.unfinished();
        inner.outbox.expire(now);
        let expired = inner.outbox.unfinished() < before;
        if expired {
            telling.announce(&inner, News::Outbox);
        }
        Swept {
            outcomes: inner.outbox.outcomes_pending() > 0,
            writable: inner.outbox.is_writable_again(),
            released: inner.outbox.take_released() || (expired && inner.has_unproven()),
            expiry: inner.expiry(),
        }
    }

    /// The wire, if nobody works with it; else the loop is told when it comes back.
    pub(crate) fn take_wire(&self) -> Option<Box<Wire<Stream>>> {
        let mut inner = self.lock();
        let wire = inner.wire.take();
        inner.wanted = wire.is_none();
        wire
    }

    /// Moves pings and waiting messages into the wire, as many as its bounded buffer takes. `true` if it got any.
    pub(crate) fn load(&self, wire: &mut Wire<Stream>, now: Instant) -> bool {
        let room = wire.room();
        if room == 0 {
            return false;
        }
        let mut telling = self.telling();
        let mut inner = self.lock();
        self.account(&mut inner, wire, &mut telling);
        let mut any = !inner.pings.is_empty();
        inner.pings.drain(..).for_each(|ping| wire.ping(&ping));
        // Before what is handed out now: it proves what was written by now.
        if let Some(fence) = inner.outbox.fence() {
            any = true;
            wire.ping(&fence);
        }
        any | Mailbox::line_up(&mut inner, wire, room, now, &mut telling)
    }

    /// Gives the wire back after the loop's work. `direct`: senders may write by themselves from now on.
    ///
    /// `shrinking`: the loop comes back to take memory from the wire; else senders tell it when there is some.
    /// `heard`: bytes came, so that a burst of sends is over and senders have their credit again.
    pub(crate) fn park(
        &self,
        mut wire: Box<Wire<Stream>>,
        direct: bool,
        shrinking: bool,
        heard: Option<Instant>,
    ) -> Parked {
        let mut telling = self.telling();
        let mut inner = self.lock();
        self.account(&mut inner, &mut wire, &mut telling);
        let asked = self.ask_kernel(&mut inner, &wire, &mut telling);
        if heard.is_some() {
            inner.counters.last_received = heard;
            inner.credit.refill();
        }
        if inner.destroyed {
            drop(inner);
            goodbye(wire);
            return Parked { left: false, asked };
        }
        inner.wanted = false;
        inner.shrinking = shrinking;
        inner.direct = direct && !inner.closing;
        let waits = inner.outbox.is_ready() || inner.outbox.needs_fence();
        let left = direct && wire.is_idle() && wire.error.is_none() && waits;
        inner.wire = Some(wire);
        Parked { left, asked }
    }

    /// Accounts for what the wire has written while a session ends, and takes back what it has not.
    pub(crate) fn unload(&self, mut wire: Box<Wire<Stream>>) -> Stream {
        let settled = wire.stream.take_settled();
        wire.accepted_since(settled);
        let mut telling = self.telling();
        let mut inner = self.lock();
        self.account(&mut inner, &mut wire, &mut telling);
        inner.direct = false;
        inner.pings.clear();
        // It was about this session.
        inner.orders.abandoned = false;
        // The last chance to ask.
        let asks = inner.outbox.unconfirmed() > 0 || inner.outbox.has_marks();
        let acknowledged = if asks { wire.stream.acknowledged() } else { None };
        let (stream, unsent) = wire.into_unsent();
        inner.outbox.restore(unsent, acknowledged);
        inner.asking = false;
        // Who waits to append to a message that was cut has an answer.
        telling.announce(&inner, News::Outbox);
        stream
    }

    /// There is no loop any more: nothing is accepted, and the socket is let go of.
    pub(crate) fn loop_failed(&self, why: &str, now: Instant, wall: SystemTime) {
        let wire = self.update(News::End, |inner| {
            inner.state = State::Closed;
            inner.record(Standing::Closed, why, now, wall);
            inner.direct = false;
            inner.outbox.close();
            inner.end.get_or_insert(End::LoopFailed);
            inner.home = None;
            inner.wire.take()
        });
        if let Some(wire) = wire {
            goodbye(wire);
        }
    }
}
