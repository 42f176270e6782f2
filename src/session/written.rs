//! Which messages the socket has wholly accepted, as runs of consecutive ids.
//!
//! One run, the usual case, needs no memory of its own.

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
}

impl Written {
    /// Adds a message that was written after all the others.
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

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
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
    fn one_run_needs_no_memory_of_its_own() {
        let mut written = Written::default();
        (1..1000).for_each(|id| written.note(MessageId(id), 1));
        assert_eq!(written.more.capacity(), 0);
    }
}
