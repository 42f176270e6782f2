//! What `.ci/proxies` examines: other people's proxies, with servers of the tests' own behind them.
//!
//!   proxies through PROXY [--ca FILE]       ws: and wss: get through, and the link heals; PROXY may be `environment`
//!   proxies refuses PROXY WHY [--ca FILE]   each attempt is refused, for that reason, and no password is told
//!   proxies spared                          the environment's proxy is none for the server
//!
//! It prints a line for each thing that held, and panics at the first that did not.

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Duration;

use heartwire::{Builder, Cause, Client, Event, Heartbeat, LinkError, Message, Phase, Proxy, Reconnect};
use support::{Behaviour, Server, watchdog};

const SOON: Duration = Duration::from_secs(20);
/// What `.ci/proxies` has for a password, the right one and the wrong one alike.
const PASSWORD: &str = "secret";

fn main() {
    let _watch = watchdog(120, "proxies");
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let ca = arguments.iter().position(|argument| argument == "--ca").map(|at| {
        let file = arguments.remove(at + 1);
        arguments.remove(at);
        file
    });
    let proxy = |url: &str| {
        with_ca(if url == "environment" { Proxy::from_environment() } else { Proxy::new(url) }, &ca)
    };
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["through", url] => each_server(|server| through(server, &proxy(url))),
        ["refuses", url, why] => each_server(|server| refuses(server, &proxy(url), why)),
        ["spared"] => each_server(|server| {
            // Nobody listens where the environment says.
            through(server, &proxy("environment"));
        }),
        _ => panic!("through PROXY, refuses PROXY WHY, or spared"),
    }
}

#[cfg(feature = "native-tls")]
fn with_ca(proxy: Proxy, ca: &Option<String>) -> Proxy {
    match ca {
        Some(file) => proxy.tls(heartwire::Tls::new().system_roots(false).ca_file(file)),
        None => proxy,
    }
}

#[cfg(not(feature = "native-tls"))]
fn with_ca(proxy: Proxy, _: &Option<String>) -> Proxy {
    proxy
}

fn each_server(examine: impl Fn(&Server)) {
    examine(&Server::start(Behaviour::echo()));
    #[cfg(feature = "native-tls")]
    examine(&support::certs::tls_server(Behaviour::echo()));
}

fn to(server: &Server, proxy: &Proxy) -> Builder {
    let builder = Client::builder(&server.url()).heartbeat(Heartbeat::off()).proxy(proxy.clone());
    #[cfg(feature = "native-tls")]
    let builder = builder.tls(heartwire::Tls::new().ca_pem(support::certs::Certs::shared().ca_pem.as_str()));
    builder
}

fn wait<T>(client: &Client, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
    loop {
        let event = client.recv_timeout(SOON).expect("an event");
        if let Some(found) = wanted(&event) {
            return found;
        }
    }
}

fn message(client: &Client) -> Message {
    wait(client, |event| match event {
        Event::Message(message) => Some(message.clone()),
        Event::ConnectFailed(failed) => panic!("{failed}"),
        _ => None,
    })
}

fn through(server: &Server, proxy: &Proxy) {
    let millisecond = Duration::from_millis(1);
    let client = to(server, proxy).reconnect(Reconnect::fixed(50 * millisecond)).connect().expect("a client");
    for size in [1, 1000, 70_000, 2_000_000] {
        let bytes = vec![7; size];
        client.send_binary(&bytes).expect("a message");
        assert_eq!(message(&client).as_bytes(), bytes);
    }
    server.stop();
    wait(&client, |event| matches!(event, Event::Close(_)).then_some(()));
    client.send_text("again").expect("a message");
    let why = wait(&client, |event| match event {
        Event::ConnectFailed(failed) => {
            assert!(failed.retry_in().is_some(), "{failed}");
            Some(failed.error().clone())
        }
        _ => None,
    });
    server.restart();
    let text = wait(&client, |event| match event {
        Event::Message(message) => message.as_text().map(str::to_owned),
        _ => None,
    });
    assert_eq!(text, "again");
    client.close(1000, "").expect("a close");
    client.wait_closed(SOON).expect("an end");
    println!("{} through {proxy:?}: there and back; healed after: {why}", server.url());
}

fn reason(error: &LinkError) -> String {
    match error.cause() {
        Cause::Refused(refusal) => refusal.status().to_string(),
        Cause::Proxy(fault) => format!("{fault:?}"),
        Cause::Tls(fault) => format!("{:?}", fault.kind()),
        other => format!("{other:?}"),
    }
}

fn refuses(server: &Server, proxy: &Proxy, why: &str) {
    let client = to(server, proxy).reconnect(Reconnect::never()).connect().expect("a client");
    let error = wait(&client, |event| match event {
        Event::ConnectFailed(failed) => Some(failed.error().clone()),
        Event::Open(_) => panic!("it is open"),
        _ => None,
    });
    assert_eq!((error.phase(), reason(&error).as_str()), (Phase::Proxy, why), "{error}");
    let told = format!("{error} {:?}", error.refusal().map(|refusal| refusal.headers()));
    assert!(!told.contains(PASSWORD), "{told}");
    assert_eq!(server.connections(), 0);
    println!("{} through {proxy:?}: {error}", server.url());
}
