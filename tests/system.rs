//! Faults from the system: no descriptor is free, no thread is to be had. Nothing panics, nothing spins, and links heal.
//!
//! Limits are for the whole process; so these tests have one of their own, and take turns in it.
#![cfg(target_os = "linux")]

mod support;

use std::error::Error as _;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use heartwire::{
    Builder, Client, ConnectError, ConnectFailed, End, Error, Event, EventLoop, Heartbeat, LoopError, Phase,
    Reconnect, State, WaitError,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::watch::{descriptor_count, thread_names, within};
use support::{Behaviour, Server, watchdog};

const SOON: Duration = Duration::from_secs(20);
const DELAY: Duration = Duration::from_millis(50);
/// Too many open files.
const EMFILE: i32 = 24;

/// One test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// While it lives no descriptor is to be had, not even one that was just closed; those that are open stay open.
struct NoDescriptors(Rlimit);

impl NoDescriptors {
    fn begin() -> NoDescriptors {
        let before = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(3), maximum: before.maximum }).unwrap();
        assert_eq!(std::fs::File::open("/dev/null").unwrap_err().raw_os_error(), Some(EMFILE));
        NoDescriptors(before)
    }
}

impl Drop for NoDescriptors {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, Rlimit { current: self.0.current, maximum: self.0.maximum }).unwrap();
    }
}

fn quick(url: &str) -> Builder {
    Client::builder(url).reconnect(Reconnect::fixed(DELAY)).heartbeat(Heartbeat::off()).name("sys")
}

/// Threads of clients; those of the resolver stay a while for the next name.
fn client_threads() -> usize {
    thread_names().iter().filter(|name| name.starts_with("heartwire-sys")).count()
}

/// The processor time of this process so far.
fn busy() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn failed(client: &Client) -> ConnectFailed {
    loop {
        if let Event::ConnectFailed(failed) = client.recv_timeout(SOON).unwrap() {
            return failed;
        }
    }
}

/// The link is lost while no descriptor is free: attempts fail with the system's error, at their pace, and one succeeds
/// when some are free again.
fn loses_its_link_and_heals(client: &Client, server: &Server, phases: &[Phase]) {
    client.wait_open(SOON).unwrap();
    // Takes what was told so far.
    while client.recv_timeout(Duration::ZERO).is_ok() {}
    let none = NoDescriptors::begin();
    server.cut_all();
    let (began, busy_before, attempts_before) = (Instant::now(), busy(), client.stats().attempts());
    for _ in 0..8 {
        let failed = failed(client);
        let error = failed.error();
        assert!(phases.contains(&error.phase()), "{error}");
        if error.phase() == Phase::Connect {
            assert_eq!(error.os_error(), Some(EMFILE), "{error}");
        }
        assert!(failed.retry_in().is_some_and(|delay| delay >= DELAY), "{failed}");
    }
    let (took, busy) = (began.elapsed(), busy() - busy_before);
    let attempts = client.stats().attempts() - attempts_before;
    assert!(took >= 8 * DELAY, "{took:?}");
    assert!(u128::from(attempts) <= 1 + took.as_millis() / DELAY.as_millis(), "{attempts} in {took:?}");
    assert!(busy < took / 2, "{busy:?} of {took:?}: something spins");
    drop(none);
    within(SOON, "the link heals", || (client.state() == State::Open).then_some(()).or_else(|| take(client)));
}

/// Events that are not taken hold up attempts.
fn take(client: &Client) -> Option<()> {
    let _ = client.try_recv();
    None
}

fn is_emfile(error: &io::Error) -> bool {
    error.raw_os_error() == Some(EMFILE)
}

#[test]
fn without_descriptors_a_connect_fails_at_once_and_the_client_has_ended() {
    let _watch = watchdog(60, "connect without descriptors");
    let _alone = alone();
    let server = Server::start(Behaviour::echo());
    let client = quick(&server.url()).build().unwrap();
    let before = descriptor_count();
    let none = NoDescriptors::begin();
    match client.connect() {
        Err(ConnectError::Start(error)) if is_emfile(&error) => {}
        other => panic!("{other:?}"),
    }
    assert!(matches!(client.wait_open(SOON), Err(WaitError::Closed(_))));
    assert!(matches!(client.wait_closed(SOON), Ok(End::LoopFailed)));
    match EventLoop::new() {
        Err(LoopError::System(error)) if is_emfile(&error) => {}
        other => panic!("{other:?}"),
    }
    let both = quick(&server.url()).connect();
    assert!(matches!(&both, Err(Error::Connect(ConnectError::Start(error))) if is_emfile(error)), "{both:?}");
    assert!(both.unwrap_err().source().is_some());
    drop(none);
    within(SOON, "nothing is left of it", || {
        (descriptor_count() <= before && client_threads() == 0).then_some(())
    });
    quick(&server.url()).connect().unwrap().wait_open(SOON).unwrap();
}

#[test]
fn a_client_that_loses_its_link_without_free_descriptors_heals_when_some_are_free_again() {
    let _watch = watchdog(60, "healing without descriptors");
    let _alone = alone();
    let server = Server::start(Behaviour::echo());
    let client = quick(&server.url()).connect().unwrap();
    loses_its_link_and_heals(&client, &server, &[Phase::Connect]);
}

#[test]
fn the_clients_of_a_shared_loop_heal_as_well() {
    let _watch = watchdog(60, "healing on a shared loop");
    let _alone = alone();
    let server = Server::start(Behaviour::echo());
    let event_loop = EventLoop::new().unwrap();
    event_loop.start().unwrap();
    let client = quick(&server.url()).event_loop(&event_loop).connect().unwrap();
    loses_its_link_and_heals(&client, &server, &[Phase::Connect]);
    // One that begins without: its loop has all the descriptors that it needs itself.
    let none = NoDescriptors::begin();
    let late = quick(&server.url()).event_loop(&event_loop).connect().unwrap();
    assert_eq!(failed(&late).error().os_error(), Some(EMFILE));
    drop(none);
    within(SOON, "it opens", || (late.state() == State::Open).then_some(()).or_else(|| take(&late)));
}

#[test]
fn a_name_that_cannot_be_looked_up_for_want_of_descriptors_is_looked_up_later() {
    let _watch = watchdog(60, "look-up without descriptors");
    let _alone = alone();
    let server = Server::start(Behaviour::echo());
    let client = quick(&format!("ws://localhost:{}/", server.port())).connect().unwrap();
    loses_its_link_and_heals(&client, &server, &[Phase::Resolve, Phase::Connect]);
}

#[test]
fn with_an_absurd_stack_size_a_connect_fails_at_once_and_the_client_has_ended() {
    let _watch = watchdog(60, "absurd stack sizes");
    let _alone = alone();
    let server = Server::start(Behaviour::echo());
    let before = descriptor_count();
    for size in [1 << 50, 1 << 60, usize::MAX / 2, usize::MAX - 4096, usize::MAX] {
        let client = quick(&server.url()).stack_size(size).build().unwrap();
        let connected = client.connect();
        assert!(matches!(connected, Err(ConnectError::Start(_))), "{size}: {connected:?}");
        assert!(matches!(client.wait_open(SOON), Err(WaitError::Closed(_))));
        assert!(matches!(client.wait_closed(SOON), Ok(End::LoopFailed)));
        assert_eq!(client.state(), State::Closed);
    }
    within(SOON, "nothing is left of them", || {
        (descriptor_count() <= before && client_threads() == 0).then_some(())
    });
}
