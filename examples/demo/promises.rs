//! What the demo promises to show, and which of it was seen.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    Open,
    FirstMessage,
    Echoes,
    Heartbeats,
    CutNoticed,
    MessagesWait,
    Attempts,
    Explained,
    OpenAgain,
    InOrder,
    SilenceNoticed,
    Healed,
    CleanClose,
    Balance,
    NothingLost,
    States,
}

impl Promise {
    const ALL: [Promise; 16] = [
        Promise::Open,
        Promise::FirstMessage,
        Promise::Echoes,
        Promise::Heartbeats,
        Promise::CutNoticed,
        Promise::MessagesWait,
        Promise::Attempts,
        Promise::Explained,
        Promise::OpenAgain,
        Promise::InOrder,
        Promise::SilenceNoticed,
        Promise::Healed,
        Promise::CleanClose,
        Promise::Balance,
        Promise::NothingLost,
        Promise::States,
    ];
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Promise::Open => "the link opens",
            Promise::FirstMessage => "the first message is sent on open, and comes back",
            Promise::Echoes => "every message comes back",
            Promise::Heartbeats => "heartbeats are answered",
            Promise::CutNoticed => "a hard cut is noticed",
            Promise::MessagesWait => "messages that are sent meanwhile wait",
            Promise::Attempts => "attempts are made, each with a delay before the next",
            Promise::Explained => "the client explains what is the matter",
            Promise::OpenAgain => "the link opens again",
            Promise::InOrder => "what waited arrives at the server, in order",
            Promise::SilenceNoticed => "the heartbeat notices a silent server",
            Promise::Healed => "the link heals after the silence",
            Promise::CleanClose => "the close is clean, and the server gets Close 1000",
            Promise::Balance => "the balance adds up, and each message had one outcome",
            Promise::NothingLost => "the server got everything that was sent, once and in order",
            Promise::States => "the states went open, waiting, open, waiting, open, closed",
        })
    }
}

#[derive(Default)]
pub(crate) struct Promises(Vec<Promise>);

impl Promises {
    pub(crate) fn keep(&mut self, promise: Promise) {
        self.0.push(promise);
    }

    pub(crate) fn missing(&self) -> Vec<Promise> {
        Promise::ALL.into_iter().filter(|promise| !self.0.contains(promise)).collect()
    }
}
