//! One connection of the server: the upgrade, then what the path asks for. Knows neither TLS nor processes.
//!
//! - `/echo`: sends each message back once it is whole, and so does nothing on an idle connection.
//! - `/sink/COUNT`: takes so many messages without looking into them, then answers `COUNT BYTES`.
//! - `/flood/KIND/COUNT`: sends so many messages after the client's first one, then a Close.

use std::io::{self, ErrorKind, Read, Write};
use std::ops::Range;

use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::OpCode;

/// What is read, or written in a flood, with one call.
const PIECE: usize = 256 * 1024;
/// Free bytes before a message, for the longest header without a mask.
const ROOM: usize = 10;
/// Longer messages are nobody's.
const LONGEST: u64 = 64 << 20;

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Serves one connection to its end.
pub(crate) fn serve(stream: impl Read + Write) -> io::Result<()> {
    let mut peer = Peer { stream, buffer: vec![0; PIECE], unread: 0..0 };
    let path = peer.upgrade()?;
    let number = |text: &str| text.parse().map_err(io::Error::other);
    match path.split('/').collect::<Vec<_>>()[..] {
        ["", "echo"] => peer.echo(),
        ["", "sink", count] => peer.sink(number(count)?),
        ["", "flood", kind, count] => peer.flood(kind, number(count)?),
        _ => Err(ErrorKind::InvalidInput.into()),
    }
}

/// The payload of a flood of this kind, and whether it is text.
pub(crate) fn flooded(kind: &str) -> (bool, Vec<u8>) {
    match kind {
        "ascii" => (true, (b' '..b'~').cycle().take(125).collect()),
        "chinese" => {
            (true, "你发出的每一句话最后去了哪里".chars().cycle().take(200).collect::<String>().into())
        }
        _ => (false, (0..64).collect()),
    }
}

struct Peer<S> {
    stream: S,
    buffer: Vec<u8>,
    /// Where in the buffer the bytes are that nobody has looked at.
    unread: Range<usize>,
}

struct Frame {
    is_final: bool,
    code: u8,
    key: [u8; 4],
    len: usize,
}

impl<S: Read + Write> Peer<S> {
    fn upgrade(&mut self) -> io::Result<String> {
        loop {
            self.more()?;
            let mut headers = [httparse::EMPTY_HEADER; 32];
            let mut request = httparse::Request::new(&mut headers);
            let parsed = request.parse(&self.buffer[self.unread.clone()]).map_err(io::Error::other)?;
            let httparse::Status::Complete(length) = parsed else { continue };
            let path = request.path.unwrap_or_default().to_owned();
            let key = request.headers.iter().find(|h| h.name.eq_ignore_ascii_case("sec-websocket-key"));
            let accept = derive_accept_key(key.map_or(b"", |header| header.value));
            self.unread.start += length;
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            self.stream.write_all(answer.as_bytes())?;
            self.stream.flush()?;
            return Ok(path);
        }
    }

    fn echo(&mut self) -> io::Result<()> {
        // As long as the longest message so far: what was zeroed once is not zeroed again.
        let mut message = vec![0; ROOM];
        let (mut end, mut code) = (ROOM, BINARY);
        loop {
            let frame = self.frame()?;
            if frame.code >= CLOSE {
                match self.control(&frame)? {
                    CLOSE => return Ok(()),
                    _ => continue,
                }
            }
            if frame.code != 0 {
                code = frame.code;
            }
            let begin = end;
            end += frame.len;
            if message.len() < end {
                message.resize(end, 0);
            }
            self.payload(&frame, &mut message[begin..end])?;
            if frame.is_final {
                self.send(code, &mut message[..end])?;
                end = ROOM;
            }
        }
    }

    fn sink(&mut self, count: usize) -> io::Result<()> {
        let (mut messages, mut bytes) = (0, 0);
        while messages < count {
            let frame = self.frame()?;
            if frame.code >= CLOSE {
                match self.control(&frame)? {
                    CLOSE => return Ok(()),
                    _ => continue,
                }
            }
            self.skip(frame.len)?;
            bytes += frame.len;
            messages += usize::from(frame.is_final);
        }
        self.say(TEXT, format!("{messages} {bytes}").as_bytes())?;
        // A message too many comes back, where it is not expected.
        self.echo()
    }

    fn flood(&mut self, kind: &str, count: usize) -> io::Result<()> {
        let (is_text, payload) = flooded(kind);
        let mut one = Vec::new();
        header(if is_text { TEXT } else { BINARY })
            .format(payload.len() as u64, &mut one)
            .map_err(io::Error::other)?;
        one.extend_from_slice(&payload);
        let many = one.repeat(PIECE / one.len());
        // The client's clock begins with it.
        let first = self.frame()?;
        self.skip(first.len)?;
        let mut left = count * one.len();
        while left > 0 {
            let piece = left.min(many.len());
            self.stream.write_all(&many[..piece])?;
            left -= piece;
        }
        self.say(CLOSE, &1000_u16.to_be_bytes())?;
        loop {
            let frame = self.frame()?;
            self.skip(frame.len)?;
        }
    }

    /// Answers a ping or a Close; tells which it was.
    fn control(&mut self, frame: &Frame) -> io::Result<u8> {
        let mut payload = vec![0; frame.len];
        self.payload(frame, &mut payload)?;
        match frame.code {
            CLOSE => self.say(CLOSE, &payload)?,
            PING => self.say(PONG, &payload)?,
            _ => {}
        }
        Ok(frame.code)
    }

    fn say(&mut self, code: u8, payload: &[u8]) -> io::Result<()> {
        self.send(code, &mut [&[0; ROOM], payload].concat())
    }

    /// Sends what is behind the room for the header, with one write.
    fn send(&mut self, code: u8, message: &mut [u8]) -> io::Result<()> {
        let len = (message.len() - ROOM) as u64;
        let header = header(code);
        let begin = ROOM - header.len(len);
        header.format(len, &mut &mut message[begin..ROOM]).map_err(io::Error::other)?;
        self.stream.write_all(&message[begin..])?;
        self.stream.flush()
    }

    fn frame(&mut self) -> io::Result<Frame> {
        loop {
            if let Some((frame, length)) = parse(&self.buffer[self.unread.clone()]) {
                if frame.len as u64 > LONGEST {
                    return Err(ErrorKind::InvalidData.into());
                }
                self.unread.start += length;
                return Ok(frame);
            }
            self.more()?;
        }
    }

    fn payload(&mut self, frame: &Frame, into: &mut [u8]) -> io::Result<()> {
        let mut have = 0;
        while have < into.len() {
            let bytes = if self.unread.is_empty() {
                // Straight to its place.
                at_least_one(self.stream.read(&mut into[have..]))?
            } else {
                let bytes = self.unread.len().min(into.len() - have);
                into[have..have + bytes].copy_from_slice(&self.buffer[self.unread.start..][..bytes]);
                self.unread.start += bytes;
                bytes
            };
            unmask(&mut into[have..have + bytes], frame.key, have);
            have += bytes;
        }
        Ok(())
    }

    fn skip(&mut self, mut bytes: usize) -> io::Result<()> {
        while bytes > self.unread.len() {
            bytes -= self.unread.len();
            self.unread = 0..0;
            self.more()?;
        }
        self.unread.start += bytes;
        Ok(())
    }

    fn more(&mut self) -> io::Result<()> {
        let rest = self.unread.len();
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..rest + at_least_one(self.stream.read(&mut self.buffer[rest..]))?;
        Ok(())
    }
}

fn at_least_one(read: io::Result<usize>) -> io::Result<usize> {
    match read? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        bytes => Ok(bytes),
    }
}

fn header(code: u8) -> FrameHeader {
    FrameHeader { opcode: OpCode::from(code), ..FrameHeader::default() }
}

/// The masked frame that begins here, and how long its header is; `None` until that is whole.
fn parse(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (first, short) = (*bytes.first()?, *bytes.get(1)? & 0x7f);
    let (len, at) = match short {
        126 => (u64::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)), 4),
        127 => (u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?), 10),
        _ => (u64::from(short), 2),
    };
    let key = *bytes.get(at..)?.first_chunk()?;
    let len = usize::try_from(len).ok()?;
    Some((Frame { is_final: first & 0x80 != 0, code: first & 0x0f, key, len }, at + key.len()))
}

/// Takes the mask from a piece that begins so many bytes into the payload.
fn unmask(piece: &mut [u8], key: [u8; 4], at: usize) {
    let key: [u8; 32] = std::array::from_fn(|i| key[(at + i) % 4]);
    let (whole, rest) = piece.as_chunks_mut::<32>();
    for chunk in whole {
        chunk.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
    }
    rest.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
}
