//! Reads the clock, waits, moves bytes, obeys the link; decides nothing.
//!
//! Every client has a loop of its own today; the loop is written for many members all the same. A turn waits for readiness, for a deadline or for the waker,
//! serves every member that has something to do, a bounded amount each, and only then lets deadlines
//! judge: what the network brought in time counts even if the loop was late.

mod member;
mod session;
pub(crate) mod slots;
mod telling;
mod timers;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Waker};

use crate::core::Core;
use crate::net::os;
use crate::thread;
use member::Member;
use slots::{Slot, Slots, WAKER};
use timers::Timers;

/// Readiness events taken from the system at once.
const EVENTS: usize = 256;
/// A boot clock that ran ahead of the monotonic one by this much means that the machine slept.
const SUSPENDED: Duration = Duration::from_secs(1);

pub(crate) struct EventLoop {
    poll: Poll,
    events: Events,
    post: Arc<Post>,
    members: Slots<Member>,
    timers: Timers,
    /// Members with work left from the last turn: the next one does not wait.
    again: Vec<Slot>,
    /// How far the boot clock is ahead of the monotonic one.
    slept: Option<Duration>,
    started: Instant,
}

/// What other threads leave for the loop.
struct Post {
    inbox: Mutex<Inbox>,
    waker: Waker,
}

#[derive(Default)]
struct Inbox {
    /// The loop waits, or is about to: whoever clears this wakes it, so that one sleep gets one wake.
    asleep: bool,
    listed: Vec<Slot>,
    arrivals: Vec<Arc<Core>>,
}

/// Where a member lives: enough to wake its loop for it.
#[derive(Clone)]
pub(crate) struct Home {
    post: Arc<Post>,
    slot: Slot,
}

impl Home {
    pub(crate) fn wake(&self) {
        self.post.leave(|inbox| inbox.listed.push(self.slot));
    }
}

impl Post {
    fn leave(&self, change: impl FnOnce(&mut Inbox)) {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut inbox);
        let asleep = std::mem::take(&mut inbox.asleep);
        drop(inbox);
        if asleep && let Err(error) = self.waker.wake() {
            log::error!("heartwire: the event loop cannot be woken: {error}");
        }
    }
}

impl EventLoop {
    pub(crate) fn new() -> io::Result<EventLoop> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        Ok(EventLoop {
            poll,
            events: Events::with_capacity(EVENTS),
            post: Arc::new(Post { inbox: Mutex::default(), waker }),
            members: Slots::new(),
            timers: Timers::default(),
            again: Vec::new(),
            slept: None,
            started: Instant::now(),
        })
    }

    /// Takes a client in; it is served from the next turn on.
    pub(crate) fn adopt(&self, core: Arc<Core>) {
        self.post.leave(|inbox| inbox.arrivals.push(core));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Waits for something to do, for `timeout` at most (`None`: for as long as it takes), and does it.
    pub(crate) fn turn(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let _inside = thread::Loop::enter();
        let mut ready = std::mem::take(&mut self.again);
        let wait = if ready.is_empty() { self.longest_wait(timeout) } else { Some(Duration::ZERO) };
        let (listed, arrivals) = self.wait_for_events(wait)?;
        let now = Instant::now();
        for event in &self.events {
            if event.token() == WAKER {
                continue;
            }
            if let Some((slot, member)) = self.members.at_mut(slots::index_of(event.token()))
                && member.is_ready(event)
            {
                ready.push(slot);
            }
        }
        for slot in listed {
            if let Some(member) = self.members.get_mut(slot) {
                member.was_listed();
                ready.push(slot);
            }
        }
        for core in arrivals {
            let slot = self.members.reserve();
            let home = Home { post: self.post.clone(), slot };
            self.members.put_back(slot, Member::new(core, home));
            ready.push(slot);
        }
        if self.has_slept(now) {
            for slot in self.members.all().collect::<Vec<_>>() {
                if let Some(member) = self.members.get_mut(slot) {
                    member.woke(now);
                    ready.push(slot);
                }
            }
        }
        for slot in ready {
            self.serve(slot, now, false);
        }
        for slot in self.due(now) {
            self.serve(slot, now, true);
        }
        self.members.end_of_turn();
        Ok(())
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
        let next = loop {
            let Some((at, slot)) = self.timers.peek() else { break None };
            let member = self.members.get_mut(slot).filter(|member| member.has_timer(at));
            let deadline = member.as_ref().and_then(|member| member.deadline());
            if deadline.is_some_and(|deadline| deadline <= at) {
                break Some(at);
            }
            self.timers.pop();
            if let Some(member) = member {
                member.timer_fired(at);
                if let Some(moved) = member.new_timer() {
                    self.timers.add(moved, slot);
                }
            }
        };
        let until_next = next.map(|at| at.saturating_duration_since(Instant::now()));
        match (timeout, until_next) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn wait_for_events(&mut self, wait: Option<Duration>) -> io::Result<(Vec<Slot>, Vec<Arc<Core>>)> {
        let wait = {
            let mut inbox = self.post.inbox.lock().unwrap_or_else(PoisonError::into_inner);
            let work = !inbox.listed.is_empty() || !inbox.arrivals.is_empty();
            inbox.asleep = !work;
            if work { Some(Duration::ZERO) } else { wait }
        };
        match self.poll.poll(&mut self.events, wait) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            result => result?,
        }
        let mut inbox = self.post.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        inbox.asleep = false;
        Ok((std::mem::take(&mut inbox.listed), std::mem::take(&mut inbox.arrivals)))
    }

    fn serve(&mut self, slot: Slot, now: Instant, tick: bool) {
        let Some(mut member) = self.members.lift(slot) else { return };
        // The place is empty meanwhile: callbacks reach this loop through its inbox only.
        member.serve(self.poll.registry(), now, tick);
        if member.is_over() {
            self.members.free(slot);
            return;
        }
        if member.wants_another_turn() {
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
        let Some(boot) = os::boot_clock() else { return false };
        let ahead = boot.saturating_sub(now.saturating_duration_since(self.started));
        let before = self.slept.replace(ahead);
        before.is_some_and(|before| ahead > before + SUSPENDED)
    }
}

/// A client's own loop thread, to the client's end.
pub(crate) fn run(mut event_loop: EventLoop, core: Arc<Core>) {
    let ran = catch_unwind(AssertUnwindSafe(|| -> io::Result<()> {
        event_loop.turn(None)?;
        while !event_loop.is_empty() {
            event_loop.turn(None)?;
        }
        Ok(())
    }));
    if matches!(ran, Ok(Ok(()))) {
        return;
    }
    // Before anything is logged: the logger is user code, and may be what panicked.
    core.loop_failed();
    match ran {
        Ok(Err(error)) => log::error!("[{}] the event loop failed: {error}", core.config.name),
        _ => log::error!(
            "[{}] the event loop panicked; this is a bug, of the logger or of heartwire",
            core.config.name
        ),
    }
}
