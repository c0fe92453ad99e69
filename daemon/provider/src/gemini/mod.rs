//! Google's Gemini CLI: its event stream (`--output-format stream-json`) and its text mode.
//!
//! What it says of retries and of most errors stands on stderr alone, in both modes, between much
//! that it says on every start; so both modes share one reader of stderr.

mod errors;
mod json;
mod stderr;
mod text;
mod tools;

use crate::parser::{IgnoreRule, Parser};
use crate::run::Run;

/// `gemini --output-format stream-json`.
pub(crate) fn json(run: Run) -> Box<dyn Parser> {
    Box::new(json::Json::new(run))
}

/// `gemini` as it is.
pub(crate) fn text() -> Box<dyn Parser> {
    Box::new(text::Plain::default())
}

/// What is printed and not shown, in both modes.
pub(crate) mod ignored {
    use super::IgnoreRule;

    pub(crate) const BLANK: IgnoreRule = IgnoreRule {
        event: "blank line",
        reason: "is no event",
    };
    pub(crate) const USER: IgnoreRule = IgnoreRule {
        event: "message/user",
        reason: "echoes the prompt, which is kept with the invocation",
    };
    pub(crate) const TODOS_WRITTEN: IgnoreRule = IgnoreRule {
        event: "tool_result/success of write_todos",
        reason: "confirms the plan that was shown when it was written",
    };
    pub(crate) const RESULT: IgnoreRule = IgnoreRule {
        event: "result with no counts but zeros",
        reason: "is the final event, which the terminal line stands for; the stream broke off \
                 before anything was counted",
    };
    pub(crate) const TERMINAL: IgnoreRule = IgnoreRule {
        event: "stderr: Warning: Basic terminal detected",
        reason: "speaks of a terminal, of which there is none; printed on every start",
    };
    pub(crate) const COLOR: IgnoreRule = IgnoreRule {
        event: "stderr: Warning: 256-color support not detected",
        reason: "speaks of a terminal, of which there is none; printed on every start",
    };
    pub(crate) const YOLO: IgnoreRule = IgnoreRule {
        event: "stderr: YOLO mode is enabled",
        reason: "repeats the flag it was started with; printed on every start, mostly twice",
    };
    pub(crate) const STARTUP: IgnoreRule = IgnoreRule {
        event: "stderr: [STARTUP]",
        reason: "measures its own start, and complains about the measuring",
    };

    /// All of them.
    pub(crate) const ALL: &[IgnoreRule] = &[
        BLANK,
        USER,
        TODOS_WRITTEN,
        RESULT,
        TERMINAL,
        COLOR,
        YOLO,
        STARTUP,
    ];

    /// Lines of stderr that are passed over, by their beginnings.
    pub(super) const NOISE: &[(&str, &IgnoreRule)] = &[
        ("Warning: Basic terminal detected (TERM=dumb).", &TERMINAL),
        ("Warning: 256-color support not detected.", &COLOR),
        (
            "YOLO mode is enabled. All tool calls will be automatically approved.",
            &YOLO,
        ),
        ("[STARTUP] ", &STARTUP),
    ];
}
