//! The opencode CLI: its event stream (`opencode run --format json`) and its text mode, as version
//! 1.18 prints them.
//!
//! It names no model provider of its own, so an error may be anybody's: the shape of its events
//! decides first, then the answer of the API inside them. Retries show in neither mode.

mod errors;
mod json;
mod stderr;
mod text;
mod tools;

use crate::parser::{IgnoreRule, Parser};
use crate::run::Run;

/// `opencode run --format json`.
pub(crate) fn json(run: Run) -> Box<dyn Parser> {
    Box::new(json::Json::new(run))
}

/// `opencode run` as it is.
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
    pub(crate) const STEP_START: IgnoreRule = IgnoreRule {
        event: "step_start, after the first",
        reason: "says that the model is asked; what it answers follows",
    };
    pub(crate) const STEP_FINISH: IgnoreRule = IgnoreRule {
        event: "step_finish, without new counts",
        reason: "ends a step whose tokens are missing, or were counted before",
    };
    pub(crate) const EMPTY: IgnoreRule = IgnoreRule {
        event: "text or reasoning, empty",
        reason: "there is nothing to show",
    };
    pub(crate) const AGENT: IgnoreRule = IgnoreRule {
        event: "text: > AGENT · MODEL",
        reason: "repeats what it was started with; printed on every start",
    };
    pub(crate) const STYLE: IgnoreRule = IgnoreRule {
        event: "stderr: no text but terminal escapes",
        reason: "sets a colour, or parts blocks of text",
    };

    /// All of them.
    pub(crate) const ALL: &[IgnoreRule] = &[BLANK, STEP_START, STEP_FINISH, EMPTY, AGENT, STYLE];
}
