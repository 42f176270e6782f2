//! The builder: every setting with its default, checked all together by [`Builder::build`].

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use crate::client::Client;
use crate::config::address::Address;
use crate::config::check;
use crate::config::greeting::Greeting;
use crate::config::heartbeat::Heartbeat;
use crate::config::outbox::OutboxLimits;
use crate::config::proxy::Proxy;
use crate::config::reconnect::Reconnect;
#[cfg(feature = "native-tls")]
use crate::config::tls::Tls;
use crate::config::{Config, Dispatch, STACK_SIZE};
use crate::error::{ConfigError, Error};
use crate::event_loop::EventLoop;
use crate::event_loop::shared::SharedLoop;
use crate::link::Rules;
use crate::net::dial::Target;
use crate::session::upgrade::UpgradeRequest;

/// Collects a client's settings; made by [`Client::builder`].
///
/// Nothing is checked before [`build`](Builder::build), which names the first setting that cannot be.
#[must_use = "a builder does nothing until build or connect"]
pub struct Builder {
    url: String,
    name: Option<String>,
    headers: Vec<(String, String)>,
    subprotocols: Vec<String>,
    heartbeat: Heartbeat,
    reconnect: Reconnect,
    outbox: OutboxLimits,
    greetings: Vec<Greeting>,
    #[cfg(feature = "native-tls")]
    tls: Tls,
    proxy: Option<Proxy>,
    local_address: Option<IpAddr>,
    connect_timeout: Duration,
    resolve_timeout: Duration,
    close_timeout: Duration,
    max_message: usize,
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
            url: url.to_string(),
            name: None,
            headers: Vec::new(),
            subprotocols: Vec::new(),
            heartbeat: Heartbeat::default(),
            reconnect: Reconnect::default(),
            outbox: OutboxLimits::default(),
            greetings: Vec::new(),
            #[cfg(feature = "native-tls")]
            tls: Tls::default(),
            proxy: None,
            local_address: None,
            connect_timeout: Duration::from_secs(15),
            resolve_timeout: Duration::from_secs(5),
            close_timeout: Duration::from_secs(5),
            max_message: 16 << 20,
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

    /// Connects through a proxy: a URL like `http://user:password@host:3128` or `socks5h://host`, or a [`Proxy`], which can
    /// also be taken from the environment. Default: none, whatever the environment says.
    pub fn proxy(mut self, proxy: impl Into<Proxy>) -> Builder {
        self.proxy = Some(proxy.into());
        self
    }

    /// The local address to connect from. Default: the system chooses.
    pub fn local_address(mut self, address: IpAddr) -> Builder {
        self.local_address = Some(address);
        self
    }

    /// The deadline of a whole attempt, from the name lookup to the upgrade's answer, a proxy's included. Default: 15 s.
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

    /// The longest message that is received, in bytes. Default: 16 MiB. A longer one is answered with close code 1009.
    pub fn max_message_size(mut self, bytes: usize) -> Builder {
        self.max_message = bytes;
        self
    }

    /// Where handlers run. Default: [`Dispatch::Loop`], the fastest.
    pub fn dispatch(mut self, dispatch: Dispatch) -> Builder {
        self.dispatch = dispatch;
        self
    }

    /// How many events, and bytes of messages in them, wait for a program that pulls them, for a channel
    /// ([`Client::events`], which holds 16 more), or for [`Dispatch::Thread`]. Default: 256 and 1 MiB. When either is reached, reading pauses and TCP slows the server.
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

    pub(crate) fn config(self) -> Result<Config, ConfigError> {
        let address = Address::parse(&self.url)?;
        self.heartbeat.check()?;
        self.reconnect.check()?;
        self.outbox.check()?;
        check::time("connect_timeout", self.connect_timeout)?;
        check::time("resolve_timeout", self.resolve_timeout)?;
        check::time("close_timeout", self.close_timeout)?;
        check::size("max_message_size", self.max_message, 1)?;
        check::size("inbound_queue", self.inbound_events, 1)?;
        check::size("inbound_queue", self.inbound_bytes, 1)?;
        check::size("stack_size", self.stack_size, 64 << 10)?;
        let name = self.name.unwrap_or_else(|| address.authority.clone());
        check::name(&name)?;
        check_subprotocols(&self.subprotocols)?;
        let request = UpgradeRequest {
            host: address.authority.clone(),
            target: address.target.clone(),
            headers: headers(self.headers, address.authorization.clone())?,
            subprotocols: self.subprotocols,
        };
        let proxy = match &self.proxy {
            Some(proxy) => proxy
                .route(&address, crate::error::header(&request.headers, "User-Agent").unwrap_or_default())?,
            None => None,
        };
        let target = Target {
            host: address.host.clone(),
            port: address.port,
            #[cfg(feature = "native-tls")]
            tls: if address.secure {
                Some((crate::net::tls::connector(&self.tls)?, address.server_name()))
            } else {
                // Of no use, but a mistake in them is told all the same.
                if self.tls != Tls::default() {
                    crate::net::tls::connector(&self.tls)?;
                }
                None
            },
            proxy,
            local: self.local_address,
            user_timeout: self.heartbeat.patience(),
            resolve_timeout: self.resolve_timeout,
        };
        #[cfg(not(feature = "native-tls"))]
        if address.secure {
            return Err(ConfigError::new("url", "wss:// needs the feature native-tls"));
        }
        let shown_url = address.for_logs();
        Ok(Config {
            name,
            shown_url,
            request,
            target: Arc::new(target),
            rules: Arc::new(Rules {
                heartbeat: self.heartbeat,
                reconnect: self.reconnect,
                connect_timeout: self.connect_timeout,
                close_timeout: self.close_timeout,
            }),
            outbox: self.outbox,
            greetings: self.greetings,
            max_message: self.max_message,
            dispatch: self.dispatch,
            inbound_events: self.inbound_events,
            inbound_bytes: self.inbound_bytes,
            report_outcomes: self.report_outcomes,
            stack_size: self.stack_size,
        })
    }
}

/// Headers that the handshake sets itself; a second one would make a request that servers refuse or misread.
const OURS: [&str; 10] = [
    "host",
    "upgrade",
    "connection",
    "content-length",
    "transfer-encoding",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-protocol",
];

fn headers(
    given: Vec<(String, String)>,
    authorization: Option<String>,
) -> Result<Vec<(String, String)>, ConfigError> {
    for (name, value) in &given {
        check_header(name, value)?;
    }
    let has = |name: &str| given.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    let mut all = Vec::with_capacity(given.len() + 2);
    if let Some(value) = authorization {
        if has("authorization") {
            let problem = "Authorization is given, and the URL has a user name, too";
            return Err(ConfigError::new("header", problem));
        }
        all.push(("Authorization".to_string(), value));
    }
    if !has("user-agent") {
        let agent = concat!("heartwire/", env!("CARGO_PKG_VERSION"));
        all.push(("User-Agent".to_string(), agent.to_string()));
    }
    all.extend(given);
    Ok(all)
}

pub(crate) fn check_header(name: &str, value: &str) -> Result<(), ConfigError> {
    let shown = name.escape_debug();
    if HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Err(ConfigError::new("header", format!("'{shown}' is not a header name (RFC 9110)")));
    }
    if HeaderValue::from_str(value).is_err() {
        let problem = format!("the value of {shown} has a line break or another forbidden character");
        return Err(ConfigError::new("header", problem));
    }
    if OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
        return Err(ConfigError::new("header", format!("{shown} is set by the handshake itself")));
    }
    Ok(())
}

pub(crate) fn check_subprotocols(names: &[String]) -> Result<(), ConfigError> {
    for (i, name) in names.iter().enumerate() {
        let shown = name.escape_debug();
        // RFC 6455 section 4.1: elements are tokens of RFC 9110, and all different.
        if name.is_empty() || !name.bytes().all(is_token_byte) {
            return Err(ConfigError::new("subprotocol", format!("'{shown}' is not a token (RFC 9110)")));
        }
        if names[..i].contains(name) {
            return Err(ConfigError::new("subprotocol", format!("'{shown}' is there twice")));
        }
    }
    Ok(())
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(builder: Builder, setting: &str, part: &str) {
        let error = builder.build().expect_err("the setting should be refused");
        assert_eq!(error.setting(), setting);
        assert!(error.problem().contains(part), "{error}");
    }

    fn builder() -> Builder {
        Builder::new("ws://127.0.0.1:1/")
    }

    #[test]
    fn headers_that_would_break_the_request_are_refused() {
        refused(builder().header("X Y", "1"), "header", "not a header name");
        refused(builder().header("X-A\r\nX-B", "1"), "header", "not a header name");
        refused(builder().header("", "1"), "header", "not a header name");
        refused(builder().header("X-A", "1\r\nX-B: 2"), "header", "line break");
        refused(builder().header("X-A", "1\0"), "header", "forbidden");
        refused(builder().header("Host", "h"), "header", "handshake");
        refused(builder().header("sec-websocket-KEY", "h"), "header", "handshake");
        refused(Builder::new("ws://a:b@h/").header("Authorization", "Bearer c"), "header", "Authorization");
    }

    #[test]
    fn the_last_origin_and_user_agent_count() {
        let twice = builder().origin("http://a").origin("http://b").user_agent("one").user_agent("two");
        let sent = twice.config().unwrap().request.headers;
        let expected = [("Origin", "http://b"), ("User-Agent", "two")];
        assert_eq!(sent, expected.map(|(name, value)| (name.to_string(), value.to_string())));
    }

    #[test]
    fn subprotocols_are_distinct_tokens() {
        refused(builder().subprotocol("a b"), "subprotocol", "token");
        refused(builder().subprotocol(""), "subprotocol", "token");
        refused(builder().subprotocol("a,b"), "subprotocol", "token");
        refused(builder().subprotocol("a").subprotocol("a"), "subprotocol", "twice");
    }

    #[test]
    fn zero_and_absurd_durations_are_refused() {
        let over_a_week = Duration::from_secs(8 * 24 * 3600);
        refused(builder().connect_timeout(Duration::ZERO), "connect_timeout", "less than");
        refused(builder().close_timeout(over_a_week), "close_timeout", "week");
        refused(builder().resolve_timeout(Duration::MAX), "resolve_timeout", "week");
        let beat = Heartbeat::ping();
        refused(
            builder().heartbeat(beat.clone().after_silence(Duration::ZERO)),
            "heartbeat interval",
            "less",
        );
        refused(builder().heartbeat(beat.clone().timeout(Duration::ZERO)), "heartbeat timeout", "less");
        refused(builder().heartbeat(beat.max_missed(0)), "heartbeat max_missed", "from 1");
        let fixed = Reconnect::fixed(Duration::ZERO);
        refused(builder().reconnect(fixed), "reconnect delay", "less");
        refused(builder().reconnect(Reconnect::delays([])), "reconnect delays", "empty");
        let factor = Reconnect::exponential().factor(f64::NAN);
        refused(builder().reconnect(factor), "reconnect factor", "from 1");
    }

    #[test]
    fn sizes_that_cannot_work_are_refused() {
        refused(builder().max_message_size(0), "max_message_size", "at least");
        refused(builder().inbound_queue(0, 1), "inbound_queue", "at least");
        refused(builder().outbox(OutboxLimits::new().messages(0)), "outbox messages", "at least");
        refused(builder().stack_size(1), "stack_size", "at least");
        refused(builder().name("a\nb"), "name", "control");
    }

    #[cfg(feature = "native-tls")]
    #[test]
    fn tls_settings_are_checked_for_plain_urls_too() {
        refused(builder().tls(Tls::new().ca_pem("no certificate")), "ca_pem", "");
    }

    #[cfg(not(feature = "native-tls"))]
    #[test]
    fn wss_without_tls_is_refused() {
        refused(Builder::new("wss://h/"), "url", "native-tls");
    }
}
