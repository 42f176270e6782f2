//! A WebSocket client that stays connected.

mod config;
mod error;
mod event;
#[allow(dead_code)]
mod link;
#[allow(dead_code)] // until the event loop dials
mod net;
mod session;

pub use config::greeting::Greeting;
pub use config::heartbeat::Heartbeat;
pub use config::outbox::OutboxLimits;
pub use config::reconnect::Reconnect;
#[cfg(feature = "native-tls")]
pub use config::tls::{Tls, TlsVersion};
pub use error::*;
pub use event::*;
