//! What the current thread is doing for us: running a loop, or a user's callback.
//!
//! Calls that wait ask here, and answer `WouldDeadlock`, or do not wait, where waiting could hang.

use std::cell::Cell;
use std::thread::JoinHandle;

thread_local! {
    static CALLBACKS: Cell<u32> = const { Cell::new(0) };
    static LOOPS: Cell<u32> = const { Cell::new(0) };
}

/// The thread is inside a user's callback, of whichever client, while this lives.
pub(crate) struct Callback(());

impl Callback {
    pub(crate) fn enter() -> Callback {
        CALLBACKS.set(CALLBACKS.get() + 1);
        Callback(())
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        CALLBACKS.set(CALLBACKS.get() - 1);
    }
}

/// The thread turns an event loop while this lives.
pub(crate) struct Loop(());

impl Loop {
    pub(crate) fn enter() -> Loop {
        LOOPS.set(LOOPS.get() + 1);
        Loop(())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        LOOPS.set(LOOPS.get() - 1);
    }
}

/// Waits for a thread of ours, unless it is this one: a handle that the user left in a thread-local dies as late as that.
pub(crate) fn join(thread: JoinHandle<()>) {
    if thread.thread().id() != std::thread::current().id() {
        let _ = thread.join();
    }
}

/// Whether a wait on this thread would stop an event loop.
pub(crate) fn runs_a_loop() -> bool {
    LOOPS.get() > 0
}

/// Whether `destroy` may wait here for another thread: never inside callbacks or loops, where two could
/// wait for each other.
pub(crate) fn may_wait_for_callbacks() -> bool {
    CALLBACKS.get() == 0 && LOOPS.get() == 0
}
