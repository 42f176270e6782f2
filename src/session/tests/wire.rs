//! What the writing half promises.

use std::io::ErrorKind;

use proptest::prelude::*;

use super::frames::{BINARY, CLOSE, PING, PONG, Seen, TEXT, client};
use super::stream::{Scripted, Step};
use crate::config::delivery::Terms;
use crate::entry::{Entry, Kind, Part, Record};
use crate::event::MessageId;
use crate::session::frame::HEAD_MAX;
use crate::session::wire::{Flush, Wire};
use crate::session::writer::{BOUND, PIECE};

const BLOCK: Step = Step::Fail(ErrorKind::WouldBlock);

fn entry(id: u64, payload: impl Into<Vec<u8>>) -> Entry {
    Entry {
        id: MessageId(id),
        kind: Kind::Text,
        part: Part::Whole,
        payload: payload.into(),
        expires: None,
        record: Record::default(),
    }
}

fn frame(first: u8, payload: impl Into<Vec<u8>>) -> Seen {
    Seen { first, payload: payload.into() }
}

/// The whole frames the server has seen.
fn seen(wire: &Wire<Scripted>) -> Vec<Seen> {
    client(&wire.stream.out).0
}

fn written(wire: &mut Wire<Scripted>) -> Vec<u64> {
    wire.take_written().iter().flat_map(|run| run.first.0..=run.last.0).collect()
}

fn unsent(wire: Wire<Scripted>) -> Vec<u64> {
    wire.into_unsent().1.iter().map(|entry| entry.id.0).collect()
}

/// A wire whose buffer is full and whose stream takes nothing.
fn stuck() -> Wire<Scripted> {
    let mut wire = Wire::new(Scripted::writing([BLOCK]));
    wire.push(entry(1, vec![b'x'; BOUND - 8]));
    assert_eq!(wire.flush(), Flush::Blocked);
    wire
}

#[test]
fn a_direct_send_is_one_write_and_leaves_nothing_behind() {
    let mut wire = Wire::new(Scripted::default());
    assert_eq!(wire.send_now(MessageId(7), Kind::Text, b"hello", None, Terms::default()), Flush::Done);
    assert_eq!(wire.send_now(MessageId(8), Kind::Binary, b"", None, Terms::default()), Flush::Done);
    assert_eq!(seen(&wire), [frame(TEXT, "hello"), frame(BINARY, "")]);
    let runs: Vec<_> = wire.take_written().iter().collect();
    assert_eq!(runs.len(), 1);
    assert_eq!((runs[0].first.0, runs[0].last.0, runs[0].messages, runs[0].payload_bytes), (7, 8, 2, 5));
    assert!(wire.is_idle() && wire.take_written().is_empty());
    assert_eq!(wire.accepted(), 11 + 6);
    assert_eq!(unsent(wire), []);
}

#[test]
fn a_direct_send_that_is_cut_anywhere_goes_on_where_it_was_cut() {
    for cut in 0..11 {
        let mut wire = Wire::new(Scripted::writing([Step::Take(cut.max(1)), BLOCK, BLOCK]));
        if cut == 0 {
            wire.stream.writes.pop_front();
        }
        assert_eq!(wire.send_now(MessageId(1), Kind::Text, b"hello", None, Terms::default()), Flush::Blocked);
        assert_eq!(wire.send_now(MessageId(2), Kind::Text, b"again", None, Terms::default()), Flush::Blocked);
        assert_eq!(written(&mut wire), []);
        assert_eq!(wire.flush(), Flush::Done);
        assert_eq!(seen(&wire), [frame(TEXT, "hello"), frame(TEXT, "again")]);
        assert_eq!(written(&mut wire), [1, 2]);
    }
}

#[test]
fn a_large_message_is_one_frame_in_small_room() {
    let large: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
    let plans = [
        vec![],
        vec![Step::Take(100_000), BLOCK],
        vec![BLOCK],
        vec![Step::Take(70_000), Step::Take(3), BLOCK],
    ];
    for plan in plans {
        let mut wire = Wire::new(Scripted::writing(plan));
        wire.send_now(MessageId(1), Kind::Binary, &large, None, Terms::default());
        assert!(wire.buffer_size() <= PIECE);
        wire.push(entry(2, large.clone()));
        assert_eq!(wire.flush(), Flush::Done);
        assert!(wire.buffer_size() <= PIECE);
        assert_eq!(seen(&wire), [frame(BINARY, large.clone()), frame(TEXT, large.clone())]);
        assert_eq!(written(&mut wire), [1, 2]);
    }
}

#[test]
fn room_falls_as_messages_wait_and_comes_back() {
    let mut wire = Wire::new(Scripted::writing([BLOCK]));
    assert_eq!(wire.room(), BOUND);
    let mut pushed = 0;
    while wire.room() >= 1000 {
        pushed += 1;
        wire.push(entry(pushed, vec![b'x'; 1000]));
    }
    assert!((60..=65).contains(&pushed), "{pushed}");
    assert_eq!(wire.flush(), Flush::Blocked);
    wire.push(entry(pushed + 1, vec![b'x'; 200_000]));
    assert_eq!(wire.room(), 0);
    assert!(wire.buffer_size() <= BOUND);
    assert_eq!(wire.flush(), Flush::Done);
    assert_eq!((wire.room(), wire.is_idle()), (BOUND, true));
}

#[test]
fn one_pong_is_owed_and_the_newest_wins() {
    let mut wire = stuck();
    for i in 0..1000 {
        wire.owe_pong(format!("ping {i}").as_bytes());
        wire.stream.writes.push_back(BLOCK);
        assert_eq!(wire.flush(), Flush::Blocked);
    }
    wire.stream.writes.push_back(Step::Take(BOUND - 30));
    assert_eq!(wire.flush(), Flush::Done);
    assert_eq!(seen(&wire)[1..], [frame(PONG, "ping 999")]);

    let mut wire = Wire::new(Scripted::default());
    for i in 0..1000 {
        wire.owe_pong(format!("ping {i}").as_bytes());
        wire.stream.writes.push_back(BLOCK);
        assert_eq!(wire.flush(), Flush::Blocked);
    }
    assert_eq!(wire.flush(), Flush::Done);
    assert_eq!(seen(&wire), [frame(PONG, "ping 0"), frame(PONG, "ping 999")], "one committed, one owed");
}

#[test]
fn a_pong_waits_for_the_frame_in_progress_and_no_longer() {
    let mut wire = Wire::new(Scripted::writing([Step::Take(70_000), BLOCK]));
    wire.send_now(MessageId(1), Kind::Text, &[b'x'; 200_000], None, Terms::default());
    wire.push(entry(2, "behind"));
    wire.owe_pong(b"ping");
    assert_eq!(wire.flush(), Flush::Done);
    let firsts: Vec<_> = seen(&wire).iter().map(|frame| (frame.first, frame.payload.len())).collect();
    assert_eq!(firsts, [(TEXT, 200_000), (PONG, 4), (TEXT, 6)]);
}

#[test]
fn a_beat_is_written_when_its_last_byte_is_and_is_told_once() {
    let mut wire = stuck();
    wire.ping(b"beat");
    wire.mark_beat();
    wire.push(entry(2, "later"));
    assert!(!wire.beat_written());
    for take in [BOUND, 9] {
        wire.stream.writes.extend([Step::Take(take), BLOCK]);
        assert_eq!(wire.flush(), Flush::Blocked);
        assert!(!wire.beat_written());
    }
    wire.stream.writes.extend([Step::Take(1), BLOCK]);
    assert_eq!(wire.flush(), Flush::Blocked);
    assert!(wire.beat_written());
    assert!(!wire.beat_written());
    assert_eq!(wire.flush(), Flush::Done);
    assert_eq!(seen(&wire)[1..], [frame(PING, "beat"), frame(TEXT, "later")]);
}

#[test]
fn a_greeting_goes_first_whatever_its_size_and_is_never_given_back() {
    let mut wire = Wire::new(Scripted::writing([Step::Take(100), BLOCK]));
    wire.prologue(Kind::Text, &[b'g'; 150_000]);
    wire.prologue(Kind::Binary, b"second");
    assert_eq!(
        wire.send_now(MessageId(1), Kind::Text, b"first message", None, Terms::default()),
        Flush::Blocked
    );
    assert_eq!(unsent(wire), [1]);

    let mut wire = Wire::new(Scripted::writing([Step::Take(100), BLOCK]));
    wire.prologue(Kind::Text, &[b'g'; 150_000]);
    wire.prologue(Kind::Binary, b"second");
    wire.send_now(MessageId(1), Kind::Text, b"first message", None, Terms::default());
    assert_eq!(wire.flush(), Flush::Done);
    let expected = [frame(TEXT, vec![b'g'; 150_000]), frame(BINARY, "second"), frame(TEXT, "first message")];
    assert_eq!(seen(&wire), expected);
    assert_eq!(written(&mut wire), [1]);
}

#[test]
fn close_goes_after_what_was_given_and_nothing_after_it() {
    let mut wire = stuck();
    wire.push(entry(2, "before"));
    wire.close(Some(1000), "done");
    wire.close(Some(1001), "the first one counts");
    wire.push(entry(3, "after"));
    wire.ping(b"after");
    wire.owe_pong(b"the last ping");
    assert_eq!(wire.flush(), Flush::Done);
    assert_eq!(wire.send_now(MessageId(4), Kind::Text, b"after", None, Terms::default()), Flush::Done);
    wire.owe_pong(b"after");
    assert_eq!(wire.flush(), Flush::Done);
    assert!(wire.is_idle());
    let last = &seen(&wire)[1..];
    assert_eq!(last, [frame(PONG, "the last ping"), frame(TEXT, "before"), frame(CLOSE, b"\x03\xe8done")]);
    assert_eq!(written(&mut wire), [1, 2]);
    assert_eq!(unsent(wire), [3, 4]);
}

#[test]
fn an_answer_to_a_close_goes_before_messages_that_are_not_begun() {
    let mut wire = Wire::new(Scripted::writing([Step::Take(100), BLOCK]));
    wire.send_now(MessageId(1), Kind::Text, &[b'x'; 100_000], None, Terms::default());
    wire.push(entry(2, "not begun"));
    wire.close_now(None, "");
    assert_eq!(wire.flush(), Flush::Done);
    assert_eq!(seen(&wire).iter().map(|frame| frame.first).collect::<Vec<_>>(), [TEXT, CLOSE]);
    assert_eq!(written(&mut wire), [1]);
    assert_eq!(unsent(wire), [2]);
}

#[test]
fn a_reason_that_is_too_long_is_cut_between_characters() {
    let mut wire = Wire::new(Scripted::default());
    wire.close(Some(3000), &"€".repeat(100));
    assert_eq!(wire.flush(), Flush::Done);
    let payload = &seen(&wire)[0].payload;
    assert_eq!(std::str::from_utf8(&payload[2..]).unwrap(), "€".repeat(41));
}

#[test]
fn the_first_failure_stays_and_nothing_is_written_after_it() {
    for (step, kind) in [
        (Step::Fail(ErrorKind::ConnectionReset), ErrorKind::ConnectionReset),
        (Step::Zero, ErrorKind::WriteZero),
    ] {
        let mut wire = Wire::new(Scripted::writing([Step::Take(3), step]));
        assert_eq!(wire.send_now(MessageId(1), Kind::Text, b"hello", None, Terms::default()), Flush::Failed);
        assert_eq!(wire.send_now(MessageId(2), Kind::Text, b"again", None, Terms::default()), Flush::Failed);
        wire.push(entry(3, "more"));
        assert_eq!(wire.error.take().unwrap().kind(), kind);
        assert_eq!(wire.flush(), Flush::Failed, "also when the error was taken");
        assert_eq!(wire.stream.out.len(), 3);
        assert_eq!(written(&mut wire), []);
        assert_eq!(unsent(wire), [1, 2, 3]);
    }
}

#[test]
fn a_quiet_wire_holds_at_most_a_quarter_of_a_kilobyte() {
    let mut wire = Wire::new(Scripted::default());
    for round in 0..3 {
        for id in 0..1000 {
            wire.push(entry(id, "some words"));
        }
        assert_eq!(wire.flush(), Flush::Done);
        assert!(wire.buffer_size() > 1024);
        assert!(wire.has_spare());
        wire.shrink();
        if round < 2 {
            assert!(wire.buffer_size() > 1024, "a short break costs nothing");
        }
    }
    wire.ping(b"");
    assert_eq!(wire.flush(), Flush::Done);
    wire.shrink();
    assert!(wire.buffer_size() <= 256 && !wire.has_spare());
    wire.ping(&[b'x'; 125]);
    assert_eq!(wire.flush(), Flush::Done);
    assert!(!wire.has_spare(), "a heartbeat alone leaves nothing to give back");
}

#[test]
fn the_memory_of_a_large_copy_serves_the_next_one_and_is_given_back_when_it_is_quiet() {
    const LARGE: usize = 1 << 20;
    let mut wire = Wire::new(Scripted::writing([BLOCK]));
    assert_eq!(
        wire.send_now(MessageId(1), Kind::Binary, &vec![1; LARGE], None, Terms::default()),
        Flush::Blocked
    );
    assert!(!wire.has_spare());
    assert_eq!(wire.flush(), Flush::Done);
    wire.stream = Scripted::writing([BLOCK]);
    assert_eq!(
        wire.send_now(MessageId(2), Kind::Binary, &vec![2; LARGE / 2], None, Terms::default()),
        Flush::Blocked
    );
    let (_, unsent) = wire.into_unsent();
    assert_eq!(unsent[0].payload, vec![2; LARGE / 2]);
    assert!(unsent[0].payload.capacity() >= LARGE, "a copy in the memory of the one before");

    let mut wire = Wire::new(Scripted::default());
    wire.push(unsent.into_iter().next().unwrap());
    assert_eq!(wire.flush(), Flush::Done);
    for _ in 0..2 {
        assert!(wire.has_spare());
        wire.shrink();
    }
    assert!(!wire.has_spare());
}

#[test]
fn tungstenites_server_reads_what_we_write() {
    use std::io::Cursor;
    use tungstenite::protocol::{Message, Role, WebSocket};
    let mut wire = Wire::new(Scripted::writing([Step::Take(5), BLOCK]));
    wire.send_now(MessageId(1), Kind::Text, "grüße".as_bytes(), None, Terms::default());
    wire.push(Entry { kind: Kind::Binary, ..entry(2, vec![1; 70_000]) });
    wire.ping(b"ping");
    wire.close(Some(1000), "bye");
    assert_eq!(wire.flush(), Flush::Done);
    let mut server = WebSocket::from_raw_socket(Cursor::new(wire.stream.out), Role::Server, None);
    assert_eq!(server.read().unwrap(), Message::text("grüße"));
    assert_eq!(server.read().unwrap(), Message::binary(vec![1; 70_000]));
    assert_eq!(server.read().unwrap(), Message::Ping("ping".into()));
    assert!(matches!(server.read().unwrap(), Message::Close(Some(close)) if close.reason == "bye"));
}

#[derive(Clone, Debug)]
enum Op {
    SendNow(usize),
    Push(usize),
    Prologue(usize),
    Ping,
    Pong,
    Flush,
    Close,
    CloseNow,
}

fn op() -> impl Strategy<Value = Op> {
    let size = || prop_oneof![8 => 0..300_usize, 2 => 300..70_000_usize, 1 => 65_500..65_560_usize, 1 => 70_000..600_000_usize];
    prop_oneof![
        6 => size().prop_map(Op::SendNow),
        6 => size().prop_map(Op::Push),
        1 => size().prop_map(Op::Prologue),
        2 => Just(Op::Ping),
        2 => Just(Op::Pong),
        3 => Just(Op::Flush),
        1 => prop_oneof![9 => Just(Op::Flush), 1 => Just(Op::Close), 1 => Just(Op::CloseNow)],
    ]
}

fn write_plan() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1..200_usize).prop_map(Step::Take),
        3 => (1..70_000_usize).prop_map(Step::Take),
        1 => (1..300_000_usize).prop_map(Step::Take),
        5 => Just(BLOCK),
        1 => Just(Step::Fail(ErrorKind::Interrupted)),
    ];
    prop::collection::vec(step, 0..60)
}

/// A payload that tells its message: 8 bytes of id and a pattern, or as much of that as there is room for.
fn payload(id: u64, size: usize) -> Vec<u8> {
    id.to_be_bytes().into_iter().chain((0..size).map(|i| (i as u64 * id) as u8)).collect()
}

proptest! {
    #[test]
    fn written_and_unsent_together_are_what_was_given_once_and_in_order(
        ops in prop::collection::vec(op(), 1..40),
        mut plan in write_plan(),
        fails in prop::option::of(Just(Step::Fail(ErrorKind::BrokenPipe))),
        to_the_end in any::<bool>(),
    ) {
        plan.extend(fails.clone());
        let mut wire = Wire::new(Scripted::writing(plan));
        let (mut given, mut id, mut closed) = (Vec::new(), 0, None);
        let mut pushed_before_close = 0;
        let mut has_large = false;
        for op in &ops {
            match op {
                Op::SendNow(size) | Op::Push(size) => {
                    id += 1;
                    let payload = payload(id, *size);
                    let kind = if id % 2 == 0 { Kind::Text } else { Kind::Binary };
                    if matches!(op, Op::SendNow(_)) {
                        wire.send_now(MessageId(id), kind, &payload, None, Terms::default());
                    } else {
                        wire.push(Entry { id: MessageId(id), kind, part: Part::Whole, payload: payload.clone(), expires: None, record: Record::default() });
                    }
                    given.push((id, kind, payload));
                }
                Op::Prologue(size) => wire.prologue(Kind::Text, &payload(0, *size)),
                Op::Ping => wire.ping(b"ping"),
                Op::Pong => wire.owe_pong(b"pong"),
                Op::Flush => { wire.flush(); }
                Op::Close => wire.close(Some(1000), ""),
                Op::CloseNow => wire.close_now(Some(1001), ""),
            }
            if closed.is_none() && matches!(op, Op::Close | Op::CloseNow) {
                closed = Some(op.clone());
                pushed_before_close = given.len();
            }
            if let Op::SendNow(size) | Op::Push(size) | Op::Prologue(size) = op {
                has_large |= size + 8 > BOUND - HEAD_MAX;
            }
            let most = if has_large { PIECE } else { BOUND };
            prop_assert!(wire.buffer_size() <= most);
        }
        if to_the_end {
            while wire.flush() == Flush::Blocked {}
        }

        prop_assert_eq!(wire.accepted(), wire.stream.out.len() as u64);
        let (frames, left_over) = client(&wire.stream.out);
        let decoded: Vec<_> = frames.iter().filter(|frame| matches!(frame.first, TEXT | BINARY)).collect();
        let decoded: Vec<_> = decoded.into_iter().filter(|frame| frame.payload[..8] != [0; 8]).collect();
        for (frame, (_, kind, payload)) in decoded.iter().zip(&given) {
            prop_assert!(frame.payload == *payload);
            prop_assert_eq!(frame.first, if *kind == Kind::Text { TEXT } else { BINARY });
        }
        let told = written(&mut wire);
        prop_assert_eq!(&told, &(1..=decoded.len() as u64).collect::<Vec<_>>());

        let close_at = frames.iter().position(|frame| frame.first == CLOSE);
        prop_assert!(close_at.is_none_or(|at| at + 1 == frames.len() && left_over == 0), "Close is the last frame");
        if to_the_end && fails.is_none() {
            prop_assert!(wire.is_idle());
            prop_assert_eq!(left_over, 0);
            prop_assert_eq!(close_at.is_some(), closed.is_some());
            match closed {
                None => prop_assert_eq!(decoded.len(), given.len()),
                Some(Op::Close) => prop_assert_eq!(decoded.len(), pushed_before_close),
                Some(_) => prop_assert!(decoded.len() <= pushed_before_close),
            }
        }
        let rest: Vec<_> = wire.into_unsent().1.into_iter().map(|e| (e.id.0, e.kind, e.payload)).collect();
        prop_assert!(rest == given[told.len()..], "no loss, no duplicate");
    }
}
