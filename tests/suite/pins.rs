//! Pins of a server's key or certificate, what the server has shown, and what is offered by ALPN.

use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use heartwire::{Builder, Cause, Client, ConfigError, End, Phase, Proxy, Reconnect, Tls, TlsFaultKind};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};

use crate::net::{Net, SOON, close, closed, failed, ms, opened, quick, received, trusting};
use crate::support::certs::{Certs, ClientCert, Identity};
use crate::support::proxy::{Asked, Lets, http_proxy, socks_proxy};
use crate::support::{Behaviour, Server, Setup, watchdog};

fn certs() -> &'static Certs {
    Certs::shared()
}

fn showing(identity: &Identity) -> Server {
    Setup::new(Behaviour::echo()).tls(certs().config_with(identity)).start()
}

/// A server that shows one of these, as the test says.
#[derive(Debug)]
struct Changing {
    which: AtomicUsize,
    of: Vec<Arc<dyn ResolvesServerCert>>,
}

impl Changing {
    fn start(identities: &[&Identity]) -> (Server, Arc<Changing>) {
        let of = identities.iter().map(|identity| certs().config_with(identity).cert_resolver.clone());
        let changing = Arc::new(Changing { which: AtomicUsize::new(0), of: of.collect() });
        let mut config = (*certs().server_config()).clone();
        config.cert_resolver = changing.clone();
        (Setup::new(Behaviour::echo()).tls(Arc::new(config)).start(), changing)
    }

    fn show(&self, which: usize) {
        self.which.store(which, Ordering::SeqCst);
    }
}

impl ResolvesServerCert for Changing {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.of[self.which.load(Ordering::SeqCst)].resolve(hello)
    }
}

fn der(identity: &Identity) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(identity.cert_pem.as_bytes()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn certificate(identity: &Identity) -> String {
    hex(&der(identity))
}

fn key(identity: &Identity) -> String {
    let key = rcgen::KeyPair::from_pem(&identity.key_pem).unwrap();
    hex(&rcgen::PublicKeyData::subject_public_key_info(&key))
}

/// Of nobody.
fn other() -> String {
    "0".repeat(64)
}

#[track_caller]
fn works(builder: Builder) {
    let client = builder.connect().unwrap();
    opened(&client);
    client.send_text("sealed").unwrap();
    assert_eq!(received(&client).as_text(), Some("sealed"));
    close(&client);
}

/// The first attempt fails in this phase for this fault of TLS's; its text.
#[track_caller]
fn refused(builder: Builder, phase: Phase, kind: TlsFaultKind) -> String {
    let client = builder.connect().unwrap();
    let failed = failed(&client);
    assert_eq!(failed.error().phase(), phase, "{failed}");
    let Cause::Tls(fault) = failed.error().cause() else { panic!("{failed:?}") };
    assert_eq!(fault.kind(), kind, "{failed}");
    assert!(failed.to_string().contains(fault.text()), "{failed}");
    fault.text().to_owned()
}

#[track_caller]
fn refused_by_pin(builder: Builder) -> String {
    refused(builder, Phase::Tls, TlsFaultKind::Pin)
}

fn a_pin_in_each_form_lets_its_server_through_and_no_other(net: &Net) {
    let server = showing(&certs().server);
    let (key, whole) = (key(&certs().server), certificate(&certs().server));
    works(net.to(&server).tls(trusting().pin_public_key(&key)));
    works(net.to(&server).tls(trusting().pin_public_key(key.to_uppercase())));
    works(net.to(&server).tls(trusting().pin_certificate(&whole)));
    // The same hashes of the other thing are other pins.
    refused_by_pin(net.to(&server).tls(trusting().pin_public_key(&whole)));
    refused_by_pin(net.to(&server).tls(trusting().pin_certificate(&key)));

    // What the text tells can be set.
    let text = refused_by_pin(net.to(&server).tls(trusting().pin_public_key(other())));
    let told = text.split([' ', ',']).find(|word| word.starts_with("sha256//")).expect("the key's hash");
    works(net.to(&server).tls(trusting().pin_public_key(told)));
    works(net.to(&server).tls(trusting().pin_public_key(told.replacen("//", "/", 1))));
    let told = text.rsplit(' ').next().expect("the certificate's hash");
    assert_eq!(told, whole);
}

fn one_of_several_pins_is_enough(net: &Net) {
    let server = showing(&certs().server);
    let tls = || trusting().pin_public_key(other()).pin_certificate(other());
    works(net.to(&server).tls(tls().pin_public_key(key(&certs().server))));
    works(net.to(&server).tls(tls().pin_certificate(certificate(&certs().server))));
    works(net.to(&server).tls(tls().pin_certificate(certificate(&certs().server)).pin_public_key(other())));
    refused_by_pin(net.to(&server).tls(tls()));
}

fn a_server_that_no_pin_fits_gets_no_byte_of_the_upgrade(net: &Net) {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let got = Arc::new(Mutex::new(None));
        let script = Behaviour::raw({
            let got = got.clone();
            move |stream, _| {
                let mut bytes = Vec::new();
                let _ = stream.read_to_end(&mut bytes);
                *got.lock().unwrap() = Some(bytes);
            }
        });
        let config = certs().config(&certs().server, &[version], ClientCert::NotAsked);
        let server = Setup::new(script).tls(config).start();
        let builder = net.to(&server).tls(trusting().pin_public_key(other()));
        refused_by_pin(builder.header("Authorization", "Bearer abc").reconnect(Reconnect::never()));
        server.wait_ended();
        assert_eq!(got.lock().unwrap().as_deref(), Some(&b""[..]));
    }
}

fn pins_come_on_top_of_the_usual_verification(net: &Net) {
    use TlsFaultKind::{Certificate, HostName};
    for (identity, kind) in [
        (&certs().self_signed, Certificate),
        (&certs().expired, Certificate),
        (&certs().not_yet_valid, Certificate),
        (&certs().wrong_host, HostName),
    ] {
        let server = showing(identity);
        let tls = trusting().pin_public_key(key(identity)).pin_certificate(certificate(identity));
        refused(net.to(&server).tls(tls), Phase::Tls, kind);
    }
    let stranger = Certs::generate();
    let server = Setup::new(Behaviour::echo()).tls(stranger.server_config()).start();
    let tls = trusting().pin_public_key(key(&stranger.server));
    refused(net.to(&server).tls(tls), Phase::Tls, Certificate);
}

fn without_verification_a_pin_is_all_that_counts_and_it_does(net: &Net) {
    let c = certs();
    let any = || Tls::new().system_roots(false).danger_accept_invalid_certificates(true);
    for identity in [&c.self_signed, &c.expired, &c.not_yet_valid, &c.wrong_host, &c.server] {
        let server = showing(identity);
        works(net.to(&server).tls(any().pin_public_key(key(identity))));
        works(net.to(&server).tls(any().pin_certificate(certificate(identity))));
        // Somebody between, with whatever certificate he made himself.
        let between = Certs::generate();
        for identity in [&between.self_signed, &between.server] {
            refused_by_pin(net.to(&server).tls(any().pin_public_key(key(identity))));
            refused_by_pin(net.to(&server).tls(any().pin_certificate(certificate(identity))));
        }
    }
    let any_name = trusting().danger_accept_invalid_hostnames(true);
    let server = showing(&c.wrong_host);
    works(net.to(&server).tls(any_name.clone().pin_public_key(key(&c.wrong_host))));
    refused_by_pin(net.to(&server).tls(any_name.pin_public_key(key(&c.server))));
}

fn a_server_that_is_not_pinned_is_tried_again_as_after_other_refused_certificates(net: &Net) {
    let server = showing(&certs().server);
    let tls = || trusting().pin_public_key(other());
    let client = net.to(&server).tls(tls()).connect().unwrap();
    let delay = failed(&client).retry_in().expect("the key may be on its way");
    assert!(delay >= ms(100) && delay <= ms(145), "the longest delay, with jitter: {delay:?}");
    failed(&client);
    close(&client);
    let client = net.to(&server).tls(tls()).reconnect(quick().retry_tls(false)).connect().unwrap();
    assert_eq!(failed(&client).retry_in(), None);
    assert!(matches!(client.wait_closed(SOON).unwrap(), End::Fatal(_)));
}

fn pins_hold_on_every_session(net: &Net) {
    let (server, changing) = Changing::start(&[&certs().server, &certs().address_only]);
    let tls = trusting().pin_public_key(key(&certs().server));
    let client = net.to(&server).tls(tls).connect().unwrap();
    opened(&client);
    changing.show(1);
    server.cut_all();
    closed(&client);
    let failed = failed(&client);
    assert!(
        matches!(failed.error().cause(), Cause::Tls(fault) if fault.kind() == TlsFaultKind::Pin),
        "{failed}"
    );
    changing.show(0);
    opened(&client);
    close(&client);
}

fn through_a_proxy_it_is_the_server_that_is_pinned(net: &Net) {
    let server = showing(&certs().server);
    let (own, proxys) = (key(&certs().server), key(&certs().address_only));
    let asked = Asked::default();
    let http = Server::start(http_proxy(Lets::Everyone, &asked));
    let socks = Server::start(socks_proxy(Lets::Everyone, &asked));
    let behaviour = http_proxy(Lets::Everyone, &asked);
    let https = Setup::new(behaviour).tls(certs().config_with(&certs().address_only)).start();
    let proxies = || {
        [
            Proxy::new(format!("http://{}", http.address())),
            Proxy::new(format!("socks5://{}", socks.address())),
            Proxy::new(format!("https://{}", https.address())).tls(trusting()),
        ]
    };
    for proxy in proxies() {
        works(net.to(&server).tls(trusting().pin_public_key(&own)).proxy(proxy));
    }
    for proxy in proxies() {
        refused_by_pin(net.to(&server).tls(trusting().pin_public_key(&proxys)).proxy(proxy));
    }
    // The proxy's own settings have pins, too, and they concern the proxy alone.
    let url = format!("https://{}", https.address());
    let pinned = |pin: &str| Proxy::new(url.as_str()).tls(trusting().pin_public_key(pin));
    works(net.to(&server).tls(trusting().pin_public_key(&own)).proxy(pinned(&proxys)));
    works(net.to(&server).proxy(pinned(&proxys)));
    refused(net.to(&server).proxy(pinned(&own)), Phase::Proxy, TlsFaultKind::Pin);
}

fn pins_hold_where_a_redirect_leads(net: &Net) {
    let target = showing(&certs().address_only);
    let away = format!("wss://{}/", target.address());
    let server = net.server(Behaviour::refuse(302, &[("Location", &away)], ""));
    let first = key(&certs().server);
    refused_by_pin(net.to(&server).tls(trusting().pin_public_key(&first)));
    let both = trusting().pin_public_key(&first).pin_public_key(key(&certs().address_only));
    let client = net.to(&server).tls(both).connect().unwrap();
    assert_eq!(opened(&client).url(), away);
    close(&client);
}

fn pins_hold_for_each_of_several_urls(net: &Net) {
    let (wrong, right) = (showing(&certs().server), showing(&certs().address_only));
    let tls = trusting().pin_public_key(key(&certs().address_only));
    let client = net.to(&wrong).add_url(net.url(right.address())).tls(tls).connect().unwrap();
    let failed = failed(&client);
    assert!(
        matches!(failed.error().cause(), Cause::Tls(fault) if fault.kind() == TlsFaultKind::Pin),
        "{failed}"
    );
    assert_eq!((failed.url_index(), opened(&client).url_index()), (0, 1));
    close(&client);
}

fn an_attempt_without_tls_is_none_for_a_client_with_pins(net: &Net) {
    let (secure, plain) = (showing(&certs().server), Server::start(Behaviour::echo()));
    let away = plain.url();
    let tls = trusting().pin_public_key(key(&certs().server));
    let client = net.to(&secure).tls(tls).before_connect(move |attempt| {
        if attempt.number() == 1 {
            attempt.set_url(&away)?;
        }
        Ok(())
    });
    let client = client.connect().unwrap();
    let failed = failed(&client);
    let Cause::BeforeConnect(error) = failed.error().cause() else { panic!("{failed:?}") };
    let error = error.downcast_ref::<ConfigError>().expect("a setting");
    assert_eq!(error.setting(), "pin_public_key");
    opened(&client);
    assert_eq!(plain.connections(), 0);
    close(&client);
}

fn the_certificate_of_the_server_is_told_when_a_session_opens(net: &Net) {
    let (server, changing) = Changing::start(&[&certs().server, &certs().address_only]);
    let (first, second) = (der(&certs().server), der(&certs().address_only));
    let client = net.to(&server).connect().unwrap();
    assert_eq!(opened(&client).peer_certificate(), Some(&*first));
    assert_eq!(client.last_open().unwrap().peer_certificate(), Some(&*first));
    // Of each session its own.
    changing.show(1);
    server.cut_all();
    let opened_again = opened(&client);
    assert_eq!(opened_again.peer_certificate(), Some(&*second));
    assert!(!format!("{opened_again:?}").contains("48, 130"), "not a page of numbers: {opened_again:?}");
    close(&client);

    // The server's, not the proxy's.
    changing.show(0);
    let behaviour = http_proxy(Lets::Everyone, &Asked::default());
    let proxy = Setup::new(behaviour).tls(certs().config_with(&certs().address_only)).start();
    let proxy = || Proxy::new(format!("https://{}", proxy.address())).tls(trusting());
    let client = net.to(&server).proxy(proxy()).connect().unwrap();
    assert_eq!(opened(&client).peer_certificate(), Some(&*first));
    close(&client);
    let plain = Server::start(Behaviour::echo());
    let client = net.builder(&plain.url()).proxy(proxy()).connect().unwrap();
    assert_eq!(opened(&client).peer_certificate(), None);
    close(&client);
}

/// A server with these protocols for ALPN; without any it does not know what that is.
fn speaking(protocols: &[&str]) -> Server {
    let mut config: ServerConfig = (*certs().server_config()).clone();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Setup::new(Behaviour::echo()).tls(Arc::new(config)).start()
}

/// RFC 7301 section 3.2; that HTTP/1.1 was offered is seen in the ClientHello by a test in `src/net/tests/tls.rs`.
fn a_server_may_choose_http_1_1_or_nothing_and_one_without_it_is_told_as_such(net: &Net) {
    for protocols in [&[][..], &["http/1.1"], &["h2", "http/1.1"], &["http/1.1", "h2", "h3"]] {
        works(net.to(&speaking(protocols)));
    }
    for protocols in [&["h2"][..], &["h2", "h3"], &["mqtt"], &["http/1.0"]] {
        let text = refused(net.to(&speaking(protocols)), Phase::Tls, TlsFaultKind::Protocol);
        assert!(text.contains("HTTP/1.1"), "{text}");
    }
}

/// Nothing is connected here, so that no mode has a part in it.
#[test]
fn pins_that_cannot_be_are_told_when_the_client_is_built() {
    #[track_caller]
    fn unbuildable(builder: Builder, setting: &str, part: &str) {
        let error = builder.build().expect_err("a config error");
        assert_eq!(error.setting(), setting);
        assert!(error.problem().contains(part), "{error}");
    }
    let _watch = watchdog(60, "pins that cannot be");
    let secure = || Client::builder("wss://localhost/");
    unbuildable(secure().tls(trusting().pin_public_key("server.pem")), "pin_public_key", "64 hexadecimal");
    unbuildable(secure().tls(trusting().pin_certificate("")), "pin_certificate", "64 hexadecimal");
    let one_is_wrong = trusting().pin_public_key(other()).pin_certificate("x");
    unbuildable(secure().tls(one_is_wrong), "pin_certificate", "64 hexadecimal");
    let proxy = Proxy::new("https://h").tls(trusting().pin_certificate("x"));
    unbuildable(secure().proxy(proxy), "pin_certificate", "64 hexadecimal");

    // Where there is no TLS nothing can be pinned, and a URL without it beside others would be a way around.
    let pinned = || trusting().pin_certificate(other());
    unbuildable(Client::builder("ws://localhost/").tls(pinned()), "pin_certificate", "ws:");
    unbuildable(secure().add_url("ws://localhost/").tls(pinned()), "pin_certificate", "ws:");
    secure().add_url("wss://other/").tls(pinned()).build().unwrap();
    // A proxy's pins are about the proxy.
    let proxy = Proxy::new("https://h").tls(trusting().pin_certificate(other()));
    Client::builder("ws://localhost/").proxy(proxy).build().unwrap();
}

stamp_modes! {
    Tls:
    a_pin_in_each_form_lets_its_server_through_and_no_other,
    a_server_may_choose_http_1_1_or_nothing_and_one_without_it_is_told_as_such,
    a_server_that_is_not_pinned_is_tried_again_as_after_other_refused_certificates,
    a_server_that_no_pin_fits_gets_no_byte_of_the_upgrade,
    an_attempt_without_tls_is_none_for_a_client_with_pins,
    one_of_several_pins_is_enough,
    pins_come_on_top_of_the_usual_verification,
    pins_hold_for_each_of_several_urls,
    pins_hold_on_every_session,
    pins_hold_where_a_redirect_leads,
    the_certificate_of_the_server_is_told_when_a_session_opens,
    through_a_proxy_it_is_the_server_that_is_pinned,
    without_verification_a_pin_is_all_that_counts_and_it_does,
}
