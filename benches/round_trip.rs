//! Round trips of 64 bytes, one in flight: raw tungstenite against this library in each of its ways.
//!
//!     cargo bench --bench round_trip
//!
//! The echo server is another process. Contenders take turns in every round, and what counts is the ratio to raw
//! tungstenite within the round: above 1 is faster. On Linux both processes share one core where `taskset` is there, since
//! the scheduler's choice of cores otherwise changes a round trip by a factor of three.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use heartwire::{Client, Event, EventLoop};
use tungstenite::{Message, WebSocket};

const ROUNDS: usize = 9;
const TRIPS: usize = 20_000;
const SIZE: usize = 64;
const SOON: Duration = Duration::from_secs(10);

/// In the environment of the server's process; a name, since cargo gives benches arguments of its own.
const SERVE: &str = "HEARTWIRE_BENCH_SERVE";
/// In the environment of the process that was put on one core.
const PLACED: &str = "HEARTWIRE_BENCH_PLACED";

/// The median round trip with the server at this URL.
type Contender = fn(&str) -> Duration;

fn main() {
    if std::env::var_os(SERVE).is_some() {
        return serve();
    }
    if std::env::var_os(PLACED).is_none() && run_on_one_core() {
        return;
    }
    let mut server = Server::start();
    let contenders: [(&str, Contender); 4] = [
        ("raw tungstenite", raw),
        ("recv on the caller's own loop", blocking),
        ("next send from the handler", from_the_handler),
        ("handler, and a main thread that waits", with_a_thread_hop),
    ];
    let mut times = vec![Vec::new(); contenders.len()];
    for round in 0..ROUNDS {
        for turn in 0..contenders.len() {
            let which = (round + turn) % contenders.len();
            times[which].push(contenders[which].1(&server.url));
        }
    }
    drop(server.process.stdin.take());
    server.process.wait().ok();
    println!("| round trip of {SIZE} bytes | median | ratio to raw tungstenite | range |");
    println!("|---|---|---|---|");
    for (which, (name, _)) in contenders.iter().enumerate() {
        let ratio = |round: usize| times[0][round].as_secs_f64() / times[which][round].as_secs_f64();
        let mut ratios: Vec<f64> = (0..ROUNDS).map(ratio).collect();
        ratios.sort_by(f64::total_cmp);
        let mut sorted = times[which].clone();
        sorted.sort();
        let median = sorted[ROUNDS / 2].as_secs_f64() * 1e6;
        println!(
            "| {name} | {median:.1} µs | {:.2} | {:.2} to {:.2} |",
            ratios[ROUNDS / 2],
            ratios[0],
            ratios[ROUNDS - 1]
        );
    }
}

/// The median of so many round trips.
fn median(mut trip: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = Vec::with_capacity(TRIPS);
    for _ in 0..TRIPS {
        let began = Instant::now();
        trip();
        times.push(began.elapsed());
    }
    times.sort();
    times[TRIPS / 2]
}

fn raw(url: &str) -> Duration {
    let address = url.trim_start_matches("ws://").trim_end_matches('/');
    let stream = TcpStream::connect(address).expect("the server is there");
    stream.set_nodelay(true).expect("a TCP socket");
    let (mut socket, _) = tungstenite::client(url, stream).expect("an upgrade");
    let message = tungstenite::Bytes::from(vec![7; SIZE]);
    median(|| {
        socket.send(Message::Binary(message.clone())).expect("an open session");
        assert_eq!(socket.read().expect("an echo").len(), SIZE);
    })
}

fn blocking(url: &str) -> Duration {
    let event_loop = EventLoop::new().expect("descriptors");
    let client = Client::builder(url).event_loop(&event_loop).connect().expect("a good URL");
    client.wait_open(SOON).expect("a server");
    let message = [7; SIZE];
    median(|| {
        client.send_binary(&message).expect("an open client");
        loop {
            if let Event::Message(echo) = client.recv().expect("an open client") {
                return assert_eq!(echo.len(), SIZE);
            }
        }
    })
}

fn from_the_handler(url: &str) -> Duration {
    let client = Client::builder(url).build().expect("a good URL");
    let (tell, told) = mpsc::channel();
    let mut times = Vec::with_capacity(TRIPS);
    let mut began = None;
    client.on_message(move |client, echo| {
        assert_eq!(echo.as_bytes().len(), SIZE);
        times.extend(began.map(|began: Instant| began.elapsed()));
        if times.len() == TRIPS {
            return tell.send(std::mem::take(&mut times)).expect("the other end waits");
        }
        began = Some(Instant::now());
        client.send_binary(&[7; SIZE]).expect("an open client");
    });
    client.connect().expect("a thread");
    client.send_binary(&[7; SIZE]).expect("a new client");
    let mut times = told.recv().expect("the handler tells");
    times.sort();
    times[TRIPS / 2]
}

fn with_a_thread_hop(url: &str) -> Duration {
    let client = Client::builder(url).build().expect("a good URL");
    let (tell, told) = mpsc::channel();
    client.on_message(move |_, echo| tell.send(echo.as_bytes().len()).expect("the other end waits"));
    client.connect().expect("a thread");
    client.wait_open(SOON).expect("a server");
    let message = [7; SIZE];
    median(|| {
        client.send_binary(&message).expect("an open client");
        assert_eq!(told.recv(), Ok(SIZE));
    })
}

struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start() -> Server {
        let program = std::env::current_exe().expect("this program has a path");
        let process =
            Command::new(program).env(SERVE, "1").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = process.expect("a process");
        let output = process.stdout.take().expect("it is a pipe");
        let mut url = String::new();
        BufReader::new(output).read_line(&mut url).expect("the server tells its URL");
        Server { process, url: url.trim().to_string() }
    }
}

fn serve() {
    // However the other process ends: its end of the pipe goes with it.
    std::thread::spawn(|| {
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).ok();
        std::process::exit(0);
    });
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("ws://{}/", listener.local_addr().expect("it is bound"));
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || {
            stream.set_nodelay(true).ok();
            if let Ok(socket) = tungstenite::accept(stream) {
                echo(socket);
            }
        });
    }
}

fn echo(mut socket: WebSocket<TcpStream>) {
    while let Ok(message) = socket.read() {
        if (message.is_binary() || message.is_text()) && socket.send(message).is_err() {
            return;
        }
    }
}

/// Runs this program again, on the first core only; `false` where that cannot be done.
fn run_on_one_core() -> bool {
    let program = std::env::current_exe().expect("this program has a path");
    let placed = Command::new("taskset").args(["-c", "0"]).arg(program).env(PLACED, "1").status();
    match placed {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(_) => {
            eprintln!("without taskset, so the scheduler's choice of cores counts as well");
            false
        }
    }
}
