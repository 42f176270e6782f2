//! Which messages the socket has wholly accepted, as runs of consecutive ids.
//!
//! One run, the usual case, needs no memory of its own.

use crate::entry::{Entry, Part};
use crate::event::MessageId;

/// Messages with consecutive ids, all written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first: MessageId,
    pub(crate) last: MessageId,
    pub(crate) messages: usize,
    pub(crate) payload_bytes: usize,
}

/// The runs since somebody last asked, in the order of writing.
#[derive(Debug, Default)]
pub(crate) struct Written {
    first: Option<Run>,
    more: Vec<Run>,
    /// Bytes of messages in pieces, which no run counts.
    piece_bytes: usize,
    /// Those that go again if the session dies, with their payloads, in the order of writing.
    kept: Vec<Entry>,
}

impl Written {
    /// Adds a message that was written after all the others.
    #[inline]
    pub(crate) fn note(&mut self, id: MessageId, payload_bytes: usize) {
        let new = Run { first: id, last: id, messages: 1, payload_bytes };
        match self.more.last_mut().or(self.first.as_mut()) {
            None => self.first = Some(new),
            Some(run) if id.0 == run.last.0.wrapping_add(1) => {
                run.last = id;
                run.messages += 1;
                run.payload_bytes += payload_bytes;
            }
            Some(_) => self.more.push(new),
        }
    }

    /// Adds what may be a piece of a message; with the last one the message was written.
    #[inline]
    pub(crate) fn note_part(&mut self, id: MessageId, part: Part, payload_bytes: usize) {
        if part.is_whole() {
            return self.note(id, payload_bytes);
        }
        self.piece_bytes += payload_bytes;
        if part == Part::Last {
            self.note(id, 0);
        }
    }

    /// Keeps a message that was noted.
    pub(crate) fn keep(&mut self, entry: Option<Entry>) {
        self.kept.extend(entry);
    }

    pub(crate) fn take_kept(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.kept)
    }

    /// Payload bytes of pieces; those of whole messages stand in their runs.
    pub(crate) fn piece_bytes(&self) -> usize {
        self.piece_bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none() && self.piece_bytes == 0
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Run> + '_ {
        self.first.iter().chain(&self.more).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_ids_become_one_run_and_others_do_not() {
        let mut written = Written::default();
        assert!(written.is_empty());
        for (id, bytes) in [(4, 10), (5, 20), (9, 1), (10, 2), (3, 7)] {
            written.note(MessageId(id), bytes);
        }
        let run = |first, last, messages, payload_bytes| Run {
            first: MessageId(first),
            last: MessageId(last),
            messages,
            payload_bytes,
        };
        assert_eq!(written.iter().collect::<Vec<_>>(), [run(4, 5, 2, 30), run(9, 10, 2, 3), run(3, 3, 1, 7)]);
    }

    #[test]
    fn pieces_are_counted_apart_and_the_last_one_is_the_message() {
        let mut written = Written::default();
        written.note(MessageId(1), 10);
        written.note_part(MessageId(2), Part::First, 100);
        assert!(!written.is_empty());
        written.note_part(MessageId(2), Part::Last, 50);
        written.note(MessageId(3), 1);
        let runs: Vec<_> = written.iter().collect();
        assert_eq!(runs.len(), 1);
        assert_eq!((runs[0].last, runs[0].messages, runs[0].payload_bytes), (MessageId(3), 3, 11));
        assert_eq!(written.piece_bytes(), 150);

        let mut written = Written::default();
        written.note_part(MessageId(2), Part::First, 100);
        assert!(!written.is_empty() && written.iter().next().is_none());
    }

    #[test]
    fn one_run_needs_no_memory_of_its_own() {
        let mut written = Written::default();
        (1..1000).for_each(|id| written.note(MessageId(id), 1));
        assert_eq!(written.more.capacity(), 0);
    }
}
