//! The heartbeat's settings: what a beat is, when it goes out, and when silence means that the link is dead.

use std::ffi::c_char;

use crate::config::heartbeat::{BeatKind, Heartbeat};
use crate::ffi::guard::{Failure, Result, borrow_mut, guard, text};
use crate::ffi::options::{heartwire_options, millis};
use crate::ffi::status::heartwire_status;

/// Changes the heartbeat, unless it cannot be so.
fn change(options: &mut heartwire_options, change: impl FnOnce(Heartbeat) -> Heartbeat) -> Result<()> {
    let new = change(options.heartbeat.clone());
    new.check()?;
    options.heartbeat = new;
    Ok(())
}

/// What has a meaning only for a text heartbeat.
fn change_text(options: &mut heartwire_options, with: impl FnOnce(Heartbeat) -> Heartbeat) -> Result<()> {
    if !matches!(options.heartbeat.kind, BeatKind::Text { .. }) {
        return Err(Failure::argument("call heartwire_options_set_heartbeat_text first"));
    }
    change(options, with)
}

/// Beats with protocol pings, which every server answers. The default; times and misses stay as they were set.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_heartbeat_ping(
    options: *mut heartwire_options,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        change(options, |beat| Heartbeat { kind: BeatKind::Ping, ..beat })
    })
}

/// Beats with a text message of the application's own; times and misses stay as they were set. Any message counts as
/// the reply until heartwire_options_set_heartbeat_reply() or its like says otherwise.
///
/// Ownership: `beat` is copied.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT or HEARTWIRE_ERR_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_heartbeat_text(
    options: *mut heartwire_options,
    beat: *const c_char,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object and a terminated string.
        let (options, beat) = unsafe { (borrow_mut("options", options)?, text("beat", beat)?) };
        let kind = Heartbeat::text(beat).kind;
        change(options, |beat| Heartbeat { kind, ..beat })
    })
}

/// Switches the heartbeat off: a link that dies in silence stays undetected until TCP gives up, often after 15 minutes.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_heartbeat_off(
    options: *mut heartwire_options,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        change(options, |beat| Heartbeat { kind: BeatKind::Off, ..beat })
    })
}

/// The reply to a text heartbeat is exactly this text. It is not delivered as a message.
///
/// Ownership: `reply` is copied.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT (also if the heartbeat is not a text) or HEARTWIRE_ERR_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_heartbeat_reply(
    options: *mut heartwire_options,
    reply: *const c_char,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object and a terminated string.
        let (options, reply) = unsafe { (borrow_mut("options", options)?, text("reply", reply)?) };
        change_text(options, |beat| beat.reply(reply))
    })
}

/// The reply to a text heartbeat is any text that begins like this. It is not delivered as a message.
///
/// Ownership: `prefix` is copied.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT (also if the heartbeat is not a text), HEARTWIRE_ERR_UTF8, or
/// HEARTWIRE_ERR_CONFIG for an empty prefix.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_heartbeat_reply_prefix(
    options: *mut heartwire_options,
    prefix: *const c_char,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object and a terminated string.
        let (options, prefix) = unsafe { (borrow_mut("options", options)?, text("prefix", prefix)?) };
        change_text(options, |beat| beat.reply_prefix(prefix))
    })
}

/// Any message is a reply to a text heartbeat; it is delivered all the same.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, or HEARTWIRE_ERR_ARGUMENT (also if the heartbeat is not a text).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_heartbeat_any_reply(
    options: *mut heartwire_options,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        change_text(options, Heartbeat::any_reply)
    })
}

/// Sets whether replies that are recognised by text or prefix are also delivered as messages. Default: no.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, or HEARTWIRE_ERR_ARGUMENT (also if the heartbeat is not a text).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_heartbeat_deliver_replies(
    options: *mut heartwire_options,
    yes: bool,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        change_text(options, |beat| beat.deliver_replies(yes))
    })
}

/// A beat goes out after this time without a received byte. The default, with 20 s.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for a time that is not from 1 ms to a week.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_heartbeat_after_silence(
    options: *mut heartwire_options,
    time_ms: u32,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        change(options, |beat| beat.after_silence(millis(time_ms)))
    })
}

/// A beat goes out at this pace, whatever else happens: for servers whose idle timers watch what we send.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for a time that is not from 1 ms to a week.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_heartbeat_every(
    options: *mut heartwire_options,
    time_ms: u32,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        change(options, |beat| beat.every(millis(time_ms)))
    })
}

/// Sets whether only the reply to a beat is a sign of life. Default: no, any byte is.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_heartbeat_reply_only(
    options: *mut heartwire_options,
    yes: bool,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        change(options, |beat| Heartbeat { reply_only: yes, ..beat })
    })
}

/// Sets how long a beat may stay unanswered before it is missed. Default: 10 s.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for a time that is not from 1 ms to a week.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_heartbeat_timeout(
    options: *mut heartwire_options,
    timeout_ms: u32,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        change(options, |beat| beat.timeout(millis(timeout_ms)))
    })
}

/// Sets how many missed beats in a row mean that the link is dead. Default: 2.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for a number that is not from 1 to 1000.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_heartbeat_max_missed(
    options: *mut heartwire_options,
    beats: u32,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        change(options, |beat| beat.max_missed(beats))
    })
}
