//! A program that turns the loop itself: when it may, when it has to, and what it can rely on between turns.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use heartwire::{EventLoop, LoopError, Reconnect};

use crate::support::main_loop::Waits;
use crate::support::{Behaviour, Server, watchdog};
use crate::{NOW, SOON, ms, to, turn_until, turn_until_open};

fn is_busy<T>(result: Result<T, LoopError>) -> bool {
    matches!(result, Err(LoopError::Busy))
}

#[test]
fn a_turn_inside_a_handler_would_deadlock_whichever_loop_it_is_of() {
    let _watch = watchdog(60, "turn in a handler");
    let server = Server::start(Behaviour::echo());
    let event_loop = Arc::new(EventLoop::new().unwrap());
    let client = to(&server, &event_loop).build().unwrap();
    let (own, other) = (event_loop.clone(), EventLoop::new().unwrap());
    let (tell, told) = mpsc::channel();
    client.on_open(move |_, _| {
        for event_loop in [&own, &other] {
            let refused = matches!(event_loop.turn(NOW), Err(LoopError::WouldDeadlock));
            tell.send((refused, event_loop.next_deadline().is_none())).unwrap();
        }
    });
    client.connect().unwrap();
    turn_until_open(&event_loop, &client);
    assert_eq!(told.iter().take(2).collect::<Vec<_>>(), [(true, true); 2]);
}

#[test]
fn a_loop_that_another_thread_turns_is_busy() {
    let _watch = watchdog(60, "busy");
    let server = Server::start(Behaviour::echo());
    let event_loop = Arc::new(EventLoop::new().unwrap());
    let client = to(&server, &event_loop).build().unwrap();
    let (tell, begun) = mpsc::channel();
    let (go, gate) = mpsc::channel::<()>();
    client.on_open(move |_, _| {
        tell.send(()).unwrap();
        gate.recv().unwrap();
    });
    client.connect().unwrap();
    let (turns, weak) = (event_loop.clone(), client.downgrade());
    let thread = std::thread::spawn(move || turn_until_open(&turns, &weak.upgrade().unwrap()));
    begun.recv_timeout(SOON).unwrap();
    assert!(is_busy(event_loop.turn(NOW)) && is_busy(event_loop.turn(None)) && is_busy(event_loop.start()));
    assert_eq!(event_loop.next_deadline(), None);
    go.send(()).unwrap();
    thread.join().unwrap();
    event_loop.turn(NOW).unwrap();
    // A thread of the library's goes on with what lives on it.
    event_loop.start().unwrap();
    assert!(is_busy(event_loop.start()) && is_busy(event_loop.turn(NOW)));
    assert_eq!(event_loop.next_deadline(), None);
    client.send_text("on").unwrap();
    assert_eq!(server.wait_message().as_text(), Some("on"));
}

#[test]
fn a_wake_ends_the_turn_that_waits_or_else_the_next() {
    let _watch = watchdog(60, "wake");
    let event_loop = Arc::new(EventLoop::new().unwrap());
    event_loop.wake();
    assert!(event_loop.next_deadline().is_some_and(|at| at <= Instant::now()));
    event_loop.turn(None).unwrap();
    for _ in 0..500 {
        let turns = event_loop.clone();
        let thread = std::thread::spawn(move || turns.turn(None).unwrap());
        event_loop.wake();
        thread.join().unwrap();
    }
    // None is left over: a wake is for one turn.
    let began = Instant::now();
    event_loop.turn(Some(ms(20))).unwrap();
    assert!(began.elapsed() >= ms(20), "{:?}", began.elapsed());
}

#[test]
fn a_wake_makes_the_descriptor_readable_until_the_next_turn() {
    let _watch = watchdog(60, "wake and descriptor");
    let event_loop = EventLoop::new().unwrap();
    let mut waits = Waits::new(&event_loop);
    for _ in 0..3 {
        if cfg!(unix) {
            assert!(!waits.wait(NOW));
        }
        event_loop.wake();
        event_loop.wake();
        assert!(waits.wait(Some(SOON)));
        event_loop.turn(None).unwrap();
    }
}

#[test]
fn the_next_deadline_is_that_of_the_earliest_client_and_now_while_work_is_left() {
    let _watch = watchdog(60, "next deadline");
    let event_loop = EventLoop::new().unwrap();
    assert_eq!(event_loop.next_deadline(), None);
    let is_now = || event_loop.next_deadline().is_some_and(|at| at <= Instant::now());
    let server = Server::start(Behaviour::echo());
    server.stop();
    let far = Duration::from_secs(1000);
    let client = to(&server, &event_loop).reconnect(Reconnect::fixed(far)).build().unwrap();
    assert_eq!(event_loop.next_deadline(), None, "nothing is to be done before connect");
    let (tell, failed) = mpsc::channel();
    client.on_connect_failed(move |_, failed| tell.send(failed.retry_in()).unwrap());
    client.connect().unwrap();
    assert!(is_now());
    let (mut before, mut after) = (Instant::now(), Instant::now());
    let delay = turn_until(&event_loop, "the attempt fails", || {
        before = Instant::now();
        event_loop.turn(NOW).unwrap();
        after = Instant::now();
        failed.try_recv().ok()
    });
    let delay = delay.expect("another attempt");
    let told = event_loop.next_deadline().expect("a deadline");
    assert!(told >= before + delay && told <= after + delay, "{:?}", told - before);
    // A sooner one.
    let other = to(&server, &event_loop).reconnect(Reconnect::fixed(far / 10)).connect().unwrap();
    assert!(is_now());
    let sooner = Instant::now() + far / 2;
    turn_until(&event_loop, "the other's", || {
        event_loop.next_deadline().filter(|at| *at < sooner && !is_now())
    });
    drop(other);
    assert_eq!(event_loop.next_deadline(), Some(told));
    client.reconnect_now();
    assert!(is_now());
    drop(client);
    assert_eq!(event_loop.next_deadline(), None);
}

#[test]
fn a_turn_waits_no_longer_than_to_the_next_deadline() {
    let _watch = watchdog(60, "turn to the deadline");
    let event_loop = EventLoop::new().unwrap();
    let server = Server::start(Behaviour::echo());
    server.stop();
    let client = to(&server, &event_loop).reconnect(Reconnect::fixed(ms(30))).connect().unwrap();
    // Each wait ends by a reconnect, not by a time of its own.
    while client.stats().attempts() < 5 {
        event_loop.turn(None).unwrap();
    }
}

#[test]
fn sends_of_the_thread_that_turns_go_out_without_a_further_turn() {
    let _watch = watchdog(60, "sends of the turning thread");
    let server = Server::start(Behaviour::silent());
    let event_loop = EventLoop::new().unwrap();
    let client = to(&server, &event_loop).connect().unwrap();
    turn_until_open(&event_loop, &client);
    event_loop.turn(NOW).unwrap();
    let texts: Vec<_> = (0..100).map(|i| i.to_string()).collect();
    for text in &texts {
        client.send_text(text).unwrap();
    }
    for text in &texts {
        assert_eq!(server.wait_message().as_text(), Some(text.as_str()));
    }
}

#[test]
fn sends_of_other_threads_make_the_descriptor_readable() {
    let _watch = watchdog(60, "sends of other threads");
    let server = Server::start(Behaviour::silent());
    let event_loop = EventLoop::new().unwrap();
    let mut waits = Waits::new(&event_loop);
    let client = to(&server, &event_loop).connect().unwrap();
    turn_until_open(&event_loop, &client);
    for round in 1..=20 {
        // Memory that is given back later is no work of now.
        let has_work = || event_loop.next_deadline().is_some_and(|at| at <= Instant::now());
        while has_work() || (cfg!(unix) && waits.wait(NOW)) {
            event_loop.turn(NOW).unwrap();
        }
        let sender = client.clone();
        let sends = move || (0..100).all(|i| sender.send_text(&i.to_string()).is_ok());
        let thread = std::thread::spawn(sends);
        // A few go out at once; the rest is left to the loop.
        let mut work_is_left = false;
        while server.received().len() < round * 100 {
            // What the server has is told to nobody here, hence the short waits; only a reason makes it turn.
            if waits.wait(Some(ms(2))) || work_is_left {
                event_loop.turn(NOW).unwrap();
                work_is_left = has_work();
            }
        }
        assert!(thread.join().unwrap());
    }
    let all = (0..2000).map(|i| (i % 100).to_string()).collect::<Vec<_>>();
    assert_eq!(server.received_texts(), all);
}

#[test]
fn a_connect_by_another_thread_makes_the_descriptor_of_a_fresh_loop_readable() {
    let _watch = watchdog(60, "connect by another thread");
    let server = Server::start(Behaviour::silent());
    let event_loop = Arc::new(EventLoop::new().unwrap());
    let mut waits = Waits::new(&event_loop);
    assert_eq!(event_loop.next_deadline(), None);
    let (builder, (tell, done)) = (to(&server, &event_loop), mpsc::channel());
    let thread = std::thread::spawn(move || tell.send(builder.connect().unwrap()).unwrap());
    let client = done.recv_timeout(SOON).unwrap();
    thread.join().unwrap();
    assert!(waits.wait(Some(SOON)), "nobody would turn");
    turn_until_open(&event_loop, &client);
}
