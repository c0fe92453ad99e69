//! Which folders are projects: opened safely once, and lent to everybody else.
//!
//! A project is registered by `init` and stays so; whether it can be served is found out when it
//! is needed, so that one that is moved, unmounted or not migrated yet does not hold up the
//! others, and is served again when it is back. What asks a project's disk runs on the runtime's
//! blocking threads, one at a time for each project: a disk that hangs has one thread, and whoever
//! comes behind it is refused after a while without having had one.

mod care;
mod error;
mod folder;
mod owner;
mod project;
mod registry;
#[cfg(test)]
mod tests;
mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use futures_util::{StreamExt as _, stream};
use tokio::sync::watch;
use tokio::time::timeout;

pub use error::ProjectError;
pub use project::Project;
pub use turns::Turns;

use crate::store::{Migrated, StoreError};
use care::Troubles;
use project::Site;
use registry::Registry;

/// A project's disk has to answer within this time. Less than a client waits for an answer (30 s),
/// more than SQLite waits for another program's lock.
const ANSWER_WITHIN: Duration = Duration::from_secs(25);

/// So long does a daemon that starts wait for its projects; those that are late are served when
/// they come.
const OPEN_WITHIN: Duration = Duration::from_secs(5);

/// Projects that are looked at together: enough that one that hangs holds up nobody, few enough that
/// a hundred do not take all blocking threads.
const TOGETHER: usize = 8;

/// All registered projects; clones share them.
#[derive(Clone)]
pub struct Projects {
    shared: Arc<Shared>,
}

struct Shared {
    owner: String,
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
    changed: watch::Sender<u64>,
    closed: AtomicBool,
    troubles: Troubles,
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
                owner,
                registry: Mutex::new(registry.unwrap_or(Err(ProjectError::Closed))?),
                turns: Turns::default(),
                mute: Mutex::default(),
                open: Mutex::new(BTreeMap::new()),
                changed: watch::Sender::new(0),
                closed: AtomicBool::new(false),
                troubles: Troubles::default(),
                last_seen: Mutex::default(),
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

    /// The registered projects, with the epoch milliseconds of their registration.
    async fn entries(&self) -> Result<Vec<(PathBuf, i64)>, ProjectError> {
        self.blocking(|shared| {
            let registry = locked(&shared.registry);
            let entries = registry.entries();
            Ok(entries.map(|(path, at)| (path.to_owned(), at)).collect())
        })
        .await
    }

    /// Does something with every registered project, and tells of those where it failed.
    async fn each<T: Send + 'static>(
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
    async fn at<T: Send + 'static>(
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
        let answered = Arc::new(AtomicBool::new(false));
        let asked = {
            let (path, answered) = (path.clone(), Arc::clone(&answered));
            self.blocking(move |shared| {
                let done = work(shared, &path);
                // Under the lock of those that are mute: it is entered there or not at all.
                let mut mute = locked(&shared.mute);
                answered.store(true, Ordering::Relaxed);
                mute.remove(&path);
                drop((mute, turn));
                done
            })
        };
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
        if self.is_registered(path) {
            return self.open_project(path);
        }
        // Says what is wrong with the path, if something is.
        let has_database = Site::open(path)?.has_database();
        let path = path.to_owned();
        Err(if has_database {
            ProjectError::NotRegistered { path }
        } else {
            ProjectError::NotAProject { path }
        })
    }

    fn is_registered(&self, path: &Path) -> bool {
        locked(&self.registry).contains(path)
    }

    /// Enters a project into the list.
    fn enlist(&self, path: &Path) -> Result<(), ProjectError> {
        if locked(&self.registry).add(path, now_ms())? {
            self.bump();
        }
        Ok(())
    }

    fn register(&self, path: &Path, init: bool) -> Result<(Arc<Project>, bool), ProjectError> {
        let mut created = false;
        if init {
            let site = Site::init(path)?;
            created = !site.has_database();
            if self.opened(path).is_none() {
                site.migrate(&self.owner)?;
            }
        }
        let project = self.open_given(path)?;
        self.enlist(path)?;
        Ok((project, created))
    }

    fn migrate(&self, path: &Path) -> Result<Migrated, ProjectError> {
        let site = Site::open(path)?;
        if !site.has_database() {
            let path = path.to_owned();
            return Err(ProjectError::NotAProject { path });
        }
        let migrated = site.migrate(&self.owner)?;
        self.open_given(path)?;
        self.enlist(path)?;
        Ok(migrated)
    }

    /// Opens what may not be registered yet. Of a path that comes to nothing, nothing is remembered:
    /// nobody would ever look at it again.
    fn open_given(&self, path: &Path) -> Result<Arc<Project>, ProjectError> {
        let opened = self.open_project(path);
        if opened.is_err() && !self.is_registered(path) {
            self.troubles.forget(path);
        }
        opened
    }

    /// In the project's turn: one at a time.
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
        {
            let mut open = locked(&self.open);
            // Said before the others were taken away to be closed.
            if self.closed.load(Ordering::Relaxed) {
                project.give_up();
                return Err(ProjectError::Closed);
            }
            open.insert(path.to_owned(), Arc::clone(&project));
        }
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
