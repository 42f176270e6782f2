//! The end of a session and of a client, by either side, within its time.

use std::time::{Duration, Instant};

use heartwire::{
    Cause, Client, CloseError, DropReason, End, Event, Fate, Initiator, Level, Phase, Reconnect, SendError,
    SessionClosed, State,
};

use crate::net::{
    Net, SOON, close, closed, ended, failed, ms, opened, outcomes, received, rest, silent_port, wait,
};
use crate::support::frames::frame;
use crate::support::{Behaviour, Ending, Relay};

#[track_caller]
fn by_us(closed: &SessionClosed, code: u16) {
    assert_eq!((closed.code(), closed.is_clean(), closed.by()), (code, true, Initiator::User), "{closed}");
    assert_eq!((closed.error().is_none(), closed.retry_in()), (true, None));
}

fn a_close_tells_the_server_its_code_and_reason(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).connect().unwrap();
    opened(&client);
    client.close(4321, "wörld").unwrap();
    let closed = closed(&client);
    by_us(&closed, 4321);
    assert!(matches!(ended(&client), End::Closed));
    assert_eq!(server.wait_closed(), (Some(4321), "wörld".into()));
    assert_eq!(server.wait_ended(), Ending::Fin, "no reset");
    assert_eq!(client.state(), State::Closed);
    assert_eq!(client.send_text("late"), Err(SendError::Closed));
}

fn what_waits_is_written_before_the_close(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).report_outcomes(true).connect().unwrap();
    opened(&client);
    for i in 0..2000 {
        client.send_text(&i.to_string()).unwrap();
    }
    client.close(1000, "").unwrap();
    let outcomes = outcomes(&client);
    assert!(outcomes.iter().all(|o| o.fate() == Fate::Completed(Level::Written)));
    assert_eq!(outcomes.iter().map(|o| o.count()).sum::<u64>(), 2000);
    server.wait_closed();
    assert_eq!(server.received_texts(), (0..2000).map(|i| i.to_string()).collect::<Vec<_>>());
}

/// What is told of a close that nobody answers, and of nothing else but the outbox: after its timeout, and on time.
#[track_caller]
fn unanswered(told: &[Event], began: Instant, timeout: Duration) {
    let took = began.elapsed();
    // It counts from the beginning of the turn in which the loop hears of the close, and that may be in the middle of a
    // large write. And a second for a busy machine.
    assert!(took + ms(100) >= timeout && took < timeout + ms(1000), "{took:?}, not {timeout:?}");
    let told: Vec<_> =
        told.iter().filter(|event| !matches!(event, Event::Outcome(_) | Event::Writable)).collect();
    let [
        Event::State(State::Closing),
        Event::State(State::Closed),
        Event::Close(closed),
        Event::ClosedForGood(End::Closed),
    ] = told[..]
    else {
        panic!("{told:?}")
    };
    assert_eq!((closed.is_clean(), closed.by(), closed.retry_in()), (false, Initiator::User, None));
    let error = closed.error().expect("a cause");
    assert!(error.phase() == Phase::Close && matches!(error.cause(), Cause::TimedOut), "{error}");
}

fn a_server_that_never_answers_the_close_costs_the_close_timeout(net: &Net) {
    // RFC 6455 section 7.1.1: a client waits for the server to close, and may stop waiting after a reasonable time.
    let server = net.server(Behaviour::echo().never_answer_close());
    let client = net.to(&server).close_timeout(ms(200)).connect().unwrap();
    opened(&client);
    let began = Instant::now();
    client.close(1000, "").unwrap();
    unanswered(&rest(&client), began, ms(200));
    assert_eq!(server.wait_closed().0, Some(1000), "it was asked");
}

fn a_server_that_never_reads_costs_the_close_timeout_and_each_message_is_told_of(net: &Net) {
    // RFC 9293 section 3.8.6: who does not read closes his window, for ever if he likes. Not even our Close gets out.
    let server = net.server(Behaviour::echo());
    let relay = Relay::start(server.address());
    let client = net.through(&relay).close_timeout(ms(200)).report_outcomes(true).connect().unwrap();
    opened(&client);
    relay.hold_up();
    let accepted = fill(&client);
    let began = Instant::now();
    client.close(1000, "").unwrap();
    let events = rest(&client);
    unanswered(&events, began, ms(200));
    let mut told = 0;
    for outcome in
        events.iter().filter_map(|event| if let Event::Outcome(o) = event { Some(o) } else { None })
    {
        let right = [Fate::Completed(Level::Written), Fate::Dropped(DropReason::Closed)];
        assert!(right.contains(&outcome.fate()), "{outcome}");
        assert_eq!(outcome.first().get(), told + 1);
        told = outcome.last().get();
    }
    assert_eq!(told, accepted);
    assert!(client.stats().dropped_on_close() > 0);
}

/// Sends until nothing more is accepted, whatever the system takes meanwhile; answers how many were.
fn fill(client: &Client) -> u64 {
    let mut accepted = 0;
    while client.send_binary(&[1; 300_000]).is_ok() {
        accepted += 1;
    }
    accepted
}

fn a_client_that_reached_nobody_closes_at_once(net: &Net) {
    // Waiting for the next attempt.
    let server = net.server(Behaviour::never_upgrade());
    server.stop();
    let client = net.to(&server).reconnect(Reconnect::fixed(SOON * 10)).connect().unwrap();
    failed(&client);
    close(&client);
    // In the middle of TLS or the upgrade, and of the upgrade.
    let (_listener, address) = silent_port();
    server.restart();
    for url in [net.url(address), net.url(server.address())] {
        let client = net.builder(&url).connect_timeout(SOON * 10).close_timeout(SOON * 10).connect().unwrap();
        wait(&client, |event| {
            matches!(event, Event::State(State::Connecting(Phase::Tls | Phase::Upgrade))).then_some(())
        });
        client.close(1000, "").unwrap();
        let rest = rest(&client);
        assert!(!rest.iter().any(|event| matches!(event, Event::Open(_) | Event::Close(_))), "{rest:?}");
        assert_eq!(client.stats().attempts(), 1);
    }
    // Before connect.
    let client = net.to(&server).build().unwrap();
    close(&client);
    assert!(matches!(client.connect(), Err(heartwire::ConnectError::Closed)));
    assert_eq!(client.stats().attempts(), 0);
}

fn a_close_right_after_connect_begins_nothing_later(net: &Net) {
    let server = net.server(Behaviour::echo());
    for _ in 0..50 {
        let client = net.to(&server).connect().unwrap();
        client.close(1000, "").unwrap();
        let rest = rest(&client);
        let opens = rest.iter().filter(|event| matches!(event, Event::Open(_))).count();
        let closes = rest.iter().filter(|event| matches!(event, Event::Close(_))).count();
        assert_eq!(opens, closes);
        assert!(client.stats().attempts() <= 1);
    }
}

fn only_the_first_close_counts(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).connect().unwrap();
    opened(&client);
    let threads: Vec<_> = [4001, 4002, 4003, 4004]
        .map(|code| {
            let client = client.clone();
            std::thread::spawn(move || client.close(code, "").unwrap())
        })
        .into();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    client.close(4005, "").unwrap();
    let told = closed(&client).code();
    assert!((4001..=4004).contains(&told));
    assert!(matches!(ended(&client), End::Closed));
    assert_eq!(server.wait_closed().0, Some(told));
    client.close(4006, "after the end").unwrap();
}

fn a_close_that_cannot_be_sent_changes_nothing(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).connect().unwrap();
    opened(&client);
    for code in [0, 999, 1002, 1004, 1005, 1006, 1015, 1016, 2999, 5000, u16::MAX] {
        assert_eq!(client.close(code, ""), Err(CloseError::Code(code)));
    }
    assert_eq!(client.close(1000, &"x".repeat(124)), Err(CloseError::ReasonTooLong(124)));
    client.send_text("on").unwrap();
    assert_eq!(received(&client).as_text(), Some("on"));
    client.close(1000, &"x".repeat(123)).unwrap();
    assert_eq!(server.wait_closed(), (Some(1000), "x".repeat(123)));
}

fn the_servers_close_is_echoed_and_followed_by_another_attempt(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).connect().unwrap();
    opened(&client);
    server.wait_connected();
    server.close(1, 4000, "shift over");
    let closed = closed(&client);
    assert_eq!((closed.code(), closed.reason(), closed.is_clean()), (4000, "shift over", true));
    assert_eq!(closed.by(), Initiator::Server);
    assert!(closed.retry_in().is_some());
    assert_eq!(server.wait_closed().0, Some(4000));
    opened(&client);
}

fn a_close_without_a_code_is_1005_and_answered_in_kind(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).connect().unwrap();
    opened(&client);
    server.wait_connected();
    server.send_raw(1, frame(8, b""));
    let closed = closed(&client);
    assert_eq!((closed.code(), closed.reason(), closed.is_clean()), (1005, "", true));
    assert_eq!(server.wait_closed(), (None, String::new()));
}

fn messages_unsent_at_the_servers_close_go_to_the_next_session(net: &Net) {
    let server = net.server(Behaviour::silent());
    let relay = Relay::start(server.address());
    let client = net.through(&relay).close_timeout(ms(300)).connect().unwrap();
    opened(&client);
    server.wait_connected();
    relay.hold_up();
    let block = vec![5; 1 << 20];
    let mut accepted = 0;
    while client.buffered_amount() < 3 << 20 {
        client.send_binary(&block).unwrap();
        accepted += 1;
    }
    server.close(1, 1012, "");
    closed(&client);
    relay.flow();
    client.flush(SOON).unwrap();
    close(&client);
    assert_eq!(client.stats().messages_sent(), accepted);
    assert!(server.received().iter().any(|(n, _)| *n == 2), "the system took all of the {accepted}");
}

fn a_reader_that_pauses_can_close_cleanly(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).connect().unwrap();
    opened(&client);
    server.wait_connected();
    client.pause_reading();
    for _ in 0..10 {
        server.send(1, "unread");
    }
    client.close(1000, "").unwrap();
    let rest = rest(&client);
    let closed =
        rest.iter().find_map(|event| if let Event::Close(closed) = event { Some(closed) } else { None });
    by_us(closed.expect("a close"), 1000);
}

fn a_program_that_does_not_take_its_messages_can_close_cleanly(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).inbound_queue(2, 1000).connect().unwrap();
    opened(&client);
    server.wait_connected();
    for _ in 0..10 {
        server.send(1, "unread");
    }
    client.close(1000, "").unwrap();
    assert!(matches!(client.wait_closed(SOON).unwrap(), End::Closed));
    let rest = rest(&client);
    let closed =
        rest.iter().find_map(|event| if let Event::Close(closed) = event { Some(closed) } else { None });
    by_us(closed.expect("a close"), 1000);
}

fn nothing_is_delivered_after_the_close(net: &Net) {
    let server = net.server(Behaviour::commands());
    let client = net.to(&server).build().unwrap();
    let (came, count) = crossbeam_channel::unbounded();
    client.on_message(move |client, _| {
        client.close(1000, "").unwrap();
        came.send(()).unwrap();
    });
    client.connect().unwrap();
    client.wait_open(SOON).unwrap();
    client.send_text("flood 100 10").unwrap();
    client.wait_closed(SOON).unwrap();
    assert_eq!(count.len(), 1);
}

stamp! {
    a_close_tells_the_server_its_code_and_reason,
    what_waits_is_written_before_the_close,
    a_server_that_never_answers_the_close_costs_the_close_timeout,
    a_server_that_never_reads_costs_the_close_timeout_and_each_message_is_told_of,
    a_client_that_reached_nobody_closes_at_once,
    a_close_right_after_connect_begins_nothing_later,
    only_the_first_close_counts,
    a_close_that_cannot_be_sent_changes_nothing,
    the_servers_close_is_echoed_and_followed_by_another_attempt,
    a_close_without_a_code_is_1005_and_answered_in_kind,
    messages_unsent_at_the_servers_close_go_to_the_next_session,
    a_reader_that_pauses_can_close_cleanly,
    a_program_that_does_not_take_its_messages_can_close_cleanly,
    nothing_is_delivered_after_the_close,
}
