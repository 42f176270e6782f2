//! Certificates and keys, made in memory while the tests run, and TLS configurations of a server that uses them.

use super::{Behaviour, Server, Setup};
use heartwire::testing::Authority;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::sync::{Arc, OnceLock};

/// The names and addresses that a sound server certificate is valid for.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A certificate and its key, both as PEM; the key is PKCS#8.
#[derive(Debug, Clone)]
pub struct Identity {
    pub cert_pem: String,
    pub key_pem: String,
}

/// A client's identity in the forms in which users keep it.
#[derive(Debug, Clone)]
pub struct ClientIdentity {
    pub cert_pem: String,
    /// `-----BEGIN PRIVATE KEY-----`
    pub pkcs8_pem: String,
    /// The same key as `-----BEGIN EC PRIVATE KEY-----`.
    pub sec1_pem: String,
}

/// One CA and what it signed.
pub struct Certs {
    pub ca_pem: String,
    /// Valid for localhost, 127.0.0.1 and ::1.
    pub server: Identity,
    /// The same, but its time is over.
    pub expired: Identity,
    /// The same, but its time has not come.
    pub not_yet_valid: Identity,
    /// Signed and in time, but for `elsewhere.example`.
    pub wrong_host: Identity,
    /// Signed and in time, for the name localhost and no address.
    pub name_only: Identity,
    /// Signed and in time, for the address 127.0.0.1 and no name.
    pub address_only: Identity,
    /// Signed and in time, with the address 127.0.0.1 where a name belongs: as text.
    pub address_as_name: Identity,
    /// Valid for localhost, but signed by nobody else.
    pub self_signed: Identity,
    pub client: ClientIdentity,
}

/// A client's identity as PKCS#12, made once by openssl (see `fixtures/README.md`), since nothing here can write it.
pub const CLIENT_P12: &[u8] = include_bytes!("fixtures/client.p12");
/// The password of [`CLIENT_P12`].
pub const CLIENT_P12_PASSWORD: &str = "heartwire";
/// The CA that signed the certificate in [`CLIENT_P12`]; servers here accept it for clients.
pub const CLIENT_P12_CA_PEM: &str = include_str!("fixtures/client-p12-ca.pem");
/// An RSA key as `-----BEGIN RSA PRIVATE KEY-----` (PKCS#1), made once by openssl.
pub const RSA_PKCS1_PEM: &str = include_str!("fixtures/rsa-pkcs1.pem");
/// The same RSA key as PKCS#8.
pub const RSA_PKCS8_PEM: &str = include_str!("fixtures/rsa-pkcs8.pem");
/// The same RSA key, encrypted (`-----BEGIN ENCRYPTED PRIVATE KEY-----`); the password is [`CLIENT_P12_PASSWORD`].
pub const ENCRYPTED_KEY_PEM: &str = include_str!("fixtures/rsa-encrypted.pem");
/// The certificate of that RSA key, signed by [`CLIENT_P12_CA_PEM`].
pub const RSA_CERT_PEM: &str = include_str!("fixtures/client.pem");

impl Certs {
    /// One set for all tests of a process, made when first asked for.
    pub fn shared() -> &'static Certs {
        static SHARED: OnceLock<Certs> = OnceLock::new();
        SHARED.get_or_init(Certs::generate)
    }

    /// A new CA and new certificates.
    ///
    /// # Panics
    ///
    /// If the system gives no random bytes.
    pub fn generate() -> Self {
        let mut params = Authority::params(&[], "heartwire test CA", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca_key = KeyPair::generate().expect("a key");
        let ca_pem = params.self_signed(&ca_key).expect("a CA certificate").pem();
        let ca = Issuer::new(params, ca_key);

        let server = server_params(&LOCAL);
        let mut expired = server_params(&LOCAL);
        expired.not_before = date_time_ymd(2020, 1, 1);
        expired.not_after = date_time_ymd(2021, 1, 1);
        let mut not_yet_valid = server_params(&LOCAL);
        not_yet_valid.not_before = date_time_ymd(2120, 1, 1);
        let mut address_as_name = server_params(&["127.0.0.1"]);
        address_as_name.subject_alt_names =
            vec![SanType::DnsName("127.0.0.1".try_into().expect("it is ASCII"))];
        let self_signed_key = KeyPair::generate().expect("a key");
        let self_signed = server.self_signed(&self_signed_key).expect("a certificate");

        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        let client = Authority::params(&[], "heartwire test client", Some(usage));
        let client_key = KeyPair::generate().expect("a key");
        let client_cert = client.signed_by(&client_key, &ca).expect("a certificate");

        Certs {
            server: issue(&server, &ca),
            expired: issue(&expired, &ca),
            not_yet_valid: issue(&not_yet_valid, &ca),
            wrong_host: issue(&server_params(&["elsewhere.example"]), &ca),
            name_only: issue(&server_params(&["localhost"]), &ca),
            address_only: issue(&server_params(&["127.0.0.1"]), &ca),
            address_as_name: issue(&address_as_name, &ca),
            self_signed: Identity { cert_pem: self_signed.pem(), key_pem: self_signed_key.serialize_pem() },
            client: ClientIdentity {
                cert_pem: client_cert.pem(),
                pkcs8_pem: client_key.serialize_pem(),
                sec1_pem: sec1_pem(&client_key),
            },
            ca_pem,
        }
    }

    /// The sound server; TLS 1.2 and 1.3, no client certificate.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.config(&self.server, rustls::ALL_VERSIONS, ClientCert::NotAsked)
    }

    /// The sound server, TLS 1.2 only.
    pub fn tls12_only(&self) -> Arc<ServerConfig> {
        self.config(&self.server, &[&rustls::version::TLS12], ClientCert::NotAsked)
    }

    /// The sound server, TLS 1.3 only.
    pub fn tls13_only(&self) -> Arc<ServerConfig> {
        self.config(&self.server, &[&rustls::version::TLS13], ClientCert::NotAsked)
    }

    /// A server with another identity, for example `&certs.expired`.
    pub fn config_with(&self, identity: &Identity) -> Arc<ServerConfig> {
        self.config(identity, rustls::ALL_VERSIONS, ClientCert::NotAsked)
    }

    /// Any configuration.
    ///
    /// # Panics
    ///
    /// If the identity's PEM is not what it should be.
    pub fn config(
        &self,
        identity: &Identity,
        versions: &[&'static SupportedProtocolVersion],
        client_cert: ClientCert,
    ) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        for pem in [self.ca_pem.as_str(), CLIENT_P12_CA_PEM] {
            roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).expect("a CA as PEM")).expect("a CA");
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let builder =
            ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).expect("versions");
        let builder = match client_cert {
            ClientCert::NotAsked => builder.with_no_client_auth(),
            ClientCert::Optional => builder
                .with_client_cert_verifier(verifier.allow_unauthenticated().build().expect("a verifier")),
            ClientCert::Required => builder.with_client_cert_verifier(verifier.build().expect("a verifier")),
        };
        let chain = CertificateDer::pem_slice_iter(identity.cert_pem.as_bytes());
        let chain = chain.collect::<Result<Vec<_>, _>>().expect("certificates as PEM");
        let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).expect("a key as PEM");
        Arc::new(builder.with_single_cert(chain, key).expect("a key that fits its certificate"))
    }
}

/// A TLS server with the certificate of [`Certs::shared`]; its CA is `Certs::shared().ca_pem`.
pub fn tls_server(behaviour: Behaviour) -> Server {
    Setup::new(behaviour).tls(Certs::shared().server_config()).start()
}

/// Whether the server asks clients for a certificate; one that is given must be sound in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCert {
    NotAsked,
    Optional,
    Required,
}

fn server_params(names: &[&str]) -> CertificateParams {
    Authority::params(names, names[0], Some(ExtendedKeyUsagePurpose::ServerAuth))
}

fn issue(params: &CertificateParams, ca: &Issuer<'_, KeyPair>) -> Identity {
    let key = KeyPair::generate().expect("a key");
    let cert = params.signed_by(&key, ca).expect("a certificate");
    Identity { cert_pem: cert.pem(), key_pem: key.serialize_pem() }
}

/// The key as RFC 5915's ECPrivateKey with its curve named, as `openssl ec` writes it.
fn sec1_pem(key: &KeyPair) -> String {
    const PRIVATE: &[u8] = &[0x02, 0x01, 0x01, 0x04, 0x20];
    const CURVE: &[u8] = &[0xA0, 0x0A, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
    const PUBLIC: &[u8] = &[0xA1, 0x44, 0x03, 0x42, 0x00];
    // Inside PKCS#8 lies an ECPrivateKey, too; ring leaves its curve out.
    let pkcs8 = key.serialized_der();
    let start =
        pkcs8.windows(PRIVATE.len()).rposition(|w| w == PRIVATE).expect("a P-256 key") + PRIVATE.len();
    let secret = &pkcs8[start..start + 32];
    let mut der = vec![0x30, 0x77];
    for part in [PRIVATE, secret, CURVE, PUBLIC, key.public_key_raw()] {
        der.extend_from_slice(part);
    }
    assert_eq!(der.len(), 2 + 0x77);
    pem("EC PRIVATE KEY", &der)
}

fn pem(label: &str, der: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::new();
    for group in der.chunks(3) {
        let bits =
            group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for i in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= group.len() { digit } else { b'=' });
        }
    }
    let lines: Vec<_> = text.chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
