//! How much room is taken: measured when somebody has the time, and told with the time at which it
//! was. Nothing is opened; a folder's list and the sizes in it are read.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::sweep::{blocking, list};
use crate::projects::Project;

/// Room that is taken, and when that was so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// State folders.
    pub spools: u64,
    /// What they take on the disk.
    pub spool_bytes: u64,
    /// Logs.
    pub logs: u64,
    /// Their lengths.
    pub log_bytes: u64,
    /// When it was measured.
    pub at: SystemTime,
}

/// Measures the state folders, and the logs of these projects. What cannot be listed counts for
/// nothing: the sweep says why. `None` when the daemon stops.
pub async fn measure(
    state_dir: &Path,
    projects: &[Arc<Project>],
    now: SystemTime,
) -> Option<Stored> {
    let folder = state_dir.join("inv");
    let spools = blocking(move || list(&folder)).await.ok()?;
    let spools = spools.unwrap_or_default();
    let mut stored = Stored {
        spools: spools.len() as u64,
        spool_bytes: spools.iter().map(|spool| spool.bytes).sum(),
        logs: 0,
        log_bytes: 0,
        at: now,
    };
    for project in projects {
        let listed = Arc::clone(project);
        let files = blocking(move || listed.logs().files()).await.ok()?;
        let files = files.unwrap_or_default();
        stored.logs += files.len() as u64;
        stored.log_bytes += files.iter().map(|file| file.len).sum::<u64>();
    }
    Some(stored)
}
