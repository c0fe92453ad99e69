//! Any program: every line it prints is output, and its exit says how it went.
//!
//! Also the parser of last resort, so it takes whatever bytes come.

use crate::activity::{Activity, Stamp, Stream};
use crate::bounds::one_line;
use crate::judge::{Findings, judge};
use crate::parser::{Exit, Line, Parser, Sink, Verdict, Vitals};
use crate::text::{self, Answer};

/// A program whose lines are plain text.
pub(crate) fn text() -> Box<dyn Parser> {
    Box::new(Command::default())
}

#[derive(Default)]
struct Command {
    answer: Answer,
    stderr: Option<String>,
}

impl Parser for Command {
    fn line(&mut self, line: &Line<'_>, out: &mut dyn Sink) {
        let msg = text::of_line(line);
        match line.stream {
            Stream::Stdout => self.answer.push_line(&msg.text),
            Stream::Stderr if msg.text.trim().is_empty() => {}
            Stream::Stderr => self.stderr = Some(one_line(&msg.text)),
        }
        out.activity(
            line.at,
            &Activity::Output {
                stream: line.stream,
                msg,
            },
        );
    }

    fn vitals(&self) -> Vitals {
        Vitals::default()
    }

    fn end(&mut self, _at: Stamp, exit: &Exit, _out: &mut dyn Sink) -> Verdict {
        let findings = Findings {
            stderr: self.stderr.take(),
            ..Findings::default()
        };
        judge(exit, findings).verdict(self.answer.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Outcome;
    use crate::testing;

    fn line(stream: Stream, bytes: &[u8]) -> Line<'_> {
        testing::line(stream, bytes, Stamp::default())
    }

    #[test]
    fn every_line_is_output_of_its_stream() {
        let mut parser = text();
        let mut seen = Vec::new();
        let mut sink = |_: Stamp, activity: &Activity<'_>| {
            if let Activity::Output { stream, msg } = activity {
                seen.push((*stream, msg.text.to_string(), msg.lossy));
            }
        };
        parser.line(&line(Stream::Stdout, b"one\r"), &mut sink);
        parser.line(&line(Stream::Stderr, b"t\xffwo"), &mut sink);
        assert_eq!(
            seen,
            [
                (Stream::Stdout, "one".to_owned(), false),
                (Stream::Stderr, "t\u{fffd}wo".to_owned(), true),
            ]
        );
    }

    #[test]
    fn exit_zero_is_success_and_standard_output_the_answer() {
        let mut parser = text();
        let mut sink = |_: Stamp, _: &Activity<'_>| {};
        parser.line(&line(Stream::Stdout, b"a"), &mut sink);
        parser.line(&line(Stream::Stderr, b"noise"), &mut sink);
        parser.line(&line(Stream::Stdout, b"b"), &mut sink);
        let exit = Exit {
            code: Some(0),
            ..Exit::default()
        };
        let verdict = parser.end(Stamp::default(), &exit, &mut sink);
        assert_eq!(verdict.outcome, Outcome::Success);
        assert_eq!(verdict.response.as_deref(), Some("a\nb"));
    }

    #[test]
    fn a_failure_is_told_in_the_programs_last_words() {
        let mut parser = text();
        let mut sink = |_: Stamp, _: &Activity<'_>| {};
        for words in ["make: *** [all] Error 2", "  "] {
            parser.line(&line(Stream::Stderr, words.as_bytes()), &mut sink);
        }
        let exit = Exit {
            code: Some(2),
            ..Exit::default()
        };
        let verdict = parser.end(Stamp::default(), &exit, &mut sink);
        assert_eq!(verdict.outcome, Outcome::Failed);
        assert_eq!(
            verdict.error.unwrap(),
            "exit code 2: make: *** [all] Error 2"
        );
    }
}
