//! Bytes of a provider's line as the text of an activity, and the answer that grows from it.

use std::borrow::Cow;

use crate::activity::{Activity, Stream, Text};
use crate::parser::{Line, Sink};

/// The final answer's bound. It stands in the row, in front of most columns, and SQLite goes through
/// all of it for each of these: with 2 MB of output in it, every look at the row took 5 ms. The log has
/// it whole.
const ANSWER_LIMIT: usize = 64 * 1024;

/// The line as text. A carriage return before the newline is not part of it; what is not UTF-8
/// becomes U+FFFD, and is said to.
pub(crate) fn of_line<'a>(line: &Line<'a>) -> Text<'a> {
    let bytes = line.bytes.strip_suffix(b"\r").unwrap_or(line.bytes);
    Text::from_bytes(bytes, line.truncated_bytes)
}

/// A text that came whole and valid.
pub(crate) fn whole<'a>(text: impl Into<Cow<'a, str>>) -> Text<'a> {
    Text {
        text: text.into(),
        ..Text::default()
    }
}

/// Room for the mark of a cut, whatever its number.
const MARK: usize = 64;

/// The last 64 KiB of what an agent said; an answer's end says more than its beginning. One that was
/// cut says so, and begins with a line where that leaves at least half of it.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    text: String,
    /// Bytes in front of it that are gone.
    cut: usize,
}

impl Answer {
    /// Appends. Trims in strides, so that a long answer costs no copy per piece.
    pub(crate) fn push(&mut self, piece: &str) {
        self.text.push_str(piece);
        if self.text.len() > 2 * ANSWER_LIMIT {
            self.trim();
        }
    }

    /// Appends a line of a text that is printed line by line.
    pub(crate) fn push_line(&mut self, line: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.push(line);
    }

    /// Shows a line of a text mode's stdout, and appends it.
    pub(crate) fn show_line(&mut self, line: &Line<'_>, out: &mut dyn Sink) {
        let msg = of_line(line);
        self.push_line(&msg.text);
        if msg.truncated_bytes > 0 {
            // Else its end would be taken for that of what was said.
            self.push(&format!(" … [{} bytes after this]", msg.truncated_bytes));
        }
        let stream = Stream::Stdout;
        out.activity(line.at, &Activity::Output { stream, msg });
    }

    /// Starts over: what follows is the answer.
    pub(crate) fn clear(&mut self) {
        *self = Answer::default();
    }

    /// Whether this was said, as far as the answer still goes back.
    pub(crate) fn contains(&self, piece: &str) -> bool {
        self.text.contains(piece)
    }

    /// The answer, if anything was said.
    pub(crate) fn take(&mut self) -> Option<String> {
        self.trim();
        let Answer { mut text, cut } = std::mem::take(self);
        text.truncate(text.trim_end().len());
        if text.is_empty() {
            return None;
        }
        if cut == 0 {
            return Some(text);
        }
        // With its mark it is no longer than another.
        let least = text.ceil_char_boundary(text.len().saturating_sub(ANSWER_LIMIT - MARK));
        let line = text[least..].find('\n').map(|end| least + end + 1);
        let start = line
            .filter(|start| *start <= text.len() / 2)
            .unwrap_or(least);
        let before = cut + start;
        Some(format!(
            "[{before} bytes before this] …\n{}",
            &text[start..]
        ))
    }

    fn trim(&mut self) {
        if self.text.len() > ANSWER_LIMIT {
            let start = self.text.ceil_char_boundary(self.text.len() - ANSWER_LIMIT);
            self.text.drain(..start);
            self.cut += start;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::Stamp;

    #[test]
    fn an_answer_over_its_bound_keeps_its_end() {
        let mut answer = Answer::default();
        for _ in 0..50 {
            answer.push(&"é".repeat(50_000));
        }
        answer.push("the end\n");
        let text = answer.take().unwrap();
        let (mark, kept) = text.split_once('\n').unwrap();
        assert!(text.len() <= ANSWER_LIMIT && kept.len() > ANSWER_LIMIT - MARK - 10);
        assert!(kept.ends_with("éthe end"));
        let cut = 50 * 100_000 + "the end\n".len() - (kept.len() + 1);
        assert_eq!(mark, format!("[{cut} bytes before this] …"));
        assert_eq!(answer.take(), None);
    }

    #[test]
    fn a_line_of_which_the_end_was_not_kept_says_so() {
        let mut answer = Answer::default();
        let line = Line {
            stream: Stream::Stdout,
            bytes: b"the beginning",
            at: Stamp::default(),
            complete: true,
            truncated_bytes: 137_878,
        };
        answer.show_line(&line, &mut |_: Stamp, _: &Activity<'_>| {});
        let said = "the beginning … [137878 bytes after this]";
        assert_eq!(answer.take().as_deref(), Some(said));
    }

    #[test]
    fn an_answer_that_was_cut_begins_with_a_line() {
        let mut answer = Answer::default();
        for n in 0..20_000 {
            answer.push_line(&format!("line {n:05}"));
        }
        let text = answer.take().unwrap();
        let mut lines = text.lines();
        let mark = lines.next().unwrap();
        assert!(mark.ends_with(" bytes before this] …"), "{mark}");
        let kept: Vec<_> = lines.collect();
        let first = 20_000 - kept.len();
        assert_eq!(kept[0], format!("line {first:05}"));
        assert_eq!(mark, format!("[{} bytes before this] …", first * 11));

        answer.push("short");
        assert_eq!(answer.take().as_deref(), Some("short"));
    }
}
