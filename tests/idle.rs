//! An idle client costs nothing between heartbeats: its threads do not wake.
//!
//! A wake-up cannot be seen, but the sleep after it is counted: Linux tells how often each thread gave up the processor
//! to wait. `.ci/run idle_syscalls` shows the same with strace.
#![cfg(target_os = "linux")]

mod support;

use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use heartwire::{Client, Delivery, Event, Heartbeat, Level, MessageRef, SendOptions, State};
use support::watch::{voluntary_switches, within};
use support::{Behaviour, Server, watchdog};

const SOON: Duration = Duration::from_secs(10);
/// That nothing happens can only be seen by waiting: this is the one inherent duration here.
const QUIET: Duration = Duration::from_secs(2);

/// An open client through which a message came and went. The names are short: the kernel keeps 15 bytes of
/// "heartwire-NAME", and that has to tell the clients of this file apart.
fn open(server: &Server, name: &str, heartbeat: Heartbeat) -> (Client, Receiver<Event>) {
    let client = Client::builder(&server.url()).name(name).heartbeat(heartbeat).build().unwrap();
    let events = client.events();
    client.connect().unwrap();
    client.send_text("hello").unwrap();
    wait_for(&events, |event| matches!(event, Event::Message(_)));
    (client, events)
}

fn wait_for(events: &Receiver<Event>, mut wanted: impl FnMut(&Event) -> bool) {
    let deadline = Instant::now() + SOON;
    while !wanted(&events.recv_deadline(deadline).expect("the event in time")) {}
}

/// The count of all threads with these names, once it stands still: those that work are on their way to sleep.
fn switches_at_rest(prefix: &str) -> u64 {
    let mut last = None;
    within(SOON, "the threads go to sleep", || {
        let now = voluntary_switches(prefix);
        // Two equal counts 100 ms apart. Were a thread busy for so long, the test would fail, not pass.
        let at_rest = last.replace(now) == Some(now);
        if !at_rest {
            thread::sleep(Duration::from_millis(100));
        }
        at_rest.then_some(now)
    })
}

#[test]
fn an_idle_client_does_not_wake_between_heartbeats() {
    let _watch = watchdog(60, "idle");
    let server = Server::start(Behaviour::echo());
    // Both threads of the client have this prefix: the loop and the one that feeds the events.
    let (client, events) = open(&server, "calm", Heartbeat::ping());
    let before = switches_at_rest("heartwire-calm");

    thread::sleep(QUIET);

    assert_eq!(voluntary_switches("heartwire-calm") - before, 0, "wake-ups in {QUIET:?}");
    assert_eq!(client.state(), State::Open);
    client.send_text("still there").unwrap();
    wait_for(&events, |event| matches!(event, Event::Message(m) if m.as_text() == Some("still there")));
}

/// Who wants proof pays while something is to be proven, and then no more.
#[test]
fn a_client_does_not_wake_once_all_is_proven() {
    let _watch = watchdog(60, "proven");
    let server = Server::start(Behaviour::echo());
    let (client, events) = open(&server, "sure", Heartbeat::ping());
    for level in [Level::Acked, Level::Processed] {
        for delivery in [Delivery::AtMostOnce, Delivery::AtLeastOnce] {
            let options = SendOptions::new().complete_at(level).delivery(delivery);
            client.send_with(MessageRef::Text("sure"), options).unwrap();
            wait_for(&events, |event| matches!(event, Event::Message(_)));
        }
    }
    client.flush_to(Level::Processed, SOON).unwrap();
    assert_eq!(client.stats().unconfirmed(), 0);
    let before = switches_at_rest("heartwire-sure");

    thread::sleep(QUIET);

    assert_eq!(voluntary_switches("heartwire-sure") - before, 0, "wake-ups in {QUIET:?}");
}

#[test]
fn a_client_wakes_a_bounded_number_of_times_for_each_heartbeat() {
    const BEATS: u64 = 10;
    let _watch = watchdog(60, "heartbeats");
    let server = Server::start(Behaviour::echo());
    let beat = Heartbeat::ping().after_silence(Duration::from_millis(100)).timeout(SOON);
    let client = Client::builder(&server.url()).name("beat").heartbeat(beat).build().unwrap();
    // On the loop's own thread, so that only this thread's wake-ups are counted.
    let (beats, beaten) = crossbeam_channel::unbounded();
    client.on_heartbeat(move |_, time| {
        let _ = beats.send(time);
    });
    client.connect().unwrap();
    beaten.recv_timeout(SOON).unwrap();
    let before = voluntary_switches("heartwire-beat");

    for _ in 0..BEATS {
        beaten.recv_timeout(SOON).unwrap();
    }

    // One wake-up sends the ping, one takes the pong; on a quiet machine that is all. A pong that comes at once
    // may need no second one.
    let wakes = voluntary_switches("heartwire-beat") - before;
    assert!((BEATS - 1..=4 * BEATS).contains(&wakes), "{wakes} wake-ups for {BEATS} heartbeats");
}
