//! The words of the border: run, borrow, fail. Every pointer is checked here, and every panic ends here.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;

use crate::ffi::status::*;

/// Why a call failed: its number, and this time's words.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: heartwire_status,
    pub(super) text: Cow<'static, str>,
}

impl Failure {
    pub(super) fn new(status: heartwire_status, text: impl Into<Cow<'static, str>>) -> Failure {
        Failure { status, text: text.into() }
    }

    pub(super) fn argument(text: impl Into<Cow<'static, str>>) -> Failure {
        Failure::new(HEARTWIRE_ERR_ARGUMENT, text)
    }

    pub(super) fn null(name: &str) -> Failure {
        Failure::argument(format!("{name} is NULL"))
    }

    /// A number that the header has no name for.
    pub(super) fn unknown(name: &str, number: i32) -> Failure {
        Failure::argument(format!("{name} {number} is unknown"))
    }
}

pub(super) type Result<T> = std::result::Result<T, Failure>;

thread_local! {
    /// With a NUL behind it, or empty.
    static LAST: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Runs an entry: its failure becomes a number and this thread's words, and a panic becomes a failure.
pub(super) fn guard(run: impl FnOnce() -> Result<()>) -> heartwire_status {
    match caught(run) {
        Ok(()) => HEARTWIRE_OK,
        Err(failure) => {
            remember(&failure.text);
            failure.status
        }
    }
}

/// The same for an entry that returns a value; `otherwise` when it fails.
pub(super) fn guard_value<T>(otherwise: T, run: impl FnOnce() -> Result<T>) -> T {
    match caught(run) {
        Ok(value) => value,
        Err(failure) => {
            remember(&failure.text);
            otherwise
        }
    }
}

fn caught<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = match panic.downcast_ref::<&str>() {
            Some(text) => text.to_string(),
            None => panic.downcast_ref::<String>().cloned().unwrap_or_default(),
        };
        // The payload's own drop could panic as well; leaking one box is the lesser evil.
        std::mem::forget(panic);
        Err(Failure::new(
            HEARTWIRE_ERR_PANIC,
            format!("this is a bug in heartwire, please report it: {text}"),
        ))
    })
}

fn remember(text: &str) {
    // A thread that is ending has no words any more.
    let _ = LAST.try_with(|last| {
        let mut last = last.borrow_mut();
        last.clear();
        last.extend(text.bytes().map(|byte| if byte == 0 { b' ' } else { byte }).chain([0]));
    });
}

/// This thread's last words; they live until its next failure.
pub(super) fn last_error() -> *const c_char {
    let words = |last: &RefCell<Vec<u8>>| match &last.borrow()[..] {
        [] => c"".as_ptr(),
        words => words.as_ptr().cast(),
    };
    LAST.try_with(words).unwrap_or(c"".as_ptr())
}

/// A setting: NUL-terminated UTF-8.
///
/// # Safety
///
/// NULL, or a NUL-terminated string that lives as long as the borrow.
pub(super) unsafe fn text<'a>(name: &str, text: *const c_char) -> Result<&'a str> {
    if text.is_null() {
        return Err(Failure::null(name));
    }
    // SAFETY: not NULL, so it is terminated and lives long enough, as the caller promised.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|_| not_utf8(name))
}

/// A payload. NULL is the empty one, if its length is zero, too.
///
/// # Safety
///
/// `len` readable bytes that live, unchanged, as long as the borrow; or NULL.
pub(super) unsafe fn bytes<'a>(name: &str, data: *const c_void, len: usize) -> Result<&'a [u8]> {
    if data.is_null() {
        return if len == 0 { Ok(&[]) } else { Err(Failure::null(name)) };
    }
    if len > isize::MAX as usize {
        return Err(Failure::argument(format!("the length of {name} cannot be")));
    }
    // SAFETY: not NULL and not too long; readable as the caller promised.
    Ok(unsafe { slice::from_raw_parts(data.cast(), len) })
}

/// A payload that has to be text.
pub(super) fn utf8<'a>(name: &str, data: &'a [u8]) -> Result<&'a str> {
    simdutf8::basic::from_utf8(data).map_err(|_| not_utf8(name))
}

fn not_utf8(name: &str) -> Failure {
    Failure::new(HEARTWIRE_ERR_UTF8, format!("{name} is not UTF-8"))
}

/// An object of ours that is read.
///
/// # Safety
///
/// NULL, or one of ours that lives as long as the borrow.
pub(super) unsafe fn borrow<'a, T>(name: &str, object: *const T) -> Result<&'a T> {
    // SAFETY: NULL or valid, as the caller promised.
    unsafe { object.as_ref() }.ok_or_else(|| Failure::null(name))
}

/// An object of ours that is changed.
///
/// # Safety
///
/// NULL, or one of ours that lives as long as the borrow and that nobody else uses meanwhile.
pub(super) unsafe fn borrow_mut<'a, T>(name: &str, object: *mut T) -> Result<&'a mut T> {
    // SAFETY: NULL or valid and unshared, as the caller promised.
    unsafe { object.as_mut() }.ok_or_else(|| Failure::null(name))
}

/// Fails unless there is a place for the result; asked before anything is done.
pub(super) fn wanted<T>(name: &str, place: *mut T) -> Result<()> {
    if place.is_null() { Err(Failure::null(name)) } else { Ok(()) }
}

/// Writes a result, if it was asked for.
///
/// # Safety
///
/// NULL, or a writable place.
pub(super) unsafe fn write_if_asked<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: writable, as the caller promised; `write` drops nothing that was there.
        unsafe { place.write(value) };
    }
}

/// Copies a text out, with a NUL behind it: to a buffer of `*len` bytes, or only its length when there is no buffer.
///
/// # Safety
///
/// `len` is NULL or a place; `buf` is NULL or has `*len` writable bytes.
pub(super) unsafe fn copy_out(text: &str, buf: *mut c_char, len: *mut usize) -> Result<()> {
    // SAFETY: as the caller promised.
    unsafe { copy(text.as_bytes(), &[0], buf.cast(), len) }
}

/// The same for bytes, which have no NUL behind them.
///
/// # Safety
///
/// `len` is NULL or a place; `buf` is NULL or has `*len` writable bytes.
pub(super) unsafe fn copy_bytes(bytes: &[u8], buf: *mut u8, len: *mut usize) -> Result<()> {
    // SAFETY: as the caller promised.
    unsafe { copy(bytes, &[], buf, len) }
}

/// # Safety
///
/// `len` is NULL or a place; `buf` is NULL or has `*len` writable bytes.
unsafe fn copy(bytes: &[u8], end: &[u8], buf: *mut u8, len: *mut usize) -> Result<()> {
    wanted("len", len)?;
    if !buf.is_null() {
        // SAFETY: not NULL, so it is a readable place, as the caller promised.
        let room = unsafe { *len };
        let needed = bytes.len() + end.len();
        if room < needed {
            return Err(Failure::new(HEARTWIRE_ERR_BUFFER, format!("the buffer needs {needed} bytes")));
        }
        // SAFETY: the buffer has that many writable bytes, and nothing of ours is in it.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), buf, bytes.len());
            std::ptr::copy_nonoverlapping(end.as_ptr(), buf.add(bytes.len()), end.len());
        }
    }
    // SAFETY: not NULL, so it is a writable place, as the caller promised.
    unsafe { len.write(bytes.len()) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> &'static str {
        // SAFETY: never NULL, and this thread fails no more while the words are looked at.
        unsafe { CStr::from_ptr(last_error()) }.to_str().unwrap()
    }

    #[test]
    fn a_panic_becomes_a_number_and_words() {
        assert_eq!(guard(|| panic!("at the {}", "border")), HEARTWIRE_ERR_PANIC);
        assert!(words().ends_with("at the border"), "{}", words());
        assert_eq!(guard_value(7, || panic!("again")), 7);
        assert!(words().ends_with("again"), "{}", words());
    }

    #[test]
    fn words_stay_until_the_next_failure() {
        assert_eq!(words(), "");
        assert_eq!(guard(|| Err(Failure::null("out"))), HEARTWIRE_ERR_ARGUMENT);
        assert_eq!(guard(|| Ok(())), HEARTWIRE_OK);
        assert_eq!(words(), "out is NULL");
        std::thread::spawn(|| assert_eq!(words(), "")).join().unwrap();
    }

    #[test]
    fn a_length_without_bytes_is_refused() {
        // SAFETY: NULL is allowed.
        unsafe {
            assert!(bytes("data", std::ptr::null(), 1).is_err());
            assert_eq!(bytes("data", std::ptr::null(), 0).unwrap(), b"");
        }
    }
}
