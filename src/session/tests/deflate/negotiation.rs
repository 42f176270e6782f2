//! What is offered, and which answers to it are taken (RFC 7692 section 7.1).

use crate::config::deflate::Deflate;
use crate::error::{Cause, UpgradeFault};
use crate::session::tests::stream::{Scripted, Step};
use crate::session::upgrade::{Accepted, Upgrade, UpgradeRequest};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn upgrade(deflate: Option<Deflate>) -> Upgrade {
    let request =
        UpgradeRequest { host: "h".to_owned(), target: "/".to_owned(), deflate, ..UpgradeRequest::default() };
    Upgrade::with_key(&request, KEY)
}

fn offered(deflate: Option<Deflate>) -> Option<String> {
    let mut stream = Scripted::default();
    assert!(upgrade(deflate).advance(&mut stream).unwrap().is_none());
    let request = String::from_utf8(stream.out).unwrap();
    let mut lines = request.lines().filter_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
    let offered = lines.next().map(str::to_owned);
    assert_eq!(lines.next(), None);
    offered
}

fn answered(deflate: Option<Deflate>, extensions: &[&str]) -> Result<Accepted, UpgradeFault> {
    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n"
    );
    extensions.iter().for_each(|value| answer += &format!("Sec-WebSocket-Extensions: {value}\r\n"));
    answer += "\r\n";
    match upgrade(deflate).advance(&mut Scripted::reading([Step::Bytes(answer.into_bytes())])) {
        Ok(accepted) => Ok(accepted.expect("the answer is whole")),
        Err(Cause::BadUpgrade(fault)) => Err(fault),
        Err(other) => panic!("{other:?}"),
    }
}

/// Window and takeover, of what we send and of what we receive.
fn agreed(deflate: Deflate, answer: &str) -> [(u8, bool); 2] {
    let accepted = answered(Some(deflate), &[answer]).unwrap_or_else(|fault| panic!("{answer}: {fault:?}"));
    let text = format!("{:?}", accepted.agreed.expect("agreed"));
    let numbers = |name: &str| -> Vec<String> {
        let parts = text.split(name).skip(1);
        parts.map(|part| part.chars().take_while(|c| c.is_alphanumeric()).collect()).collect()
    };
    let (bits, takeovers) = (numbers("window_bits: "), numbers("takeover: "));
    [0, 1].map(|side| (bits[side].parse().unwrap(), takeovers[side] == "true"))
}

#[test]
fn nothing_is_offered_unless_it_is_asked_for() {
    assert_eq!(offered(None), None);
    let plain = offered(Some(Deflate::new()));
    assert_eq!(plain.as_deref(), Some("permessage-deflate; client_max_window_bits"));
    let all = Deflate::new()
        .server_no_context_takeover(true)
        .client_no_context_takeover(true)
        .server_max_window_bits(10)
        .client_max_window_bits(8);
    let expected = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                    server_max_window_bits=10; client_max_window_bits=8";
    assert_eq!(offered(Some(all)).as_deref(), Some(expected));
}

#[test]
fn a_good_answer_is_honoured() {
    let plain = Deflate::new();
    for (answer, expected) in [
        ("permessage-deflate", [(15, true), (15, true)]),
        (" permessage-deflate ; client_no_context_takeover ", [(15, false), (15, true)]),
        ("permessage-deflate;server_no_context_takeover", [(15, true), (15, false)]),
        ("permessage-deflate; client_max_window_bits=8", [(8, true), (15, true)]),
        ("permessage-deflate; client_max_window_bits = \"12\"", [(12, true), (15, true)]),
        ("permessage-deflate; server_max_window_bits=8", [(15, true), (8, true)]),
        (", permessage-deflate; server_max_window_bits=15,", [(15, true), (15, true)]),
    ] {
        assert_eq!(agreed(plain, answer), expected, "{answer}");
    }
    // Our own promise holds without the server's repeating it.
    let ours = plain.client_no_context_takeover(true).client_max_window_bits(11);
    assert_eq!(agreed(ours, "permessage-deflate"), [(11, false), (15, true)]);
    assert_eq!(agreed(ours, "permessage-deflate; client_max_window_bits=9"), [(9, false), (15, true)]);
    let demands = plain.server_no_context_takeover(true).server_max_window_bits(12);
    let answer = "permessage-deflate; server_max_window_bits=10; server_no_context_takeover";
    assert_eq!(agreed(demands, answer), [(15, true), (10, false)]);
}

#[test]
fn a_server_may_decline() {
    for extensions in [&[][..], &[""], &["", " "]] {
        assert_eq!(answered(Some(Deflate::new()), extensions).unwrap().agreed, None);
    }
}

#[test]
fn what_was_not_offered_fails_the_upgrade() {
    let fault = answered(None, &["permessage-deflate"]);
    assert_eq!(fault, Err(UpgradeFault::Extension("permessage-deflate".to_owned())));
    for other in
        ["x-webkit-deflate-frame", "permessage-bzip2; x", "permessage-deflate2", "Permessage-Deflate"]
    {
        let fault = answered(Some(Deflate::new()), &[other]);
        assert_eq!(fault, Err(UpgradeFault::Extension(other.to_owned())));
    }
    let second = answered(Some(Deflate::new()), &["permessage-deflate, foo"]);
    assert_eq!(second, Err(UpgradeFault::Extension("foo".to_owned())));
}

#[test]
fn a_doubled_or_malformed_answer_fails_the_upgrade() {
    let fault = |extensions: &[&str]| match answered(Some(Deflate::new()), extensions) {
        Err(UpgradeFault::Deflate(parameter)) => parameter,
        other => panic!("{other:?} for {extensions:?}"),
    };
    assert_eq!(fault(&["permessage-deflate", "permessage-deflate"]), "permessage-deflate");
    assert_eq!(fault(&["permessage-deflate, permessage-deflate"]), "permessage-deflate");
    for parameter in [
        "",
        "foo",
        "foo=1",
        "server_no_context_takeover=true",
        "client_no_context_takeover=",
        "server_max_window_bits",
        "client_max_window_bits",
        "client_max_window_bits=",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=08",
        "client_max_window_bits=+9",
        "client_max_window_bits=\"12",
        "client_max_window_bits=\"\"12\"\"",
        "server_max_window_bits=0x9",
        "server_max_window_bits=1000",
        "SERVER_MAX_WINDOW_BITS=12",
    ] {
        assert_eq!(fault(&[&format!("permessage-deflate; {parameter}")]), parameter);
    }
    for twice in ["server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits=9"] {
        assert_eq!(fault(&[&format!("permessage-deflate; {twice}; {twice}")]), twice);
    }
}

#[test]
fn an_answer_to_another_offer_fails_the_upgrade() {
    let plain = Deflate::new();
    for (deflate, answer, missing) in [
        (plain.server_no_context_takeover(true), "", "server_no_context_takeover"),
        (plain.server_max_window_bits(12), "", "server_max_window_bits"),
        (plain.server_max_window_bits(12), "; server_max_window_bits=13", "server_max_window_bits"),
        (plain.client_max_window_bits(12), "; client_max_window_bits=13", "client_max_window_bits"),
    ] {
        let fault = answered(Some(deflate), &[&format!("permessage-deflate{answer}")]);
        assert_eq!(fault, Err(UpgradeFault::Deflate(missing.to_owned())));
    }
}
