//! The TLS settings. The functions are there in every build; without TLS they answer HEARTWIRE_ERR_UNSUPPORTED.

use std::ffi::{c_char, c_void};

use crate::config::pin::{Pin, Pinned};
use crate::config::tls::{Tls, TlsVersion};
use crate::ffi::guard::{Failure, Result, borrow_mut, bytes, guard, text};
use crate::ffi::options::heartwire_options;
use crate::ffi::status::heartwire_status;

/// A version of TLS: one of HEARTWIRE_TLS_…
pub type heartwire_tls_version = i32;
/// TLS 1.0, withdrawn by RFC 8996. Most platforms refuse it by their own policy, whatever is set here.
pub const HEARTWIRE_TLS_1_0: i32 = 10;
/// TLS 1.1, withdrawn by RFC 8996. Most platforms refuse it by their own policy, whatever is set here.
pub const HEARTWIRE_TLS_1_1: i32 = 11;
/// TLS 1.2.
pub const HEARTWIRE_TLS_1_2: i32 = 12;
/// TLS 1.3. On Apple's systems it cannot be demanded: heartwire_create() fails there.
pub const HEARTWIRE_TLS_1_3: i32 = 13;

#[cfg(feature = "native-tls")]
fn change(options: &mut heartwire_options, change: impl FnOnce(Tls) -> Tls) -> Result<()> {
    options.tls = change(options.tls.clone());
    Ok(())
}

#[cfg(not(feature = "native-tls"))]
fn change(_: &mut heartwire_options, _: impl FnOnce(Tls) -> Tls) -> Result<()> {
    use crate::ffi::status::HEARTWIRE_ERR_UNSUPPORTED;

    Err(Failure::new(HEARTWIRE_ERR_UNSUPPORTED, "heartwire was built without TLS"))
}

/// Trusts the certificates in this PEM file too; may be called repeatedly. heartwire_create() reads it. Default: none.
///
/// Ownership: `path` is copied.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, or HEARTWIRE_ERR_UNSUPPORTED in a build without
/// TLS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_add_tls_ca_file(
    options: *mut heartwire_options,
    path: *const c_char,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object and a terminated string.
        let (options, path) = unsafe { (borrow_mut("options", options)?, text("path", path)?) };
        change(options, |tls| tls.ca_file(path))
    })
}

/// Trusts these certificates too, one or several in PEM; may be called repeatedly. Default: none.
///
/// Ownership: the bytes are copied.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_UNSUPPORTED in a build without TLS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_add_tls_ca_pem(
    options: *mut heartwire_options,
    pem: *const c_void,
    len: usize,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object and that many readable bytes.
        let (options, pem) = unsafe { (borrow_mut("options", options)?, bytes("pem", pem, len)?) };
        change(options, |tls| tls.ca_pem(pem))
    })
}

/// Sets whether the system's certificate authorities are trusted. Default: yes.
///
/// Without them only those added here count, and one of them is required.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_UNSUPPORTED in a build without TLS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_tls_system_roots(
    options: *mut heartwire_options,
    yes: bool,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        change(options, |tls| tls.system_roots(yes))
    })
}

/// Shows this certificate to servers that ask, from a PKCS#12 archive (.p12, .pfx). Default: none.
///
/// Ownership: archive and password are copied.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, or HEARTWIRE_ERR_UNSUPPORTED in a build without
/// TLS. What is wrong in the archive is told by heartwire_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_tls_client_pkcs12(
    options: *mut heartwire_options,
    archive: *const c_void,
    len: usize,
    password: *const c_char,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object, that many readable bytes and a terminated string.
        let (options, archive, password) = unsafe {
            (borrow_mut("options", options)?, bytes("archive", archive, len)?, text("password", password)?)
        };
        change(options, |tls| tls.client_pkcs12(archive, password))
    })
}

/// Shows this certificate (followed by its intermediates) to servers that ask, from PEM. Default: none.
///
/// The key may be PKCS#8, PKCS#1 or SEC1 and must not be encrypted. Windows takes RSA keys only.
///
/// Ownership: certificates and key are copied.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_UNSUPPORTED in a build without TLS.
/// What is wrong in them is told by heartwire_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_tls_client_pem(
    options: *mut heartwire_options,
    certificates: *const c_void,
    certificates_len: usize,
    key: *const c_void,
    key_len: usize,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object and that many readable bytes.
        let (options, certificates, key) = unsafe {
            (
                borrow_mut("options", options)?,
                bytes("certificates", certificates, certificates_len)?,
                bytes("key", key, key_len)?,
            )
        };
        change(options, |tls| tls.client_pem(certificates, key))
    })
}

/// Sets the oldest version of TLS to accept. Default: HEARTWIRE_TLS_1_2.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT for an unknown number, or HEARTWIRE_ERR_UNSUPPORTED in a build without
/// TLS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_tls_min_version(
    options: *mut heartwire_options,
    version: heartwire_tls_version,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        let version = match version {
            HEARTWIRE_TLS_1_0 => TlsVersion::Tls10,
            HEARTWIRE_TLS_1_1 => TlsVersion::Tls11,
            HEARTWIRE_TLS_1_2 => TlsVersion::Tls12,
            HEARTWIRE_TLS_1_3 => TlsVersion::Tls13,
            other => return Err(Failure::unknown("TLS version", other)),
        };
        change(options, |tls| tls.min_version(version))
    })
}

/// Sets whether the host's name is sent in the clear, so that a server of many names can choose. Default: yes.
///
/// On Apple's systems it cannot be switched off alone: heartwire_create() fails there.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_UNSUPPORTED in a build without TLS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_tls_sni(
    options: *mut heartwire_options,
    yes: bool,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        change(options, |tls| tls.sni(yes))
    })
}

/// Adds a pin: only a server with this public key is spoken with, or one that another pin fits; may be called
/// repeatedly. Default: none, any key.
///
/// `sha256` is the SHA-256 of the SubjectPublicKeyInfo in the certificate that is the server's own; it stays the same
/// when the certificate is renewed with the same key. Written as 64 hexadecimal digits, with colons between the bytes
/// or without, or as curl does: "sha256//" and base64 ("sha256/", too).
///
/// A server that none fits is refused after the handshake and before a byte of the upgrade is sent, with
/// HEARTWIRE_TLS_FAULT_PIN, and the hashes that it should have been in the error's text. It is tried again as after
/// every other refused certificate. A client certificate was shown to it by then.
///
/// Pins come on top of the usual verification. With heartwire_options_set_tls_danger_accept_invalid_certificates() they
/// are all that is left of it, and enough: so a server with a certificate of its own making is safe to speak with.
///
/// They hold for each of the client's URLs, through proxies, and where the program or a redirect leads, to whichever
/// host. With a ws: URL beside them heartwire_create() answers HEARTWIRE_ERR_CONFIG. An https: proxy is no server in
/// this sense: heartwire_options_set_proxy_tls() has its settings, which may have pins.
///
/// Ownership: `sha256` is copied.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, HEARTWIRE_ERR_CONFIG if it is no SHA-256, or
/// HEARTWIRE_ERR_UNSUPPORTED in a build without TLS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_add_tls_pin_public_key(
    options: *mut heartwire_options,
    sha256: *const c_char,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object and a terminated string.
        let (options, sha256) = unsafe { (borrow_mut("options", options)?, text("sha256", sha256)?) };
        Pin::parse(Pinned::PublicKey, sha256)?;
        change(options, |tls| tls.pin_public_key(sha256))
    })
}

/// Adds a pin: only a server with this certificate is spoken with, or one that another pin fits; may be called
/// repeatedly. Default: none, any certificate.
///
/// `sha256` is the SHA-256 of the server's own certificate, whole in DER: what
/// `openssl x509 -noout -fingerprint -sha256` tells. A renewed certificate has another one. For all the rest see
/// heartwire_options_add_tls_pin_public_key().
///
/// Ownership: `sha256` is copied.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, HEARTWIRE_ERR_CONFIG if it is no SHA-256, or
/// HEARTWIRE_ERR_UNSUPPORTED in a build without TLS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_add_tls_pin_certificate(
    options: *mut heartwire_options,
    sha256: *const c_char,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object and a terminated string.
        let (options, sha256) = unsafe { (borrow_mut("options", options)?, text("sha256", sha256)?) };
        Pin::parse(Pinned::Certificate, sha256)?;
        change(options, |tls| tls.pin_certificate(sha256))
    })
}

/// Accepts every certificate, of whomever and for whatever. Default: no.
///
/// Anyone between client and server can then read and change everything, unless the server is pinned by
/// heartwire_options_add_tls_pin_public_key(). Without a pin for a test bench only; for a server with a certificate of
/// its own making use that, or heartwire_options_add_tls_ca_pem().
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_UNSUPPORTED in a build without TLS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_tls_danger_accept_invalid_certificates(
    options: *mut heartwire_options,
    yes: bool,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        change(options, |tls| tls.danger_accept_invalid_certificates(yes))
    })
}

/// Accepts a valid certificate that is for another name. Default: no.
///
/// Anyone with a valid certificate for any name at all can then pose as the server, unless that is pinned.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_UNSUPPORTED in a build without TLS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_tls_danger_accept_invalid_hostnames(
    options: *mut heartwire_options,
    yes: bool,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        change(options, |tls| tls.danger_accept_invalid_hostnames(yes))
    })
}
