//! From a number to a message in pieces, checked by generation.
//!
//! A number is a place's index and its generation, as with clients; the first generation is drawn at random. What is
//! done with such a message copies bytes and takes a lock in any case, so that one more, of the table, costs nothing
//! that counts. The child of a fork has a table of its own, where its parent's numbers are foreign.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use rand::RngExt;

use crate::client::MessageStream;
use crate::ffi::guard::{Failure, Result};
use crate::ffi::status::{HEARTWIRE_ERR_BUSY, HEARTWIRE_ERR_HANDLE};
use crate::process::{self, PerProcess};

/// A message that is sent in pieces: a value to copy and to pass around, checked on every call. A handle that is zero,
/// foreign, made up, or of a message that was finished or aborted gets HEARTWIRE_ERR_HANDLE and never crashes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct heartwire_stream {
    /// Not to be made or changed by the program; zero is never a message.
    pub id: u64,
}

static TABLE: PerProcess<Mutex<Table>> = PerProcess::new();

#[derive(Default)]
struct Table {
    places: Vec<Place>,
    free: Vec<u32>,
}

struct Place {
    /// Changes whenever a message leaves; never zero.
    generation: u32,
    stream: Option<Arc<Mutex<MessageStream>>>,
}

pub(super) fn keep(stream: MessageStream) -> heartwire_stream {
    let mut table = table();
    let index = table.free.pop().unwrap_or_else(|| {
        table.places.push(Place { generation: process::rng().random::<u32>() | 1, stream: None });
        (table.places.len() - 1) as u32
    });
    let place = &mut table.places[index as usize];
    place.stream = Some(Arc::new(Mutex::new(stream)));
    heartwire_stream { id: u64::from(place.generation) << 32 | u64::from(index) }
}

/// Does something with the message of this handle.
pub(super) fn with<T>(
    handle: heartwire_stream,
    run: impl FnOnce(&mut MessageStream) -> Result<T>,
) -> Result<T> {
    let stream = table().find(handle)?.stream.clone().ok_or_else(unknown)?;
    // Not to be waited for: the other call may wait for the loop that this thread turns.
    let mut stream = match stream.try_lock() {
        Ok(stream) => stream,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return Err(busy()),
    };
    run(&mut stream)
}

/// The message of this handle, which is stale from now on.
pub(super) fn take(handle: heartwire_stream) -> Result<MessageStream> {
    let mut table = table();
    let place = table.find(handle)?;
    let stream = place.stream.take().ok_or_else(unknown)?;
    match Arc::try_unwrap(stream) {
        Ok(stream) => {
            place.generation = place.generation.wrapping_add(2);
            table.free.push(handle.id as u32);
            drop(table);
            Ok(stream.into_inner().unwrap_or_else(PoisonError::into_inner))
        }
        Err(in_use) => {
            place.stream = Some(in_use);
            Err(busy())
        }
    }
}

impl Table {
    fn find(&mut self, handle: heartwire_stream) -> Result<&mut Place> {
        let place = self.places.get_mut(handle.id as u32 as usize);
        place
            .filter(|place| u64::from(place.generation) == handle.id >> 32 && place.stream.is_some())
            .ok_or_else(unknown)
    }
}

fn table() -> MutexGuard<'static, Table> {
    TABLE.get().lock().unwrap_or_else(PoisonError::into_inner)
}

fn unknown() -> Failure {
    Failure::new(HEARTWIRE_ERR_HANDLE, "not a message in pieces, or one that was finished or aborted")
}

fn busy() -> Failure {
    Failure::new(HEARTWIRE_ERR_BUSY, "another thread is at this message just now")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;

    fn stale(handle: heartwire_stream) -> bool {
        let unknown = |failure: Failure| failure.status == HEARTWIRE_ERR_HANDLE;
        with(handle, |_| Ok(())).is_err_and(unknown) && take(handle).is_err_and(unknown)
    }

    #[test]
    fn a_number_is_good_until_its_message_is_taken_and_never_again() {
        let client = Client::builder("ws://127.0.0.1:1/").build().unwrap();
        let first = keep(client.stream_binary().unwrap());
        let second = keep(client.stream_text().unwrap());
        assert_ne!(first, second);
        assert_eq!(with(second, |stream| Ok(stream.id().get())).unwrap(), 2);
        drop(take(first).unwrap());
        assert!(stale(first));
        for _ in 0..100 {
            let new = keep(client.stream_binary().unwrap());
            assert!(stale(first) && new != first && new != second);
            drop(take(new).unwrap());
        }
        drop(take(second).unwrap());
        assert!(stale(heartwire_stream { id: 0 }) && stale(heartwire_stream { id: u64::MAX }));
    }

    #[test]
    fn a_message_is_one_threads_at_a_time() {
        let client = Client::builder("ws://127.0.0.1:1/").build().unwrap();
        let handle = keep(client.stream_binary().unwrap());
        with(handle, |_| {
            let busy = |failure: Failure| failure.status == HEARTWIRE_ERR_BUSY;
            assert!(with(handle, |_| Ok(())).is_err_and(busy));
            assert!(take(handle).is_err_and(busy));
            Ok(())
        })
        .unwrap();
        drop(take(handle).unwrap());
    }
}
