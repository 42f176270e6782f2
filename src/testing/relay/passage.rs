//! What a relay does with one connection's bytes, as a script says it. Holds settings only.

use super::Direction;
use std::time::Duration;

/// What the relay does with one direction's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Pass,
    /// Read and thrown away. A direction that lost a byte this way never flows again: no stream gets a gap.
    Swallow,
    /// Not read, so that the sender's TCP fills up and waits; nothing is lost.
    Hold,
    /// At most so many bytes at a time, so far apart.
    Trickle {
        bytes: usize,
        every: Duration,
    },
    /// Whole, but so late.
    Delay(Duration),
}

/// How the relay treats one connection, for [`Relay::script`](super::Relay::script).
///
/// A connection that has a rule of its own for a direction keeps to it, whatever is called for all connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passage {
    /// Up and down, as everywhere in here.
    pub(super) flows: [Flow; 2],
    pub(super) cut_after: [Option<u64>; 2],
    pub(super) refused: bool,
}

impl Passage {
    /// Passes everything on.
    pub fn free() -> Self {
        Passage { flows: [Flow::Pass; 2], cut_after: [None; 2], refused: false }
    }

    /// Resets the connection as soon as it was accepted; the target does not hear of it.
    pub fn refused() -> Self {
        Passage { refused: true, ..Passage::free() }
    }

    /// Takes all bytes and passes none on, in both directions; see [`Relay::stall`](super::Relay::stall).
    pub fn stalled() -> Self {
        Passage { flows: [Flow::Swallow; 2], ..Passage::free() }
    }

    /// Takes no byte, in neither direction; see [`Relay::hold`](super::Relay::hold).
    pub fn held() -> Self {
        Passage { flows: [Flow::Hold; 2], ..Passage::free() }
    }

    /// Passes at most `bytes` bytes `every` so often, each way.
    pub fn trickle(bytes: usize, every: Duration) -> Self {
        Passage { flows: [Flow::Trickle { bytes, every }; 2], ..Passage::free() }
    }

    /// Passes everything on so late, each way.
    pub fn delayed(by: Duration) -> Self {
        Passage { flows: [Flow::Delay(by); 2], ..Passage::free() }
    }

    /// Resets the connection on both sides as soon as so many bytes have passed in this direction, whatever else holds;
    /// not a byte more passes. 0 is as good as [`refused`](Passage::refused).
    ///
    /// ```
    /// use heartwire::testing::{Direction, Passage};
    ///
    /// let _ = Passage::free().cut_after(Direction::Up, 1000).cut_after(Direction::Down, 1 << 20);
    /// ```
    pub fn cut_after(mut self, direction: Direction, bytes: u64) -> Self {
        self.cut_after[direction.index()] = Some(bytes);
        self.refused |= bytes == 0;
        self
    }
}
