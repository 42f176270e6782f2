//! A fast server in a process of its own, for counts of what a client alone costs: an echo, a sink and a flood.
//!
//! A program that wants one calls [`serve_if_asked`] first of all, then [`Elsewhere::start`]: the server is the program
//! itself, started again. It has a blocking thread for each connection, and does what the URL's path says:
//!
//! - `echo`: every message comes back.
//! - `sink`: binary messages are counted; a text is answered with their number.
//! - `flood`: a text such as `1000 binary` is answered with so many messages of that [`Kind`].

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::ops::Range;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;

use rustls::{ServerConnection, StreamOwned};
use tungstenite::handshake::derive_accept_key;

use super::certs::Certs;
use super::crowd::frame;

/// Set in the server's environment.
const ASKED: &str = "HEARTWIRE_SERVER_ELSEWHERE";
/// What a connection reads at once, and a flood writes.
const PIECE: usize = 256 * 1024;

/// What a flood is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 64 bytes, binary.
    Binary,
    /// 125 letters.
    Text,
    /// 200 Chinese characters, which are 600 bytes.
    Chinese,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Binary, Kind::Text, Kind::Chinese];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Binary => "binary",
            Kind::Text => "text",
            Kind::Chinese => "chinese",
        }
    }

    pub fn payload(self) -> Vec<u8> {
        match self {
            Kind::Binary => vec![7; 64],
            Kind::Text => (b'a'..=b'z').cycle().take(125).collect(),
            Kind::Chinese => "海上生明月天涯共此时".repeat(20).into_bytes(),
        }
    }

    fn first_byte(self) -> u8 {
        if self == Kind::Binary { 0x82 } else { 0x81 }
    }
}

/// The server, as the process that started it sees it. Dropping it ends it.
pub struct Elsewhere {
    child: Child,
    /// Its end is the server's.
    input: Option<ChildStdin>,
    plain: String,
    tls: String,
}

impl Elsewhere {
    /// Starts this program again as the server. `arguments` are those with which it comes to [`serve_if_asked`].
    pub fn start(arguments: &[&str]) -> io::Result<Elsewhere> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).env(ASKED, "1").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let input = child.stdin.take();
        let Some(output) = child.stdout.take() else { unreachable!("it is piped") };
        // A test harness prints lines, too.
        for line in BufReader::new(output).lines() {
            if let Some((_, urls)) = line?.split_once("serving ")
                && let Some((plain, tls)) = urls.split_once(' ')
            {
                return Ok(Elsewhere { child, input, plain: plain.into(), tls: tls.into() });
            }
        }
        Err(io::Error::new(ErrorKind::UnexpectedEof, "the server ended"))
    }

    /// `ws://…/`, to be followed by the path.
    pub fn plain(&self) -> &str {
        &self.plain
    }

    /// `wss://…/`, with a certificate that nobody knows.
    pub fn tls(&self) -> &str {
        &self.tls
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}

/// Becomes the server, for good, if this process was started as one.
pub fn serve_if_asked() {
    if std::env::var_os(ASKED).is_some() {
        serve();
    }
}

/// Serves until the standard input ends; says first where, in one line: `serving ws://… wss://…`.
pub fn serve() -> ! {
    let plain = listen(|stream| Peer::new(stream).serve());
    let config = Certs::shared().server_config();
    let tls = listen(move |stream| {
        let engine = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
        Peer::new(StreamOwned::new(engine, stream)).serve()
    });
    let (Ok(plain), Ok(tls)) = (plain, tls) else { std::process::exit(1) };
    let mut out = io::stdout().lock();
    let told =
        writeln!(out, "serving ws://127.0.0.1:{plain}/ wss://127.0.0.1:{tls}/").and_then(|()| out.flush());
    // However the other process ends: its end of the pipe goes with it.
    let ended = told.and_then(|()| io::copy(&mut io::stdin(), &mut io::sink()));
    std::process::exit(i32::from(ended.is_err()));
}

fn listen(serve: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static) -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            // A connection's end, good or bad, is the client's to judge.
            thread::spawn(move || stream.set_nodelay(true).and_then(|()| serve(stream)));
        }
    });
    Ok(port)
}

struct Peer<S> {
    stream: S,
    /// `buf[start..end]` was read and not looked at.
    buf: Vec<u8>,
    start: usize,
    end: usize,
}

impl<S: Read + Write> Peer<S> {
    fn new(stream: S) -> Peer<S> {
        Peer { stream, buf: vec![0; PIECE], start: 0, end: 0 }
    }

    fn serve(mut self) -> io::Result<()> {
        let path = self.upgrade()?;
        let mut counted = 0_u64;
        loop {
            let (first, place) = self.frame()?;
            match (first, path.as_str()) {
                (0x88, _) => return self.write(first, place),
                (0x89, _) => self.write(0x8a, place)?,
                (_, "/echo") => self.write(first, place)?,
                (0x82, "/sink") => counted += 1,
                (0x81, "/sink") => {
                    let number = counted.to_string();
                    self.stream.write_all(&[&head(0x81, number.len()), number.as_bytes()].concat())?;
                }
                (0x81, "/flood") => self.flood(place)?,
                _ => {}
            }
        }
    }

    /// Answers the path.
    fn upgrade(&mut self) -> io::Result<String> {
        let end = loop {
            match self.buf[..self.end].windows(4).position(|four| four == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => self.fill()?,
            }
        };
        let head = String::from_utf8_lossy(&self.buf[..end]).into_owned();
        self.start = end;
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut fields = head.split("\r\n").filter_map(|line| line.split_once(": "));
        let key = fields.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
        let accept = derive_accept_key(key.map(|(_, key)| key.as_bytes()).unwrap_or_default());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        self.stream.write_all(answer.as_bytes())?;
        Ok(path)
    }

    /// The next frame: its first byte, and where its payload is. Only what is sent back is unmasked.
    fn frame(&mut self) -> io::Result<(u8, Range<usize>)> {
        loop {
            if let Some((first, body, end)) = frame(&self.buf[self.start..self.end]) {
                let place = self.start + body..self.start + end;
                self.start += end;
                return Ok((first, place));
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.start > 0 && (self.start == self.end || self.end == self.buf.len()) {
            self.buf.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buf.len() {
            self.buf.resize(2 * self.end, 0);
        }
        match self.stream.read(&mut self.buf[self.end..])? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            bytes => {
                self.end += bytes;
                Ok(())
            }
        }
    }

    fn unmask(&mut self, place: Range<usize>) -> &[u8] {
        let key: [u8; 4] = std::array::from_fn(|i| self.buf[place.start - 4 + i]);
        let payload = &mut self.buf[place];
        for four in payload.chunks_mut(4) {
            four.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        }
        payload
    }

    fn write(&mut self, first: u8, place: Range<usize>) -> io::Result<()> {
        let mut answer = head(first, place.len());
        answer.extend_from_slice(self.unmask(place));
        self.stream.write_all(&answer)
    }

    fn flood(&mut self, asked: Range<usize>) -> io::Result<()> {
        let asked = String::from_utf8_lossy(self.unmask(asked)).into_owned();
        let (number, kind) = asked.split_once(' ').unwrap_or_default();
        let kind = Kind::ALL.into_iter().find(|known| known.name() == kind);
        let (Ok(mut left), Some(kind)) = (number.parse::<usize>(), kind) else {
            return Err(io::Error::other("that is no flood"));
        };
        let payload = kind.payload();
        let one = [head(kind.first_byte(), payload.len()), payload].concat();
        let most = PIECE / one.len();
        let many = one.repeat(most.min(left));
        while left > 0 {
            let some = left.min(most);
            self.stream.write_all(&many[..some * one.len()])?;
            left -= some;
        }
        Ok(())
    }
}

/// The header of a server's frame.
fn head(first: u8, len: usize) -> Vec<u8> {
    match len {
        ..=125 => vec![first, len as u8],
        126..=0xffff => [&[first, 126][..], &(len as u16).to_be_bytes()].concat(),
        _ => [&[first, 127][..], &(len as u64).to_be_bytes()].concat(),
    }
}
