//! Questions that a client answers at once: where it stands, and what it has done.

use std::ffi::c_char;
use std::time::Duration;

use crate::explain;
use crate::ffi::guard::{Failure, copy_out, guard, guard_value, text, wanted};
use crate::ffi::handles::find;
use crate::ffi::heartwire_client;
use crate::ffi::numbers::{
    self, HEARTWIRE_READY_NONE, HEARTWIRE_STATE_NONE, heartwire_client_state, heartwire_ready,
};
use crate::ffi::sized::{Growing, write_out};
use crate::ffi::status::{HEARTWIRE_ERR_NOT_FOUND, heartwire_status};

/// What a client has done so far. Times that are not known are -1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct heartwire_stats_info {
    /// sizeof(heartwire_stats_info), set by the caller.
    pub size: usize,
    /// Messages accepted so far. Each ends as sent, expired, evicted, dropped on close, interrupted or
    /// unknown, or is still queued or unconfirmed.
    pub accepted: u64,
    /// Messages written whole to a socket that have reached the level that was asked for.
    pub messages_sent: u64,
    /// Payload bytes written to sockets: of whole messages, whatever became of them and each time that they went, and
    /// of pieces.
    pub bytes_sent: u64,
    /// Messages received whole, replies to text heartbeats included.
    pub messages_received: u64,
    /// The payload bytes of these.
    pub bytes_received: u64,
    /// Messages accepted and not yet written.
    pub queued_messages: u64,
    /// The payload bytes of these.
    pub queued_bytes: u64,
    /// Messages dropped because their time to live ran out.
    pub expired: u64,
    /// Messages dropped to make room for newer ones.
    pub evicted: u64,
    /// Messages dropped because the client ended.
    pub dropped_on_close: u64,
    /// Messages of unknown fate.
    pub unknown: u64,
    /// Events that were discarded because nobody had asked for any yet.
    pub events_discarded: u64,
    /// Sessions that were opened.
    pub sessions: u64,
    /// Attempts to connect that were begun.
    pub attempts: u64,
    /// The last heartbeat's round-trip time, in microseconds.
    pub last_rtt_us: i64,
    /// The round-trip time smoothed as TCP does it, in microseconds.
    pub smoothed_rtt_us: i64,
    /// How long ago the last byte was received, of whichever session, in milliseconds.
    pub since_received_ms: i64,
    /// Messages in pieces that ended before the last one: the session ended, or they were given up.
    pub interrupted: u64,
    /// Messages written whole that have not reached the level that was asked for yet.
    pub unconfirmed: u64,
    /// How often a message was written whole once more, because the session before had died under it.
    pub replayed: u64,
}

// SAFETY: repr(C), `size` is first, zeros are a value. The first version ended with `since_received_ms`.
unsafe impl Growing for heartwire_stats_info {
    const FIRST: usize = std::mem::offset_of!(heartwire_stats_info, interrupted);
}

/// Bytes that every text of heartwire_explain() fits into, with its final NUL.
pub const HEARTWIRE_EXPLAIN_SIZE: usize = 16384;

const _: () = assert!(HEARTWIRE_EXPLAIN_SIZE == explain::SIZE);

/// Tells where the client stands just now: one of HEARTWIRE_STATE_…
///
/// Ownership: nothing changes hands.
/// Threads:   any thread, in any callback.
///
/// Returns the state, or HEARTWIRE_STATE_NONE for a handle that is of no client.
#[unsafe(no_mangle)]
pub extern "C" fn heartwire_state(client: heartwire_client) -> heartwire_client_state {
    guard_value(HEARTWIRE_STATE_NONE, || Ok(numbers::state(find(client)?.state())))
}

/// Tells the browser's readyState: 0 connecting (also while waiting to dial again), 1 open, 2 closing, 3 closed (also
/// before heartwire_connect()).
///
/// Ownership: nothing changes hands.
/// Threads:   any thread, in any callback.
///
/// Returns one of HEARTWIRE_READY_…; HEARTWIRE_READY_NONE for a handle that is of no client.
#[unsafe(no_mangle)]
pub extern "C" fn heartwire_ready_state(client: heartwire_client) -> heartwire_ready {
    guard_value(HEARTWIRE_READY_NONE, || Ok(numbers::ready(find(client)?.state())))
}

/// Tells how many bytes of messages were accepted and are not yet written.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread, in any callback.
///
/// Returns the bytes; 0 for a handle that is of no client.
#[unsafe(no_mangle)]
pub extern "C" fn heartwire_buffered_amount(client: heartwire_client) -> usize {
    guard_value(0, || Ok(find(client)?.buffered_amount()))
}

/// Tells what the client has done so far. Set `out->size` first.
///
/// Ownership: `out` is the caller's.
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, or HEARTWIRE_ERR_ARGUMENT for a NULL or a size that was not set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_stats(
    client: heartwire_client,
    out: *mut heartwire_stats_info,
) -> heartwire_status {
    guard(|| {
        let stats = find(client)?.stats();
        let info = heartwire_stats_info {
            size: size_of::<heartwire_stats_info>(),
            accepted: stats.accepted(),
            messages_sent: stats.messages_sent(),
            bytes_sent: stats.bytes_sent(),
            messages_received: stats.messages_received(),
            bytes_received: stats.bytes_received(),
            queued_messages: stats.queued_messages() as u64,
            queued_bytes: stats.queued_bytes() as u64,
            expired: stats.expired(),
            evicted: stats.evicted(),
            dropped_on_close: stats.dropped_on_close(),
            unknown: stats.unknown(),
            events_discarded: stats.events_discarded(),
            sessions: stats.sessions(),
            attempts: stats.attempts(),
            last_rtt_us: or_unknown(stats.last_rtt(), Duration::as_micros),
            smoothed_rtt_us: or_unknown(stats.smoothed_rtt(), Duration::as_micros),
            since_received_ms: or_unknown(stats.since_received(), Duration::as_millis),
            interrupted: stats.interrupted(),
            unconfirmed: stats.unconfirmed() as u64,
            replayed: stats.replayed(),
        };
        // SAFETY: the header asks for a struct that begins with its size.
        unsafe { write_out("out", out, &info) }
    })
}

/// A time as a number; -1 if there is none.
pub(super) fn or_unknown(time: Option<Duration>, unit: impl Fn(&Duration) -> u128) -> i64 {
    time.map_or(-1, |time| i64::try_from(unit(&time)).unwrap_or(i64::MAX))
}

/// Copies a text that tells what is the matter with the client, to paste into a bug report. Does not wait.
///
/// The first line is of use alone: the name, the URL, the library's version, where the client stands, since when and
/// why, and when the next attempt is due. Then come settings, counters, and the last 32 transitions from one state to
/// another, oldest first, with their times and causes. For people; its form may change with any version. It has no more
/// secrets than the log: no user name, password and query of a URL, and nothing of headers, cookies, subprotocols and
/// messages. Lines end with a newline, and have no other control character in them.
///
/// A buffer of HEARTWIRE_EXPLAIN_SIZE bytes is always large enough. With `buf` NULL it tells the length without the
/// final NUL as it is just now; the next text may be longer.
///
/// Ownership: `buf` is the caller's; `*len` is its size before, and the text's length after.
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_BUFFER if the buffer is too
/// small; then nothing was written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_explain(
    client: heartwire_client,
    buf: *mut c_char,
    len: *mut usize,
) -> heartwire_status {
    guard(|| {
        let text = find(client)?.explain();
        // SAFETY: the header asks for a place for the length, and a buffer of so many bytes or NULL.
        unsafe { copy_out(&text, buf, len) }
    })
}

/// Copies a header of the answer with which the last session opened, the first of this name in whatever case.
///
/// Call it with `buf` NULL to learn the length without the final NUL; then with a buffer of `*len` bytes, at least one
/// more than that.
///
/// Ownership: `buf` is the caller's; `*len` is its size before, and the text's length after.
/// Threads:   any thread, in any callback.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_HANDLE, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, HEARTWIRE_ERR_NOT_FOUND
/// (also while no session was open yet), or HEARTWIRE_ERR_BUFFER if the buffer is too small; then nothing was written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_response_header(
    client: heartwire_client,
    name: *const c_char,
    buf: *mut c_char,
    len: *mut usize,
) -> heartwire_status {
    guard(|| {
        let client = find(client)?;
        wanted("len", len)?;
        // SAFETY: the header asks for a terminated string.
        let name = unsafe { text("name", name)? };
        let opened = client.last_open();
        let value = opened.as_ref().and_then(|opened| opened.header(name)).ok_or_else(no_header)?;
        // SAFETY: the header asks for a place for the length, and a buffer of so many bytes or NULL.
        unsafe { copy_out(value, buf, len) }
    })
}

pub(super) fn no_header() -> Failure {
    Failure::new(HEARTWIRE_ERR_NOT_FOUND, "there is no such header")
}
