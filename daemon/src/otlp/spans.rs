//! An invocation as spans, made of its row and of the lines of its log. The same log gives the same
//! spans, with the same ids: what is sent a second time is known to be the same.
//!
//! ```text
//! invoke_agent claude ──────────────────────────────────────────── the invocation
//!   chat opus ────────────────┐ chat opus ─────┐                    a turn of the model
//!     execute_tool Bash ──────────┘                                 a tool that the turn called
//! ```
//!
//! A turn begins with the invocation, or with the last thing that was given to the model before it
//! spoke again: a tool's result, or a message; it ends with the last thing it said. Names are those of
//! the GenAI semantic conventions.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::wire::{KeyValue, Kind, Span, Status, attribute};
use crate::domain::{Invocation, Outcome, Phase, UsageTotals};

/// Spans of one invocation: hours of an agent's work. What is beyond is counted.
pub(super) const MOST: usize = 4000;

/// Of a tool's name, and of a call's id.
const NAME: usize = 256;

/// Of a text that is sent where that was asked for.
const CONTENT: usize = 4096;

/// Tools that may be open at once, as parsers bound it too.
const OPEN: usize = 256;

/// What is to be said of an invocation besides its row.
#[derive(Debug, Clone)]
pub(super) struct About {
    /// Path of its project.
    pub(super) project: String,
    /// Who makes the models, in the conventions' words.
    pub(super) maker: String,
    /// Whether there are turns of a model at all.
    pub(super) has_turns: bool,
    /// Whether to send texts.
    pub(super) content: bool,
}

/// Makes spans of a log, line by line.
pub(super) struct Spans {
    about: About,
    row: Invocation,
    trace: Uuid,
    root: Vec<u8>,
    spans: Vec<Span>,
    /// Beyond the bound.
    dropped: u64,
    start_ms: u64,
    end_ms: u64,
    turn: Option<Turn>,
    /// Something was given to the model at this time, and it has not spoken since.
    given_ms: Option<u64>,
    open: Vec<Tool>,
    lines: u64,
}

struct Turn {
    id: Vec<u8>,
    start_ms: u64,
    end_ms: u64,
    input: u64,
    output: u64,
    has_usage: bool,
}

struct Tool {
    call: String,
    span: Span,
}

/// What of a line matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    ts: u64,
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    cmd: Option<String>,
    #[serde(default)]
    call_id: Option<String>,
    #[serde(default)]
    msg: Option<String>,
    #[serde(default)]
    ok: Option<bool>,
    #[serde(default)]
    stream: Option<String>,
    #[serde(default)]
    total: bool,
    #[serde(default)]
    input_tokens: u64,
    #[serde(default)]
    cached_input_tokens: u64,
    #[serde(default)]
    cache_creation_tokens: u64,
    #[serde(default)]
    output_tokens: u64,
}

impl Spans {
    /// Of this invocation, whose state folder has this name.
    pub(super) fn new(about: About, row: Invocation, uuid: Uuid) -> Spans {
        let ms = |ms: Option<i64>| ms.and_then(|ms| u64::try_from(ms).ok());
        let start_ms = ms(row.started_ms).unwrap_or(0);
        Spans {
            end_ms: ms(row.completed_ms).unwrap_or(start_ms).max(start_ms),
            root: span_id(uuid, "invocation", 0),
            about,
            row,
            trace: uuid,
            spans: Vec::new(),
            dropped: 0,
            start_ms,
            turn: None,
            given_ms: None,
            open: Vec::new(),
            lines: 0,
        }
    }

    /// Takes the next line. One that makes no sense is passed over.
    pub(super) fn line(&mut self, line: &[u8]) {
        self.lines += 1;
        let Ok(line) = serde_json::from_slice::<Line<'_>>(line) else {
            return;
        };
        match &*line.kind {
            "start" => self.start_ms = line.ts.min(self.end_ms),
            "thinking" | "plan" => self.spoke(line.ts),
            "output" if line.stream.as_deref() != Some("stderr") => self.spoke(line.ts),
            "usage" => self.used(&line),
            "tool" => self.called(line),
            "tool_result" => self.answered(&line),
            "input" => self.given_ms = Some(line.ts),
            _ => {}
        }
    }

    /// All spans, and how many there would have been beyond them.
    pub(super) fn finish(mut self) -> (Vec<Span>, u64) {
        for tool in std::mem::take(&mut self.open) {
            let end = nanos(self.end_ms);
            self.push(Span {
                end_time_unix_nano: end,
                ..tool.span
            });
        }
        self.end_turn();
        let root = self.whole();
        self.spans.push(root);
        (self.spans, self.dropped)
    }

    fn spoke(&mut self, ts: u64) {
        if !self.about.has_turns {
            return;
        }
        let given = self.given_ms.take();
        if self.turn.is_none() || given.is_some() {
            self.end_turn();
            let start_ms = given.unwrap_or(self.start_ms).min(ts);
            self.turn = Some(Turn {
                id: span_id(self.trace, "turn", self.lines),
                start_ms,
                end_ms: ts,
                input: 0,
                output: 0,
                has_usage: false,
            });
        }
        if let Some(turn) = &mut self.turn {
            turn.end_ms = turn.end_ms.max(ts);
        }
    }

    /// A total stands for the whole run, and is in its row.
    fn used(&mut self, line: &Line<'_>) {
        if line.total {
            return;
        }
        if let Some(turn) = &mut self.turn {
            let input = [
                line.input_tokens,
                line.cached_input_tokens,
                line.cache_creation_tokens,
            ];
            let input = input.into_iter().fold(turn.input, u64::saturating_add);
            turn.input = input;
            turn.output = turn.output.saturating_add(line.output_tokens);
            turn.has_usage = true;
        }
    }

    fn called(&mut self, line: Line<'_>) {
        self.spoke(line.ts);
        let name = line.name.unwrap_or_default();
        let name = short(&name);
        let call_id = line.call_id.as_deref().map(|call| short(call).to_owned());
        let parent = self.turn.as_ref().map_or(&self.root, |turn| &turn.id);
        let mut attributes = vec![
            attribute("gen_ai.operation.name", "execute_tool"),
            attribute("gen_ai.tool.name", name),
        ];
        if let Some(call) = &call_id {
            attributes.push(attribute("gen_ai.tool.call.id", call.as_str()));
        }
        if let Some(cmd) = line.cmd.filter(|_| self.about.content) {
            attributes.push(attribute("gen_ai.tool.call.arguments", cut(&cmd)));
        }
        let span = Span {
            trace_id: self.trace.as_bytes().to_vec(),
            span_id: span_id(self.trace, "tool", self.lines),
            parent_span_id: parent.clone(),
            name: format!("execute_tool {name}"),
            kind: Kind::Internal.into(),
            start_time_unix_nano: nanos(line.ts),
            end_time_unix_nano: nanos(line.ts),
            attributes,
            status: None,
        };
        match call_id {
            Some(call) if self.open.len() < OPEN => self.open.push(Tool { call, span }),
            // Nothing will tell its end.
            _ => self.push(span),
        }
    }

    fn answered(&mut self, line: &Line<'_>) {
        self.given_ms = Some(line.ts);
        let call = line.call_id.as_deref().map(short);
        let is_it = |tool: &Tool| call == Some(tool.call.as_str());
        let Some(at) = self.open.iter().position(is_it) else {
            return;
        };
        let mut span = self.open.remove(at).span;
        span.end_time_unix_nano = nanos(line.ts).max(span.start_time_unix_nano);
        if line.ok == Some(false) {
            span.attributes.push(attribute("error.type", "tool_error"));
            span.status = Some(failed(""));
        }
        if let Some(msg) = line.msg.as_deref().filter(|_| self.about.content) {
            let result = attribute("gen_ai.tool.call.result", cut(msg));
            span.attributes.push(result);
        }
        self.push(span);
    }

    fn end_turn(&mut self) {
        let Some(turn) = self.turn.take() else {
            return;
        };
        let mut attributes = self.about_the_model("chat");
        if turn.has_usage {
            attributes.push(attribute("gen_ai.usage.input_tokens", turn.input));
            attributes.push(attribute("gen_ai.usage.output_tokens", turn.output));
        }
        self.push(Span {
            trace_id: self.trace.as_bytes().to_vec(),
            span_id: turn.id,
            parent_span_id: self.root.clone(),
            name: named("chat", &self.row.model),
            kind: Kind::Client.into(),
            start_time_unix_nano: nanos(turn.start_ms),
            end_time_unix_nano: nanos(turn.end_ms.max(turn.start_ms)),
            attributes,
            status: None,
        });
    }

    /// The span of the whole invocation.
    fn whole(&self) -> Span {
        let row = &self.row;
        let mut attributes = self.about_the_model("invoke_agent");
        attributes.extend([
            attribute("gen_ai.agent.name", row.provider.as_str()),
            attribute("steroids.invocation.id", row.id.get()),
            attribute("steroids.task.id", row.task.as_str()),
            attribute("steroids.role", row.role.as_str()),
            attribute("steroids.project", self.about.project.as_str()),
        ]);
        if let Some(usage) = &row.usage {
            attributes.extend(usage_of(usage));
        }
        if let Some(code) = row.exit_code {
            attributes.push(attribute("process.exit.code", i64::from(code)));
        }
        if self.dropped > 0 {
            attributes.push(attribute("steroids.dropped_spans", self.dropped));
        }
        let mut status = None;
        if let Phase::Ended {
            status: word,
            outcome,
        } = row.phase
        {
            let outcome = outcome.map_or(word.as_str(), Outcome::as_str);
            attributes.push(attribute("steroids.outcome", outcome));
            if outcome != Outcome::Success.as_str() {
                attributes.push(attribute("error.type", outcome));
                // Why may quote what the provider printed.
                let why = row.error.as_deref().filter(|_| self.about.content);
                status = Some(failed(why.unwrap_or_default()));
            }
        }
        Span {
            trace_id: self.trace.as_bytes().to_vec(),
            span_id: self.root.clone(),
            parent_span_id: Vec::new(),
            name: named("invoke_agent", &row.provider),
            kind: Kind::Internal.into(),
            start_time_unix_nano: nanos(self.start_ms),
            end_time_unix_nano: nanos(self.end_ms),
            attributes,
            status,
        }
    }

    fn about_the_model(&self, operation: &str) -> Vec<KeyValue> {
        let mut attributes = vec![
            attribute("gen_ai.operation.name", operation),
            attribute("gen_ai.provider.name", self.about.maker.as_str()),
        ];
        if !self.row.model.is_empty() {
            let model = attribute("gen_ai.request.model", self.row.model.as_str());
            attributes.push(model);
        }
        if let Some(model) = &self.row.answering_model {
            attributes.push(attribute("gen_ai.response.model", model.as_str()));
        }
        if let Some(session) = &self.row.session_id {
            attributes.push(attribute("gen_ai.conversation.id", session.as_str()));
        }
        attributes
    }

    /// One place is left for the invocation's own.
    fn push(&mut self, span: Span) {
        if self.spans.len() + 1 < MOST {
            self.spans.push(span);
        } else {
            self.dropped += 1;
        }
    }
}

/// The conventions count what caches gave or took as input.
pub(super) fn usage_of(usage: &UsageTotals) -> Vec<KeyValue> {
    let cached = usage.cached_input_tokens;
    let created = usage.cache_creation_tokens;
    let caches = cached.unwrap_or(0).saturating_add(created.unwrap_or(0));
    let input = usage.input_tokens.saturating_add(caches);
    let mut attributes = vec![
        attribute("gen_ai.usage.input_tokens", input),
        attribute("gen_ai.usage.output_tokens", usage.output_tokens),
    ];
    let cached = cached.map(|it| attribute("gen_ai.usage.cache_read.input_tokens", it));
    let created = created.map(|it| attribute("gen_ai.usage.cache_creation.input_tokens", it));
    let cost = usage.total_cost_usd;
    let cost = cost.map(|usd| attribute("steroids.cost_usd", usd));
    attributes.extend(cached.into_iter().chain(created).chain(cost));
    attributes
}

fn failed(why: &str) -> Status {
    Status {
        message: cut(why).to_owned(),
        code: 2,
    }
}

fn named(operation: &str, of: &str) -> String {
    match of {
        "" => operation.to_owned(),
        of => format!("{operation} {of}"),
    }
}

/// A name, or an id, as far as it is kept: some thousand are at once, and a log may be anybody's.
fn short(text: &str) -> &str {
    &text[..text.floor_char_boundary(NAME)]
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(CONTENT)]
}

fn nanos(ms: u64) -> u64 {
    ms.saturating_mul(1_000_000)
}

/// Follows from the invocation and the line, so that it is the same in every attempt.
fn span_id(uuid: Uuid, what: &str, line: u64) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(uuid.as_bytes());
    hash.update(what.as_bytes());
    hash.update(line.to_be_bytes());
    hash.finalize()[..8].to_vec()
}

#[cfg(test)]
mod tests;
