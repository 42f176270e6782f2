//! One client in the loop: gives the link what happened, and does what the link asks for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use mio::event::Event as Readiness;
use mio::{Registry, Token};
use rand::RngExt;

use crate::client::Client;
use crate::cookies::Jar;
use crate::core::Core;
use crate::dispatch::Snapshot;
use crate::dispatch::queue::Pressure;
use crate::event::{Begun, Event};
use crate::event_loop::course::{Course, Preparing};
use crate::event_loop::opening::Upgrading;
use crate::event_loop::post::Home;
use crate::event_loop::session::Session;
use crate::event_loop::slots;
use crate::explain::Standing;
use crate::link::{Action, Input, Link};
use crate::mailbox::{CLOSING, DESTROYED, PAUSED};
use crate::net::dial::Dial;
#[cfg(unix)]
use crate::net::socket::Socket;
use crate::process;

pub(crate) struct Member {
    pub(super) core: Arc<Core>,
    pub(super) client: Client,
    pub(super) link: Link,
    pub(super) snapshot: Snapshot,
    pub(super) home: Home,
    pub(super) io: Io,
    /// The message that is being handed on in fragments.
    pub(super) begun: Begun,
    /// The attempt in a row, as the link counts.
    pub(super) in_a_row: u32,
    /// Counts attempts: sockets of the one before have other tokens.
    pub(super) attempt: u32,
    /// Where this attempt goes, by which redirects.
    pub(super) course: Course,
    /// The stream that the program brought, before the attempt.
    #[cfg(unix)]
    pub(super) stream: Option<Socket>,
    /// There is, or was, one.
    pub(super) brought: bool,
    /// What servers have set, if that is to be kept.
    pub(super) cookies: Option<Box<Jar>>,
    /// The address whose TLS or upgrade failed last: raced last next time.
    pub(super) avoid: Option<SocketAddr>,
    /// Where the attempt has got to, if it has, or the session is.
    pub(super) reached: Option<SocketAddr>,
    /// The last state that was recorded.
    pub(super) standing: Standing,
    pressure: Pressure,
    paused: bool,
    /// Someone left orders or messages.
    listed: bool,
    /// Work is left that no event will announce.
    pub(super) again: bool,
    /// It will be served, in this turn or the next.
    in_line: bool,
    /// The time of its earliest entry in the heap.
    timer: Option<Instant>,
    /// The next expiry in the outbox.
    expiry: Option<Instant>,
    pub(super) over: bool,
}

/// What the member's sockets are at.
pub(super) enum Io {
    Nothing,
    Preparing(Preparing),
    Dialing(Box<Dial>),
    Upgrading(Box<Upgrading>),
    Open(Box<Session>),
}

impl Member {
    pub(crate) fn new(core: Arc<Core>, home: Home) -> Member {
        let link = Link::new(core.config.rules.clone(), process::rng().random());
        core.mailbox.lock().home = Some(home.clone());
        Member {
            client: Client::uncounted_of(&core),
            course: Course::new(&core.config),
            cookies: core.config.cookies.then(Box::default),
            core,
            link,
            snapshot: Snapshot::default(),
            home,
            io: Io::Nothing,
            begun: Begun::default(),
            in_a_row: 0,
            attempt: 0,
            #[cfg(unix)]
            stream: None,
            brought: false,
            avoid: None,
            reached: None,
            standing: Standing::Idle,
            pressure: Pressure::default(),
            paused: false,
            listed: true,
            again: false,
            in_line: false,
            timer: None,
            expiry: None,
            over: false,
        }
    }

    // ---- what the loop asks ---------------------------------------------------------------

    /// Takes note of readiness; `false` if the event is of an older attempt.
    pub(crate) fn is_ready(&mut self, event: &Readiness) -> bool {
        if !slots::is_of(event.token(), self.home.slot.index, self.attempt) {
            return false;
        }
        match &mut self.io {
            Io::Open(session) => session.is_ready(event),
            Io::Upgrading(half) => half.ready = true,
            Io::Nothing | Io::Preparing(_) | Io::Dialing(_) => {}
        }
        true
    }

    /// `false` if it is in the line already.
    pub(crate) fn lines_up(&mut self) -> bool {
        !std::mem::replace(&mut self.in_line, true)
    }

    /// It is served now.
    pub(crate) fn leaves_line(&mut self) {
        self.in_line = false;
    }

    pub(crate) fn was_listed(&mut self) {
        self.listed = true;
    }

    /// The machine slept.
    pub(crate) fn woke(&mut self, now: Instant) {
        self.link.handle(Input::Woke, now);
    }

    pub(crate) fn is_destroyed(&self) -> bool {
        self.core.mailbox.is_destroyed()
    }

    /// Its turn begins: from here to [`leave`](Member::leave) a destroy waits, where it may.
    pub(crate) fn enter(&self) {
        self.core.mailbox.enter();
    }

    pub(crate) fn leave(&self) {
        self.core.mailbox.leave();
    }

    /// Its loop can do nothing for it any more.
    pub(crate) fn fail(&self, why: &str) {
        self.core.loop_failed(why);
    }

    /// The client has ended, or was destroyed: its place can be freed.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    pub(crate) fn wants_another_turn(&mut self) -> bool {
        std::mem::take(&mut self.again)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let io = match &self.io {
            Io::Dialing(dial) => dial.deadline(),
            Io::Open(session) => session.deadline(),
            Io::Nothing | Io::Preparing(_) | Io::Upgrading(..) => None,
        };
        [self.link.deadline(), io, self.expiry].into_iter().flatten().min()
    }

    /// An entry to add to the heap: when the deadline is earlier than all that it has.
    pub(crate) fn new_timer(&mut self) -> Option<Instant> {
        let due = self.deadline()?;
        if self.timer.is_some_and(|timer| timer <= due) {
            return None;
        }
        self.timer = Some(due);
        Some(due)
    }

    /// Whether the heap's entry at this time is the one that counts.
    pub(crate) fn has_timer(&self, at: Instant) -> bool {
        self.timer == Some(at)
    }

    /// An entry left the heap; whether it was the one that counts.
    pub(crate) fn timer_fired(&mut self, at: Instant) -> bool {
        let counts = self.has_timer(at);
        if counts {
            self.timer = None;
        }
        counts
    }

    // ---- a turn ---------------------------------------------------------------------------

    /// Does what there is to do, a bounded amount of it. Callbacks run in here.
    pub(crate) fn serve(&mut self, registry: &Registry, now: Instant, tick: bool) {
        if std::mem::take(&mut self.listed) {
            self.collect(now);
        }
        self.run(registry, now);
        if tick && !self.over {
            if let Io::Open(session) = &mut self.io {
                session.tick(&self.core, now);
            }
            if self.link.deadline().is_some_and(|at| at <= now) {
                self.give_up_upgrade(now);
                let acknowledged = self.acknowledged(now);
                self.link.handle(Input::Tick { acknowledged }, now);
            }
            self.run(registry, now);
        }
        let mut swept = self.core.mailbox.sweep(now);
        if swept.outcomes && !self.over {
            self.tell_outcomes(now);
            self.run(registry, now);
            swept = self.core.mailbox.sweep(now);
        }
        // Only now: outcomes that wait to be told fill the outbox, too.
        if swept.writable && !self.over && self.core.mailbox.lock().outbox.take_writable() {
            self.tell(Event::Writable, now);
            self.run(registry, now);
            swept = self.core.mailbox.sweep(now);
        }
        self.expiry = swept.expiry;
        if swept.released
            && let Io::Open(session) = &mut self.io
        {
            session.wants_to_write();
            self.again = true;
        }
        // Who takes events from a full queue wakes the loop.
        self.again |= swept.outcomes && !self.core.dispatcher.pressure().outcomes;
    }

    fn run(&mut self, registry: &Registry, now: Instant) {
        loop {
            if self.core.mailbox.signals() & DESTROYED != 0 {
                return self.vanish();
            }
            self.heed_pressure(now);
            // First what was decided: an attempt that is to be abandoned must not succeed meanwhile.
            let obeyed = self.obey(registry, now);
            self.progress(registry, now);
            if (!self.obey(registry, now) && !obeyed) || self.over {
                return;
            }
        }
    }

    fn collect(&mut self, now: Instant) {
        let orders = self.core.mailbox.collect();
        #[cfg(unix)]
        if let Some(stream) = orders.stream {
            self.stream = Some(stream);
            self.brought = true;
        }
        if orders.connect {
            self.link.handle(if self.brought { Input::ConnectOnce } else { Input::Connect }, now);
        }
        if orders.panicked {
            self.link.handle(Input::CallbackPanicked, now);
        }
        if orders.abandoned {
            self.link.handle(Input::Abandoned, now);
        }
        if let Some((code, reason)) = &orders.close {
            self.link.handle(Input::Close { code: *code, reason }, now);
        }
        if orders.reconnect_now {
            self.link.handle(Input::ReconnectNow, now);
        }
        if orders.writable {
            self.tell(Event::Writable, now);
        }
        if let Io::Open(session) = &mut self.io {
            session.wants_to_write();
        }
    }

    /// Whether the user takes what comes: else reading stops, or no attempt begins.
    fn heed_pressure(&mut self, now: Instant) {
        let pressure = self.core.dispatcher.pressure();
        if pressure.holding != self.pressure.holding {
            self.link.handle(Input::Held(pressure.holding), now);
        }
        self.pressure = pressure;
        let paused = self.holds_messages_back();
        if paused && !self.paused {
            self.link.handle(Input::ReadingPaused(true), now);
        }
        if let Io::Open(session) = &mut self.io {
            session.paused = paused;
        }
        // What came meanwhile is read before the heartbeat counts again: see the end of `progress`.
        self.paused |= paused;
    }

    /// Whether the user wants no message just now, or has no room for one.
    ///
    /// After the user's close none is delivered any more, and the server's Close is behind those that wait: they are
    /// read and thrown away.
    pub(super) fn holds_messages_back(&self) -> bool {
        let signals = self.core.mailbox.signals();
        signals & CLOSING == 0 && (signals & PAUSED != 0 || self.core.dispatcher.pressure().full)
    }

    fn progress(&mut self, registry: &Registry, now: Instant) {
        match std::mem::replace(&mut self.io, Io::Nothing) {
            Io::Nothing => {}
            Io::Preparing(preparing) => self.prepare(preparing, now),
            Io::Dialing(dial) => self.dial(dial, registry, now),
            Io::Upgrading(half) if half.ready => self.upgrade(half, registry, now),
            Io::Upgrading(half) => self.io = Io::Upgrading(half),
            Io::Open(mut session) => {
                self.again |= session.move_bytes(self, registry, now);
                let drained = !session.paused && !session.is_readable() && !session.has_more();
                self.io = Io::Open(session);
                if !drained {
                    return;
                }
            }
        }
        if self.paused && !self.holds_messages_back() {
            self.paused = false;
            self.link.handle(Input::ReadingPaused(false), now);
        }
    }

    pub(super) fn token(&self) -> Token {
        slots::token(self.home.slot.index, self.attempt, 0)
    }

    /// Does what the link asks for; `true` if it asked for anything.
    fn obey(&mut self, registry: &Registry, now: Instant) -> bool {
        let mut any = false;
        while !self.over && self.core.mailbox.signals() & DESTROYED == 0 {
            // A session that has to end waits for its wire; what the link asked for after it waits, too.
            if let Io::Open(session) = &mut self.io
                && let Some(abort) = session.ending
            {
                if !session.end(&self.core, registry, abort) {
                    return false;
                }
                self.io = Io::Nothing;
            }
            let Some(action) = self.link.next_action() else { break };
            any = true;
            self.act(action, now);
        }
        any
    }

    fn act(&mut self, action: Action, now: Instant) {
        match action {
            Action::Prepare { attempt, url, error } => {
                self.reached = None;
                self.ask_program(attempt, url, error, now);
            }
            Action::Dial { attempt, url } => {
                self.in_a_row = attempt;
                if !self.course.is_prepared() {
                    self.course.begin(&self.core.config, url);
                    self.core.mailbox.lock().counters.attempts += 1;
                }
                self.course.depart();
                log::debug!("[{}] attempt {attempt} to {}", self.name(), self.course.route.shown_url);
                if let Some(path) = &self.course.route.target.unix {
                    log::debug!("[{}] through the socket {path:?}", self.name());
                }
                if let Some(proxy) = self.course.route.target.proxy.as_ref().filter(|_| !self.brought) {
                    log::debug!("[{}] through {proxy}", self.name());
                }
                self.start_dial(now);
            }
            // An address whose TLS or upgrade took too long has failed as well as one that said so.
            Action::AbandonDial => match std::mem::replace(&mut self.io, Io::Nothing) {
                Io::Dialing(dial) => self.failed_at(dial.address()),
                Io::Upgrading(half) => self.failed_at(half.address),
                Io::Preparing(_) => {}
                other => self.io = other,
            },
            Action::Tell(event) => self.tell(event, now),
            // The wire may be out: what the session is asked for is done when it is at hand.
            of_session => {
                if let Io::Open(session) = &mut self.io {
                    session.act(of_session);
                }
            }
        }
    }

    /// Wakes the loop for this member, from any thread.
    pub(super) fn waker(&self) -> impl Fn() + Send + Sync + 'static {
        let home = self.home.clone();
        move || home.wake()
    }

    /// Bytes that the peer's TCP has acknowledged, if the link wants to know and the wire is at hand.
    fn acknowledged(&mut self, now: Instant) -> Option<u64> {
        if !self.link.wants_acknowledged() {
            return None;
        }
        let Io::Open(session) = &mut self.io else { return None };
        let wire = self.core.mailbox.take_wire()?;
        let acknowledged = wire.stream.acknowledged();
        session.give_back(&self.core, wire, now);
        acknowledged
    }

    /// The client was destroyed: no event, no outcome, no further byte.
    fn vanish(&mut self) {
        self.over = true;
        self.io = Io::Nothing;
    }

    pub(super) fn name(&self) -> &str {
        &self.core.config.name
    }
}
