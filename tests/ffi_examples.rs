//! The programs of `ffi-examples/` and the C++ header do what they say: compiled here and run against the embedded
//! server, with the static library and with the shared one.
//!
//! What needs more than a C and a C++ compiler is tried by `.ci/c_examples`: chat.cpp, python_ctypes.py, make and cmake.
#![cfg(all(feature = "capi", unix))]

#[path = "ffi/compiler.rs"]
mod compiler;
mod support;

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use compiler::{Compiler, Linked, scratch};
use support::{Behaviour, Relay, Server, watchdog};

const BOTH: [Linked; 2] = [Linked::Static, Linked::Shared];

static COMPILED: AtomicUsize = AtomicUsize::new(0);

/// Compiles a program from this folder of the source tree; into a file of its own each time, since another test may be
/// running the one before.
#[track_caller]
fn compiled(folder: &str, file: &str, standard: &str, linked: Linked) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(file);
    let number = COMPILED.fetch_add(1, Ordering::Relaxed);
    let program = scratch(&format!("{file}-{standard}-{linked:?}-{number}"));
    let compiler = if file.ends_with(".cpp") { Compiler::Cpp } else { Compiler::C };
    let mut arguments: Vec<OsString> = vec!["-g".into(), source.into(), "-o".into(), program.clone().into()];
    arguments.extend(linked.arguments());
    compiler.run(standard, arguments);
    program
}

fn example(file: &str, linked: Linked) -> PathBuf {
    compiled("ffi-examples", file, if file.ends_with(".cpp") { "c++17" } else { "c99" }, linked)
}

#[track_caller]
fn start(program: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

/// Waits for the program's end with this status and returns its standard output.
#[track_caller]
fn ends(child: Child, status: i32) -> String {
    let Output { status: code, stdout, stderr } = child.wait_with_output().expect("it ends");
    let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!(code.code(), Some(status), "{code}\n{out}\n{err}");
    out.into_owned()
}

#[test]
fn echo_prints_the_answer() {
    let _watch = watchdog(60, "echo.c");
    let server = Server::start(Behaviour::echo());
    for linked in BOTH {
        let program = example("echo.c", linked);
        assert_eq!(ends(start(&program, &[&server.url(), "h\u{e9}llo"]), 0), "h\u{e9}llo\n");
        assert_eq!(server.wait_closed(), (Some(1000), "done".into()));
        ends(start(&program, &["http://no.websocket/", "hello"]), 1);
        ends(start(&program, &[]), 2);
    }
}

#[test]
fn talk_sends_lines_and_ends_with_its_input() {
    let _watch = watchdog(60, "talk.c");
    let server = Server::start(Behaviour::silent());
    for linked in BOTH {
        let mut child = start(&example("talk.c", linked), &[&server.url()]);
        let mut input = child.stdin.take().unwrap();
        input.write_all(b"one\ntwo\nthr").unwrap();
        assert_eq!(server.wait_message().as_text(), Some("one"));
        assert_eq!(server.wait_message().as_text(), Some("two"));
        server.send(server.connections(), "hello");
        server.send(server.connections(), "you");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "hello");
        assert_eq!(lines.next().unwrap().unwrap(), "you");
        // The last line has no end.
        input.write_all(b"ee").unwrap();
        drop(input);
        assert_eq!(server.wait_message().as_text(), Some("three"));
        assert_eq!(server.wait_closed().0, Some(1000));
        ends(child, 0);
    }
}

#[test]
fn talk_closes_well_on_an_interrupt() {
    let _watch = watchdog(60, "talk.c, interrupted");
    let server = Server::start(Behaviour::silent());
    let mut child = start(&example("talk.c", Linked::Shared), &[&server.url()]);
    // Kept open: the input's end must not be what ends it.
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"one\n").unwrap();
    server.wait_message();
    // SAFETY: kill has no preconditions, and the number is of a child that was not waited for yet.
    assert_eq!(unsafe { libc::kill(child.id().cast_signed(), libc::SIGINT) }, 0);
    assert_eq!(server.wait_closed(), (Some(1000), "interrupted".into()));
    ends(child, 0);
}

#[test]
fn talk_fails_when_the_server_ends_it() {
    let _watch = watchdog(60, "talk.c, refused");
    let server = Server::start(Behaviour::refuse(403, &[], "no"));
    let mut child = start(&example("talk.c", Linked::Shared), &[&server.url()]);
    let _input = child.stdin.take().unwrap();
    ends(child, 1);
}

#[test]
fn reconnect_logs_in_again_after_a_cut() {
    let _watch = watchdog(60, "reconnect.c");
    for linked in BOTH {
        let server = Server::start(Behaviour::silent());
        server.answer_text_pings(true);
        let relay = Relay::start(server.address());
        let child = start(&example("reconnect.c", linked), &[&relay.ws_url(), "2"]);
        assert_eq!(server.wait_message().as_text(), Some(r#"{"op":"login"}"#));
        assert_eq!(server.wait_message().as_text(), Some("hello 1"));
        relay.cut();
        assert_eq!(server.wait_message().as_text(), Some(r#"{"op":"login"}"#));
        assert_eq!(server.wait_message().as_text(), Some("hello 2"));
        // Long enough without the answer that a heartbeat is due.
        assert_eq!(server.wait_message().as_text(), Some("ping"));
        server.send(server.connections(), "hello 2");
        let out = ends(child, 0);
        assert!(out.contains("messages 1 to 1: written"), "{out}");
        assert!(out.contains("heartbeat: "), "{out}");
    }
}

#[test]
fn survives_comes_through_a_refusal_a_cut_and_a_stall_of_heartwire_chaos() {
    let _watch = watchdog(60, "survives.c");
    // Examples lie beside the folder of this test's own program.
    let own = std::env::current_exe().unwrap();
    let chaos = own.parent().and_then(Path::parent).unwrap().join("examples").join("heartwire-chaos");
    assert!(chaos.exists(), "{} is missing; 'cargo build --examples' makes it", chaos.display());
    let chaos = chaos.to_str().expect("a path as text");
    for linked in BOTH {
        let program = example("survives.c", linked);
        let out = ends(start(&program, &[chaos]), 0);
        assert!(out.contains("1 refused, 3 opened, 1 reset, 1 silent, 1 answered"), "{out}");
        for line in
            ["server: refused 1 /", "server: ended 2 cut", "server: closed 4 1000 done", "server: over 0"]
        {
            assert!(out.lines().any(|told| told == line), "{line} is missing in {out}");
        }
        ends(start(&program, &["/nobody/there"]), 1);
        ends(start(&program, &[]), 2);
    }
}

#[cfg(feature = "native-tls")]
#[test]
fn tls_shows_its_certificate_and_trusts_one_authority() {
    use support::Setup;
    use support::certs::{Certs, ClientCert};

    let _watch = watchdog(60, "tls.c");
    let certs = Certs::shared();
    let config = certs.config(&certs.server, rustls::ALL_VERSIONS, ClientCert::Required);
    let server = Setup::new(Behaviour::echo()).tls(config).start();
    let kept = |name: &str, pem: &str| {
        let path = scratch(name);
        fs::write(&path, pem).unwrap();
        path.to_str().expect("a path in UTF-8").to_owned()
    };
    let ca = kept("tls-ca.pem", &certs.ca_pem);
    let certificate = kept("tls-client.pem", &certs.client.cert_pem);
    let key = kept("tls-client.key", &certs.client.pkcs8_pem);
    let other_ca = kept("tls-other-ca.pem", &Certs::generate().ca_pem);
    let stranger = kept("tls-stranger.pem", &certs.self_signed.cert_pem);
    let strangers_key = kept("tls-stranger.key", &certs.self_signed.key_pem);
    for linked in BOTH {
        let program = example("tls.c", linked);
        assert_eq!(ends(start(&program, &[&server.url(), &ca, &certificate, &key]), 0), "hello\n");
        ends(start(&program, &[&server.url(), &other_ca, &certificate, &key]), 3);
        ends(start(&program, &[&server.url(), &ca, &stranger, &strangers_key]), 3);
        ends(start(&program, &[&server.url(), &ca, &certificate, "/no/such/file"]), 1);
    }
}

#[test]
fn main_loop_gets_all_events_on_its_own_thread() {
    let _watch = watchdog(90, "main_loop.cpp");
    let server = Server::start(Behaviour::echo());
    for linked in BOTH {
        let program = example("main_loop.cpp", linked);
        assert_eq!(ends(start(&program, &[&server.url(), "3"]), 0), "number 1\nnumber 2\nnumber 3\n");
    }
}

/// Threads of a child, whose name and address had to be looked up nowhere.
#[cfg(target_os = "linux")]
fn threads(child: &Child) -> usize {
    fs::read_dir(format!("/proc/{}/task", child.id())).expect("it runs").count()
}

#[cfg(target_os = "linux")]
#[test]
fn epoll_serves_two_clients_a_timer_and_its_input_on_one_thread() {
    let _watch = watchdog(60, "epoll.c");
    for linked in BOTH {
        let server = Server::start(Behaviour::echo());
        let program = example("epoll.c", linked);
        let mut child = start(&program, &[&server.url()]);
        let mut input = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        input.write_all(b"hel").unwrap();
        assert_eq!(lines.next().unwrap(), "ticks: tick 1");
        assert_eq!(lines.next().unwrap(), "ticks: tick 2");
        input.write_all(b"lo\nsecond\n").unwrap();
        let said: Vec<String> = lines.by_ref().filter(|line| line.starts_with("lines: ")).take(2).collect();
        assert_eq!(said, ["lines: hello", "lines: second"]);
        assert_eq!(threads(&child), 1);
        input.write_all(b"quit\n").unwrap();
        ends(child, 0);
        for _ in 0..2 {
            assert_eq!(server.wait_closed(), (Some(1000), "done".into()));
        }
        // The end of the input ends it, too; what was typed goes out before, on a link that is not open yet.
        let mut child = start(&program, &[&server.url()]);
        child.stdin.take().unwrap().write_all(b"last").unwrap();
        ends(child, 0);
        assert!(server.received_texts().contains(&"last".into()));
    }
    let refusing = Server::start(Behaviour::refuse(403, &[], "no"));
    let mut child = start(&example("epoll.c", Linked::Shared), &[&refusing.url()]);
    let _input = child.stdin.take().unwrap();
    ends(child, 1);
}

#[test]
fn frame_loop_hears_of_every_position_between_its_frames() {
    let _watch = watchdog(90, "frame_loop.cpp");
    let server = Server::start(Behaviour::echo());
    for linked in BOTH {
        let program = example("frame_loop.cpp", linked);
        let out = ends(start(&program, &[&server.url(), "60"]), 0);
        for (ship, at) in [("red", "20.0"), ("blue", "30.0")] {
            let line =
                out.lines().find(|line| line.starts_with(&format!("frame 60: {ship} at {at}, known at ")));
            assert!(line.is_some_and(|line| !line.ends_with("nowhere")), "{out}");
        }
        for _ in 0..2 {
            assert_eq!(server.wait_closed(), (Some(1000), "game over".into()));
        }
    }
}

#[test]
fn the_cpp_header_keeps_its_promises() {
    let _watch = watchdog(120, "cpp.cpp");
    let server = Server::start(Behaviour::echo().header("X-Test", "yes"));
    let obedient = Server::start(Behaviour::commands());
    #[cfg(not(feature = "native-tls"))]
    let arguments = [server.url(), obedient.url()];
    #[cfg(feature = "native-tls")]
    let (_secure, arguments) = {
        let secure = support::certs::tls_server(Behaviour::echo());
        let authority = scratch("cpp-authority.pem");
        fs::write(&authority, &support::certs::Certs::shared().ca_pem).unwrap();
        let authority = authority.to_str().unwrap().to_owned();
        let arguments = [server.url(), obedient.url(), secure.url(), authority];
        (secure, arguments)
    };
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    for (standard, linked) in [("c++17", Linked::Static), ("c++20", Linked::Shared)] {
        ends(start(&compiled("tests/ffi", "cpp.cpp", standard, linked), &arguments), 0);
    }
}

#[test]
fn the_cpp_header_compiles_without_exceptions_and_in_two_files() {
    let _watch = watchdog(60, "heartwire.hpp");
    let text = "#include <heartwire.hpp>\n#include <heartwire.hpp>\n";
    let (one, two) = (scratch("hpp-one.cpp"), scratch("hpp-two.cpp"));
    let main = "int main() { return heartwire::Client::create(\"ws://127.0.0.1/\") ? 0 : 1; }\n";
    fs::write(&one, format!("{text}heartwire::Options other() {{ return {{}}; }}\n")).unwrap();
    fs::write(&two, format!("{text}{main}")).unwrap();
    for extra in ["-fexceptions", "-fno-exceptions"] {
        let program = scratch(&format!("hpp{extra}"));
        let mut arguments: Vec<OsString> = vec![extra.into(), one.clone().into(), two.clone().into()];
        arguments.extend(["-Wshadow".into(), "-Wconversion".into(), "-o".into(), program.clone().into()]);
        arguments.extend(Linked::Shared.arguments());
        Compiler::Cpp.run("c++17", arguments);
        ends(start(&program, &[]), 0);
    }
}
