//! One relayed connection: two sockets and the bytes between them. Obeys rules, makes none.
//!
//! Bytes are read only when the last ones were passed on, so that a slow reader on one side slows the other side down
//! as it would without a relay. Only where bytes are late are more of them in here: 1 MiB each way at most.

use super::Direction;
use super::passage::{Flow, Passage};
use super::relaying::Rules;
use super::seen::Seen;
use mio::net::TcpStream;
use socket2::SockRef;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What is late at most, each way.
const LATE_LIMIT: usize = 1 << 20;
/// At most so many rounds per turn, so that one connection does not starve the others or a command.
const ROUNDS: usize = 16;

pub(super) enum Outcome {
    GoesOn,
    /// Both directions have ended, or one side has reset it.
    Over,
    /// This connection's own count is full.
    Cut,
    /// The count of [`Relay::cut_after`](super::Relay::cut_after) is full.
    CutAll,
}

/// What a turn has of the relay.
pub(super) struct Turn<'a> {
    pub(super) rules: &'a mut Rules,
    pub(super) seen: &'a Seen,
    pub(super) now: Instant,
    pub(super) scratch: &'a mut [u8],
}

pub(super) struct Pair {
    number: usize,
    client: TcpStream,
    target: TcpStream,
    up: Lane,
    down: Lane,
    /// What is settled for this connection alone; its counts go down.
    passage: Passage,
}

impl Pair {
    pub(super) fn new(number: usize, client: TcpStream, target: TcpStream, passage: Passage) -> Self {
        // Delays are what a test asks for, not what Nagle makes of it.
        let _ = client.set_nodelay(true);
        let _ = target.set_nodelay(true);
        let (up, down) = (Lane::new(Direction::Up), Lane::new(Direction::Down));
        Pair { number, client, target, up, down, passage }
    }

    pub(super) fn sockets(&mut self) -> [&mut TcpStream; 2] {
        [&mut self.client, &mut self.target]
    }

    /// What the poll said about one of the sockets.
    pub(super) fn ready(&mut self, is_target: bool, readable: bool, writable: bool) {
        let (from, to) =
            if is_target { (&mut self.down, &mut self.up) } else { (&mut self.up, &mut self.down) };
        from.readable |= readable;
        to.writable |= writable;
    }

    /// When a trickle's next drop is due, or what is late.
    pub(super) fn deadline(&self) -> Option<Instant> {
        [&self.up, &self.down].into_iter().filter(|lane| lane.can_move()).filter_map(|lane| lane.due).min()
    }

    pub(super) fn turn(&mut self, turn: &mut Turn<'_>) -> Outcome {
        let (client, target) = (&mut self.client, &mut self.target);
        let own = self.passage;
        let up = self.up.pump(self.number, client, target, &own, turn);
        let down = self.down.pump(self.number, target, client, &own, turn);
        let (passed, mut is_cut, mut all_cut) = ([up.passed, down.passed], false, false);
        for (i, passed) in passed.into_iter().enumerate() {
            is_cut |= count_down(&mut self.passage.cut_after[i], passed);
            all_cut |= count_down(&mut turn.rules.cut_after[i], passed);
        }
        if all_cut {
            return Outcome::CutAll;
        }
        if is_cut || up.reset || down.reset {
            self.reset_both();
            return if is_cut { Outcome::Cut } else { Outcome::Over };
        }
        if self.up.is_over && self.down.is_over { Outcome::Over } else { Outcome::GoesOn }
    }

    /// Ends the direction towards the client.
    pub(super) fn half_close(&mut self) {
        self.down.end(&self.client);
    }

    pub(super) fn reset(self) {
        self.reset_both();
    }

    fn reset_both(&self) {
        for socket in [&self.client, &self.target] {
            // It fails only on a socket that is gone already.
            let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
    }
}

/// Whether a limit, if there is one, is reached now.
fn count_down(limit: &mut Option<u64>, passed: u64) -> bool {
    if let Some(left) = limit {
        *left -= passed;
    }
    *limit == Some(0)
}

/// One direction's bytes, between the socket that they come from and the one that they go to.
struct Lane {
    direction: Direction,
    readable: bool,
    writable: bool,
    waiting: Vec<u8>,
    /// Behind `waiting`, with the moments from which they may go on.
    late: VecDeque<(Instant, Vec<u8>)>,
    late_end: Option<Instant>,
    /// A byte was thrown away, or an end was hidden: nothing passes any more.
    lost: bool,
    /// When the next drop may fall.
    due: Option<Instant>,
    is_over: bool,
}

#[derive(Default)]
struct Pumped {
    passed: u64,
    reset: bool,
}

impl Lane {
    fn new(direction: Direction) -> Lane {
        Lane {
            direction,
            readable: false,
            writable: false,
            waiting: Vec::new(),
            late: VecDeque::new(),
            late_end: None,
            lost: false,
            due: None,
            is_over: false,
        }
    }

    fn can_move(&self) -> bool {
        let is_late = !self.late.is_empty() || self.late_end.is_some();
        if self.waiting.is_empty() { self.readable || is_late } else { self.writable }
    }

    fn pump(
        &mut self,
        number: usize,
        from: &mut TcpStream,
        to: &mut TcpStream,
        own: &Passage,
        turn: &mut Turn<'_>,
    ) -> Pumped {
        let i = self.direction.index();
        let limits = [own.cut_after[i], turn.rules.cut_after[i]];
        let mut limit = limits.into_iter().flatten().min().unwrap_or(u64::MAX);
        let flow = match (self.lost, own.flows[i]) {
            (true, _) => Flow::Swallow,
            (false, Flow::Pass) => turn.rules.flows[i],
            (false, own) => own,
        };
        let mut pumped = Pumped::default();
        self.due = self.due.filter(|_| matches!(flow, Flow::Trickle { .. }));
        for _ in 0..ROUNDS {
            if self.is_over {
                return pumped;
            }
            let most = match flow {
                Flow::Hold => return pumped,
                Flow::Swallow => {
                    if self.swallow(from, turn) {
                        continue;
                    }
                    return pumped;
                }
                Flow::Trickle { .. } if self.due.is_some_and(|due| turn.now < due) => return pumped,
                Flow::Trickle { bytes, .. } => bytes.clamp(1, turn.scratch.len()),
                Flow::Delay(_) | Flow::Pass => turn.scratch.len(),
            };
            if let Flow::Delay(by) = flow
                && !self.take_late(from, turn, by)
            {
                pumped.reset = true;
                return pumped;
            }
            if self.waiting.is_empty() && !self.refill(from, to, flow, most, turn, &mut pumped) {
                return pumped;
            }
            if self.waiting.is_empty() || !self.writable || pumped.reset {
                return pumped;
            }
            let part = self.waiting.len().min(most).min(usize::try_from(limit).unwrap_or(usize::MAX));
            // Counted first, so that who received a byte finds it counted.
            turn.seen.pass(number, self.direction, &self.waiting[..part]);
            let written = to.write(&self.waiting[..part]);
            turn.seen.take_back(number, self.direction, part - *written.as_ref().unwrap_or(&0));
            match written {
                Ok(n) => {
                    self.waiting.drain(..n);
                    limit -= n as u64;
                    pumped.passed += n as u64;
                    if let Flow::Trickle { every, .. } = flow {
                        self.due = Some(turn.now + every);
                    }
                    if limit == 0 {
                        return pumped;
                    }
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(_) => pumped.reset = true,
            }
        }
        // More is left than one turn may take.
        self.due = Some(self.due.unwrap_or(turn.now));
        pumped
    }

    /// Throws away what is here and what comes; false if there is no more for now.
    fn swallow(&mut self, from: &mut TcpStream, turn: &mut Turn<'_>) -> bool {
        let late = std::mem::take(&mut self.late).iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        let waiting = std::mem::take(&mut self.waiting).len() + late;
        self.lost |= waiting > 0 || self.late_end.take().is_some();
        turn.seen.swallowed.fetch_add(waiting as u64, Ordering::SeqCst);
        if !self.readable {
            return false;
        }
        match from.read(turn.scratch) {
            Ok(0) => (self.lost, self.readable) = (true, false),
            Ok(n) => {
                self.lost = true;
                turn.seen.swallowed.fetch_add(n as u64, Ordering::SeqCst);
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => {
                self.readable = false;
                self.lost |= e.kind() != ErrorKind::WouldBlock;
            }
        }
        true
    }

    /// Reads what there is, for later; false if the stream was reset.
    fn take_late(&mut self, from: &mut TcpStream, turn: &mut Turn<'_>, by: Duration) -> bool {
        let mut late: usize = self.late.iter().map(|(_, bytes)| bytes.len()).sum();
        while self.readable && self.late_end.is_none() && late < LATE_LIMIT {
            match from.read(turn.scratch) {
                Ok(0) => self.late_end = Some(turn.now + by),
                Ok(n) => {
                    late += n;
                    self.late.push_back((turn.now + by, turn.scratch[..n].to_vec()));
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(_) => return false,
            }
        }
        true
    }

    /// Looks for bytes that may go on now; false if there are none and nothing else is to be done.
    fn refill(
        &mut self,
        from: &mut TcpStream,
        to: &mut TcpStream,
        flow: Flow,
        most: usize,
        turn: &mut Turn<'_>,
        pumped: &mut Pumped,
    ) -> bool {
        let is_delayed = matches!(flow, Flow::Delay(_));
        // What is late goes first, and at once if it is to be late no more.
        if let Some(due) = self.late.front().map(|(due, _)| *due).or(self.late_end) {
            if is_delayed && turn.now < due {
                self.due = Some(due);
                return false;
            }
            match self.late.pop_front() {
                Some((_, bytes)) => self.waiting = bytes,
                None => self.end(to),
            }
            return true;
        }
        if is_delayed || !self.readable {
            return false;
        }
        match from.read(&mut turn.scratch[..most]) {
            Ok(0) => self.end(to),
            Ok(n) => self.waiting.extend_from_slice(&turn.scratch[..n]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => self.readable = false,
            Err(_) => pumped.reset = true,
        }
        true
    }

    fn end(&mut self, to: &TcpStream) {
        let _ = to.shutdown(Shutdown::Write);
        self.is_over = true;
    }
}
