//! Inflates the server's messages as they arrive, never beyond the limit of a message.

use flate2::{Decompress, FlushDecompress, Status};
use simdutf8::compat::from_utf8;

use super::{Agreed, TAIL, extension::Context, is_affordable, window};
use crate::error::ProtocolFault;

/// What comes out begins with so much room.
const FIRST: usize = 4 * 1024;
/// What the state takes at most.
const STATE: usize = 48 * 1024;
/// A compressed message may claim a bit more than its limit, since what cannot be compressed grows; not as much as this.
const OVERHEAD: u64 = 1024;
/// So much in one go, and others have to have their turn.
const MUCH: usize = 4 << 20;

/// The server's compressed messages, one after the other.
pub(crate) struct Inflater {
    context: Context,
    state: Option<Decompress>,
    /// What came out of the message that is arriving, or of the last one; at most one byte more than the limit.
    out: Vec<u8>,
    /// Up to here it is UTF-8, if it is to be.
    valid: usize,
    /// Bytes that the frames of the message have claimed.
    claimed: u64,
    /// Something was put in since the message began, or the last stream within it.
    begun: bool,
    /// What came out of the longest message since the last `shrink`.
    peak: usize,
    /// There was a message since then.
    used: bool,
    /// What came out since somebody asked.
    worked: usize,
}

impl Inflater {
    pub(crate) fn new(agreed: &Agreed) -> Inflater {
        Inflater {
            context: agreed.receives,
            state: None,
            out: Vec::new(),
            valid: 0,
            claimed: 0,
            begun: false,
            peak: 0,
            used: false,
            worked: 0,
        }
    }

    /// A new message.
    pub(crate) fn begin(&mut self) {
        self.out.clear();
        self.valid = 0;
        self.claimed = 0;
        self.begun = false;
        self.used = true;
    }

    /// Judges the length of a frame of the message, before its payload.
    pub(crate) fn claim(&mut self, payload: u64, max: usize) -> Result<usize, ProtocolFault> {
        self.claimed = self.claimed.saturating_add(payload);
        let too_big = ProtocolFault::TooBig(max as u64);
        if self.claimed > (max as u64).saturating_mul(2).saturating_add(OVERHEAD) {
            return Err(too_big);
        }
        usize::try_from(payload).map_err(|_| too_big)
    }

    /// Takes in what arrived. A text is looked at as it comes out, but for its `last` piece, which is about to be.
    pub(crate) fn take(
        &mut self,
        input: &[u8],
        text: bool,
        last: bool,
        max: usize,
    ) -> Result<(), ProtocolFault> {
        let tail: &[u8] = if last { &TAIL } else { &[] };
        let mut put = self.put(input, max);
        if self.begun {
            put = put.and_then(|()| self.put(tail, max));
        }
        if let Err(fault) = put {
            // What came out before it is judged first, however the bytes were cut.
            return Err(if text && self.has_bad_text() { ProtocolFault::Utf8 } else { fault });
        }
        if last {
            if !self.context.takeover
                && let Some(state) = &mut self.state
            {
                state.reset(false);
            }
        } else if text && self.has_bad_text() {
            return Err(ProtocolFault::Utf8);
        }
        Ok(())
    }

    /// Looks at what came out since the last look. A character may end in the next piece.
    fn has_bad_text(&mut self) -> bool {
        match from_utf8(&self.out[self.valid..]) {
            Ok(_) => self.valid = self.out.len(),
            Err(error) if error.error_len().is_none() => self.valid += error.valid_up_to(),
            Err(_) => return true,
        }
        false
    }

    /// What came out of the message.
    pub(crate) fn message(&self) -> &[u8] {
        &self.out
    }

    /// Whether so much came out since the last call that the turn should end.
    pub(crate) fn worked_much(&mut self) -> bool {
        let much = self.worked >= MUCH;
        if much {
            self.worked = 0;
        }
        much
    }

    /// Whether [`shrink`](Self::shrink), called now and then again, would give something back. No message is arriving.
    pub(crate) fn has_spare(&self) -> bool {
        self.out.capacity() > 0 || (!self.context.takeover && self.state.is_some())
    }

    /// Gives back what the last stretch did not need.
    pub(crate) fn shrink(&mut self) {
        let peak = std::mem::take(&mut self.peak);
        if peak <= self.out.capacity() / 4 {
            self.out = Vec::new();
        }
        if !std::mem::take(&mut self.used) && !self.context.takeover {
            self.state = None;
        }
    }

    fn put(&mut self, mut input: &[u8], max: usize) -> Result<(), ProtocolFault> {
        if input.is_empty() {
            return Ok(());
        }
        let state = match &mut self.state {
            Some(state) => state,
            None if !is_affordable(STATE) => return Err(ProtocolFault::NoMemory(self.out.len() as u64)),
            none => none.insert(Decompress::new_with_window_bits(false, window(self.context.window_bits))),
        };
        self.begun = true;
        loop {
            if self.out.len() == self.out.capacity() {
                let larger = (self.out.capacity() * 2).max(FIRST).min(max.saturating_add(1));
                let more = larger.saturating_sub(self.out.len()).max(1);
                let reserved = self.out.try_reserve_exact(more);
                reserved.map_err(|_| ProtocolFault::NoMemory(self.out.len() as u64))?;
            }
            let (taken, given) = (state.total_in(), self.out.len());
            let status = state
                .decompress_vec(input, &mut self.out, FlushDecompress::Sync)
                .map_err(|_| ProtocolFault::Deflate)?;
            let taken = (state.total_in() - taken) as usize;
            let given = self.out.len() - given;
            input = &input[taken..];
            self.worked += given;
            self.peak = self.peak.max(self.out.len());
            if self.out.len() > max {
                return Err(ProtocolFault::TooBig(max as u64));
            }
            if status == Status::StreamEnd {
                // A block with BFINAL ends the stream, but not the message (section 7.2.3.4). Whoever writes one has
                // begun anew behind it, with an empty window.
                state.reset(false);
                self.begun = false;
                if input.is_empty() {
                    return Ok(());
                }
                self.begun = true;
            } else if input.is_empty() && self.out.len() < self.out.capacity() {
                return Ok(());
            } else if taken == 0 && given == 0 {
                return Err(ProtocolFault::Deflate);
            }
        }
    }
}
