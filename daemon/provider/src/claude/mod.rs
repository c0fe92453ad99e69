//! Anthropic's Claude Code: its event stream (`--output-format stream-json --verbose`) and its
//! text mode.
//!
//! One event is one line. Blocks of a message come as events of their own; calls and results are
//! matched by id; every turn ends in a `result`, and the last of them is the final event. Errors of
//! the API come as if they were answers, and are told from them in `ending`. `ignore` holds the
//! whole list of what is not shown.

mod assistant;
mod calls;
mod ending;
mod fault;
pub(crate) mod ignore;
mod label;
mod plan;
mod servers;
mod system;
mod text;
mod tokens;
mod user;

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::activity::{Activity, Level, Stamp, Stream, Text};
use crate::bounds::one_line;
use crate::json::{self, Event, Object, unknown};
use crate::parser::{Exit, Line, Parser, Sink, Verdict, Vitals};
use crate::run::Run;
use crate::text::{Answer, of_line};

use calls::Calls;
use ending::Ending;
use plan::Plan;
use tokens::Tokens;

/// `claude -p --output-format stream-json --verbose`.
pub(crate) fn json(run: Run) -> Box<dyn Parser> {
    Box::new(Json {
        run,
        ..Json::default()
    })
}

/// `claude -p`.
pub(crate) fn text(run: Run) -> Box<dyn Parser> {
    Box::new(text::Plain::new(run))
}

/// The event stream.
#[derive(Default)]
struct Json {
    run: Run,
    session: Option<String>,
    model: Option<String>,
    calls: Calls,
    plan: Plan,
    tokens: Tokens,
    ending: Ending,
    answer: Answer,
    /// The main agent's last message.
    message: Option<String>,
    /// After that one a result came of which nobody knows whose it is.
    missed: bool,
    stderr: Option<String>,
}

// === impl Json ===

impl Parser for Json {
    fn line(&mut self, line: &Line<'_>, out: &mut dyn Sink) {
        if line.stream == Stream::Stderr {
            return self.stderr_line(line, out);
        }
        let (text, lossy) = json::utf8(line);
        let event = json::event(line, &text, lossy);
        if let Event::Begun(event, ..) = &event
            && self.begun(event, line, out)
        {
            return;
        }
        if let Some((event, raw)) = event.or_show(line.at, &ignore::BLANK, out) {
            self.event(line.at, &event, raw, out);
        }
    }

    fn asked(&mut self) {
        self.ending.asked();
    }

    fn vitals(&self) -> Vitals {
        Vitals {
            result_seen: self.ending.has_result(),
            ..self.calls.vitals()
        }
    }

    fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    fn end(&mut self, _at: Stamp, exit: &Exit, _out: &mut dyn Sink) -> Verdict {
        let (judgement, result) = self.ending.judge(exit, self.stderr.take(), &self.run);
        Verdict {
            session_id: self.session.take(),
            usage: self.tokens.at_end(),
            ..judgement.verdict(result.or_else(|| self.answer.take()))
        }
    }
}

impl Json {
    fn stderr_line(&mut self, line: &Line<'_>, out: &mut dyn Sink) {
        let msg = of_line(line);
        if !msg.text.trim().is_empty() {
            self.stderr = Some(one_line(&msg.text));
        }
        let stream = Stream::Stderr;
        out.activity(line.at, &Activity::Output { stream, msg });
    }

    fn event(&mut self, at: Stamp, event: &Object<'_>, raw: &RawValue, out: &mut dyn Sink) {
        let kind = event.str("type").unwrap_or_default();
        if self.session.is_none() && kind != "system" {
            self.session = event.session("session_id").map(Cow::into_owned);
        }
        if kind != "result" {
            self.ending.run_goes_on(at, out);
        }
        match &*kind {
            "assistant" => self.assistant(at, event, raw, out),
            "user" => self.user(at, event, raw, out),
            "system" => self.system(at, event, raw, out),
            "result" => self.result(at, event, raw, out),
            "rate_limit_event" => self.rate_limit(at, event, raw, out),
            _ => {
                let subtype = event.str("subtype");
                other(at, &kind, subtype.as_deref(), event.is_lossy(), raw, out);
            }
        }
    }
}

/// An event that the parser takes no interest in: on the list, or unknown.
fn other(
    at: Stamp,
    kind: &str,
    subtype: Option<&str>,
    lossy: bool,
    raw: &RawValue,
    out: &mut dyn Sink,
) {
    let name = match subtype {
        Some(subtype) => Cow::Owned(format!("{kind}/{subtype}")),
        None => Cow::Borrowed(kind),
    };
    match ignore::always(&name) {
        Some(rule) => out.ignored(rule),
        None => unknown(at, &name, raw, lossy, out),
    }
}

fn notice(at: Stamp, level: Level, msg: Text<'_>, out: &mut dyn Sink) {
    out.activity(at, &Activity::Notice { level, msg });
}

#[cfg(test)]
mod tests;
