//! Why something failed: one type per verb, and [`Error`] over them all for `?`.
//!
//! A call that was given something wrong answers at once with the type of its verb. What goes wrong
//! later, on the network, is a [`LinkError`] inside an event: it names the [`Phase`] and the [`Cause`].

mod call;
mod fault;
mod link;
mod stream;

use std::error::Error as StdError;
use std::fmt;

pub use call::{CloseError, ConfigError, ConnectError, LoopError, RecvError, SendError, WaitError};
pub use fault::{ProtocolFault, ProxyFault, RedirectFault, Refusal, TlsFault, TlsFaultKind, UpgradeFault};
pub(crate) use fault::{header, names};
pub(crate) use link::Named;
pub use link::{Cause, LinkError, Phase};
pub use stream::StreamError;

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
    /// A piece of a message was not taken, or the message not finished.
    Stream(StreamError),
    /// `close` did not begin.
    Close(CloseError),
    /// A wait ended without what was waited for.
    Wait(WaitError),
    /// There is no event.
    Recv(RecvError),
    /// An event loop did not do what it was asked for.
    Loop(LoopError),
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
    Stream(StreamError),
    Close(CloseError),
    Wait(WaitError),
    Recv(RecvError),
    Loop(LoopError),
    Link(LinkError)
);
