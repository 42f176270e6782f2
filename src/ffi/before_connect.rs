//! The hook ahead of each attempt, and the attempt that it may change.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use crate::before_connect::Attempt;
use crate::config::builder::Builder;
use crate::ffi::event::Terminated;
use crate::ffi::event_parts::{error_info, heartwire_error_info};
use crate::ffi::greeting::message;
use crate::ffi::guard::{Failure, Result, borrow_mut, bytes, guard, guard_value, text, wanted};
use crate::ffi::heartwire_client;
use crate::ffi::numbers::heartwire_message_kind;
use crate::ffi::options::{heartwire_options, millis};
use crate::ffi::sized::write_out;
use crate::ffi::status::{HEARTWIRE_ERR_NOT_FOUND, heartwire_status};
use crate::ffi::user_data::{UserData, heartwire_free_fn};

/// An attempt that is about to be made, for a heartwire_before_connect_fn to look at and to change; valid during that
/// call only. It begins with what the client was created with; what is changed counts for this attempt only.
pub struct heartwire_attempt {
    /// Valid, and nobody else's, while the callback runs.
    attempt: *mut Attempt,
    failed: bool,
    url: Option<Terminated>,
    error_text: Option<Terminated>,
}

/// Prepares an attempt, by the functions whose names begin with heartwire_attempt. Called on a thread of the library's,
/// where it may take its time, to fetch a token for example. A C++ exception or a longjmp must not leave it.
pub type heartwire_before_connect_fn = Option<
    unsafe extern "C" fn(client: heartwire_client, attempt: *mut heartwire_attempt, user_data: *mut c_void),
>;

type Call = unsafe extern "C" fn(heartwire_client, *mut heartwire_attempt, *mut c_void);

/// The hook of an options object, to be made into a client's own.
#[derive(Clone)]
pub(super) struct BeforeConnect {
    call: Call,
    user_data: Arc<UserData>,
}

impl BeforeConnect {
    pub(super) fn apply(&self, builder: Builder, client: heartwire_client) -> Builder {
        let BeforeConnect { call, user_data } = self.clone();
        builder.before_connect(move |attempt| {
            let mut attempt = heartwire_attempt { attempt, failed: false, url: None, error_text: None };
            // SAFETY: the program gave this function for calls with this pointer; the attempt outlives the call.
            unsafe { call(client, &mut attempt, user_data.get()) };
            if attempt.failed { Err("heartwire_attempt_fail was called".into()) } else { Ok(()) }
        })
    }
}

/// The callback's attempt.
///
/// # Safety
///
/// NULL, or the attempt of a callback that runs on this thread.
unsafe fn of<'a>(attempt: *mut heartwire_attempt) -> Result<&'a mut Attempt> {
    // SAFETY: as the caller promised; it points to the attempt of the call that runs.
    unsafe { borrow_mut("attempt", borrow_mut("attempt", attempt)?.attempt) }
}

/// Sets what is asked ahead of every attempt, which it may change: a fresh token in a header or in the URL, other
/// subprotocols and greetings; it may put the attempt off, let it fail, or stop the client for good. NULL, the default,
/// for none.
///
/// It runs on a thread of a small pool, within heartwire_options_set_connect_timeout(): an attempt whose time is up
/// fails, and the next one waits for the call that still runs. It is never called twice at once for one client, and
/// heartwire_close() does not wait for it. Eight run at once in a process.
///
/// With it the HTTP statuses 401, 403 and 407, what a SOCKS proxy says instead of the last two, and the close code
/// 1008, are not fatal at once: it gets one chance to do something about them. They are when they come again, a status
/// before a session has opened, the close code before one was stable.
///
/// Clients that are created with these options share `user_data` and may call from several threads at once.
///
/// Ownership: `user_data` is kept until these options and all clients created with them are gone; then
/// `free_user_data`, which may be NULL, gets it. Outside of callbacks heartwire_destroy() waits for a call that runs.
/// When this fails nothing was kept.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_before_connect(
    options: *mut heartwire_options,
    call: heartwire_before_connect_fn,
    user_data: *mut c_void,
    free_user_data: heartwire_free_fn,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        let hook =
            |call| BeforeConnect { call, user_data: Arc::new(UserData::new(user_data, free_user_data)) };
        options.before_connect = call.map(hook);
        Ok(())
    })
}

/// Tells which attempt in a row it is, from 1.
///
/// Ownership: nothing changes hands.
/// Threads:   the thread of the callback that got `attempt`.
///
/// Returns the number; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_attempt_number(attempt: *mut heartwire_attempt) -> u32 {
    // SAFETY: the header asks for the callback's attempt or NULL.
    guard_value(0, || Ok(unsafe { of(attempt)? }.number()))
}

/// Tells the URL to connect to, whole: the one whose turn it is, unless it was set.
///
/// Ownership: the text belongs to the attempt, until this is asked again.
/// Threads:   the thread of the callback that got `attempt`.
///
/// Returns the URL; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_attempt_url(attempt: *mut heartwire_attempt) -> *const c_char {
    guard_value(std::ptr::null(), || {
        // SAFETY: the header asks for the callback's attempt or NULL.
        let url = Terminated::new(unsafe { of(attempt)? }.url());
        // SAFETY: likewise.
        let attempt = unsafe { borrow_mut("attempt", attempt)? };
        Ok(attempt.url.insert(url).as_ptr())
    })
}

/// Tells why the attempt or the session before failed. Set `out->size` first.
///
/// Ownership: `out` is the caller's; `out->text` belongs to the attempt.
/// Threads:   the thread of the callback that got `attempt`.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT for a NULL or a size that was not set, or HEARTWIRE_ERR_NOT_FOUND ahead
/// of the very first attempt.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_attempt_error(
    attempt: *mut heartwire_attempt,
    out: *mut heartwire_error_info,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for the callback's attempt or NULL.
        let error = unsafe { of(attempt)? }.last_error().cloned();
        wanted("out", out)?;
        let error = error
            .ok_or_else(|| Failure::new(HEARTWIRE_ERR_NOT_FOUND, "nothing has failed before this attempt"))?;
        // SAFETY: as above.
        let attempt = unsafe { borrow_mut("attempt", attempt)? };
        let words = attempt.error_text.insert(Terminated::new(&error.to_string()));
        let info = error_info(&error, 1, None, words.as_ptr());
        // SAFETY: the header asks for a struct that begins with its size.
        unsafe { write_out("out", out, &info) }
    })
}

/// Connects to another URL this time.
///
/// Ownership: `url` is copied.
/// Threads:   the thread of the callback that got `attempt`.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, or HEARTWIRE_ERR_CONFIG if the URL cannot be; then
/// it stays as it was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_attempt_set_url(
    attempt: *mut heartwire_attempt,
    url: *const c_char,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for the callback's attempt and a terminated string.
        let (attempt, url) = unsafe { (of(attempt)?, text("url", url)?) };
        Ok(attempt.set_url(url)?)
    })
}

/// Sets a header of the upgrade request, in the place of all of this name. Authorization takes the place of the URL's
/// user name and password, too.
///
/// Ownership: both texts are copied.
/// Threads:   the thread of the callback that got `attempt`.
///
/// Returns as heartwire_options_add_header() does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_attempt_set_header(
    attempt: *mut heartwire_attempt,
    name: *const c_char,
    value: *const c_char,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for the callback's attempt and terminated strings.
        let (attempt, name, value) = unsafe { (of(attempt)?, text("name", name)?, text("value", value)?) };
        Ok(attempt.set_header(name, value)?)
    })
}

/// Leaves all headers of this name out.
///
/// Ownership: nothing changes hands.
/// Threads:   the thread of the callback that got `attempt`.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT or HEARTWIRE_ERR_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_attempt_remove_header(
    attempt: *mut heartwire_attempt,
    name: *const c_char,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for the callback's attempt and a terminated string.
        let (attempt, name) = unsafe { (of(attempt)?, text("name", name)?) };
        attempt.remove_header(name);
        Ok(())
    })
}

/// Asks for a further subprotocol, after those that are there. See heartwire_attempt_clear_subprotocols().
///
/// Ownership: `name` is copied.
/// Threads:   the thread of the callback that got `attempt`.
///
/// Returns as heartwire_options_add_subprotocol() does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_attempt_add_subprotocol(
    attempt: *mut heartwire_attempt,
    name: *const c_char,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for the callback's attempt and a terminated string.
        let (attempt, name) = unsafe { (of(attempt)?, text("name", name)?) };
        let mut names = attempt.subprotocols().to_vec();
        names.push(name.to_owned());
        Ok(attempt.set_subprotocols(names.iter().map(String::as_str))?)
    })
}

/// Asks for no subprotocol, or only for those that are added after this.
///
/// Ownership: nothing changes hands.
/// Threads:   the thread of the callback that got `attempt`.
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_attempt_clear_subprotocols(
    attempt: *mut heartwire_attempt,
) -> heartwire_status {
    // SAFETY: the header asks for the callback's attempt.
    guard(|| Ok(unsafe { of(attempt)? }.set_subprotocols([])?))
}

/// Adds a greeting, which is sent first when this attempt opens. The first call of this takes the place of all the
/// client's greetings.
///
/// Ownership: the bytes are copied.
/// Threads:   the thread of the callback that got `attempt`.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_UTF8 for a text that is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_attempt_add_greeting(
    attempt: *mut heartwire_attempt,
    data: *const c_void,
    len: usize,
    kind: heartwire_message_kind,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for the callback's attempt and `len` readable bytes.
        let (attempt, data) = unsafe { (of(attempt)?, bytes("data", data, len)?) };
        attempt.greeting(message(data, kind)?);
        Ok(())
    })
}

/// Sends no greeting when this attempt opens, or only those that are added after this.
///
/// Ownership: nothing changes hands.
/// Threads:   the thread of the callback that got `attempt`.
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_attempt_clear_greetings(
    attempt: *mut heartwire_attempt,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for the callback's attempt.
        unsafe { of(attempt)? }.clear_greetings();
        Ok(())
    })
}

/// Puts the attempt off for this time, as prepared: it is not asked about again. Its deadline begins anew then;
/// heartwire_reconnect_now() skips the wait.
///
/// Ownership: nothing changes hands.
/// Threads:   the thread of the callback that got `attempt`.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for more than a week.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_attempt_set_delay(
    attempt: *mut heartwire_attempt,
    delay_ms: u32,
) -> heartwire_status {
    // SAFETY: the header asks for the callback's attempt.
    guard(|| Ok(unsafe { of(attempt)? }.delay(millis(delay_ms))?))
}

/// Lets the attempt fail, with HEARTWIRE_CAUSE_BEFORE_CONNECT; the next one comes after the usual delay. For a token
/// that could not be fetched.
///
/// Ownership: nothing changes hands.
/// Threads:   the thread of the callback that got `attempt`.
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_attempt_fail(attempt: *mut heartwire_attempt) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for the callback's attempt.
        unsafe { borrow_mut("attempt", attempt)? }.failed = true;
        Ok(())
    })
}

/// Makes no attempt, neither this one nor another: the client ends with HEARTWIRE_END_STOPPED.
///
/// Ownership: nothing changes hands.
/// Threads:   the thread of the callback that got `attempt`.
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_attempt_stop(attempt: *mut heartwire_attempt) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for the callback's attempt.
        unsafe { of(attempt)? }.stop();
        Ok(())
    })
}
