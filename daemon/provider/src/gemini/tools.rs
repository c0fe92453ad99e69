//! Gemini's tools: what a person wants to read of a call, and plans.

use crate::activity::PlanItem;
use crate::json::Object;
use crate::label;
use crate::plan;
use crate::run::Run;

use serde_json::value::RawValue;

/// The tool that keeps the plan.
pub(super) const WRITE_TODOS: &str = "write_todos";

/// Of a prompt for a subagent or the web, how much is shown.
const PROMPT_LIMIT: usize = 500;

/// What a person wants to read of a call.
pub(super) fn cmd(name: &str, parameters: Option<&RawValue>, run: &Run) -> String {
    parameters
        .and_then(|raw| known(name, &Object::parse(raw, false)?, run))
        .unwrap_or_else(|| label::plain(name, parameters))
}

fn known(name: &str, input: &Object<'_>, run: &Run) -> Option<String> {
    let path = |key: &str| {
        let path = input.str(key)?;
        Some(run.relative(&path).to_owned())
    };
    let labelled = |label: &str, key: &str| Some(format!("{label}: {}", short(&input.str(key)?)));
    let pattern = |label: &str| {
        let place = path("dir_path").or_else(|| path("path"));
        let place = place.map_or_else(String::new, |place| format!(" in {place}"));
        Some(format!("{label} {}{place}", input.str("pattern")?))
    };
    match name {
        "run_shell_command" => Some(input.str("command")?.trim_end().to_owned()),
        "read_file" => Some(format!("Read {}", path("file_path")?)),
        "write_file" => Some(format!("Write {}", path("file_path")?)),
        "replace" => {
            let changes = match (input.str("old_string"), input.str("new_string")) {
                (Some(old), Some(new)) => label::changes(&old, &new),
                _ => String::new(),
            };
            Some(format!("Edit {}{changes}", path("file_path")?))
        }
        "list_directory" => Some(format!("List {}", path("dir_path")?)),
        "glob" => pattern("Glob"),
        "grep_search" | "search_file_content" => pattern("Grep"),
        "web_fetch" => labelled("web fetch", "prompt"),
        "google_web_search" => labelled("web search", "query"),
        "update_topic" => labelled("topic", "title"),
        "invoke_agent" => {
            let agent = input.str("agent_name")?;
            let prompt = input.str("prompt").unwrap_or_default();
            Some(format!("agent {agent}: {}", short(&prompt)))
        }
        _ => None,
    }
}

fn short(prompt: &str) -> String {
    let end = prompt.floor_char_boundary(PROMPT_LIMIT);
    let more = if end < prompt.len() { "…" } else { "" };
    format!("{}{more}", prompt[..end].trim())
}

/// The plan a call writes; `None` if it holds no list.
pub(super) fn plan(parameters: &RawValue) -> Option<Vec<PlanItem>> {
    plan::of_todos(&Object::parse(parameters, false)?, "description")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::PlanStatus;

    fn of(name: &str, parameters: &str) -> String {
        let run = Run {
            cwd: Some("/home/dev/app".to_owned()),
            ..Run::default()
        };
        cmd(name, Some(serde_json::from_str(parameters).unwrap()), &run)
    }

    #[test]
    fn each_tool_is_told_in_few_words() {
        let cases = [
            (
                "run_shell_command",
                r#"{"command":"rg -n TODO src\n"}"#,
                "rg -n TODO src",
            ),
            (
                "read_file",
                r#"{"file_path":"/home/dev/app/src/lib.rs"}"#,
                "Read src/lib.rs",
            ),
            (
                "write_file",
                r#"{"file_path":"a","content":"x"}"#,
                "Write a",
            ),
            (
                "replace",
                r#"{"file_path":"a","old_string":"x\ny","new_string":"x\nz\nw"}"#,
                "Edit a (+2 -1)",
            ),
            ("list_directory", r#"{"dir_path":"src"}"#, "List src"),
            ("glob", r#"{"pattern":"**/*.rs"}"#, "Glob **/*.rs"),
            (
                "grep_search",
                r#"{"pattern":"TODO","dir_path":"src"}"#,
                "Grep TODO in src",
            ),
            (
                "google_web_search",
                r#"{"query":"rust"}"#,
                "web search: rust",
            ),
            (
                "web_fetch",
                r#"{"prompt":"read http://x"}"#,
                "web fetch: read http://x",
            ),
            ("update_topic", r#"{"title":"Trimming"}"#, "topic: Trimming"),
            (
                "invoke_agent",
                r#"{"agent_name":"seer","prompt":"look"}"#,
                "agent seer: look",
            ),
            (
                "read_file",
                r#"{"file_path":7}"#,
                r#"read_file {"file_path":7}"#,
            ),
            ("new_tool", r#"{"a":1}"#, r#"new_tool {"a":1}"#),
            ("new_tool", "[1]", "new_tool [1]"),
        ];
        for (name, parameters, expected) in cases {
            assert_eq!(of(name, parameters), expected);
        }
    }

    #[test]
    fn a_plan_keeps_what_the_log_has_no_word_for() {
        let parameters = r#"{"todos":[{"description":"a","status":"in_progress"},
            {"description":"b","status":"cancelled"},{"status":"completed"}]}"#;
        let items = plan(serde_json::from_str(parameters).unwrap()).unwrap();
        let shown: Vec<_> = items
            .iter()
            .map(|item| (item.text.as_str(), item.status))
            .collect();
        let expected = [
            ("a", PlanStatus::InProgress),
            ("b (cancelled)", PlanStatus::Pending),
            ("", PlanStatus::Completed),
        ];
        assert_eq!(shown, expected);
        assert!(plan(serde_json::from_str(r#"{"todos":"none"}"#).unwrap()).is_none());
    }
}
