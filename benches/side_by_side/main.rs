//! Heartwire against raw tungstenite, side by side: `cargo bench --bench side_by_side`.
//!
//! Everything happens on this machine: a server in a process of its own, and the contenders, each run of which is a
//! process, too. They take turns, and what counts is the ratio to raw tungstenite within the same round: the whole machine
//! may be slow, but it is for both. Server and client count what they get, and a wrong count ends the program.
//!
//!     cargo bench --bench side_by_side                              # about six minutes
//!     cargo bench --bench side_by_side -- --quick --only send,echo_1m
//!     cargo bench --bench side_by_side -- --chart docs/how_fast.svg
//!
//! `--rounds N` (default 9), `--quick` (a tenth of the messages), `--only NAME,NAME` (a name that does not exist lists
//! those that do), `--chart FILE.svg`. Short round trips have server and client on one core where `taskset` is there.

mod chart;
mod measures;
mod ours;
mod peer;
mod raw;
mod rounds;
mod server;
mod table;

use std::error::Error;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use lexopt::prelude::*;

use measures::{MEASURES, Measure};
use rounds::Row;
use server::Server;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Nothing that is waited for may take longer.
const LIMIT: Duration = Duration::from_secs(60);

/// What stands before a program that shall run on the first core.
const ON_ONE_CORE: [&str; 3] = ["taskset", "-c", "0"];

fn main() -> Result<()> {
    server::serve_if_asked()?;
    rounds::run_if_asked()?;
    let options = Options::parse()?;
    let (elsewhere, on_one_core) = (Server::start(false)?, Server::start(true)?);
    if !can_place() {
        eprintln!("without taskset, so the scheduler's choice of cores counts in round trips as well");
    }
    println!("{}", table::head());
    let mut rows = Vec::new();
    for measure in &options.measures {
        let count = if options.quick { measure.quick_count() } else { measure.count };
        let server = if measure.on_one_core() { &on_one_core } else { &elsewhere };
        let row = Row::take(measure, options.rounds, count, server)?;
        println!("{}", table::line(&row));
        rows.push(row);
    }
    println!("\n{}", table::conditions(options.rounds, options.quick));
    if let Some(file) = options.chart {
        fs::write(&file, chart::draw(&rows)).map_err(|error| format!("{file}: {error}"))?;
    }
    Ok(())
}

struct Options {
    measures: Vec<&'static Measure>,
    rounds: usize,
    quick: bool,
    chart: Option<String>,
}

impl Options {
    fn parse() -> Result<Options> {
        let measures = MEASURES.iter().filter(|measure| measure.is_possible()).collect();
        let mut options = Options { measures, rounds: 9, quick: false, chart: None };
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("only") => options.only(&arguments.value()?.string()?)?,
                Long("rounds") => options.rounds = arguments.value()?.parse::<usize>()?.clamp(1, 99),
                Long("quick") => options.quick = true,
                Long("chart") => options.chart = Some(arguments.value()?.string()?),
                // What cargo passes on.
                Long("bench") => {}
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(options)
    }

    fn only(&mut self, names: &str) -> Result<()> {
        let named = |name: &str| {
            let found = self.measures.iter().copied().find(|measure| measure.name == name);
            found.ok_or_else(|| {
                let names: Vec<&str> = self.measures.iter().map(|measure| measure.name).collect();
                format!("{name}? There are {}", names.join(", "))
            })
        };
        self.measures = names.split(',').map(named).collect::<std::result::Result<_, _>>()?;
        Ok(())
    }
}

/// This program again, on one core if asked for and possible.
fn again(one_core: bool) -> Result<Command> {
    let program = std::env::current_exe()?;
    if !one_core || !can_place() {
        return Ok(Command::new(program));
    }
    let mut command = Command::new(ON_ONE_CORE[0]);
    command.args(&ON_ONE_CORE[1..]).arg(program);
    Ok(command)
}

fn can_place() -> bool {
    let mut tried = Command::new(ON_ONE_CORE[0]);
    tried.args(&ON_ONE_CORE[1..]).arg("true").stderr(Stdio::null());
    tried.status().is_ok_and(|status| status.success())
}
