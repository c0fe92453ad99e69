//! Numbers and times as a person reads them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use steroids_client::{json, v1};

/// Names of events that are told of one version of a provider; --json has all.
const UNKNOWN_NAMES: usize = 4;

/// Milliseconds since the epoch, now.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
}

/// Local time of day: `14:03:22`.
pub(crate) fn clock(ms: i64) -> String {
    zoned(ms, "%H:%M:%S").unwrap_or_else(|| "--:--:--".to_owned())
}

/// Local date and time: `2026-03-01 14:03:22`.
pub(crate) fn date(ms: i64) -> String {
    zoned(ms, "%Y-%m-%d %H:%M:%S").unwrap_or_else(|| ms.to_string())
}

/// Characters of a moment as the daemon writes it; in names there may be shorter forms.
const WRITTEN: usize = "2026-03-01T13:03:22Z".len();

/// What the daemon says in words, with the moments in it by the clock here. It writes them in UTC
/// (`2026-03-01T13:03:22Z`), as it does not know where they are read.
pub(crate) fn by_clock(text: &str) -> Cow<'_, str> {
    let mut written = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('Z') {
        let (before, behind) = rest.split_at(at + 1);
        let is_of_one = |c: &char| matches!(c, '0'..='9' | 'T' | ':' | '.' | '-');
        let begun = at - before[..at].chars().rev().take_while(is_of_one).count();
        let (words, stamp) = before.split_at(begun);
        written.push_str(words);
        // A part of a name, or of a path, is none.
        let stands_alone = words
            .chars()
            .next_back()
            .is_none_or(|c| c == ' ' || c == '(')
            && behind.chars().next().is_none_or(|c| " );,:.".contains(c));
        let moment = stamp.parse::<Timestamp>().ok();
        match moment.filter(|_| stands_alone && stamp.len() >= WRITTEN) {
            Some(moment) => written.push_str(&date(moment.as_millisecond())),
            None => written.push_str(stamp),
        }
        rest = behind;
    }
    if written.is_empty() {
        return Cow::Borrowed(text);
    }
    written.push_str(rest);
    Cow::Owned(written)
}

/// Local date: `2026-03-01`.
pub(crate) fn day(ms: i64) -> String {
    zoned(ms, "%Y-%m-%d").unwrap_or_default()
}

fn zoned(ms: i64, pattern: &str) -> Option<String> {
    let stamp = Timestamp::from_millisecond(ms).ok()?;
    Some(
        stamp
            .to_zoned(TimeZone::system())
            .strftime(pattern)
            .to_string(),
    )
}

/// `830 ms`, `6.2 s`, `2m 05s`, `1h 02m`, `3d 04h`.
pub(crate) fn duration(ms: i64) -> String {
    let ms = ms.max(0);
    let seconds = ms / 1000;
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", seconds, ms % 1000 / 100),
        60_000..3_600_000 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600_000..86_400_000 => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Time passed while waiting, to the second: `12s`, `2m 05s`.
pub(crate) fn elapsed(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// `now`, `12 s ago`, `3 min ago`, `2 h ago`, `5 d ago`.
pub(crate) fn ago(then_ms: i64, now_ms: i64) -> String {
    let seconds = now_ms.saturating_sub(then_ms) / 1000;
    match seconds {
        i64::MIN..2 => "now".to_owned(),
        2..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// `812`, `12.3k`, `1.2M`.
pub(crate) fn count(number: u64) -> String {
    let scaled = |unit: u64| format!("{}.{}", number / unit, number % unit * 10 / unit);
    match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => format!("{}k", scaled(1_000)),
        1_000_000..1_000_000_000 => format!("{}M", scaled(1_000_000)),
        _ => format!("{}G", scaled(1_000_000_000)),
    }
}

/// `812 B`, `12.3 KiB`, `1.2 GiB`.
pub(crate) fn bytes(number: i64) -> String {
    let number = number.max(0);
    let (unit, name) = match number {
        0..1024 => return format!("{number} B"),
        1024..1_048_576 => (1024, "KiB"),
        1_048_576..1_073_741_824 => (1_048_576, "MiB"),
        _ => (1_073_741_824, "GiB"),
    };
    format!("{}.{} {name}", number / unit, number % unit * 10 / unit)
}

/// `$0.53`, and `$0.0042` where cents would show nothing.
pub(crate) fn cost(usd: f64) -> String {
    if usd != 0.0 && usd.abs() < 0.01 {
        format!("${usd:.4}")
    } else {
        format!("${usd:.2}")
    }
}

/// `~$0.53` where it is estimated.
pub(crate) fn cost_of(usd: f64, estimated: bool) -> String {
    let mark = if estimated { "~" } else { "" };
    format!("{mark}{}", cost(usd))
}

/// `12.3k in, 1.2k out`; all input counts, also that of caches.
pub(crate) fn tokens(usage: &v1::Usage) -> String {
    let output = count(usage.output_tokens);
    format!("{} in, {output} out", count(input_tokens(usage)))
}

/// `13.5k`: the same in one number, for a narrow column.
pub(crate) fn all_tokens(usage: &v1::Usage) -> String {
    count(input_tokens(usage).saturating_add(usage.output_tokens))
}

fn input_tokens(usage: &v1::Usage) -> u64 {
    usage
        .input_tokens
        .saturating_add(usage.cached_input_tokens)
        .saturating_add(usage.cache_creation_tokens)
}

/// Provider events that no parser knew: `claude 2.1.300: 14 (system/foo 12, x 2)`.
pub(crate) fn unknown(events: &v1::UnknownEvents) -> String {
    let mut text = events.provider.clone();
    if !events.version.is_empty() {
        text.push_str(&format!(" {}", events.version));
    }
    let names = events.names.iter().take(UNKNOWN_NAMES);
    let mut names: Vec<String> = names
        .map(|it| match it.name.as_str() {
            "" => format!("without a name {}", it.count),
            name => format!("{name} {}", it.count),
        })
        .collect();
    if events.names.len() > UNKNOWN_NAMES {
        names.push("…".to_owned());
    }
    format!("{text}: {} ({})", events.count, names.join(", "))
}

/// True while something may still happen to the invocation.
pub(crate) fn is_open(invocation: &v1::Invocation) -> bool {
    matches!(
        v1::State::try_from(invocation.state),
        Ok(v1::State::Queued | v1::State::Running)
    )
}

/// The model that answers, else the one that was asked for.
pub(crate) fn model(invocation: &v1::Invocation) -> &str {
    if invocation.answering_model.is_empty() {
        &invocation.model
    } else {
        &invocation.answering_model
    }
}

/// In one word how an invocation is: its outcome once it has one, else its state.
pub(crate) fn standing(invocation: &v1::Invocation) -> &str {
    if invocation.outcome.is_empty() {
        json::state(invocation.state)
    } else {
        &invocation.outcome
    }
}

/// The shortest end of each path that tells it from the others: the name of its folder, as a rule.
pub(crate) fn tails<'a>(paths: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, &'a str> {
    let paths: BTreeSet<&str> = paths.collect();
    let ends_so = |path: &str, tail: &str| {
        let before = path.strip_suffix(tail);
        before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
    };
    let tail = |path: &'a str| {
        let mut tails = path.rmatch_indices('/').map(|(at, _)| &path[at + 1..]);
        let own = tails.find(|tail| {
            let mut others = paths.iter().filter(|other| **other != path);
            !tail.is_empty() && !others.any(|other| ends_so(other, tail))
        });
        own.unwrap_or(path)
    };
    paths.iter().map(|path| (*path, tail(path))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_apart_by_as_little_as_it_takes() {
        let all = ["/a/app", "/a/site", "/b/app", "/c/b/app", "/", "/app"];
        let tails = tails(all.into_iter());
        assert_eq!(
            all.map(|path| tails[path]),
            ["a/app", "site", "/b/app", "c/b/app", "/", "/app"]
        );
        assert_eq!(
            super::tails(["/a/my app"].into_iter())["/a/my app"],
            "my app"
        );
    }

    #[test]
    fn durations_read_well_at_every_size() {
        for (ms, text) in [
            (-5, "0 ms"),
            (830, "830 ms"),
            (6_250, "6.2 s"),
            (125_000, "2m 05s"),
            (3_720_000, "1h 02m"),
            (273_600_000, "3d 04h"),
        ] {
            assert_eq!(duration(ms), text);
        }
    }

    #[test]
    fn counts_bytes_and_money_are_short() {
        assert_eq!(count(812), "812");
        assert_eq!(count(12_345), "12.3k");
        assert_eq!(count(1_250_000), "1.2M");
        assert_eq!(bytes(500), "500 B");
        assert_eq!(bytes(12_600), "12.3 KiB");
        assert_eq!(cost(0.0042), "$0.0042");
        assert_eq!(cost(1.5), "$1.50");
    }

    #[test]
    fn events_that_no_parser_knew_are_told_by_who_printed_them() {
        let name = |name: &str, count| v1::UnknownName {
            name: name.to_owned(),
            count,
        };
        let mut events = v1::UnknownEvents {
            provider: "claude".to_owned(),
            version: "2.1.300".to_owned(),
            count: 14,
            names: vec![name("system/foo", 12), name("", 2)],
            ..Default::default()
        };
        assert_eq!(
            unknown(&events),
            "claude 2.1.300: 14 (system/foo 12, without a name 2)"
        );
        events.version.clear();
        events.names = (0..9)
            .map(|number| name(&format!("n{number}"), 1))
            .collect();
        assert_eq!(unknown(&events), "claude: 14 (n0 1, n1 1, n2 1, n3 1, …)");
    }

    #[test]
    fn a_clock_that_runs_ahead_is_now() {
        assert_eq!(ago(2_000, 1_000), "now");
        assert_eq!(ago(0, 185_000), "3 min ago");
        assert_eq!(ago(i64::MIN, i64::MAX), ago(0, i64::MAX));
    }

    #[test]
    fn moments_in_words_are_those_of_the_clock_here() {
        let at = "2026-03-01T13:03:22Z".parse::<Timestamp>().unwrap();
        let here = date(at.as_millisecond());
        for (said, expected) in [
            ("", String::new()),
            ("no time in it", "no time in it".to_owned()),
            (
                "held until 2026-03-01T13:03:22Z (limit)",
                format!("held until {here} (limit)"),
            ),
            (
                "since 2026-03-01T13:03:22.5Z; Zoé: 12-2026-03-01T13:03:22Z",
                format!("since {here}; Zoé: 12-2026-03-01T13:03:22Z"),
            ),
            (
                "2026-13-01T13:03:22Z éZ",
                "2026-13-01T13:03:22Z éZ".to_owned(),
            ),
            (
                "/runs/2026-03-01T13:03:22Z/app, 20260301T130322Z",
                "/runs/2026-03-01T13:03:22Z/app, 20260301T130322Z".to_owned(),
            ),
        ] {
            assert_eq!(by_clock(said), expected);
        }
    }

    #[test]
    fn times_no_calendar_holds_do_not_fail() {
        assert_eq!(clock(i64::MAX), "--:--:--");
        assert_eq!(date(i64::MIN), i64::MIN.to_string());
    }
}
