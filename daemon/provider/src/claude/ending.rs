//! How a run ends: results, and errors printed as answers. A result that is followed by another
//! turn is taken back; the last one counts.

use serde_json::value::RawValue;

use crate::activity::{Activity, Level, Stamp, Stream};
use crate::bounds::TEXT_LIMIT;
use crate::evidence::{self, Cause};
use crate::json::Object;
use crate::judge::{Final, Findings, Judgement, Problem, judge};
use crate::parser::{Exit, Sink};
use crate::reset::Clock;
use crate::run::Run;
use crate::text::whole;

use super::fault::{Limit, Shape, problem};
use super::{Json, notice, tokens, unknown};

/// What it says, on stderr or as an error of its result, of a session that it cannot resume.
const UNKNOWN_SESSION: &str = "No conversation found with session ID";

/// What is known of the end.
#[derive(Debug, Default)]
pub(super) struct Ending {
    result: Option<Outcome>,
    response: Option<String>,
    limit: Option<Limit>,
    error: Option<Error>,
    /// The last result, as it was printed.
    event: Option<String>,
    /// A message came after a result, and none after that.
    is_unanswered: bool,
}

/// What a result says.
#[derive(Debug, Clone)]
enum Outcome {
    Good,
    Bad(Problem),
}

/// An error that was printed as an answer.
#[derive(Debug, Clone)]
struct Error {
    kind: Option<String>,
    text: String,
    at: Stamp,
    shown: bool,
}

// === impl Ending ===

impl Ending {
    /// Whether the final result was given and nothing has taken it back.
    pub(super) fn has_result(&self) -> bool {
        self.result.is_some() && !self.is_unanswered
    }

    /// A message came: what follows is to be its answer.
    pub(super) fn asked(&mut self) {
        self.is_unanswered |= self.result.is_some();
    }

    /// Another turn began: the result was not the final one.
    pub(super) fn take_back(&mut self) {
        self.result = None;
        self.event = None;
    }

    /// An error was printed as an answer. Whether it ends the run, the next event tells.
    pub(super) fn error(&mut self, at: Stamp, kind: Option<String>, text: &str) {
        self.error = Some(Error {
            kind,
            text: text[..text.floor_char_boundary(TEXT_LIMIT)].to_owned(),
            at,
            shown: false,
        });
    }

    /// A usage limit was reached.
    pub(super) fn limit(&mut self, limit: Limit) {
        self.limit = Some(limit);
    }

    /// Whatever limit was reached keeps it from nothing: what it fails of later is something else.
    pub(super) fn is_let_through(&mut self) {
        self.limit = None;
    }

    /// Something other than a result came: an error before it did not end the run, and is shown.
    pub(super) fn run_goes_on(&mut self, at: Stamp, out: &mut dyn Sink) {
        if let Some(error) = self.error.as_mut().filter(|error| !error.shown) {
            error.shown = true;
            let at = at.shown_late(error.at);
            notice(at, Level::Error, whole(error.text.as_str()), out);
        }
    }

    /// What it amounts to, and the final text if there is one.
    pub(super) fn judge(
        &mut self,
        exit: &Exit,
        stderr: Option<String>,
        run: &Run,
    ) -> (Judgement, Option<String>) {
        let (last, problem) = match self.result.take() {
            Some(Outcome::Good) if self.is_unanswered => (Final::Missing, None),
            Some(Outcome::Good) => (Final::Good, None),
            Some(Outcome::Bad(problem)) => (Final::Bad, Some(problem)),
            None => (Final::Missing, self.last_error(run)),
        };
        let told = problem.as_ref().map(|problem| problem.error.as_str());
        let findings = Findings {
            last,
            is_unanswered: self.is_unanswered,
            cause: stderr.as_deref().and_then(cause).or(told.and_then(cause)),
            problem,
            stderr,
            event: self.event.take(),
        };
        (judge(exit, findings), self.response.take())
    }

    fn last_error(&self, run: &Run) -> Option<Problem> {
        let error = self.error.as_ref()?;
        let shape = Shape {
            status: None,
            kind: error.kind.as_deref(),
            limit: self.limit,
        };
        Some(problem(&shape, &error.text, run.clock(error.at)))
    }

    fn bad(&mut self, result: &Object<'_>, text: &str, clock: Clock<'_>) -> Problem {
        let error = self.error.take();
        let shape = Shape {
            status: result.u64("api_error_status"),
            kind: error.as_ref().and_then(|error| error.kind.as_deref()),
            limit: self.limit,
        };
        match &error {
            Some(error) if text.is_empty() => problem(&shape, &error.text, clock),
            _ => problem(&shape, text, clock),
        }
    }
}

impl Json {
    pub(super) fn result(
        &mut self,
        at: Stamp,
        result: &Object<'_>,
        raw: &RawValue,
        out: &mut dyn Sink,
    ) {
        self.ending.event = Some(evidence::kept(raw));
        self.ending.is_unanswered = false;
        self.calls.end_turn();
        if let Some(session) = result.session("session_id") {
            self.session = Some(session.into_owned());
        }
        let subtype = result.str("subtype").unwrap_or_default();
        let is_error = result.bool("is_error").unwrap_or(subtype != "success");
        let text = result.text("result").unwrap_or_default();
        if is_error {
            let why = match errors(result) {
                _ if !text.text.is_empty() => text.text.into_owned(),
                errors if errors.is_empty() => subtype.replace('_', " "),
                errors => errors,
            };
            let problem = self.ending.bad(result, &why, self.run.clock(at));
            self.ending.result = Some(Outcome::Bad(problem));
        } else {
            self.ending.run_goes_on(at, out);
            self.ending.error = None;
            self.ending.result = Some(Outcome::Good);
            // Some answers, of slash commands for one, stand in the result alone.
            let is_news = !text.text.trim().is_empty() && !self.answer.contains(text.text.trim());
            if is_news {
                self.answer.push_line(&text.text);
                let (stream, msg) = (Stream::Stdout, text.clone());
                out.activity(at, &Activity::Output { stream, msg });
            }
            self.ending.response = response(&text.text);
        }
        match self.tokens.result(result) {
            Some(usage) => out.activity(at, &Activity::Usage(usage)),
            None => out.held("the result"),
        }
        if tokens::are_foreign(result)
            && let Some(usage) = result.get("usage")
        {
            unknown(at, "result/usage", usage, result.is_lossy(), out);
        }
    }
}

/// What an error says beyond its outcome.
pub(super) fn cause(line: &str) -> Option<Cause> {
    line.starts_with(UNKNOWN_SESSION)
        .then_some(Cause::UnknownSession)
}

/// The final text, at most what the row takes.
fn response(text: &str) -> Option<String> {
    let mut answer = crate::text::Answer::default();
    answer.push(text);
    answer.take()
}

fn errors(result: &Object<'_>) -> String {
    let mut errors = Vec::new();
    result.each("errors", |raw| {
        let text = crate::json::text(raw, false);
        let text = text.map_or_else(|| raw.get().to_owned(), |text| text.text.into_owned());
        if errors.len() < 10 {
            errors.push(text);
        }
    });
    errors.join("; ")
}
