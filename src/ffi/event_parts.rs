//! What the single kinds of events carry: opening, closing, failure, outcome, state, end.

use std::ffi::c_char;
use std::time::Duration;

use crate::error::{Cause, LinkError};
use crate::event::{Event, State};
use crate::ffi::ask::{no_header, or_unknown};
use crate::ffi::event::{Terminated, ask, heartwire_event, out};
use crate::ffi::guard::{Failure, borrow, copy_out, guard, text, wanted};
use crate::ffi::numbers::{self, *};
use crate::ffi::sized::{Growing, write_out};
use crate::ffi::status::{HEARTWIRE_ERR_NOT_FOUND, heartwire_status};

/// Why a link is down.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct heartwire_error_info {
    /// sizeof(heartwire_error_info), set by the caller.
    pub size: usize,
    /// The step that failed: one of HEARTWIRE_PHASE_…
    pub phase: heartwire_phase,
    /// What went wrong in it: one of HEARTWIRE_CAUSE_…
    pub kind: heartwire_cause,
    /// The operating system's error number; 0 if there is none.
    pub os_error: i32,
    /// The HTTP status with which the server refused the upgrade, or the proxy the way to it; 0 if they did not.
    pub http_status: i32,
    /// What TLS objected to: one of HEARTWIRE_TLS_FAULT_…
    pub tls_fault: heartwire_tls_fault,
    /// The code with which the server closed, or with which we answered its breach of the protocol; 0 if neither.
    pub close_code: i32,
    /// 1 if another attempt follows, 0 if none does, -1 if that is not known yet: the HEARTWIRE_EVENT_CLOSE tells.
    pub will_retry: i32,
    /// The heartbeats that stayed without an answer, if the link is down for that; else 0.
    pub missed_beats: u32,
    /// How long until the next attempt, in milliseconds; -1 if there is none, or it is not known yet.
    pub delay_ms: i64,
    /// All of it in words. Belongs to the event.
    pub text: *const c_char,
    /// What was wrong with a proxy's answer, or why a SOCKS proxy refused: one of HEARTWIRE_PROXY_FAULT_…
    pub proxy_fault: heartwire_proxy_fault,
    /// A SOCKS proxy's reply (RFC 1928 section 6) that did not connect us; else 0.
    pub socks_reply: i32,
}

// SAFETY: repr(C), `size` is first, zeros are a value. The first version ended with `text`.
unsafe impl Growing for heartwire_error_info {
    const FIRST: usize = std::mem::offset_of!(heartwire_error_info, proxy_fault);
}

/// The same fate for a range of consecutive messages.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct heartwire_outcome_info {
    /// sizeof(heartwire_outcome_info), set by the caller.
    pub size: usize,
    /// The first message of the range.
    pub first: u64,
    /// The last message of the range, the first itself included.
    pub last: u64,
    /// What became of them: one of HEARTWIRE_FATE_…
    pub fate: heartwire_fate,
    /// The level that was reached, of HEARTWIRE_FATE_UNKNOWN the one that was reached for certain: one of
    /// HEARTWIRE_LEVEL_…
    pub level: heartwire_level,
    /// Why they were dropped: one of HEARTWIRE_DROPPED_…
    pub dropped: heartwire_drop_reason,
    /// Always 0.
    pub reserved: i32,
}

// SAFETY: repr(C), `size` is first, zeros are a value. This is its first version.
unsafe impl Growing for heartwire_outcome_info {
    const FIRST: usize = size_of::<heartwire_outcome_info>();
}

pub(super) fn error_info(
    error: &LinkError,
    will_retry: i32,
    retry_in: Option<Duration>,
    text: *const c_char,
) -> heartwire_error_info {
    let (proxy_fault, socks_reply) = numbers::proxy_fault(error.cause());
    heartwire_error_info {
        size: size_of::<heartwire_error_info>(),
        phase: numbers::phase(error.phase()),
        kind: numbers::cause(error.cause()),
        os_error: error.os_error().unwrap_or(0),
        http_status: error.http_status().unwrap_or(0).into(),
        tls_fault: match error.cause() {
            Cause::Tls(fault) => numbers::tls_fault(fault.kind()),
            _ => HEARTWIRE_TLS_FAULT_NONE,
        },
        close_code: match error.cause() {
            Cause::Closed { code, .. } => (*code).into(),
            Cause::Protocol(fault) => fault.close_code().into(),
            Cause::Abandoned => 1001,
            _ => 0,
        },
        will_retry,
        missed_beats: match error.cause() {
            Cause::Silent { missed } => *missed,
            _ => 0,
        },
        delay_ms: or_unknown(retry_in, Duration::as_millis),
        text,
        proxy_fault,
        socks_reply,
    }
}

fn retry_in(event: &Event) -> Option<Duration> {
    match event {
        Event::Close(closed) => closed.retry_in(),
        Event::ConnectFailed(failed) => failed.retry_in(),
        Event::State(State::Waiting { delay, .. }) => Some(*delay),
        _ => None,
    }
}

/// Tells why the link is down, of HEARTWIRE_EVENT_CONNECT_FAILED, HEARTWIRE_EVENT_ERROR, HEARTWIRE_EVENT_CLOSE and
/// HEARTWIRE_EVENT_CLOSED_FOR_GOOD. Set `out->size` first.
///
/// Ownership: `out` is the caller's; `out->text` belongs to the event.
/// Threads:   any thread that may use the event.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT for a NULL or a size that was not set, or HEARTWIRE_ERR_NOT_FOUND if
/// the event carries no failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_error(
    event: *const heartwire_event,
    out: *mut heartwire_error_info,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an event or NULL.
        let event = unsafe { borrow("event", event)? };
        wanted("out", out)?;
        let error = event
            .error()
            .ok_or_else(|| Failure::new(HEARTWIRE_ERR_NOT_FOUND, "the event carries no failure"))?;
        let retry_in = retry_in(&event.event);
        let will_retry = match event.event {
            Event::Error(_) => -1,
            _ => retry_in.is_some().into(),
        };
        let words = event.error_text.get_or_init(|| Terminated::new(&error.to_string())).as_ptr();
        let info = error_info(error, will_retry, retry_in, words);
        // SAFETY: the header asks for a struct that begins with its size.
        unsafe { write_out("out", out, &info) }
    })
}

/// Tells the first bytes of the body with which the server refused the upgrade, at most 4 KiB.
///
/// Ownership: the bytes belong to the event. `len`, which may be NULL, gets their number.
/// Threads:   any thread that may use the event.
///
/// Returns the bytes; NULL if the event is of no refusal.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_refusal_body(
    event: *const heartwire_event,
    len: *mut usize,
) -> *const u8 {
    // SAFETY: the header asks for an event or NULL.
    let body: Option<&[u8]> = unsafe {
        ask(event, None, |event| {
            event.error().and_then(|error| error.refusal()).map(|refusal| refusal.body())
        })
    };
    // SAFETY: the header asks for a writable place or NULL.
    unsafe { out(body, len) }
}

/// Copies a header of the server's answer to the upgrade, the first of this name in whatever case: of
/// HEARTWIRE_EVENT_OPEN, and of failures with an HTTP status. `buf` and `len` are as with heartwire_response_header().
///
/// Ownership: `buf` is the caller's; `*len` is its size before, and the text's length after.
/// Threads:   any thread that may use the event.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, HEARTWIRE_ERR_NOT_FOUND, or HEARTWIRE_ERR_BUFFER
/// if the buffer is too small; then nothing was written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_header(
    event: *const heartwire_event,
    name: *const c_char,
    buf: *mut c_char,
    len: *mut usize,
) -> heartwire_status {
    guard(|| {
        wanted("len", len)?;
        // SAFETY: the header asks for an event or NULL, and a terminated string.
        let (event, name) = unsafe { (borrow("event", event)?, text("name", name)?) };
        let value = match &event.event {
            Event::Open(opened) => opened.header(name),
            _ => event.error().and_then(|error| error.refusal()).and_then(|refusal| refusal.header(name)),
        };
        // SAFETY: the header asks for a place for the length, and a buffer of so many bytes or NULL.
        unsafe { copy_out(value.ok_or_else(no_header)?, buf, len) }
    })
}

/// Tells which attempt in a row it was, from 1, of HEARTWIRE_EVENT_OPEN and HEARTWIRE_EVENT_CONNECT_FAILED; of
/// HEARTWIRE_STATE_WAITING which comes next.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread that may use the event.
///
/// Returns the number; 0 for other events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_attempt(event: *const heartwire_event) -> u32 {
    // SAFETY: the header asks for an event or NULL.
    unsafe {
        ask(event, 0, |event| match &event.event {
            Event::Open(opened) => opened.attempt(),
            Event::ConnectFailed(failed) => failed.attempt(),
            Event::State(State::Waiting { attempt, .. }) => *attempt,
            _ => 0,
        })
    }
}

/// Tells whether HEARTWIRE_EVENT_OPEN is of the client's first session.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread that may use the event.
///
/// Returns true or false; false for other events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_is_first(event: *const heartwire_event) -> bool {
    // SAFETY: the header asks for an event or NULL.
    unsafe { ask(event, false, |event| matches!(&event.event, Event::Open(opened) if opened.is_first())) }
}

/// Tells the subprotocol that the server chose, of HEARTWIRE_EVENT_OPEN; always one of those asked for.
///
/// Ownership: the text belongs to the event.
/// Threads:   any thread that may use the event.
///
/// Returns the name; NULL if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_subprotocol(event: *const heartwire_event) -> *const c_char {
    // SAFETY: the header asks for an event or NULL.
    unsafe {
        ask(event, std::ptr::null(), |event| match &event.event {
            Event::Open(opened) => opened.subprotocol().map_or(std::ptr::null(), |name| {
                event.subprotocol.get_or_init(|| Terminated::new(name)).as_ptr()
            }),
            _ => std::ptr::null(),
        })
    }
}

/// Tells the code of a HEARTWIRE_EVENT_CLOSE: the server's (1005 if its Close had none); ours if the server sent no
/// Close, or if the library closed for the server's fault; 1006 without any Close frame.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread that may use the event.
///
/// Returns the code; 0 for other events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_code(event: *const heartwire_event) -> u16 {
    // SAFETY: the header asks for an event or NULL.
    unsafe {
        ask(event, 0, |event| match &event.event {
            Event::Close(closed) => closed.code(),
            _ => 0,
        })
    }
}

/// Tells the reason that came with that code, of HEARTWIRE_EVENT_CLOSE; often empty, as in most answers to our own
/// Close.
///
/// Ownership: the text belongs to the event.
/// Threads:   any thread that may use the event.
///
/// Returns the reason; empty for other events, never NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_reason(event: *const heartwire_event) -> *const c_char {
    // SAFETY: the header asks for an event or NULL.
    unsafe {
        ask(event, c"".as_ptr(), |event| match &event.event {
            Event::Close(closed) => event.reason.get_or_init(|| Terminated::new(closed.reason())).as_ptr(),
            _ => c"".as_ptr(),
        })
    }
}

/// Tells whether both sides had sent a Close frame before HEARTWIRE_EVENT_CLOSE.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread that may use the event.
///
/// Returns true or false; false for other events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_is_clean(event: *const heartwire_event) -> bool {
    // SAFETY: the header asks for an event or NULL.
    unsafe { ask(event, false, |event| matches!(&event.event, Event::Close(closed) if closed.is_clean())) }
}

/// Tells who began the end of a session, of HEARTWIRE_EVENT_CLOSE.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread that may use the event.
///
/// Returns one of HEARTWIRE_BY_…; HEARTWIRE_BY_NOBODY for other events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_initiator(event: *const heartwire_event) -> heartwire_initiator {
    // SAFETY: the header asks for an event or NULL.
    unsafe {
        ask(event, HEARTWIRE_BY_NOBODY, |event| match &event.event {
            Event::Close(closed) => numbers::initiator(closed.by()),
            _ => HEARTWIRE_BY_NOBODY,
        })
    }
}

/// Tells how long until the next attempt, of HEARTWIRE_EVENT_CLOSE, HEARTWIRE_EVENT_CONNECT_FAILED and
/// HEARTWIRE_STATE_WAITING.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread that may use the event.
///
/// Returns milliseconds; -1 if there will be no attempt, and for other events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_retry_ms(event: *const heartwire_event) -> i64 {
    // SAFETY: the header asks for an event or NULL.
    unsafe { ask(event, -1, |event| or_unknown(retry_in(&event.event), Duration::as_millis)) }
}

/// Tells after how long the heartbeat was answered, of HEARTWIRE_EVENT_HEARTBEAT.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread that may use the event.
///
/// Returns microseconds; -1 for other events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_round_trip_us(event: *const heartwire_event) -> i64 {
    // SAFETY: the header asks for an event or NULL.
    unsafe {
        ask(event, -1, |event| match &event.event {
            Event::Heartbeat(time) => or_unknown(Some(*time), Duration::as_micros),
            _ => -1,
        })
    }
}

/// Tells what became of messages, of HEARTWIRE_EVENT_OUTCOME. Set `out->size` first.
///
/// Ownership: `out` is the caller's.
/// Threads:   any thread that may use the event.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT for a NULL or a size that was not set, or HEARTWIRE_ERR_NOT_FOUND for
/// other events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_outcome(
    event: *const heartwire_event,
    out: *mut heartwire_outcome_info,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an event or NULL.
        let event = unsafe { borrow("event", event)? };
        wanted("out", out)?;
        let Event::Outcome(outcome) = &event.event else {
            return Err(Failure::new(HEARTWIRE_ERR_NOT_FOUND, "the event is no outcome"));
        };
        let (fate, level, dropped) = numbers::fate(outcome.fate());
        let info = heartwire_outcome_info {
            size: size_of::<heartwire_outcome_info>(),
            first: outcome.first().get(),
            last: outcome.last().get(),
            fate,
            level,
            dropped,
            reserved: 0,
        };
        // SAFETY: the header asks for a struct that begins with its size.
        unsafe { write_out("out", out, &info) }
    })
}

/// Tells the new state, of HEARTWIRE_EVENT_STATE.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread that may use the event.
///
/// Returns one of HEARTWIRE_STATE_…; HEARTWIRE_STATE_NONE for other events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_state(event: *const heartwire_event) -> heartwire_client_state {
    // SAFETY: the header asks for an event or NULL.
    unsafe {
        ask(event, HEARTWIRE_STATE_NONE, |event| match &event.event {
            Event::State(state) => numbers::state(*state),
            _ => HEARTWIRE_STATE_NONE,
        })
    }
}

/// Tells the step that an attempt is at, of HEARTWIRE_EVENT_STATE with HEARTWIRE_STATE_CONNECTING.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread that may use the event.
///
/// Returns one of HEARTWIRE_PHASE_…; HEARTWIRE_PHASE_NONE for other events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_phase(event: *const heartwire_event) -> heartwire_phase {
    // SAFETY: the header asks for an event or NULL.
    unsafe {
        ask(event, HEARTWIRE_PHASE_NONE, |event| match &event.event {
            Event::State(State::Connecting(phase)) => numbers::phase(*phase),
            _ => HEARTWIRE_PHASE_NONE,
        })
    }
}

/// Tells why the client has ended, of HEARTWIRE_EVENT_CLOSED_FOR_GOOD.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread that may use the event.
///
/// Returns one of HEARTWIRE_END_…; HEARTWIRE_END_NOT for other events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_event_end(event: *const heartwire_event) -> heartwire_end {
    // SAFETY: the header asks for an event or NULL.
    unsafe {
        ask(event, HEARTWIRE_END_NOT, |event| match &event.event {
            Event::ClosedForGood(end) => numbers::end(end),
            _ => HEARTWIRE_END_NOT,
        })
    }
}
