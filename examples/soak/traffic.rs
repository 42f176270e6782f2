//! One client that is kept busy: numbered messages go out, and what comes back and what became of them is counted.

use std::collections::HashMap;
#[cfg(feature = "native-tls")]
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use heartwire::{Builder, Client, Fate, SendError, State};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

#[cfg(feature = "native-tls")]
use crate::support::certs::Certs;

/// So many messages may be on their way; those that a broken link lost are given up after a while.
const WINDOW: u64 = 64;
const PATIENCE: Duration = Duration::from_millis(200);
const LAST_WORDS: Duration = Duration::from_secs(20);

pub(crate) struct Traffic {
    name: &'static str,
    client: Client,
    seen: Arc<Seen>,
    sender: Option<JoinHandle<u64>>,
}

#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    /// The sender makes a pause, until told otherwise.
    rest: AtomicBool,
    resting: AtomicBool,
    received: AtomicU64,
    out_of_order: AtomicU64,
    changed: Condvar,
    what: Mutex<What>,
}

#[derive(Default)]
struct What {
    sessions: u64,
    closes: u64,
    /// The last number that came back in this session.
    last: Option<u64>,
    outcomes: HashMap<Fate, u64>,
    /// Up to this id each has its outcome: one thread sends, and so they come in order.
    reported: u64,
    /// Outcomes of other ids than the next one: of a message that has one already, or behind one that has none.
    out_of_turn: u64,
}

impl Seen {
    fn what(&self) -> MutexGuard<'_, What> {
        self.what.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut What)) {
        change(&mut self.what());
        self.changed.notify_all();
    }
}

impl Traffic {
    pub(crate) fn start(name: &'static str, builder: Builder) -> Result<Traffic, heartwire::Error> {
        let client = builder.build()?;
        let seen = Arc::new(Seen::default());
        let at = seen.clone();
        client.on_open(move |_, _| at.change(|what| (what.sessions, what.last) = (what.sessions + 1, None)));
        let at = seen.clone();
        client.on_close(move |_, _| at.change(|what| what.closes += 1));
        let at = seen.clone();
        client.on_state(move |_, _| at.change(|_| {}));
        let at = seen.clone();
        client.on_outcome(move |_, outcome| {
            at.change(|what| {
                *what.outcomes.entry(outcome.fate()).or_default() += outcome.count();
                what.out_of_turn += u64::from(outcome.first().get() != what.reported + 1);
                what.reported = outcome.last().get();
            });
        });
        let at = seen.clone();
        client.on_message(move |_, message| {
            at.received.fetch_add(1, Ordering::Relaxed);
            let number = message.as_bytes().first_chunk().map(|number| u64::from_be_bytes(*number));
            at.change(|what| {
                // Sent in order, echoed in order; a new session goes on with what the last one did not write.
                if what.last.is_some_and(|last| number.is_none_or(|number| number <= last)) {
                    at.out_of_order.fetch_add(1, Ordering::Relaxed);
                }
                what.last = number;
            });
        });
        client.connect()?;
        let (sending, at) = (client.clone(), seen.clone());
        let sender = std::thread::spawn(move || send(&sending, &at));
        Ok(Traffic { name, client, seen, sender: Some(sender) })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn state(&self) -> State {
        self.client.state()
    }

    pub(crate) fn sessions(&self) -> u64 {
        self.seen.what().sessions
    }

    pub(crate) fn received(&self) -> u64 {
        self.seen.received.load(Ordering::Relaxed)
    }

    pub(crate) fn outcomes(&self) -> u64 {
        self.seen.what().reported
    }

    /// Waits until this is so of whether the link is open and how many sessions there were.
    pub(crate) fn wait_until(&self, timeout: Duration, so: impl Fn(bool, u64) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        let mut what = self.seen.what();
        loop {
            let sessions = what.sessions;
            drop(what);
            if so(self.client.state() == State::Open, sessions) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            what = self.seen.what();
            // Changes between the question and this wait are seen at the latest after that time.
            let waited = self.seen.changed.wait_timeout(what, left.min(PATIENCE));
            what = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Stops sending, and waits until all is written and the buffers are given back; then goes on after `look`.
    pub(crate) fn rest(&self) {
        self.seen.rest.store(true, Ordering::SeqCst);
        let resting = |_: bool, _: u64| self.seen.resting.load(Ordering::SeqCst);
        self.wait_until(LAST_WORDS, resting);
        let _ = self.client.flush(LAST_WORDS);
    }

    pub(crate) fn go_on(&self) {
        self.seen.rest.store(false, Ordering::SeqCst);
        self.seen.changed.notify_all();
    }

    /// Closes, prints the balance, and tells what is wrong with it.
    pub(crate) fn finish(mut self) -> Vec<String> {
        self.seen.stop.store(true, Ordering::SeqCst);
        self.go_on();
        let accepted = self.sender.take().map_or(0, |sender| sender.join().unwrap_or(0));
        let closed = self.client.close(1000, "").is_ok() && self.client.wait_closed(LAST_WORDS).is_ok();
        let mut failed = Vec::new();
        if !closed {
            failed.push(format!("{}: it did not close", self.name));
        }
        let what = self.seen.what();
        let fates: Vec<String> =
            what.outcomes.iter().map(|(fate, count)| format!("{count} {fate:?}")).collect();
        println!(
            "{:9} {} sessions, {accepted} messages accepted, outcomes: {}; {} came back",
            self.name,
            what.sessions,
            fates.join(", "),
            self.received()
        );
        if what.sessions != what.closes {
            failed.push(format!("{}: {} opens, {} closes", self.name, what.sessions, what.closes));
        }
        if what.reported != accepted {
            failed.push(format!("{}: {accepted} messages, outcomes up to {}", self.name, what.reported));
        }
        if what.out_of_turn > 0 {
            failed.push(format!("{}: {} times an outcome twice, or none", self.name, what.out_of_turn));
        }
        if self.received() > accepted {
            failed.push(format!("{}: more came back than went out", self.name));
        }
        let out_of_order = self.seen.out_of_order.load(Ordering::Relaxed);
        if out_of_order > 0 {
            failed.push(format!("{}: {out_of_order} messages out of order", self.name));
        }
        failed
    }
}

fn send(client: &Client, seen: &Seen) -> u64 {
    let mut random = SmallRng::seed_from_u64(7);
    let (mut sent, mut base) = (0, 0);
    while !seen.stop.load(Ordering::SeqCst) {
        if seen.rest.load(Ordering::SeqCst) {
            seen.resting.store(true, Ordering::SeqCst);
            seen.changed.notify_all();
            let what = seen.what();
            drop(seen.changed.wait_timeout(what, PATIENCE));
            continue;
        }
        seen.resting.store(false, Ordering::SeqCst);
        let received = seen.received.load(Ordering::Relaxed);
        if sent - base > WINDOW + received.saturating_sub(base) {
            let waited = seen.changed.wait_timeout(seen.what(), PATIENCE);
            if waited.unwrap_or_else(PoisonError::into_inner).1.timed_out() {
                // Lost with a link, or waiting for one.
                base = sent - WINDOW / 2;
            }
            continue;
        }
        let size = if random.random_range(0..100) == 0 { 200_000 } else { random.random_range(8..4000) };
        let mut message = vec![b'.'; size];
        message[..8].copy_from_slice(&u64::to_be_bytes(sent + 1));
        match client.send_binary(&message) {
            Ok(_) => sent += 1,
            Err(SendError::Full) => {
                let _ = client.flush(PATIENCE);
            }
            Err(_) => break,
        }
    }
    sent
}

/// An echo server with TLS, in threads that end with their connections.
#[cfg(feature = "native-tls")]
pub(crate) fn tls_echo(listener: TcpListener) -> std::io::Result<SocketAddr> {
    let address = listener.local_addr()?;
    let mut config = rustls::ServerConfig::clone(&Certs::shared().server_config());
    // Its memory of past sessions would look like growth.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    let config = Arc::new(config);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = config.clone();
            std::thread::spawn(move || {
                let Ok(connection) = rustls::ServerConnection::new(config) else { return };
                let Ok(mut socket) = tungstenite::accept(rustls::StreamOwned::new(connection, stream)) else {
                    return;
                };
                while let Ok(message) = socket.read() {
                    if message.is_binary() && socket.send(message).is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok(address)
}
