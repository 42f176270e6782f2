//! The proxy variables of the environment, as curl and its like read them: as they were at one moment, so that
//! redirects and `before_connect`, on threads of the library's, read nothing that the program may be changing.

use std::net::IpAddr;

use url::Host;

use crate::config::address::Address;

const NAMES: [&str; 9] = [
    "https_proxy",
    "HTTPS_PROXY",
    "http_proxy",
    "HTTP_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "REQUEST_METHOD",
];

/// The variables that are set. No `Debug`: they hold passwords.
#[derive(Default)]
pub(super) struct Variables(Vec<(&'static str, String)>);

impl Variables {
    /// Those of this process, now.
    pub(super) fn of_process() -> Variables {
        Variables::read(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    pub(super) fn read(read: impl Fn(&str) -> Option<String>) -> Variables {
        Variables(NAMES.into_iter().filter_map(|name| Some((name, read(name)?))).collect())
    }

    fn get(&self, wanted: &str) -> Option<(&'static str, &str)> {
        self.0.iter().find(|(name, _)| *name == wanted).map(|(name, value)| (*name, value.as_str()))
    }

    /// The variable that counts for this address, and its value; `None` if there is none, or the host is to be reached
    /// without.
    pub(super) fn proxy_for(&self, address: &Address) -> Option<(&'static str, &str)> {
        let set = |name| self.get(name).filter(|(_, value)| !value.is_empty());
        let own = if address.secure {
            set("https_proxy").or_else(|| set("HTTPS_PROXY"))
        } else {
            // A CGI program has the request's header `Proxy` in HTTP_PROXY (CVE-2016-5385).
            let is_ours = || self.get("REQUEST_METHOD").is_none();
            set("http_proxy").or_else(|| set("HTTP_PROXY").filter(|_| is_ours()))
        };
        let proxy = own.or_else(|| set("all_proxy")).or_else(|| set("ALL_PROXY"))?;
        let spared = set("no_proxy").or_else(|| set("NO_PROXY")).map(|(_, value)| value).unwrap_or_default();
        (!is_spared(spared, &address.host, address.port)).then_some(proxy)
    }
}

/// Whether the list names this host.
fn is_spared(list: &str, host: &Host<String>, port: u16) -> bool {
    let entries = list.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
    entries.into_iter().any(|entry| matches(entry, host, port))
}

fn matches(entry: &str, host: &Host<String>, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    let name = match host {
        Host::Domain(name) => name.trim_end_matches('.'),
        Host::Ipv4(address) => return matches_address(entry, (*address).into(), port),
        Host::Ipv6(address) => return matches_address(entry, (*address).into(), port),
    };
    let Some(entry) = for_port(entry, port) else { return false };
    let entry = entry.strip_prefix('*').unwrap_or(entry).trim_start_matches('.').trim_end_matches('.');
    let Some(at) = name.len().checked_sub(entry.len()) else { return false };
    let whole_labels = at == 0 || name.as_bytes()[at - 1] == b'.';
    // Bytes, since the entry's length may fall inside of a character of neither.
    !entry.is_empty() && whole_labels && name.as_bytes()[at..].eq_ignore_ascii_case(entry.as_bytes())
}

/// The entry without its port; `None` if that is another one.
fn for_port(entry: &str, port: u16) -> Option<&str> {
    match entry.rsplit_once(':') {
        Some((host, wanted)) => (wanted.parse() == Ok(port)).then_some(host),
        None => Some(entry),
    }
}

fn matches_address(entry: &str, address: IpAddr, port: u16) -> bool {
    // In brackets an IPv6 address may have a port.
    let entry = match entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inside, "")) => inside,
        Some((inside, behind)) if behind.strip_prefix(':').is_some_and(|p| p.parse() == Ok(port)) => inside,
        Some(_) => return false,
        None if address.is_ipv4() => match for_port(entry, port) {
            Some(entry) => entry,
            None => return false,
        },
        None => entry,
    };
    match entry.split_once('/') {
        Some((network, length)) => match (network.parse(), length.parse()) {
            (Ok(network), Ok(length)) => is_within(address, network, length),
            _ => false,
        },
        None => entry.parse() == Ok(address),
    }
}

/// RFC 4632 and RFC 4291 section 2.3.
fn is_within(address: IpAddr, network: IpAddr, length: u32) -> bool {
    let (address, network, bits) = match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            (u128::from(address.to_bits()), u128::from(network.to_bits()), 32)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => (address.to_bits(), network.to_bits(), 128),
        _ => return false,
    };
    length <= bits && (address ^ network).checked_shr(bits - length).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(url: &str, variables: &[(&str, &str)]) -> Option<String> {
        let read = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let address = Address::parse(url).unwrap();
        Variables::read(read).proxy_for(&address).map(|(_, value)| value.to_owned())
    }

    #[test]
    fn each_scheme_has_its_variable_lower_case_first_and_all_proxy_is_the_last() {
        let all = [
            ("https_proxy", "a"),
            ("HTTPS_PROXY", "b"),
            ("http_proxy", "c"),
            ("HTTP_PROXY", "d"),
            ("all_proxy", "e"),
            ("ALL_PROXY", "f"),
        ];
        let of = |url: &str, from: usize| chosen(url, &all[from..]);
        assert_eq!(of("wss://h", 0).as_deref(), Some("a"));
        assert_eq!(of("wss://h", 1).as_deref(), Some("b"));
        assert_eq!(of("wss://h", 2).as_deref(), Some("e"));
        assert_eq!(of("ws://h", 0).as_deref(), Some("c"));
        assert_eq!(of("ws://h", 3).as_deref(), Some("d"));
        assert_eq!(of("ws://h", 4).as_deref(), Some("e"));
        assert_eq!(of("ws://h", 5).as_deref(), Some("f"));
        assert_eq!(of("ws://h", 6), None);
        assert_eq!(chosen("ws://h", &[("http_proxy", ""), ("ALL_PROXY", "f")]).as_deref(), Some("f"));
    }

    #[test]
    fn a_cgi_programs_http_proxy_is_the_requests_and_does_not_count() {
        let cgi = ("REQUEST_METHOD", "GET");
        assert_eq!(chosen("ws://h", &[("HTTP_PROXY", "evil"), cgi]), None);
        assert_eq!(chosen("ws://h", &[("http_proxy", "good"), cgi]).as_deref(), Some("good"));
        assert_eq!(chosen("wss://h", &[("HTTPS_PROXY", "good"), cgi]).as_deref(), Some("good"));
    }

    fn spared(list: &str, url: &str) -> bool {
        chosen(url, &[("ALL_PROXY", "p"), ("NO_PROXY", list)]).is_none()
    }

    #[test]
    fn no_proxy_spares_hosts_and_their_subdomains() {
        for list in [
            "example.com",
            ".example.com",
            "*.example.com",
            "EXAMPLE.com.",
            "a,example.com",
            "a example.com",
            "a, example.com ,b",
            "example.com:80",
            "*",
            "x,*",
        ] {
            assert!(spared(list, "ws://example.com/"), "{list}");
            assert!(spared(list, "ws://www.example.com:80/"), "{list}");
            assert!(spared(list, "ws://a.b.Example.com./"), "{list}");
        }
        for list in [
            "",
            ",",
            ".",
            "com.example",
            "xample.com",
            "w.example.com",
            "example.com:81",
            "example.com:x",
            "é",
        ] {
            assert!(!spared(list, "ws://example.com/"), "{list}");
        }
        assert!(!spared("example.com", "ws://notexample.com/"));
        assert!(!spared("example.com:443", "ws://example.com/"));
        assert!(spared("example.com:443", "wss://example.com/"));
        assert!(spared("com", "ws://example.com/"));
        assert!(chosen("ws://h", &[("ALL_PROXY", "p"), ("no_proxy", "h"), ("NO_PROXY", "i")]).is_none());
        assert!(chosen("ws://i", &[("ALL_PROXY", "p"), ("no_proxy", "h"), ("NO_PROXY", "i")]).is_some());
    }

    #[test]
    fn no_proxy_spares_addresses_and_networks() {
        for list in
            ["192.0.2.7", "192.0.2.7:80", "192.0.2.0/24", "192.0.2.7/32", "0.0.0.0/0", "a,192.0.2.6/31"]
        {
            assert!(spared(list, "ws://192.0.2.7/"), "{list}");
        }
        for list in [
            "192.0.2.8",
            "192.0.2.7:81",
            "192.0.2.8/29",
            "192.0.2.0/33",
            "192.0.2.0/x",
            "2.7",
            ".0.2.7",
            "::/0",
            "192.0.2.0/-1",
        ] {
            assert!(!spared(list, "ws://192.0.2.7/"), "{list}");
        }
        for list in
            ["2001:db8::7", "[2001:db8::7]", "[2001:db8::7]:80", "2001:db8::/32", "2001:DB8:0::7", "::/0"]
        {
            assert!(spared(list, "ws://[2001:db8::7]/"), "{list}");
        }
        for list in ["2001:db8::8", "[2001:db8::7]:81", "[2001:db8::7", "2001:db9::/32", "0.0.0.0/0"] {
            assert!(!spared(list, "ws://[2001:db8::7]/"), "{list}");
        }
    }
}
