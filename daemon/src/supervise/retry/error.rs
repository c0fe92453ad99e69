//! Why nothing could be tried again.

use crate::domain::InvocationId;

/// Why an invocation could not be tried again.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// There is none.
    #[error("there is no invocation {id} in this project to try again")]
    NotFound {
        /// The id.
        id: InvocationId,
    },
    /// It is not over.
    #[error("invocation {id} {}; there is nothing to try again", if *waits { "waits to be started" } else { "is running" })]
    StillRunning {
        /// The id.
        id: InvocationId,
        /// It has not begun.
        waits: bool,
    },
    /// A later attempt did what was asked for.
    #[error("invocation {id} was tried again, and {last} succeeded")]
    Succeeded {
        /// The id.
        id: InvocationId,
        /// The last attempt.
        last: InvocationId,
    },
    /// It belongs to the older tool.
    #[error("invocation {id} was started by another tool; what it was asked for is not known here")]
    NotManaged {
        /// The id.
        id: InvocationId,
    },
    /// Its state folder was removed after its time.
    #[error("what invocation {id} was asked for is kept no more")]
    RequestGone {
        /// The id.
        id: InvocationId,
    },
    /// An older daemon started it.
    #[error(
        "invocation {id} was started by an older daemon, which did not keep what it was asked for"
    )]
    NotKept {
        /// The id.
        id: InvocationId,
    },
    /// Its state folder does not say.
    #[error("what invocation {id} was asked for cannot be read: {why}")]
    Unreadable {
        /// The id.
        id: InvocationId,
        /// What is wrong.
        why: String,
    },
    /// Whoever fails so often does not fail by chance.
    #[error("invocation {id} is the last of as many attempts as there may be")]
    TooOften {
        /// The id.
        id: InvocationId,
    },
    /// Somebody else was faster.
    #[error("invocation {id} was tried again meanwhile, as {next}")]
    Meanwhile {
        /// The id.
        id: InvocationId,
        /// The attempt after it.
        next: InvocationId,
    },
}
