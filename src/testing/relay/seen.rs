//! What a relay has counted and, if it was asked to, recorded; looked at from every thread.

use super::Direction;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Default)]
pub(super) struct Seen {
    pub(super) connections: AtomicUsize,
    passed: [AtomicU64; 2],
    pub(super) swallowed: AtomicU64,
    pub(super) steps_left: AtomicUsize,
    /// By the connection's number; `None` until a record is wanted.
    record: Mutex<Option<BTreeMap<usize, [Vec<u8>; 2]>>>,
}

impl Seen {
    pub(super) fn passed(&self, direction: Direction) -> u64 {
        self.passed[direction.index()].load(Ordering::SeqCst)
    }

    /// Notes bytes that are about to pass.
    pub(super) fn pass(&self, number: usize, direction: Direction, bytes: &[u8]) {
        self.passed[direction.index()].fetch_add(bytes.len() as u64, Ordering::SeqCst);
        if let Some(record) = &mut *self.record() {
            record.entry(number).or_default()[direction.index()].extend_from_slice(bytes);
        }
    }

    /// The last so many did not pass after all.
    pub(super) fn take_back(&self, number: usize, direction: Direction, bytes: usize) {
        if bytes == 0 {
            return;
        }
        self.passed[direction.index()].fetch_sub(bytes as u64, Ordering::SeqCst);
        if let Some(recorded) = self.record().as_mut().and_then(|record| record.get_mut(&number)) {
            let way = &mut recorded[direction.index()];
            way.truncate(way.len().saturating_sub(bytes));
        }
    }

    pub(super) fn begin_record(&self) {
        *self.record() = Some(BTreeMap::new());
    }

    pub(super) fn recorded(&self, direction: Direction, of: Option<usize>) -> Vec<u8> {
        let record = self.record();
        let all = record.iter().flatten();
        let wanted = all.filter(|(number, _)| of.is_none_or(|of| of == **number));
        wanted.flat_map(|(_, ways)| ways[direction.index()].iter().copied()).collect()
    }

    fn record(&self) -> MutexGuard<'_, Option<BTreeMap<usize, [Vec<u8>; 2]>>> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
