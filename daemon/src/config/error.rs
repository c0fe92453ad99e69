//! Why a configuration cannot be used: always which file, which line, which key, and what would do.

use std::io;
use std::path::PathBuf;

/// What is wrong with the configuration. Ends the daemon with 78 before any socket is opened.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file was named and cannot be read, or it is there and cannot be read.
    #[error("cannot read configuration file {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is no TOML.
    #[error("{}:{line}: not valid TOML: {reason}", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// Counted from one.
        line: usize,
        /// As the parser words it.
        reason: String,
    },
    /// A key that does not exist, or whose value makes no sense.
    #[error("{}:{line}: `{key}`: {reason}", file.display())]
    Key {
        /// The file.
        file: PathBuf,
        /// Counted from one.
        line: usize,
        /// With its table: `daemon.max_running`.
        key: String,
        /// What is wrong, and what exists instead.
        reason: String,
    },
    /// A flag, or the environment variable that stands for it.
    #[error("{flag}: {reason}")]
    Flag {
        /// The flag and its variable.
        flag: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Neither a home folder nor the folders that would replace it are known.
    #[error(
        "no home directory: set HOME (or XDG_STATE_HOME and XDG_CONFIG_HOME), or give --state-dir and --socket"
    )]
    NoHome,
}

impl ConfigError {
    /// The line it speaks of; those of no line come first.
    pub(super) fn line(&self) -> usize {
        match self {
            ConfigError::Syntax { line, .. } | ConfigError::Key { line, .. } => *line,
            ConfigError::Read { .. } | ConfigError::Flag { .. } | ConfigError::NoHome => 0,
        }
    }

    /// The key it speaks of.
    pub(super) fn key(&self) -> Option<&str> {
        match self {
            ConfigError::Key { key, .. } => Some(key),
            _ => None,
        }
    }
}
