//! Why a log could not be brought up to date. Nothing of it is final: the spool has it all.

use steroids_shim::spool::SpoolError;

use crate::activity_log::LogError;

/// Why a projection did not go on.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// The spec has no row.
    #[error("the spec names no invocation")]
    NoId,
    /// The spool cannot be read.
    #[error("spool cannot be read")]
    Spool(#[from] SpoolError),
    /// The log cannot be opened, read or written.
    #[error("activity log cannot be written")]
    Log(#[from] LogError),
}
