//! What the process holds at a moment of rest, and whether it has grown.

use std::fmt;
use std::time::{Duration, Instant};

use crate::support::heap;
use crate::support::watch::{descriptor_count, thread_names};
use crate::traffic::Traffic;

/// Buffers are given back 2 s after traffic ends, step by step.
const SETTLED: Duration = Duration::from_secs(8);
/// What one moment of rest may hold more than another: a table that was enlarged, a queue that kept its size.
const SLACK: isize = 64 << 10;

pub(crate) struct Held {
    heap: isize,
    resident: u64,
    threads: usize,
    descriptors: usize,
    sessions: u64,
    outcomes: u64,
    received: u64,
}

impl Held {
    /// Looks until what was needed a moment ago is given back.
    pub(crate) fn settled(traffic: &[&Traffic]) -> Held {
        let until = Instant::now() + SETTLED;
        let mut least = Held::now(traffic);
        // The least of what is seen in a while: what other threads hold for a moment does not count.
        while Instant::now() < until {
            std::thread::sleep(Duration::from_millis(100));
            let now = Held::now(traffic);
            least = Held {
                heap: least.heap.min(now.heap),
                threads: least.threads.min(now.threads),
                descriptors: least.descriptors.min(now.descriptors),
                ..now
            };
        }
        println!("{least}");
        least
    }

    fn now(traffic: &[&Traffic]) -> Held {
        Held {
            heap: heap::live(),
            resident: resident(),
            threads: thread_names().iter().filter(|name| name.starts_with("heartwire")).count(),
            descriptors: descriptor_count(),
            sessions: traffic.iter().map(|traffic| traffic.sessions()).sum(),
            outcomes: traffic.iter().map(|traffic| traffic.outcomes()).sum(),
            received: traffic.iter().map(|traffic| traffic.received()).sum(),
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "at rest: {} KiB of heap, {} KiB resident, {} threads, {} descriptors; so far {} sessions, {} outcomes, \
             {} messages back",
            self.heap / 1024,
            self.resident / 1024,
            self.threads,
            self.descriptors,
            self.sessions,
            self.outcomes,
            self.received
        )
    }
}

/// What has grown from the first moment to the last, and did so in both halves: a leak does not stop in the middle.
pub(crate) fn flat(held: &[Held]) -> Vec<String> {
    let [start, middle, end] = held else { unreachable!("three moments") };
    let mut grown = Vec::new();
    if end.heap > middle.heap.max(start.heap) + SLACK {
        grown.push(format!("the heap grew: {} {} {}", start.heap, middle.heap, end.heap));
    }
    if end.threads > start.threads {
        grown.push(format!("threads: {} {} {}", start.threads, middle.threads, end.threads));
    }
    if end.descriptors > start.descriptors {
        grown.push(format!("descriptors: {} {} {}", start.descriptors, middle.descriptors, end.descriptors));
    }
    if end.received <= middle.received || middle.received <= start.received {
        grown.push("no message came back in one of the halves".to_string());
    }
    grown
}

/// Bytes of this process that are in memory; zero where the system does not tell this way.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}
