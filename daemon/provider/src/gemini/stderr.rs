//! Gemini's stderr: start-up noise, retries that show nowhere else, and the stack traces of errors.
//!
//! ```text
//! Attempt 1 failed: Resource has been exhausted (e.g. check quota).
//! Suggested retry after 2s.. Retrying after 5787ms...
//! Attempt 1 failed with status 500. Retrying with backoff... _ApiError: {"error":…}
//!     at throwErrorIfNotOK (…)
//! Error when talking to Gemini API Full report available at: …json _ApiError: {"error":…}
//! ```
//!
//! A retry can run over several lines; its beginning is held until its end has come.

use std::borrow::Cow;

use crate::activity::{Activity, Level, Stamp, Stream, Text};
use crate::bounds::one_line;
use crate::connection;
use crate::evidence::Cause;
use crate::gemini::{errors, ignored};
use crate::judge::Problem;
use crate::parser::{Line, Sink};
use crate::reset::Clock;
use crate::text;

/// Lines an error message takes at most; an attempt that goes on longer is none.
const ATTEMPT_LINES: usize = 16;

/// Bytes of them that are kept.
const ATTEMPT_BYTES: usize = 64 * 1024;

const REPORT: &str = "Error when talking to Gemini API";

/// What stands before the reason why it could not log in.
const LOGINS: [&str; 2] = ["Failed to login. Message: ", "Error authenticating: "];

/// What stderr has told so far.
#[derive(Debug, Default)]
pub(super) struct Stderr {
    attempt: Option<Attempt>,
    problem: Option<Problem>,
    first: Option<String>,
    cause: Option<Cause>,
}

/// An attempt whose end has not come yet.
#[derive(Debug)]
struct Attempt {
    at: Stamp,
    text: String,
    lines: usize,
    lossy: bool,
}

impl Stderr {
    /// Takes a line.
    pub(super) fn line(&mut self, line: &Line<'_>, out: &mut dyn Sink) {
        let msg = text::of_line(line);
        let begins = msg.text.starts_with("Attempt ") && number(&msg.text).is_some();
        if begins {
            self.flush(line.at, out);
            self.attempt = Some(Attempt {
                at: line.at,
                text: msg.text.into_owned(),
                lines: 1,
                lossy: msg.lossy,
            });
        } else if let Some(attempt) = &mut self.attempt {
            attempt.text.push('\n');
            attempt.text.push_str(&msg.text);
            attempt.lines += 1;
            attempt.lossy |= msg.lossy;
            attempt.at = line.at;
        } else {
            return self.other(msg, line.at, out);
        }
        if self.attempt.as_ref().is_some_and(Attempt::is_whole) {
            self.flush(line.at, out);
        } else {
            out.held("an attempt, until its end has come");
        }
    }

    /// Gives out what is held.
    pub(super) fn flush(&mut self, now: Stamp, out: &mut dyn Sink) {
        let Some(attempt) = self.attempt.take() else {
            return;
        };
        let at = now.shown_late(attempt.at);
        attempt.give_out(at, out);
    }

    /// What a stack trace said went wrong.
    pub(super) fn take_problem(&mut self) -> Option<Problem> {
        self.problem.take()
    }

    /// Why it failed, where it told of that.
    pub(super) fn cause(&self) -> Option<Cause> {
        self.cause
    }

    /// The first line that is neither noise nor a retry: of a start that failed, the reason.
    pub(super) fn take_first(&mut self) -> Option<String> {
        self.first.take()
    }

    fn other(&mut self, msg: Text<'_>, at: Stamp, out: &mut dyn Sink) {
        let noise = ignored::NOISE
            .iter()
            .find(|(beginning, _)| msg.text.starts_with(beginning));
        if let Some((_, rule)) = noise {
            return out.ignored(rule);
        }
        if msg.text.starts_with(REPORT) {
            self.problem = Some(Problem {
                stderr: Some(one_line(&msg.text)),
                ..reported(&msg.text, at)
            });
        } else if let Some(said) = unreachable_login(&msg.text) {
            self.problem = Some(Problem {
                stderr: Some(one_line(&msg.text)),
                ..Problem::unreachable(said)
            });
        } else if self.first.is_none() && is_sentence(&msg.text) {
            self.first = Some(one_line(&msg.text));
        }
        self.cause = self.cause.or(errors::cause(&msg.text));
        let output = Activity::Output {
            stream: Stream::Stderr,
            msg,
        };
        out.activity(at, &output);
    }
}

impl Attempt {
    fn is_whole(&self) -> bool {
        self.lines >= ATTEMPT_LINES
            || self.text.len() >= ATTEMPT_BYTES
            || self.gave_up()
            || self.text.contains("Retrying with backoff...")
            || delay(&self.text).is_some()
    }

    fn gave_up(&self) -> bool {
        self.text.trim_end().ends_with("Max attempts reached")
    }

    fn give_out(self, at: Stamp, out: &mut dyn Sink) {
        let gave_up = self.gave_up();
        let msg = Text {
            text: Cow::Borrowed(&*self.text),
            truncated_bytes: 0,
            lossy: self.lossy,
        };
        let activity = if gave_up {
            Activity::Notice {
                level: Level::Error,
                msg,
            }
        } else {
            let why = self.text.split_once(": ").map_or("", |(_, why)| why);
            Activity::Retry {
                reason: Cow::Borrowed(errors::reason(why, status(&self.text))),
                attempt: number(&self.text),
                delay_ms: delay(&self.text),
                msg,
            }
        };
        out.activity(at, &activity);
    }
}

/// Not a frame of a stack trace, nor the end of one.
fn is_sentence(line: &str) -> bool {
    line.starts_with(|first: char| !first.is_whitespace() && first != '}')
}

/// The number in `Attempt 2 failed`.
fn number(text: &str) -> Option<u32> {
    let (number, rest) = text.strip_prefix("Attempt ")?.split_once(' ')?;
    rest.starts_with("failed").then(|| number.parse().ok())?
}

/// The status in `Attempt 2 failed with status 500.`
fn status(text: &str) -> Option<u64> {
    let (_, after) = text.split_once(" failed with status ")?;
    after.get(..3)?.parse().ok()
}

/// The milliseconds in `Retrying after 5787ms...`, at the end.
fn delay(text: &str) -> Option<u64> {
    let (_, after) = text.rsplit_once("Retrying after ")?;
    after.trim_end().strip_suffix("ms...")?.parse().ok()
}

/// Why it could not log in, if it had no connection.
fn unreachable_login(line: &str) -> Option<&str> {
    let said = LOGINS.iter().find_map(|it| line.strip_prefix(it))?;
    connection::is_lost(said).then_some(said)
}

/// `…Full report available at: PATH NAME: MESSAGE`.
fn reported(line: &str, at: Stamp) -> Problem {
    let message = line
        .split_once("Error: ")
        .map_or(line, |(_, message)| message);
    errors::problem(message, Clock::at(at))
}

#[cfg(test)]
mod tests;
