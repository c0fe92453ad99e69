//! Control records: what was done to the provider, kept in order with what it printed.

use serde::{Deserialize, Serialize};
use steroids_provider::activity::Level;

use crate::exit::Reason;

/// Something that was done to the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// A message was sent to the running agent.
    Input {
        /// The message.
        msg: String,
    },
    /// The shim has something to say.
    Notice {
        /// How urgent.
        level: Level,
        /// What.
        msg: String,
    },
    /// A limit is near, or the one that was is no longer. To a release that does not know this, and
    /// in the log, it is a notice.
    Limit {
        /// Which.
        limit: Limited,
        /// When it is to end the provider, in epoch milliseconds; `None` once it no longer is.
        ends_ms: Option<u64>,
        /// What the log says of it.
        msg: String,
    },
    /// It was told to end.
    Stop {
        /// Why.
        by: Reason,
        /// In words, where somebody gave some.
        why: Option<String>,
    },
    /// A record of a kind that this release does not know, as it was.
    Other(String),
}

/// Notices that the provider's input was closed, or is being closed, begin so.
pub const NO_MORE_INPUT: &str = "no further message";

/// A limit of which is warned before it ends anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    /// Without output.
    Silence,
    /// Without output while a tool call is open.
    ToolSilence,
    /// In all.
    Wall,
}

impl Limited {
    /// The word as it stands in configuration and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Limited::Silence => "silence",
            Limited::ToolSilence => "tool_silence",
            Limited::Wall => "wall",
        }
    }

    fn of(word: &str) -> Option<Limited> {
        let all = [Limited::Silence, Limited::ToolSilence, Limited::Wall];
        all.into_iter().find(|limit| limit.as_str() == word)
    }
}

/// A control record as it is written.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Written<'a> {
    Input {
        msg: Text<'a>,
    },
    Notice {
        level: WrittenLevel,
        msg: Text<'a>,
        /// Where it is about a limit: which. A word that is not known makes it a notice.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<Text<'a>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ends_ms: Option<u64>,
    },
    Stop {
        by: Reason,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Text<'a>>,
    },
}

type Text<'a> = std::borrow::Cow<'a, str>;

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenLevel {
    Info,
    Warn,
    Error,
}

impl Control {
    /// The record's payload.
    pub(super) fn encode(&self) -> Vec<u8> {
        let written = match self {
            Control::Input { msg } => Written::Input { msg: msg.into() },
            Control::Notice { level, msg } => Written::Notice {
                level: (*level).into(),
                msg: msg.into(),
                limit: None,
                ends_ms: None,
            },
            Control::Limit {
                limit,
                ends_ms,
                msg,
            } => Written::Notice {
                level: level(*ends_ms).into(),
                msg: msg.into(),
                limit: Some(limit.as_str().into()),
                ends_ms: *ends_ms,
            },
            Control::Stop { by, why } => Written::Stop {
                by: *by,
                why: why.as_deref().map(Into::into),
            },
            Control::Other(raw) => return raw.clone().into_bytes(),
        };
        // Strings and unit enums only: there is nothing in it that cannot be written.
        serde_json::to_vec(&written).unwrap_or_default()
    }

    /// Reads a payload; total: what it does not know it hands on.
    pub(super) fn decode(payload: &[u8]) -> Control {
        match serde_json::from_slice(payload) {
            Ok(Written::Input { msg }) => Control::Input {
                msg: msg.into_owned(),
            },
            Ok(Written::Notice {
                level: written,
                msg,
                limit,
                ends_ms,
            }) => match limit.as_deref().and_then(Limited::of) {
                Some(limit) if Level::from(written) == level(ends_ms) => Control::Limit {
                    limit,
                    ends_ms,
                    msg: msg.into_owned(),
                },
                _ => Control::Notice {
                    level: written.into(),
                    msg: msg.into_owned(),
                },
            },
            Ok(Written::Stop { by, why }) => Control::Stop {
                by,
                why: why.map(Text::into_owned),
            },
            Err(_) => Control::Other(String::from_utf8_lossy(payload).into_owned()),
        }
    }
}

/// Of what is said of a limit: that it will end something is a warning.
fn level(ends_ms: Option<u64>) -> Level {
    match ends_ms {
        Some(_) => Level::Warn,
        None => Level::Info,
    }
}

impl From<Level> for WrittenLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Info => WrittenLevel::Info,
            Level::Warn => WrittenLevel::Warn,
            Level::Error => WrittenLevel::Error,
        }
    }
}

impl From<WrittenLevel> for Level {
    fn from(level: WrittenLevel) -> Self {
        match level {
            WrittenLevel::Info => Level::Info,
            WrittenLevel::Warn => Level::Warn,
            WrittenLevel::Error => Level::Error,
        }
    }
}
