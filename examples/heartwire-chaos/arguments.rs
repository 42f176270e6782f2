//! heartwire-chaos's command line: what can be asked, and what is wrong with what was.

use std::ffi::OsString;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use heartwire::testing::{Behaviour, Passage};
use lexopt::prelude::*;

use crate::commands;
use crate::steps::{self, RELAY, SERVER};

pub(crate) const USAGE: &str = "\
usage: heartwire-chaos [--script STEP,STEP...] [--tls CA_FILE] [--for TIME] [--connections N]
       heartwire-chaos --relay HOST:PORT [--script STEP,STEP...] [--for TIME] [--connections N]
       heartwire-chaos --help";

const HELP_HEAD: &str = "\
A WebSocket server that misbehaves as it is told, or a relay that breaks the connections to another one: for tests of
programs that have to stay connected.

";

const HELP_OPTIONS: &str = "
  --script STEPS     how the first connection is treated, the second one, and so on, with commas between them; those
                     after the last one as the last one (default: ok)
  --relay HOST:PORT  is no server itself, but passes on what comes to this one, of whatever kind
  --tls CA_FILE      speaks TLS, with a certificate made on the spot for localhost, 127.0.0.1 and ::1; the authority to
                     trust is written to this file
  --for TIME         ends after this time
  --connections N    ends when the Nth connection is over; those that are still open are cut
  --help             shows this

The first line of the output is the URL to connect to (of a relay: ws://, whatever the target speaks). It listens on
127.0.0.1, at a port that was free. Each line after that is an event, in words with a blank between them:

  accepted N         a connection has come, the Nth
  connected N PATH   its upgrade was accepted
  refused N PATH     its upgrade was refused, or is not answered
  message N text T   a text came, T, with backslashes where it is more than one line
  message N binary B a binary message of B bytes came
  ping N, pong N     a ping came, a pong
  closed N CODE R    the client's Close came, with this reason; CODE is - where it has none
  ended N HOW        the connection is over: fin, reset, cut, violation, tls, io, script; of a relay: cut, ended
  did COMMAND        a command of the input has taken effect
  cannot COMMAND     it has not: there is no such command, or no such connection
  over LEFT          the last line: so many steps of the script had no connection

";

const HELP_END: &str = "
WHEN is 100 (bytes from the client), 3msg (messages from it), or a time. TIME is a number with a unit: 500ms, 10s, 2m.

It ends with its input, unless --for or --connections is given; with `quit`; and when nobody reads its output.

status: 0 each step of the script had its connection, 1 some had none, 2 bad arguments, 3 it could not start

To have it as a program: cargo build --release --example heartwire-chaos, then target/release/examples/heartwire-chaos.";

pub(crate) fn help() -> String {
    format!(
        "{HELP_HEAD}{USAGE}\n{HELP_OPTIONS}Steps of a server:\n\n{}\nSteps of a relay:\n\n{}\nCommands, a line of the \
         input each:\n\n{}{HELP_END}",
        steps::help(SERVER),
        steps::help(RELAY),
        commands::help()
    )
}

pub(crate) enum Asked {
    Help,
    Run(Arguments),
}

pub(crate) struct Arguments {
    pub(crate) what: What,
    pub(crate) time: Option<Duration>,
    pub(crate) connections: Option<usize>,
}

pub(crate) enum What {
    Server { script: Vec<Behaviour>, ca_file: Option<PathBuf> },
    Relay { target: SocketAddr, script: Vec<Passage> },
}

pub(crate) fn parse(given: impl Iterator<Item = OsString>) -> Result<Asked, String> {
    let (mut script, mut relay, mut ca_file, mut time, mut connections) = (None, None, None, None, None);
    let mut parser = lexopt::Parser::from_args(given);
    while let Some(argument) = parser.next().map_err(problem)? {
        match argument {
            Long("help") | Short('h') => return Ok(Asked::Help),
            Long("script") => script = Some(value(&mut parser)?),
            Long("relay") => relay = Some(value(&mut parser)?),
            Long("tls") => ca_file = Some(PathBuf::from(parser.value().map_err(problem)?)),
            Long("for") => time = Some(steps::time(&value(&mut parser)?)?),
            Long("connections") => {
                connections = match steps::number(&value(&mut parser)?)? {
                    0 => return Err("--connections 0: it would end before anyone came".into()),
                    number => Some(usize::try_from(number).unwrap_or(usize::MAX)),
                };
            }
            argument => return Err(problem(argument.unexpected())),
        }
    }
    let script = script.as_deref().unwrap_or("ok");
    let what = match (relay, ca_file) {
        (Some(_), Some(_)) => {
            return Err("--relay and --tls exclude each other: a relay passes TLS on".into());
        }
        (Some(target), None) => {
            What::Relay { target: address(&target)?, script: steps::read(script, RELAY)? }
        }
        (None, ca_file) => What::Server { script: steps::read(script, SERVER)?, ca_file },
    };
    Ok(Asked::Run(Arguments { what, time, connections }))
}

fn address(target: &str) -> Result<SocketAddr, String> {
    let mut found = target.to_socket_addrs().map_err(|error| format!("--relay {target}: {error}"))?;
    found.next().ok_or_else(|| format!("--relay {target}: it has no address"))
}

fn value(parser: &mut lexopt::Parser) -> Result<String, String> {
    parser.value().and_then(|value| value.string()).map_err(problem)
}

fn problem(error: lexopt::Error) -> String {
    error.to_string()
}
