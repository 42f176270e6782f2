//! Hundreds of cuts of every kind under numbered messages, each way: what the server saw, and what we were told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use heartwire::{Client, DropReason, Event, Fate, Level, OutboxLimits, Reconnect, SendError};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::net::{Net, SOON, ms, rest};
use crate::support::{Behaviour, Direction, Relay, Server};

const CUTS: usize = 300;
const SENDERS: u64 = 3;

/// What the program was told: fates by id, and the numbers that came back, for each of the senders.
#[derive(Default)]
struct Told {
    fates: Vec<Option<Fate>>,
    echoes: [Vec<u64>; SENDERS as usize],
}

impl Told {
    fn take(&mut self, event: &Event) {
        match event {
            Event::Outcome(outcome) => {
                for id in outcome.first().get()..=outcome.last().get() {
                    self.fates.resize(self.fates.len().max(id as usize), None);
                    let fate = &mut self.fates[id as usize - 1];
                    assert_eq!(fate.replace(outcome.fate()), None, "message {id} was told of twice");
                }
            }
            Event::Message(message) => {
                let (sender, number) = parse(message.as_text().unwrap());
                self.echoes[sender].push(number);
            }
            _ => {}
        }
    }
}

/// `SENDER NUMBER xxx…`
fn parse(text: &str) -> (usize, u64) {
    let mut words = text.splitn(3, ' ');
    let mut next = || words.next().unwrap().parse::<u64>().unwrap();
    (next() as usize, next())
}

/// Sends numbered messages until `done`; answers the ids, in the order of the numbers.
fn sender(client: Client, which: u64, seed: u64, done: Arc<AtomicBool>, most: Arc<AtomicU64>) -> Vec<u64> {
    let mut random = SmallRng::seed_from_u64(seed + which);
    let mut ids = Vec::new();
    while !done.load(Ordering::SeqCst) {
        let padding = match random.random_range(0..10) {
            0 => random.random_range(0..40_000),
            _ => random.random_range(0..300),
        };
        let text = format!("{which} {} {}", ids.len() + 1, "x".repeat(padding));
        match client.send_text(&text) {
            Ok(id) => {
                ids.push(id.get());
                most.fetch_max(id.get(), Ordering::SeqCst);
            }
            Err(SendError::Full) => {}
            Err(error) => panic!("{error}"),
        }
    }
    ids
}

fn cut(random: &mut SmallRng, relay: &Relay, server: &Server) {
    match random.random_range(0..10) {
        // In the middle of anything, each way.
        0..6 => relay.cut_after(Direction::Up, random.random_range(1..40_000)),
        6..8 => relay.cut_after(Direction::Down, random.random_range(1..40_000)),
        // Between two connections this does nothing, hence the other.
        8 => {
            relay.half_close();
            relay.cut_after(Direction::Up, random.random_range(1..40_000));
        }
        // Its end without a Close, or a Close of its own.
        _ if random.random_bool(0.5) => {
            server.drop_tcp(server.connections());
            relay.cut_after(Direction::Up, random.random_range(1..40_000));
        }
        _ => {
            server.close(server.connections(), 1012, "");
            relay.cut_after(Direction::Up, random.random_range(1..40_000));
        }
    }
}

fn hundreds_of_cuts_each_way_lose_nothing_in_silence_and_double_and_reorder_nothing(net: &Net) {
    let seed = 6455;
    let mut random = SmallRng::seed_from_u64(seed);
    let server = net.server(Behaviour::echo());
    let relay = Relay::start(server.address());
    let client = net
        .through(&relay)
        .outbox(OutboxLimits::new().messages(48).block_when_full(SOON))
        .report_outcomes(true)
        .reconnect(Reconnect::fixed(ms(1)))
        .close_timeout(ms(2000))
        .connect()
        .unwrap();
    let (done, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let senders: Vec<_> = (0..SENDERS)
        .map(|which| {
            let (client, done, most) = (client.clone(), done.clone(), most.clone());
            thread::spawn(move || sender(client, which, seed, done, most))
        })
        .collect();
    let mut told = Told::default();
    for _ in 0..CUTS {
        cut(&mut random, &relay, &server);
        loop {
            let event = client.recv_timeout(SOON).expect("the end of a session");
            told.take(&event);
            if matches!(event, Event::Close(_) | Event::ConnectFailed(_)) {
                break;
            }
        }
    }
    done.store(true, Ordering::SeqCst);
    // A sender may wait for room: the link has to come back for it.
    while !senders.iter().all(|sender| sender.is_finished()) {
        if let Ok(event) = client.recv_timeout(ms(5)) {
            told.take(&event);
        }
    }
    let ids: Vec<Vec<u64>> = senders.into_iter().map(|sender| sender.join().unwrap()).collect();
    client.close(1000, "").unwrap();
    rest(&client).iter().for_each(|event| told.take(event));

    // No loss without an outcome.
    let last = most.load(Ordering::SeqCst);
    assert_eq!(told.fates.len() as u64, last);
    let accountable = |fate: &Option<Fate>| {
        matches!(fate, Some(Fate::Completed(Level::Written) | Fate::Dropped(DropReason::Closed)))
    };
    assert!(told.fates.iter().all(accountable));
    // No reordering and no duplicate, of any sender; and an outcome Written for all that the server saw.
    let mut newest = [0; SENDERS as usize];
    let received = server.received();
    for (connection, message) in &received {
        let (which, number) = parse(message.as_text().unwrap());
        assert!(number > newest[which], "{which}: {number} after {} on {connection}", newest[which]);
        newest[which] = number;
        let id = ids[which][number as usize - 1];
        assert_eq!(told.fates[id as usize - 1], Some(Fate::Completed(Level::Written)));
    }
    // The same for what comes back.
    for echoes in &told.echoes {
        assert!(echoes.is_sorted_by(|a, b| a < b), "{echoes:?}");
    }
    let stats = client.stats();
    println!(
        "{CUTS} cuts, {} sessions, {last} messages, {} seen by the server, {} dropped at the end",
        stats.sessions(),
        received.len(),
        stats.dropped_on_close()
    );
    assert_eq!((stats.accepted(), stats.messages_sent() + stats.dropped_on_close()), (last, last));
    assert!(received.len() > CUTS && stats.attempts() as usize >= CUTS);
}

stamp! {
    hundreds_of_cuts_each_way_lose_nothing_in_silence_and_double_and_reorder_nothing,
}
