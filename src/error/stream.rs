//! Why a piece of a message was not taken, or the message could not be finished.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use crate::event::DropReason;

/// Why a [`MessageStream`](crate::MessageStream) did not take a piece, or could not be finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamError {
    /// As many bytes wait as may wait; none of the piece was taken. Try again later.
    Full,
    /// The time was up when this many bytes of the piece were taken. Go on with the rest.
    TimedOut(usize),
    /// The calling thread is inside a turn of an event loop: waiting would stop it. This many bytes of the piece were
    /// taken. Go on with the rest on another thread, or when this turn is over.
    WouldDeadlock(usize),
    /// A text that is no UTF-8; nothing of the piece was taken. Or a finish in the middle of a character.
    Utf8,
    /// The message has ended early, for this reason. Begin a new one.
    Dropped(DropReason),
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StreamError::Full => "as many bytes of the message wait as may wait",
            StreamError::TimedOut(_) => "timed out with a part of the piece left",
            StreamError::WouldDeadlock(_) => "waiting here would stop the event loop",
            StreamError::Utf8 => "the text is not UTF-8",
            StreamError::Dropped(DropReason::Closed) => "the message was dropped: the client is closed",
            StreamError::Dropped(DropReason::Expired) => "the message was dropped: it is too old",
            StreamError::Dropped(_) => "the message was dropped: the session ended in the middle",
        })
    }
}

impl StdError for StreamError {}

impl From<DropReason> for StreamError {
    fn from(why: DropReason) -> StreamError {
        StreamError::Dropped(why)
    }
}

/// For [`std::io::Write`]: the error itself is inside.
impl From<StreamError> for io::Error {
    fn from(error: StreamError) -> io::Error {
        let kind = match error {
            StreamError::Full => io::ErrorKind::WouldBlock,
            StreamError::TimedOut(_) => io::ErrorKind::TimedOut,
            StreamError::WouldDeadlock(_) => io::ErrorKind::Deadlock,
            StreamError::Utf8 => io::ErrorKind::InvalidData,
            StreamError::Dropped(_) => io::ErrorKind::ConnectionAborted,
        };
        io::Error::new(kind, error)
    }
}
