//! Settings of a single message.

use std::time::Duration;

/// What applies to one message only; see [`Client::send_with`](crate::Client::send_with).
#[derive(Clone, Copy, Debug, Default)]
pub struct SendOptions {
    pub(super) time_to_live: Option<Duration>,
}

impl SendOptions {
    /// Nothing special.
    pub fn new() -> SendOptions {
        SendOptions::default()
    }

    /// Drops the message, and says so, when it could not be written for this time. Default: the outbox's setting.
    pub fn time_to_live(mut self, time: Duration) -> SendOptions {
        self.time_to_live = Some(time);
        self
    }
}
