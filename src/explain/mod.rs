//! What a client says of itself when it is asked what is the matter: where it stands and why, what comes next, how it
//! is set, what it has counted, and its last transitions.
//!
//! Knows no clock (the times are passed in) and no secret: causes are what the log tells of them, and settings are told
//! by `settings`. Every part has a bound, so the whole has one.

mod history;
mod settings;
mod words;

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::config::Config;
use crate::core::Core;
use crate::dispatch::Way;
use crate::dispatch::queue::Pressure;
use crate::event::{State, human};
use crate::mailbox::PAUSED;
use crate::stats::Stats;

use history::Record;
pub(crate) use history::{History, Standing};
use words::{date_and_time, plain, time_of_day};

/// A text is shorter than this, so that it fits with a NUL behind it.
#[cfg(any(feature = "capi", test))]
pub(crate) const SIZE: usize = 16 << 10;

/// So many bytes of the name and of the URL.
const NAME: usize = 64;
const URL: usize = 256;

/// What the mailbox knows, of one moment.
pub(crate) struct Known {
    pub(crate) state: State,
    pub(crate) destroyed: bool,
    pub(crate) stats: Stats,
    pub(crate) history: Arc<History>,
}

/// All that a text is made of.
struct Picture<'a> {
    now: Instant,
    wall: SystemTime,
    config: &'a Config,
    known: Known,
    turned_by: &'static str,
    way: Way,
    held_up: Pressure,
    paused: bool,
}

impl Core {
    /// The text of this moment.
    pub(crate) fn explain(&self, now: Instant, wall: SystemTime) -> String {
        let picture = Picture {
            now,
            wall,
            config: &self.config,
            known: self.mailbox.known(now, self.dispatcher.queue.discarded()),
            turned_by: self.turned_by(),
            way: self.dispatcher.way(),
            held_up: self.dispatcher.held_up(),
            paused: self.mailbox.signals() & PAUSED != 0,
        };
        picture.text()
    }
}

impl Picture<'_> {
    fn text(&self) -> String {
        let mut text = self.first_line();
        text.push('\n');
        self.surroundings(&mut text);
        self.figures(&mut text);
        self.transitions(&mut text);
        text
    }

    /// Who it is, where it stands and why: this line is of use alone.
    fn first_line(&self) -> String {
        let name = plain(&self.config.name.escape_debug().to_string(), NAME);
        let url = plain(&self.config.routes[0].shown_url, URL);
        let mut line = format!("heartwire {} client \"{name}\" to {url}: ", env!("CARGO_PKG_VERSION"));
        if self.known.destroyed {
            line += "destroyed; before that ";
        }
        line += &self.standing();
        line
    }

    fn standing(&self) -> String {
        let history = &self.known.history;
        let Some(last) = history.last() else { return "idle; connect was not called".to_owned() };
        let rules = &self.config.rules;
        let mut words = match self.known.state {
            State::Connecting(phase) => format!("connecting ({phase})"),
            _ => last.to.word().to_owned(),
        };
        words += &format!(" since {} ago", human(self.ago(last)));
        match self.known.state {
            State::Connecting(_) => words += &format!(", of at most {}", human(rules.connect_timeout)),
            State::Closing => words += &format!(", of at most {}", human(rules.close_timeout)),
            State::Waiting { attempt, delay } => {
                words += &format!(" for attempt {attempt}, ");
                words += &match delay.checked_sub(self.ago(last)) {
                    Some(left) => format!("due in {}", human(left)),
                    None => format!("overdue by {}", human(self.ago(last).saturating_sub(delay))),
                };
            }
            _ => {}
        }
        if !last.why.is_empty() {
            words += &format!(": {}", last.why);
        }
        if let (State::Connecting(_), Some(before)) = (self.known.state, history.last_but_one())
            && !before.why.is_empty()
        {
            words += &format!(" (before: {})", before.why);
        }
        words
    }

    fn surroundings(&self, text: &mut String) {
        let events = match self.way {
            Way::Unclaimed => "nobody takes events yet",
            Way::Handlers => "handlers on the loop's thread",
            Way::HandlersThread => "handlers on a thread of their own",
            Way::Pull => "events are pulled",
            Way::Channel => "events through a channel",
        };
        let rules = &self.config.rules;
        let _ = writeln!(text, "at {} UTC on {}", date_and_time(self.wall), settings::build());
        let _ = write!(text, "on {}; {events}", self.turned_by);
        for part in settings::way(self.config) {
            let _ = write!(text, "; {part}");
        }
        text.push('\n');
        let _ = writeln!(text, "heartbeat {}", settings::heartbeat(&rules.heartbeat));
        let _ = writeln!(text, "reconnect {}", settings::reconnect(&rules.reconnect));
        if self.paused {
            text.push_str("reading is paused by the program\n");
        }
        if self.held_up.full {
            text.push_str("reading waits: events are not taken, and their queue is full\n");
        }
        if self.held_up.holding {
            text.push_str("no attempt begins before the last Close or ConnectFailed is taken\n");
        }
    }

    fn figures(&self, text: &mut String) {
        let stats = &self.known.stats;
        let _ = writeln!(
            text,
            "sessions {}, attempts {}; sent {} messages ({} bytes), received {} ({} bytes)",
            stats.sessions,
            stats.attempts,
            stats.messages_sent,
            stats.bytes_sent,
            stats.messages_received,
            stats.bytes_received,
        );
        let _ = writeln!(
            text,
            "queued {} messages ({} bytes), unconfirmed {}, replayed {}; expired {}, evicted {}, dropped at the end {}, interrupted {}, unknown {}; \
             {} events discarded",
            stats.queued_messages,
            stats.queued_bytes,
            stats.unconfirmed,
            stats.replayed,
            stats.expired,
            stats.evicted,
            stats.dropped_on_close,
            stats.interrupted,
            stats.unknown,
            stats.events_discarded,
        );
        let ago = stats.since_received.map_or("none".to_owned(), |time| format!("{} ago", human(time)));
        let _ = write!(text, "last byte received: {ago}");
        if let (Some(last), Some(smoothed)) = (stats.last_rtt, stats.smoothed_rtt) {
            let _ = write!(text, "; round trip {}, smoothed {}", fine(last), fine(smoothed));
        }
        text.push('\n');
    }

    fn transitions(&self, text: &mut String) {
        let history = &self.known.history;
        let (kept, total) = (history.kept(), history.total());
        let _ = writeln!(text, "the last {kept} of {total} transitions, in UTC:");
        for (from, record) in history.transitions() {
            let (time, ago) = (time_of_day(record.wall()), human(self.ago(record)));
            let _ = write!(text, "{time} ({ago} ago) {} -> {}", from.word(), record.to.word());
            if !record.why.is_empty() {
                let _ = write!(text, ": {}", record.why);
            }
            text.push('\n');
        }
    }

    fn ago(&self, record: &Record) -> Duration {
        self.now.saturating_duration_since(record.at)
    }
}

/// A round trip: `0.123 ms`.
fn fine(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests;
