//! Why one waits, or is turned away where it would have to, in words.

use steroids_shim::spec::Spec;

use super::line::Rejected;
use super::supervisor::Inner;
use super::{StartError, holds};
use crate::domain::queue::Reason;
use crate::projects::Project;

/// Why one was not let into the line.
pub(super) async fn rejected_for(
    rejected: Rejected,
    inner: &Inner,
    project: &Project,
    spec: &Spec,
) -> StartError {
    match rejected {
        Rejected::WouldWait(Reason::Full(max)) => StartError::TooManyRunning { max },
        Rejected::WouldWait(reason) => StartError::WouldWait {
            reason: said(&reason, &spec.provider),
        },
        Rejected::Long(max) => StartError::QueueFull { max },
        Rejected::TaskBusy => {
            let rows = match project.store.unfinished().await {
                Ok(rows) => rows,
                Err(error) => return error.into(),
            };
            let row = rows.into_iter().find(|row| row.task == spec.task);
            let row = row.map(|row| row.id);
            // Its row may be gone for a moment, with its database.
            let waits = || {
                let mut waiting = inner.line.waiting_in(&project.root).into_iter();
                Some(waiting.find(|(_, task)| *task == spec.task)?.0)
            };
            match row.or_else(waits) {
                Some(id) => StartError::TaskWaits {
                    task: spec.task.clone(),
                    id,
                },
                // Its row is being written, or has just ended.
                None => StartError::WouldWait {
                    reason: said(&Reason::TaskBusy, &spec.provider),
                },
            }
        }
    }
}

/// What one waits for, in words.
pub fn said(reason: &Reason, provider: &str) -> String {
    match reason {
        Reason::Blocked(what) => what.clone(),
        Reason::After(id) => format!("waits for invocation {id} to succeed"),
        Reason::Held(held) => {
            let until = holds::moment(held.until_ms);
            format!("{provider} is held until {until} ({})", held.reason)
        }
        Reason::NotBefore(at) => format!("is tried again at {}", holds::moment(*at)),
        Reason::TaskBusy => "another invocation of its task runs".to_owned(),
        Reason::ProviderFull(max) => format!("providers.{provider}.max_running = {max} is reached"),
        Reason::ProjectFull(max) => format!("projects.max_running = {max} is reached"),
        Reason::Full(max) => format!("daemon.max_running = {max} is reached"),
    }
}
