//! Clients leave nothing behind: no thread, no descriptor, and no memory of the TLS library's.
//!
//! Descriptors are counted for the whole process; so these tests have one of their own, and take turns in it.
#![cfg(target_os = "linux")]

mod support;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use heartwire::{Builder, Client, Event, EventLoop, Heartbeat, Reconnect};
use support::watch::{descriptor_count, thread_names, within};
use support::{Behaviour, Relay, Server, watchdog};

const SOON: Duration = Duration::from_secs(20);

/// What 250 connections may add, the test's own server and its notes of each included. OpenSSL needs more than 10 KiB for
/// one, and so 2.5 MB if none of them was freed.
const MOST_RESIDENT: i64 = 3 << 19;

/// One test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A server, and how to make a client that trusts it.
type Kind = (Server, fn(&str) -> Builder);

/// One for each kind of network.
fn kinds() -> Vec<Kind> {
    vec![
        (Server::start(Behaviour::echo()), |url| Client::builder(url)),
        #[cfg(feature = "native-tls")]
        (support::certs::tls_server(Behaviour::echo()), secure),
    ]
}

#[cfg(feature = "native-tls")]
fn secure(url: &str) -> Builder {
    let tls =
        heartwire::Tls::new().system_roots(false).ca_pem(support::certs::Certs::shared().ca_pem.as_str());
    Client::builder(url).tls(tls)
}

fn quick(builder: Builder) -> Builder {
    builder.reconnect(Reconnect::fixed(Duration::from_millis(1))).heartbeat(Heartbeat::off()).name("leak")
}

/// Threads of clients; those of the resolver stay a while for the next lookup.
fn client_threads() -> usize {
    let is_ours = |name: &&String| name.starts_with("heartwire-leak") || *name == "heartwire-loop";
    thread_names().iter().filter(is_ours).count()
}

/// What `act` takes it gives back, all of it.
#[track_caller]
fn leaves_nothing(act: impl Fn()) {
    // The first time fills what is made once for the process: tables of TLS, resolver threads.
    act();
    let settled = |before: usize| (client_threads() == 0 && descriptor_count() <= before).then_some(());
    within(SOON, "no thread is left", || (client_threads() == 0).then_some(()));
    let (before, resident_before) = (descriptor_count(), resident());
    act();
    within(SOON, "no thread and no descriptor is left", || settled(before));
    let grown = resident() - resident_before;
    println!("{grown} bytes more are resident");
    assert!(grown < MOST_RESIDENT, "{grown} bytes more are resident");
}

/// Bytes of this process that are in memory: what OpenSSL holds is in no Rust allocator's count.
fn resident() -> i64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<i64>().unwrap() * 4096
}

#[test]
fn five_hundred_clients_that_open_and_are_dropped() {
    let _watch = watchdog(110, "500 clients");
    let _alone = alone();
    for (server, builder) in kinds() {
        let _keeper = builder(&server.url()).build().unwrap();
        leaves_nothing(|| {
            for _ in 0..5 {
                let clients: Vec<_> =
                    (0..50).map(|_| quick(builder(&server.url())).connect().unwrap()).collect();
                clients.iter().for_each(|client| client.wait_open(SOON).unwrap());
            }
            let all = server.connections();
            server.wait_for(SOON, |event| {
                matches!(event, support::ServerEvent::Ended { n, .. } if *n == all).then_some(())
            });
        });
    }
}

#[test]
fn five_hundred_reconnects() {
    let _watch = watchdog(110, "500 reconnects");
    let _alone = alone();
    for (server, builder) in kinds() {
        let relay = Relay::start(server.address());
        let url = if server.url().starts_with("wss") { relay.wss_url() } else { relay.ws_url() };
        leaves_nothing(|| {
            let client = quick(builder(&url)).connect().unwrap();
            for _ in 0..250 {
                client.wait_open(SOON).unwrap();
                relay.cut();
                while !matches!(client.recv_timeout(SOON).unwrap(), Event::Close(_)) {}
            }
            drop(client);
            let all = server.connections();
            server.wait_for(SOON, |event| {
                matches!(event, support::ServerEvent::Ended { n, .. } if *n == all).then_some(())
            });
        });
    }
}

#[test]
fn clients_that_are_dropped_before_during_and_after_everything() {
    let _watch = watchdog(110, "every state");
    let _alone = alone();
    for (server, builder) in kinds() {
        let refusing = Server::start(Behaviour::echo());
        refusing.stop();
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = server.url().split(':').next().unwrap().to_owned();
        // Clients with the same TLS settings share what takes long to make, while one of them lives.
        let _keeper = builder(&server.url()).build().unwrap();
        let at = |address: std::net::SocketAddr| format!("{scheme}://{address}/");
        leaves_nothing(|| {
            for _ in 0..20 {
                drop(quick(builder(&server.url())).build().unwrap());
                let unused = quick(builder(&server.url())).build().unwrap();
                drop((unused.events(), unused));
                drop(quick(builder(&server.url())).connect().unwrap());
                drop(quick(builder(&at(refusing.address()))).connect().unwrap());
                drop(quick(builder(&at(silent.local_addr().unwrap()))).connect().unwrap());
                let closing = quick(builder(&server.url())).connect().unwrap();
                closing.wait_open(SOON).unwrap();
                closing.close(1000, "").unwrap();
                drop(closing);
                let closed = quick(builder(&server.url())).connect().unwrap();
                closed.close(1000, "").unwrap();
                closed.wait_closed(SOON).unwrap();
            }
            // The kernel's queue of connections that nobody accepts holds no descriptor of ours.
            let count = server.connections();
            let last = quick(builder(&server.url())).connect().unwrap();
            last.wait_open(SOON).unwrap();
            last.close(1000, "").unwrap();
            last.wait_closed(SOON).unwrap();
            assert!(server.connections() > count);
        });
    }
}

#[test]
fn a_client_that_has_ended_and_is_still_held_has_neither_thread_nor_descriptor() {
    let _watch = watchdog(110, "ended");
    let _alone = alone();
    for (server, builder) in kinds() {
        let warm = quick(builder(&server.url())).connect().unwrap();
        warm.wait_open(SOON).unwrap();
        warm.close(1000, "").unwrap();
        warm.wait_closed(SOON).unwrap();
        within(SOON, "no thread is left", || (client_threads() == 0).then_some(()));
        while server.next_event(Duration::from_millis(50)).is_some() {}
        let before = descriptor_count();
        let ended: Vec<_> = (0..20)
            .map(|_| {
                let client = quick(builder(&server.url())).connect().unwrap();
                client.wait_open(SOON).unwrap();
                client.close(1000, "").unwrap();
                client.wait_closed(SOON).unwrap();
                client
            })
            .collect();
        within(SOON, "nothing is held but the handles", || {
            (client_threads() == 0 && descriptor_count() <= before).then_some(())
        });
        drop(ended);
    }
}

#[test]
fn loops_that_clients_shared() {
    let _watch = watchdog(110, "loops");
    let _alone = alone();
    for (server, builder) in kinds() {
        let silent = Server::start(Behaviour::never_upgrade());
        let scheme = server.url().split(':').next().unwrap().to_owned();
        let never = format!("{scheme}://{}/", silent.address());
        let _keeper = builder(&server.url()).build().unwrap();
        leaves_nothing(|| {
            for round in 0..12 {
                let event_loop = EventLoop::new().unwrap();
                if round % 3 == 0 {
                    event_loop.start().unwrap();
                }
                let client = |url: &str| quick(builder(url)).event_loop(&event_loop).connect().unwrap();
                let open = client(&server.url());
                open.wait_open(SOON).unwrap();
                let dialling = client(&never);
                let _ = dialling.wait_open(Duration::from_millis(1));
                let ended = client(&server.url());
                ended.close(1000, "").unwrap();
                ended.wait_closed(SOON).unwrap();
                let never_seen = client(&server.url());
                // The loop first or last, or between its clients.
                match round % 4 {
                    0 => drop((event_loop, open, dialling, ended, never_seen)),
                    1 => drop((never_seen, ended, dialling, open, event_loop)),
                    2 => drop((dialling, never_seen, event_loop, open, ended)),
                    _ => drop((open, event_loop, ended, never_seen, dialling)),
                }
            }
            // So that the server has let go, too.
            let all = server.connections();
            let last = quick(builder(&server.url())).connect().unwrap();
            last.wait_open(SOON).unwrap();
            assert!(server.connections() > all);
        });
    }
}
