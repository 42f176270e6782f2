//! Notices that the machine slept: its boot clock ran on meanwhile, while the monotonic one stood still.
//!
//! Reads no clock.

use std::time::Duration;

/// A boot clock that ran ahead of the monotonic one by this much means that the machine slept.
const SUSPENDED: Duration = Duration::from_secs(1);
/// A loop that turns all the time looks at the boot clock no more often than this.
const PERIOD: Duration = Duration::from_millis(100);

/// How far the boot clock was ahead when it was last looked at.
#[derive(Default)]
pub(super) struct Sleep {
    ahead: Option<Duration>,
    looked: Option<Duration>,
}

impl Sleep {
    /// Whether to look again; `awake` as below.
    pub(super) fn is_due(&mut self, awake: Duration) -> bool {
        let due = self.looked.is_none_or(|looked| awake.saturating_sub(looked) >= PERIOD);
        if due {
            self.looked = Some(awake);
        }
        due
    }

    /// Whether the machine slept since the last question; `awake` is what the monotonic clock shows since any fixed
    /// time.
    pub(super) fn noticed(&mut self, boot: Duration, awake: Duration) -> bool {
        let ahead = boot.saturating_sub(awake);
        let before = self.ahead.replace(ahead);
        before.is_some_and(|before| ahead.saturating_sub(before) > SUSPENDED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEC: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3600);

    /// A loop that began 100 s after the machine did.
    fn begun() -> Sleep {
        let mut sleep = Sleep::default();
        assert!(!sleep.noticed(100 * SEC, Duration::ZERO), "there is nothing to compare with");
        sleep
    }

    #[test]
    fn a_boot_clock_that_ran_ahead_for_hours_is_noticed_once() {
        let mut sleep = begun();
        assert!(!sleep.noticed(110 * SEC, 10 * SEC));
        assert!(sleep.noticed(110 * SEC + 8 * HOUR, 10 * SEC));
        for second in 0..100 {
            assert!(!sleep.noticed((110 + second) * SEC + 8 * HOUR, (10 + second) * SEC));
        }
        assert!(sleep.noticed(210 * SEC + 9 * HOUR, 110 * SEC), "the next night, too");
    }

    #[test]
    fn a_busy_loop_looks_ten_times_a_second_and_an_idle_one_at_each_turn() {
        let mut sleep = Sleep::default();
        let looks = (0..1000).filter(|milli| sleep.is_due(Duration::from_millis(*milli))).count();
        assert_eq!(looks, 10);
        assert!((2..9).all(|second| sleep.is_due(second * SEC)));
    }

    #[test]
    fn clocks_that_stand_still_or_jump_together_are_no_sleep() {
        let mut sleep = begun();
        assert!((0..100).all(|_| !sleep.noticed(100 * SEC, Duration::ZERO)));
        // A virtual machine that was halted, or a loop whose thread was: no clock tells the one from the other.
        assert!(!sleep.noticed(100 * SEC + 5 * HOUR, 5 * HOUR));
    }

    #[test]
    fn two_readings_that_are_a_moment_apart_are_no_sleep() {
        let mut sleep = begun();
        for turn in 1..1000 {
            let late = Duration::from_millis(turn * 37 % 900);
            assert!(!sleep.noticed((100 + turn as u32) * SEC + late, turn as u32 * SEC));
        }
    }

    #[test]
    fn a_boot_clock_that_was_set_back_is_no_sleep_and_a_later_one_is_noticed() {
        let mut sleep = begun();
        assert!(!sleep.noticed(20 * SEC, 10 * SEC), "as after a move to another machine");
        assert!(!sleep.noticed(21 * SEC, 11 * SEC));
        assert!(sleep.noticed(22 * SEC + HOUR, 12 * SEC));
        assert!(!sleep.noticed(Duration::ZERO, 13 * SEC));
    }
}
