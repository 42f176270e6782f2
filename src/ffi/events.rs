//! The pull style: take the next event, free it, and a descriptor to wait for it in a loop of the program's own.

use std::ffi::c_int;
use std::time::Duration;

use crate::ffi::event::heartwire_event;
use crate::ffi::guard::{Failure, guard, guard_value, wanted};
use crate::ffi::handles::find;
use crate::ffi::heartwire_client;
use crate::ffi::status::heartwire_status;

/// Takes the next event, and waits for it: `timeout_ms` milliseconds, -1 for as long as it takes, 0 not at all (then it
/// turns no loop either; that is what heartwire_loop_turn() is for).
///
/// Callbacks and this function exclude each other; the first one used decides. Call it, with 0 perhaps, before
/// heartwire_connect(): events that come before the first call may be discarded, the oldest first.
///
/// Ownership: the caller frees `*out` with heartwire_event_free().
/// Threads:   any thread; inside a turn of an event loop, where most callbacks run, with 0 only.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT for a NULL or a time below -1,
/// HEARTWIRE_ERR_TIMEOUT, HEARTWIRE_ERR_CLOSED after the very last event, HEARTWIRE_ERR_TAKEN if events go to
/// callbacks, or HEARTWIRE_ERR_WOULD_DEADLOCK. On failure `*out` is untouched.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_next_event(
    client: heartwire_client,
    timeout_ms: i32,
    out: *mut *mut heartwire_event,
) -> heartwire_status {
    guard(|| {
        let client = find(client)?;
        wanted("out", out)?;
        let event = match timeout_ms {
            -1 => client.recv()?,
            0 => client.try_recv()?,
            time => match u64::try_from(time) {
                Ok(time) => client.recv_timeout(Duration::from_millis(time))?,
                Err(_) => return Err(Failure::unknown("timeout_ms", time)),
            },
        };
        // SAFETY: not NULL, so the header asks for a writable place.
        unsafe { out.write(Box::into_raw(Box::new(heartwire_event::new(event)))) };
        Ok(())
    })
}

/// Frees an event of heartwire_next_event(); never one that a callback got.
///
/// Ownership: `event` and all that its accessors returned is gone; NULL does nothing.
/// Threads:   any thread, in any callback; also after the client was destroyed.
///
/// Returns nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_free(event: *mut heartwire_event) {
    guard_value((), || {
        if !event.is_null() {
            // SAFETY: it came from heartwire_next_event, and the header allows one call.
            drop(unsafe { Box::from_raw(event) });
        }
        Ok(())
    });
}

/// Gives a descriptor that is readable while heartwire_next_event() has something to give, for poll, epoll, Qt, libuv
/// and the like. It stays readable after the very last event, when heartwire_next_event() answers HEARTWIRE_ERR_CLOSED.
///
/// When it is readable, call heartwire_next_event() with 0 until that answers HEARTWIRE_ERR_TIMEOUT. As with that
/// function, events then no longer go to callbacks; call it before heartwire_connect().
///
/// Ownership: the descriptor is the client's: do not read, write or close it, and forget it before heartwire_destroy().
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_TAKEN if events go to callbacks,
/// HEARTWIRE_ERR_SYSTEM if there is no descriptor to be had, or HEARTWIRE_ERR_UNSUPPORTED on Windows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_events_fd(client: heartwire_client, fd: *mut c_int) -> heartwire_status {
    guard(|| {
        let client = find(client)?;
        wanted("fd", fd)?;
        #[cfg(unix)]
        {
            use crate::error::RecvError;
            use crate::ffi::status::HEARTWIRE_ERR_SYSTEM;

            if !client.dispatcher().claim_for_pull() {
                return Err(RecvError::Taken.into());
            }
            let found = client.events_fd();
            let found = found.map_err(|error| Failure::new(HEARTWIRE_ERR_SYSTEM, error.to_string()))?;
            // SAFETY: not NULL, so the header asks for a writable place.
            unsafe { fd.write(found) };
            Ok(())
        }
        #[cfg(not(unix))]
        {
            use crate::ffi::status::HEARTWIRE_ERR_UNSUPPORTED;

            drop(client);
            Err(Failure::new(HEARTWIRE_ERR_UNSUPPORTED, "there are no descriptors to poll here"))
        }
    })
}
