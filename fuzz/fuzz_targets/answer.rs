//! The server's answer to the upgrade, in whatever pieces: 101, refusals with their bodies, Retry-After.
//!
//! Options: the lower four bits say which subprotocols are offered, the fifth says the bytes many times, the eighth offers
//! compression.
#![no_main]

use std::time::Duration;

use heartwire::fuzz::{Accepted, Handshake, delay_after};
use heartwire::{Cause, LinkError};
use heartwire_fuzz::{Input, Stream};
use libfuzzer_sys::fuzz_target;

/// What `Retry-After` may come to at most: 5 minutes, and half of that again.
const LONGEST_DELAY: Duration = Duration::from_secs(450);
const BODY_LIMIT: usize = 4096;
const MANY: usize = 64;

fuzz_target!(|input: &[u8]| {
    let Some(input) = Input::new(input) else { return };
    let offered = input.choose(&[&[][..], &["chat"], &["chat.v2", "chat"]]);
    // As often as it takes to pass the limit of a head, which no input is long enough for.
    let bytes = &input.bytes.repeat(if input.flag(0) { MANY } else { 1 });
    let handshake = || match input.flag(3) {
        true => Handshake::with_compression(offered),
        false => Handshake::new(offered),
    };
    let whole = outcome(Stream::whole(bytes), handshake());
    let pieces = outcome(Stream::pieces(bytes, input.sizes), handshake());
    match (&whole, &pieces) {
        (Ok(one), Ok(other)) => assert_eq!(one, other),
        (Err(one), Err(other)) => assert!(same(one, other), "{one:?} and in pieces {other:?}"),
        _ => panic!("{whole:?} and in pieces {pieces:?}"),
    }
    match &whole {
        Ok(accepted) => {
            assert!(bytes.ends_with(&accepted.rest));
            assert!(accepted.subprotocol.as_deref().is_none_or(|name| offered.contains(&name)));
        }
        Err(failure) => {
            assert!(!failure.to_string().contains(char::is_control), "a line break for the log: {failure}");
            if let Some(refusal) = failure.refusal() {
                assert!(refusal.status() != 101 && refusal.body().len() <= BODY_LIMIT);
                assert!(refusal.body().is_empty() || contains(bytes, refusal.body()));
            }
            let delay = delay_after(failure, input.sizes.len() as u64);
            assert!(delay.is_none_or(|delay| delay <= LONGEST_DELAY), "{delay:?} after {failure:?}");
        }
    }
});

/// What comes of the answer; the stream ends behind it.
fn outcome(mut stream: Stream<'_>, mut handshake: Handshake) -> Result<Accepted, LinkError> {
    // The request first: an answer that comes before it is whole is no answer to it.
    let bytes = std::mem::replace(&mut stream, Stream::whole(&[]));
    assert!(matches!(handshake.advance(&mut stream), Ok(None)));
    stream = bytes;
    loop {
        stream.ended = stream.unread().is_empty();
        if let Some(mut accepted) = handshake.advance(&mut stream)? {
            // Wherever a read ended, nothing is lost.
            accepted.rest.extend_from_slice(stream.unread());
            return Ok(accepted);
        }
    }
}

fn same(one: &LinkError, other: &LinkError) -> bool {
    match (one.cause(), other.cause()) {
        (Cause::Refused(one), Cause::Refused(other)) => {
            // Without a length a body is as long as what came in the same moment.
            let bodies = one.body().starts_with(other.body())
                && (one.body() == other.body() || !has_length(one.headers()));
            (one.status(), one.headers()) == (other.status(), other.headers()) && bodies
        }
        (Cause::BadUpgrade(one), Cause::BadUpgrade(other)) => one == other,
        (Cause::EndOfStream, Cause::EndOfStream) => true,
        _ => false,
    }
}

/// Whether the head says clearly how long the body is.
fn has_length(headers: &[(String, String)]) -> bool {
    let mut values = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let Some((_, value)) = values.next() else { return false };
    let value = value.trim();
    values.next().is_none() && !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit())
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
