//! When the program is asked about an attempt, and what its answer means.

use super::*;
use crate::error::ProxyFault;
use crate::link::Verdict;

fn asking() -> Rules {
    Rules { before_connect: true, ..rules() }
}

#[test]
fn the_program_is_asked_ahead_of_each_attempt_within_its_deadline() {
    let mut bench = Bench::new(asking());
    assert_eq!(bench.after(Input::Connect), "connecting Prepare, prepare 1");
    assert_eq!(bench.pass(10 * SEC), "");
    assert_eq!(bench.after(Input::Prepared(Verdict::Go)), "connecting Resolve, dial 1");
    assert_eq!(bench.due(), Some(5 * SEC), "its time counts into the whole attempt's");
    assert_eq!(bench.after(Input::DialFailed(unreachable())), "waiting for 2, failed 1 retries");
    assert_eq!(bench.pass(5 * SEC), "connecting Prepare, prepare 2 again");
    assert_eq!(bench.after(Input::Prepared(Verdict::Go)), "connecting Resolve, dial 2");
    assert_eq!(bench.after(Input::Opened), "open, opened by 2 first");
}

#[test]
fn an_answer_that_takes_too_long_is_given_up_and_the_error_names_it() {
    let mut bench = Bench::new(asking());
    bench.after(Input::Connect);
    bench.now += 15 * SEC;
    bench.link.handle(Input::Tick { acknowledged: None }, bench.now);
    let told = drain(|| bench.link.next_action());
    assert!(matches!(told[0], Action::AbandonDial), "{told:?}");
    let phase = told.iter().find_map(|action| match action {
        Action::Tell(Event::ConnectFailed(failed)) => Some(failed.error().phase()),
        _ => None,
    });
    assert_eq!(phase, Some(Phase::Prepare));
    assert_eq!(bench.after(Input::Prepared(Verdict::Go)), "", "it comes too late");
}

#[test]
fn an_attempt_that_is_put_off_is_the_same_one_later_and_is_not_asked_about_again() {
    let mut bench = Bench::new(asking());
    bench.after(Input::Connect);
    bench.pass(10 * SEC);
    assert_eq!(bench.after(Input::Prepared(Verdict::Delay(60 * SEC))), "waiting for 1");
    assert_eq!(bench.pass(60 * SEC - MS), "");
    assert_eq!(bench.pass(MS), "connecting Resolve, dial 1");
    assert_eq!(bench.due(), Some(15 * SEC), "its deadline begins anew");
    bench.after(Input::DialFailed(unreachable()));
    assert_eq!(bench.at_deadline(), "connecting Prepare, prepare 2 again");
}

#[test]
fn reconnect_now_skips_the_programs_delay_and_close_ends_it() {
    let mut bench = Bench::new(asking());
    bench.after(Input::Connect);
    bench.after(Input::Prepared(Verdict::Delay(60 * SEC)));
    assert_eq!(bench.after(Input::ReconnectNow), "connecting Resolve, dial 1");

    let mut bench = Bench::new(asking());
    bench.after(Input::Connect);
    bench.after(Input::Prepared(Verdict::Delay(60 * SEC)));
    assert_eq!(bench.after(Input::Close { code: 1000, reason: "" }), "closed, the end: closed");
}

#[test]
fn a_program_that_says_stop_ends_the_client() {
    let mut bench = Bench::new(asking());
    bench.after(Input::Connect);
    assert_eq!(bench.after(Input::Prepared(Verdict::Stop)), "closed, the end: stopped by before_connect");
    assert_eq!(bench.due(), None);
}

#[test]
fn the_users_close_wins_over_a_question_and_its_answer() {
    let mut bench = Bench::new(asking());
    bench.after(Input::Connect);
    assert_eq!(bench.after(Input::Close { code: 1000, reason: "" }), "abandon, closed, the end: closed");
    assert_eq!(bench.after(Input::Prepared(Verdict::Go)), "");

    // Nobody was asked yet.
    let mut bench = Bench::new(asking());
    bench.link.handle(Input::Connect, bench.now);
    let closed = bench.after(Input::Close { code: 1000, reason: "" });
    assert_eq!(closed, "connecting Prepare, closed, the end: closed");

    // The answer is there, and nothing was dialled yet.
    let mut bench = Bench::new(asking());
    bench.after(Input::Connect);
    bench.link.handle(Input::Prepared(Verdict::Go), bench.now);
    let closed = bench.after(Input::Close { code: 1000, reason: "" });
    assert_eq!(closed, "connecting Resolve, closed, the end: closed");
}

#[test]
fn nothing_of_a_dial_counts_while_the_program_is_asked() {
    let mut bench = Bench::new(asking());
    bench.after(Input::Connect);
    assert_eq!(bench.after(Input::Phase(Phase::Tls)), "");
    assert_eq!(bench.after(Input::Opened), "");
    assert_eq!(bench.link.state(), State::Connecting(Phase::Prepare));
}

#[test]
fn a_refusal_for_want_of_a_token_is_fatal_at_once_without_a_program_to_ask() {
    for status in [401, 403, 407] {
        let mut bench = Bench::new(rules());
        bench.after(Input::Connect);
        assert!(bench.after(Input::DialFailed(refused(status, &[]))).contains("the end: fatal"), "{status}");
    }
}

#[test]
fn a_refusal_for_want_of_a_token_asks_the_program_once_before_it_is_fatal() {
    for status in [401, 403, 407] {
        let mut bench = Bench::new(asking());
        bench.after(Input::Connect);
        bench.after(Input::Prepared(Verdict::Go));
        let failed = bench.after(Input::DialFailed(refused(status, &[])));
        assert_eq!(failed, "waiting for 2, failed 1 retries", "{status}");
        assert_eq!(bench.at_deadline(), "connecting Prepare, prepare 2 again");
        bench.after(Input::Prepared(Verdict::Go));
        // Another failure in between is not a second chance.
        bench.after(Input::DialFailed(unreachable()));
        bench.at_deadline();
        bench.after(Input::Prepared(Verdict::Go));
        let failed = bench.after(Input::DialFailed(refused(status, &[])));
        assert!(failed.contains("failed 3 final, the end: fatal"), "{status}: {failed}");
    }
}

fn in_proxy(fault: ProxyFault) -> LinkError {
    LinkError::new(Phase::Proxy, Cause::Proxy(fault))
}

/// What SOCKS says as HTTP would by 407 and 403.
const REFUSALS_OF_SOCKS: [(ProxyFault, u16); 3] =
    [(ProxyFault::Method, 407), (ProxyFault::Credentials, 407), (ProxyFault::Socks(2), 403)];

#[test]
fn a_socks_proxys_refusal_asks_the_program_once_as_the_status_does_that_says_the_same() {
    for (fault, status) in REFUSALS_OF_SOCKS {
        let mut bench = Bench::new(asking());
        bench.after(Input::Connect);
        bench.after(Input::Prepared(Verdict::Go));
        let failed = bench.after(Input::DialFailed(in_proxy(fault)));
        assert_eq!(failed, "waiting for 2, failed 1 retries", "{fault:?}");
        assert_eq!(bench.at_deadline(), "connecting Prepare, prepare 2 again");
        bench.after(Input::Prepared(Verdict::Go));
        let failed = bench.after(Input::DialFailed(in_proxy(fault)));
        assert!(failed.contains("failed 2 final, the end: fatal"), "{fault:?}: {failed}");

        let never = Reconnect::fixed(SEC).retry_status(status, false);
        let mut bench = Bench::new(Rules { reconnect: never, ..asking() });
        bench.after(Input::Connect);
        bench.after(Input::Prepared(Verdict::Go));
        let failed = bench.after(Input::DialFailed(in_proxy(fault)));
        assert!(failed.contains("the end: fatal"), "the user's word comes first, {fault:?}: {failed}");
    }
    for fault in [ProxyFault::Socks(7), ProxyFault::Socks(8)] {
        let mut bench = Bench::new(asking());
        bench.after(Input::Connect);
        bench.after(Input::Prepared(Verdict::Go));
        let failed = bench.after(Input::DialFailed(in_proxy(fault)));
        assert!(failed.contains("the end: fatal"), "no token mends that, {fault:?}: {failed}");
    }
}

#[test]
fn the_limit_of_time_holds_for_the_programs_delays_too() {
    let limited = Reconnect::fixed(SEC).give_up_after(30 * SEC);
    let mut bench = Bench::new(Rules { reconnect: limited.clone(), ..asking() });
    bench.after(Input::Connect);
    bench.after(Input::Prepared(Verdict::Go));
    bench.after(Input::DialFailed(unreachable()));
    bench.at_deadline();
    bench.after(Input::Prepared(Verdict::Delay(60 * SEC)));
    assert_eq!(bench.due(), Some(29 * SEC));
    let told = bench.at_deadline();
    assert!(told.contains("the end: gave up (connect failed"), "{told}");

    // Ahead of the very first attempt nothing has failed yet.
    let mut bench = Bench::new(Rules { reconnect: limited, ..asking() });
    bench.after(Input::Connect);
    bench.after(Input::Prepared(Verdict::Delay(60 * SEC)));
    assert_eq!(bench.at_deadline(), "closed, the end: gave up (before_connect timed out)");
}

#[test]
fn a_session_that_opened_gives_the_program_its_chance_back() {
    let mut bench = Bench::new(asking());
    bench.after(Input::Connect);
    for _ in 0..3 {
        bench.after(Input::Prepared(Verdict::Go));
        assert!(bench.after(Input::DialFailed(refused(401, &[]))).contains("retries"));
        bench.at_deadline();
        bench.after(Input::Prepared(Verdict::Go));
        bench.after(Input::Opened);
        bench.after(Input::SessionFailed(reset()));
        bench.at_deadline();
    }
}

/// The server closes with 1008 a session that was open for so long.
fn violated(bench: &mut Bench, open_for: Duration) -> String {
    bench.after(Input::Prepared(Verdict::Go));
    bench.after(Input::Opened);
    bench.now += open_for;
    bench.after(Input::PeerClose { code: 1008, reason: "" });
    bench.after(Input::CloseWritten);
    bench.after(Input::StreamEnded)
}

#[test]
fn close_code_1008_asks_the_program_once_until_a_session_is_stable() {
    let mut bench = Bench::new(asking());
    bench.after(Input::Connect);
    assert!(violated(&mut bench, SEC).contains("close 1008 clean by Server retries"));
    bench.at_deadline();
    assert!(violated(&mut bench, 40 * SEC).contains("retries"), "that one was stable");
    bench.at_deadline();
    assert!(violated(&mut bench, SEC).contains("the end: fatal"));
}

#[test]
fn the_users_overrides_come_before_the_question() {
    let never = Reconnect::fixed(SEC).retry_status(401, false).retry_close_code(1008, false);
    let mut bench = Bench::new(Rules { reconnect: never, ..asking() });
    bench.after(Input::Connect);
    bench.after(Input::Prepared(Verdict::Go));
    assert!(bench.after(Input::DialFailed(refused(401, &[]))).contains("the end: fatal"));

    let always = Reconnect::fixed(SEC).retry_status(401, true);
    let mut bench = Bench::new(Rules { reconnect: always, ..asking() });
    bench.after(Input::Connect);
    for _ in 0..5 {
        bench.after(Input::Prepared(Verdict::Go));
        assert!(bench.after(Input::DialFailed(refused(401, &[]))).contains("retries"));
        bench.at_deadline();
    }
}
