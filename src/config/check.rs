//! The checks that several settings share.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::error::ConfigError;

/// Times beyond this are taken for a mistake of units.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// From 1 ms to a week.
pub(crate) fn time(setting: &'static str, time: Duration) -> Result<(), ConfigError> {
    if time < Duration::from_millis(1) {
        return Err(ConfigError::new(setting, format!("{time:?} is less than 1 ms")));
    }
    time_or_zero(setting, time)
}

/// From zero to a week.
pub(crate) fn time_or_zero(setting: &'static str, time: Duration) -> Result<(), ConfigError> {
    if time > LONGEST {
        return Err(ConfigError::new(setting, format!("{time:?} is more than a week")));
    }
    Ok(())
}

/// The name goes into log lines and thread names.
pub(crate) fn name(name: &str) -> Result<(), ConfigError> {
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(ConfigError::new("name", "it is empty or has a control character"));
    }
    Ok(())
}

pub(crate) fn count(
    setting: &'static str,
    count: u32,
    allowed: RangeInclusive<u32>,
) -> Result<(), ConfigError> {
    if !allowed.contains(&count) {
        let (from, to) = allowed.into_inner();
        return Err(ConfigError::new(setting, format!("{count} is not from {from} to {to}")));
    }
    Ok(())
}

pub(crate) fn size(setting: &'static str, size: usize, least: usize) -> Result<(), ConfigError> {
    if size < least {
        return Err(ConfigError::new(setting, format!("{size} is too small; it must be at least {least}")));
    }
    Ok(())
}
