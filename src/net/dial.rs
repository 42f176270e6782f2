//! From a target to a ready stream: look the name up, race its addresses, open a way through a proxy, shake hands with
//! TLS. Where there is a Unix socket, or a stream that the program brings or makes, that takes the place of all but
//! TLS.
//!
//! Where there is a proxy it is the proxy that is looked up and raced, in the phase `Proxy`; the server's name is, too,
//! before that, if the proxy is to be given an address.
//!
//! Reads no clock, waits for nothing, and does not know how long the whole may take.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[cfg(unix)]
use mio::Interest;
use mio::{Registry, Token};
use url::Host;

#[cfg(unix)]
use crate::asked::Asking;
use crate::config::tcp::{IpVersion, Tcp};
use crate::error::{Cause, LinkError, Phase};
#[cfg(unix)]
use crate::net::dialer::{Dialer, Dialled};
use crate::net::proxy::{Failure, Language, Proxy, Tunnel};
use crate::net::race::{self, Race};
use crate::net::resolve::{self, Lookup};
#[cfg(unix)]
use crate::net::socket::Socket;
use crate::net::stream::Stream;
#[cfg(feature = "native-tls")]
use crate::net::tls::{Connector, Handshake, Progress};
#[cfg(unix)]
use crate::user_code::Panicked;

/// Where to, and how.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) host: Host<String>,
    pub(crate) port: u16,
    /// The TLS settings, and the name that the certificate must be for.
    #[cfg(feature = "native-tls")]
    pub(crate) tls: Option<(Connector, String)>,
    /// Through whom.
    pub(crate) proxy: Option<Arc<Proxy>>,
    /// The address to come from.
    pub(crate) local: Option<IpAddr>,
    pub(crate) tcp: Tcp,
    /// The socket to go to, whatever the host.
    #[cfg_attr(not(unix), allow(dead_code))]
    pub(crate) unix: Option<Arc<Path>>,
    /// Who makes the connection instead.
    #[cfg(unix)]
    pub(crate) dialer: Option<Dialer>,
    /// How long sent bytes may stay unacknowledged until the system gives the connection up; only Linux and Android
    /// know it.
    #[cfg_attr(not(any(target_os = "linux", target_os = "android")), allow(dead_code))]
    pub(crate) user_timeout: Option<Duration>,
    pub(crate) resolve_timeout: Duration,
}

impl Target {
    /// Whether TCP is to be connected, by us.
    fn is_tcp(&self) -> bool {
        #[cfg(unix)]
        let is_tcp = self.unix.is_none() && self.dialer.is_none();
        #[cfg(not(unix))]
        let is_tcp = true;
        is_tcp
    }

    /// The only addresses that can be connected to.
    fn ip_version(&self) -> Option<IpVersion> {
        self.tcp.ip_version.or(self.local.map(IpVersion::of))
    }
}

/// A connection in the making. Dropping it drops everything.
pub(crate) struct Dial {
    target: Arc<Target>,
    avoid: Option<SocketAddr>,
    wake: Arc<dyn Fn() + Send + Sync>,
    /// When the attempt, and then when its second lookup began.
    began: Instant,
    step: Step,
    phase: Phase,
    /// What TCP connected to; of a server that was looked up for a proxy, the address that the proxy is given.
    address: Option<SocketAddr>,
    /// The program's code panicked: the client has to end.
    panicked: bool,
}

enum Step {
    Begin,
    /// Of the server's name in the phase `Resolve`, of the proxy's in the phase `Proxy`.
    Lookup {
        lookup: Lookup,
        deadline: Instant,
    },
    Race(Race),
    /// The program makes a stream.
    #[cfg(unix)]
    Asking(Asking<Dialled>),
    /// Connected, and not watched yet.
    #[cfg(unix)]
    Connected(Socket),
    #[cfg(feature = "native-tls")]
    ProxyHandshake(Handshake),
    Tunnel(Box<(Stream, Tunnel)>),
    #[cfg(feature = "native-tls")]
    Handshake(Handshake),
    Over,
}

impl Dial {
    /// Prepares; nothing happens before [`advance`](Dial::advance).
    ///
    /// `avoid` is raced last: its TLS or upgrade failed before. `wake` may be called on any thread, to
    /// say that `advance` has something to do; once perhaps just after the drop.
    pub(crate) fn start(
        target: Arc<Target>,
        avoid: Option<SocketAddr>,
        wake: Arc<dyn Fn() + Send + Sync>,
        now: Instant,
    ) -> Dial {
        let phase = match (&target.host, &target.proxy) {
            _ if !target.is_tcp() => Phase::Connect,
            (_, Some(_)) if !looks_up_for_proxy(&target) => Phase::Proxy,
            (Host::Domain(_), _) => Phase::Resolve,
            _ => Phase::Connect,
        };
        Dial { target, avoid, wake, began: now, step: Step::Begin, phase, address: None, panicked: false }
    }

    /// The same over a connected stream.
    #[cfg(unix)]
    pub(crate) fn over(
        socket: Socket,
        target: Arc<Target>,
        wake: Arc<dyn Fn() + Send + Sync>,
        now: Instant,
    ) -> Dial {
        let step = Step::Connected(socket);
        Dial { phase: Phase::Connect, step, ..Dial::start(target, None, wake, now) }
    }

    /// Goes as far as it can without waiting. To be called after `start`, when one of the tokens is
    /// ready, when woken, and at the deadline; calling it for nothing does no harm.
    ///
    /// Sockets are registered readable and writable with `token(n)`, n below 8. The stream's socket
    /// stays registered with the token it won by. After an error, or the stream, nothing more comes.
    pub(crate) fn advance(
        &mut self,
        registry: &Registry,
        token: &dyn Fn(u8) -> Token,
        now: Instant,
    ) -> Result<Option<Stream>, LinkError> {
        #[cfg(heartwire_model)]
        if matches!(std::mem::replace(&mut self.step, Step::Over), Step::Begin) {
            return crate::sync::modelled::dialled(registry, token(0), self.phase).map(Some);
        }
        loop {
            match std::mem::replace(&mut self.step, Step::Over) {
                #[cfg(unix)]
                Step::Begin if !self.target.is_tcp() => {
                    self.step = self.begin_otherwise().map_err(|error| LinkError::io(self.phase, error))?;
                }
                Step::Begin => self.step = self.begin(),
                #[cfg(unix)]
                Step::Asking(mut asking) => match asking.take() {
                    Some(Ok(Ok(socket))) => self.step = Step::Connected(socket),
                    Some(Ok(Err(error))) => return Err(LinkError::io(self.phase, error)),
                    Some(Err(Panicked)) => {
                        self.panicked = true;
                        return Err(LinkError::io(self.phase, io::Error::other("dial_with panicked")));
                    }
                    None => {
                        self.step = Step::Asking(asking);
                        return Ok(None);
                    }
                },
                #[cfg(unix)]
                Step::Connected(mut socket) => {
                    let watched = socket.prepare().and_then(|()| watch(&mut socket, registry, token(0)));
                    watched.map_err(|error| LinkError::io(self.phase, error))?;
                    return self.secure(Stream::plain(socket));
                }
                Step::Lookup { mut lookup, deadline } => match lookup.take() {
                    Some(Ok(addresses)) => self.step = self.found(&addresses, now)?,
                    Some(Err(error)) => return Err(LinkError::io(self.phase, error)),
                    None if now >= deadline => {
                        return Err(LinkError::new(self.phase, Cause::TimedOut));
                    }
                    None => {
                        self.step = Step::Lookup { lookup, deadline };
                        return Ok(None);
                    }
                },
                Step::Race(mut race) => {
                    let won = race
                        .advance(&self.target, registry, token, now)
                        .map_err(|error| LinkError::io(self.phase, error))?;
                    let Some((socket, address)) = won else {
                        self.step = Step::Race(race);
                        return Ok(None);
                    };
                    self.address.get_or_insert(address);
                    let stream = Stream::plain(socket);
                    let Some(proxy) = &self.target.proxy else { return self.secure(stream) };
                    #[cfg(feature = "native-tls")]
                    if let Some((connector, name)) = &proxy.tls {
                        match self.shaken(connector.begin(name, stream))? {
                            Progress::Ready(stream) => self.step = self.tunnel(proxy, stream),
                            Progress::Blocked(half) => {
                                self.step = Step::ProxyHandshake(half);
                                return Ok(None);
                            }
                        }
                        continue;
                    }
                    self.step = self.tunnel(proxy, stream);
                }
                #[cfg(feature = "native-tls")]
                Step::ProxyHandshake(half) => match self.shaken(half.advance())? {
                    Progress::Ready(stream) => {
                        if let Some(proxy) = &self.target.proxy {
                            self.step = self.tunnel(proxy, stream);
                        }
                    }
                    Progress::Blocked(half) => {
                        self.step = Step::ProxyHandshake(half);
                        return Ok(None);
                    }
                },
                Step::Tunnel(mut both) => match both.1.advance(&mut both.0) {
                    Ok(true) => return self.secure(both.0),
                    Ok(false) => {
                        self.step = Step::Tunnel(both);
                        return Ok(None);
                    }
                    Err(Failure::Proxy(cause)) => return Err(LinkError::new(Phase::Proxy, cause)),
                    // TLS with the proxy may have failed, and hides in an I/O error.
                    Err(Failure::Stream(error)) => {
                        return Err(LinkError::new(Phase::Proxy, both.0.fault(error)));
                    }
                },
                #[cfg(feature = "native-tls")]
                Step::Handshake(half) => return self.secured(half.advance()),
                Step::Over => return Ok(None),
            }
        }
    }

    /// When `advance` has to be called although nothing happened.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.step {
            Step::Lookup { deadline, .. } => Some(*deadline),
            Step::Race(race) => race.deadline(),
            _ => None,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// The address that TCP connected to, or that the proxy was given instead of a name; it stays when the proxy, or
    /// TLS, fails after that.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Whether the program's code panicked, by which the error came.
    pub(crate) fn has_panicked(&self) -> bool {
        self.panicked
    }

    #[cfg(unix)]
    fn begin_otherwise(&self) -> io::Result<Step> {
        let Target { host, port, unix, dialer, .. } = &*self.target;
        if let Some(path) = unix {
            return Ok(Step::Connected(Socket::at(path)?));
        }
        // Not TCP, and no Unix socket: there is one.
        let Some(dialer) = dialer else { return Ok(Step::Over) };
        let wake = self.wake.clone();
        Ok(Step::Asking(dialer.dial(host, *port, move || wake())?))
    }

    fn begin(&mut self) -> Step {
        match &self.target.proxy {
            Some(proxy) if self.phase == Phase::Proxy => self.find(&proxy.host, proxy.port),
            _ => self.find(&self.target.host, self.target.port),
        }
    }

    fn find(&self, host: &Host<String>, port: u16) -> Step {
        match host {
            Host::Domain(name) => {
                let wake = self.wake.clone();
                let lookup = resolve::resolve(name, port, Box::new(move || wake()));
                Step::Lookup { lookup, deadline: self.began + self.target.resolve_timeout }
            }
            Host::Ipv4(address) => Step::Race(Race::new(vec![(*address, port).into()])),
            Host::Ipv6(address) => Step::Race(Race::new(vec![(*address, port).into()])),
        }
    }

    /// A name's addresses: those to race, or those of which the proxy gets one.
    fn found(&mut self, found: &[SocketAddr], now: Instant) -> Result<Step, LinkError> {
        if found.is_empty() {
            let error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            return Err(LinkError::io(self.phase, error));
        }
        if self.phase == Phase::Resolve && self.target.proxy.is_some() {
            // One, as curl does: the proxy cannot race them. The next attempt takes another.
            let order = race::order(found, self.target.tcp.ip_version, self.avoid);
            let Some(first) = order.first() else { return Err(self.none_usable()) };
            self.address = Some(*first);
            self.phase = Phase::Proxy;
            self.began = now;
            return Ok(self.begin());
        }
        if self.phase == Phase::Resolve {
            self.phase = Phase::Connect;
        }
        let addresses = race::order(found, self.target.ip_version(), self.avoid);
        if addresses.is_empty() {
            return Err(self.none_usable());
        }
        Ok(Step::Race(Race::new(addresses)))
    }

    fn none_usable(&self) -> LinkError {
        let problem = match self.target.tcp.ip_version {
            Some(IpVersion::V4) => "the name has no IPv4 address, and the settings allow no other",
            Some(IpVersion::V6) => "the name has no IPv6 address, and the settings allow no other",
            None => "the name has no address of the local address's family",
        };
        LinkError::io(self.phase, io::Error::new(io::ErrorKind::AddrNotAvailable, problem))
    }

    fn tunnel(&self, proxy: &Proxy, stream: Stream) -> Step {
        let found = self.address.filter(|_| looks_up_for_proxy(&self.target)).map(|address| address.ip());
        let tunnel = match found {
            Some(IpAddr::V4(address)) => Tunnel::new(proxy, &Host::Ipv4(address), self.target.port),
            Some(IpAddr::V6(address)) => Tunnel::new(proxy, &Host::Ipv6(address), self.target.port),
            None => Tunnel::new(proxy, &self.target.host, self.target.port),
        };
        Step::Tunnel(Box::new((stream, tunnel)))
    }

    /// The stream leads to the server: with TLS, if that is wanted, it is ready.
    fn secure(&mut self, stream: Stream) -> Result<Option<Stream>, LinkError> {
        #[cfg(feature = "native-tls")]
        if let Some((connector, name)) = &self.target.tls {
            self.phase = Phase::Tls;
            let begun = connector.begin(name, stream);
            return self.secured(begun);
        }
        Ok(Some(stream))
    }

    #[cfg(feature = "native-tls")]
    fn secured(&mut self, result: Result<Progress, Cause>) -> Result<Option<Stream>, LinkError> {
        match self.shaken(result)? {
            Progress::Ready(stream) => Ok(Some(stream)),
            Progress::Blocked(half) => {
                self.step = Step::Handshake(half);
                Ok(None)
            }
        }
    }

    #[cfg(feature = "native-tls")]
    fn shaken(&self, result: Result<Progress, Cause>) -> Result<Progress, LinkError> {
        result.map_err(|cause| LinkError::new(self.phase, cause))
    }
}

/// A descriptor that the program keeps, a device's for example, may be watched for an attempt that is over.
#[cfg(unix)]
fn watch(socket: &mut Socket, registry: &Registry, token: Token) -> io::Result<()> {
    let both = Interest::READABLE | Interest::WRITABLE;
    match registry.register(socket, token, both) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            registry.reregister(socket, token, both)
        }
        result => result,
    }
}

/// Whether the server's name is looked up here, although it is the proxy that connects to it.
fn looks_up_for_proxy(target: &Target) -> bool {
    let given_addresses = target.proxy.as_ref().is_some_and(|proxy| proxy.language == Language::Socks);
    given_addresses && matches!(target.host, Host::Domain(_))
}
