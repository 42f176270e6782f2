//! Messages that go again until they have arrived, those that do not, and what goes before the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use heartwire::{
    Client, Delivery, DropReason, End, Event, Fate, Level, Message, MessageRef, OutboxLimits, Priority,
    SendError, SendOptions,
};

use crate::net::{Net, SOON, close, closed, ended, ms, opened, wait};
use crate::proven::{fate, fates, send_at};
use crate::support::{Behaviour, Direction, Relay, Server, ServerEvent};

const PROCESSED: Fate = Fate::Completed(Level::Processed);

fn again() -> SendOptions {
    SendOptions::new().delivery(Delivery::AtLeastOnce)
}

/// All texts and other messages up to this one, in the order of their arrival.
#[track_caller]
fn arrived(server: &Server, last: &str) -> Vec<String> {
    server.wait_for(SOON, |event| match event {
        ServerEvent::Message { message, .. } => (message.as_bytes() == last.as_bytes()).then_some(()),
        _ => None,
    });
    let shown = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(20)]).into_owned();
    server.received().iter().map(|(_, message)| shown(message.as_bytes())).collect()
}

/// The session dies, and the next one has to wait for the server's restart.
#[track_caller]
fn cut(client: &Client, server: &Server) {
    server.stop();
    closed(client);
}

fn what_is_not_proven_goes_again_in_its_order_and_before_what_waits(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.answer_pings(false);
    let client = net.to(&server).report_outcomes(true).connect().unwrap();
    opened(&client);
    let mut ids = Vec::new();
    for i in 1..=6 {
        let options = if i % 2 == 0 { again() } else { SendOptions::new() };
        let id = client.send_with(MessageRef::Text(&i.to_string()), options).unwrap();
        ids.extend((i % 2 == 0).then_some(id));
    }
    assert_eq!(arrived(&server, "6"), ["1", "2", "3", "4", "5", "6"]);
    server.stop();
    closed(&client);
    client.send_text("7").unwrap();
    let eighth = client.send_with(MessageRef::Text("8"), again()).unwrap();
    server.answer_pings(true);
    server.restart();
    opened(&client);
    let all = arrived(&server, "8");
    assert_eq!(all[6..], ["2", "4", "6", "7", "8"]);
    ids.push(eighth);
    for id in ids {
        assert_eq!(fate(&client, id), PROCESSED, "{id}");
    }
    let stats = client.stats();
    assert_eq!((stats.replayed(), stats.messages_sent(), stats.unknown()), (3, 8, 0));
    close(&client);
}

fn what_is_proven_goes_no_more_and_acknowledged_suffices_where_it_is_asked_for(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).report_outcomes(true).connect().unwrap();
    opened(&client);
    let processed = client.send_with(MessageRef::Text("processed"), again()).unwrap();
    assert_eq!(fate(&client, processed), PROCESSED);
    server.answer_pings(false);
    let acked = client.send_with(MessageRef::Text("acked"), again().complete_at(Level::Acked)).unwrap();
    assert_eq!(fate(&client, acked), Fate::Completed(Level::Acked));
    let neither = client.send_with(MessageRef::Text("neither"), again().complete_at(Level::Written)).unwrap();
    arrived(&server, "neither");
    cut(&client, &server);
    server.answer_pings(true);
    server.restart();
    opened(&client);
    assert_eq!(fate(&client, neither), PROCESSED, "written is not enough where it has to arrive");
    assert_eq!(server.received_texts(), ["processed", "acked", "neither", "neither"]);
    close(&client);
}

fn the_program_stamps_each_repetition_with_its_number_and_the_next_one_builds_on_it(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.answer_pings(false);
    let client = net
        .to(&server)
        .delivery(Delivery::AtLeastOnce)
        .report_outcomes(true)
        .on_replay(|replay| {
            let text = replay.message().as_text().map(|text| format!("{text} again {}", replay.number()));
            match text {
                Some(text) if replay.id().get() == 1 => replay.replace(Message::text(text)),
                // Of another kind from here on.
                Some(text) => replay.replace(Message::binary(text.into_bytes())),
                None => {}
            }
        })
        .connect()
        .unwrap();
    opened(&client);
    client.send_text("a").unwrap();
    client.send_text("b").unwrap();
    arrived(&server, "b");
    cut(&client, &server);
    // What was never written whole is no repetition.
    client.send_text("c").unwrap();
    server.restart();
    opened(&client);
    arrived(&server, "c");
    cut(&client, &server);
    server.answer_pings(true);
    server.restart();
    opened(&client);
    assert_eq!(fates(&client, 3).0, [PROCESSED; 3]);
    let seen: Vec<_> = server
        .received()
        .iter()
        .map(|(n, message)| {
            (*n, message.as_text().is_some(), String::from_utf8_lossy(message.as_bytes()).into_owned())
        })
        .collect();
    let expected = [
        (1, true, "a"),
        (1, true, "b"),
        (2, true, "a again 1"),
        (2, false, "b again 1"),
        (2, true, "c"),
        (3, true, "a again 1 again 2"),
        (3, false, "b again 1"),
        (3, false, "c again 1"),
    ];
    assert_eq!(seen, expected.map(|(n, text, payload)| (n, text, payload.to_owned())));
    assert_eq!(client.stats().replayed(), 5);
    close(&client);
}

fn a_stamp_that_panics_ends_the_client_and_what_was_to_go_again_is_unknown(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.answer_pings(false);
    let client = net
        .to(&server)
        .report_outcomes(true)
        .on_replay(|replay| {
            if replay.id().get() == 2 {
                panic!("as the test wants it")
            }
        })
        .connect()
        .unwrap();
    opened(&client);
    for text in ["1", "2", "3"] {
        client.send_with(MessageRef::Text(text), again()).unwrap();
    }
    arrived(&server, "3");
    client.flush_to(Level::Acked, SOON).unwrap();
    cut(&client, &server);
    server.restart();
    let (mut told, mut end) = (Vec::new(), None);
    wait(&client, |event| {
        match event {
            Event::Outcome(outcome) => {
                told.push((outcome.first().get(), outcome.last().get(), outcome.fate()))
            }
            Event::ClosedForGood(last) => end = Some(last.clone()),
            _ => {}
        }
        end.is_some().then_some(())
    });
    assert!(matches!(end, Some(End::CallbackPanicked)), "{end:?}");
    assert_eq!(told, [(1, 3, Fate::Unknown(Level::Acked))]);
    assert_eq!(server.received_texts(), ["1", "2", "3"], "nothing went unstamped");
}

fn what_is_kept_to_go_again_counts_against_the_limits(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.answer_pings(false);
    let limits = OutboxLimits::new().messages(3).bytes(1000);
    let client = net.to(&server).outbox(limits).delivery(Delivery::AtLeastOnce).connect().unwrap();
    opened(&client);
    for _ in 0..3 {
        client.send_text("kept").unwrap();
    }
    client.flush(SOON).unwrap();
    assert_eq!((client.buffered_amount(), client.stats().queued_messages()), (0, 0), "all is written");
    assert_eq!(client.send_text("too many"), Err(SendError::Full));
    // At most once, too: the limit is the outbox's.
    let once = SendOptions::new().delivery(Delivery::AtMostOnce);
    assert_eq!(client.send_with(MessageRef::Text("x"), once), Err(SendError::Full));
    server.answer_pings(true);
    client.ping(b"in its place").unwrap();
    wait(&client, |event| matches!(event, Event::Writable).then_some(()));
    client.send_binary(&[0; 900]).unwrap();
    client.flush_to(Level::Processed, SOON).unwrap();
    server.answer_pings(false);
    client.send_binary(&[0; 900]).unwrap();
    client.flush(SOON).unwrap();
    assert_eq!(client.send_binary(&[0; 200]), Err(SendError::Full), "so do its bytes");
    cut(&client, &server);
    server.answer_pings(true);
    assert_eq!(client.send_binary(&[0; 200]), Err(SendError::Full), "and while it waits to go again");
    server.restart();
    opened(&client);
    client.flush_to(Level::Processed, SOON).unwrap();
    client.send_binary(&[0; 200]).unwrap();
    assert_eq!(client.stats().accepted(), 6);
    close(&client);
}

fn what_was_written_once_and_expires_or_makes_room_later_is_unknown(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.answer_pings(false);
    let limits = OutboxLimits::new().messages(2).evict_oldest_when_full();
    let client = net.to(&server).outbox(limits).report_outcomes(true).connect().unwrap();
    opened(&client);
    let evicted = client.send_with(MessageRef::Text("makes room"), again()).unwrap();
    let expiring = again().time_to_live(ms(1500));
    let expired = client.send_with(MessageRef::Text("expires"), expiring).unwrap();
    arrived(&server, "expires");
    // Both are in the peer's hands; the kernel is asked for it here, since nobody asked before.
    client.flush_to(Level::Acked, SOON).unwrap();
    server.stop();
    closed(&client);
    let newer = client.send_text("newer").unwrap();
    let mut told = Vec::new();
    wait(&client, |event| {
        if let Event::Outcome(outcome) = event {
            told.push((outcome.first(), outcome.last(), outcome.fate()));
        }
        (told.len() == 2 || told.iter().any(|(first, last, _)| first < last)).then_some(())
    });
    let unknown = Fate::Unknown(Level::Acked);
    assert!(
        told == [(evicted, evicted, unknown), (expired, expired, unknown)]
            || told == [(evicted, expired, unknown)],
        "{told:?}"
    );
    let stats = client.stats();
    assert_eq!((stats.unknown(), stats.evicted(), stats.expired()), (2, 0, 0));
    client.close(1000, "").unwrap();
    assert_eq!(fate(&client, newer), Fate::Dropped(DropReason::Closed), "it was never written");
}

fn a_time_to_live_counts_on_the_next_session_too(net: &Net) {
    let server = net.server(Behaviour::silent());
    let relay = Relay::start(server.address());
    let limits = OutboxLimits::new().bytes(64 << 20);
    let client = net.through(&relay).outbox(limits).report_outcomes(true).connect().unwrap();
    opened(&client);
    relay.hold_up();
    // More than the buffers hold, so that it is on its way when the session dies.
    let short = SendOptions::new().time_to_live(ms(300));
    let large = client.send_with(MessageRef::Binary(&vec![7; 24 << 20]), short).unwrap();
    relay.refuse();
    relay.cut();
    assert_eq!(fate(&client, large), Fate::Dropped(DropReason::Expired));
    relay.flow();
    relay.accept_again();
    client.send_text("after").unwrap();
    opened(&client);
    assert_eq!(arrived(&server, "after"), ["after"]);
    close(&client);
}

fn high_ones_overtake_what_waits_and_not_what_is_on_its_way(net: &Net) {
    let server = net.server(Behaviour::silent());
    let relay = Relay::start(server.address());
    let limits = OutboxLimits::new().bytes(64 << 20);
    let client = net.through(&relay).outbox(limits).greeting("login").connect().unwrap();
    opened(&client);
    relay.hold_up();
    let large = [&b"large "[..], &vec![7; 24 << 20]].concat();
    let high = SendOptions::new().priority(Priority::High);
    let crowd = |client: &Client| {
        for i in 1..=5 {
            client.send_text(&format!("bulk {i}")).unwrap();
            client.send_with(MessageRef::Text(&format!("high {i}")), high).unwrap();
        }
    };
    client.send_binary(&large).unwrap();
    crowd(&client);
    relay.flow();
    client.send_text("end").unwrap();
    let all = arrived(&server, "end");
    let expected = |large_first: bool| -> Vec<String> {
        let high = (1..=5).map(|i| format!("high {i}"));
        let bulk = (1..=5).map(|i| format!("bulk {i}"));
        let large = ["large \u{7}".to_owned()];
        let first: Vec<_> = if large_first {
            large.iter().cloned().chain(high).collect()
        } else {
            high.chain(large.clone()).collect()
        };
        ["login".to_owned()].into_iter().chain(first).chain(bulk).chain(["end".to_owned()]).collect()
    };
    let short = |all: Vec<String>| -> Vec<String> {
        all.into_iter().map(|text| text.chars().take(7).collect::<String>()).collect()
    };
    assert_eq!(short(all.clone()), short(expected(true)));
    // On the next session all of them wait, and only greetings go before them.
    relay.hold_up();
    client.send_binary(&large).unwrap();
    crowd(&client);
    relay.cut();
    closed(&client);
    relay.flow();
    client.send_text("end of it").unwrap();
    opened(&client);
    let more = arrived(&server, "end of it");
    let mut after = expected(false);
    *after.last_mut().unwrap() = "end of it".into();
    assert_eq!(short(more[all.len()..].to_vec()), short(after));
    close(&client);
}

fn the_first_message_goes_before_high_ones_and_greetings_before_it(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).greeting("login").build().unwrap();
    client.send_text("normal").unwrap();
    client.send_with(MessageRef::Text("high"), SendOptions::new().priority(Priority::High)).unwrap();
    client.connect_with("first").unwrap();
    assert_eq!(arrived(&server, "normal"), ["login", "first", "high", "normal"]);
    close(&client);
}

fn high_ones_are_not_evicted_by_normal_ones(net: &Net) {
    let server = net.server(Behaviour::silent());
    let limits = OutboxLimits::new().messages(2).evict_oldest_when_full();
    let client = net.to(&server).outbox(limits).report_outcomes(true).build().unwrap();
    let high = SendOptions::new().priority(Priority::High);
    client.send_with(MessageRef::Text("high 1"), high).unwrap();
    client.send_text("normal").unwrap();
    client.send_text("newer").unwrap();
    client.send_with(MessageRef::Text("high 2"), high).unwrap();
    assert_eq!(client.send_text("no room"), Err(SendError::Full));
    client.send_with(MessageRef::Text("high 3"), high).unwrap();
    client.connect().unwrap();
    let (fates, _) = fates(&client, 5);
    let evicted = Fate::Dropped(DropReason::Evicted);
    let written = Fate::Completed(Level::Written);
    assert_eq!(fates, [evicted, evicted, evicted, written, written]);
    assert_eq!(arrived(&server, "high 3"), ["high 2", "high 3"]);
    close(&client);
}

fn at_least_once_over_many_deaths_everything_arrives_in_order(net: &Net) {
    const COUNT: u64 = 500;
    let server = net.server(Behaviour::silent());
    let relay = Relay::start(server.address());
    let stamped = Arc::new(AtomicU32::new(0));
    let stamps = stamped.clone();
    let client = net
        .through(&relay)
        .delivery(Delivery::AtLeastOnce)
        .report_outcomes(true)
        .on_replay(move |_| {
            stamps.fetch_add(1, Ordering::SeqCst);
        })
        .connect()
        .unwrap();
    opened(&client);
    for i in 1..=COUNT {
        if i % 10 == 0 {
            relay.cut_after(Direction::Up, 100 * (i % 37));
        }
        client.send_text(&format!("{i} {}", "x".repeat(i as usize % 300))).unwrap();
        // Who takes no events stops the attempts.
        while client.try_recv().is_ok() {}
    }
    relay.cut_after(Direction::Up, u64::MAX);
    let waiting = client.clone();
    let flush = std::thread::spawn(move || waiting.flush_to(Level::Processed, SOON));
    while !flush.is_finished() {
        let _ = client.recv_timeout(ms(5));
    }
    flush.join().unwrap().unwrap();
    let number = |text: &String| text.split(' ').next().unwrap().parse::<u64>().unwrap();
    let numbers: Vec<_> = server.received_texts().iter().map(number).collect();
    let mut next = 1;
    for number in &numbers {
        assert!(*number <= next, "{number} before {next}");
        next = next.max(number + 1);
    }
    assert_eq!(next, COUNT + 1);
    let stats = client.stats();
    assert_eq!((stats.messages_sent(), stats.unknown(), stats.unconfirmed()), (COUNT, 0, 0));
    assert_eq!(stats.replayed(), u64::from(stamped.load(Ordering::SeqCst)));
    close(&client);
}

fn the_last_handle_drops_what_was_kept_in_silence(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.answer_pings(false);
    let client = net.to(&server).delivery(Delivery::AtLeastOnce).connect().unwrap();
    send_at(&client, "kept", Level::Processed);
    arrived(&server, "kept");
    drop(client);
    let (code, _) = server.wait_closed();
    assert_eq!(code, Some(1001));
    // Closed by its user it is told of.
    let client = net.to(&server).delivery(Delivery::AtLeastOnce).close_timeout(ms(100)).report_outcomes(true);
    let client = client.connect().unwrap();
    let id = send_at(&client, "kept, too", Level::Processed);
    arrived(&server, "kept, too");
    client.flush_to(Level::Acked, SOON).unwrap();
    client.close(1000, "").unwrap();
    assert_eq!(fate(&client, id), Fate::Unknown(Level::Acked));
    assert!(matches!(ended(&client), End::Closed));
}

stamp! {
    what_is_not_proven_goes_again_in_its_order_and_before_what_waits,
    what_is_proven_goes_no_more_and_acknowledged_suffices_where_it_is_asked_for,
    the_program_stamps_each_repetition_with_its_number_and_the_next_one_builds_on_it,
    a_stamp_that_panics_ends_the_client_and_what_was_to_go_again_is_unknown,
    what_is_kept_to_go_again_counts_against_the_limits,
    what_was_written_once_and_expires_or_makes_room_later_is_unknown,
    a_time_to_live_counts_on_the_next_session_too,
    high_ones_overtake_what_waits_and_not_what_is_on_its_way,
    the_first_message_goes_before_high_ones_and_greetings_before_it,
    high_ones_are_not_evicted_by_normal_ones,
    at_least_once_over_many_deaths_everything_arrives_in_order,
    the_last_handle_drops_what_was_kept_in_silence,
}
