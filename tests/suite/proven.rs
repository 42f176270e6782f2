//! How far messages got: each level is told of when it is reached, once, and not before it is proven.

use std::io;

use heartwire::{
    Builder, Client, Event, Fate, Heartbeat, Level, MessageId, MessageRef, OutboxLimits, SendOptions,
};

use crate::net::{Net, SOON, close, closed, ms, opened, outcomes, received, wait};
use crate::streaming::Script;
use crate::support::frames::{frame, pong_frame};
use crate::support::watch::within;
use crate::support::{Behaviour, Relay, ServerEvent};

const PING: u8 = 0x89;
const TEXT: u8 = 0x81;

/// The fates of messages 1 to `last`, when all of them were told of, each once; and in how many ranges that was.
#[track_caller]
pub(crate) fn fates(client: &Client, last: u64) -> (Vec<Fate>, usize) {
    let (mut fates, mut ranges) = (vec![None; last as usize], 0);
    wait(client, |event| {
        if let Event::Outcome(outcome) = event {
            ranges += 1;
            for id in outcome.first().get()..=outcome.last().get() {
                let fate = &mut fates[id as usize - 1];
                assert_eq!(fate.replace(outcome.fate()), None, "message {id} was told of twice");
            }
        }
        fates.iter().all(Option::is_some).then_some(())
    });
    (fates.into_iter().flatten().collect(), ranges)
}

#[track_caller]
pub(crate) fn fate(client: &Client, id: MessageId) -> Fate {
    wait(client, |event| match event {
        Event::Outcome(outcome) if outcome.covers(id) => Some(outcome.fate()),
        _ => None,
    })
}

/// Sends a text that is complete at this level.
#[track_caller]
pub(crate) fn send_at(client: &Client, text: &str, level: Level) -> MessageId {
    client.send_with(MessageRef::Text(text), SendOptions::new().complete_at(level)).unwrap()
}

/// To a session of a script's, which ends with it.
fn scripted(net: &Net, script: fn(Script<'_>) -> io::Result<()>) -> (crate::support::Server, Builder) {
    let server = net.server(Behaviour::raw(move |stream, _| {
        // However it breaks off, the client is who tells.
        let _ = Script::open(stream).and_then(script);
    }));
    let builder = net.to(&server).report_outcomes(true);
    (server, builder)
}

/// The next ping's payload; what comes before it is skipped.
fn ping(script: &mut Script<'_>) -> io::Result<Vec<u8>> {
    loop {
        if let (PING, payload) = script.next()? {
            return Ok(payload);
        }
    }
}

/// Skips all up to this text; answers the last ping among it.
fn until(script: &mut Script<'_>, text: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut last = None;
    loop {
        match script.next()? {
            (PING, payload) => last = Some(payload),
            (TEXT, payload) if payload == text => return Ok(last),
            _ => {}
        }
    }
}

fn each_level_is_reached_and_told_of_once_in_few_ranges(net: &Net) {
    const COUNT: u64 = 1000;
    let server = net.server(Behaviour::silent());
    for level in [Level::Written, Level::Acked, Level::Processed] {
        let client = net.to(&server).complete_at(level).report_outcomes(true).build().unwrap();
        for i in 0..COUNT {
            client.send_text(&i.to_string()).unwrap();
        }
        client.connect().unwrap();
        let (fates, ranges) = fates(&client, COUNT);
        assert!(fates.iter().all(|fate| *fate == Fate::Completed(level)), "{level:?}");
        assert!(ranges <= 10, "{ranges} ranges");
        // One by one, too, each written on this thread.
        for i in 1..=10 {
            assert_eq!(fate(&client, client.send_text("one").unwrap()), Fate::Completed(level), "{i}");
        }
        let stats = client.stats();
        assert_eq!((stats.messages_sent(), stats.unconfirmed(), stats.unknown()), (COUNT + 10, 0, 0));
        client.close(1000, "").unwrap();
        assert_eq!(outcomes(&client), [], "all was told of before");
    }
    assert_eq!(server.received().len() as u64, 3 * (COUNT + 10));
}

fn what_the_server_takes_and_never_reads_as_frames_is_acknowledged_and_never_processed(net: &Net) {
    let (server, builder) = scripted(net, |mut script| {
        // As bytes only. The stream's end is an error of another kind.
        loop {
            script.next()?;
        }
    });
    let client = builder.connect().unwrap();
    opened(&client);
    let processed = send_at(&client, "processed", Level::Processed);
    let acked = send_at(&client, "acked", Level::Acked);
    assert_eq!(fate(&client, acked), Fate::Completed(Level::Acked));
    client.flush_to(Level::Acked, SOON).unwrap();
    assert!(client.flush_to(Level::Processed, ms(100)).is_err());
    assert_eq!(client.stats().unconfirmed(), 1);
    server.cut(1);
    assert_eq!(fate(&client, processed), Fate::Unknown(Level::Acked));
    assert_eq!((client.stats().unknown(), client.stats().unconfirmed()), (1, 0));
    close(&client);
}

/// Every second message is to be acknowledged, every other one processed, by a server whose machine takes no more
/// after a while: what got through, what stayed in this machine's buffers, and what was not written are three
/// stretches, in this order.
fn what_a_full_buffer_holds_is_written_only(net: &Net) {
    const COUNT: u64 = 400;
    let server = net.server(Behaviour::silent());
    let relay = Relay::start(server.address());
    let limits = OutboxLimits::new().bytes(64 << 20);
    let client = net.through(&relay).outbox(limits).report_outcomes(true).connect().unwrap();
    opened(&client);
    relay.hold_up();
    let payload = vec![7; 64 << 10];
    for i in 0..COUNT {
        let level = if i % 2 == 0 { Level::Acked } else { Level::Processed };
        client.send_with(MessageRef::Binary(&payload), SendOptions::new().complete_at(level)).unwrap();
    }
    let mut last = None;
    within(SOON, "the buffers are full", || {
        let now = client.buffered_amount();
        let at_rest = last.replace(now) == Some(now);
        std::thread::sleep(ms(if at_rest { 0 } else { 100 }));
        at_rest.then_some(())
    });
    assert!(client.buffered_amount() > 0, "more than the buffers hold");
    relay.cut();
    relay.flow();
    let (fates, _) = fates(&client, COUNT);
    let got_through =
        |fate: &Fate| matches!(fate, Fate::Completed(Level::Acked) | Fate::Unknown(Level::Acked));
    let through = fates.iter().take_while(|fate| got_through(fate)).count();
    let written = fates[through..].iter().take_while(|fate| **fate == Fate::Unknown(Level::Written)).count();
    assert!(through > 0 && written > 0, "{through}, {written}");
    for (i, fate) in fates.iter().enumerate() {
        let expected = match (i % 2, i) {
            (0, i) if i < through => Fate::Completed(Level::Acked),
            (_, i) if i < through => Fate::Unknown(Level::Acked),
            (_, i) if i < through + written => Fate::Unknown(Level::Written),
            (0, _) => Fate::Completed(Level::Acked),
            (_, _) => Fate::Completed(Level::Processed),
        };
        assert_eq!(*fate, expected, "message {} of {through} + {written}", i + 1);
    }
    close(&client);
    // The relay had read nothing of them.
    assert_eq!(server.received().len(), COUNT as usize - through - written);
}

fn a_server_that_answers_no_pings_processes_nothing_and_the_session_stays(net: &Net) {
    let server = net.server(Behaviour::echo());
    server.answer_pings(false);
    let client = net.to(&server).complete_at(Level::Processed).report_outcomes(true).connect().unwrap();
    let id = client.send_text("echoed").unwrap();
    // The server has read it beyond doubt, but an answer of the program's proves nothing to the library.
    assert_eq!(received(&client).as_text(), Some("echoed"));
    assert_eq!(client.stats().unconfirmed(), 1);
    assert_eq!(client.state(), heartwire::State::Open);
    server.answer_pings(true);
    // It answers the last one only (RFC 6455 section 5.5.3), and a further one is asked.
    client.ping(b"mine").unwrap();
    assert_eq!(fate(&client, id), Fate::Completed(Level::Processed));
    assert_eq!(client.stats().sessions(), 1);
    close(&client);
}

fn a_heartbeat_that_takes_the_pings_place_costs_no_proof(net: &Net) {
    let (_server, builder) = scripted(net, |mut script| {
        // Of the first two, the client's and its heartbeat's, the last one is answered.
        ping(&mut script)?;
        loop {
            let last = ping(&mut script)?;
            script.say(&pong_frame(&last))?;
        }
    });
    let beat = Heartbeat::ping().every(ms(50)).timeout(SOON);
    let client = builder.heartbeat(beat).complete_at(Level::Processed).connect().unwrap();
    assert_eq!(fate(&client, client.send_text("x").unwrap()), Fate::Completed(Level::Processed));
}

/// With the key of a ping, another number.
fn forged(payload: &[u8], by: i64) -> Vec<u8> {
    let (key, number) = payload.split_at(8);
    let number = u64::from_be_bytes(number.try_into().unwrap()).wrapping_add_signed(by);
    [key, &number.to_be_bytes()].concat()
}

fn pongs_that_answer_no_ping_prove_nothing(net: &Net) {
    let (_server, builder) = scripted(net, |mut script| {
        // Before anything was asked.
        script.say(&pong_frame(b"unsolicited"))?;
        let asked = ping(&mut script)?;
        let others: [&[u8]; 4] = [b"", b"unsolicited", &asked[1..], &[asked.clone(), vec![0]].concat()];
        for other in others {
            script.say(&pong_frame(other))?;
        }
        for by in [-1, 100, i64::MAX] {
            script.say(&pong_frame(&forged(&asked, by)))?;
        }
        script.say(&frame(1, b"nothing proven"))?;
        // What the client may have asked meanwhile stays without an answer.
        until(&mut script, b"go on")?;
        script.say(&pong_frame(&asked))?;
        script.say(&frame(1, b"proven"))?;
        until(&mut script, b"second")?;
        // The pong that was good for the first message, doubled.
        for _ in 0..2 {
            script.say(&pong_frame(&asked))?;
        }
        script.say(&frame(1, b"nothing proven"))?;
        let asked = match until(&mut script, b"go on")? {
            Some(asked) => asked,
            None => ping(&mut script)?,
        };
        script.say(&pong_frame(&asked))?;
        loop {
            script.next()?;
        }
    });
    let client = builder.complete_at(Level::Processed).connect().unwrap();
    opened(&client);
    client.send_text("first").unwrap();
    assert_eq!(received(&client).as_text(), Some("nothing proven"));
    assert_eq!(client.stats().unconfirmed(), 1);
    send_at(&client, "go on", Level::Written);
    assert_eq!(received(&client).as_text(), Some("proven"));
    assert_eq!(client.stats().unconfirmed(), 0);
    let second = client.send_text("second").unwrap();
    assert_eq!(received(&client).as_text(), Some("nothing proven"));
    assert_eq!(client.stats().unconfirmed(), 1);
    send_at(&client, "go on", Level::Written);
    assert_eq!(fate(&client, second), Fate::Completed(Level::Processed));
}

/// Some servers send pongs of their own as a heartbeat (RFC 6455 section 5.5.3). Where many of them come while an
/// answer is on its way, the answer still counts.
fn many_pongs_on_their_own_do_not_keep_the_answer_from_counting(net: &Net) {
    let (_server, builder) = scripted(net, |mut script| {
        let mut asked = std::collections::VecDeque::new();
        loop {
            asked.push_back(ping(&mut script)?);
            // The way back is so long that twelve of them are on it.
            let answer = if asked.len() > 12 { asked.pop_front() } else { None };
            if let Some(answer) = answer {
                script.say(&pong_frame(&answer))?;
            }
            script.say(&pong_frame(b"alive"))?;
        }
    });
    let client = builder.complete_at(Level::Processed).connect().unwrap();
    assert_eq!(fate(&client, client.send_text("x").unwrap()), Fate::Completed(Level::Processed));
}

fn a_message_in_pieces_reaches_its_level(net: &Net) {
    let server = net.server(Behaviour::silent());
    for level in [Level::Acked, Level::Processed] {
        let client = net.to(&server).complete_at(level).report_outcomes(true).connect().unwrap();
        let mut message = client.stream_binary().unwrap();
        message.append(&vec![7; 300_000], SOON).unwrap();
        let small = send_at(&client, "behind it", Level::Written);
        message.append(b"end", SOON).unwrap();
        let id = message.finish().unwrap();
        let mut told = [None; 2];
        wait(&client, |event| {
            if let Event::Outcome(outcome) = event {
                for (told, id) in told.iter_mut().zip([id, small]) {
                    *told = told.or(outcome.covers(id).then_some(outcome.fate()));
                }
            }
            told.iter().all(Option::is_some).then_some(())
        });
        assert_eq!(told, [Some(Fate::Completed(level)), Some(Fate::Completed(Level::Written))]);
        close(&client);
    }
    // Written whole and lost is another thing than cut.
    server.answer_pings(false);
    let client = net.to(&server).complete_at(Level::Processed).report_outcomes(true).connect().unwrap();
    let mut message = client.stream_binary().unwrap();
    message.append(b"all of it", SOON).unwrap();
    let id = message.finish().unwrap();
    server.wait_for(SOON, |event| match event {
        ServerEvent::Message { message, .. } => (message.as_bytes() == b"all of it").then_some(()),
        _ => None,
    });
    client.flush_to(Level::Acked, SOON).unwrap();
    server.cut_all();
    assert_eq!(fate(&client, id), Fate::Unknown(Level::Acked));
    close(&client);
}

fn levels_hold_for_messages_in_several_frames(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net
        .to(&server)
        .fragment_size(128)
        .complete_at(Level::Processed)
        .report_outcomes(true)
        .connect()
        .unwrap();
    for i in 0..20_usize {
        client.send_binary(&vec![i as u8; 1000 * i * i]).unwrap();
    }
    let (fates, _) = fates(&client, 20);
    assert_eq!(fates, [Fate::Completed(Level::Processed); 20]);
    let lengths: Vec<_> = server.received().iter().map(|(_, message)| message.as_bytes().len()).collect();
    assert!(lengths.into_iter().eq((0..20).map(|i| 1000 * i * i)));
    close(&client);
}

#[cfg(unix)]
fn over_a_unix_socket_the_kernel_tells_nothing_and_pongs_do(net: &Net) {
    let server = net.server(Behaviour::silent());
    let door = crate::support::door::Door::to(server.address());
    let url = net.url("127.0.0.1:1".parse().unwrap());
    let client = net.builder(&url).unix_socket(door.path()).report_outcomes(true).connect().unwrap();
    opened(&client);
    let acked = send_at(&client, "acked", Level::Acked);
    let processed = send_at(&client, "processed", Level::Processed);
    let fates = fates(&client, 2).0;
    // The pong proves the lower level as well.
    assert_eq!(fates, [Fate::Completed(Level::Acked), Fate::Completed(Level::Processed)]);
    assert!(acked < processed);
    send_at(&client, "alone", Level::Acked);
    assert!(client.flush_to(Level::Acked, ms(100)).is_err());
    client.flush_to(Level::Processed, SOON).unwrap();
    let alone = send_at(&client, "alone again", Level::Acked);
    client.flush(SOON).unwrap();
    // A close does not wait for what nobody can tell.
    client.close(1000, "").unwrap();
    let mut fate = None;
    let closed = wait(&client, |event| {
        match event {
            Event::Outcome(outcome) if outcome.covers(alone) => fate = Some(outcome.fate()),
            Event::Close(closed) => return Some(closed.clone()),
            _ => {}
        }
        None
    });
    assert!(closed.is_clean(), "{closed}");
    let fate = fate.or_else(|| outcomes(&client).iter().find(|o| o.covers(alone)).map(|o| o.fate()));
    assert_eq!(fate, Some(Fate::Unknown(Level::Written)));
}

fn a_death_before_the_level_is_told_once_and_never_sent_again(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.answer_pings(false);
    let client = net.to(&server).complete_at(Level::Processed).report_outcomes(true).connect().unwrap();
    opened(&client);
    for round in 1..=10_u64 {
        for i in 0..10 {
            client.send_text(&format!("{round} {i}")).unwrap();
        }
        client.flush(SOON).unwrap();
        while (server.received().len() as u64) < 10 * round {
            server.wait_message();
        }
        server.cut(server.connections());
        closed(&client);
        opened(&client);
    }
    server.answer_pings(true);
    client.send_text("last").unwrap();
    client.flush_to(Level::Processed, SOON).unwrap();
    assert_eq!(server.received().len(), 101, "no duplicate");
    let stats = client.stats();
    assert_eq!((stats.unknown(), stats.messages_sent(), stats.unconfirmed()), (100, 1, 0));
    assert_eq!(stats.replayed(), 0);
    close(&client);
}

stamp! {
    each_level_is_reached_and_told_of_once_in_few_ranges,
    what_the_server_takes_and_never_reads_as_frames_is_acknowledged_and_never_processed,
    what_a_full_buffer_holds_is_written_only,
    a_server_that_answers_no_pings_processes_nothing_and_the_session_stays,
    a_heartbeat_that_takes_the_pings_place_costs_no_proof,
    pongs_that_answer_no_ping_prove_nothing,
    many_pongs_on_their_own_do_not_keep_the_answer_from_counting,
    a_message_in_pieces_reaches_its_level,
    levels_hold_for_messages_in_several_frames,
    a_death_before_the_level_is_told_once_and_never_sent_again,
}

#[cfg(unix)]
mod over_unix_sockets {
    use super::over_a_unix_socket_the_kernel_tells_nothing_and_pongs_do;
    stamp!(over_a_unix_socket_the_kernel_tells_nothing_and_pongs_do);
}
