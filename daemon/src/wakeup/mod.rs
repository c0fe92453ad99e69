//! The maintenance pass: takes up invocations nobody owns, then removes logs that are old enough
//! and the state folders of invocations long over. When it is made is its callers' business.
//!
//! A pass may be cut short anywhere: the next one finds what it left.

mod clock;

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tracing::{info, warn};

use crate::projects::{Project, Projects, Upkeep};
use crate::retention::policy::SpoolLimits;
use crate::retention::{self, Swept, sweep};
use crate::supervise::{Scope, Supervisor};

pub use self::clock::ages_are_known;

/// What the pass goes by.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// What may be removed, and when.
    pub retention: retention::Settings,
}

/// Why nothing was removed for its age.
pub const NO_AGES: &str = "the wall clock has jumped: nothing is removed for its age until it has gone steadily for a day";

/// The look at all projects may take so long: healthy disks need milliseconds each, and one that
/// hangs would keep the rest of the pass from all projects.
const LOOK_WITHIN: Duration = Duration::from_secs(10);

/// So long may one project's logs or events be swept: removing a hundred thousand files takes
/// seconds. What takes longer goes on behind, and the pass with the next project.
const SWEEP_WITHIN: Duration = Duration::from_secs(120);

/// So long is waited for whoever is at the upkeep of ended invocations: a log is made anew within
/// seconds, and for one whose disk hangs the next pass waits again.
const ALONE_WITHIN: Duration = Duration::from_secs(30);

/// Why nothing was removed by a pass.
const NOT_ALONE: &str = "nothing was removed: a log is being made anew, and its disk takes long; the next pass tries again";

/// What a pass did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    let mut failures = Vec::new();
    let known = ages_are_known(supervisor.state_dir()).await;
    let days = |days: Option<u32>| days.filter(|_| known);
    let ages = Ages {
        log_days: days(settings.retention.log_days),
        spools: SpoolLimits {
            days: days(settings.retention.spool_days),
            max_bytes: settings.retention.max_bytes,
        },
    };
    let (logs, spools) = match alone(projects).await {
        Some(alone) => {
            let state_dir = supervisor.state_dir();
            sweep_all(state_dir, &answering, &alone, ages, &mut failures).await
        }
        None => {
            failures.push(NOT_ALONE.to_owned());
            <(Swept, Swept)>::default()
        }
    };
    failures.extend(logs.failures);
    failures.extend(spools.failures);
    for failure in &failures {
        warn!(%failure, "maintenance left something undone");
    }
    if !known {
        // Logged once, when the clock jumped, and not at every pass of a day.
        failures.push(NO_AGES.to_owned());
    }
    let report = Report {
        reconciled: (found.adopted + found.finished + found.lost) as u64,
        logs_removed: logs.files,
        bytes_removed: logs.bytes,
        spools_removed: spools.files,
        spool_bytes_removed: spools.bytes,
        failures,
    };
    info!(
        report.reconciled,
        report.logs_removed, report.spools_removed, "maintenance done"
    );
    report
}

/// Keeps others from the upkeep, if they leave it in time.
async fn alone(projects: &Projects) -> Option<Upkeep> {
    timeout(ALONE_WITHIN, projects.upkeep()).await.ok()
}

/// What may be removed.
struct Ages {
    log_days: Option<u32>,
    spools: SpoolLimits,
}

/// Removes what is old enough: logs and state folders.
async fn sweep_all(
    state_dir: &Path,
    projects: &[Arc<Project>],
    alone: &Upkeep,
    ages: Ages,
    failures: &mut Vec<String>,
) -> (Swept, Swept) {
    let logs = sweep_logs(projects, alone, ages.log_days, failures).await;
    let now = steroids_failpoint::wall_clock();
    let swept = sweep::spools(state_dir, projects, alone, ages.spools, false, now);
    let spools = swept.await.unwrap_or_else(|error| {
        failures.push(error.to_string());
        Swept::default()
    });
    (logs, spools)
}

async fn sweep_logs(
    projects: &[Arc<Project>],
    alone: &Upkeep,
    days: Option<u32>,
    failures: &mut Vec<String>,
) -> Swept {
    let mut all = Swept::default();
    for project in projects {
        let now = steroids_failpoint::wall_clock();
        let failed = |error: &dyn Display| format!("{}: {error}", project.root.display());
        match timeout(SWEEP_WITHIN, sweep::logs(project, alone, days, false, now)).await {
            Ok(Ok(swept)) => all.add(swept),
            Ok(Err(error)) => failures.push(failed(&error)),
            Err(_) => {
                failures.push(failed(&"its disk does not answer"));
                continue;
            }
        }
        match timeout(SWEEP_WITHIN, sweep::events(project)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => failures.push(failed(&error)),
            Err(_) => failures.push(failed(&"its database does not answer")),
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
