//! The last transitions of one client: when, to which state, and why.
//!
//! Knows no clock and no event: a cause is a short text, made by whoever records it.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::event::State;
use crate::explain::words::plain;

/// So many transitions are kept.
pub(super) const KEPT: usize = 32;
/// So many bytes of a cause.
pub(super) const WHY: usize = 256;

/// A state without what changes within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Standing {
    #[default]
    Idle,
    Connecting,
    Open,
    Waiting,
    Closing,
    Closed,
}

impl Standing {
    pub(crate) fn of(state: State) -> Standing {
        match state {
            State::Idle => Standing::Idle,
            State::Connecting(_) => Standing::Connecting,
            State::Open => Standing::Open,
            State::Waiting { .. } => Standing::Waiting,
            State::Closing => Standing::Closing,
            State::Closed => Standing::Closed,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Standing::Idle => "idle",
            Standing::Connecting => "connecting",
            Standing::Open => "open",
            Standing::Waiting => "waiting",
            Standing::Closing => "closing",
            Standing::Closed => "closed",
        }
    }
}

/// A transition.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) at: Instant,
    /// The time of day, in milliseconds since 1970: what happened before the machine slept is further away than `at`
    /// tells.
    wall: u64,
    pub(super) to: Standing,
    /// In plain characters, and short.
    pub(super) why: Box<str>,
}

impl Record {
    pub(super) fn wall(&self) -> SystemTime {
        UNIX_EPOCH.checked_add(Duration::from_millis(self.wall)).unwrap_or(UNIX_EPOCH)
    }
}

/// Shared with whoever is making a text of it: recording copies it then.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    records: VecDeque<Record>,
    /// How many there were before these.
    forgotten: u64,
    /// Where the client stood before the oldest of these.
    before: Standing,
}

impl History {
    /// Keeps a transition, for which the oldest one may make room. Staying where one is, is none.
    pub(crate) fn record(&mut self, to: Standing, why: &str, at: Instant, wall: SystemTime) {
        if self.standing() == to {
            return;
        }
        if self.records.len() == KEPT
            && let Some(oldest) = self.records.pop_front()
        {
            self.before = oldest.to;
            self.forgotten += 1;
        }
        if self.records.len() == self.records.capacity() {
            // Two are all that a client has whose first session is open still.
            self.records.reserve_exact(self.records.len().max(2));
        }
        let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        self.records.push_back(Record { at, wall, to, why: plain(why, WHY).into() });
    }

    fn standing(&self) -> Standing {
        self.last().map_or(self.before, |record| record.to)
    }

    pub(super) fn last(&self) -> Option<&Record> {
        self.records.back()
    }

    /// The one before the last.
    pub(super) fn last_but_one(&self) -> Option<&Record> {
        self.records.iter().rev().nth(1)
    }

    pub(super) fn kept(&self) -> usize {
        self.records.len()
    }

    pub(super) fn total(&self) -> u64 {
        self.forgotten + self.records.len() as u64
    }

    /// Each with where it came from, oldest first.
    pub(super) fn transitions(&self) -> impl Iterator<Item = (Standing, &Record)> {
        let before = std::iter::once(self.before).chain(self.records.iter().map(|record| record.to));
        before.zip(&self.records)
    }
}
