//! Where an attempt went: its URL, which of several it was, and by which redirects.

use std::ffi::c_char;

use crate::error::{Cause, RedirectFault};
use crate::event::{Event, Way};
use crate::ffi::event::{Terminated, ask, heartwire_event};
use crate::ffi::numbers::{
    HEARTWIRE_REDIRECT_FAULT_DOWNGRADE, HEARTWIRE_REDIRECT_FAULT_LOCATION, HEARTWIRE_REDIRECT_FAULT_LOOP,
    HEARTWIRE_REDIRECT_FAULT_NONE, HEARTWIRE_REDIRECT_FAULT_TOO_MANY, heartwire_redirect_fault,
};

fn way(event: &heartwire_event) -> Option<&Way> {
    match &event.event {
        Event::Open(opened) => Some(&opened.way),
        Event::ConnectFailed(failed) => Some(&failed.way),
        _ => None,
    }
}

/// Tells the URL that the session is with, or that failed, without user name, password and query: of
/// HEARTWIRE_EVENT_OPEN and HEARTWIRE_EVENT_CONNECT_FAILED. After redirects it is the last one.
///
/// Ownership: the text belongs to the event.
/// Threads:   any thread that may use the event.
///
/// Returns the URL; NULL for other events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_url(event: *const heartwire_event) -> *const c_char {
    // SAFETY: the header asks for an event or NULL.
    unsafe {
        ask(event, std::ptr::null(), |event| {
            let url = way(event).map(|way| event.url.get_or_init(|| Terminated::new(&way.url)));
            url.map_or(std::ptr::null(), Terminated::as_ptr)
        })
    }
}

/// Tells which of the client's URLs it was, of HEARTWIRE_EVENT_OPEN and HEARTWIRE_EVENT_CONNECT_FAILED: 0 is the one of
/// heartwire_create(), 1 the first of heartwire_options_add_url(), and so on.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread that may use the event.
///
/// Returns the number; -1 for other events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_url_index(event: *const heartwire_event) -> i32 {
    let index = |event| way(event).and_then(|way| i32::try_from(way.index).ok());
    // SAFETY: the header asks for an event or NULL.
    unsafe { ask(event, -1, |event| index(event).unwrap_or(-1)) }
}

/// Tells how many redirects the attempt has followed, of HEARTWIRE_EVENT_OPEN and HEARTWIRE_EVENT_CONNECT_FAILED.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread that may use the event.
///
/// Returns the number; 0 for other events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_redirects(event: *const heartwire_event) -> u32 {
    let count = |event| way(event).and_then(|way| u32::try_from(way.redirects.len()).ok());
    // SAFETY: the header asks for an event or NULL.
    unsafe { ask(event, 0, |event| count(event).unwrap_or(0)) }
}

/// Tells a URL that redirected the attempt, without user name, password and query; `index` counts from 0.
///
/// Ownership: the text belongs to the event.
/// Threads:   any thread that may use the event.
///
/// Returns the URL; NULL if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_redirect(
    event: *const heartwire_event,
    index: u32,
) -> *const c_char {
    // SAFETY: the header asks for an event or NULL.
    unsafe {
        ask(event, std::ptr::null(), |event| {
            let all = || way(event).map_or(&[][..], |way| &way.redirects);
            let texts =
                event.redirects.get_or_init(|| all().iter().map(|url| Terminated::new(url)).collect());
            let text = usize::try_from(index).ok().and_then(|index| texts.get(index));
            text.map_or(std::ptr::null(), Terminated::as_ptr)
        })
    }
}

/// Tells why a redirect was not followed, of failures with HEARTWIRE_CAUSE_BAD_REDIRECT. Where it leads to is told by
/// heartwire_event_header(): Location.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread that may use the event.
///
/// Returns one of HEARTWIRE_REDIRECT_FAULT_…; HEARTWIRE_REDIRECT_FAULT_NONE for other events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_redirect_fault(
    event: *const heartwire_event,
) -> heartwire_redirect_fault {
    // SAFETY: the header asks for an event or NULL.
    unsafe {
        ask(event, HEARTWIRE_REDIRECT_FAULT_NONE, |event| match event.error().map(|error| error.cause()) {
            Some(Cause::BadRedirect { fault, .. }) => match fault {
                RedirectFault::Location => HEARTWIRE_REDIRECT_FAULT_LOCATION,
                RedirectFault::Downgrade => HEARTWIRE_REDIRECT_FAULT_DOWNGRADE,
                RedirectFault::Loop => HEARTWIRE_REDIRECT_FAULT_LOOP,
                RedirectFault::TooMany => HEARTWIRE_REDIRECT_FAULT_TOO_MANY,
            },
            _ => HEARTWIRE_REDIRECT_FAULT_NONE,
        })
    }
}
