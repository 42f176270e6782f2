//! Messages that are too long to be kept whole: what arrived of one is handed on at once, and then forgotten.
//!
//! Whether a message is one of them follows from its length alone, however its bytes were cut: as soon as a frame
//! claims more than is kept, or more than that has come out of the inflater. What was kept of it until then is its
//! first fragment. Of a text only whole characters are handed on, so that at most three bytes wait for what comes next.
//!
//! All of it is marked as cold: the way of short messages is to stay as small as it is without this, and a fragment is
//! large enough not to mind.

use std::ops::Range;
use std::str::from_utf8;

use simdutf8::basic;

use super::{Found, Inbound, Partial, Payload};
use crate::error::ProtocolFault;
use crate::event::{FragmentRef, MessageRef};
use crate::session::frame::Head;

/// A fragment that was found: where it stands in the buffer, unless it came out of the inflater, and in its message.
#[derive(Default)]
pub(super) struct Cut {
    text: bool,
    place: Range<usize>,
    inflated: bool,
    offset: u64,
    last: bool,
}

/// What the inflater made of some bytes.
#[cfg_attr(not(feature = "deflate"), allow(dead_code, reason = "without the feature nothing is inflated"))]
pub(crate) struct Passed {
    /// How many of them it took.
    pub(crate) taken: usize,
    /// More comes out of it without anything going in.
    pub(crate) pending: bool,
    pub(crate) part: Part,
}

/// What is there of an inflated message.
#[cfg_attr(not(feature = "deflate"), allow(dead_code, reason = "without the feature nothing is inflated"))]
pub(crate) enum Part {
    /// Nothing to hand on yet.
    Nothing,
    /// All of it, and it is short enough to be handed on so.
    Whole,
    Fragment {
        offset: u64,
        last: bool,
    },
}

impl Inbound {
    /// From now on messages of more than `above` bytes go in fragments; no message may have more than `max_message`.
    pub(crate) fn hand_on_above(&mut self, above: usize, max_message: u64) {
        self.above = above;
        self.max_message = max_message;
        self.most_whole = usize::try_from(max_message).map_or(above, |most| most.min(above));
    }

    /// A frame with which its message is longer than may be kept. Its length is judged before its payload.
    #[cold]
    pub(super) fn begin_fragment(&mut self, head: &Head) -> Result<(), ProtocolFault> {
        let so_far = self.held() as u64 + self.message.as_ref().and_then(|message| message.told).unwrap_or(0);
        if self.above == usize::MAX || head.payload > self.max_message - so_far {
            return Err(ProtocolFault::TooBig(self.max_message));
        }
        self.start += head.size;
        let message = self.message.get_or_insert_with(|| Partial::new(head, self.start));
        message.told.get_or_insert(0);
        self.frame = Some(Payload { left: head.payload, fin: head.fin });
        Ok(())
    }

    /// What is there of the message, up to the end of a character.
    #[cold]
    pub(super) fn hand_on(&mut self) -> Result<Option<Found>, ProtocolFault> {
        let (Some(payload), Some(message)) = (&self.frame, &mut self.message) else { return Ok(None) };
        let frame_done = payload.left == 0;
        let last = frame_done && payload.fin;
        let there = &self.buf[message.start..message.end];
        let size = if message.text && !last { whole_characters(there)? } else { there.len() };
        let place = message.start..message.start + size;
        let offset = message.told.unwrap_or(0);
        message.start = place.end;
        message.valid = place.end;
        self.cut = Cut { text: message.text, place, inflated: false, offset, last };
        message.told = Some(offset + size as u64);
        if frame_done {
            self.frame = None;
        }
        let found = Found { fragment: true, ..Found::whole(message.opcode(), 0..0) };
        if last {
            self.message = None;
        }
        Ok((size > 0 || last).then_some(found))
    }

    /// The fragment that [`next`](Self::next) has announced; call it once, and before the next one. Here its text is
    /// looked at, all but the end.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    #[cold]
    pub(crate) fn fragment(&mut self) -> Result<FragmentRef<'_>, ProtocolFault> {
        let cut = &self.cut;
        let payload = match &self.inflater {
            Some(inflater) if cut.inflated => inflater.message(),
            _ => &self.buf[cut.place.clone()],
        };
        if !cut.text {
            return Ok(FragmentRef::new(MessageRef::Binary(payload), cut.offset, cut.last));
        }
        match basic::from_utf8(payload) {
            Ok(text) => Ok(FragmentRef::new(MessageRef::Text(text), cut.offset, cut.last)),
            Err(_) => {
                self.over = true;
                Err(ProtocolFault::Utf8)
            }
        }
    }

    /// As [`hand_on`](Self::hand_on), of a compressed message, which may turn out to be short.
    #[cold]
    pub(super) fn inflate_on(&mut self) -> Result<Option<Found>, ProtocolFault> {
        let (Some(payload), Some(message), Some(inflater)) =
            (&mut self.frame, &self.message, &mut self.inflater)
        else {
            return Ok(None);
        };
        let (opcode, text) = (message.opcode(), message.text);
        let size = payload.of(self.end - self.start);
        let arrived = &self.buf[self.start..self.start + size];
        let last = payload.fin && payload.left == size as u64;
        let passed = inflater.pass_on(arrived, text, last, self.above, self.max_message)?;
        self.start += passed.taken;
        payload.take(passed.taken);
        if payload.left == 0 && !passed.pending {
            self.frame = None;
        }
        let fragment = match passed.part {
            Part::Nothing => return Ok(None),
            Part::Whole => false,
            Part::Fragment { offset, last } => {
                self.cut = Cut { text, place: 0..0, inflated: true, offset, last };
                true
            }
        };
        if !fragment || self.cut.last {
            self.message = None;
        }
        Ok(Some(Found { inflated: true, fragment, ..Found::whole(opcode, 0..0) }))
    }
}

/// How many of the bytes are characters that have ended. One at the end that has not is looked at, so that it fails
/// with its first wrong byte; all before it is not.
pub(crate) fn whole_characters(text: &[u8]) -> Result<usize, ProtocolFault> {
    let end = text.len().saturating_sub(3);
    let Some(begun) = text[end..].iter().rposition(|byte| *byte >= 0xC0) else { return Ok(text.len()) };
    match from_utf8(&text[end + begun..]) {
        Ok(_) => Ok(text.len()),
        Err(error) if error.error_len().is_none() => Ok(end + begun),
        Err(_) => Err(ProtocolFault::Utf8),
    }
}
