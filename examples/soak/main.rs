//! Hours of traffic with random faults, and a balance at the end: `cargo run --release --example soak -- MINUTES [SEED]`.
//!
//! Four clients send numbered messages and get them back: one with a thread of its own, one with TLS, two on a shared
//! loop. Every second or so the network breaks in one of the ways that the fault relay knows, and is mended again. Three
//! times, at the start, in the middle and at the end, everything is mended and quiet, and what the process holds is
//! looked at. The status is 1 if memory, threads or descriptors have grown, if a message has no outcome or two, or if a
//! client did not come back.

mod balance;
mod traffic;

#[path = "../../tests/support/mod.rs"]
mod support;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use balance::{Held, flat};
use heartwire::{Builder, Client, EventLoop, Heartbeat, Reconnect};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use support::crowd::{Crowd, serve_if_asked};
use support::heap::Counting;
use support::{Direction, Relay};
use traffic::Traffic;

#[global_allocator]
static HEAP: Counting = Counting;

/// A link that broke is open again within this, or the program fails.
const HEALED: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    serve_if_asked();
    let mut arguments = std::env::args().skip(1);
    let minutes = arguments.next().map_or(Ok(1.0), |minutes| minutes.parse::<f64>());
    let seed = arguments.next().map_or(Ok(1), |seed| seed.parse());
    let (Ok(minutes), Ok(seed)) = (minutes, seed) else {
        eprintln!("usage: soak MINUTES [SEED]");
        return ExitCode::from(2);
    };
    match soak(Duration::from_secs_f64(minutes * 60.0), seed) {
        Ok(faults) if faults.is_empty() => ExitCode::SUCCESS,
        Ok(faults) => {
            faults.iter().for_each(|fault| println!("FAILED: {fault}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}

fn soak(length: Duration, seed: u64) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    println!("{:.1} minutes of traffic with random faults, seed {seed}", length.as_secs_f64() / 60.0);
    let crowd = Crowd::start(&[])?;
    let plain = crowd.url();
    let event_loop = EventLoop::new()?;
    event_loop.start()?;
    let address = plain.trim_start_matches("ws://").trim_end_matches('/').parse()?;
    let mut links = vec![
        Link::start("own", address, Client::builder)?,
        #[cfg(feature = "native-tls")]
        tls()?,
        Link::start("shared-1", address, |url| Client::builder(url).event_loop(&event_loop))?,
        Link::start("shared-2", address, |url| Client::builder(url).event_loop(&event_loop))?,
    ];
    let mut random = SmallRng::seed_from_u64(seed);
    let mut failed = Vec::new();
    let mut held = Vec::new();
    // Memory settles in the beginning: buffers, caches of the allocator's, the tables of the TLS library.
    break_and_mend(&mut links, &mut random, length / 10, &mut failed);
    for part in [length / 2 - length / 10, length / 2] {
        held.push(at_rest(&links, &mut failed));
        break_and_mend(&mut links, &mut random, part, &mut failed);
    }
    held.push(at_rest(&links, &mut failed));
    failed.extend(flat(&held));
    for link in links {
        failed.extend(link.traffic.finish());
    }
    drop(event_loop);
    Ok(failed)
}

/// A client behind a relay of its own.
struct Link {
    traffic: Traffic,
    relay: Relay,
}

impl Link {
    fn start(
        name: &'static str,
        server: std::net::SocketAddr,
        builder: impl FnOnce(&str) -> Builder,
    ) -> Result<Link, heartwire::Error> {
        let relay = Relay::start(server);
        let beat = Heartbeat::ping().after_silence(Duration::from_millis(300));
        let beat = beat.timeout(Duration::from_millis(300)).max_missed(2);
        let ms = Duration::from_millis;
        let reconnect =
            Reconnect::exponential().floor(ms(10)).base(ms(20)).max(ms(500)).stable_after(ms(500));
        let builder = builder(&relay.ws_url()).name(name).heartbeat(beat).reconnect(reconnect);
        let traffic = Traffic::start(name, builder.connect_timeout(Duration::from_secs(5)))?;
        Ok(Link { traffic, relay })
    }
}

/// What is held when nothing is on its way, and all connections are new: no buffer tells of what was before.
fn at_rest(links: &[Link], failed: &mut Vec<String>) -> Held {
    for Link { traffic, relay } in links {
        traffic.rest();
        let sessions = traffic.sessions();
        relay.cut();
        if !traffic.wait_until(HEALED, |open, now| open && now > sessions) {
            failed.push(format!("{} did not heal at rest: {:?}", traffic.name(), traffic.state()));
        }
    }
    let traffic: Vec<&Traffic> = links.iter().map(|link| &link.traffic).collect();
    let held = Held::settled(&traffic);
    traffic.iter().for_each(|traffic| traffic.go_on());
    held
}

#[cfg(feature = "native-tls")]
fn tls() -> Result<Link, Box<dyn std::error::Error>> {
    let server = traffic::tls_echo(std::net::TcpListener::bind("127.0.0.1:0")?)?;
    let ca = support::certs::Certs::shared().ca_pem.as_str();
    let tls = heartwire::Tls::new().system_roots(false).ca_pem(ca);
    Ok(Link::start("tls", server, |url| Client::builder(&url.replace("ws://", "wss://")).tls(tls))?)
}

/// Breaks one link after the other, and waits for each to be healed.
fn break_and_mend(links: &mut [Link], random: &mut SmallRng, length: Duration, failed: &mut Vec<String>) {
    let until = Instant::now() + length;
    while Instant::now() < until {
        let which = random.random_range(0..links.len());
        let Link { traffic, relay } = &links[which];
        let sessions = traffic.sessions();
        let (fault, breaks) = hurt(relay, random);
        // That nothing is mended for a while is part of the fault; there is no event to wait for.
        std::thread::sleep(Duration::from_millis(random.random_range(50..1500)));
        relay.flow();
        relay.accept_again();
        let healed = traffic.wait_until(HEALED, |open, now| open && (!breaks || now > sessions));
        if !healed {
            failed.push(format!("{} did not heal after {fault}: {:?}", traffic.name(), traffic.state()));
            return;
        }
    }
}

/// Breaks a link in some way; tells in which, and whether the session cannot survive it.
fn hurt(relay: &Relay, random: &mut SmallRng) -> (&'static str, bool) {
    match random.random_range(0..9) {
        0 | 1 => {
            relay.cut();
            ("a reset", true)
        }
        2 => {
            relay.cut_after(Direction::Up, random.random_range(0..100_000));
            ("a reset in the middle of what it sent", false)
        }
        3 => {
            relay.cut_after(Direction::Down, random.random_range(0..100_000));
            ("a reset in the middle of what it was sent", false)
        }
        4 => {
            relay.stall();
            ("silence", false)
        }
        5 => {
            relay.hold_up();
            ("a server that does not read", false)
        }
        6 => {
            relay.trickle(random.random_range(1..100), Duration::from_millis(5));
            ("a trickle", false)
        }
        7 => {
            relay.refuse();
            relay.cut();
            ("a reset and a refused port", true)
        }
        _ => {
            relay.half_close();
            ("an end of stream without a Close", true)
        }
    }
}
