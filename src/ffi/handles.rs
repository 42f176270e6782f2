//! From a number to a client: which handles live, checked by generation.
//!
//! A number is a slot's index and its generation; a slot's first generation is drawn at random, so that a
//! number of another copy of this library in the process is not taken for one of ours. Slots are never freed, and
//! lie in chunks that double, so that finding one takes no lock but its own. A look-up is one lock that nobody
//! else wants, and a reference count: `benches/handles.rs` measures it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::client::Client;
use crate::ffi::guard::{Failure, Result};
use crate::ffi::status::{HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_SYSTEM};

/// A client: a value to copy and to pass around, checked on every call. A handle that is zero, foreign, made up, or
/// of a destroyed client gets HEARTWIRE_ERR_HANDLE and never crashes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct heartwire_client {
    /// Not to be made or changed by the program; zero is never a client.
    pub id: u64,
}

/// Slots in the first chunk.
const FIRST: u32 = 64;
/// Chunks of 64, 128, … slots: more clients than a process can have.
const CHUNKS: usize = 20;

static CHUNKS_OF_SLOTS: [OnceLock<Box<[Mutex<Slot>]>>; CHUNKS] = [const { OnceLock::new() }; CHUNKS];
static UNUSED: Mutex<Unused> = Mutex::new(Unused { freed: VecDeque::new(), never_used: 0 });

struct Slot {
    /// Never zero, so that no number is zero.
    generation: u32,
    /// The program's handle, which keeps the client from being destroyed.
    client: Option<Client>,
}

struct Unused {
    /// The longest unused first: a stale number should stay wrong for long.
    freed: VecDeque<u32>,
    never_used: u32,
}

/// A number for a client that is being made; given back unless it is filled.
pub(super) struct Reserved {
    index: u32,
    generation: u32,
    filled: bool,
}

impl Reserved {
    pub(super) fn handle(&self) -> heartwire_client {
        heartwire_client { id: u64::from(self.generation) << 32 | u64::from(self.index) }
    }

    pub(super) fn fill(mut self, client: Client) -> heartwire_client {
        if let Some(slot) = slot(self.index) {
            lock(slot).client = Some(client);
        }
        self.filled = true;
        self.handle()
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if !self.filled {
            give_back(self.index);
        }
    }
}

pub(super) fn reserve() -> Result<Reserved> {
    let index = {
        let mut unused = lock(&UNUSED);
        match unused.freed.pop_front() {
            Some(index) => index,
            None => {
                let index = unused.never_used;
                let (chunk, _) = place(index);
                if chunk >= CHUNKS {
                    return Err(Failure::new(HEARTWIRE_ERR_SYSTEM, "there are too many clients"));
                }
                CHUNKS_OF_SLOTS[chunk].get_or_init(|| (0..FIRST << chunk).map(|_| fresh()).collect());
                unused.never_used += 1;
                index
            }
        }
    };
    let generation = slot(index).map_or(0, |slot| lock(slot).generation);
    Ok(Reserved { index, generation, filled: false })
}

/// The client of this handle, as a handle that does not keep it from being destroyed.
pub(super) fn find(handle: heartwire_client) -> Result<Client> {
    let found = slot(handle.id as u32).and_then(|slot| {
        let slot = lock(slot);
        let client = slot.client.as_ref().filter(|_| slot.is_of(handle));
        client.map(Client::uncounted)
    });
    found.ok_or_else(unknown)
}

/// Takes the client out: from now on the handle is stale. The client is destroyed when this is dropped.
pub(super) fn take(handle: heartwire_client) -> Result<Client> {
    let index = handle.id as u32;
    let taken = slot(index).and_then(|slot| {
        let mut slot = lock(slot);
        if slot.is_of(handle) { slot.client.take() } else { None }
    });
    let client = taken.ok_or_else(unknown)?;
    give_back(index);
    Ok(client)
}

impl Slot {
    fn is_of(&self, handle: heartwire_client) -> bool {
        self.generation == (handle.id >> 32) as u32
    }
}

fn unknown() -> Failure {
    Failure::new(HEARTWIRE_ERR_HANDLE, "not a client, or one that was destroyed")
}

fn fresh() -> Mutex<Slot> {
    Mutex::new(Slot { generation: rand::random::<u32>().max(1), client: None })
}

fn give_back(index: u32) {
    if let Some(slot) = slot(index) {
        let mut slot = lock(slot);
        slot.generation = slot.generation.wrapping_add(1).max(1);
    }
    lock(&UNUSED).freed.push_back(index);
}

fn slot(index: u32) -> Option<&'static Mutex<Slot>> {
    let (chunk, offset) = place(index);
    CHUNKS_OF_SLOTS.get(chunk)?.get()?.get(offset)
}

/// The chunk, and the offset in it.
fn place(index: u32) -> (usize, usize) {
    let from_first = u64::from(index) + u64::from(FIRST);
    let chunk = from_first.ilog2() - FIRST.ilog2();
    (chunk as usize, (from_first - (u64::from(FIRST) << chunk)) as usize)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        Client::builder("ws://127.0.0.1:1/").build().unwrap()
    }

    #[test]
    fn only_a_living_client_is_found() {
        let reserved = reserve().unwrap();
        let early = reserved.handle();
        assert!(find(early).is_err(), "not before it is made");
        let handle = reserved.fill(client());
        assert_eq!(handle, early);
        assert!(find(handle).is_ok());
        for made_up in [0, 1, handle.id ^ 1 << 32, handle.id ^ 1, handle.id | 0xffff, u64::MAX] {
            assert!(find(heartwire_client { id: made_up }).is_err(), "{made_up:x}");
        }
        drop(take(handle).unwrap());
        assert!(find(handle).is_err());
        assert!(take(handle).is_err());
    }

    #[test]
    fn a_slot_that_is_used_again_has_another_number() {
        let old = reserve().unwrap().fill(client());
        drop(take(old).unwrap());
        // The freed slot comes last, behind those that other tests have freed.
        let mut others = Vec::new();
        let new = loop {
            let handle = reserve().unwrap().fill(client());
            if handle.id as u32 == old.id as u32 {
                break handle;
            }
            others.push(handle);
        };
        assert_ne!(new.id, old.id);
        assert!(find(old).is_err());
        others.into_iter().chain([new]).for_each(|handle| drop(take(handle)));
    }

    #[test]
    fn chunks_follow_each_other_without_a_gap() {
        assert_eq!(place(0), (0, 0));
        assert_eq!(place(63), (0, 63));
        assert_eq!(place(64), (1, 0));
        assert_eq!(place(191), (1, 127));
        assert_eq!(place(192), (2, 0));
        assert!(place(u32::MAX).0 >= CHUNKS);
    }
}
