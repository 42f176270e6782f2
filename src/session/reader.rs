//! Turns the bytes of a session into messages, in one buffer and without copying what came whole.
//!
//! Knows no socket and no clock; belongs to the thread that reads. The buffer holds, in this order, the message that
//! is being assembled, a gap (frame headers and control frames that are done with), and the bytes not parsed yet:
//!
//! ```text
//! | done with | message.start .. message.end | gap | start .. end | room |
//! ```
//!
//! A fragment's bytes are moved down over the gap once, and the gap closes for nothing whenever all is parsed; so a
//! payload that takes many reads arrives in its place. Its bytes are initialised once, just before the first read into
//! them, so that memory which no byte has reached is not touched. It grows by doubling when bytes that arrived fill
//! it, never because a header claims much; where there is no memory for that, the message is a fault.
//!
//! The bytes of a compressed message go through [`Inflater`] as they arrive, which has a buffer of its own.
//!
//! What is too long to be kept whole is dealt with in [`fragments`].

mod compressed;
pub(super) mod fragments;

use std::io::{self, Read};
use std::ops::Range;

use simdutf8::{basic, compat};

use self::fragments::Cut;
use super::deflate::{Agreed, Inflater};
use super::frame::{self, CONTROL_MAX, HEAD_MAX, Head, Opcode};
use crate::error::ProtocolFault;
use crate::event::MessageRef;

/// What a new client holds, and a quiet one: enough for a pong, or a few short messages.
const IDLE: usize = 512;
/// The first step up from there.
const SMALL: usize = 4 * 1024;
/// As far as the buffer grows for many small messages; only one large message makes it larger.
const TRAFFIC: usize = 64 * 1024;
/// What one read takes at most, of a large message.
const READ_MOST: usize = 2 << 20;

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fill {
    /// 0 is the end of the stream.
    pub(crate) bytes: usize,
    /// Fewer bytes came than there was room for.
    pub(crate) short: bool,
}

/// What the server sent, borrowed from the buffer.
#[derive(Debug, PartialEq)]
pub(crate) enum Item<'a> {
    /// A message, whole.
    Message(MessageRef<'a>),
    /// A part of a message that is too long for that: [`Inbound::fragment`] gives it. Were it in here, every message
    /// would be handed on through memory.
    Fragment,
    Ping(&'a [u8]),
    Pong(&'a [u8]),
    /// The last item of a session; the code is 1005 when the frame has none.
    Close {
        code: u16,
        reason: &'a str,
    },
}

/// The reading half of a session: buffer, frame parser, assembly.
pub(crate) struct Inbound {
    /// The longest message, whole or in fragments.
    max_message: u64,
    /// A longer one is handed on in fragments; `usize::MAX`: none is.
    above: usize,
    /// The longest message that is kept whole: the smaller one of these.
    most_whole: usize,
    /// Its length is what was initialised, at most `size`.
    buf: Vec<u8>,
    /// How long it may get where it is.
    size: usize,
    /// There was no memory for a message of more than so many bytes: told once.
    no_memory: Option<usize>,
    /// The first byte that is not parsed.
    start: usize,
    /// The end of what arrived.
    end: usize,
    /// A message of which not all has been parsed.
    message: Option<Partial>,
    /// The data frame whose payload is arriving; only while `message` is there.
    frame: Option<Payload>,
    /// The fragment that was found last.
    cut: Cut,
    /// The last read took all the room there was.
    filled: bool,
    /// How far the buffer was used since the last `shrink`.
    peak: usize,
    /// A Close frame or a fault came: the rest is of no interest.
    over: bool,
    /// Only where compression was agreed on.
    inflater: Option<Inflater>,
}

/// A message being assembled, as places in the buffer; of one that is compressed nothing stays there.
struct Partial {
    text: bool,
    compressed: bool,
    start: usize,
    end: usize,
    /// Up to here it is UTF-8.
    valid: usize,
    /// It goes in fragments, and so many bytes of it were handed on; `start` is behind them.
    told: Option<u64>,
}

/// What is missing of a data frame.
struct Payload {
    left: u64,
    fin: bool,
}

/// What stands whole at a place in the buffer, or came out of the inflater.
struct Found {
    opcode: Opcode,
    place: Range<usize>,
    inflated: bool,
    /// It is only a fragment, and described there.
    fragment: bool,
}

impl Found {
    fn whole(opcode: Opcode, place: Range<usize>) -> Found {
        Found { opcode, place, inflated: false, fragment: false }
    }
}

impl Payload {
    /// What has arrived of it, of so many bytes.
    fn of(&self, arrived: usize) -> usize {
        usize::try_from(self.left).map_or(arrived, |left| left.min(arrived))
    }

    fn take(&mut self, bytes: usize) {
        self.left -= bytes as u64;
    }
}

impl Partial {
    fn new(head: &Head, start: usize) -> Partial {
        let text = head.opcode == Opcode::Text;
        Partial { text, compressed: head.compressed, start, end: start, valid: start, told: None }
    }

    fn opcode(&self) -> Opcode {
        if self.text { Opcode::Text } else { Opcode::Binary }
    }
}

impl Inbound {
    /// A reader for messages of at most `max_message` bytes; `rest` came with the upgrade's answer.
    pub(crate) fn new(max_message: usize, rest: Vec<u8>) -> Inbound {
        let mut buf = vec![0; rest.len().next_power_of_two().max(IDLE)];
        buf[..rest.len()].copy_from_slice(&rest);
        Inbound {
            max_message: max_message as u64,
            above: usize::MAX,
            most_whole: max_message,
            size: buf.len(),
            buf,
            no_memory: None,
            start: 0,
            end: rest.len(),
            message: None,
            frame: None,
            cut: Cut::default(),
            filled: false,
            peak: rest.len(),
            over: false,
            inflater: None,
        }
    }

    /// Takes compressed messages, too, as was agreed on in the upgrade.
    pub(crate) fn agree(&mut self, agreed: &Agreed) {
        self.inflater = Some(Inflater::new(agreed));
    }

    /// Reads once, into the room there is; call it when [`next`](Self::next) has nothing more.
    ///
    /// # Errors
    ///
    /// The stream's own, `WouldBlock` among them; `Interrupted` is tried again here. Or there is no memory for more of
    /// the message: then nothing was read, and [`next`](Self::next) says so.
    pub(crate) fn fill(&mut self, stream: &mut impl Read) -> io::Result<Fill> {
        self.make_room().inspect_err(|_| self.no_memory = Some(self.end - self.start + self.held()))?;
        let room = (self.size - self.end).min(READ_MOST);
        if self.buf.len() < self.end + room {
            // Within what was reserved.
            self.buf.resize(self.end + room, 0);
        }
        let space = &mut self.buf[self.end..self.end + room];
        let bytes = loop {
            match stream.read(space) {
                Ok(bytes) => break bytes.min(room),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        self.end += bytes;
        self.peak = self.peak.max(self.end);
        self.filled = bytes == room;
        Ok(Fill { bytes, short: bytes < room })
    }

    /// The next item in the bytes that arrived; `None` until more have.
    ///
    /// After a Close frame or a fault there is nothing more, whatever arrives.
    ///
    /// # Errors
    ///
    /// The server broke the protocol: fail the connection with the fault's close code.
    pub(crate) fn next(&mut self) -> Result<Option<Item<'_>>, ProtocolFault> {
        if self.over {
            return Ok(None);
        }
        if let Some(bytes) = self.no_memory.take() {
            self.over = true;
            return Err(ProtocolFault::NoMemory(bytes as u64));
        }
        let found = match self.parse() {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(None),
            Err(fault) => {
                self.over = true;
                return Err(fault);
            }
        };
        if found.fragment {
            return Ok(Some(Item::Fragment));
        }
        let payload = match &self.inflater {
            Some(inflater) if found.inflated => inflater.message(),
            _ => &self.buf[found.place],
        };
        match item(found.opcode, payload) {
            Ok(item) => {
                self.over = matches!(item, Item::Close { .. });
                Ok(Some(item))
            }
            Err(fault) => {
                self.over = true;
                Err(fault)
            }
        }
    }

    /// Whether [`fill`](Self::fill) failed for want of memory, which [`next`](Self::next) is about to tell.
    pub(crate) fn lacks_memory(&self) -> bool {
        self.no_memory.is_some()
    }

    /// Whether [`shrink`](Self::shrink), called now and then again, would give something back.
    pub(crate) fn has_spare(&self) -> bool {
        let inflater = self.inflater.as_ref().is_some_and(Inflater::has_spare);
        (self.size > IDLE || inflater) && self.is_empty()
    }

    /// Whether so much was inflated since the last call that the turn should end.
    pub(crate) fn worked_much(&mut self) -> bool {
        self.inflater.as_mut().is_some_and(Inflater::worked_much)
    }

    /// Gives back what the last stretch did not need: where not even a quarter was used since the last call. A client
    /// that is busy, with breaks, does not grow its buffer anew after each.
    pub(crate) fn shrink(&mut self) {
        if !self.has_spare() {
            return;
        }
        if let Some(inflater) = &mut self.inflater {
            inflater.shrink();
        }
        let peak = std::mem::take(&mut self.peak);
        if self.size > IDLE && peak <= self.size / 4 {
            self.replace((2 * peak).next_power_of_two().max(IDLE));
        }
    }

    /// Whether all that arrived was handled.
    fn is_empty(&self) -> bool {
        self.start == self.end && self.message.is_none()
    }

    fn replace(&mut self, size: usize) {
        self.buf = Vec::with_capacity(size);
        self.size = size;
        self.start = 0;
        self.end = 0;
        self.filled = false;
    }

    /// Moves on to the end of the next message or control frame, if it is there.
    fn parse(&mut self) -> Result<Option<Found>, ProtocolFault> {
        loop {
            if self.frame.is_some() {
                if let Some(found) = self.assemble()? {
                    return Ok(Some(found));
                }
                if self.frame.is_some() {
                    return Ok(None);
                }
            }
            let unparsed = &self.buf[self.start..self.end];
            let head = frame::read_head(unparsed, self.message.is_some(), self.inflater.is_some())?;
            let Some(head) = head else { return Ok(None) };
            let body = self.start + head.size;
            let arrived = self.end - body;
            if head.opcode.is_control() {
                let size = head.payload as usize; // at most 125
                if size > arrived {
                    return Ok(None);
                }
                self.start = body + size;
                return Ok(Some(Found::whole(head.opcode, body..body + size)));
            }
            if self.is_special(&head) {
                self.begin_special(&head)?;
                continue;
            }

            let so_far = self.message.as_ref().map_or(0, |message| message.end - message.start);
            let size = match usize::try_from(head.payload) {
                Ok(size) if size <= self.most_whole - so_far => size,
                _ => {
                    self.begin_fragment(&head)?;
                    continue;
                }
            };
            if head.fin && self.message.is_none() && size <= arrived {
                self.start = body + size;
                return Ok(Some(Found::whole(head.opcode, body..body + size)));
            }
            self.message.get_or_insert_with(|| Partial::new(&head, body));
            self.start = body;
            self.frame = Some(Payload { left: head.payload, fin: head.fin });
        }
    }

    /// Takes what arrived of a data frame into its message; answers the message when that was the last of it.
    fn assemble(&mut self) -> Result<Option<Found>, ProtocolFault> {
        let (Some(payload), Some(message)) = (&mut self.frame, &mut self.message) else { return Ok(None) };
        if message.compressed {
            return self.inflate();
        }
        let size = payload.of(self.end - self.start);
        if message.end != self.start {
            self.buf.copy_within(self.start..self.start + size, message.end);
        }
        message.end += size;
        self.start += size;
        payload.take(size);
        if message.told.is_some() {
            return self.hand_on();
        }
        let frame_done = payload.left == 0;
        if frame_done && payload.fin {
            let found = Found::whole(message.opcode(), message.start..message.end);
            self.frame = None;
            self.message = None;
            return Ok(Some(found));
        }
        if message.text {
            // Fails at once, and not when the message ends: Autobahn 6.4. A character may end in the next piece.
            match compat::from_utf8(&self.buf[message.valid..message.end]) {
                Ok(_) => message.valid = message.end,
                Err(error) if error.error_len().is_none() => message.valid += error.valid_up_to(),
                Err(_) => return Err(ProtocolFault::Utf8),
            }
        }
        if frame_done {
            self.frame = None;
        }
        Ok(None)
    }

    /// The bytes of the message that is being assembled.
    fn held(&self) -> usize {
        self.message.as_ref().map_or(0, |message| message.end - message.start)
    }

    /// Sees to it that the next read has room, at a cost that is linear in what arrives.
    fn make_room(&mut self) -> io::Result<()> {
        if self.over {
            self.message = None;
            self.frame = None;
            self.start = self.end;
        }
        if self.start == self.end {
            self.start = self.message.as_ref().map_or(0, |message| message.end);
            self.end = self.start;
        }
        let live = self.held() + self.end - self.start;
        let size = self.size;
        let wants_more = self.filled && size < TRAFFIC && !self.over;
        // With all parsed, no more than one message and a bit of a frame can be in the buffer.
        let most = self.most_whole.saturating_add(HEAD_MAX + CONTROL_MAX).max(TRAFFIC);
        // To move almost all of it down for a little room would only be done again, with more.
        let crowded = self.end == size && live > size - size / 8 && size < most;
        if wants_more || crowded || live == size {
            let doubled = (size * 2).max(SMALL).min(most);
            let larger = if doubled > live { doubled } else { live * 2 };
            let mut buf = Vec::new();
            match buf.try_reserve_exact(larger) {
                Ok(()) => self.pack_into(Some((buf, larger))),
                // Only for speed: it goes on with what it has.
                Err(_) if live < size => self.pack_into(None),
                Err(error) => return Err(io::Error::new(io::ErrorKind::OutOfMemory, error)),
            }
        } else if self.end == size || (size - self.end < size / 4 && live <= size / 4) {
            self.pack_into(None);
        }
        Ok(())
    }

    /// Moves message and unparsed bytes to the front, of this buffer or of a larger one.
    fn pack_into(&mut self, larger: Option<(Vec<u8>, usize)>) {
        let unparsed = self.start..self.end;
        let mut front = 0;
        let mut held = 0..0;
        if let Some(message) = &mut self.message {
            held = message.start..message.end;
            front = held.len();
            message.valid -= held.start;
            message.start = 0;
            message.end = front;
        }
        self.start = front;
        self.end = front + unparsed.len();
        match larger {
            Some((mut buf, size)) => {
                buf.extend_from_slice(&self.buf[held]);
                buf.extend_from_slice(&self.buf[unparsed]);
                self.buf = buf;
                self.size = size;
            }
            None => {
                if held.start > 0 {
                    self.buf.copy_within(held, 0);
                }
                self.buf.copy_within(unparsed, front);
            }
        }
    }

    #[cfg(any(test, heartwire_fuzz))]
    pub(crate) fn buffer_size(&self) -> usize {
        self.size
    }
}

/// What this payload is. A text that came in pieces was looked at before: a `&str` has its price.
fn item(opcode: Opcode, payload: &[u8]) -> Result<Item<'_>, ProtocolFault> {
    Ok(match opcode {
        // Where it is wrong nobody asks.
        Opcode::Text => {
            Item::Message(MessageRef::Text(basic::from_utf8(payload).map_err(|_| ProtocolFault::Utf8)?))
        }
        Opcode::Binary | Opcode::Continuation => Item::Message(MessageRef::Binary(payload)),
        Opcode::Ping => Item::Ping(payload),
        Opcode::Pong => Item::Pong(payload),
        Opcode::Close => {
            let (code, reason) = frame::read_close(payload)?;
            Item::Close { code, reason }
        }
    })
}
