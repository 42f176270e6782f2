//! What the conversation with a proxy promises, in memory: cut at every byte, and bad in every way.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;
use crate::error::Refusal;

/// A stream that gives these bytes and no more, and takes so many at a time.
#[derive(Default)]
struct Memory {
    come: Vec<u8>,
    out: Vec<u8>,
    /// What a read finds when all bytes were read.
    end: Option<ErrorKind>,
    write: Option<ErrorKind>,
}

impl Read for Memory {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.come.is_empty() {
            return match self.end {
                Some(ErrorKind::UnexpectedEof) => Ok(0),
                Some(kind) => Err(kind.into()),
                None => Err(ErrorKind::WouldBlock.into()),
            };
        }
        let size = into.len().min(self.come.len());
        into[..size].copy_from_slice(&self.come[..size]);
        self.come.drain(..size);
        Ok(size)
    }
}

impl Write for Memory {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        if let Some(kind) = self.write {
            return Err(kind.into());
        }
        self.out.extend_from_slice(from);
        Ok(from.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn proxy(language: Language, login: Option<(&str, &str)>) -> Proxy {
    Proxy {
        language,
        host: Host::Domain("proxy".into()),
        port: 1,
        login: login.map(|(user, password)| Login { user: user.into(), password: password.into() }),
        #[cfg(feature = "native-tls")]
        tls: None,
        agent: "test/1".into(),
    }
}

fn server() -> Host<String> {
    Host::Domain("example.com".into())
}

fn tunnel(language: Language, login: Option<(&str, &str)>) -> Tunnel {
    Tunnel::new(&proxy(language, login), &server(), 443)
}

/// What is said to a proxy that answers so, one answer after the other, each in pieces of this size; and what comes of
/// it.
fn talk_in(size: usize, mut tunnel: Tunnel, answers: &[&[u8]]) -> (Vec<Vec<u8>>, Result<bool, Cause>) {
    let mut said = Vec::new();
    let mut stream = Memory::default();
    for answer in answers {
        assert!(matches!(tunnel.advance(&mut stream), Ok(false)));
        said.push(std::mem::take(&mut stream.out));
        for (at, piece) in answer.chunks(size).enumerate() {
            stream.come = piece.to_vec();
            match tunnel.advance(&mut stream) {
                Ok(false) => assert!(stream.out.is_empty() || (at + 1) * size >= answer.len()),
                Ok(true) => return (said, Ok(true)),
                Err(Failure::Proxy(cause)) => return (said, Err(cause)),
                Err(Failure::Stream(error)) => panic!("{error}"),
            }
        }
    }
    (said, Ok(false))
}

/// The same, whole and cut into pieces of every size: it must make no difference.
#[track_caller]
fn talk(make: impl Fn() -> Tunnel, answers: &[&[u8]]) -> (Vec<Vec<u8>>, Result<bool, Cause>) {
    let whole = talk_in(usize::MAX, make(), answers);
    let longest = answers.iter().map(|answer| answer.len()).max().unwrap_or(1);
    for size in 1..longest {
        let cut = talk_in(size, make(), answers);
        // Of a refusal's body it keeps what came with the head; behind an answer bytes may be there, or not yet.
        let same = match (&whole.1, &cut.1) {
            (Err(Cause::Refused(one)), Err(Cause::Refused(other))) => one.status == other.status,
            (Err(Cause::Proxy(ProxyFault::Unasked)), Ok(true)) => true,
            (one, other) => format!("{one:?}") == format!("{other:?}"),
        };
        assert!(same && whole.0 == cut.0, "whole {whole:?}, in pieces of {size} {cut:?}");
    }
    whole
}

fn connect(answer: &[u8]) -> Result<bool, Cause> {
    talk(|| tunnel(Language::Connect, None), &[answer]).1
}

fn fault(result: Result<bool, Cause>) -> ProxyFault {
    match result {
        Err(Cause::Proxy(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

fn refusal(result: Result<bool, Cause>) -> Refusal {
    match result {
        Err(Cause::Refused(refusal)) => Refusal::clone(&refusal),
        other => panic!("{other:?}"),
    }
}

const YES: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

#[test]
fn connect_names_host_and_port_and_sends_the_login_unasked() {
    let text = |login, host: &Host<String>, port| {
        let request = Tunnel::new(&proxy(Language::Connect, login), host, port).request;
        String::from_utf8(request.bytes().to_vec()).unwrap()
    };
    assert_eq!(
        text(None, &server(), 443),
        "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\nUser-Agent: test/1\r\n\r\n"
    );
    let with_login = text(Some(("Aladdin", "open sesame")), &Host::Ipv6(Ipv6Addr::LOCALHOST), 80);
    assert!(with_login.starts_with("CONNECT [::1]:80 HTTP/1.1\r\nHost: [::1]:80\r\n"));
    // RFC 7617 section 2.
    assert!(with_login.contains("\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
}

#[test]
fn every_success_opens_the_tunnel_whatever_its_head_says_of_a_body() {
    for answer in [
        YES,
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 204\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\nServer: old\n\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        assert!(matches!(connect(answer), Ok(true)), "{}", String::from_utf8_lossy(answer));
    }
}

#[test]
fn a_refusal_keeps_status_headers_and_what_came_of_the_body() {
    let answer =
        b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 4\r\n\r\nlog in";
    let refusal = refusal(connect(answer));
    assert_eq!((refusal.status(), refusal.body()), (407, &b"log in"[..]));
    assert_eq!(refusal.header("proxy-authenticate"), Some("Basic realm=\"x\""));
    for status in [301, 403, 404, 502] {
        let answer = format!("HTTP/1.1 {status} x\r\n\r\n");
        assert_eq!(self::refusal(connect(answer.as_bytes())).status(), status);
    }
}

#[test]
fn what_is_no_http_is_told_at_its_first_wrong_byte() {
    for answer in [
        &b"SSH-2.0-OpenSSH\r\n"[..],
        b"HTTP/2 200\r\n\r\n",
        b"\x05\x00",
        b"H\0",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"\r\n\r\n",
    ] {
        assert_eq!(fault(connect(answer)), ProxyFault::NotHttp, "{answer:?}");
    }
    assert!(matches!(connect(b"HTTP/1"), Ok(false)), "it may become one");
}

#[test]
fn a_head_without_an_end_is_too_long() {
    let mut tunnel = tunnel(Language::Connect, None);
    let mut stream = Memory::default();
    assert!(matches!(tunnel.advance(&mut stream), Ok(false)));
    let mut taken = 0;
    let result = loop {
        stream.come = if taken == 0 { b"HTTP/1.1 200 OK\r\n".to_vec() } else { b"A: b\r\n".repeat(100) };
        taken += stream.come.len();
        match tunnel.advance(&mut stream) {
            Ok(false) => {}
            Err(Failure::Proxy(cause)) => break Err(cause),
            _ => panic!("open"),
        }
    };
    assert_eq!(fault(result), ProxyFault::TooLong);
    assert!(taken < 80 * 1024, "{taken}");
    let many = [b"HTTP/1.1 200 OK\r\n".as_slice(), &b"A: b\r\n".repeat(129), b"\r\n"].concat();
    assert_eq!(fault(talk_in(1000, self::tunnel(Language::Connect, None), &[&many]).1), ProxyFault::TooLong);
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(3000);
    assert_eq!(
        fault(talk_in(4096, self::tunnel(Language::Connect, None), &[&interim]).1),
        ProxyFault::TooLong
    );
}

#[test]
fn bytes_that_nobody_asked_for_are_refused_and_not_passed_on() {
    let page = [YES, b"<html>it works</html>"].concat();
    assert_eq!(fault(connect(&page)), ProxyFault::Unasked);
    let socks: &[u8] = b"\x05\x00\x05\x00\x00\x01\0\0\0\0\0\0";
    assert_eq!(fault(talk_in(usize::MAX, tunnel(Language::Socks, None), &[socks]).1), ProxyFault::Unasked);
    // An answer to a request that was not finished.
    let mut early = tunnel(Language::Connect, None);
    let mut stream = Memory { come: YES.to_vec(), write: Some(ErrorKind::WouldBlock), ..Memory::default() };
    let Err(Failure::Proxy(cause)) = early.advance(&mut stream) else { panic!("open") };
    assert_eq!(fault(Err(cause)), ProxyFault::Unasked);
}

const OPENED: &[u8] = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x10\x00";

#[test]
fn socks_says_its_version_its_ways_to_log_in_and_where_to() {
    let (said, end) = talk(|| tunnel(Language::SocksWithNames, None), &[b"\x05\x00", OPENED]);
    assert!(matches!(end, Ok(true)));
    // RFC 1928 sections 3 and 4.
    assert_eq!(said, [&b"\x05\x01\x00"[..], b"\x05\x01\x00\x03\x0bexample.com\x01\xbb"]);
    for (host, bytes) in [
        (Host::Ipv4(Ipv4Addr::new(192, 0, 2, 7)), b"\x01\xc0\x00\x02\x07".to_vec()),
        (Host::Ipv6(Ipv6Addr::LOCALHOST), [&[4][..], &[0; 15], &[1]].concat()),
    ] {
        let make = || Tunnel::new(&proxy(Language::Socks, None), &host, 80);
        let (said, end) = talk(make, &[b"\x05\x00", OPENED]);
        assert!(matches!(end, Ok(true)));
        assert_eq!(said[1], [b"\x05\x01\x00", &bytes[..], b"\x00\x50"].concat());
    }
}

#[test]
fn socks_logs_in_where_the_proxy_wants_it() {
    let with_login = || tunnel(Language::SocksWithNames, Some(("user", "pass")));
    let (said, end) = talk(with_login, &[b"\x05\x02", b"\x01\x00", OPENED]);
    assert!(matches!(end, Ok(true)));
    // RFC 1929 section 2.
    assert_eq!(said[..2], [&b"\x05\x02\x00\x02"[..], b"\x01\x04user\x04pass"]);
    // Some answer with the version of SOCKS, as curl allows.
    assert!(matches!(talk(with_login, &[b"\x05\x02", b"\x05\x00", OPENED]).1, Ok(true)));
    let (said, end) = talk(with_login, &[b"\x05\x00", OPENED]);
    assert!(matches!(end, Ok(true)) && said.len() == 2, "it may do without");
    assert_eq!(fault(talk(with_login, &[b"\x05\x02", b"\x01\x01"]).1), ProxyFault::Credentials);
    assert_eq!(fault(talk(|| tunnel(Language::Socks, None), &[b"\x05\xff"]).1), ProxyFault::Method);
}

#[test]
fn the_address_in_a_socks_reply_is_read_whatever_its_kind() {
    let name = [b"\x05\x00\x00\x03\x05proxy".as_slice(), b"\x10\x00"].concat();
    let six = [&b"\x05\x00\x00\x04"[..], &[0; 16], b"\x10\x00"].concat();
    for reply in [OPENED, b"\x05\x00\x00\x03\x00\x10\x00", &name, &six] {
        assert!(matches!(talk(|| tunnel(Language::Socks, None), &[b"\x05\x00", reply]).1, Ok(true)));
        for end in 0..reply.len() {
            let cut = talk_in(usize::MAX, tunnel(Language::Socks, None), &[b"\x05\x00", &reply[..end]]).1;
            assert!(matches!(cut, Ok(false)), "{:?}", &reply[..end]);
        }
    }
}

#[test]
fn socks_refusals_and_nonsense_are_told_apart() {
    let reply = |bytes: &[u8]| fault(talk(|| tunnel(Language::Socks, None), &[b"\x05\x00", bytes]).1);
    for code in 1..=9 {
        assert_eq!(reply(&[5, code]), ProxyFault::Socks(code), "without the rest");
        assert_eq!(reply(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]), ProxyFault::Socks(code));
    }
    assert_eq!(reply(b"\x04\x5a"), ProxyFault::NotSocks);
    assert_eq!(reply(b"\x05\x00\x00\x02"), ProxyFault::NotSocks);
    let first = |bytes: &[u8]| fault(talk(|| tunnel(Language::Socks, None), &[bytes]).1);
    assert_eq!(first(b"HTTP/1.1 400 Bad Request\r\n\r\n"), ProxyFault::NotSocks);
    assert_eq!(first(b"\x05\x02"), ProxyFault::NotSocks, "a login that was not offered");
    assert_eq!(first(b"\x05\x01"), ProxyFault::NotSocks);
}

#[test]
fn an_end_a_failure_and_a_refusal_before_a_failed_write_are_told_apart() {
    let outcome = |come: &[u8], end, write| {
        let mut stream = Memory { come: come.to_vec(), end, write, ..Memory::default() };
        tunnel(Language::Connect, None).advance(&mut stream)
    };
    let eof = Some(ErrorKind::UnexpectedEof);
    let reset = Some(ErrorKind::ConnectionReset);
    let pipe = Some(ErrorKind::BrokenPipe);
    assert!(matches!(outcome(b"HTTP/1.1 20", eof, None), Err(Failure::Proxy(Cause::EndOfStream))));
    let Err(Failure::Stream(error)) = outcome(b"HTTP/1.1 20", reset, None) else { panic!("no failure") };
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let Err(Failure::Stream(error)) = outcome(b"", None, pipe) else { panic!("no failure") };
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    let refused = outcome(b"HTTP/1.1 403 No\r\n\r\n", eof, pipe);
    assert!(matches!(refused, Err(Failure::Proxy(Cause::Refused(refusal))) if refusal.status == 403));
}
