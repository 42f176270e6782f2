//! A TCP relay in front of any loopback port that breaks connections the ways networks do, when a test says so.
//!
//! *Up* is from the client to the target, *down* is back. Calls on [`Relay`] have taken effect when they return, and
//! switches hold for the connections of now and for those to come. One thread serves all connections.

mod passage;
mod pump;
mod relaying;
mod seen;

use crossbeam_channel::{Receiver, Sender, bounded};
use mio::Waker;
use passage::Flow;
pub use passage::Passage;
use relaying::{Command, Started};
use seen::Seen;
use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// One of a connection's two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

impl Direction {
    fn index(self) -> usize {
        self as usize
    }
}

/// What the relay saw; `n` is the connection's number, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelayEvent {
    /// A client's connection came.
    Accepted {
        /// The connection.
        n: usize,
    },
    /// The connection was cut, by a call or a rule.
    Cut {
        /// The connection.
        n: usize,
    },
    /// Both directions of the connection have ended, or one side has reset it, or the target was not to be reached.
    Ended {
        /// The connection.
        n: usize,
    },
}

/// A running relay; dropping it cuts all its connections and joins its thread.
///
/// The client is given the relay's URL instead of the server's, which may be a [`Server`](super::Server) or any other.
///
/// ```
/// use heartwire::testing::{Behaviour, Direction, Relay, Server};
/// use heartwire::{Client, Event, Reconnect};
/// use std::time::Duration;
///
/// let server = Server::start(Behaviour::echo());
/// let relay = Relay::start(server.address());
/// let soon = Reconnect::fixed(Duration::from_millis(20));
/// let client = Client::builder(&relay.ws_url()).reconnect(soon).connect().unwrap();
/// client.wait_open(Duration::from_secs(10)).unwrap();
///
/// relay.cut(); // both sides see a reset, and the client dials again
/// let again = |event: Event| matches!(event, Event::Open(opened) if !opened.is_first());
/// while !again(client.recv_timeout(Duration::from_secs(10)).expect("it connects again")) {}
/// assert_eq!(relay.connections(), 2);
/// assert!(relay.bytes(Direction::Up) > 0);
/// ```
pub struct Relay {
    address: SocketAddr,
    seen: Arc<Seen>,
    commands: Sender<(Command, Sender<()>)>,
    waker: Arc<Waker>,
    events: Receiver<RelayEvent>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Starts a relay to `target`; each connection to it makes one to the target.
    ///
    /// # Panics
    ///
    /// If the system gives no socket, port or thread.
    pub fn start(target: SocketAddr) -> Self {
        Relay::launch(target, VecDeque::new())
    }

    /// The same, but the first connection is treated as the first of `steps` says, the next as the second, and so on;
    /// those after the last one as the last one says.
    ///
    /// ```
    /// use heartwire::testing::{Behaviour, Direction, Passage, Relay, Server};
    ///
    /// let server = Server::start(Behaviour::echo());
    /// let steps = [Passage::refused(), Passage::free().cut_after(Direction::Down, 40), Passage::free()];
    /// let relay = Relay::script(server.address(), steps);
    ///
    /// let soon = heartwire::Reconnect::fixed(std::time::Duration::from_millis(20));
    /// let client = heartwire::Client::builder(&relay.ws_url()).reconnect(soon).connect().unwrap();
    /// client.wait_open(std::time::Duration::from_secs(10)).unwrap();
    /// assert_eq!((relay.connections(), relay.steps_left()), (3, 0));
    /// ```
    ///
    /// # Panics
    ///
    /// If there is no step, or the system gives no socket, port or thread.
    pub fn script(target: SocketAddr, steps: impl IntoIterator<Item = Passage>) -> Self {
        let steps: VecDeque<Passage> = steps.into_iter().collect();
        assert!(!steps.is_empty(), "a script without a step");
        Relay::launch(target, steps)
    }

    fn launch(target: SocketAddr, steps: VecDeque<Passage>) -> Self {
        let Started { address, seen, commands, waker, events, thread } = relaying::start(target, steps);
        Relay { address, seen, commands, waker, events, thread: Some(thread) }
    }

    /// The port it listens on, which it keeps for good.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The address it listens on: what the client is to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `ws://127.0.0.1:PORT/`, the way through the relay to a plain server.
    pub fn ws_url(&self) -> String {
        format!("ws://{}/", self.address)
    }

    /// `wss://localhost:PORT/`, the way through the relay to a TLS server.
    pub fn wss_url(&self) -> String {
        format!("wss://localhost:{}/", self.port())
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// The next event, or `None` when none came in time.
    pub fn next_event(&self, timeout: Duration) -> Option<RelayEvent> {
        self.events.recv_timeout(timeout).ok()
    }

    /// How many steps of the script of [`Relay::script`] have not begun; 0 without a script.
    pub fn steps_left(&self) -> usize {
        self.seen.steps_left.load(Ordering::SeqCst)
    }

    /// Bytes passed on in this direction so far, by all connections.
    pub fn bytes(&self, direction: Direction) -> u64 {
        self.seen.passed(direction)
    }

    /// Bytes taken and thrown away so far, in both directions.
    pub fn bytes_swallowed(&self) -> u64 {
        self.seen.swallowed.load(Ordering::SeqCst)
    }

    /// Keeps what is passed on from now on, in both directions, in memory; an older record is gone.
    ///
    /// Default: nothing is kept. Behind TLS it is what a stranger on the line sees.
    pub fn record(&self) {
        self.seen.begin_record();
    }

    /// What has passed in this direction since [`Relay::record`]: one connection's bytes after the other's.
    ///
    /// ```
    /// # use heartwire::testing::{Behaviour, Direction, Relay, Server};
    /// let server = Server::start(Behaviour::echo());
    /// let relay = Relay::start(server.address());
    /// relay.record();
    /// let client = heartwire::Client::builder(&relay.ws_url()).connect().unwrap();
    /// client.wait_open(std::time::Duration::from_secs(10)).unwrap();
    /// assert!(relay.recorded(Direction::Up).starts_with(b"GET / HTTP/1.1\r\n"));
    /// assert!(relay.recorded(Direction::Down).starts_with(b"HTTP/1.1 101 "));
    /// ```
    pub fn recorded(&self, direction: Direction) -> Vec<u8> {
        self.seen.recorded(direction, None)
    }

    /// The same of connection `n`, counted from 1.
    pub fn recorded_of(&self, n: usize, direction: Direction) -> Vec<u8> {
        self.seen.recorded(direction, Some(n))
    }

    /// Resets all connections, on both sides, at once; new ones are welcome.
    pub fn cut(&self) {
        self.ask(Command::Cut);
    }

    /// Resets all connections as soon as so many more bytes passed in this direction, all connections taken together; then
    /// the rule is over, and with it that for the other direction.
    ///
    /// Not a byte more passes: a frame can be cut in its middle. `u64::MAX` is as good as never.
    pub fn cut_after(&self, direction: Direction, bytes: u64) {
        self.ask(Command::CutAfter { direction, bytes });
    }

    /// Takes all bytes and passes none on, in both directions; nothing is closed and no end is passed on either.
    ///
    /// Like a router that lost its way. A direction that lost bytes stays so, even after [`Relay::flow`].
    pub fn stall(&self) {
        self.ask(Command::Flow { up: Some(Flow::Swallow), down: Some(Flow::Swallow) });
    }

    /// [`Relay::stall`] for the client's bytes only.
    pub fn stall_up(&self) {
        self.ask(Command::Flow { up: Some(Flow::Swallow), down: None });
    }

    /// [`Relay::stall`] for the target's bytes only.
    pub fn stall_down(&self) {
        self.ask(Command::Flow { up: None, down: Some(Flow::Swallow) });
    }

    /// Stops taking bytes, in both directions: whoever sends sees a peer that does not read. Nothing is lost.
    pub fn hold(&self) {
        self.ask(Command::Flow { up: Some(Flow::Hold), down: Some(Flow::Hold) });
    }

    /// Stops taking the client's bytes: its TCP fills up, as towards a peer that does not read. Nothing is lost.
    pub fn hold_up(&self) {
        self.ask(Command::Flow { up: Some(Flow::Hold), down: None });
    }

    /// Stops taking the target's bytes. Nothing is lost.
    pub fn hold_down(&self) {
        self.ask(Command::Flow { up: None, down: Some(Flow::Hold) });
    }

    /// Passes at most `bytes` bytes `every` so often, in both directions.
    pub fn trickle(&self, bytes: usize, every: Duration) {
        let flow = Some(Flow::Trickle { bytes, every });
        self.ask(Command::Flow { up: flow, down: flow });
    }

    /// Passes about so many bytes in a second, each way.
    ///
    /// # Panics
    ///
    /// If it is 0; see [`Relay::hold`].
    pub fn throttle(&self, bytes_per_second: u32) {
        assert!(bytes_per_second > 0, "nothing would ever pass");
        // Drops of a hundredth of a second, but none of less than a byte.
        let bytes = bytes_per_second.div_ceil(100);
        self.trickle(bytes as usize, Duration::from_secs(1) * bytes / bytes_per_second);
    }

    /// Passes everything on so late, each way; a reset is not late.
    pub fn delay(&self, by: Duration) {
        self.ask(Command::Flow { up: Some(Flow::Delay(by)), down: Some(Flow::Delay(by)) });
    }

    /// Passes everything on again; ends the rule of every other call but [`Relay::cut_after`] and [`Relay::refuse`].
    pub fn flow(&self) {
        self.ask(Command::Flow { up: Some(Flow::Pass), down: Some(Flow::Pass) });
    }

    /// Ends the direction towards the client (FIN) on all connections; the other direction goes on.
    pub fn half_close(&self) {
        self.ask(Command::HalfClose);
    }

    /// Stops listening: new connections are refused by the system. Those that exist go on.
    pub fn refuse(&self) {
        self.ask(Command::Refuse);
    }

    /// Listens again, on the same port.
    pub fn accept_again(&self) {
        self.ask(Command::AcceptAgain);
    }

    fn ask(&self, command: Command) {
        let (done, answer) = bounded(1);
        let _ = self.commands.send((command, done));
        let _ = self.waker.wake();
        answer.recv().expect("the relay's thread runs");
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let (done, _) = bounded(1);
        let _ = self.commands.send((Command::Exit, done));
        let _ = self.waker.wake();
        let is_sound = self.thread.take().is_some_and(|thread| thread.join().is_ok());
        assert!(is_sound || thread::panicking(), "the relay's thread panicked");
    }
}
