//! What exactly was wrong with the server: its TLS, its answer to the upgrade, its frames; or with the proxy before it.

use std::error::Error as StdError;
use std::fmt;

/// Characters of a server's word that an error's text shows.
const SHOWN: usize = 64;

/// A TLS failure: its kind, and the platform's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFault {
    pub(crate) kind: TlsFaultKind,
    pub(crate) text: String,
}

/// What TLS objected to, as far as the platform's words tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsFaultKind {
    /// The certificate is expired, not yet valid, self-signed, or of an unknown issuer.
    Certificate,
    /// The certificate is for another name.
    HostName,
    /// No pin (`Tls::pin_public_key`) fits the certificate or its key; the text has the hashes of both.
    Pin,
    /// No protocol version or cipher in common, or the other side does not speak TLS, or not HTTP/1.1 behind it (ALPN).
    Protocol,
    /// The stream ended in the middle of TLS, without its close_notify.
    Truncated,
    /// The server refused us, most often for want of a client certificate.
    Refused,
    /// Something else; read the text.
    Other,
}

impl TlsFault {
    /// What TLS objected to.
    pub fn kind(&self) -> TlsFaultKind {
        self.kind
    }

    /// The platform's own words, which differ between platforms and versions; of [`Pin`](TlsFaultKind::Pin) ours.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            TlsFaultKind::Certificate => "TLS refused the certificate",
            TlsFaultKind::HostName => "TLS refused the certificate's host name",
            TlsFaultKind::Pin => "TLS refused the certificate, which no pin fits",
            TlsFaultKind::Protocol => "TLS found no common protocol",
            TlsFaultKind::Truncated => "the TLS stream was cut short",
            TlsFaultKind::Refused => "the server refused the TLS handshake",
            TlsFaultKind::Other => "TLS failed",
        };
        write!(f, "{kind}: {}", self.text)
    }
}

impl StdError for TlsFault {}

/// The server's answer to the upgrade when it was not 101, or a proxy's to CONNECT when it was no success.
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Refusal {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// All headers of the answer, in order; bytes that are no UTF-8 are replaced.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The first header of this name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The first bytes of the body, as many as came with the headers, at most 4 KiB.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server refused the upgrade with HTTP status {}", self.status)
    }
}

/// Without the body, and of the headers their names: a cookie, or the token in a `Location`, does not belong into logs.
impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers = names(&self.headers);
        f.debug_struct("Refusal")
            .field("status", &self.status)
            .field("headers", &headers)
            .finish_non_exhaustive()
    }
}

/// What may be told of headers.
pub(crate) fn names(headers: &[(String, String)]) -> Vec<&str> {
    headers.iter().map(|(name, _)| name.as_str()).collect()
}

/// The first header of this name, in whatever case.
pub(crate) fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
    Some(&found.1)
}

/// Why a redirect is not followed. Where it leads to is left out of the error's text, since URLs hold tokens; the
/// header `Location` of the [`Refusal`] has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedirectFault {
    /// `Location` is no URL that a WebSocket can be opened to.
    Location,
    /// It leads from `wss:` to `ws:`.
    Downgrade,
    /// It leads to where this attempt has been.
    Loop,
    /// There were as many redirects in this attempt as the settings allow.
    TooMany,
}

impl fmt::Display for RedirectFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RedirectFault::Location => "leads to no URL of a WebSocket",
            RedirectFault::Downgrade => "leads from wss to ws",
            RedirectFault::Loop => "leads in a circle",
            RedirectFault::TooMany => "is one too many",
        })
    }
}

/// How a 101 answer breaks RFC 6455 section 4.2.2.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpgradeFault {
    /// It is not HTTP/1.1, or not HTTP at all.
    NotHttp,
    /// Its head is longer than 64 KiB, or has more than 128 headers.
    TooLong,
    /// A header that must be there once is not, or more than once; the name says which.
    Header(&'static str),
    /// `Sec-WebSocket-Accept` does not match our key: it is not an answer to our request.
    Accept,
    /// It names a subprotocol that was not asked for. The name is left out of the error's text: a server that sends all
    /// back that was offered tells a token among it.
    Subprotocol(String),
    /// It names an extension that was not asked for.
    Extension(String),
    /// It takes our offer of permessage-deflate (RFC 7692) with a parameter that is malformed, doubled, or does not
    /// fit, or without one that was demanded; the string says which.
    Deflate(String),
}

impl fmt::Display for UpgradeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpgradeFault::NotHttp => f.write_str("it is not an HTTP/1.1 answer"),
            UpgradeFault::TooLong => f.write_str("its head is too long"),
            UpgradeFault::Header(name) => write!(f, "the header {name} is missing or wrong"),
            UpgradeFault::Accept => f.write_str("Sec-WebSocket-Accept does not match the key"),
            UpgradeFault::Subprotocol(_) => f.write_str("its subprotocol was not asked for"),
            UpgradeFault::Extension(name) => {
                write!(f, "the extension {} was not asked for", shown(name))
            }
            UpgradeFault::Deflate(parameter) => {
                write!(f, "its permessage-deflate does not fit the offer: {}", shown(parameter))
            }
        }
    }
}

/// A log line, not 64 KiB of the server's.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect::<String>().escape_debug().to_string()
}

/// What was wrong with a proxy's answer, or why a SOCKS proxy refused. An HTTP proxy's refusal is a [`Refusal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyFault {
    /// The answer to CONNECT is not HTTP/1.
    NotHttp,
    /// The head of the answer to CONNECT is longer than 64 KiB, or has more than 128 headers.
    TooLong,
    /// The answer is not SOCKS version 5 (RFC 1928).
    NotSocks,
    /// The SOCKS proxy takes none of the ways to log in that were offered: it wants a user name and password, and none
    /// are set; or it wants something else.
    Method,
    /// The SOCKS proxy refused the user name and password (RFC 1929).
    Credentials,
    /// The SOCKS proxy did not connect us; the number is its reply (RFC 1928 section 6).
    Socks(u8),
    /// It sent bytes that nobody had asked for: before our request was whole, or behind its answer. A server speaks
    /// only when spoken to, so they are not the server's.
    Unasked,
}

impl fmt::Display for ProxyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProxyFault::NotHttp => "the proxy's answer is not HTTP/1",
            ProxyFault::TooLong => "the head of the proxy's answer is too long",
            ProxyFault::NotSocks => "the proxy's answer is not SOCKS 5",
            ProxyFault::Method => "the SOCKS proxy wants another login than the one offered",
            ProxyFault::Credentials => "the SOCKS proxy refused the user name and password",
            ProxyFault::Unasked => "the proxy sent bytes that nobody had asked for",
            ProxyFault::Socks(reply) => {
                let meaning = match reply {
                    1 => "general failure",
                    2 => "not allowed by its rules",
                    3 => "the network is unreachable",
                    4 => "the host is unreachable",
                    5 => "connection refused",
                    6 => "the TTL expired",
                    7 => "CONNECT is not supported",
                    8 => "the type of address is not supported",
                    _ => "an unknown failure",
                };
                return write!(f, "the SOCKS proxy did not connect: {meaning} ({reply})");
            }
        })
    }
}

/// How the server broke RFC 6455 after the upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolFault {
    /// A reserved bit is set that no negotiated extension has a meaning for there (section 5.2).
    ReservedBits,
    /// An opcode that is not defined (section 5.2).
    Opcode(u8),
    /// A frame from the server is masked (section 5.1).
    Masked,
    /// A length not in its shortest form, or with its top bit set (section 5.2).
    Length,
    /// A control frame that is fragmented or longer than 125 bytes (section 5.5).
    ControlFrame,
    /// A continuation without a start (section 5.4).
    UnexpectedContinuation,
    /// A new message inside a fragmented one (section 5.4).
    UnfinishedMessage,
    /// Text that is no UTF-8 (section 8.1).
    Utf8,
    /// A compressed message that cannot be inflated (RFC 7692 section 7.2.2).
    Deflate,
    /// A Close frame with a payload of one byte, a code that must not be sent, or a reason that is no UTF-8.
    CloseFrame,
    /// A message longer than the limit; the number is the limit in bytes.
    TooBig(u64),
    /// A message within the limit for which this process has no memory; the number is how many bytes of it had come.
    /// Not the server's doing, but answered like a message that is too big.
    NoMemory(u64),
}

impl ProtocolFault {
    /// The close code that answers it (RFC 6455 section 7.4.1).
    pub fn close_code(self) -> u16 {
        match self {
            ProtocolFault::Utf8 | ProtocolFault::Deflate => 1007,
            ProtocolFault::TooBig(_) | ProtocolFault::NoMemory(_) => 1009,
            _ => 1002,
        }
    }
}

impl fmt::Display for ProtocolFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProtocolFault::ReservedBits => f.write_str("a reserved bit is set"),
            ProtocolFault::Opcode(code) => write!(f, "opcode {code} is reserved"),
            ProtocolFault::Masked => f.write_str("a masked frame"),
            ProtocolFault::Length => f.write_str("a badly encoded length"),
            ProtocolFault::ControlFrame => f.write_str("a control frame fragmented or too long"),
            ProtocolFault::UnexpectedContinuation => f.write_str("a continuation without a start"),
            ProtocolFault::UnfinishedMessage => f.write_str("a new message inside another"),
            ProtocolFault::Utf8 => f.write_str("text that is not UTF-8"),
            ProtocolFault::Deflate => f.write_str("a compressed message that cannot be inflated"),
            ProtocolFault::CloseFrame => f.write_str("a bad Close frame"),
            ProtocolFault::TooBig(limit) => write!(f, "a message of more than {limit} bytes"),
            ProtocolFault::NoMemory(bytes) => {
                write!(f, "there is no memory for a message of more than {bytes} bytes")
            }
        }
    }
}
