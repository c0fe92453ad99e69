//! A text that is sought in lines as JSON writes them: what can be told without parsing any.
//!
//! Where a line shows one text alone, and nothing in that but colours is written otherwise than it is shown, its
//! bytes tell all. Of other lines they tell which need not be parsed.

use std::borrow::Cow;

use memchr::memmem::{Finder, find};
use memchr::{memchr, memchr_iter, memchr2_iter, memchr3_iter};
use regex::bytes::{Regex, RegexBuilder};
use serde_json::Value;

use super::BrowseError;

/// How JSON writes what escape sequences begin with.
const ESCAPE: &[u8] = b"\\u001b";

/// The text, as a string of JSON holds it.
#[derive(Clone)]
pub(super) struct Written {
    regex: Regex,
    /// False of one that may stand across what is written otherwise than it is shown, such as an end of a line.
    is_plain: bool,
    has_slash: bool,
    /// Behind it stands the text of a line that has one.
    message: Finder<'static>,
}

impl Written {
    pub(super) fn new(text: &str) -> Result<Written, BrowseError> {
        Ok(Written {
            regex: any_case(&as_written(text))?,
            is_plain: text
                .chars()
                .all(|c| (c == '\t' || !c.is_control()) && !is_mark(c)),
            has_slash: text.contains('/'),
            message: Finder::new(b",\"msg\":\""),
        })
    }

    /// Whether the one text that the line shows has it, where its bytes tell.
    pub(super) fn is_in_message(&self, line: &[u8]) -> Option<bool> {
        let at = self.message.find(line)?;
        // Of an object or a list within the line it would be another's.
        if !self.is_plain || line[1..at].iter().any(|byte| matches!(byte, b'{' | b'[')) {
            return None;
        }
        let text = &line[at + self.message.needle().len()..];
        let (text, has_colours) = self.string(text)?;
        let text = match has_colours {
            true => Cow::Owned(without_colours(text)?),
            false => Cow::Borrowed(text),
        };
        if has_marks(&text) {
            return None;
        }
        let mut found = self.regex.find_iter(&text).peekable();
        if found.peek().is_none() {
            return Some(false);
        }
        // What begins within an escape is something else, and may hide what begins behind it.
        found
            .any(|it| !is_escaped(&text[..it.start()]))
            .then_some(true)
    }

    /// A string of JSON up to its end, and whether there are escape sequences in it; `None` where other
    /// characters in it are written otherwise than they are shown.
    fn string<'a>(&self, text: &'a [u8]) -> Option<(&'a [u8], bool)> {
        let (mut behind, mut has_colours) = (0, false);
        for at in memchr2_iter(b'"', b'\\', text) {
            if at < behind {
                continue;
            }
            if text[at] == b'"' {
                return Some((&text[..at], has_colours));
            }
            behind = at + 2;
            match text.get(at + 1)? {
                b'u' if text[at..].starts_with(ESCAPE) => has_colours = true,
                b'u' | b'b' | b'f' => return None,
                b'/' if self.has_slash => return None,
                _ => {}
            }
        }
        None
    }

    /// False only of a line in which no text has it.
    pub(super) fn may_be_in(&self, line: &[u8]) -> bool {
        !self.is_plain || self.regex.is_match(line) || self.has_escapes(line) || has_marks(line)
    }

    /// Whether a character stands there that is written otherwise by us than by others, or is not
    /// shown as itself.
    fn has_escapes(&self, line: &[u8]) -> bool {
        let mut behind = 0;
        memchr_iter(b'\\', line).any(|at| {
            if at < behind {
                return false;
            }
            behind = at + 2;
            match line.get(at + 1) {
                Some(b'u' | b'b' | b'f') => true,
                Some(b'/') => self.has_slash,
                _ => false,
            }
        })
    }
}

/// A regular expression for a text, whatever the case of its letters.
pub(super) fn any_case(text: &str) -> Result<Regex, BrowseError> {
    RegexBuilder::new(&regex::escape(text))
        .case_insensitive(true)
        .build()
        .map_err(|error| BrowseError::Text(Box::new(error)))
}

/// A text as a string of JSON holds it.
pub(super) fn as_written(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text)
        .to_owned()
}

/// A string as JSON writes it without its colours, and `None` where other sequences are in it.
fn without_colours(text: &[u8]) -> Option<Vec<u8>> {
    let mut kept = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = find(rest, ESCAPE) {
        if is_escaped(&rest[..at]) {
            return None;
        }
        kept.extend_from_slice(&rest[..at]);
        let sequence = rest[at + ESCAPE.len()..].strip_prefix(b"[")?;
        let end = sequence
            .iter()
            .position(|byte| !matches!(byte, b'0'..=b'9' | b';' | b'?'))?;
        if end > 64 || !sequence[end].is_ascii_alphabetic() {
            return None;
        }
        rest = &sequence[end + 1..];
    }
    kept.extend_from_slice(rest);
    Some(kept)
}

/// Whether a backslash at the end of this belongs to what comes behind it.
fn is_escaped(before: &[u8]) -> bool {
    let slashes = before.iter().rev().take_while(|byte| **byte == b'\\');
    slashes.count() % 2 == 1
}

/// A character that stands for one that is hidden.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{2400}'..='\u{2421}')
}

/// Whether hidden characters may stand there that JSON does not write as an escape.
fn has_marks(line: &[u8]) -> bool {
    if memchr(0x7f, line).is_some() {
        return true;
    }
    if line.is_ascii() {
        return false;
    }
    let next = |at: usize| line.get(at + 1).copied().unwrap_or(0);
    memchr(0xd8, line).is_some()
        || memchr3_iter(0xc2, 0xe2, 0xef, line).any(|at| match line[at] {
            0xc2 => next(at) < 0xa0,
            0xe2 => matches!(next(at), 0x80 | 0x81),
            _ => next(at) == 0xbb,
        })
}
