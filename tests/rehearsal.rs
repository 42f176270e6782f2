//! What the README's table of defaults promises, and what a user may rehearse: with invented time, by the public tool.

mod support;

use heartwire::testing::{Deed, Failure, Rehearsal};
use heartwire::{Builder, Client, End, Event, Heartbeat, Phase, Reconnect, State};
use std::time::{Duration, Instant};
use support::watchdog;

const MS: Duration = Duration::from_millis(1);
const SEC: Duration = Duration::from_secs(1);

fn builder() -> Builder {
    Client::builder("ws://127.0.0.1:9/feed")
}

fn connecting(builder: &Builder, seed: u64) -> Rehearsal {
    let mut client = Rehearsal::of(builder, seed).expect("sound settings");
    client.connect();
    client
}

fn open(builder: &Builder, seed: u64) -> Rehearsal {
    let mut client = connecting(builder, seed);
    client.opens();
    client
}

/// When each deed that `wanted` names was done.
fn times(client: &Rehearsal, wanted: impl Fn(&Deed) -> bool) -> Vec<Duration> {
    client.deeds().iter().filter(|(_, deed)| wanted(deed)).map(|(at, _)| *at).collect()
}

fn beats(client: &Rehearsal) -> Vec<Duration> {
    times(client, |deed| matches!(deed, Deed::Beats))
}

#[test]
fn by_default_a_dead_link_is_found_in_40_seconds_after_two_beats() {
    let _watch = watchdog(30, "dead");
    let mut client = open(&builder(), 1);
    assert_eq!(client.wait_dead(), 40 * SEC);
    assert_eq!(beats(&client), [20 * SEC, 30 * SEC]);
    assert!(matches!(client.state(), State::Waiting { attempt: 1, .. }), "{client}");
}

#[test]
fn by_default_any_byte_is_a_sign_of_life() {
    let _watch = watchdog(30, "alive");
    let mut client = open(&builder(), 1);
    for _ in 0..100 {
        client.advance(19 * SEC);
        client.hears();
    }
    assert!(beats(&client).is_empty(), "{client}");
    client.advance(20 * SEC);
    assert_eq!(beats(&client).len(), 1);
    client.advance(3 * SEC);
    client.pongs();
    assert!(
        client
            .deeds()
            .iter()
            .any(|(_, deed)| { matches!(deed, Deed::Tells(Event::Heartbeat(time)) if *time == 3 * SEC) }),
        "{client}"
    );
    assert_eq!(client.next_in(), Some(20 * SEC));
}

#[test]
fn by_default_delays_are_250_ms_and_a_random_part_that_doubles_up_to_30_seconds() {
    let _watch = watchdog(30, "delays");
    let mut longest = [Duration::ZERO; 10];
    for seed in 0..300 {
        let mut client = connecting(&builder(), seed);
        for (n, longest) in longest.iter_mut().enumerate() {
            let delay = client.fails(Failure::refused()).expect("it never gives up");
            let bound = 250 * MS + (500 * MS * (1 << n)).min(30 * SEC);
            assert!((250 * MS..=bound).contains(&delay), "after {} failures: {delay:?}", n + 1);
            *longest = delay.max(*longest);
            assert_eq!(client.wait_attempt(), delay);
        }
    }
    for (n, longest) in longest.into_iter().enumerate() {
        let bound = 250 * MS + (500 * MS * (1 << n)).min(30 * SEC);
        assert!(longest > bound * 9 / 10, "of 300 one comes near the bound {bound:?}: {longest:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_delays() {
    let _watch = watchdog(30, "seed");
    let delays = |seed| {
        let mut client = connecting(&builder(), seed);
        std::iter::from_fn(|| {
            let delay = client.fails(Failure::unreachable());
            client.wait_attempt();
            delay
        })
        .take(20)
        .collect::<Vec<_>>()
    };
    assert_eq!(delays(7), delays(7));
    assert_ne!(delays(7), delays(8));
}

#[test]
fn by_default_an_attempt_has_15_seconds_and_a_close_5() {
    let _watch = watchdog(30, "deadlines");
    let mut client = connecting(&builder(), 1);
    assert_eq!(client.next_in(), Some(15 * SEC));
    client.advance(15 * SEC);
    assert!(client.deeds().iter().any(|(_, deed)| matches!(deed, Deed::GivesUpAttempt)), "{client}");
    client.wait_attempt();
    client.opens();
    client.closes(1000);
    assert_eq!(client.state(), State::Closing);
    assert_eq!(client.wait_dead(), 5 * SEC);
    assert!(matches!(client.end(), Some(End::Closed)), "{client}");
}

#[test]
fn by_default_a_session_of_30_seconds_makes_the_next_failure_the_first_again() {
    let _watch = watchdog(30, "stable");
    for (open_for, next) in [(29 * SEC, 5), (30 * SEC, 1)] {
        let mut client = connecting(&builder(), 1);
        for _ in 0..3 {
            client.fails(Failure::refused());
            client.wait_attempt();
        }
        client.opens();
        for _ in 0..open_for.as_secs() {
            client.advance(SEC);
            client.hears();
        }
        client.is_lost();
        assert!(matches!(client.state(), State::Waiting { attempt, .. } if attempt == next), "{client}");
    }
}

#[test]
fn by_default_these_close_codes_are_fatal_and_all_others_are_retried() {
    let _watch = watchdog(30, "codes");
    for code in (1000..=1015).chain([3000, 4999]) {
        let mut client = open(&builder(), 1);
        let retries = client.server_closes(code).is_some();
        assert_eq!(retries, ![1002, 1003, 1007, 1008, 1009, 1010].contains(&code), "{code}:\n{client}");
        assert_eq!(client.end().is_some(), !retries);
    }
}

#[test]
fn by_default_these_statuses_are_retried_and_all_others_are_fatal() {
    let _watch = watchdog(30, "statuses");
    for status in [400, 401, 403, 404, 407, 408, 410, 418, 425, 426, 429, 500, 502, 503, 504, 599] {
        let mut client = connecting(&builder(), 1);
        let retries = client.fails(Failure::http(status)).is_some();
        assert_eq!(retries, [408, 425, 429].contains(&status) || status >= 500, "{status}:\n{client}");
    }
}

#[test]
fn by_default_retry_after_counts_up_to_5_minutes_and_half_of_it_is_added_at_random() {
    let _watch = watchdog(30, "retry after");
    for (wish, least) in [(10 * SEC, 10 * SEC), (3600 * SEC, 300 * SEC)] {
        let mut most = Duration::ZERO;
        for seed in 0..100 {
            let mut client = connecting(&builder(), seed);
            let delay = client.fails(Failure::http_retry_after(503, wish)).unwrap();
            assert!((least..=least * 3 / 2).contains(&delay), "{delay:?}");
            most = most.max(delay);
        }
        assert!(most > least * 7 / 5, "{most:?}");
    }
}

#[test]
fn by_default_tls_refusals_are_retried_after_30_to_45_seconds_and_the_floor() {
    let _watch = watchdog(30, "tls");
    for seed in 0..100 {
        let delay = connecting(&builder(), seed).fails(Failure::tls()).expect("clocks are wrong at boot");
        assert!((30_250 * MS..=45_250 * MS).contains(&delay), "{delay:?}");
    }
}

#[test]
fn nothing_follows_the_users_close() {
    let _watch = watchdog(30, "close");
    let mut waiting = connecting(&builder(), 1);
    waiting.fails(Failure::unknown_host());
    waiting.closes(1000);
    let mut dialling = connecting(&builder(), 1);
    dialling.closes(1000);
    let mut open = open(&builder(), 1);
    open.closes(4000);
    assert_eq!(open.server_closes(4000), None);
    let codes = |deed: &Deed| matches!(deed, Deed::Closes { code: Some(4000) });
    assert_eq!(times(&open, codes).len(), 1, "{open}");
    for client in [&mut waiting, &mut dialling, &mut open] {
        let before = client.deeds().len();
        client.advance(3600 * SEC);
        assert_eq!((client.deeds().len(), client.next_in()), (before, None), "{client}");
        assert!(matches!(client.end(), Some(End::Closed)), "{client}");
    }
}

#[test]
fn ones_own_settings_are_rehearsed() {
    let _watch = watchdog(30, "settings");
    let builder = builder()
        .heartbeat(
            Heartbeat::text("ping")
                .reply("pong")
                .every(10 * SEC)
                .timeout(20 * SEC)
                .max_missed(1)
                .reply_only(),
        )
        .reconnect(Reconnect::fixed(5 * SEC).give_up_after(60 * SEC));
    let mut client = open(&builder, 1);
    for _ in 0..3 {
        client.advance(10 * SEC);
        client.hears_text("pong");
    }
    assert_eq!(beats(&client), [10 * SEC, 20 * SEC, 30 * SEC]);
    client.hears_text("news"); // is no answer
    assert_eq!(client.wait_dead(), 30 * SEC);
    assert_eq!(client.retry_in(), Some(5 * SEC));
    let lost = client.now();
    client.wait_attempt();
    while client.fails(Failure::not_http()).is_some() {
        client.wait_attempt();
    }
    assert!(matches!(client.end(), Some(End::Fatal(_) | End::GaveUp(_))), "{client}");
    assert!(client.now() - lost <= 60 * SEC, "{client}");
}

#[test]
fn several_urls_take_turns() {
    let _watch = watchdog(30, "urls");
    let mut client = connecting(&builder().add_url("ws://127.0.0.1:10/"), 1);
    for _ in 0..3 {
        client.fails(Failure::refused());
        client.wait_attempt();
    }
    let urls = client.deeds().iter().filter_map(|(_, deed)| match deed {
        Deed::Dials { url, .. } => Some(*url),
        _ => None,
    });
    assert_eq!(urls.collect::<Vec<_>>(), [0, 1, 0, 1]);
}

#[test]
fn while_reading_is_paused_no_verdict_falls() {
    let _watch = watchdog(30, "paused");
    let mut client = open(&builder(), 1);
    client.pauses_reading(true);
    client.advance(600 * SEC);
    assert_eq!((client.state(), beats(&client).len()), (State::Open, 1), "{client}");
    client.pauses_reading(false);
    client.wait_dead();
    assert!(matches!(client.state(), State::Waiting { .. }), "{client}");
}

#[test]
fn reconnect_now_skips_the_wait_and_an_end_of_the_stream_is_told_as_such() {
    let _watch = watchdog(30, "now");
    let mut client = open(&builder(), 1);
    assert!(client.ends().is_some());
    client.reconnects_now();
    assert_eq!((client.state(), client.now()), (State::Connecting(Phase::Resolve), Duration::ZERO));
    let told = client.to_string();
    assert!(told.contains("0.000 s  dials, attempt 2"), "{told}");
}

#[test]
fn a_session_that_dies_while_the_program_closes_it_is_told_with_its_error() {
    let _watch = watchdog(30, "closing");
    type Dies = fn(&mut Rehearsal) -> Option<Duration>;
    for (dies, cause) in
        [(Rehearsal::is_lost as Dies, "connection reset"), (Rehearsal::ends as Dies, "ended without a Close")]
    {
        let mut client = open(&builder(), 1);
        client.closes(1000);
        assert_eq!(dies(&mut client), None);
        let told = client.deeds().iter().find_map(|(_, deed)| match deed {
            Deed::Tells(Event::Close(closed)) => closed.error().map(ToString::to_string),
            _ => None,
        });
        let told = told.unwrap_or_else(|| panic!("no error is told:\n{client}"));
        assert!(told.contains(cause), "{told}");
    }
}

#[test]
fn years_are_rehearsed_in_no_time() {
    let _watch = watchdog(30, "years");
    let began = Instant::now();
    let mut client = open(&builder(), 1);
    for _ in 0..100_000 {
        client.advance(20 * SEC);
        client.pongs();
    }
    assert_eq!(client.now(), 2_000_000 * SEC);
    assert!(began.elapsed() < 20 * SEC);
}

#[test]
fn settings_that_no_client_can_have_cannot_be_rehearsed() {
    let _watch = watchdog(30, "settings");
    let error = Rehearsal::of(&builder().reconnect(Reconnect::fixed(Duration::ZERO)), 1).unwrap_err();
    assert_eq!(
        Some(error.setting()),
        builder().reconnect(Reconnect::fixed(Duration::ZERO)).build().err().map(|e| e.setting())
    );
}

#[test]
fn what_cannot_happen_is_named_with_all_that_came_before() {
    let _watch = watchdog(30, "misuse");
    let panicked = std::panic::catch_unwind(|| open(&builder(), 1).fails(Failure::refused())).unwrap_err();
    let words = panicked.downcast_ref::<String>().expect("words");
    assert!(words.starts_with("no attempt is in progress:") && words.contains("dials, attempt 1"), "{words}");
}
