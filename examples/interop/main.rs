//! The agent that servers written by others examine: a list of checks against one URL, each with a line of its own.
//!
//! `.ci/servers` starts the servers, which do by the path what their programs in `.ci/servers.d` say. It ends with
//! status 1 at the first check that fails.

mod checks;
mod closes;
mod peer;
mod restarts;

use std::process::ExitCode;
use std::time::Instant;

use lexopt::prelude::*;
use peer::Target;

const USAGE: &str = "usage: interop URL [CHECK]... [--ca FILE]
       interop --list";

/// What passed in words, or what went wrong.
type Checked = Result<String, String>;

struct Check {
    name: String,
    run: Box<dyn Fn(&Target) -> Checked>,
}

impl Check {
    fn new(name: impl Into<String>, run: impl Fn(&Target) -> Checked + 'static) -> Check {
        Check { name: name.into(), run: Box::new(run) }
    }
}

fn all() -> Vec<Check> {
    let mut all = checks::all();
    all.extend(closes::all());
    all.push(Check::new("restarts", restarts::restarts));
    all
}

fn main() -> ExitCode {
    match parse() {
        Ok(Some((target, names))) => examine(&target, &names),
        Ok(None) => {
            for check in all() {
                println!("{}", check.name);
            }
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("interop: {problem}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// The server, and the names of the checks to do; none of them means all.
fn parse() -> Result<Option<(Target, Vec<String>)>, lexopt::Error> {
    let mut parser = lexopt::Parser::from_env();
    let (mut url, mut ca, mut names) = (None, None, Vec::new());
    while let Some(argument) = parser.next()? {
        match argument {
            Long("list") => return Ok(None),
            Long("ca") => ca = Some(parser.value()?.into()),
            Value(value) if url.is_none() => url = Some(value.string()?),
            Value(value) => names.push(value.string()?),
            other => return Err(other.unexpected()),
        }
    }
    let url = url.ok_or("the URL is missing")?;
    if let Some(name) = names.iter().find(|name| all().iter().all(|check| check.name != **name)) {
        return Err(format!("no check is called {name}").into());
    }
    Ok(Some((Target { url: url.trim_end_matches('/').to_string(), ca }, names)))
}

fn examine(target: &Target, names: &[String]) -> ExitCode {
    for check in all().iter().filter(|check| names.is_empty() || names.contains(&check.name)) {
        let began = Instant::now();
        match (check.run)(target) {
            Ok(words) => println!("ok {}: {words}, {} ms", check.name, began.elapsed().as_millis()),
            Err(words) => {
                println!("FAILED {}: {words}", check.name);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
