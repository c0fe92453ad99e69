//! Which output format a provider speaks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The kind of AI CLI; decides the arguments and the parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Anthropic's Claude Code.
    Claude,
    /// OpenAI's Codex CLI.
    Codex,
    /// Google's Gemini CLI.
    Gemini,
    /// The opencode CLI.
    Opencode,
    /// Any CLI that prints JSON lines, whose meaning the configuration tells.
    Jsonl,
    /// Any program; every line it prints is output.
    Command,
}

/// Whether the CLI was asked for its event stream or for plain text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// What a person would see.
    Text,
}

impl Kind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Kind; 6] = [
        Kind::Claude,
        Kind::Codex,
        Kind::Gemini,
        Kind::Opencode,
        Kind::Jsonl,
        Kind::Command,
    ];

    /// Those that need no configuration; each gives its name to a provider.
    pub const BUILTIN: [Kind; 5] = [
        Kind::Claude,
        Kind::Codex,
        Kind::Gemini,
        Kind::Opencode,
        Kind::Command,
    ];

    /// The word as it stands in configuration and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Claude => "claude",
            Kind::Codex => "codex",
            Kind::Gemini => "gemini",
            Kind::Opencode => "opencode",
            Kind::Jsonl => "jsonl",
            Kind::Command => "command",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no provider kind.
#[derive(Debug, thiserror::Error)]
#[error("unknown provider kind `{0}`; known: claude, codex, gemini, opencode, jsonl, command")]
pub struct UnknownKind(String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Kind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or_else(|| UnknownKind(word.to_owned()))
    }
}
