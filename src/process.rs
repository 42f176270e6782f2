//! Which process this is: the child of a fork is another, with the memory of its parent and none of its threads.
//!
//! No fork handler tells. What is of the parent is known by the number that it was made with.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::rngs::ThreadRng;

use crate::net::os;

/// The number of this process: not zero, and another one than that of every process whose child it is.
pub(crate) fn current() -> u64 {
    static MARK: OnceLock<Option<&'static AtomicU64>> = OnceLock::new();
    match MARK.get_or_init(os::wiped_on_fork) {
        Some(mark) => match mark.load(Ordering::Acquire) {
            0 => number(mark),
            number => number,
        },
        // A system call, and wrong for a descendant that gets the number of an ancestor which is gone.
        None => std::process::id().into(),
    }
}

/// In the mark's page there is nothing yet, or nothing any more.
#[cold]
fn number(mark: &AtomicU64) -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let new = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    // Where two threads come here at once, the first one's number counts.
    mark.compare_exchange(0, new, Ordering::AcqRel, Ordering::Acquire).map_or_else(|first| first, |_| new)
}

/// The thread's generator of unpredictable numbers; after a fork, parent and child do not draw the same.
pub(crate) fn rng() -> ThreadRng {
    thread_local! {
        static SEEDED: Cell<u64> = const { Cell::new(0) };
    }
    let mut rng = rand::rng();
    let process = current();
    if SEEDED.replace(process) != process {
        // Should the system have no entropy just now: a generator that is not seeded at all would have panicked.
        let _ = rng.reseed();
    }
    rng
}

/// A value for each process: that of the parent may be locked for ever, by a thread that the child does not have.
pub(crate) struct PerProcess<T>(OnceLock<Box<Of<T>>>);

struct Of<T> {
    process: u64,
    value: T,
    descendants: PerProcess<T>,
}

impl<T: Default> PerProcess<T> {
    pub(crate) const fn new() -> PerProcess<T> {
        PerProcess(OnceLock::new())
    }

    pub(crate) fn get(&self) -> &T {
        self.of(current())
    }

    fn of(&self, process: u64) -> &T {
        let mut at = self;
        loop {
            let of = at.0.get_or_init(|| {
                Box::new(Of { process, value: T::default(), descendants: PerProcess::new() })
            });
            if of.process == process {
                return &of.value;
            }
            at = &of.descendants;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_process_has_one_number_on_all_threads() {
        let here = current();
        assert_ne!(here, 0);
        let there = std::thread::spawn(current).join().unwrap();
        assert_eq!((there, current()), (here, here));
    }

    #[test]
    fn a_wiped_mark_gets_a_number_that_was_never_there() {
        let mark = AtomicU64::new(0);
        let first = number(&mark);
        assert_eq!(number(&mark), first, "the first one counts");
        mark.store(0, Ordering::Relaxed);
        assert!(number(&mark) > first);
    }

    #[test]
    fn a_lock_that_a_parent_holds_is_not_the_childs() {
        static VALUE: PerProcess<Mutex<u32>> = PerProcess::new();
        let held = VALUE.of(1).lock().unwrap();
        *VALUE.of(2).lock().unwrap() = 2;
        assert_eq!(*VALUE.of(3).lock().unwrap(), 0);
        assert_eq!(*VALUE.of(2).lock().unwrap(), 2);
        assert!(VALUE.of(1).try_lock().is_err());
        drop(held);
    }
}
