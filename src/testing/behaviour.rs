//! What the server does with a connection: which answer to the upgrade, and what to messages, pings and closes.

use super::misbehaviour::Then;
use super::transport::Transport;
use crate::Message;
use crossbeam_channel::Receiver;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

/// A script that has a connection to itself, in a thread of its own.
pub(super) type Script = Arc<dyn Fn(&mut RawStream, usize) + Send + Sync>;

/// How the server treats one connection.
///
/// Start from one of the constructors and add to it: `Behaviour::echo().greeting("hello").subprotocol("chat")`. Those for
/// servers that break the rules are here, too: [`stops`](Behaviour::stops), [`wrong_accept`](Behaviour::wrong_accept),
/// [`sends`](Behaviour::sends) and what stands beside them. They are scripts, like [`raw`](Behaviour::raw): a script has
/// its connection to itself. To add what can never happen panics, as to a script or to a refusal.
///
/// Unless told otherwise a connection answers pings and Closes as RFC 6455 has it, and lasts until the client ends it.
#[derive(Clone)]
pub struct Behaviour {
    pub(super) upgrade: Upgrade,
    pub(super) reply: Reply,
    pub(super) headers: Vec<(String, String)>,
    pub(super) greetings: Vec<Message>,
    pub(super) close_on_open: Option<(u16, String)>,
    pub(super) answers_close: bool,
    pub(super) answers_pings: bool,
    pub(super) until: Option<(When, Then)>,
    /// How late the answer to the upgrade comes.
    pub(super) upgrade_delay: Duration,
    /// At most so many bytes at a time, so far apart.
    pub(super) trickle: Option<(usize, Duration)>,
}

/// A moment in an open connection, for [`Behaviour::until`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum When {
    /// As soon as the upgrade's answer and the greetings are out.
    Open,
    /// So long after the upgrade.
    After(Duration),
    /// The client has sent so many messages, and they were answered.
    Messages(usize),
    /// The client has sent so many bytes, its upgrade request not counted.
    Received(u64),
    /// The server has sent so many bytes, its answer to the upgrade not counted. Not one more follows: a frame can be cut
    /// in its middle.
    Sent(u64),
}

/// The answer to the upgrade request.
#[derive(Clone)]
pub(super) enum Upgrade {
    Accept,
    Refuse {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    Never,
    Script(Script),
    /// There is nobody, for so long.
    Absent(Duration),
}

/// The answer to a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Echo,
    Nothing,
    Commands,
}

impl Behaviour {
    fn new(upgrade: Upgrade, reply: Reply) -> Self {
        Behaviour {
            upgrade,
            reply,
            headers: Vec::new(),
            greetings: Vec::new(),
            close_on_open: None,
            answers_close: true,
            answers_pings: true,
            until: None,
            upgrade_delay: Duration::ZERO,
            trickle: None,
        }
    }

    /// Sends every message back.
    pub fn echo() -> Self {
        Behaviour::new(Upgrade::Accept, Reply::Echo)
    }

    /// Takes every message and answers none; pings and Close are answered. For a server that says nothing at all see
    /// [`until`](Behaviour::until) with [`Then::Silence`].
    pub fn silent() -> Self {
        Behaviour::new(Upgrade::Accept, Reply::Nothing)
    }

    /// Obeys text messages: `flood N SIZE` is answered by N binary messages of SIZE bytes, `close CODE REASON` by
    /// that Close; everything else is sent back.
    pub fn commands() -> Self {
        Behaviour::new(Upgrade::Accept, Reply::Commands)
    }

    /// Answers the upgrade with this status, then ends the connection.
    ///
    /// `Content-Length` and `Connection: close` are added.
    pub fn refuse(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Self {
        let headers = headers.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
        Behaviour::new(Upgrade::Refuse { status, headers, body: body.into() }, Reply::Nothing)
    }

    /// Reads the upgrade request and never answers it.
    pub fn never_upgrade() -> Self {
        Behaviour::new(Upgrade::Never, Reply::Nothing)
    }

    /// Accepts the upgrade and sends Close at once.
    pub fn close_at_once(code: u16, reason: &str) -> Self {
        let mut behaviour = Behaviour::silent();
        behaviour.close_on_open = Some((code, reason.to_owned()));
        behaviour
    }

    /// Is not there: for so long the port refuses connections, then the script goes on.
    ///
    /// For [`Setup::script`](super::Setup::script), and for one client at a time: the port refuses as soon as the
    /// connection before it was accepted, and the time begins when that has ended. As a script's last step it is for good.
    /// Where a server is asked only once a connection is there, as with [`Setup::each`](super::Setup::each), that
    /// connection is reset.
    ///
    /// ```
    /// use heartwire::testing::{Behaviour, Setup, Then, When};
    /// use heartwire::{Client, Reconnect};
    /// use std::time::Duration;
    ///
    /// let ms = Duration::from_millis;
    /// let cut = Behaviour::echo().until(When::Open, Then::Reset);
    /// let server = Setup::script([cut, Behaviour::absent(ms(200)), Behaviour::echo()]).start();
    ///
    /// let client = Client::builder(&server.url()).reconnect(Reconnect::fixed(ms(20))).connect().unwrap();
    /// let opened = |event: heartwire::Event| matches!(event, heartwire::Event::Open(opened) if opened.attempt() > 2);
    /// while !opened(client.recv_timeout(Duration::from_secs(10)).expect("it connects again")) {}
    /// assert_eq!(server.connections(), 2, "the others were refused");
    /// ```
    pub fn absent(time: Duration) -> Self {
        Behaviour::new(Upgrade::Absent(time), Reply::Nothing)
    }

    /// Hands the stream to `script` before anything was read from it; the connection ends when `script` returns.
    ///
    /// Over TLS the script sees the plain bytes. Its reads and writes block, and fail once the server cuts the
    /// connection or is dropped; a script must not wait for anything else without a timeout.
    pub fn raw(script: impl Fn(&mut RawStream, usize) + Send + Sync + 'static) -> Self {
        Behaviour::new(Upgrade::Script(Arc::new(script)), Reply::Nothing)
    }

    /// Sends `message` as soon as the connection is open; several are sent in their order.
    ///
    /// # Panics
    ///
    /// If this opens no connection.
    #[track_caller]
    pub fn greeting(mut self, message: impl Into<Message>) -> Self {
        self.assert_opens();
        self.greetings.push(message.into());
        self
    }

    /// Adds a header to the 101.
    ///
    /// # Panics
    ///
    /// If this opens no connection.
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.assert_opens();
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Chooses this subprotocol, whether it was offered or not.
    ///
    /// # Panics
    ///
    /// If this opens no connection.
    #[track_caller]
    pub fn subprotocol(self, name: &str) -> Self {
        self.header("Sec-WebSocket-Protocol", name)
    }

    /// Behaves so until `when`, then does what `then` says. The last call counts.
    ///
    /// What was to be sent before is sent, but for [`When::Sent`].
    ///
    /// ```
    /// use heartwire::testing::{Behaviour, Ending, Server, Then, When};
    ///
    /// let server = Server::start(Behaviour::echo().until(When::Messages(3), Then::Reset));
    /// let client = heartwire::Client::builder(&server.url()).connect().unwrap();
    /// for text in ["one", "two", "three"] {
    ///     client.send_text(text).unwrap();
    /// }
    /// assert_eq!(server.wait_ended(), Ending::Cut);
    /// assert_eq!(server.received_texts(), ["one", "two", "three"]);
    /// ```
    ///
    /// # Panics
    ///
    /// If this opens no connection.
    #[track_caller]
    pub fn until(mut self, when: When, then: Then) -> Self {
        self.assert_opens();
        self.until = Some((when, then));
        self
    }

    /// Answers the upgrade so late. Default: at once.
    ///
    /// # Panics
    ///
    /// If this gives no answer of its own to the upgrade.
    #[track_caller]
    pub fn upgrade_delay(mut self, delay: Duration) -> Self {
        self.assert_answers();
        self.upgrade_delay = delay;
        self
    }

    /// Sends at most `bytes` bytes at a time, so far apart, the upgrade's answer included. Default: as fast as it goes.
    ///
    /// # Panics
    ///
    /// If `bytes` is 0, or this gives no answer of its own to the upgrade.
    #[track_caller]
    pub fn trickle(mut self, bytes: usize, every: Duration) -> Self {
        assert!(bytes > 0, "a trickle of nothing");
        self.assert_answers();
        self.trickle = Some((bytes, every));
        self
    }

    /// Answers no ping. Default: each is answered.
    ///
    /// # Panics
    ///
    /// If this opens no connection.
    #[track_caller]
    pub fn no_pongs(mut self) -> Self {
        self.assert_opens();
        self.answers_pings = false;
        self
    }

    /// Takes the client's Close and neither answers it nor ends the connection.
    ///
    /// # Panics
    ///
    /// If this opens no connection.
    #[track_caller]
    pub fn never_answer_close(mut self) -> Self {
        self.assert_opens();
        self.answers_close = false;
        self
    }
}

impl Behaviour {
    #[track_caller]
    fn assert_opens(&self) {
        assert!(
            matches!(self.upgrade, Upgrade::Accept),
            "{self:?} opens no connection to which that could be added"
        );
    }

    #[track_caller]
    fn assert_answers(&self) {
        let answers = matches!(self.upgrade, Upgrade::Accept | Upgrade::Refuse { .. });
        assert!(answers, "{self:?} has no answer to the upgrade to which that could be added");
    }
}

impl fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let upgrade = match &self.upgrade {
            Upgrade::Accept => "accepted".to_owned(),
            Upgrade::Refuse { status, .. } => format!("refused with {status}"),
            Upgrade::Never => "never answered".to_owned(),
            Upgrade::Script(_) => "up to a script".to_owned(),
            Upgrade::Absent(_) => "nobody there".to_owned(),
        };
        f.debug_struct("Behaviour")
            .field("upgrade", &upgrade)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

/// The stream that a script reads and writes, plain or through TLS.
pub struct RawStream {
    pub(super) bytes: Transport<TcpStream>,
    /// Ends when the server cuts the connection.
    pub(super) uncut: Receiver<()>,
}

impl RawStream {
    /// The socket below, for timeouts and options.
    pub fn tcp(&self) -> &TcpStream {
        self.bytes.tcp()
    }

    /// Waits, and reads nothing, until the server cuts the connection or is dropped.
    ///
    /// The client's TCP fills up meanwhile; that it may have hung up is not seen.
    pub fn wait_cut(&self) {
        // Nothing is ever sent: the other end's drop is what is waited for.
        let _ = self.uncut.recv();
    }

    /// Sends TLS's close_notify; nothing without TLS.
    pub fn end_tls(&mut self) {
        self.bytes.send_close_notify();
        // Who has hung up needs none.
        let _ = self.bytes.flush();
    }
}

impl fmt::Debug for RawStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawStream").field("tcp", self.tcp()).finish_non_exhaustive()
    }
}

impl Read for RawStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(buf)
    }
}

impl Write for RawStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.bytes.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.bytes.flush()
    }
}
