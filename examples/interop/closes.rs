//! The end of a session, begun by either side, in every way there is.

use heartwire::{Cause, End, Event, Initiator, Message};

use crate::peer::{DELAY, Peer, Target, equal, run_name, seen, unexpected};
use crate::{Check, Checked};

/// A reason with characters of several bytes, and how it is written in a URL.
const REASON: (&str, &str) = ("bis bald, 再见", "bis%20bald,%20%E5%86%8D%E8%A7%81");

/// The codes, and whether another attempt follows by default.
const CODES: [(u16, bool); 14] = [
    (1000, true),
    (1001, true),
    (1011, true),
    (1012, true),
    (1013, true),
    (1014, true),
    (3000, true),
    (4999, true),
    (1002, false),
    (1003, false),
    (1007, false),
    (1008, false),
    (1009, false),
    (1010, false),
];

pub(crate) fn all() -> Vec<Check> {
    let mut all: Vec<Check> = CODES
        .into_iter()
        .map(|(code, retried)| {
            Check::new(format!("close {code}"), move |to| code_and_reason(to, code, retried))
        })
        .collect();
    all.push(Check::new("close without code", |target| {
        clean(target, "/close", 1005, "", true)?;
        Ok("told as 1005".into())
    }));
    all.push(Check::new("end without Close", |target| abrupt(target, "end")));
    all.push(Check::new("reset", |target| abrupt(target, "reset")));
    all.push(Check::new("our close", ours));
    all
}

fn code_and_reason(target: &Target, code: u16, retried: bool) -> Checked {
    clean(target, &format!("/close?code={code}&reason={}", REASON.1), code, REASON.0, retried)?;
    clean(target, &format!("/close?code={code}"), code, "", retried)?;
    Ok(if retried { "open again" } else { "no further attempt" }.into())
}

/// The server closes with a Close frame.
fn clean(target: &Target, path: &str, code: u16, reason: &str, retried: bool) -> Result<(), String> {
    let (peer, _) = Peer::open(target.builder(path))?;
    peer.send(&Message::text("now"))?;
    let closed = peer.closed()?;
    equal("the code", closed.code(), code)?;
    equal("the reason", closed.reason(), reason)?;
    equal("whether it is clean", closed.is_clean(), true)?;
    equal("who closed", closed.by(), Initiator::Server)?;
    equal("the error", closed.error().map(ToString::to_string), None)?;
    equal("the next attempt", closed.retry_in(), retried.then_some(DELAY))?;
    if retried {
        return open_again(peer);
    }
    match peer.ended()? {
        End::Fatal(error) => match error.cause() {
            Cause::Closed { code: why, .. } => equal("the code of the end", *why, code),
            _ => Err(format!("it ended for another cause: {error}")),
        },
        other => Err(format!("it ended so: {other}")),
    }
}

/// The server ends the connection without a Close frame.
fn abrupt(target: &Target, how: &str) -> Checked {
    let (peer, _) = Peer::open(target.builder(&format!("/close?abrupt={how}")))?;
    peer.send(&Message::text("now"))?;
    let error = match peer.next("error")? {
        Event::Error(error) => error.to_string(),
        other => return unexpected("an error", &other),
    };
    let closed = peer.closed()?;
    equal("the code", closed.code(), 1006)?;
    equal("the reason", closed.reason(), "")?;
    equal("whether it is clean", closed.is_clean(), false)?;
    equal("who closed", closed.by(), Initiator::Network)?;
    equal("the error of the close", closed.error().map(ToString::to_string), Some(error.clone()))?;
    equal("the next attempt", closed.retry_in(), Some(DELAY))?;
    open_again(peer)?;
    Ok(format!("told as \"{error}\""))
}

fn open_again(peer: Peer) -> Result<(), String> {
    let opened = peer.opened()?;
    equal("whether the second session is the first", opened.is_first(), false)?;
    equal("its number of attempts", opened.attempt(), 2)?;
    peer.close(1000, "")
}

/// The server sees our code and our reason.
fn ours(target: &Target) -> Checked {
    for (code, reason) in [(1000, ""), (1001, "going"), (4999, REASON.0)] {
        let run = run_name("end");
        let (peer, _) = Peer::open(target.builder(&format!("/end?run={run}")))?;
        peer.close(code, reason)?;
        equal("our close at the server", seen(target, &run)?, format!("{code} {reason}"))?;
    }
    Ok("1000, 1001 and 4999 arrive with their reasons".into())
}
