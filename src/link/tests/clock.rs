//! A clock that stands still and then jumps by hours, as a loop sees it whose machine, virtual machine or thread was
//! halted: no storm of heartbeats or attempts, and what is late counts from now.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// Everything that the link wants at this moment, however often it is asked.
fn at_once(bench: &mut Bench) -> String {
    let mut all = Vec::new();
    for _ in 0..1000 {
        let wanted = bench.pass(Duration::ZERO);
        if !wanted.is_empty() {
            all.push(wanted);
        }
    }
    all.join(", ")
}

#[test]
fn while_the_clock_stands_still_nothing_is_due() {
    let heartbeats = [Heartbeat::ping(), Heartbeat::ping().every(10 * SEC), Heartbeat::text("ping")];
    for heartbeat in heartbeats {
        let mut bench = Bench::open(Rules { heartbeat, ..rules() });
        assert_eq!(at_once(&mut bench), "");
    }
}

#[test]
fn a_jump_by_hours_is_one_beat_and_no_verdict() {
    for heartbeat in [Heartbeat::ping(), Heartbeat::ping().every(10 * SEC)] {
        let mut bench = Bench::open(Rules { heartbeat, ..rules() });
        bench.now += 9 * HOUR;
        assert_eq!(at_once(&mut bench), "beat");
        bench.after(Input::BeatWritten { accepted: 14, acknowledged: None });
        assert_eq!(at_once(&mut bench), "");
        assert_eq!(bench.due(), Some(10 * SEC), "the answer has its time from now");
    }
}

#[test]
fn a_jump_by_hours_while_an_answer_is_awaited_is_one_miss() {
    let mut bench = Bench::open(rules());
    assert_eq!(bench.pass(20 * SEC), "beat");
    bench.after(Input::BeatWritten { accepted: 14, acknowledged: None });
    bench.now += 9 * HOUR;
    assert_eq!(at_once(&mut bench), "beat", "of two misses");
    bench.after(Input::BeatWritten { accepted: 28, acknowledged: None });
    assert_eq!(bench.due(), Some(10 * SEC));
    assert_eq!(bench.after(Input::Heard), "");
    assert_eq!(bench.due(), Some(20 * SEC), "it lives");
}

#[test]
fn a_machine_that_slept_sends_one_beat_although_every_deadline_has_passed_as_well() {
    let mut bench = Bench::open(Rules { heartbeat: Heartbeat::ping().every(10 * SEC), ..rules() });
    bench.now += 9 * HOUR;
    assert_eq!(bench.after(Input::Woke), "beat");
    assert_eq!(at_once(&mut bench), "");
}

#[test]
fn a_jump_by_hours_is_one_attempt_and_the_next_delay_counts_from_its_failure() {
    let mut bench = Bench::open(rules());
    bench.after(Input::SessionFailed(reset()));
    bench.now += 9 * HOUR;
    assert_eq!(at_once(&mut bench), "connecting Resolve, dial 2");
    assert_eq!(bench.due(), Some(15 * SEC), "it has all of its time");
    assert_eq!(bench.after(Input::DialFailed(unreachable())), "waiting for 3, failed 2 retries");
    assert_eq!(at_once(&mut bench), "");
    assert_eq!(bench.due(), Some(5 * SEC));
}

#[test]
fn a_jump_by_hours_in_an_attempt_ends_that_attempt_and_no_other() {
    let mut bench = Bench::new(rules());
    bench.after(Input::Connect);
    bench.now += 9 * HOUR;
    assert_eq!(at_once(&mut bench), "abandon, waiting for 2, failed 1 retries");
    assert_eq!(bench.due(), Some(5 * SEC));
}

#[test]
fn a_jump_by_hours_while_closing_is_the_end_and_no_more() {
    let mut bench = Bench::open(rules());
    bench.after(Input::Close { code: 1000, reason: "" });
    bench.now += 9 * HOUR;
    let wanted = at_once(&mut bench);
    assert_eq!(wanted.matches("the end").count(), 1, "{wanted}");
    assert!(!wanted.contains("dial"), "{wanted}");
    assert_eq!(bench.due(), None);
}
