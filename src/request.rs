//! What is said on a stream before it is a WebSocket's: a request on its way out, and the heads of HTTP/1's answers to
//! it. For the upgrade and for proxies; knows neither what is asked for nor what an answer means.

use std::io::{self, ErrorKind, Write};

use crate::error::{ProxyFault, UpgradeFault};

/// All heads of an answer together, 1xx ones included.
const HEAD_LIMIT: usize = 64 * 1024;
const HEADERS_MAX: usize = 128;

/// A request on its way out.
pub(crate) struct Request {
    bytes: Vec<u8>,
    written: usize,
    error: Option<io::Error>,
}

impl Request {
    /// Sends nothing yet.
    pub(crate) fn new(bytes: Vec<u8>) -> Request {
        Request { bytes, written: 0, error: None }
    }

    /// Writes what is left, as far as that goes without waiting. A failure is kept for [`failure`](Request::failure):
    /// the other side may have had something to say before it cut us off.
    pub(crate) fn write(&mut self, stream: &mut impl Write) {
        while self.written < self.bytes.len() && self.error.is_none() {
            match stream.write(&self.bytes[self.written..]) {
                Ok(0) => self.error = Some(ErrorKind::WriteZero.into()),
                Ok(bytes) => self.written += bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => self.error = Some(error),
            }
        }
    }

    pub(crate) fn is_written(&self) -> bool {
        self.written == self.bytes.len()
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    /// Why it could not be written, once.
    pub(crate) fn failure(&mut self) -> Option<io::Error> {
        self.error.take()
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The heads of an answer, one after the other: interim ones (1xx) come before the one that counts.
#[derive(Default)]
pub(crate) struct Heads {
    /// Up to here there is no end of a head.
    scanned: usize,
    /// Bytes of the heads that were taken.
    taken: usize,
}

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// HTTP/1.1, or only 1.0.
    pub(crate) persistent: bool,
    /// All headers, in order; bytes that are no UTF-8 are replaced.
    pub(crate) headers: Vec<(String, String)>,
}

/// Why bytes are no head of an answer.
pub(crate) enum BadHead {
    NotHttp,
    TooLong,
}

impl Heads {
    /// Takes the next head off the front of these bytes, once it is whole.
    pub(crate) fn take(&mut self, answer: &mut Vec<u8>) -> Result<Option<Head>, BadHead> {
        if !answer.iter().zip(b"HTTP/1.").all(|(byte, wanted)| byte == wanted) {
            return Err(BadHead::NotHttp);
        }
        let end = head_end(answer, self.scanned);
        if self.taken + end.unwrap_or(answer.len()) > HEAD_LIMIT {
            return Err(BadHead::TooLong);
        }
        let Some(end) = end else {
            self.scanned = answer.len();
            return Ok(None);
        };
        let head = parse(&answer[..end])?;
        answer.drain(..end);
        self.scanned = 0;
        self.taken += end;
        Ok(Some(head))
    }
}

/// Where the first head in these bytes ends; before `scanned` it was looked for already.
fn head_end(bytes: &[u8], scanned: usize) -> Option<usize> {
    let from = scanned.saturating_sub(2);
    let breaks = bytes[from..].iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    breaks.map(|(at, _)| from + at + 1).find_map(|next| match &bytes[next..] {
        [b'\n', ..] => Some(next + 1),
        [b'\r', b'\n', ..] => Some(next + 2),
        _ => None,
    })
}

/// Takes a whole head apart.
fn parse(bytes: &[u8]) -> Result<Head, BadHead> {
    // Not on the stack, whose pages a thread keeps for good.
    let mut headers = vec![httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(size)) if size == bytes.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(BadHead::TooLong),
        _ => return Err(BadHead::NotHttp),
    }
    let (Some(status), Some(version)) = (response.code, response.version) else {
        return Err(BadHead::NotHttp);
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers =
        response.headers.iter().map(|header| (header.name.to_owned(), text(header.value))).collect();
    Ok(Head { status, persistent: version == 1, headers })
}

impl From<BadHead> for UpgradeFault {
    fn from(bad: BadHead) -> UpgradeFault {
        match bad {
            BadHead::NotHttp => UpgradeFault::NotHttp,
            BadHead::TooLong => UpgradeFault::TooLong,
        }
    }
}

impl From<BadHead> for ProxyFault {
    fn from(bad: BadHead) -> ProxyFault {
        match bad {
            BadHead::NotHttp => ProxyFault::NotHttp,
            BadHead::TooLong => ProxyFault::TooLong,
        }
    }
}
