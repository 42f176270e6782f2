//! The agent that the Autobahn suite's fuzzing server examines: echoes every message of every case.
//!
//! `cargo run --release --example autobahn -- ws://127.0.0.1:9001 heartwire`; `.ci/autobahn` does it all. With `--parts`
//! ahead of these every message comes in parts, and is joined here.

use std::process::ExitCode;
use std::time::Duration;

use heartwire::{Client, Event, MessageRef, Reconnect};

/// The longest case sends 1000 messages of 64 KiB, or one of 16 MiB in small pieces.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).peekable();
    let parts = args.next_if_eq("--parts").is_some();
    let (Some(server), Some(agent)) = (args.next(), args.next()) else {
        eprintln!("usage: autobahn [--parts] URL AGENT");
        return ExitCode::from(2);
    };
    match examine(server.trim_end_matches('/'), &agent, parts) {
        Ok(cases) => {
            println!("{cases} cases run");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn examine(server: &str, agent: &str, parts: bool) -> Result<u32, Box<dyn std::error::Error>> {
    let mut count = String::new();
    let client = once(&format!("{server}/getCaseCount"))?;
    while let Ok(event) = client.recv_timeout(PATIENCE) {
        if let Event::Message(message) = event {
            count = message.to_string();
        }
    }
    let cases = count.parse()?;
    for case in 1..=cases {
        run(&format!("{server}/runCase?case={case}&agent={agent}"), parts)?;
    }
    run(&format!("{server}/updateReports?agent={agent}"), parts)?;
    Ok(cases)
}

fn once(url: &str) -> Result<Client, heartwire::Error> {
    Client::builder(url).reconnect(Reconnect::never()).max_message_size(64 << 20).connect()
}

fn run(url: &str, parts: bool) -> Result<(), heartwire::Error> {
    let builder = Client::builder(url)
        .reconnect(Reconnect::never())
        .max_message_size(64 << 20)
        .outbox(heartwire::OutboxLimits::new().bytes(64 << 20));
    #[cfg(feature = "deflate")]
    let builder = builder.compression(heartwire::Deflate::new().threshold(0));
    let builder = if parts { builder.fragments_above(0) } else { builder };
    let client = builder.build()?;
    client.on_message(echo);
    if parts {
        let mut message = Vec::new();
        client.on_fragment(move |client, part| {
            message.extend_from_slice(part.as_bytes());
            if !part.is_last() {
                return;
            }
            match std::str::from_utf8(&message) {
                Ok(text) if part.is_text() => echo(client, MessageRef::Text(text)),
                _ => echo(client, MessageRef::Binary(&message)),
            }
            message.clear();
        });
    }
    client.connect()?;
    client.wait_closed(PATIENCE)?;
    Ok(())
}

fn echo(client: &Client, message: MessageRef<'_>) {
    if let Err(error) = client.send_with(message, heartwire::SendOptions::new()) {
        eprintln!("echo: {error}");
    }
}
