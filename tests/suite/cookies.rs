//! Cookies that servers set, and what of them goes back.

use std::time::Duration;

use heartwire::{Builder, Reconnect};

use crate::net::{Net, close, closed, failed, ms, opened};
use crate::support::{Behaviour, Server, ServerEvent, Setup};

const SOON: Duration = Duration::from_secs(10);

/// Accepts, and sets these with the 101.
fn accepting(set: &[&str]) -> Behaviour {
    set.iter().fold(Behaviour::echo(), |behaviour, value| behaviour.header("Set-Cookie", value))
}

/// Answers connection `n` as the n-th of these says, and accepts all others.
fn answering(answers: Vec<Behaviour>) -> Setup {
    Setup::each(move |n| answers.get(n - 1).cloned().unwrap_or_else(Behaviour::echo))
}

/// The cookies of the next request, whether it is accepted or not; one header in all.
#[track_caller]
fn asked(server: &Server) -> String {
    server.wait_for(SOON, |event| {
        let (ServerEvent::Connected { request, .. } | ServerEvent::Refused { request, .. }) = event else {
            return None;
        };
        let sent = request.headers("Cookie");
        assert!(sent.len() <= 1, "{sent:?}");
        Some(sent.first().map_or(String::new(), |value| (*value).to_owned()))
    })
}

fn keeping(builder: Builder) -> Builder {
    builder.cookies(true)
}

fn a_cookie_of_a_101_goes_back_on_the_next_session_if_it_is_wanted(net: &Net) {
    for wanted in [true, false] {
        let server = net.start(answering(vec![accepting(&["id=abc; Path=/; HttpOnly", "lang=en"])]));
        let client = net.to(&server).cookies(wanted).connect().unwrap();
        assert_eq!((opened(&client).is_first(), asked(&server).as_str()), (true, ""));
        for _ in 0..2 {
            server.cut_all();
            closed(&client);
            opened(&client);
            assert_eq!(asked(&server), if wanted { "id=abc; lang=en" } else { "" });
        }
        close(&client);
        // The next client begins without.
        let client = net.to(&server).cookies(wanted).connect().unwrap();
        opened(&client);
        assert_eq!(asked(&server), "");
        close(&client);
    }
}

fn cookies_of_refusals_are_kept_too(net: &Net) {
    let busy = |set: &str| Behaviour::refuse(503, &[("Set-Cookie", set)], "busy");
    let server = net.start(answering(vec![busy("lb=1"), busy("lb=2"), busy("lb=; Max-Age=0")]));
    let client = keeping(net.to(&server)).connect().unwrap();
    for expected in ["", "lb=1", "lb=2"] {
        failed(&client);
        assert_eq!(asked(&server), expected);
    }
    opened(&client);
    assert_eq!(asked(&server), "");
    close(&client);
}

/// Where the answer is not wholly there when the time is up.
fn a_cookie_of_a_refusal_that_drips_is_kept(net: &Net) {
    use std::io::{Read, Write};
    let drip = Behaviour::raw(|stream, _| {
        crate::support::upgrade::read_request_head(stream).unwrap();
        let head = "HTTP/1.1 503 Busy\r\nSet-Cookie: lb=1\r\nContent-Length: 100\r\n\r\n";
        stream.write_all(head.as_bytes()).and_then(|()| stream.flush()).unwrap();
        let _ = stream.read(&mut [0; 64]);
    });
    let server = net.start(answering(vec![drip]));
    let client = keeping(net.to(&server)).connect_timeout(ms(700)).connect().unwrap();
    failed(&client);
    opened(&client);
    assert_eq!(asked(&server), "lb=1");
    close(&client);
}

fn cookies_of_redirects_go_on_within_their_host_and_not_to_another(net: &Net) {
    let moved = |to: &str, set: &str| Behaviour::refuse(307, &[("Location", to), ("Set-Cookie", set)], "");
    // To another host: the same address by its name.
    let other = net.start(answering(vec![accepting(&["other=1"])]));
    let away = net.url(other.address()).replace("127.0.0.1", "localhost");
    let server = net.start(answering(vec![
        moved("/feed/x", "here=1; Path=/feed"),
        moved("/feed/y", "more=2"),
        moved(&away, "last=3; Path=/"),
    ]));
    let client = keeping(net.to(&server)).header("Cookie", "own=0").connect().unwrap();
    assert_eq!(opened(&client).redirects().len(), 3);
    for expected in ["own=0", "own=0; here=1", "own=0; here=1; more=2"] {
        assert_eq!(asked(&server), expected);
    }
    // Neither what was kept nor what the program sends goes to another origin.
    assert_eq!(asked(&other), "");
    other.cut_all();
    closed(&client);
    opened(&client);
    assert_eq!(asked(&server), "own=0; last=3", "the next attempt begins at the configured URL");
    close(&client);
}

fn a_cookie_ends_when_it_says_so(net: &Net) {
    let server = net.start(answering(vec![accepting(&[
        "gone=1; Max-Age=1",
        "past=2; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "stays=3; Max-Age=1000",
    ])]));
    // Longer than it lives.
    let reconnect = Reconnect::fixed(ms(1200));
    let client = keeping(net.to(&server)).reconnect(reconnect).connect().unwrap();
    opened(&client);
    assert_eq!(asked(&server), "");
    server.cut_all();
    closed(&client);
    opened(&client);
    assert_eq!(asked(&server), "stays=3");
    close(&client);
}

fn a_secure_cookie_goes_over_tls_alone(net: &Net) {
    let set = &["secure=1; Secure", "__Host-x=2; Secure; Path=/", "open=3"];
    let server = net.start(answering(vec![accepting(set)]));
    let client = keeping(net.to(&server)).connect().unwrap();
    opened(&client);
    assert_eq!(asked(&server), "");
    server.cut_all();
    closed(&client);
    opened(&client);
    assert_eq!(asked(&server), if net.is_plain() { "open=3" } else { "secure=1; __Host-x=2; open=3" });
    close(&client);

    // A server without TLS on the same host has its turn when the first one is gone.
    let plain = Server::start(Behaviour::echo());
    let server = net.start(answering(vec![accepting(set)]));
    let client = keeping(net.to(&server)).add_url(plain.url()).connect().unwrap();
    opened(&client);
    server.stop();
    assert_eq!(opened(&client).url_index(), 1);
    assert_eq!(asked(&plain), "open=3");
    close(&client);
}

fn the_programs_own_cookies_come_first_and_count(net: &Net) {
    let server = net.start(answering(vec![accepting(&["a=kept", "b=kept"])]));
    let builder = keeping(net.to(&server)).before_connect(|attempt| {
        attempt.set_header("Cookie", &format!("n={}; b=own", attempt.number()))?;
        Ok(())
    });
    let client = builder.connect().unwrap();
    opened(&client);
    assert_eq!(asked(&server), "n=1; b=own");
    server.cut_all();
    closed(&client);
    let again = opened(&client);
    assert_eq!(asked(&server), format!("n={}; b=own; a=kept", again.attempt()));
    close(&client);
}

fn what_a_server_sets_is_not_printed_with_an_event_nor_with_an_error(net: &Net) {
    let headers = [("Set-Cookie", "id=secret"), ("Location", "/?token=secret")];
    let refuse = Behaviour::refuse(503, &headers, "secret");
    let server = net.start(answering(vec![refuse, accepting(&["id=secret"])]));
    let client = keeping(net.to(&server)).connect().unwrap();
    let failed = failed(&client);
    assert_eq!(failed.error().refusal().and_then(|refusal| refusal.header("Set-Cookie")), Some("id=secret"));
    let opened = opened(&client);
    assert_eq!(opened.header("Set-Cookie"), Some("id=secret"));
    for shown in [format!("{failed} {failed:?}"), format!("{opened} {opened:?}")] {
        assert!(!shown.contains("secret"), "{shown}");
    }
    close(&client);
}

stamp! {
    what_a_server_sets_is_not_printed_with_an_event_nor_with_an_error,
    a_cookie_ends_when_it_says_so,
    a_cookie_of_a_101_goes_back_on_the_next_session_if_it_is_wanted,
    a_cookie_of_a_refusal_that_drips_is_kept,
    a_secure_cookie_goes_over_tls_alone,
    cookies_of_redirects_go_on_within_their_host_and_not_to_another,
    cookies_of_refusals_are_kept_too,
    the_programs_own_cookies_come_first_and_count,
}
