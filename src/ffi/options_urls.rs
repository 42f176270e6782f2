//! Further URLs, redirects, and the cookies that servers set on the way.

use std::ffi::c_char;

use crate::config::address::Address;
use crate::config::check;
use crate::error::ConfigError;
use crate::ffi::guard::{borrow_mut, guard, text};
use crate::ffi::options::{heartwire_options, millis};
use crate::ffi::status::heartwire_status;

/// Adds a further URL of the same service, beside the one of heartwire_create(); may be called repeatedly, for up to 64
/// in all.
///
/// They are of equal rank and take turns: one that works is kept, and after a failed attempt, or a session that was
/// not stable, the next one is tried. Delays and limits count over all of them, but a failure that is not worth another
/// attempt, a TLS failure and a server's Retry-After concern the one URL only as long as there is another to try.
/// heartwire_event_url() tells which one it is.
///
/// Ownership: `url` is copied.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, or HEARTWIRE_ERR_CONFIG if the URL cannot be, or
/// is there already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_add_url(
    options: *mut heartwire_options,
    url: *const c_char,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object and a terminated string.
        let (options, url) = unsafe { (borrow_mut("options", options)?, text("url", url)?) };
        Address::parse(url)?;
        if options.urls.iter().any(|given| given == url) {
            return Err(ConfigError::new("url", "it is there already").into());
        }
        options.urls.push(url.to_string());
        Ok(())
    })
}

/// Sets how long a URL that failed comes after those that have not. Default: 60 s.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for more than a week.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_url_penalty(
    options: *mut heartwire_options,
    time_ms: u32,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        check::time_or_zero("url_penalty", millis(time_ms))?;
        options.url_penalty = Some(millis(time_ms));
        Ok(())
    })
}

/// Sets how many redirects (301, 302, 303, 307, 308) an attempt follows, up to 20; 0 follows none. Default: 5.
///
/// "http:" and "https:" stand for "ws:" and "wss:". None is followed from "wss:" to "ws:", nor in a circle. Where the
/// origin changes (scheme, host or port), Authorization, Cookie and the URL's user name and password are left out; all
/// other headers, the subprotocols and the greetings go along. The next attempt begins with the client's URL again.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for more than 20.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_redirects(
    options: *mut heartwire_options,
    most: u32,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        check::count("redirects", most, 0..=20)?;
        options.redirects = Some(most);
        Ok(())
    })
}

/// Sets whether the cookies that servers set with their answer to the upgrade, be it a 101, a refusal or a redirect,
/// are kept and sent back with the next one. Default: no.
///
/// As browsers do (RFC 6265): to the host that set them, or below its Domain, within their Path, with Secure over wss:
/// only, and until they expire. They live as long as the client, in memory alone; 180 of up to 4 KiB are kept. Their
/// values are never logged. A Cookie header that the program sets goes out, too, in one header with those that are
/// kept: its pairs come first, and count where a kept one has the same name.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_cookies(
    options: *mut heartwire_options,
    keep: bool,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        unsafe { borrow_mut("options", options)? }.cookies = keep;
        Ok(())
    })
}
