//! Has told, by lifecycle events, when a limit is near and when it no longer is. The database knows
//! what was told; here stands what it is known to know, so that it is not asked for nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::domain::{InvocationId, Stalls};
use crate::projects::Project;

/// What was told of one invocation.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// As the database has it, once that is known.
    told: Option<Stalls>,
    /// What is being told, and word of it when it was.
    under_way: Option<(Stalls, oneshot::Receiver<()>)>,
    /// When it could not be told last.
    failed: Option<Instant>,
}

/// After a refusal: a provider that prints all the time is a reason to ask as often, and no help.
const PAUSE: Duration = Duration::from_secs(1);

impl Telling {
    /// Has it told if it is news. Waits for nobody: what cannot be told now, as the database
    /// refuses, is told when this is asked again, if it still holds then.
    pub(super) fn tell(
        &mut self,
        now: &Stalls,
        id: InvocationId,
        project: &Arc<Project>,
        tracker: &TaskTracker,
    ) {
        if let Some((told, word)) = &mut self.under_way {
            match word.try_recv() {
                Ok(()) => {
                    self.told = Some(std::mem::take(told));
                    self.failed = None;
                }
                // One at a time, so that they are told in their order.
                Err(oneshot::error::TryRecvError::Empty) => return,
                Err(oneshot::error::TryRecvError::Closed) => self.failed = Some(Instant::now()),
            }
            self.under_way = None;
        }
        let is_too_soon = self.failed.is_some_and(|at| at.elapsed() < PAUSE);
        if self.told.as_ref() == Some(now) || is_too_soon {
            return;
        }
        let is_first = self.failed.is_none();
        let (done, word) = oneshot::channel();
        self.under_way = Some((now.clone(), word));
        let (stalls, project) = (now.clone(), Arc::clone(project));
        tracker.spawn(async move {
            match project.store.tell_stalls(id, stalls).await {
                Ok(is_news) => {
                    // Nobody hears it only if the job has ended.
                    let _ = done.send(());
                    if is_news {
                        project.touch();
                    }
                }
                Err(error) if is_first => {
                    warn!(invocation.id = %id, %error, "a stall could not be told");
                }
                Err(error) => debug!(invocation.id = %id, %error, "a stall could not be told"),
            }
        });
    }
}
