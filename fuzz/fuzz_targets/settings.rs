//! What users, and those who write their settings, give a builder: URL, headers, subprotocols, names, close reasons.
//!
//! The first byte separates the settings. The first of them is the URL; of the others the first byte says what it is:
//! `h` a header (`name=value`), `s` a subprotocol, `n` the name, `o` Origin, `u` User-Agent, `c` a close reason.
#![no_main]

use heartwire::fuzz::{Writer, settings};
use heartwire::{Builder, Client, CloseError};
use heartwire_fuzz::{Stream, client_frames};
use libfuzzer_sys::fuzz_target;
use url::Url;

fuzz_target!(|input: &[u8]| {
    let Some((separator, settings)) = input.split_first() else { return };
    let parts: Option<Vec<&str>> =
        settings.split(|byte| byte == separator).map(|part| std::str::from_utf8(part).ok()).collect();
    let Some([url, parts @ ..]) = parts.as_deref() else { return };
    check(url, parts);
    if let Some(reason) = parts.iter().find_map(|part| part.strip_prefix('c')) {
        check_close(reason);
    }
});

fn builder(url: &str, parts: &[&str]) -> Builder {
    parts.iter().fold(Client::builder(url), |builder, part| match part.split_at_checked(1) {
        Some(("h", header)) => {
            let (name, value) = header.split_once('=').unwrap_or((header, ""));
            builder.header(name, value)
        }
        Some(("s", name)) => builder.subprotocol(name),
        Some(("n", name)) => builder.name(name),
        Some(("o", origin)) => builder.origin(origin),
        Some(("u", agent)) => builder.user_agent(agent),
        _ => builder,
    })
}

fn check(url: &str, parts: &[&str]) {
    let settings = match settings(builder(url, parts)) {
        Ok(settings) => settings,
        Err(error) => {
            assert!(!error.to_string().contains(char::is_control), "a line break for a log: {error:?}");
            return;
        }
    };
    let request = &settings.request;
    let mut headers = [httparse::EMPTY_HEADER; 1024];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(request) {
        Ok(httparse::Status::Complete(size)) => assert_eq!(size, request.len(), "a request within another"),
        Err(httparse::Error::TooManyHeaders) => return,
        other => panic!("{other:?}: {}", request.escape_ascii()),
    }
    assert_eq!((parsed.method, parsed.version), (Some("GET"), Some(1)));
    assert!(parsed.path.is_some_and(|path| path.starts_with('/') && path.is_ascii()));

    // The handshake's own headers once each, then those that were set, as they were set, and nothing else.
    let sent: Vec<(&str, &[u8])> = parsed.headers.iter().map(|header| (header.name, header.value)).collect();
    let set = settings.headers.len() + usize::from(parts.iter().any(|part| part.starts_with('s')));
    let own = ["Host", "Connection", "Upgrade", "Sec-WebSocket-Version", "Sec-WebSocket-Key"];
    assert_eq!(sent.len(), own.len() + set, "{}", request.escape_ascii());
    for name in own.iter().chain(&["Sec-WebSocket-Protocol", "User-Agent"]) {
        let count = sent.iter().filter(|(sent, _)| sent.eq_ignore_ascii_case(name)).count();
        assert!(count == 1 || !own.contains(name), "{name} is there {count} times");
    }
    let trimmed = |value: &str| value.trim_matches([' ', '\t']).as_bytes().to_vec();
    for ((name, value), (sent_name, sent_value)) in settings.headers.iter().zip(&sent[own.len()..]) {
        assert_eq!((name.as_str(), trimmed(value).as_slice()), (*sent_name, *sent_value));
    }

    check_secrets(url, parts, &settings.shown_url);
}

/// What is logged has neither userinfo nor query.
fn check_secrets(url: &str, parts: &[&str], shown: &str) {
    assert!(!shown.contains(['?', '#']) && !shown.contains(char::is_control), "{shown}");
    let parsed = Url::parse(url).expect("the library took it");
    let shown_url = Url::parse(shown).expect("what is shown is a URL");
    assert!(shown_url.username().is_empty() && shown_url.password().is_none(), "{shown}");
    if parsed.scheme() == "ws+unix" {
        // A path, and a resource behind it, which the parser takes for one path.
        assert!(shown_url.scheme() == "ws+unix" && shown_url.path().contains(':'), "{shown}");
    } else {
        assert_eq!((shown_url.host(), shown_url.path()), (parsed.host(), parsed.path()));
    }
    // Short ones, and those that stand elsewhere as well, prove nothing.
    let public = format!("{}{} Builder name Some heartwire {}", shown, parsed.path(), parts.join(" "));
    let client = builder(url, parts);
    for secret in [parsed.password(), parsed.query()].into_iter().flatten() {
        if secret.len() > 5 && !public.contains(secret) {
            assert!(!format!("{client:?}").contains(secret));
        }
    }
}

fn check_close(reason: &str) {
    let client = Client::builder("ws://h/").build().expect("nothing is wrong with it");
    match client.close(1000, reason) {
        Ok(()) => assert!(reason.len() <= 123),
        Err(CloseError::ReasonTooLong(len)) => assert!(len > 123 && len == reason.len()),
        Err(other) => panic!("{other}"),
    }
    // The writer cuts what is too long, between two characters.
    let mut writer = Writer::new(Stream::whole(&[]));
    assert!(writer.close(Some(1000), reason));
    let frames = client_frames(&writer.stream().written);
    let [frame] = &frames[..] else { panic!("{frames:?}") };
    let sent = std::str::from_utf8(&frame.payload[2..]).expect("a reason is UTF-8");
    assert!(frame.payload.len() <= 125 && reason.starts_with(sent));
    assert!(reason.len() - sent.len() < 4 || frame.payload.len() > 121, "cut more than needed");
}
