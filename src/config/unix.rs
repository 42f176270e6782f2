//! The path of a Unix socket: checked, and found in a `ws+unix:` URL. Opens nothing.

use std::path::Path;
use std::sync::Arc;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};

use crate::error::ConfigError;

/// What stands for something else in a URL of this kind.
const SPECIAL: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b':')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'`');

/// The path as a URL has it.
pub(crate) fn shown(path: &Path) -> String {
    percent_encode(path.as_os_str().as_encoded_bytes(), SPECIAL).to_string()
}

/// Whether there can be a socket with this path: not whether there is one.
pub(crate) fn check(setting: &'static str, path: &Path) -> Result<(), ConfigError> {
    let wrong = |problem: String| Err(ConfigError::new(setting, problem));
    if path.as_os_str().is_empty() {
        return wrong("the path of the socket is empty".into());
    }
    #[cfg(unix)]
    {
        use std::os::unix::{ffi::OsStrExt, net::SocketAddr};

        if path.as_os_str().as_bytes().contains(&0) {
            return wrong("the path of the socket has a NUL".into());
        }
        if SocketAddr::from_pathname(path).is_err() {
            let length = path.as_os_str().len();
            return wrong(format!("the path of the socket has {length} bytes, more than an address takes"));
        }
        Ok(())
    }
    #[cfg(not(unix))]
    wrong("unsupported: Unix sockets need a Unix system".into())
}

/// The path and the resource of what follows `ws+unix:`, as in `///run/feed.sock:/feed?of=all`.
pub(crate) fn parse(rest: &str) -> Result<(Arc<Path>, String), ConfigError> {
    let wrong = |problem: &str| Err(ConfigError::new("url", problem));
    let rest = if rest.starts_with("///") { &rest[2..] } else { rest };
    if !rest.starts_with('/') || rest.starts_with("//") {
        return wrong(
            "after ws+unix: there must be the socket's path from the root, ws+unix:///run/feed.sock:/feed",
        );
    }
    let (path, resource) = rest.split_once(':').unwrap_or((rest, ""));
    if path.contains('?') {
        return wrong(
            "a question mark in the socket's path is written %3F, and a query stands behind a colon",
        );
    }
    if !(resource.is_empty() || resource.starts_with(['/', '?'])) {
        return wrong(
            "behind the socket's path and a colon there must be a slash; a colon in the path is written %3A",
        );
    }
    let decoded: Vec<u8> = percent_decode_str(path).collect();
    #[cfg(unix)]
    let path: Arc<Path> = {
        use std::os::unix::ffi::OsStrExt;
        Path::new(std::ffi::OsStr::from_bytes(&decoded)).into()
    };
    #[cfg(not(unix))]
    let path: Arc<Path> = Path::new(&*String::from_utf8_lossy(&decoded)).into();
    check("url", &path)?;
    Ok((path, resource.to_owned()))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::config::address::Address;

    #[test]
    fn the_parts_of_a_ws_unix_url_are_found() {
        for (url, path, target, shown) in [
            (
                "ws+unix:///run/feed.sock:/feed?a=1",
                "/run/feed.sock",
                "/feed?a=1",
                "ws+unix:///run/feed.sock:/feed",
            ),
            ("ws+unix:///run/feed.sock", "/run/feed.sock", "/", "ws+unix:///run/feed.sock:/"),
            ("ws+unix:/run/feed.sock:/a:b", "/run/feed.sock", "/a:b", "ws+unix:///run/feed.sock:/a:b"),
            ("WS+UNIX:///x:", "/x", "/", "ws+unix:///x:/"),
            ("ws+unix:///x:?q", "/x", "/?q", "ws+unix:///x:/"),
            ("ws+unix:///a%20b%3Ac%3f%25:/r", "/a b:c?%", "/r", "ws+unix:///a%20b%3Ac%3F%25:/r"),
            ("ws+unix:///a%0ab:/r", "/a\nb", "/r", "ws+unix:///a%0Ab:/r"),
        ] {
            let address = Address::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(address.unix.as_deref(), Some(Path::new(path)), "{url}");
            assert_eq!((address.target.as_str(), address.for_logs().as_str()), (target, shown));
            assert_eq!((address.authority.as_str(), address.secure), ("localhost", false));
        }
    }

    #[test]
    fn ws_unix_urls_that_cannot_be_are_refused_with_their_reason() {
        let long = format!("ws+unix:///{}:/", "x".repeat(200));
        for (url, part) in [
            ("ws+unix:", "path from the root"),
            ("ws+unix:feed.sock", "path from the root"),
            ("ws+unix:./feed.sock:/", "path from the root"),
            ("ws+unix://host/feed.sock", "path from the root"),
            ("ws+unix:////feed.sock", "path from the root"),
            ("ws+unix:///x?y:/", "%3F"),
            ("ws+unix:///x:y", "%3A"),
            ("ws+unix:///x%00y:/", "NUL"),
            ("ws+unix:///x:/#y", "fragment"),
            ("ws+unix:///x y:/", "space"),
            ("wss+unix:///x:/", "unix_socket"),
            ("http+unix:///x:/", "ws://"),
            (&long, "201 bytes"),
        ] {
            let problem = Address::parse(url).expect_err(url).problem().to_owned();
            assert!(problem.contains(part), "{url}: {problem}");
        }
    }
}
