//! Attempts, sessions and what is told of them.

use super::*;

const RETRY: &str = "waiting for 2, failed 1 retries";

#[test]
fn a_connect_dials_once_and_tells_each_phase() {
    let mut bench = Bench::new(rules());
    assert_eq!(bench.link.state(), State::Idle);
    assert_eq!(bench.due(), None);
    assert_eq!(bench.after(Input::Connect), "connecting Resolve, dial 1");
    assert_eq!(bench.after(Input::Connect), "");
    assert_eq!(bench.after(Input::Phase(Phase::Resolve)), "");
    assert_eq!(bench.after(Input::Phase(Phase::Connect)), "connecting Connect");
    assert_eq!(bench.after(Input::Phase(Phase::Upgrade)), "connecting Upgrade");
    assert_eq!(bench.after(Input::Opened), "open, opened by 1 first");
    assert_eq!(bench.link.state(), State::Open);
}

#[test]
fn the_whole_attempt_has_one_deadline_and_the_error_names_the_phase_it_was_in() {
    let mut bench = Bench::new(rules());
    bench.after(Input::Connect);
    bench.pass(10 * SEC);
    bench.after(Input::Phase(Phase::Tls));
    assert_eq!(bench.due(), Some(5 * SEC));
    bench.now += 5 * SEC;
    bench.link.handle(Input::Tick { acknowledged: None }, bench.now);
    let failed = drain(|| bench.link.next_action()).into_iter().find_map(|action| match action {
        Action::Tell(Event::ConnectFailed(failed)) => Some(failed),
        _ => None,
    });
    let failed = failed.expect("the attempt failed");
    assert_eq!(failed.error().phase(), Phase::Tls);
    assert!(matches!(failed.error().cause(), Cause::TimedOut));
    assert_eq!(failed.retry_in(), Some(5 * SEC));
}

#[test]
fn a_failed_attempt_is_followed_by_the_next_after_its_delay() {
    let mut bench = Bench::new(rules());
    bench.after(Input::Connect);
    assert_eq!(bench.after(Input::DialFailed(unreachable())), RETRY);
    assert_eq!(bench.link.state(), State::Waiting { attempt: 2, delay: 5 * SEC });
    assert_eq!(bench.pass(5 * SEC - MS), "");
    assert_eq!(bench.pass(MS), "connecting Resolve, dial 2");
    assert_eq!(bench.after(Input::Opened), "open, opened by 2 first");
}

#[test]
fn on_error_and_on_close_together_cause_one_attempt() {
    let mut bench = Bench::open(rules());
    let lost = "error, end, waiting for 2, close 1006 unclean by Network retries";
    assert_eq!(bench.after(Input::SessionFailed(reset())), lost);
    assert_eq!(bench.after(Input::SessionFailed(reset())), "");
    assert_eq!(bench.after(Input::StreamEnded), "");
    assert_eq!(bench.after(Input::Connect), "");
    assert_eq!(bench.pass(5 * SEC), "connecting Resolve, dial 2");
    assert_eq!(bench.after(Input::ReconnectNow), "");
    assert_eq!(bench.pass(5 * SEC), "");
}

#[test]
fn only_the_first_open_is_called_the_first() {
    let mut bench = Bench::open(rules());
    bench.now += 40 * SEC;
    bench.after(Input::SessionFailed(reset()));
    assert_eq!(bench.at_deadline(), "connecting Resolve, dial 1");
    assert_eq!(bench.after(Input::Opened), "open, opened by 1");
}

#[test]
fn reconnect_now_skips_the_wait_and_does_nothing_elsewhere() {
    let mut bench = Bench::new(rules());
    assert_eq!(bench.after(Input::ReconnectNow), "");
    bench.after(Input::Connect);
    assert_eq!(bench.after(Input::ReconnectNow), "");
    bench.after(Input::DialFailed(unreachable()));
    assert_eq!(bench.after(Input::ReconnectNow), "connecting Resolve, dial 2");
    bench.after(Input::Opened);
    assert_eq!(bench.after(Input::ReconnectNow), "");
}

#[test]
fn no_attempt_begins_while_lifecycle_events_wait_to_be_taken() {
    let mut bench = Bench::new(rules());
    bench.after(Input::Connect);
    bench.after(Input::DialFailed(unreachable()));
    assert_eq!(bench.after(Input::Held(true)), "");
    assert_eq!(bench.due(), None);
    assert_eq!(bench.pass(9 * SEC), "");
    assert_eq!(bench.after(Input::ReconnectNow), "");
    assert_eq!(bench.after(Input::Held(false)), "connecting Resolve, dial 2");
}

#[test]
fn a_release_before_the_delay_is_over_does_not_shorten_it() {
    let mut bench = Bench::new(rules());
    bench.after(Input::Connect);
    bench.after(Input::DialFailed(unreachable()));
    bench.after(Input::Held(true));
    bench.pass(2 * SEC);
    assert_eq!(bench.after(Input::Held(false)), "");
    assert_eq!(bench.due(), Some(3 * SEC));
}

#[test]
fn a_connect_that_is_held_waits_in_sight() {
    let mut bench = Bench::new(rules());
    bench.after(Input::Held(true));
    assert_eq!(bench.after(Input::Connect), "waiting for 1");
    assert_eq!(bench.after(Input::Held(false)), "connecting Resolve, dial 1");
}

#[test]
fn a_dead_link_is_told_dropped_hard_and_dialled_again() {
    let mut bench = Bench::open(rules());
    assert_eq!(bench.pass(20 * SEC), "beat");
    bench.after(Input::BeatWritten { accepted: 14, acknowledged: None });
    assert!(bench.link.wants_acknowledged());
    assert_eq!(bench.pass(10 * SEC), "beat");
    bench.after(Input::BeatWritten { accepted: 28, acknowledged: None });
    assert_eq!(bench.pass(10 * SEC), "error, abort, waiting for 1, close 1006 unclean by Library retries");
}

#[test]
fn after_suspend_a_beat_goes_out_at_once() {
    let mut bench = Bench::open(rules());
    assert_eq!(bench.after(Input::Woke), "beat");
    assert_eq!(bench.after(Input::Woke), "");
}

#[test]
fn an_answered_ping_tells_its_round_trip_time() {
    let mut bench = Bench::open(rules());
    bench.link.handle(Input::Woke, bench.now);
    let Some(Action::Beat(crate::link::Beat::Ping(payload))) = bench.link.next_action() else {
        panic!("no ping")
    };
    bench.after(Input::BeatWritten { accepted: 14, acknowledged: None });
    bench.now += 42 * MS;
    assert_eq!(bench.after(Input::Heard), "");
    assert_eq!(bench.after(Input::Pong(&payload)), "answered in 42ms");
    assert_eq!(bench.after(Input::Pong(&payload)), "");
}

#[test]
fn a_reply_to_a_text_beat_is_not_delivered_and_tells_its_time() {
    let heartbeat = Heartbeat::text("ping").reply("pong").every(10 * SEC);
    let mut bench = Bench::open(Rules { heartbeat, ..rules() });
    assert_eq!(bench.pass(10 * SEC), "beat");
    bench.now += 7 * MS;
    assert!(bench.link.message(crate::event::MessageRef::Text("news"), bench.now));
    assert!(!bench.link.message(crate::event::MessageRef::Text("pong"), bench.now));
    assert_eq!(bench.wants(), "answered in 7ms");
}

#[test]
fn pongs_of_the_last_session_say_nothing_about_this_one() {
    let mut bench = Bench::open(rules());
    bench.link.handle(Input::Woke, bench.now);
    let Some(Action::Beat(crate::link::Beat::Ping(payload))) = bench.link.next_action() else {
        panic!("no ping")
    };
    bench.after(Input::SessionFailed(reset()));
    bench.at_deadline();
    bench.after(Input::Opened);
    bench.after(Input::Woke);
    assert_eq!(bench.after(Input::Pong(&payload)), "");
}

#[test]
fn inputs_before_connect_and_after_the_end_are_ignored() {
    let inputs = || {
        [
            Input::ReconnectNow,
            Input::Phase(Phase::Tls),
            Input::Opened,
            Input::DialFailed(unreachable()),
            Input::Heard,
            Input::Pong(b"12345678"),
            Input::BeatWritten { accepted: 1, acknowledged: Some(1) },
            Input::Drained,
            Input::CloseWritten,
            Input::PeerClose { code: 1000, reason: "" },
            Input::SessionFailed(reset()),
            Input::StreamEnded,
            Input::ReadingPaused(false),
            Input::Held(false),
            Input::Woke,
            Input::Tick { acknowledged: Some(1) },
        ]
    };
    let mut bench = Bench::new(rules());
    for input in inputs() {
        assert_eq!(bench.after(input), "");
    }
    assert_eq!(bench.after(Input::Close { code: 1000, reason: "" }), "closed, the end: closed");
    for input in inputs() {
        assert_eq!(bench.after(input), "");
    }
    assert_eq!(bench.after(Input::Connect), "");
    assert_eq!(bench.due(), None);
}

#[test]
fn a_wait_that_the_user_cut_short_is_told_from_one_that_was_over() {
    let io = || Input::DialFailed(LinkError::io(Phase::Connect, io::ErrorKind::ConnectionRefused.into()));
    let mut bench = Bench::new(rules());
    bench.after(Input::Connect);
    assert!(!bench.link.was_hurried());
    bench.after(io());
    bench.after(Input::ReconnectNow);
    assert!(bench.link.was_hurried());
    bench.after(io());
    assert!(!bench.link.was_hurried());
    bench.at_deadline();
    // Nothing waits any more.
    bench.after(Input::ReconnectNow);
    assert!(!bench.link.was_hurried());
}

#[test]
fn what_comes_of_a_new_state_follows_right_behind_it() {
    let mut bench = Bench::new(rules());
    bench.link.handle(Input::Connect, bench.now);
    assert!(matches!(bench.link.next_action(), Some(Action::Tell(Event::State(State::Connecting(_))))));
    assert!(matches!(bench.link.upcoming().next(), Some(Action::Dial { attempt: 1, url: 0 })));
    bench.wants();
    let refused = LinkError::io(Phase::Connect, io::ErrorKind::ConnectionRefused.into());
    bench.link.handle(Input::DialFailed(refused), bench.now);
    assert!(matches!(bench.link.next_action(), Some(Action::Tell(Event::State(State::Waiting { .. })))));
    assert!(matches!(bench.link.upcoming().next(), Some(Action::Tell(Event::ConnectFailed(_)))));
}
