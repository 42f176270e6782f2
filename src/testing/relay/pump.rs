//! One relayed connection: two sockets and the bytes between them. Obeys rules, makes none.
//!
//! Bytes are read only when the last ones were passed on, so that a slow reader on one side slows the other side down
//! as it would without a relay.

use super::{Counters, Flow, Rules};
use mio::net::TcpStream;
use socket2::SockRef;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub(super) enum Outcome {
    GoesOn,
    /// Both directions have ended.
    Over,
    /// The count of `cut_after` is full.
    CutAll,
}

pub(super) struct Pair {
    client: TcpStream,
    target: TcpStream,
    up: Direction,
    down: Direction,
}

impl Pair {
    pub(super) fn new(client: TcpStream, target: TcpStream) -> Self {
        // Delays are what a test asks for, not what Nagle makes of it.
        let _ = client.set_nodelay(true);
        let _ = target.set_nodelay(true);
        Pair { client, target, up: Direction::default(), down: Direction::default() }
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

    /// When a trickle's next drop is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let can_move = |d: &&Direction| if d.waiting.is_empty() { d.readable } else { d.writable };
        [&self.up, &self.down].into_iter().filter(can_move).filter_map(|d| d.due).min()
    }

    pub(super) fn turn(
        &mut self,
        rules: &mut Rules,
        counters: &Counters,
        now: Instant,
        buf: &mut [u8],
    ) -> Outcome {
        let (limit_up, limit_down) = rules.cut_after.unzip();
        let (client, target) = (&mut self.client, &mut self.target);
        let up =
            self.up.pump(client, target, rules.up, limit_up, (&counters.up, &counters.swallowed), now, buf);
        let down = self.down.pump(
            target,
            client,
            rules.down,
            limit_down,
            (&counters.down, &counters.swallowed),
            now,
            buf,
        );
        if let Some((left_up, left_down)) = &mut rules.cut_after {
            *left_up -= up.passed;
            *left_down -= down.passed;
            if *left_up == 0 || *left_down == 0 {
                return Outcome::CutAll;
            }
        }
        if up.reset || down.reset {
            self.reset_both();
            return Outcome::Over;
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

#[derive(Default)]
struct Direction {
    readable: bool,
    writable: bool,
    waiting: Vec<u8>,
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

/// At most so many rounds per turn, so that one connection does not starve the others or a command.
const ROUNDS: usize = 16;

impl Direction {
    #[allow(clippy::too_many_arguments, reason = "two sockets, one rule and what the whole relay shares")]
    fn pump(
        &mut self,
        from: &mut TcpStream,
        to: &mut TcpStream,
        flow: Flow,
        mut limit: Option<u64>,
        counters: (&AtomicU64, &AtomicU64),
        now: Instant,
        buf: &mut [u8],
    ) -> Pumped {
        let mut pumped = Pumped::default();
        let (count, swallowed) = counters;
        let flow = if self.lost { Flow::Swallow } else { flow };
        self.due = match flow {
            Flow::Trickle { .. } => self.due,
            _ => None,
        };
        for _ in 0..ROUNDS {
            if self.is_over {
                return pumped;
            }
            match flow {
                Flow::Hold => return pumped,
                Flow::Swallow => {
                    let waiting = std::mem::take(&mut self.waiting).len();
                    self.lost |= waiting > 0;
                    swallowed.fetch_add(waiting as u64, Ordering::SeqCst);
                    if !self.readable {
                        return pumped;
                    }
                    match from.read(buf) {
                        Ok(0) => (self.lost, self.readable) = (true, false),
                        Ok(n) => {
                            self.lost = true;
                            swallowed.fetch_add(n as u64, Ordering::SeqCst);
                        }
                        Err(e) if e.kind() == ErrorKind::Interrupted => {}
                        Err(e) => {
                            self.readable = false;
                            self.lost |= e.kind() != ErrorKind::WouldBlock;
                        }
                    }
                    continue;
                }
                Flow::Trickle { .. } if self.due.is_some_and(|due| now < due) => return pumped,
                Flow::Pass | Flow::Trickle { .. } => {}
            }
            let most = match flow {
                Flow::Trickle { bytes, .. } => bytes.clamp(1, buf.len()),
                _ => buf.len(),
            };
            if self.waiting.is_empty() {
                if !self.readable {
                    return pumped;
                }
                match from.read(&mut buf[..most]) {
                    Ok(0) => {
                        self.end(to);
                        return pumped;
                    }
                    Ok(n) => self.waiting.extend_from_slice(&buf[..n]),
                    Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                    Err(e) if e.kind() == ErrorKind::WouldBlock => self.readable = false,
                    Err(_) => pumped.reset = true,
                }
            }
            if self.waiting.is_empty() || !self.writable || pumped.reset {
                return pumped;
            }
            let allowed = limit.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
            let part = self.waiting.len().min(most).min(allowed);
            // Counted first, so that who received a byte finds it counted.
            count.fetch_add(part as u64, Ordering::SeqCst);
            let written = to.write(&self.waiting[..part]);
            count.fetch_sub((part - *written.as_ref().unwrap_or(&0)) as u64, Ordering::SeqCst);
            match written {
                Ok(n) => {
                    self.waiting.drain(..n);
                    limit = limit.map(|left| left - n as u64);
                    pumped.passed += n as u64;
                    if let Flow::Trickle { every, .. } = flow {
                        self.due = Some(now + every);
                    }
                    if limit == Some(0) {
                        return pumped;
                    }
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(_) => pumped.reset = true,
            }
        }
        // More is left than one turn may take.
        self.due = Some(self.due.unwrap_or(now));
        pumped
    }

    fn end(&mut self, to: &TcpStream) {
        let _ = to.shutdown(Shutdown::Write);
        self.is_over = true;
    }
}
