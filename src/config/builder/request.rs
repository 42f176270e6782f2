//! Where attempts go, and what they ask for.

use std::error::Error as StdError;
use std::time::Duration;

use super::Builder;
use crate::before_connect::{Attempt, Hook};

impl Builder {
    /// Adds a further URL of the same service; may be called repeatedly, for up to 64 in all.
    ///
    /// They are of equal rank and take turns: one that works is kept, and after a failed attempt, or a session
    /// that was not [stable](crate::Reconnect::stable_after), the next one is tried. Delays and limits of
    /// [`reconnect`](Builder::reconnect) count over all of them, but a failure that is not worth another attempt, a TLS
    /// failure and a server's `Retry-After` concern the one URL only as long as there is another to try.
    /// [`Opened::url`](crate::Opened::url) tells which one it is.
    pub fn add_url(mut self, url: impl Into<String>) -> Builder {
        self.urls.push(url.into());
        self
    }

    /// How long a URL that failed comes after those that have not. Default: 60 s.
    ///
    /// That is twice the longest usual delay between attempts, so that a dead server is passed over while others are
    /// tried, and one that restarts has its turn within the minute. If all have failed lately, they take turns.
    pub fn url_penalty(mut self, time: Duration) -> Builder {
        self.url_penalty = time;
        self
    }

    /// How many redirects (301, 302, 303, 307, 308) an attempt follows, up to 20; 0 follows none. Default: 5.
    ///
    /// `http:` and `https:` stand for `ws:` and `wss:`. None is followed from `wss:` to `ws:`, nor in a circle. Where
    /// the origin changes (scheme, host or port, RFC 6454), `Authorization`, `Cookie` and the URL's user name and
    /// password are left out; all other headers, the subprotocols and the greetings go along. The next attempt begins
    /// with the configured URL again.
    pub fn redirects(mut self, most: u32) -> Builder {
        self.redirects = most;
        self
    }

    /// Whether the cookies that servers set with their answer to the upgrade, be it a 101, a refusal or a redirect, are
    /// kept and sent back with the next one. Default: no.
    ///
    /// As browsers do (RFC 6265): to the host that set them, or below its `Domain`, within their `Path`, with `Secure`
    /// over `wss:` only, and until they expire. They live as long as the client, in memory alone, and go through
    /// reconnects, redirects and all its URLs; 180 of up to 4 KiB are kept. Their values are never logged.
    ///
    /// A `Cookie` header that the program sets, here or in [`before_connect`](Builder::before_connect), goes out, too,
    /// in one header with those that are kept: its pairs come first, and count where a kept one has the same name.
    pub fn cookies(mut self, keep: bool) -> Builder {
        self.cookies = keep;
        self
    }

    /// Asks this ahead of every attempt, which it may change: a fresh token in a header or in the URL, other
    /// subprotocols and greetings; it may put the attempt off, or stop the client for good. An error fails the
    /// attempt, and the next one comes after the usual delay.
    ///
    /// It runs on a thread of a small pool, so it may take its time, to fetch a token for example, within the
    /// [`connect_timeout`](Builder::connect_timeout): an attempt whose time is up fails, and the next one waits for
    /// the call that still runs. It is never called twice at once for one client. A close does not wait for it; the
    /// drop of the last handle does, outside of handlers. Eight run at once in a process.
    ///
    /// With it the HTTP statuses 401, 403 and 407, what a SOCKS proxy says instead of the last two, and the close code
    /// 1008, are not fatal at once: it gets one chance to do something about them. They are when they come again, a
    /// status before a session has opened, the close code before one was [stable](crate::Reconnect::stable_after).
    ///
    /// A panic in it closes the client. The last one given counts.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn fetch_token() -> Result<String, std::io::Error> { Ok("abc".into()) }
    /// let builder = heartwire::Client::builder("wss://example.com/feed").before_connect(|attempt| {
    ///     let token = fetch_token()?;
    ///     attempt.set_header("Authorization", &format!("Bearer {token}"))?;
    ///     Ok(())
    /// });
    /// # let _ = builder;
    /// ```
    pub fn before_connect(
        mut self,
        call: impl FnMut(&mut Attempt) -> Result<(), Box<dyn StdError + Send + Sync>> + Send + 'static,
    ) -> Builder {
        self.before_connect = Some(Hook::new(call));
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
}
