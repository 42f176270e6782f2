//! A relay that keeps what its kernel took of each client's bytes, to the last one, and cuts where it is told to.
//!
//! Before a cut the socket gets a filter that drops whatever comes: from there on this kernel takes no byte, and
//! acknowledges none, so that what is read then is all that the client can ever have been told of.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::{SockFilter, SockRef};

const CLIENT: Token = Token(0);
const SERVER: Token = Token(1);
const WAKER: Token = Token(2);
/// BPF: `ret #0`, which drops the packet.
const DROP_ALL: SockFilter = SockFilter::new(0x06, 0, 0, 0);

/// How the client's connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Reset,
    End,
    /// Nothing is taken, and nothing acknowledged, until a reset so much later.
    Stall(Duration),
    /// The same, but what the server answers still gets through until then: it proves no more than what passed.
    Hold(Duration),
}

/// Where the next cut is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// So many bytes pass each way from now on, on whatever connection.
    pub up: u64,
    pub down: u64,
    pub how: How,
    /// The server gets what this kernel took, and not only what was to pass.
    pub generous: bool,
}

pub(crate) struct Tap {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    plan: Mutex<Option<Plan>>,
    /// What was taken of each connection.
    taken: Mutex<Vec<Vec<u8>>>,
    wakers: Mutex<Vec<Arc<Waker>>>,
    connections: Mutex<Vec<JoinHandle<()>>>,
    over: AtomicBool,
}

impl Tap {
    pub(crate) fn start(target: SocketAddr) -> Tap {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared::default());
        let of_thread = shared.clone();
        let accept = move || {
            while let Ok((client, _)) = listener.accept() {
                if of_thread.over.load(Ordering::SeqCst) {
                    return;
                }
                let number = {
                    let mut taken = of_thread.taken.lock().unwrap();
                    taken.push(Vec::new());
                    taken.len() - 1
                };
                // A target that is down drops the client.
                let Ok(server) = std::net::TcpStream::connect(target) else { continue };
                let shared = of_thread.clone();
                let connection = thread::spawn(move || Connection::new(client, server, number, shared).run());
                of_thread.connections.lock().unwrap().push(connection);
            }
        };
        let thread = thread::Builder::new().name("test-tap".into()).spawn(accept).expect("a thread");
        Tap { address, shared, thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn arm(&self, plan: Option<Plan>) {
        *self.shared.plan.lock().unwrap() = plan;
        self.shared.wakers.lock().unwrap().iter().for_each(|waker| drop(waker.wake()));
    }

    /// What this kernel took of each connection, when all of them are over. No further one is taken.
    pub(crate) fn taken(mut self) -> Vec<Vec<u8>> {
        self.end();
        std::mem::take(&mut self.shared.taken.lock().unwrap())
    }

    fn end(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        let _ = std::net::TcpStream::connect(self.address);
        let _ = self.thread.take().map(JoinHandle::join);
        self.shared.wakers.lock().unwrap().iter().for_each(|waker| drop(waker.wake()));
        let connections = std::mem::take(&mut *self.shared.connections.lock().unwrap());
        let sound = connections.into_iter().all(|connection| connection.join().is_ok());
        assert!(sound || thread::panicking(), "a connection's thread panicked");
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.end();
        }
    }
}

struct Connection {
    client: TcpStream,
    server: TcpStream,
    number: usize,
    shared: Arc<Shared>,
    poll: Poll,
}

impl Connection {
    fn new(
        client: std::net::TcpStream,
        server: std::net::TcpStream,
        number: usize,
        shared: Arc<Shared>,
    ) -> Connection {
        let poll = Poll::new().expect("a poll");
        let [mut client, mut server] = [client, server].map(|socket| {
            socket.set_nonblocking(true).expect("a socket that does not block");
            socket.set_nodelay(true).expect("a socket that does not wait");
            TcpStream::from_std(socket)
        });
        poll.registry().register(&mut client, CLIENT, Interest::READABLE).expect("a registration");
        poll.registry().register(&mut server, SERVER, Interest::READABLE).expect("a registration");
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).expect("a waker"));
        shared.wakers.lock().unwrap().push(waker);
        Connection { client, server, number, shared, poll }
    }

    fn run(mut self) {
        let mut events = Events::with_capacity(8);
        while !self.shared.over.load(Ordering::SeqCst) {
            match self.pass() {
                Passed::All => {}
                Passed::Over => break,
                Passed::Cut(plan) => return self.cut(plan),
            }
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() != ErrorKind::Interrupted => panic!("{error}"),
                _ => {}
            }
        }
        // Whatever the client still had sent was taken; neither side gets more.
        self.filter();
        self.drain();
    }

    /// Passes on what there is, both ways, as far as the plan goes.
    fn pass(&mut self) -> Passed {
        let mut some = [0; 16 * 1024];
        loop {
            let mut none = true;
            for up in [true, false] {
                // Held while bytes pass: the plan is about all connections together.
                let mut plan = self.shared.plan.lock().unwrap();
                let from = if up { &mut self.client } else { &mut self.server };
                let read = match from.read(&mut some) {
                    Ok(0) => return Passed::Over,
                    Ok(read) => read,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                    Err(error) if error.kind() == ErrorKind::Interrupted => 0,
                    Err(_) => return Passed::Over,
                };
                none &= read == 0;
                if up {
                    self.shared.taken.lock().unwrap()[self.number].extend_from_slice(&some[..read]);
                }
                let mut passes = read;
                let mut cut = None;
                if let Some(armed) = plan.as_mut() {
                    let left = if up { &mut armed.up } else { &mut armed.down };
                    passes = read.min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= passes as u64;
                    if *left == 0 {
                        cut = plan.take();
                    }
                }
                drop(plan);
                let to = if up { &mut self.server } else { &mut self.client };
                let all = up && cut.is_some_and(|plan| plan.generous);
                if write(to, &some[..if all { read } else { passes }]).is_err() {
                    return Passed::Over;
                }
                if let Some(plan) = cut {
                    return Passed::Cut(plan);
                }
            }
            if none {
                return Passed::All;
            }
        }
    }

    fn cut(mut self, plan: Plan) {
        match plan.how {
            How::End => {
                let _ = self.client.shutdown(Shutdown::Write);
                // The client ends its side then.
                SockRef::from(&self.client).set_nonblocking(false).expect("a socket that blocks");
                let limit = Some(Duration::from_secs(5));
                SockRef::from(&self.client).set_read_timeout(limit).expect("a limit");
            }
            How::Reset | How::Stall(_) | How::Hold(_) => self.filter(),
        }
        let rest = self.drain();
        match plan.how {
            How::Stall(time) => thread::sleep(time),
            How::Hold(time) => self.answer(Instant::now() + time),
            How::Reset | How::End => {}
        }
        if plan.how != How::End {
            SockRef::from(&self.client).set_linger(Some(Duration::ZERO)).expect("a reset");
        }
        drop(self.client);
        if plan.generous {
            let _ = write(&mut self.server, &rest);
        }
        // The server reads all of it, and hangs up then.
        let _ = self.server.shutdown(Shutdown::Write);
        SockRef::from(&self.server).set_nonblocking(false).expect("a socket that blocks");
        SockRef::from(&self.server).set_read_timeout(Some(Duration::from_secs(5))).expect("a limit");
        let mut some = [0; 4096];
        while self.server.read(&mut some).is_ok_and(|read| read > 0) {}
    }

    /// Passes on what the server answers, and nothing else.
    fn answer(&mut self, until: Instant) {
        let (mut events, mut some) = (Events::with_capacity(8), [0; 16 * 1024]);
        loop {
            match self.server.read(&mut some) {
                Ok(read) if read > 0 => {
                    if write(&mut self.client, &some[..read]).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() || self.poll.poll(&mut events, Some(left)).is_err() {
                        return;
                    }
                }
                _ => return,
            }
        }
    }

    /// From here on this kernel takes nothing more from the client.
    fn filter(&self) {
        SockRef::from(&self.client).attach_filter(&[DROP_ALL]).expect("a filter");
    }

    /// What the kernel has taken and nobody has read.
    fn drain(&mut self) -> Vec<u8> {
        let (mut rest, mut some) = (Vec::new(), [0; 16 * 1024]);
        loop {
            match self.client.read(&mut some) {
                Ok(read) if read > 0 => rest.extend_from_slice(&some[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        self.shared.taken.lock().unwrap()[self.number].extend_from_slice(&rest);
        rest
    }
}

enum Passed {
    All,
    Over,
    Cut(Plan),
}

/// All of it, whatever the socket's buffer holds.
fn write(to: &mut TcpStream, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            // The other side reads without waiting for anybody.
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::yield_now(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
