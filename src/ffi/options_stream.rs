//! Instead of TCP: a Unix socket, or streams that the program makes.

use std::ffi::{c_char, c_int, c_void};
use std::path::Path;
#[cfg(unix)]
use std::{ffi::CString, io, sync::Arc};

use crate::config::unix;
#[cfg(unix)]
use crate::ffi::descriptor;
use crate::ffi::guard::{borrow_mut, guard, text};
use crate::ffi::heartwire_client;
use crate::ffi::options::heartwire_options;
use crate::ffi::status::heartwire_status;
#[cfg(unix)]
use crate::ffi::user_data::UserData;
use crate::ffi::user_data::heartwire_free_fn;
#[cfg(unix)]
use crate::{config::builder::Builder, net::dialer::Dialer, net::socket::Socket};

/// Connects to the Unix socket at this path, for every URL and for redirects, too. NULL, the default: TCP.
///
/// The URL goes on to say what is asked for there: "ws://" or, for TLS over the socket, "wss://"; its host is the Host
/// header and the name that the certificate must be for, and is not looked up. Without this setting
/// "ws+unix:///run/feed.sock:/feed" is a URL that names a socket, too: a path from the root, then a colon and the
/// resource, or neither.
///
/// An absent socket, or one that refuses, fails the attempt in HEARTWIRE_PHASE_CONNECT, and the next one comes after
/// the usual delay; so does one whose queue is full.
///
/// Ownership: `path` is copied.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, or HEARTWIRE_ERR_CONFIG for a path that is empty
/// or longer than an address takes (107 bytes on Linux), and on systems that are not Unix. Where a proxy or settings of
/// TCP contradict it heartwire_create() answers HEARTWIRE_ERR_CONFIG.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_unix_socket(
    options: *mut heartwire_options,
    path: *const c_char,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        options.unix = if path.is_null() {
            None
        } else {
            // SAFETY: the header asks for a terminated string or NULL.
            let path = Path::new(unsafe { text("path", path)? });
            unix::check("unix_socket", path)?;
            Some(path.into())
        };
        Ok(())
    })
}

/// Makes a connected stream socket to this host (an IPv6 address without brackets) and port, which are the URL's, or of
/// a redirect; it belongs to the library from then on, unless it is no such socket, which fails the attempt. -1: there
/// is none; below that: minus an error number of errno.h, -ECONNREFUSED for example. Called on a thread of the
/// library's, where it may block. A C++ exception or a longjmp must not leave it.
pub type heartwire_dial_fn = Option<
    unsafe extern "C" fn(
        client: heartwire_client,
        host: *const c_char,
        port: u16,
        user_data: *mut c_void,
    ) -> c_int,
>;

#[cfg(unix)]
type Call = unsafe extern "C" fn(heartwire_client, *const c_char, u16, *mut c_void) -> c_int;

/// The dialling function of an options object, to be made into a client's own.
#[cfg(unix)]
#[derive(Clone)]
pub(super) struct Dial {
    call: Call,
    user_data: Arc<UserData>,
}

#[cfg(unix)]
impl Dial {
    pub(super) fn apply(&self, builder: Builder, client: heartwire_client) -> Builder {
        let Dial { call, user_data } = self.clone();
        builder.dialer(Dialer::of(move |host, port| {
            let host = CString::new(host)?;
            // SAFETY: the program gave this function for calls with this pointer; the host outlives the call.
            stream(unsafe { call(client, host.as_ptr(), port, user_data.get()) })
        }))
    }
}

/// What a heartwire_dial_fn has answered.
#[cfg(unix)]
fn stream(answer: c_int) -> io::Result<Socket> {
    if answer == -1 {
        return Err(io::Error::other("the program made no stream"));
    }
    if answer < 0 {
        return Err(io::Error::from_raw_os_error(answer.saturating_neg()));
    }
    descriptor::check(answer).map_err(|problem| io::Error::new(io::ErrorKind::InvalidInput, problem))?;
    // SAFETY: it was checked, and the header says that it is ours.
    Ok(unsafe { descriptor::take(answer) })
}

/// Sets what is asked for a connected stream at every attempt, instead of connecting TCP: a tunnel, or another kind of
/// socket. NULL, the default, for TCP.
///
/// It runs on a thread of a small pool, within heartwire_options_set_connect_timeout(): an attempt whose time is up
/// fails, and the next one waits for the call that still runs. It is never called twice at once for one client, and
/// heartwire_close() does not wait for it. Of these and of heartwire_before_connect_fn together eight run at once in a
/// process. A failure of it is one of HEARTWIRE_PHASE_CONNECT, and retried as one of the network is. For "wss:" URLs
/// TLS runs over the stream.
///
/// Clients that are created with these options share `user_data` and may call from several threads at once. For a
/// stream that there is only once see heartwire_connect_over().
///
/// Ownership: `user_data` is kept until these options and all clients created with them are gone; then
/// `free_user_data`, which may be NULL, gets it. Outside of callbacks heartwire_destroy() waits for a call that runs.
/// When this fails nothing was kept.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_UNSUPPORTED on Windows. Where a proxy, a Unix socket
/// or settings of TCP contradict it heartwire_create() answers HEARTWIRE_ERR_CONFIG.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_dial(
    options: *mut heartwire_options,
    call: heartwire_dial_fn,
    user_data: *mut c_void,
    free_user_data: heartwire_free_fn,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        #[cfg(unix)]
        {
            let dial = |call| Dial { call, user_data: Arc::new(UserData::new(user_data, free_user_data)) };
            options.dial = call.map(dial);
            Ok(())
        }
        #[cfg(not(unix))]
        {
            use crate::ffi::guard::Failure;
            use crate::ffi::status::HEARTWIRE_ERR_UNSUPPORTED;

            let _ = (options, call, user_data, free_user_data);
            Err(Failure::new(HEARTWIRE_ERR_UNSUPPORTED, "streams of the program's need a Unix system"))
        }
    })
}
