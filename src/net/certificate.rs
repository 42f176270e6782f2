//! The certificate that a server has shown, and whether a pin fits it.
//! Does not judge it otherwise: the system's TLS has done so before.

use std::io::{Read, Write};

use native_tls::TlsStream;
use sha2::{Digest, Sha256};

use crate::config::pin::{self, Hash, Pin, Pinned};
use crate::error::{TlsFault, TlsFaultKind};
use crate::net::spki;

/// In DER, once the handshake is over.
pub(crate) fn shown<S: Read + Write>(engine: &TlsStream<S>) -> Option<Vec<u8>> {
    engine.peer_certificate().ok()??.to_der().ok()
}

/// Whether one of the pins fits, or there are none.
pub(crate) fn check<S: Read + Write>(pins: &[Pin], engine: &TlsStream<S>) -> Result<(), TlsFault> {
    if pins.is_empty() { Ok(()) } else { judge(pins, shown(engine).as_deref()) }
}

fn judge(pins: &[Pin], certificate: Option<&[u8]>) -> Result<(), TlsFault> {
    let refused = |text| Err(TlsFault { kind: TlsFaultKind::Pin, text });
    let Some(certificate) = certificate else { return refused("it showed none".into()) };
    let whole: Hash = Sha256::digest(certificate).into();
    let key: Option<Hash> = spki::public_key(certificate).map(|key| Sha256::digest(key).into());
    let fits = |pin: &Pin| match pin.of {
        Pinned::PublicKey => key == Some(pin.hash),
        Pinned::Certificate => whole == pin.hash,
    };
    if pins.iter().any(fits) {
        return Ok(());
    }
    // What was seen, as it can be set.
    let key = key.map_or("cannot be read".into(), |key| format!("is {}", pin::base64(&key)));
    refused(format!("its public key {key}, its own SHA-256 is {}", pin::hex(&whole)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(of: Pinned, hash: Hash) -> Pin {
        Pin { of, hash }
    }

    #[test]
    fn a_hash_fits_what_it_is_of_and_nothing_else() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let der = made.cert.der();
        let whole = Sha256::digest(der).into();
        let key = Sha256::digest(rcgen::PublicKeyData::subject_public_key_info(&made.signing_key)).into();
        let good = [pin(Pinned::PublicKey, key), pin(Pinned::Certificate, whole)];
        let bad =
            [pin(Pinned::PublicKey, whole), pin(Pinned::Certificate, key), pin(Pinned::PublicKey, [0; 32])];
        for pin in good {
            assert_eq!(judge(&[pin], Some(der)), Ok(()));
            // One is enough, wherever it stands.
            assert_eq!(judge(&[bad[0], bad[1], pin], Some(der)), Ok(()));
            assert_eq!(judge(&[pin, bad[2]], Some(der)), Ok(()));
        }
        let fault = judge(&bad, Some(der)).unwrap_err();
        assert_eq!(fault.kind(), TlsFaultKind::Pin);
        // The text has what would have been right.
        let words: Vec<&str> = fault.text().split([' ', ',']).collect();
        let read = |of| words.iter().filter_map(|word| Pin::parse(of, word).ok()).collect::<Vec<_>>();
        assert_eq!(read(Pinned::PublicKey)[0], good[0]);
        assert_eq!(read(Pinned::Certificate)[1], good[1]);
    }

    #[test]
    fn the_hashes_are_those_that_openssl_tells() {
        use rustls::pki_types::{CertificateDer, pem::PemObject};
        let pem = include_bytes!("../../tests/support/fixtures/client.pem");
        let der = CertificateDer::from_pem_slice(pem).unwrap();
        // By the commands in the documentation of `Tls::pin_public_key` and `Tls::pin_certificate`, and as curl takes
        // it.
        for (of, told) in [
            (Pinned::PublicKey, "509f39307889c69e7c3f5a2e0d42693bf3c87416b0a86e23928b593dff1705b3"),
            (Pinned::PublicKey, "sha256//UJ85MHiJxp58P1ouDUJpO/PIdBawqG4jkotZPf8XBbM="),
            (
                Pinned::Certificate,
                "6D:2A:82:45:2A:D7:0E:0A:42:E2:EC:5D:2F:05:C9:AD:A4:E7:37:B7:B8:70:72:49:AF:B0:64:EA:99:93:CD:EE",
            ),
        ] {
            assert_eq!(judge(&[Pin::parse(of, told).unwrap()], Some(&der)), Ok(()), "{told}");
        }
    }

    #[test]
    fn what_cannot_be_read_fits_no_pin_of_a_key() {
        let hash = Sha256::digest(b"").into();
        let fault = judge(&[pin(Pinned::PublicKey, hash)], Some(b"")).unwrap_err();
        assert_eq!(fault.kind(), TlsFaultKind::Pin);
        assert!(fault.text().contains("cannot be read"), "{fault}");
        assert_eq!(judge(&[pin(Pinned::Certificate, hash)], Some(b"")), Ok(()));
        let fault = judge(&[pin(Pinned::Certificate, hash)], None).unwrap_err();
        assert!(fault.text().contains("showed none"), "{fault}");
    }
}
