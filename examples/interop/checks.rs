//! Messages both ways, pings both ways, and what is agreed on in the opening handshake.

use std::time::Duration;

use heartwire::{Cause, End, Event, Heartbeat, Message, OutboxLimits};

use crate::peer::{DELAY, Peer, Target, equal, unexpected};
use crate::{Check, Checked};

/// The longest message that is received by default; longer than the outbox takes by default.
const LONG: usize = 16 << 20;

/// Three bytes for each character, and one of four.
const CHINESE: &str = "心跳：线路断了，再连上🔌";

const TICK: Duration = Duration::from_millis(20);

pub(crate) fn all() -> Vec<Check> {
    let all = plain().into_iter();
    #[cfg(feature = "deflate")]
    let all = all.chain([Check::new("compression", compression)]);
    all.collect()
}

fn plain() -> Vec<Check> {
    vec![
        Check::new("text", |target| echo(target, vec![Message::text("hello, server")])),
        Check::new("Chinese text", |target| echo(target, vec![Message::text(CHINESE)])),
        Check::new("binary", |target| echo(target, vec![Message::binary(every_byte(1000))])),
        Check::new("empty messages", |target| echo(target, vec![Message::text(""), Message::binary(vec![])])),
        Check::new("lengths", |target| echo(target, around_the_length_fields())),
        Check::new("16 MiB binary", |target| echo(target, vec![Message::binary(every_byte(LONG))])),
        Check::new("16 MiB text", |target| echo(target, vec![Message::text(chinese(LONG))])),
        Check::new("fragments", fragments),
        Check::new("pings from it", pings),
        Check::new("heartbeat", heartbeat),
        Check::new("text heartbeat", text_heartbeat),
        Check::new("subprotocol", subprotocol),
        Check::new("no subprotocol", |target| {
            let builder = target.builder("/subprotocol").subprotocol("v3.heartwire");
            refused(builder, 400)
        }),
        Check::new("unknown path", |target| refused(target.builder("/nowhere"), 404)),
    ]
}

fn every_byte(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n ^ (n >> 8) ^ (n >> 16)) as u8).collect()
}

fn chinese(length: usize) -> String {
    let mut text = "x".repeat(length % CHINESE.len());
    text.push_str(&CHINESE.repeat(length / CHINESE.len()));
    text
}

/// Both kinds at each side of where a frame's length takes more bytes (RFC 6455 section 5.2).
fn around_the_length_fields() -> Vec<Message> {
    let lengths = [1, 125, 126, 127, 65535, 65536, 65537];
    let both = |length| [Message::text(chinese(length)), Message::binary(every_byte(length))];
    lengths.into_iter().flat_map(both).collect()
}

/// Sends all, gets all back in the same order, and closes.
fn echo(target: &Target, messages: Vec<Message>) -> Checked {
    let builder = target.builder("/echo").outbox(OutboxLimits::new().bytes(2 * LONG));
    exchange(builder, messages)
}

fn exchange(builder: heartwire::Builder, messages: Vec<Message>) -> Checked {
    let (peer, _) = Peer::open(builder)?;
    for message in &messages {
        peer.send(message)?;
    }
    let mut bytes = 0;
    for message in &messages {
        let back = peer.message()?;
        if back != *message {
            return Err(format!("instead of {message:?} came another message back: {back:?}"));
        }
        bytes += back.len();
    }
    peer.close(1000, "done")?;
    Ok(format!("{} back, {bytes} bytes", messages.len()))
}

fn fragments(target: &Target) -> Checked {
    let short = [Message::text(CHINESE), Message::binary(every_byte(100)), Message::text("")];
    // Each character is cut, at each of its bytes.
    exchange(target.builder("/fragments?size=1"), short.to_vec())?;
    let long = vec![Message::text(chinese(1 << 20)), Message::binary(every_byte(1 << 20))];
    exchange(target.builder("/fragments?size=1000"), long)?;
    let longest = vec![Message::binary(every_byte(LONG))];
    let builder = target.builder("/fragments?size=1000000").outbox(OutboxLimits::new().bytes(LONG));
    exchange(builder, longest)?;
    Ok("of 1 byte, 1000 and 1000000, with empty ones and a ping among them".into())
}

fn pings(target: &Target) -> Checked {
    let (peer, _) = Peer::open(target.builder("/pings"))?;
    peer.send(&Message::text("go on"))?;
    for ping in 0..3 {
        peer.text(&format!("before ping {ping}"))?;
    }
    peer.text("4 pongs")?;
    peer.close(1000, "")?;
    Ok("4 pongs, with payloads of 12, 0, 1 and 125 bytes".into())
}

fn heartbeat(target: &Target) -> Checked {
    beats(target, Heartbeat::ping().every(TICK))
}

/// The server's echo is the answer; it must not be delivered as a message.
fn text_heartbeat(target: &Target) -> Checked {
    beats(target, Heartbeat::text("are you there?").reply("are you there?").every(TICK))
}

fn beats(target: &Target, heartbeat: Heartbeat) -> Checked {
    let (peer, _) = Peer::open(target.builder("/echo").heartbeat(heartbeat))?;
    let mut times = Vec::new();
    while times.len() < 5 {
        match peer.next("answer to a heartbeat")? {
            Event::Heartbeat(time) => times.push(time),
            other => return unexpected("an answer to a heartbeat", &other),
        }
    }
    let stats = peer.client.stats();
    equal("whether the last round trip is known", stats.last_rtt().is_some(), true)?;
    equal("whether the smoothed round trip is known", stats.smoothed_rtt().is_some(), true)?;
    // Further answers may come while it closes, so that the exact end is no part of this check.
    peer.client.close(1000, "").map_err(|error| error.to_string())?;
    peer.client.wait_closed(crate::peer::SOON).map_err(|error| error.to_string())?;
    let shown = |time: Option<&Duration>| time.copied().unwrap_or_default().as_micros();
    Ok(format!("5 answers after {} to {} µs", shown(times.iter().min()), shown(times.iter().max())))
}

/// The server knows two; the one that both know is chosen.
fn subprotocol(target: &Target) -> Checked {
    let builder = target.builder("/subprotocol").subprotocol("v3.heartwire").subprotocol("v1.heartwire");
    let (peer, opened) = Peer::open(builder)?;
    equal("the subprotocol", opened.subprotocol(), Some("v1.heartwire"))?;
    peer.send(&Message::text("by it"))?;
    peer.text("by it")?;
    peer.close(1000, "")?;
    // Nothing was asked for, so nothing is chosen.
    let (peer, opened) = Peer::open(target.builder("/echo"))?;
    equal("the subprotocol that was not asked for", opened.subprotocol(), None)?;
    peer.close(1000, "")?;
    Ok("v1.heartwire of two offered".into())
}

/// Both sides compress, in each way that can be agreed on; and the server in fragments.
#[cfg(feature = "deflate")]
fn compression(target: &Target) -> Checked {
    use heartwire::Deflate;

    let all = Deflate::new().threshold(0);
    let alone = all.server_no_context_takeover(true).client_no_context_takeover(true);
    let small = all.server_max_window_bits(9).client_max_window_bits(9);
    let mut answers = Vec::new();
    for deflate in
        [all, alone, small, alone.server_max_window_bits(10).client_max_window_bits(8), all.level(1)]
    {
        for path in ["/echo", "/fragments?size=1000"] {
            let mut messages =
                vec![Message::text(CHINESE), Message::text(""), Message::text(chinese(300_000))];
            messages.extend([1, 1000, 65536].map(|length| Message::binary(every_byte(length))));
            messages.extend(messages.clone());
            let builder = target.builder(path).compression(deflate);
            let (peer, opened) = Peer::open(builder)?;
            match opened.header("Sec-WebSocket-Extensions") {
                Some(answer) => answers.push(answer.to_owned()),
                None => return Err("the server declined".into()),
            }
            drop(peer);
            exchange(target.builder(path).compression(deflate), messages)?;
        }
    }
    answers.dedup();
    Ok(format!("{} agreements, such as {}", answers.len(), answers.last().map_or("", String::as_str)))
}

/// A refusal that will be the same the next time: there is no other attempt.
fn refused(builder: heartwire::Builder, status: u16) -> Checked {
    let peer = Peer::begin(builder)?;
    let failed = match peer.next("refusal")? {
        Event::ConnectFailed(failed) => failed,
        other => return unexpected("a refusal", &other),
    };
    equal("the HTTP status", failed.error().http_status(), Some(status))?;
    equal("the next attempt", failed.retry_in(), None)?;
    match peer.ended()? {
        End::Fatal(error) if matches!(error.cause(), Cause::Refused(_)) => {}
        other => return Err(format!("it ended so: {other}")),
    }
    std::thread::sleep(2 * DELAY);
    equal("the number of attempts", peer.client.stats().attempts(), 1)?;
    Ok(format!("{}", failed.error()))
}
