//! The queue of events between the loop and whoever takes them.

use std::sync::Arc;

use super::{explore, spawn};
use crate::dispatch::queue::{Queue, Taken};
use crate::event::Event;
use crate::{Message, State};

fn taken_to_the_end(queue: &Queue) -> usize {
    let mut count = 0;
    while let Taken::Event(..) = queue.take(None) {
        count += 1;
    }
    count
}

#[test]
fn two_takers_get_each_event_once_and_both_hear_of_the_end() {
    explore(Some(4), || {
        let queue = Arc::new(Queue::new(4, 1000));
        queue.claim();
        let (first, second) = (queue.clone(), queue.clone());
        let counted = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let other_counted = counted.clone();
        let taker = spawn(move || {
            other_counted.fetch_add(taken_to_the_end(&first), std::sync::atomic::Ordering::SeqCst);
        });
        let pusher = spawn(move || {
            second.push(Event::Message(Message::text("one")));
            second.push(Event::State(State::Open));
            second.end();
        });
        let mine = taken_to_the_end(&queue);
        taker.join().unwrap();
        pusher.join().unwrap();
        assert_eq!(mine + counted.load(std::sync::atomic::Ordering::SeqCst), 2);
    });
}

#[test]
fn a_clear_ends_the_wait_of_a_taker() {
    explore(None, || {
        let queue = Arc::new(Queue::new(4, 1000));
        queue.claim();
        let (pushes, clears) = (queue.clone(), queue.clone());
        let pusher = spawn(move || drop(pushes.push(Event::State(State::Open))));
        let clearer = spawn(move || clears.clear());
        assert!(taken_to_the_end(&queue) <= 1);
        pusher.join().unwrap();
        clearer.join().unwrap();
        assert!(matches!(queue.try_take(), Some(Taken::Ended)));
    });
}

#[test]
fn each_of_two_takers_that_wait_gets_an_event_without_any_end() {
    explore(None, || {
        let queue = Arc::new(Queue::new(4, 1000));
        queue.claim();
        let (takes, pushes) = (queue.clone(), queue.clone());
        let taker = spawn(move || assert!(matches!(takes.take(None), Taken::Event(..))));
        let pusher = spawn(move || {
            pushes.push(Event::State(State::Open));
            pushes.push(Event::State(State::Closed));
        });
        assert!(matches!(queue.take(None), Taken::Event(..)));
        taker.join().unwrap();
        pusher.join().unwrap();
    });
}
