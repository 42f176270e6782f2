//! Servers that break RFC 6455: answered with the right code, and met again with growing delays.

use std::io::{Read, Write};

use heartwire::{Cause, Event, Initiator, ProtocolFault, Reconnect};

use crate::net::{Net, closed, ms, opened, wait};
use crate::support::Behaviour;
use crate::support::frames::{fragmented, frame, raw_frame, raw_header};
use crate::support::upgrade::{read_request_head, switching_protocols};

fn each_fault_is_answered_with_its_code(net: &Net) {
    let too_long = [frame(2, &[0; 600]), raw_header(0x82, 0, 1 << 40)];
    let cases: Vec<(&str, Vec<u8>, ProtocolFault, u16)> = vec![
        ("a reserved bit", raw_frame(0xC1, b"x"), ProtocolFault::ReservedBits, 1002),
        ("an unknown opcode", frame(3, b"x"), ProtocolFault::Opcode(3), 1002),
        ("an unknown control opcode", frame(11, b""), ProtocolFault::Opcode(11), 1002),
        ("a masked frame", raw_header(0x81, 0x80, 0), ProtocolFault::Masked, 1002),
        ("a length in too many bytes", vec![0x82, 126, 0, 5], ProtocolFault::Length, 1002),
        (
            "a length with its top bit",
            vec![0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0],
            ProtocolFault::Length,
            1002,
        ),
        ("a fragmented ping", raw_frame(0x09, b""), ProtocolFault::ControlFrame, 1002),
        ("a long ping", raw_header(0x89, 0, 126), ProtocolFault::ControlFrame, 1002),
        ("a continuation of nothing", frame(0, b"x"), ProtocolFault::UnexpectedContinuation, 1002),
        (
            "a message inside another",
            [raw_frame(0x01, b"a"), frame(1, b"b")].concat(),
            ProtocolFault::UnfinishedMessage,
            1002,
        ),
        ("a close of one byte", frame(8, b"x"), ProtocolFault::CloseFrame, 1002),
        ("a close code for no wire", frame(8, &1006_u16.to_be_bytes()), ProtocolFault::CloseFrame, 1002),
        ("text that is no UTF-8", frame(1, b"\xFF"), ProtocolFault::Utf8, 1007),
        ("UTF-8 that breaks off", fragmented(1, b"\xE2\x82", 1), ProtocolFault::Utf8, 1007),
        ("a long message", too_long[0].clone(), ProtocolFault::TooBig(500), 1009),
        ("a claim of a terabyte", too_long[1].clone(), ProtocolFault::TooBig(500), 1009),
        ("a long message in parts", fragmented(2, &[0; 600], 100), ProtocolFault::TooBig(500), 1009),
    ];
    for (what, bytes, fault, code) in cases {
        let server = net.server(Behaviour::echo());
        let client = net.to(&server).max_message_size(500).connect().unwrap();
        opened(&client);
        server.wait_connected();
        server.send_raw(1, bytes);
        let error =
            wait(&client, |event| if let Event::Error(error) = event { Some(error.clone()) } else { None });
        assert!(matches!(error.cause(), Cause::Protocol(told) if *told == fault), "{what}: {error}");
        let closed = closed(&client);
        assert_eq!((closed.code(), closed.by()), (code, Initiator::Library), "{what}: {closed}");
        assert!(closed.error().is_some() && closed.retry_in().is_some(), "{what}");
        assert_eq!(server.wait_closed().0, Some(code), "{what}");
        opened(&client);
    }
}

fn a_server_that_breaks_the_rules_each_time_is_met_with_growing_delays(net: &Net) {
    let server = net.server(Behaviour::echo().greeting("fine"));
    server.treat_new_connections(|_| {
        Behaviour::raw(|stream, _| {
            let Ok(head) = read_request_head(stream) else { return };
            let mut answer = switching_protocols(&head, "").into_bytes();
            answer.extend(frame(1, b"\xC0"));
            let _ = stream.write_all(&answer).and_then(|()| stream.flush());
            while stream.read(&mut [0; 64]).is_ok_and(|n| n > 0) {}
        })
    });
    let delays = [ms(1), ms(15), ms(30), ms(45)];
    let client = net.to(&server).reconnect(Reconnect::delays(delays)).connect().unwrap();
    let told = [(); 4].map(|()| closed(&client).retry_in().unwrap());
    assert_eq!(told, delays);
}

fn what_came_before_the_fault_is_delivered_and_nothing_after_it(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).connect().unwrap();
    opened(&client);
    server.wait_connected();
    server.send_raw(1, [frame(1, b"good"), frame(1, b"\xFF"), frame(1, b"too late")].concat());
    let mut texts = Vec::new();
    wait(&client, |event| {
        if let Event::Message(message) = event {
            texts.push(message.as_text().unwrap().to_owned());
        }
        matches!(event, Event::Close(_)).then_some(())
    });
    assert_eq!(texts, ["good"]);
}

stamp! {
    each_fault_is_answered_with_its_code,
    a_server_that_breaks_the_rules_each_time_is_met_with_growing_delays,
    what_came_before_the_fault_is_delivered_and_nothing_after_it,
}
