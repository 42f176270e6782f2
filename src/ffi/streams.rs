//! Messages that are sent in pieces, and the size of fragments.

use std::ffi::c_void;

use crate::config::builder::LEAST_FRAGMENT;
use crate::config::check;
use crate::error::StreamError;
use crate::event::DropReason;
use crate::ffi::guard::{Failure, borrow_mut, bytes, guard, wanted, write_if_asked};
use crate::ffi::handles::find;
use crate::ffi::heartwire_client;
use crate::ffi::numbers::{heartwire_message_kind, is_text};
use crate::ffi::options::{heartwire_options, millis};
use crate::ffi::status::*;
use crate::ffi::stream_handles::{heartwire_stream, keep, take, with};

/// Begins a message that is handed over in pieces, so that it never lies in memory as a whole; does not wait for the
/// network, unless the outbox is full and set to block. It may be begun while the link is down.
///
/// To the server it is one message, in fragments (RFC 6455 section 5.4) of at most 64 KiB, not compressed. It has one
/// number and one outcome. What is sent after it was begun, by whatever thread, waits in the outbox until it is
/// finished; pings, pongs and Close go between its fragments. Up to 256 KiB of it wait, beside the limits of the
/// outbox.
///
/// If the session ends in the middle, the message is dropped (HEARTWIRE_DROPPED_INTERRUPTED), since what was written
/// cannot be sent again; heartwire_close() drops all that are not finished. The handle is to be given back in any case,
/// by heartwire_stream_finish() or heartwire_stream_abort().
///
/// Ownership: the message lives until then; it does not keep the client alive. `id`, which may be NULL, gets the
/// message's number.
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_FULL, HEARTWIRE_ERR_CLOSED, or
/// HEARTWIRE_ERR_WOULD_DEADLOCK if the outbox is set to block and this thread empties it. On failure `out` and `id` are
/// untouched.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_stream_begin(
    client: heartwire_client,
    kind: heartwire_message_kind,
    out: *mut heartwire_stream,
    id: *mut u64,
) -> heartwire_status {
    guard(|| {
        let client = find(client)?;
        wanted("out", out)?;
        let stream = if is_text(kind)? { client.stream_text()? } else { client.stream_binary()? };
        let number = stream.id().get();
        // SAFETY: not NULL, so the header asks for a writable place; and for another or NULL.
        unsafe {
            out.write(keep(stream));
            write_if_asked(id, number);
        }
        Ok(())
    })
}

/// Appends a piece to the message, and waits for room up to `timeout_ms`; 0 does not wait. A text may be cut anywhere,
/// also in the middle of a character.
///
/// Like write() it may take less than all: `taken` tells how many bytes, at least one unless `len` is 0. Less than
/// `len` means that the time was up, or that this thread may not wait, in a turn of an event loop: append the rest
/// later.
///
/// Ownership: the bytes are copied. `taken` is the caller's.
/// Threads:   any thread, in any callback; one at a time for one message.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8 if a text cannot go on so,
/// HEARTWIRE_ERR_BUSY if another thread is at the message, HEARTWIRE_ERR_FULL if `timeout_ms` is 0 and there is no
/// room, HEARTWIRE_ERR_TIMEOUT, HEARTWIRE_ERR_WOULD_DEADLOCK, HEARTWIRE_ERR_CLOSED, or HEARTWIRE_ERR_DROPPED if the
/// message has ended early. On failure nothing was taken, or there is no use for what was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_stream_append(
    stream: heartwire_stream,
    data: *const c_void,
    len: usize,
    timeout_ms: u32,
    taken: *mut usize,
) -> heartwire_status {
    guard(|| {
        wanted("taken", taken)?;
        // SAFETY: the header asks for `len` readable bytes.
        let data = unsafe { bytes("data", data, len)? };
        let number = with(stream, |stream| {
            if timeout_ms == 0 {
                return Ok(stream.try_append(data)?);
            }
            match stream.append(data, millis(timeout_ms)) {
                Ok(()) => Ok(data.len()),
                Err(StreamError::TimedOut(some) | StreamError::WouldDeadlock(some)) if some > 0 => Ok(some),
                Err(error) => Err(error.into()),
            }
        })?;
        // SAFETY: not NULL, so the header asks for a writable place.
        unsafe { taken.write(number) };
        Ok(())
    })
}

/// Ends the message, which goes out with what was appended; does not wait.
///
/// Ownership: the handle is stale from now on, whatever is returned but HEARTWIRE_ERR_BUSY.
/// Threads:   any thread, in any callback; one at a time for one message.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_BUSY if another thread is at the message,
/// HEARTWIRE_ERR_UTF8 if a text ends in the middle of a character, which is as heartwire_stream_abort();
/// HEARTWIRE_ERR_CLOSED, or HEARTWIRE_ERR_DROPPED if it had ended early.
#[unsafe(no_mangle)]
pub extern "C" fn heartwire_stream_finish(stream: heartwire_stream) -> heartwire_status {
    guard(|| {
        take(stream)?.finish()?;
        Ok(())
    })
}

/// Gives the message up; does not wait. Its outcome is HEARTWIRE_DROPPED_ABANDONED.
///
/// If nothing of it has gone out, it is as if it had never been. Else WebSocket has no way to take it back: the session
/// is closed with 1001 (HEARTWIRE_CAUSE_ABANDONED), and the client connects again.
///
/// Ownership: the handle is stale from now on, whatever is returned but HEARTWIRE_ERR_BUSY.
/// Threads:   any thread, in any callback; one at a time for one message.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, or HEARTWIRE_ERR_BUSY if another thread is at the message.
#[unsafe(no_mangle)]
pub extern "C" fn heartwire_stream_abort(stream: heartwire_stream) -> heartwire_status {
    guard(|| {
        drop(take(stream)?);
        Ok(())
    })
}

/// Sets that what is longer than this many bytes goes out in several frames of at most this size (RFC 6455 section
/// 5.4), so that pings, pongs and Close wait for one frame at most. Default: 0, one frame for each message.
///
/// 65536 costs next to nothing. Some servers pass fragments on one by one, or refuse them.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for less than 128, but for 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_fragment_size(
    options: *mut heartwire_options,
    bytes: usize,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        let fragment = (bytes > 0).then_some(bytes);
        check::size("fragment_size", fragment.unwrap_or(usize::MAX), LEAST_FRAGMENT)?;
        options.fragment = fragment;
        Ok(())
    })
}

impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Failure {
        let status = match error {
            StreamError::Full => HEARTWIRE_ERR_FULL,
            StreamError::TimedOut(_) => HEARTWIRE_ERR_TIMEOUT,
            StreamError::WouldDeadlock(_) => HEARTWIRE_ERR_WOULD_DEADLOCK,
            StreamError::Utf8 => HEARTWIRE_ERR_UTF8,
            StreamError::Dropped(DropReason::Closed) => HEARTWIRE_ERR_CLOSED,
            StreamError::Dropped(_) => HEARTWIRE_ERR_DROPPED,
        };
        Failure::new(status, error.to_string())
    }
}
