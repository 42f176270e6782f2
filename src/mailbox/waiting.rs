//! Threads of the program that wait for something in the mailbox: who waits for what, and telling them.
//!
//! They are told only of what they may wait for, and when the lock is free: a thread that wakes for nothing, or to find
//! the lock taken, costs more than a short message.

use std::sync::PoisonError;
use std::time::Instant;

use crate::error::WaitError;
use crate::mailbox::{Inner, Mailbox};
use crate::sync::atomic::{Ordering, fence};
use crate::sync::{Condvar, MutexGuard};

/// What has changed, or is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// A session is open.
    Open,
    /// Messages have left the outbox, or it takes none any more.
    Outbox,
    /// The client has ended, which answers every wait.
    End,
}

/// How many threads wait, for each of the news.
#[derive(Default)]
pub(super) struct Waiters([usize; 3]);

impl Waiters {
    fn hear(&self, news: News) -> bool {
        self.0[news as usize] > 0 || (news == News::End && self.0 != [0; 3])
    }
}

/// Tells those who wait, at the end of its life. Made before the lock is taken, so that it is dropped after the lock.
pub(super) struct Telling<'a> {
    changed: &'a Condvar,
    any: bool,
}

impl Telling<'_> {
    pub(super) fn announce(&mut self, inner: &Inner, news: News) {
        self.any |= inner.waiters.hear(news);
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        if self.any {
            self.changed.notify_all();
        }
    }
}

impl Mailbox {
    pub(super) fn telling(&self) -> Telling<'_> {
        Telling { changed: &self.changed, any: false }
    }

    /// Changes what is waited for, and tells those who wait.
    pub(crate) fn update<T>(&self, news: News, change: impl FnOnce(&mut Inner) -> T) -> T {
        let mut telling = self.telling();
        let mut inner = self.lock();
        let result = change(&mut inner);
        telling.announce(&inner, news);
        result
    }

    /// What a wait has come to: `Some` of what was waited for, or of the client's end.
    pub(crate) fn answer<T>(
        &self,
        done: &mut impl FnMut(&Inner) -> Option<T>,
    ) -> Option<Result<T, WaitError>> {
        self.lock().answer(done)
    }

    /// While it lives, somebody waits for a change in a turn of the loop, or for the end of one: senders wake the loop.
    pub(crate) fn waits_turning(&self) -> TurningWaiter<'_> {
        self.lock().turning_waiters += 1;
        TurningWaiter(self)
    }

    /// Waits until `done` has an answer, which changes with these news only. The caller has made sure that this thread
    /// may wait.
    pub(crate) fn wait_until<T>(
        &self,
        news: News,
        deadline: Option<Instant>,
        mut done: impl FnMut(&Inner) -> Option<T>,
    ) -> Result<T, WaitError> {
        let mut inner = self.lock();
        loop {
            if let Some(answer) = inner.answer(&mut done) {
                return answer;
            }
            let (guard, in_time) = self.wait(inner, news, deadline);
            inner = guard;
            if !in_time {
                return done(&inner).ok_or(WaitError::TimedOut);
            }
        }
    }

    fn wait<'a>(
        &self,
        mut inner: MutexGuard<'a, Inner>,
        news: News,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'a, Inner>, bool) {
        inner.waiters.0[news as usize] += 1;
        let mut in_time = true;
        inner = match deadline {
            None => self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner),
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                let waited = self.changed.wait_timeout(inner, left);
                let (guard, result) = waited.unwrap_or_else(PoisonError::into_inner);
                in_time = !result.timed_out();
                guard
            }
        };
        inner.waiters.0[news as usize] -= 1;
        (inner, in_time)
    }

    /// Waits until the loop does not work for this client, which was destroyed.
    pub(crate) fn wait_until_left(&self) {
        let mut inner = self.lock();
        fence(Ordering::SeqCst);
        while self.served.load(Ordering::SeqCst) {
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// See [`Mailbox::waits_turning`].
pub(crate) struct TurningWaiter<'a>(&'a Mailbox);

impl Drop for TurningWaiter<'_> {
    fn drop(&mut self) {
        self.0.lock().turning_waiters -= 1;
    }
}

impl Inner {
    fn answer<T>(&self, done: &mut impl FnMut(&Inner) -> Option<T>) -> Option<Result<T, WaitError>> {
        match (done(self), &self.end) {
            (Some(result), _) => Some(Ok(result)),
            (None, Some(end)) => Some(Err(WaitError::Closed(Box::new(end.clone())))),
            (None, None) => None,
        }
    }
}
