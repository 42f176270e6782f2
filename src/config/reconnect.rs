//! The reconnect settings: how long to wait before the next attempt, when to stop, and what is worth another one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::check;
use crate::error::ConfigError;
use crate::user_code::{Kept, guarded};

/// When the client dials again, and when it stops.
///
/// The default is [`Reconnect::exponential`]: 250 ms plus a random time. The random time is at most
/// 500 ms after the first failure; that bound doubles with each further one, up to 30 s. It never gives
/// up. Because the time is random, thousands of clients that lost one server do not come back in step.
///
/// # Examples
///
/// ```
/// use heartwire::Reconnect;
/// use std::time::Duration;
///
/// let every_five_seconds_for_ten_minutes =
///     Reconnect::fixed(Duration::from_secs(5)).give_up_after(Duration::from_secs(600));
/// # let _ = every_five_seconds_for_ten_minutes;
/// ```
#[derive(Clone, Debug)]
pub struct Reconnect {
    pub(crate) delays: Delays,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) give_up_after: Option<Duration>,
    pub(crate) stable_after: Duration,
    pub(crate) retry_first: bool,
    pub(crate) close_codes: BTreeMap<u16, bool>,
    pub(crate) statuses: BTreeMap<u16, bool>,
    pub(crate) tls_failures: bool,
    pub(crate) network_failures: bool,
}

#[derive(Clone)]
pub(crate) enum Delays {
    /// Never dial again.
    Never,
    /// `floor + U(0, min(max, base * factor^n))`, n from 0.
    Exponential {
        floor: Duration,
        base: Duration,
        factor: f64,
        max: Duration,
    },
    Fixed(Duration),
    /// One after the other; the last one repeats.
    List(Vec<Duration>),
    /// The user's own; the argument counts failures in a row, from 1.
    Custom(Own),
}

/// A user's delay function; `None` means that it panicked.
type Own = Arc<dyn Fn(u32) -> Option<Duration> + Send + Sync>;

impl fmt::Debug for Delays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Delays::Never => f.write_str("Never"),
            Delays::Exponential { floor, base, factor, max } => {
                write!(f, "Exponential({floor:?} + U(0, min({max:?}, {base:?} * {factor}^n)))")
            }
            Delays::Fixed(delay) => write!(f, "Fixed({delay:?})"),
            Delays::List(delays) => write!(f, "List({delays:?})"),
            Delays::Custom(_) => f.write_str("Custom"),
        }
    }
}

impl Reconnect {
    /// Delays that grow: `floor + U(0, min(max, base * factor^n))` with 250 ms, 30 s, 500 ms and 2.
    pub fn exponential() -> Reconnect {
        Reconnect::with(Delays::Exponential {
            floor: Duration::from_millis(250),
            base: Duration::from_millis(500),
            factor: 2.0,
            max: Duration::from_secs(30),
        })
    }

    /// The same delay before every attempt, without a random part.
    pub fn fixed(delay: Duration) -> Reconnect {
        Reconnect::with(Delays::Fixed(delay))
    }

    /// These delays one after the other; the last one repeats.
    pub fn delays(delays: impl Into<Vec<Duration>>) -> Reconnect {
        Reconnect::with(Delays::List(delays.into()))
    }

    /// A delay of your own for each failure in a row, counted from 1.
    ///
    /// It is called on the event loop's thread and must not block. A panic in it ends the client.
    pub fn custom(delay: impl Fn(u32) -> Duration + Send + Sync + 'static) -> Reconnect {
        // The link calls it in the middle of a decision: what it gets is an answer, never a panic.
        let delay = Kept::new(delay);
        Reconnect::with(Delays::Custom(Arc::new(move |nth| guarded(|| delay(nth)).ok())))
    }

    /// One session only: the client ends when it ends, or when the first attempt fails.
    pub fn never() -> Reconnect {
        Reconnect::with(Delays::Never)
    }

    fn with(delays: Delays) -> Reconnect {
        Reconnect {
            delays,
            max_attempts: None,
            give_up_after: None,
            stable_after: Duration::from_secs(30),
            retry_first: true,
            close_codes: BTreeMap::new(),
            statuses: BTreeMap::new(),
            tls_failures: true,
            network_failures: true,
        }
    }

    /// The part of a growing delay that is always waited. Default: 250 ms.
    pub fn floor(mut self, time: Duration) -> Reconnect {
        if let Delays::Exponential { floor, .. } = &mut self.delays {
            *floor = time;
        }
        self
    }

    /// The bound of a growing delay's random part after the first failure. Default: 500 ms.
    pub fn base(mut self, time: Duration) -> Reconnect {
        if let Delays::Exponential { base, .. } = &mut self.delays {
            *base = time;
        }
        self
    }

    /// By how much that bound grows with each failure. Default: 2.
    pub fn factor(mut self, by: f64) -> Reconnect {
        if let Delays::Exponential { factor, .. } = &mut self.delays {
            *factor = by;
        }
        self
    }

    /// The most that the bound can grow to. Default: 30 s.
    pub fn max(mut self, time: Duration) -> Reconnect {
        if let Delays::Exponential { max, .. } = &mut self.delays {
            *max = time;
        }
        self
    }

    /// Give up after this many attempts since the last stable session; one that opened but did not last for
    /// [`stable_after`](Self::stable_after) counts, too. Default: never.
    pub fn max_attempts(mut self, attempts: u32) -> Reconnect {
        self.max_attempts = Some(attempts);
        self
    }

    /// Give up when no session could be opened for this time. Default: never.
    pub fn give_up_after(mut self, time: Duration) -> Reconnect {
        self.give_up_after = Some(time);
        self
    }

    /// A session counts as a success, and the delays begin anew, only when it was open this long. Default: 30 s.
    ///
    /// A server that accepts and closes at once is not hammered thanks to it.
    pub fn stable_after(mut self, time: Duration) -> Reconnect {
        self.stable_after = time;
        self
    }

    /// Whether the very first connect is retried, too. Default: yes.
    pub fn retry_first_connect(mut self, yes: bool) -> Reconnect {
        self.retry_first = yes;
        self
    }

    /// Whether to dial again after the server closed with this code.
    ///
    /// Default: no for 1002, 1003, 1007, 1008, 1009 and 1010 (the same would happen again), yes for all others. With
    /// [`before_connect`](crate::Builder::before_connect), 1008 asks that once before it is final.
    pub fn retry_close_code(mut self, code: u16, yes: bool) -> Reconnect {
        self.close_codes.insert(code, yes);
        self
    }

    /// Whether to dial again after the server refused the upgrade with this HTTP status.
    ///
    /// Default: yes for 408, 425, 429 and 5xx (`Retry-After` counts up to 5 minutes, plus a random part
    /// of up to half of it), no for all others. With [`before_connect`](crate::Builder::before_connect), 401, 403
    /// and 407 ask that once before they are final. A redirect that can be followed is, whatever is set here.
    ///
    /// A proxy's refusal counts alike. What SOCKS says in its own way counts as the status that says the same: a login
    /// that is missing or refused as 407, "not allowed by its rules" as 403.
    pub fn retry_status(mut self, status: u16, yes: bool) -> Reconnect {
        self.statuses.insert(status, yes);
        self
    }

    /// Whether to dial again after a TLS failure. Default: yes, after floor + max and up to half of max
    /// more (30.25 to 45.25 s), the longest of a list, or what `custom` says: clocks are wrong at boot.
    pub fn retry_tls(mut self, yes: bool) -> Reconnect {
        self.tls_failures = yes;
        self
    }

    /// Whether to dial again after failures of the network and of name lookups. Default: yes.
    pub fn retry_network(mut self, yes: bool) -> Reconnect {
        self.network_failures = yes;
        self
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match &self.delays {
            Delays::Never | Delays::Custom(_) => {}
            Delays::Exponential { floor, base, factor, max } => {
                check::time_or_zero("reconnect floor", *floor)?;
                check::time("reconnect base", *base)?;
                check::time("reconnect max", *max)?;
                if !(1.0..=100.0).contains(factor) {
                    return Err(ConfigError::new("reconnect factor", "must be from 1 to 100"));
                }
            }
            Delays::Fixed(delay) => check::time("reconnect delay", *delay)?,
            Delays::List(delays) => {
                if delays.is_empty() {
                    return Err(ConfigError::new("reconnect delays", "the list is empty"));
                }
                for delay in delays {
                    check::time("reconnect delays", *delay)?;
                }
            }
        }
        if let Some(attempts) = self.max_attempts {
            check::count("reconnect max_attempts", attempts, 1..=u32::MAX)?;
        }
        if let Some(time) = self.give_up_after {
            check::time("reconnect give_up_after", time)?;
        }
        for code in self.close_codes.keys() {
            if !(1000..=4999).contains(code) {
                return Err(ConfigError::new("reconnect retry_close_code", "must be from 1000 to 4999"));
            }
        }
        for status in self.statuses.keys() {
            if !(300..=599).contains(status) {
                return Err(ConfigError::new("reconnect retry_status", "must be from 300 to 599"));
            }
        }
        check::time_or_zero("reconnect stable_after", self.stable_after)
    }
}

/// [`Reconnect::exponential`].
impl Default for Reconnect {
    fn default() -> Reconnect {
        Reconnect::exponential()
    }
}
