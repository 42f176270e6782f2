//! What a member tells its user: events, outcomes, and the state that can be asked for.

use std::time::Instant;

use crate::dispatch::Undelivered;
use crate::error::Cause;
use crate::event::{Event, FragmentRef, Initiator, MessageRef, State};
use crate::event_loop::member::Member;
use crate::link::Input;
use crate::mailbox::{CLOSING, DESTROYED, News};

impl Member {
    /// Hands an event on; what the user can ask for is brought up to date before.
    pub(super) fn tell(&mut self, mut event: Event, now: Instant) {
        let core = self.core.clone();
        if matches!(event, Event::State(State::Closing) | Event::Error(_) | Event::Close(_)) {
            self.abort_message(now);
        }
        match &mut event {
            Event::State(state) => {
                log::debug!("[{}] {state}", self.name());
                self.stands(*state, now);
            }
            Event::Open(opened) => {
                let answer = core.mailbox.lock().opened.clone();
                if let Some(answer) = answer {
                    opened.way.clone_from(&answer.way);
                    opened.subprotocol.clone_from(&answer.subprotocol);
                    opened.headers.clone_from(&answer.headers);
                    opened.peer_certificate.clone_from(&answer.peer_certificate);
                }
                log::info!("[{}] {opened}", self.name());
            }
            Event::Heartbeat(time) => core.mailbox.lock().counters.round_trip(*time),
            Event::ClosedForGood(end) => {
                log::info!("[{}] closed for good: {end}", self.name());
                core.mailbox.update(News::Outbox, |inner| inner.outbox.close());
                // All of them, whoever takes them when: a closed outbox has no more to come.
                while self.tell_outcome(now) {}
                let end = end.clone();
                self.deliver(event, now);
                core.mailbox.update(News::End, |inner| {
                    inner.state = State::Closed;
                    inner.end.get_or_insert(end);
                    // The loop's descriptors do not outlive it.
                    inner.home = None;
                });
                core.dispatcher.end();
                self.over = true;
                return;
            }
            Event::ConnectFailed(failed) => {
                failed.way = self.course.way();
                let tls = matches!(failed.error().cause(), Cause::Tls(_));
                let level = if tls { log::Level::Error } else { log::Level::Warn };
                log::log!(level, "[{}] {failed}", self.name());
            }
            Event::Close(closed) if closed.is_clean() && closed.by() == Initiator::User => {
                log::info!("[{}] {closed}", self.name());
            }
            Event::Close(_) | Event::Error(_) => {
                log::warn!("[{}] {event}", self.name());
            }
            _ => {}
        }
        self.deliver(event, now);
    }

    /// Tells the outcomes that are known by now, as long as the user takes them. Those that come of what a
    /// handler does meanwhile wait for the next turn: reading and beats must have theirs.
    pub(super) fn tell_outcomes(&mut self, now: Instant) {
        let mut left = self.core.mailbox.lock().outbox.outcomes_pending();
        while left > 0 && !self.core.dispatcher.pressure().outcomes {
            left -= 1;
            self.tell_outcome(now);
        }
        // Outcomes that wait to be told fill the outbox: there may be room for those who wait for it.
        self.core.mailbox.update(News::Outbox, |_| {});
    }

    /// `false` if there was none.
    fn tell_outcome(&mut self, now: Instant) -> bool {
        let outcome = self.core.mailbox.lock().outbox.next_outcome();
        let any = outcome.is_some();
        if let Some(outcome) = outcome {
            self.deliver(Event::Outcome(outcome), now);
        }
        any
    }

    /// Hands on a part of a message; answers whether the user has no room for a further one.
    #[cold]
    pub(super) fn tell_fragment(
        &mut self,
        fragment: FragmentRef<'_>,
        now: Instant,
    ) -> Result<bool, Undelivered> {
        let core = self.core.clone();
        if fragment.is_last() {
            core.mailbox.received.count(fragment.end());
        }
        // Where any message is an answer to a beat, a part of one is; for other answers it is too long.
        self.link.message(MessageRef::Binary(&[]), now);
        if core.mailbox.signals() & CLOSING != 0 || !(fragment.is_first() || self.begun.is_open()) {
            return Ok(false);
        }
        let told = core.dispatcher.fragment(&self.client, &mut self.snapshot, fragment);
        if told != Err(Undelivered::NoMemory) {
            self.begun.told(fragment);
        }
        told
    }

    /// Tells whoever heard the beginning of a message that no more comes of it.
    fn abort_message(&mut self, now: Instant) {
        if let Some(aborted) = self.begun.abort() {
            self.deliver(Event::Fragment(aborted), now);
        }
    }

    pub(super) fn deliver(&mut self, event: Event, now: Instant) {
        if self.core.mailbox.signals() & DESTROYED != 0 {
            return;
        }
        let core = self.core.clone();
        if core.dispatcher.event(&self.client, &mut self.snapshot, event).is_err() {
            self.callback_panicked(now);
        }
    }

    pub(super) fn callback_panicked(&mut self, now: Instant) {
        log::error!("[{}] a callback panicked; the client is closed", self.name());
        self.core.mailbox.update(News::Outbox, |inner| self.core.mailbox.shut(inner));
        self.link.handle(Input::CallbackPanicked, now);
    }
}
