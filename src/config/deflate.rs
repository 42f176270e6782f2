//! The settings of compression: what is offered to the server, and what is worth compressing.

use crate::config::check;
use crate::error::ConfigError;

/// Compression of messages with permessage-deflate (RFC 7692), for servers that know it.
///
/// It is offered to the server at each upgrade, and the server may decline; the header `Sec-WebSocket-Extensions` of
/// [`Opened`](crate::Opened) tells what was agreed. An answer that does not fit the offer fails the upgrade.
///
/// What it costs: a session holds 372 KiB from the first message that it compresses, less with a smaller window of the
/// client, and 47 KiB from the first one that it inflates. Both are kept between messages, so that each is compressed
/// in view of the last ones. Without context takeover nothing is kept: messages get larger, and an idle client gives
/// the memory back. A message of [`threshold`](Self::threshold) bytes or more is compressed whole, on the thread that
/// writes it.
///
/// Do not compress what a stranger may choose together with a secret in one session: the length tells of it (CRIME).
///
/// # Examples
///
/// ```no_run
/// # #[cfg(feature = "deflate")]
/// # fn main() -> Result<(), heartwire::Error> {
/// use heartwire::{Client, Deflate};
///
/// let client = Client::builder("wss://example.com/feed").compression(Deflate::new().level(3)).connect()?;
/// # drop(client); Ok(()) }
/// # #[cfg(not(feature = "deflate"))]
/// # fn main() {}
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deflate {
    pub(crate) level: u32,
    pub(crate) threshold: usize,
    pub(crate) server_no_context_takeover: bool,
    pub(crate) client_no_context_takeover: bool,
    pub(crate) server_max_window_bits: u8,
    pub(crate) client_max_window_bits: u8,
}

impl Deflate {
    /// The defaults.
    pub fn new() -> Deflate {
        Deflate {
            level: 6,
            threshold: 1024,
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        }
    }

    /// From 1, the fastest, to 9, the smallest. Default: 6.
    pub fn level(mut self, level: u32) -> Deflate {
        self.level = level;
        self
    }

    /// Shorter messages are sent as they are. Default: 1024 bytes. Empty ones always are.
    pub fn threshold(mut self, bytes: usize) -> Deflate {
        self.threshold = bytes;
        self
    }

    /// Demands that the server compress each message on its own, so that nothing need be kept here. Default: no.
    ///
    /// A server that does not promise it is refused.
    pub fn server_no_context_takeover(mut self, yes: bool) -> Deflate {
        self.server_no_context_takeover = yes;
        self
    }

    /// Compresses each message on its own. Default: no, unless the server demands it.
    pub fn client_no_context_takeover(mut self, yes: bool) -> Deflate {
        self.client_no_context_takeover = yes;
        self
    }

    /// Demands that the server use a window of at most this power of two, 8 to 15. Default: 15, which is no demand.
    ///
    /// A server that does not promise it is refused.
    pub fn server_max_window_bits(mut self, bits: u8) -> Deflate {
        self.server_max_window_bits = bits;
        self
    }

    /// Uses a window of at most this power of two, 8 to 15, to compress. Default: 15; the server may demand less.
    pub fn client_max_window_bits(mut self, bits: u8) -> Deflate {
        self.client_max_window_bits = bits;
        self
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        check::count("deflate level", self.level, 1..=9)?;
        check::count("server_max_window_bits", self.server_max_window_bits.into(), 8..=15)?;
        check::count("client_max_window_bits", self.client_max_window_bits.into(), 8..=15)
    }
}

impl Default for Deflate {
    fn default() -> Deflate {
        Deflate::new()
    }
}
