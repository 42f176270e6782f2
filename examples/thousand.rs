//! A thousand clients that share one thread: `cargo run --example thousand`.
//!
//! They connect, send, receive, lose their server and come back, in a few seconds; then all are closed. Their handlers
//! run on the loop's thread, where none may take long: they only pass on what happened to this one. The server is a
//! second process, this program started again; no network is needed. The status is 0 if all was as promised.

#[path = "../tests/support/crowd.rs"]
#[allow(dead_code, unreachable_pub, reason = "written for the tests as well")]
mod crowd;

use std::error::Error;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crowd::Crowd;
use heartwire::{Client, EventLoop};

const CLIENTS: usize = 1000;
/// The whole takes about three seconds; what has not happened by then will not.
const WHOLE_STORY: Duration = Duration::from_secs(14);
/// How long the server is gone.
const DOWN: Duration = Duration::from_millis(300);

/// What a handler passes on: whose, and what.
enum Told {
    Open,
    Message(usize, String),
    /// The link is lost; the time until the next attempt.
    Lost(Option<Duration>),
    Ended,
}

fn main() -> ExitCode {
    crowd::serve_if_asked();
    match tell(&Story { began: Instant::now() }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("thousand: {error}");
            ExitCode::FAILURE
        }
    }
}

fn tell(story: &Story) -> Result<(), Box<dyn Error>> {
    crowd::most_descriptors();
    let mut server = Crowd::start(&[])?;
    let event_loop = EventLoop::new()?;
    event_loop.start()?;
    let (tell, told) = channel();
    let clients: Vec<Client> =
        (0..CLIENTS).map(|n| connect(n, &server.url(), &event_loop, &tell)).collect::<Result<_, _>>()?;
    drop(tell);

    story.wait("opened", &told, |told| matches!(told, Told::Open))?;
    story.say(&format!("{CLIENTS} clients are open, on one thread"));

    for (n, client) in clients.iter().enumerate() {
        client.send_text(&format!("hello from {n}"))?;
    }
    story.wait("got their echo", &told, |told| match told {
        Told::Message(n, text) => *text == format!("hello from {n}"),
        _ => false,
    })?;
    story.say("each has sent a message, and has it back");

    server.say("news for all")?;
    let is_news = |told: &Told| matches!(told, Told::Message(_, text) if text == "news for all");
    story.wait("got the news", &told, is_news)?;
    story.say("the server's news has reached all");

    let cut = Instant::now();
    server.cut(DOWN)?;
    let mut delays = Vec::new();
    story.wait("noticed the cut", &told, |told| {
        let Told::Lost(delay) = told else { return false };
        delays.extend(*delay);
        true
    })?;
    let (Some(shortest), Some(longest)) = (delays.iter().min(), delays.iter().max()) else {
        return Err("nobody will try again".into());
    };
    story.say(&format!(
        "the server cut all connections, and is gone for {DOWN:?}; first attempts after {} to {} ms",
        shortest.as_millis(),
        longest.as_millis()
    ));
    for (n, client) in clients.iter().enumerate() {
        client.send_text(&format!("sent by {n} while the link was down"))?;
    }

    let mut open = 0;
    let mut waited = 0;
    let back = |told: &Told| {
        open += usize::from(matches!(told, Told::Open));
        let came =
            matches!(told, Told::Message(n, text) if *text == format!("sent by {n} while the link was down"));
        waited += usize::from(came);
        came
    };
    story.wait("came back", &told, back)?;
    story.say(&format!(
        "all are back {} ms after the cut: {open} sessions opened, {waited} messages that had waited came through",
        cut.elapsed().as_millis()
    ));
    let attempts: u64 = clients.iter().map(|client| client.stats().attempts()).sum();
    story.say(&format!("it took {} attempts, {} of them refused", attempts, attempts - 2 * CLIENTS as u64));

    for client in &clients {
        client.close(1000, "that is all")?;
    }
    story.wait("closed", &told, |told| matches!(told, Told::Ended))?;
    let unwritten: u64 =
        clients.iter().map(|client| client.stats().accepted() - client.stats().messages_sent()).sum();
    story.say(&format!("all are closed; {unwritten} messages were not written"));
    if unwritten == 0 { Ok(()) } else { Err("messages were lost".into()) }
}

fn connect(
    n: usize,
    url: &str,
    event_loop: &EventLoop,
    tell: &Sender<Told>,
) -> Result<Client, heartwire::Error> {
    let client = Client::builder(url).name(format!("{n}")).event_loop(event_loop).build()?;
    // Nobody listens any more once the story has ended: what cannot be sent is of no interest then.
    let teller = tell.clone();
    client.on_open(move |_, _| drop(teller.send(Told::Open)));
    let teller = tell.clone();
    client.on_message(move |_, message| {
        let text = message.as_text().unwrap_or_default();
        drop(teller.send(Told::Message(n, text.to_owned())));
    });
    let teller = tell.clone();
    client.on_close(move |_, closed| drop(teller.send(Told::Lost(closed.retry_in()))));
    let teller = tell.clone();
    client.on_closed_for_good(move |_, _| drop(teller.send(Told::Ended)));
    client.connect()?;
    Ok(client)
}

struct Story {
    began: Instant,
}

impl Story {
    fn say(&self, text: &str) {
        println!("{:>7.3} s  {text}", self.began.elapsed().as_secs_f64());
    }

    /// Waits until it was told of every client; what else is told meanwhile is over.
    fn wait(
        &self,
        what: &str,
        told: &Receiver<Told>,
        mut counts: impl FnMut(&Told) -> bool,
    ) -> Result<(), Box<dyn Error>> {
        let mut so_far = 0;
        while so_far < CLIENTS {
            let left = (self.began + WHOLE_STORY).saturating_duration_since(Instant::now());
            match told.recv_timeout(left) {
                Ok(one) => so_far += usize::from(counts(&one)),
                Err(_) => return Err(format!("{so_far} of {CLIENTS} clients {what} in time").into()),
            }
        }
        Ok(())
    }
}
