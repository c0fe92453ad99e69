//! Ends of invocations, for who tells others of them: offered, not delivered. Nobody waits for a reader.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::broadcast;

use super::Supervisor;
use super::supervisor::Inner;
use crate::domain::{Invocation, InvocationId};
use crate::projects::Project;
use crate::store::Finished;

/// Ends that a reader may be behind; then it misses the oldest, and is told how many. More than end in
/// the time that a slow reader takes for one, unless a daemon finds many at its start.
pub(super) const KEPT: usize = 256;

/// One that has ended, and whose log is complete.
#[derive(Clone)]
pub struct EndedRun {
    /// Where it is from.
    pub project: Arc<Project>,
    /// Its final row.
    pub row: Arc<Invocation>,
}

/// Those that end from now on.
pub type Ends = broadcast::Receiver<EndedRun>;

impl Supervisor {
    /// Tells of ends from now on.
    pub fn ends(&self) -> Ends {
        self.inner.ends.subscribe()
    }

    /// One that ended before, if its project answers.
    pub async fn ended(&self, project: &Path, id: InvocationId) -> Option<EndedRun> {
        let project = self.inner.projects.get(project).await.ok()?;
        let row = project.store.invocation(id).await.ok()??;
        let row = Arc::new(row);
        row.phase.is_ended().then_some(EndedRun { project, row })
    }
}

impl Inner {
    /// Counts an end and tells of it, once.
    pub(super) fn count(&self, project: &Arc<Project>, finished: &Finished) {
        if finished.repeated {
            return;
        }
        self.counts.ended(&finished.invocation);
        if self.ends.receiver_count() > 0 {
            let end = EndedRun {
                project: Arc::clone(project),
                row: Arc::new(finished.invocation.clone()),
            };
            // Its readers have gone only while the daemon stops.
            let _ = self.ends.send(end);
        }
    }
}
