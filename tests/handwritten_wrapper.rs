//! Everything that people write by hand around the browser's WebSocket, each as a preset or one line of configuration.
//!
//! Times are scaled down; the presets' own times are tested with an invented clock beside the heartbeat and the
//! reconnect themselves.

mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use heartwire::{
    Cause, Client, ConnectError, End, Event, Heartbeat, OutboxLimits, Reconnect, SendError, State,
};
use support::watch::{thread_names, within};
use support::{Behaviour, Message, Server, ServerEvent, Told, log_lines, watchdog};

const SOON: Duration = Duration::from_secs(10);
const MS: Duration = Duration::from_millis(1);

fn quick() -> Reconnect {
    Reconnect::fixed(20 * MS)
}

fn is_open(event: &Event) -> Option<()> {
    matches!(event, Event::Open(_)).then_some(())
}

/// The next text that the server receives, on whichever connection, with the connection's number.
#[track_caller]
fn next_text(server: &Server) -> (usize, String) {
    server.wait_for(SOON, |event| match event {
        ServerEvent::Message { n, message } => Some((*n, message.as_text()?.to_owned())),
        _ => None,
    })
}

#[test]
fn url_message_callback_and_name() {
    let _watch = watchdog(30, "url, message callback and name");
    let server = Server::start(Behaviour::silent().greeting("hello"));
    let client = Client::builder(&server.url()).name("feed").build().unwrap();
    let (tell, heard) = crossbeam_channel::unbounded();
    client.on_message(move |_, message| tell.send(message.to_message()).unwrap());
    client.connect().unwrap();
    assert_eq!(heard.recv_timeout(SOON).unwrap().as_text(), Some("hello"));
    assert_eq!(client.name(), "feed");
}

#[test]
fn every_log_line_has_the_clients_name() {
    let _watch = watchdog(30, "names in log lines");
    log_lines::keep();
    let server = Server::start(Behaviour::echo());
    let client = Client::builder(&server.url()).name("quotes-7").reconnect(quick()).build().unwrap();
    let told = Told::by(&client);
    client.connect().unwrap();
    told.wait_for(is_open);
    server.cut(1);
    told.wait_for(is_open);
    client.close(1000, "done").unwrap();
    told.to_the_end();
    drop(client);

    let lines = log_lines::of("quotes-7");
    for part in [
        "attempt 1 to ws://127.0.0.1",
        "open (attempt 1)",
        "closed uncleanly with 1006",
        "open again",
        "closed for good",
    ] {
        assert!(lines.iter().any(|line| line.contains(part)), "no line has {part:?}: {lines:#?}");
    }
    let nameless: Vec<_> = log_lines::all().into_iter().filter(|line| !line.starts_with('[')).collect();
    assert!(nameless.is_empty(), "{nameless:#?}");
}

#[test]
fn connect_with_data_sends_it_once_open_and_only_once_over_several_sessions() {
    let _watch = watchdog(30, "connect with data");
    let server = Server::start(Behaviour::silent());
    let client = Client::builder(&server.url()).reconnect(quick()).build().unwrap();
    let told = Told::by(&client);
    client.connect_with("subscribe").unwrap();
    assert_eq!(next_text(&server), (1, "subscribe".into()));
    for session in 1..=3 {
        told.wait_for(is_open);
        server.cut(session);
    }
    told.wait_for(is_open);
    client.send_text("the end").unwrap();
    assert_eq!(next_text(&server), (4, "the end".into()));
    assert_eq!(server.received_texts(), ["subscribe", "the end"]);
}

#[test]
fn send() {
    let _watch = watchdog(30, "send");
    let server = Server::start(Behaviour::silent());
    let client = Client::builder(&server.url()).connect().unwrap();
    client.send_text("before it is open").unwrap();
    client.wait_open(SOON).unwrap();
    client.send_text("while it is open").unwrap();
    client.flush(SOON).unwrap();
    assert_eq!(next_text(&server).1, "before it is open");
    assert_eq!(next_text(&server).1, "while it is open");
    client.close(1000, "").unwrap();
    client.wait_closed(SOON).unwrap();
    assert_eq!(client.send_text("after it is closed"), Err(SendError::Closed));
}

#[test]
fn reconnect_on_every_close_or_error_unless_the_user_closed() {
    let _watch = watchdog(30, "reconnect on everything");
    let server = Server::start(Behaviour::silent());
    // A server that closes with one of six codes means it; who wants another attempt even so says it.
    let every = [1002, 1003, 1007, 1008, 1009, 1010].into_iter();
    let reconnect = every.fold(quick(), |reconnect, code| reconnect.retry_close_code(code, true));
    let client = Client::builder(&server.url()).reconnect(reconnect).build().unwrap();
    let told = Told::by(&client);
    client.connect().unwrap();
    told.wait_for(is_open);
    let mut session = 1;
    for code in [1000, 1001, 1002, 1008, 1011, 4000] {
        assert!(server.close(session, code, "go away"));
        let closed = told.wait_for(|event| match event {
            Event::Close(closed) => Some(closed.clone()),
            _ => None,
        });
        assert_eq!((closed.code(), closed.is_clean()), (code, true));
        assert_eq!(closed.retry_in(), Some(20 * MS));
        told.wait_for(is_open);
        session += 1;
    }
    for failure in [Server::cut, Server::drop_tcp] {
        assert!(failure(&server, session));
        told.wait_for(|event| matches!(event, Event::Error(_)).then_some(()));
        told.wait_for(is_open);
        session += 1;
    }
    server.stop();
    told.wait_for(|event| matches!(event, Event::ConnectFailed(_)).then_some(()));
    server.restart();
    told.wait_for(is_open);

    client.close(1000, "").unwrap();
    let rest = told.to_the_end();
    let closed = rest.iter().find_map(|event| match event {
        Event::Close(closed) => Some(closed.retry_in()),
        _ => None,
    });
    assert_eq!(closed, Some(None), "{rest:#?}");
}

#[test]
fn a_manual_close_after_which_it_stays_closed() {
    let _watch = watchdog(30, "manual close");
    let server = Server::start(Behaviour::silent());
    let client = Client::builder(&server.url()).name("manual").reconnect(quick()).build().unwrap();
    let told = Told::by(&client);
    client.connect().unwrap();
    told.wait_for(is_open);
    client.close(1000, "enough").unwrap();
    assert_eq!(server.wait_closed(), (Some(1000), "enough".to_owned()));
    told.to_the_end();
    client.reconnect_now();
    assert!(matches!(client.connect(), Err(ConnectError::Closed)));
    assert!(matches!(client.wait_closed(SOON), Ok(End::Closed)));
    // Without its thread there is nobody left who could dial.
    within(SOON, "the client's thread ends", || {
        (!thread_names().iter().any(|name| name == "heartwire-manua")).then_some(())
    });
    assert_eq!((client.ready_state(), server.connections()), (3, 1));
    assert!(told.next(Duration::ZERO).is_none());
}

#[test]
fn a_manual_close_also_ends_the_wait_for_the_next_attempt() {
    let _watch = watchdog(30, "manual close while waiting");
    let server = Server::start(Behaviour::silent());
    let client =
        Client::builder(&server.url()).reconnect(Reconnect::fixed(3600 * 1000 * MS)).build().unwrap();
    let told = Told::by(&client);
    client.connect().unwrap();
    told.wait_for(is_open);
    server.cut(1);
    told.wait_for(|event| matches!(event, Event::Close(_)).then_some(()));
    client.close(1000, "").unwrap();
    told.to_the_end();
    assert_eq!(server.connections(), 1);
}

#[test]
fn ready_state_is_0_to_3() {
    let _watch = watchdog(30, "ready state");
    let server = Server::start(Behaviour::silent());
    let client = Client::builder(&server.url()).reconnect(quick()).build().unwrap();
    assert_eq!((client.state(), client.ready_state()), (State::Idle, 3));
    let told = Told::by(&client);
    let states = Arc::new(Mutex::new(Vec::new()));
    let seen = states.clone();
    client.on_state(move |client, state| {
        assert_eq!(client.ready_state(), state.ready_state());
        seen.lock().unwrap().push((state, state.ready_state()));
    });
    client.connect().unwrap();
    told.wait_for(is_open);
    assert_eq!(client.ready_state(), 1);
    server.cut(1);
    told.wait_for(is_open);
    client.close(1000, "").unwrap();
    told.to_the_end();
    client.wait_closed(SOON).unwrap();
    assert_eq!(client.ready_state(), 3);

    let states = states.lock().unwrap().clone();
    for (state, number) in &states {
        let expected = match state {
            State::Connecting(_) | State::Waiting { .. } => 0,
            State::Open => 1,
            State::Closing => 2,
            _ => 3,
        };
        assert_eq!(*number, expected, "{state}");
    }
    let mut numbers: Vec<u8> = states.iter().map(|(_, number)| *number).collect();
    numbers.dedup();
    assert_eq!(numbers, [0, 1, 0, 1, 2, 3]);
}

#[test]
fn open_message_error_and_close_have_several_listeners_that_come_and_go() {
    let _watch = watchdog(30, "several listeners");
    let server = Server::start(Behaviour::echo());
    let client = Client::builder(&server.url()).reconnect(quick()).build().unwrap();
    let told = Told::by(&client);
    let calls = Arc::new(Mutex::new(Vec::new()));
    let note = |what: &'static str| {
        let calls = calls.clone();
        move || calls.lock().unwrap().push(what)
    };
    let take = || std::mem::take(&mut *calls.lock().unwrap());
    macro_rules! listen {
        ($register:ident, $what:literal) => {{
            let note = note($what);
            client.$register(move |_, _| note())
        }};
    }
    let opens = [listen!(on_open, "open 1"), listen!(on_open, "open 2")];
    let messages = [
        listen!(on_message, "message 1"),
        listen!(on_message, "message 2"),
        listen!(on_message, "message 3"),
    ];
    let errors = [listen!(on_error, "error 1"), listen!(on_error, "error 2")];
    let closes = [listen!(on_close, "close 1"), listen!(on_close, "close 2")];
    // The last listener of each kind tells that the others were called.
    let (tell, round) = crossbeam_channel::unbounded();
    let done = tell.clone();
    client.on_message(move |_, _| done.send(()).unwrap());
    client.on_open(move |_, _| tell.send(()).unwrap());

    client.connect().unwrap();
    round.recv_timeout(SOON).unwrap();
    client.send_text("one").unwrap();
    round.recv_timeout(SOON).unwrap();
    server.cut(1);
    round.recv_timeout(SOON).unwrap();
    let first = ["open 1", "open 2", "message 1", "message 2", "message 3", "error 1", "error 2", "close 1"];
    assert_eq!(take(), [&first[..], &["close 2", "open 1", "open 2"]].concat());

    for id in [opens[0], messages[1], errors[1], closes[0]] {
        assert!(client.remove_listener(id));
        assert!(!client.remove_listener(id), "it is removed already");
    }
    listen!(on_close, "close 3");
    client.send_text("two").unwrap();
    round.recv_timeout(SOON).unwrap();
    server.cut(2);
    round.recv_timeout(SOON).unwrap();
    assert_eq!(take(), ["message 1", "message 3", "error 1", "close 2", "close 3", "open 2"]);
    drop(told);
}

#[test]
fn text_and_binary() {
    let _watch = watchdog(30, "text and binary");
    let server = Server::start(Behaviour::echo());
    let client = Client::builder(&server.url()).build().unwrap();
    let told = Told::by(&client);
    client.connect().unwrap();
    client.send_text("Grüße").unwrap();
    client.send_binary(&[0, 255, 1]).unwrap();
    let next = || {
        told.wait_for(|event| match event {
            Event::Message(message) => Some(message.clone()),
            _ => None,
        })
    };
    let (text, binary) = (next(), next());
    assert_eq!((text.as_text(), text.is_text()), (Some("Grüße"), true));
    assert_eq!((binary.as_bytes(), binary.is_text()), (&[0, 255, 1][..], false));
    assert_eq!(server.received(), [(1, Message::from("Grüße")), (1, Message::from(vec![0, 255, 1]))]);
}

#[test]
fn buffered_amount() {
    let _watch = watchdog(30, "buffered amount");
    let server = Server::start(Behaviour::silent());
    let outbox = OutboxLimits::new().bytes(64 << 20);
    let client = Client::builder(&server.url()).outbox(outbox).build().unwrap();
    assert_eq!(client.buffered_amount(), 0);
    client.send_text("12345").unwrap();
    client.send_binary(&[0; 10]).unwrap();
    assert_eq!(client.buffered_amount(), 15);
    client.connect().unwrap();
    client.flush(SOON).unwrap();
    assert_eq!(client.buffered_amount(), 0);

    server.mute();
    // More than the kernel's buffers hold.
    let megabyte = vec![7; 1 << 20];
    for _ in 0..40 {
        client.send_binary(&megabyte).unwrap();
    }
    assert!(client.buffered_amount() > 0);
    assert!(client.buffered_amount() <= 40 << 20);
    server.unmute();
    client.flush(SOON).unwrap();
    assert_eq!(client.buffered_amount(), 0);
}

#[test]
fn heartbeat_ping_at_its_pace_whatever_else_happens_and_no_pong_means_reconnect() {
    let _watch = watchdog(60, "ping and pong");
    let server = Server::start(Behaviour::silent());
    server.answer_text_pings(true);
    let beat =
        Heartbeat::text("ping").reply("pong").every(100 * MS).reply_only().timeout(2000 * MS).max_missed(1);
    let client = Client::builder(&server.url()).heartbeat(beat).reconnect(quick()).build().unwrap();
    let told = Told::by(&client);
    client.connect().unwrap();
    // Traffic in both directions does not hold the beats up.
    for _ in 0..4 {
        assert_eq!(next_text(&server), (1, "ping".into()));
        server.send(1, "news");
        assert_eq!(told.wait_message(), "news", "the pong is the heartbeat's, not a message");
        client.ping(b"").unwrap();
    }
    told.wait_for(|event| matches!(event, Event::Heartbeat(_)).then_some(()));

    // Nor does it count as a sign of life.
    let last_pong = Instant::now();
    server.answer_text_pings(false);
    let missed = loop {
        if let (1, text) = next_text(&server) {
            assert_eq!(text, "ping");
            server.send(1, "news");
        }
        let death = std::iter::from_fn(|| told.next(Duration::ZERO)).find_map(|event| match event {
            Event::Error(error) => Some(error),
            _ => None,
        });
        if let Some(error) = death {
            break error;
        }
    };
    assert!(matches!(missed.cause(), Cause::Silent { missed: 1 }), "{missed}");
    assert!(last_pong.elapsed() >= 2000 * MS - 100 * MS, "{:?}", last_pong.elapsed());
    server.answer_text_pings(true);
    within(SOON, "a new session", || {
        (client.ready_state() == 1 && client.stats().sessions() == 2).then_some(())
    });
}

#[test]
fn heartbeat_online_after_silence_is_reset_by_any_message_and_nothing_back_means_reconnect() {
    let _watch = watchdog(60, "online");
    const SILENCE: Duration = Duration::from_millis(400);
    let server = Server::start(Behaviour::silent());
    let beat = Heartbeat::text("online").any_reply().after_silence(SILENCE).timeout(SILENCE).max_missed(1);
    let client = Client::builder(&server.url()).heartbeat(beat).reconnect(quick()).build().unwrap();
    let told = Told::by(&client);
    client.connect().unwrap();
    assert_eq!(next_text(&server), (1, "online".into()));
    server.send(1, "welcome");
    assert_eq!(told.wait_message(), "welcome", "any message is an answer, and is delivered");
    // A message in the middle of the silence begins it anew.
    assert!(!matches!(server.next_event(SILENCE / 4), Some(ServerEvent::Ended { .. })));
    let sent = Instant::now();
    server.send(1, "news");
    assert_eq!(told.wait_message(), "news");
    assert_eq!(next_text(&server).1, "online");
    assert!(sent.elapsed() >= SILENCE, "{:?}", sent.elapsed());

    let error = told.wait_for(|event| match event {
        Event::Error(error) => Some(error.clone()),
        _ => None,
    });
    assert!(matches!(error.cause(), Cause::Silent { missed: 1 }), "{error}");
    assert!(sent.elapsed() >= 2 * SILENCE, "{:?}", sent.elapsed());
    told.wait_for(is_open);
}

#[test]
fn heartbeat_allows_three_missed_beats() {
    let _watch = watchdog(30, "three misses");
    let server = Server::start(Behaviour::silent());
    let beat = Heartbeat::text("ping").reply("pong").after_silence(50 * MS).timeout(200 * MS).max_missed(3);
    let client = Client::builder(&server.url()).heartbeat(beat).reconnect(quick()).build().unwrap();
    let told = Told::by(&client);
    client.connect().unwrap();
    let error = told.wait_for(|event| match event {
        Event::Error(error) => Some(error.clone()),
        _ => None,
    });
    assert!(matches!(error.cause(), Cause::Silent { missed: 3 }), "{error}");
    told.wait_for(is_open);
    let beats = server.received().into_iter().filter(|(n, _)| *n == 1).count();
    assert_eq!(beats, 3);
}

#[test]
fn a_fixed_delay_and_one_attempt_although_error_and_close_both_come() {
    let _watch = watchdog(30, "one attempt");
    const DELAY: Duration = Duration::from_millis(150);
    let server = Server::start(Behaviour::silent());
    let client = Client::builder(&server.url()).reconnect(Reconnect::fixed(DELAY)).build().unwrap();
    let told = Told::by(&client);
    client.connect().unwrap();
    told.wait_for(is_open);
    for session in 1..=3 {
        let cut = Instant::now();
        server.cut(session);
        // People ask for a reconnect in both handlers; here neither has to.
        told.wait_for(|event| matches!(event, Event::Error(_)).then_some(()));
        told.wait_for(|event| matches!(event, Event::Close(_)).then_some(()));
        told.wait_for(is_open);
        assert!(cut.elapsed() >= DELAY, "{:?}", cut.elapsed());
        let stats = client.stats();
        assert_eq!((stats.attempts(), stats.sessions()), (session as u64 + 1, session as u64 + 1));
        assert_eq!(server.connections(), session + 1);
    }
    client.close(1000, "").unwrap();
    told.to_the_end();
    assert_eq!((client.stats().attempts(), server.connections()), (4, 4));
}

#[test]
fn asking_for_a_reconnect_in_both_handlers_makes_one_attempt_too() {
    let _watch = watchdog(30, "reconnect_now twice");
    let server = Server::start(Behaviour::silent());
    let client =
        Client::builder(&server.url()).reconnect(Reconnect::fixed(3600 * 1000 * MS)).build().unwrap();
    let told = Told::by(&client);
    client.on_error(|client, _| client.reconnect_now());
    client.on_close(|client, _| client.reconnect_now());
    client.connect().unwrap();
    told.wait_for(is_open);
    server.cut(1);
    told.wait_for(is_open);
    client.close(1000, "").unwrap();
    told.to_the_end();
    assert_eq!((client.stats().attempts(), server.connections()), (2, 2));
}

#[test]
fn a_login_message_on_every_open_before_anything_queued() {
    let _watch = watchdog(30, "login");
    let server = Server::start(Behaviour::silent());
    let client = Client::builder(&server.url()).reconnect(quick()).greeting("login").build().unwrap();
    client.send_text("queued before connect").unwrap();
    client.on_close(|client, _| {
        client.send_text("queued while down").unwrap();
    });
    client.connect_with("first").unwrap();
    for expected in ["login", "first", "queued before connect"] {
        assert_eq!(next_text(&server), (1, expected.into()));
    }
    server.cut(1);
    for expected in ["login", "queued while down"] {
        assert_eq!(next_text(&server), (2, expected.into()));
    }
    server.cut(2);
    for expected in ["login", "queued while down"] {
        assert_eq!(next_text(&server), (3, expected.into()));
    }
}

#[test]
fn giving_up_after_a_long_time_without_success() {
    let _watch = watchdog(30, "giving up");
    const LONG: Duration = Duration::from_millis(300);
    let server = Server::start(Behaviour::silent());
    server.stop();
    let reconnect = quick().give_up_after(LONG);
    let client = Client::builder(&server.url()).reconnect(reconnect).build().unwrap();
    let told = Told::by(&client);
    client.connect().unwrap();
    let all = told.to_the_end();
    assert!(matches!(all.last(), Some(Event::ClosedForGood(End::GaveUp(_)))), "{:?}", all.last());
    assert!(matches!(client.wait_closed(SOON), Ok(End::GaveUp(_))));
    let failures = all.iter().filter(|event| matches!(event, Event::ConnectFailed(_))).count();
    assert_eq!(failures as u64, client.stats().attempts());
    assert!(failures > 1);
    assert_eq!(client.send_text("too late"), Err(SendError::Closed));
}
