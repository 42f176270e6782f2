//! The WebSocket protocol over any `Read + Write` that does not block, from the upgrade to the Close frame.
//!
//! Holds no socket, no clock and no policy. [`upgrade`] makes a stream a session; then [`reader`] turns bytes into
//! messages and [`wire`] turns messages into bytes. The two halves share nothing, so each may be on a thread of its
//! own; of compression, [`deflate`], each has its own direction.

pub(crate) mod answer;
#[cfg(feature = "deflate")]
pub(crate) mod deflate;
#[cfg(not(feature = "deflate"))]
#[path = "no_deflate.rs"]
pub(crate) mod deflate;
pub(crate) mod frame;
pub(crate) mod mask;
pub(crate) mod reader;
pub(crate) mod upgrade;
pub(crate) mod wire;
pub(crate) mod writer;
pub(crate) mod written;

#[cfg(test)]
mod tests;
