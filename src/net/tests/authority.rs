//! A certificate authority and a TLS server that live as long as a test; the server is rustls, not the library under
//! test.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

pub(crate) type Secured = StreamOwned<ServerConnection, TcpStream>;

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pub(crate) pem: String,
}

/// What a certificate is like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    Well,
    Expired,
    TooEarly,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        // Each its own name: a leaf of the same name would look self-signed.
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("authority {}", MADE.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Authority {
            pem: certificate.pem(),
            certificate: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A server's settings, with a certificate for this name.
    pub(crate) fn server(&self, name: &str, made: Made) -> ServerConfig {
        let (certificate, key) = self.leaf(name, made);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key.into())
            .unwrap()
    }

    /// The same, for clients of this authority only.
    pub(crate) fn strict_server(
        &self,
        name: &str,
        version: &'static rustls::SupportedProtocolVersion,
    ) -> ServerConfig {
        let (certificate, key) = self.leaf(name, Made::Well);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate], key.into())
            .unwrap()
    }

    /// A client's certificate in PEM for the key that is given as PKCS#8 in PEM.
    pub(crate) fn client_certificate(&self, key: &str) -> String {
        let mut params = CertificateParams::new(vec!["client".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.signed_by(&KeyPair::from_pem(key).unwrap(), &self.issuer).unwrap().pem()
    }

    fn leaf(&self, name: &str, made: Made) -> (CertificateDer<'static>, PrivatePkcs8KeyDer<'static>) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        match made {
            Made::Well => {}
            Made::Expired => params.not_after = rcgen::date_time_ymd(2001, 1, 1),
            Made::TooEarly => params.not_before = rcgen::date_time_ymd(3001, 1, 1),
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), PrivatePkcs8KeyDer::from(key.serialize_der()))
    }
}

/// Serves one connection on a thread; the handshake is made as the script reads and writes.
pub(crate) fn serve<T: Send + 'static>(
    config: ServerConfig,
    script: impl FnOnce(Secured) -> T + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    serve_plain(move |socket| {
        let session = ServerConnection::new(Arc::new(config)).unwrap();
        script(StreamOwned::new(session, socket))
    })
}

pub(crate) fn serve_plain<T: Send + 'static>(
    script: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
        script(socket)
    });
    (address, server)
}

/// Sends back what comes, then ends as TLS asks.
pub(crate) fn echo(mut stream: Secured) -> io::Result<()> {
    let mut some = [0; 4096];
    loop {
        let read = stream.read(&mut some)?;
        if read == 0 {
            stream.conn.send_close_notify();
            return stream.flush();
        }
        stream.write_all(&some[..read])?;
        stream.flush()?;
    }
}

/// Goes as far as the handshake.
pub(crate) fn shake_hands(stream: &mut Secured) -> io::Result<()> {
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    stream.flush()
}
