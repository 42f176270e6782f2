//! Talks to a WebSocket server from the terminal, and stays connected: `cargo run --example talk -- ws://HOST/`.
//!
//! Lines from standard input are sent, messages are printed on standard output, and what happens to the link is told on
//! standard error. Two threads: one reads lines and sends them, the main one prints. `--help` tells the rest.

mod arguments;
mod screen;

use std::io::BufRead;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use arguments::{Arguments, Asked};
use crossbeam_channel::{Receiver, Sender, after, never, select, unbounded};
use heartwire::{Client, ConfigError, End, Event, Heartbeat, OutboxLimits, Reconnect};
use screen::Screen;

const BAD_ARGUMENTS: u8 = 2;
/// What shells report for a program that SIGINT ended: 128 + 2.
const INTERRUPTED: i32 = 130;
/// Longer than any terminal stays open; the library takes no longer times.
const A_WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

fn main() -> ExitCode {
    let arguments = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(Asked::Talk(arguments)) => arguments,
        Ok(Asked::Help) => {
            return if screen::print(arguments::HELP) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Err(problem) => return refuse(&problem),
    };
    if arguments.verbose {
        screen::show_log_lines();
    }
    let client = match build(&arguments) {
        Ok(client) => client,
        Err(error) => return refuse(&error.to_string()),
    };
    match talk(&client, &arguments) {
        Ok(status) => status,
        Err(error) => {
            screen::tell(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn refuse(problem: &str) -> ExitCode {
    screen::tell(&format!("{problem}\n\n{}", arguments::USAGE));
    ExitCode::from(BAD_ARGUMENTS)
}

fn build(arguments: &Arguments) -> Result<Client, ConfigError> {
    let mut builder = Client::builder(&arguments.url)
        // A pipe may be faster than the network: then the thread that reads lines waits, and nothing is refused.
        .outbox(OutboxLimits::new().block_when_full(A_WEEK))
        .heartbeat(match arguments.heartbeat {
            Some(time) => Heartbeat::ping().after_silence(time),
            None => Heartbeat::off(),
        });
    for (name, value) in &arguments.headers {
        builder = builder.header(name, value);
    }
    for name in &arguments.subprotocols {
        builder = builder.subprotocol(name);
    }
    if let Some(origin) = &arguments.origin {
        builder = builder.origin(origin);
    }
    if let Some(proxy) = &arguments.proxy {
        builder = builder.proxy(proxy.clone());
    }
    if let Some(name) = &arguments.name {
        builder = builder.name(name);
    }
    if !arguments.reconnect {
        builder = builder.reconnect(Reconnect::never());
    }
    #[cfg(feature = "native-tls")]
    {
        builder = builder.tls(arguments.tls.clone());
    }
    builder.build()
}

/// What the threads around the conversation have to say.
enum Word {
    /// Standard input has ended, and all of it is written.
    InputEnded,
    /// Ctrl-C, SIGTERM or SIGHUP.
    Interrupted,
}

fn talk(client: &Client, arguments: &Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let events = client.events();
    let (say, words) = unbounded();
    listen_for_interrupts(say.clone())?;
    client.connect()?;
    send_lines(client.clone(), arguments.binary, say)?;
    let (end, last_code) = converse(client, &events, &words, arguments.wait);
    let unsent = client.stats().dropped_on_close();
    if unsent > 0 {
        screen::tell(&format!("not sent: {unsent} of the lines"));
    }
    let is_fine = match end {
        Some(End::Closed) => true,
        // Without reconnecting, the server's "done" is the end that was asked for.
        Some(End::Fatal(_) | End::GaveUp(_)) => !arguments.reconnect && last_code == Some(1000),
        _ => false,
    };
    Ok(if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints until the client has ended. Returns how it did, and the last session's close code.
fn converse(
    client: &Client,
    events: &Receiver<Event>,
    words: &Receiver<Word>,
    wait: Duration,
) -> (Option<End>, Option<u16>) {
    let mut screen = Screen::new();
    let mut last_code = None;
    // After the input's end the server has this long to answer; each answer gives it as long again.
    let mut input_ended = false;
    let mut silence = never();
    // Sends what waits, then closes; only the first call counts.
    let close = || client.close(1000, "").expect("1000 may be sent");
    loop {
        select! {
            recv(events) -> event => match event {
                Ok(Event::Message(message)) => {
                    if !screen.message(&message) {
                        // Whoever read our output has left.
                        close();
                    }
                    if input_ended {
                        silence = after(wait);
                    }
                }
                Ok(Event::Close(closed)) => {
                    last_code = Some(closed.code());
                    screen.event(&Event::Close(closed));
                }
                Ok(Event::ClosedForGood(end)) => {
                    screen.event(&Event::ClosedForGood(end.clone()));
                    return (Some(end), last_code);
                }
                Ok(event) => screen.event(&event),
                Err(_) => return (None, last_code),
            },
            recv(words) -> word => match word {
                Ok(Word::Interrupted) => close(),
                Ok(Word::InputEnded) => {
                    input_ended = true;
                    silence = after(wait);
                }
                Err(_) => {}
            },
            recv(silence) -> _ => {
                silence = never();
                close();
            }
        }
    }
}

/// The first interrupt closes; the second one ends the program at once.
fn listen_for_interrupts(say: Sender<Word>) -> Result<(), ctrlc::Error> {
    let mut interrupted = false;
    ctrlc::set_handler(move || {
        if std::mem::replace(&mut interrupted, true) || say.send(Word::Interrupted).is_err() {
            std::process::exit(INTERRUPTED);
        }
    })
}

/// Sends each line of standard input. While the link is down lines wait; too many of them make this thread wait.
fn send_lines(client: Client, binary: bool, say: Sender<Word>) -> std::io::Result<()> {
    thread::Builder::new().name("talk-input".into()).spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut line = Vec::new();
        loop {
            line.clear();
            match input.read_until(b'\n', &mut line) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    screen::tell(&format!("standard input: {error}"));
                    break;
                }
            }
            let line = without_line_end(&line);
            let sent = match (binary, std::str::from_utf8(line)) {
                (true, _) => client.send_binary(line),
                (false, Ok(text)) => client.send_text(text),
                (false, Err(_)) => {
                    screen::tell("a line was not sent: it is not UTF-8, and --binary was not given");
                    continue;
                }
            };
            match sent {
                Ok(_) => {}
                Err(heartwire::SendError::Closed) => return,
                Err(error) => screen::tell(&format!("a line was not sent: {error}")),
            }
        }
        // An end of the client is told by the events.
        if client.flush(A_WEEK).is_ok() {
            let _ = say.send(Word::InputEnded);
        }
    })?;
    Ok(())
}

fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
