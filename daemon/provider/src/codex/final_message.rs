//! Standard output of codex's text mode: the final message, which stands on stderr as well.

use std::borrow::Cow;

use crate::activity::{Activity, Stamp, Stream, Text};
use crate::codex::ignored;
use crate::parser::Sink;
use crate::text::Answer;

/// Of stdout, how much is held to be compared with the last message; as much as an answer takes.
const HELD_LIMIT: usize = 2_000_000;

/// Standard output, held while it may be a repetition.
#[derive(Default)]
pub(super) struct Stdout {
    held: Vec<(Stamp, Text<'static>)>,
    bytes: usize,
    is_passed_on: bool,
    answer: Answer,
}

impl Stdout {
    /// Takes a line.
    pub(super) fn line(&mut self, msg: Text<'_>, at: Stamp, out: &mut dyn Sink) {
        self.answer.push_line(&msg.text);
        if self.is_passed_on {
            return output(out, at, msg);
        }
        self.bytes += msg.text.len() + 1;
        let msg = Text {
            text: Cow::Owned(msg.text.into_owned()),
            ..msg
        };
        self.held.push((at, msg));
        if self.bytes > HELD_LIMIT {
            self.is_passed_on = true;
            self.give_out(at, out);
        } else {
            out.held(ignored::FINAL_MESSAGE.event);
        }
    }

    /// The final message, if there was one; given out unless the last block had it already.
    pub(super) fn end(
        &mut self,
        message: Option<&str>,
        at: Stamp,
        out: &mut dyn Sink,
    ) -> Option<String> {
        let answer = self.answer.take();
        if answer.as_deref() != message {
            self.give_out(at, out);
        }
        answer
    }

    fn give_out(&mut self, now: Stamp, out: &mut dyn Sink) {
        for (since, msg) in self.held.drain(..) {
            output(out, now.shown_late(since), msg);
        }
    }
}

fn output(out: &mut dyn Sink, at: Stamp, msg: Text<'_>) {
    let stream = Stream::Stdout;
    out.activity(at, &Activity::Output { stream, msg });
}
