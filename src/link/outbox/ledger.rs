//! Messages that were written whole and have not reached the level that was asked for: where each ends in the stream,
//! and how far the stream is proven to have got.
//!
//! A *line* stands for the messages of one write. Where they end is what the socket had taken when they were all
//! written, which may be more than their own bytes, and is never less. Acknowledged bytes prove `Acked`; the pong of a
//! ping that was written behind them proves everything. Of messages that go again the payloads are kept.

use std::collections::VecDeque;

use crate::entry::Entry;
use crate::event::Level;

/// With so many lines for a level neighbours are joined, and wait for the later one's end.
const MANY: usize = 1024;
/// With so many lines nothing more is accepted: messages that are no neighbours cannot be joined.
const MOST: usize = 4096;

#[derive(Default)]
pub(super) struct Ledger {
    for_acked: VecDeque<Line>,
    for_processed: VecDeque<Line>,
    messages: usize,
    /// Payloads of those that go again, in the order of writing.
    kept: VecDeque<Entry>,
    kept_bytes: usize,
    /// How far the stream is known to be acknowledged.
    acknowledged: u64,
}

/// Messages with consecutive ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) end: u64,
    again: bool,
}

impl Ledger {
    /// Adds messages that were written after all the others.
    pub(super) fn add(&mut self, from: u64, to: u64, level: Level, again: bool, end: u64) {
        self.messages += (to - from + 1) as usize;
        let lines = self.lines(level);
        let crowded = lines.len() >= MANY;
        match lines.back_mut() {
            Some(last) if last.to + 1 == from && last.again == again && (crowded || last.end == end) => {
                (last.to, last.end) = (to, end);
            }
            _ => lines.push_back(Line { from, to, end, again }),
        }
    }

    /// Keeps the payload of one that was added and goes again.
    pub(super) fn keep(&mut self, entry: Entry) {
        self.kept_bytes += entry.payload.len();
        self.kept.push_back(entry);
    }

    /// The peer's TCP has acknowledged so many bytes: gives the next line that is complete with that.
    pub(super) fn acknowledged(&mut self, bytes: u64) -> Option<Line> {
        self.acknowledged = self.acknowledged.max(bytes);
        self.complete(Level::Acked, self.acknowledged)
    }

    /// The next line of this level that ends within so many bytes.
    pub(super) fn complete(&mut self, level: Level, bytes: u64) -> Option<Line> {
        let line = *self.lines(level).front().filter(|line| line.end <= bytes)?;
        self.lines(level).pop_front();
        self.messages -= (line.to - line.from + 1) as usize;
        if line.again {
            self.let_go(line);
        }
        Some(line)
    }

    /// The session is gone. Gives what goes again, in the order of writing, and says of the others how far they got.
    pub(super) fn end_session(&mut self, mut unknown: impl FnMut(Line, Level)) -> VecDeque<Entry> {
        let acknowledged = std::mem::take(&mut self.acknowledged);
        let lines: Vec<_> = self.for_acked.drain(..).chain(self.for_processed.drain(..)).collect();
        let mut again = std::mem::take(&mut self.kept);
        (self.messages, self.kept_bytes) = (0, 0);
        let mut kept = Vec::new();
        for line in lines {
            let reached = if line.end <= acknowledged { Level::Acked } else { Level::Written };
            if line.again {
                kept.push((line, reached));
            } else {
                unknown(line, reached);
            }
        }
        // Each line is looked up: there may be thousands of them, and many times as many messages.
        kept.sort_unstable_by_key(|(line, _)| line.from);
        for entry in &mut again {
            let after = kept.partition_point(|(line, _)| line.from <= entry.id.0);
            let of = after.checked_sub(1).map(|at| kept[at]).filter(|(line, _)| entry.id.0 <= line.to);
            if let Some((_, reached)) = of {
                entry.record.reached = entry.record.reached.max(Some(reached));
            }
        }
        again
    }

    /// Whether somebody waits for an acknowledgement.
    #[inline]
    pub(super) fn awaits_acknowledgement(&self) -> bool {
        !self.for_acked.is_empty()
    }

    /// Whether something waits that a pong is to prove. Where the kernel is `mute` that is also what has to arrive: it
    /// would go again for ever else; and what waits for the kernel, before there is so much that nothing is accepted.
    #[inline]
    pub(super) fn is_unprocessed(&self, mute: bool) -> bool {
        let for_kernel = !self.kept.is_empty() || self.for_acked.len() > MANY;
        !self.for_processed.is_empty() || (mute && for_kernel)
    }

    /// Nothing more may come before some were completed.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.len() > MOST
    }

    pub(super) fn is_half_empty(&self) -> bool {
        self.len() <= MOST / 2
    }

    #[inline]
    fn len(&self) -> usize {
        self.for_acked.len() + self.for_processed.len()
    }

    pub(super) fn messages(&self) -> usize {
        self.messages
    }

    #[inline]
    pub(super) fn kept(&self) -> (usize, usize) {
        (self.kept.len(), self.kept_bytes)
    }

    fn lines(&mut self, level: Level) -> &mut VecDeque<Line> {
        if level == Level::Acked { &mut self.for_acked } else { &mut self.for_processed }
    }

    /// Drops the payloads of a line that is complete.
    fn let_go(&mut self, line: Line) {
        let mut left = line.to - line.from + 1;
        let bytes = &mut self.kept_bytes;
        let is_of = |entry: &Entry| (line.from..=line.to).contains(&entry.id.0);
        while left > 0 && self.kept.front().is_some_and(is_of) {
            *bytes -= self.kept.pop_front().map_or(0, |entry| entry.payload.len());
            left -= 1;
        }
        // Others of another level were written between.
        if left > 0 {
            self.kept.retain(|entry| {
                let goes = is_of(entry);
                *bytes -= if goes { entry.payload.len() } else { 0 };
                !goes
            });
        }
    }
}
