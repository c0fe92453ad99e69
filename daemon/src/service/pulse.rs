//! The pulse of a watcher: how those that run are doing. All of them first, then each that is doing
//! otherwise than it was told, no more often than the client asked for. A job tells when it has
//! published something, so nothing is looked at while nothing happens.
//!
//! Rows of the older tool have no job, and no lifecycle event speaks of them: they are told when
//! they have begun, and once more when they have ended.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use steroids_proto::v1;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::domain::{InvocationId, Query};
use crate::projects::Project;
use crate::store::StoreError;
use crate::supervise::{Beat, Onlooker, Vitals};

use super::Service;
use super::watching::asked;

/// Invocations to a message: rows without their texts.
const BATCH: usize = 256;

/// What one watcher was told, and when.
pub(super) struct Pulse {
    every: Duration,
    /// Not before.
    next: Instant,
    beating: watch::Receiver<u64>,
    _onlooker: Onlooker,
    /// There may be something to tell.
    is_due: bool,
    /// Projects of which all that runs is to be told, the last page of some of them first.
    whole: VecDeque<(Arc<Project>, Option<InvocationId>)>,
    /// Those of which that could not be told: they did not answer.
    untold: Vec<Arc<Project>>,
    /// How each was doing when it was told.
    told: HashMap<(Arc<Path>, InvocationId), Vitals>,
    /// The older tool's that run.
    foreign: HashMap<Arc<Path>, BTreeSet<InvocationId>>,
    /// Projects whose rows may have changed.
    stale: Vec<Arc<Project>>,
    /// The first message comes even if nothing runs: so a client knows that it has all.
    is_first: bool,
    /// A project that cannot be read ends the stream; among many its own watchers are told.
    is_sole: bool,
}

impl Pulse {
    pub(super) fn new(service: &Service, every: Duration, is_sole: bool) -> Pulse {
        Pulse {
            is_sole,
            every,
            next: Instant::now(),
            beating: service.supervisor.beating(),
            _onlooker: service.supervisor.look_on(),
            is_due: false,
            whole: VecDeque::new(),
            untold: Vec::new(),
            told: HashMap::new(),
            foreign: HashMap::new(),
            stale: Vec::new(),
            is_first: true,
        }
    }

    /// True once all that runs was told.
    pub(super) fn is_begun(&self) -> bool {
        !self.is_first && self.whole.is_empty()
    }

    /// A project is watched from now on.
    pub(super) fn add(&mut self, project: &Arc<Project>) {
        self.whole.push_back((Arc::clone(project), None));
    }

    /// A project's rows may have changed.
    pub(super) fn touch(&mut self, project: &Arc<Project>) {
        self.is_due = true;
        let is_it = |it: &mut Arc<Project>| Arc::ptr_eq(it, project);
        let untold = self.untold.extract_if(.., is_it);
        self.whole.extend(untold.map(|project| (project, None)));
        if !self.stale.iter().any(|it| it.root == project.root) {
            self.stale.push(Arc::clone(project));
        }
    }

    /// What there is to tell now, of the projects that are watched.
    pub(super) async fn look(
        &mut self,
        service: &Service,
        watched: &[&Arc<Project>],
    ) -> Result<Option<Vec<v1::Invocation>>, StoreError> {
        if self.is_first || !self.whole.is_empty() {
            return self.all(service).await.map(Some);
        }
        if !self.is_due || Instant::now() < self.next {
            return Ok(None);
        }
        // Before the look, so that what comes during it is not missed.
        self.beating.mark_unchanged();
        self.is_due = false;
        let mut running = self.changed(service, watched).await?;
        self.foreign(service, &mut running).await?;
        if running.is_empty() {
            return Ok(None);
        }
        self.next = Instant::now() + self.every;
        Ok(Some(running))
    }

    /// All that run, in one message if they fit.
    async fn all(&mut self, service: &Service) -> Result<Vec<v1::Invocation>, StoreError> {
        let mut all = Vec::new();
        while all.len() < BATCH
            && let Some((project, below)) = self.whole.front().cloned()
        {
            let query = Query {
                states: vec!["queued", "running"],
                below,
                limit: 256,
                ..Query::default()
            };
            self.whole.pop_front();
            let page = asked(self.is_sole, &project, project.store.invocations(query)).await;
            let Some(page) = self.had(page)? else {
                self.untold.push(project);
                continue;
            };
            let root: Arc<Path> = Arc::from(project.root.as_path());
            for row in page.invocations {
                let key = (Arc::clone(&root), row.id);
                match &row.managed {
                    // Noted before it is shown: at worst the same comes twice.
                    Some(managed) => {
                        let vitals = service.supervisor.vitals(&managed.uuid);
                        self.told.insert(key, vitals);
                    }
                    None => {
                        let foreign = self.foreign.entry(Arc::clone(&root)).or_default();
                        foreign.insert(row.id);
                    }
                }
                all.push(service.shown(&project, row));
            }
            if page.next.is_some() {
                self.whole.push_front((project, page.next));
            } else {
                // What began meanwhile.
                self.touch(&project);
            }
        }
        self.is_first = false;
        self.next = Instant::now() + self.every;
        Ok(all)
    }

    /// Ours that are doing otherwise than they were told.
    async fn changed(
        &mut self,
        service: &Service,
        watched: &[&Arc<Project>],
    ) -> Result<Vec<v1::Invocation>, StoreError> {
        let beats = service.supervisor.beats();
        let running: BTreeSet<_> = beats.iter().map(|it| (&it.project, it.id)).collect();
        self.told
            .retain(|(project, id), _| running.contains(&(project, *id)));
        self.untold
            .retain(|project| watched.iter().any(|it| Arc::ptr_eq(it, project)));
        let mut changed = Vec::new();
        for beat in &beats {
            let Beat {
                project,
                id,
                vitals,
            } = beat;
            let Some(at) = watched.iter().find(|it| *it.root == **project) else {
                continue;
            };
            let key = (Arc::clone(project), *id);
            let before = self.told.get(&key);
            if before.map_or(*vitals == Vitals::default(), |before| before == vitals) {
                continue;
            }
            if changed.len() == BATCH {
                self.is_due = true;
                break;
            }
            let row = asked(self.is_sole, at, at.store.invocation(*id)).await;
            let Some(row) = self.had(row)? else {
                continue;
            };
            self.told.insert(key, vitals.clone());
            // Of one that has ended meanwhile a lifecycle event tells.
            if let Some(row) = row.filter(|row| !row.phase.is_ended()) {
                changed.push(service.shown(at, row));
            }
        }
        Ok(changed)
    }

    /// The older tool's that have begun or ended.
    async fn foreign(
        &mut self,
        service: &Service,
        changed: &mut Vec<v1::Invocation>,
    ) -> Result<(), StoreError> {
        while changed.len() < BATCH
            && let Some(project) = self.stale.pop()
        {
            let rows = asked(self.is_sole, &project, project.store.foreign_running()).await;
            let Some(rows) = self.had(rows)? else {
                continue;
            };
            let root: Arc<Path> = Arc::from(project.root.as_path());
            let now: BTreeSet<_> = rows.iter().map(|row| row.id).collect();
            let known = self.foreign.insert(root, now.clone()).unwrap_or_default();
            for id in known.difference(&now) {
                let row = asked(self.is_sole, &project, project.store.invocation(*id)).await;
                let row = self.had(row)?;
                changed.extend(row.flatten().map(|row| service.shown(&project, row)));
            }
            let begun = rows.into_iter().filter(|row| !known.contains(&row.id));
            changed.extend(begun.map(|row| service.shown(&project, row)));
        }
        self.is_due |= !self.stale.is_empty();
        Ok(())
    }

    fn had<T>(&self, had: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
        match had {
            Ok(had) => Ok(Some(had)),
            Err(error) if self.is_sole => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Waits until there may be something to tell. Cancel-safe.
    pub(super) async fn ready(&mut self) {
        if !self.is_due {
            if self.beating.changed().await.is_err() {
                // Nobody publishes any more: the daemon is going down.
                return pending().await;
            }
            self.is_due = true;
        }
        tokio::time::sleep_until(self.next).await;
    }
}
