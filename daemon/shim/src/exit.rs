//! How the provider ended: `exit.json`, written once, durable before anybody may believe it.

use serde::{Deserialize, Serialize};
use steroids_provider::parser::{EndedBy, Exit};

/// The facts of the end. `exit.json` exists ⇒ the spool is complete up to `spool_length`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// [`crate::spec::PROTOCOL`] of the writer.
    pub proto: u32,
    /// What happened.
    pub end: End,
    /// When, in epoch milliseconds.
    pub ended_ms: u64,
    /// Bytes of the spool that are valid.
    pub spool_length: u64,
    /// Resources the provider's process tree used, where it ran.
    pub rusage: Option<Rusage>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum End {
    /// The process ran and ended.
    Ran {
        /// Exit code, where it exited.
        code: Option<i32>,
        /// Signal that ended it, otherwise.
        signal: Option<i32>,
        /// Set if the shim ended it.
        ended_by: Option<Reason>,
        /// Monotonic, in milliseconds.
        duration_ms: u64,
        /// Processes alive after it had ended.
        leftovers: u32,
    },
    /// The process could not be started; `error` names program and errno.
    NeverStarted {
        /// One line.
        error: String,
    },
    /// The daemon found shim and provider gone without a record.
    Lost {
        /// One line: `shim lost`, `host restarted`.
        error: String,
    },
}

/// Why the shim ended a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Somebody asked for it.
    Stop,
    /// The `wall` limit.
    Wall,
    /// The `silence` or `tool_silence` limit.
    Silence,
    /// It had given its final result and did not exit.
    PostResult,
    /// The host is shutting down.
    Shutdown,
}

/// Resources, as the kernel counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rusage {
    /// User time in microseconds.
    pub user_us: u64,
    /// System time in microseconds.
    pub system_us: u64,
    /// Largest resident set of one process, in KiB.
    pub max_rss_kib: u64,
}

impl From<Reason> for EndedBy {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Stop => EndedBy::Stop,
            Reason::Wall => EndedBy::Wall,
            Reason::Silence => EndedBy::Silence,
            Reason::PostResult => EndedBy::PostResult,
            Reason::Shutdown => EndedBy::Shutdown,
        }
    }
}

impl ExitRecord {
    /// The facts a parser judges from; `None` where no process ran.
    pub fn facts(&self) -> Option<Exit> {
        match &self.end {
            End::Ran {
                code,
                signal,
                ended_by,
                duration_ms,
                leftovers,
            } => Some(Exit {
                code: *code,
                signal: *signal,
                ended_by: ended_by.map(EndedBy::from),
                duration_ms: *duration_ms,
                leftovers: *leftovers,
            }),
            End::NeverStarted { .. } | End::Lost { .. } => None,
        }
    }
}
