//! Which proxy to go through: given as a URL, or taken from the environment when the program asks for it.

use std::fmt;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use crate::config::address::{Address, check_characters, check_port, host_of};
use crate::config::environment::Variables;
#[cfg(feature = "native-tls")]
use crate::config::tls::Tls;
use crate::error::ConfigError;
use crate::net::proxy::{self, Language, Login};

/// RFC 1929: a length of one byte.
const LONGEST_SOCKS_LOGIN: usize = 255;

/// The proxy to connect through: an HTTP proxy by CONNECT, or a SOCKS 5 proxy.
///
/// A URL is all it takes, and [`Builder::proxy`](crate::Builder::proxy) takes one as it is:
///
/// | URL | goes through | default port |
/// |---|---|---|
/// | `http://user:password@host:3128` | an HTTP proxy, by CONNECT, for `ws:` and `wss:` alike | 80 |
/// | `https://host` | the same, with TLS between us and the proxy | 443 |
/// | `socks5://user:password@host` | a SOCKS 5 proxy; the server's name is looked up here | 1080 |
/// | `socks5h://host` | a SOCKS 5 proxy, which looks the server's name up | 1080 |
///
/// User name and password are sent to the proxy unasked: over `http:` and `socks5:` whoever listens on the way can read
/// them. TLS with a `wss:` server goes through the tunnel, and verifies the server's name.
///
/// # Examples
///
/// ```no_run
/// use heartwire::{Client, Proxy};
///
/// # fn main() -> Result<(), heartwire::Error> {
/// let url = "wss://example.com/feed";
/// let through_one = Client::builder(url).proxy("http://user:password@proxy.example:3128").connect()?;
/// let as_curl_does = Client::builder(url).proxy(Proxy::from_environment()).connect()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Proxy {
    source: Source,
    login: Option<Login>,
    #[cfg(feature = "native-tls")]
    tls: Option<Tls>,
}

#[derive(Clone)]
enum Source {
    Url(String),
    Environment,
}

impl Proxy {
    /// The proxy at this URL. It is checked when the client is built.
    pub fn new(url: impl Into<String>) -> Proxy {
        Proxy::from_source(Source::Url(url.into()))
    }

    /// The proxy that the environment names for the client's URL, if it names one; read when the client is built, and
    /// for the URLs of redirects and of [`before_connect`](crate::Builder::before_connect), too.
    ///
    /// For `wss:` that is `HTTPS_PROXY`, for `ws:` `HTTP_PROXY`, else `ALL_PROXY`; in lower case first. `HTTP_PROXY` in
    /// upper case does not count where `REQUEST_METHOD` is set: in a CGI program it is the request's `Proxy` header. A
    /// value without a scheme means `http://`; an empty one counts as none.
    ///
    /// `NO_PROXY` lists the hosts to reach without: `example.com` (its subdomains, too; a dot in front makes no
    /// difference), `example.com:8443`, `192.0.2.1`, `192.0.2.0/24`, `[2001:db8::1]`, `2001:db8::/32`, separated by
    /// commas or blanks, or `*` for all. Nothing is left out unless it is listed, `localhost` neither.
    pub fn from_environment() -> Proxy {
        Proxy::from_source(Source::Environment)
    }

    fn from_source(source: Source) -> Proxy {
        Proxy {
            source,
            login: None,
            #[cfg(feature = "native-tls")]
            tls: None,
        }
    }

    /// User name and password, as they are; in the URL they have to be escaped. Not both at once.
    pub fn login(mut self, user: impl Into<String>, password: impl Into<String>) -> Proxy {
        self.login = Some(Login { user: user.into(), password: password.into() });
        self
    }

    /// TLS with an `https://` proxy. Default: the system's roots, TLS 1.2 or newer. What
    /// [`Builder::tls`](crate::Builder::tls) says concerns the server alone.
    #[cfg(feature = "native-tls")]
    pub fn tls(mut self, tls: Tls) -> Proxy {
        self.tls = Some(tls);
        self
    }

    /// For a client that is built now: with the environment as it is, if that is asked.
    pub(crate) fn choose(self) -> Chosen {
        let variables = match self.source {
            Source::Url(_) => Variables::default(),
            Source::Environment => Variables::of_process(),
        };
        Chosen { proxy: self, variables }
    }

    /// Says what is wrong with it, as far as that can be told without the environment.
    #[cfg(feature = "capi")]
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match &self.source {
            Source::Url(url) => self.checked(url, "").map(drop),
            Source::Environment => Ok(()),
        }
    }

    fn checked(&self, url: &str, agent: &str) -> Result<proxy::Proxy, ConfigError> {
        let parts = Parts::parse(url)?;
        let login = match (&self.login, parts.login) {
            (Some(_), Some(_)) => return wrong("the URL has a user name, and another is given, too"),
            (given, found) => given.clone().or(found),
        };
        if let Some(login) = &login {
            check_login(login, parts.language)?;
        }
        #[cfg(not(feature = "native-tls"))]
        if parts.secure {
            return wrong("https:// needs the feature native-tls");
        }
        #[cfg(feature = "native-tls")]
        if self.tls.is_some() && !parts.secure && matches!(self.source, Source::Url(_)) {
            return wrong("TLS settings are given, and the proxy is none with TLS, an https:// one");
        }
        Ok(proxy::Proxy {
            language: parts.language,
            #[cfg(feature = "native-tls")]
            tls: if parts.secure {
                let tls = self.tls.clone().unwrap_or_default();
                Some((crate::net::tls::connector(&tls)?, crate::config::address::server_name(&parts.host)))
            } else {
                None
            },
            host: parts.host,
            port: parts.port,
            login,
            agent: agent.to_owned(),
        })
    }
}

/// A client's settings of a proxy. No `Debug`: they hold passwords.
pub(crate) struct Chosen {
    proxy: Proxy,
    variables: Variables,
}

impl Chosen {
    #[cfg(test)]
    pub(crate) fn from_variables(read: impl Fn(&str) -> Option<String>) -> Chosen {
        Chosen { proxy: Proxy::from_environment(), variables: Variables::read(read) }
    }

    /// Whether the program itself named it.
    pub(crate) fn is_given(&self) -> bool {
        matches!(self.proxy.source, Source::Url(_))
    }

    /// Whom to ask for a way to this address, if anyone; `agent` is the User-Agent that the proxy is told.
    pub(crate) fn route(
        &self,
        address: &Address,
        agent: &str,
    ) -> Result<Option<Arc<proxy::Proxy>>, ConfigError> {
        match &self.proxy.source {
            Source::Url(url) => self.proxy.checked(url, agent).map(|proxy| Some(Arc::new(proxy))),
            Source::Environment => {
                let Some((variable, value)) = self.variables.proxy_for(address) else { return Ok(None) };
                let named = |error: ConfigError| {
                    ConfigError::new(error.setting, format!("{variable}: {}", error.problem))
                };
                let url = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
                self.proxy.checked(&url, agent).map(|proxy| Some(Arc::new(proxy))).map_err(named)
            }
        }
    }
}

impl From<&str> for Proxy {
    fn from(url: &str) -> Proxy {
        Proxy::new(url)
    }
}

impl From<String> for Proxy {
    fn from(url: String) -> Proxy {
        Proxy::new(url)
    }
}

/// Without user name and password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Environment => f.write_str("Proxy(from the environment)"),
            Source::Url(url) => match Parts::parse(url) {
                Ok(parts) => write!(f, "Proxy({}:{})", parts.host, parts.port),
                Err(_) => f.write_str("Proxy(wrong URL)"),
            },
        }
    }
}

fn wrong<T>(problem: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError::new("proxy", problem))
}

/// A proxy's URL, taken apart. What is wrong with it is told without repeating it: it may hold a password anywhere.
struct Parts {
    language: Language,
    secure: bool,
    host: Host<String>,
    port: u16,
    login: Option<Login>,
}

impl Parts {
    fn parse(text: &str) -> Result<Parts, ConfigError> {
        check_characters("proxy", text)?;
        let Some((scheme, rest)) = text.split_once("://") else {
            return wrong("it must begin with http://, https://, socks5:// or socks5h://");
        };
        let (language, secure, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Language::Connect, false, 80),
            "https" => (Language::Connect, true, 443),
            "socks5" => (Language::Socks, false, 1080),
            "socks5h" => (Language::SocksWithNames, false, 1080),
            "socks4" | "socks4a" | "socks" => return wrong("of SOCKS, version 5 alone is known: socks5://"),
            // Without its own scheme a URL may have another's behind a password.
            other if !other.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                return wrong("it must begin with http://, https://, socks5:// or socks5h://");
            }
            other => {
                return wrong(format!("the scheme {other} is not http, https, socks5 or socks5h"));
            }
        };
        if rest.is_empty() || rest.starts_with(['/', '?', '#', ':', '@']) {
            return wrong("it has no host");
        }
        // As the parser reads hosts and ports of the web's schemes; one of the two tells a port that is the other's
        // own.
        let parse = |scheme: &str| {
            Url::parse(&format!("{scheme}://{rest}"))
                .map_err(|error| ConfigError::new("proxy", error.to_string()))
        };
        let (url, other) = (parse("http")?, parse("https")?);
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return wrong("it has a path, a query or a fragment; a proxy is a host and a port");
        }
        let host = host_of("proxy", &url)?;
        let port = url.port().or(other.port()).unwrap_or(default_port);
        check_port("proxy", port)?;
        Ok(Parts { language, secure, host, port, login: login(&url)? })
    }
}

fn login(url: &Url) -> Result<Option<Login>, ConfigError> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let decode = |text: &str| match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => wrong("the user name or password is not UTF-8"),
    };
    Ok(Some(Login { user: decode(url.username())?, password: decode(url.password().unwrap_or_default())? }))
}

fn check_login(login: &Login, language: Language) -> Result<(), ConfigError> {
    let Login { user, password } = login;
    if user.chars().chain(password.chars()).any(char::is_control) {
        return wrong("a line break or another control character in the user name or password");
    }
    match language {
        Language::Connect if user.contains(':') => {
            wrong("a user name with a colon cannot be sent (RFC 7617)")
        }
        Language::Connect => Ok(()),
        Language::Socks | Language::SocksWithNames => {
            if user.is_empty() || user.len().max(password.len()) > LONGEST_SOCKS_LOGIN {
                return wrong(
                    "SOCKS takes a user name of 1 to 255 bytes, and a password of 255 at most (RFC 1929)",
                );
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::route::no_route;

    fn checked(proxy: impl Into<Proxy>) -> Result<proxy::Proxy, ConfigError> {
        proxy.into().checked_for_tests()
    }

    impl Proxy {
        fn checked_for_tests(&self) -> Result<proxy::Proxy, ConfigError> {
            let Source::Url(url) = &self.source else { panic!("a URL is wanted") };
            self.checked(url, "test/1")
        }
    }

    #[track_caller]
    fn refused(proxy: impl Into<Proxy>, part: &str) {
        let Err(error) = checked(proxy) else { panic!("{part}: it was taken") };
        assert_eq!(error.setting(), "proxy");
        assert!(error.problem().contains(part), "{error}");
        assert!(!error.problem().contains("secret"), "{error}");
    }

    #[test]
    fn the_parts_of_a_proxys_url_are_found() {
        for (url, language, shown) in [
            ("http://h", Language::Connect, "http://h:80"),
            ("http://h:443/", Language::Connect, "http://h:443"),
            ("HTTP://H:3128", Language::Connect, "http://h:3128"),
            ("socks5://127.0.0.1", Language::Socks, "socks5://127.0.0.1:1080"),
            ("socks5://h:80", Language::Socks, "socks5://h:80"),
            ("socks5h://[::1]:443", Language::SocksWithNames, "socks5h://[::1]:443"),
        ] {
            let proxy = checked(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!((proxy.language, proxy.to_string()), (language, shown.to_owned()), "{url}");
            assert!(proxy.login.is_none());
        }
        assert!(matches!(checked("socks5://127.0.0.1").unwrap().host, Host::Ipv4(_)));
        #[cfg(feature = "native-tls")]
        {
            let proxy = checked(Proxy::new("https://[::1]").tls(Tls::new())).unwrap();
            assert_eq!(proxy.to_string(), "https://[::1]:443");
            assert_eq!(proxy.tls.unwrap().1, "::1");
        }
    }

    #[test]
    fn user_name_and_password_come_from_the_url_or_beside_it() {
        let login = checked("http://al%20ice:s%3Acret@h").unwrap().login.unwrap();
        assert_eq!((login.user.as_str(), login.password.as_str()), ("al ice", "s:cret"));
        let login = checked(Proxy::new("socks5://h").login("a:b", "c@d")).unwrap().login.unwrap();
        assert_eq!((login.user.as_str(), login.password.as_str()), ("a:b", "c@d"));
        let login = checked("socks5://only@h").unwrap().login.unwrap();
        assert_eq!((login.user.as_str(), login.password.as_str()), ("only", ""));
    }

    #[test]
    fn proxies_that_cannot_be_are_refused_with_the_reason_and_without_the_password() {
        for (url, part) in [
            ("", "empty"),
            ("h:3128", "must begin with"),
            ("user:secret@h", "must begin with"),
            ("user:secret://@h", "must begin with"),
            ("a:secret@b://h", "must begin with"),
            ("ftp://a:secret@h", "scheme ftp"),
            ("ws://h", "scheme ws"),
            ("socks4://h", "version 5"),
            ("socks://h", "version 5"),
            ("http://", "no host"),
            ("http:///x", "no host"),
            ("http://:3128", "no host"),
            ("http://a:secret@", "host"),
            ("http://h:0", "port 0"),
            ("http://h:65536", "port"),
            ("http://a:secret@h:x", "port"),
            ("http://h/path", "path"),
            ("http://h?secret", "path"),
            ("http://h#secret", "path"),
            ("http://a..b", "host name"),
            ("http://[::1", "IPv6"),
            ("http://h\r\nX: y", "control"),
            ("http://a:secret\n@h", "control"),
            ("http://a b@h", "space"),
            ("http://h\\x", "backslash"),
            ("http://a%0d%0aX:secret@h", "line break"),
            ("socks5://a:secret%00@h", "control"),
            ("http://a%3Ab:secret@h", "colon"),
            ("http://a:%ffsecret@h", "UTF-8"),
            ("socks5://:secret@h", "no host"),
        ] {
            refused(url, part);
        }
        let long = "x".repeat(256);
        refused(Proxy::new("socks5://h").login("a", long.as_str()), "1 to 255");
        refused(Proxy::new("socks5h://h").login(long, ""), "1 to 255");
        refused(Proxy::new("socks5h://h").login("", "secret"), "1 to 255");
        refused(Proxy::new("http://h").login("a", "secret\r\nX-Y: z"), "line break");
        refused(Proxy::new("http://a:secret@h").login("a", "b"), "another is given");
        #[cfg(feature = "native-tls")]
        refused(Proxy::new("http://h").tls(Tls::new()), "TLS settings");
        #[cfg(not(feature = "native-tls"))]
        refused("https://h", "native-tls");
    }

    #[test]
    fn debug_output_shows_no_login() {
        for proxy in [
            Proxy::new("http://user-zq:pass-zq@h:1"),
            Proxy::new("http://h:1").login("user-zq", "pass-zq"),
            Proxy::new("user-zq:pass-zq@h:1"),
        ] {
            assert!(!format!("{proxy:?}").contains("zq"), "{proxy:?}");
        }
        assert_eq!(format!("{:?}", Proxy::new("http://a:b@h:1")), "Proxy(h:1)");
    }

    #[test]
    fn the_environments_proxy_is_checked_under_its_variables_name() {
        let route = |value: &'static str| {
            let chosen = Chosen::from_variables(|name| (name == "HTTP_PROXY").then(|| value.to_owned()));
            chosen.route(&Address::parse("ws://example.com/").unwrap(), "")
        };
        assert_eq!(route("h:3128").unwrap().unwrap().to_string(), "http://h:3128");
        assert_eq!(route("a:b@h").unwrap().unwrap().to_string(), "http://h:80");
        assert_eq!(route("socks5h://h").unwrap().unwrap().to_string(), "socks5h://h:1080");
        assert!(route("").unwrap().is_none());
        let Err(error) = route("socks4://a:secret@h") else { panic!("it was taken") };
        assert_eq!(error.setting(), "proxy");
        assert_eq!(error.problem(), "HTTP_PROXY: of SOCKS, version 5 alone is known: socks5://");
        let told = no_route(error);
        assert_eq!(told.phase(), crate::error::Phase::Proxy);
        assert!(told.to_string().starts_with("proxy failed: HTTP_PROXY: of SOCKS"), "{told}");
    }
}
