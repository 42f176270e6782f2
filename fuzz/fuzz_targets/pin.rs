//! What a server shows as its certificate, to find the key that may be pinned; and what users write as a pin.
#![no_main]

use heartwire::fuzz::{pin, public_key};
use libfuzzer_sys::fuzz_target;
use x509_parser::prelude::{FromDer, X509Certificate};

const SEQUENCE: u8 = 0x30;

fuzz_target!(|input: &[u8]| {
    check_certificate(input);
    if let Ok(text) = std::str::from_utf8(input) {
        check_pin(text);
    }
});

fn check_certificate(input: &[u8]) {
    let Some(key) = public_key(input) else { return };
    assert!(
        input.as_ptr_range().contains(&key.as_ptr()) && key.as_ptr_range().end <= input.as_ptr_range().end
    );
    assert!(key[0] == SEQUENCE && key.len() < input.len());
    // Where both find a key it is the same one: nobody gets a key past the pin that TLS does not use.
    if let Ok((behind, certificate)) = X509Certificate::from_der(input) {
        assert!(behind.is_empty());
        // The other one leaves out what is in it behind the key, which TLS does not allow.
        let other = certificate.tbs_certificate.subject_pki.raw;
        assert!(other.as_ptr() == key.as_ptr() && key.starts_with(other), "{key:x?} is not {other:x?}");
    }
}

fn check_pin(text: &str) {
    match pin(text) {
        Ok(forms) => {
            for form in &forms {
                assert_eq!(pin(form).as_ref(), Ok(&forms), "{text}");
            }
            // No second text for the same hash, but for case, colons, and curl's second slash.
            let plain = text.replace(':', "").to_lowercase();
            let curl = text.replacen("sha256/", "sha256//", 1);
            assert!(plain == forms[1] || text == forms[0] || curl == forms[0], "{text}");
        }
        Err(error) => assert!(!error.to_string().contains(char::is_control), "{error}"),
    }
}
