//! What the reading half promises.

use std::io::ErrorKind;

use proptest::prelude::*;

use super::frames::{BINARY, CLOSE, PING, PONG, TEXT, server};
use super::stream::{Scripted, Step};
use crate::error::ProtocolFault;
use crate::event::{Fragment, MessageRef};
use crate::session::reader::{Inbound, Item};

const MAX: usize = 16 * 1024 * 1024;

/// An item that outlives the buffer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Got {
    Text(String),
    Binary(Vec<u8>),
    Fragment(Fragment),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
    Fault(ProtocolFault),
}

impl Got {
    fn from(item: Item<'_>) -> Got {
        match item {
            Item::Message(MessageRef::Text(text)) => Got::Text(text.to_owned()),
            Item::Message(MessageRef::Binary(bytes)) => Got::Binary(bytes.to_vec()),
            Item::Fragment => unreachable!("it is taken apart from these"),
            Item::Ping(payload) => Got::Ping(payload.to_vec()),
            Item::Pong(payload) => Got::Pong(payload.to_vec()),
            Item::Close { code, reason } => Got::Close(code, reason.to_owned()),
        }
    }
}

fn drain(inbound: &mut Inbound, into: &mut Vec<Got>) {
    loop {
        match inbound.next() {
            Ok(Some(Item::Fragment)) => into.push(match inbound.fragment() {
                Ok(part) => Got::Fragment(part.to_fragment()),
                Err(fault) => Got::Fault(fault),
            }),
            Ok(Some(item)) => into.push(Got::from(item)),
            Ok(None) => return,
            Err(fault) => into.push(Got::Fault(fault)),
        }
    }
}

/// What comes of these pieces when each is one read.
pub(super) fn read_all(inbound: &mut Inbound, pieces: impl IntoIterator<Item = Vec<u8>>) -> Vec<Got> {
    let mut got = Vec::new();
    drain(inbound, &mut got);
    for piece in pieces {
        let mut stream = Scripted::reading([Step::Bytes(piece)]);
        while !stream.reads.is_empty() {
            let fill = inbound.fill(&mut stream).expect("bytes are there");
            assert!(fill.bytes > 0);
            drain(inbound, &mut got);
        }
    }
    got
}

fn read(bytes: &[u8]) -> Vec<Got> {
    read_all(&mut Inbound::new(MAX, Vec::new()), [bytes.to_vec()])
}

fn conversation() -> (Vec<u8>, Vec<Got>) {
    let mut bytes = Vec::new();
    bytes.extend(server(TEXT, "grüße 你好".as_bytes()));
    bytes.extend(server(0x01, "frag\u{1F980}".as_bytes().split_at(6).0));
    bytes.extend(server(PING, b"in between"));
    bytes.extend(server(0x00, b""));
    bytes.extend(server(0x80, "frag\u{1F980}".as_bytes().split_at(6).1));
    bytes.extend(server(BINARY, &[7; 200]));
    bytes.extend(server(PONG, b""));
    bytes.extend(server(TEXT, b""));
    bytes.extend(server(CLOSE, b"\x03\xe9going"));
    let got = vec![
        Got::Text("grüße 你好".to_owned()),
        Got::Ping(b"in between".to_vec()),
        Got::Text("frag\u{1F980}".to_owned()),
        Got::Binary(vec![7; 200]),
        Got::Pong(Vec::new()),
        Got::Text(String::new()),
        Got::Close(1001, "going".to_owned()),
    ];
    (bytes, got)
}

#[test]
fn a_conversation_is_the_same_wherever_it_is_cut() {
    let (bytes, expected) = conversation();
    assert_eq!(read(&bytes), expected);
    for cut in 1..bytes.len() {
        let (left, right) = bytes.split_at(cut);
        let mut inbound = Inbound::new(MAX, Vec::new());
        assert_eq!(read_all(&mut inbound, [left.to_vec(), right.to_vec()]), expected, "cut at {cut}");
        let mut inbound = Inbound::new(MAX, left.to_vec());
        assert_eq!(read_all(&mut inbound, [right.to_vec()]), expected, "upgrade cut at {cut}");
    }
    let mut inbound = Inbound::new(MAX, Vec::new());
    assert_eq!(read_all(&mut inbound, bytes.iter().map(|byte| vec![*byte])), expected);
}

#[test]
fn nothing_is_read_after_a_close_or_a_fault() {
    for last in [server(CLOSE, b""), vec![0xF1]] {
        let mut inbound = Inbound::new(MAX, Vec::new());
        let mut bytes = last;
        bytes.extend(server(TEXT, b"too late"));
        let first = read_all(&mut inbound, [bytes]);
        assert!(matches!(first[..], [Got::Close(1005, _)] | [Got::Fault(ProtocolFault::ReservedBits)]));
        let flood = server(BINARY, &[0; 300_000]);
        assert_eq!(read_all(&mut inbound, [flood]), []);
        assert!(inbound.buffer_size() <= 4096);
    }
}

#[test]
fn text_that_is_no_utf8_fails_at_the_first_wrong_byte() {
    // Autobahn 6.4.1 to 6.4.4: the frame is not over, nor is the message.
    let wrong = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90";
    for cut in 1..wrong.len() {
        let mut frame = server(0x01, &[b' '; 100]);
        frame.truncate(2);
        let mut inbound = Inbound::new(MAX, Vec::new());
        let got = read_all(&mut inbound, [frame, wrong[..cut].to_vec(), wrong[cut..].to_vec()]);
        assert_eq!(got, [Got::Fault(ProtocolFault::Utf8)], "inside a frame, cut at {cut}");

        let mut inbound = Inbound::new(MAX, Vec::new());
        let got = read_all(&mut inbound, [server(0x01, &wrong[..cut]), server(0x00, &wrong[cut..])]);
        assert_eq!(got, [Got::Fault(ProtocolFault::Utf8)], "across fragments, cut at {cut}");
    }
    assert_eq!(read(&server(TEXT, b"\xe4\xbd")), [Got::Fault(ProtocolFault::Utf8)]);
    let cut_short = [server(0x01, b"\xe4"), server(0x80, b"\xbd")].concat();
    assert_eq!(read(&cut_short), [Got::Fault(ProtocolFault::Utf8)]);
}

#[test]
fn a_message_over_the_limit_fails_before_its_payload() {
    let too_big = Got::Fault(ProtocolFault::TooBig(1000));
    let header = |first, len: usize| server(first, &vec![b'x'; len])[..4].to_vec();
    let read = |pieces: Vec<Vec<u8>>| read_all(&mut Inbound::new(1000, Vec::new()), pieces);
    assert_eq!(read(vec![server(BINARY, &[1; 1000])]), [Got::Binary(vec![1; 1000])]);
    assert_eq!(read(vec![header(BINARY, 1001)]), std::slice::from_ref(&too_big));
    assert_eq!(read(vec![server(0x02, &[1; 700]), header(0x00, 301)]), std::slice::from_ref(&too_big));
    let fits = read(vec![server(0x02, &[1; 700]), server(0x80, &[1; 300])]);
    assert_eq!(fits, [Got::Binary(vec![1; 1000])]);
    let claim = [&[BINARY, 127][..], &(1_u64 << 62).to_be_bytes()].concat();
    assert_eq!(read(vec![claim]), [too_big]);
}

#[test]
fn a_claim_of_any_size_costs_no_memory_until_bytes_arrive() {
    let mut inbound = Inbound::new(usize::MAX, Vec::new());
    let claim = [&[BINARY, 127][..], &(1_u64 << 62).to_be_bytes()].concat();
    assert_eq!(read_all(&mut inbound, [claim]), []);
    assert!(inbound.buffer_size() <= 4096);
    let mut arrived = 0;
    for _ in 0..300 {
        arrived += 1000;
        assert_eq!(read_all(&mut inbound, [vec![0; 1000]]), []);
        assert!(inbound.buffer_size() <= (2 * arrived).max(4096), "{} for {arrived}", inbound.buffer_size());
    }
}

#[test]
fn the_buffer_is_bounded_by_the_largest_message() {
    const LIMIT: usize = 100_000;
    let mut inbound = Inbound::new(LIMIT, Vec::new());
    let stream: Vec<u8> = (0..20).flat_map(|_| server(BINARY, &[5; LIMIT])).collect();
    let got = read_all(&mut inbound, stream.chunks(70_000).map(<[u8]>::to_vec));
    assert_eq!(got.len(), 20);
    assert!(inbound.buffer_size() <= LIMIT + 200, "{}", inbound.buffer_size());
}

#[test]
fn the_buffer_grows_with_traffic_to_64_kib_and_shrinks_when_it_is_quiet() {
    let mut inbound = Inbound::new(MAX, Vec::new());
    let flood: Vec<u8> = (0..50_000).flat_map(|_| server(TEXT, b"tick")).collect();
    assert_eq!(read_all(&mut inbound, [flood]).len(), 50_000);
    assert_eq!(inbound.buffer_size(), 64 * 1024);
    inbound.shrink();
    assert_eq!(inbound.buffer_size(), 64 * 1024, "a short break costs nothing");
    read_all(&mut inbound, [server(PONG, &[b'x'; 125])]);
    assert!(inbound.has_spare());
    inbound.shrink();
    assert_eq!(inbound.buffer_size(), 512);
    read_all(&mut inbound, [server(PONG, &[b'x'; 125])]);
    assert!(!inbound.has_spare(), "a heartbeat alone leaves nothing to give back");

    read_all(&mut inbound, [server(BINARY, &[1; 1_000_000])]);
    assert!(inbound.buffer_size() > 1_000_000);
    inbound.shrink();
    assert!(inbound.buffer_size() > 1_000_000, "large messages that come one after another find it");
    inbound.shrink();
    assert_eq!(inbound.buffer_size(), 512, "nothing came meanwhile");
    // A buffer fits what came since the last time, with room to spare.
    read_all(&mut inbound, [server(BINARY, &[1; 100_000]), server(PONG, b"")]);
    inbound.shrink();
    read_all(&mut inbound, [server(BINARY, &[1; 600])]);
    inbound.shrink();
    assert_eq!(inbound.buffer_size(), 2048);
}

#[test]
fn shrinking_keeps_what_has_not_ended() {
    let mut inbound = Inbound::new(MAX, Vec::new());
    let frame = server(BINARY, &[3; 500_000]);
    assert_eq!(read_all(&mut inbound, [frame[..400_000].to_vec()]), []);
    inbound.shrink();
    inbound.shrink();
    assert_eq!(read_all(&mut inbound, [frame[400_000..].to_vec()]), [Got::Binary(vec![3; 500_000])]);
}

#[test]
fn a_message_in_a_great_many_fragments_is_assembled_in_small_room() {
    let mut stream = server(0x01, b"");
    for i in 0..100_000 {
        stream.extend(server(0x00, if i % 2 == 0 { b"a" } else { b"" }));
        stream.extend(server(PING, b"0123456789"));
    }
    stream.extend(server(0x80, b"z"));
    let mut inbound = Inbound::new(MAX, Vec::new());
    let got = read_all(&mut inbound, [stream]);
    assert_eq!(got.len(), 100_001);
    assert_eq!(got.last(), Some(&Got::Text("a".repeat(50_000) + "z")));
    assert!(inbound.buffer_size() <= 64 * 1024);
}

#[test]
fn a_read_tells_the_end_an_error_and_a_short_one() {
    let steps = [
        Step::Fail(ErrorKind::Interrupted),
        Step::Bytes(vec![0x82, 100]),
        Step::Bytes(vec![9; 10_000]),
        Step::Fail(ErrorKind::WouldBlock),
        Step::Fail(ErrorKind::ConnectionReset),
        Step::Zero,
    ];
    let mut stream = Scripted::reading(steps);
    let mut inbound = Inbound::new(MAX, Vec::new());
    let fill = inbound.fill(&mut stream).unwrap();
    assert_eq!((fill.bytes, fill.short), (2, true));
    let fill = inbound.fill(&mut stream).unwrap();
    assert!(!fill.short, "there was more than there was room for");
    while inbound.next().is_ok_and(|item| item.is_some()) {}
    stream.reads.pop_front();
    assert_eq!(inbound.fill(&mut stream).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(inbound.fill(&mut stream).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(inbound.fill(&mut stream).unwrap().bytes, 0);
}

/// Some frames of a server that keeps the rules, and what must come of them.
pub(super) fn valid_streams() -> impl Strategy<Value = (Vec<u8>, Vec<Got>)> {
    let control = (any::<bool>(), prop::collection::vec(any::<u8>(), 0..=125)).prop_map(|(ping, payload)| {
        if ping {
            (server(PING, &payload), Got::Ping(payload))
        } else {
            (server(PONG, &payload), Got::Pong(payload))
        }
    });
    let controls = prop::collection::vec(control, 0..2);
    let body = prop_oneof![
        4 => ".{0,40}".prop_map(|text| (true, text.into_bytes())),
        4 => prop::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| (false, bytes)),
        1 => (1000..80_000_usize, any::<u8>()).prop_map(|(len, byte)| (false, vec![byte; len])),
        1 => (300..9000_usize).prop_map(|len| (true, "日本語".repeat(len).into_bytes())),
    ];
    let cuts = prop::collection::vec((any::<prop::sample::Index>(), controls), 0..4);
    let message = (body, cuts).prop_map(|((text, body), mut cuts)| {
        cuts.sort_by_key(|(at, _)| at.index(body.len() + 1));
        let (mut bytes, mut got, mut from) = (Vec::new(), Vec::new(), 0);
        let mut opcode = if text { 1 } else { 2 };
        for (at, controls) in cuts {
            let to = at.index(body.len() + 1);
            bytes.extend(server(opcode, &body[from..to]));
            (opcode, from) = (0, to);
            for (frame, item) in controls {
                bytes.extend(frame);
                got.push(item);
            }
        }
        bytes.extend(server(0x80 | opcode, &body[from..]));
        got.push(if text { Got::Text(String::from_utf8(body).unwrap()) } else { Got::Binary(body) });
        (bytes, got)
    });
    prop::collection::vec(message, 0..12).prop_map(|messages| {
        let (bytes, got): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
        (bytes.concat(), got.concat())
    })
}

/// A stream that gives what it has again and again.
struct Endless<'a> {
    chunk: &'a [u8],
    at: usize,
}

impl std::io::Read for Endless<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        for byte in buf.iter_mut() {
            *byte = self.chunk[self.at % self.chunk.len()];
            self.at += 1;
        }
        Ok(buf.len())
    }
}

#[test]
fn a_read_is_bounded_however_much_there_is() {
    let frame = server(BINARY, &[8; 6_000_000]);
    let mut stream = Endless { chunk: &frame, at: 0 };
    let mut inbound = Inbound::new(MAX, Vec::new());
    let mut messages = 0;
    while messages < 3 {
        assert!(inbound.fill(&mut stream).unwrap().bytes <= 2 << 20);
        while inbound.next().unwrap().is_some() {
            messages += 1;
        }
    }
}

proptest! {
    #[test]
    fn any_cut_of_any_valid_stream_gives_the_same_items(
        (bytes, expected) in valid_streams(),
        sizes in prop::collection::vec(prop_oneof![1..20_usize, 1..5000_usize, 5000..100_000_usize], 1..20),
    ) {
        let mut inbound = Inbound::new(MAX, Vec::new());
        let mut rest = &bytes[..];
        let pieces = sizes.iter().cycle().map_while(|size| {
            let (piece, behind) = rest.split_at((*size).min(rest.len()));
            rest = behind;
            (!piece.is_empty()).then(|| piece.to_vec())
        });
        prop_assert_eq!(read_all(&mut inbound, pieces), expected);
        prop_assert!(inbound.buffer_size() <= 256 * 1024);
    }

    #[test]
    fn no_bytes_whatever_bring_it_down(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x80..0x8B_u8, 0..3_u8], 1..2000),
        size in 1..200_usize,
    ) {
        let whole = read_all(&mut Inbound::new(5000, Vec::new()), [bytes.clone()]);
        let cut = read_all(&mut Inbound::new(5000, Vec::new()), bytes.chunks(size).map(<[u8]>::to_vec));
        prop_assert_eq!(whole, cut);
    }
}
