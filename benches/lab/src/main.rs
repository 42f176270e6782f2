//! This library as a contender of the lab: `heartwire_lab [--blocking | --shared] MODE URL N SIZE`, one JSON line.
//!
//! By default it works as most programs do: handlers on the client's own thread, and a main thread that sends and waits
//! on a condition variable. `--blocking` has no thread but main, which turns the loop by the calls that wait; `--shared`
//! is for `idle` alone, and has all clients on one thread.

mod blocking;
mod handlers;
mod lab;

use heartwire::{Builder, Client, EventLoop, Heartbeat, OutboxLimits, Reconnect, Tls};
use lab::{Run, SOON};

/// Larger than any message of the lab.
const LARGE: usize = 64 << 20;

fn main() {
    let run = Run::from_arguments();
    match (run.mode.as_str(), run.flag("--blocking")) {
        ("idle", _) => idle(&run),
        (_, true) => blocking::run(&run),
        (_, false) => handlers::run(&run),
    }
}

/// The settings of every measure: no verification, as for all contenders; what waits is bounded, and senders wait for room.
fn builder(run: &Run) -> Builder {
    let builder = Client::builder(&run.url)
        .max_message_size(LARGE)
        .outbox(OutboxLimits::new().bytes(LARGE).block_when_full(SOON))
        .reconnect(Reconnect::never());
    if run.url.starts_with("wss:") {
        let tls = Tls::new().danger_accept_invalid_certificates(true).danger_accept_invalid_hostnames(true);
        builder.tls(tls)
    } else {
        // Settings are checked even where they are not used, and that loads the system's roots.
        builder
    }
}

/// A heartbeat would be traffic: the lab's idle time is shorter than the default's silence, and so is this.
fn idle(run: &Run) {
    let event_loop = run.flag("--shared").then(|| {
        let event_loop = EventLoop::new().expect("descriptors");
        event_loop.start().expect("a thread");
        event_loop
    });
    lab::phase("base");
    let clients: Vec<Client> = (0..run.n)
        .map(|_| {
            let builder = builder(run).heartbeat(Heartbeat::ping());
            let builder = match &event_loop {
                Some(event_loop) => builder.event_loop(event_loop),
                None => builder,
            };
            let client = builder.build().expect("a good URL");
            client.on_message(|_, _| {});
            client.connect().expect("a thread");
            client.wait_open(SOON).expect("a server");
            client
        })
        .collect();
    lab::phase("open");
    drop(clients);
}
