//! What a loop's owner, its clients and the threads that wait for them share: the one place where it is decided who
//! turns it. Knows nothing of what happens in a turn.
//!
//! The engine lies here while nobody turns; whoever takes it out puts it back and tells those who wait.

use std::cell::RefCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

use mio::Registry;

use crate::core::Core;
use crate::error::LoopError;
use crate::event_loop::engine::Engine;
use crate::event_loop::post::Post;
use crate::process;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::thread::{Builder, JoinHandle};
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::thread;
use crate::user_code::drop_guarded;

pub(crate) struct SharedLoop {
    post: Arc<Post>,
    /// Of the engine's poll, for its descriptor, which has to live as long as the loop's owner.
    registry: Registry,
    place: Mutex<Place>,
    /// Where it was made: the child of a fork has a copy of all but the descriptors, which it shares.
    process: u64,
    /// Notified at the end of each turn while `waiters` is not zero.
    turned: Condvar,
    /// It has a thread of its own: others wait for that one, each at its own client.
    has_thread: AtomicBool,
}

struct Place {
    engine: Where,
    waiters: usize,
    thread: Option<JoinHandle<()>>,
}

enum Where {
    /// To be taken by whoever wants to turn.
    Here(Box<Engine>),
    /// With the thread that turns: for one turn, or for good if it is the loop's own.
    Taken,
    /// With a call that waits, for one turn.
    TakenByWait,
    /// It failed: every client has ended.
    Gone,
}

/// The loops that a thread calls `turn` for: when it ends, others may turn them in calls that wait.
#[derive(Default)]
struct Owned(RefCell<Vec<Weak<SharedLoop>>>);

impl Owned {
    fn note(shared: &Arc<SharedLoop>) {
        std::thread_local! {
            static OWNED: Owned = Owned::default();
        }
        // The threads of a model live and die within one of the system's.
        if cfg!(heartwire_model) {
            return;
        }
        // A thread that is ending turns for the last time.
        let _ = OWNED.try_with(|owned| {
            let mut owned = owned.0.borrow_mut();
            owned.retain(|of| of.strong_count() > 0 && !std::ptr::eq(of.as_ptr(), Arc::as_ptr(shared)));
            owned.push(Arc::downgrade(shared));
        });
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let owned = self.0.borrow().iter().filter_map(Weak::upgrade).collect::<Vec<_>>();
        // In the child of a fork the parent's locks may be held for ever.
        owned.iter().filter(|of| of.is_of_this_process()).for_each(|of| of.disown(Some(thread::id())));
    }
}

/// The engine in the hands of the thread that turns; it goes back where it was, and those who wait are told.
struct Turn<'a> {
    of: &'a SharedLoop,
    engine: Option<Box<Engine>>,
}

impl Turn<'_> {
    fn engine(&mut self) -> &mut Engine {
        let Some(engine) = &mut self.engine else { unreachable!("it is given back at the end only") };
        engine
    }

    /// One turn. A failure of the loop itself ends all its clients.
    fn turn(&mut self, timeout: Option<Duration>) -> Result<(), LoopError> {
        let _inside = thread::Loop::enter();
        let engine = self.engine();
        let turned = catch_unwind(AssertUnwindSafe(|| engine.turn(timeout))).unwrap_or_else(|panic| {
            // The payload's own drop could panic as well; leaking one box is the lesser evil.
            std::mem::forget(panic);
            Err(io::Error::other("it panicked; this is a bug of heartwire"))
        });
        match turned {
            Ok(()) => Ok(()),
            Err(error) => {
                engine.fail(&format!("the event loop failed: {error}"));
                self.engine = None;
                Err(LoopError::System(error))
            }
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut engine = self.engine.take();
        let mut place = self.of.lock();
        // Under the lock: whoever destroys a client has either left that for this look, or finds the engine here.
        let destroyed = engine.as_mut().map(|engine| engine.rest());
        place.engine = engine.map_or(Where::Gone, Where::Here);
        if place.waiters > 0 {
            self.of.turned.notify_all();
        }
        drop(place);
        // What they owned may be user code: it is inside the turn that let go of them, and a panic of its stays here.
        let _inside = thread::Loop::enter();
        drop_guarded(destroyed);
    }
}

impl SharedLoop {
    pub(crate) fn new() -> io::Result<Arc<SharedLoop>> {
        let mut engine = Engine::new()?;
        // The program may poll the descriptor before its first turn.
        let _none = engine.rest();
        Ok(Arc::new(SharedLoop {
            post: engine.post().clone(),
            registry: engine.registry().try_clone()?,
            place: Mutex::new(Place { engine: Where::Here(Box::new(engine)), waiters: 0, thread: None }),
            turned: Condvar::new(),
            process: process::current(),
            has_thread: AtomicBool::new(false),
        }))
    }

    /// `false` in the child of a fork: there it must not be used, since the parent's thread may be in the middle of it.
    pub(crate) fn is_of_this_process(&self) -> bool {
        self.process == process::current()
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(super) fn post(&self) -> &Post {
        &self.post
    }

    // ---- its clients ----------------------------------------------------------------------

    /// Counts a client in, until [`part`](SharedLoop::part); `false` if the loop takes none any more.
    pub(crate) fn join(&self) -> bool {
        self.post.join()
    }

    /// Takes a client in; it is served from the next turn on.
    pub(crate) fn adopt(&self, core: Arc<Core>) -> io::Result<()> {
        let arrived = self.post.arrive(core);
        arrived.then_some(()).ok_or_else(|| io::Error::other("the event loop has failed"))
    }

    /// Counts a destroyed client out, and lets go of its socket at once where nobody turns.
    pub(crate) fn part(&self) {
        self.post.part();
        let mut place = self.lock();
        let destroyed = match &mut place.engine {
            Where::Here(engine) => Some(engine.let_go_of_destroyed()),
            // Whoever turns does it; and looks again for what it waits for, even if it is not asleep just now.
            Where::Taken | Where::TakenByWait => {
                self.post.wake();
                None
            }
            Where::Gone => None,
        };
        if place.waiters > 0 {
            self.turned.notify_all();
        }
        drop(place);
        drop_guarded(destroyed);
    }

    // ---- a thread of its own --------------------------------------------------------------

    /// Whether it has a thread of its own.
    pub(crate) fn has_thread(&self) -> bool {
        self.has_thread.load(Ordering::Acquire)
    }

    /// Leaves the turning to a thread, which ends with the last client once none can come.
    pub(crate) fn start(self: &Arc<SharedLoop>, name: &str, stack_size: usize) -> Result<(), LoopError> {
        let mut place = self.lock();
        if self.has_thread() || !matches!(place.engine, Where::Here(_)) {
            drop(place);
            return Err(self.why_not());
        }
        let shared = self.clone();
        let builder = Builder::new().name(name.to_string()).stack_size(stack_size);
        // The thread waits for the lock before it takes the engine.
        let running = thread::spawn(builder, move || shared.run()).map_err(LoopError::System)?;
        place.thread = Some(running);
        self.post.moved_to_a_thread();
        self.has_thread.store(true, Ordering::Release);
        // Who waits here has to wait for that thread from now on.
        self.turned.notify_all();
        Ok(())
    }

    fn run(&self) {
        let engine = std::mem::replace(&mut self.lock().engine, Where::Taken);
        let Where::Here(mut engine) = engine else { return };
        if !engine.run() {
            self.lock().engine = Where::Gone;
        }
    }

    /// No client comes any more; a thread of its own ends with the last one.
    pub(crate) fn close(&self) {
        self.post.close();
    }

    /// The same, unless there are clients or someone turns it just now.
    #[cfg(feature = "capi")]
    pub(crate) fn close_if_unused(&self) -> bool {
        let place = self.lock();
        let in_turn = matches!(place.engine, Where::Taken | Where::TakenByWait) && !self.has_thread();
        !in_turn && self.post.close_if_unused()
    }

    /// Waits for the end of its own thread, if it has one and `wait` allows it.
    pub(crate) fn end_thread(&self, wait: bool) {
        let running = self.lock().thread.take();
        if let Some(running) = running.filter(|_| wait) {
            thread::join(running);
        }
    }

    // ---- turned by the program ------------------------------------------------------------

    /// One turn, by a thread that makes the loop its own by it: handlers run there from now on.
    pub(crate) fn turn(self: &Arc<SharedLoop>, timeout: Option<Duration>) -> Result<(), LoopError> {
        if thread::runs_a_loop() {
            return Err(LoopError::WouldDeadlock);
        }
        if !self.post.is_owned_here() {
            Owned::note(self);
        }
        let Some(mut turn) = self.take(Where::Taken) else {
            if matches!(self.lock().engine, Where::TakenByWait) {
                self.post.claim();
            }
            return Err(self.why_not());
        };
        self.post.turned_here(true);
        turn.turn(timeout)
    }

    /// Nobody can call `turn` any more, or `thread` cannot: calls that wait turn the loop by themselves again.
    fn disown(&self, thread: Option<u64>) {
        let _place = self.lock();
        if self.post.disown(thread) {
            self.turned.notify_all();
        }
    }

    /// The one that the program holds is gone: no client comes, and nobody calls `turn`.
    pub(super) fn abandon(&self) {
        self.close();
        self.disown(None);
    }

    /// Waits until `done` has an answer: turns the loop meanwhile, or waits for the thread that does. `None` when the
    /// time is up, or when no thread of the program's turns this loop any more.
    pub(crate) fn wait<T>(
        &self,
        deadline: Option<Instant>,
        mut done: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        loop {
            if let Some(answer) = done() {
                return Some(answer);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match self.take_here() {
                Some(mut turn) => {
                    // It may have come about between the question and the taking; then nothing would end the turn.
                    if let Some(answer) = done() {
                        return Some(answer);
                    }
                    self.post.turned_here(false);
                    turn.turn(left).ok()?;
                }
                None => {
                    let mut place = self.lock();
                    if self.has_thread() || matches!(place.engine, Where::Gone) {
                        return None;
                    }
                    if let Some(answer) = done() {
                        return Some(answer);
                    }
                    if !matches!(place.engine, Where::Here(_)) || !self.post.may_be_turned_here() {
                        place.waiters += 1;
                        let left = left.unwrap_or(Duration::MAX);
                        let waited = self.turned.wait_timeout(place, left);
                        waited.unwrap_or_else(PoisonError::into_inner).0.waiters -= 1;
                    }
                }
            }
            if left.is_some_and(|left| left.is_zero()) {
                return done();
            }
        }
    }

    /// When the next turn has something to do even if nothing comes.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        match &mut self.lock().engine {
            Where::Here(engine) => engine.next_deadline(),
            Where::Taken | Where::TakenByWait | Where::Gone => None,
        }
    }

    /// The engine, if nobody has it; it is `now` there meanwhile.
    fn take(&self, now: Where) -> Option<Turn<'_>> {
        let mut place = self.lock();
        if self.has_thread() || !matches!(place.engine, Where::Here(_)) {
            return None;
        }
        let Where::Here(engine) = std::mem::replace(&mut place.engine, now) else { return None };
        Some(Turn { of: self, engine: Some(engine) })
    }

    /// Why the engine is not to be had.
    fn why_not(&self) -> LoopError {
        match self.lock().engine {
            Where::Gone => LoopError::System(io::Error::other("the event loop has failed")),
            Where::Here(_) | Where::Taken | Where::TakenByWait => LoopError::Busy,
        }
    }

    /// The engine, if nobody has it and this thread may call handlers.
    fn take_here(&self) -> Option<Turn<'_>> {
        if self.post.may_be_turned_here() { self.take(Where::TakenByWait) } else { None }
    }

    fn lock(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
