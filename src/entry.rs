//! A message that was accepted and waits to be written.

use std::time::Instant;

use crate::event::{Message, MessageId};

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

/// A message with its payload, as it waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: MessageId,
    pub(crate) kind: Kind,
    pub(crate) payload: Vec<u8>,
    /// When it is of no more use; judged by the outbox, not here.
    pub(crate) expires: Option<Instant>,
}
