//! What is handed out to be written, and what comes back: written whole, or not, because the session is over.

use std::collections::VecDeque;
use std::time::Instant;

use super::marks::Loose;
use super::{HEADER, Outbox};
use crate::config::delivery::Terms;
use crate::entry::{Entry, Part};
use crate::event::{DropReason, Fate, Level, MessageId};

/// Messages with consecutive ids and the same terms that are handed out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handed {
    pub(super) from: u64,
    pub(super) to: u64,
    terms: Terms,
}

impl Outbox {
    /// Gives the oldest to `to`, to be framed, those of high priority first: at least one if any waits, then up to
    /// `max_bytes` in frames.
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
                self.hand(entry.id, len, entry.record.terms);
                to(entry);
            }
        }
        if self.waiting.is_empty() {
            self.earliest = None;
        }
    }

    #[inline]
    pub(super) fn hand(&mut self, id: MessageId, len: usize, terms: Terms) {
        self.handed_messages += 1;
        self.handed_bytes += len;
        match self.handed.back_mut() {
            Some(last) if last.to + 1 == id.0 && last.terms == terms => last.to = id.0,
            _ => self.handed.push_back(Handed { from: id.0, to: id.0, terms }),
        }
    }

    /// All bytes of the oldest `messages` that were handed out, `first` to `last`, were accepted by the socket, which
    /// had taken `end` bytes of the session when that was seen.
    pub(crate) fn written(
        &mut self,
        first: MessageId,
        last: MessageId,
        messages: usize,
        bytes: usize,
        end: u64,
    ) {
        debug_assert!(self.closed || self.handed.front().is_none_or(|handed| handed.from == first.0));
        debug_assert!(messages != 1 || first == last);
        let mut left = messages as u64;
        while left > 0 {
            let Some(handed) = self.handed.front_mut() else { break };
            let (from, to, terms) = (handed.from, handed.to.min(handed.from + (left - 1)), handed.terms);
            if to == handed.to {
                self.handed.pop_front();
            } else {
                handed.from = to + 1;
            }
            let done = to - from + 1;
            left -= done;
            self.handed_messages -= done as usize;
            match terms.level() {
                Level::Written => {
                    self.completed(from, Level::Written, end);
                    self.outcomes.finish(from, to, Fate::Completed(Level::Written));
                }
                level => self.proofs().ledger.add(from, to, level, terms.goes_again(), end),
            }
        }
        let bytes = if self.handed_messages == 0 { self.handed_bytes } else { bytes.min(self.handed_bytes) };
        self.handed_bytes -= bytes;
        self.outcomes.tally.written_bytes += bytes as u64;
    }

    /// The payload of one that was [`written`](Self::written) and goes again if the session dies.
    pub(crate) fn keep(&mut self, entry: Entry) {
        if !self.closed {
            self.outcomes.tally.replayed += u64::from(entry.record.reached.is_some());
            self.proofs().ledger.keep(entry);
        }
    }

    /// The session is gone: what goes again, and then what was handed out and not written, goes back before all that
    /// wait, in its order.
    ///
    /// A message that was handed out and is not among `entries` has an unknown fate. `acknowledged` are the bytes of
    /// the session that the peer's TCP has, as far as the system tells.
    pub(crate) fn restore(&mut self, mut entries: VecDeque<Entry>, acknowledged: Option<u64>) {
        if let Some(acknowledged) = acknowledged {
            self.acknowledged(acknowledged);
        }
        self.session = None;
        if let Some(proofs) = &mut self.proofs {
            proofs.marks.end_session();
        }
        self.loose = Loose::default();
        let mut restored = self.end_ledger();
        let handed = std::mem::take(&mut self.handed);
        (self.handed_messages, self.handed_bytes) = (0, 0);
        if self.closed {
            return;
        }
        self.pieces.nothing_handed();
        for id in handed.into_iter().flat_map(|handed| handed.from..=handed.to) {
            let mut fate = self.pieces.cut(MessageId(id)).map(Fate::Dropped);
            let mut whole = None;
            while entries.front().is_some_and(|entry| entry.id.0 == id) {
                match entries.pop_front() {
                    Some(entry) if entry.part.is_whole() => whole = Some(entry),
                    // Its last piece was in the wire; the first ones are gone.
                    _ => fate = fate.or(Some(Fate::Dropped(DropReason::Interrupted))),
                }
            }
            match (whole, fate) {
                (Some(entry), _) => restored.push_back(entry),
                (None, Some(fate)) => self.outcomes.finish(id, id, fate),
                (None, None) => self.lose(id, id, Level::Written),
            }
        }
        debug_assert!(entries.is_empty(), "restored what was never handed out");
        for entry in restored.into_iter().rev() {
            self.expires(entry.expires);
            self.waiting.push_front(entry);
        }
        self.place_marks();
    }
}
