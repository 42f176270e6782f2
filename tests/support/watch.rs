//! A watchdog that ends a hanging test with something to read, and counts of what this process holds.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Ends the whole test process unless the guard is dropped within `seconds`, and tells first where each thread is.
///
/// A hanging test cannot be ended alone, and a test run that never ends tells nothing.
///
/// ```ignore
/// let _watch = watchdog(30, "the link heals");
/// ```
#[must_use = "the watchdog watches until its guard is dropped"]
pub fn watchdog(seconds: u64, name: &str) -> Watchdog {
    let (done, waiting) = channel();
    let name = name.to_owned();
    let watch = move || {
        // A dropped sender means that the test ended, well or badly.
        if waiting.recv_timeout(Duration::from_secs(seconds)) == Err(RecvTimeoutError::Timeout) {
            // Not print: the test harness would catch it, and then the process would take it along.
            let say = |report: String| drop(std::io::stderr().lock().write_all(report.as_bytes()));
            say(format!("\nwatchdog: \"{name}\" has not ended after {seconds} s; threads:\n{}", threads()));
            // Said apart: the debugger may find nothing, or take long.
            say(backtraces());
            std::process::abort();
        }
    };
    let thread = thread::Builder::new().name("test-watchdog".into()).spawn(watch).expect("a thread");
    Watchdog { done: Some(done), thread: Some(thread) }
}

/// The guard of [`watchdog`].
pub struct Watchdog {
    done: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.done.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Asks `look` until it gives something; for facts that announce themselves to nobody, such as a count in /proc.
///
/// Where an event can be waited for, wait for the event.
///
/// # Panics
///
/// When `timeout` is over.
#[track_caller]
pub fn within<T>(timeout: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {timeout:?}: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// One line for each thread of this process: number, name, state, the system call it is in with its arguments, and the
/// kernel function it waits in, as far as the system tells.
///
/// Only Linux tells; elsewhere one line says so.
pub fn threads() -> String {
    if !cfg!(target_os = "linux") {
        return "  (this system does not tell)\n".into();
    }
    let mut lines = String::new();
    for task in tasks() {
        let read = |file: &str| {
            std::fs::read_to_string(format!("/proc/self/task/{task}/{file}")).unwrap_or_default()
        };
        let status = read("status");
        let state = field(&status, "State:");
        let (comm, call, at) = (read("comm"), read("syscall"), read("wchan"));
        lines.push_str(&format!("  {task:>7}  {:<16} {state:<14} {at} {}\n", comm.trim(), call_name(&call)));
        // Root alone may read this.
        let stack = read("stack");
        stack.lines().take(8).for_each(|frame| lines.push_str(&format!("           {frame}\n")));
    }
    lines
}

/// What a thread waits for, where its system call is one of those that waits are made of. The numbers are x86-64's.
fn call_name(call: &str) -> String {
    let number = call.split_whitespace().next().unwrap_or_default();
    let name = match number {
        _ if !cfg!(target_arch = "x86_64") => "",
        "202" => "futex",
        "0" => "read",
        "7" => "poll",
        "35" | "230" => "nanosleep",
        "232" | "281" => "epoll_wait",
        "45" => "recvfrom",
        "61" | "247" => "wait",
        _ => "",
    };
    format!("{name}({})", call.trim())
}

/// Where each thread is in the program, by gdb; or why that cannot be told. At most half a minute.
fn backtraces() -> String {
    let pid = std::process::id().to_string();
    let mut gdb = Command::new("timeout");
    gdb.args(["30", "gdb", "-p", &pid, "--batch", "--nx", "-ex", "set pagination off"]);
    let gdb = gdb.args(["-ex", "thread apply all backtrace 40"]).stdin(Stdio::null()).output();
    match gdb {
        Ok(said) if said.status.success() => String::from_utf8_lossy(&said.stdout).into_owned(),
        Ok(said) => format!("  (no backtraces: {})\n", String::from_utf8_lossy(&said.stderr).trim()),
        Err(error) => format!("  (no backtraces: {error})\n"),
    }
}

/// The names of this process's threads, at most 15 bytes each, as the kernel keeps them. Linux only.
pub fn thread_names() -> Vec<String> {
    let comm = |task| std::fs::read_to_string(format!("/proc/self/task/{task}/comm")).ok();
    tasks().filter_map(comm).map(|name| name.trim().to_owned()).collect()
}

/// How many threads this process has. Linux only.
pub fn thread_count() -> usize {
    tasks().count()
}

/// How many descriptors this process holds. Linux only.
pub fn descriptor_count() -> usize {
    // Reading the folder takes one itself.
    std::fs::read_dir("/proc/self/fd").expect("/proc").count() - 1
}

/// How often the threads whose names begin with `prefix` gave up the processor to wait: their wake-ups. Linux only.
///
/// # Panics
///
/// If there is no such thread, since then a count of 0 would prove nothing.
#[track_caller]
pub fn voluntary_switches(prefix: &str) -> u64 {
    let mut found = None;
    for task in tasks() {
        let read = |file: &str| {
            std::fs::read_to_string(format!("/proc/self/task/{task}/{file}")).unwrap_or_default()
        };
        if read("comm").trim().starts_with(prefix) {
            let switches: u64 = field(&read("status"), "voluntary_ctxt_switches:").parse().unwrap_or(0);
            found = Some(found.unwrap_or(0) + switches);
        }
    }
    found.unwrap_or_else(|| panic!("no thread's name begins with {prefix:?}; there are {:?}", thread_names()))
}

fn tasks() -> impl Iterator<Item = u64> {
    let folder = std::fs::read_dir("/proc/self/task").expect("/proc");
    folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn field<'s>(status: &'s str, name: &str) -> &'s str {
    status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim()
}
