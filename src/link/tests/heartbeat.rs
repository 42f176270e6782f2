//! Beats, misses and verdicts on one session's time line.

use super::*;
use crate::config::heartbeat::Schedule;
use crate::event::MessageRef;
use crate::link::heartbeat::{Beat, Beats, Due, STAND_IN};

const DEAD: Option<Due> = Some(Due::Dead { missed: 2 });

/// A heartbeat whose beats are written at once, unless a test says otherwise.
struct Heart {
    beats: Beats,
    start: Instant,
}

impl Heart {
    fn new(settings: Heartbeat) -> Heart {
        let start = Instant::now();
        Heart { beats: Beats::new(settings, 100, start), start }
    }

    fn at(&self, seconds: u32) -> Instant {
        self.start + seconds * SEC
    }

    /// What is due; a beat is written in the same moment.
    fn poll(&mut self, seconds: u32) -> Option<Due> {
        self.poll_knowing(seconds, None)
    }

    fn poll_knowing(&mut self, seconds: u32, acknowledged: Option<u64>) -> Option<Due> {
        let due = self.beats.poll(self.at(seconds), acknowledged);
        if let Some(Due::Beat(_)) = due {
            self.beats.written(14, None, self.at(seconds));
        }
        due
    }

    fn beats_at(&mut self, seconds: u32) -> bool {
        matches!(self.poll(seconds), Some(Due::Beat(_)))
    }

    fn due(&self) -> Option<u32> {
        let due = self.beats.deadline()?.saturating_duration_since(self.start);
        Some(due.as_secs() as u32)
    }

    fn heard(&mut self, seconds: u32) {
        self.beats.heard(self.at(seconds));
    }
}

fn ping(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

#[test]
fn a_silent_link_is_found_dead_at_interval_and_misses_times_timeout_after_the_last_byte() {
    let mut heart = Heart::new(Heartbeat::ping());
    heart.heard(3);
    assert_eq!(heart.due(), Some(23));
    assert_eq!(heart.poll(22), None);
    assert_eq!(heart.poll(23), Some(Due::Beat(Beat::Ping(ping(100)))));
    assert_eq!(heart.due(), Some(33));
    assert_eq!(heart.poll(32), None);
    assert_eq!(heart.poll(33), Some(Due::Beat(Beat::Ping(ping(101)))));
    assert_eq!(heart.poll(42), None);
    assert_eq!(heart.poll(43), DEAD);
}

#[test]
fn a_busy_server_that_never_pongs_is_not_dropped() {
    let mut heart = Heart::new(Heartbeat::ping());
    assert!(heart.beats_at(20));
    heart.heard(25);
    assert_eq!(heart.poll(30), None);
    assert_eq!(heart.due(), Some(45));
}

#[test]
fn a_busy_server_that_never_replies_is_dropped_where_only_the_reply_counts() {
    let mut heart = Heart::new(Heartbeat::text("ping").reply("pong").every(10 * SEC).reply_only());
    assert!(heart.beats_at(10));
    heart.heard(11);
    assert_eq!(heart.beats.message(MessageRef::Text("news"), heart.at(11)), (true, None));
    assert!(heart.beats_at(20));
    heart.heard(25);
    assert_eq!(heart.poll(30), DEAD);
}

#[test]
fn ping_every_ten_seconds_and_dead_without_pong_after_twenty() {
    let settings = Heartbeat::text("ping").reply("pong").every(10 * SEC).reply_only();
    let mut heart = Heart::new(settings.timeout(20 * SEC).max_missed(1));
    assert!(heart.beats_at(10));
    heart.heard(11);
    assert_eq!(heart.beats.message(MessageRef::Text("pong"), heart.at(11)), (false, Some(SEC)));
    assert!(heart.beats_at(20));
    assert!(heart.beats_at(30), "whatever else happens");
    assert_eq!(heart.poll(40), Some(Due::Dead { missed: 1 }));
}

#[test]
fn online_after_five_seconds_without_traffic_and_dead_five_seconds_later() {
    let settings = Heartbeat::text("online").any_reply().after_silence(5 * SEC);
    let mut heart = Heart::new(settings.timeout(5 * SEC).max_missed(1));
    heart.heard(4);
    assert_eq!(heart.poll(5), None);
    assert_eq!(heart.poll(9), Some(Due::Beat(Beat::Text("online".into()))));
    assert_eq!(heart.poll(14), Some(Due::Dead { missed: 1 }));
}

#[test]
fn three_missed_beats_are_allowed_where_the_settings_say_so() {
    let mut heart = Heart::new(Heartbeat::ping().max_missed(3));
    assert!(heart.beats_at(20));
    assert!(heart.beats_at(30));
    assert!(heart.beats_at(40));
    assert_eq!(heart.poll(50), Some(Due::Dead { missed: 3 }));
}

#[test]
fn a_byte_between_two_misses_starts_the_count_anew() {
    let mut heart = Heart::new(Heartbeat::ping());
    assert!(heart.beats_at(20));
    assert!(heart.beats_at(30));
    heart.heard(31);
    assert!(heart.beats_at(51));
    assert!(heart.beats_at(61));
    assert_eq!(heart.poll(71), DEAD);
}

#[test]
fn beats_at_a_fixed_pace_go_out_in_the_middle_of_traffic() {
    let mut heart = Heart::new(Heartbeat::ping().every(10 * SEC));
    for second in 1..=30 {
        heart.heard(second);
        assert_eq!(heart.beats_at(second), second % 10 == 0);
    }
}

#[test]
fn a_timer_that_is_late_counts_from_now() {
    let mut heart = Heart::new(Heartbeat::ping());
    assert!(heart.beats_at(27));
    assert_eq!(heart.due(), Some(37));
    assert!(heart.beats_at(90), "one miss, however late");
    assert_eq!(heart.due(), Some(100));

    let mut heart = Heart::new(Heartbeat::ping().every(10 * SEC));
    assert!(heart.beats_at(35));
    heart.heard(35);
    assert_eq!(heart.poll(44), None, "what was missed is not made up for");
    assert_eq!(heart.due(), Some(45));
}

#[test]
fn the_time_to_answer_begins_when_the_beat_is_written() {
    let mut heart = Heart::new(Heartbeat::ping());
    assert!(heart.beats.poll(heart.at(20), None).is_some());
    heart.beats.written(14, None, heart.at(26));
    assert_eq!(heart.due(), Some(36));
    assert_eq!(heart.poll(35), None);
    heart.heard(35);
    assert_eq!(heart.beats.pong(&ping(100), heart.at(35)), Some(9 * SEC));
}

#[test]
fn an_upload_that_moves_is_not_called_dead() {
    let mut heart = Heart::new(Heartbeat::ping());
    assert!(heart.beats.poll(heart.at(20), None).is_some());
    heart.beats.written(1_000_000, Some(100_000), heart.at(20));
    assert_eq!(heart.poll_knowing(30, Some(400_000)), None);
    assert_eq!(heart.poll_knowing(40, Some(700_000)), None);
    assert_eq!(heart.due(), Some(50));
    heart.heard(49);
    assert_eq!(heart.beats.pong(&ping(100), heart.at(49)), Some(29 * SEC));
}

#[test]
fn an_upload_that_was_just_taken_whole_has_the_full_time_to_be_answered() {
    let mut heart = Heart::new(Heartbeat::ping());
    assert!(heart.beats.poll(heart.at(20), None).is_some());
    heart.beats.written(1_000_000, Some(100_000), heart.at(20));
    // The last byte may have been acknowledged a moment ago.
    assert_eq!(heart.poll_knowing(30, Some(1_000_000)), None);
    assert_eq!(heart.due(), Some(40));
    // Nothing can move any more: now it is the answer that is missing.
    assert!(matches!(heart.poll_knowing(40, Some(1_000_000)), Some(Due::Beat(_))));
    assert_eq!(heart.poll_knowing(50, Some(1_000_014)), DEAD);
}

#[test]
fn the_acknowledgement_of_the_beat_alone_buys_no_time() {
    let mut heart = Heart::new(Heartbeat::ping());
    assert!(heart.beats.poll(heart.at(20), None).is_some());
    heart.beats.written(1_000, Some(900), heart.at(20));
    assert!(matches!(heart.poll_knowing(30, Some(1_000)), Some(Due::Beat(_))));
}

#[test]
fn an_upload_that_stands_still_is_dead() {
    let mut heart = Heart::new(Heartbeat::ping());
    assert!(heart.beats.poll(heart.at(20), None).is_some());
    heart.beats.written(1_000_000, Some(100_000), heart.at(20));
    assert_eq!(heart.poll_knowing(30, Some(400_000)), None);
    assert!(matches!(heart.poll_knowing(40, Some(400_000)), Some(Due::Beat(_))));
    assert_eq!(heart.poll_knowing(50, Some(400_000)), DEAD);
}

#[test]
fn a_server_whose_kernel_takes_everything_and_which_answers_nothing_is_dead() {
    let mut heart = Heart::new(Heartbeat::ping());
    assert!(heart.beats.poll(heart.at(20), None).is_some());
    heart.beats.written(514, Some(500), heart.at(20));
    assert!(heart.beats.poll(heart.at(30), Some(900)).is_some());
    heart.beats.written(914, Some(900), heart.at(30));
    assert_eq!(heart.poll_knowing(40, Some(1400)), DEAD);
}

#[test]
fn a_beat_that_cannot_be_written_is_missed_only_if_nothing_before_it_moves() {
    let mut heart = Heart::new(Heartbeat::ping());
    assert!(heart.beats.poll(heart.at(20), None).is_some());
    assert_eq!(heart.beats.poll(heart.at(30), None), None, "nobody can tell");
    assert_eq!(heart.beats.poll(heart.at(40), Some(5)), None);
    assert_eq!(heart.beats.poll(heart.at(50), Some(6)), None);
    assert_eq!(heart.beats.poll(heart.at(60), Some(6)), None, "missed, but no second one is queued");
    assert_eq!(heart.beats.poll(heart.at(70), Some(6)), None);
    assert_eq!(heart.beats.poll(heart.at(80), Some(6)), DEAD);
}

#[test]
fn while_reading_is_paused_one_beat_goes_out_and_no_verdict_falls() {
    let mut heart = Heart::new(Heartbeat::ping());
    heart.beats.pause(true, heart.at(5));
    assert!(heart.beats_at(20));
    assert_eq!(heart.due(), None);
    assert_eq!(heart.poll(500), None);
    heart.beats.pause(false, heart.at(500));
    assert_eq!(heart.due(), Some(510));
    assert!(heart.beats_at(510));
    assert_eq!(heart.poll(520), DEAD);
}

#[test]
fn resuming_forgets_the_misses_before() {
    let mut heart = Heart::new(Heartbeat::ping());
    assert!(heart.beats_at(20));
    assert!(heart.beats_at(30));
    heart.beats.pause(true, heart.at(39));
    heart.beats.pause(false, heart.at(60));
    assert!(heart.beats_at(70));
    assert_eq!(heart.poll(80), DEAD);
}

#[test]
fn a_pace_that_was_paused_goes_on_without_a_burst() {
    let mut heart = Heart::new(Heartbeat::ping().every(10 * SEC));
    heart.beats.pause(true, heart.at(1));
    assert!(heart.beats_at(10));
    assert_eq!(heart.poll(20), None);
    assert_eq!(heart.poll(30), None);
    heart.beats.pause(false, heart.at(35));
    heart.heard(35);
    assert!(heart.beats_at(35));
    assert_eq!(heart.due(), Some(45));
}

#[test]
fn after_suspend_a_beat_goes_out_and_earlier_ones_do_not_count() {
    let mut heart = Heart::new(Heartbeat::ping());
    assert!(heart.beats_at(20));
    assert!(heart.beats_at(30));
    assert!(heart.beats.woke(heart.at(39)).is_some());
    heart.beats.written(50, None, heart.at(39));
    assert_eq!(heart.due(), Some(49));
    assert!(heart.beats_at(49));
    assert_eq!(heart.poll(59), DEAD);
}

#[test]
fn the_round_trip_time_is_that_of_the_ping_that_was_answered() {
    let mut heart = Heart::new(Heartbeat::ping());
    assert!(heart.beats_at(20));
    assert!(heart.beats_at(30));
    assert_eq!(heart.beats.pong(&ping(100), heart.at(33)), Some(13 * SEC));
    assert_eq!(heart.beats.pong(&ping(101), heart.at(34)), Some(4 * SEC));
}

#[test]
fn a_pong_for_the_latest_ping_stands_for_those_before() {
    let mut heart = Heart::new(Heartbeat::ping());
    assert!(heart.beats_at(20));
    assert!(heart.beats_at(30));
    assert_eq!(heart.beats.pong(&ping(101), heart.at(31)), Some(SEC));
    assert_eq!(heart.beats.pong(&ping(100), heart.at(32)), None);
}

#[test]
fn foreign_pongs_are_only_bytes() {
    let mut heart = Heart::new(Heartbeat::ping().reply_only());
    assert!(heart.beats_at(20));
    for payload in [&b""[..], b"hello", &ping(99), &ping(101), b"123456789"] {
        heart.heard(21);
        assert_eq!(heart.beats.pong(payload, heart.at(21)), None);
    }
    assert_eq!(heart.due(), Some(30));
    assert_eq!(heart.beats.pong(&ping(100), heart.at(22)), Some(2 * SEC));
    assert_eq!(heart.due(), Some(41));
}

#[test]
fn with_a_slow_server_and_a_fast_pace_every_reply_counts() {
    let settings = Heartbeat::ping().every(SEC).reply_only().timeout(60 * SEC).max_missed(1);
    let mut heart = Heart::new(settings);
    for second in 1..=50 {
        assert!(heart.beats_at(second));
    }
    assert_eq!(heart.beats.pong(&ping(100), heart.at(50)), None, "too long ago to be timed");
    assert!(heart.beats_at(51));
    assert_eq!(heart.poll(61), Some(Due::Beat(Beat::Ping(ping(151)))));
}

#[test]
fn replies_are_recognised_by_text_or_prefix_and_delivered_only_on_request() {
    let now = Instant::now();
    let told =
        |settings: Heartbeat, text| Beats::new(settings, 0, now).message(MessageRef::Text(text), now).0;
    let exact = Heartbeat::text("ping").reply("pong");
    assert!(!told(exact.clone(), "pong"));
    assert!(told(exact.clone(), "pong!"));
    assert!(told(exact.clone().deliver_replies(true), "pong"));
    let prefix = Heartbeat::text("ping").reply_prefix("pong:");
    assert!(!told(prefix.clone(), "pong:17"));
    assert!(told(prefix, "pong"));
    assert!(told(Heartbeat::text("ping").any_reply(), "anything"));
    let binary = Beats::new(exact, 0, now).message(MessageRef::Binary(b"pong"), now);
    assert_eq!(binary, (true, None));
}

#[test]
fn the_pong_of_the_ping_that_stands_in_for_a_text_is_its_reply() {
    let settings =
        Heartbeat::text("ping").reply("pong").every(10 * SEC).timeout(5 * SEC).max_missed(1).reply_only();
    let mut heart = Heart::new(settings);
    assert!(heart.beats_at(10));
    assert_eq!(heart.beats.pong(b"another", heart.at(11)), None);
    assert_eq!(heart.beats.pong(STAND_IN, heart.at(12)), Some(2 * SEC));
    assert_eq!(heart.poll(15), None, "alive");
    assert!(heart.beats_at(20));
    assert_eq!(heart.poll(25), Some(Due::Dead { missed: 1 }));

    let mut pings = Heart::new(Heartbeat::ping().every(10 * SEC));
    assert!(pings.beats_at(10));
    assert_eq!(pings.beats.pong(STAND_IN, pings.at(11)), None);
    let mut off = Heart::new(Heartbeat::off());
    assert_eq!(off.beats.pong(STAND_IN, off.at(11)), None);
}

#[test]
fn without_a_heartbeat_nothing_is_ever_due() {
    let mut heart = Heart::new(Heartbeat::off());
    assert_eq!(heart.due(), None);
    assert_eq!(heart.poll(100_000), None);
    assert_eq!(heart.beats.woke(heart.at(1)), None);
    assert!(!heart.beats.wants_acknowledged());
}

#[test]
fn the_default_beats_after_silence() {
    assert_eq!(Heartbeat::default().schedule, Schedule::AfterSilence);
    assert_eq!(Heartbeat::default().patience(), Some(40 * SEC));
}
