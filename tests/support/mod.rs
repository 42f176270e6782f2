//! A scripted WebSocket server, a relay that breaks connections on demand, certificates, and a watchdog.
//!
//! Everything runs inside the test process, on 127.0.0.1 and a port the system chose, on threads that have names and
//! end when their owner is dropped. Nothing here sleeps to wait for something: tests wait for an event with a timeout.
//!
//! Tests write `mod support;`, examples `#[path = "../tests/support/mod.rs"] mod support;`. It is written in the shape
//! of a public module; until it is one, no user of it needs all of it, and nothing in it is reachable from outside.
#![allow(dead_code, reason = "each test binary uses its own part of the support code")]
#![allow(unreachable_pub, reason = "written in the shape of a public module")]
#![allow(unused_imports, reason = "the re-exports below are a menu")]

pub mod behaviour;
pub mod certs;
mod connection;
pub mod crowd;
#[cfg(feature = "deflate")]
pub mod deflate;
#[cfg(unix)]
pub mod door;
pub mod elsewhere;
pub mod frames;
pub mod heap;
pub mod log_lines;
pub mod main_loop;
pub mod misbehaviour;
mod port;
pub mod proxy;
pub mod relay;
pub mod server;
mod serving;
pub mod told;
pub mod upgrade;
pub mod watch;

pub use behaviour::{Behaviour, RawStream};
pub use frames::Message;
pub use misbehaviour::{Point, Then};
pub use relay::Relay;
pub use server::{Ending, Server, ServerEvent, Setup};
pub use told::Told;
pub use upgrade::Request;
pub use watch::watchdog;
