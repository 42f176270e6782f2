//! Asks the program ahead of an attempt; and what becomes of its answer.
//! Knows no loop and no deadline: see [`asked`](crate::asked).

mod attempt;
#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

pub use attempt::Attempt;

use crate::asked;
use crate::config::address::Address;
use crate::config::greeting::Greeting;
use crate::config::route::{Ground, Route, contradicts_settings, no_route};
use crate::error::{Cause, LinkError, Phase};
use crate::link::Verdict;
use crate::user_code::{Panicked, drop_guarded, guarded};

/// Why a hook could not prepare an attempt, in whatever words.
type Trouble = Box<dyn StdError + Send + Sync>;
type Call = Box<dyn FnMut(&mut Attempt) -> Result<(), Trouble> + Send>;

/// The program's `before_connect`. One call at a time; freed once.
#[derive(Clone)]
pub(crate) struct Hook(asked::Hook<Call>);

/// An answer to come.
pub(crate) type Asking = asked::Asking<Answer>;

/// What came of asking.
pub(crate) enum Answer {
    /// What the attempt uses, if it is made, and what becomes of it.
    Prepared(Prepared, Verdict),
    Failed(LinkError),
    Panicked,
}

/// What an attempt uses.
pub(crate) struct Prepared {
    pub(crate) route: Arc<Route>,
    /// Instead of the configured ones.
    pub(crate) greetings: Option<Vec<Greeting>>,
}

impl Hook {
    pub(crate) fn new(call: impl FnMut(&mut Attempt) -> Result<(), Trouble> + Send + 'static) -> Hook {
        Hook(asked::Hook::new(Box::new(call)))
    }

    /// Asks about this attempt; `wake` is called on a thread of the pool when there is an answer to
    /// [`take`](asked::Asking::take).
    pub(crate) fn ask(
        &self,
        mut attempt: Attempt,
        ground: Arc<Ground>,
        wake: impl Fn() + Send + 'static,
    ) -> io::Result<Asking> {
        let ask = move |call: &mut Call| {
            let result = guarded(|| call(&mut attempt));
            attempt.answer(result, &ground)
        };
        self.0.ask(ask, wake)
    }

    /// The client is destroyed: no further call.
    pub(crate) fn close(&self) {
        self.0.close();
    }

    /// Waits for a running call to return.
    pub(crate) fn wait_until_returned(&self) {
        self.0.wait_until_returned();
    }
}

impl Asking {
    /// Makes a route where that may take the time to read the system's TLS roots.
    pub(crate) fn for_route(
        ground: Arc<Ground>,
        address: Address,
        headers: Vec<(String, String)>,
        subprotocols: Vec<String>,
        wake: impl Fn() + Send + 'static,
    ) -> io::Result<Asking> {
        let make = move || match ground.route(&address, headers, subprotocols) {
            Ok(route) => Answer::Prepared(Prepared { route: Arc::new(route), greetings: None }, Verdict::Go),
            Err(error) => Answer::Failed(no_route(error)),
        };
        asked::Asking::of_job(make, wake)
    }
}

impl Attempt {
    /// What comes of a call that returned. The first use of TLS reads the system's roots in here.
    fn answer(self, result: Result<Result<(), Trouble>, Panicked>, ground: &Ground) -> Answer {
        let failed = |trouble: Trouble| {
            Answer::Failed(LinkError::new(Phase::Prepare, Cause::BeforeConnect(Arc::from(trouble))))
        };
        match result {
            Err(Panicked) => {
                drop_guarded(self);
                return Answer::Panicked;
            }
            Ok(Err(trouble)) => {
                drop_guarded(self);
                return failed(trouble);
            }
            Ok(Ok(())) => {}
        }
        let verdict = self.verdict();
        match self.prepared(ground) {
            Ok(prepared) => Answer::Prepared(prepared, verdict),
            // What the program has set was checked when it set it, but not whether the settings let it go there.
            Err(error) if contradicts_settings(&error) => failed(error.into()),
            Err(error) => Answer::Failed(no_route(error)),
        }
    }
}
