//! Sending: messages, pings, and waiting until they are written, or have got further.

use std::ffi::{c_char, c_void};

use crate::client::SendOptions;
use crate::event::MessageRef;
use crate::ffi::guard::{Failure, Result, bytes, guard, utf8, write_if_asked};
use crate::ffi::handles::find;
use crate::ffi::heartwire_client;
use crate::ffi::numbers::{HEARTWIRE_LEVEL_NONE, heartwire_level, heartwire_message_kind, is_text, level_of};
use crate::ffi::options::millis;
use crate::ffi::options_delivery::{delivery_of, heartwire_delivery, heartwire_priority, priority_of};
use crate::ffi::sized::{Growing, read_in};
use crate::ffi::status::heartwire_status;

/// What applies to one message only. Set it to zeros, then `size`, then what is needed.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct heartwire_send_options {
    /// sizeof(heartwire_send_options).
    pub size: usize,
    /// HEARTWIRE_TEXT or HEARTWIRE_BINARY; has to be set.
    pub kind: heartwire_message_kind,
    /// Drops the message, and says so, when it could not be written for this time. One that was written and waits to go
    /// again ends then, too, as HEARTWIRE_FATE_UNKNOWN. 0: as the outbox is set.
    pub time_to_live_ms: u32,
    /// The level that completes it: one of HEARTWIRE_LEVEL_…; 0: as heartwire_options_set_complete_at() says.
    pub level: heartwire_level,
    /// Whether it goes again when a session dies under it: one of HEARTWIRE_DELIVERY_…; 0: as
    /// heartwire_options_set_delivery() says.
    pub delivery: heartwire_delivery,
    /// Whether it goes before normal ones that wait: one of HEARTWIRE_PRIORITY_…
    pub priority: heartwire_priority,
    /// Has to be 0.
    pub reserved: i32,
}

// SAFETY: repr(C), `size` is first, zeros are a value. The first version ended with `time_to_live_ms`.
unsafe impl Growing for heartwire_send_options {
    const FIRST: usize = std::mem::offset_of!(heartwire_send_options, level);
}

impl heartwire_send_options {
    fn options(&self) -> Result<SendOptions> {
        if self.reserved != 0 {
            return Err(Failure::unknown("options.reserved", self.reserved));
        }
        let mut with = SendOptions::new().priority(priority_of(self.priority)?);
        if self.time_to_live_ms > 0 {
            with = with.time_to_live(millis(self.time_to_live_ms));
        }
        if self.level != HEARTWIRE_LEVEL_NONE {
            with = with.complete_at(level_of(self.level)?);
        }
        if self.delivery != 0 {
            with = with.delivery(delivery_of(self.delivery)?);
        }
        Ok(with)
    }
}

/// Sends a text message: at once on this thread if the session is free, else from the outbox. It never waits for the
/// network, unless the outbox is full and set to block.
///
/// While the link is down the message waits in the outbox and goes out after the next reconnect, oldest first. OK
/// therefore means accepted; what became of the message is told by HEARTWIRE_EVENT_OUTCOME.
///
/// Ownership: the text is copied; the caller may reuse it on return. `id`, which may be NULL, gets the message's
/// number: 1 for the client's first message, then 2, and so on.
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, HEARTWIRE_ERR_FULL,
/// HEARTWIRE_ERR_TOO_BIG, HEARTWIRE_ERR_CLOSED, or HEARTWIRE_ERR_WOULD_DEADLOCK if the outbox is set to block and this
/// thread empties it. On failure nothing was queued and `id` is untouched.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_send_text(
    client: heartwire_client,
    text: *const c_char,
    len: usize,
    id: *mut u64,
) -> heartwire_status {
    guard(|| {
        let client = find(client)?;
        // SAFETY: the header asks for `len` readable bytes.
        let text = utf8("text", unsafe { bytes("text", text.cast(), len)? })?;
        let sent = client.send_text(text)?;
        // SAFETY: the header asks for a writable place or NULL.
        unsafe { write_if_asked(id, sent.get()) };
        Ok(())
    })
}

/// Sends a binary message; everything else is as with heartwire_send_text().
///
/// Ownership: the bytes are copied; the caller may reuse them on return. `id` may be NULL.
/// Threads:   any thread, in any callback.
///
/// Returns as heartwire_send_text() does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_send_binary(
    client: heartwire_client,
    data: *const c_void,
    len: usize,
    id: *mut u64,
) -> heartwire_status {
    guard(|| {
        let client = find(client)?;
        // SAFETY: the header asks for `len` readable bytes.
        let sent = client.send_binary(unsafe { bytes("data", data, len)? })?;
        // SAFETY: the header asks for a writable place or NULL.
        unsafe { write_if_asked(id, sent.get()) };
        Ok(())
    })
}

/// Sends a message with settings of its own; everything else is as with heartwire_send_text().
///
/// Ownership: bytes and options are copied; the caller may reuse them on return. `id` may be NULL.
/// Threads:   any thread, in any callback.
///
/// Returns as heartwire_send_text() does; HEARTWIRE_ERR_ARGUMENT also for options that are NULL, whose size or kind was
/// not set, or that have an unknown number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_send(
    client: heartwire_client,
    data: *const c_void,
    len: usize,
    options: *const heartwire_send_options,
    id: *mut u64,
) -> heartwire_status {
    guard(|| {
        let client = find(client)?;
        // SAFETY: the header asks for `len` readable bytes, and for a struct that begins with its size.
        let (data, options) = unsafe { (bytes("data", data, len)?, read_in("options", options)?) };
        let message = if is_text(options.kind)? {
            MessageRef::Text(utf8("data", data)?)
        } else {
            MessageRef::Binary(data)
        };
        let sent = client.send_with(message, options.options()?)?;
        // SAFETY: the header asks for a writable place or NULL.
        unsafe { write_if_asked(id, sent.get()) };
        Ok(())
    })
}

/// Sends a ping of the program's own, of at most 125 bytes; it is not queued and has no outcome. Does not wait.
///
/// Ownership: the bytes are copied.
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_TOO_BIG, HEARTWIRE_ERR_NOT_OPEN,
/// HEARTWIRE_ERR_FULL while 16 others wait, or HEARTWIRE_ERR_CLOSED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_ping(
    client: heartwire_client,
    payload: *const c_void,
    len: usize,
) -> heartwire_status {
    guard(|| {
        let client = find(client)?;
        // SAFETY: the header asks for `len` readable bytes.
        Ok(client.ping(unsafe { bytes("payload", payload, len)? })?)
    })
}

/// Waits until every message that was accepted before this call has reached the level, or was dropped, whatever level
/// completes it.
///
/// While it waits it costs what heartwire_options_set_complete_at() says. Messages that were complete when their
/// session ended, before this call, are not asked about: nothing can be found out of them any more.
/// HEARTWIRE_LEVEL_ACKED is never reached by itself where the kernel does not tell.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread, but not inside a turn of an event loop, where most callbacks run.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT for an unknown level or HEARTWIRE_LEVEL_NONE,
/// HEARTWIRE_ERR_TIMEOUT if some have not got there yet, HEARTWIRE_ERR_CLOSED if the client ended with some of them
/// unwritten, HEARTWIRE_ERR_UNKNOWN if a session died under some of them, which do not go again, and how far they got
/// nobody can tell, or HEARTWIRE_ERR_WOULD_DEADLOCK.
#[unsafe(no_mangle)]
pub extern "C" fn heartwire_flush(
    client: heartwire_client,
    level: heartwire_level,
    timeout_ms: u32,
) -> heartwire_status {
    guard(|| {
        let client = find(client)?;
        Ok(client.flush_to(level_of(level)?, millis(timeout_ms))?)
    })
}
