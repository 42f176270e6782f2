//! The public tools for tests do what their documents say, to a client of ours: each behaviour, by script and by call.

mod support;

use heartwire::testing::{
    BadFrame, Behaviour, Direction, Ending, PATIENCE, Passage, Point, Relay, Server, Setup, Then, When,
};
use heartwire::{Builder, Cause, Client, Event, Heartbeat, Phase, Reconnect, State};
use std::time::{Duration, Instant};
use support::{Told, watchdog};

const MS: Duration = Duration::from_millis(1);

/// A client that dials again at once, and is quick to find a server silent.
fn quick(url: &str) -> Builder {
    let heartbeat = Heartbeat::ping().after_silence(200 * MS).timeout(100 * MS).max_missed(1);
    Client::builder(url).reconnect(Reconnect::fixed(20 * MS)).heartbeat(heartbeat).connect_timeout(2000 * MS)
}

fn connected(url: &str) -> (Client, Told) {
    let client = quick(url).build().unwrap();
    let told = Told::by(&client);
    client.connect().unwrap();
    (client, told)
}

fn opened(told: &Told) {
    told.wait_for(|event| matches!(event, Event::Open(_)).then_some(()));
}

/// The error that the next session ends with.
fn lost(told: &Told) -> Cause {
    told.wait_for(|event| match event {
        Event::Close(closed) => closed.error().map(|error| error.cause().clone()),
        _ => None,
    })
}

fn failed(told: &Told) -> (Phase, Cause) {
    told.wait_for(|event| match event {
        Event::ConnectFailed(failed) => Some((failed.error().phase(), failed.error().cause().clone())),
        _ => None,
    })
}

fn is_reset(cause: &Cause) -> bool {
    matches!(cause, Cause::Io(error) if error.kind() == std::io::ErrorKind::ConnectionReset)
}

#[test]
fn a_script_is_followed_connection_by_connection_and_its_last_step_stays() {
    let _watch = watchdog(60, "script");
    let cut = Behaviour::echo().until(When::Messages(1), Then::Reset);
    let server = Setup::script([Behaviour::refuse(503, &[], "later"), cut, Behaviour::echo()]).start();
    assert_eq!(server.steps_left(), 3);
    let (client, told) = connected(&server.url());
    assert!(matches!(failed(&told), (Phase::Upgrade, Cause::Refused(refusal)) if refusal.status() == 503));
    opened(&told);
    client.send_text("one").unwrap();
    assert!(is_reset(&lost(&told)));
    opened(&told);
    assert_eq!((server.connections(), server.steps_left()), (3, 0));
    for text in ["two", "three"] {
        client.send_text(text).unwrap();
        assert_eq!(told.wait_message(), text);
    }
    server.cut_all();
    opened(&told);
    client.send_text("four").unwrap();
    assert_eq!(told.wait_message(), "four");
}

#[test]
fn an_absent_server_refuses_connections_for_its_time_and_then_serves() {
    let _watch = watchdog(60, "absent");
    let cut = || Behaviour::echo().until(When::Open, Then::Reset);
    let away = 150 * MS;
    let server =
        Setup::script([Behaviour::absent(away), cut(), Behaviour::absent(away), Behaviour::echo()]).start();
    assert_eq!(server.steps_left(), 3, "the first has begun");
    let (_client, told) = connected(&server.url());
    let refused = |(phase, cause): (Phase, Cause)| {
        matches!(&cause, Cause::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused)
            && phase == Phase::Connect
    };
    assert!(refused(failed(&told)));
    opened(&told);
    let gone = Instant::now();
    assert!(is_reset(&lost(&told)));
    assert!(refused(failed(&told)));
    opened(&told);
    assert!(gone.elapsed() > 100 * MS, "it was away: {:?}", gone.elapsed());
    assert_eq!((server.connections(), server.steps_left()), (2, 0));
}

#[test]
fn a_script_that_ends_with_an_absence_leaves_nobody_until_the_server_is_told_to_come_back() {
    let _watch = watchdog(60, "gone");
    let cut = Behaviour::echo().until(When::Open, Then::End);
    let server = Setup::script([cut, Behaviour::absent(MS)]).start();
    let (client, told) = connected(&server.url());
    opened(&told);
    for _ in 0..5 {
        assert_eq!(failed(&told).0, Phase::Connect);
    }
    server.treat_new_connections(|_| Behaviour::echo());
    server.restart();
    opened(&told);
    client.send_text("again").unwrap();
    assert_eq!(told.wait_message(), "again");
}

#[test]
fn where_there_is_no_script_an_absent_server_resets_what_comes() {
    let _watch = watchdog(60, "absent for one");
    let server = Setup::each(|n| if n == 1 { Behaviour::absent(MS) } else { Behaviour::echo() }).start();
    let (_client, told) = connected(&server.url());
    assert_eq!(server.wait_ended(), Ending::Cut);
    opened(&told);
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_connection_is_cut_after_bytes_received_and_not_one_byte_after_those_sent() {
    let _watch = watchdog(60, "bytes");
    let message = vec![7; 1000];
    let frame = message.len() + 4; // and 4 of mask from the client
    for (when, whole) in [
        (When::Received(frame as u64 * 2 + 4 + 3), 1),
        (When::Received((frame as u64 + 4) * 2), 2),
        (When::Sent(frame as u64 + 2), 1),
        (When::Sent(frame as u64), 1),
        (When::Sent(3), 0),
    ] {
        let cut = Behaviour::echo().until(when, Then::Reset);
        let server = Setup::script([cut, Behaviour::silent()]).start();
        let (client, told) = connected(&server.url());
        opened(&told);
        for _ in 0..3 {
            client.send_binary(&message).unwrap();
        }
        let mut come = 0;
        told.wait_for(|event| match event {
            Event::Message(_) => {
                come += 1;
                None
            }
            Event::Close(_) => Some(()),
            _ => None,
        });
        assert_eq!(server.wait_ended(), Ending::Cut);
        // What was sent before a reset may be lost on its way, but nothing more can come.
        assert!(come <= whole, "{when:?}: {come}");
        if let When::Received(_) = when {
            assert_eq!(server.received().iter().filter(|(n, _)| *n == 1).count(), whole, "{when:?}");
        }
    }
}

#[test]
fn what_can_never_happen_cannot_be_added() {
    let _watch = watchdog(60, "added");
    type Makes = fn() -> Behaviour;
    for makes in [
        (|| Behaviour::wrong_accept().greeting("x")) as Makes,
        || Behaviour::wrong_accept().trickle(1, MS),
        || Behaviour::refuse(503, &[], "").until(When::Open, Then::Reset),
        || Behaviour::never_upgrade().upgrade_delay(MS),
        || Behaviour::absent(MS).no_pongs(),
    ] {
        assert!(std::panic::catch_unwind(makes).is_err());
    }
    let _ = Behaviour::refuse(503, &[], "").upgrade_delay(MS).trickle(1, MS);
}

#[test]
fn a_time_after_the_upgrade_begins_with_its_answer_however_late_that_is() {
    let _watch = watchdog(60, "late");
    let cut = Behaviour::echo().upgrade_delay(200 * MS).until(When::After(200 * MS), Then::Reset);
    let server = Setup::script([cut, Behaviour::echo()]).start();
    let began = Instant::now();
    let (_client, told) = connected(&server.url());
    opened(&told);
    assert!(is_reset(&lost(&told)));
    assert!(began.elapsed() >= 400 * MS, "{:?}", began.elapsed());
}

#[test]
fn an_end_after_a_time_is_an_end_without_a_close() {
    let _watch = watchdog(60, "end");
    let server = Server::start(Behaviour::echo().until(When::After(50 * MS), Then::End));
    let (client, told) = connected(&server.url());
    opened(&told);
    client.send_text("before").unwrap();
    assert_eq!(told.wait_message(), "before");
    assert!(matches!(lost(&told), Cause::EndOfStream));
}

#[test]
fn a_silent_server_takes_everything_and_answers_no_ping() {
    let _watch = watchdog(60, "silence");
    for silent in [
        Behaviour::echo().until(When::Open, Then::Silence),
        Behaviour::echo().until(When::Messages(1), Then::Silence),
        Behaviour::echo().no_pongs(),
    ] {
        let server = Setup::script([silent, Behaviour::echo()]).start();
        let (client, told) = connected(&server.url());
        opened(&told);
        client.send_text("hello?").unwrap();
        assert!(matches!(lost(&told), Cause::Silent { missed: 1 }));
        opened(&told);
    }
}

#[test]
fn a_stalled_server_stops_reading_and_its_client_finds_out() {
    let _watch = watchdog(60, "stall");
    for stalled in [
        Behaviour::echo().until(When::Open, Then::Stall),
        Behaviour::stops(Point::Open, Then::Stall),
        Behaviour::stops(Point::MidFrame, Then::Stall),
    ] {
        let server = Setup::script([stalled, Behaviour::echo()]).start();
        let (client, told) = connected(&server.url());
        opened(&told);
        client.send_text("hello?").unwrap();
        lost(&told);
        let received = server.received().iter().filter(|(n, _)| *n == 1).count();
        assert_eq!(received, 0, "nothing was read of it");
        opened(&told);
    }
}

#[test]
fn garbage_after_a_message_is_a_fault_of_the_servers() {
    let _watch = watchdog(60, "garbage");
    let server = Server::start(Behaviour::echo().until(When::Messages(1), Then::Garbage));
    let client = quick(&server.url()).build().unwrap();
    let told = Told::by(&client);
    client.connect().unwrap();
    client.send_text("hello").unwrap();
    assert_eq!(told.wait_message(), "hello");
    assert!(matches!(lost(&told), Cause::Protocol(_)));
}

#[test]
fn every_bad_frame_ends_the_session_as_a_fault_of_the_servers() {
    let _watch = watchdog(60, "bad frames");
    for bad in BadFrame::ALL {
        let server = Server::start(Behaviour::sends(bad));
        let (_client, told) = connected(&server.url());
        opened(&told);
        assert!(matches!(lost(&told), Cause::Protocol(_)), "{bad:?}");
    }
}

#[test]
fn a_slow_server_is_slow_and_whole() {
    let _watch = watchdog(60, "slow");
    let behaviour =
        Behaviour::echo().upgrade_delay(100 * MS).trickle(10, 5 * MS).greeting("0123456789".repeat(20));
    let server = Server::start(behaviour);
    let began = Instant::now();
    let (_client, told) = connected(&server.url());
    opened(&told);
    assert!(began.elapsed() >= 100 * MS, "the upgrade is late: {:?}", began.elapsed());
    let opened = Instant::now();
    assert_eq!(told.wait_message(), "0123456789".repeat(20));
    // 202 bytes are 21 drops; the first of them may have come with the upgrade's end.
    assert!(opened.elapsed() >= 90 * MS, "{:?}", opened.elapsed());
}

#[test]
fn a_refusing_server_serves_those_it_has_and_a_stopped_one_nobody() {
    let _watch = watchdog(60, "refuse");
    let server = Server::start(Behaviour::echo());
    let (client, told) = connected(&server.url());
    opened(&told);
    server.refuse_new_connections();
    client.send_text("still").unwrap();
    assert_eq!(told.wait_message(), "still");
    server.stop();
    assert_eq!(failed(&told).0, Phase::Connect);
    server.restart();
    opened(&told);
}

#[test]
fn a_relays_script_treats_each_connection_in_its_way() {
    let _watch = watchdog(60, "relay's script");
    let server = Server::start(Behaviour::echo());
    let steps = [
        Passage::refused(),
        Passage::free().cut_after(Direction::Down, 20),
        Passage::free().cut_after(Direction::Up, 20),
        Passage::held(),
        Passage::stalled(),
        Passage::free(),
    ];
    let relay = Relay::script(server.address(), steps);
    assert_eq!(relay.steps_left(), 6);
    let client = quick(&relay.ws_url()).connect_timeout(200 * MS).build().unwrap();
    let told = Told::by(&client);
    client.connect().unwrap();
    for way in [Some("reset"), Some("cut"), Some("cut"), None, None] {
        let (phase, cause) = failed(&told);
        match way {
            Some(_) => assert!(is_reset(&cause), "{way:?}: {cause:?}"),
            None => {
                assert!(matches!(cause, Cause::TimedOut) && phase == Phase::Upgrade, "{phase:?} {cause:?}")
            }
        }
    }
    opened(&told);
    client.send_text("through").unwrap();
    assert_eq!(told.wait_message(), "through");
    assert_eq!((relay.connections(), relay.steps_left()), (6, 0));
    assert_eq!(client.state(), State::Open);
}

#[test]
fn a_relay_records_what_passes_by_connection() {
    let _watch = watchdog(60, "record");
    let server = Server::start(Behaviour::echo());
    let relay = Relay::start(server.address());
    assert!(relay.recorded(Direction::Up).is_empty(), "nobody asked");
    relay.record();
    let (client, told) = connected(&relay.ws_url());
    opened(&told);
    client.send_text("hello").unwrap();
    assert_eq!(told.wait_message(), "hello");
    let down = relay.recorded_of(1, Direction::Down);
    assert!(down.starts_with(b"HTTP/1.1 101 ") && down.ends_with(b"\r\n\r\n\x81\x05hello"), "{down:?}");
    relay.cut();
    lost(&told);
    opened(&told);
    let up = relay.recorded(Direction::Up);
    assert_eq!(up.windows(4).filter(|four| four == b"GET ").count(), 2);
    assert_eq!(up.len() as u64, relay.bytes(Direction::Up));
    assert!(relay.recorded_of(2, Direction::Up).starts_with(b"GET "));
}

#[test]
fn a_relay_delays_and_throttles_and_loses_nothing() {
    let _watch = watchdog(60, "late");
    let server = Server::start(Behaviour::echo());
    let relay = Relay::start(server.address());
    let client = Client::builder(&relay.ws_url()).build().unwrap();
    let told = Told::by(&client);
    client.connect().unwrap();
    opened(&told);

    relay.delay(60 * MS);
    let began = Instant::now();
    client.send_text("there and back").unwrap();
    assert_eq!(told.wait_message(), "there and back");
    assert!(began.elapsed() >= 120 * MS, "{:?}", began.elapsed());
    let much: Vec<u8> = (0..3 << 20).map(|i: u32| i as u8).collect();
    client.send_binary(&much).unwrap();
    let come = told.wait_for(|event| match event {
        Event::Message(message) => Some(message.as_bytes().to_vec()),
        _ => None,
    });
    assert!(come == much, "3 MiB are whole, though more than what is late at once");

    relay.throttle(20_000);
    let began = Instant::now();
    client.send_binary(&[7; 2000]).unwrap();
    told.wait_for(|event| matches!(event, Event::Message(_)).then_some(()));
    assert!(began.elapsed() >= 90 * MS, "2000 bytes at 20 000 in a second: {:?}", began.elapsed());

    relay.delay(Duration::from_secs(3600));
    client.send_text("late").unwrap();
    while let Some(event) = told.next(50 * MS) {
        assert!(matches!(event, Event::Outcome(_)), "it is on its way: {event:?}");
    }
    relay.flow();
    assert_eq!(told.wait_message(), "late", "what was late comes at once");
    client.close(1000, "").unwrap();
    client.wait_closed(PATIENCE).unwrap();
}

#[cfg(feature = "native-tls")]
mod tls {
    use super::*;
    use heartwire::testing::{Authority, ServerEvent};
    use heartwire::{Tls, TlsFaultKind};

    fn refusal(told: &Told) -> TlsFaultKind {
        match failed(told) {
            (Phase::Tls, Cause::Tls(fault)) => fault.kind(),
            other => panic!("no refusal by TLS: {other:?}"),
        }
    }

    fn with(url: &str, tls: Tls) -> (Client, Told) {
        let client = quick(url).tls(tls).build().unwrap();
        let told = Told::by(&client);
        client.connect().unwrap();
        (client, told)
    }

    #[test]
    fn an_authority_is_trusted_by_those_who_are_given_it_and_shows_bad_certificates_on_demand() {
        let _watch = watchdog(60, "authority");
        let authority = Authority::generate();
        let trusting = || Tls::new().ca_pem(authority.pem());
        let start = |tls| Setup::new(Behaviour::echo()).tls(tls).start();

        let server = start(authority.server());
        let (client, told) = with(&server.url(), trusting());
        opened(&told);
        client.send_text("secret").unwrap();
        assert_eq!(told.wait_message(), "secret");
        assert_eq!(refusal(&with(&server.url(), Tls::new()).1), TlsFaultKind::Certificate);

        let expired = start(authority.expired_server());
        assert_eq!(refusal(&with(&expired.url(), trusting()).1), TlsFaultKind::Certificate);
        let other = start(authority.server_of("elsewhere.example"));
        assert_eq!(refusal(&with(&other.url(), trusting()).1), TlsFaultKind::HostName);
    }

    #[test]
    fn a_strict_server_takes_clients_of_its_authority_alone() {
        let _watch = watchdog(60, "strict");
        let authority = Authority::generate();
        let server = Setup::new(Behaviour::echo()).tls(authority.strict_server()).start();
        let own = authority.client();
        let tls = Tls::new().ca_pem(authority.pem());
        opened(&with(&server.url(), tls.clone().client_pem(own.cert_pem(), own.key_pem())).1);
        let (client, _) = with(&server.url(), tls);
        server.wait_for(PATIENCE, |event| {
            matches!(event, ServerEvent::Ended { ending: Ending::Tls(_), .. }).then_some(())
        });
        assert_ne!(client.state(), State::Open);
    }

    #[test]
    fn behind_tls_a_cut_after_sent_bytes_counts_the_plain_ones() {
        let _watch = watchdog(60, "TLS bytes");
        let authority = Authority::generate();
        let cut = Behaviour::silent().greeting("12345678").until(When::Sent(10), Then::Reset);
        let server = Setup::script([cut, Behaviour::silent()]).tls(authority.server()).start();
        // There is nothing else that the server could send.
        let quiet = quick(&server.url()).heartbeat(Heartbeat::off());
        let client = quiet.tls(Tls::new().ca_pem(authority.pem())).build().unwrap();
        let told = Told::by(&client);
        client.connect().unwrap();
        assert_eq!(told.wait_message(), "12345678");
        lost(&told);
        opened(&told);
    }
}
