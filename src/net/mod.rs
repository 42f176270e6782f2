//! From a URL's host and port to a ready stream, one named phase at a time, nothing blocking.
//! Knows sockets, names, proxies and TLS; does not know WebSocket, policy, or the clock.

pub(crate) mod dial;
pub(crate) mod os;
pub(crate) mod proxy;
mod race;
pub(crate) mod resolve;
pub(crate) mod stream;
pub(crate) mod tap;

#[cfg(feature = "native-tls")]
mod client_key;
#[cfg(feature = "native-tls")]
mod gather;
#[cfg(feature = "native-tls")]
mod outer;
#[cfg(feature = "native-tls")]
pub(crate) mod tls;
#[cfg(feature = "native-tls")]
mod tls_fault;

#[cfg(test)]
pub(crate) mod tests;
