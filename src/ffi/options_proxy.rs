//! The settings of proxies.

use std::ffi::c_char;

use crate::config::proxy::Proxy;
use crate::ffi::guard::{Failure, borrow, borrow_mut, guard, text};
use crate::ffi::options::heartwire_options;
use crate::ffi::status::heartwire_status;

/// Connects through this proxy. Default: none, whatever the environment says.
///
/// "http://host:3128" is an HTTP proxy, asked by CONNECT for ws: and wss: alike; "https://host" the same with TLS to
/// the proxy; "socks5://host" a SOCKS 5 proxy that is given addresses, and "socks5h://host" one that looks the server's
/// name up. The default ports are 80, 443 and 1080. User name and password may be in the URL, escaped, or beside it, as
/// they are; the proxy gets them unasked.
///
/// The last one of heartwire_options_set_proxy() and heartwire_options_set_proxy_from_environment() counts.
///
/// Ownership: the texts are copied. `user` and `password` may be NULL.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT (a password without a user, too), HEARTWIRE_ERR_UTF8, or
/// HEARTWIRE_ERR_CONFIG for a URL that cannot be, a scheme that is unknown, or a line break in a user name or password.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_proxy(
    options: *mut heartwire_options,
    url: *const c_char,
    user: *const c_char,
    password: *const c_char,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object and a terminated string.
        let (options, url) = unsafe { (borrow_mut("options", options)?, text("url", url)?) };
        let mut proxy = Proxy::new(url);
        if !user.is_null() {
            // SAFETY: the header asks for terminated strings or NULL.
            let (user, password) = unsafe {
                let password = if password.is_null() { "" } else { text("password", password)? };
                (text("user", user)?, password)
            };
            proxy = proxy.login(user, password);
        } else if !password.is_null() {
            return Err(Failure::argument("a password is given, and user is NULL"));
        }
        proxy.check()?;
        options.proxy = Some(proxy);
        Ok(())
    })
}

/// Connects through the proxy that the environment names for the client's URL, if it names one; heartwire_create()
/// reads it, and for the URLs of redirects and of heartwire_attempt_set_url(), too.
///
/// For wss: that is HTTPS_PROXY, for ws: HTTP_PROXY, else ALL_PROXY; in lower case first. HTTP_PROXY in upper case does
/// not count where REQUEST_METHOD is set. NO_PROXY lists the hosts to reach without, separated by commas: names with
/// their subdomains, addresses, networks like 192.0.2.0/24, each with a port or without; or * for all.
///
/// The last one of heartwire_options_set_proxy() and heartwire_options_set_proxy_from_environment() counts.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object. While heartwire_create() reads it no thread may change the
/// environment, as with getenv().
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT. What is wrong in the environment is told by heartwire_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_proxy_from_environment(
    options: *mut heartwire_options,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        unsafe { borrow_mut("options", options)? }.proxy = Some(Proxy::from_environment());
        Ok(())
    })
}

/// Sets TLS with an https:// proxy: as the TLS settings of `tls` say, another options object, of which nothing else
/// counts. Default: the system's roots, TLS 1.2 or newer. The TLS settings of `options` itself concern the server
/// alone.
///
/// Ownership: the settings are copied; `tls` may be freed at once.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_UNSUPPORTED in a build without TLS. Where no proxy is
/// set, or the URL of one without TLS, heartwire_create() answers HEARTWIRE_ERR_CONFIG.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_proxy_tls(
    options: *mut heartwire_options,
    tls: *const heartwire_options,
) -> heartwire_status {
    guard(|| {
        // First a copy: both may be the same object.
        // SAFETY: the header asks for an options object.
        let tls = unsafe { borrow("tls", tls)? }.clone();
        // SAFETY: the same.
        let options = unsafe { borrow_mut("options", options)? };
        #[cfg(feature = "native-tls")]
        {
            options.proxy_tls = Some(tls.tls);
            Ok(())
        }
        #[cfg(not(feature = "native-tls"))]
        {
            use crate::ffi::status::HEARTWIRE_ERR_UNSUPPORTED;

            let _ = (tls, options);
            Err(Failure::new(HEARTWIRE_ERR_UNSUPPORTED, "heartwire was built without TLS"))
        }
    })
}
