//! Many clients on one loop: none gets more than its share, and what one does wrong is its own end only.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use heartwire::{Dispatch, End, EventLoop, Heartbeat, SendError};

use crate::support::frames::frame;
use crate::support::upgrade::{read_request_head, switching_protocols};
use crate::support::{Behaviour, Server, watchdog};
use crate::{NOW, Running, SOON, ms, to, turn_until, turn_until_open};

/// Sends without end, as fast as it is read.
fn flooding(size: usize) -> Server {
    let some = frame(2, &vec![7; size]).repeat(16);
    Server::start(Behaviour::raw(move |stream, _| {
        let Ok(head) = read_request_head(stream) else { return };
        let answer = switching_protocols(&head, "");
        if stream.write_all(answer.as_bytes()).is_ok() {
            while stream.write_all(&some).is_ok() {}
        }
    }))
}

#[test]
fn a_flood_at_one_client_gets_its_share_of_each_turn_and_no_more() {
    const SIZE: usize = 4096;
    let _watch = watchdog(60, "flood");
    let (flood, echo) = (flooding(SIZE), Server::start(Behaviour::echo()));
    let event_loop = EventLoop::new().unwrap();
    let flooded = to(&flood, &event_loop).build().unwrap();
    let came = Arc::new(AtomicUsize::new(0));
    let count = came.clone();
    flooded.on_message(move |_, _| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    flooded.connect().unwrap();
    let other = to(&echo, &event_loop).build().unwrap();
    let (tell, echoed) = mpsc::channel();
    other.on_message(move |_, _| tell.send(()).unwrap());
    other.connect().unwrap();
    turn_until_open(&event_loop, &other);
    turn_until(&event_loop, "the flood begins", || (came.load(Ordering::Relaxed) > 0).then_some(()));
    let most = 4 << 20;
    for _ in 0..50 {
        let begun = came.load(Ordering::Relaxed);
        other.send_text("a word between").unwrap();
        // A turn that served the flood to its end would never return.
        turn_until(&event_loop, "the echo", || {
            let before = came.load(Ordering::Relaxed);
            event_loop.turn(NOW).unwrap();
            let bytes = (came.load(Ordering::Relaxed) - before) * SIZE;
            assert!(bytes <= most, "{bytes} bytes in one turn");
            echoed.try_recv().ok()
        });
        turn_until(&event_loop, "the flood goes on", || (came.load(Ordering::Relaxed) > begun).then_some(()));
    }
}

#[test]
fn a_handler_that_takes_its_time_holds_up_others_on_the_loop_and_none_on_a_thread_of_its_own() {
    let _watch = watchdog(60, "slow handler");
    for running in Running::each() {
        let server = Server::start(Behaviour::echo());
        let event_loop = &running.event_loop;
        for dispatch in [Dispatch::Loop, Dispatch::Thread] {
            let (tell, told) = mpsc::channel();
            let (go, gate) = mpsc::channel::<()>();
            let slow = to(&server, event_loop).dispatch(dispatch).build().unwrap();
            let also = tell.clone();
            slow.on_message(move |_, _| {
                also.send("begins").unwrap();
                gate.recv().unwrap();
                also.send("ends").unwrap();
            });
            slow.connect().unwrap();
            let other = to(&server, event_loop).build().unwrap();
            other.on_message(move |_, _| tell.send("other").unwrap());
            other.connect().unwrap();
            slow.wait_open(SOON).unwrap();
            other.wait_open(SOON).unwrap();
            slow.send_text("x").unwrap();
            assert_eq!(told.recv_timeout(SOON), Ok("begins"));
            other.send_text("x").unwrap();
            // On a thread of its own the slow handler is still waiting when the other one is called.
            let early = (dispatch == Dispatch::Thread).then(|| told.recv_timeout(SOON).unwrap());
            go.send(()).unwrap();
            let mut order = Vec::from_iter(early);
            while order.len() < 2 {
                order.push(told.recv_timeout(SOON).unwrap());
            }
            let right = if dispatch == Dispatch::Thread { ["other", "ends"] } else { ["ends", "other"] };
            assert_eq!(order, right, "{dispatch:?}");
        }
        running.end();
    }
}

#[test]
fn a_handler_that_panics_ends_its_own_client_only() {
    let _watch = watchdog(60, "panic");
    for running in Running::each() {
        let server = Server::start(Behaviour::echo());
        let others: Vec<_> = (0..10).map(|_| to(&server, &running.event_loop).connect().unwrap()).collect();
        others.iter().for_each(|other| other.wait_open(SOON).unwrap());
        let client = to(&server, &running.event_loop).build().unwrap();
        client.on_message(|_, _| panic!("the user's, on purpose"));
        client.connect().unwrap();
        client.send_text("x").unwrap();
        assert!(matches!(client.wait_closed(SOON), Ok(End::CallbackPanicked)));
        all_are_served(&others);
        running.end();
    }
}

#[track_caller]
fn all_are_served(clients: &[heartwire::Client]) {
    for client in clients {
        client.send_text("on").unwrap();
        while !matches!(client.recv_timeout(SOON).unwrap(), heartwire::Event::Message(m) if m.as_text() == Some("on"))
        {
        }
        assert_eq!(client.stats().sessions(), 1);
    }
}

/// A logger whose user made a mistake: it panics at the lines of one client.
struct Panicking;

impl log::Log for Panicking {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let doomed = record.args().to_string().starts_with("[doomed]");
        assert!(!doomed || record.level() == log::Level::Debug, "a mistake in the logger");
    }

    fn flush(&self) {}
}

#[test]
fn a_logger_that_panics_ends_the_client_of_which_it_was_to_write() {
    let _watch = watchdog(60, "panicking logger");
    log::set_logger(&Panicking).unwrap();
    log::set_max_level(log::LevelFilter::Info);
    for running in Running::each() {
        let server = Server::start(Behaviour::echo());
        let others: Vec<_> = (0..3).map(|_| to(&server, &running.event_loop).connect().unwrap()).collect();
        others.iter().for_each(|other| other.wait_open(SOON).unwrap());
        let doomed = Server::start(Behaviour::silent());
        let client = to(&doomed, &running.event_loop).name("doomed").connect().unwrap();
        assert!(matches!(client.wait_closed(SOON), Ok(End::LoopFailed)));
        assert_eq!(client.send_text("in vain"), Err(SendError::Closed));
        doomed.wait_ended();
        all_are_served(&others);
        running.end();
    }
}

/// More clients than the system tells of at once.
#[test]
fn answers_that_came_in_time_count_for_all_clients_however_late_the_loop_is() {
    const CLIENTS: usize = 600;
    let _watch = watchdog(90, "a late loop");
    let server = Server::start(Behaviour::silent());
    let event_loop = EventLoop::new().unwrap();
    let beat = Heartbeat::ping().every(ms(1000)).timeout(ms(300)).max_missed(1);
    let closes = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let client = to(&server, &event_loop).heartbeat(beat.clone()).build().unwrap();
            let closed = closes.clone();
            client.on_close(move |_, _| {
                closed.fetch_add(1, Ordering::SeqCst);
            });
            client.connect().unwrap();
            event_loop.turn(NOW).unwrap();
            client
        })
        .collect();
    while clients.iter().any(|client| client.ready_state() != 1) {
        event_loop.turn(Some(ms(10))).unwrap();
    }
    let before = closes.load(Ordering::SeqCst);
    // A slow handler's time: every client has a beat due after it, and the answers to all lie in the kernel after the next.
    std::thread::sleep(ms(1200));
    event_loop.turn(NOW).unwrap();
    std::thread::sleep(ms(800));
    event_loop.turn(NOW).unwrap();
    assert_eq!(closes.load(Ordering::SeqCst) - before, 0, "links that are alive were given up");
}
