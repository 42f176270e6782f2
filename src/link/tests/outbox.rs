//! Limits, order and outcomes of messages.

use super::*;
use crate::config::delivery::Terms;
use crate::config::outbox::OutboxLimits;
use crate::entry::{Entry, Kind};
use crate::error::SendError;
use crate::event::{DropReason, Fate, Level, MessageId};
use crate::link::outbox::Outbox;

const WRITTEN: Fate = Fate::Completed(Level::Written);
const EXPIRED: Fate = Fate::Dropped(DropReason::Expired);
const EVICTED: Fate = Fate::Dropped(DropReason::Evicted);
const CLOSED: Fate = Fate::Dropped(DropReason::Closed);

fn outbox(limits: OutboxLimits) -> (Outbox, Instant) {
    let mut outbox = Outbox::new(limits);
    outbox.report_outcomes(true);
    (outbox, Instant::now())
}

fn put(outbox: &mut Outbox, payload: &[u8], now: Instant) -> u64 {
    outbox.accept(Kind::Text, payload, Terms::default(), None, now).expect("there is room").get()
}

fn put_for(outbox: &mut Outbox, time_to_live: Duration, now: Instant) -> u64 {
    outbox.accept(Kind::Text, b"x", Terms::default(), Some(time_to_live), now).expect("there is room").get()
}

fn hand_out(outbox: &mut Outbox, max_bytes: usize, now: Instant) -> VecDeque<Entry> {
    let mut entries = VecDeque::new();
    outbox.hand_out(max_bytes, now, |entry| entries.push_back(entry));
    entries
}

fn ids(entries: &VecDeque<Entry>) -> Vec<u64> {
    entries.iter().map(|entry| entry.id.get()).collect()
}

fn written(outbox: &mut Outbox, entries: &VecDeque<Entry>) {
    let bytes = entries.iter().map(|entry| entry.payload.len()).sum();
    let (Some(first), Some(last)) = (entries.front(), entries.back()) else { return };
    outbox.written(first.id, last.id, entries.len(), bytes, 0);
}

fn fates(outbox: &mut Outbox) -> Vec<(u64, u64, Fate)> {
    let outcomes = drain(|| outbox.next_outcome());
    outcomes
        .into_iter()
        .map(|outcome| (outcome.first().get(), outcome.last().get(), outcome.fate()))
        .collect()
}

#[test]
fn messages_go_out_oldest_first_and_their_outcomes_are_joined() {
    let (mut outbox, now) = outbox(OutboxLimits::new());
    for payload in [&b"a"[..], b"bb", b"ccc"] {
        put(&mut outbox, payload, now);
    }
    assert_eq!((outbox.waiting(), outbox.buffered()), (3, 6));
    let entries = hand_out(&mut outbox, 1000, now);
    assert_eq!(ids(&entries), [1, 2, 3]);
    assert_eq!(entries[1].payload, b"bb");
    assert!(outbox.is_empty());
    assert_eq!((outbox.unfinished(), outbox.buffered()), (3, 6));
    outbox.written(MessageId(1), MessageId(2), 2, 3, 0);
    outbox.written(MessageId(3), MessageId(3), 1, 3, 0);
    assert_eq!(fates(&mut outbox), [(1, 3, WRITTEN)]);
    assert_eq!((outbox.unfinished(), outbox.buffered()), (0, 0));
    assert_eq!((outbox.tally().written, outbox.tally().written_bytes), (3, 6));
}

#[test]
fn a_batch_has_at_least_one_message_and_empty_ones_count_too() {
    let (mut outbox, now) = outbox(OutboxLimits::new());
    put(&mut outbox, &[0; 500], now);
    for _ in 0..10 {
        put(&mut outbox, b"", now);
    }
    assert_eq!(hand_out(&mut outbox, 100, now).len(), 1);
    assert_eq!(hand_out(&mut outbox, 100, now).len(), 7);
    assert_eq!(hand_out(&mut outbox, 0, now).len(), 1);
}

#[test]
fn a_full_outbox_refuses_and_says_once_when_it_is_half_empty_again() {
    let (mut outbox, now) = outbox(OutboxLimits::new().messages(4));
    for _ in 0..4 {
        put(&mut outbox, b"x", now);
    }
    assert!(!outbox.take_writable());
    assert_eq!(outbox.accept(Kind::Text, b"x", Terms::default(), None, now), Err(SendError::Full));
    let entries = hand_out(&mut outbox, 1000, now);
    assert_eq!(
        outbox.accept(Kind::Text, b"x", Terms::default(), None, now),
        Err(SendError::Full),
        "handed out ones count"
    );
    assert_eq!(outbox.pass(1, Terms::default()), Err(SendError::Full));
    outbox.written(entries[0].id, entries[0].id, 1, 1, 0);
    assert!(!outbox.take_writable());
    outbox.written(entries[1].id, entries[3].id, 3, 3, 0);
    assert!(outbox.take_writable());
    assert!(!outbox.take_writable());
}

#[test]
fn the_limit_in_bytes_holds_and_a_message_beyond_it_is_too_big() {
    let (mut outbox, now) = outbox(OutboxLimits::new().bytes(10));
    assert_eq!(
        outbox.accept(Kind::Binary, &[0; 11], Terms::default(), None, now),
        Err(SendError::TooBig(10))
    );
    put(&mut outbox, &[0; 7], now);
    assert_eq!(outbox.accept(Kind::Binary, &[0; 4], Terms::default(), None, now), Err(SendError::Full));
    put(&mut outbox, &[0; 3], now);
}

#[test]
fn the_oldest_make_room_but_never_what_was_handed_out() {
    let (mut outbox, now) = outbox(OutboxLimits::new().messages(3).bytes(10).evict_oldest_when_full());
    put(&mut outbox, &[0; 4], now);
    hand_out(&mut outbox, 0, now);
    put(&mut outbox, &[0; 3], now);
    put(&mut outbox, &[0; 3], now);
    assert_eq!(put(&mut outbox, &[0; 6], now), 4);
    assert_eq!(fates(&mut outbox), [(2, 3, EVICTED)]);
    assert_eq!(outbox.accept(Kind::Text, &[0; 7], Terms::default(), None, now), Err(SendError::Full));
    assert_eq!(fates(&mut outbox), [], "nothing is evicted in vain");
    assert_eq!((outbox.waiting(), outbox.unfinished()), (1, 2));
}

#[test]
fn what_has_expired_makes_room_before_anything_is_refused() {
    let (mut outbox, now) = outbox(OutboxLimits::new().messages(1).time_to_live(SEC));
    put(&mut outbox, b"x", now);
    assert_eq!(outbox.accept(Kind::Text, b"x", Terms::default(), None, now), Err(SendError::Full));
    assert_eq!(put(&mut outbox, b"x", now + SEC), 2);
    assert_eq!(fates(&mut outbox), [(1, 1, EXPIRED)]);
}

#[test]
fn a_message_expires_on_time_whatever_waits_before_it() {
    let (mut outbox, now) = outbox(OutboxLimits::new().time_to_live(60 * SEC));
    put(&mut outbox, b"x", now);
    put_for(&mut outbox, SEC, now);
    put_for(&mut outbox, 2 * SEC, now);
    assert_eq!(outbox.deadline(), Some(now + SEC));
    outbox.expire(now + SEC);
    assert_eq!(fates(&mut outbox), [(2, 2, EXPIRED)]);
    assert_eq!(outbox.deadline(), Some(now + 2 * SEC));
    assert_eq!(ids(&hand_out(&mut outbox, 1000, now + 2 * SEC)), [1]);
    assert_eq!(fates(&mut outbox), [(3, 3, EXPIRED)]);
    assert_eq!(outbox.deadline(), None);
}

#[test]
fn sweeps_for_expired_messages_rest_in_proportion_to_what_they_cost() {
    let (mut outbox, now) = outbox(OutboxLimits::new());
    for nth in 0..1000 {
        put_for(&mut outbox, SEC + nth * Duration::from_micros(1), now);
    }
    let mut sweeps = 0;
    while let Some(at) = outbox.deadline() {
        outbox.expire(at);
        sweeps += 1;
    }
    assert!(sweeps < 20, "{sweeps} sweeps");
    assert_eq!(outbox.tally().expired, 1000);
}

#[test]
fn what_was_not_written_goes_back_to_the_front_in_order() {
    let (mut outbox, now) = outbox(OutboxLimits::new());
    for _ in 0..5 {
        put(&mut outbox, b"x", now);
    }
    let mut entries = hand_out(&mut outbox, 60, now);
    assert_eq!(ids(&entries), [1, 2, 3, 4]);
    let first = entries.pop_front().expect("four");
    outbox.written(first.id, first.id, 1, 1, 0);
    outbox.restore(entries, None);
    assert_eq!((outbox.waiting(), outbox.unfinished(), outbox.buffered()), (4, 4, 4));
    assert_eq!(ids(&hand_out(&mut outbox, 1000, now)), [2, 3, 4, 5]);
}

#[test]
fn what_was_handed_out_and_does_not_come_back_is_of_unknown_fate() {
    let (mut outbox, now) = outbox(OutboxLimits::new());
    put(&mut outbox, b"x", now);
    put(&mut outbox, b"x", now);
    let mut entries = hand_out(&mut outbox, 1000, now);
    entries.pop_front();
    outbox.restore(entries, None);
    assert_eq!(fates(&mut outbox), [(1, 1, Fate::Unknown(Level::Written))]);
    assert_eq!(outbox.unfinished(), 1);
}

#[test]
fn the_first_message_overtakes_what_waits() {
    let (mut outbox, now) = outbox(OutboxLimits::new());
    put(&mut outbox, b"x", now);
    put(&mut outbox, b"x", now);
    let first = outbox.accept_first(Kind::Text, b"hello", Terms::default(), now).expect("there is room");
    assert_eq!(first.get(), 3);
    assert_eq!(outbox.oldest_unfinished(), Some(MessageId(1)));
    let entries = hand_out(&mut outbox, 1000, now);
    assert_eq!(ids(&entries), [3, 1, 2]);
    written(&mut outbox, &entries);
    assert_eq!(fates(&mut outbox), [(3, 3, WRITTEN), (1, 2, WRITTEN)]);
    assert_eq!(outbox.oldest_unfinished(), None);
}

#[test]
fn a_direct_write_is_buffered_until_it_is_written() {
    let (mut outbox, now) = outbox(OutboxLimits::new());
    let id = outbox.pass(9, Terms::default()).expect("there is room");
    assert_eq!((outbox.buffered(), outbox.unfinished(), outbox.waiting()), (9, 1, 0));
    assert_eq!(outbox.oldest_unfinished(), Some(id));
    outbox.written(id, id, 1, 9, 0);
    assert_eq!((outbox.buffered(), outbox.unfinished()), (0, 0));
    assert_eq!(outbox.last_accepted(), Some(id));
    assert_eq!(put(&mut outbox, b"x", now), 2);
}

#[test]
fn a_closed_outbox_drops_what_is_left_and_takes_nothing_more() {
    let (mut outbox, now) = outbox(OutboxLimits::new());
    for _ in 0..3 {
        put(&mut outbox, b"x", now);
    }
    let entries = hand_out(&mut outbox, 0, now);
    outbox.close();
    outbox.close();
    written(&mut outbox, &entries);
    outbox.restore(entries, None);
    assert_eq!(fates(&mut outbox), [(1, 3, CLOSED)]);
    assert_eq!(outbox.accept(Kind::Text, b"x", Terms::default(), None, now), Err(SendError::Closed));
    assert_eq!(outbox.accept_first(Kind::Text, b"x", Terms::default(), now), Err(SendError::Closed));
    assert_eq!(outbox.pass(1, Terms::default()), Err(SendError::Closed));
    assert_eq!((outbox.unfinished(), outbox.buffered(), outbox.deadline()), (0, 0, None));
}

#[test]
fn outcomes_that_nobody_takes_stop_the_sender_before_they_fill_the_memory() {
    let limits = OutboxLimits::new().messages(2).evict_oldest_when_full();
    let (mut outbox, now) = outbox(limits.clone());
    for nth in 0.. {
        assert!(nth < 5000);
        let Ok(id) = outbox.pass(1, Terms::default()) else { break };
        outbox.written(id, id, 1, 1, 0);
        outbox.accept(Kind::Text, b"x", Terms::default(), Some(SEC), now).ok();
        hand_out(&mut outbox, 0, now + SEC);
    }
    assert!(outbox.outcomes_pending() <= 4098);
    drain(|| outbox.next_outcome());
    assert!(outbox.take_writable());
    assert!(outbox.pass(1, Terms::default()).is_ok());

    let mut silent = Outbox::new(limits);
    for _ in 0..20_000 {
        silent.accept(Kind::Text, b"x", Terms::default(), None, now).expect("nobody asks for outcomes");
    }
    assert_eq!(silent.tally().evicted, 19_998);
    assert_eq!(silent.outcomes_pending(), 0);
}
