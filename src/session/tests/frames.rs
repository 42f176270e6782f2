//! Frames written and read straight from RFC 6455 section 5.2, with nothing of the code under test.

/// An unmasked frame, as a server sends it.
pub(super) fn server(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..=125 => frame.push(len as u8),
        len @ 126..=0xFFFF => {
            frame.push(126);
            frame.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            frame.push(127);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// A client's frame, unmasked again.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) first: u8,
    pub(super) payload: Vec<u8>,
}

pub(super) const TEXT: u8 = 0x81;
pub(super) const BINARY: u8 = 0x82;
pub(super) const CLOSE: u8 = 0x88;
pub(super) const PING: u8 = 0x89;
pub(super) const PONG: u8 = 0x8A;

/// All whole frames that a client wrote, and how many bytes of a further one.
pub(super) fn client(mut bytes: &[u8]) -> (Vec<Seen>, usize) {
    let mut seen = Vec::new();
    loop {
        let Some((frame, size)) = first_frame(bytes) else { return (seen, bytes.len()) };
        seen.push(frame);
        bytes = &bytes[size..];
    }
}

/// The first frame, if it is whole, and how long it is.
pub(super) fn first_frame(bytes: &[u8]) -> Option<(Seen, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    assert_eq!(second & 0x80, 0x80, "a client masks");
    let (at, len) = match second & 0x7F {
        126 => {
            let len = u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap()) as usize;
            assert!(len > 125, "the shortest form");
            (4, len)
        }
        127 => {
            let len = u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap()) as usize;
            assert!(len > 0xFFFF, "the shortest form");
            (10, len)
        }
        len => (2, usize::from(len)),
    };
    let key = bytes.get(at..at + 4)?;
    let masked = bytes.get(at + 4..at + 4 + len)?;
    let payload = masked.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
    Some((Seen { first, payload }, at + 4 + len))
}
