//! What a client says when it is asked what is the matter: true in every state, in every handler, and after the end.

use std::io::{Read, Write};
use std::sync::mpsc::channel;
use std::time::Duration;

use heartwire::{Client, Event, Heartbeat, Reconnect, State};

use crate::net::{Net, SOON, close, closed, ended, failed, ms, opened, received, silent_port, wait};
use crate::support::frames::close_frame;
use crate::support::upgrade::{read_request_head, switching_protocols};
use crate::support::watch::within;
use crate::support::{Behaviour, Relay, Setup};

const LONG: Duration = Duration::from_secs(1000);

fn first_line(client: &Client) -> String {
    client.explain().lines().next().unwrap().to_owned()
}

/// The transitions without their times.
fn transitions(client: &Client) -> Vec<String> {
    let text = client.explain();
    let lines = text.lines().filter(|line| line.contains(" -> "));
    lines.map(|line| line.split_once(" ago) ").expect("a time").1.to_owned()).collect()
}

#[track_caller]
fn assert_has(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { panic!("no {part:?} in its place in {text}") };
        rest = after;
    }
}

/// What the client stands at comes a moment after the events that led to it.
#[track_caller]
fn until(client: &Client, words: &str) -> String {
    within(SOON, words, || Some(first_line(client)).filter(|line| line.contains(words)))
}

fn a_refused_attempt_is_told_with_its_error_and_when_the_next_one_is(net: &Net) {
    let server = net.server(Behaviour::echo());
    server.stop();
    let client = net.to(&server).name("feed").reconnect(Reconnect::fixed(LONG)).build().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let url = net.url(server.address());
    let begins = format!("heartwire {version} client \"feed\" to {url}: ");
    assert_eq!(first_line(&client), begins.clone() + "idle; connect was not called");
    client.connect().unwrap();
    failed(&client);
    let first = first_line(&client);
    assert!(first.starts_with(&begins), "{first}");
    assert_has(
        &first,
        &[
            ": waiting since ",
            " ago for attempt 2, due in 16 min ",
            " s: attempt 1 failed: connect failed: ",
            "(os error ",
        ],
    );
    assert_has(
        &transitions(&client).join("\n"),
        &[
            "idle -> connecting: attempt 1, by connect\nconnecting -> waiting: attempt 1 failed: connect failed: ",
            "; next attempt in 16 min 40 s",
        ],
    );
    close(&client);
}

fn an_open_session_is_told_with_its_address_and_what_it_has_counted(net: &Net) {
    let server = net.server(Behaviour::echo().subprotocol("hush"));
    let client = net.to(&server).subprotocol("hush").connect().unwrap();
    opened(&client);
    client.send_text("hello").unwrap();
    received(&client);
    let text = client.explain();
    let address = server.address().to_string();
    let first = text.lines().next().unwrap();
    assert_has(first, &["open since ", " ago: attempt 1 (", &address, "), with a subprotocol"]);
    assert!(!text.contains("hush"));
    assert_has(
        &text,
        &[
            "sessions 1, attempts 1; sent 1 messages (5 bytes), received 1 (5 bytes)\n",
            "queued 0 messages (0 bytes)",
            "last byte received: ",
            " ago\n",
        ],
    );
    close(&client);
    assert_has(
        &transitions(&client).join("\n"),
        &[
            "connecting -> open: attempt 1 (",
            "\nopen -> closing: closed by the user, with Close 1000\n",
            "closing -> closed: closed by the user: closed cleanly with 1000 by us",
        ],
    );
}

fn a_servers_close_is_told_with_its_code_and_its_reason_in_one_line(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).reconnect(Reconnect::fixed(LONG)).connect().unwrap();
    opened(&client);
    server.wait_connected();
    server.close(1, 4000, "so\r\nmuch: \u{1b}[2J\u{202e}");
    closed(&client);
    let reason = "4000 (so\\r\\nmuch: \\u{1b}[2J\\u{202e})";
    assert_has(
        &first_line(&client),
        &["waiting since ", " for attempt 2, ", "closed cleanly with ", reason, " by the server"],
    );
    assert_has(
        &transitions(&client).join("\n"),
        &["open -> closing: the server closed with ", reason, "\nclosing -> waiting: "],
    );
    assert!(client.explain().chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'));
}

fn a_dead_link_is_told_as_the_heartbeats_verdict(net: &Net) {
    let server = net.server(Behaviour::echo());
    let relay = Relay::start(server.address());
    let beat = Heartbeat::ping().after_silence(ms(50)).timeout(ms(50)).max_missed(2);
    let rules = Reconnect::fixed(LONG);
    let client = net.through(&relay).heartbeat(beat).reconnect(rules).connect().unwrap();
    opened(&client);
    relay.stall();
    closed(&client);
    assert_has(
        &first_line(&client),
        &["waiting since ", "closed uncleanly with 1006 by this library: no answer to 2 heartbeats"],
    );
}

fn a_client_that_gave_up_says_after_what(net: &Net) {
    let server = net.server(Behaviour::echo());
    server.stop();
    let client = net.to(&server).reconnect(Reconnect::fixed(ms(1)).max_attempts(2)).connect().unwrap();
    ended(&client);
    client.wait_closed(SOON).unwrap();
    assert_has(&first_line(&client), &["closed since ", " ago: gave up: attempt 2 failed: connect failed: "]);
    let told = transitions(&client);
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(told[2], "waiting -> connecting: attempt 2");
}

fn what_is_not_worth_another_attempt_is_told_as_such(net: &Net) {
    let server = net.server(Behaviour::refuse(404, &[], "hush"));
    let client = net.to(&server).connect().unwrap();
    ended(&client);
    client.wait_closed(SOON).unwrap();
    let first = first_line(&client);
    let attempt = format!(" ago: not worth another attempt: attempt 1 ({}) failed: ", server.address());
    assert_has(&first, &["closed since ", &attempt, "the server refused the upgrade with HTTP status 404"]);
    assert!(!client.explain().contains("hush"));
}

fn a_step_that_takes_too_long_is_named(net: &Net) {
    let (_listener, address) = silent_port();
    let step = if net.is_plain() { "upgrade" } else { "TLS" };
    let rules = Reconnect::fixed(LONG);
    let client = net.builder(&net.url(address)).connect_timeout(ms(300)).reconnect(rules).connect().unwrap();
    wait(&client, |event| {
        matches!(event, Event::State(State::Connecting(p)) if p.to_string() == step).then_some(())
    });
    let first = first_line(&client);
    let (step_words, most) = (format!("connecting ({step}) since "), " ago, of at most 300 ms: attempt 1");
    // It may be over by now, on a machine that is busy.
    assert!((first.contains(&step_words) && first.contains(most)) || first.contains("waiting"), "{first}");
    failed(&client);
    let timed_out = format!(": attempt 1 ({address}) failed: {step} timed out; next attempt in 16 min 40 s");
    assert_has(&first_line(&client), &["waiting since ", &timed_out]);
}

fn a_wait_that_was_skipped_is_told_as_such(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).reconnect(Reconnect::fixed(LONG)).connect().unwrap();
    opened(&client);
    server.wait_connected();
    server.cut(1);
    closed(&client);
    client.reconnect_now();
    opened(&client);
    let told = transitions(&client);
    assert_eq!(told[told.len() - 2], "waiting -> connecting: attempt 2, by reconnect_now", "{told:#?}");
    assert!(told[told.len() - 1].starts_with("connecting -> open: attempt 2 ("), "{told:#?}");
}

fn other_urls_are_told_where_they_are_tried(net: &Net) {
    let (first, second) = (net.server(Behaviour::echo()), net.server(Behaviour::echo()));
    first.stop();
    let other = format!("{}there?token=hush", net.url(second.address()));
    let client = net.to(&first).add_url(&other).connect().unwrap();
    opened(&client);
    let shown = format!("{}there", net.url(second.address()));
    let text = client.explain();
    let open = format!(" ago: attempt 2 ({shown}, {})\n", second.address());
    assert_has(&text, &["open since ", &open, "2 URLs", &format!("-> connecting: attempt 2 ({shown})\n")]);
    assert!(!text.contains("hush"));
}

/// The next attempt has not reached anything yet when it begins.
fn the_address_is_the_attempts_own(net: &Net) {
    let server = net.start(Setup::each(|n| match n {
        1 => Behaviour::refuse(503, &[], ""),
        _ => Behaviour::echo(),
    }));
    let client = net.to(&server).connect().unwrap();
    opened(&client);
    let address = server.address();
    let told = transitions(&client);
    let begins = |n: usize, words: &str| assert!(told[n].starts_with(words), "{told:#?}");
    begins(1, &format!("connecting -> waiting: attempt 1 ({address}) failed: "));
    assert_eq!(told[2], "waiting -> connecting: attempt 2");
    begins(3, &format!("connecting -> open: attempt 2 ({address})"));
}

fn a_close_before_the_connect_is_told(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).build().unwrap();
    close(&client);
    assert_has(&first_line(&client), &[": closed since ", " ago: closed by the user"]);
    assert_eq!(transitions(&client), ["idle -> closed: closed by the user"]);
}

/// Most servers send the code and the reason of our Close back.
fn the_reason_of_the_programs_own_close_is_left_out(net: &Net) {
    let server = net.server(Behaviour::raw(|stream, _| {
        let head = read_request_head(stream).unwrap();
        stream.write_all(switching_protocols(&head, "").as_bytes()).and_then(|()| stream.flush()).unwrap();
        stream.read_exact(&mut [0; 6 + 2 + 4]).unwrap();
        stream.write_all(&close_frame(1000, "hush")).and_then(|()| stream.flush()).unwrap();
    }));
    let client = net.to(&server).connect().unwrap();
    opened(&client);
    client.close(1000, "hush").unwrap();
    assert_eq!(closed(&client).reason(), "hush");
    client.wait_closed(SOON).unwrap();
    let text = client.explain();
    assert_has(&text, &["closed since ", "closed by the user: closed cleanly with 1000 by us"]);
    assert!(!text.contains("hush"), "{text}");
}

fn what_before_connect_decides_is_told(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net
        .to(&server)
        .before_connect(|attempt| {
            if attempt.number() == 1 {
                attempt.delay(LONG)?;
            } else {
                attempt.stop();
            }
            Ok(())
        })
        .connect()
        .unwrap();
    wait(&client, |event| matches!(event, Event::State(State::Waiting { .. })).then_some(()));
    assert_has(&until(&client, "waiting"), &["for attempt 1, due in 16 min ", ": put off by before_connect"]);
    client.reconnect_now();
    opened(&client);
    server.wait_connected();
    server.cut(1);
    ended(&client);
    client.wait_closed(SOON).unwrap();
    assert_has(&first_line(&client), &["closed since ", ": stopped by before_connect"]);
}

/// Who has begun to take events and does not go on is the most common mistake there is.
fn a_client_that_is_held_up_by_events_that_nobody_takes_says_so(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).reconnect(Reconnect::fixed(ms(1))).connect().unwrap();
    opened(&client);
    server.wait_connected();
    server.cut(1);
    within(SOON, "it is overdue", || first_line(&client).contains("overdue by").then_some(()));
    assert_has(
        &client.explain(),
        &["events are pulled", "no attempt begins before the last Close or ConnectFailed is taken"],
    );
    closed(&client);
    opened(&client);
    assert!(!client.explain().contains("no attempt begins"));
    client.pause_reading();
    assert_has(&client.explain(), &["reading is paused by the program"]);
    client.resume_reading();
    assert!(!client.explain().contains("reading is paused"));
}

fn every_handler_finds_the_state_that_it_is_told_of_with_its_cause(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).reconnect(Reconnect::fixed(ms(1)).max_attempts(4)).build().unwrap();
    let (tell, told) = channel();
    let say = tell.clone();
    client.on_state(move |client, state| say.send((format!("{state}"), first_line(client))).unwrap());
    let say = tell.clone();
    client.on_open(move |client, _| say.send(("open".into(), first_line(client))).unwrap());
    let say = tell.clone();
    client.on_close(move |client, closed| say.send((closed.to_string(), first_line(client))).unwrap());
    let say = tell.clone();
    client
        .on_connect_failed(move |client, failed| say.send((failed.to_string(), first_line(client))).unwrap());
    client.on_closed_for_good(move |client, end| tell.send((end.to_string(), first_line(client))).unwrap());
    client.connect().unwrap();
    let mut events = Vec::new();
    loop {
        let (event, line) = told.recv_timeout(SOON).expect("an event");
        // Each knows where it is, and why: what follows after the state's time.
        let standing = line.split_once(" since ").expect("a state").0.rsplit(": ").next().unwrap().to_owned();
        let why = line.split_once(" ago").unwrap().1.split_once(": ").expect("a cause").1.to_owned();
        assert!(!why.is_empty());
        match event.as_str() {
            "open" => {
                assert_eq!(standing, "open");
                server.stop();
            }
            "closed" => {
                assert!(standing == "closed" && why.starts_with("gave up: attempt 4 failed: "), "{line}")
            }
            event if event.starts_with("waiting") => assert_eq!(standing, "waiting", "{line}"),
            event if event.starts_with("connecting") => assert_eq!(standing, event, "{line}"),
            event if event.starts_with("attempt") => {
                assert!(line.contains("failed: connect failed"), "{event}: {line}");
            }
            event if event.starts_with("closed uncleanly") => {
                assert!(line.contains(event), "{event}: {line}")
            }
            event if event.starts_with("gave up") => assert_eq!(standing, "closed", "{line}"),
            _ => panic!("{event}: {line}"),
        }
        let over = event.starts_with("gave up");
        events.push(event);
        if over {
            break;
        }
    }
    assert!(events.len() > 10, "{events:#?}");
}

fn a_client_explains_itself_after_its_destruction(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).build().unwrap();
    let (tell, told) = channel();
    let kept = std::sync::Mutex::new(None);
    let kept = std::sync::Arc::new(kept);
    let in_handler = kept.clone();
    client.on_message(move |client, _| {
        drop(in_handler.lock().unwrap().take());
        let _ = tell.send(client.explain());
    });
    client.connect().unwrap();
    client.wait_open(SOON).unwrap();
    client.send_text("x").unwrap();
    // The handler waits for this one, which is the last.
    *kept.lock().unwrap() = Some(client);
    let text = within(SOON, "the handler runs", || {
        server.send(1, "y");
        told.recv_timeout(ms(50)).ok().filter(|text| text.contains("destroyed"))
    });
    assert_has(&text, &[": destroyed; before that open since ", "connecting -> open"]);
}

fn a_panic_is_told_as_the_end_that_it_is(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).build().unwrap();
    client.on_message(|_, _| panic!("hush"));
    client.connect().unwrap();
    client.send_text("x").unwrap();
    client.wait_closed(SOON).unwrap();
    let text = client.explain();
    assert_has(
        &text,
        &[
            "closed since ",
            " ago: a callback panicked: closed ",
            "open -> closing: a callback panicked, with Close 1011",
        ],
    );
    assert!(!text.contains("hush"));
}

/// A server may say something hostile each time: the text keeps its lines, its order and its bound.
fn a_hostile_servers_words_neither_break_the_lines_nor_the_bound(net: &Net) {
    let reason = "\u{1}\u{202e}\r\n".repeat(123).chars().take(40).collect::<String>();
    let server = net.start(Setup::each(move |n| match n % 3 {
        0 => Behaviour::close_at_once(4000, &reason),
        1 => Behaviour::refuse(503, &[("X", &"x".repeat(9000))], "\u{1}\n".repeat(2000)),
        _ => Behaviour::echo().header("Sec-WebSocket-Extensions", &"x".repeat(9000)),
    }));
    let client = net.to(&server).reconnect(Reconnect::fixed(ms(1))).connect().unwrap();
    while client.stats().attempts() < 40 {
        wait(&client, |event| matches!(event, Event::Close(_) | Event::ConnectFailed(_)).then_some(()));
    }
    let text = client.explain();
    assert!(text.len() < 16 << 10, "{} bytes", text.len());
    assert!(text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{text}");
    assert_has(&text, &["the last 32 of ", " transitions"]);
    let lines = text.lines().skip_while(|line| !line.starts_with("the last 32 of ")).skip(1);
    assert_eq!(lines.filter(|line| line.contains(" ago) ") && line.contains(" -> ")).count(), 32, "{text}");
    assert_has(&text, &["closed cleanly with 4000 (\\u{1}\\u{202e}\\r\\n"]);
    close(&client);
}

stamp! {
    a_refused_attempt_is_told_with_its_error_and_when_the_next_one_is,
    an_open_session_is_told_with_its_address_and_what_it_has_counted,
    a_servers_close_is_told_with_its_code_and_its_reason_in_one_line,
    a_dead_link_is_told_as_the_heartbeats_verdict,
    a_client_that_gave_up_says_after_what,
    what_is_not_worth_another_attempt_is_told_as_such,
    a_step_that_takes_too_long_is_named,
    a_wait_that_was_skipped_is_told_as_such,
    other_urls_are_told_where_they_are_tried,
    the_address_is_the_attempts_own,
    a_close_before_the_connect_is_told,
    the_reason_of_the_programs_own_close_is_left_out,
    what_before_connect_decides_is_told,
    a_client_that_is_held_up_by_events_that_nobody_takes_says_so,
    every_handler_finds_the_state_that_it_is_told_of_with_its_cause,
    a_client_explains_itself_after_its_destruction,
    a_panic_is_told_as_the_end_that_it_is,
    a_hostile_servers_words_neither_break_the_lines_nor_the_bound,
}
