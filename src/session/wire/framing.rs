//! From what waits to frames in the buffer: in which order, and how much at once.

use std::io::{Read, Write};

use super::control::Control;
use super::fragments::{Begun, ends_message};
use super::{Closing, Wire};
use crate::entry::Part;
use crate::session::frame::{self, CONTROL_MAX, CONTROL_PAYLOAD_MAX, Lead, Opcode};

impl<S: Read + Write> Wire<S> {
    /// Frames what there is room for: between two frames the pong first, and the Close in its turn.
    pub(super) fn frame(&mut self) {
        loop {
            if self.begun.as_ref().is_none_or(Begun::is_between_frames) {
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
                if self.pings > 0 {
                    self.frame_pings();
                }
            }
            if !self.frame_next() {
                return;
            }
        }
    }

    /// Frames the next item, or one fragment of it, or what fits of one that is larger than the buffer; answers whether
    /// the frame is whole.
    fn frame_next(&mut self) -> bool {
        let Some(item) = self.sending.get_mut(self.framed) else { return false };
        let mut begun = match self.begun {
            Some(begun) => begun,
            None => {
                let most = item.payload.len().min(self.fragment);
                let size = frame::head_size(most) + most;
                if !self.out.has_room(size) && !self.out.is_empty() {
                    return false;
                }
                let mut len = item.payload.len();
                let mut compressed = false;
                if let Some(deflater) = &mut self.deflater
                    && item.part == Part::Whole
                    && deflater.wants(item.opcode, len)
                {
                    compressed = deflater.compress(&item.payload);
                    len = if compressed { deflater.payload().len() } else { len };
                }
                let to = len.min(self.fragment);
                let fin = to == len && ends_message(item.part);
                let key = self.out.begin(Lead { opcode: item.opcode, fin, compressed }, to);
                Begun { key, compressed, from: 0, to, done: 0, len }
            }
        };
        let payload = match &self.deflater {
            Some(deflater) if begun.compressed => deflater.payload(),
            _ => &item.payload,
        };
        if begun.is_between_frames()
            && !begun.is_in_last_frame()
            && !begun.begin_next(&mut self.out, self.fragment, item.part)
        {
            self.begun = Some(begun);
            return false;
        }
        begun.done += self.out.append(&payload[begun.done..begun.to], begun.key, begun.done - begun.from);
        if begun.done < begun.len {
            self.begun = Some(begun);
            return begun.is_between_frames();
        }
        item.end = self.accepted + self.out.len() as u64;
        if item.beat {
            self.beat_end = Some(item.end);
        }
        self.queued -= item.cost();
        if self.pings > 0 && item.opcode == Opcode::Ping {
            self.pings -= 1;
        }
        self.framed += 1;
        self.begun = None;
        if let Some(closing) = &mut self.closing {
            closing.ahead -= 1;
        }
        true
    }

    pub(super) fn begin_close(&mut self, code: Option<u16>, reason: &str, ahead: usize) {
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
            self.closing = Some(Box::new(Closing { frame, ahead, framed: false }));
        }
        self.frame();
    }
}
