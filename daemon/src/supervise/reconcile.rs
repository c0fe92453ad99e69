//! After a start of the daemon, and at every wakeup: each invocation of ours that is not over gets
//! an owner again, or an end.
//!
//! ```text
//! lock held                   adopt: a job connects and catches up, whatever is recorded
//! lock free, exit record      finish: a job writes terminal line and row
//! lock free, none, this boot  lost: kill what is left, then as above
//! lock free, none, other boot lost (host restarted): kill nothing, then as above
//! queued.json, no spec        waits, at its old place
//! neither, and no traces      a start was cut: the folder goes
//! a draft with a row          is named again first
//! row of ours, no folder      never started, or lost
//! row of ours, in a copy      ends, as lost
//! folder, no row              the row is put back from the spec first
//! damaged spec, lock free     the row ends, by the record or as lost
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use steroids_shim::durable::FileError;
use steroids_shim::exit::ExitRecord;
use steroids_shim::paths::InvDir;
use steroids_shim::spec::{PROTOCOL, Spec};
use steroids_shim::{lock, removal, state};
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::address::Address;
use super::finish::{mark_projected, was_final};
use super::job::{JobHandle, Progress};
use super::lost::{self, Ended, Worth};
use super::stop::is_open;
use super::strays::{Stray, has_ended};
use super::supervisor::{Entry, Inner, Place, chain};
use super::troubles::put_back;
use super::work::Work;
use super::{Supervisor, waiting};
use crate::domain::{Invocation, InvocationId, Outcome, Phase};
use crate::projects::{Project, Refill};
use crate::store::{NewEvent, NewInvocation, Rebuild, StoreError};

/// Readiness waits so long for invocations that have ended to be finished; the rest goes on behind.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// Why nothing that waits is started at first.
pub(super) const STARTING: &str = "the daemon looks at what runs first";

/// When a reconcile happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Before the daemon is ready: every folder is looked at.
    Startup,
    /// A project was registered, perhaps with a database that has lost its rows: folders known to
    /// be over are looked at too.
    Registered,
    /// While it serves: folders known to be over are passed over.
    Wakeup,
}

/// What a reconcile found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Running, and in our care again.
    pub adopted: usize,
    /// Ended while nobody looked.
    pub finished: usize,
    /// Gone without a record.
    pub lost: usize,
}

/// What is to be done about one state folder.
enum Finding {
    Adopt,
    Finish,
    Lost(&'static str),
}

impl Supervisor {
    /// Gives every unfinished invocation an owner or an end, as far as can be within 10 s: what a
    /// locked database or a slow disk holds up goes on behind, and is not counted.
    pub async fn reconcile(&self, scope: Scope) -> Reconciled {
        let deadline = Instant::now() + READY_WITHIN;
        let inner = Arc::clone(&self.inner);
        let is_first = scope == Scope::Startup;
        if is_first {
            // Who waits, and what runs, has to be known before anything is started.
            inner.line.close(STARTING, true);
        }
        let taking_up = self.inner.tracker.spawn(async move {
            let taken = tokio::select! {
                () = inner.stop.cancelled() => return Taken::default(),
                taken = inner.take_all_up(scope) => taken,
            };
            if is_first {
                inner.line.close(STARTING, false);
                inner.drafts.prepare();
            }
            taken
        });
        let Ok(taken) = timeout_at(deadline, taking_up).await else {
            warn!("not all invocations are taken up yet; going on behind");
            return Reconciled::default();
        };
        // Only a panic, or the runtime's end, leaves nothing.
        let Taken { found, ending } = taken.unwrap_or_default();
        for mut handle in ending {
            let over = handle
                .progress
                .wait_for(|progress| matches!(progress, Progress::Ended(_)));
            if timeout_at(deadline, over).await.is_err() {
                warn!("not all ended invocations are finished yet; going on behind");
                break;
            }
        }
        found
    }
}

/// What was found, and the jobs of those that are about to end.
#[derive(Default)]
pub(super) struct Taken {
    found: Reconciled,
    ending: Vec<JobHandle>,
}

impl Inner {
    /// State folders that may need something done, oldest first.
    pub(super) async fn folders(&self, scope: Scope) -> Vec<InvDir> {
        let root = self.inv_root();
        let listing = tokio::task::spawn_blocking(move || list(&root, scope)).await;
        listing.unwrap_or_default()
    }

    pub(super) async fn take_all_up(self: &Arc<Self>, scope: Scope) -> Taken {
        let mut taken = Taken::default();
        if scope == Scope::Startup {
            self.settle_drafts().await;
        }
        let mut folders = self.folders(scope).await;
        // Until all are taken up.
        let mut refills = revive_projects(self, &folders).await;
        if scope != Scope::Startup {
            // With a daemon that has just started nothing runs yet.
            for refill in &mut refills {
                if let Ok(project) = self.projects.get(refill.path()).await {
                    self.put_back_what_runs(&project, refill).await;
                }
            }
        }
        if !refills.is_empty() && scope == Scope::Wakeup {
            folders = self.folders(Scope::Registered).await;
        }
        for dir in folders {
            let ending = self.take_up(dir, &mut taken.found).await;
            taken.ending.extend(ending);
        }
        if scope == Scope::Startup {
            // All that runs has been taken up, with its row.
            refills.iter_mut().for_each(Refill::runs_are_back);
        }
        for project in self.projects.answering().await {
            self.settle_open_rows(&project, &mut taken.found).await;
        }
        self.line.unblock();
        taken
    }

    /// One folder. Gives the job of an invocation that is about to end. What cannot be taken up now
    /// is kept among the strays.
    pub(super) async fn take_up(
        self: &Arc<Self>,
        dir: InvDir,
        found: &mut Reconciled,
    ) -> Option<JobHandle> {
        let uuid = uuid_of(&dir);
        let read = {
            let dir = dir.clone();
            tokio::task::spawn_blocking(move || Spec::load(&dir)).await
        };
        let spec = match read.ok()? {
            Ok(spec) => spec,
            Err(error) if error.is_missing() => {
                return self.take_up_waiting(dir, uuid, found).await;
            }
            Err(FileError::Foreign { proto, .. }) => {
                return self.leave_alone(dir, uuid, proto).await;
            }
            Err(error) => {
                if matches!(error, FileError::Malformed { .. })
                    && self.end_unreadable(&dir, &uuid, found).await
                {
                    return None;
                }
                let before = self.strays.take(&uuid);
                self.keep_unknown(before, dir, chain(&error)).await;
                return None;
            }
        };
        if spec.proto > PROTOCOL || spec.proto + 1 < PROTOCOL {
            return self.leave_alone(dir, spec.uuid, spec.proto).await;
        }
        // Taken care of: by a job, by a start under way, by another reconcile.
        let mut entry = self.enter(&spec.uuid);
        entry.as_ref()?;
        let mut before = self.strays.take(&spec.uuid);
        let kept = before.as_mut().and_then(|stray| {
            // Its turn had come.
            stray.lined = None;
            stray.place.take()
        });
        let mut place = self.place_of(&spec, &dir, kept).await;
        let project = Some(spec.project.clone());
        let id = InvocationId::new(spec.invocation);
        match self
            .take_up_known(spec, &dir, &mut entry, &mut place, found)
            .await
        {
            Ok(ending) => {
                if place.is_some() {
                    // Over by its row, and alive all the same.
                    self.outlived.note(uuid);
                }
                ending
            }
            Err(why) => {
                let stray = Stray {
                    project,
                    id,
                    why,
                    place,
                    lined: None,
                    has_ended: has_ended(&dir).await,
                    dir,
                };
                // Before its entry is given back: nobody else makes it a second place meanwhile.
                self.keep_stray(before, stray);
                None
            }
        }
    }

    /// One whose specification is known. `entry` and `place` are taken where there is a job; else they
    /// stay with the caller.
    async fn take_up_known(
        self: &Arc<Self>,
        spec: Spec,
        dir: &InvDir,
        entry: &mut Option<Entry>,
        place: &mut Option<Place>,
        found: &mut Reconciled,
    ) -> Result<Option<JobHandle>, String> {
        self.floors.raise(&spec.project, spec.invocation);
        let id = InvocationId::new(spec.invocation)
            .ok_or_else(|| "its spec names no invocation".to_owned())?;
        let project = match self.home(Address::from(&spec), Some(id), &spec.uuid).await {
            Err(_) if was_final(dir).await => {
                let mut paths = moved_to(self, &spec).await;
                paths.push(spec.project);
                let open = self.projects.all();
                for path in paths {
                    // What is there and answers is another one, and does not come back.
                    let is_open = open.iter().any(|it| it.root == path);
                    if !is_open || self.projects.is_mute(&path) {
                        self.strays.pass_over(path);
                    }
                }
                return Ok(None);
            }
            found => found?,
        };
        let row = self.row_of(&project, &spec, id).await;
        let row = match row {
            // It was over, and what has its id is in nobody's way: mostly its own row, which the older tool kept.
            Err(StoreError::IdTaken { .. }) if was_final(dir).await => return Ok(None),
            row => row.map_err(|error| chain(&error))?,
        };
        // One whose row is over may have that in a copy, which took its project's path, or went on in one.
        let may_go_on = is_lost(&row) && (place.is_some() || !was_final(dir).await);
        let elsewhere = match may_go_on {
            true => self.open_elsewhere(&project, &spec.uuid).await,
            false => None,
        };
        let (project, row) = elsewhere.unwrap_or((project, row));
        if !is_open(&row) {
            let is_its_own = spec.project_folder.is_none_or(|at| at == project.folder());
            if is_lost(&row) && place.is_some() && !is_its_own {
                let (copy, todo) = (project.root.display(), put_back(&spec.project));
                return Err(format!("its row in {copy} is that of a copy; {todo}"));
            }
            if is_half_published(&row) {
                self.count_on(&project, id).await;
            }
            let dir = dir.clone();
            // A mark that could not be made is made by the next reconcile.
            let _ = tokio::task::spawn_blocking(move || mark_projected(&dir)).await;
            return Ok(None);
        }
        let found_there = {
            let (spec, dir) = (spec.clone(), dir.clone());
            let look = move || look(&spec, &dir).map(|finding| (finding, spec.redactor()));
            tokio::task::spawn_blocking(look).await
        };
        let (finding, redactor) = match found_there {
            Ok(there) => there?,
            // Only a panic, or the runtime's end.
            Err(_) => return Ok(None),
        };
        steroids_failpoint::reach("reconcile.found");
        let ends = !matches!(finding, Finding::Adopt);
        let mut news = None;
        match finding {
            Finding::Adopt => {
                found.adopted += 1;
                self.counts.adopted();
                news = Some(NewEvent::about(&row, "adopted"));
            }
            Finding::Finish => found.finished += 1,
            Finding::Lost(why) => {
                found.lost += 1;
                let launcher = Arc::clone(&self.settings().launcher);
                // What could not be done now its job tries again.
                let (worth, ended) = (Worth::Counts, Ended::Unseen);
                let _ = lost::declare(&*launcher, &spec, dir, why, worth, ended).await;
            }
        }
        info!(invocation.id = %spec.invocation, ends, "invocation taken up");
        let forgotten = dir.clone();
        // Only a panic, or the runtime's end.
        let _ = tokio::task::spawn_blocking(move || waiting::forget(&forgotten)).await;
        let place = place.take().unwrap_or_else(|| self.place_of_adopted(&spec));
        let half_published = is_half_published(&row) && !self.count_on(&project, id).await;
        let work = Work {
            has_ended: ends,
            news,
            ..Work::new(spec, redactor)
        };
        let handle = entry.take().map(|entry| {
            let dir = dir.clone();
            entry.watch_over(id, work, dir, project, Some(place), half_published)
        });
        Ok(handle.filter(|_| ends))
    }

    /// An invocation of another protocol gets no job; one that is over needs none.
    async fn leave_alone(&self, dir: InvDir, uuid: String, proto: u32) -> Option<JobHandle> {
        if !was_final(&dir).await {
            self.foreign.note(uuid, proto);
        }
        None
    }

    /// A rebuilt log was being published when the daemon ended: of the cursors given out meanwhile
    /// nobody can say which log they are of. False if the database does not take it now.
    async fn count_on(&self, project: &Project, id: InvocationId) -> bool {
        match project.store.count_generation(id, Rebuild::Published).await {
            Ok(_) => true,
            Err(error) => {
                warn!(invocation.id = %id, %error, "tried again by whoever takes it up next");
                false
            }
        }
    }

    /// The invocation's row, put back if the database lost it.
    async fn row_of(
        &self,
        project: &Project,
        spec: &Spec,
        id: InvocationId,
    ) -> Result<Invocation, StoreError> {
        if let Some(row) = project.store.by_uuid(&spec.uuid).await? {
            return Ok(row);
        }
        let row = NewInvocation::from(spec);
        let row = project.store.restore(id, row, None).await?;
        info!(invocation.id = %id, "row put back from its state folder");
        Ok(row)
    }
}

/// Other paths at which the project of one was seen.
async fn moved_to(inner: &Inner, spec: &Spec) -> Vec<PathBuf> {
    let Some(folder) = spec.project_folder else {
        return Vec::new();
    };
    let was_there_ms = Address::from(spec).was_there_ms;
    let seen = (inner.projects).seen_elsewhere(folder, &spec.project, was_there_ms);
    seen.await.unwrap_or_default()
}

/// A project whose database is gone gets a new one if something of ours in it is not over. Tells
/// which were made: they have lost the rows of what is over, too.
async fn revive_projects(inner: &Inner, folders: &[InvDir]) -> Vec<Refill> {
    let mut refills = Vec::new();
    for dir in folders {
        let dir = dir.clone();
        let open = move || {
            if dir.projected().exists() {
                return None;
            }
            Spec::load(&dir).or_else(|_| Spec::load_queued(&dir)).ok()
        };
        if let Ok(Some(spec)) = tokio::task::spawn_blocking(open).await {
            let spec = Arc::new(spec);
            let (mut is_found, mut paths) = (false, moved_to(inner, &spec).await);
            // What has its first path, or one that it had since, is left alone where it is in another place.
            let was_moved = !paths.is_empty();
            paths.push(spec.project.clone());
            for path in paths {
                let its = Arc::clone(&spec);
                let is_it = move |folder| !was_moved || Address::from(&*its).is_in(folder);
                // Where it cannot be had, what is to be taken up says so.
                if !is_found
                    && let Ok((project, refill)) = inner.projects.revive_in(&path, is_it).await
                {
                    is_found = Some(project.folder()) == spec.project_folder;
                    refills.extend(refill);
                }
            }
        }
    }
    refills
}

/// Whether a row says that nobody knows how its invocation ended, or that it is a copy.
pub(super) fn is_lost(row: &Invocation) -> bool {
    let lost = Some(Outcome::Lost);
    matches!(row.phase, Phase::Ended { outcome, .. } if outcome == lost)
}

/// The number goes up before a rebuilt log is published and after, so an odd one stands only between.
pub(super) fn is_half_published(row: &Invocation) -> bool {
    let managed = row.managed.as_ref();
    managed.is_some_and(|managed| managed.log_generation % 2 == 1)
}

/// A state folder is named for its invocation.
pub(super) fn uuid_of(dir: &InvDir) -> String {
    let name = dir.path().file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Looks at lock and record, in this order: a shim writes it and then lets go of the lock.
fn look(spec: &Spec, dir: &InvDir) -> Result<Finding, String> {
    let held = lock::is_held(&dir.lock()).map_err(|error| error.to_string())?;
    let record = match ExitRecord::load(dir) {
        // Nobody will mend it, so it proves nothing.
        Err(error) if lost::is_senseless(&error) => None,
        read => read.map_err(|error| chain(&error))?,
    };
    Ok(match (held, record) {
        // Also with a record: it proves nothing while somebody has the lock.
        (true, _) => Finding::Adopt,
        (false, Some(_)) => Finding::Finish,
        (false, None) => {
            let boot = state::boot_id().map_err(|error| error.to_string())?;
            Finding::Lost(if boot == spec.boot_id {
                "shim lost"
            } else {
                "host restarted"
            })
        }
    })
}

pub(super) fn list(root: &Path, scope: Scope) -> Vec<InvDir> {
    let Ok(entries) = std::fs::read_dir(root) else {
        return Vec::new();
    };
    let mut dirs: Vec<_> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|entry| !removal::is_begun(&entry.path()))
        .map(|entry| {
            (
                entry.metadata().and_then(|meta| meta.modified()).ok(),
                entry.path(),
            )
        })
        .collect();
    dirs.sort();
    dirs.into_iter()
        .map(|(_, path)| InvDir::at(path))
        .filter(|dir| scope != Scope::Wakeup || !dir.projected().exists())
        .collect()
}
