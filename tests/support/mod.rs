//! What the project's own tests have beside [`heartwire::testing`], whose names are here, too: certificates of every
//! kind, servers in processes of their own, proxies, counters, and a watchdog.
//!
//! Tests write `mod support;`, examples `#[path = "../tests/support/mod.rs"] mod support;`. Nothing here sleeps to wait
//! for something: tests wait for an event with a timeout.
#![allow(dead_code, reason = "each test binary uses its own part of the support code")]
#![allow(unreachable_pub, reason = "written in the shape of a public module")]
#![allow(unused_imports, reason = "the re-exports below are a menu")]

pub mod certs;
pub mod crowd;
#[cfg(feature = "deflate")]
pub mod deflate;
#[cfg(unix)]
pub mod door;
pub mod elsewhere;
pub mod heap;
pub mod log_lines;
pub mod main_loop;
pub mod proxy;
pub mod told;
pub mod watch;

pub use heartwire::Message;
pub use heartwire::testing::{
    Behaviour, Direction, Ending, PATIENCE, Point, RawStream, Relay, Request, Server, ServerEvent, Setup,
    Then, frames, upgrade,
};
pub use told::Told;
pub use watch::watchdog;
