//! From the settings to what a client runs on: looked at all together, and refused by the name of the first that cannot
//! be.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use crate::config::address::Address;
use crate::config::builder::Builder;
#[cfg(feature = "deflate")]
use crate::config::deflate::Deflate;
use crate::config::proxy::Proxy;
use crate::config::route::Ground;
#[cfg(feature = "native-tls")]
use crate::config::tls::Tls;
use crate::config::{BeforeConnect, Config, check, unix};
use crate::error::ConfigError;
use crate::link::Rules;

/// Shorter frames are more header than message.
pub(crate) const LEAST_FRAGMENT: usize = 128;
/// The longest message, unless something else is set, or it goes in fragments.
const MAX_MESSAGE: u64 = 16 << 20;

/// More than that is taken for a mistake.
const MOST_URLS: usize = 64;

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

impl Builder {
    pub(crate) fn config(self) -> Result<Config, ConfigError> {
        let addresses = check_urls(&self.urls)?;
        let rules = self.rules()?;
        self.outbox.check()?;
        check::count("redirects", self.redirects, 0..=20)?;
        check::time("resolve_timeout", self.resolve_timeout)?;
        check::size("max_message_size", self.max_message.unwrap_or(1), 1)?;
        check::size("fragment_size", self.fragment.unwrap_or(usize::MAX), LEAST_FRAGMENT)?;
        self.check_fragments()?;
        check::size("inbound_queue", self.inbound_events, 1)?;
        check::size("inbound_queue", self.inbound_bytes, 1)?;
        check::size("stack_size", self.stack_size, 64 << 10)?;
        self.tcp.check()?;
        self.unix.as_ref().map_or(Ok(()), |path| unix::check("unix_socket", path))?;
        let name = self.name.unwrap_or_else(|| addresses[0].name());
        check::name(&name)?;
        check_subprotocols(&self.subprotocols)?;
        #[cfg(feature = "deflate")]
        self.deflate.as_ref().map_or(Ok(()), Deflate::check)?;
        let ground = Ground {
            #[cfg(feature = "deflate")]
            deflate: self.deflate,
            #[cfg(not(feature = "deflate"))]
            deflate: None,
            // Of no use without TLS, but a mistake in the settings is told all the same.
            #[cfg(feature = "native-tls")]
            connector: if addresses.iter().any(|address| address.secure) || self.tls != Tls::default() {
                Some(crate::net::tls::connector(&self.tls)?)
            } else {
                None
            },
            proxy: self.proxy.map(Proxy::choose),
            local: self.local_address,
            tcp: self.tcp,
            unix: self.unix,
            #[cfg(unix)]
            dialer: self.dialer,
            user_timeout: self.heartbeat.patience(),
            resolve_timeout: self.resolve_timeout,
        };
        let route =
            |address| ground.route(address, self.headers.clone(), self.subprotocols.clone()).map(Arc::new);
        let routes = addresses.iter().map(route).collect::<Result<Vec<_>, _>>()?;
        Ok(Config {
            name,
            routes,
            ground: Arc::new(ground),
            redirects: self.redirects,
            cookies: self.cookies,
            rules: Arc::new(rules),
            before_connect: self.before_connect.map(|hook| BeforeConnect {
                hook,
                urls: self.urls,
                headers: self.headers,
                subprotocols: self.subprotocols,
            }),
            outbox: self.outbox,
            terms: self.terms,
            drain_to: self.drain_to,
            stamp: self.stamp,
            greetings: self.greetings,
            max_message: match self.max_message {
                Some(bytes) => bytes as u64,
                None if self.fragments_above < usize::MAX => u64::MAX,
                None => MAX_MESSAGE,
            },
            fragment: self.fragment.unwrap_or(usize::MAX),
            fragments_above: self.fragments_above,
            dispatch: self.dispatch,
            inbound_events: self.inbound_events,
            inbound_bytes: self.inbound_bytes,
            report_outcomes: self.report_outcomes,
            stack_size: self.stack_size,
        })
    }

    /// What the link goes by, looked at without the other settings.
    pub(crate) fn rules(&self) -> Result<Rules, ConfigError> {
        self.heartbeat.check()?;
        self.reconnect.check()?;
        check::time_or_zero("url_penalty", self.url_penalty)?;
        check::time("connect_timeout", self.connect_timeout)?;
        check::time("close_timeout", self.close_timeout)?;
        Ok(Rules {
            heartbeat: self.heartbeat.clone(),
            reconnect: self.reconnect.clone(),
            connect_timeout: self.connect_timeout,
            close_timeout: self.close_timeout,
            before_connect: self.before_connect.is_some(),
            urls: self.urls.len(),
            url_penalty: self.url_penalty,
        })
    }

    /// What would never come in parts, and what would not be recognised in them.
    fn check_fragments(&self) -> Result<(), ConfigError> {
        let above = self.fragments_above;
        if above == usize::MAX {
            return Ok(());
        }
        if let Some(most) = self.max_message.filter(|most| *most <= above) {
            let problem =
                format!("{above} is not less than max_message_size, {most}: no message would be so long");
            return Err(ConfigError::new("fragments_above", problem));
        }
        if self.heartbeat.shortest_reply() > above {
            let problem =
                format!("the heartbeat's reply is longer than {above}, and would not be recognised");
            return Err(ConfigError::new("fragments_above", problem));
        }
        Ok(())
    }
}

fn check_urls(urls: &[String]) -> Result<Vec<Address>, ConfigError> {
    if urls.len() > MOST_URLS {
        return Err(ConfigError::new("url", format!("there are more than {MOST_URLS}")));
    }
    for (i, url) in urls.iter().enumerate() {
        if urls[..i].contains(url) {
            return Err(ConfigError::new("url", format!("number {} is there already", i + 1)));
        }
    }
    urls.iter().map(|url| Address::parse(url)).collect()
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
