//! The server's thread: waits for sockets and commands, and lets each connection take its turn.

use super::behaviour::{RawStream, Script, Upgrade};
use super::connection::{Connection, Switches, Turn};
use super::event::{Ending, ServerEvent};
use super::plan::Plan;
use super::port::Port;
use super::transport::Transport;
use crate::Message;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use mio::{Events, Interest, Poll, Token, Waker};
use rustls::ServerConfig;
use socket2::SockRef;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Connections are numbered from 1, so that their numbers serve as tokens.
const LISTENER: Token = Token(0);
const WAKER: Token = Token(usize::MAX);

/// What the server's owner may look at without asking its thread.
pub(super) struct Shared {
    pub(super) address: SocketAddr,
    pub(super) accepted: AtomicUsize,
    /// Steps of the script that have not begun.
    pub(super) steps_left: AtomicUsize,
    pub(super) received: Mutex<Vec<(usize, Message)>>,
}

/// Where the server's owner looks for what happened.
pub(super) struct Publisher {
    shared: Arc<Shared>,
    out: Sender<ServerEvent>,
}

impl Publisher {
    pub(super) fn publish(&self, event: ServerEvent) {
        if let ServerEvent::Message { n, message } = &event {
            self.shared.received.lock().unwrap().push((*n, message.clone()));
        }
        // Nobody listens any more once the server is being dropped.
        let _ = self.out.send(event);
    }
}

pub(super) enum Command {
    Send { n: usize, bytes: Vec<u8> },
    Close { n: usize, code: u16, reason: String },
    Cut { n: usize },
    CutAll,
    DropTcp { n: usize },
    Switch(Box<dyn FnOnce(&mut Switches) + Send>),
    Treat(Plan),
    Stop,
    StopListening,
    Restart,
    ScriptEnded { n: usize },
    Exit,
}

/// The way to the server's thread.
#[derive(Clone)]
pub(super) struct Ask {
    commands: Sender<(Command, Sender<bool>)>,
    waker: Arc<Waker>,
}

impl Ask {
    /// Waits until the command took effect; false if it could not, or if the thread is gone.
    pub(super) fn ask(&self, command: Command) -> bool {
        self.tell(command).recv().unwrap_or(false)
    }

    fn tell(&self, command: Command) -> Receiver<bool> {
        let (done, answer) = bounded(1);
        // A failure means that the thread is gone, and then the answer's sender is gone, too.
        let _ = self.commands.send((command, done));
        let _ = self.waker.wake();
        answer
    }
}

/// A server's thread that runs, and the ways to it.
pub(super) struct Started {
    pub(super) shared: Arc<Shared>,
    pub(super) ask: Ask,
    pub(super) events: Receiver<ServerEvent>,
    pub(super) thread: JoinHandle<()>,
}

pub(super) fn start(ip: IpAddr, tls: Option<Arc<ServerConfig>>, plan: Plan) -> Started {
    let poll = Poll::new().expect("a poll");
    let waker = Arc::new(Waker::new(poll.registry(), WAKER).expect("a waker"));
    let port = Port::reserve(ip).expect("a free port");
    let shared = Arc::new(Shared {
        address: port.address(),
        accepted: AtomicUsize::new(0),
        steps_left: AtomicUsize::new(plan.steps_left()),
        received: Mutex::new(Vec::new()),
    });
    let (commands, inbox) = unbounded();
    let (out, events) = unbounded();
    let ask = Ask { commands, waker };
    let mut serving = Serving {
        poll,
        port,
        listener: None,
        tls,
        plan,
        absence: None,
        switches: Switches { muted: false, silent: false, answers_pings: true, answers_text_pings: false },
        connections: BTreeMap::new(),
        scripts: BTreeMap::new(),
        scripts_are_sound: true,
        events: Publisher { shared: Arc::clone(&shared), out },
        ask: ask.clone(),
    };
    assert!(serving.listen(), "cannot listen");
    serving.go_on();
    let name = format!("test-server-{}", shared.address.port());
    let thread = thread::Builder::new().name(name).spawn(move || serving.run(&inbox)).expect("a thread");
    Started { shared, ask, events, thread }
}

struct RunningScript {
    /// A second handle to the script's socket, to end its reads and writes.
    tcp: TcpStream,
    /// Dropped when the connection is cut: a script may wait for that alone.
    uncut: Option<Sender<()>>,
    thread: JoinHandle<()>,
    cut: bool,
}

/// The port refuses because the script says so.
struct Absence {
    /// The connection whose end it begins with.
    after: usize,
    time: Duration,
    until: Option<Instant>,
}

struct Serving {
    poll: Poll,
    port: Port,
    listener: Option<mio::net::TcpListener>,
    tls: Option<Arc<ServerConfig>>,
    plan: Plan,
    absence: Option<Absence>,
    switches: Switches,
    connections: BTreeMap<usize, Connection>,
    scripts: BTreeMap<usize, RunningScript>,
    scripts_are_sound: bool,
    events: Publisher,
    ask: Ask,
}

impl Serving {
    fn run(&mut self, inbox: &Receiver<(Command, Sender<bool>)>) {
        let mut ready = Events::with_capacity(256);
        let mut scratch = vec![0; 64 * 1024];
        let mut exit = None;
        while exit.is_none() {
            let again = !self.switches.muted && self.connections.values().any(|c| c.again);
            let timeout = if again { Some(Duration::ZERO) } else { self.timeout() };
            match self.poll.poll(&mut ready, timeout) {
                Err(e) if e.kind() != ErrorKind::Interrupted => panic!("poll: {e}"),
                _ => {}
            }
            if ready.iter().any(|event| event.token() == LISTENER) {
                self.accept();
            }
            let now = Instant::now();
            if self.absence.as_ref().and_then(|absence| absence.until).is_some_and(|until| until <= now) {
                self.absence = None;
                self.listen();
                self.go_on();
            }
            let mut answers = Vec::new();
            for (command, done) in inbox.try_iter() {
                match command {
                    Command::Exit => exit = Some(done),
                    command => answers.push((done, self.obey(command))),
                }
            }
            // A command may concern any of them: a switch, or something to send.
            let everyone = !answers.is_empty();
            let due: BTreeSet<usize> = ready.iter().map(|event| event.token().0).collect();
            let is_late = |c: &Connection| c.deadline().is_some_and(|at| at <= now);
            self.turn(&mut scratch, now, |c| everyone || c.again || due.contains(&c.number) || is_late(c));
            for (done, answer) in answers {
                let _ = done.send(answer);
            }
        }
        self.stop_listening();
        self.cut_all();
        for (_, script) in std::mem::take(&mut self.scripts) {
            let _ = script.thread.join();
        }
        let _ = exit.map(|done| done.send(self.scripts_are_sound));
    }

    /// How long until something is due without a socket.
    fn timeout(&self) -> Option<Duration> {
        let absence = self.absence.as_ref().and_then(|absence| absence.until);
        let connections = self.connections.values().filter_map(Connection::deadline);
        let next = absence.into_iter().chain(connections.filter(|_| !self.switches.muted)).min();
        next.map(|at| at.saturating_duration_since(Instant::now()))
    }

    fn turn(&mut self, scratch: &mut [u8], now: Instant, is_due: impl Fn(&Connection) -> bool) {
        let mut ended = Vec::new();
        for (n, connection) in self.connections.iter_mut().filter(|(_, c)| is_due(c)) {
            let mut io = Turn { switches: self.switches, events: &self.events, now, scratch };
            if let Some(ending) = connection.turn(&mut io) {
                ended.push((*n, ending));
            }
        }
        for (n, ending) in ended {
            self.connections.remove(&n);
            self.ended(n, ending);
        }
    }

    fn ended(&mut self, n: usize, ending: Ending) {
        self.publish(ServerEvent::Ended { n, ending });
        if let Some(absence) = self.absence.as_mut().filter(|absence| absence.after == n) {
            absence.until.get_or_insert(Instant::now() + absence.time);
        }
    }

    /// Lets the script's next step begin, if that is one that needs no connection.
    fn go_on(&mut self) {
        let Some(time) = self.plan.absence() else { return };
        self.stop_listening();
        let after = self.events.shared.accepted.load(Ordering::SeqCst);
        // One that is for good has nothing to wait for.
        self.absence = time.map(|time| {
            let is_over = !self.connections.contains_key(&after) && !self.scripts.contains_key(&after);
            Absence { after, time, until: is_over.then(|| Instant::now() + time) }
        });
        self.count_steps();
    }

    fn count_steps(&self) {
        self.events.shared.steps_left.store(self.plan.steps_left(), Ordering::SeqCst);
    }

    fn publish(&self, event: ServerEvent) {
        self.events.publish(event);
    }

    fn accept(&mut self) {
        while let Some(Ok((mut tcp, _))) = self.listener.as_ref().map(|l| l.accept()) {
            let n = self.events.shared.accepted.fetch_add(1, Ordering::SeqCst) + 1;
            self.publish(ServerEvent::Accepted { n });
            let _ = tcp.set_nodelay(true);
            let behaviour = self.plan.next(n);
            self.count_steps();
            match &behaviour.upgrade {
                Upgrade::Script(script) => {
                    self.start_script(n, tcp.into(), Arc::clone(script));
                    self.go_on();
                    continue;
                }
                Upgrade::Absent(_) => {
                    let _ = SockRef::from(&tcp).set_linger(Some(Duration::ZERO));
                    drop(tcp);
                    self.ended(n, Ending::Cut);
                    continue;
                }
                _ => {}
            }
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut tcp, Token(n), interest).expect("a registration");
            let stream = Transport::new(tcp, self.tls.as_ref());
            self.connections.insert(n, Connection::new(n, stream, behaviour));
            self.go_on();
        }
    }

    fn start_script(&mut self, n: usize, tcp: TcpStream, script: Script) {
        tcp.set_nonblocking(false).expect("a blocking socket");
        let handle = tcp.try_clone().expect("a second handle");
        let (uncut, cut) = bounded(0);
        let stream = RawStream { bytes: Transport::new(tcp, self.tls.as_ref()), uncut: cut };
        let end = ScriptEnd { ask: self.ask.clone(), n };
        let run = move || {
            // Dropped after the stream.
            let _end = end;
            let mut stream = stream;
            script(&mut stream, n);
        };
        let thread = thread::Builder::new().name(format!("test-script-{n}")).spawn(run).expect("a thread");
        self.scripts.insert(n, RunningScript { tcp: handle, uncut: Some(uncut), thread, cut: false });
    }

    fn obey(&mut self, command: Command) -> bool {
        match command {
            Command::Send { n, bytes } => self.with_open(n, |c| c.queue(&bytes)),
            Command::Close { n, code, reason } => self.with_open(n, |c| c.close(code, &reason)),
            Command::DropTcp { n } => self.with_open(n, |c| c.finish(false)),
            Command::Cut { n } => self.cut(n),
            Command::CutAll => self.cut_all(),
            Command::Switch(change) => {
                change(&mut self.switches);
                true
            }
            Command::Treat(plan) => {
                self.plan = plan;
                if self.absence.take().is_some() {
                    self.listen();
                }
                self.count_steps();
                self.go_on();
                true
            }
            Command::Stop => {
                self.absence = None;
                self.stop_listening();
                self.cut_all()
            }
            Command::StopListening => {
                self.absence = None;
                self.stop_listening();
                true
            }
            Command::Restart => {
                self.absence = None;
                self.listen()
            }
            Command::ScriptEnded { n } => {
                self.script_ended(n);
                true
            }
            Command::Exit => unreachable!("the loop takes it"),
        }
    }

    fn with_open(&mut self, n: usize, act: impl FnOnce(&mut Connection)) -> bool {
        match self.connections.get_mut(&n).filter(|c| c.is_open()) {
            Some(connection) => {
                act(connection);
                true
            }
            None => false,
        }
    }

    fn cut(&mut self, n: usize) -> bool {
        if let Some(mut connection) = self.connections.remove(&n) {
            connection.reset_on_drop();
            drop(connection);
            self.ended(n, Ending::Cut);
            return true;
        }
        let Some(script) = self.scripts.get_mut(&n) else { return false };
        script.cut = true;
        script.uncut = None;
        let _ = SockRef::from(&script.tcp).set_linger(Some(Duration::ZERO));
        let _ = script.tcp.shutdown(Shutdown::Both);
        true
    }

    fn cut_all(&mut self) -> bool {
        let all: Vec<usize> = self.connections.keys().chain(self.scripts.keys()).copied().collect();
        for n in all {
            self.cut(n);
        }
        true
    }

    fn listen(&mut self) -> bool {
        if self.listener.is_some() {
            return true;
        }
        let Ok(mut listener) = self.port.listen() else { return false };
        self.poll.registry().register(&mut listener, LISTENER, Interest::READABLE).expect("a registration");
        self.listener = Some(listener);
        true
    }

    fn stop_listening(&mut self) {
        if let Some(listener) = self.listener.take() {
            self.port.refuse(listener).expect("the same port");
        }
    }

    fn script_ended(&mut self, n: usize) {
        let Some(script) = self.scripts.remove(&n) else { return };
        drop(script.tcp);
        let ending = match script.thread.join() {
            // A script whose socket was cut may well stumble over it.
            _ if script.cut => Ending::Cut,
            Ok(()) => Ending::Script,
            Err(_) => {
                self.scripts_are_sound = false;
                Ending::ScriptPanicked
            }
        };
        self.ended(n, ending);
    }
}

/// Tells of a script's end in every case, a panic included.
struct ScriptEnd {
    ask: Ask,
    n: usize,
}

impl Drop for ScriptEnd {
    fn drop(&mut self) {
        // Where the server is gone nobody has to know.
        let _ = self.ask.tell(Command::ScriptEnded { n: self.n });
    }
}
