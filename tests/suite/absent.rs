//! Servers that are not there: no such name, nobody at the port, or a hole; and one that is gone as soon as it is there.
//!
//! A *story* is what the client tells, in its words; see [`hostile`](crate::hostile).

use std::time::Instant;

use heartwire::{Event, Phase, Reconnect, State};

use crate::hostile::story;
use crate::net::{Net, ms, wait};
use crate::support::Behaviour;

fn a_port_where_nobody_listens_is_told_and_so_is_each_attempt(net: &Net) {
    // RFC 9293 section 3.10.7.1: a SYN to a closed port is answered by a reset.
    let server = net.server(Behaviour::echo());
    server.stop();
    let client = net.to(&server).reconnect(Reconnect::fixed(ms(1)).max_attempts(3)).connect().unwrap();
    let refused = "failed in Connect refused";
    assert_eq!(story(&client), format!("{refused}, {refused}, {refused}, gave up"));
    assert_eq!((client.stats().attempts(), client.stats().sessions()), (3, 0));
}

fn a_name_that_nobody_has_is_told(net: &Net) {
    // RFC 6761 section 6.4: names under `invalid` do not exist. The words are the system's.
    let url = net.url("127.0.0.1:9".parse().unwrap()).replace("127.0.0.1", "nowhere.invalid");
    let client =
        net.builder(&url).reconnect(Reconnect::never()).connect_timeout(ms(10_000)).connect().unwrap();
    let told = story(&client);
    assert!(told.starts_with("failed in Resolve ") && told.ends_with(", gave up"), "{told}");
    assert_eq!(told.matches("failed in").count(), 1, "{told}");
}

fn a_server_that_closes_as_soon_as_it_is_there_is_told_each_time(net: &Net) {
    // RFC 6455 section 7.4.1 and IANA's registry: 1013 is to try again later, and so is an empty Close for all we know.
    let twice = || Reconnect::fixed(ms(1)).max_attempts(2);
    for (code, reason, told) in
        [(1013, "later", "open, close 1013 later cleanly"), (1001, "", "open, close 1001 cleanly")]
    {
        let server = net.server(Behaviour::close_at_once(code, reason));
        let client = net.to(&server).reconnect(twice()).connect().unwrap();
        assert_eq!(story(&client), format!("{told}, {told}, gave up"));
        assert_eq!(server.wait_closed().0, Some(code), "it is answered");
    }
}

/// An address that drops every SYN: its listener's queue of connections is full, and nobody accepts.
#[cfg(target_os = "linux")]
struct BlackHole {
    address: std::net::SocketAddr,
    _sockets: Vec<socket2::Socket>,
}

#[cfg(target_os = "linux")]
impl BlackHole {
    fn new() -> BlackHole {
        use socket2::{Domain, Socket, Type};
        let stream = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let listener = stream();
        listener.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut sockets = vec![listener];
        for _ in 0..4 {
            let filler = stream();
            filler.set_nonblocking(true).unwrap();
            let _ = filler.connect(&address);
            sockets.push(filler);
        }
        BlackHole { address: address.as_socket().unwrap(), _sockets: sockets }
    }
}

/// The same in a network that drops everything, names included, is `.ci/black_hole`.
#[cfg(target_os = "linux")]
fn a_connect_into_a_black_hole_ends_at_its_deadline_or_with_a_close(net: &Net) {
    // RFC 9293 section 3.8.3: TCP itself would try for minutes.
    let hole = BlackHole::new();
    let builder = || net.builder(&net.url(hole.address)).close_timeout(ms(300));
    let began = Instant::now();
    let client = builder().reconnect(Reconnect::never()).connect_timeout(ms(300)).connect().unwrap();
    assert_eq!(story(&client), "failed in Connect TimedOut, gave up");
    assert!(began.elapsed() >= ms(300) && began.elapsed() < ms(1300), "{:?}", began.elapsed());

    let client = builder().connect().unwrap();
    wait(&client, |event| matches!(event, Event::State(State::Connecting(Phase::Connect))).then_some(()));
    let began = Instant::now();
    client.close(1000, "").unwrap();
    assert!(began.elapsed() < ms(100), "{:?}", began.elapsed());
    assert_eq!(story(&client), "closed");
    assert!(began.elapsed() < ms(400), "{:?}", began.elapsed());

    let client = builder().connect().unwrap();
    wait(&client, |event| matches!(event, Event::State(State::Connecting(Phase::Connect))).then_some(()));
    let began = Instant::now();
    drop(client);
    assert!(began.elapsed() < ms(100), "{:?}", began.elapsed());
}

#[cfg(not(target_os = "linux"))]
fn a_connect_into_a_black_hole_ends_at_its_deadline_or_with_a_close(_: &Net) {
    println!("skipped: only Linux drops what a full queue cannot take");
}

stamp! {
    a_port_where_nobody_listens_is_told_and_so_is_each_attempt,
    a_name_that_nobody_has_is_told,
    a_server_that_closes_as_soon_as_it_is_there_is_told_each_time,
    a_connect_into_a_black_hole_ends_at_its_deadline_or_with_a_close,
}
