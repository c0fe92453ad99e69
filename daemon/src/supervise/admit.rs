//! Whether a task may be given to a provider now, whatever the rows of its project say. Two agents
//! on the same files undo each other's work; a row can be closed, deleted or put back by another
//! program while its agent lives, so what is asked is who lives.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use steroids_shim::durable::FileError;
use steroids_shim::lock;
use steroids_shim::paths::InvDir;
use steroids_shim::spec::Spec;

use super::StartError;
use super::address::Address;
use super::reconcile::{STARTING, uuid_of};
use super::supervisor::Inner;
use crate::domain::InvocationId;
use crate::domain::queue::Placed;
use crate::launch::is_exhausted;
use crate::projects::Project;
use crate::store::{self, Runner};

/// A process that began so much later than a runner was heard of is not that runner. The kernel's
/// and that tool's clocks may differ by some seconds.
const SLACK: Duration = Duration::from_secs(60);

/// Refuses a start for a task that has a living shim, unless it is to wait for that; or in a project
/// where one of these runners of the older tool is at work.
pub(super) async fn admit(
    inner: &Arc<Inner>,
    project: &Project,
    task: &str,
    waits_for_task: bool,
    runners: Vec<Runner>,
) -> Result<(), StartError> {
    let live = live(inner, project, task).await?;
    let id = match live.id {
        None => row_of(&live.foreign, project, task).await,
        id => id,
    };
    if let Some(id) = id
        && !waits_for_task
    {
        return Err(StartError::TaskBusy {
            task: task.to_owned(),
            id,
        });
    }
    for runner in runners {
        if is_here(&runner, project).await {
            return Err(StartError::OlderTool {
                project: project.root.clone(),
                runner: runner.id,
                pid: runner.pid,
            });
        }
    }
    Ok(())
}

/// Those runners of the older tool, in the user's home, whose process lives. Blocks.
pub(super) fn runners(inner: &Inner, project: &Path) -> Vec<Runner> {
    let neighbour = inner.settings().older_tool.clone();
    // The project's own database, of a project that is the home folder, is not that tool's.
    let neighbour = neighbour.filter(|db| *db != project.join(".steroids/steroids.db"));
    neighbour.map_or_else(Vec::new, |db| at_work(&db))
}

/// Who lives that is the task's.
async fn live(inner: &Inner, project: &Project, task: &str) -> Result<Live, StartError> {
    let inv_root = inner.inv_root();
    let known = who_may_live(inner, project, task).await;
    if known.as_ref().is_some_and(Vec::is_empty) {
        return Ok(Live::default());
    }
    let (root, of_task) = (inv_root.clone(), task.to_owned());
    let looked = tokio::task::spawn_blocking(move || {
        let dirs = match known {
            Some(uuids) => uuids.iter().map(|uuid| root.join(uuid)).collect(),
            None => folders(&root)?,
        };
        living(dirs, &of_task)
    });
    // Only a panic, or the runtime's end.
    let looked = looked.await.map_err(|_| StartError::Draining)?;
    let living = looked.map_err(|source| StartError::StateDir {
        path: inv_root,
        source,
    })?;
    // Where it is now is known of who has a place.
    let placed: HashMap<String, Placed> = inner.line.placed(task).into_iter().collect();
    let mut live = Live {
        id: None,
        foreign: living.foreign,
    };
    for spec in living.specs {
        let address = placed.get(&spec.uuid).map(Address::from);
        let address = address.unwrap_or_else(|| Address::from(&spec));
        if inner.is_of(project, address).await {
            live.id = InvocationId::new(spec.invocation);
            break;
        }
    }
    Ok(live)
}

/// Whose shims live.
#[derive(Default)]
struct Live {
    /// The task's.
    id: Option<InvocationId>,
    /// By the names of their folders: those that speak a protocol that we do not, of any task.
    foreign: Vec<String>,
}

/// The same before it is known of which project they are.
#[derive(Default)]
struct Living {
    /// Those of a task of this name.
    specs: Vec<Spec>,
    /// By the names of their folders: those that speak a protocol that we do not, of any task.
    foreign: Vec<String>,
}

/// Those whose shims live though their rows say that they are over: they have no job, and no place.
#[derive(Default)]
pub(super) struct Outlived {
    // By the names of their folders. Held for an insertion or a copy.
    uuids: Mutex<HashSet<String>>,
}

impl Outlived {
    /// Notes one that a reconcile has come upon.
    pub(super) fn note(&self, uuid: String) {
        self.all().insert(uuid);
    }

    fn all(&self) -> MutexGuard<'_, HashSet<String>> {
        self.uuids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those of whom one may have a living shim and be this task's, by the names of their folders. Whoever's
/// shim lives has a place; but for those that have outlived their rows, and for shims that we cannot
/// talk to, of which the task is not known. `None` before all have been looked at: then it may be any.
///
/// All that ever ran are not asked: their folders stay for days, and each would cost three calls.
async fn who_may_live(inner: &Inner, project: &Project, task: &str) -> Option<Vec<String>> {
    if inner.line.is_closed(STARTING) {
        return None;
    }
    let mut uuids = Vec::new();
    for (uuid, placed) in inner.line.placed(task) {
        if inner.is_of(project, Address::from(&placed)).await {
            uuids.push(uuid);
        }
    }
    uuids.extend(inner.foreign.uuids());
    uuids.extend(inner.outlived.all().iter().cloned());
    Some(uuids)
}

/// All state folders.
fn folders(inv_root: &Path) -> io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(inv_root) {
        Ok(folders) => Ok(folders.flatten().map(|entry| entry.path()).collect()),
        Err(error) if is_exhausted(&error) => Err(error),
        // Nobody lives in a folder that is not there; the start itself says what is wrong with it.
        Err(_) => Ok(Vec::new()),
    }
}

/// Who of these, and of a task of this name, has a shim that lives. A record of an end beside it proves nothing: the
/// agent may have written it.
///
/// Where the machine has run out of what it takes to ask, nobody is taken for dead.
fn living(dirs: Vec<PathBuf>, task: &str) -> io::Result<Living> {
    let mut living = Living::default();
    for dir in dirs.into_iter().map(InvDir::at) {
        match lock::is_held(&dir.lock()) {
            Ok(true) => {}
            Err(error) if is_exhausted(&error) => return Err(error),
            // One that cannot be asked otherwise is none that could be named.
            Ok(false) | Err(_) => continue,
        }
        let spec = match Spec::load(&dir) {
            Ok(spec) => spec,
            Err(FileError::Io { source, .. }) if is_exhausted(&source) => return Err(source),
            // Nothing of another release's can be followed; it has said that it is over.
            Err(FileError::Foreign { .. }) if !dir.exit().exists() => {
                living.foreign.push(uuid_of(&dir));
                continue;
            }
            Err(_) => continue,
        };
        if spec.task == task {
            living.specs.push(spec);
        }
    }
    Ok(living)
}

/// An invocation of the task among these, whose files cannot be read, but whose rows can.
async fn row_of(uuids: &[String], project: &Project, task: &str) -> Option<InvocationId> {
    for uuid in uuids {
        // A database that does not answer refuses the start by itself.
        if let Ok(Some(row)) = project.store.by_uuid(uuid).await
            && row.task.as_str() == task
        {
            return Some(row.id);
        }
    }
    None
}

/// The older tool's runners whose process lives.
fn at_work(db: &Path) -> Vec<Runner> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let mut runners = store::neighbours(db);
    runners.retain(|runner| runner.pid > 1 && runner.pid != own && lives(runner));
    for runner in &mut runners {
        let real = runner
            .project
            .as_ref()
            .and_then(|it| it.canonicalize().ok());
        runner.project = real.or(runner.project.take());
    }
    runners
}

/// Whether its process is there, and can be the one that was heard of.
fn lives(runner: &Runner) -> bool {
    let Some(began) = began(runner.pid) else {
        return false;
    };
    let heard = runner
        .heard_at
        .and_then(|at| u64::try_from(at).ok())
        .map(|at| UNIX_EPOCH + Duration::from_secs(at));
    heard.is_none_or(|heard| began <= heard + SLACK)
}

/// When a process began, as the kernel's folder about it says; `None` if there is none, or only
/// what is left until its parent has asked for its end.
fn began(pid: i32) -> Option<SystemTime> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    let ticks: u64 = fields.nth(18)?.parse().ok()?;
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let up: f64 = uptime.split(' ').next()?.parse().ok()?;
    let since_boot = Duration::from_millis(
        ticks.saturating_mul(1000) / rustix::param::clock_ticks_per_second().max(1),
    );
    let age = Duration::try_from_secs_f64(up)
        .ok()?
        .saturating_sub(since_boot);
    SystemTime::now().checked_sub(age)
}

/// Whether a runner works on this project: by its own word, else by its task.
async fn is_here(runner: &Runner, project: &Project) -> bool {
    match (&runner.project, &runner.task) {
        (Some(path), _) => *path == project.root,
        // A database that does not answer refuses the start by itself.
        (None, Some(task)) => project.store.task_exists(task).await.unwrap_or(false),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runner(pid: i32, heard_at: Option<i64>) -> Runner {
        Runner {
            id: "r".to_owned(),
            pid,
            project: None,
            task: None,
            heard_at,
        }
    }

    #[test]
    fn a_pid_given_again_is_not_the_runner_that_had_it() {
        let own = i32::try_from(std::process::id()).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = i64::try_from(now.as_secs()).unwrap();
        assert!(lives(&runner(own, Some(now))));
        assert!(lives(&runner(own, None)));
        assert!(!lives(&runner(own, Some(now - 7 * 24 * 3600))));
        assert!(!lives(&runner(i32::MAX, Some(now))));
    }
}
