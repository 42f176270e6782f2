//! A WebSocket server that misbehaves as it is told, or a relay in front of another one, as a program: for tests of
//! programs in any language, in any CI.
//!
//! `cargo run --example heartwire-chaos -- --help` tells all of it; `cargo build --release --example heartwire-chaos` makes
//! the program. Built from [`heartwire::testing`]; not made for the open network.

mod arguments;
mod commands;
mod steps;

use std::io::{self, BufRead, Write};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use arguments::{Arguments, Asked, What};
use commands::Running;
use crossbeam_channel::{Receiver, unbounded};
use heartwire::testing::{Authority, Ending, Relay, RelayEvent, ServerEvent, Setup};

/// How often events, input and time are looked at.
const BEAT: Duration = Duration::from_millis(10);

fn main() -> ExitCode {
    match arguments::parse(std::env::args_os().skip(1)) {
        Ok(Asked::Help) => {
            println!("{}", arguments::help());
            ExitCode::SUCCESS
        }
        Ok(Asked::Run(asked)) => run(asked),
        Err(problem) => {
            eprintln!("heartwire-chaos: {problem}\n{}", arguments::USAGE);
            ExitCode::from(2)
        }
    }
}

fn run(asked: Arguments) -> ExitCode {
    let ends_with_input = asked.time.is_none() && asked.connections.is_none();
    let (running, url) = match start(asked.what) {
        Ok(started) => started,
        Err(error) => {
            eprintln!("heartwire-chaos: {error}");
            return ExitCode::from(3);
        }
    };
    let input = lines_of_input();
    let mut stay = Stay {
        ends_with_input,
        until: asked.time.map(|time| Instant::now() + time),
        last: asked.connections.map(|n| format!("ended {n} ")),
        is_last_over: false,
    };
    // Nobody reads any more: nothing is left to do.
    let _ = say(&url).and_then(|()| serve(&running, &input, &mut stay));
    let left = steps_left(&running);
    let _ = say(&format!("over {left}"));
    if left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn start(what: What) -> io::Result<(Running, String)> {
    Ok(match what {
        What::Relay { target, script } => {
            let relay = Relay::script(target, script);
            let url = relay.ws_url();
            (Running::Relay(relay), url)
        }
        What::Server { script, ca_file } => {
            let setup = Setup::script(script);
            let server = match ca_file {
                Some(file) => setup.tls(certified(&file)?.server()).start(),
                None => setup.start(),
            };
            let url = server.url();
            (Running::Server(server), url)
        }
    })
}

fn certified(file: &Path) -> io::Result<Authority> {
    let authority = Authority::generate();
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", file.display()));
    std::fs::write(file, authority.pem()).map_err(named)?;
    Ok(authority)
}

/// How long it goes on.
struct Stay {
    ends_with_input: bool,
    until: Option<Instant>,
    /// How the line begins that says that the last connection is over.
    last: Option<String>,
    is_last_over: bool,
}

impl Stay {
    fn is_over(&self) -> bool {
        self.is_last_over || self.until.is_some_and(|until| until <= Instant::now())
    }
}

fn serve(running: &Running, input: &Receiver<Option<String>>, stay: &mut Stay) -> io::Result<()> {
    loop {
        tell_events(running, BEAT, stay)?;
        if stay.is_over() {
            return Ok(());
        }
        for line in input.try_iter() {
            match line.as_deref().map(str::trim) {
                None if stay.ends_with_input => return tell_events(running, Duration::ZERO, stay),
                Some("quit") => return tell_events(running, Duration::ZERO, stay),
                None | Some("") => {}
                Some(line) => {
                    let answer = commands::obey(running, line);
                    // What it has caused stands behind it.
                    match answer {
                        Ok(()) => say(&format!("did {}", line.escape_default()))?,
                        Err(problem) => say(&format!("cannot {}: {problem}", line.escape_default()))?,
                    }
                }
            }
        }
    }
}

/// Says what has happened, having waited a little for something to happen.
fn tell_events(running: &Running, mut wait: Duration, stay: &mut Stay) -> io::Result<()> {
    loop {
        let line = match running {
            Running::Server(server) => server.next_event(wait).map(|event| of_server(&event)),
            Running::Relay(relay) => relay.next_event(wait).map(|event| of_relay(&event)),
        };
        let Some(line) = line else { return Ok(()) };
        stay.is_last_over |= stay.last.as_ref().is_some_and(|last| line.starts_with(last));
        say(&line)?;
        if stay.is_over() {
            return Ok(());
        }
        wait = Duration::ZERO;
    }
}

fn of_server(event: &ServerEvent) -> String {
    match event {
        ServerEvent::Accepted { n } => format!("accepted {n}"),
        ServerEvent::Connected { n, request } => format!("connected {n} {}", request.target()),
        ServerEvent::Refused { n, request } => format!("refused {n} {}", request.target()),
        ServerEvent::Message { n, message } => match message.as_text() {
            Some(text) => format!("message {n} text {}", one_line(text)),
            None => format!("message {n} binary {}", message.len()),
        },
        ServerEvent::Ping { n, .. } => format!("ping {n}"),
        ServerEvent::Pong { n, .. } => format!("pong {n}"),
        ServerEvent::Closed { n, code, reason } => {
            let code = code.map_or("-".to_owned(), |code| code.to_string());
            format!("closed {n} {code} {}", one_line(reason)).trim_end().to_owned()
        }
        ServerEvent::Ended { n, ending } => {
            let how = match ending {
                Ending::Fin => "fin".to_owned(),
                Ending::Reset => "reset".to_owned(),
                Ending::Cut => "cut".to_owned(),
                Ending::Violation(rule) => format!("violation {}", one_line(rule)),
                Ending::Tls(reason) => format!("tls {}", one_line(reason)),
                Ending::Io(reason) => format!("io {}", one_line(reason)),
                _ => "script".to_owned(),
            };
            format!("ended {n} {how}")
        }
        other => format!("other {}", one_line(&format!("{other:?}"))),
    }
}

fn of_relay(event: &RelayEvent) -> String {
    match event {
        RelayEvent::Accepted { n } => format!("accepted {n}"),
        RelayEvent::Cut { n } => format!("ended {n} cut"),
        RelayEvent::Ended { n } => format!("ended {n} ended"),
        other => format!("other {}", one_line(&format!("{other:?}"))),
    }
}

/// Without line breaks and other control characters; a backslash is two.
fn one_line(text: &str) -> String {
    let escaped =
        |c: char| if c.is_control() || c == '\\' { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

fn steps_left(running: &Running) -> usize {
    match running {
        Running::Server(server) => server.steps_left(),
        Running::Relay(relay) => relay.steps_left(),
    }
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Reads the input on a thread of its own; `None` is its end.
fn lines_of_input() -> Receiver<Option<String>> {
    let (tell, lines) = unbounded();
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if tell.send(Some(line)).is_err() {
                return;
            }
        }
        let _ = tell.send(None);
    });
    lines
}
