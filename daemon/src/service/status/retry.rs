//! Why nothing was tried again.

use tonic::{Code, Status};

use crate::service::refusal::Refusal;
use crate::supervise::RetryError;

const ASK_ANEW: &str = "start it anew: `steroidsctl show ID` has its prompt, and --resume-of ID goes on with its session";

pub(super) fn retry(error: &RetryError) -> Status {
    let text = error.to_string();
    let refused = |reason| Refusal::new(Code::FailedPrecondition, reason, &text).field("id");
    match error {
        RetryError::NotFound { .. } => Refusal::new(Code::NotFound, "NO_INVOCATION", &text)
            .field("id")
            .todo("see `steroidsctl list`"),
        RetryError::StillRunning { id, .. } => refused("STILL_RUNNING").todo(format!(
            "wait until it has ended, or stop it first: `steroidsctl stop {id}`"
        )),
        RetryError::Succeeded { last, .. } => refused("SUCCEEDED").todo(format!(
            "to have it done once more, name that one: `steroidsctl retry {last}`"
        )),
        RetryError::NotManaged { .. } => refused("NOT_MANAGED").todo(ASK_ANEW),
        RetryError::RequestGone { .. }
        | RetryError::NotKept { .. }
        | RetryError::Unreadable { .. } => refused("REQUEST_GONE").todo(ASK_ANEW),
        RetryError::TooOften { .. } => refused("TOO_MANY_ATTEMPTS").todo(ASK_ANEW),
        RetryError::Meanwhile { next, .. } => {
            refused("RETRIED").todo(format!("see `steroidsctl show {next}`"))
        }
    }
    .into()
}
