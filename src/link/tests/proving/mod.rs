//! What is proven of messages that were written.

mod fences;
mod ledger;
mod marks;

use super::*;
use crate::config::delivery::{Delivery, Priority, Terms};
use crate::config::outbox::OutboxLimits;
use crate::entry::{Entry, Kind};
use crate::error::SendError;
use crate::event::{DropReason, Fate, Level, MessageId};
use crate::link::outbox::{Marked, Outbox};

const ACKED: Terms = of_level(Level::Acked);
const PROCESSED: Terms = of_level(Level::Processed);
const AGAIN: Terms = Terms { delivery: Delivery::AtLeastOnce, ..of_level(Level::Written) };
const HIGH: Terms = Terms { priority: Priority::High, ..of_level(Level::Written) };

const fn of_level(asked: Level) -> Terms {
    Terms { asked, delivery: Delivery::AtMostOnce, priority: Priority::Normal }
}

/// An outbox with what a loop, a wire and a socket do for it: one byte of the stream for each byte of payload.
struct Bench {
    outbox: Outbox,
    now: Instant,
    wire: VecDeque<Entry>,
    taken: u64,
}

impl Bench {
    fn new(limits: OutboxLimits) -> Bench {
        let mut outbox = Outbox::new(limits);
        outbox.report_outcomes(true);
        Bench { outbox, now: Instant::now(), wire: VecDeque::new(), taken: 0 }
    }

    fn open(limits: OutboxLimits) -> Bench {
        let mut bench = Bench::new(limits);
        bench.begin();
        bench
    }

    fn begin(&mut self) {
        self.taken = 0;
        self.outbox.begin_session(7, 0, true);
    }

    /// Ten bytes.
    fn put(&mut self, terms: Terms) -> u64 {
        self.try_put(terms).expect("there is room")
    }

    fn try_put(&mut self, terms: Terms) -> Result<u64, SendError> {
        self.outbox.accept(Kind::Text, b"ten bytes.", terms, None, self.now).map(MessageId::get)
    }

    /// Hands out all that waits; its ids.
    fn hand_out(&mut self) -> Vec<u64> {
        let mut ids = Vec::new();
        self.outbox.hand_out(usize::MAX, self.now, |entry| {
            ids.push(entry.id.get());
            self.wire.push_back(entry);
        });
        ids
    }

    /// The socket takes the oldest of what was handed out.
    fn write(&mut self, messages: usize) {
        for entry in self.wire.drain(..messages) {
            self.taken += entry.payload.len() as u64;
            self.outbox.written(entry.id, entry.id, 1, entry.payload.len(), self.taken);
            if entry.record.terms.goes_again() {
                self.outbox.keep(entry);
            }
        }
        self.outbox.taken(self.taken);
    }

    fn send(&mut self, terms: Terms) -> u64 {
        let id = self.put(terms);
        self.hand_out();
        self.write(self.wire.len());
        id
    }

    fn put_many(&mut self, messages: u32, terms: Terms) {
        for _ in 0..messages {
            self.put(terms);
        }
    }

    fn send_many(&mut self, messages: u32, terms: Terms) {
        for _ in 0..messages {
            self.send(terms);
        }
    }

    fn die(&mut self, acknowledged: Option<u64>) {
        self.outbox.restore(std::mem::take(&mut self.wire), acknowledged);
    }

    fn fates(&mut self) -> Vec<(u64, u64, Fate)> {
        let outcomes = drain(|| self.outbox.next_outcome()).into_iter();
        outcomes.map(|outcome| (outcome.first().get(), outcome.last().get(), outcome.fate())).collect()
    }

    /// The payload of the next fence, as the server sends it back.
    fn fence(&mut self) -> Vec<u8> {
        self.outbox.fence().expect("a fence is needed").to_vec()
    }
}

fn done(level: Level) -> Fate {
    Fate::Completed(level)
}
