//! Whether a text that comes in pieces is UTF-8: what it has of a character that is not whole yet.
//!
//! Pieces may end anywhere, as fragments may (RFC 6455 section 5.6).

use std::str;

use simdutf8::compat;

/// A character takes at most four bytes.
const MOST: usize = 4;

/// The bytes of a character that has begun.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unfinished {
    bytes: [u8; MOST],
    len: usize,
}

impl Unfinished {
    /// Whether the text may go on with these bytes.
    pub(super) fn goes_on_with(mut self, mut piece: &[u8]) -> bool {
        while self.len > 0 {
            let Some((next, rest)) = piece.split_first() else { return true };
            self.bytes[self.len] = *next;
            self.len += 1;
            piece = rest;
            match str::from_utf8(&self.bytes[..self.len]) {
                Ok(_) => self.len = 0,
                Err(error) if error.error_len().is_some() => return false,
                Err(_) => {}
            }
        }
        compat::from_utf8(piece).map_or_else(|error| error.error_len().is_none(), |_| true)
    }

    /// Takes note of bytes with which it goes on.
    pub(super) fn note(&mut self, taken: &[u8]) {
        for byte in &taken[taken.len().saturating_sub(MOST)..] {
            let width = match byte {
                0..0x80 => 1,
                0x80..0xC0 => 0,
                0xC0..0xE0 => 2,
                0xE0..0xF0 => 3,
                0xF0.. => 4,
            };
            match width {
                // The end of a character that began before the last bytes.
                0 if self.len == 0 => {}
                0 => {
                    self.bytes[self.len] = *byte;
                    self.len += 1;
                    let whole = str::from_utf8(&self.bytes[..self.len]).is_ok();
                    self.len = if whole { 0 } else { self.len };
                }
                1 => self.len = 0,
                _ => (self.bytes[0], self.len) = (*byte, 1),
            }
        }
    }

    pub(super) fn is_none(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_are_judged_as_the_whole_would_be(
            bytes in prop_oneof![
                any::<String>().prop_map(String::into_bytes),
                prop::collection::vec(prop::sample::select(&[0x41, 0x80, 0xBF, 0xC3, 0xE2, 0x82, 0xAC, 0xF0, 0x9F, 0xED, 0xFF][..]), 0..12),
            ],
            sizes in prop::collection::vec(0..7_usize, 0..40),
        ) {
            let mut unfinished = Unfinished::default();
            let mut at = 0;
            for size in sizes.into_iter().chain([usize::MAX]) {
                let end = at + size.min(bytes.len() - at);
                let good = str::from_utf8(&bytes[..end]).map_or_else(|e| e.error_len().is_none(), |_| true);
                prop_assert_eq!(unfinished.goes_on_with(&bytes[at..end]), good, "{:x?} {}..{}", &bytes, at, end);
                if !good {
                    return Ok(());
                }
                unfinished.note(&bytes[at..end]);
                at = end;
                prop_assert_eq!(unfinished.is_none(), str::from_utf8(&bytes[..at]).is_ok());
            }
        }
    }
}
