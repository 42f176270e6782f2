//! Why something failed: one type per verb, and [`Error`] over them all for `?`.
//!
//! A call that was given something wrong answers at once with the type of its verb. What goes wrong
//! later, on the network, is a [`LinkError`] inside an event: it names the [`Phase`] and the [`Cause`].

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::event::End;

/// The steps of a connection, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Phase {
    /// Looking the host's name up.
    Resolve,
    /// Connecting TCP.
    Connect,
    /// The TLS handshake, and every TLS failure after it.
    Tls,
    /// The HTTP upgrade (RFC 6455 section 4).
    Upgrade,
    /// Messages flow.
    Open,
    /// The closing handshake (RFC 6455 section 7).
    Close,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Resolve => "name lookup",
            Phase::Connect => "TCP connect",
            Phase::Tls => "TLS",
            Phase::Upgrade => "upgrade",
            Phase::Open => "open connection",
            Phase::Close => "closing handshake",
        })
    }
}

/// Why the link is down: the step that failed, and the cause.
///
/// Cheap to clone. Whether another attempt follows stands in the event that carries the error,
/// since that depends on the client's settings.
#[derive(Clone, Debug)]
pub struct LinkError {
    phase: Phase,
    cause: Cause,
}

/// What went wrong in a [`Phase`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The step took longer than its deadline.
    TimedOut,
    /// The operating system reported a failure; name lookups that fail are here too.
    Io(Arc<io::Error>),
    /// TLS refused the peer, or the peer refused us.
    Tls(TlsFault),
    /// The server answered the upgrade with a status other than 101.
    Refused(Arc<Refusal>),
    /// The server's 101 breaks RFC 6455 section 4.2.2.
    BadUpgrade(UpgradeFault),
    /// The server broke the protocol; we answered with this fault's close code.
    Protocol(ProtocolFault),
    /// The stream ended without a Close frame.
    EndOfStream,
    /// The server closed the connection with this code (1005: it gave none) and reason.
    Closed {
        /// The code, RFC 6455 section 7.4.
        code: u16,
        /// The reason; often empty.
        reason: String,
    },
    /// No answer to this many heartbeats: the link is dead although TCP has not noticed.
    Silent {
        /// How many beats stayed without an answer.
        missed: u32,
    },
}

impl LinkError {
    pub(crate) fn new(phase: Phase, cause: Cause) -> LinkError {
        LinkError { phase, cause }
    }

    pub(crate) fn io(phase: Phase, error: io::Error) -> LinkError {
        LinkError::new(phase, Cause::Io(Arc::new(error)))
    }

    /// The step that failed.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// What went wrong in it.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// The operating system's error number, where there was one.
    pub fn os_error(&self) -> Option<i32> {
        match &self.cause {
            Cause::Io(error) => error.raw_os_error(),
            _ => None,
        }
    }

    /// The HTTP status with which the server refused the upgrade.
    pub fn http_status(&self) -> Option<u16> {
        match &self.cause {
            Cause::Refused(refusal) => Some(refusal.status),
            _ => None,
        }
    }

    /// The server's refusal of the upgrade: status, headers and the start of the body.
    pub fn refusal(&self) -> Option<&Refusal> {
        match &self.cause {
            Cause::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = self.phase;
        match &self.cause {
            Cause::TimedOut => write!(f, "{phase} timed out"),
            Cause::Io(error) => write!(f, "{phase} failed: {error}"),
            Cause::Tls(fault) => write!(f, "{fault}"),
            Cause::Refused(refusal) => write!(f, "{refusal}"),
            Cause::BadUpgrade(fault) => write!(f, "the server's upgrade answer is wrong: {fault}"),
            Cause::Protocol(fault) => write!(f, "the server broke the protocol: {fault}"),
            Cause::EndOfStream => write!(f, "{phase} ended without a Close frame"),
            Cause::Closed { code, reason } if reason.is_empty() => {
                write!(f, "the server closed with {code}")
            }
            Cause::Closed { code, reason } => {
                write!(f, "the server closed with {code} ({})", reason.escape_debug())
            }
            Cause::Silent { missed } => write!(f, "no answer to {missed} heartbeats"),
        }
    }
}

impl StdError for LinkError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.cause {
            Cause::Io(error) => Some(&**error),
            _ => None,
        }
    }
}

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
    /// No protocol version or cipher in common, or the other side does not speak TLS.
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

    /// The platform's own words; they differ between platforms and versions.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            TlsFaultKind::Certificate => "TLS refused the certificate",
            TlsFaultKind::HostName => "TLS refused the certificate's host name",
            TlsFaultKind::Protocol => "TLS found no common protocol",
            TlsFaultKind::Truncated => "the TLS stream was cut short",
            TlsFaultKind::Refused => "the server refused the TLS handshake",
            TlsFaultKind::Other => "TLS failed",
        };
        write!(f, "{kind}: {}", self.text)
    }
}

impl StdError for TlsFault {}

/// The server's answer to the upgrade when it was not 101.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// The first header of this name, in whatever case.
pub(crate) fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
    Some(&found.1)
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
    /// It names a subprotocol that was not asked for.
    Subprotocol(String),
    /// It names an extension that was not asked for.
    Extension(String),
}

impl fmt::Display for UpgradeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpgradeFault::NotHttp => f.write_str("it is not an HTTP/1.1 answer"),
            UpgradeFault::TooLong => f.write_str("its head is too long"),
            UpgradeFault::Header(name) => write!(f, "the header {name} is missing or wrong"),
            UpgradeFault::Accept => f.write_str("Sec-WebSocket-Accept does not match the key"),
            UpgradeFault::Subprotocol(name) => {
                write!(f, "the subprotocol {} was not asked for", name.escape_debug())
            }
            UpgradeFault::Extension(name) => {
                write!(f, "the extension {} was not asked for", name.escape_debug())
            }
        }
    }
}

/// How the server broke RFC 6455 after the upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolFault {
    /// A reserved bit is set although no extension was negotiated (section 5.2).
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
    /// A Close frame with a payload of one byte, a code that must not be sent, or a reason that is no UTF-8.
    CloseFrame,
    /// A message longer than the limit; the number is the limit in bytes.
    TooBig(u64),
}

impl ProtocolFault {
    /// The close code that answers it (RFC 6455 section 7.4.1).
    pub fn close_code(self) -> u16 {
        match self {
            ProtocolFault::Utf8 => 1007,
            ProtocolFault::TooBig(_) => 1009,
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
            ProtocolFault::CloseFrame => f.write_str("a bad Close frame"),
            ProtocolFault::TooBig(limit) => write!(f, "a message of more than {limit} bytes"),
        }
    }
}

/// A setting that cannot be: which one, and why. Nothing was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    pub(crate) setting: &'static str,
    pub(crate) problem: String,
}

impl ConfigError {
    pub(crate) fn new(setting: &'static str, problem: impl Into<String>) -> ConfigError {
        ConfigError { setting, problem: problem.into() }
    }

    /// The builder method, or the part of the URL, that was given something wrong.
    pub fn setting(&self) -> &'static str {
        self.setting
    }

    /// What is wrong with it and, where there is one, what to do.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.problem)
    }
}

impl StdError for ConfigError {}

/// Why [`Client::connect`](crate::Client::connect) did not begin.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// It was called before on this client. The link is kept up already.
    AlreadyConnected,
    /// The client was closed. Build a new one.
    Closed,
    /// The outbox did not take the first message.
    First(SendError),
    /// The event loop could not be started: no thread, or no descriptor, was to be had.
    Start(io::Error),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::AlreadyConnected => f.write_str("connect was called before"),
            ConnectError::Closed => f.write_str("the client is closed"),
            ConnectError::First(error) => write!(f, "the first message: {error}"),
            ConnectError::Start(error) => write!(f, "the event loop did not start: {error}"),
        }
    }
}

impl StdError for ConnectError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            ConnectError::First(error) => Some(error),
            ConnectError::Start(error) => Some(error),
            _ => None,
        }
    }
}

/// Why a message was not accepted. Nothing was queued or sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The outbox is at its limit. Wait for `writable`, or drop something.
    Full,
    /// The client was closed, or gave up reconnecting. Build a new one.
    Closed,
    /// The message is longer than the outbox may ever hold; the number is that limit in bytes.
    TooBig(usize),
    /// A ping's payload is longer than 125 bytes (RFC 6455 section 5.5).
    PingTooLong,
    /// A ping was asked for while no session is open; pings are not queued.
    NotOpen,
    /// The outbox is full and set to block, and this is the thread that empties it.
    WouldDeadlock,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Full => f.write_str("the outbox is full"),
            SendError::Closed => f.write_str("the client is closed"),
            SendError::TooBig(limit) => write!(f, "longer than the limit of {limit} bytes"),
            SendError::PingTooLong => f.write_str("a ping carries at most 125 bytes"),
            SendError::NotOpen => f.write_str("no session is open"),
            SendError::WouldDeadlock => f.write_str("waiting here would stop the event loop"),
        }
    }
}

impl StdError for SendError {}

/// Why [`Client::close`](crate::Client::close) did not begin. The client goes on as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseError {
    /// A client may send 1000, 1001, 1003, 1007 to 1014 and 3000 to 4999 (RFC 6455 section 7.4).
    Code(u16),
    /// The reason is longer than 123 bytes; the number is its length.
    ReasonTooLong(usize),
}

impl fmt::Display for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CloseError::Code(code) => write!(f, "the close code {code} may not be sent"),
            CloseError::ReasonTooLong(len) => {
                write!(f, "the close reason has {len} bytes; 123 is the limit")
            }
        }
    }
}

impl StdError for CloseError {}

/// Why waiting ended without what was waited for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WaitError {
    /// The time was up. Nothing is lost by waiting again.
    TimedOut,
    /// The client has ended, so it can no longer happen.
    Closed(Box<End>),
    /// The calling thread runs the event loop: what is waited for could never happen.
    WouldDeadlock,
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WaitError::TimedOut => f.write_str("timed out"),
            WaitError::Closed(end) => write!(f, "the client has ended: {end}"),
            WaitError::WouldDeadlock => f.write_str("waiting here would stop the event loop"),
        }
    }
}

impl StdError for WaitError {}

/// Why there is no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvError {
    /// No event came in time. Call again.
    TimedOut,
    /// The client has ended and every event was taken.
    Closed,
    /// Events go to handlers or to [`Client::events`](crate::Client::events) already.
    Taken,
    /// The calling thread runs the event loop: no event could ever come.
    WouldDeadlock,
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RecvError::TimedOut => "no event in time",
            RecvError::Closed => "the client has ended",
            RecvError::Taken => "events go to handlers or to a receiver",
            RecvError::WouldDeadlock => "waiting here would stop the event loop",
        })
    }
}

impl StdError for RecvError {}

/// Any failure of this crate, for programs that just want `?`.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A setting cannot be.
    Config(ConfigError),
    /// `connect` did not begin.
    Connect(ConnectError),
    /// A message was not accepted.
    Send(SendError),
    /// `close` did not begin.
    Close(CloseError),
    /// A wait ended without what was waited for.
    Wait(WaitError),
    /// There is no event.
    Recv(RecvError),
    /// The link is down.
    Link(LinkError),
}

macro_rules! gathered {
    ($($variant:ident($of:ty)),*) => {
        $(impl From<$of> for Error {
            fn from(error: $of) -> Error {
                Error::$variant(error)
            }
        })*

        impl fmt::Display for Error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Error::$variant(error) => error.fmt(f),)*
                }
            }
        }

        impl StdError for Error {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                match self {
                    $(Error::$variant(error) => Some(error),)*
                }
            }
        }
    };
}

gathered!(
    Config(ConfigError),
    Connect(ConnectError),
    Send(SendError),
    Close(CloseError),
    Wait(WaitError),
    Recv(RecvError),
    Link(LinkError)
);

/// A length of time as people read it: `250 ms`, `1.5 s`.
pub(crate) fn human(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}
