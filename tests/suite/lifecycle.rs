//! Clients that come and go: dropped in every state, asked for everything at once, and nothing left of them.
//!
//! Descriptors belong to the whole process, so they are counted elsewhere, in a process of their own (`leaks`);
//! threads have names.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use heartwire::{Dispatch, Event, Phase, Reconnect, SendOptions, State};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::mode::Mode;
use crate::net::{Net, SOON, closed, failed, ms, opened, silent_port, wait};
use crate::support::watch::{thread_names, within};
use crate::support::{Behaviour, Relay, ServerEvent};

/// A name for a client that shows in full in the names of its threads, of which the system keeps 15 bytes.
fn name(net: &Net, test: &str) -> String {
    assert_eq!(test.len(), 3);
    let mode = match net.mode() {
        Mode::Own => "o",
        Mode::Shared => "s",
        Mode::Turned => "t",
    };
    format!("{}{mode}{test}", if net.is_plain() { "p" } else { "t" })
}

/// The client's own threads end. On a loop that is shared or turned by the test none of them but that of
/// `Dispatch::Thread` was ever there.
#[track_caller]
fn threads_are_gone(name: &str) {
    if cfg!(target_os = "linux") {
        let thread = format!("heartwire-{name}");
        let gone = || (!thread_names().iter().any(|name| name.starts_with(&thread))).then_some(());
        within(SOON, "the client's threads end", gone);
    }
}

fn a_client_that_was_never_connected_has_no_thread(net: &Net) {
    let server = net.server(Behaviour::echo());
    let name = name(net, "idl");
    let client = net.to(&server).name(&*name).build().unwrap();
    let events = client.events();
    threads_are_gone(&name);
    drop(client);
    assert!(events.recv_timeout(SOON).is_err(), "the receiver ends");
    assert_eq!(server.connections(), 0);
}

fn a_drop_in_an_open_session_says_1001(net: &Net) {
    let server = net.server(Behaviour::echo());
    let name = name(net, "opn");
    let client = net.to(&server).name(&*name).connect().unwrap();
    opened(&client);
    let handle = client.clone();
    drop(client);
    handle.send_text("the last handle counts").unwrap();
    server.wait_message();
    drop(handle);
    assert_eq!(server.wait_closed(), (Some(1001), String::new()));
    threads_are_gone(&name);
}

fn a_drop_never_waits_for_the_network(net: &Net) {
    let name = name(net, "net");
    let began = Instant::now();
    // In the middle of an attempt.
    let (_listener, address) = silent_port();
    let client = net.builder(&net.url(address)).name(&*name).connect_timeout(SOON * 9).connect().unwrap();
    wait(&client, |event| {
        matches!(event, Event::State(State::Connecting(Phase::Tls | Phase::Upgrade))).then_some(())
    });
    drop(client);
    // Waiting for the next.
    let server = net.server(Behaviour::echo().never_answer_close());
    server.stop();
    let client = net.to(&server).name(&*name).reconnect(Reconnect::fixed(SOON * 9)).connect().unwrap();
    failed(&client);
    drop(client);
    // With a server that reads nothing.
    server.restart();
    let relay = Relay::start(server.address());
    let client = net.through(&relay).name(&*name).connect().unwrap();
    opened(&client);
    relay.hold_up();
    while client.send_binary(&[0; 500_000]).is_ok() {}
    drop(client);
    relay.flow();
    // In a closing that the server does not answer.
    let client = net.to(&server).name(&*name).close_timeout(SOON * 9).connect().unwrap();
    opened(&client);
    client.close(1000, "").unwrap();
    server
        .wait_for(SOON, |event| matches!(event, ServerEvent::Closed { code: Some(1000), .. }).then_some(()));
    drop(client);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    threads_are_gone(&name);
}

fn a_drop_inside_a_handler_ends_the_client(net: &Net) {
    let server = net.server(Behaviour::echo());
    for dispatch in [Dispatch::Loop, Dispatch::Thread] {
        let name = name(net, "cbk");
        let client = net.to(&server).name(&*name).dispatch(dispatch).build().unwrap();
        let mut own = Some(client.clone());
        client.on_message(move |_, _| drop(own.take()));
        client.connect().unwrap();
        client.wait_open(SOON).unwrap();
        client.send_text("x").unwrap();
        let weak = client.downgrade();
        drop(client);
        within(SOON, "the client is gone", || weak.upgrade().is_none().then_some(()));
        threads_are_gone(&name);
    }
}

fn a_drop_is_silent(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).build().unwrap();
    let (tell, told) = crossbeam_channel::unbounded();
    client.on_open(|_, _| {});
    let also = tell.clone();
    client.on_close(move |_, closed| also.send(closed.to_string()).unwrap());
    client.on_closed_for_good(move |_, end| tell.send(end.to_string()).unwrap());
    client.connect().unwrap();
    client.wait_open(SOON).unwrap();
    drop(client);
    // The handlers are gone, and their ends of the channel with them.
    assert_eq!(told.recv_timeout(SOON), Err(crossbeam_channel::RecvTimeoutError::Disconnected));
}

fn a_handler_that_panics_closes_its_client_and_no_other(net: &Net) {
    let server = net.server(Behaviour::echo());
    let other = net.to(&server).connect().unwrap();
    opened(&other);
    let client = net.to(&server).build().unwrap();
    client.on_message(|_, _| panic!("the user's, on purpose"));
    client.connect().unwrap();
    client.send_text("x").unwrap();
    assert!(matches!(client.wait_closed(SOON).unwrap(), heartwire::End::CallbackPanicked));
    assert_eq!(server.wait_closed().0, Some(1011));
    other.send_text("fine").unwrap();
    assert_eq!(crate::net::received(&other).as_text(), Some("fine"));
}

fn everything_at_once_from_many_threads_ends_well(net: &Net) {
    let seed = 7_777;
    let server = net.server(Behaviour::echo());
    let relay = Relay::start(server.address());
    let name = name(net, "ham");
    for round in 0..3 {
        let client = net.through(&relay).name(&*name).reconnect(Reconnect::fixed(ms(2))).build().unwrap();
        client.on_message(|client, _| {
            let _ = client.send_text("from a handler");
        });
        client.connect().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (0..8)
            .map(|t| {
                let (client, over) = (client.clone(), over.clone());
                let mut random = SmallRng::seed_from_u64(seed + round * 8 + t);
                std::thread::spawn(move || {
                    let mut listeners = Vec::new();
                    let mut clones = vec![client];
                    while !over.load(Ordering::Relaxed) {
                        act(&mut random, &mut clones, &mut listeners);
                    }
                })
            })
            .collect();
        // The network has its part in it; each cut is followed by another session.
        for _ in 0..25 {
            let connections = relay.connections();
            relay.cut();
            within(SOON, "another session", || (relay.connections() > connections).then_some(()));
        }
        client.resume_reading();
        client.close(1000, "").unwrap();
        client.wait_closed(SOON).unwrap();
        over.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let stats = client.stats();
        assert_eq!(
            stats.accepted(),
            stats.messages_sent() + stats.dropped_on_close() + stats.expired(),
            "{stats:?}"
        );
        drop(client);
        threads_are_gone(&name);
    }
}

/// Any call but `close`.
fn act(
    random: &mut SmallRng,
    clones: &mut Vec<heartwire::Client>,
    listeners: &mut Vec<heartwire::ListenerId>,
) {
    let client = clones[clones.len() - 1].clone();
    match random.random_range(0..14) {
        0..=3 => {
            let _ = client.send_text("hammer");
        }
        4 => {
            let _ = client.send_binary(&vec![0; random.random_range(0..100_000)]);
        }
        5 => {
            let options = SendOptions::new().time_to_live(ms(random.random_range(1..20)));
            let _ = client.send_with(heartwire::MessageRef::Text("short"), options);
        }
        6 => client.reconnect_now(),
        7 if clones.len() < 5 => clones.push(client),
        7 => clones.truncate(1),
        8 => listeners.push(client.on_state(|client, _| {
            let _ = client.stats();
        })),
        9 => {
            let _ = listeners.pop().map(|id| client.remove_listener(id));
        }
        10 => {
            let _ = client.wait_open(ms(2));
        }
        11 => {
            let _ = client.flush(ms(2));
        }
        12 => {
            client.pause_reading();
            client.resume_reading();
        }
        _ => {
            let _ = (client.ping(b"ping"), client.state(), client.buffered_amount(), client.last_open());
        }
    }
}

fn a_close_in_the_middle_of_everything_is_final(net: &Net) {
    let server = net.server(Behaviour::echo());
    let mut random = SmallRng::seed_from_u64(99);
    for _ in 0..30 {
        let client = net.to(&server).reconnect(Reconnect::fixed(ms(1))).build().unwrap();
        client.on_message(|client, _| {
            let _ = client.send_text("more");
        });
        client.connect().unwrap();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (client, sends) = (client.clone(), random.random_range(1..200));
                std::thread::spawn(move || {
                    for _ in 0..sends {
                        let _ = client.send_text("x");
                    }
                    client.close(1000, "").unwrap();
                    client.reconnect_now();
                })
            })
            .collect();
        server.cut_all();
        client.wait_closed(SOON).unwrap();
        let attempts = client.stats().attempts();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        client.reconnect_now();
        assert_eq!(client.stats().attempts(), attempts);
    }
}

fn a_receiver_gets_everything_and_ends_after_the_last_event(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).build().unwrap();
    let events = client.events();
    client.connect().unwrap();
    let mut last = None;
    for event in &events {
        match &event {
            Event::Open(opened) if opened.is_first() => server.cut_all(),
            Event::Open(_) => client.close(1000, "").unwrap(),
            _ => {}
        }
        last = Some(event);
    }
    assert!(matches!(last, Some(Event::ClosedForGood(_))));
}

fn a_client_outlives_its_server_and_the_other_way_round(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).connect().unwrap();
    opened(&client);
    drop(server);
    closed(&client);
    failed(&client);
}

stamp! {
    a_client_that_was_never_connected_has_no_thread,
    a_drop_in_an_open_session_says_1001,
    a_drop_never_waits_for_the_network,
    a_drop_inside_a_handler_ends_the_client,
    a_drop_is_silent,
    a_handler_that_panics_closes_its_client_and_no_other,
    everything_at_once_from_many_threads_ends_well,
    a_close_in_the_middle_of_everything_is_final,
    a_receiver_gets_everything_and_ends_after_the_last_event,
    a_client_outlives_its_server_and_the_other_way_round,
}
