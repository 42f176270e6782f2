//! An allocator that counts what is alive, and how often it was asked: `#[global_allocator] static HEAP: Counting = Counting;` in the program.
#![allow(dead_code, reason = "each program uses its own part of it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

/// The system's allocator, and the count.
pub struct Counting;

static LIVE: AtomicIsize = AtomicIsize::new(0);
static PEAK: AtomicIsize = AtomicIsize::new(0);
static REQUESTS: AtomicUsize = AtomicUsize::new(0);

/// Bytes that are allocated now, as they were asked for.
pub fn live() -> isize {
    LIVE.load(Ordering::Relaxed)
}

/// The most that was allocated at one time since [`forget_peak`], or since the start.
pub fn peak() -> isize {
    PEAK.load(Ordering::Relaxed)
}

/// Lets [`peak`] begin anew with what is allocated now.
pub fn forget_peak() {
    PEAK.store(live(), Ordering::Relaxed);
}

/// How often memory was asked for since the start: a vector that grows counts each time.
pub fn requests() -> usize {
    REQUESTS.load(Ordering::Relaxed)
}

fn requested(bytes: usize, instead_of: usize) {
    REQUESTS.fetch_add(1, Ordering::Relaxed);
    count(bytes as isize - instead_of as isize);
}

fn count(bytes: isize) {
    let now = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    if bytes > 0 {
        PEAK.fetch_max(now, Ordering::Relaxed);
    }
}

// SAFETY: the system's allocator does the work; a layout's size is at most `isize::MAX`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        requested(layout.size(), 0);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        requested(layout.size(), 0);
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        requested(size, layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.realloc(at, layout, size) }
    }
}
