//! Event loops that clients share: made, turned in one of three ways, freed when the last client has gone.

use std::ffi::c_int;
use std::sync::Weak;
use std::time::{Duration, Instant};

use crate::config::builder::Builder;
use crate::error::ConfigError;
use crate::event_loop::EventLoop;
use crate::event_loop::shared::SharedLoop;
use crate::ffi::guard::{Failure, Result, borrow, borrow_mut, guard, guard_value};
use crate::ffi::options::heartwire_options;
use crate::ffi::status::{HEARTWIRE_ERR_BUSY, HEARTWIRE_ERR_HANDLE, heartwire_status};

/// An event loop that clients share, instead of a thread each. Give it to them with heartwire_options_set_loop(), and
/// choose one of three ways to turn it:
///
/// A thread of the library's: heartwire_loop_start(). Many clients cost one thread.
///
/// The program's own loop: heartwire_loop_turn(), once for each frame, or whenever heartwire_loop_fd() is readable or
/// the time that heartwire_loop_next_timeout_ms() told has passed. No thread of the library's exists then, but where it
/// is asked for: the first host name that is not a literal address starts those that look it up; a
/// heartwire_before_connect_fn, a heartwire_dial_fn and the target of a redirect may need one of a small pool; and
/// HEARTWIRE_DISPATCH_THREAD has one for each client.
///
/// The calls that wait: where nobody else turns the loop, heartwire_next_event(), heartwire_wait_open(),
/// heartwire_wait_closed(), heartwire_flush(), and a send or heartwire_stream_append() that waits for room turn it
/// while they wait. It is the fastest way for request and reply, since no second thread takes part; but between such
/// calls nothing happens: no heartbeat is answered and no link is mended.
///
/// Callbacks of all its clients run on the thread that turns it. After heartwire_loop_turn() that is the thread which
/// called it last; calls that wait on other threads wait for that one. A callback that takes long delays all
/// clients of the loop: give such clients HEARTWIRE_DISPATCH_THREAD.
pub struct heartwire_loop {
    event_loop: EventLoop,
}

/// The loop that an options object names. It does not keep it from being freed.
#[derive(Clone, Default)]
pub(super) struct Chosen(Option<Weak<SharedLoop>>);

impl Chosen {
    pub(super) fn apply(&self, builder: Builder) -> Result<Builder> {
        match &self.0 {
            None => Ok(builder),
            Some(event_loop) => match event_loop.upgrade() {
                Some(event_loop) if event_loop.is_of_this_process() => Ok(builder.shared_loop(event_loop)),
                Some(_) => {
                    Err(ConfigError::new("event_loop", "it is of the process that forked this one").into())
                }
                None => Err(ConfigError::new("event_loop", "it was freed").into()),
            },
        }
    }
}

/// A loop that this process may use.
///
/// # Safety
///
/// NULL, or a loop of ours that lives as long as the borrow.
unsafe fn borrow_loop<'a>(event_loop: *const heartwire_loop) -> Result<&'a heartwire_loop> {
    // SAFETY: NULL or valid, as the caller promised.
    let event_loop = unsafe { borrow("event_loop", event_loop)? };
    if !event_loop.event_loop.shared().is_of_this_process() {
        let text = "the event loop is of the process that forked this one";
        return Err(Failure::new(HEARTWIRE_ERR_HANDLE, text));
    }
    Ok(event_loop)
}

/// Makes an event loop without clients, which nobody turns yet. Does not wait.
///
/// Ownership: the caller frees it with heartwire_loop_free(), after its clients.
/// Threads:   any thread, in any callback.
///
/// Returns the loop; NULL if there was no descriptor to be had (it needs three), see heartwire_last_error().
#[unsafe(no_mangle)]
pub extern "C" fn heartwire_loop_new() -> *mut heartwire_loop {
    guard_value(std::ptr::null_mut(), || {
        Ok(Box::into_raw(Box::new(heartwire_loop { event_loop: EventLoop::new()? })))
    })
}

/// Gives the loop a thread of the library's, which turns it from now on. Does not wait.
///
/// Ownership: nothing changes hands; the thread ends with heartwire_loop_free().
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_BUSY if it has a thread already or somebody turns it
/// just now (inside a callback that runs on it, for example), or HEARTWIRE_ERR_SYSTEM if there was no thread to be had,
/// or the loop has failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_loop_start(event_loop: *mut heartwire_loop) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for a loop.
        let event_loop = unsafe { borrow_loop(event_loop)? };
        Ok(event_loop.event_loop.start()?)
    })
}

/// Waits for something to do, `timeout_ms` milliseconds at most (-1: for as long as it takes, 0: not at all), and does
/// it: a bounded amount for each client, callbacks included. It may return early, and with nothing done.
///
/// Ownership: nothing changes hands. The calling thread becomes the one that turns this loop.
/// Threads:   any thread, one at a time; not inside a callback that runs on an event loop.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT for NULL or a time below -1, HEARTWIRE_ERR_WOULD_DEADLOCK inside a turn
/// of this loop or of another, HEARTWIRE_ERR_BUSY if it has a thread of its own or another thread turns it just now, or
/// HEARTWIRE_ERR_SYSTEM if the system refused to wait: then every client of the loop has ended, and none can be
/// created.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_loop_turn(
    event_loop: *mut heartwire_loop,
    timeout_ms: i32,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for a loop.
        let event_loop = unsafe { borrow_loop(event_loop)? };
        let timeout = match timeout_ms {
            -1 => None,
            time => match u64::try_from(time) {
                Ok(time) => Some(Duration::from_millis(time)),
                Err(_) => return Err(Failure::unknown("timeout_ms", time)),
            },
        };
        // Once this turn is over another thread may free the loop, while this one is still on its way out of it.
        let shared = event_loop.event_loop.shared().clone();
        Ok(shared.turn(timeout)?)
    })
}

/// The descriptor to wait for, with epoll, poll, select, libuv, GLib, Qt and the like: it is readable while
/// heartwire_loop_turn() has something to do. Wait for heartwire_loop_next_timeout_ms() at most.
///
/// Ownership: the descriptor is the loop's: do not read, write or close it, and forget it before heartwire_loop_free().
/// Threads:   any thread, in any callback.
///
/// Returns the descriptor; -1 for NULL, and on Windows, where there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_loop_fd(event_loop: *const heartwire_loop) -> c_int {
    guard_value(-1, || {
        // SAFETY: the header asks for a loop or NULL.
        let event_loop = unsafe { borrow_loop(event_loop)? };
        #[cfg(unix)]
        {
            use std::os::fd::AsRawFd;
            Ok(event_loop.event_loop.as_raw_fd())
        }
        #[cfg(not(unix))]
        {
            let _ = event_loop;
            Ok(-1)
        }
    })
}

/// How long heartwire_loop_turn() may be put off while heartwire_loop_fd() is not readable, rounded up to whole
/// milliseconds; as poll() and epoll_wait() want it.
///
/// Every turn may change it: ask after each. So may every call to a client, which makes the descriptor readable.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread, in any callback.
///
/// Returns the time; 0: turn at once; -1: there is no such time, or the loop is turned by a thread just now, or it is
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_loop_next_timeout_ms(event_loop: *const heartwire_loop) -> i32 {
    guard_value(-1, || {
        // SAFETY: the header asks for a loop or NULL.
        let event_loop = unsafe { borrow_loop(event_loop)? };
        let deadline = event_loop.event_loop.next_deadline();
        Ok(deadline.map_or(-1, |deadline| whole_millis(deadline.saturating_duration_since(Instant::now()))))
    })
}

/// Rounded up: a wait that ended just before the deadline would be repeated until it has come.
fn whole_millis(time: Duration) -> i32 {
    i32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
}

/// Makes the heartwire_loop_turn() that waits return, or else the next one not wait. Does not wait itself.
///
/// There is no need for it after calls to a client: they wake the loop where it has something to do.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_loop_wake(event_loop: *mut heartwire_loop) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for a loop.
        unsafe { borrow_loop(event_loop)? }.event_loop.wake();
        Ok(())
    })
}

/// Frees an event loop, if it has no clients any more: destroy them first. Outside of callbacks it waits for the loop's
/// own thread, and so for a callback that runs there; inside of one that thread ends by itself.
///
/// Ownership: `event_loop` is gone if HEARTWIRE_OK is returned, and stays as it was otherwise; NULL does nothing.
/// Options that name it may be freed later; no client can be created with them.
/// Threads:   any thread, in any callback; no other thread may begin to use the loop any more.
///
/// Returns HEARTWIRE_OK, or HEARTWIRE_ERR_BUSY while clients that were created on it are not destroyed, or while
/// somebody turns it: inside a callback, for example, which heartwire_loop_turn() has called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_loop_free(event_loop: *mut heartwire_loop) -> heartwire_status {
    guard(|| {
        if event_loop.is_null() {
            return Ok(());
        }
        // SAFETY: not NULL, so it is a loop, as the header asks.
        let used = unsafe { borrow_loop(event_loop)? };
        if !used.event_loop.close_if_unused() {
            let why = match used.event_loop.clients() {
                0 => "the event loop is turned just now".to_string(),
                clients => format!("clients of the event loop that are not destroyed: {clients}"),
            };
            return Err(Failure::new(HEARTWIRE_ERR_BUSY, why));
        }
        // SAFETY: it came from heartwire_loop_new, and the header allows one call that succeeds.
        drop(unsafe { Box::from_raw(event_loop) });
        Ok(())
    })
}

/// Sets the event loop of clients to be created; NULL, the default, gives each a loop and a thread of its own.
///
/// Ownership: the loop stays the caller's, and has to outlive the clients, which heartwire_loop_free() checks. It need
/// not outlive the options: heartwire_create() answers HEARTWIRE_ERR_CONFIG once it was freed.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, or HEARTWIRE_ERR_ARGUMENT if `options` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_loop(
    options: *mut heartwire_options,
    event_loop: *const heartwire_loop,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object, and for a loop or NULL.
        let (options, event_loop) = unsafe { (borrow_mut("options", options)?, event_loop.as_ref()) };
        let shared = event_loop.map(|event_loop| event_loop.event_loop.shared());
        options.event_loop = Chosen(shared.map(std::sync::Arc::downgrade));
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_rounded_up_so_that_nobody_spins() {
        assert_eq!(whole_millis(Duration::ZERO), 0);
        assert_eq!(whole_millis(Duration::from_nanos(1)), 1);
        assert_eq!(whole_millis(Duration::from_micros(1000)), 1);
        assert_eq!(whole_millis(Duration::from_micros(1001)), 2);
        assert_eq!(whole_millis(Duration::MAX), i32::MAX);
    }
}
