//! The socket below a stream: TCP's, a Unix one, or a stream that the program brought, as one `Read + Write` to wait
//! for. Does not know how it came to be connected, but for Unix sockets, which are connected at once or not at all.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use mio::event::Source;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::SockRef;
#[cfg(unix)]
use {
    crate::error::Named,
    crate::user_code::{Kept, guarded},
    mio::unix::SourceFd,
    std::os::fd::{AsFd, AsRawFd},
    std::path::Path,
};

use crate::net::os;

pub(crate) enum Socket {
    Tcp(TcpStream),
    /// Another kind of stream socket. std reads and writes it as it does TCP's: without a signal if the peer is gone,
    /// which its own type for Unix sockets does not promise.
    #[cfg(unix)]
    Other(TcpStream),
    /// The program's, whose code runs in each call.
    #[cfg(unix)]
    Brought(Brought),
}

/// What the program may bring.
#[cfg(unix)]
pub(crate) trait Descriptor: Read + Write + AsFd + Send {}

#[cfg(unix)]
impl<T: Read + Write + AsFd + Send> Descriptor for T {}

#[cfg(unix)]
pub(crate) struct Brought(Kept<Box<dyn Descriptor>>);

#[cfg(unix)]
impl Socket {
    /// Connects to the Unix socket at this path. Never waits: one whose queue is full refuses, as one without a
    /// listener.
    pub(crate) fn at(path: &Path) -> io::Result<Socket> {
        use socket2::{Domain, SockAddr, Type};

        let connected = || {
            let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            socket.connect(&SockAddr::unix(path)?)?;
            Ok(socket)
        };
        let socket = connected().map_err(|error| Named::error(path.display().to_string(), error))?;
        Ok(Socket::Other(TcpStream::from_std(socket.into())))
    }

    /// A connected stream socket of whatever kind.
    #[cfg(feature = "capi")]
    pub(crate) fn adopt(descriptor: std::os::fd::OwnedFd) -> Socket {
        let is_tcp =
            SockRef::from(&descriptor).local_addr().is_ok_and(|address| address.as_socket().is_some());
        let socket = TcpStream::from_std(descriptor.into());
        if is_tcp { Socket::Tcp(socket) } else { Socket::Other(socket) }
    }

    pub(crate) fn brought(stream: impl Descriptor + 'static) -> Socket {
        Socket::Brought(Brought(Kept::new(Box::new(stream))))
    }

    /// The descriptor that was adopted.
    #[cfg(feature = "capi")]
    pub(crate) fn give_back(self) -> Option<std::os::fd::OwnedFd> {
        match self {
            Socket::Tcp(socket) | Socket::Other(socket) => Some(socket.into()),
            Socket::Brought(_) => None,
        }
    }

    /// What one that somebody else has made needs: not to block, nor to be open in programs that this one starts.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        let socket = SockRef::from(self);
        socket.set_cloexec(true)?;
        socket.set_nonblocking(true)
    }
}

impl Socket {
    /// Whether a read that comes back with less than there was room for has found it empty. What the program brought
    /// may keep bytes of its own back, and a Unix socket stops where descriptors came along.
    pub(crate) fn tells_by_short_reads(&self) -> bool {
        matches!(self, Socket::Tcp(_))
    }

    /// Bytes that the peer's kernel has not acknowledged; `None` where the system does not tell.
    pub(crate) fn unacknowledged(&self) -> Option<u64> {
        match self {
            Socket::Tcp(socket) => os::unacknowledged(socket),
            #[cfg(unix)]
            _ => None,
        }
    }

    /// Ends our direction; whether there was one to end.
    pub(crate) fn close_write(&self) -> io::Result<bool> {
        match SockRef::from(self).shutdown(Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            result => result.map(|()| true),
        }
    }

    /// Lets the drop throw away what was not sent; the peer sees a reset.
    pub(crate) fn reset_on_drop(&self) {
        // Should the option fail, the drop is an ordinary close: the peer sees an end instead of a reset.
        let _ = SockRef::from(self).set_linger(Some(Duration::ZERO));
    }

    #[cfg(test)]
    pub(crate) fn peer_addr(&self) -> io::Result<std::net::SocketAddr> {
        match self {
            Socket::Tcp(socket) => socket.peer_addr(),
            #[cfg(unix)]
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl From<TcpStream> for Socket {
    fn from(socket: TcpStream) -> Socket {
        Socket::Tcp(socket)
    }
}

#[cfg(unix)]
impl AsFd for Socket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match self {
            Socket::Tcp(socket) | Socket::Other(socket) => socket.as_fd(),
            Socket::Brought(brought) => brought.0.as_fd(),
        }
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsSocket for Socket {
    fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
        let Socket::Tcp(socket) = self;
        socket.as_socket()
    }
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(socket) => socket.read(into),
            #[cfg(unix)]
            Socket::Other(socket) => socket.read(into),
            #[cfg(unix)]
            Socket::Brought(brought) => {
                let most = into.len();
                brought.call(most, |stream| stream.read(into))
            }
        }
    }
}

impl Write for Socket {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(socket) => socket.write(from),
            #[cfg(unix)]
            Socket::Other(socket) => socket.write(from),
            #[cfg(unix)]
            Socket::Brought(brought) => brought.call(from.len(), |stream| stream.write(from)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(unix)]
impl Brought {
    /// The program's code: a panic of it ends the session, and no number of its may be larger than what it was given.
    fn call(
        &mut self,
        most: usize,
        call: impl FnOnce(&mut dyn Descriptor) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let called = guarded(|| call(&mut **self.0));
        match called.map_err(|_| io::Error::other("the program's stream panicked"))? {
            Ok(bytes) if bytes > most => Err(io::Error::other("the program's stream told of too many bytes")),
            result => result,
        }
    }
}

impl Source for Socket {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Socket::Tcp(socket) => socket.register(registry, token, interests),
            #[cfg(unix)]
            Socket::Other(socket) => socket.register(registry, token, interests),
            #[cfg(unix)]
            Socket::Brought(brought) => {
                SourceFd(&brought.0.as_fd().as_raw_fd()).register(registry, token, interests)
            }
        }
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Socket::Tcp(socket) => socket.reregister(registry, token, interests),
            #[cfg(unix)]
            Socket::Other(socket) => socket.reregister(registry, token, interests),
            #[cfg(unix)]
            Socket::Brought(brought) => {
                SourceFd(&brought.0.as_fd().as_raw_fd()).reregister(registry, token, interests)
            }
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Socket::Tcp(socket) => socket.deregister(registry),
            #[cfg(unix)]
            Socket::Other(socket) => socket.deregister(registry),
            #[cfg(unix)]
            Socket::Brought(brought) => SourceFd(&brought.0.as_fd().as_raw_fd()).deregister(registry),
        }
    }
}
