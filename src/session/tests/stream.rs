//! A stream in memory that blocks, cuts, fails and ends as it is told.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};

/// What one read or write does.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A read gets these bytes, as many as it has room for; the rest waits for the next one.
    Bytes(Vec<u8>),
    /// A write takes so many bytes.
    Take(usize),
    /// A read finds the end; a write takes nothing and says 0.
    Zero,
    Fail(ErrorKind),
}

/// Reads follow one script and write `WouldBlock` when it is over; writes follow another and take all when it is over.
#[derive(Debug, Default)]
pub(super) struct Scripted {
    pub(super) reads: VecDeque<Step>,
    pub(super) writes: VecDeque<Step>,
    /// What was written.
    pub(super) out: Vec<u8>,
    /// What a blocked write was offered: OpenSSL wants the same again, and no less.
    refused: Vec<u8>,
}

impl Scripted {
    pub(super) fn reading(steps: impl IntoIterator<Item = Step>) -> Scripted {
        Scripted { reads: steps.into_iter().collect(), ..Scripted::default() }
    }

    pub(super) fn writing(steps: impl IntoIterator<Item = Step>) -> Scripted {
        Scripted { writes: steps.into_iter().collect(), ..Scripted::default() }
    }
}

impl Read for Scripted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        assert!(!buf.is_empty(), "a read without room would look like the end of the stream");
        match self.reads.pop_front() {
            None => Err(ErrorKind::WouldBlock.into()),
            Some(Step::Bytes(mut bytes)) => {
                let size = bytes.len().min(buf.len());
                buf[..size].copy_from_slice(&bytes[..size]);
                if size < bytes.len() {
                    self.reads.push_front(Step::Bytes(bytes.split_off(size)));
                }
                Ok(size)
            }
            Some(Step::Zero) => Ok(0),
            Some(Step::Fail(kind)) => Err(kind.into()),
            Some(Step::Take(_)) => unreachable!("a step for writes"),
        }
    }
}

impl Write for Scripted {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        assert!(!buf.is_empty(), "a write of nothing");
        assert!(buf.starts_with(&self.refused), "a retry offers the same bytes, and no fewer");
        let size = match self.writes.pop_front() {
            None => buf.len(),
            Some(Step::Take(size)) => size.min(buf.len()),
            Some(Step::Zero) => return Ok(0),
            Some(Step::Fail(kind)) => {
                if matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted) {
                    self.refused = buf.to_vec();
                }
                return Err(kind.into());
            }
            Some(Step::Bytes(_)) => unreachable!("a step for reads"),
        };
        self.refused.clear();
        self.out.extend_from_slice(&buf[..size]);
        Ok(size)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
