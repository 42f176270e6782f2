//! The user's side of a message in pieces: begin, append, finish, give up. Nothing here waits or writes: the loop does.

use std::time::Instant;

use crate::config::delivery::Terms;
use crate::entry::Kind;
use crate::error::SendError;
use crate::event::{DropReason, MessageId};
use crate::link::outbox::GivenUp;
use crate::mailbox::{Inner, Mailbox, News, wake};

impl Mailbox {
    pub(crate) fn begin_pieces(
        &self,
        kind: Kind,
        terms: Terms,
        now: Instant,
    ) -> Result<MessageId, SendError> {
        let mut telling = self.telling();
        self.with_pieces(|inner| {
            if inner.accepts_nothing() {
                return Err(SendError::Closed);
            }
            let before = inner.outbox.unfinished();
            let accepted = inner.outbox.accept_pieces(kind, terms, now);
            if inner.outbox.unfinished() < before + usize::from(accepted.is_ok()) {
                telling.announce(inner, News::Outbox);
            }
            accepted
        })
    }

    /// Takes as many bytes as there is room for, which may be none.
    pub(crate) fn append(&self, id: MessageId, bytes: &[u8]) -> Result<usize, DropReason> {
        self.with_pieces(|inner| inner.outbox.append(id, bytes))
    }

    pub(crate) fn finish_pieces(&self, id: MessageId) -> Result<(), DropReason> {
        self.with_pieces(|inner| inner.outbox.finish_pieces(id))
    }

    pub(crate) fn give_up_pieces(&self, id: MessageId) {
        let mut telling = self.telling();
        self.with_pieces(|inner| match inner.outbox.give_up_pieces(id) {
            GivenUp::Before => {}
            GivenUp::Whole => {
                telling.announce(inner, News::Outbox);
                inner.orders.writable |= inner.outbox.take_writable();
            }
            GivenUp::InTheMiddle => inner.orders.abandoned = true,
        });
    }

    /// The loop has to look if there is something to write now, or an order, or an outcome to tell.
    fn with_pieces<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.lock();
        let result = change(&mut inner);
        let ordered = inner.orders.abandoned || inner.orders.writable;
        let home = if ordered { inner.list() } else { inner.list_for_sending() };
        drop(inner);
        wake(home);
        result
    }
}
