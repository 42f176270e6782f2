//! Heartwire in each of its ways, at its defaults but for an outbox with room for the largest echo.

use std::hint::black_box;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use heartwire::{Builder, Client, Event, EventLoop, Message, OutboxLimits, Reconnect};

use crate::measures::{Way, Work, check_echo, counted, median, median_of, payload, resident_each};
use crate::peer::flooded;
use crate::{LIMIT, Result};

pub(crate) fn run(way: Way, work: Work, count: u32, origin: &str) -> Result<f64> {
    let url = format!("{origin}{}", work.path(count));
    match (way, work) {
        (Way::Blocking, Work::Trips(size)) => blocking_trips(&url, count, size),
        (Way::Handler, Work::Trips(size)) => trips_in_the_handler(&url, count, size),
        (_, Work::Trips(size)) => awaited_trips(&url, count, size),
        (Way::Blocking, Work::Send) => blocking_send(&url, count),
        (_, Work::Send) => send(&url, count),
        (Way::Blocking, Work::Receive(kind)) => blocking_receive(&url, count, kind),
        (_, Work::Receive(kind)) => receive_in_the_handler(&url, count, kind),
        (Way::Blocking, Work::Open) => {
            let event_loop = EventLoop::new()?;
            opens(count, || builder(&url).event_loop(&event_loop))
        }
        (_, Work::Open) => opens(count, || builder(&url)),
        (Way::Blocking, Work::Idle) => {
            let event_loop = EventLoop::new()?;
            let open = || opened(builder(&url).event_loop(&event_loop).build()?);
            resident_each(count, open, |until| {
                while Instant::now() < until {
                    event_loop.turn(Some(until.saturating_duration_since(Instant::now())))?;
                }
                Ok(())
            })
        }
        (_, Work::Idle) => resident_each(
            count,
            || opened(builder(&url).build()?),
            |until| {
                std::thread::sleep(until.saturating_duration_since(Instant::now()));
                Ok(())
            },
        ),
    }
}

fn builder(url: &str) -> Builder {
    let outbox = OutboxLimits::new().bytes(32 << 20).block_when_full(LIMIT);
    // A connection that was lost would be a run without a meaning.
    let builder = Client::builder(url).outbox(outbox).reconnect(Reconnect::never());
    #[cfg(feature = "native-tls")]
    if url.starts_with("wss:") {
        let tls = heartwire::Tls::new();
        return builder
            .tls(tls.danger_accept_invalid_certificates(true).danger_accept_invalid_hostnames(true));
    }
    builder
}

fn opened(client: Client) -> Result<Client> {
    client.connect()?;
    client.wait_open(LIMIT)?;
    Ok(client)
}

fn on_own_loop(url: &str) -> Result<Client> {
    opened(builder(url).event_loop(&EventLoop::new()?).build()?)
}

/// The next message; the events before it are those of the open connection.
fn next(client: &Client) -> Result<Message> {
    loop {
        match client.recv()? {
            Event::Message(message) => return Ok(message),
            Event::Close(closed) => return Err(closed.to_string().into()),
            _ => {}
        }
    }
}

fn blocking_trips(url: &str, count: u32, size: usize) -> Result<f64> {
    let client = on_own_loop(url)?;
    let message = payload(size);
    median(count, || {
        let began = Instant::now();
        client.send_binary(&message)?;
        let echo = next(&client)?;
        let time = began.elapsed();
        check_echo(echo.as_bytes(), &message);
        Ok(time)
    })
}

fn trips_in_the_handler(url: &str, count: u32, size: usize) -> Result<f64> {
    let client = builder(url).build()?;
    let message = payload(size);
    let (tell, told) = channel();
    let mut times = Vec::with_capacity(count as usize);
    let mut began: Option<Instant> = None;
    let first = message.clone();
    client.on_message(move |client, echo| {
        times.extend(began.map(|began| began.elapsed()));
        check_echo(echo.as_bytes(), &message);
        if times.len() == count as usize {
            tell.send(std::mem::take(&mut times)).expect("the main thread waits");
            return;
        }
        began = Some(Instant::now());
        client.send_binary(&message).expect("an open client");
    });
    let client = opened(client)?;
    client.send_binary(&first)?;
    Ok(median_of(told.recv_timeout(LIMIT)?))
}

/// How many messages a handler has seen, for a thread that waits for them.
#[derive(Default)]
struct Arrivals {
    seen: Mutex<u32>,
    more: Condvar,
}

impl Arrivals {
    fn add(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.more.notify_one();
    }

    fn wait(&self, count: u32) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Without a time limit, which would cost each round trip a timer: who started this process has one.
        drop(self.more.wait_while(seen, |seen| *seen < count));
    }
}

fn awaited_trips(url: &str, count: u32, size: usize) -> Result<f64> {
    let client = builder(url).build()?;
    let message = payload(size);
    let arrivals = Arc::new(Arrivals::default());
    let (sent, seen) = (message.clone(), arrivals.clone());
    client.on_message(move |_, echo| {
        check_echo(echo.as_bytes(), &sent);
        seen.add();
    });
    let client = opened(client)?;
    let mut trips = 0;
    median(count, || {
        trips += 1;
        let began = Instant::now();
        client.send_binary(&message)?;
        arrivals.wait(trips);
        Ok(began.elapsed())
    })
}

/// The texts that come.
fn texts(client: &Client) -> Receiver<String> {
    let (tell, told) = channel();
    client.on_message(move |_, message| {
        tell.send(message.as_text().unwrap_or_default().to_owned()).expect("the main thread waits");
    });
    told
}

fn send(url: &str, count: u32) -> Result<f64> {
    let client = builder(url).build()?;
    let answers = texts(&client);
    let client = opened(client)?;
    flood(&client, count, || Ok(answers.recv_timeout(LIMIT)?))
}

fn blocking_send(url: &str, count: u32) -> Result<f64> {
    let client = on_own_loop(url)?;
    flood(&client, count, || Ok(next(&client)?.as_text().unwrap_or_default().to_owned()))
}

fn flood(client: &Client, count: u32, answer: impl FnOnce() -> Result<String>) -> Result<f64> {
    let message = payload(64);
    let began = Instant::now();
    for _ in 0..count {
        client.send_binary(&message)?;
    }
    let answer = answer()?;
    let time = began.elapsed();
    assert_eq!(answer, counted(count));
    Ok(each(time, count))
}

fn receive_in_the_handler(url: &str, count: u32, kind: &str) -> Result<f64> {
    let client = builder(url).build()?;
    let (tell, told) = channel();
    let (mut seen, mut bytes) = (0, 0);
    client.on_message(move |_, message| {
        seen += 1;
        bytes += black_box(message.as_bytes()).len();
        if seen >= count {
            tell.send((bytes, Instant::now())).expect("the main thread waits");
        }
    });
    let (close, closed) = channel();
    client.on_close(move |_, _| close.send(()).expect("the main thread waits"));
    let client = opened(client)?;
    let began = Instant::now();
    client.send_text("go")?;
    let (bytes, ended) = told.recv_timeout(LIMIT)?;
    assert_eq!(bytes, count as usize * flooded(kind).1.len());
    closed.recv_timeout(LIMIT)?;
    assert!(told.try_recv().is_err(), "a message too many");
    Ok(each(ended - began, count))
}

fn blocking_receive(url: &str, count: u32, kind: &str) -> Result<f64> {
    let client = on_own_loop(url)?;
    let mut bytes = 0;
    let began = Instant::now();
    client.send_text("go")?;
    for _ in 0..count {
        bytes += black_box(next(&client)?.as_bytes()).len();
    }
    let time = began.elapsed();
    assert_eq!(bytes, count as usize * flooded(kind).1.len());
    assert!(next(&client).is_err(), "a message too many");
    Ok(each(time, count))
}

/// What each of so many cost.
fn each(time: Duration, count: u32) -> f64 {
    time.as_secs_f64() / f64::from(count)
}

/// From nothing to an open client, its thread or its place on a loop included.
fn opens(count: u32, builder: impl Fn() -> Builder) -> Result<f64> {
    // Raw tungstenite is given one TLS connector for all. Here clients with the same settings share one that lives as
    // long as any of them.
    let _keeps_the_connector = builder().build()?;
    median(count, || {
        let began = Instant::now();
        let client = opened(builder().build()?)?;
        let time = began.elapsed();
        client.close(1000, "")?;
        client.wait_closed(LIMIT)?;
        Ok(time)
    })
}
