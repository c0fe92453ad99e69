//! Messages that go to the model: results of tools, and what the CLI tells it.

use serde_json::value::RawValue;

use crate::activity::{Activity, Level, Stamp, Text};
use crate::beginning::Begun;
use crate::json::Object;
use crate::parser::{Line, Sink};

use super::assistant::blocks_text;
use super::calls::Purpose;
use super::{Json, ignore, notice, unknown};

/// Begins the text that stands for a stopped turn.
const INTERRUPTED: &str = "[Request interrupted by user";

impl Json {
    pub(super) fn user(
        &mut self,
        at: Stamp,
        event: &Object<'_>,
        raw: &RawValue,
        out: &mut dyn Sink,
    ) {
        if event.bool("isReplay") == Some(true) {
            return out.ignored(&ignore::REPLAY);
        }
        let Some(message) = event.object("message") else {
            return unknown(at, "user", raw, event.is_lossy(), out);
        };
        let parent = event.str("parent_tool_use_id");
        if parent.is_none() {
            self.ending.take_back();
        }
        let understood = match message.text("content") {
            Some(text) => {
                self.told(at, text, parent.as_deref(), out);
                true
            }
            None => message.each("content", |raw| {
                let block = Object::parse(raw, event.is_lossy()).unwrap_or_default();
                let kind = block.str("type").unwrap_or_default();
                match (&*kind, block.text("text"), block.str("tool_use_id")) {
                    ("text", Some(text), _) => self.told(at, text, parent.as_deref(), out),
                    ("tool_result", _, Some(call)) => {
                        self.tool_result(at, event, &block, &call, out);
                    }
                    _ => unknown(at, &format!("user/{kind}"), raw, event.is_lossy(), out),
                }
            }),
        };
        if !understood {
            unknown(at, "user", raw, event.is_lossy(), out);
        }
    }

    /// Of a line that is too long: the results in it. False if it is something else, or does not say whose it is:
    /// the id of a call that failed stands behind what it printed.
    pub(super) fn begun(
        &mut self,
        event: &Object<'_>,
        line: &Line<'_>,
        out: &mut dyn Sink,
    ) -> bool {
        if event.str("type").as_deref() != Some("user") {
            return false;
        }
        self.ending.run_goes_on(line.at, out);
        self.missed = true;
        let mut is_told = false;
        let mut out = Begun::of(line, out);
        let message = event.object("message").unwrap_or_default();
        message.each_object("content", |block| {
            if block.str("type").as_deref() == Some("tool_result")
                && let Some(call) = block.str("tool_use_id")
            {
                is_told = true;
                // Whose line it is stands behind the cut.
                if self.calls.is_main(&call) {
                    self.ending.take_back();
                }
                self.tool_result(line.at, event, &block, &call, &mut out);
            }
        });
        is_told
    }

    /// What the CLI tells the model: a subagent's prompt, an interruption, a reminder.
    fn told(&mut self, at: Stamp, text: Text<'_>, parent: Option<&str>, out: &mut dyn Sink) {
        if parent.is_some_and(|parent| self.calls.is_prompt(parent)) {
            return out.ignored(&ignore::PROMPT_OF_SUBAGENT);
        }
        let level = match text.text.starts_with(INTERRUPTED) {
            true => Level::Warn,
            false => Level::Info,
        };
        notice(at, level, text, out);
    }

    fn tool_result(
        &mut self,
        at: Stamp,
        event: &Object<'_>,
        block: &Object<'_>,
        id: &str,
        out: &mut dyn Sink,
    ) {
        let ok = block.bool("is_error") != Some(true);
        let content = blocks_text(block, "content");
        let details = event.object("tool_use_result").unwrap_or_default();
        // As of a Monitor, whose result says no more than which task it has begun. One that is to last as long as the
        // session is nothing to wait for.
        let lasts = details.bool("persistent") == Some(true);
        let task = details.str("taskId").filter(|_| !lasts);
        let has_begun = task.is_some_and(|task| self.calls.is_task_of(&task, id));
        let call = self.calls.end(id, has_begun || went_on(&details));
        if call
            .as_ref()
            .is_some_and(|call| call.purpose == Purpose::Plan)
        {
            return self.plan_result(at, id, ok, &details, content, out);
        }
        let exit_code = match (&content, ok) {
            (Some(text), false) => exit_code(&text.text),
            _ => None,
        };
        out.activity(
            at,
            &Activity::ToolResult {
                call_id: id.into(),
                ok,
                exit_code,
                duration_ms: call.map(|call| at.mono_ms.saturating_sub(call.began_ms)),
                msg: content.filter(|text| !text.text.is_empty()),
            },
        );
    }

    /// The plan was shown with the call; only what went differently is news.
    fn plan_result(
        &mut self,
        at: Stamp,
        id: &str,
        ok: bool,
        details: &Object<'_>,
        content: Option<Text<'_>>,
        out: &mut dyn Sink,
    ) {
        if self.plan.result(id, ok, details) {
            let items = self.plan.items();
            out.activity(at, &Activity::Plan { items });
        }
        if ok {
            out.ignored(&ignore::PLAN_RESULT);
        } else {
            notice(at, Level::Warn, content.unwrap_or_default(), out);
        }
    }
}

/// Whether what the call started goes on after its result.
fn went_on(details: &Object<'_>) -> bool {
    details.str("backgroundTaskId").is_some()
        || details.bool("isAsync") == Some(true)
        // `async_launched`, `remote_launched`.
        || details.str("status").is_some_and(|status| status.ends_with("_launched"))
}

/// Of `Exit code 3\n…`, the 3: the only place where a shell command's status stands.
fn exit_code(content: &str) -> Option<i32> {
    let line = content.lines().next()?;
    line.strip_prefix("Exit code ")?.trim_end().parse().ok()
}
