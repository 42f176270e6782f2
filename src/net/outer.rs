//! TLS with a proxy as the TLS with the server sees it: the stream that carries the other one's records.
//! Knows nothing of the proxy, nor of what the records hold.

use std::io::{self, Read, Write};
use std::sync::Arc;

use native_tls::TlsStream;

use crate::net::tap::Tap;
use crate::net::tls_fault::Trouble;

/// What TLS stands on: bytes, and what truly happened to them.
pub(crate) trait Below: Read + Write {
    fn tap(&self) -> &Tap;
    fn tap_mut(&mut self) -> &mut Tap;
    /// What the TLS above has to know of it.
    fn trouble(&self) -> &Trouble;
    /// Forgets what the operation before said.
    fn begin(&mut self);
    /// Whether bytes wait in it that no event will announce.
    fn has_buffered(&self) -> bool;
}

impl Below for Tap {
    fn tap(&self) -> &Tap {
        self
    }

    fn tap_mut(&mut self) -> &mut Tap {
        self
    }

    fn trouble(&self) -> &Trouble {
        Tap::trouble(self)
    }

    fn begin(&mut self) {
        Tap::begin(self);
    }

    fn has_buffered(&self) -> bool {
        self.has_ahead()
    }
}

pub(crate) struct Outer {
    engine: TlsStream<Tap>,
    /// Of the TLS above.
    trouble: Arc<Trouble>,
    /// The TLS above has said that it ends.
    pub(crate) sealed: bool,
}

impl Outer {
    pub(crate) fn new(engine: TlsStream<Tap>, trouble: Arc<Trouble>) -> Outer {
        Outer { engine, trouble, sealed: false }
    }

    /// Sends close_notify.
    pub(crate) fn shutdown(&mut self) -> io::Result<()> {
        self.engine.shutdown()
    }

    /// What failed here is what truly failed for the TLS above.
    fn note(&self, error: io::Error) -> io::Error {
        if error.kind() != io::ErrorKind::WouldBlock {
            self.trouble.failed_below(&error);
        }
        error
    }
}

impl Below for Outer {
    fn tap(&self) -> &Tap {
        self.engine.get_ref()
    }

    fn tap_mut(&mut self) -> &mut Tap {
        self.engine.get_mut()
    }

    fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    fn begin(&mut self) {
        self.engine.get_mut().begin();
        self.trouble.forget();
    }

    fn has_buffered(&self) -> bool {
        self.engine.get_ref().has_ahead() || self.engine.buffered_read_size().is_ok_and(|bytes| bytes > 0)
    }
}

impl Read for Outer {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = read(&mut self.engine, into).map_err(|error| self.note(error))?;
        if read == 0 && !into.is_empty() {
            self.trouble.ended();
        }
        Ok(read)
    }
}

impl Write for Outer {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        write(&mut self.engine, from).map_err(|error| self.note(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads through TLS; an error is the true one.
pub(crate) fn read(engine: &mut TlsStream<impl Below>, into: &mut [u8]) -> io::Result<usize> {
    match engine.read(into) {
        Ok(0) if !into.is_empty() => engine.get_ref().trouble().end(),
        Ok(read) => Ok(read),
        Err(error) => Err(engine.get_ref().trouble().truth(error)),
    }
}

/// Writes through TLS; an error is the true one.
pub(crate) fn write(engine: &mut TlsStream<impl Below>, from: &[u8]) -> io::Result<usize> {
    engine.write(from).map_err(|error| engine.get_ref().trouble().truth(error))
}
