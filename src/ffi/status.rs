//! What every call answers: the status numbers, their words, and which of our errors is which.

use std::ffi::c_char;

use crate::error::{CloseError, ConfigError, ConnectError, LoopError, RecvError, SendError, WaitError};
use crate::ffi::guard::{self, Failure};

/// What a call answers: HEARTWIRE_OK or one of HEARTWIRE_ERR_…; numbers are never reused.
pub type heartwire_status = i32;

/// It was done.
pub const HEARTWIRE_OK: i32 = 0;
/// A pointer is NULL, a number is unknown, or a value is out of its range; heartwire_last_error() tells which.
pub const HEARTWIRE_ERR_ARGUMENT: i32 = 1;
/// The handle is zero, foreign, made up, or of a destroyed client or a message that is done; or the client, or the
/// loop, is of the process that forked this one.
pub const HEARTWIRE_ERR_HANDLE: i32 = 2;
/// Text is not UTF-8. Nothing was sent or set.
pub const HEARTWIRE_ERR_UTF8: i32 = 3;
/// A setting cannot be; heartwire_last_error() tells which and why.
pub const HEARTWIRE_ERR_CONFIG: i32 = 4;
/// The outbox is at its limit: wait for the event "writable", or drop something.
pub const HEARTWIRE_ERR_FULL: i32 = 5;
/// The client was closed or has ended, so that it can no longer happen.
pub const HEARTWIRE_ERR_CLOSED: i32 = 6;
/// The time was up. Nothing is lost by asking again.
pub const HEARTWIRE_ERR_TIMEOUT: i32 = 7;
/// This thread is inside a turn of an event loop, of this client or of another: waiting here would stop it.
pub const HEARTWIRE_ERR_WOULD_DEADLOCK: i32 = 8;
/// heartwire_connect() was called before on this client.
pub const HEARTWIRE_ERR_ALREADY_CONNECTED: i32 = 9;
/// The message is longer than the outbox may ever hold, or a ping is longer than 125 bytes.
pub const HEARTWIRE_ERR_TOO_BIG: i32 = 10;
/// A ping was asked for while no session is open.
pub const HEARTWIRE_ERR_NOT_OPEN: i32 = 11;
/// Callbacks and heartwire_next_event() exclude each other; the first one used decides. Or: the program has a logger.
pub const HEARTWIRE_ERR_TAKEN: i32 = 12;
/// There is no such header, listener or detail.
pub const HEARTWIRE_ERR_NOT_FOUND: i32 = 13;
/// The buffer is too small; call without one to learn the length.
pub const HEARTWIRE_ERR_BUFFER: i32 = 14;
/// The operating system had no thread, no descriptor or the like.
pub const HEARTWIRE_ERR_SYSTEM: i32 = 15;
/// This platform, or this build of the library, does not have it.
pub const HEARTWIRE_ERR_UNSUPPORTED: i32 = 16;
/// A bug in heartwire was caught at the border; please report it with heartwire_last_error().
pub const HEARTWIRE_ERR_PANIC: i32 = 17;
/// The event loop is in use: another thread turns it, or its clients are not destroyed. Or: another thread is at the
/// message.
pub const HEARTWIRE_ERR_BUSY: i32 = 18;
/// A message that is sent in pieces has ended early: the session ended in the middle, or it was too old. Begin a new
/// one.
pub const HEARTWIRE_ERR_DROPPED: i32 = 19;
/// A session died, and nobody can tell how far the messages got.
pub const HEARTWIRE_ERR_UNKNOWN: i32 = 20;

/// The version of the library that the program runs with; HEARTWIRE_VERSION is the one it was compiled with.
///
/// Ownership: the text is static.
/// Threads:   any thread, in any callback.
///
/// Returns a text like "0.1.0"; never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn heartwire_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// What a status means, in words.
///
/// Ownership: the text is static.
/// Threads:   any thread, in any callback.
///
/// Returns the words, also for numbers that are unknown; never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn heartwire_status_text(status: heartwire_status) -> *const c_char {
    let text = match status {
        HEARTWIRE_OK => c"ok",
        HEARTWIRE_ERR_ARGUMENT => c"an argument cannot be",
        HEARTWIRE_ERR_HANDLE => c"not a client, or one that was destroyed",
        HEARTWIRE_ERR_UTF8 => c"text that is not UTF-8",
        HEARTWIRE_ERR_CONFIG => c"a setting cannot be",
        HEARTWIRE_ERR_FULL => c"the outbox is full",
        HEARTWIRE_ERR_CLOSED => c"the client is closed",
        HEARTWIRE_ERR_TIMEOUT => c"timed out",
        HEARTWIRE_ERR_WOULD_DEADLOCK => c"waiting here would stop the event loop",
        HEARTWIRE_ERR_ALREADY_CONNECTED => c"connect was called before",
        HEARTWIRE_ERR_TOO_BIG => c"too long",
        HEARTWIRE_ERR_NOT_OPEN => c"no session is open",
        HEARTWIRE_ERR_TAKEN => c"taken by another",
        HEARTWIRE_ERR_NOT_FOUND => c"there is none",
        HEARTWIRE_ERR_BUFFER => c"the buffer is too small",
        HEARTWIRE_ERR_SYSTEM => c"the operating system refused",
        HEARTWIRE_ERR_UNSUPPORTED => c"not supported here",
        HEARTWIRE_ERR_PANIC => c"a bug in heartwire",
        HEARTWIRE_ERR_BUSY => c"in use",
        HEARTWIRE_ERR_DROPPED => c"the message has ended early",
        HEARTWIRE_ERR_UNKNOWN => c"how far the messages got is unknown",
        _ => c"unknown status",
    };
    text.as_ptr()
}

/// What was wrong with the last call that failed on this thread, in words; a success does not change it.
///
/// Ownership: the text belongs to the library and is valid until the next failing call on this thread.
/// Threads:   any thread, in any callback; each thread has its own.
///
/// Returns the words, empty if no call has failed yet; never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn heartwire_last_error() -> *const c_char {
    guard::last_error()
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::new(HEARTWIRE_ERR_CONFIG, error.to_string())
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Failure {
        let status = match &error {
            ConnectError::AlreadyConnected => HEARTWIRE_ERR_ALREADY_CONNECTED,
            ConnectError::Closed => HEARTWIRE_ERR_CLOSED,
            ConnectError::First(first) => of_send(first),
            ConnectError::Settings(_) => HEARTWIRE_ERR_CONFIG,
            ConnectError::Start(_) => HEARTWIRE_ERR_SYSTEM,
        };
        Failure::new(status, error.to_string())
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Failure {
        Failure::new(of_send(&error), error.to_string())
    }
}

fn of_send(error: &SendError) -> heartwire_status {
    match error {
        SendError::Full => HEARTWIRE_ERR_FULL,
        SendError::Closed => HEARTWIRE_ERR_CLOSED,
        SendError::TooBig(_) | SendError::PingTooLong => HEARTWIRE_ERR_TOO_BIG,
        SendError::NotOpen => HEARTWIRE_ERR_NOT_OPEN,
        SendError::WouldDeadlock => HEARTWIRE_ERR_WOULD_DEADLOCK,
    }
}

impl From<CloseError> for Failure {
    fn from(error: CloseError) -> Failure {
        Failure::argument(error.to_string())
    }
}

impl From<WaitError> for Failure {
    fn from(error: WaitError) -> Failure {
        let status = match &error {
            WaitError::TimedOut => HEARTWIRE_ERR_TIMEOUT,
            WaitError::Closed(_) => HEARTWIRE_ERR_CLOSED,
            WaitError::Unknown => HEARTWIRE_ERR_UNKNOWN,
            WaitError::WouldDeadlock => HEARTWIRE_ERR_WOULD_DEADLOCK,
        };
        Failure::new(status, error.to_string())
    }
}

impl From<RecvError> for Failure {
    fn from(error: RecvError) -> Failure {
        let status = match error {
            RecvError::TimedOut => HEARTWIRE_ERR_TIMEOUT,
            RecvError::Closed => HEARTWIRE_ERR_CLOSED,
            RecvError::Taken => HEARTWIRE_ERR_TAKEN,
            RecvError::WouldDeadlock => HEARTWIRE_ERR_WOULD_DEADLOCK,
        };
        Failure::new(status, error.to_string())
    }
}

impl From<LoopError> for Failure {
    fn from(error: LoopError) -> Failure {
        let status = match &error {
            LoopError::Busy => HEARTWIRE_ERR_BUSY,
            LoopError::WouldDeadlock => HEARTWIRE_ERR_WOULD_DEADLOCK,
            LoopError::System(_) => HEARTWIRE_ERR_SYSTEM,
        };
        Failure::new(status, error.to_string())
    }
}
