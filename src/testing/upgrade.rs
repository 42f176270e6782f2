//! The HTTP part of a connection, for scripts that write their own bytes: read a request head, answer it.

use std::io::{self, Read};
use tungstenite::handshake::derive_accept_key;
use tungstenite::http::{HeaderMap, Uri};

/// More than any request head of ours; a longer one is refused.
const HEAD_LIMIT: usize = 64 * 1024;

/// What the client asked for: the target and the headers of its upgrade request.
#[derive(Debug, Clone)]
pub struct Request {
    target: String,
    headers: HeaderMap,
}

impl Request {
    pub(super) fn of(target: &Uri, headers: &HeaderMap) -> Request {
        Request { target: target.to_string(), headers: headers.clone() }
    }

    /// The request's target as it came: the path and the query, such as `/feed?token=1`.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// A header's first value as text, or `None` if it is missing or no text; the name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All values of a header, in their order, but for those that are no text.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect()
    }

    /// The subprotocols offered, in their order.
    pub fn subprotocols(&self) -> Vec<&str> {
        let values = self.headers("Sec-WebSocket-Protocol").into_iter();
        values.flat_map(|value| value.split(',')).map(str::trim).collect()
    }
}

/// Reads up to and including the empty line that ends a request head, byte by byte so that nothing after it is taken.
///
/// # Errors
///
/// `UnexpectedEof` if the peer ends early, `InvalidData` if the head is longer than 64 KiB.
pub fn read_request_head(stream: &mut impl Read) -> io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD_LIMIT {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "request head too long"));
        }
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    String::from_utf8(head).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

/// A header's value in a request head, by its name in any case.
pub fn header_of<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let fields = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    fields.into_iter().find(|(n, _)| n.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// The `Sec-WebSocket-Accept` that answers the key in `head`.
///
/// # Panics
///
/// If `head` has no `Sec-WebSocket-Key`.
pub fn accept_key_for(head: &str) -> String {
    let key = header_of(head, "Sec-WebSocket-Key").expect("the request has no Sec-WebSocket-Key");
    derive_accept_key(key.as_bytes())
}

/// The correct 101 for `head`, with `extra` header lines (each ending in CR LF) before the empty line.
pub fn switching_protocols(head: &str, extra: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n{extra}\r\n",
        accept_key_for(head)
    )
}
