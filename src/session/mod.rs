//! The WebSocket protocol over any `Read + Write` that does not block, from the upgrade to the Close frame.
//!
//! Holds no socket, no clock and no policy. [`upgrade`] makes a stream a session; then [`reader`] turns bytes into
//! messages and [`wire`] turns messages into bytes. The two halves share nothing, so each may be on a thread of its own.

#[allow(dead_code)]
pub(crate) mod answer;
#[allow(dead_code)]
pub(crate) mod entry;
#[allow(dead_code)]
pub(crate) mod frame;
#[allow(dead_code)]
pub(crate) mod mask;
#[allow(dead_code)]
pub(crate) mod reader;
#[allow(dead_code)]
pub(crate) mod upgrade;
#[allow(dead_code)]
pub(crate) mod wire;
#[allow(dead_code)]
pub(crate) mod writer;
#[allow(dead_code)]
pub(crate) mod written;

#[cfg(test)]
mod tests;
