//! Takes out of an agent's text what would act on the terminal instead of being read: escape
//! sequences, control characters, and marks that reorder what stands on a line.
//!
//! What an agent prints is not trusted: it can carry a stranger's text. A sequence that does not
//! end loses its introducer only, so that it hides nothing of what follows.
//!
//! On one line, where names stand, marks that nobody sees are shown as escapes, as on the page: two tasks
//! whose names differ by one are not to look the same. In a text that an agent writes they go, if they reorder.

use std::borrow::Cow;

/// Longest escape sequence that is taken out whole; a longer one is shown.
const LONGEST_SEQUENCE: usize = 4096;

/// The text without what a terminal would act on; newlines and tabs stay, a lone carriage return
/// becomes a newline.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    cleaned(text, Marks::Gone)
}

/// As [`clean`], with marks that nobody sees shown as escapes: `\u{202e}`.
pub(crate) fn clean_with_marks(text: &str) -> Cow<'_, str> {
    cleaned(text, Marks::Shown)
}

/// As [`clean_with_marks`], on one line: newlines become spaces.
pub(crate) fn clean_line(text: &str) -> String {
    let line = clean_with_marks(text).replace(['\n', '\t'], " ");
    line.trim_end().to_owned()
}

/// What becomes of marks that nobody sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marks {
    /// Those that reorder what stands on a line.
    Gone,
    Shown,
}

fn cleaned(text: &str, marks: Marks) -> Cow<'_, str> {
    let shows = |c| marks == Marks::Shown && (is_unseen(c) || is_joiner(c));
    let is_kept = |c| !is_active(c) && !shows(c) && c != '\r';
    if text.chars().all(is_kept) {
        return Cow::Borrowed(text);
    }
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(c) = rest.chars().next() {
        let behind = &rest[c.len_utf8()..];
        // A joiner is at its place between letters and pictures, which are not of ASCII.
        let joins =
            |c: Option<char>| c.is_some_and(|c| !c.is_ascii() && !is_unseen(c) && !is_joiner(c));
        let is_at_its_place = is_joiner(c) && joins(before) && joins(behind.chars().next());
        before = Some(c);
        match c {
            '\u{1b}' => {
                rest = &rest[sequence_length(rest)..];
                continue;
            }
            '\r' if behind.starts_with('\n') => {}
            '\r' => cleaned.push('\n'),
            c if shows(c) && !is_at_its_place => cleaned.extend(c.escape_unicode()),
            c if is_active(c) => {}
            c => cleaned.push(c),
        }
        rest = behind;
    }
    Cow::Owned(cleaned)
}

fn is_active(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{8}' | '\u{b}'..='\u{c}' | '\u{e}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Of no width, or with no effect but on how others stand.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Bytes of the escape sequence `text` begins with; of its introducer alone where it does not end.
fn sequence_length(text: &str) -> usize {
    let after = &text.as_bytes()[1..];
    let length = match after.first() {
        Some(b'[') => {
            let end = after[1..]
                .iter()
                .take(LONGEST_SEQUENCE)
                .position(|byte| !(0x20..=0x3f).contains(byte));
            match end.map(|end| (end, after[1 + end])) {
                Some((end, 0x40..=0x7e)) => Some(2 + end),
                _ => None,
            }
        }
        Some(b']' | b'P' | b'X' | b'^' | b'_') => {
            let within = &after[..after.len().min(LONGEST_SEQUENCE)];
            let bell = within
                .iter()
                .position(|byte| *byte == 0x07)
                .map(|at| at + 1);
            let terminator = within
                .windows(2)
                .position(|pair| pair == b"\x1b\\")
                .map(|at| at + 2);
            match (bell, terminator) {
                (Some(bell), Some(terminator)) => Some(bell.min(terminator)),
                (one, other) => one.or(other),
            }
        }
        // Two-byte sequences, with what may stand between: `ESC ( B`.
        Some(0x20..=0x2f) => after
            .get(1)
            .filter(|byte| (0x30..=0x7e).contains(*byte))
            .map(|_| 2),
        Some(0x30..=0x7e) => Some(1),
        _ => None,
    };
    1 + length.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_not_copied() {
        assert!(matches!(clean("häuser\tund\nbäume 🌳"), Cow::Borrowed(_)));
    }

    #[test]
    fn colours_titles_and_clipboard_writes_are_gone() {
        assert_eq!(clean("\u{1b}[31mred\u{1b}[0m"), "red");
        assert_eq!(clean("\u{1b}]0;title\u{7}text"), "text");
        assert_eq!(clean("\u{1b}]52;c;ZXZpbA==\u{1b}\\text"), "text");
        assert_eq!(clean("\u{1b}(Btext\u{1b}c!"), "text!");
    }

    #[test]
    fn a_sequence_without_an_end_hides_nothing() {
        assert_eq!(clean("\u{1b}]0;all of this stays"), "]0;all of this stays");
        assert_eq!(clean("\u{1b}[12"), "[12");
        assert_eq!(clean("\u{1b}"), "");
        assert_eq!(clean("\u{1b}[3ä"), "[3ä");
    }

    #[test]
    fn controls_and_reordering_marks_are_gone_and_lines_stay() {
        assert_eq!(clean("a\u{0}b\u{8}c\u{9b}31md\u{7f}"), "abc31md");
        assert_eq!(clean("x\u{202e}evil\u{2066}\u{200f}"), "xevil");
        assert_eq!(clean("10%\r20%\r\ndone"), "10%\n20%\ndone");
        assert_eq!(clean_line("a\nb\r\nc\n"), "a b c");
    }

    #[test]
    fn marks_that_nobody_sees_are_shown_where_names_stand() {
        assert_eq!(clean_line("T1\u{200b}"), "T1\\u{200b}");
        assert_eq!(clean_line("\u{202e}1T\u{feff}"), "\\u{202e}1T\\u{feff}");
        assert_eq!(clean_line("a\u{200d}b\u{200c}"), "a\\u{200d}b\\u{200c}");
        assert_eq!(clean_with_marks("a\u{2066}\nb"), "a\\u{2066}\nb");
        // A family, and a word of two parts.
        for written in ["👩\u{200d}👧", "می\u{200c}خواهم", "e\u{301}"] {
            assert_eq!(clean_line(written), written);
        }
        let hidden = "👩\u{200d}\u{200d}👧";
        assert_ne!(clean_line(hidden), hidden);
    }

    #[test]
    fn any_text_comes_out_harmless() {
        for first in 0..=255u8 {
            for second in 0..=255u8 {
                let text = String::from_utf8_lossy(&[0x1b, first, second, b'x']).into_owned();
                assert!(!clean(&text).chars().any(is_active));
            }
        }
    }
}
