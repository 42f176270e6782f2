//! TLS by the platform's own library: connectors from settings, and handshakes that never block.
//! Does not know whom it talks to, nor how long it may take.

use std::fs::File;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use native_tls::{Certificate, HandshakeError, MidHandshakeTlsStream, Protocol, TlsConnector, TlsStream};

use crate::config::pin::{Pin, Pinned};
use crate::config::tls::{Authority, Identity, Tls, TlsVersion};
use crate::error::{Cause, ConfigError};
use crate::net::certificate;
use crate::net::client_key;
use crate::net::outer::{Below, Outer};
use crate::net::stream::{Ground, Stream};
use crate::net::tap::Tap;
use crate::net::tls_fault::Trouble;
use crate::process::PerProcess;

/// More than any bundle of authorities.
const LARGEST_FILE: u64 = 16 << 20;
/// Connectors that are kept although no client uses them: more distinct settings than one program has.
const SPARE: usize = 4;
/// What a WebSocket is opened with, offered to every server by ALPN (RFC 7301).
///
/// Browsers offer the same for `wss:`, so that servers are used to it. One that does not know ALPN ignores it, and may
/// answer without; one that would begin with HTTP/2 where nothing is said does not; one that has no HTTP/1.1 refuses at
/// once and for that reason; and nobody on the way can hand the connection to a service of another protocol that has
/// the same certificate. So there is no setting for it.
const PROTOCOL: &str = "http/1.1";

/// Checked settings, ready to begin handshakes. Clients with the same settings, but for their pins, share what is made
/// of them.
#[derive(Clone)]
pub(crate) struct Connector {
    made: Arc<Made>,
    pins: Arc<[Pin]>,
}

struct Made {
    /// With the contents of files in the place of their paths, and without pins.
    settings: Tls,
    native: TlsConnector,
}

/// The connectors, the one used last at the end: the system's roots take 40 ms to load, and memory for each copy.
/// A client that comes after the last one with its settings has gone finds them here, too.
static MADE: PerProcess<Mutex<Vec<Arc<Made>>>> = PerProcess::new();

/// Checks the settings, reads their files, and makes a connector of them or finds the one that another client made.
pub(crate) fn connector(tls: &Tls) -> Result<Connector, ConfigError> {
    let mut settings = tls.clone();
    let pins = settings.take_pins()?.into();
    for authority in &mut settings.authorities {
        if let Authority::File(path) = authority {
            *authority = Authority::Pem(read(path)?);
        }
    }
    check(&settings)?;
    if let Some(made) = made(&settings) {
        return Ok(Connector { made, pins });
    }
    // Outside of the lock: two clients may do this at once, and both connectors are right.
    let native = build(&settings)?;
    let made = Arc::new(Made { settings, native });
    let spare = keep(&mut all(), made.clone());
    drop(spare);
    Ok(Connector { made, pins })
}

/// The one with these settings; it is the one used last now.
fn made(settings: &Tls) -> Option<Arc<Made>> {
    let mut all = all();
    let at = all.iter().position(|made| made.settings == *settings)?;
    let made = all.remove(at);
    all.push(made.clone());
    Some(made)
}

/// Answers those that are kept no longer, to be dropped outside of the lock: the oldest without a client beyond a few,
/// and each without a client that holds a private key.
#[must_use = "dropping them frees memory by the system's library, which takes its time"]
fn keep(all: &mut Vec<Arc<Made>>, new: Arc<Made>) -> Vec<Arc<Made>> {
    let unused = |made: &Arc<Made>| Arc::strong_count(made) == 1;
    let mut gone: Vec<_> =
        all.extract_if(.., |made| unused(made) && made.settings.identity.is_some()).collect();
    let mut surplus = all.iter().filter(|made| unused(made)).count().saturating_sub(SPARE);
    gone.extend(all.extract_if(.., |made| {
        let goes = surplus > 0 && unused(made);
        surplus -= usize::from(goes);
        goes
    }));
    all.push(new);
    gone
}

fn all() -> MutexGuard<'static, Vec<Arc<Made>>> {
    MADE.get().lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes))
        .map_err(|error| ConfigError::new("ca_file", format!("{}: {error}", path.display())))?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(ConfigError::new("ca_file", format!("{} is larger than 16 MiB", path.display())));
    }
    match authorities(&bytes) {
        Ok(_) => Ok(bytes),
        Err(problem) => Err(ConfigError::new("ca_file", format!("{}: {problem}", path.display()))),
    }
}

fn check(tls: &Tls) -> Result<(), ConfigError> {
    if !tls.system_roots && tls.authorities.is_empty() && !tls.accept_invalid_certificates {
        return Err(ConfigError::new(
            "system_roots",
            "without them a ca_file or ca_pem must say whom to trust",
        ));
    }
    if cfg!(target_vendor = "apple") {
        if tls.min_version == TlsVersion::Tls13 {
            return Err(ConfigError::new(
                "min_version",
                "unsupported: TLS 1.3 cannot be demanded on this system",
            ));
        }
        if !tls.sni && !tls.accept_invalid_hostnames && !tls.accept_invalid_certificates {
            let problem = "on this system the host name would not be checked without it; \
                           danger_accept_invalid_hostnames says that this is meant";
            return Err(ConfigError::new("sni", problem));
        }
    }
    Ok(())
}

fn build(tls: &Tls) -> Result<TlsConnector, ConfigError> {
    let mut builder = TlsConnector::builder();
    for authority in &tls.authorities {
        if let Authority::Pem(pem) = authority {
            for certificate in authorities(pem).map_err(|problem| ConfigError::new("ca_pem", problem))? {
                builder.add_root_certificate(certificate);
            }
        }
    }
    if let Some(identity) = &tls.identity {
        builder.identity(self::identity(identity)?);
    }
    builder
        .disable_built_in_roots(!tls.system_roots)
        .min_protocol_version(Some(match tls.min_version {
            TlsVersion::Tls10 => Protocol::Tlsv10,
            TlsVersion::Tls11 => Protocol::Tlsv11,
            TlsVersion::Tls12 => Protocol::Tlsv12,
            TlsVersion::Tls13 => Protocol::Tlsv13,
        }))
        .request_alpns(&[PROTOCOL])
        .use_sni(tls.sni)
        .danger_accept_invalid_certs(tls.accept_invalid_certificates)
        .danger_accept_invalid_hostnames(tls.accept_invalid_hostnames);
    builder.build().map_err(|error| match &tls.identity {
        // The only part that is put together here for the first time: a key that belongs to another certificate.
        Some(identity) => ConfigError::new(setting(identity), error.to_string()),
        None => ConfigError::new("tls", error.to_string()),
    })
}

fn authorities(pem: &[u8]) -> Result<Vec<Certificate>, String> {
    let found =
        Certificate::stack_from_pem(&client_key::certificates(pem)).map_err(|error| error.to_string())?;
    if found.is_empty() {
        return Err("no PEM certificate found; if it is DER, convert it once: \
                    openssl x509 -inform DER -in ca.der -out ca.pem"
            .into());
    }
    Ok(found)
}

fn setting(identity: &Identity) -> &'static str {
    match identity {
        Identity::Pkcs12 { .. } => "client_pkcs12",
        Identity::Pem { .. } => "client_pem",
    }
}

fn identity(identity: &Identity) -> Result<native_tls::Identity, ConfigError> {
    let problem = |text: String| ConfigError::new(setting(identity), text);
    let made = match identity {
        Identity::Pkcs12 { archive, password } => {
            // Apple's half of native-tls panics on an archive without a key.
            catch_unwind(AssertUnwindSafe(|| native_tls::Identity::from_pkcs12(archive, password)))
                .map_err(|_| problem("the archive holds no certificate with its key".into()))?
        }
        Identity::Pem { certificates, key } => {
            let key = client_key::pkcs8(key).map_err(problem)?;
            let certificates = client_key::certificates(certificates);
            if certificates.is_empty() {
                return Err(problem("no PEM certificate found".into()));
            }
            if client_key::differ(&certificates, &key) {
                return Err(problem("the certificate is for a key of another kind: RSA against EC".into()));
            }
            native_tls::Identity::from_pkcs8(&certificates, &key)
        }
    };
    made.map_err(|error| {
        let mut text = error.to_string();
        if matches!(identity, Identity::Pkcs12 { .. }) && text.contains("unsupported") {
            text.push_str("; its ciphers are too old, make it anew: ");
            text.push_str("openssl pkcs12 -legacy -in old.p12 -nodes -out all.pem, ");
            text.push_str("openssl pkcs12 -export -in all.pem -out new.p12");
        }
        problem(text)
    })
}

/// A handshake under way.
pub(crate) struct Handshake {
    half: Half,
    terms: Terms,
}

/// What a handshake has to know until its end.
struct Terms {
    trouble: Arc<Trouble>,
    pins: Arc<[Pin]>,
}

enum Half {
    OverTcp(MidHandshakeTlsStream<Tap>),
    OverTls(MidHandshakeTlsStream<Outer>),
}

pub(crate) enum Progress {
    Ready(Stream),
    /// Go on when the socket is ready in either direction.
    Blocked(Handshake),
}

impl Connector {
    /// Begins a handshake on a connected stream, plain or of TLS with a proxy; the name is what the certificate must be
    /// for.
    pub(crate) fn begin(&self, name: &str, stream: Stream) -> Result<Progress, Cause> {
        let trouble = Arc::new(Trouble::default());
        let ground = stream.ground(trouble.clone()).map_err(|error| Cause::Io(Arc::new(error)))?;
        let terms = Terms { trouble, pins: self.pins.clone() };
        let native = &self.made.native;
        match ground {
            Ground::Socket(tap) => step(native.connect(name, tap), terms, Stream::tls, Half::OverTcp),
            Ground::Tls(outer) => step(native.connect(name, outer), terms, Stream::nested, Half::OverTls),
        }
    }

    /// What is pinned, if anything is: only a server with TLS can have it.
    pub(crate) fn pinned(&self) -> Option<Pinned> {
        self.pins.first().map(|pin| pin.of)
    }

    #[cfg(test)]
    pub(crate) fn same(&self, other: &Connector) -> bool {
        Arc::ptr_eq(&self.made, &other.made)
    }
}

impl Handshake {
    pub(crate) fn advance(self) -> Result<Progress, Cause> {
        match self.half {
            Half::OverTcp(mut half) => {
                half.get_mut().begin();
                step(half.handshake(), self.terms, Stream::tls, Half::OverTcp)
            }
            Half::OverTls(mut half) => {
                half.get_mut().begin();
                step(half.handshake(), self.terms, Stream::nested, Half::OverTls)
            }
        }
    }
}

fn step<S: Below>(
    result: Result<TlsStream<S>, HandshakeError<S>>,
    terms: Terms,
    ready: fn(TlsStream<S>) -> Stream,
    blocked: fn(MidHandshakeTlsStream<S>) -> Half,
) -> Result<Progress, Cause> {
    match result {
        Ok(engine) => match certificate::check(&terms.pins, &engine) {
            Ok(()) => Ok(Progress::Ready(ready(engine))),
            Err(fault) => Err(Cause::Tls(fault)),
        },
        Err(HandshakeError::WouldBlock(half)) => {
            Ok(Progress::Blocked(Handshake { half: blocked(half), terms }))
        }
        Err(HandshakeError::Failure(error)) => Err(terms.trouble.cause(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(settings: Tls) -> Arc<Made> {
        let native = TlsConnector::builder().disable_built_in_roots(true).build().unwrap();
        Arc::new(Made { settings, native })
    }

    #[test]
    fn connectors_wait_for_the_next_client_with_their_settings_a_few_of_them_and_none_with_a_private_key() {
        let mut all = Vec::new();
        let used = make(Tls::new());
        assert!(keep(&mut all, used.clone()).is_empty());
        let secret = make(Tls::new().client_pem("certificate", "key"));
        assert!(keep(&mut all, secret.clone()).is_empty(), "a client has it");
        for _ in 0..SPARE {
            assert!(keep(&mut all, make(Tls::new().sni(false))).is_empty());
        }
        drop(secret);
        let gone = keep(&mut all, make(Tls::new()));
        assert!(gone.len() == 1 && gone[0].settings.identity.is_some());
        let gone = keep(&mut all, make(Tls::new()));
        assert!(gone.len() == 1 && !gone[0].settings.sni, "the oldest that nobody has");
        assert!(all.iter().any(|made| Arc::ptr_eq(made, &used)));
        assert_eq!(all.len(), 1 + SPARE + 1, "in use, waiting, and the new one");
    }
}
