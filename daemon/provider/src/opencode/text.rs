//! opencode's text mode: the assistant's text on stdout, tools and errors on stderr.

use crate::activity::{Stamp, Stream};
use crate::judge::{Evidence, Final, judge};
use crate::opencode::stderr::Stderr;
use crate::parser::{Exit, Line, Parser, Sink, Verdict, Vitals};
use crate::text::Answer;

/// One run's lines.
pub(super) struct Plain {
    stderr: Stderr,
    answer: Answer,
}

impl Default for Plain {
    fn default() -> Self {
        Plain {
            stderr: Stderr::with_tools(),
            answer: Answer::default(),
        }
    }
}

impl Parser for Plain {
    fn line(&mut self, line: &Line<'_>, out: &mut dyn Sink) {
        match line.stream {
            Stream::Stdout => self.answer.show_line(line, out),
            Stream::Stderr => self.stderr.line(line, out),
        }
    }

    fn vitals(&self) -> Vitals {
        Vitals::default()
    }

    fn end(&mut self, at: Stamp, exit: &Exit, out: &mut dyn Sink) -> Verdict {
        let evidence = Evidence {
            last: Final::None,
            problem: self.stderr.take_problem(),
            stderr: self.stderr.take_first(),
        };
        let judgement = judge(exit, &evidence);
        self.stderr.end(judgement.error.as_deref(), at, out);
        judgement.verdict(self.answer.take())
    }
}
