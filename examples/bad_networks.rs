//! What `.ci/black_hole` and `.ci/old_tls` examine: networks and servers that a test cannot make in its own process.
//!
//!   bad_networks black-hole ADDRESS:PORT NAME   the network drops what goes to either, name servers included
//!   bad_networks dark INTERFACE                 the network is the loopback INTERFACE, which is switched off and on
//!   bad_networks old-tls URL                    the server speaks TLS 1.0 or 1.1 only
//!
//! It prints a line for each thing that held, and panics at the first that did not.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use heartwire::{Builder, Cause, Client, End, Event, Heartbeat, LinkError, Phase, Reconnect, State};

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
        ["dark", interface] => dark(interface),
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

/// A link whose network takes every packet and gives none, not even an acknowledgement: found dead in the heartbeat's
/// time, by it or by the kernel, and healed when the network is back; while it is idle, and while much is sent.
fn dark(interface: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("ws://{}/", listener.local_addr().expect("its address"));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let Ok(mut socket) = tungstenite::accept(stream) else { return };
                while let Ok(message) = socket.read() {
                    if message.is_text() && socket.send(message).is_err() {
                        return;
                    }
                }
            });
        }
    });
    let [interval, timeout, misses] = [300, 300, 2];
    let patience = Duration::from_millis(interval + timeout * misses);
    let beat = Heartbeat::ping().after_silence(Duration::from_millis(interval));
    let beat = beat.timeout(Duration::from_millis(timeout)).max_missed(misses as u32);
    let builder = Client::builder(&url).heartbeat(beat).connect_timeout(LIMIT);
    let client = builder.reconnect(Reconnect::fixed(Duration::from_millis(50))).connect().expect("a client");
    for sends in [false, true] {
        wait(&client, |event| matches!(event, Event::Open(_)).then_some(()));
        client.send_text("there and back").expect("an open link");
        wait(&client, |event| matches!(event, Event::Message(_)).then_some(()));
        switch(interface, "down");
        let began = Instant::now();
        while sends && client.send_binary(&[0; 10_000]).is_ok() {}
        let error = wait(&client, |event| match event {
            Event::Close(closed) => Some(closed.error().expect("why").clone()),
            _ => None,
        });
        let took = began.elapsed();
        let by_the_kernel = |cause: &Cause| matches!(cause, Cause::Io(e) if e.kind() == ErrorKind::TimedOut);
        assert!(matches!(error.cause(), Cause::Silent { .. }) || by_the_kernel(error.cause()), "{error}");
        assert!(took <= patience + LATE, "{took:?}, not {patience:?}");
        switch(interface, "up");
        println!("dark, {}: {error}, after {took:?}", if sends { "while sending" } else { "idle" });
    }
    wait(&client, |event| matches!(event, Event::Open(_)).then_some(()));
    println!("open again, {} sessions", client.stats().sessions());
}

fn switch(interface: &str, to: &str) {
    let done = Command::new("ip").args(["link", "set", interface, to]).status();
    assert!(done.expect("ip, of iproute2").success());
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
