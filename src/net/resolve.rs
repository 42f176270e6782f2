//! Looks names up on a few threads of its own, since the system's lookup blocks and cannot be interrupted.
//! Process-wide; knows no deadlines: who waits drops the [`Lookup`] when it has waited enough.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::process::PerProcess;
use crate::thread;

/// A lookup that hangs holds its thread until the system gives up, hence several; hence no more.
const THREADS: usize = 4;
const IDLE: Duration = Duration::from_secs(10);
/// Different names that may wait for a thread.
const WAITING: usize = 1024;

type Answer = io::Result<Vec<SocketAddr>>;
type Name = (String, u16);
/// The system's lookup, or a test's.
type Ask = dyn Fn(&str, u16) -> Answer + Send + Sync;

/// An answer to come. Dropping it abandons the lookup; one that nobody waits for any more is not begun.
pub(crate) struct Lookup {
    pool: Arc<Pool>,
    name: Name,
    ticket: u64,
    answer: Arc<Mutex<Option<Answer>>>,
}

/// Begins to look a name up; `done` is called once, on a thread of the pool, when there is an answer to
/// [`take`](Lookup::take).
///
/// When too many names wait, the answer is an error that is there on return, and `done` is not called.
pub(crate) fn resolve(host: &str, port: u16, done: Box<dyn FnOnce() + Send>) -> Lookup {
    Pool::resolve(&shared(), host, port, done)
}

impl Lookup {
    /// The answer, once it is there, and once.
    pub(crate) fn take(&mut self) -> Option<Answer> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        let abandoned = self.pool.lock().abandon(&self.name, self.ticket);
        drop(abandoned); // the waker is dropped after the lock
    }
}

/// The process's pool. That of a parent has threads which its child does not have.
struct Shared(Arc<Pool>);

impl Default for Shared {
    fn default() -> Shared {
        Shared(Arc::new(Pool::new(IDLE, ask_the_system)))
    }
}

fn shared() -> Arc<Pool> {
    static SHARED: PerProcess<Shared> = PerProcess::new();
    #[cfg(test)]
    if let Some(pool) = tests::replacement() {
        return pool;
    }
    SHARED.get().0.clone()
}

fn ask_the_system(host: &str, port: u16) -> Answer {
    Ok((host, port).to_socket_addrs()?.collect())
}

pub(crate) struct Pool {
    state: Mutex<State>,
    work: Condvar,
    /// How long a thread waits for work before it ends.
    idle: Duration,
    ask: Box<Ask>,
}

#[derive(Default)]
struct State {
    /// Names whose lookup has not begun, oldest first; each is in `jobs`, too.
    queue: VecDeque<Name>,
    /// Who waits for which name; a name under way stays here even when nobody waits for it any more.
    jobs: HashMap<Name, Vec<Waiter>>,
    threads: usize,
    /// Threads that wait for work.
    idle: usize,
    tickets: u64,
}

struct Waiter {
    ticket: u64,
    answer: Arc<Mutex<Option<Answer>>>,
    done: Box<dyn FnOnce() + Send>,
}

impl State {
    fn abandon(&mut self, name: &Name, ticket: u64) -> Option<Waiter> {
        let waiters = self.jobs.get_mut(name)?;
        let at = waiters.iter().position(|waiter| waiter.ticket == ticket)?;
        let abandoned = waiters.swap_remove(at);
        if waiters.is_empty() {
            let before = self.queue.len();
            self.queue.retain(|queued| queued != name);
            if self.queue.len() < before {
                self.jobs.remove(name);
            }
        }
        Some(abandoned)
    }
}

impl Pool {
    fn new(idle: Duration, ask: impl Fn(&str, u16) -> Answer + Send + Sync + 'static) -> Pool {
        Pool { state: Mutex::default(), work: Condvar::new(), idle, ask: Box::new(ask) }
    }

    fn resolve(pool: &Arc<Pool>, host: &str, port: u16, done: Box<dyn FnOnce() + Send>) -> Lookup {
        let name = (host.to_owned(), port);
        let answer = Arc::new(Mutex::new(None));
        let mut state = pool.lock();
        state.tickets += 1;
        let ticket = state.tickets;
        let lookup = Lookup { pool: pool.clone(), name: name.clone(), ticket, answer: answer.clone() };
        let waiter = Waiter { ticket, answer, done };
        if let Some(waiters) = state.jobs.get_mut(&name) {
            waiters.push(waiter);
            return lookup;
        }
        let refusal = if state.queue.len() >= WAITING {
            Some(io::Error::other("too many names wait to be looked up"))
        } else {
            state.queue.push_back(name.clone());
            pool.add_thread(&mut state)
        };
        let Some(error) = refusal else {
            state.jobs.insert(name, vec![waiter]);
            drop(state);
            pool.work.notify_one();
            return lookup;
        };
        state.queue.retain(|queued| *queued != name);
        drop(state);
        *waiter.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(Err(error));
        lookup
    }

    /// Starts a thread if the idle ones are too few. An error only where there is none at all to do the work.
    fn add_thread(self: &Arc<Pool>, state: &mut State) -> Option<io::Error> {
        if state.queue.len() <= state.idle || state.threads == THREADS {
            return None;
        }
        let pool = self.clone();
        let builder = crate::sync::thread::Builder::new().name("heartwire-resolve".into());
        match thread::spawn(builder, move || pool.run()) {
            Ok(_) => {
                // Nobody joins it: it may hang in the system's lookup. It ends when idle.
                state.threads += 1;
                None
            }
            Err(error) => (state.threads == 0).then_some(error),
        }
    }

    fn run(&self) {
        while let Some(name) = self.next() {
            // A panic can come from a test's lookup only, but must not leave waiters without an answer.
            let answer = catch_unwind(AssertUnwindSafe(|| (self.ask)(&name.0, name.1)))
                .unwrap_or_else(|_| Err(io::Error::other("the lookup panicked")));
            let waiters = self.lock().jobs.remove(&name).unwrap_or_default();
            for waiter in waiters {
                *waiter.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(copy(&answer));
                let _ = catch_unwind(AssertUnwindSafe(waiter.done));
            }
        }
    }

    /// The next name to look up; `None` ends the thread.
    fn next(&self) -> Option<Name> {
        let mut state = self.lock();
        loop {
            if let Some(name) = state.queue.pop_front() {
                return Some(name);
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn copy(answer: &Answer) -> Answer {
    match answer {
        Ok(addresses) => Ok(addresses.clone()),
        Err(error) => Err(match error.raw_os_error() {
            Some(number) => io::Error::from_raw_os_error(number),
            None => io::Error::new(error.kind(), error.to_string()),
        }),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::RefCell;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    thread_local! {
        static REPLACEMENT: RefCell<Option<Arc<Pool>>> = const { RefCell::new(None) };
    }

    pub(super) fn replacement() -> Option<Arc<Pool>> {
        REPLACEMENT.with_borrow(Clone::clone)
    }

    /// While this lives, names looked up from this thread go to a function of the test's, on a pool of its own.
    #[must_use]
    pub(crate) struct Replaced(());

    pub(crate) fn replace(ask: impl Fn(&str, u16) -> Answer + Send + Sync + 'static) -> Replaced {
        REPLACEMENT.set(Some(Arc::new(Pool::new(IDLE, ask))));
        Replaced(())
    }

    impl Drop for Replaced {
        fn drop(&mut self) {
            REPLACEMENT.set(None);
        }
    }

    const PATIENCE: Duration = Duration::from_secs(10);

    /// A pool whose lookups tell their name when they begin, and end when the gate is opened for them.
    struct Gated {
        pool: Arc<Pool>,
        begun: Receiver<String>,
        gate: Sender<()>,
        done: (Sender<()>, Receiver<()>),
    }

    impl Gated {
        fn new() -> Gated {
            let (begin, begun) = channel();
            let (gate, gated) = channel();
            let (begin, gated) = (Mutex::new(begin), Mutex::new(gated));
            let pool = Pool::new(IDLE, move |name, port| {
                begin.lock().unwrap().send(name.to_owned()).unwrap();
                gated.lock().unwrap().recv().unwrap();
                Ok(vec![([127, 0, 0, 1], port).into()])
            });
            Gated { pool: Arc::new(pool), begun, gate, done: channel() }
        }

        fn resolve(&self, name: &str) -> Lookup {
            let done = self.done.0.clone();
            Pool::resolve(&self.pool, name, 7, Box::new(move || done.send(()).unwrap()))
        }

        fn next_begun(&self) -> String {
            self.begun.recv_timeout(PATIENCE).unwrap()
        }

        fn open_gate(&self) {
            self.gate.send(()).unwrap();
            self.done.1.recv_timeout(PATIENCE).unwrap();
        }

        /// Lookups that keep all threads.
        fn occupy(&self) -> Vec<Lookup> {
            let lookups = (0..THREADS).map(|n| self.resolve(&format!("busy {n}"))).collect();
            (0..THREADS).for_each(|_| assert!(self.next_begun().starts_with("busy")));
            lookups
        }
    }

    fn here() -> Answer {
        Ok(vec![([127, 0, 0, 1], 7).into()])
    }

    #[test]
    fn the_same_name_is_looked_up_once_for_all_who_wait() {
        let gated = Gated::new();
        let mut first = gated.resolve("one");
        assert_eq!(gated.next_begun(), "one");
        let mut second = gated.resolve("one");
        assert!(first.take().is_none() && second.take().is_none());

        gated.open_gate();
        gated.done.1.recv_timeout(PATIENCE).unwrap();

        for lookup in [&mut first, &mut second] {
            assert_eq!(lookup.take().unwrap().unwrap(), here().unwrap());
            assert!(lookup.take().is_none());
        }
        assert!(gated.begun.try_recv().is_err());
    }

    #[test]
    fn at_most_four_names_are_looked_up_at_once() {
        let gated = Gated::new();
        let busy = gated.occupy();
        let mut fifth = gated.resolve("fifth");
        assert_eq!(gated.pool.lock().threads, THREADS);
        assert!(gated.begun.try_recv().is_err());
        gated.open_gate();
        assert_eq!(gated.next_begun(), "fifth");
        (0..THREADS).for_each(|_| gated.open_gate());
        assert!(fifth.take().unwrap().is_ok());
        drop(busy);
    }

    #[test]
    fn an_abandoned_name_is_never_begun_unless_another_waits_for_it() {
        let gated = Gated::new();
        let busy = gated.occupy();
        let alone = gated.resolve("alone");
        let (left, right) = (gated.resolve("shared"), gated.resolve("shared"));
        drop(alone);
        drop(left);
        gated.open_gate();
        assert_eq!(gated.next_begun(), "shared");
        drop(busy);
        let state = gated.pool.lock();
        assert!(state.queue.is_empty() && !state.jobs.contains_key(&("alone".to_owned(), 7)));
        drop(state);
        (0..THREADS).for_each(|_| gated.gate.send(()).unwrap());
        drop(right);
    }

    #[test]
    fn one_name_too_many_is_refused_at_once() {
        let gated = Gated::new();
        let mut lookups = gated.occupy();
        lookups.extend((0..WAITING).map(|n| gated.resolve(&n.to_string())));
        assert!(gated.resolve("0").take().is_none(), "one that waits already costs nothing");
        let mut refused = gated.resolve("one too many");
        assert!(refused.take().unwrap().is_err());
        assert!(gated.done.1.try_recv().is_err());
        drop(lookups);
        assert!(gated.pool.lock().queue.is_empty());
        (0..THREADS).for_each(|_| gated.gate.send(()).unwrap());
    }

    #[test]
    fn a_panic_costs_an_answer_and_no_thread() {
        let pool =
            Arc::new(Pool::new(IDLE, |name, _| if name == "bad" { panic!("on purpose") } else { here() }));
        for name in ["bad", "good"].into_iter().cycle().take(4 * THREADS) {
            let (tell, told) = channel();
            let done = Box::new(move || {
                tell.send(()).unwrap();
                panic!("on purpose");
            });
            let mut lookup = Pool::resolve(&pool, name, 7, done);
            told.recv_timeout(PATIENCE).unwrap();
            assert_eq!(lookup.take().unwrap().is_ok(), name == "good");
        }
    }

    #[test]
    fn a_thread_without_work_ends_and_the_next_name_gets_a_new_one() {
        struct Tell(Sender<()>);
        impl Drop for Tell {
            fn drop(&mut self) {
                self.0.send(()).unwrap();
            }
        }
        thread_local! {
            static END: RefCell<Option<Tell>> = const { RefCell::new(None) };
        }
        let (tell, ended) = channel();
        let tell = Mutex::new(tell);
        let pool = Arc::new(Pool::new(Duration::from_millis(1), move |_, _| {
            assert_eq!(std::thread::current().name(), Some("heartwire-resolve"));
            END.set(Some(Tell(tell.lock().unwrap().clone())));
            here()
        }));
        for _ in 0..2 {
            let (tell, told) = channel();
            let mut lookup = Pool::resolve(&pool, "name", 7, Box::new(move || tell.send(()).unwrap()));
            told.recv_timeout(PATIENCE).unwrap();
            assert!(lookup.take().unwrap().is_ok());
            ended.recv_timeout(PATIENCE).unwrap();
            assert_eq!(pool.lock().threads, 0);
        }
    }

    #[test]
    fn without_a_thread_a_name_fails_at_once_and_with_few_it_waits_for_them() {
        let gated = Gated::new();
        let none = thread::tests::none_to_be_had();
        assert!(gated.resolve("none").take().expect("an answer").is_err());
        let state = gated.pool.lock();
        assert!(state.queue.is_empty() && state.jobs.is_empty() && state.threads == 0);
        drop((state, none));

        let mut first = gated.resolve("first");
        assert_eq!(gated.next_begun(), "first");
        let none = thread::tests::none_to_be_had();
        let mut second = gated.resolve("second");
        assert!(second.take().is_none());
        assert_eq!(gated.pool.lock().threads, 1);
        gated.open_gate();
        assert_eq!(gated.next_begun(), "second");
        gated.open_gate();
        assert!(first.take().unwrap().is_ok() && second.take().unwrap().is_ok());
        drop(none);
    }

    #[test]
    fn an_error_keeps_its_number_for_everyone() {
        let numbered: Answer = Err(io::Error::from_raw_os_error(11));
        assert_eq!(copy(&numbered).unwrap_err().raw_os_error(), Some(11));
        let worded: Answer = Err(io::Error::new(io::ErrorKind::NotFound, "no such name"));
        let copy = copy(&worded).unwrap_err();
        assert_eq!((copy.kind(), copy.to_string()), (io::ErrorKind::NotFound, "no such name".to_owned()));
    }
}
