//! The messages that were accepted and not yet as far as was asked for, and what became of each.
//!
//! Knows no clock, no socket, no lock and no thread; whoever locks it passes `now` in.
//!
//! A message is *waiting* until it is handed out to be framed, then *handed out* until all its bytes
//! were accepted by the socket, then in the *ledger* until it has reached its level. What waits, what is handed out and
//! what is kept to go again counts against the limits; only waiting ones expire or are evicted.

mod fences;
mod handing;
mod lanes;
mod ledger;
mod marks;
mod outcomes;
mod pieces;
mod proving;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::config::delivery::{Priority, Terms};
use crate::config::outbox::{OutboxLimits, WhenFull};
use crate::entry::{Entry, Kind, Part, Record};
use crate::error::SendError;
use crate::event::{DropReason, Fate, MessageId, Outcome};
use crate::link::later;
use handing::Handed;
use lanes::Lanes;
use marks::Loose;
pub(crate) use marks::Marked;
use outcomes::Outcomes;
pub(crate) use outcomes::Tally;
pub(crate) use pieces::GivenUp;
use pieces::Pieces;
use proving::Proofs;

/// So many places an idle outbox may keep.
const KEPT: usize = 16;

/// The longest header of a client's frame (RFC 6455 section 5.2), so that empty messages count, too.
const HEADER: usize = 14;

/// What a sweep for expired messages may cost for each message: it is repeated no sooner than this times them.
const SWEEP: Duration = Duration::from_micros(1);

pub(crate) struct Outbox {
    limits: OutboxLimits,
    waiting: Lanes,
    /// In the order of handing out, neighbours joined.
    handed: VecDeque<Handed>,
    handed_messages: usize,
    handed_bytes: usize,
    last: u64,
    pieces: Pieces,
    /// Only while somebody wants proof of something.
    proofs: Option<Box<Proofs>>,
    loose: Loose,
    /// For the fences of this session: random, and another one each time that they are counted anew.
    key: u64,
    /// What the socket had taken when it was last looked at; `None` without a session.
    session: Option<u64>,
    /// The kernel does not tell what is acknowledged.
    mute: bool,
    /// No waiting message expires before this.
    earliest: Option<Instant>,
    /// The last sweep was so costly that there is no other before this.
    rest_until: Option<Instant>,
    outcomes: Outcomes,
    was_full: bool,
    closed: bool,
    left_behind: bool,
}

impl Outbox {
    pub(crate) fn new(limits: OutboxLimits) -> Outbox {
        Outbox {
            limits,
            waiting: Lanes::default(),
            handed: VecDeque::new(),
            handed_messages: 0,
            handed_bytes: 0,
            last: 0,
            pieces: Pieces::default(),
            proofs: None,
            loose: Loose::default(),
            key: 0,
            session: None,
            mute: false,
            earliest: None,
            rest_until: None,
            outcomes: Outcomes::default(),
            was_full: false,
            closed: false,
            left_behind: false,
        }
    }

    /// Queues a copy behind all others of its priority. `time_to_live` stands in for that of the settings.
    ///
    /// Where the settings say to block, this says `Full` all the same: the caller waits and tries again.
    pub(crate) fn accept(
        &mut self,
        kind: Kind,
        payload: &[u8],
        terms: Terms,
        time_to_live: Option<Duration>,
        now: Instant,
    ) -> Result<MessageId, SendError> {
        self.make_room(payload.len(), terms.priority, Some(now))?;
        let entry = self.entry(kind, payload, terms, time_to_live, now);
        let id = entry.id;
        self.waiting.push_back(entry);
        Ok(id)
    }

    /// Queues a copy before all that wait.
    pub(crate) fn accept_first(
        &mut self,
        kind: Kind,
        payload: &[u8],
        terms: Terms,
        now: Instant,
    ) -> Result<MessageId, SendError> {
        let terms = Terms { priority: Priority::High, ..terms };
        self.make_room(payload.len(), terms.priority, Some(now))?;
        let entry = self.entry(kind, payload, terms, None, now);
        let id = entry.id;
        self.waiting.push_front(entry);
        Ok(id)
    }

    /// Accepts a message that its sender writes at once, which is right only while nothing waits.
    ///
    /// It is handed out already: until [`written`](Self::written) it counts as buffered.
    pub(crate) fn pass(&mut self, len: usize, terms: Terms) -> Result<MessageId, SendError> {
        debug_assert!(self.is_empty(), "a direct write would overtake what waits");
        self.make_room(len, terms.priority, None)?;
        let id = self.next_id();
        self.hand(id, len, terms);
        Ok(id)
    }

    /// When a message of now expires; `time_to_live` stands in for that of the settings.
    #[inline]
    pub(crate) fn expiry(&self, time_to_live: Option<Duration>, now: Instant) -> Option<Instant> {
        time_to_live.or(self.limits.time_to_live).and_then(|time| now.checked_add(time))
    }

    /// Drops what has expired, when [`deadline`](Self::deadline) has come; harmless at any time.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.deadline().is_none_or(|at| now < at) {
            return;
        }
        let mut expired = Vec::new();
        let is_over = |entry: &Entry| entry.expires.is_some_and(|expires| expires <= now);
        self.waiting.take(is_over, |entry| expired.push(entry));
        for entry in &expired {
            self.drop_waiting(entry, DropReason::Expired);
        }
        self.earliest = self.waiting.iter().filter_map(|entry| entry.expires).min();
        let rest = SWEEP.saturating_mul(u32::try_from(self.waiting.len()).unwrap_or(u32::MAX));
        self.rest_until = Some(later(now, rest));
    }

    /// When [`expire`](Self::expire) has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        Some(self.earliest?.max(self.rest_until.unwrap_or(self.earliest?)))
    }

    /// The client has ended: all that is left is dropped, and nothing more is accepted.
    pub(crate) fn close(&mut self) {
        let dropped_before = self.outcomes.tally.closed;
        self.closed = true;
        self.was_full = false;
        self.earliest = None;
        self.pieces.end_all(DropReason::Closed);
        for entry in self.end_ledger() {
            self.fail(&entry, DropReason::Closed);
        }
        for handed in std::mem::take(&mut self.handed) {
            self.outcomes.finish(handed.from, handed.to, Fate::Dropped(DropReason::Closed));
        }
        let mut left = Vec::new();
        self.waiting.take(|_| true, |entry| left.push(entry));
        for entry in &left {
            self.fail(entry, DropReason::Closed);
        }
        (self.handed_messages, self.handed_bytes) = (0, 0);
        self.left_behind |= self.outcomes.tally.closed > dropped_before;
    }

    /// The client has ended with unwritten messages. One in pieces that nobody can finish any more, since the client is
    /// being closed, is none of them.
    pub(crate) fn has_left_some_behind(&self) -> bool {
        self.left_behind
    }

    /// The next range of messages whose fate is known.
    pub(crate) fn next_outcome(&mut self) -> Option<Outcome> {
        self.outcomes.next()
    }

    /// Whether outcomes are kept for [`next_outcome`](Self::next_outcome); else they are only counted. Default: no.
    pub(crate) fn report_outcomes(&mut self, yes: bool) {
        self.outcomes.report(yes);
    }

    pub(crate) fn outcomes_pending(&self) -> usize {
        self.outcomes.pending()
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
        self.waiting.bytes() + self.handed_bytes + self.pieces.bytes()
    }

    /// Bytes that count against the limits.
    fn counted(&self) -> usize {
        self.waiting.bytes() + self.handed_bytes + self.kept().1
    }

    /// Messages that do.
    fn counted_messages(&self) -> usize {
        self.unfinished() + self.kept().0
    }

    /// Messages that were accepted and not yet written.
    pub(crate) fn unfinished(&self) -> usize {
        self.waiting.len() + self.handed_messages
    }

    /// The smallest id that is not written; a flush is done when it is beyond the last one accepted before.
    pub(crate) fn oldest_unfinished(&self) -> Option<MessageId> {
        let handed = self.handed.iter().map(|handed| MessageId(handed.from)).min();
        handed.into_iter().chain(self.waiting.oldest()).min()
    }

    pub(crate) fn last_accepted(&self) -> Option<MessageId> {
        (self.last > 0).then_some(MessageId(self.last))
    }

    /// Whether it was full (something was refused or evicted) and is half empty again.
    pub(crate) fn is_writable_again(&self) -> bool {
        self.was_full
            && self.counted_messages() <= self.limits.messages / 2
            && self.counted() <= self.limits.bytes / 2
            && self.outcomes.is_half_empty()
            && self.proofs.as_ref().is_none_or(|proofs| proofs.ledger.is_half_empty())
    }

    /// The same; true once.
    pub(crate) fn take_writable(&mut self) -> bool {
        let writable = self.is_writable_again();
        self.was_full &= !writable;
        writable
    }

    pub(crate) fn tally(&self) -> Tally {
        self.outcomes.tally
    }

    /// Fails, or evicts until one more message of this length fits.
    fn make_room(&mut self, len: usize, priority: Priority, now: Option<Instant>) -> Result<(), SendError> {
        if self.closed {
            return Err(SendError::Closed);
        }
        if len > self.limits.bytes {
            return Err(SendError::TooBig(self.limits.bytes));
        }
        if self.lists_are_full() {
            self.was_full = true;
            return Err(SendError::Full);
        }
        if self.fits(self.counted_messages(), self.counted(), len) {
            return Ok(());
        }
        if let Some(now) = now {
            self.expire(now);
            if self.fits(self.counted_messages(), self.counted(), len) {
                return Ok(());
            }
        }
        self.was_full = true;
        let evicts = self.limits.when_full == WhenFull::EvictOldest;
        // What was handed out or is kept cannot be evicted, nor what its owner is still at, nor what goes before: so
        // evicting the rest has to be enough.
        let ((kept, kept_bytes), (fixed, fixed_bytes)) = (self.kept(), self.waiting.fixed(priority));
        let messages = self.handed_messages + self.pieces.places() + kept + fixed;
        if !evicts || !self.fits(messages, self.handed_bytes + kept_bytes + fixed_bytes, len) {
            return Err(SendError::Full);
        }
        while !self.fits(self.counted_messages(), self.counted(), len) {
            let Some(entry) = self.waiting.pop_oldest(priority) else { break };
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
        self.waiting.lists().into_iter().for_each(shrink);
        shrink(&mut self.handed);
        shrink(self.outcomes.list());
        self.drop_proofs();
    }

    /// Whether a message of this length would be taken, or refused for another reason than want of room.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        self.closed || !self.lists_are_full() && self.fits(self.counted_messages(), self.counted(), len)
    }

    /// For how many messages its lists have memory.
    #[cfg(test)]
    pub(crate) fn places(&mut self) -> usize {
        self.waiting.lists().into_iter().map(|list| list.capacity()).sum()
    }

    /// What is told of messages, or waited for, is so much already that there may be no more of it.
    fn lists_are_full(&self) -> bool {
        self.outcomes.is_full() || self.proofs.as_ref().is_some_and(|proofs| proofs.ledger.is_full())
    }

    fn fits(&self, messages: usize, bytes: usize, len: usize) -> bool {
        messages < self.limits.messages && bytes + len <= self.limits.bytes
    }

    /// It was taken out of those that wait.
    fn drop_waiting(&mut self, entry: &Entry, why: DropReason) {
        if entry.part == Part::Place {
            self.pieces.end(entry.id, why);
            self.pieces.released = true;
        }
        self.fail(entry, why);
        self.place_marks();
    }

    /// It goes no more. One that was written on an earlier session was not simply dropped.
    fn fail(&mut self, entry: &Entry, why: DropReason) {
        match entry.record.reached {
            Some(reached) => self.lose(entry.id.0, entry.id.0, reached),
            None => self.outcomes.finish(entry.id.0, entry.id.0, Fate::Dropped(why)),
        }
    }

    fn entry(
        &mut self,
        kind: Kind,
        payload: &[u8],
        terms: Terms,
        ttl: Option<Duration>,
        now: Instant,
    ) -> Entry {
        let expires = self.expiry(ttl, now);
        self.expires(expires);
        let record = Record { terms, ..Record::default() };
        Entry { id: self.next_id(), kind, part: Part::Whole, payload: payload.to_vec(), expires, record }
    }

    fn expires(&mut self, at: Option<Instant>) {
        self.earliest = self.earliest.into_iter().chain(at).min();
    }

    fn next_id(&mut self) -> MessageId {
        self.last += 1;
        self.outcomes.tally.accepted += 1;
        MessageId(self.last)
    }
}
