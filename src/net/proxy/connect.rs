//! CONNECT to an HTTP proxy (RFC 9110 section 9.3.6), and what its answer says.

use std::sync::Arc;

use data_encoding::BASE64;
use url::Host;

use super::{Login, Next, Proxy};
use crate::error::{Cause, Refusal};
use crate::request::{Head, Heads};

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
    heads: Heads,
}

impl Reply {
    pub(super) fn judge(&mut self, answer: &mut Vec<u8>) -> Result<Next, Cause> {
        loop {
            let head = self.heads.take(answer).map_err(|bad| Cause::Proxy(bad.into()))?;
            let Some(Head { status, headers, .. }) = head else { return Ok(Next::Wait) };
            match status {
                // Interim answers: the one that counts is still to come.
                100..=199 => {}
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
