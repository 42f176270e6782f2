//! Tools for tests of programs that use heartwire.

mod behaviour;
mod connection;
mod failure;
pub mod frames;
mod misbehaviour;
mod plan;
mod port;
mod rehearsal;
mod relay;
mod server;
mod serving;
mod tls;
pub mod upgrade;

pub use behaviour::{Behaviour, RawStream, When};
pub use failure::Failure;
pub use misbehaviour::{BadFrame, Point, Then};
pub use rehearsal::{Deed, Rehearsal};
pub use relay::{Direction, Passage, Relay, RelayEvent};
pub use server::{Ending, PATIENCE, Server, ServerEvent, Setup};
pub use tls::{Authority, ClientIdentity, ServerTls};
pub use upgrade::Request;
