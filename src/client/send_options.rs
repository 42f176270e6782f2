//! Settings of a single message.

use std::time::Duration;

use crate::config::delivery::{Delivery, Priority, Terms};
use crate::event::Level;

/// What applies to one message only; see [`Client::send_with`](crate::Client::send_with).
#[derive(Clone, Copy, Debug, Default)]
pub struct SendOptions {
    pub(super) time_to_live: Option<Duration>,
    complete_at: Option<Level>,
    delivery: Option<Delivery>,
    priority: Priority,
}

impl SendOptions {
    /// Nothing special.
    pub fn new() -> SendOptions {
        SendOptions::default()
    }

    /// Drops the message, and says so, when it could not be written for this time. One that was written and waits to go
    /// again ends then, too, as [`Unknown`](crate::Fate::Unknown). Default: the outbox's setting.
    pub fn time_to_live(mut self, time: Duration) -> SendOptions {
        self.time_to_live = Some(time);
        self
    }

    /// The level that completes the message. Default: as set by [`Builder::complete_at`](crate::Builder::complete_at).
    pub fn complete_at(mut self, level: Level) -> SendOptions {
        self.complete_at = Some(level);
        self
    }

    /// Whether the message goes again when a session dies under it. Default: as set by
    /// [`Builder::delivery`](crate::Builder::delivery).
    pub fn delivery(mut self, delivery: Delivery) -> SendOptions {
        self.delivery = Some(delivery);
        self
    }

    /// Whether the message goes before normal ones that wait. Default: [`Priority::Normal`].
    pub fn priority(mut self, priority: Priority) -> SendOptions {
        self.priority = priority;
        self
    }

    /// Where it says nothing, what was set for the client counts.
    pub(super) fn terms(&self, client: Terms) -> Terms {
        Terms {
            asked: self.complete_at.unwrap_or(client.asked),
            delivery: self.delivery.unwrap_or(client.delivery),
            priority: self.priority,
        }
    }
}
