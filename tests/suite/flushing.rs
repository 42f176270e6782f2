//! Who waits until messages have got somewhere: flushes to each level, in every state, and closes.

use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use heartwire::{
    Client, Delivery, End, Event, Fate, Level, MessageRef, OutboxLimits, SendOptions, State, WaitError,
};

use crate::net::{Net, SOON, close, closed, failed, ms, opened, outcomes, received, wait};
use crate::proven::{fate, send_at};
use crate::support::watch::within;
use crate::support::{Behaviour, Server, ServerEvent};

const LEVELS: [Level; 3] = [Level::Written, Level::Acked, Level::Processed];

/// What a flush came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flushed {
    Reached,
    TimedOut,
    Unknown,
    Closed,
    WouldDeadlock,
}

fn flush(client: &Client, level: Level, timeout: Duration) -> Flushed {
    match client.flush_to(level, timeout) {
        Ok(()) => Flushed::Reached,
        Err(WaitError::TimedOut) => Flushed::TimedOut,
        Err(WaitError::Unknown) => Flushed::Unknown,
        Err(WaitError::WouldDeadlock) => Flushed::WouldDeadlock,
        Err(WaitError::Closed(end)) if matches!(*end, End::Closed) => Flushed::Closed,
        Err(other) => panic!("{other}"),
    }
}

/// A flush on a thread of its own.
fn flushing(client: &Client, level: Level, timeout: Duration) -> JoinHandle<Flushed> {
    let client = client.clone();
    thread::spawn(move || flush(&client, level, timeout))
}

/// The next ping on the latest connection.
#[track_caller]
fn wait_ping(server: &Server) {
    let latest = server.connections();
    server.wait_for(SOON, |event| matches!(event, ServerEvent::Ping { n, .. } if *n == latest).then_some(()));
}

fn a_flush_waits_for_its_level_whatever_completes_the_messages(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).connect().unwrap();
    opened(&client);
    for level in LEVELS {
        for own in LEVELS {
            send_at(&client, "x", own);
        }
        client.flush_to(level, SOON).unwrap();
        // Nothing new: what is proven is proven, or is asked again.
        client.flush_to(level, SOON).unwrap();
    }
    assert_eq!(client.stats().sessions(), 1);
    close(&client);
    assert_eq!(server.received().len(), 9);
}

fn a_flush_ends_at_its_deadline_and_the_next_one_may_succeed(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.answer_pings(false);
    let client = net.to(&server).connect().unwrap();
    opened(&client);
    client.send_text("x").unwrap();
    for _ in 0..20 {
        assert_eq!(flush(&client, Level::Processed, ms(20)), Flushed::TimedOut);
    }
    assert_eq!(flush(&client, Level::Processed, Duration::ZERO), Flushed::TimedOut);
    assert_eq!(flush(&client, Level::Acked, SOON), Flushed::Reached);
    server.answer_pings(true);
    // In the place of the ping that stays without an answer.
    client.ping(b"mine").unwrap();
    assert_eq!(flush(&client, Level::Processed, SOON), Flushed::Reached);
    close(&client);
}

fn a_flush_that_a_death_overtakes_says_that_nobody_can_tell(net: &Net) {
    let server = net.server(Behaviour::silent());
    for own in LEVELS {
        server.answer_pings(false);
        let client = net.to(&server).connect().unwrap();
        opened(&client);
        let flushed = loop {
            send_at(&client, "x", own);
            let waiting = flushing(&client, Level::Processed, SOON);
            wait_ping(&server);
            server.cut(server.connections());
            opened(&client);
            // A flush that began after the death, because the message had a ping of its own, is about nothing.
            let flushed = waiting.join().unwrap();
            if own != Level::Processed || flushed != Flushed::Reached {
                break flushed;
            }
        };
        assert_eq!(flushed, Flushed::Unknown, "{own:?}");
        server.answer_pings(true);
        server.cut(server.connections());
        opened(&client);
        // It is over, and so is what it was about.
        client.flush_to(Level::Processed, SOON).unwrap();
        close(&client);
    }
}

fn a_flush_lasts_over_a_death_where_messages_go_again(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.answer_pings(false);
    let client = net.to(&server).delivery(Delivery::AtLeastOnce).connect().unwrap();
    opened(&client);
    client.send_text("again").unwrap();
    let flush = flushing(&client, Level::Processed, SOON);
    wait_ping(&server);
    server.answer_pings(true);
    server.cut(server.connections());
    opened(&client);
    assert_eq!(flush.join().unwrap(), Flushed::Reached);
    assert_eq!(server.received_texts(), ["again", "again"]);
    assert_eq!((client.stats().replayed(), client.stats().messages_sent()), (1, 1));
    close(&client);
}

fn before_a_session_a_flush_waits_for_what_is_there_and_for_nothing_else(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).build().unwrap();
    for level in LEVELS {
        assert_eq!(flush(&client, level, SOON), Flushed::Reached, "nothing was sent");
    }
    client.send_text("early").unwrap();
    for level in LEVELS {
        assert_eq!(flush(&client, level, ms(20)), Flushed::TimedOut);
    }
    client.connect().unwrap();
    client.flush_to(Level::Processed, SOON).unwrap();
    assert_eq!(server.received_texts(), ["early"]);
    close(&client);
}

/// A client that waits to dial again, to a server that is down.
fn cut_off(net: &Net, server: &Server, limits: OutboxLimits) -> Client {
    server.stop();
    let client = net.to(server).outbox(limits).connect().unwrap();
    failed(&client);
    client
}

fn a_flush_ends_with_the_expiry_of_the_last_message_that_it_waits_for(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = cut_off(net, &server, OutboxLimits::new());
    for level in LEVELS {
        let expiring = SendOptions::new().time_to_live(ms(100));
        client.send_with(MessageRef::Text("x"), expiring).unwrap();
        // Before the answer there was a message to wait for.
        assert_eq!(flush(&client, level, ms(1)), Flushed::TimedOut);
        let flush = flushing(&client, level, SOON);
        // Who takes no events stops the attempts.
        while !flush.is_finished() {
            let _ = client.recv_timeout(ms(5));
        }
        assert_eq!(flush.join().unwrap(), Flushed::Reached, "{level:?}");
    }
    close(&client);
}

fn a_flush_ends_when_the_last_message_that_it_waits_for_makes_room(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = cut_off(net, &server, OutboxLimits::new().messages(1).evict_oldest_when_full());
    for level in LEVELS {
        client.send_text("old").unwrap();
        let began = Instant::now();
        let flush = flushing(&client, level, SOON);
        // The flush may come after it, and then it waits for this one. Only the second cannot be what it waits for.
        while !flush.is_finished() && began.elapsed() < SOON {
            client.send_text("new").unwrap();
            let _ = client.recv_timeout(ms(5));
        }
        assert_eq!(flush.join().unwrap(), Flushed::Reached, "{level:?}");
        assert!(began.elapsed() < SOON / 2, "{level:?}: not told, but at its deadline");
    }
    close(&client);
}

fn at_the_end_a_flush_says_so(net: &Net) {
    let server = net.server(Behaviour::silent());
    for level in LEVELS {
        server.stop();
        let client = net.to(&server).connect().unwrap();
        failed(&client);
        client.send_text("never written").unwrap();
        let waiting = flushing(&client, level, SOON);
        client.close(1000, "").unwrap();
        assert_eq!(waiting.join().unwrap(), Flushed::Closed);
        client.wait_closed(SOON).unwrap();
        assert_eq!(flush(&client, level, SOON), Flushed::Closed);
        server.restart();
    }
}

fn a_flush_during_a_close_does_not_mind_a_message_in_pieces_that_nobody_can_finish(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.answer_pings(false);
    let client = net.to(&server).drain_to(Level::Processed).close_timeout(SOON / 2).connect().unwrap();
    opened(&client);
    client.send_text("whole").unwrap();
    let stream = client.stream_binary().unwrap();
    client.close(1000, "").unwrap();
    // The close waits for a pong, and what was whole is written meanwhile.
    for level in [Level::Written, Level::Acked] {
        assert_eq!(flush(&client, level, SOON), Flushed::Reached, "{level:?}");
    }
    assert_ne!(client.state(), State::Closed, "told at the end only");
    server.stop();
    client.wait_closed(SOON).unwrap();
    assert_eq!(flush(&client, Level::Written, SOON), Flushed::Reached);
    drop(stream);
}

fn a_close_does_not_wait_for_a_flush_that_has_given_up(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.answer_pings(false);
    let client = net.to(&server).close_timeout(4 * SOON).connect().unwrap();
    opened(&client);
    client.send_text("x").unwrap();
    let flush = flushing(&client, Level::Processed, ms(300));
    wait_ping(&server);
    client.close(1000, "").unwrap();
    assert_eq!(flush.join().unwrap(), Flushed::TimedOut);
    assert!(closed(&client).is_clean());
}

fn a_flush_in_a_handler_says_that_it_would_deadlock(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).build().unwrap();
    let (tell, told) = channel();
    client.on_message(move |client, _| {
        let _ = tell.send(LEVELS.map(|level| flush(client, level, SOON)));
    });
    client.connect().unwrap();
    client.send_text("x").unwrap();
    assert_eq!(told.recv_timeout(SOON).unwrap(), [Flushed::WouldDeadlock; 3]);
    // What they began to wait for is forgotten: nothing is asked of the server for it.
    client.send_text("y").unwrap();
    told.recv_timeout(SOON).unwrap();
    assert!(client.close(1000, "").is_ok() && client.wait_closed(SOON).is_ok());
    server.wait_for(SOON, |event| match event {
        ServerEvent::Ping { .. } => panic!("asked for nobody"),
        ServerEvent::Closed { .. } => Some(()),
        _ => None,
    });
}

fn a_close_waits_for_the_levels_that_were_asked_for_and_no_others(net: &Net) {
    // For each: what is asked of the client, of the message, and whether the server is asked before the Close.
    for (drain_to, own, pings) in [
        (Level::Written, Level::Written, false),
        (Level::Acked, Level::Written, false),
        (Level::Processed, Level::Written, true),
        (Level::Written, Level::Processed, true),
        (Level::Written, Level::Acked, false),
    ] {
        let server = net.server(Behaviour::silent());
        let client = net.to(&server).drain_to(drain_to).report_outcomes(true).connect().unwrap();
        opened(&client);
        let id = send_at(&client, "last words", own);
        client.close(1000, "").unwrap();
        assert_eq!(fate(&client, id), Fate::Completed(own));
        let closed = closed(&client);
        assert!(closed.is_clean(), "{closed}");
        let (mut asked, mut read) = (false, false);
        server.wait_for(SOON, |event| {
            asked |= matches!(event, ServerEvent::Ping { .. });
            read |= matches!(event, ServerEvent::Message { .. });
            matches!(event, ServerEvent::Closed { .. }).then_some(())
        });
        assert_eq!((asked, read), (pings, true), "{drain_to:?}, {own:?}");
        client.wait_closed(SOON).unwrap();
    }
}

fn a_close_waits_no_longer_than_its_deadline_for_a_level(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.answer_pings(false);
    for (drain_to, own) in [(Level::Processed, Level::Written), (Level::Written, Level::Processed)] {
        let limit = ms(300);
        let client =
            net.to(&server).drain_to(drain_to).close_timeout(limit).report_outcomes(true).connect().unwrap();
        opened(&client);
        send_at(&client, "last words", own);
        let began = Instant::now();
        client.close(1000, "").unwrap();
        let outcomes = outcomes(&client);
        let took = began.elapsed();
        assert!((limit..SOON).contains(&took), "{took:?}");
        let expected =
            if own == Level::Written { Fate::Completed(Level::Written) } else { Fate::Unknown(Level::Acked) };
        assert_eq!(outcomes.iter().map(|outcome| outcome.fate()).collect::<Vec<_>>(), [expected]);
        assert!(matches!(client.wait_closed(SOON), Ok(End::Closed)));
    }
}

fn many_flushes_at_once_get_their_answers_while_messages_flow(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).complete_at(Level::Acked).connect().unwrap();
    opened(&client);
    let flushers: Vec<_> = (0..6)
        .map(|i| {
            let client = client.clone();
            thread::spawn(move || {
                for _ in 0..20 {
                    send_at(&client, "x", LEVELS[i % 3]);
                    client.flush_to(LEVELS[(i / 2) % 3], SOON).unwrap();
                }
            })
        })
        .collect();
    for _ in 0..6 * 20 {
        received(&client);
    }
    flushers.into_iter().for_each(|flusher| flusher.join().unwrap());
    within(SOON, "everything is complete", || (client.stats().unconfirmed() == 0).then_some(()));
    assert_eq!(client.stats().messages_sent(), 120);
    close(&client);
}

fn while_reading_is_paused_nothing_is_proven_but_by_the_kernel(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).report_outcomes(true).connect().unwrap();
    opened(&client);
    client.pause_reading();
    let acked = send_at(&client, "x", Level::Acked);
    let processed = send_at(&client, "y", Level::Processed);
    assert_eq!(fate(&client, acked), Fate::Completed(Level::Acked));
    wait_ping(&server);
    assert_eq!(flush(&client, Level::Processed, ms(50)), Flushed::TimedOut);
    client.resume_reading();
    let mut proven = false;
    wait(&client, |event| {
        proven |= matches!(event, Event::Outcome(outcome) if outcome.covers(processed));
        proven.then_some(())
    });
    close(&client);
}

stamp! {
    a_flush_waits_for_its_level_whatever_completes_the_messages,
    a_flush_ends_at_its_deadline_and_the_next_one_may_succeed,
    a_flush_that_a_death_overtakes_says_that_nobody_can_tell,
    a_flush_lasts_over_a_death_where_messages_go_again,
    before_a_session_a_flush_waits_for_what_is_there_and_for_nothing_else,
    a_flush_ends_with_the_expiry_of_the_last_message_that_it_waits_for,
    a_flush_ends_when_the_last_message_that_it_waits_for_makes_room,
    at_the_end_a_flush_says_so,
    a_flush_during_a_close_does_not_mind_a_message_in_pieces_that_nobody_can_finish,
    a_close_does_not_wait_for_a_flush_that_has_given_up,
    a_flush_in_a_handler_says_that_it_would_deadlock,
    a_close_waits_for_the_levels_that_were_asked_for_and_no_others,
    a_close_waits_no_longer_than_its_deadline_for_a_level,
    many_flushes_at_once_get_their_answers_while_messages_flow,
    while_reading_is_paused_nothing_is_proven_but_by_the_kernel,
}
