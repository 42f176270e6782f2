//! What only TLS has: whom to trust, who we are, versions, and how a stream may end.

use std::io::{Read, Write};
use std::sync::Arc;

use heartwire::{Builder, Cause, Client, End, LinkError, Phase, Reconnect, Tls, TlsFaultKind, TlsVersion};
use rustls::ServerConfig;

use crate::net::{Net, SOON, close, closed, failed, ms, opened, quick, received, trusting};
use crate::support::certs::{
    CLIENT_P12, CLIENT_P12_PASSWORD, Certs, ClientCert, ENCRYPTED_KEY_PEM, RSA_CERT_PEM, RSA_PKCS1_PEM,
    RSA_PKCS8_PEM,
};
use crate::support::frames::frame;
use crate::support::upgrade::{read_request_head, switching_protocols};
use crate::support::{Behaviour, Relay, Server, Setup, watchdog};

fn certs() -> &'static Certs {
    Certs::shared()
}

fn server(config: Arc<ServerConfig>) -> Server {
    Setup::new(Behaviour::echo()).tls(config).start()
}

fn to(net: &Net, server: &Server, tls: Tls) -> Builder {
    net.to(server).tls(tls)
}

/// The client gets through, and its messages come back.
#[track_caller]
fn works(net: &Net, server: &Server, tls: Tls) {
    let client = to(net, server, tls).connect().unwrap();
    opened(&client);
    client.send_text("sealed").unwrap();
    assert_eq!(received(&client).as_text(), Some("sealed"));
    close(&client);
}

/// The client does not get through, for this reason, and tries again at the longest delay.
#[track_caller]
fn refused(net: &Net, server: &Server, tls: Tls, kind: TlsFaultKind) {
    let client = to(net, server, tls).connect().unwrap();
    let failed = failed(&client);
    assert_eq!(fault(failed.error()), kind, "{failed}");
    assert_eq!((failed.error().os_error(), failed.error().http_status()), (None, None));
    let delay = failed.retry_in().expect("clocks are wrong at boot");
    assert!(delay >= ms(100) && delay <= ms(145), "the longest delay, with jitter: {delay:?}");
}

#[track_caller]
fn fault(error: &LinkError) -> TlsFaultKind {
    assert_eq!(error.phase(), Phase::Tls, "{error}");
    let Cause::Tls(fault) = error.cause() else { panic!("{error:?}") };
    assert!(!fault.text().is_empty());
    fault.kind()
}

#[track_caller]
fn unbuildable(tls: Tls, setting: &str, part: &str) {
    let error = Client::builder("wss://localhost/").tls(tls).build().expect_err("a config error");
    assert_eq!(error.setting(), setting);
    assert!(error.problem().contains(part), "{error}");
}

fn an_authority_is_trusted_from_a_file_and_from_memory(net: &Net) {
    let server = server(certs().server_config());
    works(net, &server, trusting());
    let file =
        std::env::temp_dir().join(format!("heartwire-suite-{}-{:?}.pem", std::process::id(), net.mode()));
    std::fs::write(&file, format!("a company's own\n{}", certs().ca_pem)).unwrap();
    let tls = Tls::new().system_roots(false).ca_file(&file);
    let client = to(net, &server, tls).build().unwrap();
    // Read when the client was built, and not again.
    std::fs::remove_file(&file).unwrap();
    client.connect().unwrap();
    opened(&client);
    server.cut(1);
    server.cut(2);
    closed(&client);
    opened(&client);
}

fn an_unknown_authority_is_a_refused_certificate(net: &Net) {
    let other = Certs::generate();
    refused(net, &server(other.server_config()), trusting(), TlsFaultKind::Certificate);
    refused(net, &server(certs().config_with(&certs().self_signed)), trusting(), TlsFaultKind::Certificate);
    refused(net, &server(certs().server_config()), Tls::new(), TlsFaultKind::Certificate);
}

fn an_expired_certificate_is_a_refused_certificate(net: &Net) {
    refused(net, &server(certs().config_with(&certs().expired)), trusting(), TlsFaultKind::Certificate);
}

fn a_certificate_for_another_host_is_a_refused_name(net: &Net) {
    refused(net, &server(certs().config_with(&certs().wrong_host)), trusting(), TlsFaultKind::HostName);
}

fn tls_failures_can_be_made_final(net: &Net) {
    let server = server(certs().config_with(&certs().expired));
    let client = to(net, &server, trusting()).reconnect(quick().retry_tls(false)).connect().unwrap();
    assert_eq!(failed(&client).retry_in(), None);
    let End::Fatal(error) = client.wait_closed(SOON).unwrap() else { panic!("not fatal") };
    assert_eq!(fault(&error), TlsFaultKind::Certificate);
    assert_eq!(server.connections(), 1);
}

fn each_danger_switch_does_what_it_says_and_no_more(net: &Net) {
    let wrong_host = server(certs().config_with(&certs().wrong_host));
    let expired = server(certs().config_with(&certs().expired));
    let unknown = server(Certs::generate().server_config());
    let any_name = trusting().danger_accept_invalid_hostnames(true);
    works(net, &wrong_host, any_name.clone());
    refused(net, &expired, any_name.clone(), TlsFaultKind::Certificate);
    refused(net, &unknown, any_name, TlsFaultKind::Certificate);
    let any_certificate = trusting().danger_accept_invalid_certificates(true);
    for server in [&wrong_host, &expired, &unknown] {
        works(net, server, any_certificate.clone());
    }
}

fn a_client_certificate_is_shown_from_every_form_of_its_key(net: &Net) {
    let own = &certs().client;
    let forms = [
        ("PKCS#8", trusting().client_pem(own.cert_pem.as_str(), own.pkcs8_pem.as_str())),
        ("SEC1", trusting().client_pem(own.cert_pem.as_str(), own.sec1_pem.as_str())),
        ("RSA PKCS#8", trusting().client_pem(RSA_CERT_PEM, RSA_PKCS8_PEM)),
        ("RSA PKCS#1", trusting().client_pem(RSA_CERT_PEM, RSA_PKCS1_PEM)),
        ("PKCS#12", trusting().client_pkcs12(CLIENT_P12, CLIENT_P12_PASSWORD)),
    ];
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let server = server(certs().config(&certs().server, &[version], ClientCert::Required));
        for (form, tls) in &forms {
            println!("{form}");
            works(net, &server, tls.clone());
        }
    }
}

fn a_missing_client_certificate_is_the_servers_refusal_in_the_tls_phase(net: &Net) {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let server = server(certs().config(&certs().server, &[version], ClientCert::Required));
        // Under TLS 1.3 the refusal comes after the handshake, when the answer to the upgrade is awaited.
        for _ in 0..10 {
            refused(net, &server, trusting(), TlsFaultKind::Refused);
        }
    }
}

fn the_oldest_version_to_accept_is_enforced(net: &Net) {
    let (old, new) = (server(certs().tls12_only()), server(certs().tls13_only()));
    for tls in [trusting(), trusting().min_version(TlsVersion::Tls12)] {
        works(net, &old, tls.clone());
        works(net, &new, tls);
    }
    if cfg!(target_vendor = "apple") {
        return unbuildable(trusting().min_version(TlsVersion::Tls13), "min_version", "unsupported");
    }
    refused(net, &old, trusting().min_version(TlsVersion::Tls13), TlsFaultKind::Protocol);
    works(net, &new, trusting().min_version(TlsVersion::Tls13));
}

fn a_server_without_tls_is_told_as_such(net: &Net) {
    let server = Server::start(Behaviour::refuse(400, &[], ""));
    let client = net.builder(&net.url(server.address())).connect().unwrap();
    let failed = failed(&client);
    assert!([TlsFaultKind::Protocol, TlsFaultKind::Truncated].contains(&fault(failed.error())), "{failed}");
}

/// Sends a whole message and half of another, then ends as `end` says.
fn breaking_off(net: &Net, end: impl Fn(&mut crate::support::RawStream) + Send + Sync + 'static) -> Server {
    let broken = frame(1, b"never whole");
    net.server(Behaviour::raw(move |stream, _| {
        let Ok(head) = read_request_head(stream) else { return };
        let mut bytes = switching_protocols(&head, "").into_bytes();
        bytes.extend(frame(1, b"whole"));
        bytes.extend(&broken[..broken.len() / 2]);
        let _ = stream.write_all(&bytes).and_then(|()| stream.flush());
        end(stream);
    }))
}

fn a_stream_that_is_cut_without_close_notify_is_an_error_and_never_an_end(net: &Net) {
    let server = breaking_off(net, |stream| {
        let _ = stream.tcp().shutdown(std::net::Shutdown::Write);
        let _ = stream.read(&mut [0; 64]);
    });
    let client = to(net, &server, trusting()).reconnect(Reconnect::never()).connect().unwrap();
    assert_eq!(received(&client).as_text(), Some("whole"));
    let closed = closed(&client);
    assert_eq!((closed.code(), closed.is_clean()), (1006, false));
    assert_eq!(fault(closed.error().unwrap()), TlsFaultKind::Truncated);
}

fn a_relay_that_ends_the_stream_cannot_make_it_look_like_an_end(net: &Net) {
    let server = net.server(Behaviour::echo());
    let relay = Relay::start(server.address());
    let client = net.through(&relay).connect().unwrap();
    opened(&client);
    relay.half_close();
    let closed = closed(&client);
    assert_eq!(fault(closed.error().unwrap()), TlsFaultKind::Truncated);
    assert!(
        closed.retry_in().is_some_and(|delay| delay <= ms(100)),
        "the network's doing: an ordinary delay"
    );
    opened(&client);
}

/// Nothing is connected here, so that no mode has a part in it.
#[test]
fn inputs_that_cannot_be_are_told_when_the_client_is_built() {
    let _watch = watchdog(60, "inputs");
    let own = &certs().client;
    let cert = own.cert_pem.as_str();
    unbuildable(Tls::new().ca_pem("no certificate in here"), "ca_pem", "no PEM certificate found");
    unbuildable(Tls::new().ca_pem(own.pkcs8_pem.as_str()), "ca_pem", "no PEM certificate found");
    unbuildable(Tls::new().ca_file("/nowhere/ca.pem"), "ca_file", "/nowhere/ca.pem");
    unbuildable(Tls::new().system_roots(false), "system_roots", "whom to trust");
    unbuildable(
        Tls::new().client_pem(RSA_CERT_PEM, ENCRYPTED_KEY_PEM),
        "client_pem",
        "openssl pkey -in key.pem -out plain.pem",
    );
    unbuildable(Tls::new().client_pem(cert, cert), "client_pem", "");
    unbuildable(Tls::new().client_pem("", own.pkcs8_pem.as_str()), "client_pem", "no PEM certificate found");
    let of_another = Certs::generate().client.pkcs8_pem;
    unbuildable(Tls::new().client_pem(cert, of_another), "client_pem", "mismatch");
    unbuildable(Tls::new().client_pkcs12(CLIENT_P12, "wrong"), "client_pkcs12", "");
    unbuildable(Tls::new().client_pkcs12(b"no archive", "x"), "client_pkcs12", "");
}

stamp_modes! {
    Tls:
    an_authority_is_trusted_from_a_file_and_from_memory,
    an_unknown_authority_is_a_refused_certificate,
    an_expired_certificate_is_a_refused_certificate,
    a_certificate_for_another_host_is_a_refused_name,
    tls_failures_can_be_made_final,
    each_danger_switch_does_what_it_says_and_no_more,
    a_client_certificate_is_shown_from_every_form_of_its_key,
    a_missing_client_certificate_is_the_servers_refusal_in_the_tls_phase,
    the_oldest_version_to_accept_is_enforced,
    a_server_without_tls_is_told_as_such,
    a_stream_that_is_cut_without_close_notify_is_an_error_and_never_an_end,
    a_relay_that_ends_the_stream_cannot_make_it_look_like_an_end,
}
