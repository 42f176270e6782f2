//! What a script may say: one table for the server, one for the relay, and the help that is made of both.

use std::fmt::Write;
use std::time::Duration;

use heartwire::testing::{BadFrame, Behaviour, Direction, Passage, Point, Then, When};

/// One word of a script, with what may stand behind its colon.
pub(crate) struct Step<T: 'static> {
    pub(crate) name: &'static str,
    argument: &'static str,
    help: &'static str,
    make: fn(&str) -> Result<T, String>,
}

const fn step<T>(
    name: &'static str,
    argument: &'static str,
    help: &'static str,
    make: fn(&str) -> Result<T, String>,
) -> Step<T> {
    Step { name, argument, help, make }
}

pub(crate) const SERVER: &[Step<Behaviour>] = &[
    step("ok", "", "sends every message back", |_| Ok(Behaviour::echo())),
    step("sink", "", "takes every message and answers none", |_| Ok(Behaviour::silent())),
    step("greet", "TEXT", "says TEXT at once, then sends every message back", |text| {
        Ok(Behaviour::echo().greeting(text))
    }),
    step(
        "absent",
        "[TIME]",
        "nobody is there: the port refuses for this time (500ms), as the last step for good",
        |given| Ok(Behaviour::absent(or(given, time, Duration::from_millis(500))?)),
    ),
    step("reset", "", "accepts the connection and resets it", |_| {
        Ok(Behaviour::stops(Point::Accepted, Then::Reset))
    }),
    step("refuse", "[STATUS]", "answers the upgrade with this HTTP status (503)", |given| {
        Ok(Behaviour::refuse(or(given, status, 503)?, &[], ""))
    }),
    step("retry-after", "SECONDS", "answers the upgrade with 503 and Retry-After", |given| {
        let seconds = number(given)?.to_string();
        Ok(Behaviour::refuse(503, &[("Retry-After", &seconds)], ""))
    }),
    step("no-answer", "", "reads the upgrade request and never answers it", |_| {
        Ok(Behaviour::never_upgrade())
    }),
    step("late", "TIME", "answers the upgrade so late, then sends every message back", |given| {
        Ok(Behaviour::echo().upgrade_delay(time(given)?))
    }),
    step(
        "slow",
        "BYTES/TIME",
        "sends every message back, at most so many bytes at a time, so far apart",
        |given| {
            let (bytes, every) = pace(given)?;
            Ok(Behaviour::echo().trickle(bytes, every))
        },
    ),
    step("cut", "", "resets the connection as soon as it is open", |_| Ok(until(When::Open, Then::Reset))),
    step("cut-after", "WHEN", "sends every message back, then resets the connection", |given| {
        Ok(until(when(given)?, Then::Reset))
    }),
    step("end", "", "ends the connection without a Close as soon as it is open", |_| {
        Ok(until(When::Open, Then::End))
    }),
    step(
        "end-after",
        "WHEN",
        "sends every message back, then ends the connection without a Close",
        |given| Ok(until(when(given)?, Then::End)),
    ),
    step("stall", "", "opens, then neither reads nor writes", |_| Ok(until(When::Open, Then::Stall))),
    step("stall-after", "WHEN", "sends every message back, then neither reads nor writes", |given| {
        Ok(until(when(given)?, Then::Stall))
    }),
    step("silence", "", "opens, then takes everything and says nothing, no pong either", |_| {
        Ok(until(When::Open, Then::Silence))
    }),
    step(
        "silence-after",
        "WHEN",
        "sends every message back, then takes everything and says nothing",
        |given| Ok(until(when(given)?, Then::Silence)),
    ),
    step("garbage-after", "WHEN", "sends every message back, then sends what is no frame", |given| {
        Ok(until(when(given)?, Then::Garbage))
    }),
    step("no-pongs", "", "sends every message back, and answers no ping", |_| {
        Ok(Behaviour::echo().no_pongs())
    }),
    step("close", "[CODE]", "sends Close with this code (1001) as soon as it is open", |given| {
        Ok(Behaviour::close_at_once(or(given, |given| bounded(given, 1000..=4999), 1001)?, ""))
    }),
    step("no-close", "", "sends every message back, and answers no Close", |_| {
        Ok(Behaviour::echo().never_answer_close())
    }),
    step("not-http", "", "answers the upgrade with what is no HTTP", |_| {
        Ok(Behaviour::stops(Point::Requested, Then::Garbage))
    }),
    step("half-answer", "", "resets the connection in the middle of the upgrade's answer", |_| {
        Ok(Behaviour::stops(Point::Answering, Then::Reset))
    }),
    step("wrong-accept", "", "answers the upgrade with the key of another request", |_| {
        Ok(Behaviour::wrong_accept())
    }),
    step("no-accept", "", "answers the upgrade without Sec-WebSocket-Accept", |_| Ok(Behaviour::no_accept())),
    step("half-frame", "", "resets the connection in the middle of a frame", |_| {
        Ok(Behaviour::stops(Point::MidFrame, Then::Reset))
    }),
    step("bad-utf8", "", "sends a text that is not UTF-8", |_| Ok(Behaviour::sends(BadFrame::InvalidUtf8))),
    step("masked", "", "sends a masked frame", |_| Ok(Behaviour::sends(BadFrame::Masked))),
    step("reserved-bit", "", "sends a frame with a reserved bit", |_| {
        Ok(Behaviour::sends(BadFrame::ReservedBit))
    }),
    step("bad-opcode", "", "sends a frame with an unknown opcode", |_| {
        Ok(Behaviour::sends(BadFrame::UnknownOpcode))
    }),
    step("huge", "", "sends a frame that claims 2^62 bytes", |_| Ok(Behaviour::sends(BadFrame::Huge))),
    step("long-length", "", "sends a frame whose length has more bytes than it needs", |_| {
        Ok(Behaviour::sends(BadFrame::LongLength))
    }),
    step("long-ping", "", "sends a ping of 126 bytes", |_| Ok(Behaviour::sends(BadFrame::LongPing))),
    step("fragmented-ping", "", "sends a ping in fragments", |_| {
        Ok(Behaviour::sends(BadFrame::FragmentedPing))
    }),
    step("lone-fragment", "", "sends a fragment that continues nothing", |_| {
        Ok(Behaviour::sends(BadFrame::LoneFragment))
    }),
    step("bad-close", "", "sends Close 1005, which may not be sent", |_| {
        Ok(Behaviour::sends(BadFrame::CloseCode))
    }),
    step("short-close", "", "sends a Close of one byte", |_| Ok(Behaviour::sends(BadFrame::ShortClose))),
];

pub(crate) const RELAY: &[Step<Passage>] = &[
    step("ok", "", "passes everything on", |_| Ok(Passage::free())),
    step("refuse", "", "resets the connection at once; the target does not hear of it", |_| {
        Ok(Passage::refused())
    }),
    step("cut-after", "BYTES", "resets it on both sides after so many bytes from the client", |given| {
        Ok(Passage::free().cut_after(Direction::Up, number(given)?))
    }),
    step("cut-after-down", "BYTES", "resets it on both sides after so many bytes from the target", |given| {
        Ok(Passage::free().cut_after(Direction::Down, number(given)?))
    }),
    step("stall", "", "takes all bytes and passes none on", |_| Ok(Passage::stalled())),
    step("hold", "", "takes no bytes", |_| Ok(Passage::held())),
    step("late", "TIME", "passes everything on so late, each way", |given| {
        Ok(Passage::delayed(time(given)?))
    }),
    step("slow", "BYTES/TIME", "passes at most so many bytes at a time, so far apart, each way", |given| {
        let (bytes, every) = pace(given)?;
        Ok(Passage::trickle(bytes, every))
    }),
];

/// Reads a script: steps with commas between them.
pub(crate) fn read<T>(script: &str, table: &[Step<T>]) -> Result<Vec<T>, String> {
    let one = |written: &str| {
        let (name, argument) = written.split_once(':').unwrap_or((written, ""));
        let step = table.iter().find(|step| step.name == name).ok_or_else(|| {
            let names: Vec<_> = table.iter().map(|step| step.name).collect();
            format!("there is no step '{name}'; there are: {}", names.join(", "))
        })?;
        let wants = !step.argument.is_empty() && !step.argument.starts_with('[');
        match (step.argument, argument) {
            ("", "") => {}
            ("", argument) => return Err(format!("'{name}' takes nothing, but '{argument}' is given")),
            (wanted, "") if wants => return Err(format!("'{name}' wants {name}:{wanted}")),
            _ => {}
        }
        (step.make)(argument).map_err(|problem| format!("'{written}': {problem}"))
    };
    script.split(',').map(|written| one(written.trim())).collect()
}

/// A line for each step.
pub(crate) fn help<T>(table: &[Step<T>]) -> String {
    let mut lines = String::new();
    for Step { name, argument, help, .. } in table {
        let written = match argument.strip_prefix('[') {
            _ if argument.is_empty() => name.to_string(),
            Some(optional) => format!("{name}[:{optional}"),
            None => format!("{name}:{argument}"),
        };
        let _ = writeln!(lines, "  {written:<22}  {help}");
    }
    lines
}

fn until(when: When, then: Then) -> Behaviour {
    Behaviour::echo().until(when, then)
}

fn or<T>(given: &str, read: impl Fn(&str) -> Result<T, String>, default: T) -> Result<T, String> {
    if given.is_empty() { Ok(default) } else { read(given) }
}

/// `100`: bytes from the client; `3msg`: messages from it; `500ms`, `10s`: time.
fn when(given: &str) -> Result<When, String> {
    if let Some(messages) = given.strip_suffix("msg") {
        return Ok(When::Messages(bounded(messages, 1..=u64::MAX)?));
    }
    if given.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(When::Received(bounded(given, 1..=u64::MAX)?));
    }
    let wrong = |_| {
        format!("'{given}' is neither bytes such as 100, nor messages such as 3msg, nor a time such as 500ms")
    };
    time(given).map(When::After).map_err(wrong)
}

pub(crate) fn pace(given: &str) -> Result<(usize, Duration), String> {
    let (bytes, every) = given.split_once('/').ok_or_else(|| format!("'{given}' is not such as 10/100ms"))?;
    Ok((bounded(bytes, 1..=1 << 20)?, time(every)?))
}

pub(crate) fn number(given: &str) -> Result<u64, String> {
    given.parse().map_err(|_| format!("'{given}' is not a number"))
}

fn status(given: &str) -> Result<u16, String> {
    bounded(given, 200..=599)
}

fn bounded<T: TryFrom<u64>>(given: &str, within: std::ops::RangeInclusive<u64>) -> Result<T, String> {
    let wrong = || format!("'{given}' is not a number from {} to {}", within.start(), within.end());
    let number = number(given).map_err(|_| wrong())?;
    if within.contains(&number) { T::try_from(number).map_err(|_| wrong()) } else { Err(wrong()) }
}

/// `500ms`, `10s`, `2m`.
pub(crate) fn time(given: &str) -> Result<Duration, String> {
    let digits = given.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = given.split_at(digits);
    let per_unit = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        _ => None,
    };
    let length = number.parse::<u64>().ok().zip(per_unit).and_then(|(n, per_unit)| n.checked_mul(per_unit));
    // A day is more than any test takes, and less than any clock.
    length
        .filter(|ms| *ms <= 24 * 3600 * 1000)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("'{given}' is not a time such as 500ms, 10s or 2m, of a day at most"))
}
