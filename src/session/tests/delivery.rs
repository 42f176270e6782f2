//! Wire and outbox together, over streams that are cut at any byte: what becomes of each message.
//!
//! This is what the event loop does with the two, in small, with the network's part in memory: a stream takes what it
//! likes, blocks when it likes, breaks after so many bytes, and the last of those that it took may never arrive.

use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::frames::{BINARY, TEXT, client};
use crate::config::delivery::Terms;
use crate::config::outbox::OutboxLimits;
use crate::entry::Kind;
use crate::event::{DropReason, Fate, Level};
use crate::link::outbox::Outbox;
use crate::session::wire::{Flush, Wire};

/// Takes a random number of bytes at a time, blocks at random, and breaks for good where it is told.
struct Brittle {
    random: SmallRng,
    /// Bytes until it breaks; never, if there is no such number.
    left: Option<usize>,
    out: Vec<u8>,
}

impl Read for Brittle {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }
}

impl Write for Brittle {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.left == Some(0) {
            return Err(ErrorKind::ConnectionReset.into());
        }
        if self.random.random_ratio(1, 4) {
            return Err(ErrorKind::WouldBlock.into());
        }
        let most = buf.len().min(self.left.unwrap_or(usize::MAX));
        let size = if self.random.random_ratio(1, 2) { most } else { self.random.random_range(1..=most) };
        self.left = self.left.map(|left| left - size);
        self.out.extend_from_slice(&buf[..size]);
        Ok(size)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything that outlives a session.
struct Sender {
    random: SmallRng,
    outbox: Outbox,
    now: Instant,
    /// What the server has seen, over all sessions.
    seen: Vec<u64>,
    /// The messages whose last byte a stream took, whether it arrived or not.
    taken: Vec<u64>,
    /// The fate of message n at place n - 1, and whether it was told.
    fates: Vec<Option<Fate>>,
}

const LIMITS: usize = 40;

/// The numbers of the whole messages in a session's bytes, behind the greeting.
fn numbers(bytes: &[u8]) -> Vec<u64> {
    let frames = client(bytes).0;
    assert!(frames.first().is_none_or(|first| first.first == TEXT), "the greeting comes first");
    let numbered = frames.iter().filter(|frame| frame.first == BINARY);
    numbered.map(|frame| u64::from_be_bytes(frame.payload[..8].try_into().unwrap())).collect()
}

impl Sender {
    fn new(seed: u64) -> Sender {
        let mut outbox = Outbox::new(OutboxLimits::new().messages(LIMITS));
        outbox.report_outcomes(true);
        let random = SmallRng::seed_from_u64(seed);
        Sender { random, outbox, now: Instant::now(), seen: Vec::new(), taken: Vec::new(), fates: Vec::new() }
    }

    /// The next number, and a padding that is mostly short and sometimes longer than the wire's buffer.
    fn message(&mut self) -> Vec<u8> {
        let size = match self.random.random_range(0..100) {
            0..80 => self.random.random_range(0..300),
            80..99 => self.random.random_range(0..5_000),
            _ => self.random.random_range(60_000..80_000),
        };
        let number = self.fates.len() as u64 + 1;
        number.to_be_bytes().into_iter().chain(std::iter::repeat_n(b'.', size)).collect()
    }

    /// Sends one message as a user's thread does: directly where nothing is before it, else through the outbox.
    fn send(&mut self, wire: &mut Wire<Brittle>) {
        if self.outbox.unfinished() == LIMITS {
            return;
        }
        let payload = self.message();
        let id = if self.outbox.is_empty() && wire.is_idle() && self.random.random_bool(0.5) {
            let id = self.outbox.pass(payload.len(), Terms::default()).unwrap();
            wire.send_now(id, Kind::Binary, &payload, None, Terms::default());
            id
        } else {
            let time_to_live = self.random.random_ratio(1, 50).then_some(Duration::from_millis(1));
            self.outbox.accept(Kind::Binary, &payload, Terms::default(), time_to_live, self.now).unwrap()
        };
        self.fates.push(None);
        assert_eq!(id.0, self.fates.len() as u64);
    }

    /// One turn of the loop.
    fn serve(&mut self, wire: &mut Wire<Brittle>) -> Flush {
        if wire.room() > 0 && !self.outbox.is_empty() {
            self.outbox.hand_out(wire.room(), self.now, |entry| wire.line_up(entry));
        }
        let flush = wire.flush();
        self.account(wire);
        flush
    }

    fn account(&mut self, wire: &mut Wire<Brittle>) {
        for run in wire.take_written().iter() {
            self.outbox.written(run.first, run.last, run.messages, run.payload_bytes, 0);
        }
        while let Some(outcome) = self.outbox.next_outcome() {
            for id in outcome.first().get()..=outcome.last().get() {
                let fate = &mut self.fates[id as usize - 1];
                assert_eq!(fate.replace(outcome.fate()), None, "message {id} was told of twice");
            }
        }
    }

    /// A session that breaks after so many bytes, if it does; true if it did.
    fn session(&mut self, cut: Option<usize>, messages: usize) -> bool {
        let random = SmallRng::seed_from_u64(self.random.random());
        let mut wire = Wire::new(Brittle { random, left: cut, out: Vec::new() });
        wire.prologue(Kind::Text, b"login");
        let mut left = messages;
        let failed = loop {
            if self.random.random_ratio(1, 10) {
                self.now += Duration::from_millis(1);
            }
            if left > 0 && self.random.random_bool(0.6) {
                self.send(&mut wire);
                left -= 1;
            }
            match self.serve(&mut wire) {
                Flush::Failed => break true,
                Flush::Done if left == 0 && self.outbox.is_empty() => break false,
                _ => {}
            }
        };
        self.account(&mut wire);
        let (stream, unsent) = wire.into_unsent();
        self.outbox.restore(unsent, None);
        // What the system took and the network lost: the server never sees it.
        let lost =
            if failed && self.random.random_bool(0.5) { self.random.random_range(0..2_000) } else { 0 };
        let arrived = &stream.out[..stream.out.len().saturating_sub(lost)];
        self.taken.extend(numbers(&stream.out));
        self.seen.extend(numbers(arrived));
        failed
    }
}

/// RFC 6455 knows no acknowledgement: Written is all that can be known, and nothing is sent twice for want of more.
#[test]
fn thousands_of_cuts_at_any_byte_lose_nothing_in_silence_and_double_and_reorder_nothing() {
    let (mut cuts, mut messages, mut lost, mut expired) = (0, 0, 0, 0);
    for seed in 0..300 {
        let mut sender = Sender::new(seed);
        for _ in 0..12 {
            let most = if sender.random.random_bool(0.5) { 500 } else { 30_000 };
            let (cut, count) = (sender.random.random_range(0..most), sender.random.random_range(1..60));
            cuts += usize::from(sender.session(Some(cut), count));
        }
        assert!(!sender.session(None, 5), "the last one is not cut");

        assert!(
            sender.seen.is_sorted_by(|a, b| a < b),
            "seed {seed}: doubled or out of order: {:?}",
            sender.seen
        );
        let mut taken = sender.taken.iter().copied().peekable();
        for (number, fate) in (1..).zip(&sender.fates) {
            match (fate, taken.next_if_eq(&number)) {
                (Some(Fate::Completed(Level::Written)), Some(_)) => {}
                (Some(Fate::Dropped(DropReason::Expired)), None) => expired += 1,
                (fate, taken) => panic!("seed {seed}: message {number}, taken: {taken:?}, is {fate:?}"),
            }
        }
        assert_eq!(taken.next(), None, "seed {seed}: doubled, out of order, or never sent");
        lost += sender.taken.len() - sender.seen.len();
        let tally = sender.outbox.tally();
        assert_eq!(tally.accepted, tally.written + tally.expired, "seed {seed}");
        messages += sender.fates.len();
    }
    assert!(
        cuts > 3_000 && lost > 0 && expired > 0,
        "{cuts} cuts, {messages} messages, {lost} of them lost behind us, {expired} expired"
    );
}
