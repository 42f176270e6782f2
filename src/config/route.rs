//! Where one attempt goes and what it says there: a value made for each, from what all attempts of a client share.
//! Holds no socket, and does not know whose turn it is.

use std::error::Error as StdError;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::config::address::Address;
use crate::config::builder::check_header;
use crate::config::proxy::Chosen;
use crate::config::tcp::Tcp;
use crate::error::{ConfigError, LinkError, Phase};
use crate::net::dial::Target;
#[cfg(unix)]
use crate::net::dialer::Dialer;
#[cfg(feature = "native-tls")]
use crate::net::tls::Connector;
use crate::session::deflate::Offer;
use crate::session::upgrade::UpgradeRequest;

/// An attempt's address and its request. No `Debug`: it holds secrets.
pub(crate) struct Route {
    /// The URL without its secrets.
    pub(crate) shown_url: String,
    pub(crate) request: UpgradeRequest,
    pub(crate) target: Arc<Target>,
    /// What a redirect is relative to.
    pub(crate) url: Url,
}

/// What all routes of a client share.
pub(crate) struct Ground {
    /// What is offered to compress messages.
    pub(crate) deflate: Option<Offer>,
    /// The TLS settings, once they were used; before that they are the default.
    #[cfg(feature = "native-tls")]
    pub(crate) connector: Option<Connector>,
    pub(crate) proxy: Option<Chosen>,
    pub(crate) local: Option<IpAddr>,
    pub(crate) tcp: Tcp,
    /// The socket to go to, whatever the URL.
    pub(crate) unix: Option<Arc<Path>>,
    /// Who makes the connection instead.
    #[cfg(unix)]
    pub(crate) dialer: Option<Dialer>,
    pub(crate) user_timeout: Option<Duration>,
    pub(crate) resolve_timeout: Duration,
}

impl Ground {
    /// The route to an address. The first use of TLS in a process reads the system's roots, which takes 40 ms.
    pub(crate) fn route(
        &self,
        address: &Address,
        headers: Vec<(String, String)>,
        subprotocols: Vec<String>,
    ) -> Result<Route, ConfigError> {
        #[cfg(not(feature = "native-tls"))]
        if address.secure {
            return Err(ConfigError::new("url", "wss:// needs the feature native-tls"));
        }
        #[cfg(feature = "native-tls")]
        if let (false, Some(pinned)) = (address.secure, self.connector.as_ref().and_then(Connector::pinned)) {
            let problem = "a URL is ws:, without TLS, where nothing can be pinned; make it wss:";
            return Err(ConfigError::new(pinned.setting(), problem));
        }
        let request = UpgradeRequest {
            host: address.authority.clone(),
            target: address.target.clone(),
            headers: all_headers(headers, address.authorization.clone())?,
            subprotocols,
            deflate: self.deflate,
        };
        let unix = self.unix(address)?;
        let proxy = match &self.proxy {
            _ if unix.is_some() || self.is_dialled_by_program() => None,
            Some(proxy) => proxy
                .route(address, crate::error::header(&request.headers, "User-Agent").unwrap_or_default())?,
            None => None,
        };
        let connected_to = proxy.as_ref().map_or(&address.host, |proxy| &proxy.host);
        if unix.is_none() {
            self.tcp.check_host(self.local, connected_to)?;
        }
        let target = Target {
            host: address.host.clone(),
            port: address.port,
            #[cfg(feature = "native-tls")]
            tls: if address.secure { Some((self.connector()?, address.server_name())) } else { None },
            proxy,
            local: self.local,
            tcp: self.tcp.clone(),
            unix,
            #[cfg(unix)]
            dialer: self.dialer.clone(),
            user_timeout: self.user_timeout,
            resolve_timeout: self.resolve_timeout,
        };
        Ok(Route {
            shown_url: address.for_logs(),
            request,
            target: Arc::new(target),
            url: address.url.clone(),
        })
    }

    /// Whether [`route`](Ground::route) is sure not to read the system's roots.
    pub(crate) fn is_ready_for(&self, address: &Address) -> bool {
        #[cfg(feature = "native-tls")]
        let ready = self.connector.is_some();
        #[cfg(not(feature = "native-tls"))]
        let ready = true;
        // A proxy may be one with TLS.
        (ready || !address.secure) && self.proxy.is_none()
    }

    /// The socket to go to, if there is one, and nothing contradicts it; nor the program's own way.
    fn unix(&self, address: &Address) -> Result<Option<Arc<Path>>, ConfigError> {
        let unix = match (&self.unix, &address.unix) {
            (Some(set), Some(named)) if set != named => {
                return Err(ConfigError::new("unix_socket", "the URL names another socket"));
            }
            (set, named) => set.clone().or(named.clone()),
        };
        let setting = match (&unix, &self.unix) {
            _ if self.is_dialled_by_program() => "dial_with",
            (None, _) => return Ok(None),
            (Some(_), Some(_)) => "unix_socket",
            (Some(_), None) => "url",
        };
        let other = if unix.is_some() && self.is_dialled_by_program() { Some("a Unix socket") } else { None };
        match other.or(self.of_tcp()) {
            Some(other) => Err(ConfigError::new(setting, format!("it does not go together with {other}"))),
            None => Ok(unix),
        }
    }

    /// What of these settings makes no sense where it is not TCP that is connected.
    pub(crate) fn of_tcp(&self) -> Option<&'static str> {
        if self.proxy.as_ref().is_some_and(Chosen::is_given) {
            return Some("a proxy");
        }
        let tcp = self.local.is_some() || self.tcp != Tcp::default();
        tcp.then_some("settings of TCP, the local address included")
    }

    pub(crate) fn is_dialled_by_program(&self) -> bool {
        #[cfg(unix)]
        let dialled = self.dialer.is_some();
        #[cfg(not(unix))]
        let dialled = false;
        dialled
    }

    #[cfg(feature = "native-tls")]
    fn connector(&self) -> Result<Connector, ConfigError> {
        match &self.connector {
            Some(connector) => Ok(connector.clone()),
            None => crate::net::tls::connector(&crate::config::tls::Tls::default()),
        }
    }
}

/// Why the settings give no way to where a redirect or the program leads: they exclude it; or TLS that was not needed
/// before cannot be set up, or the environment's proxy for this target, another one than the configured URL's, cannot
/// be.
pub(crate) fn no_route(error: ConfigError) -> LinkError {
    let invalid = |error: Box<dyn StdError + Send + Sync>| io::Error::new(io::ErrorKind::InvalidInput, error);
    match error.setting() {
        "proxy" => LinkError::io(Phase::Proxy, invalid(error.problem.into())),
        "ip_version" | "local_address" => LinkError::io(Phase::Connect, invalid(error.into())),
        _ => LinkError::io(Phase::Tls, invalid(error.into())),
    }
}

/// Whether it is the address itself that the settings exclude.
pub(crate) fn contradicts_settings(error: &ConfigError) -> bool {
    matches!(
        error.setting(),
        "ip_version"
            | "local_address"
            | "pin_public_key"
            | "pin_certificate"
            | "unix_socket"
            | "dial_with"
            | "url"
    )
}

/// The user's headers, checked, and those that follow from the settings.
fn all_headers(
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
