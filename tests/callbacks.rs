//! Every call is legal in every handler, destroying included, and a handler's panic ends its client and nothing else.

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use heartwire::{
    Client, ConnectError, Dispatch, End, Event, Heartbeat, ListenerId, Message, MessageRef, OutboxLimits,
    Reconnect, RecvError, SendError, SendOptions, WaitError, WeakClient,
};
use support::watch::{thread_names, within};
use support::{Behaviour, Server, Setup, Told, watchdog};

const SOON: Duration = Duration::from_secs(10);
const MS: Duration = Duration::from_millis(1);

/// The kinds of handlers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Open,
    Message,
    Fragment,
    Close,
    ConnectFailed,
    Error,
    Heartbeat,
    Writable,
    Outcome,
    State,
    ClosedForGood,
}

const KINDS: [Kind; 11] = [
    Kind::Open,
    Kind::Message,
    Kind::Fragment,
    Kind::Close,
    Kind::ConnectFailed,
    Kind::Error,
    Kind::Heartbeat,
    Kind::Writable,
    Kind::Outcome,
    Kind::State,
    Kind::ClosedForGood,
];

/// Registers a handler of this kind.
fn on(client: &Client, kind: Kind, mut call: impl FnMut(&Client) + Send + 'static) -> ListenerId {
    match kind {
        Kind::Open => client.on_open(move |client, _| call(client)),
        Kind::Message => client.on_message(move |client, _| call(client)),
        Kind::Fragment => client.on_fragment(move |client, _| call(client)),
        Kind::Close => client.on_close(move |client, _| call(client)),
        Kind::ConnectFailed => client.on_connect_failed(move |client, _| call(client)),
        Kind::Error => client.on_error(move |client, _| call(client)),
        Kind::Heartbeat => client.on_heartbeat(move |client, _| call(client)),
        Kind::Writable => client.on_writable(call),
        Kind::Outcome => client.on_outcome(move |client, _| call(client)),
        Kind::State => client.on_state(move |client, _| call(client)),
        Kind::ClosedForGood => client.on_closed_for_good(move |client, _| call(client)),
    }
}

/// A client in whose life every kind of handler is called: refused, opened, cut, opened again, closed by the user.
struct Life {
    server: Server,
    told: Told,
    /// The only handle.
    handle: Arc<Mutex<Option<Client>>>,
}

impl Life {
    fn new(name: &str, dispatch: Dispatch) -> Life {
        let server =
            Setup::each(|n| if n == 1 { Behaviour::refuse(503, &[], "") } else { Behaviour::echo() });
        let server = server.start();
        let client = Client::builder(&server.url())
            .name(name)
            .dispatch(dispatch)
            .outbox(OutboxLimits::new().messages(4))
            .fragments_above(10)
            .heartbeat(Heartbeat::ping().after_silence(20 * MS).timeout(SOON))
            .reconnect(Reconnect::fixed(5 * MS))
            .build()
            .unwrap();
        let told = Told::by(&client);
        Life { server, told, handle: Arc::new(Mutex::new(Some(client))) }
    }

    fn with<T>(&self, call: impl FnOnce(&Client) -> T) -> Option<T> {
        self.handle.lock().unwrap().as_ref().map(call)
    }

    /// Lives to the end, or until somebody takes and drops the handle. Tells how the client ended.
    #[track_caller]
    fn live(&self) -> Option<End> {
        self.with(|client| {
            // Full, so that there is a `writable` when it empties.
            client.send_text("long enough to come back in parts").unwrap();
            while client.send_text("queued").is_ok() {}
            client.connect().unwrap();
        });
        let (mut heartbeats, mut messages, mut cut) = (0, 0, false);
        loop {
            match self.told.next(SOON) {
                Some(Event::Heartbeat(_)) => heartbeats += 1,
                Some(Event::Message(_)) => messages += 1,
                Some(Event::Open(opened)) if !opened.is_first() => {
                    self.with(|client| client.close(1000, "").unwrap());
                }
                Some(Event::ClosedForGood(end)) => return Some(end),
                Some(_) => {}
                None => {
                    assert!(self.handle.lock().unwrap().is_none(), "nothing more is told, although it lives");
                    return None;
                }
            }
            if heartbeats > 0 && messages > 0 && !std::mem::replace(&mut cut, heartbeats > 0 && messages > 0)
            {
                self.server.cut_all();
            }
        }
    }
}

fn no_thread_of(name: &str) {
    // The kernel keeps 15 bytes of a thread's name.
    let start: String = format!("heartwire-{name}").chars().take(15).collect();
    within(SOON, "the client's threads end", || (!thread_names().contains(&start)).then_some(()));
}

// ---- every call in every handler -------------------------------------------------------------

/// Calls every method of the client that does not end it, and checks the answers that are the same in every state.
fn call_everything(client: &Client, dispatch: Dispatch) {
    let on_loop = dispatch == Dispatch::Loop;
    let waited = [client.wait_open(MS), client.wait_closed(MS).map(drop), client.flush(MS)];
    for answer in waited {
        let refused = matches!(answer, Err(WaitError::WouldDeadlock));
        assert_eq!(refused, on_loop, "{answer:?}");
    }
    assert!(matches!(client.recv(), Err(RecvError::Taken)));
    assert!(matches!(client.recv_timeout(SOON), Err(RecvError::Taken)));
    assert!(matches!(client.try_recv(), Err(RecvError::Taken)));
    assert!(client.events().recv().is_err());
    let connected = [client.connect(), client.connect_with("first")];
    for answer in connected {
        assert!(matches!(answer, Err(ConnectError::AlreadyConnected | ConnectError::Closed)), "{answer:?}");
    }
    client.reconnect_now();
    let sent = [
        client.send_text("text"),
        client.send_binary(b"binary"),
        client.send_with(MessageRef::Text("soon"), SendOptions::new().time_to_live(SOON)),
    ];
    for answer in sent {
        assert!(matches!(answer, Ok(_) | Err(SendError::Full | SendError::Closed)), "{answer:?}");
    }
    assert_ne!(client.ping(b"ping"), Err(SendError::WouldDeadlock));
    client.pause_reading();
    client.resume_reading();
    for kind in KINDS {
        let id = on(client, kind, |_| {});
        assert!(client.remove_listener(id));
        assert!(!client.remove_listener(id));
    }
    assert_eq!(client.state().ready_state() > 3, client.ready_state() > 3);
    let _ = client.buffered_amount();
    let _ = client.stats();
    let _ = client.last_open();
    let _ = client.explain();
    assert!(client.close(1005, "not a code to send").is_err());
    assert!(format!("{client:?}").contains(client.name()));
    drop(client.clone());
    drop(client.downgrade().upgrade());
}

fn every_call_is_legal_in_every_handler(dispatch: Dispatch) {
    for kind in KINDS {
        let life = Life::new("every", dispatch);
        let calls = Arc::new(Mutex::new(BTreeMap::<u8, usize>::new()));
        let counted = calls.clone();
        life.with(|client| {
            on(client, kind, move |client| {
                let state = client.ready_state();
                let call = *counted.lock().unwrap().entry(state).and_modify(|n| *n += 1).or_insert(1);
                // Messages that are sent here come back, and would be answered for ever.
                if call <= 2 {
                    call_everything(client, dispatch);
                }
            })
        });
        let end = life.live();
        assert!(matches!(end, Some(End::Closed)), "{kind:?}: {end:?}");
        // The handler that told of the end stands before this one in the list.
        within(SOON, &format!("{kind:?} is called"), || (!calls.lock().unwrap().is_empty()).then_some(()));
        let calls = calls.lock().unwrap();
        // With a thread between, the state may be ahead of what is told.
        if kind == Kind::State && dispatch == Dispatch::Loop {
            assert_eq!(calls.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3]);
        }
    }
}

#[test]
fn every_call_is_legal_in_every_handler_on_the_loop() {
    let _watch = watchdog(120, "every call on the loop");
    every_call_is_legal_in_every_handler(Dispatch::Loop);
}

#[test]
fn every_call_is_legal_in_every_handler_on_a_thread_of_its_own() {
    let _watch = watchdog(120, "every call on a thread");
    every_call_is_legal_in_every_handler(Dispatch::Thread);
}

#[test]
fn closing_is_legal_in_every_handler() {
    let _watch = watchdog(120, "close in every handler");
    for dispatch in [Dispatch::Loop, Dispatch::Thread] {
        for kind in KINDS {
            let life = Life::new("close", dispatch);
            life.with(|client| on(client, kind, |client| client.close(1000, "from a handler").unwrap()));
            let end = life.live();
            assert!(matches!(end, Some(End::Closed)), "{kind:?}: {end:?}");
            life.with(|client| assert!(matches!(client.wait_closed(SOON), Ok(End::Closed))));
        }
    }
}

/// Counts its drops.
struct Drops(Arc<AtomicUsize>);

impl Drop for Drops {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn the_last_handle_may_be_dropped_in_every_handler_and_nothing_is_told_after_it() {
    let _watch = watchdog(120, "destroy in every handler");
    let all = 1 + KINDS.len();
    for (dispatch, name) in [(Dispatch::Loop, "gonel"), (Dispatch::Thread, "gonet")] {
        for kind in KINDS {
            let life = Life::new(name, dispatch);
            let gone = Arc::new(AtomicBool::new(false));
            let told_after = Arc::new(AtomicUsize::new(0));
            let drops = Arc::new(AtomicUsize::new(0));
            let handle = life.handle.clone();
            life.with(|client| {
                let own_drops = Arc::new(AtomicUsize::new(0));
                let (gone_now, owned) = (gone.clone(), [Drops(own_drops), Drops(drops.clone())]);
                on(client, kind, move |_| {
                    let last = handle.lock().unwrap().take();
                    drop(last);
                    gone_now.store(true, Ordering::SeqCst);
                    assert_eq!(owned[0].0.load(Ordering::SeqCst), 0, "a running handler lost what it owns");
                });
                for kind in KINDS {
                    let (gone, told_after, owned) = (gone.clone(), told_after.clone(), Drops(drops.clone()));
                    on(client, kind, move |_| {
                        let _ = &owned;
                        told_after.fetch_add(usize::from(gone.load(Ordering::SeqCst)), Ordering::SeqCst);
                    });
                }
            });
            let end = life.live();
            // The last event may have been told to the test before it was told to the handler.
            assert!(end.is_none() || kind == Kind::ClosedForGood, "{kind:?}: {end:?}");
            within(SOON, "everything is freed", || (drops.load(Ordering::SeqCst) == all).then_some(()));
            assert_eq!(told_after.load(Ordering::SeqCst), 0, "{kind:?}");
            no_thread_of(name);
            assert_eq!(drops.load(Ordering::SeqCst), all, "freed once");
        }
    }
}

#[test]
fn a_panic_in_any_handler_closes_that_client_and_no_other() {
    let _watch = watchdog(120, "panics");
    let server = Server::start(Behaviour::echo());
    let other = Client::builder(&server.url()).name("other").build().unwrap();
    let others = Told::by(&other);
    other.connect().unwrap();
    for dispatch in [Dispatch::Loop, Dispatch::Thread] {
        for kind in KINDS {
            let life = Life::new("panic", dispatch);
            life.with(|client| on(client, kind, |_| panic!("the user's")));
            let end = life.live();
            // Nothing can end a client that has ended.
            let closed = kind == Kind::ClosedForGood && matches!(end, Some(End::Closed));
            assert!(closed || matches!(end, Some(End::CallbackPanicked)), "{kind:?}: {end:?}");
            life.with(|client| assert_eq!(client.send_text("too late"), Err(SendError::Closed)));
            other.send_text("still here").unwrap();
            assert_eq!(others.wait_message(), "still here");
        }
    }
}

#[test]
fn a_panicked_client_says_so_to_its_server() {
    let _watch = watchdog(30, "1011");
    let server = Server::start(Behaviour::silent().greeting("hello"));
    let client = Client::builder(&server.url()).build().unwrap();
    client.on_message(|_, _| panic!("the user's"));
    client.connect().unwrap();
    assert_eq!(server.wait_closed().0, Some(1011));
    assert!(matches!(client.wait_closed(SOON), Ok(End::CallbackPanicked)));
}

#[test]
fn two_clients_that_destroy_each_other_from_their_handlers_do_not_hang() {
    let _watch = watchdog(120, "mutual destruction");
    for dispatch in [Dispatch::Loop, Dispatch::Thread] {
        for _ in 0..10 {
            let server = Server::start(Behaviour::silent().greeting("now"));
            let build = || Client::builder(&server.url()).name("mutua").dispatch(dispatch).build().unwrap();
            let (a, b) = (build(), build());
            let meet = Arc::new(std::sync::Barrier::new(2));
            let (done, finished) = unbounded();
            let slots = [Arc::new(Mutex::new(None)), Arc::new(Mutex::new(None))];
            for (client, victim) in [(&a, &slots[1]), (&b, &slots[0])] {
                let (meet, victim, done) = (meet.clone(), victim.clone(), done.clone());
                client.on_message(move |_, _| {
                    meet.wait();
                    let last: Option<Client> = victim.lock().unwrap().take();
                    drop(last);
                    done.send(()).unwrap();
                });
            }
            a.connect().unwrap();
            b.connect().unwrap();
            // The handlers wait for each other, so both clients are here in time.
            *slots[0].lock().unwrap() = Some(a);
            *slots[1].lock().unwrap() = Some(b);
            for _ in 0..2 {
                finished.recv_timeout(SOON).unwrap();
            }
            no_thread_of("mutua");
        }
    }
}

// ---- what a handler owns ---------------------------------------------------------------------

/// An open client whose server sends back what it is sent.
fn open(dispatch: Dispatch) -> (Server, Client) {
    let server = Server::start(Behaviour::echo());
    let client = Client::builder(&server.url()).dispatch(dispatch).build().unwrap();
    // Claims the way of handlers, so that nothing waits in the queue for someone else.
    client.on_open(|_, _| {});
    client.connect().unwrap();
    client.wait_open(SOON).unwrap();
    (server, client)
}

fn echoes(client: &Client) -> Receiver<String> {
    let (tell, heard) = unbounded();
    client.on_message(move |_, message| drop(tell.send(message.as_text().unwrap_or_default().to_owned())));
    heard
}

#[test]
fn what_a_handler_owns_is_freed_once_and_after_its_last_call() {
    let _watch = watchdog(60, "drops");
    for dispatch in [Dispatch::Loop, Dispatch::Thread] {
        let (_server, client) = open(dispatch);
        let (drops, calls) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (owned, counted) = (Drops(drops.clone()), calls.clone());
        client.on_message(move |_, _| {
            assert_eq!(owned.0.load(Ordering::SeqCst), 0);
            counted.fetch_add(1, Ordering::SeqCst);
        });
        let heard = echoes(&client);
        for _ in 0..3 {
            client.send_text("hello").unwrap();
            heard.recv_timeout(SOON).unwrap();
        }
        assert_eq!((calls.load(Ordering::SeqCst), drops.load(Ordering::SeqCst)), (3, 0));
        drop(client);
        assert_eq!(drops.load(Ordering::SeqCst), 1);
        assert_eq!(heard.try_recv(), Err(crossbeam_channel::TryRecvError::Disconnected));
    }
}

#[test]
fn what_a_handler_owns_is_freed_although_the_client_never_connected() {
    let _watch = watchdog(30, "never connected");
    let drops = Arc::new(AtomicUsize::new(0));
    let client = Client::builder("ws://127.0.0.1:9/").build().unwrap();
    let owned = Drops(drops.clone());
    client.on_open(move |_, _| {
        let _ = &owned.0;
    });
    drop(client);
    assert_eq!(drops.load(Ordering::SeqCst), 1);
}

#[test]
fn a_removed_handler_is_freed_at_once_although_nothing_happens_any_more() {
    let _watch = watchdog(60, "removed and idle");
    for dispatch in [Dispatch::Loop, Dispatch::Thread] {
        let (_server, client) = open(dispatch);
        let drops = Arc::new(AtomicUsize::new(0));
        let owned = Drops(drops.clone());
        let id = client.on_message(move |_, _| {
            let _ = &owned.0;
        });
        let heard = echoes(&client);
        client.send_text("hello").unwrap();
        heard.recv_timeout(SOON).unwrap();
        assert!(client.remove_listener(id));
        assert_eq!(drops.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn a_handler_may_remove_itself_and_is_freed_when_it_returns() {
    let _watch = watchdog(60, "removes itself");
    for dispatch in [Dispatch::Loop, Dispatch::Thread] {
        let (_server, client) = open(dispatch);
        let (drops, calls) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (owned, counted) = (Drops(drops.clone()), calls.clone());
        let own_id = Arc::new(Mutex::new(None));
        let known = own_id.clone();
        *own_id.lock().unwrap() = Some(client.on_message(move |client, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            assert!(client.remove_listener(known.lock().unwrap().unwrap()));
            assert_eq!(owned.0.load(Ordering::SeqCst), 0, "it still runs");
        }));
        let heard = echoes(&client);
        for _ in 0..2 {
            client.send_text("hello").unwrap();
            heard.recv_timeout(SOON).unwrap();
        }
        assert_eq!((calls.load(Ordering::SeqCst), drops.load(Ordering::SeqCst)), (1, 1));
    }
}

#[test]
fn a_handler_that_another_one_removed_is_not_called_any_more_not_even_for_the_same_event() {
    let _watch = watchdog(60, "removes the next");
    for dispatch in [Dispatch::Loop, Dispatch::Thread] {
        let (_server, client) = open(dispatch);
        let next = Arc::new(Mutex::new(None));
        let victim = next.clone();
        client.on_message(move |client, _| {
            if let Some(id) = victim.lock().unwrap().take() {
                assert!(client.remove_listener(id));
            }
        });
        let called = Arc::new(AtomicBool::new(false));
        let call = called.clone();
        *next.lock().unwrap() = Some(client.on_message(move |_, _| call.store(true, Ordering::SeqCst)));
        let heard = echoes(&client);
        client.send_text("hello").unwrap();
        heard.recv_timeout(SOON).unwrap();
        assert!(!called.load(Ordering::SeqCst));
    }
}

#[test]
fn a_handler_that_is_registered_inside_a_call_hears_the_next_event() {
    let _watch = watchdog(60, "registers inside");
    for dispatch in [Dispatch::Loop, Dispatch::Thread] {
        let (_server, client) = open(dispatch);
        let (tell, heard_inside): (Sender<String>, _) = unbounded();
        let mut tell = Some(tell);
        client.on_message(move |client, _| {
            if let Some(tell) = tell.take() {
                client.on_message(move |_, message| {
                    tell.send(message.as_text().unwrap().to_owned()).unwrap();
                });
            }
        });
        let heard = echoes(&client);
        for text in ["one", "two"] {
            client.send_text(text).unwrap();
            assert_eq!(heard.recv_timeout(SOON).unwrap(), text);
        }
        assert_eq!(heard_inside.recv_timeout(SOON).unwrap(), "two");
    }
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the user's drop");
    }
}

#[test]
fn a_panic_in_the_drop_of_what_a_handler_owns_is_harmless() {
    let _watch = watchdog(60, "panicking drops");
    for dispatch in [Dispatch::Loop, Dispatch::Thread] {
        let (_server, client) = open(dispatch);
        let bomb = Bomb;
        let removed = client.on_message(move |_, _| {
            let _ = &bomb;
        });
        assert!(client.remove_listener(removed));
        let heard = echoes(&client);
        // One that removes itself is dropped on the library's thread.
        let own_id = Arc::new(Mutex::new(None));
        let (known, bomb) = (own_id.clone(), Bomb);
        *own_id.lock().unwrap() = Some(client.on_message(move |client, _| {
            let _ = &bomb;
            client.remove_listener(known.lock().unwrap().unwrap());
        }));
        for _ in 0..2 {
            client.send_text("still here").unwrap();
            assert_eq!(heard.recv_timeout(SOON).unwrap(), "still here");
        }
        let bomb = Bomb;
        client.on_message(move |_, _| {
            let _ = &bomb;
        });
        drop(client);
    }
}

#[test]
fn a_panic_in_the_drop_of_a_greeting_or_a_delay_function_is_harmless() {
    let _watch = watchdog(30, "panicking drops of settings");
    let server = Server::start(Behaviour::echo());
    let (greeting, delay) = (Bomb, Bomb);
    let client = Client::builder(&server.url())
        .greeting(move |_| {
            let _ = &greeting;
            Message::text("login")
        })
        .reconnect(Reconnect::custom(move |_| {
            let _ = &delay;
            20 * MS
        }))
        .connect()
        .unwrap();
    client.wait_open(SOON).unwrap();
    drop(client);
}

// ---- the end of a handle ---------------------------------------------------------------------

#[test]
fn a_drop_outside_of_handlers_waits_for_the_handler_that_runs() {
    let _watch = watchdog(60, "drop waits");
    for dispatch in [Dispatch::Loop, Dispatch::Thread] {
        let (_server, client) = open(dispatch);
        let (enter, entered) = unbounded();
        let (release, released) = unbounded::<()>();
        let finished = Arc::new(AtomicBool::new(false));
        let finish = finished.clone();
        client.on_message(move |_, _| {
            enter.send(()).unwrap();
            released.recv().unwrap();
            finish.store(true, Ordering::SeqCst);
        });
        client.send_text("go").unwrap();
        entered.recv_timeout(SOON).unwrap();
        let weak = client.downgrade();
        let dropping = std::thread::spawn(move || {
            drop(client);
            assert!(finished.load(Ordering::SeqCst), "the drop did not wait");
        });
        within(SOON, "the drop has begun", || weak.upgrade().is_none().then_some(()));
        release.send(()).unwrap();
        dropping.join().unwrap();
    }
}

#[test]
fn a_weak_handle_does_not_keep_the_client_alive() {
    let _watch = watchdog(30, "weak handles");
    let (server, client) = open(Dispatch::Loop);
    let weak: WeakClient = client.downgrade();
    let kept = weak.clone();
    client.on_message(move |_, _| {
        if let Some(client) = kept.upgrade() {
            client.reconnect_now();
        }
    });
    assert!(weak.upgrade().is_some());
    drop(client);
    assert!(weak.upgrade().is_none());
    assert_eq!(server.wait_closed().0, Some(1001));
}

#[test]
fn a_handle_made_in_a_handler_after_the_last_one_went_is_of_a_dead_client() {
    let _watch = watchdog(30, "late handles");
    let (_server, client) = open(Dispatch::Loop);
    let slot = Arc::new(Mutex::new(None));
    let (last, (tell, result)) = (slot.clone(), unbounded());
    let drops = Arc::new(AtomicUsize::new(0));
    let counted = drops.clone();
    client.on_message(move |client, _| {
        let handle: Option<Client> = last.lock().unwrap().take();
        drop(handle);
        let late = client.clone();
        let owned = Drops(counted.clone());
        // What is registered now could never be called.
        late.on_message(move |_, _| {
            let _ = &owned.0;
        });
        tell.send((late.send_text("late"), late.ready_state(), counted.load(Ordering::SeqCst))).unwrap();
    });
    client.send_text("go").unwrap();
    *slot.lock().unwrap() = Some(client);
    // The echo may have come before the handle was in its slot; then that of "late" comes, and finds it there.
    let mut calls = 1;
    let (sent, state, dropped) = loop {
        let result = result.recv_timeout(SOON).unwrap();
        if result.0.is_err() {
            break result;
        }
        calls += 1;
    };
    assert_eq!((sent, state, dropped), (Err(SendError::Closed), 3, calls));
}

// ---- closures of the settings ----------------------------------------------------------------

#[test]
fn a_panic_in_a_greeting_ends_the_client_and_lets_go_of_its_socket() {
    let _watch = watchdog(30, "greeting panics");
    let server = Server::start(Behaviour::silent());
    let client = Client::builder(&server.url())
        .greeting(|_| -> Message { panic!("the user's") })
        .greeting("never sent")
        .build()
        .unwrap();
    let told = Told::by(&client);
    client.connect().unwrap();
    let all = told.to_the_end();
    assert!(matches!(all.last(), Some(Event::ClosedForGood(End::CallbackPanicked))), "{all:#?}");
    assert!(!all.iter().any(|event| matches!(event, Event::Open(_))));
    assert!(matches!(client.wait_closed(SOON), Ok(End::CallbackPanicked)));
    // The handle lives, the connection does not.
    server.wait_ended();
    assert!(server.received().is_empty());
    assert_eq!(client.stats().sessions(), 0);
}

#[test]
fn a_panic_in_the_delay_function_ends_the_client_after_its_close_was_told() {
    let _watch = watchdog(30, "delay function panics");
    let server = Server::start(Behaviour::silent());
    let reconnect = Reconnect::custom(|_| panic!("the user's"));
    let client = Client::builder(&server.url()).reconnect(reconnect).build().unwrap();
    let told = Told::by(&client);
    client.connect().unwrap();
    told.wait_for(|event| matches!(event, Event::Open(_)).then_some(()));
    server.cut(1);
    let all = told.to_the_end();
    let closed: Vec<_> = all
        .iter()
        .filter_map(|event| match event {
            Event::Close(closed) => Some((closed.code(), closed.retry_in())),
            _ => None,
        })
        .collect();
    assert_eq!(closed, [(1006, None)]);
    assert!(matches!(all.last(), Some(Event::ClosedForGood(End::CallbackPanicked))), "{all:#?}");
    assert!(matches!(client.wait_closed(SOON), Ok(End::CallbackPanicked)));
}

#[test]
fn a_panic_in_the_delay_function_after_a_failed_attempt_ends_the_client_too() {
    let _watch = watchdog(30, "delay function panics without a session");
    let server = Server::start(Behaviour::refuse(503, &[], ""));
    let reconnect = Reconnect::custom(|failures| if failures < 3 { 5 * MS } else { panic!("the user's") });
    let client = Client::builder(&server.url()).reconnect(reconnect).build().unwrap();
    let told = Told::by(&client);
    client.connect().unwrap();
    let all = told.to_the_end();
    let failures: Vec<_> = all
        .iter()
        .filter_map(|event| match event {
            Event::ConnectFailed(failed) => Some((failed.attempt(), failed.retry_in())),
            _ => None,
        })
        .collect();
    assert_eq!(failures, [(1, Some(5 * MS)), (2, Some(5 * MS)), (3, None)]);
    assert!(matches!(all.last(), Some(Event::ClosedForGood(End::CallbackPanicked))), "{all:#?}");
}
