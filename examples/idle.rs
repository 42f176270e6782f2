//! Holds a client open and does nothing for so many seconds: `cargo run --example idle -- 10`.
//!
//! `.ci/run idle_syscalls` traces it and counts the system calls between the two lines that it prints. Those of the
//! thread that prints them, this one, do not count; everything else is in this process, too, the server included, and
//! must be quiet: the client's event loop, because its next heartbeat is further away, and its dispatch thread.

use std::error::Error;
use std::io::{Write, stdout};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use crossbeam_channel::Receiver;
use heartwire::testing::{Behaviour, Server};
use heartwire::{Client, Event, Heartbeat, State};

const SOON: Duration = Duration::from_secs(10);
/// How long threads may take to go to sleep after the last message came through. No event tells of it.
const SETTLING: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let seconds = std::env::args().nth(1).and_then(|given| given.parse().ok());
    let Some(seconds) = seconds.filter(|seconds| (1..=3600).contains(seconds)) else {
        eprintln!("usage: idle SECONDS (from 1 to 3600)");
        return ExitCode::from(2);
    };
    match idle(Duration::from_secs(seconds)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("idle: {error}");
            ExitCode::FAILURE
        }
    }
}

fn idle(time: Duration) -> Result<(), Box<dyn Error>> {
    let server = Server::start(Behaviour::echo());
    let heartbeat = Heartbeat::ping().after_silence(2 * (time + SETTLING + SOON));
    let client = Client::builder(&server.url()).name("idle").heartbeat(heartbeat).build()?;
    let events = client.events();
    client.connect()?;
    echo(&client, &events, "before")?;
    thread::sleep(SETTLING);

    // One write each: the lines are what the trace is cut at.
    stdout().write_all(b"idle begins\n")?;
    thread::sleep(time);
    stdout().write_all(b"idle ends\n")?;

    // A client that was not connected would have been quiet, too.
    echo(&client, &events, "after")?;
    let sessions = client.stats().sessions();
    if sessions != 1 || client.state() != State::Open {
        return Err(format!("{sessions} sessions, now {}", client.state()).into());
    }
    Ok(())
}

fn echo(client: &Client, events: &Receiver<Event>, text: &str) -> Result<(), Box<dyn Error>> {
    client.send_text(text)?;
    loop {
        match events.recv_timeout(SOON)? {
            Event::Message(message) if message.as_text() == Some(text) => return Ok(()),
            _ => {}
        }
    }
}
