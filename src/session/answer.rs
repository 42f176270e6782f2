//! What the server's answer to the upgrade says (RFC 6455 section 4.2.2), and whether we take it.
//!
//! Sees the head of an answer when it is whole, or asks whether it can still become one. Reads nothing itself.

use super::deflate::{Agreed, Offer};
use crate::error::UpgradeFault;

const HEADERS_MAX: usize = 128;

/// What a good answer must match.
pub(crate) struct Expected {
    /// The answer to our key.
    pub(crate) accept: String,
    /// Those that we offered.
    pub(crate) subprotocols: Vec<String>,
    /// Compression, if that was offered.
    pub(crate) deflate: Option<Offer>,
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

/// What follows from an answer.
pub(crate) enum Answer {
    Accepted {
        subprotocol: Option<String>,
        agreed: Option<Agreed>,
        headers: Vec<(String, String)>,
    },
    /// An interim answer: the one that counts is still to come.
    Wait,
    Refused(Head),
}

/// Whether these bytes begin an HTTP/1 answer, or may if more come.
pub(crate) fn may_be_http(bytes: &[u8]) -> bool {
    bytes.iter().zip(b"HTTP/1.").all(|(byte, wanted)| byte == wanted)
}

/// Where the first head in these bytes ends; before `scanned` it was looked for already.
pub(crate) fn head_end(bytes: &[u8], scanned: usize) -> Option<usize> {
    let from = scanned.saturating_sub(2);
    let breaks = bytes[from..].iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    breaks.map(|(at, _)| from + at + 1).find_map(|next| match &bytes[next..] {
        [b'\n', ..] => Some(next + 1),
        [b'\r', b'\n', ..] => Some(next + 2),
        _ => None,
    })
}

/// Takes a whole head apart.
pub(crate) fn parse(bytes: &[u8]) -> Result<Head, UpgradeFault> {
    // Not on the stack, whose pages a thread keeps for good.
    let mut headers = vec![httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(size)) if size == bytes.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(UpgradeFault::TooLong),
        _ => return Err(UpgradeFault::NotHttp),
    }
    let (Some(status), Some(version)) = (response.code, response.version) else {
        return Err(UpgradeFault::NotHttp);
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers =
        response.headers.iter().map(|header| (header.name.to_owned(), text(header.value))).collect();
    Ok(Head { status, persistent: version == 1, headers })
}

/// Decides what follows from a head.
pub(crate) fn judge(head: Head, expected: &Expected) -> Result<Answer, UpgradeFault> {
    match head.status {
        101 if !head.persistent => return Err(UpgradeFault::NotHttp),
        101 => {}
        100..=199 => return Ok(Answer::Wait),
        _ => return Ok(Answer::Refused(head)),
    }
    let headers = head.headers;
    if !has_token(&headers, "Upgrade", "websocket") {
        return Err(UpgradeFault::Header("Upgrade"));
    }
    if !has_token(&headers, "Connection", "upgrade") {
        return Err(UpgradeFault::Header("Connection"));
    }
    match single(&headers, "Sec-WebSocket-Accept")? {
        Some(accept) if accept == expected.accept => {}
        Some(_) => return Err(UpgradeFault::Accept),
        None => return Err(UpgradeFault::Header("Sec-WebSocket-Accept")),
    }
    let agreed = {
        let mut extensions = values(&headers, "Sec-WebSocket-Extensions").filter(|value| !value.is_empty());
        match (&expected.deflate, extensions.next()) {
            (Some(offer), Some(first)) => offer.judge(std::iter::once(first).chain(extensions))?,
            (None, Some(extension)) => return Err(UpgradeFault::Extension(extension.to_owned())),
            (_, None) => None,
        }
    };
    let subprotocol = single(&headers, "Sec-WebSocket-Protocol")?.map(str::to_owned);
    if let Some(chosen) = &subprotocol
        && !expected.subprotocols.contains(chosen)
    {
        return Err(UpgradeFault::Subprotocol(chosen.clone()));
    }
    Ok(Answer::Accepted { subprotocol, agreed, headers })
}

/// How long the body is, where the head says it clearly.
pub(crate) fn content_length(headers: &[(String, String)]) -> Option<usize> {
    let digits = single(headers, "Content-Length").ok()??;
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().unwrap_or(usize::MAX))
}

fn values<'a>(headers: &'a [(String, String)], name: &str) -> impl Iterator<Item = &'a str> {
    headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// Whether one of the comma separated lists under this name has the token, in any case (RFC 9110 section 5.6.1).
fn has_token(headers: &[(String, String)], name: &str, token: &str) -> bool {
    values(headers, name)
        .flat_map(|value| value.split(','))
        .any(|item| item.trim().eq_ignore_ascii_case(token))
}

/// The value of a header that may be there once.
fn single<'a>(headers: &'a [(String, String)], name: &'static str) -> Result<Option<&'a str>, UpgradeFault> {
    let mut found = values(headers, name);
    let first = found.next();
    if found.next().is_some() { Err(UpgradeFault::Header(name)) } else { Ok(first) }
}
