//! A TCP relay in front of any loopback port that breaks connections the ways networks do, when a test says so.
//!
//! *Up* is from the client to the target, *down* is back. Calls on [`Relay`] have taken effect when they return, and
//! switches hold for the connections of now and for those to come. One thread serves all connections.

mod pump;

use super::port::Port;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use mio::{Events, Interest, Poll, Token, Waker};
use pump::{Outcome, Pair};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What the relay does with one direction's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Pass,
    /// Read and thrown away. A direction that lost a byte this way never flows again: no stream gets a gap.
    Swallow,
    /// Not read, so that the sender's TCP fills up and waits; nothing is lost.
    Hold,
    /// At most so many bytes at a time, so far apart.
    Trickle {
        bytes: usize,
        every: Duration,
    },
}

#[derive(Debug, Clone, Copy)]
struct Rules {
    up: Flow,
    down: Flow,
    /// Bytes that may still pass each way before everything is cut.
    cut_after: Option<(u64, u64)>,
}

#[derive(Default)]
struct Counters {
    connections: AtomicUsize,
    up: AtomicU64,
    down: AtomicU64,
    swallowed: AtomicU64,
}

enum Command {
    Flow { up: Option<Flow>, down: Option<Flow> },
    CutAfter { up: u64, down: u64 },
    Cut,
    HalfClose,
    Refuse,
    AcceptAgain,
    Exit,
}

/// A running relay; dropping it cuts all its connections and joins its thread.
pub struct Relay {
    address: SocketAddr,
    counters: Arc<Counters>,
    commands: Sender<(Command, Sender<()>)>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Starts a relay to `target`; each connection to it makes one to the target.
    ///
    /// # Panics
    ///
    /// If the system gives no socket, port or thread.
    pub fn start(target: SocketAddr) -> Self {
        let poll = Poll::new().expect("a poll");
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).expect("a waker"));
        let port = Port::reserve(Ipv4Addr::LOCALHOST.into()).expect("a free port");
        let address = port.address();
        let counters = Arc::new(Counters::default());
        let rules = Rules { up: Flow::Pass, down: Flow::Pass, cut_after: None };
        let shared = Arc::clone(&counters);
        let mut relaying =
            Relaying { poll, port, listener: None, target, pairs: BTreeMap::new(), rules, counters: shared };
        relaying.listen();
        let (commands, inbox) = unbounded();
        let name = format!("test-relay-{}", address.port());
        let thread = thread::Builder::new().name(name).spawn(move || relaying.run(&inbox)).expect("a thread");
        Relay { address, counters, commands, waker, thread: Some(thread) }
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
        self.counters.connections.load(Ordering::SeqCst)
    }

    /// Bytes passed on from clients to the target so far.
    pub fn bytes_up(&self) -> u64 {
        self.counters.up.load(Ordering::SeqCst)
    }

    /// Bytes passed on from the target to clients so far.
    pub fn bytes_down(&self) -> u64 {
        self.counters.down.load(Ordering::SeqCst)
    }

    /// Bytes taken and thrown away so far, in both directions.
    pub fn bytes_swallowed(&self) -> u64 {
        self.counters.swallowed.load(Ordering::SeqCst)
    }

    /// Resets all connections, on both sides, at once; new ones are welcome.
    pub fn cut(&self) {
        self.ask(Command::Cut);
    }

    /// Resets all connections as soon as so many more bytes passed in one of the directions; then the rule is over.
    ///
    /// Not a byte more passes: a frame can be cut in its middle.
    pub fn cut_after(&self, bytes_up: u64, bytes_down: u64) {
        self.ask(Command::CutAfter { up: bytes_up, down: bytes_down });
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

impl Drop for Relay {
    fn drop(&mut self) {
        let (done, _) = bounded(1);
        let _ = self.commands.send((Command::Exit, done));
        let _ = self.waker.wake();
        let is_sound = self.thread.take().is_some_and(|thread| thread.join().is_ok());
        assert!(is_sound || thread::panicking(), "the relay's thread panicked");
    }
}

/// Pair `i` (from 1) has the tokens `2 i` for the client's side and `2 i + 1` for the target's.
const LISTENER: Token = Token(0);
const WAKER: Token = Token(usize::MAX);

struct Relaying {
    poll: Poll,
    port: Port,
    listener: Option<mio::net::TcpListener>,
    target: SocketAddr,
    pairs: BTreeMap<usize, Pair>,
    rules: Rules,
    counters: Arc<Counters>,
}

impl Relaying {
    fn run(&mut self, inbox: &Receiver<(Command, Sender<()>)>) {
        let mut ready = Events::with_capacity(256);
        let mut scratch = vec![0; 64 * 1024];
        loop {
            let now = Instant::now();
            let next = self.pairs.values().filter_map(Pair::deadline).min();
            match self.poll.poll(&mut ready, next.map(|at| at.saturating_duration_since(now))) {
                Err(e) if e.kind() != ErrorKind::Interrupted => panic!("poll: {e}"),
                _ => {}
            }
            for event in ready.iter().filter(|e| e.token() != LISTENER && e.token() != WAKER) {
                if let Some(pair) = self.pairs.get_mut(&(event.token().0 / 2)) {
                    pair.ready(event.token().0 % 2 == 1, event.is_readable(), event.is_writable());
                }
            }
            if ready.iter().any(|event| event.token() == LISTENER) {
                self.accept();
            }
            let mut answers = Vec::new();
            for (command, done) in inbox.try_iter() {
                if matches!(command, Command::Exit) {
                    self.cut();
                    return;
                }
                self.obey(command);
                answers.push(done);
            }
            self.turn(&mut scratch);
            for done in answers {
                let _ = done.send(());
            }
        }
    }

    fn turn(&mut self, scratch: &mut [u8]) {
        let now = Instant::now();
        let mut over = Vec::new();
        let mut cut = false;
        for (i, pair) in &mut self.pairs {
            match pair.turn(&mut self.rules, &self.counters, now, scratch) {
                Outcome::GoesOn => {}
                Outcome::Over => over.push(*i),
                Outcome::CutAll => cut = true,
            }
        }
        for i in over {
            self.pairs.remove(&i);
        }
        if cut {
            self.cut();
            self.rules.cut_after = None;
        }
    }

    fn accept(&mut self) {
        while let Some(Ok((client, _))) = self.listener.as_ref().map(|l| l.accept()) {
            let i = self.counters.connections.fetch_add(1, Ordering::SeqCst) + 1;
            // A target that refuses at once drops the client, as a relay without a way does.
            let Ok(target) = mio::net::TcpStream::connect(self.target) else { continue };
            let mut pair = Pair::new(client, target);
            let interest = Interest::READABLE | Interest::WRITABLE;
            for (side, socket) in pair.sockets().into_iter().enumerate() {
                self.poll.registry().register(socket, Token(2 * i + side), interest).expect("a registration");
            }
            self.pairs.insert(i, pair);
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Flow { up, down } => {
                self.rules.up = up.unwrap_or(self.rules.up);
                self.rules.down = down.unwrap_or(self.rules.down);
            }
            Command::CutAfter { up, down } => self.rules.cut_after = Some((up, down)),
            Command::Cut => self.cut(),
            Command::HalfClose => self.pairs.values_mut().for_each(Pair::half_close),
            Command::Refuse => {
                if let Some(listener) = self.listener.take() {
                    self.port.refuse(listener).expect("the same port");
                }
            }
            Command::AcceptAgain => self.listen(),
            Command::Exit => unreachable!("the loop takes it"),
        }
    }

    fn cut(&mut self) {
        for (_, pair) in std::mem::take(&mut self.pairs) {
            pair.reset();
        }
    }

    fn listen(&mut self) {
        if self.listener.is_none() {
            let mut listener = self.port.listen().expect("the same port");
            self.poll
                .registry()
                .register(&mut listener, LISTENER, Interest::READABLE)
                .expect("a registration");
            self.listener = Some(listener);
        }
    }
}
