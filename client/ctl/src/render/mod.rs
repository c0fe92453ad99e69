//! How activities look to a person: one aligned line each, `time  what  text`, the text's further
//! lines below its first. `activity` knows what the fields of each type mean; here is the layout.

mod activity;

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};

use serde_json::Value;
use steroids_client::v1::Event;

pub(crate) use self::activity::Ending;
use self::activity::{Body, Fields};
use crate::clean::{clean, clean_line};
use crate::format::{clock, count, day, now_ms};
use crate::terminal::Style;

/// Width of the word that says what a line is.
const WORD: usize = 9;
/// No word of ours is near as long.
const LONGEST_WORD: usize = 40;
/// Open calls remembered to name them when they end; the oldest is forgotten beyond it.
const CALLS: usize = 64;

/// What stands before each line, where a stream holds more than one invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefix {
    /// One invocation: nothing.
    None,
    /// Several of one project: `#12`.
    Invocation,
    /// Several projects: `app#12`.
    Project,
}

/// Turns events into lines; remembers open tool calls and what was spent.
pub(crate) struct Renderer {
    colour: bool,
    raw: bool,
    prefix: Prefix,
    calls: Calls,
    spent: Spent,
    /// The day of the line before; lines have only the time of day.
    day: String,
}

impl Renderer {
    /// A renderer at the beginning of a stream; `raw` leaves control bytes in.
    pub(crate) fn new(colour: bool, raw: bool, prefix: Prefix) -> Self {
        Renderer {
            colour,
            raw,
            prefix,
            calls: Calls::default(),
            spent: Spent::default(),
            day: day(now_ms()),
        }
    }

    /// The lines of one event, each with its newline; before them its day, if that is not the one
    /// of the event before, or today.
    pub(crate) fn event(&mut self, event: &Event) -> String {
        let text = self.lines(event);
        let day = day(event.ts);
        if text.is_empty() || day == self.day {
            return text;
        }
        let heading = Style::Dim.paint(self.colour, &day);
        self.day = day;
        format!("{heading}\n{text}")
    }

    fn lines(&mut self, event: &Event) -> String {
        let prefix = match self.prefix {
            Prefix::None => String::new(),
            Prefix::Invocation => format!("#{} ", event.invocation_id),
            Prefix::Project => {
                let name = event.project.rsplit('/').next().unwrap_or_default();
                format!("{name}#{} ", event.invocation_id)
            }
        };
        match serde_json::from_slice::<Value>(&event.line) {
            Ok(Value::Object(fields)) => {
                let fields = Fields(&fields);
                self.spent.add(event.invocation_id, &event.r#type, fields);
                if event.r#type == "usage" {
                    // As often as the agent speaks; the status has the sum, the last line the total.
                    return String::new();
                }
                let body = activity::body(&event.r#type, fields);
                let body = self.calls.follow(event, fields, body);
                self.lay_out(event.ts, &prefix, &body)
            }
            // Not a line of ours: the log of another tool, or one that was damaged.
            _ => {
                let text = String::from_utf8_lossy(&event.line).into_owned();
                self.lay_out(
                    event.ts,
                    &prefix,
                    &Body::new("output", Style::Plain).text(text),
                )
            }
        }
    }

    /// The lines of one entry of a timeline.
    pub(crate) fn entry(&mut self, line: &[u8]) -> String {
        let parsed: Value = serde_json::from_slice(line).unwrap_or_default();
        let number = |key: &str| parsed.get(key).and_then(Value::as_i64).unwrap_or_default();
        let word = parsed
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if matches!(word, "start" | "complete" | "error") {
            // The timeline's own entries, before and after them, say the same.
            return String::new();
        }
        self.event(&Event {
            cursor: String::new(),
            invocation_id: number("invocationId"),
            ts: number("ts"),
            r#type: word.to_owned(),
            line: line.to_vec().into(),
            project: String::new(),
        })
    }

    /// What goes on just now, for the line that shows that waiting goes on.
    pub(crate) fn status(&self) -> String {
        let mut parts = Vec::new();
        if self.spent.input + self.spent.output > 0 {
            parts.push(format!(
                "{} in, {} out",
                count(self.spent.input),
                count(self.spent.output)
            ));
        }
        parts.extend(self.calls.newest().map(clean_line));
        parts.join(" · ")
    }

    /// Of a type that is not known here it is whatever stands in the line.
    fn word<'a>(&self, word: &'a str) -> Cow<'a, str> {
        match self.raw {
            true => word.into(),
            false => clean_line(word).chars().take(LONGEST_WORD).collect(),
        }
    }

    fn lay_out(&self, ts: i64, prefix: &str, body: &Body) -> String {
        let indent = " ".repeat(8 + 2 + prefix.len() + WORD + 1);
        let time = Style::Dim.paint(self.colour, clock(ts));
        let prefix = Style::Dim.paint(self.colour, prefix);
        let word = body
            .word_style
            .paint(self.colour, format!("{:<WORD$}", self.word(&body.word)));
        let mut text = format!("{time}  {prefix}{word} ");
        let mut first = true;
        for (part, style) in &body.parts {
            let part = if self.raw {
                part.as_str().into()
            } else {
                clean(part)
            };
            for line in part.trim_end_matches('\n').split('\n') {
                if !first {
                    text.push_str(&indent);
                }
                first = false;
                text.push_str(&style.paint(self.colour && !line.is_empty(), line));
                trim_end(&mut text);
                text.push('\n');
            }
        }
        if first {
            trim_end(&mut text);
            text.push('\n');
        }
        text
    }
}

fn trim_end(text: &mut String) {
    text.truncate(text.trim_end_matches(' ').len());
}

/// Open tool calls, so that a result that does not follow its call directly names it.
#[derive(Default)]
struct Calls {
    open: VecDeque<((i64, String), String)>,
    last: Option<(i64, String)>,
}

impl Calls {
    fn follow(&mut self, event: &Event, fields: Fields<'_>, body: Body) -> Body {
        let call = fields
            .text("callId")
            .map(|id| (event.invocation_id, id.to_owned()));
        match event.r#type.as_str() {
            "tool" => {
                self.last.clone_from(&call);
                if let Some(call) = call {
                    let cmd = fields.text("cmd").unwrap_or_default();
                    let first = cmd.lines().next().unwrap_or_default();
                    if self.open.len() == CALLS {
                        self.open.pop_front();
                    }
                    self.open.push_back((call, first.to_owned()));
                }
                body
            }
            "tool_result" => {
                let at = self
                    .open
                    .iter()
                    .position(|(open, _)| Some(open) == call.as_ref());
                let cmd = at.and_then(|at| self.open.remove(at)).map(|(_, cmd)| cmd);
                let directly = self.last.is_some() && self.last == call;
                self.last = None;
                match cmd {
                    Some(cmd) if !directly => body.aside(&cmd),
                    _ => body,
                }
            }
            "complete" | "error" => {
                self.open
                    .retain(|((invocation, _), _)| *invocation != event.invocation_id);
                body
            }
            _ => {
                self.last = None;
                body
            }
        }
    }

    fn newest(&self) -> Option<&str> {
        self.open.back().map(|(_, cmd)| cmd.as_str())
    }
}

/// Tokens so far, of all invocations seen.
#[derive(Default)]
struct Spent {
    by_invocation: HashMap<i64, (u64, u64)>,
    input: u64,
    output: u64,
}

impl Spent {
    fn add(&mut self, invocation: i64, kind: &str, fields: Fields<'_>) {
        if kind != "usage" {
            return;
        }
        let (input, output) = activity::tokens(fields);
        let sum = self.by_invocation.entry(invocation).or_default();
        let before = *sum;
        if fields.flag("total") == Some(true) {
            *sum = (input, output);
        } else {
            *sum = (sum.0.saturating_add(input), sum.1.saturating_add(output));
        }
        self.input = self.input.saturating_sub(before.0).saturating_add(sum.0);
        self.output = self.output.saturating_sub(before.1).saturating_add(sum.1);
    }
}

#[cfg(test)]
mod tests;
