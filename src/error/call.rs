//! Why a call failed at once: one type per verb.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use crate::event::End;

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
    /// What [`Client::connect_over`](crate::Client::connect_over) was called for contradicts a setting.
    Settings(ConfigError),
    /// The event loop could not be started: no thread, or no descriptor, was to be had; or the shared one has failed.
    Start(io::Error),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::AlreadyConnected => f.write_str("connect was called before"),
            ConnectError::Closed => f.write_str("the client is closed"),
            ConnectError::First(error) => write!(f, "the first message: {error}"),
            ConnectError::Settings(error) => write!(f, "{error}"),
            ConnectError::Start(error) => write!(f, "the event loop did not start: {error}"),
        }
    }
}

impl StdError for ConnectError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            ConnectError::First(error) => Some(error),
            ConnectError::Settings(error) => Some(error),
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
    /// The outbox is full and set to block, and the calling thread is inside a turn of an event loop: waiting would
    /// stop it.
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
    /// By [`flush_to`](crate::Client::flush_to) only: a session died under some of the messages, and nobody can tell
    /// whether they reached the level. Their outcomes say which ([`Fate::Unknown`](crate::Fate::Unknown)) if that level
    /// was asked for them, too.
    Unknown,
    /// The calling thread is inside a turn of an event loop, of this client's or of another: waiting would stop it.
    WouldDeadlock,
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WaitError::TimedOut => f.write_str("timed out"),
            WaitError::Closed(end) => write!(f, "the client has ended: {end}"),
            WaitError::Unknown => f.write_str("a session died, and how far the messages got is unknown"),
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
    /// The calling thread is inside a turn of an event loop, of this client's or of another: waiting would stop it.
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

/// Why an [`EventLoop`](crate::EventLoop) did not do what it was asked for.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoopError {
    /// It has a thread of its own, or another thread turns it just now.
    Busy,
    /// The calling thread is inside a turn, of this loop or of another.
    WouldDeadlock,
    /// The operating system refused: no descriptor, no thread, or no waiting. After a turn every client of the loop has
    /// ended.
    System(io::Error),
}

impl fmt::Display for LoopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoopError::Busy => f.write_str("the event loop is turned by another thread"),
            LoopError::WouldDeadlock => f.write_str("the calling thread is inside a turn already"),
            LoopError::System(error) => write!(f, "the event loop: {error}"),
        }
    }
}

impl StdError for LoopError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            LoopError::System(error) => Some(error),
            _ => None,
        }
    }
}
