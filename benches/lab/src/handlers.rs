//! Handlers on the client's own thread; the main thread sends, and waits for what they tell.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use heartwire::{Client, MessageRef};

use crate::lab::{self, Laps, Run, SOON};

pub fn run(run: &Run) {
    match run.mode.as_str() {
        "rtt" => round_trips(run),
        "rtt_cb" => round_trips_in_the_handler(run),
        "send" => send(run),
        "recv" => receive(run),
        "big" => big(run),
        "connect" => connect(run),
        other => lab::unsupported(other),
    }
}

/// What a handler leaves for the main thread.
struct Told<T> {
    value: Mutex<Option<T>>,
    changed: Condvar,
}

impl<T> Told<T> {
    fn new() -> Arc<Told<T>> {
        Arc::new(Told { value: Mutex::new(None), changed: Condvar::new() })
    }

    fn tell(&self, value: T) {
        *self.value.lock().expect("no panic") = Some(value);
        self.changed.notify_one();
    }

    fn wait(&self) -> T {
        let value = self.value.lock().expect("no panic");
        let waited = self.changed.wait_timeout_while(value, SOON, |value| value.is_none());
        waited.expect("no panic").0.take().expect("an answer in time")
    }
}

fn open(run: &Run, on_message: impl FnMut(&Client, MessageRef<'_>) + Send + 'static) -> Client {
    let client = crate::builder(run).build().expect("a good URL");
    client.on_message(on_message);
    client.connect().expect("a thread");
    client.wait_open(SOON).expect("a server");
    client
}

fn round_trips(run: &Run) {
    let payload = run.payload();
    let told = Told::new();
    let tell = told.clone();
    let sent = payload.clone();
    let client = open(run, move |_, echo| tell.tell(lab::is_echo(&sent, echo.as_bytes())));
    let mut laps = Laps::new(run.n);
    for _ in 0..run.n {
        let began = Instant::now();
        client.send_binary(&payload).expect("an open client");
        assert!(told.wait());
        laps.note(began.elapsed());
    }
    laps.print(&run.mode);
}

fn round_trips_in_the_handler(run: &Run) {
    let payload = run.payload();
    let told = Told::new();
    let tell = told.clone();
    let n = run.n;
    let first = payload.clone();
    let mut running: Option<(Laps, Instant)> = None;
    let client = open(run, move |client, echo| {
        let Some((mut laps, began)) = running.take() else {
            // The round trip before the first, which began on another thread.
            running = Some((Laps::new(n), Instant::now()));
            return client.send_binary(&payload).map(drop).expect("an open client");
        };
        laps.note(began.elapsed());
        assert!(lab::is_echo(&payload, echo.as_bytes()));
        if laps.count() == n {
            return tell.tell(laps);
        }
        running = Some((laps, Instant::now()));
        client.send_binary(&payload).expect("an open client");
    });
    client.send_binary(&first).expect("an open client");
    told.wait().print(&run.mode);
}

fn send(run: &Run) {
    let payload = run.payload();
    let told = Told::new();
    let tell = told.clone();
    let client = open(run, move |_, answer| tell.tell(answer.as_text().map(str::to_string)));
    let began = Instant::now();
    for _ in 0..run.n {
        client.send_binary(&payload).expect("an open client");
    }
    let answer = told.wait();
    lab::print_sent(&answer.expect("a text"), began.elapsed());
}

fn receive(run: &Run) {
    let told = Told::new();
    let tell = told.clone();
    let wanted = run.n as u64;
    let (mut n, mut bytes, mut seen) = (0, 0, 0_u64);
    let client = open(run, move |_, message| {
        let message = message.as_bytes();
        n += 1;
        bytes += message.len() as u64;
        seen += u64::from(message[0]);
        if n == wanted {
            std::hint::black_box(seen);
            tell.tell((n, bytes, Instant::now()));
        }
    });
    let began = Instant::now();
    client.send_binary(b"go").expect("an open client");
    let (n, bytes, ended) = told.wait();
    lab::print_rate("recv", n, bytes, ended.saturating_duration_since(began));
}

fn big(run: &Run) {
    let payload = run.payload();
    let told = Told::new();
    let tell = told.clone();
    let sent = payload.clone();
    let client = open(run, move |_, echo| tell.tell(lab::is_echo(&sent, echo.as_bytes())));
    let began = Instant::now();
    for _ in 0..run.n {
        client.send_binary(&payload).expect("an open client");
        assert!(told.wait());
    }
    lab::print_rate("big", run.n as u64, (run.n * run.size) as u64, began.elapsed());
}

fn connect(run: &Run) {
    let mut laps = Laps::new(run.n);
    for _ in 0..run.n {
        let began = Instant::now();
        let client = open(run, |_, _| {});
        let lap: Duration = began.elapsed();
        laps.note(lap);
        client.close(1000, "").expect("a good code");
        client.wait_closed(SOON).expect("a server");
    }
    laps.print(&run.mode);
}
