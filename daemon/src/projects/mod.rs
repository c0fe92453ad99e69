//! Which folders are projects: opened safely once, and lent to everybody else.
//!
//! A project is registered by `init` and stays so until it is forgotten; whether it can be served is found out when it
//! is needed, so that one that is moved, unmounted or not migrated yet does not hold up the
//! others, and is served again when it is back. What asks a project's disk runs on the runtime's
//! blocking threads, one at a time for each project: a disk that hangs has one thread, and whoever
//! comes behind it is refused after a while without having had one.

mod ask;
mod care;
mod error;
mod folder;
mod open;
mod owner;
mod project;
mod refills;
mod registry;
mod roll;
#[cfg(test)]
mod tests;
mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use futures_util::{StreamExt as _, stream};
use tokio::sync::{OwnedMutexGuard, watch};
use tokio::time::timeout;

pub use ask::AtHand;
pub use error::ProjectError;
pub use project::Project;
pub use refills::Refill;
pub use registry::Seen;
pub use roll::Since;
pub use turns::Turns;

pub use crate::store::Origin;

use crate::store::{Migrated, StoreError};
use ask::{ANSWER_WITHIN, TOGETHER};
use care::Troubles;
use owner::Owner;
use refills::Refills;
use registry::Registry;

/// So long does a daemon that starts wait for its projects; those that are late are served when
/// they come.
const OPEN_WITHIN: Duration = Duration::from_secs(5);

/// All registered projects; clones share them.
#[derive(Clone)]
pub struct Projects {
    shared: Arc<Shared>,
}

struct Shared {
    owner: Owner,
    /// Held for a look-up, or while its file, in the state folder, is written.
    registry: Mutex<Registry>,
    /// Taken while anything is asked of a project's disk: it is opened once, and no two threads wait
    /// for a disk that hangs.
    turns: Turns<PathBuf>,
    /// Those whose turn is had by what has taken too long, until that is over.
    mute: Mutex<BTreeSet<PathBuf>>,
    open: Mutex<BTreeMap<PathBuf, Arc<Project>>>,
    /// Which folder each project was when it was opened last.
    last_seen: Mutex<BTreeMap<PathBuf, (u64, u64)>>,
    refills: Arc<Refills>,
    changed: watch::Sender<u64>,
    closed: AtomicBool,
    troubles: Troubles,
    /// See [`Upkeep`].
    upkeep: Arc<tokio::sync::Mutex<()>>,
}

/// Held by whoever removes or replaces what ended invocations have left, so that one does not take
/// away what another reads. Those who wait have their turn in order. A thread that nobody may wait for
/// keeps a clone until it has ended.
#[derive(Debug, Clone)]
pub struct Upkeep {
    _alone: Arc<OwnedMutexGuard<()>>,
}

/// Whether a project can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Yes.
    Ready,
    /// After `steroidsctl migrate`.
    NeedsMigration,
    /// Only to look at: a newer steroidsd has written to it.
    ReadOnly,
    /// Its folder is gone.
    Missing,
    /// No.
    Unusable,
}

/// A registered project, for a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectState {
    /// Its absolute path.
    pub path: PathBuf,
    /// Whether it can be used.
    pub standing: Standing,
    /// Why not, and what to do; empty if it can.
    pub reason: String,
    /// Invocations running in it; 0 where its rows cannot be read.
    pub running: i64,
    /// Epoch milliseconds.
    pub registered_at_ms: i64,
}

impl Projects {
    /// Reads the list of projects and opens those that can be.
    ///
    /// `owner` is this daemon's id: the absolute path of its state folder.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub async fn open(state_dir: &Path, owner: String) -> Result<Projects, ProjectError> {
        let state_dir = state_dir.to_owned();
        let registry = tokio::task::spawn_blocking(move || Registry::load(&state_dir)).await;
        let projects = Projects {
            shared: Arc::new(Shared {
                owner: Owner::new(owner),
                registry: Mutex::new(registry.unwrap_or(Err(ProjectError::Closed))?),
                turns: Turns::default(),
                mute: Mutex::default(),
                open: Mutex::new(BTreeMap::new()),
                refills: Arc::default(),
                changed: watch::Sender::new(0),
                closed: AtomicBool::new(false),
                troubles: Troubles::default(),
                last_seen: Mutex::default(),
                upkeep: Arc::default(),
            }),
        };
        let opened = |path: PathBuf, error: ProjectError| {
            // What is unusable was told of where it was found.
            if Standing::of(&error) != Standing::Unusable {
                tracing::warn!(project = %path.display(), %error, "project not served");
            }
        };
        if timeout(OPEN_WITHIN, projects.each(Shared::get, opened))
            .await
            .is_err()
        {
            tracing::warn!("a project's disk takes long; starting without it");
        }
        Ok(projects)
    }

    /// Serves the folder from now on; with `init`, makes it a project first, and migrates one that
    /// is older. Tells whether that made it one.
    pub async fn register(
        &self,
        path: &Path,
        init: bool,
    ) -> Result<(Arc<Project>, bool), ProjectError> {
        self.at(path, None, move |shared, path| shared.register(path, init))
            .await
    }

    /// Serves a folder no longer, and touches nothing in it: its database is closed, its lock free. False
    /// if it was not registered.
    pub async fn forget(&self, path: &Path) -> Result<bool, ProjectError> {
        self.at(path, None, Shared::forget).await
    }

    /// Whether a folder is registered, be it there or not.
    pub async fn is_registered(&self, path: &Path) -> Result<bool, ProjectError> {
        let path = folder::plain(path)?;
        self.blocking(move |shared| Ok(shared.is_registered(&path)))
            .await
    }

    /// A registered project, opened if it is not yet.
    pub async fn get(&self, path: &Path) -> Result<Arc<Project>, ProjectError> {
        self.at(path, Some(ANSWER_WITHIN), Shared::get).await
    }

    /// Brings a project's database to the schema needed, and serves it from now on.
    pub async fn migrate(&self, path: &Path) -> Result<Migrated, ProjectError> {
        self.at(path, None, Shared::migrate).await
    }

    /// Every registered project, by path.
    pub async fn list(&self) -> Result<Vec<ProjectState>, ProjectError> {
        let entries = self.entries().await?;
        let states = stream::iter(entries)
            .map(|(path, registered_at_ms)| self.state_of(path, registered_at_ms))
            .buffered(TOGETHER);
        Ok(states.collect().await)
    }

    /// A registered project, for a list.
    pub async fn state(&self, path: &Path) -> Result<ProjectState, ProjectError> {
        let path = folder::plain(path)?;
        let wanted = path.clone();
        let entry = self
            .blocking(move |shared| Ok(locked(&shared.registry).registered_at(&wanted)))
            .await?;
        let Some(registered_at_ms) = entry else {
            // Says what is wrong with the path, if something is.
            let refused = self.get(&path).await.err();
            return Err(refused.unwrap_or(ProjectError::NotRegistered { path }));
        };
        Ok(self.state_of(path, registered_at_ms).await)
    }

    /// Those that are open now, by path.
    pub fn all(&self) -> Vec<Arc<Project>> {
        locked(&self.shared.open).values().cloned().collect()
    }

    /// Writes the list of projects anew where its file is gone, and tells whether it was.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn keep_list(&self) -> Result<bool, ProjectError> {
        self.blocking(|shared| locked(&shared.registry).keep())
            .await
    }

    /// Waits until nobody else is at the upkeep of ended invocations, and keeps others from it until
    /// the answer is dropped.
    pub async fn upkeep(&self) -> Upkeep {
        let upkeep = Arc::clone(&self.shared.upkeep);
        Upkeep {
            _alone: Arc::new(upkeep.lock_owned().await),
        }
    }

    /// Grows when a project is added, opened or given up.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }

    /// Closes every project's database, after what waits has been written, and opens none again.
    pub async fn close(&self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        let open = self.blocking(|shared| {
            // One that is being opened finds that it comes too late.
            Ok(std::mem::take(&mut *locked(&shared.open)))
        });
        for project in open.await.unwrap_or_default().into_values() {
            project.store.clone().close().await;
        }
    }

    async fn state_of(&self, path: PathBuf, registered_at_ms: i64) -> ProjectState {
        let (standing, reason, running) = self.standing(&path).await;
        ProjectState {
            path,
            standing,
            reason,
            running,
            registered_at_ms,
        }
    }

    async fn standing(&self, path: &Path) -> (Standing, String, i64) {
        let counted = match self.get(path).await {
            Ok(project) => {
                let standing = if project.store.is_read_only() {
                    Standing::ReadOnly
                } else {
                    Standing::Ready
                };
                let counted = project.store.running_count().await;
                counted
                    .map(|running| (standing, running))
                    .map_err(ProjectError::from)
            }
            Err(error) => Err(error),
        };
        match counted {
            Ok((Standing::ReadOnly, running)) => {
                let reason = "a newer steroidsd has written to it; upgrade this one".to_owned();
                (Standing::ReadOnly, reason, running)
            }
            Ok((standing, running)) => (standing, String::new(), running),
            Err(error) => (Standing::of(&error), error.told(), 0),
        }
    }
}

impl Standing {
    /// The word as it stands in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Ready => "ready",
            Standing::NeedsMigration => "needs_migration",
            Standing::ReadOnly => "read_only",
            Standing::Missing => "missing",
            Standing::Unusable => "unusable",
        }
    }

    /// Whether its rows can be read.
    pub fn is_read(self) -> bool {
        matches!(self, Standing::Ready | Standing::ReadOnly)
    }

    fn of(error: &ProjectError) -> Standing {
        match error {
            ProjectError::Store(StoreError::NeedsMigration { .. }) => Standing::NeedsMigration,
            ProjectError::Missing { .. } | ProjectError::NotAProject { .. } => Standing::Missing,
            _ => Standing::Unusable,
        }
    }
}

/// A panic elsewhere leaves these maps whole: each change is one call.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now_ms() -> i64 {
    steroids_failpoint::wall_clock()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}
