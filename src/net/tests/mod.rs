//! Dials real sockets on loopback addresses; a step that takes longer than ten seconds fails its test.

#[cfg(feature = "native-tls")]
pub(crate) mod authority;
mod dialing;
#[cfg_attr(not(feature = "native-tls"), allow(dead_code))]
pub(crate) mod keys;
mod options;
mod streaming;
#[cfg(feature = "native-tls")]
mod tls;
#[cfg(feature = "native-tls")]
mod tls_writing;
#[cfg(unix)]
mod unix;

use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};
use url::Host;

use crate::config::tcp::Tcp;
use crate::error::{Cause, LinkError};
use crate::net::dial::{Dial, Target};
use crate::net::stream::Stream;

const PATIENCE: Duration = Duration::from_secs(10);
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The one of the integration tests: servers and peers here wait without a limit.
#[path = "../../../tests/support/watch.rs"]
#[allow(dead_code, unreachable_pub, reason = "the rest of it is theirs")]
mod watch;

/// A loop for one dial and its stream, and the test's deadline.
struct Loop {
    poll: Poll,
    waker: Arc<Waker>,
    deadline: Instant,
    _watch: watch::Watchdog,
}

impl Loop {
    fn new() -> Loop {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(99)).unwrap());
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        let watch = watch::watchdog(60, &name);
        Loop { poll, waker, deadline: Instant::now() + PATIENCE, _watch: watch }
    }

    fn start(&self, target: Target, avoid: Option<SocketAddr>) -> Dial {
        let waker = self.waker.clone();
        let wake = Arc::new(move || waker.wake().unwrap());
        Dial::start(Arc::new(target), avoid, wake, Instant::now())
    }

    fn wait(&mut self, until: Option<Instant>) {
        let now = Instant::now();
        assert!(now < self.deadline, "nothing happened in {PATIENCE:?}");
        let until = until.unwrap_or(self.deadline).min(self.deadline);
        let timeout = until.saturating_duration_since(now);
        match self.poll.poll(&mut Events::with_capacity(16), Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => panic!("{error}"),
            _ => {}
        }
    }

    fn advance(&self, dial: &mut Dial, now: Instant) -> Option<Stream> {
        dial.advance(self.poll.registry(), &|racer| Token(racer.into()), now).unwrap()
    }

    fn finish(&mut self, dial: &mut Dial) -> Result<Stream, LinkError> {
        loop {
            let token = |racer: u8| Token(racer.into());
            if let Some(stream) = dial.advance(self.poll.registry(), &token, Instant::now())? {
                return Ok(stream);
            }
            self.wait(dial.deadline());
        }
    }

    /// The same by a clock that stands still: no deadline passes.
    fn finish_at(&mut self, dial: &mut Dial, now: Instant) -> Result<Stream, LinkError> {
        loop {
            let token = |racer: u8| Token(racer.into());
            if let Some(stream) = dial.advance(self.poll.registry(), &token, now)? {
                return Ok(stream);
            }
            self.wait(None);
        }
    }

    fn dial(&mut self, target: Target) -> Result<Stream, LinkError> {
        let mut dial = self.start(target, None);
        self.finish(&mut dial)
    }

    /// Repeats an operation on a stream until it does not block.
    fn until_done<T>(&mut self, mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        loop {
            match operation() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(None),
                result => return result,
            }
        }
    }

    fn read_to_end(&mut self, stream: &mut Stream) -> (Vec<u8>, io::Result<()>) {
        let mut all = Vec::new();
        let mut some = [0; 1000];
        loop {
            match self.until_done(|| stream.read(&mut some)) {
                Ok(0) => return (all, Ok(())),
                Ok(read) => all.extend_from_slice(&some[..read]),
                Err(error) => return (all, Err(error)),
            }
        }
    }
}

fn target(host: Host<String>, port: u16) -> Target {
    Target {
        host,
        port,
        #[cfg(feature = "native-tls")]
        tls: None,
        proxy: None,
        local: None,
        tcp: Tcp::default(),
        unix: None,
        #[cfg(unix)]
        dialer: None,
        user_timeout: Some(Duration::from_secs(30)),
        resolve_timeout: Duration::from_secs(5),
    }
}

fn to(address: SocketAddr) -> Target {
    let host = match address.ip() {
        IpAddr::V4(ip) => Host::Ipv4(ip),
        IpAddr::V6(ip) => Host::Ipv6(ip),
    };
    target(host, address.port())
}

fn named(name: &str) -> Target {
    target(Host::Domain(name.into()), 1)
}

#[cfg(unix)]
fn io_error(error: &LinkError) -> &io::Error {
    match error.cause() {
        Cause::Io(error) => error,
        other => panic!("{other:?}"),
    }
}
