//! What the current thread is doing for us: running a loop, or a user's callback; and the start of our own threads.
//!
//! Calls that wait ask here, and answer `WouldDeadlock`, or do not wait, where waiting could hang.

use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::sync::thread::{self, Builder, JoinHandle};
use crate::sync::thread_local;

thread_local! {
    static CALLBACKS: Cell<u32> = const { Cell::new(0) };
    static LOOPS: Cell<u32> = const { Cell::new(0) };
}

/// A number of this thread's own, never zero and never used again.
pub(crate) fn id() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        static ID: u64 = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    }
    ID.with(|id| *id)
}

/// The thread is inside a user's callback, of whichever client, while this lives.
pub(crate) struct Callback(());

impl Callback {
    pub(crate) fn enter() -> Callback {
        CALLBACKS.with(|depth| depth.set(depth.get() + 1));
        Callback(())
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        CALLBACKS.with(|depth| depth.set(depth.get() - 1));
    }
}

/// The thread turns an event loop while this lives.
pub(crate) struct Loop(());

impl Loop {
    pub(crate) fn enter() -> Loop {
        LOOPS.with(|depth| depth.set(depth.get() + 1));
        Loop(())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        LOOPS.with(|depth| depth.set(depth.get() - 1));
    }
}

/// Waits for a thread of ours, unless it is this one: a handle that the user left in a thread-local dies as late as
/// that.
pub(crate) fn join(thread: JoinHandle<()>) {
    if thread.thread().id() != thread::current().id() {
        let _ = thread.join();
    }
}

/// Whether a wait on this thread would stop an event loop.
pub(crate) fn runs_a_loop() -> bool {
    LOOPS.with(Cell::get) > 0
}

/// Whether `destroy` may wait here for another thread: never inside callbacks or loops, where two could
/// wait for each other.
pub(crate) fn may_wait_for_callbacks() -> bool {
    CALLBACKS.with(Cell::get) == 0 && LOOPS.with(Cell::get) == 0
}

/// What the program wants done on each of our threads, first of all and last of all.
pub(crate) type Hook = Arc<dyn Fn(Moment) + Send + Sync>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Start,
    Stop,
}

static HOOK: Mutex<Option<Hook>> = Mutex::new(None);

/// For threads that are started from now on; one that runs keeps the hook it began with.
#[cfg(feature = "capi")]
pub(crate) fn set_hook(hook: Option<Hook>) {
    let old = std::mem::replace(&mut *HOOK.lock().unwrap_or_else(PoisonError::into_inner), hook);
    drop(old);
}

/// Starts a thread of the library's own, with the hook around it.
pub(crate) fn spawn(builder: Builder, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    #[cfg(test)]
    tests::refusal()?;
    let hook = HOOK.lock().unwrap_or_else(PoisonError::into_inner).clone();
    builder.spawn(move || {
        let _hooked = hook.map(Hooked::new);
        run();
    })
}

/// A thread with the hook around it, however it ends.
struct Hooked(Hook);

impl Hooked {
    fn new(hook: Hook) -> Hooked {
        let _inside = Callback::enter();
        hook(Moment::Start);
        Hooked(hook)
    }
}

impl Drop for Hooked {
    fn drop(&mut self) {
        let _inside = Callback::enter();
        (self.0)(Moment::Stop);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    std::thread_local! {
        static REFUSED: Cell<bool> = const { Cell::new(false) };
    }

    /// While this lives, the calling thread can start no thread of the library's: the system has none.
    #[must_use]
    pub(crate) struct NoThreads(());

    pub(crate) fn none_to_be_had() -> NoThreads {
        REFUSED.set(true);
        NoThreads(())
    }

    impl Drop for NoThreads {
        fn drop(&mut self) {
            REFUSED.set(false);
        }
    }

    pub(super) fn refusal() -> io::Result<()> {
        if REFUSED.get() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    }
}
