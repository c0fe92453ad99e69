//! An activity as one line of the activity log.
//!
//! `ts` and `type` come first, then the type's fields in the documented order, then what was cut
//! or replaced, and `raw` last. A line never holds a raw newline and never exceeds [`LINE_LIMIT`],
//! because each of its parts has a bound of its own and these add up.

use crate::activity::{
    Activity, Completion, Foreign, Level, Mode, PlanItem, PlanStatus, Stamp, Stream, Text, Tokens,
    Usage,
};
use crate::bounds::TEXT_LIMIT;
use crate::escape::{Taken, push_escaped, push_json};
use crate::evidence::Cause;
use crate::outcome::Outcome;
use crate::signal;

/// Longest line of the activity log, its newline included.
pub const LINE_LIMIT: usize = 1024 * 1024;

/// A text as written: one of control characters alone would be six times its length.
const TEXT_ROOM: usize = 640 * 1024;

/// Names, ids, paths, one-line errors.
const SHORT_LIMIT: usize = 4096;
const SHORT_ROOM: usize = 2 * SHORT_LIMIT;

/// Kept free for the short fields that may follow a value of unknown size.
const RESERVE: usize = 32 * 1024;

/// Appends one JSON object and a newline.
pub fn encode_line(out: &mut Vec<u8>, at: Stamp, activity: &Activity<'_>) {
    let mut line = Writer {
        start: out.len(),
        out,
        taken: Taken::default(),
    };
    line.literal(b"{\"ts\":");
    line.integer(at.wall_ms);
    line.literal(b",\"type\":\"");
    line.literal(type_of(activity).as_bytes());
    line.literal(b"\"");
    fields(&mut line, activity);
    if line.taken.truncated_bytes > 0 {
        line.count("truncatedBytes", line.taken.truncated_bytes);
    }
    if line.taken.lossy {
        line.flag("lossy", true);
    }
    line.count("raw", at.raw);
    line.literal(b"}\n");
}

/// The word in a line's `type`.
pub fn type_of(activity: &Activity<'_>) -> &'static str {
    match activity {
        Activity::Start { .. } => "start",
        Activity::Session { .. } => "session",
        Activity::Tool { .. } => "tool",
        Activity::ToolResult { .. } => "tool_result",
        Activity::Output { .. } => "output",
        Activity::Thinking { .. } => "thinking",
        Activity::Plan { .. } => "plan",
        Activity::Usage(_) => "usage",
        Activity::Retry { .. } => "retry",
        Activity::Notice { .. } => "notice",
        Activity::Input { .. } => "input",
        Activity::Unknown { .. } => "unknown",
        Activity::Complete(_) => "complete",
        Activity::Error { .. } => "error",
    }
}

fn fields(line: &mut Writer<'_>, activity: &Activity<'_>) {
    match activity {
        Activity::Output { stream, msg } => {
            line.literal(match stream {
                Stream::Stdout => b",\"stream\":\"stdout\"",
                Stream::Stderr => b",\"stream\":\"stderr\"",
            });
            line.text("msg", msg);
        }
        Activity::Thinking { msg } | Activity::Input { msg } => line.text("msg", msg),
        Activity::Start { .. } | Activity::Session { .. } => start_fields(line, activity),
        Activity::Tool { .. } | Activity::ToolResult { .. } => tool_fields(line, activity),
        Activity::Plan { items } => line.plan(items),
        Activity::Usage(usage) => {
            line.literal(b",");
            line.usage(usage);
        }
        Activity::Retry {
            reason,
            attempt,
            delay_ms,
            msg,
        } => {
            line.short("reason", reason);
            line.count_if("attempt", attempt.map(u64::from));
            line.count_if("delay", *delay_ms);
            line.text("msg", msg);
        }
        Activity::Notice { level, msg } => {
            line.short("level", level_word(*level));
            line.text("msg", msg);
        }
        Activity::Unknown { name, data } => {
            line.short_if("name", name.as_deref());
            match data {
                Foreign::Json { raw, lossy } => {
                    line.json("data", raw.get());
                    line.taken.lossy |= lossy;
                }
                Foreign::Text(text) => line.text("data", text),
            }
        }
        Activity::Complete(completion) => complete_fields(line, completion),
        Activity::Error { error, outcome } => {
            line.short("error", error);
            line.short("outcome", outcome.as_str());
        }
    }
}

fn start_fields(line: &mut Writer<'_>, activity: &Activity<'_>) {
    match activity {
        Activity::Start {
            role,
            provider,
            model,
            mode,
            cwd,
        } => {
            line.short("role", role);
            line.short("provider", provider);
            line.short("model", model);
            line.short("mode", mode_word(*mode));
            line.short("cwd", cwd);
        }
        Activity::Session {
            session_id,
            provider_version,
        } => {
            line.short("sessionId", session_id);
            line.short_if("providerVersion", provider_version.as_deref());
        }
        _ => {}
    }
}

fn tool_fields(line: &mut Writer<'_>, activity: &Activity<'_>) {
    match activity {
        Activity::Tool {
            cmd,
            name,
            input,
            call_id,
            parent_call_id,
        } => {
            line.text("cmd", cmd);
            line.short("name", name);
            if let Some(input) = input {
                line.json("input", input.get());
            }
            line.short_if("callId", call_id.as_deref());
            line.short_if("parentCallId", parent_call_id.as_deref());
        }
        Activity::ToolResult {
            call_id,
            ok,
            exit_code,
            duration_ms,
            msg,
        } => {
            line.short("callId", call_id);
            line.flag("ok", *ok);
            if let Some(code) = exit_code {
                line.signed("exitCode", *code);
            }
            line.count_if("duration", *duration_ms);
            if let Some(msg) = msg {
                line.text("msg", msg);
            }
        }
        _ => {}
    }
}

fn complete_fields(line: &mut Writer<'_>, completion: &Completion) {
    let outcome = completion.outcome;
    line.flag("success", outcome.is_success());
    line.count("duration", completion.duration_ms);
    match completion.exit_code {
        Some(code) => line.signed("exitCode", code),
        None => line.literal(b",\"exitCode\":null"),
    }
    let signal = completion.signal.map(signal::name);
    line.short_if("signal", signal.as_deref());
    let timed_out = matches!(outcome, Outcome::TimeoutWall | Outcome::TimeoutSilence);
    line.flag("timedOut", timed_out);
    line.short("outcome", outcome.as_str());
    line.short_if("error", completion.error.as_deref());
    if completion.exit_forced {
        line.flag("exitForced", true);
    }
    line.short_if("sessionId", completion.session_id.as_deref());
    if let Some(usage) = &completion.usage {
        line.literal(b",\"usage\":{");
        line.usage(usage);
        line.literal(b"}");
    }
    if completion.leftovers > 0 {
        line.count("leftovers", completion.leftovers.into());
    }
    // Before 1970 nothing resets.
    let resets_at = completion.resets_at_ms;
    line.count_if("resetsAt", resets_at.and_then(|at| u64::try_from(at).ok()));
    line.count_if("httpStatus", completion.http_status.map(u64::from));
    line.short_if("cause", completion.cause.map(Cause::as_str));
    line.count_if("peakMemoryBytes", completion.used.peak_memory_bytes);
    line.count_if("cpuMs", completion.used.cpu_ms);
}

fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Fresh => "fresh",
        Mode::Resume => "resume",
    }
}

fn level_word(level: Level) -> &'static str {
    match level {
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

fn status_word(status: PlanStatus) -> &'static str {
    match status {
        PlanStatus::Pending => "pending",
        PlanStatus::InProgress => "in_progress",
        PlanStatus::Completed => "completed",
    }
}

/// Writes one line's fields, and sums up what did not go in.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    taken: Taken,
}

// === impl Writer ===

impl Writer<'_> {
    fn literal(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn key(&mut self, key: &str) {
        self.literal(b",\"");
        self.literal(key.as_bytes());
        self.literal(b"\":");
    }

    fn integer(&mut self, number: u64) {
        self.literal(itoa::Buffer::new().format(number).as_bytes());
    }

    fn count(&mut self, key: &str, number: u64) {
        self.key(key);
        self.integer(number);
    }

    fn count_if(&mut self, key: &str, number: Option<u64>) {
        if let Some(number) = number {
            self.count(key, number);
        }
    }

    fn signed(&mut self, key: &str, number: i32) {
        self.key(key);
        self.literal(itoa::Buffer::new().format(number).as_bytes());
    }

    fn flag(&mut self, key: &str, value: bool) {
        self.key(key);
        self.literal(if value { b"true" } else { b"false" });
    }

    fn string(&mut self, text: &str, limit: usize, room: usize) {
        self.literal(b"\"");
        let within = &text[..text.floor_char_boundary(limit)];
        let written = push_escaped(self.out, within, room);
        self.literal(b"\"");
        self.taken.truncated_bytes += (text.len() - written) as u64;
    }

    fn short(&mut self, key: &str, text: &str) {
        self.key(key);
        self.string(text, SHORT_LIMIT, SHORT_ROOM);
    }

    fn short_if(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.short(key, text);
        }
    }

    fn text(&mut self, key: &str, text: &Text<'_>) {
        self.key(key);
        self.string(&text.text, TEXT_LIMIT, TEXT_ROOM);
        self.taken.truncated_bytes += text.truncated_bytes;
        self.taken.lossy |= text.lossy;
    }

    fn json(&mut self, key: &str, json: &str) {
        self.key(key);
        let room = self.room();
        let taken = push_json(self.out, json, room);
        self.taken.truncated_bytes += taken.truncated_bytes;
        self.taken.lossy |= taken.lossy;
    }

    /// What a value of unknown size may still take of the line.
    fn room(&self) -> usize {
        (LINE_LIMIT - RESERVE).saturating_sub(self.out.len() - self.start)
    }

    fn plan(&mut self, items: &[PlanItem]) {
        self.literal(b",\"items\":[");
        let mut first = true;
        for item in items {
            if self.room() < 2 * SHORT_ROOM {
                self.taken.truncated_bytes += item.text.len() as u64;
                continue;
            }
            self.literal(if first { b"{\"text\":" } else { b",{\"text\":" });
            first = false;
            self.string(&item.text, SHORT_LIMIT, SHORT_ROOM);
            self.literal(b",\"status\":\"");
            self.literal(status_word(item.status).as_bytes());
            self.literal(b"\"}");
        }
        self.literal(b"]");
    }

    /// The fields of a usage, without a comma before them.
    fn usage(&mut self, usage: &Usage) {
        self.literal(b"\"inputTokens\":");
        self.integer(usage.input_tokens);
        self.count("outputTokens", usage.output_tokens);
        self.count_if("cachedInputTokens", usage.cached_input_tokens);
        self.count_if("cacheCreationTokens", usage.cache_creation_tokens);
        // A cost that is no number is no cost: JSON has no word for it.
        if let Some(number) = usage.total_cost_usd.and_then(serde_json::Number::from_f64) {
            self.key("totalCostUsd");
            self.literal(number.to_string().as_bytes());
        }
        if usage.uncosted != Tokens::default() {
            self.count("uncostedTokens", usage.uncosted.all());
        }
        self.flag("total", usage.total);
        if usage.cumulative {
            self.flag("cumulative", true);
        }
    }
}

#[cfg(test)]
mod tests;
