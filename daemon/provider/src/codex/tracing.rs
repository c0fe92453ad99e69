//! Log lines of codex itself, on stderr in both modes:
//! `2026-11-22T10:19:23.416Z ERROR codex_core::tools::router: error=…`. A tool call that is refused
//! before it runs shows nowhere else.

use crate::activity::Level;

/// The level and the rest of a log line; `None` for any other line.
pub(super) fn parse(line: &str) -> Option<(Level, &str)> {
    let (time, rest) = line.split_once(' ')?;
    let dated = time.len() >= 20
        && time.ends_with('Z')
        && time.as_bytes()[..4].iter().all(u8::is_ascii_digit)
        && time.as_bytes()[10] == b'T';
    let (word, message) = rest.trim_start().split_once(' ')?;
    let level = match word {
        "ERROR" => Level::Error,
        "WARN" => Level::Warn,
        "INFO" | "DEBUG" | "TRACE" => Level::Info,
        _ => return None,
    };
    dated.then_some((level, message.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_is_known_by_its_time_and_level() {
        let line =
            "2026-11-22T10:19:23.416901Z ERROR codex_core::tools::router: error=no such tool";
        let (level, message) = parse(line).unwrap();
        assert_eq!(level, Level::Error);
        assert_eq!(message, "codex_core::tools::router: error=no such tool");
        let (level, _) = parse("2026-11-22T10:19:23Z  WARN codex: x").unwrap();
        assert_eq!(level, Level::Warn);
        for other in [
            "",
            "ERROR: x",
            "2026-11-22 ERROR x y",
            "zzzz-11-22T10:19:23.4Z ERROR x y",
        ] {
            assert!(parse(other).is_none(), "{other}");
        }
    }
}
