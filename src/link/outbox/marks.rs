//! What flushes and closes wait for: that all messages up to one have reached a level, whatever was asked for each.
//!
//! A mark is placed when all of them are written; from there on it is proven like a message that ends there. If the
//! session dies before, it is lost where one of them was told of as complete at a lower level: nobody can tell any more.

use crate::event::{Level, MessageId};

#[derive(Default)]
pub(super) struct Marks {
    marks: Vec<Mark>,
    last: u64,
}

/// For `Acked` and `Processed`, where the last message ends on this session that was complete at less, and of which that
/// is not proven; 0 if there is none.
#[derive(Clone, Copy, Default)]
pub(super) struct Loose {
    acked: u64,
    processed: u64,
}

impl Loose {
    /// Messages that end there are complete at this level.
    #[inline]
    pub(super) fn completed(&mut self, at: Level, end: u64) {
        if at < Level::Acked {
            self.acked = self.acked.max(end);
        }
        if at < Level::Processed {
            self.processed = self.processed.max(end);
        }
    }

    pub(super) fn proven(&mut self, at: Level, offset: u64) {
        if self.acked <= offset {
            self.acked = 0;
        }
        if at == Level::Processed && self.processed <= offset {
            self.processed = 0;
        }
    }

    fn of(self, level: Level) -> Option<u64> {
        let end = if level == Level::Processed { self.processed } else { self.acked };
        (end > 0).then_some(end)
    }
}

struct Mark {
    number: u64,
    /// `None`: there are no messages.
    upto: Option<MessageId>,
    level: Level,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Some of the messages are not written. The last of those among them that were complete at less ends there.
    Waiting {
        loose: Option<u64>,
    },
    /// They end at this offset; and the same.
    Placed {
        end: u64,
        loose: Option<u64>,
    },
    Reached,
    Lost,
}

/// What has become of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marked {
    Waiting,
    Reached,
    Lost,
}

impl Marks {
    /// For a level that has to be proven. `loose`: of all messages up to now.
    pub(super) fn add(&mut self, upto: Option<MessageId>, level: Level, loose: Loose) -> u64 {
        debug_assert!(level > Level::Written, "who waits for no more asks the outbox what is unfinished");
        self.last += 1;
        let state = State::Waiting { loose: loose.of(level) };
        self.marks.push(Mark { number: self.last, upto, level, state });
        self.last
    }

    pub(super) fn remove(&mut self, number: u64) {
        self.marks.retain(|mark| mark.number != number);
    }

    pub(super) fn get(&self, number: u64) -> Marked {
        match self.marks.iter().find(|mark| mark.number == number).map(|mark| mark.state) {
            Some(State::Reached) => Marked::Reached,
            Some(State::Waiting { .. } | State::Placed { .. }) => Marked::Waiting,
            Some(State::Lost) | None => Marked::Lost,
        }
    }

    /// Messages from this one on, which end at this offset, are complete with this level. What came after a mark and
    /// overtook is none of its own.
    #[inline]
    pub(super) fn completed(&mut self, from: u64, at: Level, end: u64) {
        let concerned = |mark: &&mut Mark| at < mark.level && mark.upto.is_some_and(|upto| from <= upto.0);
        for mark in self.marks.iter_mut().filter(concerned) {
            match &mut mark.state {
                State::Waiting { loose } => *loose = (*loose).max(Some(end)),
                State::Placed { end: placed, loose } if end <= *placed => *loose = (*loose).max(Some(end)),
                State::Placed { .. } | State::Reached | State::Lost => {}
            }
        }
    }

    /// Places those whose messages are all written, if the first that is not is `unwritten`; without a session there is
    /// nothing that could be proven, nor lost.
    pub(super) fn place(&mut self, unwritten: Option<MessageId>, session: Option<u64>) {
        for mark in &mut self.marks {
            let written = unwritten.is_none_or(|unwritten| mark.upto.is_none_or(|upto| unwritten > upto));
            if let State::Waiting { loose } = mark.state
                && written
            {
                mark.state = session.map_or(State::Reached, |end| State::Placed { end, loose });
            }
        }
    }

    /// The stream is proven to have got so far, at this level and those below. `true` if a mark is reached with that.
    pub(super) fn proven(&mut self, at: Level, offset: u64) -> bool {
        let mut any = false;
        for mark in self.marks.iter_mut().filter(|mark| mark.level <= at) {
            match &mut mark.state {
                State::Placed { end, .. } if *end <= offset => {
                    mark.state = State::Reached;
                    any = true;
                }
                State::Waiting { loose } | State::Placed { loose, .. } if *loose <= Some(offset) => {
                    *loose = None
                }
                _ => {}
            }
        }
        any
    }

    /// Messages from this one on ended, and nobody can tell whether they got further than this.
    pub(super) fn unknown(&mut self, from: u64, reached: Level) {
        for mark in &mut self.marks {
            let concerned = mark.upto.is_some_and(|upto| upto.0 >= from) && mark.level > reached;
            if concerned && mark.state != State::Reached {
                mark.state = State::Lost;
            }
        }
    }

    /// To be said when all is said that was proven on it.
    pub(super) fn end_session(&mut self) {
        for mark in &mut self.marks {
            let loose = match mark.state {
                State::Waiting { loose } | State::Placed { loose, .. } => loose,
                State::Reached | State::Lost => continue,
            };
            mark.state = if loose.is_some() { State::Lost } else { State::Waiting { loose: None } };
        }
    }

    /// Whether one waits for a proof of this level.
    pub(super) fn await_proof_of(&self, level: Level) -> bool {
        self.marks.iter().any(|mark| mark.level == level && matches!(mark.state, State::Placed { .. }))
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }
}
