//! The program's `void *`, freed exactly once.

use std::ffi::c_void;

use crate::thread::Callback;

/// Frees what a `user_data` points to; called exactly once, after the last call that gets it.
pub type heartwire_free_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// A pointer that we pass on and never follow.
pub(super) struct UserData {
    pointer: *mut c_void,
    free: heartwire_free_fn,
}

// SAFETY: the header says on which threads it is used, and that calls with one `user_data` may come from several.
unsafe impl Send for UserData {}
// SAFETY: likewise.
unsafe impl Sync for UserData {}

impl UserData {
    pub(super) fn new(pointer: *mut c_void, free: heartwire_free_fn) -> UserData {
        UserData { pointer, free }
    }

    pub(super) fn get(&self) -> *mut c_void {
        self.pointer
    }
}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(free) = self.free {
            // The program's code: calls that wait know that they are inside.
            let _inside = Callback::enter();
            // SAFETY: registered for this pointer, and this is the only call.
            unsafe { free(self.pointer) };
        }
    }
}
