//! What all subjects share: where a test runs, a client with short times, and waiting for its events.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use heartwire::{
    Builder, Client, ConnectFailed, End, Event, Heartbeat, Message, Opened, Outcome, Reconnect, SessionClosed,
};

use crate::mode::{Ground, Mode};
use crate::support::Behaviour;
use crate::support::{Relay, Server, Setup};

/// How long a test waits for what has to happen; much longer than it takes.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    Plain,
    #[cfg(feature = "native-tls")]
    Tls,
}

/// Where a test runs: the kind of its network, and what turns its clients.
pub(crate) struct Net {
    network: Network,
    ground: Ground,
}

/// Runs a test in one of the places, with a watchdog that ends a hanging one.
pub(crate) fn run(name: &str, network: Network, mode: Mode, test: fn(&Net)) {
    let _watch = crate::support::watchdog(100, &format!("{name}, {network:?}, {mode:?}"));
    let net = Net { network, ground: Ground::new(mode) };
    test(&net);
    net.ground.end();
}

impl Net {
    pub(crate) fn is_plain(&self) -> bool {
        self.network == Network::Plain
    }

    pub(crate) fn mode(&self) -> Mode {
        self.ground.mode()
    }

    pub(crate) fn server(&self, behaviour: Behaviour) -> Server {
        self.start(Setup::new(behaviour))
    }

    pub(crate) fn start(&self, setup: Setup) -> Server {
        match self.network {
            Network::Plain => setup.start(),
            #[cfg(feature = "native-tls")]
            Network::Tls => setup.tls(crate::support::certs::Certs::shared().server_config()).start(),
        }
    }

    /// A URL of this kind: `127.0.0.1` with TLS, too, for which the certificate is valid.
    pub(crate) fn url(&self, address: SocketAddr) -> String {
        match self.network {
            Network::Plain => format!("ws://{address}/"),
            #[cfg(feature = "native-tls")]
            Network::Tls => format!("wss://{address}/"),
        }
    }

    /// A client's settings with short delays, growing from 10 to 100 ms, and no heartbeat.
    pub(crate) fn builder(&self, url: &str) -> Builder {
        let builder = Client::builder(url).reconnect(quick()).heartbeat(Heartbeat::off());
        let builder = self.ground.of(builder);
        match self.network {
            Network::Plain => builder,
            #[cfg(feature = "native-tls")]
            Network::Tls => builder.tls(trusting()),
        }
    }

    pub(crate) fn to(&self, server: &Server) -> Builder {
        self.builder(&self.url(server.address()))
    }

    pub(crate) fn through(&self, relay: &Relay) -> Builder {
        self.builder(&self.url(relay.address()))
    }
}

/// Trusts the test's own authority only.
#[cfg(feature = "native-tls")]
pub(crate) fn trusting() -> heartwire::Tls {
    let ca = crate::support::certs::Certs::shared().ca_pem.as_str();
    heartwire::Tls::new().system_roots(false).ca_pem(ca)
}

/// Delays that grow from 10 to 100 ms.
pub(crate) fn quick() -> Reconnect {
    Reconnect::exponential().floor(ms(10)).base(ms(10)).max(ms(90))
}

/// Listens, and never accepts: the system completes the TCP connection, and nothing ever comes.
pub(crate) fn silent_port() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Takes events until `wanted` gives something; the others are gone. Fails after [`SOON`], or at the client's end.
///
/// Who has begun to take events has to go on: a failed attempt that nobody takes holds up the next one.
#[track_caller]
pub(crate) fn wait<T>(client: &Client, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
    let deadline = Instant::now() + SOON;
    let mut others = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match client.recv_timeout(left) {
            Ok(event) => match wanted(&event) {
                Some(found) => return found,
                None => others.push(event.to_string()),
            },
            Err(error) => panic!("{error} ({:?}); before it came {others:#?}", client.state()),
        }
    }
}

#[track_caller]
pub(crate) fn opened(client: &Client) -> Opened {
    wait(client, |event| if let Event::Open(opened) = event { Some(opened.clone()) } else { None })
}

#[track_caller]
pub(crate) fn closed(client: &Client) -> SessionClosed {
    wait(client, |event| if let Event::Close(closed) = event { Some(closed.clone()) } else { None })
}

#[track_caller]
pub(crate) fn failed(client: &Client) -> ConnectFailed {
    wait(client, |event| if let Event::ConnectFailed(failed) = event { Some(failed.clone()) } else { None })
}

#[track_caller]
pub(crate) fn received(client: &Client) -> Message {
    wait(client, |event| if let Event::Message(message) = event { Some(message.clone()) } else { None })
}

#[track_caller]
pub(crate) fn ended(client: &Client) -> End {
    wait(client, |event| if let Event::ClosedForGood(end) = event { Some(end.clone()) } else { None })
}

/// All events that are left, to the very last one.
#[track_caller]
pub(crate) fn rest(client: &Client) -> Vec<Event> {
    let mut rest = Vec::new();
    wait(client, |event| {
        rest.push(event.clone());
        matches!(event, Event::ClosedForGood(_)).then_some(())
    });
    rest
}

/// The outcomes among the events that are left.
#[track_caller]
pub(crate) fn outcomes(client: &Client) -> Vec<Outcome> {
    let outcome = |event| if let Event::Outcome(outcome) = event { Some(outcome) } else { None };
    rest(client).into_iter().filter_map(outcome).collect()
}

/// Closes and sees that the client ends by it.
#[track_caller]
pub(crate) fn close(client: &Client) {
    client.close(1000, "").unwrap();
    assert!(matches!(client.wait_closed(SOON).unwrap(), End::Closed));
}
