//! How many messages senders may write by themselves before the loop takes over and coalesces. Reads no clock.
//!
//! A lone message leaves at once on its sender's thread; a burst costs one system call for many. A burst is over when
//! something was received, or after a pause between one send's end and the next one's beginning.

use std::time::{Duration, Instant};

/// How many direct writes a burst begins with.
const MOST: u32 = if cfg!(heartwire_model) { 2 } else { 4 };
/// A pause this long refills the credit. In a model time does not pass.
const PAUSE: Duration = if cfg!(heartwire_model) { Duration::MAX } else { Duration::from_micros(20) };

pub(super) struct Credit {
    left: u32,
    /// When the last send began, or when its write was done.
    last: Option<Instant>,
}

impl Credit {
    pub(super) fn new() -> Credit {
        Credit { left: MOST, last: None }
    }

    /// A send begins.
    pub(super) fn send(&mut self, now: Instant) {
        if self.last.is_none_or(|last| now.saturating_duration_since(last) >= PAUSE) {
            self.left = MOST;
        }
        self.last = Some(now);
    }

    /// A direct write is done. Where one takes longer than a pause, a burst without a pause would never be over else.
    pub(super) fn written(&mut self, now: Instant) {
        self.last = Some(now);
    }

    /// Bytes came: whoever sends now has heard an answer.
    pub(super) fn refill(&mut self) {
        self.left = MOST;
    }

    /// Takes one; `false` if none is left.
    pub(super) fn take(&mut self) -> bool {
        let some = self.left > 0;
        self.left -= u32::from(some);
        some
    }
}

#[cfg(all(test, not(heartwire_model)))]
mod tests {
    use super::*;

    /// How many of 100 sends write directly, when each write takes `write` and the next send comes `pause` later.
    fn direct(write: Duration, pause: Duration) -> usize {
        let (mut credit, mut now) = (Credit::new(), Instant::now());
        let send = |_: &usize| {
            now += pause;
            credit.send(now);
            let direct = credit.take();
            if direct {
                now += write;
                credit.written(now);
            }
            direct
        };
        (0..100).filter(send).count()
    }

    #[test]
    fn a_burst_is_left_to_the_loop_however_long_a_write_takes() {
        for write in [0, 2, 19, 21, 500].map(Duration::from_micros) {
            assert_eq!(direct(write, Duration::ZERO), 4, "{write:?}");
            assert_eq!(direct(write, Duration::from_micros(19)), 4, "{write:?}");
        }
    }

    #[test]
    fn sends_with_pauses_between_all_leave_at_once() {
        for write in [0, 2, 500].map(Duration::from_micros) {
            assert_eq!(direct(write, Duration::from_micros(20)), 100, "{write:?}");
        }
    }

    #[test]
    fn an_answer_ends_a_burst() {
        let (mut credit, now) = (Credit::new(), Instant::now());
        for _ in 0..50 {
            credit.send(now);
            assert!(credit.take());
            credit.written(now);
            credit.refill();
        }
    }
}
