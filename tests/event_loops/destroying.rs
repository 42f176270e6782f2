//! Clients on shared loops that are destroyed: from everywhere, without hanging, and with nothing left of them.

use std::sync::{Arc, Barrier, Mutex, mpsc};

use crossbeam_channel::{Receiver, Sender, unbounded};
use heartwire::{Client, EventLoop, Message, Reconnect};

use crate::support::watch::within;
use crate::support::{Behaviour, Server, ServerEvent, watchdog};
use crate::{Running, SOON, is_freed, ms, to, turn_until, turn_until_open};

/// An open client with a handler that owns the other end of the receiver.
fn owning(server: &Server, event_loop: &EventLoop) -> (Client, mpsc::Receiver<()>) {
    let client = to(server, event_loop).build().unwrap();
    let (owned, freed) = mpsc::channel();
    client.on_message(move |_, _| owned.send(()).unwrap());
    client.connect().unwrap();
    client.wait_open(SOON).unwrap();
    (client, freed)
}

/// An open client that does this once, in its handler, when it gets a message; it has one already.
fn doing(server: &Server, event_loop: &EventLoop, act: impl FnOnce() + Send + 'static) -> Client {
    let client = to(server, event_loop).build().unwrap();
    let mut act = Some(act);
    client.on_message(move |_, _| act.take().into_iter().for_each(|act| act()));
    client.connect().unwrap();
    client.wait_open(SOON).unwrap();
    client.send_text("now").unwrap();
    client
}

#[test]
fn what_handlers_own_is_free_when_destroy_returns_wherever_it_is_called() {
    let _watch = watchdog(60, "destroy from anywhere");
    let server = Server::start(Behaviour::echo());
    for (running, other) in Running::each().into_iter().zip(Running::each()) {
        // On this thread.
        let (client, freed) = owning(&server, &running.event_loop);
        drop(client);
        assert!(is_freed(&freed));
        assert_eq!(server.wait_closed().0, Some(1001));
        // In a handler of another client on the same loop, and on another loop.
        for place in [&running.event_loop, &other.event_loop] {
            let (client, freed) = owning(&server, &running.event_loop);
            let (tell, told) = mpsc::channel();
            let destroyer = doing(&server, place, move || {
                drop(client);
                tell.send(is_freed(&freed)).unwrap();
            });
            assert_eq!(told.recv_timeout(SOON), Ok(true));
            assert_eq!(server.wait_closed().0, Some(1001));
            drop(destroyer);
            server.wait_closed();
        }
        within(SOON, "none is left", || (running.event_loop.clients() == 0).then_some(()));
        running.end();
        other.end();
    }
}

#[test]
fn a_client_can_be_destroyed_in_its_own_handler() {
    let _watch = watchdog(60, "destroy in own handler");
    let server = Server::start(Behaviour::echo());
    for running in Running::each() {
        let client = to(&server, &running.event_loop).build().unwrap();
        let (owned, freed) = mpsc::channel::<()>();
        let mut own = Some(client.clone());
        client.on_message(move |_, _| {
            let _owned = &owned;
            drop(own.take());
        });
        client.connect().unwrap();
        client.wait_open(SOON).unwrap();
        client.send_text("now").unwrap();
        drop(client);
        assert_eq!(freed.recv_timeout(SOON), Err(mpsc::RecvTimeoutError::Disconnected));
        server.wait_ended();
        within(SOON, "none is left", || (running.event_loop.clients() == 0).then_some(()));
        running.end();
    }
}

#[test]
fn two_handlers_that_destroy_each_others_clients_on_two_loops_do_not_hang() {
    let _watch = watchdog(60, "each other");
    let server = Server::start(Behaviour::echo());
    for _ in 0..20 {
        let [one, two] = Running::each();
        let both = Arc::new(Barrier::new(2));
        let (tell, told) = mpsc::channel();
        let slots: [Arc<Mutex<Option<Client>>>; 2] = Default::default();
        for (of, own, victim) in [(&one, &slots[0], &slots[1]), (&two, &slots[1], &slots[0])] {
            let client = to(&server, &of.event_loop).build().unwrap();
            let (both, victim, tell) = (both.clone(), victim.clone(), tell.clone());
            let mut act = Some(move || {
                both.wait();
                let victim = victim.lock().unwrap().take();
                drop(victim);
                tell.send(()).unwrap();
            });
            client.on_message(move |_, _| act.take().into_iter().for_each(|act| act()));
            client.connect().unwrap();
            client.wait_open(SOON).unwrap();
            *own.lock().unwrap() = Some(client);
        }
        for slot in &slots {
            if let Some(client) = &*slot.lock().unwrap() {
                client.send_text("now").unwrap();
            }
        }
        told.recv_timeout(SOON).unwrap();
        told.recv_timeout(SOON).unwrap();
        for running in [one, two] {
            within(SOON, "none is left", || (running.event_loop.clients() == 0).then_some(()));
            running.end();
        }
    }
}

#[test]
fn destroy_waits_for_a_running_handler_of_that_client() {
    let _watch = watchdog(60, "own running handler");
    let server = Server::start(Behaviour::echo());
    for running in Running::each() {
        let (tell, told) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let (begins, ends) = (tell.clone(), tell.clone());
        let client = doing(&server, &running.event_loop, move || {
            begins.send("begins").unwrap();
            gate.recv().unwrap();
            ends.send("ends").unwrap();
        });
        assert_eq!(told.recv_timeout(SOON), Ok("begins"));
        let weak = client.downgrade();
        let thread = std::thread::spawn(move || {
            drop(client);
            tell.send("destroyed").unwrap();
        });
        within(SOON, "the destroying to begin", || weak.upgrade().is_none().then_some(()));
        go.send(()).unwrap();
        thread.join().unwrap();
        assert_eq!(told.iter().collect::<Vec<_>>(), ["ends", "destroyed"]);
        running.end();
    }
}

#[test]
fn destroy_does_not_wait_for_a_handler_of_another_client_on_the_loop() {
    let _watch = watchdog(60, "another's handler");
    for running in Running::each() {
        let servers = [(); 2].map(|()| Server::start(Behaviour::echo()));
        let (client, freed) = owning(&servers[0], &running.event_loop);
        let unconnected = to(&servers[0], &running.event_loop).build().unwrap();
        let (tell, begun) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let slow = doing(&servers[1], &running.event_loop, move || {
            tell.send(()).unwrap();
            gate.recv().unwrap();
        });
        begun.recv_timeout(SOON).unwrap();
        // The loop has not even seen this one.
        unconnected.connect().unwrap();
        drop(unconnected);
        drop(client);
        assert!(is_freed(&freed));
        assert_eq!(servers[0].wait_closed().0, Some(1001), "the socket does not wait either");
        assert_eq!(running.event_loop.clients(), 1);
        go.send(()).unwrap();
        drop(slow);
        running.end();
    }
}

#[test]
fn a_destroyed_client_lets_go_of_its_socket_although_nobody_turns_the_loop_any_more() {
    let _watch = watchdog(60, "nobody turns");
    let event_loop = EventLoop::new().unwrap();
    // Open.
    let server = Server::start(Behaviour::echo());
    let client = to(&server, &event_loop).connect().unwrap();
    turn_until_open(&event_loop, &client);
    drop(client);
    assert_eq!(server.wait_closed().0, Some(1001));
    server.wait_ended();
    // In the middle of an attempt.
    let silent = Server::start(Behaviour::never_upgrade());
    let client = to(&silent, &event_loop).connect().unwrap();
    turn_until(&event_loop, "the request arrives", || {
        silent.next_event(ms(1)).filter(|event| matches!(event, ServerEvent::Refused { .. }))
    });
    drop(client);
    silent.wait_ended();
    // Waiting for the next one, and never taken in.
    silent.stop();
    let waiting = to(&silent, &event_loop).reconnect(Reconnect::fixed(SOON)).connect().unwrap();
    turn_until(&event_loop, "an attempt fails", || event_loop.next_deadline().map(drop));
    let weak = [waiting.downgrade(), to(&silent, &event_loop).connect().unwrap().downgrade()];
    drop(waiting);
    assert!(weak.iter().all(|weak| weak.upgrade().is_none()));
    assert_eq!((event_loop.clients(), event_loop.next_deadline()), (0, None));
}

/// Meets another thread when it is dropped: tells it, and waits for its answer.
struct Meeting(Sender<()>, Receiver<()>);

impl Drop for Meeting {
    fn drop(&mut self) {
        self.0.send(()).unwrap();
        self.1.recv_timeout(SOON).unwrap();
    }
}

#[test]
fn a_client_that_is_destroyed_while_the_last_turn_ends_lets_go_of_its_socket() {
    let _watch = watchdog(60, "the last turn");
    let event_loop = Arc::new(EventLoop::new().unwrap());
    let silent = Server::start(Behaviour::never_upgrade());
    let client = to(&silent, &event_loop).connect().unwrap();
    turn_until(&event_loop, "the request arrives", || {
        silent.next_event(ms(1)).filter(|event| matches!(event, ServerEvent::Refused { .. }))
    });
    // The turn that destroys this one ends with the drop of what it owned.
    let server = Server::start(Behaviour::echo());
    let ((at_end, ends), (go, gate)) = (unbounded(), unbounded());
    let meeting = Meeting(at_end, gate);
    let greeting = move |_: u32| {
        let _owned = &meeting;
        Message::text("hello")
    };
    let mut own = Some(to(&server, &event_loop).greeting(greeting).build().unwrap());
    let open = own.as_ref().unwrap().downgrade();
    own.as_ref().unwrap().connect().unwrap();
    turn_until_open(&event_loop, &open.upgrade().unwrap());
    let destroyer = to(&server, &event_loop).build().unwrap();
    destroyer.on_open(move |_, _| drop(own.take()));
    destroyer.connect().unwrap();
    let turns = event_loop.clone();
    let thread = std::thread::spawn(move || {
        turn_until(&turns, "the other's end", || open.upgrade().is_none().then_some(()));
    });
    ends.recv_timeout(SOON).unwrap();
    drop(client);
    go.send(()).unwrap();
    thread.join().unwrap();
    silent.wait_ended();
}
