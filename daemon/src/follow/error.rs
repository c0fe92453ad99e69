//! Why a stream cannot be opened, or cannot go on.

use std::error::Error;

use crate::activity_log::LogError;
use crate::domain::InvocationId;
use crate::domain::cursor::{CursorError, MAX_SCOPES};
use crate::projects::ProjectError;

/// Why a stream cannot be opened, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The project is not to be had.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// There is no such invocation in the project.
    #[error("no invocation {id}")]
    NoInvocation {
        /// The one asked for.
        id: InvocationId,
    },
    /// There is no such task in the project.
    #[error("no task {task:?}")]
    NoTask {
        /// The one asked for.
        task: String,
    },
    /// The cursor is malformed, of another stream, or points into a line.
    #[error("the cursor is out of range")]
    CursorOutOfRange(#[from] CursorError),
    /// A cursor cannot speak of so many.
    #[error("more than {MAX_SCOPES} projects; follow them one by one")]
    TooManyProjects,
    /// The log is on its way to the place of the one before; that takes a moment.
    #[error("the log of invocation {id} is being written anew")]
    BeingRebuilt {
        /// Whose it is.
        id: InvocationId,
    },
    /// A log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The project's database cannot be read.
    #[error("cannot read the project's database")]
    Store(#[source] Box<dyn Error + Send + Sync>),
    /// The project's disk takes longer than others should have to wait.
    #[error("the project's disk does not answer")]
    NoAnswer,
    /// The daemon is going down.
    #[error("the daemon is stopping")]
    Stopping,
}
