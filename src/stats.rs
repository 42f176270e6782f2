//! Counters of one client, for dashboards and bug reports.

use std::time::{Duration, Instant};

/// What a client has done so far; made by [`Client::stats`](crate::Client::stats).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub(crate) messages_sent: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) messages_received: u64,
    pub(crate) bytes_received: u64,
    pub(crate) sessions: u64,
    pub(crate) attempts: u64,
    pub(crate) last_rtt: Option<Duration>,
    pub(crate) smoothed_rtt: Option<Duration>,
    pub(crate) since_received: Option<Duration>,
    pub(crate) queued_messages: usize,
    pub(crate) queued_bytes: usize,
    pub(crate) accepted: u64,
    pub(crate) expired: u64,
    pub(crate) evicted: u64,
    pub(crate) dropped_on_close: u64,
    pub(crate) interrupted: u64,
    pub(crate) unknown: u64,
    pub(crate) unconfirmed: usize,
    pub(crate) replayed: u64,
    pub(crate) events_discarded: u64,
}

macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident: $type:ty),* $(,)?) => {
        impl Stats {
            $($(#[$doc])* pub fn $name(&self) -> $type {
                self.$name
            })*
        }
    };
}

getters! {
    /// Messages of the user written whole to a socket that have reached the level that was asked for.
    messages_sent: u64,
    /// Payload bytes written to sockets: of whole messages, whatever became of them and each time that they went, and
    /// of pieces.
    bytes_sent: u64,
    /// Messages received whole, replies to text heartbeats included.
    messages_received: u64,
    /// The payload bytes of these.
    bytes_received: u64,
    /// Sessions that were opened.
    sessions: u64,
    /// Attempts that were begun.
    attempts: u64,
    /// The last heartbeat's round-trip time.
    last_rtt: Option<Duration>,
    /// The round-trip time smoothed as TCP does it: seven eighths old, one eighth new (RFC 6298).
    smoothed_rtt: Option<Duration>,
    /// How long ago the last byte was received, of whichever session.
    since_received: Option<Duration>,
    /// Messages accepted and not yet written.
    queued_messages: usize,
    /// The payload bytes of these: `bufferedAmount`.
    queued_bytes: usize,
    /// Messages written whole that have not reached the level that was asked for yet.
    unconfirmed: usize,
    /// Messages accepted so far. Each ends as sent, expired, evicted, dropped on close, interrupted or
    /// unknown, or is still queued or unconfirmed.
    accepted: u64,
    /// Messages dropped because their time to live ran out.
    expired: u64,
    /// Messages dropped to make room for newer ones.
    evicted: u64,
    /// Messages dropped because the client ended.
    dropped_on_close: u64,
    /// Messages in pieces that ended before the last one: the session ended, or they were given up.
    interrupted: u64,
    /// Messages of unknown fate.
    unknown: u64,
    /// How often a message was written whole once more, because the session before had died under it.
    replayed: u64,
    /// Events that were discarded because nobody had asked for any yet.
    events_discarded: u64,
}

/// The part of the counters that the loop keeps.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sessions: u64,
    pub(crate) attempts: u64,
    pub(crate) last_rtt: Option<Duration>,
    pub(crate) smoothed_rtt: Option<Duration>,
    pub(crate) last_received: Option<Instant>,
}

impl Counters {
    pub(crate) fn round_trip(&mut self, time: Duration) {
        self.last_rtt = Some(time);
        self.smoothed_rtt = Some(match self.smoothed_rtt {
            Some(smoothed) => (smoothed * 7 + time) / 8,
            None => time,
        });
    }
}
