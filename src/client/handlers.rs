//! Registering handlers for what happens, and removing them again.

use std::time::Duration;

use crate::client::Client;
use crate::dispatch::Dispatcher;
use crate::dispatch::handlers::ListenerId;
use crate::error::LinkError;
use crate::event::{ConnectFailed, End, FragmentRef, MessageRef, Opened, Outcome, SessionClosed, State};

impl Client {
    /// Calls this for each open session. Register handlers before `connect`, so that no open is missed.
    ///
    /// Handlers run one at a time, in the order of their registration, on the thread that [`Dispatch`](crate::Dispatch)
    /// names; on the event loop's, the default, they should not take long. If events are pulled or go to a receiver
    /// already, the handler is never called, and the log says so. A panic in one closes the client. To keep a handle
    /// inside a handler, [`downgrade`](Client::downgrade) it: a `Client` in its own handler is never freed.
    pub fn on_open(&self, call: impl FnMut(&Client, &Opened) + Send + 'static) -> ListenerId {
        self.listen(|dispatcher| dispatcher.handlers.open(Box::new(call)))
    }

    /// Calls this for each message, which is borrowed from the receive buffer. See [`on_open`](Client::on_open).
    pub fn on_message(&self, call: impl FnMut(&Client, MessageRef<'_>) + Send + 'static) -> ListenerId {
        self.listen(|dispatcher| dispatcher.handlers.message(Box::new(call)))
    }

    /// Calls this for each part of a message that is longer than [`fragments_above`](crate::Builder::fragments_above),
    /// as it arrives; without that setting it is never called, and the log says so. See [`on_open`](Client::on_open).
    ///
    /// A handler that is registered in the middle of a message hears of the next one; one that heard a beginning hears
    /// the end, or that there is none. On the loop's thread [`pause_reading`](Client::pause_reading) in the handler
    /// holds back the very next part.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::{fs, io::Write};
    ///
    /// let client = heartwire::Client::builder("ws://127.0.0.1:9000/dumps").fragments_above(1 << 20).build()?;
    /// let mut file = None;
    /// client.on_fragment(move |_, part| {
    ///     if part.is_first() {
    ///         file = fs::File::create("dump.part").ok();
    ///     }
    ///     let written = file.as_mut().is_some_and(|file| file.write_all(part.as_bytes()).is_ok());
    ///     if part.is_last() && written {
    ///         fs::rename("dump.part", "dump").ok();
    ///     }
    ///     if part.is_aborted() || !written {
    ///         file = None;
    ///         fs::remove_file("dump.part").ok();
    ///     }
    /// });
    /// client.connect()?;
    /// # Ok(()) }
    /// ```
    pub fn on_fragment(&self, mut call: impl FnMut(&Client, FragmentRef<'_>) + Send + 'static) -> ListenerId {
        if !self.core.config.delivers_fragments() {
            log::error!("[{}] a handler of fragments is of no use: fragments_above is not set", self.name());
        }
        let mut hears = false;
        let call = move |client: &Client, fragment: FragmentRef<'_>| {
            if hears || fragment.is_first() {
                hears = !fragment.ends();
                call(client, fragment);
            }
        };
        self.listen(|dispatcher| dispatcher.handlers.fragment(Box::new(call)))
    }

    /// Calls this at the end of each session. See [`on_open`](Client::on_open).
    pub fn on_close(&self, call: impl FnMut(&Client, &SessionClosed) + Send + 'static) -> ListenerId {
        self.listen(|dispatcher| dispatcher.handlers.close(Box::new(call)))
    }

    /// Calls this for each failed attempt. See [`on_open`](Client::on_open).
    pub fn on_connect_failed(
        &self,
        call: impl FnMut(&Client, &ConnectFailed) + Send + 'static,
    ) -> ListenerId {
        self.listen(|dispatcher| dispatcher.handlers.connect_failed(Box::new(call)))
    }

    /// Calls this when a session fails, ahead of its close. See [`on_open`](Client::on_open).
    pub fn on_error(&self, call: impl FnMut(&Client, &LinkError) + Send + 'static) -> ListenerId {
        self.listen(|dispatcher| dispatcher.handlers.error(Box::new(call)))
    }

    /// Calls this with the round-trip time of each answered heartbeat. See [`on_open`](Client::on_open).
    pub fn on_heartbeat(&self, call: impl FnMut(&Client, Duration) + Send + 'static) -> ListenerId {
        self.listen(|dispatcher| dispatcher.handlers.heartbeat(Box::new(call)))
    }

    /// Calls this when the outbox was full and is half empty again. See [`on_open`](Client::on_open).
    pub fn on_writable(&self, mut call: impl FnMut(&Client) + Send + 'static) -> ListenerId {
        self.listen(|dispatcher| dispatcher.handlers.writable(Box::new(move |client, ()| call(client))))
    }

    /// Calls this with what became of messages; only those who ask cause the work. See [`on_open`](Client::on_open).
    ///
    /// An outcome may come before the send has returned the message's id.
    pub fn on_outcome(&self, call: impl FnMut(&Client, &Outcome) + Send + 'static) -> ListenerId {
        let mut inner = self.core.mailbox.lock();
        inner.outcomes_wanted = true;
        inner.outbox.report_outcomes(true);
        drop(inner);
        self.listen(|dispatcher| dispatcher.handlers.outcome(Box::new(call)))
    }

    /// Calls this for each change of the state. See [`on_open`](Client::on_open).
    pub fn on_state(&self, call: impl FnMut(&Client, State) + Send + 'static) -> ListenerId {
        self.listen(|dispatcher| dispatcher.handlers.state(Box::new(call)))
    }

    /// Calls this once, as the very last event. See [`on_open`](Client::on_open).
    pub fn on_closed_for_good(&self, call: impl FnMut(&Client, &End) + Send + 'static) -> ListenerId {
        self.listen(|dispatcher| dispatcher.handlers.closed_for_good(Box::new(call)))
    }

    /// Removes a handler; `false` if it was removed before. A call of it that runs on another thread goes on.
    pub fn remove_listener(&self, id: ListenerId) -> bool {
        self.core.dispatcher.handlers.remove(id)
    }

    fn listen(&self, register: impl FnOnce(&Dispatcher) -> ListenerId) -> ListenerId {
        let id = register(&self.core.dispatcher);
        if !self.core.dispatcher.claim_for_handlers() {
            log::error!("[{}] a handler is of no use: events are taken elsewhere already", self.name());
        }
        self.start_dispatch();
        id
    }
}
