//! Races addresses as RFC 8305 section 5 says: one starts every 250 ms, the first to connect wins.
//! Knows neither names nor TLS.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use crate::config::tcp::{IpVersion, Keepalive, Tcp};
#[cfg(any(target_os = "linux", target_os = "android"))]
use crate::error::Named;
use crate::net::dial::Target;

/// RFC 8305's Connection Attempt Delay.
const DELAY: Duration = Duration::from_millis(250);
const MOST: usize = 8;

pub(crate) struct Race {
    /// Not yet started, with their rank.
    waiting: VecDeque<(u8, SocketAddr)>,
    running: Vec<Racer>,
    /// When the next one starts, whatever the others do; `None` when none waits.
    next: Option<Instant>,
    /// One failed: the next one starts at once.
    hurry: bool,
    /// The failure of the best address that failed, and its rank: it tells more than the last one's.
    failure: Option<(u8, io::Error)>,
}

struct Racer {
    rank: u8,
    address: SocketAddr,
    socket: TcpStream,
}

/// The order of the start: families alternate, the first address's family first; `avoid` goes last; at most 8; only
/// those of this version, where one is given.
pub(crate) fn order(
    found: &[SocketAddr],
    version: Option<IpVersion>,
    avoid: Option<SocketAddr>,
) -> Vec<SocketAddr> {
    let mut first = VecDeque::new();
    let mut second = VecDeque::new();
    let mut last = None;
    let usable = |address: &SocketAddr| version.is_none_or(|version| version == IpVersion::of(address.ip()));
    for address in found.iter().copied().filter(usable) {
        let family = if address.is_ipv4() == found[0].is_ipv4() { &mut first } else { &mut second };
        if avoid == Some(address) {
            last = avoid;
        } else if !family.contains(&address) {
            family.push_back(address);
        }
    }
    let mut order = Vec::new();
    while !first.is_empty() || !second.is_empty() {
        order.extend(first.pop_front());
        order.extend(second.pop_front());
    }
    order.extend(last);
    order.truncate(MOST);
    order
}

impl Race {
    pub(crate) fn new(addresses: Vec<SocketAddr>) -> Race {
        let waiting = (0..MOST as u8).zip(addresses).collect();
        Race { waiting, running: Vec::new(), next: None, hurry: false, failure: None }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// The winner, still registered; `None` while undecided; an error when all have failed.
    pub(crate) fn advance(
        &mut self,
        target: &Target,
        registry: &Registry,
        token: &dyn Fn(u8) -> Token,
        now: Instant,
    ) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        loop {
            if let Some(winner) = self.look(registry) {
                // Small messages must not wait for the acknowledgement of others. If this fails, so will the next call.
                let _ = winner.socket.set_nodelay(true);
                for mut loser in self.running.drain(..) {
                    let _ = registry.deregister(&mut loser.socket);
                }
                return Ok(Some((winner.socket, winner.address)));
            }
            let due = self.running.is_empty() || self.hurry || self.next.is_some_and(|next| now >= next);
            if !due {
                return Ok(None);
            }
            self.hurry = false;
            let Some((rank, address)) = self.waiting.pop_front() else {
                self.next = None;
                if !self.running.is_empty() {
                    return Ok(None);
                }
                let failure = self.failure.take().map(|(_, error)| error);
                return Err(failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()));
            };
            self.next = (!self.waiting.is_empty()).then_some(now + DELAY);
            match connect(target, address).and_then(|mut socket| {
                registry.register(&mut socket, token(rank), Interest::READABLE | Interest::WRITABLE)?;
                Ok(socket)
            }) {
                Ok(socket) => self.running.push(Racer { rank, address, socket }),
                Err(error) => self.fail(rank, error),
            }
        }
    }

    /// Looks after all runners: failed ones leave, and make the next one start at once; one that arrived is returned.
    fn look(&mut self, registry: &Registry) -> Option<Racer> {
        let mut at = 0;
        while let Some(racer) = self.running.get_mut(at) {
            match arrived(&racer.socket) {
                Ok(true) => return Some(self.running.remove(at)),
                Ok(false) => at += 1,
                Err(error) => {
                    let mut racer = self.running.remove(at);
                    let _ = registry.deregister(&mut racer.socket);
                    self.fail(racer.rank, error);
                }
            }
        }
        None
    }

    fn fail(&mut self, rank: u8, error: io::Error) {
        if self.failure.as_ref().is_none_or(|(best, _)| rank < *best) {
            self.failure = Some((rank, error));
        }
        self.hurry = true;
    }
}

/// Begins to connect; nothing has come of it yet.
fn connect(target: &Target, address: SocketAddr) -> io::Result<TcpStream> {
    let domain = Domain::for_address(address);
    // Where the system can make it so at once, that saves two calls.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let socket = Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    socket.set_nonblocking(true)?;
    adjust(&socket, &target.tcp)?;
    if let Some(local) = target.local {
        socket.bind(&SocketAddr::new(local, 0).into())?;
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(timeout) = target.user_timeout {
        socket.set_tcp_user_timeout(Some(timeout))?;
    }
    match socket.connect(&address.into()) {
        Err(error) if !under_way(&error) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

/// Before it connects: the window that the peer is told of depends on the buffer, the route on the interface.
fn adjust(socket: &Socket, tcp: &Tcp) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(name) = &tcp.interface {
        let bound = socket.bind_device(Some(name.as_bytes()));
        bound.map_err(|error| Named::error(format!("the interface {name}"), error))?;
    }
    if let Some(bytes) = tcp.send_buffer {
        socket.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = tcp.receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(Keepalive { idle, interval, count }) = tcp.keepalive {
        let keepalive = TcpKeepalive::new().with_time(idle);
        #[cfg(not(target_os = "openbsd"))]
        let keepalive = keepalive.with_interval(interval).with_retries(count);
        #[cfg(target_os = "openbsd")]
        let _ = (interval, count);
        socket.set_tcp_keepalive(&keepalive)?;
    }
    Ok(())
}

fn under_way(error: &io::Error) -> bool {
    #[cfg(unix)]
    if matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR)) {
        return true;
    }
    error.kind() == io::ErrorKind::WouldBlock
}

pub(crate) fn arrived(socket: &TcpStream) -> io::Result<bool> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    let peer = match socket.peer_addr() {
        Ok(peer) => peer,
        Err(error) if error.kind() == io::ErrorKind::NotConnected || under_way(&error) => return Ok(false),
        Err(error) => return Err(error),
    };
    // On a loopback address the system may choose the port that nobody listens on as our own, and TCP's simultaneous
    // open then connects the socket to itself.
    if socket.local_addr()? == peer {
        #[cfg(unix)]
        return Err(io::Error::from_raw_os_error(libc::ECONNREFUSED));
        #[cfg(not(unix))]
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn four(n: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, n], 443))
    }

    fn six(n: u16) -> SocketAddr {
        SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, n], 443))
    }

    #[test]
    fn families_alternate_and_the_systems_first_choice_stays_first() {
        assert_eq!(
            order(&[six(1), six(2), six(3), four(1), four(2)], None, None),
            [six(1), four(1), six(2), four(2), six(3)]
        );
        assert_eq!(order(&[four(1), four(2), six(1)], None, None), [four(1), six(1), four(2)]);
        assert_eq!(order(&[four(2), four(1)], None, None), [four(2), four(1)]);
        assert_eq!(order(&[], None, None), []);
    }

    #[test]
    fn an_address_is_tried_once_and_eight_at_most() {
        assert_eq!(order(&[four(1), four(1), six(1), four(1)], None, None), [four(1), six(1)]);
        let many: Vec<SocketAddr> = (1..100).map(four).chain([six(1)]).collect();
        let order = order(&many, None, None);
        assert_eq!(order.len(), 8);
        assert_eq!(order[..3], [four(1), six(1), four(2)]);
    }

    #[test]
    fn the_address_to_avoid_goes_last_and_only_if_it_is_there() {
        assert_eq!(order(&[six(1), four(1), six(2)], None, Some(six(1))), [six(2), four(1), six(1)]);
        assert_eq!(order(&[four(1), four(2)], None, Some(four(9))), [four(1), four(2)]);
        assert_eq!(order(&[four(1)], None, Some(four(1))), [four(1)]);
    }

    #[test]
    fn one_version_leaves_out_the_other() {
        let found = [six(1), four(1), six(2)];
        assert_eq!(order(&found, Some(IpVersion::V4), None), [four(1)]);
        assert_eq!(order(&found, Some(IpVersion::V6), None), [six(1), six(2)]);
    }
}
