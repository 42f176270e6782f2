//! The numbers of the header, and which of our words is which. Explicit, appended to, never reused.

use crate::error::{Cause, Phase, ProxyFault, TlsFaultKind};
use crate::event::{DropReason, End, Event, Fate, FragmentRef, Initiator, Level, State};
use crate::ffi::guard::{Failure, Result};

/// How a payload is to be read: HEARTWIRE_TEXT or HEARTWIRE_BINARY.
pub type heartwire_message_kind = i32;
/// Text, always valid UTF-8.
pub const HEARTWIRE_TEXT: i32 = 1;
/// Any bytes.
pub const HEARTWIRE_BINARY: i32 = 2;

/// What an event tells: one of HEARTWIRE_EVENT_…; a later version may have more.
pub type heartwire_event_type = i32;
/// No event: what heartwire_event_kind() answers for NULL.
pub const HEARTWIRE_EVENT_NONE: i32 = 0;
/// A session has opened.
pub const HEARTWIRE_EVENT_OPEN: i32 = 1;
/// A message has come.
pub const HEARTWIRE_EVENT_MESSAGE: i32 = 2;
/// A session has ended; exactly one for each HEARTWIRE_EVENT_OPEN.
pub const HEARTWIRE_EVENT_CLOSE: i32 = 3;
/// An attempt to connect has failed.
pub const HEARTWIRE_EVENT_CONNECT_FAILED: i32 = 4;
/// A session failed; its HEARTWIRE_EVENT_CLOSE follows.
pub const HEARTWIRE_EVENT_ERROR: i32 = 5;
/// A heartbeat was answered.
pub const HEARTWIRE_EVENT_HEARTBEAT: i32 = 6;
/// The outbox was full and is half empty again.
pub const HEARTWIRE_EVENT_WRITABLE: i32 = 7;
/// What became of messages.
pub const HEARTWIRE_EVENT_OUTCOME: i32 = 8;
/// The state has changed.
pub const HEARTWIRE_EVENT_STATE: i32 = 9;
/// The very last event: there will be no attempt and no event any more.
pub const HEARTWIRE_EVENT_CLOSED_FOR_GOOD: i32 = 10;
/// A part of a message has come, or no more will come of it.
pub const HEARTWIRE_EVENT_FRAGMENT: i32 = 11;

/// Where in its message a part stands: a sum of HEARTWIRE_FRAGMENT_…
pub type heartwire_fragment_place = i32;
/// The message begins with it.
pub const HEARTWIRE_FRAGMENT_FIRST: i32 = 1;
/// The message is whole with it.
pub const HEARTWIRE_FRAGMENT_LAST: i32 = 2;
/// There is no such part: the message was cut off here.
pub const HEARTWIRE_FRAGMENT_ABORTED: i32 = 4;

/// Where a client stands: one of HEARTWIRE_STATE_…
pub type heartwire_client_state = i32;
/// Not a client, or one that was destroyed.
pub const HEARTWIRE_STATE_NONE: i32 = -1;
/// Created; heartwire_connect() was not called yet.
pub const HEARTWIRE_STATE_IDLE: i32 = 0;
/// An attempt is under way.
pub const HEARTWIRE_STATE_CONNECTING: i32 = 1;
/// A session is open.
pub const HEARTWIRE_STATE_OPEN: i32 = 2;
/// Between two attempts.
pub const HEARTWIRE_STATE_WAITING: i32 = 3;
/// The session is being closed, by either side.
pub const HEARTWIRE_STATE_CLOSING: i32 = 4;
/// Closed for good.
pub const HEARTWIRE_STATE_CLOSED: i32 = 5;

/// The browser's readyState: one of HEARTWIRE_READY_…
pub type heartwire_ready = i32;
/// Not a client, or one that was destroyed.
pub const HEARTWIRE_READY_NONE: i32 = -1;
/// Connecting, or waiting to dial again.
pub const HEARTWIRE_READY_CONNECTING: i32 = 0;
/// A session is open.
pub const HEARTWIRE_READY_OPEN: i32 = 1;
/// The session is being closed.
pub const HEARTWIRE_READY_CLOSING: i32 = 2;
/// Closed for good, or not connected yet.
pub const HEARTWIRE_READY_CLOSED: i32 = 3;

/// A step of a connection: one of HEARTWIRE_PHASE_…
pub type heartwire_phase = i32;
/// None: no attempt is under way.
pub const HEARTWIRE_PHASE_NONE: i32 = 0;
/// Looking the host's name up.
pub const HEARTWIRE_PHASE_RESOLVE: i32 = 1;
/// Connecting: TCP, a Unix socket, or what the program dials.
pub const HEARTWIRE_PHASE_CONNECT: i32 = 2;
/// The TLS handshake, and every TLS failure after it.
pub const HEARTWIRE_PHASE_TLS: i32 = 3;
/// The HTTP upgrade.
pub const HEARTWIRE_PHASE_UPGRADE: i32 = 4;
/// Messages flow.
pub const HEARTWIRE_PHASE_OPEN: i32 = 5;
/// The closing handshake.
pub const HEARTWIRE_PHASE_CLOSE: i32 = 6;
/// All that a proxy has a part in before the way through it is open: its name, TCP and TLS with it, its answer.
pub const HEARTWIRE_PHASE_PROXY: i32 = 7;
/// Asking the program, by heartwire_options_set_before_connect(); comes ahead of all others.
pub const HEARTWIRE_PHASE_PREPARE: i32 = 8;

/// What went wrong in a phase: one of HEARTWIRE_CAUSE_…; a later version may have more.
pub type heartwire_cause = i32;
/// The step took longer than its deadline.
pub const HEARTWIRE_CAUSE_TIMED_OUT: i32 = 1;
/// The operating system reported a failure; name lookups that fail are here, too.
pub const HEARTWIRE_CAUSE_IO: i32 = 2;
/// TLS refused the server, or the server refused us.
pub const HEARTWIRE_CAUSE_TLS: i32 = 3;
/// The server answered the upgrade with a status other than 101; in HEARTWIRE_PHASE_PROXY the proxy refused.
pub const HEARTWIRE_CAUSE_REFUSED: i32 = 4;
/// The server's 101 breaks RFC 6455.
pub const HEARTWIRE_CAUSE_BAD_UPGRADE: i32 = 5;
/// The server broke the protocol.
pub const HEARTWIRE_CAUSE_PROTOCOL: i32 = 6;
/// The stream ended without a Close frame.
pub const HEARTWIRE_CAUSE_END_OF_STREAM: i32 = 7;
/// The server closed.
pub const HEARTWIRE_CAUSE_CLOSED: i32 = 8;
/// No answer to the heartbeats: the link is dead although TCP has not noticed.
pub const HEARTWIRE_CAUSE_SILENT: i32 = 9;
/// The proxy's answer is wrong, or a SOCKS proxy's refusal.
pub const HEARTWIRE_CAUSE_PROXY: i32 = 10;
/// The server redirected the upgrade to where it is not followed.
pub const HEARTWIRE_CAUSE_BAD_REDIRECT: i32 = 11;
/// The program's heartwire_before_connect_fn let the attempt fail.
pub const HEARTWIRE_CAUSE_BEFORE_CONNECT: i32 = 12;
/// The program gave up a message of which fragments were written; we closed with 1001.
pub const HEARTWIRE_CAUSE_ABANDONED: i32 = 13;

/// Why a redirect was not followed: one of HEARTWIRE_REDIRECT_FAULT_…
pub type heartwire_redirect_fault = i32;
/// No such failure.
pub const HEARTWIRE_REDIRECT_FAULT_NONE: i32 = 0;
/// Location is no URL that a WebSocket can be opened to.
pub const HEARTWIRE_REDIRECT_FAULT_LOCATION: i32 = 1;
/// It leads from "wss:" to "ws:".
pub const HEARTWIRE_REDIRECT_FAULT_DOWNGRADE: i32 = 2;
/// It leads to where the attempt has been.
pub const HEARTWIRE_REDIRECT_FAULT_LOOP: i32 = 3;
/// There were as many as heartwire_options_set_redirects() allows.
pub const HEARTWIRE_REDIRECT_FAULT_TOO_MANY: i32 = 4;

/// What TLS objected to: one of HEARTWIRE_TLS_FAULT_…
pub type heartwire_tls_fault = i32;
/// No TLS failure.
pub const HEARTWIRE_TLS_FAULT_NONE: i32 = 0;
/// The certificate is expired, not yet valid, self-signed, or of an unknown issuer.
pub const HEARTWIRE_TLS_FAULT_CERTIFICATE: i32 = 1;
/// The certificate is for another name.
pub const HEARTWIRE_TLS_FAULT_HOST_NAME: i32 = 2;
/// No protocol version or cipher in common, or the other side does not speak TLS, or not HTTP/1.1 behind it (ALPN).
pub const HEARTWIRE_TLS_FAULT_PROTOCOL: i32 = 3;
/// The stream ended in the middle of TLS.
pub const HEARTWIRE_TLS_FAULT_TRUNCATED: i32 = 4;
/// The server refused us, most often for want of a client certificate.
pub const HEARTWIRE_TLS_FAULT_REFUSED: i32 = 5;
/// Something else; read the text.
pub const HEARTWIRE_TLS_FAULT_OTHER: i32 = 6;
/// No pin fits the certificate or its key; the text has the hashes of both.
pub const HEARTWIRE_TLS_FAULT_PIN: i32 = 7;

/// What was wrong with a proxy's answer, or why a SOCKS proxy refused: one of HEARTWIRE_PROXY_FAULT_…; a later version
/// may have more.
pub type heartwire_proxy_fault = i32;
/// No failure of a proxy's, or an HTTP proxy's refusal: that has a status.
pub const HEARTWIRE_PROXY_FAULT_NONE: i32 = 0;
/// The answer to CONNECT is not HTTP/1.
pub const HEARTWIRE_PROXY_FAULT_NOT_HTTP: i32 = 1;
/// The head of the answer to CONNECT is too long.
pub const HEARTWIRE_PROXY_FAULT_TOO_LONG: i32 = 2;
/// The answer is not SOCKS version 5.
pub const HEARTWIRE_PROXY_FAULT_NOT_SOCKS: i32 = 3;
/// The SOCKS proxy wants a user name and password, and none are set; or it wants another kind of login.
pub const HEARTWIRE_PROXY_FAULT_METHOD: i32 = 4;
/// The SOCKS proxy refused the user name and password.
pub const HEARTWIRE_PROXY_FAULT_CREDENTIALS: i32 = 5;
/// The SOCKS proxy did not connect us: see `socks_reply`.
pub const HEARTWIRE_PROXY_FAULT_SOCKS: i32 = 6;
/// It sent bytes that nobody had asked for.
pub const HEARTWIRE_PROXY_FAULT_UNASKED: i32 = 7;

/// Who began the end of a session: one of HEARTWIRE_BY_…
pub type heartwire_initiator = i32;
/// Not the end of a session.
pub const HEARTWIRE_BY_NOBODY: i32 = 0;
/// The program, by heartwire_close().
pub const HEARTWIRE_BY_USER: i32 = 1;
/// This library: a protocol fault, or a dead link.
pub const HEARTWIRE_BY_LIBRARY: i32 = 2;
/// The server, by a Close frame.
pub const HEARTWIRE_BY_SERVER: i32 = 3;
/// The network: the stream broke.
pub const HEARTWIRE_BY_NETWORK: i32 = 4;

/// How far a message got: one of HEARTWIRE_LEVEL_…
pub type heartwire_level = i32;
/// No level was reached.
pub const HEARTWIRE_LEVEL_NONE: i32 = 0;
/// All its bytes were accepted by the socket.
pub const HEARTWIRE_LEVEL_WRITTEN: i32 = 1;
/// The next TCP endpoint, a proxy perhaps, has acknowledged all its bytes. Not everywhere can the kernel tell.
pub const HEARTWIRE_LEVEL_ACKED: i32 = 2;
/// The server's WebSocket endpoint has read it: the pong of a ping came back that was written after it.
pub const HEARTWIRE_LEVEL_PROCESSED: i32 = 3;

/// What became of a message: one of HEARTWIRE_FATE_…
pub type heartwire_fate = i32;
/// It reached the level that was asked for.
pub const HEARTWIRE_FATE_COMPLETED: i32 = 1;
/// It was never written whole; the server cannot have seen it, but a part of it if it was sent in pieces.
pub const HEARTWIRE_FATE_DROPPED: i32 = 2;
/// It was written to a connection that died before the level was reached that was asked for. The level with it is the
/// one that it reached for certain.
pub const HEARTWIRE_FATE_UNKNOWN: i32 = 3;

/// Why a message was dropped: one of HEARTWIRE_DROPPED_…
pub type heartwire_drop_reason = i32;
/// It was not dropped.
pub const HEARTWIRE_DROPPED_NOT: i32 = 0;
/// Its time to live ran out in the outbox.
pub const HEARTWIRE_DROPPED_EXPIRED: i32 = 1;
/// It made room for a newer one.
pub const HEARTWIRE_DROPPED_EVICTED: i32 = 2;
/// The client ended before it could be written.
pub const HEARTWIRE_DROPPED_CLOSED: i32 = 3;
/// It was sent in pieces, and the session ended before the last one was written.
pub const HEARTWIRE_DROPPED_INTERRUPTED: i32 = 4;
/// It was sent in pieces, and given up before it was finished.
pub const HEARTWIRE_DROPPED_ABANDONED: i32 = 5;

/// Why a client has ended: one of HEARTWIRE_END_…
pub type heartwire_end = i32;
/// It has not.
pub const HEARTWIRE_END_NOT: i32 = 0;
/// The program closed it.
pub const HEARTWIRE_END_CLOSED: i32 = 1;
/// The limit of attempts or of time was reached.
pub const HEARTWIRE_END_GAVE_UP: i32 = 2;
/// Trying again cannot help, by the settings.
pub const HEARTWIRE_END_FATAL: i32 = 3;
/// A callback panicked; C callbacks cannot.
pub const HEARTWIRE_END_CALLBACK_PANICKED: i32 = 4;
/// The event loop failed; nothing of the client runs any more.
pub const HEARTWIRE_END_LOOP_FAILED: i32 = 5;
/// The program's heartwire_before_connect_fn said so.
pub const HEARTWIRE_END_STOPPED: i32 = 6;

pub(super) fn is_text(kind: heartwire_message_kind) -> Result<bool> {
    match kind {
        HEARTWIRE_TEXT => Ok(true),
        HEARTWIRE_BINARY => Ok(false),
        other => Err(Failure::unknown("message kind", other)),
    }
}

pub(super) fn message_kind(text: bool) -> heartwire_message_kind {
    if text { HEARTWIRE_TEXT } else { HEARTWIRE_BINARY }
}

pub(super) fn fragment_place(part: FragmentRef<'_>) -> heartwire_fragment_place {
    let set = |yes, place| if yes { place } else { 0 };
    set(part.is_first(), HEARTWIRE_FRAGMENT_FIRST)
        | set(part.is_last(), HEARTWIRE_FRAGMENT_LAST)
        | set(part.is_aborted(), HEARTWIRE_FRAGMENT_ABORTED)
}

pub(super) fn event_type(event: &Event) -> heartwire_event_type {
    match event {
        Event::Open(_) => HEARTWIRE_EVENT_OPEN,
        Event::Message(_) => HEARTWIRE_EVENT_MESSAGE,
        Event::Fragment(_) => HEARTWIRE_EVENT_FRAGMENT,
        Event::Close(_) => HEARTWIRE_EVENT_CLOSE,
        Event::ConnectFailed(_) => HEARTWIRE_EVENT_CONNECT_FAILED,
        Event::Error(_) => HEARTWIRE_EVENT_ERROR,
        Event::Heartbeat(_) => HEARTWIRE_EVENT_HEARTBEAT,
        Event::Writable => HEARTWIRE_EVENT_WRITABLE,
        Event::Outcome(_) => HEARTWIRE_EVENT_OUTCOME,
        Event::State(_) => HEARTWIRE_EVENT_STATE,
        Event::ClosedForGood(_) => HEARTWIRE_EVENT_CLOSED_FOR_GOOD,
    }
}

pub(super) fn state(state: State) -> heartwire_client_state {
    match state {
        State::Idle => HEARTWIRE_STATE_IDLE,
        State::Connecting(_) => HEARTWIRE_STATE_CONNECTING,
        State::Open => HEARTWIRE_STATE_OPEN,
        State::Waiting { .. } => HEARTWIRE_STATE_WAITING,
        State::Closing => HEARTWIRE_STATE_CLOSING,
        State::Closed => HEARTWIRE_STATE_CLOSED,
    }
}

pub(super) fn ready(state: State) -> heartwire_ready {
    match state.ready_state() {
        0 => HEARTWIRE_READY_CONNECTING,
        1 => HEARTWIRE_READY_OPEN,
        2 => HEARTWIRE_READY_CLOSING,
        _ => HEARTWIRE_READY_CLOSED,
    }
}

pub(super) fn phase(phase: Phase) -> heartwire_phase {
    match phase {
        Phase::Prepare => HEARTWIRE_PHASE_PREPARE,
        Phase::Resolve => HEARTWIRE_PHASE_RESOLVE,
        Phase::Connect => HEARTWIRE_PHASE_CONNECT,
        Phase::Proxy => HEARTWIRE_PHASE_PROXY,
        Phase::Tls => HEARTWIRE_PHASE_TLS,
        Phase::Upgrade => HEARTWIRE_PHASE_UPGRADE,
        Phase::Open => HEARTWIRE_PHASE_OPEN,
        Phase::Close => HEARTWIRE_PHASE_CLOSE,
    }
}

pub(super) fn cause(cause: &Cause) -> heartwire_cause {
    match cause {
        Cause::TimedOut => HEARTWIRE_CAUSE_TIMED_OUT,
        Cause::Io(_) => HEARTWIRE_CAUSE_IO,
        Cause::Tls(_) => HEARTWIRE_CAUSE_TLS,
        Cause::Refused(_) => HEARTWIRE_CAUSE_REFUSED,
        Cause::BadRedirect { .. } => HEARTWIRE_CAUSE_BAD_REDIRECT,
        Cause::BeforeConnect(_) => HEARTWIRE_CAUSE_BEFORE_CONNECT,
        Cause::BadUpgrade(_) => HEARTWIRE_CAUSE_BAD_UPGRADE,
        Cause::Protocol(_) => HEARTWIRE_CAUSE_PROTOCOL,
        Cause::EndOfStream => HEARTWIRE_CAUSE_END_OF_STREAM,
        Cause::Closed { .. } => HEARTWIRE_CAUSE_CLOSED,
        Cause::Abandoned => HEARTWIRE_CAUSE_ABANDONED,
        Cause::Silent { .. } => HEARTWIRE_CAUSE_SILENT,
        Cause::Proxy(_) => HEARTWIRE_CAUSE_PROXY,
    }
}

/// The fault, and a SOCKS proxy's reply.
pub(super) fn proxy_fault(cause: &Cause) -> (heartwire_proxy_fault, i32) {
    let Cause::Proxy(fault) = cause else { return (HEARTWIRE_PROXY_FAULT_NONE, 0) };
    match fault {
        ProxyFault::NotHttp => (HEARTWIRE_PROXY_FAULT_NOT_HTTP, 0),
        ProxyFault::TooLong => (HEARTWIRE_PROXY_FAULT_TOO_LONG, 0),
        ProxyFault::NotSocks => (HEARTWIRE_PROXY_FAULT_NOT_SOCKS, 0),
        ProxyFault::Method => (HEARTWIRE_PROXY_FAULT_METHOD, 0),
        ProxyFault::Credentials => (HEARTWIRE_PROXY_FAULT_CREDENTIALS, 0),
        ProxyFault::Socks(reply) => (HEARTWIRE_PROXY_FAULT_SOCKS, (*reply).into()),
        ProxyFault::Unasked => (HEARTWIRE_PROXY_FAULT_UNASKED, 0),
    }
}

pub(super) fn tls_fault(kind: TlsFaultKind) -> heartwire_tls_fault {
    match kind {
        TlsFaultKind::Certificate => HEARTWIRE_TLS_FAULT_CERTIFICATE,
        TlsFaultKind::HostName => HEARTWIRE_TLS_FAULT_HOST_NAME,
        TlsFaultKind::Pin => HEARTWIRE_TLS_FAULT_PIN,
        TlsFaultKind::Protocol => HEARTWIRE_TLS_FAULT_PROTOCOL,
        TlsFaultKind::Truncated => HEARTWIRE_TLS_FAULT_TRUNCATED,
        TlsFaultKind::Refused => HEARTWIRE_TLS_FAULT_REFUSED,
        TlsFaultKind::Other => HEARTWIRE_TLS_FAULT_OTHER,
    }
}

pub(super) fn initiator(by: Initiator) -> heartwire_initiator {
    match by {
        Initiator::User => HEARTWIRE_BY_USER,
        Initiator::Library => HEARTWIRE_BY_LIBRARY,
        Initiator::Server => HEARTWIRE_BY_SERVER,
        Initiator::Network => HEARTWIRE_BY_NETWORK,
    }
}

/// The fate with its level and its reason.
pub(super) fn fate(fate: Fate) -> (heartwire_fate, heartwire_level, heartwire_drop_reason) {
    match fate {
        Fate::Completed(reached) => (HEARTWIRE_FATE_COMPLETED, level(reached), HEARTWIRE_DROPPED_NOT),
        Fate::Dropped(reason) => {
            let reason = match reason {
                DropReason::Expired => HEARTWIRE_DROPPED_EXPIRED,
                DropReason::Evicted => HEARTWIRE_DROPPED_EVICTED,
                DropReason::Closed => HEARTWIRE_DROPPED_CLOSED,
                DropReason::Interrupted => HEARTWIRE_DROPPED_INTERRUPTED,
                DropReason::Abandoned => HEARTWIRE_DROPPED_ABANDONED,
            };
            (HEARTWIRE_FATE_DROPPED, HEARTWIRE_LEVEL_NONE, reason)
        }
        Fate::Unknown(reached) => (HEARTWIRE_FATE_UNKNOWN, level(reached), HEARTWIRE_DROPPED_NOT),
    }
}

pub(super) fn level_of(number: heartwire_level) -> Result<Level> {
    match number {
        HEARTWIRE_LEVEL_WRITTEN => Ok(Level::Written),
        HEARTWIRE_LEVEL_ACKED => Ok(Level::Acked),
        HEARTWIRE_LEVEL_PROCESSED => Ok(Level::Processed),
        other => Err(Failure::unknown("level", other)),
    }
}

pub(super) fn level(level: Level) -> heartwire_level {
    match level {
        Level::Written => HEARTWIRE_LEVEL_WRITTEN,
        Level::Acked => HEARTWIRE_LEVEL_ACKED,
        Level::Processed => HEARTWIRE_LEVEL_PROCESSED,
    }
}

pub(super) fn end(end: &End) -> heartwire_end {
    match end {
        End::Closed => HEARTWIRE_END_CLOSED,
        End::GaveUp(_) => HEARTWIRE_END_GAVE_UP,
        End::Fatal(_) => HEARTWIRE_END_FATAL,
        End::CallbackPanicked => HEARTWIRE_END_CALLBACK_PANICKED,
        End::LoopFailed => HEARTWIRE_END_LOOP_FAILED,
        End::Stopped => HEARTWIRE_END_STOPPED,
    }
}
