//! Redirects, and several URLs that take turns.

use std::io::{Read, Write};
use std::time::Instant;

use heartwire::{Cause, End, Phase, RedirectFault};

use crate::net::{Net, SOON, close, closed, ended, failed, ms, opened, received};
use crate::support::upgrade::read_request_head;
use crate::support::{Behaviour, ServerEvent, Setup};

fn moved(status: u16, location: &str) -> Behaviour {
    Behaviour::refuse(status, &[("Location", location)], "moved")
}

fn each_status_of_a_redirect_is_followed_to_relative_and_absolute_places(net: &Net) {
    for status in [301, 302, 303, 307, 308] {
        let target = net.server(Behaviour::echo());
        // http: and https: stand for ws: and wss:.
        let absolute = net.url(target.address()).replacen("ws", "http", 1) + "feed?token=abc";
        let server = net.start(Setup::each(move |n| {
            if n == 1 { moved(status, "/first?x=1") } else { moved(status, &absolute) }
        }));
        let client = net.to(&server).connect().unwrap();
        let opened = opened(&client);
        let here = net.url(server.address());
        assert_eq!((opened.attempt(), opened.url_index()), (1, 0));
        assert_eq!(opened.url(), format!("{}feed", net.url(target.address())), "without its query");
        assert_eq!(opened.redirects(), [here.clone(), format!("{here}first")]);
        assert_eq!(target.wait_connected().1.target(), "/feed?token=abc");
        assert_eq!((server.connections(), client.stats().attempts()), (2, 1));
        client.send_text("there").unwrap();
        assert_eq!(received(&client).as_text(), Some("there"));
        close(&client);
    }
}

fn credentials_stay_with_their_origin_and_other_headers_go_along(net: &Net) {
    let target = net.server(Behaviour::echo());
    let away = net.url(target.address());
    let server = net.start(Setup::each(move |n| match n {
        1 => moved(307, "/here"),
        2 => moved(307, &away),
        _ => Behaviour::echo(),
    }));
    let with_user = net.url(server.address()).replace("://", "://user:secret@");
    let client = net.builder(&with_user).header("Cookie", "a=b").header("X-Key", "k").connect().unwrap();
    assert_eq!(opened(&client).redirects().len(), 2);
    let (_, request) = target.wait_connected();
    assert_eq!((request.header("Authorization"), request.header("Cookie")), (None, None));
    assert_eq!(request.header("X-Key"), Some("k"));
    // The next attempt begins with the configured URL, and with its credentials.
    target.cut(1);
    closed(&client);
    assert!(opened(&client).redirects().is_empty());
    let (n, request) = server.wait_connected();
    assert_eq!((n, request.target()), (3, "/"));
    assert!(request.header("Authorization").is_some_and(|value| value.starts_with("Basic ")));
    assert_eq!(request.header("Cookie"), Some("a=b"));
}

fn credentials_go_along_within_their_origin(net: &Net) {
    let server = net.start(Setup::each(|n| if n == 1 { moved(308, "../x") } else { Behaviour::echo() }));
    let client = net.to(&server).header("Authorization", "Bearer abc").connect().unwrap();
    opened(&client);
    let (_, request) = server.wait_connected();
    assert_eq!((request.target(), request.header("Authorization")), ("/x", Some("Bearer abc")));
}

/// The fault of an attempt that is sent on by this server again and again.
#[track_caller]
fn fault(
    net: &Net,
    location: impl Fn(usize) -> String + Send + Sync + 'static,
    most: u32,
) -> (RedirectFault, usize) {
    let server = net.start(Setup::each(move |n| moved(302, &location(n))));
    let client = net.to(&server).redirects(most).connect().unwrap();
    let failed = failed(&client);
    let error = failed.error();
    assert_eq!((error.phase(), error.http_status()), (Phase::Upgrade, Some(302)));
    assert!(error.refusal().is_some_and(|refusal| refusal.header("location").is_some()));
    let Cause::BadRedirect { fault, .. } = error.cause() else { panic!("{failed}") };
    assert_eq!(failed.redirects().len() + 1, server.connections(), "each hop is told");
    assert!(matches!(ended(&client), End::Fatal(_)));
    (*fault, server.connections())
}

fn a_redirect_that_leads_nowhere_is_a_clear_error(net: &Net) {
    assert_eq!(fault(net, |n| format!("/{n}"), 5), (RedirectFault::TooMany, 6));
    assert_eq!(fault(net, |n| format!("/{n}"), 1), (RedirectFault::TooMany, 2));
    assert_eq!(fault(net, |n| format!("/{}", n % 2), 5), (RedirectFault::Loop, 3));
    assert_eq!(fault(net, |_| "/".into(), 5), (RedirectFault::Loop, 1));
    assert_eq!(fault(net, |_| "ftp://h/".into(), 5), (RedirectFault::Location, 1));
    assert_eq!(fault(net, |_| "http://".into(), 5), (RedirectFault::Location, 1));
    if !net.is_plain() {
        assert_eq!(fault(net, |_| "http://127.0.0.1:9/".into(), 5), (RedirectFault::Downgrade, 1));
    }
}

fn five_redirects_are_followed_unless_told_otherwise(net: &Net) {
    let behaviour = |follow: usize| {
        net.start(Setup::each(
            move |n| {
                if n <= follow { moved(307, &format!("/{n}")) } else { Behaviour::echo() }
            },
        ))
    };
    let server = behaviour(5);
    let client = net.to(&server).connect().unwrap();
    assert_eq!(opened(&client).redirects().len(), 5);
    close(&client);
    let server = behaviour(6);
    let client = net.to(&server).connect().unwrap();
    let Cause::BadRedirect { fault, .. } = *failed(&client).error().cause() else { panic!("no redirect") };
    assert_eq!((fault, server.connections()), (RedirectFault::TooMany, 6));
}

fn what_the_program_prepared_goes_along_a_redirect(net: &Net) {
    let target = net.server(Behaviour::echo());
    let away = net.url(target.address());
    let server = net.server(moved(307, &away));
    let client = net
        .to(&server)
        .greeting("not this one")
        .before_connect(|attempt| {
            attempt.set_header("X-Key", "fresh")?;
            attempt.set_header("Authorization", "Bearer for-the-first-alone")?;
            attempt.set_subprotocols(["v2"])?;
            attempt.greeting("login");
            Ok(())
        })
        .connect()
        .unwrap();
    assert_eq!(opened(&client).redirects().len(), 1);
    let (_, request) = target.wait_connected();
    assert_eq!(request.header("X-Key"), Some("fresh"));
    assert_eq!(request.header("Sec-WebSocket-Protocol"), Some("v2"));
    assert_eq!(request.header("Authorization"), None);
    assert_eq!(received(&client).as_text(), Some("login"));
    close(&client);
}

fn a_redirect_that_ends_badly_is_a_failure_of_the_url_it_began_with(net: &Net) {
    let (dead, good) = (net.server(Behaviour::echo()), net.server(Behaviour::echo()));
    dead.stop();
    let away = net.url(dead.address());
    let server = net.server(moved(302, &away));
    let client = net.to(&server).add_url(net.url(good.address())).connect().unwrap();
    let failed = failed(&client);
    assert_eq!((failed.url_index(), failed.url()), (0, away.as_str()));
    assert_eq!(failed.redirects(), [net.url(server.address())]);
    let opened = opened(&client);
    assert_eq!((opened.url_index(), opened.redirects().len()), (1, 0));
    close(&client);
}

fn a_close_and_a_drop_interrupt_a_redirect_at_every_point(net: &Net) {
    // Silent below TLS, and silent above it.
    let mute = Behaviour::raw(|stream, _| while stream.read(&mut [0; 64]).is_ok_and(|read| read > 0) {});
    for target in [Setup::new(mute).start(), net.server(Behaviour::never_upgrade())] {
        let server = net.server(moved(302, &net.url(target.address())));
        let start = |n| {
            let client = net.to(&server).connect_timeout(SOON).connect().unwrap();
            target.wait_for(SOON, |event| {
                matches!(event, ServerEvent::Accepted { n: accepted } if *accepted == n).then_some(())
            });
            client
        };
        let client = start(1);
        client.close(1000, "").unwrap();
        assert!(matches!(client.wait_closed(SOON), Ok(End::Closed)));
        let began = Instant::now();
        drop(start(2));
        assert!(began.elapsed() < SOON);
    }
}

fn redirects_can_be_turned_off(net: &Net) {
    let server = net.server(moved(302, "/there"));
    let client = net.to(&server).redirects(0).connect().unwrap();
    let failed = failed(&client);
    assert!(matches!(failed.error().cause(), Cause::Refused(refusal) if refusal.status() == 302));
    assert!(matches!(ended(&client), End::Fatal(_)));
    assert_eq!(server.connections(), 1);
}

fn nobody_waits_for_the_body_of_a_redirect(net: &Net) {
    let target = net.server(Behaviour::echo());
    let away = net.url(target.address());
    let server = net.server(Behaviour::raw(move |stream, _| {
        read_request_head(stream).unwrap();
        let head = format!("HTTP/1.1 302 Found\r\nLocation: {away}\r\nContent-Length: 100\r\n\r\n");
        stream.write_all(head.as_bytes()).and_then(|()| stream.flush()).unwrap();
        // Nothing comes until the client goes.
        let _ = stream.read(&mut [0; 64]);
    }));
    let client = net.to(&server).connect_timeout(SOON).connect().unwrap();
    assert_eq!(opened(&client).attempt(), 1);
    close(&client);
}

fn redirects_count_into_the_deadline_of_the_attempt(net: &Net) {
    let silent = net.server(Behaviour::never_upgrade());
    let away = net.url(silent.address());
    let server = net.server(moved(302, &away));
    let client = net.to(&server).connect_timeout(ms(300)).connect().unwrap();
    let failed = failed(&client);
    assert!(matches!(failed.error().cause(), Cause::TimedOut), "{failed}");
    assert_eq!((failed.url(), failed.redirects().len()), (away.as_str(), 1));
    assert!(failed.retry_in().is_some());
}

#[cfg(feature = "native-tls")]
fn a_plain_url_may_lead_to_tls(net: &Net) {
    // Where TLS was not set up at build, it is on a thread of the pool: here the system's roots refuse the server.
    let target =
        Setup::new(Behaviour::echo()).tls(crate::support::certs::Certs::shared().server_config()).start();
    let away = format!("https://localhost:{}/", target.port());
    let server = Setup::new(moved(302, &away)).start();
    let plain = heartwire::Client::builder(&server.url()).reconnect(heartwire::Reconnect::never());
    let client = plain.connect().unwrap();
    let failed = failed(&client);
    assert_eq!(failed.error().phase(), Phase::Tls, "{failed}");
    let trusting = net.builder(&server.url()).tls(crate::net::trusting()).connect().unwrap();
    assert_eq!(opened(&trusting).redirects().len(), 1);
    close(&trusting);
}

fn urls_take_turns_after_failures_and_the_open_tells_which_one_it_is(net: &Net) {
    let (dead, refusing) = (net.server(Behaviour::echo()), net.server(Behaviour::refuse(503, &[], "")));
    dead.stop();
    let good = net.server(Behaviour::echo());
    let builder = net.to(&dead).add_url(net.url(refusing.address())).add_url(net.url(good.address()));
    let client = builder.connect().unwrap();
    for index in 0..2 {
        assert_eq!(failed(&client).url_index(), index);
    }
    let open = opened(&client);
    assert_eq!((open.attempt(), open.url_index()), (3, 2));
    assert_eq!(open.url(), net.url(good.address()));
    close(&client);
}

fn a_stable_url_is_tried_again_first_and_the_next_one_when_it_stays_away(net: &Net) {
    let (first, second) = (net.server(Behaviour::echo()), net.server(Behaviour::echo()));
    let rules = crate::net::quick().stable_after(ms(0));
    let client = net.to(&first).reconnect(rules).add_url(net.url(second.address())).connect().unwrap();
    assert_eq!(opened(&client).url_index(), 0);
    first.wait_connected();
    first.cut(1);
    closed(&client);
    assert_eq!(opened(&client).url_index(), 0);
    first.stop();
    closed(&client);
    assert_eq!(failed(&client).url_index(), 0);
    assert_eq!(opened(&client).url_index(), 1);
    second.wait_for(SOON, |event| matches!(event, ServerEvent::Connected { .. }).then_some(()));
}

fn what_is_fatal_at_all_urls_ends_the_client(net: &Net) {
    let servers: Vec<_> = (0..3).map(|_| net.server(Behaviour::refuse(404, &[], ""))).collect();
    let builder = net.to(&servers[0]).add_url(net.url(servers[1].address()));
    let client = builder.add_url(net.url(servers[2].address())).connect().unwrap();
    for index in 0..3 {
        assert_eq!(failed(&client).url_index(), index);
    }
    assert!(matches!(ended(&client), End::Fatal(_)));
    assert!(servers.iter().all(|server| server.connections() == 1));
}

stamp! {
    each_status_of_a_redirect_is_followed_to_relative_and_absolute_places,
    credentials_stay_with_their_origin_and_other_headers_go_along,
    credentials_go_along_within_their_origin,
    a_redirect_that_leads_nowhere_is_a_clear_error,
    five_redirects_are_followed_unless_told_otherwise,
    what_the_program_prepared_goes_along_a_redirect,
    a_redirect_that_ends_badly_is_a_failure_of_the_url_it_began_with,
    a_close_and_a_drop_interrupt_a_redirect_at_every_point,
    redirects_can_be_turned_off,
    nobody_waits_for_the_body_of_a_redirect,
    redirects_count_into_the_deadline_of_the_attempt,
    urls_take_turns_after_failures_and_the_open_tells_which_one_it_is,
    a_stable_url_is_tried_again_first_and_the_next_one_when_it_stays_away,
    what_is_fatal_at_all_urls_ends_the_client,
}

#[cfg(feature = "native-tls")]
mod tls_only {
    use super::a_plain_url_may_lead_to_tls;
    stamp_modes!(Plain: a_plain_url_may_lead_to_tls);
}
