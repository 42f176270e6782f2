//! Runs the contenders of a measure against each other: in turns, each in a process of its own.

use std::io::{ErrorKind, Read};
use std::process::Stdio;
use std::sync::mpsc::channel;

use crate::measures::{MEASURES, Measure, Way};
use crate::server::Server;
use crate::{LIMIT, Result, again, ours, raw};

/// In the environment of a contender's process: measure, its way's number, count and server.
const ASKED: &str = "HEARTWIRE_BENCH_RUN";

/// A measure and what it cost, for each of its ways and rounds.
pub(crate) struct Row {
    pub(crate) measure: &'static Measure,
    costs: Vec<Vec<f64>>,
}

/// How many times better than raw tungstenite in the same round.
#[derive(Clone, Copy)]
pub(crate) struct Ratio {
    pub(crate) median: f64,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
}

impl Row {
    /// The contenders take turns in every round, and another one begins in each.
    pub(crate) fn take(measure: &'static Measure, rounds: usize, count: u32, server: &Server) -> Result<Row> {
        let ways = measure.ways.len();
        let mut costs = vec![Vec::new(); ways];
        for round in 0..measure.rounds(rounds) {
            for turn in 0..ways {
                let way = (round + turn) % ways;
                costs[way].push(cost(measure, way, count, server)?);
            }
        }
        Ok(Row { measure, costs })
    }

    /// What raw tungstenite cost.
    pub(crate) fn reference(&self) -> f64 {
        middle(self.costs[0].clone())
    }

    /// `None` if the measure is not taken in this way.
    pub(crate) fn ratio(&self, way: Way) -> Option<Ratio> {
        let at = self.measure.ways.iter().position(|one| *one == way)?;
        let mut ratios: Vec<f64> =
            self.costs[0].iter().zip(&self.costs[at]).map(|(raw, own)| raw / own).collect();
        ratios.sort_by(f64::total_cmp);
        let (lowest, highest) = (*ratios.first()?, *ratios.last()?);
        Some(Ratio { median: middle(ratios), lowest, highest })
    }
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// One run in a process of its own, which is ended if it takes too long.
fn cost(measure: &Measure, way: usize, count: u32, server: &Server) -> Result<f64> {
    let who = format!("{}: {}", measure.name, measure.ways[way]);
    let order = format!("{} {way} {count} {}", measure.name, server.origin(measure.tls));
    let mut command = again(measure.on_one_core())?;
    let mut process = command.env(ASKED, order).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut output = process.stdout.take().ok_or("it is piped")?;
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        // Nobody waits for it any more if it comes too late.
        let _ = tell.send(output.read_to_string(&mut text).map(|_| text));
    });
    let text = told.recv_timeout(2 * LIMIT).unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
    if text.is_err() {
        process.kill()?;
    }
    let ended = process.wait()?;
    let text = text.map_err(|error| format!("{who}: {error}"))?;
    if !ended.success() {
        return Err(format!("{who}: {ended}").into());
    }
    text.trim().parse().map_err(|_| format!("{who}: '{text}' is no number").into())
}

/// In the process of one run: does it, prints its cost, and ends the process.
pub(crate) fn run_if_asked() -> Result<()> {
    let Ok(order) = std::env::var(ASKED) else { return Ok(()) };
    // A check that fails in a handler ends the run, too.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::exit(1);
    }));
    let &[name, way, count, origin] = &order.split(' ').collect::<Vec<_>>()[..] else {
        return Err(format!("'{order}' is no order").into());
    };
    let measure = MEASURES.iter().find(|measure| measure.name == name).ok_or("no such measure")?;
    let cost = match measure.ways[way.parse::<usize>()?] {
        Way::Raw => raw::run(measure.work, count.parse()?, origin)?,
        way => ours::run(way, measure.work, count.parse()?, origin)?,
    };
    println!("{cost:e}");
    std::process::exit(0);
}
