//! A session in memory: reader and writer, the server's bytes in whatever pieces, a socket that takes whatever it likes.
//!
//! Options: the lower three bits choose the limit of a message, the fourth one hands on messages above a third of it in
//! fragments, which must come to the same, the fifth gives the first piece with the upgrade's
//! answer, the sixth closes behind the first message, the seventh says the bytes many times, the eighth agrees to
//! compression: with an odd number of sizes for each message alone. Half that number, by three: messages go out in one
//! frame, in fragments, or in pieces.
#![no_main]

use flate2::{Decompress, FlushDecompress};
use heartwire::fuzz::{Compression, Item, Reader, Writer};
use heartwire::{MessageRef, ProtocolFault};
use heartwire_fuzz::{Frame, Input, Stream, client_frames};
use libfuzzer_sys::fuzz_target;

const LIMITS: [usize; 8] = [1, 2, 125, 126, 1000, 70_000, 16 << 20, usize::MAX];

/// What a reader may hold besides a message of the longest length: a header, and a control frame.
const BESIDES: usize = 14 + 131;
/// As far as a buffer grows for many small messages.
const TRAFFIC: usize = 64 * 1024;
const MANY: usize = 64;
/// Compressed messages come to no more than this, or a run would take too long.
const INFLATED: usize = 1 << 20;
/// The least that a builder takes.
const LEAST_FRAGMENT: usize = 128;

#[derive(Clone, Debug, PartialEq)]
enum Got {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
    Fault(ProtocolFault),
}

fuzz_target!(|input: &[u8]| {
    let Some(input) = Input::new(input) else { return };
    let limit = input.choose(&LIMITS);
    // As often as it takes to fill the buffers, whose limits no input is long enough for.
    let bytes = input.bytes.repeat(if input.flag(2) { MANY } else { 1 });
    let compression = match (input.flag(3), input.sizes.len() % 2) {
        (false, _) => None,
        (true, 0) => Some(Compression::Takeover),
        (true, _) => Some(Compression::Alone),
    };
    let limit = if compression.is_some() { limit.min(INFLATED) } else { limit };
    let size = usize::from(input.sizes.first().copied().unwrap_or_default());
    let outgoing = match input.sizes.len() / 2 % 3 {
        0 => Outgoing::Whole,
        1 => Outgoing::Fragments(LEAST_FRAGMENT + size),
        _ => Outgoing::Pieces(1 + size),
    };
    let above = (input.options & 8 != 0).then_some((limit / 3).min(TRAFFIC));
    let whole =
        Session::new(Stream::whole(&bytes), limit, None, &compression, outgoing, Vec::new()).run(false);

    let first = input.sizes.first().map_or(0, |size| usize::from(*size).min(bytes.len()));
    let (rest, bytes) = bytes.split_at(if input.flag(0) { first } else { 0 });
    let stream = Stream::pieces(bytes, input.sizes);
    let pieces = Session::new(stream, limit, above, &compression, outgoing, rest.to_vec()).run(input.flag(1));
    assert_eq!(whole, pieces, "whole and in pieces");

    for got in &whole {
        match got {
            Got::Text(text) => assert!(text.len() <= limit),
            Got::Binary(bytes) => assert!(bytes.len() <= limit),
            Got::Ping(payload) | Got::Pong(payload) => assert!(payload.len() <= 125),
            Got::Close(code, reason) => {
                assert!(matches!(code, 1000..=1003 | 1005 | 1007..=1014 | 3000..=4999), "{code}");
                assert!(reason.len() <= 123);
            }
            Got::Fault(fault) => assert!(matches!(fault.close_code(), 1002 | 1007 | 1009)),
        }
    }
    let ends = whole.iter().filter(|got| matches!(got, Got::Close(..) | Got::Fault(_))).count();
    let last = matches!(whole.last(), Some(Got::Close(..) | Got::Fault(_)));
    assert_eq!(ends, usize::from(last), "nothing comes behind a Close or a fault");
});

/// How the client's messages go out.
#[derive(Clone, Copy)]
enum Outgoing {
    Whole,
    Fragments(usize),
    Pieces(usize),
}

/// A client that echoes, answers pings, and answers the end with a Close.
struct Session<'a> {
    limit: usize,
    /// Longer messages come in fragments.
    above: Option<usize>,
    /// Those that have come of the message.
    begun: Vec<u8>,
    reader: Reader,
    /// What came with the upgrade's answer.
    given: usize,
    writer: Writer<Stream<'a>>,
    /// What the server must see, in its order; without the pongs.
    expected: Vec<Frame>,
    pings: Vec<Vec<u8>>,
    closed: bool,
    got: Vec<Got>,
    /// Inflates each message alone.
    alone: bool,
    outgoing: Outgoing,
}

impl<'a> Session<'a> {
    fn new(
        stream: Stream<'a>,
        limit: usize,
        above: Option<usize>,
        compression: &Option<Compression>,
        outgoing: Outgoing,
        rest: Vec<u8>,
    ) -> Session<'a> {
        let given = rest.len();
        let (mut reader, mut writer) = (Reader::new(limit, rest), Writer::new(stream));
        if let Some(above) = above {
            reader.hand_on_above(above, limit);
        }
        if let Some(compression) = compression {
            reader.agree(compression);
            writer.agree(compression);
        }
        if let Outgoing::Fragments(size) = outgoing {
            writer.fragment(size);
        }
        Session {
            limit,
            above,
            begun: Vec::new(),
            given,
            reader,
            writer,
            alone: matches!(compression, Some(Compression::Alone)),
            outgoing,
            expected: Vec::new(),
            pings: Vec::new(),
            closed: false,
            got: Vec::new(),
        }
    }

    fn run(mut self, closes_early: bool) -> Vec<Got> {
        self.drain(closes_early);
        while !self.writer.stream().unread().is_empty() {
            match self.reader.fill(self.writer.stream()) {
                Ok(bytes) => assert!(bytes > 0, "the stream has not ended"),
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
            }
            self.drain(closes_early);
            self.reader.shrink();
            self.writer.flush();
        }
        self.writer.stream().unblock();
        assert!(self.writer.flush(), "a stream that takes all leaves nothing");
        self.judge_written();
        self.got
    }

    fn drain(&mut self, closes_early: bool) {
        loop {
            let got = match self.reader.next() {
                Ok(None) => break,
                Ok(Some(Item::Fragment)) => match self.take_part() {
                    Ok(None) => continue,
                    Ok(Some(message)) => message,
                    Err(fault) => Got::Fault(fault),
                },
                Ok(Some(Item::Message(message)))
                    if self.above.is_some_and(|above| message.as_bytes().len() > above) =>
                {
                    panic!("{message:?} came whole")
                }
                Ok(Some(Item::Message(MessageRef::Text(text)))) => {
                    let text = std::str::from_utf8(text.as_bytes()).expect("a text is UTF-8");
                    Got::Text(text.to_owned())
                }
                Ok(Some(Item::Message(message))) => Got::Binary(message.as_bytes().to_vec()),
                Ok(Some(Item::Ping(payload))) => Got::Ping(payload.to_vec()),
                Ok(Some(Item::Pong(payload))) => Got::Pong(payload.to_vec()),
                Ok(Some(Item::Close(code, reason))) => Got::Close(code, reason.to_owned()),
                Err(fault) => Got::Fault(fault),
            };
            self.answer(&got, closes_early);
            self.got.push(got);
        }
        let most = self
            .above
            .unwrap_or(self.limit)
            .min(self.limit)
            .saturating_add(BESIDES)
            .max(TRAFFIC)
            .max(self.given.next_power_of_two());
        assert!(self.reader.buffer_size() <= most, "{} of {most} bytes", self.reader.buffer_size());
    }

    /// The message, if this was its last part.
    fn take_part(&mut self) -> Result<Option<Got>, ProtocolFault> {
        let above = self.above.expect("fragments were asked for");
        let part = self.reader.fragment()?;
        let bytes = part.as_bytes();
        assert_eq!(part.offset(), self.begun.len() as u64);
        assert!(!bytes.is_empty() || part.is_last(), "{part}");
        assert!(bytes.len() <= above.max(TRAFFIC) + BESIDES, "{part}");
        if let Some(text) = part.as_text() {
            std::str::from_utf8(text.as_bytes()).expect("a part of a text is UTF-8");
        }
        self.begun.extend_from_slice(bytes);
        if !part.is_last() {
            return Ok(None);
        }
        let message = std::mem::take(&mut self.begun);
        assert!(message.len() > above, "{part}");
        Ok(Some(if part.is_text() {
            Got::Text(String::from_utf8(message).expect("a text is UTF-8"))
        } else {
            Got::Binary(message)
        }))
    }

    fn answer(&mut self, got: &Got, closes_early: bool) {
        match got {
            Got::Text(text) => self.send(MessageRef::Text(text), 0x81),
            Got::Binary(bytes) => self.send(MessageRef::Binary(bytes), 0x82),
            Got::Ping(payload) => {
                if !self.closed {
                    self.pings.push(payload.clone());
                }
                self.writer.pong(payload);
            }
            Got::Pong(_) => {}
            Got::Close(1005, _) => self.close(None, ""),
            Got::Close(code, reason) => self.close(Some(*code), reason),
            Got::Fault(fault) => self.close(Some(fault.close_code()), &fault.to_string()),
        }
        if closes_early && matches!(got, Got::Text(_) | Got::Binary(_)) {
            self.close(Some(1000), "enough");
        }
    }

    fn send(&mut self, message: MessageRef<'_>, first: u8) {
        if !self.closed {
            self.expected.push(Frame { first, payload: message.as_bytes().to_vec() });
            match self.outgoing {
                Outgoing::Pieces(size) => self.writer.send_pieces(message, size),
                _ => self.writer.send(message),
            };
        }
    }

    fn close(&mut self, code: Option<u16>, reason: &str) {
        if !self.closed {
            let code = code.map(|code| code.to_be_bytes().to_vec()).unwrap_or_default();
            let payload = if code.is_empty() { code } else { [&code, reason.as_bytes()].concat() };
            self.expected.push(Frame { first: 0x88, payload });
        }
        self.closed = true;
        self.writer.close(code, reason);
    }

    /// What the server saw: every echo and the Close, in order, and pongs to pings that were there, in order.
    fn judge_written(&mut self) {
        let mut frames = joined(client_frames(&self.writer.stream().written), self.outgoing);
        let mut inflater = Decompress::new(false);
        for frame in frames.iter_mut().filter(|frame| frame.first & 0x40 != 0) {
            if self.alone {
                inflater.reset(false);
            }
            frame.first &= !0x40;
            frame.payload = inflate(&mut inflater, &frame.payload);
        }
        let (pongs, others): (Vec<_>, Vec<_>) = frames.into_iter().partition(|frame| frame.first == 0x8A);
        assert_eq!(others, self.expected);
        let mut pings = self.pings.iter();
        for pong in &pongs {
            assert!(pings.any(|ping| *ping == pong.payload), "a pong to no ping");
        }
        if !self.closed {
            assert_eq!(pongs.last().map(|pong| &pong.payload), self.pings.last(), "the newest is answered");
        }
        let data = self.expected.iter().filter(|frame| frame.first != 0x88);
        let expected = data.fold((0, 0), |(n, bytes), frame| (n + 1, bytes + frame.payload.len()));
        assert_eq!(self.writer.written(), expected);
    }
}

/// Messages instead of their fragments (RFC 6455 section 5.4); pongs between them come before.
fn joined(frames: Vec<Frame>, outgoing: Outgoing) -> Vec<Frame> {
    let (mut joined, mut begun): (Vec<Frame>, Option<Frame>) = (Vec::new(), None);
    for frame in frames {
        let (fin, opcode) = (frame.first & 0x80, frame.first & 0x0F);
        if opcode & 8 != 0 {
            assert_eq!(fin, 0x80, "control frames are whole");
            joined.push(frame);
            continue;
        }
        if let Outgoing::Fragments(size) = outgoing {
            assert!(frame.payload.len() <= size);
        }
        assert_eq!(opcode == 0, begun.is_some(), "a continuation continues");
        let message = match begun.take() {
            None => Frame { first: frame.first | 0x80, ..frame },
            Some(message) => {
                assert_eq!(frame.first & 0x70, 0, "the first frame alone says so");
                let payload = [message.payload, frame.payload].concat();
                Frame { payload, ..message }
            }
        };
        if fin == 0 {
            begun = Some(message);
        } else {
            joined.push(message);
        }
    }
    assert_eq!(begun, None, "every message ends");
    joined
}

/// What a client's compressed payload was (RFC 7692 section 7.2.2).
fn inflate(inflater: &mut Decompress, payload: &[u8]) -> Vec<u8> {
    let input = [payload, &[0, 0, 0xFF, 0xFF]].concat();
    let (mut message, mut done) = (Vec::with_capacity(4096), 0);
    while done < input.len() || message.len() == message.capacity() {
        message.reserve(message.capacity());
        let before = inflater.total_in();
        let status = inflater.decompress_vec(&input[done..], &mut message, FlushDecompress::Sync);
        status.expect("a client's message can be inflated");
        done += (inflater.total_in() - before) as usize;
    }
    message
}
