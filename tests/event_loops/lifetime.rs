//! The loop's own end: what lives on, and what can no longer be built.

use heartwire::{ConnectError, End, Event, EventLoop};

use crate::support::{Behaviour, Server, watchdog};
use crate::{Running, SOON, to};

#[test]
fn clients_of_a_started_loop_live_on_without_its_handle() {
    let _watch = watchdog(60, "started and dropped");
    let server = Server::start(Behaviour::echo());
    let event_loop = EventLoop::new().unwrap();
    event_loop.start().unwrap();
    let open = to(&server, &event_loop).connect().unwrap();
    open.wait_open(SOON).unwrap();
    let later = to(&server, &event_loop).build().unwrap();
    let builder = to(&server, &event_loop);
    drop(event_loop);
    assert_eq!(builder.build().expect_err("it is gone").setting(), "event_loop");
    echoes(&open);
    server.cut_all();
    later.connect().unwrap();
    echoes(&later);
    drop(later);
    echoes(&open);
}

#[test]
fn calls_that_wait_turn_a_loop_whose_handle_is_gone() {
    let _watch = watchdog(60, "turned and dropped");
    let server = Server::start(Behaviour::echo());
    let event_loop = EventLoop::new().unwrap();
    let client = to(&server, &event_loop).connect().unwrap();
    let later = to(&server, &event_loop).build().unwrap();
    let builder = to(&server, &event_loop);
    drop(event_loop);
    assert_eq!(builder.build().expect_err("it is gone").setting(), "event_loop");
    echoes(&client);
    later.connect().unwrap();
    echoes(&later);
    client.close(1000, "").unwrap();
    assert!(matches!(client.wait_closed(SOON), Ok(End::Closed)));
    echoes(&later);
}

#[track_caller]
fn echoes(client: &heartwire::Client) {
    client.send_text("on").unwrap();
    while !matches!(client.recv_timeout(SOON).unwrap(), Event::Message(_)) {}
}

#[test]
fn a_started_loop_ends_although_its_handle_goes_while_its_thread_is_on_its_way_to_sleep() {
    let _watch = watchdog(60, "on its way to sleep");
    let server = Server::start(Behaviour::echo());
    for round in 0..300 {
        let event_loop = EventLoop::new().unwrap();
        event_loop.start().unwrap();
        let client = to(&server, &event_loop).connect().unwrap();
        if round % 2 == 0 {
            client.wait_open(SOON).unwrap();
        }
        // The thread wakes for the client's end, and is on its way back to sleep at the loop's.
        drop(client);
        // It waits for the thread.
        drop(event_loop);
    }
}

#[test]
fn a_builder_that_keeps_the_loop_of_no_clients_finds_it_gone() {
    let _watch = watchdog(60, "no clients");
    let server = Server::start(Behaviour::echo());
    for running in Running::each() {
        let builder = to(&server, &running.event_loop);
        let event_loop = running.event_loop.clone();
        running.end();
        drop(event_loop);
        let error = builder.build().expect_err("it is gone");
        assert_eq!(error.setting(), "event_loop");
    }
}

#[test]
fn a_close_before_connect_is_told_on_every_loop() {
    let _watch = watchdog(60, "close before connect");
    let server = Server::start(Behaviour::echo());
    let closes = |event_loop: &EventLoop| {
        let client = to(&server, event_loop).build().unwrap();
        client.close(1000, "").unwrap();
        assert!(matches!(client.wait_closed(SOON), Ok(End::Closed)));
        assert!(matches!(client.connect(), Err(ConnectError::Closed)));
        let last = std::iter::from_fn(|| client.recv_timeout(SOON).ok()).last();
        assert!(matches!(last, Some(Event::ClosedForGood(End::Closed))));
    };
    for running in Running::each() {
        closes(&running.event_loop);
        running.end();
    }
    closes(&EventLoop::new().unwrap());
    assert_eq!(server.connections(), 0);
}
