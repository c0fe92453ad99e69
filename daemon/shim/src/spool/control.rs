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
    /// It was told to end.
    Stop {
        /// Why.
        by: Reason,
    },
    /// A record of a kind that this release does not know, as it was.
    Other(String),
}

/// A control record as it is written.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Written<'a> {
    Input { msg: Text<'a> },
    Notice { level: WrittenLevel, msg: Text<'a> },
    Stop { by: Reason },
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
            },
            Control::Stop { by } => Written::Stop { by: *by },
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
            Ok(Written::Notice { level, msg }) => Control::Notice {
                level: level.into(),
                msg: msg.into_owned(),
            },
            Ok(Written::Stop { by }) => Control::Stop { by },
            Err(_) => Control::Other(String::from_utf8_lossy(payload).into_owned()),
        }
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
