//! Inflates the server's messages as they arrive, never beyond the limit of a message.

use flate2::{Decompress, FlushDecompress, Status};
use simdutf8::compat::from_utf8;

use super::{Agreed, TAIL, extension::Context, is_affordable, window};
use crate::error::ProtocolFault;
use crate::session::reader::fragments::{Part, Passed, whole_characters};

/// What comes out begins with so much room.
const FIRST: usize = 4 * 1024;
/// What the state takes at most.
const STATE: usize = 48 * 1024;
/// A compressed message may claim a bit more than its limit, since what cannot be compressed grows; not as much as
/// this.
const OVERHEAD: u64 = 1024;
/// A message in fragments comes out in pieces of so much.
const FRAGMENT: usize = 64 * 1024;
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
    /// There was no room for all that comes of what was put in.
    pending: bool,
    /// So many bytes of the tail were put in.
    tail: usize,
    /// So many bytes of the message were handed on as fragments, before what is in `out`.
    told: u64,
    /// So many bytes of `out` are the fragment that was handed on last.
    given: usize,
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
            pending: false,
            tail: 0,
            told: 0,
            given: 0,
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
        self.pending = false;
        self.tail = 0;
        self.told = 0;
        self.given = 0;
        self.used = true;
    }

    /// Judges the length of a frame of the message, before its payload.
    pub(crate) fn claim(&mut self, payload: u64, max: u64) -> Result<u64, ProtocolFault> {
        self.claimed = self.claimed.saturating_add(payload);
        if self.claimed > max.saturating_mul(2).saturating_add(OVERHEAD) {
            return Err(ProtocolFault::TooBig(max));
        }
        Ok(payload)
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
        let room = max.saturating_add(1);
        let mut put = self.put(input, room);
        if self.begun && self.out.len() < room {
            put = put.and_then(|_| self.put(tail, room));
        }
        // What came out came before whatever was wrong in the same go.
        if self.out.len() >= room {
            return Err(self.judged_before(text, ProtocolFault::TooBig(max as u64)));
        }
        if let Err(fault) = put {
            return Err(self.judged_before(text, fault));
        }
        if last {
            self.end();
        } else if text && self.has_bad_text() {
            return Err(ProtocolFault::Utf8);
        }
        Ok(())
    }

    /// The same for a message that goes in fragments if more than `above` bytes come out: takes as much as makes one.
    /// Bytes that it did not take are to be given again, and [`message`](Self::message) is to be looked at before.
    pub(crate) fn pass_on(
        &mut self,
        input: &[u8],
        text: bool,
        last: bool,
        above: usize,
        max: u64,
    ) -> Result<Passed, ProtocolFault> {
        if self.given > 0 {
            self.out.drain(..self.given);
            self.given = 0;
            self.valid = 0;
        }
        let left = max - self.told;
        let past = usize::try_from(left).map_or(usize::MAX, |left| left.saturating_add(1));
        // What comes behind the limit, a fault perhaps, must not be seen: how far it would be is chance.
        self.out.shrink_to(past);
        let kept = if self.told == 0 { above.saturating_add(1) } else { 0 };
        let room = past.min(kept.max(FRAGMENT));
        let put = self.put(input, room).and_then(|(taken, full)| {
            if full || !last || !self.begun {
                return Ok((taken, full));
            }
            let (of_tail, full) = self.put(&TAIL[self.tail..], room)?;
            self.tail += of_tail;
            Ok((taken, full))
        });
        let (taken, pending) = match put {
            _ if self.out.len() >= past => return Err(self.judged_before(text, ProtocolFault::TooBig(max))),
            Ok(put) => put,
            Err(fault) => return Err(self.judged_before(text, fault)),
        };
        let ended = last && !pending;
        if ended {
            self.end();
        }
        if self.told == 0 && self.out.len() <= above {
            if !ended && text && self.has_bad_text() {
                return Err(ProtocolFault::Utf8);
            }
            return Ok(Passed { taken, pending, part: if ended { Part::Whole } else { Part::Nothing } });
        }
        let size = if text && !ended { whole_characters(&self.out)? } else { self.out.len() };
        let fragment = Part::Fragment { offset: self.told, last: ended };
        self.told += size as u64;
        self.given = size;
        Ok(Passed { taken, pending, part: if size > 0 || ended { fragment } else { Part::Nothing } })
    }

    /// What came out before a fault is judged first, however the bytes were cut.
    fn judged_before(&mut self, text: bool, fault: ProtocolFault) -> ProtocolFault {
        if text && self.has_bad_text() { ProtocolFault::Utf8 } else { fault }
    }

    fn end(&mut self) {
        if !self.context.takeover
            && let Some(state) = &mut self.state
        {
            state.reset(false);
        }
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

    /// What came out of the message, or is its fragment.
    pub(crate) fn message(&self) -> &[u8] {
        if self.told == 0 { &self.out } else { &self.out[..self.given] }
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

    /// Inflates until the input is at its end or so much came out; answers how much it took, and whether there may be
    /// more in it.
    fn put(&mut self, mut input: &[u8], room: usize) -> Result<(usize, bool), ProtocolFault> {
        if input.is_empty() && !self.pending {
            return Ok((0, false));
        }
        let size = input.len();
        let state = match &mut self.state {
            Some(state) => state,
            None if !is_affordable(STATE) => return Err(ProtocolFault::NoMemory(self.out.len() as u64)),
            none => none.insert(Decompress::new_with_window_bits(false, window(self.context.window_bits))),
        };
        self.begun = true;
        self.pending = false;
        loop {
            if self.out.len() >= room {
                self.pending = true;
                return Ok((size - input.len(), true));
            }
            if self.out.len() == self.out.capacity() {
                let larger = (self.out.capacity() * 2).max(FIRST).min(room);
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
            if status == Status::StreamEnd {
                // A block with BFINAL ends the stream, but not the message (section 7.2.3.4). Whoever writes one has
                // begun anew behind it, with an empty window.
                state.reset(false);
                self.begun = false;
                if input.is_empty() {
                    return Ok((size, false));
                }
                self.begun = true;
            } else if input.is_empty() && self.out.len() < self.out.capacity() {
                return Ok((size, false));
            } else if taken == 0 && given == 0 {
                return Err(ProtocolFault::Deflate);
            }
        }
    }
}
