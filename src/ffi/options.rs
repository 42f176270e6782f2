//! The options object: what the Rust builder collects, in setters that check at once.

use std::ffi::c_char;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::config::builder::{Builder, check_header, check_subprotocols};
#[cfg(feature = "deflate")]
use crate::config::deflate::Deflate;
use crate::config::delivery::Delivery;
use crate::config::heartbeat::Heartbeat;
use crate::config::outbox::OutboxLimits;
use crate::config::proxy::Proxy;
use crate::config::reconnect::Reconnect;
use crate::config::tcp::Tcp;
#[cfg(feature = "native-tls")]
use crate::config::tls::Tls;
use crate::config::{Dispatch, check};
use crate::error::ConfigError;
use crate::event::Level;
use crate::ffi::before_connect::BeforeConnect;
use crate::ffi::event_loop::Chosen;
use crate::ffi::greeting::Greetings;
use crate::ffi::guard::{Failure, Result, borrow_mut, guard, guard_value, text};
use crate::ffi::heartwire_client;
use crate::ffi::options_delivery::OnReplay;
use crate::ffi::options_reconnect::Delay;
#[cfg(unix)]
use crate::ffi::options_stream::Dial;
use crate::ffi::status::heartwire_status;

/// The settings of clients to be created. heartwire_create() copies them: change, reuse or free them afterwards.
///
/// A new object holds the defaults. Every setter checks at once, and changes nothing when it fails. One thread at a
/// time may use an object.
#[derive(Clone)]
pub struct heartwire_options {
    name: Option<String>,
    headers: Vec<(String, String)>,
    subprotocols: Vec<String>,
    local_address: Option<IpAddr>,
    connect_timeout: Option<Duration>,
    resolve_timeout: Option<Duration>,
    close_timeout: Option<Duration>,
    max_message: Option<usize>,
    pub(super) fragment: Option<usize>,
    pub(super) fragments_above: usize,
    dispatch: Dispatch,
    inbound_queue: Option<(usize, usize)>,
    report_outcomes: bool,
    stack_size: Option<usize>,
    pub(super) event_loop: Chosen,
    pub(super) heartbeat: Heartbeat,
    pub(super) reconnect: Reconnect,
    /// The program's own delays, instead of those in `reconnect`.
    pub(super) delay: Option<Delay>,
    pub(super) outbox: OutboxLimits,
    pub(super) complete_at: Level,
    pub(super) delivery: Delivery,
    pub(super) drain_to: Level,
    pub(super) on_replay: Option<OnReplay>,
    pub(super) greetings: Greetings,
    pub(super) before_connect: Option<BeforeConnect>,
    pub(super) urls: Vec<String>,
    pub(super) url_penalty: Option<Duration>,
    pub(super) redirects: Option<u32>,
    pub(super) cookies: bool,
    #[cfg(feature = "native-tls")]
    pub(super) tls: Tls,
    #[cfg(feature = "deflate")]
    pub(super) deflate: Deflate,
    #[cfg(feature = "deflate")]
    pub(super) deflates: bool,
    pub(super) tcp: Tcp,
    pub(super) unix: Option<Arc<Path>>,
    #[cfg(unix)]
    pub(super) dial: Option<Dial>,
    pub(super) proxy: Option<Proxy>,
    #[cfg(feature = "native-tls")]
    pub(super) proxy_tls: Option<Tls>,
}

/// Where callbacks run: one of HEARTWIRE_DISPATCH_…
pub type heartwire_dispatch = i32;
/// On the thread that turns the client's event loop: the fastest way. A callback that takes long delays the
/// heartbeat, and on a shared loop other clients, too.
pub const HEARTWIRE_DISPATCH_LOOP: i32 = 1;
/// On a further thread of the client, behind a bounded queue: callbacks may take their time.
pub const HEARTWIRE_DISPATCH_THREAD: i32 = 2;

impl heartwire_options {
    pub(super) fn defaults() -> heartwire_options {
        heartwire_options {
            name: None,
            headers: Vec::new(),
            subprotocols: Vec::new(),
            local_address: None,
            connect_timeout: None,
            resolve_timeout: None,
            close_timeout: None,
            max_message: None,
            fragment: None,
            fragments_above: usize::MAX,
            dispatch: Dispatch::default(),
            inbound_queue: None,
            report_outcomes: false,
            stack_size: None,
            event_loop: Chosen::default(),
            heartbeat: Heartbeat::default(),
            reconnect: Reconnect::default(),
            delay: None,
            outbox: OutboxLimits::default(),
            complete_at: Level::Written,
            delivery: Delivery::default(),
            drain_to: Level::Written,
            on_replay: None,
            greetings: Greetings::default(),
            before_connect: None,
            urls: Vec::new(),
            url_penalty: None,
            redirects: None,
            cookies: false,
            #[cfg(feature = "native-tls")]
            tls: Tls::default(),
            #[cfg(feature = "deflate")]
            deflate: Deflate::default(),
            #[cfg(feature = "deflate")]
            deflates: false,
            tcp: Tcp::default(),
            unix: None,
            #[cfg(unix)]
            dial: None,
            proxy: None,
            #[cfg(feature = "native-tls")]
            proxy_tls: None,
        }
    }

    /// A builder with these settings, for the client that will have this handle.
    pub(super) fn builder(&self, url: &str, client: heartwire_client) -> Result<Builder> {
        let reconnect = match &self.delay {
            Some(delay) => delay.apply(self.reconnect.clone(), client),
            None => self.reconnect.clone(),
        };
        let mut builder = Builder::new(url)
            .heartbeat(self.heartbeat.clone())
            .reconnect(reconnect)
            .outbox(self.outbox.clone())
            .complete_at(self.complete_at)
            .delivery(self.delivery)
            .drain_to(self.drain_to)
            .dispatch(self.dispatch)
            .fragments_above(self.fragments_above)
            .report_outcomes(self.report_outcomes)
            .tcp(self.tcp.clone());
        #[cfg(feature = "native-tls")]
        {
            builder = builder.tls(self.tls.clone());
        }
        #[cfg(feature = "deflate")]
        if self.deflates {
            builder = builder.compression(self.deflate);
        }
        #[cfg(feature = "native-tls")]
        if self.proxy_tls.is_some() && self.proxy.is_none() {
            let problem = "TLS settings for a proxy are given, and no proxy is";
            return Err(ConfigError::new("proxy", problem).into());
        }
        builder = builder.cookies(self.cookies);
        builder = with(builder, self.proxy.clone(), |builder, proxy| {
            #[cfg(feature = "native-tls")]
            let proxy = match &self.proxy_tls {
                Some(tls) => proxy.tls(tls.clone()),
                None => proxy,
            };
            builder.proxy(proxy)
        });
        builder = with(builder, self.unix.as_ref(), Builder::unix_socket);
        #[cfg(unix)]
        {
            builder = with(builder, self.dial.as_ref(), |builder, dial| dial.apply(builder, client));
        }
        for (name, value) in &self.headers {
            builder = builder.header(name, value);
        }
        for name in &self.subprotocols {
            builder = builder.subprotocol(name);
        }
        builder = self.urls.iter().fold(builder, |builder, url| builder.add_url(url));
        builder = self.greetings.apply(builder, client);
        builder = with(builder, self.on_replay.as_ref(), |builder, call| call.apply(builder, client));
        builder = with(builder, self.before_connect.as_ref(), |builder, hook| hook.apply(builder, client));
        builder = with(builder, self.url_penalty, Builder::url_penalty);
        builder = with(builder, self.redirects, Builder::redirects);
        builder = with(builder, self.name.as_ref(), Builder::name);
        builder = with(builder, self.local_address, Builder::local_address);
        builder = with(builder, self.connect_timeout, Builder::connect_timeout);
        builder = with(builder, self.resolve_timeout, Builder::resolve_timeout);
        builder = with(builder, self.close_timeout, Builder::close_timeout);
        builder = with(builder, self.max_message, Builder::max_message_size);
        builder = with(builder, self.fragment, Builder::fragment_size);
        builder = with(builder, self.stack_size, Builder::stack_size);
        builder = with(builder, self.inbound_queue, |builder, (events, bytes)| {
            builder.inbound_queue(events, bytes)
        });
        self.event_loop.apply(builder)
    }

    fn add_header(&mut self, name: &str, value: &str) -> Result<()> {
        check_header(name, value)?;
        self.headers.push((name.to_string(), value.to_string()));
        Ok(())
    }

    /// A header that a request has once.
    fn set_header(&mut self, name: &str, value: &str) -> Result<()> {
        check_header(name, value)?;
        self.headers.retain(|(given, _)| !given.eq_ignore_ascii_case(name));
        self.headers.push((name.to_string(), value.to_string()));
        Ok(())
    }
}

fn with<T>(builder: Builder, value: Option<T>, set: impl FnOnce(Builder, T) -> Builder) -> Builder {
    match value {
        Some(value) => set(builder, value),
        None => builder,
    }
}

pub(super) fn millis(time: u32) -> Duration {
    Duration::from_millis(time.into())
}

/// Makes an options object that holds the defaults.
///
/// Ownership: the caller frees it with heartwire_options_free().
/// Threads:   any thread, in any callback.
///
/// Returns the object; NULL only after a bug in heartwire, see heartwire_last_error().
#[unsafe(no_mangle)]
pub extern "C" fn heartwire_options_new() -> *mut heartwire_options {
    guard_value(std::ptr::null_mut(), || Ok(Box::into_raw(Box::new(heartwire_options::defaults()))))
}

/// Frees an options object. Clients that were created with it are not affected.
///
/// Ownership: `options` is gone; NULL does nothing.
/// Threads:   any thread, in any callback.
///
/// Returns nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_free(options: *mut heartwire_options) {
    guard_value((), || {
        if !options.is_null() {
            // SAFETY: it came from heartwire_options_new, and the header allows one call.
            drop(unsafe { Box::from_raw(options) });
        }
        Ok(())
    });
}

/// Sets the name in the client's log lines and thread names. Default: the URL's host, and its port unless it is the
/// scheme's own.
///
/// Ownership: `name` is copied.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, or HEARTWIRE_ERR_CONFIG if the name is empty or
/// has a control character.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_name(
    options: *mut heartwire_options,
    name: *const c_char,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object and a terminated string.
        let (options, name) = unsafe { (borrow_mut("options", options)?, text("name", name)?) };
        check::name(name)?;
        options.name = Some(name.to_string());
        Ok(())
    })
}

/// Adds a header to the upgrade request, Authorization for example; may be called repeatedly.
///
/// The headers of the handshake itself (Host, Upgrade, Connection, Sec-WebSocket-…) are set by the library and
/// refused here.
///
/// Ownership: both texts are copied.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, or HEARTWIRE_ERR_CONFIG for a header that would
/// break the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_add_header(
    options: *mut heartwire_options,
    name: *const c_char,
    value: *const c_char,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object and terminated strings.
        let (options, name, value) =
            unsafe { (borrow_mut("options", options)?, text("name", name)?, text("value", value)?) };
        options.add_header(name, value)
    })
}

/// Sets the header Origin, which some servers demand; the last one counts. Default: none.
///
/// Ownership: `origin` is copied.
/// Threads:   any thread; one at a time for one object.
///
/// Returns as heartwire_options_add_header() does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_origin(
    options: *mut heartwire_options,
    origin: *const c_char,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object and a terminated string.
        let (options, origin) = unsafe { (borrow_mut("options", options)?, text("origin", origin)?) };
        options.set_header("Origin", origin)
    })
}

/// Sets the header User-Agent; the last one counts. Default: "heartwire/" and the version.
///
/// Ownership: `agent` is copied.
/// Threads:   any thread; one at a time for one object.
///
/// Returns as heartwire_options_add_header() does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_user_agent(
    options: *mut heartwire_options,
    agent: *const c_char,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object and a terminated string.
        let (options, agent) = unsafe { (borrow_mut("options", options)?, text("agent", agent)?) };
        options.set_header("User-Agent", agent)
    })
}

/// Asks for a subprotocol; call it repeatedly, the preferred one first. Default: none.
///
/// The server may choose one of them or none: see heartwire_event_subprotocol().
///
/// Ownership: `name` is copied.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, HEARTWIRE_ERR_UTF8, or HEARTWIRE_ERR_CONFIG if the name is no token of
/// RFC 9110, or is there already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_add_subprotocol(
    options: *mut heartwire_options,
    name: *const c_char,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object and a terminated string.
        let (options, name) = unsafe { (borrow_mut("options", options)?, text("name", name)?) };
        let mut names = options.subprotocols.clone();
        names.push(name.to_string());
        check_subprotocols(&names)?;
        options.subprotocols = names;
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

/// Sets the deadline of a whole attempt to connect, from heartwire_options_set_before_connect(), or else the name
/// lookup, to the upgrade's answer, redirects and a proxy's answer included. Default: 15 s.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for a time that is not from 1 ms to a week.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_connect_timeout(
    options: *mut heartwire_options,
    timeout_ms: u32,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        check::time("connect_timeout", millis(timeout_ms))?;
        options.connect_timeout = Some(millis(timeout_ms));
        Ok(())
    })
}

/// Sets the deadline of the name lookup alone. Default: 5 s.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns as heartwire_options_set_connect_timeout() does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_resolve_timeout(
    options: *mut heartwire_options,
    timeout_ms: u32,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        check::time("resolve_timeout", millis(timeout_ms))?;
        options.resolve_timeout = Some(millis(timeout_ms));
        Ok(())
    })
}

/// Sets the deadline of a close: sending what waits and the closing handshake together. Default: 5 s.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns as heartwire_options_set_connect_timeout() does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_close_timeout(
    options: *mut heartwire_options,
    timeout_ms: u32,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        check::time("close_timeout", millis(timeout_ms))?;
        options.close_timeout = Some(millis(timeout_ms));
        Ok(())
    })
}

/// Sets the longest message that is received, whole or in parts. Default: 16 MiB, or none where
/// heartwire_options_set_fragments_above() is set. A longer one is answered with close code 1009.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_max_message_size(
    options: *mut heartwire_options,
    bytes: usize,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        check::size("max_message_size", bytes, 1)?;
        options.max_message = Some(bytes);
        Ok(())
    })
}

/// Sets where callbacks run: HEARTWIRE_DISPATCH_LOOP (the default) or HEARTWIRE_DISPATCH_THREAD.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, or HEARTWIRE_ERR_ARGUMENT for an unknown number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_dispatch(
    options: *mut heartwire_options,
    dispatch: heartwire_dispatch,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        options.dispatch = match dispatch {
            HEARTWIRE_DISPATCH_LOOP => Dispatch::Loop,
            HEARTWIRE_DISPATCH_THREAD => Dispatch::Thread,
            other => return Err(Failure::unknown("dispatch", other)),
        };
        Ok(())
    })
}

/// Sets how many events, and bytes of messages in them, wait for heartwire_next_event() or for
/// HEARTWIRE_DISPATCH_THREAD. Default: 256 and 1 MiB. When either is reached, reading pauses and TCP slows the server.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_inbound_queue(
    options: *mut heartwire_options,
    events: usize,
    bytes: usize,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        check::size("inbound_queue", events, 1)?;
        check::size("inbound_queue", bytes, 1)?;
        options.inbound_queue = Some((events, bytes));
        Ok(())
    })
}

/// Sets whether heartwire_next_event() gives HEARTWIRE_EVENT_OUTCOME, too. Default: no; heartwire_on_outcome() asks by
/// itself.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK or HEARTWIRE_ERR_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_report_outcomes(
    options: *mut heartwire_options,
    yes: bool,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        unsafe { borrow_mut("options", options)? }.report_outcomes = yes;
        Ok(())
    })
}

/// Sets the stack of the client's event loop thread, for callbacks that need more. Default: 1 MiB. It means nothing
/// on a shared loop.
///
/// Ownership: nothing changes hands.
/// Threads:   any thread; one at a time for one object.
///
/// Returns HEARTWIRE_OK, HEARTWIRE_ERR_ARGUMENT, or HEARTWIRE_ERR_CONFIG for less than 64 KiB.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heartwire_options_set_stack_size(
    options: *mut heartwire_options,
    bytes: usize,
) -> heartwire_status {
    guard(|| {
        // SAFETY: the header asks for an options object.
        let options = unsafe { borrow_mut("options", options)? };
        check::size("stack_size", bytes, 64 << 10)?;
        options.stack_size = Some(bytes);
        Ok(())
    })
}
