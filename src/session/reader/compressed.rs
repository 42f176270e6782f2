//! Messages whose bytes do not stay in the reader's buffer: compressed ones (RFC 7692), and those that go in fragments.

use super::{Found, Inbound, Partial, Payload};
use crate::error::ProtocolFault;
use crate::session::frame::Head;

impl Inbound {
    /// Whether this frame's payload is to be inflated, which the first frame of a message says for all, or the message
    /// goes in fragments already.
    #[inline]
    pub(super) fn is_special(&self, head: &Head) -> bool {
        match &self.message {
            Some(message) => message.compressed || message.told.is_some(),
            None => head.compressed,
        }
    }

    pub(super) fn begin_special(&mut self, head: &Head) -> Result<(), ProtocolFault> {
        match &self.message {
            Some(message) if message.told.is_some() => self.begin_fragment(head),
            _ => self.begin_compressed(head),
        }
    }

    /// A frame of a compressed message: its limit is for what comes out.
    fn begin_compressed(&mut self, head: &Head) -> Result<(), ProtocolFault> {
        let Some(inflater) = &mut self.inflater else { return Ok(()) };
        if self.message.is_none() {
            inflater.begin();
            self.message = Some(Partial::new(head, 0));
        }
        let left = inflater.claim(head.payload, self.max_message)?;
        self.start += head.size;
        self.frame = Some(Payload { left, fin: head.fin });
        Ok(())
    }

    /// [`assemble`](Self::assemble) for a compressed message.
    pub(super) fn inflate(&mut self) -> Result<Option<Found>, ProtocolFault> {
        if self.above < usize::MAX {
            return self.inflate_on();
        }
        let (Some(payload), Some(message), Some(inflater)) =
            (&mut self.frame, &self.message, &mut self.inflater)
        else {
            return Ok(None);
        };
        let opcode = message.opcode();
        let size = payload.of(self.end - self.start);
        let arrived = &self.buf[self.start..self.start + size];
        self.start += size;
        payload.take(size);
        let frame_done = payload.left == 0;
        let whole = frame_done && payload.fin;
        inflater.take(arrived, message.text, whole, self.most_whole)?;
        if frame_done {
            self.frame = None;
        }
        if !whole {
            return Ok(None);
        }
        self.message = None;
        Ok(Some(Found { inflated: true, ..Found::whole(opcode, 0..0) }))
    }
}
