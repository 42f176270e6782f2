//! The client against everything that networks and servers do, over plain TCP and over TLS alike.
//!
//! A test is a function of [`Net`](net::Net); `stamp!` makes it six tests: plain and TLS, and for each of them clients with
//! a thread of their own, clients that share a loop with a thread, and clients in a loop that the test itself turns.
//! Tests wait for events, of the client or of the server, with a generous deadline; they never wait for time to pass.
//! Where a mode differs by intent, the test asks for it.

#[path = "../support/mod.rs"]
mod support;

/// Stamps each of the test functions for ws and for wss, in each mode.
macro_rules! stamp {
    ($($test:ident),+ $(,)?) => {
        mod plain {
            use super::{$($test),+};
            stamp_modes!(Plain: $($test),+);
        }

        #[cfg(feature = "native-tls")]
        mod tls {
            use super::{$($test),+};
            stamp_modes!(Tls: $($test),+);
        }
    };
}

/// Stamps each of the test functions in each mode.
macro_rules! stamp_modes {
    ($network:ident: $($test:ident),+ $(,)?) => {
        stamp_mode!(own, Own, $network: $($test),+);
        stamp_mode!(shared, Shared, $network: $($test),+);
        stamp_mode!(turned, Turned, $network: $($test),+);
    };
}

macro_rules! stamp_mode {
    ($module:ident, $mode:ident, $network:ident: $($test:ident),+) => {
        mod $module {
            $(#[test]
            fn $test() {
                use crate::{mode::Mode, net::{Network, run}};
                run(stringify!($test), Network::$network, Mode::$mode, super::$test);
            })+
        }
    };
}

mod absent;
mod again;
mod before_connect;
mod close;
mod connect;
mod cookies;
mod cuts;
#[cfg(feature = "deflate")]
mod deflate;
mod delivery;
mod elsewhere;
mod explain;
mod faults;
mod flushing;
mod fragments;
mod heartbeat;
mod hostile;
#[cfg(feature = "native-tls")]
mod hostile_tls;
mod levels;
mod lifecycle;
mod mode;
mod net;
mod outbox;
#[cfg(feature = "native-tls")]
mod pins;
mod proven;
mod proxy;
#[cfg(feature = "native-tls")]
mod proxy_tls;
mod proxy_ways;
mod reconnect;
mod refusal;
mod streaming;
#[cfg(unix)]
mod streams;
#[cfg(feature = "native-tls")]
mod tls;
#[cfg(unix)]
mod unix;
mod upgrade;
