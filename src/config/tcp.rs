//! How TCP sockets are made: which addresses, through which interface, with which options. Opens none.

use std::net::IpAddr;
use std::time::Duration;

use url::Host;

use crate::config::check;
use crate::error::ConfigError;

/// A version of the Internet Protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IpVersion {
    /// IPv4 (RFC 791).
    V4,
    /// IPv6 (RFC 8200).
    V6,
}

impl IpVersion {
    pub(crate) fn of(address: IpAddr) -> IpVersion {
        if address.is_ipv4() { IpVersion::V4 } else { IpVersion::V6 }
    }

    fn name(self) -> &'static str {
        match self {
            IpVersion::V4 => "IPv4",
            IpVersion::V6 => "IPv6",
        }
    }
}

/// Settings of the TCP socket, to the server or to the proxy; for [`Builder::tcp`](crate::Builder::tcp).
///
/// By default the system decides all of them. That small messages leave at once (`TCP_NODELAY`) is no setting.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use heartwire::{Client, IpVersion, Tcp};
///
/// let tcp = Tcp::new()
///     .ip_version(IpVersion::V4)
///     .keepalive(Duration::from_secs(60), Duration::from_secs(10), 6)
///     .receive_buffer(1 << 20);
/// let builder = Client::builder("wss://example.com/feed").tcp(tcp);
/// # let _ = builder;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tcp {
    pub(crate) keepalive: Option<Keepalive>,
    pub(crate) send_buffer: Option<usize>,
    pub(crate) receive_buffer: Option<usize>,
    pub(crate) interface: Option<String>,
    pub(crate) ip_version: Option<IpVersion>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keepalive {
    pub(crate) idle: Duration,
    pub(crate) interval: Duration,
    pub(crate) count: u32,
}

impl Tcp {
    /// The system's defaults.
    pub fn new() -> Tcp {
        Tcp::default()
    }

    /// TCP's own probes (`SO_KEEPALIVE`): the first one after `idle` without a sign of the peer, then one each
    /// `interval`, and after `count` of them without an answer the connection is dead. Default: off.
    ///
    /// The [heartbeat](crate::Heartbeat) finds more: a server that hangs while its kernel answers, or a proxy whose way
    /// to the server is gone. Keepalive is for connections without one. Whole seconds from 1 to 32767, and a count from
    /// 1 to 127. Systems that have no interval and count of their own for each socket (OpenBSD) keep to `idle`.
    pub fn keepalive(mut self, idle: Duration, interval: Duration, count: u32) -> Tcp {
        self.keepalive = Some(Keepalive { idle, interval, count });
        self
    }

    /// The kernel's buffer for what was sent and not acknowledged (`SO_SNDBUF`), in bytes. Default: the system lets it
    /// grow with the connection.
    ///
    /// Set before the connection is made. The system may double it (Linux does), raise it to its least and, in silence,
    /// lower it to its most (`net.core.wmem_max`).
    pub fn send_buffer(mut self, bytes: usize) -> Tcp {
        self.send_buffer = Some(bytes);
        self
    }

    /// The kernel's buffer for what has come and was not read (`SO_RCVBUF`), in bytes; as
    /// [`send_buffer`](Tcp::send_buffer).
    pub fn receive_buffer(mut self, bytes: usize) -> Tcp {
        self.receive_buffer = Some(bytes);
        self
    }

    /// Goes through this network interface alone, `eth0` for example (`SO_BINDTODEVICE`); Linux and Android. Default:
    /// as the routes say.
    ///
    /// Whether there is such an interface, and whether the program may choose it (before Linux 5.7 it takes
    /// `CAP_NET_RAW`), shows at each attempt: an interface may come and go. An attempt that cannot use it fails in the
    /// phase [`Connect`](crate::Phase::Connect).
    pub fn interface(mut self, name: impl Into<String>) -> Tcp {
        self.interface = Some(name.into());
        self
    }

    /// Connects to addresses of this version only, whatever else a name has. Default: both, raced as RFC 8305 says.
    ///
    /// A name without such an address fails the attempt; an address of the other version in the URL is a
    /// [`ConfigError`]. With a proxy it concerns the proxy's address, and the server's where it is looked up here.
    pub fn ip_version(mut self, version: IpVersion) -> Tcp {
        self.ip_version = Some(version);
        self
    }

    /// All but what a URL or another setting may contradict.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if let Some(keepalive) = self.keepalive {
            seconds(keepalive.idle)?;
            seconds(keepalive.interval)?;
            check::count("keepalive", keepalive.count, 1..=127)?;
        }
        for (setting, bytes) in [("send_buffer", self.send_buffer), ("receive_buffer", self.receive_buffer)] {
            if bytes.is_some_and(|bytes| bytes == 0 || i32::try_from(bytes).is_err()) {
                return Err(ConfigError::new(setting, "it is not from 1 byte to 2 GiB"));
            }
        }
        if let Some(name) = &self.interface {
            // IFNAMSIZ, less the NUL; what the kernel takes for a name (dev_valid_name).
            let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':');
            if !(1..=15).contains(&name.len()) || name.contains(odd) || matches!(name.as_str(), "." | "..") {
                return Err(ConfigError::new("interface", "it is not the name of a network interface"));
            }
            if cfg!(not(any(target_os = "linux", target_os = "android"))) {
                return Err(ConfigError::new("interface", "unsupported: this system has no SO_BINDTODEVICE"));
            }
        }
        Ok(())
    }

    /// Whether these settings, and this address to come from, go together with the host that is connected to.
    pub(crate) fn check_host(&self, local: Option<IpAddr>, host: &Host<String>) -> Result<(), ConfigError> {
        if let (Some(version), Some(local)) = (self.ip_version, local.map(IpVersion::of))
            && version != local
        {
            let problem = format!("it is an {} address, and ip_version is {}", local.name(), version.name());
            return Err(ConfigError::new("local_address", problem));
        }
        let literal = match host {
            Host::Domain(_) => return Ok(()),
            Host::Ipv4(_) => IpVersion::V4,
            Host::Ipv6(_) => IpVersion::V6,
        };
        for (setting, version) in
            [("ip_version", self.ip_version), ("local_address", local.map(IpVersion::of))]
        {
            if let Some(version) = version.filter(|version| *version != literal) {
                let problem =
                    format!("it is {}, and the address to connect to is {}", version.name(), literal.name());
                return Err(ConfigError::new(setting, problem));
            }
        }
        Ok(())
    }
}

fn seconds(time: Duration) -> Result<(), ConfigError> {
    if time.subsec_nanos() > 0 || !(1..=32767).contains(&time.as_secs()) {
        let problem = format!("{time:?} is not whole seconds from 1 to 32767");
        return Err(ConfigError::new("keepalive", problem));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Builder;

    #[track_caller]
    fn refused(builder: Builder, setting: &str, part: &str) {
        let Err(error) = builder.build() else { panic!("{setting}: it was taken") };
        assert_eq!(error.setting(), setting, "{error}");
        assert!(error.problem().contains(part), "{error}");
    }

    fn with(tcp: Tcp) -> Builder {
        Builder::new("ws://name.invalid/").tcp(tcp)
    }

    #[test]
    fn numbers_and_names_that_no_socket_takes_are_refused() {
        const SEC: Duration = Duration::from_secs(1);
        let alive = |idle, interval, count| with(Tcp::new().keepalive(idle, interval, count));
        refused(alive(Duration::ZERO, SEC, 1), "keepalive", "whole seconds");
        refused(alive(SEC, Duration::from_millis(1500), 1), "keepalive", "1.5s");
        refused(alive(SEC, 32768 * SEC, 1), "keepalive", "32767");
        refused(alive(SEC, SEC, 0), "keepalive", "from 1 to 127");
        refused(alive(SEC, SEC, 128), "keepalive", "from 1 to 127");
        assert!(alive(32767 * SEC, SEC, 127).build().is_ok());
        refused(with(Tcp::new().send_buffer(0)), "send_buffer", "1 byte");
        refused(with(Tcp::new().receive_buffer(1 << 31)), "receive_buffer", "2 GiB");
        for name in ["", "a b", "eth0\n", "a/b", "eth0:1", "..", "sixteen-letters-"] {
            refused(with(Tcp::new().interface(name)), "interface", "name");
        }
        let named = with(Tcp::new().interface("fifteen-letters")).build();
        assert_eq!(named.is_ok(), cfg!(any(target_os = "linux", target_os = "android")));
    }

    #[test]
    fn addresses_that_contradict_the_version_or_each_other_are_refused() {
        let (four, six) = ("127.0.0.1".parse().unwrap(), "::1".parse().unwrap());
        let only = |url: &str, version| Builder::new(url).tcp(Tcp::new().ip_version(version));
        refused(only("ws://[::1]/", IpVersion::V4), "ip_version", "to connect to is IPv6");
        refused(only("ws://127.0.0.1/", IpVersion::V6), "ip_version", "to connect to is IPv4");
        refused(only("ws://h/", IpVersion::V6).local_address(four), "local_address", "is IPv6");
        refused(Builder::new("ws://[::1]/").local_address(four), "local_address", "to connect to is IPv6");
        refused(only("ws://h/", IpVersion::V4).add_url("ws://[::1]/"), "ip_version", "IPv6");
        assert!(only("ws://h/", IpVersion::V6).local_address(six).build().is_ok());
        assert!(only("ws://[::1]/", IpVersion::V6).build().is_ok());
    }

    #[test]
    fn with_a_proxy_it_is_the_proxys_address_that_counts() {
        let through =
            |url: &str| Builder::new("ws://[::1]/").tcp(Tcp::new().ip_version(IpVersion::V4)).proxy(url);
        assert!(through("http://127.0.0.1").build().is_ok());
        refused(through("http://[::1]"), "ip_version", "to connect to is IPv6");
    }
}
