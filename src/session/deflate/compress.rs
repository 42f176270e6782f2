//! Compresses messages on their way out, in the order of their frames.

use flate2::{Compress, Compression, FlushCompress};

use super::{Agreed, TAIL, is_affordable, window};
use crate::session::frame::Opcode;

/// What the state takes at most.
const STATE: usize = 512 * 1024;
/// The room for what comes out grows by at least this; a flush wants more than six bytes.
const STEP: usize = 1024;

/// The compressor of a session, and the message that it compressed last.
pub(crate) struct Deflater {
    agreed: Agreed,
    state: Option<Compress>,
    out: Vec<u8>,
    /// The longest that came out since the last `shrink`.
    peak: usize,
    /// There was a message since then.
    used: bool,
}

impl Deflater {
    pub(crate) fn new(agreed: &Agreed) -> Deflater {
        Deflater { agreed: *agreed, state: None, out: Vec::new(), peak: 0, used: false }
    }

    /// Whether such a payload is to be compressed.
    pub(crate) fn wants(&self, opcode: Opcode, payload: usize) -> bool {
        !opcode.is_control() && payload >= self.agreed.threshold.max(1)
    }

    /// Compresses the payload of the next message on the wire; `false` if it is to go as it is.
    pub(crate) fn compress(&mut self, payload: &[u8]) -> bool {
        self.used = true;
        let done = self.try_compress(payload).is_some();
        if !done {
            // The server has not seen what this window has.
            self.state = None;
            self.out = Vec::new();
        }
        self.peak = self.peak.max(self.out.len());
        let takeover = self.agreed.sends.takeover;
        done && (takeover || self.out.len() < payload.len())
    }

    /// What [`compress`](Self::compress) made.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.out
    }

    /// Whether [`shrink`](Self::shrink), called now and then again, would give something back. Nothing is on its way.
    pub(crate) fn has_spare(&self) -> bool {
        self.out.capacity() > 0 || (!self.agreed.sends.takeover && self.state.is_some())
    }

    /// Gives back what the last stretch did not need.
    pub(crate) fn shrink(&mut self) {
        let peak = std::mem::take(&mut self.peak);
        if peak <= self.out.capacity() / 4 {
            self.out = Vec::new();
        }
        if !std::mem::take(&mut self.used) && !self.agreed.sends.takeover {
            self.state = None;
        }
    }

    #[cfg(test)]
    pub(crate) fn is_ready(&self) -> bool {
        self.state.is_some()
    }

    /// `None` for want of memory.
    fn try_compress(&mut self, mut payload: &[u8]) -> Option<()> {
        let state = match &mut self.state {
            Some(state) => {
                if !self.agreed.sends.takeover {
                    state.reset();
                }
                state
            }
            None if !is_affordable(STATE) => return None,
            none => {
                let level = Compression::new(self.agreed.level);
                let bits = window(self.agreed.sends.window_bits);
                none.insert(Compress::new_with_window_bits(level, false, bits))
            }
        };
        self.out.clear();
        self.out.try_reserve(payload.len() / 4).ok()?;
        loop {
            if self.out.capacity() - self.out.len() < TAIL.len() + 3 {
                self.out.try_reserve(STEP).ok()?;
            }
            let taken = state.total_in();
            state.compress_vec(payload, &mut self.out, FlushCompress::Sync).ok()?;
            payload = &payload[(state.total_in() - taken) as usize..];
            if payload.is_empty() && self.out.len() < self.out.capacity() {
                break;
            }
        }
        if self.out.ends_with(&TAIL) {
            self.out.truncate(self.out.len() - TAIL.len());
        }
        Some(())
    }
}
