//! Bytes to and from the server: TCP, or TLS over TCP, as one `Read + Write` that never blocks.
//! Does not know WebSocket, nor when to read or write.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use mio::net::TcpStream;
use socket2::SockRef;

use crate::error::{Cause, LinkError, Phase};
use crate::net::os;
use crate::net::tap::{Direction, Tap};

/// A connected stream. Errors that `read` and `write` return are the true ones: an operating system's
/// with its number, although TLS wraps it, or a [`TlsFault`](crate::TlsFault) inside; [`Stream::fault`] tells them apart.
///
/// Bytes whose write would block must be offered again, from the same place and no fewer: TLS has
/// sealed them already.
pub(crate) struct Stream {
    bytes: Bytes,
    write_closed: bool,
}

enum Bytes {
    Plain(Tap),
    #[cfg(feature = "native-tls")]
    Tls(Box<native_tls::TlsStream<Tap>>),
}

impl Stream {
    pub(crate) fn plain(socket: TcpStream) -> Stream {
        Stream { bytes: Bytes::Plain(Tap::plain(socket)), write_closed: false }
    }

    #[cfg(feature = "native-tls")]
    pub(crate) fn tls(engine: native_tls::TlsStream<Tap>) -> Stream {
        Stream { bytes: Bytes::Tls(Box::new(engine)), write_closed: false }
    }

    /// Bytes that came from the network, TLS's own included.
    #[cfg(test)]
    pub(crate) fn received(&self) -> u64 {
        self.tap().received()
    }

    /// Bytes that the kernel took, TLS's own included.
    pub(crate) fn sent(&self) -> u64 {
        self.tap().sent()
    }

    /// The direction in which the last `read`, `write` or `close_write` was stopped below TLS; TLS may want to write
    /// in order to read, and the reverse.
    pub(crate) fn blocked(&self) -> Option<Direction> {
        self.tap().blocked()
    }

    /// Whether a read would give bytes although the socket is silent: no event will announce them.
    pub(crate) fn has_buffered(&self) -> bool {
        match &self.bytes {
            Bytes::Plain(_) => false,
            #[cfg(feature = "native-tls")]
            Bytes::Tls(engine) => {
                engine.get_ref().has_ahead() || engine.buffered_read_size().is_ok_and(|bytes| bytes > 0)
            }
        }
    }

    /// Whether the last `read` read the socket, and that came back with less than there was room for: on epoll and
    /// kqueue it is empty then, and the next bytes raise an event. What TLS had read before says nothing of it.
    pub(crate) fn read_was_short(&self) -> bool {
        self.tap().read_was_short()
    }

    /// Whether [`shrink`](Stream::shrink), called now and then again, would give something back.
    pub(crate) fn has_spare(&self) -> bool {
        self.tap().has_spare()
    }

    /// Gives memory back that the last stretch did not need.
    pub(crate) fn shrink(&mut self) {
        self.tap_mut().shrink();
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        self.tap().socket()
    }

    pub(crate) fn socket_mut(&mut self) -> &mut TcpStream {
        self.tap_mut().socket_mut()
    }

    /// Bytes that the peer's kernel has not acknowledged; `None` where the system does not tell.
    pub(crate) fn unacknowledged(&self) -> Option<u64> {
        os::unacknowledged(self.socket())
    }

    /// Ends our direction: TLS's close_notify, then TCP's end of stream.
    ///
    /// `WouldBlock` means that close_notify is not out yet: call again when the socket is ready in the
    /// direction that [`blocked`](Stream::blocked) names. A close_notify that cannot be sent is left out.
    pub(crate) fn close_write(&mut self) -> io::Result<()> {
        if self.write_closed {
            return Ok(());
        }
        #[cfg(feature = "native-tls")]
        if let Bytes::Tls(engine) = &mut self.bytes {
            engine.get_mut().begin();
            if let Err(error) = engine.shutdown()
                && error.kind() == io::ErrorKind::WouldBlock
            {
                return Err(error);
            }
        }
        self.write_closed = true;
        match self.socket().shutdown(Shutdown::Write) {
            Err(error) if error.kind() != io::ErrorKind::NotConnected => Err(error),
            _ => Ok(()),
        }
    }

    /// Drops the connection at once, unsent bytes with it; the peer sees a reset.
    pub(crate) fn abort(self) {
        // Should the option fail, the drop is an ordinary close: the peer sees an end instead of a reset.
        let _ = SockRef::from(self.socket()).set_linger(Some(Duration::ZERO));
    }

    /// What an error of `read`, `write` or `close_write` means.
    pub(crate) fn fault(&self, error: io::Error) -> Cause {
        #[cfg(feature = "native-tls")]
        if let Some(fault) = crate::net::tls_fault::carried(&error) {
            return Cause::Tls(fault.clone());
        }
        Cause::Io(std::sync::Arc::new(error))
    }

    /// The same as a whole: TLS failures belong to the phase `Tls` whenever they come.
    pub(crate) fn link_error(&self, phase: Phase, error: io::Error) -> LinkError {
        match self.fault(error) {
            cause @ Cause::Tls(_) => LinkError::new(Phase::Tls, cause),
            cause => LinkError::new(phase, cause),
        }
    }

    fn tap(&self) -> &Tap {
        match &self.bytes {
            Bytes::Plain(tap) => tap,
            #[cfg(feature = "native-tls")]
            Bytes::Tls(engine) => engine.get_ref(),
        }
    }

    fn tap_mut(&mut self) -> &mut Tap {
        match &mut self.bytes {
            Bytes::Plain(tap) => tap,
            #[cfg(feature = "native-tls")]
            Bytes::Tls(engine) => engine.get_mut(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.tap_mut().begin();
        match &mut self.bytes {
            Bytes::Plain(tap) => tap.read(into),
            #[cfg(feature = "native-tls")]
            Bytes::Tls(engine) => match engine.read(into) {
                Ok(0) if !into.is_empty() => engine.get_ref().trouble().end(),
                Ok(read) => Ok(read),
                Err(error) => Err(engine.get_ref().trouble().truth(error)),
            },
        }
    }
}

impl Write for Stream {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.tap_mut().begin();
        match &mut self.bytes {
            Bytes::Plain(tap) => tap.write(from),
            #[cfg(feature = "native-tls")]
            Bytes::Tls(engine) => match engine.write(from) {
                Ok(written) => Ok(written),
                Err(error) => Err(engine.get_ref().trouble().truth(error)),
            },
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
