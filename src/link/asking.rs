//! When to ask the kernel how much is acknowledged, while something waits for that and nothing else happens.
//!
//! Each turn of the loop that does something for the client asks by itself. Between turns the wait begins with one
//! smoothed round trip, and doubles up to a quarter of a second. Knows no clock (every `now` is passed in).

use std::time::{Duration, Instant};

/// Where no round-trip time is known.
const FIRST: Duration = Duration::from_millis(10);
const LEAST: Duration = Duration::from_millis(1);
const MOST: Duration = Duration::from_millis(250);

/// What came of asking the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// Something waits for its answer still.
    pub(crate) waits: bool,
    /// Its answer has completed something.
    pub(crate) moved: bool,
    /// How long an answer may take.
    pub(crate) round_trip: Option<Duration>,
}

#[derive(Debug, Default)]
pub(crate) struct Asking {
    /// When to ask next; only while something waits.
    at: Option<Instant>,
    wait: Duration,
}

impl Asking {
    /// The kernel was asked, if something waits for an answer.
    pub(crate) fn asked(&mut self, Asked { waits, moved, round_trip }: Asked, now: Instant) {
        if !waits {
            self.at = None;
            return;
        }
        match self.at {
            Some(at) if !moved && now < at => return,
            Some(_) if !moved => self.wait = (self.wait * 2).min(MOST),
            _ => self.wait = round_trip.unwrap_or(FIRST).clamp(LEAST, MOST),
        }
        self.at = now.checked_add(self.wait);
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.at
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.at.is_some_and(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn asked(waits: bool, moved: bool, round_trip: Option<Duration>) -> Asked {
        Asked { waits, moved, round_trip }
    }

    /// The waits between asks to which the answer is that nothing has moved.
    fn waits(round_trip: Option<Duration>) -> Vec<Duration> {
        let (mut asking, mut now) = (Asking::default(), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..8 {
            asking.asked(asked(true, false, round_trip), now);
            let at = asking.deadline().expect("something waits");
            waits.push(at - now);
            now = at;
        }
        waits
    }

    #[test]
    fn waits_begin_with_a_round_trip_and_double_up_to_a_quarter_of_a_second() {
        assert_eq!(waits(Some(30 * MS)), [30, 60, 120, 240, 250, 250, 250, 250].map(|ms| ms * MS));
        assert_eq!(waits(None)[..3], [10, 20, 40].map(|ms| ms * MS));
        assert_eq!(waits(Some(Duration::ZERO))[..2], [1, 2].map(|ms| ms * MS));
        assert_eq!(waits(Some(Duration::MAX))[..2], [250, 250].map(|ms| ms * MS));
    }

    #[test]
    fn nothing_is_asked_when_nothing_waits() {
        let (mut asking, now) = (Asking::default(), Instant::now());
        asking.asked(asked(false, false, None), now);
        assert_eq!(asking.deadline(), None);
        asking.asked(asked(true, false, None), now);
        asking.asked(asked(false, true, None), now);
        assert!(asking.deadline().is_none() && !asking.is_due(now + MOST));
    }

    #[test]
    fn an_ask_in_a_turn_between_does_not_put_the_next_one_off() {
        let (mut asking, now) = (Asking::default(), Instant::now());
        asking.asked(asked(true, false, Some(100 * MS)), now);
        asking.asked(asked(true, false, Some(100 * MS)), now + 50 * MS);
        assert_eq!(asking.deadline(), Some(now + 100 * MS));
        assert!(!asking.is_due(now + 99 * MS) && asking.is_due(now + 100 * MS));
    }

    #[test]
    fn an_answer_that_moves_begins_anew() {
        let (mut asking, mut now) = (Asking::default(), Instant::now());
        for _ in 0..5 {
            asking.asked(asked(true, false, None), now);
            now = asking.deadline().unwrap();
        }
        asking.asked(asked(true, true, None), now);
        assert_eq!(asking.deadline(), Some(now + FIRST));
    }
}
