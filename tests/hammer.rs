//! Many threads do everything that a client allows, at random, while its connections are cut: nothing panics, hangs, is
//! told in a wrong order, or is left.
//!
//! `HEARTWIRE_HAMMER_SECONDS` says how long (default 3), `HEARTWIRE_HAMMER_SEED` repeats what the threads chose to do;
//! the order in which they came to it is the system's.
#![cfg(target_os = "linux")]

mod support;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use heartwire::{
    Builder, Client, Dispatch, End, Event, EventLoop, Fragment, Heartbeat, ListenerId, LoopError,
    OutboxLimits, Reconnect,
};
use support::watch::{descriptor_count, thread_names, within};
use support::{Behaviour, Direction, Relay, Server, watchdog};

const WORKERS: u64 = 6;
const PLACES: usize = 12;
/// Enough for a slow machine under a sanitizer.
const PATIENCE: Duration = Duration::from_secs(60);

/// splitmix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was seen that must not be.
static WRONG: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn wrong(what: String) {
    lock(&WRONG).push(what);
}

/// What a client has told so far, and whether that may be.
#[derive(Default)]
struct Told {
    open: bool,
    ended: bool,
    /// Of a message in parts: how much of it has come, and whether it has not ended.
    begun: Option<u64>,
    fates: HashSet<u64>,
}

impl Told {
    fn hear(&mut self, name: &str, event: &Event) {
        if self.ended {
            wrong(format!("{name}: after the end: {event}"));
        }
        match event {
            Event::Open(_) if std::mem::replace(&mut self.open, true) => wrong(format!("{name}: open twice")),
            Event::Close(_) if self.begun.is_some() => wrong(format!("{name}: closed within a message")),
            Event::Close(_) if !std::mem::take(&mut self.open) => wrong(format!("{name}: closed, not open")),
            Event::ConnectFailed(_) if self.open => wrong(format!("{name}: failed while open")),
            Event::Message(_) if !self.open => wrong(format!("{name}: a message while not open")),
            Event::Message(_) if self.begun.is_some() => wrong(format!("{name}: a message within a message")),
            Event::Fragment(part) => self.hear_part(name, part),
            Event::ClosedForGood(end) => {
                self.ended = true;
                if matches!(end, End::LoopFailed | End::CallbackPanicked) {
                    wrong(format!("{name}: {end}"));
                }
                if self.open {
                    wrong(format!("{name}: ended without a close"));
                }
            }
            Event::Outcome(outcome) => {
                for id in outcome.first().get()..=outcome.last().get() {
                    if !self.fates.insert(id) {
                        wrong(format!("{name}: a second outcome of {id}"));
                    }
                }
            }
            _ => {}
        }
    }

    fn hear_part(&mut self, name: &str, part: &Fragment) {
        if !self.open {
            wrong(format!("{name}: a part while not open: {part}"));
        }
        if part.offset() != self.begun.unwrap_or(0) || part.is_first() != self.begun.is_none() {
            wrong(format!("{name}: {part} after {:?}", self.begun));
        }
        let ends = part.is_last() || part.is_aborted();
        self.begun = (!ends).then(|| part.offset() + part.len() as u64);
    }
}

/// A client in the arena, and what is known of it.
struct Subject {
    client: Client,
    told: Arc<Mutex<Told>>,
    /// Set when its destroying has returned, outside all handlers: nothing may be called from then on.
    gone: Arc<AtomicBool>,
    accepted: AtomicU64,
    listeners: Mutex<Vec<ListenerId>>,
    /// Who pulls takes events under the lock of `told`, so that they are judged in their order.
    pulls: bool,
}

struct Arena {
    places: Vec<Mutex<Option<Arc<Subject>>>>,
    url: String,
    started: EventLoop,
    turned: EventLoop,
    made: AtomicU64,
    acts: AtomicU64,
}

impl Arena {
    fn put_new(&self, place: usize, random: &mut Random) {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let subject = self.subject(number, random);
        let old = lock(&self.places[place]).replace(Arc::new(subject));
        drop_outside(old);
    }

    fn subject(&self, number: u64, random: &mut Random) -> Subject {
        let builder = Client::builder(&self.url)
            .name(format!("hammer-{number}"))
            .heartbeat(Heartbeat::off())
            .close_timeout(Duration::from_millis(500))
            .reconnect(Reconnect::fixed(Duration::from_millis(1 + random.below(20))));
        let builder = match random.below(3) {
            0 => builder,
            1 => builder.event_loop(&self.started),
            _ => builder.event_loop(&self.turned),
        };
        let builder = match random.below(3) {
            0 => builder.fragments_above(20),
            1 => builder.fragments_above(10_000),
            _ => builder,
        };
        let outbox = OutboxLimits::new().messages(64);
        let builder = match random.below(4) {
            0 => builder.outbox(outbox.block_when_full(Duration::from_millis(2))),
            1 => builder.outbox(outbox.evict_oldest_when_full()),
            2 => builder.outbox(outbox.time_to_live(Duration::from_millis(3))),
            _ => builder,
        };
        let (pulls, builder): (bool, Builder) = match random.below(4) {
            0 => (true, builder.report_outcomes(true)),
            1 => (false, builder.dispatch(Dispatch::Thread)),
            _ => (false, builder),
        };
        let client = builder.build().unwrap();
        let told = Arc::new(Mutex::new(Told::default()));
        let gone = Arc::new(AtomicBool::new(false));
        if !pulls {
            listen(&client, &told, &gone);
        }
        client.connect().unwrap();
        let (accepted, listeners) = (AtomicU64::new(0), Mutex::default());
        Subject { client, told, gone, accepted, listeners, pulls }
    }

    /// One thing, to one client.
    fn act(self: &Arc<Arena>, random: &mut Random) {
        self.acts.fetch_add(1, Ordering::Relaxed);
        let place = random.below(PLACES as u64) as usize;
        let Some(subject) = lock(&self.places[place]).clone() else { return self.put_new(place, random) };
        let client = &subject.client;
        let shortly = Duration::from_micros(random.below(3000));
        match random.below(40) {
            0..=9 => subject.send(random),
            10 => drop(client.ping(b"hammer")),
            11 if random.below(4) == 0 => client.close(1000, "enough").unwrap(),
            12 => client.reconnect_now(),
            13 => {
                client.pause_reading();
                thread::sleep(shortly);
                client.resume_reading();
            }
            14 | 15 if !subject.pulls => subject.add_listener(random),
            16 | 17 => {
                let id = lock(&subject.listeners).pop();
                if id.is_some_and(|id| !client.remove_listener(id)) {
                    wrong(format!("{}: a listener was not there", client.name()));
                }
            }
            18 => drop((client.clone(), client.clone())),
            19 => drop(client.downgrade().upgrade()),
            20 => drop(client.wait_open(shortly)),
            21 => drop(client.flush(shortly)),
            22 => drop(client.wait_closed(shortly)),
            23 => drop((
                client.stats(),
                client.state(),
                client.buffered_amount(),
                client.last_open(),
                client.explain(),
            )),
            24 if random.below(8) == 0 => self.put_new(place, random),
            25 if !subject.pulls && random.below(4) == 0 => self.destroy_inside(&subject, random),
            26..=29 if subject.pulls => subject.pull(shortly),
            30 if random.below(8) == 0 => drop_outside(lock(&self.places[place]).take()),
            _ => thread::sleep(shortly / 8),
        }
        drop_outside(Some(subject));
    }

    /// A handler that takes a client out of the arena, its own perhaps, and drops it.
    fn destroy_inside(self: &Arc<Arena>, subject: &Subject, random: &mut Random) {
        let arena = Arc::downgrade(self);
        let place = random.below(PLACES as u64) as usize;
        let mut once = true;
        let id = subject.client.on_message(move |_, _| {
            let Some(arena) = Weak::upgrade(&arena).filter(|_| std::mem::take(&mut once)) else { return };
            let taken = lock(&arena.places[place]).take();
            drop(taken);
        });
        lock(&subject.listeners).push(id);
        subject.send(random);
    }
}

/// Gives a hold on a client up; if it was the last, the client is destroyed here.
fn drop_outside(subject: Option<Arc<Subject>>) {
    if let Some(subject) = subject.and_then(Arc::into_inner) {
        let Subject { client, gone, .. } = subject;
        drop(client);
        gone.store(true, Ordering::SeqCst);
    }
}

impl Subject {
    fn send(&self, random: &mut Random) {
        let length = if random.below(50) == 0 { random.below(50_000) } else { random.below(60) } as usize;
        let sent = if random.below(2) == 0 {
            self.client.send_text(&"t".repeat(length))
        } else {
            self.client.send_binary(&vec![7; length])
        };
        self.accepted.fetch_add(u64::from(sent.is_ok()), Ordering::SeqCst);
    }

    fn add_listener(&self, random: &mut Random) {
        let gone = self.gone.clone();
        let check = move |client: &Client| {
            if gone.load(Ordering::SeqCst) {
                wrong(format!("{}: called after it was destroyed", client.name()));
            }
        };
        let id = match random.below(4) {
            0 => self.client.on_message(move |client, _| {
                check(client);
                // Refused on a loop's thread; must not stop it.
                let _ = client.wait_closed(Duration::ZERO);
                let _ = (client.stats(), client.clone());
            }),
            1 => self.client.on_state(move |client, _| check(client)),
            2 => {
                let mut own = Vec::new();
                self.client.on_message(move |client, _| {
                    check(client);
                    if own.len() < 4 {
                        own.push(client.on_state(|_, _| {}));
                    } else {
                        for id in own.drain(..) {
                            client.remove_listener(id);
                        }
                    }
                })
            }
            _ => self.client.on_close(move |client, _| check(client)),
        };
        lock(&self.listeners).push(id);
    }

    fn pull(&self, timeout: Duration) {
        let mut told = lock(&self.told);
        let mut next = self.client.recv_timeout(timeout);
        while let Ok(event) = next {
            told.hear(self.client.name(), &event);
            next = self.client.try_recv();
        }
    }

    /// Closes it, hears it to its end, and counts the outcomes.
    fn finish(&self) {
        let name = self.client.name();
        self.client.close(1000, "the end").unwrap();
        if self.pulls {
            within(PATIENCE, "the end was pulled", || {
                self.pull(Duration::from_millis(1));
                lock(&self.told).ended.then_some(())
            });
        }
        match self.client.wait_closed(PATIENCE) {
            Ok(End::LoopFailed | End::CallbackPanicked) | Err(_) => {
                wrong(format!("{name} did not close well"))
            }
            Ok(_) => {}
        }
        within(PATIENCE, "the end is told", || lock(&self.told).ended.then_some(()));
        let (accepted, fates) = (self.accepted.load(Ordering::SeqCst), lock(&self.told).fates.len() as u64);
        if fates != accepted {
            wrong(format!("{name}: {accepted} accepted and {fates} outcomes"));
        }
    }
}

fn listen(client: &Client, told: &Arc<Mutex<Told>>, gone: &Arc<AtomicBool>) {
    macro_rules! judge {
        ($($register:ident: $argument:ident => $event:expr),* $(,)?) => {
            $({
                let (told, gone) = (told.clone(), gone.clone());
                client.$register(move |client, $argument| {
                    if gone.load(Ordering::SeqCst) {
                        wrong(format!("{}: called after it was destroyed", client.name()));
                    }
                    lock(&told).hear(client.name(), &$event);
                });
            })*
        };
    }
    judge!(
        on_open: opened => Event::Open(opened.clone()),
        on_message: message => Event::Message(message.to_message()),
        on_fragment: part => Event::Fragment(part.to_fragment()),
        on_close: closed => Event::Close(closed.clone()),
        on_connect_failed: failed => Event::ConnectFailed(failed.clone()),
        on_error: error => Event::Error(error.clone()),
        on_outcome: outcome => Event::Outcome(*outcome),
        on_state: state => Event::State(state),
        on_closed_for_good: end => Event::ClosedForGood(end.clone()),
    );
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| value.parse().expect("a number"))
}

fn library_threads() -> usize {
    thread_names().iter().filter(|name| name.starts_with("heartwire")).count()
}

#[test]
fn many_threads_that_do_everything_at_random_find_nothing_wrong() {
    let seconds = setting("HEARTWIRE_HAMMER_SECONDS", 3);
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = setting("HEARTWIRE_HAMMER_SEED", clock.as_nanos() as u64);
    println!("HEARTWIRE_HAMMER_SEED={seed}");
    let _watch = watchdog(seconds + 3 * PATIENCE.as_secs(), &format!("the hammer, seed {seed}"));
    let before = descriptor_count();
    hammer(seed, Duration::from_secs(seconds));
    within(PATIENCE, "no thread and no descriptor is left", || {
        (library_threads() == 0 && descriptor_count() <= before).then_some(())
    });
    let wrong = lock(&WRONG);
    assert!(
        wrong.is_empty(),
        "seed {seed}: {} things are wrong: {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(20)]
    );
}

fn hammer(seed: u64, time: Duration) {
    let server = Server::start(Behaviour::echo());
    let relay = Relay::start(server.address());
    let places = (0..PLACES).map(|_| Mutex::new(None)).collect();
    let (started, turned) = (EventLoop::new().unwrap(), EventLoop::new().unwrap());
    started.start().unwrap();
    let (made, acts) = (AtomicU64::new(0), AtomicU64::new(0));
    let arena = Arc::new(Arena { places, url: relay.ws_url(), started, turned, made, acts });
    let deadline = Instant::now() + time;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let named = |name: String| thread::Builder::new().name(name);
        let turner = named("hammer-turner".into());
        turner
            .spawn_scoped(scope, || {
                // A handler may be what destroys the last one: nobody else turns this loop.
                while !over.load(Ordering::SeqCst) || arena.turned.clients() > 0 {
                    match arena.turned.turn(Some(Duration::from_millis(5))) {
                        // A call that waits came first: it gives the engine up when it has waited.
                        Err(LoopError::Busy) => thread::yield_now(),
                        turned => turned.unwrap(),
                    }
                }
            })
            .unwrap();
        let cutter = named("hammer-cutter".into());
        let cutter = cutter
            .spawn_scoped(scope, || {
                let mut random = Random(seed ^ 0xc0ffee);
                while Instant::now() < deadline {
                    thread::sleep(Duration::from_millis(5 + random.below(40)));
                    match random.below(3) {
                        0 => relay.cut(),
                        1 => {
                            relay.cut_after(Direction::Up, random.below(5000));
                            relay.cut_after(Direction::Down, random.below(5000));
                        }
                        _ => server.cut_all(),
                    }
                }
            })
            .unwrap();
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let mut random = Random(seed.wrapping_add(worker));
                let arena = &arena;
                let work = move || {
                    while Instant::now() < deadline {
                        arena.act(&mut random);
                    }
                };
                named(format!("hammer-{worker}")).spawn_scoped(scope, work).unwrap()
            })
            .collect();
        let panicked = workers.into_iter().filter_map(|worker| worker.join().err()).count();
        if panicked + usize::from(cutter.join().is_err()) > 0 {
            wrong(format!("{panicked} threads panicked"));
        }
        relay.flow();
        let mut finished = 0;
        for place in &arena.places {
            let taken = lock(place).take();
            // Some are closed and heard to the end, the others destroyed as they are.
            if let Some(subject) = taken.as_ref().filter(|_| finished < 2 * PLACES / 3) {
                finished += 1;
                subject.finish();
            }
            drop_outside(taken);
        }
        over.store(true, Ordering::SeqCst);
        arena.turned.wake();
    });
    let (made, acts) = (arena.made.load(Ordering::Relaxed), arena.acts.load(Ordering::Relaxed));
    println!("{acts} acts, {made} clients, {} connections", relay.connections());
    // Else it has shown nothing.
    assert!(acts > 100 && made > PLACES as u64 && relay.connections() > PLACES);
}
