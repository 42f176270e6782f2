//! A WebSocket server for tests, inside the test's own process: plain or TLS, scripted, observed through events.
//!
//! One thread serves all connections, so that hundreds of clients cost one thread here. Calls on [`Server`] have taken
//! effect when they return. Connections are numbered from 1 in the order in which they were accepted, so that
//! [`Server::connections`] is both their count and the number of the latest.

use super::behaviour::Behaviour;
use super::connection::Switches;
use super::event::{Ending, ServerEvent};
use super::frames;
use super::plan::Plan;
use super::serving::{self, Ask, Command, Shared, Started};
use super::tls::ServerTls;
use super::upgrade::Request;
use crate::Message;
use crossbeam_channel::Receiver;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long the `wait_…` calls wait for an event before they fail the test.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Everything about a server that is settled before it starts.
#[must_use = "a setup does nothing until it is started"]
pub struct Setup {
    ip: IpAddr,
    tls: Option<ServerTls>,
    plan: Plan,
}

impl Setup {
    /// Every connection is treated alike.
    pub fn new(behaviour: Behaviour) -> Self {
        Setup::each(move |_| behaviour.clone())
    }

    /// Connection `n`, counted from 1, is treated as `choose(n)` says.
    pub fn each(choose: impl Fn(usize) -> Behaviour + Send + Sync + 'static) -> Self {
        Setup::planned(Plan::Each(Arc::new(choose)))
    }

    /// The first connection is treated as the first of `steps` says, the next one as the second, and so on; those after
    /// the last one as the last one says.
    ///
    /// ```
    /// use heartwire::testing::{Behaviour, Setup, Then, When};
    ///
    /// let server = Setup::script([
    ///     Behaviour::refuse(503, &[("Retry-After", "1")], "not yet"),
    ///     Behaviour::echo().until(When::Messages(1), Then::Reset),
    ///     Behaviour::echo(),
    /// ])
    /// .start();
    /// assert_eq!(server.steps_left(), 3);
    /// ```
    ///
    /// # Panics
    ///
    /// If there is no step.
    pub fn script(steps: impl IntoIterator<Item = Behaviour>) -> Self {
        let steps: Vec<Behaviour> = steps.into_iter().collect();
        assert!(!steps.is_empty(), "a script without a step");
        Setup::planned(Plan::Script { steps, next: 0 })
    }

    fn planned(plan: Plan) -> Self {
        Setup { ip: Ipv4Addr::LOCALHOST.into(), tls: None, plan }
    }

    /// Speaks TLS; see [`Authority`](super::Authority).
    pub fn tls(mut self, tls: impl Into<ServerTls>) -> Self {
        self.tls = Some(tls.into());
        self
    }

    /// Listens on this address; the default is 127.0.0.1.
    pub fn ip(mut self, ip: impl Into<IpAddr>) -> Self {
        self.ip = ip.into();
        self
    }

    /// Starts to listen on a free port.
    ///
    /// # Panics
    ///
    /// If the system gives no socket, port or thread.
    pub fn start(self) -> Server {
        let has_tls = self.tls.is_some();
        let Started { shared, ask, events, thread } =
            serving::start(self.ip, self.tls.map(|tls| tls.config), self.plan);
        Server { has_tls, shared, ask, events, thread: Some(thread) }
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("ip", &self.ip).field("tls", &self.tls).finish_non_exhaustive()
    }
}

/// A running server; dropping it cuts all connections and joins its threads.
///
/// ```
/// use heartwire::testing::{Behaviour, Server};
/// use heartwire::{Client, Event};
/// use std::time::Duration;
///
/// let server = Server::start(Behaviour::echo());
/// let client = Client::builder(&server.url()).connect().unwrap();
/// client.send_text("hello").unwrap();
/// assert_eq!(server.wait_message().as_text(), Some("hello"));
///
/// client.close(1000, "done").unwrap();
/// assert_eq!(server.wait_closed(), (Some(1000), "done".to_owned()));
/// ```
///
/// # Panics
///
/// A drop panics if the script of a [`Behaviour::raw`] has panicked, so that no test passes in spite of it.
pub struct Server {
    has_tls: bool,
    shared: Arc<Shared>,
    ask: Ask,
    events: Receiver<ServerEvent>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a plain server that treats all connections alike.
    pub fn start(behaviour: Behaviour) -> Self {
        Setup::new(behaviour).start()
    }

    /// `ws://127.0.0.1:PORT/` or `wss://localhost:PORT/`.
    pub fn url(&self) -> String {
        if self.has_tls {
            format!("wss://localhost:{}/", self.port())
        } else {
            format!("ws://{}/", self.address())
        }
    }

    /// The port it listens on, which it keeps for good.
    pub fn port(&self) -> u16 {
        self.shared.address.port()
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// How many connections were accepted so far, and so the number of the latest.
    pub fn connections(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How many steps of the script of [`Setup::script`] have not begun; 0 without a script.
    pub fn steps_left(&self) -> usize {
        self.shared.steps_left.load(Ordering::SeqCst)
    }

    /// All messages received so far, with their connection's number.
    pub fn received(&self) -> Vec<(usize, Message)> {
        self.shared.received.lock().unwrap().clone()
    }

    /// The texts received so far, from all connections.
    pub fn received_texts(&self) -> Vec<String> {
        let received = self.shared.received.lock().unwrap();
        received.iter().filter_map(|(_, m)| m.as_text().map(str::to_owned)).collect()
    }

    /// The next event, or `None` when none came in time.
    pub fn next_event(&self, timeout: Duration) -> Option<ServerEvent> {
        self.events.recv_timeout(timeout).ok()
    }

    /// Takes events until `wanted` gives something, and returns that; the others are gone.
    ///
    /// # Panics
    ///
    /// When `timeout` is over; the message lists what came instead.
    #[track_caller]
    pub fn wait_for<T>(&self, timeout: Duration, mut wanted: impl FnMut(&ServerEvent) -> Option<T>) -> T {
        let deadline = Instant::now() + timeout;
        let mut others = Vec::new();
        loop {
            match self.events.recv_deadline(deadline) {
                Ok(event) => match wanted(&event) {
                    Some(found) => return found,
                    None => others.push(event),
                },
                Err(_) => panic!("the server waited {timeout:?} in vain; it saw {others:#?}"),
            }
        }
    }

    /// Waits for the next accepted upgrade and returns its connection's number and request.
    #[track_caller]
    pub fn wait_connected(&self) -> (usize, Request) {
        self.wait_for(PATIENCE, |event| match event {
            ServerEvent::Connected { n, request } => Some((*n, request.clone())),
            _ => None,
        })
    }

    /// Waits for the next message.
    #[track_caller]
    pub fn wait_message(&self) -> Message {
        self.wait_for(PATIENCE, |event| match event {
            ServerEvent::Message { message, .. } => Some(message.clone()),
            _ => None,
        })
    }

    /// Waits for the client's next Close and returns its code and reason.
    #[track_caller]
    pub fn wait_closed(&self) -> (Option<u16>, String) {
        self.wait_for(PATIENCE, |event| match event {
            ServerEvent::Closed { code, reason, .. } => Some((*code, reason.clone())),
            _ => None,
        })
    }

    /// Waits until a TCP connection is over and returns how it ended.
    #[track_caller]
    pub fn wait_ended(&self) -> Ending {
        self.wait_for(PATIENCE, |event| match event {
            ServerEvent::Ended { ending, .. } => Some(ending.clone()),
            _ => None,
        })
    }

    /// Sends a message on connection `n`; false if that is not open.
    pub fn send(&self, n: usize, message: impl Into<Message>) -> bool {
        self.send_raw(n, frames::message_frame(&message.into()))
    }

    /// Sends these bytes as they are on connection `n`; false if that is not open.
    pub fn send_raw(&self, n: usize, bytes: impl Into<Vec<u8>>) -> bool {
        self.ask.ask(Command::Send { n, bytes: bytes.into() })
    }

    /// Sends a ping on connection `n`; false if that is not open.
    pub fn ping(&self, n: usize, payload: &[u8]) -> bool {
        self.send_raw(n, frames::ping_frame(payload))
    }

    /// Begins the close handshake on connection `n`; the code is not checked. False if that is not open.
    pub fn close(&self, n: usize, code: u16, reason: &str) -> bool {
        self.ask.ask(Command::Close { n, code, reason: reason.to_owned() })
    }

    /// Resets connection `n` at once, without a Close; false if that is over already.
    pub fn cut(&self, n: usize) -> bool {
        self.ask.ask(Command::Cut { n })
    }

    /// Resets all connections at once and goes on listening.
    pub fn cut_all(&self) {
        self.ask.ask(Command::CutAll);
    }

    /// Ends our direction of connection `n` (FIN) without a Close, and over TLS without close_notify.
    pub fn drop_tcp(&self, n: usize) -> bool {
        self.ask.ask(Command::DropTcp { n })
    }

    /// Stops reading and answering on all connections, new ones included; they stay open. Scripts are not affected.
    pub fn mute(&self) {
        self.switch(|s| s.muted = true);
    }

    /// Goes on where [`Server::mute`] stopped; nothing is lost.
    pub fn unmute(&self) {
        self.switch(|s| s.muted = false);
    }

    /// Takes everything and answers nothing, on all connections, new ones included, the upgrade aside: no echo, no pong, no
    /// Close; or answers again. What came meanwhile is never answered. Scripts are not affected.
    pub fn silence(&self, silent: bool) {
        self.switch(move |s| s.silent = silent);
    }

    /// Whether protocol pings are answered by pongs, from now on and everywhere; they are unless told otherwise.
    pub fn answer_pings(&self, answer: bool) {
        self.switch(move |s| s.answers_pings = answer);
    }

    /// Whether the text `ping` is answered by the text `pong`, from now on and everywhere; it is not unless told so.
    pub fn answer_text_pings(&self, answer: bool) {
        self.switch(move |s| s.answers_text_pings = answer);
    }

    /// Treats connections that come from now on as `choose` says.
    pub fn treat_new_connections(&self, choose: impl Fn(usize) -> Behaviour + Send + Sync + 'static) {
        self.ask.ask(Command::Treat(Plan::Each(Arc::new(choose))));
    }

    /// Stops listening and resets all connections; the port stays reserved and refuses.
    pub fn stop(&self) {
        self.ask.ask(Command::Stop);
    }

    /// Stops listening; open connections live on. The port stays reserved and refuses.
    pub fn refuse_new_connections(&self) {
        self.ask.ask(Command::StopListening);
    }

    /// Listens again on the same port. It does nothing while it listens.
    ///
    /// # Panics
    ///
    /// If the system has given the port to someone else, which it has no reason to.
    pub fn restart(&self) {
        assert!(self.ask.ask(Command::Restart), "the port was lost");
    }

    fn switch(&self, change: impl FnOnce(&mut Switches) + Send + 'static) {
        self.ask.ask(Command::Switch(Box::new(change)));
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let scripts_are_sound = self.ask.ask(Command::Exit);
        let loop_is_sound = self.thread.take().is_some_and(|thread| thread.join().is_ok());
        if !std::thread::panicking() {
            assert!(loop_is_sound, "the server's own thread panicked");
            assert!(scripts_are_sound, "a script of the server panicked");
        }
    }
}
