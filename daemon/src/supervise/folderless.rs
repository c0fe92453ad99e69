//! One that ran when its daemon was last there, and whose state folder is gone since: nobody can look after it,
//! nor say how it ends.

use std::sync::Arc;

use steroids_shim::exit::End;
use steroids_shim::tree::{self, Adrift};
use tracing::{info, warn};

use crate::domain::{Invocation, Phase};
use crate::projects::Project;

/// The end of one whose row is open. What runs of it is ended, where it is certain that nobody else has its
/// folder.
pub(super) async fn end(project: &Arc<Project>, row: &Invocation, uuid: &str) -> End {
    let never = End::never_started("never started: the daemon ended before its shim ran");
    if row.phase == Phase::Queued {
        return never;
    }
    let (logs, id, name) = (project.logs().clone(), row.id, uuid.to_owned());
    let looked = tokio::task::spawn_blocking(move || {
        let has_log = match logs.recover(id) {
            Ok(found) => found.is_some_and(|log| log.len.get() > 0) || logs.is_packed(id),
            // It is there, and says no more.
            Err(_) => true,
        };
        (tree::end_adrift(&name), has_log)
    });
    // Only a panic, or the runtime's end.
    let (found, has_log) = looked.await.unwrap_or((Adrift::Nothing, true));
    let has_run = has_log || row.managed.as_ref().is_some_and(|it| it.pid.is_some());
    let error = match found {
        Adrift::Nothing if !has_run => return never,
        Adrift::Nothing => "its state folder is gone".to_owned(),
        Adrift::Killed(killed) => {
            let found = killed.found.len();
            info!(invocation.id = %id, found, "killed what runs without a state folder");
            "its state folder is gone; it was ended, as nobody could look after it".to_owned()
        }
        Adrift::Left(left) => {
            warn!(invocation.id = %id, ?left, "runs without a state folder, and is left alone");
            let left: Vec<_> = left.iter().map(i32::to_string).collect();
            let left = left.join(", ");
            format!(
                "its state folder is gone from here; left alone, as it may be another daemon's: pid {left}"
            )
        }
    };
    End::Lost { error }
}
