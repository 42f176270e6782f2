//! An event as C sees it: opaque, with accessors that answer for every kind of event. This file: what all have.

use std::ffi::c_char;
use std::sync::OnceLock;

use crate::error::LinkError;
use crate::event::{End, Event};
use crate::ffi::guard::{Result, borrow, guard_value};
use crate::ffi::numbers::{
    HEARTWIRE_EVENT_NONE, event_type, heartwire_event_type, heartwire_message_kind, message_kind,
};

/// Something that a client tells, from heartwire_next_event() or in a callback. The accessors may be asked of every
/// event: what it does not have is zero, empty, NULL or -1, as each says.
///
/// What they return belongs to the event: until heartwire_event_free(), or until the callback returns.
pub struct heartwire_event {
    pub(super) event: Event,
    shown: OnceLock<Terminated>,
    pub(super) reason: OnceLock<Terminated>,
    pub(super) subprotocol: OnceLock<Terminated>,
    pub(super) error_text: OnceLock<Terminated>,
    pub(super) url: OnceLock<Terminated>,
    pub(super) redirects: OnceLock<Vec<Terminated>>,
}

/// A text with a NUL behind it, for C.
pub(super) struct Terminated(Box<[u8]>);

impl Terminated {
    pub(super) fn new(text: &str) -> Terminated {
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
        Terminated(bytes.into())
    }

    pub(super) fn as_ptr(&self) -> *const c_char {
        self.0.as_ptr().cast()
    }
}

impl heartwire_event {
    pub(super) fn new(event: Event) -> heartwire_event {
        heartwire_event {
            event,
            shown: OnceLock::new(),
            reason: OnceLock::new(),
            subprotocol: OnceLock::new(),
            error_text: OnceLock::new(),
            url: OnceLock::new(),
            redirects: OnceLock::new(),
        }
    }

    pub(super) fn error(&self) -> Option<&LinkError> {
        match &self.event {
            Event::Close(closed) => closed.error(),
            Event::ConnectFailed(failed) => Some(failed.error()),
            Event::Error(error) => Some(error),
            Event::ClosedForGood(End::GaveUp(error) | End::Fatal(error)) => Some(error),
            _ => None,
        }
    }
}

/// An accessor: asks the event, or answers `otherwise` for NULL.
///
/// # Safety
///
/// NULL, or an event of ours that lives as long as what is borrowed from it.
pub(super) unsafe fn ask<'a, T>(
    event: *const heartwire_event,
    otherwise: T,
    question: impl FnOnce(&'a heartwire_event) -> T,
) -> T {
    guard_value(otherwise, || -> Result<T> {
        // SAFETY: as the caller promised.
        Ok(question(unsafe { borrow("event", event)? }))
    })
}

/// Tells what the event is about.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread that may use the event.
///
/// Returns one of HEARTWIRE_EVENT_…; HEARTWIRE_EVENT_NONE for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_kind(event: *const heartwire_event) -> heartwire_event_type {
    // SAFETY: the header asks for an event or NULL.
    unsafe { ask(event, HEARTWIRE_EVENT_NONE, |event| event_type(&event.event)) }
}

/// Tells the payload of a message, or of a part of one. It has no NUL behind it.
///
/// Ownership: the bytes belong to the event. `len`, which may be NULL, gets their number; 0 if it is no message.
/// Threads:   any thread that may use the event.
///
/// Returns the bytes, not NULL for an empty message; NULL if it is no message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_data(event: *const heartwire_event, len: *mut usize) -> *const u8 {
    // SAFETY: the header asks for an event or NULL.
    let data: Option<&[u8]> = unsafe {
        ask(event, None, |event| match &event.event {
            Event::Message(message) => Some(message.as_bytes()),
            Event::Fragment(fragment) => Some(fragment.as_bytes()),
            _ => None,
        })
    };
    // SAFETY: the header asks for a writable place or NULL.
    unsafe { out(data, len) }
}

/// # Safety
///
/// `len` is NULL or a writable place.
pub(super) unsafe fn out(data: Option<&[u8]>, len: *mut usize) -> *const u8 {
    // SAFETY: as the caller promised.
    unsafe { crate::ffi::guard::write_if_asked(len, data.map_or(0, <[u8]>::len)) };
    data.map_or(std::ptr::null(), <[u8]>::as_ptr)
}

/// Tells whether a message, whole or in parts, is text or binary.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread that may use the event.
///
/// Returns HEARTWIRE_TEXT or HEARTWIRE_BINARY; 0 if it is no message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_message_kind(
    event: *const heartwire_event,
) -> heartwire_message_kind {
    // SAFETY: the header asks for an event or NULL.
    unsafe {
        ask(event, 0, |event| match &event.event {
            Event::Message(message) => message_kind(message.is_text()),
            Event::Fragment(fragment) => message_kind(fragment.is_text()),
            _ => 0,
        })
    }
}

/// Tells the event in words, for logs: of a message the kind and the length only.
///
/// Ownership: the text belongs to the event.
/// Threads:   any thread that may use the event.
///
/// Returns the text; empty for NULL, never NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_text(event: *const heartwire_event) -> *const c_char {
    // SAFETY: the header asks for an event or NULL.
    unsafe {
        ask(event, c"".as_ptr(), |event| {
            let shown = event.shown.get_or_init(|| match &event.event {
                // Payloads do not belong into logs.
                Event::Message(message) => Terminated::new(&format!("message: {message:?}")),
                other => Terminated::new(&other.to_string()),
            });
            shown.as_ptr()
        })
    }
}
