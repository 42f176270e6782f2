//! Unix sockets in front of a server: whatever comes through them is passed on to it, and its answers back, so that
//! everything the server can do serves there, too.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

/// A Unix socket that leads to a server. Dropping it removes it; connections that are open stay so.
pub struct Door {
    path: PathBuf,
    closing: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Door {
    /// At a path of its own.
    pub fn to(server: SocketAddr) -> Door {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("heartwire-door-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Door::at(std::env::temp_dir().join(name), server)
    }

    /// At this path, where there must be nothing.
    pub fn at(path: impl Into<PathBuf>, server: SocketAddr) -> Door {
        let path = path.into();
        let listener = UnixListener::bind(&path).expect("a Unix socket");
        let closing = Arc::new(AtomicBool::new(false));
        let closed = Arc::clone(&closing);
        let serve = move || {
            while let Ok((socket, _)) = listener.accept() {
                if closed.load(Ordering::SeqCst) {
                    return;
                }
                lead(socket, server);
            }
        };
        let thread = thread::Builder::new().name("test-door".into()).spawn(serve).expect("a thread");
        Door { path, closing, thread: Some(thread) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The URL that names it.
    pub fn url(&self, resource: &str) -> String {
        format!("ws+unix://{}:{resource}", self.path.display())
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        let _ = UnixStream::connect(&self.path);
        let _ = self.thread.take().map(JoinHandle::join);
        let _ = std::fs::remove_file(&self.path);
    }
}

/// One end of a pair of Unix sockets, whose other end leads to the server.
pub fn stream_to(server: SocketAddr) -> UnixStream {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    lead(theirs, server);
    ours
}

/// Passes bytes on both ways until one side ends; how it ends is passed on, too, but for a reset, which is an end.
fn lead(socket: UnixStream, server: SocketAddr) {
    let Ok(tcp) = TcpStream::connect(server) else { return };
    let _ = tcp.set_nodelay(true);
    let (twin, tcp_twin) = (socket.try_clone().expect("a second handle"), tcp.try_clone().expect("another"));
    let spawn = |run: Box<dyn FnOnce() + Send>| {
        thread::Builder::new().name("test-door-way".into()).spawn(run).expect("a thread")
    };
    spawn(Box::new(move || {
        if pass_on(&socket, &tcp).is_err() {
            let _ = (socket.shutdown(Shutdown::Both), tcp.shutdown(Shutdown::Both));
        } else {
            let _ = tcp.shutdown(Shutdown::Write);
        }
    }));
    spawn(Box::new(move || {
        if pass_on(&tcp_twin, &twin).is_err() {
            let _ = (twin.shutdown(Shutdown::Both), tcp_twin.shutdown(Shutdown::Both));
        } else {
            let _ = twin.shutdown(Shutdown::Write);
        }
    }));
}

fn pass_on(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    io::copy(&mut from, &mut to).map(drop)
}
