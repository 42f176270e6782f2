//! What the writing half promises about compression.

use std::io::ErrorKind;

use proptest::prelude::*;

use super::peer::{Peer, agreed};
use crate::config::deflate::Deflate;
use crate::config::delivery::Terms;
use crate::entry::{Entry, Kind, Part, Record};
use crate::event::MessageId;
use crate::session::tests::frames::{PING, Seen, client};
use crate::session::tests::stream::{Scripted, Step};
use crate::session::wire::{Flush, Wire};

const BLOCK: Step = Step::Fail(ErrorKind::WouldBlock);

fn wire(parameters: &str, stream: Scripted) -> Wire<Scripted> {
    let mut wire = Wire::new(stream);
    wire.agree(&agreed(parameters));
    wire
}

fn entry(id: u64, payload: &[u8]) -> Entry {
    Entry {
        id: MessageId(id),
        kind: Kind::Binary,
        part: Part::Whole,
        payload: payload.to_vec(),
        expires: None,
        record: Record::default(),
    }
}

/// The data messages as the server reads them.
fn read(parameters: &str, out: &[u8]) -> Vec<Vec<u8>> {
    let mut peer = Peer::new(parameters);
    let (frames, rest) = client(out);
    assert_eq!(rest, 0);
    let data = frames.into_iter().filter(|frame| frame.first & 0x08 == 0);
    data.map(|Seen { first, payload }| match first {
        0xC1 | 0xC2 => peer.inflate(&payload),
        _ => payload,
    })
    .collect()
}

fn json(n: usize) -> Vec<u8> {
    format!(r#"{{"event":"trade","id":{n},"price":{}.5,"side":"buy"}}"#, 100 + n % 7).into_bytes()
}

/// Bytes that no compressor makes smaller.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    use rand::{Rng, SeedableRng};
    let mut bytes = vec![0; len];
    rand::rngs::SmallRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

#[test]
fn what_is_short_or_empty_or_a_control_frame_goes_as_it_is() {
    let mut wire = Wire::new(Scripted::default());
    wire.agree(&Deflate::new().threshold(100).judge(["permessage-deflate"].into_iter()).unwrap().unwrap());
    wire.send_now(MessageId(1), Kind::Text, &[b'x'; 99], None, Terms::default());
    wire.send_now(MessageId(2), Kind::Text, &[b'x'; 100], None, Terms::default());
    wire.push(entry(3, b""));
    wire.ping(&[b'x'; 125]);
    wire.owe_pong(&[b'x'; 125]);
    wire.prologue(Kind::Text, &[b'x'; 300]);
    wire.close(Some(1000), "bye");
    wire.flush();
    let firsts: Vec<u8> = client(&wire.stream.out).0.iter().map(|frame| frame.first).collect();
    assert_eq!(firsts, [0x81, 0xC1, 0x82, PING, 0x8A, 0xC1, 0x88]);

    let mut wire = self::wire("", Scripted::default());
    wire.send_now(MessageId(1), Kind::Text, b"", None, Terms::default());
    wire.send_now(MessageId(2), Kind::Text, b"x", None, Terms::default());
    let firsts: Vec<u8> = client(&wire.stream.out).0.iter().map(|frame| frame.first).collect();
    assert_eq!(firsts, [0x81, 0xC1], "with a threshold of 0");
}

#[test]
fn the_context_goes_on_from_message_to_message_or_not_at_all() {
    let sizes = |parameters: &str| -> Vec<usize> {
        let mut wire = wire(parameters, Scripted::default());
        let message = noise(1000, 7);
        (1..4).for_each(|id| {
            assert_eq!(
                wire.send_now(MessageId(id), Kind::Binary, &message, None, Terms::default()),
                Flush::Done
            )
        });
        assert_eq!(read(parameters, &wire.stream.out), vec![message; 3]);
        client(&wire.stream.out).0.iter().map(|frame| frame.payload.len()).collect()
    };
    let kept = sizes("");
    assert!(kept[0] >= 1000 && kept[1] < 50 && kept[2] < 50, "{kept:?}");
    assert_eq!(sizes("; client_no_context_takeover"), [1000; 3], "what gets no smaller goes as it is");
}

#[test]
fn messages_count_with_their_own_length_and_are_given_back_as_they_were() {
    let message = json(1).repeat(100);
    for cut in 0..200 {
        let plan = [Step::Take(cut.max(1)), BLOCK, BLOCK, BLOCK];
        let mut first = wire("", Scripted::writing(plan));
        first.send_now(MessageId(1), Kind::Binary, &message, None, Terms::default());
        first.push(entry(2, &message));
        let mut written = first.take_written();
        first.flush();
        for run in first.take_written().iter() {
            (run.first.0..=run.last.0).for_each(|id| written.note(MessageId(id), message.len()));
        }
        let count: usize = written.iter().map(|run| run.messages).sum();
        assert!(written.iter().all(|run| run.payload_bytes == run.messages * message.len()));
        let whole = client(&first.stream.out).0.len();
        assert_eq!(count, whole, "cut at {cut}");

        let (_, unsent) = first.into_unsent();
        assert_eq!(unsent.len(), 2 - whole);
        assert!(unsent.iter().all(|entry| entry.payload == message));
        // Another session, another state: the server can read it with an empty window.
        let mut second = wire("", Scripted::default());
        unsent.into_iter().for_each(|entry| second.push(entry));
        assert_eq!(second.flush(), Flush::Done);
        assert_eq!(read("", &second.stream.out), vec![message.clone(); 2 - whole]);
    }
}

#[test]
fn a_close_behind_a_compressed_message_and_one_before_it_leave_the_stream_whole() {
    let message = json(3).repeat(50);
    for early in [false, true] {
        let mut wire = wire("", Scripted::writing([BLOCK, Step::Take(9), BLOCK]));
        wire.send_now(MessageId(1), Kind::Binary, &message, None, Terms::default());
        wire.line_up(entry(2, &message));
        if early {
            wire.close_now(Some(1000), "")
        } else {
            wire.close(Some(1000), "")
        }
        while wire.flush() != Flush::Done {}
        assert_eq!(read("", &wire.stream.out), vec![message.clone(); if early { 1 } else { 2 }]);
        assert_eq!(client(&wire.stream.out).0.last().unwrap().first, 0x88);
        assert_eq!(wire.into_unsent().1.len(), usize::from(early));
    }
}

#[test]
fn a_large_message_goes_in_pieces_whether_it_gets_smaller_or_not() {
    for message in [noise(1_000_000, 1), json(5).repeat(20_000), vec![0; 3_000_000]] {
        let plan: Vec<Step> = (0..50).flat_map(|n| [Step::Take(1000 * n + 1), BLOCK]).collect();
        let mut wire = wire("", Scripted::writing(plan));
        wire.push(entry(1, b"before"));
        wire.push(entry(2, &message));
        wire.push(entry(3, b"behind"));
        wire.ping(b"p");
        while wire.flush() != Flush::Done {}
        let expected = [b"before".to_vec(), message, b"behind".to_vec()];
        assert!(read("", &wire.stream.out) == expected);
        assert!(wire.is_idle());
    }
}

#[test]
fn memory_is_given_back_when_nothing_is_kept_from_message_to_message() {
    let message = json(1).repeat(5000);
    for (parameters, left) in [("", 1), ("; client_no_context_takeover", 0)] {
        let mut wire = wire(parameters, Scripted::default());
        assert!(!wire.has_spare(), "nothing before it is needed");
        wire.send_now(MessageId(1), Kind::Binary, &message, None, Terms::default());
        let mut rounds = 0;
        while wire.has_spare() {
            wire.shrink();
            rounds += 1;
            assert!(rounds < 5, "{parameters}");
        }
        assert_eq!(usize::from(wire.compresses()), left);
        wire.send_now(MessageId(2), Kind::Binary, &message, None, Terms::default());
        assert_eq!(read(parameters, &wire.stream.out), vec![message.clone(); 2]);
    }
}

proptest! {
    #[test]
    fn whatever_is_sent_is_read_in_its_order(
        messages in prop::collection::vec(prop::collection::vec(0u8..6, 0..4000), 1..12),
        steps in prop::collection::vec((1usize..3000, any::<bool>()), 0..12),
        takeover in any::<bool>(),
        bits in 8u8..=15,
        direct in any::<u16>(),
    ) {
        let takeover = if takeover { "" } else { "; client_no_context_takeover" };
        let parameters = format!("{takeover}; client_max_window_bits={bits}");
        let plan = steps.iter().flat_map(|(take, block)| {
            [Some(Step::Take(*take)), block.then_some(BLOCK)].into_iter().flatten()
        });
        let mut wire = wire(&parameters, Scripted::writing(plan));
        for (n, message) in messages.iter().enumerate() {
            let id = n as u64 + 1;
            if direct >> n & 1 == 1 {
                wire.send_now(MessageId(id), Kind::Binary, message, None, Terms::default());
            } else {
                wire.push(entry(id, message));
            }
            if n % 5 == 4 {
                wire.shrink();
                wire.owe_pong(b"pong");
            }
        }
        while wire.flush() != Flush::Done {}
        prop_assert_eq!(read(&parameters, &wire.stream.out), messages);
    }
}

#[test]
fn a_compressed_message_is_fragmented_after_that_and_says_so_in_its_first_frame_alone() {
    let mut wire = wire("", Scripted::default());
    wire.fragment(125);
    let message = noise(350, 1);
    for id in [1, 2] {
        wire.push(entry(id, &message));
        wire.ping(b"");
        assert_eq!(wire.flush(), Flush::Done);
    }
    let frames = client(&wire.stream.out).0;
    let data: Vec<_> = frames.iter().filter(|frame| frame.first & 0x08 == 0).collect();
    let mut peer = Peer::new("");
    let mut messages: Vec<Vec<u8>> = Vec::new();
    for frame in data {
        assert!(frame.payload.len() <= 125);
        match frame.first & 0x7F {
            0x42 => messages.push(frame.payload.clone()),
            0 => messages.last_mut().unwrap().extend(&frame.payload),
            other => panic!("a frame that begins with {other:#x}"),
        }
    }
    assert!(messages[0].len() > 300 && messages[1].len() < 100, "the second one is in the window");
    let inflated: Vec<_> = messages.iter().map(|payload| peer.inflate(payload)).collect();
    assert_eq!(inflated, [message.clone(), message]);
}

#[test]
fn a_message_in_pieces_is_not_compressed_and_not_in_the_window() {
    let mut wire = wire("", Scripted::default());
    let message = json(1).repeat(10);
    for (id, part) in
        [(1, Part::First), (1, Part::Middle), (1, Part::Last), (2, Part::Whole), (3, Part::Whole)]
    {
        wire.push(Entry { part, ..entry(id, &message) });
    }
    assert_eq!(wire.flush(), Flush::Done);
    let firsts: Vec<_> = client(&wire.stream.out).0.iter().map(|frame| frame.first).collect();
    assert_eq!(firsts, [0x02, 0x00, 0x80, 0xC2, 0xC2]);
    let read = read("", &wire.stream.out);
    assert_eq!(read, vec![message; 5]);
}
