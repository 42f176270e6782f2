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
    for_acked: Shelf,
    for_processed: Shelf,
    messages: usize,
    kept_bytes: usize,
    /// So many were ever kept: their order over both shelves.
    order: u64,
    /// How far the stream is known to be acknowledged.
    acknowledged: u64,
}

/// What waits for one of the levels, in the order of writing.
#[derive(Default)]
struct Shelf {
    lines: VecDeque<Line>,
    /// The messages of those lines that go again, with their places in the order over both shelves.
    kept: VecDeque<(u64, Entry)>,
}

/// Messages with consecutive ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) end: u64,
    again: bool,
}

impl Line {
    fn messages(self) -> usize {
        (self.to - self.from + 1) as usize
    }
}

impl Ledger {
    /// Adds messages that were written after all the others.
    pub(super) fn add(&mut self, from: u64, to: u64, level: Level, again: bool, end: u64) {
        let line = Line { from, to, end, again };
        self.messages += line.messages();
        let lines = &mut self.shelf(level).lines;
        let crowded = lines.len() >= MANY;
        match lines.back_mut() {
            Some(last) if last.to + 1 == from && last.again == again && (crowded || last.end == end) => {
                (last.to, last.end) = (to, end);
            }
            _ => lines.push_back(line),
        }
    }

    /// Keeps the payload of one that was added and goes again, in the order of adding.
    pub(super) fn keep(&mut self, entry: Entry) {
        self.kept_bytes += entry.payload.len();
        self.order += 1;
        let place = self.order;
        self.shelf(entry.record.terms.level()).kept.push_back((place, entry));
    }

    /// The peer's TCP has acknowledged so many bytes: gives the next line that is complete with that.
    pub(super) fn acknowledged(&mut self, bytes: u64) -> Option<Line> {
        self.acknowledged = self.acknowledged.max(bytes);
        self.complete(Level::Acked, self.acknowledged)
    }

    /// The next line of this level that ends within so many bytes.
    pub(super) fn complete(&mut self, level: Level, bytes: u64) -> Option<Line> {
        let shelf = self.shelf(level);
        let line = *shelf.lines.front().filter(|line| line.end <= bytes)?;
        shelf.lines.pop_front();
        let kept = if line.again { line.messages() } else { 0 };
        debug_assert!(kept <= shelf.kept.len(), "each that goes again is kept before it is proven");
        let kept = kept.min(shelf.kept.len());
        let let_go: usize = shelf.kept.drain(..kept).map(|(_, entry)| entry.payload.len()).sum();
        self.kept_bytes -= let_go;
        self.messages -= line.messages();
        Some(line)
    }

    /// The session is gone. Gives what goes again, in the order of writing, and says of the others how far they got.
    pub(super) fn end_session(&mut self, mut unknown: impl FnMut(Line, Level)) -> VecDeque<Entry> {
        let acknowledged = std::mem::take(&mut self.acknowledged);
        let mut again = Vec::new();
        for shelf in [&mut self.for_acked, &mut self.for_processed] {
            let mut kept = std::mem::take(&mut shelf.kept).into_iter();
            for line in std::mem::take(&mut shelf.lines) {
                let reached = if line.end <= acknowledged { Level::Acked } else { Level::Written };
                if !line.again {
                    unknown(line, reached);
                    continue;
                }
                again.extend(kept.by_ref().take(line.messages()).map(|(place, mut entry)| {
                    entry.record.reached = entry.record.reached.max(Some(reached));
                    (place, entry)
                }));
            }
        }
        (self.messages, self.kept_bytes) = (0, 0);
        again.sort_by_key(|(place, _)| *place);
        again.into_iter().map(|(_, entry)| entry).collect()
    }

    /// Whether somebody waits for an acknowledgement.
    #[inline]
    pub(super) fn awaits_acknowledgement(&self) -> bool {
        !self.for_acked.lines.is_empty()
    }

    /// Whether something waits that a pong is to prove. Where the kernel is `mute` that is also what has to arrive: it
    /// would go again for ever else; and what waits for the kernel, before there is so much that nothing is accepted.
    #[inline]
    pub(super) fn is_unprocessed(&self, mute: bool) -> bool {
        let for_kernel = !self.for_acked.kept.is_empty() || self.for_acked.lines.len() > MANY;
        !self.for_processed.lines.is_empty() || (mute && for_kernel)
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
        self.for_acked.lines.len() + self.for_processed.lines.len()
    }

    pub(super) fn messages(&self) -> usize {
        self.messages
    }

    /// Messages that are kept to go again, and their bytes.
    #[inline]
    pub(super) fn kept(&self) -> (usize, usize) {
        (self.for_acked.kept.len() + self.for_processed.kept.len(), self.kept_bytes)
    }

    fn shelf(&mut self, level: Level) -> &mut Shelf {
        if level == Level::Acked { &mut self.for_acked } else { &mut self.for_processed }
    }
}
