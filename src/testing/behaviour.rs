//! What the server does with a connection: which answer to the upgrade, and what to messages, pings and closes.

use crate::Message;
use rustls::{ServerConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// A script that has a connection to itself, in a thread of its own.
pub(super) type Script = Arc<dyn Fn(&mut RawStream, usize) + Send + Sync>;

/// How the server treats one connection.
///
/// Start from one of the constructors and add to it: `Behaviour::echo().greeting("hello").subprotocol("chat")`.
#[derive(Clone)]
pub struct Behaviour {
    pub(super) upgrade: Upgrade,
    pub(super) reply: Reply,
    pub(super) headers: Vec<(String, String)>,
    pub(super) greetings: Vec<Message>,
    pub(super) close_on_open: Option<(u16, String)>,
    pub(super) answers_close: bool,
}

/// The answer to the upgrade request.
#[derive(Clone)]
pub(super) enum Upgrade {
    Accept,
    Refuse { status: u16, headers: Vec<(String, String)>, body: Vec<u8> },
    Never,
    Script(Script),
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
        }
    }

    /// Sends every message back.
    pub fn echo() -> Self {
        Behaviour::new(Upgrade::Accept, Reply::Echo)
    }

    /// Takes every message and answers none; pings and Close are answered.
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

    /// Hands the stream to `script` before anything was read from it; the connection ends when `script` returns.
    ///
    /// Over TLS the script sees the plain bytes. Its reads and writes block, and fail once the server cuts the
    /// connection or is dropped; a script must not wait for anything else without a timeout.
    pub fn raw(script: impl Fn(&mut RawStream, usize) + Send + Sync + 'static) -> Self {
        Behaviour::new(Upgrade::Script(Arc::new(script)), Reply::Nothing)
    }

    /// Sends `message` as soon as the connection is open; several are sent in their order.
    pub fn greeting(mut self, message: impl Into<Message>) -> Self {
        self.greetings.push(message.into());
        self
    }

    /// Adds a header to the 101.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Chooses this subprotocol, whether it was offered or not.
    pub fn subprotocol(self, name: &str) -> Self {
        self.header("Sec-WebSocket-Protocol", name)
    }

    /// Takes the client's Close and neither answers it nor ends the connection.
    pub fn never_answer_close(mut self) -> Self {
        self.answers_close = false;
        self
    }
}

/// The stream that a script reads and writes, plain or through TLS.
pub struct RawStream(pub(super) RawKind);

pub(super) enum RawKind {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl RawStream {
    /// The socket below, for timeouts and options.
    pub fn tcp(&self) -> &TcpStream {
        match &self.0 {
            RawKind::Plain(tcp) => tcp,
            RawKind::Tls(tls) => &tls.sock,
        }
    }

    /// Sends TLS's close_notify; nothing without TLS.
    pub fn end_tls(&mut self) {
        if let RawKind::Tls(tls) = &mut self.0 {
            tls.conn.send_close_notify();
            // Who has hung up needs none.
            let _ = tls.flush();
        }
    }
}

impl Read for RawStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            RawKind::Plain(tcp) => tcp.read(buf),
            RawKind::Tls(tls) => tls.read(buf),
        }
    }
}

impl Write for RawStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            RawKind::Plain(tcp) => tcp.write(buf),
            RawKind::Tls(tls) => tls.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            RawKind::Plain(tcp) => tcp.flush(),
            RawKind::Tls(tls) => tls.flush(),
        }
    }
}
