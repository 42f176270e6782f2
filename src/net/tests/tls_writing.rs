//! What TLS writes, and when: records that the socket does not take at once, and what TLS writes of itself.

use std::io::Write;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use super::authority::{Authority, Made, serve, shake_hands};
use super::tls::{secured, trusting};
use super::*;
use crate::client::Client;
use crate::config::delivery::Terms;
use crate::entry::Kind;
use crate::mailbox::Mailbox;
use crate::net::tap::Direction;
use crate::session::wire::{Flush, Wire};

type AllRead = (Vec<u8>, io::Result<usize>);

/// A server that reads nothing until it is told to, and then all there is.
fn reads_when_told(authority: &Authority) -> (SocketAddr, JoinHandle<AllRead>, Sender<()>) {
    let (go, gate) = channel();
    let (address, server) = serve(authority.server("localhost", Made::Well), move |mut stream| {
        shake_hands(&mut stream).unwrap();
        gate.recv().unwrap();
        let mut all = Vec::new();
        let end = stream.read_to_end(&mut all);
        (all, end)
    });
    (address, server, go)
}

/// Tells how much was written.
fn write_until_blocked(stream: &mut Stream, data: &[u8]) -> usize {
    let mut cursor = 0;
    loop {
        match stream.write(&data[cursor..]) {
            Ok(written) => cursor += written,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                return cursor;
            }
        }
    }
}

#[test]
fn a_blocked_write_goes_on_where_it_stopped() {
    const SIZE: usize = 8 << 20;
    let authority = Authority::new();
    let (address, server, go) = reads_when_told(&authority);
    let mut turn = Loop::new();
    let mut stream = turn.dial(secured(address, &trusting(&authority))).unwrap();
    let data: Vec<u8> = (0..SIZE).map(|at| (at / 251 + at) as u8).collect();
    let mut cursor = 0;
    while stream.blocked().is_none() {
        match stream.write(&data[cursor..]) {
            Ok(written) => cursor += written,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
    assert_eq!(stream.blocked(), Some(Direction::Write));
    assert!(cursor < SIZE);
    #[cfg(target_os = "linux")]
    assert!(stream.unacknowledged().unwrap() > 0);
    go.send(()).unwrap();

    while cursor < SIZE {
        cursor += turn.until_done(|| stream.write(&data[cursor..])).unwrap();
    }
    turn.until_done(|| stream.close_write()).unwrap();

    let (all, end) = server.join().unwrap();
    end.unwrap();
    assert!(all == data);
    assert!(stream.sent() > SIZE as u64);
}

#[test]
fn what_was_told_as_written_is_what_a_server_can_read_if_the_rest_never_comes() {
    let authority = Authority::new();
    let (address, server, go) = reads_when_told(&authority);
    let mut turn = Loop::new();
    let mut stream = turn.dial(secured(address, &trusting(&authority))).unwrap();
    let data = vec![7; 16 << 20];
    let cursor = write_until_blocked(&mut stream, &data);
    assert!(cursor > 0 && cursor < data.len(), "{cursor}");
    // The socket gives what it has taken, then ends; what TLS has sealed beyond that never comes.
    stream.socket().close_write().unwrap();
    go.send(()).unwrap();
    let (all, end) = server.join().unwrap();
    end.expect_err("an end without a close_notify");
    assert_eq!(all.len(), cursor);
}

#[test]
fn records_that_go_together_leave_no_buffer_behind() {
    let authority = Authority::new();
    let (address, server) = serve(authority.server("localhost", Made::Well), |mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all)
    });
    let mut turn = Loop::new();
    let mut stream = turn.dial(secured(address, &trusting(&authority))).unwrap();
    let data = vec![7; 1 << 20];
    let mut cursor = 0;
    let mut writes = 0;
    while cursor < data.len() {
        cursor += turn.until_done(|| stream.write(&data[cursor..])).unwrap();
        writes += 1;
    }
    assert!(writes < 64, "each record of 16 KiB for itself: {writes}");
    assert!(stream.has_spare());
    stream.shrink();
    stream.shrink();
    assert!(!stream.has_spare());
    turn.until_done(|| stream.close_write()).unwrap();
    assert_eq!(server.join().unwrap().unwrap(), data.len());
}

/// As in a read in which TLS has to answer something.
#[test]
fn records_that_went_out_before_bytes_of_tls_itself_are_not_sent_again() {
    let authority = Authority::new();
    let (address, server, go) = reads_when_told(&authority);
    let mut turn = Loop::new();
    let mut stream = turn.dial(secured(address, &trusting(&authority))).unwrap();
    let data: Vec<u8> = (0..16 << 20).map(|at: u32| (at / 251 + at) as u8).collect();
    let mut cursor = write_until_blocked(&mut stream, &data);
    assert!(cursor < data.len(), "{cursor}");
    go.send(()).unwrap();
    turn.until_done(|| stream.flush_gathered()).unwrap();
    stream.shrink();
    stream.shrink();
    while cursor < data.len() {
        cursor += turn.until_done(|| stream.write(&data[cursor..])).unwrap();
    }
    turn.until_done(|| stream.close_write()).unwrap();
    let (all, end) = server.join().unwrap();
    end.unwrap();
    assert!(all == data);
}

#[test]
fn much_data_arrives_whole_and_leaves_no_buffer_behind() {
    const SIZE: usize = 4 << 20;
    let authority = Authority::new();
    let (address, _server) = serve(authority.server("localhost", Made::Well), move |mut stream| {
        let data: Vec<u8> = (0..SIZE).map(|at| (at / 251 + at) as u8).collect();
        stream.write_all(&data).unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
    });
    let mut turn = Loop::new();
    let mut stream = turn.dial(secured(address, &trusting(&authority))).unwrap();
    let (all, end) = turn.read_to_end(&mut stream);
    end.unwrap();
    assert!(all.len() == SIZE && all.iter().enumerate().all(|(at, byte)| *byte == (at / 251 + at) as u8));
    assert!(stream.received() > SIZE as u64);
    assert!(!stream.has_buffered());
}

/// As in a read in which TLS has to answer something, and that finds the end of the stream behind it.
#[test]
fn a_message_that_went_out_before_bytes_of_tls_itself_is_not_given_to_the_next_session() {
    const SIZE: usize = 60_000;
    let authority = Authority::new();
    let (address, server, go) = reads_when_told(&authority);
    let mut turn = Loop::new();
    let stream = turn.dial(secured(address, &trusting(&authority))).unwrap();
    let mailbox = Mailbox::new(&Client::builder("ws://127.0.0.1/").config().unwrap());
    let mut wire = Box::new(Wire::new(stream));
    mailbox.begin_session(&wire);
    let mut given = 0;
    loop {
        let (now, terms) = (Instant::now(), Terms::default());
        mailbox.lock().outbox.accept(Kind::Binary, &[0; SIZE], terms, None, now).unwrap();
        given += 1;
        mailbox.load(&mut wire, now);
        if wire.flush() == Flush::Blocked {
            break;
        }
    }
    go.send(()).unwrap();
    turn.until_done(|| wire.stream.flush_gathered()).unwrap();
    let mut stream = mailbox.unload(wire);
    turn.until_done(|| stream.close_write()).unwrap();
    let arrived = server.join().unwrap().0.len() / (SIZE + 8);
    assert_eq!((arrived, mailbox.lock().outbox.waiting()), (given, 0), "they had gone, to the last one");
}
