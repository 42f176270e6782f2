//! A WebSocket client that stays connected.

mod config;
mod error;
mod event;
#[allow(dead_code, unused_imports)]
mod link;
mod net;
mod session;

pub use config::heartbeat::Heartbeat;
pub use config::outbox::OutboxLimits;
pub use config::reconnect::Reconnect;
pub use error::*;
pub use event::*;
