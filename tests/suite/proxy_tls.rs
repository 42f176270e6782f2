//! TLS with the proxy itself, and TLS through it: who verifies whom, and what happens to the outer one.

use std::io::{Read, Write};

use heartwire::{Builder, Cause, Client, Phase, Proxy, Reconnect, Tls, TlsFaultKind};

use crate::hostile::story;
use crate::net::{Net, close, closed, failed, ms, opened, received, trusting};
use crate::support::certs::Certs;
use crate::support::proxy::{Asked, Lets, http_proxy};
use crate::support::{Behaviour, Point, Relay, Server, Setup, Then, watchdog};

fn certs() -> &'static Certs {
    Certs::shared()
}

/// An HTTP proxy with TLS, by this identity or the sound one.
fn proxy(lets: Lets) -> Server {
    Setup::new(http_proxy(lets, &Asked::default())).tls(certs().server_config()).start()
}

fn through(net: &Net, server: &Server, proxy: &Server) -> Builder {
    net.to(server).proxy(Proxy::new(format!("https://{}", proxy.address())).tls(trusting()))
}

fn a_proxy_with_tls_carries_a_stream_with_and_without_tls(net: &Net) {
    let server = net.server(Behaviour::echo().greeting("first"));
    let proxy = proxy(Lets::User);
    let url = format!("https://user:pass@{}", proxy.address());
    let client = net.to(&server).proxy(Proxy::new(url).tls(trusting())).connect().unwrap();
    opened(&client);
    assert_eq!(received(&client).as_text(), Some("first"));
    for size in [1, 125, 5000, 16 * 1024, 70_000, 3_000_000] {
        let message = vec![size as u8; size];
        client.send_binary(&message).unwrap();
        assert_eq!(received(&client).as_bytes(), message, "{size}");
    }
    // Many at once, in both directions.
    for n in 0..1000 {
        client.send_text(&n.to_string()).unwrap();
    }
    for n in 0..1000 {
        assert_eq!(received(&client).as_text(), Some(n.to_string().as_str()));
    }
    server.cut_all();
    closed(&client);
    opened(&client);
    close(&client);
}

fn a_login_that_is_wrong_is_told_over_tls_too(net: &Net) {
    let server = net.server(Behaviour::echo());
    let proxy = proxy(Lets::User);
    let client = through(net, &server, &proxy).connect().unwrap();
    assert_eq!(story(&client), "failed in Proxy status 407, fatal");
}

fn the_proxys_certificate_is_verified_by_its_own_settings(net: &Net) {
    let server = net.server(Behaviour::echo());
    let cases = [
        (&certs().wrong_host, trusting(), TlsFaultKind::HostName),
        (&certs().expired, trusting(), TlsFaultKind::Certificate),
        (&certs().name_only, trusting(), TlsFaultKind::HostName),
        // What the client trusts for the server does not count here.
        (&certs().server, Tls::new(), TlsFaultKind::Certificate),
    ];
    for (identity, tls, kind) in cases {
        let behaviour = http_proxy(Lets::Everyone, &Asked::default());
        let proxy = Setup::new(behaviour).tls(certs().config_with(identity)).start();
        let url = format!("https://{}", proxy.address());
        let client = net.to(&server).proxy(Proxy::new(url).tls(tls)).connect().unwrap();
        let failed = failed(&client);
        assert_eq!(failed.error().phase(), Phase::Proxy, "{failed}");
        let Cause::Tls(fault) = failed.error().cause() else { panic!("{failed:?}") };
        assert_eq!(fault.kind(), kind, "{failed}");
        assert!(failed.to_string().contains("proxy"), "{failed}");
        // As with a server: at the longest delay.
        assert!(failed.retry_in().is_some_and(|delay| delay >= ms(100)), "{failed}");
    }
    assert_eq!(server.connections(), 0);
}

fn the_servers_certificate_is_verified_for_its_own_name(net: &Net) {
    for (identity, kind) in
        [(&certs().wrong_host, TlsFaultKind::HostName), (&certs().expired, TlsFaultKind::Certificate)]
    {
        let server = Setup::new(Behaviour::echo()).tls(certs().config_with(identity)).start();
        let plain = Server::start(http_proxy(Lets::Everyone, &Asked::default()));
        let secure = proxy(Lets::Everyone);
        let plainly = net.builder(&format!("wss://{}/", server.address())).tls(trusting());
        let plainly = plainly.proxy(format!("http://{}", plain.address()));
        let secured = net.builder(&format!("wss://{}/", server.address())).tls(trusting());
        let secured = secured.proxy(Proxy::new(format!("https://{}", secure.address())).tls(trusting()));
        for builder in [plainly, secured] {
            let client = builder.connect().unwrap();
            let failed = failed(&client);
            assert_eq!(failed.error().phase(), Phase::Tls, "{failed}");
            assert!(matches!(failed.error().cause(), Cause::Tls(fault) if fault.kind() == kind), "{failed}");
        }
    }
}

fn a_proxy_with_tls_that_misbehaves_is_told_for_what_it_is(net: &Net) {
    let told_of = |behaviour, set: fn(Builder) -> Builder| {
        let server = net.server(Behaviour::echo());
        let proxy = Setup::new(behaviour).tls(certs().server_config()).start();
        let builder = set(through(net, &server, &proxy).reconnect(Reconnect::never()));
        story(&builder.connect().unwrap())
    };
    let in_proxy = |why: &str| format!("failed in Proxy {why}, gave up");
    for (then, in_tls, behind_it) in [
        (Then::Silence, "TimedOut", "TimedOut"),
        (Then::Reset, "reset", "reset"),
        // RFC 8446 section 6.1: an end without close_notify is a cut.
        (Then::End, "Truncated", "Truncated"),
        (Then::Garbage, "Protocol", "Proxy(NotHttp)"),
    ] {
        let set: fn(Builder) -> Builder = match then {
            Then::Silence => |b| b.connect_timeout(ms(300)),
            _ => |b| b,
        };
        assert_eq!(told_of(Behaviour::stops(Point::Asked, then), set), in_proxy(in_tls), "{then:?}");
        let behaviour = Behaviour::raw(move |stream, _| {
            let _ = crate::support::upgrade::read_request_head(stream);
            let _ = match then {
                Then::Garbage => stream.write_all(b"\xFF\xFE garbage").and_then(|()| stream.flush()),
                Then::Reset => socket2::SockRef::from(stream.tcp()).set_linger(Some(ms(0))),
                Then::End => stream.tcp().shutdown(std::net::Shutdown::Write),
                _ => Ok(()),
            };
            if then != Then::Reset {
                let _ = stream.read(&mut [0; 64]);
            }
        });
        assert_eq!(told_of(behaviour, set), in_proxy(behind_it), "{then:?}");
    }
}

fn a_cut_of_the_outer_stream_is_never_taken_for_an_end(net: &Net) {
    let server = net.server(Behaviour::echo());
    let proxy = proxy(Lets::Everyone);
    let relay = Relay::start(proxy.address());
    let url = format!("https://{}", relay.address());
    let client = net.to(&server).proxy(Proxy::new(url).tls(trusting())).connect().unwrap();
    opened(&client);
    relay.half_close();
    let ending = closed(&client);
    let error = ending.error().expect("a cut");
    assert_eq!(error.phase(), Phase::Tls, "{error}");
    let Cause::Tls(fault) = error.cause() else { panic!("{error:?}") };
    assert_eq!(fault.kind(), TlsFaultKind::Truncated, "{error}");
    opened(&client);
    relay.cut();
    let ending = closed(&client);
    let error = ending.error().expect("a cut");
    assert!(error.os_error().is_some(), "the system's own number: {error:?}");
    opened(&client);
    close(&client);
}

fn a_proxy_without_tls_is_told_as_such(net: &Net) {
    let server = net.server(Behaviour::echo());
    let plain = Server::start(Behaviour::refuse(400, &[], ""));
    let client = through(net, &server, &plain).connect().unwrap();
    let failed = failed(&client);
    assert_eq!(failed.error().phase(), Phase::Proxy, "{failed}");
    let Cause::Tls(fault) = failed.error().cause() else { panic!("{failed:?}") };
    assert!([TlsFaultKind::Protocol, TlsFaultKind::Truncated].contains(&fault.kind()), "{failed}");
}

/// Nothing is connected here, so that no mode has a part in it.
#[test]
fn tls_settings_of_a_proxy_are_checked_when_the_client_is_built() {
    let _watch = watchdog(60, "a proxy's TLS settings");
    let proxy = Proxy::new("https://h").tls(Tls::new().ca_pem("no certificate in here"));
    let error = Client::builder("ws://h").proxy(proxy).build().expect_err("a config error");
    assert_eq!(error.setting(), "ca_pem");
}

stamp! {
    a_proxy_with_tls_carries_a_stream_with_and_without_tls,
    a_login_that_is_wrong_is_told_over_tls_too,
    the_proxys_certificate_is_verified_by_its_own_settings,
    the_servers_certificate_is_verified_for_its_own_name,
    a_proxy_with_tls_that_misbehaves_is_told_for_what_it_is,
    a_cut_of_the_outer_stream_is_never_taken_for_an_end,
    a_proxy_without_tls_is_told_as_such,
}
