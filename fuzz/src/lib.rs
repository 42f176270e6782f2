//! What the fuzzing programs share: how an input is taken apart, a stream in memory, and a reader of client frames.
//!
//! An input is one byte of options, one that says how many sizes follow, the sizes, and the bytes of the stranger.

#[cfg(not(heartwire_fuzz))]
compile_error!("start it with .ci/fuzz, or with RUSTFLAGS='--cfg heartwire_fuzz'");

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};

/// An input, taken apart.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    pub options: u8,
    pub sizes: &'a [u8],
    pub bytes: &'a [u8],
}

impl<'a> Input<'a> {
    pub fn new(input: &'a [u8]) -> Option<Input<'a>> {
        let [options, count, rest @ ..] = input else { return None };
        let (sizes, bytes) = rest.split_at_checked(usize::from(*count))?;
        Some(Input { options: *options, sizes, bytes })
    }

    /// One of these, by the lower four bits of the options.
    pub fn choose<T: Copy>(&self, of: &[T]) -> T {
        of[usize::from(self.options & 15) % of.len()]
    }

    /// One of the upper four bits of the options.
    pub fn flag(&self, bit: u8) -> bool {
        self.options & (16 << bit) != 0
    }
}

/// A stream whose reads give pieces and whose writes take pieces; a piece of 0 bytes is a `WouldBlock`.
pub struct Stream<'a> {
    unread: &'a [u8],
    reads: VecDeque<u8>,
    writes: VecDeque<u8>,
    /// After the last byte: the end of the stream, or else `WouldBlock`.
    pub ended: bool,
    pub written: Vec<u8>,
}

impl<'a> Stream<'a> {
    /// All in one piece.
    pub fn whole(bytes: &'a [u8]) -> Stream<'a> {
        Stream {
            unread: bytes,
            reads: VecDeque::new(),
            writes: VecDeque::new(),
            ended: false,
            written: Vec::new(),
        }
    }

    /// In pieces of these sizes; what is left then in one piece. Writes take the same in the other order.
    pub fn pieces(bytes: &'a [u8], sizes: &[u8]) -> Stream<'a> {
        let mut stream = Stream::whole(bytes);
        stream.reads.extend(sizes);
        stream.writes.extend(sizes.iter().rev());
        stream
    }

    pub fn unread(&self) -> &'a [u8] {
        self.unread
    }

    /// From now on writes take all.
    pub fn unblock(&mut self) {
        self.writes.clear();
    }

    fn limit(sizes: &mut VecDeque<u8>) -> io::Result<usize> {
        match sizes.pop_front() {
            Some(0) => Err(ErrorKind::WouldBlock.into()),
            Some(size) => Ok(size.into()),
            None => Ok(usize::MAX),
        }
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        assert!(!buf.is_empty(), "a read without room would look like the end of the stream");
        if self.unread.is_empty() {
            return if self.ended { Ok(0) } else { Err(ErrorKind::WouldBlock.into()) };
        }
        let size = Stream::limit(&mut self.reads)?.min(buf.len()).min(self.unread.len());
        let (now, later) = self.unread.split_at(size);
        buf[..size].copy_from_slice(now);
        self.unread = later;
        Ok(size)
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        assert!(!buf.is_empty(), "a write of nothing");
        let size = Stream::limit(&mut self.writes)?.min(buf.len());
        self.written.extend_from_slice(&buf[..size]);
        Ok(size)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A client's frame, unmasked.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// FIN, reserved bits and opcode.
    pub first: u8,
    pub payload: Vec<u8>,
}

/// All frames that a client wrote, straight from RFC 6455 section 5.2.
///
/// # Panics
///
/// When they are no whole, masked frames with lengths in their shortest form.
pub fn client_frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        assert_eq!(bytes[1] & 0x80, 0x80, "a client masks");
        let (at, len) = match bytes[1] & 0x7F {
            126 => {
                let len = u16::from_be_bytes([bytes[2], bytes[3]]).into();
                assert!(len > 125, "the shortest form");
                (4, len)
            }
            127 => {
                let len = u64::from_be_bytes(bytes[2..10].try_into().unwrap()) as usize;
                assert!(len > 0xFFFF, "the shortest form");
                (10, len)
            }
            len => (2, usize::from(len)),
        };
        let (head, rest) = bytes.split_at(at + 4);
        let (masked, rest) = rest.split_at(len);
        let payload = masked.iter().zip(head[at..].iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        frames.push(Frame { first: head[0], payload });
        bytes = rest;
    }
    frames
}
