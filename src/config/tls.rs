//! The TLS settings: whom to trust, who we are, which versions. The platform's own TLS does the rest.

use std::fmt;
use std::path::PathBuf;

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

    /// Accepts every certificate, of whomever and for whatever. Default: no.
    ///
    /// Anyone between client and server can then read and change everything. For a test bench only;
    /// for a server with a certificate of its own making use [`ca_pem`](Self::ca_pem).
    pub fn danger_accept_invalid_certificates(mut self, yes: bool) -> Tls {
        self.accept_invalid_certificates = yes;
        self
    }

    /// Accepts a valid certificate that is for another name. Default: no.
    ///
    /// Anyone with a valid certificate for any name at all can then pose as the server.
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
