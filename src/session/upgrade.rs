//! The opening handshake of RFC 6455 section 4: sends the request, waits for the head of the answer.
//!
//! tungstenite makes the key, what must be in every request, and the answer expected to the key. The request line and
//! the user's headers are put in here: tungstenite logs the request that it makes, and those hold secrets. What the
//! answer says is judged in [`super::answer`]. Holds no stream, and no deadline: its caller has one.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;

use tungstenite::handshake::client::{generate_key, generate_request};
use tungstenite::handshake::derive_accept_key;

use super::answer::{self, Answer, Expected};
use super::deflate::{Agreed, Offer};
use crate::error::{Cause, Refusal, UpgradeFault};
use crate::request::{Head, Heads, Request};

/// What is kept of a refusal's body.
const BODY_LIMIT: usize = 4 * 1024;
/// What one read takes at most.
const READ: usize = 4 * 1024;

/// Headers that the request has exactly once, from here.
const OURS: [&str; 6] = [
    "Connection",
    "Upgrade",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
];

/// What is asked of the server.
#[derive(Clone, Default)]
pub(crate) struct UpgradeRequest {
    /// The Host header's value: with the port, unless it is the scheme's own.
    pub(crate) host: String,
    /// Path and query, in ASCII.
    pub(crate) target: String,
    /// Further headers, checked: Origin, User-Agent, Authorization, the user's own. A Host among them replaces `host`;
    /// those that belong to the upgrade are left out.
    pub(crate) headers: Vec<(String, String)>,
    /// Subprotocols to offer, the preferred one first.
    pub(crate) subprotocols: Vec<String>,
    /// Compression to offer.
    pub(crate) deflate: Option<Offer>,
}

/// A server's good answer.
#[derive(Debug, PartialEq)]
pub(crate) struct Accepted {
    /// The server's choice among those that were asked for.
    pub(crate) subprotocol: Option<String>,
    /// Compression, if the server took the offer.
    pub(crate) agreed: Option<Agreed>,
    /// All headers, in order.
    pub(crate) headers: Vec<(String, String)>,
    /// What came behind the head: the first frames. The stream may hold more.
    pub(crate) rest: Vec<u8>,
}

/// An opening handshake under way.
pub(crate) struct Upgrade {
    request: Request,
    expected: Expected,
    answer: Vec<u8>,
    heads: Heads,
    refused: Option<Refused>,
}

/// A refusal of which more of the body is to come; what there is of it is in `answer`.
struct Refused {
    status: u16,
    headers: Vec<(String, String)>,
    /// So much of the body, or all of it.
    wanted: usize,
    /// The head said how long the body is; else what is there must do.
    wait: bool,
}

impl Upgrade {
    /// Makes the request; sends nothing yet.
    pub(crate) fn new(request: &UpgradeRequest) -> Upgrade {
        Upgrade::with_key(request, &generate_key())
    }

    /// The same with a key that is known before.
    pub(crate) fn with_key(request: &UpgradeRequest, key: &str) -> Upgrade {
        Upgrade {
            request: Request::new(write_request(request, key)),
            expected: Expected {
                accept: derive_accept_key(key.as_bytes()),
                subprotocols: request.subprotocols.clone(),
                deflate: request.deflate,
            },
            answer: Vec::new(),
            heads: Heads::default(),
            refused: None,
        }
    }

    /// Writes what is left of the request and reads what is there of the answer; `None` until it is whole.
    ///
    /// # Errors
    ///
    /// The server refused, broke the protocol, or the stream failed or ended.
    pub(crate) fn advance(&mut self, stream: &mut (impl Read + Write)) -> Result<Option<Accepted>, Cause> {
        self.request.write(stream);
        // Not on the stack, whose pages a thread keeps for good.
        let mut chunk = vec![0; READ];
        loop {
            match stream.read(&mut chunk) {
                Ok(0) => return Err(self.ended(Cause::EndOfStream)),
                Ok(bytes) => {
                    self.answer.extend_from_slice(&chunk[..bytes.min(READ)]);
                    if let Some(accepted) = self.judge()? {
                        return Ok(Some(accepted));
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let no_more = self.refused.as_ref().is_some_and(|refused| !refused.wait);
                    if no_more || self.request.has_failed() {
                        return Err(self.ended(Cause::EndOfStream));
                    }
                    return Ok(None);
                }
                Err(error) => return Err(self.ended(Cause::Io(Arc::new(error)))),
            }
        }
    }

    /// Time is up: the refusal whose body is still coming, with what there is of that. It explains more than a
    /// time-out.
    pub(crate) fn give_up(&mut self) -> Option<Cause> {
        let refused = self.refused.take()?;
        Some(self.refusal(refused))
    }

    /// Why it is over when no more will come: a refusal, even half of one, explains more than a cut.
    fn ended(&mut self, cause: Cause) -> Cause {
        if let Some(refused) = self.refused.take() {
            return self.refusal(refused);
        }
        match self.request.failure() {
            Some(error) => Cause::Io(Arc::new(error)),
            None => cause,
        }
    }

    /// Looks at what came so far.
    fn judge(&mut self) -> Result<Option<Accepted>, Cause> {
        loop {
            if let Some(refused) = self.refused.take_if(|refused| self.answer.len() >= refused.wanted) {
                return Err(self.refusal(refused));
            }
            if self.refused.is_some() {
                return Ok(None);
            }
            let head = self.heads.take(&mut self.answer).map_err(|bad| Cause::BadUpgrade(bad.into()))?;
            let Some(head) = head else { return Ok(None) };
            match answer::judge(head, &self.expected).map_err(Cause::BadUpgrade)? {
                Answer::Accepted { subprotocol, agreed, headers } => {
                    if !self.request.is_written() {
                        // An answer to a question that was not finished is not one to ours.
                        return Err(Cause::BadUpgrade(UpgradeFault::NotHttp));
                    }
                    let rest = std::mem::take(&mut self.answer);
                    return Ok(Some(Accepted { subprotocol, agreed, headers, rest }));
                }
                Answer::Wait => {}
                Answer::Refused(Head { status, headers, .. }) => {
                    let length = answer::content_length(&headers);
                    // That of a redirect is for people to read: whoever goes on does not wait for it.
                    let most = if (300..400).contains(&status) { 0 } else { BODY_LIMIT };
                    let wanted = length.map_or(most, |length| length.min(most));
                    self.refused = Some(Refused { status, headers, wanted, wait: length.is_some() });
                }
            }
        }
    }

    fn refusal(&mut self, refused: Refused) -> Cause {
        let Refused { status, headers, .. } = refused;
        let mut body = std::mem::take(&mut self.answer);
        if let Some(length) = answer::content_length(&headers) {
            body.truncate(length);
        }
        body.truncate(BODY_LIMIT);
        Cause::Refused(Arc::new(Refusal { status, headers, body }))
    }
}

/// The whole request.
fn write_request(request: &UpgradeRequest, key: &str) -> Vec<u8> {
    let own_host = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("Host"));
    let host = own_host.map_or(&request.host, |(_, value)| value);
    let standard = http::Request::builder()
        .uri("/")
        .header("Host", host)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", key)
        .body(())
        .ok()
        .and_then(|request| generate_request(request).ok())
        .map(|(bytes, _)| bytes)
        .unwrap_or_default();
    debug_assert!(!standard.is_empty(), "the host was checked");

    let mut bytes = format!("GET {} HTTP/1.1\r\n", request.target).into_bytes();
    let headers = standard.strip_prefix(b"GET / HTTP/1.1\r\n").unwrap_or(&standard);
    bytes.extend_from_slice(headers.strip_suffix(b"\r\n").unwrap_or(headers));
    let mut put = |name: &str, value: &str| {
        for part in [name, ": ", value, "\r\n"] {
            bytes.extend_from_slice(part.as_bytes());
        }
    };
    for (name, value) in &request.headers {
        let ours = OURS.iter().chain(&["Host"]).any(|ours| ours.eq_ignore_ascii_case(name));
        let good = http::HeaderName::from_bytes(name.as_bytes()).is_ok()
            && http::HeaderValue::from_bytes(value.as_bytes()).is_ok();
        debug_assert!(good, "the header {name} was checked");
        if good && !ours {
            put(name, value);
        }
    }
    if !request.subprotocols.is_empty() {
        put("Sec-WebSocket-Protocol", &request.subprotocols.join(", "));
    }
    if let Some(offer) = &request.deflate {
        put("Sec-WebSocket-Extensions", &offer.header());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}
