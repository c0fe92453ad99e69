//! Text mode: stdout has the final answer and nothing else, or one line that says what failed.
//!
//! Such a line looks like an answer until the exit tells, so a first line that is known word for
//! word is held back until another follows or the end comes.

use crate::activity::{Activity, Stamp, Stream, Text};
use crate::bounds::one_line;
use crate::judge::{Final, Findings, judge};
use crate::parser::{Exit, Line, Parser, Sink, Verdict, Vitals};
use crate::run::Run;
use crate::text::{self, Answer};

use super::{ending, fault};

/// `claude -p` without an output format.
#[derive(Debug, Default)]
pub(super) struct Plain {
    run: Run,
    answer: Answer,
    begun: bool,
    held: Option<(Stamp, Text<'static>)>,
    stderr: Option<String>,
}

impl Plain {
    pub(super) fn new(run: Run) -> Plain {
        Plain {
            run,
            ..Plain::default()
        }
    }

    fn output(&mut self, at: Stamp, msg: Text<'_>, out: &mut dyn Sink) {
        self.answer.push_line(&msg.text);
        let stream = Stream::Stdout;
        out.activity(at, &Activity::Output { stream, msg });
    }
}

impl Parser for Plain {
    fn line(&mut self, line: &Line<'_>, out: &mut dyn Sink) {
        let msg = text::of_line(line);
        if line.stream == Stream::Stderr {
            if !msg.text.trim().is_empty() {
                self.stderr = Some(one_line(&msg.text));
            }
            let stream = Stream::Stderr;
            out.activity(line.at, &Activity::Output { stream, msg });
            return;
        }
        if !self.begun && fault::is_error_text(&msg.text) {
            let text = msg.text.into_owned().into();
            self.held = Some((line.at, Text { text, ..msg }));
            out.held("an error printed as an answer");
        } else {
            if let Some((since, held)) = self.held.take() {
                self.output(line.at.shown_late(since), held, out);
            }
            self.output(line.at, msg, out);
        }
        self.begun = true;
    }

    fn vitals(&self) -> Vitals {
        Vitals::default()
    }

    fn end(&mut self, at: Stamp, exit: &Exit, out: &mut dyn Sink) -> Verdict {
        let stderr = self.stderr.take();
        let mut findings = Findings {
            last: Final::None,
            cause: stderr.as_deref().and_then(ending::cause),
            stderr,
            ..Findings::default()
        };
        if let Some((since, held)) = self.held.take() {
            if exit.code.is_some_and(|code| code != 0) {
                findings.problem = Some(fault::problem(
                    &fault::Shape::default(),
                    &held.text,
                    self.run.clock(since),
                ));
            } else {
                self.output(at.shown_late(since), held, out);
            }
        }
        judge(exit, findings).verdict(self.answer.take())
    }
}
