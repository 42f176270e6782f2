//! The heartbeat's settings: what a beat is, when it goes out, and when silence means that the link is dead.

use std::time::Duration;

use crate::config::check;
use crate::error::ConfigError;

/// How the client finds out that a link is dead although TCP has not noticed.
///
/// The default is [`Heartbeat::ping`]: a protocol ping after 20 s without a received byte; two
/// unanswered for 10 s each mean dead, so that a dead link is found in at most 40 s. Middleboxes
/// forget idle connections after 30 to 60 s; the ping keeps them awake, too.
///
/// # Examples
///
/// ```
/// use heartwire::Heartbeat;
/// use std::time::Duration;
///
/// // An application that sends "ping" every 10 s and wants "pong" within 20 s.
/// let beat = Heartbeat::text("ping")
///     .reply("pong")
///     .every(Duration::from_secs(10))
///     .reply_only()
///     .timeout(Duration::from_secs(20))
///     .max_missed(1);
/// # let _ = beat;
/// ```
#[derive(Clone, Debug)]
pub struct Heartbeat {
    pub(crate) kind: BeatKind,
    pub(crate) schedule: Schedule,
    pub(crate) interval: Duration,
    pub(crate) reply_only: bool,
    pub(crate) timeout: Duration,
    pub(crate) max_missed: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BeatKind {
    Off,
    Ping,
    Text { text: String, reply: Reply, deliver: bool },
}

/// How the answer to an application's beat is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Exact(String),
    Prefix(String),
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schedule {
    /// So long after the last received byte.
    AfterSilence,
    /// At this pace, whatever else happens.
    Every,
}

impl Heartbeat {
    /// A protocol ping (RFC 6455 section 5.5.2); every server answers it, and its round-trip time is exact.
    pub fn ping() -> Heartbeat {
        Heartbeat {
            kind: BeatKind::Ping,
            schedule: Schedule::AfterSilence,
            interval: Duration::from_secs(20),
            reply_only: false,
            timeout: Duration::from_secs(10),
            max_missed: 2,
        }
    }

    /// A text message of the application's own; any message counts as its reply until [`reply`](Self::reply) says
    /// otherwise.
    ///
    /// In the middle of a [`MessageStream`](crate::MessageStream), where it may not go, a ping goes in its stead.
    pub fn text(text: impl Into<String>) -> Heartbeat {
        let kind = BeatKind::Text { text: text.into(), reply: Reply::Any, deliver: false };
        Heartbeat { kind, ..Heartbeat::ping() }
    }

    /// No heartbeat: a link that dies in silence stays undetected until TCP gives up, often after 15 minutes.
    pub fn off() -> Heartbeat {
        Heartbeat { kind: BeatKind::Off, ..Heartbeat::ping() }
    }

    /// The reply to a text beat is exactly this text. It is not delivered as a message.
    pub fn reply(self, text: impl Into<String>) -> Heartbeat {
        self.with_reply(Reply::Exact(text.into()))
    }

    /// The reply to a text beat is any text that begins like this. It is not delivered as a message.
    pub fn reply_prefix(self, prefix: impl Into<String>) -> Heartbeat {
        self.with_reply(Reply::Prefix(prefix.into()))
    }

    /// Any message is a reply to a text beat; it is delivered all the same.
    pub fn any_reply(self) -> Heartbeat {
        self.with_reply(Reply::Any)
    }

    /// Whether replies recognised by [`reply`](Self::reply) or [`reply_prefix`](Self::reply_prefix) are also delivered
    /// as messages. Default: no.
    pub fn deliver_replies(mut self, yes: bool) -> Heartbeat {
        if let BeatKind::Text { deliver, .. } = &mut self.kind {
            *deliver = yes;
        }
        self
    }

    /// A beat goes out after this time without a received byte. The default, with 20 s.
    pub fn after_silence(mut self, time: Duration) -> Heartbeat {
        self.schedule = Schedule::AfterSilence;
        self.interval = time;
        self
    }

    /// A beat goes out at this pace, whatever else happens: for servers whose idle timers watch what we send.
    pub fn every(mut self, time: Duration) -> Heartbeat {
        self.schedule = Schedule::Every;
        self.interval = time;
        self
    }

    /// Only the reply to a beat is a sign of life, other bytes are not. Default: any byte is.
    pub fn reply_only(mut self) -> Heartbeat {
        self.reply_only = true;
        self
    }

    /// How long a beat may stay unanswered before it is missed. Default: 10 s.
    pub fn timeout(mut self, time: Duration) -> Heartbeat {
        self.timeout = time;
        self
    }

    /// How many missed beats in a row mean that the link is dead. Default: 2.
    pub fn max_missed(mut self, beats: u32) -> Heartbeat {
        self.max_missed = beats;
        self
    }

    fn with_reply(mut self, new: Reply) -> Heartbeat {
        if let BeatKind::Text { reply, .. } = &mut self.kind {
            *reply = new;
        }
        self
    }

    /// The longest time from the last sign of life to the verdict; `None` without a heartbeat.
    pub(crate) fn patience(&self) -> Option<Duration> {
        (self.kind != BeatKind::Off).then(|| self.interval + self.timeout * self.max_missed)
    }

    /// No reply has fewer bytes.
    pub(crate) fn shortest_reply(&self) -> usize {
        match &self.kind {
            BeatKind::Text { reply: Reply::Exact(text) | Reply::Prefix(text), .. } => text.len(),
            _ => 0,
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.kind == BeatKind::Off {
            return Ok(());
        }
        check::time("heartbeat interval", self.interval)?;
        check::time("heartbeat timeout", self.timeout)?;
        if matches!(&self.kind, BeatKind::Text { reply: Reply::Prefix(prefix), .. } if prefix.is_empty()) {
            return Err(ConfigError::new(
                "heartbeat reply_prefix",
                "is empty; any_reply takes every message",
            ));
        }
        check::count("heartbeat max_missed", self.max_missed, 1..=1000)
    }
}

/// [`Heartbeat::ping`].
impl Default for Heartbeat {
    fn default() -> Heartbeat {
        Heartbeat::ping()
    }
}
