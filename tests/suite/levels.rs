//! How far messages are known to have got, what goes again when a session dies under them, and what goes first.

use std::thread;

use heartwire::{
    Client, Delivery, Event, Fate, Level, Message, MessageRef, OutboxLimits, Outcome, Priority, SendError,
    SendOptions, WaitError,
};

use crate::net::{Net, SOON, close, failed, ms, opened, wait};
use crate::support::{Behaviour, Server, ServerEvent};

fn outcome(client: &Client) -> Outcome {
    wait(client, |event| if let Event::Outcome(outcome) = event { Some(*outcome) } else { None })
}

fn send(client: &Client, text: &str, options: SendOptions) {
    client.send_with(MessageRef::Text(text), options).unwrap();
}

/// Waits until the server has so many texts, and returns all it has.
#[track_caller]
fn texts(server: &Server, count: usize) -> Vec<String> {
    while server.received_texts().len() < count {
        server.wait_message();
    }
    server.received_texts()
}

fn is_ping(event: &ServerEvent) -> bool {
    matches!(event, ServerEvent::Ping { .. })
}

fn a_message_completes_at_the_level_that_was_asked_for(net: &Net) {
    let server = net.server(Behaviour::echo());
    let client = net.to(&server).complete_at(Level::Acked).report_outcomes(true).connect().unwrap();
    client.send_text("as set for the client").unwrap();
    assert_eq!(outcome(&client).fate(), Fate::Completed(Level::Acked));
    for level in [Level::Written, Level::Acked, Level::Processed] {
        send(&client, "as set for this one", SendOptions::new().complete_at(level));
        assert_eq!(outcome(&client).fate(), Fate::Completed(level));
    }
    send(
        &client,
        "has to arrive",
        SendOptions::new().complete_at(Level::Written).delivery(Delivery::AtLeastOnce),
    );
    assert_eq!(outcome(&client).fate(), Fate::Completed(Level::Processed), "written is not arrived");
    let stats = client.stats();
    assert_eq!((stats.messages_sent(), stats.unconfirmed(), stats.replayed()), (5, 0, 0));
    close(&client);
}

fn no_ping_goes_out_for_nobody_and_few_prove_a_thousand_messages(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).connect().unwrap();
    for _ in 0..100 {
        client.send_text("for nobody").unwrap();
    }
    client.flush(SOON).unwrap();
    close(&client);
    let mut pings = 0;
    server.wait_for(SOON, |event| {
        pings += usize::from(is_ping(event));
        matches!(event, ServerEvent::Closed { .. }).then_some(())
    });
    assert_eq!(pings, 0);

    server.stop();
    let client = net.to(&server).complete_at(Level::Processed).connect().unwrap();
    failed(&client);
    for _ in 0..1000 {
        client.send_text("for those who ask").unwrap();
    }
    server.restart();
    opened(&client);
    client.flush_to(Level::Processed, SOON).unwrap();
    assert_eq!(client.stats().unconfirmed(), 0);
    close(&client);
    server.wait_for(SOON, |event| {
        pings += usize::from(is_ping(event));
        matches!(event, ServerEvent::Closed { .. }).then_some(())
    });
    assert!((1..=20).contains(&pings), "{pings} pings");
}

fn what_was_written_and_not_proven_when_a_session_dies_is_unknown_and_does_not_go_again(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.answer_pings(false);
    let builder = net.to(&server).complete_at(Level::Processed).report_outcomes(true);
    let client = builder.connect().unwrap();
    client.send_text("perhaps").unwrap();
    texts(&server, 1);
    server.cut(1);
    let told = outcome(&client);
    assert!(matches!(told.fate(), Fate::Unknown(Level::Written | Level::Acked)), "{told}");
    assert_eq!(client.stats().unknown(), 1);
    server.answer_pings(true);
    client.send_text("for certain").unwrap();
    assert_eq!(outcome(&client).fate(), Fate::Completed(Level::Processed));
    assert_eq!(server.received_texts(), ["perhaps", "for certain"]);
    close(&client);
}

fn a_flush_to_a_level_tells_when_nobody_can_know(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.answer_pings(false);
    let client = net.to(&server).connect().unwrap();
    client.send_text("complete when written").unwrap();
    thread::scope(|scope| {
        let flush = scope.spawn(|| client.flush_to(Level::Processed, SOON));
        // It asks, although the message does not.
        server.wait_for(SOON, |event| is_ping(event).then_some(()));
        server.cut(1);
        assert!(matches!(flush.join().unwrap(), Err(WaitError::Unknown)));
    });
    server.answer_pings(true);
    client.send_text("and again").unwrap();
    client.flush_to(Level::Processed, SOON).unwrap();
    assert_eq!(client.stats().messages_sent(), 2);
    close(&client);
}

fn what_has_to_arrive_goes_again_stamped_and_before_what_waits(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.answer_pings(false);
    let client = net
        .to(&server)
        .greeting("login")
        .delivery(Delivery::AtLeastOnce)
        .report_outcomes(true)
        .on_replay(|replay| {
            let text = format!("{} once more", replay.message().as_text().unwrap());
            assert!(replay.number() == 1 || text.ends_with("once more once more"));
            replay.replace(Message::text(text));
        })
        .connect()
        .unwrap();
    for text in ["one", "two"] {
        client.send_text(text).unwrap();
    }
    texts(&server, 3);
    server.stop();
    failed(&client);
    client.send_text("three").unwrap();
    server.restart();
    opened(&client);
    assert_eq!(texts(&server, 7)[3..], ["login", "one once more", "two once more", "three"]);
    server.cut(server.connections());
    server.answer_pings(true);
    opened(&client);
    let again = ["one once more once more", "two once more once more", "three once more"];
    assert_eq!(texts(&server, 11)[8..], again);
    client.flush_to(Level::Processed, SOON).unwrap();
    let told = outcome(&client);
    assert_eq!((told.first().get(), told.fate()), (1, Fate::Completed(Level::Processed)));
    let stats = client.stats();
    assert_eq!((stats.replayed(), stats.messages_sent(), stats.unconfirmed()), (5, 3, 0));
    close(&client);
}

fn what_is_kept_to_go_again_counts_against_the_limits(net: &Net) {
    let server = net.server(Behaviour::silent());
    server.answer_pings(false);
    let builder = net.to(&server).outbox(OutboxLimits::new().messages(3)).delivery(Delivery::AtLeastOnce);
    let client = builder.connect().unwrap();
    for text in ["one", "two", "three"] {
        client.send_text(text).unwrap();
    }
    texts(&server, 3);
    client.flush(SOON).unwrap();
    assert_eq!((client.buffered_amount(), client.stats().unconfirmed()), (0, 3));
    assert_eq!(client.send_text("four"), Err(SendError::Full));
    server.stop();
    server.answer_pings(true);
    server.restart();
    wait(&client, |event| matches!(event, Event::Writable).then_some(()));
    client.send_text("four").unwrap();
    assert_eq!(texts(&server, 7)[3..], ["one", "two", "three", "four"]);
    close(&client);
}

fn high_priority_goes_before_what_waits_but_not_before_greetings(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).greeting("login").build().unwrap();
    let high = SendOptions::new().priority(Priority::High);
    for (text, options) in
        [("three", SendOptions::new()), ("one", high), ("four", SendOptions::new()), ("two", high)]
    {
        send(&client, text, options);
    }
    client.connect().unwrap();
    assert_eq!(texts(&server, 5), ["login", "one", "two", "three", "four"]);
    close(&client);
}

fn a_close_waits_for_the_level_it_drains_to_and_no_longer_than_its_deadline(net: &Net) {
    let server = net.server(Behaviour::silent());
    let client = net.to(&server).drain_to(Level::Processed).report_outcomes(true).connect().unwrap();
    opened(&client);
    client.send_text("last words").unwrap();
    close(&client);
    let mut seen = Vec::new();
    server.wait_for(SOON, |event| {
        seen.extend(match event {
            ServerEvent::Message { .. } => Some("message"),
            ServerEvent::Ping { data, .. } if data.len() == 16 => Some("ping"),
            ServerEvent::Closed { .. } => Some("close"),
            _ => None,
        });
        matches!(event, ServerEvent::Closed { .. }).then_some(())
    });
    assert_eq!(seen, ["message", "ping", "close"]);

    server.answer_pings(false);
    let builder = net.to(&server).complete_at(Level::Processed).close_timeout(ms(200));
    let client = builder.report_outcomes(true).connect().unwrap();
    opened(&client);
    client.send_text("perhaps").unwrap();
    client.close(1000, "").unwrap();
    let told = outcome(&client);
    assert!(matches!(told.fate(), Fate::Unknown(_)), "{told}");
    client.wait_closed(SOON).unwrap();
}

stamp! {
    a_message_completes_at_the_level_that_was_asked_for,
    no_ping_goes_out_for_nobody_and_few_prove_a_thousand_messages,
    what_was_written_and_not_proven_when_a_session_dies_is_unknown_and_does_not_go_again,
    a_flush_to_a_level_tells_when_nobody_can_know,
    what_has_to_arrive_goes_again_stamped_and_before_what_waits,
    what_is_kept_to_go_again_counts_against_the_limits,
    high_priority_goes_before_what_waits_but_not_before_greetings,
    a_close_waits_for_the_level_it_drains_to_and_no_longer_than_its_deadline,
}
