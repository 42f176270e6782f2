//! The checked-in C header is the one that `src/ffi` says, and compilers take it without a warning.
#![cfg(feature = "capi")]

#[path = "ffi/compiler.rs"]
mod compiler;
mod support;

use compiler::{Compiler, scratch};
use support::watchdog;

const KEPT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/include/heartwire.h"));
const FRESH: &str = include_str!(concat!(env!("OUT_DIR"), "/heartwire.h"));

#[test]
fn the_header_is_fresh() {
    let _watch = watchdog(60, "the header is fresh");
    let first_difference = KEPT.lines().zip(FRESH.lines()).position(|(kept, fresh)| kept != fresh);
    assert!(
        KEPT == FRESH,
        "include/heartwire.h differs from src/ffi, first after line {first_difference:?}; \
         refresh it with: HEARTWIRE_UPDATE_HEADER=1 cargo build"
    );
}

#[test]
fn every_function_tells_of_ownership_threads_and_returns() {
    let _watch = watchdog(60, "the header's words");
    let code_after_comments = KEPT.split("/**").skip(1).filter_map(|part| part.split_once("*/"));
    let mut functions = 0;
    for (comment, code) in code_after_comments {
        let code = code.trim_start();
        if !code.contains('(') || ["typedef", "#define"].iter().any(|word| code.starts_with(word)) {
            continue;
        }
        functions += 1;
        let name = code.split('(').next().unwrap_or_default();
        let paragraphs = ["\n * Ownership: ", "\n * Threads:   ", "\n * Returns "];
        let at = paragraphs.map(|paragraph| comment.find(paragraph));
        assert!(at.iter().all(Option::is_some) && at.is_sorted(), "{name}: {at:?}");
    }
    assert!(functions > 100, "{functions} functions");
}

#[test]
fn the_header_compiles_without_a_warning() {
    let _watch = watchdog(120, "the header compiles");
    for (compiler, standard) in
        [(Compiler::C, "c99"), (Compiler::C, "c11"), (Compiler::Cpp, "c++11"), (Compiler::Cpp, "c++17")]
    {
        let source = scratch(&format!("header-{standard}.{}", compiler.ending()));
        std::fs::write(&source, "#include <heartwire.h>\nint main() { heartwire_client c = HEARTWIRE_CLIENT_INIT; return (int)c.id; }\n".replace("main()", compiler.main())).unwrap();
        compiler.run(standard, ["-fsyntax-only".into(), source.into_os_string()]);
    }
}
