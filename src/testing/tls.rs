//! TLS for the scripted server: a certificate authority made on the spot, and what servers show of it.
//!
//! The server's TLS is rustls, so that a fault of the library under test is not its server's, too.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::fmt;
use std::sync::Arc;

/// The names and addresses that a sound server's certificate is valid for.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A certificate authority that lives in memory: nobody trusts it but who is given [`Authority::pem`].
///
/// ```
/// # #[cfg(feature = "native-tls")] {
/// use heartwire::testing::{Authority, Behaviour, Setup};
/// use heartwire::{Client, Tls};
/// use std::time::Duration;
///
/// let authority = Authority::generate();
/// let server = Setup::new(Behaviour::echo()).tls(authority.server()).start();
///
/// let client = Client::builder(&server.url()) // wss://localhost:PORT/
///     .tls(Tls::new().ca_pem(authority.pem()))
///     .connect()
///     .unwrap();
/// client.wait_open(Duration::from_secs(10)).unwrap();
/// # }
/// ```
pub struct Authority {
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority with a key of its own; a few milliseconds.
    ///
    /// # Panics
    ///
    /// If the system gives no random bytes.
    pub fn generate() -> Authority {
        let mut params = Authority::params(&[], "heartwire test authority", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = new_key();
        let cert = params.self_signed(&key).expect("an authority's certificate");
        Authority { pem: cert.pem(), der: cert.der().clone(), issuer: Issuer::new(params, key) }
    }

    /// The authority's own certificate as PEM, for `Tls::ca_pem` or, written to a file, for programs in other languages.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A sound server, valid for localhost, 127.0.0.1 and ::1, that speaks TLS 1.2 and 1.3.
    pub fn server(&self) -> ServerTls {
        self.show(server_params(&LOCAL), false)
    }

    /// A server whose certificate is for another host than localhost: a sound client refuses it.
    ///
    /// # Panics
    ///
    /// If `host` is no name and no address.
    pub fn server_of(&self, host: &str) -> ServerTls {
        self.show(server_params(&[host]), false)
    }

    /// A server whose certificate ran out in 2021: a sound client refuses it.
    pub fn expired_server(&self) -> ServerTls {
        let mut params = server_params(&LOCAL);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        self.show(params, false)
    }

    /// A sound server that demands a certificate of its clients, signed by this authority; see [`Authority::client`].
    pub fn strict_server(&self) -> ServerTls {
        self.show(server_params(&LOCAL), true)
    }

    /// A client's certificate and its key, for [`Authority::strict_server`].
    pub fn client(&self) -> ClientIdentity {
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        let params = Authority::params(&[], "heartwire test client", Some(usage));
        let key = new_key();
        let cert = params.signed_by(&key, &self.issuer).expect("a client's certificate");
        ClientIdentity { cert_pem: cert.pem(), key_pem: key.serialize_pem() }
    }

    /// What every certificate here begins with; only an authority has no `usage`.
    ///
    /// It is public for the project's own tests alone, which need certificates that no [`Authority`] offers. It is no part
    /// of the interface: a new version of rcgen may come at any time.
    #[doc(hidden)]
    pub fn params(
        names: &[&str],
        common_name: &str,
        usage: Option<ExtendedKeyUsagePurpose>,
    ) -> CertificateParams {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names or addresses");
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.not_before = date_time_ymd(2024, 1, 1);
        params.not_after = date_time_ymd(2124, 1, 1);
        params.use_authority_key_identifier_extension = usage.is_some();
        params.extended_key_usages.extend(usage);
        params
    }

    fn show(&self, params: CertificateParams, strict: bool) -> ServerTls {
        let key = new_key();
        let cert = params.signed_by(&key, &self.issuer).expect("a server's certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring has all of the default versions");
        let builder = if strict {
            let mut roots = RootCertStore::empty();
            roots.add(self.der.clone()).expect("an authority's certificate");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = builder.with_single_cert(vec![cert.der().clone()], key.into());
        ServerTls { config: Arc::new(config.expect("a key that fits its certificate")) }
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// What a server shows of an [`Authority`], for [`Setup::tls`](super::Setup::tls).
#[derive(Clone)]
pub struct ServerTls {
    pub(super) config: Arc<ServerConfig>,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

/// For the project's own tests, which need what no [`Authority`] offers. It is no part of the interface: a new version of
/// rustls may come at any time.
#[doc(hidden)]
impl From<Arc<ServerConfig>> for ServerTls {
    fn from(config: Arc<ServerConfig>) -> ServerTls {
        ServerTls { config }
    }
}

/// A client's certificate and its key, both as PEM; the key is PKCS#8.
#[derive(Clone)]
pub struct ClientIdentity {
    cert_pem: String,
    key_pem: String,
}

impl ClientIdentity {
    /// The certificate.
    pub fn cert_pem(&self) -> &str {
        &self.cert_pem
    }

    /// Its key.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity").finish_non_exhaustive()
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("random bytes for a key")
}

fn server_params(names: &[&str]) -> CertificateParams {
    Authority::params(names, names[0], Some(ExtendedKeyUsagePurpose::ServerAuth))
}
