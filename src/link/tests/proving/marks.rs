//! What flushes wait for.

use super::*;

/// The only message that is left goes on a new session, and is read there.
#[track_caller]
fn is_reached_on_the_next_session(bench: &mut Bench, mark: u64, left: u64) {
    bench.begin();
    assert_eq!(bench.hand_out(), [left]);
    bench.write(1);
    let fence = bench.fence();
    assert!(bench.outbox.pong(&fence));
    assert_eq!(bench.outbox.marked(mark), Marked::Reached);
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
fn a_flush_is_not_lost_with_a_message_that_was_proven_meanwhile() {
    let mut bench = Bench::open(OutboxLimits::new());
    bench.send(of_level(Level::Written));
    bench.send(PROCESSED);
    let fence = bench.fence();
    bench.send(AGAIN);
    let mark = bench.outbox.mark(Level::Processed);
    assert!(bench.outbox.pong(&fence));
    bench.die(None);
    assert_eq!(
        bench.outbox.marked(mark),
        Marked::Waiting,
        "the first two were read, and the third goes again"
    );
    is_reached_on_the_next_session(&mut bench, mark, 3);
}

#[test]
fn a_flush_is_not_lost_with_a_message_that_came_after_it_and_overtook() {
    let mut bench = Bench::open(OutboxLimits::new());
    bench.put(AGAIN);
    let mark = bench.outbox.mark(Level::Processed);
    bench.put(HIGH);
    bench.hand_out();
    bench.write(1);
    assert_eq!(bench.fates(), [(2, 2, done(Level::Written))]);
    bench.die(None);
    assert_eq!(
        bench.outbox.marked(mark),
        Marked::Waiting,
        "the one it waits for was never sent, and goes yet"
    );
    is_reached_on_the_next_session(&mut bench, mark, 1);
}

#[test]
fn a_flush_is_lost_with_a_message_of_its_own_that_was_complete_at_less_while_another_waited() {
    let mut bench = Bench::open(OutboxLimits::new());
    bench.put(AGAIN);
    bench.put(HIGH);
    let mark = bench.outbox.mark(Level::Processed);
    bench.hand_out();
    bench.write(1);
    bench.die(None);
    assert_eq!(bench.outbox.marked(mark), Marked::Lost);
}

#[test]
fn a_flush_for_acked_is_not_lost_with_a_message_that_was_acked() {
    let mut bench = Bench::open(OutboxLimits::new());
    bench.send(PROCESSED);
    bench.send(AGAIN);
    let mark = bench.outbox.mark(Level::Acked);
    bench.die(Some(10));
    assert_eq!(bench.fates(), [(1, 1, Fate::Unknown(Level::Acked))]);
    assert_eq!(bench.outbox.marked(mark), Marked::Waiting, "the first got so far, and the second goes again");
    bench.begin();
    assert_eq!(bench.hand_out(), [2]);
    bench.write(1);
    bench.outbox.acknowledged(10);
    assert_eq!(bench.outbox.marked(mark), Marked::Reached);
}
