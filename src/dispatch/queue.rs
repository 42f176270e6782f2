//! Events that wait to be taken by another thread: bounded, and never refusing what must get through.
//!
//! Every event counts against the bound; when it is reached the loop stops reading. What is not a
//! message is pushed all the same, and is bounded because the link begins no new attempt while a `Close`
//! or `ConnectFailed` waits here.

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

#[cfg(all(unix, feature = "capi"))]
use crate::dispatch::bell::Bell;
use crate::event::{Event, Outcome};
use crate::sync::{Condvar, Mutex, MutexGuard};

/// A fresh range of outcomes is merged into the last one that waits, so that this many suffice. Where fates alternate
/// they do not: then the outbox keeps the rest, and refuses messages when it has as many again.
const MOST_OUTCOMES: usize = 4096;

pub(crate) struct Queue {
    inner: Mutex<Inner>,
    came: Condvar,
    most_events: usize,
    most_bytes: usize,
}

#[derive(Default)]
struct Inner {
    events: VecDeque<Event>,
    /// Payload bytes of the messages in it.
    bytes: usize,
    /// `Close` and `ConnectFailed` in it: no new attempt meanwhile.
    holding: usize,
    /// Outcome events in it.
    outcomes: usize,
    /// The loop stopped at the bound and wants to be told of room.
    full: bool,
    /// Someone takes events; before that the oldest messages make room, and nothing is held.
    claimed: bool,
    /// The beginning of the message that is arriving in fragments was discarded: so is the rest of it.
    headless: bool,
    /// How many events were discarded before anybody claimed them.
    discarded: u64,
    /// Threads in `take`: without one, a notification would be a system call for nothing.
    takers: usize,
    ended: bool,
    #[cfg(all(unix, feature = "capi"))]
    bell: Option<Bell>,
}

/// What the loop has to know after a push or a take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Pressure {
    /// The bound is reached: stop reading.
    pub(crate) full: bool,
    /// Lifecycle events wait: begin no attempt.
    pub(crate) holding: bool,
    /// So many outcomes wait that further ones have to wait in the outbox, which then takes no more messages.
    pub(crate) outcomes: bool,
}

/// What a take found.
pub(crate) enum Taken {
    /// An event, and whether the loop waits to hear of it.
    Event(Event, bool),
    TimedOut,
    Ended,
}

impl Queue {
    pub(crate) fn new(most_events: usize, most_bytes: usize) -> Queue {
        Queue { inner: Mutex::default(), came: Condvar::new(), most_events, most_bytes }
    }

    /// From now on events are taken: nothing is discarded any more.
    pub(crate) fn claim(&self) {
        self.lock().claimed = true;
    }

    /// Adds an event; answers whether the loop has to stop reading.
    pub(crate) fn push(&self, event: Event) -> bool {
        let mut inner = self.lock();
        if inner.ended {
            return false;
        }
        match &event {
            Event::Message(message) => inner.bytes += message.len(),
            Event::Fragment(fragment) if inner.headless => {
                inner.headless = !fragment.as_ref().ends();
                inner.discarded += 1;
                return self.is_full(&mut inner);
            }
            Event::Fragment(fragment) => inner.bytes += fragment.len(),
            Event::Close(_) | Event::ConnectFailed(_) => inner.holding += 1,
            Event::Outcome(outcome) => {
                if inner.merge(outcome) {
                    return self.is_full(&mut inner);
                }
                inner.outcomes += 1;
            }
            // Only the latest is worth anything to someone who is late.
            Event::Heartbeat(_) | Event::Writable => inner.forget_older(&event),
            _ => {}
        }
        inner.events.push_back(event);
        if !inner.claimed {
            while inner.events.len() > self.most_events || inner.bytes > self.most_bytes {
                inner.discarded += 1;
                if let Some((Event::Fragment(fragment), _)) = inner.pop()
                    && !fragment.as_ref().ends()
                {
                    inner.discard_rest();
                }
            }
        }
        inner.ring();
        let full = self.is_full(&mut inner);
        let awaited = inner.takers > 0;
        drop(inner);
        if awaited {
            self.came.notify_one();
        }
        full
    }

    /// A descriptor that is readable while something is to be had: an event, or the news that none comes any more.
    #[cfg(all(unix, feature = "capi"))]
    pub(crate) fn bell(&self) -> std::io::Result<std::os::fd::RawFd> {
        let mut inner = self.lock();
        if inner.bell.is_none() {
            inner.bell = Some(Bell::new()?);
            inner.ring();
        }
        Ok(inner.bell.as_ref().map_or(-1, Bell::descriptor))
    }

    /// Whether the loop has to stop reading, or to begin no attempt.
    pub(crate) fn pressure(&self) -> Pressure {
        let mut inner = self.lock();
        self.is_full(&mut inner);
        inner.pressure()
    }

    /// The same as it was last told to the loop.
    pub(crate) fn last_pressure(&self) -> Pressure {
        self.lock().pressure()
    }

    fn is_full(&self, inner: &mut Inner) -> bool {
        inner.full = inner.claimed
            && if inner.full {
                !self.has_room(inner)
            } else {
                inner.events.len() >= self.most_events
                    || inner.bytes >= self.most_bytes
                    || inner.outcomes >= MOST_OUTCOMES
            };
        inner.full
    }

    /// Waits until an event, the end, or the deadline comes; `None` waits for ever.
    pub(crate) fn take(&self, deadline: Option<Instant>) -> Taken {
        let mut inner = self.lock();
        loop {
            if let Some(taken) = self.take_from(&mut inner) {
                return taken;
            }
            let left = match deadline {
                None => Duration::MAX,
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
            };
            if left.is_zero() {
                return Taken::TimedOut;
            }
            inner.takers += 1;
            inner = if deadline.is_none() {
                self.came.wait(inner).unwrap_or_else(PoisonError::into_inner)
            } else {
                self.came.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0
            };
            inner.takers -= 1;
        }
    }

    /// An event or the end, if there is one; does not wait.
    pub(crate) fn try_take(&self) -> Option<Taken> {
        self.take_from(&mut self.lock())
    }

    fn take_from(&self, inner: &mut Inner) -> Option<Taken> {
        if let Some((event, was_holding)) = inner.pop() {
            inner.ring();
            let unheld = was_holding && inner.holding == 0;
            let relieved = inner.full && self.has_room(inner);
            return Some(Taken::Event(event, unheld || relieved));
        }
        inner.ended.then_some(Taken::Ended)
    }

    /// No event comes any more; those that wait can still be taken.
    pub(crate) fn end(&self) {
        let mut inner = self.lock();
        inner.ended = true;
        inner.ring();
        drop(inner);
        self.came.notify_all();
    }

    /// Nothing is told any more: what waits is dropped, too.
    pub(crate) fn clear(&self) {
        let mut inner = self.lock();
        inner.ended = true;
        let dropped = std::mem::take(&mut inner.events);
        if !inner.claimed {
            inner.discarded += dropped.len() as u64;
        }
        inner.bytes = 0;
        inner.holding = 0;
        inner.outcomes = 0;
        inner.ring();
        drop(inner);
        self.came.notify_all();
        drop(dropped);
    }

    pub(crate) fn discarded(&self) -> u64 {
        self.lock().discarded
    }

    /// Half empty again: waking the loop for every single place would cost a wake-up each.
    fn has_room(&self, inner: &Inner) -> bool {
        inner.events.len() <= self.most_events / 2
            && inner.bytes <= self.most_bytes / 2
            && inner.outcomes <= MOST_OUTCOMES / 2
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn pressure(&self) -> Pressure {
        if !self.claimed {
            return Pressure::default();
        }
        Pressure { full: self.full, holding: self.holding > 0, outcomes: self.outcomes >= MOST_OUTCOMES }
    }

    /// Rings or silences the bell, after a change of what is to be had.
    #[cfg(all(unix, feature = "capi"))]
    fn ring(&mut self) {
        let wanted = self.ended || !self.events.is_empty();
        if let Some(bell) = &mut self.bell {
            bell.set(wanted);
        }
    }

    #[cfg(not(all(unix, feature = "capi")))]
    fn ring(&mut self) {}

    /// The oldest event, and whether it was one that held up new attempts.
    fn pop(&mut self) -> Option<(Event, bool)> {
        let event = self.events.pop_front()?;
        let mut held = false;
        match &event {
            Event::Message(message) => self.bytes -= message.len(),
            Event::Fragment(fragment) => self.bytes -= fragment.len(),
            Event::Close(_) | Event::ConnectFailed(_) => {
                self.holding -= 1;
                held = true;
            }
            Event::Outcome(_) => self.outcomes -= 1,
            _ => {}
        }
        Some((event, held))
    }

    /// Discards what follows the first fragment of a message, which was discarded.
    fn discard_rest(&mut self) {
        self.headless = true;
        self.events.retain(|event| match event {
            Event::Fragment(fragment) if self.headless => {
                self.headless = !fragment.as_ref().ends();
                self.bytes -= fragment.len();
                self.discarded += 1;
                false
            }
            _ => true,
        });
    }

    /// Adds a range to the last event, if that one is its direct forerunner.
    fn merge(&mut self, new: &Outcome) -> bool {
        match self.events.back_mut() {
            Some(Event::Outcome(last)) if last.fate == new.fate && last.last.0 + 1 == new.first.0 => {
                last.last = new.last;
                true
            }
            _ => false,
        }
    }

    fn forget_older(&mut self, new: &Event) {
        let kind = std::mem::discriminant(new);
        self.events.retain(|event| std::mem::discriminant(event) != kind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Cause, LinkError, Phase};
    use crate::event::{ConnectFailed, Fate, Level, Message, MessageId, Way};

    fn message(len: usize) -> Event {
        Event::Message(Message::binary(vec![0; len]))
    }

    fn failed() -> Event {
        let error = LinkError::new(Phase::Connect, Cause::TimedOut);
        Event::ConnectFailed(ConnectFailed { error, attempt: 1, way: Way::default(), retry_in: None })
    }

    fn outcome(first: u64, last: u64) -> Event {
        let fate = Fate::Completed(Level::Written);
        Event::Outcome(Outcome { first: MessageId(first), last: MessageId(last), fate })
    }

    fn take(queue: &Queue) -> Option<(Event, bool)> {
        match queue.try_take() {
            Some(Taken::Event(event, tell)) => Some((event, tell)),
            _ => None,
        }
    }

    #[test]
    fn it_is_full_at_its_bound_and_has_room_when_half_empty() {
        let queue = Queue::new(4, 1000);
        queue.claim();
        for _ in 0..4 {
            assert!(!queue.pressure().full);
            queue.push(message(1));
        }
        assert!(queue.pressure().full);
        assert_eq!(take(&queue).map(|(_, tell)| tell), Some(false));
        assert!(queue.pressure().full, "one free place is not yet room");
        assert_eq!(take(&queue).map(|(_, tell)| tell), Some(true));
        assert!(!queue.pressure().full);
    }

    #[test]
    fn bytes_fill_it_as_well() {
        let queue = Queue::new(100, 1000);
        queue.claim();
        queue.push(message(1000));
        assert!(queue.pressure().full);
        assert_eq!(take(&queue).map(|(_, tell)| tell), Some(true));
    }

    #[test]
    fn a_failed_attempt_gets_through_a_full_queue_and_holds_up_the_next() {
        let queue = Queue::new(1, 1000);
        queue.claim();
        queue.push(message(1));
        queue.push(failed());
        assert_eq!(queue.pressure(), Pressure { full: true, holding: true, outcomes: false });
        assert!(matches!(take(&queue), Some((Event::Message(_), false))));
        assert!(matches!(take(&queue), Some((Event::ConnectFailed(_), true))));
        assert_eq!(queue.pressure(), Pressure::default());
    }

    #[test]
    fn unclaimed_events_never_hold_up_the_link() {
        let queue = Queue::new(2, 1000);
        for _ in 0..5 {
            queue.push(failed());
        }
        assert_eq!(queue.pressure(), Pressure::default());
        assert_eq!(queue.lock().events.len(), 2);
        assert_eq!(queue.discarded(), 3);
    }

    #[test]
    fn outcomes_of_consecutive_messages_are_one_event() {
        let queue = Queue::new(2, 1000);
        queue.claim();
        queue.push(outcome(1, 3));
        queue.push(outcome(4, 9));
        let Some((Event::Outcome(merged), _)) = take(&queue) else { panic!("an outcome") };
        assert_eq!((merged.first().get(), merged.last().get()), (1, 9));
        assert!(take(&queue).is_none());
    }

    #[test]
    fn only_the_latest_heartbeat_waits() {
        let queue = Queue::new(2, 1000);
        queue.claim();
        queue.push(Event::Heartbeat(Duration::from_millis(1)));
        queue.push(Event::Heartbeat(Duration::from_millis(2)));
        assert_eq!(queue.lock().events.len(), 1);
    }

    #[test]
    fn after_the_end_what_waits_is_still_taken() {
        let queue = Queue::new(2, 1000);
        queue.push(message(1));
        queue.end();
        queue.push(message(1));
        assert!(take(&queue).is_some());
        assert!(matches!(queue.take(None), Taken::Ended));
    }
}
