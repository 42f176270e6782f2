//! Everything heartwire promises, on real sockets, in ten seconds: `cargo run --example demo`.
//!
//! It needs no network and no set-up: an echo server runs inside this program. The story is told chapter by chapter in
//! [`tell`]; each chapter waits for what is promised to happen, with one deadline for all, and marks it as kept. What
//! was not kept at the end is listed, and the status is 1.

mod promises;
mod timeline;

use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use heartwire::testing::{Behaviour, Server, ServerEvent};
use heartwire::{Cause, Client, End, Event, Fate, Heartbeat, Initiator, Message, Reconnect, State};
use promises::{Promise, Promises};
use timeline::{Timeline, milliseconds};

/// The story takes about nine seconds; what has not happened by then will not.
const WHOLE_STORY: Duration = Duration::from_secs(18);
const HEARTBEAT: Duration = Duration::from_secs(1);
const HEARTBEAT_TIMEOUT: Duration = Duration::from_millis(500);

const FIRST_MESSAGE: &str = "hello, server";
const ECHOES: [&str; 4] = ["one", "two", "three", "four"];
const WAITING: [&str; 3] = ["written while down: A", "written while down: B", "written while down: C"];
const LAST_MESSAGE: &str = "still here";

fn main() -> ExitCode {
    let began = Instant::now();
    let mut story = match Story::begin(began) {
        Ok(story) => story,
        Err(error) => {
            eprintln!("the demo could not begin: {error}");
            return ExitCode::FAILURE;
        }
    };
    if let Err(Missed(what)) = tell(&mut story) {
        story.timeline.say("missed", &format!("{what} did not happen in time; the story ends here"));
    }
    story.balance();
    story.verdict()
}

fn tell(story: &mut Story) -> Result<(), Missed> {
    story.a_link_opens()?;
    story.every_message_comes_back()?;
    story.the_heart_beats()?;
    story.the_server_is_cut_off()?;
    story.what_waited_arrives()?;
    story.the_server_goes_silent()?;
    story.the_end_is_clean()
}

/// What did not happen before the story's deadline.
struct Missed(&'static str);

struct Story {
    server: Server,
    client: Client,
    events: Receiver<Event>,
    timeline: Timeline,
    promises: Promises,
    deadline: Instant,
    /// All that was accepted for sending, in order, and when: what the server must have seen in the end.
    sent: Vec<(&'static str, Instant)>,
    states: Vec<State>,
    /// Messages that an outcome said were written, and those it said were not.
    written: u64,
    unwritten: u64,
}

impl Story {
    fn begin(began: Instant) -> Result<Story, heartwire::Error> {
        let timeline = Timeline::new(began);
        timeline.chapter("A server, and a client that connects to it");
        let server = Server::start(Behaviour::echo());
        timeline.say("server", &format!("listens on {} and echoes every message", server.address()));

        // The heartbeat and the delays are shorter than one would choose in production, so that the story is, too.
        let client = Client::builder(&server.url())
            .name("demo")
            .heartbeat(Heartbeat::ping().after_silence(HEARTBEAT).timeout(HEARTBEAT_TIMEOUT).max_missed(2))
            .reconnect(
                Reconnect::exponential()
                    .floor(Duration::from_millis(200))
                    .base(Duration::from_millis(300))
                    .stable_after(Duration::from_secs(1)),
            )
            .report_outcomes(true)
            .build()?;
        // Before connect, so that no event is missed.
        let events = client.events();
        Ok(Story {
            server,
            client,
            events,
            timeline,
            promises: Promises::default(),
            deadline: began + WHOLE_STORY,
            sent: Vec::new(),
            states: Vec::new(),
            written: 0,
            unwritten: 0,
        })
    }

    // ---- the chapters --------------------------------------------------------------------

    fn a_link_opens(&mut self) -> Result<(), Missed> {
        // The first message goes out as soon as the link is open; connect itself returns at once.
        let now = Instant::now();
        match self.client.connect_with(FIRST_MESSAGE) {
            Ok(()) => self.sent.push((FIRST_MESSAGE, now)),
            Err(error) => self.timeline.say("missed", &format!("connect was refused: {error}")),
        }
        self.wait_for("an open link", |event| matches!(event, Event::Open(opened) if opened.is_first()))?;
        self.promises.keep(Promise::Open);
        self.wait_for("the echo of the first message", |event| is_text(event, FIRST_MESSAGE))?;
        self.promises.keep(Promise::FirstMessage);
        Ok(())
    }

    fn every_message_comes_back(&mut self) -> Result<(), Missed> {
        self.timeline.chapter("Every message comes back");
        for text in ECHOES {
            self.send(text);
            self.wait_for("an echo", |event| is_text(event, text))?;
        }
        self.promises.keep(Promise::Echoes);
        Ok(())
    }

    fn the_heart_beats(&mut self) -> Result<(), Missed> {
        self.timeline.chapter("Nobody says anything; the heartbeat makes sure that someone is there");
        for _ in 0..3 {
            self.wait_for("a heartbeat", |event| matches!(event, Event::Heartbeat(_)))?;
        }
        self.promises.keep(Promise::Heartbeats);
        Ok(())
    }

    fn the_server_is_cut_off(&mut self) -> Result<(), Missed> {
        self.timeline.chapter("The server is cut off hard, and refuses to be reached");
        self.server.stop();
        self.timeline.say("server", "gone");
        self.wait_for(
            "the loss of the link",
            |event| matches!(event, Event::Close(closed) if closed.by() == Initiator::Network),
        )?;
        self.promises.keep(Promise::CutNoticed);

        for text in WAITING {
            self.send(text);
        }
        let bytes: usize = WAITING.iter().map(|text| text.len()).sum();
        if self.client.buffered_amount() == bytes {
            self.promises.keep(Promise::MessagesWait);
        }
        let waiting = self.client.stats().queued_messages();
        self.timeline
            .say("waiting", &format!("{waiting} messages, {bytes} bytes, for the link to come back"));

        for _ in 0..2 {
            self.wait_for(
                "a failed attempt with a delay after it",
                |event| matches!(event, Event::ConnectFailed(failed) if failed.retry_in().is_some()),
            )?;
        }
        self.promises.keep(Promise::Attempts);
        let explained = self.client.explain();
        let first = explained.lines().next().unwrap_or_default();
        self.timeline.say("explain", first);
        if first.contains("attempt 2 failed: connect failed") {
            self.promises.keep(Promise::Explained);
        }
        Ok(())
    }

    fn what_waited_arrives(&mut self) -> Result<(), Missed> {
        self.timeline.chapter("The server is back; nobody has to tell the client");
        self.server.restart();
        self.timeline.say("server", "listens again");
        self.wait_for("an open link again", is_reopened)?;
        self.promises.keep(Promise::OpenAgain);
        let mut arrived = Vec::new();
        self.wait_for("the echoes of what waited", |event| {
            arrived.extend(text_of(event).map(str::to_owned));
            arrived.len() == WAITING.len()
        })?;
        // What counts is the order in which the server got them, not that of our own echoes.
        if arrived == WAITING && self.server_got_all() {
            self.promises.keep(Promise::InOrder);
        }
        Ok(())
    }

    fn the_server_goes_silent(&mut self) -> Result<(), Missed> {
        self.timeline.chapter("The server goes silent: the connection stays, but no byte comes any more");
        self.server.mute();
        self.timeline.say(
            "server",
            "reads nothing and says nothing; after 1 s a ping, and two of them may miss 0.5 s each",
        );
        self.wait_for("the heartbeat's verdict", |event| {
            let Event::Close(closed) = event else { return false };
            matches!(closed.error().map(|error| error.cause()), Some(Cause::Silent { .. }))
        })?;
        self.promises.keep(Promise::SilenceNoticed);
        self.server.unmute();
        self.wait_for("an open link after the silence", is_reopened)?;
        self.send(LAST_MESSAGE);
        self.wait_for("the echo after the silence", |event| is_text(event, LAST_MESSAGE))?;
        self.promises.keep(Promise::Healed);
        Ok(())
    }

    fn the_end_is_clean(&mut self) -> Result<(), Missed> {
        self.timeline.chapter("The client closes");
        if let Err(error) = self.client.close(1000, "the story ends") {
            self.timeline.say("missed", &format!("the close was refused: {error}"));
        }
        let mut clean = false;
        self.wait_for("the end", |event| {
            clean |= matches!(event, Event::Close(closed) if closed.is_clean() && closed.code() == 1000);
            matches!(event, Event::ClosedForGood(End::Closed))
        })?;
        if clean && self.server_saw_close(1000) {
            self.promises.keep(Promise::CleanClose);
        }
        Ok(())
    }

    /// What became of every message that was ever accepted.
    fn balance(&mut self) {
        self.timeline.chapter("The balance");
        let stats = self.client.stats();
        let dropped = stats.expired() + stats.evicted() + stats.dropped_on_close();
        let lines = [
            ("accepted", stats.accepted(), "messages, from this program"),
            ("written", stats.messages_sent(), "to a socket, whole"),
            ("dropped", dropped, "expired, evicted, or left at the close"),
            ("unknown", stats.unknown(), "handed to a connection that died too early to tell"),
            ("queued", stats.queued_messages() as u64, "still waiting to be written"),
            ("received", stats.messages_received(), "messages, from the server"),
            ("sessions", stats.sessions(), "opened"),
            ("attempts", stats.attempts(), "begun"),
        ];
        for (word, number, meaning) in lines {
            self.timeline.say(word, &format!("{number:>3}  {meaning}"));
        }
        let adds_up = stats.accepted() == stats.messages_sent() + dropped + stats.unknown();
        let told = self.written == stats.messages_sent() && self.unwritten == dropped + stats.unknown();
        if adds_up && told && stats.accepted() == self.sent.len() as u64 && stats.queued_messages() == 0 {
            self.promises.keep(Promise::Balance);
        }
        if self.server_got_all() && dropped + stats.unknown() == 0 {
            self.promises.keep(Promise::NothingLost);
        }
        if passed_through(&self.states) {
            self.promises.keep(Promise::States);
        }
    }

    fn verdict(self) -> ExitCode {
        let missing = self.promises.missing();
        if missing.is_empty() {
            self.timeline.good("Every promise was kept; nothing was lost in silence.");
            return ExitCode::SUCCESS;
        }
        self.timeline.bad("Not everything that was promised happened. Missing:");
        for promise in missing {
            self.timeline.bad(&format!("  - {promise}"));
        }
        ExitCode::FAILURE
    }

    // ---- what the chapters are made of ---------------------------------------------------

    /// Sends a text. `Ok` means accepted: while the link is down the message waits.
    fn send(&mut self, text: &'static str) {
        let now = Instant::now();
        match self.client.send_text(text) {
            Ok(id) => {
                self.timeline.say("send", &format!("{id} \"{text}\""));
                self.sent.push((text, now));
            }
            Err(error) => self.timeline.say("missed", &format!("\"{text}\" was not accepted: {error}")),
        }
    }

    /// Shows and notes all that happens, until what is waited for does.
    fn wait_for(&mut self, what: &'static str, mut wanted: impl FnMut(&Event) -> bool) -> Result<(), Missed> {
        while let Ok(event) = self.events.recv_deadline(self.deadline) {
            self.note(&event);
            if wanted(&event) {
                return Ok(());
            }
        }
        Err(Missed(what))
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::State(state) => self.states.push(*state),
            Event::Outcome(outcome) if matches!(outcome.fate(), Fate::Completed(_)) => {
                self.written += outcome.count();
            }
            Event::Outcome(outcome) => self.unwritten += outcome.count(),
            _ => {}
        }
        match text_of(event) {
            Some(text) => self.timeline.say("echo", &format!("\"{text}\"{}", self.age(text))),
            None => self.timeline.event(event),
        }
    }

    /// How long ago a text was sent.
    fn age(&self, text: &str) -> String {
        match self.sent.iter().find(|(sent, _)| *sent == text) {
            Some((_, at)) => format!(" is back after {}", milliseconds(at.elapsed())),
            None => String::new(),
        }
    }

    fn server_got_all(&self) -> bool {
        let sent = self.sent.iter().map(|(text, _)| *text);
        self.server.received_texts().iter().map(String::as_str).eq(sent)
    }

    fn server_saw_close(&self, wanted: u16) -> bool {
        let saw = std::iter::from_fn(|| {
            self.server.next_event(self.deadline.saturating_duration_since(Instant::now()))
        })
        .try_for_each(|event| match event {
            ServerEvent::Closed { code, .. } => ControlFlow::Break(code == Some(wanted)),
            _ => ControlFlow::Continue(()),
        });
        saw == ControlFlow::Break(true)
    }
}

fn text_of(event: &Event) -> Option<&str> {
    match event {
        Event::Message(message) => Message::as_text(message),
        _ => None,
    }
}

fn is_text(event: &Event, text: &str) -> bool {
    text_of(event) == Some(text)
}

fn is_reopened(event: &Event) -> bool {
    matches!(event, Event::Open(opened) if !opened.is_first())
}

/// Whether the states went connecting, open, waiting, connecting, open, waiting, connecting, open, closing, closed,
/// with whatever attempts there were in between.
fn passed_through(states: &[State]) -> bool {
    let is_connecting = |state: &State| matches!(state, State::Connecting(_));
    let is_waiting = |state: &State| matches!(state, State::Waiting { .. });
    let is_open = |state: &State| *state == State::Open;
    let is_closing = |state: &State| *state == State::Closing;
    let is_closed = |state: &State| *state == State::Closed;
    let way: [&dyn Fn(&State) -> bool; 10] = [
        &is_connecting,
        &is_open,
        &is_waiting,
        &is_connecting,
        &is_open,
        &is_waiting,
        &is_connecting,
        &is_open,
        &is_closing,
        &is_closed,
    ];
    let mut seen = states.iter();
    way.iter().all(|step| seen.any(step))
}
