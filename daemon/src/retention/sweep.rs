//! Removes what [`policy`] says, and counts it.

mod ends;
mod logs;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use steroids_shim::exit::ExitRecord;
use steroids_shim::lock;
use steroids_shim::paths::InvDir;
use steroids_shim::removal;

pub use self::logs::logs;
pub(super) use self::logs::open_ids;
use super::policy::{self, Spool, SpoolLimits, Why};
use crate::activity_log::LogError;
use crate::projects::{Project, Upkeep};
use crate::store::StoreError;

/// Events kept of a project: months of them, at some 100 bytes each.
const EVENTS: u32 = 100_000;

/// Told one by one; more are only counted. An answer with so many is some 200 KiB.
const MOST_ITEMS: usize = 1000;

/// One log or state folder that went, or would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The project of a log.
    pub project: Option<PathBuf>,
    /// The log's invocation, or the folder's name.
    pub name: String,
    /// Bytes in it.
    pub bytes: u64,
    /// Why it goes.
    pub why: Why,
}

/// What was removed, or would be in a dry run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Swept {
    /// Logs, or state folders.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Kept although old enough: their invocations are not over.
    pub kept_running: u64,
    /// The first of them, each with its reason.
    pub items: Vec<Item>,
    /// What could not be removed, and why; one line each.
    pub failures: Vec<String>,
}

impl Swept {
    /// Adds what another sweep did.
    pub fn add(&mut self, other: Swept) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.kept_running += other.kept_running;
        let room = MOST_ITEMS.saturating_sub(self.items.len());
        self.items.extend(other.items.into_iter().take(room));
        self.failures.extend(other.failures);
    }

    fn gone(&mut self, item: Item) {
        self.files += 1;
        self.bytes += item.bytes;
        if self.items.len() < MOST_ITEMS {
            self.items.push(item);
        }
    }
}

/// Why a sweep could not begin.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// Which invocations are open could not be told, so nothing was removed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder of logs could not be listed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The folder of state folders could not be listed.
    #[error("cannot list {path}")]
    List {
        /// The folder.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The daemon stops.
    #[error("the daemon is stopping")]
    Closed,
}

/// Removes old lifecycle events of a project, and tells how many.
pub async fn events(project: &Project) -> Result<usize, StoreError> {
    if project.store.is_read_only() || project.store.last_event().await? <= i64::from(EVENTS) {
        return Ok(0);
    }
    project.store.prune_events(EVENTS).await
}

/// Removes state folders below `state_dir` whose invocation has its final row in one of these open
/// projects, as far as the limits want it. What has none there goes by age alone: its project may be
/// gone for ever, or back in an hour. What was not projected yet stays, and so does that of whose shim lives.
pub async fn spools(
    state_dir: &Path,
    projects: &[Arc<Project>],
    alone: &Upkeep,
    limits: SpoolLimits,
    dry_run: bool,
    now: SystemTime,
) -> Result<Swept, SweepError> {
    let folder = state_dir.join("inv");
    let listed = folder.clone();
    let found = blocking(move || list(&listed))
        .await?
        .map_err(|source| SweepError::List {
            path: folder.clone(),
            source,
        })?;
    let (all, open) = ends::note(&folder, projects, found).await?;
    let mut swept = Swept {
        kept_running: open,
        ..Swept::default()
    };
    let expired = policy::spools(all, now, limits);
    // Whoever put the row of a copy in its project's place, or deleted it, has not ended the agent.
    let (expired, lives) = blocking(move || {
        let lives = |spool: &Spool| {
            let dir = InvDir::at(folder.join(&spool.uuid));
            lock::is_held(&dir.lock()).unwrap_or(true)
        };
        expired
            .into_iter()
            .partition::<Vec<_>, _>(|(spool, _)| !lives(spool))
    })
    .await?;
    swept.kept_running += lives.len() as u64;
    if dry_run {
        let items = expired.into_iter().map(item);
        items.for_each(|item| swept.gone(item));
        return Ok(swept);
    }
    // Who asked may be gone before the last of them is.
    let (alone, state_dir) = (alone.clone(), state_dir.to_owned());
    blocking(move || {
        for (spool, why) in expired {
            match removal::remove(&InvDir::new(&state_dir, &spool.uuid)) {
                Ok(()) => swept.gone(item((spool, why))),
                Err(error) => swept.failures.push(format!("{}: {error}", spool.uuid)),
            }
        }
        let left = removal::finish(&state_dir).into_iter();
        let left = left.map(|(path, error)| format!("{}: {error}", path.display()));
        swept.failures.extend(left);
        drop(alone);
        swept
    })
    .await
}

fn item((spool, why): (Spool, Why)) -> Item {
    Item {
        project: None,
        name: spool.uuid,
        bytes: spool.bytes,
        why,
    }
}

/// When an invocation ended, by the record in its state folder; `None` where its row was never final.
fn recorded_end(dir: &InvDir) -> Option<SystemTime> {
    if !dir.projected().exists() {
        return None;
    }
    let record = ExitRecord::load(dir).ok()??;
    Some(time(i64::try_from(record.ended_ms).unwrap_or(i64::MAX)))
}

fn time(ms: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// The state folders, without their ends.
pub(super) fn list(folder: &Path) -> io::Result<Vec<Spool>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut spools = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let uuid = name
            .to_str()
            .filter(|name| uuid::Uuid::try_parse(name).is_ok());
        if let Some(uuid) = uuid
            && entry.file_type()?.is_dir()
        {
            spools.push(Spool {
                uuid: uuid.to_owned(),
                bytes: removal::size(&InvDir::at(entry.path())),
                ended: None,
                is_away: false,
            });
        }
    }
    Ok(spools)
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SweepError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_stopping| SweepError::Closed)
}

#[cfg(test)]
mod tests;
