//! What TCP sockets are made with, read back from them; and of a name's addresses those of one version.

use std::net::{Ipv6Addr, TcpListener};

use socket2::SockRef;

use super::*;
use crate::config::tcp::{IpVersion, Tcp};
use crate::error::Phase;
use crate::net::resolve;

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn with(tcp: Tcp, address: SocketAddr) -> Target {
    Target { tcp, ..to(address) }
}

#[test]
fn keepalive_is_off_unless_it_is_set_and_then_as_it_was_set() {
    let (_listener, address) = listener();
    let stream = Loop::new().dial(to(address)).unwrap();
    assert!(!SockRef::from(stream.socket()).keepalive().unwrap());

    let tcp = Tcp::new().keepalive(Duration::from_secs(77), Duration::from_secs(7), 5);
    let stream = Loop::new().dial(with(tcp, address)).unwrap();
    let socket = SockRef::from(stream.socket());
    assert!(socket.keepalive().unwrap());
    #[cfg(target_os = "linux")]
    {
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(77));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(7));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 5);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_kernel_gives_a_server_up_that_acknowledges_nothing_for_as_long_as_the_heartbeat_would() {
    let (_listener, address) = listener();
    let builder = || crate::Builder::new(&format!("ws://{address}/"));
    let read_back = |builder: crate::Builder| {
        let target = builder.config().unwrap().routes.swap_remove(0).target.clone();
        let (mut turn, wake) = (Loop::new(), Arc::new(|| {}));
        let mut dial = Dial::start(target, None, wake, Instant::now());
        SockRef::from(turn.finish(&mut dial).unwrap().socket()).tcp_user_timeout().unwrap()
    };
    assert_eq!(read_back(builder()), Some(Duration::from_secs(40)));
    assert_eq!(read_back(builder().heartbeat(crate::Heartbeat::off())), None);
}

#[test]
fn buffers_have_the_size_that_was_set() {
    let (_listener, address) = listener();
    let tcp = Tcp::new().send_buffer(20_000).receive_buffer(30_000);
    let stream = Loop::new().dial(with(tcp, address)).unwrap();
    let socket = SockRef::from(stream.socket());
    // Linux doubles them.
    assert!([20_000, 40_000].contains(&socket.send_buffer_size().unwrap()));
    assert!([30_000, 60_000].contains(&socket.recv_buffer_size().unwrap()));
}

#[cfg(target_os = "linux")]
#[test]
fn the_interface_is_the_one_that_was_set_and_one_that_is_not_there_is_named() {
    let (_listener, address) = listener();
    let target = with(Tcp::new().interface("lo"), address);
    let stream = Loop::new().dial(target).unwrap();
    assert_eq!(SockRef::from(stream.socket()).device().unwrap().as_deref(), Some(&b"lo"[..]));

    let Err(error) = Loop::new().dial(with(Tcp::new().interface("absent0"), address)) else {
        panic!("connected")
    };
    assert_eq!((error.phase(), error.os_error()), (Phase::Connect, Some(libc::ENODEV)));
    assert!(error.to_string().contains("the interface absent0: No such device"), "{error}");
}

#[test]
fn of_a_name_with_both_only_one_version_is_connected_to() {
    let (four, address) = listener();
    let port = address.port();
    // Where there is no IPv6, or the port is taken there, nobody answers, which is as good: it must not be tried.
    let six = TcpListener::bind((Ipv6Addr::LOCALHOST, port));
    let both = [SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port), address];
    let _names = resolve::tests::replace(move |_, _| Ok(both.to_vec()));
    let dial = |version| {
        let tcp = Tcp::new().ip_version(version);
        Loop::new().dial(Target { tcp, ..named("both") })
    };
    assert_eq!(dial(IpVersion::V4).unwrap().socket().peer_addr().unwrap(), both[1]);
    if six.is_ok() {
        assert_eq!(dial(IpVersion::V6).unwrap().socket().peer_addr().unwrap(), both[0]);
    } else {
        assert!(dial(IpVersion::V6).is_err(), "it must not be IPv4");
    }
    four.set_nonblocking(true).unwrap();
    assert!(four.accept().is_ok() && four.accept().is_err(), "it was called once");
}

#[test]
fn a_name_without_an_address_of_the_version_fails_and_says_so() {
    let _names = resolve::tests::replace(|_, _| Ok(vec![SocketAddr::new(LOCALHOST, 9)]));
    let tcp = Tcp::new().ip_version(IpVersion::V6);
    let Err(error) = Loop::new().dial(Target { tcp, ..named("four") }) else { panic!("connected") };
    assert_eq!(error.phase(), Phase::Connect);
    assert!(error.to_string().contains("no IPv6 address"), "{error}");
}
