//! A few threads for what blocks, and the process's own for what is not a name lookup: the program's `before_connect`
//! and `dial_with`, the system's TLS roots. Knows nothing of what it runs. The resolver has a pool to itself, so that a
//! hook that hangs stops no lookup.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::process::PerProcess;
use crate::thread;

/// A call that hangs holds its thread until it returns, hence several; hence no more.
const THREADS: usize = 8;
/// How long a thread waits for work before it ends.
pub(crate) const IDLE: Duration = Duration::from_secs(10);

pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// A job that may wait for a thread still. Dropping it takes the job back, unless it has begun.
pub(crate) struct Ticket {
    pool: Arc<Pool>,
    number: u64,
}

/// Runs a job, which must not panic, on a thread of the process's pool. An error where there is no thread to be had.
pub(crate) fn run(job: Job) -> io::Result<Ticket> {
    static SHARED: PerProcess<Shared> = PerProcess::new();
    Pool::run(&SHARED.get().0, job)
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let taken_back = {
            let mut state = self.pool.lock();
            let at = state.queue.iter().position(|(number, _)| *number == self.number);
            at.and_then(|at| state.queue.remove(at))
        };
        drop(taken_back); // after the lock: a job owns closures of the user's
    }
}

/// The process's pool. That of a parent has threads which its child does not have.
struct Shared(Arc<Pool>);

impl Default for Shared {
    fn default() -> Shared {
        Shared(Arc::new(Pool::new("heartwire-before", THREADS, IDLE)))
    }
}

pub(crate) struct Pool {
    /// That of its threads.
    name: &'static str,
    /// So many threads at most.
    most: usize,
    idle: Duration,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    /// Each has its ticket; so there is at most one for each attempt under way.
    queue: VecDeque<(u64, Job)>,
    tickets: u64,
    threads: usize,
    /// Threads that wait for work.
    idle: usize,
}

impl Pool {
    /// Starts no thread yet.
    pub(crate) fn new(name: &'static str, most: usize, idle: Duration) -> Pool {
        Pool { name, most, idle, state: Mutex::default(), work: Condvar::new() }
    }

    /// Runs a job, which must not panic. An error where there is no thread to be had.
    pub(crate) fn run(pool: &Arc<Pool>, job: Job) -> io::Result<Ticket> {
        let mut state = pool.lock();
        state.tickets += 1;
        let number = state.tickets;
        state.queue.push_back((number, job));
        let refusal = pool.add_thread(&mut state);
        drop(state);
        // From here on its drop takes the job back.
        let ticket = Ticket { pool: pool.clone(), number };
        match refusal {
            Some(error) => Err(error),
            None => {
                pool.work.notify_one();
                Ok(ticket)
            }
        }
    }

    /// Starts a thread if the idle ones are too few. An error only where there is none at all to do the work.
    fn add_thread(self: &Arc<Pool>, state: &mut State) -> Option<io::Error> {
        if state.queue.len() <= state.idle || state.threads == self.most {
            return None;
        }
        let pool = self.clone();
        let builder = crate::sync::thread::Builder::new().name(self.name.into());
        match thread::spawn(builder, move || pool.work()) {
            Ok(_) => {
                // Nobody joins it: it may hang in the program's code, or the system's. It ends when idle.
                state.threads += 1;
                None
            }
            Err(error) => (state.threads == 0).then_some(error),
        }
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            job();
        }
    }

    /// The next job; `None` ends the thread.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some((_, job)) = state.queue.pop_front() {
                return Some(job);
            }
            state.idle += 1;
            let (woken, waited) =
                self.work.wait_timeout(state, self.idle).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if waited.timed_out() && state.queue.is_empty() {
                state.threads -= 1;
                return None;
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn threads(&self) -> usize {
        self.lock().threads
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn pool(idle: Duration) -> Arc<Pool> {
        Arc::new(Pool::new("heartwire-test", THREADS, idle))
    }

    #[test]
    fn so_many_run_at_once_and_one_more_waits_or_is_taken_back() {
        let pool = pool(IDLE);
        let (begin, begun) = channel();
        let (gate, gated) = channel::<()>();
        let gated = Arc::new(Mutex::new(gated));
        let job = |name: usize| -> Job {
            let (begin, gated) = (begin.clone(), gated.clone());
            Box::new(move || {
                begin.send(name).unwrap();
                let _ = gated.lock().unwrap().recv();
            })
        };
        let running: Vec<_> = (0..THREADS).map(|n| Pool::run(&pool, job(n)).unwrap()).collect();
        (0..THREADS).for_each(|_| assert!(begun.recv_timeout(PATIENCE).unwrap() < THREADS));
        let taken_back = Pool::run(&pool, job(100)).unwrap();
        let _waiting = Pool::run(&pool, job(101)).unwrap();
        let state = pool.lock();
        assert_eq!((state.threads, state.queue.len()), (THREADS, 2));
        drop(state);
        drop(taken_back);
        gate.send(()).unwrap();
        assert_eq!(begun.recv_timeout(PATIENCE).unwrap(), 101);
        drop((gate, running));
    }

    #[test]
    fn a_thread_without_work_ends() {
        struct Tell(std::sync::mpsc::Sender<()>);
        impl Drop for Tell {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        thread_local! {
            static END: std::cell::RefCell<Option<Tell>> = const { std::cell::RefCell::new(None) };
        }
        let pool = pool(Duration::from_millis(1));
        let (tell, ended) = channel();
        let ticket = Pool::run(&pool, Box::new(move || END.set(Some(Tell(tell))))).unwrap();
        ended.recv_timeout(PATIENCE).unwrap();
        assert_eq!(pool.threads(), 0);
        drop(ticket);
    }

    #[test]
    fn without_a_thread_nothing_is_kept() {
        let pool = pool(IDLE);
        let _none = thread::tests::none_to_be_had();
        assert!(Pool::run(&pool, Box::new(|| ())).is_err());
        assert!(pool.lock().queue.is_empty());
    }
}
