//! Why a log was not made anew.

use tonic::{Code, Status};

use super::{chain, shortage, stopping};
use crate::service::refusal::Refusal;
use crate::supervise::ReprojectError;

pub(in crate::service) fn reproject(error: ReprojectError) -> Status {
    let text = chain(&error);
    let refused = |reason| Refusal::new(Code::FailedPrecondition, reason, &text).field("id");
    match error {
        ReprojectError::Project(error) => return super::project(error),
        ReprojectError::Store(error) => return super::store(error),
        ReprojectError::GivenUp => return stopping(),
        ReprojectError::NotFound { .. } => Refusal::new(Code::NotFound, "NO_INVOCATION", &text)
            .field("id")
            .todo("see `steroidsctl list`"),
        ReprojectError::Busy { .. } => {
            Refusal::new(Code::Unavailable, "BUSY", &text).todo("try again in a moment")
        }
        ReprojectError::NotManaged { .. } => refused("NOT_MANAGED"),
        ReprojectError::StillRunning { .. } => {
            refused("STILL_RUNNING").todo("ask again when it has ended")
        }
        ReprojectError::SpoolGone { .. } => refused("SPOOL_GONE")
            .todo("retention removes it after retention.spool_days; its log stays as it is"),
        ReprojectError::SpoolDamaged { .. } => {
            refused("SPOOL_DAMAGED").todo("its log stays as it is")
        }
        ReprojectError::Foreign { .. } => {
            refused("FOREIGN_SPOOL").todo("use the steroidsd that started it, or a newer one")
        }
        ReprojectError::LogDeleted { .. } => {
            refused("LOG_DELETED").todo("to have it back, ask for that: `--restore`")
        }
        ReprojectError::Unwritable { source, .. } => {
            if let Some(short) = shortage(&source, &text) {
                return short;
            }
            refused("LOG_UNWRITABLE").todo("see that the project's .steroids folder can be written")
        }
    }
    .into()
}
