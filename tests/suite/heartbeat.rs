//! Links that die in silence, and links that only seem to.

use std::time::{Duration, Instant};

use heartwire::{Cause, Client, Event, Heartbeat, Initiator, OutboxLimits, SessionClosed};

use crate::net::{Net, SOON, close, closed, ms, opened, received, wait};
use crate::support::watch::within;
use crate::support::{Behaviour, Direction, Relay, Server, ServerEvent};

const INTERVAL: Duration = ms(100);
const TIMEOUT: Duration = ms(100);

/// Dead at 300 ms after the last byte.
fn beat() -> Heartbeat {
    Heartbeat::ping().after_silence(INTERVAL).timeout(TIMEOUT).max_missed(2)
}

/// The session was given up by the heartbeat, after so many misses.
#[track_caller]
fn found_dead(closed: &SessionClosed, misses: u32) {
    assert_eq!(
        (closed.code(), closed.is_clean(), closed.by()),
        (1006, false, Initiator::Library),
        "{closed}"
    );
    let cause = closed.error().expect("a cause").cause();
    assert!(matches!(cause, Cause::Silent { missed } if *missed == misses), "{cause:?}");
    assert!(closed.retry_in().is_some());
}

#[track_caller]
fn wait_ping(server: &Server) -> usize {
    server.wait_for(SOON, |event| if let ServerEvent::Ping { n, .. } = event { Some(*n) } else { None })
}

#[track_caller]
fn answered(client: &Client) -> Duration {
    wait(client, |event| if let Event::Heartbeat(time) = event { Some(*time) } else { None })
}

fn a_server_that_falls_silent_is_found_dead_and_the_link_heals(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).heartbeat(beat()).connect().unwrap();
    opened(&client);
    answered(&client);
    let silent = Instant::now();
    server.mute();
    found_dead(&closed(&client), 2);
    let patience = INTERVAL + 2 * TIMEOUT;
    // The last byte came a little before the silence; and other tests keep the machine busy.
    assert!(
        silent.elapsed() >= patience - INTERVAL && silent.elapsed() < patience * 10,
        "{:?}",
        silent.elapsed()
    );
    server.unmute();
    assert!(!opened(&client).is_first());
    client.send_text("well").unwrap();
    assert_eq!(received(&client).as_text(), Some("well"));
    close(&client);
}

fn a_network_that_swallows_everything_is_found_dead_and_the_link_heals(net: &Net) {
    let server = net.server(Behaviour::echo());
    let relay = Relay::start(server.address());
    let client = net.through(&relay).heartbeat(beat()).connect().unwrap();
    opened(&client);
    relay.stall();
    found_dead(&closed(&client), 2);
    relay.flow();
    opened(&client);
    // The dead session's messages do not come after the new one's.
    client.send_text("well").unwrap();
    assert_eq!(received(&client).as_text(), Some("well"));
    close(&client);
}

fn either_direction_alone_can_be_dead(net: &Net) {
    let server = net.server(Behaviour::echo());
    let relay = Relay::start(server.address());
    let client = net.through(&relay).heartbeat(beat()).connect().unwrap();
    for stall in [Relay::stall_up, Relay::stall_down] {
        opened(&client);
        stall(&relay);
        found_dead(&closed(&client), 2);
        relay.flow();
    }
    opened(&client);
}

fn the_round_trip_time_of_each_ping_is_told(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).heartbeat(beat()).connect().unwrap();
    opened(&client);
    for _ in 0..3 {
        let time = answered(&client);
        assert!(time < SOON);
        assert!(client.stats().last_rtt().is_some() && client.stats().smoothed_rtt().is_some());
    }
    assert_eq!(client.stats().sessions(), 1);
}

fn any_byte_is_a_sign_of_life_even_of_a_server_that_never_pongs(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.answer_pings(false);
    let patient = Heartbeat::ping().after_silence(ms(20)).timeout(ms(2000)).max_missed(1);
    let client = net.to(&server).heartbeat(patient).connect().unwrap();
    opened(&client);
    for i in 0..10 {
        let n = wait_ping(&server);
        server.send(n, i.to_string());
        assert_eq!(received(&client).as_text(), Some(i.to_string().as_str()));
    }
    assert_eq!(client.stats().sessions(), 1);
}

fn where_only_the_reply_counts_a_busy_server_that_never_pongs_is_dead(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.answer_pings(false);
    let strict = Heartbeat::ping().every(ms(50)).timeout(ms(100)).max_missed(3).reply_only();
    let client = net.to(&server).heartbeat(strict).connect().unwrap();
    opened(&client);
    let died = wait(&client, |event| {
        server.send(1, "still here");
        if let Event::Close(closed) = event { Some(closed.clone()) } else { None }
    });
    found_dead(&died, 3);
}

fn a_text_beat_is_answered_by_its_reply_which_is_no_message(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.answer_text_pings(true);
    let beat = Heartbeat::text("ping").reply("pong").every(ms(30)).timeout(ms(2000)).reply_only();
    let client = net.to(&server).heartbeat(beat).connect().unwrap();
    opened(&client);
    for _ in 0..3 {
        let told = wait(&client, |event| match event {
            Event::Heartbeat(_) => Some(true),
            Event::Message(_) => Some(false),
            _ => None,
        });
        assert!(told, "the reply was delivered");
    }
    assert_eq!(server.received_texts()[0], "ping");
    close(&client);
}

fn a_text_beat_without_its_reply_finds_the_link_dead(net: &Net) {
    let server = net.server(Behaviour::echo());
    let beat = Heartbeat::text("ping").reply("pong").every(ms(50)).timeout(ms(50)).max_missed(2).reply_only();
    let client = net.to(&server).heartbeat(beat).connect().unwrap();
    opened(&client);
    // The echo of a beat is a message like others, and no reply.
    assert_eq!(received(&client).as_text(), Some("ping"));
    found_dead(&closed(&client), 2);
}

fn a_reader_that_pauses_is_not_judged(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).heartbeat(beat()).connect().unwrap();
    opened(&client);
    client.pause_reading();
    wait_ping(&server);
    // Others with the same patience are found dead meanwhile, one after the other.
    let dead = net.server(Behaviour::echo());
    dead.mute();
    for _ in 0..2 {
        dead.unmute();
        let other = net.to(&dead).heartbeat(beat()).connect().unwrap();
        opened(&other);
        dead.mute();
        found_dead(&closed(&other), 2);
    }
    assert_eq!(client.stats().sessions(), 1);
    client.resume_reading();
    answered(&client);
    client.send_text("awake").unwrap();
    assert_eq!(received(&client).as_text(), Some("awake"));
    assert_eq!(client.stats().sessions(), 1);
}

fn a_program_that_does_not_take_its_messages_is_not_judged(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).heartbeat(beat()).inbound_queue(4, 1000).connect().unwrap();
    opened(&client);
    for i in 0..20 {
        client.send_text(&i.to_string()).unwrap();
    }
    let dead = net.server(Behaviour::echo());
    let other = net.to(&dead).heartbeat(beat()).connect().unwrap();
    opened(&other);
    dead.mute();
    found_dead(&closed(&other), 2);
    for i in 0..20 {
        assert_eq!(received(&client).as_text(), Some(i.to_string().as_str()));
    }
    assert_eq!(client.stats().sessions(), 1);
}

fn a_large_upload_that_moves_is_not_judged_dead(net: &Net) {
    let server = net.server(Behaviour::silent());
    let relay = Relay::start(server.address());
    let beat = Heartbeat::ping().after_silence(ms(50)).timeout(ms(2500)).max_missed(1);
    let limits = OutboxLimits::new().bytes(32 << 20);
    let client = net.through(&relay).heartbeat(beat).outbox(limits).connect().unwrap();
    opened(&client);
    relay.trickle(16 << 10, ms(4));
    let began = Instant::now();
    client.send_binary(&vec![9; 24 << 20]).unwrap();
    within(SOON * 2, "half of it has passed", || (relay.bytes(Direction::Up) > 12 << 20).then_some(()));
    assert!(began.elapsed() > ms(2550), "too fast to prove anything: {:?}", began.elapsed());
    // What the relay's own buffers hold in the end is acknowledged and does not move for us any more.
    relay.flow();
    // The ping behind the message is answered when all of that has arrived.
    while server.received().is_empty() {
        let lost = wait(&client, |event| match event {
            Event::Heartbeat(_) => Some(None),
            Event::Close(closed) => Some(Some(closed.to_string())),
            _ => None,
        });
        assert_eq!(lost, None);
    }
    assert_eq!((client.stats().sessions(), server.received()[0].1.as_bytes().len()), (1, 24 << 20));
}

fn message_length(event: &ServerEvent) -> Option<usize> {
    if let ServerEvent::Message { message, .. } = event { Some(message.as_bytes().len()) } else { None }
}

fn a_large_upload_that_is_stuck_is_found_dead_and_sent_again(net: &Net) {
    let server = net.server(Behaviour::silent());
    let relay = Relay::start(server.address());
    let limits = OutboxLimits::new().bytes(32 << 20);
    let client = net.through(&relay).heartbeat(beat()).outbox(limits).connect().unwrap();
    opened(&client);
    relay.hold_up();
    client.send_binary(&vec![9; 24 << 20]).unwrap();
    let stuck = Instant::now();
    let closed = closed(&client);
    // Not even a beat gets out, and yet it is found in the time of a silent link; and a second for a busy machine.
    let (took, patience) = (stuck.elapsed(), INTERVAL + 2 * TIMEOUT);
    assert!(took <= patience + ms(1000), "{took:?}, not {patience:?}");
    let cause = closed.error().expect("a cause").cause();
    // The system's own patience with unacknowledged bytes is as long as the heartbeat's.
    let timed_out = |cause: &Cause| matches!(cause, Cause::Io(e) if e.kind() == std::io::ErrorKind::TimedOut);
    assert!(matches!(cause, Cause::Silent { .. }) || timed_out(cause), "{closed}");
    relay.flow();
    opened(&client);
    assert_eq!(server.wait_for(SOON * 2, message_length), 24 << 20);
    assert_eq!(server.received().len(), 1);
}

fn without_a_heartbeat_nothing_is_judged(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).connect().unwrap();
    opened(&client);
    server.mute();
    let other = net.to(&server).connect_timeout(ms(300)).connect().unwrap();
    crate::net::failed(&other);
    assert_eq!(client.stats().sessions(), 1);
    server.unmute();
    client.send_text("patient").unwrap();
    assert_eq!(received(&client).as_text(), Some("patient"));
}

stamp! {
    a_server_that_falls_silent_is_found_dead_and_the_link_heals,
    a_network_that_swallows_everything_is_found_dead_and_the_link_heals,
    either_direction_alone_can_be_dead,
    the_round_trip_time_of_each_ping_is_told,
    any_byte_is_a_sign_of_life_even_of_a_server_that_never_pongs,
    where_only_the_reply_counts_a_busy_server_that_never_pongs_is_dead,
    a_text_beat_is_answered_by_its_reply_which_is_no_message,
    a_text_beat_without_its_reply_finds_the_link_dead,
    a_reader_that_pauses_is_not_judged,
    a_program_that_does_not_take_its_messages_is_not_judged,
    a_large_upload_that_moves_is_not_judged_dead,
    a_large_upload_that_is_stuck_is_found_dead_and_sent_again,
    without_a_heartbeat_nothing_is_judged,
}
