//! What is kept of a member's transitions for those who ask later: the state, and why it has changed.
//!
//! Causes are in the words of the log, since what may not be in a log may not be here.

use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

use crate::event::{End, Event, Initiator, SessionClosed, State, human};
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
        let route = if self.course.is_prepared() { &self.course.route } else { &config.routes[url] };
        let mut why = format!("attempt {attempt}{}", self.place(&route.shown_url, None));
        if self.standing == Standing::Idle {
            why += if self.brought { ", by connect over a stream" } else { ", by connect" };
        } else if self.link.was_hurried() {
            why += ", by reconnect_now";
        }
        why
    }

    fn why_open(&self) -> String {
        let opened = self.core.mailbox.lock().opened.clone();
        // Not which subprotocol: a token may be offered as one.
        let with = opened.is_some_and(|opened| opened.subprotocol.is_some());
        let with = if with { ", with a subprotocol" } else { "" };
        format!("attempt {}{}{with}", self.in_a_row, self.place(&self.course.route.shown_url, self.reached))
    }

    /// Where the attempt is: its URL, if that is not the client's first one, and the address that it has reached.
    fn place(&self, url: &str, reached: Option<SocketAddr>) -> String {
        let usual = url == self.core.config.routes[0].shown_url;
        match (usual, reached) {
            (true, None) => String::new(),
            (true, Some(address)) => format!(" ({address})"),
            (false, None) => format!(" ({url})"),
            (false, Some(address)) => format!(" ({url}, {address})"),
        }
    }

    /// What has failed, by the event that tells of it.
    fn failure(&self, event: &Event) -> Option<String> {
        match event {
            Event::ConnectFailed(failed) => {
                let place = self.place(&self.course.route.shown_url, self.reached);
                let mut why = format!("attempt {}{place} failed: {}", failed.attempt, failed.error);
                if let Some(delay) = failed.retry_in {
                    why += &format!("; next attempt in {}", human(delay));
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
