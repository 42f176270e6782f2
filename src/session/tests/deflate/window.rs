//! No compressed message looks back further than the window that was agreed on.
//!
//! zlib would inflate what does: it looks back into what it just put out, too. So the distances are read here, by an
//! inflater straight from RFC 1951.

use crate::config::deflate::Deflate;
use crate::config::delivery::Terms;
use crate::entry::Kind;
use crate::event::MessageId;
use crate::session::tests::frames::client;
use crate::session::tests::stream::Scripted;
use crate::session::wire::Wire;

/// Section 3.2.5.
const LENGTHS: [(usize, u32); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];
/// Section 3.2.7.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> usize {
        let bit = |at: usize| usize::from(self.bytes[at / 8] >> (at % 8) & 1);
        let value = (0..count as usize).map(|n| bit(self.at + n) << n).sum();
        self.at += count as usize;
        value
    }

    /// The next symbol, bit by bit.
    fn symbol(&mut self, of: &Code) -> usize {
        let (mut code, mut first, mut before) = (0, 0, 0);
        for count in of.counts {
            code = code << 1 | self.take(1);
            if code < first + count {
                return of.symbols[before + code - first];
            }
            first = (first + count) << 1;
            before += count;
        }
        panic!("no such code");
    }

    fn dynamic(&mut self) -> (Code, Code) {
        let (literals, distances, count) = (self.take(5) + 257, self.take(5) + 1, self.take(4) + 4);
        let mut codes = [0; 19];
        ORDER.iter().take(count).for_each(|place| codes[*place] = self.take(3));
        let codes = Code::new(&codes);
        let mut lengths: Vec<usize> = Vec::new();
        while lengths.len() < literals + distances {
            match self.symbol(&codes) {
                16 => {
                    let last = *lengths.last().unwrap();
                    let times = self.take(2) + 3;
                    lengths.extend(vec![last; times]);
                }
                17 => lengths.extend(vec![0; self.take(3) + 3]),
                18 => lengths.extend(vec![0; self.take(7) + 11]),
                length => lengths.push(length),
            }
        }
        let distances = lengths.split_off(literals);
        (Code::new(&lengths), Code::new(&distances))
    }
}

/// Symbols in the order of their codes, and how many have one of 1 to 15 bits (section 3.2.2).
struct Code {
    counts: [usize; 15],
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[usize]) -> Code {
        let mut symbols: Vec<usize> = (0..lengths.len()).filter(|symbol| lengths[*symbol] > 0).collect();
        symbols.sort_by_key(|symbol| lengths[*symbol]);
        let counts = std::array::from_fn(|n| lengths.iter().filter(|length| **length == n + 1).count());
        Code { counts, symbols }
    }
}

/// Inflates onto `out`; answers the furthest look back.
fn furthest(payload: &[u8], out: &mut Vec<u8>) -> usize {
    let bytes = [payload, &[0, 0, 0xFF, 0xFF]].concat();
    let mut bits = Bits { bytes: &bytes, at: 0 };
    let mut furthest = 0;
    while bits.at.div_ceil(8) < bytes.len() {
        assert_eq!(bits.take(1), 0, "no BFINAL");
        let (literals, distances) = match bits.take(2) {
            0 => {
                let start = bits.at.div_ceil(8);
                let len = usize::from(u16::from_le_bytes([bytes[start], bytes[start + 1]]));
                out.extend(&bytes[start + 4..start + 4 + len]);
                bits.at = (start + 4 + len) * 8;
                continue;
            }
            1 => {
                let lengths: Vec<usize> = [(8, 144), (9, 112), (7, 24), (8, 8)]
                    .into_iter()
                    .flat_map(|(length, times)| vec![length; times])
                    .collect();
                (Code::new(&lengths), Code::new(&[5; 30]))
            }
            _ => bits.dynamic(),
        };
        loop {
            let symbol = bits.symbol(&literals);
            if symbol < 256 {
                out.push(symbol as u8);
                continue;
            }
            if symbol == 256 {
                break;
            }
            let (base, extra) = LENGTHS[symbol - 257];
            let length = base + bits.take(extra);
            let code = bits.symbol(&distances);
            let extra = (code as u32 / 2).saturating_sub(1);
            let base = if code < 2 { code } else { (2 + code % 2) << extra };
            let distance = base + 1 + bits.take(extra);
            furthest = furthest.max(distance);
            (0..length).for_each(|_| out.push(out[out.len() - distance]));
        }
    }
    furthest
}

#[test]
fn no_reference_leaves_the_window_at_any_level() {
    // Words that come again at distances of every size.
    let mut text = Vec::new();
    let mut n: u32 = 1;
    while text.len() < 90_000 {
        n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.extend(format!("{:03} ", (n >> 16) % (1 + text.len() as u32 / 100)).bytes());
    }
    for bits in 8..=15 {
        let mut used = 0;
        for level in 1..=9 {
            let mut wire = Wire::new(Scripted::default());
            let offer = Deflate::new().threshold(0).level(level).client_max_window_bits(bits);
            wire.agree(&offer.judge(["permessage-deflate"].into_iter()).unwrap().unwrap());
            for (id, message) in (1..).zip(text.chunks(20_000)) {
                wire.send_now(MessageId(id), Kind::Binary, message, None, Terms::default());
            }
            let mut out = Vec::new();
            for frame in client(&wire.stream.out).0 {
                assert_eq!(frame.first, 0xC2);
                let distance = furthest(&frame.payload, &mut out);
                assert!(distance <= 1 << bits, "{distance} with {bits} bits at level {level}");
                used = used.max(distance);
            }
            assert!(out == text);
        }
        assert!(used > (1 << bits) / 3, "{bits} bits, but {used} is as far as it looks");
    }
}
