//! A server that compresses (RFC 7692), on zlib itself: tungstenite has no extension.

use std::io::{self, Read, Write};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use super::frames::{FrameReader, close_frame, pong_frame, raw_frame};
use super::upgrade::{read_request_head, switching_protocols};
use super::{Behaviour, RawStream};

/// What a flush ends with, which is not sent.
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// The answer to an upgrade that agrees to compression with these parameters.
pub fn agreeing(head: &str, parameters: &str) -> String {
    switching_protocols(head, &format!("Sec-WebSocket-Extensions: permessage-deflate{parameters}\r\n"))
}

/// Raw deflate with a flush at its end, and the end taken away.
pub fn compressed(message: &[u8]) -> Vec<u8> {
    compress(&mut Compress::new(Compression::default(), false), message, FlushCompress::Sync)
}

/// The same as a piece that may stand anywhere in a message, and refers to nothing before it.
pub fn piece(message: &[u8]) -> Vec<u8> {
    let mut piece = compress(&mut Compress::new(Compression::default(), false), message, FlushCompress::Full);
    piece.extend(TAIL);
    piece
}

fn compress(state: &mut Compress, message: &[u8], flush: FlushCompress) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + message.len() / 100 + 64);
    state.compress_vec(message, &mut out, flush).expect("zlib compresses anything");
    assert!(out.ends_with(&TAIL), "there was room");
    out.truncate(out.len() - TAIL.len());
    out
}

/// A session of a server that compresses; both windows go on from message to message.
pub struct Compressing<'a> {
    stream: &'a mut RawStream,
    reader: FrameReader,
    compress: Compress,
    inflate: Decompress,
}

/// A client's message.
pub struct Received {
    pub text: bool,
    pub compressed: bool,
    /// Its length on the wire, without the header.
    pub on_wire: usize,
    pub payload: Vec<u8>,
}

impl<'a> Compressing<'a> {
    /// Answers the upgrade with these parameters.
    ///
    /// # Errors
    ///
    /// The stream's, as everywhere here.
    pub fn open(stream: &'a mut RawStream, parameters: &str) -> io::Result<Compressing<'a>> {
        let head = read_request_head(stream)?;
        assert!(head.contains("Sec-WebSocket-Extensions: permessage-deflate"), "it was offered");
        // Before the answer, so that a client that counts its memory counts none of this.
        let (compress, inflate) = (Compress::new(Compression::default(), false), Decompress::new(false));
        stream.write_all(agreeing(&head, parameters).as_bytes())?;
        stream.flush()?;
        Ok(Compressing { stream, reader: FrameReader::default(), compress, inflate })
    }

    /// The next message; pings are answered meanwhile, and so is a Close, which is the end.
    pub fn next(&mut self) -> io::Result<Option<Received>> {
        loop {
            while let Some((first, payload)) = self.reader.next_unmasked().map_err(invalid)? {
                match first {
                    0x81 | 0x82 | 0xC1 | 0xC2 => {
                        let (compressed, on_wire) = (first & 0x40 != 0, payload.len());
                        let payload = if compressed { self.inflate(&payload)? } else { payload };
                        return Ok(Some(Received { text: first & 1 == 1, compressed, on_wire, payload }));
                    }
                    0x88 => {
                        self.say(&raw_frame(0x88, &payload))?;
                        return Ok(None);
                    }
                    0x89 => self.say(&pong_frame(&payload))?,
                    0x8A => {}
                    _ => return Err(invalid(format!("a frame that begins with {first:#x}"))),
                }
            }
            let mut some = [0; 16 * 1024];
            match self.stream.read(&mut some)? {
                0 => return Ok(None),
                bytes => self.reader.push(&some[..bytes]),
            }
        }
    }

    /// Sends a message compressed, in two fragments.
    pub fn send(&mut self, text: bool, message: &[u8]) -> io::Result<()> {
        let payload = compress(&mut self.compress, message, FlushCompress::Sync);
        let (left, right) = payload.split_at(payload.len() / 3);
        let first = if text { 0x41 } else { 0x42 };
        self.say(&[raw_frame(first, left), raw_frame(0x80, right)].concat())
    }

    pub fn close(&mut self, code: u16) -> io::Result<()> {
        self.say(&close_frame(code, ""))
    }

    fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    fn inflate(&mut self, payload: &[u8]) -> io::Result<Vec<u8>> {
        let input = [payload, &TAIL].concat();
        let (mut message, mut done) = (Vec::with_capacity(64 * 1024), 0);
        while done < input.len() || message.len() == message.capacity() {
            message.reserve(64 * 1024);
            let before = self.inflate.total_in();
            self.inflate
                .decompress_vec(&input[done..], &mut message, FlushDecompress::Sync)
                .map_err(|error| invalid(error.to_string()))?;
            done += (self.inflate.total_in() - before) as usize;
        }
        message.shrink_to_fit();
        Ok(message)
    }
}

/// Sends every message back, compressed.
pub fn echo(parameters: &'static str, seen: impl Fn(&Received) + Send + Sync + 'static) -> Behaviour {
    Behaviour::raw(move |stream, _| {
        let mut echo = || -> io::Result<()> {
            let mut session = Compressing::open(stream, parameters)?;
            while let Some(received) = session.next()? {
                seen(&received);
                session.send(received.text, &received.payload)?;
            }
            Ok(())
        };
        // Whoever is cut off says so by what the client then lacks.
        let _ = echo();
    })
}

fn invalid(error: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}
