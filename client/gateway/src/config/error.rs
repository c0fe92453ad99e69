//! Why a configuration cannot be used: always which file, which line, which key, and what would do.

use std::io;
use std::path::PathBuf;

use steroids_client::paths::PathsError;

/// What is wrong with the configuration. Ends the gateway with 78 before any socket is opened.
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
        /// With its table: `gateway.listen`.
        key: String,
        /// What is wrong, and what exists instead.
        reason: String,
    },
    /// A flag, or the environment variable that stands for it.
    #[error("{flag}: {reason}")]
    Flag {
        /// The flag.
        flag: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Where the daemon's socket and state folder are cannot be told.
    #[error(transparent)]
    Paths(#[from] PathsError),
    /// There is no place for the token.
    #[error("no home directory: set HOME (or XDG_STATE_HOME), or give --state-dir")]
    NoHome,
}

impl ConfigError {
    /// Where in the file it is; 0 where it is in none.
    pub(super) fn line(&self) -> usize {
        match self {
            ConfigError::Syntax { line, .. } | ConfigError::Key { line, .. } => *line,
            ConfigError::Read { .. }
            | ConfigError::Flag { .. }
            | ConfigError::Paths(_)
            | ConfigError::NoHome => 0,
        }
    }
}
