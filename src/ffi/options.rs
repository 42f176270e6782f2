//! The options object: what the Rust builder collects, in setters that check at once.

use std::ffi::c_char;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::config::builder::Builder;
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
use crate::event::Level;
use crate::ffi::before_connect::BeforeConnect;
use crate::ffi::event_loop::Chosen;
use crate::ffi::greeting::Greetings;
use crate::ffi::guard::{Result, borrow_mut, guard, guard_value, text};
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
    pub(super) headers: Vec<(String, String)>,
    pub(super) subprotocols: Vec<String>,
    pub(super) local_address: Option<IpAddr>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) resolve_timeout: Option<Duration>,
    pub(super) close_timeout: Option<Duration>,
    pub(super) max_message: Option<usize>,
    pub(super) fragment: Option<usize>,
    pub(super) fragments_above: usize,
    pub(super) dispatch: Dispatch,
    pub(super) inbound_queue: Option<(usize, usize)>,
    pub(super) report_outcomes: bool,
    pub(super) stack_size: Option<usize>,
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
            return Err(crate::error::ConfigError::new("proxy", problem).into());
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
