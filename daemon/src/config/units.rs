//! Values as people write them: `"15m"`, `"10 GiB"`.

use std::time::Duration;

/// Reads a duration; the empty text is none.
pub(super) fn duration(text: &str) -> Result<Option<Duration>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let duration = humantime::parse_duration(text.trim()).map_err(|_| {
        format!("`{text}` is no duration; write it like \"500ms\", \"30s\", \"15m\" or \"2h\", or \"\" for none")
    })?;
    // A year is beyond any use, and keeps every later sum of milliseconds far from overflow.
    if duration > Duration::from_secs(366 * 24 * 3600) {
        return Err(format!("`{text}` is longer than a year"));
    }
    Ok(Some(duration))
}

const UNITS: [(&str, u64); 10] = [
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("", 1),
];

/// Reads a number of bytes; the empty text is none.
pub(super) fn bytes(text: &str) -> Result<Option<u64>, String> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Ok(None);
    }
    let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = trimmed.split_at(digits);
    let unit = unit.trim().to_ascii_lowercase();
    let factor = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, factor)| *factor);
    number
        .parse::<u64>()
        .ok()
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor))
        .map(Some)
        .ok_or_else(|| {
            format!("`{text}` is no size; write it like \"500 MB\" or \"10 GiB\", or \"\" for none")
        })
}

/// Reads a share of one processor; the empty text is none.
pub(super) fn percent(text: &str) -> Result<Option<u32>, String> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Ok(None);
    }
    let number = trimmed.strip_suffix('%').map(str::trim_end);
    number
        .and_then(|number| number.parse().ok())
        .map(Some)
        .ok_or_else(|| {
            format!("`{text}` is no share of a processor; write it like \"50%\" or \"200%\" (two of them), or \"\" for none")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(duration("500ms"), Ok(Some(Duration::from_millis(500))));
        assert_eq!(duration(" 15m "), Ok(Some(Duration::from_secs(900))));
        assert_eq!(duration("1h 30m"), Ok(Some(Duration::from_secs(5400))));
        assert_eq!(duration(""), Ok(None));
    }

    #[test]
    fn a_number_without_a_unit_is_no_duration() {
        for text in ["15", "-3s", "soon", "99999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_share_of_a_processor_says_that_it_is_one() {
        assert_eq!(percent("150%"), Ok(Some(150)));
        assert_eq!(percent(" 50 % "), Ok(Some(50)));
        assert_eq!(percent(""), Ok(None));
        for text in ["150", "1.5", "-5%", "%"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_know_both_thousands() {
        assert_eq!(bytes("10 GiB"), Ok(Some(10 << 30)));
        assert_eq!(bytes("10gb"), Ok(Some(10_000_000_000)));
        assert_eq!(bytes("42"), Ok(Some(42)));
        assert_eq!(bytes(""), Ok(None));
        for text in ["GiB", "-1", "1.5 GiB", "10 parsecs", "99999999999 TiB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
