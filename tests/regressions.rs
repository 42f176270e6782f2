//! What once went wrong and must not again: one test for each, with the cause in its name.

mod support;

use std::sync::mpsc;
use std::time::{Duration, Instant};

use heartwire::{Client, MessageRef, OutboxLimits, Reconnect, SendOptions};
use support::{Behaviour, Server, watchdog};

const SOON: Duration = Duration::from_secs(10);

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A client whose first attempt has failed, and that waits long before the next.
fn down(limits: OutboxLimits) -> Client {
    let server = Server::start(Behaviour::silent());
    let url = server.url();
    drop(server);
    let far = Reconnect::fixed(Duration::from_secs(3600));
    let client = Client::builder(&url).reconnect(far).outbox(limits).report_outcomes(true).build().unwrap();
    let (tell, failed) = mpsc::channel();
    client.on_connect_failed(move |_, _| tell.send(()).unwrap_or_default());
    client.connect().unwrap();
    failed.recv_timeout(SOON).unwrap();
    client
}

#[test]
fn a_flush_returns_when_the_last_message_before_it_has_expired() {
    let _watch = watchdog(60, "flush and expiry");
    let client = down(OutboxLimits::new());
    client.send_with(MessageRef::Text("short-lived"), SendOptions::new().time_to_live(ms(50))).unwrap();
    let began = Instant::now();
    client.flush(SOON).unwrap();
    assert!(began.elapsed() < SOON / 2, "{:?}", began.elapsed());
}

#[test]
fn a_blocked_sender_gets_the_place_of_a_message_that_has_expired() {
    let _watch = watchdog(60, "blocked sender and expiry");
    let client = down(OutboxLimits::new().messages(1).block_when_full(SOON));
    client.send_with(MessageRef::Text("short-lived"), SendOptions::new().time_to_live(ms(50))).unwrap();
    let began = Instant::now();
    client.send_text("waits for the place").unwrap();
    assert!(began.elapsed() < SOON / 2, "{:?}", began.elapsed());
}
