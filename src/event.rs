//! What the user is told: messages, states, and the events of a link in the order of their happening.
//!
//! Holds data only; nothing here decides anything.

use std::fmt;
use std::time::Duration;

use crate::error::{LinkError, Phase, header, human};

/// A whole message that is owned: text (always valid UTF-8) or binary.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    body: Body,
}

#[derive(Clone, PartialEq, Eq)]
enum Body {
    Text(String),
    Binary(Vec<u8>),
}

impl Message {
    /// A text message.
    pub fn text(text: impl Into<String>) -> Message {
        Message { body: Body::Text(text.into()) }
    }

    /// A binary message.
    pub fn binary(data: impl Into<Vec<u8>>) -> Message {
        Message { body: Body::Binary(data.into()) }
    }

    /// The text, if this is a text message.
    pub fn as_text(&self) -> Option<&str> {
        match &self.body {
            Body::Text(text) => Some(text),
            Body::Binary(_) => None,
        }
    }

    /// The bytes, of either kind.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.body {
            Body::Text(text) => text.as_bytes(),
            Body::Binary(data) => data,
        }
    }

    /// Whether this is a text message.
    pub fn is_text(&self) -> bool {
        matches!(self.body, Body::Text(_))
    }

    /// The length in bytes.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether the message has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, of either kind, without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        match self.body {
            Body::Text(text) => text.into_bytes(),
            Body::Binary(data) => data,
        }
    }

    /// The same message, borrowed.
    pub fn as_ref(&self) -> MessageRef<'_> {
        match &self.body {
            Body::Text(text) => MessageRef::Text(text),
            Body::Binary(data) => MessageRef::Binary(data),
        }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Message {
        Message::text(text)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Message {
        Message::text(text)
    }
}

impl From<&[u8]> for Message {
    fn from(data: &[u8]) -> Message {
        Message::binary(data)
    }
}

impl From<Vec<u8>> for Message {
    fn from(data: Vec<u8>) -> Message {
        Message::binary(data)
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

/// A whole message as a callback sees it: borrowed from the receive buffer, valid during the call.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageRef<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
}

impl<'a> MessageRef<'a> {
    /// The text, if this is a text message.
    pub fn as_text(&self) -> Option<&'a str> {
        match *self {
            MessageRef::Text(text) => Some(text),
            MessageRef::Binary(_) => None,
        }
    }

    /// The bytes, of either kind.
    pub fn as_bytes(&self) -> &'a [u8] {
        match *self {
            MessageRef::Text(text) => text.as_bytes(),
            MessageRef::Binary(data) => data,
        }
    }

    /// Whether this is a text message.
    pub fn is_text(&self) -> bool {
        matches!(self, MessageRef::Text(_))
    }

    /// A copy that outlives the call.
    pub fn to_message(&self) -> Message {
        match *self {
            MessageRef::Text(text) => Message::text(text),
            MessageRef::Binary(data) => Message::binary(data),
        }
    }
}

/// The text itself, or the number of bytes.
impl fmt::Display for MessageRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MessageRef::Text(text) => f.write_str(text),
            MessageRef::Binary(data) => write!(f, "[{} bytes]", data.len()),
        }
    }
}

/// The kind and the length only: payloads do not belong into logs.
impl fmt::Debug for MessageRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MessageRef::Text(text) => write!(f, "Text({} bytes)", text.len()),
            MessageRef::Binary(data) => write!(f, "Binary({} bytes)", data.len()),
        }
    }
}

/// Names one accepted message of one client; later messages have greater ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub(crate) u64);

impl MessageId {
    /// The number: 1 for the client's first message, then 2, and so on.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Where the client stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Built; `connect` was not called yet.
    Idle,
    /// An attempt is in this phase.
    Connecting(Phase),
    /// A session is open.
    Open,
    /// Between two attempts: the next attempt's number in a row (from 1) and how long the wait is.
    Waiting {
        /// The attempt that comes next, counted since the last stable session.
        attempt: u32,
        /// The whole wait before it.
        delay: Duration,
    },
    /// The session is being closed, by either side.
    Closing,
    /// Closed for good.
    Closed,
}

impl State {
    /// The browser's number: 0 CONNECTING (also while waiting to dial again), 1 OPEN, 2 CLOSING, 3 CLOSED (also idle).
    pub fn ready_state(self) -> u8 {
        match self {
            State::Connecting(_) | State::Waiting { .. } => 0,
            State::Open => 1,
            State::Closing => 2,
            State::Idle | State::Closed => 3,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Idle => f.write_str("idle"),
            State::Connecting(phase) => write!(f, "connecting ({phase})"),
            State::Open => f.write_str("open"),
            State::Waiting { attempt, delay } => {
                write!(f, "waiting {} before attempt {attempt}", human(*delay))
            }
            State::Closing => f.write_str("closing"),
            State::Closed => f.write_str("closed"),
        }
    }
}

/// A session has opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    pub(crate) attempt: u32,
    pub(crate) first: bool,
    pub(crate) subprotocol: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
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
}

impl fmt::Display for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let again = if self.first { "" } else { " again" };
        write!(f, "open{again} (attempt {})", self.attempt)
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
    /// The code of whoever began: the server's (1005 if its Close had none), or the one we sent; 1006 without any Close.
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

    /// How long until the next attempt; `None` if the client gives up.
    pub fn retry_in(&self) -> Option<Duration> {
        self.retry_in
    }
}

impl fmt::Display for ConnectFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attempt {} failed: {}", self.attempt, self.error)?;
        next(f, self.retry_in)
    }
}

fn next(f: &mut fmt::Formatter<'_>, retry_in: Option<Duration>) -> fmt::Result {
    match retry_in {
        Some(delay) => write!(f, "; next attempt in {}", human(delay)),
        None => f.write_str("; no further attempt"),
    }
}

/// How far a message got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Level {
    /// All its bytes were accepted by the socket.
    Written,
}

/// Why a message was dropped without having been written whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// Its time to live ran out in the outbox.
    Expired,
    /// It made room for a newer one.
    Evicted,
    /// The client ended before the message could be written.
    Closed,
}

/// What became of a message. Each accepted message gets exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fate {
    /// It reached the level that was asked for.
    Completed(Level),
    /// It was never written whole; the server cannot have seen it.
    Dropped(DropReason),
    /// It was handed to the connection, which died before anyone could tell whether it arrived.
    Unknown,
}

/// The same fate for a range of consecutive messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub(crate) first: MessageId,
    pub(crate) last: MessageId,
    pub(crate) fate: Fate,
}

impl Outcome {
    /// The first message of the range.
    pub fn first(&self) -> MessageId {
        self.first
    }

    /// The last message of the range, the first itself included.
    pub fn last(&self) -> MessageId {
        self.last
    }

    /// What became of them.
    pub fn fate(&self) -> Fate {
        self.fate
    }

    /// How many messages the range has.
    pub fn count(&self) -> u64 {
        self.last.0 - self.first.0 + 1
    }

    /// Whether the message is in the range.
    pub fn covers(&self, id: MessageId) -> bool {
        (self.first..=self.last).contains(&id)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message {}", self.first)?;
        if self.last != self.first {
            write!(f, " to {}", self.last)?;
        }
        f.write_str(match self.fate {
            Fate::Completed(Level::Written) => " written",
            Fate::Dropped(DropReason::Expired) => " dropped: too old",
            Fate::Dropped(DropReason::Evicted) => " dropped: evicted",
            Fate::Dropped(DropReason::Closed) => " dropped: client closed",
            Fate::Unknown => " of unknown fate",
        })
    }
}

/// Why the client has ended, and will never connect again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum End {
    /// The user closed it.
    Closed,
    /// The limit of attempts or of time was reached; this was the last failure.
    GaveUp(LinkError),
    /// Trying again cannot help, by the settings; this was the failure.
    Fatal(LinkError),
    /// A callback of the user's panicked.
    CallbackPanicked,
    /// The event loop failed; nothing of the client runs any more.
    LoopFailed,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Closed => f.write_str("closed by the user"),
            End::GaveUp(error) => write!(f, "gave up: {error}"),
            End::Fatal(error) => write!(f, "not worth another attempt: {error}"),
            End::CallbackPanicked => f.write_str("a callback panicked"),
            End::LoopFailed => f.write_str("the event loop failed"),
        }
    }
}

/// Everything a client tells, in order of happening, for the pull style.
///
/// Handlers get the same values one by one: `on_open`, `on_message` and so on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A session has opened.
    Open(Opened),
    /// A message has come.
    Message(Message),
    /// A session has ended.
    Close(SessionClosed),
    /// An attempt to connect has failed.
    ConnectFailed(ConnectFailed),
    /// A session failed; its `Close` follows.
    Error(LinkError),
    /// A heartbeat was answered after this time.
    Heartbeat(Duration),
    /// The outbox was full and is half empty again.
    Writable,
    /// What became of messages.
    Outcome(Outcome),
    /// The state has changed.
    State(State),
    /// The very last event: there will be no attempt and no event any more.
    ClosedForGood(End),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Open(opened) => opened.fmt(f),
            Event::Message(message) => message.fmt(f),
            Event::Close(closed) => closed.fmt(f),
            Event::ConnectFailed(failed) => failed.fmt(f),
            Event::Error(error) => write!(f, "error: {error}"),
            Event::Heartbeat(time) => write!(f, "heartbeat answered in {:.3} ms", time.as_secs_f64() * 1e3),
            Event::Writable => f.write_str("the outbox has room again"),
            Event::Outcome(outcome) => outcome.fmt(f),
            Event::State(state) => state.fmt(f),
            Event::ClosedForGood(end) => write!(f, "closed for good: {end}"),
        }
    }
}
