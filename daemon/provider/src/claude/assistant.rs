//! Messages of the model: text, thinking, tool calls. And those that only look like it.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::activity::{Activity, Level, Stamp, Stream, Text};
use crate::bounds::short_id;
use crate::json::{self, Object};
use crate::parser::Sink;
use crate::text::whole;

use super::calls::Purpose;
use super::label::label;
use super::{Json, ignore, notice, unknown};

/// Stands as the model of messages which the CLI wrote itself.
const SYNTHETIC: &str = "<synthetic>";

impl Json {
    pub(super) fn assistant(
        &mut self,
        at: Stamp,
        event: &Object<'_>,
        raw: &RawValue,
        out: &mut dyn Sink,
    ) {
        let Some(message) = event.object("message") else {
            return unknown(at, "assistant", raw, event.is_lossy(), out);
        };
        let parent = event.str("parent_tool_use_id");
        if parent.is_none() {
            self.ending.take_back();
        }
        if message.str("model").as_deref() == Some(SYNTHETIC) {
            return self.synthetic(at, event, &message, out);
        }
        if parent.is_none() {
            self.has_results(&message);
            self.ending.is_let_through();
            if let Some(model) = message.str("model") {
                self.model = Some(short_id(&model).to_owned());
            }
        }
        let understood = match message.text("content") {
            Some(text) => {
                self.text(at, text, parent.as_deref(), out);
                true
            }
            None => message.each("content", |block| {
                self.block(at, block, event.is_lossy(), parent.as_deref(), out);
            }),
        };
        if !understood {
            return unknown(at, "assistant", raw, event.is_lossy(), out);
        }
        if let Some(usage) = self.tokens.message(&message) {
            out.activity(at, &Activity::Usage(usage));
        }
    }

    /// The next message comes once every call of the one before has its result, also the one that was missed.
    fn has_results(&mut self, message: &Object<'_>) {
        let id = message.str("id");
        if id.is_some() && id.as_deref().map(short_id) == self.message.as_deref() {
            return;
        }
        if std::mem::take(&mut self.missed) {
            self.calls.end_turn();
        }
        self.message = id.map(|id| short_id(&id).to_owned());
    }

    fn block(
        &mut self,
        at: Stamp,
        raw: &RawValue,
        lossy: bool,
        parent: Option<&str>,
        out: &mut dyn Sink,
    ) {
        let Some(block) = Object::parse(raw, lossy) else {
            return unknown(at, "assistant", raw, lossy, out);
        };
        let kind = block.str("type").unwrap_or_default();
        match (&*kind, block.text("text"), block.text("thinking")) {
            ("text", Some(text), _) => self.text(at, text, parent, out),
            ("thinking", _, Some(msg)) if msg.text.is_empty() => out.ignored(&ignore::EMPTY_BLOCK),
            ("thinking", _, Some(msg)) => out.activity(at, &Activity::Thinking { msg }),
            ("redacted_thinking", ..) => {
                notice(
                    at,
                    Level::Info,
                    whole("thinking, not shown by the provider"),
                    out,
                );
            }
            ("tool_use", ..) => self.tool_use(at, &block, parent, out),
            _ => unknown(at, &format!("assistant/{kind}"), raw, lossy, out),
        }
    }

    /// A subagent's text is shown, but is no part of the answer.
    fn text(&mut self, at: Stamp, msg: Text<'_>, parent: Option<&str>, out: &mut dyn Sink) {
        if msg.text.is_empty() {
            return out.ignored(&ignore::EMPTY_BLOCK);
        }
        if parent.is_none() {
            self.answer.push_line(&msg.text);
        }
        let stream = Stream::Stdout;
        out.activity(at, &Activity::Output { stream, msg });
    }

    fn tool_use(
        &mut self,
        at: Stamp,
        block: &Object<'_>,
        parent: Option<&str>,
        out: &mut dyn Sink,
    ) {
        let name = block.str("name").unwrap_or_default();
        let id = block.str("id");
        let raw = block.get("input");
        let input = block.object("input").unwrap_or_default();
        let call = id.as_deref().unwrap_or_default();
        // A subagent's plan is its own, and no place is kept for it: it shows as calls.
        if parent.is_none() && self.plan.call(&name, call, &input) {
            self.begin(at, call, parent, Purpose::Plan, false);
            let items = self.plan.items();
            return out.activity(at, &Activity::Plan { items });
        }
        let in_background = input.bool("run_in_background") == Some(true);
        self.begin(at, call, parent, Purpose::Work, in_background);
        let cmd = Text {
            lossy: block.is_lossy(),
            ..whole(label(&name, raw, &input, &self.run))
        };
        out.activity(
            at,
            &Activity::Tool {
                cmd,
                name,
                input: raw.map(Cow::Borrowed),
                call_id: id,
                parent_call_id: parent.map(Cow::Borrowed),
            },
        );
    }

    fn begin(
        &mut self,
        at: Stamp,
        call: &str,
        parent: Option<&str>,
        purpose: Purpose,
        in_background: bool,
    ) {
        // Without an id there is no result to wait for.
        if !call.is_empty() {
            let began_ms = at.mono_ms;
            self.calls
                .begin(call, parent, began_ms, purpose, in_background);
        }
    }

    /// A message that the CLI wrote in the model's place: an error of the API, as a rule.
    fn synthetic(
        &mut self,
        at: Stamp,
        event: &Object<'_>,
        message: &Object<'_>,
        out: &mut dyn Sink,
    ) {
        let text = blocks_text(message, "content").unwrap_or_default();
        let is_error = event
            .get("error")
            .is_some_and(|error| error.get() != "null");
        let is_main = event.str("parent_tool_use_id").is_none();
        match (is_error, is_main) {
            (true, true) => {
                let kind = event.str("error").map(Cow::into_owned);
                self.ending.error(at, kind, &text.text);
                out.held("an error printed as an answer");
            }
            (true, false) => notice(at, Level::Error, text, out),
            (false, _) if text.text.is_empty() => out.ignored(&ignore::EMPTY_BLOCK),
            (false, _) => notice(at, Level::Info, text, out),
        }
    }
}

/// A string, or the texts of a list of blocks; of a block that is none, its type in brackets.
pub(super) fn blocks_text<'a>(object: &Object<'a>, key: &str) -> Option<Text<'a>> {
    if let Some(text) = object.text(key) {
        return Some(text);
    }
    let mut parts: Vec<Text<'a>> = Vec::new();
    let is_list = object.each(key, |raw| {
        let block = Object::parse(raw, object.is_lossy());
        let text = block.as_ref().and_then(|block| block.text("text"));
        parts.push(text.unwrap_or_else(|| {
            let kind = block.and_then(|block| block.str("type"));
            json::text(raw, object.is_lossy())
                .unwrap_or_else(|| whole(format!("[{}]", kind.as_deref().unwrap_or("?"))))
        }));
    });
    if !is_list {
        return None;
    }
    if parts.len() == 1 {
        return parts.pop();
    }
    let lossy = parts.iter().any(|part| part.lossy);
    let texts: Vec<&str> = parts.iter().map(|part| &*part.text).collect();
    Some(Text {
        lossy,
        ..whole(texts.join("\n"))
    })
}
