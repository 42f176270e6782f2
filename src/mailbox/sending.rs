//! The user's side of the mailbox: sends that write at once or queue, pings, close and destroy.

use std::time::{Duration, Instant};

use crate::config::delivery::Terms;
use crate::entry::{Entry, Kind, Part, Record};
use crate::error::SendError;
use crate::event::{End, MessageId, State};
use crate::event_loop::post::Home;
use crate::mailbox::{DESTROYED, Inner, Mailbox, News, goodbye, wake};
use crate::net::stream::Stream;
use crate::session::wire::{Flush, Wire};
use crate::sync::atomic::Ordering;

/// Pings of the user that may wait for the wire.
const MOST_PINGS: usize = 16;

impl Mailbox {
    /// Sends on this thread where that is allowed, else queues; see the crate's ARCHITECTURE. Does not wait.
    pub(crate) fn send(
        &self,
        kind: Kind,
        payload: &[u8],
        terms: Terms,
        time_to_live: Option<Duration>,
        now: Instant,
    ) -> Result<MessageId, SendError> {
        let mut inner = self.lock();
        if inner.accepts_nothing() {
            return Err(SendError::Closed);
        }
        if !inner.may_write_directly(now) {
            let mut telling = self.telling();
            let before = inner.outbox.unfinished();
            let accepted = inner.outbox.accept(kind, payload, terms, time_to_live, now);
            if inner.outbox.unfinished() < before + usize::from(accepted.is_ok()) {
                // Others were dropped to make room for it.
                telling.announce(&inner, News::Outbox);
            }
            let home = if accepted.is_ok() { inner.list_for_sending() } else { None };
            drop(inner);
            drop(telling);
            wake(home);
            return accepted;
        }
        let id = inner.outbox.pass(payload.len(), terms)?;
        let expires = inner.outbox.expiry(time_to_live, now);
        let Some(mut wire) = inner.wire.take() else { unreachable!("a direct write has the wire") };
        drop(inner);
        if terms.goes_again() {
            let (payload, record) = (payload.to_vec(), Record { terms, ..Record::default() });
            wire.push(Entry { id, kind, part: Part::Whole, payload, expires, record });
            wire.flush();
        } else {
            wire.send_now(id, kind, payload, expires, terms);
        }
        self.park_after_sending(wire, now);
        Ok(id)
    }

    pub(crate) fn ping(&self, payload: &[u8]) -> Result<(), SendError> {
        self.order(|inner| {
            if inner.accepts_nothing() {
                return Err(SendError::Closed);
            }
            if inner.state != State::Open {
                return Err(SendError::NotOpen);
            }
            if inner.pings.len() >= MOST_PINGS {
                return Err(SendError::Full);
            }
            inner.pings.push(payload.to_vec());
            Ok(())
        })
    }

    /// From now on no message is accepted; the loop is told to close. The first call counts.
    pub(crate) fn close(&self, code: u16, reason: &str) {
        let mut telling = self.telling();
        self.order(|inner| {
            if inner.closing || inner.end.is_some() {
                return;
            }
            self.shut(inner);
            self.mark_drain(inner);
            inner.orders.close = Some((code, reason.to_string()));
            telling.announce(inner, News::Outbox);
        });
    }

    /// Silence from here on. Says goodbye on the wire if it is at hand, once, without blocking.
    pub(crate) fn destroy(&self) {
        let mut telling = self.telling();
        let mut inner = self.lock();
        inner.destroyed = true;
        inner.closing = true;
        inner.direct = false;
        inner.state = State::Closed;
        inner.end.get_or_insert(End::Closed);
        inner.outbox.report_outcomes(false);
        inner.outbox.close();
        self.signals.fetch_or(DESTROYED, Ordering::SeqCst);
        telling.announce(&inner, News::End);
        let wire = inner.wire.take();
        let home = inner.list();
        drop(inner);
        drop(telling);
        wake(home);
        if let Some(wire) = wire {
            goodbye(wire);
        }
    }

    fn park_after_sending(&self, mut wire: Box<Wire<Stream>>, now: Instant) {
        let mut batch_left = true;
        let written = Instant::now();
        let mut telling = self.telling();
        let mut inner = self.lock();
        inner.credit.written(written);
        loop {
            self.account(&mut inner, &mut wire, &mut telling);
            // A session that ended took its wire along, so there is an end here only where the loop has failed.
            if inner.destroyed || inner.end.is_some() {
                drop(inner);
                return goodbye(wire);
            }
            let more = batch_left && !inner.wanted && wire.is_idle() && inner.outbox.is_ready();
            if !more {
                break;
            }
            // What others queued meanwhile: one batch on this thread, the rest is the loop's.
            batch_left = false;
            let room = wire.room();
            Mailbox::line_up(&mut inner, &mut wire, room, now, &mut telling);
            drop(inner);
            let _: Flush = wire.flush();
            inner = self.lock();
        }
        inner.orders.writable |= inner.outbox.take_writable();
        let work = inner.wanted
            || inner.orders.writable
            || !wire.is_idle()
            || wire.error.is_some()
            || wire.stream.has_buffered()
            || (wire.has_spare() && !inner.shrinking)
            || inner.outbox.is_ready()
            || inner.has_news()
            || inner.has_unproven()
            || inner.turning_waiters > 0;
        inner.wanted = false;
        inner.wire = Some(wire);
        let home = if work { inner.list() } else { None };
        drop(inner);
        wake(home);
    }
}

impl Inner {
    fn may_write_directly(&mut self, now: Instant) -> bool {
        self.credit.send(now);
        let free = self.direct
            && self.outbox.is_empty()
            && self.wire.as_ref().is_some_and(|wire| wire.is_idle() && wire.error.is_none());
        if !free {
            return false;
        }
        // Left to a loop that this very thread turns, it would wait for the next turn.
        self.credit.take() || self.home.as_ref().is_some_and(Home::is_turned_here)
    }

    /// After queueing: the loop has to write it if the wire lies idle; whoever has the wire will see it anyway.
    pub(super) fn list_for_sending(&mut self) -> Option<Home> {
        let expiry = self.outbox.deadline();
        let sooner = match (expiry, self.known_expiry) {
            (Some(new), Some(known)) => new < known,
            (Some(_), None) => true,
            _ => false,
        };
        if sooner {
            self.known_expiry = expiry;
        }
        let idle = self.wire.is_some() && self.outbox.is_ready();
        if idle || sooner || self.has_news() { self.list() } else { None }
    }
}
