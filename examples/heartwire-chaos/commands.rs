//! What the input may say while it runs: one table, the help that is made of it, and what each does.

use std::fmt::Write;

use heartwire::testing::{Direction, Relay, Server};

use crate::steps;

type Act<T> = fn(&T, &str) -> Result<(), String>;

/// A command: its name, what may follow, what it does, and for whom it is.
struct Command {
    name: &'static str,
    argument: &'static str,
    help: &'static str,
    server: Option<Act<Server>>,
    relay: Option<Act<Relay>>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "cut",
        argument: "[N]",
        help: "resets connection N, or all",
        server: Some(|server, n| each(server, n, Server::cut)),
        relay: Some(|relay, _| {
            relay.cut();
            Ok(())
        }),
    },
    Command {
        name: "cut-after",
        argument: "BYTES",
        help: "relay: resets all after so many more bytes from clients",
        server: None,
        relay: Some(|relay, bytes| {
            relay.cut_after(Direction::Up, steps::number(bytes)?);
            Ok(())
        }),
    },
    Command {
        name: "cut-after-down",
        argument: "BYTES",
        help: "relay: the same, after bytes from the target",
        server: None,
        relay: Some(|relay, bytes| {
            relay.cut_after(Direction::Down, steps::number(bytes)?);
            Ok(())
        }),
    },
    Command {
        name: "end",
        argument: "[N]",
        help: "ends connection N, or all, towards the client, without a Close",
        server: Some(|server, n| each(server, n, Server::drop_tcp)),
        relay: Some(|relay, _| {
            relay.half_close();
            Ok(())
        }),
    },
    Command {
        name: "stall",
        argument: "",
        help: "server: neither reads nor writes; relay: takes all bytes and passes none on",
        server: Some(|server, _| {
            server.mute();
            Ok(())
        }),
        relay: Some(|relay, _| {
            relay.stall();
            Ok(())
        }),
    },
    Command {
        name: "silence",
        argument: "",
        help: "server: takes everything and answers nothing; relay: the same as stall",
        server: Some(|server, _| {
            server.silence(true);
            Ok(())
        }),
        relay: Some(|relay, _| {
            relay.stall();
            Ok(())
        }),
    },
    Command {
        name: "hold",
        argument: "",
        help: "relay: takes no bytes",
        server: None,
        relay: Some(|relay, _| {
            relay.hold();
            Ok(())
        }),
    },
    Command {
        name: "late",
        argument: "TIME",
        help: "relay: passes everything on so late",
        server: None,
        relay: Some(|relay, by| {
            relay.delay(steps::time(by)?);
            Ok(())
        }),
    },
    Command {
        name: "slow",
        argument: "BYTES/TIME",
        help: "relay: passes at most so many bytes at a time, so far apart",
        server: None,
        relay: Some(|relay, pace| {
            let (bytes, every) = steps::pace(pace)?;
            relay.trickle(bytes, every);
            Ok(())
        }),
    },
    Command {
        name: "resume",
        argument: "",
        help: "ends stall, silence, hold, late and slow; what a relay has thrown away stays lost",
        server: Some(|server, _| {
            server.silence(false);
            server.unmute();
            Ok(())
        }),
        relay: Some(|relay, _| {
            relay.flow();
            Ok(())
        }),
    },
    Command {
        name: "refuse",
        argument: "",
        help: "stops listening: new connections are refused",
        server: Some(|server, _| {
            server.refuse_new_connections();
            Ok(())
        }),
        relay: Some(|relay, _| {
            relay.refuse();
            Ok(())
        }),
    },
    Command {
        name: "accept",
        argument: "",
        help: "listens again",
        server: Some(|server, _| {
            server.restart();
            Ok(())
        }),
        relay: Some(|relay, _| {
            relay.accept_again();
            Ok(())
        }),
    },
    Command {
        name: "say",
        argument: "TEXT",
        help: "server: sends a text to all",
        server: Some(|server, text| each(server, "", |server, n| server.send(n, text))),
        relay: None,
    },
    Command {
        name: "ping",
        argument: "",
        help: "server: sends a ping to all",
        server: Some(|server, _| each(server, "", |server, n| server.ping(n, b"chaos"))),
        relay: None,
    },
    Command {
        name: "close",
        argument: "[CODE]",
        help: "server: sends Close to all, with this code (1001)",
        server: Some(|server, code| {
            let code = if code.is_empty() { 1001 } else { steps::number(code)? };
            let code = u16::try_from(code).map_err(|_| format!("{code} is no close code"))?;
            each(server, "", |server, n| server.close(n, code, ""))
        }),
        relay: None,
    },
    Command { name: "quit", argument: "", help: "ends", server: None, relay: None },
];

pub(crate) fn help() -> String {
    let mut lines = String::new();
    for Command { name, argument, help, .. } in COMMANDS {
        let _ = writeln!(lines, "  {:<22}  {help}", format!("{name} {argument}"));
    }
    lines
}

/// What runs.
pub(crate) enum Running {
    Server(Server),
    Relay(Relay),
}

/// Does what the line says.
///
/// # Errors
///
/// Why it cannot be done.
pub(crate) fn obey(running: &Running, line: &str) -> Result<(), String> {
    let (name, argument) = line.split_once(' ').unwrap_or((line, ""));
    let command = COMMANDS.iter().find(|command| command.name == name);
    let command = command.ok_or("there is no such command; see --help")?;
    let is_optional = command.argument.is_empty() || command.argument.starts_with('[');
    if !is_optional && argument.is_empty() {
        return Err(format!("it wants {}", command.argument));
    }
    match running {
        Running::Server(server) => command.server.ok_or("a server cannot")?(server, argument),
        Running::Relay(relay) => command.relay.ok_or("a relay cannot")?(relay, argument),
    }
}

/// Does it to connection `n`, or to all that there are; one at least.
fn each(server: &Server, n: &str, act: impl Fn(&Server, usize) -> bool) -> Result<(), String> {
    let numbers = if n.is_empty() {
        1..=server.connections()
    } else {
        let n = usize::try_from(steps::number(n)?).map_err(|_| "there is no such connection")?;
        n..=n
    };
    // Every one, not up to the first.
    let count = numbers.filter(|n| act(server, *n)).count();
    if count > 0 { Ok(()) } else { Err("there is no such connection".into()) }
}
