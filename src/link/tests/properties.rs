//! What holds for any sequence of inputs.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::config::delivery::Terms;
use crate::config::outbox::OutboxLimits;
use crate::entry::{Entry, Kind, Part, Record};
use crate::event::Fate;
use crate::link::Verdict;
use crate::link::heartbeat::{Beats, Due};
use crate::link::outbox::Outbox;

/// A step of the world around the link: an input, a sender's call, or the loop's work on messages.
#[derive(Clone, Debug)]
enum Step {
    Connect,
    ReconnectNow,
    Close,
    Panicked,
    Abandoned,
    Prepared(Verdict),
    Phase(usize),
    Opened,
    DialFailed(usize),
    Heard,
    Pong([u8; 8]),
    BeatWritten(Option<u64>),
    Drained,
    CloseWritten,
    PeerClose(u16),
    SessionFailed(usize),
    StreamEnded,
    Paused(bool),
    Held(bool),
    Woke,
    Tick(Option<u64>),
    /// Time passes to the deadline, and the loop ticks.
    OnTime,
    Obey(usize),
    Send(usize, Option<u32>),
    SendFirst(usize),
    SendDirect(usize),
    HandOut(usize),
    Write(usize),
    TakeOutcomes,
}

fn step() -> impl Strategy<Value = Step> {
    let often = prop_oneof![
        Just(Step::OnTime),
        Just(Step::Opened),
        Just(Step::Prepared(Verdict::Go)),
        Just(Step::Heard),
        Just(Step::CloseWritten),
        Just(Step::Drained),
        any::<Option<u8>>().prop_map(|known| Step::BeatWritten(known.map(u64::from))),
        (0..40_usize).prop_map(Step::Obey),
        (0..40_usize, any::<Option<u8>>()).prop_map(|(len, ttl)| Step::Send(len, ttl.map(u32::from))),
        (0..40_usize).prop_map(Step::SendDirect),
        (0..200_usize).prop_map(Step::HandOut),
        (1..5_usize).prop_map(Step::Write),
    ];
    let seldom = prop_oneof![
        Just(Step::ReconnectNow),
        (0..6_usize).prop_map(Step::Phase),
        (0..5_usize).prop_map(Step::DialFailed),
        any::<[u8; 8]>().prop_map(Step::Pong),
        (0..90_u32).prop_map(|time| Step::Prepared(Verdict::Delay(time * SEC))),
        prop_oneof![Just(1000_u16), Just(1001), Just(1005), Just(1008), Just(4000)].prop_map(Step::PeerClose),
        (0..4_usize).prop_map(Step::SessionFailed),
        prop_oneof![3 => Just(Step::StreamEnded), 1 => Just(Step::Abandoned)],
        any::<bool>().prop_map(Step::Paused),
        any::<bool>().prop_map(Step::Held),
        Just(Step::Woke),
        any::<Option<u8>>().prop_map(|known| Step::Tick(known.map(u64::from))),
        (0..40_usize).prop_map(Step::SendFirst),
        Just(Step::TakeOutcomes),
    ];
    let rarely = prop_oneof![4 => Just(Step::Connect), 1 => Just(Step::Prepared(Verdict::Stop)), 1 => Just(Step::Close), 1 => Just(Step::Panicked)];
    prop_oneof![12 => often, 6 => seldom, 1 => rarely]
}

fn settings() -> impl Strategy<Value = Rules> {
    let heartbeat = prop_oneof![
        Just(Heartbeat::ping()),
        Just(Heartbeat::ping().every(3 * SEC).reply_only()),
        Just(Heartbeat::text("ping").reply("pong").after_silence(SEC).timeout(SEC).max_missed(1)),
        Just(Heartbeat::off()),
    ];
    let reconnect = prop_oneof![
        4 => Just(Reconnect::exponential()),
        1 => Just(Reconnect::fixed(SEC).max_attempts(3)),
        1 => Just(Reconnect::exponential().give_up_after(60 * SEC)),
        1 => Just(Reconnect::exponential().retry_first_connect(false).stable_after(Duration::ZERO)),
        1 => Just(Reconnect::never()),
    ];
    (heartbeat, reconnect, any::<bool>(), 1..4_usize).prop_map(
        |(heartbeat, reconnect, before_connect, urls)| Rules {
            heartbeat,
            reconnect,
            before_connect,
            urls,
            ..rules()
        },
    )
}

fn limits() -> impl Strategy<Value = OutboxLimits> {
    let small = OutboxLimits::new().messages(6).bytes(100);
    prop_oneof![
        Just(OutboxLimits::new()),
        Just(small.clone()),
        Just(small.clone().evict_oldest_when_full()),
        Just(small.time_to_live(10 * SEC).evict_oldest_when_full()),
    ]
}

fn failure(which: usize) -> LinkError {
    match which {
        0 => refused(404, &[]),
        4 => refused(401, &[]),
        1 => refused(503, &[("retry-after", "7")]),
        2 => unreachable(),
        _ => reset(),
    }
}

/// An event loop with a network that does what the steps say, and the promises it checks on the way.
struct World {
    link: Link,
    outbox: Outbox,
    now: Instant,
    asking: bool,
    dialing: bool,
    session: bool,
    /// An `Open` was told whose `Close` was not.
    open: bool,
    user_closed: bool,
    ended: bool,
    told: State,
    framed: VecDeque<Entry>,
    sent_first: bool,
    fates: BTreeMap<u64, Fate>,
}

impl World {
    fn new(rules: Rules, limits: OutboxLimits, seed: u64) -> World {
        let mut outbox = Outbox::new(limits);
        outbox.report_outcomes(true);
        World {
            link: Link::new(Arc::new(rules), seed),
            outbox,
            now: Instant::now(),
            asking: false,
            dialing: false,
            session: false,
            open: false,
            user_closed: false,
            ended: false,
            told: State::Idle,
            framed: VecDeque::new(),
            sent_first: false,
            fates: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: &Step, passed: Duration) {
        const PHASES: [Phase; 6] =
            [Phase::Resolve, Phase::Connect, Phase::Tls, Phase::Upgrade, Phase::Open, Phase::Close];
        self.now += passed;
        let input = match *step {
            Step::Connect => Input::Connect,
            Step::ReconnectNow => Input::ReconnectNow,
            Step::Close => Input::Close { code: 1000, reason: "done" },
            Step::Panicked => Input::CallbackPanicked,
            Step::Abandoned => Input::Abandoned,
            Step::Phase(phase) => Input::Phase(PHASES[phase]),
            // An attempt that was not begun cannot end.
            Step::Opened if self.dialing => {
                self.dialing = false;
                self.session = true;
                Input::Opened
            }
            Step::DialFailed(which) if self.dialing => {
                self.dialing = false;
                Input::DialFailed(failure(which))
            }
            Step::DialFailed(which) if self.asking => {
                self.asking = false;
                Input::DialFailed(failure(which))
            }
            Step::Prepared(verdict) if self.asking => {
                self.asking = false;
                Input::Prepared(verdict)
            }
            Step::Opened | Step::DialFailed(_) | Step::Prepared(_) => return,
            Step::Heard => Input::Heard,
            Step::Pong(ref payload) => Input::Pong(payload),
            Step::BeatWritten(acknowledged) => Input::BeatWritten { accepted: 100, acknowledged },
            Step::Drained => Input::Drained,
            Step::CloseWritten => Input::CloseWritten,
            Step::PeerClose(code) => Input::PeerClose { code, reason: "" },
            Step::SessionFailed(3) => Input::SessionFailed(fault(ProtocolFault::Utf8)),
            Step::SessionFailed(_) => Input::SessionFailed(reset()),
            Step::StreamEnded => Input::StreamEnded,
            Step::Paused(paused) => Input::ReadingPaused(paused),
            Step::Held(held) => Input::Held(held),
            Step::Woke => Input::Woke,
            Step::Tick(acknowledged) => Input::Tick { acknowledged },
            Step::OnTime => return self.tick_on_time(),
            Step::Obey(actions) => return self.obey(actions),
            Step::Send(len, time_to_live) => {
                let time_to_live = time_to_live.map(|seconds| seconds * SEC);
                self.outbox
                    .accept(Kind::Binary, &vec![0; len], Terms::default(), time_to_live, self.now)
                    .ok();
                return self.check_outbox();
            }
            // There is one, for the first open.
            Step::SendFirst(_) if self.sent_first => return,
            Step::SendFirst(len) => {
                self.sent_first = true;
                self.outbox.accept_first(Kind::Text, &vec![0; len], Terms::default(), self.now).ok();
                return self.check_outbox();
            }
            Step::SendDirect(len) => {
                let free = self.session && self.outbox.is_empty();
                if let Some(Ok(id)) = free.then(|| self.outbox.pass(len, Terms::default())) {
                    let payload = vec![0; len];
                    self.framed.push_back(Entry {
                        id,
                        kind: Kind::Text,
                        part: Part::Whole,
                        payload,
                        expires: None,
                        record: Record::default(),
                    });
                }
                return self.check_outbox();
            }
            Step::HandOut(bytes) => {
                if self.session {
                    self.outbox.hand_out(bytes, self.now, |entry| self.framed.push_back(entry));
                }
                return self.check_outbox();
            }
            Step::Write(messages) => return self.write(messages),
            Step::TakeOutcomes => return self.take_outcomes(),
        };
        self.user_closed |= matches!(input, Input::Close { .. } | Input::CallbackPanicked);
        self.link.handle(input, self.now);
    }

    /// A tick at the deadline moves the deadline, or makes something happen: the loop cannot spin.
    fn tick_on_time(&mut self) {
        if let Some(at) = self.outbox.deadline() {
            let at = at.max(self.now);
            self.outbox.expire(at);
            assert!(self.outbox.deadline().is_none_or(|next| next > at), "the outbox would spin");
        }
        let Some(at) = self.link.deadline() else { return };
        self.obey(usize::MAX);
        self.now = at.max(self.now);
        self.link.handle(Input::Tick { acknowledged: None }, self.now);
        let moved = self.link.deadline().is_none_or(|next| next > self.now);
        let acts = self.link.next_action().map(|action| self.act(action)).is_some();
        assert!(moved || acts, "the loop would spin");
    }

    fn write(&mut self, messages: usize) {
        let messages = messages.min(self.framed.len());
        let done: VecDeque<_> = self.framed.drain(..messages).collect();
        if let (Some(first), Some(last)) = (done.front(), done.back()) {
            let bytes = done.iter().map(|entry| entry.payload.len()).sum();
            self.outbox.written(first.id, last.id, messages, bytes, 0);
        }
        self.check_outbox();
    }

    fn obey(&mut self, actions: usize) {
        for _ in 0..actions {
            let Some(action) = self.link.next_action() else {
                assert_eq!(self.told, self.link.state(), "every state is told");
                return;
            };
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        assert!(!self.ended, "{action:?} after the end");
        match action {
            Action::Prepare { .. } => {
                assert!(!self.user_closed, "a question after the user's close");
                assert!(!self.asking && !self.dialing && !self.session && !self.open);
                self.asking = true;
            }
            Action::Dial { .. } => {
                assert!(!self.asking);
                assert!(!self.user_closed, "an attempt after the user's close");
                assert!(!self.dialing && !self.session, "a second attempt at a time");
                assert!(!self.open, "an attempt before the last session's close was told");
                self.dialing = true;
            }
            // Its success or failure may have crossed it.
            Action::AbandonDial => {
                (self.asking, self.dialing, self.session) = (false, false, false);
                self.outbox.restore(std::mem::take(&mut self.framed), None);
            }
            Action::Beat(_) | Action::Drain | Action::WriteClose { .. } | Action::ShutdownWrite => {
                assert!(self.session, "{action:?} without a session");
            }
            Action::EndSession { .. } => {
                assert!(self.session, "no session to end");
                self.session = false;
                self.outbox.restore(std::mem::take(&mut self.framed), None);
            }
            Action::Tell(event) => self.hear(event),
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Open(_) => {
                assert!(!std::mem::replace(&mut self.open, true), "two opens in a row");
                assert_eq!(self.told, State::Open);
            }
            Event::Close(closed) => {
                assert!(std::mem::replace(&mut self.open, false), "a close without an open");
                assert_eq!(closed.retry_in().is_some(), matches!(self.told, State::Waiting { .. }));
            }
            Event::ConnectFailed(failed) => {
                assert!(!self.open);
                assert_eq!(failed.retry_in().is_some(), matches!(self.told, State::Waiting { .. }));
            }
            Event::Error(_) | Event::Heartbeat(_) => assert!(self.open),
            Event::State(state) => {
                assert_ne!(self.told, state, "a state that did not change");
                self.told = state;
            }
            Event::ClosedForGood(_) => {
                assert!(!self.open && !self.session && !self.dialing && !self.asking);
                assert_eq!(self.told, State::Closed);
                self.ended = true;
                self.outbox.close();
            }
            other => panic!("{other:?} is not the link's to tell"),
        }
    }

    fn take_outcomes(&mut self) {
        while let Some(outcome) = self.outbox.next_outcome() {
            for id in outcome.first().get()..=outcome.last().get() {
                assert_eq!(self.fates.insert(id, outcome.fate()), None, "a second outcome for {id}");
            }
        }
    }

    fn check_outbox(&mut self) {
        self.take_outcomes();
        let last = self.outbox.last_accepted().map_or(0, |id| id.get());
        let unfinished: Vec<_> = (1..=last).filter(|id| !self.fates.contains_key(id)).collect();
        assert_eq!(self.outbox.unfinished(), unfinished.len());
        assert_eq!(self.outbox.oldest_unfinished().map(|id| id.get()), unfinished.first().copied());
        assert_eq!(self.outbox.waiting() + self.framed.len(), unfinished.len());
        let framed: usize = self.framed.iter().map(|entry| entry.payload.len()).sum();
        assert!(self.outbox.buffered() >= framed);
    }

    /// The user closes, the network does nothing any more, and the client comes to its end in time.
    fn finish(&mut self) {
        self.user_closed = true;
        self.link.handle(Input::Close { code: 1000, reason: "" }, self.now);
        let latest = self.now + rules().close_timeout;
        self.obey(usize::MAX);
        for _ in 0..2 {
            if self.link.deadline().is_some() {
                self.tick_on_time();
                self.obey(usize::MAX);
            }
        }
        assert!(self.ended, "the client did not end");
        assert!(self.now <= latest, "the close took longer than its deadline");
        assert_eq!(self.link.deadline(), None);
        self.check_outbox();
        let tally = self.outbox.tally();
        assert_eq!(self.outbox.unfinished(), 0, "a message without an outcome");
        assert_eq!(self.outbox.buffered(), 0);
        assert_eq!(tally.accepted, self.fates.len() as u64);
        let finished = tally.written + tally.expired + tally.evicted + tally.closed + tally.unknown;
        assert_eq!(tally.accepted, finished);
        assert_eq!(tally.unknown, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_every_promise_is_kept(
        rules in settings(),
        limits in limits(),
        seed in any::<u64>(),
        steps in prop::collection::vec((step(), 0..4000_u32), 1..150),
    ) {
        let mut world = World::new(rules, limits, seed);
        world.step(&Step::Connect, Duration::ZERO);
        for (step, passed) in &steps {
            world.step(step, *passed * MS);
        }
        world.finish();
    }

    #[test]
    fn a_link_that_is_left_alone_in_its_world_keeps_dialling(
        seed in any::<u64>(),
        lives in prop::collection::vec((any::<bool>(), 0..29_000_u32), 1..40),
    ) {
        let mut world = World::new(Rules { reconnect: Reconnect::exponential(), ..rules() }, OutboxLimits::new(), seed);
        world.step(&Step::Connect, Duration::ZERO);
        for (nth, (opens, life)) in lives.iter().enumerate() {
            let nth = nth as u32;
            world.obey(usize::MAX);
            prop_assert!(world.dialing, "attempt {nth}");
            let began = if *opens {
                world.step(&Step::Opened, SEC);
                world.now += *life * MS;
                world.link.handle(Input::SessionFailed(reset()), world.now);
                world.now
            } else {
                world.step(&Step::DialFailed(2), SEC);
                world.now
            };
            // No session was stable, so the delays grow through all of them.
            let State::Waiting { attempt, delay } = world.link.state() else { panic!("not waiting") };
            prop_assert_eq!(attempt, nth + 2);
            let bound = Duration::from_millis(500).saturating_mul(2_u32.saturating_pow(nth)).min(30 * SEC);
            prop_assert!(delay >= 250 * MS && delay <= 250 * MS + bound);
            world.tick_on_time();
            prop_assert_eq!(world.now, began + delay);
        }
        world.finish();
    }

    #[test]
    fn dead_is_found_exactly_on_time(
        interval in 1..100_u32,
        timeout in 1..100_u32,
        misses in 1..6_u32,
        pace in any::<bool>(),
        bytes in prop::collection::vec(1..90_u32, 0..10),
    ) {
        let (interval, timeout) = (interval * SEC, timeout * SEC);
        let settings = Heartbeat::ping().timeout(timeout).max_missed(misses);
        let settings = if pace { settings.every(interval) } else { settings.after_silence(interval) };
        let patience = settings.patience().expect("a heartbeat has patience");
        let mut last = Instant::now();
        let mut beats = Beats::new(settings, 0, last);
        let mut bytes = bytes.into_iter();
        let mut next = bytes.next().map(|after| last + after * SEC);
        let dead = loop {
            let due = beats.deadline().expect("a heartbeat always has a deadline");
            if let Some(heard) = next.filter(|heard| *heard <= due) {
                beats.heard(heard);
                last = heard;
                next = bytes.next().map(|after| last + after * SEC);
                continue;
            }
            match beats.poll(due, None) {
                Some(Due::Beat(_)) => beats.written(0, None, due),
                Some(Due::Dead { missed }) => {
                    prop_assert_eq!(missed, misses);
                    break due;
                }
                None => prop_assert!(beats.deadline() > Some(due), "the loop would spin"),
            }
        };
        if pace {
            prop_assert!(dead <= last + patience && dead >= last + timeout * misses);
        } else {
            prop_assert_eq!(dead, last + patience);
        }
    }
}
