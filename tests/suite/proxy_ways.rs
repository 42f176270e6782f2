//! Through a proxy to wherever an attempt goes: by redirects, as `before_connect` says, and to several URLs in turn.

use std::io::{Read, Write};
use std::time::Instant;

use heartwire::{Cause, Client, End, Phase, ProxyFault};

use crate::net::{Net, SOON, close, closed, ended, failed, ms, opened, quick, received};
use crate::support::proxy::{Asked, Lets, http_proxy, socks_proxy};
use crate::support::upgrade::read_request_head;
use crate::support::{Behaviour, Server, ServerEvent, Setup};

const KINDS: [&str; 3] = ["http", "socks5", "socks5h"];

fn proxy(kind: &str, lets: Lets, asked: &Asked) -> Behaviour {
    match kind {
        "http" => http_proxy(lets, asked),
        _ => socks_proxy(lets, asked),
    }
}

fn moved(location: &str) -> Behaviour {
    Behaviour::refuse(302, &[("Location", location)], "")
}

/// A proxy that says no to where it is asked to go.
fn refusing(kind: &str) -> Behaviour {
    let http = kind == "http";
    Behaviour::raw(move |stream, _| {
        let _ = if http {
            read_request_head(stream).and_then(|_| stream.write_all(b"HTTP/1.1 403 Not there\r\n\r\n"))
        } else {
            // The first answer is to the ways to log in, the second to where to go.
            let mut some = [0; 300];
            let greeted = stream.read(&mut some).and_then(|_| stream.write_all(b"\x05\x00"));
            greeted.and_then(|()| stream.read(&mut some)).and_then(|_| stream.write_all(b"\x05\x02"))
        };
        let _ = stream.flush().and_then(|()| stream.read(&mut [0; 64]));
    })
}

fn is_no(error: &heartwire::LinkError) -> bool {
    error.phase() == Phase::Proxy
        && (error.http_status() == Some(403) || matches!(error.cause(), Cause::Proxy(ProxyFault::Socks(2))))
}

fn each_hop_of_a_redirect_goes_through_the_proxy_by_a_tunnel_of_its_own(net: &Net) {
    for kind in KINDS {
        let target = net.server(Behaviour::echo());
        let away = net.url(target.address());
        let server = net.start(Setup::each(move |n| if n == 1 { moved("/there") } else { moved(&away) }));
        let asked = Asked::default();
        let proxy = Server::start(proxy(kind, Lets::User, &asked));
        let url = format!("{kind}://user:pass@{}", proxy.address());
        let client = net.to(&server).proxy(url).connect().unwrap();
        let opened = opened(&client);
        assert_eq!((opened.attempt(), opened.redirects().len()), (1, 2), "{kind}");
        assert_eq!(opened.url(), net.url(target.address()));
        let [first, second] = [&server, &target].map(|server| server.address().to_string());
        assert_eq!(asked.all(), [first.clone(), first, second], "{kind}");
        let (_, request) = target.wait_connected();
        assert_eq!(request.header("Proxy-Authorization"), None, "the proxy's login is the proxy's");
        client.send_text("there").unwrap();
        assert_eq!(received(&client).as_text(), Some("there"));
        close(&client);
    }
}

fn a_proxy_that_refuses_the_target_of_a_redirect_is_told_and_so_is_the_way_there(net: &Net) {
    for kind in KINDS {
        let target = net.server(Behaviour::echo());
        let away = net.url(target.address());
        let server = net.server(moved(&away));
        let working = proxy(kind, Lets::Everyone, &Asked::default());
        let refusal = refusing(kind);
        let proxy = Setup::each(move |n| if n == 1 { working.clone() } else { refusal.clone() }).start();
        let client = net.to(&server).proxy(format!("{kind}://{}", proxy.address())).connect().unwrap();
        let failed = failed(&client);
        assert!(is_no(failed.error()), "{kind}: {failed}");
        assert_eq!((failed.url(), failed.redirects()), (away.as_str(), &[net.url(server.address())][..]));
        assert!(matches!(ended(&client), End::Fatal(_)));
        assert_eq!((target.connections(), proxy.connections()), (0, 2));
    }
}

fn the_url_that_the_program_sets_is_reached_through_the_proxy(net: &Net) {
    for kind in KINDS {
        let (first, second) = (net.server(Behaviour::echo()), net.server(Behaviour::echo()));
        let elsewhere = net.url(second.address());
        let asked = Asked::default();
        let proxy = Server::start(proxy(kind, Lets::Everyone, &asked));
        let client = net
            .to(&first)
            .proxy(format!("{kind}://{}", proxy.address()))
            .before_connect(move |attempt| {
                if attempt.number() == 1 {
                    attempt.set_url(&elsewhere)?;
                }
                Ok(())
            })
            .connect()
            .unwrap();
        assert_eq!(opened(&client).url(), net.url(second.address()));
        second.cut_all();
        closed(&client);
        assert_eq!(opened(&client).url(), net.url(first.address()));
        let both = [&second, &first].map(|server| server.address().to_string());
        assert_eq!(asked.all(), both, "{kind}");
        close(&client);
    }
}

fn a_proxys_refusal_asks_the_program_once_and_another_url_may_be_let_through(net: &Net) {
    for (kind, login, told) in [
        ("http", "", "407"),
        ("http", "user:wrong@", "407"),
        ("socks5", "", "Method"),
        ("socks5h", "user:wrong@", "Credentials"),
    ] {
        let server = net.server(Behaviour::echo());
        let proxy = Server::start(proxy(kind, Lets::User, &Asked::default()));
        let builder = net.to(&server).proxy(format!("{kind}://{login}{}", proxy.address()));
        let client = builder.before_connect(|_| Ok(())).connect().unwrap();
        let first = failed(&client);
        assert!(first.retry_in().is_some(), "{kind} {login}: {first}");
        let second = failed(&client);
        assert_eq!((second.error().phase(), second.retry_in()), (Phase::Proxy, None), "{second}");
        assert!(format!("{:?}", second.error().cause()).contains(told), "{second:?}");
        assert!(matches!(ended(&client), End::Fatal(_)));
        assert_eq!((proxy.connections(), server.connections()), (2, 0));
    }
    // One that says no to a place, and not to all of them.
    for kind in KINDS {
        let server = net.server(Behaviour::echo());
        let away = net.url(server.address());
        let (refusal, working) = (refusing(kind), proxy(kind, Lets::Everyone, &Asked::default()));
        let proxy = Setup::each(move |n| if n == 1 { refusal.clone() } else { working.clone() }).start();
        let client = net
            .builder(&away.replace("127.0.0.1", "127.0.0.2"))
            .proxy(format!("{kind}://{}", proxy.address()))
            .before_connect(move |attempt| {
                if attempt.last_error().is_some_and(is_no) {
                    attempt.set_url(&away)?;
                }
                Ok(())
            })
            .connect()
            .unwrap();
        assert!(is_no(failed(&client).error()), "{kind}");
        assert_eq!(opened(&client).attempt(), 2);
        close(&client);
    }
}

fn urls_take_turns_behind_one_proxy(net: &Net) {
    for kind in KINDS {
        let (dead, good) = (net.server(Behaviour::echo()), net.server(Behaviour::echo()));
        dead.stop();
        let asked = Asked::default();
        let proxy = Server::start(proxy(kind, Lets::Everyone, &asked));
        let builder = net.to(&dead).add_url(net.url(good.address()));
        let client = builder.proxy(format!("{kind}://{}", proxy.address())).connect().unwrap();
        let first = failed(&client);
        assert_eq!((first.url_index(), first.error().phase()), (0, Phase::Proxy), "{first}");
        assert_eq!(opened(&client).url_index(), 1);
        assert_eq!(asked.all(), [&dead, &good].map(|server| server.address().to_string()));
        // Without the proxy neither is reached, and they take turns all the same.
        proxy.stop();
        closed(&client);
        let mut indexes = [failed(&client), failed(&client)].map(|failed| failed.url_index());
        indexes.sort();
        assert_eq!(indexes, [0, 1]);
        proxy.restart();
        opened(&client);
        close(&client);
    }
}

/// A client whose second tunnel, behind a redirect, is never answered; the proxy goes with it.
fn stuck_behind_a_redirect(net: &Net, kind: &str) -> (Client, Server, Server) {
    let server = net.server(moved("/there"));
    let working = proxy(kind, Lets::Everyone, &Asked::default());
    let mute = Behaviour::raw(|stream, _| while stream.read(&mut [0; 64]).is_ok_and(|read| read > 0) {});
    let proxy = Setup::each(move |n| if n == 1 { working.clone() } else { mute.clone() }).start();
    let builder = net.to(&server).proxy(format!("{kind}://{}", proxy.address()));
    let client = builder.connect_timeout(SOON).reconnect(quick()).connect().unwrap();
    proxy.wait_for(SOON, |event| matches!(event, ServerEvent::Accepted { n: 2 }).then_some(()));
    (client, server, proxy)
}

fn a_close_and_a_drop_interrupt_a_redirect_through_a_proxy(net: &Net) {
    for kind in KINDS {
        let began = Instant::now();
        let (client, ..) = stuck_behind_a_redirect(net, kind);
        client.close(1000, "").unwrap();
        assert!(matches!(client.wait_closed(SOON), Ok(End::Closed)), "{kind}");
        let (client, ..) = stuck_behind_a_redirect(net, kind);
        drop(client);
        assert!(began.elapsed() < SOON, "{kind}");
    }
}

fn a_proxys_silence_behind_a_redirect_counts_into_the_deadline_of_the_attempt(net: &Net) {
    for kind in KINDS {
        let server = net.server(moved("/there"));
        let working = proxy(kind, Lets::Everyone, &Asked::default());
        let mute = Behaviour::raw(|stream, _| while stream.read(&mut [0; 64]).is_ok_and(|read| read > 0) {});
        let proxy = Setup::each(move |n| if n == 1 { working.clone() } else { mute.clone() }).start();
        let builder = net.to(&server).proxy(format!("{kind}://{}", proxy.address()));
        let client = builder.connect_timeout(ms(400)).connect().unwrap();
        let failed = failed(&client);
        assert!(matches!(failed.error().cause(), Cause::TimedOut), "{kind}: {failed}");
        assert_eq!((failed.error().phase(), failed.redirects().len()), (Phase::Proxy, 1), "{kind}: {failed}");
        assert!(failed.retry_in().is_some());
    }
}

/// From `ws:` to `wss:`, both by one proxy; for the first there was no TLS to set up.
#[cfg(feature = "native-tls")]
fn a_plain_url_may_lead_to_tls_through_the_proxy(net: &Net) {
    use crate::support::certs::Certs;

    for kind in KINDS {
        let target = Setup::new(Behaviour::echo()).tls(Certs::shared().server_config()).start();
        let server = net.server(moved(&format!("https://{}/", target.address())));
        let asked = Asked::default();
        let proxy = Server::start(proxy(kind, Lets::Everyone, &asked));
        let url = format!("{kind}://{}", proxy.address());
        let client = net.to(&server).tls(crate::net::trusting()).proxy(url.as_str()).connect().unwrap();
        assert_eq!(opened(&client).redirects().len(), 1);
        assert_eq!(asked.all(), [&server, &target].map(|server| server.address().to_string()));
        close(&client);
        // The system's roots know nothing of the server; the failure is TLS's, not the proxy's.
        let client = net.to(&server).proxy(url).connect().unwrap();
        assert_eq!(failed(&client).error().phase(), Phase::Tls);
    }
}

/// TLS with the proxy, and what it leads to: silent at each step, until the program has had enough.
#[cfg(feature = "native-tls")]
fn a_close_and_a_drop_interrupt_tls_with_the_proxy_and_through_it(net: &Net) {
    use heartwire::{Event, Proxy, State};

    use crate::net::{silent_port, trusting, wait};
    use crate::support::certs::Certs;

    let (_listener, silent) = silent_port();
    let secure = |behaviour| Setup::new(behaviour).tls(Certs::shared().server_config()).start();
    let mute = secure(Behaviour::raw(|stream, _| while stream.read(&mut [0; 64]).is_ok_and(|n| n > 0) {}));
    let working = secure(http_proxy(Lets::Everyone, &Asked::default()));
    let behind = if net.is_plain() { Phase::Upgrade } else { Phase::Tls };
    for (address, phase) in
        [(silent, Phase::Proxy), (mute.address(), Phase::Proxy), (working.address(), behind)]
    {
        let start = || {
            let proxy = Proxy::new(format!("https://{address}")).tls(trusting());
            let client = net.builder(&net.url(silent)).connect_timeout(SOON).proxy(proxy).connect().unwrap();
            wait(&client, |event| match event {
                Event::State(State::Connecting(reached)) => (*reached == phase).then_some(()),
                _ => None,
            });
            client
        };
        let client = start();
        client.close(1000, "").unwrap();
        assert!(matches!(client.wait_closed(SOON), Ok(End::Closed)), "{phase:?}");
        let began = Instant::now();
        drop(start());
        assert!(began.elapsed() < SOON, "{phase:?}");
    }
}

stamp! {
    each_hop_of_a_redirect_goes_through_the_proxy_by_a_tunnel_of_its_own,
    a_proxy_that_refuses_the_target_of_a_redirect_is_told_and_so_is_the_way_there,
    the_url_that_the_program_sets_is_reached_through_the_proxy,
    a_proxys_refusal_asks_the_program_once_and_another_url_may_be_let_through,
    urls_take_turns_behind_one_proxy,
    a_close_and_a_drop_interrupt_a_redirect_through_a_proxy,
    a_proxys_silence_behind_a_redirect_counts_into_the_deadline_of_the_attempt,
}

#[cfg(feature = "native-tls")]
mod tls_only {
    use super::{
        a_close_and_a_drop_interrupt_tls_with_the_proxy_and_through_it,
        a_plain_url_may_lead_to_tls_through_the_proxy,
    };

    mod from_plain {
        use super::a_plain_url_may_lead_to_tls_through_the_proxy;
        stamp_modes!(Plain: a_plain_url_may_lead_to_tls_through_the_proxy);
    }

    mod both {
        use super::a_close_and_a_drop_interrupt_tls_with_the_proxy_and_through_it;
        stamp! { a_close_and_a_drop_interrupt_tls_with_the_proxy_and_through_it }
    }
}
