//! The relay's thread: waits for sockets and commands, and lets each pair of sockets take its turn.

use super::passage::{Flow, Passage};
use super::pump::{Outcome, Pair, Turn};
use super::seen::Seen;
use super::{Direction, RelayEvent};
use crate::testing::port::Port;
use crossbeam_channel::{Receiver, Sender, unbounded};
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::SockRef;
use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What holds for all connections.
pub(super) struct Rules {
    pub(super) flows: [Flow; 2],
    /// Bytes that may still pass before everything is cut.
    pub(super) cut_after: [Option<u64>; 2],
}

pub(super) enum Command {
    Flow { up: Option<Flow>, down: Option<Flow> },
    CutAfter { direction: Direction, bytes: u64 },
    Cut,
    HalfClose,
    Refuse,
    AcceptAgain,
    Exit,
}

/// A relay's thread that runs, and the ways to it.
pub(super) struct Started {
    pub(super) address: SocketAddr,
    pub(super) seen: Arc<Seen>,
    pub(super) commands: Sender<(Command, Sender<()>)>,
    pub(super) waker: Arc<Waker>,
    pub(super) events: Receiver<RelayEvent>,
    pub(super) thread: JoinHandle<()>,
}

pub(super) fn start(target: SocketAddr, steps: VecDeque<Passage>) -> Started {
    let poll = Poll::new().expect("a poll");
    let waker = Arc::new(Waker::new(poll.registry(), WAKER).expect("a waker"));
    let port = Port::reserve(Ipv4Addr::LOCALHOST.into()).expect("a free port");
    let address = port.address();
    let seen = Arc::new(Seen::default());
    seen.steps_left.store(steps.len(), Ordering::SeqCst);
    let (tell, events) = unbounded();
    let mut relaying = Relaying {
        poll,
        port,
        listener: None,
        target,
        pairs: BTreeMap::new(),
        rules: Rules { flows: [Flow::Pass; 2], cut_after: [None; 2] },
        steps,
        last: Passage::free(),
        seen: Arc::clone(&seen),
        events: tell,
    };
    relaying.listen();
    let (commands, inbox) = unbounded();
    let name = format!("test-relay-{}", address.port());
    let thread = thread::Builder::new().name(name).spawn(move || relaying.run(&inbox)).expect("a thread");
    Started { address, seen, commands, waker, events, thread }
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
    /// For the next connections, and for those after them.
    steps: VecDeque<Passage>,
    last: Passage,
    seen: Arc<Seen>,
    events: Sender<RelayEvent>,
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
            let mut turn = Turn { rules: &mut self.rules, seen: &self.seen, now, scratch };
            match pair.turn(&mut turn) {
                Outcome::GoesOn => {}
                Outcome::Over => over.push((*i, RelayEvent::Ended { n: *i })),
                Outcome::Cut => over.push((*i, RelayEvent::Cut { n: *i })),
                Outcome::CutAll => cut = true,
            }
        }
        for (i, event) in over {
            self.pairs.remove(&i);
            self.tell(event);
        }
        if cut {
            self.cut();
            self.rules.cut_after = [None; 2];
        }
    }

    fn accept(&mut self) {
        while let Some(Ok((client, _))) = self.listener.as_ref().map(|l| l.accept()) {
            if let Some(passage) = self.steps.pop_front() {
                self.last = passage;
                self.seen.steps_left.store(self.steps.len(), Ordering::SeqCst);
            }
            let i = self.seen.connections.fetch_add(1, Ordering::SeqCst) + 1;
            self.tell(RelayEvent::Accepted { n: i });
            if self.last.refused {
                self.tell(RelayEvent::Cut { n: i });
                // It fails only on a socket that is gone already.
                let _ = SockRef::from(&client).set_linger(Some(Duration::ZERO));
                continue;
            }
            // A target that refuses at once drops the client, as a relay without a way does.
            let Ok(target) = mio::net::TcpStream::connect(self.target) else {
                self.tell(RelayEvent::Ended { n: i });
                continue;
            };
            let mut pair = Pair::new(i, client, target, self.last);
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
                for (flow, new) in self.rules.flows.iter_mut().zip([up, down]) {
                    *flow = new.unwrap_or(*flow);
                }
            }
            Command::CutAfter { direction, bytes } => self.rules.cut_after[direction.index()] = Some(bytes),
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
        for (i, pair) in std::mem::take(&mut self.pairs) {
            pair.reset();
            self.tell(RelayEvent::Cut { n: i });
        }
    }

    fn tell(&self, event: RelayEvent) {
        // Nobody listens any more once the relay is being dropped.
        let _ = self.events.send(event);
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
