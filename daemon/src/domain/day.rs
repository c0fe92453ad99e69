//! Days as somebody's clock on the wall has them. A zone and not an offset decides: over a year the
//! offset changes, and then a day has 23 or 25 hours.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

/// Where the clock hangs.
#[derive(Debug, Clone)]
pub struct Zone {
    zone: TimeZone,
    name: String,
}

/// The day that others are counted from.
const FIRST: Date = Date::constant(1970, 1, 1);

impl Zone {
    /// This host's; looks into files, at the first call.
    pub fn of_host() -> Zone {
        let zone = TimeZone::system();
        let name = zone.iana_name().unwrap_or_default().to_owned();
        Zone { zone, name }
    }

    /// One by its name, such as `Europe/Berlin`, or by a rule, such as `CET-1CEST,M3.5.0,M10.5.0/3`; looks into
    /// files.
    pub fn named(name: &str) -> Option<Zone> {
        let zone = TimeZone::get(name)
            .or_else(|_| TimeZone::posix(name))
            .ok()?;
        let name = zone.iana_name().unwrap_or(name).to_owned();
        Some(Zone { zone, name })
    }

    /// Its name, or the rule it was given by; empty where it has neither.
    pub fn name(&self) -> &str {
        &self.name
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

    /// A moment as this clock shows it, seen from another one: `14:03`, with the day before it where that is another.
    pub fn time_text(&self, ms: i64, seen_from_ms: i64) -> String {
        let at = self.at(ms);
        let time = format!("{:02}:{:02}", at.hour(), at.minute());
        match self.day(ms) {
            day if day == self.day(seen_from_ms) => time,
            day => format!("{} {time}", day_text(day)),
        }
    }

    /// A moment that no calendar has is the first or the last that one has.
    fn at(&self, ms: i64) -> Zoned {
        let stamp = match Timestamp::from_millisecond(ms) {
            Ok(stamp) => stamp,
            Err(_) if ms < 0 => Timestamp::MIN,
            Err(_) => Timestamp::MAX,
        };
        stamp.to_zoned(self.zone.clone())
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
    fn a_rule_is_a_zone_as_well() {
        let rule = "CET-1CEST,M3.5.0,M10.5.0/3";
        let zone = Zone::named(rule).unwrap();
        assert_eq!(zone.name(), rule);
        assert_eq!(zone.midnight(MIDNIGHT + 22 * HOUR), MIDNIGHT);
        assert_eq!(day_text(zone.day(MIDNIGHT + 23 * HOUR)), "2026-03-30");
        assert!(Zone::named("CET").is_some_and(|zone| zone.name() == "CET"));
        assert!(Zone::named("CET-1CEST,M3").is_none());
    }

    #[test]
    fn zones_have_names_and_others_are_none() {
        assert_eq!(Zone::named("Asia/Kolkata").unwrap().name(), "Asia/Kolkata");
        assert!(Zone::named("Mars/Olympus").is_none());
        assert!(Zone::named("../etc/passwd").is_none());
    }

    #[test]
    fn a_time_of_another_day_says_which() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        let at = MIDNIGHT + 3_600_000;
        assert_eq!(berlin.time_text(at, MIDNIGHT), "01:00");
        assert_eq!(berlin.time_text(at, MIDNIGHT - 1), "2026-03-29 01:00");
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
