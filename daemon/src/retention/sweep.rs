//! Removes what [`policy`] says, and counts it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::timeout;

use super::policy::{self, Spool, SpoolLimits};
use crate::activity_log::{LogError, LogFile};
use crate::domain::{InvocationId, Phase};
use crate::projects::{Project, Upkeep};
use crate::store::StoreError;

/// A row is read in microseconds, or, while its database is locked, within SQLite's wait of 5 s.
const ROW_WITHIN: Duration = Duration::from_secs(10);

/// Events kept of a project: months of them, at some 100 bytes each.
const EVENTS: u32 = 100_000;

/// A state folder on its way out: renamed first, so that it is there wholly or not at all.
const REMOVING: &str = ".removing-";

/// What was removed, or would be in a dry run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Swept {
    /// Logs, or state folders.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Kept although old enough: their invocations are not over.
    pub kept_running: u64,
    /// What could not be removed, and why; one line each.
    pub failures: Vec<String>,
}

impl Swept {
    /// Adds what another sweep did.
    pub fn add(&mut self, other: Swept) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.kept_running += other.kept_running;
        self.failures.extend(other.failures);
    }

    fn gone(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
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

/// Removes a project's logs last written more than `days` ago: none with `None`, those of all
/// ended invocations with zero. What a crash left of logs that were being made goes too.
pub async fn logs(
    project: &Arc<Project>,
    _alone: &Upkeep,
    days: Option<u32>,
    dry_run: bool,
    now: SystemTime,
) -> Result<Swept, SweepError> {
    let listed = Arc::clone(project);
    let (files, unfinished) =
        blocking(move || Ok::<_, LogError>((listed.logs().files()?, listed.logs().unfinished()?)))
            .await??;
    // Asked after the listing: whose log was listed has its row by now, so one that began
    // meanwhile is among these or has no log in the list.
    let open = open_ids(project).await?;
    let sorted = policy::logs(&files, &open, now, days);
    let mut swept = Swept {
        kept_running: sorted.kept_running,
        ..Swept::default()
    };
    if dry_run {
        sorted.expired.iter().for_each(|file| swept.gone(file.len));
        return Ok(swept);
    }
    let project = Arc::clone(project);
    blocking(move || {
        for file in sorted.expired {
            remove_log(&project, file, &mut swept);
        }
        // Those of open ones are being made; of ended ones only somebody at the upkeep makes any.
        for id in unfinished.into_iter().filter(|id| !open.contains(id)) {
            if let Err(error) = project.logs().remove_unfinished(id) {
                swept.failures.push(error.to_string());
            }
        }
        swept
    })
    .await
}

async fn open_ids(project: &Project) -> Result<BTreeSet<InvocationId>, StoreError> {
    let mut open = project.store.unfinished().await?;
    open.extend(project.store.foreign_running().await?);
    Ok(open.into_iter().map(|invocation| invocation.id).collect())
}

fn remove_log(project: &Project, file: LogFile, swept: &mut Swept) {
    match project.logs().remove(file.id) {
        Ok(true) => swept.gone(file.len),
        Ok(false) => {}
        Err(error) => {
            let path = project.logs().path(file.id);
            swept.failures.push(format!("{}: {error}", path.display()));
        }
    }
}

/// Removes old lifecycle events of a project, and tells how many.
pub async fn events(project: &Project) -> Result<usize, StoreError> {
    if project.store.is_read_only() || project.store.last_event().await? <= i64::from(EVENTS) {
        return Ok(0);
    }
    project.store.prune_events(EVENTS).await
}

/// Removes state folders below `state_dir` whose invocation has its final row in one of these open
/// projects, as far as the limits want it. What has none there (a project that is not mounted, a
/// spool not projected yet) counts, and stays.
pub async fn spools(
    state_dir: &Path,
    projects: &[Arc<Project>],
    _alone: &Upkeep,
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
    let mut swept = Swept::default();
    let mut all = Vec::with_capacity(found.len());
    let mut projects = projects.to_vec();
    for mut spool in found {
        let row = row_of(&mut projects, &spool.uuid).await;
        spool.ended = row.flatten();
        if row == Some(None) {
            swept.kept_running += 1;
        }
        all.push(spool);
    }
    let expired = policy::spools(all, now, limits);
    if dry_run {
        expired.iter().for_each(|spool| swept.gone(spool.bytes));
        return Ok(swept);
    }
    blocking(move || {
        for spool in expired {
            match remove_folder(&folder, &spool.uuid) {
                Ok(()) => swept.gone(spool.bytes),
                Err(error) => swept.failures.push(format!("{}: {error}", spool.uuid)),
            }
        }
        finish_removals(&folder, &mut swept);
        swept
    })
    .await
}

/// Whether an open project has a row for this folder, and if so when it ended, if it has. A project
/// that does not answer has none: one bad database keeps its own folders, and nobody else's.
async fn row_of(projects: &mut Vec<Arc<Project>>, uuid: &str) -> Option<Option<SystemTime>> {
    let mut asked = 0;
    while let Some(project) = projects.get(asked) {
        match timeout(ROW_WITHIN, project.store.by_uuid(uuid)).await {
            Ok(Ok(Some(row))) => {
                let ended = match row.phase {
                    Phase::Ended { .. } => Some(time(row.completed_ms.unwrap_or(0))),
                    Phase::Queued | Phase::Running => None,
                };
                return Some(ended);
            }
            Ok(_) => asked += 1,
            // One that hangs is waited for once.
            Err(_) => drop(projects.remove(asked)),
        }
    }
    None
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
                bytes: size(&entry.path()),
                ended: None,
            });
        }
    }
    Ok(spools)
}

/// Bytes on the disk of the files in a folder; of one that vanishes meanwhile, none.
fn size(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .filter_map(|entry| entry.ok()?.metadata().ok())
        .map(|file| file.blocks() * 512)
        .sum()
}

fn remove_folder(folder: &Path, uuid: &str) -> io::Result<()> {
    let removing = folder.join(format!("{REMOVING}{uuid}"));
    fs::rename(folder.join(uuid), &removing)?;
    fs::remove_dir_all(&removing)
}

/// What a crash left of removals before.
fn finish_removals(folder: &Path, swept: &mut Swept) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(REMOVING))
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            swept
                .failures
                .push(format!("{}: {error}", entry.path().display()));
        }
    }
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
