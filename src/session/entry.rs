//! A message that was accepted and waits to be written.

use std::time::Instant;

use crate::event::MessageId;

/// How a payload is to be read (RFC 6455 section 5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// A message with its payload, as it waits.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: MessageId,
    pub(crate) kind: Kind,
    pub(crate) payload: Vec<u8>,
    /// When it is of no more use; judged by the outbox, not here.
    pub(crate) expires: Option<Instant>,
}
