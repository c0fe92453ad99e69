//! The maintenance pass: takes up invocations nobody owns, then removes logs that are old enough
//! and the state folders of invocations long over. When it is made is its callers' business.
//!
//! A pass may be cut short anywhere: the next one finds what it left.

mod clock;

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use crate::projects::{Project, Projects, Upkeep};
use crate::retention::compress::{self, Compressed};
use crate::retention::{self, Swept, sweep};
use crate::supervise::{Scope, Supervisor};

pub use self::clock::{Ages, ages};

/// What the pass goes by.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// What may be removed, and when.
    pub retention: retention::Settings,
}

/// The look at all projects may take so long: healthy disks need milliseconds each, and one that
/// hangs would keep the rest of the pass from all projects.
const LOOK_WITHIN: Duration = Duration::from_secs(10);

/// So long may one project's events be swept, or its logs be compressed. What takes longer goes on
/// behind, and the pass with the next project.
const SWEEP_WITHIN: Duration = Duration::from_secs(120);

/// So long is waited for whoever is at the upkeep of ended invocations: a log is made anew within
/// seconds, and for one whose disk hangs the next pass waits again.
const ALONE_WITHIN: Duration = Duration::from_secs(30);

/// Why nothing was removed by a pass.
const NOT_ALONE: &str = "nothing was removed: a log is being made anew, and its disk takes long; the next pass tries again";

/// After this no further log is compressed in a pass: who asks for one, or for a log to be made anew,
/// waits for it.
const COMPRESS_WITHIN: Duration = Duration::from_secs(20);

/// What a pass did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Invocations that nobody owned, and that have an owner or an end now.
    pub reconciled: u64,
    /// Logs removed.
    pub logs_removed: u64,
    /// Bytes in them.
    pub bytes_removed: u64,
    /// State folders removed.
    pub spools_removed: u64,
    /// Bytes in them.
    pub spool_bytes_removed: u64,
    /// Logs compressed.
    pub logs_compressed: u64,
    /// Bytes that they take less.
    pub bytes_saved: u64,
    /// Whether something could go for its age.
    pub ages: Ages,
    /// What could not be done, one line each.
    pub failures: Vec<String>,
}

/// Makes one pass.
pub async fn pass(supervisor: &Supervisor, projects: &Projects, settings: &Settings) -> Report {
    // One that was given up, or is to be, is opened again where it can be.
    if timeout(LOOK_WITHIN, projects.look()).await.is_err() {
        warn!("the look at all projects takes long; going on with what is known");
    }
    let answering = projects.answering().await;
    let found = supervisor.reconcile(Scope::Wakeup).await;
    // What takes longer goes on behind.
    let _ = timeout(LOOK_WITHIN, supervisor.sweep_sockets()).await;
    let mut failures = Vec::new();
    let ages = ages(supervisor.state_dir()).await;
    let (logs, spools, compressed) = match alone(projects).await {
        Some(alone) => {
            let state_dir = supervisor.state_dir();
            let limits = &settings.retention;
            sweep_all(state_dir, &answering, &alone, limits, ages.are_known()).await
        }
        None => {
            failures.push(NOT_ALONE.to_owned());
            Default::default()
        }
    };
    sweep_events(&answering, &mut failures).await;
    failures.extend(logs.failures);
    failures.extend(spools.failures);
    failures.extend(compressed.failures);
    for failure in &failures {
        warn!(%failure, "maintenance left something undone");
    }
    // Logged once, when the clock jumped, and not at every pass of a day.
    failures.extend(ages.trouble());
    let report = Report {
        reconciled: (found.adopted + found.finished + found.lost) as u64,
        logs_removed: logs.files,
        bytes_removed: logs.bytes,
        spools_removed: spools.files,
        spool_bytes_removed: spools.bytes,
        logs_compressed: compressed.files,
        bytes_saved: compressed.saved,
        ages,
        failures,
    };
    info!(
        report.reconciled,
        report.logs_removed,
        report.bytes_removed,
        report.spools_removed,
        report.spool_bytes_removed,
        report.logs_compressed,
        report.bytes_saved,
        "maintenance done"
    );
    report
}

/// Keeps others from the upkeep, if they leave it in time.
async fn alone(projects: &Projects) -> Option<Upkeep> {
    timeout(ALONE_WITHIN, projects.upkeep()).await.ok()
}

/// Removes what may go, logs and state folders, and compresses what is to be.
async fn sweep_all(
    state_dir: &Path,
    projects: &[Arc<Project>],
    alone: &Upkeep,
    settings: &retention::Settings,
    ages_are_known: bool,
) -> (Swept, Swept, Compressed) {
    let now = steroids_failpoint::wall_clock;
    let limits = settings.of_logs(ages_are_known);
    let logs = sweep::logs(projects, alone, &limits, false, now()).await;
    let limits = settings.of_spools(ages_are_known);
    let swept = sweep::spools(state_dir, projects, alone, limits, false, now());
    let spools = swept.await.unwrap_or_else(|error| {
        let mut none = Swept::default();
        none.failures.push(error.to_string());
        none
    });
    let after = settings.compress_after.filter(|_| ages_are_known);
    let compressed = compress(projects, alone, after).await;
    (logs, spools, compressed)
}

async fn sweep_events(projects: &[Arc<Project>], failures: &mut Vec<String>) {
    for project in projects {
        let failed = |error: &dyn Display| format!("{}: {error}", project.root.display());
        match timeout(SWEEP_WITHIN, sweep::events(project)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => failures.push(failed(&error)),
            Err(_) => failures.push(failed(&"its database does not answer")),
        }
    }
}

async fn compress(
    projects: &[Arc<Project>],
    alone: &Upkeep,
    after: Option<Duration>,
) -> Compressed {
    let mut all = Compressed::default();
    let Some(after) = after else {
        return all;
    };
    let until = Instant::now() + COMPRESS_WITHIN;
    for project in projects {
        let now = steroids_failpoint::wall_clock();
        let compressing = compress::logs(project, alone, after, now, until);
        match timeout(SWEEP_WITHIN, compressing).await {
            Ok(done) => {
                all.files += done.files;
                all.saved += done.saved;
                all.failures.extend(done.failures);
            }
            Err(_) => {
                let root = project.root.display();
                all.failures
                    .push(format!("{root}: its disk does not answer"));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pass_waits_for_nobody_whose_disk_hangs() {
        let state = tempfile::tempdir().unwrap();
        let projects = Projects::open(state.path(), "ours".to_owned()).await;
        let projects = projects.unwrap();
        let hangs = projects.upkeep().await;
        let waited = timeout(ALONE_WITHIN * 2, alone(&projects)).await;
        assert!(waited.expect("the pass goes on").is_none());
        drop(hangs);
        assert!(alone(&projects).await.is_some());
    }
}
