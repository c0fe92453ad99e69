//! What each type of activity says to a person. Reads leniently: a field that is missing or of
//! another type is left out, and a type nobody knows is shown as it is.

use serde_json::{Map, Value};

use crate::exit::Exit;
use crate::format;
use crate::terminal::Style;

/// Lines of a command that are shown; scripts may be long.
const COMMAND_LINES: usize = 12;
/// Lines of what a failed tool said that are shown.
const FAILURE_LINES: usize = 8;
/// Characters of an unknown event that are shown.
const UNKNOWN_CHARS: usize = 200;

/// The fields of a line.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// A text that is not empty.
    pub(super) fn text(self, key: &str) -> Option<&'a str> {
        self.0.get(key)?.as_str().filter(|text| !text.is_empty())
    }

    fn number(self, key: &str) -> Option<i64> {
        let value = self.0.get(key)?;
        value
            .as_i64()
            .or_else(|| value.as_f64().map(|number| number as i64))
    }

    pub(super) fn flag(self, key: &str) -> Option<bool> {
        self.0.get(key)?.as_bool()
    }

    fn fields(self, key: &str) -> Option<Fields<'a>> {
        self.0.get(key)?.as_object().map(Fields)
    }
}

/// What is shown of an activity: a word, and texts that each begin on a line of their own.
pub(super) struct Body {
    pub(super) word: String,
    pub(super) word_style: Style,
    pub(super) parts: Vec<(String, Style)>,
}

impl Body {
    pub(super) fn new(word: impl Into<String>, word_style: Style) -> Self {
        Body {
            word: word.into(),
            word_style,
            parts: Vec::new(),
        }
    }

    pub(super) fn text(self, text: impl Into<String>) -> Self {
        self.styled(text, Style::Plain)
    }

    fn styled(mut self, text: impl Into<String>, style: Style) -> Self {
        self.parts.push((text.into(), style));
        self
    }

    fn maybe(self, text: Option<&str>, style: Style) -> Self {
        match text {
            Some(text) => self.styled(text, style),
            None => self,
        }
    }

    /// Adds to the first text what it belongs to.
    pub(super) fn aside(mut self, text: &str) -> Self {
        match self.parts.first_mut() {
            Some((first, _)) => *first = join([Some(first.clone()), Some(text.to_owned())]),
            None => self.parts.push((text.to_owned(), Style::Plain)),
        }
        self
    }
}

/// How an invocation ended, from its terminal line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    outcome: String,
}

impl Ending {
    /// Reads a terminal line. Lines of the older tool have no outcome, but say whether they succeeded.
    pub(crate) fn of(kind: &str, line: &[u8]) -> Option<Ending> {
        if !matches!(kind, "complete" | "error") {
            return None;
        }
        let parsed: Value = serde_json::from_slice(line).unwrap_or_default();
        let outcome = match parsed.get("outcome").and_then(Value::as_str) {
            Some(outcome) => outcome,
            None if parsed.get("success").and_then(Value::as_bool) == Some(true) => "success",
            None if parsed.get("timedOut").and_then(Value::as_bool) == Some(true) => "timeout_wall",
            None => "failed",
        };
        Some(Ending {
            outcome: outcome.to_owned(),
        })
    }

    /// The exit code that tells a script so.
    pub(crate) fn exit(&self) -> Exit {
        Exit::of_outcome(&self.outcome)
    }
}

/// What is shown of an activity of this type, and how much of its text the log does not have.
pub(super) fn body(kind: &str, it: Fields<'_>) -> Body {
    let body = whole(kind, it);
    match it.number("truncatedBytes").filter(|cut| *cut > 0) {
        Some(cut) => body.styled(
            format!("… {} more were cut", format::bytes(cut)),
            Style::Warn,
        ),
        None => body,
    }
}

fn whole(kind: &str, it: Fields<'_>) -> Body {
    let msg = it.text("msg");
    match kind {
        "start" => Body::new(kind, Style::Dim).text(started(it)),
        "invocation.started" => Body::new("started", Style::Bold).styled(started(it), Style::Bold),
        "session" => {
            let version = it
                .text("providerVersion")
                .map(|version| format!("version {version}"));
            Body::new(kind, Style::Dim).styled(
                join([it.text("sessionId").map(str::to_owned), version]),
                Style::Dim,
            )
        }
        "tool" => tool(it),
        "tool_result" => tool_result(it),
        "output" if it.text("stream") == Some("stderr") => {
            Body::new("stderr", Style::Warn).maybe(msg, Style::Plain)
        }
        "output" => Body::new(kind, Style::Plain).maybe(msg, Style::Plain),
        "thinking" => Body::new(kind, Style::Dim).maybe(msg, Style::Dim),
        "plan" => plan(it),
        "retry" => retry(it),
        "notice" => {
            let (word, style) = match it.text("level") {
                Some("error") => ("error!", Style::Bad),
                Some("warn") => ("warning", Style::Warn),
                _ => ("notice", Style::Plain),
            };
            Body::new(word, style).maybe(msg, Style::Plain)
        }
        "input" => Body::new(kind, Style::Bold).maybe(msg, Style::Plain),
        "unknown" => unknown(it),
        "complete" | "error" | "invocation.completed" => completed(it),
        "gap" => Body::new(kind, Style::Warn).styled(gap(it), Style::Warn),
        _ => Body::new(kind, Style::Dim).maybe(msg.or(it.text("message")), Style::Plain),
    }
}

/// Input and output tokens; all input counts, also that of caches.
pub(super) fn tokens(it: Fields<'_>) -> (u64, u64) {
    let number = |key| {
        it.number(key)
            .and_then(|it| u64::try_from(it).ok())
            .unwrap_or(0)
    };
    let input = number("inputTokens")
        .saturating_add(number("cachedInputTokens"))
        .saturating_add(number("cacheCreationTokens"));
    (input, number("outputTokens"))
}

fn started(it: Fields<'_>) -> String {
    let provider = it.text("provider").map(|provider| match it.text("model") {
        Some(model) => format!("{provider} {model}"),
        None => provider.to_owned(),
    });
    let resumed = (it.text("mode") == Some("resume")).then(|| "resumed".to_owned());
    join([
        it.text("role").map(str::to_owned),
        provider,
        resumed,
        it.text("cwd").map(str::to_owned),
    ])
}

fn tool(it: Fields<'_>) -> Body {
    let cmd = it.text("cmd").or(it.text("name")).unwrap_or("?");
    let within = it.text("parentCallId").is_some();
    let word = if within { "· tool" } else { "tool" };
    Body::new(word, Style::Accent).styled(first_lines(cmd, COMMAND_LINES), Style::Accent)
}

fn tool_result(it: Fields<'_>) -> Body {
    let ok = it.flag("ok");
    let (word, style) = match ok {
        Some(false) => ("  failed", Style::Bad),
        _ => ("  ok", Style::Good),
    };
    let exit = it
        .number("exitCode")
        .filter(|code| *code != 0)
        .map(|code| format!("exit {code}"));
    let facts = join([exit, it.number("duration").map(format::duration)]);
    let body = Body::new(word, style).styled(facts, Style::Dim);
    match (ok, it.text("msg")) {
        (Some(false), Some(msg)) => body.styled(first_lines(msg, FAILURE_LINES), Style::Dim),
        _ => body,
    }
}

fn plan(it: Fields<'_>) -> Body {
    let items = it.0.get("items").and_then(Value::as_array);
    let mut body = Body::new("plan", Style::Plain);
    for item in items
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .map(Fields)
    {
        let (mark, style) = match item.text("status") {
            Some("completed") => ("[x]", Style::Dim),
            Some("in_progress") => ("[>]", Style::Bold),
            _ => ("[ ]", Style::Plain),
        };
        body = body.styled(
            format!("{mark} {}", item.text("text").unwrap_or_default()),
            style,
        );
    }
    body
}

fn retry(it: Fields<'_>) -> Body {
    let attempt = it
        .number("attempt")
        .map(|attempt| format!("attempt {attempt}"));
    let delay = it
        .number("delay")
        .map(|delay| format!("in {}", format::duration(delay)));
    let what = join([it.text("reason").map(str::to_owned), attempt, delay]);
    Body::new("retry", Style::Warn)
        .styled(what, Style::Warn)
        .maybe(it.text("msg"), Style::Dim)
}

fn unknown(it: Fields<'_>) -> Body {
    let data = match it.0.get("data") {
        Some(Value::String(text)) => text.clone(),
        Some(data) => data.to_string(),
        None => String::new(),
    };
    let mut shown: String = data.chars().take(UNKNOWN_CHARS).collect();
    if shown.len() < data.len() {
        shown.push('…');
    }
    let text = join([it.text("name").map(str::to_owned), Some(shown)]);
    Body::new("unknown", Style::Dim).styled(text, Style::Dim)
}

fn completed(it: Fields<'_>) -> Body {
    let success = it.flag("success") == Some(true);
    let outcome = it
        .text("outcome")
        .unwrap_or(match (success, it.flag("timedOut")) {
            (true, _) => "success",
            (false, Some(true)) => "timed out",
            (false, _) => "failed",
        });
    let style = if outcome == "success" {
        Style::Good
    } else {
        Style::Bad
    };
    let exit = it
        .number("exitCode")
        .filter(|code| *code != 0)
        .map(|code| format!("exit {code}"));
    let forced = (it.flag("exitForced") == Some(true)).then(|| "exit forced".to_owned());
    let leftovers = it
        .number("leftovers")
        .filter(|count| *count > 0)
        .map(|count| match count {
            1 => "1 left-over process killed".to_owned(),
            _ => format!("{count} left-over processes killed"),
        });
    let standing = match it.flag("started") {
        Some(false) => format!("before it was started: {outcome}"),
        _ => outcome.to_owned(),
    };
    let asked = it
        .number("queuedAtMs")
        .map(|at| format!("asked for at {}", format::clock(at)));
    let facts = join([
        Some(standing),
        asked,
        it.number("duration").map(format::duration),
        exit,
        it.text("signal").map(str::to_owned),
        it.fields("usage").and_then(spent_in_all),
        forced,
        leftovers,
    ]);
    let word = if outcome == "success" {
        "done"
    } else {
        "ended"
    };
    // Where a CLI gave no reason, the reason is the exit code once more.
    let same = it
        .number("exitCode")
        .map(|code| format!("exit code {code}"));
    let error = it
        .text("error")
        .filter(|error| same.as_deref() != Some(*error));
    Body::new(word, style)
        .styled(facts, Style::Bold)
        .maybe(error, style)
}

/// Nothing where nothing was spent: it never came to that.
fn spent_in_all(usage: Fields<'_>) -> Option<String> {
    let (input, output) = tokens(usage);
    if input == 0 && output == 0 {
        return None;
    }
    let amount = format!("{} in, {} out", format::count(input), format::count(output));
    let cost = usage.0.get("totalCostUsd").and_then(Value::as_f64);
    // What was used after it was stated is not in it.
    let more = match usage.number("uncostedTokens") {
        Some(1..) => " and more",
        _ => "",
    };
    let cost = cost.map(|usd| format!("{}{more}", format::cost(usd)));
    Some(join([Some(amount), cost]))
}

fn gap(it: Fields<'_>) -> String {
    let said = ["msg", "message", "reason", "missing"]
        .into_iter()
        .find_map(|key| it.text(key));
    said.unwrap_or("some lines cannot be given any more; the log goes on from its start")
        .to_owned()
}

fn first_lines(text: &str, most: usize) -> String {
    let lines = text.trim_end_matches('\n').split('\n').count();
    if lines <= most {
        return text.to_owned();
    }
    let kept: Vec<&str> = text.split('\n').take(most - 1).collect();
    format!("{}\n… {} more lines", kept.join("\n"), lines + 1 - most)
}

fn join<const N: usize>(parts: [Option<String>; N]) -> String {
    let parts: Vec<String> = parts
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect();
    parts.join(" · ")
}
