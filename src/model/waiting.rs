//! Who turns a loop without a thread of its own: the engine goes from one thread that waits to the next.

use std::sync::Arc;
use std::time::Duration;

use super::{FOREVER, built, explore, open, spawn};
use crate::EventLoop;

#[test]
fn two_threads_that_wait_are_told_by_a_third() {
    explore(Some(3), || {
        let event_loop = EventLoop::new().unwrap();
        let first = built(&event_loop);
        let second = built(&event_loop);
        let (waits_first, waits_second) = (first.clone(), second.clone());
        let one = spawn(move || drop(waits_first.wait_closed(FOREVER).unwrap()));
        let two = spawn(move || drop(waits_second.wait_closed(FOREVER).unwrap()));
        first.close(1000, "").unwrap();
        second.close(1000, "").unwrap();
        one.join().unwrap();
        two.join().unwrap();
    });
}

#[test]
fn a_thread_that_waits_is_told_although_another_turns_and_becomes_the_owner() {
    explore(Some(4), || {
        let event_loop = Arc::new(EventLoop::new().unwrap());
        let client = built(&event_loop);
        let waits = client.clone();
        let waiter = spawn(move || drop(waits.wait_closed(FOREVER).unwrap()));
        // It may be refused while the other has the engine.
        let _ = event_loop.turn(Some(Duration::ZERO));
        client.close(1000, "").unwrap();
        client.wait_closed(FOREVER).unwrap();
        waiter.join().unwrap();
    });
}

#[test]
fn a_thread_that_waits_goes_on_when_the_loop_gets_a_thread_of_its_own() {
    explore(Some(3), || {
        let event_loop = EventLoop::new().unwrap();
        let client = built(&event_loop);
        let waits = client.clone();
        let waiter = spawn(move || drop(waits.wait_closed(FOREVER).unwrap()));
        let started = event_loop.start().is_ok();
        client.close(1000, "").unwrap();
        waiter.join().unwrap();
        drop(client);
        let _ = started;
        drop(event_loop);
    });
}

#[test]
fn a_thread_that_waits_for_the_owner_goes_on_when_the_loop_gets_a_thread_of_its_own() {
    explore(Some(3), || {
        let event_loop = EventLoop::new().unwrap();
        let client = built(&event_loop);
        event_loop.turn(Some(Duration::ZERO)).unwrap();
        let waits = client.clone();
        let waiter = spawn(move || drop(waits.wait_closed(FOREVER).unwrap()));
        event_loop.start().unwrap();
        client.close(1000, "").unwrap();
        waiter.join().unwrap();
        drop(client);
        drop(event_loop);
    });
}

#[test]
fn a_client_that_parts_while_another_waits_is_let_go_of() {
    explore(Some(4), || {
        let event_loop = EventLoop::new().unwrap();
        let parts = built(&event_loop);
        let peer = open(&event_loop, &parts);
        let stays = built(&event_loop);
        let waits = stays.clone();
        let waiter = spawn(move || drop(waits.wait_closed(FOREVER).unwrap()));
        drop(parts);
        stays.close(1000, "").unwrap();
        waiter.join().unwrap();
        assert_eq!(event_loop.clients(), 1);
        assert!(peer.texts_to_the_end().is_empty());
    });
}

#[test]
fn a_send_ends_the_wait_of_a_thread_that_turns_for_its_writing() {
    explore(Some(4), || {
        let event_loop = EventLoop::new().unwrap();
        let client = built(&event_loop);
        let peer = open(&event_loop, &client);
        let other = client.clone();
        let sender = spawn(move || {
            other.send_text("b1").unwrap();
            other.flush(FOREVER).unwrap();
        });
        client.send_text("a1").unwrap();
        client.flush(FOREVER).unwrap();
        sender.join().unwrap();
        drop(client);
        drop(event_loop);
        assert_eq!(peer.texts_to_the_end().len(), 2);
    });
}
