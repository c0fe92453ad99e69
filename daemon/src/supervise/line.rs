//! Who runs, who waits, and which providers are held, as far as this daemon knows: what decides what
//! starts. Every decision, and the place that it gives away, is one step under one lock, so that no
//! bound is ever passed and nothing is given a place twice.
//!
//! Nothing in here is needed after a restart: who waits has a file in its state folder, who runs a
//! lock there, and holds have a file of their own.

mod away;
mod blocked;
mod known;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::hold::Holds;
use crate::domain::queue::{self, Bounds, Candidate, Placed, Plan, Reason, Waits};
use crate::domain::{Invocation, InvocationId};

/// The order in which things start.
pub(super) struct Line {
    // Held for a look or a change, never across an await.
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// By uuid.
    placed: HashMap<String, Holder>,
    waiting: HashMap<String, Waiter>,
    /// Those that wait and cannot be started, as their projects are away; each says so.
    away: HashMap<String, Candidate>,
    holds: Holds,
    bounds: Bounds,
    /// Why each waits, as of the last look.
    shown: Arc<BTreeMap<String, Waits>>,
    /// While there is one, nothing is started; what waits is told the first.
    closed: Vec<&'static str>,
    /// The highest order that was given.
    last_order: u64,
}

/// One that has a place.
struct Holder {
    placed: Placed,
    /// There is no shim yet that could be asked whether it lives.
    is_launching: bool,
}

/// One that waits.
struct Waiter {
    candidate: Candidate,
    /// Those that have yet to succeed.
    after: Vec<InvocationId>,
    /// What was in its way when its turn had come; looked at again when something has changed.
    blocked: Option<String>,
    /// Since when it has waited for nothing but a place, in epoch milliseconds.
    lacks_since_ms: Option<i64>,
}

impl Waiter {
    fn new(candidate: Candidate, after: Vec<InvocationId>, blocked: Option<String>) -> Waiter {
        Waiter {
            candidate,
            after,
            blocked,
            lacks_since_ms: None,
        }
    }
}

/// One that waits for others.
pub(super) struct Dependent {
    pub(super) uuid: String,
    pub(super) project: Arc<Path>,
    /// Device and number of its project's folder, as far as known.
    pub(super) folder: Option<(u64, u64)>,
    /// Its row, once there is one.
    pub(super) id: Option<InvocationId>,
    /// Those that have yet to succeed.
    pub(super) after: Vec<InvocationId>,
    /// The first of them, or a later attempt of it.
    pub(super) first: Option<InvocationId>,
}

/// What became of one that came to the line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stands {
    /// It has a place, and is to be started.
    Placed,
    /// It waits, and is not to be started before it is ready.
    Waits,
}

/// Why one was not let into the line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    /// One of its task waits already, or is being started.
    TaskBusy,
    /// It would have to wait, and does not want to.
    WouldWait(Reason),
    /// As many wait as may.
    Long(usize),
}

/// How one comes to the line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coming {
    /// As many may wait.
    pub(super) max: usize,
    /// It may wait at all.
    pub(super) may_wait: bool,
    /// Another one of its task may wait, too.
    pub(super) may_share_task: bool,
}

/// What a look at the line came to.
pub(super) struct Turns<T> {
    /// Those whose turn has come.
    pub(super) turns: Vec<(Candidate, T)>,
    /// When the next one can start that waits for nothing but a time.
    pub(super) next_ms: Option<i64>,
    /// Somebody waits for something else than before.
    pub(super) is_news: bool,
}

/// While a start is being written down.
const UNREADY: &str = "it is being written down";

impl Line {
    pub(super) fn new(bounds: Bounds, holds: Holds) -> Line {
        let state = State {
            holds,
            bounds,
            ..State::default()
        };
        Line {
            state: Mutex::new(state),
            changed: Notify::new(),
        }
    }

    /// How many may run from now on; those that run do so.
    pub(super) fn set_bounds(&self, bounds: Bounds) {
        self.state().bounds = bounds;
    }

    /// Gives one a place, or lets it wait, behind everybody of its priority.
    pub(super) fn come(
        &self,
        mut candidate: Candidate,
        after: Vec<InvocationId>,
        coming: Coming,
        now_ms: i64,
    ) -> Result<(Stands, u64), Rejected> {
        let mut state = self.state();
        let order = u64::try_from(now_ms).unwrap_or(0);
        let order = order.max(state.last_order.saturating_add(1));
        candidate.order = order;
        candidate.after = after.first().copied();
        let same_task = |it: &Waiter| {
            it.candidate.project == candidate.project && it.candidate.task == candidate.task
        };
        if !coming.may_share_task && state.waiting.values().any(same_task) {
            return Err(Rejected::TaskBusy);
        }
        let uuid = candidate.uuid.clone();
        let plan = state.plan(Some((&candidate, &coming)), now_ms);
        if plan.start.contains(&uuid) {
            state.last_order = order;
            state.placed.insert(uuid, launching(&candidate));
            return Ok((Stands::Placed, order));
        }
        let reason = plan.waits.get(&uuid).map(|waits| waits.reason.clone());
        match reason {
            Some(Reason::TaskBusy) if !coming.may_share_task => return Err(Rejected::TaskBusy),
            Some(reason) if !coming.may_wait => return Err(Rejected::WouldWait(reason)),
            _ => {}
        }
        if state.length() >= coming.max {
            return Err(Rejected::Long(coming.max));
        }
        state.last_order = order;
        let waiter = Waiter::new(candidate, after, Some(UNREADY.to_owned()));
        state.waiting.insert(uuid, waiter);
        Ok((Stands::Waits, order))
    }

    /// Puts one into the line that was in it before, or goes on from one that was; at its old place.
    pub(super) fn put(&self, mut candidate: Candidate, after: Vec<InvocationId>) {
        candidate.after = after.first().copied();
        let mut state = self.state();
        state.last_order = state.last_order.max(candidate.order);
        let uuid = candidate.uuid.clone();
        let waiter = Waiter::new(candidate, after, None);
        state.away.remove(&uuid);
        state.waiting.insert(uuid, waiter);
        drop(state);
        self.look_again();
    }

    /// One that waits has a row now, and everything that it takes to start it.
    pub(super) fn ready(&self, uuid: &str, id: InvocationId) {
        if let Some(it) = self.state().waiting.get_mut(uuid) {
            it.candidate.id = Some(id);
            it.blocked = None;
        }
        self.look_again();
    }

    /// Takes one out, while it waits: it is the caller's from then on. `with` is called under the
    /// lock; where it gives nothing, the one stays.
    pub(super) fn take_out<T>(&self, uuid: &str, with: impl FnOnce() -> Option<T>) -> Option<T> {
        let mut state = self.state();
        state.waiting.get(uuid)?;
        let taken = with()?;
        state.waiting.remove(uuid);
        drop(state);
        self.look_again();
        Some(taken)
    }

    /// Takes one out that did not come to wait after all.
    pub(super) fn leave(&self, uuid: &str) {
        self.state().waiting.remove(uuid);
        self.look_again();
    }

    /// A place for what runs already, however many there are.
    pub(super) fn place(&self, uuid: &str, placed: Placed) {
        let is_launching = false;
        let holder = Holder {
            placed,
            is_launching,
        };
        self.state().placed.insert(uuid.to_owned(), holder);
    }

    /// Its shim can be asked from now on.
    pub(super) fn launched(&self, uuid: &str) {
        if let Some(holder) = self.state().placed.get_mut(uuid) {
            holder.is_launching = false;
        }
    }

    /// Gives a place back.
    pub(super) fn free(&self, uuid: &str) {
        self.state().placed.remove(uuid);
        self.look_again();
    }

    /// Gives a place back for its owner to wait again: what is in its way is looked at when
    /// something has changed.
    pub(super) fn put_back(&self, candidate: Candidate, blocked: String) {
        let mut state = self.state();
        let uuid = candidate.uuid.clone();
        state.placed.remove(&uuid);
        let waiter = Waiter::new(candidate, Vec::new(), Some(blocked));
        state.waiting.insert(uuid, waiter);
        drop(state);
        self.look_again();
    }

    /// Starts nothing for this reason, or no longer for this one.
    pub(super) fn close(&self, why: &'static str, on: bool) {
        let mut state = self.state();
        state.closed.retain(|each| *each != why);
        if on {
            state.closed.push(why);
        }
        drop(state);
        self.look_again();
    }

    /// Whether nothing is started for this reason.
    pub(super) fn is_closed(&self, why: &str) -> bool {
        self.state().closed.contains(&why)
    }

    /// Those whose turn has come, with their places. For each `enter` is called under the lock; where
    /// it gives nothing, somebody else has it in care, and it waits.
    pub(super) fn turns<T>(
        &self,
        now_ms: i64,
        mut enter: impl FnMut(&str) -> Option<T>,
    ) -> Turns<T> {
        let mut state = self.state();
        let plan = state.plan(None, now_ms);
        let mut turns = Vec::new();
        for uuid in &plan.start {
            let Some(entered) = enter(uuid) else {
                continue;
            };
            if let Some(it) = state.waiting.remove(uuid) {
                state.placed.insert(uuid.clone(), launching(&it.candidate));
                turns.push((it.candidate, entered));
            }
        }
        state.count_waits(&plan.waits, now_ms);
        let shown = Arc::new(plan.waits);
        let is_news = shown != state.shown;
        state.shown = shown;
        Turns {
            turns,
            next_ms: plan.next_ms,
            is_news,
        }
    }

    /// Those that wait for others, and for whom.
    pub(super) fn dependents(&self) -> Vec<Dependent> {
        let state = self.state();
        let waiting = state.waiting.values().filter(|it| !it.after.is_empty());
        waiting
            .map(|it| Dependent {
                uuid: it.candidate.uuid.clone(),
                project: Arc::clone(&it.candidate.project),
                folder: it.candidate.folder,
                id: it.candidate.id,
                after: it.after.clone(),
                first: it.candidate.after,
            })
            .collect()
    }

    /// Says for whom one still waits, and which attempt of the first of those goes on.
    pub(super) fn waits_for(
        &self,
        uuid: &str,
        after: Vec<InvocationId>,
        first: Option<InvocationId>,
    ) {
        if let Some(it) = self.state().waiting.get_mut(uuid) {
            it.candidate.after = first;
            it.after = after;
        }
        self.look_again();
    }

    /// Why one waits; `None` if it does not.
    pub(super) fn waits(&self, uuid: &str) -> Option<Waits> {
        let state = self.state();
        let waits = state.waiting.contains_key(uuid) || state.away.contains_key(uuid);
        state.shown.get(uuid).filter(|_| waits).cloned()
    }

    /// Looks at why everybody waits, and tells whether that is news.
    pub(super) fn show(&self, now_ms: i64) -> bool {
        let mut state = self.state();
        let shown = Arc::new(state.plan(None, now_ms).waits);
        let is_news = shown != state.shown;
        state.shown = shown;
        is_news
    }

    /// How many wait.
    pub(super) fn length(&self) -> usize {
        self.state().length()
    }

    /// How many have a place.
    pub(super) fn running(&self) -> usize {
        self.state().placed.len()
    }

    /// Looks at the holds, or changes them.
    pub(super) fn holds<T>(&self, with: impl FnOnce(&mut Holds) -> T) -> T {
        with(&mut self.state().holds)
    }

    /// Whether one has a place or waits.
    pub(super) fn knows(&self, uuid: &str) -> bool {
        let state = self.state();
        state.waiting.contains_key(uuid) || state.placed.contains_key(uuid)
    }

    /// Something has changed that may let somebody start.
    pub(super) fn look_again(&self) {
        self.changed.notify_one();
    }

    /// Waits until something has changed. One waiter. Cancel-safe.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// A map is valid whatever panicked while it was held: every change to it is one call.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn length(&self) -> usize {
        self.waiting.len() + self.away.len()
    }

    /// Counts from now on for those that wait for a place and did not before.
    fn count_waits(&mut self, waits: &BTreeMap<String, Waits>, now_ms: i64) {
        for (uuid, it) in &mut self.waiting {
            let lacks = waits
                .get(uuid)
                .is_some_and(|waits| waits.reason.is_a_place());
            it.lacks_since_ms = lacks.then(|| it.lacks_since_ms.unwrap_or(now_ms));
        }
    }

    /// What starts, and why the rest does not.
    fn plan(&self, coming: Option<(&Candidate, &Coming)>, now_ms: i64) -> Plan {
        let waiting = self.waiting.values().map(|it| {
            let blocked = it.blocked.clone();
            Candidate {
                blocked,
                lacks_since_ms: it.lacks_since_ms,
                ..it.candidate.clone()
            }
        });
        let waiting = waiting.chain(self.away.values().cloned());
        let mut all: Vec<Candidate> = waiting.chain(coming.map(|(it, _)| it.clone())).collect();
        if let Some(why) = self.closed.first() {
            for it in &mut all {
                it.blocked.get_or_insert_with(|| (*why).to_owned());
            }
        }
        let running = self.placed.values().map(|it| {
            let mut placed = it.placed.clone();
            // Whoever comes and would be refused for a shim of its task has asked: what is left of it
            // is about to end. Who may wait for its task was not refused.
            if coming.is_some_and(|(_, coming)| !coming.may_share_task) && !it.is_launching {
                placed.task = String::new();
            }
            placed
        });
        let running: Vec<Placed> = running.collect();
        queue::plan(&all, &running, &self.bounds, &self.holds.held(), now_ms)
    }
}

fn launching(it: &Candidate) -> Holder {
    let placed = Placed {
        project: Arc::clone(&it.project),
        folder: it.folder,
        task: it.task.clone(),
        provider: it.provider.clone(),
    };
    Holder {
        placed,
        is_launching: true,
    }
}

/// What one that waits is, of a row and its specification.
pub(super) fn candidate(spec: &steroids_shim::spec::Spec, row: Option<&Invocation>) -> Candidate {
    let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    Candidate {
        uuid: spec.uuid.clone(),
        project: Arc::from(spec.project.as_path()),
        folder: spec.project_folder,
        id: row.map(|row| row.id),
        task: spec.task.clone(),
        provider: spec.provider.clone(),
        priority: spec.turn.priority,
        order: spec.turn.order,
        lacks_since_ms: None,
        not_before_ms: signed(spec.turn.not_before_ms),
        after: None,
        blocked: None,
    }
}
