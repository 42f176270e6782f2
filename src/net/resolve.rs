//! Looks names up on a few threads of its own, since the system's lookup blocks and cannot be interrupted.
//! Process-wide; knows no deadlines: who waits drops the [`Lookup`] when it has waited enough.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::pool::{IDLE, Pool, Ticket};
use crate::process::PerProcess;

/// A lookup that hangs holds its thread until the system gives up, hence several; hence no more.
const THREADS: usize = 4;
/// Different names that may wait for a thread.
const WAITING: usize = 1024;

type Answer = io::Result<Vec<SocketAddr>>;
type Name = (String, u16);
/// The system's lookup, or a test's.
type Ask = dyn Fn(&str, u16) -> Answer + Send + Sync;

/// An answer to come. Dropping it abandons the lookup; one that nobody waits for any more is not begun.
pub(crate) struct Lookup {
    resolver: Arc<Resolver>,
    name: Name,
    number: u64,
    answer: Arc<Mutex<Option<Answer>>>,
}

/// Begins to look a name up; `done` is called once, on a thread of the resolver's, when there is an answer to
/// [`take`](Lookup::take).
///
/// When too many names wait, the answer is an error that is there on return, and `done` is not called.
pub(crate) fn resolve(host: &str, port: u16, done: Box<dyn FnOnce() + Send>) -> Lookup {
    Resolver::resolve(&shared(), host, port, done)
}

impl Lookup {
    /// The answer, once it is there, and once.
    pub(crate) fn take(&mut self) -> Option<Answer> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        let abandoned = self.resolver.lock().abandon(&self.name, self.number);
        drop(abandoned); // the waker is dropped, and the work taken back, after the lock
    }
}

/// The process's resolver. That of a parent has threads which its child does not have.
struct Shared(Arc<Resolver>);

impl Default for Shared {
    fn default() -> Shared {
        Shared(Arc::new(Resolver::new(IDLE, ask_the_system)))
    }
}

fn shared() -> Arc<Resolver> {
    static SHARED: PerProcess<Shared> = PerProcess::new();
    #[cfg(test)]
    if let Some(resolver) = tests::replacement() {
        return resolver;
    }
    SHARED.get().0.clone()
}

fn ask_the_system(host: &str, port: u16) -> Answer {
    Ok((host, port).to_socket_addrs()?.collect())
}

pub(crate) struct Resolver {
    names: Mutex<Names>,
    threads: Arc<Pool>,
    ask: Box<Ask>,
}

#[derive(Default)]
struct Names {
    /// A name that is being looked up stays here even when nobody waits for it any more.
    under_way: HashMap<Name, Work>,
    /// How many of them wait for a thread.
    waiting: usize,
    waiters: u64,
}

struct Work {
    begun: bool,
    waiters: Vec<Waiter>,
    /// Takes it back from the queue, if that is where it is.
    _job: Ticket,
}

struct Waiter {
    number: u64,
    answer: Arc<Mutex<Option<Answer>>>,
    done: Box<dyn FnOnce() + Send>,
}

impl Names {
    /// Whether this name is still to be looked up; from here on it is.
    fn begin(&mut self, name: &Name) -> bool {
        let Some(work) = self.under_way.get_mut(name).filter(|work| !work.begun) else { return false };
        work.begun = true;
        self.waiting -= 1;
        true
    }

    fn abandon(&mut self, name: &Name, number: u64) -> Option<(Waiter, Option<Work>)> {
        let work = self.under_way.get_mut(name)?;
        let at = work.waiters.iter().position(|waiter| waiter.number == number)?;
        let abandoned = work.waiters.swap_remove(at);
        if work.begun || !work.waiters.is_empty() {
            return Some((abandoned, None));
        }
        self.waiting -= 1;
        Some((abandoned, self.under_way.remove(name)))
    }
}

impl Resolver {
    fn new(idle: Duration, ask: impl Fn(&str, u16) -> Answer + Send + Sync + 'static) -> Resolver {
        let threads = Arc::new(Pool::new("heartwire-resolve", THREADS, idle));
        Resolver { names: Mutex::default(), threads, ask: Box::new(ask) }
    }

    fn resolve(resolver: &Arc<Resolver>, host: &str, port: u16, done: Box<dyn FnOnce() + Send>) -> Lookup {
        let name = (host.to_owned(), port);
        let answer = Arc::new(Mutex::new(None));
        let mut names = resolver.lock();
        names.waiters += 1;
        let number = names.waiters;
        let lookup =
            Lookup { resolver: resolver.clone(), name: name.clone(), number, answer: answer.clone() };
        let waiter = Waiter { number, answer, done };
        if let Some(work) = names.under_way.get_mut(&name) {
            work.waiters.push(waiter);
            return lookup;
        }
        let begun = if names.waiting >= WAITING {
            Err(io::Error::other("too many names wait to be looked up"))
        } else {
            let (resolver, name) = (resolver.clone(), name.clone());
            Pool::run(&lookup.resolver.threads, Box::new(move || resolver.look_up(&name)))
        };
        match begun {
            Ok(job) => {
                names.waiting += 1;
                names.under_way.insert(name, Work { begun: false, waiters: vec![waiter], _job: job });
            }
            Err(error) => {
                drop(names);
                *waiter.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(Err(error));
            }
        }
        lookup
    }

    fn look_up(&self, name: &Name) {
        if !self.lock().begin(name) {
            return;
        }
        // A panic can come from a test's lookup only, but must not leave waiters without an answer.
        let answer = catch_unwind(AssertUnwindSafe(|| (self.ask)(&name.0, name.1)))
            .unwrap_or_else(|_| Err(io::Error::other("the lookup panicked")));
        let work = self.lock().under_way.remove(name);
        for waiter in work.into_iter().flat_map(|work| work.waiters) {
            *waiter.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(copy(&answer));
            let _ = catch_unwind(AssertUnwindSafe(waiter.done));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
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
    use crate::thread;

    thread_local! {
        static REPLACEMENT: RefCell<Option<Arc<Resolver>>> = const { RefCell::new(None) };
    }

    pub(super) fn replacement() -> Option<Arc<Resolver>> {
        REPLACEMENT.with_borrow(Clone::clone)
    }

    /// While this lives, names looked up from this thread go to a function of the test's, on threads of its own.
    #[must_use]
    pub(crate) struct Replaced(());

    pub(crate) fn replace(ask: impl Fn(&str, u16) -> Answer + Send + Sync + 'static) -> Replaced {
        REPLACEMENT.set(Some(Arc::new(Resolver::new(IDLE, ask))));
        Replaced(())
    }

    impl Drop for Replaced {
        fn drop(&mut self) {
            REPLACEMENT.set(None);
        }
    }

    const PATIENCE: Duration = Duration::from_secs(10);

    /// A resolver whose lookups tell their name when they begin, and end when the gate is opened for them.
    struct Gated {
        resolver: Arc<Resolver>,
        begun: Receiver<String>,
        gate: Sender<()>,
        done: (Sender<()>, Receiver<()>),
    }

    impl Gated {
        fn new() -> Gated {
            let (begin, begun) = channel();
            let (gate, gated) = channel();
            let (begin, gated) = (Mutex::new(begin), Mutex::new(gated));
            let resolver = Resolver::new(IDLE, move |name, port| {
                begin.lock().unwrap().send(name.to_owned()).unwrap();
                gated.lock().unwrap().recv().unwrap();
                Ok(vec![([127, 0, 0, 1], port).into()])
            });
            Gated { resolver: Arc::new(resolver), begun, gate, done: channel() }
        }

        fn resolve(&self, name: &str) -> Lookup {
            let done = self.done.0.clone();
            Resolver::resolve(&self.resolver, name, 7, Box::new(move || done.send(()).unwrap()))
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
        assert_eq!(gated.resolver.threads.threads(), THREADS);
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
        let names = gated.resolver.lock();
        assert!(names.waiting == 0 && !names.under_way.contains_key(&("alone".to_owned(), 7)));
        drop(names);
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
        assert_eq!(gated.resolver.lock().waiting, 0);
        (0..THREADS).for_each(|_| gated.gate.send(()).unwrap());
    }

    #[test]
    fn a_panic_costs_an_answer_and_no_thread() {
        let resolver =
            Arc::new(Resolver::new(
                IDLE,
                |name, _| if name == "bad" { panic!("on purpose") } else { here() },
            ));
        for name in ["bad", "good"].into_iter().cycle().take(4 * THREADS) {
            let (tell, told) = channel();
            let done = Box::new(move || {
                tell.send(()).unwrap();
                panic!("on purpose");
            });
            let mut lookup = Resolver::resolve(&resolver, name, 7, done);
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
        let resolver = Arc::new(Resolver::new(Duration::from_millis(1), move |_, _| {
            assert_eq!(std::thread::current().name(), Some("heartwire-resolve"));
            END.set(Some(Tell(tell.lock().unwrap().clone())));
            here()
        }));
        for _ in 0..2 {
            let (tell, told) = channel();
            let mut lookup =
                Resolver::resolve(&resolver, "name", 7, Box::new(move || tell.send(()).unwrap()));
            told.recv_timeout(PATIENCE).unwrap();
            assert!(lookup.take().unwrap().is_ok());
            ended.recv_timeout(PATIENCE).unwrap();
            assert_eq!(resolver.threads.threads(), 0);
        }
    }

    #[test]
    fn without_a_thread_a_name_fails_at_once_and_with_few_it_waits_for_them() {
        let gated = Gated::new();
        let none = thread::tests::none_to_be_had();
        assert!(gated.resolve("none").take().expect("an answer").is_err());
        let names = gated.resolver.lock();
        assert!(names.waiting == 0 && names.under_way.is_empty() && gated.resolver.threads.threads() == 0);
        drop((names, none));

        let mut first = gated.resolve("first");
        assert_eq!(gated.next_begun(), "first");
        let none = thread::tests::none_to_be_had();
        let mut second = gated.resolve("second");
        assert!(second.take().is_none());
        assert_eq!(gated.resolver.threads.threads(), 1);
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
