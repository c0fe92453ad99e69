//! Moments on the command line, in epoch milliseconds: so long ago, or days of this host.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{ToSpan as _, Zoned};

use crate::format;
use crate::parse::LONGEST;

/// From when on: `12h` before now, or the midnight at which a day begins here.
pub(crate) fn since(text: &str) -> Result<i64, String> {
    moment(text, 0)
}

/// Until when; a date counts with all of its day.
pub(crate) fn until(text: &str) -> Result<i64, String> {
    moment(text, 1)
}

/// `12h` before now, or the midnight at which a day begins here, so many days later.
fn moment(text: &str, days: i64) -> Result<i64, String> {
    let date = match text {
        "today" => Some(Zoned::now().date()),
        text => text.parse::<Date>().ok(),
    };
    let Some(date) = date else {
        let before = back(text)?;
        let before = i64::try_from(before.as_millis()).unwrap_or(i64::MAX);
        return Ok(format::now_ms().saturating_sub(before));
    };
    let began = date.checked_add(days.days());
    let began = began.and_then(|date| date.to_zoned(TimeZone::system()));
    let began = began.map_err(|error| error.to_string())?;
    Ok(began.timestamp().as_millisecond())
}

/// How long ago: `12h`, `7d`.
fn back(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(before) if before > LONGEST => {
            Err("longer than a year; name the date instead, such as 2026-11-01".to_owned())
        }
        Ok(before) if !before.is_zero() => Ok(before),
        _ => Err("a time is 12h, 7d, today, or a date such as 2026-11-01".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_durations_back_or_days_here() {
        const DAY: i64 = 24 * 3600 * 1000;
        let (from, to) = (since("2026-11-01").unwrap(), until("2026-11-01").unwrap());
        assert!((DAY - 3 * 3600 * 1000..=DAY + 3 * 3600 * 1000).contains(&(to - from)));
        let earliest = format::now_ms() - 7 * DAY;
        let began = since("7d").unwrap();
        assert!((earliest..=format::now_ms() - 7 * DAY).contains(&began));
        assert!(since("today").unwrap() <= format::now_ms());
        for wrong in ["", "none", "yesterday", "2026-13-01", "7"] {
            assert!(
                since(wrong).unwrap_err().contains("a time is 12h"),
                "{wrong}"
            );
        }
        assert_eq!(
            since("400d").unwrap_err(),
            "longer than a year; name the date instead, such as 2026-11-01"
        );
    }
}
