//! What a running invocation waits for and which limit it is near, in words.

use std::time::Duration;

use steroids_client::v1;

use crate::format;

/// One of which nobody knows what it waits for is called quiet only after so long.
const QUIET_MS: i64 = 60_000;

/// Until then the rest of a line may be on its way.
const LINE_MS: i64 = 5_000;

/// For a column: `tool 12m`, `asks 12m`, `retry until 14:03:22`, `model 12m, ended in 3m`.
pub(crate) fn brief(live: &v1::Live, now: i64) -> Option<String> {
    let since = time(now - live.waits_since_ms);
    let is_quiet = now - live.waits_since_ms >= QUIET_MS || is_near(live);
    let waits = match (&*live.waits_for, live.waits_until_ms) {
        _ if live.waits_since_ms == 0 => return None,
        ("", _) if !is_quiet => return None,
        ("unfinished_line", _) if is_short(live, now) => return None,
        ("", _) => format!("quiet {since}"),
        ("retry", Some(until)) if until > now => format!("retry until {}", format::clock(until)),
        ("message", Some(until)) if until > now => {
            format!("your message, {} left", time(until - now))
        }
        ("message", _) => format!("your message {since}"),
        ("unfinished_line", _) if live.waits_for_person => format!("asks {since}"),
        (word, _) => format!("{} {since}", words(word)),
    };
    Some(match left(live, now) {
        Some(left) => format!("{waits}, ended in {left}"),
        None => waits,
    })
}

/// What it asks a person, once it is said to ask.
pub(crate) fn question(live: &v1::Live, now: i64) -> Option<&str> {
    let asks = live.waits_for == "unfinished_line" && live.waits_for_person;
    (asks && live.waits_since_ms != 0 && !is_short(live, now)).then_some(&*live.waits_on)
}

/// In full: `tool Bash, for 12m 05s`.
pub(crate) fn line(live: &v1::Live, now: i64) -> Option<String> {
    if live.waits_since_ms == 0 || (live.waits_for.is_empty() && !is_near(live)) {
        return None;
    }
    if live.waits_for == "unfinished_line" && is_short(live, now) {
        return None;
    }
    let for_how_long = format::duration(now - live.waits_since_ms);
    let what = match (&*live.waits_for, &*live.waits_on) {
        ("", _) => "its next output".to_owned(),
        ("message", _) => "your message".to_owned(),
        ("unfinished_line", text) => format!("the rest of a line, or an answer: {text}"),
        (word, "") => words(word).to_owned(),
        (word, name) => format!("{} {name}", words(word)),
    };
    let until = live.waits_until_ms.filter(|until| *until > now);
    let until = until.map(|until| match &*live.waits_for {
        "message" => format!(", until its input is closed at {}", format::clock(until)),
        _ => format!(" until {}", format::clock(until)),
    });
    Some(format!(
        "{what}{}, for {for_how_long}",
        until.unwrap_or_default()
    ))
}

/// Which limit ends it, and when: `silence at 14:03:22, in 3m 00s`.
pub(crate) fn end(live: &v1::Live, now: i64) -> Option<String> {
    let at = live.limit_at_ms.filter(|_| is_near(live))?;
    let left = format::duration(at - now);
    Some(format!(
        "{} at {}, in {left}",
        live.limit,
        format::clock(at)
    ))
}

/// True if 80 % of a limit have passed.
pub(crate) fn is_near(live: &v1::Live) -> bool {
    !live.limit.is_empty()
}

fn is_short(live: &v1::Live, now: i64) -> bool {
    now - live.waits_since_ms < LINE_MS && !is_near(live)
}

fn left(live: &v1::Live, now: i64) -> Option<String> {
    let at = live.limit_at_ms.filter(|_| is_near(live))?;
    Some(time(at - now))
}

/// `result_sent` is `result sent`.
fn words(word: &str) -> String {
    word.replace('_', " ")
}

/// `12s`, `3m`, `2h 05m`: a column has no room for more.
fn time(ms: i64) -> String {
    let ms = u64::try_from(ms).unwrap_or(0);
    match ms / 60_000 {
        minutes @ 1..60 => format!("{minutes}m"),
        _ => format::elapsed(Duration::from_millis(ms)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;
    const NOW: i64 = 1_700_000_000_000;

    fn live(waits_for: &str, since: i64) -> v1::Live {
        v1::Live {
            waits_for: waits_for.to_owned(),
            waits_since_ms: NOW - since,
            ..Default::default()
        }
    }

    fn shown(live: &v1::Live) -> (String, String) {
        let or_none = |text: Option<String>| text.unwrap_or_default();
        (or_none(brief(live, NOW)), or_none(line(live, NOW)))
    }

    fn pair(brief: &str, line: &str) -> (String, String) {
        (brief.to_owned(), line.to_owned())
    }

    #[test]
    fn what_is_waited_for_is_said_with_the_time() {
        let mut tool = live("tool", 12 * MINUTE + 5000);
        tool.waits_on = "Bash".to_owned();
        assert_eq!(shown(&tool), pair("tool 12m", "tool Bash, for 12m 05s"));
        let model = live("model", 4000);
        assert_eq!(shown(&model), pair("model 4s", "model, for 4.0 s"));
        let sent = live("result_sent", 2 * MINUTE);
        assert_eq!(
            shown(&sent),
            pair("result sent 2m", "result sent, for 2m 00s")
        );
        let blocked = live("output_blocked", 125 * MINUTE);
        assert_eq!(
            shown(&blocked),
            pair("output blocked 2h 05m", "output blocked, for 2h 05m")
        );
    }

    #[test]
    fn a_retry_is_until_its_time_has_come() {
        let mut retry = live("retry", 4000);
        retry.waits_until_ms = Some(NOW + 9000);
        let clock = format::clock(NOW + 9000);
        let expected = (
            format!("retry until {clock}"),
            format!("retry until {clock}, for 4.0 s"),
        );
        assert_eq!(shown(&retry), expected);
        retry.waits_until_ms = Some(NOW - 1);
        assert_eq!(shown(&retry), pair("retry 4s", "retry, for 4.0 s"));
    }

    #[test]
    fn of_a_plain_command_only_a_long_silence_is_said() {
        assert_eq!(shown(&live("", 4000)), pair("", ""));
        assert_eq!(shown(&live("", 3 * MINUTE)), pair("quiet 3m", ""));
        assert_eq!(shown(&v1::Live::default()), pair("", ""));
    }

    #[test]
    fn who_has_answered_waits_for_a_message_while_it_takes_one() {
        let mut talks = live("message", 8000);
        assert_eq!(
            shown(&talks),
            pair("your message 8s", "your message, for 8.0 s")
        );
        talks.waits_until_ms = Some(NOW + 9 * MINUTE);
        let clock = format::clock(NOW + 9 * MINUTE);
        let expected = (
            "your message, 9m left".to_owned(),
            format!("your message, until its input is closed at {clock}, for 8.0 s"),
        );
        assert_eq!(shown(&talks), expected);
    }

    #[test]
    fn a_line_without_an_end_is_said_once_nothing_more_comes() {
        let mut asks = live("unfinished_line", 4000);
        asks.waits_on = "Continue? [y/N]".to_owned();
        assert_eq!(shown(&asks), pair("", ""));
        asks.waits_since_ms = NOW - 12 * MINUTE;
        assert_eq!(
            shown(&asks),
            pair(
                "unfinished line 12m",
                "the rest of a line, or an answer: Continue? [y/N], for 12m 00s"
            )
        );
    }

    #[test]
    fn who_asks_is_said_to_ask_once_nothing_more_comes() {
        let mut asks = live("unfinished_line", 4000);
        asks.waits_on = "Continue? [y/N]".to_owned();
        asks.waits_for_person = true;
        assert_eq!(brief(&asks, NOW), None);
        assert_eq!(question(&asks, NOW), None);
        asks.waits_since_ms = NOW - 12 * MINUTE;
        assert_eq!(brief(&asks, NOW).unwrap(), "asks 12m");
        assert_eq!(question(&asks, NOW), Some("Continue? [y/N]"));
        asks.waits_for_person = false;
        assert_eq!(question(&asks, NOW), None, "a line like any other");
    }

    #[test]
    fn a_limit_that_is_near_is_said_with_what_is_left() {
        let mut model = live("model", 12 * MINUTE);
        assert_eq!(end(&model, NOW), None);
        model.limit = "silence".to_owned();
        model.limit_at_ms = Some(NOW + 3 * MINUTE);
        assert!(is_near(&model));
        assert_eq!(brief(&model, NOW).unwrap(), "model 12m, ended in 3m");
        let clock = format::clock(NOW + 3 * MINUTE);
        assert_eq!(
            end(&model, NOW).unwrap(),
            format!("silence at {clock}, in 3m 00s")
        );
    }
}
