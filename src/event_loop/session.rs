//! An open session in the loop: moves bytes between the socket and the protocol, and messages to the user.
//!
//! The wire is taken out of the mailbox to read and to write, and is back in it while messages are
//! parsed and callbacks run, so that a send in a callback may write at once.

mod writing;

use std::io::{self, Read};
use std::time::{Duration, Instant};

use mio::event::Event as Readiness;
use mio::{Interest, Registry, Token};

use crate::config::Config;
use crate::core::Core;
use crate::dispatch::Undelivered;
use crate::error::{Cause, LinkError, Phase, ProtocolFault};
use crate::event_loop::member::Member;
use crate::link::asking::Asking;
use crate::link::{Action, Beat, Input};
use crate::mailbox::{CLOSING, DESTROYED, PAUSED, Parked};
use crate::net::stream::Stream;
use crate::net::tap::Direction;
use crate::session::deflate::Agreed;
use crate::session::reader::{Inbound, Item};
use crate::session::wire::Wire;

/// Reads, and batches written, in one turn: a flood from one peer starves neither writes nor other clients.
const BUDGET: u32 = 16;
/// What one read takes at most of what is thrown away.
const SCRAP: usize = 4 * 1024;
/// Buffers that grew are looked at again after this time, until they have shrunk: traffic with breaks shorter than this
/// does not grow them anew after each.
const QUIET: Duration = Duration::from_secs(2);

pub(crate) struct Session {
    inbound: Inbound,
    token: Token,
    /// So much was inflated that the rest of what came has to wait for the next turn.
    more: bool,
    /// Messages are not taken, or the user wants none: what came stays in the buffer and the kernel.
    pub(super) paused: bool,
    /// To be dropped as soon as the wire is at hand; `true`: with a reset.
    pub(super) ending: Option<bool>,
    /// The socket has announced bytes, and no read has found it empty since.
    readable: bool,
    /// A short read has found the socket empty since it announced bytes.
    emptied: bool,
    /// The end of the stream was announced: a short read does not mean that nothing is left.
    hung_up: bool,
    /// A Close frame or a fault came: what follows is read and thrown away.
    over: bool,
    /// The stream's end was read, or it failed.
    ended: bool,
    write_wanted: bool,
    /// A write was stopped, in whichever direction: every readiness is a reason to try again.
    write_blocked: bool,
    /// A write, or TLS in a read, waits until the socket takes bytes.
    needs_writable: [bool; 2],
    /// The socket is watched for writability.
    write_watched: bool,
    pong: Option<Vec<u8>>,
    beat: Option<Beat>,
    /// Says `Drained` once all is written.
    draining: bool,
    close: Option<(Option<u16>, String)>,
    /// Our Close is in the wire: says `CloseWritten` once it is out.
    closing: bool,
    no_more_data: bool,
    shut_down: bool,
    asking: Asking,
    /// When to give back memory that was not needed meanwhile; only while there is some.
    shrink_at: Option<Instant>,
}

/// What a read of the socket gave.
enum Gave {
    Bytes,
    /// The socket is empty.
    Nothing,
    /// None was tried.
    NotTried,
    End,
    Failure(io::Error),
}

impl Session {
    pub(super) fn new(config: &Config, agreed: Option<&Agreed>, rest: Vec<u8>, token: Token) -> Session {
        let max_message = usize::try_from(config.max_message).unwrap_or(usize::MAX);
        let mut inbound = Inbound::new(max_message, rest);
        if config.delivers_fragments() {
            inbound.hand_on_above(config.fragments_above, config.max_message);
        }
        if let Some(agreed) = agreed {
            inbound.agree(agreed);
        }
        Session {
            inbound,
            token,
            more: false,
            paused: false,
            ending: None,
            // Bytes may have come before the socket was watched with this token.
            readable: true,
            emptied: false,
            hung_up: false,
            over: false,
            ended: false,
            write_wanted: true,
            write_blocked: false,
            needs_writable: [false; 2],
            write_watched: false,
            pong: None,
            beat: None,
            draining: false,
            close: None,
            closing: false,
            no_more_data: false,
            shut_down: false,
            asking: Asking::default(),
            shrink_at: None,
        }
    }

    pub(super) fn watch(
        stream: &mut Stream,
        registry: &Registry,
        token: Token,
        write: bool,
    ) -> io::Result<()> {
        let interest = if write { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        registry.reregister(stream.socket_mut(), token, interest)
    }

    pub(super) fn is_ready(&mut self, event: &Readiness) {
        self.hung_up |= event.is_read_closed() || event.is_error();
        // TLS may wait for the one direction in order to go on in the other: both are tried.
        self.readable = true;
        self.emptied = false;
        self.write_wanted |= self.write_blocked;
    }

    pub(super) fn is_readable(&self) -> bool {
        self.readable && !self.ended
    }

    /// Whether something came that was not handed on yet, although the user takes it.
    pub(super) fn has_more(&self) -> bool {
        self.more
    }

    pub(super) fn wants_to_write(&mut self) {
        self.write_wanted = true;
    }

    /// What the link asks of a session; done when the wire is next at hand.
    pub(super) fn act(&mut self, action: Action) {
        self.write_wanted = true;
        match action {
            Action::Beat(beat) => self.beat = Some(beat),
            Action::Drain => self.draining = true,
            Action::WriteClose { code, reason } => self.close = Some((code, reason)),
            Action::ShutdownWrite => self.shut_down = true,
            Action::EndSession { abort } => self.ending = Some(abort),
            Action::Prepare { .. } | Action::Dial { .. } | Action::AbandonDial | Action::Tell(_) => {}
        }
    }

    /// Ends the session, if the wire is at hand; else the mailbox tells when it is.
    pub(super) fn end(&mut self, core: &Core, registry: &Registry, abort: bool) -> bool {
        let Some(wire) = core.mailbox.take_wire() else { return false };
        let mut stream = core.mailbox.unload(wire);
        if let Err(error) = registry.deregister(stream.socket_mut()) {
            log::debug!("[{}] deregistering: {error}", core.config.name);
        }
        if abort {
            stream.abort();
        }
        true
    }

    /// Parses, reads and writes, a bounded amount of each; `true` if work is left that no event announces.
    pub(super) fn move_bytes(&mut self, member: &mut Member, registry: &Registry, now: Instant) -> bool {
        for _ in 0..BUDGET {
            let was_over = self.over;
            self.parse(member, registry, now);
            if self.over && !was_over {
                // First the link's answer to a Close or a fault: once the stream's end is read nothing is written.
                return true;
            }
            let readable = |session: &Session| {
                session.is_readable() && !session.more && (!session.paused || session.over)
            };
            if (!readable(self) && !self.write_wanted) || member.core.mailbox.signals() & DESTROYED != 0 {
                if self.shrink_at.is_none() && self.inbound.has_spare() {
                    self.shrink_at = Some(now + QUIET);
                }
                return self.more;
            }
            let Some(mut wire) = member.core.mailbox.take_wire() else { return false };
            // TLS may have read while a sender wrote, and no event announces what it holds.
            self.readable |= wire.stream.has_buffered();
            if self.write_wanted {
                self.write(&mut wire, member, now);
            }
            let gave = if readable(self) { self.read(&mut wire) } else { Gave::NotTried };
            self.rewatch(&mut wire, registry);
            let heard = matches!(gave, Gave::Bytes).then_some(now);
            let failure = self.judge(gave, &mut wire, member, now);
            let direct = !self.no_more_data && !self.over;
            self.write_wanted |= self.park(&member.core, wire, direct, heard, now);
            if let Some(input) = failure {
                member.link.handle(input, now);
            }
            if self.ended {
                return false;
            }
            if self.more || self.inbound.worked_much() {
                break;
            }
        }
        true
    }

    /// Hands on what is whole in the buffer, until it is empty or the user wants no more.
    fn parse(&mut self, member: &mut Member, registry: &Registry, now: Instant) {
        self.hand_on(member, registry, now);
        member.snapshot.end_row();
    }

    fn hand_on(&mut self, member: &mut Member, registry: &Registry, now: Instant) {
        let core = member.core.clone();
        self.more = false;
        while !self.over && !self.paused {
            match self.inbound.next() {
                Ok(None) => return,
                Ok(Some(Item::Message(message))) => {
                    core.mailbox.received.count(message.as_bytes().len() as u64);
                    let wanted = member.link.message(message, now);
                    let mut full = false;
                    if wanted && core.mailbox.signals() & CLOSING == 0 {
                        match core.dispatcher.message(&member.client, &mut member.snapshot, message) {
                            Ok(no_room) => full = no_room,
                            Err(Undelivered::Panicked) => member.callback_panicked(now),
                            Err(Undelivered::NoMemory) => {
                                let fault = ProtocolFault::NoMemory(message.as_bytes().len() as u64);
                                return self.fault(fault, member, now);
                            }
                        }
                    }
                    let signals = core.mailbox.signals();
                    if signals & DESTROYED != 0 {
                        return;
                    }
                    self.paused = signals & CLOSING == 0 && (full || signals & PAUSED != 0);
                }
                Ok(Some(Item::Fragment)) => {
                    if !self.hand_on_fragment(member, now) {
                        return;
                    }
                }
                Ok(Some(Item::Ping(payload))) => {
                    self.pong = Some(payload.to_vec());
                    self.answer_ping(member, registry, now);
                }
                Ok(Some(Item::Pong(payload))) => {
                    self.write_wanted |= core.mailbox.pong(payload);
                    member.link.handle(Input::Pong(payload), now);
                }
                Ok(Some(Item::Close { code, reason })) => {
                    self.over = true;
                    self.write_wanted = true;
                    member.link.handle(Input::PeerClose { code, reason }, now);
                }
                Err(fault) => self.fault(fault, member, now),
            }
        }
    }

    /// Hands on a part of a message; whether the next one is looked at. A few bytes may inflate to a great many, and
    /// then the rest is for the next turn.
    #[cold]
    fn hand_on_fragment(&mut self, member: &mut Member, now: Instant) -> bool {
        let mut full = false;
        match self.inbound.fragment() {
            Ok(fragment) => match member.tell_fragment(fragment, now) {
                Ok(no_room) => full = no_room,
                Err(Undelivered::Panicked) => member.callback_panicked(now),
                Err(Undelivered::NoMemory) => {
                    let fault = ProtocolFault::NoMemory(fragment.as_bytes().len() as u64);
                    self.fault(fault, member, now);
                }
            },
            Err(fault) => self.fault(fault, member, now),
        }
        let signals = member.core.mailbox.signals();
        self.paused = signals & CLOSING == 0 && (full || signals & PAUSED != 0);
        self.more = self.inbound.worked_much();
        signals & DESTROYED == 0 && !self.more
    }

    /// Nothing that follows is read as messages.
    fn fault(&mut self, fault: ProtocolFault, member: &mut Member, now: Instant) {
        self.over = true;
        let error = LinkError::new(Phase::Open, Cause::Protocol(fault));
        member.link.handle(Input::SessionFailed(error), now);
    }

    /// See [`Mailbox::park`](crate::mailbox::Mailbox::park).
    #[must_use = "what waits would wait for ever"]
    fn park(
        &mut self,
        core: &Core,
        wire: Box<Wire<Stream>>,
        direct: bool,
        heard: Option<Instant>,
        now: Instant,
    ) -> bool {
        if self.shrink_at.is_none() && (wire.has_spare() || wire.stream.has_spare()) {
            self.shrink_at = Some(now + QUIET);
        }
        let Parked { left, asked } = core.mailbox.park(wire, direct, self.shrink_at.is_some(), heard);
        self.asking.asked(asked, now);
        left || (self.draining && asked.moved)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.shrink_at.into_iter().chain(self.asking.deadline()).min()
    }

    /// At [`deadline`](Session::deadline): gives back memory, or asks the kernel again.
    pub(super) fn tick(&mut self, core: &Core, now: Instant) {
        // The wire is taken, and whoever parks it asks.
        self.write_wanted |= self.asking.is_due(now);
        if self.shrink_at.is_some_and(|at| at <= now) {
            self.shrink(core, now);
        }
    }

    /// Gives back what was not needed, and comes again if more may follow.
    fn shrink(&mut self, core: &Core, now: Instant) {
        self.shrink_at = None;
        self.inbound.shrink();
        core.mailbox.lock().outbox.shrink();
        let spare = self.inbound.has_spare();
        let wire = core.mailbox.take_wire();
        // If it is out, somebody writes.
        if spare || wire.is_none() {
            self.shrink_at = Some(now + QUIET);
        }
        if let Some(mut wire) = wire {
            wire.shrink();
            wire.stream.shrink();
            self.give_back(core, wire, now);
        }
    }

    /// Parks a wire that was only looked at.
    pub(super) fn give_back(&mut self, core: &Core, wire: Box<Wire<Stream>>, now: Instant) {
        let direct = !self.no_more_data && !self.over;
        self.write_wanted |= self.park(core, wire, direct, None, now);
    }

    fn read(&mut self, wire: &mut Wire<Stream>) -> Gave {
        let read = if self.over {
            wire.stream.read(&mut vec![0; SCRAP])
        } else {
            self.inbound.fill(&mut wire.stream).map(|fill| fill.bytes)
        };
        self.needs_writable[1] = read.is_err() && wire.stream.blocked() == Some(Direction::Write);
        match read {
            Ok(0) => Gave::End,
            Ok(_) => {
                // Edge-triggered: where a short read proves the socket empty, asking again is a wasted
                // system call. Elsewhere only `WouldBlock` arms the next event.
                self.emptied |= wire.stream.read_was_short();
                let empty = cfg!(unix) && !self.hung_up && self.emptied && !wire.stream.has_buffered();
                self.readable = !empty;
                Gave::Bytes
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                Gave::Nothing
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Gave::Bytes,
            // A fault that the next look at what came tells.
            Err(_) if self.inbound.lacks_memory() => Gave::NotTried,
            Err(error) => Gave::Failure(error),
        }
    }

    /// What the link has to hear of a read, and of a write that failed, by whomever.
    ///
    /// After a failed write the stream is read to its end before anything is said, because a Close
    /// frame explains more; and an end of stream never hides the first error.
    fn judge(
        &mut self,
        gave: Gave,
        wire: &mut Wire<Stream>,
        member: &mut Member,
        now: Instant,
    ) -> Option<Input<'static>> {
        let read_error = match gave {
            Gave::Bytes => {
                member.link.handle(Input::Heard, now);
                // With a failed write no event may ever come: read on until there is nothing, or the end.
                self.readable |= wire.error.is_some();
                return None;
            }
            Gave::NotTried | Gave::Nothing if wire.error.is_none() => return None,
            Gave::NotTried if !self.paused => {
                self.readable = true;
                return None;
            }
            Gave::NotTried | Gave::Nothing => None,
            Gave::End => None,
            Gave::Failure(error) => Some(error),
        };
        self.ended = true;
        if self.over {
            return Some(Input::StreamEnded);
        }
        let error = match wire.error.take().or(read_error) {
            Some(error) => wire.stream.link_error(Phase::Open, error),
            None => LinkError::new(Phase::Open, Cause::EndOfStream),
        };
        Some(Input::SessionFailed(error))
    }
}
