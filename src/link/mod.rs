//! The client's lasting wish to be connected: every decision is made here, and nothing else is done.
//!
//! Knows no clock (every `now` is passed in), no randomness but its seed's, no socket, no thread and
//! no log. The event loop tells what happened by [`Link::handle`], does what [`Link::next_action`]
//! says in that order, and comes back at [`Link::deadline`].
//!
//! What always holds: one attempt at a time; none after the user's close; one `Close` for each
//! `Open`; `ClosedForGood` last and once. An input that does not fit the state is ignored, since it
//! may have crossed an action on its way.

pub(crate) mod asking;
mod closing;
mod ending;
mod exchange;
mod heartbeat;
pub(crate) mod outbox;
mod reconnect;
pub(crate) mod redirect;
mod turns;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use closing::{Closing, Failed, What};
pub(crate) use exchange::{Action, Input, Rules, Verdict};
pub(crate) use heartbeat::{Beat, STAND_IN};
use heartbeat::{Beats, Due};
use reconnect::{Backoff, Next, Weight};
use turns::Turns;

use crate::error::{Cause, LinkError, Phase};
use crate::event::{End, Event, Initiator, MessageRef, Opened, State, Way};

/// The close code of a client that ends because its user's code panicked (RFC 6455 section 7.4.1).
const INTERNAL_ERROR: u16 = 1011;
/// That of a session in which nothing more can be said.
const GOING_AWAY: u16 = 1001;

/// The decisions of one client.
pub(crate) struct Link {
    rules: Arc<Rules>,
    backoff: Backoff,
    turns: Turns,
    at: At,
    /// Of the last attempt or session that failed.
    last_error: Option<LinkError>,
    told: State,
    actions: VecDeque<Action>,
    /// The number of the next session's first beat.
    beat_number: u64,
    held: bool,
    paused: bool,
    /// There is one attempt, and no other follows.
    once: bool,
    /// The user has cut the last wait short.
    hurried: bool,
}

enum At {
    Idle,
    Waiting {
        until: Instant,
        /// The attempt that comes then, if the program has prepared it and put it off.
        prepared: Option<u32>,
    },
    /// [`Phase::Prepare`]: the program is being asked, and nothing is dialled yet.
    Dialing {
        attempt: u32,
        phase: Phase,
        deadline: Instant,
    },
    Open {
        since: Instant,
        beats: Beats,
    },
    Closing(Closing),
    Closed,
}

impl Link {
    pub(crate) fn new(rules: Arc<Rules>, seed: u64) -> Link {
        let mut backoff = Backoff::new(seed);
        let beat_number = backoff.draw();
        Link {
            backoff,
            turns: Turns::new(rules.urls, rules.url_penalty),
            rules,
            at: At::Idle,
            last_error: None,
            told: State::Idle,
            actions: VecDeque::new(),
            beat_number,
            held: false,
            paused: false,
            once: false,
            hurried: false,
        }
    }

    #[cfg(test)]
    pub(crate) fn state(&self) -> State {
        self.told
    }

    #[inline]
    pub(crate) fn next_action(&mut self) -> Option<Action> {
        let next = self.actions.pop_front();
        if next.is_none() && self.actions.capacity() > 0 {
            // The list of an open session is seldom used, and nearly a tenth of what an idle client has.
            self.actions = VecDeque::new();
        }
        next
    }

    /// What [`next_action`](Link::next_action) will give, for whoever tells why a state has changed: what has led to
    /// it, or comes of it, follows right behind it.
    pub(crate) fn upcoming(&self) -> impl Iterator<Item = &Action> {
        self.actions.iter()
    }

    /// Why a session is being closed, in words; of the reasons for a Close only the server's.
    pub(crate) fn why_closing(&self) -> Option<String> {
        if let At::Closing(closing) = &self.at { Some(closing.why()) } else { None }
    }

    /// Whether the last wait was cut short by the user.
    pub(crate) fn was_hurried(&self) -> bool {
        self.hurried
    }

    /// When [`Input::Tick`] is wanted at the latest; it may move either way with each input.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.at {
            At::Waiting { until, .. } => (!self.held).then_some(*until),
            At::Dialing { deadline, .. } => Some(*deadline),
            At::Open { beats, .. } => beats.deadline(),
            At::Closing(closing) => Some(closing.deadline),
            At::Idle | At::Closed => None,
        }
    }

    /// Whether a `Tick` would like to know the acknowledged bytes.
    pub(crate) fn wants_acknowledged(&self) -> bool {
        matches!(&self.at, At::Open { beats, .. } if beats.wants_acknowledged())
    }

    /// A message came: whether it is to be delivered, which replies to text beats may not be.
    #[inline]
    pub(crate) fn message(&mut self, message: MessageRef<'_>, now: Instant) -> bool {
        let At::Open { beats, .. } = &mut self.at else { return true };
        let (deliver, round_trip) = beats.message(message, now);
        if let Some(time) = round_trip {
            self.actions.push_back(Action::Tell(Event::Heartbeat(time)));
        }
        deliver
    }

    pub(crate) fn handle(&mut self, input: Input<'_>, now: Instant) {
        match input {
            Input::Connect => self.connect(false, now),
            Input::ConnectOnce => self.connect(true, now),
            Input::ReconnectNow => self.reconnect_now(now),
            Input::Close { code, reason } => self.close(Initiator::User, code, reason, End::Closed, now),
            Input::CallbackPanicked => {
                self.close(Initiator::Library, INTERNAL_ERROR, "", End::CallbackPanicked, now)
            }
            Input::Abandoned => {
                if let At::Open { .. } = self.at {
                    self.session_failed(LinkError::new(Phase::Open, Cause::Abandoned), now);
                }
            }
            // What comes before an attempt has begun is about the one before.
            Input::Prepared(_) | Input::Phase(_) | Input::Opened | Input::DialFailed(_)
                if self.first_dial().is_some() => {}
            Input::Prepared(verdict) => self.prepared(verdict, now),
            Input::Phase(reached) => self.phase(reached),
            Input::Opened => self.opened(now),
            Input::DialFailed(error) => self.dial_failed(error, now),
            Input::Heard => {
                if let At::Open { beats, .. } = &mut self.at {
                    beats.heard(now);
                }
            }
            Input::Pong(payload) => {
                if let At::Open { beats, .. } = &mut self.at {
                    let round_trip = beats.pong(payload, now);
                    self.actions.extend(round_trip.map(|time| Action::Tell(Event::Heartbeat(time))));
                }
            }
            Input::BeatWritten { accepted, acknowledged } => {
                if let At::Open { beats, .. } = &mut self.at {
                    beats.written(accepted, acknowledged, now);
                }
            }
            Input::Drained => self.drained(),
            Input::CloseWritten => self.close_written(),
            Input::PeerClose { code, reason } => self.peer_close(code, reason, now),
            Input::SessionFailed(error) => self.session_failed(error, now),
            Input::StreamEnded => self.stream_ended(now),
            Input::ReadingPaused(paused) => {
                self.paused = paused;
                if let At::Open { beats, .. } = &mut self.at {
                    beats.pause(paused, now);
                }
            }
            Input::Held(held) => {
                self.held = held;
                self.dial_if_due(now);
            }
            Input::Woke => {
                if let At::Open { beats, .. } = &mut self.at {
                    self.actions.extend(beats.woke(now).map(Action::Beat));
                }
            }
            Input::Tick { acknowledged } => self.tick(acknowledged, now),
        }
    }

    fn connect(&mut self, once: bool, now: Instant) {
        if !matches!(self.at, At::Idle) {
            return;
        }
        self.once = once;
        self.at = At::Waiting { until: now, prepared: None };
        if self.held {
            self.tell_state(State::Waiting { attempt: 1, delay: Duration::ZERO });
        }
        self.dial_if_due(now);
    }

    fn reconnect_now(&mut self, now: Instant) {
        if let At::Waiting { until, .. } = &mut self.at {
            self.hurried |= now < *until;
            *until = now;
            self.dial_if_due(now);
        }
    }

    fn dial_if_due(&mut self, now: Instant) {
        let At::Waiting { until, prepared } = self.at else { return };
        if self.held || now < until {
            return;
        }
        let gives_up_at = self.backoff.gives_up_at(&self.rules.reconnect);
        if gives_up_at.is_some_and(|at| at <= now) {
            // Events were not taken, or the program put the attempt off, for so long that the time without a session
            // is up.
            let put_off = prepared.map(|_| LinkError::new(Phase::Prepare, Cause::TimedOut));
            if let Some(error) = self.last_error.take().or(put_off) {
                return self.end(End::GaveUp(error), None);
            }
        }
        // What the program has put off is the same attempt still, and it is not asked again.
        let attempt = prepared.unwrap_or_else(|| self.backoff.attempt(now));
        let url = self.turns.next(now);
        let asks = self.rules.before_connect && prepared.is_none();
        let whole = later(now, self.rules.connect_timeout);
        let gives_up_at = self.backoff.gives_up_at(&self.rules.reconnect);
        let deadline = gives_up_at.map_or(whole, |at| at.min(whole));
        let phase = if asks { Phase::Prepare } else { Phase::Resolve };
        self.at = At::Dialing { attempt, phase, deadline };
        self.tell_state(State::Connecting(phase));
        self.actions.push_back(if asks {
            Action::Prepare { attempt, url, error: self.last_error.clone() }
        } else {
            Action::Dial { attempt, url }
        });
    }

    fn prepared(&mut self, verdict: Verdict, now: Instant) {
        let At::Dialing { attempt, phase: phase @ Phase::Prepare, .. } = &mut self.at else { return };
        let attempt = *attempt;
        match verdict {
            Verdict::Go => {
                *phase = Phase::Resolve;
                let url = self.turns.next(now);
                self.tell_state(State::Connecting(Phase::Resolve));
                self.actions.push_back(Action::Dial { attempt, url });
            }
            Verdict::Delay(delay) => {
                // The limit of the time without a session holds for the program's delays, too.
                let gives_up_at = self.backoff.gives_up_at(&self.rules.reconnect);
                let until = gives_up_at.map_or(later(now, delay), |at| at.min(later(now, delay)));
                self.at = At::Waiting { until, prepared: Some(attempt) };
                self.hurried = false;
                let delay = until.saturating_duration_since(now);
                self.tell_state(State::Waiting { attempt, delay });
            }
            Verdict::Stop => self.end(End::Stopped, None),
        }
    }

    fn phase(&mut self, reached: Phase) {
        let At::Dialing { phase, .. } = &mut self.at else { return };
        let is_dialled = *phase != Phase::Prepare && reached != Phase::Prepare;
        if is_dialled && *phase != reached && reached < Phase::Open {
            *phase = reached;
            self.tell_state(State::Connecting(reached));
        }
    }

    fn opened(&mut self, now: Instant) {
        let At::Dialing { attempt, phase, .. } = self.at else { return };
        if phase == Phase::Prepare {
            return;
        }
        let first = self.backoff.opened();
        self.turns.opened();
        let mut beats = Beats::new(self.rules.heartbeat.clone(), self.beat_number, now);
        beats.pause(self.paused, now);
        self.at = At::Open { since: now, beats };
        self.tell_state(State::Open);
        self.tell(Event::Open(Opened {
            attempt,
            first,
            way: Way::default(),
            subprotocol: None,
            headers: Vec::new(),
            peer_certificate: None,
        }));
    }

    fn dial_failed(&mut self, error: LinkError, now: Instant) {
        let At::Dialing { attempt, .. } = self.at else { return };
        self.down(Failed { error, what: What::Attempt(attempt) }, now);
    }

    fn first_dial(&self) -> Option<usize> {
        let begins = |action: &Action| matches!(action, Action::Prepare { .. } | Action::Dial { .. });
        self.actions.iter().position(begins)
    }

    /// Takes attempts back that nobody has begun yet; tells whether there was one.
    fn withdraw_dials(&mut self) -> bool {
        let Some(first) = self.first_dial() else { return false };
        let mut later = self.actions.split_off(first);
        let of_dial = |action: &Action| {
            matches!(action, Action::Prepare { .. } | Action::Dial { .. } | Action::AbandonDial)
        };
        later.retain(|action| !of_dial(action));
        self.actions.append(&mut later);
        true
    }

    fn tick(&mut self, acknowledged: Option<u64>, now: Instant) {
        match &mut self.at {
            At::Waiting { .. } => self.dial_if_due(now),
            At::Dialing { phase, deadline, .. } if *deadline <= now => {
                let error = LinkError::new(*phase, Cause::TimedOut);
                self.actions.push_back(Action::AbandonDial);
                self.dial_failed(error, now);
            }
            At::Open { beats, .. } => match beats.poll(now, acknowledged) {
                Some(Due::Beat(beat)) => self.actions.push_back(Action::Beat(beat)),
                Some(Due::Dead { missed }) => {
                    let error = LinkError::new(Phase::Open, Cause::Silent { missed });
                    self.tell(Event::Error(error.clone()));
                    self.session_lost(error, Initiator::Library, now);
                }
                None => {}
            },
            At::Closing(closing) if closing.deadline <= now => {
                if closing.peers.is_none() {
                    closing.error.get_or_insert(LinkError::new(Phase::Close, Cause::TimedOut));
                }
                // What its kernel still holds must not reach the server after the next session's messages.
                let abort = closing.end.is_none();
                self.closing_done(abort, now);
            }
            _ => {}
        }
    }

    fn no_longer_open(&mut self, now: Instant) {
        if let At::Open { since, beats } = &self.at {
            self.beat_number = beats.number();
            let open_for = now.saturating_duration_since(*since);
            if self.backoff.ended(&self.rules.reconnect, open_for, now) {
                self.turns.was_stable();
            }
        }
    }

    /// Decides what follows a failure.
    fn down(&mut self, failed: Failed, now: Instant) {
        let error = failed.error.clone();
        let weight = self.backoff.weigh(&self.rules, &error);
        // That the program could not prepare an attempt says nothing against its URL.
        let of_url = error.phase() != Phase::Prepare;
        let weight = if of_url { self.turns.failed(weight, now) } else { weight };
        self.last_error = Some(error.clone());
        if self.once && !matches!(weight, Weight::Fatal) {
            return self.end(End::GaveUp(error), Some(failed));
        }
        let delay = match self.backoff.follows(&self.rules.reconnect, weight, now) {
            Next::Retry(delay) => delay,
            Next::Fatal => return self.end(End::Fatal(error), Some(failed)),
            Next::GiveUp => return self.end(End::GaveUp(error), Some(failed)),
            Next::Panicked => return self.end(End::CallbackPanicked, Some(failed)),
        };
        self.at = At::Waiting { until: later(now, delay), prepared: None };
        self.hurried = false;
        self.tell_state(State::Waiting { attempt: self.backoff.next_attempt(), delay });
        self.tell(failed.event(Some(delay)));
    }

    /// The client's end, with the last attempt's or session's if there was one.
    fn end(&mut self, end: End, failed: Option<Failed>) {
        self.at = At::Closed;
        self.tell_state(State::Closed);
        if let Some(failed) = failed {
            self.tell(failed.event(None));
        }
        self.tell(Event::ClosedForGood(end));
    }

    fn tell_state(&mut self, state: State) {
        self.told = state;
        self.tell(Event::State(state));
    }

    fn tell(&mut self, event: Event) {
        self.actions.push_back(Action::Tell(event));
    }
}

/// `now + time`, or as good as never where that cannot be told.
pub(crate) fn later(now: Instant, time: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    now.checked_add(time).or_else(|| now.checked_add(NEVER)).unwrap_or(now)
}

#[cfg(test)]
mod tests;
