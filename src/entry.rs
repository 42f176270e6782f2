//! A message that was accepted and waits to be written.

use std::time::Instant;

use crate::config::delivery::Terms;
use crate::event::{Level, Message, MessageId};

/// How a payload is to be read (RFC 6455 section 5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

impl Kind {
    pub(crate) fn of(message: &Message) -> Kind {
        if message.is_text() { Kind::Text } else { Kind::Binary }
    }
}

/// Which part of its message an entry is: usually all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    /// The place of a message in pieces among those that wait. It has no payload, and no wire ever gets it.
    Place,
    /// The first piece, and not the last.
    First,
    Middle,
    /// The last piece, and not the first.
    Last,
    /// The only piece: all of a message as well, but one that is not to be compressed.
    Only,
}

impl Part {
    /// Whether it is all of its message.
    pub(crate) fn is_whole(self) -> bool {
        matches!(self, Part::Whole | Part::Only)
    }
}

/// What was asked for a message, and what became of it on earlier sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) terms: Terms,
    /// How far it got for certain when it was written before; `None` if it never was.
    pub(crate) reached: Option<Level>,
    /// How often it goes once more.
    pub(crate) replays: u32,
}

/// A message with its payload, as it waits; or a piece of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: MessageId,
    pub(crate) kind: Kind,
    pub(crate) part: Part,
    pub(crate) payload: Vec<u8>,
    /// When it is of no more use; judged by the outbox, not here.
    pub(crate) expires: Option<Instant>,
    pub(crate) record: Record,
}
