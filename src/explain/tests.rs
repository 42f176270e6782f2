//! The text, word by word, with invented time.

use std::time::UNIX_EPOCH;

use super::history::KEPT;
use super::*;
use crate::error::Phase;
use crate::{Builder, Client, Heartbeat, Reconnect};

const MS: Duration = Duration::from_millis(1);
const SEC: Duration = Duration::from_secs(1);

/// A client's story, told by an invented clock that begins at 2026-11-28 01:02:03.
struct Story {
    config: Config,
    began: Instant,
    now: Duration,
    history: History,
    state: State,
    stats: Stats,
}

impl Story {
    fn of(builder: Builder) -> Story {
        Story {
            config: builder.config().unwrap(),
            began: Instant::now(),
            now: Duration::ZERO,
            history: History::default(),
            state: State::Idle,
            stats: Stats::default(),
        }
    }

    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + 1_795_827_723 * SEC + self.now
    }

    /// So much later the client comes to this state.
    fn then(&mut self, after: Duration, state: State, why: &str) {
        self.now += after;
        self.state = state;
        let (at, wall) = (self.began + self.now, self.wall());
        self.history.record(Standing::of(state), why, at, wall);
    }

    fn picture(&self) -> Picture<'_> {
        Picture {
            now: self.began + self.now,
            wall: self.wall(),
            config: &self.config,
            known: Known {
                state: self.state,
                destroyed: false,
                stats: self.stats.clone(),
                history: Arc::new(self.history.clone()),
            },
            turned_by: "a thread of its own",
            way: Way::Handlers,
            held_up: Pressure::default(),
            paused: false,
        }
    }

    fn text(&self) -> String {
        self.picture().text()
    }

    fn first_line(&self) -> String {
        self.text().lines().next().unwrap().to_owned()
    }
}

fn feed() -> Story {
    Story::of(Client::builder("ws://user:secret@example.com/feed?token=secret").name("feed"))
}

const RESOLVING: State = State::Connecting(Phase::Resolve);
const REFUSED: &str =
    "attempt 2 failed: connect failed: Connection refused (os error 111); next attempt in 4.6 s";

#[test]
fn the_text_of_a_story_is_told_word_by_word() {
    let mut story = feed();
    story.then(Duration::ZERO, RESOLVING, "attempt 1, by connect");
    story.then(12 * MS, State::Open, "attempt 1 (192.0.2.1:80)");
    story.then(
        3 * SEC,
        State::Waiting { attempt: 2, delay: 300 * MS },
        "closed uncleanly with 1006 by the network",
    );
    story.then(300 * MS, RESOLVING, "attempt 2");
    story.then(MS, State::Waiting { attempt: 3, delay: 4600 * MS }, REFUSED);
    story.now += 1200 * MS;
    story.stats = Stats {
        messages_sent: 12,
        bytes_sent: 340,
        messages_received: 8,
        bytes_received: 1200,
        sessions: 1,
        attempts: 2,
        last_rtt: Some(1234 * MS / 1000),
        smoothed_rtt: Some(MS),
        since_received: Some(9 * SEC),
        queued_messages: 2,
        queued_bytes: 80,
        accepted: 16,
        expired: 1,
        evicted: 1,
        ..Stats::default()
    };
    let build = settings::build();
    assert_eq!(
        story.text(),
        format!(
            "heartwire {} client \"feed\" to ws://example.com/feed: waiting since 1.2 s ago for attempt 3, \
             due in 3.4 s: attempt 2 failed: connect failed: Connection refused (os error 111); next attempt in 4.6 s\n\
             at 2026-11-28 01:02:07.513 UTC on {build}\n\
             on a thread of its own; handlers on the loop's thread\n\
             heartbeat ping after a silence of 20.0 s, 10.0 s for the answer, dead after 2 missed\n\
             reconnect after 250 ms + up to 500 ms * 2^n, at most 30.0 s, stable after 30.0 s\n\
             sessions 1, attempts 2; sent 12 messages (340 bytes), received 8 (1200 bytes)\n\
             queued 2 messages (80 bytes); expired 1, evicted 1, dropped at the end 0, interrupted 0, unknown 0; \
             0 events discarded\n\
             last byte received: 9.0 s ago; round trip 1.234 ms, smoothed 1.000 ms\n\
             the last 5 of 5 transitions, in UTC:\n\
             01:02:03.000 (4.5 s ago) idle -> connecting: attempt 1, by connect\n\
             01:02:03.012 (4.5 s ago) connecting -> open: attempt 1 (192.0.2.1:80)\n\
             01:02:06.012 (1.5 s ago) open -> waiting: closed uncleanly with 1006 by the network\n\
             01:02:06.312 (1.2 s ago) waiting -> connecting: attempt 2\n\
             01:02:06.313 (1.2 s ago) connecting -> waiting: {REFUSED}\n",
            env!("CARGO_PKG_VERSION")
        )
    );
}

#[test]
fn the_first_line_tells_what_comes_next_in_each_state() {
    let mut story = feed();
    let begins =
        format!("heartwire {} client \"feed\" to ws://example.com/feed: ", env!("CARGO_PKG_VERSION"));
    let told = |story: &Story| story.first_line().strip_prefix(&begins).unwrap().to_owned();
    assert_eq!(told(&story), "idle; connect was not called");
    story.then(SEC, RESOLVING, "attempt 1, by connect");
    story.now += 2 * SEC;
    story.state = State::Connecting(Phase::Tls);
    assert_eq!(told(&story), "connecting (TLS) since 2.0 s ago, of at most 15.0 s: attempt 1, by connect");
    story.then(SEC, State::Waiting { attempt: 2, delay: SEC }, "attempt 1 failed");
    story.now += SEC;
    assert_eq!(told(&story), "waiting since 1.0 s ago for attempt 2, due in 0 ms: attempt 1 failed");
    story.now += 2 * SEC;
    assert_eq!(told(&story), "waiting since 3.0 s ago for attempt 2, overdue by 2.0 s: attempt 1 failed");
    story.then(SEC, RESOLVING, "attempt 2");
    assert_eq!(
        told(&story),
        "connecting (name lookup) since 0 ms ago, of at most 15.0 s: attempt 2 (before: attempt 1 failed)"
    );
    story.then(SEC, State::Open, "attempt 2");
    story.now += 90_000 * SEC;
    assert_eq!(told(&story), "open since 25 h 0 min ago: attempt 2");
    story.then(SEC, State::Closing, "the server closed with 1001");
    assert_eq!(told(&story), "closing since 0 ms ago, of at most 5.0 s: the server closed with 1001");
    story.then(SEC, State::Closed, "closed by the user");
    assert_eq!(told(&story), "closed since 0 ms ago: closed by the user");
    let mut picture = story.picture();
    picture.known.destroyed = true;
    assert!(
        picture
            .first_line()
            .ends_with("feed: destroyed; before that closed since 0 ms ago: closed by the user")
    );
}

#[test]
fn who_is_held_up_is_told_by_what() {
    let story = feed();
    let mut picture = story.picture();
    let told =
        |picture: &Picture<'_>, words: &str| picture.text().lines().any(|line| line.starts_with(words));
    let words = ["reading is paused by the program", "reading waits: events", "no attempt begins before"];
    assert!(words.iter().all(|words| !told(&picture, words)));
    picture.paused = true;
    assert_eq!(words.map(|words| told(&picture, words)), [true, false, false]);
    picture.held_up.full = true;
    picture.held_up.holding = true;
    assert_eq!(words.map(|words| told(&picture, words)), [true; 3]);
}

#[test]
fn the_33rd_transition_pushes_out_the_first() {
    let mut story = feed();
    for n in 1..=KEPT {
        let state = if n % 2 == 1 { RESOLVING } else { State::Open };
        story.then(SEC, state, &format!("number {n}."));
    }
    let text = story.text();
    assert!(text.contains("the last 32 of 32 transitions") && text.contains("idle -> connecting: number 1."));
    story.then(SEC, RESOLVING, "number 33.");
    let text = story.text();
    assert!(text.contains("the last 32 of 33 transitions") && !text.contains("number 1."), "{text}");
    let lines: Vec<&str> = text.lines().filter(|line| line.contains(" -> ")).collect();
    assert_eq!(lines.len(), 32);
    assert!(lines[0].ends_with("connecting -> open: number 2."), "{}", lines[0]);
    assert!(lines[31].ends_with("open -> connecting: number 33."), "{}", lines[31]);
}

#[test]
fn another_phase_is_no_transition() {
    let mut story = feed();
    story.then(SEC, RESOLVING, "attempt 1");
    story.then(SEC, State::Connecting(Phase::Tls), "never told");
    assert!(story.text().contains("the last 1 of 1 transitions") && !story.text().contains("never told"));
}

#[test]
fn a_text_that_is_being_made_does_not_change() {
    let mut history = Arc::new(History::default());
    let (now, wall) = (Instant::now(), UNIX_EPOCH);
    Arc::make_mut(&mut history).record(Standing::Connecting, "first", now, wall);
    let taken = history.clone();
    Arc::make_mut(&mut history).record(Standing::Open, "second", now, wall);
    assert_eq!((taken.kept(), history.kept()), (1, 2));
}

/// Whatever strangers and the program make long, it fits where it has to: with all of it long at once.
#[test]
fn the_longest_text_there_can_be_is_within_its_bound() {
    let long = "\u{1}世x".repeat(2000);
    let url = format!("ws://{}.example/{}", "h".repeat(60), "x".repeat(5000));
    let builder = Client::builder(&url)
        .name("\u{202e}世x".repeat(2000))
        .add_url("ws://other/")
        .before_connect(|_| Ok(()))
        .heartbeat(Heartbeat::text(&long).reply_only().every(SEC * 604_800))
        .reconnect(
            Reconnect::exponential()
                .factor(1.000_000_000_000_001)
                .max_attempts(u32::MAX)
                .give_up_after(SEC * 604_800),
        );
    let mut story = Story::of(builder);
    for n in 0..100 {
        let state =
            if n % 2 == 1 { RESOLVING } else { State::Waiting { attempt: u32::MAX, delay: Duration::ZERO } };
        story.then(86_399 * 10 * SEC, state, &long);
    }
    story.now += 40_000 * 86_399 * SEC;
    let most = u64::MAX;
    let longest = Some(Duration::from_secs(u64::MAX / 2));
    story.stats = Stats {
        messages_sent: most,
        bytes_sent: most,
        messages_received: most,
        bytes_received: most,
        sessions: most,
        attempts: most,
        last_rtt: longest,
        smoothed_rtt: longest,
        since_received: longest,
        queued_messages: usize::MAX,
        queued_bytes: usize::MAX,
        accepted: most,
        expired: most,
        evicted: most,
        dropped_on_close: most,
        interrupted: most,
        unknown: most,
        events_discarded: most,
    };
    let mut picture = story.picture();
    picture.known.destroyed = true;
    picture.paused = true;
    picture.held_up.full = true;
    picture.held_up.holding = true;
    let text = picture.text();
    assert!(text.len() > SIZE / 2, "{} bytes: nothing is proved", text.len());
    assert!(text.len() < SIZE, "{} bytes", text.len());
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
    // 32 transitions, and a head of at most a dozen lines.
    assert!((40..=32 + 12).contains(&text.lines().count()), "{text}");
}
