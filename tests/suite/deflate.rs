//! Compression: what is agreed on, messages both ways, and what a server may not do (RFC 7692).

use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use heartwire::{Cause, Client, Deflate, Delivery, Fate, Level, Phase, ProtocolFault, UpgradeFault};

use crate::fragments::{joined, pulled};
use crate::net::{Net, close, closed, failed, opened, received, wait};
use crate::proven::{fate, send_at};
use crate::support::deflate::{Compressing, agreeing, compressed, echo};
use crate::support::frames::raw_frame;
use crate::support::upgrade::read_request_head;
use crate::support::watch::within;
use crate::support::{Behaviour, Relay, Server};

fn json(n: usize) -> String {
    format!(r#"{{"event":"trade","id":{n},"symbol":"心跳","price":{}.5,"side":"buy"}},"#, n % 70).repeat(30)
}

fn messages_come_and_go_compressed(net: &Net) {
    let seen: Arc<Mutex<Vec<(bool, usize, usize)>>> = Arc::default();
    for (parameters, takeover) in
        [("", true), ("; client_no_context_takeover; server_max_window_bits=15", false)]
    {
        let seeing = seen.clone();
        let server = net.server(echo(parameters, move |received| {
            seeing.lock().unwrap().push((received.compressed, received.on_wire, received.payload.len()));
        }));
        let client = net.to(&server).compression(Deflate::new()).connect().unwrap();
        let told = opened(&client);
        let agreed = format!("permessage-deflate{parameters}");
        assert_eq!(told.header("Sec-WebSocket-Extensions"), Some(agreed.as_str()));
        let messages = ["short".to_string(), json(1), json(1), json(2)];
        for message in &messages {
            client.send_text(message).unwrap();
            assert_eq!(received(&client).as_text(), Some(message.as_str()));
        }
        let stats = client.stats();
        let bytes: usize = messages.iter().map(String::len).sum();
        assert_eq!(stats.messages_sent(), 4);
        assert_eq!((stats.bytes_sent(), stats.bytes_received()), (bytes as u64, bytes as u64));
        assert_eq!(client.buffered_amount(), 0);
        close(&client);
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        let flags: Vec<bool> = seen.iter().map(|(compressed, ..)| *compressed).collect();
        assert_eq!(flags, [false, true, true, true], "what is short goes as it is");
        assert!(seen[1..].iter().all(|(_, on_wire, payload)| on_wire * 4 < *payload), "{seen:?}");
        assert_eq!(seen[2].1 * 2 < seen[1].1, takeover, "{seen:?}");
    }
}

fn what_is_compressed_reaches_its_level_and_goes_again_whole(net: &Net) {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let seeing = seen.clone();
    let server = net.server(echo("", move |received| {
        seeing.lock().unwrap().push(String::from_utf8(received.payload.clone()).unwrap());
    }));
    let relay = Relay::start(server.address());
    let client = net.through(&relay).compression(Deflate::new()).report_outcomes(true);
    let client = client.delivery(Delivery::AtLeastOnce).connect().unwrap();
    opened(&client);
    for level in [Level::Acked, Level::Processed] {
        let id = send_at(&client, &json(1), level);
        assert_eq!(fate(&client, id), Fate::Completed(level));
    }
    // It gets nowhere on this session.
    relay.stall_up();
    let id = send_at(&client, &json(2), Level::Processed);
    relay.cut();
    relay.flow();
    assert_eq!(fate(&client, id), Fate::Completed(Level::Processed));
    close(&client);
    assert_eq!(*seen.lock().unwrap(), [json(1), json(1), json(2)]);
}

fn messages_from_many_threads_are_read_in_the_order_of_the_wire(net: &Net) {
    const EACH: usize = 200;
    let read = Arc::new(AtomicUsize::new(0));
    let counted = read.clone();
    let server = net.server(echo("", move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    }));
    let part = |n: usize| json(n).chars().take(n).collect::<String>();
    let client = net.to(&server).compression(Deflate::new().threshold(100)).connect().unwrap();
    opened(&client);
    let senders: Vec<_> = (0..4)
        .map(|thread| {
            let client = client.clone();
            std::thread::spawn(move || {
                for n in 0..EACH {
                    client.send_text(&format!("{thread} {n} {}", part(n))).unwrap();
                }
            })
        })
        .collect();
    let mut next = [0; 4];
    for _ in 0..4 * EACH {
        let message = received(&client);
        let mut words = message.as_text().unwrap().splitn(3, ' ').map(str::to_owned);
        let (thread, n): (usize, usize) =
            (words.next().unwrap().parse().unwrap(), words.next().unwrap().parse().unwrap());
        assert_eq!(n, next[thread]);
        assert_eq!(words.next().unwrap(), part(n));
        next[thread] += 1;
    }
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    assert_eq!(read.load(Ordering::SeqCst), 4 * EACH);
    close(&client);
}

/// The next session's server inflates with an empty window, so what is sent again was compressed anew.
fn what_a_cut_left_unwritten_is_compressed_anew(net: &Net) {
    let last = Arc::new(AtomicU64::new(0));
    let seen = last.clone();
    let server = net.server(Behaviour::raw(move |stream, n| {
        let Ok(mut session) = Compressing::open(stream, "") else { return };
        // The first two sessions take a few and hang up in the middle of one.
        let mut left = if n < 2 { 5 } else { usize::MAX };
        while let Ok(Some(received)) = session.next() {
            let text = String::from_utf8(received.payload).unwrap();
            let number: u64 = text.split(' ').next().unwrap().parse().unwrap();
            assert!(seen.fetch_max(number, Ordering::SeqCst) < number, "doubled, or out of order");
            left -= 1;
            if left == 0 {
                return;
            }
        }
    }));
    let client = net.to(&server).compression(Deflate::new()).connect().unwrap();
    for number in 1..=200 {
        client.send_text(&format!("{number} {}", json(number))).unwrap();
    }
    within(crate::net::SOON, "the last message", || (last.load(Ordering::SeqCst) == 200).then_some(()));
    drop(client);
}

fn a_server_may_decline(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).compression(Deflate::new().threshold(0)).connect().unwrap();
    assert_eq!(opened(&client).header("Sec-WebSocket-Extensions"), None);
    let offer = "permessage-deflate; client_max_window_bits";
    assert_eq!(server.wait_connected().1.header("Sec-WebSocket-Extensions"), Some(offer));
    // The server takes no reserved bit.
    client.send_text(&json(1)).unwrap();
    assert_eq!(received(&client).as_text(), Some(json(1).as_str()));
    close(&client);
}

fn an_answer_that_does_not_fit_the_offer_fails_the_upgrade(net: &Net) {
    for (answer, expected) in [
        ("permessage-deflate; server_max_window_bits=13", "server_max_window_bits"),
        ("permessage-deflate; server_max_window_bits=10; mirror", "mirror"),
        ("permessage-deflate; server_max_window_bits=10, permessage-deflate", "permessage-deflate"),
    ] {
        let server = net.server(Behaviour::echo().header("Sec-WebSocket-Extensions", answer));
        let deflate = Deflate::new().server_max_window_bits(10);
        let client = net.to(&server).compression(deflate).connect().unwrap();
        let failed = failed(&client);
        assert_eq!(failed.error().phase(), Phase::Upgrade);
        let Cause::BadUpgrade(UpgradeFault::Deflate(parameter)) = failed.error().cause() else {
            panic!("{}", failed.error())
        };
        assert_eq!(parameter, expected);
    }
}

/// A server that agrees, sends these bytes, and tells with which code the client closed.
fn sending(net: &Net, bytes: Vec<u8>) -> (Server, Arc<Mutex<Option<u16>>>) {
    let code = Arc::new(Mutex::new(None));
    let told = code.clone();
    let server = net.server(Behaviour::raw(move |stream, _| {
        let Ok(head) = read_request_head(stream) else { return };
        let answer = [agreeing(&head, "").as_bytes(), &bytes].concat();
        let _ = stream.write_all(&answer).and_then(|()| stream.flush());
        let mut frame = [0; 8];
        if stream.read_exact(&mut frame).is_ok() && frame[0] == 0x88 {
            *told.lock().unwrap() = Some(u16::from_be_bytes([frame[6] ^ frame[2], frame[7] ^ frame[3]]));
        }
    }));
    (server, code)
}

fn what_breaks_the_rules_of_compression_ends_the_session_with_its_code(net: &Net) {
    let mut cut = compressed(json(1).as_bytes());
    cut[40..].iter_mut().for_each(|byte| *byte = !*byte);
    for (bytes, fault, code) in [
        (raw_frame(0xC1, &cut), None, 1007),
        (raw_frame(0xC1, &[7]), Some(ProtocolFault::Deflate), 1007),
        (raw_frame(0xC1, &compressed(b"\xff\xfe")), Some(ProtocolFault::Utf8), 1007),
        (raw_frame(0xC9, b"ping"), Some(ProtocolFault::ReservedBits), 1002),
        ([raw_frame(0x41, b""), raw_frame(0xC0, b"")].concat(), Some(ProtocolFault::ReservedBits), 1002),
        (raw_frame(0xA1, b""), Some(ProtocolFault::ReservedBits), 1002),
        (raw_frame(0xC2, &compressed(&[0; 200_001])), Some(ProtocolFault::TooBig(200_000)), 1009),
    ] {
        let (server, told) = sending(net, bytes);
        let builder = net.to(&server).compression(Deflate::new()).max_message_size(200_000);
        let client = builder.connect().unwrap();
        opened(&client);
        let closed = closed(&client);
        let Some(Cause::Protocol(found)) = closed.error().map(heartwire::LinkError::cause) else {
            panic!("{closed}")
        };
        assert!(fault.is_none_or(|fault| fault == *found), "{found}");
        assert_eq!(closed.code(), code, "{found}");
        within(crate::net::SOON, "the client's Close", || *told.lock().unwrap());
        assert_eq!(*told.lock().unwrap(), Some(code));
        drop(client);
    }
}

fn a_close_in_the_middle_is_answered(net: &Net) {
    let server = net.server(Behaviour::raw(|stream, _| {
        let Ok(mut session) = Compressing::open(stream, "") else { return };
        let _ = session.send(true, json(1).as_bytes()).and_then(|()| session.close(1001));
        while let Ok(Some(_)) = session.next() {}
    }));
    let client: Client = net.to(&server).compression(Deflate::new()).connect().unwrap();
    client.send_text(&json(7)).unwrap();
    let mut message = None;
    let closed = wait(&client, |event| match event {
        heartwire::Event::Message(came) => {
            message = Some(came.clone());
            None
        }
        heartwire::Event::Close(closed) => Some(closed.clone()),
        _ => None,
    });
    assert_eq!(message.unwrap().as_text(), Some(json(1).as_str()));
    assert_eq!((closed.code(), closed.is_clean()), (1001, true));
}

fn compressed_messages_come_in_parts(net: &Net) {
    let long = json(1).repeat(1000);
    let server = net.server(echo("", |_| {}));
    let client = net.to(&server).compression(Deflate::new()).fragments_above(5000).connect().unwrap();
    opened(&client);
    for message in [&long, &json(2)] {
        client.send_text(message).unwrap();
        if message.len() > 5000 {
            assert_eq!(joined(|| pulled(&client)), message.as_bytes());
        } else {
            assert_eq!(received(&client).as_text(), Some(message.as_str()));
        }
    }
    close(&client);
}

fn a_bomb_comes_in_small_parts_and_is_cut_off_at_its_limit(net: &Net) {
    const LIMIT: usize = 8 << 20;
    let server = net.server(Behaviour::raw(|stream, _| {
        let Ok(mut session) = Compressing::open(stream, "") else { return };
        let _ = session.send(false, &vec![0; 2 * LIMIT]);
        while let Ok(Some(_)) = session.next() {}
    }));
    let builder = net.to(&server).compression(Deflate::new()).fragments_above(5000).max_message_size(LIMIT);
    let client = builder.connect().unwrap();
    let mut came = 0;
    let aborted = loop {
        let part = pulled(&client);
        if part.is_aborted() {
            break part;
        }
        assert!(part.len() <= 64 << 10, "{part}");
        came += part.len();
    };
    assert_eq!(aborted.offset(), came as u64);
    assert!(came <= LIMIT, "{came}");
    assert_eq!(closed(&client).code(), 1009);
    drop(client);
}

stamp! {
    messages_come_and_go_compressed,
    what_is_compressed_reaches_its_level_and_goes_again_whole,
    messages_from_many_threads_are_read_in_the_order_of_the_wire,
    what_a_cut_left_unwritten_is_compressed_anew,
    a_server_may_decline,
    an_answer_that_does_not_fit_the_offer_fails_the_upgrade,
    what_breaks_the_rules_of_compression_ends_the_session_with_its_code,
    a_close_in_the_middle_is_answered,
    compressed_messages_come_in_parts,
    a_bomb_comes_in_small_parts_and_is_cut_off_at_its_limit,
}
