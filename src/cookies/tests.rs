//! What is kept, for whom, and how long, by an invented clock.

use super::*;

const SEC: Duration = Duration::from_secs(1);

/// In 2026.
fn t0() -> SystemTime {
    SystemTime::UNIX_EPOCH + 1_800_000_000 * SEC
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

/// A jar after these answers from this URL.
fn jar(from: &str, set: &[&str]) -> Jar {
    let mut jar = Jar::default();
    store(&mut jar, from, set, t0());
    jar
}

fn store(jar: &mut Jar, from: &str, set: &[&str], now: SystemTime) {
    let headers: Vec<_> = set.iter().map(|value| ("set-cookie".to_owned(), value.to_string())).collect();
    jar.store(&url(from), &headers, now);
}

/// The header that goes there at this time.
fn sent_at(jar: &Jar, to: &str, now: SystemTime) -> String {
    match jar.fill(&url(to), &[], now) {
        None => String::new(),
        Some(headers) => {
            assert_eq!(headers.len(), 1);
            assert_eq!(headers[0].0, "Cookie");
            headers[0].1.clone()
        }
    }
}

fn sent(jar: &Jar, to: &str) -> String {
    sent_at(jar, to, t0())
}

#[test]
fn a_cookie_goes_back_to_the_host_that_set_it_and_to_no_other() {
    let jar = jar("ws://a.example/", &["id=1"]);
    for to in ["ws://a.example/", "ws://A.example:81/x/y?z", "wss://a.example/"] {
        assert_eq!(sent(&jar, to), "id=1", "{to}");
    }
    for to in ["ws://b.example/", "ws://example/", "ws://x.a.example/", "ws://xa.example/", "ws://127.0.0.1/"]
    {
        assert_eq!(sent(&jar, to), "", "{to}");
    }
}

#[test]
fn a_domain_reaches_the_hosts_below_it_where_it_may_be_set() {
    let from = "ws://a.b.example/";
    for domain in ["b.example", ".b.example", "B.Example", "a.b.example"] {
        let jar = jar(from, &[&format!("id=1; Domain={domain}")]);
        assert_eq!(sent(&jar, from), "id=1", "{domain}");
        assert_eq!(sent(&jar, "ws://x.a.b.example/"), "id=1", "{domain}");
    }
    assert_eq!(sent(&jar(from, &["id=1; Domain=b.example"]), "ws://c.b.example/"), "id=1");
    assert_eq!(sent(&jar(from, &["id=1; Domain=b.example"]), "ws://xb.example/"), "");
    // Of others, of a whole top level, of hosts below, of nothing.
    for domain in ["c.b.example", "example", "x.a.b.example", "b", "xample", "other.test"] {
        assert_eq!(sent(&jar(from, &[&format!("id=1; Domain={domain}")]), from), "", "{domain}");
    }
    assert_eq!(sent(&jar(from, &["id=1; Domain="]), from), "id=1");
    // An address has no domains, nor has a name of one label.
    for host in ["127.0.0.1", "[::1]", "localhost"] {
        let from = format!("ws://{host}/");
        assert_eq!(sent(&jar(&from, &[&format!("id=1; Domain={host}")]), &from), "id=1", "{host}");
    }
    assert_eq!(sent(&jar("ws://10.0.0.1/", &["id=1; Domain=0.0.1"]), "ws://10.0.0.1/"), "");
    assert_eq!(sent(&jar("ws://localhost/", &["id=1; Domain=localhost"]), "ws://x.localhost/"), "");
}

#[test]
fn a_path_is_a_folder() {
    let set =
        jar("ws://h/a/b?q=/c", &["given=1; Path=/a", "default=2", "bad=3; Path=a", "slash=4; Path=/a/"]);
    assert_eq!(sent(&set, "ws://h/a"), "given=1; default=2; bad=3");
    assert_eq!(sent(&set, "ws://h/a/x"), "slash=4; given=1; default=2; bad=3", "longer paths first");
    assert_eq!(sent(&set, "ws://h/ab"), "");
    assert_eq!(sent(&set, "ws://h/"), "");
    assert_eq!(sent(&jar("ws://h/feed", &["id=1"]), "ws://h/other"), "id=1");
}

#[test]
fn a_secure_cookie_is_for_wss_alone() {
    let mut set = jar("wss://h/", &["id=1; Secure", "open=2"]);
    assert_eq!(sent(&set, "wss://h/"), "id=1; open=2");
    assert_eq!(sent(&set, "ws://h/"), "open=2");
    // Nobody between can set one, nor hide one behind his own.
    store(
        &mut set,
        "ws://h/",
        &["id=bad; Secure", "id=bad", "id=bad; Path=/x", "id=; Max-Age=0", "open=3"],
        t0(),
    );
    assert_eq!(sent(&set, "wss://h/x"), "id=1; open=3");
}

#[test]
fn a_secure_cookie_that_is_over_stands_in_nobodys_way() {
    let mut set = jar("wss://h/", &["id=1; Secure; Max-Age=10"]);
    store(&mut set, "ws://h/", &["id=2"], t0() + 9 * SEC);
    assert_eq!(sent_at(&set, "wss://h/", t0() + 9 * SEC), "id=1");
    store(&mut set, "ws://h/", &["id=2"], t0() + 10 * SEC);
    assert_eq!(sent_at(&set, "ws://h/", t0() + 10 * SEC), "id=2");
}

#[test]
fn prefixes_are_taken_at_their_word() {
    let good = ["__Secure-a=1; Secure", "__Host-b=2; Secure; Path=/"];
    assert_eq!(sent(&jar("wss://a.b.example/", &good), "wss://a.b.example/"), "__Secure-a=1; __Host-b=2");
    for bad in [
        "__Secure-a=1",
        "__secure-a=1",
        "__Host-b=2; Path=/",
        "__Host-b=2; Secure",
        "__Host-b=2; Secure; Path=/x",
        "__Host-b=2; Secure; Path=/; Domain=a.b.example",
    ] {
        assert_eq!(sent(&jar("wss://a.b.example/", &[bad]), "wss://a.b.example/x"), "", "{bad}");
    }
}

#[test]
fn a_cookie_ends_when_it_says_so() {
    let from = "ws://h/";
    let set = jar(from, &["a=1; Max-Age=10", "b=2; Expires=Fri, 15 Jan 2027 08:00:20 GMT", "c=3"]);
    assert_eq!(sent(&set, from), "a=1; b=2; c=3");
    assert_eq!(sent_at(&set, from, t0() + 9 * SEC), "a=1; b=2; c=3");
    assert_eq!(sent_at(&set, from, t0() + 10 * SEC), "b=2; c=3");
    assert_eq!(sent_at(&set, from, t0() + 20 * SEC), "c=3");
    assert_eq!(sent_at(&set, from, t0() + 1_000_000_000 * SEC), "c=3");
    // Max-Age comes before Expires (section 5.3, step 3).
    let both = jar(from, &["a=1; Max-Age=10; Expires=Thu, 01 Jan 1970 00:00:00 GMT"]);
    assert_eq!(sent(&both, from), "a=1");
}

#[test]
fn what_is_set_again_takes_the_place_and_what_is_over_goes() {
    let from = "ws://h/";
    let mut set = jar(from, &["a=1", "b=2"]);
    store(&mut set, from, &["a=3"], t0());
    assert_eq!(sent(&set, from), "a=3; b=2", "in its old place");
    for over in ["a=; Max-Age=0", "b=; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "c=1; Max-Age=-5"] {
        store(&mut set, from, &[over], t0());
    }
    assert_eq!(sent(&set, from), "");
    assert!(set.kept.is_empty());
}

#[test]
fn what_cannot_go_into_a_header_is_not_kept() {
    let long = format!("a={}", "x".repeat(LONGEST));
    let deep = format!("a=b; Path=/{}", "x".repeat(LONGEST));
    for bad in ["", "=", "=1", "a", ";", "a=\u{1}", "a=\u{e4}", "\u{e4}=1", "a=\t1\tx", &long, &deep] {
        let set = jar("ws://h/", &[bad]);
        assert!(set.kept.is_empty(), "{bad:?}: {}", sent(&set, "ws://h/"));
    }
    assert_eq!(sent(&jar("ws://h/", &["a=\"1 2\"; HttpOnly; SameSite=Lax; Odd=x"]), "ws://h/"), "a=\"1 2\"");
    assert_eq!(sent(&jar("ws://h/", &["a=", "b=x=y"]), "ws://h/"), "a=; b=x=y");
}

#[test]
fn a_jar_has_a_bound() {
    let mut set = Jar::default();
    for n in 0..MOST + 10 {
        store(&mut set, "ws://h/", &[&format!("n{n}={n}")], t0());
    }
    assert_eq!(set.kept.len(), MOST);
    assert_eq!((set.kept[0].name.as_str(), set.kept[MOST - 1].value.as_str()), ("n10", "189"));
    // Those that are over make room first.
    let mut set = jar("ws://h/", &["keep=1"]);
    for n in 0..MOST * 2 {
        store(&mut set, "ws://h/", &[&format!("n{n}=1; Max-Age=1")], t0() + n as u32 * SEC);
    }
    assert_eq!(set.kept.len(), 2);
}

#[test]
fn the_programs_own_cookies_come_first_and_count() {
    let set = jar("ws://h/", &["a=jar", "b=jar", "c=jar"]);
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let own = [
        header("X-A", "1"),
        header("cookie", "b=own; d=own"),
        header("Origin", "o"),
        header("Cookie", "c=own"),
    ];
    let filled = set.fill(&url("ws://h/"), &own, t0()).unwrap();
    let expected =
        [header("X-A", "1"), header("Origin", "o"), header("Cookie", "b=own; d=own; c=own; a=jar")];
    assert_eq!(filled, expected);
    let all = [header("Cookie", "a=own; b=own;c=own")];
    assert_eq!(set.fill(&url("ws://h/"), &all, t0()), None, "nothing to add");
}
