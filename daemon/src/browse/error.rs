//! Why a part of a log cannot be had.

use std::error::Error;

use crate::activity_log::{Break, LogError, Lost};
use crate::domain::InvocationId;
use crate::domain::cursor::CursorError;

/// Why a part of a log cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BrowseError {
    /// There is no such invocation in the project.
    #[error("no invocation {id}")]
    NoInvocation {
        /// The one asked for.
        id: InvocationId,
    },
    /// It has ended, and there is no log of it (any more).
    #[error("invocation {id} has ended and has no log")]
    NoLog {
        /// The one asked for.
        id: InvocationId,
    },
    /// The cursor is malformed, of another invocation, or points into a line.
    #[error("the cursor is out of range")]
    CursorOutOfRange {
        /// Which of the request's cursors.
        field: &'static str,
        /// What is wrong with it.
        source: CursorError,
    },
    /// What the cursor points into is gone, or went while it was read.
    #[error("{why}; its earlier cursors are void")]
    Gap {
        /// What became of the log.
        why: &'static str,
    },
    /// It was written anew time and again while it was read.
    #[error("the log is being written anew")]
    Unsettled,
    /// The text cannot be searched for.
    #[error("cannot search for this text")]
    Text(#[source] Box<regex::Error>),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The project's database cannot be read.
    #[error("cannot read the project's database")]
    Store(#[source] Box<dyn Error + Send + Sync>),
    /// The daemon is going down.
    #[error("the daemon is stopping")]
    Stopping,
}

impl BrowseError {
    pub(super) const REBUILT: BrowseError = BrowseError::Gap {
        why: "the log was rebuilt",
    };
    pub(super) const REPLACED: BrowseError = BrowseError::Gap {
        why: "the log was replaced",
    };
    pub(super) const DELETED: BrowseError = BrowseError::Gap {
        why: "the log was removed",
    };
    const TRUNCATED: BrowseError = BrowseError::Gap {
        why: "the log is shorter than it was",
    };
    const CHANGED: BrowseError = BrowseError::Gap {
        why: "the log is not what it was",
    };

    /// Of a cursor that cannot be found again.
    pub(super) fn lost(lost: Lost) -> BrowseError {
        match lost {
            Lost::Rebuilt => BrowseError::REBUILT,
            Lost::Replaced => BrowseError::REPLACED,
            Lost::Truncated => BrowseError::TRUNCATED,
            Lost::InsideLine => BrowseError::CHANGED,
        }
    }

    /// Of a log that is not what it was when it was opened.
    pub(super) fn broken(broken: Break) -> BrowseError {
        match broken {
            Break::Deleted => BrowseError::DELETED,
            Break::Replaced => BrowseError::REPLACED,
            Break::Truncated => BrowseError::TRUNCATED,
            Break::Changed => BrowseError::CHANGED,
        }
    }
}
