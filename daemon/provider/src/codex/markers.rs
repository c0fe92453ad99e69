//! The words and sentences by which the lines of codex's text mode are told apart.

use crate::activity::Level;

/// Stands around the header.
pub(super) const RULE: &str = "--------";

/// Settings of the header that say nothing new.
pub(super) const SETTINGS: &[&str] = &[
    "workdir",
    "model",
    "provider",
    "approval",
    "sandbox",
    "reasoning effort",
    "reasoning summaries",
];

/// What it says of itself between blocks.
const NOTICES: &[(&str, Level)] = &[
    ("warning: ", Level::Warn),
    ("deprecated: ", Level::Warn),
    ("mcp: ", Level::Info),
    ("mcp startup: ", Level::Info),
    ("Reading additional input from stdin...", Level::Info),
    ("Reading prompt from stdin...", Level::Info),
];

/// A marker whose next line will tell whether it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    Exec,
    Patch,
    Tokens,
}

impl Marker {
    pub(super) fn of(word: &str) -> Option<Marker> {
        match word {
            "exec" => Some(Marker::Exec),
            "apply patch" => Some(Marker::Patch),
            "tokens used" => Some(Marker::Tokens),
            _ => None,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Marker::Exec => "exec",
            Marker::Patch => "apply patch",
            Marker::Tokens => "tokens used",
        }
    }
}

/// `3,138`.
pub(super) fn is_number(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty()
        && line
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b',')
}

/// Whether a line is something it says of itself.
pub(super) fn notice_level(line: &str) -> Option<Level> {
    let known = NOTICES
        .iter()
        .find(|(beginning, _)| line.starts_with(beginning));
    known.map(|(_, level)| *level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_whole_lines() {
        for marker in [Marker::Exec, Marker::Patch, Marker::Tokens] {
            assert_eq!(Marker::of(marker.word()), Some(marker));
        }
        for word in ["exec ", "execute", "", "codex"] {
            assert_eq!(Marker::of(word), None, "{word}");
        }
        assert!(is_number("3,138") && is_number("7"));
        assert!(!is_number("") && !is_number("3 tokens"));
    }
}
