//! A message for which this process has no memory ends its session, and nothing else.
//!
//! The allocator of this process refuses requests of chosen sizes; so these tests have one of their own, and take turns.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use heartwire::{Builder, Cause, Client, Event, Heartbeat, ProtocolFault, Reconnect};
use support::{Behaviour, Server, Told, watchdog};

const SOON: Duration = Duration::from_secs(20);
const HUGE: usize = 8 << 20;

/// The system's allocator, less what is refused.
struct Refusing;

static FROM: AtomicUsize = AtomicUsize::new(usize::MAX);
static TO: AtomicUsize = AtomicUsize::new(usize::MAX);

fn refused(size: usize) -> bool {
    (FROM.load(Ordering::Relaxed)..=TO.load(Ordering::Relaxed)).contains(&size) && size < usize::MAX
}

// SAFETY: the system's allocator does the work, and NULL is an answer that an allocator may give.
unsafe impl GlobalAlloc for Refusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        if refused(layout.size()) { std::ptr::null_mut() } else { unsafe { System.alloc(layout) } }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        if refused(layout.size()) { std::ptr::null_mut() } else { unsafe { System.alloc_zeroed(layout) } }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        if refused(size) { std::ptr::null_mut() } else { unsafe { System.realloc(at, layout, size) } }
    }
}

#[global_allocator]
static HEAP: Refusing = Refusing;

/// Requests of these sizes are refused while it lives; one test at a time.
struct Refused(#[allow(dead_code, reason = "held")] MutexGuard<'static, ()>);

impl Refused {
    fn sizes(from: usize, to: usize) -> Refused {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        TO.store(to, Ordering::Relaxed);
        FROM.store(from, Ordering::Relaxed);
        Refused(alone)
    }
}

impl Drop for Refused {
    fn drop(&mut self) {
        FROM.store(usize::MAX, Ordering::Relaxed);
    }
}

/// Sends each client one binary message of this length, in small pieces.
fn sends(length: usize) -> Server {
    Server::start(Behaviour::raw(move |stream, _| {
        let request = support::upgrade::read_request_head(stream).unwrap();
        stream.write_all(support::upgrade::switching_protocols(&request, "").as_bytes()).unwrap();
        let mut head = vec![0x82, 127];
        head.extend((length as u64).to_be_bytes());
        let _ = stream.write_all(&head);
        let piece = [7; 16 * 1024];
        for at in (0..length).step_by(piece.len()) {
            if stream.write_all(&piece[..piece.len().min(length - at)]).is_err() {
                return;
            }
        }
        // To the end: an unread byte would make a reset of our close.
        let _ = stream.read_to_end(&mut Vec::new());
    }))
}

fn quiet(server: &Server) -> Builder {
    Client::builder(&server.url())
        .heartbeat(Heartbeat::off())
        .reconnect(Reconnect::fixed(Duration::from_millis(10)))
}

/// The session's error and the code of its close.
fn ends(mut next: impl FnMut() -> Event) -> (ProtocolFault, u16, bool) {
    let mut fault = None;
    loop {
        match next() {
            Event::Error(error) => match error.cause() {
                Cause::Protocol(was) => fault = Some(*was),
                other => panic!("{other:?}"),
            },
            Event::Close(closed) => {
                return (fault.expect("first the error"), closed.code(), closed.retry_in().is_some());
            }
            Event::Message(message) => panic!("{message} was delivered"),
            _ => {}
        }
    }
}

#[test]
fn a_huge_message_without_memory_ends_the_session_with_1009_and_the_next_one_is_received() {
    let _watch = watchdog(60, "no memory for the buffer");
    let server = sends(HUGE);
    let refused = Refused::sizes(1 << 20, usize::MAX - 1);
    let client = quiet(&server).build().unwrap();
    let told = Told::by(&client);
    client.connect().unwrap();
    let (fault, code, retries) = ends(|| told.next(SOON).expect("an event"));
    assert!(matches!(fault, ProtocolFault::NoMemory(bytes) if bytes > 100_000), "{fault:?}");
    assert_eq!((fault.close_code(), code, retries), (1009, 1009, true));
    drop(refused);
    let length = told.wait_for(|event| match event {
        Event::Message(message) => Some(message.len()),
        _ => None,
    });
    assert_eq!(length, HUGE, "when there is memory again");
}

#[test]
fn a_message_that_cannot_be_copied_for_the_queue_ends_the_session_with_1009() {
    let _watch = watchdog(60, "no memory for the copy");
    // No buffer has this size.
    let odd = 700_001;
    let server = sends(odd);
    let refused = Refused::sizes(odd, odd);
    let client = quiet(&server).connect().unwrap();
    let (fault, code, retries) = ends(|| client.recv_timeout(SOON).expect("an event"));
    assert_eq!(fault, ProtocolFault::NoMemory(odd as u64));
    assert_eq!((code, retries), (1009, true));
    drop(refused);
    loop {
        if let Event::Message(message) = client.recv_timeout(SOON).unwrap() {
            break assert_eq!(message.len(), odd);
        }
    }
}
