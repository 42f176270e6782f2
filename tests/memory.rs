//! What an idle client holds: counted over many on one loop, with the server in another process.
#![cfg(unix)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use heartwire::{Client, EventLoop, Heartbeat, State};
use support::crowd::{Crowd, serve_if_asked};
use support::heap::{self, Counting};
use support::watch::within;
use support::watchdog;

#[global_allocator]
static HEAP: Counting = Counting;

const CLIENTS: usize = 200;
const LARGE: usize = 100 * 1024;
/// Of heap, for each; what the kernel holds for its socket is not in it.
const MOST: usize = 8 * 1024;
const PATIENCE: Duration = Duration::from_secs(30);

/// The only test of this file, since all of the process is counted.
#[test]
fn an_idle_client_holds_less_than_8_kib_though_large_messages_came_and_went() {
    serve_if_asked();
    let _watch = watchdog(120, "memory");
    let name = "an_idle_client_holds_less_than_8_kib_though_large_messages_came_and_went";
    let server = Crowd::start(&["--exact", name, "--nocapture"]).unwrap();
    let event_loop = EventLoop::new().unwrap();
    event_loop.start().unwrap();
    let large = vec![b'x'; LARGE];

    let before = heap::live();
    let each = || usize::try_from(heap::live() - before).unwrap_or(0) / CLIENTS;
    let received = Arc::new(AtomicUsize::new(0));
    let clients: Vec<Client> = (0..CLIENTS).map(|_| open(&server, &event_loop, &received)).collect();
    within(PATIENCE, "all are open", || clients.iter().all(|c| c.state() == State::Open).then_some(()));
    for client in &clients {
        client.send_text("hello").unwrap();
        client.send_binary(&large).unwrap();
    }
    let all = CLIENTS * (LARGE + "hello".len());
    within(PATIENCE, "all came back", || (received.load(Ordering::Relaxed) == all).then_some(()));
    let busy = each();
    assert!(busy > MOST, "{busy} bytes each in traffic: there is nothing to shrink, and nothing is proved");

    within(PATIENCE, "they have given back what only traffic needs", || (each() < MOST).then_some(()));

    // Senders write by themselves: the loop has to hear of what they leave, though nothing comes from the server.
    clients.iter().for_each(Client::pause_reading);
    for client in &clients {
        client.send_binary(&large[..60_000]).unwrap();
    }
    let busy = each();
    assert!(busy > MOST, "{busy} bytes each: there is nothing to shrink, and nothing is proved");
    within(PATIENCE, "they have given back what only sending needs", || (each() < MOST).then_some(()));
    assert!(clients.iter().all(|client| client.stats().sessions() == 1));

    drop(clients);
    within(PATIENCE, "clients that are gone leave nothing", || (each() < MOST / 16).then_some(()));
}

fn open(server: &Crowd, event_loop: &EventLoop, received: &Arc<AtomicUsize>) -> Client {
    // Time passes without it, too.
    let heartbeat = Heartbeat::off();
    let client = Client::builder(&server.url()).heartbeat(heartbeat).event_loop(event_loop).build().unwrap();
    let received = received.clone();
    client.on_message(move |_, message| {
        received.fetch_add(message.as_bytes().len(), Ordering::Relaxed);
    });
    client.connect().unwrap();
    client
}
