//! An event of an invocation that is recorded however long the database refuses it. Its job goes on meanwhile,
//! and waits for it before it changes the row: whoever reads the events finds them in their order.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::warn;

use super::job::{Job, RETRY};
use super::supervisor::Inner;
use crate::domain::Invocation;
use crate::projects::Project;
use crate::store::{NewEvent, StoreError};

/// What is known of it.
#[derive(Debug, Clone)]
enum Word {
    UnderWay,
    /// Last time; it is tried again.
    Refused(Arc<StoreError>),
    Recorded,
}

/// An event that is recorded as soon as can be, unless this is dropped before.
#[derive(Debug, Clone)]
pub(super) struct Announced {
    word: watch::Receiver<Word>,
}

impl Announced {
    /// Why it is not recorded yet, once it was tried; `None` if it is. Cancel-safe.
    pub(super) async fn refused(&mut self) -> Option<Arc<StoreError>> {
        let tried = |word: &Word| !matches!(word, Word::UnderWay);
        let tried = self.word.wait_for(tried).await;
        match tried.as_deref() {
            Ok(Word::Refused(error)) => Some(Arc::clone(error)),
            // Nobody tries any more: the daemon stops.
            Ok(Word::Recorded | Word::UnderWay) | Err(_) => None,
        }
    }

    /// Waits until it is, or nobody tries any more. Cancel-safe.
    pub(super) async fn settled(mut self) {
        let recorded = |word: &Word| matches!(word, Word::Recorded);
        // Gone is who tried.
        let _ = self.word.wait_for(recorded).await;
    }
}

impl Job {
    /// Why something that is to be told before the row changes is not yet; tells it if that can be done now.
    pub(super) async fn untold(&mut self) -> Option<Arc<StoreError>> {
        if let Some(mut announced) = self.announced.clone() {
            let refused = self.obeying(announced.refused()).await;
            if refused.is_some() {
                return refused;
            }
            self.announced = None;
        }
        let (id, store) = (self.id, self.project.store.clone());
        let stalls = self.telling.under_way()?;
        let told = self.obeying(store.tell_stalls(id, stalls)).await;
        told.err().map(Arc::new)
    }
}

impl Inner {
    /// Has an event about an invocation recorded, and waits for nobody.
    pub(super) fn announce(
        self: &Arc<Self>,
        project: &Arc<Project>,
        row: &Invocation,
        kind: &'static str,
    ) -> Announced {
        let event = NewEvent {
            kind: kind.to_owned(),
            invocation: Some(row.id),
            task: Some(row.task.clone()),
            message: String::new(),
        };
        let (word, announced) = watch::channel(Word::UnderWay);
        let (inner, project) = (Arc::clone(self), Arc::clone(project));
        let recording = async move {
            loop {
                // Another file may have the database's name since.
                let now = inner.projects.get(&project.root).await;
                let now = now.ok().filter(|now| now.folder() == project.folder());
                let project = now.as_ref().unwrap_or(&project);
                match project.store.record(event.clone()).await {
                    Ok(_number) => {
                        project.touch();
                        word.send_replace(Word::Recorded);
                        return;
                    }
                    // Its database is gone for good, and who would read it there.
                    Err(_) if project.store.is_given_up() => {
                        word.send_replace(Word::Recorded);
                        return;
                    }
                    Err(error) => {
                        let is_first = matches!(*word.borrow(), Word::UnderWay);
                        if is_first {
                            warn!(%error, kind, "lifecycle event not recorded yet");
                        }
                        word.send_replace(Word::Refused(Arc::new(error)));
                    }
                }
                tokio::select! {
                    () = word.closed() => return,
                    () = inner.stop.cancelled() => return,
                    () = sleep(RETRY) => {}
                }
            }
        };
        self.tracker.spawn(recording);
        Announced { word: announced }
    }
}
