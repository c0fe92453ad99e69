//! opencode's tools: what a person wants to read of a call, how it went, and plans.

use serde_json::value::RawValue;

use crate::activity::PlanItem;
use crate::json::Object;
use crate::label;
use crate::plan;
use crate::run::Run;

/// The tool that keeps the plan.
const TODO_WRITE: &str = "todowrite";

/// What a patch calls the files it changes.
const PATCHED: [&str; 3] = ["*** Update File: ", "*** Add File: ", "*** Delete File: "];

/// Files of a patch that are named.
const FILES: usize = 5;

/// A call's `state`.
pub(super) struct Call<'a> {
    pub(super) name: &'a str,
    pub(super) raw: Option<&'a RawValue>,
    input: Object<'a>,
    metadata: Object<'a>,
    title: String,
}

impl<'a> Call<'a> {
    pub(super) fn new(name: &'a str, state: &Object<'a>) -> Call<'a> {
        Call {
            name,
            raw: state.get("input"),
            input: state.object("input").unwrap_or_default(),
            metadata: state.object("metadata").unwrap_or_default(),
            title: state.str("title").unwrap_or_default().into_owned(),
        }
    }

    /// What a person wants to read of it.
    pub(super) fn cmd(&self, run: &Run) -> String {
        self.known(run).unwrap_or_else(|| {
            // Its own label, which tools of other servers leave empty.
            match self.title.trim() {
                "" => label::plain(self.name, self.raw),
                title => format!("{} {title}", self.name),
            }
        })
    }

    /// Of a shell command.
    pub(super) fn exit_code(&self) -> Option<i32> {
        i32::try_from(self.metadata.i64("exit")?).ok()
    }

    /// Whether a call that came to its end did what it was asked. A command that failed and a tool
    /// that does not exist are `completed` like any other.
    pub(super) fn is_ok(&self) -> bool {
        // `null` is the exit code of a command that was ended.
        let ended_well = self.metadata.get("exit").is_none() || self.exit_code() == Some(0);
        ended_well && self.name != "invalid"
    }

    /// The plan it writes; `None` if it writes none.
    pub(super) fn plan(&self) -> Option<Vec<PlanItem>> {
        let is_plan = self.name == TODO_WRITE;
        is_plan
            .then(|| plan::of_todos(&self.input, "content"))
            .flatten()
    }

    fn known(&self, run: &Run) -> Option<String> {
        let input = &self.input;
        let path = |key: &str| input.str(key).map(|path| run.relative(&path).to_owned());
        let labelled = |label: &str, key: &str| Some(format!("{label}: {}", input.str(key)?));
        let pattern = |label: &str| {
            let place = path("path").map_or_else(String::new, |path| format!(" in {path}"));
            Some(format!("{label} {}{place}", input.str("pattern")?))
        };
        match self.name {
            "bash" => Some(input.str("command")?.trim_end().to_owned()),
            "read" => Some(format!("Read {}", path("filePath")?)),
            "write" => Some(format!("Write {}", path("filePath")?)),
            "edit" | "multiedit" => Some(format!("Edit {}{}", path("filePath")?, self.changes())),
            "patch" | "apply_patch" => patched(&input.str("patchText")?, run),
            "list" => Some(format!("List {}", path("path")?)),
            "glob" => pattern("Glob"),
            "grep" => pattern("Grep"),
            "webfetch" => labelled("web fetch", "url"),
            "websearch" => labelled("web search", "query"),
            "codesearch" => labelled("code search", "query"),
            "skill" => labelled("skill", "name"),
            "task" => match input.str("subagent_type") {
                Some(agent) => Some(format!("agent {agent}: {}", input.str("description")?)),
                None => labelled("agent", "description"),
            },
            "invalid" => labelled("invalid call", "tool"),
            _ => None,
        }
    }

    /// ` (+3 -1)`, or nothing where there is nothing to count.
    fn changes(&self) -> String {
        let counted = self
            .metadata
            .object("filediff")
            .and_then(|diff| Some((diff.u64("additions")?, diff.u64("deletions")?)));
        if let Some((added, removed)) = counted {
            return format!(" (+{added} -{removed})");
        }
        match (self.input.str("oldString"), self.input.str("newString")) {
            (Some(old), Some(new)) => label::changes(&old, &new),
            _ => String::new(),
        }
    }
}

/// `Patch src/a.rs, src/b.rs`.
fn patched(patch: &str, run: &Run) -> Option<String> {
    let mut files = patch
        .lines()
        .filter_map(|line| PATCHED.iter().find_map(|begin| line.strip_prefix(begin)))
        .map(|path| run.relative(path.trim()));
    let named: Vec<&str> = files.by_ref().take(FILES).collect();
    let more = match files.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!named.is_empty()).then(|| format!("Patch {}{more}", named.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::PlanStatus;

    fn state(json: &str) -> Object<'_> {
        Object::parse(serde_json::from_str(json).unwrap(), false).unwrap()
    }

    fn cmd(name: &str, json: &str) -> String {
        let run = Run {
            cwd: Some("/home/dev/app".to_owned()),
            ..Run::default()
        };
        Call::new(name, &state(json)).cmd(&run)
    }

    #[test]
    fn each_tool_is_told_in_few_words() {
        let cases = [
            (
                "bash",
                r#"{"input":{"command":"rg -n TODO src\n"},"title":"x"}"#,
                "rg -n TODO src",
            ),
            (
                "read",
                r#"{"input":{"filePath":"/home/dev/app/src/lib.rs"}}"#,
                "Read src/lib.rs",
            ),
            (
                "write",
                r#"{"input":{"filePath":"/etc/x"}}"#,
                "Write /etc/x",
            ),
            (
                "edit",
                r#"{"input":{"filePath":"a","oldString":"x","newString":"y"},"metadata":{"filediff":{"additions":4,"deletions":2}}}"#,
                "Edit a (+4 -2)",
            ),
            (
                "edit",
                r#"{"input":{"filePath":"a","oldString":"x\ny","newString":"x\nz\nw"}}"#,
                "Edit a (+2 -1)",
            ),
            (
                "apply_patch",
                r#"{"input":{"patchText":"*** Begin Patch\n*** Update File: /home/dev/app/a.rs\n@@\n*** Add File: b.rs\n+x"}}"#,
                "Patch a.rs, b.rs",
            ),
            (
                "grep",
                r#"{"input":{"pattern":"TODO","path":"src"}}"#,
                "Grep TODO in src",
            ),
            (
                "webfetch",
                r#"{"input":{"url":"http://x"}}"#,
                "web fetch: http://x",
            ),
            (
                "task",
                r#"{"input":{"subagent_type":"general","description":"look"}}"#,
                "agent general: look",
            ),
            (
                "invalid",
                r#"{"input":{"tool":"nope","error":"e"},"title":"Invalid Tool"}"#,
                "invalid call: nope",
            ),
            (
                "github_issue",
                r#"{"input":{"n":7},"title":""}"#,
                r#"github_issue {"n":7}"#,
            ),
            (
                "lsp",
                r#"{"input":{"n":7},"title":"src/a.rs:3"}"#,
                "lsp src/a.rs:3",
            ),
            (
                "read",
                r#"{"input":{"filePath":7}}"#,
                r#"read {"filePath":7}"#,
            ),
            ("read", r#"{"input":[1]}"#, "read [1]"),
        ];
        for (name, json, expected) in cases {
            assert_eq!(cmd(name, json), expected);
        }
    }

    #[test]
    fn a_patch_of_many_files_names_some() {
        let files: String = (0..9).map(|n| format!("*** Add File: {n}\\n")).collect();
        let state = format!(r#"{{"input":{{"patchText":"{files}"}}}}"#);
        assert_eq!(cmd("patch", &state), "Patch 0, 1, 2, 3, 4 and 4 more");
    }

    #[test]
    fn a_command_that_failed_or_was_ended_is_not_ok() {
        let of = |json: &str| {
            let state = state(json);
            let call = Call::new("bash", &state);
            (call.is_ok(), call.exit_code())
        };
        assert_eq!(of(r#"{"metadata":{"exit":0}}"#), (true, Some(0)));
        assert_eq!(of(r#"{"metadata":{"exit":3}}"#), (false, Some(3)));
        assert_eq!(of(r#"{"metadata":{"exit":null}}"#), (false, None));
        assert_eq!(of("{}"), (true, None));
        assert!(!Call::new("invalid", &state("{}")).is_ok());
    }

    #[test]
    fn a_plan_keeps_what_the_log_has_no_word_for() {
        let json = r#"{"input":{"todos":[{"content":"a","status":"in_progress"},{"content":"b","status":"cancelled"}]}}"#;
        let state = state(json);
        let items = Call::new("todowrite", &state).plan().unwrap();
        let shown: Vec<_> = items
            .iter()
            .map(|item| (&*item.text, item.status))
            .collect();
        let expected = [
            ("a", PlanStatus::InProgress),
            ("b (cancelled)", PlanStatus::Pending),
        ];
        assert_eq!(shown, expected);
        assert!(Call::new("bash", &state).plan().is_none());
    }
}
