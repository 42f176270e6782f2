//! The messages that were accepted and not yet written, and what became of each.
//!
//! Knows no clock, no socket, no lock and no thread; whoever locks it passes `now` in.
//!
//! A message is *waiting* until it is handed out to be framed, then *handed out* until all its bytes
//! were accepted by the socket. Both count against the limits; only waiting ones expire or are evicted.

mod pieces;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::config::outbox::{OutboxLimits, WhenFull};
use crate::entry::{Entry, Kind, Part};
use crate::error::SendError;
use crate::event::{DropReason, Fate, Level, MessageId, Outcome};
use crate::link::later;
pub(crate) use pieces::GivenUp;
use pieces::Pieces;

/// With so many ranges of outcomes that nobody took, nothing more is accepted.
const MOST_OUTCOMES: usize = 4096;
/// So many places an idle outbox may keep.
const KEPT: usize = 16;

/// The longest header of a client's frame (RFC 6455 section 5.2), so that empty messages count, too.
const HEADER: usize = 14;

/// What a sweep for expired messages may cost for each message: it is repeated no sooner than this times them.
const SWEEP: Duration = Duration::from_micros(1);

/// Counts of messages since the client was made; each accepted one is in exactly one of the others in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) accepted: u64,
    pub(crate) written: u64,
    pub(crate) written_bytes: u64,
    pub(crate) expired: u64,
    pub(crate) evicted: u64,
    pub(crate) closed: u64,
    pub(crate) interrupted: u64,
    pub(crate) unknown: u64,
}

pub(crate) struct Outbox {
    limits: OutboxLimits,
    waiting: VecDeque<Entry>,
    waiting_bytes: usize,
    /// Ids in the order of handing out, neighbours joined.
    handed: VecDeque<(u64, u64)>,
    handed_messages: usize,
    handed_bytes: usize,
    last: u64,
    /// Messages that went to the head while older ones waited: until they are done, ids are out of order.
    jumped: Vec<u64>,
    pieces: Pieces,
    /// No waiting message expires before this.
    earliest: Option<Instant>,
    /// The last sweep was so costly that there is no other before this.
    rest_until: Option<Instant>,
    outcomes: VecDeque<Outcome>,
    reporting: bool,
    was_full: bool,
    closed: bool,
    tally: Tally,
}

impl Outbox {
    pub(crate) fn new(limits: OutboxLimits) -> Outbox {
        Outbox {
            limits,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            handed: VecDeque::new(),
            handed_messages: 0,
            handed_bytes: 0,
            last: 0,
            jumped: Vec::new(),
            pieces: Pieces::default(),
            earliest: None,
            rest_until: None,
            outcomes: VecDeque::new(),
            reporting: false,
            was_full: false,
            closed: false,
            tally: Tally::default(),
        }
    }

    /// Queues a copy behind all others. `time_to_live` stands in for that of the settings.
    ///
    /// Where the settings say to block, this says `Full` all the same: the caller waits and tries again.
    pub(crate) fn accept(
        &mut self,
        kind: Kind,
        payload: &[u8],
        time_to_live: Option<Duration>,
        now: Instant,
    ) -> Result<MessageId, SendError> {
        self.make_room(payload.len(), Some(now))?;
        let entry = self.entry(kind, payload, time_to_live, now);
        let id = entry.id;
        self.waiting.push_back(entry);
        Ok(id)
    }

    /// Queues a copy before all that wait.
    pub(crate) fn accept_first(
        &mut self,
        kind: Kind,
        payload: &[u8],
        now: Instant,
    ) -> Result<MessageId, SendError> {
        self.make_room(payload.len(), Some(now))?;
        if self.unfinished() > 0 {
            self.jumped.push(self.last + 1);
        }
        let entry = self.entry(kind, payload, None, now);
        let id = entry.id;
        self.waiting.push_front(entry);
        Ok(id)
    }

    /// Accepts a message that its sender writes at once, which is right only while nothing waits.
    ///
    /// It is handed out already: until [`written`](Self::written) it counts as buffered.
    pub(crate) fn pass(&mut self, len: usize) -> Result<MessageId, SendError> {
        debug_assert!(self.is_empty(), "a direct write would overtake what waits");
        self.make_room(len, None)?;
        let id = self.next_id();
        self.hand(id, len);
        Ok(id)
    }

    /// Gives the oldest to `to`, to be framed: at least one if any waits, then up to `max_bytes` in frames.
    ///
    /// What has expired by now is dropped on the way.
    pub(crate) fn hand_out(&mut self, max_bytes: usize, now: Instant, mut to: impl FnMut(Entry)) {
        let mut bytes = 0_usize;
        if self.pieces.is_begun() && !self.hand_out_pieces(max_bytes, &mut bytes, &mut to) {
            return;
        }
        while let Some(entry) = self.waiting.front() {
            let len = entry.payload.len();
            let expired = entry.expires.is_some_and(|expires| expires <= now);
            if entry.part == Part::Place && !expired {
                if !self.hand_out_place(max_bytes, &mut bytes, &mut to) {
                    return;
                }
                continue;
            }
            bytes = if expired { bytes } else { bytes.saturating_add(len + HEADER) };
            if !expired && bytes > max_bytes && bytes > len + HEADER {
                break;
            }
            let Some(entry) = self.waiting.pop_front() else { break };
            if expired {
                self.drop_waiting(&entry, DropReason::Expired);
            } else {
                self.waiting_bytes -= len;
                self.hand(entry.id, len);
                to(entry);
            }
        }
        if self.waiting.is_empty() {
            self.earliest = None;
        }
    }

    /// All bytes of the oldest `messages` that were handed out, `first` to `last`, were accepted by the socket.
    pub(crate) fn written(&mut self, first: MessageId, last: MessageId, messages: usize, bytes: usize) {
        debug_assert!(self.closed || self.handed.front().is_none_or(|range| range.0 == first.0));
        debug_assert!(messages != 1 || first == last);
        let mut left = messages as u64;
        while left > 0 {
            let Some((from, to)) = self.handed.front_mut() else { break };
            let (from, end) = (*from, (*to).min(*from + (left - 1)));
            if end == *to {
                self.handed.pop_front();
            } else {
                self.handed[0].0 = end + 1;
            }
            let done = end - from + 1;
            left -= done;
            self.handed_messages -= done as usize;
            self.finish(from, end, Fate::Completed(Level::Written));
        }
        let bytes = if self.handed_messages == 0 { self.handed_bytes } else { bytes.min(self.handed_bytes) };
        self.handed_bytes -= bytes;
        self.tally.written_bytes += bytes as u64;
    }

    /// The session is gone: what was handed out and not written goes back before all that wait, in its order.
    ///
    /// A message that was handed out and is not among `entries` has an unknown fate.
    pub(crate) fn restore(&mut self, mut entries: VecDeque<Entry>) {
        let handed = std::mem::take(&mut self.handed);
        (self.handed_messages, self.handed_bytes) = (0, 0);
        if self.closed {
            return;
        }
        let mut restored = VecDeque::with_capacity(entries.len());
        self.pieces.nothing_handed();
        for id in handed.into_iter().flat_map(|(from, to)| from..=to) {
            let mut fate = self.pieces.cut(MessageId(id)).map_or(Fate::Unknown, Fate::Dropped);
            let mut whole = None;
            while entries.front().is_some_and(|entry| entry.id.0 == id) {
                match entries.pop_front() {
                    Some(entry) if entry.part.is_whole() => whole = Some(entry),
                    // Its last piece was in the wire; the first ones are gone.
                    _ if fate == Fate::Unknown => fate = Fate::Dropped(DropReason::Interrupted),
                    _ => {}
                }
            }
            match whole {
                Some(entry) => restored.push_back(entry),
                None => self.finish(id, id, fate),
            }
        }
        debug_assert!(entries.is_empty(), "restored what was never handed out");
        for entry in restored.into_iter().rev() {
            self.waiting_bytes += entry.payload.len();
            self.expires(entry.expires);
            self.waiting.push_front(entry);
        }
    }

    /// Drops what has expired, when [`deadline`](Self::deadline) has come; harmless at any time.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.deadline().is_none_or(|at| now < at) {
            return;
        }
        self.earliest = None;
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|entry| {
            let expired = entry.expires.is_some_and(|expires| expires <= now);
            if expired {
                self.drop_waiting(entry, DropReason::Expired);
            } else {
                self.expires(entry.expires);
            }
            !expired
        });
        self.waiting = waiting;
        let rest = SWEEP.saturating_mul(u32::try_from(self.waiting.len()).unwrap_or(u32::MAX));
        self.rest_until = Some(later(now, rest));
    }

    /// When [`expire`](Self::expire) has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        Some(self.earliest?.max(self.rest_until.unwrap_or(self.earliest?)))
    }

    /// The client has ended: all that is left is dropped, and nothing more is accepted.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.was_full = false;
        self.earliest = None;
        self.pieces.end_all(DropReason::Closed);
        for (from, to) in std::mem::take(&mut self.handed) {
            self.finish(from, to, Fate::Dropped(DropReason::Closed));
        }
        for entry in std::mem::take(&mut self.waiting) {
            self.finish(entry.id.0, entry.id.0, Fate::Dropped(DropReason::Closed));
        }
        (self.handed_messages, self.handed_bytes, self.waiting_bytes) = (0, 0, 0);
    }

    /// The next range of messages whose fate is known.
    pub(crate) fn next_outcome(&mut self) -> Option<Outcome> {
        self.outcomes.pop_front()
    }

    /// Whether outcomes are kept for [`next_outcome`](Self::next_outcome); else they are only counted. Default: no.
    pub(crate) fn report_outcomes(&mut self, yes: bool) {
        self.reporting = yes;
        if !yes {
            self.outcomes.clear();
        }
    }

    pub(crate) fn outcomes_pending(&self) -> usize {
        self.outcomes.len()
    }

    /// Messages that wait to be handed out.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits to be handed out, and no message in pieces waits for its next one.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && !self.pieces.is_begun()
    }

    /// Bytes of payload that were accepted and not yet written.
    pub(crate) fn buffered(&self) -> usize {
        self.counted() + self.pieces.bytes()
    }

    /// Those of them that count against the limits.
    fn counted(&self) -> usize {
        self.waiting_bytes + self.handed_bytes
    }

    /// Messages that were accepted and not yet written.
    pub(crate) fn unfinished(&self) -> usize {
        self.waiting.len() + self.handed_messages
    }

    /// The smallest id whose fate is open; a flush is done when it is beyond the last one accepted before.
    pub(crate) fn oldest_unfinished(&self) -> Option<MessageId> {
        let mut handed = self.handed.iter().map(|range| range.0);
        let mut waiting = self.waiting.iter().map(|entry| entry.id.0);
        let in_order = self.jumped.is_empty();
        let oldest =
            if in_order { handed.next().or_else(|| waiting.next()) } else { handed.chain(waiting).min() };
        oldest.map(MessageId)
    }

    pub(crate) fn last_accepted(&self) -> Option<MessageId> {
        (self.last > 0).then_some(MessageId(self.last))
    }

    /// Whether it was full (something was refused or evicted) and is half empty again.
    pub(crate) fn is_writable_again(&self) -> bool {
        self.was_full
            && self.unfinished() <= self.limits.messages / 2
            && self.counted() <= self.limits.bytes / 2
            && self.outcomes.len() <= MOST_OUTCOMES / 2
    }

    /// The same; true once.
    pub(crate) fn take_writable(&mut self) -> bool {
        let writable = self.is_writable_again();
        self.was_full &= !writable;
        writable
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Fails, or evicts until one more message of this length fits.
    fn make_room(&mut self, len: usize, now: Option<Instant>) -> Result<(), SendError> {
        if self.closed {
            return Err(SendError::Closed);
        }
        if len > self.limits.bytes {
            return Err(SendError::TooBig(self.limits.bytes));
        }
        if self.outcomes.len() > MOST_OUTCOMES {
            self.was_full = true;
            return Err(SendError::Full);
        }
        if self.fits(self.unfinished(), self.counted(), len) {
            return Ok(());
        }
        if let Some(now) = now {
            self.expire(now);
            if self.fits(self.unfinished(), self.counted(), len) {
                return Ok(());
            }
        }
        self.was_full = true;
        let evicts = self.limits.when_full == WhenFull::EvictOldest;
        // What was handed out cannot be evicted, nor what its owner is still at, so evicting the rest has to be enough.
        if !evicts || !self.fits(self.handed_messages + self.pieces.places(), self.handed_bytes, len) {
            return Err(SendError::Full);
        }
        while !self.fits(self.unfinished(), self.counted(), len) {
            let oldest = self.waiting.iter().position(|entry| entry.part != Part::Place);
            let Some(entry) = oldest.and_then(|oldest| self.waiting.remove(oldest)) else { break };
            self.drop_waiting(&entry, DropReason::Evicted);
        }
        Ok(())
    }

    /// Gives back the memory of lists that were long and are empty.
    pub(crate) fn shrink(&mut self) {
        fn shrink<T>(list: &mut VecDeque<T>) {
            if list.is_empty() && list.capacity() > KEPT {
                *list = VecDeque::new();
            }
        }
        shrink(&mut self.waiting);
        shrink(&mut self.handed);
        shrink(&mut self.outcomes);
    }

    /// Whether a message of this length would be taken, or refused for another reason than want of room.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        self.closed
            || self.outcomes.len() <= MOST_OUTCOMES && self.fits(self.unfinished(), self.counted(), len)
    }

    fn fits(&self, messages: usize, bytes: usize, len: usize) -> bool {
        messages < self.limits.messages && bytes + len <= self.limits.bytes
    }

    fn drop_waiting(&mut self, entry: &Entry, why: DropReason) {
        self.waiting_bytes -= entry.payload.len();
        if entry.part == Part::Place {
            self.pieces.end(entry.id, why);
            self.pieces.released = true;
        }
        self.finish(entry.id.0, entry.id.0, Fate::Dropped(why));
    }

    fn entry(&mut self, kind: Kind, payload: &[u8], ttl: Option<Duration>, now: Instant) -> Entry {
        let expires = ttl.or(self.limits.time_to_live).and_then(|ttl| now.checked_add(ttl));
        self.expires(expires);
        self.waiting_bytes += payload.len();
        Entry { id: self.next_id(), kind, part: Part::Whole, payload: payload.to_vec(), expires }
    }

    fn expires(&mut self, at: Option<Instant>) {
        self.earliest = self.earliest.into_iter().chain(at).min();
    }

    fn next_id(&mut self) -> MessageId {
        self.last += 1;
        self.tally.accepted += 1;
        MessageId(self.last)
    }

    fn hand(&mut self, id: MessageId, len: usize) {
        self.handed_messages += 1;
        self.handed_bytes += len;
        match self.handed.back_mut() {
            Some((_, last)) if *last + 1 == id.0 => *last = id.0,
            _ => self.handed.push_back((id.0, id.0)),
        }
    }

    fn finish(&mut self, from: u64, to: u64, fate: Fate) {
        let count = match fate {
            Fate::Completed(_) => &mut self.tally.written,
            Fate::Dropped(DropReason::Expired) => &mut self.tally.expired,
            Fate::Dropped(DropReason::Evicted) => &mut self.tally.evicted,
            Fate::Dropped(DropReason::Closed) => &mut self.tally.closed,
            Fate::Dropped(DropReason::Interrupted | DropReason::Abandoned) => &mut self.tally.interrupted,
            Fate::Unknown => &mut self.tally.unknown,
        };
        *count += to - from + 1;
        self.jumped.retain(|id| !(from..=to).contains(id));
        if !self.reporting {
            return;
        }
        let (first, last) = (MessageId(from), MessageId(to));
        match self.outcomes.back_mut() {
            Some(back) if back.fate == fate && back.last.0 + 1 == from => back.last = last,
            _ => self.outcomes.push_back(Outcome { first, last, fate }),
        }
    }
}
