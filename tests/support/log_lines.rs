//! The library's log lines of this process, down to trace, kept for tests to read.

use log::{LevelFilter, Log, Metadata, Record};
use std::sync::{Mutex, Once};

struct Keeper;

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl Log for Keeper {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Other crates' lines, mio's for example, are not ours to promise anything about.
        metadata.target().starts_with("heartwire")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            LINES.lock().unwrap().push(record.args().to_string());
        }
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

/// All lines so far, of all clients of this process.
pub fn all() -> Vec<String> {
    LINES.lock().unwrap().clone()
}

/// The lines of the client of this name, without the name.
pub fn of(name: &str) -> Vec<String> {
    let prefix = format!("[{name}] ");
    all().iter().filter_map(|line| line.strip_prefix(&prefix).map(str::to_owned)).collect()
}
