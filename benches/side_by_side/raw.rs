//! Raw tungstenite in blocking style, at its defaults: the contender that the others are compared with.

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use tungstenite::{Bytes, Message, WebSocket};

use crate::Result;
use crate::measures::{Work, check_echo, counted, median, payload, resident_each};
use crate::peer::flooded;

pub(crate) fn run(work: Work, count: u32, origin: &str) -> Result<f64> {
    let (scheme, address) = origin.split_once("://").ok_or("an origin begins with its scheme")?;
    let url = format!("{origin}{}", work.path(count));
    let tcp = || -> Result<TcpStream> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    match scheme {
        "ws" => over(work, count, &url, tcp),
        _ => over(work, count, &url, tls(tcp)?),
    }
}

/// Connects with TLS, as heartwire does: by the same library, with one connector for all, and without a look at the
/// certificate.
#[cfg(feature = "native-tls")]
fn tls(tcp: impl Fn() -> Result<TcpStream>) -> Result<impl Fn() -> Result<native_tls::TlsStream<TcpStream>>> {
    let mut builder = native_tls::TlsConnector::builder();
    let connector =
        builder.danger_accept_invalid_certs(true).danger_accept_invalid_hostnames(true).build()?;
    Ok(move || Ok(connector.connect("127.0.0.1", tcp()?)?))
}

#[cfg(not(feature = "native-tls"))]
fn tls(tcp: impl Fn() -> Result<TcpStream>) -> Result<impl Fn() -> Result<TcpStream>> {
    let _ = &tcp;
    Err::<fn() -> Result<TcpStream>, _>("built without TLS".into())
}

fn over<S: Read + Write + Send + 'static>(
    work: Work,
    count: u32,
    url: &str,
    stream: impl Fn() -> Result<S>,
) -> Result<f64> {
    let open = || -> Result<WebSocket<S>> {
        let (socket, _) = tungstenite::client(url, stream()?).map_err(|error| error.to_string())?;
        Ok(socket)
    };
    match work {
        Work::Trips(size) => trips(open()?, count, size),
        Work::Send => send(open()?, count),
        Work::Receive(kind) => receive(open()?, count, kind),
        Work::Open => median(count, || {
            let began = Instant::now();
            let mut socket = open()?;
            let time = began.elapsed();
            socket.close(None)?;
            while socket.read().is_ok() {}
            Ok(time)
        }),
        Work::Idle => {
            let open = || {
                let mut socket = open()?;
                Ok(std::thread::spawn(move || socket.read().is_ok()))
            };
            resident_each(count, open, |until| {
                std::thread::sleep(until.saturating_duration_since(Instant::now()));
                Ok(())
            })
        }
    }
}

fn trips(mut socket: WebSocket<impl Read + Write>, count: u32, size: usize) -> Result<f64> {
    let message = Bytes::from(payload(size));
    median(count, || {
        let began = Instant::now();
        socket.send(Message::Binary(message.clone()))?;
        let echo = socket.read()?;
        let time = began.elapsed();
        check_echo(&echo.into_data(), &message);
        Ok(time)
    })
}

fn send(mut socket: WebSocket<impl Read + Write>, count: u32) -> Result<f64> {
    let message = Bytes::from(payload(64));
    let began = Instant::now();
    for _ in 0..count {
        socket.send(Message::Binary(message.clone()))?;
    }
    let answer = socket.read()?;
    let time = began.elapsed();
    assert_eq!(answer.to_text()?, counted(count));
    Ok(time.as_secs_f64() / f64::from(count))
}

fn receive(mut socket: WebSocket<impl Read + Write>, count: u32, kind: &str) -> Result<f64> {
    let mut bytes = 0;
    let began = Instant::now();
    socket.send(Message::text("go"))?;
    for _ in 0..count {
        let message = socket.read()?;
        let data = match &message {
            Message::Binary(data) => &data[..],
            Message::Text(text) => text.as_bytes(),
            other => return Err(format!("{other:?} is no message").into()),
        };
        bytes += black_box(data).len();
    }
    let time = began.elapsed();
    assert_eq!(bytes, count as usize * flooded(kind).1.len());
    assert!(socket.read()?.is_close(), "a message too many");
    Ok(time.as_secs_f64() / f64::from(count))
}
