//! What a client's handles, its loop and its dispatch thread share.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::client::Client;
use crate::config::Config;
use crate::dispatch::Dispatcher;
use crate::event::{End, State};
use crate::event_loop::{self, EventLoop};
use crate::mailbox::Mailbox;
use crate::thread;

pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) mailbox: Mailbox,
    pub(crate) dispatcher: Dispatcher,
    /// The user's handles; the last one's drop destroys the client.
    handles: AtomicUsize,
    /// The client's own loop thread.
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Core {
    /// With one handle, which the caller makes.
    pub(crate) fn new(config: Config) -> Arc<Core> {
        Arc::new(Core {
            mailbox: Mailbox::new(&config),
            dispatcher: Dispatcher::new(&config),
            handles: AtomicUsize::new(1),
            thread: Mutex::new(None),
            config,
        })
    }

    /// A further handle, unless the last one is gone.
    pub(crate) fn try_add_handle(&self) -> bool {
        let add = |handles| if handles == 0 { None } else { Some(handles + 1) };
        self.handles.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }

    pub(crate) fn drop_handle(&self) {
        if self.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.destroy();
        }
    }

    /// Starts the client's own loop, and the dispatch thread where events need one.
    pub(crate) fn start(self: &Arc<Core>) -> io::Result<()> {
        let mut running = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let client = Client::uncounted_of(self);
        let event_loop = EventLoop::new()?;
        self.dispatcher.start_thread(&client, true)?;
        event_loop.adopt(self.clone());
        let core = self.clone();
        let builder = std::thread::Builder::new()
            .name(format!("heartwire-{}", self.config.name))
            .stack_size(self.config.stack_size);
        *running = Some(thread::spawn(builder, move || event_loop::run(event_loop, core))?);
        Ok(())
    }

    /// There is no loop to tell of the end: it is only there to be asked for.
    pub(crate) fn loop_failed(&self) {
        self.mailbox.update(|inner| {
            inner.state = State::Closed;
            inner.outbox.close();
            inner.end.get_or_insert(End::LoopFailed);
        });
        self.dispatcher.end();
    }

    /// Ends the client in silence. Waits for a running callback and for the threads, but never inside
    /// a callback or on a loop's thread, where two clients could wait for each other.
    fn destroy(&self) {
        log::debug!("[{}] destroyed", self.config.name);
        let wait = thread::may_wait_for_callbacks();
        self.mailbox.destroy();
        // Before the wait: a call that runs is the last one, even where several handlers listen.
        self.dispatcher.handlers.clear();
        let running = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(running) = running.filter(|_| wait) {
            let _ = running.join();
        }
        self.dispatcher.destroy(wait);
    }
}
