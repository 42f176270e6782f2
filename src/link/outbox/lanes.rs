//! The messages that wait to be handed out, in two lanes: those of high priority go before all others.

use std::collections::VecDeque;

use crate::config::delivery::Priority;
use crate::entry::{Entry, Part};
use crate::event::MessageId;

#[derive(Default)]
pub(super) struct Lanes {
    high: VecDeque<Entry>,
    normal: VecDeque<Entry>,
    bytes: usize,
    high_bytes: usize,
}

impl Lanes {
    #[inline]
    pub(super) fn push_back(&mut self, entry: Entry) {
        self.count(&entry);
        self.lane(entry.record.terms.priority).push_back(entry);
    }

    /// Before all of its lane.
    pub(super) fn push_front(&mut self, entry: Entry) {
        self.count(&entry);
        self.lane(entry.record.terms.priority).push_front(entry);
    }

    #[inline]
    pub(super) fn front(&self) -> Option<&Entry> {
        self.high.front().or_else(|| self.normal.front())
    }

    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<Entry> {
        let entry = self.high.pop_front().or_else(|| self.normal.pop_front())?;
        self.discount(&entry);
        Some(entry)
    }

    /// The oldest that may make room for one of this priority: never one that goes before it.
    pub(super) fn pop_oldest(&mut self, room_for: Priority) -> Option<Entry> {
        let normal = self.normal.iter().position(|entry| entry.part != Part::Place);
        let entry = match normal {
            Some(at) => self.normal.remove(at),
            None if room_for == Priority::High => self.high.pop_front(),
            None => None,
        }?;
        self.discount(&entry);
        Some(entry)
    }

    /// What [`pop_oldest`](Lanes::pop_oldest) cannot give: so many messages, places apart, and bytes.
    #[inline]
    pub(super) fn fixed(&self, room_for: Priority) -> (usize, usize) {
        match room_for {
            Priority::Normal => (self.high.len(), self.high_bytes),
            Priority::High => (0, 0),
        }
    }

    /// Takes out what `goes` says, in the order of handing out.
    pub(super) fn take(&mut self, mut goes: impl FnMut(&Entry) -> bool, mut to: impl FnMut(Entry)) {
        for lane in [&mut self.high, &mut self.normal] {
            for entry in std::mem::take(lane) {
                if goes(&entry) {
                    to(entry);
                } else {
                    lane.push_back(entry);
                }
            }
        }
        self.bytes = self.iter().map(|entry| entry.payload.len()).sum();
        self.high_bytes = self.high.iter().map(|entry| entry.payload.len()).sum();
    }

    /// Changes an entry where it waits, if it does.
    pub(super) fn change<T>(&mut self, id: MessageId, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        // The first message of all is at the head of its lane, whatever its id.
        let at_head = self.high.front().is_some_and(|entry| entry.id == id);
        let entry = match at_head {
            true => self.high.front_mut(),
            false => find(&mut self.high, id).or_else(|| find(&mut self.normal, id)),
        }?;
        let high = entry.record.terms.priority == Priority::High;
        let before = entry.payload.len();
        let result = change(entry);
        let after = entry.payload.len();
        self.bytes = self.bytes - before + after;
        if high {
            self.high_bytes = self.high_bytes - before + after;
        }
        Some(result)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.high.iter().chain(&self.normal)
    }

    /// The smallest id. Each lane is in order, but for the first message of all, which went to the head of its lane.
    pub(super) fn oldest(&self) -> Option<MessageId> {
        let heads = self.high.iter().take(2).chain(self.normal.front());
        heads.map(|entry| entry.id).min()
    }

    pub(super) fn len(&self) -> usize {
        self.high.len() + self.normal.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.high.is_empty() && self.normal.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn lists(&mut self) -> [&mut VecDeque<Entry>; 2] {
        [&mut self.high, &mut self.normal]
    }

    #[inline]
    fn lane(&mut self, priority: Priority) -> &mut VecDeque<Entry> {
        match priority {
            Priority::High => &mut self.high,
            Priority::Normal => &mut self.normal,
        }
    }

    #[inline]
    fn count(&mut self, entry: &Entry) {
        self.bytes += entry.payload.len();
        if entry.record.terms.priority == Priority::High {
            self.high_bytes += entry.payload.len();
        }
    }

    #[inline]
    fn discount(&mut self, entry: &Entry) {
        self.bytes -= entry.payload.len();
        if entry.record.terms.priority == Priority::High {
            self.high_bytes -= entry.payload.len();
        }
    }
}

/// In a lane, which is in order but for its head.
fn find(lane: &mut VecDeque<Entry>, id: MessageId) -> Option<&mut Entry> {
    let skip = usize::from(lane.len() > 1 && lane[0].id > lane[1].id);
    let (mut from, mut to) = (skip, lane.len());
    while from < to {
        let middle = from.midpoint(to);
        if lane[middle].id < id { from = middle + 1 } else { to = middle }
    }
    lane.get_mut(from).filter(|entry| entry.id == id)
}
