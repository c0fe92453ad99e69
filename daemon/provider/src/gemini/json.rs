//! `gemini --output-format stream-json`: events on stdout.

use std::borrow::Cow;

use crate::activity::{Activity, Level, Stamp, Stream, Usage};
use crate::beginning::Begun;
use crate::bounds::short_id;
use crate::calls::Calls;
use crate::deltas::Deltas;
use crate::evidence;
use crate::gemini::stderr::Stderr;
use crate::gemini::{errors, ignored, tools};
use crate::json::{self, Event, Object};
use crate::judge::{Final, Findings, Problem, judge};
use crate::outcome::Outcome;
use crate::parser::{Exit, Line, Parser, Sink, Verdict, Vitals};
use crate::run::Run;
use crate::text::Answer;

/// One run's events.
pub(super) struct Json {
    run: Run,
    session: Option<String>,
    model: Option<String>,
    deltas: Deltas,
    calls: Calls,
    /// Calls that wrote a plan; their results say nothing more.
    plans: Calls,
    stderr: Stderr,
    last: Final,
    problem: Option<Problem>,
    /// The result, as it was printed.
    final_event: Option<String>,
    usage: Option<Usage>,
    answer: Answer,
    /// A tool was called since: what comes next is a new answer.
    answer_is_old: bool,
}

impl Json {
    pub(super) fn new(run: Run) -> Json {
        Json {
            run,
            session: None,
            model: None,
            deltas: Deltas::default(),
            calls: Calls::default(),
            plans: Calls::default(),
            stderr: Stderr::default(),
            last: Final::Missing,
            problem: None,
            final_event: None,
            usage: None,
            answer: Answer::default(),
            answer_is_old: false,
        }
    }

    /// False if nobody here knows the event.
    fn event(&mut self, kind: &str, event: &Object<'_>, at: Stamp, out: &mut dyn Sink) -> bool {
        match kind {
            "init" => self.init(event, at, out),
            "message" => self.message(event, at, out),
            "tool_use" => self.tool_use(event, at, out),
            "tool_result" => self.tool_result(event, at, out),
            "error" => error(event, at, out),
            "result" => self.result(event, at, out),
            _ => false,
        }
    }

    fn init(&mut self, event: &Object<'_>, at: Stamp, out: &mut dyn Sink) -> bool {
        let Some(id) = event.session("session_id") else {
            return false;
        };
        self.session = Some(id.clone().into_owned());
        self.model = event.str("model").map(|model| short_id(&model).to_owned());
        let session = Activity::Session {
            session_id: id,
            provider_version: None,
        };
        out.activity(at, &session);
        true
    }

    fn message(&mut self, event: &Object<'_>, at: Stamp, out: &mut dyn Sink) -> bool {
        match (event.str("role").as_deref(), event.text("content")) {
            (Some("user"), _) => {
                out.ignored(&ignored::USER);
                true
            }
            (Some("assistant"), Some(content)) => {
                self.last = Final::Missing;
                if std::mem::take(&mut self.answer_is_old) {
                    self.answer.clear();
                }
                self.answer.push(&content.text);
                if !self.deltas.push(&content, at, out) {
                    out.held("a fragment of text, until there is a line of it");
                }
                if event.bool("delta") != Some(true) {
                    self.deltas.flush(at, out);
                }
                true
            }
            _ => false,
        }
    }

    fn tool_use(&mut self, event: &Object<'_>, at: Stamp, out: &mut dyn Sink) -> bool {
        let (Some(name), Some(id)) = (event.str("tool_name"), event.str("tool_id")) else {
            return false;
        };
        self.last = Final::Missing;
        self.answer_is_old = true;
        let input = event.get("parameters");
        if name == tools::WRITE_TODOS
            && let Some(items) = input.and_then(tools::plan)
        {
            self.plans.begin(&id, at);
            out.activity(at, &Activity::Plan { items });
            return true;
        }
        self.calls.begin(&id, at);
        let tool = Activity::Tool {
            cmd: crate::text::whole(tools::cmd(&name, input, &self.run)),
            name,
            input: input.map(Cow::Borrowed),
            call_id: Some(id),
            parent_call_id: None,
        };
        out.activity(at, &tool);
        true
    }

    fn tool_result(&mut self, event: &Object<'_>, at: Stamp, out: &mut dyn Sink) -> bool {
        let (Some(id), Some(status)) = (event.str("tool_id"), event.str("status")) else {
            return false;
        };
        self.last = Final::Missing;
        let ok = status == "success";
        let was_plan = self.plans.end(&id, at).is_some();
        if was_plan && ok {
            out.ignored(&ignored::TODOS_WRITTEN);
            return true;
        }
        let output = event.text("output").filter(|text| !text.text.is_empty());
        let result = Activity::ToolResult {
            duration_ms: self.calls.end(&id, at),
            call_id: id,
            ok,
            // Not told, not even of a shell command that failed.
            exit_code: None,
            msg: output.or_else(|| event.object("error")?.text("message")),
        };
        out.activity(at, &result);
        true
    }

    fn result(&mut self, event: &Object<'_>, at: Stamp, out: &mut dyn Sink) -> bool {
        let Some(status) = event.str("status") else {
            return false;
        };
        self.problem = None;
        self.last = if status == "success" {
            Final::Good
        } else {
            let said = event.object("error").and_then(|error| error.str("message"));
            let said = said.unwrap_or_else(|| Cow::Owned(format!("ended with status {status}")));
            self.problem = Some(errors::problem(&said, self.run.clock(at)));
            Final::Bad
        };
        match event.object("stats").and_then(|stats| usage(&stats)) {
            Some(usage) => {
                self.usage = Some(usage);
                out.activity(at, &Activity::Usage(usage));
            }
            None => out.ignored(&ignored::RESULT),
        }
        true
    }

    /// What went wrong, from the result, else from stderr, with what the exit code adds.
    fn find_problem(&mut self, exit: &Exit) -> Option<Problem> {
        let of_exit = exit.code.and_then(errors::of_exit);
        let said = self.problem.take().or_else(|| self.stderr.take_problem());
        let status = exit.code.and_then(errors::status_of_exit);
        let said = said.map(|problem| Problem {
            http_status: problem.http_status.or(status),
            ..problem
        });
        match (said, of_exit) {
            (Some(problem), Some(outcome)) if problem.outcome == Outcome::Failed => {
                Some(Problem { outcome, ..problem })
            }
            (None, Some(outcome)) if self.last == Final::Missing => {
                let stderr = self.stderr.take_first();
                let error = match &stderr {
                    Some(line) => line.clone(),
                    None => format!("exit code {}", exit.code?),
                };
                Some(Problem {
                    http_status: status,
                    stderr,
                    ..Problem::new(outcome, error)
                })
            }
            (said, _) => said,
        }
    }
}

impl Parser for Json {
    fn line(&mut self, line: &Line<'_>, out: &mut dyn Sink) {
        if line.stream == Stream::Stderr {
            return self.stderr.line(line, out);
        }
        let (utf8, lossy) = json::utf8(line);
        let event = json::event(line, &utf8, lossy);
        if !goes_on(&event) {
            self.deltas.flush(line.at, out);
        }
        if let Event::Begun(event, ..) = &event
            && event.str("type").as_deref() == Some("tool_result")
            && self.tool_result(event, line.at, &mut Begun::of(line, out))
        {
            return;
        }
        let Some((event, raw)) = event.or_show(line.at, &ignored::BLANK, out) else {
            return;
        };
        let kind = event.str("type").unwrap_or_default();
        if !self.event(&kind, &event, line.at, out) {
            json::unknown(line.at, &name(&kind, &event), raw, event.is_lossy(), out);
        }
        match self.last {
            Final::Missing | Final::None => self.final_event = None,
            Final::Good | Final::Bad if kind == "result" => {
                self.final_event = Some(evidence::kept(raw));
            }
            Final::Good | Final::Bad => {}
        }
    }

    fn vitals(&self) -> Vitals {
        Vitals {
            open_tools: self.calls.count(),
            background: 0,
            result_seen: matches!(self.last, Final::Good | Final::Bad),
        }
    }

    fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    fn end(&mut self, at: Stamp, exit: &Exit, out: &mut dyn Sink) -> Verdict {
        self.deltas.flush(at, out);
        self.stderr.flush(at, out);
        let findings = Findings {
            last: self.last,
            problem: self.find_problem(exit),
            stderr: self.stderr.take_first(),
            event: self.final_event.take(),
            cause: self.stderr.cause(),
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

/// Whether a line ends no text: it is nothing, or more of it.
fn goes_on(event: &Event<'_>) -> bool {
    match event {
        Event::Blank => true,
        Event::Text(_) | Event::Cut(_) | Event::Begun(..) => false,
        Event::Object(event, _) => {
            let is = |key: &str, word: &str| event.str(key).as_deref() == Some(word);
            is("type", "message") && is("role", "assistant")
        }
    }
}

/// An error that does not end the run: a loop it noticed, a limit of turns.
fn error(event: &Object<'_>, at: Stamp, out: &mut dyn Sink) -> bool {
    let Some(msg) = event.text("message") else {
        return false;
    };
    let level = match event.str("severity").as_deref() {
        Some("warning") => Level::Warn,
        _ => Level::Error,
    };
    out.activity(at, &Activity::Notice { level, msg });
    true
}

/// `message/new_role`.
fn name<'a>(kind: &'a str, event: &Object<'_>) -> Cow<'a, str> {
    match (kind, event.str("role")) {
        ("message", Some(role)) => Cow::Owned(format!("message/{role}")),
        (kind, _) => Cow::Borrowed(kind),
    }
}

/// `None` if all is zero: a stream that broke off was not counted.
fn usage(stats: &Object<'_>) -> Option<Usage> {
    let count = |key| stats.tokens(key).unwrap_or(0);
    let (input, cached) = (count("input_tokens"), count("cached"));
    // The total alone has the thoughts in it.
    let output = count("total_tokens")
        .saturating_sub(input)
        .max(count("output_tokens"));
    (input.max(output).max(cached) > 0).then_some(Usage {
        input_tokens: stats
            .tokens("input")
            .unwrap_or_else(|| input.saturating_sub(cached)),
        output_tokens: output,
        cached_input_tokens: Some(cached),
        total: true,
        ..Usage::default()
    })
}

#[cfg(test)]
mod tests;
