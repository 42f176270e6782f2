//! All log lines of this process, down to trace, kept for tests to read: the library's, and those of others.

use log::{LevelFilter, Log, Metadata, Record};
use std::sync::{Mutex, Once};

struct Keeper;

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
static OF_OTHERS: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl Log for Keeper {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let ours = record.target().starts_with("heartwire");
        let lines = if ours { &LINES } else { &OF_OTHERS };
        lines.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}

/// Keeps all lines from now on.
pub fn keep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Keeper).expect("no other logger");
        log::set_max_level(LevelFilter::Trace);
    });
}

/// All lines of other crates so far, mio's and tungstenite's for example.
pub fn of_others() -> Vec<String> {
    OF_OTHERS.lock().unwrap().clone()
}

/// All lines of the library so far, of all clients of this process.
pub fn all() -> Vec<String> {
    LINES.lock().unwrap().clone()
}

/// The lines of the client of this name, without the name.
pub fn of(name: &str) -> Vec<String> {
    let prefix = format!("[{name}] ");
    all().iter().filter_map(|line| line.strip_prefix(&prefix).map(str::to_owned)).collect()
}
