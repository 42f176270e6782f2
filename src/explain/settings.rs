//! The settings that a bug report needs, in a few words each and without what may be secret in them: of texts and
//! headers nothing, of lists how long they are.

use crate::config::Config;
use crate::config::heartbeat::{BeatKind, Heartbeat, Schedule};
use crate::config::reconnect::{Delays, Reconnect};
use crate::event::human;
use crate::explain::words::plain;

/// So many bytes of a name, an address or a path.
const NAME: usize = 128;

/// Of the library and of the machine.
pub(super) fn build() -> String {
    let has = |feature: bool| if feature { "with" } else { "without" };
    format!(
        "{} {}, {} native-tls, {} deflate",
        std::env::consts::OS,
        std::env::consts::ARCH,
        has(cfg!(feature = "native-tls")),
        has(cfg!(feature = "deflate")),
    )
}

/// How the client connects, where it is not just to the URL that the first line has.
pub(super) fn way(config: &Config) -> Vec<String> {
    let mut parts = Vec::new();
    if config.routes.len() > 1 {
        parts.push(format!("{} URLs", config.routes.len()));
    }
    let target = &config.routes[0].target;
    if let Some(path) = &target.unix {
        parts.push(format!("through the socket {}", plain(&format!("{path:?}"), NAME)));
    }
    if let Some(proxy) = &target.proxy {
        parts.push(format!("through {}", plain(&proxy.to_string(), NAME)));
    }
    if config.ground.is_dialled_by_program() {
        parts.push("dialled by the program".to_owned());
    }
    if config.before_connect.is_some() {
        parts.push("prepared by before_connect".to_owned());
    }
    parts
}

pub(super) fn heartbeat(heartbeat: &Heartbeat) -> String {
    let kind = match &heartbeat.kind {
        BeatKind::Off => return "off".to_owned(),
        BeatKind::Ping => "ping",
        BeatKind::Text { .. } => "text",
    };
    let when = match heartbeat.schedule {
        Schedule::AfterSilence => "after a silence of",
        Schedule::Every => "every",
    };
    let (interval, timeout) = (human(heartbeat.interval), human(heartbeat.timeout));
    let only = if heartbeat.reply_only { ", only replies count" } else { "" };
    format!(
        "{kind} {when} {interval}, {timeout} for the answer, dead after {} missed{only}",
        heartbeat.max_missed
    )
}

pub(super) fn reconnect(reconnect: &Reconnect) -> String {
    let mut words = match &reconnect.delays {
        Delays::Never => return "never".to_owned(),
        Delays::Exponential { floor, base, factor, max } => {
            format!("after {} + up to {} * {factor}^n, at most {}", human(*floor), human(*base), human(*max))
        }
        Delays::Fixed(delay) => format!("after {}", human(*delay)),
        Delays::List(delays) => format!("after {} delays of the program's", delays.len()),
        Delays::Custom(_) => "after what the program's function says".to_owned(),
    };
    if let Some(most) = reconnect.max_attempts {
        words += &format!(", {most} attempts");
    }
    if let Some(time) = reconnect.give_up_after {
        words += &format!(", gives up after {}", human(time));
    }
    if !reconnect.retry_first {
        words += ", not before the first session";
    }
    words + &format!(", stable after {}", human(reconnect.stable_after))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SEC: Duration = Duration::from_secs(1);

    #[test]
    fn a_heartbeat_is_told_without_its_text() {
        assert_eq!(
            heartbeat(&Heartbeat::ping()),
            "ping after a silence of 20.0 s, 10.0 s for the answer, dead after 2 missed"
        );
        let text = Heartbeat::text("secret").reply("secret too").every(10 * SEC).reply_only().max_missed(1);
        assert_eq!(
            heartbeat(&text),
            "text every 10.0 s, 10.0 s for the answer, dead after 1 missed, only replies count"
        );
        assert_eq!(heartbeat(&Heartbeat::off()), "off");
    }

    #[test]
    fn reconnecting_is_told_with_its_limits() {
        assert_eq!(
            reconnect(&Reconnect::exponential()),
            "after 250 ms + up to 500 ms * 2^n, at most 30.0 s, stable after 30.0 s"
        );
        let limited =
            Reconnect::fixed(5 * SEC).max_attempts(3).give_up_after(600 * SEC).retry_first_connect(false);
        assert_eq!(
            reconnect(&limited),
            "after 5.0 s, 3 attempts, gives up after 10 min 0 s, not before the first session, stable after 30.0 s"
        );
        assert_eq!(reconnect(&Reconnect::never()), "never");
        assert_eq!(
            reconnect(&Reconnect::delays([SEC, 2 * SEC])),
            "after 2 delays of the program's, stable after 30.0 s"
        );
        let custom = Reconnect::custom(|_| SEC);
        assert_eq!(reconnect(&custom), "after what the program's function says, stable after 30.0 s");
    }
}
