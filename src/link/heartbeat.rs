//! When a beat goes out, what answers it, and when silence means that the link is dead.
//!
//! Knows one session's time line only: no clock (every `now` is passed in), no socket, and nothing
//! of what happens after its verdict.
//!
//! A *beat* is a ping or a text of the application's. A *wait* runs from a beat's last byte to the
//! sign of life that the settings ask for; when it runs out, the beat is missed and the next one
//! follows at once. So a dead link is found at interval + misses * timeout after the last byte.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::heartbeat::{BeatKind, Heartbeat, Reply, Schedule};
use crate::event::MessageRef;
use crate::link::later;

/// Round-trip times are measured for this many beats at once; older ones are forgotten.
const REMEMBERED: usize = 16;

/// Unacknowledged bytes before a beat that are more than the beat itself, a TLS record around it included.
const LONG_WAY: u64 = 64 << 10;

/// What to write as a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// A ping with this payload.
    Ping([u8; 8]),
    /// A text message.
    Text(Arc<str>),
}

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Beat(Beat),
    /// The link is dead after this many missed beats.
    Dead {
        missed: u32,
    },
}

/// One session's heartbeat.
pub(crate) struct Beats {
    settings: Heartbeat,
    text: Arc<str>,
    /// When the schedule wants the next beat.
    next: Instant,
    wait: Option<Wait>,
    missed: u32,
    paused: bool,
    /// A beat was asked for and is not written yet; no second one is asked for meanwhile.
    unwritten: bool,
    /// Beats whose replies have not come, oldest first, with the time from which each is measured.
    sent: VecDeque<(u64, Instant)>,
    /// The numbers of this session's first beat and of the next one.
    first: u64,
    number: u64,
}

/// The payload of the ping that goes where a text beat may not: in the middle of a message. Its pong is the reply.
pub(crate) const STAND_IN: &[u8] = b"instead of a text";

/// The time that a beat has to be answered.
#[derive(Clone, Copy)]
struct Wait {
    until: Instant,
    /// Where the beat ends in the stream, once it is written.
    end: Option<u64>,
    /// What the peer's TCP had acknowledged when this wait began or was last extended.
    acknowledged: Option<u64>,
}

impl Wait {
    /// The wait with its new mark if the peer's TCP still works its way towards the beat.
    ///
    /// Bytes after the beat do not count: a peer that takes everything and answers nothing is dead. But if there was
    /// a long way to the beat when this wait began, nobody knows how long ago the peer reached it: it has another one.
    /// A beat that is not even written has no verdict where the OS cannot tell what was acknowledged:
    /// a large message before it may be on its way.
    fn moved(self, acknowledged: Option<u64>) -> Option<Wait> {
        let moved = match (self.end, self.acknowledged, acknowledged) {
            (None, _, None) | (None, None, Some(_)) => true,
            (None, Some(before), Some(now)) => now > before,
            (Some(end), Some(before), Some(now)) => {
                before < now && (now < end || end.saturating_sub(before) > LONG_WAY)
            }
            (Some(_), _, _) => false,
        };
        moved.then_some(Wait { acknowledged, ..self })
    }
}

impl Beats {
    /// `number` is the first beat's; it makes pongs of other pings, and of other sessions, tell apart.
    pub(crate) fn new(settings: Heartbeat, number: u64, now: Instant) -> Beats {
        let text = match &settings.kind {
            BeatKind::Text { text, .. } => Arc::from(text.as_str()),
            BeatKind::Off | BeatKind::Ping => Arc::from(""),
        };
        let next = later(now, settings.interval);
        let sent = VecDeque::new();
        Beats {
            settings,
            text,
            next,
            wait: None,
            missed: 0,
            paused: false,
            unwritten: false,
            sent,
            first: number,
            number,
        }
    }

    /// The number that the next beat will have.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Bytes were received, of whatever kind.
    pub(crate) fn heard(&mut self, now: Instant) {
        if self.settings.schedule == Schedule::AfterSilence {
            self.next = later(now, self.settings.interval);
        }
        if !self.settings.reply_only {
            self.alive();
        }
    }

    /// A pong came; tells the round-trip time if it answers one of our pings.
    pub(crate) fn pong(&mut self, payload: &[u8], now: Instant) -> Option<Duration> {
        if self.settings.kind != BeatKind::Ping {
            let answers = payload == STAND_IN && !self.is_off();
            return if answers { self.answered(now) } else { None };
        }
        let number = u64::from_be_bytes(payload.try_into().ok()?);
        if number.wrapping_sub(self.first) >= self.number.wrapping_sub(self.first) {
            return None;
        }
        self.alive();
        let index = self.sent.iter().position(|(sent, _)| *sent == number)?;
        let (_, since) = self.sent[index];
        // RFC 6455 section 5.5.3: a pong may stand for the pings before it, too.
        self.sent.drain(..=index);
        Some(now.saturating_duration_since(since))
    }

    /// A message came; tells whether to deliver it, and the round-trip time if it answers a beat.
    #[inline]
    pub(crate) fn message(&mut self, message: MessageRef<'_>, now: Instant) -> (bool, Option<Duration>) {
        let BeatKind::Text { reply, deliver, .. } = &self.settings.kind else { return (true, None) };
        let (answers, deliver) = match (reply, message.as_text()) {
            (Reply::Any, _) => (true, true),
            (Reply::Exact(reply), Some(text)) => (text == reply, *deliver),
            (Reply::Prefix(prefix), Some(text)) => (text.starts_with(prefix.as_str()), *deliver),
            _ => (false, true),
        };
        if !answers {
            return (true, None);
        }
        let any = *reply == Reply::Any;
        let round_trip = self.answered(now);
        // Where any message is one, it answers all so far.
        if any {
            self.sent.clear();
        }
        (deliver, round_trip)
    }

    /// A reply came; they come in the order of their beats.
    fn answered(&mut self, now: Instant) -> Option<Duration> {
        self.alive();
        self.sent.pop_front().map(|(_, since)| now.saturating_duration_since(since))
    }

    /// The last byte of the beat was accepted by the operating system.
    ///
    /// `accepted` counts the stream's bytes up to it; `acknowledged` those that the peer's TCP has.
    pub(crate) fn written(&mut self, accepted: u64, acknowledged: Option<u64>, now: Instant) {
        if !std::mem::take(&mut self.unwritten) {
            return;
        }
        if let Some((_, since)) = self.sent.back_mut() {
            *since = now;
        }
        if let Some(wait) = self.wait.as_mut().filter(|wait| wait.end.is_none()) {
            *wait = Wait { until: later(now, self.settings.timeout), end: Some(accepted), acknowledged };
        }
    }

    /// While reading is paused nothing can be heard: beats go out, one unanswered at most, and no verdict falls.
    pub(crate) fn pause(&mut self, paused: bool, now: Instant) {
        let resumed = self.paused && !paused;
        self.paused = paused;
        if resumed {
            self.missed = 0;
            self.next = self.next.max(now);
            if let Some(wait) = &mut self.wait {
                wait.until = later(now, self.settings.timeout);
            }
        }
    }

    /// The machine was suspended: earlier beats say nothing any more, a new one goes out at once.
    pub(crate) fn woke(&mut self, now: Instant) -> Option<Beat> {
        if self.is_off() || (self.paused && self.wait.is_some()) {
            return None;
        }
        self.alive();
        self.beat(now)
    }

    /// What is due now; asked when [`deadline`](Self::deadline) has come, harmless at any time.
    ///
    /// `acknowledged` is what the peer's TCP has acknowledged of the stream, where that is known.
    pub(crate) fn poll(&mut self, now: Instant, acknowledged: Option<u64>) -> Option<Due> {
        if self.is_off() {
            return None;
        }
        if let Some(wait) = self.wait.filter(|wait| !self.paused && wait.until <= now) {
            if let Some(moved) = wait.moved(acknowledged) {
                self.wait = Some(Wait { until: later(now, self.settings.timeout), ..moved });
            } else {
                self.missed += 1;
                if self.missed >= self.settings.max_missed {
                    return Some(Due::Dead { missed: self.missed });
                }
                self.wait = None;
                return self.beat(now).map(Due::Beat);
            }
        }
        if self.schedule().is_some_and(|next| next <= now) {
            return self.beat(now).map(Due::Beat);
        }
        None
    }

    /// When [`poll`](Self::poll) has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.is_off() {
            return None;
        }
        let wait = self.wait.filter(|_| !self.paused).map(|wait| wait.until);
        wait.into_iter().chain(self.schedule()).min()
    }

    /// Whether the next verdict depends on what the peer's TCP has acknowledged.
    pub(crate) fn wants_acknowledged(&self) -> bool {
        self.wait.is_some() && !self.paused
    }

    fn is_off(&self) -> bool {
        self.settings.kind == BeatKind::Off
    }

    /// The sign of life that the settings ask for.
    fn alive(&mut self) {
        self.missed = 0;
        self.wait = None;
    }

    /// When the schedule alone, without a miss, wants a beat.
    fn schedule(&self) -> Option<Instant> {
        let waits = self.wait.is_some();
        let beats = match self.settings.schedule {
            Schedule::AfterSilence => !waits,
            Schedule::Every => !waits || !(self.paused || self.unwritten),
        };
        beats.then_some(self.next)
    }

    /// The next beat, unless the one before is not written yet; its wait begins in either case.
    fn beat(&mut self, now: Instant) -> Option<Beat> {
        self.next = later(now, self.settings.interval);
        if self.wait.is_none() {
            let until = later(now, self.settings.timeout);
            self.wait = Some(Wait { until, end: None, acknowledged: None });
        }
        if std::mem::replace(&mut self.unwritten, true) {
            return None;
        }
        let number = self.number;
        self.number = number.wrapping_add(1);
        if self.sent.len() == REMEMBERED {
            self.sent.pop_front();
        }
        self.sent.push_back((number, now));
        Some(match self.settings.kind {
            BeatKind::Text { .. } => Beat::Text(self.text.clone()),
            _ => Beat::Ping(number.to_be_bytes()),
        })
    }
}
