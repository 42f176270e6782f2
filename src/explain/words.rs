//! How times and strangers' words are written where a line has to stay a line.

use std::time::{SystemTime, UNIX_EPOCH};

/// Without control characters, nor what else breaks a line or turns its order about; no longer than so many bytes.
pub(super) fn plain(text: &str, most: usize) -> String {
    const CUT: &str = "…";
    let mut plain = String::new();
    let mut fits = 0;
    for c in text.chars() {
        if c.is_control()
            || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
        {
            plain.extend(c.escape_default());
        } else {
            plain.push(c);
        }
        if plain.len() > most {
            plain.truncate(fits);
            plain.push_str(CUT);
            return plain;
        }
        if plain.len() <= most - CUT.len() {
            fits = plain.len();
        }
    }
    plain
}

/// `2026-11-28 01:02:03.456`, in UTC.
pub(super) fn date_and_time(wall: SystemTime) -> String {
    let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    // Years that begin in March have their leap day at the end; 719 468 days lie between the first of them and 1970.
    let days = since.as_secs() / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {}", time_of_day(wall))
}

/// `01:02:03.456`, in UTC.
pub(super) fn time_of_day(wall: SystemTime) -> String {
    let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs() % 86_400;
    let millis = since.subsec_millis();
    format!("{:02}:{:02}:{:02}.{millis:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_would_break_a_line_is_escaped() {
        assert_eq!(plain("a\r\nb\u{1b}[31m\0\u{85}", 99), "a\\r\\nb\\u{1b}[31m\\u{0}\\u{85}");
        assert_eq!(plain("\u{202e}x\u{2028}\u{2066}\u{200f}", 99), "\\u{202e}x\\u{2028}\\u{2066}\\u{200f}");
        assert_eq!(plain("Grüße, 世界 \"\\n\"", 99), "Grüße, 世界 \"\\n\"");
    }

    #[test]
    fn what_is_long_is_cut_at_a_character_and_says_so() {
        assert_eq!(plain("12345678", 8), "12345678");
        assert_eq!(plain("123456789", 8), "12345…");
        assert_eq!(plain("世界世界", 8), "世…");
        assert_eq!(plain("1\n2\n3\n4\n", 8), "1\\n2…");
        for most in 8..40 {
            assert!(plain(&"x\u{1}世\n".repeat(20), most).len() <= most);
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let told = |seconds, ms| {
            date_and_time(UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(ms))
        };
        assert_eq!(told(0, 0), "1970-01-01 00:00:00.000");
        assert_eq!(told(951_782_399, 999), "2000-02-28 23:59:59.999");
        assert_eq!(told(951_782_400, 0), "2000-02-29 00:00:00.000");
        assert_eq!(told(1_709_251_199, 0), "2024-02-29 23:59:59.000");
        assert_eq!(told(1_795_827_723, 456), "2026-11-28 01:02:03.456");
        assert_eq!(told(4_107_542_399, 0), "2100-02-28 23:59:59.000");
        assert_eq!(told(4_107_542_400, 0), "2100-03-01 00:00:00.000");
        assert_eq!(date_and_time(UNIX_EPOCH - Duration::from_secs(9)), "1970-01-01 00:00:00.000");
    }
}
