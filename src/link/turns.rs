//! Whose turn it is, where a client has several URLs.
//!
//! They are of equal rank: one that works is kept, and after a failure the next one follows. Each that failed has to
//! wait for a penalty time before it gets a turn ahead of one that has not; where all have failed lately, the one whose
//! penalty ends first is asked, which comes to taking turns. Knows no URL, only places, and no clock.

use std::time::{Duration, Instant};

use crate::link::later;
use crate::link::reconnect::Weight;

pub(crate) struct Turns {
    places: Vec<Place>,
    current: usize,
    /// The current one failed: the next attempt is another one's.
    moves: bool,
    /// The session that ends was stable: its end says nothing against its URL.
    was_stable: bool,
    penalty: Duration,
}

#[derive(Clone, Default)]
struct Place {
    bad_until: Option<Instant>,
    /// It failed in a way that trying again does not help, and no session has opened since, of whichever URL.
    hopeless: bool,
}

impl Turns {
    pub(crate) fn new(places: usize, penalty: Duration) -> Turns {
        let places = vec![Place::default(); places.max(1)];
        Turns { places, current: 0, moves: false, was_stable: false, penalty }
    }

    /// An attempt begins: whose it is.
    pub(crate) fn next(&mut self, now: Instant) -> usize {
        if std::mem::take(&mut self.moves) {
            self.current = self.pick(now);
        }
        self.current
    }

    pub(crate) fn opened(&mut self) {
        self.places.iter_mut().for_each(|place| place.hopeless = false);
    }

    /// A session that was stable has ended: its URL is as good as it was.
    pub(crate) fn was_stable(&mut self) {
        self.places[self.current].bad_until = None;
        self.was_stable = true;
    }

    /// An attempt failed, or a session ended. Answers how it weighs for the client: what speaks against one URL does
    /// not hold up another.
    pub(crate) fn failed(&mut self, weight: Weight, now: Instant) -> Weight {
        let fatal = matches!(weight, Weight::Fatal);
        if self.places.len() == 1 || (std::mem::take(&mut self.was_stable) && !fatal) {
            return weight;
        }
        let wish = if let Weight::After(wish) = weight { wish } else { Duration::ZERO };
        let place = &mut self.places[self.current];
        place.bad_until = Some(later(now, self.penalty.max(wish)));
        place.hopeless |= fatal;
        self.moves = true;
        if self.places.iter().all(|place| place.hopeless) {
            return Weight::Fatal;
        }
        if fatal || self.is_good(self.pick(now), now) { Weight::Normal } else { weight }
    }

    fn is_good(&self, index: usize, now: Instant) -> bool {
        let place = &self.places[index];
        !place.hopeless && place.bad_until.is_none_or(|until| until <= now)
    }

    fn pick(&self, now: Instant) -> usize {
        let count = self.places.len();
        let in_turn = || (1..=count).map(|step| (self.current + step) % count);
        let good = in_turn().find(|index| self.is_good(*index, now));
        let least_bad = || {
            let hopeful = in_turn().filter(|index| !self.places[*index].hopeless);
            hopeful.min_by_key(|index| self.places[*index].bad_until)
        };
        good.or_else(least_bad).unwrap_or(self.current)
    }
}
