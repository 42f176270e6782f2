//! What the client tells of its messages, against what two others have: the kernel of its TCP peer, and the server.
//!
//! Connections are cut at every byte of a short session, each way, and at random in some hundred longer ones. Whatever
//! happens: nothing is acknowledged that the peer's kernel lacks, nothing processed that the server lacks, nothing lost
//! that has to arrive, and nothing doubled that must not be. Linux only: the relay stops its kernel with a filter.
#![cfg(target_os = "linux")]

mod claims;
#[path = "../support/mod.rs"]
mod support;
mod tap;

use std::sync::Arc;
use std::time::{Duration, Instant};

use claims::{Claims, Sent};
use heartwire::{
    Builder, Client, Delivery, Event, EventLoop, Heartbeat, Level, MessageRef, OutboxLimits, Priority,
    Reconnect, SendError, SendOptions,
};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use support::{Behaviour, Server, watchdog};
use tap::{How, Plan, Tap};

const SOON: Duration = Duration::from_secs(20);
const LEVELS: [Level; 3] = [Level::Written, Level::Acked, Level::Processed];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    Plain,
    #[cfg(feature = "native-tls")]
    Tls,
}

impl Network {
    fn server(self, behaviour: Behaviour) -> Server {
        match self {
            Network::Plain => Server::start(behaviour),
            #[cfg(feature = "native-tls")]
            Network::Tls => support::certs::tls_server(behaviour),
        }
    }

    fn builder(self, tap: &Tap) -> Builder {
        let address = tap.address();
        let builder = match self {
            Network::Plain => Client::builder(&format!("ws://{address}/")),
            #[cfg(feature = "native-tls")]
            Network::Tls => {
                let ca = support::certs::Certs::shared().ca_pem.as_str();
                let tls = heartwire::Tls::new().system_roots(false).ca_pem(ca);
                Client::builder(&format!("wss://{address}/")).tls(tls)
            }
        };
        let builder =
            builder.reconnect(Reconnect::fixed(Duration::from_millis(1))).heartbeat(Heartbeat::off());
        builder.report_outcomes(true).close_timeout(SOON)
    }

    fn is_plain(self) -> bool {
        self == Network::Plain
    }
}

/// The number of a message stands first in it; ids of a client count from 1 as well.
fn payload(number: usize, len: usize) -> Vec<u8> {
    let mut payload = format!("{number:06} ").into_bytes();
    payload.resize(payload.len() + len, b'x');
    payload
}

fn send(client: &Client, sent: &Sent, len: usize) -> Result<(), SendError> {
    let options = SendOptions::new().complete_at(sent.level).delivery(sent.delivery).priority(sent.priority);
    client.send_with(MessageRef::Binary(&payload(sent.number, len)), options).map(|id| {
        assert_eq!(id.get() as usize, sent.number);
    })
}

/// Takes events until it is open.
fn wait_open(client: &Client, claims: &mut Claims) {
    let deadline = Instant::now() + SOON;
    loop {
        let event =
            client.recv_timeout(deadline.saturating_duration_since(Instant::now())).expect("an open session");
        claims.hear(&event);
        if matches!(event, Event::Open(_)) {
            return;
        }
    }
}

/// Lets everything get where it can, and takes all that is told to the end.
fn finish(client: &Client, claims: &mut Claims) {
    let deadline = Instant::now() + SOON;
    while client.stats().unconfirmed() > 0 || client.stats().queued_messages() > 0 {
        if let Ok(event) = client.recv_timeout(Duration::from_millis(1)) {
            claims.hear(&event);
        }
        assert!(Instant::now() < deadline, "some messages stay: {:?}", client.stats());
    }
    client.close(1000, "").expect("a close");
    while let Ok(event) = client.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        claims.hear(&event);
    }
}

/// The messages of the short session: both deliveries at each level, one of them with a longer header.
fn short_session() -> Vec<(Sent, usize)> {
    let mut number = 0;
    let mut session = Vec::new();
    for delivery in [Delivery::AtMostOnce, Delivery::AtLeastOnce] {
        for level in LEVELS {
            number += 1;
            let len = if number == 4 { 130 } else { number };
            session.push((Sent { number, level, delivery, priority: Priority::Normal }, len));
        }
    }
    session
}

/// One session that is cut after so many bytes; `false` if it was over before.
fn cut_at(network: Network, server: &Server, plan: Plan) -> bool {
    let first = server.connections();
    let tap = Tap::start(server.address());
    let client = &network.builder(&tap).connect().expect("a client");
    let mut claims = Claims::default();
    wait_open(client, &mut claims);
    tap.arm(Some(plan));
    for (sent, len) in short_session() {
        send(client, &sent, len).expect("there is room");
        claims.sent(sent);
    }
    finish(client, &mut claims);
    tap.arm(None);
    let exact = network.is_plain() || plan.generous;
    let taken = tap.taken();
    claims.judge(&taken, &server.received(), first, network.is_plain(), exact);
    // The next one begins with nothing.
    taken.len() > 1
}

fn sweep(network: Network, up: bool) {
    let server = network.server(Behaviour::echo());
    let mut offset = 0_u64;
    let kinds = [How::Hold(Duration::from_millis(3)), How::Reset, How::End];
    // Until none of them comes to it any more: how many pings are asked and answered is not always the same.
    loop {
        let was_cut = kinds.map(|how| {
            let plan = Plan {
                up: if up { offset + 1 } else { u64::MAX },
                down: if up { u64::MAX } else { offset + 1 },
                how,
                // What TLS has of a record in part nobody can read: there every second one.
                generous: offset.is_multiple_of(2),
            };
            cut_at(network, &server, plan)
        });
        if !was_cut.contains(&true) {
            break;
        }
        offset += 1;
    }
    println!("{network:?}, {}: cut at each of {offset} bytes", if up { "up" } else { "down" });
    // Six messages of 5 to 150 bytes with their headers, and what answers them.
    assert!(offset >= 200, "{offset}");
}

#[test]
fn cut_at_every_byte_that_the_client_sends_nothing_is_told_that_is_not_so() {
    let _watch = watchdog(100, "each byte up");
    sweep(Network::Plain, true);
}

#[test]
fn cut_at_every_byte_that_the_server_answers_nothing_is_told_that_is_not_so() {
    let _watch = watchdog(100, "each byte down");
    sweep(Network::Plain, false);
}

#[cfg(feature = "native-tls")]
#[test]
fn cut_at_every_byte_of_tls_that_the_client_sends_nothing_is_told_that_is_not_so() {
    let _watch = watchdog(100, "each byte of TLS up");
    sweep(Network::Tls, true);
}

#[cfg(feature = "native-tls")]
#[test]
fn cut_at_every_byte_of_tls_that_the_server_answers_nothing_is_told_that_is_not_so() {
    let _watch = watchdog(100, "each byte of TLS down");
    sweep(Network::Tls, false);
}

/// A client with random senders, messages and troubles.
fn run(seed: u64, shared: &Arc<EventLoop>) {
    let mut random = SmallRng::seed_from_u64(seed);
    let network = match seed % 4 {
        #[cfg(feature = "native-tls")]
        0 => Network::Tls,
        _ => Network::Plain,
    };
    let server =
        network.server(if random.random_bool(0.5) { Behaviour::echo() } else { Behaviour::silent() });
    let tap = Tap::start(server.address());
    let mut builder = network.builder(&tap).outbox(OutboxLimits::new().bytes(1 << 20).messages(60));
    if random.random_bool(0.5) {
        builder = builder.event_loop(shared);
    }
    if random.random_bool(0.3) {
        builder = builder.fragment_size(1000);
    }
    let client = builder.connect().expect("a client");
    let mut claims = Claims::default();
    let plan = |random: &mut SmallRng| {
        let how = match random.random_range(0..6) {
            0 => How::End,
            5 => How::Hold(Duration::from_millis(random.random_range(1..30))),
            1 => How::Stall(Duration::from_millis(random.random_range(1..30))),
            _ => How::Reset,
        };
        let after = |random: &mut SmallRng, most: u64| random.random_range(1..most);
        let (up, down) = match random.random_range(0..4) {
            0 => (u64::MAX, after(random, 3_000)),
            1 => (after(random, 600), u64::MAX),
            _ => (after(random, 60_000), u64::MAX),
        };
        Plan { up, down, how, generous: !network.is_plain() }
    };
    if random.random_bool(0.7) {
        wait_open(&client, &mut claims);
    }
    // Numbers are ids: one sender at a time, on any of three threads.
    let senders = random.random_range(1..=3);
    let mut stopped = false;
    let messages = random.random_range(5..60);
    for number in 1..=messages {
        if random.random_bool(0.08) {
            tap.arm(Some(plan(&mut random)));
        }
        if random.random_bool(0.02) {
            stopped = true;
            server.stop();
            server.restart();
        }
        let len = match random.random_range(0..12) {
            0 => random.random_range(0..50_000),
            1 => 0,
            _ => random.random_range(0..300),
        };
        let sent = Sent {
            number,
            level: LEVELS[random.random_range(0..3)],
            delivery: if random.random_bool(0.5) { Delivery::AtLeastOnce } else { Delivery::AtMostOnce },
            priority: if random.random_bool(0.2) { Priority::High } else { Priority::Normal },
        };
        loop {
            let result = match number % senders {
                0 => send(&client, &sent, len),
                _ => std::thread::scope(|scope| scope.spawn(|| send(&client, &sent, len)).join().unwrap()),
            };
            match result {
                Ok(()) => break,
                Err(SendError::Full) => {
                    if let Ok(event) = client.recv_timeout(Duration::from_millis(1)) {
                        claims.hear(&event);
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
        claims.sent(sent);
        while let Ok(event) = client.try_recv() {
            claims.hear(&event);
        }
    }
    tap.arm(random.random_bool(0.5).then(|| plan(&mut random)));
    finish(&client, &mut claims);
    drop(client);
    // A server that stops reads less than the relay took for it, and records cannot be looked into there.
    let exact = network.is_plain() || !stopped;
    claims.judge(&tap.taken(), &server.received(), 0, network.is_plain(), exact);
}

#[test]
fn five_hundred_random_lives_tell_nothing_that_is_not_so() {
    const RUNS: u64 = 500;
    let _watch = watchdog(200, "random lives");
    let first = std::env::var("HEARTWIRE_PROOF_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = first.map_or(0..RUNS, |seed: u64| seed..seed + 1);
    let event_loop = Arc::new(EventLoop::new().expect("a loop"));
    event_loop.start().expect("its thread");
    for seed in seeds {
        let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(seed, &event_loop)));
        if let Err(panic) = lived {
            eprintln!("seed {seed}: again with HEARTWIRE_PROOF_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}
