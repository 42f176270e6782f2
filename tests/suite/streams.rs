//! Streams that the program brings or makes, plain and with TLS over them.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use heartwire::{Cause, Client, ConnectError, End, Initiator, Phase};

use crate::net::{Net, SOON, close, closed, ended, failed, ms, opened, received, rest};
use crate::support::door::stream_to;
use crate::support::watch::within;
use crate::support::{Behaviour, Setup};

/// A URL of the network's kind whose host is in the certificate, and where nobody is.
fn nowhere(net: &Net) -> String {
    net.url("127.0.0.1:1".parse().unwrap())
}

#[track_caller]
fn works(client: &Client) {
    client.send_text("there and back").unwrap();
    assert_eq!(received(client).as_text(), Some("there and back"));
    let long = vec![7; 3_000_000];
    client.send_binary(&long).unwrap();
    assert_eq!(received(client).as_bytes(), long);
}

fn a_brought_stream_has_one_session_and_then_the_client_has_given_up(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.builder(&nowhere(net)).build().unwrap();
    client.connect_over(stream_to(server.address())).unwrap();
    opened(&client);
    works(&client);
    let again = client.connect_over(stream_to(server.address()));
    assert!(matches!(again, Err(ConnectError::AlreadyConnected)));
    assert!(client.explain().contains("idle -> connecting: attempt 1, by connect over a stream\n"));
    server.close(1, 1000, "enough");
    let closed = closed(&client);
    assert_eq!((closed.code(), closed.retry_in(), closed.by()), (1000, None, Initiator::Server));
    let End::GaveUp(error) = ended(&client) else { panic!("another end") };
    assert!(matches!(error.cause(), Cause::Closed { code: 1000, .. }), "{error}");
    assert_eq!(client.stats().attempts(), 1);
}

fn the_users_close_over_a_brought_stream_is_an_orderly_one(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.builder(&nowhere(net)).build().unwrap();
    client.connect_over(stream_to(server.address())).unwrap();
    opened(&client);
    client.send_text("last").unwrap();
    client.close(1000, "done").unwrap();
    let closed = closed(&client);
    assert!(closed.is_clean() && closed.by() == Initiator::User, "{closed}");
    assert!(matches!(ended(&client), End::Closed));
    assert_eq!(server.received_texts(), ["last"]);
}

fn an_attempt_over_a_brought_stream_that_fails_is_the_only_one(net: &Net) {
    for (status, fatal) in [(503, false), (403, true), (302, true)] {
        let server = net.server(Behaviour::refuse(status, &[("Location", "/elsewhere")], ""));
        let client = net.builder(&nowhere(net)).build().unwrap();
        client.connect_over(stream_to(server.address())).unwrap();
        let failure = failed(&client);
        assert!(matches!(failure.error().cause(), Cause::Refused(_)), "{failure}");
        assert_eq!((failure.error().http_status(), failure.retry_in()), (Some(status), None));
        let end = ended(&client);
        assert_eq!(matches!(end, End::Fatal(_)), fatal, "{end}");
        assert_eq!(server.connections(), 1);
    }
    let (ours, theirs) = UnixStream::pair().unwrap();
    drop(theirs);
    let client = net.builder(&nowhere(net)).build().unwrap();
    client.connect_over(ours).unwrap();
    let phase = if net.is_plain() { Phase::Upgrade } else { Phase::Tls };
    assert_eq!(failed(&client).error().phase(), phase);
    assert!(matches!(ended(&client), End::GaveUp(_)));
}

fn a_brought_stream_that_is_silent_ends_at_the_deadline_or_at_once_by_a_close(net: &Net) {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let client = net.builder(&nowhere(net)).connect_timeout(ms(50)).build().unwrap();
    client.connect_over(ours).unwrap();
    assert!(matches!(failed(&client).error().cause(), Cause::TimedOut));
    assert!(matches!(ended(&client), End::GaveUp(_)));

    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let client = net.builder(&nowhere(net)).build().unwrap();
    client.connect_over(ours).unwrap();
    theirs.set_read_timeout(Some(SOON)).unwrap();
    assert!(theirs.read(&mut [0; 4096]).unwrap() > 0);
    close(&client);
    drop(client);
    theirs.read_to_end(&mut Vec::new()).expect("it is let go of");
}

fn a_stream_is_let_go_of_by_a_client_that_never_dialled(net: &Net) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let client = net.builder(&nowhere(net)).build().unwrap();
    client.close(1000, "").unwrap();
    assert!(matches!(client.connect_over(ours), Err(ConnectError::Closed)));
    theirs.set_read_timeout(Some(SOON)).unwrap();
    assert_eq!(theirs.read(&mut [0; 9]).unwrap(), 0);
}

/// Reads ahead, and gives out seven bytes at a time at most: no readiness announces the rest.
struct Hoarder {
    stream: UnixStream,
    held: Vec<u8>,
}

impl Read for Hoarder {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.held.is_empty() {
            let mut ahead = vec![0; 64 * 1024];
            let read = self.stream.read(&mut ahead)?;
            ahead.truncate(read);
            self.held = ahead;
        }
        let some = self.held.len().min(into.len()).min(7);
        into[..some].copy_from_slice(&self.held[..some]);
        self.held.drain(..some);
        Ok(some)
    }
}

impl Write for Hoarder {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.stream.write(&from[..from.len().min(1000)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Hoarder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn what_a_brought_stream_holds_back_is_read_without_a_further_byte(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.builder(&nowhere(net)).build().unwrap();
    client.connect_over(Hoarder { stream: stream_to(server.address()), held: Vec::new() }).unwrap();
    opened(&client);
    for n in 0..20 {
        let text = n.to_string().repeat(500);
        client.send_text(&text).unwrap();
        assert_eq!(received(&client).as_text(), Some(text.as_str()));
    }
    close(&client);
}

fn a_dialler_is_asked_for_every_attempt_and_told_where_to(net: &Net) {
    let server = net.start(Setup::each(|n| match n {
        3 => Behaviour::refuse(307, &[("Location", "/other")], ""),
        _ => Behaviour::echo(),
    }));
    let address = server.address();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let dial = move |host: &str, port| {
        let mut asked = seen.lock().unwrap();
        asked.push((host.to_owned(), port));
        if asked.len() == 2 { Err(io::Error::other("not now")) } else { Ok(stream_to(address)) }
    };
    let client = net.builder(&nowhere(net)).dial_with(dial).connect().unwrap();
    opened(&client);
    works(&client);
    server.cut_all();
    closed(&client);
    let failure = failed(&client);
    assert_eq!(failure.error().phase(), Phase::Connect);
    assert!(failure.to_string().contains("not now") && failure.retry_in().is_some(), "{failure}");
    opened(&client);
    works(&client);
    server.cut_all();
    closed(&client);
    // The third connection redirects, and so there is a fourth in the same attempt.
    assert_eq!(opened(&client).redirects().len(), 1);
    assert_eq!(*asked.lock().unwrap(), vec![("127.0.0.1".to_owned(), 1); 5]);
    close(&client);
}

fn a_dialler_that_hangs_is_given_up_and_never_called_twice_at_once(net: &Net) {
    let server = net.server(Behaviour::echo());
    let address = server.address();
    let (gate, gated) = channel::<()>();
    let running = AtomicUsize::new(0);
    let dial = move |_: &str, _| {
        assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0);
        // Open for good once the test has let go of it.
        let _ = gated.recv();
        running.fetch_sub(1, Ordering::SeqCst);
        Ok(stream_to(address))
    };
    let client = net.builder(&nowhere(net)).dial_with(dial).connect_timeout(ms(30)).connect().unwrap();
    for _ in 0..3 {
        let failure = failed(&client);
        assert_eq!(failure.error().phase(), Phase::Connect);
        assert!(matches!(failure.error().cause(), Cause::TimedOut), "{failure}");
    }
    drop(gate);
    opened(&client);
    close(&client);
}

fn a_close_does_not_wait_for_a_dialler_and_a_drop_frees_it(net: &Net) {
    struct Owned(Arc<AtomicUsize>);
    impl Drop for Owned {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (begin, begun) = channel();
    let (gate, gated) = channel::<()>();
    let freed = Arc::new(AtomicUsize::new(0));
    let owned = Owned(freed.clone());
    let dial = move |_: &str, _| {
        let _ = &owned;
        begin.send(()).unwrap();
        let _ = gated.recv();
        Err::<UnixStream, _>(io::Error::other("too late"))
    };
    let client = net.builder(&nowhere(net)).dial_with(dial).connect().unwrap();
    begun.recv_timeout(SOON).unwrap();
    close(&client);
    assert_eq!(freed.load(Ordering::SeqCst), 0);
    drop(gate);
    drop(client);
    within(SOON, "the dialler is freed", || (freed.load(Ordering::SeqCst) == 1).then_some(()));
}

fn a_dialler_that_panics_closes_the_client(net: &Net) {
    let dial = |_: &str, _| -> io::Result<UnixStream> { panic!("on purpose") };
    let client = net.builder(&nowhere(net)).dial_with(dial).connect().unwrap();
    assert!(rest(&client).iter().any(|event| event.to_string().contains("panicked")));
    assert!(matches!(client.wait_closed(SOON), Ok(End::CallbackPanicked)));
    assert_eq!(client.stats().attempts(), 1);
}

stamp!(
    a_brought_stream_has_one_session_and_then_the_client_has_given_up,
    the_users_close_over_a_brought_stream_is_an_orderly_one,
    an_attempt_over_a_brought_stream_that_fails_is_the_only_one,
    a_brought_stream_that_is_silent_ends_at_the_deadline_or_at_once_by_a_close,
    a_stream_is_let_go_of_by_a_client_that_never_dialled,
    what_a_brought_stream_holds_back_is_read_without_a_further_byte,
    a_dialler_is_asked_for_every_attempt_and_told_where_to,
    a_dialler_that_hangs_is_given_up_and_never_called_twice_at_once,
    a_close_does_not_wait_for_a_dialler_and_a_drop_frees_it,
    a_dialler_that_panics_closes_the_client,
);
