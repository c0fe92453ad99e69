//! Asking a project's disk: one at a time for each project, off the runtime, and not without end.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;

use super::error::ProjectError;
use super::project::Project;
use super::{Projects, Shared, folder, locked};
use crate::domain::InvocationId;

/// A project's disk has to answer within this time. Less than a client waits for an answer (30 s),
/// more than SQLite waits for another program's lock.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(25);

/// A look at a few names takes no longer on a disk that is well, and no list waits longer for them.
const NAMES_WITHIN: Duration = Duration::from_secs(1);

/// One that is asked among many, of which somebody waits for all, has this long to say that it is as it was.
const AT_HAND_WITHIN: Duration = Duration::from_secs(2);

/// Projects that are looked at together: enough that one that hangs holds up nobody, few enough that
/// a hundred do not take all blocking threads.
pub(super) const TOGETHER: usize = 8;

/// All projects that are registered, by path.
#[derive(Default)]
pub struct AtHand {
    /// Those that are served now.
    pub projects: Vec<Arc<Project>>,
    /// The others, and what is wrong.
    pub away: Vec<(PathBuf, ProjectError)>,
}

impl Projects {
    /// Those that are open now and whose disk answers.
    pub async fn answering(&self) -> Vec<Arc<Project>> {
        let asked = stream::iter(self.all())
            .map(|project| async move {
                let now = self.get(&project.root).await;
                now.is_ok_and(|now| Arc::ptr_eq(&now, &project))
                    .then_some(project)
            })
            .buffered(TOGETHER);
        asked.filter_map(std::future::ready).collect().await
    }

    /// Those registered that are to be had now, each as it is by now, and the others with what is wrong with
    /// them. Holds nobody up: one that takes longer to say whether it is still the same is given as it was,
    /// unless its disk is known not to answer.
    pub async fn at_hand(&self) -> Result<AtHand, ProjectError> {
        let asked = stream::iter(self.entries().await?).map(|(path, _)| async move {
            let now = match timeout(AT_HAND_WITHIN, self.get(&path)).await {
                Ok(now) => now,
                Err(_) => {
                    let before = locked(&self.shared.open).get(&path).cloned();
                    let path = path.clone();
                    before.ok_or(ProjectError::NoAnswer { path })
                }
            };
            now.map_err(|error| (path, error))
        });
        let mut at_hand = AtHand::default();
        let mut asked = pin!(asked.buffered(TOGETHER));
        while let Some(now) = asked.next().await {
            match now {
                Ok(project) => at_hand.projects.push(project),
                Err(away) => at_hand.away.push(away),
            }
        }
        Ok(at_hand)
    }

    /// The files in which logs of a project lie, as far as its disk answers; else their usual names.
    pub async fn log_files(
        &self,
        project: &Arc<Project>,
        ids: Vec<InvocationId>,
    ) -> Vec<Option<PathBuf>> {
        let usual = ids.iter().map(|id| Some(project.logs().path(*id)));
        let usual = usual.collect();
        let logs = project.logs().clone();
        let look = move |_: &Shared, _: &Path| Ok(logs.lying(&ids));
        let found = self.at(&project.root, Some(ANSWER_WITHIN), look);
        match timeout(NAMES_WITHIN, found).await {
            Ok(Ok(found)) => found,
            _ => usual,
        }
    }

    /// Takes a project's turn, as one does whose disk does not answer.
    #[cfg(test)]
    pub(crate) async fn turn(&self, path: &Path) -> OwnedMutexGuard<()> {
        self.shared.turns.take(path.to_owned()).await
    }

    /// The registered projects, with the epoch milliseconds of their registration.
    pub(super) async fn entries(&self) -> Result<Vec<(PathBuf, i64)>, ProjectError> {
        self.blocking(|shared| {
            let registry = locked(&shared.registry);
            let entries = registry.entries();
            Ok(entries.map(|(path, at)| (path.to_owned(), at)).collect())
        })
        .await
    }

    /// Does something with every registered project, and tells of those where it failed.
    pub(super) async fn each<T: Send + 'static>(
        &self,
        work: fn(&Shared, &Path) -> Result<T, ProjectError>,
        failed: impl Fn(PathBuf, ProjectError),
    ) {
        let entries = self.entries().await.unwrap_or_default();
        let done = stream::iter(entries).map(|(path, _)| async move {
            let done = self.at(&path, Some(ANSWER_WITHIN), work).await;
            (path, done.err())
        });
        let done = done.buffer_unordered(TOGETHER);
        done.for_each(|(path, error)| {
            if let Some(error) = error {
                failed(path, error);
            }
            std::future::ready(())
        })
        .await;
    }

    /// Asks a project's disk, when it is this caller's turn. What takes too long goes on by itself,
    /// and keeps the turn; until it is over nobody else waits.
    pub(super) async fn at<T: Send + 'static>(
        &self,
        path: &Path,
        within: Option<Duration>,
        work: impl FnOnce(&Shared, &Path) -> Result<T, ProjectError> + Send + 'static,
    ) -> Result<T, ProjectError> {
        let path = folder::plain(path)?;
        if locked(&self.shared.mute).contains(&path) {
            return Err(ProjectError::NoAnswer { path });
        }
        let turn = timeout(ANSWER_WITHIN, self.shared.turns.take(path.clone()));
        let Ok(turn) = turn.await else {
            return Err(ProjectError::NoAnswer { path });
        };
        // By itself: that a disk does not answer has to be known also where nobody waits for the answer
        // any more. It ends within the time given.
        let this = self.clone();
        let asked = tokio::spawn(async move { this.asked(path, turn, within, work).await });
        asked.await.unwrap_or(Err(ProjectError::Closed))
    }

    async fn asked<T: Send + 'static>(
        &self,
        path: PathBuf,
        turn: OwnedMutexGuard<()>,
        within: Option<Duration>,
        work: impl FnOnce(&Shared, &Path) -> Result<T, ProjectError> + Send + 'static,
    ) -> Result<T, ProjectError> {
        let answered = Arc::new(AtomicBool::new(false));
        let answer = Answer {
            shared: Arc::clone(&self.shared),
            path: path.clone(),
            answered: Arc::clone(&answered),
            _turn: turn,
        };
        let asked = self.blocking(move |shared| {
            let done = work(shared, &answer.path);
            drop(answer);
            done
        });
        let Some(within) = within else {
            return asked.await;
        };
        if let Ok(done) = timeout(within, asked).await {
            return done;
        }
        let mut mute = locked(&self.shared.mute);
        if !answered.load(Ordering::Relaxed) {
            tracing::warn!(project = %path.display(), "its disk does not answer");
            mute.insert(path.clone());
        }
        drop(mute);
        Err(ProjectError::NoAnswer { path })
    }

    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, ProjectError> + Send + 'static,
    ) -> Result<T, ProjectError> {
        let shared = Arc::clone(&self.shared);
        let done = tokio::task::spawn_blocking(move || work(&shared)).await;
        done.unwrap_or(Err(ProjectError::Closed))
    }
}

/// Says that a disk has answered, however that went, and gives back the turn.
struct Answer {
    shared: Arc<Shared>,
    path: PathBuf,
    answered: Arc<AtomicBool>,
    _turn: OwnedMutexGuard<()>,
}

impl Drop for Answer {
    fn drop(&mut self) {
        // Under the lock of those that are mute: it is entered there or not at all.
        let mut mute = locked(&self.shared.mute);
        self.answered.store(true, Ordering::Relaxed);
        let was_mute = mute.remove(&self.path);
        drop(mute);
        // Who was told of what was done meanwhile may have come too early, and been refused.
        if was_mute {
            self.shared.bump();
        }
    }
}
