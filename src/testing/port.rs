//! A loopback port that stays ours while nothing listens on it.
//!
//! A stopped server must refuse connections and come back on the same port. Were the port let go in between, another
//! test could be given it, or a client that dials it could be connected to itself. So a socket stays bound to it that
//! does not listen: the system answers with a reset and gives the port to nobody else.

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr};

/// A reserved loopback address, either listening or refusing.
pub(super) struct Port {
    address: SocketAddr,
    held: Option<Socket>,
}

impl Port {
    /// Reserves a free port on `ip`; it refuses connections until [`Port::listen`].
    pub(super) fn reserve(ip: IpAddr) -> io::Result<Self> {
        let socket = bind(SocketAddr::new(ip, 0))?;
        let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::Unsupported)?;
        Ok(Port { address, held: Some(socket) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to listen and hands out the listener, which is non-blocking.
    pub(super) fn listen(&mut self) -> io::Result<mio::net::TcpListener> {
        let socket = match self.held.take() {
            Some(socket) => socket,
            None => bind(self.address)?,
        };
        socket.listen(1024)?;
        socket.set_nonblocking(true)?;
        Ok(mio::net::TcpListener::from_std(socket.into()))
    }

    /// Closes `listener` and keeps its port; from now on connections to it are refused.
    pub(super) fn refuse(&mut self, listener: mio::net::TcpListener) -> io::Result<()> {
        // A child of this process that is between fork and exec has a copy of the listener: the drop alone would leave
        // that listening, and the port in use. Where a listener cannot be shut down this fails, and nothing is lost.
        let _ = SockRef::from(&listener).shutdown(Shutdown::Both);
        // Shut down it has the port still, but does not listen, so that another one can be bound to it; let go of first,
        // the port could be anybody's. Where that is not so, there is a moment in which it is free.
        let held = bind(self.address);
        drop(listener);
        self.held = Some(held.or_else(|_| bind(self.address))?);
        Ok(())
    }
}

fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // On Windows this option would let a stranger share the port, and it is not needed there.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}
