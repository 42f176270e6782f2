//! Callbacks: a C function and its `user_data`, as a handler.

use std::ffi::c_void;

use crate::client::Client;
use crate::dispatch::handlers::ListenerId;
use crate::error::RecvError;
use crate::event::{Event, MessageRef};
use crate::ffi::event::heartwire_event;
use crate::ffi::guard::{Failure, Result, guard, write_if_asked};
use crate::ffi::handles::find;
use crate::ffi::heartwire_client;
use crate::ffi::numbers::{heartwire_message_kind, message_kind};
use crate::ffi::status::{HEARTWIRE_ERR_NOT_FOUND, heartwire_status};
use crate::ffi::user_data::{UserData, heartwire_free_fn};

/// Gets an event, which is valid during the call. A C++ exception or a longjmp must not leave it.
pub type heartwire_event_fn = Option<
    unsafe extern "C" fn(client: heartwire_client, event: *const heartwire_event, user_data: *mut c_void),
>;

/// Gets a message: `data` is not NULL, has no NUL behind it, and is valid during the call; text is valid UTF-8. A C++
/// exception or a longjmp must not leave it.
pub type heartwire_message_fn = Option<
    unsafe extern "C" fn(
        client: heartwire_client,
        data: *const c_void,
        len: usize,
        kind: heartwire_message_kind,
        user_data: *mut c_void,
    ),
>;

/// What calls the C function, and owns its pointer until the handler is dropped.
type Tell = Box<dyn FnMut(Event) + Send>;

/// The three steps of every registration; nothing is kept when it fails.
unsafe fn register(
    handle: heartwire_client,
    call: heartwire_event_fn,
    (user_data, free): (*mut c_void, heartwire_free_fn),
    listener: *mut u64,
    listen: impl FnOnce(&Client, Tell) -> ListenerId,
) -> heartwire_status {
    guard(|| {
        let client = find(handle)?;
        let call = call.ok_or_else(|| Failure::null("call"))?;
        claim(&client)?;
        let user_data = UserData::new(user_data, free);
        let tell = Box::new(move |event| {
            let event = heartwire_event::new(event);
            // SAFETY: the program gave this function for calls with this pointer; the event outlives the call.
            unsafe { call(handle, &event, user_data.get()) };
        });
        let id = listen(&client, tell);
        // SAFETY: the header asks for a writable place or NULL.
        unsafe { write_if_asked(listener, id.0) };
        Ok(())
    })
}

pub(super) fn claim(client: &Client) -> Result<()> {
    if client.dispatcher().claim_for_handlers() { Ok(()) } else { Err(RecvError::Taken.into()) }
}

/// Calls this for each session that opens: HEARTWIRE_EVENT_OPEN. Register callbacks before heartwire_connect(), so that
/// no open is missed.
///
/// Callbacks run one at a time for one client, in the order of their registration, on the client's own thread or on
/// the one that turns its loop (see heartwire_options_set_dispatch() and heartwire_loop), and should not take long.
///
/// Ownership: `user_data` is kept until the callback can run no more; then `free_user_data`, which may be NULL, gets
/// it, once. `listener`, which may be NULL, gets a number for heartwire_remove_listener(). When the call fails nothing
/// was kept.
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT if `call` is NULL, or HEARTWIRE_ERR_TAKEN if
/// events are taken by heartwire_next_event().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_on_open(
    client: heartwire_client,
    call: heartwire_event_fn,
    user_data: *mut c_void,
    free_user_data: heartwire_free_fn,
    listener: *mut u64,
) -> heartwire_status {
    // SAFETY: the header asks for a writable place or NULL.
    unsafe {
        register(client, call, (user_data, free_user_data), listener, |client, mut tell| {
            client.on_open(move |_, opened| tell(Event::Open(opened.clone())))
        })
    }
}

/// Calls this for each message that comes whole: every one, unless heartwire_options_set_fragments_above() says
/// otherwise. See heartwire_on_open().
///
/// Ownership: `user_data` is kept until the callback can run no more; then `free_user_data`, which may be NULL, gets
/// it, once. `listener`, which may be NULL, gets a number for heartwire_remove_listener(). When the call fails nothing
/// was kept.
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT if `call` is NULL, or HEARTWIRE_ERR_TAKEN if
/// events are taken by heartwire_next_event().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_on_message(
    client: heartwire_client,
    call: heartwire_message_fn,
    user_data: *mut c_void,
    free_user_data: heartwire_free_fn,
    listener: *mut u64,
) -> heartwire_status {
    let handle = client;
    guard(|| {
        let client = find(handle)?;
        let call = call.ok_or_else(|| Failure::null("call"))?;
        claim(&client)?;
        let user_data = UserData::new(user_data, free_user_data);
        let id = client.on_message(move |_, message: MessageRef<'_>| {
            let (data, kind) = (message.as_bytes(), message_kind(message.is_text()));
            // SAFETY: the program gave this function for calls with this pointer; the bytes outlive the call.
            unsafe { call(handle, data.as_ptr().cast(), data.len(), kind, user_data.get()) };
        });
        // SAFETY: the header asks for a writable place or NULL.
        unsafe { write_if_asked(listener, id.0) };
        Ok(())
    })
}

/// Calls this at the end of each session: HEARTWIRE_EVENT_CLOSE. See heartwire_on_open().
///
/// Ownership: `user_data` is kept until the callback can run no more; then `free_user_data`, which may be NULL, gets
/// it, once. `listener`, which may be NULL, gets a number for heartwire_remove_listener(). When the call fails nothing
/// was kept.
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT if `call` is NULL, or HEARTWIRE_ERR_TAKEN if
/// events are taken by heartwire_next_event().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_on_close(
    client: heartwire_client,
    call: heartwire_event_fn,
    user_data: *mut c_void,
    free_user_data: heartwire_free_fn,
    listener: *mut u64,
) -> heartwire_status {
    // SAFETY: the header asks for a writable place or NULL.
    unsafe {
        register(client, call, (user_data, free_user_data), listener, |client, mut tell| {
            client.on_close(move |_, closed| tell(Event::Close(closed.clone())))
        })
    }
}

/// Calls this for each failed attempt to connect: HEARTWIRE_EVENT_CONNECT_FAILED. See heartwire_on_open().
///
/// Ownership: `user_data` is kept until the callback can run no more; then `free_user_data`, which may be NULL, gets
/// it, once. `listener`, which may be NULL, gets a number for heartwire_remove_listener(). When the call fails nothing
/// was kept.
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT if `call` is NULL, or HEARTWIRE_ERR_TAKEN if
/// events are taken by heartwire_next_event().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_on_connect_failed(
    client: heartwire_client,
    call: heartwire_event_fn,
    user_data: *mut c_void,
    free_user_data: heartwire_free_fn,
    listener: *mut u64,
) -> heartwire_status {
    // SAFETY: the header asks for a writable place or NULL.
    unsafe {
        register(client, call, (user_data, free_user_data), listener, |client, mut tell| {
            client.on_connect_failed(move |_, failed| tell(Event::ConnectFailed(failed.clone())))
        })
    }
}

/// Calls this when a session fails, ahead of its close: HEARTWIRE_EVENT_ERROR. See heartwire_on_open().
///
/// Ownership: `user_data` is kept until the callback can run no more; then `free_user_data`, which may be NULL, gets
/// it, once. `listener`, which may be NULL, gets a number for heartwire_remove_listener(). When the call fails nothing
/// was kept.
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT if `call` is NULL, or HEARTWIRE_ERR_TAKEN if
/// events are taken by heartwire_next_event().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_on_error(
    client: heartwire_client,
    call: heartwire_event_fn,
    user_data: *mut c_void,
    free_user_data: heartwire_free_fn,
    listener: *mut u64,
) -> heartwire_status {
    // SAFETY: the header asks for a writable place or NULL.
    unsafe {
        register(client, call, (user_data, free_user_data), listener, |client, mut tell| {
            client.on_error(move |_, error| tell(Event::Error(error.clone())))
        })
    }
}

/// Calls this for each change of the state: HEARTWIRE_EVENT_STATE. See heartwire_on_open().
///
/// Ownership: `user_data` is kept until the callback can run no more; then `free_user_data`, which may be NULL, gets
/// it, once. `listener`, which may be NULL, gets a number for heartwire_remove_listener(). When the call fails nothing
/// was kept.
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT if `call` is NULL, or HEARTWIRE_ERR_TAKEN if
/// events are taken by heartwire_next_event().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_on_state(
    client: heartwire_client,
    call: heartwire_event_fn,
    user_data: *mut c_void,
    free_user_data: heartwire_free_fn,
    listener: *mut u64,
) -> heartwire_status {
    // SAFETY: the header asks for a writable place or NULL.
    unsafe {
        register(client, call, (user_data, free_user_data), listener, |client, mut tell| {
            client.on_state(move |_, state| tell(Event::State(state)))
        })
    }
}

/// Calls this for each answered heartbeat: HEARTWIRE_EVENT_HEARTBEAT. See heartwire_on_open().
///
/// Ownership: `user_data` is kept until the callback can run no more; then `free_user_data`, which may be NULL, gets
/// it, once. `listener`, which may be NULL, gets a number for heartwire_remove_listener(). When the call fails nothing
/// was kept.
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT if `call` is NULL, or HEARTWIRE_ERR_TAKEN if
/// events are taken by heartwire_next_event().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_on_heartbeat(
    client: heartwire_client,
    call: heartwire_event_fn,
    user_data: *mut c_void,
    free_user_data: heartwire_free_fn,
    listener: *mut u64,
) -> heartwire_status {
    // SAFETY: the header asks for a writable place or NULL.
    unsafe {
        register(client, call, (user_data, free_user_data), listener, |client, mut tell| {
            client.on_heartbeat(move |_, time| tell(Event::Heartbeat(time)))
        })
    }
}

/// Calls this when the outbox was full and is half empty again: HEARTWIRE_EVENT_WRITABLE. See heartwire_on_open().
///
/// Ownership: `user_data` is kept until the callback can run no more; then `free_user_data`, which may be NULL, gets
/// it, once. `listener`, which may be NULL, gets a number for heartwire_remove_listener(). When the call fails nothing
/// was kept.
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT if `call` is NULL, or HEARTWIRE_ERR_TAKEN if
/// events are taken by heartwire_next_event().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_on_writable(
    client: heartwire_client,
    call: heartwire_event_fn,
    user_data: *mut c_void,
    free_user_data: heartwire_free_fn,
    listener: *mut u64,
) -> heartwire_status {
    // SAFETY: the header asks for a writable place or NULL.
    unsafe {
        register(client, call, (user_data, free_user_data), listener, |client, mut tell| {
            client.on_writable(move |_| tell(Event::Writable))
        })
    }
}

/// Calls this with what became of messages: HEARTWIRE_EVENT_OUTCOME. Only those who ask cause the work. See
/// heartwire_on_open().
///
/// An outcome may come before the send has returned the message's number.
///
/// Ownership: `user_data` is kept until the callback can run no more; then `free_user_data`, which may be NULL, gets
/// it, once. `listener`, which may be NULL, gets a number for heartwire_remove_listener(). When the call fails nothing
/// was kept.
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT if `call` is NULL, or HEARTWIRE_ERR_TAKEN if
/// events are taken by heartwire_next_event().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_on_outcome(
    client: heartwire_client,
    call: heartwire_event_fn,
    user_data: *mut c_void,
    free_user_data: heartwire_free_fn,
    listener: *mut u64,
) -> heartwire_status {
    // SAFETY: the header asks for a writable place or NULL.
    unsafe {
        register(client, call, (user_data, free_user_data), listener, |client, mut tell| {
            client.on_outcome(move |_, outcome| tell(Event::Outcome(*outcome)))
        })
    }
}

/// Calls this once, as the very last event: HEARTWIRE_EVENT_CLOSED_FOR_GOOD. See heartwire_on_open().
///
/// Ownership: `user_data` is kept until the callback can run no more; then `free_user_data`, which may be NULL, gets
/// it, once. `listener`, which may be NULL, gets a number for heartwire_remove_listener(). When the call fails nothing
/// was kept.
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT if `call` is NULL, or HEARTWIRE_ERR_TAKEN if
/// events are taken by heartwire_next_event().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_on_closed_for_good(
    client: heartwire_client,
    call: heartwire_event_fn,
    user_data: *mut c_void,
    free_user_data: heartwire_free_fn,
    listener: *mut u64,
) -> heartwire_status {
    // SAFETY: the header asks for a writable place or NULL.
    unsafe {
        register(client, call, (user_data, free_user_data), listener, |client, mut tell| {
            client.on_closed_for_good(move |_, end| tell(Event::ClosedForGood(end.clone())))
        })
    }
}

/// Removes a callback. A call of it that runs on another thread goes on.
///
/// Ownership: its free_user_data is called when no call of it can run any more: before this returns, or later on the
/// thread that runs it, with the client's destruction at the latest.
/// Threads:   any thread, in any callback, its own included.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, or HEARTWIRE_ERR_NOT_FOUND if there is no such callback of this client.
#[unsafe(no_mangle)]
pub extern "C" fn heartwire_remove_listener(client: heartwire_client, listener: u64) -> heartwire_status {
    guard(|| {
        if find(client)?.remove_listener(ListenerId(listener)) {
            return Ok(());
        }
        Err(Failure::new(HEARTWIRE_ERR_NOT_FOUND, "there is no such listener"))
    })
}
