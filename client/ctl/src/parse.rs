//! Values of the command line: words, durations, environment settings, ids.

use std::time::Duration;

/// Longest duration taken: what is longer is a slip of the finger, and none is spelled `none`.
pub(crate) const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// A word that is not blank. A script has an empty one of a variable that is not set, and means something.
pub(crate) fn word(text: &str) -> Result<String, String> {
    match text {
        "" => Err("it is empty, as is a variable that is not set".to_owned()),
        text if text.trim().is_empty() => Err("it is blank".to_owned()),
        text => Ok(text.to_owned()),
    }
}

/// A limit: `500ms`, `2s`, `15m`, `2h`; `none`, `0` and the empty word are no limit, given as zero.
pub(crate) fn limit(text: &str) -> Result<Duration, String> {
    match text {
        "" | "none" | "0" => Ok(Duration::ZERO),
        text => duration(text),
    }
}

/// A duration: `500ms`, `2s`, `15m`, `2h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text)
        .map_err(|_| "a duration is a number with a unit: 500ms, 2s, 15m, 2h".to_owned())?;
    if parsed > LONGEST {
        return Err("longer than a year".to_owned());
    }
    Ok(parsed)
}

const UNITS: [(&str, u64); 12] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("k", 1 << 10),
    ("m", 1 << 20),
    ("g", 1 << 30),
    ("t", 1 << 40),
];

/// `512MiB`, `4 GiB`, `4G`, or bytes.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let wrong = || "a size, such as 512MiB or 4GiB, or none".to_owned();
    if text == "none" {
        return Ok(0);
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_lowercase();
    let factor = match &*unit {
        "" | "b" => 1,
        unit => {
            UNITS
                .iter()
                .find(|(name, _)| *name == unit)
                .ok_or_else(wrong)?
                .1
        }
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).ok_or_else(wrong)
}

/// A duration of more than nothing.
pub(crate) fn some_time(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("it is no time".to_owned()),
        time => Ok(time),
    }
}

/// An amount of money: `5`, `0.25`, `$5`.
pub(crate) fn dollars(text: &str) -> Result<f64, String> {
    let number = text.strip_prefix('$').unwrap_or(text);
    let amount = number
        .parse()
        .ok()
        .filter(|usd: &f64| *usd > 0.0 && usd.is_finite());
    amount.ok_or_else(|| "an amount of US dollars, such as 5 or 0.25".to_owned())
}

/// `NAME=VALUE`, or `NAME` alone to pass on the caller's own value.
pub(crate) fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, value.to_owned()),
        None => match std::env::var(text) {
            Ok(value) => (text, value),
            Err(_) => {
                return Err(format!(
                    "`{text}` has no `=`, and no such variable is set here"
                ));
            }
        },
    };
    if name.is_empty() || name.contains('\0') || value.contains('\0') {
        return Err("an environment setting is NAME=VALUE".to_owned());
    }
    Ok((name.to_owned(), value))
}

/// An invocation's id, with or without the `#` it is shown with.
pub(crate) fn id(text: &str) -> Result<i64, String> {
    text.strip_prefix('#')
        .unwrap_or(text)
        .parse()
        .ok()
        .filter(|id| *id > 0)
        .ok_or_else(|| "an invocation's id is a number, as `steroidsctl list` shows it".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_take_units_and_words_for_none() {
        assert_eq!(limit("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(limit("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(limit("none"), Ok(Duration::ZERO));
        assert_eq!(limit(""), Ok(Duration::ZERO));
        assert!(limit("15").is_err());
        assert!(limit("99999h").is_err());
    }

    #[test]
    fn words_say_something() {
        assert_eq!(word(" a b"), Ok(" a b".to_owned()));
        assert!(word("").unwrap_err().contains("empty"));
        assert_eq!(word(" \t").unwrap_err(), "it is blank");
    }

    #[test]
    fn amounts_are_above_nothing() {
        assert_eq!((dollars("5"), dollars("$0.25")), (Ok(5.0), Ok(0.25)));
        for wrong in ["", "0", "-1", "inf", "NaN", "5 EUR"] {
            assert!(dollars(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn settings_split_at_the_first_equals_sign() {
        assert_eq!(setting("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert!(setting("=x").is_err());
        assert!(setting("STEROIDS_NO_SUCH_VARIABLE").is_err());
    }

    #[test]
    fn ids_are_positive_numbers() {
        assert_eq!(id("12"), Ok(12));
        assert_eq!(id("#12"), Ok(12));
        assert!(id("0").is_err());
        assert!(id("task").is_err());
    }
}
