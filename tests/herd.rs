//! Three hundred clients that lose one server at once do not come back at once.

mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use heartwire::{Client, EventLoop, Heartbeat, Reconnect, State};
use support::crowd::{Crowd, serve_if_asked};
use support::watch::within;
use support::watchdog;

const CLIENTS: usize = 300;
const WINDOW: Duration = Duration::from_millis(100);
const SOON: Duration = Duration::from_secs(30);

/// The most attempts in any window, wherever it begins, and how long after the loss the last one was.
fn densest(mut attempts: Vec<Duration>) -> (usize, Duration) {
    attempts.sort();
    let within = |from: &Duration| attempts.iter().filter(|at| (*from..*from + WINDOW).contains(*at)).count();
    (attempts.iter().map(within).max().unwrap(), *attempts.last().unwrap())
}

/// The only test of this file: it is about when things happen, and others would get in its way.
#[test]
fn three_hundred_clients_that_lose_one_server_at_once_spread_their_attempts() {
    serve_if_asked();
    let _watch = watchdog(110, "herd");
    let name = "three_hundred_clients_that_lose_one_server_at_once_spread_their_attempts";
    let mut server = Crowd::start(&["--exact", name, "--nocapture"]).unwrap();
    let event_loop = EventLoop::new().unwrap();
    event_loop.start().unwrap();
    // The default policy, and one that spreads over two seconds.
    for (rules, spread) in
        [(Reconnect::exponential(), 500), (Reconnect::exponential().base(Duration::from_secs(2)), 2000)]
    {
        let attempts = Arc::new(Mutex::new(Vec::new()));
        let clients: Vec<Client> = (0..CLIENTS)
            .map(|_| {
                let builder = Client::builder(&server.url()).event_loop(&event_loop);
                let client = builder.reconnect(rules.clone()).heartbeat(Heartbeat::off()).build().unwrap();
                let attempts = attempts.clone();
                let mut waited = false;
                client.on_state(move |_, state| match state {
                    State::Waiting { .. } => waited = true,
                    // The first one after the loss; should it fail, the next is another matter.
                    State::Connecting(_) if std::mem::take(&mut waited) => {
                        attempts.lock().unwrap().push(Instant::now());
                    }
                    _ => {}
                });
                client.connect().unwrap();
                client
            })
            .collect();
        let all_open = || clients.iter().all(|client| client.state() == State::Open).then_some(());
        within(SOON, "all are open", all_open);
        attempts.lock().unwrap().clear();
        let lost = Instant::now();
        server.cut(Duration::ZERO).unwrap();
        within(SOON, "all have tried again", || (attempts.lock().unwrap().len() >= CLIENTS).then_some(()));
        within(SOON, "all are open again", all_open);

        let times: Vec<Duration> = attempts.lock().unwrap().iter().map(|at| *at - lost).collect();
        assert_eq!(times.len(), CLIENTS, "each of them needed one attempt");
        let (most, last) = densest(times);
        // RFC 6455 section 7.2.3: a random delay, so that clients do not overwhelm the server.
        let fair = CLIENTS * WINDOW.as_millis() as usize / spread;
        println!("{most} attempts in the fullest 100 ms, {fair} are fair; the last one came after {last:?}");
        assert!(most <= 3 * fair, "{most} attempts within 100 ms, where {fair} are fair");
    }
}
