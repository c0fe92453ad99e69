//! Gemini's text mode: the assistant's text on stdout, nothing of its tools, errors on stderr.

use crate::activity::{Stamp, Stream};
use crate::gemini::errors;
use crate::gemini::stderr::Stderr;
use crate::judge::{Final, Findings, Problem, judge};
use crate::parser::{Exit, Line, Parser, Sink, Verdict, Vitals};
use crate::text::Answer;

/// One run's lines.
#[derive(Default)]
pub(super) struct Plain {
    stderr: Stderr,
    answer: Answer,
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
        self.stderr.flush(at, out);
        let stderr = self.stderr.take_first();
        let problem = self.stderr.take_problem().or_else(|| {
            let outcome = exit.code.and_then(errors::of_exit)?;
            Some(Problem {
                http_status: exit.code.and_then(errors::status_of_exit),
                stderr: stderr.clone(),
                ..Problem::new(outcome, stderr.clone()?)
            })
        });
        let findings = Findings {
            last: Final::None,
            problem,
            stderr,
            cause: self.stderr.cause(),
            ..Findings::default()
        };
        judge(exit, findings).verdict(self.answer.take())
    }
}
