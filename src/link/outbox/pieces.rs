//! Messages in pieces: what was appended and not yet handed out, whose turn it is, and why one ended early.
//!
//! Each has a place among the messages that wait. When it comes to it, its pieces are handed out as they come, and
//! nothing else is before the last one (RFC 6455 section 5.4). Their bytes have a bound of their own and do not count
//! against the outbox's limits: what waits behind a message in pieces must not keep it from going on.

use std::collections::VecDeque;
use std::time::Instant;

use super::{HEADER, Outbox};
use crate::config::delivery::{Delivery, Priority, Terms};
use crate::entry::{Entry, Kind, Part, Record};
use crate::error::SendError;
use crate::event::{DropReason, Fate, MessageId};

/// Bytes of one message that wait here at most.
const BUFFER: usize = 256 * 1024;
/// The longest piece: with its header what the wire's buffer takes at once.
const PIECE: usize = 64 * 1024 - HEADER;

/// The messages in pieces of an outbox.
#[derive(Default)]
pub(super) struct Pieces {
    /// Those of which the last piece was not handed out, in the order of their places.
    messages: VecDeque<InPieces>,
    /// The first of them is being handed out.
    begun: bool,
    /// Why those ended early whose owners may still ask.
    ended: Vec<(MessageId, DropReason)>,
    /// Bytes that were appended and not handed out, and those that were handed out and not written.
    waiting: usize,
    handed: usize,
    /// There is room for those who wait for it.
    room: bool,
    /// One has expired, which may have held up those behind it.
    pub(super) released: bool,
}

struct InPieces {
    id: MessageId,
    kind: Kind,
    terms: Terms,
    pieces: VecDeque<Vec<u8>>,
    bytes: usize,
    /// No more will be appended.
    finished: bool,
    /// It goes no further, and the session with it.
    stuck: Option<DropReason>,
}

/// What became of a message whose owner let go of it before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GivenUp {
    /// Nothing of it was handed out: it is gone.
    Whole,
    /// A part of it was handed out, and no frame can take that back: the session has to end.
    InTheMiddle,
    /// It had ended before.
    Before,
}

impl Pieces {
    pub(super) fn is_begun(&self) -> bool {
        self.begun
    }

    /// Messages of which nothing was handed out.
    pub(super) fn places(&self) -> usize {
        self.messages.len() - usize::from(self.begun)
    }

    pub(super) fn bytes(&self) -> usize {
        self.waiting + self.handed
    }

    /// Whether the first one has something to hand out.
    fn is_ready(&self) -> bool {
        self.messages
            .front()
            .is_some_and(|first| first.stuck.is_none() && (first.finished || !first.pieces.is_empty()))
    }

    /// It ends early, before anything of it was handed out.
    pub(super) fn end(&mut self, id: MessageId, why: DropReason) {
        let Some(at) = self.messages.iter().position(|message| message.id == id) else { return };
        let Some(message) = self.messages.remove(at) else { return };
        self.let_go(&message, why);
    }

    /// The session is over. `Some` for the message that was being handed out.
    pub(super) fn cut(&mut self, id: MessageId) -> Option<DropReason> {
        if !self.begun || self.messages.front().is_none_or(|first| first.id != id) {
            return None;
        }
        self.begun = false;
        let message = self.messages.pop_front()?;
        let why = message.stuck.unwrap_or(DropReason::Interrupted);
        self.let_go(&message, why);
        Some(why)
    }

    /// No session holds any of them.
    pub(super) fn nothing_handed(&mut self) {
        self.handed = 0;
    }

    pub(super) fn end_all(&mut self, why: DropReason) {
        self.begun = false;
        while let Some(message) = self.messages.pop_front() {
            self.let_go(&message, why);
        }
        self.handed = 0;
    }

    fn let_go(&mut self, message: &InPieces, why: DropReason) {
        self.waiting -= message.bytes;
        if !message.finished && why != DropReason::Abandoned {
            self.ended.push((message.id, why));
        }
    }

    /// Where it is, for its owner.
    fn find(&self, id: MessageId) -> Result<usize, DropReason> {
        if let Some((_, why)) = self.ended.iter().find(|(ended, _)| *ended == id) {
            return Err(*why);
        }
        // The owner of one that is finished asks no more.
        let at = self.messages.iter().position(|message| message.id == id).ok_or(DropReason::Closed)?;
        self.messages[at].stuck.map_or(Ok(at), Err)
    }

    /// The next piece of the first one.
    fn next(&mut self) -> Option<Entry> {
        if !self.is_ready() {
            return None;
        }
        let message = self.messages.front_mut()?;
        let piece = message.pieces.pop_front().unwrap_or_default();
        message.bytes -= piece.len();
        self.waiting -= piece.len();
        self.room |= message.bytes <= BUFFER / 2;
        let last = message.finished && message.pieces.is_empty();
        let part = match (self.begun, last) {
            (false, true) => Part::Only,
            (false, false) => Part::First,
            (true, false) => Part::Middle,
            (true, true) => Part::Last,
        };
        let record = Record { terms: message.terms, ..Record::default() };
        let entry = Entry { id: message.id, kind: message.kind, part, payload: piece, expires: None, record };
        self.begun = !last;
        if last {
            self.messages.pop_front();
        }
        Some(entry)
    }

    fn next_len(&self) -> usize {
        let first = self.messages.front().and_then(|message| message.pieces.front());
        first.map_or(0, Vec::len)
    }
}

impl InPieces {
    fn append(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(BUFFER - self.bytes);
        let mut rest = &bytes[..taken];
        self.bytes += taken;
        while !rest.is_empty() {
            let size = match self.pieces.back() {
                Some(back) if back.len() < PIECE => rest.len().min(PIECE - back.len()),
                _ => {
                    self.pieces.push_back(Vec::with_capacity(rest.len().min(PIECE)));
                    rest.len().min(PIECE)
                }
            };
            let (now, later) = rest.split_at(size);
            if let Some(back) = self.pieces.back_mut() {
                if back.capacity() - back.len() < size {
                    // Doubled, but no further than a piece: 256 KiB are to be no more than that.
                    let capacity = (back.capacity() * 2).clamp(back.len() + size, PIECE);
                    back.reserve_exact(capacity - back.len());
                }
                back.extend_from_slice(now);
            }
            rest = later;
        }
        taken
    }
}

impl Outbox {
    /// Gives a message whose pieces will come its place behind all others.
    pub(crate) fn accept_pieces(
        &mut self,
        kind: Kind,
        terms: Terms,
        now: Instant,
    ) -> Result<MessageId, SendError> {
        // Nobody keeps what has gone, and its place is its owner's as long as it is at it.
        let terms = Terms { delivery: Delivery::AtMostOnce, priority: Priority::Normal, ..terms };
        self.make_room(0, terms.priority, Some(now))?;
        let place = Entry { part: Part::Place, ..self.entry(kind, &[], terms, None, now) };
        let id = place.id;
        let pieces = VecDeque::new();
        let message = InPieces { id, kind, terms, pieces, bytes: 0, finished: false, stuck: None };
        self.pieces.messages.push_back(message);
        self.waiting.push_back(place);
        Ok(id)
    }

    /// How many bytes can be appended now.
    ///
    /// # Errors
    ///
    /// The message has ended early.
    pub(crate) fn room_for_pieces(&self, id: MessageId) -> Result<usize, DropReason> {
        let at = self.pieces.find(id)?;
        Ok(BUFFER - self.pieces.messages[at].bytes)
    }

    /// Takes as many bytes as there is room for.
    pub(crate) fn append(&mut self, id: MessageId, bytes: &[u8]) -> Result<usize, DropReason> {
        let at = self.pieces.find(id)?;
        let taken = self.pieces.messages[at].append(bytes);
        self.pieces.waiting += taken;
        Ok(taken)
    }

    /// No more will be appended.
    pub(crate) fn finish_pieces(&mut self, id: MessageId) -> Result<(), DropReason> {
        let at = self.pieces.find(id)?;
        self.pieces.messages[at].finished = true;
        Ok(())
    }

    /// Its owner lets go of a message that is not finished.
    pub(crate) fn give_up_pieces(&mut self, id: MessageId) -> GivenUp {
        match self.pieces.find(id) {
            Ok(0) if self.pieces.begun => {
                self.pieces.messages[0].stuck = Some(DropReason::Abandoned);
                GivenUp::InTheMiddle
            }
            Ok(_) => {
                self.remove_places(|place| place == id, DropReason::Abandoned);
                GivenUp::Whole
            }
            Err(_) => {
                // One that is stuck is told of when the session ends, and nobody asks for it any more.
                if let Some(stuck) = self.pieces.messages.iter_mut().find(|message| message.id == id) {
                    stuck.finished = true;
                }
                self.pieces.ended.retain(|(ended, _)| *ended != id);
                GivenUp::Before
            }
        }
    }

    /// The client is closing: messages that are not finished can be no more.
    pub(crate) fn close_pieces(&mut self) {
        if self.pieces.begun
            && let Some(first) = self.pieces.messages.front_mut()
            && !first.finished
        {
            first.stuck.get_or_insert(DropReason::Closed);
        }
        let skip = usize::from(self.pieces.begun);
        let unfinished = self.pieces.messages.iter().skip(skip).filter(|message| !message.finished);
        let unfinished: Vec<_> = unfinished.map(|message| message.id).collect();
        self.remove_places(|id| unfinished.contains(&id), DropReason::Closed);
    }

    /// Whether nothing that waits can go before the session has ended.
    pub(crate) fn is_stuck(&self) -> bool {
        self.pieces.begun && self.pieces.messages.front().is_some_and(|first| first.stuck.is_some())
    }

    /// Whether there is something to hand out: a message in pieces holds up all behind it until it has one.
    pub(crate) fn is_ready(&self) -> bool {
        match self.waiting.front() {
            _ if self.pieces.begun => self.pieces.is_ready(),
            Some(entry) if entry.part == Part::Place => self.pieces.is_ready(),
            first => first.is_some(),
        }
    }

    /// Whether room came for those who wait to append; says so once.
    pub(crate) fn take_room_for_pieces(&mut self) -> bool {
        std::mem::take(&mut self.pieces.room)
    }

    /// Whether one has expired that may have held up those behind it; says so once.
    pub(crate) fn take_released(&mut self) -> bool {
        std::mem::take(&mut self.pieces.released)
    }

    /// So many bytes of pieces were accepted by the socket.
    pub(crate) fn pieces_written(&mut self, bytes: usize) {
        self.pieces.handed -= bytes.min(self.pieces.handed);
        self.outcomes.tally.written_bytes += bytes as u64;
    }

    /// Hands out pieces of the first message of that kind, as far as they are there and fit; `true` when that was all
    /// of it. `bytes` counts what was handed out so far.
    pub(super) fn hand_out_pieces(
        &mut self,
        max: usize,
        bytes: &mut usize,
        to: &mut impl FnMut(Entry),
    ) -> bool {
        loop {
            let size = self.pieces.next_len() + HEADER;
            if *bytes > 0 && bytes.saturating_add(size) > max {
                return false;
            }
            let Some(entry) = self.pieces.next() else { return false };
            *bytes = bytes.saturating_add(size);
            let (part, len) = (entry.part, entry.payload.len());
            match part {
                Part::Only => self.hand(entry.id, len, entry.record.terms),
                _ => {
                    self.pieces.handed += len;
                    if part == Part::First {
                        self.hand(entry.id, 0, entry.record.terms);
                    }
                }
            }
            to(entry);
            if matches!(part, Part::Only | Part::Last) {
                return true;
            }
        }
    }

    /// The same for one whose turn it is; it gives up its place with its first piece.
    pub(super) fn hand_out_place(
        &mut self,
        max: usize,
        bytes: &mut usize,
        to: &mut impl FnMut(Entry),
    ) -> bool {
        let fits = *bytes == 0 || bytes.saturating_add(self.pieces.next_len() + HEADER) <= max;
        if !fits || !self.pieces.is_ready() {
            return false;
        }
        self.waiting.pop_front();
        self.hand_out_pieces(max, bytes, to)
    }

    /// Takes messages in pieces back of which nothing was handed out.
    fn remove_places(&mut self, mut which: impl FnMut(MessageId) -> bool, why: DropReason) {
        let mut gone = Vec::new();
        self.waiting.take(|entry| entry.part == Part::Place && which(entry.id), |entry| gone.push(entry.id));
        for id in gone {
            self.pieces.end(id, why);
            self.outcomes.finish(id.0, id.0, Fate::Dropped(why));
        }
        self.place_marks();
    }
}
