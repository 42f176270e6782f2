//! Where a redirect of the upgrade leads, and whether it is followed. Knows URLs only; connects to nothing.

use url::Url;

use crate::error::{RedirectFault, Refusal};

/// The redirects of one attempt.
#[derive(Default)]
pub(crate) struct Redirects {
    /// The URLs that this attempt was sent away from.
    left: Vec<Url>,
}

/// Where to go on.
#[derive(Debug, PartialEq)]
pub(crate) struct Onward {
    /// A `ws:` or `wss:` URL without user name, password and fragment.
    pub(crate) url: Url,
    /// Whether it is of the same origin (RFC 6454): else what authenticates the user stays behind.
    pub(crate) same_origin: bool,
}

/// Whether an answer is a redirect, and says where to.
pub(crate) fn location(refusal: &Refusal) -> Option<&str> {
    if matches!(refusal.status(), 301 | 302 | 303 | 307 | 308) { refusal.header("location") } else { None }
}

/// Whether a header says who the user is, to the one it was meant for alone.
pub(crate) fn authenticates(header: &str) -> bool {
    ["Authorization", "Cookie"].iter().any(|name| name.eq_ignore_ascii_case(header))
}

impl Redirects {
    /// Follows a `Location` that came from `from`, which is an URL as [`Onward`] has it. `most` are followed.
    pub(crate) fn follow(&mut self, from: &Url, location: &str, most: u32) -> Result<Onward, RedirectFault> {
        let url = target(from, location.trim()).ok_or(RedirectFault::Location)?;
        if from.scheme() == "wss" && url.scheme() == "ws" {
            return Err(RedirectFault::Downgrade);
        }
        if url == *from || self.left.contains(&url) {
            return Err(RedirectFault::Loop);
        }
        if self.left.len() >= most as usize {
            return Err(RedirectFault::TooMany);
        }
        self.left.push(from.clone());
        let same_origin = from.origin() == url.origin();
        Ok(Onward { url, same_origin })
    }
}

fn target(from: &Url, location: &str) -> Option<Url> {
    // The parser mends these in silence; in a header they are a mistake, or an attack.
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
    if location.is_empty() || location.contains(odd) {
        return None;
    }
    let mut url = from.join(location).ok()?;
    let scheme = match url.scheme() {
        "ws" | "http" => "ws",
        "wss" | "https" => "wss",
        _ => return None,
    };
    url.set_scheme(scheme).ok()?;
    url.set_fragment(None);
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    Some(url)
}
