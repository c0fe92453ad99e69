//! What Claude Code prints and the activity log does not show, with the reasons. One table: what
//! stands neither here nor in the parser is shown as unknown.

use crate::parser::IgnoreRule;

/// All of it. The first [`ALWAYS`] are told by type and subtype alone.
pub(crate) const ALL: &[IgnoreRule] = &[
    STREAM_EVENT,
    KEEP_ALIVE,
    TOOL_PROGRESS,
    STATUS,
    THINKING_TOKENS,
    TASK_STARTED,
    TASK_PROGRESS,
    TASK_UPDATED,
    LIMIT_FAR,
    INIT_AGAIN,
    NOTIFICATION_OF_OPEN_CALL,
    PROMPT_OF_SUBAGENT,
    REPLAY,
    PLAN_RESULT,
    EMPTY_BLOCK,
    BLANK,
];

const ALWAYS: usize = 9;

const STREAM_EVENT: IgnoreRule = IgnoreRule {
    event: "stream_event",
    reason: "pieces of messages that also come whole, as assistant events",
};
const KEEP_ALIVE: IgnoreRule = IgnoreRule {
    event: "keep_alive",
    reason: "says only that the connection lives",
};
const TOOL_PROGRESS: IgnoreRule = IgnoreRule {
    event: "tool_progress",
    reason: "seconds a call has been running; the log has its start",
};
const STATUS: IgnoreRule = IgnoreRule {
    event: "system/status",
    reason: "progress of the CLI itself, for its own screen",
};
const THINKING_TOKENS: IgnoreRule = IgnoreRule {
    event: "system/thinking_tokens",
    reason: "an estimate while thinking; the thinking and its usage follow",
};
const TASK_STARTED: IgnoreRule = IgnoreRule {
    event: "system/task_started",
    reason: "the call that started the task is a tool line",
};
const TASK_PROGRESS: IgnoreRule = IgnoreRule {
    event: "system/task_progress",
    reason: "repeats the subagent's own tool calls",
};
const TASK_UPDATED: IgnoreRule = IgnoreRule {
    event: "system/task_updated",
    reason: "a state for the limits; its notification says the same",
};
const LIMIT_FAR: IgnoreRule = IgnoreRule {
    event: "rate_limit_event/allowed",
    reason: "no limit is near",
};

/// An init event of a session that was announced before: one comes with every turn.
pub(super) const INIT_AGAIN: IgnoreRule = IgnoreRule {
    event: "system/init, again",
    reason: "the same session was announced before",
};

/// The end of a task whose call has not had its result yet.
pub(super) const NOTIFICATION_OF_OPEN_CALL: IgnoreRule = IgnoreRule {
    event: "system/task_notification, call open",
    reason: "the call's result follows",
};

/// A subagent's prompt.
pub(super) const PROMPT_OF_SUBAGENT: IgnoreRule = IgnoreRule {
    event: "user/text, subagent's prompt",
    reason: "the call's input holds it",
};

/// A message of ours, echoed.
pub(super) const REPLAY: IgnoreRule = IgnoreRule {
    event: "user, replayed",
    reason: "echoes what was sent in",
};

/// The result of a call that only changed the plan.
pub(super) const PLAN_RESULT: IgnoreRule = IgnoreRule {
    event: "user/tool_result, plan",
    reason: "the plan line of the call shows it",
};

/// A block of text with nothing in it.
pub(super) const EMPTY_BLOCK: IgnoreRule = IgnoreRule {
    event: "assistant, empty block",
    reason: "there is nothing to show",
};

/// A line with nothing on it, between events.
pub(super) const BLANK: IgnoreRule = IgnoreRule {
    event: "blank line",
    reason: "there is nothing to show",
};

/// The rule for an event of which nothing is ever shown.
pub(super) fn always(event: &str) -> Option<&'static IgnoreRule> {
    ALL.iter().take(ALWAYS).find(|rule| rule.event == event)
}
