//! Every setting, its default and its check. Nothing here changes after connect.

use std::sync::Arc;

pub(crate) mod address;
pub(crate) mod builder;
pub(crate) mod check;
#[cfg(any(feature = "deflate", feature = "capi"))]
#[cfg_attr(
    not(feature = "deflate"),
    allow(dead_code, unreachable_pub, reason = "the C functions are the same in every build")
)]
pub(crate) mod deflate;
pub(crate) mod delivery;
mod environment;
pub(crate) mod greeting;
pub(crate) mod heartbeat;
pub(crate) mod outbox;
#[cfg(any(feature = "native-tls", feature = "capi", heartwire_fuzz))]
pub(crate) mod pin;
pub(crate) mod proxy;
pub(crate) mod reconnect;
pub(crate) mod route;
pub(crate) mod tcp;
#[cfg(any(feature = "native-tls", feature = "capi"))]
#[cfg_attr(
    not(feature = "native-tls"),
    allow(dead_code, unreachable_pub, reason = "the C functions are the same in every build")
)]
pub(crate) mod tls;
pub(crate) mod unix;

use crate::before_connect::Hook;
#[cfg(unix)]
use crate::error::ConfigError;
use crate::event::Level;
use crate::link::Rules;
use delivery::{Stamp, Terms};
use greeting::Greeting;
use outbox::OutboxLimits;
use route::{Ground, Route};

/// Where handlers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Dispatch {
    /// On the thread that turns the event loop: the fastest way, without a second thread. A handler that takes
    /// long delays this client's heartbeat, and the messages that wait in its outbox; on a shared
    /// [`EventLoop`](crate::EventLoop) those of all its clients.
    #[default]
    Loop,
    /// On a thread of the client's own, behind a bounded queue: handlers may take their time.
    Thread,
}

/// The default of a loop thread's stack, in bytes; only touched pages count.
pub(crate) const STACK_SIZE: usize = 1 << 20;

/// The program's hook, and what an attempt that it changes begins with. No `Debug`: it holds secrets.
pub(crate) struct BeforeConnect {
    pub(crate) hook: Hook,
    /// As the program wrote them.
    pub(crate) urls: Vec<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) subprotocols: Vec<String>,
}

/// A builder's settings, checked. No `Debug`: it holds secrets.
pub(crate) struct Config {
    pub(crate) name: String,
    /// One for each URL.
    pub(crate) routes: Vec<Arc<Route>>,
    pub(crate) ground: Arc<Ground>,
    pub(crate) redirects: u32,
    pub(crate) cookies: bool,
    pub(crate) before_connect: Option<BeforeConnect>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) outbox: OutboxLimits,
    /// What holds for messages that say nothing else.
    pub(crate) terms: Terms,
    /// How far messages have to be before a close says Close.
    pub(crate) drain_to: Level,
    pub(crate) stamp: Option<Stamp>,
    pub(crate) greetings: Vec<Greeting>,
    /// `u64::MAX` is no limit.
    pub(crate) max_message: u64,
    /// The longest payload of a frame that is sent.
    pub(crate) fragment: usize,
    /// `usize::MAX`: all messages are delivered whole.
    pub(crate) fragments_above: usize,
    pub(crate) dispatch: Dispatch,
    pub(crate) inbound_events: usize,
    pub(crate) inbound_bytes: usize,
    pub(crate) report_outcomes: bool,
    pub(crate) stack_size: usize,
}

impl Config {
    pub(crate) fn delivers_fragments(&self) -> bool {
        self.fragments_above < usize::MAX
    }

    /// Whether there can be a session over a stream that the program brings.
    #[cfg(unix)]
    pub(crate) fn check_brought(&self) -> Result<(), ConfigError> {
        let other = if self.routes.len() > 1 {
            Some("further URLs")
        } else if self.routes[0].target.unix.is_some() {
            Some("a Unix socket")
        } else if self.ground.is_dialled_by_program() {
            Some("dial_with")
        } else {
            self.ground.of_tcp()
        };
        match other {
            Some(other) => {
                Err(ConfigError::new("connect_over", format!("it does not go together with {other}")))
            }
            None => Ok(()),
        }
    }
}
