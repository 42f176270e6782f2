//! Every setting, its default and its check. Nothing here changes after connect.

pub(crate) mod check;
pub(crate) mod heartbeat;
pub(crate) mod outbox;
pub(crate) mod reconnect;
#[cfg(feature = "native-tls")]
pub(crate) mod tls;
