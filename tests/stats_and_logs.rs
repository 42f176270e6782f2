//! What a client counts adds up, and what it logs names the client and gives no secret away.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use heartwire::{Builder, Client, DropReason, End, Event, Fate, Heartbeat, Level, MessageRef};
use heartwire::{OutboxLimits, Reconnect, SendOptions};
use support::{Behaviour, Server, Setup, Told, log_lines, watchdog};

const SOON: Duration = Duration::from_secs(10);
const MS: Duration = Duration::from_millis(1);

fn is_open(event: &Event) -> Option<()> {
    matches!(event, Event::Open(_)).then_some(())
}

fn is_close(event: &Event) -> Option<()> {
    matches!(event, Event::Close(_)).then_some(())
}

#[test]
fn the_figures_add_up_after_reconnects_drops_expiry_and_eviction() {
    let _watch = watchdog(60, "stats");
    let server = Server::start(Behaviour::echo());
    let client = Client::builder(&server.url())
        .outbox(OutboxLimits::new().messages(4).evict_oldest_when_full())
        .heartbeat(Heartbeat::ping().after_silence(20 * MS).timeout(SOON))
        .reconnect(Reconnect::fixed(5 * MS))
        .build()
        .unwrap();
    let told = Told::by(&client);
    let mut seen = Vec::new();
    let mut wait_for = |wanted: &dyn Fn(&Event) -> Option<()>| {
        told.wait_for(|event| {
            seen.push(event.clone());
            wanted(event)
        });
    };
    let echo = |event: &Event| matches!(event, Event::Message(_)).then_some(());

    // Two of six do not fit.
    for _ in 0..6 {
        client.send_text("12345").unwrap();
    }
    let stats = client.stats();
    assert_eq!((stats.accepted(), stats.evicted()), (6, 2));
    assert_eq!((stats.queued_messages(), stats.queued_bytes()), (4, 20));
    assert_eq!((stats.attempts(), stats.sessions(), stats.since_received()), (0, 0, None));
    client.connect().unwrap();
    for _ in 0..4 {
        wait_for(&echo);
    }
    wait_for(&|event| matches!(event, Event::Heartbeat(_)).then_some(()));
    let stats = client.stats();
    assert_eq!((stats.messages_sent(), stats.bytes_sent()), (4, 20));
    assert_eq!((stats.messages_received(), stats.bytes_received()), (4, 20));
    assert_eq!((stats.queued_messages(), stats.queued_bytes()), (0, 0));

    // One of three is too old when the link is up again.
    server.stop();
    wait_for(&is_close);
    client.send_text("123").unwrap();
    client.send_binary(b"1234567").unwrap();
    client.send_with(MessageRef::Text("old"), SendOptions::new().time_to_live(MS)).unwrap();
    let expired = Fate::Dropped(DropReason::Expired);
    wait_for(&|event| matches!(event, Event::Outcome(outcome) if outcome.fate() == expired).then_some(()));
    server.restart();
    wait_for(&is_open);
    wait_for(&echo);
    wait_for(&echo);

    // Three have nowhere to go when the user closes.
    server.stop();
    wait_for(&is_close);
    for _ in 0..3 {
        client.send_text("lost").unwrap();
    }
    client.close(1000, "").unwrap();
    wait_for(&|event| matches!(event, Event::ClosedForGood(_)).then_some(()));
    assert!(matches!(client.wait_closed(SOON), Ok(End::Closed)));

    let stats = client.stats();
    assert_eq!(stats.accepted(), 12);
    assert_eq!((stats.messages_sent(), stats.bytes_sent()), (6, 30));
    assert_eq!((stats.messages_received(), stats.bytes_received()), (6, 30));
    assert_eq!((stats.evicted(), stats.expired(), stats.dropped_on_close()), (2, 1, 3));
    assert_eq!((stats.unknown(), stats.events_discarded()), (0, 0));
    assert_eq!((stats.queued_messages(), stats.queued_bytes()), (0, 0));
    let ends = [stats.messages_sent(), stats.expired(), stats.evicted(), stats.dropped_on_close()];
    assert_eq!(ends.iter().sum::<u64>() + stats.unknown(), stats.accepted());

    let count = |wanted: fn(&Event) -> bool| seen.iter().filter(|event| wanted(event)).count() as u64;
    assert_eq!(stats.sessions(), count(|event| matches!(event, Event::Open(_))));
    assert_eq!(stats.sessions(), count(|event| matches!(event, Event::Close(_))));
    let failed = count(|event| matches!(event, Event::ConnectFailed(_)));
    // The user's close may have abandoned one.
    assert!((stats.sessions() + failed..=stats.sessions() + failed + 1).contains(&stats.attempts()));
    assert!(stats.last_rtt().is_some() && stats.smoothed_rtt().is_some() && stats.since_received().is_some());

    // Each accepted message had exactly one outcome, and the same as was counted.
    let mut fates = BTreeMap::new();
    for event in &seen {
        if let Event::Outcome(outcome) = event {
            for id in outcome.first().get()..=outcome.last().get() {
                assert!(fates.insert(id, outcome.fate()).is_none(), "message {id} has two outcomes");
            }
        }
    }
    let with = |fate| fates.values().filter(|found| **found == fate).count() as u64;
    assert_eq!(fates.len() as u64, stats.accepted());
    assert_eq!(with(Fate::Completed(Level::Written)), stats.messages_sent());
    assert_eq!(with(Fate::Dropped(DropReason::Evicted)), stats.evicted());
    assert_eq!(with(expired), stats.expired());
    assert_eq!(with(Fate::Dropped(DropReason::Closed)), stats.dropped_on_close());
}

#[test]
fn the_smoothed_round_trip_time_lies_between_those_that_were_told() {
    let _watch = watchdog(30, "round-trip times");
    let server = Server::start(Behaviour::silent());
    let beat = Heartbeat::ping().after_silence(5 * MS).timeout(SOON);
    let client = Client::builder(&server.url()).heartbeat(beat).build().unwrap();
    let told = Told::by(&client);
    client.connect().unwrap();
    let mut times = Vec::new();
    for _ in 0..8 {
        times.push(told.wait_for(|event| match event {
            Event::Heartbeat(time) => Some(*time),
            _ => None,
        }));
    }
    client.close(1000, "").unwrap();
    for event in told.to_the_end() {
        if let Event::Heartbeat(time) = event {
            times.push(time);
        }
    }
    let stats = client.stats();
    assert_eq!(stats.last_rtt(), times.last().copied());
    let smoothed = stats.smoothed_rtt().unwrap();
    // Each step of the smoothing may round down.
    let least = times.iter().min().unwrap().saturating_sub(Duration::from_nanos(times.len() as u64 * 8));
    assert!((least..=*times.iter().max().unwrap()).contains(&smoothed), "{smoothed:?} of {times:?}");
}

/// Whatever must not be found in a log contains this.
const MARK: &str = "zq~";

/// Refused, sent elsewhere, opened, cut, opened again, closed: everything that is logged, with secrets wherever they can be.
fn live_with_secrets(builder: Builder, server: &Server) -> Vec<String> {
    log_lines::keep();
    let client = builder
        .header("Cookie", "session=cookie-zq~")
        .header("X-Api-Key", "key-zq~")
        .cookies(true)
        .subprotocol("token-zq~")
        .greeting(r#"{"login":"greeting-zq~"}"#)
        .reconnect(Reconnect::fixed(5 * MS).retry_status(302, true))
        .before_connect(|attempt| {
            if attempt.number() == 1 {
                return Err("the token's server said: zq~".into());
            }
            attempt.set_header("X-Token", "fresh-zq~")?;
            assert!(!format!("{attempt:?}").contains(MARK));
            Ok(())
        })
        .heartbeat(Heartbeat::text("beat-zq~").any_reply().after_silence(20 * MS).timeout(SOON))
        .build()
        .unwrap();
    let told = Told::by(&client);
    client.connect_with("first-zq~").unwrap();
    for _ in 0..3 {
        told.wait_for(|event| matches!(event, Event::ConnectFailed(_)).then_some(()));
    }
    told.wait_for(is_open);
    client.send_text("text-zq~").unwrap();
    client.send_binary(b"binary-zq~").unwrap();
    client.ping(b"ping-zq~").unwrap();
    told.wait_for(|event| matches!(event, Event::Heartbeat(_)).then_some(()));
    server.cut(4);
    told.wait_for(is_open);
    assert_explains_discreetly(&client, "open since ");
    client.close(1000, "reason-zq~").unwrap();
    told.to_the_end();
    assert_explains_discreetly(&client, "closed since ");
    let name = client.name().to_owned();
    drop(client);
    log_lines::of(&name)
}

/// A bug report is read by more people than a log.
#[track_caller]
fn assert_explains_discreetly(client: &Client, words: &str) {
    let text = client.explain();
    assert!(text.contains(words) && text.contains(" -> "), "{text}");
    // Basic authentication has the user's name and password in another alphabet.
    let told = [MARK, "Basic", "dXNlci16c", "YnItenE", "Bearer"].into_iter().find(|part| text.contains(part));
    assert_eq!(told, None, "a secret: {text}");
}

fn setup() -> Setup {
    Setup::each(|n| match n {
        1 => Behaviour::refuse(503, &[("Set-Cookie", "id=set-zq~")], "body-zq~"),
        2 => Behaviour::refuse(302, &[("Location", "ftp://a-zq~:b-zq~@h/zq~?token=zq~")], "moved-zq~"),
        3 => Behaviour::refuse(302, &[("Location", "/there?token=zq~")], "moved-zq~"),
        _ => Behaviour::echo()
            .header("Set-Cookie", "id=set-zq~")
            .subprotocol("token-zq~")
            .greeting("server-zq~"),
    })
}

#[track_caller]
fn assert_discreet(lines: &[String]) {
    for part in [
        "attempt 2 to ws",
        "HTTP status 503",
        "before_connect failed",
        "HTTP status 302",
        "redirected with 302 to ws",
        "open (attempt",
        "open again",
        "closed for good",
        "destroyed",
    ] {
        assert!(lines.iter().any(|line| line.contains(part)), "no line has {part:?}: {lines:#?}");
    }
    let of_others = log_lines::of_others();
    assert!(!of_others.is_empty(), "the crates below log, too");
    for line in of_others.iter().chain(&log_lines::all()) {
        // Basic authentication has the user's name and password in another alphabet.
        let basic = ["Basic", "dXNlci16c", "YnItenE", "Bearer"].iter().any(|part| line.contains(part));
        assert!(!line.contains(MARK) && !basic, "a secret: {line}");
    }
    let nobodys = log_lines::all().into_iter().find(|line| !line.starts_with('['));
    assert_eq!(nobodys, None, "each line has its client's name");
}

#[test]
fn log_lines_have_a_name_and_no_secret() {
    let _watch = watchdog(60, "logs");
    let server = setup().start();
    let url = format!("ws://user-zq~:pass-zq~@127.0.0.1:{}/feed?token=query-zq~", server.port());
    let lines = live_with_secrets(Client::builder(&url), &server);
    // The name is the host and the port unless one is given.
    assert_eq!(lines, log_lines::of(&format!("127.0.0.1:{}", server.port())));
    assert_discreet(&lines);
}

#[cfg(feature = "native-tls")]
#[test]
fn log_lines_have_a_name_and_no_secret_with_tls() {
    use support::certs::Certs;

    let _watch = watchdog(60, "logs with TLS");
    let server = setup().tls(Certs::shared().server_config()).start();
    let url = format!("wss://localhost:{}/feed?token=query-zq~", server.port());
    let tls = || heartwire::Tls::new().ca_pem(Certs::shared().ca_pem.clone());
    let builder = Client::builder(&url).name("tls").tls(tls()).header("Authorization", "Bearer bearer-zq~");
    assert_discreet(&live_with_secrets(builder, &server));

    let server = setup().tls(Certs::shared().server_config()).start();
    let with_user = format!("wss://user-zq~:pass-zq~@localhost:{}/feed?token=query-zq~", server.port());
    let builder = Client::builder(&with_user).name("tls with basic authentication").tls(tls());
    assert_discreet(&live_with_secrets(builder, &server));

    // A server that nobody vouches for.
    let client = Client::builder(&url)
        .name("untrusting")
        .header("Authorization", "Bearer bearer-zq~")
        .reconnect(Reconnect::never())
        .build()
        .unwrap();
    let told = Told::by(&client);
    client.connect().unwrap();
    told.to_the_end();
    assert_explains_discreetly(&client, "TLS refused the certificate");
    drop(client);
    let lines = log_lines::of("untrusting");
    assert!(lines.iter().any(|line| line.contains("TLS refused the certificate")), "{lines:#?}");
    assert!(log_lines::all().iter().chain(&log_lines::of_others()).all(|line| !line.contains(MARK)));
}

#[test]
fn a_proxys_login_is_in_no_log_line_no_event_and_no_debug_output() {
    use support::proxy::{Asked, Lets, http_proxy, socks_proxy};

    let _watch = watchdog(60, "logs of proxies");
    log_lines::keep();
    let server = Server::start(Behaviour::echo());
    let behaviours = [
        ("http", http_proxy(Lets::Everyone, &Asked::default())),
        ("http", http_proxy(Lets::User, &Asked::default())),
        ("socks5", socks_proxy(Lets::User, &Asked::default())),
        // One that sends all back that it was told.
        (
            "http",
            Behaviour::answers(|head| {
                let login = head.split("Basic ").nth(1).and_then(|rest| rest.split('\r').next());
                format!("HTTP/1.1 407 {0}\r\nX: {0}\r\n\r\n{0}", login.unwrap_or_default())
            }),
        ),
    ];
    for (n, (scheme, behaviour)) in behaviours.into_iter().enumerate() {
        let proxy = Server::start(behaviour);
        let name = format!("proxied {n}");
        let setting = heartwire::Proxy::new(format!("{scheme}://user-zq~:pass-zq~@{}", proxy.address()));
        assert!(!format!("{setting:?}").contains(MARK), "{setting:?}");
        let builder = Client::builder(&server.url()).name(&name).proxy(setting).reconnect(Reconnect::never());
        assert!(!format!("{builder:?}").contains(MARK));
        let client = builder.build().unwrap();
        let told = Told::by(&client);
        client.connect().unwrap();
        if n == 0 {
            told.wait_for(is_open);
            client.close(1000, "").unwrap();
        }
        for event in told.to_the_end() {
            assert!(!event.to_string().contains(MARK), "{event}");
        }
        assert!(!format!("{client:?}").contains(MARK));
        assert_explains_discreetly(&client, &format!("through {scheme}://127.0.0.1:"));
        drop(client);
        let lines = log_lines::of(&name);
        assert!(
            lines.iter().any(|line| line.contains(&format!("through {scheme}://127.0.0.1:"))),
            "{lines:#?}"
        );
    }
    for line in log_lines::all().iter().chain(&log_lines::of_others()) {
        let basic = ["Basic", "dXNlci16c", "YnItenE"].iter().any(|part| line.contains(part));
        assert!(!line.contains(MARK) && !basic, "a secret: {line}");
    }
    for wrong in [
        "ftp://user-zq~:pass-zq~@h",
        "user-zq~:pass-zq~@h:1",
        "http://user-zq~:pass-zq~@h/path-zq~",
        "http://a:zq~\n@h",
    ] {
        let error = Client::builder("ws://h").proxy(wrong).build().expect_err("a config error");
        assert!(!format!("{error} {error:?}").contains(MARK), "{error:?}");
    }
}

/// RFC 6455 section 4.2.2 lets a server choose one subprotocol; one that sends all of them back tells a token that is among
/// them.
#[test]
fn what_a_server_makes_of_a_subprotocol_or_an_extension_stays_out_of_logs_and_short() {
    let _watch = watchdog(60, "logs of a wrong answer");
    log_lines::keep();
    let long: &str = "x".repeat(20_000).leak();
    let both = format!("chat, token-zq~, {long}");
    let answers = [
        ("echoes", Behaviour::echo().subprotocol(&both)),
        ("extends", Behaviour::echo().header("Sec-WebSocket-Extensions", long)),
    ];
    for (name, behaviour) in answers {
        let server = Server::start(behaviour);
        let client = Client::builder(&server.url())
            .name(name)
            .subprotocol("chat")
            .subprotocol("token-zq~")
            .reconnect(Reconnect::never())
            .build()
            .unwrap();
        let told = Told::by(&client);
        client.connect().unwrap();
        let text = told.wait_for(|event| match event {
            Event::ConnectFailed(failed) => Some(failed.to_string()),
            _ => None,
        });
        told.to_the_end();
        assert_explains_discreetly(&client, "was not asked for");
        drop(client);
        assert!(!text.contains(MARK) && text.len() < 1000, "{} bytes: {}", text.len(), &text[..200]);
        let lines = log_lines::of(name);
        assert!(lines.iter().any(|line| line.contains("was not asked for")), "{lines:#?}");
        assert!(lines.iter().all(|line| !line.contains(MARK) && line.len() < 1000), "a secret, or too long");
    }
}

#[test]
fn a_handler_of_parts_that_can_never_come_is_told_of_in_the_log() {
    let _watch = watchdog(60, "a handler of parts");
    log_lines::keep();
    let client = |name| Client::builder("ws://127.0.0.1:1/").name(name);
    client("whole").build().unwrap().on_fragment(|_, _| {});
    client("parts").fragments_above(1000).build().unwrap().on_fragment(|_, _| {});
    let told = |name| log_lines::of(name).iter().any(|line| line.contains("fragments_above is not set"));
    assert_eq!((told("whole"), told("parts")), (true, false));
}

#[test]
fn debug_output_of_client_and_builder_shows_no_secret() {
    let _watch = watchdog(60, "debug output");
    let builder = Client::builder("ws://user-zq~:pass-zq~@127.0.0.1:9/?token=query-zq~")
        .header("Cookie", "cookie-zq~")
        .greeting("greeting-zq~");
    assert!(!format!("{builder:?}").contains(MARK));
    let client = builder.build().unwrap();
    client.send_text("text-zq~").unwrap();
    assert!(!client.explain().contains(MARK));
    assert!(!format!("{client:?} {:?} {:?}", client.downgrade(), client.stats()).contains(MARK));
}
