//! The bytes of one connection of the server, plain or behind TLS.

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::sync::Arc;

pub(super) enum Transport<T: Read + Write> {
    Plain(T),
    Tls(Box<StreamOwned<ServerConnection, T>>),
}

impl<T: Read + Write> Transport<T> {
    /// Behind TLS with this configuration, if there is one.
    pub(super) fn new(tcp: T, tls: Option<&Arc<ServerConfig>>) -> Transport<T> {
        let Some(config) = tls else { return Transport::Plain(tcp) };
        let session = ServerConnection::new(Arc::clone(config)).expect("a TLS session");
        Transport::Tls(Box::new(StreamOwned::new(session, tcp)))
    }

    pub(super) fn tcp(&self) -> &T {
        match self {
            Transport::Plain(tcp) => tcp,
            Transport::Tls(tls) => &tls.sock,
        }
    }

    pub(super) fn send_close_notify(&mut self) {
        if let Transport::Tls(tls) = self {
            tls.conn.send_close_notify();
        }
    }
}

impl<T: Read + Write> Read for Transport<T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Transport::Plain(tcp) => tcp.read(buf),
            Transport::Tls(tls) => tls.read(buf),
        }
    }
}

impl<T: Read + Write> Write for Transport<T> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Transport::Plain(tcp) => tcp.write(buf),
            Transport::Tls(tls) => tls.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Transport::Plain(tcp) => tcp.flush(),
            Transport::Tls(tls) => tls.flush(),
        }
    }
}
