//! What is kept of a member's transitions for those who ask later: the state, and why it has changed.
//!
//! Causes are in the words of the log, since what may not be in a log may not be here.

use std::time::{Instant, SystemTime};

use crate::event::{ConnectFailed, End, Event, Initiator, SessionClosed, State};
use crate::event_loop::member::Member;
use crate::explain::Standing;
use crate::link::Action;
use crate::mailbox::{Inner, News};

impl Member {
    /// The client stands here now, for everyone who asks.
    pub(super) fn stands(&mut self, state: State, now: Instant) {
        let standing = Standing::of(state);
        // The phases of an attempt are no transitions.
        let moved = (standing != self.standing).then(|| (self.why(state), SystemTime::now()));
        self.standing = standing;
        if standing == Standing::Connecting && moved.is_some() {
            self.reached = None;
        }
        let change = |inner: &mut Inner| {
            inner.state = state;
            if let Some((why, wall)) = &moved {
                inner.record(standing, why, now, *wall);
            }
        };
        match state {
            State::Open => self.core.mailbox.update(News::Open, change),
            _ => change(&mut self.core.mailbox.lock()),
        }
    }

    fn why(&self, state: State) -> String {
        // The link says what comes of a new state, or has led to it, right behind it.
        let next = self.link.upcoming().next();
        match (state, next) {
            (
                State::Connecting(_),
                Some(Action::Prepare { attempt, url, .. } | Action::Dial { attempt, url }),
            ) => self.why_connecting(*attempt, *url),
            (State::Open, _) => self.why_open(),
            (State::Waiting { .. }, Some(Action::Tell(event))) => self.failure(event).unwrap_or_default(),
            (State::Waiting { .. }, _) if self.standing == Standing::Connecting => {
                "put off by before_connect".to_owned()
            }
            (State::Waiting { .. }, _) => "connect was called, but older events are not taken".to_owned(),
            (State::Closing, _) => self.link.why_closing().unwrap_or_default(),
            (State::Closed, _) => self.why_closed(),
            (State::Idle | State::Connecting(_), _) => String::new(),
        }
    }

    fn why_connecting(&self, attempt: u32, url: usize) -> String {
        let config = &self.core.config;
        let usual = &config.routes[0];
        let route = if self.course.is_prepared() { &self.course.route } else { &config.routes[url] };
        let mut why = format!("attempt {attempt}");
        if route.shown_url != usual.shown_url {
            why += &format!(" to {}", route.shown_url);
        }
        if self.standing == Standing::Idle {
            why += if self.brought { ", by connect over a stream" } else { ", by connect" };
        } else if self.link.was_hurried() {
            why += ", by reconnect_now";
        }
        why
    }

    fn why_open(&self) -> String {
        let Some(opened) = self.core.mailbox.lock().opened.clone() else { return String::new() };
        let mut why = opened.to_string();
        if let Some(address) = self.reached {
            why += &format!(", {address}");
        }
        // Not which: a token may be offered as one.
        why += if opened.subprotocol.is_some() { ", with a subprotocol" } else { "" };
        why
    }

    /// What has failed, by the event that tells of it.
    fn failure(&self, event: &Event) -> Option<String> {
        match event {
            Event::ConnectFailed(failed) => {
                let failed = ConnectFailed { way: self.course.way(), ..failed.clone() };
                let mut why = failed.to_string();
                if let Some(address) = self.reached {
                    why += &format!(" (at {address})");
                }
                Some(why)
            }
            Event::Close(closed) if closed.by() == Initiator::Server => Some(closed.to_string()),
            // The server's reason, if it gave one, repeats ours, which is the program's own.
            Event::Close(closed) => {
                Some(SessionClosed { reason: String::new(), ..closed.clone() }.to_string())
            }
            _ => None,
        }
    }

    fn why_closed(&self) -> String {
        let told = || {
            self.link
                .upcoming()
                .map_while(|action| if let Action::Tell(event) = action { Some(event) } else { None })
        };
        let failure = told().find_map(|event| self.failure(event));
        let end =
            told().find_map(|event| if let Event::ClosedForGood(end) = event { Some(end) } else { None });
        match (failure, end) {
            (Some(failure), Some(End::GaveUp(_))) => format!("gave up: {failure}"),
            (Some(failure), Some(End::Fatal(_))) => format!("not worth another attempt: {failure}"),
            (Some(failure), Some(end)) => format!("{end}: {failure}"),
            (Some(failure), None) => failure,
            (None, Some(end)) => end.to_string(),
            (None, None) => String::new(),
        }
    }
}
