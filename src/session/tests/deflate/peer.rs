//! The server's side of compression, on zlib itself.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use crate::config::deflate::Deflate;
use crate::session::deflate::Agreed;
use crate::session::tests::frames::server;

/// What comes of this answer to an offer that compresses everything.
pub(super) fn agreed(parameters: &str) -> Agreed {
    let offer = Deflate::new().threshold(0);
    offer.judge([format!("permessage-deflate{parameters}").as_str()].into_iter()).unwrap().unwrap()
}

/// A server that compresses, and inflates what it gets.
pub(super) struct Peer {
    compress: Compress,
    inflate: Decompress,
    /// Of the server's compressor and of the client's.
    takeover: [bool; 2],
}

impl Peer {
    pub(super) fn new(parameters: &str) -> Peer {
        Peer {
            compress: Compress::new(Compression::default(), false),
            inflate: Decompress::new(false),
            takeover: ["server", "client"]
                .map(|side| !parameters.contains(&format!("{side}_no_context_takeover"))),
        }
    }

    /// A message's payload as it goes over the wire (RFC 7692 section 7.2.1).
    pub(super) fn compress(&mut self, message: &[u8]) -> Vec<u8> {
        if !self.takeover[0] {
            self.compress.reset();
        }
        if message.is_empty() {
            return vec![0];
        }
        let mut payload = self.compress_part(message);
        assert_eq!(payload.split_off(payload.len() - 4), [0, 0, 0xFF, 0xFF]);
        payload
    }

    /// A binary message, compressed, in frames that carry so many bytes at most.
    pub(super) fn binary(&mut self, message: &[u8], fragment: usize) -> Vec<u8> {
        let payload = self.compress(message);
        let mut bytes = Vec::new();
        let mut first = 0x42;
        let mut pieces = payload.chunks(fragment).peekable();
        while let Some(piece) = pieces.next() {
            let fin = if pieces.peek().is_none() { 0x80 } else { 0 };
            bytes.extend(server(first | fin, piece));
            first = 0;
        }
        bytes
    }

    /// What [`compress`](Self::compress) gives, with the flush's end.
    pub(super) fn compress_part(&mut self, message: &[u8]) -> Vec<u8> {
        let mut payload = Vec::with_capacity(message.len() + message.len() / 100 + 1000);
        self.compress.compress_vec(message, &mut payload, FlushCompress::Sync).unwrap();
        payload
    }

    /// What a client's compressed payload was (section 7.2.2).
    pub(super) fn inflate(&mut self, payload: &[u8]) -> Vec<u8> {
        if !self.takeover[1] {
            self.inflate.reset(false);
        }
        let input = [payload, &[0, 0, 0xFF, 0xFF]].concat();
        let mut message = Vec::with_capacity(64);
        let begin = self.inflate.total_in();
        loop {
            let done = (self.inflate.total_in() - begin) as usize;
            self.inflate.decompress_vec(&input[done..], &mut message, FlushDecompress::Sync).unwrap();
            if (self.inflate.total_in() - begin) as usize == input.len() && message.len() < message.capacity()
            {
                return message;
            }
            message.reserve(message.capacity());
        }
    }
}
