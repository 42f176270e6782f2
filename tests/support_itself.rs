//! The support code does what its names promise.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};
use support::PATIENCE;
use support::certs::{CLIENT_P12_CA_PEM, Certs, ClientCert, RSA_CERT_PEM, RSA_PKCS8_PEM, tls_server};
use support::frames::{fragmented, frame, raw_frame};
use support::upgrade::{read_request_head, switching_protocols};
use support::watch::{descriptor_count, thread_count, thread_names, voluntary_switches, within};
use support::{Behaviour, Direction, Ending, Message, Relay, Server, ServerEvent, Setup, watchdog};
use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{Message as Wire, WebSocket, client};

type Plain = WebSocket<TcpStream>;

fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn open_at(address: SocketAddr) -> Plain {
    client(format!("ws://{address}/path?q=1"), tcp(address)).expect("an open WebSocket").0
}

fn open(server: &Server) -> Plain {
    open_at(server.address())
}

fn text(text: &str) -> Wire {
    Wire::text(text.to_owned())
}

/// Nothing comes for a while; used only where a wrong implementation would answer at once.
fn stays_silent(socket: &mut TcpStream) -> bool {
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let silent = matches!(socket.read(&mut [0; 1]), Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    silent
}

#[test]
fn an_echo_server_sends_everything_back_and_tells_what_it_saw() {
    let _watch = watchdog(30, "echo");
    let server = Server::start(Behaviour::echo());
    let mut ws = open(&server);
    let (n, request) = server.wait_connected();
    assert_eq!((n, server.connections()), (1, 1));
    assert_eq!(request.target(), "/path?q=1");
    assert_eq!(request.header("Upgrade"), Some("websocket"));

    ws.send(text("hello")).unwrap();
    ws.send(Wire::binary(vec![1, 2, 3])).unwrap();
    assert_eq!(ws.read().unwrap(), text("hello"));
    assert_eq!(ws.read().unwrap(), Wire::binary(vec![1, 2, 3]));
    assert_eq!(server.wait_message(), Message::from("hello"));
    assert_eq!(server.received(), [(1, Message::from("hello")), (1, Message::from(vec![1, 2, 3]))]);

    ws.close(Some(CloseFrame { code: 4000.into(), reason: "bye".into() })).unwrap();
    assert_eq!(server.wait_closed(), (Some(4000), "bye".to_owned()));
    assert!(matches!(ws.read(), Ok(Wire::Close(Some(frame))) if u16::from(frame.code) == 4000));
    assert!(matches!(ws.read(), Err(tungstenite::Error::ConnectionClosed)));
    drop(ws);
    assert_eq!(server.wait_ended(), Ending::Fin);
}

#[test]
fn a_silent_server_counts_and_never_answers() {
    let _watch = watchdog(30, "silent");
    let server = Server::start(Behaviour::silent());
    let mut ws = open(&server);
    ws.send(text("anyone?")).unwrap();
    assert_eq!(server.wait_message(), Message::from("anyone?"));
    assert!(stays_silent(ws.get_mut()));
    assert_eq!(server.received_texts(), ["anyone?"]);
}

#[test]
fn greetings_subprotocol_and_headers_come_with_the_upgrade() {
    let _watch = watchdog(30, "greetings");
    let behaviour =
        Behaviour::silent().greeting("one").greeting(vec![2]).subprotocol("chat").header("X-Mine", "yes");
    let server = Server::start(behaviour);
    let mut request = server.url().into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", "superchat, chat".parse().unwrap());
    let (mut ws, response) = client(request, tcp(server.address())).unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    assert_eq!(response.headers()["x-mine"], "yes");
    assert_eq!(server.wait_connected().1.subprotocols(), ["superchat", "chat"]);
    assert_eq!(ws.read().unwrap(), text("one"));
    assert_eq!(ws.read().unwrap(), Wire::binary(vec![2]));
}

#[test]
fn a_refusal_has_its_status_headers_and_body() {
    let _watch = watchdog(30, "refusal");
    let server = Server::start(Behaviour::refuse(503, &[("Retry-After", "7")], "later"));
    match client(server.url(), tcp(server.address())) {
        Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) => {
            assert_eq!(response.status(), 503);
            assert_eq!(response.headers()["retry-after"], "7");
            assert_eq!(response.body().as_deref(), Some(b"later".as_slice()));
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
    server.wait_for(PATIENCE, |e| matches!(e, ServerEvent::Refused { n: 1, .. }).then_some(()));
}

#[test]
fn each_connection_can_be_treated_differently_and_new_ones_be_treated_anew() {
    let _watch = watchdog(30, "each");
    let server =
        Setup::each(|n| if n == 1 { Behaviour::refuse(401, &[], "") } else { Behaviour::echo() }).start();
    assert!(client(server.url(), tcp(server.address())).is_err());
    let mut ws = open(&server);
    ws.send(text("second")).unwrap();
    assert_eq!(ws.read().unwrap(), text("second"));

    server.treat_new_connections(|_| Behaviour::silent().greeting("third"));
    assert_eq!(open(&server).read().unwrap(), text("third"));
    assert_eq!(server.connections(), 3);
}

#[test]
fn an_upgrade_can_stay_unanswered() {
    let _watch = watchdog(30, "never upgrade");
    let server = Server::start(Behaviour::never_upgrade());
    let mut stream = tcp(server.address());
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        .unwrap();
    server.wait_for(PATIENCE, |e| matches!(e, ServerEvent::Refused { .. }).then_some(()));
    assert!(stays_silent(&mut stream));
}

#[test]
fn the_server_can_close_at_once_and_on_request() {
    let _watch = watchdog(30, "closes");
    let server = Setup::each(|n| match n {
        1 => Behaviour::close_at_once(1013, "try later"),
        2 => Behaviour::echo(),
        _ => Behaviour::commands(),
    })
    .start();
    let code_of = |ws: &mut Plain| match ws.read().unwrap() {
        Wire::Close(Some(frame)) => u16::from(frame.code),
        other => panic!("expected Close, got {other:?}"),
    };
    assert_eq!(code_of(&mut open(&server)), 1013);

    let mut ws = open(&server);
    server.wait_for(PATIENCE, |e| matches!(e, ServerEvent::Connected { n: 2, .. }).then_some(()));
    assert!(server.close(2, 1001, "away"));
    assert_eq!(code_of(&mut ws), 1001);
    assert!(ws.flush().is_err() || ws.read().is_err());
    assert_eq!(server.wait_closed().0, Some(1001));

    let mut ws = open(&server);
    ws.send(text("close 4001 as you wish")).unwrap();
    assert_eq!(code_of(&mut ws), 4001);
}

#[test]
fn a_close_can_stay_unanswered() {
    let _watch = watchdog(30, "no close answer");
    let server = Server::start(Behaviour::echo().never_answer_close());
    let mut ws = open(&server);
    ws.close(None).unwrap();
    assert_eq!(server.wait_closed(), (None, String::new()));
    assert!(stays_silent(ws.get_mut()));
}

#[test]
fn a_flood_is_counted_out() {
    let _watch = watchdog(60, "flood");
    let server = Server::start(Behaviour::commands());
    let mut ws = open(&server);
    ws.send(text("flood 1000 5000")).unwrap();
    for _ in 0..1000 {
        assert_eq!(ws.read().unwrap().len(), 5000);
    }
    ws.send(text("done")).unwrap();
    assert_eq!(ws.read().unwrap(), text("done"));
}

#[test]
fn pings_are_answered_until_told_otherwise() {
    let _watch = watchdog(30, "pings");
    let server = Server::start(Behaviour::echo());
    let mut ws = open(&server);
    ws.send(Wire::Ping(vec![7].into())).unwrap();
    assert_eq!(ws.read().unwrap(), Wire::Pong(vec![7].into()));
    server.answer_pings(false);
    ws.send(Wire::Ping(vec![8].into())).unwrap();
    ws.send(text("after")).unwrap();
    assert_eq!(ws.read().unwrap(), text("after"));
    server.wait_for(PATIENCE, |e| matches!(e, ServerEvent::Ping { data, .. } if *data == [8]).then_some(()));

    assert!(server.ping(1, b"mine"));
    assert_eq!(ws.read().unwrap(), Wire::Ping(b"mine".as_slice().into()));
    ws.flush().unwrap();
    server
        .wait_for(PATIENCE, |e| matches!(e, ServerEvent::Pong { data, .. } if data == b"mine").then_some(()));
}

#[test]
fn text_pings_are_answered_when_told_so() {
    let _watch = watchdog(30, "text pings");
    let server = Server::start(Behaviour::silent());
    server.answer_text_pings(true);
    let mut ws = open(&server);
    ws.send(text("ping")).unwrap();
    assert_eq!(ws.read().unwrap(), text("pong"));
    server.answer_text_pings(false);
    ws.send(text("ping")).unwrap();
    server.wait_message();
    server.wait_message();
    assert!(stays_silent(ws.get_mut()));
}

#[test]
fn a_script_writes_what_it_likes() {
    let _watch = watchdog(30, "script");
    let server = Server::start(Behaviour::raw(|stream, n| {
        assert_eq!(n, 1);
        let head = read_request_head(stream).unwrap();
        stream.write_all(switching_protocols(&head, "X-By: hand\r\n").as_bytes()).unwrap();
        stream.write_all(&fragmented(1, "höllo".as_bytes(), 2)).unwrap();
        stream.write_all(&raw_frame(0x80 | 0x40 | 1, b"reserved")).unwrap();
    }));
    let mut ws = open(&server);
    assert_eq!(ws.read().unwrap(), text("höllo"));
    assert!(matches!(ws.read(), Err(tungstenite::Error::Protocol(_))));
    assert_eq!(server.wait_ended(), Ending::Script);
}

#[test]
fn a_blocked_script_ends_with_its_server() {
    let _watch = watchdog(30, "blocked script");
    let server =
        Server::start(Behaviour::raw(|stream, _| while matches!(stream.read(&mut [0; 64]), Ok(1..)) {}));
    let _tcp = tcp(server.address());
    server.wait_for(PATIENCE, |e| matches!(e, ServerEvent::Accepted { .. }).then_some(()));
    drop(server);
}

#[test]
fn a_cut_is_a_reset_and_a_dropped_connection_is_a_plain_end() {
    let _watch = watchdog(30, "cut");
    let server = Server::start(Behaviour::echo());
    let (mut cut, mut dropped) = (open(&server), open(&server));
    server.wait_connected();
    server.wait_connected();
    assert!(server.cut(1));
    let error = cut.get_mut().read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(server.drop_tcp(2));
    assert_eq!(dropped.get_mut().read(&mut [0; 1]).unwrap(), 0);
    assert!(!server.send(1, "gone"));
    assert!(!server.cut(1));
}

#[test]
fn a_mute_server_keeps_connections_and_goes_on_later() {
    let _watch = watchdog(30, "mute");
    let server = Server::start(Behaviour::echo());
    let mut ws = open(&server);
    server.mute();
    ws.send(text("wait")).unwrap();
    ws.send(Wire::Ping(vec![1].into())).unwrap();
    assert!(stays_silent(ws.get_mut()));
    assert!(server.received().is_empty());
    server.unmute();
    assert_eq!(ws.read().unwrap(), text("wait"));
    assert_eq!(ws.read().unwrap(), Wire::Pong(vec![1].into()));
}

#[test]
fn a_stopped_server_refuses_and_comes_back_on_its_port() {
    let _watch = watchdog(30, "restart");
    let server = Server::start(Behaviour::echo());
    let mut ws = open(&server);
    for _ in 0..3 {
        server.stop();
        assert!(ws.get_mut().read(&mut [0; 1]).is_err());
        let refused = TcpStream::connect(server.address()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        server.restart();
        ws = open(&server);
    }
    server.refuse_new_connections();
    assert!(TcpStream::connect(server.address()).is_err());
    ws.send(text("still here")).unwrap();
    assert_eq!(ws.read().unwrap(), text("still here"));
}

#[test]
fn a_client_that_breaks_the_protocol_is_named() {
    let _watch = watchdog(30, "violations");
    let server = Server::start(Behaviour::echo());
    let broken: [(&[u8], &str); 5] = [
        (&frame(1, b"unmasked"), "unmasked"),
        (&[0xC1, 0x80, 0, 0, 0, 0], "reserved"),
        (&[0x80, 0x80, 0, 0, 0, 0], "continuation"),
        (&[0x81, 0x81, 0, 0, 0, 0, 0xFF], "UTF-8"),
        (&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xED], "close code 1005"),
    ];
    for (bytes, rule) in broken {
        let mut ws = open(&server);
        ws.get_mut().write_all(bytes).unwrap();
        match server.wait_ended() {
            Ending::Violation(named) => assert!(named.contains(rule), "{named}"),
            other => panic!("{rule}: {other:?}"),
        }
    }
}

#[test]
fn large_messages_go_both_ways_without_a_deadlock() {
    let _watch = watchdog(60, "large");
    let server = Server::start(Behaviour::echo());
    let mut ws = open(&server);
    let config = |c: &mut WebSocketConfig| *c = c.max_message_size(None).max_frame_size(None);
    ws.set_config(config);
    let large = Wire::binary((0..20 << 20).map(|i: u32| i as u8).collect::<Vec<_>>());
    ws.send(large.clone()).unwrap();
    assert!(ws.read().unwrap() == large);
}

// TLS

fn tls_client(
    identity: Option<(&str, &str)>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Arc<rustls::ClientConfig> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(Certs::shared().ca_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        rustls::ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let builder = builder.with_root_certificates(roots);
    Arc::new(match identity {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let cert = CertificateDer::from_pem_slice(cert.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![cert], key).unwrap()
        }
    })
}

/// Opens, echoes once, and returns the negotiated version; any failure is text.
fn tls_round_trip(
    server: &Server,
    config: Arc<rustls::ClientConfig>,
) -> Result<rustls::ProtocolVersion, String> {
    let session = rustls::ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
    let stream = rustls::StreamOwned::new(session, tcp(server.address()));
    let (mut ws, _) = client(server.url(), stream).map_err(|e| e.to_string())?;
    ws.send(text("secret")).map_err(|e| e.to_string())?;
    let echo = ws.read().map_err(|e| e.to_string())?;
    assert_eq!(echo, text("secret"));
    Ok(ws.get_ref().conn.protocol_version().unwrap())
}

#[test]
fn a_tls_server_is_trusted_through_its_ca() {
    let _watch = watchdog(30, "tls");
    let server = tls_server(Behaviour::echo());
    assert!(server.url().starts_with("wss://localhost:"));
    tls_round_trip(&server, tls_client(None, rustls::ALL_VERSIONS)).unwrap();
    assert_eq!(server.received_texts(), ["secret"]);
}

#[test]
fn bad_server_certificates_are_bad_in_the_way_their_names_say() {
    let _watch = watchdog(30, "bad certificates");
    let certs = Certs::shared();
    let table = [
        (&certs.expired, "expired"),
        (&certs.wrong_host, "not valid for name"),
        (&certs.self_signed, "UnknownIssuer"),
    ];
    for (identity, reason) in table {
        let server = Setup::new(Behaviour::echo()).tls(certs.config_with(identity)).start();
        let error = tls_round_trip(&server, tls_client(None, rustls::ALL_VERSIONS)).unwrap_err();
        assert!(error.contains(reason), "{reason}: {error}");
        assert!(matches!(server.wait_ended(), Ending::Tls(_)));
    }
}

#[test]
fn a_server_can_speak_one_tls_version_only() {
    let _watch = watchdog(30, "versions");
    use rustls::version::{TLS12, TLS13};
    let certs = Certs::shared();
    let old = Setup::new(Behaviour::echo()).tls(certs.tls12_only()).start();
    let new = Setup::new(Behaviour::echo()).tls(certs.tls13_only()).start();
    assert_eq!(tls_round_trip(&old, tls_client(None, rustls::ALL_VERSIONS)), Ok(TLS12.version));
    assert_eq!(tls_round_trip(&new, tls_client(None, rustls::ALL_VERSIONS)), Ok(TLS13.version));
    assert!(tls_round_trip(&old, tls_client(None, &[&TLS13])).is_err());
}

#[test]
fn client_certificates_are_asked_for_and_checked_in_every_form() {
    let _watch = watchdog(30, "client certificates");
    let certs = Certs::shared();
    let with = |mode| {
        let config = certs.config(&certs.server, rustls::ALL_VERSIONS, mode);
        Setup::new(Behaviour::echo()).tls(config).start()
    };
    let required = with(ClientCert::Required);
    assert!(tls_round_trip(&required, tls_client(None, rustls::ALL_VERSIONS)).is_err());
    assert!(matches!(required.wait_ended(), Ending::Tls(_)));
    let client = &certs.client;
    for (cert, key) in [
        (&*client.cert_pem, &*client.pkcs8_pem),
        (&client.cert_pem, &client.sec1_pem),
        (RSA_CERT_PEM, RSA_PKCS8_PEM),
    ] {
        tls_round_trip(&required, tls_client(Some((cert, key)), rustls::ALL_VERSIONS)).unwrap();
    }
    tls_round_trip(&with(ClientCert::Optional), tls_client(None, rustls::ALL_VERSIONS)).unwrap();
    assert!(CLIENT_P12_CA_PEM.contains("BEGIN CERTIFICATE"));
}

/// The same certificates through the platform's TLS, which is pickier than rustls about some of their fields.
#[test]
#[cfg(feature = "native-tls")]
fn the_platforms_tls_takes_the_certificates_and_both_client_identities() {
    use native_tls::{Certificate, Identity, TlsConnector};
    use support::certs::{CLIENT_P12, CLIENT_P12_PASSWORD};
    let _watch = watchdog(30, "native-tls");
    let certs = Certs::shared();
    let config = certs.config(&certs.server, rustls::ALL_VERSIONS, ClientCert::Required);
    let server = Setup::new(Behaviour::echo()).tls(config).start();
    let client_cert = &certs.client;
    let identities = [
        Identity::from_pkcs12(CLIENT_P12, CLIENT_P12_PASSWORD).unwrap(),
        Identity::from_pkcs8(client_cert.cert_pem.as_bytes(), client_cert.pkcs8_pem.as_bytes()).unwrap(),
    ];
    for identity in identities {
        let mut builder = TlsConnector::builder();
        builder.disable_built_in_roots(true).identity(identity);
        builder.add_root_certificate(Certificate::from_pem(certs.ca_pem.as_bytes()).unwrap());
        let connector = builder.build().unwrap();
        for name in ["localhost", "127.0.0.1"] {
            let stream = connector.connect(name, tcp(server.address())).unwrap();
            let (mut ws, _) = client(server.url(), stream).unwrap();
            ws.send(text("secret")).unwrap();
            assert_eq!(ws.read().unwrap(), text("secret"));
        }
    }
}

#[test]
fn a_script_behind_tls_sees_plain_bytes() {
    let _watch = watchdog(30, "tls script");
    let script = Behaviour::raw(|stream, _| {
        let head = read_request_head(stream).unwrap();
        stream.write_all(switching_protocols(&head, "").as_bytes()).unwrap();
        let mut masked = [0; 12];
        stream.read_exact(&mut masked).unwrap();
        stream.write_all(&frame(1, b"secret")).unwrap();
    });
    let server = tls_server(script);
    tls_round_trip(&server, tls_client(None, rustls::ALL_VERSIONS)).unwrap();
}

// The relay

#[test]
fn a_relay_passes_and_counts_bytes() {
    let _watch = watchdog(30, "relay");
    let server = Server::start(Behaviour::echo());
    let relay = Relay::start(server.address());
    let mut ws = open_at(relay.address());
    let large = Wire::binary(vec![9; 3 << 20]);
    ws.send(large.clone()).unwrap();
    assert!(ws.read().unwrap() == large);
    assert_eq!(relay.connections(), 1);
    assert!(relay.bytes(Direction::Up) > 3 << 20 && relay.bytes(Direction::Down) > 3 << 20);
}

#[test]
fn a_relay_cuts_both_sides_at_once_or_after_so_many_bytes() {
    let _watch = watchdog(30, "relay cuts");
    let server = Server::start(Behaviour::silent());
    let relay = Relay::start(server.address());
    let mut ws = open_at(relay.address());
    server.wait_connected();
    relay.cut();
    assert_eq!(ws.get_mut().read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(server.wait_ended(), Ending::Reset);

    let mut ws = open_at(relay.address());
    server.wait_connected();
    let before = relay.bytes(Direction::Up);
    relay.cut_after(Direction::Up, 10);
    ws.send(Wire::binary(vec![0; 100])).unwrap();
    assert_eq!(server.wait_ended(), Ending::Reset);
    assert_eq!(relay.bytes(Direction::Up) - before, 10);
    assert!(server.received().is_empty());

    let mut ws = open_at(relay.address());
    ws.send(Wire::binary(vec![0; 100])).unwrap();
    server.wait_message();
}

#[test]
fn a_stalled_relay_takes_everything_and_never_closes() {
    let _watch = watchdog(30, "stall");
    let server = Server::start(Behaviour::echo());
    let relay = Relay::start(server.address());
    let mut ws = open_at(relay.address());
    relay.stall();
    ws.send(Wire::binary(vec![0; 8 << 20])).unwrap();
    within(PATIENCE, "everything is taken", || (relay.bytes_swallowed() > 8 << 20).then_some(()));
    relay.flow();
    ws.send(text("after the gap")).unwrap();
    assert!(stays_silent(ws.get_mut()), "a stream with a gap must not go on");
    assert!(server.received().is_empty());
    relay.stall();
    server.cut_all();
    assert!(stays_silent(ws.get_mut()), "nor may an end be passed on");
    relay.flow();

    let mut fresh = open_at(relay.address());
    relay.stall_down();
    fresh.send(text("heard")).unwrap();
    server.wait_for(PATIENCE, |e| matches!(e, ServerEvent::Message { n: 2, .. }).then_some(()));
    assert!(stays_silent(fresh.get_mut()));
    relay.flow();

    let mut fresh = open_at(relay.address());
    server.wait_connected();
    relay.stall_up();
    fresh.send(text("unheard")).unwrap();
    assert!(server.send(3, "down still flows"));
    assert_eq!(fresh.read().unwrap(), text("down still flows"));
    assert_eq!(server.received_texts(), ["heard"]);
}

#[test]
fn a_holding_relay_loses_nothing() {
    let _watch = watchdog(30, "hold");
    let server = Server::start(Behaviour::echo());
    let relay = Relay::start(server.address());
    let mut ws = open_at(relay.address());
    relay.hold_up();
    ws.send(text("later")).unwrap();
    assert!(stays_silent(ws.get_mut()));
    relay.flow();
    assert_eq!(ws.read().unwrap(), text("later"));
    relay.hold_down();
    ws.send(text("later still")).unwrap();
    server.wait_message();
    server.wait_message();
    assert!(stays_silent(ws.get_mut()));
    relay.flow();
    assert_eq!(ws.read().unwrap(), text("later still"));
}

#[test]
fn a_trickle_is_slow_and_whole() {
    let _watch = watchdog(30, "trickle");
    let server = Server::start(Behaviour::echo());
    let relay = Relay::start(server.address());
    let mut ws = open_at(relay.address());
    relay.trickle(5, Duration::from_millis(5));
    let begin = Instant::now();
    // 106 bytes up are 22 drops, 102 bytes down 21; the first of each falls at once.
    ws.send(Wire::binary(vec![3; 100])).unwrap();
    assert_eq!(ws.read().unwrap(), Wire::binary(vec![3; 100]));
    assert!(begin.elapsed() >= Duration::from_millis(5 * 20), "{:?}", begin.elapsed());
}

#[test]
fn a_half_closed_connection_still_carries_bytes_up() {
    let _watch = watchdog(30, "half close");
    let server = Server::start(Behaviour::silent());
    let relay = Relay::start(server.address());
    let mut ws = open_at(relay.address());
    relay.half_close();
    assert_eq!(ws.get_mut().read(&mut [0; 1]).unwrap(), 0);
    ws.send(text("one way")).unwrap();
    assert_eq!(server.wait_message(), Message::from("one way"));
}

#[test]
fn a_refusing_relay_keeps_its_port_and_its_connections() {
    let _watch = watchdog(30, "refuse");
    let server = Server::start(Behaviour::echo());
    let relay = Relay::start(server.address());
    let mut ws = open_at(relay.address());
    relay.refuse();
    assert_eq!(TcpStream::connect(relay.address()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    ws.send(text("kept")).unwrap();
    assert_eq!(ws.read().unwrap(), text("kept"));
    relay.accept_again();
    open_at(relay.address());
}

#[test]
fn a_relay_passes_on_that_its_target_is_gone() {
    let _watch = watchdog(30, "target gone");
    let server = Server::start(Behaviour::echo());
    let relay = Relay::start(server.address());
    server.stop();
    assert!(matches!(tcp(relay.address()).read(&mut [0; 1]), Err(_) | Ok(0)));
    server.restart();
    open_at(relay.address());
}

// The watch

#[test]
#[cfg(target_os = "linux")]
fn threads_and_their_wake_ups_are_counted_by_name() {
    let _watch = watchdog(60, "wake-ups by name");
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let thread =
        std::thread::Builder::new().name("counted-here".into()).spawn(move || wait.iter().count()).unwrap();
    within(PATIENCE, "the thread has its name", || {
        thread_names().contains(&"counted-here".into()).then_some(())
    });
    assert!(thread_count() >= 2);
    let before = voluntary_switches("counted-here");
    for i in 1..=5 {
        go.send(()).unwrap();
        within(PATIENCE, "a wake-up", || (voluntary_switches("counted-here") >= before + i).then_some(()));
    }
    drop(go);
    assert_eq!(thread.join().unwrap(), 5);
}

/// Runs this test binary once more, for a test of the name given, with `variable` set.
#[cfg(target_os = "linux")]
fn run_again(test: &str, variable: &str) -> std::process::Output {
    let binary = std::env::current_exe().unwrap();
    let mut again = std::process::Command::new(binary);
    again.args(["--exact", test, "--nocapture"]).env(variable, "1").output().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn the_watchdog_ends_a_hanging_process_and_names_its_threads() {
    if std::env::var_os("HEARTWIRE_HANG").is_some() {
        let _watch = watchdog(1, "a hang on purpose");
        loop {
            std::thread::park();
        }
    }
    let output = run_again("the_watchdog_ends_a_hanging_process_and_names_its_threads", "HEARTWIRE_HANG");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("a hang on purpose") && said.contains("test-watchdog"), "{said}");
}

#[test]
#[cfg(target_os = "linux")]
fn the_watchdog_tells_where_threads_that_wait_for_each_other_are() {
    if std::env::var_os("HEARTWIRE_DEADLOCK").is_some() {
        let _watch = watchdog(1, "a deadlock on purpose");
        let locks = Arc::new((Mutex::new(()), Mutex::new(()), Barrier::new(2)));
        let others = locks.clone();
        let waits = move || {
            let _second = others.1.lock();
            others.2.wait();
            let _first = others.0.lock();
        };
        let other = std::thread::Builder::new().name("waits-for-first".into()).spawn(waits).unwrap();
        let _first = locks.0.lock();
        locks.2.wait();
        let _second = locks.1.lock();
        other.join().unwrap();
    }
    let _watch = watchdog(60, "a deadlock in another process");
    let output =
        run_again("the_watchdog_tells_where_threads_that_wait_for_each_other_are", "HEARTWIRE_DEADLOCK");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    let waiter = said.lines().find(|line| line.contains("waits-for-first")).unwrap_or_default();
    assert!(waiter.contains("S (sleeping)"), "{said}");
    let has_gdb = std::process::Command::new("gdb").arg("--version").output().is_ok();
    if has_gdb && !said.contains("no backtraces") {
        assert!(said.contains("Mutex") && said.contains("support_itself.rs"), "{said}");
    }
}

/// A hanging test that nobody watches tells nothing: each test function begins with a watchdog, or is stamped with one.
#[test]
fn every_integration_test_has_a_watchdog() {
    let _watch = watchdog(30, "the tests' sources");
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut unwatched = Vec::new();
    let mut watched = 0;
    for folder in [tests.clone(), tests.join("suite"), tests.join("event_loops")] {
        for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if file.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let source = std::fs::read_to_string(&file).unwrap();
            let mut lines = source.lines();
            while let Some(line) = lines.next() {
                if !line.trim_start().trim_start_matches("$(").starts_with("#[test]") {
                    continue;
                }
                let indent = &line[..line.len() - line.trim_start().len()];
                let end = format!("{indent}}}");
                let body: Vec<_> = lines.by_ref().take_while(|line| !line.starts_with(&end)).collect();
                // `run` of the suite has one.
                let has_one =
                    |line: &&str| line.contains("watchdog(") || line.contains("run(stringify!($test)");
                if body.iter().any(has_one) {
                    watched += 1;
                } else {
                    let name = body.iter().find(|line| line.contains("fn ")).unwrap_or(&"").trim();
                    unwatched.push(format!("{}: {name}", file.display()));
                }
            }
        }
    }
    assert!(watched > 100, "only {watched} tests were found");
    assert!(unwatched.is_empty(), "without a watchdog: {unwatched:#?}");
}

#[test]
#[cfg(target_os = "linux")]
fn nothing_is_left_when_servers_and_relays_are_dropped() {
    let _watch = watchdog(120, "nothing is left");
    // In a process of its own, since tests that run beside it have threads and descriptors, too.
    if std::env::var_os("HEARTWIRE_COUNT").is_none() {
        let output = run_again("nothing_is_left_when_servers_and_relays_are_dropped", "HEARTWIRE_COUNT");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let round = || {
        let server = Server::start(Behaviour::echo());
        let scripted = Server::start(Behaviour::raw(|stream, _| drop(stream.read(&mut [0; 1]))));
        let relay = Relay::start(server.address());
        let clients: Vec<_> = (0..50).map(|_| open_at(relay.address())).collect();
        let _stuck = tcp(scripted.address());
        (0..50).for_each(|_| drop(server.wait_connected()));
        assert_eq!(server.connections(), 50);
        drop(clients);
    };
    round();
    let before = (thread_count(), descriptor_count());
    for _ in 0..5 {
        round();
    }
    // A joined thread may stand in /proc a moment longer.
    within(PATIENCE, "as many as before", || ((thread_count(), descriptor_count()) == before).then_some(()));
}
