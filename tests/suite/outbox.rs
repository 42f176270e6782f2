//! What becomes of messages: order, limits, times to live, outcomes, senders in competition.

use std::collections::HashMap;
use std::sync::{Arc, Barrier};
use std::time::Instant;

use heartwire::{
    Client, DropReason, Event, Fate, Level, Message, MessageRef, OutboxLimits, Outcome, Reconnect, SendError,
    SendOptions, WaitError,
};

use crate::net::{Net, SOON, close, closed, failed, ms, opened, outcomes, received, wait};
use crate::support::{Behaviour, Relay, Server};

const WRITTEN: Fate = Fate::Completed(Level::Written);

fn dropped(why: DropReason) -> Fate {
    Fate::Dropped(why)
}

fn ranges(outcomes: &[Outcome]) -> Vec<(u64, u64, Fate)> {
    outcomes.iter().map(|o| (o.first().get(), o.last().get(), o.fate())).collect()
}

/// Waits until the server has so many texts, and returns all it has.
#[track_caller]
fn texts(server: &Server, count: usize) -> Vec<String> {
    while server.received_texts().len() < count {
        server.wait_message();
    }
    server.received_texts()
}

fn messages_sent_while_down_arrive_in_order_and_once(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.stop();
    let client = net.to(&server).report_outcomes(true).connect().unwrap();
    failed(&client);
    for i in 0..1000 {
        client.send_text(&i.to_string()).unwrap();
    }
    assert!(client.buffered_amount() > 1000);
    assert_eq!(client.stats().queued_messages(), 1000);
    server.restart();
    opened(&client);
    let expected: Vec<_> = (0..1000).map(|i| i.to_string()).collect();
    assert_eq!(texts(&server, 1000), expected);
    client.flush(SOON).unwrap();
    assert_eq!(client.buffered_amount(), 0);
    client.close(1000, "").unwrap();
    assert_eq!(ranges(&outcomes(&client)), [(1, 1000, WRITTEN)], "one range: neighbours are merged");
    assert_eq!(server.received().len(), 1000);
}

fn greetings_come_first_on_each_open_and_the_first_message_once(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net
        .to(&server)
        .greeting("login")
        .greeting(|attempt| Message::text(format!("subscribe {attempt}")))
        .build()
        .unwrap();
    client.send_text("early").unwrap();
    client.connect_with("first").unwrap();
    assert_eq!(texts(&server, 4), ["login", "subscribe 1", "first", "early"]);
    server.stop();
    closed(&client);
    client.send_text("late").unwrap();
    server.restart();
    opened(&client);
    let all = texts(&server, 7);
    assert_eq!(all[4], "login");
    assert!(all[5].starts_with("subscribe "), "{all:?}");
    assert_eq!(all[6], "late");
    close(&client);
}

fn an_open_handler_cannot_overtake_the_greeting(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).greeting("login").build().unwrap();
    client.on_open(|client, _| {
        client.send_text("from the handler").unwrap();
    });
    client.connect().unwrap();
    assert_eq!(texts(&server, 2), ["login", "from the handler"]);
    server.cut(1);
    assert_eq!(texts(&server, 4)[2..], ["login", "from the handler"]);
}

fn a_full_outbox_refuses_and_tells_when_there_is_room(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.stop();
    let limits = OutboxLimits::new().messages(4).bytes(100);
    let client = net.to(&server).outbox(limits).connect().unwrap();
    assert_eq!(client.send_binary(&[0; 101]), Err(SendError::TooBig(100)));
    client.send_binary(&[0; 90]).unwrap();
    assert_eq!(client.send_binary(&[0; 11]), Err(SendError::Full));
    for _ in 0..3 {
        client.send_text("").unwrap();
    }
    assert_eq!(client.send_text(""), Err(SendError::Full), "four messages, however short");
    server.restart();
    wait(&client, |event| matches!(event, Event::Writable).then_some(()));
    client.send_text("room").unwrap();
    assert_eq!(texts(&server, 4)[3], "room");
    close(&client);
}

fn a_full_outbox_evicts_the_oldest_where_it_should(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.stop();
    let limits = OutboxLimits::new().messages(3).evict_oldest_when_full();
    let client = net.to(&server).outbox(limits).report_outcomes(true).connect().unwrap();
    for i in 1..=10 {
        client.send_text(&i.to_string()).unwrap();
    }
    server.restart();
    assert_eq!(texts(&server, 3), ["8", "9", "10"]);
    client.close(1000, "").unwrap();
    assert_eq!(ranges(&outcomes(&client)), [(1, 7, dropped(DropReason::Evicted)), (8, 10, WRITTEN)]);
}

fn a_full_outbox_blocks_a_sender_until_there_is_room_or_its_time_is_up(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.stop();
    let limits = OutboxLimits::new().messages(1).block_when_full(ms(50));
    let client = net.to(&server).outbox(limits).connect().unwrap();
    client.send_text("1").unwrap();
    let began = Instant::now();
    assert_eq!(client.send_text("2"), Err(SendError::Full));
    assert!(began.elapsed() >= ms(50));
    drop(client);

    let limits = OutboxLimits::new().messages(1).block_when_full(SOON);
    let client = net.to(&server).outbox(limits).connect().unwrap();
    client.send_text("1").unwrap();
    let sender = client.clone();
    let thread = std::thread::spawn(move || sender.send_text("2").map(drop));
    server.restart();
    assert_eq!(thread.join().unwrap(), Ok(()));
    assert_eq!(texts(&server, 2), ["1", "2"]);
    close(&client);
}

fn a_blocked_sender_is_released_by_a_close(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.stop();
    let limits = OutboxLimits::new().messages(1).block_when_full(SOON);
    let client = net.to(&server).outbox(limits).connect().unwrap();
    client.send_text("1").unwrap();
    let sender = client.clone();
    let thread = std::thread::spawn(move || sender.send_text("2").map(drop));
    client.close(1000, "").unwrap();
    assert_eq!(thread.join().unwrap(), Err(SendError::Closed));
}

fn messages_that_are_too_old_are_dropped_and_told(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.stop();
    let limits = OutboxLimits::new().time_to_live(ms(30));
    let client = net.to(&server).outbox(limits).report_outcomes(true).connect().unwrap();
    client.send_text("short").unwrap();
    let long = SendOptions::new().time_to_live(SOON * 2);
    client.send_with(MessageRef::Text("long"), long).unwrap();
    client.send_text("short, too").unwrap();
    for id in [1, 3] {
        let told = wait(&client, |event| if let Event::Outcome(o) = event { Some(*o) } else { None });
        assert_eq!(ranges(&[told]), [(id, id, dropped(DropReason::Expired))]);
    }
    server.restart();
    opened(&client);
    assert_eq!(texts(&server, 1), ["long"]);
    client.close(1000, "").unwrap();
    assert_eq!(ranges(&outcomes(&client)), [(2, 2, WRITTEN)]);
    let stats = client.stats();
    assert_eq!((stats.accepted(), stats.messages_sent(), stats.expired()), (3, 1, 2));
}

fn what_waits_at_the_close_of_a_client_without_a_session_is_dropped_and_told(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.stop();
    let client = net.to(&server).reconnect(Reconnect::fixed(SOON)).report_outcomes(true).connect().unwrap();
    failed(&client);
    for _ in 0..5 {
        client.send_text("in vain").unwrap();
    }
    client.close(1000, "").unwrap();
    assert!(matches!(client.flush(SOON), Err(WaitError::Closed(_))));
    assert_eq!(ranges(&outcomes(&client)), [(1, 5, dropped(DropReason::Closed))]);
    assert_eq!(client.send_text("late"), Err(SendError::Closed));
    assert_eq!(client.buffered_amount(), 0);
}

fn many_threads_lose_nothing_double_nothing_and_keep_their_order(net: &Net) {
    const THREADS: usize = 8;
    const EACH: usize = 2000;
    let server = net.server(Behaviour::silent());
    let limits = OutboxLimits::new().messages(100).block_when_full(SOON);
    let client = net.to(&server).outbox(limits).report_outcomes(true).connect().unwrap();
    let start = Arc::new(Barrier::new(THREADS));
    let threads: Vec<_> = (0..THREADS)
        .map(|t| {
            let (client, start) = (client.clone(), start.clone());
            std::thread::spawn(move || {
                start.wait();
                for i in 0..EACH {
                    client.send_text(&format!("{t} {i}")).unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    client.flush(SOON).unwrap();
    let mut next: HashMap<String, usize> = HashMap::new();
    for text in texts(&server, THREADS * EACH) {
        let (thread, number) = text.split_once(' ').unwrap();
        let next = next.entry(thread.to_owned()).or_default();
        assert_eq!(number.parse(), Ok(*next), "of thread {thread}");
        *next += 1;
    }
    client.close(1000, "").unwrap();
    // A direct write may be told before its neighbours that went over the loop, but each id is told once.
    assert_told_once(&outcomes(&client), (THREADS * EACH) as u64);
}

/// Each of the messages has one outcome, and that is `Written`.
#[track_caller]
fn assert_told_once(outcomes: &[Outcome], messages: u64) {
    assert!(outcomes.iter().all(|outcome| outcome.fate() == WRITTEN), "{outcomes:?}");
    let mut told = ranges(outcomes);
    told.sort_unstable_by_key(|range| range.0);
    let mut next = 1;
    for (first, last, _) in told {
        assert_eq!(first, next);
        next = last + 1;
    }
    assert_eq!(next, messages + 1);
}

fn the_last_message_of_a_burst_does_not_wait_for_the_next_one(net: &Net) {
    // A message that is queued while the loop has the wire must be seen by the loop, whenever that is.
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).connect().unwrap();
    opened(&client);
    for round in 0..300 {
        let burst = 1 + round % 12;
        for i in 0..burst {
            client.send_text(&format!("{round} {i}")).unwrap();
        }
        for i in 0..burst {
            assert_eq!(received(&client).as_text(), Some(format!("{round} {i}").as_str()));
        }
    }
    close(&client);
}

fn a_flush_waits_for_what_was_accepted_before_it(net: &Net) {
    let server = net.server(Behaviour::silent());
    let relay = Relay::start(server.address());
    let client = net.through(&relay).connect().unwrap();
    opened(&client);
    client.flush(ms(0)).unwrap();
    relay.hold_up();
    fill(&client);
    assert!(matches!(client.flush(ms(20)), Err(WaitError::TimedOut)));
    relay.flow();
    client.flush(SOON).unwrap();
    assert_eq!(client.buffered_amount(), 0);
    close(&client);
}

/// Sends until the system takes no more and something stays in the outbox.
fn fill(client: &Client) {
    let block = vec![7; 1 << 20];
    while client.buffered_amount() < 2 << 20 {
        client.send_binary(&block).unwrap();
    }
}

fn a_server_that_does_not_read_fills_the_outbox_and_nothing_else(net: &Net) {
    let server = net.server(Behaviour::silent());
    let relay = Relay::start(server.address());
    let client = net.through(&relay).report_outcomes(true).connect().unwrap();
    opened(&client);
    relay.hold_up();
    let mut accepted = 0;
    while client.send_binary(&[1; 100_000]).is_ok() {
        accepted += 1;
    }
    assert!(client.buffered_amount() > 7 << 20, "{}", client.buffered_amount());
    relay.flow();
    wait(&client, |event| matches!(event, Event::Writable).then_some(()));
    client.close(1000, "").unwrap();
    client.wait_closed(SOON).unwrap();
    assert_eq!(client.stats().messages_sent(), accepted);
    server.wait_closed();
    assert_eq!(server.received().len() as u64, accepted);
}

stamp! {
    messages_sent_while_down_arrive_in_order_and_once,
    greetings_come_first_on_each_open_and_the_first_message_once,
    an_open_handler_cannot_overtake_the_greeting,
    a_full_outbox_refuses_and_tells_when_there_is_room,
    a_full_outbox_evicts_the_oldest_where_it_should,
    a_full_outbox_blocks_a_sender_until_there_is_room_or_its_time_is_up,
    a_blocked_sender_is_released_by_a_close,
    messages_that_are_too_old_are_dropped_and_told,
    what_waits_at_the_close_of_a_client_without_a_session_is_dropped_and_told,
    many_threads_lose_nothing_double_nothing_and_keep_their_order,
    the_last_message_of_a_burst_does_not_wait_for_the_next_one,
    a_flush_waits_for_what_was_accepted_before_it,
    a_server_that_does_not_read_fills_the_outbox_and_nothing_else,
}
