//! Proxies that do their work, for tests that go through them: [`http_proxy`], [`socks_proxy`].
//!
//! Whatever name they are asked for they connect to 127.0.0.1, so that a test can tell who looked a name up.

use super::upgrade::{header_of, read_request_head};
use super::{Behaviour, RawStream};
use mio::{Events, Interest, Poll, Token};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::{Arc, Mutex};

/// `user` and `pass`, as a proxy that wants them is given them.
const BASIC: &str = "Basic dXNlcjpwYXNz";

/// A proxy that does its work, and what it was asked for.
#[derive(Clone, Default)]
pub struct Asked(Arc<Mutex<Vec<String>>>);

impl Asked {
    /// Host and port of each tunnel, in order.
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }
}

/// Whom a proxy lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lets {
    Everyone,
    /// Who says `user` and `pass`.
    User,
}

/// An HTTP proxy that knows CONNECT.
pub fn http_proxy(lets: Lets, asked: &Asked) -> Behaviour {
    let asked = asked.clone();
    Behaviour::raw(move |stream, _| {
        let Ok(head) = read_request_head(stream) else { return };
        if lets == Lets::User && header_of(&head, "Proxy-Authorization") != Some(BASIC) {
            let refusal = "HTTP/1.1 407 Who are you?\r\nProxy-Authenticate: Basic realm=\"test\"\r\n\
                           Content-Length: 6\r\n\r\nlog in";
            let _ = stream.write_all(refusal.as_bytes()).and_then(|()| stream.flush());
            let _ = stream.read(&mut [0; 64]);
            return;
        }
        let to = head.strip_prefix("CONNECT ").and_then(|rest| rest.split_once(' ')).map(|(to, _)| to);
        let Some((to, port)) = to.and_then(|to| Some((to, to.rsplit_once(':')?.1.parse().ok()?))) else {
            let _ = stream.write_all(b"HTTP/1.1 405 CONNECT only\r\n\r\n").and_then(|()| stream.flush());
            return;
        };
        asked.note(to.to_owned());
        let Ok(up) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
            let _ = stream.write_all(b"HTTP/1.1 502 Nobody there\r\n\r\n").and_then(|()| stream.flush());
            return;
        };
        let yes = b"HTTP/1.0 200 Connection established\r\nServer: test\r\n\r\n";
        let _ = stream.write_all(yes).and_then(|()| stream.flush()).and_then(|()| pump(stream, up));
    })
}

/// A SOCKS 5 proxy.
pub fn socks_proxy(lets: Lets, asked: &Asked) -> Behaviour {
    let asked = asked.clone();
    Behaviour::raw(move |stream, _| {
        // A client that gives up before is none of our business.
        let _ = socks(stream, lets, &asked);
    })
}
fn socks(stream: &mut RawStream, lets: Lets, asked: &Asked) -> io::Result<()> {
    let [_, ways] = take(stream)?;
    let mut offered = vec![0; ways.into()];
    stream.read_exact(&mut offered)?;
    let way = if lets == Lets::User { 2 } else { 0 };
    if !offered.contains(&way) {
        stream.write_all(&[5, 0xFF])?;
        return Ok(());
    }
    stream.write_all(&[5, way])?;
    if way == 2 {
        let [_, length] = take(stream)?;
        let user = text(stream, length)?;
        let [length] = take(stream)?;
        let right = user == "user" && text(stream, length)? == "pass";
        stream.write_all(&[1, u8::from(!right)])?;
        if !right {
            return Ok(());
        }
    }
    let [_, _, _, kind] = take(stream)?;
    let host = match kind {
        1 => Ipv4Addr::from(take::<4>(stream)?).to_string(),
        4 => std::net::Ipv6Addr::from(take::<16>(stream)?).to_string(),
        _ => {
            let [length] = take(stream)?;
            text(stream, length)?
        }
    };
    let port = u16::from_be_bytes(take(stream)?);
    asked.note(format!("{host}:{port}"));
    match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
        Ok(up) => {
            stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 9])?;
            pump(stream, up)
        }
        Err(_) => stream.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]),
    }
}

fn take<const N: usize>(stream: &mut RawStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn text(stream: &mut RawStream, length: u8) -> io::Result<String> {
    let mut bytes = vec![0; length.into()];
    stream.read_exact(&mut bytes)?;
    String::from_utf8(bytes).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

/// What waits to be passed on in one direction.
#[derive(Default)]
struct Way {
    bytes: Vec<u8>,
    ended: bool,
    told: bool,
}

impl Way {
    /// Moves what it can; `true` if anything moved.
    fn turn(&mut self, from: &mut impl Read, to: &mut impl Write) -> io::Result<bool> {
        let mut moved = false;
        if !self.ended && self.bytes.len() < 64 * 1024 {
            let mut some = [0; 16 * 1024];
            match from.read(&mut some) {
                Ok(0) => (self.ended, moved) = (true, true),
                Ok(read) => {
                    self.bytes.extend_from_slice(&some[..read]);
                    moved = true;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        if !self.bytes.is_empty() {
            match to.write(&self.bytes) {
                Ok(written) => {
                    self.bytes.drain(..written);
                    moved = true;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        match to.flush() {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(moved),
        }
    }

    /// Whether the end is to be passed on now.
    fn is_over(&mut self) -> bool {
        self.ended && self.bytes.is_empty() && !std::mem::replace(&mut self.told, true)
    }
}

/// Passes bytes on in both directions until both have ended, or one side fails.
fn pump(stream: &mut RawStream, mut up: TcpStream) -> io::Result<()> {
    let mut poll = Poll::new()?;
    stream.tcp().set_nonblocking(true)?;
    up.set_nonblocking(true)?;
    // Second handles, for the readiness alone.
    let interest = Interest::READABLE | Interest::WRITABLE;
    let mut watched = [stream.tcp().try_clone()?, up.try_clone()?].map(mio::net::TcpStream::from_std);
    for (n, socket) in watched.iter_mut().enumerate() {
        poll.registry().register(socket, Token(n), interest)?;
    }
    let (mut there, mut back) = (Way::default(), Way::default());
    let mut ready = Events::with_capacity(8);
    while !(there.told && back.told) {
        let moved = there.turn(stream, &mut up)? | back.turn(&mut up, stream)?;
        if there.is_over() {
            up.shutdown(Shutdown::Write)?;
        }
        if back.is_over() {
            stream.end_tls();
            stream.tcp().shutdown(Shutdown::Write)?;
        }
        let over = there.told && back.told;
        if !moved && !over {
            poll.poll(&mut ready, None)?;
        }
    }
    Ok(())
}
