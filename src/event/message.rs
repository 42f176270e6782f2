//! A whole message, owned or borrowed.

use std::fmt;

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

    /// The same, unless there is no memory for it.
    pub(crate) fn try_to_message(self) -> Option<Message> {
        let body = match self {
            MessageRef::Text(text) => {
                let mut copy = String::new();
                copy.try_reserve_exact(text.len()).ok()?;
                copy.push_str(text);
                Body::Text(copy)
            }
            MessageRef::Binary(data) => {
                let mut copy = Vec::new();
                copy.try_reserve_exact(data.len()).ok()?;
                copy.extend_from_slice(data);
                Body::Binary(copy)
            }
        };
        Some(Message { body })
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
