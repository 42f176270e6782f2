//! The writing half of a session: the stream, what is on its way into it, and what became of that.
//!
//! Whoever holds the wire writes; it never blocks. Messages are framed in the order in which they were given, each in
//! one frame. A message stays here with its payload until the stream has accepted its last byte, since what was not
//! written whole goes out again on the next session. Knows no socket, no clock and no limits but its own 64 KiB.
//!
//! Where compression was agreed on, a message is compressed when its frame is begun: from there on nothing but control
//! frames can get before it, so the compressor sees messages in the order in which the server inflates them.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::mem;
use std::time::Instant;

use super::deflate::{Agreed, Deflater};
use super::frame::{self, CONTROL_MAX, CONTROL_PAYLOAD_MAX, HEAD_MAX, Opcode};
use super::writer::{BOUND, Outgoing};
use super::written::Written;
use crate::entry::{Entry, Kind};
use crate::event::MessageId;

/// The end offset of an item that is not wholly framed.
const UNFRAMED: u64 = u64::MAX;

/// The memory of a message of so many bytes or more is kept for the next copy.
const LARGE: usize = 64 * 1024;

/// How far writing came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flush {
    /// The stream accepted everything there was.
    Done,
    /// The stream takes no more for now.
    Blocked,
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
    /// Bytes that the unframed items will take, about.
    queued: usize,
    pong: Option<Control>,
    /// Where the last pong ends: a second one waits until the first is gone.
    pong_end: u64,
    closing: Option<Closing>,
    beat_end: Option<u64>,
    written: Written,
    spare: Spare,
    /// Only where compression was agreed on.
    deflater: Option<Deflater>,
}

/// The memory of the largest of the last messages, for the next one that has to be copied: the C library would ask the
/// system for it each time, and the system clears it.
#[derive(Default)]
struct Spare {
    bytes: Vec<u8>,
    /// Since the last `shrink`.
    used: bool,
}

struct Sending {
    /// A message of the outbox; what has none is not given to the next session.
    id: Option<MessageId>,
    opcode: Opcode,
    payload: Vec<u8>,
    expires: Option<Instant>,
    /// The offset behind its last byte.
    end: u64,
    /// A beat is counted as written with this.
    beat: bool,
}

#[derive(Clone, Copy)]
struct Begun {
    key: [u8; 4],
    /// Its payload is what the deflater made of the message's.
    compressed: bool,
    /// Bytes of payload that are framed.
    done: usize,
}

struct Closing {
    frame: Control,
    /// How many unframed items go before it.
    ahead: usize,
    framed: bool,
}

/// The payload of a control frame.
struct Control {
    bytes: [u8; CONTROL_PAYLOAD_MAX],
    len: usize,
}

impl Control {
    fn new(parts: [&[u8]; 2]) -> Control {
        let mut control = Control { bytes: [0; CONTROL_PAYLOAD_MAX], len: 0 };
        for byte in parts.into_iter().flatten().take(CONTROL_PAYLOAD_MAX) {
            control.bytes[control.len] = *byte;
            control.len += 1;
        }
        control
    }

    fn payload(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
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
            queued: 0,
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

    /// Writes a borrowed message as far as the stream takes it, after what was given before.
    ///
    /// The payload is copied only if it could not be written whole.
    pub(crate) fn send_now(&mut self, id: MessageId, kind: Kind, payload: &[u8]) -> Flush {
        let owned = |spare: &mut Spare| Entry { id, kind, payload: spare.copy(payload), expires: None };
        let opcode = Opcode::from(kind);
        let compressed = self.deflater.as_ref().is_some_and(|deflater| deflater.wants(opcode, payload.len()));
        if self.failed || self.closing.is_some() || compressed || !self.is_idle() {
            let entry = owned(&mut self.spare);
            self.push(entry);
            return self.flush();
        }
        let key = self.out.begin(opcode, false, payload.len());
        let mut begun = Begun { key, compressed: false, done: 0 };
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
    pub(crate) fn line_up(&mut self, entry: Entry) {
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

    /// Like [`close`](Self::close), but goes before all messages that are not begun: they are given back at the end.
    ///
    /// This is how to answer the server's Close, behind which it reads no more.
    pub(crate) fn close_now(&mut self, code: Option<u16>, reason: &str) {
        self.begin_close(code, reason, usize::from(self.begun.is_some()));
    }

    /// Writes until all is written, the stream takes no more, or it fails.
    pub(crate) fn flush(&mut self) -> Flush {
        loop {
            self.frame();
            match self.write_out() {
                Flush::Done if self.is_idle() => return Flush::Done,
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
        let payload = payload.to_vec();
        self.queue(Sending { id: None, opcode, payload, expires: None, end: UNFRAMED, beat: false });
        self.frame();
    }

    fn begin_close(&mut self, code: Option<u16>, reason: &str, ahead: usize) {
        if self.closing.is_none() {
            let frame = match code {
                Some(code) => {
                    let mut end = reason.len().min(CONTROL_PAYLOAD_MAX - 2);
                    while !reason.is_char_boundary(end) {
                        end -= 1;
                    }
                    Control::new([&code.to_be_bytes(), &reason.as_bytes()[..end]])
                }
                None => Control::new([&[], &[]]),
            };
            self.closing = Some(Closing { frame, ahead, framed: false });
        }
        self.frame();
    }

    /// Frames what there is room for: between two frames the pong first, and the Close in its turn.
    fn frame(&mut self) {
        loop {
            if self.begun.is_none() {
                if self.closing.as_ref().is_some_and(|closing| closing.framed) {
                    return;
                }
                if self.pong_end <= self.accepted && self.pong.is_some() && self.out.has_room(CONTROL_MAX) {
                    if let Some(pong) = self.pong.take() {
                        self.out.append_frame(Opcode::Pong, pong.payload());
                    }
                    self.pong_end = self.end();
                }
                if let Some(closing) = &mut self.closing
                    && closing.ahead == 0
                {
                    if self.out.has_room(CONTROL_MAX) {
                        self.out.append_frame(Opcode::Close, closing.frame.payload());
                        closing.framed = true;
                        self.pong = None;
                    }
                    return;
                }
            }
            if !self.frame_next() {
                return;
            }
        }
    }

    /// Frames the next item, or what fits of one that is larger than the buffer; answers whether it is whole.
    fn frame_next(&mut self) -> bool {
        let Some(item) = self.sending.get_mut(self.framed) else { return false };
        let mut begun = match self.begun.take() {
            Some(begun) => begun,
            None => {
                let size = frame::head_size(item.payload.len()) + item.payload.len();
                if !self.out.has_room(size) && !self.out.is_empty() {
                    return false;
                }
                let mut payload = item.payload.len();
                let mut compressed = false;
                if let Some(deflater) = &mut self.deflater
                    && deflater.wants(item.opcode, payload)
                {
                    compressed = deflater.compress(&item.payload);
                    payload = if compressed { deflater.payload().len() } else { payload };
                }
                Begun { key: self.out.begin(item.opcode, compressed, payload), compressed, done: 0 }
            }
        };
        let payload = match &self.deflater {
            Some(deflater) if begun.compressed => deflater.payload(),
            _ => &item.payload,
        };
        begun.done += self.out.append(&payload[begun.done..], begun.key, begun.done);
        if begun.done < payload.len() {
            self.begun = Some(begun);
            return false;
        }
        item.end = self.accepted + self.out.len() as u64;
        if item.beat {
            self.beat_end = Some(item.end);
        }
        self.queued -= item.cost();
        self.framed += 1;
        if let Some(closing) = &mut self.closing {
            closing.ahead -= 1;
        }
        true
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
            if let Some(Sending { id: Some(id), payload, .. }) = self.sending.pop_front() {
                self.written.note(id, payload.len());
                self.spare.keep(payload);
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

impl Spare {
    fn copy(&mut self, payload: &[u8]) -> Vec<u8> {
        if payload.len() < LARGE {
            return payload.to_vec();
        }
        self.used = true;
        let mut copy = mem::take(&mut self.bytes);
        copy.clear();
        if copy.capacity() < payload.len() {
            // Else what is in there would be moved.
            copy = Vec::new();
        }
        copy.extend_from_slice(payload);
        copy
    }

    fn keep(&mut self, payload: Vec<u8>) {
        if payload.capacity() >= LARGE && payload.capacity() > self.bytes.capacity() {
            self.bytes = payload;
        }
    }

    fn is_there(&self) -> bool {
        self.bytes.capacity() > 0
    }

    /// Gives the memory back if it was not used since the last call.
    fn shrink(&mut self) {
        if !mem::take(&mut self.used) {
            self.bytes = Vec::new();
        }
    }
}

impl Sending {
    fn message(entry: Entry) -> Sending {
        let Entry { id, kind, payload, expires } = entry;
        Sending { id: Some(id), opcode: kind.into(), payload, expires, end: UNFRAMED, beat: false }
    }

    fn into_entry(self) -> Option<Entry> {
        let kind = if self.opcode == Opcode::Text { Kind::Text } else { Kind::Binary };
        Some(Entry { id: self.id?, kind, payload: self.payload, expires: self.expires })
    }

    /// What it will take of the 64 KiB, at most.
    fn cost(&self) -> usize {
        HEAD_MAX + self.payload.len()
    }
}
