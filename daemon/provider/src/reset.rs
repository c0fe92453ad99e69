//! When a limit goes away, as CLIs and APIs tell of it: a point in time, a span from now on, or a
//! time of day, in the zone that is named with it or else in the program's own.
//!
//! A parser has no clock, so *now* is the stamp of the line that says it: the same spool gives the
//! same time whenever it is read. What does not read as a time is none; nothing is guessed.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan as _};
use serde_json::value::RawValue;

use crate::activity::Stamp;
use crate::json::{self, Object};
use crate::run::Run;

/// Spans beyond this are no waiting time: ten years.
const SPAN_LIMIT_MS: f64 = 10.0 * 366.0 * 86_400_000.0;

/// A time of day that is past by up to this much is meant as it is: clocks differ. One that is past
/// by more is tomorrow's.
const JUST_NOW_MS: i64 = 10 * 60 * 1000;

/// From here on a number is a point in time in seconds, from there on in milliseconds; below it is
/// a span in seconds.
const SECONDS_FROM: f64 = 1e9;
const MILLISECONDS_FROM: f64 = 1e12;

/// The time at which something was said, and the zone of its times of day.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock<'r> {
    now_ms: u64,
    zone: Option<&'r str>,
}

impl Run {
    /// The clock of a line.
    pub(crate) fn clock(&self, at: Stamp) -> Clock<'_> {
        Clock {
            now_ms: at.wall_ms,
            zone: self.zone.as_deref(),
        }
    }
}

/// A point in time as some programs tell it, in seconds or in milliseconds; none before 1970.
pub(crate) fn epoch(number: i64) -> Option<i64> {
    #[expect(clippy::cast_precision_loss, reason = "only its magnitude counts")]
    if number as f64 >= MILLISECONDS_FROM {
        let time = Timestamp::from_millisecond(number).ok()?;
        return Some(time.as_millisecond());
    }
    seconds(number)
}

/// Epoch seconds as milliseconds, where they are a time after 1970.
pub(crate) fn seconds(seconds: i64) -> Option<i64> {
    let time = Timestamp::from_second(seconds).ok()?;
    Some(time.as_millisecond()).filter(|ms| *ms > 0)
}

/// What follows a phrase, where it occurs.
pub(crate) fn after<'t>(text: &'t str, phrase: &str) -> Option<&'t str> {
    text.split_once(phrase).map(|(_, rest)| rest)
}

// === impl Clock ===

impl Clock<'_> {
    /// The clock of a line whose times are all spans.
    pub(crate) fn at(at: Stamp) -> Clock<'static> {
        Clock {
            now_ms: at.wall_ms,
            zone: None,
        }
    }

    /// So many milliseconds from now.
    pub(crate) fn in_ms(self, span: f64) -> Option<i64> {
        if !(0.0..=SPAN_LIMIT_MS).contains(&span) {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "within ten years")]
        let span = span.round() as i64;
        i64::try_from(self.now_ms).ok()?.checked_add(span)
    }

    /// The span with which a text begins: `3 days 2 hours`, `11.05s`, `6m0s`, `less than a minute`.
    pub(crate) fn span(self, text: &str) -> Option<i64> {
        self.in_ms(span_ms(text)?)
    }

    /// The time with which a text begins: `4:10 PM`, `Nov 23rd, 2026 2:13 AM`, `2:13am (UTC)`.
    pub(crate) fn time(self, text: &str) -> Option<i64> {
        let said = Said::of(text)?;
        // The database is part of this program: the same line gives the same time on any host.
        let named = said
            .zone
            .and_then(|name| TimeZoneDatabase::bundled().get(name).ok());
        let own = || self.zone.and_then(|zone| TimeZone::posix(zone).ok());
        let zone = named.or_else(own).unwrap_or(TimeZone::UTC);
        let now_ms = i64::try_from(self.now_ms).ok()?;
        let now = Timestamp::from_millisecond(now_ms).ok()?;
        let today = now.to_zoned(zone.clone()).date();
        let on = |date: Date| {
            let moment = date.to_datetime(said.time).to_zoned(zone.clone()).ok()?;
            Some(moment.timestamp().as_millisecond())
        };
        let next = |first: Date, every: i64| {
            let at = on(first)?;
            match at < now_ms - JUST_NOW_MS {
                true => on(first.checked_add(every.days()).ok()?),
                false => Some(at),
            }
        };
        match said.day {
            None => next(today, 1),
            Some(Day::Week(day)) => {
                let ahead = i64::from(today.weekday().until(day));
                next(today.checked_add(ahead.days()).ok()?, 7)
            }
            Some(Day::Date(month, day, Some(year))) => on(Date::new(year, month, day).ok()?),
            Some(Day::Date(month, day, None)) => {
                let date = Date::new(today.year(), month, day).ok()?;
                let is_past = date < today.checked_sub(1.day()).ok()?;
                on(match is_past {
                    true => Date::new(today.year() + 1, month, day).ok()?,
                    false => date,
                })
            }
        }
    }

    /// A value of an event: a number (a point in time, or below 10⁹ the seconds until then), a date
    /// (`2026-11-23T02:13:20Z`, or as HTTP has it; without a zone it is of UTC), or a span in words.
    pub(crate) fn value(self, value: &RawValue) -> Option<i64> {
        if let Some(number) = json::f64(value) {
            return self.number(number);
        }
        self.word(&json::text(value, false)?.text)
    }

    /// As [`Clock::value`], of a text.
    pub(crate) fn word(self, text: &str) -> Option<i64> {
        let text = text.trim();
        if let Ok(number) = text.parse() {
            return self.number(number);
        }
        text.parse::<Timestamp>()
            .ok()
            .or_else(|| Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp()))
            .or_else(|| of_utc(text))
            .map(Timestamp::as_millisecond)
            .filter(|ms| *ms > 0)
            .or_else(|| self.span(text))
    }

    fn number(self, number: f64) -> Option<i64> {
        #[expect(clippy::cast_possible_truncation, reason = "checked by Timestamp")]
        match number {
            number if number >= MILLISECONDS_FROM => {
                let time = Timestamp::from_millisecond(number as i64).ok()?;
                Some(time.as_millisecond())
            }
            number if number >= SECONDS_FROM => seconds(number as i64),
            number => self.in_ms(number * 1000.0),
        }
    }

    /// The `retryDelay` in the details of an error of Google's APIs.
    pub(crate) fn of_google(self, error: &Object<'_>) -> Option<i64> {
        let mut delay = None;
        error.each_object("details", |detail| {
            if let Some(text) = detail.str("retryDelay") {
                delay = delay.or(self.span(&text));
            }
        });
        delay
    }
}

/// `2026-12-01`, `2026-12-01T03:00:00`, `2026-12-01 03:00:00`.
fn of_utc(text: &str) -> Option<Timestamp> {
    // A zone in brackets would be passed over.
    let date: DateTime = text.parse().ok().filter(|_| !text.contains('['))?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn span_ms(text: &str) -> Option<f64> {
    let mut rest = text.trim_start();
    if rest.starts_with("less than a minute") {
        return Some(60_000.0);
    }
    let mut sum = None;
    loop {
        let is_of_number = |c: char| c.is_ascii_digit() || c == '.';
        let number = &rest[..rest.find(|c| !is_of_number(c)).unwrap_or(rest.len())];
        let behind = rest[number.len()..].trim_start();
        let is_of_word = |c: char| c.is_ascii_alphabetic();
        let unit = &behind[..behind.find(|c| !is_of_word(c)).unwrap_or(behind.len())];
        let (Ok(number), Some(unit_ms)) = (number.parse::<f64>(), unit_ms(unit)) else {
            return sum;
        };
        sum = Some(sum.unwrap_or(0.0) + number * unit_ms);
        rest = behind[unit.len()..].trim_start_matches([' ', ',']);
        rest = rest.strip_prefix("and ").unwrap_or(rest);
    }
}

fn unit_ms(unit: &str) -> Option<f64> {
    Some(match unit {
        "ms" | "millisecond" | "milliseconds" => 1.0,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000.0,
        "d" | "day" | "days" => 86_400_000.0,
        "w" | "week" | "weeks" => 7.0 * 86_400_000.0,
        _ => return None,
    })
}

/// A time as people write it, taken apart.
struct Said<'t> {
    day: Option<Day>,
    time: Time,
    /// In brackets behind it.
    zone: Option<&'t str>,
}

enum Day {
    /// Month, day, and the year where it is told.
    Date(i8, i8, Option<i16>),
    Week(Weekday),
}

impl<'t> Said<'t> {
    fn of(text: &'t str) -> Option<Said<'t>> {
        let is_gap = |c: char| c.is_whitespace() || c == ',';
        let mut words = text
            .split(is_gap)
            .filter(|word| !word.is_empty())
            .peekable();
        let mut day = None;
        if let Some(month) = words.peek().and_then(|word| month(word)) {
            words.next();
            let number = words.next()?.trim_end_matches(|c: char| c.is_alphabetic());
            let year = words
                .next_if(|word| word.len() == 4 && word.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|year| year.parse().ok());
            day = Some(Day::Date(month, number.parse().ok()?, year));
        } else if let Some(weekday) = words.peek().and_then(|word| weekday(word)) {
            words.next();
            day = Some(Day::Week(weekday));
        }
        words.next_if(|word| *word == "at");
        let (digits, half) = words.next().map(split_half)?;
        let half = half.or_else(|| {
            let half = words.peek().and_then(|word| half_of(word));
            words.next_if(|_| half.is_some());
            half
        });
        let zone = words
            .next()
            .and_then(|word| word.strip_prefix('(')?.split(')').next());
        Some(Said {
            day,
            time: time(digits, half)?,
            zone,
        })
    }
}

/// `Nov`, `November`.
fn month(word: &str) -> Option<i8> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    i8::try_from(place(word, &MONTHS)? + 1).ok()
}

/// `Mon`, `Monday`.
fn weekday(word: &str) -> Option<Weekday> {
    const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let place = i8::try_from(place(word, &WEEKDAYS)?).ok()?;
    Weekday::from_monday_zero_offset(place).ok()
}

/// Which of these beginnings a word has.
fn place(word: &str, beginnings: &[&str]) -> Option<usize> {
    let is_word = word.bytes().all(|byte| byte.is_ascii_alphabetic());
    let place = beginnings.iter().position(|it| word.starts_with(it));
    place.filter(|_| is_word)
}

/// `2:13am` as `2:13`, and whether it is after noon where that is told.
fn split_half(word: &str) -> (&str, Option<bool>) {
    let word = word.trim_end_matches('.');
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    (digits, half_of(&word[digits.len()..]))
}

fn half_of(word: &str) -> Option<bool> {
    match word.trim_end_matches('.') {
        "am" | "AM" => Some(false),
        "pm" | "PM" => Some(true),
        _ => None,
    }
}

/// `4:10` with a half of the day, `16:10` without; a bare hour only with one.
fn time(digits: &str, half: Option<bool>) -> Option<Time> {
    let (hour, minute) = match (digits.split_once(':'), half) {
        (Some((hour, minute)), _) => (hour, minute.parse().ok()?),
        (None, Some(_)) => (digits, 0),
        (None, None) => return None,
    };
    let hour: i8 = hour.parse().ok()?;
    let hour = match half {
        None => hour,
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(is_afternoon) => hour % 12 + if is_afternoon { 12 } else { 0 },
    };
    Time::new(hour, minute, 0, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22T10:24:36Z.
    const NOW: u64 = 1_795_343_076_000;

    fn clock(zone: Option<&str>) -> Clock<'_> {
        Clock { now_ms: NOW, zone }
    }

    fn shown(ms: Option<i64>) -> String {
        let time = ms.map(|ms| Timestamp::from_millisecond(ms).unwrap());
        time.map_or_else(|| "none".to_owned(), |time| time.to_string())
    }

    #[test]
    fn spans_are_counted_from_the_line_that_names_them() {
        let cases = [
            ("3 days 2 hours.", "2026-11-25T12:24:36Z"),
            ("1 hour, 5 minutes and 2 seconds", "2026-11-22T11:29:38Z"),
            ("less than a minute.", "2026-11-22T10:25:36Z"),
            ("11.054s. Visit", "2026-11-22T10:24:47.054Z"),
            ("18h32m5s.", "2026-11-23T04:56:41Z"),
            ("6m0s.", "2026-11-22T10:30:36Z"),
            ("20ms.", "2026-11-22T10:24:36.02Z"),
            ("soon", "none"),
            ("later.", "none"),
            ("5", "none"),
            ("999999999999999 days", "none"),
            ("1.2.3 days", "none"),
            ("", "none"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(clock(None).span(text)), expected, "{text}");
        }
    }

    #[test]
    fn times_of_day_are_the_next_ones_in_the_zone_they_name_or_the_programs() {
        let berlin = Some("CET-1CEST,M3.5.0,M10.5.0/3");
        let new_york = Some("EST5EDT,M3.2.0,M11.1.0");
        let cases = [
            (None, "4:10 PM.", "2026-11-22T16:10:00Z"),
            (None, "Nov 23rd, 2026 2:13 AM.", "2026-11-23T02:13:00Z"),
            (berlin, "Nov 23rd, 2026 2:13 AM.", "2026-11-23T01:13:00Z"),
            (berlin, "Jul 1st, 2027 12:00 PM", "2027-07-01T10:00:00Z"),
            (None, "2:13am (UTC)", "2026-11-23T02:13:00Z"),
            (berlin, "2:13am (UTC)", "2026-11-23T02:13:00Z"),
            (berlin, "2:13am (Europe/Berlin)", "2026-11-23T01:13:00Z"),
            (None, "3am (Europe/Berlin)", "2026-11-23T02:00:00Z"),
            (new_york, "3am (Europe/Berlin)", "2026-11-23T02:00:00Z"),
            (
                None,
                "Dec 3, 3pm (America/New_York)",
                "2026-12-03T20:00:00Z",
            ),
            (
                None,
                "Jul 1, 2027 3pm (America/New_York)",
                "2027-07-01T19:00:00Z",
            ),
            // Of the day that it is there.
            (None, "11am (Asia/Tokyo)", "2026-11-23T02:00:00Z"),
            (berlin, "3am (Mars/Base)", "2026-11-23T02:00:00Z"),
            (berlin, "3pm", "2026-11-22T14:00:00Z"),
            (None, "10:20am", "2026-11-22T10:20:00Z"),
            (None, "10:10am", "2026-11-23T10:10:00Z"),
            (None, "Nov 28 at 3pm (UTC)", "2026-11-28T15:00:00Z"),
            (None, "Jan 2, 12am (UTC)", "2027-01-02T00:00:00Z"),
            (None, "14:30", "2026-11-22T14:30:00Z"),
            (Some("nonsense"), "4:10 PM", "2026-11-22T16:10:00Z"),
            // A Sunday.
            (None, "Mon 12:00am", "2026-11-23T00:00:00Z"),
            (berlin, "Monday at 9am.", "2026-11-23T08:00:00Z"),
            (None, "Sat, 3pm (UTC)", "2026-11-28T15:00:00Z"),
            (None, "Sun 10:20am", "2026-11-22T10:20:00Z"),
            (None, "Sun 10:10am", "2026-11-29T10:10:00Z"),
            (None, "Monday", "none"),
            (None, "Mon3 3pm", "none"),
            (None, "13pm", "none"),
            (None, "25:00", "none"),
            (None, "Feb 30, 2027 1:00 AM", "none"),
            (None, "Nov", "none"),
            (None, "3", "none"),
            (None, "", "none"),
        ];
        for (zone, text, expected) in cases {
            assert_eq!(shown(clock(zone).time(text)), expected, "{text}");
        }
    }

    #[test]
    fn values_are_points_in_time_or_spans() {
        let cases = [
            ("1795400000", "2026-11-23T02:13:20Z"),
            ("1795400000123", "2026-11-23T02:13:20.123Z"),
            ("60", "2026-11-22T10:25:36Z"),
            ("0.5", "2026-11-22T10:24:36.5Z"),
            ("\"60\"", "2026-11-22T10:25:36Z"),
            ("\"27s\"", "2026-11-22T10:25:03Z"),
            ("\"2026-11-23T02:13:20Z\"", "2026-11-23T02:13:20Z"),
            ("\"Mon, 23 Nov 2026 02:13:20 GMT\"", "2026-11-23T02:13:20Z"),
            ("\"2026-12-01\"", "2026-12-01T00:00:00Z"),
            ("\"2026-12-01T03:00:00\"", "2026-12-01T03:00:00Z"),
            ("\"2026-12-01 03:00:00\"", "2026-12-01T03:00:00Z"),
            ("\"2026-12-01T03:00:00+01:00\"", "2026-12-01T02:00:00Z"),
            ("\"2026-12-01T03:00:00[Europe/Berlin]\"", "none"),
            ("\"2026-13-01\"", "none"),
            ("-5", "none"),
            ("1e300", "none"),
            ("\"NaN\"", "none"),
            ("\"soon\"", "none"),
            ("null", "none"),
            ("{}", "none"),
        ];
        for (json, expected) in cases {
            let raw: &RawValue = serde_json::from_str(json).unwrap();
            assert_eq!(shown(clock(None).value(raw)), expected, "{json}");
        }
        for (number, expected) in [
            (1_795_400_000, "2026-11-23T02:13:20Z"),
            (1_795_400_000_123, "2026-11-23T02:13:20.123Z"),
            (i64::MAX, "none"),
            (-1, "none"),
        ] {
            assert_eq!(shown(epoch(number)), expected, "{number}");
        }
    }
}
