//! Pins: the hashes of which a server's public key, or its certificate, must have one. Reads the forms in which people
//! keep them; knows no certificate.

use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};

use crate::error::ConfigError;

/// A SHA-256.
pub(crate) type Hash = [u8; 32];

/// What a hash is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pinned {
    PublicKey,
    Certificate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pin {
    pub(crate) of: Pinned,
    pub(crate) hash: Hash,
}

impl Pinned {
    pub(crate) fn setting(self) -> &'static str {
        match self {
            Pinned::PublicKey => "pin_public_key",
            Pinned::Certificate => "pin_certificate",
        }
    }
}

impl Pin {
    pub(crate) fn parse(of: Pinned, text: &str) -> Result<Pin, ConfigError> {
        match hash(text) {
            Some(hash) => Ok(Pin { of, hash }),
            None if text.contains(';') => Err(ConfigError::new(
                of.setting(),
                "several pins are given one by one, not with ; between them",
            )),
            None => {
                let problem =
                    "it is no SHA-256: neither 64 hexadecimal digits, nor sha256// and base64 of 32 bytes";
                Err(ConfigError::new(of.setting(), problem))
            }
        }
    }
}

fn hash(text: &str) -> Option<Hash> {
    let bytes = match text.strip_prefix("sha256/") {
        // Base64 has a slash, too: the length tells curl's second one from the first of 44 digits.
        Some(digits) if digits.len() == 45 => return of_base64(digits.strip_prefix('/')?),
        Some(digits) => return of_base64(digits),
        // As `openssl x509 -fingerprint` writes it.
        None if text.contains(':') => {
            let pairs: Vec<&str> = text.split(':').collect();
            if pairs.iter().any(|pair| pair.len() != 2) {
                return None;
            }
            HEXLOWER_PERMISSIVE.decode(pairs.concat().as_bytes())
        }
        None => HEXLOWER_PERMISSIVE.decode(text.as_bytes()),
    };
    bytes.ok()?.try_into().ok()
}

fn of_base64(digits: &str) -> Option<Hash> {
    let hash: Hash = BASE64.decode(digits.as_bytes()).ok()?.try_into().ok()?;
    // The decoder takes several texts one behind the other, each with its own padding.
    (BASE64.encode(&hash) == digits).then_some(hash)
}

/// As curl takes it.
#[cfg_attr(not(feature = "native-tls"), allow(dead_code, reason = "shown by TLS alone"))]
pub(crate) fn base64(hash: &Hash) -> String {
    format!("sha256//{}", BASE64.encode(hash))
}

#[cfg_attr(not(feature = "native-tls"), allow(dead_code, reason = "shown by TLS alone"))]
pub(crate) fn hex(hash: &Hash) -> String {
    HEXLOWER.encode(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(text: &str, hash: Hash) {
        for of in [Pinned::PublicKey, Pinned::Certificate] {
            assert_eq!(Pin::parse(of, text), Ok(Pin { of, hash }), "{text}");
        }
    }

    #[track_caller]
    fn refuses(text: &str, part: &str) {
        for of in [Pinned::PublicKey, Pinned::Certificate] {
            let error = Pin::parse(of, text).expect_err(text);
            assert_eq!(error.setting(), of.setting());
            assert!(error.problem().contains(part), "{error}");
        }
    }

    #[test]
    fn each_form_of_a_hash_is_read() {
        let mixed: Hash = std::array::from_fn(|at| (at * 37) as u8);
        // Their base64 begins with a slash, and with two.
        for hash in [mixed, [0; 32], [0xFF; 32], [0xFC; 32]] {
            reads(&hex(&hash), hash);
            reads(&hex(&hash).to_uppercase(), hash);
            let pairs: Vec<String> = hash.iter().map(|byte| format!("{byte:02X}")).collect();
            reads(&pairs.join(":"), hash);
            reads(&base64(&hash), hash);
            reads(&base64(&hash).replacen("//", "/", 1), hash);
        }
        // The hash of nothing, as `openssl dgst -sha256` and curl have it.
        let nothing =
            Pin::parse(Pinned::PublicKey, "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=").unwrap();
        assert_eq!(hex(&nothing.hash), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        let good = hex(&[0xAB; 32]);
        let curl = base64(&[0xAB; 32]);
        for text in [
            "",
            "x",
            "server.pem",
            "sha256//",
            "sha256/",
            "sha1//q6urq6urq6urq6urq6urq6urq6s=",
            &good[1..],
            &good[2..],
            &format!("{good}00"),
            &format!("{good}\n"),
            &format!(" {good}"),
            &format!("{}g", &good[1..]),
            &format!("0x{good}"),
            &format!("sha256//{good}"),
            &curl[8..],
            &curl[..curl.len() - 1],
            &format!("{curl}="),
            &curl.replacen("//", "///", 1),
            &curl.replace("sha256", "SHA256"),
            &curl.replacen("sha256//", "sha256///", 1),
            &vec!["abc"; 32].join(":"),
            &vec!["ab"; 31].join(":"),
            &format!("{}:", vec!["ab"; 32].join(":")),
            "ä",
            // Two texts in one, of 19 and of 13 bytes.
            "sha256///////////////////8=///2////////////////////",
        ] {
            refuses(text, "64 hexadecimal digits");
        }
        refuses(&format!("{curl};{curl}"), "one by one");
    }

    #[test]
    fn a_digit_too_many_in_base64_is_refused() {
        // 44 digits have 4 bits to spare in the last one: more than one text for a hash would be a trap.
        refuses("sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=", "base64");
    }
}
