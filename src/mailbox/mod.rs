//! The one place where threads meet: a client's outbox, its parked wire, and what the user has ordered.
//!
//! One mutex, never held across user code or a blocking call. Whoever finds the wire here takes it
//! out, works with it unlocked, and parks it again; in the lock section that parks it, work left by
//! others in the meantime is seen, so that nothing waits for a wake-up that nobody sends. The loop
//! ends a session only with the wire in its hands: a sender that holds it is never left with a wire
//! of a session that is over, unless the client was destroyed.

mod credit;
mod proving;
mod sending;
mod serving;
mod streaming;
mod waiting;

use std::sync::{Arc, PoisonError};
use std::time::{Instant, SystemTime};

use crate::config::Config;
use crate::event::{End, Level, Opened, State};
use crate::event_loop::post::Home;
use crate::explain::{History, Known, Standing};
use crate::link::outbox::Outbox;
#[cfg(unix)]
use crate::net::socket::Socket;
use crate::net::stream::Stream;
use crate::session::wire::{Flush, Wire};
use crate::stats::{Counters, Stats};
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use crate::sync::{Condvar, Mutex, MutexGuard};

use credit::Credit;
pub(crate) use serving::Parked;
pub(crate) use waiting::News;
use waiting::{Telling, Waiters};

/// The user wants no messages for now.
pub(crate) const PAUSED: u32 = 1;
/// The user has closed, or a callback has panicked: messages are no longer delivered.
pub(crate) const CLOSING: u32 = 2;
/// The client is gone: nothing is delivered.
pub(crate) const DESTROYED: u32 = 4;

pub(crate) struct Mailbox {
    inner: Mutex<Inner>,
    /// Notified when something has changed that one of the `waiters` may wait for.
    changed: Condvar,
    /// What the loop asks after each callback, without a lock.
    signals: AtomicU32,
    /// The loop works for this client just now, or calls its handlers.
    served: AtomicBool,
    drain_to: Level,
    pub(crate) received: Received,
}

/// Counted by the loop alone, message by message, without a lock.
#[derive(Default)]
pub(crate) struct Received {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Received {
    pub(crate) fn count(&self, bytes: u64) {
        // One writer: a load and a store are enough, and cost less than an addition.
        self.messages.store(self.messages.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.bytes.store(self.bytes.load(Ordering::Relaxed) + bytes, Ordering::Relaxed);
    }
}

pub(crate) struct Inner {
    pub(crate) outbox: Outbox,
    pub(crate) orders: Orders,
    pub(crate) counters: Counters,
    pub(crate) state: State,
    /// The last session's opening, for its response headers.
    pub(crate) opened: Option<Arc<Opened>>,
    /// How the state came about. Shared with whoever reads it, so that nobody copies it under the lock.
    history: Arc<History>,
    /// Set when the last event was handed on: nothing changes any more.
    pub(crate) end: Option<End>,
    /// Where the loop is to be told of work; set when the loop takes the client in.
    pub(crate) home: Option<Home>,
    /// The loop was started, or is about to be.
    pub(crate) connected: bool,
    /// Whether someone asked for outcomes.
    pub(crate) outcomes_wanted: bool,
    /// Boxed: it changes hands for every message.
    wire: Option<Box<Wire<Stream>>>,
    /// The greetings and all that waited are in the wire's buffer: nobody can overtake a login any more.
    direct: bool,
    /// The loop found the wire out and wants to be told of its return.
    wanted: bool,
    /// The loop comes back by itself to take memory from the wire that it has not needed for a while.
    shrinking: bool,
    /// The loop was told of work and has not looked yet.
    listed: bool,
    closing: bool,
    destroyed: bool,
    credit: Credit,
    /// The earliest expiry that the loop knows of.
    known_expiry: Option<Instant>,
    /// Pings of the user that wait for room in the wire.
    pings: Vec<Vec<u8>>,
    waiters: Waiters,
    /// The loop comes back by itself to ask the kernel what is acknowledged.
    asking: bool,
    /// Threads that wait for a change and turn the loop meanwhile, or wait for the one that does.
    turning_waiters: usize,
}

/// What the user has ordered and the loop has not seen.
#[derive(Default)]
pub(crate) struct Orders {
    pub(crate) connect: bool,
    /// The stream to connect over.
    #[cfg(unix)]
    pub(crate) stream: Option<Socket>,
    pub(crate) close: Option<(u16, String)>,
    pub(crate) reconnect_now: bool,
    pub(crate) panicked: bool,
    /// A sender emptied the outbox by half after it had been full.
    pub(crate) writable: bool,
    /// A message in pieces was given up in the middle: this session can say nothing more but Close.
    pub(crate) abandoned: bool,
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
                history: Arc::default(),
                end: None,
                home: None,
                connected: false,
                outcomes_wanted: config.report_outcomes,
                wire: None,
                direct: false,
                wanted: false,
                shrinking: false,
                listed: false,
                closing: false,
                destroyed: false,
                credit: Credit::new(),
                known_expiry: None,
                pings: Vec::new(),
                waiters: Waiters::default(),
                asking: false,
                turning_waiters: 0,
            }),
            changed: Condvar::new(),
            signals: AtomicU32::new(0),
            served: AtomicBool::new(false),
            drain_to: config.drain_to,
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

    pub(crate) fn is_destroyed(&self) -> bool {
        self.signals() & DESTROYED != 0
    }

    /// The loop begins to work for this client, and may call its handlers from here on.
    pub(crate) fn enter(&self) {
        // Before the first look at the signals: either this thread sees that the client is destroyed, or the
        // destroying one sees that it is served. The fence is what orders the two.
        self.served.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    pub(crate) fn leave(&self) {
        // Whoever sees it sees what the callbacks did, too.
        self.served.store(false, Ordering::Release);
        fence(Ordering::SeqCst);
        if self.is_destroyed() {
            drop(self.lock());
            self.changed.notify_all();
        }
    }

    pub(crate) fn stats(&self, events_discarded: u64) -> Stats {
        let now = Instant::now();
        self.stats_of(&self.lock(), now, events_discarded)
    }

    /// All that can be told of one moment.
    pub(crate) fn known(&self, now: Instant, events_discarded: u64) -> Known {
        let inner = self.lock();
        Known {
            state: inner.state,
            destroyed: inner.destroyed,
            stats: self.stats_of(&inner, now, events_discarded),
            history: inner.history.clone(),
        }
    }

    fn stats_of(&self, inner: &Inner, now: Instant, events_discarded: u64) -> Stats {
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
            interrupted: tally.interrupted,
            unknown: tally.unknown,
            unconfirmed: inner.outbox.unconfirmed(),
            replayed: tally.replayed,
            events_discarded,
        }
    }

    /// From now on nothing is accepted, and no message is delivered.
    pub(crate) fn shut(&self, inner: &mut Inner) {
        inner.closing = true;
        inner.direct = false;
        inner.outbox.close_pieces();
        self.signals.fetch_or(CLOSING, Ordering::AcqRel);
    }

    fn account(&self, inner: &mut Inner, wire: &mut Wire<Stream>, telling: &mut Telling<'_>) {
        let mut written = wire.take_written();
        if written.is_empty() && !inner.outbox.has_marks() {
            return;
        }
        let taken = wire.stream.sent();
        inner.outbox.pieces_written(written.piece_bytes());
        for run in written.iter() {
            inner.outbox.written(run.first, run.last, run.messages, run.payload_bytes, taken);
        }
        written.take_kept().into_iter().for_each(|entry| inner.outbox.keep(entry));
        inner.outbox.taken(taken);
        telling.announce(inner, News::Outbox);
    }

    /// Moves waiting messages into the wire, as many as there is room for. `true` if it got any.
    fn line_up(
        inner: &mut Inner,
        wire: &mut Wire<Stream>,
        room: usize,
        now: Instant,
        telling: &mut Telling<'_>,
    ) -> bool {
        let before = inner.outbox.unfinished();
        let mut any = false;
        inner.outbox.hand_out(room, now, |entry| {
            any = true;
            wire.line_up(entry);
        });
        // An expiry on the way is an answer to those who wait.
        if inner.outbox.unfinished() < before || inner.outbox.take_room_for_pieces() {
            telling.announce(inner, News::Outbox);
        }
        any
    }
}

impl Inner {
    /// Whether a message of this length would be accepted, or refused for another reason than want of room.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        self.closing || self.outbox.has_room(len)
    }

    /// The client was closed or destroyed, or has ended.
    fn accepts_nothing(&self) -> bool {
        self.closing || self.end.is_some()
    }

    /// Whether the loop has something to tell the user that came of sending.
    fn has_news(&self) -> bool {
        self.outcomes_wanted && self.outbox.outcomes_pending() > 0
    }

    /// Keeps a transition for whoever asks what happened.
    pub(crate) fn record(&mut self, to: Standing, why: &str, at: Instant, wall: SystemTime) {
        Arc::make_mut(&mut self.history).record(to, why, at, wall);
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
fn goodbye(mut wire: Box<Wire<Stream>>) {
    wire.close(Some(1001), "");
    let _: Flush = wire.flush();
    let _ = wire.stream.close_write();
}
