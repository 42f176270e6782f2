//! A program's own main loop: waits for a loop's descriptor and its next deadline, and turns it, as a program with
//! epoll, poll or a GUI's loop does.

use heartwire::{EventLoop, LoopError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// A thread that plays the program's main loop, until it is told to stop or dropped.
pub struct MainLoop {
    event_loop: Arc<EventLoop>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<(), LoopError>>>,
}

impl MainLoop {
    /// Starts the thread; it has turned the loop once when this returns, so that the loop is its own.
    pub fn start(event_loop: &Arc<EventLoop>) -> MainLoop {
        let over = Arc::new(AtomicBool::new(false));
        let (turned, first_turn) = std::sync::mpsc::channel();
        let (turns, ends) = (event_loop.clone(), over.clone());
        let run = move || {
            turns.turn(Some(Duration::ZERO))?;
            let _ = turned.send(());
            run(&turns, &ends)
        };
        let thread = Builder::new().name("test-main-loop".into()).spawn(run).expect("a thread");
        first_turn.recv_timeout(super::PATIENCE).expect("the first turn");
        MainLoop { event_loop: event_loop.clone(), over, thread: Some(thread) }
    }

    /// Ends the thread, and tells how its turns went.
    ///
    /// # Panics
    ///
    /// If it panicked.
    pub fn stop(mut self) -> Result<(), LoopError> {
        self.end().unwrap_or(Ok(()))
    }

    fn end(&mut self) -> Option<Result<(), LoopError>> {
        self.over.store(true, Ordering::SeqCst);
        self.event_loop.wake();
        self.thread.take().map(|thread| thread.join().expect("the main loop panicked"))
    }
}

impl Drop for MainLoop {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        self.event_loop.wake();
        if let Some(Ok(Err(error))) = self.thread.take().map(JoinHandle::join) {
            eprintln!("the main loop's turn failed: {error}");
        }
    }
}

/// As poll(2) counts it: whole milliseconds, and never too few.
fn until(deadline: Instant) -> Duration {
    let left = deadline.saturating_duration_since(Instant::now());
    Duration::from_millis(left.as_micros().div_ceil(1000) as u64)
}

fn run(event_loop: &EventLoop, over: &AtomicBool) -> Result<(), LoopError> {
    let mut waits = Waits::new(event_loop);
    loop {
        event_loop.turn(Some(Duration::ZERO))?;
        // After the turn, which takes the wake: one that comes from here on ends the wait.
        if over.load(Ordering::SeqCst) {
            return Ok(());
        }
        waits.wait(event_loop.next_deadline().map(until));
    }
}

/// Waits for the descriptor as poll(2) does: it asks anew each time, and what is still readable ends the wait at once.
#[cfg(unix)]
pub struct Waits {
    poll: mio::Poll,
    ready: mio::Events,
    descriptor: std::os::fd::RawFd,
}

#[cfg(unix)]
impl Waits {
    pub fn new(event_loop: &EventLoop) -> Waits {
        use std::os::fd::AsRawFd;
        let waits = Waits {
            poll: mio::Poll::new().expect("a poll"),
            ready: mio::Events::with_capacity(1),
            descriptor: event_loop.as_raw_fd(),
        };
        let mut source = mio::unix::SourceFd(&waits.descriptor);
        waits.poll.registry().register(&mut source, mio::Token(0), mio::Interest::READABLE).unwrap();
        waits
    }

    /// Whether the descriptor became readable in time; `None` waits for as long as it takes.
    pub fn wait(&mut self, timeout: Option<Duration>) -> bool {
        let mut source = mio::unix::SourceFd(&self.descriptor);
        self.poll.registry().reregister(&mut source, mio::Token(0), mio::Interest::READABLE).unwrap();
        match self.poll.poll(&mut self.ready, timeout) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => self.ready.clear(),
            result => result.unwrap(),
        }
        !self.ready.is_empty()
    }
}

/// Without a descriptor a program turns at its own pace, as a game does once for each frame.
#[cfg(not(unix))]
pub struct Waits;

#[cfg(not(unix))]
impl Waits {
    pub fn new(_: &EventLoop) -> Waits {
        Waits
    }

    pub fn wait(&mut self, timeout: Option<Duration>) -> bool {
        const FRAME: Duration = Duration::from_millis(1);
        std::thread::sleep(timeout.map_or(FRAME, |timeout| timeout.min(FRAME)));
        true
    }
}
