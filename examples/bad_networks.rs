//! What `.ci/black_hole` and `.ci/old_tls` examine: networks and servers that a test cannot make in its own process.
//!
//!   bad_networks black-hole ADDRESS:PORT NAME   the network drops what goes to either, name servers included
//!   bad_networks old-tls URL                    the server speaks TLS 1.0 or 1.1 only
//!
//! It prints a line for each thing that held, and panics at the first that did not.

use std::time::{Duration, Instant};

use heartwire::{Builder, Cause, Client, End, Event, LinkError, Phase, Reconnect, State};

const LIMIT: Duration = Duration::from_millis(500);
const CLOSE_TIMEOUT: Duration = Duration::from_millis(300);
/// What a call may take that waits for nothing.
const AT_ONCE: Duration = Duration::from_millis(100);
/// How late a timer may be on a busy machine.
const LATE: Duration = Duration::from_secs(1);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["black-hole", address, name] => {
            black_hole(&format!("ws://{address}/"), Phase::Connect);
            black_hole(&format!("ws://{name}/"), Phase::Resolve);
            #[cfg(feature = "native-tls")]
            black_hole(&format!("wss://{address}/"), Phase::Connect);
        }
        #[cfg(feature = "native-tls")]
        ["old-tls", url] => old_tls(url),
        _ => panic!("black-hole ADDRESS:PORT NAME, or old-tls URL"),
    }
}

fn builder(url: &str) -> Builder {
    Client::builder(url).reconnect(Reconnect::never()).close_timeout(CLOSE_TIMEOUT)
}

fn wait<T>(client: &Client, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
    loop {
        if let Some(found) = wanted(client.recv_timeout(Duration::from_secs(10)).expect("an event")) {
            return found;
        }
    }
}

fn failure(client: &Client) -> LinkError {
    wait(client, |event| match event {
        Event::ConnectFailed(failed) => Some(failed.error().clone()),
        Event::Open(_) => panic!("it is open"),
        _ => None,
    })
}

/// A client that is in the middle of this phase.
fn stuck(url: &str, phase: Phase) -> Client {
    let client = builder(url).connect().expect("a client");
    wait(&client, |event| matches!(event, Event::State(State::Connecting(p)) if p == phase).then_some(()));
    // Not only announced, but under way.
    assert!(client.recv_timeout(AT_ONCE).is_err());
    client
}

fn black_hole(url: &str, phase: Phase) {
    let began = Instant::now();
    let client = builder(url).connect_timeout(LIMIT).resolve_timeout(LIMIT).connect().expect("a client");
    let error = failure(&client);
    let took = began.elapsed();
    assert!(error.phase() == phase && matches!(error.cause(), Cause::TimedOut), "{error}");
    assert!((LIMIT..LIMIT + LATE).contains(&took), "{took:?}");
    println!("{url}: {error} after {took:?}");

    let client = stuck(url, phase);
    let began = Instant::now();
    client.close(1000, "").expect("a close");
    let returned = began.elapsed();
    let end = wait(&client, |event| if let Event::ClosedForGood(end) = event { Some(end) } else { None });
    let ended = began.elapsed();
    assert!(matches!(end, End::Closed), "{end}");
    assert!(returned < AT_ONCE && ended < AT_ONCE + CLOSE_TIMEOUT, "{returned:?}, {ended:?}");
    println!(
        "{url}: a close in the middle returned after {returned:?}, and the client ended after {ended:?}"
    );

    let client = stuck(url, phase);
    let began = Instant::now();
    drop(client);
    let dropped = began.elapsed();
    assert!(dropped < AT_ONCE, "{dropped:?}");
    println!("{url}: a drop in the middle took {dropped:?}");
}

/// Whatever certificate the server has: it is its version that is refused.
#[cfg(feature = "native-tls")]
fn old_tls(url: &str) {
    let tls = heartwire::Tls::new().danger_accept_invalid_certificates(true);
    let error = failure(&builder(url).tls(tls).connect().expect("a client"));
    let Cause::Tls(fault) = error.cause() else { panic!("{error}") };
    assert!(error.phase() == Phase::Tls && fault.kind() == heartwire::TlsFaultKind::Protocol, "{error}");
    println!("{url}: {error}");
}
