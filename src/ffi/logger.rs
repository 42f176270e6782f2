//! The library's log lines, handed to a C function. The library prints nothing by itself.

use std::cell::Cell;
use std::ffi::{CString, c_char, c_void};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::ffi::guard::{Failure, guard};
use crate::ffi::status::{HEARTWIRE_ERR_TAKEN, heartwire_status};
use crate::thread::{self, Callback};

/// How much is logged: one of HEARTWIRE_LOG_…
pub type heartwire_log_level = i32;
/// Nothing.
pub const HEARTWIRE_LOG_OFF: i32 = 0;
/// What needs somebody's attention.
pub const HEARTWIRE_LOG_ERROR: i32 = 1;
/// Failures that the library deals with: a lost session, a failed attempt.
pub const HEARTWIRE_LOG_WARN: i32 = 2;
/// Sessions that open, clients that end.
pub const HEARTWIRE_LOG_INFO: i32 = 3;
/// Every step.
pub const HEARTWIRE_LOG_DEBUG: i32 = 4;
/// Everything there is.
pub const HEARTWIRE_LOG_TRACE: i32 = 5;

/// Gets a line without a line break, valid during the call. Lines have no payloads, no query strings and no
/// credentials. Lines that it causes itself, by calling the library, are not handed to it.
pub type heartwire_log_fn =
    Option<unsafe extern "C" fn(level: heartwire_log_level, line: *const c_char, user_data: *mut c_void)>;

struct Sink {
    call: unsafe extern "C" fn(heartwire_log_level, *const c_char, *mut c_void),
    user_data: *mut c_void,
    /// Dropped with the last call that runs: so one waits for the end of all.
    _ends: Sender<()>,
}

// SAFETY: the header says that calls come from any thread, several at once.
unsafe impl Send for Sink {}
// SAFETY: likewise.
unsafe impl Sync for Sink {}

struct Installed {
    sink: Arc<Sink>,
    ended: Receiver<()>,
}

static SINK: Mutex<Option<Installed>> = Mutex::new(None);
/// Whether this process's logger is ours; asked of the `log` crate once.
static OURS: OnceLock<bool> = OnceLock::new();
static LOGGER: Logger = Logger;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Other crates' lines may have payloads.
        let ours = metadata.target() == "heartwire" || metadata.target().starts_with("heartwire::");
        ours && metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) || INSIDE.try_with(|inside| inside.replace(true)).unwrap_or(true)
        {
            return;
        }
        let _outside = Outside;
        let installed = SINK.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sink) = installed.as_ref().map(|installed| installed.sink.clone()) else { return };
        drop(installed);
        let line = record.args().to_string().replace(['\0', '\n', '\r'], " ");
        let line = CString::new(line).unwrap_or_default();
        let level = match record.level() {
            Level::Error => HEARTWIRE_LOG_ERROR,
            Level::Warn => HEARTWIRE_LOG_WARN,
            Level::Info => HEARTWIRE_LOG_INFO,
            Level::Debug => HEARTWIRE_LOG_DEBUG,
            Level::Trace => HEARTWIRE_LOG_TRACE,
        };
        // The program's code: calls that wait know that they are inside.
        let _inside = Callback::enter();
        // SAFETY: the program gave this function for calls with this pointer; the line outlives the call.
        unsafe { (sink.call)(level, line.as_ptr(), sink.user_data) };
    }

    fn flush(&self) {}
}

/// The logger's function has returned, or was never called.
struct Outside;

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = INSIDE.try_with(|inside| inside.set(false));
    }
}

/// Hands the library's log lines up to this level to a C function, for the whole process. The library prints nothing by
/// itself; without this call its lines go nowhere.
///
/// NULL, or HEARTWIRE_LOG_OFF, ends it. Outside of callbacks the call waits until the function that was set before has
/// returned everywhere, so that its `user_data` can then be freed; inside of a callback it does not wait.
///
/// Ownership: `user_data` stays the caller's, and has to live until another function, or none, was set.
/// Threads:   any thread, in any callback. The function is called on any thread, perhaps on several at once, and may
/// call everything.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT for an unknown level, or HEARTWIRE_ERR_TAKEN if the program is written
/// in Rust and has a logger of its own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_set_logger(
    level: heartwire_log_level,
    call: heartwire_log_fn,
    user_data: *mut c_void,
) -> heartwire_status {
    guard(|| {
        let level = match level {
            HEARTWIRE_LOG_OFF => LevelFilter::Off,
            HEARTWIRE_LOG_ERROR => LevelFilter::Error,
            HEARTWIRE_LOG_WARN => LevelFilter::Warn,
            HEARTWIRE_LOG_INFO => LevelFilter::Info,
            HEARTWIRE_LOG_DEBUG => LevelFilter::Debug,
            HEARTWIRE_LOG_TRACE => LevelFilter::Trace,
            other => return Err(Failure::unknown("log level", other)),
        };
        let call = call.filter(|_| level != LevelFilter::Off);
        let new = call.map(|call| {
            let (ends, ended) = mpsc::channel();
            Installed { sink: Arc::new(Sink { call, user_data, _ends: ends }), ended }
        });
        if new.is_some() && !*OURS.get_or_init(|| log::set_logger(&LOGGER).is_ok()) {
            return Err(Failure::new(HEARTWIRE_ERR_TAKEN, "the program has a logger of its own"));
        }
        if *OURS.get().unwrap_or(&false) {
            log::set_max_level(if new.is_some() { level } else { LevelFilter::Off });
        }
        let old = std::mem::replace(&mut *SINK.lock().unwrap_or_else(PoisonError::into_inner), new);
        if let Some(Installed { sink, ended }) = old {
            drop(sink);
            if thread::may_wait_for_callbacks() {
                // It fails, and that is what is waited for, when the last call has returned.
                let _ = ended.recv();
            }
        }
        Ok(())
    })
}
