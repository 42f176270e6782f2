//! The socket as TLS sees it: counts bytes, reads ahead, remembers which direction blocked and what truly failed.
//! Does not know TLS.

use std::io::{self, Read, Write};

use mio::net::TcpStream;
#[cfg(feature = "native-tls")]
use {crate::net::tls_fault::Trouble, std::sync::Arc};

/// How far one read goes at first, and at most, in bytes.
const SHORTEST: usize = 4 << 10;
const LONGEST: usize = 32 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

pub(crate) struct Tap {
    socket: TcpStream,
    /// Read from the socket, and not yet by TLS: `ahead[at..]`. Freed when empty. Always empty without TLS, whose
    /// reader has a buffer of its own.
    ahead: Vec<u8>,
    at: usize,
    /// How far the next read ahead goes: it follows the traffic, since the buffer must be zeroed. 0: no reading ahead.
    reach: usize,
    received: u64,
    sent: u64,
    blocked: Option<Direction>,
    short: bool,
    #[cfg(feature = "native-tls")]
    trouble: Arc<Trouble>,
}

impl Tap {
    pub(crate) fn plain(socket: TcpStream) -> Tap {
        Tap {
            socket,
            ahead: Vec::new(),
            at: 0,
            reach: 0,
            received: 0,
            sent: 0,
            blocked: None,
            short: false,
            #[cfg(feature = "native-tls")]
            trouble: Arc::default(),
        }
    }

    /// TLS asks for five bytes, then for the record they announce; reading ahead saves every second call.
    #[cfg(feature = "native-tls")]
    pub(crate) fn below_tls(socket: TcpStream, trouble: Arc<Trouble>) -> Tap {
        Tap { reach: SHORTEST, trouble, ..Tap::plain(socket) }
    }

    /// Forgets what the operation before said.
    pub(crate) fn begin(&mut self) {
        self.blocked = None;
        self.short = false;
        #[cfg(feature = "native-tls")]
        self.trouble.forget();
    }

    #[cfg(test)]
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    pub(crate) fn blocked(&self) -> Option<Direction> {
        self.blocked
    }

    pub(crate) fn read_was_short(&self) -> bool {
        self.short
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub(crate) fn socket_mut(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    #[cfg(feature = "native-tls")]
    pub(crate) fn has_ahead(&self) -> bool {
        !self.ahead.is_empty()
    }

    #[cfg(feature = "native-tls")]
    pub(crate) fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    fn receive(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.socket.read(into) {
                Ok(read) => {
                    self.received += read as u64;
                    self.short = read < into.len();
                    #[cfg(feature = "native-tls")]
                    if read == 0 && !into.is_empty() {
                        self.trouble.ended();
                    }
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.note(Direction::Read, error)),
            }
        }
    }

    fn take_ahead(&mut self, into: &mut [u8]) -> usize {
        let waiting = &self.ahead[self.at..];
        let taken = waiting.len().min(into.len());
        into[..taken].copy_from_slice(&waiting[..taken]);
        self.at += taken;
        if self.at == self.ahead.len() {
            self.ahead = Vec::new();
            self.at = 0;
        }
        taken
    }

    fn note(&mut self, direction: Direction, error: io::Error) -> io::Error {
        if error.kind() == io::ErrorKind::WouldBlock {
            self.blocked = Some(direction);
        } else {
            #[cfg(feature = "native-tls")]
            self.trouble.failed(&error);
        }
        error
    }
}

impl Read for Tap {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if !self.ahead.is_empty() {
            return Ok(self.take_ahead(into));
        }
        if into.len() >= self.reach {
            return self.receive(into);
        }
        let mut ahead = vec![0; self.reach];
        let read = self.receive(&mut ahead)?;
        if read == self.reach {
            self.reach = LONGEST.min(self.reach * 2);
        } else if read < self.reach / 4 {
            self.reach = SHORTEST.max(self.reach / 2);
        }
        ahead.truncate(read);
        self.ahead = ahead;
        Ok(self.take_ahead(into))
    }
}

impl Write for Tap {
    /// One buffer at a time: `write_vectored` on a std socket is `writev`, which can raise SIGPIPE.
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        loop {
            match self.socket.write(from) {
                Ok(written) => {
                    self.sent += written as u64;
                    return Ok(written);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.note(Direction::Write, error)),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
