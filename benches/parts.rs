//! What single calls cost, without a network: `cargo bench --bench parts`, or `-- outbox` for those of that name.
//!
//! Times to read and compare on one machine, not bounds. What a message costs with its network is `side_by_side`'s to
//! tell, and what a C call costs by itself is `handles`'s.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use heartwire::{Client, EventLoop, Message, MessageRef, OutboxLimits, SendOptions};

/// Nobody listens there, and nobody connects.
const URL: &str = "ws://127.0.0.1:9/feed?of=things";
const SIZES: [usize; 3] = [64, 4096, 1 << 20];

fn main() {
    divan::main();
}

/// Never connected, so that what is sent stays in its outbox, which is full: the newest takes the place of the oldest.
fn unconnected(messages: usize) -> Client {
    let outbox = OutboxLimits::new().messages(messages).bytes(64 << 20).evict_oldest_when_full();
    let client = Client::builder(URL).outbox(outbox).build().expect("a good URL");
    for _ in 0..messages {
        client.send_binary(&[7; 64]).expect("a client that was not closed");
    }
    client
}

mod client {
    use super::*;

    /// All checks, and everything a client needs but its thread and socket; with its drop.
    #[divan::bench]
    fn build_and_drop() -> Client {
        Client::builder(black_box(URL)).build().expect("a good URL")
    }

    #[divan::bench]
    fn build_and_drop_with_headers() -> Client {
        let builder =
            Client::builder(black_box(URL)).header("Authorization", "Bearer abc").header("X-Of", "things");
        builder.subprotocol("feed.v2").build().expect("good settings")
    }

    #[divan::bench]
    fn build_and_drop_on_a_shared_loop(bencher: Bencher) {
        let event_loop = EventLoop::new().expect("descriptors");
        bencher.bench_local(|| Client::builder(URL).event_loop(&event_loop).build().expect("a good URL"));
    }

    #[divan::bench]
    fn clone_and_drop(bencher: Bencher) {
        let client = unconnected(1);
        bencher.bench_local(|| black_box(&client).clone());
    }
}

mod asking {
    use super::*;

    #[divan::bench(threads = [1, 2])]
    fn state(bencher: Bencher) {
        let client = unconnected(1);
        bencher.bench(|| client.state());
    }

    #[divan::bench(threads = [1, 2])]
    fn buffered_amount(bencher: Bencher) {
        let client = unconnected(1);
        bencher.bench(|| client.buffered_amount());
    }

    #[divan::bench]
    fn stats(bencher: Bencher) {
        let client = unconnected(1);
        bencher.bench(|| client.stats());
    }

    /// A look into an empty queue.
    #[divan::bench]
    fn try_recv(bencher: Bencher) {
        let client = unconnected(1);
        bencher.bench(|| client.try_recv());
    }
}

/// Sends to a full outbox, each of which evicts one message: the lock, the copy, the clock.
mod outbox {
    use super::*;

    #[divan::bench(args = SIZES)]
    fn send_binary(bencher: Bencher, size: usize) {
        let (client, message) = (unconnected(8), vec![7; size]);
        bencher.counter(BytesCount::new(size)).bench_local(|| client.send_binary(black_box(&message)));
    }

    #[divan::bench(args = SIZES)]
    fn send_text(bencher: Bencher, size: usize) {
        let (client, message) = (unconnected(8), "a".repeat(size));
        bencher.counter(BytesCount::new(size)).bench_local(|| client.send_text(black_box(&message)));
    }

    #[divan::bench]
    fn send_with_a_time_to_live(bencher: Bencher) {
        let client = unconnected(8);
        let options = SendOptions::new().time_to_live(std::time::Duration::from_secs(60));
        bencher.bench_local(|| client.send_with(MessageRef::Binary(black_box(&[7; 64])), options));
    }

    /// Several threads and one outbox.
    #[divan::bench(threads = [1, 2, 4], sample_size = 1000)]
    fn send_64_bytes_from_threads(bencher: Bencher) {
        let client = unconnected(4096);
        bencher.bench(|| client.send_binary(black_box(&[7; 64])));
    }
}

/// Owned messages, as the pull style hands them out.
mod message {
    use super::*;

    #[divan::bench(args = SIZES)]
    fn text(bencher: Bencher, size: usize) {
        let text = "a".repeat(size);
        bencher.counter(BytesCount::new(size)).bench(|| Message::text(black_box(text.as_str())));
    }

    #[divan::bench(args = SIZES)]
    fn clone(bencher: Bencher, size: usize) {
        let message = Message::binary(vec![7; size]);
        bencher.counter(BytesCount::new(size)).bench(|| message.clone());
    }

    #[divan::bench(args = SIZES)]
    fn borrowed_to_owned(bencher: Bencher, size: usize) {
        let message = Message::binary(vec![7; size]);
        bencher.counter(BytesCount::new(size)).bench(|| black_box(message.as_ref()).to_message());
    }
}
