//! The builder: every setting with its default, checked all together by [`Builder::build`].

mod checked;
mod network;
mod request;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::before_connect::Hook;
use crate::client::Client;
#[cfg(feature = "deflate")]
use crate::config::deflate::Deflate;
use crate::config::delivery::{Delivery, Replay, Stamp, Terms};
use crate::config::greeting::Greeting;
use crate::config::heartbeat::Heartbeat;
use crate::config::outbox::OutboxLimits;
use crate::config::proxy::Proxy;
use crate::config::reconnect::Reconnect;
use crate::config::tcp::Tcp;
#[cfg(feature = "native-tls")]
use crate::config::tls::Tls;
use crate::config::{Dispatch, STACK_SIZE};
use crate::error::{ConfigError, Error};
use crate::event::Level;
use crate::event_loop::EventLoop;
use crate::event_loop::shared::SharedLoop;
#[cfg(unix)]
use crate::net::dialer::Dialer;

#[cfg(feature = "capi")]
pub(crate) use checked::LEAST_FRAGMENT;
pub(crate) use checked::{check_header, check_subprotocols};

/// Collects a client's settings; made by [`Client::builder`].
///
/// Nothing is checked before [`build`](Builder::build), which names the first setting that cannot be.
#[must_use = "a builder does nothing until build or connect"]
pub struct Builder {
    urls: Vec<String>,
    url_penalty: Duration,
    redirects: u32,
    cookies: bool,
    before_connect: Option<Hook>,
    name: Option<String>,
    headers: Vec<(String, String)>,
    subprotocols: Vec<String>,
    heartbeat: Heartbeat,
    reconnect: Reconnect,
    outbox: OutboxLimits,
    terms: Terms,
    drain_to: Level,
    stamp: Option<Stamp>,
    greetings: Vec<Greeting>,
    #[cfg(feature = "native-tls")]
    tls: Tls,
    #[cfg(feature = "deflate")]
    deflate: Option<Deflate>,
    proxy: Option<Proxy>,
    local_address: Option<IpAddr>,
    tcp: Tcp,
    unix: Option<Arc<Path>>,
    #[cfg(unix)]
    dialer: Option<Dialer>,
    connect_timeout: Duration,
    resolve_timeout: Duration,
    close_timeout: Duration,
    max_message: Option<usize>,
    fragment: Option<usize>,
    fragments_above: usize,
    dispatch: Dispatch,
    inbound_events: usize,
    inbound_bytes: usize,
    report_outcomes: bool,
    stack_size: usize,
    event_loop: Option<Arc<SharedLoop>>,
}

/// Shows the name only: URL and headers carry secrets.
impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Builder {
    pub(crate) fn new(url: &str) -> Builder {
        Builder {
            urls: vec![url.to_string()],
            url_penalty: Duration::from_secs(60),
            redirects: 5,
            cookies: false,
            before_connect: None,
            name: None,
            headers: Vec::new(),
            subprotocols: Vec::new(),
            heartbeat: Heartbeat::default(),
            reconnect: Reconnect::default(),
            outbox: OutboxLimits::default(),
            terms: Terms::default(),
            drain_to: Level::Written,
            stamp: None,
            greetings: Vec::new(),
            #[cfg(feature = "native-tls")]
            tls: Tls::default(),
            #[cfg(feature = "deflate")]
            deflate: None,
            proxy: None,
            local_address: None,
            tcp: Tcp::default(),
            unix: None,
            #[cfg(unix)]
            dialer: None,
            connect_timeout: Duration::from_secs(15),
            resolve_timeout: Duration::from_secs(5),
            close_timeout: Duration::from_secs(5),
            max_message: None,
            fragment: None,
            fragments_above: usize::MAX,
            dispatch: Dispatch::Loop,
            inbound_events: 256,
            inbound_bytes: 1 << 20,
            report_outcomes: false,
            stack_size: STACK_SIZE,
            event_loop: None,
        }
    }

    /// The name in this client's log lines and thread names. Default: the URL's host, and its port unless it is
    /// the scheme's own.
    pub fn name(mut self, name: impl Into<String>) -> Builder {
        self.name = Some(name.into());
        self
    }

    /// The heartbeat. Default: a ping after 20 s of silence, dead after two misses of 10 s.
    pub fn heartbeat(mut self, heartbeat: Heartbeat) -> Builder {
        self.heartbeat = heartbeat;
        self
    }

    /// When to dial again. Default: growing delays with a random part, for ever.
    pub fn reconnect(mut self, reconnect: Reconnect) -> Builder {
        self.reconnect = reconnect;
        self
    }

    /// What may wait to be sent. Default: 4096 messages and 8 MiB, reject when full.
    pub fn outbox(mut self, limits: OutboxLimits) -> Builder {
        self.outbox = limits;
        self
    }

    /// The level that completes a message, unless [`SendOptions`](crate::SendOptions) say otherwise. Default:
    /// [`Level::Written`].
    ///
    /// For [`Level::Acked`] the kernel is asked while something is not acknowledged: after each turn of the loop that
    /// did something for this client, and else after a round trip (10 ms if none is known), doubling to 250 ms. For
    /// [`Level::Processed`] a ping goes after what was written, one for all of it, and the next when its pong is back.
    /// Other levels cost nothing.
    pub fn complete_at(mut self, level: Level) -> Builder {
        self.terms.asked = level;
        self
    }

    /// Whether messages go again when a session dies under them, unless [`SendOptions`](crate::SendOptions) say
    /// otherwise. Default: [`Delivery::AtMostOnce`].
    pub fn delivery(mut self, delivery: Delivery) -> Builder {
        self.terms.delivery = delivery;
        self
    }

    /// What a close waits for, within its deadline, before it says Close: that all messages have reached this level.
    /// Default: [`Level::Written`]. A message for which a higher level was asked has to reach that one in any case.
    pub fn drain_to(mut self, level: Level) -> Builder {
        self.drain_to = level;
        self
    }

    /// Lets this closure see, and change, each message that is about to go again under [`Delivery::AtLeastOnce`], to
    /// mark it as a possible duplicate. Default: it goes as it was. The last call counts.
    ///
    /// It runs on the event loop's thread, before the session is open, and must not block. A longer payload counts
    /// against the outbox's limits, and is taken even if it is above them. If it panics the client ends.
    pub fn on_replay(mut self, stamp: impl Fn(&mut Replay) + Send + Sync + 'static) -> Builder {
        self.stamp = Some(Stamp::new(stamp));
        self
    }

    /// Adds a message that is sent first on every open, before anything that waits; may be called repeatedly.
    ///
    /// A plain text, bytes, a [`Message`](crate::Message), or a closure that gets the number of the
    /// attempt and returns a `Message`. The closure runs on the event loop's thread and must not block.
    pub fn greeting(mut self, greeting: impl Into<Greeting>) -> Builder {
        self.greetings.push(greeting.into());
        self
    }

    /// The deadline of a close, draining the outbox and the closing handshake together. Default: 5 s.
    pub fn close_timeout(mut self, timeout: Duration) -> Builder {
        self.close_timeout = timeout;
        self
    }

    /// The longest message that is received, in bytes, whole or in parts. Default: 16 MiB, which bounds memory; none
    /// with [`fragments_above`](Builder::fragments_above), which bounds it already. A longer one is answered with close
    /// code 1009.
    pub fn max_message_size(mut self, bytes: usize) -> Builder {
        self.max_message = Some(bytes);
        self
    }

    /// Delivers messages of more than so many bytes in parts as they arrive, to [`Client::on_fragment`] or as
    /// [`Event::Fragment`](crate::Event::Fragment); all others come whole, as ever. 0 leaves only empty ones whole.
    /// Default: `usize::MAX`, every message comes whole.
    ///
    /// A message of any length then costs about as much memory as the larger one of this and 64 KiB, which is also
    /// about the longest part, and as much again where it is compressed; besides, parts wait in the
    /// [`inbound_queue`](Builder::inbound_queue) where events do. [`Stats`](crate::Stats) counts a message with its
    /// last part. A heartbeat's reply is looked for in whole messages only: one that is longer than this is refused by
    /// [`build`](Builder::build), and so is a [`max_message_size`](Builder::max_message_size) that is not larger.
    pub fn fragments_above(mut self, bytes: usize) -> Builder {
        self.fragments_above = bytes;
        self
    }

    /// Sends what is longer than this many bytes in several frames of at most this size (RFC 6455 section 5.4).
    /// Default: no limit, one frame for each message. At least 128.
    ///
    /// A ping, the answer to one, and a Close then wait for one frame at most, or for 64 KiB of short ones, and for
    /// what the system's buffer holds, and not for the rest of a large message. A Close of the server's is answered in
    /// the middle of it, and the message goes out again, whole, on the next session. 64 KiB costs next to nothing; each
    /// frame of less costs the server more. Some servers pass fragments on one by one, or refuse them.
    ///
    /// Compressed messages are compressed whole and fragmented after that. What is sent in pieces by
    /// [`Client::stream_text`] and [`Client::stream_binary`] goes in frames of at most 64 KiB in any case.
    pub fn fragment_size(mut self, bytes: usize) -> Builder {
        self.fragment = Some(bytes);
        self
    }

    /// Where handlers run. Default: [`Dispatch::Loop`], the fastest.
    pub fn dispatch(mut self, dispatch: Dispatch) -> Builder {
        self.dispatch = dispatch;
        self
    }

    /// How many events, and bytes of messages in them, wait for a program that pulls them, for a channel
    /// ([`Client::events`], which holds 16 more), or for [`Dispatch::Thread`]. Default: 256 and 1 MiB. When either is
    /// reached, reading pauses and TCP slows the server.
    pub fn inbound_queue(mut self, events: usize, bytes: usize) -> Builder {
        self.inbound_events = events;
        self.inbound_bytes = bytes;
        self
    }

    /// Whether programs that pull their events get [`Event::Outcome`](crate::Event::Outcome). Default: no.
    ///
    /// A handler registered with [`Client::on_outcome`] asks by itself.
    pub fn report_outcomes(mut self, yes: bool) -> Builder {
        self.report_outcomes = yes;
        self
    }

    /// Lets the client share this loop with others, instead of a thread of its own, which is the default.
    pub fn event_loop(self, event_loop: &EventLoop) -> Builder {
        self.shared_loop(event_loop.shared().clone())
    }

    pub(crate) fn shared_loop(mut self, shared: Arc<SharedLoop>) -> Builder {
        self.event_loop = Some(shared);
        self
    }

    /// The stack of the client's event loop thread, in bytes, for handlers that need more. Default: 1 MiB. It means
    /// nothing on a loop that is shared.
    pub fn stack_size(mut self, bytes: usize) -> Builder {
        self.stack_size = bytes;
        self
    }

    /// Checks everything and builds the client; no thread, no socket yet. It does not wait for the network, but
    /// the first use of a TLS setting in a process reads the system's roots (about 40 ms).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the setting that cannot be.
    pub fn build(mut self) -> Result<Client, ConfigError> {
        let event_loop = self.event_loop.take();
        let config = self.config()?;
        // Last, since the client is counted from here on.
        if event_loop.as_ref().is_some_and(|event_loop| !event_loop.join()) {
            return Err(ConfigError::new("event_loop", "it was dropped, or has failed"));
        }
        Ok(Client::new(config, event_loop))
    }

    /// [`build`](Builder::build) and [`Client::connect`] in one; returns at once.
    ///
    /// For the pull style. With handlers or a channel call [`build`](Builder::build), register them, then
    /// [`Client::connect`], so that no event is missed.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] names the setting that cannot be; [`Error::Connect`] when there is no thread to be had.
    pub fn connect(self) -> Result<Client, Error> {
        let client = self.build()?;
        client.connect()?;
        Ok(client)
    }
}
