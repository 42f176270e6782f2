//! A closure of the program's that may take its time: called on a thread of the pool, one call at a time.
//! Knows no loop and no deadline: who waits drops the [`Asking`] when it has waited enough. Nor what is asked for.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::pool::{self, Ticket};
use crate::user_code::Kept;

/// The program's closure. One call at a time; freed once, by [`close`](Hook::close) or by the call that runs then.
pub(crate) struct Hook<C>(Arc<Shared<C>>);

impl<C> Clone for Hook<C> {
    fn clone(&self) -> Hook<C> {
        Hook(self.0.clone())
    }
}

struct Shared<C> {
    state: Mutex<State<C>>,
    /// A call has returned.
    returned: Condvar,
}

struct State<C> {
    /// Taken out while it runs, and for good when the client is destroyed.
    call: Option<Kept<C>>,
    running: bool,
    closed: bool,
    /// What is asked next; an attempt that was given up may still have its call under way.
    next: Option<Question<C>>,
    /// In the pool's queue, or at work there.
    at_work: Option<Ticket>,
    number: u64,
}

struct Question<C> {
    number: u64,
    /// Calls, leaves the answer, and gives back what tells of it.
    ask: Box<dyn FnOnce(&mut C) -> Wake + Send>,
}

type Wake = Box<dyn Fn() + Send>;

/// An answer to come. Dropping it gives it up; a call that has not begun is not made then.
pub(crate) struct Asking<A> {
    answer: Arc<Mutex<Option<A>>>,
    _given_up: GivenUp,
}

enum GivenUp {
    Question(Box<dyn Fn() + Send>),
    Job(#[expect(dead_code, reason = "its drop takes the job back")] Ticket),
}

/// Where an answer goes, and whom to tell.
struct Reply<A> {
    answer: Arc<Mutex<Option<A>>>,
    wake: Wake,
}

impl<C: Send + 'static> Hook<C> {
    pub(crate) fn new(call: C) -> Hook<C> {
        let state = State {
            call: Some(Kept::new(call)),
            running: false,
            closed: false,
            next: None,
            at_work: None,
            number: 0,
        };
        Hook(Arc::new(Shared { state: Mutex::new(state), returned: Condvar::new() }))
    }

    /// Lets `ask`, which must not panic, call the closure; `wake` is called on a thread of the pool when there is an
    /// answer to [`take`](Asking::take).
    pub(crate) fn ask<A: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut C) -> A + Send + 'static,
        wake: impl Fn() + Send + 'static,
    ) -> io::Result<Asking<A>> {
        let (answer, reply) = reply(wake);
        let ask = Box::new(move |call: &mut C| {
            let answer = ask(call);
            reply.give(answer)
        });
        let mut state = self.lock();
        state.number += 1;
        let number = state.number;
        // An older one was given up, and took its question along.
        state.next = Some(Question { number, ask });
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
        let hook = self.clone();
        Ok(Asking { answer, _given_up: GivenUp::Question(Box::new(move || hook.give_up(number))) })
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
            let wake = (question.ask)(&mut call);
            self.put_back(call);
            wake();
        }
    }

    fn put_back(&self, call: Kept<C>) {
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

    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A: Send + 'static> Asking<A> {
    /// An answer by a job, which must not panic, that calls nothing of the program's.
    pub(crate) fn of_job(
        job: impl FnOnce() -> A + Send + 'static,
        wake: impl Fn() + Send + 'static,
    ) -> io::Result<Asking<A>> {
        let (answer, reply) = reply(wake);
        let ticket = pool::run(Box::new(move || {
            let wake = reply.give(job());
            wake();
        }))?;
        Ok(Asking { answer, _given_up: GivenUp::Job(ticket) })
    }

    /// The answer, once it is there, and once.
    pub(crate) fn take(&mut self) -> Option<A> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for GivenUp {
    fn drop(&mut self) {
        if let GivenUp::Question(give_up) = self {
            give_up();
        }
    }
}

fn reply<A>(wake: impl Fn() + Send + 'static) -> (Arc<Mutex<Option<A>>>, Reply<A>) {
    let answer = Arc::new(Mutex::new(None));
    (answer.clone(), Reply { answer, wake: Box::new(wake) })
}

impl<A> Reply<A> {
    /// Leaves the answer, which ends here if nobody waits for it any more.
    fn give(self, answer: A) -> Wake {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        self.wake
    }
}
