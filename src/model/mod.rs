//! The rooms where threads meet, run by loom in every order that counts: what is promised holds in each of them.
//!
//! `RUSTFLAGS="--cfg heartwire_model" cargo test --release --lib model::` runs them; `.ci/run model` does. The code is
//! the library's own, engine, members and sessions included; only locks, atomics, threads and the poll's sleep are
//! loom's (`src/sync`). Sockets are pairs of the system's, opened before the threads part, and time does not pass:
//! whoever waits for a wake-up that nobody sends waits for ever, and loom says so. loom and not shuttle, since there is
//! so little left to order that all of it can be tried, up to so many preemptions as each test says.

//
// What has been broken by hand to see the models fail: the looks at the outbox, at `wanted` and at `destroyed` when the
// wire is parked; `listed` left set; the wake-up after queueing, for waiters that turn, and for a last client's
// parting; `asleep` set after the look for work, or never cleared; both second looks in `wait`, and each of its
// notifications; `part` and the end of a turn not letting go; `leave` without its lock or its notification,
// `wait_until_left` not waiting; the queue's notifications. The fences around `served` may go unseen: a lock comes
// between all the same on the ways that are modelled.

mod destroying;
mod mailbox;
mod queue;
mod waiting;

use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tungstenite::handshake::derive_accept_key;

use crate::config::heartbeat::Heartbeat;
use crate::sync::modelled::will_dial;
use crate::{Client, EventLoop, State};

/// In the model no time is ever up.
const FOREVER: Duration = Duration::from_secs(1 << 20);
/// In words, for the stacks of the model's threads.
const STACK: usize = 1 << 16;

/// Runs `run` in every order of its threads' steps with at most so many preemptions; `None`: in every one at all.
fn explore(preemptions: Option<usize>, run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 100_000;
    builder.preemption_bound = builder.preemption_bound.or(preemptions);
    let (run, orders) = (Arc::new(run), Arc::new(AtomicUsize::new(0)));
    let (began, counted) = (Instant::now(), orders.clone());
    let bound = builder.preemption_bound;
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        let run = run.clone();
        spawn(move || run()).join().unwrap();
    });
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    let orders = orders.load(Ordering::Relaxed);
    eprintln!("{name}: {orders} orders, preemptions {bound:?}, {:.1} s", began.elapsed().as_secs_f64());
}

fn spawn(run: impl FnOnce() + Send + 'static) -> loom::thread::JoinHandle<()> {
    loom::thread::Builder::new().stack_size(STACK).spawn(run).unwrap()
}

/// The other end of a client's socket.
struct Peer(UnixStream);

/// A client of this loop, which has nothing to do.
fn built(event_loop: &EventLoop) -> Client {
    let builder = Client::builder("ws://127.0.0.1:1/").event_loop(event_loop);
    builder.heartbeat(Heartbeat::off()).name("model").build().unwrap()
}

/// Begins to open it, in a turn of this thread, which does not own the loop by it.
fn dial(event_loop: &EventLoop, client: &Client) -> Peer {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_nonblocking(true).unwrap();
    will_dial(mio::net::TcpStream::from_std(OwnedFd::from(ours).into()));
    client.connect().unwrap();
    turn_once(event_loop);
    Peer(theirs)
}

/// Opens it, in the same way.
fn open(event_loop: &EventLoop, client: &Client) -> Peer {
    let mut peer = dial(event_loop, client);
    peer.answer();
    while client.state() != State::Open {
        turn_once(event_loop);
    }
    // What the state has brought about is done, too.
    turn_once(event_loop);
    peer
}

fn turn_once(event_loop: &EventLoop) {
    let _: Option<()> = event_loop.shared().wait(Some(Instant::now()), || None);
}

impl Peer {
    fn answer(&mut self) {
        let request = String::from_utf8(self.read().0).unwrap();
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let accept = derive_accept_key(key.as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        self.0.write_all(answer.as_bytes()).unwrap();
    }

    fn send_text(&mut self, text: &str) {
        self.0.write_all(&[0x81, text.len() as u8]).unwrap();
        self.0.write_all(text.as_bytes()).unwrap();
    }

    /// All that has come, and whether that was the end.
    fn read(&mut self) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        match self.0.read_to_end(&mut bytes) {
            // The client closed it with bytes unread; what it wrote before is still to be had.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                let (rest, ended) = self.read();
                (bytes.into_iter().chain(rest).collect(), ended)
            }
            Ok(_) => (bytes, true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => (bytes, false),
            Err(error) => panic!("{error}"),
        }
    }

    /// The texts that came. Asserts that the client has let go of its socket, and said goodbye at most once, last.
    fn texts_to_the_end(mut self) -> Vec<String> {
        let (bytes, ended) = self.read();
        assert!(ended, "the client's socket is still open");
        let (mut texts, mut closed, mut rest) = (Vec::new(), false, &bytes[..]);
        while let [head, length, key @ ..] = rest {
            assert!(!closed, "a frame behind the Close");
            let length = usize::from(length & 0x7f);
            let payload = key[4..4 + length].iter().zip(key[..4].iter().cycle());
            let payload: Vec<u8> = payload.map(|(byte, mask)| byte ^ mask).collect();
            match head & 0x0f {
                1 => texts.push(String::from_utf8(payload).unwrap()),
                8 => closed = true,
                9 => {}
                other => panic!("opcode {other}"),
            }
            rest = &key[4 + length..];
        }
        texts
    }
}
