//! Whose turn it is, where there are several URLs.

use proptest::prelude::*;

use super::*;
use crate::link::Verdict;
use crate::link::reconnect::Weight;
use crate::link::turns::Turns;

fn several(urls: usize) -> Rules {
    Rules { urls, reconnect: Reconnect::fixed(SEC), ..rules() }
}

/// The places of the attempts that follow, each of which fails in this way.
fn places(turns: &mut Turns, now: &mut Instant, failures: usize) -> Vec<usize> {
    let one = |_| {
        let place = turns.next(*now);
        turns.failed(Weight::Normal, *now);
        *now += SEC;
        place
    };
    (0..failures).map(one).collect()
}

#[test]
fn they_take_turns_after_a_failure() {
    let (mut turns, mut now) = (Turns::new(3, 60 * SEC), Instant::now());
    assert_eq!(places(&mut turns, &mut now, 7), [0, 1, 2, 0, 1, 2, 0]);
    let (mut turns, mut now) = (Turns::new(1, 60 * SEC), Instant::now());
    assert_eq!(places(&mut turns, &mut now, 3), [0, 0, 0]);
}

#[test]
fn one_that_failed_is_passed_over_until_its_penalty_ends() {
    let (mut turns, mut now) = (Turns::new(3, 60 * SEC), Instant::now());
    assert_eq!(places(&mut turns, &mut now, 2), [0, 1]);
    assert_eq!(turns.next(now), 2);
    turns.opened();
    now += 40 * SEC;
    turns.was_stable();
    turns.failed(Weight::Normal, now);
    assert_eq!(turns.next(now), 2, "a stable session's end says nothing against its URL");
    turns.failed(Weight::Normal, now);
    assert_eq!(turns.next(now), 0, "all have failed lately: the one whose penalty ends first");
    now += 25 * SEC;
    turns.failed(Weight::Normal, now);
    assert_eq!(turns.next(now), 1, "its penalty has ended");
}

#[test]
fn a_session_that_did_not_last_counts_as_a_failure_of_its_url() {
    let mut bench = Bench::open(several(2));
    bench.pass(SEC);
    bench.after(Input::SessionFailed(reset()));
    assert_eq!(bench.at_deadline(), "connecting Resolve, dial 2 at 1");
    bench.after(Input::Opened);
    bench.now += 40 * SEC;
    bench.after(Input::SessionFailed(reset()));
    assert_eq!(bench.at_deadline(), "connecting Resolve, dial 1 at 1");
}

#[test]
fn what_is_fatal_at_one_ends_the_client_only_when_it_is_at_all() {
    let mut bench = Bench::new(several(2));
    bench.after(Input::Connect);
    assert_eq!(bench.after(Input::DialFailed(refused(404, &[]))), "waiting for 2, failed 1 retries");
    assert_eq!(bench.at_deadline(), "connecting Resolve, dial 2 at 1");
    bench.after(Input::DialFailed(unreachable()));
    assert_eq!(bench.at_deadline(), "connecting Resolve, dial 3 at 1", "the first one is hopeless");
    assert!(bench.after(Input::DialFailed(refused(404, &[]))).contains("failed 3 final, the end: fatal"));
}

#[test]
fn an_open_session_gives_the_hopeless_another_chance() {
    let mut bench = Bench::new(several(2));
    bench.after(Input::Connect);
    bench.after(Input::DialFailed(refused(404, &[])));
    bench.at_deadline();
    bench.after(Input::Opened);
    bench.after(Input::SessionFailed(reset()));
    assert_eq!(bench.at_deadline(), "connecting Resolve, dial 3");
    assert!(bench.after(Input::DialFailed(refused(404, &[]))).contains("retries"));
}

#[test]
fn an_attempt_that_the_program_could_not_prepare_says_nothing_against_its_url() {
    let mut bench = Bench::new(Rules { before_connect: true, ..several(2) });
    bench.after(Input::Connect);
    bench.after(Input::DialFailed(LinkError::new(Phase::Prepare, Cause::TimedOut)));
    bench.at_deadline();
    assert_eq!(bench.after(Input::Prepared(Verdict::Go)), "connecting Resolve, dial 2");
}

#[test]
fn a_retry_after_holds_up_its_own_url_only() {
    let mut bench = Bench::new(several(2));
    bench.after(Input::Connect);
    bench.after(Input::DialFailed(refused(503, &[("Retry-After", "100")])));
    assert_eq!(bench.due(), Some(SEC));
    assert_eq!(bench.at_deadline(), "connecting Resolve, dial 2 at 1");
    bench.after(Input::DialFailed(unreachable()));
    assert_eq!(bench.due(), Some(SEC));
    assert_eq!(bench.at_deadline(), "connecting Resolve, dial 3 at 1", "its penalty ends before that wish");
}

proptest! {
    #[test]
    fn a_good_one_never_waits_for_a_bad_one_and_none_is_forgotten(
        count in 1..6_usize,
        penalty in 0..100_u32,
        steps in prop::collection::vec((0..4_u8, 0..50_u32), 1..120),
    ) {
        let mut now = Instant::now();
        let mut turns = Turns::new(count, penalty * SEC);
        // What a user would note: until when each is bad.
        let mut bad: Vec<Option<Instant>> = vec![None; count];
        let mut last = None;
        for (what, passed) in steps {
            now += passed * SEC;
            let place = turns.next(now);
            prop_assert!(place < count);
            let is_bad = |place: usize| bad[place].is_some_and(|until| until > now);
            if last != Some(place) {
                prop_assert!(!is_bad(place) || (0..count).all(is_bad), "a bad one before a good one");
            }
            if what == 0 {
                turns.opened();
                turns.was_stable();
                turns.failed(Weight::Normal, now);
                bad[place] = None;
                prop_assert_eq!(turns.next(now), place, "a good one is kept");
                last = Some(place);
            } else {
                turns.failed(Weight::Normal, now);
                bad[place] = Some(now + penalty * SEC);
                last = None;
            }
        }
        // Left to itself, each has its turn.
        let mut seen = vec![false; count];
        for _ in 0..2 * count {
            seen[turns.next(now)] = true;
            now += MS;
            turns.failed(Weight::Normal, now);
        }
        prop_assert!(seen.iter().all(|seen| *seen), "{:?}", seen);
    }
}
