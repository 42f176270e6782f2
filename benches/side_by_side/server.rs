//! The server that every contender talks to: a process of its own, with a port for plain connections and one for TLS.
//!
//! It must not be what is measured, so it waits in blocking reads, a thread for each connection. How it reads and writes
//! (`peer`) is neither contender's way; a header's format is all that it has from tungstenite. Its TLS is rustls.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::{Result, again, peer};

/// In the environment of the server's process; a name, since cargo gives benches arguments of its own.
const ASKED: &str = "HEARTWIRE_BENCH_SERVE";
/// A connection on which nothing moves for so long is dropped.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is read ahead of rustls, which asks for 4 KiB at a time.
const AHEAD: usize = 128 * 1024;

/// The server, as the process that started it sees it. Dropping it ends it.
pub(crate) struct Server {
    process: Child,
    plain: u16,
    tls: u16,
}

impl Server {
    pub(crate) fn start(one_core: bool) -> Result<Server> {
        let mut command = again(one_core)?;
        command.env(ASKED, "1").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let mut line = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let mut server = Server { process, plain: 0, tls: 0 };
        let (plain, tls) = line.trim().split_once(' ').ok_or("the server did not start")?;
        (server.plain, server.tls) = (plain.parse()?, tls.parse()?);
        Ok(server)
    }

    /// What stands before the path in its URLs.
    pub(crate) fn origin(&self, tls: bool) -> String {
        if tls { format!("wss://127.0.0.1:{}", self.tls) } else { format!("ws://127.0.0.1:{}", self.plain) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// In the process that [`Server::start`] has started: serves until the other one is gone, and ends the process.
pub(crate) fn serve_if_asked() -> Result<()> {
    if std::env::var_os(ASKED).is_none() {
        return Ok(());
    }
    let tls = Some(Arc::new(tls_config()?));
    println!("{} {}", listen(None)?, listen(tls)?);
    // However the other process ends: its end of the pipe goes with it.
    io::copy(&mut io::stdin(), &mut io::sink())?;
    std::process::exit(0);
}

fn listen(tls: Option<Arc<ServerConfig>>) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let tls = tls.clone();
            // How a connection ends is its client's to judge, which counts what it gets.
            std::thread::spawn(move || connection(stream, tls).ok());
        }
    });
    Ok(port)
}

fn connection(stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    match tls {
        None => peer::serve(stream)?,
        Some(config) => {
            let socket = ReadAhead(BufReader::with_capacity(AHEAD, stream));
            peer::serve(StreamOwned::new(ServerConnection::new(config)?, socket))?;
        }
    }
    Ok(())
}

/// A certificate that signs itself: no contender looks at it.
fn tls_config() -> Result<ServerConfig> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key)?)
}

struct ReadAhead(BufReader<TcpStream>);

impl Read for ReadAhead {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for ReadAhead {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.get_mut().write(bytes)
    }

    // Several records at once: rustls has each in a piece of its own.
    fn write_vectored(&mut self, pieces: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.0.get_mut().write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
