//! The write buffer: frames, masked while they are copied in, up to 64 KiB that the stream has not accepted yet; of one
//! larger message a larger piece.
//!
//! Bytes in here are committed: what stands at the front is offered again and again, with no fewer bytes behind it
//! than the time before, as OpenSSL demands. Taking bytes off the front moves a cursor; the rest moves up only when
//! something is appended that needs the room, and then no more than half the buffer. Knows no stream and no message.

use super::frame::{self, HEAD_MAX, Lead, Opcode};
use super::mask::{self, Keys};

/// What waits here at most, unless it is of one message that is larger.
pub(crate) const BOUND: usize = 64 * 1024;
/// The largest piece of a larger message, its header included: each piece is a system call, and a wake-up of whoever
/// reads on the same machine, and should be in the cache still when the system copies it.
pub(crate) const PIECE: usize = 256 * 1024;
/// What a quiet client holds at most.
const SMALL: usize = 256;

/// Bytes on their way out.
pub(crate) struct Outgoing {
    /// Initialised over its whole length, at most `PIECE`.
    buf: Vec<u8>,
    /// The first byte that was not accepted yet.
    head: usize,
    /// The end of what was appended.
    tail: usize,
    /// How far the buffer was used since the last `shrink`.
    peak: usize,
    keys: Keys,
}

impl Outgoing {
    pub(crate) fn new() -> Outgoing {
        Outgoing { buf: Vec::new(), head: 0, tail: 0, peak: 0, keys: Keys::new() }
    }

    /// What is to be written next.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.buf[self.head..self.tail]
    }

    pub(crate) fn len(&self) -> usize {
        self.tail - self.head
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.head == self.tail
    }

    /// Takes accepted bytes off the front.
    pub(crate) fn accepted(&mut self, bytes: usize) {
        self.head += bytes;
        if self.head == self.tail {
            self.head = 0;
            self.tail = 0;
        }
    }

    /// Whether a frame of this size, header included, can be appended whole.
    pub(crate) fn has_room(&mut self, size: usize) -> bool {
        if self.len() + size > BOUND {
            return false;
        }
        let limit = self.limit();
        if self.tail + size > limit && self.head >= limit / 2 {
            self.buf.copy_within(self.head..self.tail, 0);
            self.tail -= self.head;
            self.head = 0;
        }
        self.tail + size <= limit
    }

    /// Appends the header of a frame; there is room for it. The key is for [`append`](Self::append).
    pub(crate) fn begin(&mut self, lead: Lead, payload: usize) -> [u8; 4] {
        let key = self.keys.next_key();
        self.stretch(HEAD_MAX + payload);
        self.tail += frame::write_head(&mut self.buf[self.tail..], lead, payload, key);
        key
    }

    /// Appends as much of a payload's rest as there is room for; `at` is where in the payload it begins.
    ///
    /// Answers how many bytes it took.
    pub(crate) fn append(&mut self, rest: &[u8], key: [u8; 4], at: usize) -> usize {
        self.has_room(rest.len().min(BOUND / 2));
        let limit = if rest.len() > BOUND { PIECE } else { self.limit() };
        let size = rest.len().min(limit - self.tail);
        self.stretch(size);
        mask::copy(&mut self.buf[self.tail..self.tail + size], &rest[..size], key, at);
        self.tail += size;
        self.peak = self.peak.max(self.tail);
        size
    }

    /// Appends a frame for which there is room.
    pub(crate) fn append_frame(&mut self, opcode: Opcode, payload: &[u8]) {
        let key = self.begin(Lead::whole(opcode), payload.len());
        let size = self.append(payload, key, 0);
        debug_assert_eq!(size, payload.len(), "the caller asked for room");
    }

    /// Whether [`shrink`](Self::shrink), called now and then again, would give something back.
    pub(crate) fn has_spare(&self) -> bool {
        self.buf.len() > SMALL && self.is_empty()
    }

    /// Gives back what the last stretch did not need: where not even a quarter was used since the last call.
    pub(crate) fn shrink(&mut self) {
        if !self.has_spare() {
            return;
        }
        let peak = std::mem::take(&mut self.peak);
        if peak <= self.buf.len() / 4 {
            self.buf = Vec::new();
        }
    }

    /// How far small frames are appended: as far as the buffer was made for a large one.
    fn limit(&self) -> usize {
        self.buf.len().max(BOUND)
    }

    /// Makes the buffer itself longer, as far as it may be.
    fn stretch(&mut self, more: usize) {
        let most = if more > BOUND { PIECE } else { self.limit() };
        let needed = (self.tail + more).min(most);
        if needed > self.buf.len() {
            self.buf.resize(needed.next_power_of_two().max(SMALL), 0);
        }
    }

    #[cfg(test)]
    pub(crate) fn buffer_size(&self) -> usize {
        self.buf.len()
    }
}
