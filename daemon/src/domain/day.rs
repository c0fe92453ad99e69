//! Days as somebody's clock on the wall has them. A zone and not an offset decides: over a year the
//! offset changes, and then a day has 23 or 25 hours.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

/// Where the clock hangs.
#[derive(Debug, Clone)]
pub struct Zone(TimeZone);

/// The day that others are counted from.
const FIRST: Date = Date::constant(1970, 1, 1);

impl Zone {
    /// This host's; looks into files, at the first call.
    pub fn of_host() -> Zone {
        Zone(TimeZone::system())
    }

    /// One by its name, such as `Europe/Berlin`; looks into files.
    pub fn named(name: &str) -> Option<Zone> {
        TimeZone::get(name).ok().map(Zone)
    }

    /// Its name; empty where it has none.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or_default()
    }

    /// The day of a moment, as days since 1970-01-01.
    pub fn day(&self, ms: i64) -> i64 {
        days(self.at(ms).date())
    }

    /// When the day of this moment began, in epoch milliseconds.
    pub fn midnight(&self, ms: i64) -> i64 {
        let began = self.at(ms).start_of_day();
        began.map_or(ms, |began| began.timestamp().as_millisecond())
    }

    /// A moment that no calendar has is the first or the last that one has.
    fn at(&self, ms: i64) -> Zoned {
        let stamp = match Timestamp::from_millisecond(ms) {
            Ok(stamp) => stamp,
            Err(_) if ms < 0 => Timestamp::MIN,
            Err(_) => Timestamp::MAX,
        };
        stamp.to_zoned(self.0.clone())
    }
}

/// `2026-11-26`.
pub fn day_text(day: i64) -> String {
    // Over ten thousand years, which is more than a calendar has.
    let day = day.clamp(-4_000_000, 4_000_000);
    let after = SignedDuration::from_hours(day * 24);
    FIRST.saturating_add(after).to_string()
}

fn days(date: Date) -> i64 {
    date.duration_since(FIRST).as_hours() / 24
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-29, on which clocks in Berlin go from 2 to 3.
    const MIDNIGHT: i64 = 1_774_738_800_000;
    const HOUR: i64 = 3_600_000;

    #[test]
    fn a_day_may_have_23_hours() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        assert_eq!(day_text(berlin.day(MIDNIGHT)), "2026-03-29");
        assert_eq!(day_text(berlin.day(MIDNIGHT - 1)), "2026-03-28");
        assert_eq!(day_text(berlin.day(MIDNIGHT + 23 * HOUR - 1)), "2026-03-29");
        assert_eq!(day_text(berlin.day(MIDNIGHT + 23 * HOUR)), "2026-03-30");
        assert_eq!(berlin.midnight(MIDNIGHT + 22 * HOUR), MIDNIGHT);
        assert_eq!(berlin.midnight(MIDNIGHT), MIDNIGHT);
    }

    #[test]
    fn zones_have_names_and_others_are_none() {
        assert_eq!(Zone::named("Asia/Kolkata").unwrap().name(), "Asia/Kolkata");
        assert!(Zone::named("Mars/Olympus").is_none());
        assert!(Zone::named("../etc/passwd").is_none());
    }

    #[test]
    fn moments_that_no_calendar_has_have_a_day() {
        let utc = Zone::named("UTC").unwrap();
        assert!(utc.day(i64::MAX) > utc.day(0));
        assert!(utc.day(i64::MIN) < utc.day(0));
        assert_eq!(day_text(utc.day(0)), "1970-01-01");
        assert_eq!(day_text(utc.day(-1)), "1969-12-31");
        day_text(i64::MAX);
    }
}
