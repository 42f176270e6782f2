//! Wire and outbox together, over a network in memory that knows what arrived: nothing is told of a message that is not
//! true of it.
//!
//! The stream is what a socket is to the loop, in small: it takes bytes, adds some of its own as TLS does, and counts
//! both. The peer's kernel has some of them, the client's kernel has heard of some of these, and the server has read
//! some; which is chance, but for the order.

use std::io::{self, ErrorKind, Read, Write};
use std::time::Instant;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::frames::{BINARY, PING, first_frame};
use crate::config::delivery::{Delivery, Priority, Terms};
use crate::config::outbox::OutboxLimits;
use crate::entry::{Entry, Kind, Part, Record};
use crate::event::{Fate, Level};
use crate::link::outbox::{Marked, Outbox};
use crate::session::wire::{Flush, Wire};

const RUNS: u64 = 10_000;

/// What the system took of a session, and how far it got.
struct Line {
    random: SmallRng,
    /// What TLS adds to each write.
    overhead: u64,
    plain: Vec<u8>,
    /// For each write, the offsets behind it: with overhead, and without.
    writes: Vec<(u64, usize)>,
    sent: u64,
    broken: bool,
}

impl Read for Line {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }
}

impl Write for Line {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        if self.broken {
            return Err(ErrorKind::ConnectionReset.into());
        }
        if self.random.random_ratio(1, 5) {
            return Err(ErrorKind::WouldBlock.into());
        }
        let most = from.len().min(700);
        let size = if self.random.random() { most } else { self.random.random_range(1..=most) };
        self.plain.extend_from_slice(&from[..size]);
        self.sent += size as u64 + self.overhead;
        self.writes.push((self.sent, self.plain.len()));
        Ok(size)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Line {
    /// The bytes of whole records among so many.
    fn plain_in(&self, sent: u64) -> usize {
        let whole = self.writes.partition_point(|(end, _)| *end <= sent);
        whole.checked_sub(1).map_or(0, |last| self.writes[last].1)
    }
}

/// How far somebody has read the client's frames.
#[derive(Default)]
struct Reading {
    at: usize,
    /// A message that has begun to come.
    begun: u64,
}

enum Found {
    Message(u64),
    Part,
    Ping(Vec<u8>),
}

impl Reading {
    fn next(&mut self, bytes: &[u8]) -> Option<Found> {
        let (frame, size) = first_frame(&bytes[self.at..])?;
        self.at += size;
        if frame.first & 0x0f == BINARY & 0x0f {
            self.begun = u64::from_be_bytes(frame.payload[..8].try_into().unwrap());
        }
        Some(match frame.first {
            PING => Found::Ping(frame.payload),
            first if first & 0x80 == 0 => Found::Part,
            _ => Found::Message(self.begun),
        })
    }
}

/// One session, as it really is.
struct Session {
    wire: Wire<Line>,
    /// Offsets with overhead: what the peer's kernel has, what the client's kernel has heard of that.
    has: u64,
    heard: u64,
    /// What the one has, and what the server has read.
    had: Reading,
    read: Reading,
    pongs: Vec<Vec<u8>>,
    /// In the order of arrival at the peer's kernel.
    arrived: Vec<u64>,
}

/// What is known of a message by somebody who sees both sides.
struct Truth {
    terms: Terms,
    taken: bool,
    acked: bool,
    times_read: u32,
    fate: Option<Fate>,
    /// The session in which it was complete.
    complete_in: usize,
}

struct World {
    seed: u64,
    random: SmallRng,
    outbox: Outbox,
    now: Instant,
    messages: Vec<Truth>,
    sessions: usize,
    /// Marks with the level, the number of messages before, and the session in which they were set.
    marks: Vec<(u64, Level, usize, usize)>,
    lost_marks: u32,
}

impl World {
    fn new(seed: u64) -> World {
        let mut outbox = Outbox::new(OutboxLimits::new().messages(30));
        outbox.report_outcomes(true);
        World {
            seed,
            random: SmallRng::seed_from_u64(seed),
            outbox,
            now: Instant::now(),
            messages: Vec::new(),
            sessions: 0,
            marks: Vec::new(),
            lost_marks: 0,
        }
    }

    fn one_in(&mut self, chances: u32) -> bool {
        self.random.random_ratio(1, chances)
    }

    fn session(&mut self) -> Session {
        self.sessions += 1;
        let overhead = if self.random.random() { 0 } else { 22 };
        let random = SmallRng::seed_from_u64(self.random.random());
        let line = Line { random, overhead, plain: Vec::new(), writes: Vec::new(), sent: 0, broken: false };
        self.outbox.begin_session(self.random.random(), 0, true);
        let (pongs, arrived) = (Vec::new(), Vec::new());
        let mut wire = Wire::new(line);
        if self.one_in(3) {
            wire.fragment(200);
        }
        Session { wire, has: 0, heard: 0, had: Reading::default(), read: Reading::default(), pongs, arrived }
    }

    /// As `Mailbox::send` does it.
    fn send(&mut self, session: Option<&mut Session>) {
        let terms = Terms {
            asked: [Level::Written, Level::Acked, Level::Processed][self.random.random_range(0..3)],
            delivery: if self.one_in(2) { Delivery::AtLeastOnce } else { Delivery::AtMostOnce },
            priority: if self.one_in(4) { Priority::High } else { Priority::Normal },
        };
        let size =
            if self.one_in(8) { self.random.random_range(0..600) } else { self.random.random_range(0..60) };
        let number = self.messages.len() as u64 + 1;
        let payload: Vec<_> =
            number.to_be_bytes().into_iter().chain(std::iter::repeat_n(b'.', size)).collect();
        let direct = session.filter(|session| self.outbox.is_empty() && session.wire.is_idle());
        let accepted = match direct {
            Some(session) if self.random.random() => self.outbox.pass(payload.len(), terms).inspect(|id| {
                if terms.goes_again() {
                    let record = Record { terms, ..Record::default() };
                    let (kind, part) = (Kind::Binary, Part::Whole);
                    session.wire.push(Entry { id: *id, kind, part, payload, expires: None, record });
                    session.wire.flush();
                } else {
                    session.wire.send_now(*id, Kind::Binary, &payload, None, terms);
                }
            }),
            _ => self.outbox.accept(Kind::Binary, &payload, terms, None, self.now),
        };
        if let Ok(id) = accepted {
            assert_eq!(id.0, number);
            let (taken, acked, times_read, fate) = (false, false, 0, None);
            self.messages.push(Truth { terms, taken, acked, times_read, fate, complete_in: 0 });
        }
    }

    /// As `Mailbox::account` does it.
    fn account(&mut self, session: &mut Session) {
        let mut written = session.wire.take_written();
        let taken = session.wire.stream.sent;
        for run in written.iter() {
            for id in run.first.0..=run.last.0 {
                self.messages[id as usize - 1].taken = true;
            }
            self.outbox.written(run.first, run.last, run.messages, run.payload_bytes, taken);
        }
        written.take_kept().into_iter().for_each(|entry| self.outbox.keep(entry));
        self.outbox.taken(taken);
        self.hear();
    }

    /// As the loop writes.
    fn serve(&mut self, session: &mut Session) {
        self.account(session);
        if let Some(fence) = self.outbox.fence() {
            session.wire.ping(&fence);
        }
        if session.wire.room() > 0 {
            self.outbox.hand_out(session.wire.room(), self.now, |entry| session.wire.line_up(entry));
        }
        let _: Flush = session.wire.flush();
        self.account(session);
    }

    /// The network and the server do something.
    fn network(&mut self, session: &mut Session) {
        let sent = session.wire.stream.sent;
        if self.random.random() {
            session.has += self.random.random_range(0..=sent - session.has);
            let plain = session.wire.stream.plain_in(session.has);
            while let Some(found) = session.had.next(&session.wire.stream.plain[..plain]) {
                if let Found::Message(number) = found {
                    self.messages[number as usize - 1].acked = true;
                    session.arrived.push(number);
                }
            }
        }
        if self.random.random() {
            session.heard += self.random.random_range(0..=session.has - session.heard);
        }
        while session.read.at < session.had.at && self.one_in(2) {
            match session.read.next(&session.wire.stream.plain[..session.had.at]) {
                Some(Found::Message(number)) => self.messages[number as usize - 1].times_read += 1,
                // A server may answer the last one only.
                Some(Found::Ping(_)) if self.one_in(4) => {}
                Some(Found::Ping(payload)) => session.pongs.push(payload),
                Some(Found::Part) => {}
                None => panic!("a frame that was whole before"),
            }
        }
        if self.one_in(30) {
            session.pongs.push(b"unasked".to_vec());
        }
        if !session.pongs.is_empty() && self.one_in(2) {
            let pong = session.pongs.remove(0);
            self.outbox.pong(&pong);
        }
        if self.outbox.awaits_acknowledgement() && self.random.random() {
            self.outbox.acknowledged(session.heard);
        }
        self.hear();
    }

    /// Each outcome is true, and the only one of its message.
    fn hear(&mut self) {
        while let Some(outcome) = self.outbox.next_outcome() {
            for id in outcome.first().get()..=outcome.last().get() {
                let truth = &mut self.messages[id as usize - 1];
                let fate = outcome.fate();
                let told = format!("seed {}: message {id} was told to be {fate:?}", self.seed);
                assert_eq!(truth.fate.replace(fate), None, "{told}, and not for the first time");
                truth.complete_in = self.sessions;
                assert!(truth.taken, "{told}, and was never written");
                let (Fate::Completed(level) | Fate::Unknown(level)) = fate else { panic!("{told}") };
                assert!(level < Level::Acked || truth.acked, "{told}, and is with no kernel");
                assert!(level < Level::Processed || truth.times_read > 0, "{told}, and was not read");
                match fate {
                    Fate::Completed(level) => assert_eq!(level, truth.terms.level(), "{told}"),
                    _ => assert!(!truth.terms.goes_again() && level < truth.terms.level(), "{told}"),
                }
            }
        }
        self.check_marks();
    }

    fn check_marks(&mut self) {
        let mut open = Vec::new();
        for (mark, level, messages, set_in) in std::mem::take(&mut self.marks) {
            match self.outbox.marked(mark) {
                Marked::Waiting => open.push((mark, level, messages, set_in)),
                Marked::Lost => {
                    self.lost_marks += 1;
                    self.outbox.unmark(mark);
                }
                Marked::Reached => {
                    for (number, truth) in (1..).zip(&self.messages[..messages]) {
                        let before = truth.fate.is_some() && truth.complete_in < set_in;
                        let proven = if level == Level::Acked { truth.acked } else { truth.times_read > 0 };
                        let seed = self.seed;
                        assert!(before || proven, "seed {seed}: flushed to {level:?}, but {number} is not");
                    }
                    self.outbox.unmark(mark);
                }
            }
        }
        self.marks = open;
    }

    fn mark(&mut self) {
        let level = if self.random.random() { Level::Acked } else { Level::Processed };
        let mark = self.outbox.mark(level);
        self.marks.push((mark, level, self.messages.len(), self.sessions));
        self.hear();
    }

    fn run(&mut self, session: &mut Session, steps: u32) {
        for _ in 0..steps {
            match self.random.random_range(0..6) {
                0 | 1 => self.send(Some(session)),
                2 | 3 => self.serve(session),
                _ => self.network(session),
            }
            if self.one_in(40) {
                self.mark();
            }
        }
    }

    fn end(&mut self, mut session: Session) {
        self.account(&mut session);
        // Between the last look and the end more may have been heard.
        if self.random.random() {
            session.heard = session.has;
        }
        for priority in [Priority::High, Priority::Normal] {
            let of = |number: &&u64| self.messages[**number as usize - 1].terms.priority == priority;
            let lane: Vec<_> = session.arrived.iter().filter(of).collect();
            assert!(lane.is_sorted_by(|a, b| a < b), "seed {}: out of order: {lane:?}", self.seed);
        }
        let asks = self.outbox.unconfirmed() > 0 || self.outbox.has_marks();
        let (_, unsent) = session.wire.into_unsent();
        self.outbox.restore(unsent, asks.then_some(session.heard));
        self.hear();
    }
}

#[test]
fn what_is_told_is_true_nothing_that_has_to_arrive_is_lost_and_nothing_else_arrives_twice() {
    let (mut fates, mut replayed, mut lost_marks) = ([0; 5], 0, 0);
    for seed in 0..RUNS {
        let mut world = World::new(seed);
        for _ in 0..world.random.random_range(1..4) {
            (0..world.random.random_range(0..3)).for_each(|_| world.send(None));
            let mut session = world.session();
            let steps = world.random.random_range(1..60);
            world.run(&mut session, steps);
            session.wire.stream.broken = world.random.random();
            world.serve(&mut session);
            world.end(session);
        }
        let mut session = world.session();
        let mut left = 5_000;
        while world.outbox.unfinished() + world.outbox.unconfirmed() + world.marks.len() > 0 {
            world.serve(&mut session);
            world.network(&mut session);
            left -= 1;
            assert!(left > 0, "seed {seed}: it does not come to an end");
        }
        world.end(session);
        for (number, truth) in (1..).zip(&world.messages) {
            let case = format!("seed {seed}: message {number}, {:?}", truth.terms);
            match truth.terms.delivery {
                Delivery::AtMostOnce => assert!(truth.times_read <= 1, "{case}: doubled"),
                Delivery::AtLeastOnce => assert!(truth.acked, "{case}: lost"),
            }
            let fate = truth.fate.unwrap_or_else(|| panic!("{case} has no outcome"));
            fates[match fate {
                Fate::Completed(level) => level as usize,
                Fate::Unknown(level) => 3 + level as usize,
                Fate::Dropped(_) => panic!("{case} was dropped"),
            }] += 1;
        }
        let tally = world.outbox.tally();
        assert_eq!(tally.accepted, tally.written + tally.unknown, "seed {seed}");
        replayed += tally.replayed;
        lost_marks += world.lost_marks;
    }
    assert!(
        fates.iter().all(|count| *count > 1_000) && replayed > 1_000 && lost_marks > 100,
        "{fates:?}, {replayed} replayed, {lost_marks} marks lost: too little has happened"
    );
}
