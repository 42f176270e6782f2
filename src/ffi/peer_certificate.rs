//! The certificate that the server of a session has shown.

use crate::event::Event;
use crate::ffi::event::{ask, heartwire_event, out};
use crate::ffi::guard::{Failure, copy_bytes, guard, wanted};
use crate::ffi::handles::find;
use crate::ffi::heartwire_client;
use crate::ffi::status::{HEARTWIRE_ERR_NOT_FOUND, heartwire_status};

/// Tells the certificate that the server has shown as its own, in DER, of HEARTWIRE_EVENT_OPEN. Its chain, and the
/// certificate of an https: proxy on the way, are not kept.
///
/// Ownership: the bytes belong to the event. `len`, which may be NULL, gets their number.
/// Threads:   any thread that may use the event.
///
/// Returns the bytes; NULL for a ws: URL, and for other events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_peer_certificate(
    event: *const heartwire_event,
    len: *mut usize,
) -> *const u8 {
    // SAFETY: the header asks for an event or NULL.
    let der: Option<&[u8]> = unsafe {
        ask(event, None, |event| match &event.event {
            Event::Open(opened) => opened.peer_certificate(),
            _ => None,
        })
    };
    // SAFETY: the header asks for a writable place or NULL.
    unsafe { out(der, len) }
}

/// Copies the certificate that the server has shown as its own, in DER, of the last session that opened.
///
/// `*len` is the size of `buf` before, and the certificate's length after; with `buf` NULL only its length is told. No
/// NUL is put behind it.
///
/// Ownership: `buf` is the caller's.
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_NOT_FOUND if no session has opened
/// yet or the last one was without TLS, or HEARTWIRE_ERR_BUFFER if the buffer is too small; then nothing was written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_peer_certificate(
    client: heartwire_client,
    buf: *mut u8,
    len: *mut usize,
) -> heartwire_status {
    guard(|| {
        let client = find(client)?;
        wanted("len", len)?;
        let opened = client.last_open();
        let der = opened.as_ref().and_then(|opened| opened.peer_certificate());
        let der = der.ok_or_else(|| Failure::new(HEARTWIRE_ERR_NOT_FOUND, "there is no certificate"))?;
        // SAFETY: the header asks for a place for the length, and a buffer of so many bytes or NULL.
        unsafe { copy_bytes(der, buf, len) }
    })
}
