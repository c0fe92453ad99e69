//! Who waits for others: lets those go on whose others have succeeded, and ends those for whom that
//! cannot come any more.
//!
//! What waits for a place must not wait for a disk that hangs, nor for another project's. So each look
//! is short; a project that does not answer in time is asked again beside the line, and until it has
//! answered nobody of it is looked at.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use steroids_shim::exit::End;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tracing::warn;

use super::address::Address;
use super::dependency::{Standing, in_vain, standings};
use super::line::Dependent;
use super::supervisor::Inner;
use super::waiting;
use crate::domain::InvocationId;
use crate::projects::Project;

/// A look at a project's rows takes well under a millisecond, on a loaded host some more; all others
/// wait so long at most, and once for each project that hangs.
const LOOK_WITHIN: Duration = Duration::from_secs(1);

/// Projects that are looked at together.
const TOGETHER: usize = 8;

/// What nobody wrote who would have told is found by a look that comes later than this.
const SEEN_FOR: Duration = Duration::from_secs(30);

/// The looks at those that wait for others.
#[derive(Default)]
pub(super) struct Dependents {
    /// Projects that have not answered yet. Held for a look-up or a change, never across an await.
    slow: Arc<Mutex<HashSet<Arc<Path>>>>,
    /// What the last look at each project found. Held as the other.
    seen: Mutex<HashMap<Key, Seen>>,
}

/// Path and folder of a project: of one that was moved the path may be another's by now.
type Key = (Arc<Path>, Option<(u64, u64)>);

/// A look at the rows of a project.
struct Seen {
    at: Instant,
    /// Those that were waited for, and had yet to succeed.
    open: HashSet<InvocationId>,
    /// Changes when somebody writes into the database that was looked at, or gives it up.
    written: watch::Receiver<u64>,
}

impl Seen {
    /// Whether another look would find no more.
    fn covers(&self, waiting: &[Dependent]) -> bool {
        self.at.elapsed() < SEEN_FOR
            && matches!(self.written.has_changed(), Ok(false))
            && waiting
                .iter()
                .all(|it| it.after.iter().all(|id| self.open.contains(id)))
    }
}

impl Dependents {
    /// Looks at all of them of whose projects there may be news, and that answer. Gives false where one
    /// could not be looked at, and nobody tells when it can.
    pub(super) async fn look(&self, inner: &Arc<Inner>) -> bool {
        let mut of_projects: HashMap<Key, Vec<Dependent>> = HashMap::new();
        for it in inner.line.dependents() {
            let key = (Arc::clone(&it.project), it.folder);
            of_projects.entry(key).or_default().push(it);
        }
        {
            let mut seen = locked(&self.seen);
            seen.retain(|key, _| of_projects.contains_key(key));
            let slow = locked(&self.slow);
            of_projects.retain(|key, waiting| {
                let is_known = seen.get(key).is_some_and(|seen| seen.covers(waiting));
                !is_known && !slow.contains(&key.0)
            });
        }
        stream::iter(of_projects)
            .map(|(key, waiting)| self.look_at(inner, key, waiting))
            .buffer_unordered(TOGETHER)
            .fold(true, async |all, is_seen| all && is_seen)
            .await
    }

    async fn look_at(&self, inner: &Arc<Inner>, key: Key, waiting: Vec<Dependent>) -> bool {
        let (root, folder) = (Arc::clone(&key.0), key.1);
        let asked = async {
            let of = waiting.iter().map(|it| (it.id, it.uuid.as_str()));
            let of: Vec<_> = of.collect();
            let address = Address::of_this_boot(&root, folder);
            let project = inner.project_at(address, &of).await.ok()?;
            // Before the look: what is written meanwhile is looked at once more.
            let written = project.store.written();
            let ids: BTreeSet<_> = waiting
                .iter()
                .flat_map(|it| it.after.iter().copied())
                .collect();
            let found = standings(&project.store, ids).await;
            Some((project, written, found))
        };
        match timeout(LOOK_WITHIN, asked).await {
            Ok(Some((project, written, Ok(standings)))) => {
                let mut seen = Seen {
                    at: Instant::now(),
                    open: HashSet::new(),
                    written,
                };
                for it in &waiting {
                    match still_open(&standings, &it.after) {
                        Ok((open, first)) => {
                            seen.open.extend(&open);
                            if open != it.after || first != it.first {
                                inner.line.waits_for(&it.uuid, open, first);
                            }
                        }
                        // One that is in somebody's care stays, and has more to wait for than was seen.
                        Err(why) => end_in_vain(inner, &project, it, why),
                    }
                }
                locked(&self.seen).insert(key, seen);
                true
            }
            Ok(Some((_, _, Err(error)))) => {
                warn!(project = %root.display(), %error, "rows cannot be read");
                false
            }
            Ok(None) => false,
            Err(_) => {
                self.ask_beside(inner, root);
                true
            }
        }
    }

    #[cfg(test)]
    pub(super) fn looked_at(&self, root: &Path) -> Option<Instant> {
        let seen = locked(&self.seen);
        let mut at_path = seen.iter().filter(|(key, _)| *key.0 == *root);
        at_path.next().map(|(_, seen)| seen.at)
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

/// Those that have yet to succeed, and the attempt of the first of them that goes on; or why one of them
/// never will.
fn still_open(
    standings: &HashMap<InvocationId, Standing>,
    after: &[InvocationId],
) -> Result<(Vec<InvocationId>, Option<InvocationId>), String> {
    let (mut open, mut first) = (Vec::new(), None);
    for id in after {
        let goes_on = match standings.get(id) {
            Some(Standing::Succeeded) => continue,
            Some(Standing::Failed(id, how)) => return Err(in_vain(*id, how)),
            Some(Standing::Open(attempt)) => *attempt,
            // A database that was lost gets its rows back.
            Some(Standing::Unknown) | None => *id,
        };
        open.push(*id);
        first.get_or_insert(goes_on);
    }
    Ok((open, first))
}

/// It leaves the line at once, if its row is written; what is written of its end nobody waits for.
fn end_in_vain(inner: &Arc<Inner>, project: &Arc<Project>, it: &Dependent, error: String) {
    let Some(id) = it.id else {
        return;
    };
    let Some(entry) = inner.line.take_out(&it.uuid, || inner.enter(&it.uuid)) else {
        return;
    };
    let (ending, project) = (Arc::clone(inner), Arc::clone(project));
    inner.tracker.spawn(async move {
        let end = End::never_started(error);
        waiting::end(&ending, project, id, entry, end).await;
    });
}

/// Sets and maps are valid whatever panicked while they were held: every change is one call.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
