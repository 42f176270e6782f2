//! Servers whose TLS is bad in every way: each is refused for what it is, in typed words and in the platform's.
//!
//! The platform's words are compared on OpenSSL only; they differ between platforms, and so does no kind.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use heartwire::{Cause, End, Event, Phase, Reconnect, Tls, TlsFault, TlsFaultKind, TlsVersion};

use crate::net::{Net, SOON, close, failed, ms, opened, received, rest, trusting};
use crate::support::certs::{Certs, ClientCert, Identity, tls_server};
use crate::support::frames::{frame, raw_frame};
use crate::support::upgrade::{read_request_head, switching_protocols};
use crate::support::{Behaviour, Direction, Point, Relay, Server, Setup, Then};

const ON_OPENSSL: bool = cfg!(not(any(target_vendor = "apple", windows)));

fn certs() -> &'static Certs {
    Certs::shared()
}

fn showing(identity: &Identity) -> Server {
    Setup::new(Behaviour::echo()).tls(certs().config_with(identity)).start()
}

fn by_address(server: &Server) -> String {
    format!("wss://127.0.0.1:{}/", server.port())
}

fn by_name(server: &Server) -> String {
    format!("wss://localhost:{}/", server.port())
}

/// Why the client did not get through, in phase Tls; it tells of nothing else, and of no open session.
#[track_caller]
fn refusal(net: &Net, url: &str, tls: Tls) -> TlsFault {
    let client = net.builder(url).tls(tls).reconnect(Reconnect::never()).connect().unwrap();
    let told = rest(&client);
    let mut failures = told.iter().filter_map(|event| match event {
        Event::ConnectFailed(failed) => Some(failed.error().clone()),
        Event::Open(_) | Event::Close(_) | Event::Message(_) => panic!("{event}"),
        _ => None,
    });
    let error = failures.next().expect("a failure");
    assert!(failures.next().is_none());
    assert!(matches!(told.last(), Some(Event::ClosedForGood(End::GaveUp(_)))), "{told:?}");
    assert_eq!(error.phase(), Phase::Tls, "{error}");
    let Cause::Tls(fault) = error.cause() else { panic!("{error:?}") };
    assert!(error.to_string().contains(fault.text()), "the platform's words are shown: {error}");
    fault.clone()
}

#[track_caller]
fn refused(net: &Net, url: &str, tls: Tls, kind: TlsFaultKind, words: &str) {
    let fault = refusal(net, url, tls);
    assert_eq!(fault.kind(), kind, "{fault}");
    assert!(!fault.text().is_empty());
    assert!(!ON_OPENSSL || fault.text().contains(words), "no {words:?} in {:?}", fault.text());
}

#[track_caller]
fn works(net: &Net, url: &str, tls: Tls) {
    let client = net.builder(url).tls(tls).connect().unwrap();
    opened(&client);
    client.send_text("sealed").unwrap();
    assert_eq!(received(&client).as_text(), Some("sealed"));
    close(&client);
}

/// RFC 5280 section 6 (paths, times), RFC 9525 (names; an address is compared with addresses only, section 6.5).
fn each_bad_certificate_is_refused_for_what_is_bad_about_it(net: &Net) {
    use TlsFaultKind::{Certificate, HostName};
    let other = Certs::generate();
    let of_other = Setup::new(Behaviour::echo()).tls(other.server_config()).start();
    let c = certs();
    let (own, expired, early) = (showing(&c.server), showing(&c.expired), showing(&c.not_yet_valid));
    let (wrong, alone) = (showing(&c.wrong_host), showing(&c.self_signed));
    let (name, address, text) =
        (showing(&c.name_only), showing(&c.address_only), showing(&c.address_as_name));
    works(net, &by_name(&own), trusting());
    works(net, &by_address(&own), trusting());
    works(net, &by_name(&name), trusting());
    works(net, &by_address(&address), trusting());

    for url in [by_name, by_address] {
        refused(net, &url(&expired), trusting(), Certificate, "certificate has expired");
        refused(net, &url(&early), trusting(), Certificate, "certificate is not yet valid");
        refused(net, &url(&alone), trusting(), Certificate, "self-signed certificate");
        refused(net, &url(&of_other), trusting(), Certificate, "unable to get local issuer certificate");
        // The platform's own roots know none of ours.
        refused(net, &url(&own), Tls::new(), Certificate, "unable to get local issuer certificate");
    }
    refused(net, &by_name(&wrong), trusting(), HostName, "hostname mismatch");
    refused(net, &by_address(&wrong), trusting(), HostName, "IP address mismatch");
    refused(net, &by_address(&name), trusting(), HostName, "IP address mismatch");
    refused(net, &by_name(&address), trusting(), HostName, "hostname mismatch");
    refused(net, &by_address(&text), trusting(), HostName, "IP address mismatch");
}

/// What each switch lets through, and nothing else.
fn the_dangerous_switches_switch_off_what_they_name_and_nothing_else(net: &Net) {
    use TlsFaultKind::{Certificate, Protocol, Refused, Truncated};
    let other = Certs::generate();
    let c = certs();
    let wrong_and_unknown = Setup::new(Behaviour::echo()).tls(other.config_with(&other.wrong_host)).start();
    let any_name = || trusting().danger_accept_invalid_hostnames(true);
    // Names only: all that the certificate itself must be is still asked for.
    for identity in [&c.server, &c.wrong_host, &c.name_only, &c.address_only, &c.address_as_name] {
        let server = showing(identity);
        works(net, &by_address(&server), any_name());
        works(net, &by_name(&server), any_name());
    }
    for (identity, words) in [
        (&c.expired, "certificate has expired"),
        (&c.not_yet_valid, "certificate is not yet valid"),
        (&c.self_signed, "self-signed certificate"),
    ] {
        refused(net, &by_name(&showing(identity)), any_name(), Certificate, words);
    }
    refused(
        net,
        &by_name(&wrong_and_unknown),
        any_name(),
        Certificate,
        "unable to get local issuer certificate",
    );

    // Any certificate: and with it any name, since a name in a certificate that anybody can make proves nothing.
    let any = || trusting().danger_accept_invalid_certificates(true);
    for identity in [&c.server, &c.expired, &c.not_yet_valid, &c.self_signed, &c.wrong_host] {
        works(net, &by_name(&showing(identity)), any());
    }
    works(net, &by_address(&wrong_and_unknown), any());

    // Neither of them, nor both, touch versions, client certificates, or how a stream may end.
    for tls in [any_name(), any(), any_name().danger_accept_invalid_certificates(true)] {
        if !cfg!(target_vendor = "apple") {
            let old = Setup::new(Behaviour::echo()).tls(c.tls12_only()).start();
            refused(
                net,
                &by_name(&old),
                tls.clone().min_version(TlsVersion::Tls13),
                Protocol,
                "protocol version",
            );
        }
        let strict = c.config(&c.server, rustls::ALL_VERSIONS, ClientCert::Required);
        let strict = Setup::new(Behaviour::echo()).tls(strict).start();
        refused(net, &by_name(&strict), tls.clone(), Refused, "certificate required");
        let cut = tls_server(Behaviour::stops(Point::Requested, Then::End));
        refused(net, &by_name(&cut), tls, Truncated, "without close_notify");
    }
}

/// RFC 8446 section 4.4.2.4: a server that wants a certificate may refuse one that it cannot verify.
fn a_client_certificate_that_is_missing_or_of_another_authority_is_the_servers_refusal(net: &Net) {
    let stranger = Certs::generate().client;
    let wrong = trusting().client_pem(stranger.cert_pem.as_str(), stranger.pkcs8_pem.as_str());
    // A certificate that does not say so is not one for clients.
    let server_as_client =
        trusting().client_pem(certs().server.cert_pem.as_str(), certs().server.key_pem.as_str());
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = certs().config(&certs().server, &[version], ClientCert::Required);
        let server = Setup::new(Behaviour::echo()).tls(config).start();
        // The alerts of RFC 8446 section 6.2. The stranger's authority has the name of ours, and another key.
        for (tls, words) in [
            (trusting(), "certificate required"),
            (wrong.clone(), "decrypt error"),
            (server_as_client.clone(), "unsupported certificate"),
        ] {
            refused(net, &by_name(&server), tls, TlsFaultKind::Refused, words);
        }
        let own = &certs().client;
        works(net, &by_name(&server), trusting().client_pem(own.cert_pem.as_str(), own.pkcs8_pem.as_str()));
    }
}

/// A ServerHello of TLS 1.`minor - 1`, which is all that such a server has to say to a ClientHello.
fn old_server_hello(minor: u8) -> Vec<u8> {
    // RFC 4346 section 7.4.1.3: version, random, no session, TLS_RSA_WITH_AES_128_CBC_SHA, no compression.
    let mut hello = vec![3, minor];
    hello.extend([0x5A; 32]);
    hello.extend([0, 0x00, 0x2F, 0]);
    let mut record = vec![22, 3, minor, 0, 4 + hello.len() as u8, 2, 0, 0, hello.len() as u8];
    record.extend(hello);
    record
}

/// RFC 8996: TLS 1.0 and 1.1 must not be used. rustls cannot speak them, so the server's answer is made by hand; a real
/// server of each, by OpenSSL, is in `.ci/old_tls`.
fn a_server_that_speaks_no_tls_after_1_1_is_refused_as_a_protocol(net: &Net) {
    for minor in [1, 2] {
        let server = Server::start(Behaviour::raw(move |stream, _| {
            let mut some = [0; 4096];
            let _ = stream.read(&mut some).and_then(|_| stream.write_all(&old_server_hello(minor)));
            while stream.read(&mut some).is_ok_and(|n| n > 0) {}
        }));
        for tls in [trusting(), trusting().danger_accept_invalid_certificates(true)] {
            refused(net, &by_name(&server), tls, TlsFaultKind::Protocol, "unsupported protocol");
        }
    }
    // One that refuses us instead, with the alert protocol_version (RFC 5246 section 7.2.2).
    let server = Server::start(Behaviour::raw(|stream, _| {
        let mut some = [0; 4096];
        let _ = stream.read(&mut some).and_then(|_| stream.write_all(&[21, 3, 1, 0, 2, 2, 70]));
        while stream.read(&mut some).is_ok_and(|n| n > 0) {}
    }));
    refused(net, &by_name(&server), trusting(), TlsFaultKind::Protocol, "protocol version");
}

/// RFC 6455 section 3: the scheme says which of the two is spoken on a port.
fn plain_on_a_tls_port_and_tls_on_a_plain_port_are_told_as_such(net: &Net) {
    let plain = Server::start(Behaviour::echo());
    // What it makes of a ClientHello is no request, and it hangs up.
    let fault = refusal(net, &by_name(&plain), trusting());
    assert!([TlsFaultKind::Protocol, TlsFaultKind::Truncated].contains(&fault.kind()), "{fault}");
    // One that answers in HTTP.
    let http = Server::start(Behaviour::raw(|stream, _| {
        let mut some = [0; 4096];
        let _ = stream.read(&mut some).and_then(|_| stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
        while stream.read(&mut some).is_ok_and(|n| n > 0) {}
    }));
    refused(net, &by_name(&http), trusting(), TlsFaultKind::Protocol, "wrong version number");
    // And the other way round: an alert record is no HTTP.
    let secure = net.server(Behaviour::echo());
    let client = net.builder(&by_name(&secure).replace("wss", "ws")).connect().unwrap();
    let failed = failed(&client);
    assert_eq!(failed.error().phase(), Phase::Upgrade);
    let cause = failed.error().cause();
    assert!(matches!(cause, Cause::BadUpgrade(heartwire::UpgradeFault::NotHttp)), "{cause:?}");
}

/// How a stream ends behind the bytes that were sent.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cut {
    BetweenRecords,
    /// RFC 8446 section 5.2: the record's head says that 100 bytes follow, and three do.
    InARecord,
    /// With close_notify: TLS is whole, and the session is not.
    Notified,
}

/// RFC 8446 section 6.1, and 6455 section 7.1.5: only close_notify ends TLS, and only Close ends a session.
fn a_stream_that_is_cut_in_the_middle_of_a_message_is_never_a_clean_end(net: &Net) {
    let half = raw_frame(0x81, b"cut in its middle")[..9].to_vec();
    let first_part = raw_frame(0x01, b"and nothing after it");
    // Nothing of a message is enough: the session has not ended either.
    let unfinished = [half, first_part, Vec::new()];
    let cuts = [Cut::BetweenRecords, Cut::InARecord, Cut::Notified];
    for (unfinished, cut) in unfinished.iter().flat_map(|part| cuts.map(|cut| (part, cut))) {
        let bytes = [frame(1, b"whole"), unfinished.clone()].concat();
        let server = net.server(Behaviour::raw(move |stream, _| {
            let Ok(head) = read_request_head(stream) else { return };
            let all = [switching_protocols(&head, "").as_bytes(), &bytes].concat();
            let _ = stream.write_all(&all).and_then(|()| stream.flush());
            match cut {
                Cut::BetweenRecords => {}
                Cut::InARecord => drop(stream.tcp().write_all(&[23, 3, 3, 0, 100, 1, 2, 3])),
                Cut::Notified => stream.end_tls(),
            }
            let _ = stream.tcp().shutdown(Shutdown::Write);
            while stream.read(&mut [0; 64]).is_ok_and(|n| n > 0) {}
        }));
        let client = net.to(&server).reconnect(Reconnect::never()).connect().unwrap();
        assert_eq!(received(&client).as_text(), Some("whole"));
        let told = rest(&client);
        let closed = told.iter().find_map(|event| if let Event::Close(c) = event { Some(c) } else { None });
        let closed = closed.expect("a close");
        assert_eq!((closed.code(), closed.is_clean()), (1006, false), "{closed}");
        match closed.error().expect("an error").cause() {
            Cause::Tls(fault) if cut != Cut::Notified => {
                assert_eq!(fault.kind(), TlsFaultKind::Truncated, "{fault}");
                assert!(!ON_OPENSSL || fault.text().contains("without close_notify"), "{fault}");
            }
            Cause::EndOfStream if cut == Cut::Notified => {}
            other => panic!("{cut:?}: {other:?}"),
        }
        assert!(!told.iter().any(|event| matches!(event, Event::Message(_))), "half a message is none");
    }
}

fn a_handshake_that_is_slow_is_waited_for_and_one_that_is_too_slow_is_not(net: &Net) {
    let server = net.server(Behaviour::echo());
    let relay = Relay::start(server.address());
    let url = by_name(&server).replace(&server.port().to_string(), &relay.port().to_string());
    // Some 2 KB each way, in pieces that cut every record.
    relay.trickle(16, ms(2));
    let client = net.builder(&url).connect().unwrap();
    opened(&client);
    assert!(relay.bytes(Direction::Down) > 500);
    drop(client);

    relay.trickle(1, ms(20));
    let began = Instant::now();
    let client = net.builder(&url).connect_timeout(ms(400)).connect().unwrap();
    let failed = failed(&client);
    assert_eq!(failed.error().phase(), Phase::Tls);
    assert!(matches!(failed.error().cause(), Cause::TimedOut), "{failed}");
    let took = began.elapsed();
    assert!(took >= ms(400) && took < Duration::from_millis(2400), "{took:?}");
    let began = Instant::now();
    client.close(1000, "").unwrap();
    assert!(matches!(client.wait_closed(SOON).unwrap(), End::Closed));
    assert!(began.elapsed() < ms(1000), "{:?}", began.elapsed());
}

stamp_modes! {
    Tls:
    a_client_certificate_that_is_missing_or_of_another_authority_is_the_servers_refusal,
    a_handshake_that_is_slow_is_waited_for_and_one_that_is_too_slow_is_not,
    a_server_that_speaks_no_tls_after_1_1_is_refused_as_a_protocol,
    a_stream_that_is_cut_in_the_middle_of_a_message_is_never_a_clean_end,
    each_bad_certificate_is_refused_for_what_is_bad_about_it,
    plain_on_a_tls_port_and_tls_on_a_plain_port_are_told_as_such,
    the_dangerous_switches_switch_off_what_they_name_and_nothing_else,
}
