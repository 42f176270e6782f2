//! What is refused, and the defaults.

use super::*;

#[track_caller]
fn refused(builder: Builder, setting: &str, part: &str) {
    let error = builder.build().expect_err("the setting should be refused");
    assert_eq!(error.setting(), setting);
    assert!(error.problem().contains(part), "{error}");
}

fn builder() -> Builder {
    Builder::new("ws://127.0.0.1:1/")
}

#[test]
fn headers_that_would_break_the_request_are_refused() {
    refused(builder().header("X Y", "1"), "header", "not a header name");
    refused(builder().header("X-A\r\nX-B", "1"), "header", "not a header name");
    refused(builder().header("", "1"), "header", "not a header name");
    refused(builder().header("X-A", "1\r\nX-B: 2"), "header", "line break");
    refused(builder().header("X-A", "1\0"), "header", "forbidden");
    refused(builder().header("Host", "h"), "header", "handshake");
    refused(builder().header("sec-websocket-KEY", "h"), "header", "handshake");
    refused(Builder::new("ws://a:b@h/").header("Authorization", "Bearer c"), "header", "Authorization");
}

#[test]
fn the_last_origin_and_user_agent_count() {
    let twice = builder().origin("http://a").origin("http://b").user_agent("one").user_agent("two");
    let sent = twice.config().unwrap().routes[0].request.headers.clone();
    let expected = [("Origin", "http://b"), ("User-Agent", "two")];
    assert_eq!(sent, expected.map(|(name, value)| (name.to_string(), value.to_string())));
}

#[test]
fn redirects_and_the_turns_of_urls_have_their_defaults_and_their_bounds() {
    let config = builder().config().unwrap();
    assert_eq!((config.redirects, config.rules.url_penalty), (5, Duration::from_secs(60)));
    let set = builder().redirects(0).url_penalty(Duration::ZERO).add_url("ws://h/").config().unwrap();
    assert_eq!((set.redirects, set.rules.url_penalty, set.rules.urls), (0, Duration::ZERO, 2));
    refused(builder().redirects(21), "redirects", "from 0 to 20");
    refused(builder().url_penalty(Duration::MAX), "url_penalty", "week");
    refused(builder().add_url("ws://127.0.0.1:1/"), "url", "number 2 is there already");
    refused(builder().add_url("http://h/"), "url", "scheme http");
    let many = (0..64).fold(builder(), |builder, n| builder.add_url(format!("ws://h/{n}")));
    refused(many, "url", "more than 64");
}

#[test]
fn subprotocols_are_distinct_tokens() {
    refused(builder().subprotocol("a b"), "subprotocol", "token");
    refused(builder().subprotocol(""), "subprotocol", "token");
    refused(builder().subprotocol("a,b"), "subprotocol", "token");
    refused(builder().subprotocol("a").subprotocol("a"), "subprotocol", "twice");
}

#[test]
fn zero_and_absurd_durations_are_refused() {
    let over_a_week = Duration::from_secs(8 * 24 * 3600);
    refused(builder().connect_timeout(Duration::ZERO), "connect_timeout", "less than");
    refused(builder().close_timeout(over_a_week), "close_timeout", "week");
    refused(builder().resolve_timeout(Duration::MAX), "resolve_timeout", "week");
    let beat = Heartbeat::ping();
    refused(builder().heartbeat(beat.clone().after_silence(Duration::ZERO)), "heartbeat interval", "less");
    refused(builder().heartbeat(beat.clone().timeout(Duration::ZERO)), "heartbeat timeout", "less");
    refused(builder().heartbeat(beat.max_missed(0)), "heartbeat max_missed", "from 1");
    let fixed = Reconnect::fixed(Duration::ZERO);
    refused(builder().reconnect(fixed), "reconnect delay", "less");
    refused(builder().reconnect(Reconnect::delays([])), "reconnect delays", "empty");
    let factor = Reconnect::exponential().factor(f64::NAN);
    refused(builder().reconnect(factor), "reconnect factor", "from 1");
}

#[test]
fn sizes_that_cannot_work_are_refused() {
    refused(builder().max_message_size(0), "max_message_size", "at least");
    refused(builder().inbound_queue(0, 1), "inbound_queue", "at least");
    refused(builder().outbox(OutboxLimits::new().messages(0)), "outbox messages", "at least");
    refused(builder().stack_size(1), "stack_size", "at least");
    refused(builder().name("a\nb"), "name", "control");
}

#[cfg(unix)]
#[test]
fn unix_sockets_that_cannot_be_and_what_contradicts_them_are_refused() {
    use crate::Proxy;

    refused(builder().unix_socket(""), "unix_socket", "empty");
    refused(builder().unix_socket("a\0b"), "unix_socket", "NUL");
    refused(builder().unix_socket("x".repeat(200)), "unix_socket", "200 bytes");
    let tcp = Tcp::new().send_buffer(1 << 16);
    let local = [127, 0, 0, 1].into();
    refused(builder().unix_socket("/x").proxy("http://h"), "unix_socket", "a proxy");
    refused(builder().unix_socket("/x").tcp(tcp.clone()), "unix_socket", "settings of TCP");
    refused(builder().unix_socket("/x").local_address(local), "unix_socket", "settings of TCP");
    let named = || Builder::new("ws+unix:///x:/");
    refused(named().proxy("http://h"), "url", "a proxy");
    refused(named().tcp(tcp.clone()), "url", "settings of TCP");
    refused(named().unix_socket("/y"), "unix_socket", "another socket");
    refused(builder().add_url("ws+unix:///x").proxy("http://h"), "url", "a proxy");
    let dialled = || builder().dial_with(|_, _| std::net::TcpStream::connect("127.0.0.1:1"));
    refused(dialled().unix_socket("/x"), "dial_with", "a Unix socket");
    refused(dialled().proxy("http://h"), "dial_with", "a proxy");
    refused(dialled().tcp(tcp), "dial_with", "settings of TCP");
    for fine in [builder().unix_socket("/x"), named().unix_socket("/x"), dialled()] {
        assert!(fine.proxy(Proxy::from_environment()).build().is_ok());
    }
}

#[cfg(unix)]
#[test]
fn a_stream_that_is_there_once_goes_together_with_one_plain_way_only() {
    use std::os::unix::net::UnixStream;

    use crate::error::ConnectError;

    let tcp = Tcp::new().send_buffer(1 << 16);
    for (builder, part) in [
        (builder().add_url("ws://h/"), "further URLs"),
        (builder().unix_socket("/x"), "a Unix socket"),
        (Builder::new("ws+unix:///x"), "a Unix socket"),
        (builder().dial_with(|_, _| UnixStream::connect("/x")), "dial_with"),
        (builder().proxy("http://h"), "a proxy"),
        (builder().tcp(tcp), "settings of TCP"),
    ] {
        let client = builder.build().unwrap();
        let Err(ConnectError::Settings(error)) = client.connect_over(UnixStream::pair().unwrap().0) else {
            panic!("{part}: it was taken")
        };
        assert_eq!(error.setting(), "connect_over");
        assert!(error.problem().contains(part), "{error}");
    }
}

#[test]
fn fragments_that_could_never_come_or_would_hide_a_heartbeats_reply_are_refused() {
    refused(builder().fragments_above(1000).max_message_size(1000), "fragments_above", "max_message_size");
    let beat = || Heartbeat::text("ping").reply("pong");
    refused(builder().fragments_above(3).heartbeat(beat()), "fragments_above", "reply");
    let prefix = Heartbeat::text("ping").reply_prefix("pong");
    refused(builder().fragments_above(0).heartbeat(prefix), "fragments_above", "reply");
    for good in [
        builder().fragments_above(4).heartbeat(beat()),
        builder().fragments_above(0).heartbeat(Heartbeat::text("ping").any_reply()),
        builder().fragments_above(999).max_message_size(1000),
        builder().fragments_above(usize::MAX).max_message_size(1000).heartbeat(beat()),
    ] {
        assert!(good.config().is_ok());
    }
}

#[test]
fn the_default_limit_of_a_message_is_16_mib_and_none_where_they_come_in_fragments() {
    let limit = |builder: Builder| builder.config().unwrap().max_message;
    assert_eq!(limit(builder()), 16 << 20);
    assert_eq!(limit(builder().fragments_above(1 << 20)), u64::MAX);
    assert_eq!(limit(builder().fragments_above(1 << 20).max_message_size(1 << 30)), 1 << 30);
}

#[cfg(feature = "native-tls")]
#[test]
fn tls_settings_are_checked_for_plain_urls_too() {
    refused(builder().tls(Tls::new().ca_pem("no certificate")), "ca_pem", "");
}

#[cfg(not(feature = "native-tls"))]
#[test]
fn wss_without_tls_is_refused() {
    refused(Builder::new("wss://h/"), "url", "native-tls");
}
