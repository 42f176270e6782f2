//! What becomes of messages that were written: levels, repetitions, and what flushes wait for.

use super::*;
use crate::config::delivery::{Delivery, Priority, Terms};
use crate::config::outbox::OutboxLimits;
use crate::entry::{Entry, Kind};
use crate::error::SendError;
use crate::event::{DropReason, Fate, Level, MessageId};
use crate::link::outbox::{Marked, Outbox};

const ACKED: Terms = of_level(Level::Acked);
const PROCESSED: Terms = of_level(Level::Processed);
const AGAIN: Terms = Terms { delivery: Delivery::AtLeastOnce, ..of_level(Level::Written) };
const HIGH: Terms = Terms { priority: Priority::High, ..of_level(Level::Written) };

const fn of_level(asked: Level) -> Terms {
    Terms { asked, delivery: Delivery::AtMostOnce, priority: Priority::Normal }
}

/// An outbox with what a loop, a wire and a socket do for it: one byte of the stream for each byte of payload.
struct Bench {
    outbox: Outbox,
    now: Instant,
    wire: VecDeque<Entry>,
    taken: u64,
}

impl Bench {
    fn new(limits: OutboxLimits) -> Bench {
        let mut outbox = Outbox::new(limits);
        outbox.report_outcomes(true);
        Bench { outbox, now: Instant::now(), wire: VecDeque::new(), taken: 0 }
    }

    fn open(limits: OutboxLimits) -> Bench {
        let mut bench = Bench::new(limits);
        bench.begin();
        bench
    }

    fn begin(&mut self) {
        self.taken = 0;
        self.outbox.begin_session(7, 0, true);
    }

    /// Ten bytes.
    fn put(&mut self, terms: Terms) -> u64 {
        self.try_put(terms).expect("there is room")
    }

    fn try_put(&mut self, terms: Terms) -> Result<u64, SendError> {
        self.outbox.accept(Kind::Text, b"ten bytes.", terms, None, self.now).map(MessageId::get)
    }

    /// Hands out all that waits; its ids.
    fn hand_out(&mut self) -> Vec<u64> {
        let mut ids = Vec::new();
        self.outbox.hand_out(usize::MAX, self.now, |entry| {
            ids.push(entry.id.get());
            self.wire.push_back(entry);
        });
        ids
    }

    /// The socket takes the oldest of what was handed out.
    fn write(&mut self, messages: usize) {
        for entry in self.wire.drain(..messages) {
            self.taken += entry.payload.len() as u64;
            self.outbox.written(entry.id, entry.id, 1, entry.payload.len(), self.taken);
            if entry.record.terms.goes_again() {
                self.outbox.keep(entry);
            }
        }
        self.outbox.taken(self.taken);
    }

    fn send(&mut self, terms: Terms) -> u64 {
        let id = self.put(terms);
        self.hand_out();
        self.write(self.wire.len());
        id
    }

    fn put_many(&mut self, messages: u32, terms: Terms) {
        for _ in 0..messages {
            self.put(terms);
        }
    }

    fn send_many(&mut self, messages: u32, terms: Terms) {
        for _ in 0..messages {
            self.send(terms);
        }
    }

    fn die(&mut self, acknowledged: Option<u64>) {
        self.outbox.restore(std::mem::take(&mut self.wire), acknowledged);
    }

    fn fates(&mut self) -> Vec<(u64, u64, Fate)> {
        let outcomes = drain(|| self.outbox.next_outcome()).into_iter();
        outcomes.map(|outcome| (outcome.first().get(), outcome.last().get(), outcome.fate())).collect()
    }

    /// The payload of the next fence, as the server sends it back.
    fn fence(&mut self) -> Vec<u8> {
        self.outbox.fence().expect("a fence is needed").to_vec()
    }
}

fn done(level: Level) -> Fate {
    Fate::Completed(level)
}

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
fn a_pong_proves_what_was_written_before_its_ping_and_nothing_after() {
    let mut bench = Bench::open(OutboxLimits::new());
    bench.send(PROCESSED);
    let fence = bench.fence();
    bench.send(PROCESSED);
    assert!(!bench.outbox.needs_fence(), "one at a time");
    bench.outbox.acknowledged(20);
    assert_eq!(bench.fates(), [], "acknowledged is not processed");
    assert!(bench.outbox.pong(&fence));
    assert_eq!(bench.fates(), [(1, 1, done(Level::Processed))]);
    let fence = bench.fence();
    assert!(bench.outbox.pong(&fence));
    assert_eq!(bench.fates(), [(2, 2, done(Level::Processed))]);
    assert!(!bench.outbox.pong(&fence) && !bench.outbox.needs_fence(), "a pong counts once");
}

#[test]
fn pongs_that_answer_no_fence_prove_nothing_but_make_a_further_one() {
    let mut bench = Bench::open(OutboxLimits::new());
    assert!(!bench.outbox.pong(b"") && !bench.outbox.needs_fence(), "nobody waits for one");
    bench.send(PROCESSED);
    let first = bench.fence();
    for pong in [&b""[..], b"beat", &first[..15], &[0; 16]] {
        assert!(!bench.outbox.pong(pong), "{pong:?}");
        assert_eq!(bench.fates(), []);
    }
    let second = bench.fence();
    assert_ne!(first, second);
    assert!(!bench.outbox.needs_fence());
    assert!(bench.outbox.pong(&first), "the older one is still as good");
    assert_eq!(bench.fates(), [(1, 1, done(Level::Processed))]);
}

#[test]
fn of_many_fences_the_oldest_and_the_newest_count_and_those_between_as_the_oldest() {
    for (answered, complete) in [(0, 1), (5, 6), (50, 7), (100, 101)] {
        let mut bench = Bench::open(OutboxLimits::new());
        bench.send(PROCESSED);
        let fences: Vec<_> = (0..=100)
            .map(|i| {
                if i > 0 {
                    // Each covers one message more than the one before.
                    bench.send(PROCESSED);
                    bench.outbox.pong(b"unasked");
                }
                bench.fence()
            })
            .collect();
        assert!(bench.outbox.pong(&fences[answered]));
        let told: u64 = bench.fates().iter().map(|(from, to, _)| to - from + 1).sum();
        assert_eq!(told, complete, "the pong of fence {}", answered + 1);
    }
}

#[test]
fn a_fence_of_another_session_proves_nothing() {
    let mut bench = Bench::open(OutboxLimits::new());
    bench.send(PROCESSED);
    let fence = bench.fence();
    bench.die(None);
    bench.outbox.begin_session(8, 0, true);
    bench.send(PROCESSED);
    assert_ne!(bench.fence(), fence);
    assert!(!bench.outbox.pong(&fence));
    assert_eq!(bench.fates(), [(1, 1, Fate::Unknown(Level::Written))]);
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
    assert_eq!(bench.outbox.tally().replayed, 3);
    bench.write(6);
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
fn a_mark_is_reached_when_all_before_it_are_proven_whatever_was_asked_for_them() {
    let mut bench = Bench::open(OutboxLimits::new());
    bench.send(Terms::default());
    let sent = bench.put(Terms::default());
    let (acked, processed) = (bench.outbox.mark(Level::Acked), bench.outbox.mark(Level::Processed));
    bench.put(Terms::default());
    bench.outbox.taken(10);
    bench.outbox.acknowledged(10);
    assert!(!bench.outbox.awaits_proof(), "message {sent} is not written");
    bench.hand_out();
    bench.write(2);
    assert_eq!(bench.outbox.marked(acked), Marked::Waiting);
    assert!(bench.outbox.acknowledged(30));
    assert_eq!(
        (bench.outbox.marked(acked), bench.outbox.marked(processed)),
        (Marked::Reached, Marked::Waiting)
    );
    let fence = bench.fence();
    assert!(bench.outbox.pong(&fence));
    assert_eq!(bench.outbox.marked(processed), Marked::Reached);
    assert!(!bench.outbox.awaits_proof() && !bench.outbox.needs_fence());
}

#[test]
fn a_mark_is_lost_where_a_session_dies_with_something_nobody_can_tell_of() {
    for (terms, acknowledged, after) in [
        (Terms::default(), None, Marked::Lost),
        (Terms::default(), Some(9), Marked::Lost),
        // All of it had arrived there.
        (Terms::default(), Some(10), Marked::Reached),
        (PROCESSED, Some(9), Marked::Lost),
        // It goes again.
        (AGAIN, Some(9), Marked::Waiting),
    ] {
        let mut bench = Bench::open(OutboxLimits::new());
        bench.send(terms);
        let mark = bench.outbox.mark(Level::Acked);
        bench.outbox.taken(bench.taken);
        bench.die(acknowledged);
        assert_eq!(bench.outbox.marked(mark), after, "{terms:?}, {acknowledged:?}");
    }
}

#[test]
fn a_mark_waits_for_what_goes_again() {
    let mut bench = Bench::open(OutboxLimits::new());
    bench.send(AGAIN);
    let mark = bench.outbox.mark(Level::Processed);
    bench.outbox.taken(10);
    bench.die(None);
    bench.begin();
    bench.hand_out();
    bench.write(1);
    assert_eq!(bench.outbox.marked(mark), Marked::Waiting);
    let fence = bench.fence();
    bench.outbox.pong(&fence);
    assert_eq!(bench.outbox.marked(mark), Marked::Reached);
}

#[test]
fn a_mark_without_a_session_waits_for_what_waits_and_for_nothing_else() {
    let mut bench = Bench::new(OutboxLimits::new().time_to_live(SEC));
    let nothing = bench.outbox.mark(Level::Processed);
    assert_eq!(bench.outbox.marked(nothing), Marked::Reached);
    bench.put(Terms::default());
    let mark = bench.outbox.mark(Level::Processed);
    assert_eq!(bench.outbox.marked(mark), Marked::Waiting);
    bench.outbox.expire(bench.now + SEC);
    assert_eq!(bench.outbox.marked(mark), Marked::Reached, "what was dropped is waited for no more");
    bench.outbox.unmark(mark);
    bench.outbox.unmark(nothing);
    assert!(!bench.outbox.has_marks());
}

#[test]
fn where_the_kernel_does_not_tell_a_pong_proves_that_what_has_to_arrive_did() {
    let mut bench = Bench::new(OutboxLimits::new());
    bench.outbox.begin_session(7, 0, false);
    bench.send(Terms { asked: Level::Acked, ..AGAIN });
    assert!(bench.outbox.awaits_proof() && !bench.outbox.awaits_acknowledgement());
    let fence = bench.fence();
    bench.outbox.pong(&fence);
    assert_eq!(bench.fates(), [(1, 1, done(Level::Acked))]);
    assert!(!bench.outbox.awaits_proof());
}

#[test]
fn where_the_kernel_does_not_tell_nobody_waits_for_it() {
    let mut bench = Bench::new(OutboxLimits::new());
    bench.outbox.begin_session(7, 0, false);
    bench.send(ACKED);
    bench.send(PROCESSED);
    assert!(!bench.outbox.awaits_acknowledgement());
    let fence = bench.fence();
    bench.outbox.pong(&fence);
    assert_eq!(
        bench.fates(),
        [(1, 1, done(Level::Acked)), (2, 2, done(Level::Processed))],
        "a pong proves both"
    );
    bench.send(ACKED);
    assert!(!bench.outbox.awaits_proof(), "a close would wait for nothing");
    bench.die(None);
    assert_eq!(bench.fates(), [(3, 3, Fate::Unknown(Level::Written))]);
}

#[test]
fn a_late_pong_of_a_ping_that_nobody_waits_for_any_more_proves_nothing_of_what_came_after() {
    let mut bench = Bench::open(OutboxLimits::new());
    bench.send(of_level(Level::Written));
    let mark = bench.outbox.mark(Level::Processed);
    let late = bench.fence();
    // The flush ran out of time, the client fell quiet, and gave its memory back.
    bench.outbox.unmark(mark);
    bench.outbox.shrink();
    let id = bench.send(PROCESSED);
    let fence = bench.fence();
    bench.fates();
    assert!(!bench.outbox.pong(&late), "the server has not read the message");
    assert_eq!(bench.fates(), []);
    assert!(bench.outbox.pong(&fence));
    assert_eq!(bench.fates(), [(id, id, done(Level::Processed))]);
}

#[test]
fn where_the_kernel_does_not_tell_messages_that_wait_for_that_do_not_stop_all_others_for_ever() {
    let mut bench = Bench::new(OutboxLimits::new());
    bench.outbox.begin_session(7, 0, false);
    for _ in 0..10_000 {
        bench.send(ACKED);
        // No neighbour of the next one that is told of.
        bench.send(of_level(Level::Written));
        bench.fates();
        if bench.outbox.needs_fence() {
            let fence = bench.fence();
            bench.outbox.pong(&fence);
        }
    }
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
