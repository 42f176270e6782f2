//! The TLS settings: whom to trust, who we are, which versions. The platform's own TLS does the rest.

use std::fmt;
use std::path::PathBuf;

use crate::config::pin::Pinned;
#[cfg(feature = "native-tls")]
use crate::{config::pin::Pin, error::ConfigError};

/// How `wss://` servers are checked, and how the client shows who it is.
///
/// The default trusts the system's certificate authorities, checks the certificate and its host name, and wants TLS 1.2
/// or newer. Everything is checked when the client is built; nothing is read afterwards.
///
/// # Examples
///
/// ```no_run
/// use heartwire::Tls;
///
/// // A server with a certificate of the company's own authority, and nobody else.
/// let tls = Tls::new().ca_file("company-ca.pem").system_roots(false);
/// # let _ = tls;
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Tls {
    pub(crate) authorities: Vec<Authority>,
    pub(crate) system_roots: bool,
    pub(crate) identity: Option<Identity>,
    pub(crate) min_version: TlsVersion,
    pub(crate) sni: bool,
    pub(crate) accept_invalid_certificates: bool,
    pub(crate) accept_invalid_hostnames: bool,
    /// As the program wrote them.
    pub(crate) pins: Vec<(Pinned, String)>,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Authority {
    File(PathBuf),
    Pem(Vec<u8>),
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Identity {
    Pkcs12 { archive: Vec<u8>, password: String },
    Pem { certificates: Vec<u8>, key: Vec<u8> },
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.0, withdrawn by RFC 8996. Most platforms refuse it by their own policy, whatever is set here.
    Tls10,
    /// TLS 1.1, withdrawn by RFC 8996. Most platforms refuse it by their own policy, whatever is set here.
    Tls11,
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3. On Apple's systems it cannot be demanded: building the client fails there.
    Tls13,
}

impl Tls {
    /// The defaults.
    pub fn new() -> Tls {
        Tls {
            authorities: Vec::new(),
            system_roots: true,
            identity: None,
            min_version: TlsVersion::Tls12,
            sni: true,
            accept_invalid_certificates: false,
            accept_invalid_hostnames: false,
            pins: Vec::new(),
        }
    }

    /// Trusts the certificates in this PEM file too; may be called several times. Default: none.
    ///
    /// The file is read when the client is built, and not again: a new file needs a new client.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Tls {
        self.authorities.push(Authority::File(path.into()));
        self
    }

    /// Trusts these certificates too, one or several in PEM; may be called several times. Default: none.
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Tls {
        self.authorities.push(Authority::Pem(pem.into()));
        self
    }

    /// Whether the system's certificate authorities are trusted. Default: yes.
    ///
    /// Without them only [`ca_file`](Self::ca_file) and [`ca_pem`](Self::ca_pem) count, and one of them is required.
    pub fn system_roots(mut self, yes: bool) -> Tls {
        self.system_roots = yes;
        self
    }

    /// Shows this certificate to servers that ask, from a PKCS#12 archive (`.p12`, `.pfx`). Default: none.
    ///
    /// The last of `client_pkcs12` and [`client_pem`](Self::client_pem) counts. On macOS the system keeps the key in a
    /// temporary keychain until the program ends.
    pub fn client_pkcs12(mut self, archive: impl Into<Vec<u8>>, password: impl Into<String>) -> Tls {
        self.identity = Some(Identity::Pkcs12 { archive: archive.into(), password: password.into() });
        self
    }

    /// Shows this certificate (followed by its intermediates) to servers that ask, from PEM. Default: none.
    ///
    /// The key may be PKCS#8, PKCS#1 (`RSA PRIVATE KEY`) or SEC1 (`EC PRIVATE KEY`), and must not be encrypted.
    /// Windows takes RSA keys only.
    pub fn client_pem(mut self, certificates: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Tls {
        self.identity = Some(Identity::Pem { certificates: certificates.into(), key: key.into() });
        self
    }

    /// The oldest version to accept. Default: TLS 1.2, since everything older is withdrawn.
    pub fn min_version(mut self, version: TlsVersion) -> Tls {
        self.min_version = version;
        self
    }

    /// Whether the host's name is sent in the clear, so that a server of many names can choose. Default: yes.
    ///
    /// On Apple's systems it cannot be switched off alone, since that would switch off the host name's check as well.
    pub fn sni(mut self, yes: bool) -> Tls {
        self.sni = yes;
        self
    }

    /// Speaks only with a server whose public key has this SHA-256; may be called several times. Default: any key.
    ///
    /// It is the hash of the SubjectPublicKeyInfo (RFC 5280 section 4.1) in the certificate that is the server's own,
    /// not of an authority's; it stays the same when the certificate is renewed with the same key. Written as 64
    /// hexadecimal digits, with colons between the bytes or without, or as curl does: `sha256//` and base64 (`sha256/`,
    /// too). Of a certificate it is told by
    ///
    /// ```sh
    /// openssl x509 -in server.pem -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256
    /// ```
    ///
    /// **Several pins**, these and those of [`pin_certificate`](Self::pin_certificate) together: one that fits is
    /// enough. Pin the next key beforehand, so that the server can change to it.
    ///
    /// **A server that none fits** is refused after the handshake and before a byte of the upgrade is sent, as
    /// [`TlsFaultKind::Pin`](crate::TlsFaultKind::Pin), with the hashes that it should have been in the error's text.
    /// It is tried again as after every other refused certificate. A client certificate was shown to it by then.
    ///
    /// **Pins come on top** of the usual verification. With
    /// [`danger_accept_invalid_certificates`](Self::danger_accept_invalid_certificates) they are all that is left of
    /// it, and enough: so a server with a certificate of its own making is safe to speak with.
    ///
    /// **They hold everywhere**: for each of the client's URLs, through proxies, and where `before_connect` or a
    /// redirect leads, to whichever host. A `ws:` URL cannot be beside them: building the client fails, and so does an
    /// attempt that `before_connect` gives one. An `https:` proxy is no server in this sense; it has settings of its
    /// own ([`Proxy::tls`](crate::Proxy::tls)), which may have pins.
    ///
    /// # Examples
    ///
    /// ```
    /// use heartwire::Tls;
    ///
    /// let tls = Tls::new()
    ///     .pin_public_key("sha256//UJ85MHiJxp58P1ouDUJpO/PIdBawqG4jkotZPf8XBbM=")
    ///     .pin_public_key("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"); // the next one
    /// heartwire::Client::builder("wss://example.com/feed").tls(tls).build()?;
    /// # Ok::<(), heartwire::ConfigError>(())
    /// ```
    pub fn pin_public_key(mut self, sha256: impl Into<String>) -> Tls {
        self.pins.push((Pinned::PublicKey, sha256.into()));
        self
    }

    /// Speaks only with a server whose certificate, whole in DER, has this SHA-256; may be called several times.
    /// Default: any certificate.
    ///
    /// It is what `openssl x509 -in server.pem -noout -fingerprint -sha256` tells. A renewed certificate has another
    /// one. For all the rest see [`pin_public_key`](Self::pin_public_key).
    pub fn pin_certificate(mut self, sha256: impl Into<String>) -> Tls {
        self.pins.push((Pinned::Certificate, sha256.into()));
        self
    }

    /// Takes them out, read.
    #[cfg(feature = "native-tls")]
    pub(crate) fn take_pins(&mut self) -> Result<Vec<Pin>, ConfigError> {
        std::mem::take(&mut self.pins).iter().map(|(of, text)| Pin::parse(*of, text)).collect()
    }

    /// Accepts every certificate, of whomever and for whatever. Default: no.
    ///
    /// Anyone between client and server can then read and change everything, unless the server is
    /// [pinned](Self::pin_public_key). Without a pin for a test bench only; for a server with a certificate of its own
    /// making use [`ca_pem`](Self::ca_pem) or a pin.
    pub fn danger_accept_invalid_certificates(mut self, yes: bool) -> Tls {
        self.accept_invalid_certificates = yes;
        self
    }

    /// Accepts a valid certificate that is for another name. Default: no.
    ///
    /// Anyone with a valid certificate for any name at all can then pose as the server, unless that is
    /// [pinned](Self::pin_public_key).
    pub fn danger_accept_invalid_hostnames(mut self, yes: bool) -> Tls {
        self.accept_invalid_hostnames = yes;
        self
    }
}

/// [`Tls::new`].
impl Default for Tls {
    fn default() -> Tls {
        Tls::new()
    }
}

/// Without keys and passwords.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("authorities", &self.authorities)
            .field("system_roots", &self.system_roots)
            .field("identity", &self.identity)
            .field("min_version", &self.min_version)
            .field("sni", &self.sni)
            .field("danger_accept_invalid_certificates", &self.accept_invalid_certificates)
            .field("danger_accept_invalid_hostnames", &self.accept_invalid_hostnames)
            .field("pins", &self.pins)
            .finish()
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Authority::File(path) => write!(f, "{}", path.display()),
            Authority::Pem(pem) => write!(f, "PEM ({} bytes)", pem.len()),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Identity::Pkcs12 { .. } => "PKCS#12",
            Identity::Pem { .. } => "PEM",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_no_secret() {
        let pem = Tls::new().ca_pem("anchor").client_pem("leaf", "hunter2");
        let archive = Tls::new().client_pkcs12("hunter2", "hunter2");
        for tls in [pem, archive] {
            let shown = format!("{tls:?} {:?}", tls.identity);
            assert!(!shown.contains("hunter2") && !shown.contains("104, 117"), "{shown}");
        }
    }
}
