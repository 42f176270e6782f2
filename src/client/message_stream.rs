//! A message that is sent in pieces. Checks texts; all else is ordered from the mailbox.

use std::fmt;
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use super::Client;
use super::unfinished::Unfinished;
use crate::entry::Kind;
use crate::error::{SendError, StreamError};
use crate::event::MessageId;

/// How long [`io::Write`] waits for room, unless it is told otherwise.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// A message on its way out that is handed over in pieces, so that it never lies in memory as a whole; made by
/// [`Client::stream_binary`] and [`Client::stream_text`].
///
/// To the server it is one message, in fragments (RFC 6455 section 5.4) of at most 64 KiB, or of
/// [`fragment_size`](crate::Builder::fragment_size) if that is less; where they end has no meaning and nothing to do
/// with the pieces. It goes uncompressed, whatever was agreed on. It has one [`MessageId`] and one
/// [`Outcome`](crate::Outcome).
///
/// # Its place in the order
///
/// It has its place from the moment it is begun. What is sent after that, by whatever thread, waits in the outbox until
/// it is finished, since no other message may go between fragments; so do not leave one open without need, and do not
/// [`flush`](Client::flush) in between. Pings, pongs and Close do go between. A [text
/// heartbeat](crate::Heartbeat::text) may not: a ping goes in its stead, and its pong counts as the reply.
///
/// # What it holds
///
/// Up to 256 KiB wait here, beside the outbox's limits, of which it takes one message and no bytes. When they are full,
/// [`try_append`](Self::try_append) says so and [`append`](Self::append) waits. While no session is open they
/// wait for the next one.
///
/// # When it breaks off
///
/// What was written is with the server, so a message that has begun to go out cannot be sent again: if the session ends
/// in the middle, so does the message. The next append says so, its fate is [`Dropped`](crate::Fate::Dropped)
/// ([`Interrupted`](crate::DropReason::Interrupted)), and the next session begins with the message after it. A
/// [`close`](Client::close) ends all that are not finished; the Close frame goes between two fragments, and what waits
/// behind a message that had begun is dropped. A time to live counts until the first piece goes out. It is never
/// evicted.
///
/// **Dropped before it was finished** it is given up. If nothing of it has gone out, it is as if it had never been.
/// Else WebSocket has no way to take it back, and to end it short would be a lie: the session is closed with 1001 and
/// [`Cause::Abandoned`](crate::Cause::Abandoned), and the client connects again.
///
/// It does not keep the client alive.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> Result<(), heartwire::Error> {
/// # use std::time::Duration;
/// let client = heartwire::Client::builder("wss://example.com/upload").connect()?;
/// let mut file = std::fs::File::open("large.bin").unwrap();
/// let mut message = client.stream_binary()?;
/// std::io::copy(&mut file, &mut message).unwrap(); // waits for room, at most 30 s each time
/// let id = message.finish()?;
/// # let _ = id; Ok(()) }
/// ```
#[must_use = "dropped before it is finished, a message is given up"]
pub struct MessageStream {
    client: Client,
    id: MessageId,
    /// Of a text.
    text: Option<Unfinished>,
    write_timeout: Duration,
    finished: bool,
}

impl Client {
    /// Begins a binary message that is handed over in pieces; does not wait for the network, unless the outbox is full
    /// and set to block. It may be begun while the link is down.
    ///
    /// # Errors
    ///
    /// As [`send_binary`](Client::send_binary); the outbox needs room for one more message.
    pub fn stream_binary(&self) -> Result<MessageStream, SendError> {
        self.stream(Kind::Binary)
    }

    /// Begins a text message that is handed over in pieces, which may end in the middle of a character; everything else
    /// is as with [`stream_binary`](Client::stream_binary).
    ///
    /// # Errors
    ///
    /// As [`stream_binary`](Client::stream_binary).
    pub fn stream_text(&self) -> Result<MessageStream, SendError> {
        self.stream(Kind::Text)
    }

    fn stream(&self, kind: Kind) -> Result<MessageStream, SendError> {
        let id = self.core.begin_pieces(kind)?;
        Ok(MessageStream {
            client: self.uncounted(),
            id,
            text: (kind == Kind::Text).then(Unfinished::default),
            write_timeout: WRITE_TIMEOUT,
            finished: false,
        })
    }
}

impl MessageStream {
    /// The message's id, with which its outcome will be told.
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// Appends a piece; waits for room as long as it is told to, and turns an [`EventLoop`](crate::EventLoop) that
    /// nobody else turns meanwhile.
    ///
    /// # Errors
    ///
    /// - [`StreamError::TimedOut`] and [`StreamError::WouldDeadlock`] (in a turn of any event loop, as in most
    ///   handlers) tell how much of the piece was taken: go on with the rest.
    /// - [`StreamError::Utf8`]: nothing was taken.
    /// - [`StreamError::Dropped`]: the message has ended.
    pub fn append(&mut self, piece: &[u8], timeout: Duration) -> Result<(), StreamError> {
        self.check(piece)?;
        let deadline = Instant::now().checked_add(timeout);
        let mut taken = 0;
        let appended = self.client.core.append(self.id, piece, deadline, &mut taken);
        self.note(&piece[..taken]);
        appended
    }

    /// Appends as much of a piece as there is room for, and tells how many bytes that was; does not wait.
    ///
    /// # Errors
    ///
    /// - [`StreamError::Full`]: nothing was taken. Half of what waits has to go out first; there is no event for that.
    /// - [`StreamError::Utf8`]: nothing was taken.
    /// - [`StreamError::Dropped`]: the message has ended.
    pub fn try_append(&mut self, piece: &[u8]) -> Result<usize, StreamError> {
        self.check(piece)?;
        let taken = self.client.core.mailbox.append(self.id, piece)?;
        self.note(&piece[..taken]);
        if taken == 0 && !piece.is_empty() { Err(StreamError::Full) } else { Ok(taken) }
    }

    /// Ends the message, which goes out with what was appended; does not wait.
    ///
    /// # Errors
    ///
    /// The message is dropped then:
    /// - [`StreamError::Utf8`]: a text ends in the middle of a character.
    /// - [`StreamError::Dropped`]: it had ended early.
    pub fn finish(mut self) -> Result<MessageId, StreamError> {
        if self.text.is_some_and(|text| !text.is_none()) {
            return Err(StreamError::Utf8);
        }
        self.client.core.mailbox.finish_pieces(self.id)?;
        self.finished = true;
        Ok(self.id)
    }

    /// How long [`io::Write`] waits for room. Default: 30 s.
    pub fn set_write_timeout(&mut self, timeout: Duration) {
        self.write_timeout = timeout;
    }

    fn check(&self, piece: &[u8]) -> Result<(), StreamError> {
        let good = self.text.is_none_or(|text| text.goes_on_with(piece));
        if good { Ok(()) } else { Err(StreamError::Utf8) }
    }

    fn note(&mut self, taken: &[u8]) {
        if let Some(text) = &mut self.text {
            text.note(taken);
        }
    }
}

/// Appends, and waits for room up to [`set_write_timeout`](MessageStream::set_write_timeout); each error has a
/// [`StreamError`] inside. Call [`finish`](MessageStream::finish) in the end: a flush does nothing.
impl io::Write for MessageStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.append(bytes, self.write_timeout) {
            Ok(()) => Ok(bytes.len()),
            Err(StreamError::TimedOut(taken) | StreamError::WouldDeadlock(taken)) if taken > 0 => Ok(taken),
            Err(error) => Err(error.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for MessageStream {
    fn drop(&mut self) {
        if !self.finished && self.client.core.is_of_this_process() {
            self.client.core.mailbox.give_up_pieces(self.id);
        }
    }
}

impl fmt::Debug for MessageStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageStream").field("client", &self.client).field("id", &self.id).finish()
    }
}

/// Any thread may go on with it, and a caught panic leaves it usable.
const _: () = {
    const fn promised<T: Send + Sync + UnwindSafe + RefUnwindSafe>() {}
    promised::<MessageStream>();
};
