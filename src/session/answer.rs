//! What the server's answer to the upgrade says (RFC 6455 section 4.2.2), and whether we take it.
//!
//! Sees the head of an answer when it is whole. Reads nothing itself.

use super::deflate::{Agreed, Offer};
use crate::error::UpgradeFault;
use crate::request::Head;

/// What a good answer must match.
pub(crate) struct Expected {
    /// The answer to our key.
    pub(crate) accept: String,
    /// Those that we offered.
    pub(crate) subprotocols: Vec<String>,
    /// Compression, if that was offered.
    pub(crate) deflate: Option<Offer>,
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
