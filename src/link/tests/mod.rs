//! What the policies promise, with invented time.

mod before_connect;
mod clock;
mod closing;
mod heartbeat;
mod link;
mod outbox;
mod pieces;
mod properties;
mod proving;
mod reconnect;
mod redirect;
mod turns;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::heartbeat::Heartbeat;
use crate::config::reconnect::Reconnect;
use crate::error::{Cause, LinkError, Phase, ProtocolFault, Refusal};
use crate::event::{End, Event, State};
use crate::link::{Action, Input, Link, Rules};

const MS: Duration = Duration::from_millis(1);
const SEC: Duration = Duration::from_secs(1);

fn rules() -> Rules {
    Rules {
        heartbeat: Heartbeat::ping(),
        reconnect: Reconnect::fixed(5 * SEC),
        connect_timeout: 15 * SEC,
        close_timeout: 5 * SEC,
        before_connect: false,
        urls: 1,
        url_penalty: 60 * SEC,
    }
}

/// A link with its invented clock.
struct Bench {
    link: Link,
    now: Instant,
}

impl Bench {
    fn new(rules: Rules) -> Bench {
        Bench { link: Link::new(Arc::new(rules), 1), now: Instant::now() }
    }

    /// A link whose first session opened at the start.
    fn open(rules: Rules) -> Bench {
        let mut bench = Bench::new(rules);
        assert_eq!(bench.after(Input::Connect), "connecting Resolve, dial 1");
        assert_eq!(bench.after(Input::Opened), "open, opened by 1 first");
        bench
    }

    /// What the link wants after this input, in words.
    fn after(&mut self, input: Input<'_>) -> String {
        self.link.handle(input, self.now);
        self.wants()
    }

    /// So much time passes at once, and then there is a tick.
    fn pass(&mut self, time: Duration) -> String {
        self.now += time;
        self.after(Input::Tick { acknowledged: None })
    }

    /// Time passes to the link's deadline.
    fn at_deadline(&mut self) -> String {
        self.now = self.link.deadline().expect("nothing is due").max(self.now);
        self.after(Input::Tick { acknowledged: None })
    }

    /// How long until the link wants a tick.
    fn due(&self) -> Option<Duration> {
        self.link.deadline().map(|at| at.saturating_duration_since(self.now))
    }

    fn wants(&mut self) -> String {
        let mut words = Vec::new();
        while let Some(action) = self.link.next_action() {
            words.push(word(&action));
        }
        words.join(", ")
    }
}

fn word(action: &Action) -> String {
    let retries = |retry: Option<Duration>| if retry.is_some() { "retries" } else { "final" };
    match action {
        Action::Prepare { attempt, error, .. } => {
            format!("prepare {attempt}{}", if error.is_some() { " again" } else { "" })
        }
        Action::Dial { attempt, url: 0 } => format!("dial {attempt}"),
        Action::Dial { attempt, url } => format!("dial {attempt} at {url}"),
        Action::AbandonDial => "abandon".into(),
        Action::Beat(_) => "beat".into(),
        Action::Drain => "drain".into(),
        Action::WriteClose { code: Some(code), .. } => format!("write close {code}"),
        Action::WriteClose { code: None, .. } => "write close".into(),
        Action::ShutdownWrite => "shutdown".into(),
        Action::EndSession { abort: true } => "abort".into(),
        Action::EndSession { abort: false } => "end".into(),
        Action::Tell(Event::State(State::Connecting(phase))) => format!("connecting {phase:?}"),
        Action::Tell(Event::State(State::Waiting { attempt, .. })) => format!("waiting for {attempt}"),
        Action::Tell(Event::State(state)) => state.to_string(),
        Action::Tell(Event::Open(opened)) => {
            format!("opened by {}{}", opened.attempt(), if opened.is_first() { " first" } else { "" })
        }
        Action::Tell(Event::Close(closed)) => {
            let clean = if closed.is_clean() { "clean" } else { "unclean" };
            format!("close {} {clean} by {:?} {}", closed.code(), closed.by(), retries(closed.retry_in()))
        }
        Action::Tell(Event::ConnectFailed(failed)) => {
            format!("failed {} {}", failed.attempt(), retries(failed.retry_in()))
        }
        Action::Tell(Event::Error(_)) => "error".into(),
        Action::Tell(Event::Heartbeat(time)) => format!("answered in {time:?}"),
        Action::Tell(Event::ClosedForGood(end)) => match end {
            End::Closed => "the end: closed".into(),
            End::GaveUp(error) => format!("the end: gave up ({error})"),
            End::Fatal(error) => format!("the end: fatal ({error})"),
            other => format!("the end: {other}"),
        },
        Action::Tell(other) => format!("{other:?}"),
    }
}

fn reset() -> LinkError {
    LinkError::io(Phase::Open, io::ErrorKind::ConnectionReset.into())
}

fn unreachable() -> LinkError {
    LinkError::io(Phase::Connect, io::ErrorKind::NetworkUnreachable.into())
}

fn fault(fault: ProtocolFault) -> LinkError {
    LinkError::new(Phase::Open, Cause::Protocol(fault))
}

fn refused(status: u16, headers: &[(&str, &str)]) -> LinkError {
    let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    LinkError::new(Phase::Upgrade, Cause::Refused(Arc::new(Refusal { status, headers, body: Vec::new() })))
}

fn closed(code: u16) -> LinkError {
    LinkError::new(Phase::Open, Cause::Closed { code, reason: String::new() })
}

fn drain<T>(mut next: impl FnMut() -> Option<T>) -> VecDeque<T> {
    std::iter::from_fn(&mut next).collect()
}
