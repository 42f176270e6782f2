//! The C names for the library; `include/heartwire.h` is generated from here. Holds no policy and no state but the
//! handles.
//!
//! Each function has three steps: guard, borrow, call. The words for these are in `guard`; the doc comments are
//! written for the reader of the header, which opens with the conventions of `cbindgen.toml`.
#![allow(non_camel_case_types, reason = "the header's names")]
#![allow(unreachable_pub, reason = "reached by symbol, and by the header's generator")]

mod ask;
mod before_connect;
mod callbacks;
mod client;
#[cfg(unix)]
mod descriptor;
mod event;
mod event_loop;
mod event_parts;
mod event_way;
mod events;
mod fragments;
mod greeting;
mod guard;
mod handles;
mod hooks;
mod logger;
mod numbers;
mod options;
mod options_deflate;
mod options_delivery;
mod options_heartbeat;
mod options_limits;
mod options_outbox;
mod options_proxy;
mod options_reconnect;
mod options_request;
mod options_stream;
mod options_tcp;
mod options_tls;
mod options_urls;
mod peer_certificate;
mod send;
mod sized;
mod status;
mod stream_handles;
mod streams;
mod user_data;

use handles::heartwire_client;
