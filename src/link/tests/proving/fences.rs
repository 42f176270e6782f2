//! What a pong proves, and what it does not.

use super::*;

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
