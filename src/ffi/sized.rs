//! Structs that may grow: each begins with its size as the caller knows it, and fields are only appended.

use std::mem::{MaybeUninit, size_of};
use std::ptr;

use crate::ffi::guard::{Failure, Result};

/// More than any of our structs will ever have: a larger size was never set.
const LARGEST: usize = 4096;

/// A struct of the header that begins with `size_t size`.
///
/// # Safety
///
/// The type is `repr(C)`, its first field is `size: usize`, and all bytes zero is a value of it.
pub(super) unsafe trait Growing: Copy {
    /// The size in the version that introduced it.
    const FIRST: usize;
}

/// Fills the caller's struct as far as it goes; what the caller knows and we do not is zero. `size` stays.
///
/// # Safety
///
/// NULL, or a struct whose `size` tells how many bytes are writable.
pub(super) unsafe fn write_out<T: Growing>(name: &str, out: *mut T, value: &T) -> Result<()> {
    // SAFETY: as the caller promised.
    let size = unsafe { size_of_theirs(name, out)? };
    let known = size.min(size_of::<T>());
    let head = size_of::<usize>();
    let (from, to): (*const u8, *mut u8) = (ptr::from_ref(value).cast(), out.cast());
    // SAFETY: `known` bytes are within both, and `size` within theirs; MaybeUninit since there may be padding.
    unsafe {
        let (from, to) = (from.cast::<MaybeUninit<u8>>(), to.cast::<MaybeUninit<u8>>());
        ptr::copy_nonoverlapping(from.add(head), to.add(head), known - head);
        ptr::write_bytes(to.add(known), 0, size - known);
    }
    Ok(())
}

/// Reads the caller's struct; what it does not have yet is zero, and what we do not know has to be.
///
/// # Safety
///
/// NULL, or a struct whose `size` tells how many bytes are initialised.
pub(super) unsafe fn read_in<T: Growing>(name: &str, theirs: *const T) -> Result<T> {
    // SAFETY: as the caller promised.
    let size = unsafe { size_of_theirs(name, theirs)? };
    let known = size.min(size_of::<T>());
    let mut ours = MaybeUninit::<T>::zeroed();
    // SAFETY: `known` bytes are within both; all bytes zero is a value of T.
    let ours = unsafe {
        ptr::copy_nonoverlapping(theirs.cast::<u8>(), ours.as_mut_ptr().cast(), known);
        ours.assume_init()
    };
    for offset in known..size {
        // SAFETY: within the `size` bytes of theirs.
        if unsafe { theirs.cast::<u8>().add(offset).read() } != 0 {
            return Err(Failure::argument(format!("{name} has a field that this version does not know")));
        }
    }
    Ok(ours)
}

/// # Safety
///
/// NULL, or a struct that begins with its size.
unsafe fn size_of_theirs<T: Growing>(name: &str, theirs: *const T) -> Result<usize> {
    if theirs.is_null() {
        return Err(Failure::null(name));
    }
    // SAFETY: not NULL; its first field is its size.
    let size = unsafe { theirs.cast::<usize>().read() };
    if (T::FIRST..=LARGEST).contains(&size) {
        return Ok(size);
    }
    Err(Failure::argument(format!("{name}.size is {size}; set it to sizeof the struct")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Now {
        size: usize,
        a: u64,
        b: u64,
    }

    // SAFETY: as the trait asks; the first version ended with `a`.
    unsafe impl Growing for Now {
        const FIRST: usize = 16;
    }

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Later {
        now: Now,
        c: u64,
    }

    const SIZE: usize = size_of::<Now>();

    #[test]
    fn an_older_caller_gets_what_it_knows_and_no_more() {
        let mut theirs = Now { size: 16, a: 1, b: 2 };
        // SAFETY: a struct of at least `size` bytes.
        unsafe { write_out("out", &mut theirs, &Now { size: SIZE, a: 8, b: 9 }).unwrap() };
        assert_eq!(theirs, Now { size: 16, a: 8, b: 2 });
        // SAFETY: likewise.
        assert_eq!(unsafe { read_in("in", &theirs).unwrap() }, Now { size: 16, a: 8, b: 0 });
    }

    #[test]
    fn a_newer_caller_gets_zeros_and_may_give_zeros_only() {
        let mut theirs = Later { now: Now { size: 32, a: 1, b: 2 }, c: 3 };
        let place = (&raw mut theirs).cast::<Now>();
        // SAFETY: a struct of `size` bytes.
        unsafe {
            assert!(read_in("in", place).is_err());
            write_out("out", place, &Now { size: SIZE, a: 8, b: 9 }).unwrap();
        }
        assert_eq!(theirs, Later { now: Now { size: 32, a: 8, b: 9 }, c: 0 });
        let place = (&raw const theirs).cast::<Now>();
        // SAFETY: likewise.
        assert_eq!(unsafe { read_in("in", place).unwrap() }.b, 9);
    }

    #[test]
    fn a_size_that_was_not_set_is_refused() {
        for size in [0, 15, 4097, usize::MAX] {
            let mut theirs = Now { size, a: 1, b: 2 };
            // SAFETY: the size is checked before it is used.
            unsafe {
                assert!(read_in("in", &theirs).is_err());
                assert!(write_out("out", &mut theirs, &Now { size: SIZE, a: 8, b: 9 }).is_err());
            }
            assert_eq!(theirs, Now { size, a: 1, b: 2 });
        }
    }
}
