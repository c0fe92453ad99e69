//! The items of codex's event stream that are tools: what a person wants to read of each, and how
//! it ended.

use std::borrow::Cow;

use crate::activity::{PlanItem, PlanStatus, Text};
use crate::codex::shell;
use crate::json::{self, Object};
use crate::label;
use crate::run::Run;
use crate::text;

use serde_json::value::RawValue;

/// A tool call as an item describes it.
pub(super) struct Call<'a> {
    pub(super) cmd: Text<'a>,
    pub(super) name: Cow<'a, str>,
    pub(super) input: Option<&'a RawValue>,
}

/// How it ended.
pub(super) struct Ended<'a> {
    pub(super) ok: bool,
    pub(super) exit_code: Option<i32>,
    pub(super) msg: Option<Text<'a>>,
}

/// Reads an item as a tool call; `None` if it is no tool, or not as it should be.
pub(super) fn call<'a>(kind: &str, item: &Object<'a>, run: &Run) -> Option<Call<'a>> {
    match kind {
        "command_execution" => command(item),
        "file_change" => file_change(item, run),
        "web_search" => Some(web_search(item)),
        "mcp_tool_call" => mcp_call(item),
        "collab_tool_call" => collab_call(item),
        _ => None,
    }
}

/// Reads how the tool call of an item ended.
pub(super) fn ended<'a>(kind: &str, item: &Object<'a>) -> Ended<'a> {
    let status = item.str("status");
    let exit_code = item.i64("exit_code").and_then(|code| code.try_into().ok());
    Ended {
        // A search has no status; it is over when it is over.
        ok: match exit_code {
            Some(code) => code == 0,
            None => matches!(status.as_deref(), Some("completed") | None),
        },
        exit_code,
        msg: match kind {
            "command_execution" => item.text("aggregated_output"),
            "mcp_tool_call" => mcp_answer(item),
            "collab_tool_call" => agents(item),
            _ => None,
        }
        .filter(|msg| !msg.text.is_empty()),
    }
}

/// Reads a plan; `None` if there is no list of items.
pub(super) fn plan(item: &Object<'_>) -> Option<Vec<PlanItem>> {
    let mut items = Vec::new();
    item.each_object("items", |step| {
        items.push(PlanItem {
            text: step.str("text").unwrap_or_default().into_owned(),
            status: match step.bool("completed") {
                Some(true) => PlanStatus::Completed,
                _ => PlanStatus::Pending,
            },
        });
    })
    .then_some(items)
}

fn command<'a>(item: &Object<'a>) -> Option<Call<'a>> {
    let printed = item.text("command")?;
    let cmd = match shell::unwrapped(&printed.text) {
        Cow::Owned(script) => Text {
            text: Cow::Owned(script),
            ..printed
        },
        Cow::Borrowed(_) => printed,
    };
    Some(Call {
        cmd,
        name: Cow::Borrowed("command_execution"),
        input: None,
    })
}

/// `Edit src/lib.rs, src/main.rs; Write notes/done.txt`.
fn file_change<'a>(item: &Object<'a>, run: &Run) -> Option<Call<'a>> {
    let changes = item.get("changes")?;
    let mut by_verb: Vec<(&str, Vec<String>)> = Vec::new();
    item.each_object("changes", |change| {
        let verb = match change.str("kind").as_deref() {
            Some("add") => "Write",
            Some("delete") => "Delete",
            _ => "Edit",
        };
        let path = change.str("path").unwrap_or_default();
        let path = run.relative(&path).to_owned();
        match by_verb.iter_mut().find(|(known, _)| *known == verb) {
            Some((_, paths)) => paths.push(path),
            None => by_verb.push((verb, vec![path])),
        }
    });
    let verbs: Vec<String> = by_verb
        .iter()
        .map(|(verb, paths)| format!("{verb} {}", paths.join(", ")))
        .collect();
    (!verbs.is_empty()).then(|| Call {
        cmd: text::whole(verbs.join("; ")),
        name: Cow::Borrowed("file_change"),
        input: Some(changes),
    })
}

/// What it looks for, or at.
pub(super) fn web_detail<'a>(item: &Object<'a>) -> Option<Cow<'a, str>> {
    let action = item.object("action");
    let of_action = |key| action.as_ref().and_then(|action| action.str(key));
    item.str("query")
        .filter(|query| !query.is_empty())
        .or_else(|| of_action("query"))
        .or_else(|| of_action("url"))
        .filter(|detail| !detail.is_empty())
}

fn web_search<'a>(item: &Object<'a>) -> Call<'a> {
    Call {
        cmd: text::whole(match web_detail(item) {
            Some(detail) => Cow::Owned(format!("web search: {detail}")),
            None => Cow::Borrowed("web search"),
        }),
        name: Cow::Borrowed("web_search"),
        input: item.get("action"),
    }
}

fn mcp_call<'a>(item: &Object<'a>) -> Option<Call<'a>> {
    let name = format!("{}.{}", item.str("server")?, item.str("tool")?);
    let input = item.get("arguments").filter(|raw| raw.get() != "null");
    Some(Call {
        cmd: text::whole(label::plain(&name, input)),
        name: Cow::Owned(name),
        input,
    })
}

fn mcp_answer<'a>(item: &Object<'a>) -> Option<Text<'a>> {
    if let Some(message) = item.object("error").and_then(|error| error.text("message")) {
        return Some(message);
    }
    let mut parts = Vec::new();
    item.object("result")?.each("content", |block| {
        let text = Object::parse(block, item.is_lossy()).and_then(|block| block.str("text"));
        parts.push(text.unwrap_or(Cow::Borrowed(block.get())));
    });
    Some(text::whole(parts.join("\n")))
}

fn collab_call<'a>(item: &Object<'a>) -> Option<Call<'a>> {
    let name = item.str("tool")?;
    let mut agents = Vec::new();
    item.each("receiver_thread_ids", |id| {
        agents.extend(json::text(id, false).map(|id| id.text));
    });
    let detail = item
        .str("prompt")
        .filter(|prompt| !prompt.is_empty())
        .unwrap_or_else(|| Cow::Owned(agents.join(", ")));
    Some(Call {
        cmd: text::whole(if detail.is_empty() {
            name.clone().into_owned()
        } else {
            format!("{name}: {detail}")
        }),
        name,
        input: None,
    })
}

/// `completed: what it answered`, one agent a line.
fn agents<'a>(item: &Object<'a>) -> Option<Text<'a>> {
    let states = item.object("agents_states")?;
    let lines: Vec<String> = states
        .iter()
        .map(|(_, raw)| {
            let state = Object::parse(raw, item.is_lossy()).unwrap_or_default();
            let status = state.str("status").unwrap_or(Cow::Borrowed(raw.get()));
            match state.str("message") {
                Some(message) => format!("{status}: {message}"),
                None => status.into_owned(),
            }
        })
        .collect();
    Some(text::whole(lines.join("\n")))
}
