//! Removes activity logs: each project's are listed, the policy looks at all of them, and what it
//! picks goes, project by project. One whose disk does not answer keeps its own, and nobody waits.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::timeout;

use super::{Item, SweepError, Swept, blocking};
use crate::activity_log::{LogError, LogFile};
use crate::domain::InvocationId;
use crate::projects::{Project, Upkeep};
use crate::retention::given_up::Waits;
use crate::retention::policy::{self, Log, LogLimits, Why};
use crate::store::StoreError;

/// So long may one project's logs be listed, and removed: a hundred thousand files take seconds.
/// What takes longer is given up: it ends behind with the step that it is at, and the pass goes on with
/// the next project.
const PROJECT_WITHIN: Duration = Duration::from_secs(120);

/// What there is of a project.
struct Listed {
    files: Vec<LogFile>,
    unfinished: Vec<InvocationId>,
    open: BTreeSet<InvocationId>,
}

/// Removes the logs of these projects that go by the limits: never one of an invocation that runs,
/// waits, or has no end in its row. What a crash left of logs that were being made goes too.
pub async fn logs(
    projects: &[Arc<Project>],
    _alone: &Upkeep,
    limits: &LogLimits,
    dry_run: bool,
    now: SystemTime,
) -> Swept {
    let mut swept = Swept::default();
    let mut all = Vec::new();
    let mut left_over = Vec::new();
    for (at, project) in projects.iter().enumerate() {
        let listed = match within(list(project)).await {
            Ok(listed) => listed,
            Err(reason) => {
                let root = project.root.display();
                swept.failures.push(format!("{root}: {reason}"));
                continue;
            }
        };
        all.extend(listed.files.iter().map(|file| Log {
            project: at,
            file: *file,
            is_open: listed.open.contains(&file.id),
        }));
        // Those of open ones are being made; of ended ones only somebody at the upkeep makes any.
        let mut unfinished = listed.unfinished;
        unfinished.retain(|id| !listed.open.contains(id));
        left_over.push((at, unfinished));
    }
    let sorted = policy::logs(all, now, limits);
    swept.kept_running = sorted.kept_running;
    if dry_run {
        for (log, why) in sorted.going {
            swept.gone(item(&projects[log.project], log.file, why));
        }
        return swept;
    }
    for (at, unfinished) in left_over {
        let of_it = sorted.going.iter().filter(|(log, _)| log.project == at);
        let going = of_it.map(|(log, why)| (log.file, *why)).collect();
        let project = &projects[at];
        match within(remove(project, going, unfinished)).await {
            Ok(removed) => swept.add(removed),
            Err(reason) => {
                let root = project.root.display();
                swept.failures.push(format!("{root}: {reason}"));
            }
        }
    }
    swept
}

async fn within<T>(work: impl Future<Output = Result<T, SweepError>>) -> Result<T, String> {
    match timeout(PROJECT_WITHIN, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("its disk does not answer".to_owned()),
    }
}

async fn list(project: &Arc<Project>) -> Result<Listed, SweepError> {
    let listed = Arc::clone(project);
    let (files, unfinished) =
        blocking(move || Ok::<_, LogError>((listed.logs().files()?, listed.logs().unfinished()?)))
            .await??;
    // Asked after the listing: whose log was listed has its row by now, so one that began
    // meanwhile is among these or has no log in the list.
    let open = open_ids(project).await?;
    Ok(Listed {
        files,
        unfinished,
        open,
    })
}

/// Invocations that are not over.
pub(in crate::retention) async fn open_ids(
    project: &Project,
) -> Result<BTreeSet<InvocationId>, StoreError> {
    let mut open = project.store.unfinished().await?;
    open.extend(project.store.foreign_running().await?);
    Ok(open.into_iter().map(|invocation| invocation.id).collect())
}

async fn remove(
    project: &Arc<Project>,
    going: Vec<(LogFile, Why)>,
    unfinished: Vec<InvocationId>,
) -> Result<Swept, SweepError> {
    let project = Arc::clone(project);
    let waits = Waits::default();
    let is_given_up = waits.over();
    blocking(move || {
        let mut swept = Swept::default();
        for (file, why) in going {
            match project.logs().remove(file.id, &is_given_up) {
                Ok(true) => swept.gone(item(&project, file, why)),
                Ok(false) => {}
                Err(error) => {
                    let path = project.logs().path(file.id);
                    swept.failures.push(format!("{}: {error}", path.display()));
                }
            }
        }
        for id in unfinished {
            if let Err(error) = project.logs().remove_unfinished(id, &is_given_up) {
                swept.failures.push(error.to_string());
            }
        }
        swept
    })
    .await
}

fn item(project: &Project, file: LogFile, why: Why) -> Item {
    Item {
        project: Some(project.root.clone()),
        name: file.id.to_string(),
        bytes: file.len,
        why,
    }
}
