//! Senders and the loop hand the parked wire to each other.

use std::sync::Arc;

use super::{FOREVER, built, explore, open, spawn};
use crate::EventLoop;
use crate::sync::{Condvar, Mutex};

/// Asserts that all were written, each once, and each sender's in its order.
#[track_caller]
fn assert_in_order(texts: &[String], senders: &[&[&str]]) {
    assert_eq!(texts.len(), senders.iter().map(|sent| sent.len()).sum::<usize>(), "{texts:?}");
    for sent in senders {
        let of_this: Vec<_> = texts.iter().filter(|text| sent.contains(&text.as_str())).collect();
        assert_eq!(of_this, *sent, "{texts:?}");
    }
}

#[test]
fn what_two_threads_send_is_written_once_and_in_order_by_whomever() {
    explore(Some(4), || {
        let event_loop = EventLoop::new().unwrap();
        let client = built(&event_loop);
        let peer = open(&event_loop, &client);
        event_loop.start().unwrap();
        let other = client.clone();
        let sender = spawn(move || {
            other.send_text("b1").unwrap();
            other.send_text("b2").unwrap();
        });
        client.send_text("a1").unwrap();
        client.send_text("a2").unwrap();
        sender.join().unwrap();
        client.flush(FOREVER).unwrap();
        drop(client);
        drop(event_loop);
        assert_in_order(&peer.texts_to_the_end(), &[&["a1", "a2"], &["b1", "b2"]]);
    });
}

#[test]
fn a_loop_that_reads_and_pings_while_two_threads_send_leaves_nothing_behind() {
    explore(Some(3), || {
        let event_loop = EventLoop::new().unwrap();
        let client = built(&event_loop);
        let mut peer = open(&event_loop, &client);
        let heard = Arc::new((Mutex::new(false), Condvar::new()));
        let told = heard.clone();
        client.on_message(move |_, _| {
            *told.0.lock().unwrap() = true;
            told.1.notify_one();
        });
        peer.send_text("hello");
        client.ping(b"!").unwrap();
        event_loop.start().unwrap();
        let other = client.clone();
        let sender = spawn(move || drop(other.send_text("b1").unwrap()));
        client.send_text("a1").unwrap();
        sender.join().unwrap();
        client.flush(FOREVER).unwrap();
        // The loop may have found the wire out: it is told of its return, and nobody else wakes it here.
        let mut seen = heard.0.lock().unwrap();
        while !*seen {
            seen = heard.1.wait(seen).unwrap();
        }
        drop(seen);
        drop(client);
        drop(event_loop);
        assert_in_order(&peer.texts_to_the_end(), &[&["a1"], &["b1"]]);
    });
}

#[test]
fn a_close_drains_what_was_accepted_before_it() {
    explore(Some(3), || {
        let event_loop = EventLoop::new().unwrap();
        let client = built(&event_loop);
        let peer = open(&event_loop, &client);
        event_loop.start().unwrap();
        let other = client.clone();
        let sender = spawn(move || {
            other.send_text("b1").unwrap();
            other.close(1000, "").unwrap();
            assert!(other.send_text("b2").is_err(), "accepted after the close");
        });
        let accepted = client.send_text("a1").is_ok();
        sender.join().unwrap();
        // Also what had to wait for the wire goes before the Close.
        client.flush(FOREVER).unwrap();
        drop(client);
        drop(event_loop);
        let a: &[&str] = if accepted { &["a1"] } else { &[] };
        assert_in_order(&peer.texts_to_the_end(), &[a, &["b1"]]);
    });
}
