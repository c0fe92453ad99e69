//! The bounds of what an activity carries, and text cut to them: honest about what was replaced
//! and how much is missing.

use std::borrow::Cow;

use crate::activity::Text;

/// Longest id of a session; a longer one is none that a command line should hold.
pub(crate) const SESSION_LIMIT: usize = 1024;

/// No run costs as much, in dollars.
pub const USD_LIMIT: f64 = 1_000_000.0;

/// No run uses as many tokens.
pub(crate) const TOKENS_LIMIT: u64 = 1_000_000_000_000;

/// Longest text field of the activity log, in bytes of UTF-8.
pub const TEXT_LIMIT: usize = 256 * 1024;

/// Longest provider line that is taken apart; of a longer one the beginning is kept.
pub const SOURCE_LINE_LIMIT: usize = 8 * 1024 * 1024;

/// Of an id, how much is kept and compared: known ones have under 80 bytes, and any longer ones
/// differ early.
const ID_LIMIT: usize = 256;

/// Longest `error` of a terminal line: a person reads it in a table.
const ONE_LINE_LIMIT: usize = 2_000;

impl<'a> Text<'a> {
    /// The text of bytes of which `truncated_bytes` more were not kept. A character that this cut
    /// in two counts as cut; other bytes that are not UTF-8 become U+FFFD.
    pub fn from_bytes(bytes: &'a [u8], truncated_bytes: u64) -> Text<'a> {
        let (bytes, truncated_bytes) = match std::str::from_utf8(bytes) {
            Ok(text) => {
                return Text {
                    text: Cow::Borrowed(text),
                    truncated_bytes,
                    lossy: false,
                };
            }
            Err(_) if truncated_bytes > 0 => without_half_character(bytes, truncated_bytes),
            Err(_) => (bytes, truncated_bytes),
        };
        let text = String::from_utf8_lossy(bytes);
        Text {
            lossy: matches!(text, Cow::Owned(_)),
            text,
            truncated_bytes,
        }
    }
}

/// Drops up to three bytes at the end that begin a character and do not finish it.
fn without_half_character(bytes: &[u8], truncated_bytes: u64) -> (&[u8], u64) {
    let tail = bytes.len().saturating_sub(3);
    let start = (tail..bytes.len()).rev().find(|&i| bytes[i] >= 0xC0);
    if let Some(start) = start
        && let Err(error) = std::str::from_utf8(&bytes[start..])
        && error.error_len().is_none()
    {
        let cut = (bytes.len() - start) as u64;
        return (&bytes[..start], truncated_bytes + cut);
    }
    (bytes, truncated_bytes)
}

/// What is kept of an id.
pub(crate) fn short_id(id: &str) -> &str {
    &id[..id.floor_char_boundary(ID_LIMIT)]
}

/// A text on one line: line breaks and what surrounds them become one space, and it is cut at a
/// length a table can bear.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::new();
    // A carriage return alone is one, too: progress is drawn with it.
    let parts = text.split(['\n', '\r']).map(str::trim);
    for part in parts.filter(|part| !part.is_empty()) {
        if line.len() > ONE_LINE_LIMIT {
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&part[..part.floor_char_boundary(ONE_LINE_LIMIT)]);
    }
    if line.len() > ONE_LINE_LIMIT {
        line.truncate(line.floor_char_boundary(ONE_LINE_LIMIT));
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_cut_in_two_is_counted_as_cut_and_not_as_damage() {
        let bytes = "abc€".as_bytes();
        let text = Text::from_bytes(&bytes[..5], 10);
        assert_eq!(
            (&*text.text, text.truncated_bytes, text.lossy),
            ("abc", 12, false)
        );
        let text = Text::from_bytes(&bytes[..5], 0);
        assert_eq!(
            (&*text.text, text.truncated_bytes, text.lossy),
            ("abc\u{FFFD}", 0, true)
        );
    }

    #[test]
    fn damage_before_the_cut_is_still_damage() {
        let text = Text::from_bytes(b"a\xFFb\xE2\x82", 1);
        assert_eq!(
            (&*text.text, text.truncated_bytes, text.lossy),
            ("a\u{FFFD}b", 3, true)
        );
    }

    #[test]
    fn one_line_has_no_line_breaks_and_a_bound() {
        assert_eq!(one_line("  a\n\n b \r\nc\n"), "a b c");
        assert_eq!(one_line("10%\r20%\r\rfailed\r"), "10% 20% failed");
        assert!(one_line(&"é\n".repeat(5000)).len() <= ONE_LINE_LIMIT + '…'.len_utf8());
        assert!(one_line(&"é".repeat(5000)).len() <= ONE_LINE_LIMIT + '…'.len_utf8());
    }
}
