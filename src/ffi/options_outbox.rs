//! The outbox's settings: how much may wait, for how long, and what happens when it is full.

use crate::config::outbox::OutboxLimits;
use crate::ffi::guard::{Failure, Result, borrow_mut, guard};
use crate::ffi::options::{heartwire_options, millis};
use crate::ffi::status::heartwire_status;

/// What a send does when the outbox is full: one of HEARTWIRE_WHEN_FULL_…
pub type heartwire_when_full = i32;
/// It fails with HEARTWIRE_ERR_FULL. The default.
pub const HEARTWIRE_WHEN_FULL_REJECT: i32 = 1;
/// The oldest waiting messages make room; each is reported as dropped.
pub const HEARTWIRE_WHEN_FULL_EVICT_OLDEST: i32 = 2;
/// It waits for room, and fails with HEARTWIRE_ERR_FULL after a time.
pub const HEARTWIRE_WHEN_FULL_BLOCK: i32 = 3;

/// Changes the limits, unless they cannot be so.
fn change(options: &mut heartwire_options, change: impl FnOnce(OutboxLimits) -> OutboxLimits) -> Result<()> {
    let new = change(options.outbox.clone());
    new.check()?;
    options.outbox = new;
    Ok(())
}

/// Sets how many messages, and bytes of payload in them, may wait to be sent. Default: 4096 and 8 MiB.
///
/// No single message can be longer than `bytes`.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_outbox(
    options: *mut heartwire_options,
    messages: usize,
    bytes: usize,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        change(options, |limits| limits.messages(messages).bytes(bytes))
    })
}

/// Sets what a send does when the outbox is full; `timeout_ms` counts for HEARTWIRE_WHEN_FULL_BLOCK only.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT for an unknown number, or HEARTWIRE_ERR_CONFIG for a time to block that
/// is not from 1 ms to a week.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_outbox_when_full(
    options: *mut heartwire_options,
    when_full: heartwire_when_full,
    timeout_ms: u32,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        match when_full {
            HEARTWIRE_WHEN_FULL_REJECT => change(options, OutboxLimits::reject_when_full),
            HEARTWIRE_WHEN_FULL_EVICT_OLDEST => change(options, OutboxLimits::evict_oldest_when_full),
            HEARTWIRE_WHEN_FULL_BLOCK => change(options, |limits| limits.block_when_full(millis(timeout_ms))),
            other => Err(Failure::unknown("when_full", other)),
        }
    })
}

/// Drops, and reports, a message that could not be written for this time. Default: 0, never.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for more than a week.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_outbox_time_to_live(
    options: *mut heartwire_options,
    time_ms: u32,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        let time_to_live = (time_ms > 0).then_some(millis(time_ms));
        change(options, |limits| OutboxLimits { time_to_live, ..limits })
    })
}
