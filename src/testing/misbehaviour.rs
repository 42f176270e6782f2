//! Servers that break the rules, each in one line: `Behaviour::stops(Point::Requested, Then::Reset)`.
//!
//! They know nothing of the client; what it should make of them is for tests to say.

use super::behaviour::{Behaviour, RawStream};
use super::frames::{close_frame, frame, raw_frame, raw_header};
use super::upgrade::{accept_key_for, read_request_head, switching_protocols};
use socket2::SockRef;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

/// How far a server goes before it misbehaves, for [`Behaviour::stops`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Point {
    /// The TCP connection was accepted, and nothing was read from it.
    Accepted,
    /// A few bytes were read: of the ClientHello over TLS, of the request otherwise.
    Asked,
    /// The whole request was read.
    Requested,
    /// Half of the status line is out.
    Answering,
    /// The upgrade is done.
    Open,
    /// The upgrade is done, and half of a frame is out.
    MidFrame,
    /// The upgrade is done, and the first of a message's frames is out.
    MidMessage,
}

/// How a server misbehaves then, for [`Behaviour::stops`] and [`Behaviour::until`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Then {
    /// Takes what comes, and says nothing more: no answer, no pong, no Close.
    Silence,
    /// Neither reads nor writes any more, so that the client's TCP fills up; nor does it see the client's end.
    Stall,
    /// Resets the TCP connection.
    Reset,
    /// Ends its direction of the TCP connection: over TLS without close_notify, in an open session without Close.
    End,
    /// Sends what is neither HTTP nor TLS nor a frame, then takes what comes.
    Garbage,
}

/// A frame that no sound server sends, for [`Behaviour::sends`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadFrame {
    /// A text that is not UTF-8 (RFC 6455 section 8.1).
    InvalidUtf8,
    /// A masked frame (section 5.1).
    Masked,
    /// A reserved bit without an extension (section 5.2).
    ReservedBit,
    /// An opcode that means nothing (section 5.2).
    UnknownOpcode,
    /// A header that claims a payload of 2^62 bytes.
    Huge,
    /// A header whose length is in more bytes than it needs (section 5.2).
    LongLength,
    /// A ping of 126 bytes (section 5.5).
    LongPing,
    /// A ping in fragments (section 5.5).
    FragmentedPing,
    /// A fragment that continues no message (section 5.4).
    LoneFragment,
    /// A Close with the code 1005, which may not be sent (section 7.4.1).
    CloseCode,
    /// A Close with a payload of one byte (section 5.5.1).
    ShortClose,
}

impl BadFrame {
    /// All of them.
    pub const ALL: [BadFrame; 11] = [
        BadFrame::InvalidUtf8,
        BadFrame::Masked,
        BadFrame::ReservedBit,
        BadFrame::UnknownOpcode,
        BadFrame::Huge,
        BadFrame::LongLength,
        BadFrame::LongPing,
        BadFrame::FragmentedPing,
        BadFrame::LoneFragment,
        BadFrame::CloseCode,
        BadFrame::ShortClose,
    ];

    /// The frame as it goes over the wire; of [`Huge`](BadFrame::Huge) the header and a few bytes.
    pub fn bytes(self) -> Vec<u8> {
        match self {
            BadFrame::InvalidUtf8 => frame(1, b"\xC0\x80"),
            BadFrame::Masked => [&raw_header(0x81, 0x80, 2)[..], &[0, 0, 0, 0], b"hi"].concat(),
            BadFrame::ReservedBit => raw_frame(0xC1, b"hi"),
            BadFrame::UnknownOpcode => frame(3, b"hi"),
            BadFrame::Huge => [&raw_header(0x82, 0, 1 << 62)[..], b"hi"].concat(),
            BadFrame::LongLength => [0x81, 126, 0, 2, b'h', b'i'].to_vec(),
            BadFrame::LongPing => frame(9, &[0; 126]),
            BadFrame::FragmentedPing => raw_frame(9, b"hi"),
            BadFrame::LoneFragment => frame(0, b"hi"),
            BadFrame::CloseCode => close_frame(1005, ""),
            BadFrame::ShortClose => frame(8, &[3]),
        }
    }
}

/// No HTTP, no TLS record, no frame and no UTF-8; with an empty line, so that nobody waits for the end of a head.
pub(super) const GARBAGE: &[u8] = b"\xFF\xFE\0\x80 garbage \xC0\r\n\r\n\xFF\xFF";

impl Behaviour {
    /// Goes as far as `point` says, then does what `then` says. In an open session see [`until`](Behaviour::until), too.
    ///
    /// ```
    /// use heartwire::testing::{Behaviour, Point, Server, Then};
    ///
    /// let server = Server::start(Behaviour::stops(Point::Answering, Then::Reset));
    /// let client = heartwire::Client::builder(&server.url()).connect().unwrap();
    /// let failed = |event| matches!(event, heartwire::Event::ConnectFailed(_));
    /// while !failed(client.recv_timeout(std::time::Duration::from_secs(10)).unwrap()) {}
    /// ```
    pub fn stops(point: Point, then: Then) -> Behaviour {
        Behaviour::raw(move |stream, _| {
            // A client that gives up before is none of our business.
            let _ = reach(stream, point).and_then(|()| misbehave(stream, point, then));
        })
    }

    /// Upgrades and sends this frame, then takes what comes.
    ///
    /// A client has to end such a session (RFC 6455 section 7.1.7).
    pub fn sends(bad: BadFrame) -> Behaviour {
        Behaviour::opens_with(bad.bytes())
    }

    /// Answers the upgrade with what `answer` makes of the request's head.
    pub fn answers(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Behaviour {
        Behaviour::raw(move |stream, _| {
            let Ok(head) = read_request_head(stream) else { return };
            let _ = say(stream, answer(&head).as_bytes()).and_then(|()| take_all(stream));
        })
    }

    /// Answers the upgrade with the right headers under this status line.
    pub fn status_line(line: &'static str) -> Behaviour {
        Behaviour::answers(move |head| {
            switching_protocols(head, "").replacen("HTTP/1.1 101 Switching Protocols", line, 1)
        })
    }

    /// Answers the upgrade as it should, but with the key of another request.
    pub fn wrong_accept() -> Behaviour {
        Behaviour::answers(|head| {
            let another = accept_key_for("\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==");
            switching_protocols(head, "").replace(&accept_key_for(head), &another)
        })
    }

    /// Answers the upgrade as it should, but without `Sec-WebSocket-Accept`.
    pub fn no_accept() -> Behaviour {
        Behaviour::answers(|head| {
            let line = format!("Sec-WebSocket-Accept: {}\r\n", accept_key_for(head));
            switching_protocols(head, "").replace(&line, "")
        })
    }

    /// Answers the upgrade with the start of a head, then with `more` again and again, so far apart, without end.
    pub fn endless_answer(start: &'static str, more: &'static str, every: Duration) -> Behaviour {
        Behaviour::raw(move |stream, _| {
            let Ok(_) = read_request_head(stream) else { return };
            let mut said = say(stream, start.as_bytes());
            // Ends when the client hangs up.
            while said.is_ok() {
                if !every.is_zero() {
                    thread::sleep(every);
                }
                said = say(stream, more.as_bytes());
            }
        })
    }

    /// Upgrades and sends these bytes in the same segment, then takes what comes.
    pub fn opens_with(bytes: impl Into<Vec<u8>>) -> Behaviour {
        let bytes = bytes.into();
        Behaviour::raw(move |stream, _| {
            let Ok(head) = read_request_head(stream) else { return };
            let all = [switching_protocols(&head, "").as_bytes(), &bytes].concat();
            let _ = say(stream, &all).and_then(|()| take_all(stream));
        })
    }

    /// Upgrades and sends these bytes, each in a segment of its own, then ends its direction.
    pub fn opens_byte_by_byte(bytes: impl Into<Vec<u8>>) -> Behaviour {
        let bytes = bytes.into();
        Behaviour::raw(move |stream, _| {
            let Ok(head) = read_request_head(stream) else { return };
            let mut all = switching_protocols(&head, "").into_bytes();
            all.extend(&bytes);
            let _ = all.iter().try_for_each(|byte| say(stream, &[*byte])).and_then(|()| take_all(stream));
        })
    }

    /// Upgrades and sends `first`, then `chunk` so many times, without reading; then `last`, and takes what comes.
    pub fn floods(
        first: impl Into<Vec<u8>>,
        chunk: impl Into<Vec<u8>>,
        times: usize,
        last: impl Into<Vec<u8>>,
    ) -> Behaviour {
        let (first, chunk, last) = (first.into(), chunk.into(), last.into());
        Behaviour::raw(move |stream, _| {
            let Ok(head) = read_request_head(stream) else { return };
            let answer = [switching_protocols(&head, "").as_bytes(), &first].concat();
            let _ = say(stream, &answer)
                .and_then(|()| (0..times).try_for_each(|_| say(stream, &chunk)))
                .and_then(|()| say(stream, &last))
                .and_then(|()| take_all(stream));
        })
    }
}

fn say(stream: &mut RawStream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).and_then(|()| stream.flush())
}

fn take_all(from: &mut impl Read) -> io::Result<()> {
    let mut some = [0; 4096];
    while from.read(&mut some)? > 0 {}
    Ok(())
}

fn reach(stream: &mut RawStream, point: Point) -> io::Result<()> {
    match point {
        Point::Accepted => return Ok(()),
        // Not through TLS, which would answer.
        Point::Asked => return stream.tcp().read_exact(&mut [0; 16]),
        _ => {}
    }
    let head = read_request_head(stream)?;
    let mut answer = switching_protocols(&head, "").into_bytes();
    match point {
        Point::Requested => answer.clear(),
        Point::Answering => answer.truncate("HTTP/1.1 101 Swi".len()),
        Point::MidFrame => answer.extend(&raw_frame(0x81, b"half of it")[..7]),
        Point::MidMessage => answer.extend(raw_frame(0x01, b"the first of two")),
        _ => {}
    }
    if answer.is_empty() { Ok(()) } else { say(stream, &answer) }
}

fn misbehave(stream: &mut RawStream, point: Point, then: Then) -> io::Result<()> {
    let before_tls = matches!(point, Point::Accepted | Point::Asked);
    match then {
        Then::Silence => {}
        Then::Stall => {
            stream.wait_cut();
            return Ok(());
        }
        Then::Reset => return SockRef::from(stream.tcp()).set_linger(Some(Duration::ZERO)),
        Then::End => stream.tcp().shutdown(Shutdown::Write)?,
        Then::Garbage if before_tls => stream.tcp().write_all(GARBAGE)?,
        Then::Garbage => say(stream, GARBAGE)?,
    }
    if before_tls { take_all(&mut stream.tcp()) } else { take_all(stream) }
}
