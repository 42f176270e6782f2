//! Names and addresses: what is tried, in which order, and what is said when nothing works.

use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::sync::mpsc;

use socket2::{Domain, SockRef, Socket, Type};

use super::*;
use crate::error::Phase;
use crate::net::resolve;

/// An address whose listener answers no more calls: its queue of accepted connections is full.
#[cfg(target_os = "linux")]
struct BlackHole {
    address: SocketAddr,
    _keep: (Socket, Vec<Socket>),
}

#[cfg(target_os = "linux")]
impl BlackHole {
    fn new() -> BlackHole {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::new(LOCALHOST, 0).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        // A queue of length 0 takes one; a few more, in case that changes.
        let fillers = (0..4).map(|_| {
            let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            filler.set_nonblocking(true).unwrap();
            let _ = filler.connect(&address.into());
            filler
        });
        let fillers = fillers.collect();
        BlackHole { address, _keep: (listener, fillers) }
    }
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A port on which nobody listens: bound, so that nobody else gets it.
fn closed_port() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(LOCALHOST, 0).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

fn answer(addresses: &[SocketAddr]) -> resolve::tests::Replaced {
    let addresses = addresses.to_vec();
    resolve::tests::replace(move |_, _| Ok(addresses.clone()))
}

#[test]
fn a_literal_address_is_dialled_without_a_lookup() {
    let _names = resolve::tests::replace(|_, _| panic!("looked up"));
    let (_listener, address) = listener();
    let mut turn = Loop::new();
    let mut dial = turn.start(to(address), None);
    assert_eq!(dial.phase(), Phase::Connect);

    let stream = turn.finish(&mut dial).unwrap();

    assert_eq!(stream.socket().peer_addr().unwrap(), address);
    assert_eq!(dial.address(), Some(address));
    assert!(SockRef::from(stream.socket()).tcp_nodelay().unwrap());
}

#[test]
fn an_ipv6_literal_is_dialled() {
    let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
        return; // a machine without IPv6
    };
    let address = listener.local_addr().unwrap();
    assert_eq!(Loop::new().dial(to(address)).unwrap().socket().peer_addr().unwrap(), address);
}

#[test]
fn the_systems_lookup_finds_localhost() {
    let (_listener, address) = listener();
    let stream = Loop::new().dial(target(Host::Domain("localhost".into()), address.port())).unwrap();
    assert_eq!(stream.socket().peer_addr().unwrap(), address);
}

#[cfg(target_os = "linux")]
#[test]
fn a_silent_address_costs_a_quarter_of_a_second_and_no_more() {
    let hole = BlackHole::new();
    let (_listener, good) = listener();
    let _names = answer(&[hole.address, good]);
    let mut turn = Loop::new();
    let mut dial = turn.start(named("two"), None);
    let begun = Instant::now();
    while dial.phase() != Phase::Connect {
        assert!(turn.advance(&mut dial, begun).is_none());
        if dial.phase() != Phase::Connect {
            turn.wait(None);
        }
    }
    let next = begun + Duration::from_millis(250);
    assert_eq!(dial.deadline(), Some(next));
    assert!(turn.advance(&mut dial, next - Duration::from_millis(1)).is_none());
    assert_eq!(dial.deadline(), Some(next));

    let stream = turn.finish_at(&mut dial, next).unwrap();

    assert_eq!(stream.socket().peer_addr().unwrap(), good);
}

#[test]
fn after_a_refusal_the_next_address_starts_at_once() {
    let (_closed, refusing) = closed_port();
    let (_listener, good) = listener();
    let _names = answer(&[refusing, good]);
    let mut turn = Loop::new();
    let mut dial = turn.start(named("two"), None);

    let stream = turn.finish_at(&mut dial, Instant::now()).unwrap(); // a clock that stands still

    assert_eq!(stream.socket().peer_addr().unwrap(), good);
}

#[test]
fn the_address_to_avoid_is_dialled_last() {
    let (_one, first) = listener();
    let (_two, second) = listener();
    let _names = answer(&[first, second]);
    let mut turn = Loop::new();
    let mut dial = turn.start(named("two"), Some(first));
    assert_eq!(turn.finish(&mut dial).unwrap().socket().peer_addr().unwrap(), second);
}

#[cfg(unix)]
#[test]
fn a_refused_port_gives_the_systems_number() {
    let (_closed, address) = closed_port();
    let mut turn = Loop::new();
    let mut dial = turn.start(to(address), None);

    let Err(error) = turn.finish(&mut dial) else { panic!("connected") };

    assert_eq!(error.phase(), Phase::Connect);
    assert_eq!(error.os_error(), Some(libc::ECONNREFUSED));
    assert_eq!(dial.address(), None);
}

#[cfg(target_os = "linux")]
#[test]
fn when_all_fail_the_first_address_has_the_word() {
    let (_closed, refusing) = closed_port();
    // Nothing leaves the machine: the local address is a loopback one, and the second is for one host only.
    let broadcast = SocketAddr::from(([127, 255, 255, 255], 9));
    for (addresses, number) in
        [([refusing, broadcast], libc::ECONNREFUSED), ([broadcast, refusing], libc::EACCES)]
    {
        let _names = answer(&addresses);
        let Err(error) = Loop::new().dial(named("two")) else { panic!("connected") };
        let seen = io_error(&error).raw_os_error();
        assert!(
            seen == Some(number) || (seen == Some(libc::ENETUNREACH) && number == libc::EACCES),
            "{error}"
        );
    }
}

#[test]
fn a_name_that_is_not_known_fails_in_its_phase() {
    let _names = resolve::tests::replace(|name, _| Err(io::Error::other(format!("no {name}"))));
    let Err(error) = Loop::new().dial(named("nobody")) else { panic!("connected") };
    assert_eq!(error.phase(), Phase::Resolve);
    assert!(error.to_string().contains("no nobody"), "{error}");
}

#[test]
fn a_name_without_addresses_fails_in_its_phase() {
    let _names = answer(&[]);
    let Err(error) = Loop::new().dial(named("empty")) else { panic!("connected") };
    assert_eq!(error.phase(), Phase::Resolve);
}

#[test]
fn a_slow_lookup_ends_at_its_limit() {
    let (release, gate) = mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let _names = resolve::tests::replace(move |_, _| {
        let _ = gate.lock().unwrap().recv();
        Ok(Vec::new())
    });
    let turn = Loop::new();
    let began = Instant::now();
    let mut dial = turn.start(named("slow"), None);
    let mut advance =
        |now| dial.advance(turn.poll.registry(), &|_| Token(0), now).map(|stream| stream.is_some());

    assert!(!advance(began).unwrap());
    assert!(!advance(began + Duration::from_secs(4)).unwrap());
    let error = advance(began + Duration::from_secs(6)).unwrap_err();

    assert_eq!(error.phase(), Phase::Resolve);
    assert!(matches!(error.cause(), Cause::TimedOut));
    assert!(!advance(began + Duration::from_secs(7)).unwrap(), "over is over");
    drop(release);
}

#[test]
fn the_local_address_is_where_the_connection_comes_from() {
    let (listener, address) = listener();
    let other = IpAddr::from([127, 0, 0, 9]);
    if cfg!(not(target_os = "linux")) {
        return; // elsewhere 127.0.0.9 has to be set up first
    }
    let target = Target { local: Some(other), ..to(address) };
    let _stream = Loop::new().dial(target).unwrap();
    assert_eq!(listener.accept().unwrap().1.ip(), other);
}

#[test]
fn a_local_address_of_the_other_family_is_told_before_any_socket() {
    let _names = answer(&[SocketAddr::new(LOCALHOST, 9)]);
    let target = Target { local: Some(Ipv6Addr::LOCALHOST.into()), ..named("four") };
    let Err(error) = Loop::new().dial(target) else { panic!("connected") };
    assert_eq!(error.phase(), Phase::Connect);
    assert!(error.to_string().contains("family"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_socket_never_connects_to_itself() {
    // Bound to the port it dials, a socket meets itself: TCP's simultaneous open.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(LOCALHOST, 0).into()).unwrap();
    let own = socket.local_addr().unwrap();
    socket.connect(&own).unwrap();
    let socket = mio::net::TcpStream::from_std(TcpStream::from(socket));
    let error = crate::net::race::arrived(&socket).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
}

#[test]
fn a_socks_proxy_is_given_one_address_of_the_name_and_the_next_attempt_another() {
    use crate::net::proxy::{Language, Proxy};
    use std::io::Write;

    let found = [SocketAddr::new(LOCALHOST, 1), SocketAddr::new([127, 0, 0, 2].into(), 1)];
    let _names = answer(&found);
    let (listener, address) = listener();
    let server = std::thread::spawn(move || {
        [(); 2].map(|()| {
            let mut socket = listener.accept().unwrap().0;
            socket.read_exact(&mut [0; 3]).unwrap();
            socket.write_all(b"\x05\x00").unwrap();
            let mut request = [0; 10];
            socket.read_exact(&mut request).unwrap();
            socket.write_all(b"\x05\x04\x00\x01\0\0\0\0\0\0").unwrap();
            request
        })
    });
    let proxy = Proxy {
        language: Language::Socks,
        host: Host::Ipv4(Ipv4Addr::LOCALHOST),
        port: address.port(),
        login: None,
        #[cfg(feature = "native-tls")]
        tls: None,
        agent: String::new(),
    };
    let target = Target { proxy: Some(Arc::new(proxy)), ..named("both") };
    let mut turn = Loop::new();
    let mut avoid = None;
    for (at, expected) in found.iter().enumerate() {
        let mut dial = turn.start(target.clone(), avoid);
        assert_eq!(dial.phase(), Phase::Resolve);
        let Err(error) = turn.finish(&mut dial) else { panic!("connected") };
        assert_eq!(error.phase(), Phase::Proxy, "{error}");
        assert_eq!(dial.address(), Some(*expected), "attempt {at}");
        avoid = dial.address();
    }
    let asked = server.join().unwrap();
    assert_eq!(asked[0], *b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x01");
    assert_eq!(asked[1], *b"\x05\x01\x00\x01\x7f\x00\x00\x02\x00\x01");
}
