//! What the hook is asked, once at a time, and when it is freed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::*;
use crate::Client;
use crate::config::proxy::Chosen;

const PATIENCE: Duration = Duration::from_secs(10);

fn ground() -> Arc<Ground> {
    Client::builder("ws://h/").config().unwrap().ground
}

fn attempt(number: u32) -> Attempt {
    let headers = vec![("X-A".to_owned(), "1".to_owned())];
    Attempt::new(number, None, "ws://user:pass@h/?q".to_owned(), headers, vec!["chat".to_owned()])
}

/// The answer to a question about this attempt.
fn ask(hook: &Hook, number: u32) -> Answer {
    let (wake, woken) = channel();
    let mut asking = hook.ask(attempt(number), ground(), move || wake.send(()).unwrap()).unwrap();
    woken.recv_timeout(PATIENCE).unwrap();
    asking.take().expect("it woke us for it")
}

fn prepared(hook: &Hook) -> Prepared {
    match ask(hook, 1) {
        Answer::Prepared(prepared, Verdict::Go) => prepared,
        _ => panic!("not prepared"),
    }
}

/// A hook whose calls tell that they have begun, and return when they may.
fn gated(owned: impl Send + 'static) -> (Hook, Receiver<u32>, Sender<()>) {
    let (begin, begun) = channel();
    let (gate, gated) = channel();
    let hook = Hook::new(move |attempt: &mut Attempt| {
        let _ = &owned;
        begin.send(attempt.number()).unwrap();
        gated.recv_timeout(PATIENCE).map_err(Into::into)
    });
    (hook, begun, gate)
}

struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn an_attempt_is_made_as_it_was_left() {
    let untouched = prepared(&Hook::new(|_| Ok(())));
    assert!(untouched.greetings.is_none());
    let request = &untouched.route.request;
    assert!(request.headers.contains(&("X-A".to_owned(), "1".to_owned())));
    assert!(
        request.headers.iter().any(|(name, value)| name == "Authorization" && value.starts_with("Basic "))
    );
    assert_eq!(
        (untouched.route.shown_url.as_str(), &*request.subprotocols),
        ("ws://h/", &["chat".to_owned()][..])
    );

    let changed = prepared(&Hook::new(|attempt| {
        assert_eq!(attempt.url(), "ws://user:pass@h/?q");
        attempt.set_url("ws://user:pass@other/x?token=1")?;
        attempt.set_header("x-a", "2")?;
        attempt.set_header("Authorization", "Bearer abc")?;
        attempt.set_subprotocols(["a", "b"])?;
        attempt.greeting("login");
        attempt.delay(Duration::ZERO)?;
        Ok(())
    }));
    let request = &changed.route.request;
    assert_eq!((changed.route.shown_url.as_str(), request.target.as_str()), ("ws://other/x", "/x?token=1"));
    let of = |wanted: &str| -> Vec<_> {
        let same = |(name, _): &&(String, String)| name.eq_ignore_ascii_case(wanted);
        request.headers.iter().filter(same).map(|(_, value)| value.as_str()).collect()
    };
    assert_eq!((of("X-A"), of("Authorization")), (vec!["2"], vec!["Bearer abc"]));
    assert_eq!(request.subprotocols, ["a", "b"]);
    assert_eq!(changed.greetings.unwrap()[0].make(1).unwrap().as_text(), Some("login"));
}

#[test]
fn bad_input_is_refused_when_it_is_set_and_changes_nothing() {
    let hook = Hook::new(|attempt| {
        for (setting, result) in [
            ("url", attempt.set_url("http://h/")),
            ("url", attempt.set_url("ws://h/ ")),
            ("header", attempt.set_header("X-A", "1\r\nX-B: 2")),
            ("header", attempt.set_header("Host", "h")),
            ("subprotocol", attempt.set_subprotocols(["a", "a"])),
            ("before_connect delay", attempt.delay(Duration::MAX)),
        ] {
            assert_eq!(result.unwrap_err().setting(), setting);
        }
        Ok(())
    });
    let prepared = prepared(&hook);
    assert_eq!(prepared.route.request.subprotocols, ["chat"]);
    assert!(prepared.route.request.headers.contains(&("X-A".to_owned(), "1".to_owned())));
}

#[test]
fn it_may_put_off_stop_fail_and_panic() {
    let hook = Hook::new(|attempt: &mut Attempt| {
        match attempt.number() {
            1 => attempt.delay(PATIENCE)?,
            2 => attempt.stop(),
            3 => return Err("the token is zq".into()),
            4 => attempt.set_url("nonsense")?,
            _ => panic!("on purpose"),
        }
        Ok(())
    });
    assert!(matches!(ask(&hook, 1), Answer::Prepared(_, Verdict::Delay(PATIENCE))));
    assert!(matches!(ask(&hook, 2), Answer::Prepared(_, Verdict::Stop)));
    for number in [3, 4] {
        let Answer::Failed(error) = ask(&hook, number) else { panic!("{number} did not fail") };
        assert_eq!((error.phase(), error.to_string().as_str()), (Phase::Prepare, "before_connect failed"));
        assert!(error.source().is_some(), "its own words");
    }
    assert!(matches!(ask(&hook, 5), Answer::Panicked));
}

#[test]
fn a_proxy_that_is_wrong_for_the_programs_url_alone_is_told_as_the_proxys() {
    let mut config = Client::builder("ws://spared/").config().unwrap();
    let variables = |name: &str| match name {
        "http_proxy" => Some("socks4://user:secret@h".to_owned()),
        "no_proxy" => Some("spared".to_owned()),
        _ => None,
    };
    Arc::get_mut(&mut config.ground).unwrap().proxy = Some(Chosen::from_variables(variables));
    let ask = |url: &'static str| {
        let hook = Hook::new(move |attempt| Ok(attempt.set_url(url)?));
        let (wake, woken) = channel();
        let wake = move || wake.send(()).unwrap();
        let mut asking = hook.ask(attempt(1), config.ground.clone(), wake).unwrap();
        woken.recv_timeout(PATIENCE).unwrap();
        asking.take().expect("it woke us for it")
    };
    assert!(matches!(ask("ws://spared/"), Answer::Prepared(..)));
    let Answer::Failed(error) = ask("ws://other/") else { panic!("it did not fail") };
    assert_eq!(error.phase(), Phase::Proxy);
    assert_eq!(error.to_string(), "proxy failed: http_proxy: of SOCKS, version 5 alone is known: socks5://");
}

#[test]
fn it_is_called_once_at_a_time_and_not_for_a_question_that_was_given_up() {
    let (hook, begun, gate) = gated(());
    let (wake, woken) = channel();
    let ask = |number| {
        let wake = wake.clone();
        hook.ask(attempt(number), ground(), move || wake.send(()).unwrap()).unwrap()
    };
    let first = ask(1);
    assert_eq!(begun.recv_timeout(PATIENCE), Ok(1));
    drop(first);
    let second = ask(2);
    drop(second);
    let mut third = ask(3);
    assert!(begun.try_recv().is_err(), "the first call still runs");
    gate.send(()).unwrap();
    assert_eq!(begun.recv_timeout(PATIENCE), Ok(3));
    gate.send(()).unwrap();
    for _ in 0..2 {
        woken.recv_timeout(PATIENCE).unwrap();
    }
    assert!(matches!(third.take(), Some(Answer::Prepared(..))));
}

#[test]
fn it_is_freed_at_the_close_or_by_the_call_that_runs_then() {
    let drops = Arc::new(AtomicUsize::new(0));
    let (hook, ..) = gated(Dropped(drops.clone()));
    hook.close();
    hook.wait_until_returned();
    assert_eq!(drops.swap(0, Ordering::SeqCst), 1);

    let (hook, begun, gate) = gated(Dropped(drops.clone()));
    let asking = hook.ask(attempt(1), ground(), || ()).unwrap();
    begun.recv_timeout(PATIENCE).unwrap();
    hook.close();
    assert_eq!(drops.load(Ordering::SeqCst), 0);
    gate.send(()).unwrap();
    hook.wait_until_returned();
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    drop(asking);
    let asked = hook.ask(attempt(2), ground(), || ());
    drop(asked);
    drop(hook);
    assert_eq!(drops.load(Ordering::SeqCst), 1);
}
