//! Rows that end without a job, as there is no specification to project by: that is gone, or damaged, and
//! nobody will mend it. What the exit record says stands in the row all the same.

use std::sync::Arc;

use steroids_shim::exit::{End, ExitRecord};
use steroids_shim::lock;
use steroids_shim::paths::InvDir;
use tracing::{info, warn};

use super::finish::mark_projected;
use super::lost;
use super::reconcile::Reconciled;
use super::stop::is_open;
use super::supervisor::{Inner, chain};
use crate::domain::{Invocation, InvocationId};
use crate::projection;
use crate::projects::Project;

impl Inner {
    /// Ends the row of an invocation whose specification is damaged, once its shim is gone. True if
    /// nothing is left to be done, or somebody else does it.
    pub(super) async fn end_unreadable(
        self: &Arc<Self>,
        dir: &InvDir,
        uuid: &str,
        found: &mut Reconciled,
    ) -> bool {
        // Held until the row has ended. One that has a job was read before the damage.
        let Some(_entry) = self.enter(uuid) else {
            return true;
        };
        let lock = dir.lock();
        let held = tokio::task::spawn_blocking(move || lock::is_held(&lock)).await;
        if !matches!(held, Ok(Ok(false))) {
            return false;
        }
        // Which project it is of nothing else tells.
        let Some((project, row)) = self.row_by_uuid(uuid).await else {
            return false;
        };
        if is_open(&row) {
            let launcher = Arc::clone(&self.settings().launcher);
            let Some(exit) = lost::declare_unreadable(&*launcher, uuid, dir).await else {
                return false;
            };
            let is_lost = matches!(exit.end, End::Lost { .. });
            if !end_by_record(self, &project, row.id, exit).await {
                return false;
            }
            match is_lost {
                true => found.lost += 1,
                false => found.finished += 1,
            }
            info!(invocation.id = %row.id, "ended, though its specification is damaged");
        }
        let dir = dir.clone();
        // A mark that could not be made is made by the next reconcile.
        let _ = tokio::task::spawn_blocking(move || mark_projected(&dir)).await;
        self.strays.take(uuid);
        true
    }

    async fn row_by_uuid(&self, uuid: &str) -> Option<(Arc<Project>, Invocation)> {
        for project in self.projects.answering().await {
            match project.store.by_uuid(uuid).await {
                Ok(Some(row)) => return Some((project, row)),
                Ok(None) => {}
                Err(error) => {
                    warn!(project = %project.root.display(), %error, "rows cannot be read");
                }
            }
        }
        None
    }
}

/// Ends a row by its record alone: what its log lacks of two lines, then the row. False if it is open
/// still.
pub(super) async fn end_by_record(
    inner: &Inner,
    project: &Arc<Project>,
    id: InvocationId,
    exit: ExitRecord,
) -> bool {
    // Of a copied row no entry keeps others away: that is for the one it was copied of.
    let turn = inner.end_turns.take(&project.root, &id.to_string()).await;
    let row = match project.store.invocation(id).await {
        Ok(Some(row)) if is_open(&row) => row,
        Ok(_) => return true,
        Err(error) => {
            warn!(invocation.id = %id, %error, "row cannot be read");
            return false;
        }
    };
    // One that waited until then has lasted no time at all.
    let started = started(&row).unwrap_or(exit.ended_ms);
    let exit = match exit.end {
        // Its last sign of life may be older than its row.
        End::Lost { .. } => ExitRecord {
            ended_ms: exit.ended_ms.max(started),
            ..exit
        },
        _ => exit,
    };
    let ending = projection::ending_of(&exit, None, started);
    let logs = project.logs().clone();
    let path = logs.path(id);
    // Whoever asked for it may be gone meanwhile: the turn ends with what is written, at the earliest.
    let write = move || (projection::write_stub(&logs, &row, &exit), turn);
    let written = tokio::task::spawn_blocking(write).await;
    if let Ok((Err(error), _)) = &written {
        warn!(invocation.id = %id, error = %chain(error), "its log could not be written");
    }
    steroids_failpoint::reach("stub.logged");
    inner.hints.poke(&path);
    let finished = project.store.finish(id, ending).await;
    let has_ended = finished.is_ok();
    match finished {
        Ok(finished) => inner.count(project, &finished),
        Err(error) => warn!(invocation.id = %id, %error, "its row could not be ended"),
    }
    project.touch();
    inner.line.look_again();
    has_ended
}

fn started(row: &Invocation) -> Option<u64> {
    row.started_ms
        .and_then(|started| u64::try_from(started).ok())
}
