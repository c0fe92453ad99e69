//! `codex exec --json`: events on stdout, log lines and start-up errors on stderr.

use std::borrow::Cow;

use crate::activity::{Activity, Level, PlanItem, Stamp, Stream, Text, Usage};
use crate::beginning::Begun;
use crate::bounds::one_line;
use crate::calls::Calls;
use crate::codex::{errors, ignored, items, tracing};
use crate::evidence;
use crate::json::{self, Event, Object};
use crate::judge::{Final, Findings, Problem, judge};
use crate::parser::{Exit, Line, Parser, Sink, Verdict, Vitals};
use crate::run::Run;
use crate::text::{self, Answer};

/// Which of an item's three events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Started,
    Updated,
    Completed,
}

/// One run's events.
pub(super) struct Json {
    run: Run,
    session: Option<String>,
    calls: Calls,
    plan: Vec<PlanItem>,
    /// An `error`, until the next event tells whether it was the last.
    error: Option<(Stamp, String)>,
    last: Final,
    problem: Option<Problem>,
    stderr: Option<String>,
    /// How the last turn ended, as it was printed.
    final_event: Option<String>,
    usage: Option<Usage>,
    answer: Answer,
}

impl Json {
    pub(super) fn new(run: Run) -> Json {
        Json {
            run,
            session: None,
            calls: Calls::default(),
            plan: Vec::new(),
            error: None,
            last: Final::Missing,
            problem: None,
            stderr: None,
            final_event: None,
            usage: None,
            answer: Answer::default(),
        }
    }

    /// False if nobody here knows the event.
    fn event(&mut self, kind: &str, event: &Object<'_>, at: Stamp, out: &mut dyn Sink) -> bool {
        match kind {
            "thread.started" => self.thread_started(event, at, out),
            "turn.started" => {
                self.last = Final::Missing;
                out.ignored(&ignored::TURN_STARTED);
                true
            }
            "turn.completed" => self.turn_completed(event, at, out),
            "turn.failed" => self.turn_failed(event, at, out),
            "error" => self.error_event(event, at, out),
            "item.started" => self.item(Step::Started, event, at, out),
            "item.updated" => self.item(Step::Updated, event, at, out),
            "item.completed" => self.item(Step::Completed, event, at, out),
            _ => false,
        }
    }

    fn thread_started(&mut self, event: &Object<'_>, at: Stamp, out: &mut dyn Sink) -> bool {
        let Some(id) = event.session("thread_id") else {
            return false;
        };
        self.session = Some(id.clone().into_owned());
        let session = Activity::Session {
            session_id: id,
            provider_version: None,
        };
        out.activity(at, &session);
        true
    }

    fn turn_completed(&mut self, event: &Object<'_>, at: Stamp, out: &mut dyn Sink) -> bool {
        self.last = Final::Good;
        self.problem = None;
        let Some(counts) = event.object("usage") else {
            out.ignored(&ignored::TURN_COMPLETED);
            return true;
        };
        if counts.is_foreign(COUNTS) {
            return false;
        }
        let usage = usage(&counts, self.run.resumed);
        self.usage = Some(usage);
        out.activity(at, &Activity::Usage(usage));
        true
    }

    fn turn_failed(&mut self, event: &Object<'_>, at: Stamp, out: &mut dyn Sink) -> bool {
        let said = event.object("error").and_then(|error| error.str("message"));
        let held = self.error.take();
        let message = match (said, held) {
            (Some(said), Some((since, held))) if said != held => {
                notice(out, since, at, &held);
                said.into_owned()
            }
            (Some(said), _) => said.into_owned(),
            (None, Some((_, held))) => held,
            (None, None) => "turn failed without a reason".to_owned(),
        };
        self.last = Final::Bad;
        self.problem = Some(errors::problem(&message, self.run.clock(at)));
        out.ignored(&ignored::TURN_FAILED);
        true
    }

    fn error_event(&mut self, event: &Object<'_>, at: Stamp, out: &mut dyn Sink) -> bool {
        let Some(message) = event.text("message") else {
            return false;
        };
        if let Some(retry) = errors::retry(&message.text) {
            let retry = Activity::Retry {
                reason: Cow::Borrowed(retry.reason),
                attempt: retry.attempt,
                delay_ms: None,
                msg: message,
            };
            out.activity(at, &retry);
        } else {
            self.error = Some((at, message.text.into_owned()));
            out.held("an error, until the next event");
        }
        true
    }

    fn item(&mut self, step: Step, event: &Object<'_>, at: Stamp, out: &mut dyn Sink) -> bool {
        let Some(item) = event.object("item") else {
            return false;
        };
        self.last = Final::Missing;
        let kind = item.str("type").unwrap_or_default();
        match (&*kind, step) {
            ("agent_message", Step::Completed) => self.message(&item, at, out),
            ("reasoning", Step::Completed) => match item.text("text") {
                Some(msg) => {
                    out.activity(at, &Activity::Thinking { msg });
                    true
                }
                None => false,
            },
            ("error", Step::Completed) => match item.text("message") {
                Some(msg) => {
                    let level = Level::Warn;
                    out.activity(at, &Activity::Notice { level, msg });
                    true
                }
                None => false,
            },
            ("todo_list", _) => self.todo_list(step, &item, at, out),
            (_, Step::Updated) => false,
            _ => self.tool(step, &kind, &item, at, out),
        }
    }

    fn message(&mut self, item: &Object<'_>, at: Stamp, out: &mut dyn Sink) -> bool {
        let Some(msg) = item.text("text") else {
            return false;
        };
        self.answer.clear();
        self.answer.push(&msg.text);
        let output = Activity::Output {
            stream: Stream::Stdout,
            msg,
        };
        out.activity(at, &output);
        true
    }

    fn todo_list(&mut self, step: Step, item: &Object<'_>, at: Stamp, out: &mut dyn Sink) -> bool {
        let Some(items) = items::plan(item) else {
            return false;
        };
        if step == Step::Completed && items == self.plan {
            out.ignored(&ignored::PLAN_REPEATED);
            return true;
        }
        self.plan.clone_from(&items);
        out.activity(at, &Activity::Plan { items });
        true
    }

    fn tool(
        &mut self,
        step: Step,
        kind: &str,
        item: &Object<'_>,
        at: Stamp,
        out: &mut dyn Sink,
    ) -> bool {
        // Of two ids the first is the item's own; the second, the API's, comes and goes.
        let (Some(call), Some(id)) = (items::call(kind, item, &self.run), item.str("id")) else {
            return false;
        };
        let was_open = self.calls.is_open(&id);
        if !was_open {
            self.calls.begin(&id, at);
            let tool = Activity::Tool {
                cmd: call.cmd,
                name: call.name,
                input: call.input.map(Cow::Borrowed),
                call_id: Some(Cow::Borrowed(&*id)),
                parent_call_id: None,
            };
            out.activity(at, &tool);
        } else if step == Step::Started {
            return false;
        }
        if step == Step::Completed {
            let ended = items::ended(kind, item);
            let result = Activity::ToolResult {
                duration_ms: self.calls.end(&id, at).filter(|_| was_open),
                call_id: id,
                ok: ended.ok,
                exit_code: ended.exit_code,
                msg: ended.msg,
            };
            out.activity(at, &result);
        }
        true
    }

    /// Of a line that is too long: how a call ended, as far as that stands before its output. False if it is
    /// something else.
    fn begun(&mut self, event: &Object<'_>, line: &Line<'_>, out: &mut dyn Sink) -> bool {
        let item = match event.str("type").as_deref() {
            Some("item.completed") => event.object("item").unwrap_or_default(),
            _ => return false,
        };
        let kind = item.str("type").unwrap_or_default();
        if let Some((since, held)) = self.error.take() {
            notice(out, since, line.at, &held);
        }
        let out = &mut Begun::of(line, out);
        let is_tool = self.tool(Step::Completed, &kind, &item, line.at, out);
        if is_tool {
            self.last = Final::Missing;
            self.final_event = None;
        }
        is_tool
    }

    fn stderr(&mut self, line: &Line<'_>, out: &mut dyn Sink) {
        let msg = text::of_line(line);
        if let Some((level, message)) = tracing::parse(&msg.text) {
            let msg = Text {
                text: Cow::Borrowed(message),
                ..msg
            };
            out.activity(line.at, &Activity::Notice { level, msg });
        } else if is_about_stdin(&msg.text) {
            let level = Level::Info;
            out.activity(line.at, &Activity::Notice { level, msg });
        } else {
            // The first line is the error; usage and hints follow it.
            if self.stderr.is_none() && !msg.text.trim().is_empty() {
                self.stderr = Some(one_line(&msg.text));
            }
            let output = Activity::Output {
                stream: Stream::Stderr,
                msg,
            };
            out.activity(line.at, &output);
        }
    }
}

impl Parser for Json {
    fn line(&mut self, line: &Line<'_>, out: &mut dyn Sink) {
        if line.stream == Stream::Stderr {
            return self.stderr(line, out);
        }
        let (utf8, lossy) = json::utf8(line);
        let event = json::event(line, &utf8, lossy);
        if let Event::Begun(event, ..) = &event
            && self.begun(event, line, out)
        {
            return;
        }
        let Some((event, raw)) = event.or_show(line.at, &ignored::BLANK, out) else {
            return;
        };
        let kind = event.str("type").unwrap_or_default();
        if kind != "turn.failed"
            && let Some((since, held)) = self.error.take()
        {
            notice(out, since, line.at, &held);
        }
        if !self.event(&kind, &event, line.at, out) {
            json::unknown(line.at, &name(&kind, &event), raw, event.is_lossy(), out);
        }
        match self.last {
            Final::Good | Final::Bad if kind.starts_with("turn.") => {
                self.final_event = Some(evidence::kept(raw));
            }
            Final::Good | Final::Bad => {}
            Final::Missing | Final::None => self.final_event = None,
        }
    }

    fn vitals(&self) -> Vitals {
        Vitals {
            open_tools: self.calls.count(),
            background: 0,
            result_seen: matches!(self.last, Final::Good | Final::Bad),
        }
    }

    fn end(&mut self, at: Stamp, exit: &Exit, out: &mut dyn Sink) -> Verdict {
        if let Some((since, held)) = self.error.take() {
            notice(out, since, at, &held);
            let clock = self.run.clock(since);
            self.problem
                .get_or_insert_with(|| errors::problem(&held, clock));
        }
        let stderr = self.stderr.take();
        let findings = Findings {
            last: self.last,
            problem: self.problem.take(),
            cause: stderr.as_deref().and_then(errors::cause),
            stderr,
            event: self.final_event.take(),
            ..Findings::default()
        };
        let judgement = judge(exit, findings);
        Verdict {
            session_id: self.session.take(),
            usage: self.usage,
            ..judgement.verdict(self.answer.take())
        }
    }
}

/// Gives out an error that turned out not to be the last, with the time at which it came.
fn notice(out: &mut dyn Sink, since: Stamp, now: Stamp, message: &str) {
    let (level, msg) = (Level::Error, text::whole(message));
    out.activity(now.shown_late(since), &Activity::Notice { level, msg });
}

/// `item.completed/new_thing`.
fn name<'a>(kind: &'a str, event: &Object<'_>) -> Cow<'a, str> {
    let item = event.object("item").and_then(|item| {
        let kind = item.str("type")?;
        Some(kind.into_owned())
    });
    match item {
        Some(item) if !kind.is_empty() => Cow::Owned(format!("{kind}/{item}")),
        _ => Cow::Borrowed(kind),
    }
}

fn is_about_stdin(line: &str) -> bool {
    matches!(
        line,
        "Reading additional input from stdin..." | "Reading prompt from stdin..."
    )
}

/// What a turn has used.
const COUNTS: &[&str] = &["input_tokens", "cached_input_tokens", "output_tokens"];

fn usage(counts: &Object<'_>, resumed: bool) -> Usage {
    let count = |key| counts.tokens(key).unwrap_or(0);
    let cached = count("cached_input_tokens");
    let written = count("cache_write_input_tokens");
    Usage {
        input_tokens: count("input_tokens")
            .saturating_sub(cached)
            .saturating_sub(written),
        // Reasoning is a part of it.
        output_tokens: count("output_tokens"),
        cached_input_tokens: Some(cached),
        cache_creation_tokens: counts.tokens("cache_write_input_tokens"),
        total: true,
        // The sum over the thread, earlier runs included.
        cumulative: resumed,
        ..Usage::default()
    }
}

#[cfg(test)]
mod tests;
