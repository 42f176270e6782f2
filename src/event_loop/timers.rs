//! The members' deadlines: a heap that traffic never touches.
//!
//! A deadline that moved later leaves its old entry where it is; when that entry comes to the top it
//! is looked at and put back where the deadline is now. Deadlines that go to and fro leave more old
//! entries than ever come to the top in time: when they outnumber the others they are swept out.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use crate::event_loop::slots::Slot;

#[derive(Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Slot)>>,
}

/// So few entries are not worth a sweep.
const FEW: usize = 64;

impl Timers {
    pub(crate) fn has_too_many(&self, members: usize) -> bool {
        self.heap.len() > FEW + 2 * members
    }

    /// Keeps one entry of each that still counts; those are no more than there are members.
    pub(crate) fn sweep(&mut self, mut counts: impl FnMut(Instant, Slot) -> bool) {
        let mut entries = std::mem::take(&mut self.heap).into_vec();
        entries.sort_unstable();
        entries.dedup();
        entries.retain(|Reverse((at, slot))| counts(*at, *slot));
        self.heap = entries.into();
    }

    pub(crate) fn add(&mut self, at: Instant, slot: Slot) {
        self.heap.push(Reverse((at, slot)));
    }

    pub(crate) fn peek(&self) -> Option<(Instant, Slot)> {
        self.heap.peek().map(|entry| entry.0)
    }

    pub(crate) fn pop(&mut self) -> Option<(Instant, Slot)> {
        self.heap.pop().map(|entry| entry.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn deadlines_that_go_to_and_fro_leave_no_more_than_a_bounded_number_of_entries() {
        let start = Instant::now();
        let slot = Slot { index: 0, stamp: 0 };
        let mut timers = Timers::default();
        for round in 0..10_000 {
            // An expiry that is near comes and goes, and each time the far deadline is put in anew.
            let far = start + Duration::from_secs(3600);
            timers.add(start + Duration::from_millis(round), slot);
            timers.pop();
            timers.add(far + Duration::from_millis(round % 2), slot);
            if timers.has_too_many(1) {
                timers.sweep(|at, _| at == far);
            }
            assert!(timers.heap.len() <= FEW + 3);
        }
        timers.sweep(|at, _| at == start + Duration::from_secs(3600));
        assert_eq!(timers.heap.len(), 1, "equal ones, too");
    }
}
