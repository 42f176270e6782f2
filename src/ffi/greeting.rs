//! Greetings: what is sent first on every open, as data or made by the program.

use std::ffi::c_void;
use std::sync::Arc;

use crate::config::builder::Builder;
use crate::config::greeting::Greeting;
use crate::event::Message;
use crate::ffi::guard::{Failure, Result, borrow_mut, bytes, guard, utf8};
use crate::ffi::heartwire_client;
use crate::ffi::numbers::{heartwire_message_kind, is_text};
use crate::ffi::options::heartwire_options;
use crate::ffi::status::heartwire_status;
use crate::ffi::user_data::{UserData, heartwire_free_fn};

/// Where a heartwire_greeting_fn puts its message; valid during that call only.
pub struct heartwire_greeting {
    message: Option<Message>,
}

/// Makes a greeting by heartwire_greeting_set(); nothing is sent without that. `attempt` is the number of the attempt
/// in a row that succeeded, from 1. Called on the thread that turns the event loop; it must not block.
pub type heartwire_greeting_fn = Option<
    unsafe extern "C" fn(
        client: heartwire_client,
        attempt: u32,
        greeting: *mut heartwire_greeting,
        user_data: *mut c_void,
    ),
>;

type Call = unsafe extern "C" fn(heartwire_client, u32, *mut heartwire_greeting, *mut c_void);

/// The greetings of an options object, to be made into a client's own.
#[derive(Clone, Default)]
pub(super) struct Greetings(Vec<Source>);

#[derive(Clone)]
enum Source {
    Always(Message),
    Made(Call, Arc<UserData>),
}

impl Greetings {
    pub(super) fn apply(&self, builder: Builder, client: heartwire_client) -> Builder {
        self.0.iter().cloned().fold(builder, |builder, source| match source {
            Source::Always(message) => builder.greeting(message),
            Source::Made(call, user_data) => builder.greeting(Greeting::made(move |attempt| {
                let mut greeting = heartwire_greeting { message: None };
                // SAFETY: the program gave this function for calls with this pointer.
                unsafe { call(client, attempt, &mut greeting, user_data.get()) };
                greeting.message
            })),
        })
    }
}

pub(super) fn message(data: &[u8], kind: heartwire_message_kind) -> Result<Message> {
    if is_text(kind)? { Ok(Message::text(utf8("data", data)?)) } else { Ok(Message::binary(data)) }
}

/// Adds a message that is sent first on every open, before anything that waits: a login, a subscription. May be
/// called repeatedly.
///
/// Ownership: the bytes are copied.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_UTF8 for a text that is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_add_greeting(
    options: *mut heartwire_options,
    data: *const c_void,
    len: usize,
    kind: heartwire_message_kind,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object and `len` readable bytes.
        let (options, data) = unsafe { (borrow_mut("options", options)?, bytes("data", data, len)?) };
        options.greetings.0.push(Source::Always(message(data, kind)?));
        Ok(())
    })
}

/// Adds a greeting that the program makes anew for every open, for tokens that expire or positions to resume from.
///
/// Clients that are created with these options share `user_data` and may call from several threads at once.
///
/// Ownership: `user_data` is kept until these options and all clients created with them are gone; then
/// `free_user_data`, which may be NULL, gets it; heartwire_destroy() says when. When the call fails nothing was kept.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_add_greeting_callback(
    options: *mut heartwire_options,
    call: heartwire_greeting_fn,
    user_data: *mut c_void,
    free_user_data: heartwire_free_fn,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        let call = call.ok_or_else(|| Failure::null("call"))?;
        let user_data = Arc::new(UserData::new(user_data, free_user_data));
        options.greetings.0.push(Source::Made(call, user_data));
        Ok(())
    })
}

/// Sets the greeting's message, inside a heartwire_greeting_fn; the last one counts.
///
/// Ownership: the bytes are copied.
/// Threads:   the thread of the callback that got `greeting`.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_UTF8 for a text that is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_greeting_set(
    greeting: *mut heartwire_greeting,
    data: *const c_void,
    len: usize,
    kind: heartwire_message_kind,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for the callback's greeting and `len` readable bytes.
        let (greeting, data) = unsafe { (borrow_mut("greeting", greeting)?, bytes("data", data, len)?) };
        greeting.message = Some(message(data, kind)?);
        Ok(())
    })
}
