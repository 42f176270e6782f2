//! From a target to a ready stream: look the name up, race its addresses, shake hands with TLS.
//! Reads no clock, waits for nothing, and does not know how long the whole may take.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Registry, Token};
use url::Host;

use crate::error::{Cause, LinkError, Phase};
use crate::net::race::{self, Race};
use crate::net::resolve::{self, Lookup};
use crate::net::stream::Stream;
#[cfg(feature = "native-tls")]
use crate::net::tls::{Connector, Handshake, Progress};

/// Where to, and how.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) host: Host<String>,
    pub(crate) port: u16,
    /// The TLS settings, and the name that the certificate must be for.
    #[cfg(feature = "native-tls")]
    pub(crate) tls: Option<(Connector, String)>,
    /// The address to come from.
    pub(crate) local: Option<IpAddr>,
    /// How long sent bytes may stay unacknowledged until the system gives the connection up; only Linux and Android
    /// know it.
    #[cfg_attr(not(any(target_os = "linux", target_os = "android")), allow(dead_code))]
    pub(crate) user_timeout: Option<Duration>,
    pub(crate) resolve_timeout: Duration,
}

/// A connection in the making. Dropping it drops everything.
pub(crate) struct Dial {
    target: Arc<Target>,
    avoid: Option<SocketAddr>,
    wake: Arc<dyn Fn() + Send + Sync>,
    began: Instant,
    step: Step,
    phase: Phase,
    address: Option<SocketAddr>,
}

enum Step {
    Begin,
    Lookup {
        lookup: Lookup,
        deadline: Instant,
    },
    Race(Race),
    #[cfg(feature = "native-tls")]
    Handshake(Handshake),
    Over,
}

impl Dial {
    /// Prepares; nothing happens before [`advance`](Dial::advance).
    ///
    /// `avoid` is raced last: its TLS or upgrade failed before. `wake` may be called on any thread, to
    /// say that `advance` has something to do; once perhaps just after the drop.
    pub(crate) fn start(
        target: Arc<Target>,
        avoid: Option<SocketAddr>,
        wake: Arc<dyn Fn() + Send + Sync>,
        now: Instant,
    ) -> Dial {
        let phase = match target.host {
            Host::Domain(_) => Phase::Resolve,
            _ => Phase::Connect,
        };
        Dial { target, avoid, wake, began: now, step: Step::Begin, phase, address: None }
    }

    /// Goes as far as it can without waiting. To be called after `start`, when one of the tokens is
    /// ready, when woken, and at the deadline; calling it for nothing does no harm.
    ///
    /// Sockets are registered readable and writable with `token(n)`, n below 8. The stream's socket
    /// stays registered with the token it won by. After an error, or the stream, nothing more comes.
    pub(crate) fn advance(
        &mut self,
        registry: &Registry,
        token: &dyn Fn(u8) -> Token,
        now: Instant,
    ) -> Result<Option<Stream>, LinkError> {
        #[cfg(heartwire_model)]
        if matches!(std::mem::replace(&mut self.step, Step::Over), Step::Begin) {
            return crate::sync::modelled::dialled(registry, token(0), self.phase).map(Some);
        }
        loop {
            match std::mem::replace(&mut self.step, Step::Over) {
                Step::Begin => self.step = self.begin(),
                Step::Lookup { mut lookup, deadline } => match lookup.take() {
                    Some(Ok(addresses)) => self.step = self.race(&addresses)?,
                    Some(Err(error)) => return Err(LinkError::io(Phase::Resolve, error)),
                    None if now >= deadline => {
                        return Err(LinkError::new(Phase::Resolve, Cause::TimedOut));
                    }
                    None => {
                        self.step = Step::Lookup { lookup, deadline };
                        return Ok(None);
                    }
                },
                Step::Race(mut race) => {
                    let won = race
                        .advance(&self.target, registry, token, now)
                        .map_err(|error| LinkError::io(Phase::Connect, error))?;
                    let Some((socket, address)) = won else {
                        self.step = Step::Race(race);
                        return Ok(None);
                    };
                    self.address = Some(address);
                    #[cfg(feature = "native-tls")]
                    if let Some((connector, name)) = &self.target.tls {
                        self.phase = Phase::Tls;
                        let begun = connector.begin(name, socket);
                        return self.shaken(begun);
                    }
                    return Ok(Some(Stream::plain(socket)));
                }
                #[cfg(feature = "native-tls")]
                Step::Handshake(half) => return self.shaken(half.advance()),
                Step::Over => return Ok(None),
            }
        }
    }

    /// When `advance` has to be called although nothing happened.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.step {
            Step::Lookup { deadline, .. } => Some(*deadline),
            Step::Race(race) => race.deadline(),
            _ => None,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// The address that TCP connected to; it stays when TLS fails after that.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    fn begin(&mut self) -> Step {
        let port = self.target.port;
        match &self.target.host {
            Host::Domain(name) => {
                let wake = self.wake.clone();
                let lookup = resolve::resolve(name, port, Box::new(move || wake()));
                Step::Lookup { lookup, deadline: self.began + self.target.resolve_timeout }
            }
            Host::Ipv4(address) => Step::Race(Race::new(vec![(*address, port).into()])),
            Host::Ipv6(address) => Step::Race(Race::new(vec![(*address, port).into()])),
        }
    }

    fn race(&mut self, found: &[SocketAddr]) -> Result<Step, LinkError> {
        if found.is_empty() {
            let error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            return Err(LinkError::io(Phase::Resolve, error));
        }
        self.phase = Phase::Connect;
        let addresses = race::order(found, self.target.local, self.avoid);
        if addresses.is_empty() {
            let problem = "the name has no address of the local address's family";
            let error = io::Error::new(io::ErrorKind::AddrNotAvailable, problem);
            return Err(LinkError::io(Phase::Connect, error));
        }
        Ok(Step::Race(Race::new(addresses)))
    }

    #[cfg(feature = "native-tls")]
    fn shaken(&mut self, result: Result<Progress, Cause>) -> Result<Option<Stream>, LinkError> {
        match result {
            Ok(Progress::Ready(stream)) => Ok(Some(stream)),
            Ok(Progress::Blocked(half)) => {
                self.step = Step::Handshake(half);
                Ok(None)
            }
            Err(cause) => Err(LinkError::new(Phase::Tls, cause)),
        }
    }
}
