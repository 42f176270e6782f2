//! The lab's command line, payloads and result lines.

use std::io::{self, BufRead, Write};
use std::time::{Duration, Instant};

/// Long enough for anything that is going to happen.
pub const SOON: Duration = Duration::from_secs(60);

pub struct Run {
    flags: Vec<String>,
    pub mode: String,
    pub url: String,
    pub n: usize,
    pub size: usize,
}

impl Run {
    pub fn from_arguments() -> Run {
        let (flags, rest): (Vec<String>, Vec<String>) =
            std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
        let [mode, url, n, size] = rest.try_into().expect("[--flag] MODE URL N SIZE");
        Run { flags, mode, url, n: n.parse().expect("N"), size: size.parse().expect("SIZE") }
    }

    pub fn flag(&self, name: &str) -> bool {
        self.flags.iter().any(|flag| flag == name)
    }

    /// Bytes that differ from their neighbours, so that a shifted echo is seen.
    pub fn payload(&self) -> Vec<u8> {
        (0..self.size).map(|i| (i * 31 + 7) as u8).collect()
    }
}

/// Whether an echo is the payload that was sent; its middle is not compared, the clock is running.
pub fn is_echo(payload: &[u8], echo: &[u8]) -> bool {
    payload.len() == echo.len() && payload.first() == echo.first() && payload.last() == echo.last()
}

/// Times one thing after another.
pub struct Laps {
    began: Instant,
    nanos: Vec<u64>,
}

impl Laps {
    pub fn new(n: usize) -> Laps {
        Laps { began: Instant::now(), nanos: Vec::with_capacity(n) }
    }

    pub fn note(&mut self, lap: Duration) {
        self.nanos.push(lap.as_nanos() as u64);
    }

    pub fn count(&self) -> usize {
        self.nanos.len()
    }

    pub fn print(mut self, mode: &str) {
        let wall = self.began.elapsed().as_secs_f64();
        let n = self.nanos.len();
        let mean = self.nanos.iter().sum::<u64>() as f64 / n as f64 / 1e3;
        self.nanos.sort_unstable();
        let at = |part: f64| self.nanos[((n - 1) as f64 * part).round() as usize] as f64 / 1e3;
        println!(
            r#"{{"mode":"{mode}","n":{n},"p50_us":{:.3},"p99_us":{:.3},"mean_us":{mean:.3},"max_us":{:.3},"wall_s":{wall:.6}}}"#,
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
}

pub fn print_rate(mode: &str, n: u64, bytes: u64, wall: Duration) {
    println!(r#"{{"mode":"{mode}","n":{n},"bytes":{bytes},"wall_s":{:.6}}}"#, wall.as_secs_f64());
}

/// What the sink says it got: "COUNT BYTES".
pub fn print_sent(answer: &str, wall: Duration) {
    let mut numbers = answer.split_whitespace().map(|number| number.parse().expect("a number"));
    let (n, bytes) = (numbers.next().expect("a count"), numbers.next().expect("bytes"));
    print_rate("send", n, bytes, wall);
}

/// Says where we are, and waits for the driver's line.
pub fn phase(name: &str) {
    println!(r#"{{"mode":"idle","phase":"{name}"}}"#);
    io::stdout().flush().expect("a driver");
    io::stdin().lock().read_line(&mut String::new()).expect("a driver");
}

pub fn unsupported(mode: &str) {
    println!(r#"{{"mode":"{mode}","unsupported":true}}"#);
}
