//! The frame header and the Close payload of RFC 6455 section 5: judged when read, encoded when written.
//!
//! Headers are written with tungstenite's `FrameHeader`. They are not read with it: it wants the whole header before
//! it judges any of it, takes a length in any encoding, and leaves reserved bits and masks to its caller. Here the
//! first byte is judged before the second, both before the length bytes, and the length before the payload, so that
//! nobody waits for bytes behind a header that is already wrong. Holds no buffer.

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::entry::Kind;
use crate::error::ProtocolFault;

/// The longest header: two bytes, eight of length, four of mask.
pub(crate) const HEAD_MAX: usize = 14;
/// The longest payload of a control frame (section 5.5).
pub(crate) const CONTROL_PAYLOAD_MAX: usize = 125;
/// The longest control frame that we write.
pub(crate) const CONTROL_MAX: usize = 2 + 4 + CONTROL_PAYLOAD_MAX;

/// What a frame is (section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    pub(crate) fn is_control(self) -> bool {
        matches!(self, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }
}

impl From<Kind> for Opcode {
    fn from(kind: Kind) -> Opcode {
        match kind {
            Kind::Text => Opcode::Text,
            Kind::Binary => Opcode::Binary,
        }
    }
}

/// A frame header from the server, found good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) fin: bool,
    pub(crate) opcode: Opcode,
    /// It begins a compressed message (RFC 7692 section 6).
    pub(crate) compressed: bool,
    /// Bytes of the header itself.
    pub(crate) size: usize,
    /// Bytes of payload it claims.
    pub(crate) payload: u64,
}

/// Reads the header at the start of `bytes`; `None` if it has not wholly arrived and is not wrong so far.
///
/// `assembling` says that a message has begun and not ended (section 5.4), `deflate` that RSV1 has a meaning.
#[inline]
pub(crate) fn read_head(
    bytes: &[u8],
    assembling: bool,
    deflate: bool,
) -> Result<Option<Head>, ProtocolFault> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    let compressed = first & 0x70 != 0;
    if compressed && !(deflate && begins_compressed(first)) {
        return Err(ProtocolFault::ReservedBits);
    }
    let fin = first & 0x80 != 0;
    let opcode = match first & 0x0F {
        0 if assembling => Opcode::Continuation,
        0 => return Err(ProtocolFault::UnexpectedContinuation),
        1 | 2 if assembling => return Err(ProtocolFault::UnfinishedMessage),
        1 => Opcode::Text,
        2 => Opcode::Binary,
        8 => Opcode::Close,
        9 => Opcode::Ping,
        10 => Opcode::Pong,
        other => return Err(ProtocolFault::Opcode(other)),
    };
    if opcode.is_control() && !fin {
        return Err(ProtocolFault::ControlFrame);
    }

    let Some(&second) = bytes.get(1) else { return Ok(None) };
    if second & 0x80 != 0 {
        return Err(ProtocolFault::Masked);
    }
    let (size, payload) = match second {
        short @ 0..=125 => (2, u64::from(short)),
        _ if opcode.is_control() => return Err(ProtocolFault::ControlFrame),
        126 => {
            let Some(length) = bytes.get(2..4) else { return Ok(None) };
            let length = u64::from(u16::from_be_bytes([length[0], length[1]]));
            if length < 126 {
                return Err(ProtocolFault::Length);
            }
            (4, length)
        }
        _ => {
            if bytes.get(2).is_some_and(|top| top & 0x80 != 0) {
                return Err(ProtocolFault::Length);
            }
            let Some(Ok(length)) = bytes.get(2..10).map(<[u8; 8]>::try_from) else { return Ok(None) };
            let length = u64::from_be_bytes(length);
            if length <= u64::from(u16::MAX) {
                return Err(ProtocolFault::Length);
            }
            (10, length)
        }
    };
    if opcode == Opcode::Close && payload == 1 {
        return Err(ProtocolFault::CloseFrame);
    }
    Ok(Some(Head { fin, opcode, compressed, size, payload }))
}

/// RSV1 alone, and on a frame that begins a message.
fn begins_compressed(first: u8) -> bool {
    first & 0x70 == 0x40 && matches!(first & 0x0F, 1 | 2)
}

/// Code and reason of a Close frame's payload; 1005 when it has none (section 7.1.5).
pub(crate) fn read_close(payload: &[u8]) -> Result<(u16, &str), ProtocolFault> {
    match payload {
        [] => Ok((1005, "")),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            let reason = std::str::from_utf8(reason).map_err(|_| ProtocolFault::CloseFrame)?;
            if may_be_sent(code) { Ok((code, reason)) } else { Err(ProtocolFault::CloseFrame) }
        }
        [_] => Err(ProtocolFault::CloseFrame),
    }
}

/// Whether a close code may stand on the wire: section 7.4 and IANA's registry, which added 1012 to 1014.
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// What the first byte of a frame that we write says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lead {
    pub(crate) opcode: Opcode,
    /// It is the last frame of its message (section 5.4).
    pub(crate) fin: bool,
    /// It begins a compressed message.
    pub(crate) compressed: bool,
}

impl Lead {
    /// Of a frame that is a whole message, not compressed.
    pub(crate) fn whole(opcode: Opcode) -> Lead {
        Lead { opcode, fin: true, compressed: false }
    }
}

/// How many bytes a masked header takes for this payload.
pub(crate) fn head_size(payload: usize) -> usize {
    header(Lead::whole(Opcode::Binary), [0; 4]).len(payload as u64)
}

/// Writes the header of a masked frame to the start of `to`, which has room; answers its size.
pub(crate) fn write_head(to: &mut [u8], lead: Lead, payload: usize, key: [u8; 4]) -> usize {
    let room = to.len();
    let mut rest = to;
    let written = header(lead, key).format(payload as u64, &mut rest);
    debug_assert!(written.is_ok(), "the caller made room");
    room - rest.len()
}

fn header(lead: Lead, key: [u8; 4]) -> FrameHeader {
    let opcode = match lead.opcode {
        Opcode::Continuation => OpCode::Data(Data::Continue),
        Opcode::Text => OpCode::Data(Data::Text),
        Opcode::Binary => OpCode::Data(Data::Binary),
        Opcode::Close => OpCode::Control(Control::Close),
        Opcode::Ping => OpCode::Control(Control::Ping),
        Opcode::Pong => OpCode::Control(Control::Pong),
    };
    FrameHeader {
        opcode,
        is_final: lead.fin,
        rsv1: lead.compressed,
        mask: Some(key),
        ..FrameHeader::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(bytes: &[u8], assembling: bool) -> ProtocolFault {
        read_head(bytes, assembling, false).expect_err("a fault")
    }

    #[test]
    fn the_first_byte_is_judged_alone() {
        assert_eq!(fault(&[0xC1], false), ProtocolFault::ReservedBits);
        assert_eq!(fault(&[0x91], false), ProtocolFault::ReservedBits);
        assert_eq!(fault(&[0x83], false), ProtocolFault::Opcode(3));
        assert_eq!(fault(&[0x8F], false), ProtocolFault::Opcode(15));
        assert_eq!(fault(&[0x09], false), ProtocolFault::ControlFrame);
        assert_eq!(fault(&[0x80], false), ProtocolFault::UnexpectedContinuation);
        assert_eq!(fault(&[0x81], true), ProtocolFault::UnfinishedMessage);
        assert_eq!(read_head(&[0x00], true, false), Ok(None));
    }

    #[test]
    fn with_compression_one_reserved_bit_may_begin_a_message_and_nothing_else() {
        for first in 0..=u8::MAX {
            let good = matches!(first & 0x7F, 0x41 | 0x42);
            let fault = read_head(&[first], false, true) == Err(ProtocolFault::ReservedBits);
            assert_eq!(fault, first & 0x70 != 0 && !good, "{first:#x}");
        }
        let head = |bytes: &[u8]| read_head(bytes, false, true).unwrap().unwrap();
        assert!(head(&[0xC1, 0]).compressed && !head(&[0x81, 0]).compressed);
        assert_eq!(read_head(&[0x40], true, true), Err(ProtocolFault::ReservedBits));
        assert_eq!(read_head(&[0x41], true, true), Err(ProtocolFault::UnfinishedMessage));
    }

    #[test]
    fn the_second_byte_is_judged_before_the_length() {
        assert_eq!(fault(&[0x81, 0x80], false), ProtocolFault::Masked);
        assert_eq!(fault(&[0x89, 126], false), ProtocolFault::ControlFrame);
        assert_eq!(fault(&[0x88, 127], false), ProtocolFault::ControlFrame);
        assert_eq!(fault(&[0x88, 1], false), ProtocolFault::CloseFrame);
    }

    #[test]
    fn lengths_come_in_their_shortest_form_only() {
        assert_eq!(fault(&[0x82, 126, 0, 125], false), ProtocolFault::Length);
        assert_eq!(fault(&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], false), ProtocolFault::Length);
        assert_eq!(fault(&[0x82, 127, 0x80], false), ProtocolFault::Length);
        let head = |bytes: &[u8]| read_head(bytes, false, false).unwrap().unwrap();
        assert_eq!(head(&[0x82, 125]).payload, 125);
        assert_eq!(head(&[0x82, 126, 0, 126]).payload, 126);
        assert_eq!(head(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]).payload, 65536);
        assert_eq!(read_head(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0], false, false), Ok(None));
    }

    #[test]
    fn close_codes_are_those_of_the_rfc_and_the_registry() {
        for code in 0..=u16::MAX {
            let good =
                matches!(code, 1000 | 1001 | 1002 | 1003 | 1007..=1014) || (3000..5000).contains(&code);
            assert_eq!(read_close(&code.to_be_bytes()).is_ok(), good, "{code}");
        }
        assert_eq!(read_close(&[]), Ok((1005, "")));
        assert_eq!(read_close(b"\x03\xe8bye"), Ok((1000, "bye")));
        assert_eq!(read_close(b"\x03\xe8\xff"), Err(ProtocolFault::CloseFrame));
    }
}
