//! From the URL as the user wrote it to what the dial and the upgrade need; refuses what the parser would mend.

use std::path::Path;
use std::sync::Arc;

use data_encoding::BASE64;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use crate::config::unix;
use crate::error::ConfigError;

/// A checked `ws:`, `wss:` or `ws+unix:` URL in its parts.
#[derive(Debug)]
pub(crate) struct Address {
    pub(crate) secure: bool,
    pub(crate) host: Host<String>,
    pub(crate) port: u16,
    /// The Host header's value: the port only where it is not the scheme's own (RFC 6455 section 4.1).
    pub(crate) authority: String,
    /// Path and query, for the request line.
    pub(crate) target: String,
    /// `Basic …` from the userinfo.
    pub(crate) authorization: Option<String>,
    /// All of it but the userinfo; of a `ws+unix:` URL what stands for it where its server is reached, on `localhost`.
    pub(crate) url: Url,
    /// The socket to go to, whatever the host.
    pub(crate) unix: Option<Arc<Path>>,
}

impl Address {
    pub(crate) fn parse(text: &str) -> Result<Address, ConfigError> {
        let wrong = |problem: &str| Err(ConfigError::new("url", problem));
        check_characters("url", text)?;
        if let Some(rest) = strip_scheme(text, "ws+unix:") {
            if rest.contains('#') {
                return wrong(FRAGMENT);
            }
            let (path, resource) = unix::parse(rest)?;
            let address = Address::parse(&format!("ws://localhost{resource}"))?;
            return Ok(Address { unix: Some(path), ..address });
        }
        if strip_scheme(text, "wss+unix:").is_some() {
            return wrong("TLS over a Unix socket is a wss:// URL with unix_socket");
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return wrong("it must begin with ws:// or wss://");
        };
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "ws" => false,
            "wss" => true,
            // Without its own scheme a URL may have another's behind a password or in its query.
            other if !other.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
                return wrong("it must begin with ws:// or wss://");
            }
            other => {
                let problem = format!("the scheme {other} is not ws or wss");
                return Err(ConfigError::new("url", problem));
            }
        };
        if rest.contains('#') {
            return wrong(FRAGMENT);
        }
        // The parser would skip further slashes and take the path's first part for a host.
        if rest.is_empty() || rest.starts_with(['/', '?', ':', '@']) {
            return wrong("it has no host");
        }
        let mut url = Url::parse(text).map_err(|error| ConfigError::new("url", error.to_string()))?;
        let host = host_of("url", &url)?;
        let default_port = if secure { 443 } else { 80 };
        let port = url.port().unwrap_or(default_port);
        check_port("url", port)?;
        let authority = if port == default_port { host.to_string() } else { format!("{host}:{port}") };
        let mut target = url.path().to_string();
        if let Some(query) = url.query() {
            target.push('?');
            target.push_str(query);
        }
        let authorization = authorization(&url)?;
        // They fail for URLs without a host only.
        let _ = (url.set_username(""), url.set_password(None));
        Ok(Address { secure, host, port, authority, target, authorization, url, unix: None })
    }

    #[cfg(feature = "native-tls")]
    pub(crate) fn server_name(&self) -> String {
        server_name(&self.host)
    }

    /// What tells this server from others, for people.
    pub(crate) fn name(&self) -> String {
        match &self.unix {
            Some(path) => unix::shown(path),
            None => self.authority.clone(),
        }
    }

    /// The URL for log lines: without userinfo, and without the query, which often holds a token.
    pub(crate) fn for_logs(&self) -> String {
        let scheme = if self.secure { "wss" } else { "ws" };
        let path = self.target.split('?').next().unwrap_or_default();
        if let (Some(socket), false) = (&self.unix, self.secure) {
            return format!("ws+unix://{}:{path}", unix::shown(socket));
        }
        format!("{scheme}://{}{path}", self.authority)
    }
}

const FRAGMENT: &str = "it has a fragment, which RFC 6455 section 3 forbids; write # as %23";

/// The rest of a text that begins so, in whatever case.
fn strip_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let begins = text.get(..scheme.len())?.eq_ignore_ascii_case(scheme);
    begins.then(|| &text[scheme.len()..])
}

/// The name for TLS to verify: an address without its brackets.
#[cfg(any(feature = "native-tls", unix))]
pub(crate) fn server_name(host: &Host<String>) -> String {
    match host {
        Host::Domain(name) => name.clone(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    }
}

/// Refuses what the URL parser drops or mends in silence; a line break in a URL is a mistake, or an attack.
pub(super) fn check_characters(setting: &'static str, text: &str) -> Result<(), ConfigError> {
    let problem = if text.is_empty() {
        "it is empty"
    } else if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        "it has a space or a control character; write it as %20 or the like"
    } else if text.contains('\\') {
        "it has a backslash"
    } else {
        return Ok(());
    };
    Err(ConfigError::new(setting, problem))
}

pub(super) fn host_of(setting: &'static str, url: &Url) -> Result<Host<String>, ConfigError> {
    match url.host().map(|host| host.to_owned()) {
        None => Err(ConfigError::new(setting, "it has no host")),
        Some(Host::Domain(name)) if !is_host_name(&name) => {
            Err(ConfigError::new(setting, "its host is no host name: a label is empty or too long"))
        }
        Some(host) => Ok(host),
    }
}

pub(super) fn check_port(setting: &'static str, port: u16) -> Result<(), ConfigError> {
    if port == 0 { Err(ConfigError::new(setting, "port 0 cannot be connected to")) } else { Ok(()) }
}

/// RFC 1123 section 2.1 and RFC 1035 section 2.3.4, by length only: what characters a name has is the resolver's
/// matter.
fn is_host_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let label = |label: &str| (1..=63).contains(&label.len()) && !label.trim_matches('-').is_empty();
    name.len() <= 253 && name.split('.').all(label)
}

/// RFC 7617, from the URL's `user:password@`.
fn authorization(url: &Url) -> Result<Option<String>, ConfigError> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let mut credentials: Vec<u8> = percent_decode_str(url.username()).collect();
    if credentials.contains(&b':') {
        return Err(ConfigError::new("url", "a user name with a colon cannot be sent (RFC 7617)"));
    }
    credentials.push(b':');
    credentials.extend(percent_decode_str(url.password().unwrap_or_default()));
    if credentials.iter().any(u8::is_ascii_control) {
        return Err(ConfigError::new("url", "a control character in the user name or password"));
    }
    Ok(Some(format!("Basic {}", BASE64.encode(&credentials))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(url: &str) -> String {
        Address::parse(url).expect_err(url).problem().to_string()
    }

    #[test]
    fn the_parts_of_a_url_are_found() {
        let address = Address::parse("wss://example.com/feed/a%20b?token=1").unwrap();
        assert!(address.secure);
        assert_eq!(address.port, 443);
        assert_eq!(address.authority, "example.com");
        assert_eq!(address.target, "/feed/a%20b?token=1");
        assert_eq!(address.authorization, None);
        assert_eq!(address.for_logs(), "wss://example.com/feed/a%20b");
    }

    #[test]
    fn a_port_that_is_not_the_schemes_own_is_part_of_the_host_header() {
        assert_eq!(Address::parse("ws://h:8080").unwrap().authority, "h:8080");
        assert_eq!(Address::parse("ws://h:80").unwrap().authority, "h");
        assert_eq!(Address::parse("wss://h:80").unwrap().authority, "h:80");
        assert_eq!(Address::parse("ws://[::1]:9/").unwrap().authority, "[::1]:9");
    }

    #[cfg(feature = "native-tls")]
    #[test]
    fn an_address_is_verified_without_its_brackets() {
        assert_eq!(Address::parse("wss://[::1]:9/").unwrap().server_name(), "::1");
    }

    #[test]
    fn userinfo_becomes_basic_authentication_and_stays_out_of_logs() {
        let address = Address::parse("ws://al%20ice:s%3Acret@h/?q").unwrap();
        assert_eq!(address.authorization.as_deref(), Some("Basic YWwgaWNlOnM6Y3JldA=="));
        assert_eq!(address.for_logs(), "ws://h/");
    }

    #[test]
    fn a_url_without_its_scheme_is_not_repeated_with_its_secrets() {
        for url in ["h/?token=secret&next=http://h/", "user:secret@h/a://b", "secret.h/feed?back=ws://h"] {
            assert_eq!(problem(url), "it must begin with ws:// or wss://", "{url}");
        }
        assert_eq!(problem("https://h"), "the scheme https is not ws or wss");
    }

    #[test]
    fn bad_urls_are_refused_with_their_reason() {
        for (url, part) in [
            ("", "empty"),
            ("example.com", "ws://"),
            ("ws:/example.com", "ws://"),
            ("http://example.com", "scheme http"),
            ("ws://", "no host"),
            ("ws:///path", "no host"),
            ("ws://?x", "no host"),
            ("ws://:80", "no host"),
            ("ws://user@", "host"),
            ("ws://h:0", "port 0"),
            ("ws://h:65536", "port"),
            ("ws://h:-1", "port"),
            ("ws://h:80x", "port"),
            ("ws://h/#part", "fragment"),
            (" ws://h", "space"),
            ("ws://h/a b", "space"),
            ("ws://h/\r\nX: y", "control"),
            ("ws://h/\0", "control"),
            ("ws://h\\x", "backslash"),
            ("ws://a%3Ab:c@h", "colon"),
            ("ws://a%0d:c@h", "control"),
            ("ws://a..b", "host name"),
            ("ws://.", "host name"),
            ("ws://-", "host name"),
            ("ws://[::1", "IPv6"),
            ("ws://ex ample", "space"),
        ] {
            assert!(problem(url).contains(part), "{url}: {}", problem(url));
        }
    }
}
