//! What is measured, with which counts, and by which contenders.

use std::fmt::{self, Display, Formatter};
use std::time::{Duration, Instant};

use crate::Result;

/// What one run of a contender does; its cost is a time for each of them, or bytes for each connection.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Work {
    /// Echoes of so many bytes, one in flight.
    Trips(usize),
    /// Messages of 64 bytes in a plain loop, until the server has counted them.
    Send,
    /// Messages of this kind, from the one that asks for them to the last.
    Receive(&'static str),
    /// From nothing to an open connection.
    Open,
    /// Connections that do nothing.
    Idle,
}

/// How a program uses the library.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Way {
    /// Tungstenite alone, blocking.
    Raw,
    /// Heartwire with handlers on a thread for each client; the main thread sends, and waits for the handler.
    Waiting,
    /// The same, but all is done in the handler.
    Handler,
    /// Heartwire in blocking style: no handlers and no thread, on the caller's own loop.
    Blocking,
}

pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) work: Work,
    pub(crate) tls: bool,
    pub(crate) count: u32,
    /// The first is what the others are compared with.
    pub(crate) ways: &'static [Way],
}

use Way::{Blocking, Handler, Raw, Waiting};

const TRIPS: &[Way] = &[Raw, Waiting, Handler, Blocking];
const RECEIVE: &[Way] = &[Raw, Handler, Blocking];
/// Where a handler has nothing to do.
const OTHERS: &[Way] = &[Raw, Waiting, Blocking];

const MIB: usize = 1 << 20;

#[rustfmt::skip]
pub(crate) const MEASURES: [Measure; 15] = [
    measure("round_trip", "round trip, 64 B", Work::Trips(64), 20_000, TRIPS),
    measure("round_trip_tls", "round trip, 64 B, TLS", Work::Trips(64), 20_000, TRIPS).over_tls(),
    measure("send", "send flood, 64 B", Work::Send, 1_000_000, OTHERS),
    measure("send_tls", "send flood, 64 B, TLS", Work::Send, 400_000, OTHERS).over_tls(),
    measure("receive", "receive flood, 64 B binary", Work::Receive("binary"), 5_000_000, RECEIVE),
    measure("receive_ascii", "receive flood, 125 B ASCII text", Work::Receive("ascii"), 3_000_000, RECEIVE),
    measure("receive_chinese", "receive flood, 200 Chinese characters", Work::Receive("chinese"), 600_000, RECEIVE),
    measure("echo_1m", "echo, 1 MiB", Work::Trips(MIB), 300, OTHERS),
    measure("echo_1m_tls", "echo, 1 MiB, TLS", Work::Trips(MIB), 150, OTHERS).over_tls(),
    measure("echo_16m", "echo, 16 MiB", Work::Trips(16 * MIB), 20, OTHERS),
    measure("echo_16m_tls", "echo, 16 MiB, TLS", Work::Trips(16 * MIB), 5, OTHERS).over_tls(),
    measure("open", "create to open", Work::Open, 500, OTHERS),
    measure("open_tls", "create to open, TLS", Work::Open, 200, OTHERS).over_tls(),
    measure("idle", "memory per idle connection", Work::Idle, 100, OTHERS),
    measure("idle_tls", "memory per idle connection, TLS", Work::Idle, 100, OTHERS).over_tls(),
];

const fn measure(
    name: &'static str,
    label: &'static str,
    work: Work,
    count: u32,
    ways: &'static [Way],
) -> Measure {
    Measure { name, label, work, tls: false, count, ways }
}

impl Measure {
    const fn over_tls(self) -> Measure {
        Measure { tls: true, ..self }
    }

    /// Whether it can be taken with these features, on this system.
    pub(crate) fn is_possible(&self) -> bool {
        (cfg!(feature = "native-tls") || !self.tls) && (self.work != Work::Idle || resident().is_ok())
    }

    /// Whether server and client share a core: the scheduler's choice of cores would otherwise change a short round trip
    /// by a factor of three.
    pub(crate) fn on_one_core(&self) -> bool {
        self.work == Work::Trips(64)
    }

    /// Memory does not change from round to round, and takes seconds to settle.
    pub(crate) fn rounds(&self, rounds: usize) -> usize {
        if self.work == Work::Idle { rounds.div_ceil(3) } else { rounds }
    }

    /// A tenth of the count, for a quick look; memory is that of all the same.
    pub(crate) fn quick_count(&self) -> u32 {
        if self.work == Work::Idle { self.count } else { (self.count / 10).max(2) }
    }

    /// A cost in the unit that its reader expects.
    pub(crate) fn show(&self, cost: f64) -> String {
        match self.work {
            Work::Send | Work::Receive(_) => format!("{:.2} M/s", 1e-6 / cost),
            Work::Idle => format!("{:.0} KiB", cost / 1024.0),
            _ if cost < 1e-3 => format!("{:.1} µs", cost * 1e6),
            _ => format!("{:.1} ms", cost * 1e3),
        }
    }
}

impl Work {
    /// The server's path for so many of them.
    pub(crate) fn path(self, count: u32) -> String {
        match self {
            Work::Trips(_) | Work::Open | Work::Idle => "/echo".to_owned(),
            Work::Send => format!("/sink/{count}"),
            Work::Receive(kind) => format!("/flood/{kind}/{count}"),
        }
    }
}

impl Display for Way {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Raw => "raw tungstenite",
            Waiting => "handlers, main thread waits",
            Handler => "all in the handler",
            Blocking => "blocking, own loop",
        })
    }
}

/// What the sink answers to so many messages.
pub(crate) fn counted(count: u32) -> String {
    format!("{count} {}", u64::from(count) * 64)
}

pub(crate) fn payload(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i % 251) as u8).collect()
}

/// Ends the run unless this is the payload: its length, its first and its last byte.
pub(crate) fn check_echo(echo: &[u8], payload: &[u8]) {
    assert_eq!((echo.len(), echo.first(), echo.last()), (payload.len(), payload.first(), payload.last()));
}

/// The median of so many times.
pub(crate) fn median(count: u32, mut once: impl FnMut() -> Result<Duration>) -> Result<f64> {
    let times = (0..count).map(|_| once()).collect::<Result<Vec<_>>>()?;
    Ok(median_of(times))
}

pub(crate) fn median_of(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

/// Until what a handshake needed has been given back.
const SETTLING: Duration = Duration::from_secs(3);

/// Bytes in memory for each of so many connections but the first, which pays for what all share. `wait` passes the time.
pub(crate) fn resident_each<T>(
    count: u32,
    mut open: impl FnMut() -> Result<T>,
    wait: impl Fn(Instant) -> Result<()>,
) -> Result<f64> {
    let mut all = vec![open()?];
    wait(Instant::now() + SETTLING)?;
    let before = resident()?;
    for _ in 1..count {
        all.push(open()?);
    }
    wait(Instant::now() + SETTLING)?;
    Ok((resident()? - before) / f64::from(count - 1))
}

/// Bytes of this process in memory. Linux only; `smaps_rollup` is exact where `status` is late by some pages per thread.
fn resident() -> Result<f64> {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).ok_or("smaps_rollup has no Rss")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024.0)
}
