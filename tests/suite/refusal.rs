//! Servers that answer the upgrade with another status than 101.

use std::io::{Read, Write};
use std::time::Duration;

use heartwire::{Cause, End, Phase};

use crate::net::{Net, ended, failed, ms, opened, quick};
use crate::support::upgrade::read_request_head;
use crate::support::{Behaviour, Setup};

fn refuse(status: u16) -> Behaviour {
    Behaviour::refuse(status, &[], "no")
}

fn a_refusal_that_will_not_change_ends_the_client(net: &Net) {
    for status in [400, 401, 403, 404, 407, 426] {
        let server = net.server(refuse(status));
        let client = net.to(&server).connect().unwrap();
        let failed = failed(&client);
        assert_eq!((failed.error().phase(), failed.error().http_status()), (Phase::Upgrade, Some(status)));
        assert_eq!(failed.retry_in(), None, "{status}");
        assert!(matches!(ended(&client), End::Fatal(error) if error.http_status() == Some(status)));
        assert_eq!(server.connections(), 1);
    }
}

fn a_refusal_that_may_pass_is_retried(net: &Net) {
    for status in [408, 425, 429, 500, 502, 503, 504] {
        let server = net.start(Setup::each(move |n| if n < 3 { refuse(status) } else { Behaviour::echo() }));
        let client = net.to(&server).connect().unwrap();
        for _ in 0..2 {
            let failed = failed(&client);
            assert_eq!(failed.error().http_status(), Some(status));
            assert!(failed.retry_in().is_some_and(|delay| delay <= ms(100)), "{status}");
        }
        assert_eq!(opened(&client).attempt(), 3);
    }
}

fn the_users_table_of_statuses_comes_before_ours(net: &Net) {
    let server = net.server(refuse(503));
    let client = net.to(&server).reconnect(quick().retry_status(503, false)).connect().unwrap();
    assert!(matches!(ended(&client), End::Fatal(_)));

    let server = net.start(Setup::each(|n| if n == 1 { refuse(404) } else { Behaviour::echo() }));
    let client = net.to(&server).reconnect(quick().retry_status(404, true)).connect().unwrap();
    assert!(failed(&client).retry_in().is_some());
    opened(&client);
}

fn retry_after_in_seconds_is_honoured_with_jitter_and_a_cap(net: &Net) {
    for (asked, least, most) in
        [("1", 1.0, 1.5), ("120", 120.0, 180.0), ("99999999999999999999", 300.0, 450.0)]
    {
        let server = net.server(Behaviour::refuse(503, &[("Retry-After", asked)], ""));
        let client = net.to(&server).connect().unwrap();
        let delay = failed(&client).retry_in().unwrap().as_secs_f64();
        assert!((least..=most).contains(&delay), "{asked}: {delay}");
    }
}

fn retry_after_as_a_date_is_measured_by_the_servers_own_clock(net: &Net) {
    let headers =
        [("Date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("Retry-After", "Sun, 06 Nov 1994 08:50:37 GMT")];
    let server = net.server(Behaviour::refuse(429, &headers, ""));
    let client = net.to(&server).connect().unwrap();
    let delay = failed(&client).retry_in().unwrap();
    assert!((60.0..=90.0).contains(&delay.as_secs_f64()), "{delay:?}");
}

fn retry_after_that_makes_no_sense_is_passed_over(net: &Net) {
    for asked in ["-1", "soon", "", "Sun, 06 Nov 1994 08:50:37 GMT"] {
        let server = net.server(Behaviour::refuse(503, &[("Retry-After", asked)], ""));
        let client = net.to(&server).connect().unwrap();
        assert!(failed(&client).retry_in().unwrap() <= ms(100), "{asked}");
    }
}

fn a_long_retry_after_can_be_cut_short_by_the_user(net: &Net) {
    let refused = Behaviour::refuse(503, &[("Retry-After", "100")], "");
    let server = net.start(Setup::each(move |n| if n == 1 { refused.clone() } else { Behaviour::echo() }));
    let client = net.to(&server).connect().unwrap();
    assert!(failed(&client).retry_in().unwrap() >= Duration::from_secs(100));
    client.reconnect_now();
    opened(&client);
}

fn a_refusal_keeps_status_headers_and_the_start_of_the_body(net: &Net) {
    let body = r#"{"why":"the token is old"}"#;
    let headers = [("WWW-Authenticate", "Bearer"), ("X-Twice", "a"), ("X-Twice", "b")];
    let server = net.server(Behaviour::refuse(401, &headers, body));
    let client = net.to(&server).connect().unwrap();
    let failed = failed(&client);
    let Cause::Refused(refusal) = failed.error().cause() else { panic!("{failed}") };
    assert_eq!(refusal.status(), 401);
    assert_eq!(refusal.header("www-authenticate"), Some("Bearer"));
    let twice: Vec<_> = refusal.headers().iter().filter(|(name, _)| name == "X-Twice").collect();
    assert_eq!(twice.len(), 2, "{:?}", refusal.headers());
    assert_eq!(refusal.body(), body.as_bytes());
    assert_eq!(failed.error().refusal(), Some(&**refusal));
}

fn the_body_of_a_refusal_is_kept_up_to_its_bound(net: &Net) {
    let server = net.server(Behaviour::refuse(403, &[], vec![b'x'; 1 << 20]));
    let client = net.to(&server).connect().unwrap();
    let failed = failed(&client);
    let kept = failed.error().refusal().unwrap().body();
    assert!(kept.len() <= 4096 && kept.iter().all(|byte| *byte == b'x'), "{}", kept.len());
}

fn a_refusal_whose_body_never_comes_is_told_as_such_when_the_time_is_up(net: &Net) {
    // RFC 9110 section 6.1: the status stands before the content and does not depend on it.
    for (sent, end, body) in [
        ("HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\n", "fatal", ""),
        ("HTTP/1.1 401 No\r\nContent-Length: 9999999\r\n\r\nbecause", "fatal", "because"),
        ("HTTP/1.1 503 No\r\nContent-Length: 9\r\nRetry-After: 100\r\n\r\nlat", "retried", "lat"),
    ] {
        let server = net.server(Behaviour::raw(move |stream, _| {
            let Ok(_) = read_request_head(stream) else { return };
            let _ = stream.write_all(sent.as_bytes()).and_then(|()| stream.flush());
            while stream.read(&mut [0; 64]).is_ok_and(|n| n > 0) {}
        }));
        let client = net.to(&server).connect_timeout(ms(300)).connect().unwrap();
        let failed = failed(&client);
        assert_eq!(failed.error().phase(), Phase::Upgrade, "{failed}");
        let Cause::Refused(refusal) = failed.error().cause() else { panic!("{sent:?}: {failed}") };
        assert_eq!(refusal.body(), body.as_bytes());
        match failed.retry_in() {
            None => assert!(end == "fatal" && matches!(ended(&client), End::Fatal(_)), "{sent:?}"),
            Some(delay) => {
                assert!(end == "retried" && delay >= Duration::from_secs(100), "{sent:?}: {delay:?}")
            }
        }
        assert_eq!(server.connections(), 1);
    }
}

fn a_redirect_is_a_refusal_and_is_not_followed(net: &Net) {
    let server = net.server(Behaviour::refuse(301, &[("Location", "ws://elsewhere.invalid/")], ""));
    let client = net.to(&server).redirects(0).connect().unwrap();
    assert!(matches!(ended(&client), End::Fatal(error) if error.http_status() == Some(301)));
}

stamp! {
    a_refusal_that_will_not_change_ends_the_client,
    a_refusal_that_may_pass_is_retried,
    the_users_table_of_statuses_comes_before_ours,
    retry_after_in_seconds_is_honoured_with_jitter_and_a_cap,
    retry_after_as_a_date_is_measured_by_the_servers_own_clock,
    retry_after_that_makes_no_sense_is_passed_over,
    a_long_retry_after_can_be_cut_short_by_the_user,
    a_refusal_keeps_status_headers_and_the_start_of_the_body,
    the_body_of_a_refusal_is_kept_up_to_its_bound,
    a_refusal_whose_body_never_comes_is_told_as_such_when_the_time_is_up,
    a_redirect_is_a_refusal_and_is_not_followed,
}
