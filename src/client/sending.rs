//! Sending, from the user's side: messages, pings, and waiting until messages have got as far as is wanted.

use std::time::{Duration, Instant};

use crate::client::{Client, SendOptions};
use crate::entry::Kind;
use crate::error::{SendError, WaitError};
use crate::event::{Level, MessageId, MessageRef};
use crate::link::outbox::{Marked, Outbox};
use crate::mailbox::News;

impl Client {
    /// Sends a text message: at once on this thread if the session is free, else from the outbox. It never
    /// waits for the network, unless the outbox is full and set to block.
    ///
    /// While the link is down the message waits in the outbox and goes out after the next reconnect, oldest first.
    /// `Ok` therefore means *accepted*; what became of the message is told by an [`Outcome`](crate::Outcome).
    ///
    /// # Errors
    ///
    /// Nothing was queued when it fails:
    /// - [`SendError::Full`]: the outbox is at its limit. Wait for `writable`, or drop something.
    /// - [`SendError::TooBig`]: longer than the outbox may ever hold.
    /// - [`SendError::Closed`]: the client was closed, or gave up.
    /// - [`SendError::WouldDeadlock`]: the outbox is set to block, and this is the thread that empties it.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), heartwire::Error> {
    /// let client = heartwire::Client::builder("ws://127.0.0.1:9000/feed").connect()?;
    /// client.send_text("hello").ok(); // best effort
    /// # Ok(()) }
    /// ```
    pub fn send_text(&self, text: &str) -> Result<MessageId, SendError> {
        self.core.send(Kind::Text, text.as_bytes(), self.core.config.terms, None)
    }

    /// Sends a binary message; everything else is as with [`send_text`](Client::send_text).
    ///
    /// # Errors
    ///
    /// As [`send_text`](Client::send_text).
    pub fn send_binary(&self, data: &[u8]) -> Result<MessageId, SendError> {
        self.core.send(Kind::Binary, data, self.core.config.terms, None)
    }

    /// Sends a message with settings of its own; everything else is as with [`send_text`](Client::send_text).
    ///
    /// # Errors
    ///
    /// As [`send_text`](Client::send_text).
    pub fn send_with(&self, message: MessageRef<'_>, options: SendOptions) -> Result<MessageId, SendError> {
        let kind = if message.is_text() { Kind::Text } else { Kind::Binary };
        let terms = options.terms(self.core.config.terms);
        self.core.send(kind, message.as_bytes(), terms, options.time_to_live)
    }

    /// Sends a ping of your own, of at most 125 bytes; it is not queued and has no outcome. Does not wait.
    ///
    /// # Errors
    ///
    /// [`SendError::PingTooLong`]; [`SendError::NotOpen`] while no session is open; [`SendError::Full`] while 16 others
    /// wait; [`SendError::Closed`].
    pub fn ping(&self, payload: &[u8]) -> Result<(), SendError> {
        if payload.len() > 125 {
            return Err(SendError::PingTooLong);
        }
        self.core.mailbox.ping(payload)
    }

    /// Waits until every message that was accepted before this call is written, or was dropped.
    ///
    /// # Errors
    ///
    /// [`WaitError::TimedOut`]: some are still queued. [`WaitError::Closed`]: the client ended with some of them
    /// unwritten. [`WaitError::WouldDeadlock`] in a turn of any event loop.
    pub fn flush(&self, timeout: Duration) -> Result<(), WaitError> {
        let mut target = None;
        self.wait_for_outbox(timeout, |outbox| {
            let last = *target.get_or_insert_with(|| outbox.last_accepted());
            let oldest = outbox.oldest_unfinished();
            (oldest.is_none() || oldest > last).then_some(())
        })
    }

    /// Waits until every message that was accepted before this call has reached this level, or was dropped, whatever
    /// level completes it.
    ///
    /// While it waits it costs what [`Builder::complete_at`](crate::Builder::complete_at) says. Messages that were
    /// complete when their session ended, before this call, are not asked about: nothing can be found out of them any
    /// more.
    ///
    /// # Errors
    ///
    /// As [`flush`](Client::flush), and [`WaitError::Unknown`]: a session died under some of them, which do not go
    /// again, and how far they got nobody can tell. [`Level::Acked`] is not reached by itself where the kernel does not
    /// tell.
    pub fn flush_to(&self, level: Level, timeout: Duration) -> Result<(), WaitError> {
        if level == Level::Written {
            return self.flush(timeout);
        }
        let mark = self.core.mailbox.order(|inner| inner.outbox.mark(level));
        let waited = self.wait_for_outbox(timeout, |outbox| match outbox.marked(mark) {
            Marked::Waiting => None,
            Marked::Reached => Some(Ok(())),
            Marked::Lost => Some(Err(WaitError::Unknown)),
        });
        match &waited {
            // A close may have waited for it, too.
            Err(_) => self.core.mailbox.order(|inner| inner.outbox.unmark(mark)),
            Ok(_) => self.core.mailbox.lock().outbox.unmark(mark),
        }
        waited?
    }

    fn wait_for_outbox<T>(
        &self,
        timeout: Duration,
        mut done: impl FnMut(&Outbox) -> Option<T>,
    ) -> Result<T, WaitError> {
        let deadline = Instant::now().checked_add(timeout);
        self.core.wait_until(News::Outbox, deadline, |inner| {
            // Whether the end came before this call or during it, they are not written.
            if inner.outbox.has_left_some_behind() {
                return None;
            }
            done(&inner.outbox)
        })
    }
}
