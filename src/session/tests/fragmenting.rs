//! What the writing half promises about messages in several frames (RFC 6455 section 5.4).

use std::io::ErrorKind;

use proptest::prelude::*;

use super::frames::{CLOSE, PING, PONG, Seen, client};
use super::stream::{Scripted, Step};
use crate::config::delivery::Terms;
use crate::entry::{Entry, Kind, Part, Record};
use crate::event::MessageId;
use crate::session::frame::head_size;
use crate::session::wire::{Flush, Wire};

const BLOCK: Step = Step::Fail(ErrorKind::WouldBlock);

fn entry(id: u64, part: Part, payload: &[u8]) -> Entry {
    Entry {
        id: MessageId(id),
        kind: Kind::Binary,
        part,
        payload: payload.to_vec(),
        expires: None,
        record: Record::default(),
    }
}

/// What stands on the wire, message by message, and the control frames between and within them, in order.
#[derive(Debug, PartialEq)]
enum Read {
    Message(Vec<u8>),
    Control(u8, Vec<u8>),
}

/// Joins what was written, as a server does that knows the rules, and the bytes of an unfinished message.
fn join(out: &[u8], most: usize) -> (Vec<Read>, Option<Vec<u8>>) {
    let mut read = Vec::new();
    let mut message: Option<Vec<u8>> = None;
    for Seen { first, payload } in client(out).0 {
        assert_eq!(first & 0x70, 0);
        if first & 0x08 != 0 {
            assert_eq!(first & 0x80, 0x80, "control frames are whole");
            read.push(Read::Control(first, payload));
            continue;
        }
        assert!(payload.len() <= most, "a frame of {} bytes", payload.len());
        assert_eq!(first & 0x0F == 0, message.is_some(), "a continuation continues");
        message.get_or_insert_default().extend(payload);
        if first & 0x80 != 0 {
            read.extend(message.take().map(Read::Message));
        }
    }
    (read, message)
}

fn messages(read: &[Read]) -> Vec<Vec<u8>> {
    let message = |read: &Read| if let Read::Message(bytes) = read { Some(bytes.clone()) } else { None };
    read.iter().filter_map(message).collect()
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

#[test]
fn what_is_longer_goes_in_frames_of_at_most_that_size_and_what_is_not_in_one() {
    for (len, expected) in [
        (0, vec![(0x82, 0)]),
        (150, vec![(0x82, 150)]),
        (151, vec![(0x02, 150), (0x80, 1)]),
        (300, vec![(0x02, 150), (0x80, 150)]),
        (455, vec![(0x02, 150), (0x00, 150), (0x00, 150), (0x80, 5)]),
    ] {
        for direct in [false, true] {
            let mut wire = Wire::new(Scripted::default());
            wire.fragment(150);
            if direct {
                wire.send_now(MessageId(1), Kind::Binary, &pattern(len), None, Terms::default());
            } else {
                wire.push(entry(1, Part::Whole, &pattern(len)));
            }
            assert_eq!(wire.flush(), Flush::Done);
            let frames = client(&wire.stream.out).0;
            assert_eq!(frames.iter().map(|f| (f.first, f.payload.len())).collect::<Vec<_>>(), expected);
            assert_eq!(frames.concat_payloads(), pattern(len));
            let runs: Vec<_> = wire.take_written().iter().collect();
            assert_eq!((runs.len(), runs[0].messages, runs[0].payload_bytes), (1, 1, len));
        }
    }
}

trait Concat {
    fn concat_payloads(&self) -> Vec<u8>;
}

impl Concat for Vec<Seen> {
    fn concat_payloads(&self) -> Vec<u8> {
        self.iter().flat_map(|frame| frame.payload.iter().copied()).collect()
    }
}

#[test]
fn wherever_a_message_is_held_up_a_ping_a_pong_and_a_close_wait_for_one_fragment_at_most() {
    const LEN: usize = 200_000;
    const SIZE: usize = 1000;
    // Frames of 1000 bytes have 8 bytes of header; 64 KiB are in the buffer.
    for cut in (1..LEN).step_by(7_777) {
        let mut wire = Wire::new(Scripted::writing([Step::Take(cut), BLOCK, BLOCK, BLOCK, BLOCK]));
        wire.fragment(SIZE);
        wire.push(entry(1, Part::Whole, &pattern(LEN)));
        wire.push(entry(2, Part::Whole, b"behind"));
        assert_eq!(wire.flush(), Flush::Blocked);
        wire.ping(b"beat");
        wire.mark_beat();
        wire.owe_pong(b"pong");
        assert_eq!(wire.flush(), Flush::Blocked);
        assert!(!wire.beat_written());
        let taken = wire.stream.out.len();
        assert_eq!(wire.flush(), Flush::Blocked);
        wire.stream.writes.clear();
        assert_eq!(wire.flush(), Flush::Done);
        assert!(wire.beat_written());

        let (read, unfinished) = join(&wire.stream.out, SIZE);
        assert_eq!(unfinished, None);
        assert_eq!(messages(&read), [pattern(LEN), b"behind".to_vec()]);
        let controls: Vec<_> = read.iter().filter(|read| matches!(read, Read::Control(..))).collect();
        assert_eq!(controls, [&Read::Control(PONG, b"pong".into()), &Read::Control(PING, b"beat".into())]);
        // Where the ping ends in the bytes.
        let frames = client(&wire.stream.out).0;
        let last = frames.iter().position(|frame| frame.first == PING).unwrap();
        let place: usize = frames[..=last].iter().map(|f| f.payload.len() + head_size(f.payload.len())).sum();
        let end = wire.stream.out.len();
        assert!(place <= taken + 66_000 + 2 * SIZE, "{place} of {end}, {taken} were taken");
    }
}

#[test]
fn the_answer_to_a_close_goes_before_the_next_fragment_and_the_message_is_given_back() {
    for cut in 1..300 {
        let mut wire = Wire::new(Scripted::writing([Step::Take(cut), BLOCK]));
        wire.fragment(70_000);
        wire.push(entry(1, Part::Whole, &pattern(300_000)));
        wire.push(entry(2, Part::Whole, b"behind"));
        assert_eq!(wire.flush(), Flush::Blocked);
        wire.close_now(Some(1000), "");
        assert_eq!(wire.flush(), Flush::Done);
        assert!(wire.is_idle());
        let (read, unfinished) = join(&wire.stream.out, 70_000);
        assert_eq!(read, [Read::Control(CLOSE, vec![3, 0xE8])]);
        assert_eq!(unfinished, Some(pattern(70_000)));
        assert!(wire.take_written().is_empty());
        let unsent: Vec<_> = wire.into_unsent().1.into_iter().map(|e| (e.id.0, e.payload.len())).collect();
        assert_eq!(unsent, [(1, 300_000), (2, 6)]);
    }
}

/// The loop has to read in between, or a fast reader would keep it from answering, and other clients from their turn.
#[test]
fn a_fragmented_message_is_written_in_turns_and_one_in_a_single_frame_is_not() {
    const LEN: usize = 5 << 20;
    for (fragment, pauses) in [(64 << 10, 15..=20), (LEN, 0..=0)] {
        let mut wire = Wire::new(Scripted::default());
        wire.fragment(fragment);
        wire.push(entry(1, Part::Whole, &vec![7; LEN]));
        let mut paused = 0;
        while wire.flush() == Flush::Paused {
            paused += 1;
            wire.owe_pong(b"between");
            assert!(!wire.is_idle());
        }
        assert!(wire.is_idle() && pauses.contains(&paused), "{paused}");
        let (read, _) = join(&wire.stream.out, fragment);
        assert_eq!(read.len(), paused + 1);
    }
}

#[test]
fn a_close_in_the_last_fragment_lets_the_message_end() {
    let mut wire = Wire::new(Scripted::writing([Step::Take(75_000), Step::Take(1), BLOCK]));
    wire.fragment(70_000);
    wire.push(entry(1, Part::Whole, &pattern(140_000)));
    assert_eq!(wire.flush(), Flush::Blocked);
    wire.close_now(None, "");
    assert_eq!(wire.flush(), Flush::Done);
    let (read, unfinished) = join(&wire.stream.out, 70_000);
    assert_eq!(read, [Read::Message(pattern(140_000)), Read::Control(CLOSE, vec![])]);
    assert_eq!(unfinished, None);
    assert!(wire.into_unsent().1.is_empty());
}

#[test]
fn a_message_in_pieces_is_one_message_and_counts_once() {
    let mut wire = Wire::new(Scripted::default());
    assert!(!wire.is_mid_message());
    wire.push(entry(1, Part::First, b"one "));
    assert!(wire.is_mid_message());
    assert_eq!(wire.flush(), Flush::Done);
    let written = wire.take_written();
    assert!(!written.is_empty() && written.iter().next().is_none());
    assert_eq!(written.piece_bytes(), 4);
    wire.owe_pong(b"between");
    wire.push(entry(1, Part::Middle, b"two "));
    wire.push(entry(1, Part::Last, b""));
    assert!(!wire.is_mid_message());
    wire.push(entry(2, Part::Whole, b"next"));
    assert_eq!(wire.flush(), Flush::Done);
    let firsts: Vec<_> = client(&wire.stream.out).0.iter().map(|frame| frame.first).collect();
    assert_eq!(firsts, [0x02, PONG, 0x00, 0x80, 0x82]);
    let (read, _) = join(&wire.stream.out, 10);
    assert_eq!(messages(&read), [b"one two ".to_vec(), b"next".to_vec()]);
    let written = wire.take_written();
    assert_eq!(written.piece_bytes(), 4);
    let runs: Vec<_> = written.iter().collect();
    assert_eq!((runs.len(), runs[0].first.0, runs[0].last.0, runs[0].payload_bytes), (1, 1, 2, 4));
}

#[test]
fn tungstenites_server_joins_what_we_fragment() {
    use std::io::Cursor;
    use tungstenite::protocol::{Message, Role, WebSocket};
    let mut wire = Wire::new(Scripted::default());
    wire.fragment(1000);
    wire.push(Entry { kind: Kind::Text, ..entry(1, Part::Whole, "grüße ".repeat(1000).as_bytes()) });
    wire.push(Entry { kind: Kind::Text, ..entry(2, Part::First, &"ü".as_bytes()[..1]) });
    wire.push(Entry { kind: Kind::Text, ..entry(2, Part::Last, &"ü".as_bytes()[1..]) });
    assert_eq!(wire.flush(), Flush::Done);
    let mut server = WebSocket::from_raw_socket(Cursor::new(wire.stream.out), Role::Server, None);
    assert_eq!(server.read().unwrap(), Message::text("grüße ".repeat(1000)));
    assert_eq!(server.read().unwrap(), Message::text("ü"));
}

#[derive(Clone, Debug)]
enum Op {
    Whole(usize),
    Pieces(Vec<usize>),
    Ping,
    Pong,
    Flush,
    Close,
    CloseNow,
}

fn op() -> impl Strategy<Value = Op> {
    let size = || prop_oneof![6 => 0..300_usize, 3 => 300..20_000_usize, 1 => 60_000..300_000_usize];
    prop_oneof![
        5 => size().prop_map(Op::Whole),
        3 => prop::collection::vec(size(), 2..5).prop_map(Op::Pieces),
        2 => Just(Op::Ping),
        2 => Just(Op::Pong),
        4 => Just(Op::Flush),
        1 => prop_oneof![9 => Just(Op::Flush), 1 => Just(Op::Close), 1 => Just(Op::CloseNow)],
    ]
}

proptest! {
    #[test]
    fn joined_frames_are_what_was_given_whatever_the_sizes_and_the_cuts(
        ops in prop::collection::vec(op(), 1..25),
        fragment in prop_oneof![125..140_usize, 140..5_000_usize, 60_000..80_000_usize, Just(usize::MAX)],
        plan in prop::collection::vec(
            prop_oneof![
                3 => (1..200_usize).prop_map(Step::Take),
                3 => (1..70_000_usize).prop_map(Step::Take),
                5 => Just(BLOCK),
            ],
            0..60,
        ),
        to_the_end in any::<bool>(),
    ) {
        let mut wire = Wire::new(Scripted::writing(plan));
        wire.fragment(fragment);
        let (mut given, mut before_close, mut pings) = (Vec::new(), None, 0);
        for op in &ops {
            let id = given.len() as u64 + 1;
            let bytes = |size: usize| -> Vec<u8> { (0..size).map(|i| (i as u64 * id) as u8).collect() };
            match op {
                Op::Whole(size) => {
                    wire.push(entry(id, Part::Whole, &bytes(*size)));
                    given.push(bytes(*size));
                }
                Op::Pieces(sizes) => {
                    let pieces: Vec<_> = sizes.iter().map(|size| bytes(*size)).collect();
                    for (i, piece) in pieces.iter().enumerate() {
                        let last = i + 1 == pieces.len();
                        let part = if i == 0 { Part::First } else if last { Part::Last } else { Part::Middle };
                        wire.push(entry(id, part, piece));
                    }
                    given.push(pieces.concat());
                }
                Op::Ping => {
                    wire.ping(b"ping");
                    pings += usize::from(before_close.is_none());
                }
                Op::Pong => wire.owe_pong(b"pong"),
                Op::Flush => { wire.flush(); }
                Op::Close => wire.close(Some(1000), ""),
                Op::CloseNow => wire.close_now(Some(1001), ""),
            }
            if matches!(op, Op::Close | Op::CloseNow) && before_close.is_none() {
                before_close = Some(given.len());
            }
        }
        if to_the_end {
            while wire.flush() != Flush::Done {}
        }

        let (read, unfinished) = join(&wire.stream.out, fragment);
        let seen = messages(&read);
        prop_assert!(given.starts_with(&seen));
        if let Some(unfinished) = &unfinished {
            prop_assert!(given[seen.len()].starts_with(unfinished));
        }
        let written = wire.take_written();
        prop_assert_eq!(written.iter().map(|run| run.messages).sum::<usize>(), seen.len());
        let close = read.iter().position(|read| matches!(read, Read::Control(CLOSE, _)));
        prop_assert!(close.is_none_or(|at| at + 1 == read.len()), "Close is the last frame");
        if to_the_end {
            prop_assert!(wire.is_idle());
            prop_assert_eq!(close.is_some(), before_close.is_some());
            let seen_pings = read.iter().filter(|read| matches!(read, Read::Control(PING, _))).count();
            if before_close.is_none() {
                prop_assert_eq!((seen.len(), seen_pings, &unfinished), (given.len(), pings, &None));
            } else {
                prop_assert!(seen.len() <= before_close.unwrap() && seen_pings <= pings);
            }
        }
        // What was not written whole is given back: a whole message with its payload, of one in pieces what is left.
        let rest = wire.into_unsent().1;
        let mut ids: Vec<_> = rest.iter().map(|entry| entry.id.0 as usize).collect();
        ids.dedup();
        prop_assert_eq!(ids, (seen.len() + 1..=given.len()).collect::<Vec<_>>());
        for entry in rest.iter().filter(|entry| entry.part == Part::Whole) {
            prop_assert!(entry.payload == given[entry.id.0 as usize - 1]);
        }
    }
}
