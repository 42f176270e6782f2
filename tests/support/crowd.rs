//! A server for thousands of clients: one thread, in a process of its own, so that nothing of it is counted with them.
//!
//! A program that wants one calls [`serve_if_asked`] first of all, then [`Crowd::start`]: the server is the program
//! itself, started again. It answers upgrades, pings and Closes, echoes messages, and does what it is told in a line of
//! its standard input; it ends with that.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::{Domain, SockRef, Socket, Type};
use tungstenite::handshake::derive_accept_key;

/// Set in the server's environment.
const ASKED: &str = "HEARTWIRE_CROWD_SERVER";

const LISTENER: Token = Token(usize::MAX);
const ORDERS: Token = Token(usize::MAX - 1);

/// The server, as the process that started it sees it. Dropping it ends it.
pub struct Crowd {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    port: u16,
}

impl Crowd {
    /// Starts this program again as the server. `arguments` are those with which it comes to [`serve_if_asked`].
    pub fn start(arguments: &[&str]) -> io::Result<Crowd> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).env(ASKED, "1").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let orders = child.stdin.take();
        let Some(answers) = child.stdout.take() else { unreachable!("it is piped") };
        let mut crowd = Crowd { child, orders, answers: BufReader::new(answers), port: 0 };
        let port = crowd.answer("port ")?;
        crowd.port = port.parse().map_err(|_| io::Error::other(format!("'{port}' is no port")))?;
        Ok(crowd)
    }

    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/", self.port)
    }

    /// Resets all connections, and refuses new ones for so long.
    pub fn cut(&mut self, down: Duration) -> io::Result<()> {
        self.order(&format!("cut {}", down.as_millis())).map(drop)
    }

    /// Sends a text to every client.
    pub fn say(&mut self, text: &str) -> io::Result<()> {
        self.order(&format!("say {text}")).map(drop)
    }

    /// When connections were accepted since the last cut, after it.
    pub fn arrivals(&mut self) -> io::Result<Vec<Duration>> {
        let told = self.order("arrivals")?;
        Ok(told.split(' ').filter_map(|us| us.parse().ok()).map(Duration::from_micros).collect())
    }

    fn order(&mut self, order: &str) -> io::Result<String> {
        let Some(orders) = &mut self.orders else { unreachable!("it is taken by the drop only") };
        writeln!(orders, "{order}")?;
        self.answer("done")
    }

    /// What follows these words in the first line that begins with them: a test harness prints lines, too.
    fn answer(&mut self, words: &str) -> io::Result<String> {
        let mut line = String::new();
        while self.answers.read_line(&mut line)? > 0 {
            if let Some((_, rest)) = line.split_once(&format!("crowd {words}")) {
                return Ok(rest.trim().to_owned());
            }
            line.clear();
        }
        Err(io::Error::new(ErrorKind::UnexpectedEof, "the server ended"))
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.orders = None;
        let _ = self.child.wait();
    }
}

/// Raises the soft limit of descriptors to the hard one, and says how many there may be now, in this process and those
/// it starts.
#[cfg(unix)]
pub fn most_descriptors() -> u64 {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where the system refuses, the limit stays what it is, and that is what is answered.
    let _ = setrlimit(Resource::Nofile, limit);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// There is no such limit here.
#[cfg(not(unix))]
pub fn most_descriptors() -> u64 {
    u64::MAX
}

/// In the process that [`Crowd::start`] has started: serves until standard input ends, and ends the process.
pub fn serve_if_asked() {
    if std::env::var_os(ASKED).is_some() {
        let served = Server::start().and_then(Server::serve);
        if let Err(error) = &served {
            eprintln!("the server failed: {error}");
        }
        std::process::exit(i32::from(served.is_err()));
    }
}

struct Server {
    poll: Poll,
    address: SocketAddr,
    listener: Option<TcpListener>,
    /// No connection is accepted before.
    down_until: Option<Instant>,
    peers: Vec<Option<Peer>>,
    free: Vec<usize>,
    orders: Receiver<String>,
    /// Kept, since a waker that is gone has not woken anybody.
    _waker: Arc<Waker>,
    cut: Instant,
    arrivals: Vec<Duration>,
}

struct Peer {
    socket: TcpStream,
    open: bool,
    unread: Vec<u8>,
    unsent: Vec<u8>,
}

impl Server {
    fn start() -> io::Result<Server> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), ORDERS)?);
        let (leave, orders) = channel();
        let wake = waker.clone();
        std::thread::Builder::new().name("orders".into()).spawn(move || {
            for line in io::stdin().lines().map_while(Result::ok) {
                let left = leave.send(line);
                if left.is_err() || wake.wake().is_err() {
                    return;
                }
            }
            drop(leave);
            let _ = wake.wake();
        })?;
        let mut server = Server {
            poll,
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            listener: None,
            down_until: None,
            peers: Vec::new(),
            free: Vec::new(),
            orders,
            _waker: waker,
            cut: Instant::now(),
            arrivals: Vec::new(),
        };
        server.listen()?;
        tell(&format!("port {}", server.address.port()));
        Ok(server)
    }

    fn listen(&mut self) -> io::Result<()> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&self.address.into())?;
        // The system makes as much of it as it allows.
        socket.listen(65_535)?;
        let mut listener = TcpListener::from_std(socket.into());
        self.address = listener.local_addr()?;
        self.poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        self.listener = Some(listener);
        self.down_until = None;
        Ok(())
    }

    fn serve(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            let wait = self.down_until.map(|until| until.saturating_duration_since(Instant::now()));
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result?,
            }
            for event in &events {
                match event.token() {
                    ORDERS => {}
                    LISTENER => self.accept()?,
                    Token(at) => self.talk(at),
                }
            }
            if self.down_until.is_some_and(|until| until <= Instant::now()) {
                self.listen()?;
            }
            loop {
                match self.orders.try_recv() {
                    Ok(order) => self.obey(&order),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return Ok(()),
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        while let Some(listener) = &self.listener {
            let mut socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // It was reset while it waited.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            self.arrivals.push(self.cut.elapsed());
            let at = self.free.pop().unwrap_or(self.peers.len());
            let both = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut socket, Token(at), both)?;
            let peer = Peer { socket, open: false, unread: Vec::new(), unsent: Vec::new() };
            if at == self.peers.len() {
                self.peers.push(None);
            }
            self.peers[at] = Some(peer);
        }
        Ok(())
    }

    fn talk(&mut self, at: usize) {
        // The event may be of one that is gone.
        let Some(Some(peer)) = self.peers.get_mut(at) else { return };
        if !peer.talk() {
            self.peers[at] = None;
            self.free.push(at);
        }
    }

    fn obey(&mut self, order: &str) {
        let mut answer = String::new();
        if let Some(down) = order.strip_prefix("cut ") {
            self.cut = Instant::now();
            self.arrivals.clear();
            let down = Duration::from_millis(down.parse().unwrap_or(0));
            if !down.is_zero() {
                self.listener = None;
                self.down_until = Some(self.cut + down);
            }
            for peer in self.peers.drain(..).flatten() {
                let _ = SockRef::from(&peer.socket).set_linger(Some(Duration::ZERO));
            }
            self.free.clear();
        } else if let Some(text) = order.strip_prefix("say ") {
            for at in 0..self.peers.len() {
                if let Some(peer) = self.peers[at].as_mut().filter(|peer| peer.open) {
                    peer.push_frame(0x81, text.as_bytes());
                }
                self.talk(at);
            }
        } else if order == "arrivals" {
            for arrival in &self.arrivals {
                answer.push_str(&format!(" {}", arrival.as_micros()));
            }
        }
        tell(&format!("done{answer}"));
    }
}

impl Peer {
    /// Reads, answers and writes as far as it goes; `false` at the end.
    fn talk(&mut self) -> bool {
        let mut piece = [0; 16 * 1024];
        loop {
            match self.socket.read(&mut piece) {
                Ok(0) => return false,
                Ok(bytes) => {
                    self.unread.extend_from_slice(&piece[..bytes]);
                    if !self.answer() {
                        let _ = self.write();
                        return false;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        self.write()
    }

    fn write(&mut self) -> bool {
        let mut written = 0;
        while written < self.unsent.len() {
            match self.socket.write(&self.unsent[written..]) {
                Ok(bytes) => written += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        self.unsent.drain(..written);
        if self.unsent.is_empty() {
            self.unsent = Vec::new();
        }
        true
    }

    /// Answers what is whole in `unread`; `false` after a Close, or what is no WebSocket.
    fn answer(&mut self) -> bool {
        if !self.open {
            let Some(end) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") else { return true };
            let head = String::from_utf8_lossy(&self.unread[..end]).into_owned();
            let mut fields = head.split("\r\n").filter_map(|line| line.split_once(": "));
            let Some((_, key)) = fields.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
            else {
                return false;
            };
            let accept = derive_accept_key(key.as_bytes());
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            self.unsent.extend_from_slice(answer.as_bytes());
            self.unread.drain(..end + 4);
            self.open = true;
        }
        let mut unread = std::mem::take(&mut self.unread);
        let mut done = 0;
        let mut goes_on = true;
        while goes_on && let Some((first, body, end)) = frame(&unread[done..]) {
            let key = [0, 1, 2, 3].map(|i| unread[done + body - 4 + i]);
            let payload = &mut unread[done + body..done + end];
            payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
            match first & 0x0f {
                // A Close is answered with the same code.
                8 => {
                    self.push_frame(first, &unread[done + body..done + end]);
                    goes_on = false;
                }
                9 => self.push_frame(0x8a, &unread[done + body..done + end]),
                10 => {}
                _ => self.push_frame(first, &unread[done + body..done + end]),
            }
            done += end;
        }
        unread.drain(..done);
        if !unread.is_empty() {
            self.unread = unread;
        }
        goes_on
    }

    fn push_frame(&mut self, first: u8, payload: &[u8]) {
        self.unsent.push(first);
        match payload.len() {
            len @ 0..=125 => self.unsent.push(len as u8),
            len @ 126..=0xffff => {
                self.unsent.push(126);
                self.unsent.extend_from_slice(&(len as u16).to_be_bytes());
            }
            len => {
                self.unsent.push(127);
                self.unsent.extend_from_slice(&(len as u64).to_be_bytes());
            }
        }
        self.unsent.extend_from_slice(payload);
    }
}

/// The first byte of a masked frame, where its payload begins and ends; `None` until it is whole.
pub(super) fn frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (first, len) = (*bytes.first()?, *bytes.get(1)? & 0x7f);
    let (len, body) = match len {
        126 => (u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 8),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 14),
        len => (u64::from(len), 6),
    };
    let end = body + usize::try_from(len).ok()?;
    (bytes.len() >= end).then_some((first, body, end))
}

fn tell(words: &str) {
    let mut out = io::stdout().lock();
    // Whoever started it may be gone.
    let _ = writeln!(out, "crowd {words}").and_then(|()| out.flush());
}
