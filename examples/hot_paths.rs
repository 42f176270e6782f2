//! The hot paths, one at a time, as often as asked: what `.ci/counts` counts instructions and system calls of.
//!
//!     hot_paths serve              the server, in a process of its own: says its URLs, and ends with its standard input
//!     hot_paths PATH URL TIMES     the client; PATH is one of those in `path`, URL one that the server said
//!
//! Nothing is measured here, and nothing but the opening has a deadline, since a deadline costs system calls. Whoever counts does so for some number of messages and for twice as many: the difference
//! is theirs alone.

#[path = "../tests/support/mod.rs"]
mod support;

use std::error::Error;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use heartwire::{Builder, Client, Event, EventLoop, OutboxLimits};
use support::elsewhere::{self, Kind};

const SOON: Duration = Duration::from_secs(120);
const SMALL: usize = 64;
const LARGE: usize = 1 << 20;

type Done = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["serve"] => elsewhere::serve(),
        [path, url, times] => match times.parse() {
            Ok(times) => walk(path, url, times),
            Err(_) => Err(format!("'{times}' is no number").into()),
        },
        _ => Err("usage: hot_paths serve | PATH URL TIMES".into()),
    };
    if let Err(error) = done {
        eprintln!("hot_paths: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn walk(path: &str, url: &str, times: usize) -> Done {
    match path {
        "round-trip-blocking" => blocking(url, SMALL, times),
        "round-trip-handler" => from_the_handler(url, times),
        "round-trip-waiting" => with_a_main_thread_that_waits(url, times),
        "send" => send(url, times, false),
        "send-queued" => send(url, times, true),
        "receive-binary" => receive(url, Kind::Binary, times),
        "receive-text" => receive(url, Kind::Text, times),
        "receive-chinese" => receive(url, Kind::Chinese, times),
        "echo-large" => blocking(url, LARGE, times),
        _ => Err(format!("no path is called {path}").into()),
    }
}

fn builder(url: &str, path: &str) -> Builder {
    let builder = Client::builder(&format!("{url}{path}"));
    #[cfg(feature = "native-tls")]
    if url.starts_with("wss:") {
        return builder.tls(heartwire::Tls::new().danger_accept_invalid_certificates(true));
    }
    builder
}

/// Round trips in blocking style, on a loop that this very thread turns.
fn blocking(url: &str, size: usize, times: usize) -> Done {
    let event_loop = EventLoop::new()?;
    let client = builder(url, "echo").event_loop(&event_loop).connect()?;
    client.wait_open(SOON)?;
    let message = vec![7; size];
    for _ in 0..times {
        client.send_binary(&message)?;
        while !matches!(client.recv()?, Event::Message(echo) if echo.len() == size) {}
    }
    Ok(())
}

/// Round trips whose next message is sent by the handler.
fn from_the_handler(url: &str, times: usize) -> Done {
    let client = builder(url, "echo").build()?;
    let (tell, told) = channel();
    let mut left = times;
    client.on_message(move |client, _| {
        left -= 1;
        let sent = if left > 0 { client.send_binary(&[7; SMALL]).map(drop) } else { Ok(()) };
        if left == 0 || sent.is_err() {
            let _ = tell.send(left);
        }
    });
    client.connect()?;
    client.send_binary(&[7; SMALL])?;
    expect(&told, 0)
}

/// Round trips in which the main thread sends, and waits for the handler. Not at a channel: std's yields the processor
/// before it sleeps, as often as it takes.
fn with_a_main_thread_that_waits(url: &str, times: usize) -> Done {
    let client = builder(url, "echo").build()?;
    let came = Arc::new((Mutex::new(false), Condvar::new()));
    let tell = came.clone();
    client.on_message(move |_, _| {
        *tell.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        tell.1.notify_one();
    });
    client.connect()?;
    client.wait_open(SOON)?;
    for _ in 0..times {
        client.send_binary(&[7; SMALL])?;
        let mut echo = came.0.lock().unwrap_or_else(PoisonError::into_inner);
        while !std::mem::take(&mut *echo) {
            echo = came.1.wait(echo).unwrap_or_else(PoisonError::into_inner);
        }
    }
    Ok(())
}

/// A plain `send` in a loop, then the server's word that all came. `queued`: before there is a session. Then all of them
/// take the way through the outbox; else a sender that pauses for some microseconds, as under valgrind, writes directly.
fn send(url: &str, times: usize, queued: bool) -> Done {
    // Room for all: what is counted is sending, not waiting for room.
    let limits = OutboxLimits::new().messages(times + 1).bytes(times * SMALL + SMALL);
    let client = builder(url, "sink").outbox(limits).build()?;
    let (tell, told) = channel();
    client.on_message(move |_, number| {
        let _ = tell.send(number.as_text().and_then(|text| text.parse().ok()));
    });
    if !queued {
        client.connect()?;
        client.wait_open(SOON)?;
    }
    for _ in 0..times {
        client.send_binary(&[7; SMALL])?;
    }
    client.send_text("how many?")?;
    if queued {
        client.connect()?;
    }
    expect(&told, Some(times))
}

/// A flood, with a handler that looks at every message.
fn receive(url: &str, kind: Kind, times: usize) -> Done {
    let client = builder(url, "flood").build()?;
    let (tell, told) = channel();
    let size = kind.payload().len();
    let mut received = 0;
    client.on_message(move |_, message| {
        received += usize::from(message.as_bytes().len() == size);
        if received == times {
            let _ = tell.send(received);
        }
    });
    client.connect()?;
    client.wait_open(SOON)?;
    client.send_text(&format!("{times} {}", kind.name()))?;
    expect(&told, times)
}

fn expect<T: PartialEq + std::fmt::Debug>(told: &Receiver<T>, expected: T) -> Done {
    let got = told.recv()?;
    if got == expected { Ok(()) } else { Err(format!("{got:?} instead of {expected:?}").into()) }
}
