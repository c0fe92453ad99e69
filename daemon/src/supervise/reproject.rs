//! The log of an ended invocation made anew when somebody asks for it, with today's parser; the row
//! follows.
//!
//! ```text
//! upkeep ──> entry ──> look ──(same)────────────────────────> row, where that differs
//!                       └─(differs)──> write beside ──> rename ──┘
//! ```
//!
//! Upkeep keeps retention away and lets one at a time through, the entry keeps jobs away. Until the
//! rename there is the old log, from then on the new one; asked once more after a crash, what is
//! left to do is done.

mod error;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use steroids_provider::decoder;
use steroids_shim::durable::FileError;
use steroids_shim::exit::ExitRecord;
use steroids_shim::paths::InvDir;
use steroids_shim::spec::{PROTOCOL, Spec};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info, info_span};

pub use error::ReprojectError;

use super::Supervisor;
use super::reconcile::is_half_published;
use super::supervisor::{Entry, Inner, chain};
use crate::domain::{Invocation, InvocationId};
use crate::projection::{Checked, Projection, ProjectionError, Remake, RemakeError};
use crate::projects::Project;
use crate::store::{Change, Rebuild, Revision};

/// A job lets go once its row is final; only a disk that does not answer holds that up.
const LETS_GO_WITHIN: Duration = Duration::from_secs(10);

/// What may be done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reproject {
    /// Write nothing.
    pub dry_run: bool,
    /// Make a log where there is none any more.
    pub restore: bool,
}

/// What was done, or would be.
#[derive(Debug)]
pub struct Reprojected {
    /// In one word.
    pub did: Did,
    /// The log before and after.
    pub log: Checked,
    /// What differs in the row.
    pub row: Vec<Change>,
}

/// What became of log and row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Did {
    /// Both were as they should be.
    Nothing,
    /// The log was written anew, and the row follows.
    Rebuilt,
    /// The same, where there was no log.
    Restored,
    /// The log was as it should be, the row was not.
    Row,
}

impl Did {
    /// The word in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Did::Nothing => "unchanged",
            Did::Rebuilt => "rebuilt",
            Did::Restored => "restored",
            Did::Row => "row",
        }
    }
}

impl Supervisor {
    /// Makes the log of an ended invocation anew where it is not what its spool says, and has the
    /// row follow. Dropped before anything is replaced, it is given up; later it is seen through.
    ///
    /// # Errors
    /// When it has not ended, is not ours, or log or row cannot be made: the old ones stay.
    pub async fn reproject(
        &self,
        project: &Path,
        id: InvocationId,
        what: Reproject,
    ) -> Result<Reprojected, ReprojectError> {
        let project = self.inner.projects.get(project).await?;
        let given_up = CancellationToken::new();
        let _guard = given_up.clone().drop_guard();
        let span = info_span!("reproject", invocation.id = %id);
        let work = Work {
            inner: Arc::clone(&self.inner),
            project,
            id,
            what,
            given_up,
        };
        let work = self.inner.tracker.spawn(work.run().instrument(span));
        // Only a panic, or the runtime's end.
        work.await.unwrap_or(Err(ReprojectError::GivenUp))
    }
}

/// One request.
struct Work {
    inner: Arc<Inner>,
    project: Arc<Project>,
    id: InvocationId,
    what: Reproject,
    given_up: CancellationToken,
}

impl Work {
    async fn run(self) -> Result<Reprojected, ReprojectError> {
        // Before anything is waited for: most refusals need no turn.
        self.row().await?;
        let _alone = tokio::select! {
            () = self.given_up.cancelled() => return Err(ReprojectError::GivenUp),
            () = self.inner.stop.cancelled() => return Err(ReprojectError::GivenUp),
            alone = self.inner.projects.upkeep() => alone,
        };
        let (row, uuid) = self.row().await?;
        let _entry = self.enter(&uuid).await?;
        let remake = self.load(&uuid).await?;
        let _secrets = self.inner.settings().secrets.know(remake.redactor.clone());
        self.remake(remake, &row).await
    }

    /// Its place among the jobs. The job of one that has only now ended still has that for a moment.
    async fn enter(&self, uuid: &str) -> Result<Entry, ReprojectError> {
        let entered = async {
            loop {
                if let Some(entry) = self.inner.enter(uuid) {
                    return entry;
                }
                if let Some(job) = self.inner.job(uuid) {
                    let mut progress = job.progress;
                    while progress.changed().await.is_ok() {}
                }
            }
        };
        let busy = ReprojectError::Busy { id: self.id };
        tokio::select! {
            () = self.given_up.cancelled() => Err(ReprojectError::GivenUp),
            () = self.inner.stop.cancelled() => Err(ReprojectError::GivenUp),
            entered = timeout(LETS_GO_WITHIN, entered) => entered.map_err(|_late| busy),
        }
    }

    /// Its row as it is now, and the name of its folder.
    async fn row(&self) -> Result<(Invocation, String), ReprojectError> {
        let id = self.id;
        let row = self.project.store.invocation(id).await?;
        let row = row.ok_or_else(|| ReprojectError::NotFound {
            project: self.project.root.clone(),
            id,
        })?;
        let Some(managed) = &row.managed else {
            return Err(ReprojectError::NotManaged { id });
        };
        if !row.phase.is_ended() {
            return Err(ReprojectError::StillRunning { id });
        }
        let uuid = managed.uuid.clone();
        Ok((row, uuid))
    }

    async fn load(&self, uuid: &str) -> Result<Remake, ReprojectError> {
        let dir = InvDir::new(&self.inner.settings().state_dir, uuid);
        let (id, logs) = (self.id, self.project.logs().clone());
        let load = move || {
            let spec = Spec::load(&dir).map_err(|error| unusable(id, &error))?;
            if spec.proto > PROTOCOL || spec.proto + 1 < PROTOCOL {
                let proto = spec.proto;
                return Err(ReprojectError::Foreign { id, proto });
            }
            if spec.invocation != id.get() {
                let what = format!("it is invocation {}'s", spec.invocation);
                return Err(ReprojectError::SpoolDamaged { id, what });
            }
            let exit = ExitRecord::load(&dir).map_err(|error| unusable(id, &error))?;
            // Without it nobody can say how it ended: a row that was finished otherwise stays.
            let exit = exit.ok_or_else(|| ReprojectError::SpoolDamaged {
                id,
                what: "it has no exit record".to_owned(),
            })?;
            let redactor = spec.redactor();
            Ok(Remake {
                spec: Arc::new(spec),
                redactor,
                dir,
                exit,
                logs,
            })
        };
        blocking(load).await?
    }

    async fn remake(
        &self,
        remake: Remake,
        row: &Invocation,
    ) -> Result<Reprojected, ReprojectError> {
        let given_up = self.given_up();
        let checking = remake.clone();
        let log = blocking(move || checking.check(&given_up)).await?;
        let log = log.map_err(|error| self.refused(error))?;
        if log.is_gone && !self.what.restore {
            return Err(ReprojectError::LogDeleted { id: self.id });
        }
        let is_wet = !self.what.dry_run;
        if is_wet && is_half_published(row) {
            // A daemon before us was cut between the two counts.
            self.count(Rebuild::Published).await?;
        }
        if is_wet && !log.is_same {
            self.rebuild(remake).await?;
        }
        let revision = Revision {
            ending: log.ending.clone(),
            parser_version: decoder::VERSION,
            log: (!log.is_same).then(|| "the activity log was written anew: asked for".to_owned()),
            dry_run: self.what.dry_run,
        };
        let changes = self.project.store.revise(self.id, revision).await?;
        let did = match (log.is_same, changes.is_empty()) {
            (false, _) if log.is_gone => Did::Restored,
            (false, _) => Did::Rebuilt,
            (true, false) => Did::Row,
            (true, true) => Did::Nothing,
        };
        if is_wet && did != Did::Nothing {
            info!(did = did.as_str(), columns = changes.len(), "made anew");
            self.project.touch();
        }
        Ok(Reprojected {
            did,
            log,
            row: changes,
        })
    }

    /// Writes the log beside the old one and puts it in its place, under a new generation; as a job
    /// does, and counted as there. Seen through once it is written.
    async fn rebuild(&self, remake: Remake) -> Result<(), ReprojectError> {
        let given_up = self.given_up();
        let written = blocking(move || remake.rebuild(&given_up)).await?;
        let mut projection: Projection = written.map_err(|error| self.refused(error))?;
        steroids_failpoint::reach("rebuild.written");
        self.count(Rebuild::Written).await?;
        steroids_failpoint::reach("rebuild.counted");
        let publish = move || projection.publish().map(|()| projection);
        let published = blocking(publish).await?;
        steroids_failpoint::reach("rebuild.published");
        self.count(Rebuild::Published).await?;
        let path = self.project.logs().path(self.id);
        self.inner.hints.poke(&path);
        let refused = |source| ReprojectError::Unwritable {
            id: self.id,
            source,
        };
        published.map(drop).map_err(refused)
    }

    async fn count(&self, rebuild: Rebuild) -> Result<(), ReprojectError> {
        self.project
            .store
            .count_generation(self.id, rebuild)
            .await?;
        Ok(())
    }

    fn given_up(&self) -> impl Fn() -> bool + Send + 'static {
        let (asker, daemon) = (self.given_up.clone(), self.inner.stop.clone());
        move || asker.is_cancelled() || daemon.is_cancelled()
    }

    fn refused(&self, error: RemakeError) -> ReprojectError {
        let id = self.id;
        match error {
            RemakeError::GivenUp => ReprojectError::GivenUp,
            RemakeError::Projection(source @ ProjectionError::Log(_)) => {
                ReprojectError::Unwritable { id, source }
            }
            error => ReprojectError::SpoolDamaged {
                id,
                what: chain(&error),
            },
        }
    }
}

/// Why there is no specification, or no record.
fn unusable(id: InvocationId, error: &FileError) -> ReprojectError {
    match error {
        FileError::Foreign { proto, .. } => ReprojectError::Foreign { id, proto: *proto },
        error if error.is_missing() => ReprojectError::SpoolGone { id },
        error => ReprojectError::SpoolDamaged {
            id,
            what: chain(error),
        },
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ReprojectError> {
    // Only a panic, or the runtime's end.
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_gone| ReprojectError::GivenUp)
}
