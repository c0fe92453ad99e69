//! Ending what has no row, for want of its project: it is told apart by its path and its id, and what became of
//! it is kept in its state folder.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use steroids_shim::durable::FileError;
use steroids_shim::exit::ExitRecord;
use steroids_shim::lock;
use steroids_shim::paths::InvDir;
use steroids_shim::spec::Spec;
use tokio::time::{Instant, timeout};
use tracing::warn;

use super::{AFTER_GRACE, HANDS, LONGEST_DEFAULT, slow, stop_one};
use crate::domain::{Invocation, InvocationId};
use crate::projects::ProjectError;
use crate::supervise::address::Address;
use crate::supervise::elsewhere::Found;
use crate::supervise::job::JobHandle;
use crate::supervise::link::ShimLink;
use crate::supervise::reconcile::uuid_of;
use crate::supervise::strays::has_ended;
use crate::supervise::supervisor::chain;
use crate::supervise::vitals::Whose;
use crate::supervise::whereabouts::homeless;
use crate::supervise::{StopError, Supervisor, proof, waiting};

/// Behind word of a record of the end.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Which of those of one path and one id is meant.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which<'a> {
    /// Mostly there is one.
    Any,
    /// The one of this uuid.
    Only(&'a str),
}

impl Which<'_> {
    pub(super) fn fits(self, uuid: &str) -> bool {
        match self {
            Which::Any => true,
            Which::Only(own) => uuid == own,
        }
    }
}

impl Supervisor {
    /// Ends the one of the same path and id that was started in a project which is there no more: where that
    /// has ended which the path leads to now, it is the other that is meant. Or itself, if its row ended there as
    /// that of a copy, and there is no other of it. As it was, if there is none; one that has its row where its
    /// project was moved to is stopped there.
    pub(super) async fn stop_namesake(
        &self,
        project: &Path,
        ended: Invocation,
        which: Which<'_>,
        grace: Option<Duration>,
    ) -> Result<(Invocation, bool), StopError> {
        let id = ended.id;
        let may_be = |(uuid, it): (&String, &Found)| {
            which.fits(uuid)
                && it.project.as_deref().is_none_or(|path| path == project)
                && it.id.is_none_or(|found| found == id)
        };
        // Mostly no other project is asked.
        if !self.unfinished().await.iter().any(may_be) {
            return Ok((ended, true));
        }
        let all = self.elsewhere(&self.inner.projects.all()).await;
        let mut all = all.into_iter().filter(|it| it.project == project);
        let Some(other) = all.find(|it| it.id == id && which.fits(&it.spec.uuid)) else {
            return Ok((ended, true));
        };
        // Its project was moved, and does not answer just now.
        let home = self.inner.job(&other.spec.uuid).and_then(|job| job.home());
        if let Some(folder) = home.or(other.spec.project_folder)
            && (self.inner.projects)
                .may_be_elsewhere(
                    folder,
                    project,
                    Address::from(&other.spec).was_there_ms,
                    &other.spec.uuid,
                )
                .await
        {
            return Ok((ended, true));
        }
        let none = StopError::NotFound {
            project: project.to_owned(),
            id,
        };
        let which = Which::Only(&other.spec.uuid);
        match self.stop_without_row(project, id, which, grace, none).await {
            Err(StopError::NotFound { .. }) => Ok((ended, true)),
            stopped => stopped,
        }
    }

    /// Ends one that runs or waits and whose row is not to be had, for want of its project or its database;
    /// `error` says why, where there is none of that id.
    pub(super) async fn stop_without_row(
        &self,
        project: &Path,
        id: InvocationId,
        which: Which<'_>,
        grace: Option<Duration>,
        error: StopError,
    ) -> Result<(Invocation, bool), StopError> {
        let running = self.inner.handles().into_iter().filter_map(|(uuid, job)| {
            let whose = job.whose.get()?;
            let is_here = job.path().is_some_and(|path| *path == *project);
            let is_meant =
                whose.id == id && (is_here || *whose.project == *project) && which.fits(&uuid);
            is_meant.then_some((is_here, uuid, job))
        });
        // By where it is, before where it was.
        if let Some((_, uuid, handle)) = running.max_by_key(|(is_here, ..)| *is_here) {
            let stopped = self.stop_homeless(project, id, &uuid, handle, grace);
            return stopped.await;
        }
        let is_there = matches!(error, StopError::NotFound { .. });
        match self.open(project, id, which, is_there).await {
            Some((dir, false)) => self.stop_stray(project, dir, id, grace).await,
            Some((dir, true)) => {
                let why = match &error {
                    StopError::Project(away) => homeless(project, away),
                    error => chain(error),
                };
                self.stop_waiting(project, dir, id, which, grace, why).await
            }
            None => Err(error),
        }
    }

    /// Ends one that runs, and may go astray with that.
    async fn stop_homeless(
        &self,
        project: &Path,
        id: InvocationId,
        uuid: &str,
        handle: JobHandle,
        grace: Option<Duration>,
    ) -> Result<(Invocation, bool), StopError> {
        let dir = InvDir::new(self.state_dir(), uuid);
        let is_stuck = || self.inner.troubles.unrecorded(uuid).is_some();
        match stop_one(handle, grace, Some(dir), is_stuck).await {
            Some(ended) => Ok((ended, false)),
            None => {
                // First: what is in its way is forgotten once it is let go of.
                let late = self.inner.late(id, uuid);
                match self.is_let_go(uuid).await {
                    true => Err(self.unrecorded(project, id, uuid).await),
                    false => Err(late),
                }
            }
        }
    }

    /// Whether it has ended without a row: it went astray, even if somebody just looks whether it can be taken up.
    async fn is_let_go(&self, uuid: &str) -> bool {
        if self.inner.strays.has(uuid) {
            return true;
        }
        // Whoever just looks has a place for a job, and none in it.
        let is_job = |job: JobHandle| job.whose.get().is_some();
        if self.inner.job(uuid).is_some_and(is_job) || self.inner.stop.is_cancelled() {
            return false;
        }
        let dir = InvDir::new(self.state_dir(), uuid);
        let look = move || proof::is_over(&dir);
        // Only a panic, or the runtime's end.
        tokio::task::spawn_blocking(look).await.unwrap_or(false)
    }

    /// One has ended, and only its state folder tells.
    async fn unrecorded(&self, project: &Path, id: InvocationId, uuid: &str) -> StopError {
        let why = self.inner.strays.why(uuid);
        let project = project.to_owned();
        match self.inner.projects.get(&project).await {
            Err(error) if error.is_gone() => StopError::Homeless { id, project },
            Err(error) => StopError::Unrecorded {
                id,
                why: chain(&error),
            },
            Ok(_) => StopError::Unrecorded {
                id,
                why: why.unwrap_or_else(|| "its project is back just now".to_owned()),
            },
        }
    }

    /// The folder of the one with this path and this id of which what its project is or was cannot be had; and
    /// whether it waits. It has the path at which its project was seen last, and that of its start, unless it is
    /// known to be elsewhere and another project `is_there`.
    async fn open(
        &self,
        project: &Path,
        id: InvocationId,
        which: Which<'_>,
        is_there: bool,
    ) -> Option<(InvDir, bool)> {
        let found = self.unfinished().await.into_iter();
        let may_be = |(uuid, it): &(String, Found)| {
            which.fits(uuid) && it.id.is_none_or(|found| found == id)
        };
        let found = found.filter(may_be).map(|(uuid, it)| {
            let is_elsewhere = it.project.is_some_and(|path| path != project);
            let dir = InvDir::new(self.state_dir(), &uuid);
            (dir, is_there && is_elsewhere)
        });
        let mut dirs: Vec<_> = found.collect();
        let ended = self.inner.strays.ended(id).into_iter();
        let ended = ended.filter(|dir| which.fits(&uuid_of(dir)));
        dirs.extend(ended.map(|dir| (dir, false)));
        if dirs.is_empty() {
            return None;
        }
        let seen = self.inner.projects.seen().await.ok();
        let project = project.to_owned();
        let look = move || {
            let loaded = dirs.into_iter().filter_map(|(dir, is_elsewhere)| {
                let (spec, waits) = match Spec::load(&dir) {
                    Ok(spec) => (spec, false),
                    Err(_) => (Spec::load_queued(&dir).ok()?, true),
                };
                let its = Address::from(&spec);
                let now = seen.as_ref();
                let now = now.map(|seen| seen.at(its.folder, its.path, its.was_there_ms));
                let is_here = now.is_some_and(|now| now == project);
                let is_it = spec.invocation == id.get()
                    && (is_here || its.path == project && !is_elsewhere)
                    && (!waits || waiting::waits(&dir));
                is_it.then_some((is_here, dir, waits))
            });
            // By where it is, before where it was.
            let meant = loaded.max_by_key(|(is_here, ..)| *is_here);
            meant.map(|(_, dir, waits)| (dir, waits))
        };
        // Only a panic, or the runtime's end.
        tokio::task::spawn_blocking(look).await.ok().flatten()
    }

    /// Ends one that waits in a project that is gone or cannot be read. What became of it, as its row cannot
    /// tell; `why` is what is in the way of that.
    async fn stop_waiting(
        &self,
        project: &Path,
        dir: InvDir,
        id: InvocationId,
        which: Which<'_>,
        grace: Option<Duration>,
        why: String,
    ) -> Result<(Invocation, bool), StopError> {
        let uuid = uuid_of(&dir);
        for _ in 0..HANDS {
            // Perhaps its turn had come, and whoever had it in care has ended it, as it was asked to.
            let kept = match has_ended(&dir).await {
                true => Some(Ok(())),
                false => self.keep_end(project, id, &uuid, &why).await,
            };
            match kept {
                Some(Ok(())) => return Err(self.unrecorded(project, id, &uuid).await),
                Some(Err(why)) => return Err(StopError::Unkept { id, why }),
                None => {}
            }
            // Somebody looks whether it can be taken up: if so there is a job now, else it waits again.
            if let Some(handle) = self.inner.job(&uuid) {
                let asked = handle.requests.clone();
                let ended = stop_one(handle, grace, Some(dir.clone()), || false).await;
                // Or somebody else has it by now, who was not asked.
                let is_asked = |now: JobHandle| now.requests.same_channel(&asked);
                match ended {
                    Some(ended) => return Ok((ended, false)),
                    None if self.inner.job(&uuid).is_some_and(is_asked) => break,
                    None => {}
                }
            }
            if self.inner.projects.get(project).await.is_ok() {
                return self.stop_by_row(project, id, which, grace).await;
            }
        }
        Err(slow(id, &uuid))
    }

    /// Takes one out that waits in a project that is gone, and writes its end down beside its specification.
    /// Why not, if the disk does not take that: then it waits on. `None` if somebody else has it in care.
    async fn keep_end(
        &self,
        project: &Path,
        id: InvocationId,
        uuid: &str,
        why: &str,
    ) -> Option<Result<(), String>> {
        let (uuid, project, why) = (uuid.to_owned(), project.to_owned(), why.to_owned());
        let inner = Arc::clone(&self.inner);
        // Out of the line it is seen through, whether or not this caller waits for it.
        let ending = self.inner.tracker.spawn(async move {
            let waits = inner.line.candidate(&uuid);
            let entry = inner.line.take_out(&uuid, || inner.enter(&uuid));
            let _entry = match entry {
                Some(entry) => entry,
                // Whoever has tried to start it puts it back into the line in a moment.
                None if inner.line.knows(&uuid) && !inner.strays.has(&uuid) => return None,
                None => inner.enter(&uuid)?,
            };
            let kept = waiting::keep_end(&inner, &uuid, id, waiting::cancelled()).await;
            match &kept {
                Ok(()) => inner.keep_unstarted(&uuid, &project, id, why, true, None),
                Err(error) => {
                    warn!(invocation.id = %id, error, "the end of one that waited has no record");
                    inner.keep_unstarted(&uuid, &project, id, why, false, waits);
                }
            }
            Some(kept)
        });
        // Only a panic, or the runtime's end, gives no answer.
        let ended = ending.await;
        ended.unwrap_or_else(|error| Some(Err(error.to_string())))
    }

    /// Ends what cannot be taken up, for want of its project: nobody has it in care, and its shim takes a
    /// stop all the same. What became of it, as its row cannot tell.
    pub(super) async fn stop_stray(
        &self,
        project: &Path,
        dir: InvDir,
        id: InvocationId,
        grace: Option<Duration>,
    ) -> Result<(Invocation, bool), StopError> {
        let (hints, folder) = (self.inner.hints.clone(), dir.clone());
        let look = move || {
            let is_held = is_held(&folder);
            (hints.folder(folder.path()), Spec::load(&folder), is_held)
        };
        let Ok((mut hint, Ok(spec), is_ours)) = tokio::task::spawn_blocking(look).await else {
            return Err(slow(id, &uuid_of(&dir)));
        };
        if !is_ours
            && let Err(theirs @ ProjectError::OwnedByOtherDaemon { .. }) =
                self.inner.projects.get(project).await
        {
            return Err(theirs.into());
        }
        let mut link = ShimLink::new(spec.socket, dir.clone());
        let until = Instant::now() + grace.unwrap_or(LONGEST_DEFAULT) + AFTER_GRACE;
        let mut is_told = false;
        while Instant::now() < until {
            // Its project is back, and it is looked after again.
            let is_cared = |(uuid, _): &(String, Whose)| *uuid == spec.uuid;
            if self.inner.in_care().iter().any(is_cared)
                && let Some(handle) = self.inner.job(&spec.uuid)
            {
                let stopped = self.stop_homeless(project, id, &spec.uuid, handle, grace);
                return stopped.await;
            }
            let (folder, arming) = (dir.clone(), hint.arming());
            let look = move || {
                arming.arm();
                let record = ExitRecord::load(&folder)?;
                let record = record.filter(|_| proof::is_over(&folder));
                Ok::<_, FileError>((record, is_held(&folder)))
            };
            let exit = tokio::task::spawn_blocking(look).await;
            match exit {
                Ok(Ok((Some(_), _))) => {
                    return Err(self.unrecorded(project, id, &spec.uuid).await);
                }
                // In a copy of a state folder is the address of another daemon's shim.
                Ok(Ok((None, false))) => {}
                Ok(Ok((None, true))) if !is_told => {
                    link.stop(grace, None, false).await;
                    is_told = true;
                }
                // It stays owed where nobody was there.
                Ok(Ok((None, true))) => link.catch_up().await,
                Ok(Err(_)) | Err(_) => {}
            }
            let _ = timeout(LOOK_AGAIN, hint.changed()).await;
        }
        Err(slow(id, &spec.uuid))
    }
}

/// Whether its shim lives, and this is that one's folder. Blocks.
fn is_held(dir: &InvDir) -> bool {
    lock::is_held(&dir.lock()).unwrap_or(false)
}
