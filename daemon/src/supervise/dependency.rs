//! Invocations that others wait for.

use std::collections::{BTreeSet, HashMap};

use super::StartError;
use crate::domain::{Invocation, InvocationId, Outcome, Phase, RowStatus};
use crate::projects::Project;
use crate::store::{Store, StoreError};

/// So many attempts are followed; there are never more.
pub(super) const ATTEMPTS: u32 = super::prepare::MAX_RETRIES + 1;

/// How it stands with one of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has succeeded, or another attempt of it has.
    Succeeded,
    /// It may still come to that, or this later attempt of it.
    Open(InvocationId),
    /// It has ended in another way, and is not tried again.
    Failed(InvocationId, String),
    /// There is no such row, at least not now.
    Unknown,
}

/// Looks at one, and at the attempts that followed it.
pub(super) async fn standing(store: &Store, id: InvocationId) -> Result<Standing, StoreError> {
    let mut id = id;
    for _ in 0..ATTEMPTS {
        let Some(row) = store.invocation(id).await? else {
            return Ok(Standing::Unknown);
        };
        match ended(&row) {
            None => return Ok(Standing::Open(id)),
            Some(how) if how == Outcome::Success.as_str() => return Ok(Standing::Succeeded),
            Some(how) => match row.managed.and_then(|it| it.queueing.retried_by) {
                Some(next) if next > id => id = next,
                _ => return Ok(Standing::Failed(id, how.to_owned())),
            },
        }
    }
    Ok(Standing::Open(id))
}

/// Looks at several, and gives those of them that have ended: most have not, and are asked for in one go.
pub(super) async fn standings(
    store: &Store,
    ids: BTreeSet<InvocationId>,
) -> Result<HashMap<InvocationId, Standing>, StoreError> {
    let mut standings = HashMap::new();
    for id in store.ended_of(ids).await? {
        standings.insert(id, standing(store, id).await?);
    }
    Ok(standings)
}

fn ended(row: &Invocation) -> Option<&'static str> {
    match row.phase {
        Phase::Queued | Phase::Running => None,
        Phase::Ended {
            outcome: Some(outcome),
            ..
        } => Some(outcome.as_str()),
        Phase::Ended {
            status: RowStatus::Completed,
            ..
        } => Some(Outcome::Success.as_str()),
        Phase::Ended { status, .. } => Some(status.as_str()),
    }
}

/// Of those that a start is to wait for: which have yet to succeed. Refused where one never will.
pub(super) async fn check(
    project: &Project,
    after: &[InvocationId],
) -> Result<Vec<InvocationId>, StartError> {
    let mut open = Vec::new();
    for id in after {
        match standing(&project.store, *id).await? {
            Standing::Succeeded => {}
            Standing::Failed(id, how) => return Err(StartError::AfterFailed { id, how }),
            Standing::Unknown => return Err(StartError::AfterUnknown { id: *id }),
            Standing::Open(_) => {
                let row = project.store.invocation(*id).await?;
                if row.is_some_and(|row| row.managed.is_none()) {
                    return Err(StartError::Invalid {
                        field: "after",
                        reason: format!(
                            "names {id}, which another tool runs; its end is not known here"
                        ),
                    });
                }
                open.push(*id);
            }
        }
    }
    Ok(open)
}

/// Why one ends that waited for another.
pub(super) fn in_vain(id: InvocationId, how: &str) -> String {
    format!("never started: it was to start after invocation {id}, which ended as {how}")
}
