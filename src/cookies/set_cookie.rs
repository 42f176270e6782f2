//! Reads the header `Set-Cookie` as RFC 6265 section 5.2 has it, dates included (section 5.1.1), which is laxer than
//! what servers should write. Keeps nothing, and does not know whether the cookie may be set.

use std::time::{Duration, SystemTime};

/// What a header says; of an attribute that is there twice the last one.
#[derive(Debug, PartialEq)]
pub(super) struct SetCookie<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a str,
    /// Without a dot in front; never empty.
    pub(super) domain: Option<&'a str>,
    /// Begins with a slash.
    pub(super) path: Option<&'a str>,
    pub(super) secure: bool,
    /// In seconds.
    pub(super) max_age: Option<i64>,
    pub(super) expires: Option<SystemTime>,
}

impl<'a> SetCookie<'a> {
    pub(super) fn read(header: &'a str) -> Option<SetCookie<'a>> {
        let mut parts = header.split(';');
        let (name, value) = parts.next()?.split_once('=')?;
        let mut cookie = SetCookie {
            name: trim(name),
            value: trim(value),
            domain: None,
            path: None,
            secure: false,
            max_age: None,
            expires: None,
        };
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let value = trim(value);
            match trim(name).to_ascii_lowercase().as_str() {
                "domain" => {
                    let domain = value.strip_prefix('.').unwrap_or(value);
                    cookie.domain = (!domain.is_empty()).then_some(domain);
                }
                "path" => cookie.path = value.starts_with('/').then_some(value),
                "secure" => cookie.secure = true,
                "max-age" => cookie.max_age = seconds(value).or(cookie.max_age),
                "expires" => cookie.expires = date(value).or(cookie.expires),
                _ => {}
            }
        }
        (!cookie.name.is_empty()).then_some(cookie)
    }
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

fn seconds(text: &str) -> Option<i64> {
    let (digits, most) = match text.strip_prefix('-') {
        Some(digits) => (digits, i64::MIN),
        None => (text, i64::MAX),
    };
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| text.parse().unwrap_or(most))
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// The parts in whatever order, each the first that looks like it.
fn date(text: &str) -> Option<SystemTime> {
    let is_delimiter =
        |c: char| matches!(c, '\t' | '\x20'..='\x2F' | '\x3B'..='\x40' | '\x5B'..='\x60' | '\x7B'..='\x7E');
    let (mut clock, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(is_delimiter).filter(|token| !token.is_empty()) {
        if clock.is_none()
            && let Some(found) = time(token)
        {
            clock = Some(found);
        } else if day.is_none()
            && let Some(found) = number(token, 1, 2)
        {
            day = Some(found);
        } else if month.is_none()
            && let Some(found) = month_of(token)
        {
            month = Some(found);
        } else if year.is_none()
            && let Some(found) = number(token, 2, 4)
        {
            year = Some(found);
        }
    }
    let ((hour, minute, second), day, month, year) = (clock?, day?, month?, year?);
    let year = match year {
        0..=69 => year + 2000,
        70..=99 => year + 1900,
        _ => year,
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=length).contains(&day) || year < 1601 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Years that begin in March have their leap day at the end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day;
    // What was before 1970 is over as well as what ended then.
    let since = days.saturating_sub(DAYS_BEFORE_1970) * 86_400 + hour * 3600 + minute * 60 + second;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(since))
}

/// 1 January 1970, counted as above.
const DAYS_BEFORE_1970: u64 = 719_469;

fn time(token: &str) -> Option<(u64, u64, u64)> {
    let mut parts = token.splitn(3, ':');
    let whole = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    if !whole(hour) || !whole(minute) {
        return None;
    }
    Some((number(hour, 1, 2)?, number(minute, 1, 2)?, number(second, 1, 2)?))
}

fn month_of(token: &str) -> Option<u64> {
    let start = token.get(..3)?.to_ascii_lowercase();
    let at = MONTHS.iter().position(|month| *month == start)?;
    Some(at as u64 + 1)
}

/// A number of so many digits, and perhaps something else behind it.
fn number(token: &str, least: usize, most: usize) -> Option<u64> {
    let digits = token.bytes().take_while(u8::is_ascii_digit).count();
    if !(least..=most).contains(&digits) {
        return None;
    }
    token[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Option<SystemTime> {
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn dates_are_read_in_the_forms_that_servers_write() {
        let sunday = at(784_111_777);
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "6 november 1994 8:49:37",
            "94 08:49:37UTC 6th NOV junk",
        ] {
            let expected = if text.starts_with("94") { None } else { sunday };
            assert_eq!(date(text), expected, "{text}");
        }
        assert_eq!(date("Thu, 01 Jan 1970 00:00:00 GMT"), at(0));
        assert_eq!(date("Thu, 01 Jan 1970 00:00:01 GMT"), at(1));
        assert_eq!(date("Tue, 29 Feb 2028 23:59:59 GMT"), at(1_835_481_599));
        assert_eq!(date("Fri, 15 Jan 2027 08:00:00 GMT"), at(1_800_000_000));
        assert_eq!(date("Fri, 31 Dec 9999 23:59:59 GMT"), at(253_402_300_799));
        assert!(date("Wed, 31 Dec 1969 23:59:59 GMT").is_some_and(|date| date < at(86_400).unwrap()));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "0",
            "-1",
            "Session",
            "Sun, 06 Nov 1994",
            "06 Nov 08:49:37",
            "Nov 1994 08:49:37",
            "06 1994 08:49:37",
            "32 Jan 2027 00:00:00",
            "0 Jan 2027 00:00:00",
            "29 Feb 2027 00:00:00",
            "31 Apr 2027 00:00:00",
            "29 Feb 2100 00:00:00",
            "1 Jan 1600 00:00:00",
            "1 Jan 2027 24:00:00",
            "1 Jan 2027 00:60:00",
            "1 Jan 2027 00:00:60",
            "1 Jan 20277 00:00:00",
            "1 Jan 2027 0:0",
            "1 J\u{e4}n 2027 00:00:00",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn attributes_are_read_in_any_case_and_the_last_one_counts() {
        let read =
            SetCookie::read(" a = b=c ; PATH=/x; domain = .H.example ;SECURE; Max-Age=5; path=/y; odd; =")
                .unwrap();
        assert_eq!(
            (read.name, read.value, read.domain, read.path),
            ("a", "b=c", Some("H.example"), Some("/y"))
        );
        assert_eq!((read.secure, read.max_age, read.expires), (true, Some(5), None));
        let read = SetCookie::read("a=; Max-Age=x; Path=x; Domain=; Expires=never").unwrap();
        assert_eq!((read.max_age, read.path, read.domain, read.expires), (None, None, None, None));
        for (text, age) in
            [("-1", -1), ("007", 7), ("99999999999999999999", i64::MAX), ("-99999999999999999999", i64::MIN)]
        {
            assert_eq!(SetCookie::read(&format!("a=b;max-age={text}")).unwrap().max_age, Some(age));
        }
        for text in ["", "a", ";a=b", "=b", " =b"] {
            assert_eq!(SetCookie::read(text), None, "{text}");
        }
    }
}
