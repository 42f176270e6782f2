//! The memory of a large message that was written, for the copy of the next one.

use std::mem;

/// The memory of a message of so many bytes or more is kept for the next copy.
const LARGE: usize = 64 * 1024;

/// The memory of the largest of the last messages, for the next one that has to be copied: the C library would ask the
/// system for it each time, and the system clears it.
#[derive(Default)]
pub(super) struct Spare {
    bytes: Vec<u8>,
    /// Since the last `shrink`.
    used: bool,
}

impl Spare {
    pub(super) fn copy(&mut self, payload: &[u8]) -> Vec<u8> {
        if payload.len() < LARGE {
            return payload.to_vec();
        }
        self.used = true;
        let mut copy = mem::take(&mut self.bytes);
        copy.clear();
        if copy.capacity() < payload.len() {
            // Else what is in there would be moved.
            copy = Vec::new();
        }
        copy.extend_from_slice(payload);
        copy
    }

    pub(super) fn keep(&mut self, payload: Vec<u8>) {
        if payload.capacity() >= LARGE && payload.capacity() > self.bytes.capacity() {
            self.bytes = payload;
        }
    }

    pub(super) fn is_there(&self) -> bool {
        self.bytes.capacity() > 0
    }

    /// Gives the memory back if it was not used since the last call.
    pub(super) fn shrink(&mut self) {
        if !mem::take(&mut self.used) {
            self.bytes = Vec::new();
        }
    }
}
