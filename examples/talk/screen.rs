//! What talk prints: messages on standard output, everything else on standard error.

use std::io::{IsTerminal, Write, stderr, stdout};

use heartwire::{Event, Message, State};

/// Longer binary messages are shown by their length and their beginning.
const MOST_BYTES: usize = 64;

pub(crate) struct Screen {
    /// Whether a person looks at standard output, whose terminal must not be commanded by a server.
    output_is_terminal: bool,
    last_state: Option<State>,
}

impl Screen {
    pub(crate) fn new() -> Screen {
        Screen { output_is_terminal: stdout().is_terminal(), last_state: None }
    }

    /// Prints a message; `false` if nobody reads our output any more.
    pub(crate) fn message(&mut self, message: &Message) -> bool {
        match message.as_text() {
            Some(text) if self.output_is_terminal => print(&harmless(text)),
            Some(text) => print(text),
            None => print(&hex(message.as_bytes())),
        }
    }

    /// Tells what happened to the link.
    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::Open(opened) => match opened.subprotocol() {
                Some(name) => tell(&format!("{opened}, subprotocol {name}")),
                None => tell(&opened.to_string()),
            },
            Event::State(state) => {
                let before = self.last_state.replace(*state);
                match *state {
                    // Its phases are routine, too.
                    State::Connecting(_) if !matches!(before, Some(State::Connecting(_))) => {
                        tell("connecting")
                    }
                    State::Closing => tell("closing"),
                    _ => {}
                }
            }
            Event::Close(_) | Event::ConnectFailed(_) | Event::ClosedForGood(_) => tell(&event.to_string()),
            // An error is told again by the close that follows; heartbeats are routine.
            _ => {}
        }
    }
}

/// Prints a line; `false` if nobody reads our output any more.
pub(crate) fn print(line: &str) -> bool {
    let mut out = stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).is_ok()
}

/// Tells something that is not a message.
pub(crate) fn tell(what: &str) {
    let _ = writeln!(stderr().lock(), "talk: {what}");
}

/// Tells the library's log lines, too.
pub(crate) fn show_log_lines() {
    struct Stderr;
    impl log::Log for Stderr {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            tell(&format!("{}: {}", record.level().as_str().to_lowercase(), record.args()));
        }
        fn flush(&self) {}
    }
    if log::set_logger(&Stderr).is_ok() {
        log::set_max_level(log::LevelFilter::Debug);
    }
}

/// The text without control characters, which would be commands to a terminal.
fn harmless(text: &str) -> String {
    let is_harmless = |c: char| !c.is_control() || c == '\n' || c == '\t';
    text.chars().map(|c| if is_harmless(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

fn hex(bytes: &[u8]) -> String {
    let shown: String = bytes.iter().take(MOST_BYTES).map(|byte| format!("{byte:02x}")).collect();
    let more = if bytes.len() > MOST_BYTES { "…" } else { "" };
    format!("[{} bytes] {shown}{more}", bytes.len())
}
