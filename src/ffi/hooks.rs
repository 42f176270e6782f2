//! What the program does at the start and at the end of each of our threads: names, priorities, a JVM to attach to.

use std::ffi::c_void;
use std::sync::Arc;

use crate::ffi::guard::guard;
use crate::ffi::status::heartwire_status;
use crate::ffi::user_data::UserData;
use crate::thread::{self, Hook, Moment};

/// Called on a thread of the library's own, first of all or last of all.
pub type heartwire_thread_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Calls `start` first of all and `stop` last of all on each thread that the library starts from now on: to set a name
/// or a priority, or to attach the thread to a virtual machine. Either may be NULL.
///
/// A thread calls the `stop` of the pair that was set when it was started. The library has a thread for each connected
/// client without a loop that is shared, one for each heartwire_loop_start(), one more for a client with
/// HEARTWIRE_DISPATCH_THREAD, and up to 4 for name lookups, which end when idle for 10 s.
///
/// Ownership: `user_data` stays the caller's, and has to live as long as threads that began with it; best make it
/// static.
/// Threads:   any thread, in any callback. The functions may call everything.
///
/// Returns HEARTWIRE_OK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_set_thread_hooks(
    start: heartwire_thread_fn,
    stop: heartwire_thread_fn,
    user_data: *mut c_void,
) -> heartwire_status {
    guard(|| {
        let user_data = UserData::new(user_data, None);
        let hook: Hook = Arc::new(move |moment| {
            let call = match moment {
                Moment::Start => start,
                Moment::Stop => stop,
            };
            if let Some(call) = call {
                // SAFETY: the program gave this function for calls with this pointer.
                unsafe { call(user_data.get()) };
            }
        });
        thread::set_hook((start.is_some() || stop.is_some()).then_some(hook));
        Ok(())
    })
}
