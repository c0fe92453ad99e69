//! Any CLI that prints JSON lines, read by a [`Mapping`] that its user wrote.
//!
//! A mapping may be wrong, and a CLI may print what it does not speak of. So a line of which no rule
//! makes anything is shown as it is, as is what is no JSON; only blank lines are passed over.

mod ending;

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::activity::{Activity, Foreign, Level, Stamp, Stream, Text, Usage};
use crate::beginning::Begun;
use crate::bounds::{SESSION_LIMIT, one_line};
use crate::calls::Calls;
use crate::deltas::Deltas;
use crate::held::HeldError;
use crate::json::{self, Event, Object};
use crate::judge::{Final, Findings, Problem, judge};
use crate::label;
use crate::mapping::{Field, Mapping, Rule};
use crate::parser::{Exit, IgnoreRule, Line, Parser, Sink, Verdict, Vitals};
use crate::run::Run;
use crate::text::{self, Answer};

/// JSON lines.
pub(crate) fn json(run: Run) -> Box<dyn Parser> {
    Box::new(Jsonl::new(run))
}

/// What is printed and not shown.
pub(crate) mod ignored {
    use super::IgnoreRule;

    pub(crate) const BLANK: IgnoreRule = IgnoreRule {
        event: "blank line",
        reason: "is no event",
    };
    pub(crate) const BY_MAPPING: IgnoreRule = IgnoreRule {
        event: "ignore = true",
        reason: "the mapping says so",
    };
    pub(crate) const SILENT: IgnoreRule = IgnoreRule {
        event: "nothing to show",
        reason: "what the mapping finds in it is empty, was said before, or is told by the terminal line",
    };

    /// All of them.
    pub(crate) const ALL: &[IgnoreRule] = &[BLANK, BY_MAPPING, SILENT];
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Done {
    /// No rule made anything of it.
    Nothing,
    /// A rule found what it looks for, and nothing of that is to be shown.
    Silent,
    /// It gave activities, or adds to one that will come.
    Shown,
}

/// One run's lines.
struct Jsonl {
    mapping: Mapping,
    /// Calls that have begun, where the mapping tells when they are over.
    calls: Calls,
    tells_results: bool,
    /// Bytes of this line were replaced.
    is_lossy: bool,
    session: Option<String>,
    deltas: Deltas,
    usage: Option<Usage>,
    last: Final,
    /// A message came after a final event, and none after that.
    is_unanswered: bool,
    /// The last thing that came is an error.
    is_failing: bool,
    /// What the final event said went wrong.
    error: HeldError,
    problem: Option<Problem>,
    /// Somebody was told that a time of `resets_at` cannot be read.
    has_told_unread: bool,
    /// The final event, or an error that nothing followed, as it was printed.
    event: Option<String>,
    /// What a line of text told, by the mapping's phrases.
    hint: Option<Problem>,
    stderr: Option<String>,
    answer: Answer,
    final_answer: Option<String>,
}

impl Jsonl {
    fn new(run: Run) -> Jsonl {
        let mapping = run.mapping.unwrap_or_default();
        Jsonl {
            last: match mapping.has_final() {
                true => Final::Missing,
                false => Final::None,
            },
            is_unanswered: false,
            tells_results: mapping.has_results(),
            mapping,
            is_lossy: false,
            calls: Calls::default(),
            session: None,
            deltas: Deltas::default(),
            usage: None,
            is_failing: false,
            error: HeldError::default(),
            problem: None,
            has_told_unread: false,
            event: None,
            hint: None,
            stderr: None,
            answer: Answer::default(),
            final_answer: None,
        }
    }

    /// Text that is no event.
    fn plain(&mut self, stream: Stream, msg: Text<'_>, at: Stamp, out: &mut dyn Sink) {
        if let Some(outcome) = self.mapping.outcome(None, &msg.text) {
            let error = one_line(&msg.text);
            self.hint = Some(Problem::new(outcome, error));
        }
        if stream == Stream::Stderr && !msg.text.trim().is_empty() {
            self.stderr = Some(one_line(&msg.text));
        }
        self.show(at, &Activity::Output { stream, msg }, out);
    }

    fn show(&mut self, at: Stamp, activity: &Activity<'_>, out: &mut dyn Sink) {
        self.deltas.flush(at, out);
        out.activity(at, activity);
    }

    fn event(&mut self, line: &RawValue, at: Stamp, out: &mut dyn Sink) -> Done {
        // Lent to the rules while they change the rest.
        let mapping = std::mem::take(&mut self.mapping);
        let mut done = Done::Nothing;
        let mut is_ignored = false;
        for rule in mapping.events.iter().filter(|rule| rule.applies(line)) {
            is_ignored |= rule.is_ignored;
            match &rule.each {
                None => done = done.max(self.apply(&mapping, rule, line, at, out)),
                Some(list) => {
                    if let Some(list) = list.find(line) {
                        json::elements(&list, |element| {
                            done = done.max(self.apply(&mapping, rule, element, at, out));
                        });
                    }
                }
            }
        }
        self.mapping = mapping;
        if done == Done::Nothing && is_ignored {
            out.ignored(&ignored::BY_MAPPING);
            return Done::Silent;
        }
        if done == Done::Silent {
            out.ignored(&ignored::SILENT);
        }
        done
    }

    /// Of a line that is too long: the results of tools in it. False if there are none.
    fn begun(
        &mut self,
        event: &Object<'_>,
        raw: &RawValue,
        line: &Line<'_>,
        out: &mut dyn Sink,
    ) -> bool {
        self.is_lossy = event.is_lossy();
        // What came before it is whole.
        self.deltas.flush(line.at, out);
        let mapping = std::mem::take(&mut self.mapping);
        let mut done = Done::Nothing;
        let mut out = Begun::of(line, out);
        for rule in mapping.events.iter().filter(|rule| rule.applies(raw)) {
            let mut result = |value| {
                done = done.max(self.result(rule, value, line.at, &mut out));
            };
            match &rule.each {
                None => result(raw),
                Some(list) => {
                    if let Some(list) = list.find(raw) {
                        json::elements(&list, result);
                    }
                }
            }
        }
        self.mapping = mapping;
        done == Done::Shown
    }

    fn apply(
        &mut self,
        mapping: &Mapping,
        rule: &Rule,
        value: &RawValue,
        at: Stamp,
        out: &mut dyn Sink,
    ) -> Done {
        // Without a condition it reads session and counts in passing; what else the line says is
        // for other rules.
        let in_passing = |done: Done| match rule.when.is_empty() {
            true => Done::Nothing,
            false => done,
        };
        let mut done = in_passing(self.session(rule, value, at, out));
        done = done.max(self.says(rule, value, at, out));
        done = done.max(self.tool(rule, value, at, out));
        done = done.max(self.result(rule, value, at, out));
        done = done.max(in_passing(self.usage(rule, value, at, out)));
        done.max(self.ending(mapping, rule, value, at, out))
    }

    fn session(&mut self, rule: &Rule, value: &RawValue, at: Stamp, out: &mut dyn Sink) -> Done {
        let Some(id) = self.text(rule, Field::Session, value) else {
            return Done::Nothing;
        };
        let id = id.text.into_owned();
        if id.is_empty() || id.len() > SESSION_LIMIT || self.session.as_ref() == Some(&id) {
            return Done::Silent;
        }
        let session = Activity::Session {
            session_id: Cow::Borrowed(&id),
            provider_version: None,
        };
        self.show(at, &session, out);
        self.session = Some(id);
        Done::Shown
    }

    /// Text, thinking and notices.
    fn says(&mut self, rule: &Rule, value: &RawValue, at: Stamp, out: &mut dyn Sink) -> Done {
        let mut done = Done::Nothing;
        for field in [Field::Thinking, Field::Text, Field::Notice] {
            let Some(msg) = self.text(rule, field, value) else {
                continue;
            };
            if msg.text.is_empty() {
                done = done.max(Done::Silent);
                continue;
            }
            done = Done::Shown;
            let stream = Stream::Stdout;
            match field {
                Field::Text if rule.is_delta => {
                    self.goes_on(at, out);
                    self.answer.push(&msg.text);
                    if !self.deltas.push(&msg, at, out) {
                        out.held("a fragment of text, until there is a line of it");
                    }
                }
                Field::Text => {
                    self.goes_on(at, out);
                    self.answer.push_line(&msg.text);
                    self.show(at, &Activity::Output { stream, msg }, out);
                }
                Field::Thinking => {
                    self.goes_on(at, out);
                    self.show(at, &Activity::Thinking { msg }, out);
                }
                _ => {
                    let level = Level::Info;
                    self.show(at, &Activity::Notice { level, msg }, out);
                }
            }
        }
        done
    }

    fn tool(&mut self, rule: &Rule, value: &RawValue, at: Stamp, out: &mut dyn Sink) -> Done {
        let name = self.text(rule, Field::Tool, value);
        let command = self.text(rule, Field::Command, value);
        if name.is_none() && command.is_none() {
            return Done::Nothing;
        }
        self.goes_on(at, out);
        let call_id = self.text(rule, Field::Call, value).map(|id| id.text);
        // One that is told when it is over has no time of its own.
        if let Some(id) = &call_id
            && self.tells_results
            && !rule.is_result()
        {
            self.calls.begin(id, at);
        }
        // Arguments that are JSON within a text are shown as what they are.
        let input = rule.find(Field::Input, value).map(|found| inner(&found));
        let name = name.map_or(Cow::Borrowed("tool"), |name| name.text);
        let cmd = command.unwrap_or_else(|| text::whole(label::plain(&name, input.as_deref())));
        let tool = Activity::Tool {
            cmd,
            name,
            input: input.map(Cow::Owned),
            call_id,
            parent_call_id: None,
        };
        self.show(at, &tool, out);
        Done::Shown
    }

    fn result(&mut self, rule: &Rule, value: &RawValue, at: Stamp, out: &mut dyn Sink) -> Done {
        if !rule.is_result() {
            return Done::Nothing;
        }
        let msg = self
            .text(rule, Field::Result, value)
            .filter(|msg| !msg.text.is_empty());
        let exit_code = rule
            .find(Field::ExitCode, value)
            .and_then(|code| i32::try_from(json::i64(&code)?).ok());
        let Some(call_id) = self.text(rule, Field::Call, value).map(|id| id.text) else {
            // Nobody can say whose it is; it is not lost for that.
            return match msg {
                Some(msg) => {
                    let stream = Stream::Stdout;
                    self.show(at, &Activity::Output { stream, msg }, out);
                    Done::Shown
                }
                None => Done::Nothing,
            };
        };
        self.goes_on(at, out);
        let is_error = rule.is_error(value) || exit_code.is_some_and(|code| code != 0);
        let result = Activity::ToolResult {
            duration_ms: self.calls.end(&call_id, at),
            call_id,
            ok: !is_error,
            exit_code,
            msg,
        };
        self.show(at, &result, out);
        Done::Shown
    }

    /// A text as it is; any other value as it is printed.
    fn text(&self, rule: &Rule, field: Field, value: &RawValue) -> Option<Text<'static>> {
        let found = rule.find(field, value)?;
        let text = json::text(&found, false).unwrap_or_else(|| text::whole(found.get()));
        Some(Text {
            text: Cow::Owned(text.text.into_owned()),
            truncated_bytes: 0,
            lossy: text.lossy || self.is_lossy,
        })
    }

    /// What came before was not the end.
    fn goes_on(&mut self, at: Stamp, out: &mut dyn Sink) {
        self.show_error(at, out);
        self.is_failing = false;
        self.event = None;
        if self.has_ended() {
            self.last = Final::Missing;
        }
    }

    /// Whether the final event came, and nothing after it.
    fn has_ended(&self) -> bool {
        matches!(self.last, Final::Good | Final::Bad)
    }

    /// The final event was not the last.
    fn show_error(&mut self, at: Stamp, out: &mut dyn Sink) {
        if self.error.is_some() {
            self.deltas.flush(at, out);
            self.error.show(at, out);
        }
    }
}

impl Parser for Jsonl {
    fn line(&mut self, line: &Line<'_>, out: &mut dyn Sink) {
        if line.stream == Stream::Stderr {
            return self.plain(Stream::Stderr, text::of_line(line), line.at, out);
        }
        let (utf8, lossy) = json::utf8(line);
        match json::event(line, &utf8, lossy) {
            Event::Blank => out.ignored(&ignored::BLANK),
            Event::Text(msg) => self.plain(Stream::Stdout, msg, line.at, out),
            Event::Begun(event, raw, _) if self.begun(&event, raw, line, out) => {}
            Event::Cut(text) | Event::Begun(_, _, text) => {
                let data = Foreign::Text(text);
                self.show(line.at, &Activity::Unknown { name: None, data }, out);
            }
            Event::Object(event, raw) => {
                self.is_lossy = event.is_lossy();
                if self.event(raw, line.at, out) == Done::Nothing {
                    let msg = text::of_line(line);
                    let stream = Stream::Stdout;
                    self.show(line.at, &Activity::Output { stream, msg }, out);
                }
            }
        }
    }

    fn asked(&mut self) {
        self.is_unanswered |= self.has_ended();
    }

    fn vitals(&self) -> Vitals {
        Vitals {
            open_tools: self.calls.count(),
            background: 0,
            result_seen: self.has_ended() && !self.is_unanswered,
        }
    }

    fn end(&mut self, at: Stamp, exit: &Exit, out: &mut dyn Sink) -> Verdict {
        self.deltas.flush(at, out);
        let findings = Findings {
            last: match self.last {
                _ if self.is_failing => Final::Bad,
                Final::Good if self.is_unanswered => Final::Missing,
                last => last,
            },
            is_unanswered: self.is_unanswered,
            problem: self.problem.take().or(self.hint.take()),
            stderr: self.stderr.take(),
            event: self.event.take(),
            cause: None,
        };
        let answer = self.final_answer.take().or_else(|| self.answer.take());
        let judgement = judge(exit, findings);
        self.error.end(judgement.error.as_deref(), at, out);
        Verdict {
            session_id: self.session.take(),
            usage: self.usage,
            ..judgement.verdict(answer)
        }
    }
}

/// JSON that stands in a text, or the value itself.
fn inner(value: &RawValue) -> Box<RawValue> {
    json::text(value, false)
        .and_then(|text| RawValue::from_string(text.text.trim().to_owned()).ok())
        .filter(|inner| inner.get().starts_with(['{', '[']))
        .unwrap_or_else(|| value.to_owned())
}

#[cfg(test)]
mod tests;
