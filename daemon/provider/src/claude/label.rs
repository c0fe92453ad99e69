//! The `cmd` of a tool call: what a person wants to read of it.

use serde_json::value::RawValue;

use crate::json::Object;
use crate::label::{changed_lines, plain};
use crate::run::Run;

/// The line for a call of `name`. Paths below the run's working directory are relative to it.
pub(super) fn label(name: &str, raw: Option<&RawValue>, input: &Object<'_>, run: &Run) -> String {
    known(name, input, run).unwrap_or_else(|| plain(name, raw))
}

fn known(name: &str, input: &Object<'_>, run: &Run) -> Option<String> {
    let path = |key: &str| input.str(key).map(|path| run.relative(&path).to_owned());
    let labelled = |label: &str, key: &str| Some(format!("{label}: {}", input.str(key)?));
    match name {
        "Bash" => Some(input.str("command")?.trim_end().to_owned()),
        "Edit" | "MultiEdit" => {
            let changes = changes(input);
            Some(format!("{name} {}{changes}", path("file_path")?))
        }
        "NotebookEdit" => Some(format!("{name} {}", path("notebook_path")?)),
        "Read" | "Write" => Some(format!("{name} {}", path("file_path")?)),
        "Glob" | "Grep" => {
            let place = path("path").map_or_else(String::new, |path| format!(" in {path}"));
            Some(format!("{name} {}{place}", input.str("pattern")?))
        }
        "LS" => Some(format!("{name} {}", path("path")?)),
        "WebFetch" => labelled("web fetch", "url"),
        "WebSearch" => labelled("web search", "query"),
        "Agent" | "Task" => labelled("agent", "description"),
        "Skill" => labelled("skill", "skill"),
        "TaskCreate" => labelled("new task", "subject"),
        "TaskUpdate" => {
            let status = input.str("status").unwrap_or_default();
            Some(
                format!("task #{} {status}", input.str("taskId")?)
                    .trim_end()
                    .to_owned(),
            )
        }
        _ => None,
    }
}

/// ` (+3 -1)`, or nothing where there is nothing to count.
fn changes(input: &Object<'_>) -> String {
    let (mut added, mut removed, mut counted) = (0, 0, false);
    let mut count = |edit: &Object<'_>| {
        if let (Some(old), Some(new)) = (edit.str("old_string"), edit.str("new_string")) {
            let (more, less) = changed_lines(&old, &new);
            added += more;
            removed += less;
            counted = true;
        }
    };
    count(input);
    input.each_object("edits", |edit| count(&edit));
    match (counted, input.bool("replace_all")) {
        (false, _) => String::new(),
        (true, Some(true)) => format!(" (each +{added} -{removed})"),
        (true, _) => format!(" (+{added} -{removed})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, input: &str) -> String {
        let raw: &RawValue = serde_json::from_str(input).unwrap();
        let object = Object::parse(raw, false).unwrap_or_default();
        let run = Run {
            cwd: Some("/home/dev/app".to_owned()),
            ..Run::default()
        };
        label(name, Some(raw), &object, &run)
    }

    #[test]
    fn paths_are_relative_where_they_are_below_the_working_directory() {
        assert_eq!(
            of("Read", r#"{"file_path":"/home/dev/app/src/a.rs"}"#),
            "Read src/a.rs"
        );
        assert_eq!(
            of("Read", r#"{"file_path":"/home/dev/application/a"}"#),
            "Read /home/dev/application/a"
        );
        assert_eq!(
            of("Grep", r#"{"pattern":"x y","path":"/home/dev/app/src"}"#),
            "Grep x y in src"
        );
        assert_eq!(of("LS", r#"{"path":"/home/dev/app"}"#), "LS /home/dev/app");
    }

    #[test]
    fn an_edit_counts_the_lines_it_changes() {
        assert_eq!(
            of(
                "Edit",
                r#"{"file_path":"a","old_string":"x\ny\nz","new_string":"x\n1\n2\n3\nz"}"#
            ),
            "Edit a (+3 -1)"
        );
        assert_eq!(
            of(
                "Edit",
                r#"{"file_path":"a","old_string":"x","new_string":"","replace_all":true}"#
            ),
            "Edit a (each +0 -1)"
        );
        assert_eq!(
            of(
                "MultiEdit",
                r#"{"file_path":"a","edits":[{"old_string":"x","new_string":"y"},{"old_string":"","new_string":"z"}]}"#
            ),
            "MultiEdit a (+2 -1)"
        );
        assert_eq!(of("Edit", r#"{"file_path":"a","old_string":1}"#), "Edit a");
    }

    #[test]
    fn a_tool_nobody_knows_shows_the_beginning_of_its_input() {
        assert_eq!(of("mcp__x__y", "{\"a\":\n1}"), "mcp__x__y {\"a\": 1}");
        assert_eq!(of("TaskList", "{}"), "TaskList");
        assert!(of("Other", &format!("{{\"a\":\"{}\"}}", "é".repeat(500))).len() < 220);
        assert_eq!(
            of("Bash", r#"{"command":["a"]}"#),
            r#"Bash {"command":["a"]}"#
        );
    }
}
