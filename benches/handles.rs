//! What a C call costs before it does anything: the look-up of its handle. `cargo bench --bench handles`.
//!
//! Prints nanoseconds per call of `heartwire_is_valid`, the thinnest function with a look-up: the border's guard and
//! `catch_unwind`, the slot's lock, the client's reference count up and down. The bound is 30 ns; it is a figure to read,
//! not a test, since a shared machine is as slow as its neighbours make it.

use std::ffi::c_char;
use std::hint::black_box;
use std::time::Instant;

// For its symbols.
use heartwire as _;

#[repr(C)]
#[derive(Clone, Copy)]
struct Handle {
    id: u64,
}

// SAFETY: as include/heartwire.h declares them.
unsafe extern "C" {
    fn heartwire_create(url: *const c_char, options: *const u8, out: *mut Handle) -> i32;
    fn heartwire_is_valid(client: Handle) -> bool;
    fn heartwire_destroy(client: Handle) -> i32;
}

const CALLS: u32 = 5_000_000;

fn main() {
    let mut client = Handle { id: 0 };
    // SAFETY: a terminated string, NULL for the defaults, and a place for the handle.
    assert_eq!(unsafe { heartwire_create(c"ws://127.0.0.1:1/".as_ptr(), std::ptr::null(), &mut client) }, 0);
    let best = (0..10).map(|_| nanoseconds(client)).fold(f64::INFINITY, f64::min);
    println!("a look-up on one thread: {best:.1} ns");
    let neighbour = std::thread::spawn(move || (0..5).map(|_| nanoseconds(client)).sum::<f64>() / 5.0);
    let here = (0..5).map(|_| nanoseconds(client)).sum::<f64>() / 5.0;
    let there = neighbour.join().expect("the neighbour counts");
    println!("the same client on two threads at once: {here:.1} ns and {there:.1} ns");
    // SAFETY: any number may be given.
    assert_eq!(unsafe { heartwire_destroy(client) }, 0);
}

fn nanoseconds(client: Handle) -> f64 {
    let begun = Instant::now();
    for _ in 0..CALLS {
        // SAFETY: any number may be given.
        assert!(unsafe { heartwire_is_valid(black_box(client)) });
    }
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}
