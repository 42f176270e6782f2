//! The loop that waits for sockets and deadlines: for one client on a thread of its own, for many on one thread, or
//! inside the program's own loop.

mod course;
mod engine;
mod member;
mod opening;
pub(crate) mod post;
mod recording;
mod session;
pub(crate) mod shared;
mod sleep;
pub(crate) mod slots;
mod telling;
mod timers;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::STACK_SIZE;
use crate::core::Core;
use crate::error::LoopError;
use crate::sync::thread::{Builder, JoinHandle};
use crate::thread;
use engine::Engine;
use shared::SharedLoop;

/// A loop that several clients share, instead of a thread each.
///
/// Build the clients with [`Builder::event_loop`](crate::Builder::event_loop), then let one of these turn it:
///
/// - **A thread of the library's**: [`start`](EventLoop::start). Many clients cost one thread.
/// - **The program's own loop**: [`turn`](EventLoop::turn), once for each frame, or whenever the descriptor (`AsFd`, on
///   Unix) is readable or [`next_deadline`](EventLoop::next_deadline) has come. No thread of the library's exists then,
///   but where it is asked for: the first host name that is not a literal address starts those that look it up;
///   [`before_connect`](crate::Builder::before_connect), `dial_with` and the target of a redirect may need one of a
///   small pool; and [`Dispatch::Thread`](crate::Dispatch::Thread) and [`Client::events`](crate::Client::events) have
///   one for each client.
/// - **The calls that wait**: if nobody turns the loop, [`recv`](crate::Client::recv),
///   [`wait_open`](crate::Client::wait_open), [`wait_closed`](crate::Client::wait_closed),
///   [`flush`](crate::Client::flush), and a send or an append that waits for room turn it while they wait: the fastest
///   way for request and reply, since no second thread takes part. Between such calls nothing happens: no heartbeat is
///   answered, no link is mended, and messages that other threads send may stay in the outbox.
///
/// Handlers of all clients run on the thread that turns. Where `turn` is used that is the thread which called it last;
/// calls that wait on other threads wait for that one, until it or the `EventLoop` is gone. Everything a client
/// promises holds on a shared loop, too, with one difference: a handler that takes long delays all clients of the loop,
/// not only its own. Give such clients [`Dispatch::Thread`](crate::Dispatch::Thread).
///
/// Dropping it leaves clients that live in place: a started loop's thread goes on and ends with the last of
/// them, and without a thread the calls that wait still work. No further client can be built on it.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> Result<(), heartwire::Error> {
/// use heartwire::{Client, EventLoop};
///
/// let event_loop = EventLoop::new()?;
/// event_loop.start()?;
/// let mut clients = Vec::new();
/// for number in 0..1000 {
///     let url = format!("ws://127.0.0.1:9000/feed/{number}");
///     clients.push(Client::builder(&url).event_loop(&event_loop).connect()?);
/// }
/// # Ok(()) }
/// ```
pub struct EventLoop {
    shared: Arc<SharedLoop>,
}

impl EventLoop {
    /// Makes a loop without clients, which nobody turns yet. Does not wait.
    ///
    /// # Errors
    ///
    /// [`LoopError::System`]: there was no descriptor to be had; a loop needs three.
    pub fn new() -> Result<EventLoop, LoopError> {
        Ok(EventLoop { shared: SharedLoop::new().map_err(LoopError::System)? })
    }

    /// Gives the loop a thread of the library's, which turns it from now on. Does not wait.
    ///
    /// # Errors
    ///
    /// [`LoopError::Busy`]: it has one already, or another thread turns it just now. [`LoopError::System`]: no thread
    /// was to be had; the loop stays as it was.
    pub fn start(&self) -> Result<(), LoopError> {
        self.shared.start("heartwire-loop", STACK_SIZE)
    }

    /// Waits for something to do, for `timeout` at most (`None`: for as long as it takes), and does it: a bounded
    /// amount for each client, handlers included. It may return early, and with nothing done.
    ///
    /// With a timeout of zero it never waits. The calling thread becomes the one that turns this loop.
    ///
    /// # Errors
    ///
    /// [`LoopError::WouldDeadlock`]: the calling thread is inside a turn already, of this loop or of another.
    /// [`LoopError::Busy`]: the loop has a thread of its own, or another thread turns it just now; if that one does so
    /// in a call that waits, it hands the loop over, and the next try finds it. [`LoopError::System`]: the operating
    /// system refused to wait; every client of the loop has ended.
    pub fn turn(&self, timeout: Option<Duration>) -> Result<(), LoopError> {
        self.shared.turn(timeout)
    }

    /// When [`turn`](EventLoop::turn) is to be called at the latest, even if the descriptor is not readable by then;
    /// `None`: there is no such time.
    ///
    /// Every turn may change it, and so may every call to a client; the latter makes the descriptor readable. Ask after
    /// each turn. A loop that another thread turns, or that has a thread of its own, answers `None`.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.shared.next_deadline()
    }

    /// Makes the turn that waits return, or else the next one; from any thread.
    pub fn wake(&self) {
        self.shared.post().wake();
    }

    /// How many clients were built on this loop and are not destroyed yet.
    pub fn clients(&self) -> usize {
        self.shared.post().clients()
    }

    pub(crate) fn shared(&self) -> &Arc<SharedLoop> {
        &self.shared
    }

    /// Whether it may be freed now: no client is left, nobody turns it, and from now on none can be built on it.
    #[cfg(feature = "capi")]
    pub(crate) fn close_if_unused(&self) -> bool {
        self.shared.close_if_unused()
    }
}

/// Starts a loop with a thread of its own for one client; both end with it.
pub(crate) fn start_for(core: Arc<Core>) -> io::Result<JoinHandle<()>> {
    // Boxed: it moves to the thread's stack otherwise.
    let mut engine = Box::new(Engine::for_one()?);
    let builder =
        Builder::new().name(format!("heartwire-{}", core.config.name)).stack_size(core.config.stack_size);
    engine.post().arrive(core);
    engine.post().close();
    thread::spawn(builder, move || {
        engine.run();
    })
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        if !self.shared.is_of_this_process() {
            return;
        }
        self.shared.abandon();
        let wait = thread::may_wait_for_callbacks() && self.clients() == 0;
        self.shared.end_thread(wait);
    }
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop").field("clients", &self.clients()).finish_non_exhaustive()
    }
}

/// The descriptor to wait for, with epoll, kqueue, poll or select: readable while a turn has something to do.
///
/// Nothing but waiting may be done with it. It lives as long as the loop.
#[cfg(unix)]
impl std::os::fd::AsFd for EventLoop {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.shared.registry().as_fd()
    }
}

#[cfg(unix)]
impl std::os::fd::AsRawFd for EventLoop {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.shared.registry().as_raw_fd()
    }
}

/// Any thread may use it, and handlers may hold it.
const _: () = {
    const fn promised<T: Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    promised::<EventLoop>();
};

// Each turn is inside `catch_unwind`, and one that unwound ends the loop.
impl std::panic::UnwindSafe for EventLoop {}
impl std::panic::RefUnwindSafe for EventLoop {}

#[cfg(test)]
mod tests;
