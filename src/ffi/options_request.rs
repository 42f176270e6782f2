//! What the upgrade's request says: headers and subprotocols.

use std::ffi::c_char;

use crate::config::builder::{check_header, check_subprotocols};
use crate::ffi::guard::{Result, borrow_mut, guard, text};
use crate::ffi::options::heartwire_options;
use crate::ffi::status::heartwire_status;

impl heartwire_options {
    fn add_header(&mut self, name: &str, value: &str) -> Result<()> {
        check_header(name, value)?;
        self.headers.push((name.to_string(), value.to_string()));
        Ok(())
    }

    /// A header that a request has once.
    fn set_header(&mut self, name: &str, value: &str) -> Result<()> {
        check_header(name, value)?;
        self.headers.retain(|(given, _)| !given.eq_ignore_ascii_case(name));
        self.headers.push((name.to_string(), value.to_string()));
        Ok(())
    }
}

/// Adds a header to the upgrade request, Authorization for example; may be called repeatedly.
///
/// The headers of the handshake itself (Host, Upgrade, Connection, Sec-WebSocket-…) are set by the library and
/// refused here.
///
/// Ownership: both texts are copied.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, or HEARTWIRE_ERR_CONFIG for a header that would
/// break the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_add_header(
    options: *mut heartwire_options,
    name: *const c_char,
    value: *const c_char,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object and terminated strings.
        let (options, name, value) =
            unsafe { (borrow_mut("options", options)?, text("name", name)?, text("value", value)?) };
        options.add_header(name, value)
    })
}

/// Sets the header Origin, which some servers demand; the last one counts. Default: none.
///
/// Ownership: `origin` is copied.
/// Threads:   any thread; one at a time for one object.
///
/// Returns as heartwire_options_add_header() does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_origin(
    options: *mut heartwire_options,
    origin: *const c_char,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object and a terminated string.
        let (options, origin) = unsafe { (borrow_mut("options", options)?, text("origin", origin)?) };
        options.set_header("Origin", origin)
    })
}

/// Sets the header User-Agent; the last one counts. Default: "heartwire/" and the version.
///
/// Ownership: `agent` is copied.
/// Threads:   any thread; one at a time for one object.
///
/// Returns as heartwire_options_add_header() does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_user_agent(
    options: *mut heartwire_options,
    agent: *const c_char,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object and a terminated string.
        let (options, agent) = unsafe { (borrow_mut("options", options)?, text("agent", agent)?) };
        options.set_header("User-Agent", agent)
    })
}

/// Asks for a subprotocol; call it repeatedly, the preferred one first. Default: none.
///
/// The server may choose one of them or none: see heartwire_event_subprotocol().
///
/// Ownership: `name` is copied.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, or HEARTWIRE_ERR_CONFIG if the name is no token of
/// RFC 9110, or is there already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_add_subprotocol(
    options: *mut heartwire_options,
    name: *const c_char,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object and a terminated string.
        let (options, name) = unsafe { (borrow_mut("options", options)?, text("name", name)?) };
        let mut names = options.subprotocols.clone();
        names.push(name.to_string());
        check_subprotocols(&names)?;
        options.subprotocols = names;
        Ok(())
    })
}
