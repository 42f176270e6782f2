//! The program is asked ahead of each attempt: fresh tokens, other URLs, delays, an end; and nobody waits for it in vain.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use heartwire::{Attempt, Cause, End, Event, Phase, Reconnect, State};

use crate::net::{Net, SOON, close, closed, ended, failed, ms, opened, quick, received, wait};
use crate::support::{Behaviour, Setup};

type Answer = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// A hook whose calls tell that they have begun, and return when they may.
fn gated() -> (impl FnMut(&mut Attempt) -> Answer + Send + 'static, Receiver<u32>, Sender<()>) {
    let (begin, begun) = unbounded();
    let (gate, opened) = bounded(0);
    let hook = move |attempt: &mut Attempt| {
        begin.send(attempt.number())?;
        opened.recv()?;
        Ok(())
    };
    (hook, begun, gate)
}

fn every_attempt_has_the_token_that_was_fetched_for_it(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net
        .to(&server)
        .header("Authorization", "Bearer old")
        .subprotocol("old")
        .greeting("old login")
        .before_connect(|attempt| {
            let n = attempt.number();
            assert_eq!(attempt.last_error().is_some(), n > 1);
            attempt.set_header("Authorization", &format!("Bearer {n}"))?;
            attempt.set_subprotocols([format!("v{n}").as_str()])?;
            attempt.greeting(format!("login {n}"));
            Ok(())
        })
        .connect()
        .unwrap();
    for n in 1..=3 {
        assert_eq!(opened(&client).attempt(), n);
        let (connection, request) = server.wait_connected();
        assert_eq!(request.header("Authorization"), Some(format!("Bearer {n}").as_str()));
        assert_eq!(request.header("Sec-WebSocket-Protocol"), Some(format!("v{n}").as_str()));
        assert_eq!(received(&client).as_text(), Some(format!("login {n}").as_str()));
        server.cut(connection);
        closed(&client);
    }
}

fn the_url_may_be_another_one_each_time(net: &Net) {
    let (first, second) = (net.server(Behaviour::echo()), net.server(Behaviour::echo()));
    let elsewhere = net.url(second.address());
    let client = net
        .to(&first)
        .before_connect(move |attempt| {
            if attempt.number() == 2 {
                attempt.set_url(&format!("{elsewhere}feed?token=abc"))?;
            }
            Ok(())
        })
        .connect()
        .unwrap();
    opened(&client);
    first.cut(first.wait_connected().0);
    closed(&client);
    let there = opened(&client);
    assert!(there.url().ends_with("/feed"), "{}", there.url());
    assert_eq!(second.wait_connected().1.target(), "/feed?token=abc");
    second.cut(1);
    closed(&client);
    opened(&client);
    assert_eq!((first.connections(), second.connections()), (2, 1), "the first one's again");
}

fn a_refusal_asks_once_and_the_fresh_token_opens(net: &Net) {
    for status in [401, 403, 407] {
        let server = net.start(Setup::each(move |n| {
            if n == 1 { Behaviour::refuse(status, &[], "") } else { Behaviour::echo() }
        }));
        let client = net
            .to(&server)
            .before_connect(move |attempt| {
                let again = attempt.last_error().and_then(|error| error.http_status());
                assert_eq!(again, (attempt.number() > 1).then_some(status));
                Ok(())
            })
            .connect()
            .unwrap();
        let refused = failed(&client);
        assert_eq!(refused.error().http_status(), Some(status));
        assert!(refused.retry_in().is_some());
        opened(&client);
        close(&client);

        let server = net.server(Behaviour::refuse(status, &[], ""));
        let client = net.to(&server).before_connect(|_| Ok(())).connect().unwrap();
        assert!(failed(&client).retry_in().is_some());
        assert_eq!(failed(&client).retry_in(), None);
        assert!(matches!(ended(&client), End::Fatal(_)));
        assert_eq!(server.connections(), 2);
    }
}

fn close_code_1008_asks_once(net: &Net) {
    let server = net.server(Behaviour::close_at_once(1008, "token"));
    let client = net.to(&server).before_connect(|_| Ok(())).connect().unwrap();
    assert!(closed(&client).retry_in().is_some());
    assert_eq!(closed(&client).retry_in(), None);
    assert!(matches!(ended(&client), End::Fatal(_)));
    assert_eq!(server.connections(), 2);
}

fn an_attempt_may_be_put_off_and_the_wait_be_skipped(net: &Net) {
    let server = net.server(Behaviour::echo());
    let asked = Arc::new(AtomicU32::new(0));
    let counted = asked.clone();
    let client = net
        .to(&server)
        .before_connect(move |attempt| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(attempt.delay(SOON * 10)?)
        })
        .connect()
        .unwrap();
    wait(&client, |event| matches!(event, Event::State(State::Waiting { attempt: 1, .. })).then_some(()));
    assert_eq!(server.connections(), 0);
    client.reconnect_now();
    opened(&client);
    assert_eq!(asked.load(Ordering::SeqCst), 1, "it is not asked again");
    close(&client);
}

fn it_may_stop_the_client_for_good(net: &Net) {
    let server = net.server(Behaviour::echo());
    let stop = |attempt: &mut Attempt| {
        attempt.stop();
        Ok(())
    };
    let client = net.to(&server).before_connect(stop).connect().unwrap();
    assert!(matches!(ended(&client), End::Stopped));
    assert_eq!(server.connections(), 0);
    assert_eq!(client.send_text("late"), Err(heartwire::SendError::Closed));
}

fn an_error_fails_the_attempt_and_the_next_one_is_asked_again(net: &Net) {
    let server = net.server(Behaviour::echo());
    let hook = |attempt: &mut Attempt| {
        if attempt.number() < 3 { Err("no token to be had".into()) } else { Ok(()) }
    };
    let client = net.to(&server).before_connect(hook).connect().unwrap();
    for n in 1..=2 {
        let failed = failed(&client);
        assert_eq!((failed.attempt(), failed.error().phase()), (n, Phase::Prepare));
        let Cause::BeforeConnect(words) = failed.error().cause() else { panic!("{failed}") };
        assert_eq!(words.to_string(), "no token to be had");
        assert!(!failed.to_string().contains("token"), "its words may hold secrets: {failed}");
    }
    assert_eq!(opened(&client).attempt(), 3);
}

fn a_panic_closes_this_client_only(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).before_connect(|_| panic!("on purpose")).connect().unwrap();
    assert!(matches!(ended(&client), End::CallbackPanicked));
    assert_eq!(server.connections(), 0);
}

fn its_time_counts_into_the_deadline_and_the_next_attempt_waits_for_its_return(net: &Net) {
    let server = net.server(Behaviour::echo());
    let (hook, begun, gate) = gated();
    let client =
        net.to(&server).before_connect(hook).connect_timeout(ms(100)).reconnect(quick()).connect().unwrap();
    for _ in 0..2 {
        let failed = failed(&client);
        assert_eq!(failed.error().phase(), Phase::Prepare);
        assert!(matches!(failed.error().cause(), Cause::TimedOut));
    }
    assert_eq!((begun.len(), server.connections()), (1, 0), "one call at a time");
    drop(gate);
    // It fails from now on, since its gate is gone: but it is asked.
    wait(&client, |event| match event {
        Event::ConnectFailed(failed) => {
            matches!(failed.error().cause(), Cause::BeforeConnect(_)).then_some(())
        }
        _ => None,
    });
    close(&client);
}

fn a_close_does_not_wait_for_it(net: &Net) {
    let server = net.server(Behaviour::echo());
    let (hook, begun, gate) = gated();
    let client = net.to(&server).before_connect(hook).connect().unwrap();
    begun.recv_timeout(SOON).unwrap();
    let began = Instant::now();
    close(&client);
    assert!(began.elapsed() < SOON / 2);
    gate.send(()).unwrap();
    drop(client);
    assert_eq!(server.connections(), 0);
}

struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn a_destroy_waits_for_the_call_that_runs_and_it_is_freed_once(net: &Net) {
    let server = net.server(Behaviour::echo());
    let drops = Arc::new(AtomicUsize::new(0));
    let (mut hook, begun, gate) = gated();
    let owned = Dropped(drops.clone());
    let hook = move |attempt: &mut Attempt| {
        let _ = &owned;
        hook(attempt)
    };
    let client = net.to(&server).before_connect(hook).connect().unwrap();
    begun.recv_timeout(SOON).unwrap();
    let weak = client.downgrade();
    let destroying = std::thread::spawn(move || drop(client));
    crate::support::watch::within(SOON, "the destroy begins", || weak.upgrade().is_none().then_some(()));
    assert_eq!(drops.load(Ordering::SeqCst), 0);
    gate.send(()).unwrap();
    destroying.join().unwrap();
    assert_eq!(drops.load(Ordering::SeqCst), 1);
}

fn a_destroy_inside_a_callback_does_not_wait_for_it(net: &Net) {
    let server = net.server(Behaviour::echo());
    let drops = Arc::new(AtomicUsize::new(0));
    let (mut hook, begun, gate) = gated();
    let owned = Dropped(drops.clone());
    let hook = move |attempt: &mut Attempt| {
        let _ = &owned;
        hook(attempt)
    };
    let asking = net.to(&server).name("asking").before_connect(hook).connect().unwrap();
    begun.recv_timeout(SOON).unwrap();
    let (done, destroyed) = bounded(1);
    let other = net.to(&server).build().unwrap();
    let mut asking = Some(asking);
    other.on_open(move |_, _| {
        drop(asking.take());
        done.send(()).unwrap();
    });
    other.connect().unwrap();
    destroyed.recv_timeout(SOON).expect("the callback does not wait for the hook");
    assert_eq!(drops.load(Ordering::SeqCst), 0);
    gate.send(()).unwrap();
    crate::support::watch::within(SOON, "the hook is freed", || {
        (drops.load(Ordering::SeqCst) == 1).then_some(())
    });
}

fn an_answer_after_the_limits_of_time_is_none(net: &Net) {
    let server = net.server(Behaviour::echo());
    let (hook, begun, gate) = gated();
    let never = Reconnect::never();
    let client =
        net.to(&server).before_connect(hook).reconnect(never).connect_timeout(ms(50)).connect().unwrap();
    assert!(matches!(ended(&client), End::GaveUp(error) if error.phase() == Phase::Prepare));
    assert_eq!(begun.len(), 1);
    gate.send(()).unwrap();
    drop(client);
    assert_eq!(server.connections(), 0);
}

stamp! {
    every_attempt_has_the_token_that_was_fetched_for_it,
    the_url_may_be_another_one_each_time,
    a_refusal_asks_once_and_the_fresh_token_opens,
    close_code_1008_asks_once,
    an_attempt_may_be_put_off_and_the_wait_be_skipped,
    it_may_stop_the_client_for_good,
    an_error_fails_the_attempt_and_the_next_one_is_asked_again,
    a_panic_closes_this_client_only,
    its_time_counts_into_the_deadline_and_the_next_attempt_waits_for_its_return,
    a_close_does_not_wait_for_it,
    a_destroy_waits_for_the_call_that_runs_and_it_is_freed_once,
    a_destroy_inside_a_callback_does_not_wait_for_it,
    an_answer_after_the_limits_of_time_is_none,
}
