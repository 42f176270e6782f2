//! The link's policies under invented time: no clock, no socket, no thread, and no waiting.
//!
//! It plays the event loop's part for the same `Link` that every client has, so that what is rehearsed is what happens.

use super::failure::Failure;
use crate::Builder;
use crate::error::{Cause, ConfigError, LinkError, Phase};
use crate::event::{End, Event, MessageRef, State};
use crate::link::{Action, Beat, Input, Link, Verdict};
use std::fmt;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A client's settings played through: the test says what happens and when, and sees what the client does.
///
/// It has a clock of its own, which stands still until the test moves it on by [`advance`](Rehearsal::advance) or one of
/// the calls that wait; these return at once, whatever time they skip. The same seed gives the same random delays.
///
/// ```
/// use heartwire::testing::{Failure, Rehearsal};
/// use heartwire::{Client, Reconnect};
/// use std::time::Duration;
///
/// let builder = Client::builder("wss://example.com/feed")
///     .reconnect(Reconnect::exponential().give_up_after(Duration::from_secs(600)));
/// let mut client = Rehearsal::of(&builder, 7)?;
/// client.connect();
///
/// // An overloaded server is heeded.
/// let delay = client.fails(Failure::http_retry_after(503, Duration::from_secs(10))).expect("it tries again");
/// assert!(delay >= Duration::from_secs(10));
/// assert_eq!(client.wait_attempt(), delay);
///
/// // Ten minutes without a server are the end.
/// while let Some(_) = client.fails(Failure::refused()) {
///     client.wait_attempt();
/// }
/// assert!(client.now() <= Duration::from_secs(600));
/// assert!(client.end().is_some());
/// # Ok::<(), heartwire::ConfigError>(())
/// ```
///
/// # What is left out
///
/// A `before_connect` is not called: the attempt goes on as if it had said so. The greetings, the outbox and the messages
/// are no part of the policies; what a session is doing while the test says nothing is: being silent.
pub struct Rehearsal {
    link: Link,
    start: Instant,
    now: Instant,
    state: State,
    deeds: Vec<(Duration, Deed)>,
    end: Option<End>,
    /// What the socket has taken so far.
    written: u64,
    /// The last ping's payload, until it is answered.
    ping: Option<[u8; 8]>,
}

/// What the client does, in [`Rehearsal::deeds`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Deed {
    /// It begins an attempt to connect.
    Dials {
        /// The attempt, counted from 1 since the last stable session.
        attempt: u32,
        /// Which of its URLs it is for, from 0.
        url: usize,
    },
    /// It gives up the attempt in progress.
    GivesUpAttempt,
    /// It sends a heartbeat.
    Beats,
    /// It sends a Close frame.
    Closes {
        /// Its code, if it has one.
        code: Option<u16>,
    },
    /// It ends the connection.
    Ends,
    /// It tells the program of this.
    Tells(Event),
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Deed::Dials { attempt, url: 0 } => write!(f, "dials, attempt {attempt}"),
            Deed::Dials { attempt, url } => write!(f, "dials URL {}, attempt {attempt}", url + 1),
            Deed::GivesUpAttempt => f.write_str("gives up the attempt"),
            Deed::Beats => f.write_str("sends a heartbeat"),
            Deed::Closes { code: Some(code) } => write!(f, "sends Close {code}"),
            Deed::Closes { code: None } => f.write_str("sends Close"),
            Deed::Ends => f.write_str("ends the connection"),
            Deed::Tells(event) => write!(f, "tells: {event}"),
        }
    }
}

impl Rehearsal {
    /// A client with these settings, built and not connected yet. `seed` is what its random delays are drawn with.
    ///
    /// # Errors
    ///
    /// If the settings of heartbeat, reconnect or deadlines are such as [`Builder::build`] would refuse; the others are
    /// not looked at.
    pub fn of(builder: &Builder, seed: u64) -> Result<Rehearsal, ConfigError> {
        let rules = builder.rules()?;
        let start = Instant::now();
        Ok(Rehearsal {
            link: Link::new(Arc::new(rules), seed),
            start,
            now: start,
            state: State::Idle,
            deeds: Vec::new(),
            end: None,
            written: 0,
            ping: None,
        })
    }

    /// The program connects, and the first attempt begins.
    pub fn connect(&mut self) {
        self.input(Input::Connect);
    }

    /// The attempt fails; returns how long it is to the next one, or `None` if this was the last.
    ///
    /// # Panics
    ///
    /// If no attempt is in progress.
    #[track_caller]
    pub fn fails(&mut self, failure: Failure) -> Option<Duration> {
        self.assert_dialling();
        self.input(Input::DialFailed(failure.error()));
        self.retry_in()
    }

    /// The attempt succeeds.
    ///
    /// # Panics
    ///
    /// If no attempt is in progress.
    #[track_caller]
    pub fn opens(&mut self) {
        self.assert_dialling();
        self.ping = None;
        self.input(Input::Opened);
    }

    /// Bytes come from the server: a message, or a part of one.
    pub fn hears(&mut self) {
        self.input(Input::Heard);
    }

    /// A text message comes from the server; a reply to a heartbeat, if the settings say so.
    pub fn hears_text(&mut self, text: &str) {
        self.input(Input::Heard);
        self.link.message(MessageRef::Text(text), self.now);
        self.settle();
    }

    /// The server answers the last ping.
    ///
    /// # Panics
    ///
    /// If there is none without an answer.
    #[track_caller]
    pub fn pongs(&mut self) {
        let ping = self.ping.take().unwrap_or_else(|| panic!("there is no ping to answer:\n{self}"));
        self.input(Input::Heard);
        self.input(Input::Pong(&ping));
    }

    /// The connection is lost without a Close, by a reset; returns how long it is to the next attempt.
    ///
    /// # Panics
    ///
    /// If no session is open or closing.
    #[track_caller]
    pub fn is_lost(&mut self) -> Option<Duration> {
        self.assert_session();
        self.input(Input::SessionFailed(LinkError::io(Phase::Open, ErrorKind::ConnectionReset.into())));
        self.retry_in()
    }

    /// The stream ends without a Close; returns how long it is to the next attempt.
    ///
    /// # Panics
    ///
    /// If no session is open or closing.
    #[track_caller]
    pub fn ends(&mut self) -> Option<Duration> {
        self.assert_session();
        self.input(Input::SessionFailed(LinkError::new(Phase::Open, Cause::EndOfStream)));
        self.retry_in()
    }

    /// The server's Close comes, as the first one or as an answer, and then the stream's end; 1005 stands for one without a
    /// code. Returns how long it is to the next attempt.
    ///
    /// # Panics
    ///
    /// If no session is open or closing.
    #[track_caller]
    pub fn server_closes(&mut self, code: u16) -> Option<Duration> {
        self.assert_session();
        self.input(Input::PeerClose { code, reason: "" });
        self.retry_in()
    }

    /// The program closes the client. The server is still to answer, by [`server_closes`](Rehearsal::server_closes).
    pub fn closes(&mut self, code: u16) {
        self.input(Input::Close { code, reason: "" });
    }

    /// The program calls [`Client::reconnect_now`](crate::Client::reconnect_now).
    pub fn reconnects_now(&mut self) {
        self.input(Input::ReconnectNow);
    }

    /// The program pauses reading, or does not take its events; or goes on.
    pub fn pauses_reading(&mut self, paused: bool) {
        self.input(Input::ReadingPaused(paused));
    }

    /// The machine was suspended and wakes up; see [`advance`](Rehearsal::advance) for the time until the next deadline.
    pub fn wakes(&mut self) {
        self.input(Input::Woke);
    }

    /// So much time passes in which nothing comes from outside; all that the client does by itself is done.
    pub fn advance(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.due().filter(|due| *due <= until) {
            self.tick(due);
        }
        self.now = until;
    }

    /// Time passes until an attempt begins; returns how much. Zero if one is in progress already.
    ///
    /// # Panics
    ///
    /// If none will begin by itself.
    #[track_caller]
    pub fn wait_attempt(&mut self) -> Duration {
        self.wait(|state| matches!(state, State::Connecting(_)), "attempt")
    }

    /// Time passes, in silence, until the session is over; returns how much. Zero if none is open.
    ///
    /// # Panics
    ///
    /// If it will not end by itself.
    #[track_caller]
    pub fn wait_dead(&mut self) -> Duration {
        self.wait(|state| !matches!(state, State::Open | State::Closing), "end of the session")
    }

    #[track_caller]
    fn wait(&mut self, is_it: impl Fn(State) -> bool, what: &str) -> Duration {
        let since = self.now;
        while !is_it(self.state) {
            let Some(due) = self.due() else { panic!("there will be no {what}:\n{self}") };
            self.tick(due);
        }
        self.now - since
    }

    /// How much time has passed since the beginning.
    pub fn now(&self) -> Duration {
        self.now - self.start
    }

    /// The client's state.
    pub fn state(&self) -> State {
        self.state
    }

    /// How long until the next attempt begins, if nothing else happens; `None` unless the client waits for one.
    pub fn retry_in(&self) -> Option<Duration> {
        let waits = matches!(self.state, State::Waiting { .. });
        self.next_in().filter(|_| waits)
    }

    /// How long until the client does something by itself, or gives something up; `None` if it never will.
    pub fn next_in(&self) -> Option<Duration> {
        self.link.deadline().map(|due| due.saturating_duration_since(self.now))
    }

    /// How the client has ended for good, if it has.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Everything that the client has done, and when; the whole of it is this rehearsal's text, too.
    pub fn deeds(&self) -> &[(Duration, Deed)] {
        &self.deeds
    }

    #[track_caller]
    fn assert_dialling(&self) {
        assert!(matches!(self.state, State::Connecting(_)), "no attempt is in progress:\n{self}");
    }

    #[track_caller]
    fn assert_session(&self) {
        assert!(matches!(self.state, State::Open | State::Closing), "no session is open:\n{self}");
    }

    fn due(&self) -> Option<Instant> {
        self.link.deadline()
    }

    fn tick(&mut self, due: Instant) {
        self.now = self.now.max(due);
        self.input(Input::Tick { acknowledged: None });
    }

    fn input(&mut self, input: Input<'_>) {
        self.link.handle(input, self.now);
        self.settle();
    }

    /// Does what the link asks for, as a loop would whose network takes everything at once.
    fn settle(&mut self) {
        while let Some(action) = self.link.next_action() {
            let (deed, answer) = match action {
                Action::Prepare { .. } => (None, Some(Input::Prepared(Verdict::Go))),
                Action::Dial { attempt, url } => (Some(Deed::Dials { attempt, url }), None),
                Action::AbandonDial => (Some(Deed::GivesUpAttempt), None),
                Action::Beat(beat) => {
                    if let Beat::Ping(payload) = beat {
                        self.ping = Some(payload);
                    }
                    self.written += 16;
                    let written = Input::BeatWritten { accepted: self.written, acknowledged: None };
                    (Some(Deed::Beats), Some(written))
                }
                Action::Drain => (None, Some(Input::Drained)),
                Action::WriteClose { code, .. } => (Some(Deed::Closes { code }), Some(Input::CloseWritten)),
                Action::ShutdownWrite => (None, Some(Input::StreamEnded)),
                Action::EndSession { .. } => (Some(Deed::Ends), None),
                Action::Tell(event) => {
                    match &event {
                        Event::State(state) => self.state = *state,
                        Event::ClosedForGood(end) => self.end = Some(end.clone()),
                        _ => {}
                    }
                    (Some(Deed::Tells(event)), None)
                }
            };
            self.deeds.extend(deed.map(|deed| (self.now - self.start, deed)));
            if let Some(answer) = answer {
                self.link.handle(answer, self.now);
            }
        }
    }
}

/// One line for each deed: the second at which it was done, and what it was.
impl fmt::Display for Rehearsal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, deed) in &self.deeds {
            writeln!(f, "{:>10.3} s  {deed}", at.as_secs_f64())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Rehearsal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rehearsal")
            .field("now", &self.now())
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
