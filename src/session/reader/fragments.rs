//! Messages that are too long to be kept whole: what arrived of one is handed on at once, and then forgotten.
//!
//! Whether a message is one of them follows from its length alone, however its bytes were cut: as soon as a frame
//! claims more than is kept, or more than that has come out of the inflater. What was kept of it until then is its first
//! fragment. Of a text only whole characters are handed on, so that at most three bytes wait for what comes next.

use std::str::from_utf8;

use super::{Found, Inbound, Item, Partial, Payload};
use crate::error::ProtocolFault;
use crate::event::FragmentRef;
use crate::session::frame::{Head, Opcode};

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
    pub(super) fn hand_on(&mut self) -> Result<Option<Found>, ProtocolFault> {
        let (Some(payload), Some(message)) = (&self.frame, &mut self.message) else { return Ok(None) };
        let frame_done = payload.left == 0;
        let last = frame_done && payload.fin;
        let there = &self.buf[message.start..message.end];
        let size = if message.text && !last { whole_characters(there)? } else { there.len() };
        let place = message.start..message.start + size;
        let offset = message.told.unwrap_or(0);
        let found = Found { fragment: Some((offset, last)), ..Found::whole(message.opcode(), place.clone()) };
        message.start = place.end;
        message.valid = place.end;
        message.told = Some(offset + size as u64);
        if frame_done {
            self.frame = None;
        }
        if last {
            self.message = None;
        }
        Ok((size > 0 || last).then_some(found))
    }

    /// The same for a compressed message, which may turn out to be short.
    pub(super) fn inflate_on(&mut self) -> Result<Option<Found>, ProtocolFault> {
        let (Some(payload), Some(message), Some(inflater)) =
            (&mut self.frame, &self.message, &mut self.inflater)
        else {
            return Ok(None);
        };
        let opcode = message.opcode();
        let size = payload.of(self.end - self.start);
        let arrived = &self.buf[self.start..self.start + size];
        let last = payload.fin && payload.left == size as u64;
        let passed = inflater.pass_on(arrived, message.text, last, self.above, self.max_message)?;
        self.start += passed.taken;
        payload.take(passed.taken);
        if payload.left == 0 && !passed.pending {
            self.frame = None;
        }
        let fragment = match passed.part {
            Part::Nothing => return Ok(None),
            Part::Whole => None,
            Part::Fragment { offset, last } => Some((offset, last)),
        };
        if fragment.is_none_or(|(_, last)| last) {
            self.message = None;
        }
        Ok(Some(Found { inflated: true, fragment, ..Found::whole(opcode, 0..0) }))
    }
}

/// A fragment's item. Here its text is looked at, all but the end.
pub(super) fn item(
    opcode: Opcode,
    payload: &[u8],
    (offset, last): (u64, bool),
) -> Result<Item<'_>, ProtocolFault> {
    match super::item(opcode, payload)? {
        Item::Message(payload) => Ok(Item::Fragment(FragmentRef::new(payload, offset, last))),
        other => Ok(other),
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
