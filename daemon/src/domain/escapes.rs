//! Escape sequences of terminals, which agents and tools print among their words.

use std::borrow::Cow;

/// Longest sequence that is taken out whole.
const LONGEST: usize = 4096;

/// The text without its escape sequences. One that does not end loses its introducer only, so that it
/// hides nothing of what follows.
pub fn without_escapes(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1b}') {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        kept.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        rest = &rest[length(rest.as_bytes()).unwrap_or(0)..];
    }
    kept.push_str(rest);
    Cow::Owned(kept)
}

/// Bytes of the sequence behind its introducer; `None` if it does not end.
fn length(after: &[u8]) -> Option<usize> {
    let within = &after[..after.len().min(LONGEST)];
    match after.first()? {
        b'[' => {
            let is_parameter = |byte: &u8| (0x20..=0x3f).contains(byte);
            let end = 1 + within[1..].iter().position(|byte| !is_parameter(byte))?;
            (0x40..=0x7e).contains(&within[end]).then_some(end + 1)
        }
        b']' | b'P' | b'X' | b'^' | b'_' => {
            let bell = within.iter().position(|byte| *byte == 0x07);
            let terminator = within.windows(2).position(|pair| pair == b"\x1b\\");
            let ends = [bell.map(|at| at + 1), terminator.map(|at| at + 2)];
            ends.into_iter().flatten().min()
        }
        // Two bytes, with what may stand between: `ESC ( B`.
        0x20..=0x2f => (0x30..=0x7e).contains(after.get(1)?).then_some(2),
        0x30..=0x7e => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_go_whole() {
        for (text, kept) in [
            ("plain", "plain"),
            ("\u{1b}[1;31mred\u{1b}[0m \u{e4}", "red \u{e4}"),
            ("\u{1b}]0;title\u{7}a\u{1b}]8;;x\u{1b}\\b", "ab"),
            ("\u{1b}(Ba\u{1b}cb", "ab"),
        ] {
            assert_eq!(without_escapes(text), kept);
        }
    }

    #[test]
    fn one_without_an_end_hides_nothing() {
        for (text, kept) in [
            ("a\u{1b}", "a"),
            ("\u{1b}[12", "[12"),
            ("\u{1b}[3\u{e4}", "[3\u{e4}"),
            ("\u{1b}]0;title", "]0;title"),
            ("\u{1b}\u{e4}", "\u{e4}"),
            ("\u{1b}(\u{e4}", "(\u{e4}"),
        ] {
            assert_eq!(without_escapes(text), kept);
        }
        let long = format!("\u{1b}[{}m", "1".repeat(LONGEST));
        assert_eq!(without_escapes(&long), long[1..]);
    }

    #[test]
    fn any_bytes_behind_an_introducer_are_taken() {
        for first in 0..=255u8 {
            for second in 0..=255u8 {
                let text = String::from_utf8_lossy(&[0x1b, first, second, b'x']).into_owned();
                assert!(without_escapes(&text).len() < text.len());
            }
        }
    }
}
