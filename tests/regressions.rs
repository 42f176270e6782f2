//! What once went wrong and must not again: one test for each, with the cause in its name.

mod support;

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use heartwire::{
    Client, Dispatch, End, Event, Heartbeat, MessageRef, OutboxLimits, Reconnect, SendError, SendOptions,
};
use support::frames::frame;
use support::upgrade::{read_request_head, switching_protocols};
use support::watch::within;
use support::{Behaviour, Server, watchdog};

const SOON: Duration = Duration::from_secs(10);

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A client whose first attempt has failed, and that waits long before the next.
fn down(limits: OutboxLimits) -> Client {
    let server = Server::start(Behaviour::silent());
    let url = server.url();
    drop(server);
    let far = Reconnect::fixed(Duration::from_secs(3600));
    let client = Client::builder(&url).reconnect(far).outbox(limits).report_outcomes(true).build().unwrap();
    let (tell, failed) = mpsc::channel();
    client.on_connect_failed(move |_, _| tell.send(()).unwrap_or_default());
    client.connect().unwrap();
    failed.recv_timeout(SOON).unwrap();
    client
}

#[test]
fn a_flush_returns_when_the_last_message_before_it_has_expired() {
    let _watch = watchdog(60, "flush and expiry");
    let client = down(OutboxLimits::new());
    client.send_with(MessageRef::Text("short-lived"), SendOptions::new().time_to_live(ms(50))).unwrap();
    let began = Instant::now();
    client.flush(SOON).unwrap();
    assert!(began.elapsed() < SOON / 2, "{:?}", began.elapsed());
}

#[test]
fn a_blocked_sender_gets_the_place_of_a_message_that_has_expired() {
    let _watch = watchdog(60, "blocked sender and expiry");
    let client = down(OutboxLimits::new().messages(1).block_when_full(SOON));
    client.send_with(MessageRef::Text("short-lived"), SendOptions::new().time_to_live(ms(50))).unwrap();
    let began = Instant::now();
    client.send_text("waits for the place").unwrap();
    assert!(began.elapsed() < SOON / 2, "{:?}", began.elapsed());
}

#[test]
fn outcomes_that_nobody_takes_are_bounded_although_no_two_can_be_joined() {
    let _watch = watchdog(60, "alternating outcomes");
    let server = Server::start(Behaviour::silent());
    let url = server.url();
    drop(server);
    let client = Client::builder(&url)
        .reconnect(Reconnect::fixed(Duration::from_secs(3600)))
        .outbox(OutboxLimits::new().messages(1).evict_oldest_when_full())
        .report_outcomes(true)
        .connect()
        .unwrap();
    // Chooses the pull style; after this nobody takes anything.
    while !matches!(client.recv_timeout(SOON).unwrap(), Event::ConnectFailed(_)) {}
    let mut accepted = 0;
    let mut refused = 0;
    let until = Instant::now() + Duration::from_secs(3);
    while refused < 1000 && accepted < 50_000 && Instant::now() < until {
        // Evicted, expired, evicted, …
        let options = SendOptions::new().time_to_live(if accepted % 2 == 0 { ms(0) } else { SOON });
        match client.send_with(MessageRef::Text("x"), options) {
            Ok(_) => accepted += 1,
            Err(error) => {
                assert_eq!(error, SendError::Full);
                refused += 1;
                std::thread::yield_now();
            }
        }
        if accepted % 100 == 0 {
            // Nothing is waited for: the pause spreads the sends, so that the loop finds expired ones between them.
            std::thread::sleep(ms(1));
        }
    }
    assert!(accepted < 12_000, "{accepted} accepted: each has an outcome of its own that waits");
    client.close(1000, "").unwrap();
    let mut told = 0;
    while let Ok(event) = client.recv_timeout(SOON) {
        if let Event::Outcome(outcome) = event {
            told += outcome.last().get() - outcome.first().get() + 1;
        }
    }
    assert_eq!(told, accepted, "each has one outcome all the same");
}

#[test]
fn a_handler_that_answers_each_outcome_with_a_message_does_not_stop_the_loop_from_reading() {
    let _watch = watchdog(60, "outcome pump");
    let server = Server::start(Behaviour::silent());
    let client = Client::builder(&server.url()).heartbeat(Heartbeat::off()).build().unwrap();
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    client.on_outcome(move |client, _| {
        // Stands for a handler that takes its time: long enough that the next message may be written at once.
        std::thread::sleep(Duration::from_micros(100));
        count.fetch_add(1, Ordering::Relaxed);
        let _ = client.send_text("next");
    });
    let (tell, came) = mpsc::channel();
    client.on_message(move |_, _| tell.send(()).unwrap_or_default());
    client.connect().unwrap();
    client.wait_open(SOON).unwrap();
    client.send_text("first").unwrap();
    within(SOON, "the pump to run", || (sent.load(Ordering::Relaxed) > 10).then_some(()));
    assert!(server.send(server.wait_connected().0, "are you there?"));
    came.recv_timeout(Duration::from_secs(3)).expect("the message is read while the pump runs");
}

#[test]
fn no_message_reaches_a_handler_after_a_close_although_it_waited_for_the_dispatch_thread() {
    let _watch = watchdog(60, "close and the dispatch thread");
    let server = Server::start(Behaviour::silent());
    let client = Client::builder(&server.url()).dispatch(Dispatch::Thread).build().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let (counted, kept) = (calls.clone(), client.downgrade());
    let (tell, first) = mpsc::channel();
    let (go, gate) = mpsc::channel::<()>();
    client.on_message(move |client, _| {
        if counted.fetch_add(1, Ordering::SeqCst) == 0 {
            tell.send(()).unwrap();
            gate.recv().unwrap();
            assert!(kept.upgrade().is_some());
            client.close(1000, "enough").unwrap();
        }
    });
    client.connect().unwrap();
    client.wait_open(SOON).unwrap();
    let (connection, _) = server.wait_connected();
    for _ in 0..20 {
        assert!(server.send(connection, "one of many"));
    }
    first.recv_timeout(SOON).unwrap();
    within(SOON, "all to arrive", || (client.stats().messages_received() == 20).then_some(()));
    let (ended, end) = mpsc::channel();
    client.on_closed_for_good(move |_, _| ended.send(()).unwrap_or_default());
    go.send(()).unwrap();
    end.recv_timeout(SOON).unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn the_last_handle_may_die_with_the_loop_thread_itself() {
    thread_local! {
        static KEPT: RefCell<Option<Client>> = const { RefCell::new(None) };
    }
    let _watch = watchdog(60, "a handle in a thread-local");
    let server = Server::start(Behaviour::silent());
    for dispatch in [Dispatch::Loop, Dispatch::Thread] {
        let client = Client::builder(&server.url()).dispatch(dispatch).build().unwrap();
        let (tell, dropped) = mpsc::channel::<()>();
        client.on_open(move |client, _| {
            let _kept = &tell;
            KEPT.set(Some(client.clone()));
        });
        client.connect().unwrap();
        client.wait_open(SOON).unwrap();
        client.close(1000, "").unwrap();
        client.wait_closed(SOON).unwrap();
        let weak = client.downgrade();
        drop(client);
        assert_eq!(dropped.recv_timeout(SOON), Err(mpsc::RecvTimeoutError::Disconnected), "{dispatch:?}");
        within(SOON, "the client to be gone", || weak.upgrade().is_none().then_some(()));
    }
}

/// A logger whose user made a mistake: it panics on the threads of one client.
struct Panicking;

impl log::Log for Panicking {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let ours = std::thread::current().name() == Some("heartwire-doomed");
        assert!(!ours || record.level() == log::Level::Debug, "a mistake in the logger");
    }

    fn flush(&self) {}
}

#[test]
fn a_logger_that_panics_ends_the_client_and_lets_go_of_its_socket() {
    let _watch = watchdog(60, "panicking logger");
    log::set_logger(&Panicking).unwrap();
    log::set_max_level(log::LevelFilter::Info);
    let server = Server::start(Behaviour::silent());
    let client = Client::builder(&server.url()).name("doomed").connect().unwrap();
    assert!(matches!(client.wait_closed(SOON), Ok(End::LoopFailed)));
    assert_eq!(client.send_text("in vain"), Err(SendError::Closed));
    server.wait_ended();
}

#[test]
fn who_waited_for_the_open_session_finds_its_headers() {
    let _watch = watchdog(60, "headers after wait_open");
    let server = Server::start(Behaviour::silent().header("X-Test", "yes"));
    for _ in 0..200 {
        let client = Client::builder(&server.url()).build().unwrap();
        client.connect().unwrap();
        client.wait_open(SOON).unwrap();
        let opened = client.last_open().expect("a session is open");
        assert_eq!(opened.header("x-test"), Some("yes"));
        assert!(opened.is_first());
    }
}

#[cfg(feature = "native-tls")]
#[test]
fn bytes_that_came_while_tls_still_had_older_ones_are_read() {
    let _watch = watchdog(60, "bytes behind those read ahead");
    let server = support::certs::tls_server(Behaviour::silent());
    let ca = support::certs::Certs::shared().ca_pem.as_str();
    let tls = heartwire::Tls::new().system_roots(false).ca_pem(ca);
    let client = Client::builder(&server.url()).tls(tls).heartbeat(Heartbeat::off()).build().unwrap();
    let (tell, told) = mpsc::channel();
    // One message at a time: what was read together with it stays where it is until reading is resumed.
    client.on_message(move |client, message| {
        client.pause_reading();
        tell.send(message.to_message().to_string()).unwrap_or_default();
    });
    client.connect().unwrap();
    let (n, _) = server.wait_connected();
    // Too short a pause makes this prove less, and never fail: the network needs time to bring what was sent.
    let arrive = || std::thread::sleep(ms(50));
    server.send(n, "zero");
    assert_eq!(told.recv_timeout(SOON).unwrap(), "zero");
    for _ in 0..5 {
        server.send(n, "one");
        server.send(n, "two");
        arrive();
        client.resume_reading();
        assert_eq!(told.recv_timeout(SOON).unwrap(), "one");
        // "two" is here, too, and not yet decrypted; "three" is announced before anybody reads on.
        server.send(n, "three");
        arrive();
        for wanted in ["two", "three"] {
            client.resume_reading();
            assert_eq!(told.recv_timeout(SOON).as_deref(), Ok(wanted));
        }
    }
}

/// The server's last frame and the end of its direction come in one read; what the client answers with.
fn answer_to_the_last_frame(last: Vec<u8>) -> Vec<u8> {
    let (tell, answer) = mpsc::channel();
    let server = Server::start(Behaviour::raw(move |stream, n| {
        if n > 1 {
            return;
        }
        let head = read_request_head(stream).unwrap();
        let bytes = [switching_protocols(&head, "").as_bytes(), &last].concat();
        stream.write_all(&bytes).unwrap();
        stream.tcp().shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        tell.send(rest).unwrap();
    }));
    let client = Client::builder(&server.url()).reconnect(Reconnect::never()).connect().unwrap();
    let answer = answer.recv_timeout(SOON).unwrap();
    drop(client);
    answer
}

#[test]
fn a_close_behind_which_the_stream_ends_is_answered() {
    let _watch = watchdog(60, "close and end of stream");
    let answer = answer_to_the_last_frame(frame(0x88, &1000_u16.to_be_bytes()));
    assert_eq!(answer.first(), Some(&0x88), "no Close: {answer:?}");
}

#[test]
fn a_fault_behind_which_the_stream_ends_is_answered() {
    let _watch = watchdog(60, "fault and end of stream");
    let answer = answer_to_the_last_frame(vec![0xF1, 0]);
    assert_eq!(answer.first(), Some(&0x88), "no Close: {answer:?}");
}
