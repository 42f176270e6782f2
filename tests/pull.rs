//! The pull style: `recv` and its kin, and the receiver of `events()`.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError, bounded};
use heartwire::{Client, End, Event, Heartbeat, Message, Reconnect, RecvError, State, WeakClient};
use support::frames::{close_frame, frame};
use support::upgrade::{read_request_head, switching_protocols};
use support::watch::{thread_names, within};
use support::{Behaviour, RawStream, Server, ServerEvent, watchdog};

const SOON: Duration = Duration::from_secs(10);
const MS: Duration = Duration::from_millis(1);
/// How long something is watched that a wrong implementation would do at once.
const A_WHILE: Duration = Duration::from_millis(200);

/// The two ways to pull, behind one face.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Recv,
    Events,
}

const STYLES: [Style; 2] = [Style::Recv, Style::Events];

struct Puller {
    client: Client,
    receiver: Option<Receiver<Event>>,
}

impl Puller {
    /// Chooses the style; call it before `connect`.
    fn new(client: Client, style: Style) -> Puller {
        let receiver = match style {
            Style::Events => Some(client.events()),
            Style::Recv => {
                assert!(matches!(client.try_recv(), Err(RecvError::TimedOut)));
                None
            }
        };
        Puller { client, receiver }
    }

    /// The next event; `None` after the last one.
    #[track_caller]
    fn next(&self) -> Option<Event> {
        match &self.receiver {
            Some(receiver) => match receiver.recv_timeout(SOON) {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Disconnected) => None,
                Err(RecvTimeoutError::Timeout) => panic!("no event in time"),
            },
            None => match self.client.recv_timeout(SOON) {
                Ok(event) => Some(event),
                Err(RecvError::Closed) => None,
                Err(error) => panic!("{error}"),
            },
        }
    }

    #[track_caller]
    fn wait_for<T>(&self, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        loop {
            let Some(event) = self.next() else { panic!("the events ended before what was waited for") };
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    }
}

fn is_open(event: &Event) -> Option<()> {
    matches!(event, Event::Open(_)).then_some(())
}

fn is_close(event: &Event) -> Option<()> {
    matches!(event, Event::Close(_)).then_some(())
}

fn as_text(event: &Event) -> Option<String> {
    match event {
        Event::Message(message) => message.as_text().map(str::to_owned),
        _ => None,
    }
}

#[test]
fn events_come_in_order_one_close_for_each_open_and_the_end_last_and_once() {
    let _watch = watchdog(60, "order");
    for style in STYLES {
        let server = Server::start(Behaviour::echo().greeting("hello"));
        let reconnect = Reconnect::fixed(5 * MS);
        let client = Client::builder(&server.url()).reconnect(reconnect).build().unwrap();
        let puller = Puller::new(client.clone(), style);
        client.connect().unwrap();
        let mut open = false;
        let (mut opens, mut messages, mut ends) = (0, 0, 0);
        while let Some(event) = puller.next() {
            assert_eq!(ends, 0, "after the end: {event}");
            match event {
                Event::Open(opened) => {
                    assert!(!std::mem::replace(&mut open, true));
                    opens += 1;
                    assert_eq!(opened.is_first(), opens == 1);
                }
                Event::Message(message) => {
                    assert!(open, "a message outside of a session");
                    messages += 1;
                    match (message.as_text(), opens) {
                        (Some("hello"), _) => drop(client.send_text("echo").unwrap()),
                        (_, 3) => client.close(1000, "").unwrap(),
                        (_, session) => assert!(server.cut(session)),
                    }
                }
                Event::Error(_) => assert!(open),
                Event::Close(closed) => {
                    assert!(std::mem::replace(&mut open, false));
                    assert_eq!(closed.retry_in().is_some(), opens < 3);
                }
                Event::ClosedForGood(_) => ends += 1,
                _ => {}
            }
        }
        assert_eq!((opens, messages, ends, open), (3, 6, 1, false), "{style:?}");
        match puller.receiver {
            Some(receiver) => assert_eq!(receiver.try_recv().err(), Some(TryRecvError::Disconnected)),
            None => assert_eq!(client.recv().err(), Some(RecvError::Closed)),
        }
        assert!(matches!(client.wait_closed(SOON), Ok(End::Closed)));
    }
}

#[test]
fn handlers_recv_and_events_exclude_each_other_and_the_first_one_counts() {
    let _watch = watchdog(60, "exclusion");
    let server = Server::start(Behaviour::silent().greeting("hello"));
    let build = || Client::builder(&server.url()).build().unwrap();
    let is_taken = |client: &Client| {
        let answers = [client.try_recv(), client.recv_timeout(SOON), client.recv()];
        assert!(answers.iter().all(|answer| matches!(answer, Err(RecvError::Taken))));
    };
    let has_ended = |receiver: Receiver<Event>| {
        assert_eq!(receiver.try_recv().err(), Some(TryRecvError::Disconnected));
    };
    // A handler first.
    let client = build();
    let (tell, told) = bounded(1);
    client.on_message(move |_, message| tell.send(message.to_message()).unwrap());
    is_taken(&client);
    has_ended(client.events());
    client.connect().unwrap();
    assert_eq!(told.recv_timeout(SOON).unwrap().as_text(), Some("hello"));

    // `recv` first.
    let client = build();
    assert_eq!(client.try_recv().err(), Some(RecvError::TimedOut));
    has_ended(client.events());
    let (tell, told) = bounded::<()>(1);
    client.on_message(move |_, _| tell.send(()).unwrap());
    client.connect().unwrap();
    let puller = Puller { client, receiver: None };
    assert_eq!(puller.wait_for(as_text), "hello");
    assert_eq!(told.try_recv(), Err(TryRecvError::Empty));

    // `events` first.
    let client = build();
    let first = client.events();
    has_ended(client.events());
    is_taken(&client);
    let (tell, told) = bounded::<()>(1);
    client.on_message(move |_, _| tell.send(()).unwrap());
    client.connect().unwrap();
    let puller = Puller { client, receiver: Some(first) };
    assert_eq!(puller.wait_for(as_text), "hello");
    assert_eq!(told.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn waiting_for_an_event_on_the_loops_own_thread_is_refused() {
    let _watch = watchdog(30, "recv on the loop");
    let server = Server::start(Behaviour::silent());
    let slot = Arc::new(Mutex::new(None::<WeakClient>));
    let (own, (tell, answers)) = (slot.clone(), bounded(2));
    let client = Client::builder(&server.url())
        .greeting(move |_| {
            if let Some(client) = own.lock().unwrap().as_ref().and_then(WeakClient::upgrade) {
                tell.send(client.recv().err()).unwrap();
                tell.send(client.recv_timeout(SOON).err()).unwrap();
            }
            Message::text("login")
        })
        .build()
        .unwrap();
    *slot.lock().unwrap() = Some(client.downgrade());
    client.connect().unwrap();
    for _ in 0..2 {
        assert_eq!(answers.recv_timeout(SOON).unwrap(), Some(RecvError::WouldDeadlock));
    }
}

// ---- a consumer that is slow ---------------------------------------------------------------------

/// Writes numbered messages as fast as they are taken, and says once that they are not taken any more.
fn flood(stream: &mut RawStream, messages: u32, size: usize, blocked: &crossbeam_channel::Sender<u32>) {
    let head = read_request_head(stream).unwrap();
    stream.write_all(switching_protocols(&head, "").as_bytes()).unwrap();
    stream.tcp().set_write_timeout(Some(A_WHILE)).unwrap();
    let mut told = false;
    for number in 0..messages {
        let mut payload = vec![0; size];
        payload[..4].copy_from_slice(&number.to_be_bytes());
        let bytes = frame(2, &payload);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            match stream.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if !std::mem::replace(&mut told, true) {
                        blocked.send(number).unwrap();
                    }
                }
                // The test has ended.
                Err(_) => return,
            }
        }
    }
    stream.write_all(&close_frame(1000, "all sent")).unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
}

fn a_slow_consumer_makes_the_server_wait(style: Style, messages: u32, size: usize) {
    let (tell, blocked) = bounded(1);
    let server = Server::start(Behaviour::raw(move |stream, _| flood(stream, messages, size, &tell)));
    let client = Client::builder(&server.url()).reconnect(Reconnect::never()).build().unwrap();
    let puller = Puller::new(client.clone(), style);
    client.connect().unwrap();
    let written = blocked.recv_timeout(SOON).expect("the server could write everything");
    assert!(written < messages);
    let stats = client.stats();
    // The channel holds a few, and its thread has one in its hands.
    let extra = if style == Style::Events { 17 } else { 0 };
    assert!(stats.messages_received() <= 256 + extra, "{}", stats.messages_received());
    let bound = (1 << 20) + (extra + 1) * size as u64;
    assert!(stats.bytes_received() <= bound, "{}", stats.bytes_received());
    assert_eq!(client.state(), State::Open, "a full queue is no reason to give the session up");

    let mut next = 0;
    let closed = puller.wait_for(|event| match event {
        Event::Message(message) => {
            assert_eq!(message.as_bytes()[..4], u32::to_be_bytes(next));
            next += 1;
            None
        }
        Event::Close(closed) => Some(closed.clone()),
        _ => None,
    });
    assert_eq!(next, messages);
    assert_eq!((closed.code(), closed.is_clean()), (1000, true));
    assert_eq!(client.stats().events_discarded(), 0);
}

#[test]
fn a_slow_consumer_of_small_messages_makes_the_server_wait_and_nothing_is_lost() {
    let _watch = watchdog(120, "256 events");
    STYLES.into_iter().for_each(|style| a_slow_consumer_makes_the_server_wait(style, 20_000, 1000));
}

#[test]
fn a_slow_consumer_of_large_messages_makes_the_server_wait_and_nothing_is_lost() {
    let _watch = watchdog(120, "1 MiB");
    STYLES.into_iter().for_each(|style| a_slow_consumer_makes_the_server_wait(style, 400, 60_000));
}

#[test]
fn the_last_events_get_through_a_full_queue_and_a_close_is_clean_although_it_is_full() {
    let _watch = watchdog(60, "lifecycle in a full queue");
    for style in STYLES {
        let server = Server::start(Behaviour::echo());
        let client = Client::builder(&server.url()).inbound_queue(16, 1 << 20).build().unwrap();
        let puller = Puller::new(client.clone(), style);
        client.connect().unwrap();
        client.wait_open(SOON).unwrap();
        for number in 0..60 {
            server.send(1, format!("message {number}"));
        }
        // The server closes behind messages that nobody reads; our own close has to get past all of them.
        within(SOON, "the queue is full", || (client.stats().messages_received() >= 8).then_some(()));
        client.close(1000, "").unwrap();
        assert!(matches!(client.wait_closed(SOON), Ok(End::Closed)));
        let mut last = Vec::new();
        while let Some(event) = puller.next() {
            match event {
                Event::Close(closed) => last.push(format!("clean {}", closed.is_clean())),
                Event::ClosedForGood(_) => last.push("the end".into()),
                Event::State(state @ (State::Closing | State::Closed)) => last.push(state.to_string()),
                _ => assert!(
                    last.is_empty() || !matches!(event, Event::Message(_)),
                    "a message after the close"
                ),
            }
        }
        assert_eq!(last, ["closing", "closed", "clean true", "the end"], "{style:?}");
    }
}

#[test]
fn no_attempt_begins_until_the_last_close_was_taken() {
    let _watch = watchdog(60, "held by close");
    let server = Server::start(Behaviour::silent());
    let client = Client::builder(&server.url()).reconnect(Reconnect::fixed(MS)).build().unwrap();
    let puller = Puller::new(client.clone(), Style::Recv);
    client.connect().unwrap();
    puller.wait_for(is_open);
    server.wait_connected();
    server.cut(1);
    within(SOON, "waiting", || matches!(client.state(), State::Waiting { .. }).then_some(()));
    server.wait_ended();
    client.reconnect_now();
    assert!(server.next_event(A_WHILE).is_none(), "an attempt began");
    assert_eq!(client.stats().attempts(), 1);
    puller.wait_for(is_close);
    server.wait_connected();
    puller.wait_for(is_open);
}

#[test]
fn no_attempt_begins_until_the_last_failure_was_taken() {
    let _watch = watchdog(60, "held by connect_failed");
    let server = Server::start(Behaviour::refuse(503, &[], ""));
    let client = Client::builder(&server.url()).reconnect(Reconnect::fixed(MS)).build().unwrap();
    let puller = Puller::new(client.clone(), Style::Recv);
    client.connect().unwrap();
    for attempt in 1..=3 {
        within(SOON, "waiting", || matches!(client.state(), State::Waiting { .. }).then_some(()));
        assert_eq!(client.stats().attempts(), attempt);
        puller.wait_for(|event| matches!(event, Event::ConnectFailed(_)).then_some(()));
        within(SOON, "the next attempt", || (client.stats().attempts() > attempt).then_some(()));
    }
}

#[test]
fn a_receiver_that_nobody_reads_holds_attempts_up_once_it_is_full() {
    let _watch = watchdog(60, "held by the channel");
    let server = Server::start(Behaviour::refuse(503, &[], ""));
    let client = Client::builder(&server.url()).reconnect(Reconnect::fixed(MS)).build().unwrap();
    let puller = Puller::new(client.clone(), Style::Events);
    client.connect().unwrap();
    while server.next_event(A_WHILE).is_some() {}
    let attempts = client.stats().attempts();
    assert!(attempts <= 10, "{attempts}");
    // Reading lets it go on.
    puller.wait_for(|_| (client.stats().attempts() > attempts).then_some(()));
}

#[test]
fn a_client_whose_receiver_was_dropped_goes_on() {
    let _watch = watchdog(60, "receiver dropped");
    let server = Server::start(Behaviour::echo());
    let client = Client::builder(&server.url()).reconnect(Reconnect::fixed(MS)).build().unwrap();
    let receiver = client.events();
    client.connect().unwrap();
    client.wait_open(SOON).unwrap();
    drop(receiver);
    for session in 1..=3 {
        // More events than any queue holds.
        for _ in 0..400 {
            while client.send_text("hello").is_err() {
                client.flush(SOON).unwrap();
            }
        }
        within(SOON, "all echoes", || (client.stats().messages_received() == 400 * session).then_some(()));
        server.cut(session as usize);
        within(SOON, "a new session", || {
            (client.stats().sessions() > session && client.ready_state() == 1).then_some(())
        });
    }
}

#[test]
fn a_receiver_does_not_keep_its_client_alive_and_ends_with_it() {
    let _watch = watchdog(60, "receiver outlives");
    let server = Server::start(Behaviour::silent().greeting("hello"));
    let client = Client::builder(&server.url()).name("outli").build().unwrap();
    let receiver = client.events();
    client.connect().unwrap();
    client.wait_open(SOON).unwrap();
    let waiting = std::thread::spawn(move || receiver.iter().last());
    drop(client);
    assert_eq!(server.wait_closed().0, Some(1001));
    let last = waiting.join().unwrap();
    assert!(
        !matches!(last, Some(Event::ClosedForGood(_) | Event::Close(_))),
        "destroying is silent: {last:?}"
    );
    within(SOON, "no thread is left", || {
        (!thread_names().iter().any(|name| name == "heartwire-outli")).then_some(())
    });
}

#[test]
fn a_full_receiver_does_not_hold_up_the_drop_of_its_client() {
    let _watch = watchdog(60, "full receiver");
    let server = Server::start(Behaviour::echo());
    let client = Client::builder(&server.url()).build().unwrap();
    let receiver = client.events();
    client.connect().unwrap();
    client.wait_open(SOON).unwrap();
    (0..400).for_each(|number| assert!(server.send(1, format!("{number}"))));
    within(SOON, "the channel is full", || receiver.is_full().then_some(()));
    drop(client);
    assert!(receiver.iter().count() <= 17);
}

// ---- pausing -------------------------------------------------------------------------------------

#[test]
fn a_paused_client_takes_nothing_beats_on_and_goes_on_where_it_stopped() {
    let _watch = watchdog(60, "pause");
    for style in STYLES {
        let server = Server::start(Behaviour::silent());
        let beat = Heartbeat::ping().after_silence(20 * MS).timeout(SOON);
        let client = Client::builder(&server.url()).heartbeat(beat).build().unwrap();
        let puller = Puller::new(client.clone(), style);
        client.connect().unwrap();
        puller.wait_for(is_open);
        client.pause_reading();
        // A ping of ours goes through the loop, which has seen the pause by then.
        client.ping(b"paused").unwrap();
        server.wait_for(SOON, |event| match event {
            ServerEvent::Ping { data, .. } => (data == b"paused").then_some(()),
            _ => None,
        });
        for number in 0..3 {
            server.send(1, format!("{number}"));
        }
        assert_eq!(client.stats().messages_received(), 0);
        server.wait_for(SOON, |event| matches!(event, ServerEvent::Ping { .. }).then_some(()));
        assert_eq!(client.stats().messages_received(), 0);
        client.resume_reading();
        for number in 0..3 {
            assert_eq!(puller.wait_for(as_text), number.to_string());
        }
        assert_eq!(client.stats().sessions(), 1);
    }
}

#[test]
fn no_verdict_falls_while_reading_is_paused() {
    let _watch = watchdog(60, "no verdict");
    let server = Server::start(Behaviour::silent());
    let beat = Heartbeat::ping().after_silence(20 * MS).timeout(1000 * MS).max_missed(1);
    let client = Client::builder(&server.url()).heartbeat(beat).build().unwrap();
    let puller = Puller::new(client.clone(), Style::Recv);
    client.connect().unwrap();
    puller.wait_for(is_open);
    client.pause_reading();
    // Longer than the whole patience.
    let deadline = Instant::now() + 1500 * MS;
    while Instant::now() < deadline {
        let quiet = client.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        assert!(matches!(quiet, Err(RecvError::TimedOut) | Ok(Event::Heartbeat(_))), "{quiet:?}");
    }
    client.resume_reading();
    puller.wait_for(|event| matches!(event, Event::Heartbeat(_)).then_some(()));
    assert_eq!(client.stats().sessions(), 1);
}

#[test]
fn a_close_is_clean_although_reading_is_paused() {
    let _watch = watchdog(30, "close while paused");
    let server = Server::start(Behaviour::silent());
    let client = Client::builder(&server.url()).close_timeout(360 * SOON).build().unwrap();
    let puller = Puller::new(client.clone(), Style::Recv);
    client.connect().unwrap();
    puller.wait_for(is_open);
    client.pause_reading();
    client.close(1000, "").unwrap();
    let clean = puller.wait_for(|event| match event {
        Event::Close(closed) => Some(closed.is_clean()),
        _ => None,
    });
    assert!(clean);
}

// ---- the program of the README -------------------------------------------------------------------

#[test]
#[allow(unused_variables, reason = "the program stands here as it stands in the documentation")]
fn the_documented_program_compiles_and_runs() -> Result<(), heartwire::Error> {
    let _watch = watchdog(30, "the documented program");
    let server = Server::start(Behaviour::silent().greeting("news").greeting("bye"));
    let url = server.url();

    let client = Client::builder(&url)
        .header("Authorization", "Bearer abc")
        .heartbeat(Heartbeat::ping())
        .greeting(|attempt| Message::text(r#"{"op":"login"}"#))
        .build()?;
    let events = client.events();
    client.connect()?;
    let sender = client.clone();
    for event in &events {
        match event {
            Event::Message(m) if m.as_text() == Some("bye") => client.close(1000, "done")?,
            Event::Message(m) => println!("{m}"),
            Event::ClosedForGood(end) => {
                println!("{end}");
                break;
            }
            other => eprintln!("{other}"),
        }
    }
    client.wait_closed(Duration::from_secs(5))?;

    let (_, request) = server.wait_connected();
    assert_eq!(request.header("Authorization"), Some("Bearer abc"));
    assert_eq!(server.wait_closed(), (Some(1000), "done".to_owned()));
    assert_eq!(server.received_texts(), [r#"{"op":"login"}"#]);
    Ok(())
}
