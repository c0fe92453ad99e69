//! Why a log was not made anew. Whatever it is, log and row are as they were, or the next attempt does
//! what is left to do.

use std::path::PathBuf;

use crate::domain::InvocationId;
use crate::projection::ProjectionError;
use crate::projects::ProjectError;
use crate::store::StoreError;

/// Why a log was not made anew.
#[derive(Debug, thiserror::Error)]
pub enum ReprojectError {
    /// The project cannot be used.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// The database did not answer, or did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No such invocation.
    #[error("invocation {id} does not exist in {}", project.display())]
    NotFound {
        /// The project.
        project: PathBuf,
        /// The id asked for.
        id: InvocationId,
    },
    /// It belongs to the older tool.
    #[error("invocation {id} was started by another tool, whose log is its own")]
    NotManaged {
        /// Its row.
        id: InvocationId,
    },
    /// It has not ended.
    #[error("invocation {id} has not ended; its log is held to its transcript while it runs")]
    StillRunning {
        /// Its row.
        id: InvocationId,
    },
    /// A job, or another request, has it now.
    #[error("invocation {id} is being worked on")]
    Busy {
        /// Its row.
        id: InvocationId,
    },
    /// There is nothing to make it of.
    #[error("the transcript of invocation {id} is gone")]
    SpoolGone {
        /// Its row.
        id: InvocationId,
    },
    /// What there is of it cannot be used.
    #[error("the transcript of invocation {id} cannot be used: {what}")]
    SpoolDamaged {
        /// Its row.
        id: InvocationId,
        /// Why.
        what: String,
    },
    /// Its folder is of a protocol that we do not know.
    #[error(
        "the transcript of invocation {id} is of protocol {proto}, which this steroidsd does not know"
    )]
    Foreign {
        /// Its row.
        id: InvocationId,
        /// What its folder says.
        proto: u32,
    },
    /// There is no log, and none is wanted.
    #[error("the log of invocation {id} was deleted")]
    LogDeleted {
        /// Its row.
        id: InvocationId,
    },
    /// The new log could not be written; the old one is as it was.
    #[error("the log of invocation {id} cannot be written")]
    Unwritable {
        /// Its row.
        id: InvocationId,
        /// Why.
        #[source]
        source: ProjectionError,
    },
    /// Whoever asked is gone, or the daemon stops.
    #[error("given up")]
    GivenUp,
}
