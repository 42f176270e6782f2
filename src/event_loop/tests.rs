//! Names that resolve slowly or not at all: the test turns the loop itself, so that it can stand in for the system's
//! lookup.

use std::io;
#[cfg(target_os = "linux")]
use std::net::TcpListener;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use super::*;
use crate::net::resolve;
use crate::{Cause, Client, End, Event, Phase, Reconnect, State};

const PATIENCE: Duration = Duration::from_secs(20);
const MS: Duration = Duration::from_millis(1);

fn client(event_loop: &EventLoop, resolve_timeout: Duration) -> Client {
    let builder = Client::builder("ws://slow.test:9/").event_loop(event_loop).reconnect(Reconnect::never());
    builder.resolve_timeout(resolve_timeout).close_timeout(100 * MS).connect().unwrap()
}

#[track_caller]
fn wait<T>(client: &Client, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
    loop {
        if let Some(found) = wanted(client.recv_timeout(PATIENCE).unwrap()) {
            return found;
        }
    }
}

#[track_caller]
fn failure(client: &Client) -> crate::LinkError {
    wait(client, |event| match event {
        Event::ConnectFailed(failed) => Some(failed.error().clone()),
        _ => None,
    })
}

#[test]
fn a_name_that_does_not_resolve_is_a_failed_attempt_with_the_resolvers_words() {
    let _names = resolve::tests::replace(|name, _| Err(io::Error::other(format!("nobody is {name}"))));
    let event_loop = EventLoop::new().unwrap();
    let error = failure(&client(&event_loop, PATIENCE));
    assert_eq!(error.phase(), Phase::Resolve);
    assert!(error.to_string().contains("nobody is slow.test"), "{error}");
}

#[test]
fn a_name_that_resolves_slowly_ends_at_its_limit_or_at_once_with_a_close() {
    let (begin, begun) = channel();
    let (release, gate) = channel::<()>();
    let shared = Mutex::new((begin, gate));
    let _names = resolve::tests::replace(move |_, _| {
        let shared = shared.lock().unwrap();
        shared.0.send(()).unwrap();
        let _ = shared.1.recv();
        Ok(Vec::new())
    });
    let event_loop = EventLoop::new().unwrap();

    let began = Instant::now();
    let closing = client(&event_loop, PATIENCE);
    wait(&closing, |event| matches!(event, Event::State(State::Connecting(Phase::Resolve))).then_some(()));
    begun.recv_timeout(PATIENCE).unwrap();
    let close = Instant::now();
    closing.close(1000, "").unwrap();
    assert!(close.elapsed() < 100 * MS, "{:?}", close.elapsed());
    let end = wait(&closing, |event| if let Event::ClosedForGood(end) = event { Some(end) } else { None });
    assert!(matches!(end, End::Closed), "{end}");
    assert!(close.elapsed() < 200 * MS, "100 ms and its own deadline: {:?}", close.elapsed());

    let limited = client(&event_loop, 150 * MS);
    let error = failure(&limited);
    assert_eq!(error.phase(), Phase::Resolve);
    assert!(matches!(error.cause(), Cause::TimedOut), "{error}");
    assert!(began.elapsed() >= 150 * MS);

    let dropped = client(&event_loop, PATIENCE);
    event_loop.turn(Some(Duration::ZERO)).unwrap();
    let drop_began = Instant::now();
    drop(dropped);
    assert!(drop_began.elapsed() < 100 * MS, "{:?}", drop_began.elapsed());
    drop(release);
}

#[test]
fn a_proxys_name_that_resolves_slowly_is_told_as_the_proxys_and_ends_with_a_close() {
    let (release, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let _names = resolve::tests::replace(move |name, _| {
        assert_eq!(name, "slow.proxy.test", "the server's name is the proxy's to look up");
        let _ = gate.lock().unwrap().recv();
        Ok(Vec::new())
    });
    let event_loop = EventLoop::new().unwrap();
    let client = |resolve_timeout| {
        let builder = Client::builder("ws://server.test:9/").proxy("http://slow.proxy.test:9");
        let builder = builder.event_loop(&event_loop).reconnect(Reconnect::never());
        builder.resolve_timeout(resolve_timeout).connect().unwrap()
    };
    let error = failure(&client(150 * MS));
    assert_eq!(error.phase(), Phase::Proxy);
    assert!(matches!(error.cause(), Cause::TimedOut), "{error}");

    let closing = client(PATIENCE);
    wait(&closing, |event| matches!(event, Event::State(State::Connecting(Phase::Proxy))).then_some(()));
    closing.close(1000, "").unwrap();
    let end = wait(&closing, |event| if let Event::ClosedForGood(end) = event { Some(end) } else { None });
    assert!(matches!(end, End::Closed), "{end}");
    drop(release);
}

/// RFC 8305 races TCP alone: an address where all is silent above TCP would win each time, unless it goes last after
/// that.
#[cfg(target_os = "linux")]
#[test]
fn an_address_that_is_silent_after_tcp_goes_last_in_the_next_attempt() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let good = TcpListener::bind(("127.0.0.2", port)).unwrap();
    let server = std::thread::spawn(move || tungstenite::accept(good.accept().unwrap().0).is_ok());
    let _names = resolve::tests::replace(|_, port| {
        Ok(vec![([127, 0, 0, 1], port).into(), ([127, 0, 0, 2], port).into()])
    });
    let event_loop = EventLoop::new().unwrap();
    let builder = Client::builder(&format!("ws://two.test:{port}/")).event_loop(&event_loop);
    let client = builder.connect_timeout(300 * MS).reconnect(Reconnect::fixed(MS)).connect().unwrap();
    let error = failure(&client);
    assert!(error.phase() == Phase::Upgrade && matches!(error.cause(), Cause::TimedOut), "{error}");
    let next = wait(&client, |event| match event {
        Event::Open(opened) => Some(Ok(opened.attempt())),
        Event::ConnectFailed(failed) => Some(Err(failed.to_string())),
        _ => None,
    });
    assert_eq!(next, Ok(2));
    assert!(server.join().unwrap());
}
