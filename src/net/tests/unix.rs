//! Unix sockets that refuse, and streams that the program brings.

use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use socket2::{Domain, SockAddr, SockRef, Socket as Raw, Type};

use super::*;
use crate::error::Phase;
use crate::net::resolve;
use crate::net::socket::Socket;

/// A path in the system's place for such things, with nothing there at its end.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("heartwire-net-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Place(std::env::temp_dir().join(name))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn at(place: &Place) -> Target {
    Target { unix: Some(place.0.as_path().into()), ..named("nobody") }
}

#[track_caller]
fn refused(place: &Place) -> LinkError {
    let mut turn = Loop::new();
    let mut dial = turn.start(at(place), None);
    assert_eq!(dial.phase(), Phase::Connect);
    let Err(error) = turn.finish(&mut dial) else { panic!("connected") };
    assert_eq!(error.phase(), Phase::Connect);
    let path = place.0.display().to_string();
    assert!(error.to_string().starts_with(&format!("connect failed: {path}: ")), "{error}");
    error
}

#[test]
fn a_unix_socket_is_connected_without_a_lookup() {
    let _names = resolve::tests::replace(|_, _| panic!("looked up"));
    let place = Place::new();
    let listener = UnixListener::bind(&place.0).unwrap();
    let mut turn = Loop::new();
    let mut stream = turn.dial(at(&place)).unwrap();
    let mut peer = listener.accept().unwrap().0;
    assert!(matches!(stream.socket(), Socket::Other(_)));
    assert_eq!(stream.unacknowledged(), None);

    stream.write_all(b"hello").unwrap();
    peer.read_exact(&mut [0; 5]).unwrap();
    peer.write_all(b"you").unwrap();
    assert_eq!(turn.until_done(|| stream.read(&mut [0; 9])).unwrap(), 3);
    stream.close_write().unwrap();
    assert_eq!(peer.read(&mut [0; 9]).unwrap(), 0);
    peer.write_all(b"late").unwrap();
    drop(peer);
    assert_eq!(turn.read_to_end(&mut stream).0, b"late");
}

#[test]
fn an_absent_socket_and_one_that_nobody_listens_on_give_the_systems_number() {
    let place = Place::new();
    assert_eq!(refused(&place).os_error(), Some(libc::ENOENT));
    drop(UnixListener::bind(&place.0).unwrap());
    assert_eq!(refused(&place).os_error(), Some(libc::ECONNREFUSED));
}

#[cfg(target_os = "linux")]
#[test]
fn a_socket_whose_queue_is_full_refuses_at_once() {
    let place = Place::new();
    let listener = Raw::new(Domain::UNIX, Type::STREAM, None).unwrap();
    listener.bind(&SockAddr::unix(&place.0).unwrap()).unwrap();
    listener.listen(0).unwrap();
    let mut waiting = Vec::new();
    let full = loop {
        let socket = Raw::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        match socket.connect(&SockAddr::unix(&place.0).unwrap()) {
            Ok(()) => waiting.push(socket),
            Err(error) => break error,
        }
    };
    assert_eq!(refused(&place).os_error(), full.raw_os_error());
}

#[test]
fn a_write_to_a_unix_socket_whose_peer_is_gone_is_an_error_and_no_signal() {
    let place = Place::new();
    let listener = UnixListener::bind(&place.0).unwrap();
    let mut stream = Loop::new().dial(at(&place)).unwrap();
    drop(listener);
    assert_eq!(stream.write(b"anyone?").unwrap_err().raw_os_error(), Some(libc::EPIPE));
}

fn over(turn: &Loop, stream: impl crate::net::socket::Descriptor + 'static) -> Dial {
    let waker = turn.waker.clone();
    let wake = Arc::new(move || waker.wake().unwrap());
    Dial::over(Socket::brought(stream), Arc::new(named("nobody")), wake, Instant::now())
}

#[test]
fn a_brought_stream_is_set_to_non_blocking_and_told_of_when_it_is_ready() {
    let _names = resolve::tests::replace(|_, _| panic!("looked up"));
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let twin = ours.try_clone().unwrap();
    let mut turn = Loop::new();
    let mut dial = over(&turn, ours);
    assert_eq!(dial.phase(), Phase::Connect);
    let mut stream = turn.finish(&mut dial).unwrap();
    assert!(SockRef::from(&twin).nonblocking().unwrap());
    let mut some = [0; 100];
    assert_eq!(stream.read(&mut some).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    let writer = std::thread::spawn(move || {
        theirs.write_all(b"late").unwrap();
        theirs
    });
    assert_eq!(turn.until_done(|| stream.read(&mut some)).unwrap(), 4);
    assert!(!stream.read_was_short(), "it may hold bytes back");
    let mut theirs = writer.join().unwrap();
    stream.close_write().unwrap();
    assert_eq!(theirs.read(&mut some).unwrap(), 0);
}

/// Panics, or tells of more bytes than there were.
struct Broken(UnixStream, bool);

impl Read for Broken {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.1 { Ok(into.len() + 1) } else { panic!("on purpose") }
    }
}

impl Write for Broken {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.read(&mut vec![0; from.len()])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl std::os::fd::AsFd for Broken {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        if !self.1 {
            panic!("on purpose");
        }
    }
}

#[test]
fn a_brought_stream_that_is_wrong_fails_and_does_no_harm() {
    for (lies, part) in [(false, "panicked"), (true, "too many bytes")] {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut turn = Loop::new();
        let mut dial = over(&turn, Broken(ours, lies));
        let mut stream = turn.finish(&mut dial).unwrap();
        assert!(stream.read(&mut [0; 9]).unwrap_err().to_string().contains(part));
        assert!(stream.write(&[0; 9]).unwrap_err().to_string().contains(part));
        drop(stream);
    }
}

/// A stream that the program keeps, too.
struct Kept(Arc<UnixStream>);

impl Read for Kept {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(into)
    }
}

impl Write for Kept {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        (&*self.0).write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl std::os::fd::AsFd for Kept {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[test]
fn a_descriptor_that_the_program_keeps_serves_the_next_attempt_too() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let ours = Arc::new(ours);
    let mut turn = Loop::new();
    for _ in 0..2 {
        let mut dial = over(&turn, Kept(ours.clone()));
        let mut stream = turn.finish(&mut dial).unwrap();
        let mut some = [0; 9];
        assert_eq!(stream.read(&mut some).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        theirs.write_all(b"hello").unwrap();
        assert_eq!(turn.until_done(|| stream.read(&mut some)).unwrap(), 5);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_descriptor_that_cannot_be_polled_fails_in_the_phase_connect() {
    let place = Place::new();
    let file = std::fs::File::create(&place.0).unwrap();
    let mut turn = Loop::new();
    let mut dial = over(&turn, file);
    let Err(error) = turn.finish(&mut dial) else { panic!("connected") };
    assert_eq!((error.phase(), error.os_error()), (Phase::Connect, Some(libc::EPERM)));
}
