//! The socket as TLS sees it: counts bytes, reads ahead, remembers which direction blocked and what truly failed.
//! Does not know TLS.

use std::io::{self, Read, Write};

use mio::net::TcpStream;
#[cfg(feature = "native-tls")]
use {
    crate::net::{gather::Gather, tls_fault::Trouble},
    std::sync::Arc,
};

/// How far one read ahead goes, in bytes: of a quiet client, at first, and at most.
const IDLE: usize = 512;
const FIRST: usize = 4 << 10;
const LONGEST: usize = 64 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

pub(crate) struct Tap {
    socket: TcpStream,
    /// `ahead[at..end]` was read from the socket, and not yet by TLS. Its length is how far a read goes; without TLS,
    /// whose reader has a buffer of its own, it has none.
    ahead: Vec<u8>,
    at: usize,
    end: usize,
    /// The last read took all the room there was.
    filled: bool,
    /// How far it was used since the last `shrink`.
    peak: usize,
    received: u64,
    sent: u64,
    blocked: Option<Direction>,
    short: bool,
    #[cfg(feature = "native-tls")]
    gather: Gather,
    #[cfg(feature = "native-tls")]
    trouble: Arc<Trouble>,
}

impl Tap {
    pub(crate) fn plain(socket: TcpStream) -> Tap {
        Tap {
            socket,
            ahead: Vec::new(),
            at: 0,
            end: 0,
            filled: false,
            peak: 0,
            received: 0,
            sent: 0,
            blocked: None,
            short: false,
            #[cfg(feature = "native-tls")]
            gather: Gather::default(),
            #[cfg(feature = "native-tls")]
            trouble: Arc::default(),
        }
    }

    /// TLS asks for five bytes, then for the record they announce; reading ahead saves every second call.
    #[cfg(feature = "native-tls")]
    pub(crate) fn below_tls(self, trouble: Arc<Trouble>) -> Tap {
        Tap { ahead: vec![0; FIRST], trouble, ..self }
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
        self.at < self.end
    }

    /// Whether [`shrink`](Self::shrink), called now and then again, would give something back.
    pub(crate) fn has_spare(&self) -> bool {
        #[cfg(feature = "native-tls")]
        let gathered = self.gather.has_spare();
        #[cfg(not(feature = "native-tls"))]
        let gathered = false;
        self.has_spare_ahead() || gathered
    }

    fn has_spare_ahead(&self) -> bool {
        self.ahead.len() > IDLE && self.at == self.end
    }

    /// Gives back what the last stretch did not need: where not even a quarter was used since the last call.
    pub(crate) fn shrink(&mut self) {
        #[cfg(feature = "native-tls")]
        self.gather.shrink();
        if !self.has_spare_ahead() {
            return;
        }
        let peak = std::mem::take(&mut self.peak);
        if peak <= self.ahead.len() / 4 {
            self.ahead = vec![0; (2 * peak).next_power_of_two().max(IDLE)];
            self.filled = false;
        }
    }

    #[cfg(feature = "native-tls")]
    pub(crate) fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    #[cfg(feature = "native-tls")]
    pub(crate) fn gather(&self) -> &Gather {
        &self.gather
    }

    #[cfg(feature = "native-tls")]
    pub(crate) fn gather_mut(&mut self) -> &mut Gather {
        &mut self.gather
    }

    /// Writes what was gathered, as far as the socket takes it.
    #[cfg(feature = "native-tls")]
    pub(crate) fn flush_gathered(&mut self) -> io::Result<()> {
        while !self.gather.is_empty() {
            match self.send(|tap| tap.socket.write(tap.gather.pending()))? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => self.gather.taken(written),
            }
        }
        Ok(())
    }

    /// One buffer at a time: `write_vectored` on a std socket is `writev`, which can raise SIGPIPE.
    fn send(&mut self, mut write: impl FnMut(&mut Tap) -> io::Result<usize>) -> io::Result<usize> {
        loop {
            match write(self) {
                Ok(written) => {
                    self.sent += written as u64;
                    return Ok(written);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.note(Direction::Write, error)),
            }
        }
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
        let waiting = &self.ahead[self.at..self.end];
        let taken = waiting.len().min(into.len());
        into[..taken].copy_from_slice(&waiting[..taken]);
        self.at += taken;
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
        if self.at < self.end {
            return Ok(self.take_ahead(into));
        }
        if into.len() >= self.ahead.len() {
            return self.receive(into);
        }
        let mut ahead = std::mem::take(&mut self.ahead);
        if std::mem::take(&mut self.filled) && ahead.len() < LONGEST {
            ahead = vec![0; (2 * ahead.len()).clamp(FIRST, LONGEST)];
        }
        let read = self.receive(&mut ahead);
        self.ahead = ahead;
        let read = read?;
        self.filled = read == self.ahead.len();
        self.peak = self.peak.max(read);
        (self.at, self.end) = (0, read);
        Ok(self.take_ahead(into))
    }
}

impl Write for Tap {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        #[cfg(feature = "native-tls")]
        if self.gather.is_on() {
            self.gather.add(from);
            return Ok(from.len());
        } else {
            // What was sealed before goes first.
            self.flush_gathered()?;
        }
        self.send(|tap| tap.socket.write(from))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(all(test, feature = "native-tls"))]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    /// A tap and the peer's socket.
    fn pair() -> (Tap, std::net::TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        // Blocking, so that a read waits for what was written.
        let socket = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Tap::plain(TcpStream::from_std(socket)).below_tls(Arc::default()), listener.accept().unwrap().0)
    }

    /// Reads as TLS does: five bytes, then the record, here of that size in all.
    fn read_record(tap: &mut Tap, size: usize) {
        let mut record = vec![0; size];
        tap.read_exact(&mut record[..5]).unwrap();
        tap.read_exact(&mut record[5..]).unwrap();
        assert!(record.iter().all(|byte| *byte == 7));
    }

    #[test]
    fn the_buffer_below_tls_grows_with_the_traffic_and_shrinks_to_what_a_pong_needs() {
        let (mut tap, mut peer) = pair();
        peer.write_all(&vec![7; 64 * 1024]).unwrap();
        for _ in 0..64 {
            read_record(&mut tap, 1024);
        }
        assert!((FIRST..=LONGEST).contains(&tap.ahead.len()) && tap.has_spare());
        tap.shrink();
        assert!(tap.has_spare(), "it was used just now");
        for _ in 0..3 {
            peer.write_all(&[7; 50]).unwrap();
            read_record(&mut tap, 50);
            tap.shrink();
            assert_eq!(tap.ahead.len(), IDLE);
            assert!(!tap.has_spare(), "a pong is no reason to come back");
        }
        peer.write_all(&[7; 5000]).unwrap();
        read_record(&mut tap, 5000);
        assert!(!tap.has_ahead());
    }

    #[test]
    fn what_tls_has_not_taken_is_not_given_back() {
        let (mut tap, mut peer) = pair();
        peer.write_all(&[7; 100]).unwrap();
        tap.read_exact(&mut [0; 5]).unwrap();
        assert!(tap.has_ahead() && !tap.has_spare());
        tap.shrink();
        read_record(&mut tap, 95);
    }
}
