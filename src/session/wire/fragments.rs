//! Messages that go out in several frames (RFC 6455 section 5.4): where a frame ends, and what goes between two of
//! them.
//!
//! Nothing but control frames goes between the fragments of a message; which of them is due when is the wire's
//! business.

use std::io::{Read, Write};

use super::{UNFRAMED, Wire};
use crate::entry::Part;
use crate::session::frame::{CONTROL_MAX, CONTROL_PAYLOAD_MAX, Lead, Opcode, head_size};
use crate::session::writer::Outgoing;

/// So much of a fragmented message is written before those who read have a turn.
const TURN: u64 = 256 << 10;

/// How far an item is framed.
#[derive(Clone, Copy)]
pub(super) struct Begun {
    pub(super) key: [u8; 4],
    /// Its payload is what the deflater made of the message's.
    pub(super) compressed: bool,
    /// Where the frame that is being written begins in the payload, and where it ends.
    pub(super) from: usize,
    pub(super) to: usize,
    /// Bytes of payload that are framed.
    pub(super) done: usize,
    /// Bytes of payload in all.
    pub(super) len: usize,
}

impl Begun {
    /// Between two frames of the item, so that a control frame may go now.
    pub(super) fn is_between_frames(&self) -> bool {
        self.done == self.to
    }

    /// Whether the frame that is being written is the item's last.
    pub(super) fn is_in_last_frame(&self) -> bool {
        self.to == self.len
    }

    /// Begins the item's next frame, if there is room for it; the first one is begun.
    pub(super) fn begin_next(&mut self, out: &mut Outgoing, fragment: usize, part: Part) -> bool {
        let to = self.len.min(self.to.saturating_add(fragment));
        let payload = to - self.to;
        if !out.has_room(head_size(payload) + payload) && !out.is_empty() {
            return false;
        }
        let lead = Lead {
            opcode: Opcode::Continuation,
            fin: to == self.len && ends_message(part),
            // RFC 7692 section 6: only the first frame says so.
            compressed: false,
        };
        self.key = out.begin(lead, payload);
        (self.from, self.to) = (self.to, to);
        true
    }
}

pub(super) fn ends_message(part: Part) -> bool {
    !matches!(part, Part::First | Part::Middle)
}

impl<S: Read + Write> Wire<S> {
    /// Writes what is longer than this many bytes in several frames, so that control frames need not wait for all of
    /// it.
    pub(crate) fn fragment(&mut self, bytes: usize) {
        // Section 5.5: control frames are never fragmented.
        self.fragment = bytes.max(CONTROL_PAYLOAD_MAX);
    }

    /// Whether a message in pieces has begun and its last piece was not given yet: no other data may be given then.
    pub(crate) fn is_mid_message(&self) -> bool {
        self.mid_message
    }

    /// Whether so much was written since then that others should have a turn, between two fragments.
    pub(super) fn should_pause(&self, from: u64) -> bool {
        self.accepted - from >= TURN && self.begun.is_some_and(|begun| begun.len > self.fragment)
    }

    /// Between two fragments of an item: frames the pings that wait behind it, as far as there is room.
    pub(super) fn frame_pings(&mut self) {
        while self.pings > 0 && self.begun.is_some() && self.out.has_room(CONTROL_MAX) {
            let is_ping = |(_, item): &(usize, &super::Sending)| item.opcode == Opcode::Ping;
            let Some((at, _)) = self.sending.iter().enumerate().skip(self.framed + 1).find(is_ping) else {
                return;
            };
            let Some(mut ping) = self.sending.remove(at) else { return };
            debug_assert_eq!(ping.end, UNFRAMED);
            self.out.append_frame(Opcode::Ping, &ping.payload);
            ping.end = self.end();
            if ping.beat {
                self.beat_end = Some(ping.end);
            }
            self.queued -= ping.cost();
            self.pings -= 1;
            if let Some(closing) = &mut self.closing
                && at - self.framed < closing.ahead
            {
                closing.ahead -= 1;
            }
            self.sending.insert(self.framed, ping);
            self.framed += 1;
        }
    }
}
