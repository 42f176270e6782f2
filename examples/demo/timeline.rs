//! The demo's lines on the screen: seconds since the start, a short word, and what it means.
//!
//! Colours only on a terminal, and not if NO_COLOR is set (https://no-color.org).

use std::io::{IsTerminal, Write, stdout};
use std::time::{Duration, Instant};

use heartwire::Event;

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";

pub(crate) struct Timeline {
    began: Instant,
    colours: bool,
}

impl Timeline {
    pub(crate) fn new(began: Instant) -> Timeline {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Timeline { began, colours: stdout().is_terminal() && !unwanted }
    }

    /// A heading.
    pub(crate) fn chapter(&self, title: &str) {
        self.line(&format!("\n{}", self.paint(BOLD, title)));
    }

    /// One line of the timeline.
    pub(crate) fn say(&self, word: &str, text: &str) {
        let colour = match word {
            "open" | "closed" | "accepted" | "written" => GREEN,
            "lost" | "missed" => RED,
            "attempt" | "waiting" => YELLOW,
            "heartbeat" => CYAN,
            _ => DIM,
        };
        let seconds = self.began.elapsed().as_secs_f64();
        let word = self.paint(colour, &format!("{word:<10}"));
        self.line(&format!("{seconds:>7.3} s  {word}  {text}"));
    }

    /// What the client tells. Messages are told by the story, which knows when they were sent; outcomes and states are
    /// counted, not shown: the other events say as much.
    pub(crate) fn event(&self, event: &Event) {
        match event {
            Event::Open(opened) => self.say("open", &format!("the link is {opened}")),
            Event::Heartbeat(time) => self.say("heartbeat", &format!("answered in {}", milliseconds(*time))),
            Event::Close(closed) if closed.is_clean() => self.say("close", &closed.to_string()),
            Event::Close(closed) => self.say("lost", &closed.to_string()),
            Event::ConnectFailed(failed) => self.say("attempt", &failed.to_string()),
            Event::ClosedForGood(end) => self.say("closed", &end.to_string()),
            _ => {}
        }
    }

    pub(crate) fn good(&self, text: &str) {
        self.line(&format!("\n{}", self.paint(GREEN, text)));
    }

    pub(crate) fn bad(&self, text: &str) {
        self.line(&self.paint(RED, text));
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_string() }
    }

    /// A reader that went away (`demo | head`) is no reason to fail: the story is checked all the same.
    fn line(&self, line: &str) {
        let _ = writeln!(stdout().lock(), "{line}");
    }
}

pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}
