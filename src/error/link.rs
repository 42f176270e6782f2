//! Why the link is down: the phase that failed, and the cause.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::error::{ProtocolFault, ProxyFault, RedirectFault, Refusal, TlsFault, UpgradeFault};

/// The steps of a connection, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Phase {
    /// Asking the program's `before_connect`.
    Prepare,
    /// Looking the host's name up.
    Resolve,
    /// Connecting: TCP, a Unix socket, or what the program dials.
    Connect,
    /// All that a proxy has a part in before the way through it is open: its name, TCP and TLS with it, its answer.
    Proxy,
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
            Phase::Prepare => "before_connect",
            Phase::Resolve => "name lookup",
            Phase::Connect => "connect",
            Phase::Proxy => "proxy",
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
    /// The server answered the upgrade with a status other than 101, or in the phase [`Proxy`](Phase::Proxy) a proxy
    /// the CONNECT with one that is no success.
    Refused(Arc<Refusal>),
    /// The proxy's answer is wrong, or a SOCKS proxy's refusal.
    Proxy(ProxyFault),
    /// The server redirected the upgrade to where it is not followed.
    BadRedirect {
        /// What is wrong with it.
        fault: RedirectFault,
        /// The answer itself.
        refusal: Arc<Refusal>,
    },
    /// The program's `before_connect` failed. Its own words, which may hold secrets, are not in this error's text;
    /// they are its [`source`](StdError::source).
    BeforeConnect(Arc<dyn StdError + Send + Sync>),
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
    /// The program dropped a [`MessageStream`](crate::MessageStream) before it was finished and after fragments of it
    /// were written. WebSocket has no other way to take them back than to end the session; we closed it with 1001.
    Abandoned,
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
            Cause::Io(error) => error.raw_os_error().or_else(|| Named::within(error)?.raw_os_error()),
            _ => None,
        }
    }

    /// The HTTP status with which the server refused the upgrade, or the proxy the way to it: the
    /// [`phase`](Self::phase) tells.
    pub fn http_status(&self) -> Option<u16> {
        self.refusal().map(Refusal::status)
    }

    /// The server's refusal of the upgrade, or the proxy's of the way to it: status, headers and the start of the body.
    pub fn refusal(&self) -> Option<&Refusal> {
        match &self.cause {
            Cause::Refused(refusal) | Cause::BadRedirect { refusal, .. } => Some(refusal),
            _ => None,
        }
    }
}

/// A failure of the operating system's with what it is about, which the system does not tell.
#[derive(Debug)]
pub(crate) struct Named {
    what: String,
    error: io::Error,
}

impl Named {
    pub(crate) fn error(what: String, error: io::Error) -> io::Error {
        io::Error::new(error.kind(), Named { what, error })
    }

    /// The system's own error, if this one has got a name.
    fn within(error: &io::Error) -> Option<&io::Error> {
        Some(&error.get_ref()?.downcast_ref::<Named>()?.error)
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what.escape_debug(), self.error)
    }
}

impl StdError for Named {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.error)
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = self.phase;
        match &self.cause {
            Cause::TimedOut => write!(f, "{phase} timed out"),
            Cause::Io(error) => write!(f, "{phase} failed: {error}"),
            Cause::Tls(fault) if phase == Phase::Proxy => write!(f, "{phase} failed: {fault}"),
            Cause::Tls(fault) => write!(f, "{fault}"),
            Cause::Refused(refusal) if phase == Phase::Proxy => {
                write!(f, "the proxy refused with HTTP status {}", refusal.status)
            }
            Cause::Refused(refusal) => write!(f, "{refusal}"),
            Cause::Proxy(fault) => write!(f, "{fault}"),
            Cause::BadRedirect { fault, refusal } => {
                write!(f, "the server's redirect (HTTP status {}) {fault}", refusal.status)
            }
            Cause::BeforeConnect(_) => f.write_str("before_connect failed"),
            Cause::BadUpgrade(fault) => write!(f, "the server's upgrade answer is wrong: {fault}"),
            Cause::Protocol(fault @ ProtocolFault::NoMemory(_)) => write!(f, "{fault}"),
            Cause::Protocol(fault) => write!(f, "the server broke the protocol: {fault}"),
            Cause::EndOfStream if phase == Phase::Proxy => f.write_str("the proxy hung up without an answer"),
            Cause::EndOfStream => write!(f, "{phase} ended without a Close frame"),
            Cause::Closed { code, reason } if reason.is_empty() => {
                write!(f, "the server closed with {code}")
            }
            Cause::Closed { code, reason } => {
                write!(f, "the server closed with {code} ({})", reason.escape_debug())
            }
            Cause::Abandoned => f.write_str("a message was given up in the middle"),
            Cause::Silent { missed } => write!(f, "no answer to {missed} heartbeats"),
        }
    }
}

impl StdError for LinkError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.cause {
            Cause::Io(error) => Some(&**error),
            Cause::BeforeConnect(error) => Some(&**error),
            _ => None,
        }
    }
}
