//! The outbox's settings: how much may wait, for how long, and what happens when it is full.

use std::time::Duration;

use crate::config::check;
use crate::error::ConfigError;

/// What may wait to be sent while the link is down or slow.
///
/// The default holds 4096 messages and 8 MiB, refuses more ([`SendError::Full`](crate::SendError::Full)),
/// and keeps what it has for as long as it takes.
#[derive(Clone, Debug)]
pub struct OutboxLimits {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    pub(crate) when_full: WhenFull,
    pub(crate) time_to_live: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    Reject,
    EvictOldest,
    Block(Duration),
}

impl OutboxLimits {
    /// The defaults.
    pub fn new() -> OutboxLimits {
        OutboxLimits { messages: 4096, bytes: 8 << 20, when_full: WhenFull::Reject, time_to_live: None }
    }

    /// At most this many messages wait. Default: 4096.
    pub fn messages(mut self, messages: usize) -> OutboxLimits {
        self.messages = messages;
        self
    }

    /// At most this many bytes of payload wait; no single message can be longer. Default: 8 MiB.
    pub fn bytes(mut self, bytes: usize) -> OutboxLimits {
        self.bytes = bytes;
        self
    }

    /// When full, a send fails with `Full`. The default.
    pub fn reject_when_full(mut self) -> OutboxLimits {
        self.when_full = WhenFull::Reject;
        self
    }

    /// When full, the oldest waiting messages make room; each is reported as dropped (evicted).
    pub fn evict_oldest_when_full(mut self) -> OutboxLimits {
        self.when_full = WhenFull::EvictOldest;
        self
    }

    /// When full, a send waits up to this time for room, and fails with `Full` after it.
    pub fn block_when_full(mut self, timeout: Duration) -> OutboxLimits {
        self.when_full = WhenFull::Block(timeout);
        self
    }

    /// A message that could not be written for this time is dropped and reported (expired). One that was written and
    /// waits to go again ends then, too, as [`Unknown`](crate::Fate::Unknown). Default: never.
    pub fn time_to_live(mut self, time: Duration) -> OutboxLimits {
        self.time_to_live = Some(time);
        self
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.messages == 0 {
            return Err(ConfigError::new("outbox messages", "must be at least 1"));
        }
        if self.bytes == 0 {
            return Err(ConfigError::new("outbox bytes", "must be at least 1"));
        }
        if let WhenFull::Block(timeout) = self.when_full {
            check::time("outbox block_when_full", timeout)?;
        }
        match self.time_to_live {
            Some(time) => check::time("outbox time_to_live", time),
            None => Ok(()),
        }
    }
}

/// [`OutboxLimits::new`].
impl Default for OutboxLimits {
    fn default() -> OutboxLimits {
        OutboxLimits::new()
    }
}
