//! What thousands of clients cost: `cargo bench --bench scale`, or with `-- --clients 10,1000` those numbers alone.
//!
//! Prints two tables. The first has a row for each number of clients, on one loop and with a thread each: memory, the
//! time to open all, what they cost while nothing happens but heartbeats (`-- --seconds 40`, the default, has two of
//! each client's), and what follows when the server resets all connections at once. The second has what a turn costs
//! beside idle clients. The server is another process, and so is each row. Linux only: /proc tells.

#[path = "../tests/support/crowd.rs"]
#[allow(dead_code, unreachable_pub, reason = "written for the tests as well")]
mod crowd;
#[path = "../tests/support/heap.rs"]
#[allow(unreachable_pub, reason = "written for the tests as well")]
mod heap;

use std::error::Error;
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crowd::Crowd;
use heartwire::{Client, Event, EventLoop, Heartbeat, State};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ONE_LOOP: &str = "one loop";
const THREADS: &str = "a thread each";
/// More threads than this prove nothing new.
const MOST_THREADS: usize = 1000;
/// Descriptors that are not clients' sockets.
const OTHERS: usize = 100;
/// A client with a thread has a loop of its own: its descriptors and the socket.
const WITH_A_THREAD: usize = 4;
const SOON: Duration = Duration::from_secs(60);
/// Until buffers that grew have been given back.
const SETTLING: Duration = Duration::from_secs(5);
/// In which the spread of attempts is judged.
const WINDOW: Duration = Duration::from_millis(100);

fn main() -> Result<()> {
    crowd::serve_if_asked();
    let mut clients = vec![10, 1000, 10_000];
    let mut seconds = 40;
    let mut row = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} wants a value"));
        match argument.as_str() {
            "--clients" => {
                clients = value()?.split(',').map(str::parse).collect::<std::result::Result<_, _>>()?
            }
            "--seconds" => seconds = value()?.parse()?,
            "--row" => row = Some(value()?),
            // What cargo passes on.
            "--bench" => {}
            other => return Err(format!("{other}? There are --clients NUMBERS and --seconds NUMBER").into()),
        }
    }
    let most = crowd::most_descriptors() as usize;
    match row.as_deref() {
        None => tables(&clients, seconds, most),
        Some("turns") => turns(&clients),
        Some(kind) => Row::measure(kind, clients[0], Duration::from_secs(seconds)),
    }
}

/// Runs each row in a process of its own: memory that one has freed would hide what the next one takes.
fn tables(clients: &[usize], seconds: u64, most: usize) -> Result<()> {
    let again = |clients: &[usize], row: &str| -> Result<()> {
        let list = clients.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        let arguments = ["--clients", &list, "--seconds", &seconds.to_string(), "--row", row];
        let ended = Command::new(std::env::current_exe()?).args(arguments).status()?;
        if ended.success() { Ok(()) } else { Err(format!("{row}, {list} clients: {ended}").into()) }
    };
    let fitting = |wanted: usize, each: usize| {
        let fits = wanted.min(most.saturating_sub(OTHERS) / each);
        if fits < wanted {
            println!(
                "({wanted} clients want more than the {most} descriptors of this system: {fits} instead)"
            );
        }
        fits
    };
    println!("Idle for {seconds} s with default heartbeats; then all connections are reset at once.\n");
    println!(
        "| clients | on | heap each | RSS each | all open after | idle: processor time | wake-ups | heartbeats \
         | all open again after | attempts, after the cut: first, median, last | busiest 100 ms, fair share |"
    );
    println!("|---:|---|---:|---:|---:|---:|---:|---:|---:|---|---|");
    for &wanted in clients {
        again(&[fitting(wanted, 1)], ONE_LOOP)?;
        if wanted <= MOST_THREADS {
            again(&[fitting(wanted, WITH_A_THREAD)], THREADS)?;
        }
    }
    println!(
        "\nOne client's round trips, and turns with nothing to do, beside idle clients on the same loop.\n"
    );
    let mut sizes = vec![10];
    for &wanted in clients.iter().filter(|clients| **clients > 10) {
        sizes.push(fitting(wanted + sizes.iter().sum::<usize>(), 1).saturating_sub(sizes.iter().sum()));
    }
    again(&sizes, "turns")
}

/// What the handlers of a row's clients count.
struct Seen {
    opens: AtomicUsize,
    heartbeats: AtomicUsize,
    last_open: Mutex<Instant>,
}

struct Row {
    server: Crowd,
    clients: Vec<Client>,
    seen: Arc<Seen>,
    /// The loop of all, unless each has its own.
    event_loop: Option<EventLoop>,
}

impl Row {
    fn measure(kind: &str, clients: usize, window: Duration) -> Result<()> {
        let event_loop = if kind == ONE_LOOP { Some(EventLoop::new()?) } else { None };
        event_loop.as_ref().map(EventLoop::start).transpose()?;
        let seen = Arc::new(Seen {
            opens: AtomicUsize::new(0),
            heartbeats: AtomicUsize::new(0),
            last_open: Mutex::new(Instant::now()),
        });
        let server = Crowd::start(&[])?;
        let mut row = Row { server, clients: Vec::with_capacity(clients), seen, event_loop };

        let (heap, rss, began) = (heap::live(), rss()?, Instant::now());
        for _ in 0..clients {
            row.add()?;
        }
        let opened = row.wait_opens(clients)?.duration_since(began);
        thread::sleep(SETTLING);
        let heap = (heap::live() - heap) / clients as isize;
        let rss = (self::rss()? - rss) / clients as isize;

        let before = (processor_time()?, wake_ups()?, row.seen.heartbeats.load(Ordering::Relaxed));
        thread::sleep(window);
        let busy = processor_time()? - before.0;
        let wakes = wake_ups()? - before.1;
        let beats = row.seen.heartbeats.load(Ordering::Relaxed) - before.2;

        let cut = Instant::now();
        row.server.cut(Duration::ZERO)?;
        let again = row.wait_opens(2 * clients)?.duration_since(cut);
        let mut arrivals = row.server.arrivals()?;
        arrivals.sort();
        let [first, median, last] = [0, arrivals.len() / 2, arrivals.len() - 1].map(|at| ms(arrivals[at]));
        let (busiest, fair) = spread(&arrivals);
        println!(
            "| {clients} | {kind} | {:.1} KiB | {:.1} KiB | {} | {} | {wakes} | {beats} | {} | {} attempts: {first}, \
             {median}, {last} | {busiest}, {fair:.0}: {:.2} times |",
            heap as f64 / 1024.0,
            rss as f64 / 1024.0,
            ms(opened),
            ms(busy),
            ms(again),
            arrivals.len(),
            busiest as f64 / fair,
        );
        Ok(())
    }

    fn add(&mut self) -> Result<()> {
        let mut builder = Client::builder(&self.server.url());
        if let Some(event_loop) = &self.event_loop {
            builder = builder.event_loop(event_loop);
        }
        let client = builder.build()?;
        let seen = self.seen.clone();
        client.on_open(move |_, _| {
            *seen.last_open.lock().unwrap() = Instant::now();
            seen.opens.fetch_add(1, Ordering::Release);
        });
        let seen = self.seen.clone();
        client.on_heartbeat(move |_, _| {
            seen.heartbeats.fetch_add(1, Ordering::Relaxed);
        });
        client.connect()?;
        self.clients.push(client);
        Ok(())
    }

    /// When the last of so many sessions opened.
    fn wait_opens(&self, opens: usize) -> Result<Instant> {
        let deadline = Instant::now() + SOON;
        while self.seen.opens.load(Ordering::Acquire) < opens {
            if Instant::now() > deadline {
                return Err(format!("{:?} of {opens} opened", self.seen.opens).into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(*self.seen.last_open.lock().unwrap())
    }
}

/// How many came in the busiest window, and how many would have, had they come evenly.
fn spread(arrivals: &[Duration]) -> (usize, f64) {
    let (Some(first), Some(last)) = (arrivals.first(), arrivals.last()) else { return (0, 0.0) };
    // Windows that begin each 10 ms.
    let starts = (0..).map(|n| *first + n * WINDOW / 10).take_while(|start| start <= last);
    let within = |start: Duration| arrivals.iter().filter(|at| (start..start + WINDOW).contains(*at)).count();
    let busiest = starts.map(within).max().unwrap_or(0);
    let windows = ((*last - *first).as_secs_f64() / WINDOW.as_secs_f64()).max(1.0);
    (busiest, arrivals.len() as f64 / windows)
}

fn ms(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1000.0)
}

/// Bytes of this process in memory.
fn rss() -> Result<isize> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: isize = line.and_then(|line| line.trim().strip_suffix("kB")).unwrap_or("0").trim().parse()?;
    Ok(kib * 1024)
}

/// What all threads but this one, which measures, have run.
fn processor_time() -> Result<Duration> {
    of_each_task("schedstat", |text| text.split(' ').next()?.parse().ok()).map(Duration::from_nanos)
}

/// How often all threads but this one gave up the processor to wait.
fn wake_ups() -> Result<u64> {
    let field = |text: &str| {
        text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse().ok()
    };
    of_each_task("status", field)
}

fn of_each_task(file: &str, number: impl Fn(&str) -> Option<u64>) -> Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?;
        // The main thread's number is the process's.
        if task.file_name().to_str() == Some(&std::process::id().to_string()) {
            continue;
        }
        let text = fs::read_to_string(task.path().join(file))?;
        sum += number(&text).ok_or(format!("{file} has no such number"))?;
    }
    Ok(sum)
}

const ROUNDS: usize = 25;
const ROUND_TRIPS: u32 = 1000;
const TURNS: u32 = 20_000;

/// A loop that this thread turns, with idle clients and one that is not.
struct Beside {
    idle: Vec<Client>,
    busy: Client,
    event_loop: EventLoop,
    round_trips: Vec<f64>,
    turns: Vec<f64>,
}

/// Rounds of all loops alternate, so that neighbours on this machine disturb all alike.
fn turns(clients: &[usize]) -> Result<()> {
    let server = Crowd::start(&[])?;
    let mut all = Vec::new();
    for size in clients {
        all.push(Beside::open(&server, *size)?);
    }
    for _ in 0..ROUNDS {
        for beside in &mut all {
            beside.round()?;
        }
    }
    println!("| idle clients | round trip | compared | a turn with nothing to do | compared |");
    println!("|---:|---:|---:|---:|---:|");
    let (first, rest) = all.split_first().ok_or("there are no loops")?;
    first.print(first);
    rest.iter().for_each(|beside| beside.print(first));
    Ok(())
}

impl Beside {
    fn open(server: &Crowd, idle: usize) -> Result<Beside> {
        let event_loop = EventLoop::new()?;
        // No heartbeat comes in between.
        let heartbeat = Heartbeat::ping().after_silence(Duration::from_secs(3600));
        let open = || -> Result<Client> {
            let builder = Client::builder(&server.url()).heartbeat(heartbeat.clone()).event_loop(&event_loop);
            Ok(builder.connect()?)
        };
        let idle: Vec<Client> = (0..idle).map(|_| open()).collect::<Result<_>>()?;
        let busy = open()?;
        let deadline = Instant::now() + SOON;
        while idle.iter().chain([&busy]).any(|client| client.state() != State::Open) {
            event_loop.turn(Some(Duration::from_millis(10)))?;
            if Instant::now() > deadline {
                return Err("they did not open".into());
            }
        }
        Ok(Beside { idle, busy, event_loop, round_trips: Vec::new(), turns: Vec::new() })
    }

    fn round(&mut self) -> Result<()> {
        let began = Instant::now();
        for _ in 0..ROUND_TRIPS {
            self.busy.send_text("there and back")?;
            while !matches!(self.busy.recv()?, Event::Message(_)) {}
        }
        self.round_trips.push(began.elapsed().as_secs_f64() / f64::from(ROUND_TRIPS));
        let began = Instant::now();
        for _ in 0..TURNS {
            self.event_loop.turn(Some(Duration::ZERO))?;
        }
        self.turns.push(began.elapsed().as_secs_f64() / f64::from(TURNS));
        Ok(())
    }

    fn print(&self, first: &Beside) {
        let median = |times: &[f64]| {
            let mut sorted = times.to_vec();
            sorted.sort_by(f64::total_cmp);
            sorted[sorted.len() / 2]
        };
        // Of the rounds' ratios, not the ratio of medians: what disturbs a round disturbs its neighbours.
        let compared = |own: &[f64], other: &[f64]| {
            median(&own.iter().zip(other).map(|(own, other)| own / other).collect::<Vec<_>>())
        };
        println!(
            "| {} | {:.1} µs | {:.2} | {:.0} ns | {:.2} |",
            self.idle.len(),
            median(&self.round_trips) * 1e6,
            compared(&self.round_trips, &first.round_trips),
            median(&self.turns) * 1e9,
            compared(&self.turns, &first.turns),
        );
    }
}
