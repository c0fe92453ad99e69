//! Invocations without a final row that cannot be taken up just now: their project's folder is not there,
//! its disk or its database does not answer. One whose shim lives has its place among the running all the
//! same, so that no bound is passed. They are looked at again whenever a project comes or goes, and
//! behind that twice a minute, as no event tells of a disk that is back.
//!
//! One whose row and log were final once is none of them: with its project away there is nothing to do,
//! and only when that is back may its database want the row.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use steroids_shim::lock;
use steroids_shim::paths::InvDir;
use steroids_shim::spec::Spec;
use tokio::sync::Notify;
use tracing::warn;

use super::Supervisor;
use super::proof::is_over;
use super::reconcile::{Reconciled, Scope, uuid_of};
use super::supervisor::{Inner, Place};
use crate::domain::InvocationId;
use crate::domain::queue::Candidate;
use crate::projects::Project;

/// Each look asks for a file or two of each stray, and its project's folder once.
const EVERY: Duration = Duration::from_secs(30);

/// One that waits to be taken up.
pub(super) struct Stray {
    pub(super) dir: InvDir,
    /// Of whom, where that is known.
    pub(super) project: Option<PathBuf>,
    /// Its id there, where that is known.
    pub(super) id: Option<InvocationId>,
    /// What is in the way.
    pub(super) why: String,
    /// Kept while its shim lives.
    pub(super) place: Option<Place>,
    /// Kept while it waits.
    pub(super) lined: Option<Lined>,
    /// There is a record of its end.
    pub(super) has_ended: bool,
}

/// A place among those that wait, of one whose project is away; given back when dropped.
pub(super) struct Lined {
    inner: Arc<Inner>,
    uuid: String,
}

impl Drop for Lined {
    fn drop(&mut self) {
        self.inner.line.is_away_no_more(&self.uuid);
    }
}

/// One that runs or waits, as far as is known without its folder.
pub(super) struct Unfinished {
    pub(super) project: PathBuf,
    pub(super) id: Option<InvocationId>,
    pub(super) why: String,
}

/// All of them, by uuid.
#[derive(Default)]
pub(super) struct Strays {
    // Held for a look-up or a change, never across an await.
    by_uuid: Mutex<HashMap<String, Stray>>,
    /// Projects that are away, and of which something is over.
    passed_over: Mutex<BTreeSet<PathBuf>>,
    came: Notify,
    again: Notify,
}

impl Strays {
    /// Takes one out that is looked at again.
    pub(super) fn take(&self, uuid: &str) -> Option<Stray> {
        self.all().remove(uuid)
    }

    /// Keeps one for a later look. `before` is what was in its way at the last one: what is not new is
    /// not logged again.
    pub(super) fn keep(&self, uuid: String, stray: Stray, before: Option<&str>) {
        if before != Some(stray.why.as_str()) {
            warn!(
                dir = %stray.dir.path().display(), error = %stray.why,
                "cannot be taken up yet"
            );
        }
        self.all().insert(uuid, stray);
        self.came.notify_one();
    }

    /// Has all of them looked at again, as one can be taken up.
    pub(super) fn look_again(&self) {
        self.again.notify_one();
    }

    /// Whether it is one of them.
    pub(super) fn has(&self, uuid: &str) -> bool {
        self.all().contains_key(uuid)
    }

    /// What is in the way of one.
    pub(super) fn why(&self, uuid: &str) -> Option<String> {
        self.all().get(uuid).map(|stray| stray.why.clone())
    }

    /// Those with this id that have ended.
    pub(super) fn ended(&self, id: InvocationId) -> Vec<InvDir> {
        let all = self.all();
        let is_it = |it: &&Stray| it.has_ended && it.id.is_none_or(|its| its == id);
        let those = all.values().filter(is_it);
        those.map(|stray| stray.dir.clone()).collect()
    }

    /// Those whose shims live, as far as is known whose they are.
    pub(super) fn running(&self) -> Vec<(PathBuf, InvocationId, InvDir)> {
        let all = self.all();
        let those = all.values();
        let those = those.filter(|stray| stray.place.is_some() && !stray.has_ended);
        let those = those.filter_map(|it| Some((it.project.clone()?, it.id?, it.dir.clone())));
        those.collect()
    }

    /// Ids of those of a project without a record of their end, as far as known.
    pub(super) fn unfinished_in(&self, project: &Path) -> Vec<Option<InvocationId>> {
        let all = self.all();
        let those = all.values().filter(|stray| !stray.has_ended);
        let those = those.filter(|stray| stray.project.as_deref() == Some(project));
        those.map(|stray| stray.id).collect()
    }

    /// By uuid those without a record of their end of which the project is known.
    pub(super) fn unfinished(&self) -> Vec<(String, Unfinished)> {
        let all = self.all();
        let those = all.iter().filter(|(_, stray)| !stray.has_ended);
        let those = those.filter_map(|(uuid, it)| {
            let unfinished = Unfinished {
                project: it.project.clone()?,
                id: it.id,
                why: it.why.clone(),
            };
            Some((uuid.clone(), unfinished))
        });
        those.collect()
    }

    /// Notes that what is over in a project is not looked at while that is away.
    pub(super) fn pass_over(&self, project: PathBuf) {
        locked(&self.passed_over).insert(project);
    }

    /// Whether one of those projects is back, with rows or without. They are forgotten by that.
    fn are_passed_over(&self, there: &[Arc<Project>]) -> bool {
        let mut passed_over = locked(&self.passed_over);
        let before = passed_over.len();
        passed_over.retain(|root| there.iter().all(|project| project.root != *root));
        passed_over.len() != before
    }

    fn dirs(&self) -> Vec<InvDir> {
        self.all().values().map(|stray| stray.dir.clone()).collect()
    }

    /// One line for each project, and for each folder of which the project is not known.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut by_project: BTreeMap<(PathBuf, String, bool), usize> = BTreeMap::new();
        for stray in self.all().values() {
            let whose = stray.project.clone();
            let whose = whose.unwrap_or_else(|| stray.dir.path().to_owned());
            let key = (whose, stray.why.clone(), stray.has_ended);
            *by_project.entry(key).or_default() += 1;
        }
        let lines = by_project
            .into_iter()
            .map(|((whose, why, has_ended), count)| {
                let whose = whose.display();
                let state = if has_ended { "ended" } else { "unfinished" };
                match count {
                    1 => format!("{whose}: an {state} invocation cannot be taken up: {why}"),
                    _ => format!("{whose}: {count} {state} invocations cannot be taken up: {why}"),
                }
            });
        lines.collect()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Stray>> {
        locked(&self.by_uuid)
    }
}

/// They are valid whatever panicked while they were held: every change to them is one call.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Supervisor {
    /// Takes up what could not be taken up before, as soon as it can be, until the daemon stops. With
    /// nothing of that kind it waits for nothing but projects that come and go.
    pub async fn look_after_strays(self) {
        let inner = self.inner;
        tokio::select! {
            () = inner.stop.cancelled() => {}
            () = look_after(&inner) => {}
        }
    }
}

async fn look_after(inner: &Arc<Inner>) {
    let mut changed = inner.projects.changed();
    loop {
        let has_strays = !inner.strays.dirs().is_empty();
        tokio::select! {
            // Rows without a folder, and what waits, are found as at any wakeup.
            Ok(()) = changed.changed() => {
                let scope = match inner.strays.are_passed_over(&inner.projects.all()) {
                    true => Scope::Registered,
                    false => Scope::Wakeup,
                };
                inner.take_all_up(scope).await;
            }
            () = inner.strays.came.notified(), if !has_strays => {}
            () = inner.strays.again.notified() => inner.take_strays_up().await,
            () = tokio::time::sleep(EVERY), if has_strays => inner.take_strays_up().await,
        }
    }
}

impl Inner {
    async fn take_strays_up(self: &Arc<Self>) {
        let mut found = Reconciled::default();
        for dir in self.strays.dirs() {
            self.take_up(dir, &mut found).await;
        }
        if found != Reconciled::default() {
            self.line.unblock();
        }
    }

    /// Keeps one of which the specification is not to be had: it has the place that it had, while its shim
    /// lives, and no longer.
    pub(super) async fn keep_unknown(
        self: &Arc<Self>,
        before: Option<Stray>,
        dir: InvDir,
        why: String,
    ) {
        let mut before = before;
        if let Some(stray) = &mut before
            && stray.place.is_some()
            && !lives(&dir).await
        {
            stray.place = None;
        }
        let stray = Stray {
            project: before.as_ref().and_then(|stray| stray.project.clone()),
            id: before.as_ref().and_then(|stray| stray.id),
            why,
            place: None,
            lined: None,
            has_ended: has_ended(&dir).await,
            dir,
        };
        self.keep_stray(before, stray);
    }

    /// What cannot be taken up now is looked at again.
    pub(super) fn keep_stray(&self, before: Option<Stray>, now: Stray) {
        let uuid = uuid_of(&now.dir);
        let before = before.or_else(|| self.strays.take(&uuid));
        let (said, place, lined) = match before {
            Some(it) => (Some(it.why), it.place, it.lined),
            None => (None, None, None),
        };
        let waits = !now.has_ended;
        let stray = Stray {
            place: now.place.or(place),
            lined: now.lined.or(lined).filter(|_| waits),
            ..now
        };
        self.strays.keep(uuid, stray, said.as_deref());
    }

    /// Keeps one that waited, until its project is back; it may have ended. If not, it waits on, as it did in
    /// the line if it was there.
    pub(super) fn keep_unstarted(
        self: &Arc<Self>,
        uuid: &str,
        project: &Path,
        id: InvocationId,
        why: String,
        has_ended: bool,
        waits: Option<Candidate>,
    ) {
        let mut before = self.strays.take(uuid);
        let lined = waits.map(|waits| self.lined(before.as_mut(), waits, &why));
        let stray = Stray {
            dir: InvDir::new(&self.settings().state_dir, uuid),
            project: Some(project.to_owned()),
            id: Some(id),
            why,
            place: None,
            lined,
            has_ended,
        };
        self.keep_stray(before, stray);
    }

    /// Its place among those that wait: the one that it has, or a new one.
    pub(super) fn lined(
        self: &Arc<Self>,
        before: Option<&mut Stray>,
        waits: Candidate,
        why: &str,
    ) -> Lined {
        let uuid = waits.uuid.clone();
        self.line.waits_away(waits, why.to_owned());
        let kept = before.and_then(|stray| stray.lined.take());
        kept.unwrap_or_else(|| Lined {
            inner: Arc::clone(self),
            uuid,
        })
    }

    /// Its place among the running, if its shim lives: the one that it has, or one more, however many
    /// there are.
    pub(super) async fn place_of(
        self: &Arc<Self>,
        spec: &Spec,
        dir: &InvDir,
        before: Option<Place>,
    ) -> Option<Place> {
        if !lives(dir).await {
            return None;
        }
        Some(before.unwrap_or_else(|| self.place_of_adopted(spec)))
    }
}

/// Whether its shim does. Where the kernel does not say, nobody is taken for dead.
async fn lives(dir: &InvDir) -> bool {
    let lock = dir.lock();
    let held = tokio::task::spawn_blocking(move || lock::is_held(&lock).unwrap_or(true));
    held.await.unwrap_or(true)
}

/// Whether there is a record of its end, beside a lock that nobody holds. Where the disk does not say, there is none.
pub(super) async fn has_ended(dir: &InvDir) -> bool {
    let dir = dir.clone();
    let looked = tokio::task::spawn_blocking(move || is_over(&dir)).await;
    looked.unwrap_or(false)
}
