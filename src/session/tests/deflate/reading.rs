//! What the reading half promises about compressed messages.

use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;

use super::peer::{Peer, agreed};
use crate::error::ProtocolFault;
use crate::session::reader::Inbound;
use crate::session::tests::frames::{PING, TEXT, server};
use crate::session::tests::reader::{Got, read_all};

const MAX: usize = 1 << 20;
/// "Hello", from RFC 7692 section 7.2.3.1.
const HELLO: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

fn inbound(parameters: &str, max: usize) -> Inbound {
    let mut inbound = Inbound::new(max, Vec::new());
    inbound.agree(&agreed(parameters));
    inbound
}

fn read(parameters: &str, bytes: &[u8]) -> Vec<Got> {
    read_all(&mut inbound(parameters, MAX), [bytes.to_vec()])
}

fn text(text: &str) -> Got {
    Got::Text(text.to_owned())
}

#[test]
fn the_rfcs_examples_are_hello() {
    let hello = text("Hello");
    // Section 7.2.3.1, in one frame and in two.
    assert_eq!(read("", &server(0xC1, HELLO)), std::slice::from_ref(&hello));
    let two = [server(0x41, &HELLO[..3]), server(0x80, &HELLO[3..])].concat();
    assert_eq!(read("", &two), std::slice::from_ref(&hello));
    // 7.2.3.2: the second one with a reference to the first; or not.
    let twice = [server(0xC1, HELLO), server(0xC1, &[0xf2, 0x00, 0x11, 0x00, 0x00])].concat();
    assert_eq!(read("", &twice), [hello.clone(), hello.clone()]);
    let twice = [server(0xC1, HELLO), server(0xC1, HELLO)].concat();
    assert_eq!(read("; server_no_context_takeover", &twice), [hello.clone(), hello.clone()]);
    // 7.2.3.3: a block without compression.
    let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
    assert_eq!(read("", &server(0xC1, &stored)), std::slice::from_ref(&hello));
    // 7.2.3.4: a block with BFINAL; and without the byte behind it, which some forget.
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    for last in [&last[..], &last[..7]] {
        let bytes = [server(0xC1, last), server(0xC1, HELLO), server(0xC1, last)].concat();
        assert_eq!(read("", &bytes), [hello.clone(), hello.clone(), hello.clone()]);
    }
    // 7.2.3.5: two blocks.
    let blocks = [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(read("", &server(0xC1, &blocks)), [hello]);
}

#[test]
fn empty_messages_are_empty_in_every_form() {
    let bytes = [
        server(0xC1, &[0x00]),                            // section 7.2.3.6
        server(0xC1, &[0x02, 0x00]),                      // an empty block of fixed codes
        server(0xC1, &[]),                                // nothing at all
        server(0xC1, &[0, 0, 0, 0xFF, 0xFF, 0]),          // flushed twice
        [server(0x41, &[]), server(0x80, &[0])].concat(), // in fragments
        [server(0x41, &[0]), server(0x80, &[])].concat(),
        server(TEXT, b""),
        server(0xC1, HELLO),
    ]
    .concat();
    let mut expected = vec![text(""); 7];
    expected.push(text("Hello"));
    assert_eq!(read("", &bytes), expected);
    assert_eq!(read("; server_no_context_takeover", &bytes), expected);
}

#[test]
fn a_conversation_is_the_same_wherever_it_is_cut() {
    for parameters in ["", "; server_no_context_takeover"] {
        let mut peer = Peer::new(parameters);
        let long = "grüße 你好 \u{1F980} ".repeat(40);
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let payload = peer.compress(long.as_bytes());
            bytes.extend(server(0xC1, &payload));
            bytes.extend(server(TEXT, b"plain"));
            let payload = peer.compress(long.as_bytes());
            let (left, right) = payload.split_at(payload.len() / 2);
            bytes.extend(server(0x42, left));
            bytes.extend(server(PING, b"in between"));
            bytes.extend(server(0x00, b""));
            bytes.extend(server(0x80, right));
            let binary = long.clone().into_bytes();
            expected.extend([
                text(&long),
                text("plain"),
                Got::Ping(b"in between".to_vec()),
                Got::Binary(binary),
            ]);
        }
        assert_eq!(read(parameters, &bytes), expected);
        for cut in 1..bytes.len() {
            let pieces = [bytes[..cut].to_vec(), bytes[cut..].to_vec()];
            assert_eq!(read_all(&mut inbound(parameters, MAX), pieces), expected, "cut at {cut}");
        }
        let single = bytes.iter().map(|byte| vec![*byte]);
        assert_eq!(read_all(&mut inbound(parameters, MAX), single), expected);
    }
}

#[test]
fn reserved_bits_stand_on_the_first_frame_of_a_message_alone() {
    let fault = [Got::Fault(ProtocolFault::ReservedBits)];
    for first in [0xC8, 0xC9, 0xCA, 0xA1, 0x91, 0xE1, 0xD1, 0xC0, 0xC3] {
        assert_eq!(read("", &[first]), fault, "{first:#x}");
    }
    assert_eq!(read("", &[server(0x41, HELLO), vec![0xC0]].concat()), fault);
    assert_eq!(read("", &[server(0x01, b"x"), vec![0x40]].concat()), fault);
    let mut plain = Inbound::new(MAX, Vec::new());
    assert_eq!(read_all(&mut plain, [server(0xC1, HELLO)]), fault);
    assert_eq!(ProtocolFault::ReservedBits.close_code(), 1002);
}

#[test]
fn what_cannot_be_inflated_is_a_fault_at_once() {
    let fault = [Got::Fault(ProtocolFault::Deflate)];
    let reserved_block = [0x07];
    let bad_stored = [0x00, 0x05, 0x00, 0x00, 0x00];
    let too_far_back = [0xf2, 0x00, 0x11, 0x00, 0x00];
    for bad in [&reserved_block[..], &bad_stored, &too_far_back] {
        assert_eq!(read("", &server(0xC1, bad)), fault, "{bad:?}");
        let mut begun = server(0x42, &[bad, &[0; 50]].concat());
        begun.truncate(begun.len() - 20);
        assert_eq!(read("", &begun), fault, "{bad:?} in a frame that is not whole");
    }
    // Without takeover there is nothing to refer to.
    let twice = [server(0xC1, HELLO), server(0xC1, &too_far_back)].concat();
    assert_eq!(read("; server_no_context_takeover", &twice), [text("Hello"), fault[0].clone()]);
    assert_eq!(ProtocolFault::Deflate.close_code(), 1007);
}

#[test]
fn text_that_is_no_utf8_fails_as_soon_as_it_comes_out() {
    let mut peer = Peer::new("");
    let wrong = "κόσμε".as_bytes().iter().copied().chain(*b"\xf4\x90").collect::<Vec<u8>>();
    let fault = [Got::Fault(ProtocolFault::Utf8)];
    let part = peer.compress_part(&wrong);
    assert_eq!(read("", &server(0x41, &part)), fault, "in a fragment");
    let mut frame = server(0xC1, &[&part[..], &[0; 50]].concat());
    frame.truncate(frame.len() - 50);
    assert_eq!(read("", &frame), fault, "in a frame that is not whole");
    assert_eq!(read("", &server(0xC1, &Peer::new("").compress(b"\xe4\xbd"))), fault, "cut short at the end");
    // A character may be spread over fragments, and over blocks.
    let mut peer = Peer::new("");
    let left = peer.compress_part(b"\xe4");
    let right = peer.compress(b"\xbd\xa0");
    assert_eq!(read("", &[server(0x41, &left), server(0x80, &right)].concat()), [text("你")]);
}

#[test]
fn the_limit_is_for_what_comes_out() {
    for parameters in ["", "; server_no_context_takeover"] {
        for (size, good) in [(5000, true), (5001, false), (1 << 20, false)] {
            let payload = Peer::new(parameters).compress(&vec![b'x'; size]);
            let got = read_all(&mut inbound(parameters, 5000), [server(0xC2, &payload)]);
            let expected =
                if good { Got::Binary(vec![b'x'; size]) } else { Got::Fault(ProtocolFault::TooBig(5000)) };
            assert!(got == [expected], "{size}");
        }
    }
    // A frame that claims more than any compressor makes of so little is refused before its payload.
    let mut inbound = inbound("", 5000);
    let claim = [0xC2, 127, 0, 0, 0, 0, 0, 1, 0, 0];
    assert_eq!(read_all(&mut inbound, [claim.to_vec()]), [Got::Fault(ProtocolFault::TooBig(5000))]);
}

#[test]
fn fragments_that_inflate_to_nothing_do_not_go_on_for_ever() {
    let nothing = server(0x00, &[0, 0, 0, 0xFF, 0xFF].repeat(20));
    let mut bytes = server(0x42, &[]);
    (0..1000).for_each(|_| bytes.extend(&nothing));
    let got = read_all(&mut inbound("", 5000), [bytes]);
    assert_eq!(got, [Got::Fault(ProtocolFault::TooBig(5000))]);
}

#[test]
fn a_window_of_any_size_is_inflated() {
    let message: Vec<u8> = (0..60_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
    for bits in 9..=15 {
        let mut compress = Compress::new_with_window_bits(Compression::best(), false, bits);
        let mut inbound = inbound(&format!("; server_max_window_bits={bits}"), MAX);
        for _ in 0..3 {
            let mut payload = Vec::with_capacity(message.len() * 2);
            compress.compress_vec(&message, &mut payload, FlushCompress::Sync).unwrap();
            payload.truncate(payload.len() - 4);
            let got = read_all(&mut inbound, [server(0xC2, &payload)]);
            assert!(got == [Got::Binary(message.clone())], "{bits} bits");
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_compressed_comes_out(
        messages in prop::collection::vec(prop::collection::vec(0u8..4, 0..3000), 1..8),
        takeover in any::<bool>(),
        size in 1usize..500,
        fragment in 1usize..2000,
    ) {
        let parameters = if takeover { "" } else { "; server_no_context_takeover" };
        let mut peer = Peer::new(parameters);
        let bytes: Vec<u8> = messages.iter().flat_map(|message| peer.binary(message, fragment)).collect();
        let mut inbound = inbound(parameters, MAX);
        let mut got = Vec::new();
        for piece in bytes.chunks(size) {
            got.extend(read_all(&mut inbound, [piece.to_vec()]));
            inbound.shrink();
        }
        let expected: Vec<_> = messages.into_iter().map(Got::Binary).collect();
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn whatever_else_comes_is_a_message_or_a_fault(
        payload in prop::collection::vec(any::<u8>(), 0..200),
        size in 1usize..50,
    ) {
        let frame = server(0xC1, &payload);
        let whole = read_all(&mut inbound("", 5000), [frame.clone()]);
        let cut = read_all(&mut inbound("", 5000), frame.chunks(size).map(<[u8]>::to_vec));
        prop_assert_eq!(whole, cut);
    }
}
