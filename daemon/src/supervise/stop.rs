//! Ending invocations: one that somebody names, or all of them when the daemon is told to.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use steroids_shim::exit::ExitRecord;
use steroids_shim::paths::InvDir;
use steroids_shim::spec::Spec;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tracing::warn;

use super::job::{JobHandle, Progress, Request};
use super::link::ShimLink;
use super::reconcile::uuid_of;
use super::strays::has_ended;
use super::supervisor::chain;
use super::vitals::Whose;
use super::whereabouts::homeless;
use super::{StopError, Supervisor, waiting};
use crate::domain::{Invocation, InvocationId, Phase};
use crate::projects::Project;

/// After its grace a shim kills, drains for at most 5 s, and writes its record; the row follows,
/// once the log is made, which grows at least so often.
const AFTER_GRACE: Duration = Duration::from_secs(15);

/// What the service manager leaves a daemon at least, but for some seconds to end itself; a shim leaves
/// its provider 8 s.
const SHUTDOWN_WITHIN: Duration = Duration::from_secs(15);

/// How long an unnamed grace may be, for the wait alone: the shim knows its own.
const LONGEST_DEFAULT: Duration = Duration::from_secs(60);

/// Behind word of a record of the end.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A start passes from who writes it down to the line, and from there to its job.
const HANDS: usize = 3;

impl Supervisor {
    /// Ends an invocation and waits until its row is final. True: it had ended before.
    ///
    /// # Errors
    /// When it does not exist, is not ours, has not ended in time (it goes on ending), or has ended and
    /// has no project any more.
    pub async fn stop(
        &self,
        project: &Path,
        id: InvocationId,
        grace: Option<Duration>,
    ) -> Result<(Invocation, bool), StopError> {
        match self.stop_by_row(project, id, grace).await {
            Err(
                error @ (StopError::Project(_) | StopError::NotFound { .. } | StopError::Store(_)),
            ) => self.stop_without_row(project, id, grace, error).await,
            stopped => stopped,
        }
    }

    async fn stop_by_row(
        &self,
        project: &Path,
        id: InvocationId,
        grace: Option<Duration>,
    ) -> Result<(Invocation, bool), StopError> {
        let project = self.inner.projects.get(project).await?;
        let found = project.store.invocation(id).await?;
        let invocation = found.ok_or_else(|| StopError::NotFound {
            project: project.root.clone(),
            id,
        })?;
        if invocation.phase.is_ended() {
            return Ok((invocation, true));
        }
        let Some(managed) = &invocation.managed else {
            return Err(StopError::NotManaged { id });
        };
        // Each time what has it in care may be about to pass it on: to wait, to be started.
        for _ in 0..HANDS {
            if let Some(ended) = self.stop_now(&project, id, &managed.uuid, grace).await {
                return Ok((ended, false));
            }
            match project.store.invocation(id).await? {
                Some(row) if row.phase == Phase::Queued => {}
                _ => break,
            }
        }
        if let Some(proto) = self.inner.foreign.protocol(&managed.uuid) {
            return Err(StopError::Foreign { id, proto });
        }
        if self.inner.strays.has(&managed.uuid) {
            let dir = InvDir::new(self.state_dir(), &managed.uuid);
            return Err(self.stop_stray(dir, id, grace).await);
        }
        // It ended between the two look-ups, could not be started, or waits for a reconcile.
        match project.store.invocation(id).await? {
            Some(ended) if ended.phase.is_ended() => Ok((ended, true)),
            _ => Err(StopError::Slow { id }),
        }
    }

    /// Ends one that runs and whose row is not to be had, for want of its project or its database;
    /// `error` says why, where nothing of that id runs.
    async fn stop_without_row(
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
        let dir = InvDir::new(self.state_dir(), &uuid);
        let ended = stop_one(handle, grace, Some(dir)).await;
        let is_stray = self.inner.strays.has(&uuid);
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
            is_it && !dir.spec().exists() && waiting::has_begun(dir) == Ok(false)
        };
        let found = tokio::task::spawn_blocking(move || dirs.into_iter().find(is_meant));
        found.await.ok().flatten().map(|dir| uuid_of(&dir))
    }

    /// Ends what cannot be taken up, for want of its project: nobody has it in care, and its shim takes a
    /// stop all the same. What became of it, as its row cannot tell.
    async fn stop_stray(
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

    /// Ends it, whether it waits or runs; `None` if nobody has it in care just now.
    async fn stop_now(
        &self,
        project: &Arc<Project>,
        id: InvocationId,
        uuid: &str,
        grace: Option<Duration>,
    ) -> Option<Invocation> {
        let inner = &self.inner;
        if let Some(entry) = inner.line.take_out(uuid, || inner.enter(uuid)) {
            // Out of the line it is seen through, whether or not this caller waits for it.
            let (inner, around) = (Arc::clone(inner), Arc::clone(project));
            let ending = self.inner.tracker.spawn(async move {
                waiting::end(&inner, around, id, entry, waiting::cancelled()).await
            });
            return match ending.await.ok().flatten() {
                Some(handle) => stop_one(handle, grace, None).await,
                None => project.store.invocation(id).await.ok().flatten(),
            };
        }
        let handle = inner.job(uuid)?;
        let dir = InvDir::new(self.state_dir(), uuid);
        stop_one(handle, grace, Some(dir)).await
    }

    /// Lets go of all jobs, or with `stop_all` ends their invocations first; what waits is kept. Says how
    /// many ended.
    pub async fn shutdown(&self, stop_all: bool) -> usize {
        self.drain(true);
        if !stop_all {
            return 0;
        }
        // As many at once as run; they end with this call, or are dropped with it.
        let mut stopping = JoinSet::new();
        for handle in self.inner.jobs() {
            // What ends by itself need not be waited for: a later daemon finishes its log.
            stopping.spawn(end_one(handle, Request::StopAll, LONGEST_DEFAULT, None));
        }
        let ended = stopping.join_all().await;
        ended.iter().filter(|stopped| stopped.is_some()).count()
    }
}

/// Why all end when the host does.
const WITH_HOST: &str = "ended with the user's session, or as the host is shutting down";

impl Supervisor {
    /// Ends what runs as the host goes down, where nobody else tells the shims to. Says how many ended.
    pub async fn end_with_host(&self) -> usize {
        self.drain(true);
        let mut ending = JoinSet::new();
        for mut handle in self.inner.jobs() {
            ending.spawn(timeout(SHUTDOWN_WITHIN, async move {
                let stop = Request::Stop {
                    grace: None,
                    why: Some(Arc::from(WITH_HOST)),
                    shutdown: true,
                };
                // A job that is gone has published its end; the wait below sees it.
                let _ = handle.requests.send(stop).await;
                until_ended(&mut handle.progress).await
            }));
        }
        let ended = ending.join_all().await;
        ended
            .iter()
            .filter(|one| matches!(one, Ok(Some(_))))
            .count()
    }
}

/// Asks for the end and waits for it; `None` if it did not come in time, or the job is gone.
async fn stop_one(
    handle: JobHandle,
    grace: Option<Duration>,
    dir: Option<InvDir>,
) -> Option<Invocation> {
    let stop = Request::Stop {
        grace,
        why: None,
        shutdown: false,
    };
    end_one(handle, stop, grace.unwrap_or(LONGEST_DEFAULT), dir).await
}

async fn end_one(
    mut handle: JobHandle,
    request: Request,
    grace: Duration,
    dir: Option<InvDir>,
) -> Option<Invocation> {
    let stopping = async {
        // A job that is gone has published its end; the wait below sees it.
        let _ = handle.requests.send(request).await;
        until_ended(&mut handle.progress).await
    };
    if let Ok(ended) = timeout(grace + AFTER_GRACE, stopping).await {
        return ended;
    }
    let has_record = dir.is_some_and(|dir| matches!(ExitRecord::load(&dir), Ok(Some(_))));
    match has_record {
        true => while_its_log_grows(&mut handle.progress).await,
        false => None,
    }
}

async fn until_ended(progress: &mut watch::Receiver<Progress>) -> Option<Invocation> {
    let over = |progress: &Progress| matches!(progress, Progress::Ended(_));
    match &*progress.wait_for(over).await.ok()? {
        Progress::Ended(invocation) => Some((**invocation).clone()),
        Progress::Running(_) | Progress::Ending(_) => None,
    }
}

/// Waits for the row of a provider that has ended: of one that printed faster than lines are made of
/// it, the log may have long to grow.
async fn while_its_log_grows(progress: &mut watch::Receiver<Progress>) -> Option<Invocation> {
    loop {
        if let Progress::Ended(invocation) = &*progress.borrow_and_update() {
            return Some((**invocation).clone());
        }
        timeout(AFTER_GRACE, progress.changed()).await.ok()?.ok()?;
    }
}

/// Whether a row of ours may still change.
pub(super) fn is_open(invocation: &Invocation) -> bool {
    matches!(invocation.phase, Phase::Queued | Phase::Running)
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::supervise::vitals::Vitals;

    #[tokio::test(start_paused = true)]
    async fn the_end_is_waited_for_while_the_log_grows_and_no_longer() {
        let (job, mut progress) = watch::channel(Progress::Running(Vitals::default()));
        let began = Instant::now();
        let growing = tokio::spawn(async move {
            for _ in 0..20 {
                sleep(Duration::from_secs(10)).await;
                job.send_replace(Progress::Running(Vitals::default()));
            }
            job
        });
        assert!(while_its_log_grows(&mut progress).await.is_none());
        assert_eq!(began.elapsed(), Duration::from_secs(200) + AFTER_GRACE);
        drop(growing);
    }
}
