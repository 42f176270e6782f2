//! Messages that are sent in pieces, and large ones in fragments (RFC 6455 section 5.4): order, bounds, and how they break off.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use heartwire::{
    Cause, Client, DropReason, Event, Fate, Heartbeat, Initiator, Level, MessageId, MessageRef, OutboxLimits,
    SendError, SendOptions, StreamError,
};

use crate::net::{Net, SOON, close, closed, ms, opened, outcomes, received, wait};
use crate::support::RawStream;
use crate::support::frames::{FrameReader, close_frame, frame, ping_frame};
use crate::support::upgrade::{read_request_head, switching_protocols};
use crate::support::watch::within;
use crate::support::{Behaviour, Direction, Relay, Server, ServerEvent, Setup};

const WRITTEN: Fate = Fate::Completed(Level::Written);

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 % 251) as u8).collect()
}

/// A session of a script: frames as they come, with their first byte.
pub(crate) struct Script<'a> {
    stream: &'a mut RawStream,
    reader: FrameReader,
}

impl<'a> Script<'a> {
    pub(crate) fn open(stream: &'a mut RawStream) -> io::Result<Script<'a>> {
        let head = read_request_head(stream)?;
        let mut script = Script { stream, reader: FrameReader::default() };
        script.say(switching_protocols(&head, "").as_bytes())?;
        Ok(script)
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// The next frame; the stream's end is an error.
    pub(crate) fn next(&mut self) -> io::Result<(u8, Vec<u8>)> {
        loop {
            if let Some(frame) = self.reader.next_unmasked().map_err(|v| io::Error::other(v.to_string()))? {
                return Ok(frame);
            }
            let mut some = [0; 16 * 1024];
            match self.stream.read(&mut some)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                bytes => self.reader.push(&some[..bytes]),
            }
        }
    }
}

/// The fate of this message, when it is told.
#[track_caller]
fn fate(client: &Client, id: MessageId) -> Fate {
    wait(client, |event| match event {
        Event::Outcome(outcome) if outcome.covers(id) => Some(outcome.fate()),
        _ => None,
    })
}

fn a_message_in_pieces_arrives_as_one_and_what_was_sent_after_it_was_begun_comes_after_it(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).report_outcomes(true).connect().unwrap();
    let whole = pattern(5_000_000);
    let mut stream = client.stream_binary().unwrap();
    client.send_text("behind").unwrap();
    for piece in whole.chunks(70_001) {
        stream.append(piece, SOON).unwrap();
    }
    let id = stream.finish().unwrap();
    assert_eq!(id.get(), 1);
    let message = server.wait_message();
    assert!(message.as_text().is_none() && message.as_bytes() == whole);
    assert_eq!(server.wait_message().as_text(), Some("behind"));
    assert_eq!(fate(&client, id), WRITTEN);
    let stats = client.stats();
    assert_eq!((stats.messages_sent(), stats.bytes_sent()), (2, 5_000_006));
    assert_eq!((client.buffered_amount(), stats.interrupted()), (0, 0));
    close(&client);
}

fn a_text_may_be_cut_in_the_middle_of_a_character_but_has_to_be_one_as_a_whole(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).connect().unwrap();
    let text = "心跳 ❤ ".repeat(50_000);
    let mut stream = client.stream_text().unwrap();
    for piece in text.as_bytes().chunks(997) {
        stream.append(piece, SOON).unwrap();
    }
    stream.finish().unwrap();
    assert_eq!(server.wait_message().as_text(), Some(text.as_str()));

    let mut stream = client.stream_text().unwrap();
    assert_eq!(stream.try_append("ü".as_bytes()), Ok(2));
    assert_eq!(stream.try_append(&[0xC3]), Ok(1));
    assert_eq!(stream.try_append(b"x"), Err(StreamError::Utf8));
    assert_eq!(stream.append(&[0xBC, 0xFF], SOON), Err(StreamError::Utf8));
    assert_eq!(stream.try_append(&[0xBC]), Ok(1), "nothing of what was refused was taken");
    stream.finish().unwrap();
    assert_eq!(server.wait_message().as_text(), Some("üü"));
    close(&client);
}

fn a_file_can_be_copied_into_it(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).connect().unwrap();
    let mut stream = client.stream_binary().unwrap();
    let copied = io::copy(&mut io::repeat(7).take(3_000_000), &mut stream).unwrap();
    stream.flush().unwrap();
    stream.finish().unwrap();
    assert_eq!((copied, server.wait_message().as_bytes().len()), (3_000_000, 3_000_000));

    let mut text = client.stream_text().unwrap();
    let refused = text.write(&[0xFF]).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    let inside = refused.get_ref().and_then(|inside| inside.downcast_ref::<StreamError>());
    assert_eq!(inside, Some(&StreamError::Utf8));
    drop(text);
    close(&client);
}

fn without_a_session_a_bounded_part_waits_and_goes_out_on_the_next(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.refuse_new_connections();
    let client = net.to(&server).connect().unwrap();
    let mut stream = client.stream_binary().unwrap();
    let whole = pattern(1_000_000);
    let mut taken = stream.try_append(&whole).unwrap();
    assert_eq!((taken, client.buffered_amount()), (256 * 1024, 256 * 1024));
    assert_eq!(stream.try_append(b"x"), Err(StreamError::Full));
    assert_eq!(stream.append(b"x", ms(1)), Err(StreamError::TimedOut(0)));
    stream.set_write_timeout(ms(1));
    assert_eq!(stream.write(b"x").unwrap_err().kind(), io::ErrorKind::TimedOut);
    server.restart();
    while taken < whole.len() {
        match stream.append(&whole[taken..], ms(500)) {
            Ok(()) => break,
            Err(StreamError::TimedOut(some)) => taken += some,
            Err(other) => panic!("{other}"),
        }
    }
    stream.finish().unwrap();
    assert_eq!(server.wait_message().as_bytes(), whole);
    close(&client);
}

fn a_cut_in_the_middle_ends_it_and_the_next_session_begins_with_what_is_behind_it(net: &Net) {
    let server = net.server(Behaviour::silent());
    let relay = Relay::start(server.address());
    let client = net.through(&relay).report_outcomes(true).connect().unwrap();
    opened(&client);
    let mut stream = client.stream_binary().unwrap();
    let id = stream.id();
    let behind = client.send_text("behind").unwrap();
    stream.append(&pattern(200_000), SOON).unwrap();
    within(SOON, "some of it is on its way", || (client.stats().bytes_sent() > 0).then_some(()));
    relay.cut();
    let ended = loop {
        match stream.append(&[7; 1000], SOON) {
            Ok(()) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(ended, StreamError::Dropped(DropReason::Interrupted));
    assert_eq!(stream.try_append(b"x"), Err(ended));
    assert_eq!(stream.finish(), Err(ended));
    assert_eq!(fate(&client, id), Fate::Dropped(DropReason::Interrupted));
    assert_eq!(fate(&client, behind), WRITTEN);
    assert_eq!(server.wait_message().as_text(), Some("behind"));
    let mut stream = client.stream_text().unwrap();
    stream.append(b"again", SOON).unwrap();
    stream.finish().unwrap();
    assert_eq!(server.wait_message().as_text(), Some("again"));
    assert_eq!((client.stats().interrupted(), client.stats().unknown()), (1, 0));
    close(&client);
}

fn who_waits_for_room_is_told_of_a_cut_and_of_a_close(net: &Net) {
    for closes in [false, true] {
        let server = net.server(Behaviour::silent());
        let relay = Relay::start(server.address());
        let client = net.through(&relay).close_timeout(ms(200)).connect().unwrap();
        opened(&client);
        relay.hold_up();
        let mut stream = client.stream_binary().unwrap();
        let appender = std::thread::spawn(move || {
            loop {
                if let Err(error) = stream.append(&[7; 100_000], SOON) {
                    return error;
                }
            }
        });
        within(SOON, "it waits for room", || {
            let before = client.stats().bytes_sent();
            std::thread::sleep(ms(20));
            (before > 0 && client.stats().bytes_sent() == before && client.buffered_amount() >= 256 * 1024)
                .then_some(())
        });
        let began = Instant::now();
        if closes {
            client.close(1000, "").unwrap();
        } else {
            relay.cut();
        }
        let told = appender.join().unwrap();
        let why = if closes { DropReason::Closed } else { DropReason::Interrupted };
        assert_eq!(told, StreamError::Dropped(why));
        assert!(began.elapsed() < SOON / 2, "it did not wait to the end");
        drop(client);
    }
}

fn a_close_goes_between_two_fragments_and_ends_it(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).report_outcomes(true).connect().unwrap();
    opened(&client);
    let mut stream = client.stream_binary().unwrap();
    let id = stream.id();
    stream.append(&pattern(100_000), SOON).unwrap();
    let behind = client.send_text("behind").unwrap();
    within(SOON, "it is on its way", || (client.stats().bytes_sent() == 100_000).then_some(()));
    client.close(4000, "enough").unwrap();
    assert_eq!(stream.append(b"x", SOON), Err(StreamError::Dropped(DropReason::Closed)));
    assert_eq!(stream.finish(), Err(StreamError::Dropped(DropReason::Closed)));
    assert_eq!(client.stream_binary().map(|_| ()), Err(SendError::Closed));
    assert_eq!(server.wait_closed(), (Some(4000), "enough".into()));
    let closed = closed(&client);
    assert_eq!((closed.code(), closed.is_clean(), closed.by()), (4000, true, Initiator::User));
    let outcomes = outcomes(&client);
    for id in [id, behind] {
        let told: Vec<_> = outcomes.iter().filter(|outcome| outcome.covers(id)).map(|o| o.fate()).collect();
        assert_eq!(told, [Fate::Dropped(DropReason::Closed)]);
    }
    assert!(server.received().is_empty());
}

fn one_that_is_finished_is_sent_to_its_end_before_the_close(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).connect().unwrap();
    opened(&client);
    let mut stream = client.stream_binary().unwrap();
    stream.append(&pattern(200_000), SOON).unwrap();
    stream.finish().unwrap();
    client.send_text("behind").unwrap();
    close(&client);
    assert_eq!(server.wait_message().as_bytes(), pattern(200_000));
    assert_eq!(server.wait_message().as_text(), Some("behind"));
}

fn dropped_in_the_middle_it_closes_the_session_and_says_why_and_the_client_connects_again(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).report_outcomes(true).connect().unwrap();
    opened(&client);
    let mut stream = client.stream_binary().unwrap();
    let id = stream.id();
    stream.append(&pattern(50_000), SOON).unwrap();
    within(SOON, "it is on its way", || (client.stats().bytes_sent() == 50_000).then_some(()));
    client.send_text("behind").unwrap();
    drop(stream);
    let closed = closed(&client);
    assert_eq!((closed.code(), closed.by()), (1001, Initiator::Library));
    let cause = closed.error().map(|error| error.cause().clone());
    assert!(matches!(cause, Some(Cause::Abandoned)), "{closed}");
    assert!(closed.retry_in().is_some());
    let (code, reason) = server.wait_closed();
    assert_eq!(code, Some(1001));
    assert!(reason.contains("given up"), "{reason}");
    assert_eq!(server.wait_message().as_text(), Some("behind"));
    assert_eq!(server.connections(), 2);
    assert_eq!(client.stats().interrupted(), 1);
    client.close(1000, "").unwrap();
    let outcomes = outcomes(&client);
    let told: Vec<_> = outcomes.iter().filter(|outcome| outcome.covers(id)).map(|o| o.fate()).collect();
    assert_eq!(told, [Fate::Dropped(DropReason::Abandoned)]);
}

fn dropped_before_anything_went_out_it_is_as_if_it_had_never_been(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).report_outcomes(true).build().unwrap();
    let mut stream = client.stream_binary().unwrap();
    stream.append(b"nothing of it", SOON).unwrap();
    let id = stream.id();
    client.send_text("behind").unwrap();
    drop(stream);
    client.connect().unwrap();
    assert_eq!(fate(&client, id), Fate::Dropped(DropReason::Abandoned));
    assert_eq!(server.wait_message().as_text(), Some("behind"));

    // Begun while a session is open, but nothing was appended.
    drop(client.stream_text().unwrap());
    client.send_text("behind that, too").unwrap();
    assert_eq!(server.wait_message().as_text(), Some("behind that, too"));
    assert_eq!((client.stats().sessions(), client.buffered_amount()), (1, 0));
    close(&client);
}

fn one_that_expires_at_its_place_lets_what_is_behind_it_go(net: &Net) {
    let server = net.server(Behaviour::silent());
    let limits = OutboxLimits::new().time_to_live(ms(50));
    let client = net.to(&server).outbox(limits).connect().unwrap();
    opened(&client);
    let mut stream = client.stream_binary().unwrap();
    let long = SendOptions::new().time_to_live(SOON * 2);
    client.send_with(MessageRef::Text("behind"), long).unwrap();
    assert_eq!(server.wait_message().as_text(), Some("behind"));
    assert_eq!(stream.try_append(b"late"), Err(StreamError::Dropped(DropReason::Expired)));
    close(&client);
}

fn one_that_is_given_up_makes_room_and_that_is_told(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).outbox(OutboxLimits::new().messages(1)).connect().unwrap();
    opened(&client);
    let stream = client.stream_binary().unwrap();
    assert_eq!(client.send_text("in vain"), Err(SendError::Full));
    drop(stream);
    wait(&client, |event| matches!(event, Event::Writable).then_some(()));
    client.send_text("there is room").unwrap();
    assert_eq!(server.wait_message().as_text(), Some("there is room"));
    close(&client);
}

fn it_does_not_keep_its_client_alive(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).connect().unwrap();
    opened(&client);
    let mut stream = client.stream_binary().unwrap();
    stream.append(b"x", SOON).unwrap();
    let weak = client.downgrade();
    drop(client);
    assert!(weak.upgrade().is_none());
    assert_eq!(stream.append(b"x", SOON), Err(StreamError::Dropped(DropReason::Closed)));
    server.wait_ended();
}

/// A handler that waited for room would wait for itself.
fn in_a_handler_it_takes_what_there_is_room_for_and_does_not_wait(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).build().unwrap();
    let told = Arc::new(Mutex::new(None));
    let tell = told.clone();
    client.on_open(move |client, _| {
        let mut stream = client.stream_binary().unwrap();
        let long = stream.append(&[7; 300_000], SOON);
        let more = stream.append(b"x", SOON);
        let written = stream.write(b"x").map_err(|error| error.kind());
        *tell.lock().unwrap() = Some((long, more, written));
        stream.finish().unwrap();
    });
    client.connect().unwrap();
    assert_eq!(server.wait_message().as_bytes(), [7; 256 * 1024]);
    let told = told.lock().unwrap().take().unwrap();
    let full = Err(StreamError::WouldDeadlock(0));
    assert_eq!(told, (Err(StreamError::WouldDeadlock(256 * 1024)), full, Err(io::ErrorKind::Deadlock)));
    close(&client);
}

fn pings_are_answered_between_its_pieces_however_long_they_take(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).heartbeat(Heartbeat::ping().every(ms(20)).timeout(SOON)).connect().unwrap();
    opened(&client);
    let (n, _) = server.wait_connected();
    let mut stream = client.stream_binary().unwrap();
    for round in 0..5 {
        stream.append(&[round; 1000], SOON).unwrap();
        server.ping(n, &[round]);
        let (mut pong, mut beat) = (false, false);
        server.wait_for(SOON, |event| {
            pong |= matches!(event, ServerEvent::Pong { data, .. } if *data == [round]);
            beat |= matches!(event, ServerEvent::Ping { .. });
            (pong && beat).then_some(())
        });
    }
    stream.finish().unwrap();
    assert_eq!(server.wait_message().as_bytes().len(), 5000);
    close(&client);
}

/// A text cannot go between fragments; the session must not be taken for dead because of that.
fn in_the_middle_a_ping_stands_in_for_a_text_heartbeat(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.answer_text_pings(true);
    let beats =
        Heartbeat::text("ping").reply("pong").every(ms(20)).timeout(ms(2000)).max_missed(1).reply_only();
    let client = net.to(&server).heartbeat(beats).connect().unwrap();
    opened(&client);
    let mut stream = client.stream_text().unwrap();
    stream.append(b"a message", SOON).unwrap();
    for _ in 0..5 {
        server.wait_for(SOON, |event| matches!(event, ServerEvent::Ping { .. }).then_some(()));
        wait(&client, |event| matches!(event, Event::Heartbeat(_)).then_some(()));
    }
    stream.finish().unwrap();
    let texts = |server: &Server| server.received_texts();
    within(SOON, "texts again", || {
        (texts(&server).iter().filter(|text| *text == "ping").count() > 2).then_some(())
    });
    assert!(texts(&server).contains(&"a message".to_string()));
    assert_eq!(client.stats().sessions(), 1);
    close(&client);
}

#[cfg(feature = "deflate")]
fn it_goes_uncompressed_whatever_was_agreed_on(net: &Net) {
    use crate::support::deflate::agreeing;
    let seen: Arc<Mutex<Vec<u8>>> = Arc::default();
    let see = seen.clone();
    let server = net.server(Behaviour::raw(move |stream, _| {
        let Ok(head) = read_request_head(stream) else { return };
        let mut script = Script { stream, reader: FrameReader::default() };
        let _ = script.say(agreeing(&head, "").as_bytes());
        while let Ok((first, _)) = script.next() {
            see.lock().unwrap().push(first);
            if first == 0x88 {
                let _ = script.say(&close_frame(1000, ""));
            }
        }
    }));
    let client = net.to(&server).compression(heartwire::Deflate::new().threshold(10)).build().unwrap();
    let mut short = client.stream_text().unwrap();
    short.append(&[b'x'; 1000], SOON).unwrap();
    short.finish().unwrap();
    client.connect().unwrap();
    opened(&client);
    let mut stream = client.stream_text().unwrap();
    stream.append(&[b'x'; 150_000], SOON).unwrap();
    client.send_text(&"y".repeat(100)).unwrap();
    stream.finish().unwrap();
    close(&client);
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen[..2], [0x81, 0x01], "{seen:x?}");
    assert!(seen[2..].iter().all(|first| matches!(first, 0x00 | 0x80 | 0xC1 | 0x88)), "{seen:x?}");
    assert_eq!(seen[seen.len() - 3..], [0x80, 0xC1, 0x88]);
}

// ---- fragments of large messages ----------------------------------------------------------------

const LARGE: usize = 24 << 20;
const FRAGMENT: usize = 32 << 10;

/// A server that pings in the middle of a large message and tells how much of it came before the answer.
fn pinging(net: &Net, told: &Arc<AtomicUsize>) -> Server {
    let tell = told.clone();
    net.server(Behaviour::raw(move |stream, _| {
        let Ok(mut script) = Script::open(stream) else { return };
        // Before the first byte of it is taken: the system's buffers fill up meanwhile.
        let _ = script.say(&ping_frame(b"are you there?"));
        let mut before = 0;
        while let Ok((first, payload)) = script.next() {
            match first {
                0x8A => tell.store(before + 1, Ordering::SeqCst),
                0x88 => {
                    let _ = script.say(&frame(8, &payload));
                }
                _ => before += payload.len(),
            }
        }
    }))
}

fn a_ping_is_answered_in_the_middle_of_a_large_message(net: &Net) {
    let told = Arc::new(AtomicUsize::new(0));
    let server = pinging(net, &told);
    // The message is there before the ping is.
    let limits = heartwire::OutboxLimits::new().bytes(LARGE);
    let client = net.to(&server).fragment_size(FRAGMENT).outbox(limits).close_timeout(SOON).build().unwrap();
    client.send_binary(&vec![7; LARGE]).unwrap();
    client.connect().unwrap();
    let before = within(SOON, "the pong", || Some(told.load(Ordering::SeqCst)).filter(|before| *before > 0));
    // What the system's buffers held, and no more than that and a few fragments.
    assert!(before < LARGE / 2, "after {before} bytes");
    close(&client);
}

fn a_large_message_that_is_fragmented_arrives_whole_and_goes_out_again_after_a_cut(net: &Net) {
    let server = net.server(Behaviour::silent());
    let relay = Relay::start(server.address());
    let client = net.through(&relay).fragment_size(1000).report_outcomes(true).build().unwrap();
    relay.cut_after(Direction::Up, 300_000);
    let whole = pattern(2_000_000);
    let id = client.send_binary(&whole).unwrap();
    client.send_text("behind").unwrap();
    client.connect().unwrap();
    closed(&client);
    relay.cut_after(Direction::Up, u64::MAX);
    assert_eq!(server.wait_message().as_bytes(), whole);
    assert_eq!(server.wait_message().as_text(), Some("behind"));
    assert_eq!(fate(&client, id), WRITTEN);
    close(&client);
}

fn a_close_of_the_servers_is_answered_in_the_middle_and_the_message_goes_out_again(net: &Net) {
    let whole = pattern(LARGE / 2);
    let again = Arc::new(Mutex::new(None));
    let keep = again.clone();
    let server = net.start(Setup::each(move |n| {
        if n > 1 {
            return Behaviour::silent();
        }
        let keep = keep.clone();
        Behaviour::raw(move |stream, _| {
            let Ok(mut script) = Script::open(stream) else { return };
            let _ = script.say(&close_frame(1012, "restart"));
            let mut before = 0;
            while let Ok((first, payload)) = script.next() {
                if first == 0x88 {
                    *keep.lock().unwrap() = Some((before, payload));
                    return;
                }
                before += payload.len();
            }
        })
    }));
    let limits = heartwire::OutboxLimits::new().bytes(LARGE);
    let client = net.to(&server).fragment_size(FRAGMENT).outbox(limits).close_timeout(SOON).build().unwrap();
    client.send_binary(&whole).unwrap();
    client.connect().unwrap();
    let closed = closed(&client);
    assert_eq!((closed.code(), closed.is_clean(), closed.by()), (1012, true, Initiator::Server), "{closed}");
    let (before, answer) = again.lock().unwrap().clone().expect("the answer to the Close");
    assert_eq!(answer[..2], 1012_u16.to_be_bytes());
    assert!(before < whole.len(), "after all of it");
    assert!(server.wait_message().as_bytes() == whole);
    close(&client);
}

fn a_fragment_size_that_cannot_be_is_refused(net: &Net) {
    let server = net.server(Behaviour::echo());
    for (size, good) in [(0, false), (127, false), (128, true), (usize::MAX, true)] {
        let built = net.to(&server).fragment_size(size).build();
        match built {
            Ok(client) => {
                assert!(good, "{size}");
                client.connect().unwrap();
                client.send_binary(&pattern(1000)).unwrap();
                assert_eq!(received(&client).as_bytes(), pattern(1000));
                close(&client);
            }
            Err(error) => assert!(!good && error.setting() == "fragment_size", "{size}: {error}"),
        }
    }
}

stamp! {
    a_message_in_pieces_arrives_as_one_and_what_was_sent_after_it_was_begun_comes_after_it,
    a_text_may_be_cut_in_the_middle_of_a_character_but_has_to_be_one_as_a_whole,
    a_file_can_be_copied_into_it,
    without_a_session_a_bounded_part_waits_and_goes_out_on_the_next,
    a_cut_in_the_middle_ends_it_and_the_next_session_begins_with_what_is_behind_it,
    who_waits_for_room_is_told_of_a_cut_and_of_a_close,
    a_close_goes_between_two_fragments_and_ends_it,
    one_that_is_finished_is_sent_to_its_end_before_the_close,
    dropped_in_the_middle_it_closes_the_session_and_says_why_and_the_client_connects_again,
    dropped_before_anything_went_out_it_is_as_if_it_had_never_been,
    one_that_expires_at_its_place_lets_what_is_behind_it_go,
    one_that_is_given_up_makes_room_and_that_is_told,
    it_does_not_keep_its_client_alive,
    in_a_handler_it_takes_what_there_is_room_for_and_does_not_wait,
    pings_are_answered_between_its_pieces_however_long_they_take,
    in_the_middle_a_ping_stands_in_for_a_text_heartbeat,
    a_ping_is_answered_in_the_middle_of_a_large_message,
    a_large_message_that_is_fragmented_arrives_whole_and_goes_out_again_after_a_cut,
    a_close_of_the_servers_is_answered_in_the_middle_and_the_message_goes_out_again,
    a_fragment_size_that_cannot_be_is_refused,
}

#[cfg(feature = "deflate")]
mod compressed {
    use super::it_goes_uncompressed_whatever_was_agreed_on;
    stamp! { it_goes_uncompressed_whatever_was_agreed_on }
}
