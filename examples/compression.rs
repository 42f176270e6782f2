//! What compression saves, and what it costs: bytes on the wire and processor time, against none; and memory.
//!
//!     cargo run --release --features deflate --example compression
//!
//! One message after the other is sent to a server of this process that counts, then received from it. Processor time is
//! the client's: the process's without the server's thread. On Unix only.

#[cfg(unix)]
#[path = "../tests/support/mod.rs"]
mod support;

#[cfg(unix)]
#[global_allocator]
static HEAP: support::heap::Counting = support::heap::Counting;

#[cfg(unix)]
fn main() {
    table::memory();
    table::print();
}

#[cfg(not(unix))]
fn main() {
    println!("the clocks of threads that this asks are there on Unix only");
}

#[cfg(unix)]
mod table {
    use std::io::{Read, Write};
    use std::sync::mpsc::{Receiver, sync_channel};
    use std::time::Duration;

    use flate2::{Compress, Compression, Decompress, FlushCompress};
    use heartwire::{Client, Deflate, Heartbeat, OutboxLimits};
    use rustix::time::{ClockId, clock_gettime};

    use crate::support::deflate::agreeing;
    use crate::support::frames::raw_frame;
    use crate::support::heap;
    use crate::support::upgrade::{read_request_head, switching_protocols};
    use crate::support::{Behaviour, Server};

    const SOON: Duration = Duration::from_secs(60);
    /// Of messages, in all.
    const BYTES: usize = 32 << 20;

    /// What the two states of a session hold, by the size of their windows.
    pub(crate) fn memory() {
        println!("| window | to compress | to inflate |");
        println!("|---|---:|---:|");
        for bits in [15, 12, 9] {
            let before = heap::live();
            let compress = Compress::new_with_window_bits(Compression::new(6), false, bits);
            let between = heap::live();
            let inflate = Decompress::new_with_window_bits(false, bits);
            let states = [between - before, heap::live() - between].map(|bytes| (bytes + 1023) / 1024);
            println!("| {bits} bits | {} KiB | {} KiB |", states[0], states[1]);
            drop((compress, inflate));
        }
        println!();
    }

    pub(crate) fn print() {
        println!("| messages | compression | bytes on the wire | sending 1 MB | receiving 1 MB |");
        println!("|---|---|---:|---:|---:|");
        let alone = |level| Deflate::new().level(level).client_no_context_takeover(true);
        let ways = [
            ("none", None),
            ("level 1", Some(Deflate::new().level(1))),
            ("level 6", Some(Deflate::new())),
            ("level 6, each alone", Some(alone(6))),
        ];
        for (name, messages) in [("JSON", json()), ("Chinese text", chinese()), ("random bytes", random())] {
            let size = messages[0].len();
            for (way, deflate) in &ways {
                let (on_wire, sending) = send(&messages, *deflate);
                let receiving = receive(&messages, *deflate);
                let per_mb = |time: Duration| time.as_secs_f64() * 1e9 / BYTES as f64;
                println!(
                    "| {name}, about {size} bytes | {way} | {:.1} % | {:.2} ms | {:.2} ms |",
                    100.0 * on_wire as f64 / BYTES as f64,
                    per_mb(sending),
                    per_mb(receiving)
                );
            }
        }
    }

    /// Trades, as a feed batches them.
    fn json() -> Vec<Vec<u8>> {
        let mut n = 1_u64;
        let mut trade = || {
            n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (price, size, side) = (n >> 44, n >> 50 & 0xFFF, if n >> 63 == 0 { "buy" } else { "sell" });
            format!(
                r#"{{"channel":"trades","symbol":"BTC-EUR","price":"{price}.25","size":{size},"side":"{side}"}},"#
            )
        };
        batches(|| (0..25).map(|_| trade()).collect::<String>().into_bytes())
    }

    /// The chat of people who say much the same.
    fn chinese() -> Vec<Vec<u8>> {
        let words = [
            "线路",
            "断了",
            "再",
            "连上",
            "消息",
            "没有",
            "收到",
            "服务器",
            "今天",
            "很",
            "慢",
            "，",
            "。",
            "我们",
            "等",
            "一下",
        ];
        let mut n = 1_u64;
        batches(|| {
            let word = |_| {
                n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                words[(n >> 60) as usize]
            };
            (0..400).map(word).collect::<String>().into_bytes()
        })
    }

    fn random() -> Vec<Vec<u8>> {
        batches(|| {
            let mut bytes = vec![0; 2048];
            rand::Rng::fill_bytes(&mut rand::rng(), &mut bytes);
            bytes
        })
    }

    fn batches(mut make: impl FnMut() -> Vec<u8>) -> Vec<Vec<u8>> {
        let (mut all, mut bytes) = (Vec::new(), 0);
        while bytes < BYTES {
            all.push(make());
            bytes += all.last().map_or(0, Vec::len);
        }
        all
    }

    fn client(server: &Server, deflate: Option<Deflate>) -> Client {
        let limits = OutboxLimits::new().messages(1 << 20).bytes(2 * BYTES);
        let builder = Client::builder(&server.url()).outbox(limits).heartbeat(Heartbeat::off());
        match deflate {
            Some(deflate) => builder.compression(deflate),
            None => builder,
        }
        .build()
        .expect("good settings")
    }

    fn answer(head: &str, deflate: Option<Deflate>) -> String {
        if deflate.is_some() { agreeing(head, "") } else { switching_protocols(head, "") }
    }

    /// Bytes that the server read, and the client's processor time.
    fn send(messages: &[Vec<u8>], deflate: Option<Deflate>) -> (usize, Duration) {
        let (tell, told) = sync_channel(2);
        let server = Server::start(Behaviour::raw(move |stream, _| {
            let Ok(head) = read_request_head(stream) else { return };
            let _ = stream.write_all(answer(&head, deflate).as_bytes());
            let (mut bytes, mut some) = (0, vec![0; 256 * 1024]);
            while let Ok(read @ 1..) = stream.read(&mut some) {
                bytes += read;
            }
            let _ = tell.send((bytes, thread_time()));
        }));
        let client = client(&server, deflate);
        client.connect().expect("a thread");
        client.wait_open(SOON).expect("the server is there");
        let before = process_time();
        for message in messages {
            client.send_binary(message).expect("there is room");
        }
        client.flush(SOON).expect("the server reads");
        drop(client);
        let (bytes, servers) = last(&told);
        (bytes, (process_time() - before).saturating_sub(servers))
    }

    fn receive(messages: &[Vec<u8>], deflate: Option<Deflate>) -> Duration {
        let level = Compression::new(6);
        let mut state = Compress::new(level, false);
        let mut frames = Vec::new();
        for message in messages {
            let Some(_) = deflate else {
                frames.extend(raw_frame(0x82, message));
                continue;
            };
            let mut payload = Vec::with_capacity(message.len() + 100);
            state.compress_vec(message, &mut payload, FlushCompress::Sync).expect("it takes anything");
            payload.truncate(payload.len() - 4);
            frames.extend(raw_frame(0xC2, &payload));
        }
        let (tell, told) = sync_channel(2);
        let server = Server::start(Behaviour::raw(move |stream, _| {
            let Ok(head) = read_request_head(stream) else { return };
            let _ = stream.write_all(answer(&head, deflate).as_bytes());
            let _ = stream.read_exact(&mut [0; 6]);
            let before = thread_time();
            let _ = stream.write_all(&frames);
            let _ = tell.send((0, thread_time() - before));
            while let Ok(1..) = stream.read(&mut [0; 1024]) {}
        }));
        let client = client(&server, deflate);
        let (done, all) = sync_channel(1);
        let mut left = messages.len();
        client.on_message(move |_, _| {
            left -= 1;
            if left == 0 {
                let _ = done.send(());
            }
        });
        client.connect().expect("a thread");
        client.wait_open(SOON).expect("the server is there");
        let before = process_time();
        client.ping(b"").expect("it is open");
        all.recv_timeout(SOON).expect("all messages");
        let spent = process_time() - before;
        spent.saturating_sub(last(&told).1)
    }

    fn last(told: &Receiver<(usize, Duration)>) -> (usize, Duration) {
        told.recv_timeout(SOON).expect("the server ends")
    }

    fn process_time() -> Duration {
        time(ClockId::ProcessCPUTime)
    }

    fn thread_time() -> Duration {
        time(ClockId::ThreadCPUTime)
    }

    fn time(clock: ClockId) -> Duration {
        let time = clock_gettime(clock);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}
