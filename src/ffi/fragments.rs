//! Messages that come in fragments: the setting, the callback, and what an event tells of one.

use std::ffi::c_void;

use crate::error::ConfigError;
use crate::event::{Event, FragmentRef};
use crate::ffi::callbacks::claim;
use crate::ffi::event::{ask, heartwire_event};
use crate::ffi::guard::{Failure, borrow_mut, guard, write_if_asked};
use crate::ffi::handles::find;
use crate::ffi::heartwire_client;
use crate::ffi::numbers::{fragment_place, heartwire_fragment_place, heartwire_message_kind, message_kind};
use crate::ffi::options::heartwire_options;
use crate::ffi::status::heartwire_status;
use crate::ffi::user_data::{UserData, heartwire_free_fn};

/// Gets a part of a message: `data` is not NULL, has no NUL behind it, and is valid during the call; that of a text is
/// valid UTF-8, no character is cut. `offset` says how many bytes of the message came before, `place` is a sum of
/// HEARTWIRE_FRAGMENT_… A C++ exception or a longjmp must not leave it.
pub type heartwire_fragment_fn = Option<
    unsafe extern "C" fn(
        client: heartwire_client,
        data: *const c_void,
        len: usize,
        kind: heartwire_message_kind,
        offset: u64,
        place: heartwire_fragment_place,
        user_data: *mut c_void,
    ),
>;

/// Delivers messages of more than so many bytes in parts as they arrive, to heartwire_on_fragment() or as
/// HEARTWIRE_EVENT_FRAGMENT; all others come whole, as ever. 0 leaves only empty ones whole. Default: SIZE_MAX, every
/// message comes whole.
///
/// A message of any length then costs about as much memory as the larger one of this and 64 KiB, which is also about
/// the longest part, and as much again where it is compressed; besides, parts wait in the queue of
/// heartwire_options_set_inbound_queue() where events do. The limit of heartwire_options_set_max_message_size() holds
/// if it was set; without it there is none. heartwire_create() answers HEARTWIRE_ERR_CONFIG where that limit is not
/// larger than this, or where the reply to a heartbeat is longer: it is looked for in whole messages only.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_fragments_above(
    options: *mut heartwire_options,
    bytes: usize,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        options.fragments_above = bytes;
        Ok(())
    })
}

/// Calls this for each part of a message that is longer than heartwire_options_set_fragments_above() allows, as it
/// arrives. See heartwire_on_open().
///
/// A message's parts come in their order, those of another message never in between. The first one has
/// HEARTWIRE_FRAGMENT_FIRST and the offset 0; the last one has HEARTWIRE_FRAGMENT_LAST, and may be empty. Or else an
/// empty one comes that has HEARTWIRE_FRAGMENT_ABORTED: the session has ended or failed, or the client is being closed,
/// in the middle of the message, and nothing more will come of it. What came of it may be wrong then.
///
/// A callback that is registered in the middle of a message hears of the next one. On the loop's thread
/// heartwire_pause_reading() in the callback holds back the very next part.
///
/// Ownership: `user_data` is kept until the callback can run no more; then `free_user_data`, which may be NULL, gets
/// it, once. `listener`, which may be NULL, gets a number for heartwire_remove_listener(). When the call fails nothing
/// was kept.
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT if `call` is NULL, HEARTWIRE_ERR_CONFIG if
/// heartwire_options_set_fragments_above() was not set for the client, or HEARTWIRE_ERR_TAKEN if events are taken by
/// heartwire_next_event().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_on_fragment(
    client: heartwire_client,
    call: heartwire_fragment_fn,
    user_data: *mut c_void,
    free_user_data: heartwire_free_fn,
    listener: *mut u64,
) -> heartwire_status {
    let handle = client;
    guard(|| {
        let client = find(handle)?;
        let call = call.ok_or_else(|| Failure::null("call"))?;
        if !client.delivers_fragments() {
            return Err(
                ConfigError::new("fragments_above", "it is not set: every message comes whole").into()
            );
        }
        claim(&client)?;
        let user_data = UserData::new(user_data, free_user_data);
        let id = client.on_fragment(move |_, part: FragmentRef<'_>| {
            let (data, kind) = (part.as_bytes(), message_kind(part.is_text()));
            let (offset, place) = (part.offset(), fragment_place(part));
            // SAFETY: the program gave this function for calls with this pointer; the bytes outlive the call.
            unsafe { call(handle, data.as_ptr().cast(), data.len(), kind, offset, place, user_data.get()) };
        });
        // SAFETY: the header asks for a writable place or NULL.
        unsafe { write_if_asked(listener, id.0) };
        Ok(())
    })
}

/// Tells where in its message a part stands, of HEARTWIRE_EVENT_FRAGMENT. heartwire_on_fragment() says what it means.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread that may use the event.
///
/// Returns a sum of HEARTWIRE_FRAGMENT_…; 0 for a part in the middle, and for other events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_fragment_place(
    event: *const heartwire_event,
) -> heartwire_fragment_place {
    // SAFETY: the header asks for an event or NULL.
    unsafe {
        ask(event, 0, |event| match &event.event {
            Event::Fragment(fragment) => fragment_place(fragment.as_ref()),
            _ => 0,
        })
    }
}

/// Tells how many bytes of the message came before a part, of HEARTWIRE_EVENT_FRAGMENT.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread that may use the event.
///
/// Returns the number; -1 for other events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_fragment_offset(event: *const heartwire_event) -> i64 {
    // SAFETY: the header asks for an event or NULL.
    unsafe {
        ask(event, -1, |event| match &event.event {
            Event::Fragment(fragment) => i64::try_from(fragment.offset()).unwrap_or(i64::MAX),
            _ => -1,
        })
    }
}
