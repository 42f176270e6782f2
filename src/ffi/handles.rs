//! From a number to a client: which handles live, checked by generation.
//!
//! A number is a slot's index and its generation; a slot's first generation is drawn at random, so that a
//! number of another copy of this library in the process is not taken for one of ours. Slots are never freed, and
//! lie in chunks that double, so that finding one takes no lock. In the child of a fork the parent's slots are foreign:
//! their clients have no threads there, and sockets that are the parent's, too.
//!
//! A look-up pins the slot: one atomic addition, and a subtraction at the call's end. `benches/handles.rs` measures
//! it. A lock and a reference count would be four such operations. Destroying a client makes its generation even,
//! after which nobody can pin it any more; whoever takes the last pin away empties the slot.

use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rand::RngExt;

use crate::client::Client;
use crate::ffi::guard::{Failure, Result};
use crate::ffi::status::{HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_SYSTEM};
use crate::process::{self, PerProcess};

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

static CHUNKS_OF_SLOTS: [OnceLock<Box<[Slot]>>; CHUNKS] = [const { OnceLock::new() }; CHUNKS];
static NEVER_USED: AtomicU32 = AtomicU32::new(0);
/// The longest unused first: a stale number should stay wrong for long.
static FREED: PerProcess<Mutex<VecDeque<u32>>> = PerProcess::new();

struct Slot {
    /// The generation, odd while a client lives here, above the number of pins.
    state: AtomicU64,
    /// The process whose client lived here first; zero before that.
    process: AtomicU64,
    /// Changed only by whoever has the slot to itself: its reserver, and the taker of the last pin.
    client: UnsafeCell<Option<Client>>,
}

// SAFETY: `Client` is Send and Sync; the cell is shared for reading by pins, and changed as its comment says.
unsafe impl Sync for Slot {}

/// A number for a client that is being made; given back unless it is filled.
pub(super) struct Reserved {
    slot: &'static Slot,
    index: u32,
    generation: u32,
    filled: bool,
}

impl Reserved {
    pub(super) fn handle(&self) -> heartwire_client {
        heartwire_client { id: u64::from(self.generation) << 32 | u64::from(self.index) }
    }

    pub(super) fn fill(mut self, client: Client) -> heartwire_client {
        // SAFETY: the index was unused, so that nobody has a pin, and none is given before the store below.
        unsafe { *self.slot.client.get() = Some(client.surrender()) };
        self.slot.process.store(process::current(), Ordering::Relaxed);
        self.slot.state.store(u64::from(self.generation) << 32, Ordering::Release);
        self.filled = true;
        self.handle()
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if !self.filled {
            free(self.index);
        }
    }
}

pub(super) fn reserve() -> Result<Reserved> {
    let freed = freed().pop_front();
    let index = match freed {
        Some(index) => index,
        None => {
            let next = |index| (place(index).0 < CHUNKS).then_some(index + 1);
            let Ok(index) = NEVER_USED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) else {
                return Err(Failure::new(HEARTWIRE_ERR_SYSTEM, "there are too many clients"));
            };
            let (chunk, _) = place(index);
            CHUNKS_OF_SLOTS[chunk].get_or_init(|| (0..FIRST << chunk).map(|_| Slot::new()).collect());
            index
        }
    };
    let Some(slot) = slot(index) else { unreachable!("its chunk is there") };
    let generation = generation(slot.state.load(Ordering::Acquire)).wrapping_add(1);
    Ok(Reserved { slot, index, generation, filled: false })
}

/// A client that is in use by a call: it is not freed meanwhile, but it may be destroyed.
pub(super) struct Found {
    slot: &'static Slot,
    index: u32,
}

/// The client of this handle.
pub(super) fn find(handle: heartwire_client) -> Result<Found> {
    pin(handle, 1).ok_or_else(unknown)
}

/// The client of this handle, which is stale from now on, and the program's only counted handle of it.
pub(super) fn take(handle: heartwire_client) -> Result<(Found, Client)> {
    // The generation becomes even, in the same step as the pin.
    let found = pin(handle, (1 << 32) + 1).ok_or_else(unknown)?;
    let client = found.reclaim();
    Ok((found, client))
}

fn pin(handle: heartwire_client, add: u64) -> Option<Found> {
    let index = handle.id as u32;
    let slot = slot(index)?;
    let wanted = (handle.id >> 32) as u32;
    let mut state = slot.state.load(Ordering::Acquire);
    if slot.process.load(Ordering::Relaxed) != process::current() {
        return None;
    }
    loop {
        if generation(state) != wanted || wanted.is_multiple_of(2) {
            return None;
        }
        let new = state.wrapping_add(add);
        match slot.state.compare_exchange_weak(state, new, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return Some(Found { slot, index }),
            Err(now) => state = now,
        }
    }
}

impl Deref for Found {
    type Target = Client;

    fn deref(&self) -> &Client {
        // SAFETY: while there is a pin nobody changes the cell; filling it came before the first pin.
        let Some(client) = (unsafe { &*self.slot.client.get() }) else {
            unreachable!("a pinned slot is filled")
        };
        client
    }
}

impl Drop for Found {
    fn drop(&mut self) {
        let before = self.slot.state.fetch_sub(1, Ordering::AcqRel);
        if generation(before).is_multiple_of(2) && before as u32 == 1 {
            // SAFETY: no client lives here any more, so nobody can pin it, and this was the last pin.
            let client = unsafe { (*self.slot.client.get()).take() };
            free(self.index);
            // User code may run: the destructors of what the options kept.
            drop(client);
        }
    }
}

impl Slot {
    fn new() -> Slot {
        let generation = u64::from(process::rng().random::<u32>() & !1);
        let state = AtomicU64::new(generation << 32);
        Slot { state, process: AtomicU64::new(0), client: UnsafeCell::new(None) }
    }
}

fn generation(state: u64) -> u32 {
    (state >> 32) as u32
}

fn unknown() -> Failure {
    Failure::new(
        HEARTWIRE_ERR_HANDLE,
        "not a client, one that was destroyed, or one of the process that forked this one",
    )
}

fn slot(index: u32) -> Option<&'static Slot> {
    let (chunk, offset) = place(index);
    CHUNKS_OF_SLOTS.get(chunk)?.get()?.get(offset)
}

/// The chunk, and the offset in it.
fn place(index: u32) -> (usize, usize) {
    let from_first = u64::from(index) + u64::from(FIRST);
    let chunk = from_first.ilog2() - FIRST.ilog2();
    (chunk as usize, (from_first - (u64::from(FIRST) << chunk)) as usize)
}

fn freed() -> MutexGuard<'static, VecDeque<u32>> {
    FREED.get().lock().unwrap_or_else(PoisonError::into_inner)
}

fn free(index: u32) {
    freed().push_back(index);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::State;

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
        assert_ne!(handle.id, 0);
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
    fn a_client_that_is_destroyed_while_a_call_uses_it_lives_until_its_end() {
        let handle = reserve().unwrap().fill(client());
        let in_use = find(handle).unwrap();
        let also = find(handle).unwrap();
        drop(take(handle).unwrap());
        assert!(find(handle).is_err());
        assert_eq!(in_use.state(), State::Closed);
        let weak = in_use.downgrade();
        drop(in_use);
        assert_eq!(also.state(), State::Closed);
        drop(also);
        assert!(weak.upgrade().is_none());
    }

    #[test]
    fn many_threads_find_it_until_one_takes_it() {
        for _ in 0..200 {
            let handle = reserve().unwrap().fill(client());
            let taker = move || {
                while let Ok(found) = find(handle) {
                    assert!(!found.name().is_empty());
                    drop(found);
                    if take(handle).is_ok() {
                        return 1;
                    }
                }
                0
            };
            let takers: Vec<_> = (0..4).map(|_| std::thread::spawn(taker)).collect();
            assert_eq!(takers.into_iter().map(|taker| taker.join().unwrap()).sum::<i32>(), 1);
        }
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
