//! The reconnect settings: how long to wait before the next attempt, when to stop, what is worth another one.

use std::ffi::c_void;
use std::slice;
use std::sync::Arc;

use crate::config::reconnect::Reconnect;
use crate::ffi::guard::{Failure, Result, borrow_mut, guard};
use crate::ffi::heartwire_client;
use crate::ffi::options::{heartwire_options, millis};
use crate::ffi::status::heartwire_status;
use crate::ffi::user_data::{UserData, heartwire_free_fn};

/// Answers how many milliseconds to wait after so many failures in a row, counted from 1. Called on the event loop's
/// thread; it must not block.
pub type heartwire_delay_fn =
    Option<unsafe extern "C" fn(client: heartwire_client, failures: u32, user_data: *mut c_void) -> u32>;

/// The program's own delays.
#[derive(Clone)]
pub(super) struct Delay {
    call: unsafe extern "C" fn(heartwire_client, u32, *mut c_void) -> u32,
    user_data: Arc<UserData>,
}

impl Delay {
    pub(super) fn apply(&self, reconnect: Reconnect, client: heartwire_client) -> Reconnect {
        let Delay { call, user_data } = self.clone();
        let custom = Reconnect::custom(move |failures| {
            // SAFETY: the program gave this function for calls with this pointer.
            millis(unsafe { call(client, failures, user_data.get()) })
        });
        Reconnect { delays: custom.delays, ..reconnect }
    }
}

/// Changes the settings, unless they cannot be so.
fn change(options: &mut heartwire_options, change: impl FnOnce(Reconnect) -> Reconnect) -> Result<()> {
    let new = change(options.reconnect.clone());
    new.check()?;
    options.reconnect = new;
    Ok(())
}

/// Takes the delays of this one; everything else stays as it was set.
fn set_delays(options: &mut heartwire_options, from: Reconnect) -> Result<()> {
    change(options, |reconnect| Reconnect { delays: from.delays, ..reconnect })?;
    options.delay = None;
    Ok(())
}

/// Delays that grow: `floor_ms` plus a random part of up to `base_ms` after the first failure, which grows by `factor`
/// with each further one, up to `max_ms`. The default, with 250 ms, 500 ms, 2 and 30 s.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for a time above a week, a base or maximum of
/// zero, or a factor that is not from 1 to 100.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_reconnect_exponential(
    options: *mut heartwire_options,
    floor_ms: u32,
    base_ms: u32,
    factor: f64,
    max_ms: u32,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        let growing = Reconnect::exponential()
            .floor(millis(floor_ms))
            .base(millis(base_ms))
            .factor(factor)
            .max(millis(max_ms));
        set_delays(options, growing)
    })
}

/// The same delay before every attempt, without a random part.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for a time that is not from 1 ms to a week.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_reconnect_fixed(
    options: *mut heartwire_options,
    delay_ms: u32,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        set_delays(options, Reconnect::fixed(millis(delay_ms)))
    })
}

/// These delays one after the other; the last one repeats.
///
/// Ownership: the delays are copied.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for an empty list or a time that is not from 1
/// ms to a week.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_reconnect_delays(
    options: *mut heartwire_options,
    delays_ms: *const u32,
    count: usize,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        if delays_ms.is_null() {
            return Err(Failure::null("delays_ms"));
        }
        if count > 10_000 {
            return Err(Failure::argument("more than 10000 delays"));
        }
        // SAFETY: not NULL; the header asks for `count` readable numbers.
        let delays = unsafe { slice::from_raw_parts(delays_ms, count) };
        set_delays(options, Reconnect::delays(delays.iter().map(|delay| millis(*delay)).collect::<Vec<_>>()))
    })
}

/// Delays of the program's own: `call` answers each of them.
///
/// Clients that are created with these options share `user_data` and may call from several threads at once.
///
/// Ownership: `user_data` is kept until these options and all clients created with them are gone; then
/// `free_user_data`, which may be NULL, gets it; heartwire_destroy() says when. When the call fails nothing was kept.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_reconnect_custom(
    options: *mut heartwire_options,
    call: heartwire_delay_fn,
    user_data: *mut c_void,
    free_user_data: heartwire_free_fn,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        let call = call.ok_or_else(|| Failure::null("call"))?;
        options.delay = Some(Delay { call, user_data: Arc::new(UserData::new(user_data, free_user_data)) });
        Ok(())
    })
}

/// One session only: the client ends when it ends, or when the first attempt fails.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_reconnect_never(
    options: *mut heartwire_options,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        set_delays(options, Reconnect::never())
    })
}

/// Gives up after this many attempts since the last stable session; one that opened but was not stable counts, too.
/// Default: 0, never.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_reconnect_max_attempts(
    options: *mut heartwire_options,
    attempts: u32,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        let max_attempts = (attempts > 0).then_some(attempts);
        change(options, |reconnect| Reconnect { max_attempts, ..reconnect })
    })
}

/// Gives up when no session could be opened for this time. Default: 0, never.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for more than a week.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_reconnect_give_up_after(
    options: *mut heartwire_options,
    time_ms: u32,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        let give_up_after = (time_ms > 0).then_some(millis(time_ms));
        change(options, |reconnect| Reconnect { give_up_after, ..reconnect })
    })
}

/// A session counts as a success, and the delays begin anew, only when it was open this long. Default: 30 s.
///
/// A server that accepts and closes at once is not hammered thanks to it.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for more than a week.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_reconnect_stable_after(
    options: *mut heartwire_options,
    time_ms: u32,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        change(options, |reconnect| reconnect.stable_after(millis(time_ms)))
    })
}

/// Sets whether the very first connect is retried, too. Default: yes.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_reconnect_retry_first_connect(
    options: *mut heartwire_options,
    yes: bool,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        change(options, |reconnect| reconnect.retry_first_connect(yes))
    })
}

/// Sets whether to dial again after the server closed with this code.
///
/// Default: no for 1002, 1003, 1007, 1008, 1009 and 1010, yes for all others. With
/// heartwire_options_set_before_connect(), 1008 asks that once before it is final.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for a code that is not from 1000 to 4999.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_reconnect_retry_close_code(
    options: *mut heartwire_options,
    code: u16,
    yes: bool,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        change(options, |reconnect| reconnect.retry_close_code(code, yes))
    })
}

/// Sets whether to dial again after the server refused the upgrade with this HTTP status.
///
/// Default: yes for 408, 425, 429 and 5xx (Retry-After counts up to 5 minutes, plus a random part of up to half of it),
/// no for all others. With heartwire_options_set_before_connect(), 401, 403 and 407 ask that once before they are
/// final. A redirect that can be followed is, whatever is set here.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for a status that is not from 300 to 599.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_reconnect_retry_status(
    options: *mut heartwire_options,
    status: u16,
    yes: bool,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        change(options, |reconnect| reconnect.retry_status(status, yes))
    })
}

/// Sets whether to dial again after a TLS failure. Default: yes, after 30.25 to 45.25 s with the default delays:
/// clocks are wrong at boot.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_reconnect_retry_tls(
    options: *mut heartwire_options,
    yes: bool,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        change(options, |reconnect| reconnect.retry_tls(yes))
    })
}

/// Sets whether to dial again after failures of the network and of name lookups. Default: yes.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_reconnect_retry_network(
    options: *mut heartwire_options,
    yes: bool,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        change(options, |reconnect| reconnect.retry_network(yes))
    })
}
