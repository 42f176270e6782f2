//! The C and C++ programs of README.md are whole programs that do what it says: taken out, compiled and run.
#![cfg(all(feature = "capi", unix))]

#[path = "ffi/compiler.rs"]
mod compiler;
mod support;

use std::process::{Command, Stdio};
use std::time::Duration;

use compiler::{Compiler, Linked, scratch};
use support::watch::within;
use support::{Behaviour, Server, watchdog};

const README: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
const URL: &str = "ws://127.0.0.1:9000/feed";

/// The one block of README.md in this language that is a whole program.
#[track_caller]
fn program(language: &str) -> &'static str {
    let begin = format!("\n```{language}\n#include");
    let found: Vec<usize> = README.match_indices(&begin).map(|(at, _)| at).collect();
    assert_eq!(found.len(), 1, "whole programs in {language}");
    let from = &README[found[0] + "\n```".len() + language.len() + 1..];
    &from[..from.find("\n```\n").expect("the block ends") + 1]
}

#[track_caller]
fn logs_in_says_hello_and_obeys_bye(compiler: Compiler, language: &str, standard: &str) {
    let server = Server::start(Behaviour::echo());
    let source = program(language);
    assert!(source.contains(URL), "{source}");
    let file = scratch(&format!("readme.{}", compiler.ending()));
    std::fs::write(&file, source.replace(URL, &server.url())).unwrap();
    for linked in [Linked::Shared, Linked::Static] {
        let built = scratch(&format!("readme-{language}-{linked:?}"));
        let mut arguments = vec![file.clone().into_os_string(), "-o".into(), built.clone().into_os_string()];
        arguments.extend(linked.arguments());
        compiler.run(standard, arguments);

        let before = server.received().len();
        let mut command = Command::new(&built);
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        within(Duration::from_secs(10), "both messages", || {
            (server.received().len() == before + 2).then_some(())
        });
        assert!(server.send(server.connections(), "bye"));
        let output = child.wait_with_output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));

        assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
        assert_eq!(&server.received_texts()[before..], [r#"{"op":"login"}"#, "hello"]);
        assert_eq!(out, "{\"op\":\"login\"}\nhello\n", "{err}");
        assert_eq!(server.wait_closed(), (Some(1000), "done".into()));
    }
}

#[test]
fn the_c_program_logs_in_says_hello_and_obeys_bye() {
    let _watch = watchdog(60, "the C program");
    logs_in_says_hello_and_obeys_bye(Compiler::C, "c", "c99");
}

#[test]
fn the_cpp_program_logs_in_says_hello_and_obeys_bye() {
    let _watch = watchdog(60, "the C++ program");
    logs_in_says_hello_and_obeys_bye(Compiler::Cpp, "cpp", "c++17");
}
