//! What other threads leave for a loop, and how they wake it. Nothing here looks into the loop itself.

use std::sync::{Arc, PoisonError};

use crate::core::Core;
use crate::event_loop::slots::Slot;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, Waker};
use crate::thread;

pub(crate) struct Post {
    inbox: Mutex<Inbox>,
    waker: Waker,
    /// The thread that called `turn` last; zero if none ever did. Handlers run there and nowhere else.
    owner: AtomicU64,
    /// The thread that turned last, in `turn` or in a call that waits; zero if the loop has a thread of its own.
    turner: AtomicU64,
}

#[derive(Default)]
pub(super) struct Inbox {
    /// Nobody looks in here before the next sleep ends: whoever clears this wakes the loop, so that one sleep gets one
    /// wake.
    pub(super) asleep: bool,
    pub(super) listed: Vec<Slot>,
    pub(super) arrivals: Vec<Arc<Core>>,
    /// Somebody wants the turn to end, or the loop.
    woken: bool,
    /// Clients that were built on this loop and not destroyed.
    clients: usize,
    /// No further client comes: the loop's thread ends with the last one.
    closed: bool,
    /// Nothing turns any more.
    failed: bool,
}

impl Inbox {
    pub(super) fn has_work(&self) -> bool {
        self.woken || !self.listed.is_empty() || !self.arrivals.is_empty()
    }

    /// The loop's thread may have asked whether this is the end, and not be asleep yet.
    fn wake_if_over(&mut self) {
        self.woken |= self.closed && self.clients == 0;
    }

    /// Takes all of it, in exchange for an empty list. Whoever leaves something from now on need not wake anybody.
    pub(super) fn take(&mut self, listed: &mut Vec<Slot>) -> Vec<Arc<Core>> {
        debug_assert!(listed.is_empty());
        self.asleep = false;
        self.woken = false;
        std::mem::swap(&mut self.listed, listed);
        std::mem::take(&mut self.arrivals)
    }
}

/// Where a member lives: enough to wake its loop for it.
#[derive(Clone)]
pub(crate) struct Home {
    pub(super) post: Arc<Post>,
    pub(super) slot: Slot,
}

impl Home {
    pub(crate) fn wake(&self) {
        self.post.leave(|inbox| inbox.listed.push(self.slot));
    }

    /// Whether the program turns this loop itself, on this thread: then nobody but this thread will write what it
    /// queues.
    pub(crate) fn is_turned_here(&self) -> bool {
        let turner = self.post.turner.load(Ordering::Relaxed);
        turner != 0 && turner == thread::id()
    }
}

impl Post {
    pub(super) fn new(waker: Waker) -> Post {
        Post { inbox: Mutex::default(), waker, owner: AtomicU64::new(0), turner: AtomicU64::new(0) }
    }

    pub(super) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, change: impl FnOnce(&mut Inbox)) {
        let mut inbox = self.inbox();
        change(&mut inbox);
        let asleep = std::mem::take(&mut inbox.asleep);
        drop(inbox);
        if asleep && let Err(error) = self.waker.wake() {
            log::error!("heartwire: the event loop cannot be woken: {error}");
        }
    }

    /// Ends the wait of the turn that runs, or else of the next one.
    pub(super) fn wake(&self) {
        self.leave(|inbox| inbox.woken = true);
    }

    /// A client comes; it is served from the next turn on. `false` if there is none.
    pub(super) fn arrive(&self, core: Arc<Core>) -> bool {
        let mut failed = false;
        self.leave(|inbox| {
            failed = inbox.failed;
            if !failed {
                inbox.arrivals.push(core);
            }
        });
        !failed
    }

    /// Nothing turns any more. Gives back the clients that came and were not served yet.
    pub(super) fn fail(&self) -> Vec<Arc<Core>> {
        let mut inbox = self.inbox();
        inbox.closed = true;
        inbox.failed = true;
        inbox.take(&mut Vec::new())
    }

    /// Counts a client in; `false` if none may come any more.
    pub(super) fn join(&self) -> bool {
        let mut inbox = self.inbox();
        inbox.clients += usize::from(!inbox.closed);
        !inbox.closed
    }

    /// Counts a client out.
    pub(super) fn part(&self) {
        self.leave(|inbox| {
            inbox.clients -= 1;
            inbox.wake_if_over();
        });
    }

    pub(super) fn clients(&self) -> usize {
        self.inbox().clients
    }

    pub(super) fn close(&self) {
        self.leave(|inbox| {
            inbox.closed = true;
            inbox.wake_if_over();
        });
    }

    /// The same, unless there are clients.
    #[cfg(feature = "capi")]
    pub(super) fn close_if_unused(&self) -> bool {
        let mut inbox = self.inbox();
        // A loop that failed is closed already, with clients perhaps.
        let unused = inbox.clients == 0;
        inbox.closed |= unused;
        unused
    }

    /// No client is there, and none will come.
    pub(super) fn is_done(&self) -> bool {
        let inbox = self.inbox();
        inbox.closed && inbox.clients == 0 && inbox.arrivals.is_empty()
    }

    /// Notes who turns a loop of the program's own; `owns`: because it called `turn`.
    pub(super) fn turned_here(&self, owns: bool) {
        let id = thread::id();
        self.turner.store(id, Ordering::Relaxed);
        if owns {
            self.owner.store(id, Ordering::Relaxed);
        }
    }

    /// This thread called `turn` while a call that waits has the loop: that one gives it up.
    pub(super) fn claim(&self) {
        self.owner.store(thread::id(), Ordering::Relaxed);
        self.wake();
    }

    /// Nobody calls `turn` any more, or not this thread (`Some`). `true` if it was the one that did.
    pub(super) fn disown(&self, thread: Option<u64>) -> bool {
        let owner = self.owner.load(Ordering::Relaxed);
        let disowned = owner != 0 && thread.is_none_or(|thread| thread == owner);
        disowned && self.owner.compare_exchange(owner, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Whether this thread is the one that calls `turn`.
    pub(super) fn is_owned_here(&self) -> bool {
        self.owner.load(Ordering::Relaxed) == thread::id()
    }

    /// Whether a call that waits may turn the loop on this thread: not where another thread calls `turn`, since
    /// handlers are expected there.
    pub(super) fn may_be_turned_here(&self) -> bool {
        let owner = self.owner.load(Ordering::Relaxed);
        owner == 0 || owner == thread::id()
    }

    /// Whoever turns from now on is the loop's own thread, to which sends leave more than they write.
    pub(super) fn moved_to_a_thread(&self) {
        self.turner.store(0, Ordering::Relaxed);
        self.owner.store(0, Ordering::Relaxed);
    }
}
