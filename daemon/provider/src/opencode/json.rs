//! `opencode run --format json`: events on stdout.
//!
//! There is no final event, but each step (one request to the model) has an end that tells whether
//! another one has to follow. So an exit with 0 in the middle of a step, or after one that asked
//! for tools, means that the end of the output is missing: it does not wait for a slow reader.

use std::borrow::Cow;

use crate::activity::{Activity, Level, Stamp, Stream, Usage};
use crate::beginning::Begun;
use crate::bounds::short_id;
use crate::calls::Calls;
use crate::evidence;
use crate::held::HeldError;
use crate::json::{self, Event, Object};
use crate::judge::{Final, Findings, Problem, judge};
use crate::opencode::stderr::Stderr;
use crate::opencode::tools::Call;
use crate::opencode::{errors, ignored};
use crate::outcome::Outcome;
use crate::parser::{Exit, Line, Parser, Sink, Verdict, Vitals};
use crate::run::Run;
use crate::text::{Answer, whole};

/// What a tool says that nobody was there to allow; the run ends with it, and exits with 0.
const REFUSED: &str = "The user rejected permission to use this specific tool call";

/// One run's events.
pub(super) struct Json {
    run: Run,
    session: Option<String>,
    /// Calls that were told of before they were over; this version tells of none.
    calls: Calls,
    usage: Option<Usage>,
    /// The step that was counted last.
    counted: String,
    /// An `error`, until the next event tells whether it was the last.
    error: HeldError,
    /// A call in this step that nobody allowed.
    refused: Option<String>,
    last: Final,
    problem: Option<Problem>,
    /// The end of the last step, or the error after it, as it was printed.
    final_event: Option<String>,
    stderr: Stderr,
    answer: Answer,
    /// The message whose text the answer is.
    answer_of: String,
}

impl Json {
    pub(super) fn new(run: Run) -> Json {
        Json {
            run,
            session: None,
            calls: Calls::default(),
            usage: None,
            counted: String::new(),
            error: HeldError::default(),
            refused: None,
            last: Final::Missing,
            problem: None,
            final_event: None,
            stderr: Stderr::default(),
            answer: Answer::default(),
            answer_of: String::new(),
        }
    }

    /// False if nobody here knows the event.
    fn event(&mut self, kind: &str, event: &Object<'_>, at: Stamp, out: &mut dyn Sink) -> bool {
        if kind == "error" {
            return self.error(event, at, out);
        }
        let Some(part) = event.object("part") else {
            return false;
        };
        match kind {
            "step_start" => {
                self.last = Final::Missing;
                self.refused = None;
                out.ignored(&ignored::STEP_START);
                true
            }
            "text" => self.text(&part, at, out),
            "reasoning" => match part.text("text") {
                Some(msg) if msg.text.is_empty() => {
                    out.ignored(&ignored::EMPTY);
                    true
                }
                Some(msg) => {
                    out.activity(at, &Activity::Thinking { msg });
                    true
                }
                None => false,
            },
            "tool_use" => self.tool_use(&part, at, out),
            "step_finish" => self.step_finish(&part, at, out),
            _ => false,
        }
    }

    /// There is no event for it: each one has the id.
    fn announce(&mut self, event: &Object<'_>, at: Stamp, out: &mut dyn Sink) {
        if self.session.is_some() {
            return;
        }
        if let Some(session_id) = event.session("sessionID") {
            self.session = Some(session_id.clone().into_owned());
            let session = Activity::Session {
                session_id,
                provider_version: None,
            };
            out.activity(at, &session);
        }
    }

    fn text(&mut self, part: &Object<'_>, at: Stamp, out: &mut dyn Sink) -> bool {
        let Some(msg) = part.text("text") else {
            return false;
        };
        if msg.text.is_empty() {
            out.ignored(&ignored::EMPTY);
        } else if part.bool("synthetic") == Some(true) {
            // Put into the conversation by the CLI itself; no words of the model.
            let level = Level::Info;
            out.activity(at, &Activity::Notice { level, msg });
        } else {
            let message = part.str("messageID").unwrap_or_default();
            let message = short_id(&message);
            if message != self.answer_of {
                self.answer.clear();
                message.clone_into(&mut self.answer_of);
            }
            self.answer.push_line(&msg.text);
            let stream = Stream::Stdout;
            out.activity(at, &Activity::Output { stream, msg });
        }
        true
    }

    /// One event, when the call is over.
    fn tool_use(&mut self, part: &Object<'_>, at: Stamp, out: &mut dyn Sink) -> bool {
        let (Some(name), Some(call_id)) = (part.str("tool"), part.str("callID")) else {
            return false;
        };
        let Some(state) = part.object("state") else {
            return false;
        };
        let status = state.str("status").unwrap_or_default();
        let (is_over, came_through) = match &*status {
            "completed" => (true, true),
            "error" => (true, false),
            "pending" | "running" => (false, false),
            _ => return false,
        };
        let call = Call::new(&name, &state);
        let was_open = self.calls.is_open(&call_id);
        if came_through && let Some(items) = call.plan() {
            out.activity(at, &Activity::Plan { items });
            // One that was told of early has a line already, and gets its result.
            if !was_open {
                return true;
            }
        }
        if !was_open {
            let tool = Activity::Tool {
                cmd: whole(call.cmd(&self.run)),
                name: name.clone(),
                input: call.raw.map(Cow::Borrowed),
                call_id: Some(call_id.clone()),
                parent_call_id: None,
            };
            out.activity(at, &tool);
        }
        if !is_over {
            self.calls.begin(&call_id, at);
            if was_open {
                out.held("a call, until it is over");
            }
            return true;
        }
        let said = state.text(if came_through { "output" } else { "error" });
        if let Some(said) = &said
            && !came_through
            && said.text.starts_with(REFUSED)
        {
            self.refused = Some(call.cmd(&self.run));
        }
        let measured = self.calls.end(&call_id, at);
        let result = Activity::ToolResult {
            call_id,
            ok: came_through && call.is_ok(),
            exit_code: call.exit_code(),
            duration_ms: duration(&state).or(measured),
            msg: said.filter(|said| !said.text.is_empty()),
        };
        out.activity(at, &result);
        true
    }

    /// Of a line that is too long: a call and its result. False if it is something else.
    fn begun(&mut self, event: &Object<'_>, line: &Line<'_>, out: &mut dyn Sink) -> bool {
        if event.str("type").as_deref() != Some("tool_use") {
            return false;
        }
        let Some(part) = event.object("part") else {
            return false;
        };
        self.went_on(line.at, out);
        self.announce(event, line.at, out);
        self.tool_use(&part, line.at, &mut Begun::of(line, out))
    }

    fn step_finish(&mut self, part: &Object<'_>, at: Stamp, out: &mut dyn Sink) -> bool {
        let reason = part.str("reason").unwrap_or_default();
        self.last = match &*reason {
            "stop" => Final::Good,
            // Another step has to follow.
            "tool-calls" | "unknown" | "" => Final::Missing,
            other => {
                let msg = whole(format!("the model ended its step with reason `{other}`"));
                let level = Level::Warn;
                out.activity(at, &Activity::Notice { level, msg });
                match other {
                    "error" => Final::Bad,
                    _ => Final::Good,
                }
            }
        };
        let step = part.str("id").unwrap_or_default();
        let step = short_id(&step);
        let is_repeated = !step.is_empty() && step == self.counted;
        match usage(part) {
            Some(usage) if !is_repeated => {
                step.clone_into(&mut self.counted);
                self.usage = Some(self.usage.map_or(usage, |sum| sum.plus(usage)));
                out.activity(at, &Activity::Usage(usage));
            }
            _ => out.ignored(&ignored::STEP_FINISH),
        }
        // Nobody knows these counts by now.
        let tokens = part.object("tokens");
        !tokens.is_some_and(|tokens| tokens.is_foreign(COUNTS))
    }

    fn error(&mut self, event: &Object<'_>, at: Stamp, out: &mut dyn Sink) -> bool {
        let clock = self.run.clock(at);
        let error = event.object("error");
        let Some(problem) = error.and_then(|it| errors::problem(&it, clock)) else {
            return false;
        };
        self.error.hold(at, whole(problem.error.clone()));
        self.problem = Some(problem);
        self.last = Final::Bad;
        out.held("an error, until the next event");
        true
    }

    /// Something else came: what went wrong was not the end.
    fn went_on(&mut self, now: Stamp, out: &mut dyn Sink) {
        self.error.show(now, out);
        if self.last == Final::Bad {
            self.last = Final::Missing;
        }
    }

    fn findings(&mut self, exit: &Exit) -> Findings {
        let problem = self.problem.take().or_else(|| self.stderr.take_problem());
        let mut findings = Findings {
            last: self.last,
            cause: problem.as_ref().and_then(|it| errors::cause(&it.error)),
            problem,
            stderr: self.stderr.take_first(),
            event: self.final_event.take(),
            ..Findings::default()
        };
        if let Some(cmd) = self.refused.take()
            && findings.last == Final::Missing
            && exit.code == Some(0)
        {
            findings.last = Final::Bad;
            let why = format!("ended at a call that it had no permission for: {cmd}");
            findings.problem = Some(Problem::new(Outcome::Failed, why));
        }
        findings
    }
}

impl Parser for Json {
    fn line(&mut self, line: &Line<'_>, out: &mut dyn Sink) {
        if line.stream == Stream::Stderr {
            return self.stderr.line(line, out);
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
        self.went_on(line.at, out);
        self.announce(&event, line.at, out);
        if !self.event(&kind, &event, line.at, out) {
            json::unknown(line.at, &kind, raw, event.is_lossy(), out);
        }
        match self.last {
            Final::Missing | Final::None => self.final_event = None,
            Final::Good | Final::Bad if matches!(&*kind, "step_finish" | "error") => {
                self.final_event = Some(evidence::kept(raw));
            }
            Final::Good | Final::Bad => {}
        }
    }

    fn vitals(&self) -> Vitals {
        Vitals {
            open_tools: self.calls.count(),
            background: 0,
            // A step that asks for nothing more is mostly the last; but a conversation that grew
            // too long is then summed up in silence, and work goes on after it.
            result_seen: false,
        }
    }

    fn end(&mut self, at: Stamp, exit: &Exit, out: &mut dyn Sink) -> Verdict {
        let judgement = judge(exit, self.findings(exit));
        let told = judgement.error.as_deref();
        self.error.end(told, at, out);
        self.stderr.end(told, at, out);
        Verdict {
            session_id: self.session.take(),
            usage: self.usage,
            ..judgement.verdict(self.answer.take())
        }
    }
}

/// As it measured.
fn duration(state: &Object<'_>) -> Option<u64> {
    let time = state.object("time")?;
    Some(time.u64("end")?.saturating_sub(time.u64("start")?))
}

/// What a step has used, in `tokens`.
const COUNTS: &[&str] = &["input", "output", "reasoning", "cache"];

/// Of one step; `None` if it was not counted.
fn usage(part: &Object<'_>) -> Option<Usage> {
    let tokens = part.object("tokens").filter(|it| !it.is_foreign(COUNTS));
    let cost = part.usd("cost");
    // A cost is a cost, whatever the counts are called by now.
    let tokens = match (tokens, cost) {
        (None, None) => return None,
        (tokens, _) => tokens.unwrap_or_default(),
    };
    let cache = tokens.object("cache").unwrap_or_default();
    let count = |key| tokens.tokens(key).unwrap_or(0);
    Some(Usage {
        input_tokens: count("input"),
        output_tokens: count("output").saturating_add(count("reasoning")),
        cached_input_tokens: cache.tokens("read"),
        cache_creation_tokens: cache.tokens("write"),
        total_cost_usd: cost,
        ..Usage::default()
    })
}

#[cfg(test)]
mod tests;
