//! What the parsers' tests have in common: lines in, and what comes out of them in words.

use crate::activity::{Activity, Stamp, Stream};
use crate::parser::{Exit, Line, Parser, Verdict};

/// Position of the end, however many lines there were.
const END: u64 = 999;

/// A parser, and what it has told so far.
pub(crate) struct Reading<P> {
    pub(crate) parser: P,
    pub(crate) seen: Vec<String>,
    told: fn(Stamp, &Activity<'_>) -> String,
    lines: u64,
}

impl<P: Parser> Reading<P> {
    /// `told` puts an activity in the words that the tests expect.
    pub(crate) fn new(parser: P, told: fn(Stamp, &Activity<'_>) -> String) -> Reading<P> {
        Reading {
            parser,
            seen: Vec::new(),
            told,
            lines: 0,
        }
    }

    pub(crate) fn lines(&mut self, stream: Stream, lines: &[&str]) -> &mut Reading<P> {
        for line in lines {
            self.line(stream, line);
        }
        self
    }

    /// The first line is at 1, the second at 2.
    pub(crate) fn line(&mut self, stream: Stream, text: &str) {
        self.lines += 1;
        let line = line(stream, text.as_bytes(), at(self.lines));
        let (seen, told) = (&mut self.seen, self.told);
        let mut sink = |at: Stamp, activity: &Activity<'_>| seen.push(told(at, activity));
        self.parser.line(&line, &mut sink);
    }

    pub(crate) fn end(&mut self, code: i32) -> Verdict {
        self.ended(&Exit {
            code: Some(code),
            ..Exit::default()
        })
    }

    pub(crate) fn ended(&mut self, exit: &Exit) -> Verdict {
        let (seen, told) = (&mut self.seen, self.told);
        let mut sink = |at: Stamp, activity: &Activity<'_>| seen.push(told(at, activity));
        self.parser.end(at(END), exit, &mut sink)
    }
}

/// A place, and ten milliseconds for each byte before it.
pub(crate) fn at(raw: u64) -> Stamp {
    Stamp {
        wall_ms: raw * 10,
        mono_ms: raw * 10,
        raw,
    }
}

/// A whole line.
pub(crate) fn line(stream: Stream, bytes: &[u8], at: Stamp) -> Line<'_> {
    Line {
        stream,
        bytes,
        at,
        complete: true,
        truncated_bytes: 0,
    }
}
