//! Asks the program ahead of an attempt, on a thread of the pool; and what becomes of its answer.
//! Knows no loop and no deadline: who waits drops the [`Asking`] when it has waited enough.

mod attempt;
#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

pub use attempt::Attempt;

use crate::config::address::Address;
use crate::config::greeting::Greeting;
use crate::config::route::{Ground, Route, no_route};
use crate::error::{Cause, LinkError, Phase};
use crate::link::Verdict;
use crate::pool::{self, Ticket};
use crate::user_code::{Kept, Panicked, drop_guarded, guarded};

/// Why a hook could not prepare an attempt, in whatever words.
type Trouble = Box<dyn StdError + Send + Sync>;
type Call = Kept<Box<dyn FnMut(&mut Attempt) -> Result<(), Trouble> + Send>>;

/// The program's `before_connect`. One call at a time; freed once, by [`close`](Hook::close) or by the call that runs then.
#[derive(Clone)]
pub(crate) struct Hook(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// A call has returned.
    returned: Condvar,
}

struct State {
    /// Taken out while it runs, and for good when the client is destroyed.
    call: Option<Call>,
    running: bool,
    closed: bool,
    /// What is asked next; an attempt that was given up may still have its call under way.
    next: Option<Question>,
    /// In the pool's queue, or at work there.
    at_work: Option<Ticket>,
    number: u64,
}

struct Question {
    number: u64,
    attempt: Attempt,
    ground: Arc<Ground>,
    reply: Reply,
}

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

/// An answer to come. Dropping it gives it up; a call that has not begun is not made then.
pub(crate) struct Asking {
    answer: Arc<Mutex<Option<Answer>>>,
    _given_up: GivenUp,
}

enum GivenUp {
    Hook(Hook, u64),
    Job(#[expect(dead_code, reason = "its drop takes the job back")] Ticket),
}

/// Where an answer goes, and whom to tell.
struct Reply {
    answer: Arc<Mutex<Option<Answer>>>,
    wake: Box<dyn Fn() + Send>,
}

impl Hook {
    pub(crate) fn new(call: impl FnMut(&mut Attempt) -> Result<(), Trouble> + Send + 'static) -> Hook {
        let state = State {
            call: Some(Kept::new(Box::new(call))),
            running: false,
            closed: false,
            next: None,
            at_work: None,
            number: 0,
        };
        Hook(Arc::new(Shared { state: Mutex::new(state), returned: Condvar::new() }))
    }

    /// Asks about this attempt; `wake` is called on a thread of the pool when there is an answer to
    /// [`take`](Asking::take).
    pub(crate) fn ask(
        &self,
        attempt: Attempt,
        ground: Arc<Ground>,
        wake: impl Fn() + Send + 'static,
    ) -> io::Result<Asking> {
        let answer = Arc::new(Mutex::new(None));
        let reply = Reply { answer: answer.clone(), wake: Box::new(wake) };
        let mut state = self.lock();
        state.number += 1;
        let number = state.number;
        state.next = Some(Question { number, attempt, ground, reply });
        if state.at_work.is_none() {
            let hook = self.clone();
            match pool::run(Box::new(move || hook.work())) {
                Ok(ticket) => state.at_work = Some(ticket),
                Err(error) => {
                    let unasked = state.next.take();
                    drop(state);
                    drop(unasked);
                    return Err(error);
                }
            }
        }
        drop(state);
        Ok(Asking { answer, _given_up: GivenUp::Hook(self.clone(), number) })
    }

    /// On a thread of the pool: answers what is asked, until nothing is.
    fn work(&self) {
        loop {
            let mut state = self.lock();
            let next = state.next.take();
            // Without a question the call stays where it is.
            let call = if next.is_some() { state.call.take() } else { None };
            let (Some(question), Some(mut call)) = (next, call) else {
                let done = state.at_work.take();
                drop(state);
                drop(done);
                return;
            };
            state.running = true;
            drop(state);
            let Question { mut attempt, ground, reply, .. } = question;
            let result = guarded(|| call(&mut attempt));
            let wake = reply.give(attempt.answer(result, &ground));
            self.put_back(call);
            wake();
        }
    }

    fn put_back(&self, call: Call) {
        let mut call = Some(call);
        let mut state = self.lock();
        if !state.closed {
            state.call = call.take();
        }
        drop(state);
        // Who waits for the call's end waits for the end of what it owned, too.
        drop(call);
        self.lock().running = false;
        self.0.returned.notify_all();
    }

    /// The client is destroyed: no further call. The closure is freed now, or when the running call returns.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let left = (state.call.take(), state.next.take());
        // A call that runs ends with its own thread; one that waits for a thread need not come.
        let waiting = if state.running { None } else { state.at_work.take() };
        drop(state);
        drop((left, waiting));
    }

    /// Waits for a running call to return.
    pub(crate) fn wait_until_returned(&self) {
        let mut state = self.lock();
        while state.running {
            state = self.0.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn give_up(&self, number: u64) {
        let unasked = self.lock().next.take_if(|question| question.number == number);
        drop(unasked);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
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
        let answer = Arc::new(Mutex::new(None));
        let reply = Reply { answer: answer.clone(), wake: Box::new(wake) };
        let ticket = pool::run(Box::new(move || {
            let wake = reply.give(match ground.route(&address, headers, subprotocols) {
                Ok(route) => {
                    Answer::Prepared(Prepared { route: Arc::new(route), greetings: None }, Verdict::Go)
                }
                Err(error) => Answer::Failed(no_route(error)),
            });
            wake();
        }))?;
        Ok(Asking { answer, _given_up: GivenUp::Job(ticket) })
    }

    /// The answer, once it is there, and once.
    pub(crate) fn take(&mut self) -> Option<Answer> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for GivenUp {
    fn drop(&mut self) {
        if let GivenUp::Hook(hook, number) = self {
            hook.give_up(*number);
        }
    }
}

impl Reply {
    /// Leaves the answer, which ends here if nobody waits for it any more; what it gives back tells of it.
    fn give(self, answer: Answer) -> Box<dyn Fn() + Send> {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        self.wake
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
            // What the program has set was checked when it set it.
            Err(error) => Answer::Failed(no_route(error)),
        }
    }
}
