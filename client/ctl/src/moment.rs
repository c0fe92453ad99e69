//! Moments on the command line, in epoch milliseconds: so long ago, or days of this host.

use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, Zoned};

use crate::format;
use crate::parse::LONGEST;

/// Digits of epoch milliseconds, as `--json` prints them, for centuries.
const EPOCH_MS: usize = 13;

/// From when on: `12h` before now, or the midnight at which a day begins here.
pub(crate) fn since(text: &str) -> Result<i64, String> {
    moment(text, 0)
}

/// Until when; a date counts with all of its day.
pub(crate) fn until(text: &str) -> Result<i64, String> {
    moment(text, 1)
}

/// `12h` before now, a time of today or of another day here, an instant, or the midnight at which a day begins
/// here, so many days later.
fn moment(text: &str, days: i64) -> Result<i64, String> {
    let here = |time: DateTime| {
        let time = time.to_zoned(TimeZone::system());
        let time = time.map_err(|error| error.to_string())?;
        Ok(time.timestamp().as_millisecond())
    };
    let today = || Zoned::now().date();
    // By its length: what is parsed as a date may have a time behind it, which would be passed over.
    let is_date = text.len() == "2026-11-01".len() || text.len() == "20261101".len();
    let date = match text {
        "today" => Some(today()),
        "yesterday" => Some(today().yesterday().map_err(|error| error.to_string())?),
        text => text.parse::<Date>().ok().filter(|_| is_date),
    };
    if let Some(date) = date {
        let later = date.checked_add(days.days());
        return here(later.map_err(|error| error.to_string())?.at(0, 0, 0, 0));
    }
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant.as_millisecond());
    }
    // So would a zone behind a time be; and a number alone is a duration whose unit was forgotten.
    let time = text.rsplit(['T', ' ']).next().unwrap_or(text);
    let is_plain =
        time.contains(':') && time.chars().all(|c| c.is_ascii_digit() || ":.".contains(c));
    if let Ok(time) = text.parse::<DateTime>()
        && is_plain
    {
        return here(time);
    }
    if let Ok(time) = text.parse::<Time>()
        && is_plain
    {
        return here(time.to_datetime(today()));
    }
    if text.len() == EPOCH_MS
        && let Ok(ms) = text.parse()
    {
        return Ok(ms);
    }
    let before = back(text)?;
    let before = i64::try_from(before.as_millis()).unwrap_or(i64::MAX);
    Ok(format::now_ms().saturating_sub(before))
}

/// How long ago: `12h`, `7d`.
fn back(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(before) if before > LONGEST => {
            Err("longer than a year; name the date instead, such as 2026-11-01".to_owned())
        }
        Ok(before) if !before.is_zero() => Ok(before),
        _ => Err(
            "a time is 12h, 7d, today, yesterday, 22:30, a date such as 2026-11-01, or one with a time: \"2026-11-01 22:30\""
                .to_owned(),
        ),
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
        // Times are what they say, on either side.
        let began = since("2026-11-01").unwrap();
        for time in ["2026-11-01 12:30", "2026-11-01T12:30:00"] {
            assert_eq!(since(time), until(time));
            assert_eq!(since(time).unwrap() - began, (12 * 60 + 30) * 60 * 1000);
        }
        let midnight = since("today").unwrap();
        let spring = DAY + 3600 * 1000;
        let (from, to) = (since("yesterday").unwrap(), until("yesterday").unwrap());
        assert!((DAY - 3600 * 1000..=spring).contains(&(to - from)));
        assert!((midnight..=format::now_ms()).contains(&to));
        assert!((0..spring).contains(&(since("12:30").unwrap() - midnight)));
        let noon = 1_793_534_400_000;
        assert_eq!(since("2026-11-01T12:00:00Z"), Ok(noon));
        assert_eq!(since("1793534400000"), Ok(noon));
        assert_eq!(until("20261101"), until("2026-11-01"));
        let zoned = [
            "22:30+02:00",
            "22:30-02:00",
            "2026-11-01T22:30[Europe/Berlin]",
        ];
        for wrong in ["12", "10", "2026"].into_iter().chain(zoned) {
            assert!(since(wrong).is_err(), "{wrong}");
        }
        for wrong in [
            "",
            "none",
            "tomorrow",
            "2026-13-01",
            "7",
            "2026-11-01 25:00",
        ] {
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
