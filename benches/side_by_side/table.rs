//! What was measured, as the README has it.

use std::fs;
use std::process::Command;

use crate::measures::Way;
use crate::rounds::{Ratio, Row};

const COLUMNS: [Way; 3] = [Way::Waiting, Way::Handler, Way::Blocking];

pub(crate) fn head() -> String {
    let [waiting, handler, blocking] = COLUMNS;
    format!("| measure | {} | {waiting} | {handler} | {blocking} |\n|---|---:|---:|---:|---:|", Way::Raw)
}

pub(crate) fn line(row: &Row) -> String {
    let cells = COLUMNS.map(|way| row.ratio(way).map_or(" |".to_owned(), cell));
    format!("| {} | {} |{}", row.measure.label, row.measure.show(row.reference()), cells.concat())
}

fn cell(ratio: Ratio) -> String {
    format!(" **{}** ({} to {}) |", short(ratio.median), short(ratio.lowest), short(ratio.highest))
}

/// Two digits behind the point, or what three digits leave.
pub(crate) fn short(ratio: f64) -> String {
    if ratio < 9.995 { format!("{ratio:.2}") } else { format!("{ratio:.1}") }
}

/// Date, versions and system, as far as they can be found out.
pub(crate) fn conditions(rounds: usize, quick: bool) -> String {
    let output = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok()?;
        String::from_utf8(output.stdout).ok()
    };
    let words = |text: Option<String>, words: usize| {
        text.map(|text| text.split_whitespace().take(words).collect::<Vec<_>>().join(" "))
    };
    let date = words(output("date", &["+%F"]), 1);
    let rustc = words(output("rustc", &["--version"]), 2);
    let openssl = if cfg!(feature = "native-tls") { words(output("openssl", &["version"]), 2) } else { None };
    let cores = std::thread::available_parallelism().map(|cores| format!("{cores} processors")).ok();
    let runs = format!(
        "{rounds} {}{}",
        if rounds == 1 { "round" } else { "rounds" },
        if quick { " of a tenth" } else { "" }
    );
    let known = [date, Some(runs), Some(system()), cores, rustc, tungstenite(), openssl];
    format!("{}.", known.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

fn system() -> String {
    format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)
}

/// From the lock file, as there is no other place that knows.
fn tungstenite() -> Option<String> {
    let lock = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")).ok()?;
    let (_, rest) = lock.split_once("name = \"tungstenite\"\nversion = \"")?;
    Some(format!("tungstenite {}", rest.split('"').next()?))
}
