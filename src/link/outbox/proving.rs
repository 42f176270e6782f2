//! What is proven of messages that were written: by acknowledged bytes, and by the pongs of fences.

use std::collections::VecDeque;

use super::fences::PAYLOAD;
use super::{Marked, Outbox};
use crate::entry::{Entry, Kind};
use crate::event::{Fate, Level, MessageId};

impl Outbox {
    /// A session begins, and everything that is proven from here on is about it. `key` is random; `tells`: the kernel
    /// counts what is acknowledged.
    pub(crate) fn begin_session(&mut self, key: u64, taken: u64, tells: bool) {
        self.fences.begin_session(key);
        self.session = Some(taken);
        self.mute = !tells;
    }

    /// The socket has taken so many bytes of the session; to be said after what was written by then.
    pub(crate) fn taken(&mut self, bytes: u64) {
        if self.session.is_some() {
            self.session = Some(bytes);
        }
        self.place_marks();
    }

    /// Some messages may be out of the way of a mark.
    pub(super) fn place_marks(&mut self) {
        if !self.marks.is_empty() {
            self.marks.place(self.oldest_unfinished(), self.session);
        }
    }

    /// Whether something waits that only the kernel's count of acknowledged bytes can prove.
    #[inline]
    pub(crate) fn awaits_acknowledgement(&self) -> bool {
        !self.mute && (self.ledger.awaits_acknowledgement() || self.marks.awaits_acknowledgement())
    }

    /// The peer's TCP has acknowledged so many bytes of the session. `true` if that has completed something.
    pub(crate) fn acknowledged(&mut self, bytes: u64) -> bool {
        let before = self.ledger.messages();
        while let Some(line) = self.ledger.acknowledged(bytes) {
            self.marks.completed(Level::Acked, line.end);
            self.outcomes.finish(line.from, line.to, Fate::Completed(Level::Acked));
        }
        self.marks.proven(Level::Acked, bytes) || self.ledger.messages() < before
    }

    /// The payload of a ping that is to be written now, before anything else, if one is needed.
    pub(crate) fn fence(&mut self) -> Option<[u8; PAYLOAD]> {
        self.needs_fence().then(|| self.fences.send(self.session.unwrap_or_default()))
    }

    /// Whether [`fence`](Self::fence) has one.
    #[inline]
    pub(crate) fn needs_fence(&self) -> bool {
        self.is_unprocessed() && self.session.is_some() && self.fences.may_send()
    }

    /// A pong came. `true` if it has completed something.
    pub(crate) fn pong(&mut self, payload: &[u8]) -> bool {
        let Some(end) = self.fences.answered(payload) else { return false };
        let before = self.ledger.messages();
        for level in [Level::Acked, Level::Processed] {
            while let Some(line) = self.ledger.complete(level, end) {
                self.outcomes.finish(line.from, line.to, Fate::Completed(level));
            }
        }
        self.marks.proven(Level::Processed, end) || self.ledger.messages() < before
    }

    /// Whether something may still be proven of what was written.
    pub(crate) fn awaits_proof(&self) -> bool {
        self.awaits_acknowledgement() || self.is_unprocessed()
    }

    /// Whether something waits that only a pong can prove.
    #[inline]
    fn is_unprocessed(&self) -> bool {
        self.ledger.is_unprocessed() || self.marks.is_unprocessed()
    }

    /// Messages that were written and have not reached their level.
    pub(crate) fn unconfirmed(&self) -> usize {
        self.ledger.messages()
    }

    /// Begins to wait until all that was accepted so far has reached this level.
    pub(crate) fn mark(&mut self, level: Level) -> u64 {
        let number = self.marks.add(self.last_accepted(), level);
        self.place_marks();
        number
    }

    pub(crate) fn has_marks(&self) -> bool {
        !self.marks.is_empty()
    }

    pub(crate) fn marked(&self, mark: u64) -> Marked {
        self.marks.get(mark)
    }

    pub(crate) fn unmark(&mut self, mark: u64) {
        self.marks.remove(mark);
    }

    /// The next message that goes again and that the program is to see before: its payload is taken out until
    /// [`stamped`](Self::stamped).
    pub(crate) fn next_unstamped(&mut self) -> Option<(MessageId, Kind, u32, Vec<u8>)> {
        let entry = self.waiting.iter().find(|entry| entry.record.unstamped)?;
        let (id, kind, number) = (entry.id, entry.kind, entry.record.replays);
        let mut payload = Vec::new();
        self.waiting.change(
            |entry| entry.id == id,
            |entry| {
                entry.record.unstamped = false;
                payload = std::mem::take(&mut entry.payload);
            },
        );
        Some((id, kind, number, payload))
    }

    /// The program has seen it; it may be gone meanwhile.
    pub(crate) fn stamped(&mut self, id: MessageId, kind: Kind, payload: Vec<u8>) {
        self.waiting.change(
            |entry| entry.id == id,
            |entry| {
                entry.kind = kind;
                entry.payload = payload;
            },
        );
    }

    /// The session is over, or the client: what goes again, and the fates of the others.
    pub(super) fn end_ledger(&mut self) -> VecDeque<Entry> {
        let mut unknown = Vec::new();
        let mut again = self.ledger.end_session(|line, reached| unknown.push((line.from, line.to, reached)));
        for (from, to, reached) in unknown {
            self.lose(from, to, reached);
        }
        for entry in &mut again {
            entry.record.replays += 1;
            entry.record.unstamped = true;
        }
        again
    }

    /// Nobody can tell how far these got, but that it was so far at least.
    pub(super) fn lose(&mut self, from: u64, to: u64, reached: Level) {
        self.marks.unknown(from);
        self.outcomes.finish(from, to, Fate::Unknown(reached));
    }
}
