//! What the lines of a CLI mean that nobody here knows: a table that its user writes, of places in
//! JSON objects. It is part of an invocation's specification, so that a log can be made again by
//! the mapping under which it was made, whatever the configuration says by then.

mod pointer;
mod rule;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use pointer::{Pointer, PointerError};
pub use rule::{Flag, Is, Rule, RuleError};

use crate::outcome::Outcome;

/// Most rules of a mapping; each line is held against every one.
pub const RULE_LIMIT: usize = 64;

/// Most places at which one field, or one condition, looks.
pub const CHOICE_LIMIT: usize = 16;

/// What lines mean.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// All that apply to a line are applied, in this order.
    #[serde(default)]
    pub events: Vec<Rule>,
    /// By the word of an outcome: how texts begin, or what codes say, that mean it.
    #[serde(default)]
    pub errors: BTreeMap<String, Vec<String>>,
}

/// What a place can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// What takes the session up again.
    Session,
    /// Words of the assistant.
    Text,
    /// Reasoning.
    Thinking,
    /// Anything else a person may want to read.
    Notice,
    /// A tool's name.
    Tool,
    /// What a person wants to read of a call.
    Command,
    /// A call's arguments.
    Input,
    /// A call's id.
    Call,
    /// What a call answered.
    Result,
    /// Of a shell command.
    ExitCode,
    /// What went wrong.
    Error,
    /// The kind of it: an HTTP status, or a word.
    ErrorCode,
    /// When the limit goes away that it tells of.
    ResetsAt,
    /// The final answer.
    Answer,
    /// Tokens read.
    InputTokens,
    /// Tokens written.
    OutputTokens,
    /// Tokens read from a cache.
    CachedTokens,
    /// Tokens written to a cache.
    CacheWriteTokens,
    /// In US dollars.
    Cost,
}

// === impl Field ===

impl Field {
    /// Every field, in the order of the documentation.
    pub const ALL: [Field; 19] = [
        Field::Session,
        Field::Text,
        Field::Thinking,
        Field::Notice,
        Field::Tool,
        Field::Command,
        Field::Input,
        Field::Call,
        Field::Result,
        Field::ExitCode,
        Field::Error,
        Field::ErrorCode,
        Field::ResetsAt,
        Field::Answer,
        Field::InputTokens,
        Field::OutputTokens,
        Field::CachedTokens,
        Field::CacheWriteTokens,
        Field::Cost,
    ];

    /// Those that count.
    pub(super) const COUNTS: [Field; 5] = [
        Field::InputTokens,
        Field::OutputTokens,
        Field::CachedTokens,
        Field::CacheWriteTokens,
        Field::Cost,
    ];

    /// The key as it stands in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Field::Session => "session",
            Field::Text => "text",
            Field::Thinking => "thinking",
            Field::Notice => "notice",
            Field::Tool => "tool",
            Field::Command => "command",
            Field::Input => "input",
            Field::Call => "call",
            Field::Result => "result",
            Field::ExitCode => "exit_code",
            Field::Error => "error",
            Field::ErrorCode => "error_code",
            Field::ResetsAt => "resets_at",
            Field::Answer => "answer",
            Field::InputTokens => "input_tokens",
            Field::OutputTokens => "output_tokens",
            Field::CachedTokens => "cached_tokens",
            Field::CacheWriteTokens => "cache_write_tokens",
            Field::Cost => "cost",
        }
    }
}

// === impl Mapping ===

impl Mapping {
    /// Outcomes that texts and codes can mean; all others follow from how the process ended.
    pub const OUTCOMES: [Outcome; 6] = [
        Outcome::RateLimited,
        Outcome::CreditExhausted,
        Outcome::Auth,
        Outcome::ContextExceeded,
        Outcome::ModelNotFound,
        Outcome::Overloaded,
    ];

    /// Whether there is an event without which a run is not whole.
    pub(crate) fn has_final(&self) -> bool {
        self.events.iter().any(|rule| rule.is_final)
    }

    /// Whether calls are told to be over.
    pub(crate) fn has_results(&self) -> bool {
        self.events.iter().any(Rule::is_result)
    }

    /// Whether text comes in pieces that may have to be shown before they are whole.
    pub fn has_deltas(&self) -> bool {
        self.events.iter().any(|rule| rule.is_delta)
    }

    /// The outcome of which a text or a code is known to tell.
    pub(crate) fn outcome(&self, code: Option<&str>, said: &str) -> Option<Outcome> {
        let said = said.trim_start();
        let is_meant = |phrase: &String| {
            !phrase.is_empty() && (said.starts_with(phrase) || code == Some(phrase.as_str()))
        };
        self.errors
            .iter()
            .find(|(_, phrases)| phrases.iter().any(is_meant))
            .and_then(|(outcome, _)| outcome.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_known_by_their_beginning_and_codes_as_a_whole() {
        let json = r#"{"errors":{"auth":["Bad key","invalid_key"],"nonsense":["x"]}}"#;
        let mapping: Mapping = serde_json::from_str(json).unwrap();
        assert_eq!(mapping.outcome(None, " Bad key: sk-1"), Some(Outcome::Auth));
        assert_eq!(
            mapping.outcome(Some("invalid_key"), ""),
            Some(Outcome::Auth)
        );
        assert_eq!(mapping.outcome(Some("invalid_key_2"), "no Bad key"), None);
        assert_eq!(mapping.outcome(None, "x"), None);
    }

    #[test]
    fn it_reads_back_from_what_is_written_of_it() {
        let json = r#"{"events":[{"when":{"/type":["a"]},"each":"/list","fields":{"call":["/id"],"tool":["/a~1b"]},"is_error":["/e"]},{"is_error":true,"is_final":true}],"errors":{"auth":["x"]}}"#;
        let mapping: Mapping = serde_json::from_str(json).unwrap();
        let written = serde_json::to_string(&mapping).unwrap();
        assert_eq!(serde_json::from_str::<Mapping>(&written).unwrap(), mapping);
        assert!(serde_json::from_str::<Mapping>(r#"{"events":[{"each":"list"}]}"#).is_err());
        for field in Field::ALL {
            assert_eq!(serde_json::to_value(field).unwrap(), field.as_str());
        }
    }
}
