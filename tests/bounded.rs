//! What a hostile server can make a client hold: memory is counted while it tries, with the server in this process.
//!
//! All of the process is counted, so that the tests take turns, and servers allocate nothing while they flood.
#![cfg(target_os = "linux")]

mod support;

use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use heartwire::{Builder, Cause, Client, End, Event, Heartbeat, OutboxLimits, ProtocolFault, Reconnect};
use support::crowd::{Crowd, serve_if_asked};
use support::frames::{FrameReader, Incoming, frame, message_frame, ping_frame, raw_frame, raw_header};
use support::heap::{self, Counting};
use support::upgrade::{read_request_head, switching_protocols};
use support::watch::{descriptor_count, thread_names};
use support::{Behaviour, Server, watchdog};

#[global_allocator]
static HEAP: Counting = Counting;

const SOON: Duration = Duration::from_secs(30);
/// A client's buffers and the server's threads; far less than what is claimed or sent.
const FLAT: isize = 512 * 1024;

/// One test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One server for each kind of network, and settings that trust it.
fn kinds(behaviour: impl Fn() -> Behaviour) -> Vec<(Server, Builder)> {
    let plain = Server::start(behaviour());
    let builder = Client::builder(&plain.url());
    let mut kinds = vec![(plain, builder)];
    #[cfg(feature = "native-tls")]
    {
        let server = support::certs::tls_server(behaviour());
        let ca = support::certs::Certs::shared().ca_pem.as_str();
        let tls = heartwire::Tls::new().system_roots(false).ca_pem(ca);
        let builder = Client::builder(&server.url()).tls(tls);
        kinds.push((server, builder));
    }
    for (_, builder) in &mut kinds {
        let set = std::mem::replace(builder, Client::builder("ws://localhost/"));
        *builder = set.heartbeat(Heartbeat::off()).name("bounded");
    }
    kinds
}

#[track_caller]
fn wait<T>(client: &Client, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if let Some(found) = wanted(client.recv_timeout(left).expect("an event")) {
            return found;
        }
    }
}

#[track_caller]
fn opened(client: &Client) {
    wait(client, |event| matches!(event, Event::Open(_)).then_some(()));
}

/// How much more was allocated at one time while `act` ran than before it.
fn growth(act: impl FnOnce()) -> isize {
    heap::forget_peak();
    let before = heap::live();
    act();
    heap::peak() - before
}

#[test]
fn a_claim_of_gigabytes_with_nothing_behind_it_costs_nothing() {
    let _watch = watchdog(110, "claims");
    let _alone = alone();
    // RFC 6455 section 5.2 allows lengths up to 2^63 - 1, and section 10.4 leaves the limit to us.
    for claim in [4 << 30, (1 << 63) - 1] {
        // A whole one, the first of a message's frames, and a later one.
        let whole = raw_header(0x82, 0, claim);
        let first = raw_header(0x02, 0, claim);
        let later = [raw_frame(0x02, b"begun"), raw_header(0x80, 0, claim - 10)].concat();
        for header in [whole, first, later] {
            for (_server, builder) in kinds(|| Behaviour::opens_with(header.clone())) {
                let builder = builder.max_message_size(usize::MAX).close_timeout(Duration::from_millis(100));
                let client = builder.connect().unwrap();
                let grown = growth(|| {
                    opened(&client);
                    // The header came in one segment with the answer to the upgrade, and is believed.
                    assert!(client.recv_timeout(Duration::from_millis(50)).is_err());
                    client.close(1000, "").unwrap();
                    assert!(matches!(client.wait_closed(SOON).unwrap(), End::Closed));
                });
                assert!(grown < FLAT, "{grown} bytes for a claim of {claim}");
            }
        }
    }
}

#[test]
fn fragments_without_an_end_are_cut_off_at_the_limit_and_empty_ones_cost_nothing() {
    let _watch = watchdog(110, "fragments");
    let _alone = alone();
    // RFC 6455 section 5.4: a message may have any number of fragments, and any of them may be empty.
    let chunk = raw_frame(0x00, &[b'x'; 1000]).repeat(64);
    let start = raw_frame(0x02, b"");
    let endless = move || Behaviour::floods(start.clone(), chunk.clone(), usize::MAX, []);
    for (_server, builder) in kinds(endless) {
        let limit = 1 << 20;
        let builder = builder.max_message_size(limit).reconnect(Reconnect::never());
        let client = builder.connect().unwrap();
        let grown = growth(|| {
            let error =
                wait(&client, |event| if let Event::Error(error) = event { Some(error) } else { None });
            let too_big = |fault: &ProtocolFault| *fault == ProtocolFault::TooBig(limit as u64);
            assert!(matches!(error.cause(), Cause::Protocol(fault) if too_big(fault)), "{error}");
        });
        assert!(grown < 2 * limit as isize + FLAT, "{grown} bytes for a limit of {limit}");
    }

    // Two million fragments of nothing, then the message ends, and the session goes on.
    let chunk = raw_frame(0x00, b"").repeat(20_000);
    let start = raw_frame(0x01, b"all");
    let last = [raw_frame(0x80, b" there"), frame(1, b"and on")].concat();
    let empty = move || Behaviour::floods(start.clone(), chunk.clone(), 100, last.clone());
    for (_server, builder) in kinds(empty) {
        let client = builder.connect().unwrap();
        let grown = growth(|| {
            for text in ["all there", "and on"] {
                let told = |event| if let Event::Message(message) = event { Some(message) } else { None };
                assert_eq!(wait(&client, told).as_text(), Some(text));
            }
        });
        assert!(grown < FLAT, "{grown} bytes for empty fragments");
        assert_eq!(client.stats().sessions(), 1);
    }
}

/// RFC 6455 section 5.5.3: whoever has not answered yet may answer the most recent ping only.
#[test]
fn a_hundred_thousand_pings_to_which_nobody_reads_the_pongs_are_bounded_and_the_session_goes_on() {
    const PINGS: u64 = 100_000;
    let _watch = watchdog(110, "pings");
    let _alone = alone();
    let pongs = Arc::new(AtomicU64::new(0));
    let counted = pongs.clone();
    let behaviour = move || {
        let pongs = counted.clone();
        Behaviour::raw(move |stream, _| {
            let Ok(head) = read_request_head(stream) else { return };
            stream.write_all(switching_protocols(&head, "").as_bytes()).unwrap();
            // 12 MB of pings, so that the pongs fill every buffer on their way while nobody reads them.
            let mut payload = [b'p'; 120];
            for number in 0..PINGS {
                payload[..8].copy_from_slice(&number.to_be_bytes());
                stream.write_all(&ping_frame(&payload)).unwrap();
            }
            stream.write_all(&frame(1, b"the pings are over")).unwrap();
            stream.flush().unwrap();
            let mut reader = FrameReader::default();
            let mut some = [0; 16 * 1024];
            let mut newest = None;
            loop {
                let Ok(read @ 1..) = stream.read(&mut some) else { return };
                reader.push(&some[..read]);
                while let Some(incoming) = reader.next().unwrap() {
                    match incoming {
                        Incoming::Pong(data) => {
                            let number = u64::from_be_bytes(data[..8].try_into().unwrap());
                            assert!(newest.is_none_or(|newest| number > newest), "in order, and each once");
                            newest = Some(number);
                            pongs.fetch_add(1, Ordering::SeqCst);
                        }
                        Incoming::Message(message) => {
                            let last = newest == Some(PINGS - 1);
                            assert!(last, "the newest was answered before what came later: {newest:?}");
                            let _ = stream.write_all(&message_frame(&message)).and_then(|()| stream.flush());
                        }
                        _ => return,
                    }
                }
            }
        })
    };
    for (_server, builder) in kinds(behaviour) {
        pongs.store(0, Ordering::SeqCst);
        let client = builder.connect().unwrap();
        opened(&client);
        let grown = growth(|| {
            let told = |event| if let Event::Message(message) = event { Some(message) } else { None };
            assert_eq!(wait(&client, told).as_text(), Some("the pings are over"));
            client.send_text("are you there?").unwrap();
            assert_eq!(wait(&client, told).as_text(), Some("are you there?"));
        });
        let answered = pongs.load(Ordering::SeqCst);
        println!("{answered} of {PINGS} pings were answered; {grown} bytes at most");
        assert!(grown < FLAT, "{grown} bytes for pings");
        assert!((2..=PINGS).contains(&answered), "{answered}");
        assert_eq!(client.stats().sessions(), 1);
    }
}

/// RFC 9293 section 3.8.6: who does not read closes his window, and what we have to say stays with us.
#[test]
fn a_server_that_stops_reading_costs_what_the_outbox_may_hold_and_a_close_is_on_time() {
    const LIMIT: usize = 1 << 20;
    let _watch = watchdog(110, "a server that stops reading");
    let _alone = alone();
    let limits = || OutboxLimits::new().bytes(LIMIT).messages(1000);
    // Refused when full, or else the oldest make room; long messages, and short ones, each with a ping.
    for (limits, size) in [
        (limits(), 100_000),
        (limits(), 10),
        (limits().evict_oldest_when_full(), 100_000),
        (limits().evict_oldest_when_full(), 10),
    ] {
        let (over, wait_for_end) = crossbeam_channel::bounded::<()>(0);
        let behaviour = || {
            let wait_for_end = wait_for_end.clone();
            Behaviour::raw(move |stream, _| {
                let Ok(head) = read_request_head(stream) else { return };
                let _ = stream.write_all(switching_protocols(&head, "").as_bytes());
                let _ = wait_for_end.recv_timeout(SOON);
            })
        };
        for (_server, builder) in kinds(behaviour) {
            let client =
                builder.outbox(limits.clone()).close_timeout(Duration::from_millis(200)).build().unwrap();
            client.connect().unwrap();
            client.wait_open(SOON).unwrap();
            let message = vec![b'm'; size];
            let grown = growth(|| {
                // As long as the system takes any, and 20 MB more; or 100 000 short messages and as many pings.
                let mut left = (20_000_000 / size).min(100_000);
                while left > 0 {
                    let sent = client.send_binary(&message).is_ok();
                    let pinged = client.ping(&[b'p'; 125]).is_ok();
                    let full = !(sent || pinged) || client.buffered_amount() > LIMIT - 2 * size;
                    left -= usize::from(full || size < 100);
                }
                assert!(client.buffered_amount() <= LIMIT);
            });
            println!("{grown} bytes for messages of {size} bytes");
            assert!(grown < LIMIT as isize + FLAT, "{grown} bytes for an outbox of {LIMIT}");
            let began = Instant::now();
            client.close(1000, "").unwrap();
            assert!(matches!(client.wait_closed(SOON).unwrap(), End::Closed));
            assert!(began.elapsed() < Duration::from_millis(1200), "{:?}", began.elapsed());
            let stats = client.stats();
            let ends = [stats.messages_sent(), stats.evicted(), stats.dropped_on_close()].iter().sum::<u64>();
            assert_eq!(ends, stats.accepted(), "each message has its end");
            over.send_timeout((), SOON).unwrap();
        }
    }
}

#[test]
fn five_hundred_flaps_leave_no_thread_no_descriptor_and_no_memory() {
    serve_if_asked();
    let _watch = watchdog(110, "flaps");
    let _alone = alone();
    let name = "five_hundred_flaps_leave_no_thread_no_descriptor_and_no_memory";
    // In a process of its own, so that what it holds is not counted.
    let mut server = Crowd::start(&["--exact", name, "--nocapture"]).unwrap();
    let fast = Reconnect::fixed(Duration::from_millis(1));
    let client = Client::builder(&server.url()).reconnect(fast).name("flaps").connect().unwrap();
    let threads = || thread_names().iter().filter(|name| name.starts_with("heartwire-flaps")).count();
    let mut flap = |count: usize| {
        for _ in 0..count {
            opened(&client);
            server.cut(Duration::ZERO).unwrap();
            wait(&client, |event| matches!(event, Event::Close(_)).then_some(()));
        }
        opened(&client);
        server.say("still").unwrap();
        wait(&client, |event| matches!(event, Event::Message(_)).then_some(()));
        let held = (heap::live(), threads(), descriptor_count());
        server.cut(Duration::ZERO).unwrap();
        wait(&client, |event| matches!(event, Event::Close(_)).then_some(()));
        held
    };
    let (memory, threads, descriptors) = flap(50);
    let (memory_after, threads_after, descriptors_after) = flap(500);
    let grown = memory_after - memory;
    println!("{grown} bytes, {threads_after} threads and {descriptors_after} descriptors after 500 flaps");
    assert_eq!((threads_after, descriptors_after), (threads, descriptors));
    // Eight bytes for each flap would be seen.
    assert!(grown.abs() < 4000, "{grown} bytes");
    drop(client);
}

/// A message of any length, in one frame or in many, handed on as it comes.
#[test]
fn a_message_in_parts_costs_the_same_memory_however_long_it_is() {
    const LENGTH: usize = 256 << 20;
    const CHUNK: usize = 64 << 10;
    let _watch = watchdog(110, "parts");
    let _alone = alone();
    // A megabyte ahead of it, so that nothing is new.
    let whole = |chunks: usize| raw_header(0x82, 0, (chunks * CHUNK) as u64);
    let before = [whole(16), vec![b'b'; 16 * CHUNK]].concat();
    let one = [before.clone(), whole(LENGTH / CHUNK)].concat();
    let many = [before, raw_frame(0x02, b"")].concat();
    for (first, chunk, last) in
        [(one, vec![b'x'; CHUNK], Vec::new()), (many, raw_frame(0x00, &[b'x'; CHUNK]), raw_frame(0x80, b""))]
    {
        let floods = || Behaviour::floods(first.clone(), chunk.clone(), LENGTH / CHUNK, last.clone());
        for (server, builder) in kinds(floods) {
            let client = builder.fragments_above(100_000).build().unwrap();
            let (tell, ended) = crossbeam_channel::bounded(2);
            let counts = Arc::new(Mutex::new(None));
            let counted = counts.clone();
            client.on_fragment(move |_, part| {
                if part.is_last() {
                    let message = part.offset() + part.as_bytes().len() as u64;
                    tell.try_send((message, heap::peak(), heap::requests())).unwrap();
                    heap::forget_peak();
                    counted.lock().unwrap().get_or_insert((heap::live(), heap::requests()));
                }
            });
            client.connect().unwrap();
            assert_eq!(ended.recv_timeout(SOON).unwrap().0, 16 * CHUNK as u64);
            let (message, peak, requests) = ended.recv_timeout(SOON).unwrap();
            assert_eq!(message, LENGTH as u64);
            let (live_before, requests_before) = counts.lock().unwrap().expect("it was counted");
            let (grown, requests) = (peak - live_before, requests - requests_before);
            println!("{grown} bytes and {requests} allocations for {LENGTH} bytes from {}", server.url());
            assert!(grown < FLAT, "{grown}");
            // The server allocates nothing but for its TLS.
            assert!(requests < 100 || server.url().starts_with("wss"), "{requests} for 4096 reads at least");
        }
    }
}

/// RFC 7692 section 8 leaves it to us what a message may inflate to: no more than one that comes as it is.
#[cfg(feature = "deflate")]
#[test]
fn a_bomb_costs_no_more_memory_than_the_limit_of_a_message() {
    use support::deflate::{agreeing, piece};

    let _watch = watchdog(110, "bombs");
    let _alone = alone();
    // 16 KiB on the wire for each 16 MiB; some GiB in one frame, or in fragments without an end.
    let zeros = piece(&vec![0; 16 << 20]);
    let whole = raw_frame(0xC2, &zeros.repeat(100));
    let endless = [raw_frame(0x42, b""), raw_frame(0x00, &zeros).repeat(100)].concat();
    for (limit, bomb) in [(1 << 20, &whole), (1 << 20, &endless), (20 << 20, &whole), (20 << 20, &endless)] {
        let bomb = bomb.clone();
        let behaviour = move || {
            let bomb = bomb.clone();
            Behaviour::raw(move |stream, _| {
                let Ok(head) = read_request_head(stream) else { return };
                let _ = stream.write_all(agreeing(&head, "").as_bytes());
                let _ = stream.write_all(&bomb).and_then(|()| stream.flush());
                while matches!(stream.read(&mut [0; 1024]), Ok(1..)) {}
            })
        };
        for (_server, builder) in kinds(behaviour) {
            let builder = builder.compression(heartwire::Deflate::new());
            let builder = builder.max_message_size(limit).reconnect(Reconnect::never());
            let client = builder.build().unwrap();
            let grown = growth(|| {
                client.connect().unwrap();
                let error =
                    wait(&client, |event| if let Event::Error(error) = event { Some(error) } else { None });
                let too_big = |fault: &ProtocolFault| *fault == ProtocolFault::TooBig(limit as u64);
                assert!(matches!(error.cause(), Cause::Protocol(fault) if too_big(fault)), "{error}");
            });
            println!("{grown} bytes for a bomb, with a limit of {limit}");
            assert!(grown < limit as isize + FLAT, "{grown} bytes for a limit of {limit}");
        }
    }
}

/// What the documentation says of compression's memory.
#[cfg(feature = "deflate")]
#[test]
fn compression_takes_its_memory_with_the_first_message_that_needs_it() {
    use support::deflate::echo;

    let _watch = watchdog(110, "memory of compression");
    let _alone = alone();
    let deflate = heartwire::Deflate::new();
    let small = deflate.client_max_window_bits(9).server_max_window_bits(9);
    for (deflate, parameters, most) in
        [(deflate, "", 460_000), (small, "; server_max_window_bits=9; client_max_window_bits=9", 330_000)]
    {
        let server = Server::start(echo(parameters, |_| {}));
        let set = Client::builder(&server.url()).heartbeat(Heartbeat::off()).compression(deflate);
        let client = set.connect().unwrap();
        opened(&client);
        let talk = |message: &str| {
            client.send_text(message).unwrap();
            let told = |event| if let Event::Message(message) = event { Some(message) } else { None };
            assert_eq!(wait(&client, told).as_text(), Some(message));
        };
        let before = heap::live();
        talk(&"hello, ".repeat(200));
        let sessions = heap::live() - before;
        println!("{sessions} bytes for both directions and the server's reply with {parameters:?}");
        assert!(sessions < most, "{sessions}");
    }
}

/// Takes all that comes, without allocating, and counts it.
fn counting(count: &Arc<AtomicU64>) -> Behaviour {
    let count = count.clone();
    Behaviour::raw(move |stream, _| {
        let Ok(head) = read_request_head(stream) else { return };
        let opened =
            stream.write_all(switching_protocols(&head, "").as_bytes()).and_then(|()| stream.flush());
        let mut buffer = [0; 32 * 1024];
        while let (Ok(()), Ok(1..)) = (
            &opened,
            stream.read(&mut buffer).inspect(|n| {
                count.fetch_add(*n as u64, Ordering::SeqCst);
            }),
        ) {}
    })
}

#[test]
fn a_message_in_pieces_lies_in_memory_a_quarter_of_a_megabyte_at_a_time_however_long_it_is() {
    let _watch = watchdog(110, "streams");
    let _alone = alone();
    for tls in [false, true] {
        let count = Arc::new(AtomicU64::new(0));
        let mut kinds = kinds(|| counting(&count));
        if usize::from(tls) == kinds.len() {
            return; // a build without TLS
        }
        let (_server, builder) = kinds.swap_remove(usize::from(tls));
        // Over TLS the test's own server, which is not optimised, takes its time.
        let length: u64 = if tls { 48 << 20 } else { 256 << 20 };
        let client = builder.connect().unwrap();
        opened(&client);
        let piece = vec![7; 300_000];
        let grown = growth(|| {
            let mut message = client.stream_binary().unwrap();
            let mut left = length as usize;
            while left > 0 {
                let size = left.min(piece.len());
                message.append(&piece[..size], SOON).unwrap();
                left -= size;
            }
            message.finish().unwrap();
            client.flush(SOON).unwrap();
        });
        assert!(grown < 2 * FLAT, "{grown} bytes for a message of {length}");
        assert_eq!(client.stats().bytes_sent(), length);
        within_reach(&count, length);
    }
}

/// All of it has come, with the headers of its fragments.
#[track_caller]
fn within_reach(count: &AtomicU64, length: u64) {
    support::watch::within(SOON, "all of it", || (count.load(Ordering::SeqCst) > length).then_some(()));
}

#[test]
fn pieces_that_are_tiny_take_no_more_memory_than_large_ones() {
    let _watch = watchdog(110, "tiny pieces");
    let _alone = alone();
    let client = Client::builder("ws://127.0.0.1:1/").build().unwrap();
    let grown = growth(|| {
        let mut message = client.stream_binary().unwrap();
        while message.try_append(b"tiny").is_ok() {}
        assert_eq!(client.buffered_amount(), 256 * 1024);
    });
    assert!(grown < FLAT, "{grown} bytes");
}
/// A GiB of nothing in one message: it costs no more than one of a few KiB, and others have their turns meanwhile.
#[cfg(feature = "deflate")]
#[test]
fn a_bomb_in_parts_costs_the_same_memory_whatever_comes_of_it_and_takes_many_turns() {
    use heartwire::EventLoop;
    use support::deflate::{agreeing, piece};

    const LENGTH: u64 = 1 << 30;
    /// A few times what ends a stretch of work; one read alone brings 64 MiB.
    const TURN: u64 = 16 << 20;
    let _watch = watchdog(110, "bombs in parts");
    let _alone = alone();
    let zeros = piece(&vec![0; 16 << 20]).repeat((LENGTH >> 24) as usize);
    let bomb = raw_frame(0xC2, &[&zeros[..], &[0]].concat());
    let behaviour = || {
        let bomb = bomb.clone();
        Behaviour::raw(move |stream, _| {
            let Ok(head) = read_request_head(stream) else { return };
            let _ = stream.write_all(agreeing(&head, "").as_bytes());
            let _ = stream.write_all(&bomb).and_then(|()| stream.flush());
            while matches!(stream.read(&mut [0; 1024]), Ok(1..)) {}
        })
    };
    for (_server, builder) in kinds(behaviour) {
        let event_loop = EventLoop::new().unwrap();
        let builder = builder.compression(heartwire::Deflate::new()).fragments_above(1000);
        let client = builder.event_loop(&event_loop).build().unwrap();
        let (came, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (counted, told) = (came.clone(), ended.clone());
        client.on_fragment(move |_, part| {
            let end = part.offset() + part.as_bytes().len() as u64;
            counted.store(end, Ordering::SeqCst);
            if part.is_last() {
                told.store(end, Ordering::SeqCst);
            }
        });
        let grown = growth(|| {
            client.connect().unwrap();
            while ended.load(Ordering::SeqCst) == 0 {
                let before = came.load(Ordering::SeqCst);
                event_loop.turn(Some(SOON)).unwrap();
                let turn = came.load(Ordering::SeqCst) - before;
                assert!(turn <= TURN, "{turn} bytes in one turn");
            }
            assert_eq!(ended.load(Ordering::SeqCst), LENGTH);
        });
        drop(client);
        println!("{grown} bytes for a bomb of {LENGTH}");
        assert!(grown < FLAT, "{grown}");
    }
}
