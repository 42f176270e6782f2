//! The parts that read what strangers send, opened for the programs in `fuzz/`.
//!
//! Only there with `--cfg heartwire_fuzz`, and no part of what the crate promises. Thin: everything that is to hold is
//! checked by those programs.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::builder::Builder;
use crate::config::deflate::Deflate;
use crate::config::heartbeat::Heartbeat;
use crate::config::pin::{self, Pin, Pinned};
use crate::config::reconnect::Reconnect;
use crate::entry::{Entry, Kind, Part, Record};
use crate::error::{ConfigError, LinkError, Phase, ProtocolFault};
use crate::event::{Event, FragmentRef, MessageId, MessageRef, State};
use crate::link::{Action, Input, Link, Rules};
use crate::net::proxy::{Failure, Language, Login, Proxy, Tunnel as Inner};
use crate::session::deflate::Agreed;
use crate::session::reader::{self, Inbound};
use crate::session::upgrade::{Upgrade, UpgradeRequest};
use crate::session::wire::{Flush, Wire};

/// What a builder's settings come to.
pub struct Settings {
    /// The upgrade request, with the key of RFC 6455 section 1.3.
    pub request: Vec<u8>,
    /// The headers among them that were set or follow from the settings.
    pub headers: Vec<(String, String)>,
    /// The URL as log lines show it.
    pub shown_url: String,
}

/// Checks a builder's settings.
pub fn settings(builder: Builder) -> Result<Settings, ConfigError> {
    let config = builder.config()?;
    let mut stream = Sink(Vec::new());
    let answer = Upgrade::with_key(&config.routes[0].request, SAMPLE_KEY).advance(&mut stream);
    assert!(matches!(answer, Ok(None)), "the stream takes all and gives nothing");
    let route = &config.routes[0];
    Ok(Settings {
        request: stream.0,
        headers: route.request.headers.clone(),
        shown_url: route.shown_url.clone(),
    })
}

/// The key of RFC 6455 section 1.3; the answer to it is `s3pPLMBiTxaQ9kYGzzhZRbK+xOo=`.
const SAMPLE_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// Takes all that is written; nothing ever comes.
struct Sink(Vec<u8>);

impl Read for Sink {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An opening handshake, with the key of RFC 6455 section 1.3.
pub struct Handshake(Upgrade);

/// A server's good answer.
#[derive(Debug, PartialEq)]
pub struct Accepted {
    /// The server's choice.
    pub subprotocol: Option<String>,
    /// All headers, in order.
    pub headers: Vec<(String, String)>,
    /// What was read behind the head.
    pub rest: Vec<u8>,
}

impl Handshake {
    /// Offers these subprotocols.
    pub fn new(subprotocols: &[&str]) -> Handshake {
        Handshake::offering(subprotocols, None)
    }

    fn offering(subprotocols: &[&str], deflate: Option<Deflate>) -> Handshake {
        let request = UpgradeRequest {
            host: "h".to_owned(),
            target: "/".to_owned(),
            headers: Vec::new(),
            subprotocols: subprotocols.iter().map(|name| name.to_string()).collect(),
            deflate,
        };
        Handshake(Upgrade::with_key(&request, SAMPLE_KEY))
    }

    /// Offers compression, too.
    pub fn with_compression(subprotocols: &[&str]) -> Handshake {
        Handshake::offering(subprotocols, Some(Deflate::new().server_max_window_bits(14)))
    }

    /// Writes and reads until the stream blocks.
    pub fn advance(&mut self, stream: &mut (impl Read + Write)) -> Result<Option<Accepted>, LinkError> {
        match self.0.advance(stream) {
            Ok(accepted) => Ok(accepted.map(|accepted| Accepted {
                subprotocol: accepted.subprotocol,
                headers: accepted.headers,
                rest: accepted.rest,
            })),
            Err(cause) => Err(LinkError::new(Phase::Upgrade, cause)),
        }
    }
}

/// A conversation with a proxy, which is asked for a way to `example.com`.
pub struct Tunnel(Inner);

impl Tunnel {
    /// By CONNECT or by SOCKS 5, with a login or without.
    pub fn new(socks: bool, login: Option<(&str, &str)>) -> Tunnel {
        let proxy = Proxy {
            language: if socks { Language::SocksWithNames } else { Language::Connect },
            host: url::Host::Domain("proxy".to_owned()),
            port: 1,
            login: login
                .map(|(user, password)| Login { user: user.to_owned(), password: password.to_owned() }),
            #[cfg(feature = "native-tls")]
            tls: None,
            agent: "fuzz".to_owned(),
        };
        Tunnel(Inner::new(&proxy, &url::Host::Domain("example.com".to_owned()), 443))
    }

    /// Writes and reads until the stream blocks; `true` once the tunnel is open.
    pub fn advance(&mut self, stream: &mut (impl Read + Write)) -> Result<bool, LinkError> {
        self.0.advance(stream).map_err(|failure| match failure {
            Failure::Proxy(cause) => LinkError::new(Phase::Proxy, cause),
            Failure::Stream(error) => LinkError::io(Phase::Proxy, error),
        })
    }
}

/// Where a certificate has its public key.
pub fn public_key(certificate: &[u8]) -> Option<&[u8]> {
    crate::net::spki::public_key(certificate)
}

/// A pin in both of the forms in which errors show one.
pub fn pin(text: &str) -> Result<[String; 2], ConfigError> {
    let pin = Pin::parse(Pinned::PublicKey, text)?;
    assert_eq!(Pin::parse(Pinned::Certificate, text)?.hash, pin.hash);
    Ok([pin::base64(&pin.hash), pin::hex(&pin.hash)])
}

/// What a server answers to a key.
pub fn accept_key(key: &[u8]) -> String {
    tungstenite::handshake::derive_accept_key(key)
}

/// How long a client with the default settings waits after this failure; `None`: for ever.
pub fn delay_after(failure: &LinkError, seed: u64) -> Option<Duration> {
    let second = Duration::from_secs(1);
    let rules = Rules {
        heartbeat: Heartbeat::default(),
        reconnect: Reconnect::default(),
        connect_timeout: second,
        close_timeout: second,
        before_connect: false,
        urls: 1,
        url_penalty: second,
    };
    let now = Instant::now();
    let mut link = Link::new(Arc::new(rules), seed);
    link.handle(Input::Connect, now);
    while link.next_action().is_some() {}
    link.handle(Input::DialFailed(failure.clone()), now);
    let mut delay = None;
    while let Some(action) = link.next_action() {
        if let Action::Tell(Event::State(State::Waiting { delay: told, .. })) = action {
            delay = Some(told);
        }
    }
    delay
}

/// What a server may agree to of compression.
pub enum Compression {
    /// Windows that go on from message to message.
    Takeover,
    /// Small windows, anew for each message.
    Alone,
}

impl Compression {
    fn agreed(&self) -> Agreed {
        let parameters = match self {
            Compression::Takeover => "permessage-deflate",
            Compression::Alone => {
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 server_max_window_bits=9; client_max_window_bits=8"
            }
        };
        let agreed = Deflate::new().threshold(10).judge([parameters].into_iter());
        agreed.expect("a good answer").expect("an answer")
    }
}

/// The reading half of a session.
pub struct Reader(Inbound);

/// What the server sent.
pub enum Item<'a> {
    /// A message.
    Message(MessageRef<'a>),
    /// A part of a message that is too long for that: [`Reader::fragment`] gives it.
    Fragment,
    /// A ping's payload.
    Ping(&'a [u8]),
    /// A pong's payload.
    Pong(&'a [u8]),
    /// Code and reason of a Close frame.
    Close(u16, &'a str),
}

impl Reader {
    /// A reader for messages of at most `max_message` bytes, given what came with the upgrade's answer.
    pub fn new(max_message: usize, rest: Vec<u8>) -> Reader {
        Reader(Inbound::new(max_message, rest))
    }

    /// Takes compressed messages, too.
    pub fn agree(&mut self, compression: &Compression) {
        self.0.agree(&compression.agreed());
    }

    /// Hands on messages of more than `above` bytes in fragments.
    pub fn hand_on_above(&mut self, above: usize, max_message: usize) {
        self.0.hand_on_above(above, max_message as u64);
    }

    /// Reads once; call it when [`next`](Self::next) has nothing more.
    pub fn fill(&mut self, stream: &mut impl Read) -> io::Result<usize> {
        self.0.fill(stream).map(|fill| fill.bytes)
    }

    /// The next item in what was read.
    #[allow(clippy::should_implement_trait, reason = "the item is borrowed")]
    pub fn next(&mut self) -> Result<Option<Item<'_>>, ProtocolFault> {
        Ok(self.0.next()?.map(|item| match item {
            reader::Item::Message(message) => Item::Message(message),
            reader::Item::Fragment => Item::Fragment,
            reader::Item::Ping(payload) => Item::Ping(payload),
            reader::Item::Pong(payload) => Item::Pong(payload),
            reader::Item::Close { code, reason } => Item::Close(code, reason),
        }))
    }

    /// The part of a message that was announced.
    pub fn fragment(&mut self) -> Result<FragmentRef<'_>, ProtocolFault> {
        self.0.fragment()
    }

    /// Gives memory back, as the loop does after a while without need for it.
    pub fn shrink(&mut self) {
        self.0.shrink();
    }

    /// What the reader holds, in bytes.
    pub fn buffer_size(&self) -> usize {
        self.0.buffer_size()
    }
}

/// The writing half of a session.
pub struct Writer<S> {
    wire: Wire<S>,
    next: u64,
}

impl<S: Read + Write> Writer<S> {
    /// Takes over a stream.
    pub fn new(stream: S) -> Writer<S> {
        Writer { wire: Wire::new(stream), next: 1 }
    }

    /// Compresses from now on.
    pub fn agree(&mut self, compression: &Compression) {
        self.wire.agree(&compression.agreed());
    }

    /// The stream.
    pub fn stream(&mut self) -> &mut S {
        &mut self.wire.stream
    }

    /// Takes a message and writes as much as the stream takes; `true` if nothing is left.
    pub fn send(&mut self, message: MessageRef<'_>) -> bool {
        let kind = if message.is_text() { Kind::Text } else { Kind::Binary };
        self.push(kind, Part::Whole, message.as_bytes());
        self.next += 1;
        self.flush()
    }

    /// Takes a message in pieces, as it is handed over by [`MessageStream`](crate::MessageStream).
    pub fn send_pieces(&mut self, message: MessageRef<'_>, size: usize) -> bool {
        let kind = if message.is_text() { Kind::Text } else { Kind::Binary };
        let count = message.as_bytes().len().div_ceil(size).max(1);
        for (i, piece) in message
            .as_bytes()
            .chunks(size)
            .chain(message.as_bytes().is_empty().then_some(&[][..]))
            .enumerate()
        {
            let part = match (i == 0, i + 1 == count) {
                (true, true) => Part::Only,
                (true, false) => Part::First,
                (false, false) => Part::Middle,
                (false, true) => Part::Last,
            };
            self.push(kind, part, piece);
        }
        self.next += 1;
        self.flush()
    }

    fn push(&mut self, kind: Kind, part: Part, payload: &[u8]) {
        self.wire.push(Entry {
            id: MessageId(self.next),
            kind,
            part,
            payload: payload.to_vec(),
            expires: None,
            record: Record::default(),
        });
    }

    /// Writes what is longer in several frames.
    pub fn fragment(&mut self, bytes: usize) {
        self.wire.fragment(bytes);
    }

    /// Answers a ping.
    pub fn pong(&mut self, payload: &[u8]) -> bool {
        self.wire.owe_pong(payload);
        self.flush()
    }

    /// Closes behind all that was given before.
    pub fn close(&mut self, code: Option<u16>, reason: &str) -> bool {
        self.wire.close(code, reason);
        self.flush()
    }

    /// Writes as much as the stream takes; `true` if nothing is left.
    pub fn flush(&mut self) -> bool {
        let flush = self.wire.flush();
        self.wire.shrink();
        flush == Flush::Done
    }

    /// How many messages were written whole, and how many bytes of payload.
    pub fn written(&mut self) -> (usize, usize) {
        let written = self.wire.take_written();
        let pieces = written.piece_bytes();
        written.iter().fold((0, pieces), |(n, bytes), run| (n + run.messages, bytes + run.payload_bytes))
    }
}
