//! Servers and networks at their worst: what the client tells of each, from the first event to the last.
//!
//! A *story* is that in words: `open, message hello, close 1006 EndOfStream, gave up`. Clients here do not reconnect, so
//! that each story has an end.

use std::time::{Duration, Instant};

use heartwire::{Builder, Cause, Client, End, Event, Heartbeat, LinkError, Reconnect};

use crate::net::{Net, SOON, closed, ms, opened, rest, wait};
use crate::support::frames::{close_frame, fragmented, frame, ping_frame, raw_frame, raw_header};
use crate::support::upgrade::{accept_key_for, switching_protocols};
use crate::support::{Behaviour, Point, Relay, Then};

/// Why, without the numbers and words that differ between systems.
pub(crate) fn cause(error: &LinkError) -> String {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset};
    match error.cause() {
        Cause::Io(e) if matches!(e.kind(), ConnectionReset | BrokenPipe | ConnectionAborted) => {
            "reset".into()
        }
        Cause::Io(e) if e.kind() == ConnectionRefused => "refused".into(),
        Cause::Tls(fault) => format!("{:?}", fault.kind()),
        Cause::Protocol(fault) => format!("{fault:?}"),
        Cause::BadUpgrade(fault) => format!("{fault:?}"),
        Cause::Refused(refusal) => format!("status {}", refusal.status()),
        other => format!("{other:?}"),
    }
}

/// All that the client tells, in its order; states, errors (each comes again with its close) and heartbeats left out.
#[track_caller]
pub(crate) fn story(client: &Client) -> String {
    let word = |event: Event| match event {
        Event::Open(_) => Some("open".to_owned()),
        Event::Message(message) => Some(format!("message {}", message.as_text().unwrap_or("in bytes"))),
        Event::Close(closed) => {
            let why = closed.error().map_or("cleanly".into(), cause);
            let reason = if closed.is_clean() { closed.reason() } else { "" };
            Some(format!("close {} {reason} {why}", closed.code()).replace("  ", " "))
        }
        Event::ConnectFailed(failed) => {
            Some(format!("failed in {:?} {}", failed.error().phase(), cause(failed.error())))
        }
        Event::ClosedForGood(End::Closed) => Some("closed".into()),
        Event::ClosedForGood(End::GaveUp(_)) => Some("gave up".into()),
        Event::ClosedForGood(End::Fatal(_)) => Some("fatal".into()),
        _ => None,
    };
    rest(client).into_iter().filter_map(word).collect::<Vec<_>>().join(", ")
}

/// What a client without reconnects tells of a server.
#[track_caller]
fn told_of(net: &Net, behaviour: Behaviour, set: impl FnOnce(Builder) -> Builder) -> String {
    let server = net.server(behaviour);
    let builder = net.to(&server).reconnect(Reconnect::never());
    story(&set(builder).connect().unwrap())
}

/// Dead at 150 ms after the last byte.
fn beat() -> Heartbeat {
    Heartbeat::ping().after_silence(ms(50)).timeout(ms(50)).max_missed(2)
}

fn a_server_that_stops_answers_wrongly_or_hangs_up_at_any_point_is_told_for_what_it_is(net: &Net) {
    let tls = !net.is_plain();
    let in_phase = |phase: &str, why: &str| format!("failed in {phase} {why}, gave up");
    let lost = |why: &str| format!("open, close 1006 {why}, gave up");
    let shake = if tls { "Tls" } else { "Upgrade" };
    for point in [Point::Accepted, Point::Asked] {
        // RFC 6455 section 4.1: a client must not wait for ever; it says nothing of how long.
        let told = told_of(net, Behaviour::stops(point, Then::Silence), |b| b.connect_timeout(ms(200)));
        assert_eq!(told, in_phase(shake, "TimedOut"), "{point:?}");
        // The reset may be there before the client has seen that it is connected.
        let told = told_of(net, Behaviour::stops(point, Then::Reset), |b| b);
        assert!(
            [in_phase(shake, "reset"), in_phase("Connect", "reset")].contains(&told),
            "{point:?}: {told}"
        );
        let told = told_of(net, Behaviour::stops(point, Then::End), |b| b);
        // RFC 8446 section 6.1: an end without close_notify is a cut.
        let why = if tls { "Truncated" } else { "EndOfStream" };
        assert_eq!(told, in_phase(shake, why), "{point:?}");
        // RFC 8446 section 5.1: no record begins so; RFC 9112 section 4: nor does a status line.
        let told = told_of(net, Behaviour::stops(point, Then::Garbage), |b| b);
        assert_eq!(told, in_phase(shake, if tls { "Protocol" } else { "NotHttp" }), "{point:?}");
    }
    for point in [Point::Requested, Point::Answering] {
        let told = told_of(net, Behaviour::stops(point, Then::Silence), |b| b.connect_timeout(ms(300)));
        assert_eq!(told, in_phase("Upgrade", "TimedOut"), "{point:?}");
        let told = told_of(net, Behaviour::stops(point, Then::Reset), |b| b);
        assert_eq!(told, in_phase("Upgrade", "reset"), "{point:?}");
        let told = told_of(net, Behaviour::stops(point, Then::End), |b| b);
        let expected = if tls { in_phase("Tls", "Truncated") } else { in_phase("Upgrade", "EndOfStream") };
        assert_eq!(told, expected, "{point:?}");
        // RFC 9112 section 4: no status line, or a broken one.
        let told = told_of(net, Behaviour::stops(point, Then::Garbage), |b| b);
        assert_eq!(told, in_phase("Upgrade", "NotHttp"), "{point:?}");
    }
    for point in [Point::Open, Point::MidFrame, Point::MidMessage] {
        // RFC 6455 section 5.5.2: a ping may serve as a means to verify that the remote endpoint is still responsive.
        let told = told_of(net, Behaviour::stops(point, Then::Silence), |b| b.heartbeat(beat()));
        assert_eq!(told, lost("Silent { missed: 2 }"), "{point:?}");
        // RFC 6455 section 7.1.5: a connection closed without a Close frame is 1006.
        let told = told_of(net, Behaviour::stops(point, Then::Reset), |b| b);
        assert_eq!(told, lost("reset"), "{point:?}");
        let told = told_of(net, Behaviour::stops(point, Then::End), |b| b);
        assert_eq!(told, lost(if tls { "Truncated" } else { "EndOfStream" }), "{point:?}");
    }
    // RFC 6455 section 5.2 for the first byte; section 8.1 in the middle of a text.
    for (point, told) in [
        (Point::Open, "open, close 1002 ReservedBits, gave up"),
        (Point::MidFrame, "open, close 1007 Utf8, gave up"),
        (Point::MidMessage, "open, close 1002 ReservedBits, gave up"),
    ] {
        assert_eq!(told_of(net, Behaviour::stops(point, Then::Garbage), |b| b), told, "{point:?}");
    }
}

fn a_wrong_answer_to_the_upgrade_is_told_by_what_is_wrong(net: &Net) {
    let header = |line: &'static str| Behaviour::answers(move |head| switching_protocols(head, line));
    let endless = |start, more| Behaviour::endless_answer(start, more, Duration::ZERO);
    let cases = [
        // RFC 6455 section 4.1, what the client must validate, number 4.
        (Behaviour::wrong_accept(), "failed in Upgrade Accept, gave up"),
        (Behaviour::no_accept(), "failed in Upgrade Header(\"Sec-WebSocket-Accept\"), gave up"),
        // Number 1: any status but 101 is HTTP's matter; HTTP/1.1 is the least.
        (Behaviour::status_line("HTTP/1.1 200 OK"), "failed in Upgrade status 200, fatal"),
        (Behaviour::status_line("HTTP/1.0 101 Switching Protocols"), "failed in Upgrade NotHttp, gave up"),
        (Behaviour::status_line("HTTP/2 101 Switching Protocols"), "failed in Upgrade NotHttp, gave up"),
        // RFC 9112 section 4: three digits and blanks between.
        (Behaviour::status_line("HTTP/1.1 1O1 Switching Protocols"), "failed in Upgrade NotHttp, gave up"),
        (Behaviour::status_line("HTTP/1.1 10100 Switching"), "failed in Upgrade NotHttp, gave up"),
        (Behaviour::status_line("HTTP/1.1101 Switching"), "failed in Upgrade NotHttp, gave up"),
        (Behaviour::status_line("ICY 101 OK"), "failed in Upgrade NotHttp, gave up"),
        (Behaviour::status_line(""), "failed in Upgrade NotHttp, gave up"),
        // Numbers 5 and 6.
        (
            header("Sec-WebSocket-Extensions: permessage-deflate\r\n"),
            "failed in Upgrade Extension(\"permessage-deflate\"), gave up",
        ),
        (header("Sec-WebSocket-Protocol: chat\r\n"), "failed in Upgrade Subprotocol(\"chat\"), gave up"),
        // RFC 6455 sections 11.3.3: the header must not appear more than once.
        (
            Behaviour::answers(|head| {
                let again = format!("Sec-WebSocket-Accept: {}\r\n", accept_key_for(head));
                switching_protocols(head, &again)
            }),
            "failed in Upgrade Header(\"Sec-WebSocket-Accept\"), gave up",
        ),
        // RFC 6455 section 10.4: limits are ours to set. No end of headers, of a header, of the status line.
        (endless("HTTP/1.1 101 Yes\r\n", "X-More: and more\r\n"), "failed in Upgrade TooLong, gave up"),
        (endless("HTTP/1.1 101 Yes\r\nX-More: ", "and more "), "failed in Upgrade TooLong, gave up"),
        (endless("HTTP/1.1 101 ", "and more "), "failed in Upgrade TooLong, gave up"),
        // RFC 9110 section 15.2: interim answers may come before the final one; some, and not for ever.
        (endless("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"), "failed in Upgrade TooLong, gave up"),
        // RFC 9112 section 6.3: a body may end with the connection. Its status is enough for us.
        (endless("HTTP/1.1 503 No\r\n\r\n", "and more "), "failed in Upgrade status 503, gave up"),
    ];
    for (i, (behaviour, told)) in cases.into_iter().enumerate() {
        assert_eq!(told_of(net, behaviour, |b| b), told, "case {i}");
    }
}

fn headers_that_drip_do_not_stretch_the_connect_timeout(net: &Net) {
    let server = net.server(Behaviour::endless_answer("HTTP/1.1 101 Yes\r\nX-Drip: ", "drip ", ms(20)));
    let began = Instant::now();
    let builder = net.to(&server).reconnect(Reconnect::never()).connect_timeout(ms(400));
    assert_eq!(story(&builder.connect().unwrap()), "failed in Upgrade TimedOut, gave up");
    let took = began.elapsed();
    assert!(took >= ms(400) && took < ms(2400), "{took:?}");
}

fn what_breaks_the_rules_after_the_upgrade_ends_the_session_with_its_code(net: &Net) {
    let close = |payload: &[u8]| frame(8, payload);
    let bad_close = "open, close 1002 CloseFrame, gave up";
    let bad_text = "open, close 1007 Utf8, gave up";
    let mut cases = vec![
        // RFC 6455 section 5.2: reserved bits and opcodes.
        ("RSV1", raw_frame(0xC1, b"x"), "open, close 1002 ReservedBits, gave up".to_owned()),
        ("RSV2", raw_frame(0xA1, b"x"), "open, close 1002 ReservedBits, gave up".into()),
        ("RSV3", raw_frame(0x91, b"x"), "open, close 1002 ReservedBits, gave up".into()),
        ("RSV1 on a ping", raw_frame(0xC9, b""), "open, close 1002 ReservedBits, gave up".into()),
        // Section 5.1: a client must close on a masked frame.
        ("masked text", raw_header(0x81, 0x80, 5), "open, close 1002 Masked, gave up".into()),
        ("masked ping", raw_header(0x89, 0x80, 0), "open, close 1002 Masked, gave up".into()),
        // Section 5.5: control frames have at most 125 bytes and are not fragmented.
        ("a long close", raw_header(0x88, 0, 126), "open, close 1002 ControlFrame, gave up".into()),
        ("a long pong", raw_header(0x8A, 0, 1 << 20), "open, close 1002 ControlFrame, gave up".into()),
        ("a close in parts", raw_frame(0x08, b"\x03\xE8"), "open, close 1002 ControlFrame, gave up".into()),
        ("a ping in parts", raw_frame(0x09, b"x"), "open, close 1002 ControlFrame, gave up".into()),
        // Section 5.4.
        ("a continuation first", frame(0, b"x"), "open, close 1002 UnexpectedContinuation, gave up".into()),
        (
            "a continuation after the end",
            [fragmented(1, b"whole", 2), frame(0, b"x")].concat(),
            "open, message whole, close 1002 UnexpectedContinuation, gave up".into(),
        ),
        (
            "a message in a message",
            [raw_frame(0x01, b"a"), frame(2, b"b")].concat(),
            "open, close 1002 UnfinishedMessage, gave up".into(),
        ),
        // Section 8.1: a character cut by the end of its message, a surrogate across fragments, an overlong one.
        ("UTF-8 cut short", fragmented(1, "ä€".as_bytes().split_last().unwrap().1, 2), bad_text.into()),
        ("a surrogate in parts", fragmented(1, b"ok \xED\xA0\x80", 4), bad_text.into()),
        ("overlong in parts", fragmented(1, b"\xF0\x80\x80\x80", 1), bad_text.into()),
        // Section 5.2: the top bit of a length must be 0, and so 2^63 is no length; 4 GiB is one, and too long.
        ("a claim of 2^63", raw_header(0x82, 0, 1 << 63), "open, close 1002 Length, gave up".into()),
        (
            "a claim of 2^63 - 1",
            raw_header(0x82, 0, (1 << 63) - 1),
            "open, close 1009 TooBig(16777216), gave up".into(),
        ),
        (
            "a claim of 4 GiB",
            raw_header(0x82, 0, 4 << 30),
            "open, close 1009 TooBig(16777216), gave up".into(),
        ),
        // Section 5.5.1: a Close's payload is empty, or a code and a reason in UTF-8.
        ("a close of one byte", close(b"\x03"), bad_close.into()),
        ("a close with bad UTF-8", close(b"\x03\xE8bye \xFF"), bad_close.into()),
        ("a close with half a character", close(b"\x03\xE8\xE2\x82"), bad_close.into()),
        // Section 5.5.1: no data frames after a Close.
        (
            "data after close",
            [frame(1, b"before"), close_frame(1000, "bye"), frame(1, b"after")].concat(),
            "open, message before, close 1000 bye cleanly, gave up".into(),
        ),
        (
            "a second close",
            [close_frame(1001, ""), close_frame(1011, "")].concat(),
            "open, close 1001 cleanly, gave up".into(),
        ),
    ];
    // Section 7.4: codes that are not sent on a wire, or belong to nobody.
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535_u16] {
        cases.push(("a code that must not be sent", close_frame(code, ""), bad_close.into()));
    }
    // Section 5.2: those that are reserved.
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        let told = format!("open, close 1002 Opcode({opcode}), gave up");
        cases.push(("a reserved opcode", frame(opcode, b""), told));
    }
    for (what, bytes, told) in cases {
        let shown = format!("{bytes:02x?}");
        // A server that does not end the connection after our Close costs the close timeout.
        let heard = told_of(net, Behaviour::opens_with(bytes), |b| b.close_timeout(ms(50)));
        assert_eq!(heard, told, "{what}: {}", &shown[..shown.len().min(80)]);
    }
}

fn a_conversation_that_comes_byte_by_byte_is_the_same(net: &Net) {
    // RFC 6455 section 5.4: frames have no relation to segments; control frames may come between fragments.
    let parts = fragmented(1, "grüße in parts".as_bytes(), 3);
    let bytes = [
        frame(1, b"first"),
        ping_frame(b"ping"),
        parts[..5].to_vec(),
        ping_frame(b"between"),
        parts[5..].to_vec(),
        frame(2, &[7; 300]),
        close_frame(4001, "done"),
    ]
    .concat();
    let told = told_of(net, Behaviour::opens_byte_by_byte(bytes), |b| b.close_timeout(ms(50)));
    let messages = "message first, message grüße in parts, message in bytes";
    assert_eq!(told, format!("open, {messages}, close 4001 done cleanly, gave up"));
}

fn a_link_that_falls_silent_is_found_within_interval_and_misses_times_timeout(net: &Net) {
    let (interval, timeout, misses) = (ms(200), ms(150), 2);
    let patience = interval + timeout * misses;
    let beat = Heartbeat::ping().after_silence(interval).timeout(timeout).max_missed(misses);
    let server = net.server(Behaviour::echo());
    let relay = Relay::start(server.address());
    let client = net.through(&relay).heartbeat(beat).connect().unwrap();
    for stall in [Relay::stall, Relay::stall_up, Relay::stall_down] {
        opened(&client);
        client.send_text("the last byte that comes back").unwrap();
        wait(&client, |event| matches!(event, Event::Message(_)).then_some(()));
        stall(&relay);
        let silent = Instant::now();
        let closed = closed(&client);
        let took = silent.elapsed();
        assert_eq!(cause(closed.error().unwrap()), "Silent { missed: 2 }");
        // The last byte came a moment before the stall. Above, a busy machine is given a second.
        assert!(took + ms(100) >= patience && took <= patience + ms(1000), "{took:?}, not {patience:?}");
        relay.flow();
    }
    opened(&client);
}

fn a_server_that_accepts_and_closes_is_met_with_growing_delays_for_as_long_as_it_does(net: &Net) {
    // RFC 6455 section 7.2.3: delays should grow. Minutes of it are in src/link/tests, with invented time.
    let server = net.server(Behaviour::close_at_once(1013, "later"));
    let growing = Reconnect::exponential().floor(ms(5)).base(ms(10)).max(ms(400));
    let client = net.to(&server).reconnect(growing).connect().unwrap();
    let began = Instant::now();
    let mut told = Vec::new();
    for n in 0..12 {
        let delay = closed(&client).retry_in().unwrap();
        // 5 ms and a random part of 10 ms * 2^n, at most 400 ms.
        assert!(delay >= ms(5) && delay <= ms(5 + (10 << n).min(400)), "delay {n} is {delay:?}");
        assert!(
            began.elapsed() >= told.iter().sum::<Duration>(),
            "a session that came before its time, after {told:?}"
        );
        told.push(delay);
    }
    // Three can have 85 ms at most; four of those at the end have 820 ms on average, and fewer than that once in 30 000.
    assert!(told[8..].iter().sum::<Duration>() > told[..3].iter().sum::<Duration>(), "{told:?}");
    assert_eq!(client.stats().sessions(), told.len() as u64);
    let began = Instant::now();
    client.close(1000, "").unwrap();
    assert!(matches!(client.wait_closed(SOON).unwrap(), End::Closed));
    assert!(began.elapsed() < ms(1000), "a close does not wait for the delay: {:?}", began.elapsed());
}

fn a_server_that_floods_and_never_reads_costs_a_close_its_timeout_and_a_drop_nothing(net: &Net) {
    // RFC 6455 section 7.1.7: a client need not wait for a misbehaving server's Close.
    let chunk =
        [frame(2, &[1; 1000]), ping_frame(&[2; 100]), frame(10, b"pong of nothing")].concat().repeat(50);
    let server = net.server(Behaviour::floods([], chunk, usize::MAX, []));
    let connect = || {
        let client = net.to(&server).close_timeout(ms(300)).build().unwrap();
        client.on_message(|_, _| {});
        client.connect().unwrap();
        client.wait_open(SOON).unwrap();
        client
    };
    let client = connect();
    let began = Instant::now();
    client.close(1000, "").unwrap();
    assert!(began.elapsed() < ms(100), "{:?}", began.elapsed());
    assert!(matches!(client.wait_closed(SOON).unwrap(), End::Closed));
    assert!(began.elapsed() < ms(1300), "{:?}", began.elapsed());

    let client = connect();
    let began = Instant::now();
    drop(client);
    assert!(began.elapsed() < ms(500), "{:?}", began.elapsed());
}

stamp! {
    a_server_that_floods_and_never_reads_costs_a_close_its_timeout_and_a_drop_nothing,
    a_server_that_stops_answers_wrongly_or_hangs_up_at_any_point_is_told_for_what_it_is,
    a_wrong_answer_to_the_upgrade_is_told_by_what_is_wrong,
    headers_that_drip_do_not_stretch_the_connect_timeout,
    what_breaks_the_rules_after_the_upgrade_ends_the_session_with_its_code,
    a_conversation_that_comes_byte_by_byte_is_the_same,
    a_link_that_falls_silent_is_found_within_interval_and_misses_times_timeout,
    a_server_that_accepts_and_closes_is_met_with_growing_delays_for_as_long_as_it_does,
}
