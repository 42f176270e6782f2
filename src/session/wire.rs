//! The writing half of a session: the stream, what is on its way into it, and what became of that.
//!
//! Whoever holds the wire writes; it never blocks. Messages are framed in the order in which they were given, each in
//! one frame, or in fragments where a size is set or it comes in pieces. A message stays here with its payload until
//! the stream has accepted its last byte, since what was not written whole goes out again on the next session. Knows no
//! socket, no clock and no limits but its own 64 KiB.
//!
//! Where compression was agreed on, a message is compressed when its frame is begun: from there on nothing but control
//! frames can get before it, so the compressor sees messages in the order in which the server inflates them. Messages
//! in pieces are not compressed.

mod control;
mod fragments;
mod framing;
mod spare;

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::mem;
use std::time::Instant;

use super::deflate::{Agreed, Deflater};
use super::frame::{CONTROL_PAYLOAD_MAX, HEAD_MAX, Lead, Opcode};
use super::writer::{BOUND, Outgoing};
use super::written::Written;
use crate::config::delivery::Terms;
use crate::entry::{Entry, Kind, Part, Record};
use crate::event::MessageId;
use control::Control;
use fragments::{Begun, ends_message};
use spare::Spare;

/// The end offset of an item that is not wholly framed.
const UNFRAMED: u64 = u64::MAX;

/// How far writing came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flush {
    /// The stream accepted everything there was.
    Done,
    /// The stream takes no more for now.
    Blocked,
    /// Much of a fragmented message was written, and there is more: what came meanwhile may want an answer between.
    Paused,
    /// Writing failed, now or before; the error is in the wire.
    Failed,
}

/// A stream with what is on its way into it.
pub(crate) struct Wire<S> {
    pub(crate) stream: S,
    /// What writing failed with first.
    pub(crate) error: Option<io::Error>,
    /// Stays when the error is taken: after a failure nothing is written.
    failed: bool,
    out: Outgoing,
    /// Bytes that the stream accepted in all.
    accepted: u64,
    /// What is not wholly accepted; the first `framed` of them are wholly in `out`.
    sending: VecDeque<Sending>,
    framed: usize,
    /// How far the item after those is framed, if it is begun.
    begun: Option<Begun>,
    /// The longest payload of a frame.
    fragment: usize,
    /// The message that was given last is in pieces, and there are more to come.
    mid_message: bool,
    /// Bytes that the unframed items will take, about.
    queued: usize,
    /// Pings among the unframed items.
    pings: usize,
    pong: Option<Control>,
    /// Where the last pong ends: a second one waits until the first is gone.
    pong_end: u64,
    /// Boxed: it would be an eighth of an idle wire.
    closing: Option<Box<Closing>>,
    beat_end: Option<u64>,
    written: Written,
    spare: Spare,
    /// Only where compression was agreed on.
    deflater: Option<Deflater>,
}

struct Sending {
    /// A message of the outbox; what has none is not given to the next session.
    id: Option<MessageId>,
    opcode: Opcode,
    part: Part,
    payload: Vec<u8>,
    expires: Option<Instant>,
    record: Record,
    /// The offset behind its last byte.
    end: u64,
    /// A beat is counted as written with this.
    beat: bool,
}

struct Closing {
    frame: Control,
    /// How many unframed items go before it.
    ahead: usize,
    framed: bool,
}

impl<S: Read + Write> Wire<S> {
    /// Takes over a stream whose upgrade is done.
    pub(crate) fn new(stream: S) -> Wire<S> {
        Wire {
            stream,
            error: None,
            failed: false,
            out: Outgoing::new(),
            accepted: 0,
            sending: VecDeque::new(),
            framed: 0,
            begun: None,
            fragment: usize::MAX,
            mid_message: false,
            queued: 0,
            pings: 0,
            pong: None,
            pong_end: 0,
            closing: None,
            beat_end: None,
            written: Written::default(),
            spare: Spare::default(),
            deflater: None,
        }
    }

    /// Compresses from now on what is worth it, as was agreed on in the upgrade.
    pub(crate) fn agree(&mut self, agreed: &Agreed) {
        self.deflater = Some(Deflater::new(agreed));
    }

    /// Writes a borrowed message that goes once at most, as far as the stream takes it, after what was given before.
    ///
    /// The payload is copied only if it could not be written whole: on the next session, should there be one for it, it
    /// has to know what was asked.
    pub(crate) fn send_now(
        &mut self,
        id: MessageId,
        kind: Kind,
        payload: &[u8],
        expires: Option<Instant>,
        terms: Terms,
    ) -> Flush {
        debug_assert!(!terms.goes_again(), "its payload has to be kept");
        let (part, record) = (Part::Whole, Record { terms, ..Record::default() });
        let owned =
            |spare: &mut Spare| Entry { id, kind, part, payload: spare.copy(payload), expires, record };
        let opcode = Opcode::from(kind);
        let compressed = self.deflater.as_ref().is_some_and(|deflater| deflater.wants(opcode, payload.len()));
        let fragmented = payload.len() > self.fragment;
        if self.failed || self.closing.is_some() || compressed || fragmented || !self.is_idle() {
            let entry = owned(&mut self.spare);
            self.push(entry);
            return self.flush();
        }
        let len = payload.len();
        let key = self.out.begin(Lead::whole(opcode), len);
        let mut begun = Begun { key, compressed: false, from: 0, to: len, done: 0, len };
        let flush = loop {
            begun.done += self.out.append(&payload[begun.done..], begun.key, begun.done);
            let flush = self.write_out();
            if flush != Flush::Done {
                break flush;
            }
            if begun.done == payload.len() {
                self.written.note(id, payload.len());
                return Flush::Done;
            }
        };
        let entry = owned(&mut self.spare);
        self.queue(Sending::message(entry));
        self.begun = Some(begun);
        self.frame();
        flush
    }

    /// Takes a message; writes nothing yet. Ask [`room`](Self::room) before.
    pub(crate) fn push(&mut self, entry: Entry) {
        self.line_up(entry);
        self.frame();
    }

    /// The same, but leaves the framing to the flush, so that it costs next to nothing where others wait for a lock.
    #[inline]
    pub(crate) fn line_up(&mut self, entry: Entry) {
        if !entry.part.is_whole() {
            self.mid_message = !ends_message(entry.part);
        }
        self.queue(Sending::message(entry));
    }

    /// Takes a message of this session only: a greeting, or a heartbeat's text. It has no id and no outcome.
    pub(crate) fn prologue(&mut self, kind: Kind, payload: &[u8]) {
        self.queue_for_session(kind.into(), payload);
    }

    /// Takes a ping, which goes after what was given before. The payload has at most 125 bytes.
    pub(crate) fn ping(&mut self, payload: &[u8]) {
        debug_assert!(payload.len() <= CONTROL_PAYLOAD_MAX);
        self.queue_for_session(Opcode::Ping, &payload[..payload.len().min(CONTROL_PAYLOAD_MAX)]);
    }

    /// Remembers the end of what was given so far, as that of a heartbeat.
    pub(crate) fn mark_beat(&mut self) {
        self.beat_end = None;
        self.sending.iter_mut().for_each(|item| item.beat = false);
        match self.sending.back_mut() {
            Some(last) if last.end == UNFRAMED => last.beat = true,
            _ => self.beat_end = Some(self.end()),
        }
    }

    /// Whether the stream has accepted all up to the mark; says so once.
    pub(crate) fn beat_written(&mut self) -> bool {
        self.beat_end.take_if(|end| *end <= self.accepted).is_some()
    }

    /// Owes the answer to a ping. At most one is owed, the newest; it goes between two frames, before what waits.
    pub(crate) fn owe_pong(&mut self, payload: &[u8]) {
        if self.closing.as_ref().is_none_or(|closing| !closing.framed) {
            self.pong = Some(Control::new([payload, &[]]));
        }
        self.frame();
    }

    /// Takes the Close frame, which goes after all that was given before; nothing goes after it.
    ///
    /// The first call counts. `None` sends no code.
    pub(crate) fn close(&mut self, code: Option<u16>, reason: &str) {
        self.begin_close(code, reason, self.sending.len() - self.framed);
    }

    /// Like [`close`](Self::close), but goes before all that is not begun, and before the fragments that are not begun
    /// of what is: it is given back at the end.
    ///
    /// This is how to answer the server's Close, behind which it reads no more.
    pub(crate) fn close_now(&mut self, code: Option<u16>, reason: &str) {
        self.begin_close(code, reason, usize::from(self.begun.is_some_and(|begun| begun.is_in_last_frame())));
    }

    /// Writes until all is written, the stream takes no more, or it fails; of fragments a bounded part.
    pub(crate) fn flush(&mut self) -> Flush {
        let from = self.accepted;
        loop {
            self.frame();
            match self.write_out() {
                Flush::Done if self.is_idle() => return Flush::Done,
                Flush::Done if self.should_pause(from) => return Flush::Paused,
                Flush::Done => {}
                stopped => return stopped,
            }
        }
    }

    /// How many bytes of payload may still be pushed; a message that is longer may go when nothing else waits.
    pub(crate) fn room(&self) -> usize {
        let done = self.begun.map_or(0, |begun| begun.done);
        BOUND.saturating_sub((self.out.len() + self.queued).saturating_sub(done))
    }

    /// Whether there is nothing to write. Messages that came after a Close do not count: they stay here.
    pub(crate) fn is_idle(&self) -> bool {
        let all_framed = match &self.closing {
            Some(closing) => closing.framed,
            None => self.framed == self.sending.len() && self.pong.is_none(),
        };
        self.out.is_empty() && all_framed
    }

    /// The messages that the stream wholly accepted since the last call.
    pub(crate) fn take_written(&mut self) -> Written {
        mem::take(&mut self.written)
    }

    /// Bytes that the stream accepted since the upgrade, before TLS.
    #[cfg(test)]
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Whether [`shrink`](Self::shrink), called now and then again, would give something back.
    pub(crate) fn has_spare(&self) -> bool {
        let deflater = self.deflater.as_ref().is_some_and(Deflater::has_spare);
        self.is_idle() && (deflater || self.out.has_spare() || self.has_spare_list() || self.spare.is_there())
    }

    /// Gives memory back that the last stretch did not need; while something waits to be written, nothing.
    pub(crate) fn shrink(&mut self) {
        if self.is_idle() {
            self.out.shrink();
            self.spare.shrink();
            if let Some(deflater) = &mut self.deflater {
                deflater.shrink();
            }
            if self.has_spare_list() {
                self.sending = VecDeque::new();
            }
        }
    }

    fn has_spare_list(&self) -> bool {
        self.sending.is_empty() && self.sending.capacity() > 16
    }

    /// The stream has accepted so many bytes that it refused when they were offered; no write will tell of them when the
    /// session ends.
    pub(crate) fn accepted_since(&mut self, bytes: usize) {
        let bytes = bytes.min(self.out.len());
        if bytes > 0 {
            self.out.accepted(bytes);
            self.accepted += bytes as u64;
            self.settle();
        }
    }

    /// Ends the session: the stream, and the messages that were not written whole, in order.
    pub(crate) fn into_unsent(self) -> (S, VecDeque<Entry>) {
        (self.stream, self.sending.into_iter().filter_map(Sending::into_entry).collect())
    }

    /// The offset behind all that is framed.
    fn end(&self) -> u64 {
        self.accepted + self.out.len() as u64
    }

    fn queue(&mut self, item: Sending) {
        self.queued += item.cost();
        self.sending.push_back(item);
    }

    fn queue_for_session(&mut self, opcode: Opcode, payload: &[u8]) {
        if self.failed || self.closing.is_some() {
            return;
        }
        let (part, payload) = (Part::Whole, payload.to_vec());
        let (expires, record) = (None, Record::default());
        self.queue(Sending { id: None, opcode, part, payload, expires, record, end: UNFRAMED, beat: false });
        self.pings += usize::from(opcode == Opcode::Ping);
        // What would get before the rest of a message that is begun has to be marked as a beat before.
        if self.begun.is_none() {
            self.frame();
        }
    }

    /// Writes what is framed.
    fn write_out(&mut self) -> Flush {
        while !self.failed && !self.out.is_empty() {
            let pending = self.out.pending();
            match self.stream.write(pending) {
                Ok(0) => self.fail(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => {
                    let bytes = bytes.min(pending.len());
                    self.out.accepted(bytes);
                    self.accepted += bytes as u64;
                    self.settle();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Flush::Blocked,
                Err(error) => self.fail(error),
            }
        }
        if self.failed { Flush::Failed } else { Flush::Done }
    }

    fn fail(&mut self, error: io::Error) {
        self.failed = true;
        self.error.get_or_insert(error);
    }

    /// Lets go of what was wholly accepted.
    fn settle(&mut self) {
        while self.sending.front().is_some_and(|item| item.end <= self.accepted) {
            self.framed -= 1;
            let Some(item) = self.sending.pop_front() else { return };
            let Some(id) = item.id else { continue };
            self.written.note_part(id, item.part, item.payload.len());
            if item.record.terms.goes_again() {
                self.written.keep(item.into_entry());
            } else {
                self.spare.keep(item.payload);
            }
        }
    }

    /// Whether there is a compressor with what it needs.
    #[cfg(all(test, feature = "deflate"))]
    pub(crate) fn compresses(&self) -> bool {
        self.deflater.as_ref().is_some_and(Deflater::is_ready)
    }

    #[cfg(test)]
    pub(crate) fn buffer_size(&self) -> usize {
        self.out.buffer_size()
    }
}

impl Sending {
    fn message(entry: Entry) -> Sending {
        let Entry { id, kind, part, payload, expires, record } = entry;
        let continues = matches!(part, Part::Middle | Part::Last);
        let opcode = if continues { Opcode::Continuation } else { kind.into() };
        Sending { id: Some(id), opcode, part, payload, expires, record, end: UNFRAMED, beat: false }
    }

    fn into_entry(self) -> Option<Entry> {
        let kind = if self.opcode == Opcode::Text { Kind::Text } else { Kind::Binary };
        let Sending { id, part, payload, expires, record, .. } = self;
        Some(Entry { id: id?, kind, part, payload, expires, record })
    }

    /// What it will take of the 64 KiB, at most.
    fn cost(&self) -> usize {
        HEAD_MAX + self.payload.len()
    }
}
