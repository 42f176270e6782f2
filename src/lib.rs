//! A WebSocket client that stays connected.

#![warn(clippy::print_stdout, clippy::print_stderr)] // a library speaks through `log`, or not at all

mod client;
mod config;
mod core;
mod dispatch;
mod entry;
mod error;
mod event;
mod event_loop;
mod link;
mod mailbox;
mod net;
mod session;
mod stats;
mod thread;

pub use client::{Client, SendOptions, WeakClient};
pub use config::Dispatch;
pub use config::builder::Builder;
pub use config::greeting::Greeting;
pub use config::heartbeat::Heartbeat;
pub use config::outbox::OutboxLimits;
pub use config::reconnect::Reconnect;
#[cfg(feature = "native-tls")]
pub use config::tls::{Tls, TlsVersion};
pub use dispatch::handlers::ListenerId;
pub use error::*;
pub use event::*;
pub use stats::Stats;
