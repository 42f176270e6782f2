//! Reads the clock, waits, moves bytes, obeys the link; decides nothing.
//!
//! The same loop serves one client or many, on whichever thread. A turn waits for readiness, for a deadline or for the
//! waker, serves every member that has something to do, a bounded amount each, and only then lets deadlines
//! judge: what the network brought in time counts even if the loop was late.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mio::{Events, Registry};

use crate::core::Core;
use crate::event_loop::member::Member;
use crate::event_loop::post::{Home, Post};
use crate::event_loop::sleep::Sleep;
use crate::event_loop::slots::{self, Slot, Slots, WAKER};
use crate::event_loop::timers::Timers;
use crate::net::os;
use crate::sync::{self, Poll};
use crate::thread;
use crate::user_code::{Panicked, guarded};

/// Readiness events taken from the system at once, on a loop for many.
const EVENTS: usize = 256;
/// And on that of one client: its sockets while it dials, and the waker.
const EVENTS_OF_ONE: usize = 16;

pub(super) struct Engine {
    poll: Poll,
    events: Events,
    post: Arc<Post>,
    members: Slots<Box<Member>>,
    timers: Timers,
    /// Members with work left from the last turn: the next one does not wait.
    again: Vec<Slot>,
    /// Empty between turns, as the next one: they keep their memory for the turn that needs it.
    ready: Vec<Slot>,
    listed: Vec<Slot>,
    sleep: Sleep,
    started: Instant,
}

/// What is left of clients that were destroyed.
#[derive(Default)]
pub(super) struct Destroyed {
    #[expect(clippy::vec_box, reason = "they lie in boxes already, and are large")]
    members: Vec<Box<Member>>,
    arrivals: Vec<Arc<Core>>,
}

impl Engine {
    pub(super) fn new() -> io::Result<Engine> {
        Engine::for_events(EVENTS)
    }

    /// One that will have a single client.
    pub(super) fn for_one() -> io::Result<Engine> {
        Engine::for_events(EVENTS_OF_ONE)
    }

    fn for_events(most: usize) -> io::Result<Engine> {
        let poll = Poll::new()?;
        let post = Arc::new(Post::new(sync::waker(&poll, WAKER)?));
        Ok(Engine {
            poll,
            events: Events::with_capacity(most),
            post,
            members: Slots::new(),
            timers: Timers::default(),
            again: Vec::new(),
            ready: Vec::new(),
            listed: Vec::new(),
            sleep: Sleep::default(),
            started: Instant::now(),
        })
    }

    pub(super) fn post(&self) -> &Arc<Post> {
        &self.post
    }

    pub(super) fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// Waits for something to do, for `timeout` at most (`None`: for as long as it takes), and does it.
    pub(super) fn turn(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let _inside = thread::Loop::enter();
        // Each of them once, however many reasons there are: a second time would be a second share.
        let mut ready = std::mem::replace(&mut self.again, std::mem::take(&mut self.ready));
        let wait = if ready.is_empty() { self.longest_wait(timeout) } else { Some(Duration::ZERO) };
        let arrivals = self.wait_for_events(wait)?;
        let now = Instant::now();
        // All that is ready, before any deadline judges: a member whose readiness is still with the system would be
        // taken for silent. Each socket is told of once, so that this comes to an end; the bound is for what is not
        // known.
        let mut polls = 0;
        while self.line_up_ready(&mut ready) && polls <= self.members.len() / self.events.capacity() {
            self.poll(Some(Duration::ZERO))?;
            polls += 1;
        }
        for slot in self.listed.drain(..) {
            if let Some(member) = self.members.get_mut(slot) {
                member.was_listed();
                if member.lines_up() {
                    ready.push(slot);
                }
            }
        }
        for core in arrivals {
            ready.push(self.take_in(core));
        }
        if self.has_slept(now) {
            for slot in self.members.all().collect::<Vec<_>>() {
                if let Some(member) = self.members.get_mut(slot) {
                    member.woke(now);
                    if member.lines_up() {
                        ready.push(slot);
                    }
                }
            }
        }
        for slot in ready.drain(..) {
            self.serve(slot, now, false);
        }
        self.ready = ready;
        for slot in self.due(now) {
            self.serve(slot, now, true);
        }
        self.members.end_of_turn();
        Ok(())
    }

    /// Makes a client a member, which lines up.
    // A member is made on the stack; a turn's frame need not be so large.
    #[inline(never)]
    fn take_in(&mut self, core: Arc<Core>) -> Slot {
        let slot = self.members.reserve();
        let home = Home { post: self.post.clone(), slot };
        let mut member = Box::new(Member::new(core, home));
        member.lines_up();
        self.members.put_back(slot, member);
        slot
    }

    /// Lines up the members that the system told of; `true` if it may have more to tell.
    fn line_up_ready(&mut self, ready: &mut Vec<Slot>) -> bool {
        let mut told = 0;
        for event in &self.events {
            told += 1;
            if event.token() == WAKER {
                continue;
            }
            if let Some((slot, member)) = self.members.at_mut(slots::index_of(event.token()))
                && member.is_ready(event)
                && member.lines_up()
            {
                ready.push(slot);
            }
        }
        told >= self.events.capacity()
    }

    /// The members whose deadline has come. Taken together before any is served: a deadline that stays
    /// where it is costs a turn, not the loop.
    fn due(&mut self, now: Instant) -> Vec<Slot> {
        let mut due = Vec::new();
        while let Some((at, slot)) = self.timers.peek().filter(|(at, _)| *at <= now) {
            self.timers.pop();
            if self.members.get_mut(slot).is_some_and(|member| member.timer_fired(at)) {
                due.push(slot);
            }
        }
        due
    }

    /// How long the next sleep may be. Entries of deadlines that moved are put right here, so that
    /// none of them costs a wake-up.
    fn longest_wait(&mut self, timeout: Option<Duration>) -> Option<Duration> {
        let until_next = self.next_timer().map(|at| at.saturating_duration_since(Instant::now()));
        match (timeout, until_next) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn next_timer(&mut self) -> Option<Instant> {
        loop {
            let (at, slot) = self.timers.peek()?;
            let member = self.members.get_mut(slot).filter(|member| member.has_timer(at));
            let deadline = member.as_ref().and_then(|member| member.deadline());
            if deadline.is_some_and(|deadline| deadline <= at) {
                return Some(at);
            }
            self.timers.pop();
            if let Some(member) = member {
                member.timer_fired(at);
                if let Some(moved) = member.new_timer() {
                    self.timers.add(moved, slot);
                }
            }
        }
    }

    /// When the next turn has something to do even if nothing comes; `Some` of now: at once.
    pub(super) fn next_deadline(&mut self) -> Option<Instant> {
        if !self.again.is_empty() || self.post.inbox().has_work() {
            return Some(Instant::now());
        }
        self.next_timer()
    }

    /// What other threads left meanwhile is in `listed` then, and answered.
    fn wait_for_events(&mut self, wait: Option<Duration>) -> io::Result<Vec<Arc<Core>>> {
        let wait = {
            let mut inbox = self.post.inbox();
            let work = inbox.has_work();
            inbox.asleep = !work;
            if work { Some(Duration::ZERO) } else { wait }
        };
        self.poll(wait)?;
        Ok(self.post.inbox().take(&mut self.listed))
    }

    fn poll(&mut self, wait: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, wait) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            result => result,
        }
    }

    fn serve(&mut self, slot: Slot, now: Instant, tick: bool) {
        let Some(mut member) = self.members.lift(slot) else { return };
        if !tick {
            member.leaves_line();
        }
        // The place is empty meanwhile: callbacks reach this loop through its inbox only.
        let registry = self.poll.registry();
        member.enter();
        let served = guarded(|| member.serve(registry, now, tick));
        member.leave();
        if served.is_err() || member.is_over() {
            self.members.free(slot);
            if served.is_err() {
                // Only this client ends by it.
                member.fail("the event loop panicked; this is a bug, of the logger or of heartwire");
            }
            return;
        }
        if member.wants_another_turn() && member.lines_up() {
            self.again.push(slot);
        }
        let due = member.new_timer();
        self.members.put_back(slot, member);
        if let Some(due) = due {
            self.timers.add(due, slot);
        }
        if self.timers.has_too_many(self.members.len()) {
            let members = &mut self.members;
            self.timers.sweep(|at, slot| members.get_mut(slot).is_some_and(|member| member.has_timer(at)));
        }
    }

    fn has_slept(&mut self, now: Instant) -> bool {
        let awake = now.saturating_duration_since(self.started);
        self.sleep.is_due(awake) && os::boot_clock().is_some_and(|boot| self.sleep.noticed(boot, awake))
    }

    /// Begins a time in which nobody may wait here: the program polls the descriptor, or does something else. What
    /// comes from now on makes the descriptor readable; clients that were destroyed are let go of at once.
    #[must_use = "dropping it closes the sockets"]
    pub(super) fn rest(&mut self) -> Destroyed {
        let destroyed = self.let_go_of_destroyed();
        let mut inbox = self.post.inbox();
        inbox.asleep = !inbox.has_work();
        destroyed
    }

    /// Frees the places of destroyed clients without a turn, and gives back what was in them: sockets and all else, to
    /// be dropped where no lock is held.
    #[must_use = "dropping it closes the sockets"]
    pub(super) fn let_go_of_destroyed(&mut self) -> Destroyed {
        let mut inbox = self.post.inbox();
        let mut destroyed = Destroyed::default();
        inbox.listed.retain(|slot| {
            let gone = self.members.get_mut(*slot).is_none_or(|member| member.is_destroyed());
            if gone && let Some(member) = self.members.lift(*slot) {
                self.members.free(*slot);
                destroyed.members.push(member);
            }
            !gone
        });
        let is_destroyed = |core: &mut Arc<Core>| core.mailbox.is_destroyed();
        destroyed.arrivals.extend(inbox.arrivals.extract_if(.., is_destroyed));
        self.members.end_of_turn();
        destroyed
    }

    /// Turns until the last client has gone and none will come: what a loop's own thread does. `false`: it failed.
    pub(super) fn run(&mut self) -> bool {
        let ran = guarded(|| -> io::Result<()> {
            while !self.members.is_empty() || !self.post.is_done() {
                self.turn(None)?;
            }
            Ok(())
        });
        match ran {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => self.fail(&format!("the event loop failed: {error}")),
            Err(Panicked) => self.fail("the event loop panicked; this is a bug of heartwire"),
        }
        false
    }

    /// Nothing turns any more: every client ends.
    pub(super) fn fail(&mut self, why: &str) {
        let arrivals = self.post.fail();
        for slot in self.members.all().collect::<Vec<_>>() {
            if let Some(member) = self.members.lift(slot) {
                member.fail(why);
                self.members.free(slot);
            }
        }
        arrivals.iter().for_each(|core| core.loop_failed(why));
    }
}

impl Core {
    /// There is no loop to tell of the end: it is only there to be asked for.
    pub(crate) fn loop_failed(&self, why: &str) {
        // Before anything is logged: the logger is user code, and may be what panicked.
        self.mailbox.loop_failed(why, Instant::now(), SystemTime::now());
        self.dispatcher.end();
        let _ = guarded(|| log::error!("[{}] {why}", self.config.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_comes_just_before_the_sleep_is_not_slept_through() {
        const LONG: Duration = Duration::from_secs(20);
        for [first, last] in [[Post::close, Post::part], [Post::part, Post::close]] {
            let mut engine = Engine::new().unwrap();
            let post = engine.post().clone();
            assert!(post.join());
            first(&post);
            // The loop has just found that it is not done, and is about to sleep.
            engine.turn(Some(Duration::ZERO)).unwrap();
            assert!(!post.is_done());
            last(&post);
            let began = Instant::now();
            engine.turn(Some(LONG)).unwrap();
            assert!(post.is_done() && began.elapsed() < LONG);
        }
    }
}
