//! How often a message may arrive, what completes it, and what goes before the others.

use std::fmt;

use crate::event::{Level, Message, MessageId, MessageRef};
use crate::user_code::Kept;

/// How often a message may arrive, when sessions die under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Delivery {
    /// Only what was not written whole goes again on the next session. What was written and not proven to have arrived
    /// ends as [`Fate::Unknown`](crate::Fate::Unknown). The default.
    #[default]
    AtMostOnce,
    /// What has not reached its level goes again on the next session, in its order, and before all of its priority that
    /// waits. The level is [`Level::Processed`], unless [`Level::Acked`] is asked for: that suffices where nothing
    /// stands between client and server (no proxy, no load balancer) and the server's program cannot die before it has
    /// read what its kernel holds.
    ///
    /// A copy of the payload is kept until then, and counts against the outbox's limits. Of a
    /// [`MessageStream`](crate::MessageStream) none is: it goes once at most, whatever is set.
    AtLeastOnce,
}

/// Which messages go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum Priority {
    /// In the order of sending. The default.
    #[default]
    Normal,
    /// Before all normal messages that wait, in the order of sending among themselves. One that is on its way already,
    /// and what the wire's buffer holds (64 KiB), is not overtaken, nor is a [`MessageStream`](crate::MessageStream)
    /// that has begun to go out. While high ones wait, no normal one goes out.
    High,
}

/// What was asked for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// What is to complete it; [`level`](Terms::level) is what does.
    pub(crate) asked: Level,
    pub(crate) delivery: Delivery,
    pub(crate) priority: Priority,
}

impl Terms {
    /// The level that counts: one that has to arrive is not complete when it is written.
    pub(crate) fn level(self) -> Level {
        match (self.delivery, self.asked) {
            (Delivery::AtLeastOnce, Level::Written) => Level::Processed,
            (_, level) => level,
        }
    }

    /// Whether its payload is kept until it is complete.
    pub(crate) fn goes_again(self) -> bool {
        self.delivery == Delivery::AtLeastOnce
    }
}

impl Default for Terms {
    fn default() -> Terms {
        Terms { asked: Level::Written, delivery: Delivery::AtMostOnce, priority: Priority::Normal }
    }
}

/// A message that is about to be written once more, as [`Builder::on_replay`](crate::Builder::on_replay) sees it.
pub struct Replay {
    pub(crate) id: MessageId,
    pub(crate) number: u32,
    pub(crate) message: Message,
}

impl Replay {
    /// Which message it is.
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// 1 for the first repetition, then 2, and so on.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// What was written the last time.
    pub fn message(&self) -> MessageRef<'_> {
        self.message.as_ref()
    }

    /// Writes this instead, now and at further repetitions. It may be longer than the outbox has room for; then nothing
    /// more is accepted until there is room again.
    pub fn replace(&mut self, message: impl Into<Message>) {
        self.message = message.into();
    }
}

/// Which one; payloads do not belong into logs.
impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay").field("id", &self.id).field("number", &self.number).finish_non_exhaustive()
    }
}

/// The program's closure that stamps repetitions.
pub(crate) struct Stamp(Kept<Box<See>>);

type See = dyn Fn(&mut Replay) + Send + Sync;

impl Stamp {
    pub(crate) fn new(stamp: impl Fn(&mut Replay) + Send + Sync + 'static) -> Stamp {
        Stamp(Kept::new(Box::new(stamp)))
    }

    /// Runs user code: to be called with no lock held, and guarded.
    pub(crate) fn call(&self, replay: &mut Replay) {
        (self.0)(replay);
    }
}
