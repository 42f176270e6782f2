//! The members' deadlines: a heap that traffic never touches.
//!
//! A deadline that moved later leaves its old entry where it is; when that entry comes to the top it
//! is looked at and put back where the deadline is now.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use crate::event_loop::slots::Slot;

#[derive(Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Slot)>>,
}

impl Timers {
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
