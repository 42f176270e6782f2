//! What the opening handshake promises.

use std::io::ErrorKind;

use proptest::prelude::*;

use super::stream::{Scripted, Step};
use crate::error::{Cause, Refusal, UpgradeFault};
use crate::session::upgrade::{Accepted, Upgrade, UpgradeRequest};

fn request() -> UpgradeRequest {
    UpgradeRequest {
        host: "example.com:8080".to_owned(),
        target: "/feed?token={a|b}".to_owned(),
        headers: vec![
            ("Origin".to_owned(), "https://example.com".to_owned()),
            ("X-Name".to_owned(), "Zoë".to_owned()),
            ("X-Name".to_owned(), "twice".to_owned()),
        ],
        subprotocols: vec!["chat.v2".to_owned(), "chat.v1".to_owned()],
        deflate: None,
    }
}

/// The request as the server sees it.
fn seen(request: &UpgradeRequest) -> String {
    let mut stream = Scripted::default();
    assert!(Upgrade::new(request).advance(&mut stream).unwrap().is_none());
    String::from_utf8(stream.out).unwrap()
}

fn header<'a>(request: &'a str, name: &str) -> Vec<&'a str> {
    let lines = request.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
}

/// A handshake whose request is written.
fn asked() -> (Upgrade, String) {
    let mut upgrade = Upgrade::new(&request());
    let mut stream = Scripted::default();
    assert!(upgrade.advance(&mut stream).unwrap().is_none());
    let request = String::from_utf8(stream.out).unwrap();
    let key = header(&request, "Sec-WebSocket-Key")[0];
    (upgrade, tungstenite::handshake::derive_accept_key(key.as_bytes()))
}

/// What comes of an answer in which `ACCEPT` stands for the right one, in pieces of this size.
fn answer_in(size: usize, text: &str) -> Result<Option<Accepted>, Cause> {
    let (mut upgrade, accept) = asked();
    let text = text.replace("ACCEPT", &accept);
    for piece in text.as_bytes().chunks(size) {
        let outcome = upgrade.advance(&mut Scripted::reading([Step::Bytes(piece.to_vec())]));
        if !matches!(outcome, Ok(None)) {
            return outcome;
        }
    }
    Ok(None)
}

fn good(extra: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: ACCEPT\r\n{extra}\r\n"
    )
}

fn fault(text: &str) -> UpgradeFault {
    match answer_in(usize::MAX, text) {
        Err(Cause::BadUpgrade(fault)) => fault,
        other => panic!("{other:?} for {text}"),
    }
}

fn refusal(outcome: Result<Option<Accepted>, Cause>) -> Refusal {
    match outcome {
        Err(Cause::Refused(refusal)) => Refusal::clone(&refusal),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_request_has_all_that_the_rfc_asks_for() {
    let request = seen(&request());
    assert!(request.starts_with("GET /feed?token={a|b} HTTP/1.1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n") && request.matches("\r\n\r\n").count() == 1, "{request}");
    assert_eq!(header(&request, "Host"), ["example.com:8080"]);
    assert_eq!(header(&request, "Upgrade"), ["websocket"]);
    assert_eq!(header(&request, "Connection"), ["Upgrade"]);
    assert_eq!(header(&request, "Sec-WebSocket-Version"), ["13"]);
    assert_eq!(header(&request, "Sec-WebSocket-Key")[0].len(), 24);
    assert_eq!(header(&request, "Sec-WebSocket-Protocol"), ["chat.v2, chat.v1"]);
    assert_eq!(header(&request, "Origin"), ["https://example.com"]);
    assert_eq!(header(&request, "X-Name"), ["Zoë", "twice"]);
}

#[test]
fn a_host_of_the_users_own_is_the_only_one_and_the_upgrades_headers_stay_ours() {
    let mut request = request();
    request.subprotocols.clear();
    for (name, value) in [("host", "other"), ("Sec-WebSocket-Key", "mine"), ("connection", "close")] {
        request.headers.push((name.to_owned(), value.to_owned()));
    }
    let text = seen(&request);
    assert_eq!(header(&text, "Host"), ["other"]);
    assert_eq!(header(&text, "Sec-WebSocket-Key").len(), 1);
    assert_eq!(header(&text, "Connection"), ["Upgrade"]);
    assert_eq!(header(&text, "Sec-WebSocket-Protocol"), [] as [&str; 0]);
}

#[test]
fn a_request_longer_than_http_crates_allow_is_sent_all_the_same() {
    let target = format!("/?{}", "q".repeat(100_000));
    assert!(seen(&UpgradeRequest { target: target.clone(), ..request() }).contains(&target));
}

#[test]
fn an_answer_is_good_in_pieces_of_any_size() {
    let text = good("Sec-WebSocket-Protocol: chat.v1\r\nX-Server: test\r\n") + "\u{1}first frames";
    for size in [1, 2, 3, 7, 50, usize::MAX] {
        let accepted = answer_in(size, &text).unwrap().unwrap();
        assert_eq!(accepted.subprotocol.as_deref(), Some("chat.v1"));
        assert_eq!(accepted.headers.len(), 5);
        assert_eq!(accepted.headers[4], ("X-Server".to_owned(), "test".to_owned()));
        assert!(b"\x01first frames".starts_with(&accepted.rest), "{:?}", accepted.rest);
        assert_eq!(accepted.rest.len(), if size == usize::MAX { 13 } else { accepted.rest.len() });
    }
}

#[test]
fn a_request_that_is_taken_in_small_bites_is_written_whole() {
    let bites = (0..5000).map(|i| match i % 3 {
        0 => Step::Take(1),
        1 => Step::Fail(ErrorKind::Interrupted),
        _ => Step::Fail(ErrorKind::WouldBlock),
    });
    let mut stream = Scripted::writing(bites);
    let mut upgrade = Upgrade::new(&request());
    while !stream.out.ends_with(b"\r\n\r\n") {
        assert!(upgrade.advance(&mut stream).unwrap().is_none());
    }
    assert!(stream.out.starts_with(b"GET "));
}

#[test]
fn lists_cases_and_interim_answers_are_as_http_has_them() {
    for text in [
        "HTTP/1.1 101 \r\nupgrade: h2c, WebSocket\r\nCONNECTION: keep-alive, Upgrade\r\n\
         sec-websocket-accept:ACCEPT\r\n\r\n",
        "HTTP/1.1 101 OK\nUpgrade: websocket\nConnection: keep-alive\nConnection: upgrade\n\
         Sec-WebSocket-Accept:   ACCEPT  \n\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 101 Now\r\n\
         Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n\
         Sec-WebSocket-Extensions: \r\n\r\n",
    ] {
        for size in [1, usize::MAX] {
            let accepted = answer_in(size, text).unwrap().expect("whole");
            assert_eq!(accepted.subprotocol, None);
        }
    }
}

#[test]
fn an_answer_that_breaks_the_rules_is_named_for_what_it_breaks() {
    let cases = [
        (good("").replace("1.1 101", "1.0 101"), UpgradeFault::NotHttp),
        ("SSH-2.0-OpenSSH_9.6\r\n".to_owned(), UpgradeFault::NotHttp),
        ("HTTP/2.0 101 Switching\r\n\r\n".to_owned(), UpgradeFault::NotHttp),
        (good("no colon here\r\n"), UpgradeFault::NotHttp),
        (good("").replace("Upgrade: websocket", "Upgrade: h2c"), UpgradeFault::Header("Upgrade")),
        (good("").replace("Upgrade: websocket\r\n", ""), UpgradeFault::Header("Upgrade")),
        (good("").replace("Connection: Upgrade", "Connection: close"), UpgradeFault::Header("Connection")),
        (
            good("").replace("Sec-WebSocket-Accept: ACCEPT", "A: b"),
            UpgradeFault::Header("Sec-WebSocket-Accept"),
        ),
        (good("Sec-WebSocket-Accept: ACCEPT\r\n"), UpgradeFault::Header("Sec-WebSocket-Accept")),
        (good("").replace("ACCEPT", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), UpgradeFault::Accept),
        (good("").replace("ACCEPT", "xACCEPT"), UpgradeFault::Accept),
        (good("Sec-WebSocket-Protocol: Chat.V1\r\n"), UpgradeFault::Subprotocol("Chat.V1".to_owned())),
        (
            good("Sec-WebSocket-Protocol: chat.v1\r\nSec-WebSocket-Protocol: chat.v1\r\n"),
            UpgradeFault::Header("Sec-WebSocket-Protocol"),
        ),
        (
            good("Sec-WebSocket-Extensions: \r\nSec-WebSocket-Extensions: permessage-deflate\r\n"),
            UpgradeFault::Extension("permessage-deflate".to_owned()),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(fault(&text), expected, "{text}");
    }
}

#[test]
fn garbage_is_noticed_before_the_line_ends() {
    assert!(matches!(answer_in(1, "HTTQ"), Err(Cause::BadUpgrade(UpgradeFault::NotHttp))));
}

#[test]
fn the_head_is_bounded_however_it_comes() {
    let long = format!("HTTP/1.1 101 Switching\r\nX: {}", "x".repeat(70_000));
    let interim = "HTTP/1.1 102 Processing\r\n\r\n".repeat(3000);
    for text in [&long, &interim] {
        for size in [1, 1000] {
            let outcome = answer_in(size, text);
            assert!(matches!(outcome, Err(Cause::BadUpgrade(UpgradeFault::TooLong))), "{outcome:?}");
        }
    }
    let many = |count| good(&"X: y\r\n".repeat(count));
    assert!(answer_in(usize::MAX, &many(128 - 3)).is_ok());
    assert_eq!(fault(&many(129 - 3)), UpgradeFault::TooLong);
}

#[test]
fn a_refusal_keeps_status_headers_and_the_start_of_the_body() {
    let text =
        "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nX-Odd: \u{fffd}\r\nContent-Length: 11\r\n\r\ncome later!more";
    for size in [1, 9, usize::MAX] {
        let refusal = refusal(answer_in(size, text));
        assert_eq!(refusal.status(), 503);
        assert_eq!(refusal.header("retry-after"), Some("7"));
        assert_eq!(refusal.body(), b"come later!");
    }
    let long = format!("HTTP/1.0 404 No\r\nContent-Length: 100000\r\n\r\n{}", "b".repeat(100_000));
    assert_eq!(refusal(answer_in(1000, &long)).body().len(), 4096);
    let no_length = "HTTP/1.1 401 No\r\n\r\nwhat there is";
    assert_eq!(refusal(answer_in(usize::MAX, no_length)).body(), b"what there is");
    assert_eq!(refusal(answer_in(1, "HTTP/1.1 204 Nothing\r\nContent-Length: 0\r\n\r\n")).body(), b"");
}

#[test]
fn a_refusal_whose_body_is_cut_short_is_a_refusal() {
    for cut in [Step::Zero, Step::Fail(ErrorKind::ConnectionReset)] {
        let (mut upgrade, _) = asked();
        let head = b"HTTP/1.1 500 Oops\r\nContent-Length: 50\r\n\r\nhalf".to_vec();
        assert!(upgrade.advance(&mut Scripted::reading([Step::Bytes(head)])).unwrap().is_none());
        assert_eq!(refusal(upgrade.advance(&mut Scripted::reading([cut]))).body(), b"half");
    }
}

#[test]
fn a_refusal_is_read_although_the_request_could_not_be_written() {
    let mut stream = Scripted::writing([Step::Take(10), Step::Fail(ErrorKind::BrokenPipe)]);
    stream.reads.push_back(Step::Bytes(b"HTTP/1.1 431 Too Large\r\n\r\n".to_vec()));
    assert_eq!(refusal(Upgrade::new(&request()).advance(&mut stream)).status(), 431);

    let mut stream = Scripted::writing([Step::Fail(ErrorKind::BrokenPipe)]);
    stream.reads.push_back(Step::Zero);
    let outcome = Upgrade::new(&request()).advance(&mut stream);
    assert!(matches!(outcome, Err(Cause::Io(error)) if error.kind() == ErrorKind::BrokenPipe));
}

#[test]
fn a_stream_that_ends_or_fails_before_the_head_says_so() {
    for before in ["", "HTT", "HTTP/1.1 101 Switching\r\n"] {
        let (mut upgrade, _) = asked();
        let mut stream = Scripted::reading([Step::Bytes(before.into()), Step::Zero]);
        stream.reads.retain(|step| !matches!(step, Step::Bytes(bytes) if bytes.is_empty()));
        assert!(matches!(upgrade.advance(&mut stream), Err(Cause::EndOfStream)));
    }
    let (mut upgrade, _) = asked();
    let mut stream = Scripted::reading([Step::Fail(ErrorKind::ConnectionReset)]);
    let outcome = upgrade.advance(&mut stream);
    assert!(matches!(outcome, Err(Cause::Io(error)) if error.kind() == ErrorKind::ConnectionReset));
}

proptest! {
    #[test]
    fn no_answer_whatever_brings_it_down(
        start in prop_oneof![Just("HTTP/1.1 101 x\r\n"), Just("HTTP/1.1 "), Just("")],
        text in "([\\PC\r\n:,]|\r\n){0,200}",
        size in 1..50_usize,
    ) {
        let outcome = answer_in(size, &format!("{start}{text}"));
        prop_assert!(!matches!(outcome, Ok(Some(_))));
    }
}
