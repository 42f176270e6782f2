//! The table of what is retried, the delays, and the limits.

use super::*;
use crate::error::{TlsFault, TlsFaultKind, UpgradeFault};
use crate::link::reconnect::{Backoff, Next, weigh};

fn tls(kind: TlsFaultKind) -> LinkError {
    LinkError::new(Phase::Tls, Cause::Tls(TlsFault { kind, text: "expired".into() }))
}

/// What follows this failure where no program is asked, and no other URL takes over.
fn failed(backoff: &mut Backoff, rules: &Reconnect, error: &LinkError, now: Instant) -> Next {
    backoff.follows(rules, weigh(rules, error), now)
}

/// What follows this failure when it is the first.
fn first(rules: &Reconnect, error: &LinkError) -> Next {
    let now = Instant::now();
    let mut backoff = Backoff::new(7);
    backoff.attempt(now);
    failed(&mut backoff, rules, error, now)
}

fn delay(next: Next) -> Duration {
    match next {
        Next::Retry(delay) => delay,
        other => panic!("{other:?} is no retry"),
    }
}

/// The delay after the nth failure in a row, n from 0.
fn nth(rules: &Reconnect, error: &LinkError, seed: u64, nth: u32) -> Duration {
    let now = Instant::now();
    let mut backoff = Backoff::new(seed);
    for _ in 0..nth {
        failed(&mut backoff, rules, error, now);
    }
    delay(failed(&mut backoff, rules, error, now))
}

#[test]
fn close_codes_that_would_come_again_are_fatal_and_all_others_are_retried() {
    let rules = Reconnect::exponential();
    for code in [1002, 1003, 1007, 1008, 1009, 1010] {
        assert_eq!(first(&rules, &closed(code)), Next::Fatal, "{code}");
    }
    for code in [1000, 1001, 1005, 1006, 1011, 1012, 1013, 1014, 3000, 4000, 4999] {
        assert!(matches!(first(&rules, &closed(code)), Next::Retry(_)), "{code}");
    }
}

#[test]
fn http_refusals_are_retried_where_waiting_may_help() {
    let rules = Reconnect::exponential();
    for status in [408, 425, 429, 500, 502, 503, 504, 599] {
        assert!(matches!(first(&rules, &refused(status, &[])), Next::Retry(_)), "{status}");
    }
    for status in [200, 301, 302, 400, 401, 403, 404, 407, 426] {
        assert_eq!(first(&rules, &refused(status, &[])), Next::Fatal, "{status}");
    }
}

#[test]
fn the_users_overrides_come_before_the_table() {
    let rules = Reconnect::exponential()
        .retry_close_code(1008, true)
        .retry_close_code(1000, false)
        .retry_status(401, true)
        .retry_status(503, false)
        .retry_tls(false)
        .retry_network(false);
    assert!(matches!(first(&rules, &closed(1008)), Next::Retry(_)));
    assert_eq!(first(&rules, &closed(1000)), Next::Fatal);
    assert!(matches!(first(&rules, &refused(401, &[])), Next::Retry(_)));
    assert_eq!(first(&rules, &refused(503, &[])), Next::Fatal);
    assert_eq!(first(&rules, &tls(TlsFaultKind::Certificate)), Next::Fatal);
    assert_eq!(first(&rules, &tls(TlsFaultKind::Truncated)), Next::Fatal);
    assert_eq!(first(&rules, &unreachable()), Next::Fatal);
    assert_eq!(first(&rules, &LinkError::new(Phase::Open, Cause::Silent { missed: 2 })), Next::Fatal);
}

#[test]
fn a_proxys_refusal_counts_as_a_servers_and_socks_as_the_status_that_says_the_same() {
    use crate::error::ProxyFault::{Credentials, Method, NotHttp, NotSocks, Socks, TooLong, Unasked};
    let of = |fault| LinkError::new(Phase::Proxy, Cause::Proxy(fault));
    let rules = Reconnect::exponential();
    for status in [403, 407] {
        let error = LinkError::new(Phase::Proxy, refused(status, &[]).cause().clone());
        assert_eq!(first(&rules, &error), Next::Fatal, "{status}");
    }
    for fault in [Method, Credentials, Socks(2), Socks(7), Socks(8)] {
        assert_eq!(first(&rules, &of(fault)), Next::Fatal, "{fault}");
    }
    for fault in
        [Socks(1), Socks(3), Socks(4), Socks(5), Socks(6), Socks(99), NotHttp, NotSocks, TooLong, Unasked]
    {
        assert!(matches!(first(&rules, &of(fault)), Next::Retry(_)), "{fault}");
    }
    let knowing =
        Reconnect::exponential().retry_status(407, true).retry_status(403, true).retry_network(false);
    for fault in [Method, Credentials, Socks(2)] {
        assert!(matches!(first(&knowing, &of(fault)), Next::Retry(_)), "{fault}");
    }
    for fault in [Socks(1), Socks(5)] {
        assert_eq!(first(&knowing, &of(fault)), Next::Fatal, "{fault}");
    }
}

#[test]
fn what_the_server_got_wrong_is_retried() {
    let rules = Reconnect::exponential().retry_close_code(1002, false);
    assert!(matches!(first(&rules, &fault(ProtocolFault::Masked)), Next::Retry(_)));
    let upgrade = LinkError::new(Phase::Upgrade, Cause::BadUpgrade(UpgradeFault::Accept));
    assert!(matches!(first(&rules, &upgrade), Next::Retry(_)));
}

#[test]
fn a_growing_delay_stays_within_its_bounds_at_any_count() {
    let rules = Reconnect::exponential();
    for n in [0_u32, 1, 2, 5, 6, 7, 40, 2000] {
        let bound = Duration::from_millis(500).saturating_mul(2_u32.saturating_pow(n)).min(30 * SEC);
        for seed in 0..20 {
            let delay = nth(&rules, &unreachable(), seed, n);
            assert!(delay >= 250 * MS && delay <= 250 * MS + bound, "{n}: {delay:?}");
        }
    }
}

#[test]
fn a_factor_that_overflows_ends_at_the_cap() {
    let rules = Reconnect::exponential().factor(100.0).max(SEC);
    assert!(nth(&rules, &unreachable(), 3, 5000) <= 1250 * MS);
}

#[test]
fn ten_thousand_clients_that_lost_one_server_spread_each_round_of_their_attempts() {
    const CLIENTS: u64 = 10_000;
    const WINDOW: Duration = Duration::from_millis(100);
    let rules = Reconnect::exponential();
    // They lost it in the same instant, and it stays away: each attempt fails at once.
    let now = Instant::now();
    let mut clients: Vec<_> = (0..CLIENTS).map(|seed| (Backoff::new(seed), now)).collect();
    for round in 0..8 {
        for (backoff, at) in &mut clients {
            *at += delay(failed(backoff, &rules, &unreachable(), *at));
        }
        let mut times: Vec<Instant> = clients.iter().map(|(_, at)| *at).collect();
        times.sort_unstable();
        // Even over the random part of the delay.
        let range = (500 * MS * (1 << round)).min(30 * SEC);
        let fair = CLIENTS as f64 * WINDOW.as_secs_f64() / range.as_secs_f64();
        let in_window = |from: usize| times.partition_point(|at| *at < times[from] + WINDOW) - from;
        let busiest = (0..times.len()).map(in_window).max().unwrap_or(0);
        assert!(
            busiest as f64 <= 3.0 * fair,
            "round {round}: {busiest} in one window; {fair:.0} would be fair"
        );
    }
}

#[test]
fn clients_that_lost_one_server_do_not_come_back_in_step_even_at_the_cap() {
    let rules = Reconnect::exponential();
    let mut seconds = [0_u32; 31];
    for seed in 0..3000 {
        let delay = nth(&rules, &unreachable(), seed, 50);
        seconds[(delay - 250 * MS).as_secs() as usize] += 1;
    }
    for (second, clients) in seconds[..30].iter().enumerate() {
        assert!((60..=145).contains(clients), "{clients} of 3000 in second {second}");
    }
}

#[test]
fn the_same_seed_gives_the_same_delays() {
    let rules = Reconnect::exponential();
    assert_eq!(nth(&rules, &unreachable(), 5, 9), nth(&rules, &unreachable(), 5, 9));
    assert_ne!(nth(&rules, &unreachable(), 5, 9), nth(&rules, &unreachable(), 6, 9));
}

#[test]
fn a_list_goes_on_with_its_last_delay() {
    let rules = Reconnect::delays([SEC, 3 * SEC, 9 * SEC]);
    let delays: Vec<_> = (0..5).map(|n| nth(&rules, &unreachable(), 1, n).as_secs()).collect();
    assert_eq!(delays, [1, 3, 9, 9, 9]);
}

#[test]
fn the_users_function_gets_the_failures_in_a_row_from_one() {
    let rules = Reconnect::custom(|failures| failures * SEC);
    assert_eq!(nth(&rules, &unreachable(), 1, 0), SEC);
    assert_eq!(nth(&rules, &unreachable(), 1, 4), 5 * SEC);
}

#[test]
fn what_the_users_function_asks_for_is_kept_within_a_millisecond_and_a_week() {
    assert_eq!(nth(&Reconnect::custom(|_| Duration::ZERO), &unreachable(), 1, 0), MS);
    let week = 7 * 24 * 3600 * SEC;
    assert_eq!(nth(&Reconnect::custom(|_| Duration::MAX), &unreachable(), 1, 0), week);
}

#[test]
fn tls_refusals_are_retried_at_the_longest_delay_with_jitter() {
    let rules = Reconnect::exponential();
    let mut delays: Vec<_> =
        (0..50).map(|seed| nth(&rules, &tls(TlsFaultKind::Certificate), seed, 0)).collect();
    delays.sort();
    assert!(delays[0] >= 30 * SEC && delays[49] <= 46 * SEC);
    assert!(delays[49] - delays[0] > 10 * SEC);
    let list = Reconnect::delays([SEC, 9 * SEC, 3 * SEC]);
    assert_eq!(nth(&list, &tls(TlsFaultKind::Certificate), 1, 0), 9 * SEC);
}

#[test]
fn a_tls_stream_that_was_cut_is_a_network_failure() {
    let rules = Reconnect::exponential();
    assert!(nth(&rules, &tls(TlsFaultKind::Truncated), 1, 0) < SEC);
}

#[test]
fn retry_after_is_honoured_with_jitter_and_capped() {
    let rules = Reconnect::exponential();
    let after = |value: &str, seed| nth(&rules, &refused(503, &[("retry-after", value)]), seed, 0);
    for seed in 0..20 {
        assert!((60 * SEC..=90 * SEC).contains(&after("60", seed)));
        assert!((300 * SEC..=450 * SEC).contains(&after("86400", seed)));
        assert!((300 * SEC..=450 * SEC).contains(&after("99999999999999999999999", seed)));
        assert!((250 * MS..=750 * MS).contains(&after("0", seed)), "our own delay is the least");
        assert!((250 * MS..=750 * MS).contains(&after("soon", seed)));
        assert!((250 * MS..=750 * MS).contains(&after("", seed)));
        assert!((250 * MS..=750 * MS).contains(&after("-5", seed)));
    }
    assert_ne!(after("60", 1), after("60", 2));
}

#[test]
fn retry_after_as_a_date_is_read_by_the_servers_own_clock() {
    let rules = Reconnect::fixed(SEC);
    let after = |date: &str, then: &str| {
        nth(&rules, &refused(429, &[("Date", date), ("Retry-After", then)]), 1, 0).as_secs()
    };
    let whole = |date, then| after(date, then);
    assert!((60..=90).contains(&whole("Fri, 31 Dec 1999 23:59:30 GMT", "Sat, 01 Jan 2000 00:00:30 GMT")));
    assert!((120..=180).contains(&whole("Mon, 28 Feb 2028 23:59:00 GMT", "Tue, 29 Feb 2028 00:01:00 GMT")));
    assert!((60..=90).contains(&whole("Wed, 28 Feb 2029 23:59:30 GMT", "Thu, 01 Mar 2029 00:00:30 GMT")));
    assert_eq!(whole("Sat, 01 Jan 2000 00:00:30 GMT", "Fri, 31 Dec 1999 23:59:30 GMT"), 1, "long past");
    assert_eq!(whole("yesterday", "Sat, 01 Jan 2000 00:00:30 GMT"), 1);
    assert_eq!(whole("Sat, 01 Jan 2000 00:00:30 GMT", "Sat, 1 Jan 2000 00:00:30 GMT"), 1);
}

#[test]
fn a_server_that_accepts_and_closes_at_once_does_not_reset_the_count() {
    let rules = Reconnect::exponential().max_attempts(6);
    let mut now = Instant::now();
    let mut backoff = Backoff::new(1);
    for attempt in 1..=6 {
        assert_eq!(backoff.attempt(now), attempt);
        assert_eq!(backoff.opened(), attempt == 1);
        now += 29 * SEC;
        backoff.ended(&rules, 29 * SEC, now);
        let next = failed(&mut backoff, &rules, &closed(1000), now);
        assert_eq!(next == Next::GiveUp, attempt == 6, "attempt {attempt}");
    }
}

#[test]
fn a_server_that_accepts_and_closes_for_minutes_is_asked_ever_less_often() {
    let mut bench = Bench::new(Rules { reconnect: Reconnect::exponential(), ..rules() });
    let began = bench.now;
    bench.after(Input::Connect);
    let mut delays = Vec::new();
    while bench.now - began < 600 * SEC {
        assert!(bench.after(Input::Opened).starts_with("open, "));
        bench.after(Input::PeerClose { code: 1000, reason: "" });
        bench.after(Input::CloseWritten);
        bench.after(Input::StreamEnded);
        let closed = bench.now;
        assert!(bench.at_deadline().contains("dial"));
        delays.push(bench.now - closed);
    }
    // Each is at most 250 ms + 500 ms * 2^n, and at most 30.25 s: on average half of that, so some 45 in ten minutes.
    for (n, delay) in delays.iter().enumerate() {
        let most = 250 * MS + (500 * MS * 2_u32.pow(n.min(6) as u32)).min(30 * SEC);
        assert!((250 * MS..=most).contains(delay), "{n}: {delay:?}");
    }
    assert!((30..=70).contains(&delays.len()), "{} attempts in ten minutes", delays.len());
    let minutes = |from: u64, to: u64| {
        let mut at = Duration::ZERO;
        let ends = delays.iter().filter(|delay| {
            at += **delay;
            (60 * from..60 * to).contains(&at.as_secs())
        });
        ends.count()
    };
    assert!(minutes(0, 1) > 2 * minutes(5, 10) / 5, "{delays:?}");
}

#[test]
fn a_stable_session_starts_the_count_anew() {
    let rules = Reconnect::delays([SEC, 2 * SEC, 3 * SEC]);
    let mut now = Instant::now();
    let mut backoff = Backoff::new(1);
    for _ in 0..5 {
        backoff.attempt(now);
        failed(&mut backoff, &rules, &unreachable(), now);
    }
    assert_eq!(backoff.attempt(now), 6);
    backoff.opened();
    now += 30 * SEC;
    backoff.ended(&rules, 30 * SEC, now);
    assert_eq!(failed(&mut backoff, &rules, &reset(), now), Next::Retry(SEC));
    assert_eq!(backoff.attempt(now), 1);
    assert_eq!(failed(&mut backoff, &rules, &unreachable(), now), Next::Retry(2 * SEC));
}

#[test]
fn a_lost_session_is_not_a_failed_attempt() {
    let rules = Reconnect::fixed(SEC).max_attempts(1).stable_after(Duration::ZERO);
    let now = Instant::now();
    let mut backoff = Backoff::new(1);
    backoff.attempt(now);
    backoff.opened();
    backoff.ended(&rules, Duration::ZERO, now);
    assert_eq!(failed(&mut backoff, &rules, &reset(), now), Next::Retry(SEC));
    backoff.attempt(now);
    assert_eq!(failed(&mut backoff, &rules, &unreachable(), now), Next::GiveUp);
}

#[test]
fn giving_up_after_a_time_does_not_wait_for_an_attempt_that_would_come_too_late() {
    let reconnect = Reconnect::fixed(5 * SEC).give_up_after(12 * SEC);
    let mut bench = Bench::new(Rules { reconnect, ..rules() });
    bench.after(Input::Connect);
    bench.now += SEC;
    assert_eq!(bench.after(Input::DialFailed(unreachable())), "waiting for 2, failed 1 retries");
    assert_eq!(bench.at_deadline(), "connecting Resolve, dial 2");
    bench.now += SEC;
    let end = bench.after(Input::DialFailed(unreachable()));
    assert!(end.starts_with("closed, failed 2 final, the end: gave up"), "{end}");
}

#[test]
fn the_attempt_in_progress_is_cut_when_the_time_is_up() {
    let reconnect = Reconnect::fixed(5 * SEC).give_up_after(12 * SEC);
    let mut bench = Bench::new(Rules { reconnect, ..rules() });
    bench.after(Input::Connect);
    assert_eq!(bench.due(), Some(12 * SEC));
    let end = "abandon, closed, failed 1 final, the end: gave up (name lookup timed out)";
    assert_eq!(bench.at_deadline(), end);
}

#[test]
fn the_time_to_give_up_begins_when_the_link_was_last_open() {
    let reconnect = Reconnect::fixed(5 * SEC).give_up_after(12 * SEC);
    let mut bench = Bench::open(Rules { reconnect, ..rules() });
    bench.now += 3600 * SEC;
    bench.after(Input::Heard);
    bench.after(Input::SessionFailed(reset()));
    assert_eq!(bench.at_deadline(), "connecting Resolve, dial 1");
    assert_eq!(bench.due(), Some(7 * SEC));
}

#[test]
fn events_that_nobody_takes_do_not_stretch_the_time_to_give_up() {
    let reconnect = Reconnect::fixed(5 * SEC).give_up_after(12 * SEC);
    let mut bench = Bench::new(Rules { reconnect, ..rules() });
    bench.after(Input::Connect);
    bench.after(Input::DialFailed(unreachable()));
    bench.after(Input::Held(true));
    bench.now += 60 * SEC;
    let end = bench.after(Input::Held(false));
    assert!(end.starts_with("closed, the end: gave up"), "{end}");
}

#[test]
fn one_session_only_where_reconnecting_is_off() {
    let reconnect = Reconnect::never();
    let mut bench = Bench::open(Rules { reconnect: reconnect.clone(), ..rules() });
    let end = bench.after(Input::SessionFailed(reset()));
    assert!(end.starts_with("error, end, closed, close 1006 unclean by Network final, the end: gave up"));

    let mut bench = Bench::new(Rules { reconnect, ..rules() });
    bench.after(Input::Connect);
    let end = bench.after(Input::DialFailed(unreachable()));
    assert!(end.starts_with("closed, failed 1 final, the end: gave up"));
}

#[test]
fn a_first_connect_that_is_not_retried_fails_for_good_but_later_ones_are() {
    let reconnect = Reconnect::fixed(SEC).retry_first_connect(false);
    let mut bench = Bench::new(Rules { reconnect: reconnect.clone(), ..rules() });
    bench.after(Input::Connect);
    let end = bench.after(Input::DialFailed(unreachable()));
    assert!(end.starts_with("closed, failed 1 final, the end: gave up"));

    let mut bench = Bench::open(Rules { reconnect, ..rules() });
    bench.after(Input::SessionFailed(reset()));
    bench.at_deadline();
    assert_eq!(bench.after(Input::DialFailed(unreachable())), "waiting for 3, failed 2 retries");
}

#[test]
fn a_fatal_failure_ends_the_client_and_says_why() {
    let mut bench = Bench::new(rules());
    bench.after(Input::Connect);
    let end = "closed, failed 1 final, the end: fatal (the server refused the upgrade with HTTP status 404)";
    assert_eq!(bench.after(Input::DialFailed(refused(404, &[]))), end);

    let mut bench = Bench::open(rules());
    bench.after(Input::PeerClose { code: 1008, reason: "" });
    bench.after(Input::CloseWritten);
    let end = "end, closed, close 1008 clean by Server final, the end: fatal (the server closed with 1008)";
    assert_eq!(bench.after(Input::StreamEnded), end);
}

#[test]
fn where_there_is_one_attempt_none_follows_whatever_the_settings_say() {
    let ended = |bench: &mut Bench, input| {
        let end = bench.after(input);
        assert!(bench.link.deadline().is_none(), "{end}");
        assert_eq!(bench.after(Input::ReconnectNow), "");
        end
    };
    let mut bench = Bench::new(rules());
    assert_eq!(bench.after(Input::ConnectOnce), "connecting Resolve, dial 1");
    let end = ended(&mut bench, Input::DialFailed(unreachable()));
    assert!(end.starts_with("closed, failed 1 final, the end: gave up"), "{end}");

    let mut bench = Bench::new(rules());
    bench.after(Input::ConnectOnce);
    let end = ended(&mut bench, Input::DialFailed(refused(403, &[])));
    assert!(end.starts_with("closed, failed 1 final, the end: fatal"), "{end}");

    let mut bench = Bench::new(rules());
    bench.after(Input::ConnectOnce);
    bench.after(Input::Opened);
    bench.now += 60 * SEC;
    let end = ended(&mut bench, Input::SessionFailed(reset()));
    assert!(end.contains("close 1006 unclean by Network final, the end: gave up"), "{end}");
}
