//! A WebSocket client that stays connected, for programs without an async runtime.
//!
//! You create a [`Client`], connect it once, and from then on it is the library's work that the link
//! is up: it keeps a heartbeat, notices a dead link, dials again, sends first what has to be sent
//! first, and tells you truthfully what became of every message you handed it.
//!
//! ```no_run
//! use heartwire::{Client, Event, Heartbeat, Message};
//! use std::time::Duration;
//!
//! fn main() -> Result<(), heartwire::Error> {
//!     let client = Client::builder("ws://127.0.0.1:9000/feed")
//!         .header("Authorization", "Bearer abc")
//!         .heartbeat(Heartbeat::ping())
//!         .greeting(|_attempt| Message::text(r#"{"op":"login"}"#)) // first on every open
//!         .build()?; // checks everything; no thread, no socket yet
//!     let events = client.events(); // before connect, so that no open is missed
//!     client.connect()?; // returns at once
//!
//!     let sender = client.clone();
//!     sender.send_text("hello")?; // from any thread, in any state: it waits until the link is up
//!
//!     for event in &events {
//!         match event {
//!             Event::Message(m) if m.as_text() == Some("bye") => client.close(1000, "done")?,
//!             Event::Message(m) => println!("{m}"),
//!             Event::ClosedForGood(end) => {
//!                 println!("{end}");
//!                 break;
//!             }
//!             other => eprintln!("{other}"),
//!         }
//!     }
//!     client.wait_closed(Duration::from_secs(5))?;
//!     Ok(())
//! }
//! ```
//!
//! # Three ways to get events
//!
//! - **Handlers**: [`Client::on_message`] and its like, called on the event loop's thread with borrowed
//!   messages; the fastest way. [`Dispatch::Thread`] gives them a thread of their own.
//! - **Pull**: [`Client::recv_timeout`], for programs that wait in a place of their own.
//! - **Channel**: [`Client::events`], a crossbeam `Receiver` for `for` loops and `select!`.
//!
//! They exclude each other; the first one used decides. Messages too long to be kept whole can come in parts, in each
//! of these ways: [`Builder::fragments_above`].
//!
//! # Three ways to run
//!
//! - **A thread for each client**, the default: nothing to think of.
//! - **Many clients on one thread**: an [`EventLoop`] that is started, and [`Builder::event_loop`].
//! - **Inside the program's own loop**: an [`EventLoop`] that the program turns, or that is turned by the calls that
//!   wait. No thread of the library's, and no thread hop between request and reply.
//!
//! # States
//!
//! ```text
//! Idle ── connect ──> Connecting(phase) ── upgrade done ──> Open
//!                       ^   │ failed                          │ ended
//!                       │   v                                 │
//!                     Waiting(attempt, delay) <───────────────┤
//!                           │ gave up, fatal, or close        │ close, or the server's Close
//!                           v                                 v
//!                        Closed <───────────────────────── Closing ──> Waiting, unless the user closed
//! ```
//!
//! # What becomes of a message
//!
//! `Ok` from a send means accepted. A message waits in the outbox while the link is down; what was not
//! written whole when a session ended goes out on the next one, in order. Only a message that is handed over in pieces,
//! by a [`MessageStream`], ends with the session in which it had begun to go out. Each accepted message ends in
//! exactly one [`Fate`], told to those who ask with [`Client::on_outcome`] or
//! [`Builder::report_outcomes`].
//!
//! A message is complete at the [`Level`] that was asked for, by [`Builder::complete_at`] or
//! [`SendOptions::complete_at`]: written, acknowledged by the next TCP endpoint, or processed by the server's WebSocket
//! endpoint. If its session dies before, its fate is unknown; or it goes again until it is complete, with
//! [`Delivery::AtLeastOnce`], and [`Builder::on_replay`] may mark it as a possible duplicate. [`Client::flush_to`]
//! waits for a level, and so does a close with [`Builder::drain_to`]. [`Priority::High`] goes before what waits.
//!
//! # What it does not do
//!
//! No server side, no async runtime, no HTTP beyond the upgrade and a proxy's CONNECT. `Written` means that the socket
//! took the message, not that anyone has read it, and `Processed` that the server's endpoint has, not what its program
//! made of it. Nothing is promised to arrive exactly once: what goes again may arrive twice. A panic is caught only
//! where panics unwind: with `panic = "abort"` a panic in a handler ends the process.
//!
//! The child of a fork has no thread of its parent's, and shares its sockets: it must not use the parent's clients and
//! event loops. Dropping them there does nothing; those that it makes itself work.
//!
//! # Features
//!
//! `native-tls` (default): `wss:` through the platform's TLS. `capi` (default): the C functions of
//! `include/heartwire.h`; a program in Rust may leave it out. `deflate`: permessage-deflate (RFC 7692), for clients
//! that ask for it with `Builder::compression`. `vendored`: `native-tls` with OpenSSL built from source, for machines
//! without its headers. `testing`: the module `testing`, for tests of programs that use the library.
//! Without default features: `ws:` only, and no C functions.

#![warn(clippy::print_stdout, clippy::print_stderr)] // a library speaks through `log`, or not at all

mod asked;
mod before_connect;
mod client;
mod config;
mod cookies;
mod core;
mod dispatch;
mod entry;
mod error;
mod event;
mod event_loop;
mod explain;
#[cfg(feature = "capi")]
mod ffi;
#[cfg(heartwire_fuzz)]
#[doc(hidden)]
pub mod fuzz;
mod link;
mod mailbox;
#[cfg(all(test, heartwire_model))]
mod model;
mod net;
mod pool;
mod process;
mod request;
mod session;
mod stats;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
mod thread;
mod user_code;

pub use before_connect::Attempt;
pub use client::{Client, MessageStream, SendOptions, WeakClient};
pub use config::Dispatch;
pub use config::builder::Builder;
#[cfg(feature = "deflate")]
pub use config::deflate::Deflate;
pub use config::delivery::{Delivery, Priority, Replay};
pub use config::greeting::Greeting;
pub use config::heartbeat::Heartbeat;
pub use config::outbox::OutboxLimits;
pub use config::proxy::Proxy;
pub use config::reconnect::Reconnect;
pub use config::tcp::{IpVersion, Tcp};
#[cfg(feature = "native-tls")]
pub use config::tls::{Tls, TlsVersion};
pub use dispatch::handlers::ListenerId;
pub use error::*;
pub use event::*;
pub use event_loop::EventLoop;
pub use stats::Stats;

/// The programs in the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
