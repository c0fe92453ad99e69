//! Who waits for others: lets those go on whose others have succeeded, and ends those for whom that
//! cannot come any more.
//!
//! What waits for a place must not wait for a disk that hangs, nor for another project's. So each look
//! is short; a project that does not answer in time is asked again beside the line, and until it has
//! answered nobody of it is looked at.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use steroids_shim::exit::End;
use tokio::time::timeout;
use tracing::warn;

use super::dependency::{Standing, in_vain, standing};
use super::supervisor::Inner;
use super::waiting;
use crate::domain::InvocationId;
use crate::projects::Project;
use crate::store::StoreError;

/// A look at a project's rows takes well under a millisecond, on a loaded host some more; all others
/// wait so long at most, and once for each project that hangs.
const LOOK_WITHIN: Duration = Duration::from_secs(1);

/// Dependents that are looked at together.
const TOGETHER: usize = 8;

/// The looks at those that wait for others.
#[derive(Default)]
pub(super) struct Dependents {
    /// Projects that have not answered yet. Held for a look-up or a change, never across an await.
    slow: Arc<Mutex<HashSet<Arc<Path>>>>,
}

impl Dependents {
    /// Looks at all of them whose projects answer.
    pub(super) async fn look(&self, inner: &Arc<Inner>) {
        let looked = stream::iter(inner.line.dependents());
        looked
            .for_each_concurrent(TOGETHER, |(uuid, root, after)| async move {
                if !locked(&self.slow).contains(&root) {
                    self.look_at(inner, &uuid, root, &after).await;
                }
            })
            .await;
    }

    async fn look_at(
        &self,
        inner: &Arc<Inner>,
        uuid: &str,
        root: Arc<Path>,
        after: &[InvocationId],
    ) {
        let asked = async {
            let project = inner.projects.get(&root).await.ok()?;
            let open = still_open(&project, after).await;
            Some((project, open))
        };
        match timeout(LOOK_WITHIN, asked).await {
            Ok(Some((_, Ok(Ok(open))))) if open == after => {}
            Ok(Some((_, Ok(Ok(open))))) => inner.line.waits_for(uuid, open),
            Ok(Some((project, Ok(Err(why))))) => end_in_vain(inner, project, uuid, why),
            Ok(Some((_, Err(error)))) => {
                warn!(project = %root.display(), %error, "rows cannot be read");
            }
            Ok(None) => {}
            Err(_) => self.ask_beside(inner, root),
        }
    }

    /// Waits for a project to answer, which it does, or is given up, within the time that it has.
    fn ask_beside(&self, inner: &Arc<Inner>, root: Arc<Path>) {
        if !locked(&self.slow).insert(Arc::clone(&root)) {
            return;
        }
        warn!(project = %root.display(), "takes long to answer; who waits in it for others waits on");
        let (asking, slow) = (Arc::clone(inner), Arc::clone(&self.slow));
        inner.tracker.spawn(async move {
            tokio::select! {
                () = asking.stop.cancelled() => return,
                _ = asking.projects.get(&root) => {}
            }
            locked(&slow).remove(&root);
            asking.line.look_again();
        });
    }
}

/// Those that have yet to succeed; or why one of them never will.
async fn still_open(
    project: &Project,
    after: &[InvocationId],
) -> Result<Result<Vec<InvocationId>, String>, StoreError> {
    let mut open = Vec::new();
    for id in after {
        match standing(&project.store, *id).await? {
            Standing::Succeeded => {}
            // A database that was lost gets its rows back.
            Standing::Open | Standing::Unknown => open.push(*id),
            Standing::Failed(id, how) => return Ok(Err(in_vain(id, &how))),
        }
    }
    Ok(Ok(open))
}

/// It leaves the line at once; what is written of that nobody waits for.
fn end_in_vain(inner: &Arc<Inner>, project: Arc<Project>, uuid: &str, error: String) {
    let Some(entry) = inner.line.take_out(uuid, || inner.enter(uuid)) else {
        return;
    };
    let ending = Arc::clone(inner);
    inner.tracker.spawn(async move {
        if let Ok(Some(row)) = project.store.by_uuid(entry.uuid()).await {
            let end = End::NeverStarted { error };
            waiting::end(&ending, project, row.id, entry, end).await;
        }
    });
}

/// A set is valid whatever panicked while it was held: every change to it is one call.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
