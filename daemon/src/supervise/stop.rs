//! Ending invocations: one that somebody names, or all of them when the daemon is told to.

mod ending;
mod homeless;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use steroids_shim::exit::ExitRecord;
use steroids_shim::paths::InvDir;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use self::ending::StillEnding;
use self::homeless::Which;
use super::job::{JobHandle, Progress, Request};
use super::reconcile::uuid_of;
use super::supervisor::{Entry, Inner};
use super::{StopError, Supervisor, waiting};
use crate::domain::{Invocation, InvocationId, Phase};
use crate::projects::{Project, ProjectError};

/// After its grace a shim kills, drains for at most 5 s, and writes its record; the row follows,
/// once the log is made, which grows at least so often.
const AFTER_GRACE: Duration = Duration::from_secs(15);

/// What the service manager leaves a daemon at least, but for some seconds to end itself; a shim leaves
/// its provider 8 s.
const SHUTDOWN_WITHIN: Duration = Duration::from_secs(15);

/// How long an unnamed grace may be, for the wait alone: the shim knows its own.
const LONGEST_DEFAULT: Duration = Duration::from_secs(60);

/// A start passes from who writes it down to the line, and from there to its job; a look at what cannot be read or
/// started may come between.
const HANDS: usize = 5;

impl Supervisor {
    /// Ends an invocation and waits until its row is final. True: it had ended before. With a `uuid` no other is
    /// meant that has its path and its id, too.
    ///
    /// # Errors
    /// When it does not exist, is not ours, has not ended in time (it goes on ending), or has ended and
    /// has no project any more.
    pub async fn stop(
        &self,
        project: &Path,
        id: InvocationId,
        uuid: Option<&str>,
        grace: Option<Duration>,
    ) -> Result<(Invocation, bool), StopError> {
        let which = uuid.map_or(Which::Any, Which::Only);
        let asked = Instant::now();
        let stopped = match self.stop_by_row(project, id, which, grace).await {
            Err(
                error @ (StopError::Project(_) | StopError::NotFound { .. } | StopError::Store(_)),
            ) => {
                self.stop_without_row(project, id, which, grace, error)
                    .await
            }
            // Whose it is stands in tables of which only a newer one knows.
            Err(error @ StopError::NotManaged { .. }) if self.only_reads(project).await => {
                self.stop_without_row(project, id, which, grace, error)
                    .await
            }
            Ok((ended, true)) => self.stop_namesake(project, ended, which, grace).await,
            stopped => stopped,
        };
        match stopped {
            Err(StopError::Slow { id, uuid, .. }) => {
                let next = self.still_ending(&uuid, asked, grace).await;
                Err(StopError::Slow { id, uuid, next })
            }
            stopped => stopped,
        }
    }

    /// Whether a project belongs to a newer steroidsd.
    async fn only_reads(&self, project: &Path) -> bool {
        let project = self.inner.projects.get(project).await;
        project.is_ok_and(|project| project.store.is_read_only())
    }

    async fn stop_by_row(
        &self,
        project: &Path,
        id: InvocationId,
        which: Which<'_>,
        grace: Option<Duration>,
    ) -> Result<(Invocation, bool), StopError> {
        let project = self.inner.projects.get(project).await?;
        // What runs is stopped also where a disk has hung up its database.
        let store = &project.store;
        let found = store.promptly(store.invocation(id)).await?;
        let is_meant = |row: &Invocation| match &row.managed {
            Some(managed) => which.fits(&managed.uuid),
            None => matches!(which, Which::Any),
        };
        let not_found = || StopError::NotFound {
            project: project.root.clone(),
            id,
        };
        let invocation = found.filter(is_meant).ok_or_else(not_found)?;
        if invocation.phase.is_ended() {
            return Ok((invocation, true));
        }
        let Some(managed) = &invocation.managed else {
            return Err(StopError::NotManaged { id });
        };
        if self.inner.end_if_copied(&project, id, &managed.uuid).await {
            let row = store.promptly(store.invocation(id)).await?;
            let row = row.ok_or_else(not_found)?;
            return match row.phase.is_ended() {
                true => Ok((row, true)),
                // It could not be written, and is with the next look.
                false => Err(slow(id, &managed.uuid)),
            };
        }
        if let late @ StopError::Unrecorded { .. } = self.inner.late(id, &managed.uuid) {
            // It has ended, and is not to be tried again.
            if let Some(job) = self.inner.job(&managed.uuid) {
                let _ = job.requests.try_send(Request::Stop {
                    grace: None,
                    why: None,
                    shutdown: false,
                });
            }
            return Err(late);
        }
        // Each time what has it in care may be about to pass it on: to wait, to be started.
        for _ in 0..HANDS {
            if let Some(ended) = self.stop_now(&project, id, &managed.uuid, grace).await {
                return Ok((ended, false));
            }
            match store.promptly(store.invocation(id)).await? {
                Some(row) if row.phase == Phase::Queued => {}
                _ => break,
            }
        }
        if let Some(proto) = self.inner.foreign.protocol(&managed.uuid) {
            return Err(StopError::Foreign { id, proto });
        }
        if self.inner.strays.has(&managed.uuid) {
            let dir = InvDir::new(self.state_dir(), &managed.uuid);
            let waited = self.stop_stray_that_waits(&project, id, &dir, grace).await;
            return match waited {
                Some(ended) => Ok((ended, false)),
                None => self.stop_stray(&project.root, dir, id, grace).await,
            };
        }
        // It ended between the two look-ups, could not be started, or waits for a reconcile.
        match store.promptly(store.invocation(id)).await? {
            Some(ended) if ended.phase.is_ended() => Ok((ended, true)),
            // It was let go of, and goes on ending; the next daemon tells how.
            _ if self.inner.stop.is_cancelled() => Err(ProjectError::Closed.into()),
            _ => Err(self.inner.late(id, &managed.uuid)),
        }
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
            return self.end_waiting(project, id, entry, grace).await;
        }
        let handle = inner.job(uuid)?;
        let dir = InvDir::new(self.state_dir(), uuid);
        let is_stuck = || inner.troubles.unrecorded(uuid).is_some();
        stop_one(handle, grace, Some(dir), is_stuck).await
    }

    /// Ends one that waits and has its row here, though it could not be given its place in the line again.
    async fn stop_stray_that_waits(
        &self,
        project: &Arc<Project>,
        id: InvocationId,
        dir: &InvDir,
        grace: Option<Duration>,
    ) -> Option<Invocation> {
        let uuid = uuid_of(dir);
        let entry = self.inner.enter(&uuid)?;
        let looked = {
            let dir = dir.clone();
            tokio::task::spawn_blocking(move || waiting::waits(&dir))
        };
        if !looked.await.unwrap_or(false) {
            return None;
        }
        self.inner.strays.take(&uuid);
        self.end_waiting(project, id, entry, grace).await
    }

    /// Ends one that waits, and is not in the line: it is seen through, whether or not this caller waits for it.
    async fn end_waiting(
        &self,
        project: &Arc<Project>,
        id: InvocationId,
        entry: Entry,
        grace: Option<Duration>,
    ) -> Option<Invocation> {
        let (inner, around) = (Arc::clone(&self.inner), Arc::clone(project));
        let ending = self.inner.tracker.spawn(async move {
            waiting::end(&inner, around, id, entry, waiting::cancelled()).await
        });
        match ending.await.ok().flatten() {
            Some(handle) => stop_one(handle, grace, None, || false).await,
            None => project.store.invocation(id).await.ok().flatten(),
        }
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
            stopping.spawn(async move {
                let ended = end_one(handle, Request::StopAll, LONGEST_DEFAULT, None, || false);
                ended.await.is_some()
            });
        }
        let mut told = HashSet::new();
        self.stop_strays(&mut stopping, &mut told);
        let ended = stopping.join_all().await;
        // Those that were looked at just then were neither.
        let mut stopping = JoinSet::new();
        self.stop_strays(&mut stopping, &mut told);
        let late = stopping.join_all().await;
        let ended = ended.into_iter().chain(late);
        ended.filter(|has_ended| *has_ended).count()
    }

    /// Ends those that no job has in care: their shims take a stop all the same. Each once.
    fn stop_strays(&self, stopping: &mut JoinSet<bool>, told: &mut HashSet<PathBuf>) {
        for (project, id, dir) in self.inner.strays.running() {
            if !told.insert(dir.path().to_owned()) {
                continue;
            }
            let supervisor = self.clone();
            stopping.spawn(async move {
                let stopped = supervisor.stop_stray(&project, dir, id, None).await;
                // Its end is recorded, whether its row can be had or not.
                !matches!(stopped, Err(StopError::Slow { .. }))
            });
        }
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
                until_ended(&mut handle.progress, || false).await
            }));
        }
        let ended = ending.join_all().await;
        ended
            .iter()
            .filter(|one| matches!(one, Ok(Some(_))))
            .count()
    }
}

/// One that was waited for in vain.
fn slow(id: InvocationId, uuid: &str) -> StopError {
    StopError::Slow {
        id,
        uuid: uuid.to_owned(),
        next: StillEnding::Unknown,
    }
}

impl Inner {
    /// Why there is no final row of one yet that was to end.
    fn late(&self, id: InvocationId, uuid: &str) -> StopError {
        match self.troubles.unrecorded(uuid) {
            Some(why) => StopError::Unrecorded { id, why },
            None => slow(id, uuid),
        }
    }
}

/// Asks for the end and waits for it; `None` if it did not come in time, the job is gone, or the end is one that
/// cannot be written down.
async fn stop_one(
    handle: JobHandle,
    grace: Option<Duration>,
    dir: Option<InvDir>,
    is_stuck: impl Fn() -> bool,
) -> Option<Invocation> {
    let stop = Request::Stop {
        grace,
        why: None,
        shutdown: false,
    };
    let within = grace.unwrap_or(LONGEST_DEFAULT);
    end_one(handle, stop, within, dir, is_stuck).await
}

async fn end_one(
    mut handle: JobHandle,
    request: Request,
    grace: Duration,
    dir: Option<InvDir>,
    is_stuck: impl Fn() -> bool,
) -> Option<Invocation> {
    let stopping = async {
        // A job that is gone has published its end; the wait below sees it.
        let _ = handle.requests.send(request).await;
        until_ended(&mut handle.progress, is_stuck).await
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

async fn until_ended(
    progress: &mut watch::Receiver<Progress>,
    is_stuck: impl Fn() -> bool,
) -> Option<Invocation> {
    let over = |progress: &Progress| matches!(progress, Progress::Ended(_)) || is_stuck();
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
