//! Tools for tests of programs that use heartwire.

mod behaviour;
mod connection;
pub mod frames;
mod misbehaviour;
mod plan;
mod port;
mod relay;
mod server;
mod serving;
mod tls;
pub mod upgrade;

pub use behaviour::{Behaviour, RawStream, When};
pub use misbehaviour::{BadFrame, Point, Then};
pub use relay::{Direction, Passage, Relay};
pub use server::{Ending, PATIENCE, Server, ServerEvent, Setup};
pub use tls::{Authority, ClientIdentity, ServerTls};
pub use upgrade::Request;
