//! A project that somebody wants to hear of no more. Its files are left alone, if they are there.
//!
//! ```text
//! upkeep is ours ──> no start begins ──> nothing runs or waits ──> day's sum kept ──> transcripts, if told to ──> the list
//! ```
//!
//! What ended in it and has neither log nor row is nowhere but in its state folder, so that is deleted
//! only where somebody says so. The project goes from the list last: who is cut off before that finds it
//! there, and forgets what is left of it by asking again.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use steroids_shim::paths::InvDir;
use steroids_shim::spec::Spec;
use steroids_shim::{durable, lock, removal};
use tokio::time::{sleep, timeout};
use tracing::info;

use super::Supervisor;
use super::address::Address;
use super::reconcile::{Scope, list, uuid_of};
use super::supervisor::{Entry, Inner};
use super::waiting::has_begun;
use crate::domain::InvocationId;
use crate::projects::{Project, ProjectError, Seen};

/// A log is made anew within seconds, as a rule, and a pass sweeps within some; who waits for longer waits
/// for another project's disk.
const ALONE_WITHIN: Duration = Duration::from_secs(25);

/// All databases are asked for the day's sum; one that hangs is told as one that does not answer.
const SUMMED_WITHIN: Duration = Duration::from_secs(25);

/// Who looks at a state folder lets go within milliseconds, and so does a shim that has written its record.
const LETS_GO_WITHIN: Duration = Duration::from_secs(5);

/// Between two looks whether it has; no event tells.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Named in a refusal; more are only counted.
const NAMED: usize = 5;

/// What was let go of with a project.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forget {
    /// Transcripts that were deleted.
    pub transcripts: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// Why a project was not forgotten.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    /// Nobody knows it.
    #[error("{} is not registered with this daemon", path.display())]
    Unknown {
        /// As it was given.
        path: PathBuf,
    },
    /// A start is being written down, or somebody else forgets it.
    #[error("something is being started in {}, or it is being forgotten already", path.display())]
    Starting {
        /// The project.
        path: PathBuf,
    },
    /// What ended is being swept, or made anew, and that does not end.
    #[error(
        "{} was not forgotten: what has ended is being cleaned up, or a log made anew, and that takes long",
        path.display()
    )]
    Upkeep {
        /// The project.
        path: PathBuf,
    },
    /// Something is not over.
    #[error("{} in {}", named(ids), path.display())]
    Busy {
        /// The project.
        path: PathBuf,
        /// What, as far as known.
        ids: Vec<i64>,
    },
    /// What ended in it would be lost.
    #[error(
        "{count} of what ended in {} {} in no log and no row, and only {} tell{}: {} KiB",
        path.display(),
        if *count == 1 { "is" } else { "are" },
        if *count == 1 { "its transcript" } else { "their transcripts" },
        if *count == 1 { "s" } else { "" },
        bytes.div_ceil(1024)
    )]
    Transcripts {
        /// The project.
        path: PathBuf,
        /// How many.
        count: u64,
        /// Bytes in them.
        bytes: u64,
    },
    /// A transcript stays, or may come back.
    #[error("cannot remove {}", path.display())]
    Remove {
        /// Its folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The list, the database or the disk.
    #[error(transparent)]
    Project(#[from] ProjectError),
}

impl Supervisor {
    /// Serves a project no longer; with `discard` the transcripts of what ended in it and could not be
    /// written down go, too. Seen through when the caller goes away.
    ///
    /// # Errors
    /// When nobody knows it, something in it is not over, or a transcript would be lost that was not to be.
    pub async fn forget(&self, project: &Path, discard: bool) -> Result<Forget, ForgetError> {
        let inner = Arc::clone(&self.inner);
        let path: PathBuf = project.components().collect();
        let forgetting = async move { inner.forget(path, discard).await };
        let forgotten = self.inner.tracker.spawn(forgetting).await;
        // Only a panic, or the runtime's end.
        forgotten.unwrap_or(Err(ProjectError::Closed.into()))
    }
}

/// A state folder of the project that is not known to be over.
struct Open {
    dir: InvDir,
    id: i64,
    is_over: bool,
    /// Where it was started, and where what was in that folder was seen last.
    first: PathBuf,
    last: PathBuf,
    folder: Option<(u64, u64)>,
}

impl Inner {
    async fn forget(self: &Arc<Self>, path: PathBuf, discard: bool) -> Result<Forget, ForgetError> {
        // Nobody reads or replaces what is about to go. Before starts are refused: it may be waited for.
        let waiting = timeout(ALONE_WITHIN, self.projects.upkeep());
        let _alone = tokio::select! {
            () = self.stop.cancelled() => return Err(ProjectError::Closed.into()),
            alone = waiting => match alone {
                Ok(alone) => alone,
                Err(_late) => return Err(ForgetError::Upkeep { path }),
            },
        };
        let Some(_closed) = self.starts.close(&path) else {
            return Err(ForgetError::Starting { path });
        };
        let over = self.over_in(&path).await?;
        let held = self.hold(&path, over).await?;
        let found = measure(held.iter().map(|(dir, _)| dir.clone()).collect()).await;
        if !discard && found.transcripts > 0 {
            return Err(ForgetError::Transcripts {
                path,
                count: found.transcripts,
                bytes: found.bytes,
            });
        }
        let summing = async {
            self.spent_today().await;
            self.keep_ledger().await;
        };
        if timeout(SUMMED_WITHIN, summing).await.is_err() {
            return Err(ProjectError::NoAnswer { path }.into());
        }
        self.discard(held).await?;
        steroids_failpoint::reach("forget.discarded");
        self.projects.forget(&path).await?;
        info!(project = %path.display(), transcripts = found.transcripts, "project forgotten");
        Ok(found)
    }

    /// The state folders of what ended in a project and is not written down there, if nothing else is open.
    async fn over_in(&self, path: &Path) -> Result<Vec<InvDir>, ForgetError> {
        let is_registered = self.projects.is_registered(path).await?;
        let served = match self.projects.get(path).await {
            Ok(served) => Some(served),
            Err(error @ (ProjectError::NoAnswer { .. } | ProjectError::Closed)) => {
                return Err(error.into());
            }
            Err(_) => None,
        };
        // What runs or ran in a project that was moved is that one's, and not of what has its path by now.
        let seen = Arc::new(self.projects.seen().await?);
        let found = {
            let (root, path, seen) = (self.inv_root(), path.to_owned(), Arc::clone(&seen));
            tokio::task::spawn_blocking(move || open_in(&root, &path, &seen)).await
        };
        let (found, others) = found.map_err(|_| ProjectError::Closed)?;
        let (found, others) = self.own(path, found, others).await;
        let own: HashSet<String> = found.iter().map(|it| uuid_of(&it.dir)).collect();
        let mut ids: Vec<i64> = found
            .iter()
            .filter(|it| !it.is_over)
            .map(|it| it.id)
            .collect();
        let is_here = |uuid: &str, its: &Path, folder| {
            own.contains(uuid) || !others.contains(uuid) && seen.at(folder, its, None) == path
        };
        for (uuid, job) in self.handles() {
            if let (Some(its), Some(whose)) = (job.path(), job.whose.get())
                && is_here(&uuid, &its, job.home())
            {
                ids.push(whose.id.get());
            }
        }
        let over = found.iter().filter(|it| it.is_over);
        let over: HashSet<String> = over.map(|it| uuid_of(&it.dir)).collect();
        let mut lined = self.line.of(is_here);
        // Its shim was there at the last look, and has its place until the next.
        lined.retain(|uuid| !(over.contains(uuid) && self.strays.has(uuid)));
        let is_lined = |it: &&Open| lined.contains(&uuid_of(&it.dir));
        ids.extend(found.iter().filter(is_lined).map(|it| it.id));
        if let Some(served) = &served {
            ids.extend(self.open_rows(served, over).await?);
        }
        ids.sort_unstable();
        ids.dedup();
        if !ids.is_empty() || !lined.is_empty() {
            let path = path.to_owned();
            return Err(ForgetError::Busy { path, ids });
        }
        match is_registered || !found.is_empty() {
            true => Ok(found.into_iter().map(|it| it.dir).collect()),
            false => Err(ForgetError::Unknown {
                path: path.to_owned(),
            }),
        }
    }

    /// Of these, which may be a project's, those that are, and adds the others to those of others. The number of a
    /// folder that was deleted is given again: what answers in it and has no row of one is another project, and that
    /// one stays where it was started.
    async fn own(
        &self,
        path: &Path,
        found: Vec<Open>,
        mut others: HashSet<String>,
    ) -> (Vec<Open>, HashSet<String>) {
        let mut moved: HashMap<&Path, Vec<&Open>> = HashMap::new();
        for it in found.iter().filter(|it| it.last != it.first) {
            moved.entry(&it.last).or_default().push(it);
        }
        let mut stay = HashSet::new();
        for (last, of) in moved {
            // Where nobody can say, it was moved there.
            let Ok(project) = self.projects.get(last).await else {
                continue;
            };
            let uuids: Vec<_> = of.iter().map(|it| uuid_of(&it.dir)).collect();
            let asked = project.store.promptly(project.store.ends(uuids)).await;
            let Ok(rows) = asked else {
                continue;
            };
            let is_there = |it: &Open| {
                it.folder == Some(project.folder()) && rows.contains_key(&uuid_of(&it.dir))
            };
            let not_there = of.into_iter().filter(|it| !is_there(it));
            stay.extend(not_there.map(|it| uuid_of(&it.dir)));
        }
        let (own, of_others): (Vec<_>, Vec<_>) = found.into_iter().partition(|it| {
            let at = match stay.contains(&uuid_of(&it.dir)) {
                true => &it.first,
                false => &it.last,
            };
            at == path
        });
        others.extend(of_others.iter().map(|it| uuid_of(&it.dir)));
        (own, others)
    }

    /// Rows of ours that are not over, and of which there is a state folder other than these: a shim whose
    /// protocol nobody here speaks may be at it.
    async fn open_rows(
        &self,
        served: &Project,
        over: HashSet<String>,
    ) -> Result<Vec<i64>, ForgetError> {
        let rows = served.store.unfinished().await;
        let rows = rows.map_err(ProjectError::from)?;
        let root = self.inv_root();
        let looked = tokio::task::spawn_blocking(move || {
            let is_there =
                |uuid: &str| !over.contains(uuid) && root.join(uuid).try_exists().unwrap_or(true);
            let ours = rows.into_iter();
            let ours = ours.filter(|row| row.managed.as_ref().is_some_and(|it| is_there(&it.uuid)));
            ours.map(|row| row.id.get()).collect()
        });
        Ok(looked.await.map_err(|_| ProjectError::Closed)?)
    }

    /// Keeps everybody else from these folders. Those that have been written down meanwhile are left out.
    async fn hold(
        self: &Arc<Self>,
        path: &Path,
        over: Vec<InvDir>,
    ) -> Result<Vec<(InvDir, Entry)>, ForgetError> {
        let mut held = Vec::new();
        for dir in over {
            let Ok(entry) = timeout(LETS_GO_WITHIN, self.let_go(&dir)).await else {
                let id = id_of(&dir).map_or_else(Vec::new, |id| vec![id.get()]);
                let path = path.to_owned();
                return Err(ForgetError::Busy { path, ids: id });
            };
            if !dir.projected().exists() {
                held.push((dir, entry));
            }
        }
        Ok(held)
    }

    /// Waits until nobody has the folder in care, its shim least of all.
    async fn let_go(self: &Arc<Self>, dir: &InvDir) -> Entry {
        loop {
            if let Some(entry) = self.enter(&uuid_of(dir)) {
                let held = dir.lock();
                let held = tokio::task::spawn_blocking(move || lock::is_held(&held)).await;
                if matches!(held, Ok(Ok(false))) {
                    return entry;
                }
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    async fn discard(&self, held: Vec<(InvDir, Entry)>) -> Result<(), ForgetError> {
        for (dir, entry) in held {
            let folder = dir.clone();
            let removed = tokio::task::spawn_blocking(move || {
                removal::remove(&folder)?;
                durable::sync_folder_of(folder.path()).map_err(io::Error::other)
            });
            let removed = removed.await.map_err(|_| ProjectError::Closed)?;
            removed.map_err(|source| ForgetError::Remove {
                path: dir.path().to_owned(),
                source,
            })?;
            // With its place, if it had one.
            drop(self.strays.take(&uuid_of(&dir)));
            drop(entry);
            steroids_failpoint::reach("forget.discarded-one");
        }
        // Also of who was cut off before.
        let state_dir = self.state_dir.clone();
        let left = tokio::task::spawn_blocking(move || removal::finish(&state_dir)).await;
        match left.unwrap_or_default().into_iter().next() {
            Some((path, source)) => Err(ForgetError::Remove { path, source }),
            None => Ok(()),
        }
    }
}

/// The state folders that may be a project's and are not known to be over, and the names of those of others. Blocks.
fn open_in(root: &Path, project: &Path, seen: &Seen) -> (Vec<Open>, HashSet<String>) {
    let (mut open, mut others) = (Vec::new(), HashSet::new());
    for dir in list(root, Scope::Wakeup) {
        let (spec, waits) = match Spec::load(&dir) {
            Ok(spec) => (spec, false),
            Err(error) if error.is_missing() => match Spec::load_queued(&dir) {
                Ok(spec) => (spec, true),
                Err(_) => continue,
            },
            // Whose it is nobody can say.
            Err(_) => continue,
        };
        let its = Address::from(&spec);
        let last = seen.at(its.folder, its.path, its.was_there_ms).to_owned();
        if last != project && its.path != project {
            others.insert(spec.uuid);
            continue;
        }
        let has_record = dir.exit().exists();
        let has_begun = has_begun(&dir).unwrap_or(true);
        // Where the kernel does not say, nobody is taken for dead.
        let lives = lock::is_held(&dir.lock()).unwrap_or(true);
        open.push(Open {
            is_over: has_record || (!lives && (!waits || has_begun)),
            id: spec.invocation,
            folder: spec.project_folder,
            first: spec.project,
            last,
            dir,
        });
    }
    (open, others)
}

async fn measure(dirs: Vec<InvDir>) -> Forget {
    let found = Forget {
        transcripts: dirs.len() as u64,
        bytes: 0,
    };
    let sizes = move || dirs.iter().map(removal::size).sum();
    let bytes = tokio::task::spawn_blocking(sizes).await;
    Forget {
        bytes: bytes.unwrap_or(0),
        ..found
    }
}

fn id_of(dir: &InvDir) -> Option<InvocationId> {
    InvocationId::new(Spec::load(dir).ok()?.invocation)
}

/// `invocation 7 runs or waits`
fn named(ids: &[i64]) -> String {
    let words: Vec<_> = ids.iter().take(NAMED).map(i64::to_string).collect();
    match ids {
        [] => "something runs or waits".to_owned(),
        [id] => format!("invocation {id} runs or waits"),
        ids if ids.len() > NAMED => {
            let more = ids.len() - NAMED;
            format!(
                "invocations {} and {more} more run or wait",
                words.join(", ")
            )
        }
        _ => format!("invocations {} run or wait", words.join(", ")),
    }
}
