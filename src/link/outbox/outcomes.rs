//! What became of messages: counted for everybody, and kept as ranges for those who ask.

use std::collections::VecDeque;

use crate::event::{DropReason, Fate, MessageId, Outcome};

/// With so many ranges that nobody took, nothing more is accepted.
const MOST: usize = 4096;

/// Counts of messages since the client was made; each accepted one is in exactly one of the others in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) accepted: u64,
    /// Written, and as far as was asked for.
    pub(crate) written: u64,
    pub(crate) written_bytes: u64,
    pub(crate) expired: u64,
    pub(crate) evicted: u64,
    pub(crate) closed: u64,
    pub(crate) interrupted: u64,
    pub(crate) unknown: u64,
    /// How often one went once more.
    pub(crate) replayed: u64,
}

#[derive(Default)]
pub(super) struct Outcomes {
    ranges: VecDeque<Outcome>,
    reporting: bool,
    pub(super) tally: Tally,
}

impl Outcomes {
    pub(super) fn finish(&mut self, from: u64, to: u64, fate: Fate) {
        let count = match fate {
            Fate::Completed(_) => &mut self.tally.written,
            Fate::Dropped(DropReason::Expired) => &mut self.tally.expired,
            Fate::Dropped(DropReason::Evicted) => &mut self.tally.evicted,
            Fate::Dropped(DropReason::Closed) => &mut self.tally.closed,
            Fate::Dropped(DropReason::Interrupted | DropReason::Abandoned) => &mut self.tally.interrupted,
            Fate::Unknown(_) => &mut self.tally.unknown,
        };
        *count += to - from + 1;
        if !self.reporting {
            return;
        }
        let (first, last) = (MessageId(from), MessageId(to));
        match self.ranges.back_mut() {
            Some(back) if back.fate == fate && back.last.0 + 1 == from => back.last = last,
            _ => self.ranges.push_back(Outcome { first, last, fate }),
        }
    }

    pub(super) fn next(&mut self) -> Option<Outcome> {
        self.ranges.pop_front()
    }

    pub(super) fn report(&mut self, yes: bool) {
        self.reporting = yes;
        if !yes {
            self.ranges.clear();
        }
    }

    pub(super) fn pending(&self) -> usize {
        self.ranges.len()
    }

    /// Nothing more may come before some were taken.
    pub(super) fn is_full(&self) -> bool {
        self.ranges.len() > MOST
    }

    pub(super) fn is_half_empty(&self) -> bool {
        self.ranges.len() <= MOST / 2
    }

    pub(super) fn list(&mut self) -> &mut VecDeque<Outcome> {
        &mut self.ranges
    }
}
