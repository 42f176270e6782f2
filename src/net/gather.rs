//! TLS records on their way to the socket, several in one system call; TLS itself writes each alone.
//!
//! A record counts as written when the socket has taken its last byte, so that what is told of a message stays true for
//! each record: a batch that the socket took in part has settled those that it took whole. Knows no socket.

use std::collections::VecDeque;
use std::io;

use native_tls::TlsStream;

use crate::net::outer;
use crate::net::tap::Tap;

/// What TLS puts into one record at most (RFC 8446 section 5.1): less than that is written as it comes.
const RECORD: usize = 16 << 10;
/// So many bytes are gathered; more would be out of the cache again when the system copies them.
const BATCH: usize = 64 << 10;

/// Sealed bytes that the socket has not taken.
#[derive(Default)]
pub(crate) struct Gather {
    /// From `at` on they wait.
    bytes: Vec<u8>,
    at: usize,
    /// For each record where its sealed bytes end in `bytes`, and how long its payload is.
    records: VecDeque<(usize, usize)>,
    /// What TLS writes is gathered now.
    on: bool,
    /// It was used since the last `shrink`.
    used: bool,
}

impl Gather {
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Whether all was told of: what TLS writes of itself takes the records before it to the socket, too.
    fn is_settled(&self) -> bool {
        self.records.is_empty()
    }

    pub(crate) fn add(&mut self, sealed: &[u8]) {
        self.bytes.extend_from_slice(sealed);
    }

    pub(crate) fn pending(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    /// Takes bytes off the front that the socket took.
    pub(crate) fn taken(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// The payload of the records that the socket has taken whole since the last call.
    pub(crate) fn take_settled(&mut self) -> usize {
        let mut settled = 0;
        while let Some((_, payload)) = self.records.front().filter(|(end, _)| *end <= self.at) {
            settled += payload;
            self.records.pop_front();
        }
        if self.is_empty() {
            self.bytes.clear();
            self.at = 0;
        }
        settled
    }

    pub(crate) fn has_spare(&self) -> bool {
        self.bytes.capacity() > 0 && self.is_empty() && self.is_settled()
    }

    /// Gives the memory back if it was not used since the last call.
    pub(crate) fn shrink(&mut self) {
        if self.has_spare() && !std::mem::take(&mut self.used) {
            *self = Gather::default();
        }
    }
}

/// Writes through TLS; an error is the true one. Answers how many bytes are in records that the socket took whole.
///
/// `WouldBlock` means that it took none; offer the same bytes again.
pub(crate) fn write(engine: &mut TlsStream<Tap>, from: &[u8]) -> io::Result<usize> {
    if engine.get_ref().gather().is_settled() {
        // An answer of TLS's, after which it takes bytes again.
        engine.get_mut().flush_gathered()?;
        if from.len() <= RECORD {
            return outer::write(engine, from);
        }
        if let Err(error) = seal(engine, from) {
            // What TLS waits for may be the answer to what it has written of itself.
            engine.get_mut().flush_gathered()?;
            return Err(error);
        }
    }
    let flushed = engine.get_mut().flush_gathered();
    match engine.get_mut().gather_mut().take_settled() {
        0 => Err(flushed.err().unwrap_or_else(|| io::ErrorKind::WouldBlock.into())),
        settled => Ok(settled),
    }
}

/// Seals a batch, or what TLS takes of it.
fn seal(engine: &mut TlsStream<Tap>, from: &[u8]) -> io::Result<()> {
    engine.get_mut().gather_mut().on = true;
    engine.get_mut().gather_mut().used = true;
    let mut done = 0;
    let result = loop {
        match outer::write(engine, &from[done..]) {
            Ok(0) => break Ok(()),
            Ok(payload) => {
                done += payload;
                let gather = engine.get_mut().gather_mut();
                gather.records.push_back((gather.bytes.len(), payload));
                if done == from.len() || gather.bytes.len() >= BATCH {
                    break Ok(());
                }
            }
            // Should it last, the next write hears of it.
            Err(_) if done > 0 => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    engine.get_mut().gather_mut().on = false;
    result
}
