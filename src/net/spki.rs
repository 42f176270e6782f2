//! Where a certificate (X.509 in DER) has its public key: the bytes that a pin is the hash of.
//!
//! A walk over the first fields of RFC 5280 section 4.1, and nothing else: the system's TLS has read and judged the
//! certificate before, and tells neither the key nor where it is. Whatever is not in the one form that DER allows
//! (X.690 section 10) has no key here, so that no other reader can find another one at this place; no pin fits it then.

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
/// `[0]`, around the version.
const VERSION: u8 = 0xA0;

/// The SubjectPublicKeyInfo, with its own head.
pub(crate) fn public_key(certificate: &[u8]) -> Option<&[u8]> {
    let mut outside = certificate;
    let mut inside = take(&mut outside, SEQUENCE)?.content;
    if !outside.is_empty() {
        return None;
    }
    let mut fields = take(&mut inside, SEQUENCE)?.content;
    if fields.first() == Some(&VERSION) {
        take(&mut fields, VERSION)?;
    }
    // The serial number, the signature's algorithm, issuer, validity, subject.
    for tag in [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
        take(&mut fields, tag)?;
    }
    Some(take(&mut fields, SEQUENCE)?.whole)
}

struct Element<'a> {
    whole: &'a [u8],
    content: &'a [u8],
}

/// Takes the first element off, which must have this tag.
fn take<'a>(from: &mut &'a [u8], tag: u8) -> Option<Element<'a>> {
    let bytes = *from;
    let [first, length, rest @ ..] = bytes else { return None };
    if *first != tag {
        return None;
    }
    let (length, rest) = match length {
        0..=0x7F => (usize::from(*length), rest),
        // So many bytes with the length follow. None would mean that the end is marked, which DER does not know; a
        // length of more than four is beyond any certificate.
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7F))?;
            let length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
            // In as few bytes as can be.
            if digits[0] == 0 || length < 0x80 {
                return None;
            }
            (length, rest)
        }
        _ => return None,
    };
    let (content, behind) = rest.split_at_checked(length)?;
    *from = behind;
    Some(Element { whole: &bytes[..bytes.len() - behind.len()], content })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An element with the length in as few bytes as can be.
    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = content.len();
        let mut bytes = vec![tag];
        match length {
            0..0x80 => bytes.push(length as u8),
            0x80..0x100 => bytes.extend([0x81, length as u8]),
            _ => bytes.extend([0x82, (length >> 8) as u8, length as u8]),
        }
        bytes.extend(content);
        bytes
    }

    fn key() -> Vec<u8> {
        element(SEQUENCE, b"the key")
    }

    fn fields() -> Vec<Vec<u8>> {
        vec![
            element(VERSION, &[2, 1, 2]),
            element(INTEGER, &[0x5A; 20]),
            element(SEQUENCE, b"algorithm"),
            element(SEQUENCE, &[7; 300]),
            element(SEQUENCE, b"validity"),
            element(SEQUENCE, b""),
            key(),
            element(0xA3, b"extensions"),
        ]
    }

    fn certificate(fields: &[Vec<u8>]) -> Vec<u8> {
        let signed = element(SEQUENCE, &fields.concat());
        element(SEQUENCE, &[signed, element(SEQUENCE, b"algorithm"), element(3, b"signature")].concat())
    }

    #[test]
    fn the_key_is_found_where_it_must_be() {
        assert_eq!(public_key(&certificate(&fields())), Some(&key()[..]));
        // Version 1, which is not written (RFC 5280 section 4.1.2.1), and nothing behind the key.
        assert_eq!(public_key(&certificate(&fields()[1..7])), Some(&key()[..]));
    }

    #[test]
    fn fields_that_are_missing_doubled_or_others_have_no_key_behind_them() {
        let fields = fields();
        for at in 1..7 {
            let mut without = fields.clone();
            without.remove(at);
            assert_ne!(public_key(&certificate(&without)), Some(&key()[..]), "without {at}");
            for tag in [0x02, 0x03, 0x04, 0x10, 0x30, 0x31, 0xA0, 0x1F, 0x3F, 0x00] {
                let mut other = fields.clone();
                let is_same = std::mem::replace(&mut other[at][0], tag) == tag;
                assert_eq!(public_key(&certificate(&other)).is_some(), is_same, "{tag:#x} at {at}");
            }
        }
        for at in 0..6 {
            let mut twice = fields.clone();
            twice.insert(at, fields[at].clone());
            assert_ne!(public_key(&certificate(&twice)), Some(&key()[..]), "{at} twice");
        }
    }

    #[test]
    fn a_certificate_that_is_cut_or_followed_by_something_has_no_key() {
        let whole = certificate(&fields());
        for end in 0..whole.len() {
            assert_eq!(public_key(&whole[..end]), None, "{end}");
        }
        assert_eq!(public_key(&[&whole[..], &[0]].concat()), None);
    }

    #[test]
    fn lengths_that_der_does_not_allow_have_no_key() {
        let signed = fields().concat();
        let outer = |head: &[u8]| [head, &element(SEQUENCE, &signed)].concat();
        let length = element(SEQUENCE, &signed).len();
        let [high, low] = [(length >> 8) as u8, length as u8];
        assert!(public_key(&outer(&[SEQUENCE, 0x82, high, low])).is_some());
        for head in [
            &[SEQUENCE, 0x83, 0, high, low][..],
            &[SEQUENCE, 0x84, 0, 0, high, low],
            // A byte more than four, whatever it says.
            &[SEQUENCE, 0x85, 0, 0, 0, high, low],
            &[SEQUENCE, 0x80],
            &[SEQUENCE, 0xFF],
            &[SEQUENCE, 0x82, high, low + 1],
            &[SEQUENCE, 0x82, high, low - 1],
            &[SEQUENCE, 0x84, 0xFF, 0xFF, 0xFF, 0xFF],
            &[0x3F, 0x10, 0x82, high, low],
        ] {
            assert_eq!(public_key(&outer(head)), None, "{head:x?}");
        }
        // A short one in two bytes.
        let mut long = fields();
        long[6] = [&[SEQUENCE, 0x81, 7][..], b"the key"].concat();
        assert_eq!(public_key(&certificate(&long)), None);
    }

    #[cfg(feature = "native-tls")]
    #[test]
    fn the_keys_of_real_certificates_are_found() {
        use rcgen::{CertificateParams, KeyPair, PublicKeyData};
        use rustls::pki_types::CertificateDer;
        use rustls::pki_types::pem::PemObject;

        for algorithm in
            [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519]
        {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let names = vec!["a.long.name.example".to_owned(); 20];
            let made = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
            assert_eq!(public_key(made.der()), Some(&key.subject_public_key_info()[..]));
        }
        // RSA, by openssl.
        let fixture = include_bytes!("../../tests/support/fixtures/client.pem");
        let made = CertificateDer::from_pem_slice(fixture).unwrap();
        let found = public_key(&made).unwrap();
        let (_, key) = RSA_KEY.split_once("-----\n").unwrap();
        let key: String = key.lines().take_while(|line| !line.starts_with('-')).collect();
        assert_eq!(data_encoding::BASE64.encode(found), key);
    }

    /// `openssl x509 -in client.pem -noout -pubkey`
    #[cfg(feature = "native-tls")]
    const RSA_KEY: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAtRwB7eQSE53OUkGe+v8p\n\
8e6ha/0EfAh51GGIXlWXPpKasncYNNfaCt+A1IfVTxTeIe4g/XN60J76yJQz+6Fc\n\
5RjcFR/oUtR0kMvP61vRTxUnWHSxL2aIb+a7bBWW2GVjCRqQNOGeY6/qAvPs1CtC\n\
i1jdlDK6wldZd2f2brws9+PLNuSDkmRUaxShVlNavI0WWdPnnLHKPQIUvwXsSyrC\n\
ohRayF57PvZRsQrZekUpRjm2fyGSscUD3Le920KzdGebxdDLhRrWi7T3SknLH2Rr\n\
2w8XFHkhCnSJn7Wv0Z22KCrpdlYdt61/GW7+pXQC07QT7zHpMKoys5iifchaJO8v\n\
hQIDAQAB\n\
-----END PUBLIC KEY-----";
}
