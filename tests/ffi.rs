//! The C functions, called by C programs that are compiled here, against the static and the shared library.
#![cfg(feature = "capi")]

#[path = "ffi/compiler.rs"]
mod compiler;
#[path = "ffi/header.rs"]
mod header;
mod support;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use compiler::{Compiler, Linked, scratch};
use support::certs::tls_server;
use support::proxy::{Asked, Lets, http_proxy, socks_proxy};
use support::{Behaviour, Server, watchdog};

const BOTH: [Linked; 2] = [Linked::Static, Linked::Shared];

/// Compiles a program of `tests/ffi`.
fn program(name: &str, linked: Linked) -> PathBuf {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ffi");
    let program = scratch(&format!("{name}-{linked:?}"));
    let mut arguments = vec![
        "-g".into(),
        format!("-I{}", sources.display()).into(),
        format!("-I{}", scratch("").display()).into(),
        sources.join(format!("{name}.c")).into_os_string(),
        "-o".into(),
        program.clone().into_os_string(),
    ];
    arguments.extend(linked.arguments());
    Compiler::C.run("c11", arguments);
    program
}

/// Runs a program that has to end well; under another, valgrind for example, if `HEARTWIRE_RUN_WITH` says so.
#[track_caller]
fn run(program: &Path, arguments: &[&str]) {
    let with = std::env::var("HEARTWIRE_RUN_WITH").unwrap_or_default();
    let mut words = with.split_whitespace().map(OsStr::new).chain([program.as_os_str()]);
    let mut command = Command::new(words.next().expect("the program at least"));
    let output = command.args(words).args(arguments).output().expect("the program runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let last: Vec<&str> = out.lines().rev().take(5).collect();
    assert!(output.status.success(), "{}: {}\n{last:#?}\n{err}", program.display(), output.status);
}

/// A URL where nobody listens; the port stays reserved as long as the server lives.
fn refusing() -> (Server, String) {
    let server = Server::start(Behaviour::silent());
    let url = server.url();
    server.stop();
    (server, url)
}

#[test]
fn every_call_is_legal_everywhere() {
    let _watch = watchdog(240, "every call");
    let generated = scratch("generated.h");
    std::fs::write(&generated, header::generated()).unwrap();
    let server = Server::start(Behaviour::commands());
    let (_kept, nobody) = refusing();
    for linked in BOTH {
        run(&program("every_call", linked), &[&server.url(), &nobody]);
    }
}

#[test]
fn the_headers_numbers_are_the_librarys() {
    let _watch = watchdog(60, "constants");
    let server = Server::start(Behaviour::echo());
    for linked in BOTH {
        run(&program("constants", linked), &[&server.url()]);
    }
}

#[test]
fn attempts_go_where_the_program_and_servers_send_them() {
    let _watch = watchdog(60, "attempts");
    let echo = Server::start(Behaviour::echo());
    let away = Server::start(Behaviour::refuse(302, &[("Location", &echo.url())], ""));
    let circle = Server::start(Behaviour::refuse(302, &[("Location", "/")], ""));
    let name = echo.url().replace("127.0.0.1", "localhost");
    let by_name = Server::start(Behaviour::refuse(302, &[("Location", &name)], ""));
    for linked in BOTH {
        let asked = Asked::default();
        let proxy = Server::start(http_proxy(Lets::Everyone, &asked));
        let refusing = support::Setup::each(|n| {
            if n == 1 { Behaviour::refuse(401, &[("Set-Cookie", "id=1")], "") } else { Behaviour::echo() }
        });
        let refusing = refusing.start();
        let proxy = format!("http://{}", proxy.address());
        let urls = [&echo, &refusing, &away, &circle, &by_name].map(Server::url);
        let arguments: Vec<&str> = urls.iter().map(String::as_str).chain([proxy.as_str()]).collect();
        run(&program("attempts", linked), &arguments);
        assert_eq!(asked.all(), [&away, &echo].map(|server| server.address().to_string()));
        refusing.wait_for(std::time::Duration::from_secs(10), |event| match event {
            support::ServerEvent::Connected { request, .. } => {
                assert_eq!(request.header("Authorization"), Some("Bearer fresh"));
                assert_eq!(request.header("Cookie"), Some("id=1"));
                Some(())
            }
            _ => None,
        });
    }
}

#[cfg(unix)]
#[test]
fn streams_come_from_unix_sockets_and_from_the_program() {
    let _watch = watchdog(60, "sockets");
    let server = Server::start(Behaviour::commands());
    let door = support::door::Door::to(server.address());
    let path = door.path().to_str().expect("a path in UTF-8").to_owned();
    for linked in BOTH {
        let arguments = [&server.port().to_string(), &path, &format!("{path}-not")];
        run(&program("sockets", linked), &arguments.map(String::as_str));
    }
}

#[test]
fn messages_go_in_pieces_and_break_off_as_the_header_says() {
    let _watch = watchdog(60, "streams");
    let server = Server::start(Behaviour::echo());
    for linked in BOTH {
        run(&program("streams", linked), &[&server.url()]);
    }
}

#[test]
fn messages_reach_their_levels_go_again_and_overtake_as_the_header_says() {
    use support::ServerEvent::{Closed, Ping};

    let _watch = watchdog(60, "delivery");
    let server = Server::start(Behaviour::commands());
    let deaf = Server::start(Behaviour::commands());
    deaf.answer_pings(false);
    for linked in BOTH {
        run(&program("delivery", linked), &[&server.url(), &deaf.url()]);
        let mut pinged = None;
        let reason = server.wait_for(std::time::Duration::from_secs(10), |event| match event {
            Ping { n, .. } => {
                pinged = Some(*n);
                None
            }
            Closed { n, code: Some(4321), reason } => Some((pinged == Some(*n), reason.clone())),
            _ => None,
        });
        assert_eq!(reason, (true, "drained".to_owned()), "the ping comes before the Close");
    }
}

#[test]
fn long_messages_come_in_parts() {
    let _watch = watchdog(60, "fragments");
    let server = Server::start(Behaviour::echo());
    for linked in BOTH {
        run(&program("fragments", linked), &[&server.url()]);
    }
}

#[test]
fn a_client_explains_itself_to_c_as_the_header_says() {
    let _watch = watchdog(60, "explain");
    let server = Server::start(Behaviour::echo());
    let url = server.url().replace("ws://", "ws://user:secret@") + "feed?token=secret";
    let (_kept, nobody) = refusing();
    for linked in BOTH {
        run(&program("explain", linked), &[&url, &nobody]);
    }
}

#[test]
fn a_loop_that_is_shared_keeps_its_promises() {
    let _watch = watchdog(120, "loops");
    let server = Server::start(Behaviour::echo());
    for linked in BOTH {
        run(&program("loops", linked), &[&server.url()]);
    }
}

#[test]
fn a_fork_leaves_the_parents_clients_to_the_parent() {
    let _watch = watchdog(120, "fork");
    let server = Server::start(Behaviour::echo());
    let by_name = format!("ws://localhost:{}/", server.port());
    for linked in BOTH {
        run(&program("fork", linked), &[&server.url(), &by_name]);
    }
}

#[test]
#[cfg(unix)]
fn without_descriptors_calls_answer_and_nothing_ends() {
    let _watch = watchdog(60, "descriptors");
    let server = Server::start(Behaviour::echo());
    for linked in BOTH {
        run(&program("descriptors", linked), &[&server.url()]);
    }
}

/// Resets all connections again and again until it is dropped.
struct Cutting(Option<std::thread::JoinHandle<()>>, std::sync::mpsc::Sender<()>);

impl Cutting {
    fn of(servers: Vec<std::sync::Arc<Server>>) -> Cutting {
        let (stop, stopped) = std::sync::mpsc::channel();
        let often = std::time::Duration::from_millis(15);
        let cut = move || {
            while stopped.recv_timeout(often) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                servers.iter().for_each(|server| server.cut_all());
            }
        };
        Cutting(Some(std::thread::spawn(cut)), stop)
    }
}

impl Drop for Cutting {
    fn drop(&mut self) {
        let _ = self.1.send(());
        let _ = self.0.take().map(std::thread::JoinHandle::join);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn signals_environment_and_exit_are_the_programs() {
    use std::sync::Arc;

    let _watch = watchdog(120, "signals");
    let authority = scratch("authority.pem");
    std::fs::write(&authority, &support::certs::Certs::shared().ca_pem).unwrap();
    let mut servers = vec![Arc::new(Server::start(Behaviour::echo()))];
    if cfg!(feature = "native-tls") {
        servers.push(Arc::new(tls_server(Behaviour::echo())));
    }
    let _cutting = Cutting::of(servers.clone());
    let urls: Vec<String> = servers.iter().map(|server| server.url()).collect();
    let mut arguments = vec![authority.to_str().unwrap()];
    arguments.extend(urls.iter().map(String::as_str));
    for linked in BOTH {
        run(&program("signals", linked), &arguments);
    }
}

#[test]
#[cfg(feature = "native-tls")]
fn a_pin_from_c_holds_and_the_certificate_is_told() {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use sha2::{Digest, Sha256};
    use support::certs::Certs;

    let _watch = watchdog(60, "pins");
    let authority = scratch("pins-authority.pem");
    std::fs::write(&authority, &Certs::shared().ca_pem).unwrap();
    let server = tls_server(Behaviour::echo());
    let own = &Certs::shared().server;
    let key = rcgen::KeyPair::from_pem(&own.key_pem).unwrap();
    let key = Sha256::digest(rcgen::PublicKeyData::subject_public_key_info(&key));
    let key = format!("sha256//{}", data_encoding::BASE64.encode(&key));
    let der = CertificateDer::from_pem_slice(own.cert_pem.as_bytes()).unwrap();
    let certificate = data_encoding::HEXUPPER.encode(&Sha256::digest(&der));
    let length = der.len().to_string();
    for linked in BOTH {
        let arguments = [&server.url(), authority.to_str().unwrap(), &key, &certificate, &length];
        run(&program("pins", linked), &arguments);
    }
}

#[test]
fn both_styles_tell_everything() {
    let _watch = watchdog(60, "styles");
    let server = Server::start(Behaviour::echo().subprotocol("chat").header("X-Test", "yes"));
    let refusing = Server::start(Behaviour::refuse(403, &[("X-Why", "because")], "nope"));
    let asked = Asked::default();
    let proxies = [
        ("http", http_proxy(Lets::User, &asked)),
        ("http", Behaviour::answers(|_| "HTTP/1.1 407 Who are you?\r\n\r\n".into())),
        ("http", Behaviour::answers(|_| "none of your business".into())),
        ("socks5h", socks_proxy(Lets::User, &asked)),
    ]
    .map(|(scheme, behaviour)| (scheme, Server::start(behaviour)));
    let proxies = proxies.each_ref().map(|(scheme, server)| format!("{scheme}://{}", server.address()));
    let [url, refusing] = [&server, &refusing].map(Server::url);
    let mut arguments = vec![url.as_str(), &refusing];
    arguments.extend(proxies.iter().map(String::as_str));
    for linked in BOTH {
        run(&program("styles", linked), &arguments);
    }
    let received = server.received();
    let texts = received.iter().filter_map(|(_, message)| message.as_text());
    assert!(
        texts.clone().all(|text| ["hello", "login", "first"].contains(&text)),
        "{:?}",
        texts.collect::<Vec<_>>()
    );
}
