//! One pipe's bytes, cut into lines.
//!
//! A line that lies whole in a chunk is lent out of it without copying; only what a chunk leaves
//! unfinished is kept, within a bound. Lines end at the byte `\n` and nowhere else: U+2028 and
//! their like occur inside the CLIs' JSON strings.

use memchr::memchr;

/// Assembles the lines of one stream.
#[derive(Debug)]
pub(crate) struct Lines {
    partial: Vec<u8>,
    dropped: u64,
    bound: Bound,
}

/// How much of a line is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    /// Longest line that is handed on whole.
    pub(crate) whole: usize,
    /// Of a longer one, how much of its beginning.
    pub(crate) beginning: usize,
}

/// A line as it is lent out: its bytes without the line end, and how many of it were not kept.
pub(crate) struct Cut<'a> {
    /// Without `\n`, and without a `\r` before it.
    pub(crate) bytes: &'a [u8],
    /// Bytes of the line that are not among them.
    pub(crate) truncated_bytes: u64,
}

impl Lines {
    /// No bytes yet.
    pub(crate) fn new(bound: Bound) -> Lines {
        Lines {
            partial: Vec::new(),
            dropped: 0,
            bound,
        }
    }

    /// Cuts a chunk, calling `each` for every line that ends in it, with the index of its newline.
    pub(crate) fn feed(&mut self, chunk: &[u8], mut each: impl FnMut(usize, Cut<'_>)) {
        let mut start = 0;
        while let Some(length) = memchr(b'\n', &chunk[start..]) {
            let end = start + length;
            let piece = &chunk[start..end];
            if self.is_empty() {
                each(end, self.cut(piece, 0));
            } else {
                self.keep(piece);
                each(end, self.cut(&self.partial, self.dropped));
                self.clear();
            }
            start = end + 1;
        }
        if start < chunk.len() {
            self.keep(&chunk[start..]);
        }
    }

    /// The line that has no end yet; `None` if there is none.
    pub(crate) fn rest(&self) -> Option<Cut<'_>> {
        (!self.is_empty()).then(|| self.cut(&self.partial, self.dropped))
    }

    fn is_empty(&self) -> bool {
        self.partial.is_empty() && self.dropped == 0
    }

    fn keep(&mut self, piece: &[u8]) {
        let limit = if self.dropped > 0 {
            self.bound.beginning
        } else {
            self.bound.whole
        };
        let room = limit.saturating_sub(self.partial.len());
        let (kept, lost) = piece.split_at(piece.len().min(room));
        self.partial.extend_from_slice(kept);
        self.dropped += lost.len() as u64;
        let excess = self.partial.len().saturating_sub(self.bound.beginning);
        if self.dropped > 0 && excess > 0 {
            self.dropped += excess as u64;
            self.partial.truncate(self.bound.beginning);
            self.partial.shrink_to(self.bound.beginning);
        }
    }

    fn clear(&mut self) {
        self.partial.clear();
        self.dropped = 0;
        // One long line must not hold its memory for the rest of an invocation.
        self.partial.shrink_to(self.bound.beginning);
    }

    fn cut<'a>(&self, bytes: &'a [u8], dropped: u64) -> Cut<'a> {
        let (bytes, dropped) = if bytes.len() > self.bound.whole {
            let excess = (bytes.len() - self.bound.beginning) as u64;
            (&bytes[..self.bound.beginning], dropped + excess)
        } else {
            (bytes, dropped)
        };
        let bytes = match bytes.strip_suffix(b"\r") {
            Some(without) if dropped == 0 => without,
            _ => bytes,
        };
        Cut {
            bytes,
            truncated_bytes: dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Bound = Bound {
        whole: 8,
        beginning: 4,
    };

    fn collect(lines: &mut Lines, chunks: &[&str]) -> Vec<(String, u64)> {
        let mut out = Vec::new();
        for chunk in chunks {
            lines.feed(chunk.as_bytes(), |_, cut| {
                let text = String::from_utf8_lossy(cut.bytes).into_owned();
                out.push((text, cut.truncated_bytes));
            });
        }
        out
    }

    #[test]
    fn lines_are_the_same_however_they_were_chunked() {
        let input = "ab\r\n\nlonger than eight\nxy\n12345678\n123456789\nrest";
        let mut lines = Lines::new(BOUND);
        let whole = collect(&mut lines, &[input]);
        let expected: Vec<(String, u64)> = [
            ("ab", 0),
            ("", 0),
            ("long", 13),
            ("xy", 0),
            ("12345678", 0),
            ("1234", 5),
        ]
        .map(|(text, cut)| (text.to_owned(), cut))
        .into();
        assert_eq!(whole, expected);
        for at in 0..=input.len() {
            for to in at..=input.len() {
                let mut lines = Lines::new(BOUND);
                let parts = [&input[..at], &input[at..to], &input[to..]];
                assert_eq!(collect(&mut lines, &parts), expected, "{at} {to}");
                assert_eq!(lines.rest().unwrap().bytes, b"rest");
            }
        }
    }

    #[test]
    fn the_index_is_that_of_the_newline() {
        let mut lines = Lines::new(BOUND);
        let mut ends = Vec::new();
        lines.feed(b"a\nbc\nd", |end, _| ends.push(end));
        lines.feed(b"e\n", |end, _| ends.push(end));
        assert_eq!(ends, [1, 4, 1]);
        assert!(lines.rest().is_none());
    }

    #[test]
    fn an_endless_line_keeps_its_beginning_and_no_more_memory() {
        let mut lines = Lines::new(Bound {
            whole: 1024,
            beginning: 64,
        });
        for _ in 0..10_000 {
            lines.feed(&[b'x'; 1000], |_, _| unreachable!());
        }
        let rest = lines.rest().unwrap();
        assert_eq!(rest.bytes.len(), 64);
        assert_eq!(rest.truncated_bytes, 10_000_000 - 64);
        assert!(lines.partial.capacity() < 4096);
    }
}
