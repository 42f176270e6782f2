//! A whole client, with its threads and a socket, and a server that answers with whatever bytes in whatever pieces.
//!
//! Options: the lower four bits choose the limit of a message, the fifth says whether the client sends something first.
//! In the bytes, the answer to the key of RFC 6455 section 1.3 stands for the answer to the key that was sent.
#![no_main]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use heartwire::fuzz::{Item, Reader, accept_key};
use heartwire::{Cause, Client, Event, LinkError, Message, ProtocolFault, Reconnect};
use heartwire_fuzz::{Input, Stream};
use libfuzzer_sys::fuzz_target;

const LIMITS: [usize; 8] = [1, 2, 125, 126, 1000, 70_000, 16 << 20, usize::MAX];
const PATIENCE: Duration = Duration::from_secs(10);
const SAMPLE_ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fuzz_target!(|input: &[u8]| {
    let Some(input) = Input::new(input) else { return };
    let limit = input.choose(&LIMITS);
    let listener = listener();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let client = Client::builder(&url).max_message_size(limit).reconnect(Reconnect::never()).build().unwrap();
    if input.flag(0) {
        client.send_text("first").unwrap();
    }
    client.connect().unwrap();
    let (mut server, _) = listener.accept().unwrap();
    serve(&mut server, &input);

    let told = to_the_end(&client);
    let opens = told.iter().filter(|event| matches!(event, Event::Open(_))).count();
    let ends = told.iter().filter(|event| matches!(event, Event::Close(_))).count();
    let failures = told.iter().filter(|event| matches!(event, Event::ConnectFailed(_))).count();
    assert!(opens == ends && opens + failures == 1, "{told:#?}");
    let texts: Vec<&Message> = told
        .iter()
        .filter_map(|event| match event {
            Event::Message(message) => Some(message),
            _ => None,
        })
        .collect();
    if opens == 1 {
        let (expected, end) = messages(limit, behind_the_answer(input.bytes));
        assert_eq!(texts, expected.iter().collect::<Vec<_>>());
        let closed = told.iter().find_map(|event| match event {
            Event::Close(closed) => Some(closed),
            _ => None,
        });
        let closed = closed.expect("one for each open");
        let cause = closed.error().map(LinkError::cause);
        match end {
            End::Close(code, reason) => {
                assert_eq!((closed.code(), closed.reason()), (code, reason.as_str()));
                assert!(closed.is_clean(), "our Close was not sent: {closed:?}");
            }
            End::Fault(fault) => {
                assert_eq!(closed.code(), fault.close_code(), "our Close was not sent");
                assert!(matches!(cause, Some(Cause::Protocol(told)) if *told == fault), "{closed:?}");
            }
            End::None => assert!(matches!(cause, Some(Cause::EndOfStream)), "{closed:?}"),
        }
    } else {
        assert!(texts.is_empty());
    }
    // Whatever the server said.
    let text = client.explain();
    assert!(text.len() < 16 << 10 && text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    drop(client);
});

/// One for the process: each input has a connection of its own.
fn listener() -> &'static TcpListener {
    static LISTENER: OnceLock<TcpListener> = OnceLock::new();
    LISTENER.get_or_init(|| TcpListener::bind("127.0.0.1:0").unwrap())
}

fn serve(server: &mut TcpStream, input: &Input<'_>) {
    server.set_nodelay(true).unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    while !request.ends_with(b"\r\n\r\n") {
        let bytes = match server.read(&mut chunk) {
            // libFuzzer's own clock.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read.expect("the client sends its request"),
        };
        assert!(bytes > 0, "the client sends a whole request");
        request.extend_from_slice(&chunk[..bytes]);
    }
    let bytes = with_accept(input.bytes, &request);
    let mut unsent = &bytes[..];
    for size in input.sizes {
        std::thread::yield_now();
        let (now, later) = unsent.split_at(usize::from(*size).min(unsent.len()));
        unsent = later;
        // The client may have gone: what it was sent before is enough for it.
        if server.write_all(now).is_err() {
            return;
        }
    }
    let _ = server.write_all(unsent);
    let _ = server.shutdown(Shutdown::Write);
}

fn with_accept(bytes: &[u8], request: &[u8]) -> Vec<u8> {
    let request = std::str::from_utf8(request).expect("ASCII only");
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    let accept = accept_key(key.expect("a key").as_bytes());
    let Some(at) = find(bytes, SAMPLE_ACCEPT) else { return bytes.to_vec() };
    [&bytes[..at], accept.as_bytes(), &bytes[at + SAMPLE_ACCEPT.len()..]].concat()
}

fn to_the_end(client: &Client) -> Vec<Event> {
    let deadline = Instant::now() + PATIENCE;
    let mut told = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let event = client.recv_timeout(left).unwrap_or_else(|error| panic!("{error} after {told:#?}"));
        let last = matches!(event, Event::ClosedForGood(_));
        told.push(event);
        if last {
            return told;
        }
    }
}

/// What stands behind the head that has the good answer.
fn behind_the_answer(bytes: &[u8]) -> &[u8] {
    let accept = find(bytes, SAMPLE_ACCEPT).expect("nothing else is a good answer");
    let ends = (accept..bytes.len()).find_map(|at| match &bytes[at..] {
        [b'\n', b'\n', ..] => Some(at + 2),
        [b'\n', b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    });
    &bytes[ends.expect("a head that is whole")..]
}

/// How the server's bytes end.
enum End {
    Close(u16, String),
    Fault(ProtocolFault),
    None,
}

/// What the reader in memory makes of these bytes.
fn messages(limit: usize, bytes: &[u8]) -> (Vec<Message>, End) {
    let mut reader = Reader::new(limit, Vec::new());
    let mut stream = Stream::whole(bytes);
    let mut messages = Vec::new();
    loop {
        match reader.next() {
            Ok(Some(Item::Message(message))) => messages.push(message.to_message()),
            Ok(Some(Item::Close(code, reason))) => return (messages, End::Close(code, reason.to_owned())),
            Ok(Some(_)) => {}
            Err(fault) => return (messages, End::Fault(fault)),
            Ok(None) => {
                if reader.fill(&mut stream).is_err() {
                    return (messages, End::None);
                }
            }
        }
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
