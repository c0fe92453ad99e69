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

/// The last 64 KiB of what an agent said; an answer's end says more than its beginning.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    text: String,
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
        let stream = Stream::Stdout;
        out.activity(line.at, &Activity::Output { stream, msg });
    }

    /// Starts over: what follows is the answer.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
    }

    /// Whether this was said, as far as the answer still goes back.
    pub(crate) fn contains(&self, piece: &str) -> bool {
        self.text.contains(piece)
    }

    /// The answer, if anything was said.
    pub(crate) fn take(&mut self) -> Option<String> {
        self.trim();
        let text = std::mem::take(&mut self.text);
        let end = text.trim_end().len();
        (end > 0).then(|| {
            let mut text = text;
            text.truncate(end);
            text
        })
    }

    fn trim(&mut self) {
        if self.text.len() > ANSWER_LIMIT {
            let start = self.text.ceil_char_boundary(self.text.len() - ANSWER_LIMIT);
            self.text.drain(..start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_over_its_bound_keeps_its_end() {
        let mut answer = Answer::default();
        for _ in 0..50 {
            answer.push(&"é".repeat(50_000));
        }
        answer.push("the end\n");
        let text = answer.take().unwrap();
        assert!(text.len() <= ANSWER_LIMIT && text.len() > ANSWER_LIMIT - 10);
        assert!(text.ends_with("éthe end"));
        assert_eq!(answer.take(), None);
    }
}
