//! A server to try the examples in `ffi-examples/` against, until standard input ends.
//!
//! `cargo run --example server -- FOLDER` writes the URLs to standard output, one to a line with its name before it:
//! `echo`; `cut`, which echoes too, but cuts every other connection at its first "hello"; `chat`, which hands messages
//! to the user they are for; and `tls`, which wants a client certificate: `ca.pem`, `client.pem` and `client.key` are
//! then in FOLDER. Built from the tests' own server; not made for the open network.

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use support::certs::{Certs, ClientCert};
use support::{Behaviour, Server, ServerEvent, Setup};

fn main() -> io::Result<()> {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("usage: server FOLDER");
        std::process::exit(2);
    };
    let certs = Certs::shared();
    fs::write(Path::new(&folder).join("ca.pem"), &certs.ca_pem)?;
    fs::write(Path::new(&folder).join("client.pem"), &certs.client.cert_pem)?;
    fs::write(Path::new(&folder).join("client.key"), &certs.client.pkcs8_pem)?;
    let config = certs.config(&certs.server, rustls::ALL_VERSIONS, ClientCert::Required);

    let echo = Server::start(Behaviour::echo());
    echo.answer_text_pings(true);
    let cut = Server::start(Behaviour::echo());
    cut.answer_text_pings(true);
    let chat = Server::start(Behaviour::silent());
    let tls = Setup::new(Behaviour::echo()).tls(config).start();
    for (name, server) in [("echo", &echo), ("cut", &cut), ("chat", &chat), ("tls", &tls)] {
        println!("{name} {}", server.url());
    }

    let over = AtomicBool::new(false);
    let mut users = BTreeMap::new();
    thread::scope(|scope| {
        scope.spawn(|| each_event(&cut, &over, cut_every_other));
        scope.spawn(|| each_event(&chat, &over, |server, event| relay(server, &mut users, event)));
        let read = io::copy(&mut io::stdin(), &mut io::sink());
        over.store(true, Ordering::SeqCst);
        read.map(drop)
    })
}

fn each_event(server: &Server, over: &AtomicBool, mut deal: impl FnMut(&Server, &ServerEvent)) {
    while !over.load(Ordering::SeqCst) {
        if let Some(event) = server.next_event(Duration::from_millis(200)) {
            deal(server, &event);
        }
    }
}

fn cut_every_other(server: &Server, event: &ServerEvent) {
    if let ServerEvent::Message { n, message } = event
        && n % 2 == 1
        && message.as_text().is_some_and(|text| text.starts_with("hello"))
    {
        server.cut(*n);
    }
}

/// `users` is who speaks on which connection.
fn relay(server: &Server, users: &mut BTreeMap<String, usize>, event: &ServerEvent) {
    match event {
        ServerEvent::Message { n, message } => {
            let text = message.as_text().unwrap_or_default();
            let from = member(text, "from");
            if member(text, "type") == "login" {
                users.insert(from.to_owned(), *n);
                server
                    .send(*n, format!(r#"{{"type":"welcome","from":"","to":"{from}","text":""}}"#).as_str());
            } else if users.get(member(text, "to")).is_none_or(|peer| !server.send(*peer, text)) {
                server.send(*n, format!(r#"{{"type":"absent","from":"","to":"{from}","text":""}}"#).as_str());
            }
        }
        ServerEvent::Ended { n, .. } => users.retain(|_, connection| connection != n),
        _ => {}
    }
}

/// A text in a JSON object: as much of JSON as a relay of compact objects with plain names needs.
fn member<'t>(json: &'t str, name: &str) -> &'t str {
    let begin = format!("\"{name}\":\"");
    let Some(at) = json.find(&begin) else { return "" };
    let value = &json[at + begin.len()..];
    value.split('"').next().unwrap_or_default()
}
