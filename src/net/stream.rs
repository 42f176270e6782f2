//! Bytes to and from the server: a socket, or TLS over it, or TLS over TLS with a proxy, as one `Read + Write` that
//! never blocks. Does not know WebSocket, nor when to read or write.

use std::io::{self, Read, Write};

use crate::error::{Cause, LinkError, Phase};
use crate::net::os;
use crate::net::socket::Socket;
use crate::net::tap::{Direction, Tap};
#[cfg(feature = "native-tls")]
use {
    crate::net::certificate,
    crate::net::gather,
    crate::net::outer::{self, Below, Outer},
    crate::net::tls_fault::Trouble,
    native_tls::TlsStream,
    std::sync::Arc,
};

/// A connected stream. Errors that `read` and `write` return are the true ones: an operating system's with its number,
/// although TLS wraps it, or a [`TlsFault`](crate::TlsFault) inside; [`Stream::fault`] tells them apart.
///
/// Bytes whose write would block must be offered again, from the same place and no fewer: TLS has
/// sealed them already.
pub(crate) struct Stream {
    bytes: Bytes,
    write_closed: bool,
    /// The end of our direction was sent.
    fin: bool,
}

enum Bytes {
    Plain(Tap),
    #[cfg(feature = "native-tls")]
    Tls(Box<TlsStream<Tap>>),
    #[cfg(feature = "native-tls")]
    Nested(Box<TlsStream<Outer>>),
}

/// What a TLS handshake can begin on.
#[cfg(feature = "native-tls")]
pub(crate) enum Ground {
    Socket(Tap),
    Tls(Outer),
}

impl Stream {
    pub(crate) fn plain(socket: impl Into<Socket>) -> Stream {
        Stream { bytes: Bytes::Plain(Tap::plain(socket.into())), write_closed: false, fin: false }
    }

    #[cfg(feature = "native-tls")]
    pub(crate) fn tls(engine: TlsStream<Tap>) -> Stream {
        Stream { bytes: Bytes::Tls(Box::new(engine)), write_closed: false, fin: false }
    }

    #[cfg(feature = "native-tls")]
    pub(crate) fn nested(engine: TlsStream<Outer>) -> Stream {
        Stream { bytes: Bytes::Nested(Box::new(engine)), write_closed: false, fin: false }
    }

    /// For a handshake over this stream, whose trouble is to be told there; a third one cannot be.
    #[cfg(feature = "native-tls")]
    pub(crate) fn ground(self, trouble: Arc<Trouble>) -> io::Result<Ground> {
        match self.bytes {
            Bytes::Plain(tap) => Ok(Ground::Socket(tap.below_tls(trouble))),
            Bytes::Tls(engine) => Ok(Ground::Tls(Outer::new(*engine, trouble))),
            Bytes::Nested(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// The certificate, in DER, that was shown by whom TLS is spoken with last on the way: the server, or where that
    /// speaks none an `https:` proxy.
    pub(crate) fn peer_certificate(&self) -> Option<Vec<u8>> {
        match &self.bytes {
            Bytes::Plain(_) => None,
            #[cfg(feature = "native-tls")]
            Bytes::Tls(engine) => certificate::shown(engine),
            #[cfg(feature = "native-tls")]
            Bytes::Nested(engine) => certificate::shown(engine),
        }
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

    /// How much of what was offered last, and was refused, the kernel has taken since: what TLS writes of itself takes
    /// the records before it along.
    pub(crate) fn take_settled(&mut self) -> usize {
        match &mut self.bytes {
            #[cfg(feature = "native-tls")]
            Bytes::Tls(engine) => engine.get_mut().gather_mut().take_settled(),
            _ => 0,
        }
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
            Bytes::Tls(engine) => has_buffered(engine),
            #[cfg(feature = "native-tls")]
            Bytes::Nested(engine) => has_buffered(engine),
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

    pub(crate) fn socket(&self) -> &Socket {
        self.tap().socket()
    }

    pub(crate) fn socket_mut(&mut self) -> &mut Socket {
        self.tap_mut().socket_mut()
    }

    /// Bytes that the peer's kernel has not acknowledged; `None` where the system does not tell.
    pub(crate) fn unacknowledged(&self) -> Option<u64> {
        // Secure Transport calls written what it holds back still, so that nobody knows where a message ends.
        let holds_back = cfg!(target_vendor = "apple") && !matches!(self.bytes, Bytes::Plain(_));
        if holds_back { None } else { self.socket().unacknowledged() }
    }

    /// Bytes that it has, TLS's own included; `None` where the system does not tell.
    pub(crate) fn acknowledged(&self) -> Option<u64> {
        let (sent, end) = (self.sent(), u64::from(self.fin && os::COUNTS_FIN));
        Some((sent + end).saturating_sub(self.unacknowledged()?).min(sent))
    }

    /// Ends our direction: TLS's close_notify, then the socket's end of stream.
    ///
    /// `WouldBlock` means that close_notify is not out yet: call again when the socket is ready in the
    /// direction that [`blocked`](Stream::blocked) names. A close_notify that cannot be sent is left out.
    pub(crate) fn close_write(&mut self) -> io::Result<()> {
        if self.write_closed {
            return Ok(());
        }
        #[cfg(feature = "native-tls")]
        match &mut self.bytes {
            Bytes::Plain(_) => {}
            Bytes::Tls(engine) => {
                engine.get_mut().begin();
                only_blocked(engine.shutdown())?;
            }
            Bytes::Nested(engine) => {
                engine.get_mut().begin();
                // Asked a second time, it would wait for the server's.
                if !engine.get_ref().sealed {
                    only_blocked(engine.shutdown())?;
                    engine.get_mut().sealed = true;
                }
                only_blocked(engine.get_mut().shutdown())?;
            }
        }
        self.write_closed = true;
        self.fin = self.socket().close_write()?;
        Ok(())
    }

    /// Drops the connection at once, unsent bytes with it; the peer sees a reset.
    pub(crate) fn abort(self) {
        self.socket().reset_on_drop();
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

    /// What goes before any bytes that TLS writes of itself.
    #[cfg(all(test, feature = "native-tls"))]
    pub(crate) fn flush_gathered(&mut self) -> io::Result<()> {
        self.tap_mut().flush_gathered()
    }

    fn tap(&self) -> &Tap {
        match &self.bytes {
            Bytes::Plain(tap) => tap,
            #[cfg(feature = "native-tls")]
            Bytes::Tls(engine) => engine.get_ref(),
            #[cfg(feature = "native-tls")]
            Bytes::Nested(engine) => engine.get_ref().tap(),
        }
    }

    fn tap_mut(&mut self) -> &mut Tap {
        match &mut self.bytes {
            Bytes::Plain(tap) => tap,
            #[cfg(feature = "native-tls")]
            Bytes::Tls(engine) => engine.get_mut(),
            #[cfg(feature = "native-tls")]
            Bytes::Nested(engine) => engine.get_mut().tap_mut(),
        }
    }
}

#[cfg(feature = "native-tls")]
fn has_buffered(engine: &TlsStream<impl Below>) -> bool {
    engine.get_ref().has_buffered() || engine.buffered_read_size().is_ok_and(|bytes| bytes > 0)
}

/// A close_notify that cannot be sent is left out.
#[cfg(feature = "native-tls")]
fn only_blocked(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.kind() == io::ErrorKind::WouldBlock { Err(error) } else { Ok(()) })
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.bytes {
            Bytes::Plain(tap) => {
                tap.begin();
                tap.read(into)
            }
            #[cfg(feature = "native-tls")]
            Bytes::Tls(engine) => {
                engine.get_mut().begin();
                outer::read(engine, into)
            }
            #[cfg(feature = "native-tls")]
            Bytes::Nested(engine) => {
                engine.get_mut().begin();
                outer::read(engine, into)
            }
        }
    }
}

impl Write for Stream {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        match &mut self.bytes {
            Bytes::Plain(tap) => {
                tap.begin();
                tap.write(from)
            }
            #[cfg(feature = "native-tls")]
            Bytes::Tls(engine) => {
                engine.get_mut().begin();
                gather::write(engine, from)
            }
            #[cfg(feature = "native-tls")]
            Bytes::Nested(engine) => {
                engine.get_mut().begin();
                outer::write(engine, from)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
