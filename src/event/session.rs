//! The beginning and the end of sessions and attempts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{LinkError, header, names};
use crate::event::human;

/// Where an attempt went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Way {
    /// Its last URL, without its secrets.
    pub(crate) url: String,
    /// Which of the client's URLs it began with.
    pub(crate) index: usize,
    /// The URLs before the last one.
    pub(crate) redirects: Vec<String>,
}

impl Way {
    /// Only where it is not the usual one.
    fn tell(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.index > 0 || !self.redirects.is_empty() {
            write!(f, " at {}", self.url)?;
        }
        Ok(())
    }
}

/// A certificate in DER, shared by all copies of an event.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Der(Arc<[u8]>);

impl From<Vec<u8>> for Der {
    fn from(bytes: Vec<u8>) -> Der {
        Der(bytes.into())
    }
}

/// Not the whole page of numbers.
impl fmt::Debug for Der {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DER ({} bytes)", self.0.len())
    }
}

/// A session has opened.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    pub(crate) attempt: u32,
    pub(crate) first: bool,
    pub(crate) way: Way,
    pub(crate) subprotocol: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) peer_certificate: Option<Der>,
}

impl Opened {
    /// Which attempt in a row succeeded, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Whether this is the client's first session.
    pub fn is_first(&self) -> bool {
        self.first
    }

    /// The URL that the session is with, without user name, password and query.
    pub fn url(&self) -> &str {
        &self.way.url
    }

    /// Which of the client's URLs it was, counted from 0.
    pub fn url_index(&self) -> usize {
        self.way.index
    }

    /// The URLs that redirected this attempt, in order; shown as [`url`](Self::url) is.
    pub fn redirects(&self) -> &[String] {
        &self.way.redirects
    }

    /// The subprotocol that the server chose; always one of those asked for.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// All headers of the server's answer, in order.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The first header of this name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The certificate that the server has shown as its own, in DER, as it was verified by the settings; `None` for
    /// `ws:`.
    ///
    /// Its chain, and the certificate of an `https:` proxy on the way, are not kept.
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        self.peer_certificate.as_ref().map(|der| &*der.0)
    }
}

/// Of the headers their names, and no subprotocol: a cookie, or a token, does not belong into logs.
impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("attempt", &self.attempt)
            .field("first", &self.first)
            .field("way", &self.way)
            .field("headers", &names(&self.headers))
            .field("peer_certificate", &self.peer_certificate)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let again = if self.first { "" } else { " again" };
        write!(f, "open{again} (attempt {})", self.attempt)?;
        self.way.tell(f)
    }
}

/// Who began the end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Initiator {
    /// The user, by `close`.
    User,
    /// This library: a protocol fault, or a dead link.
    Library,
    /// The server, by a Close frame.
    Server,
    /// The network: the stream broke.
    Network,
}

/// A session has ended. There is exactly one for each [`Opened`].
#[derive(Clone, Debug)]
pub struct SessionClosed {
    pub(crate) code: u16,
    pub(crate) reason: String,
    pub(crate) clean: bool,
    pub(crate) by: Initiator,
    pub(crate) error: Option<LinkError>,
    pub(crate) retry_in: Option<Duration>,
}

impl SessionClosed {
    /// The code of the server's Close (1005 if it had none), whoever began; without one the code that we sent; 1006
    /// without any Close.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The reason that came with the code; often empty.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Whether both sides have sent a Close frame.
    pub fn is_clean(&self) -> bool {
        self.clean
    }

    /// Who began it.
    pub fn by(&self) -> Initiator {
        self.by
    }

    /// The failure that ended the session, unless it was closed on purpose.
    pub fn error(&self) -> Option<&LinkError> {
        self.error.as_ref()
    }

    /// How long until the next attempt; `None` if there will be none.
    pub fn retry_in(&self) -> Option<Duration> {
        self.retry_in
    }
}

impl fmt::Display for SessionClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clean = if self.clean { "cleanly" } else { "uncleanly" };
        write!(f, "closed {clean} with {}", self.code)?;
        if !self.reason.is_empty() {
            write!(f, " ({})", self.reason.escape_debug())?;
        }
        let by = match self.by {
            Initiator::User => "us",
            Initiator::Library => "this library",
            Initiator::Server => "the server",
            Initiator::Network => "the network",
        };
        write!(f, " by {by}")?;
        if let Some(error) = &self.error {
            write!(f, ": {error}")?;
        }
        next(f, self.retry_in)
    }
}

/// An attempt to connect has failed.
#[derive(Clone, Debug)]
pub struct ConnectFailed {
    pub(crate) error: LinkError,
    pub(crate) attempt: u32,
    pub(crate) way: Way,
    pub(crate) retry_in: Option<Duration>,
}

impl ConnectFailed {
    /// Why it failed.
    pub fn error(&self) -> &LinkError {
        &self.error
    }

    /// Which attempt in a row it was, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The URL that failed, without user name, password and query.
    pub fn url(&self) -> &str {
        &self.way.url
    }

    /// Which of the client's URLs it was, counted from 0.
    pub fn url_index(&self) -> usize {
        self.way.index
    }

    /// The URLs that redirected this attempt, in order; shown as [`url`](Self::url) is.
    pub fn redirects(&self) -> &[String] {
        &self.way.redirects
    }

    /// How long until the next attempt; `None` if the client gives up.
    pub fn retry_in(&self) -> Option<Duration> {
        self.retry_in
    }
}

impl fmt::Display for ConnectFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attempt {} failed", self.attempt)?;
        self.way.tell(f)?;
        write!(f, ": {}", self.error)?;
        next(f, self.retry_in)
    }
}

fn next(f: &mut fmt::Formatter<'_>, retry_in: Option<Duration>) -> fmt::Result {
    match retry_in {
        Some(delay) => write!(f, "; next attempt in {}", human(delay)),
        None => f.write_str("; no further attempt"),
    }
}
