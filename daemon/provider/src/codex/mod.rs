//! OpenAI's Codex CLI: its event stream (`--json`) and its text mode.
//!
//! Errors come twice in both: as `error` while it still tries, and once more, in the same words,
//! when it gives up. So an error is held until the next event tells which of the two it was.

mod blocks;
mod errors;
mod final_message;
mod items;
mod json;
mod markers;
mod shell;
mod text;
mod tracing;

use crate::parser::{IgnoreRule, Parser};
use crate::run::Run;

/// `codex exec --json`.
pub(crate) fn json(run: Run) -> Box<dyn Parser> {
    Box::new(json::Json::new(run))
}

/// `codex exec` without `--json`.
pub(crate) fn text(run: Run) -> Box<dyn Parser> {
    Box::new(text::Transcript::new(run))
}

/// What is printed and not shown, in both modes.
pub(crate) mod ignored {
    use super::IgnoreRule;

    pub(crate) const BLANK: IgnoreRule = IgnoreRule {
        event: "blank line",
        reason: "separates blocks of text, and is no event",
    };
    pub(crate) const TURN_STARTED: IgnoreRule = IgnoreRule {
        event: "turn.started",
        reason: "has no fields; follows from the activity that comes next",
    };
    pub(crate) const TURN_COMPLETED: IgnoreRule = IgnoreRule {
        event: "turn.completed without usage",
        reason: "is the final event, which the terminal line stands for",
    };
    pub(crate) const TURN_FAILED: IgnoreRule = IgnoreRule {
        event: "turn.failed",
        reason: "is the final event; its message is the terminal line's error",
    };
    pub(crate) const PLAN_REPEATED: IgnoreRule = IgnoreRule {
        event: "item.completed/todo_list, unchanged",
        reason: "the turn's end repeats the plan as it was last shown",
    };
    pub(crate) const RULE: IgnoreRule = IgnoreRule {
        event: "text: --------",
        reason: "a rule around the header",
    };
    pub(crate) const HEADER: IgnoreRule = IgnoreRule {
        event: "text: header setting",
        reason: "repeats what the start line and the configuration say",
    };
    pub(crate) const MARKER: IgnoreRule = IgnoreRule {
        event: "text: block marker",
        reason: "tells the kind of the block that follows, which its activities tell as well",
    };
    pub(crate) const PROMPT: IgnoreRule = IgnoreRule {
        event: "text: user block",
        reason: "echoes the prompt, which is kept with the invocation",
    };
    pub(crate) const FINAL_MESSAGE: IgnoreRule = IgnoreRule {
        event: "text: final message on stdout",
        reason: "repeats the last codex block of stderr, already shown",
    };
    pub(crate) const ERROR_REPEATED: IgnoreRule = IgnoreRule {
        event: "text: the last ERROR, repeated",
        reason: "is how it gives up; the message is the terminal line's error",
    };

    /// All of them.
    pub(crate) const ALL: &[IgnoreRule] = &[
        BLANK,
        TURN_STARTED,
        TURN_COMPLETED,
        TURN_FAILED,
        PLAN_REPEATED,
        RULE,
        HEADER,
        MARKER,
        PROMPT,
        FINAL_MESSAGE,
        ERROR_REPEATED,
    ];
}
