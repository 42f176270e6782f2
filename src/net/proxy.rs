//! The way through a proxy: asks it for a tunnel to the target and judges its answer, over whatever stream reaches it.
//! Knows no socket, no TLS and no deadline; its two languages are in `connect` and `socks`.
//!
//! Whoever is behind the tunnel speaks only when spoken to: a TLS server waits for our ClientHello, any other for our
//! upgrade. Bytes behind the proxy's answer are therefore the proxy's own, or of somebody who wants them to be taken
//! for the server's: they are a fault, and never passed on. Those that come later meet TLS, or the upgrade, which
//! refuse what does not answer them.

mod connect;
mod socks;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};

use url::Host;

use crate::error::{Cause, ProxyFault};
#[cfg(feature = "native-tls")]
use crate::net::tls::Connector;
use crate::request::Request;

/// What one read takes at most.
const READ: usize = 4 * 1024;

/// A checked proxy. No `Debug`: it holds a password.
pub(crate) struct Proxy {
    pub(crate) language: Language,
    pub(crate) host: Host<String>,
    pub(crate) port: u16,
    pub(crate) login: Option<Login>,
    /// For an `https:` proxy: the TLS settings, and the name that its certificate must be for.
    #[cfg(feature = "native-tls")]
    pub(crate) tls: Option<(Connector, String)>,
    /// The User-Agent header for CONNECT.
    pub(crate) agent: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// HTTP's CONNECT (RFC 9110 section 9.3.6).
    Connect,
    /// SOCKS 5 (RFC 1928), given addresses.
    Socks,
    /// SOCKS 5, given names.
    SocksWithNames,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// For log lines: without the login.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[cfg(feature = "native-tls")]
        let secure = self.tls.is_some();
        #[cfg(not(feature = "native-tls"))]
        let secure = false;
        let scheme = match self.language {
            Language::Connect if secure => "https",
            Language::Connect => "http",
            Language::Socks => "socks5",
            Language::SocksWithNames => "socks5h",
        };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

/// A request for a tunnel under way.
pub(crate) struct Tunnel {
    request: Request,
    answer: Vec<u8>,
    talk: Talk,
}

enum Talk {
    Connect(connect::Reply),
    Socks(socks::Talk),
}

/// What follows from the bytes that came.
enum Next {
    /// They are not the whole answer.
    Wait,
    Say(Vec<u8>),
    Open,
}

/// Why there is no tunnel.
pub(crate) enum Failure {
    /// What the proxy said, or that it hung up.
    Proxy(Cause),
    /// The stream failed; only it can tell what that means.
    Stream(io::Error),
}

impl Tunnel {
    /// Makes the request; sends nothing yet.
    pub(crate) fn new(proxy: &Proxy, host: &Host<String>, port: u16) -> Tunnel {
        let (request, talk) = match proxy.language {
            Language::Connect => {
                let request = connect::request(proxy, host, port);
                (request, Talk::Connect(connect::Reply::default()))
            }
            Language::Socks | Language::SocksWithNames => {
                let (request, talk) = socks::Talk::begin(proxy.login.as_ref(), host, port);
                (request, Talk::Socks(talk))
            }
        };
        Tunnel { request: Request::new(request), answer: Vec::new(), talk }
    }

    /// Writes what is left of the request and reads what is there of the answer; `true` once the tunnel is open.
    pub(crate) fn advance(&mut self, stream: &mut (impl Read + Write)) -> Result<bool, Failure> {
        self.request.write(stream);
        // Not on the stack, whose pages a thread keeps for good.
        let mut chunk = vec![0; READ];
        loop {
            match stream.read(&mut chunk) {
                Ok(0) => return Err(self.ended(Failure::Proxy(Cause::EndOfStream))),
                Ok(bytes) => {
                    self.answer.extend_from_slice(&chunk[..bytes.min(READ)]);
                    if self.judge().map_err(Failure::Proxy)? {
                        return Ok(true);
                    }
                    self.request.write(stream);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return match self.request.failure() {
                        Some(error) => Err(Failure::Stream(error)),
                        None => Ok(false),
                    };
                }
                Err(error) => return Err(self.ended(Failure::Stream(error))),
            }
        }
    }

    fn ended(&mut self, failure: Failure) -> Failure {
        self.request.failure().map_or(failure, Failure::Stream)
    }

    /// Looks at what came so far; `true` if that opens the tunnel.
    fn judge(&mut self) -> Result<bool, Cause> {
        let next = match &mut self.talk {
            Talk::Connect(reply) => reply.judge(&mut self.answer)?,
            Talk::Socks(talk) => talk.judge(&mut self.answer).map_err(Cause::Proxy)?,
        };
        if matches!(next, Next::Wait) {
            return Ok(false);
        }
        if !self.request.is_written() || !self.answer.is_empty() {
            return Err(Cause::Proxy(ProxyFault::Unasked));
        }
        if let Next::Say(request) = next {
            self.request = Request::new(request);
            return Ok(false);
        }
        Ok(true)
    }
}
