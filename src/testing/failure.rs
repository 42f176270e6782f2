//! How a rehearsed attempt fails. Holds what the link is told, and nothing of what it makes of it.

use crate::error::{Cause, LinkError, Phase, Refusal, TlsFault, TlsFaultKind, UpgradeFault};
use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

/// How an attempt fails, for [`Rehearsal::fails`](super::Rehearsal::fails).
#[derive(Debug, Clone)]
pub struct Failure {
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    UnknownHost,
    Io(ErrorKind),
    Tls,
    NotHttp,
    Http { status: u16, retry_after: Option<u64> },
}

impl Failure {
    /// The connection is refused: nobody listens at the server's port.
    pub fn refused() -> Self {
        Failure { kind: Kind::Io(ErrorKind::ConnectionRefused) }
    }

    /// There is no network, or none that leads to the server.
    pub fn unreachable() -> Self {
        Failure { kind: Kind::Io(ErrorKind::NetworkUnreachable) }
    }

    /// The server's name is not found.
    pub fn unknown_host() -> Self {
        Failure { kind: Kind::UnknownHost }
    }

    /// TLS refuses the server's certificate: it is expired, or nobody knows who signed it.
    pub fn tls() -> Self {
        Failure { kind: Kind::Tls }
    }

    /// What answers the upgrade is no HTTP.
    pub fn not_http() -> Self {
        Failure { kind: Kind::NotHttp }
    }

    /// The server answers the upgrade with this status.
    pub fn http(status: u16) -> Self {
        Failure { kind: Kind::Http { status, retry_after: None } }
    }

    /// The server answers the upgrade with this status and `Retry-After`, in whole seconds.
    pub fn http_retry_after(status: u16, time: Duration) -> Self {
        Failure { kind: Kind::Http { status, retry_after: Some(time.as_secs()) } }
    }

    pub(super) fn error(&self) -> LinkError {
        match self.kind {
            Kind::UnknownHost => LinkError::io(Phase::Resolve, ErrorKind::NotFound.into()),
            Kind::Io(kind) => LinkError::io(Phase::Connect, Error::from(kind)),
            Kind::Tls => {
                let fault = TlsFault { kind: TlsFaultKind::Certificate, text: "rehearsed".into() };
                LinkError::new(Phase::Tls, Cause::Tls(fault))
            }
            Kind::NotHttp => LinkError::new(Phase::Upgrade, Cause::BadUpgrade(UpgradeFault::NotHttp)),
            Kind::Http { status, retry_after } => {
                let headers = retry_after.map(|seconds| ("Retry-After".to_owned(), seconds.to_string()));
                let refusal = Refusal { status, headers: headers.into_iter().collect(), body: Vec::new() };
                LinkError::new(Phase::Upgrade, Cause::Refused(Arc::new(refusal)))
            }
        }
    }
}
