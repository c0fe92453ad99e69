//! Has told, by lifecycle events, when a limit is near and when it no longer is. The database knows
//! what was told; here stands what it is known to know, so that it is not asked for nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::announce::Announced;
use crate::domain::{InvocationId, Stalls};
use crate::projects::Project;

/// What was told of one invocation.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// As the database has it, once that is known.
    told: Option<Stalls>,
    /// What is being told, and word of it when it was.
    under_way: Option<(Stalls, oneshot::Receiver<()>)>,
}

/// After a refusal.
const PAUSE: Duration = Duration::from_secs(1);

impl Telling {
    /// Has it told if it is news, after what is announced. Waits for nobody: what the database refuses now is tried
    /// again until it does not, or this is dropped.
    pub(super) fn tell(
        &mut self,
        now: &Stalls,
        id: InvocationId,
        project: &Arc<Project>,
        announced: Option<&Announced>,
        tracker: &TaskTracker,
    ) {
        if let Some((told, word)) = &mut self.under_way {
            match word.try_recv() {
                Ok(()) => self.told = Some(std::mem::take(told)),
                // One at a time, so that they are told in their order.
                Err(oneshot::error::TryRecvError::Empty) => return,
                Err(oneshot::error::TryRecvError::Closed) => {}
            }
            self.under_way = None;
        }
        if self.told.as_ref() == Some(now) {
            return;
        }
        let (mut done, word) = oneshot::channel();
        self.under_way = Some((now.clone(), word));
        let (stalls, project) = (now.clone(), Arc::clone(project));
        let announced = announced.cloned();
        tracker.spawn(async move {
            if let Some(announced) = announced {
                tokio::select! {
                    () = done.closed() => return,
                    () = announced.settled() => {}
                }
            }
            let mut is_first = true;
            loop {
                match project.store.tell_stalls(id, stalls.clone()).await {
                    Ok(is_news) => {
                        // Nobody hears it only if the job has ended.
                        let _ = done.send(());
                        if is_news {
                            project.touch();
                        }
                        return;
                    }
                    Err(error) if is_first => {
                        warn!(invocation.id = %id, %error, "a stall could not be told yet");
                    }
                    Err(error) => debug!(invocation.id = %id, %error, "a stall could not be told"),
                }
                is_first = false;
                tokio::select! {
                    () = done.closed() => return,
                    () = sleep(PAUSE) => {}
                }
            }
        });
    }

    /// What may not have been told yet, for who is to tell it before the row changes.
    pub(super) fn under_way(&self) -> Option<Stalls> {
        self.under_way
            .as_ref()
            .map(|(stalls, _word)| stalls.clone())
    }
}
