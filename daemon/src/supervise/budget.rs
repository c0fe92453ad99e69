//! Budgets: somebody is told when four fifths of one are used, and when all is; then nothing new is
//! started on it, and what runs is ended if that was asked for.
//!
//! What was used is asked of the databases and the jobs each time, and of what was told a row is kept:
//! a restart forgets nothing and tells nothing twice. Of a database that does not answer, or is gone,
//! the day goes by what it said last; a task's budget by those that run there.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use steroids_provider::waits::Wait;
use steroids_shim::paths::InvDir;
use tracing::{info, warn};

use super::job::{JobHandle, Progress, Request};
use super::supervisor::Inner;
use super::{StartError, Supervisor, input};
use crate::domain::{
    Budget, BudgetLevel, BudgetScope, InvocationId, SpendQuery, Spent, Standing, UsageTotals,
    day_text,
};
use crate::projection::MESSAGE;
use crate::projects::Project;
use crate::store::{NewEvent, Notice};

/// Between two looks at what those that run have used, at least: each asks databases.
const PACE: Duration = Duration::from_millis(500);

/// What was told that is remembered, so that no database is asked for it; some of each day.
const REMEMBERED: usize = 4096;

/// The budgets that the configuration sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budgets {
    /// Of an invocation whose start sets none.
    pub invocation: Budget,
    /// Of a task, from its first invocation on.
    pub task: Budget,
    /// Of all projects on a day of this host.
    pub day: Budget,
    /// Whether those that run are ended when theirs is reached.
    pub stops: bool,
}

/// What was told already.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<HashSet<(PathBuf, Notice)>>);

impl Told {
    fn has(&self, key: &(PathBuf, Notice)) -> bool {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.contains(key)
    }

    fn note(&self, key: (PathBuf, Notice)) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= REMEMBERED {
            told.clear();
        }
        told.insert(key);
    }
}

/// A budget to look at, and whom it is about.
struct Look<'a> {
    scope: BudgetScope,
    /// The invocation, the task, or the day, in words.
    about: String,
    budget: Budget,
    /// Where it is told, if that can be.
    project: Option<&'a Arc<Project>>,
    invocation: Option<InvocationId>,
    task: Option<String>,
}

impl Supervisor {
    /// Looks at the budgets of those that run, whenever one of them has used something; until the
    /// daemon stops.
    pub async fn keep_budgets(self) {
        let mut beats = self.inner.beats();
        loop {
            tokio::select! {
                () = self.inner.stop.cancelled() => return,
                Ok(()) = beats.changed() => {}
            }
            self.inner.hold_budgets().await;
            tokio::select! {
                () = self.inner.stop.cancelled() => return,
                () = tokio::time::sleep(PACE) => {}
            }
        }
    }
}

/// Those that run, by uuid.
type Jobs = Vec<(String, JobHandle)>;

impl Inner {
    /// Of all that run.
    async fn hold_budgets(self: &Arc<Self>) {
        let budgets = &self.settings().budgets;
        let jobs = self.handles();
        let has_own =
            |(_, job): &(String, JobHandle)| job.whose.get().is_some_and(|it| it.budget.is_some());
        if budgets.task.is_none() && budgets.day.is_none() && !jobs.iter().any(has_own) {
            return;
        }
        let mut of_tasks: HashMap<_, (Arc<Project>, Jobs)> = HashMap::new();
        let mut homeless: HashMap<_, (Spent, Jobs)> = HashMap::new();
        let (mut all, mut first) = (Vec::new(), None);
        for (uuid, job) in jobs {
            let Some(whose) = job.whose.get() else {
                continue;
            };
            // Without its project it goes on, and uses what it uses.
            let project = self.home_of(&uuid, &job, whose).await;
            let spent = Spent::running(self.used_by(&job).as_ref());
            if let Some(budget) = whose.budget {
                let look = of_invocation(project.as_ref(), whose.id, &whose.task, &budget);
                let reached = self.look(&look, &spent).await;
                let reached = reached.filter(|_| budget.stops);
                self.end(reached, &[(uuid.clone(), job.clone())]);
            }
            if let Some(project) = project {
                let key = (project.root.clone(), Arc::clone(&whose.task));
                let of_task = of_tasks
                    .entry(key)
                    .or_insert_with(|| (Arc::clone(&project), Vec::new()));
                of_task.1.push((uuid.clone(), job.clone()));
                first.get_or_insert(project);
            } else {
                let key = (Arc::clone(&whose.project), Arc::clone(&whose.task));
                let of_task = homeless.entry(key).or_default();
                of_task.0.add(&spent);
                of_task.1.push((uuid.clone(), job.clone()));
            }
            all.push((uuid, job));
        }
        for ((_, task), (project, jobs)) in of_tasks {
            let reached = self.task_budget(&project, &task).await;
            self.end(reached, &who_stops(budgets, jobs));
        }
        for ((_, task), (spent, jobs)) in homeless {
            let look = of_task(None, &task, budgets.task);
            let reached = self.look(&look, &spent).await;
            self.end(reached, &who_stops(budgets, jobs));
        }
        if !all.is_empty() {
            let reached = self.day_budget(first.as_ref()).await;
            self.end(reached, &who_stops(budgets, all));
        }
    }

    /// Of one that has ended just now: what it used in the end may be more than it told before.
    pub(super) async fn budgets_after(
        self: &Arc<Self>,
        project: &Arc<Project>,
        id: InvocationId,
        spec: &steroids_shim::spec::Spec,
        usage: Option<UsageTotals>,
    ) {
        if let Some(budget) = &spec.budget {
            // Of a sum over a session whose runs before are not known, nobody can say what is its own.
            let usage = usage.filter(|usage| !usage.cumulative);
            let look = of_invocation(Some(project), id, &spec.task, budget);
            self.look(&look, &Spent::running(usage.as_ref())).await;
        }
        self.task_budget(project, &spec.task).await;
        self.day_budget(Some(project)).await;
        self.keep_ledger().await;
        // Others run on the same budget, and may be silent: whoever stops them looks now.
        self.beat();
    }

    /// Refuses a start for which nothing is left.
    pub(super) async fn admit_by_budget(
        self: &Arc<Self>,
        project: &Arc<Project>,
        task: &str,
    ) -> Result<(), StartError> {
        let reached = match self.task_budget(project, task).await {
            Some(reached) => Some((BudgetScope::Task, reached)),
            None => {
                let reached = self.day_budget(Some(project)).await;
                reached.map(|reached| (BudgetScope::Day, reached))
            }
        };
        match reached {
            None => Ok(()),
            Some((scope, (standing, said))) => Err(StartError::Budget {
                scope,
                amount: standing.most,
                said,
            }),
        }
    }

    async fn task_budget(
        self: &Arc<Self>,
        project: &Arc<Project>,
        task: &str,
    ) -> Option<(Standing, String)> {
        let budget = self.settings().budgets.task;
        if budget.is_none() {
            return None;
        }
        let query = SpendQuery {
            task: Some(task.to_owned()),
            own_only: true,
            ..SpendQuery::default()
        };
        let zone = &self.settings().zone;
        let projects = std::slice::from_ref(project);
        let spent = self.account(projects, &query, zone).await.total();
        self.look(&of_task(Some(project), task, budget), &spent)
            .await
    }

    async fn day_budget(
        self: &Arc<Self>,
        project: Option<&Arc<Project>>,
    ) -> Option<(Standing, String)> {
        let budget = self.settings().budgets.day;
        if budget.is_none() {
            return None;
        }
        let (day, spent) = self.spent_today().await;
        let look = Look {
            scope: BudgetScope::Day,
            about: day_text(day),
            budget,
            project,
            invocation: None,
            task: None,
        };
        self.look(&look, &spent).await
    }

    /// Tells what there is to tell; gives the first bound that is reached.
    async fn look(self: &Arc<Self>, look: &Look<'_>, spent: &Spent) -> Option<(Standing, String)> {
        let mut reached = None;
        for standing in look.budget.standings(spent) {
            let Some(level) = standing.level() else {
                continue;
            };
            let said = standing.said(look.scope, &look.about);
            self.tell_budget(look, &standing, level, &said).await;
            if level == BudgetLevel::Reached {
                reached.get_or_insert((standing, said));
            }
        }
        reached
    }

    async fn tell_budget(
        self: &Arc<Self>,
        look: &Look<'_>,
        standing: &Standing,
        level: BudgetLevel,
        said: &str,
    ) {
        let Some(told_in) = look.project else {
            return;
        };
        let notice = Notice {
            scope: look.scope.as_str(),
            about: look.about.clone(),
            bound: standing.most.exact(),
            level: level.as_str(),
        };
        // A day has one budget for all projects, and is told in one of them.
        let place = match look.scope {
            BudgetScope::Day => PathBuf::new(),
            BudgetScope::Invocation | BudgetScope::Task => told_in.root.clone(),
        };
        let key = (place, notice);
        if self.told.has(&key) {
            return;
        }
        // Two that find it untold must not tell it in two projects.
        let _turn = self.turns.take(Path::new(""), "budget").await;
        if self.told.has(&key) {
            return;
        }
        if look.scope == BudgetScope::Day {
            for project in self.projects.all() {
                let store = &project.store;
                let is_told = store.promptly(store.is_budget_told(key.1.clone()));
                if matches!(is_told.await, Ok(true)) {
                    self.told.note(key);
                    return;
                }
            }
        }
        let event = NewEvent {
            kind: "budget".to_owned(),
            invocation: look.invocation,
            task: look.task.clone(),
            message: said.to_owned(),
        };
        // Whoever else is near a budget waits behind this. What comes late is told once all the same.
        let store = &told_in.store;
        let telling = store.promptly_changed(store.tell_budget(key.1.clone(), event));
        match store.promptly(telling).await {
            Ok(is_new) => {
                if is_new {
                    info!(budget = %said, "budget");
                    told_in.touch();
                }
                self.told.note(key);
            }
            // It is told at the next look, or at the next start.
            Err(error) => warn!(%error, budget = %said, "a budget could not be told"),
        }
    }

    /// Ends those that run, once each. Who has answered and waits for a message is told that none comes, and ends by
    /// itself: it has a result, which a stop would make a cancellation.
    fn end(self: &Arc<Self>, reached: Option<(Standing, String)>, jobs: &[(String, JobHandle)]) {
        let Some((_, said)) = reached else {
            return;
        };
        for (uuid, job) in jobs {
            if job.is_out_of_budget.load(Ordering::Acquire) || is_done(job) {
                continue;
            }
            if waits_for(job, MESSAGE) {
                self.take_no_more(uuid, job, &said);
                continue;
            }
            let stop = Request::Stop {
                grace: None,
                why: Some(Arc::from(said.as_str())),
                shutdown: false,
            };
            // Full, it has been asked to end by others; otherwise it is asked at the next look.
            if job.requests.try_send(stop).is_ok() {
                job.is_out_of_budget.store(true, Ordering::Release);
            }
        }
    }
}

impl Inner {
    /// Closes the input of one that waits for a message. What cannot be done now is done at the next look, after one of
    /// those that run has used something; itself uses nothing meanwhile.
    fn take_no_more(self: &Arc<Self>, uuid: &str, job: &JobHandle, said: &str) {
        let Some(whose) = job.whose.get() else { return };
        if job.takes_no_more.swap(true, Ordering::AcqRel) {
            return;
        }
        let dir = InvDir::new(&self.settings().state_dir, uuid);
        let (inner, job, said) = (Arc::clone(self), job.clone(), said.to_owned());
        let (id, project) = (whose.id, Arc::clone(&whose.project));
        let turn = format!("input {uuid}");
        self.tracker.spawn(async move {
            let turn = inner.turns.take(&project, &turn).await;
            if let Err(error) = input::close_over_budget(id, dir, &said).await {
                warn!(invocation.id = %id, %error, "an input could not be closed as a budget is reached");
                job.takes_no_more.store(false, Ordering::Release);
            }
            drop(turn);
        });
    }
}

/// Those that a budget of their task or day ends: all where that is configured, else who asked for it.
fn who_stops(budgets: &Budgets, mut jobs: Jobs) -> Jobs {
    jobs.retain(|(_, job)| budgets.stops || job.whose.get().is_some_and(|whose| whose.stops));
    jobs
}

/// It has ended, or has given its result and ends in a moment or is ended by a limit: a stop would save nothing, and
/// make a success one that was cancelled.
fn is_done(job: &JobHandle) -> bool {
    if matches!(&*job.progress.borrow(), Progress::Ending(_)) {
        return true;
    }
    waits_for(job, Wait::ResultSent.word())
}

fn waits_for(job: &JobHandle, word: &str) -> bool {
    let live = job.vitals().and_then(|vitals| vitals.live);
    live.is_some_and(|live| live.waits_for == word)
}

fn of_task<'a>(project: Option<&'a Arc<Project>>, task: &str, budget: Budget) -> Look<'a> {
    Look {
        scope: BudgetScope::Task,
        about: task.to_owned(),
        budget,
        project,
        invocation: None,
        task: Some(task.to_owned()),
    }
}

fn of_invocation<'a>(
    project: Option<&'a Arc<Project>>,
    id: InvocationId,
    task: &str,
    budget: &steroids_shim::spec::Budget,
) -> Look<'a> {
    Look {
        scope: BudgetScope::Invocation,
        about: id.to_string(),
        budget: Budget {
            micro_usd: budget.micro_usd,
            tokens: budget.tokens,
        },
        project,
        invocation: Some(id),
        task: Some(task.to_owned()),
    }
}
