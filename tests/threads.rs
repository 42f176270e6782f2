//! Which threads there are: none in a loop that the program turns, and one in a loop that has its own.
//!
//! Threads are counted for the whole process; so these tests have one of their own, and take turns in it.
#![cfg(target_os = "linux")]

mod support;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use heartwire::{Client, Event, EventLoop, Reconnect};
use support::main_loop::MainLoop;
use support::watch::{thread_names, within};
use support::{Behaviour, Server, watchdog};

const SOON: Duration = Duration::from_secs(20);

/// One test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The library's threads: each has a name that begins so.
fn ours() -> Vec<String> {
    thread_names().into_iter().filter(|name| name.starts_with("heartwire")).collect()
}

fn clients(server: &Server, event_loop: &EventLoop, count: usize) -> Vec<Client> {
    let quick = Reconnect::fixed(Duration::from_millis(1));
    let builder = || Client::builder(&server.url()).event_loop(event_loop).reconnect(quick.clone());
    (0..count).map(|_| builder().connect().unwrap()).collect()
}

/// Opens, answers, heals and ends; the look is asked meanwhile.
fn live(server: &Server, clients: Vec<Client>, look: impl Fn()) {
    clients.iter().for_each(|client| client.wait_open(SOON).unwrap());
    look();
    for cut in [false, true] {
        if cut {
            server.cut_all();
        }
        for client in &clients {
            while cut && !matches!(client.recv_timeout(SOON).unwrap(), Event::Close(_)) {}
            client.send_text("on").unwrap();
            while !matches!(client.recv_timeout(SOON).unwrap(), Event::Message(_)) {}
        }
        look();
    }
    clients[0].close(1000, "").unwrap();
    clients[0].wait_closed(SOON).unwrap();
    look();
    drop(clients);
}

#[test]
fn a_loop_that_the_program_turns_has_no_thread() {
    let _watch = watchdog(60, "no thread");
    let _alone = alone();
    let server = Server::start(Behaviour::echo());
    let none = || assert_eq!(ours(), Vec::<String>::new());
    // In a main loop, and in the calls that wait.
    let event_loop = Arc::new(EventLoop::new().unwrap());
    let main_loop = MainLoop::start(&event_loop);
    live(&server, clients(&server, &event_loop, 20), none);
    main_loop.stop().unwrap();
    let event_loop = EventLoop::new().unwrap();
    live(&server, clients(&server, &event_loop, 20), none);
    none();
}

#[test]
fn a_started_loop_has_one_thread_for_all_clients_and_it_ends_with_the_last() {
    let _watch = watchdog(60, "one thread");
    let _alone = alone();
    let server = Server::start(Behaviour::echo());
    let event_loop = EventLoop::new().unwrap();
    assert_eq!(ours().len(), 0);
    event_loop.start().unwrap();
    within(SOON, "it has its name", || (ours() == ["heartwire-loop"]).then_some(()));
    live(&server, clients(&server, &event_loop, 50), || assert_eq!(ours(), ["heartwire-loop"]));
    // Without clients it goes on as long as some can come.
    assert_eq!(ours(), ["heartwire-loop"]);
    let last = clients(&server, &event_loop, 2);
    drop(event_loop);
    live(&server, last, || assert_eq!(ours(), ["heartwire-loop"]));
    within(SOON, "it ends", || ours().is_empty().then_some(()));
    // Without clients its drop waits for it.
    let event_loop = EventLoop::new().unwrap();
    event_loop.start().unwrap();
    drop(event_loop);
    within(SOON, "it ends", || ours().is_empty().then_some(()));
}
