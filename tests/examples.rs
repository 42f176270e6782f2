//! The examples that people run first do what they say: `demo`, `talk`, `thousand` and `heartwire-chaos`, run as
//! programs.
//!
//! `cargo test` builds them. `cargo test --test examples` alone does not, and then they may be missing or old.
#![cfg(unix)]

#[path = "../examples/heartwire-chaos/steps.rs"]
#[allow(dead_code, reason = "its tables are looked at, and no script is read")]
mod steps;
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use support::watch::within;
use support::{Behaviour, Server, watchdog};

const SOON: Duration = Duration::from_secs(10);

/// A running example, whose lines are read as they come; killed if the test ends before it does.
struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<String>,
    told: Receiver<String>,
}

impl Program {
    fn start(name: &str, arguments: &[&str]) -> Program {
        let path = example(name);
        let mut command = Command::new(&path);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("{}: {error}; 'cargo build --examples' makes it", path.display());
        });
        Program {
            input: child.stdin.take(),
            output: lines(child.stdout.take().unwrap()),
            told: lines(child.stderr.take().unwrap()),
            child,
        }
    }

    /// Starts talk, and waits until it is connected.
    fn talk(server: &Server, options: &[&str]) -> Program {
        let url = server.url();
        let talk = Program::start("talk", &[&[url.as_str()], options].concat());
        talk.wait_told("talk: open");
        talk
    }

    fn type_line(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    fn end_input(&mut self) {
        self.input = None;
    }

    fn signal(&self, name: &str) {
        let killed = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
    }

    #[track_caller]
    fn next_line(&self) -> String {
        self.output.recv_timeout(SOON).expect("a line on standard output in time")
    }

    /// Waits for a line on standard error that begins so.
    #[track_caller]
    fn wait_told(&self, beginning: &str) -> String {
        let deadline = Instant::now() + SOON;
        let mut others = Vec::new();
        loop {
            match self.told.recv_deadline(deadline) {
                Ok(line) if line.starts_with(beginning) => return line,
                Ok(line) => others.push(line),
                Err(_) => panic!("nothing begins with {beginning:?} in {others:#?}"),
            }
        }
    }

    #[track_caller]
    fn status(&mut self) -> ExitStatus {
        within(2 * SOON, "the program ends", || self.child.try_wait().unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail on a program that has ended, which is as it should be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Examples lie beside the folder of this test's own program.
fn example(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let profile = own.parent().and_then(|deps| deps.parent()).unwrap();
    profile.join("examples").join(name)
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (out, lines) = unbounded();
    thread::spawn(move || {
        // Ends with the program, or when nobody wants the lines any more.
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if out.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

#[test]
fn the_demo_shows_every_step_and_ends_well() {
    let _watch = watchdog(60, "demo");
    let began = Instant::now();
    let mut demo = Program::start("demo", &[]);
    let status = demo.status();
    let took = began.elapsed();
    let story: Vec<String> = demo.output.iter().collect();
    let shown = story.join("\n");

    assert!(status.success(), "{status}:\n{shown}");
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert!(!shown.contains('\x1b'), "colours although the output is no terminal:\n{shown}");
    // Each word of the timeline, with a part of what is said to it, in this order.
    let steps = [
        ("server", "echoes every message"),
        ("open", "attempt 1"),
        ("echo", "\"hello, server\" is back after"),
        ("echo", "\"four\" is back after"),
        ("heartbeat", "answered in"),
        ("lost", "by the network"),
        ("send", "\"written while down: A\""),
        ("waiting", "3 messages"),
        ("attempt", "attempt 1 failed"),
        ("attempt", "next attempt in"),
        ("explain", "attempt 2 failed: connect failed: "),
        ("open", "again"),
        ("echo", "\"written while down: A\""),
        ("echo", "\"written while down: B\""),
        ("echo", "\"written while down: C\""),
        ("server", "says nothing"),
        ("lost", "no answer to 2 heartbeats"),
        ("open", "again"),
        ("echo", "\"still here\""),
        ("close", "cleanly with 1000"),
        ("closed", "by the user"),
        ("accepted", "9"),
        ("written", "9"),
        ("dropped", "0"),
    ];
    let mut left = story.iter();
    for (word, part) in steps {
        // "  1.234 s  word  text"
        let shows = |line: &String| line.split_whitespace().nth(2) == Some(word) && line.contains(part);
        assert!(left.any(shows), "{word} … {part} is missing, or not in its place:\n{shown}");
    }
}

#[test]
fn a_thousand_clients_on_one_thread_come_back_after_a_cut() {
    let _watch = watchdog(60, "thousand");
    let began = Instant::now();
    let mut thousand = Program::start("thousand", &[]);
    let status = thousand.status();
    let took = began.elapsed();
    let story: Vec<String> = thousand.output.iter().collect();
    let told: Vec<String> = thousand.told.iter().collect();

    assert!(status.success(), "{status}: {told:#?}\n{story:#?}");
    assert!(took < Duration::from_secs(15), "{took:?}");
    let steps = [
        "1000 clients are open",
        "each has sent a message",
        "news has reached all",
        "the server cut all",
        "all are back",
        "attempts",
        "all are closed; 0 messages were not written",
    ];
    assert_eq!(story.len(), steps.len(), "{story:#?}");
    for (line, part) in story.iter().zip(steps) {
        assert!(line.contains(part), "{part} is missing in {line}");
    }
}

#[test]
fn talk_sends_lines_prints_answers_and_ends_with_its_input() {
    let _watch = watchdog(60, "talk");
    let server = Server::start(Behaviour::echo());
    let mut talk = Program::talk(&server, &["--wait", "200ms"]);
    talk.type_line("one");
    talk.type_line("zwei, äöü");
    assert_eq!(talk.next_line(), "one");
    assert_eq!(talk.next_line(), "zwei, äöü");
    talk.end_input();
    assert_eq!(talk.status().code(), Some(0));
    assert_eq!(server.wait_closed().0, Some(1000));
    assert_eq!(server.received_texts(), ["one", "zwei, äöü"]);
}

#[test]
fn talk_does_not_lose_what_was_piped_into_it_before_it_was_connected() {
    let _watch = watchdog(60, "talk, piped");
    let server = Server::start(Behaviour::echo());
    server.stop();
    let mut talk = Program::start("talk", &[&server.url(), "--wait", "200ms"]);
    // More than the outbox may hold.
    let lines: Vec<String> = (1..=6000).map(|n| n.to_string()).collect();
    let mut input = talk.input.take().unwrap();
    let piped = lines.join("\n");
    // What is not read stays in the pipe, and writing to a full one waits.
    let writer = thread::spawn(move || input.write_all(piped.as_bytes()).unwrap());
    talk.wait_told("talk: attempt 1 failed");
    server.restart();
    assert_eq!(talk.status().code(), Some(0));
    writer.join().unwrap();
    assert_eq!(server.received_texts(), lines);
    assert_eq!(talk.output.iter().collect::<Vec<_>>(), lines);
}

#[test]
fn talk_stays_connected_when_the_server_restarts() {
    let _watch = watchdog(60, "talk, restart");
    let server = Server::start(Behaviour::echo());
    let mut talk = Program::talk(&server, &[]);
    server.stop();
    assert!(talk.wait_told("talk: closed uncleanly").contains("next attempt in"));
    talk.type_line("typed while down");
    server.restart();
    assert!(talk.wait_told("talk: open").contains("again"));
    assert_eq!(talk.next_line(), "typed while down");
    talk.end_input();
    assert_eq!(talk.status().code(), Some(0));
}

#[test]
fn talk_closes_cleanly_on_ctrl_c() {
    let _watch = watchdog(60, "talk, interrupted");
    let server = Server::start(Behaviour::echo());
    let mut talk = Program::talk(&server, &[]);
    talk.signal("-INT");
    assert_eq!(talk.status().code(), Some(0));
    assert_eq!(server.wait_closed().0, Some(1000));
}

#[test]
fn talk_ends_at_once_on_a_second_ctrl_c() {
    let _watch = watchdog(60, "talk, interrupted twice");
    let server = Server::start(Behaviour::echo().never_answer_close());
    let mut talk = Program::talk(&server, &[]);
    talk.signal("-INT");
    // Now it waits for an answer that does not come, for 5 s.
    talk.wait_told("talk: closing");
    talk.signal("-INT");
    assert_eq!(talk.status().code(), Some(130));
}

#[test]
fn talk_shows_binary_messages_as_hexadecimal_digits() {
    let _watch = watchdog(60, "talk, binary");
    let server = Server::start(Behaviour::echo());
    let mut talk = Program::talk(&server, &["--binary"]);
    talk.type_line("Az");
    assert_eq!(talk.next_line(), "[2 bytes] 417a");
    talk.signal("-TERM");
    assert_eq!(talk.status().code(), Some(0));
}

#[test]
fn talk_passes_its_options_on() {
    let _watch = watchdog(60, "talk, options");
    let server = Server::start(Behaviour::echo().subprotocol("chat"));
    let options = ["--header", "X-Test: a: b", "--origin", "http://o", "--subprotocol", "chat"];
    let url = server.url();
    let talk = Program::start("talk", &[&[url.as_str()], &options[..]].concat());
    assert!(talk.wait_told("talk: open").contains("subprotocol chat"));
    let (_, request) = server.wait_connected();
    assert_eq!(request.header("x-test"), Some("a: b"));
    assert_eq!(request.header("origin"), Some("http://o"));
}

#[test]
fn talk_shows_log_lines_with_the_name_and_no_warning_when_all_is_well() {
    let _watch = watchdog(60, "talk, verbose");
    let server = Server::start(Behaviour::echo());
    let mut talk = Program::talk(&server, &["--verbose", "--name", "feed", "--wait", "1ms"]);
    talk.end_input();
    assert_eq!(talk.status().code(), Some(0));
    let told: Vec<String> = talk.told.iter().collect();
    assert!(told.iter().any(|line| line.starts_with("talk: info: [feed] closed cleanly")), "{told:#?}");
    assert!(!told.iter().any(|line| line.contains("warn: ")), "{told:#?}");
}

#[test]
fn talk_without_reconnecting_gives_up_with_1() {
    let _watch = watchdog(60, "talk, gives up");
    let server = Server::start(Behaviour::echo());
    server.stop();
    let mut talk = Program::start("talk", &[&server.url(), "--no-reconnect"]);
    assert_eq!(talk.status().code(), Some(1));
    talk.wait_told("talk: closed for good");
}

#[test]
fn talk_without_reconnecting_ends_well_when_the_server_says_so() {
    let _watch = watchdog(60, "talk, server closes");
    let server = Server::start(Behaviour::close_at_once(1000, "that is all"));
    let mut talk = Program::start("talk", &[&server.url(), "--no-reconnect"]);
    assert_eq!(talk.status().code(), Some(0));
}

#[test]
fn talk_explains_bad_arguments() {
    let _watch = watchdog(60, "talk, bad arguments");
    let refused: [(&[&str], &str); 8] = [
        (&[], "there is no URL"),
        (&["http://h/"], "the scheme http is not ws or wss"),
        (&["ws://h/", "ws://i/"], "unexpected argument"),
        (&["ws://h/", "--nonsense"], "--nonsense"),
        (&["ws://h/", "--header", "none"], "it has no colon"),
        (&["ws://h/", "--header", "A B: c"], "not a header name"),
        (&["ws://h/", "--heartbeat", "soon"], "is not a time"),
        (&["ws://h/", "--heartbeat", "0s"], "less than 1 ms"),
    ];
    for (arguments, problem) in refused {
        let mut talk = Program::start("talk", arguments);
        assert_eq!(talk.status().code(), Some(2), "{arguments:?}");
        let told: Vec<String> = talk.told.iter().collect();
        assert!(told[0].contains(problem), "{arguments:?}: {told:#?}");
        assert!(told.iter().any(|line| line.starts_with("usage: talk URL")), "{told:#?}");
    }
}

#[cfg(not(feature = "native-tls"))]
#[test]
fn talk_without_tls_says_so() {
    let _watch = watchdog(60, "talk without TLS");
    let mut talk = Program::start("talk", &["ws://h/", "--insecure"]);
    assert_eq!(talk.status().code(), Some(2));
    talk.wait_told("talk: TLS is not built in");
}

#[cfg(feature = "native-tls")]
#[test]
fn talk_trusts_the_authority_it_is_given() {
    use support::certs::{Certs, tls_server};

    let _watch = watchdog(60, "talk, TLS");
    let server = tls_server(Behaviour::echo());
    let folder = std::env::temp_dir().join(format!("heartwire-talk-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("ca.pem");
    std::fs::write(&file, &Certs::shared().ca_pem).unwrap();

    let mut stranger = Program::start("talk", &[&server.url(), "--no-reconnect"]);
    assert_eq!(stranger.status().code(), Some(1));
    let mut talk = Program::talk(&server, &["--ca", file.to_str().unwrap()]);
    talk.type_line("in private");
    assert_eq!(talk.next_line(), "in private");
    talk.signal("-INT");
    assert_eq!(talk.status().code(), Some(0));
    std::fs::remove_dir_all(&folder).unwrap();
}

/// This file starts programs while its servers stop and restart. Between fork and exec a child has a copy of every
/// descriptor, a listener's too.
#[test]
fn a_server_stops_and_restarts_while_programs_are_started() {
    let _watch = watchdog(60, "stop and restart");
    let server = Server::start(Behaviour::echo());
    thread::scope(|scope| {
        let starter = scope.spawn(|| {
            for _ in 0..500 {
                Command::new("true").status().unwrap();
            }
        });
        while !starter.is_finished() {
            server.stop();
            assert!(std::net::TcpStream::connect(server.address()).is_err(), "a stopped server accepts");
            server.restart();
        }
    });
}

impl Program {
    /// Starts heartwire-chaos, and takes the URL that it says first.
    fn chaos(arguments: &[&str]) -> (Program, String) {
        let chaos = Program::start("heartwire-chaos", arguments);
        let url = chaos.next_line();
        assert!(url.starts_with("ws"), "{url}");
        (chaos, url)
    }

    /// Takes lines of the output until one is this.
    #[track_caller]
    fn wait_line(&self, wanted: &str) {
        let deadline = Instant::now() + SOON;
        let mut others = Vec::new();
        loop {
            match self.output.recv_deadline(deadline) {
                Ok(line) if line == wanted => return,
                Ok(line) => others.push(line),
                Err(_) => panic!("no line is {wanted:?}: {others:#?}"),
            }
        }
    }
}

/// A client that dials again at once whatever happens, and is quick to find a server silent.
fn stubborn(url: &str) -> heartwire::Client {
    let ms = Duration::from_millis;
    let codes = [1002, 1003, 1007, 1008, 1009, 1010];
    let reconnect =
        codes.iter().fold(heartwire::Reconnect::fixed(ms(10)), |r, code| r.retry_close_code(*code, true));
    heartwire::Client::builder(url)
        .reconnect(reconnect)
        .heartbeat(heartwire::Heartbeat::ping().after_silence(ms(100)).timeout(ms(100)).max_missed(1))
        .connect_timeout(ms(300))
        .connect()
        .unwrap()
}

#[test]
fn chaos_lists_every_step_with_a_line_each_when_asked_for_help() {
    let _watch = watchdog(60, "chaos, help");
    let mut chaos = Program::start("heartwire-chaos", &["--help"]);
    assert_eq!(chaos.status().code(), Some(0));
    let help: Vec<String> = chaos.output.iter().collect();
    let of = |begin: &str, end: &str| {
        let from = help.iter().position(|line| line == begin).expect(begin);
        let to = help.iter().position(|line| line == end).expect(end);
        let names = help[from + 1..to].iter().filter(|line| !line.is_empty());
        names
            .map(|line| line.trim().split([':', '[', ' ']).next().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    let server: Vec<_> = steps::SERVER.iter().map(|step| step.name).collect();
    assert_eq!(of("Steps of a server:", "Steps of a relay:"), server);
    let relay: Vec<_> = steps::RELAY.iter().map(|step| step.name).collect();
    assert_eq!(of("Steps of a relay:", "Commands, a line of the input each:"), relay);
    assert!(help.iter().all(|line| line.chars().count() <= 120), "{help:#?}");
}

#[test]
fn chaos_plays_every_step_of_a_servers_script() {
    let _watch = watchdog(120, "chaos, every step");
    // What is not over by itself is cut as soon as it is open.
    let stays = ["ok", "sink", "greet", "late", "slow", "no-close"];
    let with_argument = |name: &'static str| match name {
        "greet" => "greet:hi",
        "absent" => "absent:30ms",
        "retry-after" => "retry-after:0",
        "late" => "late:20ms",
        "slow" => "slow:20/1ms",
        "cut-after" => "cut-after:10",
        "end-after" => "end-after:1msg",
        "stall-after" => "stall-after:20ms",
        "silence-after" => "silence-after:1msg",
        "garbage-after" => "garbage-after:1msg",
        other => other,
    };
    let script: Vec<_> = steps::SERVER.iter().map(|step| with_argument(step.name)).collect();
    let with_connection: Vec<_> =
        steps::SERVER.iter().map(|step| step.name).filter(|name| *name != "absent").collect();
    let last = with_connection.len() + 1;
    let (mut chaos, url) = Program::chaos(&[
        "--script",
        &format!("{},ok", script.join(",")),
        "--connections",
        &last.to_string(),
    ]);
    let client = stubborn(&url);
    let sender = client.clone();
    let _sends = thread::spawn(move || {
        // So that there is a message in every session, to misbehave after.
        while let Ok(event) = sender.recv_timeout(SOON) {
            if matches!(event, heartwire::Event::Open(_)) {
                let _ = sender.send_text("hello");
            }
        }
    });
    for (i, name) in with_connection.iter().enumerate() {
        let n = i + 1;
        chaos.wait_line(&format!("accepted {n}"));
        if stays.contains(name) {
            chaos.wait_line(&format!("connected {n} /"));
            chaos.type_line(&format!("cut {n}"));
        }
    }
    chaos.wait_line(&format!("connected {last} /"));
    client.close(1000, "").unwrap();
    chaos.wait_line("over 0");
    assert_eq!(chaos.status().code(), Some(0));
}

#[test]
fn chaos_obeys_its_input_and_ends_with_it() {
    let _watch = watchdog(60, "chaos, commands");
    let (mut chaos, url) = Program::chaos(&[]);
    let client = stubborn(&url);
    chaos.wait_line("connected 1 /");
    client.send_text("one\ntwo \\").unwrap();
    chaos.wait_line(r"message 1 text one\ntwo \\");
    for (command, follows) in [
        ("ping", "pong 1"),
        ("say hello", "did say hello"),
        ("cut", "connected 2 /"),
        ("close 4000", "closed 2 4000"),
        ("silence", "did silence"),
        ("resume", "did resume"),
        ("stall", "did stall"),
        ("resume", "did resume"),
        ("refuse", "did refuse"),
        ("accept", "did accept"),
        ("end", "did end"),
        ("dance", "cannot dance: there is no such command; see --help"),
        ("cut 99", "cannot cut 99: there is no such connection"),
        ("late 5ms", "cannot late 5ms: a server cannot"),
    ] {
        if command == "end" {
            client.wait_open(SOON).unwrap();
        }
        chaos.type_line(command);
        chaos.wait_line(follows);
    }
    chaos.end_input();
    chaos.wait_line("over 0");
    assert_eq!(chaos.status().code(), Some(0));
}

#[test]
fn chaos_is_a_relay_in_front_of_any_server() {
    let _watch = watchdog(60, "chaos, relay");
    let server = Server::start(Behaviour::echo());
    let script = ["--relay", &server.address().to_string(), "--script", "refuse,cut-after:20,late:5ms"];
    let (mut chaos, url) = Program::chaos(&script);
    let client = stubborn(&url);
    for line in ["ended 1 cut", "ended 2 cut", "accepted 3"] {
        chaos.wait_line(line);
    }
    client.wait_open(SOON).unwrap();
    for command in ["late 1ms", "slow 100/1ms", "hold", "resume", "cut-after 100000", "cut"] {
        chaos.type_line(command);
        chaos.wait_line(&format!("did {command}"));
    }
    chaos.wait_line("accepted 4");
    chaos.type_line("quit");
    chaos.wait_line("over 0");
    assert_eq!(chaos.status().code(), Some(0));
}

#[test]
fn chaos_says_by_its_status_that_its_script_was_not_used_up() {
    let _watch = watchdog(60, "chaos, left over");
    let (mut chaos, _) = Program::chaos(&["--script", "refuse,cut,ok", "--for", "50ms"]);
    chaos.wait_line("over 3");
    assert_eq!(chaos.status().code(), Some(1));
}

#[test]
#[cfg(feature = "native-tls")]
fn chaos_speaks_tls_with_a_certificate_that_it_hands_out() {
    let _watch = watchdog(60, "chaos, TLS");
    let file = std::env::temp_dir().join(format!("heartwire-chaos-{}.pem", std::process::id()));
    let (mut chaos, url) = Program::chaos(&["--tls", file.to_str().unwrap()]);
    assert!(url.starts_with("wss://localhost:"), "{url}");
    let client =
        heartwire::Client::builder(&url).tls(heartwire::Tls::new().ca_file(&file)).connect().unwrap();
    std::fs::remove_file(&file).unwrap();
    client.wait_open(SOON).unwrap();
    chaos.end_input();
    assert_eq!(chaos.status().code(), Some(0));
}

#[test]
fn chaos_names_what_is_wrong_with_its_arguments() {
    let _watch = watchdog(60, "chaos, arguments");
    for (arguments, problem) in [
        (&["--script", "ok,jump"][..], "there is no step 'jump'; there are: ok, sink, "),
        (&["--script", "cut-after"], "'cut-after' wants cut-after:WHEN"),
        (&["--script", "cut-after:soon"], "'cut-after:soon': 'soon' is neither bytes such as 100, "),
        (&["--script", "ok:now"], "'ok' takes nothing, but 'now' is given"),
        (&["--script", "refuse:99"], "'refuse:99': '99' is not a number from 200 to 599"),
        (&["--script", "close:70000"], "'close:70000': '70000' is not a number from 1000 to 4999"),
        (&["--script", "slow:0/1s"], "'slow:0/1s': '0' is not a number from 1 to 1048576"),
        (&["--script", ""], "there is no step ''"),
        (
            &["--relay", "127.0.0.1:1", "--script", "stall,wrong-accept"],
            "there is no step 'wrong-accept'; there are: ok, refuse, ",
        ),
        (&["--relay", "nowhere"], "--relay nowhere: "),
        (&["--relay", "127.0.0.1:1", "--tls", "x"], "--relay and --tls exclude each other"),
        (&["--for", "ever"], "'ever' is not a time such as 500ms"),
        (&["--connections", "0"], "--connections 0: "),
        (&["--connections"], "missing argument for option '--connections'"),
        (&["--dance"], "invalid option '--dance'"),
        (&["ok"], "unexpected argument \"ok\""),
    ] {
        let mut chaos = Program::start("heartwire-chaos", arguments);
        assert_eq!(chaos.status().code(), Some(2), "{arguments:?}");
        let told: Vec<String> = chaos.told.iter().collect();
        assert!(told[0].starts_with(&format!("heartwire-chaos: {problem}")), "{arguments:?}: {told:#?}");
        assert!(told[1].starts_with("usage: "), "{told:#?}");
        assert_eq!(chaos.output.iter().count(), 0);
    }
    let nowhere = ["--tls", "/nobody/there.pem"];
    assert_eq!(Program::start("heartwire-chaos", &nowhere).status().code(), Some(3));
}
