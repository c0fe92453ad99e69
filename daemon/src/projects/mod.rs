//! Which folders are projects: opened safely once, and lent to everybody else.
//!
//! A project is registered by `init` and stays so; whether it can be served is found out when it
//! is needed, so that one that is moved, unmounted or not migrated yet does not hold up the
//! others, and is served again when it is back. What blocks runs on the runtime's blocking
//! threads, one opening at a time.

mod care;
mod error;
mod folder;
mod owner;
mod project;
mod registry;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use tokio::sync::watch;

pub use error::ProjectError;
pub use project::Project;

use crate::store::{Migrated, StoreError};
use care::Troubles;
use project::Site;
use registry::Registry;

/// All registered projects; clones share them.
#[derive(Clone)]
pub struct Projects {
    shared: Arc<Shared>,
}

struct Shared {
    owner: String,
    /// Held while a project is opened, so that it is opened once.
    registry: Mutex<Registry>,
    open: Mutex<BTreeMap<PathBuf, Arc<Project>>>,
    /// Which folder each project was when it was opened last.
    last_seen: Mutex<BTreeMap<PathBuf, (u64, u64)>>,
    changed: watch::Sender<u64>,
    closed: AtomicBool,
    troubles: Troubles,
    /// Held during a look at all: one that nobody waits for any more may go on for long.
    looking: Arc<tokio::sync::Mutex<()>>,
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
    /// Invocations queued or running in it.
    pub running: i64,
    /// Epoch milliseconds.
    pub registered_at_ms: i64,
}

impl Projects {
    /// Reads the list of projects and opens those that can be; blocks.
    ///
    /// `owner` is this daemon's id: the absolute path of its state folder.
    pub fn open(state_dir: &Path, owner: String) -> Result<Projects, ProjectError> {
        let registry = Registry::load(state_dir)?;
        let paths: Vec<PathBuf> = registry
            .entries()
            .map(|(path, _)| path.to_owned())
            .collect();
        let projects = Projects {
            shared: Arc::new(Shared {
                owner,
                registry: Mutex::new(registry),
                open: Mutex::new(BTreeMap::new()),
                changed: watch::Sender::new(0),
                closed: AtomicBool::new(false),
                troubles: Troubles::default(),
                last_seen: Mutex::default(),
                looking: Arc::default(),
            }),
        };
        for path in paths {
            if let Err(error) = projects.shared.get(&path)
                && Standing::of(&error) != Standing::Unusable
            {
                tracing::warn!(project = %path.display(), %error, "project not served");
            }
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
        let path = path.to_owned();
        self.blocking(move |shared| shared.register(&path, init))
            .await
    }

    /// A registered project, opened if it is not yet.
    pub async fn get(&self, path: &Path) -> Result<Arc<Project>, ProjectError> {
        let path = folder::plain(path)?;
        if let Some(project) = self.shared.opened(&path) {
            return Ok(project);
        }
        self.blocking(move |shared| shared.get(&path)).await
    }

    /// Brings a project's database to the schema needed, and serves it from now on.
    pub async fn migrate(&self, path: &Path) -> Result<Migrated, ProjectError> {
        let path = path.to_owned();
        self.blocking(move |shared| shared.migrate(&path)).await
    }

    /// Every registered project, by path.
    pub async fn list(&self) -> Result<Vec<ProjectState>, ProjectError> {
        let entries: Vec<(PathBuf, i64)> = self
            .blocking(|shared| {
                let registry = locked(&shared.registry);
                Ok(registry
                    .entries()
                    .map(|(path, at)| (path.to_owned(), at))
                    .collect())
            })
            .await?;
        let mut states = Vec::with_capacity(entries.len());
        for (path, registered_at_ms) in entries {
            states.push(self.state_of(path, registered_at_ms).await);
        }
        Ok(states)
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

    /// Grows when a project is added, opened or given up.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }

    /// Closes every project's database, after what waits has been written, and opens none again.
    pub async fn close(&self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        let open = self.blocking(|shared| {
            // One that is being opened is waited for.
            let _registry = locked(&shared.registry);
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

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, ProjectError> + Send + 'static,
    ) -> Result<T, ProjectError> {
        let shared = Arc::clone(&self.shared);
        let done = tokio::task::spawn_blocking(move || work(&shared)).await;
        done.unwrap_or(Err(ProjectError::Closed))
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

    fn of(error: &ProjectError) -> Standing {
        match error {
            ProjectError::Store(StoreError::NeedsMigration { .. }) => Standing::NeedsMigration,
            ProjectError::Missing { .. } | ProjectError::NotAProject { .. } => Standing::Missing,
            _ => Standing::Unusable,
        }
    }
}

impl Shared {
    fn opened(&self, path: &Path) -> Option<Arc<Project>> {
        let project = locked(&self.open).get(path).cloned();
        project.filter(|project| project.is_in_place())
    }

    fn get(&self, path: &Path) -> Result<Arc<Project>, ProjectError> {
        let path = folder::plain(path)?;
        let registry = locked(&self.registry);
        if !registry.contains(&path) {
            // Says what is wrong with the path, if something is.
            let site = Site::open(&path)?;
            return Err(if site.has_database() {
                ProjectError::NotRegistered { path }
            } else {
                ProjectError::NotAProject { path }
            });
        }
        let project = self.open_project(&path);
        drop(registry);
        project
    }

    fn register(&self, path: &Path, init: bool) -> Result<(Arc<Project>, bool), ProjectError> {
        let path = folder::plain(path)?;
        let mut registry = locked(&self.registry);
        let mut created = false;
        if init {
            let site = Site::init(&path)?;
            created = !site.has_database();
            if self.opened(&path).is_none() {
                site.migrate(&self.owner)?;
            }
        }
        let project = self.open_given(&path, &registry)?;
        if registry.add(&path, now_ms())? {
            self.bump();
        }
        Ok((project, created))
    }

    fn migrate(&self, path: &Path) -> Result<Migrated, ProjectError> {
        let path = folder::plain(path)?;
        let mut registry = locked(&self.registry);
        let site = Site::open(&path)?;
        if !site.has_database() {
            return Err(ProjectError::NotAProject { path });
        }
        let migrated = site.migrate(&self.owner)?;
        self.open_given(&path, &registry)?;
        if registry.add(&path, now_ms())? {
            self.bump();
        }
        Ok(migrated)
    }

    /// Opens what may not be registered yet. Of a path that comes to nothing, nothing is remembered:
    /// nobody would ever look at it again.
    fn open_given(&self, path: &Path, registry: &Registry) -> Result<Arc<Project>, ProjectError> {
        let opened = self.open_project(path);
        if opened.is_err() && !registry.contains(path) {
            self.troubles.forget(path);
        }
        opened
    }

    /// With the registry locked: one at a time.
    fn open_project(&self, path: &Path) -> Result<Arc<Project>, ProjectError> {
        if let Some(project) = self.opened(path) {
            return Ok(project);
        }
        if self.closed.load(Ordering::Relaxed) {
            return Err(ProjectError::Closed);
        }
        let old = locked(&self.open).remove(path);
        if let Some(old) = old {
            tracing::warn!(project = %path.display(), "project replaced, damaged or gone");
            old.give_up();
            self.bump();
        }
        self.troubles.still(path)?;
        let before = care::stamps(path);
        let site = Site::open(path);
        let id = site.as_ref().ok().map(Site::id);
        let opened = site.and_then(|site| site.into_project(&self.owner));
        self.troubles.note(path, before, &opened);
        let project = Arc::new(opened?);
        if let Some(id) = id {
            locked(&self.last_seen).insert(path.to_owned(), id);
        }
        locked(&self.open).insert(path.to_owned(), Arc::clone(&project));
        self.bump();
        Ok(project)
    }

    fn bump(&self) {
        self.changed
            .send_modify(|count| *count = count.wrapping_add(1));
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
