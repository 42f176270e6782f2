//! The server restarts ten times under a continuous sender. Nothing may be lost in silence.
//!
//! Every other time it is killed, and what its kernel held is gone: `Written` says that a socket took a message, no
//! more. So a message may be written and unseen, but only the last ones of a session can be; and none comes twice, or
//! out of order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use heartwire::{
    Client, End, Event, Fate, Heartbeat, Level, OutboxLimits, Outcome, Reconnect, SessionClosed,
};

use crate::Checked;
use crate::peer::{Peer, SOON, Target, equal, run_name, seen};

const RESTARTS: usize = 10;

/// What the client told, in numbers.
#[derive(Default)]
struct Account {
    opens: usize,
    closes: Vec<SessionClosed>,
    refused: usize,
    acknowledged: u64,
    /// Whether the server acknowledged something on this session.
    flowing: bool,
    outcomes: Vec<Outcome>,
    end: Option<End>,
}

impl Account {
    fn add(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Open(_) => {
                self.opens += 1;
                self.flowing = false;
                equal("the number of closes at an open", self.closes.len() + 1, self.opens)?;
            }
            Event::Close(closed) => {
                self.closes.push(closed);
                equal("the number of opens at a close", self.opens, self.closes.len())?;
            }
            Event::ConnectFailed(_) => self.refused += 1,
            Event::Message(message) => {
                let number = message.to_string().parse().map_err(|_| format!("the server sent {message}"))?;
                if number <= self.acknowledged {
                    return Err(format!("{number} was acknowledged after {}", self.acknowledged));
                }
                self.acknowledged = number;
                self.flowing = true;
            }
            Event::Outcome(outcome) => self.outcomes.push(outcome),
            Event::ClosedForGood(end) => self.end = Some(end),
            _ => {}
        }
        Ok(())
    }
}

pub(crate) fn restarts(target: &Target) -> Checked {
    let run = run_name("numbers");
    let builder = target.builder(&format!("/numbers?run={run}"));
    let client = builder
        .heartbeat(Heartbeat::ping())
        .outbox(OutboxLimits::new().messages(1000).block_when_full(SOON))
        .report_outcomes(true)
        .connect()
        .map_err(|error| error.to_string())?;
    let stop = AtomicBool::new(false);
    let (account, sent) = thread::scope(|scope| {
        let sender = scope.spawn(|| send(&client, &stop));
        let followed = follow(target, &client, &stop, sender);
        if followed.is_err() {
            // So that the sender ends: one that waits for room is freed by the close.
            stop.store(true, Ordering::Relaxed);
            let _ = client.close(1000, "");
        }
        followed
    })?;
    settled(&client, &account, sent)?;
    let unseen = in_order(&seen(target, &run)?, sent, account.opens)?;
    let clean = account.closes.iter().filter(|closed| closed.is_clean()).count();
    Ok(format!(
        "{sent} messages written in {} sessions ({clean} closed cleanly), each once and in order; {unseen} unseen; \
         {} failed attempts",
        account.opens, account.refused
    ))
}

/// Sends "NUMBER WORD PADDING" until told to stop; returns the last number.
fn send(client: &Client, stop: &AtomicBool) -> Result<u64, String> {
    let padding = "·".repeat(200_000);
    let mut number = 0;
    loop {
        number += 1;
        let last = stop.load(Ordering::Relaxed);
        let word = if last { "tell" } else { "-" };
        // A long one now and then, which no buffer takes at once.
        let length = if number % 100 == 0 { padding.len() } else { number as usize % 100 * 2 };
        let id = client.send_text(&format!("{number} {word} {}", &padding[..length]));
        let id = id.map_err(|error| format!("message {number}: {error}"))?;
        equal("the id of a message", id.get(), number)?;
        if last {
            return Ok(number);
        }
        if number % 50 == 0 {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Lets the server restart, stops the sender, and closes when its last message is acknowledged.
fn follow(
    target: &Target,
    client: &Client,
    stop: &AtomicBool,
    sender: ScopedJoinHandle<'_, Result<u64, String>>,
) -> Result<(Account, u64), String> {
    let mut account = Account::default();
    for restart in 0..RESTARTS {
        until(client, &mut account, "messages flow", |account| account.flowing)?;
        let (how, code) = if restart % 2 == 0 { ("kill", 1006) } else { ("close", 1012) };
        let control = target.builder(&format!("/restart?how={how}")).reconnect(Reconnect::never());
        let (control, _) = Peer::open(control)?;
        control.client.send_text("now").map_err(|error| error.to_string())?;
        let closes = account.closes.len();
        until(client, &mut account, "a close", |account| account.closes.len() > closes)?;
        let closed = &account.closes[closes];
        equal("the code of a restart", (how, closed.code(), closed.is_clean()), (how, code, code == 1012))?;
        let opens = account.opens;
        until(client, &mut account, "an open", |account| account.opens > opens)?;
    }
    until(client, &mut account, "messages flow", |account| account.flowing)?;
    stop.store(true, Ordering::Relaxed);
    let sent = sender.join().unwrap_or(Err("the sender panicked".into()))?;
    until(client, &mut account, "the last acknowledgement", |account| account.acknowledged == sent)?;
    client.flush(SOON).map_err(|error| format!("flush: {error}"))?;
    client.close(1000, "done").map_err(|error| error.to_string())?;
    until(client, &mut account, "the end", |account| account.end.is_some())?;
    Ok((account, sent))
}

fn until(
    client: &Client,
    account: &mut Account,
    what: &str,
    done: impl Fn(&Account) -> bool,
) -> Result<(), String> {
    let deadline = Instant::now() + SOON;
    while !done(account) {
        let left = deadline.saturating_duration_since(Instant::now());
        match client.recv_timeout(left) {
            Ok(event) => account.add(event)?,
            Err(error) => return Err(format!("waiting until {what}: {error} ({})", client.state())),
        }
    }
    Ok(())
}

/// Each message has exactly one outcome, and the counters say the same.
fn settled(client: &Client, account: &Account, sent: u64) -> Result<(), String> {
    let mut outcomes = account.outcomes.clone();
    outcomes.sort_by_key(Outcome::first);
    let mut next = 1;
    for outcome in &outcomes {
        equal("the first message without an outcome so far", outcome.first().get(), next)?;
        equal("an outcome", outcome.fate(), Fate::Completed(Level::Written))?;
        next = outcome.last().get() + 1;
    }
    equal("the number of outcomes", next - 1, sent)?;
    let stats = client.stats();
    equal("the messages accepted", stats.accepted(), sent)?;
    equal("the messages written", stats.messages_sent(), sent)?;
    equal("the messages queued", stats.queued_messages(), 0)?;
    equal("the sessions", account.opens, RESTARTS + 1)?;
    equal("the closes", account.closes.len(), account.opens)?;
    equal("whether we closed", matches!(account.end, Some(End::Closed)), true)
}

/// Judges the numbers as the server wrote them down; tells how many it did not see.
fn in_order(log: &str, sent: u64, sessions: usize) -> Result<u64, String> {
    let (mut last, mut unseen, mut gaps) = (0, 0, 0);
    for line in log.lines() {
        let number: u64 = line.parse().map_err(|_| format!("the server wrote {line:?}"))?;
        if number <= last {
            return Err(format!("the server saw {number} after {last}"));
        }
        if number > last + 1 {
            unseen += number - last - 1;
            gaps += 1;
        }
        last = number;
    }
    equal("the last number that the server saw", last, sent)?;
    if gaps >= sessions {
        return Err(format!("{gaps} gaps in {sessions} sessions: not only the ends of sessions were lost"));
    }
    Ok(unseen)
}
