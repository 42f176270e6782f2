//! The locks, atomics and threads with which threads meet: std's; the model checker's under `--cfg heartwire_model`.
//!
//! Every room that another thread may look into takes them from here, so that `src/model` runs it as it is. Statics
//! stay std's: a model begins anew many thousand times in one process.

#[cfg(heartwire_model)]
pub(crate) mod modelled;

#[cfg(not(heartwire_model))]
pub(crate) use mio::{Poll, Waker};
#[cfg(not(heartwire_model))]
pub(crate) use std::{
    sync::{Condvar, Mutex, MutexGuard, atomic},
    thread, thread_local,
};

#[cfg(heartwire_model)]
pub(crate) use loom::{
    sync::{Condvar, Mutex, MutexGuard, atomic},
    thread,
};
#[cfg(heartwire_model)]
pub(crate) use modelled::{Poll, Waker, thread_local};

/// What ends the poll's wait from another thread.
#[cfg(not(heartwire_model))]
pub(crate) fn waker(poll: &Poll, token: mio::Token) -> std::io::Result<Waker> {
    Waker::new(poll.registry(), token)
}

#[cfg(heartwire_model)]
pub(crate) fn waker(poll: &Poll, _: mio::Token) -> std::io::Result<Waker> {
    Ok(poll.waker())
}
