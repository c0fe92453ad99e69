//! Why a project was not forgotten.

use tonic::{Code, Status};

use super::{RETRY, chain, internal, project, shortage};
use crate::domain::shell_word;
use crate::service::refusal::Refusal;
use crate::supervise::ForgetError;

pub(in crate::service) fn forget(error: ForgetError) -> Status {
    let text = chain(&error);
    if let Some(short) = shortage(&error, &text) {
        return short;
    }
    let said = |code, reason| Refusal::new(code, reason, &text).field("path");
    match error {
        ForgetError::Unknown { .. } => {
            said(Code::NotFound, "NOT_REGISTERED").todo("see `steroidsctl projects`")
        }
        ForgetError::Starting { .. } | ForgetError::Upkeep { .. } => said(Code::Unavailable, "BUSY").todo(RETRY),
        ForgetError::Busy { path, ids } => {
            let id = ids.first().map_or_else(|| "ID".to_owned(), i64::to_string);
            let stop = format!("steroidsctl --project {} stop {id}", shell_word(&path));
            said(Code::FailedPrecondition, "PROJECT_BUSY")
                .todo(format!("wait until all has ended, or stop it: `{stop}`"))
        }
        ForgetError::Transcripts { path, .. } => {
            let path = shell_word(&path);
            let again = format!("steroidsctl projects forget {path} --discard-transcripts");
            said(Code::FailedPrecondition, "TRANSCRIPTS_LEFT").todo(format!(
                "was it only moved, or is it not mounted? Put it back, and log and row are made. Is it gone for good? \
                 Delete them with it: `{again}`"
            ))
        }
        ForgetError::Remove { .. } => internal("REMOVE", &text),
        ForgetError::Project(error) => return project(error),
    }
    .into()
}
