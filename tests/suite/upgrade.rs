//! What the request tells the server, and which answers with a 101 are no answers.

use std::io::{Read, Write};

use heartwire::{Cause, Client, Phase, UpgradeFault};

use crate::net::{Net, close, failed, opened};
use crate::support::upgrade::{accept_key_for, read_request_head, switching_protocols};
use crate::support::{Behaviour, Server};

/// A server whose answer to the request's head is what `answer` makes of it.
fn answering(net: &Net, answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Server {
    net.server(Behaviour::raw(move |stream, _| {
        let Ok(head) = read_request_head(stream) else { return };
        let _ = stream.write_all(answer(&head).as_bytes());
        let _ = stream.flush();
        let _ = stream.read(&mut [0; 64]);
    }))
}

#[track_caller]
fn fault(client: &Client) -> UpgradeFault {
    let failed = failed(client);
    assert_eq!(failed.error().phase(), Phase::Upgrade);
    assert!(failed.retry_in().is_some(), "it may be right after the server's next restart");
    match failed.error().cause() {
        Cause::BadUpgrade(fault) => fault.clone(),
        other => panic!("{other:?}"),
    }
}

fn what_the_user_sets_reaches_the_server(net: &Net) {
    let server = net.server(Behaviour::echo());
    let url = net.url(server.address()).replace("://", "://us%20er:p%40ss@") + "feed?token=1&a=%20b";
    let client = net
        .builder(&url)
        .header("X-Tenant", "blue")
        .header("X-Tenant", "green")
        .origin("https://app.example")
        .user_agent("watcher/7")
        .connect()
        .unwrap();
    let (_, request) = server.wait_connected();
    assert_eq!(request.target(), "/feed?token=1&a=%20b");
    assert_eq!(request.header("Host").unwrap(), server.address().to_string());
    assert_eq!(request.header("Origin"), Some("https://app.example"));
    assert_eq!(request.header("User-Agent"), Some("watcher/7"));
    // "us er:p@ss"
    assert_eq!(request.header("Authorization"), Some("Basic dXMgZXI6cEBzcw=="));
    assert_eq!(request.header("Sec-WebSocket-Version"), Some("13"));
    let tenants = request.headers("X-Tenant");
    assert_eq!(tenants, ["blue", "green"]);
    close(&client);
}

fn nothing_is_asked_for_that_the_user_did_not_set(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).connect().unwrap();
    let (_, request) = server.wait_connected();
    for name in ["Origin", "Authorization", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Cookie"] {
        assert_eq!(request.header(name), None, "{name}");
    }
    assert_eq!(request.header("User-Agent"), Some(concat!("heartwire/", env!("CARGO_PKG_VERSION"))));
    close(&client);
}

fn each_attempt_has_a_key_of_its_own(net: &Net) {
    let server = net.server(Behaviour::close_at_once(1000, ""));
    let client = net.to(&server).connect().unwrap();
    let keys: Vec<_> =
        (0..3).map(|_| server.wait_connected().1.header("Sec-WebSocket-Key").unwrap().to_owned()).collect();
    assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2], "{keys:?}");
    drop(client);
}

fn the_servers_choice_of_a_subprotocol_is_told(net: &Net) {
    let server = net.server(Behaviour::echo().subprotocol("v1.chat").header("X-Node", "a7"));
    let client = net.to(&server).subprotocol("v2.chat").subprotocol("v1.chat").connect().unwrap();
    let opened = opened(&client);
    assert_eq!(opened.subprotocol(), Some("v1.chat"));
    assert_eq!(opened.header("x-node"), Some("a7"));
    assert_eq!(client.last_open().unwrap().subprotocol(), Some("v1.chat"));
    assert_eq!(server.wait_connected().1.subprotocols(), ["v2.chat", "v1.chat"]);
}

fn a_server_may_choose_no_subprotocol(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).subprotocol("chat").connect().unwrap();
    assert_eq!(opened(&client).subprotocol(), None);
}

fn a_subprotocol_that_was_not_asked_for_is_refused(net: &Net) {
    for asked in [None, Some("other")] {
        let server = net.server(Behaviour::echo().subprotocol("chat"));
        let builder = net.to(&server);
        let builder = if let Some(asked) = asked { builder.subprotocol(asked) } else { builder };
        let client = builder.connect().unwrap();
        assert_eq!(fault(&client), UpgradeFault::Subprotocol("chat".into()));
    }
}

fn an_extension_that_was_not_asked_for_is_refused(net: &Net) {
    let server = net.server(Behaviour::echo().header("Sec-WebSocket-Extensions", "permessage-deflate"));
    let client = net.to(&server).connect().unwrap();
    assert!(matches!(fault(&client), UpgradeFault::Extension(name) if name.contains("permessage-deflate")));
}

fn an_accept_that_does_not_fit_the_key_is_refused(net: &Net) {
    let server = answering(net, |head| {
        let right = accept_key_for(head);
        let wrong =
            right.replacen(right.chars().next().unwrap(), if right.starts_with('A') { "B" } else { "A" }, 1);
        switching_protocols(head, "").replace(&right, &wrong)
    });
    let client = net.to(&server).connect().unwrap();
    assert_eq!(fault(&client), UpgradeFault::Accept);
}

fn a_101_without_a_header_it_needs_is_refused(net: &Net) {
    for line in ["Upgrade: websocket\r\n", "Connection: Upgrade\r\n"] {
        let server = answering(net, move |head| switching_protocols(head, "").replace(line, ""));
        let client = net.to(&server).connect().unwrap();
        assert!(matches!(fault(&client), UpgradeFault::Header(_)));
    }
}

fn headers_in_lists_and_in_other_cases_are_understood(net: &Net) {
    let server = answering(net, |head| {
        switching_protocols(head, "")
            .replace("Upgrade: websocket", "uPGRADE:WebSocket")
            .replace("Connection: Upgrade", "connection: keep-alive, upgrade")
    });
    let client = net.to(&server).connect().unwrap();
    opened(&client);
}

fn garbage_is_not_http(net: &Net) {
    for garbage in ["SSH-2.0-OpenSSH_9.6\r\n\r\n", "HTTP/1.0 101 Switching\r\n\r\n", "\0\0\0\0\0\0\r\n\r\n"] {
        let server = answering(net, move |_| garbage.into());
        let client = net.to(&server).connect().unwrap();
        assert_eq!(fault(&client), UpgradeFault::NotHttp, "{garbage:?}");
    }
}

fn an_answer_without_an_end_is_cut_off_at_its_bound(net: &Net) {
    let server = net.server(Behaviour::raw(|stream, _| {
        let Ok(_) = read_request_head(stream) else { return };
        let _ = stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n");
        // Ends when the client hangs up.
        while stream.write_all(b"X-More: and more and more and more and more\r\n").is_ok() {}
    }));
    let client = net.to(&server).connect().unwrap();
    assert_eq!(fault(&client), UpgradeFault::TooLong);
}

stamp! {
    what_the_user_sets_reaches_the_server,
    nothing_is_asked_for_that_the_user_did_not_set,
    each_attempt_has_a_key_of_its_own,
    the_servers_choice_of_a_subprotocol_is_told,
    a_server_may_choose_no_subprotocol,
    a_subprotocol_that_was_not_asked_for_is_refused,
    an_extension_that_was_not_asked_for_is_refused,
    an_accept_that_does_not_fit_the_key_is_refused,
    a_101_without_a_header_it_needs_is_refused,
    headers_in_lists_and_in_other_cases_are_understood,
    garbage_is_not_http,
    an_answer_without_an_end_is_cut_off_at_its_bound,
}
