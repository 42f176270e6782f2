//! Messages in pieces in the outbox: their place, their bound, and how they end.

use super::*;
use crate::config::delivery::Terms;
use crate::config::outbox::OutboxLimits;
use crate::entry::{Entry, Kind, Part};
use crate::error::SendError;
use crate::event::{DropReason, Fate, Level, MessageId};
use crate::link::outbox::{GivenUp, Outbox};

const WRITTEN: Fate = Fate::Completed(Level::Written);
const INTERRUPTED: Fate = Fate::Dropped(DropReason::Interrupted);
const ABANDONED: Fate = Fate::Dropped(DropReason::Abandoned);
const CLOSED: Fate = Fate::Dropped(DropReason::Closed);
const EXPIRED: Fate = Fate::Dropped(DropReason::Expired);
const BUFFER: usize = 256 * 1024;
const ROOM: usize = 64 * 1024;

fn outbox(limits: OutboxLimits) -> (Outbox, Instant) {
    let mut outbox = Outbox::new(limits);
    outbox.report_outcomes(true);
    (outbox, Instant::now())
}

fn begin(outbox: &mut Outbox, now: Instant) -> MessageId {
    outbox.accept_pieces(Kind::Binary, Terms::default(), now).expect("there is room")
}

fn put(outbox: &mut Outbox, payload: &[u8], now: Instant) -> u64 {
    outbox.accept(Kind::Binary, payload, Terms::default(), None, now).expect("there is room").get()
}

fn hand_out(outbox: &mut Outbox, now: Instant) -> VecDeque<Entry> {
    let mut entries = VecDeque::new();
    outbox.hand_out(ROOM, now, |entry| entries.push_back(entry));
    entries
}

fn parts(entries: &VecDeque<Entry>) -> Vec<(u64, Part, usize)> {
    entries.iter().map(|entry| (entry.id.get(), entry.part, entry.payload.len())).collect()
}

/// All of these were written, as the wire tells it.
fn written(outbox: &mut Outbox, entries: &VecDeque<Entry>) {
    for entry in entries {
        if !entry.part.is_whole() {
            outbox.pieces_written(entry.payload.len());
        }
        match entry.part {
            Part::Whole | Part::Only => outbox.written(entry.id, entry.id, 1, entry.payload.len(), 0),
            Part::Last => outbox.written(entry.id, entry.id, 1, 0, 0),
            _ => {}
        }
    }
}

fn fates(outbox: &mut Outbox) -> Vec<(u64, Fate)> {
    let outcomes = drain(|| outbox.next_outcome());
    let each = |outcome: crate::Outcome| {
        (outcome.first().get()..=outcome.last().get()).map(move |id| (id, outcome.fate()))
    };
    outcomes.into_iter().flat_map(each).collect()
}

#[test]
fn it_goes_out_in_its_place_as_it_comes_and_what_is_behind_waits_for_its_end() {
    let (mut outbox, now) = outbox(OutboxLimits::new());
    put(&mut outbox, b"before", now);
    let id = begin(&mut outbox, now);
    put(&mut outbox, b"behind", now);
    assert_eq!(parts(&hand_out(&mut outbox, now)), [(1, Part::Whole, 6)]);
    assert!(!outbox.is_ready() && !outbox.is_empty() && hand_out(&mut outbox, now).is_empty());

    assert_eq!(outbox.append(id, b"one"), Ok(3));
    assert_eq!(outbox.append(id, b"two"), Ok(3));
    assert!(outbox.is_ready());
    assert_eq!(parts(&hand_out(&mut outbox, now)), [(2, Part::First, 6)]);
    assert!(!outbox.is_ready() && hand_out(&mut outbox, now).is_empty());
    outbox.append(id, b"three").unwrap();
    assert_eq!(parts(&hand_out(&mut outbox, now)), [(2, Part::Middle, 5)]);
    outbox.finish_pieces(id).unwrap();
    assert!(outbox.is_ready());
    assert_eq!(parts(&hand_out(&mut outbox, now)), [(2, Part::Last, 0), (3, Part::Whole, 6)]);
    assert!(outbox.is_empty());
}

#[test]
fn one_that_is_finished_before_its_turn_and_short_goes_as_a_whole() {
    let (mut outbox, now) = outbox(OutboxLimits::new());
    let (id, empty) = (begin(&mut outbox, now), begin(&mut outbox, now));
    outbox.append(id, b"short").unwrap();
    outbox.finish_pieces(id).unwrap();
    outbox.finish_pieces(empty).unwrap();
    let entries = hand_out(&mut outbox, now);
    assert_eq!(parts(&entries), [(1, Part::Only, 5), (2, Part::Only, 0)]);
    outbox.restore(entries, None);
    let entries = hand_out(&mut outbox, now);
    assert_eq!(parts(&entries), [(1, Part::Only, 5), (2, Part::Only, 0)], "it goes out again");
    written(&mut outbox, &entries);
    assert_eq!(fates(&mut outbox), [(1, WRITTEN), (2, WRITTEN)]);
    assert_eq!((outbox.buffered(), outbox.tally().written_bytes), (0, 5));
}

#[test]
fn so_many_bytes_wait_and_no_more_and_half_of_them_have_to_go_before_it_is_told() {
    let (mut outbox, now) = outbox(OutboxLimits::new());
    let id = begin(&mut outbox, now);
    let piece = vec![7; BUFFER - 10];
    assert_eq!(outbox.append(id, &piece), Ok(BUFFER - 10));
    assert_eq!(outbox.append(id, &piece), Ok(10));
    assert_eq!((outbox.append(id, &piece), outbox.room_for_pieces(id)), (Ok(0), Ok(0)));
    assert_eq!(outbox.buffered(), BUFFER);
    let mut rounds = 0;
    while !outbox.take_room_for_pieces() {
        assert!(outbox.room_for_pieces(id).unwrap() < BUFFER / 2);
        let entries = hand_out(&mut outbox, now);
        assert!(entries.iter().map(|entry| entry.payload.len() + 14).sum::<usize>() <= ROOM);
        written(&mut outbox, &entries);
        rounds += 1;
    }
    assert!((2..=3).contains(&rounds) && !outbox.take_room_for_pieces(), "{rounds}");
    assert_eq!(outbox.buffered() + outbox.room_for_pieces(id).unwrap(), BUFFER);
    assert_eq!(outbox.tally().written_bytes as usize, BUFFER - outbox.buffered());
}

#[test]
fn it_takes_one_message_of_the_limits_and_no_bytes_and_what_waits_behind_cannot_stop_it() {
    let (mut outbox, now) = outbox(OutboxLimits::new().messages(3).bytes(100));
    let id = begin(&mut outbox, now);
    assert_eq!(outbox.append(id, &[1; 1000]), Ok(1000));
    put(&mut outbox, &[2; 50], now);
    put(&mut outbox, &[2; 50], now);
    assert_eq!(outbox.accept(Kind::Binary, b"", Terms::default(), None, now), Err(SendError::Full));
    assert_eq!(outbox.accept_pieces(Kind::Binary, Terms::default(), now), Err(SendError::Full));
    assert_eq!(outbox.append(id, &[1; 1000]), Ok(1000));
    assert_eq!(parts(&hand_out(&mut outbox, now)), [(1, Part::First, 2000)]);
    assert_eq!(outbox.append(id, &[1; 1000]), Ok(1000));
    outbox.finish_pieces(id).unwrap();
    assert_eq!(hand_out(&mut outbox, now).len(), 3);
    assert!(outbox.is_empty());
}

#[test]
fn it_is_never_evicted_but_it_makes_others_go() {
    let (mut outbox, now) = outbox(OutboxLimits::new().messages(3).evict_oldest_when_full());
    begin(&mut outbox, now);
    put(&mut outbox, b"2", now);
    put(&mut outbox, b"3", now);
    begin(&mut outbox, now);
    begin(&mut outbox, now);
    assert_eq!(outbox.accept(Kind::Binary, b"", Terms::default(), None, now), Err(SendError::Full));
    let evicted = Fate::Dropped(DropReason::Evicted);
    assert_eq!(fates(&mut outbox), [(2, evicted), (3, evicted)]);
    assert_eq!(outbox.room_for_pieces(MessageId(1)), Ok(BUFFER));
}

#[test]
fn it_expires_until_its_first_piece_goes_out_and_not_after_that() {
    let (mut outbox, now) = outbox(OutboxLimits::new().time_to_live(SEC));
    let (first, second) = (begin(&mut outbox, now), begin(&mut outbox, now));
    outbox.append(first, b"x").unwrap();
    assert_eq!(hand_out(&mut outbox, now).len(), 1);
    outbox.expire(now + SEC);
    assert_eq!(fates(&mut outbox), [(2, EXPIRED)]);
    assert_eq!(outbox.append(first, b"x"), Ok(1));
    assert_eq!(outbox.append(second, b"x"), Err(DropReason::Expired));
    assert_eq!(outbox.finish_pieces(second), Err(DropReason::Expired));
    assert_eq!(outbox.give_up_pieces(second), GivenUp::Before);
    assert_eq!(outbox.buffered(), 2);
}

#[test]
fn a_session_that_ends_in_the_middle_ends_it_and_the_next_one_begins_behind_it() {
    for finished in [false, true] {
        let (mut outbox, now) = outbox(OutboxLimits::new());
        let id = begin(&mut outbox, now);
        put(&mut outbox, b"behind", now);
        outbox.append(id, &[7; 200_000]).unwrap();
        let first = hand_out(&mut outbox, now);
        if finished {
            outbox.finish_pieces(id).unwrap();
        }
        outbox.restore(first, None);
        assert_eq!(fates(&mut outbox), [(1, INTERRUPTED)]);
        if !finished {
            assert_eq!(outbox.append(id, b"x"), Err(DropReason::Interrupted));
            assert_eq!(outbox.finish_pieces(id), Err(DropReason::Interrupted));
            assert_eq!(outbox.give_up_pieces(id), GivenUp::Before);
        }
        assert_eq!(outbox.buffered(), 6);
        assert_eq!(parts(&hand_out(&mut outbox, now)), [(2, Part::Whole, 6)]);
        assert_eq!(outbox.tally().interrupted, 1);
    }
}

#[test]
fn one_whose_last_piece_was_not_written_is_interrupted_and_one_that_was_is_written() {
    let (mut outbox, now) = outbox(OutboxLimits::new());
    for _ in 0..2 {
        let id = begin(&mut outbox, now);
        outbox.append(id, &[7; 100_000]).unwrap();
        outbox.finish_pieces(id).unwrap();
    }
    let mut entries = hand_out(&mut outbox, now);
    while !outbox.is_empty() {
        entries.extend(hand_out(&mut outbox, now));
    }
    let (first, mut second) = entries.into_iter().partition(|entry| entry.id.get() == 1);
    written(&mut outbox, &first);
    outbox.pieces_written(second.pop_front().unwrap().payload.len());
    outbox.restore(second, None);
    assert_eq!(fates(&mut outbox), [(1, WRITTEN), (2, INTERRUPTED)]);
    assert_eq!((outbox.buffered(), outbox.unfinished()), (0, 0));
}

#[test]
fn one_of_which_nothing_went_out_can_be_given_up_as_if_it_had_never_been() {
    let (mut outbox, now) = outbox(OutboxLimits::new());
    let (first, second) = (begin(&mut outbox, now), begin(&mut outbox, now));
    outbox.append(first, b"x").unwrap();
    put(&mut outbox, b"behind", now);
    assert_eq!(outbox.give_up_pieces(second), GivenUp::Whole);
    assert_eq!(outbox.give_up_pieces(first), GivenUp::Whole);
    assert_eq!(fates(&mut outbox), [(2, ABANDONED), (1, ABANDONED)]);
    assert_eq!((outbox.buffered(), outbox.tally().interrupted), (6, 2));
    assert_eq!(parts(&hand_out(&mut outbox, now)), [(3, Part::Whole, 6)]);
}

#[test]
fn one_that_is_given_up_in_the_middle_holds_all_back_until_the_session_ends() {
    let (mut outbox, now) = outbox(OutboxLimits::new());
    let id = begin(&mut outbox, now);
    outbox.append(id, &[7; 200_000]).unwrap();
    put(&mut outbox, b"behind", now);
    let first = hand_out(&mut outbox, now);
    written(&mut outbox, &first);
    assert_eq!(outbox.give_up_pieces(id), GivenUp::InTheMiddle);
    assert!(outbox.is_stuck() && !outbox.is_ready() && !outbox.is_empty());
    assert!(hand_out(&mut outbox, now).is_empty() && fates(&mut outbox).is_empty());
    outbox.restore(VecDeque::new(), None);
    assert_eq!(fates(&mut outbox), [(1, ABANDONED)]);
    assert!(!outbox.is_stuck());
    assert_eq!(parts(&hand_out(&mut outbox, now)), [(2, Part::Whole, 6)]);
}

#[test]
fn a_close_ends_all_that_are_not_finished_and_lets_the_others_go_out() {
    let (mut outbox, now) = outbox(OutboxLimits::new());
    let (finished, open) = (begin(&mut outbox, now), begin(&mut outbox, now));
    outbox.append(finished, &[7; 100_000]).unwrap();
    outbox.append(open, b"x").unwrap();
    outbox.finish_pieces(finished).unwrap();
    assert_eq!(hand_out(&mut outbox, now).len(), 1);
    outbox.close_pieces();
    assert_eq!(fates(&mut outbox), [(2, CLOSED)]);
    assert_eq!(outbox.append(open, b"x"), Err(DropReason::Closed));
    assert!(!outbox.is_stuck() && outbox.is_ready());
    assert_eq!(hand_out(&mut outbox, now)[0].part, Part::Last);
    assert!(outbox.is_empty());

    let begun = begin(&mut outbox, now);
    outbox.append(begun, b"x").unwrap();
    put(&mut outbox, b"behind", now);
    assert_eq!(hand_out(&mut outbox, now).len(), 1);
    outbox.close_pieces();
    assert!(outbox.is_stuck());
    assert_eq!(outbox.append(begun, b"x"), Err(DropReason::Closed));
    assert_eq!(outbox.give_up_pieces(begun), GivenUp::Before);
    outbox.restore(VecDeque::new(), None);
    outbox.close();
    assert_eq!(fates(&mut outbox).last(), Some(&(4, CLOSED)));
    assert_eq!(outbox.tally().closed, 3);
}

#[test]
fn the_clients_end_ends_all() {
    let (mut outbox, now) = outbox(OutboxLimits::new());
    let ids = [begin(&mut outbox, now), begin(&mut outbox, now)];
    outbox.append(ids[0], &[7; 100_000]).unwrap();
    hand_out(&mut outbox, now);
    outbox.close();
    assert_eq!(fates(&mut outbox), [(1, CLOSED), (2, CLOSED)]);
    for id in ids {
        assert_eq!(outbox.append(id, b"x"), Err(DropReason::Closed));
        assert_eq!(outbox.give_up_pieces(id), GivenUp::Before);
    }
    assert_eq!((outbox.buffered(), outbox.unfinished()), (0, 0));
    assert_eq!(outbox.accept_pieces(Kind::Text, Terms::default(), now), Err(SendError::Closed));
}
