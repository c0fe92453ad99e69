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

/// Until when; a date counts with all of its day, and a time is one of today.
pub(crate) fn until(text: &str) -> Result<i64, String> {
    moment(text, 1)
}

/// A moment to come: `22:30` is the next one there is, the rest as for [`since`].
pub(crate) fn coming(text: &str) -> Result<i64, String> {
    let now = Zoned::now();
    match time_alone(text) {
        Some(time) if time.to_datetime(now.date()) <= now.datetime() => {
            let tomorrow = now.date().tomorrow().map_err(|error| error.to_string())?;
            here(time.to_datetime(tomorrow))
        }
        Some(time) => here(time.to_datetime(now.date())),
        None => at(text).ok_or_else(|| {
            "a time is 22:30, a date with a time, such as \"2026-12-24 18:00\", or 2026-12-24T18:00:00Z"
                .to_owned()
        })?,
    }
}

/// `12h` before now, the last time that it was so late here, a time of another day, an instant, or the midnight
/// at which a day begins here, so many days later.
fn moment(text: &str, days: i64) -> Result<i64, String> {
    let now = Zoned::now();
    let today = || now.date();
    let yesterday = || today().yesterday().map_err(|error| error.to_string());
    // By its length: what is parsed as a date may have a time behind it, which would be passed over.
    let is_date = text.len() == "2026-11-01".len() || text.len() == "20261101".len();
    let date = match text {
        "today" => Some(today()),
        "yesterday" => Some(yesterday()?),
        text => text.parse::<Date>().ok().filter(|_| is_date),
    };
    if let Some(date) = date {
        let later = date.checked_add(days.days());
        return here(later.map_err(|error| error.to_string())?.at(0, 0, 0, 0));
    }
    if let Some(instant) = at(text) {
        return instant;
    }
    if let Some(time) = time_alone(text) {
        // Who asks in the morning for what was since 22:30 means the evening before; until then is all there is.
        let is_to_come = days == 0 && time.to_datetime(today()) > now.datetime();
        let day = if is_to_come { yesterday()? } else { today() };
        return here(time.to_datetime(day));
    }
    if let Some((day, time)) = text.split_once(' ')
        && let Some(time) = time_alone(time)
    {
        match day {
            "today" => return here(time.to_datetime(today())),
            "yesterday" => return here(time.to_datetime(yesterday()?)),
            _ => {}
        }
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

/// An instant, or a time of a day here.
fn at(text: &str) -> Option<Result<i64, String>> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(Ok(instant.as_millisecond()));
    }
    let time = text.rsplit(['T', ' ']).next().unwrap_or(text);
    let is_timed = time != text && is_plain(time);
    let time = text.parse::<DateTime>().ok().filter(|_| is_timed)?;
    Some(here(time))
}

/// `22:30`, `22:30:15`.
fn time_alone(text: &str) -> Option<Time> {
    text.parse().ok().filter(|_| is_plain(text))
}

/// With no zone behind it, which would be passed over; and a number alone is a duration whose unit was forgotten.
fn is_plain(time: &str) -> bool {
    time.contains(':') && time.chars().all(|c| c.is_ascii_digit() || ":.".contains(c))
}

fn here(time: DateTime) -> Result<i64, String> {
    let time = time.to_zoned(TimeZone::system());
    let time = time.map_err(|error| error.to_string())?;
    Ok(time.timestamp().as_millisecond())
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
        // Whenever it is: within the last day, or the next.
        let now = format::now_ms();
        for time in ["00:00", "06:00", "12:30", "23:59:59"] {
            assert!(
                (now - spring..=now).contains(&since(time).unwrap()),
                "{time}"
            );
            assert!(
                (0..spring).contains(&(until(time).unwrap() - midnight)),
                "{time}"
            );
            let next = coming(time).unwrap();
            assert!((now..=now + spring).contains(&next), "{time}");
        }
        let evening = since("yesterday 22:30").unwrap();
        assert!((from..midnight).contains(&evening));
        assert_eq!(since("today 00:00"), since("today"));
        assert_eq!(coming("2026-11-01 12:30"), since("2026-11-01 12:30"));
        assert_eq!(coming("2026-11-01T12:00:00Z"), Ok(1_793_534_400_000));
        for wrong in ["12h", "tomorrow", "2026-11-01", "22:30+02:00"] {
            assert!(
                coming(wrong).unwrap_err().starts_with("a time is 22:30"),
                "{wrong}"
            );
        }
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
