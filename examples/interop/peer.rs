//! A client whose events are awaited one by one: whatever comes instead of the one wanted is a failure in words.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use heartwire::{
    Builder, Client, End, Event, Heartbeat, Initiator, Message, Opened, Reconnect, SessionClosed,
};

use crate::Checked;

/// How long anything is waited for; much longer than it takes.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// The delay before each further attempt.
pub(crate) const DELAY: Duration = Duration::from_millis(50);

/// The server's URL without a path, and whom to trust.
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) ca: Option<PathBuf>,
}

impl Target {
    /// A client's settings, with short fixed delays and no heartbeat.
    pub(crate) fn builder(&self, path: &str) -> Builder {
        let builder = Client::builder(&format!("{}{path}", self.url))
            .reconnect(Reconnect::fixed(DELAY))
            .heartbeat(Heartbeat::off());
        match &self.ca {
            None => builder,
            #[cfg(feature = "native-tls")]
            Some(file) => builder.tls(heartwire::Tls::new().system_roots(false).ca_file(file)),
            #[cfg(not(feature = "native-tls"))]
            Some(_) => builder,
        }
    }
}

pub(crate) struct Peer {
    pub(crate) client: Client,
}

impl Peer {
    /// Connects, and waits for the first session.
    pub(crate) fn open(builder: Builder) -> Result<(Peer, Opened), String> {
        let peer = Peer::begin(builder)?;
        let opened = peer.opened()?;
        equal("the first session's number of attempts", opened.attempt(), 1)?;
        equal("whether it is the first session", opened.is_first(), true)?;
        Ok((peer, opened))
    }

    pub(crate) fn begin(builder: Builder) -> Result<Peer, String> {
        Ok(Peer { client: builder.connect().map_err(|error| error.to_string())? })
    }

    /// The next event that is no change of the state.
    pub(crate) fn next(&self, wanted: &str) -> Result<Event, String> {
        let deadline = Instant::now() + SOON;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.client.recv_timeout(left) {
                Ok(Event::State(_)) => {}
                Ok(event) => return Ok(event),
                Err(error) => return Err(format!("no {wanted}: {error} ({})", self.client.state())),
            }
        }
    }

    pub(crate) fn opened(&self) -> Result<Opened, String> {
        match self.next("open")? {
            Event::Open(opened) => Ok(opened),
            other => unexpected("an open", &other),
        }
    }

    pub(crate) fn message(&self) -> Result<Message, String> {
        match self.next("message")? {
            Event::Message(message) => Ok(message),
            other => unexpected("a message", &other),
        }
    }

    pub(crate) fn text(&self, wanted: &str) -> Result<(), String> {
        match self.message()?.as_text() {
            Some(text) if text == wanted => Ok(()),
            _ => Err(format!("another message than {wanted:?}")),
        }
    }

    pub(crate) fn closed(&self) -> Result<SessionClosed, String> {
        match self.next("close")? {
            Event::Close(closed) => Ok(closed),
            other => unexpected("a close", &other),
        }
    }

    pub(crate) fn ended(&self) -> Result<End, String> {
        match self.next("end")? {
            Event::ClosedForGood(end) => Ok(end),
            other => unexpected("the end", &other),
        }
    }

    pub(crate) fn send(&self, message: &Message) -> Result<(), String> {
        let sent = self.client.send_with(message.as_ref(), heartwire::SendOptions::new());
        sent.map(drop).map_err(|error| error.to_string())
    }

    /// Closes, and sees that it is a clean close and the end.
    pub(crate) fn close(self, code: u16, reason: &str) -> Result<(), String> {
        self.client.close(code, reason).map_err(|error| error.to_string())?;
        let closed = self.closed()?;
        equal("the code of our close", closed.code(), code)?;
        equal("whether our close was clean", closed.is_clean(), true)?;
        equal("who closed", closed.by(), Initiator::User)?;
        equal("the next attempt after our close", closed.retry_in(), None)?;
        equal("the error of our close", closed.error().map(ToString::to_string), None)?;
        match self.ended()? {
            End::Closed => Ok(()),
            other => Err(format!("after our close the client ended so: {other}")),
        }
    }
}

/// What the server wrote of this run, as soon as there is something.
pub(crate) fn seen(target: &Target, run: &str) -> Checked {
    let (peer, _) = Peer::open(target.builder(&format!("/seen?run={run}")))?;
    let deadline = Instant::now() + SOON;
    loop {
        peer.send(&Message::text("what?"))?;
        let message = peer.message()?;
        if !message.is_empty() {
            peer.close(1000, "")?;
            return Ok(message.to_string());
        }
        if Instant::now() >= deadline {
            return Err("the server has seen nothing".into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A name that no other run has.
pub(crate) fn run_name(what: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{what}-{}-{}", std::process::id(), now.as_nanos())
}

pub(crate) fn equal<T: PartialEq + std::fmt::Debug>(what: &str, is: T, wanted: T) -> Result<(), String> {
    if is == wanted { Ok(()) } else { Err(format!("{what} is {is:?}, not {wanted:?}")) }
}

pub(crate) fn unexpected<T>(wanted: &str, came: &Event) -> Result<T, String> {
    let came = match came {
        Event::Message(message) => format!("{message:?}"),
        other => other.to_string(),
    };
    Err(format!("instead of {wanted} came: {came}"))
}
