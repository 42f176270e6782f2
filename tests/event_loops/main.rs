//! What only a loop that clients share has: many clients on it, who turns it, who waits for whom, and its end.
//!
//! That everything else holds on such a loop, too, is shown by the suite, which runs in all modes.

#[path = "../support/mod.rs"]
mod support;

mod destroying;
mod lifetime;
mod many;
mod turning;
mod waiting;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use heartwire::{Builder, Client, EventLoop, Heartbeat, Reconnect};
use support::Server;
use support::main_loop::MainLoop;

/// How long a test waits for what has to happen; much longer than it takes.
const SOON: Duration = Duration::from_secs(20);
const NOW: Option<Duration> = Some(Duration::ZERO);

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn to(server: &Server, event_loop: &EventLoop) -> Builder {
    let quick = Reconnect::fixed(ms(10));
    Client::builder(&server.url()).event_loop(event_loop).heartbeat(Heartbeat::off()).reconnect(quick)
}

/// A loop that goes by itself, in one of the two ways.
struct Running {
    event_loop: Arc<EventLoop>,
    main_loop: Option<MainLoop>,
}

impl Running {
    /// One with a thread of the library's, and one that a main loop turns.
    fn each() -> [Running; 2] {
        let both = [(); 2].map(|()| Arc::new(EventLoop::new().unwrap()));
        let [started, turned] = both;
        started.start().unwrap();
        let main_loop = Some(MainLoop::start(&turned));
        [Running { event_loop: started, main_loop: None }, Running { event_loop: turned, main_loop }]
    }

    /// Every turn went well.
    fn end(self) {
        if let Some(main_loop) = self.main_loop {
            main_loop.stop().unwrap();
        }
    }
}

/// Turns the loop on this thread until `look` gives something; never waits longer than the loop's next deadline.
#[track_caller]
fn turn_until<T>(event_loop: &EventLoop, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not in {SOON:?}: {what}");
        // What is looked for may come of another thread, which wakes nobody here.
        event_loop.turn(Some(ms(2))).unwrap();
    }
}

#[track_caller]
fn turn_until_open(event_loop: &EventLoop, client: &Client) {
    turn_until(event_loop, "open", || (client.ready_state() == 1).then_some(()));
}

/// The other end was owned by a handler, which is gone.
fn is_freed(owned: &Receiver<()>) -> bool {
    owned.try_recv() == Err(TryRecvError::Disconnected)
}
