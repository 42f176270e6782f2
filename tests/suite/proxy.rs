//! Through a proxy, plain and with TLS to the server, by CONNECT and by SOCKS; and proxies at their worst.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use heartwire::{Builder, Cause, Client, End, Event, Phase, Proxy, ProxyFault, Reconnect, State};

use crate::hostile::story;
use crate::net::{Net, SOON, close, closed, ended, failed, ms, opened, quick, received, silent_port, wait};
use crate::support::proxy::{Asked, Lets, http_proxy, socks_proxy};
use crate::support::upgrade::read_request_head;
use crate::support::{Behaviour, Point, Server, Setup, Then};

const KINDS: [&str; 3] = ["http", "socks5", "socks5h"];

fn behaviour(kind: &str, lets: Lets, asked: &Asked) -> Behaviour {
    match kind {
        "http" => http_proxy(lets, asked),
        _ => socks_proxy(lets, asked),
    }
}

fn url(kind: &str, login: &str, proxy: &Server) -> String {
    format!("{kind}://{login}{}", proxy.address())
}

/// A URL by which the server is known to the proxy, and perhaps to nobody else.
fn named(net: &Net, name: &str, server: &Server) -> String {
    net.url(server.address()).replace("127.0.0.1", name)
}

#[track_caller]
fn works(builder: Builder) {
    let client = builder.connect().unwrap();
    opened(&client);
    client.send_text("there and back").unwrap();
    assert_eq!(received(&client).as_text(), Some("there and back"));
    let long = vec![7; 300_000];
    client.send_binary(&long).unwrap();
    assert_eq!(received(&client).as_bytes(), long);
    close(&client);
}

fn the_server_is_reached_through_every_kind_of_proxy_with_a_login_and_without(net: &Net) {
    let server = net.server(Behaviour::echo());
    for kind in KINDS {
        for (lets, login) in
            [(Lets::Everyone, ""), (Lets::Everyone, "user:pass@"), (Lets::User, "user:pass@")]
        {
            let asked = Asked::default();
            let proxy = Server::start(behaviour(kind, lets, &asked));
            works(net.to(&server).proxy(url(kind, login, &proxy)));
            assert_eq!(asked.all(), [server.address().to_string()], "{kind}");
        }
    }
    let asked = Asked::default();
    let proxy = Server::start(behaviour("http", Lets::User, &asked));
    works(net.to(&server).proxy(Proxy::new(url("http", "", &proxy)).login("user", "pass")));
}

fn a_name_is_looked_up_by_whom_the_scheme_says(net: &Net) {
    let server = net.server(Behaviour::echo());
    let port = server.port();
    for (kind, name) in [("http", "localhost"), ("socks5h", "localhost"), ("socks5", "localhost")] {
        let asked = Asked::default();
        let proxy = Server::start(behaviour(kind, Lets::Everyone, &asked));
        works(net.builder(&named(net, name, &server)).proxy(url(kind, "", &proxy)));
        let asked = asked.all();
        if kind == "socks5" {
            assert!([format!("127.0.0.1:{port}"), format!("::1:{port}")].contains(&asked[0]), "{asked:?}");
        } else {
            assert_eq!(asked, [format!("localhost:{port}")]);
        }
    }
    // A name that nobody but the proxy knows; the server's certificate is for another.
    let asked = Asked::default();
    let proxy = Server::start(behaviour("http", Lets::Everyone, &asked));
    let url_of_it = named(net, "known.to.the.proxy.invalid", &server);
    let client = net.builder(&url_of_it).proxy(url("http", "", &proxy)).connect().unwrap();
    if net.is_plain() {
        opened(&client);
    } else {
        let failed = failed(&client);
        assert_eq!(failed.error().phase(), Phase::Tls, "{failed}");
        assert!(failed.to_string().contains("host name"), "{failed}");
    }
    assert_eq!(asked.all()[0], format!("known.to.the.proxy.invalid:{port}"));
    // One that the proxy is not asked for, since it cannot be looked up here.
    let proxy = Server::start(behaviour("socks5", Lets::Everyone, &asked));
    let client = net.builder(&url_of_it).proxy(url("socks5", "", &proxy)).connect().unwrap();
    assert_eq!(failed(&client).error().phase(), Phase::Resolve);
    assert_eq!(proxy.connections(), 0);
}

fn a_link_through_a_proxy_heals(net: &Net) {
    for kind in KINDS {
        let server = net.server(Behaviour::echo());
        let asked = Asked::default();
        let proxy = Server::start(behaviour(kind, Lets::Everyone, &asked));
        let client = net.to(&server).proxy(url(kind, "", &proxy)).connect().unwrap();
        opened(&client);
        // The server first, then the proxy, then the server while the proxy lives: 502, or SOCKS's word for it.
        server.cut_all();
        closed(&client);
        opened(&client);
        proxy.stop();
        closed(&client);
        let error = failed(&client);
        assert_eq!(
            (error.error().phase(), crate::hostile::cause(error.error())),
            (Phase::Proxy, "refused".into())
        );
        proxy.restart();
        opened(&client);
        server.stop();
        closed(&client);
        let error = failed(&client).error().clone();
        assert_eq!(error.phase(), Phase::Proxy, "{error}");
        match error.cause() {
            Cause::Refused(refusal) => assert_eq!((kind, refusal.status()), ("http", 502)),
            Cause::Proxy(ProxyFault::Socks(5)) => assert_ne!(kind, "http"),
            other => panic!("{other:?}"),
        }
        server.restart();
        opened(&client);
        close(&client);
    }
}

/// What a client without reconnects tells of a proxy; the server is never reached.
#[track_caller]
fn told_of(net: &Net, kind: &str, proxy: Behaviour, set: impl FnOnce(Builder) -> Builder) -> String {
    let server = net.server(Behaviour::echo());
    let proxy = Server::start(proxy);
    let builder = net.to(&server).proxy(url(kind, "", &proxy)).reconnect(Reconnect::never());
    let told = story(&set(builder).connect().unwrap());
    assert_eq!(server.connections(), 0);
    told
}

fn says(bytes: &'static [u8]) -> Behaviour {
    Behaviour::raw(move |stream, _| {
        // What is asked for is read first, so that no reset overtakes the answer.
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(bytes).and_then(|()| stream.flush());
        while stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {}
    })
}

fn a_login_that_is_missing_or_wrong_is_told_and_fatal(net: &Net) {
    for (kind, missing, wrong) in [
        ("http", "status 407", "status 407"),
        ("socks5", "Proxy(Method)", "Proxy(Credentials)"),
        ("socks5h", "Proxy(Method)", "Proxy(Credentials)"),
    ] {
        let asked = Asked::default();
        let proxy = Server::start(behaviour(kind, Lets::User, &asked));
        let server = net.server(Behaviour::echo());
        for (login, why) in [("", missing), ("user:wrong@", wrong), ("pass:user@", wrong)] {
            let client = net.to(&server).proxy(url(kind, login, &proxy)).connect().unwrap();
            assert_eq!(story(&client), format!("failed in Proxy {why}, fatal"), "{kind} {login}");
        }
        assert!(asked.all().is_empty());
        // The user may know better: one table for both.
        let builder = net.to(&server).proxy(url(kind, "user:wrong@", &proxy));
        let client = builder.reconnect(quick().retry_status(407, true)).connect().unwrap();
        assert!(failed(&client).retry_in().is_some());
        let again = failed(&client);
        assert!(again.retry_in().is_some());
        let text = again.to_string();
        assert!(!text.contains("wrong") && !text.contains("user:"), "{text}");
        if kind == "http" {
            assert_eq!(again.error().http_status(), Some(407));
            let refusal = again.error().refusal().unwrap();
            assert_eq!(refusal.header("Proxy-Authenticate"), Some("Basic realm=\"test\""));
        }
    }
}

fn a_refusal_that_will_not_change_is_fatal_and_one_that_may_pass_is_not(net: &Net) {
    for (kind, answer, told) in [
        ("http", &b"HTTP/1.1 403 Forbidden\r\n\r\n"[..], "status 403, fatal"),
        ("http", b"HTTP/1.1 405 No\r\n\r\n", "status 405, fatal"),
        ("http", b"HTTP/1.1 302 Elsewhere\r\nLocation: http://h/\r\n\r\n", "status 302, fatal"),
        ("http", b"HTTP/1.1 503 Busy\r\n\r\n", "status 503, gave up"),
        ("http", b"HTTP/1.1 504 Late\r\n\r\n", "status 504, gave up"),
    ] {
        let expected = format!("failed in Proxy {told}");
        assert_eq!(told_of(net, kind, says(answer), |b| b), expected);
    }
    for (reply, end) in [
        (1, "gave up"),
        (2, "fatal"),
        (3, "gave up"),
        (4, "gave up"),
        (5, "gave up"),
        (7, "fatal"),
        (8, "fatal"),
    ] {
        let proxy = Behaviour::raw(move |stream, _| {
            let _ = stream.read(&mut [0; 64]).and_then(|_| stream.write_all(b"\x05\x00"));
            let _ =
                stream.read(&mut [0; 64]).and_then(|_| stream.write_all(&[5, reply, 0, 1, 0, 0, 0, 0, 0, 0]));
            let _ = stream.read(&mut [0; 64]);
        });
        let expected = format!("failed in Proxy Proxy(Socks({reply})), {end}");
        assert_eq!(told_of(net, "socks5h", proxy, |b| b), expected);
    }
}

fn a_proxy_that_hangs_up_falls_silent_or_talks_nonsense_is_told_for_what_it_is(net: &Net) {
    for kind in KINDS {
        let garbage = if kind == "http" { "Proxy(NotHttp)" } else { "Proxy(NotSocks)" };
        let in_proxy = |why: &str| format!("failed in Proxy {why}, gave up");
        for (then, why) in [
            (Then::Silence, "TimedOut"),
            (Then::Reset, "reset"),
            (Then::End, "EndOfStream"),
            (Then::Garbage, garbage),
        ] {
            let points =
                if kind == "http" { &[Point::Accepted, Point::Asked][..] } else { &[Point::Accepted] };
            for point in points {
                let told = told_of(net, kind, Behaviour::stops(*point, then), |b| match then {
                    Then::Silence => b.connect_timeout(ms(200)),
                    _ => b,
                });
                assert_eq!(told, in_proxy(why), "{kind} {point:?} {then:?}");
            }
        }
    }
    for (kind, answer, why) in [
        ("http", &b"\x05\x00"[..], "Proxy(NotHttp)"),
        ("http", b"HTTP/1.1 20", "TimedOut"),
        ("http", b"HTTP/1.1 200 OK\r\nA: b\r\n", "TimedOut"),
        ("http", b"HTTP/1.1 200 OK\r\n\r\n<html>it works</html>", "Proxy(Unasked)"),
        ("socks5", b"HTTP/1.1 400 Bad Request\r\n\r\n", "Proxy(NotSocks)"),
        ("socks5", b"\x04\x5a", "Proxy(NotSocks)"),
        ("socks5", b"\x05", "TimedOut"),
        ("socks5", b"\x05\x00\x05\x00\x00\x01\0\0\0\0\0\0", "Proxy(Unasked)"),
    ] {
        let told = told_of(net, kind, says(answer), |b| match why {
            "TimedOut" => b.connect_timeout(ms(300)),
            _ => b,
        });
        assert_eq!(told, format!("failed in Proxy {why}, gave up"), "{kind} {answer:?}");
    }
}

fn an_answer_that_never_ends_is_bounded_in_memory_and_in_time(net: &Net) {
    let endless = |start, more, every| Behaviour::endless_answer(start, more, every);
    let told = told_of(net, "http", endless("HTTP/1.1 200 OK\r\n", "A: b\r\n", Duration::ZERO), |b| b);
    assert_eq!(told, "failed in Proxy Proxy(TooLong), gave up");
    let drip = endless("HTTP/1.1 200 OK\r\n", "A: b\r\n", ms(5));
    let began = Instant::now();
    let told = told_of(net, "http", drip, |b| b.connect_timeout(ms(300)));
    assert_eq!(told, "failed in Proxy TimedOut, gave up");
    assert!(began.elapsed() < SOON);
    let interim = endless("HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", Duration::ZERO);
    assert_eq!(told_of(net, "http", interim, |b| b), "failed in Proxy Proxy(TooLong), gave up");
}

fn nobody_listens_where_the_proxy_should_be(net: &Net) {
    let server = net.server(Behaviour::echo());
    let proxy = Server::start(Behaviour::silent());
    proxy.stop();
    for kind in KINDS {
        let builder = net.to(&server).proxy(url(kind, "", &proxy)).reconnect(Reconnect::never());
        let client = builder.connect().unwrap();
        assert_eq!(story(&client), "failed in Proxy refused, gave up");
    }
    let builder = net.to(&server).proxy("http://no.such.proxy.invalid:1").reconnect(Reconnect::never());
    let client = builder.connect().unwrap();
    assert_eq!(failed(&client).error().phase(), Phase::Proxy);
}

fn a_close_and_a_drop_interrupt_a_proxy_at_every_point(net: &Net) {
    let (_listener, silent) = silent_port();
    let half = Server::start(says(b"HTTP/1.1 200 O"));
    let asked_for_more = Server::start(says(b"\x05\x00"));
    for (kind, address) in
        [("http", silent), ("socks5", silent), ("http", half.address()), ("socks5", asked_for_more.address())]
    {
        let in_proxy = |client: &Client| {
            wait(client, |event| {
                matches!(event, Event::State(State::Connecting(Phase::Proxy))).then_some(())
            });
        };
        let start = |address: SocketAddr| {
            let client =
                net.builder(&net.url(address)).proxy(format!("{kind}://{address}")).connect().unwrap();
            in_proxy(&client);
            client
        };
        let client = start(address);
        client.close(1000, "").unwrap();
        assert!(matches!(client.wait_closed(SOON), Ok(End::Closed)), "{kind}");
        let began = Instant::now();
        drop(start(address));
        assert!(began.elapsed() < SOON);
    }
}

fn bytes_that_a_server_sends_at_once_behind_the_upgrade_come_through(net: &Net) {
    let server = net.start(Setup::new(Behaviour::echo().greeting("first").greeting("second")));
    for kind in KINDS {
        let proxy = Server::start(behaviour(kind, Lets::Everyone, &Asked::default()));
        let client = net.to(&server).proxy(url(kind, "", &proxy)).connect().unwrap();
        assert_eq!(received(&client).as_text(), Some("first"));
        assert_eq!(received(&client).as_text(), Some("second"));
        close(&client);
    }
}

fn the_proxy_is_told_the_users_agent_and_nothing_of_the_upgrade(net: &Net) {
    let server = net.server(Behaviour::echo());
    let (heads, seen) = crossbeam_channel::unbounded();
    let proxy = Server::start(Behaviour::raw(move |stream, _| {
        if let Ok(head) = read_request_head(stream) {
            heads.send(head).unwrap();
        }
        let _ = stream.write_all(b"HTTP/1.1 403 No\r\n\r\n");
        let _ = stream.read(&mut [0; 64]);
    }));
    let builder = net.to(&server).user_agent("agent/7").header("Authorization", "Bearer of-the-server");
    let client = builder.proxy(url("http", "user:pass@", &proxy)).connect().unwrap();
    assert!(matches!(ended(&client), End::Fatal(_)));
    let address = server.address();
    assert_eq!(
        seen.recv_timeout(SOON).unwrap(),
        format!(
            "CONNECT {address} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: agent/7\r\n\
             Proxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n"
        )
    );
}

stamp! {
    the_server_is_reached_through_every_kind_of_proxy_with_a_login_and_without,
    a_name_is_looked_up_by_whom_the_scheme_says,
    a_link_through_a_proxy_heals,
    a_login_that_is_missing_or_wrong_is_told_and_fatal,
    a_refusal_that_will_not_change_is_fatal_and_one_that_may_pass_is_not,
    a_proxy_that_hangs_up_falls_silent_or_talks_nonsense_is_told_for_what_it_is,
    an_answer_that_never_ends_is_bounded_in_memory_and_in_time,
    nobody_listens_where_the_proxy_should_be,
    a_close_and_a_drop_interrupt_a_proxy_at_every_point,
    bytes_that_a_server_sends_at_once_behind_the_upgrade_come_through,
    the_proxy_is_told_the_users_agent_and_nothing_of_the_upgrade,
}
