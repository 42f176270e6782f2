//! The client against everything that networks and servers do, over plain TCP and over TLS alike.
//!
//! A test is a function of [`Net`]; `stamp!` makes it two tests, `plain::…` and `tls::…`. Tests wait for events, of
//! the client or of the server, with a generous deadline; they never wait for time to pass.

#[path = "../support/mod.rs"]
mod support;

/// Stamps each of the test functions for ws and for wss, with a watchdog that ends a hanging one.
macro_rules! stamp {
    ($($test:ident),+ $(,)?) => {
        mod plain {
            $(#[test]
            fn $test() {
                let _watch = crate::support::watchdog(100, concat!("plain ", stringify!($test)));
                super::$test(crate::net::Net::Plain);
            })+
        }

        #[cfg(feature = "native-tls")]
        mod tls {
            $(#[test]
            fn $test() {
                let _watch = crate::support::watchdog(100, concat!("tls ", stringify!($test)));
                super::$test(crate::net::Net::Tls);
            })+
        }
    };
}

mod close;
mod connect;
mod cuts;
mod delivery;
mod faults;
mod heartbeat;
mod hostile;
#[cfg(feature = "native-tls")]
mod hostile_tls;
mod lifecycle;
mod net;
mod outbox;
mod reconnect;
mod refusal;
#[cfg(feature = "native-tls")]
mod tls;
mod upgrade;
