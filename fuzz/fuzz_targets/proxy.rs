//! A proxy's answers, in whatever pieces: to CONNECT, and to SOCKS 5 with a login and without.
//!
//! Options: the lower four bits say which of these, the fifth says the bytes many times.
#![no_main]

use heartwire::fuzz::{Tunnel, delay_after};
use heartwire::{Cause, LinkError, Phase};
use heartwire_fuzz::{Input, Stream};
use libfuzzer_sys::fuzz_target;

const BODY_LIMIT: usize = 4096;
const MANY: usize = 64;
const SECRET: &str = "pass-word";

fuzz_target!(|input: &[u8]| {
    let Some(input) = Input::new(input) else { return };
    let login = Some(("user", SECRET));
    let (socks, login) = input.choose(&[(false, None), (true, None), (false, login), (true, login)]);
    let bytes = &input.bytes.repeat(if input.flag(0) { MANY } else { 1 });
    let whole = outcome(Stream::whole(bytes), socks, login);
    let pieces = outcome(Stream::pieces(bytes, input.sizes), socks, login);
    match (&whole, &pieces) {
        // All bytes that were read were the answer: the rest is where the server's first would be.
        (Ok(one), Ok(other)) => assert_eq!(one, other),
        (Err(one), Err(other)) => assert!(same(one, other), "{one:?} and in pieces {other:?}"),
        // What is behind the answer is refused where it came with it, or said too early.
        (Err(failure), _) | (_, Err(failure)) => {
            assert!(is_unasked(failure), "{whole:?} and in pieces {pieces:?}")
        }
    }
    for failure in [&whole, &pieces].into_iter().filter_map(|result| result.as_ref().err()) {
        assert_eq!(failure.phase(), Phase::Proxy);
        let text = failure.to_string();
        assert!(!text.contains(char::is_control) && !text.contains(SECRET), "{text}");
        if let Some(refusal) = failure.refusal() {
            assert!(!(100..300).contains(&refusal.status()) && refusal.body().len() <= BODY_LIMIT);
        }
        let _ = delay_after(failure, input.sizes.len() as u64);
    }
});

/// What comes of the answers; the stream ends behind them. How many bytes are left for the server's first.
fn outcome(mut stream: Stream<'_>, socks: bool, login: Option<(&str, &str)>) -> Result<usize, LinkError> {
    let mut tunnel = Tunnel::new(socks, login);
    // The request first: an answer that comes before it is whole is no answer to it.
    let bytes = std::mem::replace(&mut stream, Stream::whole(&[]));
    assert!(matches!(tunnel.advance(&mut stream), Ok(false)));
    stream = bytes;
    stream.unblock();
    loop {
        stream.ended = stream.unread().is_empty();
        if tunnel.advance(&mut stream)? {
            return Ok(stream.unread().len());
        }
    }
}

fn is_unasked(failure: &LinkError) -> bool {
    matches!(failure.cause(), Cause::Proxy(heartwire::ProxyFault::Unasked))
}

fn same(one: &LinkError, other: &LinkError) -> bool {
    match (one.cause(), other.cause()) {
        // A body is what came in the same moment.
        (Cause::Refused(one), Cause::Refused(other)) => {
            (one.status(), one.headers()) == (other.status(), other.headers())
        }
        (Cause::Proxy(one), Cause::Proxy(other)) => {
            one == other || is_unasked_fault(one) || is_unasked_fault(other)
        }
        (Cause::EndOfStream, Cause::EndOfStream) => true,
        // In one piece it is said too early what in pieces is said in time, and then ends.
        (one, other) => {
            let unasked = |cause: &Cause| matches!(cause, Cause::Proxy(fault) if is_unasked_fault(fault));
            unasked(one) || unasked(other)
        }
    }
}

fn is_unasked_fault(fault: &heartwire::ProxyFault) -> bool {
    matches!(fault, heartwire::ProxyFault::Unasked)
}
