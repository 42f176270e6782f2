//! How long an attempt and a close may take, how much may come, and on which thread it is told.

use crate::config::{Dispatch, check};
use crate::ffi::guard::{Failure, borrow_mut, guard};
use crate::ffi::options::{heartwire_options, millis};
use crate::ffi::status::heartwire_status;

/// Where callbacks run: one of HEARTWIRE_DISPATCH_…
pub type heartwire_dispatch = i32;
/// On the thread that turns the client's event loop: the fastest way. A callback that takes long delays the
/// heartbeat, and on a shared loop other clients, too.
pub const HEARTWIRE_DISPATCH_LOOP: i32 = 1;
/// On a further thread of the client, behind a bounded queue: callbacks may take their time.
pub const HEARTWIRE_DISPATCH_THREAD: i32 = 2;

/// Sets the deadline of a whole attempt to connect, from heartwire_options_set_before_connect(), or else the name
/// lookup, to the upgrade's answer, redirects and a proxy's answer included. Default: 15 s.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for a time that is not from 1 ms to a week.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_connect_timeout(
    options: *mut heartwire_options,
    timeout_ms: u32,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        check::time("connect_timeout", millis(timeout_ms))?;
        options.connect_timeout = Some(millis(timeout_ms));
        Ok(())
    })
}

/// Sets the deadline of the name lookup alone. Default: 5 s.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns as heartwire_options_set_connect_timeout() does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_resolve_timeout(
    options: *mut heartwire_options,
    timeout_ms: u32,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        check::time("resolve_timeout", millis(timeout_ms))?;
        options.resolve_timeout = Some(millis(timeout_ms));
        Ok(())
    })
}

/// Sets the deadline of a close: sending what waits and the closing handshake together. Default: 5 s.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns as heartwire_options_set_connect_timeout() does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_close_timeout(
    options: *mut heartwire_options,
    timeout_ms: u32,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        check::time("close_timeout", millis(timeout_ms))?;
        options.close_timeout = Some(millis(timeout_ms));
        Ok(())
    })
}

/// Sets the longest message that is received, whole or in parts. Default: 16 MiB, or none where
/// heartwire_options_set_fragments_above() is set. A longer one is answered with close code 1009.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_max_message_size(
    options: *mut heartwire_options,
    bytes: usize,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        check::size("max_message_size", bytes, 1)?;
        options.max_message = Some(bytes);
        Ok(())
    })
}

/// Sets where callbacks run: HEARTWIRE_DISPATCH_LOOP (the default) or HEARTWIRE_DISPATCH_THREAD.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, or HEARTWIRE_ERR_ARGUMENT for an unknown number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_dispatch(
    options: *mut heartwire_options,
    dispatch: heartwire_dispatch,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        options.dispatch = match dispatch {
            HEARTWIRE_DISPATCH_LOOP => Dispatch::Loop,
            HEARTWIRE_DISPATCH_THREAD => Dispatch::Thread,
            other => return Err(Failure::unknown("dispatch", other)),
        };
        Ok(())
    })
}

/// Sets how many events, and bytes of messages in them, wait for heartwire_next_event() or for
/// HEARTWIRE_DISPATCH_THREAD. Default: 256 and 1 MiB. When either is reached, reading pauses and TCP slows the server.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_inbound_queue(
    options: *mut heartwire_options,
    events: usize,
    bytes: usize,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        check::size("inbound_queue", events, 1)?;
        check::size("inbound_queue", bytes, 1)?;
        options.inbound_queue = Some((events, bytes));
        Ok(())
    })
}

/// Sets whether heartwire_next_event() gives HEARTWIRE_EVENT_OUTCOME, too. Default: no; heartwire_on_outcome() asks by
/// itself.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_report_outcomes(
    options: *mut heartwire_options,
    yes: bool,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        unsafe { borrow_mut("options", options)? }.report_outcomes = yes;
        Ok(())
    })
}

/// Sets the stack of the client's event loop thread, for callbacks that need more. Default: 1 MiB. It means nothing
/// on a shared loop.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for less than 64 KiB.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_stack_size(
    options: *mut heartwire_options,
    bytes: usize,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        check::size("stack_size", bytes, 64 << 10)?;
        options.stack_size = Some(bytes);
        Ok(())
    })
}
