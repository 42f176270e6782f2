//! From `connect` to the first open: retries, silence in each phase, names and addresses.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv6Addr, TcpListener};
use std::time::Instant;

use heartwire::{Cause, Client, End, Event, Phase, Reconnect, State};

use crate::net::{Net, SOON, close, closed, ended, failed, ms, opened, quick, received, silent_port, wait};
use crate::support::frames::frame;
use crate::support::upgrade::{read_request_head, switching_protocols};
use crate::support::{Behaviour, Server, ServerEvent, Setup};

fn the_first_connect_is_retried_until_the_server_is_there(net: &Net) {
    let server = net.server(Behaviour::echo());
    server.stop();
    let client = net.to(&server).connect().unwrap();
    for attempt in 1..=3 {
        let failed = failed(&client);
        assert_eq!(failed.attempt(), attempt);
        assert!(failed.retry_in().is_some());
    }
    server.restart();
    let opened = opened(&client);
    assert!(opened.is_first());
    assert!(opened.attempt() >= 4);
    close(&client);
}

fn the_first_connect_is_not_retried_where_the_settings_say_so(net: &Net) {
    let server = net.server(Behaviour::echo());
    server.stop();
    let client = net.to(&server).reconnect(quick().retry_first_connect(false)).connect().unwrap();
    assert_eq!(failed(&client).retry_in(), None);
    assert!(matches!(ended(&client), End::GaveUp(_)));
}

fn a_refused_port_is_an_io_error_of_the_connect_phase_with_its_number(net: &Net) {
    let server = net.server(Behaviour::echo());
    server.stop();
    let client = net.to(&server).connect().unwrap();
    let failed = failed(&client);
    let error = failed.error();
    assert_eq!(error.phase(), Phase::Connect);
    assert!(matches!(error.cause(), Cause::Io(e) if e.kind() == std::io::ErrorKind::ConnectionRefused));
    assert!(error.os_error().is_some());
    assert_eq!(error.http_status(), None);
    assert!(failed.retry_in().is_some_and(|delay| delay >= ms(10) && delay <= ms(100)));
}

fn a_port_that_takes_connections_and_says_nothing_ends_at_the_connect_timeout(net: &Net) {
    let (_listener, address) = silent_port();
    let began = Instant::now();
    let client = net.builder(&net.url(address)).connect_timeout(ms(100)).connect().unwrap();
    let failed = failed(&client);
    let phase = if net.is_plain() { Phase::Upgrade } else { Phase::Tls };
    assert_eq!(failed.error().phase(), phase);
    assert!(matches!(failed.error().cause(), Cause::TimedOut));
    assert!(began.elapsed() >= ms(100));
    assert!(failed.retry_in().is_some());
}

fn an_upgrade_that_is_never_answered_ends_at_the_connect_timeout(net: &Net) {
    let server = net.server(Behaviour::never_upgrade());
    let client = net.to(&server).connect_timeout(ms(200)).connect().unwrap();
    let failed = failed(&client);
    assert_eq!(failed.error().phase(), Phase::Upgrade);
    assert!(matches!(failed.error().cause(), Cause::TimedOut));
    // The next attempt comes by itself, and its connection is another one.
    server.wait_for(SOON, |event| matches!(event, ServerEvent::Refused { n: 2, .. }).then_some(()));
}

fn an_upgrade_that_is_answered_byte_by_byte_is_no_attack(net: &Net) {
    let server = net.server(Behaviour::raw(|stream, _| {
        let head = read_request_head(stream).unwrap();
        for byte in switching_protocols(&head, "X-Slow: yes\r\n").bytes() {
            stream.write_all(&[byte]).unwrap();
            stream.flush().unwrap();
        }
        let _ = stream.read(&mut [0; 64]);
    }));
    let client = net.to(&server).connect().unwrap();
    assert_eq!(opened(&client).header("x-slow"), Some("yes"));
    close(&client);
}

fn a_connection_that_ends_during_the_upgrade_is_told_as_such(net: &Net) {
    let server = net.server(Behaviour::raw(|stream, _| {
        read_request_head(stream).unwrap();
        stream.write_all(b"HTTP/1.1 101 Swi").unwrap();
        stream.flush().unwrap();
    }));
    let client = net.to(&server).connect().unwrap();
    let failed = failed(&client);
    match failed.error().cause() {
        Cause::EndOfStream => assert_eq!(failed.error().phase(), Phase::Upgrade),
        #[cfg(feature = "native-tls")]
        Cause::Tls(fault) if !net.is_plain() => {
            assert_eq!(fault.kind(), heartwire::TlsFaultKind::Truncated);
            assert_eq!(failed.error().phase(), Phase::Tls);
        }
        other => panic!("{other:?}"),
    }
    assert!(failed.retry_in().is_some());
}

fn a_frame_in_the_same_segment_as_the_101_is_not_lost(net: &Net) {
    let server = net.server(Behaviour::raw(|stream, _| {
        let head = read_request_head(stream).unwrap();
        let mut answer = switching_protocols(&head, "").into_bytes();
        answer.extend(frame(1, b"early bird"));
        stream.write_all(&answer).unwrap();
        stream.flush().unwrap();
        let _ = stream.read(&mut [0; 64]);
    }));
    let client = net.to(&server).connect().unwrap();
    opened(&client);
    assert_eq!(received(&client).as_text(), Some("early bird"));
}

fn a_close_in_the_same_segment_as_the_101_is_an_open_and_a_close(net: &Net) {
    let server = net.server(Behaviour::close_at_once(1001, "full"));
    let client = net.to(&server).reconnect(Reconnect::never()).connect().unwrap();
    opened(&client);
    let closed = closed(&client);
    assert_eq!((closed.code(), closed.reason(), closed.is_clean()), (1001, "full", true));
}

fn a_server_that_accepts_and_closes_is_met_with_growing_delays(net: &Net) {
    let server = net.server(Behaviour::close_at_once(1000, ""));
    let delays = Reconnect::delays([ms(1), ms(20), ms(40), ms(60)]);
    let client = net.to(&server).reconnect(delays).connect().unwrap();
    let told: Vec<_> = (0..5).map(|_| closed(&client).retry_in().unwrap()).collect();
    assert_eq!(told, [ms(1), ms(20), ms(40), ms(60), ms(60)]);
    assert_eq!(client.stats().sessions(), 5);
}

fn a_session_that_was_stable_begins_the_delays_anew(net: &Net) {
    let server = net.server(Behaviour::close_at_once(1000, ""));
    let delays = Reconnect::delays([ms(1), ms(20)]).stable_after(ms(0));
    let client = net.to(&server).reconnect(delays).connect().unwrap();
    for _ in 0..3 {
        assert_eq!(opened(&client).attempt(), 1);
        assert_eq!(closed(&client).retry_in(), Some(ms(1)));
    }
}

fn an_ipv6_literal_is_dialed(net: &Net) {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        println!("skipped: this system has no IPv6");
        return;
    }
    let server = net.start(Setup::new(Behaviour::echo()).ip(Ipv6Addr::LOCALHOST));
    let client = net.to(&server).connect().unwrap();
    opened(&client);
    let (_, request) = server.wait_connected();
    assert_eq!(request.header("Host").unwrap(), format!("[::1]:{}", server.port()));
    close(&client);
}

fn a_name_is_looked_up_and_all_its_addresses_are_tried(net: &Net) {
    // localhost may be [::1], too, where nobody listens.
    let server = net.server(Behaviour::echo());
    let url = net.url(server.address()).replace("127.0.0.1", "localhost");
    let client = net.builder(&url).connect().unwrap();
    wait(&client, |event| matches!(event, Event::State(State::Connecting(Phase::Resolve))).then_some(()));
    opened(&client);
    assert_eq!(server.wait_connected().1.header("Host").unwrap(), format!("localhost:{}", server.port()));
    close(&client);
}

fn a_name_that_is_not_known_fails_in_its_phase(net: &Net) {
    // RFC 6761 section 6.4: a name that never exists.
    let url = net.url("127.0.0.1:9".parse().unwrap()).replace("127.0.0.1", "nowhere.invalid");
    let client = net.builder(&url).connect_timeout(ms(5000)).connect().unwrap();
    assert_eq!(failed(&client).error().phase(), Phase::Resolve);
}

fn the_local_address_is_the_one_that_was_asked_for(net: &Net) {
    let (peer, peers) = crossbeam_channel::unbounded();
    let server = net.server(Behaviour::raw(move |stream, _| {
        peer.send(stream.tcp().peer_addr().unwrap().ip()).unwrap();
        let _ = stream.read(&mut [0; 64]);
    }));
    let local: IpAddr = if cfg!(target_os = "linux") { "127.0.0.7" } else { "127.0.0.1" }.parse().unwrap();
    let client = net.to(&server).local_address(local).connect().unwrap();
    assert_eq!(peers.recv_timeout(SOON).unwrap(), local);
    drop(client);
}

fn the_states_of_a_connect_come_in_their_order(net: &Net) {
    let server: Server = net.server(Behaviour::echo());
    let client: Client = net.to(&server).build().unwrap();
    assert_eq!((client.state(), client.ready_state()), (State::Idle, 3));
    client.connect().unwrap();
    client.wait_open(SOON).unwrap();
    assert_eq!(client.ready_state(), 1);
    let mut states = Vec::new();
    wait(&client, |event| {
        if let Event::State(state) = event {
            states.push(*state);
        }
        matches!(event, Event::Open(_)).then_some(())
    });
    // TCP may be through at once; nothing goes back.
    let phases: Vec<Phase> = states
        .iter()
        .filter_map(|s| if let State::Connecting(phase) = s { Some(*phase) } else { None })
        .collect();
    assert!(phases.is_sorted(), "{states:?}");
    assert_eq!(states.last(), Some(&State::Open));
    close(&client);
    assert_eq!((client.state(), client.ready_state()), (State::Closed, 3));
}

stamp! {
    the_first_connect_is_retried_until_the_server_is_there,
    the_first_connect_is_not_retried_where_the_settings_say_so,
    a_refused_port_is_an_io_error_of_the_connect_phase_with_its_number,
    a_port_that_takes_connections_and_says_nothing_ends_at_the_connect_timeout,
    an_upgrade_that_is_never_answered_ends_at_the_connect_timeout,
    an_upgrade_that_is_answered_byte_by_byte_is_no_attack,
    a_connection_that_ends_during_the_upgrade_is_told_as_such,
    a_frame_in_the_same_segment_as_the_101_is_not_lost,
    a_close_in_the_same_segment_as_the_101_is_an_open_and_a_close,
    a_server_that_accepts_and_closes_is_met_with_growing_delays,
    a_session_that_was_stable_begins_the_delays_anew,
    an_ipv6_literal_is_dialed,
    a_name_is_looked_up_and_all_its_addresses_are_tried,
    a_name_that_is_not_known_fails_in_its_phase,
    the_local_address_is_the_one_that_was_asked_for,
    the_states_of_a_connect_come_in_their_order,
}
