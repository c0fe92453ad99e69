//! What is deleted, and when: logs and state folders by age and by the room they take, logs also by
//! their number; and which logs are compressed.
//!
//! [`policy`] says what may go, from plain facts; [`clock`] whether there are ages at all; [`sweep`]
//! finds the facts and removes; [`stored`] says how much room is taken. What belongs to an invocation that is not over is never among it,
//! whatever its age.

pub mod clock;
pub mod compress;
mod given_up;
pub mod policy;
pub mod stored;
pub mod sweep;

pub use stored::Stored;
pub use sweep::Swept;

use std::time::Duration;

use policy::{LogLimits, SpoolLimits};

/// What may be removed, and when; `None` is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Age of an ended invocation's activity log, in days.
    pub log_days: Option<u32>,
    /// Age of an ended invocation's state folder, in days.
    pub spool_days: Option<u32>,
    /// All state folders together, in bytes.
    pub max_bytes: Option<u64>,
    /// All activity logs together, in bytes.
    pub max_log_bytes: Option<u64>,
    /// All activity logs together.
    pub max_logs: Option<u64>,
    /// The activity logs of each project, in bytes.
    pub project_max_log_bytes: Option<u64>,
    /// The activity logs of each project.
    pub project_max_logs: Option<u64>,
    /// After which an ended invocation's log is compressed; `None`: never.
    pub compress_after: Option<Duration>,
}

impl Settings {
    /// What holds for logs; without ages where the clock is not believed.
    pub fn of_logs(&self, ages_are_known: bool) -> LogLimits {
        LogLimits {
            days: self.log_days.filter(|_| ages_are_known),
            project_max_bytes: self.project_max_log_bytes,
            project_max_count: self.project_max_logs,
            max_bytes: self.max_log_bytes,
            max_count: self.max_logs,
        }
    }

    /// What holds for state folders; without ages where the clock is not believed.
    pub fn of_spools(&self, ages_are_known: bool) -> SpoolLimits {
        SpoolLimits {
            days: self.spool_days.filter(|_| ages_are_known),
            max_bytes: self.max_bytes,
        }
    }
}
