//! One connection of the server: bytes in, events and answers out. Knows no other connection and never blocks.

use super::behaviour::{Behaviour, Reply, Upgrade, When};
use super::event::{Ending, ServerEvent};
use super::frames::{self, FrameReader, Incoming, Violation};
use super::misbehaviour::{GARBAGE, Then};
use super::serving::Publisher;
use super::transport::Transport;
use super::upgrade::Request;
use crate::Message;
use socket2::SockRef;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server as http;

/// While more than this waits to be sent, nothing more is read: a server that echoes blocks there, too.
const UNSENT_LIMIT: usize = 1 << 20;
/// Reads per turn, so that one busy client starves neither commands nor the others.
const READS_PER_TURN: usize = 16;

pub(super) type Stream = Transport<mio::net::TcpStream>;

#[derive(PartialEq, Eq)]
enum Phase {
    /// The request head is incomplete.
    Head,
    Open,
    /// Our Close is out or queued, the client's has not come.
    Closing,
    /// What comes is thrown away until the client ends the stream.
    Ignoring,
}

/// What the whole server was told at runtime.
#[derive(Clone, Copy)]
pub(super) struct Switches {
    pub(super) muted: bool,
    pub(super) silent: bool,
    pub(super) answers_pings: bool,
    pub(super) answers_text_pings: bool,
}

/// What a connection needs for one turn.
pub(super) struct Turn<'a> {
    pub(super) switches: Switches,
    /// Events are told before their answers are sent: who has an answer finds its cause among the events.
    pub(super) events: &'a Publisher,
    pub(super) now: Instant,
    pub(super) scratch: &'a mut [u8],
}

pub(super) struct Connection {
    pub(super) number: usize,
    pub(super) stream: Stream,
    behaviour: Behaviour,
    phase: Phase,
    head: Vec<u8>,
    reader: FrameReader,
    unsent: Vec<u8>,
    /// Bytes at the front of `unsent` that the stream has taken.
    sent: usize,
    /// End our direction once `unsent` is empty; with TLS's close_notify if true.
    finish: Option<bool>,
    finished: bool,
    /// The moment of the upgrade, and the length of its answer.
    open: Option<(Instant, u64)>,
    /// All that the stream has taken of us.
    written: u64,
    /// What the client has sent since the upgrade.
    received: u64,
    messages: usize,
    /// What is done once all is sent that waits.
    then: Option<Then>,
    stalled: bool,
    /// Nothing is sent before.
    not_before: Option<Instant>,
    /// Whether a read or write stopped before the socket said `WouldBlock`.
    pub(super) again: bool,
}

impl Connection {
    pub(super) fn new(number: usize, stream: Stream, behaviour: Behaviour) -> Self {
        Connection {
            number,
            stream,
            behaviour,
            phase: Phase::Head,
            head: Vec::new(),
            reader: FrameReader::default(),
            unsent: Vec::new(),
            sent: 0,
            finish: None,
            finished: false,
            open: None,
            written: 0,
            received: 0,
            messages: 0,
            then: None,
            stalled: false,
            not_before: None,
            again: false,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    pub(super) fn queue(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
    }

    /// Queues our Close and waits for the client's.
    pub(super) fn close(&mut self, code: u16, reason: &str) {
        self.queue(&frames::close_frame(code, reason));
        self.phase = Phase::Closing;
    }

    /// Ends our direction of the TCP connection after what is queued, and ignores what comes.
    pub(super) fn finish(&mut self, with_close_notify: bool) {
        self.finish = Some(with_close_notify);
        self.phase = Phase::Ignoring;
    }

    /// Makes the coming close of the socket a reset.
    pub(super) fn reset_on_drop(&mut self) {
        // It fails only on a socket that is gone already.
        let _ = SockRef::from(self.stream.tcp()).set_linger(Some(Duration::ZERO));
    }

    /// Moves all bytes that can be moved; `Some` when the connection is over.
    pub(super) fn turn(&mut self, io: &mut Turn<'_>) -> Option<Ending> {
        self.again = false;
        if io.switches.muted || self.stalled {
            return None;
        }
        let ended = self.receive(io).err();
        if self.until_deadline().is_some_and(|at| at <= io.now) {
            self.misbehave();
        }
        let mut sent = self.send(io.now);
        if ended.is_none() && self.unsent.is_empty() {
            match self.then.take() {
                Some(Then::Reset) => {
                    self.reset_on_drop();
                    return Some(Ending::Cut);
                }
                Some(Then::End) => self.finish(false),
                Some(Then::Garbage) => self.queue(GARBAGE),
                Some(Then::Stall) => self.stalled = true,
                Some(Then::Silence) | None => {}
            }
            sent = sent.and_then(|()| self.send(io.now));
        }
        if let Some(ending) = ended {
            return Some(ending);
        }
        match sent {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Some(Ending::of(&error)),
            _ => None,
        }
    }

    /// When a turn is wanted although the socket is not ready.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let next = self.not_before.filter(|_| !self.unsent.is_empty());
        if self.stalled { None } else { next.into_iter().chain(self.until_deadline()).min() }
    }

    fn until_deadline(&self) -> Option<Instant> {
        match (self.behaviour.until, self.open) {
            (Some((When::After(time), _)), Some((since, _))) => Some(since + time),
            _ => None,
        }
    }

    fn left_to_receive(&self) -> u64 {
        match self.behaviour.until {
            Some((When::Received(bytes), _)) => bytes.saturating_sub(self.received),
            _ => u64::MAX,
        }
    }

    fn left_to_send(&self) -> u64 {
        match (self.behaviour.until, self.open) {
            (Some((When::Sent(bytes), _)), Some((_, answer))) => {
                bytes.saturating_add(answer).saturating_sub(self.written)
            }
            _ => u64::MAX,
        }
    }

    /// The moment of [`Behaviour::until`] has come: from now on nothing is answered.
    fn misbehave(&mut self) {
        if let Some((_, then)) = self.behaviour.until.take() {
            self.then = Some(then);
            self.phase = Phase::Ignoring;
        }
    }

    fn receive(&mut self, io: &mut Turn<'_>) -> Result<(), Ending> {
        for _ in 0..READS_PER_TURN {
            if self.unsent.len() - self.sent > UNSENT_LIMIT {
                // The socket says when it can be written again, and then reading goes on.
                return Ok(());
            }
            if self.then == Some(Then::Stall) {
                return Ok(());
            }
            let most =
                usize::try_from(self.left_to_receive()).unwrap_or(usize::MAX).clamp(1, io.scratch.len());
            match self.stream.read(&mut io.scratch[..most]) {
                Ok(0) => return Err(Ending::Fin),
                Ok(n) => self.take(n, io)?,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                // TLS without close_notify: the TCP stream ended, and that is what the test wants to know.
                Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Err(Ending::Fin),
                Err(e) => return Err(Ending::of(&e)),
            }
        }
        self.again = true;
        Ok(())
    }

    fn take(&mut self, bytes: usize, io: &Turn<'_>) -> Result<(), Ending> {
        match self.phase {
            Phase::Ignoring => return Ok(()),
            Phase::Open | Phase::Closing => {
                self.received += bytes as u64;
                self.reader.push(&io.scratch[..bytes]);
            }
            Phase::Head => {
                self.head.extend_from_slice(&io.scratch[..bytes]);
                self.answer_head(io)?;
            }
        }
        while matches!(self.phase, Phase::Open | Phase::Closing) {
            match self.reader.next() {
                Ok(Some(incoming)) => self.answer(incoming, io.switches, io.events),
                Ok(None) => break,
                Err(Violation(rule)) => return Err(Ending::Violation(rule)),
            }
        }
        if self.open.is_some() && self.left_to_receive() == 0 {
            self.misbehave();
        }
        Ok(())
    }

    fn answer_head(&mut self, io: &Turn<'_>) -> Result<(), Ending> {
        let events = io.events;
        let parsed = http::Request::try_parse(&self.head).map_err(|e| Ending::Violation(e.to_string()))?;
        let Some((length, request)) = parsed else { return Ok(()) };
        let n = self.number;
        let delay = self.behaviour.upgrade_delay;
        self.not_before = (!delay.is_zero()).then(|| io.now + delay);
        let seen = Request::of(request.uri(), request.headers());
        match self.behaviour.upgrade.clone() {
            Upgrade::Accept => {
                let answer = self.accept(&request).map_err(|e| Ending::Violation(e.to_string()))?;
                self.queue(&answer);
                self.phase = Phase::Open;
                self.open = Some((self.not_before.unwrap_or(io.now), answer.len() as u64));
                events.publish(ServerEvent::Connected { n, request: seen });
                let early = self.head.split_off(length);
                self.received = early.len() as u64;
                self.reader.push(&early);
                for greeting in std::mem::take(&mut self.behaviour.greetings) {
                    self.queue(&frames::message_frame(&greeting));
                }
                if let Some((code, reason)) = self.behaviour.close_on_open.take() {
                    self.close(code, &reason);
                }
                if matches!(self.behaviour.until, Some((When::Open, _))) {
                    self.misbehave();
                }
            }
            Upgrade::Refuse { status, headers, body } => {
                self.queue(&refusal(status, &headers, &body));
                events.publish(ServerEvent::Refused { n, request: seen });
                self.finish(true);
            }
            Upgrade::Never | Upgrade::Script(_) | Upgrade::Absent(_) => {
                events.publish(ServerEvent::Refused { n, request: seen });
                self.phase = Phase::Ignoring;
            }
        }
        Ok(())
    }

    fn accept(&self, request: &http::Request) -> tungstenite::Result<Vec<u8>> {
        let mut response = http::create_response(request)?;
        for (name, value) in &self.behaviour.headers {
            let name: tungstenite::http::HeaderName = name.parse().expect("a valid header name");
            response.headers_mut().append(name, value.parse().expect("a valid header value"));
        }
        let mut out = Vec::new();
        http::write_response(&mut out, &response)?;
        Ok(out)
    }

    fn answer(&mut self, incoming: Incoming, switches: Switches, events: &Publisher) {
        let n = self.number;
        match incoming {
            Incoming::Ping(data) => {
                if switches.answers_pings
                    && !switches.silent
                    && self.behaviour.answers_pings
                    && self.is_open()
                {
                    self.queue(&frames::pong_frame(&data));
                }
                events.publish(ServerEvent::Ping { n, data });
            }
            Incoming::Pong(data) => events.publish(ServerEvent::Pong { n, data }),
            Incoming::Close { code, reason } => {
                match self.phase {
                    Phase::Open if switches.silent => self.phase = Phase::Ignoring,
                    Phase::Open if !self.behaviour.answers_close => self.phase = Phase::Ignoring,
                    Phase::Open => {
                        let payload = code.map(u16::to_be_bytes).unwrap_or_default();
                        self.queue(&frames::frame(8, if code.is_some() { &payload } else { &[] }));
                        // RFC 6455 7.1.1: the server ends the TCP connection first.
                        self.finish(true);
                    }
                    _ => self.finish(true),
                }
                events.publish(ServerEvent::Closed { n, code, reason });
            }
            Incoming::Message(message) => {
                if self.is_open() && !switches.silent {
                    self.reply(&message, switches);
                }
                events.publish(ServerEvent::Message { n, message });
                self.messages += 1;
                if matches!(self.behaviour.until, Some((When::Messages(most), _)) if self.messages >= most) {
                    self.misbehave();
                }
            }
        }
    }

    fn reply(&mut self, message: &Message, switches: Switches) {
        if message.as_text() == Some("ping") && switches.answers_text_pings {
            return self.queue(&frames::frame(1, b"pong"));
        }
        match self.behaviour.reply {
            Reply::Nothing => {}
            Reply::Echo => self.queue(&frames::message_frame(message)),
            Reply::Commands => self.obey(message),
        }
    }

    fn obey(&mut self, message: &Message) {
        let words: Vec<&str> = message.as_text().unwrap_or_default().splitn(3, ' ').collect();
        match words[..] {
            ["flood", count, size] => {
                let (count, size): (usize, usize) = (count.parse().unwrap_or(0), size.parse().unwrap_or(0));
                let one = frames::frame(2, &vec![0x55; size]);
                self.unsent.reserve(one.len() * count);
                (0..count).for_each(|_| self.queue(&one));
            }
            ["close", code, reason] => self.close(code.parse().unwrap_or(1000), reason),
            ["close", code] => self.close(code.parse().unwrap_or(1000), ""),
            _ => self.queue(&frames::message_frame(message)),
        }
    }

    fn send(&mut self, now: Instant) -> io::Result<()> {
        while self.sent < self.unsent.len() {
            if self.not_before.is_some_and(|at| now < at) {
                return self.stream.flush();
            }
            let left = usize::try_from(self.left_to_send()).unwrap_or(usize::MAX);
            if left == 0 {
                // Not a byte more: what waits is not sent any more.
                self.unsent.truncate(self.sent);
                break;
            }
            let most = self.behaviour.trickle.map_or(usize::MAX, |(bytes, _)| bytes).min(left);
            let end = self.unsent.len().min(self.sent.saturating_add(most));
            match self.stream.write(&self.unsent[self.sent..end]) {
                Ok(n) => {
                    self.sent += n;
                    self.written += n as u64;
                    self.not_before = self.behaviour.trickle.map(|(_, every)| now + every);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        if self.left_to_send() == 0 {
            self.misbehave();
        }
        if !self.unsent.is_empty() {
            self.unsent.clear();
            self.sent = 0;
            // Reading may have stopped for what was unsent.
            self.again = true;
        }
        if let (Some(with_close_notify), false) = (self.finish, self.finished) {
            if with_close_notify {
                self.stream.send_close_notify();
            }
            self.stream.flush()?;
            self.stream.tcp().shutdown(Shutdown::Write)?;
            self.finished = true;
        }
        self.stream.flush()
    }
}

fn refusal(status: u16, headers: &[(String, String)], body: &[u8]) -> Vec<u8> {
    let status = tungstenite::http::StatusCode::from_u16(status).expect("a valid HTTP status");
    let mut out = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
    for (name, value) in headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str("\r\n");
    let mut out = out.into_bytes();
    out.extend_from_slice(body);
    out
}
