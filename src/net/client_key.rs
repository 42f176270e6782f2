//! A client's private key as native-tls wants it: PKCS#8 in PEM, whatever form it was given in.
//! Knows no more of cryptography than the envelopes around keys (RFC 5208, RFC 8017, RFC 5915).

/// DER of the algorithm: rsaEncryption with NULL, and id-ecPublicKey, whose parameter is the curve.
const RSA: &[u8] = &[0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
const EC_PUBLIC_KEY: &[u8] = &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const CONTEXT_0: u8 = 0xa0;

const DECRYPT: &str = "the key is encrypted; decrypt it once: openssl pkey -in key.pem -out plain.pem";
const CONVERT: &str = "convert it once: openssl pkey -in key.pem -out pkcs8.pem";
const NAME_CURVE: &str = "the EC key does not name its curve; make it do so once: \
                          openssl ec -in key.pem -param_enc named_curve -out named.pem";

/// The first private key in the PEM text, as PKCS#8 in PEM. `Err` says what to do.
pub(crate) fn pkcs8(pem: &[u8]) -> Result<Vec<u8>, String> {
    let block = blocks(pem)
        .find(|block| block.label.ends_with("PRIVATE KEY"))
        .ok_or_else(|| format!("no PEM private key found; if it is DER, {CONVERT} (with -inform DER)"))?;
    if block.label == "ENCRYPTED PRIVATE KEY" || block.text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(DECRYPT.into());
    }
    match block.label {
        "PRIVATE KEY" => Ok(block.text.as_bytes().to_vec()),
        "RSA PRIVATE KEY" => Ok(armour(&wrap(RSA, &block.der()?))),
        "EC PRIVATE KEY" => {
            let key = block.der()?;
            let curve = curve(&key).ok_or(NAME_CURVE)?;
            let algorithm = tagged(SEQUENCE, &[EC_PUBLIC_KEY, &tagged(OBJECT_IDENTIFIER, curve)].concat());
            Ok(armour(&wrap(&algorithm, &key)))
        }
        "OPENSSH PRIVATE KEY" => {
            Err("an OpenSSH key; convert it once: ssh-keygen -p -m PKCS8 -f key".to_owned())
        }
        other => Err(format!("`{}` is not understood; {CONVERT}", other.escape_debug())),
    }
}

/// All certificates in the PEM text, without what stands between them.
pub(crate) fn certificates(pem: &[u8]) -> Vec<u8> {
    let found = blocks(pem).filter(|block| block.label.ends_with("CERTIFICATE"));
    found.flat_map(|block| [block.text.as_bytes(), b"\n"].concat()).collect()
}

/// Whether the first certificate is for a key of another algorithm: OpenSSL does not object, and shows no certificate.
///
/// Both name the algorithm of the public key once (RFC 5280 section 4.1.2.7, RFC 5208), and signatures have other
/// names.
pub(crate) fn differ(certificates: &[u8], key: &[u8]) -> bool {
    let algorithm = |pem| {
        let der = blocks(pem).next()?.der().ok()?;
        [&RSA[2..13], EC_PUBLIC_KEY].into_iter().find(|name| find(&der, name).is_some())
    };
    algorithm(certificates).zip(algorithm(key)).is_some_and(|(certificate, key)| certificate != key)
}

struct Block<'a> {
    label: &'a str,
    /// From the first dash to the last.
    text: &'a str,
}

impl Block<'_> {
    fn der(&self) -> Result<Vec<u8>, String> {
        let inside = self.text.lines().skip(1).filter(|line| !line.starts_with("-----"));
        base64(inside.collect::<String>().as_bytes()).ok_or_else(|| "the key's base64 is damaged".to_owned())
    }
}

/// Bytes around a block may be anything; those within are ASCII.
fn blocks(pem: &[u8]) -> impl Iterator<Item = Block<'_>> {
    let mut rest = pem;
    std::iter::from_fn(move || {
        loop {
            rest = &rest[find(rest, b"-----BEGIN ")?..];
            let label = &rest[11..];
            let label = &label[..find(label, b"-----")?];
            let end = [b"-----END ", label, b"-----"].concat();
            let Some(at) = find(rest, &end) else {
                rest = &rest[11..];
                continue;
            };
            let text = std::str::from_utf8(&rest[..at + end.len()]);
            let label = std::str::from_utf8(label);
            rest = &rest[at + end.len()..];
            if let (Ok(text), Ok(label)) = (text, label) {
                return Some(Block { label, text });
            }
        }
    })
}

fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window == needle)
}

/// `PrivateKeyInfo ::= SEQUENCE { version INTEGER 0, algorithm, privateKey OCTET STRING }`
fn wrap(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    tagged(SEQUENCE, &[&tagged(INTEGER, &[0]), algorithm, &tagged(OCTET_STRING, key)].concat())
}

/// The curve of `ECPrivateKey ::= SEQUENCE { INTEGER 1, OCTET STRING, [0] OBJECT IDENTIFIER OPTIONAL, … }`.
fn curve(key: &[u8]) -> Option<&[u8]> {
    let (body, _) = untagged(SEQUENCE, key)?;
    let (_, rest) = untagged(INTEGER, body)?;
    let (_, rest) = untagged(OCTET_STRING, rest)?;
    let (parameters, _) = untagged(CONTEXT_0, rest)?;
    Some(untagged(OBJECT_IDENTIFIER, parameters)?.0)
}

fn tagged(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len().to_be_bytes();
    let significant = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut out = vec![tag];
    if contents.len() < 128 {
        out.push(contents.len() as u8);
    } else {
        out.push(0x80 | significant.len() as u8);
        out.extend_from_slice(significant);
    }
    out.extend_from_slice(contents);
    out
}

/// The contents of the element at the start, if it has this tag, and what follows it.
fn untagged(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[found, first], mut rest) = der.split_first_chunk::<2>()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let (bytes, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if bytes.is_empty() || bytes.len() > 3 {
            return None;
        }
        length = bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        rest = after;
    }
    (found == tag).then(|| rest.split_at_checked(length)).flatten()
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn armour(der: &[u8]) -> Vec<u8> {
    let mut out = b"-----BEGIN PRIVATE KEY-----\n".to_vec();
    for line in der.chunks(48) {
        for three in line.chunks(3) {
            let bits =
                three.iter().enumerate().fold(0, |sum, (i, byte)| sum | u32::from(*byte) << (16 - 8 * i));
            let digit = |i: usize| ALPHABET[(bits >> (18 - 6 * i)) as usize & 63];
            out.extend((0..4).map(|i| if i <= three.len() { digit(i) } else { b'=' }));
        }
        out.push(b'\n');
    }
    out.extend_from_slice(b"-----END PRIVATE KEY-----\n");
    out
}

fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.trim_ascii();
    let digits = text.strip_suffix(b"==").or(text.strip_suffix(b"=")).unwrap_or(text);
    let mut out = Vec::with_capacity(digits.len() * 3 / 4);
    let (mut bits, mut count) = (0u32, 0);
    for digit in digits.iter().filter(|digit| !digit.is_ascii_whitespace()) {
        let value = ALPHABET.iter().position(|known| known == digit)?;
        bits = bits << 6 | value as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    (count < 6).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tests::keys;

    fn refusal(pem: &str) -> String {
        pkcs8(pem.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_pkcs1_key_is_wrapped_as_openssl_wraps_it() {
        assert_eq!(String::from_utf8(pkcs8(keys::RSA.as_bytes()).unwrap()).unwrap(), keys::RSA_AS_PKCS8);
    }

    #[test]
    fn a_pkcs8_key_is_found_wherever_it_begins() {
        let pem = [b"Bag Attributes \xff\n", keys::RSA_AS_PKCS8.as_bytes()].concat();
        assert_eq!(pkcs8(&pem).unwrap(), keys::RSA_AS_PKCS8.trim_end().as_bytes());
    }

    #[test]
    fn line_ends_of_every_system_are_read() {
        let windows = keys::RSA.replace('\n', "\r\n");
        assert_eq!(String::from_utf8(pkcs8(windows.as_bytes()).unwrap()).unwrap(), keys::RSA_AS_PKCS8);
    }

    #[test]
    fn an_ec_key_without_its_curve_is_refused_with_the_command_that_helps() {
        let key = tagged(SEQUENCE, &[tagged(INTEGER, &[1]), tagged(OCTET_STRING, &[7; 32])].concat());
        let pem = String::from_utf8(armour(&key)).unwrap().replace(" PRIVATE", " EC PRIVATE");
        assert!(refusal(&pem).contains("openssl ec -in key.pem -param_enc named_curve -out named.pem"));
        assert_eq!(refusal(&pem), refusal(keys::EC_WITH_EXPLICIT_CURVE));
    }

    #[test]
    fn an_encrypted_key_is_refused_with_the_command_that_decrypts_it() {
        for pem in [keys::ENCRYPTED_PKCS8, keys::ENCRYPTED_PKCS1] {
            assert!(refusal(pem).contains("openssl pkey -in key.pem -out plain.pem"));
        }
    }

    #[test]
    fn what_is_no_private_key_is_refused() {
        assert!(refusal("").contains("no PEM private key"));
        assert!(refusal("-----BEGIN ").contains("no PEM private key"));
        assert!(refusal("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n").contains("no PEM private key"));
        assert!(
            refusal("-----BEGIN OPENSSH PRIVATE KEY-----\n-----END OPENSSH PRIVATE KEY-----")
                .contains("ssh-keygen")
        );
        assert!(
            refusal("-----BEGIN RSA PRIVATE KEY-----\n!\n-----END RSA PRIVATE KEY-----").contains("base64")
        );
    }

    #[test]
    fn certificates_are_picked_out_of_what_stands_between_them() {
        let one = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
        let mixed = format!("subject=x\n{one}{}{one}tail", keys::RSA);
        assert_eq!(String::from_utf8(certificates(mixed.as_bytes())).unwrap(), format!("{one}{one}"));
    }

    #[test]
    fn damaged_der_is_no_panic() {
        let (body, _) = untagged(SEQUENCE, &[0x30, 3, 1, 2, 3]).unwrap();
        assert_eq!(body, [1, 2, 3]);
        for der in
            [&[][..], &[0x30], &[0x30, 0x80], &[0x30, 0x84, 1, 1, 1, 1], &[0x30, 0x82, 1], &[0x30, 5, 1]]
        {
            assert_eq!(untagged(SEQUENCE, der), None);
            assert_eq!(curve(der), None);
        }
        assert_eq!(tagged(OCTET_STRING, &[9; 200])[..4], [4, 0x81, 200, 9]);
        assert_eq!(untagged(4, &tagged(4, &[9; 70_000])).unwrap().0.len(), 70_000);
    }
}
