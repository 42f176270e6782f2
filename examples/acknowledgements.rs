//! What `.ci/acknowledgements` examines: how far messages are told to have got, on a wire that loses acknowledgements,
//! delays packets, or is dead.
//!
//!   acknowledgements WIRE.PY INTERFACE OWN-ADDRESS OTHER-ADDRESS
//!
//! It prints a line for each thing that held, and panics at the first that did not.

use std::io::{BufRead, BufReader, Lines, Write};
use std::net::TcpListener;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use heartwire::{
    Client, Delivery, Event, Fate, Heartbeat, Level, MessageRef, Reconnect, SendOptions, WaitError,
};

const SOON: Duration = Duration::from_secs(10);
/// How late a timer may be on a busy machine.
const LATE: Duration = Duration::from_secs(1);
/// That nothing is told can only be seen by waiting.
const LONG: Duration = Duration::from_secs(2);
const BRIEF: Duration = Duration::from_millis(200);
const ONE_WAY: Duration = Duration::from_millis(300);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, interface, own, other] = &arguments[..] else {
        panic!("acknowledgements WIRE.PY INTERFACE OWN-ADDRESS OTHER-ADDRESS");
    };
    let (port, read) = serve(own);
    let mut wire = Wire::start(program, interface, port);
    let url = format!("ws://{other}:{port}/");
    lost_acknowledgements(&url, &mut wire, &read);
    delayed(&url, &mut wire, &read);
    dead(&url, &mut wire, &read);
}

/// The program behind the interface.
struct Wire {
    program: Child,
    say: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Wire {
    fn start(program: &str, interface: &str, port: u16) -> Wire {
        let mut command = Command::new("python3");
        command.args([program, interface, &port.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut program = command.spawn().expect("python3");
        let say = program.stdin.take().expect("its input");
        let answers = BufReader::new(program.stdout.take().expect("its output")).lines();
        let mut wire = Wire { program, say, answers };
        wire.is_ready();
        wire
    }

    /// It has taken effect when this returns.
    fn set(&mut self, command: &str) {
        writeln!(self.say, "{command}").expect("a wire");
        self.is_ready();
    }

    fn is_ready(&mut self) {
        let answer = self.answers.next().expect("an answer of the wire's").expect("a line");
        assert_eq!(answer, "ok");
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// A server that reads whatever comes and answers pings; what it reads comes out of the channel.
fn serve(address: &str) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind((address, 0)).expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let (tell, read) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let tell = tell.clone();
            thread::spawn(move || {
                let Ok(mut socket) = tungstenite::accept(stream) else { return };
                while let Ok(message) = socket.read() {
                    let Ok(text) = message.to_text() else { continue };
                    if message.is_text() && tell.send(text.to_owned()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (port, read)
}

fn connect(url: &str, heartbeat: Heartbeat) -> Client {
    let builder =
        Client::builder(url).heartbeat(heartbeat).reconnect(Reconnect::fixed(Duration::from_millis(50)));
    let client = builder.report_outcomes(true).connect().expect("a client");
    wait(&client, |event| matches!(event, Event::Open(_)).then_some(()));
    client
}

fn wait<T>(client: &Client, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
    loop {
        if let Some(found) = wanted(client.recv_timeout(SOON).expect("an event")) {
            return found;
        }
    }
}

fn send(client: &Client, text: &str, level: Level) {
    client.send_with(MessageRef::Text(text), SendOptions::new().complete_at(level)).expect("an open link");
}

fn fate(client: &Client) -> Fate {
    wait(client, |event| if let Event::Outcome(outcome) = event { Some(outcome.fate()) } else { None })
}

/// Nothing is told of any message for a while.
fn nothing_is_told(client: &Client) {
    let until = Instant::now() + LONG;
    while let Ok(event) = client.recv_timeout(until.saturating_duration_since(Instant::now())) {
        assert!(!matches!(event, Event::Outcome(_)), "{event}");
    }
}

fn lost_acknowledgements(url: &str, wire: &mut Wire, read: &Receiver<String>) {
    let levels = [Level::Acked, Level::Processed];
    let clients = levels.map(|level| (connect(url, Heartbeat::off()), level));
    for (client, level) in &clients {
        send(client, "there and back", *level);
        assert_eq!(fate(client), Fate::Completed(*level));
        assert_eq!(read.recv_timeout(SOON).as_deref(), Ok("there and back"));
    }
    wire.set("down off");
    for (client, level) in &clients {
        send(client, "written", Level::Written);
        assert_eq!(fate(client), Fate::Completed(Level::Written));
        send(client, "in vain", *level);
        for text in ["written", "in vain"] {
            assert_eq!(read.recv_timeout(SOON).as_deref(), Ok(text));
        }
        client.flush_to(Level::Written, SOON).expect("it is written");
        assert!(matches!(client.flush_to(*level, BRIEF), Err(WaitError::TimedOut)));
        nothing_is_told(client);
        assert_eq!(client.stats().unconfirmed(), 1);
        println!("the server has read it, its acknowledgements are lost: {level:?} is not told for {LONG:?}");
    }
    let began = Instant::now();
    wire.set("down on");
    for (client, level) in &clients {
        assert_eq!(fate(client), Fate::Completed(*level));
        client.flush_to(*level, SOON).expect("it has come through");
        assert_eq!(client.stats().unconfirmed(), 0);
        println!("acknowledgements come through again: {level:?} told after {:?}", began.elapsed());
    }
    assert!(read.try_recv().is_err(), "nothing twice");
}

fn delayed(url: &str, wire: &mut Wire, read: &Receiver<String>) {
    let client = connect(url, Heartbeat::off());
    wire.set(&format!("delay {}", ONE_WAY.as_millis()));
    for level in [Level::Written, Level::Acked, Level::Processed] {
        let began = Instant::now();
        send(&client, "late", level);
        assert_eq!(fate(&client), Fate::Completed(level));
        let took = began.elapsed();
        let (least, most) = match level {
            Level::Written => (Duration::ZERO, ONE_WAY),
            // One round trip, or for the ping behind it another one at most.
            _ => (2 * ONE_WAY, 4 * ONE_WAY + LATE),
        };
        assert!((least..most).contains(&took), "{level:?} after {took:?}");
        assert_eq!(read.recv_timeout(SOON).as_deref(), Ok("late"));
        println!("{:?} for the round trip: {level:?} after {took:?}", 2 * ONE_WAY);
    }
    wire.set("delay 0");
}

fn dead(url: &str, wire: &mut Wire, read: &Receiver<String>) {
    let beat = Duration::from_millis(300);
    let client = connect(url, Heartbeat::ping().after_silence(beat).timeout(beat).max_missed(2));
    for level in [Level::Acked, Level::Processed] {
        wire.set("up off");
        wire.set("down off");
        send(&client, "lost", level);
        let again = SendOptions::new().complete_at(level).delivery(Delivery::AtLeastOnce);
        client.send_with(MessageRef::Text("goes again"), again).expect("an open link");
        assert_eq!(fate(&client), Fate::Unknown(Level::Written));
        assert!(read.try_recv().is_err(), "the wire is dead");
        wire.set("down on");
        wire.set("up on");
        wait(&client, |event| matches!(event, Event::Open(_)).then_some(()));
        assert_eq!(fate(&client), Fate::Completed(level));
        send(&client, "after it", level);
        assert_eq!(fate(&client), Fate::Completed(level));
        for text in ["goes again", "after it"] {
            assert_eq!(read.recv_timeout(SOON).as_deref(), Ok(text), "nothing came late, nothing twice");
        }
        println!(
            "a dead network: {level:?} was not reached, and nobody can tell; what has to arrive reaches it afterwards"
        );
    }
}
