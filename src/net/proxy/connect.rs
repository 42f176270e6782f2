//! CONNECT to an HTTP proxy (RFC 9110 section 9.3.6), and what its answer says.

use std::sync::Arc;

use data_encoding::BASE64;
use url::Host;

use super::{Login, Next, Proxy};
use crate::error::{Cause, ProxyFault, Refusal};

/// All heads of an answer together, 1xx ones included.
const HEAD_LIMIT: usize = 64 * 1024;
const HEADERS_MAX: usize = 128;
/// What is kept of a refusal's body.
const BODY_LIMIT: usize = 4 * 1024;

/// The whole request. The port is always named, and the login is sent unasked, as curl does: a proxy that asks first
/// costs a second connection.
pub(super) fn request(proxy: &Proxy, host: &Host<String>, port: u16) -> Vec<u8> {
    let mut request =
        format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: {}\r\n", proxy.agent);
    if let Some(Login { user, password }) = &proxy.login {
        // RFC 7617; the name has no colon, and neither a control character, as the settings' check sees to.
        let basic = BASE64.encode(format!("{user}:{password}").as_bytes());
        request.push_str(&format!("Proxy-Authorization: Basic {basic}\r\n"));
    }
    request.push_str("\r\n");
    request.into_bytes()
}

/// The answer as far as it came.
#[derive(Default)]
pub(super) struct Reply {
    /// Up to here there is no end of a head.
    scanned: usize,
    /// Bytes of 1xx answers that were skipped.
    skipped: usize,
}

impl Reply {
    pub(super) fn judge(&mut self, answer: &mut Vec<u8>) -> Result<Next, Cause> {
        loop {
            if !answer.iter().zip(b"HTTP/1.").all(|(byte, wanted)| byte == wanted) {
                return Err(Cause::Proxy(ProxyFault::NotHttp));
            }
            let end = head_end(answer, self.scanned);
            if self.skipped + end.unwrap_or(answer.len()) > HEAD_LIMIT {
                return Err(Cause::Proxy(ProxyFault::TooLong));
            }
            let Some(end) = end else {
                self.scanned = answer.len();
                return Ok(Next::Wait);
            };
            let (status, headers) = parse(&answer[..end]).map_err(Cause::Proxy)?;
            answer.drain(..end);
            self.scanned = 0;
            match status {
                // Interim answers: the one that counts is still to come.
                100..=199 => self.skipped += end,
                // Whatever the head says of a body, a success has none.
                200..=299 => return Ok(Next::Open),
                _ => {
                    let mut body = std::mem::take(answer);
                    body.truncate(BODY_LIMIT);
                    return Err(Cause::Refused(Arc::new(Refusal { status, headers, body })));
                }
            }
        }
    }
}

/// Where the first head in these bytes ends; before `scanned` it was looked for already.
fn head_end(bytes: &[u8], scanned: usize) -> Option<usize> {
    let mut breaks = (scanned.saturating_sub(2)..bytes.len()).filter(|at| bytes[*at] == b'\n');
    breaks.find_map(|at| match &bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// Status and headers of a whole head.
fn parse(head: &[u8]) -> Result<(u16, Vec<(String, String)>), ProxyFault> {
    // Not on the stack, whose pages a thread keeps for good.
    let mut headers = vec![httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(head) {
        Ok(httparse::Status::Complete(size)) if size == head.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(ProxyFault::TooLong),
        _ => return Err(ProxyFault::NotHttp),
    }
    let status = response.code.ok_or(ProxyFault::NotHttp)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = response.headers.iter().map(|header| (header.name.to_owned(), text(header.value)));
    Ok((status, headers.collect()))
}
