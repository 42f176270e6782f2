//! The one place where threads meet: a client's outbox, its parked wire, and what the user has ordered.
//!
//! One mutex, never held across user code or a blocking call. Whoever finds the wire here takes it
//! out, works with it unlocked, and parks it again; in the lock section that parks it, work left by
//! others in the meantime is seen, so that nothing waits for a wake-up that nobody sends. The loop
//! ends a session only with the wire in its hands: a sender that holds it is never left with a wire
//! of a session that is over, unless the client was destroyed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::config::outbox::WhenFull;
use crate::entry::{Entry, Kind};
use crate::error::{SendError, WaitError};
use crate::event::{End, MessageId, Opened, State};
use crate::event_loop::Home;
use crate::link::outbox::Outbox;
use crate::net::stream::Stream;
use crate::session::wire::{Flush, Wire};
use crate::stats::{Counters, Stats};
use crate::thread;

/// How many direct writes a sender has in a burst before the loop takes over and coalesces.
const CREDIT: u32 = 4;
/// A pause this long refills the credit.
const CREDIT_PAUSE: Duration = Duration::from_micros(20);
/// Pings of the user that may wait for the wire.
const MOST_PINGS: usize = 16;

/// The user wants no messages for now.
pub(crate) const PAUSED: u32 = 1;
/// The user has closed: messages are no longer delivered.
pub(crate) const CLOSING: u32 = 2;
/// The client is gone: nothing is delivered.
pub(crate) const DESTROYED: u32 = 4;

pub(crate) struct Mailbox {
    inner: Mutex<Inner>,
    /// Notified when `waiters` is not zero and something that they may wait for has changed.
    changed: Condvar,
    /// What the loop asks after each callback, without a lock.
    signals: AtomicU32,
    when_full: WhenFull,
    time_to_live: Option<Duration>,
    pub(crate) received: Received,
}

/// Counted by the loop alone, message by message, without a lock.
#[derive(Default)]
pub(crate) struct Received {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Received {
    pub(crate) fn count(&self, bytes: usize) {
        // One writer: a load and a store are enough, and cost less than an addition.
        self.messages.store(self.messages.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.bytes.store(self.bytes.load(Ordering::Relaxed) + bytes as u64, Ordering::Relaxed);
    }
}

pub(crate) struct Inner {
    pub(crate) outbox: Outbox,
    pub(crate) orders: Orders,
    pub(crate) counters: Counters,
    pub(crate) state: State,
    /// The last session's opening, for its response headers.
    pub(crate) opened: Option<Arc<Opened>>,
    /// Set when the last event was handed on: nothing changes any more.
    pub(crate) end: Option<End>,
    /// Where the loop is to be told of work; set by connect.
    pub(crate) home: Option<Home>,
    /// The loop was started, or is about to be.
    pub(crate) connected: bool,
    /// Whether someone asked for outcomes.
    pub(crate) outcomes_wanted: bool,
    wire: Option<Wire<Stream>>,
    /// The greetings and all that waited are in the wire's buffer: nobody can overtake a login any more.
    direct: bool,
    /// The loop found the wire out and wants to be told of its return.
    wanted: bool,
    /// The loop was told of work and has not looked yet.
    listed: bool,
    closing: bool,
    destroyed: bool,
    credit: u32,
    last_send: Option<Instant>,
    /// The earliest expiry that the loop knows of.
    known_expiry: Option<Instant>,
    /// Pings of the user that wait for room in the wire.
    pings: Vec<Vec<u8>>,
    waiters: usize,
}

/// What the user has ordered and the loop has not seen.
#[derive(Default)]
pub(crate) struct Orders {
    pub(crate) connect: bool,
    pub(crate) close: Option<(u16, String)>,
    pub(crate) reconnect_now: bool,
    pub(crate) panicked: bool,
    /// A sender emptied the outbox by half after it had been full.
    pub(crate) writable: bool,
}

/// What the outbox wants of the loop.
pub(crate) struct Swept {
    /// Outcomes wait to be told.
    pub(crate) outcomes: bool,
    /// It was full and is half empty again.
    pub(crate) writable: bool,
    /// When the next message expires: the loop comes back by then.
    pub(crate) expiry: Option<Instant>,
}

impl Mailbox {
    pub(crate) fn new(config: &Config) -> Mailbox {
        let mut outbox = Outbox::new(config.outbox.clone());
        outbox.report_outcomes(config.report_outcomes);
        Mailbox {
            inner: Mutex::new(Inner {
                outbox,
                orders: Orders::default(),
                counters: Counters::default(),
                state: State::Idle,
                opened: None,
                end: None,
                home: None,
                connected: false,
                outcomes_wanted: config.report_outcomes,
                wire: None,
                direct: false,
                wanted: false,
                listed: false,
                closing: false,
                destroyed: false,
                credit: CREDIT,
                last_send: None,
                known_expiry: None,
                pings: Vec::new(),
                waiters: 0,
            }),
            changed: Condvar::new(),
            signals: AtomicU32::new(0),
            when_full: config.outbox.when_full,
            time_to_live: config.outbox.time_to_live,
            received: Received::default(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn signals(&self) -> u32 {
        self.signals.load(Ordering::Acquire)
    }

    /// Changes what the user has ordered, and tells the loop.
    pub(crate) fn order<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.lock();
        let result = change(&mut inner);
        let home = inner.list();
        drop(inner);
        wake(home);
        result
    }

    /// Wakes the loop to look at this client.
    pub(crate) fn nudge(&self) {
        self.order(|_| {});
    }

    pub(crate) fn set_paused(&self, paused: bool) {
        if paused {
            self.signals.fetch_or(PAUSED, Ordering::AcqRel);
        } else {
            self.signals.fetch_and(!PAUSED, Ordering::AcqRel);
        }
        self.nudge();
    }

    // ---- the user's side -----------------------------------------------------------------

    /// Sends on this thread where that is allowed, else queues; see the crate's ARCHITECTURE.
    pub(crate) fn send(
        &self,
        kind: Kind,
        payload: &[u8],
        time_to_live: Option<Duration>,
    ) -> Result<MessageId, SendError> {
        let now = Instant::now();
        let mut inner = self.lock();
        let mut give_up = None;
        let mut in_time = true;
        let id = loop {
            if inner.closing || inner.destroyed || inner.end.is_some() {
                return Err(SendError::Closed);
            }
            let refusal = if inner.may_write_directly(now) {
                match inner.outbox.pass(payload.len()) {
                    Ok(id) => break id,
                    Err(error) => error,
                }
            } else {
                match inner.outbox.accept(kind, payload, time_to_live, now) {
                    Ok(id) => {
                        let home = inner.list_for_sending();
                        drop(inner);
                        wake(home);
                        return Ok(id);
                    }
                    Err(error) => error,
                }
            };
            let (SendError::Full, WhenFull::Block(timeout), true) = (&refusal, self.when_full, in_time)
            else {
                return Err(refusal);
            };
            if thread::runs_a_loop() {
                return Err(SendError::WouldDeadlock);
            }
            // The clock was read on entry; from here on it is the waiting that takes time.
            let deadline = *give_up.get_or_insert(now + timeout);
            (inner, in_time) = self.wait(inner, Some(deadline));
        };
        let Some(mut wire) = inner.wire.take() else { unreachable!("a direct write has the wire") };
        drop(inner);
        match time_to_live.or(self.time_to_live) {
            None => wire.send_now(id, kind, payload),
            // Should it not get out whole, the message has to know its expiry on the next session.
            Some(time) => {
                let expires = now.checked_add(time);
                wire.push(Entry { id, kind, payload: payload.to_vec(), expires });
                wire.flush()
            }
        };
        self.park_after_sending(wire);
        Ok(id)
    }

    pub(crate) fn ping(&self, payload: &[u8]) -> Result<(), SendError> {
        self.order(|inner| {
            if inner.closing || inner.destroyed || inner.end.is_some() {
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
        self.order(|inner| {
            if inner.closing || inner.end.is_some() {
                return;
            }
            self.shut(inner);
            inner.orders.close = Some((code, reason.to_string()));
            self.announce(inner);
        });
    }

    /// Silence from here on. Says goodbye on the wire if it is at hand, once, without blocking.
    pub(crate) fn destroy(&self) {
        let mut inner = self.lock();
        inner.destroyed = true;
        inner.closing = true;
        inner.direct = false;
        inner.state = State::Closed;
        inner.end.get_or_insert(End::Closed);
        inner.outbox.report_outcomes(false);
        inner.outbox.close();
        self.signals.fetch_or(DESTROYED, Ordering::AcqRel);
        self.announce(&mut inner);
        let wire = inner.wire.take();
        let home = inner.list();
        drop(inner);
        wake(home);
        if let Some(wire) = wire {
            goodbye(wire);
        }
    }

    /// Waits until `done` has an answer. The caller has made sure that this thread may wait.
    pub(crate) fn wait_until<T>(
        &self,
        deadline: Option<Instant>,
        mut done: impl FnMut(&Inner) -> Option<T>,
    ) -> Result<T, WaitError> {
        let mut inner = self.lock();
        loop {
            if let Some(result) = done(&inner) {
                return Ok(result);
            }
            if let Some(end) = &inner.end {
                return Err(WaitError::Closed(Box::new(end.clone())));
            }
            let (guard, in_time) = self.wait(inner, deadline);
            inner = guard;
            if !in_time {
                return done(&inner).ok_or(WaitError::TimedOut);
            }
        }
    }

    fn wait<'a>(
        &self,
        mut inner: MutexGuard<'a, Inner>,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'a, Inner>, bool) {
        inner.waiters += 1;
        let mut in_time = true;
        inner = match deadline {
            None => self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner),
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                let waited = self.changed.wait_timeout(inner, left);
                let (guard, result) = waited.unwrap_or_else(PoisonError::into_inner);
                in_time = !result.timed_out();
                guard
            }
        };
        inner.waiters -= 1;
        (inner, in_time)
    }

    pub(crate) fn stats(&self, events_discarded: u64) -> Stats {
        let now = Instant::now();
        let inner = self.lock();
        let tally = inner.outbox.tally();
        let counters = &inner.counters;
        Stats {
            messages_sent: tally.written,
            bytes_sent: tally.written_bytes,
            messages_received: self.received.messages.load(Ordering::Relaxed),
            bytes_received: self.received.bytes.load(Ordering::Relaxed),
            sessions: counters.sessions,
            attempts: counters.attempts,
            last_rtt: counters.last_rtt,
            smoothed_rtt: counters.smoothed_rtt,
            since_received: counters.last_received.map(|at| now.saturating_duration_since(at)),
            queued_messages: inner.outbox.unfinished(),
            queued_bytes: inner.outbox.buffered(),
            accepted: tally.accepted,
            expired: tally.expired,
            evicted: tally.evicted,
            dropped_on_close: tally.closed,
            unknown: tally.unknown,
            events_discarded,
        }
    }

    // ---- the loop's side -----------------------------------------------------------------

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
        let mut inner = self.lock();
        let before = inner.outbox.unfinished();
        inner.outbox.expire(now);
        if inner.outbox.unfinished() < before {
            self.announce(&mut inner);
        }
        Swept {
            outcomes: inner.outbox.outcomes_pending() > 0,
            writable: inner.outbox.is_writable_again(),
            expiry: inner.expiry(),
        }
    }

    /// The wire, if nobody works with it; else the loop is told when it comes back.
    pub(crate) fn take_wire(&self) -> Option<Wire<Stream>> {
        let mut inner = self.lock();
        let wire = inner.wire.take();
        inner.wanted = wire.is_none();
        wire
    }

    /// Moves pings and waiting messages into the wire, as many as its bounded buffer takes. `true` if it got any.
    pub(crate) fn load(&self, wire: &mut Wire<Stream>, now: Instant) -> bool {
        let mut batch = VecDeque::new();
        let room = wire.room();
        if room == 0 {
            return false;
        }
        let mut inner = self.lock();
        self.account(&mut inner, wire);
        let before = inner.outbox.unfinished();
        inner.outbox.hand_out(room, now, &mut batch);
        if inner.outbox.unfinished() < before {
            self.announce(&mut inner);
        }
        let pings = std::mem::take(&mut inner.pings);
        drop(inner);
        let any = !batch.is_empty() || !pings.is_empty();
        pings.iter().for_each(|ping| wire.ping(ping));
        batch.into_iter().for_each(|entry| wire.push(entry));
        any
    }

    /// Gives the wire back after the loop's work. `direct`: senders may write by themselves from now on.
    ///
    /// `heard`: bytes came, so that a burst of sends is over and senders have their credit again.
    /// `true`: the wire has room, and messages wait that no one else will write. Senders queued them
    /// meanwhile and woke nobody, because the wire was out; or there was no room when they were asked for.
    #[must_use = "what waits would wait for ever"]
    pub(crate) fn park(&self, mut wire: Wire<Stream>, direct: bool, heard: Option<Instant>) -> bool {
        let mut inner = self.lock();
        self.account(&mut inner, &mut wire);
        if heard.is_some() {
            inner.counters.last_received = heard;
            inner.credit = CREDIT;
        }
        if inner.destroyed {
            drop(inner);
            goodbye(wire);
            return false;
        }
        inner.wanted = false;
        inner.direct = direct && !inner.closing;
        let left = direct && wire.is_idle() && wire.error.is_none() && !inner.outbox.is_empty();
        inner.wire = Some(wire);
        left
    }

    /// Accounts for what the wire has written while a session ends, and takes back what it has not.
    pub(crate) fn unload(&self, mut wire: Wire<Stream>) -> Stream {
        let mut inner = self.lock();
        self.account(&mut inner, &mut wire);
        inner.direct = false;
        inner.pings.clear();
        let (stream, unsent) = wire.into_unsent();
        inner.outbox.restore(unsent);
        stream
    }

    /// Changes what the user can ask for, and tells those who wait.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.lock();
        let result = change(&mut inner);
        self.announce(&mut inner);
        result
    }

    /// Gives back a wire that was only looked at. `true`: as with [`park`](Mailbox::park).
    #[must_use = "what waits would wait for ever"]
    pub(crate) fn park_again(&self, wire: Wire<Stream>) -> bool {
        let direct = self.lock().direct;
        self.park(wire, direct, None)
    }

    pub(crate) fn has_nothing_to_send(&self) -> bool {
        self.lock().outbox.is_empty()
    }

    /// From now on nothing is accepted, and no message is delivered.
    pub(crate) fn shut(&self, inner: &mut Inner) {
        inner.closing = true;
        inner.direct = false;
        self.signals.fetch_or(CLOSING, Ordering::AcqRel);
    }

    fn park_after_sending(&self, mut wire: Wire<Stream>) {
        let mut batch_left = true;
        let mut inner = self.lock();
        loop {
            self.account(&mut inner, &mut wire);
            if inner.destroyed {
                drop(inner);
                return goodbye(wire);
            }
            let more = batch_left && !inner.wanted && wire.is_idle() && !inner.outbox.is_empty();
            if !more {
                break;
            }
            // What others queued meanwhile: one batch on this thread, the rest is the loop's.
            batch_left = false;
            let mut batch = VecDeque::new();
            let Some(now) = inner.last_send else { break };
            inner.outbox.hand_out(wire.room(), now, &mut batch);
            drop(inner);
            batch.into_iter().for_each(|entry| wire.push(entry));
            let _: Flush = wire.flush();
            inner = self.lock();
        }
        inner.orders.writable |= inner.outbox.take_writable();
        let work = inner.wanted
            || inner.orders.writable
            || !wire.is_idle()
            || wire.error.is_some()
            || wire.stream.has_buffered()
            || !inner.outbox.is_empty()
            || inner.has_news();
        inner.wanted = false;
        inner.wire = Some(wire);
        let home = if work { inner.list() } else { None };
        drop(inner);
        wake(home);
    }

    fn account(&self, inner: &mut Inner, wire: &mut Wire<Stream>) {
        let written = wire.take_written();
        if written.is_empty() {
            return;
        }
        for run in written.iter() {
            inner.outbox.written(run.first, run.last, run.messages, run.payload_bytes);
        }
        self.announce(inner);
    }

    fn announce(&self, inner: &mut Inner) {
        if inner.waiters > 0 {
            self.changed.notify_all();
        }
    }
}

impl Inner {
    fn may_write_directly(&mut self, now: Instant) -> bool {
        let paused = self.last_send.is_none_or(|at| now.saturating_duration_since(at) >= CREDIT_PAUSE);
        self.last_send = Some(now);
        if paused {
            self.credit = CREDIT;
        }
        let free = self.direct
            && self.outbox.is_empty()
            && self.wire.as_ref().is_some_and(|wire| wire.is_idle() && wire.error.is_none());
        if !free || self.credit == 0 {
            return false;
        }
        self.credit -= 1;
        true
    }

    /// Whether the loop has something to tell the user that came of sending.
    fn has_news(&self) -> bool {
        self.outcomes_wanted && self.outbox.outcomes_pending() > 0
    }

    /// After queueing: the loop has to write it if the wire lies idle; whoever has the wire will see it anyway.
    fn list_for_sending(&mut self) -> Option<Home> {
        let expiry = self.outbox.deadline();
        let sooner = match (expiry, self.known_expiry) {
            (Some(new), Some(known)) => new < known,
            (Some(_), None) => true,
            _ => false,
        };
        if sooner {
            self.known_expiry = expiry;
        }
        let idle = self.wire.is_some();
        if idle || sooner || self.has_news() { self.list() } else { None }
    }

    /// The expiry that the loop will come back for by itself.
    fn expiry(&mut self) -> Option<Instant> {
        self.known_expiry = self.outbox.deadline();
        self.known_expiry
    }

    /// Whether the loop must be woken: once for each of its looks.
    fn list(&mut self) -> Option<Home> {
        if self.listed {
            return None;
        }
        let home = self.home.clone()?;
        self.listed = true;
        Some(home)
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing
    }
}

fn wake(home: Option<Home>) {
    if let Some(home) = home {
        home.wake();
    }
}

/// One try to say Close 1001 and TLS's close_notify; nothing is waited for.
fn goodbye(mut wire: Wire<Stream>) {
    wire.close(Some(1001), "");
    let _: Flush = wire.flush();
    let _ = wire.stream.close_write();
}
