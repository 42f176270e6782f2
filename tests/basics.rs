//! The main job, from connect to close, on real sockets.

mod support;

use std::time::Duration;

use heartwire::{Client, End, Event};
use support::{Behaviour, Server, watchdog};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_message_goes_there_and_comes_back() {
    let _watch = watchdog(30, "echo");
    let server = Server::start(Behaviour::echo());
    let client = Client::builder(&server.url()).connect().unwrap();
    client.wait_open(SOON).unwrap();
    client.send_text("hello").unwrap();
    loop {
        match client.recv_timeout(SOON).unwrap() {
            Event::Message(message) => {
                assert_eq!(message.as_text(), Some("hello"));
                break;
            }
            event => println!("{event}"),
        }
    }
    client.close(1000, "done").unwrap();
    assert!(matches!(client.wait_closed(SOON).unwrap(), End::Closed));
    assert_eq!(server.wait_closed(), (Some(1000), "done".to_string()));
}
