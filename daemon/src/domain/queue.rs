//! What starts next, and why everything else waits: a pure function of those that wait, those that
//! run, the bounds, the holds and the time.
//!
//! The order is priority, then the time of the request. Who cannot start is passed over, so that a
//! place is not left empty for it; but who has been passed over for long, for want of a place, keeps
//! the next one of its project and its provider free for itself. An invocation waits for others only
//! by ids that were given before it, so there are no cycles.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::InvocationId;

/// Who has waited so long for a place is passed over no more.
const PATIENCE_MS: i64 = 10 * 60 * 1000;

/// No start waits longer than this for a time of its own, which may be a provider's reset time; one
/// further ahead says that the clock was set back.
const LATEST_MS: i64 = super::hold::LONGEST.as_millis() as i64;

/// One that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Names its state folder.
    pub uuid: String,
    /// Of its project.
    pub project: Arc<Path>,
    /// Device and number of its project's folder, as far as known.
    pub folder: Option<(u64, u64)>,
    /// Its row, once there is one.
    pub id: Option<InvocationId>,
    /// Of one task no two run at once.
    pub task: String,
    /// The configured name.
    pub provider: String,
    /// The higher go first.
    pub priority: i32,
    /// Of one priority the lower go first.
    pub order: u64,
    /// Since when it has waited for nothing but a place, in epoch milliseconds; `None` if it does not.
    pub lacks_since_ms: Option<i64>,
    /// Not before this, in epoch milliseconds.
    pub not_before_ms: i64,
    /// The first of those that have yet to succeed, or the later attempt of it that goes on.
    pub after: Option<InvocationId>,
    /// What else is in its way, in words.
    pub blocked: Option<String>,
}

impl Candidate {
    fn rank(
        &self,
    ) -> (
        std::cmp::Reverse<i32>,
        u64,
        &Path,
        Option<InvocationId>,
        &str,
    ) {
        let higher_first = std::cmp::Reverse(self.priority);
        (higher_first, self.order, &self.project, self.id, &self.uuid)
    }
}

/// One that has a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Of its project: where that is now, as far as known.
    pub project: Arc<Path>,
    /// Device and number of its project's folder, as far as known.
    pub folder: Option<(u64, u64)>,
    /// What it works on.
    pub task: String,
    /// The configured name.
    pub provider: String,
}

/// How many may run at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    /// In all.
    pub total: usize,
    /// In one project; `None`: as many as in all.
    pub project: Option<usize>,
    /// Of certain providers.
    pub providers: BTreeMap<String, usize>,
}

/// A provider of which nothing is started for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// In epoch milliseconds.
    pub until_ms: i64,
    /// One word, or a few.
    pub reason: String,
}

/// Why one waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Something that no place would change.
    Blocked(String),
    /// Another one has yet to succeed.
    After(InvocationId),
    /// Nothing of its provider is started.
    Held(Held),
    /// Its own time has not come.
    NotBefore(i64),
    /// One of its task runs.
    TaskBusy,
    /// As many run of its provider as may.
    ProviderFull(usize),
    /// As many run in its project as may.
    ProjectFull(usize),
    /// As many run as may.
    Full(usize),
}

impl Reason {
    /// Whether it would start if there were a place.
    pub fn is_a_place(&self) -> bool {
        match self {
            Reason::ProviderFull(_) | Reason::ProjectFull(_) | Reason::Full(_) => true,
            Reason::Blocked(_)
            | Reason::After(_)
            | Reason::Held(_)
            | Reason::NotBefore(_)
            | Reason::TaskBusy => false,
        }
    }
}

/// Where one that waits stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waits {
    /// Counted from 1.
    pub place: usize,
    /// How many wait.
    pub of: usize,
    /// Why it does.
    pub reason: Reason,
}

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// To be started now, in this order, by uuid.
    pub start: Vec<String>,
    /// All others, by uuid.
    pub waits: BTreeMap<String, Waits>,
    /// When the first of those can start that wait for nothing but a time.
    pub next_ms: Option<i64>,
}

/// What is taken of each bound, and kept for those that have waited for long.
struct Room<'a> {
    bounds: &'a Bounds,
    total: usize,
    projects: BTreeMap<&'a Path, usize>,
    providers: BTreeMap<&'a str, usize>,
    tasks: BTreeSet<(&'a Path, &'a str)>,
}

impl<'a> Room<'a> {
    fn new(bounds: &'a Bounds, running: &'a [Placed]) -> Room<'a> {
        let mut room = Room {
            bounds,
            total: 0,
            projects: BTreeMap::new(),
            providers: BTreeMap::new(),
            tasks: BTreeSet::new(),
        };
        for it in running {
            room.total += 1;
            *room.projects.entry(&it.project).or_default() += 1;
            *room.providers.entry(&it.provider).or_default() += 1;
            room.tasks.insert((&it.project, &it.task));
        }
        room
    }

    fn project_bound(&self) -> usize {
        self.bounds.project.unwrap_or(usize::MAX)
    }

    fn provider_bound(&self, provider: &str) -> usize {
        let bound = self.bounds.providers.get(provider);
        bound.copied().unwrap_or(usize::MAX)
    }

    /// Which bound is in its way, if one is.
    fn lacks(&self, it: &Candidate) -> Option<Reason> {
        let taken = |count: Option<&usize>| count.copied().unwrap_or(0);
        let of_provider = self.provider_bound(&it.provider);
        let of_project = self.project_bound();
        if taken(self.providers.get(&*it.provider)) >= of_provider {
            Some(Reason::ProviderFull(of_provider))
        } else if taken(self.projects.get(&*it.project)) >= of_project {
            Some(Reason::ProjectFull(of_project))
        } else if self.total >= self.bounds.total {
            Some(Reason::Full(self.bounds.total))
        } else {
            None
        }
    }

    fn take(&mut self, it: &'a Candidate) {
        self.total += 1;
        self.keep_free(it);
        self.tasks.insert((&it.project, &it.task));
    }

    /// In its project and of its provider, also where only one of them is full: a place that is given
    /// away while the other is waited for would be missing then, and so on for ever.
    fn keep_free(&mut self, it: &'a Candidate) {
        *self.projects.entry(&it.project).or_default() += 1;
        *self.providers.entry(&it.provider).or_default() += 1;
    }
}

/// Says what starts now, and why the others do not.
pub fn plan(
    waiting: &[Candidate],
    running: &[Placed],
    bounds: &Bounds,
    holds: &BTreeMap<String, Held>,
    now_ms: i64,
) -> Plan {
    let mut line: Vec<&Candidate> = waiting.iter().collect();
    line.sort_by(|a, b| a.rank().cmp(&b.rank()));
    let mut room = Room::new(bounds, running);
    let mut plan = Plan::default();
    let mut waits = Vec::new();
    for it in line {
        if let Some(reason) = stands_in_its_way(it, holds, &room, now_ms) {
            if let Reason::Held(Held { until_ms, .. }) | Reason::NotBefore(until_ms) = reason {
                let first = plan.next_ms.map_or(until_ms, |next| next.min(until_ms));
                plan.next_ms = Some(first);
            }
            waits.push((it, reason));
        } else if let Some(reason) = room.lacks(it) {
            let lacks_since_ms = it.lacks_since_ms.unwrap_or(now_ms);
            if now_ms.saturating_sub(lacks_since_ms) >= PATIENCE_MS {
                room.keep_free(it);
            }
            waits.push((it, reason));
        } else {
            room.take(it);
            plan.start.push(it.uuid.clone());
        }
    }
    let of = waits.len();
    let placed = waits.into_iter().enumerate().map(|(before, (it, reason))| {
        let place = before + 1;
        (it.uuid.clone(), Waits { place, of, reason })
    });
    plan.waits = placed.collect();
    plan
}

/// What no free place would change.
fn stands_in_its_way(
    it: &Candidate,
    holds: &BTreeMap<String, Held>,
    room: &Room<'_>,
    now_ms: i64,
) -> Option<Reason> {
    if let Some(what) = &it.blocked {
        return Some(Reason::Blocked(what.clone()));
    }
    if let Some(id) = it.after {
        return Some(Reason::After(id));
    }
    if let Some(held) = holds.get(&it.provider)
        && held.until_ms > now_ms
    {
        return Some(Reason::Held(held.clone()));
    }
    let wait = it.not_before_ms.saturating_sub(now_ms);
    if (1..=LATEST_MS).contains(&wait) {
        return Some(Reason::NotBefore(it.not_before_ms));
    }
    let is_busy = room.tasks.contains(&(&*it.project, &*it.task));
    is_busy.then_some(Reason::TaskBusy)
}

#[cfg(test)]
mod tests;
