//! opencode's text mode: the assistant's text on stdout, tools and errors on stderr.

use crate::activity::{Stamp, Stream};
use crate::judge::{Final, Findings, judge};
use crate::opencode::errors;
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
        let problem = self.stderr.take_problem();
        let findings = Findings {
            last: Final::None,
            cause: problem.as_ref().and_then(|it| errors::cause(&it.error)),
            problem,
            stderr: self.stderr.take_first(),
            ..Findings::default()
        };
        let judgement = judge(exit, findings);
        self.stderr.end(judgement.error.as_deref(), at, out);
        judgement.verdict(self.answer.take())
    }
}
