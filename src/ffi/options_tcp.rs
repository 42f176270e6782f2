//! The settings of TCP sockets, and where they connect from.

use std::ffi::c_char;

use crate::config::tcp::{IpVersion, Tcp};
use crate::error::ConfigError;
use crate::ffi::guard::{Failure, Result, borrow_mut, guard, text};
use crate::ffi::options::{heartwire_options, millis};
use crate::ffi::status::heartwire_status;

/// Which addresses are connected to: one of HEARTWIRE_IP_…
pub type heartwire_ip_version = i32;
/// All that a name has, raced as RFC 8305 says.
pub const HEARTWIRE_IP_ANY: i32 = 0;
/// IPv4 only.
pub const HEARTWIRE_IP_V4: i32 = 4;
/// IPv6 only.
pub const HEARTWIRE_IP_V6: i32 = 6;

/// Changes the settings, unless they cannot be so.
fn change(options: &mut heartwire_options, change: impl FnOnce(Tcp) -> Tcp) -> Result<()> {
    let new = change(options.tcp.clone());
    new.check()?;
    options.tcp = new;
    Ok(())
}

/// Sets TCP's own probes (SO_KEEPALIVE): the first one after `idle_ms` without a sign of the peer, then one each
/// `interval_ms`; after `count` of them without an answer the connection is dead. Default: off, since the heartbeat
/// finds more.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for times that are not whole seconds from 1000
/// to 32767000 ms, or a count that is not from 1 to 127.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_tcp_keepalive(
    options: *mut heartwire_options,
    idle_ms: u32,
    interval_ms: u32,
    count: u32,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        change(options, |tcp| tcp.keepalive(millis(idle_ms), millis(interval_ms), count))
    })
}

/// Sets the kernel's buffers of the socket, in bytes, before it is connected (SO_SNDBUF and SO_RCVBUF). 0, the default,
/// lets the system choose. The system may double a size, raise it to its least and, in silence, lower it to its most.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for 2 GiB or more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_tcp_buffers(
    options: *mut heartwire_options,
    send: usize,
    receive: usize,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        let chosen = |bytes| Some(bytes).filter(|bytes| *bytes > 0);
        change(options, |tcp| Tcp { send_buffer: chosen(send), receive_buffer: chosen(receive), ..tcp })
    })
}

/// Goes through this network interface alone, "eth0" for example (SO_BINDTODEVICE); Linux and Android. NULL, the
/// default: as the routes say.
///
/// Whether there is such an interface, and whether the program may choose it (before Linux 5.7 it takes CAP_NET_RAW),
/// shows at each attempt: one that cannot use it fails in HEARTWIRE_PHASE_CONNECT.
///
/// Ownership: `name` is copied.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, or HEARTWIRE_ERR_CONFIG for what is no interface's
/// name, and on other systems.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_interface(
    options: *mut heartwire_options,
    name: *const c_char,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        let name = if name.is_null() {
            None
        } else {
            // SAFETY: the header asks for a terminated string or NULL.
            Some(unsafe { text("name", name)? }.to_owned())
        };
        change(options, |tcp| Tcp { interface: name, ..tcp })
    })
}

/// Sets which addresses are connected to: HEARTWIRE_IP_ANY (the default), HEARTWIRE_IP_V4 or HEARTWIRE_IP_V6, whatever
/// else a name has. With a proxy it concerns the proxy's address, and the server's where it is looked up here.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, or HEARTWIRE_ERR_ARGUMENT for an unknown number. Where the URL or
/// heartwire_options_set_local_address() has an address of the other version, heartwire_create() answers
/// HEARTWIRE_ERR_CONFIG.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_ip_version(
    options: *mut heartwire_options,
    version: heartwire_ip_version,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        options.tcp.ip_version = match version {
            HEARTWIRE_IP_ANY => None,
            HEARTWIRE_IP_V4 => Some(IpVersion::V4),
            HEARTWIRE_IP_V6 => Some(IpVersion::V6),
            other => return Err(Failure::unknown("IP version", other)),
        };
        Ok(())
    })
}

/// Sets the local address to connect from, "192.0.2.1" or "2001:db8::1". Default: the system chooses.
///
/// Ownership: `address` is copied.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, or HEARTWIRE_ERR_CONFIG if it is no IP address.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_local_address(
    options: *mut heartwire_options,
    address: *const c_char,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object and a terminated string.
        let (options, address) = unsafe { (borrow_mut("options", options)?, text("address", address)?) };
        let address =
            address.parse().map_err(|_| ConfigError::new("local_address", "it is not an IP address"))?;
        options.local_address = Some(address);
        Ok(())
    })
}
