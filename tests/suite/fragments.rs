//! Long messages in parts: what comes how, what a cut, a close or a fault does to one, and who holds back whom.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crossbeam_channel::{Receiver, unbounded};
use heartwire::{Cause, Client, Dispatch, Event, Fragment, Heartbeat, ProtocolFault};

use crate::net::{Net, SOON, close, closed, ms, opened, rest, wait};
use crate::support::Behaviour;
use crate::support::frames::{fragmented, frame, ping_frame, raw_frame, raw_header};
use crate::support::watch::within;

/// What handlers tell, in its order.
#[derive(Debug, PartialEq)]
enum Heard {
    Message(String),
    Part(Fragment),
    Error,
    Closed(u16),
}

impl Heard {
    fn part(self) -> Fragment {
        match self {
            Heard::Part(part) => part,
            other => panic!("{other:?} is no part"),
        }
    }
}

/// Registers handlers of all that matters here.
fn hear(client: &Client) -> Receiver<Heard> {
    let (tell, heard) = unbounded();
    let told = tell.clone();
    client.on_message(move |_, message| drop(told.send(Heard::Message(message.to_string()))));
    let told = tell.clone();
    client.on_fragment(move |_, part| drop(told.send(Heard::Part(part.to_fragment()))));
    let told = tell.clone();
    client.on_error(move |_, _| drop(told.send(Heard::Error)));
    client.on_close(move |_, closed| drop(tell.send(Heard::Closed(closed.code()))));
    heard
}

#[track_caller]
fn next(heard: &Receiver<Heard>) -> Heard {
    heard.recv_timeout(SOON).expect("something is told")
}

/// The parts of one message, joined; others do not come in between.
#[track_caller]
pub(crate) fn joined(mut next: impl FnMut() -> Fragment) -> Vec<u8> {
    let mut message = Vec::new();
    loop {
        let part = next();
        assert_eq!(part.offset(), message.len() as u64);
        assert_eq!(part.is_first(), message.is_empty());
        assert!(!part.is_aborted(), "{part}");
        message.extend_from_slice(part.as_bytes());
        if part.is_last() {
            return message;
        }
    }
}

#[track_caller]
pub(crate) fn pulled(client: &Client) -> Fragment {
    wait(client, |event| if let Event::Fragment(part) = event { Some(part.clone()) } else { None })
}

/// Bytes of which each place is told from its neighbours.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 7 + n / 251) as u8).collect()
}

fn long_messages_come_in_parts_and_others_whole(net: &Net) {
    for dispatch in [Dispatch::Loop, Dispatch::Thread] {
        let server = net.server(Behaviour::echo());
        let client = net.to(&server).dispatch(dispatch).fragments_above(1000).build().unwrap();
        let heard = hear(&client);
        client.connect().unwrap();
        let long = "grüße 你好 \u{1F980} ".repeat(20_000);
        client.send_text("short").unwrap();
        client.send_text(&long).unwrap();
        client.send_binary(&pattern(1000)).unwrap();
        client.send_binary(&pattern(1001)).unwrap();
        assert_eq!(next(&heard), Heard::Message("short".to_owned()));
        let part = || {
            let part = next(&heard).part();
            assert!(part.as_text().is_some(), "text, whole characters");
            part
        };
        assert_eq!(joined(part), long.as_bytes());
        assert_eq!(next(&heard), Heard::Message("[1000 bytes]".to_owned()));
        assert_eq!(joined(|| next(&heard).part()), pattern(1001));
        let stats = client.stats();
        assert_eq!(stats.messages_received(), 4, "each is counted once");
        assert_eq!(stats.bytes_received(), (5 + long.len() + 2001) as u64);
        close(&client);
        assert_eq!(next(&heard), Heard::Closed(1000), "nothing was cut off");
    }
}

fn whoever_pulls_gets_parts_that_wait_in_a_bounded_queue(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).fragments_above(0).inbound_queue(4, 200_000).connect().unwrap();
    opened(&client);
    let message = pattern(3_000_000);
    server.send_raw(server.wait_connected().0, fragmented(2, &message, 40_000));
    assert_eq!(joined(|| pulled(&client)), message);
    assert_eq!(client.stats().messages_received(), 1);
    close(&client);
}

/// A handler that pauses gets one part; the next one comes when reading is resumed, and not before.
fn pausing_in_the_handler_holds_back_the_very_next_part(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).fragments_above(0).build().unwrap();
    let (tell, parts) = unbounded();
    let resumed = Arc::new(AtomicUsize::new(0));
    let allowed = resumed.clone();
    let mut came = 0;
    client.on_fragment(move |client, part| {
        assert_eq!(came, allowed.load(Ordering::SeqCst), "one for each time that reading was resumed");
        came += 1;
        client.pause_reading();
        tell.send(part.to_fragment()).unwrap_or_default();
    });
    client.connect().unwrap();
    let message = pattern(600_000);
    let frames = [fragmented(2, &message, 50_000), frame(2, b"next")].concat();
    server.send_raw(server.wait_connected().0, frames);
    let next = || {
        let part: Fragment = parts.recv_timeout(SOON).expect("a part");
        resumed.fetch_add(1, Ordering::SeqCst);
        client.resume_reading();
        part
    };
    assert_eq!(joined(next), message);
    assert_eq!(joined(next), b"next");
    close(&client);
}

fn a_message_that_is_cut_off_is_told_so_and_the_next_session_begins_anew(net: &Net) {
    for dispatch in [Dispatch::Loop, Dispatch::Thread] {
        let server = net.server(Behaviour::silent());
        let client = net.to(&server).dispatch(dispatch).fragments_above(10).build().unwrap();
        let heard = hear(&client);
        client.connect().unwrap();
        let (first, _) = server.wait_connected();
        server.send_raw(first, [raw_header(0x81, 0, 1 << 40), "half a text".into()].concat());
        let mut came = String::new();
        while came != "half a text" {
            came.push_str(next(&heard).part().as_text().unwrap());
        }
        server.cut(first);
        let aborted = next(&heard).part();
        assert!(aborted.is_aborted() && aborted.is_text() && aborted.is_empty(), "{aborted}");
        assert!(!aborted.is_first() && !aborted.is_last());
        assert_eq!(aborted.offset(), 11, "so much had come");
        assert_eq!(next(&heard), Heard::Error);
        assert_eq!(next(&heard), Heard::Closed(1006));

        let (second, _) = server.wait_connected();
        server.send_raw(second, frame(2, &pattern(5000)));
        assert_eq!(joined(|| next(&heard).part()), pattern(5000));
        // Where nothing of a message was told, nothing is cut off.
        server.send_raw(second, raw_header(0x81, 0, 1 << 40));
        server.cut(second);
        assert_eq!(next(&heard), Heard::Error);
        assert_eq!(next(&heard), Heard::Closed(1006));
        assert_eq!(client.stats().messages_received(), 1);
        close(&client);
    }
}

fn a_text_that_turns_out_wrong_is_cut_off_and_the_session_fails_with_1007(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).fragments_above(10).connect().unwrap();
    opened(&client);
    let (n, _) = server.wait_connected();
    let good = "good until the end ".repeat(10_000);
    let frames = [raw_frame(0x01, good.as_bytes()), raw_frame(0x80, b"\xe4\xbd")];
    server.send_raw(n, frames.concat());
    let mut came = 0;
    let aborted = loop {
        let part = pulled(&client);
        if part.is_aborted() {
            break part;
        }
        assert!(!part.is_last());
        came += part.len();
    };
    assert_eq!((came, aborted.offset()), (good.len(), good.len() as u64));
    let closed = closed(&client);
    assert!(matches!(closed.error().unwrap().cause(), Cause::Protocol(ProtocolFault::Utf8)), "{closed}");
    assert_eq!(closed.code(), 1007);
    assert_eq!(server.wait_closed().0, Some(1007));
    assert_eq!(client.stats().messages_received(), 0);
    drop(client);
}

fn a_message_over_its_own_limit_is_cut_off_with_1009(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).fragments_above(10).max_message_size(100_000).connect().unwrap();
    opened(&client);
    let (n, _) = server.wait_connected();
    server.send_raw(n, [raw_frame(0x02, &[1; 100_000]), raw_frame(0x80, b"!")].concat());
    while !pulled(&client).is_aborted() {}
    assert_eq!(closed(&client).code(), 1009);
    drop(client);
}

/// On either thread: no part after the close, and one word that there is no end.
fn a_close_in_the_middle_cuts_the_message_off(net: &Net) {
    for dispatch in [Dispatch::Loop, Dispatch::Thread] {
        let server = net.server(Behaviour::silent());
        let client =
            net.to(&server).dispatch(dispatch).fragments_above(0).close_timeout(ms(300)).build().unwrap();
        let (tell, parts) = unbounded();
        client.on_fragment(move |client, part| {
            // What is read with it, and what waits in the queue, is not delivered.
            client.close(1000, "enough").unwrap();
            tell.send(part.to_fragment()).unwrap_or_default();
        });
        client.connect().unwrap();
        server.send_raw(server.wait_connected().0, fragmented(2, &pattern(900_000), 1000));
        let first = parts.recv_timeout(SOON).unwrap();
        assert!(first.is_first() && !first.is_last());
        let aborted = parts.recv_timeout(SOON).unwrap();
        assert!(aborted.is_aborted(), "{aborted}");
        assert_eq!(aborted.offset(), first.len() as u64);
        client.wait_closed(SOON).unwrap();
        drop(client);
        assert!(parts.recv_timeout(SOON).is_err(), "nothing comes behind it");
    }
}

fn the_servers_close_in_the_middle_cuts_the_message_off(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).fragments_above(0).connect().unwrap();
    opened(&client);
    let (n, _) = server.wait_connected();
    server.send_raw(n, raw_frame(0x01, b"begun"));
    assert!(pulled(&client).is_first());
    server.close(n, 1001, "away");
    assert!(pulled(&client).is_aborted());
    let closed = closed(&client);
    assert_eq!((closed.code(), closed.is_clean()), (1001, true));
    drop(client);
}

fn pings_between_the_frames_of_a_long_message_are_answered(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).fragments_above(0).connect().unwrap();
    opened(&client);
    let (n, _) = server.wait_connected();
    server.send_raw(n, [raw_frame(0x02, b"one"), ping_frame(b"there?")].concat());
    assert_eq!(pulled(&client).as_bytes(), b"one");
    server.wait_for(SOON, |event| match event {
        crate::support::ServerEvent::Pong { .. } => Some(()),
        _ => None,
    });
    // The client sends, too, meanwhile.
    client.send_text("hello").unwrap();
    assert_eq!(server.wait_message().as_text(), Some("hello"));
    server.send_raw(n, raw_frame(0x80, b"two"));
    let last = pulled(&client);
    assert_eq!((last.as_bytes(), last.offset(), last.is_last()), (&b"two"[..], 3, true));
    close(&client);
}

fn handlers_that_come_and_go_in_the_middle_of_a_message_hear_whole_ones(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).fragments_above(0).build().unwrap();
    let hear = |client: &Client| {
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let into = heard.clone();
        let id = client.on_fragment(move |_, part| {
            let mut heard = into.lock().unwrap();
            if part.is_first() {
                heard.push(String::new());
            }
            heard.last_mut().expect("a beginning").push_str(part.as_text().unwrap());
        });
        (id, heard)
    };
    let (first, by_first) = hear(&client);
    let (_, by_second) = hear(&client);
    client.connect().unwrap();
    let (n, _) = server.wait_connected();
    let came = |heard: &Arc<Mutex<Vec<String>>>, all: &[&str]| {
        within(SOON, "the message", || (*heard.lock().unwrap() == all).then_some(()));
    };
    server.send_raw(n, raw_frame(0x01, b"one"));
    came(&by_second, &["one"]);
    assert!(client.remove_listener(first));
    let (_, by_third) = hear(&client);
    server.send_raw(n, raw_frame(0x80, b" two"));
    came(&by_second, &["one two"]);
    server.send_raw(n, frame(1, b"three"));
    came(&by_second, &["one two", "three"]);
    came(&by_third, &["three"]);
    assert_eq!(*by_first.lock().unwrap(), ["one"]);
    close(&client);
}

/// Where any message is an answer, one that is still coming is.
fn a_long_message_is_an_answer_to_a_beat_that_takes_any(net: &Net) {
    let server = net.server(Behaviour::silent());
    let beat = Heartbeat::text("beat").any_reply().every(ms(20)).timeout(SOON);
    let client = net.to(&server).fragments_above(0).heartbeat(beat).connect().unwrap();
    opened(&client);
    let (n, _) = server.wait_connected();
    assert_eq!(server.wait_message().as_text(), Some("beat"));
    server.send_raw(n, raw_frame(0x02, b"begun"));
    wait(&client, |event| matches!(event, Event::Heartbeat(_)).then_some(()));
    drop(client);
}

/// A program that does not take its parts yet, or asks late, gets no message without its beginning.
fn parts_from_before_anyone_asked_are_of_whole_messages(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).fragments_above(0).inbound_queue(100, 100_000).connect().unwrap();
    let (n, _) = server.wait_connected();
    server.send_raw(n, [fragmented(2, &pattern(500_000), 9000), frame(1, b"after it")].concat());
    within(SOON, "both have come", || (client.stats().messages_received() == 2).then_some(()));
    let part = pulled(&client);
    assert_eq!((part.as_text(), part.is_first(), part.is_last()), (Some("after it"), true, true));
    assert!(client.stats().events_discarded() >= 5);
    client.close(1000, "").unwrap();
    assert!(!rest(&client).iter().any(|event| matches!(event, Event::Fragment(_))));
}

stamp! {
    long_messages_come_in_parts_and_others_whole,
    whoever_pulls_gets_parts_that_wait_in_a_bounded_queue,
    pausing_in_the_handler_holds_back_the_very_next_part,
    a_message_that_is_cut_off_is_told_so_and_the_next_session_begins_anew,
    a_text_that_turns_out_wrong_is_cut_off_and_the_session_fails_with_1007,
    a_message_over_its_own_limit_is_cut_off_with_1009,
    a_close_in_the_middle_cuts_the_message_off,
    the_servers_close_in_the_middle_cuts_the_message_off,
    pings_between_the_frames_of_a_long_message_are_answered,
    handlers_that_come_and_go_in_the_middle_of_a_message_hear_whole_ones,
    a_long_message_is_an_answer_to_a_beat_that_takes_any,
    parts_from_before_anyone_asked_are_of_whole_messages,
}
