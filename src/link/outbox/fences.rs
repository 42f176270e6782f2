//! Pings whose pongs prove that the server has read all that was written before them.
//!
//! One is on its way at a time; what is written meanwhile waits for the next. A server may answer the last of several
//! pings only (RFC 6455 section 5.5.3): when a pong comes that answers none of them, another ping of the program or of
//! the heartbeat may have taken its place, and a further one is sent.

use std::collections::VecDeque;

/// So many are remembered; only pongs that answer none make them more than one.
const MOST: usize = 8;

pub(super) const PAYLOAD: usize = 16;

#[derive(Default)]
pub(super) struct Fences {
    /// What no other session and no other ping has.
    key: u64,
    number: u64,
    /// Their numbers, and the offsets before which everything is proven by their pongs. The oldest stays, which is the
    /// next to be answered, however many were sent since; and the newest.
    out: VecDeque<(u64, u64)>,
    repeat: bool,
}

impl Fences {
    /// A session begins; `key` is random.
    pub(super) fn begin_session(&mut self, key: u64) {
        *self = Fences { key, ..Fences::default() };
    }

    /// Whether one may be sent now.
    pub(super) fn may_send(&self) -> bool {
        self.out.is_empty() || self.repeat
    }

    /// The payload of the next one, which is written behind so many bytes.
    pub(super) fn send(&mut self, end: u64) -> [u8; PAYLOAD] {
        if self.out.len() == MOST {
            // The one behind it proves the same, and more.
            self.out.pop_back();
        }
        self.repeat = false;
        self.number += 1;
        self.out.push_back((self.number, end));
        let mut payload = [0; PAYLOAD];
        payload[..8].copy_from_slice(&self.key.to_be_bytes());
        payload[8..].copy_from_slice(&self.number.to_be_bytes());
        payload
    }

    /// A pong came: how many bytes it proves to have been read, if it answers one of them.
    pub(super) fn answered(&mut self, payload: &[u8]) -> Option<u64> {
        if self.out.is_empty() {
            return None;
        }
        let number = payload.strip_prefix(&self.key.to_be_bytes()).and_then(|number| number.try_into().ok());
        let number = number.map(u64::from_be_bytes).filter(|number| *number <= self.number).unwrap_or(0);
        // The pong of one that is not remembered proves what those before it would.
        let before = self.out.iter().take_while(|(out, _)| *out <= number).count();
        let Some((_, end)) = self.out.drain(..before).next_back() else {
            self.repeat = true;
            return None;
        };
        Some(end)
    }
}
