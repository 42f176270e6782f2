//! The system's C and C++ compilers, and this library as they link it.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Clone, Copy)]
pub(crate) enum Compiler {
    C,
    Cpp,
}

impl Compiler {
    pub(crate) fn ending(self) -> &'static str {
        match self {
            Compiler::C => "c",
            Compiler::Cpp => "cpp",
        }
    }

    pub(crate) fn main(self) -> &'static str {
        match self {
            Compiler::C => "main(void)",
            Compiler::Cpp => "main()",
        }
    }

    /// Compiles with all warnings as errors.
    #[track_caller]
    pub(crate) fn run(self, standard: &str, arguments: impl IntoIterator<Item = OsString>) {
        let (variable, usual) = match self {
            Compiler::C => ("CC", "cc"),
            Compiler::Cpp => ("CXX", "c++"),
        };
        let program = env::var(variable).unwrap_or_else(|_| usual.to_string());
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        let ran = Command::new(&program)
            .arg(format!("-std={standard}"))
            .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror"])
            .arg(joined("-I", &Path::new(env!("CARGO_MANIFEST_DIR")).join("include")))
            .args(&arguments)
            .output();
        let output = ran.unwrap_or_else(|error| {
            panic!(
                "{program} cannot be run ({error}); install a C and C++ compiler, or name yours in {variable}"
            )
        });
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} -std={standard} {arguments:?}:\n{said}");
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Linked {
    Static,
    Shared,
}

impl Linked {
    /// What the linker needs for this library, as cargo has just built it beside this test.
    pub(crate) fn arguments(self) -> Vec<OsString> {
        let test = env::current_exe().expect("this test has a path");
        let folder = test.parent().expect("and a folder");
        match self {
            Linked::Shared => {
                let path = format!("-Wl,-rpath,{}", folder.display());
                let mut arguments = vec![joined("-L", folder), "-lheartwire".into(), path.into()];
                if cfg!(target_os = "linux") {
                    // Found before LD_LIBRARY_PATH, where cargo names a folder in which `cargo build` may have left an
                    // older library.
                    arguments.push("-Wl,--disable-new-dtags".into());
                }
                arguments
            }
            Linked::Static => {
                let mut arguments = vec![folder.join("libheartwire.a").into_os_string()];
                // What `rustc --print native-static-libs` names.
                if cfg!(feature = "native-tls") && !cfg!(feature = "vendored") {
                    arguments.extend(["-lssl".into(), "-lcrypto".into()]);
                }
                arguments.extend(["-lpthread".into(), "-ldl".into(), "-lm".into()]);
                arguments
            }
        }
    }
}

/// A path for what a test makes.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ffi");
    fs::create_dir_all(&folder).expect("the scratch folder can be made");
    folder.join(name)
}

fn joined(option: &str, path: &Path) -> OsString {
    let mut whole = OsString::from(option);
    whole.push::<&OsStr>(path.as_ref());
    whole
}
