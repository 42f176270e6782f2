//! Calls that wait on a loop without a thread: they turn it themselves, or wait for the thread that does.

use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, ThreadId};
use std::time::Instant;

use heartwire::{
    Client, End, Event, EventLoop, Heartbeat, Message, OutboxLimits, Reconnect, RecvError, SendError,
    WaitError,
};

use crate::support::main_loop::MainLoop;
use crate::support::watch::within;
use crate::support::{Behaviour, Server, watchdog};
use crate::{NOW, SOON, ms, to};

/// The next message; the events before it are gone.
#[track_caller]
fn received(client: &Client) -> Message {
    loop {
        if let Event::Message(message) = client.recv_timeout(SOON).unwrap() {
            return message;
        }
    }
}

#[test]
fn a_client_works_in_blocking_style_while_nobody_else_turns() {
    let _watch = watchdog(60, "blocking style");
    let server = Server::start(Behaviour::echo());
    let event_loop = EventLoop::new().unwrap();
    let client = to(&server, &event_loop).connect().unwrap();
    assert!(matches!(client.wait_closed(ms(1)), Err(WaitError::TimedOut)));
    client.wait_open(SOON).unwrap();
    for i in 0..1000 {
        client.send_text(&i.to_string()).unwrap();
        assert_eq!(received(&client).as_text(), Some(i.to_string().as_str()));
    }
    // More than the sockets hold.
    client.send_binary(&vec![1; 4 << 20]).unwrap();
    client.flush(SOON).unwrap();
    assert_eq!((client.buffered_amount(), received(&client).len()), (0, 4 << 20));
    let began = Instant::now();
    assert!(matches!(client.recv_timeout(ms(20)), Err(RecvError::TimedOut)));
    assert!(began.elapsed() >= ms(20));
    server.cut_all();
    while !matches!(client.recv().unwrap(), Event::Open(_)) {}
    client.close(1000, "").unwrap();
    assert!(matches!(client.wait_closed(SOON), Ok(End::Closed)));
    assert_eq!(server.wait_closed().0, Some(1000));
}

#[test]
fn threads_that_wait_on_one_loop_hand_it_over_when_they_stop() {
    let _watch = watchdog(90, "hand-over");
    let server = Server::start(Behaviour::echo());
    let event_loop = EventLoop::new().unwrap();
    let clients: Vec<_> = (1..=2)
        .map(|n| {
            let client = to(&server, &event_loop).connect().unwrap();
            client.wait_open(SOON).unwrap();
            assert_eq!(server.wait_connected().0, n);
            client
        })
        .collect();
    for round in 0..500 {
        // Both wait, one of them turns, and the first to be served may be either.
        let first = round % 2;
        thread::scope(|threads| {
            let waits = |i: usize| {
                let client = &clients[i];
                threads.spawn(move || received(client))
            };
            let mut waiting = [Some(waits(0)), Some(waits(1))];
            for i in [first, 1 - first] {
                assert!(server.send(i + 1, round.to_string()));
                let message = waiting[i].take().unwrap().join().unwrap();
                assert_eq!(message.as_text(), Some(round.to_string().as_str()));
            }
        });
    }
}

#[test]
fn many_threads_that_ask_and_wait_for_the_answer_on_one_loop_all_get_it() {
    let _watch = watchdog(90, "many askers");
    let server = Server::start(Behaviour::echo());
    let event_loop = EventLoop::new().unwrap();
    thread::scope(|threads| {
        for t in 0..6 {
            let client = to(&server, &event_loop).connect().unwrap();
            threads.spawn(move || {
                for i in 0..200 {
                    let asked = format!("{t} {i}");
                    client.send_text(&asked).unwrap();
                    assert_eq!(received(&client).as_text(), Some(asked.as_str()));
                }
            });
        }
    });
}

#[test]
fn a_wait_is_ended_by_what_another_thread_does() {
    let _watch = watchdog(60, "ended by another thread");
    let server = Server::start(Behaviour::silent());
    let event_loop = EventLoop::new().unwrap();
    for _ in 0..100 {
        let client = to(&server, &event_loop).connect().unwrap();
        client.wait_open(SOON).unwrap();
        let closer = client.clone();
        thread::scope(|threads| {
            threads.spawn(move || closer.close(1000, "").unwrap());
            assert!(matches!(client.wait_closed(SOON), Ok(End::Closed)));
        });
    }
}

#[test]
fn waiters_leave_the_turning_to_the_thread_that_calls_turn() {
    let _watch = watchdog(60, "waiters and the main loop");
    let server = Server::start(Behaviour::echo());
    let event_loop = Arc::new(EventLoop::new().unwrap());
    let main_loop = MainLoop::start(&event_loop);
    let limits = OutboxLimits::new().messages(2).block_when_full(SOON);
    let client = to(&server, &event_loop).outbox(limits).build().unwrap();
    let ran: Arc<Mutex<Vec<ThreadId>>> = Arc::default();
    let (runs, (tell, told)) = (ran.clone(), mpsc::channel());
    client.on_message(move |_, _| {
        runs.lock().unwrap().push(thread::current().id());
        tell.send(()).unwrap();
    });
    client.connect().unwrap();
    client.wait_open(SOON).unwrap();
    let pulling = to(&server, &event_loop).connect().unwrap();
    for i in 0..500 {
        client.send_text("to the handler").unwrap();
        client.flush(SOON).unwrap();
        pulling.send_text(&i.to_string()).unwrap();
        assert_eq!(received(&pulling).as_text(), Some(i.to_string().as_str()));
    }
    (0..500).for_each(|_| told.recv_timeout(SOON).unwrap());
    client.close(1000, "").unwrap();
    client.wait_closed(SOON).unwrap();
    let ran = ran.lock().unwrap();
    assert!(ran.iter().all(|id| *id == ran[0] && *id != thread::current().id()));
    main_loop.stop().unwrap();
}

#[test]
fn a_call_that_waits_hands_the_loop_over_to_the_thread_that_calls_turn() {
    let _watch = watchdog(60, "first turn under a waiter");
    let server = Server::start(Behaviour::echo());
    let event_loop = EventLoop::new().unwrap();
    // With a heartbeat there is always a deadline, which nobody is told while another thread turns.
    let client = to(&server, &event_loop).heartbeat(Heartbeat::ping()).connect().unwrap();
    client.wait_open(SOON).unwrap();
    assert!(event_loop.next_deadline().is_some());
    let (n, _) = server.wait_connected();
    thread::scope(|threads| {
        let waiter = threads.spawn(|| received(&client));
        within(SOON, "the waiter turns", || event_loop.next_deadline().is_none().then_some(()));
        within(SOON, "a turn of this thread", || event_loop.turn(NOW).ok());
        assert!(server.send(n, "for the waiter"));
        while !waiter.is_finished() {
            event_loop.turn(Some(ms(2))).unwrap();
        }
        assert_eq!(waiter.join().unwrap().as_text(), Some("for the waiter"));
    });
}

#[test]
fn who_waits_on_a_loop_that_gets_a_thread_is_served_by_that() {
    let _watch = watchdog(60, "start under waiters");
    let server = Server::start(Behaviour::silent());
    for _ in 0..50 {
        let event_loop = Arc::new(EventLoop::new().unwrap());
        // This thread has made the loop its own, so that the other one waits for it.
        event_loop.turn(NOW).unwrap();
        let client = to(&server, &event_loop).connect().unwrap();
        thread::scope(|threads| {
            let waiter = threads.spawn(|| client.wait_open(SOON));
            event_loop.start().unwrap();
            waiter.join().unwrap().unwrap();
        });
    }
}

#[test]
fn a_send_that_waits_for_room_turns_the_loop() {
    let _watch = watchdog(60, "blocking send");
    let server = Server::start(Behaviour::silent());
    let event_loop = EventLoop::new().unwrap();
    let limits = OutboxLimits::new().messages(1).block_when_full(SOON);
    let client = to(&server, &event_loop).outbox(limits).connect().unwrap();
    for i in 0..100 {
        client.send_text(&i.to_string()).unwrap();
    }
    for i in 0..100 {
        assert_eq!(server.wait_message().as_text(), Some(i.to_string().as_str()));
    }
    // Down: until its time is up.
    server.stop();
    let limits = OutboxLimits::new().messages(1).block_when_full(ms(50));
    let client = to(&server, &event_loop).outbox(limits).connect().unwrap();
    client.send_text("1").unwrap();
    let began = Instant::now();
    assert_eq!(client.send_text("2"), Err(SendError::Full));
    assert!(began.elapsed() >= ms(50) && client.stats().attempts() > 1, "{:?}", client.stats());
}

#[test]
fn calls_that_wait_would_deadlock_inside_a_handler() {
    let _watch = watchdog(60, "waits in a handler");
    let server = Server::start(Behaviour::silent());
    server.refuse_new_connections();
    let event_loop = EventLoop::new().unwrap();
    let limits = OutboxLimits::new().messages(1).block_when_full(SOON);
    let other_loop = EventLoop::new().unwrap();
    let others = [&event_loop, &other_loop].map(|event_loop| {
        let far = Reconnect::fixed(SOON * 100);
        let other = to(&server, event_loop).outbox(limits.clone()).reconnect(far).connect().unwrap();
        other.send_text("the only place").unwrap();
        other
    });
    let asked = others.each_ref().map(Client::clone);
    let client = to(&server, &event_loop).build().unwrap();
    let (tell, told) = mpsc::channel();
    client.on_connect_failed(move |_, _| {
        for other in &asked {
            let waits = [other.wait_open(SOON), other.wait_closed(SOON).map(drop), other.flush(SOON)];
            assert!(waits.iter().all(|wait| matches!(wait, Err(WaitError::WouldDeadlock))), "{waits:?}");
            assert_eq!(other.recv_timeout(SOON).map(drop), Err(RecvError::WouldDeadlock));
            assert_eq!(other.recv().map(drop), Err(RecvError::WouldDeadlock));
            assert_eq!(other.send_text("no place"), Err(SendError::WouldDeadlock));
        }
        let _ = tell.send(());
    });
    client.connect().unwrap();
    while told.try_recv().is_err() {
        assert!(client.wait_closed(ms(20)).is_err(), "the handler's assertions failed");
    }
}

#[test]
fn a_thread_that_turned_before_hands_the_loop_over_when_it_only_waits() {
    let _watch = watchdog(60, "handed over by a former owner");
    let server = Server::start(Behaviour::echo());
    let event_loop = Arc::new(EventLoop::new().unwrap());
    let client = to(&server, &event_loop).connect().unwrap();
    let (turned, waiting, (tell, told)) = (event_loop.clone(), client.clone(), mpsc::channel());
    let thread = thread::spawn(move || {
        turned.turn(NOW).unwrap();
        tell.send(()).unwrap();
        while waiting.recv().is_ok() {}
    });
    told.recv_timeout(SOON).unwrap();
    // Whoever is first: this thread has the loop for good with the second try at the latest, once the other waits.
    within(SOON, "the loop is handed over", || event_loop.turn(NOW).ok());
    event_loop.turn(NOW).unwrap();
    client.close(1000, "").unwrap();
    while client.ready_state() != 3 {
        event_loop.turn(Some(ms(10))).unwrap();
    }
    event_loop.turn(NOW).unwrap();
    thread.join().unwrap();
}

#[test]
fn waits_turn_again_when_the_thread_that_turned_has_ended() {
    let _watch = watchdog(60, "the turning thread ended");
    let server = Server::start(Behaviour::echo());
    let event_loop = Arc::new(EventLoop::new().unwrap());
    let client = to(&server, &event_loop).connect().unwrap();
    let turned = event_loop.clone();
    thread::spawn(move || turned.turn(NOW).unwrap()).join().unwrap();
    client.wait_open(SOON).unwrap();
    client.send_text("still").unwrap();
    assert_eq!(received(&client).as_text(), Some("still"));
}

#[test]
fn waits_turn_again_when_the_loop_is_dropped_before_or_during_them() {
    let _watch = watchdog(60, "dropped by its owner");
    let server = Server::start(Behaviour::echo());
    for before in [true, false] {
        let event_loop = EventLoop::new().unwrap();
        let client = to(&server, &event_loop).connect().unwrap();
        event_loop.turn(NOW).unwrap();
        let event_loop = (!before).then_some(event_loop);
        let (waiting, (tell, told)) = (client.clone(), mpsc::channel());
        let thread = thread::spawn(move || {
            tell.send(()).unwrap();
            waiting.wait_open(SOON)
        });
        told.recv_timeout(SOON).unwrap();
        drop(event_loop);
        thread.join().unwrap().unwrap();
    }
}
