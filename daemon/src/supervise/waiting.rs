//! One that waits: how it is written down, how it ends without having been started, and how it is
//! found again after a restart.
//!
//! ```text
//! start:  queued.json ──> row (queued) ──> queued.json with the row's id ──> answer
//! turn:   row (running) ──> spec.json ──> queued.json removed ──> shim, as any other
//! stop:   exit.json ──> spec.json ──> queued.json removed ──> log and row, as any other
//! ```
//!
//! No shim begins in a folder before it has a `spec.json`. So one with a `queued.json` alone was never
//! started, whatever its row says, and waits; unless there is a record of its end.

use std::io;
use std::sync::Arc;

use steroids_shim::durable::FileError;
use steroids_shim::exit::{End, ExitRecord};
use steroids_shim::paths::InvDir;
use steroids_shim::spec::{PROTOCOL, Spec};
use steroids_shim::{durable, lock, state};
use tokio::sync::OwnedMutexGuard;
use tracing::{info, warn};

use super::address::Address;
use super::again::is_after_a_stop;
use super::job::JobHandle;
use super::line::candidate;
use super::open_rows::end_without_folder;
use super::reconcile::Reconciled;
use super::start::row;
use super::strays::Stray;
use super::supervisor::{Asked, Entry, Inner, chain};
use super::withdraw::withdraw;
use super::work::Work;
use super::{StartError, drafts, lost, moved};
use crate::domain::queue::Candidate;
use crate::domain::{Invocation, InvocationId, Phase};
use crate::projects::Project;
use crate::store::{Begun, NewInvocation};

/// Writes one down that is in the line and has to wait, and lets it wait. Stopped meanwhile, it ends.
pub(super) async fn write_down(
    inner: &Arc<Inner>,
    project: &Arc<Project>,
    spec: Spec,
    prompt: &str,
    mut entry: Entry,
    turn: OwnedMutexGuard<()>,
    floor: i64,
) -> Result<(Invocation, bool), StartError> {
    let dir = InvDir::new(&inner.settings().state_dir, &spec.uuid);
    if let Err(source) = store(&spec, &dir).await {
        inner.line.leave(&spec.uuid);
        discard(&dir).await;
        let path = dir.path().to_path_buf();
        return Err(StartError::StateDir { path, source });
    }
    steroids_failpoint::reach("queue.file-stored");
    let new = NewInvocation {
        queued: true,
        ..row(&spec, prompt)
    };
    let row = match project.store.begin(new, InvocationId::new(floor)).await {
        Ok(Begun::New(row)) => row,
        other => {
            inner.line.leave(&spec.uuid);
            discard(&dir).await;
            return match other {
                Ok(Begun::New(row) | Begun::Existing(row)) => Ok((row, true)),
                Err(error) => {
                    // The same request waits until it is known what became of this one.
                    let root = project.root.clone();
                    let withdrawing = withdraw(Arc::clone(inner), root, entry, turn);
                    inner.tracker.spawn(withdrawing);
                    Err(error.into())
                }
            };
        }
    };
    steroids_failpoint::reach("queue.row-committed");
    drop(turn);
    inner.floors.raise(&project.root, row.id.get());
    project.touch();
    let spec = Spec {
        invocation: row.id.get(),
        ..spec
    };
    // Where it cannot be written, the row knows the id, unless that is lost, too.
    if let Err(error) = store(&spec, &dir).await {
        warn!(invocation.id = %row.id, %error, "its file does not know its id");
    }
    steroids_failpoint::reach("queue.written");
    if entry.asked() == Asked::ItsEnd {
        inner.line.leave(&spec.uuid);
        let project = Arc::clone(project);
        end(inner, project, row.id, entry, cancelled()).await;
    } else {
        drop(entry);
        inner.line.ready(&spec.uuid, row.id);
        inner.line.show(now_ms());
        info!(invocation.id = %row.id, project = %project.root.display(), "invocation queued");
    }
    Ok((row, false))
}

/// Ends one that was never started, and is no longer in the line. Gives the job that writes its log
/// and its row; `None` where that is done.
pub(super) async fn end(
    inner: &Arc<Inner>,
    project: Arc<Project>,
    id: InvocationId,
    entry: Entry,
    end: End,
) -> Option<JobHandle> {
    let dir = InvDir::new(&inner.settings().state_dir, entry.uuid());
    let record = end.clone();
    let recorded = {
        let dir = dir.clone();
        tokio::task::spawn_blocking(move || record_end(&dir, id, record)).await
    };
    let error = match recorded {
        Ok(Ok(work)) => return Some(entry.watch_over(id, work, dir, project, None, false)),
        Ok(Err(error)) => chain(&error),
        Err(error) => error.to_string(),
    };
    warn!(invocation.id = %id, error, "the end of one that waited has no record");
    end_without_folder(inner, &project, id.get(), end).await;
    discard(&dir).await;
    None
}

/// Keeps the end of one whose project is not there in its state folder: whoever takes that up when
/// the project is back writes log and row.
pub(super) async fn keep_end(
    inner: &Inner,
    uuid: &str,
    id: InvocationId,
    end: End,
) -> Result<(), String> {
    let dir = InvDir::new(&inner.settings().state_dir, uuid);
    let recorded = tokio::task::spawn_blocking(move || record_end(&dir, id, end));
    match recorded.await {
        Ok(Ok(_)) => {
            info!(invocation.id = %id, "its end is kept until its project is back");
            Ok(())
        }
        Ok(Err(error)) => Err(chain(&error)),
        Err(error) => Err(error.to_string()),
    }
}

/// The record first: who finds it starts nothing.
fn record_end(dir: &InvDir, id: InvocationId, end: End) -> Result<Work, FileError> {
    let mut spec = Spec::load_queued(dir)?;
    let now = lost::now_ms();
    spec.invocation = id.get();
    spec.created_ms = now;
    // What was never started has not failed.
    spec.turn.retry_on.clear();
    if ExitRecord::load(dir)?.is_none() {
        let record = ExitRecord {
            proto: PROTOCOL,
            end,
            ended_ms: now,
            spool_length: 0,
            rusage: None,
        };
        record.store(dir)?;
    }
    steroids_failpoint::reach("queue.end-recorded");
    spec.store(dir)?;
    forget(dir);
    let redactor = spec.redactor();
    Ok(Work {
        has_ended: true,
        ..Work::new(spec, redactor)
    })
}

/// The end of one that somebody stopped while it waited.
pub(super) fn cancelled() -> End {
    End::Cancelled {
        error: "stopped on request before it was started".to_owned(),
    }
}

/// Makes the state folder, for the owner alone, and the file in it, durably.
pub(super) async fn store(spec: &Spec, dir: &InvDir) -> io::Result<()> {
    let (spec, dir) = (spec.clone(), dir.clone());
    let stored = tokio::task::spawn_blocking(move || {
        lost::folder(&dir)?;
        durable::sync_folder_of(dir.path())
            .and_then(|()| spec.store_queued(&dir))
            .map_err(io::Error::other)
    });
    stored
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// It has a `spec.json`, or has ended: it waits no more. Blocks.
pub(super) fn forget(dir: &InvDir) {
    if let Err(error) = std::fs::remove_file(dir.queued())
        && error.kind() != io::ErrorKind::NotFound
    {
        // Beside a specification it means nothing.
        warn!(dir = %dir.path().display(), %error, "the file of one that waited stays");
    }
}

/// Takes the folder away of one that has no row.
pub(super) async fn discard(dir: &InvDir) {
    let dir = dir.clone();
    let discarded = tokio::task::spawn_blocking(move || {
        forget(&dir);
        match std::fs::remove_dir_all(dir.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    });
    if let Ok(Err(error)) = discarded.await {
        warn!(%error, "the folder of one that was not started stays");
    }
}

/// What is found in a folder without a specification.
enum Found {
    Nothing,
    /// A start was cut while its row was written: there is nothing but what is made for a shim.
    Cut,
    Waits(Box<Spec>),
    /// There is a record of its end.
    Ended(Box<Spec>),
    /// A shim was at work in it, which leaves traces.
    Begun,
    Foreign(u32),
}

fn look(dir: &InvDir) -> Result<Found, String> {
    let spec = match Spec::load_queued(dir) {
        Ok(spec) => Box::new(spec),
        Err(error) if error.is_missing() => {
            let is_cut = !has_begun(dir)? && drafts::is_unused(dir);
            return Ok(if is_cut { Found::Cut } else { Found::Nothing });
        }
        Err(FileError::Foreign { proto, .. }) => return Ok(Found::Foreign(proto)),
        Err(error) => return Err(chain(&error)),
    };
    if ExitRecord::load(dir)
        .map_err(|error| chain(&error))?
        .is_some()
    {
        return Ok(Found::Ended(spec));
    }
    Ok(match has_begun(dir)? {
        true => Found::Begun,
        false => Found::Waits(spec),
    })
}

/// Whether it waits, and was never started. Blocks.
pub(super) fn waits(dir: &InvDir) -> bool {
    dir.queued().exists() && !dir.spec().exists() && has_begun(dir) == Ok(false)
}

/// Whether a shim was at work in it, or is: it writes its state before anything else that matters.
pub(super) fn has_begun(dir: &InvDir) -> Result<bool, String> {
    let has_output = dir.spool().metadata().is_ok_and(|spool| spool.len() > 0);
    let traces = has_output || dir.state().exists();
    Ok(traces || lock::is_held(&dir.lock()).map_err(|error| error.to_string())?)
}

impl Inner {
    /// A folder without a specification: of one that waits, or was to end, as a rule.
    pub(super) async fn take_up_waiting(
        self: &Arc<Self>,
        dir: InvDir,
        uuid: String,
        found: &mut Reconciled,
    ) -> Option<JobHandle> {
        // Before the look: a start under way, or one whose turn has come, has it in care.
        let mut entry = Some(self.enter(&uuid)?);
        let mut before = self.strays.take(&uuid);
        let has_place = before.as_ref().is_some_and(|stray| stray.place.is_some());
        // A place that a stray keeps is known there, too.
        if !has_place && self.line.knows(&uuid) {
            return None;
        }
        let looked = {
            let dir = dir.clone();
            tokio::task::spawn_blocking(move || look(&dir)).await
        };
        let (spec, has_ended) = match looked {
            Ok(Ok(Found::Waits(spec))) => (*spec, false),
            Ok(Ok(Found::Ended(spec))) => (*spec, true),
            Ok(Ok(Found::Begun)) => {
                let why = "a shim was at work in it, and its specification is gone".to_owned();
                self.keep_unknown(before, dir, why).await;
                return None;
            }
            Ok(Ok(Found::Foreign(proto))) => {
                self.foreign.note(uuid, proto);
                return None;
            }
            // Its row, if there is one, has no folder then, and so was never started.
            Ok(Ok(Found::Cut)) if !has_place => {
                // Only a panic, or the runtime's end.
                let _ = tokio::task::spawn_blocking(move || drafts::remove_unused(&dir)).await;
                return None;
            }
            Ok(Ok(Found::Nothing | Found::Cut)) => {
                // Of one that had a place its shim may live all the same.
                if has_place {
                    let why = "its specification is gone".to_owned();
                    self.keep_unknown(before, dir, why).await;
                }
                return None;
            }
            Err(_) => return None,
            Ok(Err(why)) => {
                self.keep_unknown(before, dir, why).await;
                return None;
            }
        };
        let (root, id) = (spec.project.clone(), InvocationId::new(spec.invocation));
        let waits = Candidate {
            id,
            ..candidate(&spec, None)
        };
        match self
            .let_wait_again(&dir, spec, has_ended, &mut entry, found)
            .await
        {
            Ok(ending) => ending,
            Err(why) => {
                // Of one without an id nobody was told: its start was cut.
                let is_known = id.is_some() && !has_ended;
                let lined = is_known.then(|| self.lined(before.as_mut(), waits, &why));
                let stray = Stray {
                    project: Some(root),
                    id,
                    why,
                    place: None,
                    lined,
                    has_ended,
                    dir,
                };
                // Before its entry is given back: there is no moment in which nobody knows of it.
                self.keep_stray(before, stray);
                None
            }
        }
    }

    /// Gives it its old place in the line again, or its end. `entry` is taken for that; else it stays with the
    /// caller.
    async fn let_wait_again(
        self: &Arc<Self>,
        dir: &InvDir,
        spec: Spec,
        has_ended: bool,
        entry: &mut Option<Entry>,
        found: &mut Reconciled,
    ) -> Result<Option<JobHandle>, String> {
        let project = self
            .home(
                Address::from(&spec),
                InvocationId::new(spec.invocation),
                &spec.uuid,
            )
            .await?;
        let row = self.row_of_waiting(&project, &spec).await;
        let Some(row) = row.map_err(|error| chain(&error))? else {
            // Nobody was told of it: its start was cut before there was a row.
            discard(dir).await;
            return Ok(None);
        };
        self.floors.raise(&project.root, row.id.get());
        let is_over = row.phase.is_ended();
        if has_ended || !is_over && is_after_a_stop(&spec, &self.settings().state_dir).await {
            found.finished += 1;
            let Some(entry) = entry.take() else {
                return Ok(None);
            };
            return Ok(self::end(self, project, row.id, entry, cancelled()).await);
        }
        if is_over {
            discard(dir).await;
            return Ok(None);
        }
        let is_moved = spec.project != project.root;
        let knows_its_id = spec.invocation == row.id.get();
        let mut spec = Spec {
            invocation: row.id.get(),
            ..spec
        };
        if is_moved {
            let followed = moved::follow(&project, row.id, spec, dir).await;
            spec = followed.map_err(|error| chain(&error))?;
        } else if !knows_its_id && let Err(error) = store(&spec, dir).await {
            // Mostly it does: of hundreds that wait, none is to be written anew before anybody is served.
            warn!(invocation.id = %row.id, %error, "its file does not know its id");
        }
        // Of an older daemon's it was not known; a device may have another number since the host started.
        spec.project_folder = Some(project.folder());
        let ids = spec.turn.after.iter().copied();
        let after = ids.filter_map(InvocationId::new).collect();
        self.line.put(candidate(&spec, Some(&row)), after);
        info!(invocation.id = %row.id, "waits again");
        Ok(None)
    }

    /// The row of one that waits, put back if the database lost it, and into the queue if its turn
    /// had come and it was not started.
    pub(super) async fn row_of_waiting(
        &self,
        project: &Project,
        spec: &Spec,
    ) -> Result<Option<Invocation>, crate::store::StoreError> {
        let store = &project.store;
        match store.by_uuid(&spec.uuid).await? {
            Some(row) if row.phase == Phase::Running => {
                let row = store.wait_again(row.id, &spec.uuid).await?;
                project.touch();
                Ok(Some(row))
            }
            Some(row) => Ok(Some(row)),
            None => {
                let Some(id) = InvocationId::new(spec.invocation) else {
                    return Ok(None);
                };
                info!(invocation.id = %id, "row put back from its state folder");
                let new = NewInvocation {
                    queued: true,
                    ..NewInvocation::from(spec)
                };
                store.restore(id, new, None).await.map(Some)
            }
        }
    }
}

/// As it is to be started now.
pub(super) fn begun_now(spec: Spec, id: InvocationId, project: &Project) -> io::Result<Spec> {
    Ok(Spec {
        project_folder: Some(project.folder()),
        invocation: id.get(),
        created_ms: lost::now_ms(),
        boot_id: state::boot_id()?,
        ..spec
    })
}

pub(super) fn now_ms() -> i64 {
    i64::try_from(lost::now_ms()).unwrap_or(i64::MAX)
}
