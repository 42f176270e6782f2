//! What the client claimed of each message, judged by what its TCP peer's kernel took and what the server read.

use std::collections::BTreeMap;

use heartwire::{Delivery, Event, Fate, Level, Priority};

use crate::support::Message;
use crate::support::frames::FrameReader;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    /// From 1, as the ids.
    pub number: usize,
    pub level: Level,
    pub delivery: Delivery,
    pub priority: Priority,
}

impl Sent {
    /// What completes it: one that has to arrive is not complete when it is written.
    fn completes_at(&self) -> Level {
        match (self.delivery, self.level) {
            (Delivery::AtLeastOnce, Level::Written) => Level::Processed,
            (_, level) => level,
        }
    }
}

#[derive(Default)]
pub(crate) struct Claims {
    sent: Vec<Sent>,
    fates: BTreeMap<usize, Fate>,
}

impl Claims {
    pub(crate) fn sent(&mut self, sent: Sent) {
        self.sent.push(sent);
    }

    pub(crate) fn hear(&mut self, event: &Event) {
        let Event::Outcome(outcome) = event else { return };
        for id in outcome.first().get()..=outcome.last().get() {
            let before = self.fates.insert(id as usize, outcome.fate());
            assert_eq!(before, None, "message {id} was told of twice");
        }
    }

    /// `taken`: what the kernel took of each connection; of plain ones it can be read. `received`: what the server
    /// read, on connections after `first`. `exact`: where it cannot be read the server got all of it.
    pub(crate) fn judge(
        &self,
        taken: &[Vec<u8>],
        received: &[(usize, Message)],
        first: usize,
        plain: bool,
        exact: bool,
    ) {
        let mut read = vec![0; self.sent.len() + 1];
        for (_, message) in received.iter().filter(|(n, _)| *n > first) {
            read[number(message.as_bytes())] += 1;
        }
        let mut took = if plain { vec![0; read.len()] } else { read.clone() };
        if plain {
            for connection in taken {
                messages(connection).into_iter().for_each(|number| took[number] += 1);
            }
        }
        for sent in &self.sent {
            let number = sent.number;
            let fate = *self.fates.get(&number).unwrap_or_else(|| panic!("nothing of {sent:?}"));
            let (took, read) = (took[number], read[number]);
            let about = format!("{sent:?}: {fate:?}, taken {took}, read {read}");
            assert!(took >= read, "{about}");
            match fate {
                Fate::Completed(level) => assert_eq!(level, sent.completes_at(), "{about}"),
                Fate::Unknown(reached) => assert!(reached < sent.completes_at(), "{about}"),
                _ => panic!("dropped, {about}"),
            }
            match fate {
                Fate::Completed(Level::Processed) => assert!(read > 0, "{about}"),
                Fate::Completed(Level::Acked) | Fate::Unknown(Level::Acked) if exact => {
                    assert!(took > 0, "{about}");
                }
                _ => {}
            }
            match sent.delivery {
                Delivery::AtLeastOnce => assert!(matches!(fate, Fate::Completed(_)), "lost, {about}"),
                _ => assert!(read <= 1 && took <= 1, "doubled, {about}"),
            }
        }
        assert_eq!(self.fates.len(), self.sent.len());
    }
}

fn number(payload: &[u8]) -> usize {
    std::str::from_utf8(&payload[..6]).ok().and_then(|digits| digits.parse().ok()).expect("a number")
}

/// The messages that are whole in the bytes of a plain connection.
fn messages(taken: &[u8]) -> Vec<usize> {
    let Some(head) = taken.windows(4).position(|four| four == b"\r\n\r\n") else { return Vec::new() };
    let mut reader = FrameReader::default();
    reader.push(&taken[head + 4..]);
    let (mut whole, mut begun) = (Vec::new(), None);
    while let Some((first, payload)) = reader.next_unmasked().expect("frames") {
        let opcode = first & 0x0F;
        if opcode == 1 || opcode == 2 {
            begun = Some(number(&payload));
        }
        if opcode <= 2 && first & 0x80 != 0 {
            whole.extend(begun.take());
        }
    }
    whole
}
