//! The task that starts what waits, as soon as it can: woken when a place is free, when something
//! comes to wait, when a hold is set or lifted, and when a time has come.

use std::sync::Arc;
use std::time::Duration;

use steroids_shim::durable::FileError;
use steroids_shim::exit::End;
use steroids_shim::paths::InvDir;
use steroids_shim::spec::Spec;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use super::StartError;
use super::address::Address;
use super::admit::{admit, runners};
use super::ahead::{Ahead, Short};
use super::dependents::Dependents;
use super::open_rows::end_without_folder;
use super::room::check_disks;
use super::start::{Launched, launch, note_pid};
use super::supervisor::{Asked, DRAINING, Entry, Inner, Place, chain};
use super::troubles::LACK;
use super::waiting::{self, begun_now, now_ms};
use super::work::Work;
use super::{Supervisor, holds, moved, resources};
use crate::domain::queue::{Candidate, Waits};
use crate::domain::{BudgetScope, InvocationId};
use crate::projects::Project;
use crate::store::{NewInvocation, StoreError, Turned};

/// A clock that was set, or a host that slept, is seen after so long where somebody waits for a time;
/// and that what kept one from being started is gone, of which nobody tells: a full disk, a runner of
/// the older tool, a database that could not be read.
const AT_THE_LATEST: Duration = Duration::from_secs(30);

/// Each look plans the whole line. Where many come or go at once, as after a restart, those of so long are
/// looked at together, so that the cost does not grow with the square of the line.
const TOGETHER: Duration = Duration::from_millis(20);
const LONG_LINE: usize = 100;

impl Supervisor {
    /// Starts what waits when its turn has come, until the daemon stops.
    pub async fn run_queue(self) {
        let inner = self.inner;
        tokio::select! {
            () = inner.stop.cancelled() => {}
            () = look_after_the_line(&inner) => {}
        }
    }

    /// How many wait, be their projects there or away.
    pub fn queued(&self) -> usize {
        self.inner.line.length()
    }

    /// As many as may wait.
    pub fn max_queued(&self) -> usize {
        self.inner.settings().queue.max
    }

    /// Where one stands among those that wait; `None` if it does not.
    pub fn waits(&self, uuid: &str) -> Option<Waits> {
        self.inner.line.waits(uuid)
    }

    /// What was in somebody's way may be gone.
    pub fn look_at_queue(&self) {
        self.inner.line.unblock();
    }
}

async fn look_after_the_line(inner: &Arc<Inner>) {
    let mut looked = Instant::now();
    let dependents = Dependents::default();
    loop {
        // First: who waited for one that has ended may have the place that it leaves.
        let all_seen = dependents.look(inner).await;
        let next_ms = pass(inner).await;
        let wait = next_ms.map_or(u64::MAX, |at| {
            at.saturating_sub(now_ms()).max(0).unsigned_abs()
        });
        let is_blocked = inner.line.is_blocked();
        // However often something else changes meanwhile, the look at what nobody tells of comes.
        let at_the_latest = looked + AT_THE_LATEST;
        let at = at_the_latest.min(Instant::now() + Duration::from_millis(wait).min(AT_THE_LATEST));
        tokio::select! {
            () = inner.line.changed() => {
                if inner.line.length() > LONG_LINE {
                    sleep(TOGETHER).await;
                }
            }
            () = sleep_until(at), if !all_seen || is_blocked || next_ms.is_some() => {}
        }
        if Instant::now() >= at_the_latest {
            looked = Instant::now();
            inner.line.unblock();
        }
    }
}

/// Starts what can be; tells when to look again at the latest. Waits for no project.
async fn pass(inner: &Arc<Inner>) -> Option<i64> {
    let holds_end_ms = holds::pass(inner).await;
    let looked = inner.line.turns(now_ms(), |uuid| inner.enter(uuid));
    for (candidate, entry) in looked.turns {
        let place = Place::of(inner, &candidate.uuid);
        let turn = take_turn(Arc::clone(inner), candidate, entry, place);
        inner.tracker.spawn(turn);
    }
    if looked.is_news {
        inner.beat();
    }
    [looked.next_ms, holds_end_ms].into_iter().flatten().min()
}

/// What keeps one whose turn has come from being started.
enum Obstacle {
    /// It may pass.
    Blocked(String),
    /// It may pass, and is in the way of all others, too.
    BlocksAll(String),
    /// The same, and nobody has set it: the machine lacks something.
    Lacking(String),
    /// It will not.
    Final(String),
    /// There is nothing to start any more.
    Gone,
    /// Somebody wants its end.
    Stopped,
    /// Its project was moved, with it: it waits there, and is looked at anew.
    Moved(Arc<Project>, Box<Spec>),
}

pub(super) async fn take_turn(
    inner: Arc<Inner>,
    candidate: Candidate,
    mut entry: Entry,
    place: Place,
) {
    let Some(id) = candidate.id else {
        return;
    };
    // A start of this task that comes meanwhile looks for its shim when there is one.
    let _task_turn = inner
        .task_turns
        .take(&candidate.project, &candidate.task)
        .await;
    let readied = ready(&inner, &candidate, id, &mut entry).await;
    let (project, work, ahead) = match readied {
        Ok(readied) => readied,
        Err(obstacle) => return give_way(&inner, candidate, id, entry, place, obstacle).await,
    };
    steroids_failpoint::reach("queue.turn-taken");
    project.touch();
    match launch(&inner, &project, work, entry, place, ahead).await {
        // Its job writes down that it never ran.
        Ok(Launched {
            refused: Some(error),
            ..
        }) => warn!(invocation.id = %id, error = %chain(&error), "could not be started"),
        Ok(launched) => {
            let project = inner.projects.get(&project.root).await.unwrap_or(project);
            note_pid(&project, id, &launched.dir).await;
        }
        // It has ended, and its row says why.
        Err(error) => warn!(invocation.id = %id, error = %chain(&error), "could not be started"),
    }
}

/// Ends what will never be started, and lets the rest wait again.
async fn give_way(
    inner: &Arc<Inner>,
    mut candidate: Candidate,
    id: InvocationId,
    mut entry: Entry,
    place: Place,
    obstacle: Obstacle,
) {
    // Also where nobody looked for it, as something else was in the way first.
    let is_stopped = entry.asked() == Asked::ItsEnd;
    let is_lacking = matches!(obstacle, Obstacle::Lacking(_));
    let end = match obstacle {
        Obstacle::Gone => return,
        Obstacle::Stopped => waiting::cancelled(),
        Obstacle::Final(_)
        | Obstacle::Blocked(_)
        | Obstacle::BlocksAll(_)
        | Obstacle::Lacking(_)
        | Obstacle::Moved(..)
            if is_stopped =>
        {
            waiting::cancelled()
        }
        Obstacle::Moved(project, spec) => {
            let dir = InvDir::new(&inner.settings().state_dir, &candidate.uuid);
            match moved::follow(&project, id, *spec, &dir).await {
                Ok(spec) => {
                    candidate.project = Arc::from(spec.project.as_path());
                    candidate.folder = spec.project_folder;
                }
                Err(error) => return block(entry, place, candidate, chain(&error)),
            }
            put_back(entry, place, candidate, "its project was moved".to_owned());
            // Nothing else is in its way, as far as is known.
            return inner.line.unblock();
        }
        Obstacle::Final(error) => End::never_started(error),
        Obstacle::Blocked(why) => return block(entry, place, candidate, why),
        Obstacle::BlocksAll(why) | Obstacle::Lacking(why) => {
            if is_lacking {
                inner.troubles.note_lack(&why);
            }
            // One of them is tried for all.
            inner.line.block_all(&why);
            return block(entry, place, candidate, why);
        }
    };
    match inner
        .home(Address::from(&candidate), Some(id), &candidate.uuid)
        .await
    {
        Ok(project) => drop(waiting::end(inner, project, id, entry, end).await),
        // Its log and its row are written when its project is back.
        Err(gone) => match waiting::keep_end(inner, &candidate.uuid, id, end).await {
            Ok(()) => {
                let (uuid, project) = (&candidate.uuid, &candidate.project);
                inner.keep_unstarted(uuid, project, id, gone, true, None);
            }
            Err(why) => put_back(entry, place, candidate, why),
        },
    }
}

fn block(entry: Entry, place: Place, mut candidate: Candidate, why: String) {
    // What was in its way the last time was said then; how much is used or free is another number each time.
    let is_known = candidate.blocked.as_deref().is_some_and(|before| {
        let words = |text: &str| text.replace(|it: char| it.is_ascii_digit(), "");
        words(before) == words(&why)
    });
    if !is_known {
        let id = candidate.id.map(tracing::field::display);
        info!(invocation.id = id, why, "cannot be started yet");
    }
    candidate.blocked = Some(why.clone());
    put_back(entry, place, candidate, why);
}

/// In this order: whoever is told that it waits again finds it in nobody's care.
fn put_back(entry: Entry, place: Place, candidate: Candidate, why: String) {
    drop(entry);
    place.wait_again(candidate, why);
}

/// Looks once more whether it may be started, and makes its row say that it runs.
async fn ready(
    inner: &Arc<Inner>,
    candidate: &Candidate,
    id: InvocationId,
    entry: &mut Entry,
) -> Result<(Arc<Project>, Work, Ahead), Obstacle> {
    let blocked = |error: &(dyn std::error::Error + 'static)| Obstacle::Blocked(chain(error));
    let project = inner
        .project_at(Address::from(candidate), &[(Some(id), &candidate.uuid)])
        .await;
    let project = project.map_err(|error| blocked(&error))?;
    let dir = InvDir::new(&inner.settings().state_dir, &candidate.uuid);
    let loaded = {
        let dir = dir.clone();
        tokio::task::spawn_blocking(move || Spec::load_queued(&dir)).await
    };
    let mut spec = match loaded {
        Ok(Ok(spec)) => spec,
        Ok(Err(error @ FileError::Io { .. })) if !error.is_missing() => {
            return Err(blocked(&error));
        }
        Ok(Err(error)) => {
            let error = format!("never started: {}", chain(&error));
            end_without_folder(inner, &project, id.get(), End::never_started(error)).await;
            return Err(Obstacle::Gone);
        }
        Err(error) => return Err(blocked(&error)),
    };
    if project.root != *candidate.project {
        return Err(Obstacle::Moved(project, Box::new(spec)));
    }
    heed(inner, entry)?;
    // A manager that is away for a moment is no reason to end what has waited for hours.
    let launcher = Arc::clone(&inner.settings().launcher);
    let is_ready = launcher.ready().await;
    is_ready.map_err(|error| Obstacle::Lacking(chain(&error)))?;
    // It may be another one than was there when it was asked for, and hold nothing.
    let held = resources::hold(&*launcher, &mut spec.resources);
    held.map_err(|error| blocked(&error))?;
    let asked = {
        let (inner, root) = (Arc::clone(inner), project.root.clone());
        tokio::task::spawn_blocking(move || runners(&inner, &root)).await
    };
    let asked = asked.map_err(|error| blocked(&error))?;
    let admitted = admit(inner, &project, &spec.task, false, asked).await;
    admitted.map_err(|error| blocked(&error))?;
    // Budgets and limits go by what has ended.
    if let Some(unrecorded) = inner.troubles.unrecorded_in(&project.root) {
        return Err(Obstacle::Blocked(unrecorded));
    }
    let affordable = inner.admit_by_budget(&project, &spec.task).await;
    affordable.map_err(|error| match error {
        // It only grows; a day's is another one tomorrow.
        StartError::Budget { scope, said, .. } if scope != BudgetScope::Day => {
            Obstacle::Final(format!("never started: {said}"))
        }
        error @ StartError::Budget { .. } => Obstacle::BlocksAll(chain(&error)),
        error => blocked(&error),
    })?;
    let spec = begun_now(spec, id, &project).map_err(|error| blocked(&error))?;
    let prepared = {
        let (inner, root, dir) = (Arc::clone(inner), project.root.clone(), dir.clone());
        let prepare = move || {
            let room = check_disks(&inner, &root, spec.prompt.len());
            room.map_err(|error| Obstacle::Blocked(chain(&error)))?;
            let launcher = &*inner.settings().launcher;
            let ahead = Ahead::of_waiting(launcher, &spec, &dir);
            let ahead = ahead.map_err(|error| match error {
                Short::OfAll(error) => Obstacle::Lacking(chain(&*error)),
                Short::Own(error) => Obstacle::Blocked(chain(&*error)),
            })?;
            inner.troubles.well(LACK);
            Ok((spec.redactor(), spec, ahead))
        };
        tokio::task::spawn_blocking(prepare).await
    };
    let (redactor, spec, ahead) = match prepared {
        Ok(prepared) => prepared?,
        Err(error) => return Err(blocked(&error)),
    };
    // From here on it runs.
    heed(inner, entry)?;
    match turned(&project, id, &spec).await {
        Ok(Turned::Running(_)) => Ok((project, Work::new(spec, redactor), ahead)),
        Ok(Turned::Ended(_)) => {
            waiting::discard(&dir).await;
            Err(Obstacle::Gone)
        }
        Err(error) => Err(blocked(&error)),
    }
}

/// What it was asked for meanwhile. Where all that runs is to end, or nothing is to be started, it is kept.
fn heed(inner: &Inner, entry: &mut Entry) -> Result<(), Obstacle> {
    match entry.asked() {
        Asked::ItsEnd => Err(Obstacle::Stopped),
        Asked::Nothing if !inner.line.is_closed(DRAINING) => Ok(()),
        Asked::Nothing | Asked::TheEndOfAll => Err(Obstacle::Blocked(DRAINING.to_owned())),
    }
}

/// A row that is gone is put back first.
async fn turned(project: &Project, id: InvocationId, spec: &Spec) -> Result<Turned, StoreError> {
    let store = &project.store;
    match store.take_turn(id, &spec.uuid).await {
        Err(StoreError::NoSuchInvocation { .. }) => {
            let new = NewInvocation {
                queued: true,
                ..NewInvocation::from(spec)
            };
            store.restore(id, new, None).await?;
            store.take_turn(id, &spec.uuid).await
        }
        turned => turned,
    }
}
