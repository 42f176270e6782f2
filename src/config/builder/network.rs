//! The way there: sockets, proxies, TLS and compression, and how long it may take.

#[cfg(unix)]
use std::io::{self, Read, Write};
use std::net::IpAddr;
#[cfg(unix)]
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use super::Builder;
#[cfg(feature = "deflate")]
use crate::config::deflate::Deflate;
use crate::config::proxy::Proxy;
use crate::config::tcp::Tcp;
#[cfg(feature = "native-tls")]
use crate::config::tls::Tls;
#[cfg(unix)]
use crate::net::dialer::Dialer;

impl Builder {
    /// TLS for `wss:` URLs. Default: the system's roots, TLS 1.2 or newer.
    #[cfg(feature = "native-tls")]
    pub fn tls(mut self, tls: Tls) -> Builder {
        self.tls = tls;
        self
    }

    /// Offers compression to the server. Default: none is offered.
    #[cfg(feature = "deflate")]
    pub fn compression(mut self, deflate: Deflate) -> Builder {
        self.deflate = Some(deflate);
        self
    }

    /// Connects through a proxy: a URL like `http://user:password@host:3128` or `socks5h://host`, or a [`Proxy`], which
    /// can also be taken from the environment. Default: none, whatever the environment says.
    pub fn proxy(mut self, proxy: impl Into<Proxy>) -> Builder {
        self.proxy = Some(proxy.into());
        self
    }

    /// The local address to connect from. Default: the system chooses.
    pub fn local_address(mut self, address: IpAddr) -> Builder {
        self.local_address = Some(address);
        self
    }

    /// Settings of the TCP socket: keepalive, buffers, interface, IPv4 or IPv6 only. Default: as the system has them.
    pub fn tcp(mut self, tcp: Tcp) -> Builder {
        self.tcp = tcp;
        self
    }

    /// Connects to the Unix socket at this path, for every URL of the client and for redirects, too. Default: none.
    ///
    /// The URL goes on to say what is asked for there: `ws://` or, for TLS over the socket, `wss://`; its host is the
    /// `Host` header and the name that the certificate must be for, and is not looked up. Without this setting,
    /// `ws+unix:///run/feed.sock:/feed` is a URL that names a socket, too, as in npm's ws: a path from the root, then a
    /// colon and the resource, or neither; `localhost` is its host.
    ///
    /// An absent socket, or one that refuses, fails the attempt in the phase [`Connect`](crate::Phase::Connect), and
    /// the next one comes after the usual delay; so does one whose queue is full. A path that is empty, has a NUL or is
    /// longer than an address takes (107 bytes on Linux) is a [`ConfigError`](crate::ConfigError), as is a socket
    /// together with a [`proxy`](Builder::proxy) that is not the environment's, or with settings of TCP. Abstract
    /// sockets, and systems that are not Unix, are not supported.
    pub fn unix_socket(mut self, path: impl AsRef<Path>) -> Builder {
        self.unix = Some(path.as_ref().into());
        self
    }

    /// Asks this for a connected stream at every attempt, instead of connecting TCP: a tunnel, a device, another kind
    /// of socket. It gets host and port of the URL (an IPv6 address without brackets), or of a redirect. Unix only.
    ///
    /// It runs on a thread of a small pool, as [`before_connect`](Builder::before_connect) does, so it may block,
    /// within the [`connect_timeout`](Builder::connect_timeout): an attempt whose time is up fails, and the next one
    /// waits for the call that still runs. It is never called twice at once for one client. A close does not wait for
    /// it; the drop of the last handle does, outside of handlers. Of the two together eight run at once in a process.
    /// An error fails the attempt in the phase [`Connect`](crate::Phase::Connect) and is retried as a failure of the
    /// network is; a panic closes the client.
    ///
    /// For `wss:` URLs TLS runs over the stream. What the stream has to be is said at
    /// [`Client::connect_over`](crate::Client::connect_over), which is for a stream that there is only once. A
    /// [`proxy`](Builder::proxy) that is not the environment's, a Unix socket and settings of TCP contradict it:
    /// [`ConfigError`](crate::ConfigError).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::TcpStream;
    ///
    /// let builder = heartwire::Client::builder("ws://example.com/feed")
    ///     .dial_with(|host, port| TcpStream::connect((host, port))); // by the system's resolver, for example
    /// # let _ = builder;
    /// ```
    #[cfg(unix)]
    pub fn dial_with<S>(mut self, dial: impl FnMut(&str, u16) -> io::Result<S> + Send + 'static) -> Builder
    where
        S: Read + Write + AsFd + Send + 'static,
    {
        self.dialer = Some(Dialer::new(dial));
        self
    }

    #[cfg(all(unix, feature = "capi"))]
    pub(crate) fn dialer(mut self, dialer: Dialer) -> Builder {
        self.dialer = Some(dialer);
        self
    }

    /// The deadline of a whole attempt, from [`before_connect`](Builder::before_connect), or else the name lookup, to
    /// the upgrade's answer, redirects and a proxy's answer included. Default: 15 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Builder {
        self.connect_timeout = timeout;
        self
    }

    /// The deadline of the name lookup alone. Default: 5 s.
    pub fn resolve_timeout(mut self, timeout: Duration) -> Builder {
        self.resolve_timeout = timeout;
        self
    }
}
