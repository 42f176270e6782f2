//! Tools for tests of programs that have to stay connected: a server that misbehaves as it is told, a relay that breaks
//! connections, certificates, and a rehearsal of the settings under invented time.
//!
//! It comes with the feature `testing`, which belongs to a program's tests and not to the program:
//!
//! ```toml
//! [dev-dependencies]
//! heartwire = { version = "0.1", features = ["testing"] }
//! ```
//!
//! # A test of one's own
//!
//! A program that counts messages, and has to go on when its server is gone for a moment:
//!
//! ```
//! use heartwire::testing::{Behaviour, Setup, Then, When};
//! use heartwire::{Client, Reconnect};
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicUsize, Ordering};
//! use std::time::Duration;
//!
//! // The program under test.
//! fn count_messages(url: &str) -> (Client, Arc<AtomicUsize>) {
//!     let count = Arc::new(AtomicUsize::new(0));
//!     let counted = Arc::clone(&count);
//!     let builder = Client::builder(url).reconnect(Reconnect::fixed(Duration::from_millis(20)));
//!     let client = builder.greeting("subscribe").build().unwrap();
//!     client.on_message(move |client, _| {
//!         if counted.fetch_add(1, Ordering::SeqCst) == 2 {
//!             client.close(1000, "three are enough").unwrap();
//!         }
//!     });
//!     client.connect().unwrap();
//!     (client, count)
//! }
//!
//! // Its server is overloaded first, then cuts the connection, then is away for a moment.
//! let server = Setup::script([
//!     Behaviour::refuse(503, &[("Retry-After", "0")], "not now"),
//!     Behaviour::silent().greeting("one").until(When::Messages(1), Then::Reset),
//!     Behaviour::absent(Duration::from_millis(100)),
//!     Behaviour::silent().greeting("two").greeting("three"),
//! ])
//! .start();
//!
//! let (client, count) = count_messages(&server.url());
//! client.wait_closed(Duration::from_secs(10)).unwrap();
//! assert_eq!(count.load(Ordering::SeqCst), 3);
//! assert_eq!(server.steps_left(), 0, "each step was played");
//! assert_eq!(server.received_texts(), ["subscribe", "subscribe"]);
//! assert_eq!(server.wait_closed(), (Some(1000), "three are enough".to_owned()));
//! ```
//!
//! # What there is
//!
//! | for | take |
//! |---|---|
//! | a server that behaves, or does not, connection by connection | [`Server`], [`Setup::script`], [`Behaviour`] |
//! | to break something at this moment | the calls of [`Server`] and [`Relay`]: `cut`, `mute`, `stall`, `refuse_new_connections` … |
//! | a server of another kind, or its real one, over a bad network | [`Relay`] in front of it, [`Relay::script`], [`Passage`] |
//! | what exactly went over the line | [`Server::next_event`], [`Relay::record`] |
//! | `wss:`, good and bad certificates | [`Authority`], [`Setup::tls`] |
//! | answers and frames byte by byte | [`Behaviour::raw`], [`frames`], [`upgrade`] |
//! | delays, heartbeats, what is retried, without waiting for them | [`Rehearsal`] |
//! | all of this for programs in C, or any language | `examples/heartwire-chaos`, a program |
//!
//! Connection refused: [`Server::refuse_new_connections`], [`Behaviour::absent`], [`Relay::refuse`]. Refused by HTTP:
//! [`Behaviour::refuse`]. Cut: [`Then::Reset`] and [`Then::End`] at a [`When`] or a [`Point`], [`Server::cut`],
//! [`Relay::cut_after`]. Stalled: [`Then::Stall`], [`Server::mute`], [`Relay::stall`], [`Relay::hold`]. Silent:
//! [`Then::Silence`], [`Behaviour::no_pongs`], [`Server::silence`]. Slow: [`Behaviour::trickle`],
//! [`Behaviour::upgrade_delay`], [`Relay::throttle`], [`Relay::delay`]. Bad answers: [`Behaviour::wrong_accept`],
//! [`Behaviour::answers`], [`Behaviour::sends`] with a [`BadFrame`].
//!
//! # How it runs
//!
//! Servers and relays run inside the test's process, each on a thread of its own with a name, on 127.0.0.1 and a port
//! that the system chose, so that tests may run side by side. A call has taken effect when it returns; none waits but for
//! the server's own thread, unless its name says so (`wait_…`, `next_event`). What waits has a limit, and fails the test
//! with a list of what came instead: after [`PATIENCE`], unless the limit is given. A drop cuts all connections and ends
//! the threads. A server's record of messages and events grows as long as it lives: it is for tests, and not for the open
//! network.
//!
//! Its faults are meant to be plain: it panics where the system gives no socket or a test asks for what cannot be.

mod behaviour;
mod connection;
mod event;
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
mod transport;
pub mod upgrade;

pub use behaviour::{Behaviour, RawStream, When};
pub use event::{Ending, ServerEvent};
pub use failure::Failure;
pub use misbehaviour::{BadFrame, Point, Then};
pub use rehearsal::{Deed, Rehearsal};
pub use relay::{Direction, Passage, Relay, RelayEvent};
pub use server::{PATIENCE, Server, Setup};
pub use tls::{Authority, ClientIdentity, ServerTls};
pub use upgrade::Request;
