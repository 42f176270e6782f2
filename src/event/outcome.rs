//! What became of messages.

use std::fmt;

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

/// How far a message got. Each level includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Level {
    /// All its bytes were accepted by the socket.
    Written,
    /// The next TCP endpoint has acknowledged all its bytes: a proxy perhaps, and a server's kernel may have taken what
    /// its program never reads. The kernel is asked, on Linux and Android and, without TLS, on Apple's systems;
    /// elsewhere, and over sockets that are not TCP, the level is not reached by itself, but every message that is
    /// [`Processed`](Level::Processed) has reached it, too.
    Acked,
    /// The server's WebSocket endpoint has read it: the pong of a ping came back that was written after it (RFC 6455
    /// section 5.5.2: a pong answers a ping, and frames are read in their order). What the server's program made of the
    /// message only its own answer can tell.
    Processed,
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
    /// It was sent in pieces, and the session ended before the last one was written: what had been written of it is
    /// with the old session, and cannot be sent again.
    Interrupted,
    /// It was sent in pieces, and its [`MessageStream`](crate::MessageStream) was dropped before it was finished.
    Abandoned,
}

/// What became of a message. Each accepted message gets exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fate {
    /// It reached the level that was asked for.
    Completed(Level),
    /// It was never written whole; the server cannot have seen it, but a part of it if it was sent in pieces.
    Dropped(DropReason),
    /// It was written to a connection that died before the level was reached that was asked for, and goes no more: it
    /// was to go once at most, was too old or made room for others while it waited to go again, or the client has
    /// ended. This is the level that it reached for certain; whether it got further nobody can tell.
    Unknown(Level),
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
            Fate::Completed(Level::Acked) => " acknowledged",
            Fate::Completed(Level::Processed) => " processed",
            Fate::Dropped(DropReason::Expired) => " dropped: too old",
            Fate::Dropped(DropReason::Evicted) => " dropped: evicted",
            Fate::Dropped(DropReason::Closed) => " dropped: client closed",
            Fate::Dropped(DropReason::Interrupted) => " dropped: the session ended in the middle",
            Fate::Dropped(DropReason::Abandoned) => " dropped: not finished",
            Fate::Unknown(Level::Written) => " written, of unknown fate",
            Fate::Unknown(_) => " acknowledged, of unknown fate",
        })
    }
}
