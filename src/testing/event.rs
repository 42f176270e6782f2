//! What a server saw of its clients, as its owner is told. Holds data only.

use super::upgrade::Request;
use crate::Message;
use std::io::{self, ErrorKind};

/// What the server saw, in the order in which it happened on each connection; `n` is the connection's number.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ServerEvent {
    /// A TCP connection came; nothing was read from it yet.
    Accepted {
        /// The connection, counted from 1.
        n: usize,
    },
    /// The upgrade was accepted.
    Connected {
        /// The connection.
        n: usize,
        /// What the client asked for.
        request: Request,
    },
    /// The upgrade was read, and refused or left without an answer.
    Refused {
        /// The connection.
        n: usize,
        /// What the client asked for.
        request: Request,
    },
    /// A whole message came.
    Message {
        /// The connection.
        n: usize,
        /// The message, joined if it came in fragments.
        message: Message,
    },
    /// A ping came.
    Ping {
        /// The connection.
        n: usize,
        /// Its payload.
        data: Vec<u8>,
    },
    /// A pong came.
    Pong {
        /// The connection.
        n: usize,
        /// Its payload.
        data: Vec<u8>,
    },
    /// The client's Close frame came.
    Closed {
        /// The connection.
        n: usize,
        /// Its code, if it had one.
        code: Option<u16>,
        /// Its reason, which may be empty.
        reason: String,
    },
    /// The TCP connection is over.
    Ended {
        /// The connection.
        n: usize,
        /// How.
        ending: Ending,
    },
}

/// How a TCP connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// The client ended its direction.
    Fin,
    /// The client reset the connection.
    Reset,
    /// It was cut by its [`Behaviour`](super::Behaviour) or a call, or the server was stopped.
    Cut,
    /// The client broke RFC 6455; the rule is named.
    Violation(String),
    /// TLS failed, with the reason that rustls gives.
    Tls(String),
    /// Another error of the socket.
    Io(String),
    /// The script of [`Behaviour::raw`](super::Behaviour::raw) returned.
    Script,
    /// The script panicked; dropping the server panics, too.
    ScriptPanicked,
}

impl Ending {
    pub(super) fn of(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
                Ending::Reset
            }
            _ if error.get_ref().is_some_and(|e| e.is::<rustls::Error>()) => Ending::Tls(error.to_string()),
            _ => Ending::Io(error.to_string()),
        }
    }
}
