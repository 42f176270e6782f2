//! A slab of members, and the tokens that tell whose readiness an event is.

use mio::Token;

/// Names a place in the slab and the member in it: a place that was freed and filled again has another stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot {
    pub(crate) index: u32,
    pub(crate) stamp: u32,
}

pub(crate) struct Slots<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
    /// Freed in this turn: late events of the turn must not meet a new member.
    freed: Vec<u32>,
    members: usize,
}

struct Place<T> {
    stamp: u32,
    /// Empty also while the member is lifted out, because callbacks of it run.
    member: Option<T>,
}

impl<T> Slots<T> {
    pub(crate) fn new() -> Slots<T> {
        Slots { places: Vec::new(), free: Vec::new(), freed: Vec::new(), members: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.members
    }

    /// A place for a new member, empty until `put_back`.
    pub(crate) fn reserve(&mut self) -> Slot {
        self.members += 1;
        if let Some(index) = self.free.pop() {
            return Slot { index, stamp: self.places[index as usize].stamp };
        }
        let Ok(index) = u32::try_from(self.places.len()) else { unreachable!("2^32 clients") };
        self.places.push(Place { stamp: 0, member: None });
        Slot { index, stamp: 0 }
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        let place = self.places.get_mut(slot.index as usize)?;
        if place.stamp == slot.stamp { place.member.as_mut() } else { None }
    }

    /// The member at a place, whatever its stamp.
    pub(crate) fn at_mut(&mut self, index: u32) -> Option<(Slot, &mut T)> {
        let place = self.places.get_mut(index as usize)?;
        let slot = Slot { index, stamp: place.stamp };
        place.member.as_mut().map(|member| (slot, member))
    }

    pub(crate) fn lift(&mut self, slot: Slot) -> Option<T> {
        let place = self.places.get_mut(slot.index as usize)?;
        if place.stamp == slot.stamp { place.member.take() } else { None }
    }

    pub(crate) fn put_back(&mut self, slot: Slot, member: T) {
        self.places[slot.index as usize].member = Some(member);
    }

    /// Gives up the place of a lifted member.
    pub(crate) fn free(&mut self, slot: Slot) {
        let place = &mut self.places[slot.index as usize];
        place.stamp = place.stamp.wrapping_add(1);
        self.freed.push(slot.index);
        self.members -= 1;
    }

    pub(crate) fn end_of_turn(&mut self) {
        self.free.append(&mut self.freed);
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = Slot> + '_ {
        let slot = |(index, place): (usize, &Place<T>)| {
            place.member.as_ref().map(|_| Slot { index: index as u32, stamp: place.stamp })
        };
        self.places.iter().enumerate().filter_map(slot)
    }
}

/// Not a member's: the waker's.
pub(crate) const WAKER: Token = Token(usize::MAX);

/// Eight racing sockets, hence three bits; the rest is shared between place and attempt.
const RACER_BITS: u32 = 3;
const INDEX_BITS: u32 = if usize::BITS >= 64 { 29 } else { 16 };
const ATTEMPT_BITS: u32 = usize::BITS - RACER_BITS - INDEX_BITS;

/// A socket's token: the member's place, which attempt of its the socket belongs to, and the number in the race.
pub(crate) fn token(index: u32, attempt: u32, racer: u8) -> Token {
    let attempt = attempt as usize & ((1 << ATTEMPT_BITS) - 1);
    let index = index as usize & ((1 << INDEX_BITS) - 1);
    Token((attempt << (INDEX_BITS + RACER_BITS)) | (index << RACER_BITS) | usize::from(racer & 7))
}

/// The place that a token names.
pub(crate) fn index_of(token: Token) -> u32 {
    ((token.0 >> RACER_BITS) & ((1 << INDEX_BITS) - 1)) as u32
}

/// Whether a token is of this attempt, of whichever racer.
pub(crate) fn is_of(token_: Token, index: u32, attempt: u32) -> bool {
    token_.0 >> RACER_BITS == token(index, attempt, 0).0 >> RACER_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_place_is_not_filled_again_in_the_same_turn() {
        let mut slots = Slots::new();
        let first = slots.reserve();
        slots.put_back(first, 'a');
        assert_eq!(slots.lift(first), Some('a'));
        slots.free(first);
        let second = slots.reserve();
        assert_ne!(first.index, second.index);
        slots.end_of_turn();
        let third = slots.reserve();
        assert_eq!(first.index, third.index);
        slots.put_back(third, 'c');
        assert_eq!(slots.get_mut(first), None, "the old name does not reach the new member");
        assert_eq!(slots.get_mut(third), Some(&mut 'c'));
    }

    #[test]
    fn a_token_tells_its_place_and_attempt() {
        let t = token(77, 5, 3);
        assert_eq!(index_of(t), 77);
        assert!(is_of(t, 77, 5));
        assert!(!is_of(t, 77, 6));
        assert!(!is_of(t, 78, 5));
        assert_ne!(t, WAKER);
    }
}
