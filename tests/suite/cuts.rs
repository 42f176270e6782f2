//! Connections that are cut while messages are on their way: each is told of once, and none comes twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use heartwire::{Client, DropReason, Event, Fate, Level, OutboxLimits, Outcome, Reconnect};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::net::{Net, SOON, ms, opened, outcomes, wait};
use crate::support::{Behaviour, Direction, Message, Relay};

/// Takes events until one is `wanted`, and keeps the outcomes among them.
#[track_caller]
fn wait_telling(client: &Client, told: &mut Vec<Outcome>, wanted: impl Fn(&Event) -> bool) {
    wait(client, |event| {
        if let Event::Outcome(outcome) = event {
            told.push(*outcome);
        }
        wanted(event).then_some(())
    });
}

/// The fates of messages 1 to `last`, each of which must be told once.
#[track_caller]
fn fates(outcomes: &[Outcome], last: u64) -> Vec<Fate> {
    let mut fates = vec![None; last as usize];
    for outcome in outcomes {
        for id in outcome.first().get()..=outcome.last().get() {
            let fate = &mut fates[id as usize - 1];
            assert_eq!(fate.replace(outcome.fate()), None, "message {id} was told of twice");
        }
    }
    let told =
        |(i, fate): (usize, Option<Fate>)| fate.unwrap_or_else(|| panic!("nothing of message {}", i + 1));
    fates.into_iter().enumerate().map(told).collect()
}

fn a_message_that_was_cut_in_its_middle_is_sent_again_whole(net: &Net) {
    let server = net.server(Behaviour::silent());
    let relay = Relay::start(server.address());
    let limits = OutboxLimits::new().bytes(32 << 20);
    let client = net.through(&relay).outbox(limits).report_outcomes(true).connect().unwrap();
    opened(&client);
    // More than the buffers of four sockets hold, or the system might take it all.
    let message: Vec<u8> = (0..24 << 20).map(|i| (i * 7 + (i >> 8)) as u8).collect();
    relay.hold_up();
    client.send_text("before").unwrap();
    client.send_binary(&message).unwrap();
    client.send_text("after").unwrap();
    relay.cut_after(Direction::Up, 1 << 20);
    assert!(client.buffered_amount() > 0);
    relay.flow();
    let mut told = Vec::new();
    wait_telling(&client, &mut told, |event| matches!(event, Event::Close(_)));
    wait_telling(&client, &mut told, |event| matches!(event, Event::Open(_)));
    client.close(1000, "").unwrap();
    told.extend(outcomes(&client));
    assert_eq!(fates(&told, 3), [Fate::Completed(Level::Written); 3]);
    server.wait_closed();
    let received = server.received();
    let of_first: Vec<_> = received.iter().filter(|(n, _)| *n == 1).map(|(_, m)| m.clone()).collect();
    assert!(
        of_first.len() <= 1 && of_first.iter().all(|m| *m == Message::from("before")),
        "{}",
        of_first.len()
    );
    let of_second: Vec<_> = received.into_iter().filter(|(n, _)| *n == 2).map(|(_, m)| m).collect();
    assert!(of_second == [Message::from(message), Message::from("after")], "{} messages", of_second.len());
}

fn cuts_at_any_byte_lose_nothing_in_silence_and_double_and_reorder_nothing(net: &Net) {
    const CUTS: usize = 100;
    let seed = 20_240_229;
    let mut random = SmallRng::seed_from_u64(seed);
    let server = net.server(Behaviour::silent());
    let relay = Relay::start(server.address());
    let limits = OutboxLimits::new().messages(64).block_when_full(SOON);
    let client = net
        .through(&relay)
        .outbox(limits)
        .report_outcomes(true)
        .reconnect(Reconnect::fixed(ms(1)))
        .connect()
        .unwrap();
    let (done, last) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let sender = {
        let (client, done, last) = (client.clone(), done.clone(), last.clone());
        let mut random = SmallRng::seed_from_u64(seed + 1);
        std::thread::spawn(move || {
            while !done.load(Ordering::SeqCst) {
                let padding = "x".repeat(random.random_range(0..3000));
                let number = last.load(Ordering::SeqCst) + 1;
                let id = client.send_text(&format!("{number} {padding}")).unwrap();
                assert_eq!(id.get(), number);
                last.store(number, Ordering::SeqCst);
            }
        })
    };
    let mut told = Vec::new();
    for _ in 0..CUTS {
        relay.cut_after(Direction::Up, random.random_range(1..60_000));
        wait_telling(&client, &mut told, |event| matches!(event, Event::Close(_) | Event::ConnectFailed(_)));
    }
    done.store(true, Ordering::SeqCst);
    // The sender may wait for room: the link has to come back for it.
    while !sender.is_finished() {
        if let Ok(Event::Outcome(outcome)) = client.recv_timeout(ms(5)) {
            told.push(outcome);
        }
    }
    sender.join().unwrap();
    client.close(1000, "").unwrap();
    told.extend(outcomes(&client));
    let last = last.load(Ordering::SeqCst);
    let fates = fates(&told, last);
    let mut newest = 0;
    for (connection, message) in server.received() {
        let number: u64 = message.as_text().unwrap().split_once(' ').unwrap().0.parse().unwrap();
        assert!(number > newest, "{number} came after {newest}, on connection {connection}");
        newest = number;
        assert_eq!(fates[number as usize - 1], Fate::Completed(Level::Written));
    }
    assert!(fates.iter().all(|f| matches!(f, Fate::Completed(_) | Fate::Dropped(DropReason::Closed))));
    let stats = client.stats();
    assert_eq!((stats.accepted(), stats.messages_sent() + stats.dropped_on_close()), (last, last));
    assert!(stats.attempts() as usize > CUTS);
}

stamp! {
    a_message_that_was_cut_in_its_middle_is_sent_again_whole,
    cuts_at_any_byte_lose_nothing_in_silence_and_double_and_reorder_nothing,
}
