//! TLS against rustls: who is trusted, what a refusal is called, how a stream ends.

use std::io::Write;

use socket2::SockRef;

use super::authority::{Authority, Made, echo, serve, serve_plain, shake_hands};
use super::*;
use crate::config::tls::{Tls, TlsVersion};
use crate::error::{Phase, TlsFault, TlsFaultKind};
use crate::net::client_key;
use crate::net::tls::{Connector, connector};

pub(super) fn secured(address: SocketAddr, tls: &Tls) -> Target {
    Target { tls: Some((connector(tls).unwrap(), "localhost".into())), ..to(address) }
}

pub(super) fn trusting(authority: &Authority) -> Tls {
    Tls::new().system_roots(false).ca_pem(authority.pem.clone())
}

#[track_caller]
fn refused(result: Result<Stream, LinkError>) -> TlsFault {
    let Err(error) = result else { panic!("connected") };
    assert_eq!(error.phase(), Phase::Tls, "{error}");
    match error.cause() {
        Cause::Tls(fault) => fault.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_of_a_trusted_authority_is_spoken_with() {
    let authority = Authority::new();
    let (address, server) = serve(authority.server("localhost", Made::Well), echo);
    let mut turn = Loop::new();
    let mut dial = turn.start(secured(address, &trusting(&authority)), None);
    let mut stream = turn.finish(&mut dial).unwrap();
    assert_eq!(dial.phase(), Phase::Tls);
    let before = stream.sent();

    assert_eq!(turn.until_done(|| stream.write(b"hello")).unwrap(), 5);
    assert!(stream.sent() > before + 5, "TLS's own bytes are counted");
    let mut some = [0; 3];
    assert_eq!(turn.until_done(|| stream.read(&mut some)).unwrap(), 3);
    assert!(stream.has_buffered(), "two bytes wait in the engine");
    turn.until_done(|| stream.close_write()).unwrap();
    let (rest, end) = turn.read_to_end(&mut stream);

    assert_eq!((&some, &rest[..]), (b"hel", &b"lo"[..]));
    end.unwrap();
    assert!(!stream.has_buffered());
    server.join().unwrap().unwrap();
}

#[test]
fn a_ca_file_is_as_good_as_its_contents() {
    let authority = Authority::new();
    let other = Authority::new();
    let (address, _server) = serve(authority.server("localhost", Made::Well), echo);
    let file = std::env::temp_dir().join(format!("heartwire-{}-ca.pem", std::process::id()));
    std::fs::write(&file, format!("{}several, and text\n{}", other.pem, authority.pem)).unwrap();
    let tls = Tls::new().system_roots(false).ca_file(&file);
    let target = secured(address, &tls);
    std::fs::remove_file(&file).unwrap();
    Loop::new().dial(target).unwrap();
    assert_eq!(connector(&tls).map(|_| ()).unwrap_err().setting(), "ca_file");
}

/// RFC 7301 section 3.1: the extension 16, a list of one name.
#[test]
fn http_1_1_and_nothing_else_is_offered_in_the_client_hello() {
    let (address, server) = serve_plain(|mut socket| {
        let mut head = [0; 5];
        socket.read_exact(&mut head).unwrap();
        let mut hello = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
        socket.read_exact(&mut hello).unwrap();
        hello
    });
    refused(Loop::new().dial(secured(address, &Tls::new())));
    let hello = server.join().unwrap();
    let offer = b"\x00\x10\x00\x0b\x00\x09\x08http/1.1";
    assert!(hello.windows(offer.len()).any(|part| part == offer), "{}", hello.escape_ascii());

    let authority = Authority::new();
    let mut config = authority.server("localhost", Made::Well);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let (address, server) = serve(config, |mut stream| {
        shake_hands(&mut stream).unwrap();
        stream.conn.alpn_protocol().map(<[u8]>::to_vec)
    });
    let _stream = Loop::new().dial(secured(address, &trusting(&authority))).unwrap();
    assert_eq!(server.join().unwrap().as_deref(), Some(&b"http/1.1"[..]));
}

#[test]
fn an_unknown_authority_is_refused_as_a_certificate() {
    let authority = Authority::new();
    for tls in [Tls::new(), trusting(&Authority::new())] {
        let (address, _server) = serve(authority.server("localhost", Made::Well), echo);
        let mut turn = Loop::new();
        let mut dial = turn.start(secured(address, &tls), None);
        let fault = refused(turn.finish(&mut dial));
        assert_eq!(fault.kind(), TlsFaultKind::Certificate, "{fault}");
        assert_eq!(dial.address(), Some(address), "to be avoided next time");
    }
}

#[test]
fn a_certificate_for_another_name_is_refused_as_a_host_name() {
    let authority = Authority::new();
    let (address, _server) = serve(authority.server("elsewhere", Made::Well), echo);
    let fault = refused(Loop::new().dial(secured(address, &trusting(&authority))));
    assert_eq!(fault.kind(), TlsFaultKind::HostName, "{fault}");
}

#[test]
fn a_certificate_for_an_address_is_checked_against_the_address() {
    let authority = Authority::new();
    for (name, good) in [("127.0.0.1", true), ("127.0.0.2", false)] {
        let (address, _server) = serve(authority.server(name, Made::Well), echo);
        let tls = Some((connector(&trusting(&authority)).unwrap(), "127.0.0.1".into()));
        let result = Loop::new().dial(Target { tls, ..to(address) });
        if good {
            result.unwrap();
        } else {
            assert_eq!(refused(result).kind(), TlsFaultKind::HostName);
        }
    }
}

#[test]
fn a_certificate_out_of_its_time_is_refused_as_a_certificate() {
    let authority = Authority::new();
    for made in [Made::Expired, Made::TooEarly] {
        let (address, _server) = serve(authority.server("localhost", made), echo);
        let fault = refused(Loop::new().dial(secured(address, &trusting(&authority))));
        assert_eq!(fault.kind(), TlsFaultKind::Certificate, "{fault}");
    }
}

#[test]
fn the_dangerous_switches_do_what_they_say_and_no_more() {
    let authority = Authority::new();
    let anything = Tls::new().danger_accept_invalid_certificates(true);
    let any_name = trusting(&authority).danger_accept_invalid_hostnames(true);
    for (tls, made, good) in
        [(&anything, Made::Expired, true), (&any_name, Made::Well, true), (&any_name, Made::Expired, false)]
    {
        let (address, _server) = serve(authority.server("elsewhere", made), echo);
        assert_eq!(Loop::new().dial(secured(address, tls)).is_ok(), good);
    }
}

#[test]
fn a_server_without_tls_is_refused_as_a_protocol() {
    let (address, _server) = serve_plain(|mut socket| {
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        let _ = socket.read(&mut [0; 2000]);
    });
    let fault = refused(Loop::new().dial(secured(address, &Tls::new())));
    assert_eq!(fault.kind(), TlsFaultKind::Protocol, "{fault}");
}

#[test]
fn no_version_in_common_is_refused_as_a_protocol() {
    let authority = Authority::new();
    let server = authority.strict_server("localhost", &rustls::version::TLS12);
    let (address, _server) = serve(server, |mut stream| shake_hands(&mut stream).is_ok());
    let tls = trusting(&authority).min_version(TlsVersion::Tls13);
    let fault = refused(Loop::new().dial(secured(address, &tls)));
    assert_eq!(fault.kind(), TlsFaultKind::Protocol, "{fault}");
}

#[test]
fn a_server_that_hangs_up_in_the_handshake_cut_the_stream_short() {
    let (address, _server) = serve_plain(|mut socket| socket.read(&mut [0; 2000]).unwrap());
    let fault = refused(Loop::new().dial(secured(address, &Tls::new())));
    assert_eq!(fault.kind(), TlsFaultKind::Truncated, "{fault}");
}

#[test]
fn dropping_a_dial_in_the_handshake_closes_its_socket() {
    let (address, server) = serve_plain(|mut socket| socket.read_to_end(&mut Vec::new()).unwrap());
    let mut turn = Loop::new();
    let mut dial = turn.start(secured(address, &Tls::new()), None);
    while dial.phase() != Phase::Tls {
        assert!(turn.advance(&mut dial, Instant::now()).is_none());
        if dial.phase() != Phase::Tls {
            turn.wait(None);
        }
    }
    drop(dial);
    assert!(server.join().unwrap() > 0, "a ClientHello, then the end");
}

#[cfg(unix)]
#[test]
fn a_reset_keeps_the_systems_number_through_tls() {
    let reset = |socket: &std::net::TcpStream| {
        SockRef::from(socket).set_linger(Some(Duration::ZERO)).unwrap();
    };
    let (address, _server) = serve_plain(move |socket| reset(&socket));
    let Err(error) = Loop::new().dial(secured(address, &Tls::new())) else { panic!("connected") };
    // The reset may come before the handshake begins.
    assert!(matches!(error.phase(), Phase::Tls | Phase::Connect));
    assert_eq!(error.os_error(), Some(libc::ECONNRESET), "{error}");

    let authority = Authority::new();
    let (address, _server) = serve(authority.server("localhost", Made::Well), move |mut stream| {
        shake_hands(&mut stream).unwrap();
        reset(&stream.sock);
    });
    let mut turn = Loop::new();
    let mut stream = turn.dial(secured(address, &trusting(&authority))).unwrap();
    let (_, end) = turn.read_to_end(&mut stream);
    let error = stream.link_error(Phase::Open, end.unwrap_err());
    assert_eq!(error.phase(), Phase::Open);
    assert_eq!(error.os_error(), Some(libc::ECONNRESET), "{error}");
}

#[test]
fn an_end_without_close_notify_is_a_cut_and_with_it_an_end() {
    let authority = Authority::new();
    for notify in [false, true] {
        let (address, _server) = serve(authority.server("localhost", Made::Well), move |mut stream| {
            stream.write_all(b"half").unwrap();
            if notify {
                stream.conn.send_close_notify();
            }
            stream.flush().unwrap();
        });
        let mut turn = Loop::new();
        let mut stream = turn.dial(secured(address, &trusting(&authority))).unwrap();
        let (all, end) = turn.read_to_end(&mut stream);
        assert_eq!(all, b"half");
        let Err(error) = end else {
            assert!(notify, "a cut was taken for an end");
            continue;
        };
        assert!(!notify, "{error}");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let error = stream.link_error(Phase::Open, error);
        let kind = if let Cause::Tls(fault) = error.cause() { Some(fault.kind()) } else { None };
        assert_eq!((error.phase(), kind), (Phase::Tls, Some(TlsFaultKind::Truncated)), "{error}");
    }
}

#[test]
fn a_missing_client_certificate_is_the_servers_refusal_in_every_version() {
    let authority = Authority::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let server = authority.strict_server("localhost", version);
        let (address, _server) = serve(server, |mut stream| {
            let result = shake_hands(&mut stream);
            let _ = stream.sock.shutdown(std::net::Shutdown::Write);
            let _ = stream.sock.read(&mut [0; 100]);
            result
        });
        let mut turn = Loop::new();
        // Under TLS 1.3 the client is done before the server has looked at its certificate.
        let fault = match turn.dial(secured(address, &trusting(&authority))) {
            Ok(mut stream) => {
                let (_, end) = turn.read_to_end(&mut stream);
                refused(Err(stream.link_error(Phase::Upgrade, end.unwrap_err())))
            }
            Err(error) => refused(Err(error)),
        };
        assert_eq!(fault.kind(), TlsFaultKind::Refused, "{fault}");
    }
}

#[test]
fn a_client_certificate_is_shown_with_every_form_of_key() {
    let authority = Authority::new();
    for key in [keys::RSA, keys::RSA_AS_PKCS8, keys::EC] {
        let wrapped = String::from_utf8(client_key::pkcs8(key.as_bytes()).unwrap()).unwrap();
        let certificate = authority.client_certificate(&wrapped);
        let server = authority.strict_server("localhost", &rustls::version::TLS13);
        let (address, server) = serve(server, |mut stream| {
            shake_hands(&mut stream).unwrap();
            stream.conn.peer_certificates().is_some_and(|chain| !chain.is_empty())
        });
        let tls = trusting(&authority).client_pem(certificate, key);
        let _stream = Loop::new().dial(secured(address, &tls)).unwrap();
        assert!(server.join().unwrap());
    }
}

#[test]
fn a_pkcs12_archive_opens_with_its_password_only() {
    connector(&Tls::new().client_pkcs12(keys::PKCS12, "hunter2")).unwrap();
    let error = connector(&Tls::new().client_pkcs12(keys::PKCS12, "hunter3")).map(|_| ()).unwrap_err();
    assert_eq!(error.setting(), "client_pkcs12");
    assert!(!error.to_string().contains("hunter"), "{error}");
    // Older libraries, and builds with the legacy provider, open it.
    if let Err(error) = connector(&Tls::new().client_pkcs12(keys::LEGACY_PKCS12, "hunter2")) {
        assert!(error.problem().contains("openssl pkcs12 -legacy"), "{error}");
    }
}

#[test]
fn clients_with_the_same_settings_share_a_connector() {
    fn sendable<T: Clone + Send + Sync>(_: &T) {}
    let authority = Authority::new();
    let one = connector(&trusting(&authority)).unwrap();
    sendable(&one);
    assert!(Connector::same(&one, &connector(&trusting(&authority)).unwrap()));
    assert!(!Connector::same(&one, &connector(&trusting(&authority).sni(false)).unwrap()));
    // The system's roots need not be loaded again for a pin.
    let pinned = connector(&trusting(&authority).pin_public_key("ab".repeat(32))).unwrap();
    assert!(Connector::same(&one, &pinned));
    assert!(pinned.pinned().is_some() && one.pinned().is_none());
}

#[test]
fn settings_that_cannot_be_are_told_by_their_name() {
    let authority = Authority::new();
    let key = keys::RSA;
    let certificate = authority.client_certificate(keys::RSA_AS_PKCS8);
    let another = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let of_another_key = authority.client_certificate(&another);
    let bad_pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (tls, setting, words) in [
        (Tls::new().ca_pem("nothing"), "ca_pem", "no PEM certificate"),
        (Tls::new().ca_pem([0x30, 0x82, 1, 2]), "ca_pem", "openssl x509 -inform DER"),
        (Tls::new().ca_pem(bad_pem), "ca_pem", ""),
        (Tls::new().ca_file("/nonexistent/ca.pem"), "ca_file", "/nonexistent/ca.pem"),
        (Tls::new().ca_file("/"), "ca_file", "/"),
        (Tls::new().system_roots(false), "system_roots", "ca_file"),
        (Tls::new().client_pkcs12("junk", "secret"), "client_pkcs12", ""),
        (Tls::new().client_pem("", key), "client_pem", "certificate"),
        (Tls::new().client_pem(certificate.clone(), ""), "client_pem", "private key"),
        (Tls::new().client_pem(certificate.clone(), keys::EC), "client_pem", "another kind"),
        (Tls::new().client_pem(of_another_key.clone(), key), "client_pem", "another kind"),
        (Tls::new().client_pem(certificate, keys::ENCRYPTED_PKCS8), "client_pem", "openssl pkey"),
        (Tls::new().client_pem(of_another_key, keys::EC), "client_pem", "mismatch"),
    ] {
        let error = connector(&tls).map(|_| ()).unwrap_err();
        assert_eq!(error.setting(), setting, "{error}");
        assert!(error.problem().contains(words), "{error}");
        assert!(!error.to_string().contains("secret"));
    }
}
