//! Ending what has no row, for want of its project: it is told apart by its path and its id, and what became of
//! it is kept in its state folder.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use steroids_shim::exit::ExitRecord;
use steroids_shim::paths::InvDir;
use steroids_shim::spec::Spec;
use tokio::time::{Instant, timeout};
use tracing::warn;

use super::{AFTER_GRACE, HANDS, LONGEST_DEFAULT, stop_one};
use crate::domain::{Invocation, InvocationId};
use crate::supervise::job::JobHandle;
use crate::supervise::link::ShimLink;
use crate::supervise::reconcile::uuid_of;
use crate::supervise::strays::has_ended;
use crate::supervise::supervisor::chain;
use crate::supervise::vitals::Whose;
use crate::supervise::whereabouts::homeless;
use crate::supervise::{StopError, Supervisor, waiting};

/// Behind word of a record of the end.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Ends the one of the same path and id that was started in a project which is there no more: where that
    /// has ended which the path leads to now, it is the other that is meant. As it was, if there is none.
    pub(super) async fn stop_namesake(
        &self,
        project: &Path,
        ended: Invocation,
        grace: Option<Duration>,
    ) -> Result<(Invocation, bool), StopError> {
        let own = ended.managed.as_ref().map(|managed| managed.uuid.as_str());
        let is_meant = |(uuid, whose): &(String, Whose)| {
            whose.id == ended.id && *whose.project == *project && own != Some(uuid)
        };
        let namesake = self.inner.in_care().into_iter().find(is_meant);
        let Some((uuid, _)) = namesake else {
            return Ok((ended, true));
        };
        let Some(handle) = self.inner.job(&uuid) else {
            return Ok((ended, true));
        };
        self.stop_homeless(project, ended.id, &uuid, handle, grace)
            .await
    }

    /// Ends one that runs and whose row is not to be had, for want of its project or its database;
    /// `error` says why, where nothing of that id runs.
    pub(super) async fn stop_without_row(
        &self,
        project: &Path,
        id: InvocationId,
        grace: Option<Duration>,
        error: StopError,
    ) -> Result<(Invocation, bool), StopError> {
        let mut running = self.inner.in_care().into_iter();
        let is_meant = |whose: &Whose| whose.id == id && *whose.project == *project;
        let Some((uuid, _)) = running.find(|(_, whose)| is_meant(whose)) else {
            return match self.stray(project, id).await {
                Some(dir) => Err(self.stop_stray(dir, id, grace).await),
                None => self.stop_waiting(project, id, grace, error).await,
            };
        };
        let Some(handle) = self.inner.job(&uuid) else {
            return Err(error);
        };
        self.stop_homeless(project, id, &uuid, handle, grace).await
    }

    /// Ends one that runs, and goes astray with that if its project is not there.
    async fn stop_homeless(
        &self,
        project: &Path,
        id: InvocationId,
        uuid: &str,
        handle: JobHandle,
        grace: Option<Duration>,
    ) -> Result<(Invocation, bool), StopError> {
        let dir = InvDir::new(self.state_dir(), uuid);
        let ended = stop_one(handle, grace, Some(dir)).await;
        let is_stray = self.inner.strays.has(uuid);
        match ended {
            Some(ended) => Ok((ended, false)),
            None if is_stray => Err(StopError::Homeless {
                id,
                project: project.to_owned(),
            }),
            None => Err(StopError::Slow { id }),
        }
    }

    /// The one of a project with this id that cannot be taken up.
    async fn stray(&self, project: &Path, id: InvocationId) -> Option<InvDir> {
        let dirs = self.inner.strays.of(project);
        let is_meant = move |dir: &InvDir| {
            let spec = Spec::load(dir);
            spec.is_ok_and(|spec| spec.invocation == id.get())
        };
        let found = tokio::task::spawn_blocking(move || dirs.into_iter().find(is_meant));
        found.await.ok().flatten()
    }

    /// Ends one that waits in a project that is gone or cannot be read. What became of it, as its row
    /// cannot tell; `error` where nothing of that id waits.
    async fn stop_waiting(
        &self,
        project: &Path,
        id: InvocationId,
        grace: Option<Duration>,
        error: StopError,
    ) -> Result<(Invocation, bool), StopError> {
        let why = match &error {
            StopError::Project(away) => homeless(away),
            StopError::Store(unread) => chain(unread),
            _ => return Err(error),
        };
        let Some(uuid) = self.waiting_without(project, id).await else {
            return Err(error);
        };
        let dir = InvDir::new(self.state_dir(), &uuid);
        for _ in 0..HANDS {
            // Perhaps its turn had come, and whoever had it in care has ended it, as it was asked to.
            let kept = match has_ended(&dir).await {
                true => Some(true),
                false => self.keep_end(project, id, &uuid, &why).await,
            };
            match kept {
                Some(true) => {
                    let project = project.to_owned();
                    return Err(StopError::Homeless { id, project });
                }
                Some(false) => break,
                None => {}
            }
            // Somebody looks whether it can be taken up: if so there is a job now, else it waits again.
            if let Some(handle) = self.inner.job(&uuid) {
                let ended = stop_one(handle, grace, Some(dir.clone())).await;
                match ended {
                    Some(ended) => return Ok((ended, false)),
                    None if self.inner.job(&uuid).is_some() => break,
                    None => {}
                }
            }
            if self.inner.projects.get(project).await.is_ok() {
                return self.stop_by_row(project, id, grace).await;
            }
        }
        Err(StopError::Slow { id })
    }

    /// Takes one out that waits in a project that is gone, and writes its end down beside its specification.
    /// False if the disk does not take that; `None` if somebody else has it in care.
    async fn keep_end(
        &self,
        project: &Path,
        id: InvocationId,
        uuid: &str,
        why: &str,
    ) -> Option<bool> {
        let (uuid, project, why) = (uuid.to_owned(), project.to_owned(), why.to_owned());
        let inner = Arc::clone(&self.inner);
        // Out of the line it is seen through, whether or not this caller waits for it.
        let ending = self.inner.tracker.spawn(async move {
            let entry = inner.line.take_out(&uuid, || inner.enter(&uuid));
            let _entry = entry.or_else(|| inner.enter(&uuid))?;
            let kept = waiting::keep_end(&inner, &uuid, id, waiting::cancelled()).await;
            if let Err(why) = &kept {
                warn!(invocation.id = %id, why, "the end of one that waited has no record");
            }
            inner.keep_ended(&uuid, &project, why);
            Some(kept.is_ok())
        });
        // Only a panic, or the runtime's end, gives no answer.
        ending.await.unwrap_or(Some(false))
    }

    /// The one of a project that is away with this id, while it waits: in the line, or since before the
    /// daemon's start.
    async fn waiting_without(&self, project: &Path, id: InvocationId) -> Option<String> {
        if let Some(uuid) = self.inner.line.waiting_of(project, id) {
            return Some(uuid);
        }
        // Its turn may have come just now, and whoever has it in care finds no project.
        let in_line = self.inner.line.of(project).into_iter();
        let in_line = in_line.map(|uuid| InvDir::new(self.state_dir(), &uuid));
        let mut dirs = self.inner.strays.of(project);
        dirs.extend(in_line);
        let is_meant = move |dir: &InvDir| {
            let spec = Spec::load_queued(dir);
            let is_it = spec.is_ok_and(|spec| spec.invocation == id.get());
            is_it && waiting::waits(dir)
        };
        let found = tokio::task::spawn_blocking(move || dirs.into_iter().find(is_meant));
        found.await.ok().flatten().map(|dir| uuid_of(&dir))
    }

    /// Ends what cannot be taken up, for want of its project: nobody has it in care, and its shim takes a
    /// stop all the same. What became of it, as its row cannot tell.
    pub(super) async fn stop_stray(
        &self,
        dir: InvDir,
        id: InvocationId,
        grace: Option<Duration>,
    ) -> StopError {
        let (hints, folder) = (self.inner.hints.clone(), dir.clone());
        let look = move || (hints.folder(folder.path()), Spec::load(&folder));
        let Ok((mut hint, Ok(spec))) = tokio::task::spawn_blocking(look).await else {
            return StopError::Slow { id };
        };
        let mut link = ShimLink::new(spec.socket, dir.clone());
        let until = Instant::now() + grace.unwrap_or(LONGEST_DEFAULT) + AFTER_GRACE;
        let mut is_told = false;
        while Instant::now() < until {
            let (folder, arming) = (dir.clone(), hint.arming());
            let look = move || {
                arming.arm();
                ExitRecord::load(&folder)
            };
            let exit = tokio::task::spawn_blocking(look).await;
            match exit {
                Ok(Ok(Some(_))) => {
                    let project = spec.project;
                    return StopError::Homeless { id, project };
                }
                // Its project is back, and it is looked after again.
                Ok(Ok(None)) if !self.inner.strays.has(&spec.uuid) => break,
                Ok(Ok(None)) if !is_told => {
                    link.stop(grace, None, false).await;
                    is_told = true;
                }
                // It stays owed where nobody was there.
                Ok(Ok(None)) => link.catch_up().await,
                Ok(Err(_)) | Err(_) => {}
            }
            let _ = timeout(LOOK_AGAIN, hint.changed()).await;
        }
        StopError::Slow { id }
    }
}
