//! What the user calls. Knows no protocol, no policy, and no socket but one that is brought, to pass it on: it orders,
//! and the loop does.

mod handlers;
mod message_stream;
mod pull;
mod send_options;
mod sending;
mod unfinished;

use std::fmt;
#[cfg(unix)]
use std::io::{Read, Write};
#[cfg(unix)]
use std::os::fd::AsFd;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use crate::config::Config;
use crate::config::builder::Builder;
use crate::core::Core;
use crate::dispatch::Dispatcher;
use crate::entry::Kind;
use crate::error::{CloseError, ConnectError, WaitError};
use crate::event::{End, Message, Opened, State};
use crate::event_loop::shared::SharedLoop;
use crate::mailbox::{CLOSING, News, Orders};
#[cfg(unix)]
use crate::net::socket::Socket;
use crate::stats::Stats;

pub use message_stream::MessageStream;
pub use send_options::SendOptions;

/// A WebSocket client that stays connected.
///
/// A handle: clones share one client, any thread may use any of them, and every call is legal in every handler. The
/// drop of the last handle destroys the client: it says Close 1001 if the socket takes it at once, and frees threads,
/// sockets and handlers. Outside of handlers that drop waits for a handler of this client that runs, or a call of
/// [`before_connect`](Builder::before_connect) or `dial_with`; inside of one it never waits. Nothing is told after it
/// began: use [`close`](Client::close) and [`wait_closed`](Client::wait_closed) to get the last events.
///
/// Handlers get `&Client`. A handler that keeps a handle of its own client keeps it alive for ever;
/// keep a [`WeakClient`] instead.
pub struct Client {
    core: Arc<Core>,
    /// The user's handles count; those of the library's own threads do not.
    counted: bool,
}

/// A handle that does not keep the client alive; made by [`Client::downgrade`].
#[derive(Clone)]
pub struct WeakClient(Weak<Core>);

impl Client {
    /// Begins the settings of a client for this `ws:`, `wss:` or [`ws+unix:`](Builder::unix_socket) URL.
    pub fn builder(url: &str) -> Builder {
        Builder::new(url)
    }

    pub(crate) fn new(config: Config, event_loop: Option<Arc<SharedLoop>>) -> Client {
        Client { core: Core::new(config, event_loop), counted: true }
    }

    // ---- connecting and closing ----------------------------------------------------------

    /// Connects, and stays connected from then on; returns at once.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]: it was called before, the client was closed, or there was no thread to be had. Failures of
    /// the network are events.
    pub fn connect(&self) -> Result<(), ConnectError> {
        self.begin(None)
    }

    /// Connects, and sends this message once, on the first open, after the greetings; returns at once.
    ///
    /// # Errors
    ///
    /// As [`connect`](Client::connect), and [`ConnectError::First`] if the outbox cannot take the message.
    pub fn connect_with(&self, first: impl Into<Message>) -> Result<(), ConnectError> {
        self.begin(Some(first.into()))
    }

    /// Connects over this stream, which is connected already, for one attempt and one session; returns at once.
    ///
    /// The URL says what is asked for: host and path of the upgrade, and with `wss:` that TLS runs over the stream, for
    /// the certificate of that host. No name is looked up. When the attempt fails, or the session is over, the client
    /// ends with [`End::GaveUp`] (or [`End::Fatal`]), since there is no second stream, whatever
    /// [`reconnect`](Builder::reconnect) says; redirects are not followed. To go on over another stream build another
    /// client, or let [`Builder::dial_with`] make streams. Unix only.
    ///
    /// The stream is a [`UnixStream`](std::os::unix::net::UnixStream), a [`TcpStream`](std::net::TcpStream), or
    /// anything else with a descriptor that can be polled (a file of a disk cannot), from which alone bytes come. It is
    /// set to non-blocking: `read` and `write` must pass `WouldBlock` on, and what `write` has taken must be on its
    /// way: it is never flushed. Both run on whatever thread reads or writes for the client, and must not block; a
    /// panic in them ends the session. It belongs to the client, which shuts the socket's writing down and drops it at
    /// the end; the other side sees that only if there is no duplicate of the descriptor.
    ///
    /// # Errors
    ///
    /// As [`connect`](Client::connect), and [`ConnectError::Settings`] together with further URLs, a Unix socket, a
    /// proxy that is not the environment's, settings of TCP or `dial_with`. The stream is dropped then.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::unix::net::UnixStream;
    ///
    /// let (ours, _theirs) = UnixStream::pair()?;
    /// let client = heartwire::Client::builder("ws://localhost/feed").build()?;
    /// client.connect_over(ours)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(unix)]
    pub fn connect_over<S>(&self, stream: S) -> Result<(), ConnectError>
    where
        S: Read + Write + AsFd + Send + 'static,
    {
        self.begin_over(&mut Some(Socket::brought(stream)))
    }

    /// Leaves the stream where it is when it fails.
    #[cfg(unix)]
    pub(crate) fn begin_over(&self, stream: &mut Option<Socket>) -> Result<(), ConnectError> {
        self.core.config.check_brought().map_err(ConnectError::Settings)?;
        let begun = self.begin_with(None, |orders| orders.stream = stream.take());
        if begun.is_err() && stream.is_none() {
            *stream = self.core.mailbox.lock().orders.stream.take();
        }
        begun
    }

    fn begin(&self, first: Option<Message>) -> Result<(), ConnectError> {
        self.begin_with(first, |_| {})
    }

    fn begin_with(&self, first: Option<Message>, more: impl FnOnce(&mut Orders)) -> Result<(), ConnectError> {
        let now = Instant::now();
        let mut inner = self.core.mailbox.lock();
        if inner.is_closing() || inner.end.is_some() {
            return Err(ConnectError::Closed);
        }
        if inner.connected {
            return Err(ConnectError::AlreadyConnected);
        }
        if let Some(first) = &first {
            let terms = self.core.config.terms;
            let accepted = inner.outbox.accept_first(Kind::of(first), first.as_bytes(), terms, now);
            accepted.map_err(ConnectError::First)?;
        }
        inner.connected = true;
        inner.orders.connect = true;
        more(&mut inner.orders);
        drop(inner);
        self.core.start().map_err(|error| {
            self.core.loop_failed("the event loop did not start");
            ConnectError::Start(error)
        })
    }

    /// Closes for good: sends what waits, then the Close frame, then waits for the server's; returns at once.
    ///
    /// Before the Close it waits for what is to be proven of messages, by the level that was asked for each and by
    /// [`drain_to`](Builder::drain_to). All of it has [`close_timeout`](Builder::close_timeout), 5 s by default. While
    /// no session is open there is nothing to wait for: what waits is dropped and reported. A [`MessageStream`] that is
    /// not finished ends, and what waits behind one that has begun to go out is dropped, too. No attempt to connect is
    /// begun after this, no message is accepted and none is delivered to a handler; those that wait for
    /// [`recv`](Client::recv) or in a receiver can still be taken. The first call counts; later ones do nothing.
    ///
    /// # Errors
    ///
    /// The code may not be sent (allowed: 1000, 1001, 1003, 1007 to 1014, 3000 to 4999), or the reason is
    /// longer than 123 bytes; then the client goes on as before.
    pub fn close(&self, code: u16, reason: &str) -> Result<(), CloseError> {
        if !matches!(code, 1000 | 1001 | 1003 | 1007..=1014 | 3000..=4999) {
            return Err(CloseError::Code(code));
        }
        if reason.len() > 123 {
            return Err(CloseError::ReasonTooLong(reason.len()));
        }
        self.core.mailbox.close(code, reason);
        // Never connected: a loop is needed to tell handlers of the end.
        let start = !std::mem::replace(&mut self.core.mailbox.lock().connected, true);
        if start && self.core.start().is_err() {
            self.core.loop_failed("the event loop did not start");
        }
        Ok(())
    }

    /// Skips the wait before the next attempt; does nothing unless the client waits for one.
    pub fn reconnect_now(&self) {
        self.core.mailbox.order(|inner| inner.orders.reconnect_now = true);
    }

    /// Waits until a session is open; returns at once if one is. An [`EventLoop`](crate::EventLoop) that nobody else
    /// turns is turned meanwhile, as in all calls that wait.
    ///
    /// # Errors
    ///
    /// [`WaitError::TimedOut`]; [`WaitError::Closed`] if the client has ended; [`WaitError::WouldDeadlock`] in a
    /// turn of any event loop, as in most handlers.
    pub fn wait_open(&self, timeout: Duration) -> Result<(), WaitError> {
        self.wait(News::Open, timeout, |state, _| (state == State::Open).then_some(()))
    }

    /// Waits until the client has ended and its last event was handed on.
    ///
    /// # Errors
    ///
    /// [`WaitError::TimedOut`]; [`WaitError::WouldDeadlock`] in a turn of any event loop.
    pub fn wait_closed(&self, timeout: Duration) -> Result<End, WaitError> {
        self.wait(News::End, timeout, |_, end| end.cloned())
    }

    fn wait<T>(
        &self,
        news: News,
        timeout: Duration,
        done: impl Fn(State, Option<&End>) -> Option<T>,
    ) -> Result<T, WaitError> {
        let deadline = Instant::now().checked_add(timeout);
        self.core.wait_until(news, deadline, |inner| done(inner.state, inner.end.as_ref()))
    }

    // ---- receiving -----------------------------------------------------------------------

    fn start_dispatch(&self) {
        if let Err(error) = self.core.dispatcher.start_thread(self, false) {
            log::error!("[{}] no thread to dispatch events on: {error}", self.name());
            let _ = self.close(1011, "");
        }
    }

    /// Stops reading: messages stay with the server once the buffers are full. Does not wait.
    ///
    /// In a handler on the loop's thread it holds back the very next message, or the next part of this one. What waits
    /// in the queue of [`Dispatch::Thread`](crate::Dispatch::Thread), or to be pulled, still comes: at most what
    /// [`inbound_queue`](Builder::inbound_queue) allows.
    ///
    /// Beats go out meanwhile, but a missing answer is no verdict; resuming restarts the count. A close is
    /// noticed only after [`resume_reading`](Client::resume_reading).
    pub fn pause_reading(&self) {
        self.core.mailbox.set_paused(true);
    }

    /// Reads again after [`pause_reading`](Client::pause_reading). Does not wait.
    pub fn resume_reading(&self) {
        self.core.mailbox.set_paused(false);
    }

    // ---- asking --------------------------------------------------------------------------

    /// Where the client stands just now.
    pub fn state(&self) -> State {
        self.core.mailbox.lock().state
    }

    /// The browser's number: 0 CONNECTING (also while waiting to dial again), 1 OPEN, 2 CLOSING, 3 CLOSED (also idle).
    pub fn ready_state(&self) -> u8 {
        self.state().ready_state()
    }

    /// Bytes of messages that were accepted and are not yet written.
    pub fn buffered_amount(&self) -> usize {
        self.core.mailbox.lock().outbox.buffered()
    }

    /// What the client has done so far.
    pub fn stats(&self) -> Stats {
        self.core.mailbox.stats(self.core.dispatcher.queue.discarded())
    }

    /// What is the matter with the client, as a text to paste into a bug report. Does not wait, in whatever state.
    ///
    /// The first line is of use alone: the name, the URL, the library's version, where the client stands, since when
    /// and why, and when the next attempt is due. Then come settings, counters, and the last 32 transitions from one
    /// state to another, oldest first, with their times and causes: which attempt it was, which address it reached, how
    /// it failed, who closed with which code. For people; its form may change with any version.
    ///
    /// It has no more secrets than the log: URLs without user name, password and query, and nothing of headers,
    /// cookies, subprotocols, messages and close reasons of your own. What a server says stays in its line, and is cut
    /// at 256 bytes; the whole is shorter than 16 KiB.
    ///
    /// # Examples
    ///
    /// ```
    /// let client = heartwire::Client::builder("ws://example.com/feed?token=1").name("feed").build()?;
    /// let text = client.explain();
    /// let first = "client \"feed\" to ws://example.com/feed: idle; connect was not called";
    /// assert!(text.lines().next().unwrap().ends_with(first));
    /// # Ok::<(), heartwire::ConfigError>(())
    /// ```
    pub fn explain(&self) -> String {
        self.core.explain(Instant::now(), SystemTime::now())
    }

    /// How the last session opened: URL, subprotocol, headers of the answer, and the server's certificate.
    pub fn last_open(&self) -> Option<Opened> {
        self.core.mailbox.lock().opened.as_deref().cloned()
    }

    /// The name in this client's log lines.
    pub fn name(&self) -> &str {
        &self.core.config.name
    }

    /// A handle that does not keep the client alive, for handlers to hold.
    pub fn downgrade(&self) -> WeakClient {
        WeakClient(Arc::downgrade(&self.core))
    }

    // ---- for the C functions -------------------------------------------------------------

    /// The same handle, which no longer counts; [`reclaim`](Client::reclaim) is to be called once.
    #[cfg(feature = "capi")]
    pub(crate) fn surrender(mut self) -> Client {
        self.counted = false;
        self
    }

    /// The handle that was surrendered.
    #[cfg(feature = "capi")]
    pub(crate) fn reclaim(&self) -> Client {
        Client { core: self.core.clone(), counted: true }
    }

    /// Drops the handle without waiting for a handler that runs: as inside of one.
    #[cfg(feature = "capi")]
    pub(crate) fn release(self) {
        let _as_inside = crate::thread::Callback::enter();
        drop(self);
    }

    /// A descriptor that is readable while an event waits for `recv`; it lives as long as the client.
    #[cfg(all(unix, feature = "capi"))]
    pub(crate) fn events_fd(&self) -> std::io::Result<std::os::fd::RawFd> {
        self.core.dispatcher.queue.bell()
    }

    // ---- for the library's own threads ----------------------------------------------------

    /// A handle that does not keep the client from being destroyed.
    pub(crate) fn uncounted_of(core: &Arc<Core>) -> Client {
        Client { core: core.clone(), counted: false }
    }

    pub(crate) fn uncounted(&self) -> Client {
        Client::uncounted_of(&self.core)
    }

    pub(crate) fn dispatcher(&self) -> &Dispatcher {
        &self.core.dispatcher
    }

    /// Whether [`Builder::fragments_above`] was set.
    #[cfg(feature = "capi")]
    pub(crate) fn delivers_fragments(&self) -> bool {
        self.core.config.delivers_fragments()
    }

    /// Tells the loop to look at this client.
    pub(crate) fn nudge(&self) {
        self.core.mailbox.nudge();
    }

    /// Whether the user has closed, or a handler has panicked.
    pub(crate) fn delivers_no_messages(&self) -> bool {
        self.core.mailbox.signals() & CLOSING != 0
    }

    pub(crate) fn callback_panicked(&self) {
        log::error!("[{}] a callback panicked; the client is closed", self.name());
        self.core.mailbox.order(|inner| {
            self.core.mailbox.shut(inner);
            inner.orders.panicked = true;
        });
    }
}

impl WeakClient {
    /// A handle, unless the client was destroyed.
    pub fn upgrade(&self) -> Option<Client> {
        let core = self.0.upgrade()?;
        core.try_add_handle().then(|| Client { core, counted: true })
    }
}

impl Clone for Client {
    /// Another handle of the same client.
    fn clone(&self) -> Client {
        // A handle made after the last one went, in a handler that still runs, is of a dead client.
        Client { core: self.core.clone(), counted: self.core.try_add_handle() }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if self.counted {
            self.core.drop_handle();
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("name", &self.name()).field("state", &self.state()).finish()
    }
}

impl fmt::Debug for WeakClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakClient")
    }
}

// Every closure of the user's is called inside `catch_unwind`, and nothing of ours is left half done by it.
impl UnwindSafe for Client {}
impl RefUnwindSafe for Client {}
impl UnwindSafe for WeakClient {}
impl RefUnwindSafe for WeakClient {}

/// Any thread may use and drop any handle, and a caught panic leaves a usable client.
const _: () = {
    const fn promised<T: Send + Sync + UnwindSafe + RefUnwindSafe>() {}
    promised::<Client>();
    promised::<WeakClient>();
};
