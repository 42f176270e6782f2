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
            let curve =
                curve(&key).ok_or_else(|| format!("the EC key does not name its curve; {CONVERT}"))?;
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
