//! Calls and drops the user's closures: no panic of theirs gets past here. Does not know what they are for.

use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::thread::Callback;

/// A user's closure panicked: the client has to end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Panicked;

/// Runs user code: a panic does not get past it, and calls that wait know that they are inside.
pub(crate) fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, Panicked> {
    let _inside = Callback::enter();
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        // The payload's own drop could panic as well; leaking one box is the lesser evil.
        std::mem::forget(panic);
        Panicked
    })
}

/// Drops what may own a user's closure.
pub(crate) fn drop_guarded<T>(value: T) {
    if guarded(|| drop(value)).is_err() {
        log::error!("heartwire: a closure of the user's panicked while it was dropped");
    }
}

/// A user's closure that is kept: wherever its owner is dropped, a panic in the closure's drop stays inside.
pub(crate) struct Kept<T>(Option<T>);

impl<T> Kept<T> {
    pub(crate) fn new(closure: T) -> Kept<T> {
        Kept(Some(closure))
    }
}

impl<T> Deref for Kept<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let Some(closure) = &self.0 else { unreachable!("it is taken out only to be dropped") };
        closure
    }
}

impl<T> DerefMut for Kept<T> {
    fn deref_mut(&mut self) -> &mut T {
        let Some(closure) = &mut self.0 else { unreachable!("it is taken out only to be dropped") };
        closure
    }
}

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        drop_guarded(self.0.take());
    }
}
