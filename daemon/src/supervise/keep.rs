//! While something runs, its project's database is looked after: other programs delete, replace or
//! damage it, or close rows of ours. The kernel tells that something has touched its files; what,
//! shows when it is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use steroids_shim::paths::InvDir;
use steroids_shim::spec::Spec;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

use super::Supervisor;
use super::address::Address;
use super::reconcile::Scope;
use super::supervisor::{Inner, chain};
use crate::domain::InvocationId;
use crate::projects::{Project, ProjectError, Refill};
use crate::store::{NewInvocation, StoreError};
use crate::watch::Hint;

/// Between looks, where one follows another: twice in the 10 s within which a database that was
/// deleted is to be back.
const EVERY: Duration = Duration::from_secs(5);

/// Between looks while nothing touches the files: for what the kernel does not tell, as of a project
/// whose folder was moved, or a database that was written to through a mapping.
const AT_THE_LATEST: Duration = Duration::from_secs(60);

/// Well within the hour that a lock lasts; one write a minute in each project where something runs.
const RENEW_EVERY: Duration = Duration::from_secs(60);

/// The kernel answers at once where a disk does.
const WATCHED_WITHIN: Duration = Duration::from_secs(1);

/// One project's rows may be looked after for so long: longer than SQLite waits for a lock, and
/// dropped anywhere it is begun anew at the next look.
const CARE_WITHIN: Duration = Duration::from_secs(30);

impl Supervisor {
    /// Looks after the projects in which something runs, until the daemon stops; with nothing
    /// running it waits for nothing but that something does.
    pub async fn keep(self) {
        let inner = self.inner;
        tokio::select! {
            () = inner.stop.cancelled() => {}
            () = look_after_projects(&inner) => {}
        }
    }
}

async fn look_after_projects(inner: &Arc<Inner>) {
    let mut hints = Watched::new();
    // None yet: what was adopted may have been without a daemon for longer than a lock lasts.
    let mut renewed: Option<Instant> = None;
    let mut looked = Instant::now();
    let mut is_touched = false;
    loop {
        let roots = inner.roots_in_care();
        if roots.is_empty() {
            hints.clear();
            inner.more_jobs.notified().await;
            (looked, is_touched) = (Instant::now(), true);
            continue;
        }
        let is_watched = |root: &Arc<Path>| {
            hints
                .get(root)
                .is_some_and(|it| it.iter().all(Hint::is_watched))
        };
        let rest = match !is_touched && roots.iter().all(is_watched) {
            true => AT_THE_LATEST,
            false => EVERY,
        };
        tokio::select! {
            () = touched(&mut hints), if !is_touched && !hints.is_empty() => is_touched = true,
            () = inner.more_jobs.notified() => is_touched = true,
            () = sleep_until(looked + rest) => {
                // Before the look, so that what comes during it is not missed.
                for hint in hints.values_mut().flatten() {
                    hint.take();
                }
                // What could not be looked at is looked at again soon: that it can be now, nobody tells.
                is_touched = !pass(inner, &mut hints).await;
                if renewed.is_none_or(|at| at.elapsed() >= RENEW_EVERY) {
                    renew_locks(inner).await;
                    renewed = Some(Instant::now());
                }
                looked = Instant::now();
            }
        }
    }
}

/// By project: whatever happens to its database, and its own folder being moved.
type Watched = BTreeMap<Arc<Path>, [Hint; 2]>;

/// Watches a project's database, or the one that stands there by now. On a thread that may block.
async fn watch(inner: &Inner, root: &Arc<Path>, before: Option<[Hint; 2]>) -> Option<[Hint; 2]> {
    let (hints, root) = (inner.hints.clone(), Arc::clone(root));
    let watch = move || match before {
        Some(watched) => {
            watched.iter().for_each(Hint::verify);
            watched
        }
        None => {
            let database = hints.folder(&Project::database_folder(&root));
            [database, hints.itself(&root)]
        }
    };
    tokio::task::spawn_blocking(watch).await.ok()
}

/// Waits until something has touched one of them. Cancel-safe.
async fn touched(hints: &mut Watched) {
    let waits = hints.values_mut().flatten();
    // Never of none, which would panic: who calls has some.
    select_all(waits.map(|hint| Box::pin(hint.changed()))).await;
}

/// The older tool's runners keep from a task while its lock is renewed.
async fn renew_locks(inner: &Arc<Inner>) {
    let roots = inner.roots_in_care();
    for project in inner.projects.all() {
        if roots.contains(project.root.as_path())
            && !project.store.is_read_only()
            && let Ok(Err(error)) = timeout(CARE_WITHIN, project.store.renew_locks()).await
        {
            warn!(project = %project.root.display(), error = %chain(&error), "locks not renewed");
        }
    }
}

impl Inner {
    /// Of all in which something runs.
    fn roots_in_care(&self) -> BTreeSet<Arc<Path>> {
        let jobs = self.handles().into_iter();
        jobs.filter_map(|(_, job)| job.path()).collect()
    }

    /// The project as it is now. One whose database was deleted gets a new one, and all rows that
    /// can be put back are.
    pub(super) async fn project_now(
        self: &Arc<Self>,
        root: &Path,
    ) -> Result<Arc<Project>, ProjectError> {
        let (project, refill) = self.projects.revive(root).await?;
        if let Some(mut refill) = refill {
            let (inner, project) = (Arc::clone(self), Arc::clone(&project));
            self.tracker.spawn(async move {
                let refilling = async {
                    inner.put_back_what_runs(&project, &mut refill).await;
                    inner.take_all_up(Scope::Registered).await;
                };
                inner.stop.run_until_cancelled(refilling).await;
            });
        }
        Ok(project)
    }

    /// Puts back the rows of what runs and waits, before those of what is over: somebody may ask for what there is to
    /// stop.
    pub(super) async fn put_back_what_runs(
        self: &Arc<Self>,
        project: &Arc<Project>,
        refill: &mut Refill,
    ) {
        let mut running = Vec::new();
        for (uuid, job) in self.handles() {
            let is_here = job.home() == Some(project.folder())
                || job.path().is_some_and(|path| *path == *project.root);
            if let (true, Some(whose)) = (is_here, job.whose.get()) {
                running.push((uuid, whose.id));
            }
        }
        match timeout(CARE_WITHIN, look_after(self, project, &running)).await {
            Ok(Ok(())) => refill.runs_are_back(),
            // Who asks for them meanwhile is told to come again.
            Ok(Err(error)) => {
                warn!(project = %project.root.display(), error = %chain(&error), "rows of what runs not put back yet");
            }
            Err(_) => warn!(project = %project.root.display(), "its database takes long"),
        }
    }
}

/// Looks after all of them; false if that could not be done.
async fn pass(inner: &Arc<Inner>, hints: &mut Watched) -> bool {
    let mut is_done = true;
    let mut unwatched = std::mem::take(hints);
    let mut by_project: BTreeMap<Arc<Path>, Vec<(String, InvocationId)>> = BTreeMap::new();
    let open = inner.projects.all();
    for (uuid, job) in inner.handles() {
        let (Some(whose), Some(path)) = (job.whose.get(), job.path()) else {
            continue;
        };
        // One that was moved is at home under another path than it had.
        let home = job.home();
        let is_home = |it: &&Arc<Project>| Some(it.folder()) == home;
        let at_path = open.iter().find(|it| it.root == *path);
        let moved = open.iter().find(is_home);
        let root = match (at_path.filter(is_home), moved) {
            (None, Some(moved)) => Arc::from(moved.root.as_path()),
            _ => path,
        };
        by_project.entry(root).or_default().push((uuid, whose.id));
    }
    for (root, running) in by_project {
        // What is wrong with a project is noted where it is found, and shown in `status`.
        let looked = inner.projects.look_at(&root).await;
        let project = match looked {
            Ok(project) => project,
            Err(_) => {
                let of = running.iter().map(|(uuid, id)| (Some(*id), uuid.as_str()));
                let of: Vec<_> = of.collect();
                let address = Address::of_this_boot(&root, None);
                match inner.project_at(address, &of).await {
                    Ok(project) => project,
                    Err(_) => {
                        is_done = false;
                        continue;
                    }
                }
            }
        };
        // Its disk has just answered.
        let watching = watch(inner, &root, unwatched.remove(&root));
        if let Ok(Some(watched)) = timeout(WATCHED_WITHIN, watching).await {
            hints.insert(Arc::clone(&root), watched);
        }
        match timeout(CARE_WITHIN, look_after(inner, &project, &running)).await {
            Ok(Ok(())) => {
                inner.projects.has_what_runs(&project.root);
                continue;
            }
            Ok(Err(error)) => {
                warn!(project = %root.display(), error = %chain(&error), "rows not looked after");
            }
            Err(_) => warn!(project = %root.display(), "its database takes long; others go on"),
        }
        is_done = false;
    }
    is_done
}

/// Puts back rows of what runs and waits, and tells of those that somebody else has closed.
async fn look_after(
    inner: &Arc<Inner>,
    project: &Arc<Project>,
    running: &[(String, InvocationId)],
) -> Result<(), StoreError> {
    if project.store.is_read_only() {
        return Ok(());
    }
    let open = project.store.unfinished().await?;
    for (uuid, id) in running {
        let is_there = open.iter().any(|row| row.id == *id);
        if is_there || project.store.by_uuid(uuid).await?.is_some() {
            continue;
        }
        let dir = InvDir::new(&inner.settings().state_dir, uuid);
        let spec = tokio::task::spawn_blocking(move || Spec::load(&dir)).await;
        // Without its spec its own job still has it, and puts the row back at the end.
        let Ok(Ok(spec)) = spec else { continue };
        let restored = project
            .store
            .restore(*id, NewInvocation::from(&spec), None)
            .await;
        match restored {
            // Another project has its path: its job knows, and waits for its own.
            Err(StoreError::IdTaken { .. }) => continue,
            restored => restored?,
        };
        info!(invocation.id = %id, "row put back while it runs");
        project.touch();
    }
    inner.put_back_what_waits(project, &open).await;
    if project.store.tell_overridden().await? > 0 {
        warn!(project = %project.root.display(), "another program closed rows of what runs");
        project.touch();
    }
    Ok(())
}
