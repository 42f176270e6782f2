//! WebSocket frames as a server sends and takes them, down to frames that no sound server would send.
//!
//! The reader is strict on purpose (RFC 6455 section 5): an unmasked frame, a reserved bit, a wrong order of fragments
//! or text that is not UTF-8 is reported as the client's fault and ends the connection.

use crate::Message;
use std::fmt;
use std::io::Cursor;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

/// A whole message as one frame of a server.
pub fn message_frame(message: &Message) -> Vec<u8> {
    frame(if message.is_text() { 1 } else { 2 }, message.as_bytes())
}

/// One final, unmasked frame with the given opcode: what a sound server sends.
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    raw_frame(0x80 | opcode, payload)
}

/// An unmasked frame whose first byte (final bit, reserved bits, opcode) is given whole.
pub fn raw_frame(first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = raw_header(first_byte, 0, payload.len() as u64);
    out.extend_from_slice(payload);
    out
}

/// A frame's header alone, claiming `length` bytes of payload in the shortest form; `mask_bit` is 0x80 or 0.
pub fn raw_header(first_byte: u8, mask_bit: u8, length: u64) -> Vec<u8> {
    let mut out = vec![first_byte];
    match length {
        0..=125 => out.push(mask_bit | length as u8),
        126..=0xFFFF => {
            out.push(mask_bit | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(mask_bit | 127);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    out
}

/// A message cut into frames of at most `size` bytes.
pub fn fragmented(opcode: u8, payload: &[u8], size: usize) -> Vec<u8> {
    let count = payload.len().div_ceil(size).max(1);
    let mut out = Vec::new();
    for i in 0..count {
        let part = &payload[i * size..payload.len().min((i + 1) * size)];
        let fin = if i + 1 == count { 0x80 } else { 0 };
        out.extend(raw_frame(fin | if i == 0 { opcode } else { 0 }, part));
    }
    out
}

/// A Close frame with a code and a reason; the code is not checked.
pub fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    frame(8, &payload)
}

/// What the client sent, one step at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incoming {
    /// A whole message, joined if it came in fragments.
    Message(Message),
    /// A ping and its payload.
    Ping(Vec<u8>),
    /// A pong and its payload.
    Pong(Vec<u8>),
    /// A Close.
    Close {
        /// Its code, if it has one.
        code: Option<u16>,
        /// Its reason, which may be empty.
        reason: String,
    },
}

/// A rule of RFC 6455 that the client broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Turns the client's bytes into messages and control frames.
///
/// ```
/// use heartwire::testing::frames::{FrameReader, Incoming};
///
/// let mut reader = FrameReader::default();
/// reader.push(&[0x81, 0x82, 0, 0, 0, 0, b'h']); // a text of two bytes, masked with zeros
/// assert_eq!(reader.next(), Ok(None), "one byte is missing");
/// reader.push(b"i");
/// assert_eq!(reader.next(), Ok(Some(Incoming::Message("hi".into()))));
/// ```
#[derive(Debug, Default)]
pub struct FrameReader {
    unread: Vec<u8>,
    /// Bytes at the front of `unread` that are already parsed.
    parsed: usize,
    partial: Option<(Data, Vec<u8>)>,
}

impl FrameReader {
    /// Adds bytes as they came from the client.
    pub fn push(&mut self, bytes: &[u8]) {
        self.unread.drain(..self.parsed);
        self.parsed = 0;
        self.unread.extend_from_slice(bytes);
    }

    /// The next whole step, or `None` until more bytes were pushed.
    ///
    /// # Errors
    ///
    /// The client broke the protocol; the reader is of no further use.
    #[allow(clippy::should_implement_trait, reason = "None means not yet, and not the end")]
    pub fn next(&mut self) -> Result<Option<Incoming>, Violation> {
        while let Some((header, mut payload)) = self.next_frame()? {
            let mask = header.mask.ok_or_else(|| Violation("unmasked frame from the client".into()))?;
            unmask(&mut payload, mask);
            if header.rsv1 || header.rsv2 || header.rsv3 {
                return Err(Violation("reserved bit set".into()));
            }
            match header.opcode {
                OpCode::Control(control) => {
                    return control_frame(control, header.is_final, payload).map(Some);
                }
                OpCode::Data(kind) => {
                    if let Some(message) = self.data_frame(kind, header.is_final, payload)? {
                        return Ok(Some(Incoming::Message(message)));
                    }
                }
            }
        }
        Ok(None)
    }

    /// The next whole frame, unmasked, with its first byte as it came: for scripts that know extensions.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next) has them.
    pub fn next_unmasked(&mut self) -> Result<Option<(u8, Vec<u8>)>, Violation> {
        let first = self.unread.get(self.parsed).copied().unwrap_or_default();
        let Some((header, mut payload)) = self.next_frame()? else { return Ok(None) };
        let mask = header.mask.ok_or_else(|| Violation("unmasked frame from the client".into()))?;
        unmask(&mut payload, mask);
        Ok(Some((first, payload)))
    }

    fn next_frame(&mut self) -> Result<Option<(FrameHeader, Vec<u8>)>, Violation> {
        let rest = &self.unread[self.parsed..];
        let mut cursor = Cursor::new(rest);
        let Some((header, length)) = FrameHeader::parse(&mut cursor).map_err(|e| Violation(e.to_string()))?
        else {
            return Ok(None);
        };
        let start = cursor.position() as usize;
        let minimal = header.len(length);
        if start != minimal {
            return Err(Violation(format!(
                "length of {length} in {start} header bytes instead of {minimal}"
            )));
        }
        let Some(payload) = rest[start..].get(..length as usize) else { return Ok(None) };
        let payload = payload.to_vec();
        self.parsed += start + payload.len();
        Ok(Some((header, payload)))
    }

    fn data_frame(
        &mut self,
        kind: Data,
        is_final: bool,
        payload: Vec<u8>,
    ) -> Result<Option<Message>, Violation> {
        let (kind, whole) = match (kind, self.partial.take()) {
            (Data::Continue, Some((kind, mut whole))) => {
                whole.extend(payload);
                (kind, whole)
            }
            (Data::Continue, None) => return Err(Violation("continuation of nothing".into())),
            (Data::Text | Data::Binary, None) => (kind, payload),
            (kind, Some(_)) => return Err(Violation(format!("{kind} frame inside a fragmented message"))),
            (kind, None) => return Err(Violation(format!("unknown opcode {kind}"))),
        };
        if !is_final {
            self.partial = Some((kind, whole));
            return Ok(None);
        }
        if matches!(kind, Data::Binary) {
            return Ok(Some(Message::binary(whole)));
        }
        let text = String::from_utf8(whole).map_err(|e| Violation(format!("text is not UTF-8: {e}")))?;
        Ok(Some(Message::text(text)))
    }
}

/// Eight bytes at a time: byte by byte, an unoptimised build takes a second for 16 MiB, and pings wait meanwhile.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let key = u64::from_ne_bytes([mask, mask].concat().try_into().expect("eight bytes"));
    let mut words = payload.chunks_exact_mut(8);
    for word in &mut words {
        let plain = u64::from_ne_bytes((&*word).try_into().expect("eight bytes")) ^ key;
        word.copy_from_slice(&plain.to_ne_bytes());
    }
    words.into_remainder().iter_mut().zip(mask.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
}

fn control_frame(control: Control, is_final: bool, payload: Vec<u8>) -> Result<Incoming, Violation> {
    if !is_final || payload.len() > 125 {
        return Err(Violation(format!("{control} frame fragmented or too long")));
    }
    match control {
        Control::Ping => Ok(Incoming::Ping(payload)),
        Control::Pong => Ok(Incoming::Pong(payload)),
        Control::Close => close_payload(&payload),
        other => Err(Violation(format!("unknown opcode {other}"))),
    }
}

fn close_payload(payload: &[u8]) -> Result<Incoming, Violation> {
    let (code, reason) = match payload {
        [] => (None, String::new()),
        [_] => return Err(Violation("close payload of one byte".into())),
        [a, b, reason @ ..] => {
            let reason = std::str::from_utf8(reason).map_err(|e| Violation(format!("close reason: {e}")))?;
            (Some(u16::from_be_bytes([*a, *b])), reason.to_owned())
        }
    };
    match code {
        // tungstenite calls 1014 invalid; IANA registered it (bad gateway).
        Some(code) if code != 1014 && !CloseCode::from(code).is_allowed() => {
            Err(Violation(format!("close code {code} on the wire")))
        }
        _ => Ok(Incoming::Close { code, reason }),
    }
}

/// A ping as a server sends it.
pub fn ping_frame(payload: &[u8]) -> Vec<u8> {
    frame(9, payload)
}

/// A pong as a server sends it.
pub fn pong_frame(payload: &[u8]) -> Vec<u8> {
    frame(10, payload)
}
