//! Servers behind a Unix socket, plain and with TLS over it.

use heartwire::{Cause, Event, Phase};

use crate::net::{Net, close, closed, failed, opened, received};
use crate::support::door::Door;
use crate::support::{Behaviour, Server, ServerEvent, Setup};

/// A URL of the network's kind whose host is in the certificate, and where nobody is.
fn nowhere(net: &Net) -> String {
    net.url("127.0.0.1:1".parse().unwrap())
}

/// The Host header and the path of the next upgrade.
#[track_caller]
fn asked(server: &Server) -> (String, String) {
    server.wait_for(crate::net::SOON, |event| match event {
        ServerEvent::Connected { request, .. } | ServerEvent::Refused { request, .. } => {
            Some((request.header("Host").unwrap_or_default().to_owned(), request.target().to_owned()))
        }
        _ => None,
    })
}

#[track_caller]
fn works(client: &heartwire::Client) {
    client.send_text("there and back").unwrap();
    assert_eq!(received(client).as_text(), Some("there and back"));
    let long = vec![7; 3_000_000];
    client.send_binary(&long).unwrap();
    assert_eq!(received(client).as_bytes(), long);
}

fn a_server_behind_a_unix_socket_is_reached_by_the_setting_with_the_urls_host_and_path(net: &Net) {
    let server = net.server(Behaviour::echo());
    let door = Door::to(server.address());
    let url = nowhere(net) + "feed?of=all";
    let client = net.builder(&url).unix_socket(door.path()).connect().unwrap();
    assert_eq!(opened(&client).url(), nowhere(net) + "feed");
    assert_eq!(asked(&server), ("127.0.0.1:1".to_owned(), "/feed?of=all".to_owned()));
    works(&client);
    client.close(1000, "done").unwrap();
    let closed = closed(&client);
    assert!(closed.is_clean() && closed.code() == 1000, "{closed}");
}

fn a_url_may_name_the_socket_and_what_is_asked_for_there(net: &Net) {
    if !net.is_plain() {
        return; // TLS over a Unix socket is a matter of the setting
    }
    let server = net.server(Behaviour::echo());
    let door = Door::to(server.address());
    let client = net.builder(&door.url("/feed?of=all")).connect().unwrap();
    assert_eq!(opened(&client).url(), door.url("/feed"));
    assert_eq!(client.name(), door.path().to_str().unwrap());
    assert_eq!(asked(&server), ("localhost".to_owned(), "/feed?of=all".to_owned()));
    works(&client);
    close(&client);

    let client = net.builder(&format!("ws+unix:{}", door.path().display())).connect().unwrap();
    opened(&client);
    assert_eq!(asked(&server), ("localhost".to_owned(), "/".to_owned()));
}

fn a_link_over_a_unix_socket_heals_when_the_server_or_its_socket_comes_back(net: &Net) {
    let server = net.server(Behaviour::echo());
    let door = Door::to(server.address());
    let path = door.path().to_owned();
    let client = net.builder(&nowhere(net)).unix_socket(&path).connect().unwrap();
    opened(&client);
    server.cut_all();
    closed(&client);
    opened(&client);

    drop(door);
    server.cut_all();
    closed(&client);
    let failure = failed(&client);
    assert_eq!((failure.error().phase(), failure.error().os_error()), (Phase::Connect, Some(2)));
    assert!(failure.to_string().contains(path.to_str().unwrap()), "{failure}");
    assert!(failure.retry_in().is_some());
    client.send_text("waits").unwrap();
    let _door = Door::at(path, server.address());
    opened(&client);
    assert_eq!(received(&client).as_text(), Some("waits"));
    close(&client);
}

fn redirects_stay_on_the_socket(net: &Net) {
    let absolute = net.url("127.0.0.1:2".parse().unwrap()).replacen("ws", "http", 1) + "third";
    let server = net.start(Setup::each(move |n| match n {
        1 => Behaviour::refuse(302, &[("Location", "/second")], ""),
        2 => Behaviour::refuse(302, &[("Location", &absolute)], ""),
        _ => Behaviour::echo(),
    }));
    let door = Door::to(server.address());
    let url = nowhere(net).replace("127.0.0.1", "user:secret@127.0.0.1") + "first";
    let client = net.builder(&url).unix_socket(door.path()).connect().unwrap();
    assert_eq!(opened(&client).redirects().len(), 2);
    assert_eq!(asked(&server), ("127.0.0.1:1".to_owned(), "/first".to_owned()));
    assert_eq!(asked(&server), ("127.0.0.1:1".to_owned(), "/second".to_owned()));
    assert_eq!(asked(&server), ("127.0.0.1:2".to_owned(), "/third".to_owned()));
    close(&client);
    if net.is_plain() {
        let server = net.start(Setup::each(|n| match n {
            1 => Behaviour::refuse(302, &[("Location", "/second")], ""),
            _ => Behaviour::echo(),
        }));
        let door = Door::to(server.address());
        let client = net.builder(&door.url("/first")).connect().unwrap();
        assert_eq!(opened(&client).url(), door.url("/second"));
        close(&client);
    }
}

fn a_server_cannot_send_a_client_to_a_unix_socket(net: &Net) {
    let server = net.server(Behaviour::refuse(302, &[("Location", "ws+unix:///run/other.sock:/")], ""));
    let client = net.to(&server).connect().unwrap();
    let failure = failed(&client);
    assert!(matches!(failure.error().cause(), Cause::BadRedirect { .. }), "{failure}");
}

fn a_close_in_the_middle_of_an_attempt_over_a_unix_socket_ends_it(net: &Net) {
    let server = net.server(Behaviour::never_upgrade());
    let door = Door::to(server.address());
    let client = net.builder(&nowhere(net)).unix_socket(door.path()).connect().unwrap();
    crate::net::wait(&client, |event| {
        matches!(event, Event::State(heartwire::State::Connecting(Phase::Upgrade))).then_some(())
    });
    close(&client);
}

stamp!(
    a_server_behind_a_unix_socket_is_reached_by_the_setting_with_the_urls_host_and_path,
    a_url_may_name_the_socket_and_what_is_asked_for_there,
    a_link_over_a_unix_socket_heals_when_the_server_or_its_socket_comes_back,
    redirects_stay_on_the_socket,
    a_server_cannot_send_a_client_to_a_unix_socket,
    a_close_in_the_middle_of_an_attempt_over_a_unix_socket_ends_it,
);
