//! Compresses logs that are written no more. Only our own: what the older tool reads stays as it is.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::given_up::Waits;
use super::policy::{self, Log};
use super::sweep::{SweepError, blocking, open_ids};
use crate::activity_log::{LogError, Saved};
use crate::domain::InvocationId;
use crate::projects::{Project, Upkeep};
use crate::store::StoreError;

/// What compressing came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Compressed {
    /// Logs that are compressed now.
    pub files: u64,
    /// Bytes that they take less.
    pub saved: u64,
    /// What could not be done, one line each.
    pub failures: Vec<String>,
}

/// Compresses the logs of a project's ended invocations that were last written more than `after`
/// ago, the oldest first, and begins none after `until`: the next pass goes on.
pub async fn logs(
    project: &Arc<Project>,
    _alone: &Upkeep,
    after: Duration,
    now: SystemTime,
    until: Instant,
) -> Compressed {
    let mut done = Compressed::default();
    let rested = match rested(project, after, now).await {
        Ok(rested) => rested,
        Err(error) => {
            let root = project.root.display();
            done.failures.push(format!("{root}: {error}"));
            return done;
        }
    };
    for id in rested {
        if Instant::now() >= until {
            break;
        }
        match is_ours(project, id).await {
            Ok(true) => {}
            Ok(false) => continue,
            Err(error) => {
                done.failures.push(error.to_string());
                break;
            }
        }
        match pack(project, id).await {
            Ok(Saved::Bytes(bytes)) => {
                done.files += 1;
                done.saved += bytes;
            }
            Ok(Saved::Nothing) => {}
            Ok(Saved::GivenUp) => break,
            Err(error) => {
                let path = project.logs().path(id);
                done.failures.push(format!("{}: {error}", path.display()));
                // A disk that is full is full for the next one as well; all else is of this log.
                if is_of_disk(&error) {
                    break;
                }
            }
        }
    }
    done
}

fn is_of_disk(error: &SweepError) -> bool {
    match error {
        SweepError::Log(error) => {
            let is_read_only =
                |source: &std::io::Error| source.kind() == ErrorKind::ReadOnlyFilesystem;
            error.is_disk_full()
                || matches!(error, LogError::Io { source, .. } if is_read_only(source))
        }
        _ => true,
    }
}

async fn rested(
    project: &Arc<Project>,
    after: Duration,
    now: SystemTime,
) -> Result<Vec<InvocationId>, SweepError> {
    let listed = Arc::clone(project);
    let files = blocking(move || listed.logs().files()).await??;
    let open = open_ids(project).await?;
    let logs = files.into_iter().filter(|file| !file.is_packed);
    let logs = logs.map(|file| Log {
        project: 0,
        file,
        is_open: open.contains(&file.id),
    });
    let mut rested = policy::rested(logs.collect(), now, after);
    rested.sort_by_key(|log| (log.file.modified, log.file.id));
    Ok(rested.into_iter().map(|log| log.file.id).collect())
}

/// Whether it has an end, and a row of ours that says so.
async fn is_ours(project: &Project, id: InvocationId) -> Result<bool, StoreError> {
    let row = project.store.invocation(id).await?;
    Ok(row.is_some_and(|row| row.managed.is_some() && row.phase.is_ended()))
}

async fn pack(project: &Arc<Project>, id: InvocationId) -> Result<Saved, SweepError> {
    let waits = Waits::default();
    let is_given_up = waits.over();
    let project = Arc::clone(project);
    let saved: Result<Saved, LogError> =
        blocking(move || project.logs().pack(id, &is_given_up)).await?;
    Ok(saved?)
}

#[cfg(test)]
mod tests;
