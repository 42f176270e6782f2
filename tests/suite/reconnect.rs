//! Sessions that break, and what follows: another attempt, or none.

use std::io::Write;
use std::time::{Duration, Instant};

use heartwire::{Cause, End, Event, Initiator, Phase, Reconnect, SessionClosed, State, TlsFaultKind};

use crate::net::{Net, SOON, close, closed, ended, failed, ms, opened, quick, received, rest, wait};
use crate::support::frames::close_frame;
use crate::support::upgrade::{read_request_head, switching_protocols};
use crate::support::{Behaviour, Relay, ServerEvent};

const LONG: Duration = Duration::from_secs(1000);

/// The stream broke by itself: no Close, told as such, another attempt follows.
#[track_caller]
fn broke(closed: &SessionClosed) -> &Cause {
    assert_eq!(
        (closed.code(), closed.is_clean(), closed.by()),
        (1006, false, Initiator::Network),
        "{closed}"
    );
    assert!(closed.retry_in().is_some());
    closed.error().expect("a cause").cause()
}

fn a_cut_session_is_replaced(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).connect().unwrap();
    opened(&client);
    server.wait_connected();
    server.cut(1);
    let lost = closed(&client);
    assert!(
        matches!(broke(&lost), Cause::Io(e) if e.kind() == std::io::ErrorKind::ConnectionReset),
        "{lost}"
    );
    assert!(lost.error().unwrap().os_error().is_some());
    assert!(!opened(&client).is_first());
    client.send_text("again").unwrap();
    assert_eq!(received(&client).as_text(), Some("again"));
    close(&client);
}

fn an_end_without_a_close_is_a_failure(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).connect().unwrap();
    opened(&client);
    server.wait_connected();
    server.drop_tcp(1);
    let lost = closed(&client);
    let right = match broke(&lost) {
        Cause::EndOfStream => net.is_plain(),
        Cause::Tls(fault) => !net.is_plain() && fault.kind() == TlsFaultKind::Truncated,
        _ => false,
    };
    assert!(right, "{lost}");
    opened(&client);
}

fn a_half_closed_session_is_replaced(net: &Net) {
    let server = net.server(Behaviour::echo());
    let relay = Relay::start(server.address());
    let client = net.through(&relay).connect().unwrap();
    opened(&client);
    relay.half_close();
    broke(&closed(&client));
    opened(&client);
    assert_eq!(relay.connections(), 2);
}

fn what_the_server_said_before_a_cut_is_delivered(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).connect().unwrap();
    opened(&client);
    server.wait_connected();
    (0..100).for_each(|i| assert!(server.send(1, i.to_string())));
    server.drop_tcp(1);
    for i in 0..100 {
        assert_eq!(received(&client).as_text(), Some(i.to_string().as_str()));
    }
    broke(&closed(&client));
}

fn a_server_that_restarts_on_its_port_is_found_again(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).connect().unwrap();
    opened(&client);
    server.wait_connected();
    for _ in 0..3 {
        server.stop();
        broke(&closed(&client));
        failed(&client);
        failed(&client);
        server.restart();
        opened(&client);
    }
    close(&client);
}

fn each_open_has_one_close_and_the_end_comes_last(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).connect().unwrap();
    let mut events = Vec::new();
    for _ in 0..20 {
        wait(&client, |event| {
            events.push(event.clone());
            matches!(event, Event::Open(_)).then_some(())
        });
        server.cut(server.wait_connected().0);
    }
    client.close(1000, "").unwrap();
    events.extend(rest(&client));
    let mut open = false;
    for event in &events {
        match event {
            Event::Open(_) => assert!(!std::mem::replace(&mut open, true)),
            Event::Close(_) => assert!(std::mem::replace(&mut open, false)),
            Event::ConnectFailed(_) => assert!(!open),
            _ => {}
        }
    }
    assert!(!open);
    assert!(matches!(events.last(), Some(Event::ClosedForGood(End::Closed))));
    assert!(client.recv_timeout(ms(0)).is_err());
}

fn the_wait_can_be_skipped(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).reconnect(Reconnect::fixed(LONG / 2)).connect().unwrap();
    opened(&client);
    server.wait_connected();
    server.cut(1);
    assert_eq!(closed(&client).retry_in(), Some(LONG / 2));
    assert!(matches!(client.state(), State::Waiting { attempt: 2, .. }), "{}", client.state());
    assert_eq!(client.ready_state(), 0);
    client.reconnect_now();
    opened(&client);
    // While one is open there is nothing to skip.
    client.reconnect_now();
    client.send_text("still").unwrap();
    assert_eq!(received(&client).as_text(), Some("still"));
    assert_eq!(server.connections(), 2);
}

fn after_so_many_attempts_it_gives_up(net: &Net) {
    let server = net.server(Behaviour::echo());
    server.stop();
    let client = net.to(&server).reconnect(quick().max_attempts(3)).connect().unwrap();
    let told: Vec<_> = (0..3).map(|_| failed(&client)).collect();
    assert!(told[..2].iter().all(|failed| failed.retry_in().is_some()));
    assert_eq!((told[2].attempt(), told[2].retry_in()), (3, None));
    assert!(matches!(ended(&client), End::GaveUp(error) if error.phase() == Phase::Connect));
    assert_eq!(client.send_text("late"), Err(heartwire::SendError::Closed));
}

fn after_so_long_without_a_session_it_gives_up(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).reconnect(quick().give_up_after(ms(400))).connect().unwrap();
    opened(&client);
    server.stop();
    let down = Instant::now();
    closed(&client);
    assert!(matches!(ended(&client), End::GaveUp(_)));
    assert!(down.elapsed() >= ms(250), "the last delay may end the time early, by 100 ms at most");
    assert!(down.elapsed() < SOON);
}

fn without_reconnect_there_is_one_session(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).reconnect(Reconnect::never()).connect().unwrap();
    opened(&client);
    server.wait_connected();
    server.cut(1);
    let lost = closed(&client);
    assert_eq!(lost.retry_in(), None);
    assert!(matches!(ended(&client), End::GaveUp(_)));
    assert_eq!(server.connections(), 1);
}

fn close_codes_are_told_apart_by_their_worth(net: &Net) {
    let fatal = [1002, 1003, 1007, 1008, 1009, 1010];
    for code in fatal.into_iter().chain([1000, 1001, 1011, 1012, 1013, 1014, 3000, 4000, 4999]) {
        let server = net.server(Behaviour::echo());
        let client = net.to(&server).connect().unwrap();
        opened(&client);
        server.wait_connected();
        server.close(1, code, "why");
        let closed = closed(&client);
        assert_eq!((closed.code(), closed.reason(), closed.is_clean()), (code, "why", true));
        assert_eq!((closed.by(), closed.error().is_none()), (Initiator::Server, true));
        assert_eq!(closed.retry_in().is_none(), fatal.contains(&code), "{code}");
        if fatal.contains(&code) {
            let End::Fatal(error) = ended(&client) else { panic!("{code}") };
            assert!(matches!(error.cause(), Cause::Closed { code: told, .. } if *told == code));
        } else {
            opened(&client);
        }
    }
}

fn the_users_table_of_close_codes_comes_before_ours(net: &Net) {
    let rules = quick().retry_close_code(1008, true).retry_close_code(4001, false);
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).reconnect(rules).connect().unwrap();
    opened(&client);
    server.wait_connected();
    server.close(1, 1008, "");
    assert!(closed(&client).retry_in().is_some());
    opened(&client);
    server.close(2, 4001, "banned");
    assert_eq!(closed(&client).retry_in(), None);
    assert!(matches!(ended(&client), End::Fatal(_)));
}

fn no_attempt_follows_a_close_while_waiting(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).reconnect(Reconnect::fixed(LONG)).connect().unwrap();
    opened(&client);
    server.wait_connected();
    server.cut(1);
    closed(&client);
    close(&client);
    client.reconnect_now();
    assert!(matches!(client.connect(), Err(heartwire::ConnectError::Closed)));
    assert_eq!((client.stats().attempts(), server.connections()), (1, 1));
}

fn no_attempt_follows_a_close_in_a_session_that_breaks_over_it(net: &Net) {
    let server = net.server(Behaviour::echo().never_answer_close());
    let client = net.to(&server).connect().unwrap();
    opened(&client);
    server.wait_connected();
    client.close(1000, "").unwrap();
    server.wait_closed();
    client.reconnect_now();
    server.cut(1);
    let closed = closed(&client);
    assert_eq!((closed.is_clean(), closed.by(), closed.retry_in()), (false, Initiator::User, None));
    assert!(matches!(ended(&client), End::Closed));
    assert_eq!((client.stats().attempts(), server.connections()), (1, 1));
}

fn no_attempt_follows_a_close_while_the_server_closes(net: &Net) {
    // The server begins, and ends the connection only when the user has closed, too.
    let (end, ending) = crossbeam_channel::bounded::<()>(0);
    let server = net.server(Behaviour::raw(move |stream, _| {
        let head = read_request_head(stream).unwrap();
        let answer = [switching_protocols(&head, "").into_bytes(), close_frame(1001, "")].concat();
        stream.write_all(&answer).and_then(|()| stream.flush()).unwrap();
        let _ = ending.recv_timeout(SOON);
    }));
    let client = net.to(&server).close_timeout(SOON * 2).connect().unwrap();
    wait(&client, |event| matches!(event, Event::State(State::Closing)).then_some(()));
    client.close(1000, "").unwrap();
    drop(end);
    assert!(matches!(ended(&client), End::Closed));
    assert_eq!((client.stats().attempts(), server.connections()), (1, 1));
}

fn a_server_that_flaps_is_followed_through_every_flap(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).reconnect(Reconnect::fixed(ms(1))).connect().unwrap();
    for n in 1..=200 {
        let connected = server.wait_connected().0;
        assert_eq!(connected, n);
        server.cut(n);
        server.wait_for(SOON, |event| matches!(event, ServerEvent::Ended { .. }).then_some(()));
        // Pull, so that the queue's events do not hold the link up.
        closed(&client);
    }
    opened(&client);
    client.send_text("here").unwrap();
    assert_eq!(received(&client).as_text(), Some("here"));
    close(&client);
}

stamp! {
    a_cut_session_is_replaced,
    an_end_without_a_close_is_a_failure,
    a_half_closed_session_is_replaced,
    what_the_server_said_before_a_cut_is_delivered,
    a_server_that_restarts_on_its_port_is_found_again,
    each_open_has_one_close_and_the_end_comes_last,
    the_wait_can_be_skipped,
    after_so_many_attempts_it_gives_up,
    after_so_long_without_a_session_it_gives_up,
    without_reconnect_there_is_one_session,
    close_codes_are_told_apart_by_their_worth,
    the_users_table_of_close_codes_comes_before_ours,
    no_attempt_follows_a_close_while_waiting,
    no_attempt_follows_a_close_in_a_session_that_breaks_over_it,
    no_attempt_follows_a_close_while_the_server_closes,
    a_server_that_flaps_is_followed_through_every_flap,
}
