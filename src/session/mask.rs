//! Masks what a client sends (RFC 6455 section 5.3).
//!
//! Keys come from a cryptographic generator, in blocks: one draw for 64 frames costs far less than 64 draws.

use rand::Rng;

use crate::process;

const BLOCK: usize = 256;

/// A supply of unpredictable mask keys.
pub(crate) struct Keys {
    block: [u8; BLOCK],
    /// How much of the block is used up.
    used: usize,
}

impl Keys {
    pub(crate) fn new() -> Keys {
        Keys { block: [0; BLOCK], used: BLOCK }
    }

    /// The next key; no key is given out twice.
    pub(crate) fn next_key(&mut self) -> [u8; 4] {
        if self.used == BLOCK {
            process::rng().fill_bytes(&mut self.block);
            self.used = 0;
        }
        let at = self.used;
        self.used += 4;
        [self.block[at], self.block[at + 1], self.block[at + 2], self.block[at + 3]]
    }
}

/// Copies `from` into `to`, of the same length, masked; `from` begins at byte `at` of its payload.
pub(crate) fn copy(to: &mut [u8], from: &[u8], key: [u8; 4], at: usize) {
    debug_assert_eq!(to.len(), from.len());
    let mut turned = key;
    turned.rotate_left(at & 3);
    let [a, b, c, d] = turned;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut to = to.chunks_exact_mut(8);
    let mut from = from.chunks_exact(8);
    for (to, from) in to.by_ref().zip(from.by_ref()) {
        let mut eight = [0; 8];
        eight.copy_from_slice(from);
        to.copy_from_slice(&(u64::from_ne_bytes(eight) ^ word).to_ne_bytes());
    }
    for ((to, from), key) in to.into_remainder().iter_mut().zip(from.remainder()).zip(turned.iter().cycle()) {
        *to = from ^ key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_and_offset_is_masked_as_the_rfc_says() {
        let plain: Vec<u8> = (0..100).collect();
        let key = [0x11, 0x22, 0x44, 0x88];
        for at in 0..9 {
            for len in 0..plain.len() - at {
                let mut masked = vec![0; len];
                copy(&mut masked, &plain[at..at + len], key, at);
                for (i, byte) in masked.iter().enumerate() {
                    assert_eq!(*byte, plain[at + i] ^ key[(at + i) % 4]);
                }
            }
        }
    }

    #[test]
    fn keys_differ_within_a_block_and_from_block_to_block() {
        let mut keys = Keys::new();
        let drawn: std::collections::HashSet<[u8; 4]> = (0..1000).map(|_| keys.next_key()).collect();
        assert!(drawn.len() > 990, "{}", drawn.len());
    }
}
