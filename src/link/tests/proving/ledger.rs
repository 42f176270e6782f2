//! Levels and repetitions: what is complete, what is kept, and what goes again.

use super::*;

#[test]
fn a_message_is_acked_when_its_last_byte_is_acknowledged_and_not_before() {
    let mut bench = Bench::open(OutboxLimits::new());
    bench.send(ACKED);
    bench.send(ACKED);
    assert!(bench.outbox.awaits_acknowledgement());
    for (acknowledged, moved) in [(0, false), (9, false), (10, true), (10, false), (19, false), (20, true)] {
        assert_eq!(bench.outbox.acknowledged(acknowledged), moved, "{acknowledged}");
    }
    assert!(!bench.outbox.awaits_acknowledgement() && !bench.outbox.needs_fence());
    assert_eq!(bench.fates(), [(1, 2, done(Level::Acked))]);
}

#[test]
fn what_goes_once_at_most_is_unknown_when_its_session_dies_and_how_far_it_got_is_told() {
    let mut bench = Bench::open(OutboxLimits::new());
    bench.send(ACKED);
    bench.send(PROCESSED);
    bench.send(PROCESSED);
    bench.send(ACKED);
    bench.die(Some(20));
    bench.begin();
    assert_eq!(
        bench.fates(),
        [
            (1, 1, done(Level::Acked)),
            (4, 4, Fate::Unknown(Level::Written)),
            (2, 2, Fate::Unknown(Level::Acked)),
            (3, 3, Fate::Unknown(Level::Written)),
        ]
    );
    assert_eq!((bench.hand_out(), bench.outbox.unconfirmed()), (vec![], 0));
}

#[test]
fn what_has_to_arrive_goes_again_in_its_order_before_what_was_not_written_and_what_waits() {
    let mut bench = Bench::open(OutboxLimits::new());
    let acked_suffices = Terms { asked: Level::Acked, ..AGAIN };
    bench.send(AGAIN);
    bench.send(acked_suffices);
    bench.send(AGAIN);
    bench.send(acked_suffices);
    bench.put_many(2, Terms::default());
    bench.hand_out();
    bench.put(Terms::default());
    bench.die(Some(20));
    assert_eq!(bench.fates(), [(2, 2, done(Level::Acked))]);
    bench.begin();
    assert_eq!(bench.hand_out(), [1, 3, 4, 5, 6, 7]);
    bench.write(6);
    assert_eq!(bench.outbox.tally().replayed, 3);
    let fence = bench.fence();
    bench.outbox.pong(&fence);
    let fates = bench.fates();
    assert_eq!(
        fates,
        [
            (5, 7, done(Level::Written)),
            (4, 4, done(Level::Acked)),
            (1, 1, done(Level::Processed)),
            (3, 3, done(Level::Processed))
        ]
    );
    bench.die(None);
    assert_eq!(bench.hand_out(), [0; 0], "what is complete goes no more");
}

#[test]
fn what_is_kept_counts_against_the_limits_and_makes_room_when_it_is_complete() {
    let mut bench = Bench::open(OutboxLimits::new().messages(3).bytes(100));
    bench.send_many(3, AGAIN);
    assert_eq!((bench.outbox.unfinished(), bench.outbox.buffered(), bench.outbox.unconfirmed()), (0, 0, 3));
    assert_eq!(bench.try_put(Terms::default()), Err(SendError::Full));
    assert!(!bench.outbox.has_room(1));
    let fence = bench.fence();
    bench.outbox.pong(&fence);
    assert!(bench.outbox.take_writable());
    bench.put(Terms::default());

    let mut bench = Bench::open(OutboxLimits::new().bytes(25).evict_oldest_when_full());
    bench.send_many(2, AGAIN);
    assert_eq!(bench.try_put(Terms::default()), Err(SendError::Full), "what is kept is not evicted");
}

#[test]
fn a_level_without_repetition_keeps_no_payloads_and_holds_nobody_up() {
    let mut bench = Bench::open(OutboxLimits::new().messages(2).bytes(20));
    bench.send_many(50_000, PROCESSED);
    assert_eq!(bench.outbox.unconfirmed(), 50_000);
    let fence = bench.fence();
    bench.outbox.pong(&fence);
    assert_eq!(bench.fates(), [(1, 50_000, done(Level::Processed))]);
}

#[test]
fn ranges_that_cannot_be_joined_are_bounded() {
    let mut bench = Bench::open(OutboxLimits::new());
    let refused = (0..20_000).find_map(|i| {
        let terms = if i % 2 == 0 { PROCESSED } else { Terms::default() };
        let refused = bench.try_put(terms).err();
        bench.hand_out();
        bench.write(bench.wire.len());
        bench.fates();
        refused
    });
    assert_eq!(refused, Some(SendError::Full));
    let fence = bench.fence();
    bench.outbox.pong(&fence);
    bench.fates();
    assert!(bench.outbox.take_writable() && bench.try_put(PROCESSED).is_ok());
}

#[test]
fn one_that_was_written_before_is_unknown_and_not_dropped_when_it_goes_no_more() {
    let limits = || OutboxLimits::new().messages(2).evict_oldest_when_full().time_to_live(SEC);
    let written_before = |bench: &mut Bench| {
        bench.begin();
        bench.send(AGAIN);
        bench.die(Some(10));
        bench.put(Terms::default());
    };

    let mut bench = Bench::new(limits());
    written_before(&mut bench);
    bench.put(Terms::default());
    assert_eq!(bench.fates(), [(1, 1, Fate::Unknown(Level::Acked))], "evicted");

    let mut bench = Bench::new(limits());
    written_before(&mut bench);
    bench.outbox.expire(bench.now + SEC);
    let expired = Fate::Dropped(DropReason::Expired);
    assert_eq!(bench.fates(), [(1, 1, Fate::Unknown(Level::Acked)), (2, 2, expired)]);

    let mut bench = Bench::new(limits());
    written_before(&mut bench);
    bench.outbox.close();
    let closed = Fate::Dropped(DropReason::Closed);
    assert_eq!(bench.fates(), [(1, 1, Fate::Unknown(Level::Acked)), (2, 2, closed)]);
}

#[test]
fn the_end_of_the_client_leaves_what_was_written_and_unproven_unknown() {
    let mut bench = Bench::open(OutboxLimits::new());
    bench.send(PROCESSED);
    bench.send(AGAIN);
    bench.put(AGAIN);
    bench.outbox.close();
    let (unknown, closed) = (Fate::Unknown(Level::Written), Fate::Dropped(DropReason::Closed));
    assert_eq!(bench.fates(), [(1, 2, unknown), (3, 3, closed)]);
    let tally = bench.outbox.tally();
    assert_eq!((tally.accepted, tally.unknown, tally.closed), (3, 2, 1));
}

#[test]
fn the_program_sees_each_message_once_before_each_repetition() {
    let mut bench = Bench::open(OutboxLimits::new());
    bench.send(AGAIN);
    bench.send(AGAIN);
    bench.put(AGAIN);
    for number in 1..4 {
        bench.die(None);
        let mut stamped = Vec::new();
        while let Some((id, kind, number, mut payload)) = bench.outbox.next_unstamped() {
            payload.push(b'!');
            stamped.push((id.get(), number));
            bench.outbox.stamped(id, kind, payload);
        }
        let expected: &[_] =
            if number == 1 { &[(1, 1), (2, 1)] } else { &[(1, number), (2, number), (3, number - 1)] };
        assert_eq!(stamped, expected);
        bench.begin();
        assert_eq!(bench.hand_out(), [1, 2, 3]);
        assert_eq!(bench.wire[0].payload.len(), 10 + number as usize);
        bench.write(3);
    }
}

#[test]
fn a_great_many_repetitions_are_seen_in_no_time() {
    let mut bench = Bench::open(OutboxLimits::new().messages(200_000).bytes(1 << 30));
    bench.send_many(50_000, AGAIN);
    bench.send_many(50_000, Terms { priority: Priority::High, ..AGAIN });
    bench.die(None);
    let begun = Instant::now();
    let mut seen = 0;
    while let Some((id, kind, _, payload)) = bench.outbox.next_unstamped() {
        bench.outbox.stamped(id, kind, payload);
        seen += 1;
    }
    assert_eq!((seen, bench.outbox.buffered()), (100_000, 1_000_000));
    // One that looked through all of them for each would take minutes.
    assert!(begun.elapsed() < 5 * SEC, "{:?}", begun.elapsed());
}

#[test]
fn a_stamp_for_a_message_that_went_meanwhile_is_for_nobody() {
    let mut bench = Bench::open(OutboxLimits::new().messages(1).evict_oldest_when_full());
    bench.send(AGAIN);
    bench.die(None);
    let (id, kind, ..) = bench.outbox.next_unstamped().unwrap();
    bench.put(Terms::default());
    bench.outbox.stamped(id, kind, vec![0; 1000]);
    assert_eq!((bench.outbox.waiting(), bench.outbox.buffered()), (1, 10));
    assert_eq!(bench.fates(), [(1, 1, Fate::Unknown(Level::Written))]);
}

#[test]
fn high_priority_goes_before_all_that_waits_and_nothing_that_was_handed_out() {
    let mut bench = Bench::open(OutboxLimits::new());
    bench.put(Terms::default());
    bench.hand_out();
    bench.put_many(2, Terms::default());
    bench.put_many(2, HIGH);
    bench.die(None);
    bench.put(HIGH);
    let first = bench.outbox.accept_first(Kind::Text, b"hello", Terms::default(), bench.now).unwrap();
    assert_eq!(bench.outbox.oldest_unfinished(), Some(MessageId(1)));
    assert_eq!(bench.hand_out(), [first.get(), 4, 5, 6, 1, 2, 3]);
    bench.write(4);
    assert_eq!(bench.outbox.oldest_unfinished(), Some(MessageId(1)));
    bench.write(3);
    assert_eq!(bench.outbox.oldest_unfinished(), None);
}

#[test]
fn a_normal_message_makes_no_high_one_go_but_a_high_one_any_other() {
    let limits = OutboxLimits::new().messages(2).evict_oldest_when_full();
    let mut bench = Bench::new(limits);
    bench.put(HIGH);
    bench.put(Terms::default());
    bench.put(Terms::default());
    let evicted = |id| (id, id, Fate::Dropped(DropReason::Evicted));
    assert_eq!(bench.fates(), [evicted(2)]);
    bench.put(HIGH);
    assert_eq!(bench.fates(), [evicted(3)]);
    assert_eq!(bench.try_put(Terms::default()), Err(SendError::Full));
    bench.put(HIGH);
    assert_eq!(bench.fates(), [evicted(1)]);
    assert_eq!(bench.hand_out(), [4, 5]);
}

#[test]
fn a_session_dies_in_no_time_with_a_great_many_messages_to_go_again() {
    let mut bench = Bench::open(OutboxLimits::new().messages(500_000).bytes(1 << 30));
    bench.send_many(400_000, AGAIN);
    let begun = Instant::now();
    bench.die(Some(0));
    // One that looked through all of them for each line would take several times as long.
    assert!(begun.elapsed() < 2 * SEC, "{:?}", begun.elapsed());
    assert_eq!(bench.outbox.waiting(), 400_000);
}

#[test]
fn each_level_lets_go_of_its_own_and_the_rest_goes_again_in_its_order() {
    let mut bench = Bench::open(OutboxLimits::new());
    for _ in 0..100 {
        bench.send(Terms { asked: Level::Acked, ..AGAIN });
        bench.send(AGAIN);
    }
    bench.outbox.acknowledged(bench.taken / 2);
    assert_eq!(bench.outbox.unconfirmed(), 150, "every second one of the first half is complete");
    bench.die(None);
    let left: Vec<u64> = (1..=200).filter(|id| id % 2 == 0 || *id > 100).collect();
    assert_eq!(bench.hand_out(), left);
}

#[test]
fn a_repetition_counts_once_it_is_written_whole() {
    let mut bench = Bench::open(OutboxLimits::new());
    bench.send(AGAIN);
    for _ in 0..3 {
        bench.die(None);
        bench.begin();
        assert_eq!(bench.hand_out(), [1]);
    }
    assert_eq!(bench.outbox.tally().replayed, 0, "no session lived until it was written");
    bench.write(1);
    assert_eq!(bench.outbox.tally().replayed, 1);
}
