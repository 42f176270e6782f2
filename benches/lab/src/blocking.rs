//! Everything on the main thread: the calls that wait turn the loop.

use std::time::Instant;

use heartwire::{Client, Event, EventLoop, Message};

use crate::lab::{self, Laps, Run, SOON};

pub fn run(run: &Run) {
    let event_loop = EventLoop::new().expect("descriptors");
    match run.mode.as_str() {
        "rtt" | "rtt_cb" => round_trips(run, &open(run, &event_loop)),
        "send" => send(run, &open(run, &event_loop)),
        "recv" => receive(run, &open(run, &event_loop)),
        "big" => big(run, &open(run, &event_loop)),
        "connect" => connect(run, &event_loop),
        other => lab::unsupported(other),
    }
}

fn open(run: &Run, event_loop: &EventLoop) -> Client {
    let client = crate::builder(run).event_loop(event_loop).connect().expect("a good URL");
    client.wait_open(SOON).expect("a server");
    client
}

fn next_message(client: &Client) -> Message {
    loop {
        if let Event::Message(message) = client.recv().expect("an open client") {
            return message;
        }
    }
}

fn round_trips(run: &Run, client: &Client) {
    let payload = run.payload();
    let mut laps = Laps::new(run.n);
    for _ in 0..run.n {
        let began = Instant::now();
        client.send_binary(&payload).expect("an open client");
        let echo = next_message(client);
        laps.note(began.elapsed());
        assert!(lab::is_echo(&payload, echo.as_bytes()));
    }
    laps.print(&run.mode);
}

fn send(run: &Run, client: &Client) {
    let payload = run.payload();
    let began = Instant::now();
    for _ in 0..run.n {
        client.send_binary(&payload).expect("an open client");
    }
    let answer = next_message(client);
    lab::print_sent(answer.as_text().expect("a text"), began.elapsed());
}

fn receive(run: &Run, client: &Client) {
    let began = Instant::now();
    client.send_binary(b"go").expect("an open client");
    let mut bytes = 0;
    for _ in 0..run.n {
        bytes += next_message(client).len() as u64;
    }
    lab::print_rate("recv", run.n as u64, bytes, began.elapsed());
}

fn big(run: &Run, client: &Client) {
    let payload = run.payload();
    let began = Instant::now();
    for _ in 0..run.n {
        client.send_binary(&payload).expect("an open client");
        assert!(lab::is_echo(&payload, next_message(client).as_bytes()));
    }
    lab::print_rate("big", run.n as u64, (run.n * run.size) as u64, began.elapsed());
}

fn connect(run: &Run, event_loop: &EventLoop) {
    let mut laps = Laps::new(run.n);
    for _ in 0..run.n {
        let began = Instant::now();
        let client = open(run, event_loop);
        laps.note(began.elapsed());
        client.close(1000, "").expect("a good code");
        client.wait_closed(SOON).expect("a server");
    }
    laps.print(&run.mode);
}
