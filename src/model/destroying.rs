//! Destroying a client while others work with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{built, dial, explore, open, spawn};
use crate::{Client, EventLoop};

#[test]
fn a_destroy_and_a_sender_that_has_the_wire_out_drop_it_once() {
    explore(None, || {
        let event_loop = EventLoop::new().unwrap();
        let client = built(&event_loop);
        let peer = open(&event_loop, &client);
        // As in C, where a handle can be destroyed under a call.
        let (uncounted, held) = (client.uncounted(), client.uncounted());
        let sender = spawn(move || drop((uncounted.send_text("a1"), uncounted.send_text("a2"))));
        drop(client);
        sender.join().unwrap();
        drop(event_loop);
        // Not only when the last of what is left of the client goes.
        let texts = peer.texts_to_the_end();
        drop(held);
        assert!(["a1", "a2"].starts_with(&texts.iter().map(String::as_str).collect::<Vec<_>>()), "{texts:?}");
    });
}

#[test]
fn a_destroy_waits_for_the_handler_that_runs_and_none_is_called_after_it() {
    explore(Some(4), || {
        let event_loop = EventLoop::new().unwrap();
        let client = built(&event_loop);
        let gone = Arc::new(AtomicBool::new(false));
        let late = Arc::new(AtomicBool::new(false));
        let (seen, found) = (gone.clone(), late.clone());
        // Noted, not asserted: a panic of a handler gets no further than the library.
        client.on_message(move |client, _| {
            found.fetch_or(seen.load(Ordering::SeqCst), Ordering::SeqCst);
            let _ = client.send_text("echo");
            found.fetch_or(seen.load(Ordering::SeqCst), Ordering::SeqCst);
        });
        let mut peer = open(&event_loop, &client);
        peer.send_text("one");
        peer.send_text("two");
        event_loop.start().unwrap();
        drop(client);
        gone.store(true, Ordering::SeqCst);
        drop(event_loop);
        assert!(!late.load(Ordering::SeqCst), "called, or still running, after the destroy");
        let texts = peer.texts_to_the_end();
        assert!(texts.len() <= 2, "{texts:?}");
    });
}

#[test]
fn a_client_with_a_thread_of_its_own_ends_with_it() {
    explore(Some(3), || {
        let client = Client::builder("ws://127.0.0.1:1/").name("model").build().unwrap();
        let closer = client.clone();
        client.connect().unwrap();
        let other = spawn(move || closer.close(1000, "").unwrap());
        drop(client);
        other.join().unwrap();
    });
}

#[test]
fn the_loop_of_a_client_destroyed_while_another_thread_turns_lets_go_of_its_socket() {
    explore(Some(4), || {
        let event_loop = Arc::new(EventLoop::new().unwrap());
        let client = built(&event_loop);
        let peer = open(&event_loop, &client);
        let turned = event_loop.clone();
        let turner = spawn(move || {
            for _ in 0..2 {
                turned.turn(Some(std::time::Duration::ZERO)).unwrap();
            }
        });
        client.send_text("a1").unwrap();
        drop(client);
        turner.join().unwrap();
        assert_eq!(event_loop.clients(), 0);
        assert_eq!(peer.texts_to_the_end(), ["a1"]);
    });
}

#[test]
fn a_client_destroyed_while_it_opens_lets_go_of_its_socket_whether_anyone_turns_or_not() {
    explore(Some(4), || {
        let event_loop = Arc::new(EventLoop::new().unwrap());
        let client = built(&event_loop);
        let mut peer = dial(&event_loop, &client);
        let turned = event_loop.clone();
        let turner = spawn(move || turned.turn(Some(std::time::Duration::ZERO)).unwrap());
        drop(client);
        turner.join().unwrap();
        let (request, ended) = peer.read();
        assert!(request.starts_with(b"GET /") && ended, "the client's socket is still open");
    });
}
