//! What the event loop and the link say to each other. Holds data only.

use std::time::Duration;

use crate::config::heartbeat::Heartbeat;
use crate::config::reconnect::Reconnect;
use crate::error::{LinkError, Phase};
use crate::event::Event;
use crate::link::heartbeat::Beat;

/// The settings that the link goes by.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) heartbeat: Heartbeat,
    pub(crate) reconnect: Reconnect,
    pub(crate) connect_timeout: Duration,
    pub(crate) close_timeout: Duration,
    /// The program is asked ahead of each attempt.
    pub(crate) before_connect: bool,
    /// How many URLs take turns, from 1.
    pub(crate) urls: usize,
    /// How long one that failed comes after those that have not.
    pub(crate) url_penalty: Duration,
}

/// What the program said of an attempt that it has prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Go,
    /// As prepared, but later.
    Delay(Duration),
    /// Neither this attempt nor another.
    Stop,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Input<'a> {
    Connect,
    /// For one attempt, and one session, only.
    ConnectOnce,
    ReconnectNow,
    /// The user's; it always wins: no attempt begins after it.
    Close {
        code: u16,
        reason: &'a str,
    },
    /// A callback of the user's panicked; this ends the client.
    CallbackPanicked,
    /// The program gave a message up of which fragments were written; the session can say no more.
    Abandoned,
    /// The program has prepared the attempt; [`Input::DialFailed`] if it could not.
    Prepared(Verdict),
    /// The dial reached this phase.
    Phase(Phase),
    /// The upgrade is done, and the greetings are in the wire's buffer.
    Opened,
    DialFailed(LinkError),
    /// Bytes were received; once per read, before what was in them.
    Heard,
    Pong(&'a [u8]),
    /// The beat's last byte was accepted by the OS.
    BeatWritten {
        /// All bytes that the socket has accepted so far, the beat's included.
        accepted: u64,
        /// As in [`Input::Tick`].
        acknowledged: Option<u64>,
    },
    /// While closing: outbox and write buffer are empty.
    Drained,
    /// Our Close frame was accepted by the OS, its last byte included.
    CloseWritten,
    /// 1005 stands for a Close without a code.
    PeerClose {
        code: u16,
        reason: &'a str,
    },
    /// The stream failed, ended without a Close, or the server broke the protocol.
    SessionFailed(LinkError),
    /// The stream ended, or failed, after a Close was received or sent.
    StreamEnded,
    /// Events are not taken in time, or the user paused reading; `false`: what had come meanwhile is drained.
    ReadingPaused(bool),
    /// Whether lifecycle events wait to be taken: while they do, no attempt begins.
    Held(bool),
    /// The machine was suspended.
    Woke,
    /// Time has passed; all ready sockets were read before.
    Tick {
        /// Bytes of the stream that the peer's TCP has acknowledged, where the OS can tell.
        acknowledged: Option<u64>,
    },
}

/// What to do.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Ask the program about an attempt, then say [`Input::Prepared`].
    Prepare {
        attempt: u32,
        /// Whose turn it is.
        url: usize,
        /// The failure before.
        error: Option<LinkError>,
    },
    /// Begin an attempt, as it was prepared if it was.
    Dial { attempt: u32, url: usize },
    /// Drop the attempt in progress, even if it has just succeeded.
    AbandonDial,
    /// Write this at the next frame boundary, then say [`Input::BeatWritten`].
    Beat(Beat),
    /// Accept nothing more, write what waits, then say [`Input::Drained`].
    Drain,
    /// Write a Close frame after what is committed and no data after it, then say [`Input::CloseWritten`].
    WriteClose { code: Option<u16>, reason: String },
    /// Shut down writing, read on to the end, then say [`Input::StreamEnded`].
    ShutdownWrite,
    /// Drop the stream now; `abort`: its kernel buffer, too (SO_LINGER 0).
    EndSession { abort: bool },
    /// Tell the user. In `Open`, headers and subprotocol are the event loop's to fill in.
    Tell(Event),
}
