//! Where one attempt goes and what it says there: a value made for each, from what all attempts of a client share.
//! Holds no socket, and does not know whose turn it is.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::config::address::Address;
use crate::config::builder::check_header;
use crate::config::proxy::Chosen;
use crate::error::{ConfigError, LinkError, Phase};
use crate::net::dial::Target;
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
        let request = UpgradeRequest {
            host: address.authority.clone(),
            target: address.target.clone(),
            headers: all_headers(headers, address.authorization.clone())?,
            subprotocols,
            deflate: self.deflate,
        };
        let proxy = match &self.proxy {
            Some(proxy) => proxy
                .route(address, crate::error::header(&request.headers, "User-Agent").unwrap_or_default())?,
            None => None,
        };
        let target = Target {
            host: address.host.clone(),
            port: address.port,
            #[cfg(feature = "native-tls")]
            tls: if address.secure { Some((self.connector()?, address.server_name())) } else { None },
            proxy,
            local: self.local,
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

    #[cfg(feature = "native-tls")]
    fn connector(&self) -> Result<Connector, ConfigError> {
        match &self.connector {
            Some(connector) => Ok(connector.clone()),
            None => crate::net::tls::connector(&crate::config::tls::Tls::default()),
        }
    }
}

/// Why the settings give no way to where a redirect or the program leads: TLS that was not needed before cannot be set up,
/// or the environment's proxy for this target, another one than the configured URL's, cannot be.
pub(crate) fn no_route(error: ConfigError) -> LinkError {
    match error.setting() {
        "proxy" => LinkError::io(Phase::Proxy, io::Error::new(io::ErrorKind::InvalidInput, error.problem)),
        _ => LinkError::io(Phase::Tls, io::Error::new(io::ErrorKind::InvalidInput, error)),
    }
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
