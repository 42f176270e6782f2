//! What the model checker lacks: a poll whose sleep it sees, with the waker that ends it, and sockets to dial.
//!
//! Time does not pass: a wait with a timeout ends by a wake-up only, so that one that is missed is found.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Registry, Token};

use crate::error::{LinkError, Phase};
use crate::net::stream::Stream;
use crate::sync::{Condvar, Mutex};

pub(crate) struct Poll {
    sockets: mio::Poll,
    sleep: Arc<Sleep>,
}

pub(crate) struct Waker(Arc<Sleep>);

#[derive(Default)]
pub(crate) struct Sleep {
    state: Mutex<State>,
    came: Condvar,
}

#[derive(Default)]
struct State {
    woken: bool,
    polling: bool,
    /// Since a poll last began or ended.
    wakes: usize,
}

impl Poll {
    pub(crate) fn new() -> io::Result<Poll> {
        Ok(Poll { sockets: mio::Poll::new()?, sleep: Arc::default() })
    }

    pub(crate) fn registry(&self) -> &Registry {
        self.sockets.registry()
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker(self.sleep.clone())
    }

    /// Sockets are the system's, and only looked at: what one end is given the other has at once.
    pub(crate) fn poll(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        let mut state = self.sleep.state.lock().unwrap();
        (state.polling, state.wakes) = (true, 0);
        loop {
            self.sockets.poll(events, Some(Duration::ZERO))?;
            if state.woken || !events.is_empty() || timeout.is_some_and(|timeout| timeout.is_zero()) {
                break;
            }
            state = self.sleep.came.wait(state).unwrap();
        }
        *state = State::default();
        Ok(())
    }
}

impl Waker {
    pub(crate) fn wake(&self) -> io::Result<()> {
        let mut state = self.0.state.lock().unwrap();
        state.woken = true;
        state.wakes += 1;
        // One sleep gets one wake, and one for the sleep before may be late. Between two polls there may be two sleeps:
        // when the engine is given back, and just before the poll.
        assert!(state.wakes <= if state.polling { 2 } else { 3 }, "more wake-ups than sleeps");
        self.0.came.notify_one();
        Ok(())
    }
}

std::thread_local! {
    /// The model's threads are one thread of the system's.
    static SOCKETS: RefCell<VecDeque<TcpStream>> = const { RefCell::new(VecDeque::new()) };
}

/// loom's own knows no `const`.
macro_rules! per_thread {
    ($(static $name:ident: $kind:ty = const $init:block;)*) => {
        loom::thread_local! { $(static $name: $kind = $init;)* }
    };
    ($(static $name:ident: $kind:ty = $init:expr;)*) => {
        loom::thread_local! { $(static $name: $kind = $init;)* }
    };
}
pub(crate) use per_thread as thread_local;

/// The next dial gets this.
pub(crate) fn will_dial(socket: TcpStream) {
    SOCKETS.with_borrow_mut(|sockets| sockets.push_back(socket));
}

pub(crate) fn dialled(registry: &Registry, token: Token, phase: Phase) -> Result<Stream, LinkError> {
    let refused = || LinkError::io(phase, io::ErrorKind::ConnectionRefused.into());
    let mut socket = SOCKETS.with_borrow_mut(VecDeque::pop_front).ok_or_else(refused)?;
    let registered = registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE);
    registered.map_err(|error| LinkError::io(phase, error))?;
    Ok(Stream::plain(socket))
}
