//! Where redirects lead, and which are followed.

use proptest::prelude::*;
use url::Url;

use super::*;
use crate::error::RedirectFault;
use crate::link::redirect::{Redirects, authenticates, location};

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

/// The target and whether it has the same origin.
fn follow(from: &str, location: &str) -> Result<(String, bool), RedirectFault> {
    let onward = Redirects::default().follow(&url(from), location, 5)?;
    Ok((onward.url.to_string(), onward.same_origin))
}

#[test]
fn relative_and_absolute_targets_are_found_and_http_stands_for_ws() {
    let from = "ws://h:8080/a/b?q=1";
    for (location, target, same) in [
        ("/c", "ws://h:8080/c", true),
        ("c?x=y", "ws://h:8080/a/c?x=y", true),
        ("?x", "ws://h:8080/a/b?x", true),
        ("//other/c", "ws://other/c", false),
        ("http://h:8080/c", "ws://h:8080/c", true),
        ("HTTP://H:8080/c", "ws://h:8080/c", true),
        ("ws://h/c", "ws://h/c", false),
        ("https://h:8080/c", "wss://h:8080/c", false),
        ("https://h/c", "wss://h/c", false),
        ("wss://h:443/c", "wss://h/c", false),
        (" /c ", "ws://h:8080/c", true),
        ("/c#part", "ws://h:8080/c", true),
        ("ws://user:secret@h:8080/c", "ws://h:8080/c", true),
    ] {
        assert_eq!(follow(from, location), Ok((target.to_owned(), same)), "{location}");
    }
}

#[test]
fn targets_that_no_websocket_can_be_opened_to_are_refused() {
    for location in ["", "ftp://h/", "mailto:a@b", "http://", "ws://h:99999/", "/a b", "/a\u{7}", "\\\\h\\c"]
    {
        assert_eq!(follow("ws://h/", location), Err(RedirectFault::Location), "{location:?}");
    }
}

#[test]
fn no_redirect_leads_from_wss_to_ws() {
    assert_eq!(follow("wss://h/", "http://h/x"), Err(RedirectFault::Downgrade));
    assert_eq!(follow("wss://h/", "ws://other/"), Err(RedirectFault::Downgrade));
    assert_eq!(follow("wss://h/", "//other/"), Ok(("wss://other/".to_owned(), false)));
}

#[test]
fn a_circle_is_found_and_so_is_one_too_many() {
    let mut redirects = Redirects::default();
    let first = url("ws://h/1");
    assert_eq!(redirects.follow(&first, "#same", 5), Err(RedirectFault::Loop));
    let second = redirects.follow(&first, "/2", 5).unwrap().url;
    let third = redirects.follow(&second, "/3", 5).unwrap().url;
    assert_eq!(redirects.follow(&third, "/1#x", 5), Err(RedirectFault::Loop));
    assert_eq!(redirects.follow(&third, "/4", 2), Err(RedirectFault::TooMany));
    assert!(redirects.follow(&third, "/4", 3).is_ok());
}

#[test]
fn only_answers_with_a_location_are_redirects() {
    let answer = |status, headers: &[(&str, &str)]| {
        let refused = refused(status, headers);
        location(refused.refusal().unwrap()).map(str::to_owned)
    };
    for status in [301, 302, 303, 307, 308] {
        assert_eq!(answer(status, &[("LOCATION", "/x")]).as_deref(), Some("/x"));
        assert_eq!(answer(status, &[]), None);
    }
    for status in [200, 300, 304, 305, 306, 401, 503] {
        assert_eq!(answer(status, &[("Location", "/x")]), None, "{status}");
    }
    assert!(authenticates("cookie") && authenticates("AUTHORIZATION") && !authenticates("X-Key"));
}

#[test]
fn a_redirect_that_is_not_followed_is_fatal_unless_a_setting_says_otherwise() {
    let refusal = Arc::new(Refusal { status: 302, headers: Vec::new(), body: Vec::new() });
    let error = LinkError::new(Phase::Upgrade, Cause::BadRedirect { fault: RedirectFault::Loop, refusal });
    assert_eq!(error.http_status(), Some(302));
    assert_eq!(error.to_string(), "the server's redirect (HTTP status 302) leads in a circle");
    let mut bench = Bench::new(rules());
    bench.after(Input::Connect);
    assert!(bench.after(Input::DialFailed(error.clone())).contains("the end: fatal"));
    let mut bench = Bench::new(Rules { reconnect: Reconnect::fixed(SEC).retry_status(302, true), ..rules() });
    bench.after(Input::Connect);
    assert!(bench.after(Input::DialFailed(error)).contains("retries"));
}

proptest! {
    /// Whatever a server sends, in whatever order.
    #[test]
    fn redirects_end_and_never_lead_astray(
        secure in any::<bool>(),
        most in 0..8_u32,
        locations in prop::collection::vec("(https?|wss?|ftp)?(:)?(//)?[ab.:@/?#0-9\\\\ ]{0,12}", 1..30),
    ) {
        let mut at = url(if secure { "wss://a/" } else { "ws://a/" });
        let mut redirects = Redirects::default();
        let (mut seen, mut followed) = (vec![at.clone()], 0);
        for location in &locations {
            let Ok(onward) = redirects.follow(&at, location, most) else { continue };
            followed += 1;
            let url = onward.url;
            prop_assert!(matches!(url.scheme(), "ws" | "wss") && url.has_host(), "{url}");
            prop_assert!(!(at.scheme() == "wss" && url.scheme() == "ws"), "{url}");
            prop_assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
            prop_assert!(!seen.contains(&url), "a circle");
            let parts = |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default());
            prop_assert_eq!(onward.same_origin, parts(&at) == parts(&url));
            seen.push(url.clone());
            at = url;
        }
        prop_assert!(followed <= most);
    }
}
