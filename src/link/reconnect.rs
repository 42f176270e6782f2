//! Whether another attempt is worth it, and how long to wait before it.
//!
//! Knows failures and settings only: no clock (every `now` is passed in), no randomness but its
//! seed's, and nothing of the attempts themselves.

use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::config::reconnect::{Delays, Reconnect};
use crate::error::{Cause, LinkError, ProxyFault, Refusal, TlsFaultKind};
use crate::link::{Rules, later};

/// More than this of a server's wish is not heeded; a random part comes on top.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);

/// The bounds of what a user's own function may ask for; those of the settings.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Retry(Duration),
    /// Trying again cannot help.
    Fatal,
    /// It might help, but the limits are reached.
    GiveUp,
    /// The user's delay function panicked.
    Panicked,
}

/// The count of failures in a row, and the delays that follow from it.
pub(crate) struct Backoff {
    random: SmallRng,
    /// Attempts begun since the last stable session.
    attempts: u32,
    /// Failures and lost sessions since the last stable session, that session's own end included.
    failures: u32,
    opened_before: bool,
    /// The program was asked because of a refusal, and no session has opened since.
    asked_for_refusal: bool,
    /// The program was asked because of a close code, and no session was stable since.
    asked_for_close: bool,
    /// Since when no session is open, from `connect` on.
    down_since: Option<Instant>,
}

/// How a failure weighs.
pub(crate) enum Weight {
    Normal,
    /// At the longest delay.
    Heavy,
    /// Not before the server wants it.
    After(Duration),
    Fatal,
}

impl Backoff {
    pub(crate) fn new(seed: u64) -> Backoff {
        let random = SmallRng::seed_from_u64(seed);
        Backoff {
            random,
            attempts: 0,
            failures: 0,
            opened_before: false,
            asked_for_refusal: false,
            asked_for_close: false,
            down_since: None,
        }
    }

    /// A random number, for whoever needs one beside the delays.
    pub(crate) fn draw(&mut self) -> u64 {
        self.random.random()
    }

    /// An attempt begins; returns its number in a row, from 1.
    pub(crate) fn attempt(&mut self, now: Instant) -> u32 {
        self.down_since.get_or_insert(now);
        self.attempts = self.attempts.saturating_add(1);
        self.attempts
    }

    /// The number in a row of the attempt that comes next.
    pub(crate) fn next_attempt(&self) -> u32 {
        self.attempts.saturating_add(1)
    }

    /// A session opened; tells whether it is the first.
    pub(crate) fn opened(&mut self) -> bool {
        self.down_since = None;
        self.asked_for_refusal = false;
        !std::mem::replace(&mut self.opened_before, true)
    }

    /// The session that opened has ended, having been open for this time; tells whether it was stable.
    pub(crate) fn ended(&mut self, rules: &Reconnect, open_for: Duration, now: Instant) -> bool {
        self.down_since = Some(now);
        let stable = open_for >= rules.stable_after;
        if stable {
            self.attempts = 0;
            self.failures = 0;
            self.asked_for_close = false;
        }
        stable
    }

    /// When the time without a session is up.
    pub(crate) fn gives_up_at(&self, rules: &Reconnect) -> Option<Instant> {
        Some(later(self.down_since?, rules.give_up_after?))
    }

    /// How this failure weighs, of an attempt or of a session that [`ended`](Self::ended). Where the program is asked
    /// ahead of each attempt, it gets one chance to mend what would be fatal for want of a valid token.
    pub(crate) fn weigh(&mut self, rules: &Rules, error: &LinkError) -> Weight {
        let weight = weigh(&rules.reconnect, error);
        if !(rules.before_connect && matches!(weight, Weight::Fatal)) {
            return weight;
        }
        let overrides = &rules.reconnect;
        let asked = match (status(error.cause()), error.cause()) {
            (Some(status @ (401 | 403 | 407)), _) => {
                (!overrides.statuses.contains_key(&status)).then_some(&mut self.asked_for_refusal)
            }
            (_, Cause::Closed { code: code @ 1008, .. }) => {
                (!overrides.close_codes.contains_key(code)).then_some(&mut self.asked_for_close)
            }
            _ => None,
        };
        match asked {
            Some(asked @ false) => {
                *asked = true;
                Weight::Normal
            }
            _ => weight,
        }
    }

    /// What follows a failure of this weight.
    ///
    /// A user's delay function runs in here.
    pub(crate) fn follows(&mut self, rules: &Reconnect, weight: Weight, now: Instant) -> Next {
        let nth = self.failures;
        self.failures = nth.saturating_add(1);
        if let Weight::Fatal = weight {
            return Next::Fatal;
        }
        if matches!(rules.delays, Delays::Never)
            || (!rules.retry_first && !self.opened_before)
            || rules.max_attempts.is_some_and(|most| self.attempts >= most)
        {
            return Next::GiveUp;
        }
        let Some(delay) = self.delay(&rules.delays, nth, &weight) else { return Next::Panicked };
        match self.gives_up_at(rules) {
            Some(end) if later(now, delay) >= end => Next::GiveUp,
            _ => Next::Retry(delay),
        }
    }

    fn delay(&mut self, delays: &Delays, nth: u32, weight: &Weight) -> Option<Duration> {
        let heavy = matches!(weight, Weight::Heavy);
        let own = match delays {
            Delays::Never => LONGEST,
            Delays::Exponential { floor, max, .. } if heavy => *floor + *max + self.up_to(*max / 2),
            Delays::Exponential { floor, base, factor, max } => {
                *floor + self.up_to(bound(*base, *factor, *max, nth))
            }
            Delays::Fixed(delay) => *delay,
            Delays::List(delays) if heavy => delays.iter().max().copied().unwrap_or(LONGEST),
            Delays::List(delays) => {
                let nth = usize::try_from(nth).unwrap_or(usize::MAX);
                delays.get(nth).or(delays.last()).copied().unwrap_or(LONGEST)
            }
            Delays::Custom(delay) => delay(nth.saturating_add(1))?.clamp(SHORTEST, LONGEST),
        };
        Some(match *weight {
            Weight::After(wanted) => own.max(wanted + self.up_to(wanted / 2)),
            _ => own,
        })
    }

    fn up_to(&mut self, bound: Duration) -> Duration {
        bound.mul_f64(self.random.random::<f64>())
    }
}

/// `min(max, base * factor^n)`, without overflow.
fn bound(base: Duration, factor: f64, max: Duration, nth: u32) -> Duration {
    let grown = base.as_secs_f64() * factor.powf(f64::from(nth));
    Duration::try_from_secs_f64(grown).map_or(max, |grown| grown.min(max))
}

/// The HTTP status of a refusal; of a SOCKS proxy's the one that says the same.
fn status(cause: &Cause) -> Option<u16> {
    match cause {
        Cause::Refused(refusal) => Some(refusal.status()),
        Cause::Proxy(ProxyFault::Method | ProxyFault::Credentials) => Some(407),
        Cause::Proxy(ProxyFault::Socks(2)) => Some(403),
        _ => None,
    }
}

/// The table of what is worth another attempt.
pub(crate) fn weigh(rules: &Reconnect, error: &LinkError) -> Weight {
    let worth = |yes| if yes { Weight::Normal } else { Weight::Fatal };
    let of_status = |status: u16| rules.statuses.get(&status).copied();
    match error.cause() {
        Cause::TimedOut | Cause::Io(_) | Cause::EndOfStream | Cause::Silent { .. } => {
            worth(rules.network_failures)
        }
        // A stream that was cut is the network's doing, in TLS too.
        Cause::Tls(fault) if fault.kind() == TlsFaultKind::Truncated => worth(rules.network_failures),
        Cause::Tls(_) if rules.tls_failures => Weight::Heavy,
        Cause::Tls(_) => Weight::Fatal,
        // Nothing but a setting makes a redirect that cannot be followed worth another attempt.
        Cause::BadRedirect { refusal, .. } => worth(of_status(refusal.status()).unwrap_or(false)),
        Cause::Refused(refusal) => {
            let usual = matches!(refusal.status(), 408 | 425 | 429 | 500..=599);
            match of_status(refusal.status()).unwrap_or(usual) {
                true => retry_after(refusal).map_or(Weight::Normal, Weight::After),
                false => Weight::Fatal,
            }
        }
        Cause::Proxy(fault) => match fault {
            ProxyFault::Method | ProxyFault::Credentials | ProxyFault::Socks(2) => {
                worth(status(error.cause()).and_then(of_status).unwrap_or(false))
            }
            ProxyFault::Socks(7 | 8) => Weight::Fatal,
            ProxyFault::Socks(_) => worth(rules.network_failures),
            // What the proxy got wrong may be right after its next restart.
            ProxyFault::NotHttp | ProxyFault::TooLong | ProxyFault::NotSocks | ProxyFault::Unasked => {
                Weight::Normal
            }
        },
        Cause::Closed { code, .. } => {
            let usual = !matches!(code, 1002 | 1003 | 1007..=1010);
            worth(rules.close_codes.get(code).copied().unwrap_or(usual))
        }
        // What the server got wrong may be right after its next restart.
        Cause::BadUpgrade(_) | Cause::Protocol(_) | Cause::BeforeConnect(_) => Weight::Normal,
        // Nobody's fault: the program changed its mind, and wants to stay connected.
        Cause::Abandoned => Weight::Normal,
    }
}

/// The server's wish in `Retry-After` (RFC 9110 section 10.2.3), capped.
///
/// A date is compared with the answer's own `Date`, so that neither side's clock has to be right.
fn retry_after(refusal: &Refusal) -> Option<Duration> {
    let value = refusal.header("retry-after")?.trim();
    let seconds = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        value.parse().unwrap_or(u64::MAX)
    } else {
        let then = http_date(value)?;
        then.saturating_sub(http_date(refusal.header("date")?.trim())?)
    };
    Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER))
}

/// Seconds since the year 0 of `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that may be sent today.
fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.split_once(", ")?;
    let mut parts = rest.split(' ');
    let day: u64 = number(parts.next()?, 2)?;
    let name = parts.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? as u64 + 1;
    let year = number(parts.next()?, 4)?;
    let mut time = parts.next()?.split(':');
    let (hour, minute, second) =
        (number(time.next()?, 2)?, number(time.next()?, 2)?, number(time.next()?, 2)?);
    if parts.next()? != "GMT" || parts.next().is_some() || time.next().is_some() || day == 0 {
        return None;
    }
    // Years that begin in March have their leap day at the end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// A number of so many digits.
fn number(text: &str, digits: usize) -> Option<u64> {
    let right = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    right.then(|| text.parse().ok()).flatten()
}
