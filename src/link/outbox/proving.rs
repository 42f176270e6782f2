//! What is proven of messages that were written: by acknowledged bytes, and by the pongs of fences.

use std::collections::VecDeque;

use super::fences::{Fences, PAYLOAD};
use super::ledger::Ledger;
use super::marks::Marks;
use super::{Marked, Outbox};
use crate::entry::{Entry, Kind};
use crate::event::{Fate, Level, MessageId};

/// What somebody wants to be proven.
#[derive(Default)]
pub(super) struct Proofs {
    pub(super) ledger: Ledger,
    pub(super) fences: Fences,
    pub(super) marks: Marks,
    /// What goes again and the program has not seen before that.
    unstamped: VecDeque<MessageId>,
}

impl Proofs {
    pub(super) fn are_empty(&self) -> bool {
        self.ledger.messages() == 0 && self.marks.is_empty() && self.unstamped.is_empty()
    }
}

impl Outbox {
    pub(super) fn proofs(&mut self) -> &mut Proofs {
        self.proofs.get_or_insert_with(|| {
            let mut proofs = Box::<Proofs>::default();
            proofs.fences.begin_session(self.key);
            proofs
        })
    }

    /// Gives back their memory if nobody wants proof of anything.
    pub(super) fn drop_proofs(&mut self) {
        if self.proofs.take_if(|proofs| proofs.are_empty()).is_some() {
            // A ping that nobody waits for any more may still be answered, and the next ones begin at its number.
            self.key = self.key.wrapping_add(1);
        }
    }

    /// Messages that are kept to go again, and their bytes.
    #[inline]
    pub(super) fn kept(&self) -> (usize, usize) {
        self.proofs.as_ref().map_or((0, 0), |proofs| proofs.ledger.kept())
    }

    /// Messages from this one on, which end at this offset, are complete with this level.
    #[inline]
    pub(super) fn completed(&mut self, from: u64, at: Level, end: u64) {
        self.loose.completed(at, end);
        if let Some(proofs) = &mut self.proofs {
            proofs.marks.completed(from, at, end);
        }
    }

    /// A session begins, and everything that is proven from here on is about it. `key` is random; `tells`: the kernel
    /// counts what is acknowledged.
    pub(crate) fn begin_session(&mut self, key: u64, taken: u64, tells: bool) {
        self.key = key;
        if let Some(proofs) = &mut self.proofs {
            proofs.fences.begin_session(key);
            // Those who want to see them have.
            proofs.unstamped = VecDeque::new();
        }
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
        let unwritten = if self.has_marks() { self.oldest_unfinished() } else { return };
        if let Some(proofs) = &mut self.proofs {
            proofs.marks.place(unwritten, self.session);
        }
    }

    /// Whether something waits that only the kernel's count of acknowledged bytes can prove.
    #[inline]
    pub(crate) fn awaits_acknowledgement(&self) -> bool {
        let awaits = |proofs: &Proofs| {
            proofs.ledger.awaits_acknowledgement() || proofs.marks.await_proof_of(Level::Acked)
        };
        !self.mute && self.proofs.as_deref().is_some_and(awaits)
    }

    /// The peer's TCP has acknowledged so many bytes of the session. `true` if that has completed something.
    pub(crate) fn acknowledged(&mut self, bytes: u64) -> bool {
        self.loose.proven(Level::Acked, bytes);
        let Some(Proofs { ledger, marks, .. }) = self.proofs.as_deref_mut() else { return false };
        let before = ledger.messages();
        while let Some(line) = ledger.acknowledged(bytes) {
            self.loose.completed(Level::Acked, line.end);
            marks.completed(line.from, Level::Acked, line.end);
            self.outcomes.finish(line.from, line.to, Fate::Completed(Level::Acked));
        }
        marks.proven(Level::Acked, bytes) || ledger.messages() < before
    }

    /// The payload of a ping that is to be written now, before anything else, if one is needed.
    pub(crate) fn fence(&mut self) -> Option<[u8; PAYLOAD]> {
        self.needs_fence().then(|| {
            let end = self.session.unwrap_or_default();
            self.proofs().fences.send(end)
        })
    }

    /// Whether [`fence`](Self::fence) has one.
    #[inline]
    pub(crate) fn needs_fence(&self) -> bool {
        let may_send = |proofs: &Proofs| proofs.fences.may_send();
        self.is_unprocessed() && self.session.is_some() && self.proofs.as_deref().is_some_and(may_send)
    }

    /// A pong came. `true` if it has completed something.
    pub(crate) fn pong(&mut self, payload: &[u8]) -> bool {
        let Some(Proofs { ledger, fences, marks, .. }) = self.proofs.as_deref_mut() else { return false };
        let Some(end) = fences.answered(payload) else { return false };
        self.loose.proven(Level::Processed, end);
        let before = ledger.messages();
        for level in [Level::Acked, Level::Processed] {
            while let Some(line) = ledger.complete(level, end) {
                self.outcomes.finish(line.from, line.to, Fate::Completed(level));
            }
        }
        marks.proven(Level::Processed, end) || ledger.messages() < before
    }

    /// Whether something may still be proven of what was written.
    pub(crate) fn awaits_proof(&self) -> bool {
        self.awaits_acknowledgement() || self.is_unprocessed()
    }

    /// Whether something waits that only a pong can prove.
    #[inline]
    fn is_unprocessed(&self) -> bool {
        let waits = |proofs: &Proofs| {
            proofs.ledger.is_unprocessed(self.mute) || proofs.marks.await_proof_of(Level::Processed)
        };
        self.proofs.as_deref().is_some_and(waits)
    }

    /// Messages that were written and have not reached their level.
    pub(crate) fn unconfirmed(&self) -> usize {
        self.proofs.as_ref().map_or(0, |proofs| proofs.ledger.messages())
    }

    /// Begins to wait until all that was accepted so far has reached this level.
    pub(crate) fn mark(&mut self, level: Level) -> u64 {
        let last = self.last_accepted();
        let loose = self.loose;
        let number = self.proofs().marks.add(last, level, loose);
        self.place_marks();
        number
    }

    pub(crate) fn has_marks(&self) -> bool {
        self.proofs.as_ref().is_some_and(|proofs| !proofs.marks.is_empty())
    }

    pub(crate) fn marked(&self, mark: u64) -> Marked {
        self.proofs.as_ref().map_or(Marked::Lost, |proofs| proofs.marks.get(mark))
    }

    pub(crate) fn unmark(&mut self, mark: u64) {
        if let Some(proofs) = &mut self.proofs {
            proofs.marks.remove(mark);
        }
    }

    /// The next message that goes again and that the program is to see before: its payload is taken out until
    /// [`stamped`](Self::stamped).
    pub(crate) fn next_unstamped(&mut self) -> Option<(MessageId, Kind, u32, Vec<u8>)> {
        let proofs = self.proofs.as_mut()?;
        while let Some(id) = proofs.unstamped.pop_front() {
            let taken = self.waiting.change(id, |entry| {
                (id, entry.kind, entry.record.replays, std::mem::take(&mut entry.payload))
            });
            // One that is not there went meanwhile.
            if taken.is_some() {
                return taken;
            }
        }
        None
    }

    /// The program has seen it; it may be gone meanwhile.
    pub(crate) fn stamped(&mut self, id: MessageId, kind: Kind, payload: Vec<u8>) {
        self.waiting.change(id, |entry| {
            entry.kind = kind;
            entry.payload = payload;
        });
    }

    /// The session is over, or the client: what goes again, and the fates of the others.
    pub(super) fn end_ledger(&mut self) -> VecDeque<Entry> {
        let mut unknown = Vec::new();
        let Some(proofs) = &mut self.proofs else { return VecDeque::new() };
        let mut again =
            proofs.ledger.end_session(|line, reached| unknown.push((line.from, line.to, reached)));
        for entry in &mut again {
            entry.record.replays += 1;
        }
        proofs.unstamped.extend(again.iter().map(|entry| entry.id));
        for (from, to, reached) in unknown {
            self.lose(from, to, reached);
        }
        again
    }

    /// Nobody can tell how far these got, but that it was so far at least.
    pub(super) fn lose(&mut self, from: u64, to: u64, reached: Level) {
        if let Some(proofs) = &mut self.proofs {
            proofs.marks.unknown(from, reached);
        }
        self.outcomes.finish(from, to, Fate::Unknown(reached));
    }
}
