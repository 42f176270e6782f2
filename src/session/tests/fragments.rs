//! What the reading half promises where long messages come in fragments.

use proptest::prelude::*;

use super::frames::{BINARY, CLOSE, PING, TEXT, server};
use super::reader::{Got, read_all, valid_streams};
use crate::error::ProtocolFault;
use crate::session::reader::Inbound;

/// As far as the buffer grows for traffic.
const TRAFFIC: usize = 64 * 1024;
/// What may be in it besides a message that is kept: a header, and a control frame.
const BESIDES: usize = 14 + 131;

fn inbound(above: usize, max: u64) -> Inbound {
    let mut inbound = Inbound::new(16 << 20, Vec::new());
    inbound.hand_on_above(above, max);
    inbound
}

/// Joins fragments to the message that they are parts of, and sees that they are none of another. What was not ended
/// is left out.
pub(super) fn join(got: Vec<Got>, above: usize) -> Vec<Got> {
    let mut begun: Option<Vec<u8>> = None;
    let mut joined = Vec::new();
    for got in got {
        let Got::Fragment(part) = got else {
            match &got {
                Got::Text(text) => assert!(begun.is_none() && text.len() <= above),
                Got::Binary(bytes) => assert!(begun.is_none() && bytes.len() <= above),
                _ => {}
            }
            joined.push(got);
            continue;
        };
        assert_eq!(part.is_first(), begun.is_none());
        assert!(!part.is_empty() || part.is_last() && !part.is_first(), "{part}");
        assert!(part.len() <= above.max(TRAFFIC) + BESIDES && !part.is_aborted(), "{part}");
        let message = begun.get_or_insert_default();
        assert_eq!(part.offset(), message.len() as u64);
        message.extend_from_slice(part.as_bytes());
        if part.is_last() {
            let message = begun.take().expect("it was put in");
            assert!(message.len() > above, "{part}");
            joined.push(match part.is_text() {
                true => Got::Text(String::from_utf8(message).expect("a text is UTF-8")),
                false => Got::Binary(message),
            });
        }
    }
    joined
}

/// Offsets and lengths of the fragments among these.
fn parts(got: &[Got]) -> Vec<(u64, usize, bool)> {
    let part = |got: &Got| match got {
        Got::Fragment(part) => Some((part.offset(), part.len(), part.is_last())),
        _ => None,
    };
    got.iter().filter_map(part).collect()
}

#[test]
fn a_message_is_whole_up_to_the_limit_and_in_fragments_above_it() {
    let stream = [server(TEXT, b"1234"), server(TEXT, b"12345"), server(TEXT, b""), server(BINARY, &[1; 5])];
    let mut inbound = inbound(4, u64::MAX);
    let got = read_all(&mut inbound, [stream.concat()]);
    assert_eq!((&got[0], &got[2]), (&Got::Text("1234".to_owned()), &Got::Text(String::new())));
    assert_eq!(parts(&got), [(0, 5, true), (0, 5, true)], "one that is there whole is one fragment");
    // The length that a frame claims decides before its bytes are there; fragments without one, when there are enough.
    let got = read_all(&mut inbound, [server(TEXT, b"12345")[..3].to_vec()]);
    assert_eq!(parts(&got), [(0, 1, false)]);
    let got = read_all(&mut inbound, [b"2345".to_vec(), server(0x01, b"12"), server(0x00, b"34")]);
    assert_eq!(parts(&got), [(1, 4, true)]);
    let got = read_all(&mut inbound, [server(0x00, b"56"), server(0x00, b""), server(0x80, b"")]);
    assert_eq!(parts(&got), [(0, 6, false), (6, 0, true)]);
    let got = read_all(&mut inbound, [server(0x01, b"12"), server(0x80, b"34")]);
    assert_eq!(got, [Got::Text("1234".to_owned())]);
}

#[test]
fn a_claim_of_any_size_brings_no_fragment_and_costs_no_memory_until_bytes_arrive() {
    let mut inbound = inbound(1000, u64::MAX);
    let claim = [&[BINARY, 127][..], &(1_u64 << 62).to_be_bytes()].concat();
    assert_eq!(read_all(&mut inbound, [claim]), []);
    assert!(inbound.buffer_size() <= 4096);
    let mut at = 0;
    let piece = vec![7; 100_000];
    for _ in 0..200 {
        for (offset, len, last) in parts(&read_all(&mut inbound, [piece.clone()])) {
            assert_eq!((offset, last), (at, false));
            at += len as u64;
        }
    }
    assert_eq!(at, 20_000_000, "all that came was handed on");
    assert_eq!(inbound.buffer_size(), TRAFFIC);
}

#[test]
fn fragments_stay_small_behind_a_beginning_that_was_kept() {
    const ABOVE: usize = 300_000;
    let mut inbound = inbound(ABOVE, u64::MAX);
    let mut stream = server(0x02, &[1; ABOVE - 1]);
    (0..50).for_each(|_| stream.extend(server(0x00, &[2; 100_000])));
    stream.extend(server(0x80, b""));
    let got = read_all(&mut inbound, [stream]);
    assert!(parts(&got)[0].1 >= ABOVE, "what was kept is one fragment, with what came with its last byte");
    assert!(parts(&got).iter().all(|(_, len, _)| *len <= ABOVE + BESIDES), "{:?}", parts(&got));
    assert!(inbound.buffer_size() <= ABOVE + BESIDES);
}

#[test]
fn no_character_is_cut_wherever_the_bytes_are() {
    let text = "aé你\u{1F980}".repeat(20);
    let stream = server(TEXT, text.as_bytes());
    for cut in 1..stream.len() {
        let (left, right) = stream.split_at(cut);
        let got = read_all(&mut inbound(0, u64::MAX), [left.to_vec(), right.to_vec()]);
        let characters = got.iter().map(|got| match got {
            Got::Fragment(part) => part.as_text().expect("a part of a text is text").to_owned(),
            other => panic!("{other:?}"),
        });
        assert_eq!(characters.collect::<String>(), text, "cut at {cut}");
    }
}

#[test]
fn text_that_is_no_utf8_fails_at_the_first_wrong_byte_of_whichever_fragment() {
    let wrong = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90";
    let fault = Got::Fault(ProtocolFault::Utf8);
    for cut in 1..wrong.len() {
        let mut frame = server(0x01, &[b' '; 100]);
        frame.truncate(2);
        let pieces = [frame, wrong[..cut].to_vec(), wrong[cut..].to_vec()];
        let got = read_all(&mut inbound(5, u64::MAX), pieces);
        assert_eq!(got.last(), Some(&fault), "inside a frame, cut at {cut}");
        assert!(join(got, 5).len() == 1, "nothing ended");
    }
    for end in [&b"\xe4\xbd"[..], b"\xf0\x9f\xa6", b"\x80", b"\xc3\xc3"] {
        let frames = [server(0x01, b"good until the"), server(0x80, end)];
        let got = read_all(&mut inbound(5, u64::MAX), frames);
        assert_eq!((parts(&got).len(), got.last()), (1, Some(&fault)), "{end:?} is the last fragment");
    }
}

#[test]
fn the_limit_of_a_message_fails_one_in_fragments_before_its_payload() {
    let fault = Got::Fault(ProtocolFault::TooBig(1000));
    let header = |first, len: usize| server(first, &vec![b'x'; len])[..4].to_vec();
    assert_eq!(read_all(&mut inbound(10, 1000), [header(BINARY, 1001)]), std::slice::from_ref(&fault));
    let got = read_all(&mut inbound(10, 1000), [server(0x02, &[1; 400]), header(0x00, 601)]);
    assert_eq!((parts(&got), got.last()), (vec![(0, 400, false)], Some(&fault)));
    let got = read_all(&mut inbound(10, 1000), [server(0x02, &[1; 700]), server(0x80, &[1; 300])]);
    assert_eq!(join(got, 10), [Got::Binary(vec![1; 1000])]);
}

#[test]
fn pings_between_fragments_come_between_them_and_a_close_is_the_end() {
    let stream = [
        server(0x01, b"one "),
        server(PING, b"1"),
        server(0x00, &"zwei\u{20AC}".as_bytes()[..6]),
        server(PING, b"2"),
        server(CLOSE, b"\x03\xe8bye"),
        server(0x80, b"three"),
    ];
    let got = read_all(&mut inbound(3, u64::MAX), [stream.concat()]);
    let kinds: Vec<_> = got.iter().map(std::mem::discriminant).collect();
    assert_eq!((kinds[0], kinds[1], kinds.len()), (kinds[2], kinds[3], 5), "{got:?}");
    assert_eq!(got[4], Got::Close(1000, "bye".to_owned()));
}

proptest! {
    #[test]
    fn fragments_joined_are_the_message_wherever_the_stream_is_cut(
        (bytes, expected) in valid_streams(),
        above in prop_oneof![Just(0_usize), 1..100_usize, 100..100_000_usize],
        sizes in prop::collection::vec(prop_oneof![1..20_usize, 1..5000_usize, 5000..100_000_usize], 1..20),
    ) {
        let mut inbound = inbound(above, u64::MAX);
        let mut rest = &bytes[..];
        let pieces = sizes.iter().cycle().map_while(|size| {
            let (piece, behind) = rest.split_at((*size).min(rest.len()));
            rest = behind;
            (!piece.is_empty()).then(|| piece.to_vec())
        });
        let got = read_all(&mut inbound, pieces);
        prop_assert_eq!(join(got, above), expected);
        prop_assert!(inbound.buffer_size() <= above.max(TRAFFIC) + BESIDES);
    }

    #[test]
    fn whatever_comes_is_the_same_in_fragments_and_whole(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x80..0x8B_u8, 0..3_u8], 1..2000),
        size in 1..200_usize,
        above in 0..300_usize,
    ) {
        let whole = read_all(&mut Inbound::new(5000, Vec::new()), [bytes.clone()]);
        let mut inbound = inbound(above, 5000);
        let cut = read_all(&mut inbound, bytes.chunks(size).map(<[u8]>::to_vec));
        prop_assert_eq!(whole, join(cut, above));
    }
}
