//! What a TLS library's words mean: one table from the platform's text to a kind, and the true error below TLS.
//! Does no I/O.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use crate::error::{Cause, TlsFault, TlsFaultKind};

/// The libraries behind native-tls. Their texts and numbers do not overlap in meaning, so each has its own table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code))] // each platform constructs one
enum Backend {
    OpenSsl,
    SecureTransport,
    Schannel,
}

const BACKEND: Backend = if cfg!(target_vendor = "apple") {
    Backend::SecureTransport
} else if cfg!(windows) {
    Backend::Schannel
} else {
    Backend::OpenSsl
};

/// The first line whose words are found decides. OpenSSL has words; the other two are read by their numbers, since
/// their words are in the user's language.
const TABLE: &[(Backend, TlsFaultKind, &[&str])] = {
    use Backend::{OpenSsl, Schannel, SecureTransport};
    use TlsFaultKind::{Certificate, HostName, Protocol, Refused, Truncated};
    &[
        (OpenSsl, HostName, &["hostname mismatch", "ip address mismatch"]),
        (OpenSsl, Certificate, &["certificate verify failed"]),
        (OpenSsl, Truncated, &["unexpected eof"]),
        (
            OpenSsl,
            Protocol,
            &[
                "alert protocol version",
                "alert insufficient security",
                "alert inappropriate fallback",
                "alert no application protocol",
                "reason(1120)",
                "wrong version number",
                "unsupported protocol",
                "no protocols available",
                "unknown protocol",
                "version too low",
                "wrong ssl version",
                "unsupported ssl version",
                "http request",
                "https proxy request",
                "packet length too long",
                "record layer failure",
                "no shared cipher",
                "no ciphers available",
                "wrong cipher returned",
                "unknown cipher returned",
                "dh key too small",
                "legacy sigalg disallowed",
                "unsafe legacy renegotiation disabled",
            ],
        ),
        // Every other alert is the server's: "sslv3 alert handshake failure", "tlsv13 alert certificate required",
        // "tlsv1 alert unknown ca", "tlsv1 unrecognized name" and their like.
        (OpenSsl, Refused, &[" alert ", "unrecognized name"]),
        (SecureTransport, HostName, &["code: -9843"]),
        (
            SecureTransport,
            Certificate,
            &["code: -9807", "code: -9808", "code: -9812", "code: -9813", "code: -9814", "code: -9815"],
        ),
        (SecureTransport, Truncated, &["code: -9816", "code: -9806"]),
        (
            SecureTransport,
            Protocol,
            &["code: -9800", "code: -9801", "code: -9818", "code: -9830", "code: -9836", "code: -9837"],
        ),
        (
            SecureTransport,
            Refused,
            &[
                "code: -9802",
                "code: -9824",
                "code: -9825",
                "code: -9826",
                "code: -9827",
                "code: -9828",
                "code: -9829",
                "code: -9831",
                "code: -9832",
                "code: -9834",
                "code: -9842",
            ],
        ),
        // CERT_E_CN_NO_MATCH, SEC_E_WRONG_PRINCIPAL, CERT_E_INVALID_NAME
        (Schannel, HostName, &["code: -2146762481", "code: -2146893022", "code: -2146762476"]),
        (
            Schannel,
            Certificate,
            &[
                "unable to find any user-specified roots",
                "code: -2146762495", // CERT_E_EXPIRED
                "code: -2146762487", // CERT_E_UNTRUSTEDROOT
                "code: -2146762486", // CERT_E_CHAINING
                "code: -2146762484", // CERT_E_REVOKED
                "code: -2146762480", // CERT_E_WRONG_USAGE
                "code: -2146762482", // CERT_E_REVOCATION_FAILURE
                "code: -2146893019", // SEC_E_UNTRUSTED_ROOT
                "code: -2146893017", // SEC_E_CERT_UNKNOWN
                "code: -2146893016", // SEC_E_CERT_EXPIRED
                "code: -2146885616", // CRYPT_E_REVOKED
            ],
        ),
        (
            Schannel,
            Protocol,
            &[
                "code: -2146893048", // SEC_E_INVALID_TOKEN
                "code: -2146893054", // SEC_E_UNSUPPORTED_FUNCTION
                "code: -2146893007", // SEC_E_ALGORITHM_MISMATCH
                "code: -2146892953", // SEC_E_APPLICATION_PROTOCOL_MISMATCH
            ],
        ),
        // SEC_E_ILLEGAL_MESSAGE is what an alert becomes; SEC_E_INCOMPLETE_CREDENTIALS asks for a client certificate.
        (Schannel, Refused, &["code: -2146893018", "code: -2146893024"]),
        (Schannel, Truncated, &["unexpected eof"]),
    ]
};

/// The server's answer to [ALPN](super::tls): in OpenSSL's words, by the alert's number (120) where it has none yet,
/// and by SChannel's.
const NO_COMMON_PROTOCOL: [&str; 3] = ["no application protocol", "reason(1120)", "code: -2146892953"];

/// What happened below TLS, kept where it outlives a handshake that failed: its stream is gone by then.
///
/// The atomics are for sharing only; one thread at a time works on a stream.
#[derive(Default)]
pub(crate) struct Trouble {
    /// The operating system's number of the last failure; 0 for none.
    os_error: AtomicI32,
    /// The socket's end was read.
    ended: AtomicBool,
    /// The first failure of the TLS with a proxy, where that is below; it works no more after that.
    below: OnceLock<Box<TlsFault>>,
}

impl Trouble {
    pub(crate) fn forget(&self) {
        self.os_error.store(0, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self, error: &io::Error) {
        self.os_error.store(error.raw_os_error().unwrap_or(0), Ordering::Relaxed);
    }

    /// The TLS below has failed, or what is below that.
    pub(crate) fn failed_below(&self, error: &io::Error) {
        self.failed(error);
        if let Some(fault) = carried(error) {
            self.below.get_or_init(|| Box::new(fault.clone()));
        }
    }

    pub(crate) fn ended(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// The answer to a read that gave nothing: an end that TLS announced is an end, any other is a cut.
    pub(crate) fn end(&self) -> io::Result<usize> {
        if let Some(error) = self.os_error() {
            Err(error)
        } else if self.ended.load(Ordering::Relaxed) {
            Err(carry(truncated()))
        } else {
            Ok(0)
        }
    }

    /// The true error behind one of the TLS engine's.
    pub(crate) fn truth(&self, error: io::Error) -> io::Error {
        if error.kind() == io::ErrorKind::WouldBlock {
            return error;
        }
        self.os_error().unwrap_or_else(|| carry(self.judge(error.to_string(), format!("{error:?}"))))
    }

    /// The same for a handshake's.
    pub(crate) fn cause(&self, error: &native_tls::Error) -> Cause {
        match self.os_error() {
            Some(error) => Cause::Io(std::sync::Arc::new(error)),
            None => Cause::Tls(self.judge(error.to_string(), format!("{error:?}"))),
        }
    }

    fn judge(&self, mut text: String, details: String) -> TlsFault {
        if let Some(fault) = self.below.get() {
            return TlsFault { kind: fault.kind, text: format!("below, with the proxy: {}", fault.text) };
        }
        let words = format!("{text} {details}");
        if NO_COMMON_PROTOCOL.iter().any(|part| words.contains(part)) {
            text.push_str("; the server does not speak HTTP/1.1, with which a WebSocket is opened");
        }
        match kind(BACKEND, &words) {
            TlsFaultKind::Other if self.ended.load(Ordering::Relaxed) => truncated(),
            kind => TlsFault { kind, text },
        }
    }

    fn os_error(&self) -> Option<io::Error> {
        let number = self.os_error.load(Ordering::Relaxed);
        (number != 0).then(|| io::Error::from_raw_os_error(number))
    }
}

/// The TLS failure inside an error of a stream, if it is one.
pub(crate) fn carried(error: &io::Error) -> Option<&TlsFault> {
    error.get_ref()?.downcast_ref()
}

fn carry(fault: TlsFault) -> io::Error {
    let kind = match fault.kind {
        TlsFaultKind::Truncated => io::ErrorKind::UnexpectedEof,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, fault)
}

fn truncated() -> TlsFault {
    TlsFault { kind: TlsFaultKind::Truncated, text: "the stream ended without close_notify".into() }
}

fn kind(backend: Backend, words: &str) -> TlsFaultKind {
    let words = words.to_ascii_lowercase();
    let found =
        TABLE.iter().find(|(of, _, any)| *of == backend && any.iter().any(|part| words.contains(part)));
    found.map_or(TlsFaultKind::Other, |(_, kind, _)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openssls_words_are_understood() {
        use TlsFaultKind::{Certificate, HostName, Other, Protocol, Refused, Truncated};
        let verify = "error:0A000086:SSL routines:tls_post_process_server_certificate:certificate verify failed:\
                      ../ssl/statem/statem_clnt.c:1889:";
        for (words, expected) in [
            (format!("{verify} (hostname mismatch)"), HostName),
            (format!("{verify} (Hostname mismatch)"), HostName),
            (format!("{verify} (IP address mismatch)"), HostName),
            (format!("{verify} (certificate has expired)"), Certificate),
            (format!("{verify} (certificate is not yet valid)"), Certificate),
            (format!("{verify} (self-signed certificate)"), Certificate),
            (format!("{verify} (self-signed certificate in certificate chain)"), Certificate),
            (format!("{verify} (unable to get local issuer certificate)"), Certificate),
            (format!("{verify} (certificate revoked)"), Certificate),
            (format!("{verify} (EE certificate key too weak)"), Certificate),
        ] {
            assert_eq!(kind(Backend::OpenSsl, &words), expected, "{words}");
        }
        for (reason, expected) in [
            ("ssl3_get_record:wrong version number", Protocol),
            ("tls_get_more_records:packet length too long", Protocol),
            ("ssl_choose_client_version:unsupported protocol", Protocol),
            ("tls_setup_handshake:no protocols available", Protocol),
            ("tls_post_process_client_hello:no shared cipher", Protocol),
            ("tls_process_ske_dhe:dh key too small", Protocol),
            ("ssl3_read_bytes:tlsv1 alert protocol version", Protocol),
            ("ssl3_read_bytes:tlsv1 alert insufficient security", Protocol),
            ("ssl3_read_bytes:tlsv1 alert no application protocol", Protocol),
            ("ssl3_read_bytes:reason(1120)", Protocol),
            ("ssl3_read_bytes:sslv3 alert handshake failure", Refused),
            ("ssl3_read_bytes:tlsv13 alert certificate required", Refused),
            ("ssl3_read_bytes:sslv3 alert bad certificate", Refused),
            ("ssl3_read_bytes:tlsv1 alert unknown ca", Refused),
            ("ssl3_read_bytes:sslv3 alert certificate unknown", Refused),
            ("ssl3_read_bytes:ssl/tls alert handshake failure", Refused),
            ("ssl3_read_bytes:tlsv1 unrecognized name", Refused),
            ("ssl3_read_n:unexpected eof while reading", Truncated),
            ("ssl3_get_record:decryption failed or bad record mac", Other),
        ] {
            let words = format!("error:0A000000:SSL routines:{reason}:../ssl/record/rec_layer_s3.c:1593:");
            assert_eq!(kind(Backend::OpenSsl, &words), expected, "{words}");
        }
        assert_eq!(kind(Backend::OpenSsl, "unexpected EOF"), Truncated);
        assert_eq!(kind(Backend::OpenSsl, ""), Other);
    }

    #[test]
    fn secure_transports_numbers_are_understood() {
        for (number, expected) in [
            (-9843, TlsFaultKind::HostName),
            (-9807, TlsFaultKind::Certificate),
            (-9814, TlsFaultKind::Certificate),
            (-9836, TlsFaultKind::Protocol),
            (-9816, TlsFaultKind::Truncated),
            (-9824, TlsFaultKind::Refused),
            (-9810, TlsFaultKind::Other),
        ] {
            let words = format!("words of any language Error {{ code: {number}, message: \"…\" }}");
            assert_eq!(kind(Backend::SecureTransport, &words), expected, "{number}");
        }
    }

    #[test]
    fn schannels_numbers_are_understood() {
        for (number, expected) in [
            (0x800B_010F_u32, TlsFaultKind::HostName),
            (0x8009_0322, TlsFaultKind::HostName),
            (0x800B_0101, TlsFaultKind::Certificate),
            (0x800B_0109, TlsFaultKind::Certificate),
            (0x8009_0325, TlsFaultKind::Certificate),
            (0x8009_0328, TlsFaultKind::Certificate),
            (0x8009_0308, TlsFaultKind::Protocol),
            (0x8009_0331, TlsFaultKind::Protocol),
            (0x8009_0367, TlsFaultKind::Protocol),
            (0x8009_0326, TlsFaultKind::Refused),
            (0x8009_0304, TlsFaultKind::Other),
        ] {
            let words = format!("Os {{ code: {}, kind: Uncategorized, message: \"…\" }}", number as i32);
            assert_eq!(kind(Backend::Schannel, &words), expected, "{number:#x}");
        }
    }

    #[test]
    fn what_failed_below_tls_comes_before_what_tls_makes_of_it() {
        let trouble = Trouble::default();
        trouble.failed(&io::Error::from_raw_os_error(32));
        assert_eq!(trouble.truth(io::Error::other("wrapped")).raw_os_error(), Some(32));
        trouble.forget();
        let error = trouble.truth(io::Error::other("tlsv13 alert certificate required"));
        assert!(error.raw_os_error().is_none() && carried(&error).is_some());
        trouble.ended();
        assert_eq!(carried(&trouble.truth(io::Error::other("?"))).unwrap().kind, TlsFaultKind::Truncated);
    }
}
