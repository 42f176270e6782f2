//! The builder: every setting with its default, checked all together by [`Builder::build`].

mod checked;
#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::fmt;
#[cfg(unix)]
use std::io::{self, Read, Write};
use std::net::IpAddr;
#[cfg(unix)]
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::before_connect::{Attempt, Hook};
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

    /// Adds a further URL of the same service; may be called repeatedly, for up to 64 in all.
    ///
    /// They are of equal rank and take turns: one that works is kept, and after a failed attempt, or a session
    /// that was not [stable](Reconnect::stable_after), the next one is tried. Delays and limits of
    /// [`reconnect`](Builder::reconnect) count over all of them, but a failure that is not worth another attempt, a TLS
    /// failure and a server's `Retry-After` concern the one URL only as long as there is another to try.
    /// [`Opened::url`](crate::Opened::url) tells which one it is.
    pub fn add_url(mut self, url: impl Into<String>) -> Builder {
        self.urls.push(url.into());
        self
    }

    /// How long a URL that failed comes after those that have not. Default: 60 s.
    ///
    /// That is twice the longest usual delay between attempts, so that a dead server is passed over while others are
    /// tried, and one that restarts has its turn within the minute. If all have failed lately, they take turns.
    pub fn url_penalty(mut self, time: Duration) -> Builder {
        self.url_penalty = time;
        self
    }

    /// How many redirects (301, 302, 303, 307, 308) an attempt follows, up to 20; 0 follows none. Default: 5.
    ///
    /// `http:` and `https:` stand for `ws:` and `wss:`. None is followed from `wss:` to `ws:`, nor in a circle. Where
    /// the origin changes (scheme, host or port, RFC 6454), `Authorization`, `Cookie` and the URL's user name and
    /// password are left out; all other headers, the subprotocols and the greetings go along. The next attempt begins
    /// with the configured URL again.
    pub fn redirects(mut self, most: u32) -> Builder {
        self.redirects = most;
        self
    }

    /// Whether the cookies that servers set with their answer to the upgrade, be it a 101, a refusal or a redirect, are
    /// kept and sent back with the next one. Default: no.
    ///
    /// As browsers do (RFC 6265): to the host that set them, or below its `Domain`, within their `Path`, with `Secure`
    /// over `wss:` only, and until they expire. They live as long as the client, in memory alone, and go through
    /// reconnects, redirects and all its URLs; 180 of up to 4 KiB are kept. Their values are never logged.
    ///
    /// A `Cookie` header that the program sets, here or in [`before_connect`](Builder::before_connect), goes out, too,
    /// in one header with those that are kept: its pairs come first, and count where a kept one has the same name.
    pub fn cookies(mut self, keep: bool) -> Builder {
        self.cookies = keep;
        self
    }

    /// Asks this ahead of every attempt, which it may change: a fresh token in a header or in the URL, other
    /// subprotocols and greetings; it may put the attempt off, or stop the client for good. An error fails the
    /// attempt, and the next one comes after the usual delay.
    ///
    /// It runs on a thread of a small pool, so it may take its time, to fetch a token for example, within the
    /// [`connect_timeout`](Builder::connect_timeout): an attempt whose time is up fails, and the next one waits for
    /// the call that still runs. It is never called twice at once for one client. A close does not wait for it; the
    /// drop of the last handle does, outside of handlers. Eight run at once in a process.
    ///
    /// With it the HTTP statuses 401, 403 and 407, what a SOCKS proxy says instead of the last two, and the close code
    /// 1008, are not fatal at once: it gets one chance to do something about them. They are when they come again, a
    /// status before a session has opened, the close code before one was [stable](Reconnect::stable_after).
    ///
    /// A panic in it closes the client. The last one given counts.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn fetch_token() -> Result<String, std::io::Error> { Ok("abc".into()) }
    /// let builder = heartwire::Client::builder("wss://example.com/feed").before_connect(|attempt| {
    ///     let token = fetch_token()?;
    ///     attempt.set_header("Authorization", &format!("Bearer {token}"))?;
    ///     Ok(())
    /// });
    /// # let _ = builder;
    /// ```
    pub fn before_connect(
        mut self,
        call: impl FnMut(&mut Attempt) -> Result<(), Box<dyn StdError + Send + Sync>> + Send + 'static,
    ) -> Builder {
        self.before_connect = Some(Hook::new(call));
        self
    }

    /// Adds a header to the upgrade request, `Origin` or `Authorization` for example; may be called repeatedly.
    ///
    /// The headers of the handshake itself (Host, Upgrade, Connection, Sec-WebSocket-…) are set by the
    /// library and refused here.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Builder {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The `Origin` header (RFC 6455 section 4.1), which some servers demand. Default: none.
    pub fn origin(self, origin: impl Into<String>) -> Builder {
        self.only_header("Origin", origin.into())
    }

    /// The `User-Agent` header. Default: `heartwire/` and the version.
    pub fn user_agent(self, agent: impl Into<String>) -> Builder {
        self.only_header("User-Agent", agent.into())
    }

    /// A header that a request has once: the last one given counts.
    fn only_header(mut self, name: &str, value: String) -> Builder {
        self.headers.retain(|(given, _)| !given.eq_ignore_ascii_case(name));
        self.header(name, value)
    }

    /// Asks for a subprotocol; call it repeatedly, the preferred one first. Default: none.
    ///
    /// The server may choose one of them or none; the open event tells. A choice that was not asked
    /// for is refused.
    pub fn subprotocol(mut self, name: impl Into<String>) -> Builder {
        self.subprotocols.push(name.into());
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

    /// TLS for `wss:` URLs. Default: the system's roots, TLS 1.2 or newer.
    #[cfg(feature = "native-tls")]
    pub fn tls(mut self, tls: Tls) -> Builder {
        self.tls = tls;
        self
    }

    /// Offers compression to the server. Default: none is offered.
    #[cfg(feature = "deflate")]
    pub fn compression(mut self, deflate: Deflate) -> Builder {
        self.deflate = Some(deflate);
        self
    }

    /// Connects through a proxy: a URL like `http://user:password@host:3128` or `socks5h://host`, or a [`Proxy`], which
    /// can also be taken from the environment. Default: none, whatever the environment says.
    pub fn proxy(mut self, proxy: impl Into<Proxy>) -> Builder {
        self.proxy = Some(proxy.into());
        self
    }

    /// The local address to connect from. Default: the system chooses.
    pub fn local_address(mut self, address: IpAddr) -> Builder {
        self.local_address = Some(address);
        self
    }

    /// Settings of the TCP socket: keepalive, buffers, interface, IPv4 or IPv6 only. Default: as the system has them.
    pub fn tcp(mut self, tcp: Tcp) -> Builder {
        self.tcp = tcp;
        self
    }

    /// Connects to the Unix socket at this path, for every URL of the client and for redirects, too. Default: none.
    ///
    /// The URL goes on to say what is asked for there: `ws://` or, for TLS over the socket, `wss://`; its host is the
    /// `Host` header and the name that the certificate must be for, and is not looked up. Without this setting,
    /// `ws+unix:///run/feed.sock:/feed` is a URL that names a socket, too, as in npm's ws: a path from the root, then a
    /// colon and the resource, or neither; `localhost` is its host.
    ///
    /// An absent socket, or one that refuses, fails the attempt in the phase [`Connect`](crate::Phase::Connect), and
    /// the next one comes after the usual delay; so does one whose queue is full. A path that is empty, has a NUL or is
    /// longer than an address takes (107 bytes on Linux) is a [`ConfigError`], as is a socket together with a
    /// [`proxy`](Builder::proxy) that is not the environment's, or with settings of TCP. Abstract sockets, and systems
    /// that are not Unix, are not supported.
    pub fn unix_socket(mut self, path: impl AsRef<Path>) -> Builder {
        self.unix = Some(path.as_ref().into());
        self
    }

    /// Asks this for a connected stream at every attempt, instead of connecting TCP: a tunnel, a device, another kind
    /// of socket. It gets host and port of the URL (an IPv6 address without brackets), or of a redirect. Unix only.
    ///
    /// It runs on a thread of a small pool, as [`before_connect`](Builder::before_connect) does, so it may block,
    /// within the [`connect_timeout`](Builder::connect_timeout): an attempt whose time is up fails, and the next one
    /// waits for the call that still runs. It is never called twice at once for one client. A close does not wait for
    /// it; the drop of the last handle does, outside of handlers. Of the two together eight run at once in a process.
    /// An error fails the attempt in the phase [`Connect`](crate::Phase::Connect) and is retried as a failure of the
    /// network is; a panic closes the client.
    ///
    /// For `wss:` URLs TLS runs over the stream. What the stream has to be is said at
    /// [`Client::connect_over`], which is for a stream that there is only once. A [`proxy`](Builder::proxy) that is not
    /// the environment's, a Unix socket and settings of TCP contradict it: [`ConfigError`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::TcpStream;
    ///
    /// let builder = heartwire::Client::builder("ws://example.com/feed")
    ///     .dial_with(|host, port| TcpStream::connect((host, port))); // by the system's resolver, for example
    /// # let _ = builder;
    /// ```
    #[cfg(unix)]
    pub fn dial_with<S>(mut self, dial: impl FnMut(&str, u16) -> io::Result<S> + Send + 'static) -> Builder
    where
        S: Read + Write + AsFd + Send + 'static,
    {
        self.dialer = Some(Dialer::new(dial));
        self
    }

    #[cfg(all(unix, feature = "capi"))]
    pub(crate) fn dialer(mut self, dialer: Dialer) -> Builder {
        self.dialer = Some(dialer);
        self
    }

    /// The deadline of a whole attempt, from [`before_connect`](Builder::before_connect), or else the name lookup, to
    /// the upgrade's answer, redirects and a proxy's answer included. Default: 15 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Builder {
        self.connect_timeout = timeout;
        self
    }

    /// The deadline of the name lookup alone. Default: 5 s.
    pub fn resolve_timeout(mut self, timeout: Duration) -> Builder {
        self.resolve_timeout = timeout;
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
