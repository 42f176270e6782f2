//! The cookies that servers set, and which of them go back with a request (RFC 6265). Knows URLs and headers; reads no
//! clock, and writes no log line: a cookie's value is a secret.
//!
//! What a cookie is allowed is decided by section 5 of the RFC, and by RFC 6265bis where that is stricter (secure
//! cookies, prefixes). There is no list of public suffixes: a `Domain` needs a dot, and reaches no host but those that
//! the program, or a redirect, names.

mod set_cookie;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use url::{Host, Url};

use set_cookie::SetCookie;

/// More than browsers keep for one site. The one that was set first makes room.
const MOST: usize = 180;
/// Of name, value, domain and path together (section 6.1); what is longer is not kept.
const LONGEST: usize = 4096;

/// One client's cookies. No `Debug`: it holds secrets.
#[derive(Default)]
pub(crate) struct Jar {
    /// In the order in which they were first set.
    kept: Vec<Kept>,
}

struct Kept {
    name: String,
    value: String,
    /// In lower case, without a dot in front.
    domain: String,
    /// For this host and none below it.
    host_only: bool,
    path: String,
    secure: bool,
    /// `None`: as long as the client lives.
    expires: Option<SystemTime>,
}

impl Jar {
    /// Takes what this answer sets; it came from this `ws:` or `wss:` URL.
    pub(crate) fn store(&mut self, url: &Url, headers: &[(String, String)], now: SystemTime) {
        let set = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("Set-Cookie"));
        for (_, value) in set {
            if let Some(new) = read(url, value, now)
                && (is_secure(url) || !self.would_hide(&new, now))
            {
                self.put(new, now);
            }
        }
    }

    /// Whether it would come beside, or in the place of, one that only secure connections may set (RFC 6265bis section 5.7).
    fn would_hide(&self, new: &Kept, now: SystemTime) -> bool {
        let near = |kept: &Kept| is_below(&kept.domain, &new.domain) || is_below(&new.domain, &kept.domain);
        self.kept.iter().any(|kept| {
            kept.secure
                && !kept.is_over(now)
                && kept.name == new.name
                && near(kept)
                && path_fits(&new.path, &kept.path)
        })
    }

    fn put(&mut self, new: Kept, now: SystemTime) {
        self.kept.retain(|kept| !kept.is_over(now));
        let same = |kept: &Kept| {
            (&kept.name, &kept.domain, &kept.path, kept.host_only)
                == (&new.name, &new.domain, &new.path, new.host_only)
        };
        let at = self.kept.iter().position(same);
        match at {
            Some(at) if new.is_over(now) => drop(self.kept.remove(at)),
            Some(at) => self.kept[at] = new,
            None if new.is_over(now) => {}
            None => {
                if self.kept.len() >= MOST {
                    self.kept.remove(0);
                }
                self.kept.push(new);
            }
        }
    }

    /// The headers of a request to this URL, with the cookies that are for it; `None` if there are none. Those that the
    /// program sends itself come first, and it is they that count where the jar has the same name: one header in all
    /// (section 5.4).
    pub(crate) fn fill(
        &self,
        url: &Url,
        headers: &[(String, String)],
        now: SystemTime,
    ) -> Option<Vec<(String, String)>> {
        let is_cookie = |header: &&(String, String)| header.0.eq_ignore_ascii_case("Cookie");
        let own: Vec<&str> = headers.iter().filter(is_cookie).map(|(_, value)| value.trim()).collect();
        let own_names: Vec<&str> = own
            .iter()
            .flat_map(|value| value.split(';'))
            .map(|pair| pair.split('=').next().unwrap_or_default().trim())
            .collect();
        let mut found: Vec<&Kept> = self
            .kept
            .iter()
            .filter(|kept| kept.is_for(url) && !kept.is_over(now) && !own_names.contains(&kept.name.as_str()))
            .collect();
        if found.is_empty() {
            return None;
        }
        // Longer paths first, and among equals, since the sort keeps their order, the one that was set first.
        found.sort_by_key(|kept| std::cmp::Reverse(kept.path.len()));
        let pairs = found.iter().map(|kept| format!("{}={}", kept.name, kept.value));
        let all: Vec<String> = own.iter().map(|own| own.to_string()).chain(pairs).collect();
        let mut filled: Vec<(String, String)> =
            headers.iter().filter(|header| !is_cookie(header)).cloned().collect();
        filled.push(("Cookie".to_owned(), all.join("; ")));
        Some(filled)
    }
}

impl Kept {
    fn is_over(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    fn is_for(&self, url: &Url) -> bool {
        let Some(host) = url.host() else { return false };
        let host_fits = match &host {
            _ if self.host_only => host.to_string() == self.domain,
            Host::Domain(name) => is_below(name, &self.domain),
            // Addresses have no domains below them.
            _ => false,
        };
        host_fits && (!self.secure || is_secure(url)) && path_fits(url.path(), &self.path)
    }
}

/// Section 5.3, from a header's value to what is kept; `None` for what must not be.
fn read(url: &Url, header: &str, now: SystemTime) -> Option<Kept> {
    let set = SetCookie::read(header)?;
    // It has to go into a header as it is. What is not ASCII came here with its bytes replaced.
    let good = |text: &str| text.bytes().all(|byte| matches!(byte, 0x20..0x7F));
    if !good(set.name) || !good(set.value) {
        return None;
    }
    // Nobody on a plain connection is to set what is for secure ones.
    if set.secure && !is_secure(url) {
        return None;
    }
    let (domain, host_only) = domain(url, set.domain)?;
    let prefixed =
        |prefix: &str| set.name.get(..prefix.len()).is_some_and(|s| s.eq_ignore_ascii_case(prefix));
    let bad_prefix = (prefixed("__Secure-") && !set.secure)
        || (prefixed("__Host-") && !(set.secure && set.domain.is_none() && set.path == Some("/")));
    if bad_prefix {
        return None;
    }
    let expires = match set.max_age {
        Some(age) if age <= 0 => Some(SystemTime::UNIX_EPOCH),
        // One that ends after the end of time does not.
        Some(age) => now.checked_add(Duration::from_secs(age.unsigned_abs())),
        None => set.expires,
    };
    let (name, value) = (set.name.to_owned(), set.value.to_owned());
    let path = set.path.map_or_else(|| default_path(url), str::to_owned);
    let length = name.len() + value.len() + domain.len() + path.len();
    (length <= LONGEST).then_some(Kept { name, value, domain, host_only, path, secure: set.secure, expires })
}

/// The domain, and whether it means the host alone; `None` for one that this host cannot speak for.
fn domain(url: &Url, given: Option<&str>) -> Option<(String, bool)> {
    let host = url.host()?;
    let own = host.to_string();
    let Some(given) = given.map(str::to_ascii_lowercase) else { return Some((own, true)) };
    // Neither an address nor a name of one label has anything below it.
    let has_hosts = matches!(host, Host::Domain(_)) && given.contains('.');
    if has_hosts && is_below(&own, &given) {
        Some((given, false))
    } else {
        (given == own).then_some((own, true))
    }
}

fn is_secure(url: &Url) -> bool {
    url.scheme() == "wss"
}

/// Section 5.1.3.
fn is_below(name: &str, domain: &str) -> bool {
    name == domain || name.strip_suffix(domain).is_some_and(|front| front.ends_with('.'))
}

/// Section 5.1.4.
fn path_fits(path: &str, of_cookie: &str) -> bool {
    path == of_cookie
        || path.strip_prefix(of_cookie).is_some_and(|rest| of_cookie.ends_with('/') || rest.starts_with('/'))
}

/// Section 5.1.4: the folder of the URL.
fn default_path(url: &Url) -> String {
    let path = url.path();
    match path.rfind('/') {
        Some(0) | None => "/".to_owned(),
        Some(at) => path[..at].to_owned(),
    }
}
