//! A plain stream: what it counts, how it ends.

use std::io::Write;
use std::net::TcpListener;

use super::*;
use crate::error::Phase;
use crate::net::tap::Direction;

fn pair(turn: &mut Loop) -> (Stream, std::net::TcpStream) {
    let listener = TcpListener::bind((LOCALHOST, 0)).unwrap();
    let stream = turn.dial(to(listener.local_addr().unwrap())).unwrap();
    let peer = listener.accept().unwrap().0;
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    (stream, peer)
}

#[test]
fn bytes_are_counted_each_way() {
    let mut turn = Loop::new();
    let (mut stream, mut peer) = pair(&mut turn);
    assert_eq!(stream.write(b"hello").unwrap(), 5);
    peer.read_exact(&mut [0; 5]).unwrap();
    peer.write_all(b"you").unwrap();
    assert_eq!(turn.until_done(|| stream.read(&mut [0; 100])).unwrap(), 3);
    assert!(stream.read_was_short() && !stream.has_buffered());
    assert_eq!((stream.sent(), stream.received()), (5, 3));
}

#[test]
fn the_direction_that_blocked_is_known() {
    let mut turn = Loop::new();
    let (mut stream, _peer) = pair(&mut turn);
    assert_eq!(stream.read(&mut [0; 9]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(stream.blocked(), Some(Direction::Read));
    while stream.write(&[7; 65536]).is_ok() {
        assert_eq!(stream.blocked(), None);
    }
    assert_eq!(stream.blocked(), Some(Direction::Write));
}

#[test]
fn closing_the_write_half_leaves_the_other_open() {
    let mut turn = Loop::new();
    let (mut stream, mut peer) = pair(&mut turn);
    stream.close_write().unwrap();
    stream.close_write().unwrap();
    assert_eq!(peer.read(&mut [0; 9]).unwrap(), 0);
    peer.write_all(b"late").unwrap();
    drop(peer);
    let (all, end) = turn.read_to_end(&mut stream);
    end.unwrap();
    assert_eq!(all, b"late");
}

#[cfg(unix)]
#[test]
fn an_aborted_stream_is_reset() {
    let mut turn = Loop::new();
    let (stream, mut peer) = pair(&mut turn);
    stream.abort();
    assert_eq!(peer.read(&mut [0; 9]).unwrap_err().raw_os_error(), Some(libc::ECONNRESET));
}

#[cfg(unix)]
#[test]
fn a_write_to_a_peer_that_is_gone_is_an_error_and_no_signal() {
    let mut turn = Loop::new();
    let (mut stream, peer) = pair(&mut turn);
    drop(peer);
    let error = loop {
        match turn.until_done(|| stream.write(b"anyone?")) {
            Ok(_) => turn.wait(Some(Instant::now() + Duration::from_millis(1))),
            Err(error) => break error,
        }
    };
    let error = stream.link_error(Phase::Open, error);
    assert_eq!(error.phase(), Phase::Open);
    assert!(matches!(error.os_error(), Some(libc::EPIPE | libc::ECONNRESET)), "{error}");
}
