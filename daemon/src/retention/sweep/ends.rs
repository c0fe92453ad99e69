//! When the invocations of state folders ended, by the rows of projects. Each project is asked in a few
//! questions for all of them, so that a pass costs no more for there being many.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use steroids_shim::durable;
use steroids_shim::paths::InvDir;
use tokio::time::timeout;

use super::{SweepError, blocking, recorded_end, time};
use crate::projects::Project;
use crate::retention::policy::Spool;

/// Asked for in one question: milliseconds of a database's thread, behind which others have their turn.
const TOGETHER: usize = 500;

/// An answer comes in milliseconds, or, while its database is locked, within SQLite's wait of 5 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What is read of a specification, which may hold a prompt of megabytes.
#[derive(Deserialize)]
struct Start {
    project: PathBuf,
}

/// What one project's row of an invocation says.
struct Told {
    /// Which project, by its place in the list.
    project: usize,
    /// When it ended, if it has.
    ended: Option<SystemTime>,
}

/// Notes of each state folder when its invocation ended, or that no open project has its row; tells how
/// many are not over.
pub(super) async fn note(
    folder: &Path,
    projects: &[Arc<Project>],
    mut spools: Vec<Spool>,
) -> Result<(Vec<Spool>, u64), SweepError> {
    let uuids: Vec<String> = spools.iter().map(|spool| spool.uuid.clone()).collect();
    let mut asked = ask(projects, &uuids).await;
    let roots: Vec<_> = projects.iter().map(|it| it.root.clone()).collect();
    let folder = folder.to_owned();
    blocking(move || {
        let mut open = 0;
        for spool in &mut spools {
            let dir = InvDir::at(folder.join(&spool.uuid));
            let rows = asked.remove(&spool.uuid).unwrap_or_default();
            let told = match rows.is_empty() {
                true => None,
                false => ended(&dir, &rows, |row| &roots[row.project]),
            };
            spool.is_away = told.is_none();
            spool.ended = told.unwrap_or_else(|| recorded_end(&dir));
            open += u64::from(!spool.is_away && spool.ended.is_none());
        }
        (spools, open)
    })
    .await
}

/// What the projects' rows say, by uuid. One that does not answer, or fails, is asked no more, and has none:
/// one bad database keeps its own folders, and nobody else's.
async fn ask(projects: &[Arc<Project>], uuids: &[String]) -> HashMap<String, Vec<Told>> {
    let mut told: HashMap<String, Vec<Told>> = HashMap::new();
    for (at, project) in projects.iter().enumerate() {
        for some in uuids.chunks(TOGETHER) {
            let Ok(Ok(ends)) = timeout(ANSWER_WITHIN, project.store.ends(some.to_vec())).await
            else {
                break;
            };
            for (uuid, ended_ms) in ends {
                let row = Told {
                    project: at,
                    ended: ended_ms.map(time),
                };
                told.entry(uuid).or_default().push(row);
            }
        }
    }
    told
}

/// When one ended, as far as that is known; `None` if nobody can say. No row counts but where the folder itself says
/// that it was final: the row of a copy ends while the agent runs, also at the path where that was started, and that of
/// what was moved stays open in the copy. Of several that of the project that it was started in counts.
fn ended<'a>(
    dir: &InvDir,
    rows: &[Told],
    root: impl Fn(&Told) -> &'a Path,
) -> Option<Option<SystemTime>> {
    let is_final = dir.projected().exists();
    if let ([row], true) = (rows, is_final) {
        return Some(row.ended);
    }
    let start = durable::load::<Start>(&dir.spec()).or_else(|_| durable::load(&dir.queued()));
    let start = match (start, rows) {
        (Ok(start), _) => Some(start),
        // Nothing else tells of it.
        (Err(_), [row]) => return Some(row.ended),
        (Err(_), _) => None,
    };
    let is_its = |row: &&Told| start.as_ref().is_some_and(|it| it.project == root(row));
    let its = rows.iter().find(is_its);
    let is_open = rows.iter().any(|row| row.ended.is_none());
    match (its, is_final) {
        (Some(its), true) => Some(its.ended),
        (None, true) => Some(rows.iter().filter_map(|row| row.ended).max()),
        // A mark that could not be made is made by the next reconcile.
        (Some(_), false) => Some(None),
        (None, false) if is_open => Some(None),
        (None, false) => None,
    }
}
