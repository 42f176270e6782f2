//! What a message costs the allocator in the steady state: nothing on the way in, one copy of what waits on the way out.
//!
//! The server is in a process of its own, so that only the client is counted. OpenSSL does not ask Rust's allocator;
//! what is counted over TLS is ours.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use heartwire::{Builder, Client, Event, EventLoop, OutboxLimits};
use support::elsewhere::{Elsewhere, Kind, serve_if_asked};
use support::heap::{self, Counting};
use support::watchdog;

#[global_allocator]
static HEAP: Counting = Counting;

const TRIPS: usize = 10_000;
const FLOOD: usize = 50_000;
/// Of all, not of each: a buffer or a list that grew once more. An allocation for each read of a flood would be 50.
const SPARE: usize = 20;
const SOON: Duration = Duration::from_secs(60);

/// The only test of this file, since all of the process is counted.
#[test]
fn a_message_costs_no_allocation_on_the_way_in_and_one_for_its_copy_if_it_has_to_wait_on_the_way_out() {
    serve_if_asked();
    let _watch = watchdog(300, "allocations");
    let name =
        "a_message_costs_no_allocation_on_the_way_in_and_one_for_its_copy_if_it_has_to_wait_on_the_way_out";
    let server = Elsewhere::start(&["--exact", name, "--nocapture"]).unwrap();
    let urls = [server.plain(), server.tls()];
    for url in &urls[..if cfg!(feature = "native-tls") { 2 } else { 1 }] {
        // A pulled message is the caller's own: one copy. Sending it was direct, and free.
        check(url, "round trips by recv", TRIPS, 1, pulled(url));
        check(url, "round trips by a handler", TRIPS, 0, handled(url));
        check(url, "a flood of sends", FLOOD, 1, sent(url));
        for kind in Kind::ALL {
            check(url, &format!("a flood of {} messages", kind.name()), FLOOD, 0, received(url, kind));
        }
    }
}

#[track_caller]
fn check(url: &str, what: &str, messages: usize, each: usize, requests: usize) {
    println!("{url} {what}: {requests} allocations for {messages} messages");
    assert!(requests <= messages * each + SPARE, "{url} {what}: {requests} for {messages} messages");
}

fn builder(url: &str, path: &str) -> Builder {
    let builder = Client::builder(&format!("{url}{path}"));
    #[cfg(feature = "native-tls")]
    let builder =
        builder.tls(heartwire::Tls::new().system_roots(false).danger_accept_invalid_certificates(true));
    builder
}

/// How often memory was asked for by the second of two equal stretches.
fn second(mut stretch: impl FnMut()) -> usize {
    stretch();
    let before = heap::requests();
    stretch();
    heap::requests() - before
}

fn pulled(url: &str) -> usize {
    let event_loop = EventLoop::new().unwrap();
    let client = builder(url, "echo").event_loop(&event_loop).connect().unwrap();
    client.wait_open(SOON).unwrap();
    second(|| {
        for _ in 0..TRIPS {
            client.send_binary(&[7; 64]).unwrap();
            while !matches!(client.recv_timeout(SOON).unwrap(), Event::Message(_)) {}
        }
    })
}

/// Each message is sent by the handler of the one before.
fn handled(url: &str) -> usize {
    let client = builder(url, "echo").build().unwrap();
    let (tell, told) = sync_channel(1);
    let mut left = TRIPS;
    client.on_message(move |client, _| {
        left -= 1;
        if left > 0 {
            client.send_binary(&[7; 64]).unwrap();
        } else {
            left = TRIPS;
            tell.try_send(()).unwrap();
        }
    });
    client.connect().unwrap();
    client.wait_open(SOON).unwrap();
    second(|| {
        client.send_binary(&[7; 64]).unwrap();
        wait(&told);
    })
}

fn sent(url: &str) -> usize {
    let limits = OutboxLimits::new().block_when_full(SOON);
    let client = builder(url, "sink").outbox(limits).build().unwrap();
    let (tell, told) = sync_channel(1);
    client.on_message(move |_, _| tell.try_send(()).unwrap());
    client.connect().unwrap();
    client.wait_open(SOON).unwrap();
    second(|| {
        for _ in 0..FLOOD {
            client.send_binary(&[7; 64]).unwrap();
        }
        client.send_text("how many?").unwrap();
        wait(&told);
    })
}

fn received(url: &str, kind: Kind) -> usize {
    let client = builder(url, "flood").build().unwrap();
    let (tell, told) = sync_channel(1);
    let came = Arc::new(AtomicUsize::new(0));
    let counter = came.clone();
    client.on_message(move |_, _| {
        if counter.fetch_add(1, Ordering::Relaxed) + 1 == FLOOD {
            tell.try_send(()).unwrap();
        }
    });
    client.connect().unwrap();
    client.wait_open(SOON).unwrap();
    let order = format!("{FLOOD} {}", kind.name());
    second(|| {
        came.store(0, Ordering::Relaxed);
        client.send_text(&order).unwrap();
        wait(&told);
    })
}

fn wait(told: &Receiver<()>) {
    told.recv_timeout(SOON).expect("it is over in time");
}
