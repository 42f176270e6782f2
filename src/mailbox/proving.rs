//! What is proven of messages that were written: what the kernel says, what pongs say, and who waits for it.

use rand::RngExt;

use crate::config::delivery::{Replay, Stamp};
use crate::entry::Kind;
use crate::event::{Level, Message};
use crate::link::asking::Asked;
use crate::mailbox::{Inner, Mailbox, News, Telling};
use crate::net::stream::Stream;
use crate::process;
use crate::session::wire::Wire;
use crate::user_code::{Panicked, guarded};

impl Mailbox {
    /// From here on what is proven is about this session.
    pub(crate) fn begin_session(&self, wire: &Wire<Stream>) {
        let key = process::rng().random();
        let (taken, tells) = (wire.stream.sent(), wire.stream.unacknowledged().is_some());
        let mut inner = self.lock();
        // The session before may have ended too soon to give back what the outbox needed.
        inner.outbox.shrink();
        inner.outbox.begin_session(key, taken, tells);
    }

    /// A pong came, which is rare next to messages. `true` if that leaves the loop something to write or to tell.
    #[cold]
    pub(crate) fn pong(&self, payload: &[u8]) -> bool {
        let mut telling = self.telling();
        let mut inner = self.lock();
        let completed = inner.outbox.pong(payload);
        if completed {
            telling.announce(&inner, News::Outbox);
        }
        completed || inner.outbox.needs_fence()
    }

    /// Asks the kernel what is acknowledged, if somebody wants to know.
    pub(super) fn ask_kernel(
        &self,
        inner: &mut Inner,
        wire: &Wire<Stream>,
        telling: &mut Telling<'_>,
    ) -> Asked {
        let mut moved = false;
        if inner.outbox.awaits_acknowledgement()
            && let Some(acknowledged) = wire.stream.acknowledged()
        {
            moved = inner.outbox.acknowledged(acknowledged);
            if moved {
                telling.announce(inner, News::Outbox);
            }
        }
        inner.asking = inner.outbox.awaits_acknowledgement();
        Asked { waits: inner.asking, moved, round_trip: inner.counters.smoothed_rtt }
    }

    /// While closing: what a close waits for before it says Close.
    pub(super) fn mark_drain(&self, inner: &mut Inner) {
        if self.drain_to > Level::Written {
            // It lasts as long as the client.
            inner.outbox.mark(self.drain_to);
        }
    }

    /// Whether all is written, and proven as far as was asked for.
    pub(crate) fn is_drained(&self, wire: &mut Wire<Stream>) -> bool {
        let mut telling = self.telling();
        let mut inner = self.lock();
        self.account(&mut inner, wire, &mut telling);
        (inner.outbox.is_empty() || inner.outbox.is_stuck()) && !inner.outbox.awaits_proof()
    }

    /// Lets the program see the messages that are about to go once more; its code runs without a lock.
    pub(crate) fn stamp_replays(&self, stamp: &Stamp) -> Result<(), Panicked> {
        loop {
            // The lock is not held in the body.
            let next = self.lock().outbox.next_unstamped();
            let Some((id, kind, number, payload)) = next else { return Ok(()) };
            let message = match kind {
                Kind::Text => String::from_utf8(payload).map(Message::text).unwrap_or_else(|error| {
                    // It was checked when it was accepted.
                    Message::binary(error.into_bytes())
                }),
                Kind::Binary => Message::binary(payload),
            };
            let mut replay = Replay { id, number, message };
            let stamped = guarded(|| stamp.call(&mut replay));
            let kind = Kind::of(&replay.message);
            self.lock().outbox.stamped(id, kind, replay.message.into_bytes());
            stamped?;
        }
    }
}

impl Inner {
    /// Whether the loop has to see to something that was just written.
    pub(super) fn has_unproven(&self) -> bool {
        self.outbox.needs_fence() || (!self.asking && self.outbox.awaits_acknowledgement())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::Instant;

    use super::*;
    use crate::client::Client;
    use crate::config::delivery::Terms;

    #[test]
    fn a_session_does_not_inherit_the_memory_that_the_one_before_had_needed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let wire = Wire::new(Stream::plain(mio::net::TcpStream::from_std(socket)));
        let mailbox = Mailbox::new(&Client::builder("ws://127.0.0.1/").config().unwrap());
        let now = Instant::now();
        for _ in 0..1000 {
            mailbox.lock().outbox.accept(Kind::Text, b"x", Terms::default(), None, now).unwrap();
        }
        mailbox.begin_session(&wire);
        assert!(mailbox.lock().outbox.places() >= 1000, "they wait for it");
        mailbox.lock().outbox.hand_out(usize::MAX, now, drop);
        mailbox.lock().outbox.restore([].into(), None);
        assert!(
            mailbox.lock().outbox.places() >= 1000,
            "it is for the session to give that back, after a while"
        );
        mailbox.begin_session(&wire);
        assert!(mailbox.lock().outbox.places() < 100);
    }
}
