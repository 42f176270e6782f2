//! A client's life: create, connect, wait, close, destroy.

use std::ffi::{c_char, c_int, c_void};

use crate::ffi::greeting::message;
use crate::ffi::guard::{bytes, guard, guard_value, text, wanted};
use crate::ffi::handles::{find, reserve, take};
use crate::ffi::heartwire_client;
use crate::ffi::numbers::heartwire_message_kind;
use crate::ffi::options::{heartwire_options, millis};
use crate::ffi::status::heartwire_status;

/// Creates a client for this "ws:", "wss:" or "ws+unix:" URL. No thread is started and no socket opened before
/// heartwire_connect(); the first use of TLS in a process reads the system's certificates (about 40 ms).
///
/// `options` may be NULL: then the defaults count.
///
/// Ownership: URL and options are copied. The client lives until heartwire_destroy() or heartwire_release().
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, or HEARTWIRE_ERR_CONFIG if the URL or a setting
/// cannot be, or the event loop was freed. On failure `out` is untouched.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_create(
    url: *const c_char,
    options: *const heartwire_options,
    out: *mut heartwire_client,
) -> heartwire_status {
    guard(|| {
        wanted("out", out)?;
        // SAFETY: the header asks for a terminated string, and for an options object or NULL.
        let (url, options) = unsafe { (text("url", url)?, options.as_ref()) };
        let reserved = reserve()?;
        let builder = match options {
            Some(options) => options.builder(url, reserved.handle())?,
            None => heartwire_options::defaults().builder(url, reserved.handle())?,
        };
        let client = reserved.fill(builder.build()?);
        // SAFETY: not NULL, so the header asks for a writable place.
        unsafe { out.write(client) };
        Ok(())
    })
}

/// Destroys a client: says Close 1001 if the socket takes it at once, then frees threads, sockets and callbacks.
///
/// Nothing is told after it began; use heartwire_close() and heartwire_wait_closed() to get the last events. Outside of
/// callbacks it waits for a callback of this client that runs, a heartwire_before_connect_fn or a heartwire_dial_fn
/// included, and the free_user_data of every heartwire_on_…() was called when it returns. Inside any callback it never
/// waits: then a callback that runs, this one perhaps, is freed when it has returned.
///
/// What the options own, heartwire_options_add_greeting_callback() and its like, is freed
/// with the last of the options object and the clients created with it: before this returns, too, unless a thread
/// turns a loop that the client shares just then; that thread frees it, as soon as no callback holds it up.
///
/// Ownership: the handle is stale from now on, and every call with it fails; on other threads, waits end.
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn heartwire_destroy(client: heartwire_client) -> heartwire_status {
    guard(|| {
        let (_found, client) = take(client)?;
        drop(client);
        Ok(())
    })
}

/// Destroys a client without waiting for a callback that runs; everything else is as with heartwire_destroy().
///
/// Ownership: the handle is stale from now on. That a callback is done for good is told by its free_user_data.
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn heartwire_release(client: heartwire_client) -> heartwire_status {
    guard(|| {
        let (_found, client) = take(client)?;
        client.release();
        Ok(())
    })
}

/// Tells whether the handle is of a client that lives.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread, in any callback. Another thread may destroy the client right after the answer.
///
/// Returns true or false; heartwire_last_error() stays as it is.
#[unsafe(no_mangle)]
pub extern "C" fn heartwire_is_valid(client: heartwire_client) -> bool {
    guard_value(false, || Ok(find(client).is_ok()))
}

/// Connects, and stays connected from then on; returns at once. Register callbacks before it, so that no event is
/// missed. What fails on the network is told by events.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ALREADY_CONNECTED, HEARTWIRE_ERR_CLOSED, or
/// HEARTWIRE_ERR_SYSTEM if there was no thread to be had, or its event loop has failed.
#[unsafe(no_mangle)]
pub extern "C" fn heartwire_connect(client: heartwire_client) -> heartwire_status {
    guard(|| Ok(find(client)?.connect()?))
}

/// Connects, and sends this message once, on the first open, after the greetings; returns at once.
///
/// Ownership: the bytes are copied.
/// Threads:   any thread, in any callback.
///
/// Returns as heartwire_connect() does, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8 for a text that is none, or
/// HEARTWIRE_ERR_FULL or HEARTWIRE_ERR_TOO_BIG if the outbox cannot take the message; then it did not connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_connect_with(
    client: heartwire_client,
    first: *const c_void,
    len: usize,
    kind: heartwire_message_kind,
) -> heartwire_status {
    guard(|| {
        let client = find(client)?;
        // SAFETY: the header asks for `len` readable bytes.
        let first = unsafe { bytes("first", first, len)? };
        Ok(client.connect_with(message(first, kind)?)?)
    })
}

/// Connects over this connected stream socket, for one attempt and one session; returns at once.
///
/// The URL says what is asked for: host and path of the upgrade, and with "wss:" that TLS runs over the socket, for the
/// certificate of that host. When the attempt fails, or the session is over, the client ends with HEARTWIRE_END_GAVE_UP
/// (or HEARTWIRE_END_FATAL), since there is no second stream; redirects are not followed. To go on over another stream
/// create another client, or set heartwire_options_set_dial().
///
/// Ownership: with HEARTWIRE_OK `fd` belongs to the library, which sets it to non-blocking and close-on-exec and closes
/// it with the session; otherwise it stays the caller's, as it is. The other side sees the end only if there is no
/// duplicate of it.
/// Threads:   any thread, in any callback.
///
/// Returns as heartwire_connect() does, HEARTWIRE_ERR_ARGUMENT for what is no connected stream socket,
/// HEARTWIRE_ERR_CONFIG together with further URLs, a Unix socket, a proxy that is not the environment's, settings of
/// TCP or heartwire_options_set_dial(), or HEARTWIRE_ERR_UNSUPPORTED on Windows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_connect_over(client: heartwire_client, fd: c_int) -> heartwire_status {
    guard(|| {
        let client = find(client)?;
        #[cfg(unix)]
        {
            use std::os::fd::IntoRawFd;

            use crate::ffi::descriptor;
            use crate::ffi::guard::Failure;

            descriptor::check(fd).map_err(Failure::argument)?;
            // SAFETY: it was checked, and the header says that it is ours, unless this fails.
            let mut stream = Some(unsafe { descriptor::take(fd) });
            let begun = client.begin_over(&mut stream);
            if let Some(owned) = stream.and_then(|stream| stream.give_back()) {
                let _ = owned.into_raw_fd();
            }
            Ok(begun?)
        }
        #[cfg(not(unix))]
        {
            use crate::ffi::guard::Failure;
            use crate::ffi::status::HEARTWIRE_ERR_UNSUPPORTED;

            let _ = (client, fd);
            Err(Failure::new(HEARTWIRE_ERR_UNSUPPORTED, "streams of the program's need a Unix system"))
        }
    })
}

/// Waits until a session is open; returns at once if one is.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread, but not inside a turn of an event loop, where most callbacks run.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_TIMEOUT, HEARTWIRE_ERR_CLOSED if the client has ended, or
/// HEARTWIRE_ERR_WOULD_DEADLOCK.
#[unsafe(no_mangle)]
pub extern "C" fn heartwire_wait_open(client: heartwire_client, timeout_ms: u32) -> heartwire_status {
    guard(|| Ok(find(client)?.wait_open(millis(timeout_ms))?))
}

/// Waits until the client has ended and its last event was handed on.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread, but not inside a turn of an event loop, where most callbacks run.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_TIMEOUT or HEARTWIRE_ERR_WOULD_DEADLOCK.
#[unsafe(no_mangle)]
pub extern "C" fn heartwire_wait_closed(client: heartwire_client, timeout_ms: u32) -> heartwire_status {
    guard(|| {
        find(client)?.wait_closed(millis(timeout_ms))?;
        Ok(())
    })
}

/// Closes for good: sends what waits, then the Close frame, then waits for the server's; returns at once.
///
/// Before the Close it waits for what is to be proven of messages, by the level that was asked for each and by
/// heartwire_options_set_drain_to(). All of it has the time of heartwire_options_set_close_timeout(). No attempt to
/// connect is begun after this, no message is accepted and none is delivered. The first call counts; later ones do
/// nothing.
///
/// Ownership: `reason` is copied; NULL is the empty one.
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_UTF8, or HEARTWIRE_ERR_ARGUMENT for a code other than
/// 1000, 1001, 1003, 1007 to 1014 and 3000 to 4999, or a reason longer than 123 bytes; then the client goes on as
/// before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_close(
    client: heartwire_client,
    code: u16,
    reason: *const c_char,
) -> heartwire_status {
    guard(|| {
        let client = find(client)?;
        // SAFETY: the header asks for a terminated string or NULL.
        let reason = if reason.is_null() { "" } else { unsafe { text("reason", reason)? } };
        Ok(client.close(code, reason)?)
    })
}

/// Skips the wait before the next attempt to connect; does nothing unless the client waits for one.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn heartwire_reconnect_now(client: heartwire_client) -> heartwire_status {
    guard(|| {
        find(client)?.reconnect_now();
        Ok(())
    })
}

/// Stops reading: messages stay with the server once the buffers are full. Does not wait.
///
/// In a callback on the loop's thread it holds back the very next message, or the next part of this one. What waits for
/// HEARTWIRE_DISPATCH_THREAD or for heartwire_next_event() still comes: at most what
/// heartwire_options_set_inbound_queue() allows.
///
/// Heartbeats go out meanwhile, but a missing answer is no verdict. A close is noticed only after
/// heartwire_resume_reading().
///
/// Ownership: nothing changes hands.
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn heartwire_pause_reading(client: heartwire_client) -> heartwire_status {
    guard(|| {
        find(client)?.pause_reading();
        Ok(())
    })
}

/// Reads again after heartwire_pause_reading(). Does not wait.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn heartwire_resume_reading(client: heartwire_client) -> heartwire_status {
    guard(|| {
        find(client)?.resume_reading();
        Ok(())
    })
}
