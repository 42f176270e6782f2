//! A part of a message that is too long to be delivered whole, owned or borrowed.

use std::fmt;

use crate::event::{Message, MessageRef};

/// Where in its message a part stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// More follow.
    Open,
    Last,
    /// There is no such part: the message has ended without its end.
    Aborted,
}

/// A part of a message, owned, for programs that pull; [`FragmentRef`] tells how parts come.
#[derive(Clone, PartialEq, Eq)]
pub struct Fragment {
    payload: Message,
    offset: u64,
    place: Place,
}

/// A part of a message that is longer than [`fragments_above`](crate::Builder::fragments_above), as a callback sees it:
/// borrowed, valid during the call.
///
/// A message's parts come in their order, and those of another message never in between. The first one has offset 0;
/// each goes on where the one before ended; the last one [is told to be it](Self::is_last), and may be empty. Or else,
/// where a session ends in the middle of the message, an empty one comes that [is aborted](Self::is_aborted): nothing
/// more will come of it, on no session.
///
/// Where they are cut follows from what the network brings, not from the frames of the server (RFC 6455 section
/// 5.4). A part of a text is text: no character is cut.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FragmentRef<'a> {
    payload: MessageRef<'a>,
    offset: u64,
    place: Place,
}

impl Fragment {
    /// The text, if it is of a text message.
    pub fn as_text(&self) -> Option<&str> {
        self.payload.as_text()
    }

    /// The bytes, of either kind.
    pub fn as_bytes(&self) -> &[u8] {
        self.payload.as_bytes()
    }

    /// The bytes, of either kind, without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        self.payload.into_bytes()
    }

    /// Whether the message is a text.
    pub fn is_text(&self) -> bool {
        self.payload.is_text()
    }

    /// The length in bytes.
    pub fn len(&self) -> usize {
        self.payload.len()
    }

    /// Whether it has no bytes, as only a last or an aborted one may.
    pub fn is_empty(&self) -> bool {
        self.payload.is_empty()
    }

    /// How many bytes of the message came before it.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the message begins with it.
    pub fn is_first(&self) -> bool {
        self.as_ref().is_first()
    }

    /// Whether the message is whole with it.
    pub fn is_last(&self) -> bool {
        self.as_ref().is_last()
    }

    /// Whether the message was cut off here; see [`FragmentRef::is_aborted`].
    pub fn is_aborted(&self) -> bool {
        self.as_ref().is_aborted()
    }

    /// The same, borrowed.
    pub fn as_ref(&self) -> FragmentRef<'_> {
        FragmentRef { payload: self.payload.as_ref(), offset: self.offset, place: self.place }
    }
}

impl<'a> FragmentRef<'a> {
    pub(crate) fn new(payload: MessageRef<'a>, offset: u64, last: bool) -> FragmentRef<'a> {
        FragmentRef { payload, offset, place: if last { Place::Last } else { Place::Open } }
    }

    /// The text, if it is of a text message.
    pub fn as_text(&self) -> Option<&'a str> {
        self.payload.as_text()
    }

    /// The bytes, of either kind.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.payload.as_bytes()
    }

    /// Whether the message is a text.
    pub fn is_text(&self) -> bool {
        self.payload.is_text()
    }

    /// How many bytes of the message came before it.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the message begins with it.
    pub fn is_first(&self) -> bool {
        self.offset == 0
    }

    /// Whether the message is whole with it.
    pub fn is_last(&self) -> bool {
        self.place == Place::Last
    }

    /// Whether the message was cut off here: the session has ended or failed, or the client is being closed.
    /// What came of the message is all there will ever be, and it may be wrong: a text that is no UTF-8 further on,
    /// say. The offset tells how much it was.
    pub fn is_aborted(&self) -> bool {
        self.place == Place::Aborted
    }

    /// A copy that outlives the call.
    pub fn to_fragment(&self) -> Fragment {
        Fragment { payload: self.payload.to_message(), offset: self.offset, place: self.place }
    }

    /// The same, unless there is no memory for it.
    pub(crate) fn try_to_fragment(self) -> Option<Fragment> {
        let payload = self.payload.try_to_message()?;
        Some(Fragment { payload, offset: self.offset, place: self.place })
    }

    /// Whether nothing follows it of its message.
    pub(crate) fn ends(&self) -> bool {
        self.place != Place::Open
    }

    /// Where the next one begins.
    pub(crate) fn end(&self) -> u64 {
        self.offset + self.as_bytes().len() as u64
    }
}

/// Kind, length and place; payloads do not belong into logs.
impl fmt::Display for FragmentRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_text() { "text" } else { "binary" };
        match self.place {
            Place::Aborted => write!(f, "a {kind} message was cut off after {} bytes", self.offset),
            place => {
                write!(f, "{} bytes of a {kind} message at {}", self.as_bytes().len(), self.offset)?;
                f.write_str(if place == Place::Last { ", the last" } else { "" })
            }
        }
    }
}

impl fmt::Debug for FragmentRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fragment({self})")
    }
}

impl fmt::Display for Fragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Debug for Fragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.as_ref(), f)
    }
}

/// The message of which a beginning was told, and not yet its end.
#[derive(Debug, Default)]
pub(crate) struct Begun(Option<(bool, u64)>);

impl Begun {
    /// Whether somebody waits for what follows.
    pub(crate) fn is_open(&self) -> bool {
        self.0.is_some()
    }

    /// This was told.
    pub(crate) fn told(&mut self, fragment: FragmentRef<'_>) {
        self.0 = (!fragment.ends()).then(|| (fragment.is_text(), fragment.end()));
    }

    /// What is to be told if nothing follows: once.
    pub(crate) fn abort(&mut self) -> Option<Fragment> {
        let (text, offset) = self.0.take()?;
        let payload = if text { Message::text("") } else { Message::binary([]) };
        Some(Fragment { payload, offset, place: Place::Aborted })
    }
}
