//! Fragments of assistant text, joined to what a person can read.
//!
//! Fragments end anywhere, also inside a word. What is joined is given out at a newline, at 4 KiB,
//! and when something else comes; in the two latter cases never inside a word, unless a word grows
//! past all reason.

use crate::activity::{Activity, Stamp, Stream, Text};
use crate::parser::Sink;

/// Enough to be worth a line of the log, little enough to be watched while it grows.
const JOINED: usize = 4 * 1024;

/// A single word of this length is data; it is cut like any text.
const WORD_LIMIT: usize = 64 * 1024;

/// The text that is not given out yet.
#[derive(Debug, Default)]
pub(crate) struct Deltas {
    text: String,
    /// So many bytes at its beginning have no white space, as was seen before.
    word: usize,
    lossy: bool,
    at: Stamp,
    #[cfg(test)]
    looked_at: usize,
}

impl Deltas {
    /// Adds a fragment, and gives out what is ready; false if that is nothing.
    pub(crate) fn push(&mut self, delta: &Text<'_>, at: Stamp, out: &mut dyn Sink) -> bool {
        let begins = self.text.len();
        self.text.push_str(&delta.text);
        self.lossy |= delta.lossy;
        self.at = at;
        let ready = self.ready(begins);
        if ready > 0 {
            let rest = self.text.split_off(ready);
            self.give_out(at, out);
            self.text = rest;
        }
        ready > 0
    }

    /// Gives out all of it, with the time of the last fragment.
    pub(crate) fn flush(&mut self, now: Stamp, out: &mut dyn Sink) {
        if !self.text.is_empty() {
            self.give_out(now.shown_late(self.at), out);
        }
        self.lossy = false;
    }

    /// How many bytes from the beginning can be given out. The last fragment begins at `begins`;
    /// there is no newline before it. A long word comes in many fragments: none is looked through
    /// again for each that follows.
    fn ready(&mut self, begins: usize) -> usize {
        if let Some(newline) = self.text[begins..].rfind('\n') {
            return begins + newline + 1;
        }
        if self.text.len() < JOINED {
            return 0;
        }
        let unseen = &self.text[self.word..];
        #[cfg(test)]
        {
            self.looked_at += unseen.len();
        }
        let space = unseen
            .char_indices()
            .rfind(|(_, character)| character.is_whitespace());
        match space {
            Some((index, space)) => self.word + index + space.len_utf8(),
            None if self.text.len() >= WORD_LIMIT => self.text.len(),
            None => {
                self.word = self.text.len();
                0
            }
        }
    }

    fn give_out(&mut self, at: Stamp, out: &mut dyn Sink) {
        let text = std::mem::take(&mut self.text);
        self.word = 0;
        // The newline at which it was cut stands between two lines of the log as it is.
        let shown = text.strip_suffix('\n').unwrap_or(&text);
        let output = Activity::Output {
            stream: Stream::Stdout,
            msg: Text {
                text: shown.into(),
                truncated_bytes: 0,
                lossy: self.lossy,
            },
        };
        out.activity(at, &output);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;
    use crate::text::whole;

    fn joined(pieces: &[&str]) -> Vec<(u64, u64, String)> {
        let mut deltas = Deltas::default();
        let mut seen = Vec::new();
        let mut sink = |at: Stamp, activity: &Activity<'_>| {
            if let Activity::Output { msg, .. } = activity {
                seen.push((at.wall_ms, at.raw, msg.text.to_string()));
            }
        };
        for (raw, piece) in (1..).zip(pieces) {
            deltas.push(&whole(*piece), at(raw), &mut sink);
        }
        deltas.flush(at(100), &mut sink);
        deltas.flush(at(200), &mut sink);
        seen
    }

    #[test]
    fn fragments_become_lines_with_the_time_of_their_last_piece() {
        let seen = joined(&["Done: `gr", "eet` trims.\n\n- chan", "ged `a", "`"]);
        let expected = [
            (20, 2, "Done: `greet` trims.\n".to_owned()),
            (40, 100, "- changed `a`".to_owned()),
        ];
        assert_eq!(seen, expected);
        assert!(joined(&[]).is_empty());
    }

    #[test]
    fn a_long_text_without_newlines_is_cut_between_words() {
        let piece = "lorem ipsum ".repeat(100);
        let pieces: Vec<&str> = (0..5).map(|_| &*piece).collect();
        let seen = joined(&pieces);
        assert!(seen.len() > 1);
        assert!(seen[0].2.ends_with("ipsum "));
        let all: String = seen.iter().map(|(.., text)| &**text).collect();
        assert_eq!(all, piece.repeat(5));
    }

    #[test]
    fn a_fragment_is_looked_through_once_however_long_the_word_is() {
        let mut deltas = Deltas::default();
        let mut shown = Vec::new();
        let mut sink = |_: Stamp, activity: &Activity<'_>| {
            if let Activity::Output { msg, .. } = activity {
                shown.push(msg.text.len());
            }
        };
        for raw in 0..20_000 {
            deltas.push(&whole("x"), at(raw), &mut sink);
        }
        assert_eq!(deltas.looked_at, 20_000);
        deltas.push(&whole(" y"), at(20_000), &mut sink);
        deltas.flush(at(20_001), &mut sink);
        assert_eq!(shown, [20_001, 1]);
    }

    #[test]
    fn a_word_without_end_is_cut_at_last() {
        let piece = "é".repeat(10_000);
        let pieces: Vec<&str> = (0..10).map(|_| &*piece).collect();
        let seen = joined(&pieces);
        assert!(seen.iter().all(|(.., text)| text.len() < 2 * WORD_LIMIT));
        let all: usize = seen.iter().map(|(.., text)| text.len()).sum();
        assert_eq!(all, 200_000);
    }
}
