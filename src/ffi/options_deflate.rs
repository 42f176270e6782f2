//! The settings of compression. The functions are there in every build; without it they answer
//! HEARTWIRE_ERR_UNSUPPORTED.

use crate::config::deflate::Deflate;
use crate::ffi::guard::{Result, borrow_mut, guard};
use crate::ffi::options::heartwire_options;
use crate::ffi::status::heartwire_status;

/// Changes the settings, unless they cannot be so.
#[cfg(feature = "deflate")]
fn change(options: &mut heartwire_options, change: impl FnOnce(Deflate) -> Deflate) -> Result<()> {
    let new = change(options.deflate);
    new.check()?;
    options.deflate = new;
    Ok(())
}

#[cfg(feature = "deflate")]
fn switch(options: &mut heartwire_options, yes: bool) {
    options.deflates = yes;
}

#[cfg(not(feature = "deflate"))]
fn switch(_: &mut heartwire_options, _: bool) {}

#[cfg(not(feature = "deflate"))]
fn change(_: &mut heartwire_options, _: impl FnOnce(Deflate) -> Deflate) -> Result<()> {
    use crate::ffi::guard::Failure;
    use crate::ffi::status::HEARTWIRE_ERR_UNSUPPORTED;

    Err(Failure::new(HEARTWIRE_ERR_UNSUPPORTED, "heartwire was built without compression"))
}

/// Sets whether compression of messages (permessage-deflate, RFC 7692) is offered to the server. Default: no.
///
/// The server may decline; heartwire_response_header() tells what was agreed under "Sec-WebSocket-Extensions". A
/// session holds 372 KiB from the first message that it compresses and 47 KiB from the first one that it inflates. Do
/// not compress what a stranger may choose together with a secret in one session: the length tells of it.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_UNSUPPORTED in a build without compression.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_deflate(
    options: *mut heartwire_options,
    yes: bool,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        change(options, |deflate| deflate)?;
        switch(options, yes);
        Ok(())
    })
}

/// Sets how hard compression tries: from 1, the fastest, to 9, the smallest. Default: 6.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns as heartwire_options_set_deflate() does, and HEARTWIRE_ERR_CONFIG for another level.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_deflate_level(
    options: *mut heartwire_options,
    level: u32,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        change(options, |deflate| deflate.level(level))
    })
}

/// Sets from how many bytes on a message is compressed; shorter ones are sent as they are. Default: 1024.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns as heartwire_options_set_deflate() does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_deflate_threshold(
    options: *mut heartwire_options,
    bytes: usize,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        change(options, |deflate| deflate.threshold(bytes))
    })
}

/// Sets whether the server, and the client, compress each message on its own, so that an idle client keeps no memory
/// for it. Default: neither. A server that does not promise its part is refused.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns as heartwire_options_set_deflate() does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_deflate_no_context_takeover(
    options: *mut heartwire_options,
    server: bool,
    client: bool,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        change(options, |deflate| {
            deflate.server_no_context_takeover(server).client_no_context_takeover(client)
        })
    })
}

/// Sets the largest windows, as powers of two from 8 to 15, that the server and the client compress with. Default: 15,
/// which is no limit. A server that does not promise its part is refused.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns as heartwire_options_set_deflate() does, and HEARTWIRE_ERR_CONFIG for other numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_deflate_max_window_bits(
    options: *mut heartwire_options,
    server: u8,
    client: u8,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        change(options, |deflate| deflate.server_max_window_bits(server).client_max_window_bits(client))
    })
}
