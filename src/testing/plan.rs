//! Which behaviour is whose: one for all, one by number, or a script's next.

use super::behaviour::{Behaviour, Upgrade};
use std::sync::Arc;
use std::time::Duration;

pub(super) enum Plan {
    Each(Arc<dyn Fn(usize) -> Behaviour + Send + Sync>),
    Script { steps: Vec<Behaviour>, next: usize },
}

impl Plan {
    /// The behaviour for the connection that has come, the script's last one for all that come after it.
    pub(super) fn next(&mut self, n: usize) -> Behaviour {
        match self {
            Plan::Each(choose) => choose(n),
            Plan::Script { steps, next } => {
                let step = steps[(*next).min(steps.len() - 1)].clone();
                *next += 1;
                step
            }
        }
    }

    /// Begins the script's next step if nobody is to be there, for so long or (`Some(None)`) for good.
    pub(super) fn absence(&mut self) -> Option<Option<Duration>> {
        let Plan::Script { steps, next } = self else { return None };
        let Upgrade::Absent(time) = steps.get(*next)?.upgrade else { return None };
        *next += 1;
        Some((*next < steps.len()).then_some(time))
    }

    /// Steps of a script that have not begun.
    pub(super) fn steps_left(&self) -> usize {
        match self {
            Plan::Each(_) => 0,
            Plan::Script { steps, next } => steps.len().saturating_sub(*next),
        }
    }
}
